"""`numpy.pad`: margins around an array, axis by axis, so that corners come of the later axis."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import (
    find_variable,
    fresh,
    join,
    lift,
    misfit,
    normalize_axis,
    recorder_of,
    stretch,
)
from tapegrad.record.functions.picking import known, picked
from tapegrad.record.functions.reducing import max as max_over
from tapegrad.record.functions.reducing import mean as mean_over
from tapegrad.record.functions.reducing import min as min_over
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.functions.spacing import ramp
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_OPTIONS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "constant": frozenset({"constant_values"}),
        "empty": frozenset(),
        "edge": frozenset(),
        "wrap": frozenset(),
        "reflect": frozenset({"reflect_type"}),
        "symmetric": frozenset({"reflect_type"}),
        "linear_ramp": frozenset({"end_values"}),
        "maximum": frozenset({"stat_length"}),
        "minimum": frozenset({"stat_length"}),
        "mean": frozenset({"stat_length"}),
        "median": frozenset({"stat_length"}),
    }
)


class _Margin(NamedTuple):
    """One axis and how much to add before and after it."""

    axis: int
    before: int
    after: int


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Variable:
    """`numpy.pad`, all modes but functions; widths that are Variables are guarded, values are not.

    What mode "empty" leaves undefined is 0 here.
    """
    recorder = recorder_of(array, pad_width, *kwargs.values())
    v = lift(recorder, array)
    if mode not in _OPTIONS:
        raise unsupported("pad", f"mode={mode!r}", f"one of {', '.join(_OPTIONS)}", recorder)
    if not set(kwargs) <= _OPTIONS[mode]:
        found = f"keywords {sorted(set(kwargs) - _OPTIONS[mode])} with mode={mode!r}"
        raise misfit(recorder, "pad", found, f"{sorted(_OPTIONS[mode]) or 'none'}")
    margins = _margins(v, pad_width)
    if not margins:
        return recorder.again(v)
    if mode in {"constant", "empty"}:
        return recorder.again(_constant(v, margins, kwargs.get("constant_values", 0)))
    for m in margins:
        if v.shape[m.axis] == 0:
            found = f"axis {m.axis} of length 0 and mode={mode!r}"
            raise misfit(recorder, "pad", found, "an element or more, or mode='constant'")
    if mode in {"edge", "wrap", "reflect", "symmetric"}:
        odd = _is_odd(recorder, kwargs.get("reflect_type", "even"))
        for m in margins:
            v = _odd(v, m, mode) if odd and v.shape[m.axis] > 1 else _moved(v, m, mode)
    elif mode == "linear_ramp":
        ends = _pairs(kwargs.get("end_values", 0), v, FLOAT, "end_values")
        for m in margins:
            v = _ramp(v, m, *ends[m.axis])
    else:
        given = kwargs.get("stat_length")
        counts = [[None, None]] * v.ndim if given is None else _known_pairs(v, given, "stat_length")
        for m in margins:
            v = _statistic(v, m, mode, *counts[m.axis])
    return recorder.again(v)


# --- arguments


def _margins(v: Variable, pad_width: Any) -> list[_Margin]:
    """The margins that are not empty, of a number, a pair, a pair for each axis, or a dict of axes."""
    recorder = v._recorder
    if isinstance(pad_width, dict):
        pairs: list[Any] = [(0, 0)] * v.ndim
        for axis, width in pad_width.items():
            pairs[normalize_axis(axis, v.ndim, "pad", recorder)] = width if isinstance(width, tuple) else (width, width)
        pad_width = pairs
    widths = _known_pairs(v, pad_width, "pad_width")
    return [_Margin(a, before, after) for a, (before, after) in enumerate(widths) if before or after]


def _known_pairs(v: Variable, value: Any, name: str) -> list[list[int]]:
    """Two counts for each axis."""
    counts = known(v._recorder, value, "pad", name)
    if counts.dtype.kind in "if" and (counts < 0).any():
        raise misfit(v._recorder, "pad", f"{name} {counts.tolist()}", "counts that are not negative")
    try:
        pairs: list[list[int]] = np.broadcast_to(counts, (v.ndim, 2)).tolist()
    except ValueError:
        found = f"{name} {counts.tolist()} for shape {v.shape}"
        raise misfit(v._recorder, "pad", found, "a number, a pair, or a pair for each axis") from None
    return [[operator.index(n) for n in pair] for pair in pairs]


def _pairs(values: Any, v: Variable, kind: str, name: str) -> list[tuple[Variable, Variable]]:
    """Two values for each axis."""
    recorder = v._recorder
    lifted = recorder.cast(lift(recorder, values, kind), kind)
    if lifted.ndim > 2 or any(n not in (1, m) for n, m in zip(lifted.shape[::-1], (2, v.ndim), strict=False)):
        found = f"{name} of shape {lifted.shape} for an array of shape {v.shape}"
        raise misfit(recorder, "pad", found, "a number, a pair, or a pair for each axis")
    both = broadcast_to(lifted, (v.ndim, 2))
    return [(both[a, 0], both[a, 1]) for a in range(v.ndim)]


def _is_odd(recorder: Recorder, reflect_type: Any) -> bool:
    if reflect_type not in {"even", "odd"}:
        raise unsupported("pad", f"reflect_type={reflect_type!r}", "'even' or 'odd'", recorder)
    return bool(reflect_type == "odd")


# --- one way to pad each


def _constant(v: Variable, margins: list[_Margin], values: Any) -> Variable:
    recorder = v._recorder
    if find_variable(values) is None and not np.any(known(recorder, values, "pad", "constant_values")):
        _pairs(values, v, v._kind, "constant_values")  # that its shape fits
        shape, starts = list(v.shape), [0] * v.ndim
        for m in margins:
            shape[m.axis] += m.before + m.after
            starts[m.axis] = m.before
        windows = tuple((start, 1, n) for start, n in zip(starts, v.shape, strict=True))
        return recorder.apply("pad", (tuple(shape), windows), v)
    ends = _pairs(values, v, v._kind, "constant_values")
    for m in margins:
        v = _surrounded(v, m, *ends[m.axis])
    return v


def _surrounded(v: Variable, m: _Margin, first: Variable, last: Variable) -> Variable:
    """The array between margins, which are broadcast to their sizes."""
    before, after = (broadcast_to(x, _sized(v, m.axis, n)) for x, n in ((first, m.before), (last, m.after)))
    parts = [part for part, n in ((before, m.before), (v, 1), (after, m.after)) if n]
    return join(v._recorder, parts, m.axis)


def _sized(v: Variable, axis: int, n: int) -> tuple[int, ...]:
    return (*v.shape[:axis], n, *v.shape[axis + 1 :])


def _moved(v: Variable, m: _Margin, mode: str) -> Variable:
    """Margins of the array's own elements: those at the places that NumPy gives."""
    options: dict[str, Any] = {"mode": mode}
    return picked(v, m.axis, np.pad(np.arange(v.shape[m.axis]), (m.before, m.after), **options))


