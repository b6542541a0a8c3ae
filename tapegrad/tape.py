"""The Wengert tape: a recorded function as flat arrays.

Instruction i has the opcode `opcodes[i]`, reads the slots `operands[starts[i]:starts[i+1]]`, all of them
smaller than i, and its value is slot i: the tape is in static single assignment form.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.table import OPS

Ints = NDArray[np.int32]
T = TypeVar("T", bound=Hashable)


@dataclass(slots=True)
class Interner(Generic[T]):
    """Gives equal things the same small integer."""

    items: list[T] = field(default_factory=list)
    places: dict[T, int] = field(default_factory=dict)

    @classmethod
    def of(cls, items: Sequence[T]) -> Interner[T]:
        """An interner that already knows `items`."""
        return cls(list(items), {item: k for k, item in enumerate(items)})

    def __call__(self, item: T) -> int:
        """Give the place of an item, a new one if it is new."""
        place = self.places.get(item)
        if place is None:
            place = self.places[item] = len(self.items)
            self.items.append(item)
        return place


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A recorded function.

    Attributes:
        opcodes: uint16[n], the place of each instruction's op in `tapegrad.ops.table.OPS`.
        starts: int32[n+1], where each instruction's operands begin.
        operands: int32[m], slots.
        type_ids: int32[n], places in `types`: shape and kind of each slot.
        attribute_ids: int32[n], places in `attributes`; for an input its place among the arguments, for a
            constant its place in `constants`, for an op with an immediate attribute that integer itself.
        line_ids: int32[n], places in `lines`: the source line that recorded the instruction.
        inputs: int32[], the slot of each argument's array.
        independents: int32[], the slots to differentiate by, a subset of `inputs`.
        dependents: int32[], the slots that are the result.
        reverse: where the reverse part starts; n where there is none.
        dtype: the one floating dtype of the tape.
    """

    opcodes: NDArray[np.uint16]
    starts: Ints
    operands: Ints
    type_ids: Ints
    attribute_ids: Ints
    line_ids: Ints
    types: tuple[ArrayType, ...]
    attributes: tuple[Attribute, ...]
    constants: tuple[NDArray[Any], ...]
    lines: tuple[str, ...]
    inputs: Ints
    independents: Ints
    dependents: Ints
    reverse: int
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.opcodes)

    @property
    def nbytes(self) -> int:
        """Bytes that the instructions take, constants not counted."""
        arrays = (self.opcodes, self.starts, self.operands, self.type_ids, self.attribute_ids, self.line_ids)
        return sum(a.nbytes for a in arrays)

    def type(self, slot: int) -> ArrayType:
        """Shape and kind of a slot."""
        return self.types[int(self.type_ids[slot])]

    def read(self, i: int) -> list[int]:
        """The slots that instruction i reads."""
        slots: list[int] = self.operands[self.starts[i] : self.starts[i + 1]].tolist()
        return slots

    def attribute(self, i: int) -> Attribute:
        """The attribute of instruction i, which is not a leaf."""
        if OPS[self.opcodes[i]].immediate:
            return (int(self.attribute_ids[i]),)
        return self.attributes[int(self.attribute_ids[i])]

    def line(self, i: int) -> str:
        """The source line that recorded instruction i, as "file:line"."""
        return self.lines[int(self.line_ids[i])]
