"""Instructions that become several: the last of them takes the place of the one they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.tape import Interner, Tape


@dataclass(slots=True, eq=False)
class Spread:
    """A tape in the making, with room for more instructions.

    Attributes:
        tape: what it is made of.
        width: how many instructions each of the tape's becomes.
        place: where each slot's value is found now.
        opcodes, type_ids, attribute_ids: of the new instructions; at first those of the old one they come from.
        reads: what instructions read that have been put.
    """

    tape: Tape
    width: Any
    place: Any
    opcodes: Any
    type_ids: Any
    attribute_ids: Any
    types: Interner[ArrayType]
    attributes: Interner[Attribute]
    reads: dict[int, list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, tape: Tape, chosen: Sequence[int], counts: Any) -> Spread:
        """Room for `counts` instructions in place of each that is chosen."""
        width = np.ones(len(tape), np.int64)
        width[chosen] = counts
        old = np.repeat(np.arange(len(tape)), width)
        own = tape.opcodes[old], tape.type_ids[old], tape.attribute_ids[old]
        return cls(tape, width, np.cumsum(width) - 1, *own, Interner.of(tape.types), Interner.of(tape.attributes))

    def first(self, i: int) -> int:
        """The slot of the first of the instructions that stand for instruction i."""
        return int(self.place[i] - self.width[i]) + 1

    def operands(self, i: int) -> list[int]:
        """What instruction i reads, in the new slots."""
        found: list[int] = self.place[self.tape.read(i)].tolist()
        return found

    def put(self, slot: int, opcode: int, reads: list[int], attribute: Attribute, kind: ArrayType | None = None) -> int:
        """An instruction at a slot; without a type it has that of the instruction it stands for."""
        self.opcodes[slot], self.reads[slot] = opcode, reads
        self.attribute_ids[slot] = self.attributes(attribute)
        if kind is not None:
            self.type_ids[slot] = self.types(kind)
        return slot

    def finish(self) -> Tape:
        """The tape."""
        tape, place = self.tape, self.place
        widths = np.diff(tape.starts)
        counts = np.zeros(len(self.opcodes), np.int64)
        counts[place] = widths
        put = list(self.reads)
        counts[put] = [len(self.reads[slot]) for slot in put]
        starts = np.zeros(len(counts) + 1, np.int32)
        np.cumsum(counts, out=starts[1:])
        operands = np.empty(int(starts[-1]), np.int32)
        kept = np.ones(len(counts), np.bool_)
        kept[put] = False
        mine = np.repeat(kept[place], widths)  # operands of instructions that stay
        shift = np.repeat(starts[place] - tape.starts[:-1], widths)
        operands[(np.arange(len(tape.operands)) + shift)[mine]] = place[tape.operands[mine]]
        for slot in put:
            operands[starts[slot] : starts[slot + 1]] = self.reads[slot]
        return replace(
            tape,
            opcodes=self.opcodes,
            starts=starts,
            operands=operands,
            type_ids=self.type_ids,
            attribute_ids=self.attribute_ids,
            line_ids=np.repeat(tape.line_ids, self.width),
            types=tuple(self.types.items),
            attributes=tuple(self.attributes.items),
            inputs=place[tape.inputs].astype(np.int32),
            independents=place[tape.independents].astype(np.int32),
            dependents=place[tape.dependents].astype(np.int32),
            reverse=int(self.width[: tape.reverse].sum()),
        )
