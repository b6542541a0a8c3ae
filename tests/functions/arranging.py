"""Functions that rearrange, take apart, put together and pad."""

from __future__ import annotations

from typing import Final

import numpy as np

from tapegrad.record.functions import FUNCTIONS
from tests.functions.case import Call, distinct, uniform

_COUNTS: Final = np.array([2, 0, 1])
_VECTOR, _MATRIX, _DEEP = uniform(5), uniform(3, 4), uniform(2, 3, 2)

_ARRANGING: Final = (
    Call("numpy.tile", lambda np, x: np.tile(x, 3), (_VECTOR,)),
    Call("numpy.tile", lambda np, x: np.tile(x, (2, 1, 3)), (_MATRIX,)),
    Call("numpy.tile", lambda np, x: np.tile([x, 2.0, x * x], 2), (uniform(),), jax=False, plain=False),
    Call("numpy.repeat", lambda np, x: np.repeat(x, 2), (_MATRIX,)),
    Call("numpy.repeat", lambda np, x: np.repeat(x, 3, axis=-1), (_MATRIX,)),
    Call("numpy.repeat", lambda np, x: np.repeat(x, _COUNTS, axis=0), (_MATRIX,)),
    Call("numpy.resize", lambda np, x: np.resize(x, (3, 4)), (_VECTOR,)),
    Call("numpy.roll", lambda np, x: np.roll(x, 3), (_MATRIX,)),
    Call("numpy.roll", lambda np, x: np.roll(x, -1, axis=1), (_MATRIX,)),
    Call("numpy.roll", lambda np, x: np.roll(x, (1, -2, 1), (0, 1, 0)), (_MATRIX,)),
    Call("numpy.roll", lambda np, x, n: np.roll(x, n), (_MATRIX, np.array(-7))),
    Call("numpy.roll", lambda np, x, n: np.roll(x, n, axis=(1, 0)), (_MATRIX, np.array([2, 4])), jax=False),
    Call("numpy.rollaxis", lambda np, x: np.rollaxis(x, 2), (_DEEP,)),
    Call("numpy.rollaxis", lambda np, x: np.rollaxis(x, 0, -1), (_DEEP,)),
    *(Call("numpy.rot90", lambda np, x, k=k: np.rot90(x, k), (_MATRIX,)) for k in range(4)),
    Call("numpy.rot90", lambda np, x: np.rot90(x, axes=(1, 2)), (_DEEP,)),
    Call("numpy.split", lambda np, x: np.split(x, 2, axis=1), (_MATRIX,)),
    Call("numpy.split", lambda np, x: np.split(x, [1, 3, 3]), (_VECTOR,)),
    Call("numpy.array_split", lambda np, x: np.array_split(x, 3), (_VECTOR,)),
    Call("numpy.hsplit", lambda np, x: np.hsplit(x, [1]), (_MATRIX,)),
    Call("numpy.vsplit", lambda np, x: np.vsplit(x, 3), (_MATRIX,)),
    Call("numpy.dsplit", lambda np, x: np.dsplit(x, 2), (_DEEP,)),
    Call("numpy.unstack", lambda np, x: np.unstack(x, axis=1), (_MATRIX,)),
    Call("numpy.append", lambda np, x, y: np.append(x, y), (_VECTOR, _MATRIX)),
    Call("numpy.append", lambda np, x, y: np.append(x, y, axis=1), (_MATRIX, uniform(3, 1, seed=1))),
    Call("numpy.delete", lambda np, x: np.delete(x, np.array([1, -1])), (_VECTOR,)),
    Call("numpy.delete", lambda np, x: np.delete(x, slice(None, None, 2), axis=1), (_MATRIX,)),
    Call("numpy.insert", lambda np, x, y: np.insert(x, 1, y, axis=1), (_MATRIX, uniform(2, 3, seed=1))),
    Call("numpy.insert", lambda np, x, y: np.insert(x, np.array([0, 2, 2]), y), (_VECTOR, uniform(3, seed=1))),
    Call("numpy.insert", lambda np, x: np.insert(x, 2, 1.5), (_VECTOR,)),
    Call("numpy.insert", lambda np, x: np.insert(np.ones(3), np.array([1, 2]), x), (uniform(),)),
)

