"""Functions whose results are views in NumPy: an assignment to one of both is seen in the other.

What records them stands elsewhere; here their results are linked with what they are views of (`memory`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.record.functions import indexing, shaping
from tapegrad.record.functions.common import find_variable
from tapegrad.record.functions.known import Known, computed, melt, only_numbers
from tapegrad.record.functions.linking import linked, unread
from tapegrad.record.functions.memory import Owner, View, memory_of, shadow_of
from tapegrad.record.functions.orders import by_order
from tapegrad.record.functions.outdated import Changed, read_part, where
from tapegrad.record.functions.parts import is_part
from tapegrad.record.functions.pending import pended
from tapegrad.record.variable import Variable

Recorded = Callable[..., Any]

# Functions of one array whose results NumPy gives as views, of all or of some arrays, as far as they are recorded.
_NAMES: Final = (
    "reshape", "ravel", "squeeze", "expand_dims", "broadcast_to", "transpose", "matrix_transpose", "swapaxes",
    "moveaxis", "rollaxis", "flip", "flipud", "fliplr", "rot90", "diagonal", "diag", "split", "array_split", "hsplit",
    "vsplit", "dsplit", "unstack", "real", "einsum", "asarray", "asanyarray", "ascontiguousarray",
    "lib.stride_tricks.sliding_window_view", "linalg.diagonal", "linalg.matrix_transpose",
)  # fmt: skip


# --- indices


def basic(index: Any) -> bool:
    """Is an index made of integers, slices, None and Ellipsis alone?"""
    entries = index if type(index) is tuple else (index,)
    for e in entries:
        if type(e) is int or type(e) is slice or e is None or e is Ellipsis or isinstance(e, np.integer):
            continue
        return False
    return True


def cell(shape: tuple[int, ...], index: Any) -> tuple[int, int] | None:
    """(place, how many axes) of what integers alone select; None for another index, or one that is outside."""
    entries = index if type(index) is tuple else (index,)
    place = 0
    if not entries or len(entries) > len(shape):
        return None
    for i, n in zip(entries, shape, strict=False):
        if type(i) is not int or not -n <= i < n:
            return None
        place = place * n + (i + n if i < 0 else i)
    return place, len(entries)


def fixed_index(x: Variable, index: Any) -> Any:
    """The index with Variables that no argument changes, and slices by such, as NumPy's arrays and numbers."""
    if find_variable(index) is None:
        return index
    if isinstance(index, (tuple, list)):
        return type(index)(fixed_index(x, e) for e in index)
    value = x._recorder.constant_value(x._recorder.lift(index))
    return index if value is None else value[()]


def getitem(x: Variable, index: Any) -> Any:
    """`x[index]`: what integers and slices select is a view, but single elements."""
    if type(x) is Changed:
        return _of_changed(x, index)
    if type(x) is Known:
        return x[index]
    if type(x) is Variable or (type(index) is int and len(x.shape) == 1):
        return indexing.getitem(x, index)
    out = indexing.getitem(x, index)
    if basic(index):
        if out.shape or Ellipsis in _entries(index):
            return linked(out, View(x, operator.getitem, (index,), place=0))
        return out._settled()
    return _of_variables(x, index, out)


def _entries(index: Any) -> tuple[Any, ...]:
    return index if type(index) is tuple else (index,)


def _of_variables(x: Variable, index: Any, out: Variable) -> Variable:
    """A row at a place that is a Variable is a view, too: NumPy's integer is a number, not an array."""
    entries = [fixed_index(x, e) for e in _entries(index)]
    numbers = [e for e in entries if isinstance(e, Variable)]
    rest = tuple(e for e in entries if not isinstance(e, Variable))
    if not out.shape or not basic(rest) or any(v.shape or v._kind != "i" for v in numbers):
        return out
    return linked(out, View(x, operator.getitem, (tuple(entries),), somewhere=bool(numbers)))  # type: ignore[no-any-return]


