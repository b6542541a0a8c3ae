"""NumPy's functions that reduce over axes, and `scipy.special.logsumexp`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.common import (
    NO_VALUE,
    absent,
    constant,
    given,
    normalize_axes,
    operand,
    refuse,
    reshaped,
    stretch,
    transposed,
)
from tapegrad.record.variable import Variable

# Some of these hide Python's own, which this module does without, and bear NumPy's names instead.


def sum(  # noqa: A001
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Variable:
    """`numpy.sum`; the sum of booleans is their number."""
    v = _counted(operand(a))
    _refuse("sum", v, dtype=dtype, out=out, initial=initial, where=where)
    return _reduced("sum", v, _axes("sum", v, axis), given(keepdims))


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Variable:
    """`numpy.mean`; floating also for integers."""
    v = operand(a)
    v = v._recorder.cast(v, FLOAT)
    _refuse("mean", v, dtype=dtype, out=out, where=where)
    axes = tuple(sorted(normalize_axes(axis, v.ndim, "mean", v._recorder)))
    total = _reduced("sum", v, axes, given(keepdims))
    count = math.prod(v.shape[k] for k in axes)
    return total if count == 1 else v._recorder.elementwise("divide", total, float(count))


def max(  # noqa: A001
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE, where: Any = NO_VALUE
) -> Variable:
    """`numpy.max`; ties share the derivative equally."""
    return _extreme("max", a, axis, out, keepdims, initial, where)


def min(  # noqa: A001
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE, where: Any = NO_VALUE
) -> Variable:
    """`numpy.min`; ties share the derivative equally."""
    return _extreme("min", a, axis, out, keepdims, initial, where)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Variable:
    """`numpy.prod`, as a tree of products, so that the derivative is right where factors are 0."""
    v = _counted(operand(a))
    _refuse("prod", v, dtype=dtype, out=out, initial=initial, where=where)
    axes = _axes("prod", v, axis)
    kept = tuple(k for k in range(v.ndim) if k not in axes)
    shape = tuple(v.shape[k] for k in kept)
    if len(axes) == 1:
        product = _tree(v, axes[0])
    else:
        product = _tree(reshaped(transposed(v, kept + axes), (*shape, math.prod(v.shape[k] for k in axes))), len(shape))
    return reshaped(product, _kept(v, axes) if given(keepdims) else shape)


def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Variable:  # noqa: A001
    """`numpy.any`."""
    return _truth("any", "max", a, axis, out, keepdims, where)


def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Variable:  # noqa: A001
    """`numpy.all`."""
    return _truth("all", "min", a, axis, out, keepdims, where)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: bool = False) -> Variable:
    """`scipy.special.logsumexp` without weights: no overflow, and right where all or some entries are infinite.

    Where all entries are -inf, so is the result, and its derivative is 0.
    """
    v = operand(a)
    r = v._recorder
    refuse("logsumexp", r, b=b, return_sign=return_sign or None)
    v = r.cast(v, FLOAT)
    axes = _axes("logsumexp", v, axis)
    if 0 in (v.shape[k] for k in axes):
        return constant(r, -math.inf, _kept(v, axes) if given(keepdims) else _dropped(v, axes), FLOAT)
    largest = r.apply("stop_gradient", (), _reduced("max", v, axes, False))
    shift = r.elementwise("where", r.elementwise("isfinite", largest), largest, 0.0)
    terms = r.elementwise("exp", r.elementwise("subtract", v, reshaped(shift, _kept(v, axes))))
    # Where all terms are 0, log(0 + 1) and a shift of -inf; a `where` would make the whole derivative masked.
    none = r.cast(r.elementwise("equal", largest, -math.inf), FLOAT)
    total = r.elementwise("add", _reduced("sum", terms, axes, False), none)
    result = r.elementwise("add", r.elementwise("log", total), r.elementwise("minimum", shift, largest))
    return reshaped(result, _kept(v, axes)) if given(keepdims) else result


# --- what they share


def _axes(operation: str, v: Variable, axis: Any) -> tuple[int, ...]:
    """The axes in order. As in NumPy an array without axes may be reduced over its 'first'."""
    if v.ndim == 0 and not isinstance(axis, tuple) and axis in (0, -1):
        return ()
    return tuple(sorted(normalize_axes(axis, v.ndim, operation, v._recorder)))


def _kept(v: Variable, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 if k in axes else n for k, n in enumerate(v.shape))


def _dropped(v: Variable, axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for k, n in enumerate(v.shape) if k not in axes)


def _reduced(op: str, v: Variable, axes: tuple[int, ...], keepdims: bool) -> Variable:
    result = v._recorder.apply(op, axes, v) if axes else v
    return reshaped(result, _kept(v, axes)) if keepdims else result


def _refuse(operation: str, v: Variable, *, dtype: Any = None, where: Any = None, **options: Any) -> None:
    """Refuse options that would change the result: not the dtype it has anyway, nor `where=True`."""
    other_dtype = None if absent(dtype) or np.dtype(dtype) == v.dtype else dtype
    refuse(operation, v._recorder, dtype=other_dtype, where=None if where is True else where, **options)


def _counted(v: Variable) -> Variable:
    """Booleans are added and multiplied as integers."""
    return v._recorder.cast(v, INT) if v._kind == BOOL else v


def _extreme(op: str, a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any) -> Variable:
    v = operand(a)
    r = v._recorder
    _refuse(op, v, out=out, initial=initial, where=where)
    axes = _axes(op, v, axis)
    if 0 in (v.shape[k] for k in axes):
        wanted = "one element or more along each axis that is reduced: an empty one has no extreme"
        raise ShapeError(describe(op, found=f"shape {v.shape}", wanted=wanted, line=r.line()))
    return r.cast(_reduced(op, _counted(v), axes, given(keepdims)), v._kind) if axes else v


def _truth(operation: str, op: str, a: Any, axis: Any, out: Any, keepdims: Any, where: Any) -> Variable:
    v = operand(a)
    r = v._recorder
    _refuse(operation, v, out=out, where=where)
    axes = _axes(operation, v, axis)
    if 0 in (v.shape[k] for k in axes):
        return constant(r, operation == "all", _kept(v, axes) if given(keepdims) else _dropped(v, axes), BOOL)
    truth = r.cast(v, BOOL)
    return r.cast(_reduced(op, r.cast(truth, INT), axes, given(keepdims)), BOOL) if axes else truth


def _tree(v: Variable, axis: int) -> Variable:
    """The product along an axis, which is left with length 1: halves are multiplied, odd ones come last."""
    r, n, odd = v._recorder, v.shape[axis], []
    if n == 0:
        return constant(r, 1, _kept(v, (axis,)), v._kind)
    while n > 1:
        half = n // 2
        if n % 2:
            odd.append(stretch(v, axis, n - 1, 1))
        v = r.elementwise("multiply", stretch(v, axis, 0, half), stretch(v, axis, half, half))
        n = half
    for factor in odd:
        v = r.elementwise("multiply", v, factor)
    return v


def _sum_reduce(
    array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
) -> Variable:
    return sum(array, axis, dtype, None, keepdims, initial, where)


def _prod_reduce(
    array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
) -> Variable:
    return prod(array, axis, dtype, None, keepdims, initial, where)


def _max_reduce(
    array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
) -> Variable:
    v = operand(array)
    _refuse("maximum.reduce", v, dtype=dtype)
    return max(v, axis, None, keepdims, initial, where)


def _min_reduce(
    array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
) -> Variable:
    v = operand(array)
    _refuse("minimum.reduce", v, dtype=dtype)
    return min(v, axis, None, keepdims, initial, where)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.sum: sum,
        np.mean: mean,
        np.max: max,
        np.amax: max,
        np.min: min,
        np.amin: min,
        np.prod: prod,
        np.any: any,
        np.all: all,
        (np.add, "reduce"): _sum_reduce,
        (np.multiply, "reduce"): _prod_reduce,
        (np.maximum, "reduce"): _max_reduce,
        (np.minimum, "reduce"): _min_reduce,
        "logsumexp": logsumexp,
    }
)
