"""NumPy's functions that sort, and those that give places: of extremes, in sorted order, of what is not zero.

Places that need not be known while recording are integers on the tape, and what stands there is gathered: the
derivative goes where the element came from, with no guard. What decides a shape - how many elements are not
zero - is pinned: other places are recorded anew (`record/pins.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL
from tapegrad.record.functions import reducing
from tapegrad.record.functions.common import (
    NO_VALUE,
    given,
    lengths,
    lift,
    misfit,
    normalize_axis,
    operand,
    pinned_places,
    promote,
    recorder_of,
    refuse,
    reshaped,
)
from tapegrad.record.functions.indexing import take, take_along_axis
from tapegrad.record.functions.nans import valid
from tapegrad.record.functions.reducing import counted, kept
from tapegrad.record.guards import guard
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- sorting


def _along(operation: str, a: Any, axis: Any) -> tuple[Variable, int]:
    """An array and one of its axes; without an axis, all elements as one axis."""
    v = operand(a)
    if axis is None:
        return reshaped(v, (v.size,)), 0
    return v, normalize_axis(axis, v.ndim, operation, v._recorder)


def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Variable:
    """`numpy.sort`; equal elements stay in order, whatever `kind` says, and nan comes last."""
    v, k = _along("sort", a, axis)
    return take_along_axis(v, argsort(v, k, kind, order, stable=stable), k)


def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Variable:
    """`numpy.argsort`; equal elements stay in order, whatever `kind` says, and nan comes last."""
    v, k = _along("argsort", a, axis)
    np.argsort(np.zeros(0), kind=kind, order=order, stable=stable)  # NumPy's errors for options that it does not know
    return v._recorder.apply("argsort", (k,), v)


def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Variable:
    """`numpy.partition`; which order the others are in may differ from NumPy's."""
    v, k = _along("partition", a, axis)
    return take_along_axis(v, argpartition(v, kth, k, kind, order), k)


def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Variable:
    """`numpy.argpartition`; which order the others are in may differ from NumPy's."""
    v, k = _along("argpartition", a, axis)
    r, n = v._recorder, v.shape[k]
    refuse("argpartition", r, order=order, kind=None if kind == "introselect" else kind)
    ranks = lengths(kth)
    for rank in ranks:
        if not -n <= rank < n:
            raise misfit(r, "argpartition", f"kth={rank}", f"places on an axis of length {n}")
    return r.apply("argpartition", (k, *sorted({rank % n for rank in ranks})), v)


def lexsort(keys: Any, axis: Any = -1) -> Variable:
    """`numpy.lexsort`: the order by the last key, where that is equal by the one before, and so on."""
    r = recorder_of(keys)
    columns = [keys[k] for k in range(keys.shape[0])] if isinstance(keys, Variable) else list(keys)
    return ordered(r, [lift(r, c) for c in columns], axis)


def ordered(r: Recorder, keys: list[Variable], axis: Any = -1) -> Variable:
    """The order by several keys, each sorted in the order by those before it, which leaves equal ones as they are."""
    shapes = {v.shape for v in keys}
    if len(shapes) != 1 or () in shapes:
        raise misfit(r, "lexsort", f"keys of shapes {sorted(shapes)}", "keys of one shape, of one axis or more")
    k = normalize_axis(axis, keys[0].ndim, "lexsort", r)
    order = r.apply("argsort", (k,), keys[0])
    for key in keys[1:]:
        step = r.apply("argsort", (k,), take_along_axis(key, order, k))
        order = take_along_axis(order, step, k)
    return order


# --- places of extremes


def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Variable:
    """`numpy.argmax`: of the first where some are equal."""
    return _place("argmax", a, axis, out, keepdims)


def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Variable:
    """`numpy.argmin`: of the first where some are equal."""
    return _place("argmin", a, axis, out, keepdims)


def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Variable:
    """`numpy.nanargmax`."""
    return _place("argmax", _without_nan("nanargmax", a, axis, -np.inf), axis, out, keepdims)


def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Variable:
    """`numpy.nanargmin`."""
    return _place("argmin", _without_nan("nanargmin", a, axis, np.inf), axis, out, keepdims)


