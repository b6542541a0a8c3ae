"""The only mutable memory of a sweep: the arena, scratch words, bases and the control block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.schedule.program import Program
from tapegrad.sweep.blas import blas_table
from tapegrad.sweep.fresh import checker
from tapegrad.sweep.layout import ALL_ROWS, ARENA, CONTROL, FIRST_INPUT, SUMS, TILES, WORDS
from tapegrad.sweep.loops import loop_table

_SCRATCH_WORDS: Final = 128
_ALIGNMENT: Final = 64
POISON: Final = 255  # bytes of nan


def address(array: Any) -> int:
    """Where an array's data lies."""
    found: int = array.__array_interface__["data"][0]
    return found


def aligned(nbytes: int) -> Any:
    """Zeroed bytes that begin at a multiple of the alignment."""
    memory = np.zeros(nbytes + _ALIGNMENT, np.uint8)
    start = -address(memory) % _ALIGNMENT
    return memory[start : start + nbytes]


@dataclass(frozen=True, slots=True, eq=False)
class Workspace:
    """What one sweep at a time may write to.

    Attributes:
        arena: uint8[], aligned; the scalar constants first.
        tiles: uint8[], aligned: windows of rows.
        control, bases, extents: int64[], read by the kernel through their addresses.
        control_address: where the control block is.
        scratch: int64[], for the kernels; `workers`: what further threads have, made when they are needed.
        kept: arrays that must live as long as their addresses are in use.
    """

    arena: Any
    tiles: Any
    control: Any
    control_address: int
    bases: Any
    extents: Any
    scratch: Any
    workers: list[Any]
    kept: tuple[Any, ...]

    @classmethod
    def of(cls, program: Program) -> Workspace:
        """Memory for a program, filled with what never changes."""
        arena, tiles = aligned(program.arena), aligned(program.tiles)
        arena[: len(program.image)] = program.image
        inputs = len(program.tape.inputs)
        constants = program.constants
        bases = np.zeros(FIRST_INPUT + inputs + len(constants) + len(program.outputs), np.int64)
        extents = np.zeros_like(bases)
        for base, memory in ((ARENA, arena), (TILES, tiles), (SUMS, arena)):
            bases[base], extents[base] = address(memory), memory.nbytes
        for k, value in enumerate(constants, FIRST_INPUT + inputs):
            bases[k], extents[k] = address(value), value.nbytes
        scratch = np.zeros(_SCRATCH_WORDS, np.int64)
        loops = loop_table(program.loops, program.functions, program.tape.dtype)
        blas = blas_table(program.tape.dtype) if program.products else np.zeros(2, np.int64)
        code = program.code
        control = np.zeros(len(CONTROL), np.int64)
        arrays = {
            "SEGMENTS": code.segments,
            # A loop over rows counts them in its records.
            "RECORDS": code.records.copy() if program.plan.loops else code.records,
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
        control[WORDS["LAST"]], control[WORDS["TO"]] = len(code.segments), ALL_ROWS
        control[WORDS["CHECK"]] = checker() if program.bounds else 0
        return cls(arena, tiles, control, address(control), bases, extents, scratch, [], (program, *arrays.values()))
