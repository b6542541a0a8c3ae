"""Which attributes an op takes, for operands of these types: what a tape from outside is held to.

Recordings are right by construction. A tape that was read from a file is not, and kernels check nothing: an instruction
that is accepted here moves, reads and writes what is its own. An attribute may be anything made of tuples, numbers,
texts and None; integers are exactly `int`, since True == 1 == 1.0 would pass for one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Final

from tapegrad.ops.row import FLOAT, INT, ArrayType, Attribute

Accepts = Callable[[Attribute, Sequence[ArrayType]], bool]
LONGEST: Final = (1 << 31) - 1  # of an axis: BLAS counts in 32 bits
MOST_AXES: Final = 32  # the kernels' odometer has so many counters


# --- parts of attributes


def ints(values: Any, count: int | None = None) -> bool:
    """A tuple of integers, `count` of them if that is given."""
    if type(values) is not tuple or (count is not None and len(values) != count):
        return False
    return all(type(v) is int for v in values)


def flags(values: Any, count: int) -> bool:
    """So many numbers, each 0 or 1."""
    return ints(values, count) and all(v in (0, 1) for v in values)


def shape(values: Any) -> bool:
    """Lengths of axes."""
    return ints(values) and len(values) <= MOST_AXES and all(0 <= n <= LONGEST for n in values)


def axes_of(values: Any, ndim: int) -> bool:
    """Different axes, counted from the start."""
    return ints(values) and all(0 <= a < ndim for a in values) and len(set(values)) == len(values)


def windows(values: Any, whole: Sequence[int], counts: Sequence[int]) -> bool:
    """One window an axis, all of it inside an array of shape `whole`, of `counts` elements."""
    return (
        type(values) is tuple
        and len(values) == len(whole) == len(counts)
        and all(_window(w, n, count) for w, n, count in zip(values, whole, counts, strict=True))
    )


def _window(window: Any, n: int, count: int) -> bool:
    if not ints(window, 3):
        return False
    start, step, found = window
    inside = 0 <= start <= n if count == 0 else 0 <= start < n and 0 <= start + step * (count - 1) < n
    return bool(inside and found == count and 1 <= abs(step) <= n + 1)


def kinds(types: Sequence[ArrayType], wanted: str) -> bool:
    """Are the operands of these kinds, in order?"""
    return "".join(t.kind for t in types) == wanted


def alike(types: Sequence[ArrayType]) -> bool:
    """Are all operands of one kind?"""
    return all(t.kind == types[0].kind for t in types)


# --- what moves numbers


def plain(attribute: Attribute, _: Sequence[ArrayType]) -> bool:
    """No attribute, one operand of any kind."""
    return attribute == ()


def reshape(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A shape of as many elements."""
    return shape(attribute) and prod(attribute) == types[0].size


def transpose(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Every axis once."""
    ndim = len(types[0].shape)
    return axes_of(attribute, ndim) and len(attribute) == ndim


def broadcast_to(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A shape that the operand broadcasts to."""
    own = types[0].shape
    if not shape(attribute) or len(attribute) < len(own):
        return False
    return all(n in (1, m) for n, m in zip(own, attribute[len(attribute) - len(own) :], strict=True))


def slice_(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Windows inside the operand."""
    counted = type(attribute) is tuple and all(ints(w, 3) and w[2] >= 0 for w in attribute)
    return counted and windows(attribute, types[0].shape, [w[2] for w in attribute])


def pad(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A shape, and windows inside it that are shaped as the operand."""
    return len(attribute) == 2 and shape(attribute[0]) and windows(attribute[1], attribute[0], types[0].shape)


def slice_set(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Windows inside operand 0, shaped as operand 1."""
    return alike(types) and windows(attribute, types[0].shape, types[1].shape)


def slice_add(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The same, of floats."""
    return kinds(types, "ff") and slice_set(attribute, types)


def item(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A place along the first axis."""
    return ints(attribute, 1) and bool(types[0].shape) and 0 <= attribute[0] < types[0].shape[0]


def item_set(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A place along operand 0's first axis, and an operand 1 shaped as what is there."""
    return item(attribute, types) and alike(types) and types[1].shape == types[0].shape[1:]


def item_add(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The same, of floats."""
    return kinds(types, "ff") and item_set(attribute, types)


def concatenate(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis; the others have the same lengths in all operands."""
    if not along(attribute, types) or not alike(types):
        return False
    axis = attribute[0]
    return len({(len(t.shape), t.shape[:axis], t.shape[axis + 1 :]) for t in types}) == 1


# --- what goes along axes


def along(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """One axis."""
    return ints(attribute, 1) and axes_of(attribute, len(types[0].shape))


def along_numbers(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """One axis of numbers."""
    return types[0].kind in (FLOAT, INT) and along(attribute, types)


def along_some(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """One axis that is not empty."""
    return along(attribute, types) and types[0].shape[attribute[0]] > 0


def total(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Axes of numbers."""
    return types[0].kind in (FLOAT, INT) and axes_of(attribute, len(types[0].shape))


def extreme(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The same, none of them empty."""
    return total(attribute, types) and all(types[0].shape[a] > 0 for a in attribute)


def ranks(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis, and places along it, one or more."""
    if not ints(attribute) or len(attribute) < 2 or not along(attribute[:1], types):
        return False
    n = types[0].shape[attribute[0]]
    return all(0 <= k < max(n, 1) for k in attribute[1:]) or 0 in types[0].shape


def running(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis and a flag."""
    return ints(attribute, 2) and along(attribute[:1], types) and flags(attribute[1:], 1)


def search(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A flag, and how many axes in front are common; there is one more in the array that is searched."""
    if not ints(attribute, 2) or not flags(attribute[:1], 1):
        return False
    common, (a, v) = attribute[1], types
    return 0 <= common == len(a.shape) - 1 and v.shape[:common] == a.shape[:common] and len(v.shape) >= common


# --- what selects by indices


def gather(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis behind those that array and indices share."""
    x, index = types
    if not ints(attribute, 2) or index.kind != INT:
        return False
    axis, batch = attribute
    return 0 <= batch <= axis < len(x.shape) and _shares(index, x.shape, batch)


def scatter(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis, its length, and how many axes are shared; x is shaped as what was gathered."""
    if not ints(attribute, 3) or not kinds(types, "fi"):
        return False
    axis, length, batch = attribute
    x, index = types
    if not 0 <= batch <= axis <= len(x.shape) or not 0 <= length <= LONGEST or not _shares(index, x.shape, batch):
        return False
    own = index.shape[batch:]
    return x.shape[axis : axis + len(own)] == own


def scatter_add(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """An axis and how many are shared; x is shaped as what would be gathered from acc."""
    return kinds(types, "ffi") and _put(attribute, types)


def scatter_set(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The same for any kind, and a flag."""
    return ints(attribute, 3) and flags(attribute[2:], 1) and alike(types[:2]) and _put(attribute[:2], types)


def _put(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    acc, x, index = types
    if not gather(attribute, (acc, index)):
        return False
    axis, batch = attribute
    return x.shape == (*acc.shape[:axis], *index.shape[batch:], *acc.shape[axis + 1 :])


def _shares(index: ArrayType, whole: tuple[int, ...], batch: int) -> bool:
    return len(index.shape) >= batch and index.shape[:batch] == whole[:batch]


def is_last(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The length of an axis, and how many axes share it."""
    if not ints(attribute, 2) or not kinds(types, "i"):
        return False
    length, batch = attribute
    return bool(0 <= length <= LONGEST and 0 <= batch <= len(types[0].shape))
