"""NumPy's functions of differences: of neighbours, gradients, trapezoids, unwrapped angles; and `cross`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.common import (
    NO_VALUE,
    find_variable,
    join,
    lengths,
    lift,
    misfit,
    normalize_axes,
    normalize_axis,
    operand,
    pile,
    promote,
    recorder_of,
    reshaped,
    stretch,
)
from tapegrad.record.functions.elementwise import where
from tapegrad.record.functions.picking import known
from tapegrad.record.functions.reducing import sum as sum_over
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- differences


def diff(a: Any, n: Any = 1, axis: Any = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE) -> Variable:
    """`numpy.diff`, n times; of booleans whether neighbours differ."""
    recorder = recorder_of(a, prepend, append)
    times = operator.index(n)
    if times < 0:
        raise misfit(recorder, "diff", f"order {times}", "one that is not negative")
    v = lift(recorder, a)
    if times == 0:
        return v
    k = normalize_axis(axis, v.ndim, "diff", recorder)
    parts = [_end(recorder, x, v, k) for x in (prepend, a, append) if x is not NO_VALUE]
    v = join(recorder, promote(recorder, parts), k) if len(parts) > 1 else v
    op = "not_equal" if v._kind == BOOL else "subtract"
    for _ in range(times):
        v = _steps(v, k, op)
    return v


def _end(recorder: Recorder, value: Any, v: Variable, axis: int) -> Variable:
    """What to put before or after: a number becomes one slice, all else has to fit."""
    more = lift(recorder, value)
    if not more.shape:
        return broadcast_to(more, (*v.shape[:axis], 1, *v.shape[axis + 1 :]))
    if more.ndim != v.ndim or any(
        m != n for a, (m, n) in enumerate(zip(more.shape, v.shape, strict=True)) if a != axis
    ):
        found = f"shapes {v.shape} and {more.shape}"
        raise misfit(recorder, "diff", found, f"shapes that agree but along axis {axis}")
    return more


def _steps(v: Variable, axis: int, op: str = "subtract") -> Variable:
    """What is between neighbours along an axis."""
    count = max(v.shape[axis] - 1, 0)
    first = min(1, v.shape[axis])
    return v._recorder.elementwise(op, stretch(v, axis, first, count), stretch(v, axis, 0, count))


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Variable:
    """`numpy.ediff1d`."""
    recorder = recorder_of(ary, to_end, to_begin)
    v = lift(recorder, ary)
    steps = _steps(reshaped(v, (v.size,)), 0)
    ends = [None if x is None else lift(recorder, x, steps._kind) for x in (to_begin, to_end)]
    if any(x is not None and not np.can_cast(x.dtype, steps.dtype, "same_kind") for x in ends):
        found = f"ends that are not of the array's dtype, {steps.dtype}"
        raise unsupported("ediff1d", found, "the same kind of numbers", recorder)
    parts = [recorder.cast(x, steps._kind) for x in (ends[0], steps, ends[1]) if x is not None]
    return join(recorder, [reshaped(x, (x.size,)) for x in parts], 0)


# --- integrals and derivatives


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Variable:
    """`numpy.trapezoid`."""
    recorder = recorder_of(y, x, dx)
    v = lift(recorder, y)
    k = normalize_axis(axis, v.ndim, "trapezoid", recorder)
    width: Any = dx
    if x is not None:
        at = lift(recorder, x)
        width = _steps(at, 0 if at.ndim == 1 else normalize_axis(axis, at.ndim, "trapezoid", recorder))
        width = reshaped(width, tuple(width.size if a == k else 1 for a in range(v.ndim))) if at.ndim == 1 else width
    n = v.shape[k]
    count = max(n - 1, 0)
    both = recorder.elementwise("add", stretch(v, k, min(1, n), count), stretch(v, k, 0, count))
    return sum_over(lift(recorder, width) * both / 2.0, axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Any:
    """`numpy.gradient`: second-order differences inside, of order `edge_order` at the ends.

    Of one axis an array, of several a tuple of arrays. Spacings are numbers or coordinates.
    """
    recorder = recorder_of(f, varargs)
    v = lift(recorder, f, FLOAT)
    v = recorder.cast(v, FLOAT)
    axes = normalize_axes(axis if axis is None else lengths(axis), v.ndim, "gradient", recorder)
    if len(varargs) not in {0, 1, len(axes)}:
        raise TypeError(f"gradient() takes no spacing, one, or one for each of {len(axes)} axes")
    if edge_order not in {1, 2}:
        raise misfit(recorder, "gradient", f"edge_order={edge_order}", "1 or 2")
    spacings: Sequence[Any] = varargs if len(varargs) == len(axes) else (varargs or (1.0,)) * len(axes)
    if len(varargs) == 1 and len(axes) > 1 and np.ndim(varargs[0]) > 0:
        raise misfit(recorder, "gradient", "coordinates for one axis of several", "them for each, or a number")
    slopes = []
    for k, spacing in zip(axes, spacings, strict=True):
        n = v.shape[k]
        if n < edge_order + 1:
            found = f"axis {k} of length {n} and edge_order={edge_order}"
            raise misfit(recorder, "gradient", found, f"{edge_order + 1} elements or more")
        slopes.append(_slope(v, k, _spacing(recorder, spacing, v, k), edge_order))
    return slopes[0] if len(axes) == 1 else tuple(slopes)


def _spacing(recorder: Recorder, spacing: Any, v: Variable, axis: int) -> Variable:
    """The distance between neighbours, or the distances, of shape (1, ..., n - 1, ..., 1)."""
    at = recorder.cast(lift(recorder, spacing, FLOAT), FLOAT)
    if not at.shape:
        return at
    n = v.shape[axis]
    if at.shape != (n,):
        found = f"a spacing of shape {at.shape} for axis {axis}, of length {n}"
        raise misfit(recorder, "gradient", found, f"a number or {n} coordinates")
    if find_variable(spacing) is None:
        steps = np.diff(np.asarray(spacing))
        if (steps == steps[0]).all():
            return recorder.constant(float(steps[0]), FLOAT)
    return reshaped(_steps(at, 0), tuple(n - 1 if a == axis else 1 for a in range(v.ndim)))


def _slope(v: Variable, axis: int, step: Variable, order: int) -> Variable:
    """The derivative along one axis: inside of three neighbours, at the ends of the first and last 2 or 3."""
    n = v.shape[axis]
    ends = [_end_slope(v, axis, step, order, last=last) for last in (False, True)]
    return join(v._recorder, [ends[0], *([_inner_slope(v, axis, step)] if n > 2 else []), ends[1]], axis)


def _inner_slope(v: Variable, axis: int, step: Variable) -> Variable:
    n = v.shape[axis] - 2
    before, here, after = (stretch(v, axis, k, n) for k in range(3))
    if not step.shape:
        return (after - before) / (2.0 * step)
    h, k = stretch(step, axis, 0, n), stretch(step, axis, 1, n)
    return -k / (h * (h + k)) * before + (k - h) / (h * k) * here + h / (k * (h + k)) * after


def _end_slope(v: Variable, axis: int, step: Variable, order: int, *, last: bool) -> Variable:
    """The derivative at an end: of the parabola through three points, or the line through two."""
    n = v.shape[axis]

    def at(x: Variable, k: int) -> Variable:
        """The k-th, counted from the end in question."""
        return stretch(x, axis, x.shape[axis] - 1 - k if last else k, 1) if x.shape else x

    end, second = at(v, 0), at(v, 1)
    h = at(step, 0)
    rise = (end - second if last else second - end) / h
    if order == 1:
        return rise
    k = at(step, 1) if n > 2 else h
    beyond = at(v, 2)
    other = (second - beyond if last else beyond - second) / k
    return rise + (rise - other) * h / (h + k)


# --- angles and vectors


def unwrap(p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * math.pi) -> Variable:
    """`numpy.unwrap`: jumps of more than half a period are made up for by multiples of the period."""
    recorder = recorder_of(p, discont, period)
    v = lift(recorder, p)
    recorded = find_variable(period) is not None
    length: Any = operand(period) if recorded else known(recorder, period, "unwrap", "a period").item()
    limit = length / 2 if discont is None else discont
    k = normalize_axis(axis, v.ndim, "unwrap", recorder)
    whole = v._kind == INT and isinstance(length, int)
    v = v if whole else recorder.cast(v, FLOAT)
    if v.shape[k] < 2:
        return recorder.again(v)
    high, odd = divmod(length, 2) if whole else (length / 2, 0)
    steps = recorder.apply("stop_gradient", (), _steps(v, k))
    turned = (steps + high) % length - high
    if not odd:  # half a period up stays up
        turned = where((turned == -high) & (steps > 0), high, turned)
    fixes = recorder.call(np.cumsum, where(abs(steps) < limit, 0, turned - steps), axis=k)
    return join(recorder, [stretch(v, k, 0, 1), stretch(v, k, 1, v.shape[k] - 1) + fixes], k)


def cross(a: Any, b: Any, axisa: Any = -1, axisb: Any = -1, axisc: Any = -1, axis: Any = None) -> Variable:
    """`numpy.cross`, of vectors with three elements or two."""
    recorder = recorder_of(a, b)
    axes = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    (a0, a1, a2), (b0, b1, b2) = (_components(recorder, x, k) for x, k in zip((a, b), axes, strict=False))
    last: Variable = _area(a0, b1, a1, b0)
    if a2 is None and b2 is None:
        return last
    parts = promote(recorder, (_area(a1, b2, a2, b1), _area(a2, b0, a0, b2), last))
    return pile(recorder, parts, normalize_axis(axes[2], parts[0].ndim + 1, "cross", recorder), "cross")


def _components(recorder: Recorder, value: Any, axis: Any) -> list[Any]:
    """The three elements of vectors along an axis; of those with two, the third is None."""
    v = lift(recorder, value)
    k = normalize_axis(axis, v.ndim, "cross", recorder)
    if v.shape[k] not in {2, 3}:
        raise misfit(recorder, "cross", f"vectors of {v.shape[k]} elements", "3, or 2")
    rest = v.shape[:k] + v.shape[k + 1 :]
    return [reshaped(stretch(v, k, i, 1), rest) if i < v.shape[k] else None for i in range(3)]


def _area(a: Any, b: Any, c: Any, d: Any) -> Any:
    """a b - c d, where a product with None is 0."""
    if c is None or d is None:
        return a * b
    return -(c * d) if a is None or b is None else a * b - c * d


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.diff: diff,
        np.ediff1d: ediff1d,
        np.trapezoid: trapezoid,
        np.gradient: gradient,
        np.unwrap: unwrap,
        np.cross: cross,
    }
)
