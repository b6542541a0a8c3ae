"""From a tape and its repeats to boxes and arrows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tapegrad.ops.table import CONSTANT, OPS
from tapegrad.pictures import boxes, graph
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.folds import Fold, Longs, Steps
from tapegrad.pictures.graph import Arrow, Chip, Entry, Graph
from tapegrad.pictures.shortcuts import take_shortcuts
from tapegrad.pictures.units import Unit
from tapegrad.tape import Tape

MOST_ARROWS: Final = 4  # between two boxes


@dataclass(slots=True, eq=False)
class _Reading:
    """How an operand of a repeat's first turn goes on in the later turns."""

    kind: str  # "within", "fixed", "carried" or "moving"
    first: int  # slot that the first turn reads
    second: int  # slot that the second turn reads
    slots: Longs  # of all turns


@dataclass(slots=True, eq=False)
class Builder:
    """Makes graphs of stretches of one tape.

    Attributes:
        tape, steps, labels: what is drawn.
        crossing: whether arrows go from the forward part to the reverse part; else these operands are chips.
        entered: for each frame the entrances by what they bring in, and the instructions that read them.
    """

    tape: Tape
    steps: Steps
    labels: Labels
    crossing: bool = True

    def whole(self, units: Sequence[Unit], most_leaves: int) -> Graph:
        """The graph of the whole tape.

        Args:
            units: what gets a box.
            most_leaves: how many inputs and constant arrays get boxes of their own; more are joined.
        """
        out = Stretch(self, None)
        leaves = np.flatnonzero(self.steps.step < 0).tolist()
        read = set(self.tape.operands.tolist())
        results = set(self.tape.dependents.tolist())
        boxed = [s for s in leaves if not boxes.is_number(self.tape, s) or s in results or s not in read]
        for slots in boxes.leaf_groups(self.tape, boxed, self.labels, most_leaves):
            here = out.graph.add(boxes.leaves(self.tape, slots, self.labels))
            out.place |= dict.fromkeys(slots, here)
        out.fill(units)
        take_shortcuts(out.graph, self.tape, self.labels)
        return out.graph


