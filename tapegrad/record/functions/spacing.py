"""NumPy's functions of points on a line: evenly spaced numbers, and `interp` between given points."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import (
    absent,
    as_dtype,
    constant,
    find_variable,
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
from tapegrad.record.functions.elementwise import clip, where
from tapegrad.record.functions.picking import known
from tapegrad.record.functions.shaping import broadcast_to, moveaxis
from tapegrad.record.functions.sorting import searchsorted
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

# --- evenly spaced numbers


def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: Any = True,
    retstep: Any = False,
    dtype: Any = None,
    axis: Any = 0,
    *,
    device: Any = None,
) -> Any:
    """`numpy.linspace` between Variables; how many is guarded where it is a Variable."""
    recorder, (first, last) = _ends("linspace", start, stop)
    refuse("linspace", recorder, device=None if device == "cpu" else device)
    count = _count(recorder, "linspace", num)
    whole = not absent(dtype) and np.dtype(dtype).kind in "iu"
    samples, step = _spaced(recorder, first, last, count, bool(endpoint), whole=whole)
    result = _typed(recorder, _placed(samples, axis), dtype, "linspace")
    return (result, step) if retstep else result


def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: Any = True, base: Any = 10.0, dtype: Any = None, axis: Any = 0
) -> Variable:
    """`numpy.logspace`: powers of the base, with evenly spaced exponents."""
    recorder, (first, last, root) = _ends("logspace", start, stop, base)
    ndim = max(first.ndim, last.ndim, root.ndim) if root.ndim else 0
    first, last, root = (reshaped(v, (1,) * (ndim - v.ndim) + v.shape) for v in (first, last, root))
    samples, _ = _spaced(recorder, first, last, _count(recorder, "logspace", num), bool(endpoint))
    result = recorder.elementwise("power", root, samples)
    return _typed(recorder, _placed(result, axis), dtype, "logspace")


def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: Any = True, dtype: Any = None, axis: Any = 0) -> Variable:
    """`numpy.geomspace`: from one number to another of the same sign by equal factors; of 0 nan."""
    recorder, (first, last) = _ends("geomspace", start, stop)
    count = _count(recorder, "geomspace", num)
    sign = recorder.elementwise("sign", first)
    low, high = (recorder.elementwise("log", v * sign) for v in (first, last))
    samples, _ = _spaced(recorder, low, high, count, bool(endpoint))
    result = recorder.elementwise("exp", samples) * sign
    inner = result.shape[0] - 1 - bool(endpoint)
    if inner >= 0:  # the ends themselves, not exp(log(x))
        parts = [_row(first, result.shape), stretch(result, 0, 1, inner)]
        result = join(recorder, parts + ([_row(last, result.shape)] if endpoint else []), 0)
    elif count == 1:
        result = _row(first, result.shape)
    return _typed(recorder, _placed(result, axis), dtype, "geomspace")


def _ends(operation: str, *values: Any) -> tuple[Recorder, list[Variable]]:
    """The arguments as floats; together they have to broadcast."""
    recorder = recorder_of(*values)
    ends = [recorder.cast(lift(recorder, x, FLOAT), FLOAT) for x in values]
    shapes = [v.shape for v in ends]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise misfit(recorder, operation, f"shapes {' and '.join(map(str, shapes))}", "shapes that broadcast") from None
    return recorder, ends


def _count(recorder: Recorder, operation: str, num: Any) -> int:
    count = operator.index(num)
    if count < 0:
        raise misfit(recorder, operation, f"{count} samples", "a number that is not negative")
    return count


def _spaced(
    recorder: Recorder, first: Variable, last: Variable, count: int, endpoint: bool, *, whole: bool = False
) -> tuple[Variable, Variable]:
    """Numbers along a new first axis, and the distance between them: nan where there is only one."""
    width = last - first
    parts = count - 1 if endpoint else count
    step = width / float(parts) if parts > 0 else constant(recorder, math.nan, (), FLOAT)
    inner = count - 1 if endpoint and count > 1 else count  # NumPy gives the last one exactly
    places = np.arange(inner, dtype=recorder.dtype).reshape(inner, *[1] * width.ndim)
    rows = ramp(first, width, fresh(recorder, places), max(parts, 1), whole=whole)
    return (join(recorder, [rows, _row(last, rows.shape)], 0) if inner < count else rows), step


def ramp(first: Variable, width: Variable, places: Variable, parts: int, *, whole: bool) -> Variable:
    """The ends of some of equal parts of a width.

    What is to be `whole` numbers has to be rounded as NumPy rounds it, which has another formula for widths of 0.
    """
    step = width / float(parts)
    rise = places * step
    if whole:
        rise = where((step == 0).any(), places / float(parts) * width, rise)
    return rise + first


def _row(v: Variable, shape: tuple[int, ...]) -> Variable:
    """One row of an array of this shape."""
    return broadcast_to(v, (1, *shape[1:]))


def _placed(v: Variable, axis: Any) -> Variable:
    """The first axis moved to where it is wanted."""
    return moveaxis(v, 0, normalize_axis(axis, v.ndim, "linspace", v._recorder)) if axis != 0 else v


def _typed(recorder: Recorder, v: Variable, dtype: Any, operation: str) -> Variable:
    """As `dtype`: integers are rounded down."""
    whole = not absent(dtype) and np.dtype(dtype).kind in "iu"
    return as_dtype(recorder.elementwise("floor", v) if whole else v, dtype, operation)


# --- between given points


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Variable:
    """`numpy.interp`; all may be Variables. At a given point the derivative to x is that of the piece on its right."""
    recorder = recorder_of(x, xp, fp, left, right, period)
    at, points, values = (recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in (x, xp, fp))
    if points.ndim != 1 or values.shape != points.shape or not points.size:
        found = f"points of shape {points.shape} and values of shape {values.shape}"
        raise misfit(recorder, "interp", found, "one axis each, of the same length, and a point or more")
    if period is not None:
        at, points, values = _periodic(recorder, at, points, values, xp, period)
        left = right = None
    n = points.size
    if n == 1:
        inside = broadcast_to(values[0], at.shape)
    else:
        place = clip(searchsorted(points, at, "right") - 1, 0, n - 2)
        start, end = points[place], points[place + 1]
        low, high = values[place], values[place + 1]
        inside = low + (high - low) / (end - start) * (at - start)
    ends = [recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in (_or(left, values[0]), _or(right, values[n - 1]))]
    result = where(at > points[n - 1], ends[1], where(at == points[n - 1], values[n - 1], inside))
    result = where(at < points[0], ends[0], result)
    return operand(result)


def _or(value: Any, default: Variable) -> Any:
    return default if value is None else value


def _periodic(
    recorder: Recorder, at: Variable, points: Variable, values: Variable, given: Any, period: Any
) -> tuple[Variable, Variable, Variable]:
    """Everything within one period, in order, with the neighbours on either side."""
    if find_variable(period) is None and float(known(recorder, period, "interp", "a period").item()) == 0.0:
        raise misfit(recorder, "interp", "a period of 0", "another number")
    length = abs(recorder.cast(lift(recorder, period, FLOAT), FLOAT))
    at, points = at % length, points % length
    if find_variable((given, period)) is None:
        size = abs(float(np.asarray(period).item()))
        order: Any = np.argsort(np.asarray(given, np.float64) % size)
    else:
        order = recorder.call(np.argsort, points)
    points, values = points[order], values[order]
    n = points.size
    points = join(recorder, [points[n - 1 :] - length, points, points[:1] + length], 0)
    return at, points, join(recorder, [values[n - 1 :], values, values[:1]], 0)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.linspace: linspace,
        np.logspace: logspace,
        np.geomspace: geomspace,
        np.interp: interp,
    }
)
