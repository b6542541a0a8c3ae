"""Instructions that no kernel runs: the sweep stops and calls them, on arrays where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.ops.row import ArrayType, Attribute, Op
from tapegrad.ops.table import OPS
from tapegrad.schedule.buffers import Placement
from tapegrad.schedule.code import CALLED, Code
from tapegrad.tape import Tape


@dataclass(frozen=True, slots=True)
class Place:
    """Where an array is, in C order."""

    base: int
    offset: int
    type: ArrayType


@dataclass(frozen=True, slots=True)
class Call:
    """What is called, and where its operands and its result are."""

    op: Op
    attribute: Attribute
    line: str
    operands: tuple[Place, ...]
    result: Place


def calls_of(tape: Tape, code: Code, placement: Placement) -> dict[int, Call]:
    """What the sweep stops for, by segment."""

    def place(slot: int) -> Place:
        return Place(int(placement.base[slot]), int(placement.offset[slot]), tape.type(slot))

    found: dict[int, Call] = {}
    segments: Any = code.segments
    for s in np.flatnonzero(segments[:, 0] == CALLED).tolist():
        i = int(segments[s, 5])
        operands = tuple(place(operand) for operand in tape.read(i))
        found[s] = Call(OPS[tape.opcodes[i]], tape.attribute(i), tape.line(i), operands, place(i))
    return found
