"""Tape -> Program: what the sweep runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.row import ArrayType
from tapegrad.ops.table import CONSTANT, OPS, flags
from tapegrad.schedule.buffers import CELL_BYTES, Placement, Wanted, place
from tapegrad.schedule.call import Call, calls_of
from tapegrad.schedule.code import SHIFT, Code, Emission, Templates
from tapegrad.schedule.draft import Draft, drafted
from tapegrad.schedule.emit import emit
from tapegrad.schedule.layout import LEAF, VIEW
from tapegrad.schedule.modes import PER_ROW, REDUCTION, WHOLE
from tapegrad.schedule.phases import Phases
from tapegrad.schedule.plan import Plan
from tapegrad.schedule.record import Record
from tapegrad.schedule.slots import Slots
from tapegrad.sweep.layout import FIRST_INPUT, W0, WORDS
from tapegrad.tape import Tape

CHECKS: Final = "TAPEGRAD_CHECKS"  # environment variable: "poison", "bounds", or both with a comma
MOST_BASES: Final = 1 << 15  # an address has fifteen bits for its base
_SOLUTIONS: Final = frozenset({"lu", "lu_solve", "solve_triangular"})  # run by SciPy's LAPACK
LARGE: Final = 1 << 24  # multiply-adds of a product that more threads make faster


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """A tape laid out in memory, ready to run.

    Bases are the arena, the windows of rows, the reductions, the inputs, the array constants, the outputs, in
    this order; an address is base << 48 | byte offset.

    Attributes:
        code: segments, records, rows of the scalar machine, and which instruction each came from.
        tape: the tape as it runs: scheduling reorders it, and may pull factors out of loops.
        plan: loops over rows and their tiles.
        image: bytes of the scalar constants, at the start of the arena.
        arena, tiles: bytes of the arena, and of all windows of rows.
        constants: the array constants, one base each.
        outputs: types of the results.
        sums: what the threads of a loop add up.
        calls: by segment, what the sweep stops for.
        loops: places in `LOOPS` of the ufunc loops that are called, and after those of the user's `functions`;
            `products`: is BLAS? `wide`: has it
            whole products that more threads make faster?
        poison, bounds: the checking modes.
        recomputed: how many instructions are there again, so that less is kept (`tapegrad.schedule.within`).
    """

    code: Code
    tape: Tape
    plan: Plan
    image: Any
    arena: int
    tiles: int
    constants: tuple[Any, ...]
    outputs: tuple[ArrayType, ...]
    sums: tuple[Sum, ...]
    calls: Mapping[int, Call]
    loops: frozenset[int]
    functions: tuple[Any, ...]
    products: bool
    wide: bool
    poison: bool
    bounds: bool
    recomputed: int = 0

    @property
    def workspace(self) -> int:
        """Bytes of the arena and of all windows of rows: what a sweep on one thread has beside its arrays."""
        return self.arena + self.tiles


@dataclass(frozen=True, slots=True)
class Sum:
    """The result of a reduction over rows: its loop, where it is, its type, "sum", "max" or "min"."""

    loop: int
    base: int
    offset: int
    type: ArrayType
    how: str


def checks() -> tuple[bool, bool]:
    """(poison, bounds), from the environment."""
    wanted = os.environ.get(CHECKS, "").split(",")
    return "poison" in wanted, "bounds" in wanted


def _leaves(tape: Tape, scalar: Any) -> tuple[Any, Any, Any, list[Any], int]:
    """(base, offset) of every leaf by slot, the image of scalar constants, array constants, first output."""
    n = len(tape)
    base, offset = np.zeros(n, np.int64), np.zeros(n, np.int64)
    base[tape.inputs] = FIRST_INPUT + np.arange(len(tape.inputs))
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
        base[i] = FIRST_INPUT + len(tape.inputs) + k
    image = np.frombuffer(b"".join(cells), np.uint8)
    return base, offset, image, arrays, FIRST_INPUT + len(tape.inputs) + len(arrays)


def schedule(tape: Tape, *, height: int | None = None) -> Program:
    """Lay a tape out in memory. Time and memory grow linearly with its length.

    Args:
        tape: any tape.
        height: rows of a tile; chosen by `tapegrad.schedule.plan` where it is None, 0 to run everything whole.
    """
    return program_of(drafted(tape, height))


def _wanted(draft: Draft, leaves: tuple[Any, Any]) -> Wanted:
    """What is to be placed."""
    tape, found, known, form = draft.tape, draft.found, draft.known, draft.form
    row_bytes = draft.row_bytes
    nbytes = np.array([draft.maker.nbytes(t) for t in tape.types], np.int64)[tape.type_ids]
    n = len(tape)
    first, last, height = np.arange(n), np.arange(n), np.zeros(n, np.int64)
    for loop in draft.plan.loops:
        span = slice(loop.first, loop.last + 1)
        first[span], last[span], height[span] = loop.first, loop.last, loop.height
    window = (known.kind == PER_ROW) & ~known.full & (form != VIEW)
    sizes = np.where(window, row_bytes * (height + known.history), nbytes)
    for i in np.flatnonzero(known.follows >= 0)[::-1].tolist():  # a buffer is as large as what it grows into
        sizes[known.follows[i]] = max(sizes[known.follows[i]], sizes[i])
    scalar = np.array([t.shape == () for t in tape.types], np.bool_)[tape.type_ids]
    turned = np.array([not s.plain for s in found.storages], np.bool_)[found.storage]
    alike = np.where(known.kind == PER_ROW, known.level.astype(np.int64) << 32 | known.lag, -1)
    reducing = known.kind == REDUCTION
    layouts = found.layouts
    return Wanted(
        leaf=form == LEAF,
        view=form == VIEW,
        root=known.root,
        offset=_view_offsets(tape, found),
        nbytes=sizes,
        in_place=np.where(reducing, 0, np.array([f.in_place for f in layouts], np.int64)[found.signature]),
        follows=_follows(tape, found, known, form),
        alike=alike,
        lasting=known.history > 0,
        window=window[known.root] & (form != LEAF),
        first=first,
        last=last,
        scalar=scalar,
        turned=turned,
        leaf_base=leaves[0],
        leaf_offset=leaves[1],
    )


def _follows(tape: Tape, found: Slots, known: Phases, form: Any) -> Any:
    """The slot whose buffer an instruction goes on with in any case: nothing else reads it afterwards."""
    n = len(tape)
    follows = known.follows.copy()
    readers = np.bincount(tape.operands, minlength=n)
    readers[tape.dependents] += 1
    adding = np.flatnonzero(flags("accumulates")[tape.opcodes] & (known.kind == REDUCTION))
    if not len(adding):
        return follows
    before = tape.operands[tape.starts[adding]]
    alike = (found.storage[before] == found.storage[adding]) & (readers[before] == 1) & (form[before] > VIEW)
    chosen = alike & (known.root[before] == before) & np.isin(known.kind[before], [WHOLE, REDUCTION])
    follows[adding[chosen]] = before[chosen]
    return follows


def _view_offsets(tape: Tape, found: Slots) -> Any:
    """int64[n]: where in its operand's memory each view starts, in bytes."""
    start = np.array([lay.offset for lay in found.layouts], np.int64)[found.signature]
    scale = np.array([lay.scale for lay in found.layouts], np.int64)[found.signature]
    return start + scale * tape.attribute_ids


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """Where the slots of a draft are: what was wanted, what came of it.

    `image`: bytes of the scalar constants; `constants`: the array constants; `first_output`: the first result's base.
    """

    wanted: Wanted
    placement: Placement
    image: Any
    constants: list[Any]
    first_output: int

    @property
    def workspace(self) -> int:
        """Bytes of the arena and of all windows of rows."""
        return self.placement.arena + self.placement.tiles