def _odd(v: Variable, m: _Margin, mode: str) -> Variable:
    """Reflected at the point of the first or last element: f(-k) = 2 f(0) - f(k), and so on beyond the far end.

    With N = n - 1 that makes f(k + 2 N) = f(k) + 2 (f(N) - f(0)), in mode "symmetric" with a period of 2 n.
    """
    n = v.shape[m.axis]
    span = n - 1 if mode == "reflect" else n
    turns, place = np.divmod(np.arange(-m.before, n + m.after), 2 * span)
    back = place > span if mode == "reflect" else place >= n
    folded = np.where(back, 2 * span - place - (mode == "symmetric"), place)
    inside = slice(m.before, m.before + n)
    r = v._recorder

    def margin(part: slice) -> Variable:
        """s f(folded) + a f(0) + b f(N), with s, a and b for each place."""
        factors = (np.where(back, -1, 1), -2 * turns, 2 * turns + 2 * back)
        terms = (picked(v, m.axis, folded[part]), stretch(v, m.axis, 0, 1), stretch(v, m.axis, n - 1, 1))
        products = [
            r.elementwise("multiply", _along(v, m.axis, f[part].astype(v.dtype)), t)
            for f, t in zip(factors, terms, strict=True)
        ]
        return r.elementwise("add", r.elementwise("add", products[0], products[1]), products[2])

    parts = [margin(slice(0, inside.start))] if m.before else []
    parts += [v] + ([margin(slice(inside.stop, None))] if m.after else [])
    return join(r, parts, m.axis)


def _along(v: Variable, axis: int, values: NDArray[Any]) -> Variable:
    """A constant that varies along one axis of v."""
    shape = tuple(len(values) if a == axis else 1 for a in range(v.ndim))
    return fresh(v._recorder, values.reshape(shape))


def _ramp(v: Variable, m: _Margin, first: Variable, last: Variable) -> Variable:
    """Margins that lead evenly from an end value to the edge; of integers the floor, as NumPy's linspace gives it."""
    r = v._recorder

    def margin(end: Variable, edge: Variable, steps: NDArray[Any]) -> Variable:
        """As many steps away from the end value, of which `len(steps)` would lead to the edge."""
        edge = r.cast(edge, FLOAT)
        places = _along(v, m.axis, steps.astype(r.dtype))
        found = ramp(end, edge - end, places, max(len(steps), 1), whole=v._kind != FLOAT)
        return found if v._kind == FLOAT else r.cast(r.elementwise("floor", found), v._kind)

    n = v.shape[m.axis]
    before = margin(first, stretch(v, m.axis, 0, 1), np.arange(m.before))
    after = margin(last, stretch(v, m.axis, n - 1, 1), np.arange(m.after)[::-1])
    return _surrounded(v, m, before, after)


def _statistic(v: Variable, m: _Margin, mode: str, before: Any, after: Any) -> Variable:
    """Margins of a statistic of the first and the last elements, of all where no number of them is given."""
    r = v._recorder
    n = v.shape[m.axis]
    counts = [n if c is None else min(operator.index(c), n) for c in (before, after)]
    if any(c <= 0 for c in counts):
        raise misfit(r, "pad", f"stat_length {counts}", "an element or more")

    def of(part: Variable) -> Variable:
        if mode in {"maximum", "minimum"}:
            return (max_over if mode == "maximum" else min_over)(part, m.axis, keepdims=True)
        mean: Callable[..., Variable] = mean_over
        found = mean(part, m.axis, keepdims=True) if mode == "mean" else r.call(np.median, part, m.axis, keepdims=True)
        return found if v._kind == FLOAT else r.cast(r.elementwise("rint", r.cast(found, FLOAT)), v._kind)

    first = of(stretch(v, m.axis, 0, counts[0]))
    last = first if counts == [n, n] else of(stretch(v, m.axis, n - counts[1], counts[1]))
    return _surrounded(v, m, first, last)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType({np.pad: pad})
