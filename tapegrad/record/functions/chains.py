"""`numpy.linalg`: products, and what it has in common with the main namespace; the products that are gufuncs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, INT
from tapegrad.record.functions.common import (
    absent,
    join,
    normalize_axis,
    operand,
    promote,
    recorder_of,
    refuse,
    reshaped,
    stretch,
)
from tapegrad.record.functions.matrices import diagonals, floats, misfit, require_matrices
from tapegrad.record.functions.products import dot, matmul, outer, tensordot
from tapegrad.record.functions.shaping import matrix_transpose, moveaxis
from tapegrad.record.variable import Variable


def _matmul(x1: Any, x2: Any, /) -> Variable:
    """`numpy.linalg.matmul`."""
    return matmul(x1, x2)


def _tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Variable:
    """`numpy.linalg.tensordot`."""
    return tensordot(x1, x2, axes)


def vecdot(x1: Any, x2: Any, /, out: Any = None, *, axis: Any = -1, **options: Any) -> Variable:
    """`numpy.vecdot` and `numpy.linalg.vecdot`: sums of products along an axis, all others broadcast."""
    recorder, vectors = floats(x1, x2)
    refuse("vecdot", recorder, out=out, **options)
    places = [normalize_axis(axis, v.ndim, "vecdot", recorder) for v in vectors]
    a, b = (moveaxis(v, k, -1) for v, k in zip(vectors, places, strict=True))
    if a.shape[-1] != b.shape[-1]:
        raise misfit(a, "vecdot", f"shapes {vectors[0].shape} and {vectors[1].shape}", "axes of one length")
    product = recorder.elementwise("multiply", a, b)
    return recorder.apply("sum", (product.ndim - 1,), product)


def matvec(x1: Any, x2: Any, /, out: Any = None, **options: Any) -> Variable:
    """`numpy.matvec`: (..., m, n) times (..., n)."""
    recorder, (a, b) = floats(x1, x2)
    refuse("matvec", recorder, out=out, **options)
    if a.ndim < 2 or not b.ndim:
        raise misfit(a, "matvec", f"shapes {a.shape} and {b.shape}", "matrices and vectors")
    product = matmul(a, reshaped(b, (*b.shape, 1)))
    return reshaped(product, product.shape[:-1])


def vecmat(x1: Any, x2: Any, /, out: Any = None, **options: Any) -> Variable:
    """`numpy.vecmat`: (..., m) times (..., m, n)."""
    recorder, (a, b) = floats(x1, x2)
    refuse("vecmat", recorder, out=out, **options)
    if b.ndim < 2 or not a.ndim:
        raise misfit(a, "vecmat", f"shapes {a.shape} and {b.shape}", "vectors and matrices")
    product = matmul(reshaped(a, (*a.shape[:-1], 1, a.shape[-1])), b)
    return reshaped(product, (*product.shape[:-2], product.shape[-1]))


def _outer(x1: Any, x2: Any, /) -> Variable:
    """`numpy.linalg.outer`: of vectors alone."""
    _, (a, b) = floats(x1, x2)
    if a.ndim != 1 or b.ndim != 1:
        raise misfit(a, "linalg.outer", f"shapes {a.shape} and {b.shape}", "two vectors")
    return outer(a, b)


def cross(x1: Any, x2: Any, /, *, axis: Any = -1) -> Variable:
    """`numpy.linalg.cross`: of vectors of three elements along an axis."""
    recorder = recorder_of(x1, x2)
    vectors = promote(recorder, (x1, x2))
    places = [normalize_axis(axis, v.ndim, "linalg.cross", recorder) for v in vectors]
    a, b = (moveaxis(v, k, -1) for v, k in zip(vectors, places, strict=True))
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        found = f"shapes {vectors[0].shape} and {vectors[1].shape}"
        raise misfit(a, "linalg.cross", found, "three elements along the axis")

    def product(i: int, j: int) -> Variable:
        return recorder.elementwise("multiply", stretch(a, a.ndim - 1, i, 1), stretch(b, b.ndim - 1, j, 1))

    parts = [
        recorder.elementwise("subtract", product((k + 1) % 3, (k + 2) % 3), product((k + 2) % 3, (k + 1) % 3))
        for k in range(3)
    ]
    return moveaxis(join(recorder, parts, parts[0].ndim - 1), -1, axis)


def diagonal(x: Any, /, *, offset: Any = 0) -> Variable:
    """`numpy.linalg.diagonal`: of the last two axes."""
    return diagonals(require_matrices(operand(x), "linalg.diagonal"), operator.index(offset))


def trace(x: Any, /, *, offset: Any = 0, dtype: Any = None) -> Variable:
    """`numpy.linalg.trace`: of the last two axes."""
    v = diagonals(require_matrices(operand(x), "linalg.trace"), operator.index(offset))
    recorder = v._recorder
    v = recorder.cast(v, INT) if v._kind == BOOL else v
    refuse("linalg.trace", recorder, dtype=None if absent(dtype) or np.dtype(dtype) == v.dtype else dtype)
    return recorder.apply("sum", (v.ndim - 1,), v)


def multi_dot(arrays: Any, *, out: Any = None) -> Variable:
    """`numpy.linalg.multi_dot`: in the order of fewest multiplications."""
    recorder, matrices = floats(*arrays)
    refuse("linalg.multi_dot", recorder, out=out)
    if len(matrices) < 2:
        raise ValueError("Expecting at least two arrays.")
    if len(matrices) == 2:
        return dot(*matrices)
    first, last = matrices[0], matrices[-1]
    inner = matrices[1:-1]
    if any(v.ndim != 2 for v in inner) or first.ndim not in (1, 2) or last.ndim not in (1, 2):
        found = f"shapes {', '.join(str(v.shape) for v in matrices)}"
        raise misfit(first, "linalg.multi_dot", found, "matrices; the first and the last may be vectors")
    matrices[0] = reshaped(first, (1, first.size)) if first.ndim == 1 else first
    matrices[-1] = reshaped(last, (last.size, 1)) if last.ndim == 1 else last
    for a, b in pairwise(matrices):
        if a.shape[1] != b.shape[0]:
            raise misfit(first, "linalg.multi_dot", f"shapes {a.shape} and {b.shape}", "(m, k) and (k, n)")
    splits = _best_splits([matrices[0].shape[0], *(v.shape[1] for v in matrices)])
    result = _chain(matrices, splits, 0, len(matrices) - 1)
    return reshaped(result, (*first.shape[:-1], *last.shape[1:]))


def _best_splits(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """After which matrix to split the product of matrices i to j (Cormen et al., Introduction to Algorithms, 15.2)."""
    n = len(sizes) - 1
    cost = {(i, i): 0 for i in range(n)}
    splits = {}
    for width in range(1, n):
        for i in range(n - width):
            j = i + width
            ways = [cost[i, k] + cost[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1] for k in range(i, j)]
            cost[i, j] = min(ways)
            splits[i, j] = i + ways.index(cost[i, j])
    return splits


def _chain(matrices: Sequence[Variable], splits: Mapping[tuple[int, int], int], i: int, j: int) -> Variable:
    if i == j:
        return matrices[i]
    k = splits[i, j]
    return dot(_chain(matrices, splits, i, k), _chain(matrices, splits, k + 1, j))


def _gufuncs() -> dict[Any, Callable[..., Any]]:
    """Those that NumPy has: the last two are from 2.2 on."""
    found = {"vecdot": vecdot, "matvec": matvec, "vecmat": vecmat}
    return {getattr(np, name): function for name, function in found.items() if hasattr(np, name)}


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        **_gufuncs(),
        np.linalg.matmul: _matmul,
        np.linalg.tensordot: _tensordot,
        np.linalg.vecdot: vecdot,
        np.linalg.outer: _outer,
        np.linalg.cross: cross,
        np.linalg.diagonal: diagonal,
        np.linalg.trace: trace,
        np.linalg.matrix_transpose: matrix_transpose,
        np.linalg.multi_dot: multi_dot,
    }
)
