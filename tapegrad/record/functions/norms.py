"""`numpy.linalg`: norms, condition and rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.functions.common import constant, normalize_axes, operand, reshaped, transposed
from tapegrad.record.functions.elementwise import power
from tapegrad.record.functions.matrices import floating, matrices, mirrored, misfit, require_matrices
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- norms: of a zero vector the derivative is 0, which is one of its subgradients


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Variable:  # noqa: A002 - NumPy's name
    """`numpy.linalg.norm`, all orders; where it is 0 its derivative is 0."""
    v = floating(x)
    if axis is None:
        axes = tuple(range(v.ndim))
        if ord is None:
            result = _root_of_squares(v, axes)
            return reshaped(result, (1,) * v.ndim) if keepdims else result
    else:
        axes = normalize_axes(axis, v.ndim, "linalg.norm", v._recorder)
    if len(axes) == 1:
        result = _vector_norm(v, ord, axes[0])
    elif len(axes) == 2:
        result = _matrix_norm(v, ord, axes)
    else:
        raise misfit(v, "linalg.norm", f"shape {v.shape}, axis={axis}", "one axis or two, or neither axis nor ord")
    return reshaped(result, tuple(1 if k in axes else n for k, n in enumerate(v.shape))) if keepdims else result


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Variable:  # noqa: A002
    """`numpy.linalg.vector_norm`: over any number of axes, as if they were one."""
    v = floating(x)
    axes = normalize_axes(axis, v.ndim, "linalg.vector_norm", v._recorder)
    others = tuple(k for k in range(v.ndim) if k not in axes)
    kept = tuple(v.shape[k] for k in others)
    flat = reshaped(transposed(v, axes + others), (math.prod(v.shape[k] for k in axes), *kept))
    result = _vector_norm(flat, ord, 0)
    return reshaped(result, tuple(1 if k in axes else n for k, n in enumerate(v.shape))) if keepdims else result


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Variable:  # noqa: A002
    """`numpy.linalg.matrix_norm`."""
    return norm(require_matrices(floating(x), "linalg.matrix_norm"), ord, (-2, -1), keepdims)


def _root_of_squares(v: Variable, axes: tuple[int, ...]) -> Variable:
    r = v._recorder
    squares = r.elementwise("square", v)
    return _root(r, r.apply("sum", axes, squares) if axes else squares)


def _root(r: Recorder, total: Variable) -> Variable:
    """The square root, whose derivative is 0 at 0; what a choice leaves out contributes exactly 0."""
    return r.elementwise("where", r.elementwise("equal", total, 0.0), 0.0, r.elementwise("sqrt", total))


def _extreme(v: Variable, largest: bool, axis: int) -> Variable:
    """Largest or smallest element along an axis; the largest of none is 0."""
    if v.shape[axis]:
        return v._recorder.apply("max" if largest else "min", (axis,), v)
    if not largest:
        raise misfit(v, "linalg.norm", f"shape {v.shape}", "one element or more: an empty array has no smallest")
    return constant(v._recorder, 0.0, (*v.shape[:axis], *v.shape[axis + 1 :]), FLOAT)


def _vector_norm(v: Variable, order: Any, axis: int) -> Variable:
    r = v._recorder
    if isinstance(order, (str, Variable)):
        raise unsupported("linalg.norm", f"ord={order!r} for vectors", "a number, or None", r)
    if order is None or order == 2:
        return _root_of_squares(v, (axis,))
    if order == 0:
        return r.apply("sum", (axis,), r.cast(r.elementwise("not_equal", v, 0.0), FLOAT))
    sizes = r.elementwise("absolute", v)
    if order == 1:
        return r.apply("sum", (axis,), sizes)
    if math.isinf(order):
        return _extreme(sizes, order > 0, axis)
    total = r.apply("sum", (axis,), power(sizes, float(order)))
    root = power(total, 1 / order)
    return r.elementwise("where", r.elementwise("equal", total, 0.0), 0.0, root) if order > 0 else root


def _matrix_norm(v: Variable, order: Any, axes: tuple[int, ...]) -> Variable:
    r = v._recorder
    if order is None or order in ("fro", "f"):
        return _root_of_squares(v, axes)
    last = transposed(v, (*(k for k in range(v.ndim) if k not in axes), *axes))
    end = v.ndim - 2
    if order in (2, -2, "nuc"):
        values = r.apply("svdvals", (), last)
        return r.apply("sum", (end,), values) if order == "nuc" else _extreme(values, order == 2, end)
    if order in (1, -1, np.inf, -np.inf):
        summed = end if abs(order) == 1 else end + 1
        return _extreme(r.apply("sum", (summed,), r.elementwise("absolute", last)), order > 0, end)
    raise unsupported("linalg.norm", f"ord={order!r} for matrices", "None, 'fro', 'nuc', 1, 2, inf or minus these", r)


# --- condition and rank


def cond(x: Any, p: Any = None) -> Variable:
    """`numpy.linalg.cond`; of a singular matrix infinite for p=2, an error for norms that need its inverse."""
    v = matrices(x, "linalg.cond", square=p not in (None, 2, -2))
    r = v._recorder
    if not v.size:
        raise misfit(v, "linalg.cond", f"shape {v.shape}", "matrices with elements")
    if p in (None, 2, -2):
        values = r.apply("svdvals", (), v)
        ends = [reshaped(_end(values, k), v.shape[:-2]) for k in (0, values.shape[-1] - 1)]
        ratio = r.elementwise("divide", *(ends[::-1] if p == -2 else ends))
    else:
        inverse = r.apply("inv", (), v)
        ratio = r.elementwise("multiply", norm(v, p, (-2, -1)), norm(inverse, p, (-2, -1)))
    return _infinite_unless_nan(v, ratio)


def _end(values: Variable, k: int) -> Variable:
    windows = (*((0, 1, n) for n in values.shape[:-1]), (k, 1, 1))
    return values._recorder.apply("slice", windows, values)


def _infinite_unless_nan(v: Variable, ratio: Variable) -> Variable:
    """As NumPy: 0 / 0 is infinite, unless the matrix itself has a nan."""
    r = v._recorder
    held = r.apply("max", (v.ndim - 2, v.ndim - 1), r.cast(r.elementwise("isnan", v), INT))
    lost = r.elementwise("logical_and", r.elementwise("isnan", ratio), r.elementwise("equal", held, 0))
    return r.elementwise("where", lost, math.inf, ratio)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Variable:  # noqa: N803
    """`numpy.linalg.matrix_rank`: an integer, without a derivative."""
    if tol is not None and rtol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    v = operand(A)
    r = v._recorder
    v = r.cast(v, FLOAT)
    if v.ndim < 2:
        full = r.cast(r.elementwise("not_equal", v, 0.0), INT)
        return r.apply("max", tuple(range(v.ndim)), full) if v.ndim else full
    if hermitian:
        v = mirrored(require_matrices(v, "linalg.matrix_rank", square=True))
    if not v.size:
        return constant(r, 0, v.shape[:-2], INT)
    values = r.apply("svdvals", (), v)
    if tol is None:
        part = max(v.shape[-2:]) * np.finfo(r.dtype).eps if rtol is None else rtol
        least = r.elementwise("multiply", _end(values, 0), _column(r, part))
    else:
        least = _column(r, tol)
    return r.apply("sum", (v.ndim - 2,), r.cast(r.elementwise("greater", values, least), INT))


def _column(r: Recorder, value: Any) -> Variable:
    """Numbers, one for each matrix, to be compared with its singular values."""
    v = r.cast(r.lift(value, FLOAT), FLOAT)
    return reshaped(v, (*v.shape, 1))


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.linalg.norm: norm,
        np.linalg.vector_norm: vector_norm,
        np.linalg.matrix_norm: matrix_norm,
        np.linalg.cond: cond,
        np.linalg.matrix_rank: matrix_rank,
    }
)
