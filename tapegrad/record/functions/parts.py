"""Parts of an array in the terms of the tape: what a NumPy view shows, told from its address and strides.

Mostly it is a window of the array's axes, which then may stand in another order. A diagonal is a window of the array
laid out flat. Anything else is a list of places.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from tapegrad.ops.windows import Windows
from tapegrad.record.functions.common import reshaped, transposed
from tapegrad.record.variable import Variable


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an array.

    Attributes:
        shape: the part's.
        windows: a window of the array's axes, None where it is no such; `order`: of the axes that have a length in the
            part, those of the array.
        stretch: else (start, step, count) of the array laid out flat;
        places: else where each element stands in that.
    """

    shape: tuple[int, ...]
    windows: Windows | None = None
    order: tuple[int, ...] = ()
    stretch: tuple[int, int, int] | None = None
    places: Any = None

    @property
    def straight(self) -> bool:
        """Are the elements in the array's own order?"""
        return self.windows is not None and list(self.order) == sorted(self.order)

    def fills(self, shape: tuple[int, ...]) -> bool:
        """Is it all of an array of this shape, no axis turned round?"""
        return self.windows == tuple((0, 1, n) for n in shape)

    def cell(self, shape: tuple[int, ...]) -> tuple[int, int] | None:
        """(place, depth) if it is one of the items of the array's first axes merged, in a shape of any kind."""
        if self.windows is None:
            return None
        depth = len(shape)
        while depth and self.windows[depth - 1] == (0, 1, shape[depth - 1]):
            depth -= 1
        place = 0
        for (start, _, count), n in zip(self.windows[:depth], shape[:depth], strict=True):
            if count != 1:
                return None
            place = place * n + start
        return (place, depth) if depth else None

    def read(self, x: Variable) -> Variable:
        """The part of an array."""
        if self.windows is not None:
            if self.windows != tuple((0, 1, n) for n in x.shape):
                x = x._recorder.apply("slice", self.windows, x)
            own = sorted(self.order)
            y = reshaped(x, tuple(x.shape[a] for a in own))
            return reshaped(transposed(y, tuple(own.index(a) for a in self.order)), self.shape)
        flat = reshaped(x, (x.size,))
        if self.stretch is not None:
            return reshaped(x._recorder.apply("slice", (self.stretch,), flat), self.shape)
        return x._recorder.apply("gather", (0, 0), flat, self._index(x))

    def write(self, x: Variable, value: Variable) -> Variable:
        """The array with a value in place of the part: of its shape, or one number."""
        recorder = x._recorder
        if self.windows is not None:
            return recorder.apply("slice_set", self.windows, x, self.arranged(value))
        flat = reshaped(x, (x.size,))
        if self.stretch is not None:
            y = spread(value, self.shape)
            flat = recorder.apply("slice_set", (self.stretch,), flat, reshaped(y, (y.size,)))
        else:
            flat = recorder.apply("scatter_set", (0, 0, 1), flat, spread(value, self.shape), self._index(x))
        return reshaped(flat, x.shape)

    def arranged(self, value: Variable) -> Variable:
        """A value of the part's shape, or one number, as the window of the array's axes has it."""
        assert self.windows is not None
        counts = tuple(count for _, _, count in self.windows)
        if value.size == 1:
            return spread(reshaped(value, ()), counts)
        y = reshaped(value, tuple(counts[a] for a in self.order))
        order = tuple(int(k) for k in np.argsort(self.order))
        return reshaped(transposed(y, order), counts)

    def _index(self, x: Variable) -> Variable:
        return x._recorder.constant(np.ascontiguousarray(self.places).data)

    def item(self, value: Variable, shape: tuple[int, ...]) -> Variable:
        """A value of the part's shape, or one number, in the shape of the item that the part is."""
        if value.size == 1:
            return spread(reshaped(value, ()), shape)
        return reshaped(self.arranged(value), shape)


def spread(value: Variable, shape: tuple[int, ...]) -> Variable:
    """The value broadcast to a shape."""
    return value if value.shape == shape else value._recorder.apply("broadcast_to", shape, value)


def is_part(found: Any, whole: Any) -> bool:
    """Is an array, made of another by NumPy, a view of it?"""
    memory = whole if whole.base is None else whole.base
    return isinstance(found, np.ndarray) and (found is whole or found is memory or found.base is memory)


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def part_of(found: Any, whole: Any) -> Part:
    """The part of an array that a view shows; both are arrays of bytes, the array in one piece, and none is empty."""
    offset, strides = _address(found) - _address(whole), whole.strides
    long = sorted((a for a, n in enumerate(whole.shape) if n > 1), key=lambda a: -strides[a])
    windows, rest = [(0, 1, 1)] * whole.ndim, offset
    for a in long:
        start, rest = divmod(rest, strides[a])
        windows[a] = (start, 1, 1)
    order: list[int] = []
    for count, step in zip(found.shape, found.strides, strict=True):
        if count == 1:
            continue
        axis = next((a for a in long if strides[a] <= abs(step)), -1)
        if axis < 0 or axis in order or step % strides[axis]:
            return _other(found, whole, offset)
        start, step = windows[axis][0], step // strides[axis]  # noqa: PLW2901 - in steps of the axis
        if not 0 <= start + step * (count - 1) < whole.shape[axis]:
            return _other(found, whole, offset)
        windows[axis] = (start, step, count)
        order.append(axis)
    return Part(found.shape, tuple(windows), tuple(order))


def _other(found: Any, whole: Any, offset: int) -> Part:
    long = [(n, step) for n, step in zip(found.shape, found.strides, strict=True) if n > 1]
    if len(long) == 1 and whole.flags.c_contiguous and long[0][1]:
        return Part(found.shape, stretch=(offset, long[0][1], long[0][0]))
    places = np.empty_like(whole, dtype=np.int64)
    places[...] = np.arange(prod(whole.shape)).reshape(whole.shape)
    flat = places.ravel(order="K")
    strides = [8 * step for step in found.strides]
    return Part(found.shape, places=np.ndarray(found.shape, np.int64, flat, 8 * offset, strides).copy())