def placed(draft: Draft) -> Placed:
    """Place the slots."""
    tape = draft.tape
    scalar = np.array([t.shape == () for t in tape.types], np.bool_)[tape.type_ids]
    leaf_base, leaf_offset, image, arrays, first_output = _leaves(tape, scalar)
    wanted = _wanted(draft, (leaf_base, leaf_offset))
    dependents = tape.dependents.tolist()
    bases = first_output + len(dependents)
    if bases > MOST_BASES:
        count = f"{bases} arrays that are arguments, captured or results"
        raise UnsupportedError(describe("a program", found=count, wanted=f"at most {MOST_BASES}: stack them"))
    placement = place(tape.starts, tape.operands, wanted, dependents, first_output, len(image))
    return Placed(wanted, placement, image, arrays, first_output)


def program_of(draft: Draft, known_places: Placed | None = None) -> Program:
    """Write the code, placing the slots where that has not been done."""
    tape, maker, found, known = draft.tape, draft.maker, draft.found, draft.known
    form, plan = draft.form, draft.plan
    poison, bounds = checks()
    where = known_places or placed(draft)
    wanted, placement = where.wanted, where.placement
    extra = wanted.offset.copy()
    extra[tape.inputs] = (FIRST_INPUT + np.arange(len(tape.inputs))) << SHIFT
    emission = Emission(
        form=form,
        signature=found.signature,
        kind=known.kind,
        starts=tape.starts,
        operands=tape.operands,
        attribute=tape.attribute_ids,
        placement=placement,
        extra=extra,
        loops=plan.loops,
        lag=known.lag,
        history=np.where(wanted.window & (form != VIEW), known.history, 0),
        ahead=np.where(wanted.window, (known.history + known.lag)[known.root], -1),
        row_bytes=draft.row_bytes,
        reach=placement.buffer_bytes,
        storage=found.storage,
        storages=found.storages,
        dependents=tape.dependents.tolist(),
        first_output=where.first_output,
    )
    layouts = found.layouts
    code = emit(emission, Templates.of(layouts), layouts, maker, poison=poison, bounds=bounds)
    calls = calls_of(tape, code, placement)
    return Program(
        code=code,
        tape=tape,
        plan=plan,
        image=where.image,
        arena=placement.arena,
        tiles=placement.tiles,
        constants=tuple(where.constants),
        outputs=tuple(tape.type(d) for d in tape.dependents.tolist()),
        sums=_sums(tape, known, plan, placement, form),
        calls=MappingProxyType(calls),
        loops=frozenset(lay.loop for lay in layouts if lay.loop >= 0),
        functions=found.functions,
        products=any(r.words[0] == WORDS["MATMUL"] for lay in layouts for r in lay.records),
        wide=any(_is_wide(r) for lay in layouts for r in lay.records) or any(map(_is_large, calls.values())),
        poison=poison,
        bounds=bounds,
        recomputed=draft.recomputed,
    )


def _is_wide(record: Record) -> bool:
    """Is it a whole product of many multiply-adds?"""
    if record.words[0] != WORDS["MATMUL"] or record.following is not None:
        return False
    m, n, k = record.words[W0 : W0 + 3]
    return m * n * k >= LARGE


def _is_large(call: Call) -> bool:
    """Is it a solution of many equations? It is LAPACK's, which calls the same BLAS."""
    return call.op.name in _SOLUTIONS and call.operands[0].type.shape[-1] ** 3 >= LARGE


def _sums(tape: Tape, known: Phases, plan: Plan, placement: Placement, form: Any) -> tuple[Sum, ...]:
    """The reductions of each loop, each buffer once."""
    found: dict[tuple[int, int], Sum] = {}
    for q, loop in enumerate(plan.loops):
        for i in range(loop.first, loop.last + 1):
            if known.kind[i] != REDUCTION or form[i] <= VIEW or not tape.type(i).size:
                continue
            name = OPS[tape.opcodes[i]].name
            how = name if name in {"max", "min"} else "sum"
            base, offset = int(placement.base[i]), int(placement.offset[i])
            found[q, int(placement.buffer[i])] = Sum(q, base, offset, tape.type(i), how)
    return tuple(found.values())