def _place(op: str, a: Any, axis: Any, out: Any, keepdims: Any) -> Variable:
    whole = operand(a)
    r = whole._recorder
    refuse(op, r, out=out)
    v, k = _along(op, whole, axis)
    if v.shape[k] == 0:
        wanted = "one element or more along each axis that is reduced: an empty one has no extreme"
        raise misfit(r, op, f"shape {whole.shape}", wanted)
    result = r.apply(op, (k,), v)
    if not given(keepdims):
        return result
    return reshaped(result, kept(whole, tuple(range(whole.ndim)) if axis is None else (k,)))


def _without_nan(operation: str, a: Any, axis: Any, other: float) -> Variable:
    """The array without its nan. That some are left is a guard: NumPy raises where none are."""
    v = operand(a)
    r, mask = v._recorder, valid(v)
    if mask is True:
        return v
    if not guard(r, reducing.all(reducing.any(mask, axis)), BOOL):
        raise misfit(r, operation, "nothing but nan along an axis", "a number in each slice")
    return reducing.chosen(operation, v, mask, other)


# --- places in a sorted array


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """`numpy.searchsorted`."""
    r = recorder_of(a, v, sorter)
    array, values = promote(r, [a, v])
    if array.ndim != 1:
        raise misfit(r, "searchsorted", f"an array of shape {array.shape}", "one axis, sorted")
    if side not in {"left", "right"}:
        raise unsupported("searchsorted", f"side={side!r}", "'left' or 'right'", r)
    if sorter is not None:
        array = take(array, sorter)
    return r.apply("searchsorted", (int(side == "right"), 0), counted(array), counted(values))


def digitize(x: Any, bins: Any, right: bool = False) -> Variable:
    """`numpy.digitize`; that the bins rise, or fall, is a guard where they are not constant.

    Raises:
        ShapeError: bins that neither rise nor fall.
    """
    r = recorder_of(x, bins)
    edges = lift(r, bins)
    if edges.ndim != 1:
        raise misfit(r, "digitize", f"bins of shape {edges.shape}", "one axis")
    side = "left" if right else "right"
    if rises(edges):
        return searchsorted(edges, x, side)
    if not rises(edges, down=True):
        raise misfit(r, "digitize", "bins in no order", "bins that rise or fall")
    return r.elementwise("subtract", edges.size, searchsorted(edges[::-1], x, side))


def rises(v: Variable, *, down: bool = False) -> bool:
    """Whether the elements of one axis rise, or fall, where some may be equal: known, or a guard."""
    r = v._recorder
    if v.size < 2:
        return True
    steps = r.elementwise("less_equal", *((v[1:], v[:-1]) if down else (v[:-1], v[1:])))
    known = r.constant_value(steps)
    return bool(known.all()) if known is not None else bool(guard(r, reducing.all(steps), BOOL))


# --- what is not zero


def nonzero(a: Any) -> tuple[Any, ...]:
    """`numpy.nonzero`: plain arrays, which hold for as long as the same elements are zero."""
    return pinned_places(operand(a))


def flatnonzero(a: Any) -> Any:
    """`numpy.flatnonzero`: a plain array, as of `nonzero`."""
    v = operand(a)
    return pinned_places(reshaped(v, (v.size,)))[0]


def argwhere(a: Any) -> Any:
    """`numpy.argwhere`: a plain array, as of `nonzero`."""
    v = operand(a)
    if v.ndim:
        return np.stack(pinned_places(v), axis=1)
    return np.zeros((len(flatnonzero(v)), 0), np.int64)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.sort: sort,
        np.argsort: argsort,
        np.partition: partition,
        np.argpartition: argpartition,
        np.lexsort: lexsort,
        np.argmax: argmax,
        np.argmin: argmin,
        np.nanargmax: nanargmax,
        np.nanargmin: nanargmin,
        np.searchsorted: searchsorted,
        np.digitize: digitize,
        np.nonzero: nonzero,
        np.flatnonzero: flatnonzero,
        np.argwhere: argwhere,
    }
)
