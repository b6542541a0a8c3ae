"""Indexing: what `x[index]` and `numpy.take` record.

Integers, slices and new axes become one window and one reshape. Index arrays become one `gather`: the axes
they select from are brought together and merged, and the arrays combined into positions along the merged
axis (`positions`). What is known while recording is checked at once; the kernel of `gather` checks what is not.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import DtypeError, ElementIndexError, ShapeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.common import (
    find_variable,
    lift,
    normalize_axis,
    recorder_of,
    refuse,
    reshaped,
    transposed,
)
from tapegrad.record.functions.positions import IndexArray, outside, positions, wrong
from tapegrad.record.pins import pin
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_WANTED: Final = "integers, slices, None, Ellipsis, or arrays of integers or booleans"


@dataclass(slots=True)
class _Plan:
    """An index taken apart.

    `windows` has one (start, step, count) for each axis of x so far, `dropped` are the axes that integers
    select from, `arrays` the index arrays and their axes, `shape` is that of the result without the index
    arrays' axes. Those go to `place` in it, which follows `before` axes of x that are kept.
    """

    recorder: Recorder
    x: Variable
    windows: list[tuple[int, int, int]] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)
    arrays: list[tuple[int, IndexArray]] = field(default_factory=list)
    shape: list[int] = field(default_factory=list)
    flags: list[tuple[int, ...]] = field(default_factory=list)  # what 0-d booleans broadcast the arrays to
    kept: int = 0
    place: int = -1
    before: int = 0
    last: int = -1  # the entry that held the last integer or array

    def add(self, position: int, entry: Any) -> None:
        """Take the next entry of the index; Ellipsis has been given its length."""
        if entry is None:
            self.shape.append(1)
        elif isinstance(entry, slice):
            self._window(entry)
        elif isinstance(entry, range):
            for _ in entry:
                self._window(slice(None))
        else:
            self._find_place(position)
            self._select(entry)

    def _window(self, entry: slice) -> None:
        start, stop, step = entry.indices(self.x.shape[len(self.windows)])
        count = len(range(start, stop, step))
        self.windows.append((start, step, count) if count > 1 else (start, 1, 1) if count else (0, 1, 0))
        self.shape.append(count)
        self.kept += 1

    def _find_place(self, position: int) -> None:
        """NumPy's rule: the index arrays' axes stand where the arrays stood, or first if others part them."""
        if self.place < 0:
            self.place, self.before = len(self.shape), self.kept
        elif position > self.last + 1:
            self.place = self.before = 0
        self.last = position

    def _select(self, entry: int | IndexArray) -> None:
        axis = len(self.windows)
        if isinstance(entry, int):
            n = self.x.shape[axis]
            if not -n <= entry < n:
                raise outside(self.recorder, entry, axis, n)
            self.windows.append((entry % n, 1, 1))
            self.dropped.add(axis)
        elif entry.value is not None and entry.value.dtype.kind == "b":
            self._mask(axis, entry.value)
        else:
            self.windows.append((0, 1, self.x.shape[axis]))
            self.arrays.append((axis, entry))

    def _mask(self, axis: int, mask: NDArray[Any]) -> None:
        if mask.ndim == 0:
            self.flags.append((int(mask),))
            return
        lengths = self.x.shape[axis : axis + mask.ndim]
        if any(m not in {0, n} for m, n in zip(mask.shape, lengths, strict=True)):  # NumPy lets an empty one pass
            wanted = f"one of shape {lengths}, as the axes it selects from"
            raise wrong(self.recorder, f"a boolean mask of shape {mask.shape}", wanted)
        for n, places in zip(lengths, np.nonzero(mask), strict=True):
            self.arrays.append((len(self.windows), IndexArray(None, places)))
            self.windows.append((0, 1, n))


# --- errors


def _too_many(recorder: Recorder, shape: tuple[int, ...], used: int) -> ElementIndexError:
    return wrong(recorder, f"an index of {used} axes of shape {shape}", f"one of {len(shape)} axes at most")


def _dtype(recorder: Recorder, found: str) -> DtypeError:
    return DtypeError(describe("indexing", found=found, wanted=_WANTED, line=recorder.line()))


# --- taking an index apart


def _entry(recorder: Recorder, item: Any) -> Any:
    """One item of an index as None, Ellipsis, a slice, an int or an index array."""
    if item is None or item is Ellipsis or isinstance(item, (slice, int)):
        return IndexArray(None, np.asarray(item)) if isinstance(item, bool) else item
    if isinstance(item, (list, tuple)) and find_variable(item) is not None:
        item = lift(recorder, item)
    if isinstance(item, Variable):
        return _variable_entry(recorder, item)
    try:
        return operator.index(item)
    except TypeError:
        value = np.asarray(item)
    if value.dtype.kind == "b":
        if value is item and value.ndim:
            recorder.constant(value)  # so that a change of the mask does not go unnoticed
        return IndexArray(None, value)
    if value.size == 0 and isinstance(item, (list, tuple)):
        value = value.astype(np.int64)
    if value.dtype.kind not in "iu":
        found = f"dtype {value.dtype}" if value.ndim else f"type {type(item).__name__}"
        raise _dtype(recorder, f"an index of {found}")
    return IndexArray(recorder.constant(value) if value is item else None, value)


def _variable_entry(recorder: Recorder, v: Variable) -> IndexArray | int:
    if v._kind == BOOL:  # how many elements it selects is a shape
        return IndexArray(None, pin(recorder, v))
    known = recorder.constant_value(recorder.lift(v))
    if known is None or v._kind == FLOAT:
        return IndexArray(_integer(recorder, v), None)
    return IndexArray(None, known) if v.shape else int(known)


def _integer(recorder: Recorder, v: Variable) -> Variable:
    """The Variable, if it can be an index."""
    recorder.lift(v)  # refuses a Variable of another recording
    if v._kind != INT:
        raise _dtype(recorder, f"a Variable of dtype {v.dtype}")
    return v


def _axes_used(entry: Any) -> int:
    if entry is None or entry is Ellipsis:
        return 0
    if isinstance(entry, IndexArray) and entry.value is not None and entry.value.dtype.kind == "b":
        return entry.value.ndim
    return 1


def take_apart(x: Variable, index: Any) -> _Plan:
    """The index taken apart."""
    recorder = x._recorder
    entries = [_entry(recorder, item) for item in (index if isinstance(index, tuple) else (index,))]
    used = sum([_axes_used(e) for e in entries])
    missing = x.ndim - used
    if missing < 0:
        raise _too_many(recorder, x.shape, used)
    ellipses = sum([e is Ellipsis for e in entries])
    if ellipses > 1:
        raise wrong(recorder, f"{ellipses} Ellipses", "one Ellipsis (...) at most")
    if not ellipses:
        entries.append(Ellipsis)
    plan = _Plan(recorder, x)
    for position, entry in enumerate(entries):
        plan.add(position, range(missing) if entry is Ellipsis else entry)
    return plan


class Selection(NamedTuple):
    """What index arrays select from an array, in the terms of a gather.

    Attributes:
        lengths: the axes of the array that no integer selects from, and `order`, in which they are brought.
        merged: the array's shape then, those merged that the arrays select from.
        axis, batch, where: of the gather.
        after: how the gather's axes are brought in the order of the result.
        chosen: the index arrays' shape.
    """

    lengths: tuple[int, ...]
    order: tuple[int, ...]
    merged: tuple[int, ...]
    axis: int
    batch: int
    where: Variable
    after: tuple[int, ...]
    chosen: tuple[int, ...]

    def arranged(self, y: Variable) -> Variable:
        """The array with its axes so that a gather can select."""
        return reshaped(transposed(reshaped(y, self.lengths), self.order), self.merged)

    def restored(self, z: Variable, shape: tuple[int, ...]) -> Variable:
        """The array, so arranged, as it was."""
        lengths = tuple(self.lengths[p] for p in self.order)
        return reshaped(transposed(reshaped(z, lengths), inverse(self.order)), shape)


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The order that undoes an order of axes."""
    return tuple(int(p) for p in np.argsort(order))


