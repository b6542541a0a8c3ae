"""Tape -> Program: what the sweep runs. The place where rows, tiles and threads will be decided.

Today's plan is the plain one: instructions in the tape's order, arrays whole, runs of scalar instructions
kept together.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import ArrayType
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.passes.signature import signatures
from tapegrad.schedule.buffers import CELL_BYTES, place
from tapegrad.schedule.emit import Code, emit, view_offsets
from tapegrad.schedule.layout import LEAF, VIEW, Layout, Layouts
from tapegrad.sweep.layout import WORDS
from tapegrad.tape import Tape

CHECKS: Final = "TAPEGRAD_CHECKS"  # environment variable: "poison", "bounds", or both with a comma


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A tape laid out in memory, ready to run.

    Bases are the arena (0), the inputs, the array constants, the outputs, in this order; an address is
    base << 48 | byte offset.

    Attributes:
        code: segments, records, rows of the scalar machine, and which instruction each came from.
        tape: the tape, for messages.
        image: bytes of the scalar constants, at the start of the arena.
        arena: bytes of the arena.
        constants: the array constants, one base each.
        outputs: types of the results.
        loops: places in `LOOPS` of the ufunc loops that are called; `products`: is BLAS?
        poison, bounds: the checking modes.
    """

    code: Code
    tape: Tape
    image: Any
    arena: int
    constants: tuple[Any, ...]
    outputs: tuple[ArrayType, ...]
    loops: frozenset[int]
    products: bool
    poison: bool
    bounds: bool


def checks() -> tuple[bool, bool]:
    """(poison, bounds), from the environment."""
    wanted = os.environ.get(CHECKS, "").split(",")
    return "poison" in wanted, "bounds" in wanted


def _layouts(tape: Tape, firsts: Any) -> list[Layout]:
    maker = Layouts(tape.dtype)
    found = []
    for i in firsts.tolist():
        op = OPS[tape.opcodes[i]]
        if tape.opcodes[i] == INPUT:
            found.append(maker.argument(tape.type(i)))
            continue
        attribute = () if op.leaf else tape.attribute(i)
        found.append(maker.of(op, attribute, [tape.type(s) for s in tape.read(i)], tape.type(i)))
    return found


def _leaves(tape: Tape, scalar: Any) -> tuple[Any, Any, Any, list[Any], int]:
    """(base, offset) of every leaf by slot, the image of scalar constants, array constants, first output."""
    n = len(tape)
    base, offset = np.zeros(n, np.int64), np.zeros(n, np.int64)
    base[tape.inputs] = 1 + np.arange(len(tape.inputs))
    cells: list[bytes] = []
    arrays: list[Any] = []
    places: dict[int, int] = {}
    for i in np.flatnonzero(tape.opcodes == CONSTANT).tolist():
        value = tape.constants[tape.attribute_ids[i]]
        if scalar[i]:
            offset[i] = CELL_BYTES * len(cells)
            cells.append(value.tobytes().ljust(CELL_BYTES, b"\0"))
            continue
        k = places.setdefault(int(tape.attribute_ids[i]), len(arrays))
        if k == len(arrays):
            arrays.append(np.ascontiguousarray(value))
        base[i] = 1 + len(tape.inputs) + k
    image = np.frombuffer(b"".join(cells), np.uint8)
    return base, offset, image, arrays, 1 + len(tape.inputs) + len(arrays)


def schedule(tape: Tape) -> Program:
    """Lay a tape out in memory. Time and memory grow linearly with its length."""
    poison, bounds = checks()
    signature, firsts = signatures(tape)
    found = _layouts(tape, firsts)
    scalar = np.array([t.shape == () for t in tape.types], np.bool_)[tape.type_ids]
    form = np.array([f.form for f in found], np.int32)[signature]
    leaf_base, leaf_offset, image, arrays, first_output = _leaves(tape, scalar)
    maker = Layouts(tape.dtype)
    nbytes = np.array([maker.nbytes(t) for t in tape.types], np.int64)[tape.type_ids]
    placement = place(
        form,
        tape.starts,
        tape.operands,
        view_offsets(tape, found, signature),
        np.array([f.in_place for f in found], np.int64)[signature],
        nbytes,
        scalar,
        leaf_base,
        leaf_offset,
        tape.dependents.tolist(),
        first_output,
        (LEAF, VIEW),
        len(image),
    )
    outputs = tuple(tape.type(d) for d in tape.dependents.tolist())
    code = emit(tape, found, signature, form, placement, first_output, maker, poison=poison)
    return Program(
        code=code,
        tape=tape,
        image=image,
        arena=placement.arena,
        constants=tuple(arrays),
        outputs=outputs,
        loops=frozenset(lay.loop for lay in found if lay.loop >= 0),
        products=any(r.words[0] == WORDS["MATMUL"] for lay in found for r in lay.records),
        poison=poison,
        bounds=bounds,
    )
