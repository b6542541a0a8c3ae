"""The only mutable memory of a sweep: the arena, scratch words, bases and the control block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.schedule.program import Program
from tapegrad.sweep.addresses import blas_table, loop_table
from tapegrad.sweep.layout import CONTROL, WORDS

_SCRATCH_WORDS: Final = 128
_ALIGNMENT: Final = 64


def address(array: Any) -> int:
    """Where an array's data lies."""
    found: int = array.__array_interface__["data"][0]
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """What one sweep at a time may write to.

    Attributes:
        arena: uint8[], aligned; the scalar constants first.
        control, bases, extents: int64[], read by the kernel through their addresses.
        control_address: where the control block is.
        kept: arrays that must live as long as their addresses are in use.
    """

    arena: Any
    control: Any
    control_address: int
    bases: Any
    extents: Any
    kept: tuple[Any, ...]

    @classmethod
    def of(cls, program: Program) -> Workspace:
        """Memory for a program, filled with what never changes."""
        memory = np.zeros(program.arena + _ALIGNMENT, np.uint8)
        start = -address(memory) % _ALIGNMENT
        arena = memory[start : start + program.arena]
        arena[: len(program.image)] = program.image
        inputs = len(program.tape.inputs)
        constants = program.constants
        bases = np.zeros(1 + inputs + len(constants) + len(program.outputs), np.int64)
        extents = np.zeros_like(bases)
        bases[0], extents[0] = address(arena), program.arena
        for k, value in enumerate(constants):
            bases[1 + inputs + k], extents[1 + inputs + k] = address(value), value.nbytes
        scratch = np.zeros(_SCRATCH_WORDS, np.int64)
        loops = loop_table(program.loops, program.tape.dtype)
        blas = blas_table(program.tape.dtype) if program.products else np.zeros(2, np.int64)
        code = program.code
        control = np.zeros(len(CONTROL), np.int64)
        arrays = {
            "SEGMENTS": code.segments,
            "RECORDS": code.records,
            "SCALARS": code.rows,
            "BASES": bases,
            "EXTENTS": extents,
            "SIDE": code.side,
            "LOOPS": loops,
            "BLAS": blas,
            "SCRATCH": scratch,
        }
        for name, array in arrays.items():
            control[WORDS[name]] = address(array)
        control[WORDS["SEGMENT_COUNT"]] = len(code.segments)
        control[WORDS["CHECK"]] = program.bounds
        return cls(arena, control, address(control), bases, extents, (memory, program, *arrays.values()))
