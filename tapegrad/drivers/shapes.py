"""Shapes in place of arguments: what a function is recorded for where there are no arrays."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, final

import numpy as np

from tapegrad.drivers.arguments import Arguments, Static, bind, input_dtype, prepare, user_line
from tapegrad.errors import ShapeError, describe
from tapegrad.record.kinds import kind_of
from tapegrad.trees import Structure, flatten, unflatten

_MOST: Final = 1 << 60  # elements of an array
Dtype: TypeAlias = Any  # what np.dtype takes


@final
class Shape:
    """An array that is not there: its shape and dtype.

    Args:
        shape: its lengths, or one length.
        dtype: of its elements: floats, integers or booleans.

    Raises:
        ShapeError: lengths that are no integers of 0 or more.
        DtypeError: a dtype that no tape has.

    >>> import tapegrad as tg
    >>> tg.Shape((8, 128), int)
    Shape((8, 128), int64)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: int | Sequence[int], dtype: Dtype = np.float64) -> None:
        self.shape = _lengths(shape)
        self.dtype = np.dtype(dtype)
        kind_of(self.dtype, "Shape", user_line())

    def __repr__(self) -> str:
        return f"Shape({self.shape}, {self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))


def bind_shapes(shapes: Sequence[Any], differentiated: Sequence[int], dtype: Dtype = np.float64) -> Arguments:
    """Take shapes apart as `bind` takes arguments apart.

    Args:
        shapes: one for each argument: nested containers of shapes. A tuple of integers is the shape of an array of
            `dtype`, a `Shape` has a dtype of its own. What is neither stands for itself: an array, whose values may
            then be asked for, a float, or what is static.
        differentiated: places of those whose leaves are differentiated by.
        dtype: of the arrays of which there is only a tuple.

    Raises:
        ShapeError: shapes that are no sequence with one entry for each argument.
        DtypeError: as for `bind`.
    """
    if not isinstance(shapes, (tuple, list)) or _marked(*flatten(shapes), np.dtype(dtype))[1] is None:
        wanted = "a tuple with one entry for each argument, ((3, 4),) for one matrix"
        raise ShapeError(describe("shapes", found=f"{shapes!r}", wanted=wanted, line=user_line()))
    stands: dict[int, Any] = {}  # arrays that take no memory, by their ids

    def stand(leaf: Any) -> Any:
        if not isinstance(leaf, Shape):
            return leaf
        array = np.broadcast_to(np.zeros((), leaf.dtype), leaf.shape)
        stands[id(array)] = array
        return array

    def ready(array: Any, floating: np.dtype[Any]) -> Any:
        if id(array) in stands:
            return Shape(array.shape, input_dtype(array.dtype, floating))
        return prepare(array, floating)

    args = []
    for entry in shapes:
        leaves, structure = _marked(*flatten(entry), np.dtype(dtype))
        args.append(unflatten(structure, [stand(leaf) for leaf in leaves]))
    found = bind(args, differentiated, ready)
    given = [id(leaf) in stands for leaf in found.leaves]
    entries = tuple(
        entry if isinstance(entry, Static) or not shape else (*entry[:-1], True)  # an array would be in C order
        for entry, shape in zip(found.signature.leaves, given, strict=True)
    )
    return replace(found, signature=replace(found.signature, leaves=entries))


def _marked(
    leaves: Sequence[Any], structure: Structure | None, dtype: np.dtype[Any]
) -> tuple[list[Any], Structure | None]:
    """A container's leaves and structure where each tuple of integers is one leaf, a `Shape`."""
    if structure is None:
        return list(leaves), None
    if structure.form is tuple and all(map(_is_length, leaves)) and not any(structure.children):
        return [Shape(tuple(leaves), dtype)], None
    found: list[Any] = []
    children, start = [], 0
    for child in structure.children:
        size = 1 if child is None else child.size
        part, inner = _marked(leaves[start : start + size], child, dtype)
        found += part
        children.append(inner)
        start += size
    return found, replace(structure, children=tuple(children))


def _is_length(leaf: Any) -> bool:
    return isinstance(leaf, (int, np.integer)) and not isinstance(leaf, bool)


def _lengths(shape: Any) -> tuple[int, ...]:
    try:
        found = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    except TypeError:
        found = (-1,)
    if min(found, default=0) < 0:
        wanted = "lengths: integers of 0 or more"
        raise ShapeError(describe("Shape", found=f"{shape!r}", wanted=wanted, line=user_line()))
    if math.prod(n or 1 for n in found) > _MOST:
        wanted = f"at most {_MOST:,} elements, which is what NumPy can count"
        raise ShapeError(describe("Shape", found=f"{shape!r}", wanted=wanted, line=user_line()))
    return found
