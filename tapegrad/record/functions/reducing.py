"""NumPy's functions that reduce over axes, and the logarithm of a sum of exponentials."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.common import (
    NO_VALUE,
    absent,
    constant,
    given,
    lift,
    misfit,
    normalize_axes,
    operand,
    recorder_of,
    refuse,
    reshaped,
    stretch,
    transposed,
)
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_LOWEST: Final = -(1 << 63)
_HIGHEST: Final = (1 << 63) - 1

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
    r = recorder_of(a, where, initial)
    refuse("sum", r, out=out)
    v = chosen("sum", typed("sum", counted(lift(r, a)), dtype), where, 0)
    return _started("add", reduced("sum", v, axes_of("sum", v, axis), given(keepdims)), initial)


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Variable:
    """`numpy.mean`; floating also for integers."""
    r = recorder_of(a, where)
    refuse("mean", r, out=out)
    v = floating("mean", lift(r, a), dtype)
    axes = axes_of("mean", v, axis)
    total = reduced("sum", chosen("mean", v, where, 0.0), axes, given(keepdims))
    count = count_of("mean", v, axes, where, given(keepdims))
    return total if isinstance(count, int) and count == 1 else r.elementwise("divide", total, count)


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
    r = recorder_of(a, where, initial)
    refuse("prod", r, out=out)
    v = r.again(chosen("prod", typed("prod", counted(lift(r, a)), dtype), where, 1))
    axes = axes_of("prod", v, axis)
    product = _tree(*merged(v, axes))
    return _started("multiply", reshaped(product, kept(v, axes) if given(keepdims) else dropped(v, axes)), initial)


def any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Variable:  # noqa: A001
    """`numpy.any`."""
    return _truth("any", "max", a, axis, out, keepdims, where)


def all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Variable:  # noqa: A001
    """`numpy.all`."""
    return _truth("all", "min", a, axis, out, keepdims, where)


def count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Variable:
    """`numpy.count_nonzero`."""
    v = operand(a)
    return sum(v._recorder.cast(v, BOOL), axis, keepdims=keepdims)


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE) -> Variable:
    """`numpy.ptp`: the largest less the smallest; ties share the derivative equally."""
    v = operand(a)
    return v._recorder.elementwise("subtract", max(v, axis, out, keepdims), min(v, axis, out, keepdims))


def logsumexp(a: Any, axis: Any = None, keepdims: Any = False) -> Variable:
    """`scipy.special.logsumexp` without weights: no overflow, and right where all or some entries are infinite.

    Where all entries are -inf, so is the result, and its derivative is 0.
    """
    v = operand(a)
    r = v._recorder
    v = r.cast(v, FLOAT)
    axes = axes_of("logsumexp", v, axis)
    if 0 in (v.shape[k] for k in axes):
        return constant(r, -math.inf, kept(v, axes) if given(keepdims) else dropped(v, axes), FLOAT)
    largest = r.apply("stop_gradient", (), reduced("max", v, axes, False))
    shift = r.elementwise("where", r.elementwise("isfinite", largest), largest, 0.0)
    terms = r.elementwise("exp", r.elementwise("subtract", v, reshaped(shift, kept(v, axes))))
    # Where all terms are 0, log(0 + 1) and a shift of -inf; a `where` would make the whole derivative masked.
    none = r.cast(r.elementwise("equal", largest, -math.inf), FLOAT)
    total = r.elementwise("add", reduced("sum", terms, axes, False), none)
    result = r.elementwise("add", r.elementwise("log", total), r.elementwise("minimum", shift, largest))
    return reshaped(result, kept(v, axes)) if given(keepdims) else result


# --- what they share


def axes_of(operation: str, v: Variable, axis: Any) -> tuple[int, ...]:
    """The axes in order. As in NumPy an array without axes may be reduced over its 'first'."""
    if v.ndim == 0 and not isinstance(axis, tuple) and axis in (0, -1):
        return ()
    return tuple(sorted(normalize_axes(axis, v.ndim, operation, v._recorder)))


def kept(v: Variable, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with axes of length 1 for those that are reduced."""
    return tuple(1 if k in axes else n for k, n in enumerate(v.shape))


