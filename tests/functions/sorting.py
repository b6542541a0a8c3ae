"""Functions that sort, that give places, and that take arrays as sets."""

from __future__ import annotations

from typing import Any, Final

import numpy

from tests.functions.case import Call, distinct, uniform

NAN: Final = numpy.array([[1.5, numpy.nan, 2.0], [numpy.nan, -3.0, 0.5]])
TIES: Final = numpy.array([[2.0, 1.0, 2.0, 1.0, 3.0], [1.0, 1.0, 0.0, 3.0, 3.0]])
GRID: Final = numpy.array([-1.0, -0.2, 0.3, 0.3, 1.2])
INTEGERS: Final = numpy.array([3, 1, 3, 0, 1, 7])
PAIRS: Final = numpy.array([[1.0, 2.0], [0.0, 5.0], [1.0, 2.0], [1.0, 0.5]])


def _parts(np: Any, x: Any) -> Any:
    """A partition, whichever order its parts are in."""
    y = np.partition(x, 2, axis=1)
    return np.sum(y[:, :2] ** 2, axis=1), y[:, 2], np.sum(y[:, 3:] ** 3, axis=1)


CALLS: Final = (
    Call("numpy.sort", lambda np, x: np.sort(x), (distinct(3, 4),)),
    Call("numpy.sort", lambda np, x: np.sort(x, axis=0, stable=True), (distinct(4, 3),)),
    Call("numpy.sort", lambda np, x: np.sort(x, axis=None), (distinct(2, 3),)),
    Call("numpy.sort", lambda np, x: np.sort(x * x, axis=1), (distinct(2, 3, 2),)),
    Call("numpy.sort", lambda np, k: np.sort(k, kind="heapsort"), (INTEGERS,), smooth=False),
    Call("numpy.sort", lambda np, x: np.sort(x > 0), (uniform(2, 4),), smooth=False),
    Call("numpy.argsort", lambda np, x: np.argsort(x, kind="stable"), (TIES,), smooth=False),
    Call("numpy.argsort", lambda np, x: np.argsort(x, axis=0, stable=True), (TIES,), smooth=False),
    Call("numpy.argsort", lambda np, x: np.argsort(x, axis=None, kind="mergesort"), (TIES,), smooth=False),
    Call("numpy.argsort", lambda np, x: x[np.argsort(x[:, 0])], (distinct(4, 2),)),
    Call("numpy.argsort", lambda np, x: np.argsort(np.argsort(x)), (distinct(7),), smooth=False),
    Call("numpy.partition", _parts, (distinct(3, 6),)),
    Call("numpy.partition", lambda np, x: np.partition(x, (1, -1), axis=None)[[1, -1]], (distinct(2, 3),), jax=False),
    Call("numpy.partition", lambda np, x: np.partition(x, 0, axis=0)[0], (distinct(4, 2),)),
    Call("numpy.argpartition", lambda np, x: np.argpartition(x, 1)[..., 1], (distinct(3, 5),), smooth=False),
    Call("numpy.argpartition", lambda np, x: x[np.argpartition(x, -2)[-2:]].sum(), (distinct(5),)),
    Call("numpy.lexsort", lambda np, x: np.lexsort((x[0], x[1])), (TIES,), smooth=False),
    Call("numpy.lexsort", lambda np, x: np.lexsort(x), (TIES,), smooth=False),
    Call("numpy.lexsort", lambda np, k, x: np.lexsort((x, k)), (INTEGERS, distinct(6)), smooth=False),
    Call("numpy.lexsort", lambda np, x, y: np.lexsort((x, y), axis=0), (TIES, numpy.ones((2, 5))), smooth=False),
    Call("numpy.argmax", lambda np, x: np.argmax(x), (TIES,), smooth=False),
    Call("numpy.argmax", lambda np, x: np.argmax(x, axis=0, keepdims=True), (TIES,), smooth=False),
    Call("numpy.argmax", lambda np, x: np.argmax(x, keepdims=True), (TIES,), smooth=False),
    Call("numpy.argmax", lambda np, x: x[np.arange(3), np.argmax(x, axis=-1)], (distinct(3, 4),)),
    Call("numpy.argmax", lambda np, x: x[np.argmax(x)] ** 2, (distinct(5),)),
    Call("numpy.argmin", lambda np, x: np.argmin(x), (TIES,), smooth=False),
    Call("numpy.argmin", lambda np, x: np.take_along_axis(x, np.argmin(x, 1, keepdims=True), 1), (distinct(3, 4),)),
    Call("numpy.nanargmax", lambda np, x: np.nanargmax(x, axis=1), (NAN,), smooth=False),
    Call("numpy.nanargmin", lambda np, x: np.nanargmin(x), (NAN,), smooth=False),
    Call("numpy.nanargmin", lambda np, k: np.nanargmin(k), (INTEGERS,), smooth=False),
    Call("numpy.searchsorted", lambda np, x: np.searchsorted(GRID, x), (uniform(2, 3),), smooth=False),
    Call("numpy.searchsorted", lambda np, a, v: np.searchsorted(a, v, "right"), (GRID, GRID), smooth=False),
    Call("numpy.searchsorted", lambda np, a: np.searchsorted(a, 0.3, side="left"), (GRID,), smooth=False),
    Call(
        "numpy.searchsorted",
        lambda np, a, v: np.searchsorted(a, v, sorter=np.argsort(a)),
        (distinct(6), uniform(4)),
        smooth=False,
        jax=False,
    ),
    Call("numpy.digitize", lambda np, x: np.digitize(x, GRID), (GRID,), smooth=False),
    Call("numpy.digitize", lambda np, x: np.digitize(x, GRID, right=True), (GRID,), smooth=False),
    Call("numpy.digitize", lambda np, x: np.digitize(x, GRID[::-1]), (GRID,), smooth=False),
    Call("numpy.digitize", lambda np, x, b: np.digitize(x, b[::-1], right=True), (GRID, GRID), smooth=False),
    Call("numpy.nonzero", lambda np, x: np.nonzero(x > 0), (uniform(3, 4),), smooth=False),
    Call("numpy.nonzero", lambda np, x: x[np.nonzero(x > 0)] ** 2, (uniform(3, 4),), jax=False),
    Call("numpy.flatnonzero", lambda np, x: np.flatnonzero(x - 2), (TIES,), smooth=False),
    Call("numpy.argwhere", lambda np, x: np.argwhere(x > 1), (TIES,), smooth=False),
    Call("numpy.argwhere", lambda np, x: np.argwhere(x > 1), (numpy.array(2.0),), smooth=False),
    Call("numpy.where", lambda np, x: np.where(x > 1), (TIES,), smooth=False),
    Call("a mask", lambda np, x: x[x > 0] ** 2, (uniform(3, 4),), jax=False),
    Call("a mask", lambda np, x: x[:, x[0] > 0] ** 2, (uniform(3, 4),), jax=False),
    Call("a mask", lambda np, x: x[x[:, 1] > 0, 1:] * x[x[:, 1] > 0, :1], (uniform(4, 3),), jax=False),
    Call("numpy.take", lambda np, x: np.take(x, x > 0), (uniform(5),), jax=False),
    Call("numpy.unique", lambda np, x: np.unique(x) ** 2, (distinct(2, 3),), jax=False),
    Call(
        "numpy.unique",
        lambda np, x: np.unique(x, return_index=True, return_inverse=True, return_counts=True),
        (TIES,),
        smooth=False,
    ),
    Call("numpy.unique", lambda np, x: np.unique(x, return_counts=True), (NAN,), smooth=False),
    Call("numpy.unique", lambda np, x: np.unique(x, return_counts=True, equal_nan=False), (NAN,), smooth=False),
    Call(
        "numpy.unique",
        lambda np, x: np.unique(x, True, True, True, axis=0),
        (PAIRS,),
        smooth=False,
    ),
    Call("numpy.unique", lambda np, x: np.unique(x, axis=-1), (TIES[:, :4],), smooth=False),
    Call("numpy.unique", lambda np, x: np.unique(x, axis=0) ** 2, (distinct(3, 2),), jax=False),
    Call("numpy.unique", lambda np, k: np.unique(k, return_inverse=True), (INTEGERS,), smooth=False),
    Call("numpy.unique", lambda np, k: np.unique(k > 1), (INTEGERS,), smooth=False),
    Call("numpy.unique_values", lambda np, x: np.sort(np.unique_values(x)), (TIES,), smooth=False),
    Call("numpy.unique_counts", lambda np, x: np.unique_counts(x), (TIES,), smooth=False),
    Call("numpy.unique_inverse", lambda np, x: np.unique_inverse(x), (TIES,), smooth=False),
    Call("numpy.unique_all", lambda np, x: np.unique_all(x), (TIES,), smooth=False),
    Call("numpy.isin", lambda np, x: np.isin(x, [1.0, 3.0, numpy.nan]), (TIES,), smooth=False),
    Call("numpy.isin", lambda np, x: np.isin(TIES, x, invert=True), (TIES[1, :3],), smooth=False),
    Call("numpy.isin", lambda np, k: np.isin(k, numpy.arange(40) * 3), (INTEGERS,), smooth=False),
    Call("numpy.isin", lambda np, k: np.isin(k, []), (INTEGERS,), smooth=False),
    Call("numpy.union1d", lambda np, x, y: np.union1d(x, y) ** 2, (distinct(3), distinct(4) + 0.05), jax=False),
    Call("numpy.intersect1d", lambda np, x, y: np.intersect1d(x, y), (TIES, TIES[1]), smooth=False),
    Call(
        "numpy.intersect1d",
        lambda np, x, y: np.intersect1d(x, y, return_indices=True),
        (INTEGERS, INTEGERS[2:] + 2),
        smooth=False,
    ),
    Call("numpy.setdiff1d", lambda np, x: np.setdiff1d(x, [1.0, 7.0]), (TIES,), smooth=False),
    Call("numpy.setdiff1d", lambda np, x: np.setdiff1d(x, x[:2], assume_unique=True), (distinct(5),), smooth=False),
    Call("numpy.setxor1d", lambda np, x, y: np.setxor1d(x, y), (TIES, numpy.array([0.0, 4.0, 0.0])), smooth=False),
)
