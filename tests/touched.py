"""What a program touches: its records are followed byte by byte without computing anything.

Each byte of memory bears the slot and the row whose value was written there last. A record must find the values of its
operands, in the rows that the operation relates to the rows it writes, and may write into memory of its own alone. So
liveness, history, margins and addresses are checked independently of how the scheduler came by them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapegrad.ops.table import OPS
from tapegrad.schedule.code import CALLED, SCALARS, SHIFT, TILED, Emission
from tapegrad.schedule.layout import CELL, LEAF, ROW, VIEW
from tapegrad.schedule.modes import ALIGNED, PER_ROW, REDUCTION, Mode, mode
from tapegrad.schedule.plan import Loop
from tapegrad.schedule.program import Program
from tapegrad.schedule.relations import relations
from tapegrad.schedule.rows import NO_ROW
from tapegrad.sweep.layout import ALL_ROWS, ARENA, BOUNDS, FIRST_INPUT, FOLLOW, SUMS, TILES, WORDS
from tests.reached import OFFSET, Reach, Tile, adds, is_poison, reaches, tiled

NOTHING: Final = -1
WHOLE: Final = Tile()


@dataclass(slots=True)
class Touched:
    """The memory of a program while its records are followed.

    Attributes:
        root: the slot in whose memory each slot lies, and `shift` the rows to it.
        name: what stands for a slot's value: sums that are added to one another are one value.
        modes: of each instruction; `known`: of each signature.
        slot, row: by base, what each byte holds.
        adding: instructions that go on with their first operand in its own memory, and `behind`, those that are done.
        inside: the loop of each instruction that is in one; `loop`: the one that runs.
    """

    program: Program
    emission: Emission
    root: list[int] = field(default_factory=list)
    shift: list[int] = field(default_factory=list)
    name: list[int] = field(default_factory=list)
    modes: list[Mode] = field(default_factory=list)
    known: dict[int, Mode] = field(default_factory=dict)
    slot: dict[int, Any] = field(default_factory=dict)
    row: dict[int, Any] = field(default_factory=dict)
    adding: list[int] = field(default_factory=list)
    behind: set[int] = field(default_factory=set)
    inside: dict[int, Loop] = field(default_factory=dict)
    loop: Loop | None = None

    # --- what is there at the beginning

    def begin(self) -> None:
        """Memory with inputs and constants in it."""
        program, e, tape = self.program, self.emission, self.program.tape
        for i in range(len(tape)):
            self.relate(i)
        self.inside = {i: loop for loop in e.loops for i in range(loop.first, loop.last + 1)}
        outputs = [t.size * t.dtype(tape.dtype).itemsize for t in program.outputs]
        sizes = [program.arena, program.tiles, 0, *map(self.nbytes, tape.inputs.tolist())]
        for base, size in enumerate([*sizes, *(c.nbytes for c in program.constants), *outputs]):
            self.slot[base], self.row[base] = np.full(size, NOTHING), np.zeros(size, np.int64)
        self.slot[SUMS], self.row[SUMS] = self.slot[ARENA], self.row[ARENA]
        for i in np.flatnonzero(e.form == LEAF).tolist():
            self.mark(i)
        for k, i in enumerate(tape.inputs.tolist()):  # a number is loaded from where it is
            if not tape.type(i).shape:
                self.slot[FIRST_INPUT + k][:] = i

    def relate(self, i: int) -> None:
        """What instruction i has to do with its operands."""
        tape, e = self.program.tape, self.emission
        operands, op = tape.read(i), OPS[tape.opcodes[i]]
        assert all(s < i for s in operands), f"instruction {i} runs before what it reads"
        key = int(e.signature[i])
        if key not in self.known:
            types, attribute = [tape.type(s) for s in operands], () if op.leaf else tape.attribute(i)
            related = relations(op, attribute, types, tape.type(i))
            self.known[key] = mode(op, related, types, [self.axis(s) for s in operands], self.axis(i))
        how = self.known[key]
        view = e.form[i] == VIEW
        self.modes.append(how)
        self.root.append(self.root[operands[0]] if view else i)
        self.shift.append(self.shift[operands[0]] + how.shifts[0] if view else 0)
        added = bool(operands) and e.placement.taken[i] and not op.elementwise
        joined = added and e.kind[i] == REDUCTION and e.kind[operands[0]] == REDUCTION
        self.name.append(self.name[operands[0]] if joined else i)
        if added and not joined:
            self.adding.append(i)

    def mark(self, i: int) -> None:
        """All of a slot's memory holds its value."""
        base, first = int(self.emission.placement.base[i]), int(self.emission.placement.offset[i])
        span = slice(first, first + self.nbytes(i))
        self.slot[base][span] = self.name[i]
        self.row[base][span] = self.row_at(i, np.arange(self.nbytes(i)))

    def axis(self, i: int) -> int:
        """The row axis of a slot."""
        e = self.emission
        return int(e.storages[e.storage[i]].row)

    def itemsize(self, i: int) -> int:
        """Bytes of an element."""
        tape = self.program.tape
        return int(tape.type(i).dtype(tape.dtype).itemsize)

    def nbytes(self, i: int) -> int:
        """Bytes of a slot."""
        return self.program.tape.type(i).size * self.itemsize(i)

    def row_at(self, i: int, offset: Any) -> Any:
        """Which row lies at byte offsets of a slot's memory, if that holds all rows."""
        e = self.emission
        s = e.storages[e.storage[i]]
        if s.row == NO_ROW or not s.type.size:
            return 0 * offset
        return offset // (s.strides[s.row] * self.itemsize(i)) % s.shape[s.row]

    def is_window(self, i: int) -> bool:
        """Does the slot's memory hold some rows only?"""
        return bool(self.emission.ahead[self.root[i]] >= 0)

    # --- the sweep

    def follow(self) -> None:
        """Follow the whole program, and look at its results."""
        self.begin()
        code = self.program.code
        origin = dict(zip(code.record_at.tolist(), code.record_origin.tolist(), strict=True))
        copies = sum(self.program.outputs[d].size > 0 for d in self.emission.placement.copied_outputs)
        final = set(code.record_at[len(code.record_at) - copies :].tolist())
        for kind, first, last, height, rows, number in code.segments.tolist():
            if kind == SCALARS:
                for place in range(first, last):
                    self.scalar(place)
                continue
            if kind == CALLED:
                self.call(number)
                continue
            self.loop = self.emission.loops[number] if kind == TILED else None
            self.all_rows_have_tiles(first, last, rows)
            for tile in range(0, rows, height) if self.loop else [0]:
                at = first
                while at < last:
                    record = code.records[at : at + code.records[at + 1]].copy()
                    if at in final:
                        self.copy_out(record)
                    else:
                        self.run(origin[at], record, Tile(tile, height))
                    at += len(record)
                if self.loop:
                    self.advance(self.loop.last, Tile(tile, height))
                    self.behind -= {i for i in self.behind if self.emission.kind[i] == PER_ROW}
        self.loop = None
        self.advance(len(self.program.tape), WHOLE)
        self.finish()

    def all_rows_have_tiles(self, first: int, last: int, rows: int) -> None:
        """No record of a loop is before its first tile or behind its last one."""
        words, at = self.program.code.records, first
        while at < last and self.loop:
            tail = at + words[at + 1] - FOLLOW - (BOUNDS if self.program.bounds else 0)
            assert words[tail] >= 0, f"record {at} begins before the loop"
            assert words[tail + 1] == ALL_ROWS or words[tail : tail + 2].sum() <= rows, f"record {at} is cut off"
            at += words[at + 1]

    def advance(self, last: int, tile: Tile) -> None:
        """Instructions up to this one take over what they go on with, in a loop row by row."""
        for i in self.adding:
            if i <= last and i not in self.behind and self.inside.get(i) == self.loop:
                self.behind.add(i)
                self.take_over(i, self.program.tape.read(i), tile)

    def finish(self) -> None:
        """Results are where they are wanted."""
        first = max(self.slot) + 1 - len(self.program.outputs)
        for k, d in enumerate(self.program.tape.dependents.tolist()):
            held = self.slot[first + k]
            assert (held == self.name[self.root[d]]).all(), f"result {k}, slot {d}: {set(held.tolist())}"

    def scalar(self, place: int) -> None:
        """One instruction of the scalar machine."""
        code, e, tape = self.program.code, self.emission, self.program.tape
        i = int(code.row_origin[place])
        op, o, *given = code.rows[place].tolist()
        operands = tape.read(i)
        unit = 1 if op == WORDS["LOOP_CELL"] else 0
        if e.form[i] == CELL:
            source = operands[0] if operands else i
            packed = int(code.side[given[0]])
            self.expect(i, [source], packed >> SHIFT, (packed & OFFSET) + np.arange(self.itemsize(i)), None)
        else:
            assert e.form[i] == ROW
            for s, at in zip(operands, given, strict=False):
                size = self.itemsize(s)
                self.expect(i, [s], 0, at * (unit or size) + np.arange(size), None)
        start = o * (unit or self.itemsize(i))
        assert start >= len(self.program.image), f"instruction {i} writes over a constant"
        self.slot[0][start : start + self.itemsize(i)] = i

    def call(self, i: int) -> None:
        """What the sweep stops for: it reads its operands where they are, whole, and writes all of its result."""
        p = self.emission.placement
        self.advance(i, WHOLE)
        for s in self.program.tape.read(i):
            self.expect(i, [s], int(p.base[s]), int(p.offset[s]) + np.arange(self.nbytes(s)), None)
        assert p.offset[i] >= len(self.program.image) or p.base[i] != ARENA, f"instruction {i} writes over a constant"
        self.mark(i)

    def run(self, i: int, record: Any, tile: Tile) -> None:
        """One record, of a loop for one tile."""
        self.advance(i, tile)
        stretch: Tile | None = WHOLE
        if self.loop:
            lag = int(self.emission.lag[i])
            stretch = tiled(record, tile.tile, tile.height, lag, bounds=self.program.bounds)
        if stretch is None:
            return
        result, *operands = reaches(record, stretch)
        for r in (result, *operands):
            assert r.offsets.min(initial=0) >= 0, f"instruction {i} reaches below base {r.base}"
            assert r.offsets.max(initial=-1) < len(self.slot[r.base]), f"instruction {i} reaches beyond base {r.base}"
        if not result.offsets.size:
            return
        if record[0] == WORDS["SHIFT"]:
            (source,) = operands
            for held in (self.slot, self.row):
                held[result.base][result.offsets] = held[source.base][source.offsets]
        elif is_poison(record):
            self.slot[result.base][result.offsets] = NOTHING
        else:
            read = self.program.tape.read(i)
            for r in operands:
                self.expect(i, read, r.base, r.offsets, r.rows + stretch.start if self.loop else None)
                self.apart(i, result, r)
            self.write(i, result, stretch, going_on=adds(record))

    def take_over(self, i: int, operands: list[int], tile: Tile) -> None:
        """Go on in the first operand's memory: what is there must be whole, and becomes the instruction's own."""
        e = self.emission
        base, first = int(e.placement.base[i]), int(e.placement.offset[i])
        if not self.loop or e.kind[i] != PER_ROW:
            self.expect(i, operands[:1], base, first + np.arange(self.nbytes(i)), None)
            self.mark(i)
            return
        rows = min(
            e.storages[e.storage[s]].shape[self.axis(i)] for s in (i, operands[0])
        )  # a pad has more than it reads
        low, high = max(tile.tile - int(e.lag[i]), 0), min(tile.tile - int(e.lag[i]) + tile.height, rows)
        if low >= high:
            return
        if self.is_window(i):
            step = int(e.row_bytes[i])
            at = first + (low - tile.tile + int(e.ahead[i])) * step + np.arange((high - low) * step)
            number = low + np.arange(len(at)) // step
        else:
            at = np.arange(self.nbytes(i))
            number = self.row_at(i, at)
            at, number = first + at[(number >= low) & (number < high)], number[(number >= low) & (number < high)]
        self.expect(i, operands[:1], base, at, number)
        self.slot[base][at] = i

    def expect(self, i: int, operands: list[int], base: int, offsets: Any, rows: Any) -> None:
        """Bytes hold one of these slots; where rows are followed, in the rows that belong together."""
        if not offsets.size:
            return
        held = np.unique(self.slot[base][offsets])
        found = [k for k, s in enumerate(operands) if len(held) == 1 and self.name[self.root[s]] == held[0]]
        assert found, f"instruction {i} reads {held.tolist()} at {base}:{offsets.min()}, not one of {operands}"
        if rows is None:
            return
        number = self.row[base][offsets]
        for k in found:
            s, how = operands[k], self.modes[i]
            related = how.operands[k] == ALIGNED and self.axis(self.root[s]) != NO_ROW
            if not related or np.array_equal(number, rows + how.shifts[k] + self.shift[s]):
                return
        moved = sorted(set((number - rows).tolist()))
        raise AssertionError(f"instruction {i} reads slot {operands[found[0]]} in rows off by {moved}")

    def apart(self, i: int, result: Reach, operand: Reach) -> None:
        """A record may overwrite what it reads element by element, and only if it reads that element for it alone."""
        if result.base != operand.base or not np.isin(operand.offsets, result.offsets).any():
            return
        op = OPS[self.program.tape.opcodes[i]]
        assert np.array_equal(result.offsets, operand.offsets), f"instruction {i} writes over a part of an operand"
        assert op.elementwise, f"instruction {i} reads what it has written"
        assert not op.loop, f"instruction {i}: a ufunc's loop must not run in place"

    def write(self, i: int, result: Reach, tile: Tile, *, going_on: bool) -> None:
        """A result goes into memory of its own, in its rows."""
        e, p = self.emission, self.emission.placement
        base, offsets, rows = result.base, result.offsets, result.rows + tile.start
        constants = range(FIRST_INPUT, FIRST_INPUT + len(self.program.tape.inputs) + len(self.program.constants))
        assert (ARENA if base == SUMS else base) == p.base[i], f"instruction {i} writes to base {base}"
        assert base not in constants, f"instruction {i} writes into an input or a constant"
        assert base != ARENA or offsets.min() >= len(self.program.image), f"instruction {i} writes over a constant"
        assert base != TILES or self.loop, f"instruction {i} writes a window outside of loops"
        in_buffer = offsets - int(p.buffer_offset[p.buffer[i]])
        assert in_buffer.min() >= 0, f"instruction {i} writes below its buffer"
        assert in_buffer.max() < p.buffer_bytes[p.buffer[i]], f"instruction {i} writes beyond its buffer"
        own = offsets - int(p.offset[i])
        if not self.loop or e.kind[i] != PER_ROW:
            rows = self.row_at(i, own)
        else:
            placed = own // int(e.row_bytes[i]) + tile.tile - e.ahead[i] if self.is_window(i) else self.row_at(i, own)
            assert np.array_equal(placed, rows), f"instruction {i} writes other rows"
        if going_on:
            held = set(self.slot[base][offsets].tolist())
            assert held == {self.name[i]}, f"instruction {i} adds to {held}"
            assert np.array_equal(self.row[base][offsets], rows), f"instruction {i} adds to other rows"
        self.slot[base][offsets], self.row[base][offsets] = self.name[i], rows

    def copy_out(self, record: Any) -> None:
        """A result that could not be written where it is wanted."""
        result, source = reaches(record, WHOLE)
        self.slot[result.base][result.offsets] = self.slot[source.base][source.offsets]