def dropped(v: Variable, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without the axes that are reduced."""
    return tuple(n for k, n in enumerate(v.shape) if k not in axes)


def reduced(op: str, v: Variable, axes: tuple[int, ...], keepdims: bool) -> Variable:
    """The sum, max or min over axes; of none, a copy."""
    result = v._recorder.apply(op, axes, v) if axes else v._recorder.again(v)
    return reshaped(result, kept(v, axes)) if keepdims else result


def merged(v: Variable, axes: tuple[int, ...]) -> tuple[Variable, int]:
    """The axes that are reduced as one, and its place: the last, but where there is no more than one."""
    if len(axes) == 1:
        return v, axes[0]
    others = tuple(k for k in range(v.ndim) if k not in axes)
    shape = dropped(v, axes)
    return reshaped(transposed(v, others + axes), (*shape, math.prod(v.shape[k] for k in axes))), len(shape)


def counted(v: Variable) -> Variable:
    """Booleans are added and multiplied as integers."""
    return v._recorder.cast(v, INT) if v._kind == BOOL else v


def typed(operation: str, v: Variable, dtype: Any) -> Variable:
    """The operand as the dtype that is asked for: a dtype of the tape."""
    r = v._recorder
    wanted = v.dtype if absent(dtype) else np.dtype(dtype)
    if wanted not in (v.dtype, r.dtype, np.int64):
        raise unsupported(operation, f"dtype={wanted}", f"{r.dtype} or int64, the dtypes of the tape", r)
    return r.cast(v, v._kind if wanted == v.dtype else FLOAT if wanted.kind == "f" else INT)


def floating(operation: str, v: Variable, dtype: Any = None) -> Variable:
    """The operand as floats; `dtype` may ask for no others than the tape's."""
    r = v._recorder
    if not absent(dtype) and np.dtype(dtype) != r.dtype:
        raise unsupported(operation, f"dtype={np.dtype(dtype)}", f"{r.dtype}, the floating dtype of the tape", r)
    return r.cast(v, FLOAT)


def chosen(operation: str, v: Variable, where: Any, other: float) -> Variable:
    """The operand, and `other` where `where=` leaves elements out."""
    if absent(where) or where is True:
        return v
    r = v._recorder
    result = r.elementwise("where", r.cast(lift(r, where), BOOL), v, other)
    if result.shape != v.shape:
        raise misfit(r, operation, f"where= of shape {np.shape(where)}", f"one that broadcasts to {v.shape}")
    return result


def count_of(operation: str, v: Variable, axes: tuple[int, ...], where: Any, keepdims: bool) -> Any:
    """How many elements are reduced to one: an int, or where a mask leaves some out, floats."""
    if absent(where) or where is True:
        return math.prod(v.shape[k] for k in axes)
    ones = constant(v._recorder, 1.0, v.shape, FLOAT)
    return reduced("sum", chosen(operation, ones, where, 0.0), axes, keepdims)


def _started(op: str, v: Variable, initial: Any) -> Variable:
    """The result of a reduction that begins with `initial=`."""
    return v if absent(initial) else v._recorder.elementwise(op, v, initial)


def _extreme(op: str, a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any) -> Variable:
    r = recorder_of(a, where, initial)
    refuse(op, r, out=out)
    v = lift(r, a)
    axes = axes_of(op, v, axis)
    if absent(initial):
        if not absent(where) and where is not True:
            raise unsupported(op, "where= without initial=", "initial=, the result where nothing is chosen", r)
        if 0 in (v.shape[k] for k in axes):
            wanted = "one element or more along each axis that is reduced: an empty one has no extreme"
            raise misfit(r, op, f"shape {v.shape}", wanted)
    elif 0 in (v.shape[k] for k in axes):
        shape = kept(v, axes) if given(keepdims) else dropped(v, axes)
        return r.apply("broadcast_to", shape, r.cast(lift(r, initial), v._kind))
    ends = (-math.inf, math.inf) if v._kind == FLOAT else (_LOWEST, _HIGHEST)
    result = reduced(op, chosen(op, counted(v), where, ends[op == "min"]), axes, given(keepdims))
    return r.cast(_started({"max": "maximum", "min": "minimum"}[op], result, initial), v._kind)


def _truth(operation: str, op: str, a: Any, axis: Any, out: Any, keepdims: Any, where: Any) -> Variable:
    r = recorder_of(a, where)
    refuse(operation, r, out=out)
    v = lift(r, a)
    axes = axes_of(operation, v, axis)
    if 0 in (v.shape[k] for k in axes):
        return constant(r, operation == "all", kept(v, axes) if given(keepdims) else dropped(v, axes), BOOL)
    number = chosen(operation, r.cast(r.cast(v, BOOL), INT), where, int(operation == "all"))
    return r.cast(reduced(op, number, axes, given(keepdims)), BOOL)


def _tree(v: Variable, axis: int) -> Variable:
    """The product along an axis, which is left with length 1: halves are multiplied, odd ones come last."""
    r, n, odd = v._recorder, v.shape[axis], []
    if n == 0:
        return constant(r, 1, kept(v, (axis,)), v._kind)
    while n > 1:
        half = n // 2
        if n % 2:
            odd.append(stretch(v, axis, n - 1, 1))
        v = r.elementwise("multiply", stretch(v, axis, 0, half), stretch(v, axis, half, half))
        n = half
    for factor in odd:
        v = r.elementwise("multiply", v, factor)
    return v


# --- methods of ufuncs, which reduce over the first axis if none is named


def _ufunc_reduce(function: Callable[..., Variable], name: str = "") -> Callable[..., Variable]:
    """`ufunc.reduce` by the function that does the same; with a `name` for one that takes no dtype."""

    def reduce(
        array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
    ) -> Variable:
        options = {"keepdims": keepdims, "initial": initial, "where": where}
        if name:
            return function(typed(f"{name}.reduce", operand(array), dtype), axis, **options)
        return function(array, axis, dtype=dtype, **options)

    return reduce


def _truth_reduce(function: Callable[..., Variable], name: str) -> Callable[..., Variable]:
    """`ufunc.reduce` of a logical ufunc."""

    def reduce(
        array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False, initial: Any = NO_VALUE, where: Any = True
    ) -> Variable:
        v = operand(array)
        refuse(f"{name}.reduce", v._recorder, dtype=dtype, initial=initial)
        return function(v, axis, keepdims=keepdims, where=where)

    return reduce


def _logaddexp_reduce(v: Variable, axis: Any, *, keepdims: Any, initial: Any, where: Any) -> Variable:
    v = chosen("logaddexp.reduce", floating("logaddexp.reduce", v), where, -math.inf)
    return _started("logaddexp", logsumexp(v, axis, keepdims=keepdims), initial)


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
        np.count_nonzero: count_nonzero,
        np.ptp: ptp,
        (np.add, "reduce"): _ufunc_reduce(sum),
        (np.multiply, "reduce"): _ufunc_reduce(prod),
        (np.maximum, "reduce"): _ufunc_reduce(max, "maximum"),
        (np.minimum, "reduce"): _ufunc_reduce(min, "minimum"),
        (np.logaddexp, "reduce"): _ufunc_reduce(_logaddexp_reduce, "logaddexp"),
        (np.logical_and, "reduce"): _truth_reduce(all, "logical_and"),
        (np.logical_or, "reduce"): _truth_reduce(any, "logical_or"),
    }
)
