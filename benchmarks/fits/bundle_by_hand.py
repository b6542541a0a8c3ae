"""The Jacobian of bundle adjustment as one derives it by hand, in NumPy: what tapegrad's is compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.fits.bundle_scene import Array, Params


def jacobian(params: Params, camera: Array, point: Array) -> Any:
    """The derivative of `bundle_scene.residuals` by cameras, then points, as a `csr_array`.

    Rotations: d(R x) = -R [x] Jr dw, with the right Jacobian of the rotation vector w,
    Jr = I - (1 - cos a) / a^2 [w] + (a - sin a) / a^3 [w]^2, where a = |w| and [w] x = w times x.
    """
    from scipy.sparse import csr_array

    cameras, points = params["cameras"], params["points"]
    turn, right = _rotations(cameras[:, :3])
    x, r = points[point], turn[camera]
    inside = np.einsum("nij,nj->ni", r, x) + cameras[camera, 3:6]
    lens, depth = cameras[camera, 6:], inside[:, 2]
    flat = -inside[:, :2] / depth[:, None]
    square = np.sum(flat * flat, axis=1)
    factor = 1 + square * (lens[:, 1] + square * lens[:, 2])
    # By the point in the camera's frame: first what the lens does, then the projection.
    bend = 2 * lens[:, 0] * (lens[:, 1] + 2 * lens[:, 2] * square)
    by_flat = bend[:, None, None] * flat[:, :, None] * flat[:, None, :]
    by_flat[:, [0, 1], [0, 1]] += (lens[:, 0] * factor)[:, None]
    by_inside = np.empty((len(x), 2, 3))
    by_inside[:, :, :2] = -by_flat / depth[:, None, None]
    by_inside[:, :, 2] = -np.einsum("nij,nj->ni", by_flat, flat) / depth[:, None]
    rows = np.empty((len(x), 2, 12))
    by_point = by_inside @ r
    rows[:, :, :3] = -(by_point @ _cross(x)) @ right[camera]
    rows[:, :, 3:6] = by_inside
    rows[:, :, 6] = factor[:, None] * flat
    rows[:, :, 7] = (lens[:, 0] * square)[:, None] * flat
    rows[:, :, 8] = (lens[:, 0] * square**2)[:, None] * flat
    rows[:, :, 9:] = by_point
    columns = np.empty((len(x), 2, 12), np.int32)
    columns[:, :, :9] = (9 * camera[:, None] + np.arange(9))[:, None]
    columns[:, :, 9:] = (cameras.size + 3 * point[:, None] + np.arange(3))[:, None]
    shape = (2 * len(x), cameras.size + points.size)
    return csr_array((rows.reshape(-1), columns.reshape(-1), 12 * np.arange(shape[0] + 1)), shape=shape)


def _cross(vectors: Array) -> Array:
    """The matrices [w] of vectors w."""
    made = np.zeros((len(vectors), 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        made[:, i, j], made[:, j, i] = -vectors[:, k], vectors[:, k]
    return made


def _rotations(vectors: Array) -> tuple[Array, Array]:
    """Rotation matrices and right Jacobians of rotation vectors."""
    square = np.sum(vectors * vectors, axis=1)[:, None, None]
    tiny = square < 1e-8
    safe = np.where(tiny, 1.0, square)
    angle = np.sqrt(safe)
    first = np.where(tiny, 1 - square / 6, np.sin(angle) / angle)
    second = np.where(tiny, 0.5 - square / 24, (1 - np.cos(angle)) / safe)
    third = np.where(tiny, 1 / 6 - square / 120, (angle - np.sin(angle)) / (safe * angle))
    w = _cross(vectors)
    return np.eye(3) + first * w + second * w @ w, np.eye(3) - second * w + third * w @ w
