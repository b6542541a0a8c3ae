"""`numpy.linalg`: inverses, solutions and determinants."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.functions.common import NO_VALUE, constant, lengths, normalize_axes, reshaped, transposed
from tapegrad.record.functions.matrices import (
    floating,
    floats,
    identity,
    matrices,
    mirrored,
    misfit,
    product,
    require_matrices,
    result_form,
)
from tapegrad.record.functions.products import dot
from tapegrad.record.pins import pin
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- inverses


def inv(a: Any) -> Variable:
    """`numpy.linalg.inv`."""
    v = matrices(a, "linalg.inv", square=True)
    return v._recorder.apply("inv", (), v)


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = NO_VALUE) -> Variable:
    """`numpy.linalg.pinv`; the derivative is that among matrices of the same rank."""
    v = matrices(a, "linalg.pinv")
    if rcond is not None and rtol is not NO_VALUE:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if rcond is None:
        rcond = 1e-15 if rtol is NO_VALUE else _default_rcond(v) if rtol is None else rtol
    if isinstance(rcond, Variable) or np.ndim(rcond):
        raise unsupported("linalg.pinv", "a cutoff that is no plain number", "one number for all", v._recorder)
    if hermitian:
        v = mirrored(require_matrices(v, "linalg.pinv", square=True))
    return v._recorder.apply("pinv", (float(rcond), "rcond"), v)


def _default_rcond(v: Variable) -> float:
    return float(max(v.shape[-2:]) * np.finfo(v._recorder.dtype).eps)


def matrix_power(a: Any, n: Any) -> Variable:
    """`numpy.linalg.matrix_power`: squares and products; of the inverse if n is negative."""
    v = matrices(a, "linalg.matrix_power", square=True)
    power = operator.index(n)
    if power == 0:
        return identity(v._recorder, v.shape)
    if power < 0:
        v = v._recorder.apply("inv", (), v)
    result, square, power = None, v, abs(power)
    while True:
        if power % 2:
            result = square if result is None else product(result, square)
        power //= 2
        if not power:
            assert result is not None
            return result
        square = product(square, square)


# --- solutions


def solve(a: Any, b: Any) -> Variable:
    """`numpy.linalg.solve`: b is a vector if it has one axis, else matrices."""
    _, (v, right) = floats(a, b)
    require_matrices(v, "linalg.solve", square=True)
    n = v.shape[-1]
    if right.ndim == 0 or right.shape[-2 if right.ndim > 1 else -1] != n:
        wanted = f"a right-hand side of {n} rows"
        raise misfit(v, "linalg.solve", f"shapes {v.shape} and {right.shape}", wanted)
    if right.ndim > 1:
        return solution(v, right)
    columns = solution(v, reshaped(right, (n, 1)))
    return reshaped(columns, columns.shape[:-1])


def solution(a: Variable, b: Variable) -> Variable:
    """a^-1 b of matrices: one matrix is factored once, also for all that its derivatives solve with it."""
    recorder = a._recorder
    if a.ndim > 2:
        return recorder.apply("solve", (0,), a, b)
    lu = recorder.apply("lu", (), a)
    if b.ndim == 2:
        return recorder.apply("lu_solve", (0,), a, lu, b)
    *batch, n, k = b.shape  # all right-hand sides at once
    count = len(batch)
    wide = reshaped(transposed(b, (count, *range(count), count + 1)), (n, math.prod(batch) * k))
    found = reshaped(recorder.apply("lu_solve", (0,), a, lu, wide), (n, *batch, k))
    return transposed(found, (*range(1, count + 1), 0, count + 1))


def tensorinv(a: Any, ind: Any = 2) -> Variable:
    """`numpy.linalg.tensorinv`."""
    v = floating(a)
    count = operator.index(ind)
    if count <= 0:
        raise ValueError("Invalid ind argument.")
    rows, columns = v.shape[:count], v.shape[count:]
    if math.prod(rows) != math.prod(columns):
        found = f"shape {v.shape}, ind={count}"
        raise misfit(v, "linalg.tensorinv", found, "as many elements along the first axes as along the others")
    matrix = reshaped(v, (math.prod(rows), math.prod(columns)))
    return reshaped(v._recorder.apply("inv", (), matrix), columns + rows)


def tensorsolve(a: Any, b: Any, axes: Any = None) -> Variable:
    """`numpy.linalg.tensorsolve`."""
    _, (v, right) = floats(a, b)
    if axes is not None:
        last = normalize_axes(lengths(axes), v.ndim, "linalg.tensorsolve", v._recorder)
        v = transposed(v, (*(k for k in range(v.ndim) if k not in last), *last))
    shape = v.shape[right.ndim :]
    size = math.prod(shape)
    if v.size != size * size or right.size != size:
        found = f"shapes {v.shape} and {right.shape}"
        raise misfit(v, "linalg.tensorsolve", found, "a that is square, with the axes of b as those of its rows")
    return reshaped(solution(reshaped(v, (size, size)), reshaped(right, (size, 1))), shape)


def lstsq(a: Any, b: Any, rcond: Any = None) -> tuple[Variable, Variable, int, Variable]:
    """`numpy.linalg.lstsq`: solution, sums of squared residuals, rank and singular values.

    The solution is that of least norm, by the pseudo-inverse. What the rank is decides the shape of the residuals,
    so it is guarded: another rank is recorded anew.
    """
    recorder, (v, right) = floats(a, b)
    if v.ndim != 2 or right.ndim not in (1, 2) or right.shape[0] != v.shape[0]:
        found = f"shapes {v.shape} and {right.shape}"
        raise misfit(v, "linalg.lstsq", found, "a matrix, and a vector or matrix of as many rows")
    m, n = v.shape
    cutoff = _default_rcond(v) if rcond is None else float(rcond)
    singular = recorder.apply("svdvals", (), v)
    rank = count_above(recorder, singular, cutoff)
    x = dot(recorder.apply("pinv", (cutoff, "rcond"), v), right)
    if rank != n or m <= n:
        return x, constant(recorder, 0.0, (0,), FLOAT), rank, singular
    residuals = recorder.elementwise("square", recorder.elementwise("subtract", right, dot(v, x)))
    total = recorder.apply("sum", (0,), residuals)
    return x, reshaped(total, total.shape or (1,)), rank, singular


def count_above(recorder: Recorder, singular: Variable, cutoff: float) -> int:
    """How many singular values are above a part of the largest: the rank, as a number that is guarded."""
    if not singular.size:
        return 0
    least = recorder.elementwise("multiply", recorder.apply("max", (0,), singular), cutoff)
    above = recorder.cast(recorder.elementwise("greater", singular, least), INT)
    return int(pin(recorder, recorder.apply("sum", (0,), above)))


# --- determinants


def det(a: Any) -> Variable:
    """`numpy.linalg.det`; its derivative is right for singular matrices, too."""
    v = matrices(a, "linalg.det", square=True)
    return v._recorder.apply("det", (), v)


def slogdet(a: Any) -> Any:
    """`numpy.linalg.slogdet`: sign and logarithm. Of singular matrices there is no derivative."""
    v = matrices(a, "linalg.slogdet", square=True)
    both = v._recorder.apply("slogdet", (), v)
    *batch, _ = both.shape
    whole = tuple((0, 1, n) for n in batch)
    parts = [v._recorder.apply("slice", (*whole, (k, 1, 1)), both) for k in range(2)]
    return result_form(np.linalg.slogdet)(*(reshaped(p, tuple(batch)) for p in parts))


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.linalg.inv: inv,
        np.linalg.pinv: pinv,
        np.linalg.matrix_power: matrix_power,
        np.linalg.solve: solve,
        np.linalg.tensorinv: tensorinv,
        np.linalg.tensorsolve: tensorsolve,
        np.linalg.lstsq: lstsq,
        np.linalg.det: det,
        np.linalg.slogdet: slogdet,
    }
)