def selection(plan: _Plan, shape: tuple[int, ...]) -> Selection:
    """What the index arrays of an index select from an array of this shape, cut to the index's windows."""
    axes = [a for a in range(len(shape)) if a not in plan.dropped]
    whole = tuple(shape[a] for a in axes)
    chosen = [axes.index(a) for a, _ in plan.arrays]
    first, count = chosen[0], len(chosen)
    order = list(range(len(axes)))
    if chosen[-1] - first >= count:
        order, first = chosen + [p for p in order if p not in chosen], 0
    lengths, last = [whole[p] for p in order], first + count
    index, kept, batch, found = positions(plan.recorder, plan.arrays, lengths[first:last], plan.flags, rows=first == 0)
    axis = first + kept
    merged = (*lengths[:axis], prod(lengths[axis:last]), *lengths[last:])
    after = list(range(len(merged) - 1 + index.ndim - batch))
    moved = after[first : first + len(found)]
    del after[first : first + len(found)]
    after[plan.before : plan.before] = moved
    return Selection(whole, tuple(order), merged, axis, batch, index, tuple(after), found)


# --- the functions


def getitem(x: Variable, index: Any) -> Variable:
    """`x[index]`, as NumPy's basic indexing and its indexing by arrays do it."""
    if type(index) is int:
        return _item(x, (index,))
    if type(index) is tuple and set(map(type, index)) == {int}:
        return _item(x, index)
    if type(index) is slice and x.shape:
        return _stretch(x, index)
    plan = take_apart(x, index)
    recorder = plan.recorder
    y, shape = x, tuple(plan.shape)
    if plan.windows != [(0, 1, n) for n in x.shape]:
        y = recorder.apply("slice", tuple(plan.windows), x)
    if plan.arrays:
        found = selection(plan, y.shape)
        y = recorder.apply("gather", (found.axis, found.batch), found.arranged(y), found.where)
        y = transposed(y, found.after)
        shape = (*shape[: plan.place], *found.chosen, *shape[plan.place :])
    elif plan.flags:
        y = reshaped(y, (*shape[: plan.place], 1, *shape[plan.place :]))
        if (0,) in plan.flags:
            windows = tuple((0, 1, 0 if a == plan.place else n) for a, n in enumerate(y.shape))
            y = recorder.apply("slice", windows, y)
        shape = y.shape
    return reshaped(y, shape)


