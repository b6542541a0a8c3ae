"""NumPy's functions that go along an axis and keep every result on the way, and `accumulate` of ufuncs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.functions.common import (
    constant,
    fresh,
    join,
    lift,
    misfit,
    normalize_axis,
    operand,
    recorder_of,
    refuse,
    reshaped,
    stretch,
)
from tapegrad.record.functions.indexing import take_along_axis
from tapegrad.record.functions.nans import without
from tapegrad.record.functions.reducing import counted, floating, typed
from tapegrad.record.pins import pin
from tapegrad.record.variable import Variable

_SHORT: Final = 32  # below, log2(n) passes over all take fewer instructions than passes over half of it


def _line(operation: str, a: Any, axis: Any, dtype: Any, out: Any) -> tuple[Variable, int]:
    """The operand as the dtype that is asked for, and the axis to go along; without one all elements as one axis."""
    v = typed(operation, counted(operand(a)), dtype)
    refuse(operation, v._recorder, out=out)
    if axis is None or v.ndim == 0:
        return reshaped(v, (v.size,)), 0 if axis is None else normalize_axis(axis, 1, operation, v._recorder)
    return v, normalize_axis(axis, v.ndim, operation, v._recorder)


def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
    """`numpy.cumsum`."""
    v, k = _line("cumsum", a, axis, dtype, out)
    return v._recorder.apply("cumsum", (k,), v)


def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
    """`numpy.cumprod`, as products of products, so that the derivative is right where factors are 0."""
    return _scan("multiply", *_line("cumprod", a, axis, dtype, out))


def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
    """`numpy.nancumsum`: nan counts as 0."""
    return cumsum(without(operand(a), 0.0), axis, dtype, out)


def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
    """`numpy.nancumprod`: nan counts as 1."""
    return cumprod(without(operand(a), 1.0), axis, dtype, out)


def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Variable:
    """`numpy.cumulative_sum`: `cumsum`, maybe with the 0 that it begins with."""
    return _begun("cumulative_sum", cumsum, x, axis, dtype, out, 0 if include_initial else None)


def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Variable:
    """`numpy.cumulative_prod`: `cumprod`, maybe with the 1 that it begins with."""
    return _begun("cumulative_prod", cumprod, x, axis, dtype, out, 1 if include_initial else None)


def _begun(
    operation: str, function: Callable[..., Variable], x: Any, axis: Any, dtype: Any, out: Any, first: int | None
) -> Variable:
    v = operand(x)
    r = v._recorder
    if axis is None and v.ndim > 1:
        raise misfit(r, operation, f"shape {v.shape} without an axis", "axis=, as there are several")
    result = function(v, 0 if axis is None else axis, dtype, out)
    if first is None:
        return result
    k = 0 if axis is None else normalize_axis(axis, result.ndim, operation, r)
    shape = tuple(1 if j == k else n for j, n in enumerate(result.shape))
    return join(r, [constant(r, first, shape, result._kind), result], k)


def _scan(op: str, v: Variable, k: int) -> Variable:
    """What an associative op gives of the elements so far along an axis; earlier ones are its first operand.

    Pairs are combined and scanned, which is every other result; each of those with the next element is the one
    between. So n elements take about 2n applications of the op.

    Source: Ladner and Fischer, Parallel prefix computation, Journal of the ACM 27(4), 1980, pp. 831-838.
    """
    r, n = v._recorder, v.shape[k]
    if n <= _SHORT:
        return _short_scan(op, v, k)
    if n % 2:
        even = _scan(op, stretch(v, k, 0, n - 1), k)
        return join(r, [even, r.elementwise(op, stretch(even, k, n - 2, 1), stretch(v, k, n - 1, 1))], k)
    first, second = _every_other(v, k, 0), _every_other(v, k, 1)
    seconds = _scan(op, r.elementwise(op, first, second), k)
    later = r.elementwise(op, stretch(seconds, k, 0, n // 2 - 1), stretch(first, k, 1, n // 2 - 1))
    firsts = join(r, [stretch(first, k, 0, 1), later], k)
    apart = (*v.shape[: k + 1], 1, *v.shape[k + 1 :])
    pair = (*apart[:k], n // 2, *apart[k + 1 :])
    return reshaped(join(r, [reshaped(firsts, pair), reshaped(seconds, pair)], k + 1), v.shape)


def _every_other(v: Variable, k: int, start: int) -> Variable:
    windows = tuple((start, 2, n // 2) if j == k else (0, 1, n) for j, n in enumerate(v.shape))
    return v._recorder.apply("slice", windows, v)


def _short_scan(op: str, v: Variable, k: int) -> Variable:
    """As `_scan`: after each pass, results are of twice as many elements.

    Source: Hillis and Steele, Data parallel algorithms, Communications of the ACM 29(12), 1986,
    pp. 1170-1183.
    """
    r, n, done = v._recorder, v.shape[k], 1
    while done < n:
        rest = r.elementwise(op, stretch(v, k, 0, n - done), stretch(v, k, done, n - done))
        v = join(r, [stretch(v, k, 0, done), rest], k)
        done *= 2
    return v


# --- ufuncs, which go along the first axis if none is named


def _accumulate(function: Callable[..., Variable]) -> Callable[..., Variable]:
    """`ufunc.accumulate` by the function that does the same."""

    def accumulate(array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Variable:
        v = operand(array)
        if v.ndim == 0:
            raise misfit(v._recorder, "accumulate", "an array without axes", "one axis or more")
        return function(v, axis, dtype, out)

    return accumulate


def _extremes(name: str, largest: int) -> Callable[..., Variable]:
    """`maximum.accumulate`, `minimum.accumulate`: the derivative goes to where each extreme was met first."""

    def accumulate(array: Any, axis: Any, dtype: Any, out: Any) -> Variable:
        refuse(f"{name}.accumulate", array._recorder, dtype=dtype, out=out)
        k = normalize_axis(axis, array.ndim, f"{name}.accumulate", array._recorder)
        return take_along_axis(array, array._recorder.apply("running_place", (k, largest), array), k)

    return accumulate


def _logaddexp(array: Any, axis: Any, dtype: Any, out: Any) -> Variable:
    v, k = _line("logaddexp.accumulate", floating("logaddexp.accumulate", array, dtype), axis, None, out)
    return _scan("logaddexp", v, k)


def _add_reduceat(array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Variable:
    """`add.reduceat`: sums from each index up to the next; of one element where that is not larger. They are pinned."""
    r = recorder_of(array, indices)
    v = typed("add.reduceat", counted(lift(r, array)), dtype)
    refuse("add.reduceat", r, out=out)
    k = normalize_axis(axis, v.ndim, "add.reduceat", r)
    n = v.shape[k]
    first = lift(r, indices)
    if first.ndim != 1 or first._kind != INT:
        raise misfit(r, "add.reduceat", f"indices of shape {first.shape}, {first.dtype}", "integers on one axis")
    starts = pin(r, first)
    if np.any((starts < 0) | (starts >= n)):
        raise misfit(r, "add.reduceat", f"an index outside of 0 to {n - 1}", "places on the axis")
    ends = np.append(starts[1:], n)
    lengths = np.where(ends > starts, ends - starts, 1)
    before = np.cumsum(lengths) - lengths
    places = np.repeat(starts - before, lengths) + np.arange(lengths.sum())
    taken = v if np.array_equal(places, np.arange(n)) else r.apply("gather", (k, 0), v, fresh(r, places))
    if v._kind == FLOAT:
        return r.apply("scatter", (k, len(starts), 0), taken, fresh(r, np.repeat(np.arange(len(starts)), lengths)))
    sums = _begun("add.reduceat", cumsum, taken, k, None, None, 0)
    above, below = (r.apply("gather", (k, 0), sums, fresh(r, at)) for at in (before + lengths, before))
    return r.elementwise("subtract", above, below)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.cumsum: cumsum,
        np.cumprod: cumprod,
        np.nancumsum: nancumsum,
        np.nancumprod: nancumprod,
        np.cumulative_sum: cumulative_sum,
        np.cumulative_prod: cumulative_prod,
        (np.add, "reduceat"): _add_reduceat,
        (np.add, "accumulate"): _accumulate(cumsum),
        (np.multiply, "accumulate"): _accumulate(cumprod),
        (np.maximum, "accumulate"): _accumulate(_extremes("maximum", 1)),
        (np.minimum, "accumulate"): _accumulate(_extremes("minimum", 0)),
        (np.logaddexp, "accumulate"): _accumulate(_logaddexp),
    }
)