def _of_changed(x: Variable, index: Any) -> Any:
    """The same of an array that is out of date: what is known of elements and rows is not put on the tape for them."""
    owner = memory_of(x)
    place = cell(x.shape, index) if type(owner) is Owner else None
    if place is not None and place[1] == x.ndim:
        found = pended(x, owner, *place)
        if found is not None:
            return found
    index = fixed_index(x, index)
    root, around = where(x) if basic(index) else (x, None)
    if type(x) is not Changed or around is None:
        return getitem(x._settled(), index)
    entries = _entries(index)
    try:
        shown = around[entries if Ellipsis in entries else (*entries, Ellipsis)]
    except IndexError:
        return indexing.getitem(x._settled(), index)  # which says what is wrong
    if not shown.size:
        return indexing.getitem(x._settled(), index)
    if not shown.shape and Ellipsis not in entries:
        return read_part(root, shown)
    return unread(x, shown, View(x, operator.getitem, (index,)))


# --- functions


def viewing(function: Any, recorded: Recorded) -> Recorded:
    """The function that records `function`, with its results linked to the array that they show."""

    def record(*arguments: Any, **options: Any) -> Any:
        place = next((k for k, x in enumerate(arguments) if isinstance(x, Variable)), None)
        if place is None or (function is np.einsum and len(arguments) != 2):
            return recorded(*arguments, **options)
        return view_of(function, recorded, arguments, options, place)

    return record


def view_of(function: Any, recorded: Recorded, arguments: tuple[Any, ...], options: dict[str, Any], place: int) -> Any:
    """What a function makes of a Variable, one of its arguments, linked with it."""
    base: Variable = arguments[place]
    before, after = arguments[:place], arguments[place + 1 :]
    if isinstance(base, Known):
        if only_numbers((*before, *after, *options.values())):
            return computed(base, function, arguments, options)
        melt(base)
    view = View(base, function, (*before, *after), options, place)
    if type(base) is Changed:
        found = _unread(base, view)
        if found is not None:
            return found
        base._settled()
    out = recorded(*before, base, *after, **options)
    if not base.shape and type(base) is Variable:
        return out  # of numbers NumPy makes no views
    if isinstance(out, (list, tuple)):
        return type(out)([linked(x, replace(view, pick=k)) for k, x in enumerate(out)])
    return linked(out, view)


def _unread(base: Variable, view: View) -> Any:
    """Views of an array that is out of date, not recorded before they are asked for; None if they may be copies."""
    root, around = where(base)
    owner = memory_of(root)
    if type(base) is not Changed or around is None or by_order(root, owner, view):
        return None
    found, shadow = view.of(around), shadow_of(root, owner)
    parts = found if isinstance(found, (list, tuple)) else [found]
    if not all(is_part(part, shadow) and part.size for part in parts):
        return None
    if parts is not found:
        return unread(base, found, view)
    return type(found)([unread(base, part, replace(view, pick=k)) for k, part in enumerate(parts)])


def _at_least(function: Any, recorded: Recorded) -> Recorded:
    """`numpy.atleast_1d` and its kin: of each of the arrays by itself."""

    def record(*arrays: Any) -> Any:
        found = tuple(
            view_of(function, recorded, (x,), {}, 0)
            if isinstance(x, Variable)
            else recorded(x)
            if find_variable(x) is not None
            else function(x)
            for x in arrays
        )
        return found[0] if len(found) == 1 else found

    return record


def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """`numpy.broadcast_arrays`: each of the arrays by itself, broadcast."""
    made = shaping.broadcast_arrays(*args)
    return tuple(
        view_of(np.broadcast_to, shaping.broadcast_to, (x, out.shape), {}, 0) if isinstance(x, Variable) else out
        for x, out in zip(args, made, strict=True)
    )


def views(recorded: Mapping[Any, Recorded]) -> Mapping[Any, Recorded]:
    """Of functions that are recorded, those that make views, linking."""
    found: dict[Any, Recorded] = {operator.getitem: getitem}
    for name in _NAMES:
        function = operator.attrgetter(name)(np)
        if function in recorded:
            found[function] = viewing(function, recorded[function])
    for several in (np.atleast_1d, np.atleast_2d, np.atleast_3d):
        if several in recorded:
            found[several] = _at_least(several, recorded[several])
    found[np.broadcast_arrays] = _broadcast_arrays
    return MappingProxyType(found)