def _item(x: Variable, index: tuple[int, ...]) -> Variable:
    """x[i], x[i, j]: what loops over scalars do most."""
    recorder, shape, used = x._recorder, x.shape, len(index)
    if used > len(shape):
        raise _too_many(recorder, shape, used)
    place = 0
    for axis, i in enumerate(index):
        n = shape[axis]
        if not -n <= i < n:
            raise outside(recorder, i, axis, n)
        place = place * n + (i + n if i < 0 else i)
    if used != 1:
        x = recorder.apply("reshape", (prod(shape[:used]), *shape[used:]), x)
    return recorder.apply("item", (place,), x)


def _stretch(x: Variable, index: slice) -> Variable:
    """x[start:stop:step]."""
    n = x.shape[0]
    start, stop, step = index.indices(n)
    count = len(range(start, stop, step))
    if count == n and step == 1:
        return x
    window = (start, step, count) if count > 1 else (start, 1, 1) if count else (0, 1, 0)
    return x._recorder.apply("slice", (window, *[(0, 1, m) for m in x.shape[1:]]), x)


def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Variable:
    """`numpy.take`: elements along an axis at integer indices."""
    recorder = recorder_of(a, indices)
    refuse("take", recorder, out=out)
    if mode not in {"raise", "wrap", "clip"}:
        raise unsupported("take", f"mode={mode!r}", '"raise", "wrap" or "clip"', recorder)
    x = lift(recorder, a)
    if axis is None or not x.shape:
        x, axis = reshaped(x, (x.size,)), 0
    place = normalize_axis(axis, x.ndim, "take", recorder)
    index = lift(recorder, indices) if find_variable(indices) is not None else np.asarray(indices)
    if index.dtype.kind == "b":
        index = recorder.cast(recorder.lift(index), INT)  # to `take` False is 0 and True is 1
    elif isinstance(index, np.ndarray) and index.size == 0:
        index = index.astype(np.int64)
    if mode != "raise":
        index = _moved_inside(recorder, index, x.shape[place], mode)
    return getitem(x, (*[slice(None)] * place, index))


def _moved_inside(recorder: Recorder, index: Any, n: int, mode: str) -> Any:
    """Indices counted from the start: beyond the ends from the other side ("wrap"), or the ends themselves."""
    if not n:
        return index
    if isinstance(index, np.ndarray):
        recorder.constant(index)  # so that a change of the array does not go unnoticed
        return index % n if mode == "wrap" else np.clip(index, 0, n - 1)
    v = _integer(recorder, lift(recorder, index))
    if mode == "wrap":
        return recorder.elementwise("remainder", v, n)
    return recorder.elementwise("minimum", recorder.elementwise("maximum", v, 0), n - 1)


def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Variable:
    """`numpy.take_along_axis`: along an axis the elements at indices that differ from place to place."""
    recorder = recorder_of(arr, indices)
    x, index = lift(recorder, arr), lift(recorder, indices)
    if axis is None:
        x, axis = reshaped(x, (x.size,)), 0
    place = normalize_axis(axis, x.ndim, "take_along_axis", recorder)
    if index.ndim != x.ndim:
        found, wanted = f"indices of shape {index.shape}", f"as many axes as shape {x.shape} has"
        raise ShapeError(describe("take_along_axis", found=found, wanted=wanted, line=recorder.line()))
    if index._kind != INT:
        raise DtypeError(
            describe(
                "take_along_axis", found=f"indices of dtype {index.dtype}", wanted="integers", line=recorder.line()
            )
        )
    known = indices if find_variable(indices) is None else index
    grid = np.ix_(*(np.arange(n) for n in x.shape))
    return getitem(x, (*grid[:place], known, *grid[place + 1 :]))


TABLE: Final = MappingProxyType({operator.getitem: getitem, np.take: take, np.take_along_axis: take_along_axis})
