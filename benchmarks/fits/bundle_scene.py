"""A made-up scene for bundle adjustment: a ring of cameras around a tower, what they see of it, and a poor first guess.

The camera is that of Agarwal, Snavely, Seitz & Szeliski, Bundle Adjustment in the Large (ECCV 2010): a rotation vector,
a translation, a focal length and two coefficients of radial distortion. It looks along its negative z axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Params = dict[str, Array]

NOISE = 0.5  # pixels
RING, TOWER = 10.0, 4.0  # radii
FOCAL = 800.0
FREEDOM = 7  # parameters that no picture tells: where the whole scene is, how it is turned, how large it is


@dataclass(frozen=True)
class Scene:
    """What was seen, by whom, and the truth.

    Attributes:
        camera, point: for each observation which camera saw which point.
        seen: where, in pixels: shape (observations, 2).
        truth, start: parameters: "cameras" of shape (cameras, 9), "points" of shape (points, 3).
    """

    camera: Array
    point: Array
    seen: Array
    truth: Params
    start: Params

    @property
    def data(self) -> tuple[Array, Array, Array]:
        """What the residuals take beside the parameters."""
        return self.camera, self.point, self.seen

    @property
    def size(self) -> int:
        """How many parameters there are."""
        return sum(a.size for a in self.start.values())

    @property
    def floor(self) -> float:
        """The root mean square of the residuals that is expected at the optimum: noise less what was fitted of it."""
        return NOISE * float(np.sqrt(1 - (self.size - FREEDOM) / self.seen.size))


def rotated(vectors: Array, points: Array) -> Any:
    """Points turned by rotation vectors (Rodrigues' formula), where these are nearly 0 too."""
    square = np.sum(vectors * vectors, axis=1, keepdims=True)
    tiny = square < 1e-8
    safe = np.where(tiny, 1.0, square)
    angle = np.sqrt(safe)
    sine = np.where(tiny, 1 - square / 6, np.sin(angle) / angle)
    cosine = np.where(tiny, 0.5 - square / 24, (1 - np.cos(angle)) / safe)
    across = np.cross(vectors, points)
    return points + sine * across + cosine * np.cross(vectors, across)


def projected(cameras: Array, points: Array) -> Any:
    """Where cameras see points, row by row, in pixels."""
    inside = rotated(cameras[:, :3], points) + cameras[:, 3:6]
    flat = -inside[:, :2] / inside[:, 2:]
    square = np.sum(flat * flat, axis=1, keepdims=True)
    return cameras[:, 6:7] * (1 + square * (cameras[:, 7:8] + square * cameras[:, 8:9])) * flat


def residuals(params: Params, camera: Array, point: Array, seen: Array) -> Any:
    """By how much the cameras see the points elsewhere, in pixels."""
    return projected(params["cameras"][camera], params["points"][point]) - seen


def make(cameras: int, points: int, views: int, seed: int) -> Scene:
    """A scene in which each point is seen by some of the cameras in front of it.

    Args:
        cameras: how many stand on the ring.
        points: how many there are on the tower.
        views: by how many cameras each is seen, at most.
        seed: of everything random.
    """
    rng = np.random.default_rng(seed)
    around = rng.uniform(0, 2 * np.pi, points)
    radius = TOWER + 0.4 * np.sin(5 * around) + 0.04 * rng.normal(size=points)
    cloud = np.stack([radius * np.cos(around), radius * np.sin(around), rng.uniform(-2, 2, points)], axis=1)
    truth = {"cameras": _ring(cameras, rng), "points": cloud}
    camera, point = _pairs(around, cameras, views, rng)
    exact = projected(truth["cameras"][camera], cloud[point])
    seen = exact + NOISE * rng.normal(size=exact.shape)
    return Scene(camera, point, seen, truth, _guess(truth, rng))


def _ring(count: int, rng: np.random.Generator) -> Array:
    """Cameras on a wavy ring that look at the tower's middle, roughly."""
    from scipy.spatial.transform import Rotation

    angle = 2 * np.pi * np.arange(count) / count
    centre = np.stack([RING * np.cos(angle), RING * np.sin(angle), np.sin(3 * angle)], axis=1)
    centre += 0.1 * rng.normal(size=centre.shape)
    back = centre - 0.2 * rng.normal(size=centre.shape)
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    turn = np.stack([right, np.cross(back, right), back], axis=1)
    vectors = Rotation.from_matrix(turn).as_rotvec()
    shift = -np.einsum("kij,kj->ki", turn, centre)
    lens = np.stack([FOCAL * rng.uniform(0.98, 1.02, count), *rng.normal([[-0.1], [0.02]], 0.01, (2, count))], axis=1)
    return np.concatenate([vectors, shift, lens], axis=1)


def _pairs(around: Array, cameras: int, views: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Which cameras see which points: for each point some of those within a quarter of a right angle of it."""
    reach = max(views, cameras // 16)
    nearest = np.round(around / (2 * np.pi) * cameras).astype(np.int64)
    offsets = np.argsort(rng.random((len(around), reach)), axis=1)[:, :views] - reach // 2
    camera = (nearest[:, None] + np.sort(offsets, axis=1)) % cameras
    return camera.reshape(-1), np.repeat(np.arange(len(around)), camera.shape[1])


def _guess(truth: Params, rng: np.random.Generator) -> Params:
    """A poor start: everything is moved, and lenses are taken for straight."""
    cameras, points = truth["cameras"].copy(), truth["points"]
    cameras[:, :3] += 0.02 * rng.normal(size=cameras[:, :3].shape)
    cameras[:, 3:6] += 0.2 * rng.normal(size=cameras[:, 3:6].shape)
    cameras[:, 6], cameras[:, 7:] = FOCAL, 0.0
    return {"cameras": cameras, "points": points + 0.2 * rng.normal(size=points.shape)}