@dataclass(slots=True, eq=False)
class Stretch:
    """A graph in the making: the whole tape, or the first turn of a repeat.

    Attributes:
        place: the entry of each slot that has one of its own here.
        frames: the repeats here, each with its entry and its own stretch.
        entrances: entries for what comes from outside, by what it is.
        outside: for each entrance an operand that it stands for: reader and place.
        exits: entries for what goes out, by slot of the first turn.
    """

    made: Builder
    fold: Fold | None
    graph: Graph = field(default_factory=Graph)
    place: dict[int, int] = field(default_factory=dict)
    frames: list[tuple[Fold, int, Stretch]] = field(default_factory=list)
    entrances: dict[tuple[object, ...], int] = field(default_factory=dict)
    outside: dict[int, tuple[int, int]] = field(default_factory=dict)
    exits: dict[int, int] = field(default_factory=dict)
    pending: list[tuple[int, int, tuple[object, ...]]] = field(default_factory=list)

    # --- boxes

    def fill(self, units: Sequence[Unit]) -> None:
        """Add these boxes."""
        for unit in units:
            if unit.fold is not None:
                self._frame(unit.fold, unit.inner)
            elif unit.end == unit.first + 1:
                self._single(int(self.made.steps.slots[unit.first]))
            else:
                self._group(self.made.steps.slots[unit.first : unit.end].tolist())

    def _group(self, slots: list[int]) -> None:
        """Instructions that are only counted."""
        made = self.made
        arrows: dict[tuple[int, int], int] = {}
        inside = set(slots)
        for slot in slots:
            for k, s in enumerate(made.tape.read(slot)):
                found = [] if s in inside else self.resolve(slot, k, s)
                if not isinstance(found, Chip):
                    arrows |= {(source, way): s for source, way, _ in found}
        here = self.graph.add(boxes.group(made.tape, slots, made.labels))
        self.place |= dict.fromkeys(slots, here)
        for (source, way), s in arrows.items():
            self.graph.arrows.append(Arrow(source, here, s, way_out=way, several=True))

    def _single(self, slot: int) -> None:
        """One instruction."""
        tape, chips, arrows = self.made.tape, {}, []
        for k, s in enumerate(tape.read(slot)):
            found = self.resolve(slot, k, s)
            if isinstance(found, Chip):
                chips[k] = found
            else:
                arrows.append((k, s, found))
        here = self.graph.add(boxes.entry(tape, slot, self.made.labels, chips))
        self.place[slot] = here
        if self._varies(slot):
            self.graph.entries[here].title += " …"
        ends = Counter((source, way) for _, _, ways in arrows for source, way, _ in ways)
        for k, s, ways in arrows:
            for source, way, several in ways:
                if ends[source, way] > MOST_ARROWS:
                    self._bundle(source, way, here)
                    continue
                arrow = Arrow(source, here, s, slot, k, way_out=way, several=several)
                arrow.label = boxes.letter(tape, slot, k, chips)
                arrow.partial = self.made.labels.partials.get((slot, k), "")
                self.graph.arrows.append(arrow)

    def _varies(self, slot: int) -> bool:
        """Whether an instruction of a repeat has another attribute in other turns."""
        tape, steps, fold = self.made.tape, self.made.steps, self.fold
        if fold is None:
            return False
        turns = steps.slots[int(steps.step[slot]) + fold.period * np.arange(fold.turns)]
        return bool((tape.attribute_ids[turns] != tape.attribute_ids[slot]).any())

    def _bundle(self, source: int, way: int, here: int) -> None:
        """One arrow for many operands that come from one place."""
        last = self.graph.arrows[-1] if self.graph.arrows else None
        if last is None or (last.source, last.way_out, last.target, last.several) != (source, way, here, True):
            self.graph.arrows.append(Arrow(source, here, way_out=way, several=True))

    def _frame(self, fold: Fold, units: Sequence[Unit]) -> None:
        """A repeat."""
        made = self.made
        inner = Stretch(made, fold)
        tag = Entry(graph.TAG, ())
        inner.graph.add(tag)
        inner.fill(units)
        slots = tuple(made.steps.slots[fold.first : fold.end].tolist())
        frame = Entry(graph.FRAME, slots, boxes.part(made.tape, slots[0]), inner=inner.graph, turns=fold.turns)
        frame.title = f"× {fold.turns:,}"
        frame.notes = [f"v{slots[0]:,} to v{slots[-1]:,}", boxes.line_of(made.tape, slots[0])]
        self._results(fold, inner)
        tag.title, tag.notes, tag.part = frame.title, frame.notes, frame.part
        here = self.graph.add(frame)
        self.frames.append((fold, here, inner))
        take_shortcuts(inner.graph, made.tape, made.labels)
        inner.close()
        for entrance, (reader, place) in inner.outside.items():
            self._enter(here, inner, entrance, reader, place)

    def _results(self, fold: Fold, inner: Stretch) -> None:
        """Mark what of a repeat is a result, and in which turn."""
        made = self.made
        for slot in made.tape.dependents.tolist():
            step = int(made.steps.step[slot])
            if fold.first <= step < fold.end:
                turn = (step - fold.first) // fold.period
                at = inner.place.get(int(made.steps.slots[step - turn * fold.period]))
                if at is not None:
                    called = ", ".join(boxes.results(made.tape, slot, made.labels))
                    entry = inner.graph.entries[at]
                    entry.result = called if turn == 0 else f"{called}: turn {turn + 1:,}"

    def _enter(self, here: int, inner: Stretch, entrance: int, reader: int, place: int) -> None:
        """The arrows to an entrance of a frame here."""
        reading = inner.reading(reader, place)
        found = self.resolve(reader, place, reading.first)
        moving = reading.kind == "moving"
        if isinstance(found, Chip):
            return
        ways = dict.fromkeys(found)
        if moving:
            for s in reading.slots.tolist():
                other = self.resolve(reader, place, s)
                ways |= {} if isinstance(other, Chip) else dict.fromkeys(other)
        for source, way, several in ways:
            if source == here:  # a turn reads what other turns before it made
                inner.graph.arrows.append(Arrow(way, entrance, back=True, several=True))
                continue
            arrow = Arrow(source, here, reading.first, reader, place, way, entrance, several=several or moving)
            self.graph.arrows.append(arrow)

    # --- operands

    def resolve(self, reader: int, k: int, slot: int) -> Chip | list[tuple[int, int, bool]]:
        """Where an operand comes from: entry, exit (of a frame) and whether it stands for several; or a chip."""
        made = self.made
        if boxes.is_number(made.tape, slot) and slot not in self.place:
            chip = self._constant(reader, k, slot)
            if chip is not None:
                return chip
        if self.fold is None and not made.crossing and boxes.part(made.tape, slot) != boxes.part(made.tape, reader):
            return boxes.chip(made.tape, slot, made.labels)
        if slot in self.place:
            return [(self.place[slot], -1, False)]
        step = int(made.steps.step[slot])
        for fold, here, inner in self.frames:
            if fold.first <= step < fold.end:
                turn = (step - fold.first) // fold.period
                return [(here, inner.leave(step - turn * fold.period, turn), False)]
        if self.fold is None:
            raise AssertionError(f"v{reader} reads v{slot}, which is not there")
        return self._from_outside(reader, k)

    def _constant(self, reader: int, k: int, slot: int) -> Chip | None:
        """A constant number, or one in each turn of a repeat; None where later turns read something else."""
        tape = self.made.tape
        chip = boxes.chip(tape, slot, self.made.labels)
        if self.fold is not None and k >= 0:
            slots = self.reading(reader, k).slots
            if (tape.opcodes[slots] != CONSTANT).any():
                return None
            chip.text += "" if (slots == slot).all() else "…"
        return chip

    def _from_outside(self, reader: int, k: int) -> Chip | list[tuple[int, int, bool]]:
        """An operand of a repeat's first turn that comes from outside the repeat, or from the turn before."""
        made, fold = self.made, self.fold
        assert fold is not None
        reading = self.reading(reader, k)
        if boxes.part(made.tape, reading.first) != boxes.part(made.tape, reader) and not made.crossing:
            chip = boxes.chip(made.tape, reading.first, made.labels)
            chip.text += "" if reading.kind == "fixed" else "…"
            return chip
        key = (reading.kind, reading.first, reading.second)
        entrance = self.entrances.get(key)
        if entrance is None:
            entrance = self.entrances[key] = self.graph.add(self._entrance(reading, reader))
            self.outside[entrance] = (reader, k)
        return [(entrance, -1, False)]

    def _entrance(self, reading: _Reading, reader: int) -> Entry:
        """The entry of something that comes in."""
        made = self.made
        text = boxes.chip(made.tape, reading.first, made.labels).text
        hint = f"{text} in the first turn"
        if reading.kind == "carried":
            hint += f", then v{reading.second} of the turn before"
        elif reading.kind == "moving":
            hint = f"another one in each turn: v{reading.slots[0]}, v{reading.slots[1]} ... v{reading.slots[-1]}"
            text += " …"
        else:
            hint = f"{text} in every turn"
        return Entry(graph.ENTRANCE, (), boxes.part(made.tape, reader), text, hint=hint, fixed=reading.kind == "fixed")

    def reading(self, reader: int, place: int) -> _Reading:
        """What an operand of the first turn is in all turns."""
        made, fold = self.made, self.fold
        assert fold is not None
        tape, steps = made.tape, made.steps
        at = int(steps.step[reader]) + fold.period * np.arange(fold.turns)
        if OPS[int(tape.opcodes[reader])].commutes:
            slots = self._oriented(at, place)
        else:
            slots = tape.operands[tape.starts[steps.slots[at]] + place].astype(np.int64)
        first, second = int(slots[0]), int(slots[1])
        turn = (steps.step[slots] - fold.first) // fold.period
        inside = (steps.step[slots] >= fold.first) & (steps.step[slots] < fold.end)
        if inside[0]:
            kind = "within"
        elif (slots == first).all():
            kind = "fixed"
        elif inside[1:].all() and (turn[1:] == np.arange(fold.turns - 1)).all():
            kind = "carried"
        else:
            kind = "moving"
        return _Reading(kind, first, second, slots)

    def _oriented(self, at: Longs, place: int) -> Longs:
        """One operand of a commuting op in all turns: operands may change places after the first turn."""
        tape, steps = self.made.tape, self.made.steps
        begin = tape.starts[steps.slots[at]].astype(np.int64)
        pair = np.stack([tape.operands[begin], tape.operands[begin + 1]], axis=1).astype(np.int64)
        # Numbers that move evenly where the operands do: steps below inputs below constants, which all count as one.
        code = np.where(steps.step[pair] < 0, (1 << 40) + pair, steps.step[pair])
        code[tape.opcodes[pair] == CONSTANT] = 1 << 50
        swapped = code[:, 0] > code[:, 1]
        even = np.where(swapped[:, None], code[:, ::-1], code)
        before = 2 * even[1] - even[2] if len(even) > 2 else even[1]
        straight = int((code[0] == before).sum())
        swapped[0] = int((code[0, ::-1] == before).sum()) > straight or (not straight and bool(swapped[0]))
        wanted = bool(swapped[0]) != bool(place)
        found: Longs = pair[np.arange(len(pair)), (swapped != wanted).astype(np.int64)]
        return found

    # --- ways out

    def leave(self, step: int, turn: int) -> int:
        """The exit for a step of the first turn, read from outside as that of some turn."""
        made, fold = self.made, self.fold
        assert fold is not None
        slot = int(made.steps.slots[step])
        exit_ = self.exits.get(slot)
        if exit_ is None:
            entry = Entry(graph.EXIT, (), boxes.part(made.tape, slot), "", hint="")
            exit_ = self.exits[slot] = self.graph.add(entry)
            found = self.resolve(slot, -1, slot)
            assert not isinstance(found, Chip)
            for source, way, several in found:
                self.graph.arrows.append(Arrow(source, exit_, slot, way_out=way, several=several))
        entry = self.graph.entries[exit_]
        last = int(made.steps.slots[step + (fold.turns - 1) * fold.period])
        text = f"last: v{last}" if turn == fold.turns - 1 else "each turn"
        entry.title = text if entry.title in {"", text, "next turn"} else "each turn"
        entry.hint = f"v{slot} of the first turn ... v{last} of the last one"
        return exit_

    def close(self) -> None:
        """Add the arrows from the end of a turn to the start of the next one."""
        made, fold = self.made, self.fold
        assert fold is not None
        for (kind, _, second), entrance in list(self.entrances.items()):
            if kind == "carried":
                assert isinstance(second, int)
                exit_ = self.leave_again(int(made.steps.step[second]))
                self.graph.arrows.append(Arrow(exit_, entrance, second, -1, -1, back=True))

    def leave_again(self, step: int) -> int:
        """The exit for what the next turn reads."""
        slot = int(self.made.steps.slots[step])
        known = slot in self.exits
        exit_ = self.leave(step, -1)
        if not known:
            self.graph.entries[exit_].title = "next turn"
        return exit_