_BUILDING: Final = (
    Call("numpy.atleast_3d", lambda np, x, y, z: np.atleast_3d(x, y, z), (uniform(), _VECTOR, _MATRIX)),
    Call("numpy.dstack", lambda np, x, y: np.dstack([x, y]), (_MATRIX, uniform(3, 4, seed=1))),
    Call("numpy.block", lambda np, x, y: np.block([[x, y], [np.ones((1, 5))]]), (_MATRIX, uniform(3, 1, seed=1))),
    Call("numpy.block", lambda np, x, y: np.block([x, 2.0, y]), (_VECTOR, uniform())),
    Call("numpy.meshgrid", lambda np, x, y: np.meshgrid(x, y), (uniform(3), uniform(2, seed=1))),
    Call("numpy.meshgrid", lambda np, x: np.meshgrid(x, np.ones(2), indexing="ij"), (uniform(3),)),
    Call("numpy.meshgrid", lambda np, x, y: np.meshgrid(x, y, sparse=True), (uniform(3), uniform(2, seed=1))),
    Call("numpy.ix_", lambda np, x, k: x[np.ix_(k, np.array([0, 3]))], (_MATRIX, np.array([2, 0, 2]))),
    *(Call("numpy.diag", lambda np, x, k=k: np.diag(x, k), (uniform(3),)) for k in (0, 2, -1)),
    *(Call("numpy.diag", lambda np, x, k=k: np.diag(x, k), (_MATRIX,)) for k in (0, 2, -1)),
    Call("numpy.diagflat", lambda np, x: np.diagflat(x, 1), (uniform(2, 2),)),
    Call("numpy.diagonal", lambda np, x: np.diagonal(x, 1, 2, 1), (_DEEP,)),
    Call("numpy.trace", lambda np, x: np.trace(x, -1), (_MATRIX,)),
    Call("numpy.trace", lambda np, x: np.trace(x, axis1=0, axis2=2), (_DEEP,)),
    Call("numpy.tril", lambda np, x: np.tril(x), (_MATRIX,)),
    Call("numpy.tril", lambda np, x: np.tril(x, -1), (_DEEP,)),
    Call("numpy.triu", lambda np, x: np.triu(x, 1), (_MATRIX,)),
    Call("numpy.tril_indices_from", lambda np, x: x[np.tril_indices_from(x, 1)], (_MATRIX,)),
    Call("numpy.triu_indices_from", lambda np, x: x[np.triu_indices_from(x)], (_MATRIX,)),
    Call("numpy.diag_indices_from", lambda np, x: x[np.diag_indices_from(x)], (uniform(3, 3),)),
    Call("numpy.kron", lambda np, x, y: np.kron(x, y), (uniform(2, 3), uniform(3, 2, seed=1))),
    Call("numpy.kron", lambda np, x, y: np.kron(x, y), (uniform(2), uniform(2, 2, 2, seed=1))),
    Call("numpy.vander", lambda np, x: np.vander(x), (uniform(3),)),
    Call("numpy.vander", lambda np, x: np.vander(x, 4, increasing=True), (uniform(3),)),
    Call("numpy.stack", lambda np, x: np.stack(x), (_MATRIX,)),
    Call("numpy.concatenate", lambda np, x: np.concatenate([x, np.arange(3)], dtype=x.dtype), (_VECTOR,), jax=False),
)

_WIDTHS: Final = ((2, 1), (0, 3))
_PADDING: Final = (
    Call("numpy.pad", lambda np, x: np.pad(x, 2), (_VECTOR,)),
    Call("numpy.pad", lambda np, x: np.pad(x, {-1: (1, 2)}), (_MATRIX,), jax=False),
    Call("numpy.pad", lambda np, x: np.pad(x, _WIDTHS, constant_values=((1.0, 2.0), (3.0, 4.0))), (_MATRIX,)),
    Call("numpy.pad", lambda np, x, c: np.pad(x, _WIDTHS, constant_values=c), (_MATRIX, uniform(2, 1, seed=1))),
    *(
        Call("numpy.pad", lambda np, x, mode=mode: np.pad(x, _WIDTHS, mode), (_MATRIX,))
        for mode in ("edge", "wrap", "reflect", "symmetric")
    ),
    Call("numpy.pad", lambda np, x: np.pad(x, (3, 4), "reflect", reflect_type="odd"), (_VECTOR,)),
    Call("numpy.pad", lambda np, x: np.pad(x, (8, 7), "reflect", reflect_type="odd"), (uniform(3),)),
    Call("numpy.pad", lambda np, x: np.pad(x, (3, 9), "symmetric", reflect_type="odd"), (_VECTOR,)),
    Call("numpy.pad", lambda np, x, e: np.pad(x, 3, "linear_ramp", end_values=e), (_VECTOR, uniform(2)), jax=False),
    Call("numpy.pad", lambda np, x: np.pad(x, 2, "linear_ramp", end_values=0.5), (_MATRIX,)),
    Call("numpy.pad", lambda np, x: np.pad(x, 1, "maximum"), (distinct(3, 4),)),
    Call("numpy.pad", lambda np, x: np.pad(x, 1, "minimum", stat_length=2), (distinct(3, 4),)),
    Call("numpy.pad", lambda np, x: np.pad(x, _WIDTHS, "mean", stat_length=((1, 2), (3, 3))), (_MATRIX,)),
    Call("numpy.pad", lambda np, x: np.pad(x, 2, "mean"), (np.array([[1, 2], [4, 9]]),), smooth=False),
    Call("numpy.pad", lambda np, x: np.pad(x, (5, 3), "linear_ramp", end_values=7), (np.arange(4),), smooth=False),
)

_MEDIANS: Final = (
    Call("numpy.pad", lambda np, x: np.pad(x, 2, "median"), (distinct(3, 4),)),
    Call("numpy.pad", lambda np, x: np.pad(x, _WIDTHS, "median", stat_length=3), (distinct(4, 4),)),
)

# Medians are another module's.
CALLS: Final = _ARRANGING + _BUILDING + _PADDING + (_MEDIANS if np.median in FUNCTIONS else ())
