"""The texts of boxes: what an instruction does, its slot and shape; where its line is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapegrad.ops.custom import title
from tapegrad.ops.row import BOOL, INT
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.pictures import graph
from tapegrad.pictures.graph import MARK, Chip, Entry
from tapegrad.pictures.symbols import formula, operand_names, ordered
from tapegrad.pictures.widths import shorten
from tapegrad.reading.source import place, text
from tapegrad.reading.wording import operation
from tapegrad.tape import Tape

LONGEST_NAME: Final = 26
_KINDS: Final = {INT: "int", BOOL: "bool"}


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written beside the instructions.

    Attributes:
        names: of the inputs, by place.
        results: of the dependents, by place.
        values: of slots.
        adjoints: of slots.
        partials: of operands: (instruction, place).
    """

    names: Sequence[str] = ()
    results: Sequence[str] = ()
    values: Mapping[int, str] = field(default_factory=dict)
    adjoints: Mapping[int, str] = field(default_factory=dict)
    partials: Mapping[tuple[int, int], str] = field(default_factory=dict)


def number(value: Any) -> str:
    """A number in few characters.

    >>> number(0.1 + 0.2), number(-2.0), number(1e-300)
    ('0.3', '−2', '1e−300')
    """
    text = str(bool(value)) if isinstance(value, (bool, np.bool_)) else f"{value:.6g}"
    return text.replace("-", "−").replace("e+", "e")


def part(tape: Tape, slot: int) -> int:
    """Whether a slot is of the forward or of the reverse part."""
    return graph.REVERSE if slot >= tape.reverse else graph.FORWARD


def name(tape: Tape, slot: int, labels: Labels) -> str:
    """What a slot is called: the user's name of an input, a constant's value, or v and its number."""
    code, place = int(tape.opcodes[slot]), int(tape.attribute_ids[slot])
    if code == INPUT:
        return labels.names[place] if place < len(labels.names) else f"argument {place}"
    if code == CONSTANT and tape.constants[place].size == 1:
        return number(tape.constants[place].reshape(-1)[0])
    return f"v{slot}"


def is_number(tape: Tape, slot: int) -> bool:
    """Is it a constant of one element, which can be written where it is read?"""
    return int(tape.opcodes[slot]) == CONSTANT and tape.constants[int(tape.attribute_ids[slot])].size == 1


def chip(tape: Tape, slot: int, labels: Labels) -> Chip:
    """A slot as text in the box of its reader."""
    constant = is_number(tape, slot)
    kind = graph.CONSTANT if constant else ("reverse" if part(tape, slot) else "forward")
    return Chip(shorten(name(tape, slot, labels), LONGEST_NAME), kind, slot)


def shape(tape: Tape, slot: int) -> str:
    """Kind and shape in few characters; nothing for a floating scalar."""
    t = tape.type(slot)
    words = [_KINDS.get(t.kind, ""), "×".join(map(str, t.shape)) + ("," if len(t.shape) == 1 else "")]
    text = " ".join(w for w in words if w)
    return f"({words[1]})" if t.shape and not words[0] else text


def line_of(tape: Tape, slot: int) -> str:
    """The place of a slot's source line."""
    return place(tape.line(slot))


def hint(tape: Tape, slot: int, labels: Labels) -> str:
    """What a pointer resting on a slot is told: instruction, type and source line with its text."""
    op = OPS[int(tape.opcodes[slot])]
    called = op.name if op.leaf else title(op, tape.attribute(slot))
    operands = ", ".join(name(tape, s, labels) for s in tape.read(slot)[:8])
    lines = [f"v{slot} = {called}({operands})  {tape.type(slot)}"]
    if op.leaf:
        lines = [f"v{slot}: {called} {name(tape, slot, labels)}  {tape.type(slot)}"]
    if slot in labels.values:
        lines.append(labels.values[slot])
    at = tape.line(slot)
    lines += [words for words in (place(at), text(at)) if words]
    return "\n".join(lines)


def entry(tape: Tape, slot: int, labels: Labels, chips: Mapping[int, Chip]) -> Entry:
    """The box of one slot; operands with chips are written in it."""
    code = int(tape.opcodes[slot])
    notes = " ".join(t for t in (f"v{slot}", shape(tape, slot)) if t)
    kind = graph.INPUT if code == INPUT else graph.CONSTANT if code == CONSTANT else graph.OP
    if kind == graph.OP:
        text = _formula(tape, slot, chips)
    else:
        text = name(tape, slot, labels)
        if kind == graph.CONSTANT and not is_number(tape, slot):
            text = "constant"
    return Entry(
        kind,
        (slot,),
        part(tape, slot),
        text if kind == graph.OP else shorten(text, LONGEST_NAME),
        [notes],
        labels.values.get(slot, ""),
        labels.adjoints.get(slot, ""),
        dict(chips),
        hint(tape, slot, labels),
        ", ".join(results(tape, slot, labels)),
    )


def _formula(tape: Tape, slot: int, chips: Mapping[int, Chip]) -> str:
    """What an instruction does, with marks where its chips go."""
    texts = [f"{MARK}{k}{MARK}" if k in chips else None for k in range(len(tape.read(slot)))]
    return formula(OPS[int(tape.opcodes[slot])], tape.attribute(slot), texts, operation(tape, slot))


def rename(box: Entry, tape: Tape) -> None:
    """Write the title of an instruction's box anew, for the chips that it has now."""
    more = " …" if box.title.endswith(" …") else ""
    box.title = _formula(tape, box.slots[0], box.chips) + more


def results(tape: Tape, slot: int, labels: Labels) -> list[str]:
    """What a slot is called as a result."""
    places = np.flatnonzero(tape.dependents == slot).tolist()
    if not places:
        return []
    return [labels.results[k] if k < len(labels.results) else "result" for k in places]


def letter(tape: Tape, slot: int, place: int, chips: Mapping[int, Chip]) -> str:
    """Which operand an arrow brings, where that matters and more than one comes."""
    op, count = OPS[int(tape.opcodes[slot])], len(tape.read(slot))
    if not ordered(op) or count - len(chips) < 2:
        return ""
    return operand_names(op, count)[place]


def leaf_groups(tape: Tape, slots: Sequence[int], labels: Labels, most: int) -> list[list[int]]:
    """Inputs and constants one by one; where there are too many, those of one argument together, and all constants."""
    if len(slots) <= most:
        return [[s] for s in slots]
    groups: dict[str, list[int]] = {}
    for s in slots:
        root = re.split(r"[\[.]", name(tape, s, labels))[0] if int(tape.opcodes[s]) == INPUT else ""
        groups.setdefault(root, []).append(s)
    return [g for group in groups.values() for g in ([group] if len(group) > 3 else [[s] for s in group])]


def leaves(tape: Tape, slots: Sequence[int], labels: Labels) -> Entry:
    """The box of an input or a constant, or of several."""
    if len(slots) == 1:
        return entry(tape, slots[0], labels, {})
    constant = int(tape.opcodes[slots[0]]) == CONSTANT
    title_ = f"{len(slots):,} constants" if constant else f"{len(slots):,} inputs"
    called = [f"v{s}" if constant else name(tape, s, labels) for s in (slots[0], slots[-1])]
    notes = [shorten(f"{called[0]} to {called[1]}", 2 * LONGEST_NAME)]
    return Entry(graph.CONSTANT if constant else graph.INPUT, tuple(slots), part(tape, slots[0]), title_, notes)


def _line_order(line: str) -> tuple[str, int]:
    path, _, number_ = line.rpartition(":")
    return path, int(number_) if number_.isdigit() else 0


def group(tape: Tape, slots: Sequence[int], labels: Labels) -> Entry:
    """The box of instructions that are only counted."""
    counts = Counter(_counted(tape, s) for s in slots)
    ranked = sorted(counts.items(), key=lambda c: (-c[1], c[0]))
    most = ", ".join(f"{n:,} {shorten(called, 14)}" for called, n in ranked[:3]) + (" …" if len(ranked) > 3 else "")
    lines = [line for line in sorted({tape.line(s) for s in slots}, key=_line_order) if place(line)]
    places = [place(line) for line in lines]
    at = places[0] if len(places) == 1 else f"{places[0]} to {places[-1].rpartition(':')[2]}" if places else ""
    told = [", ".join(f"{n:,} {called}" for called, n in ranked)]
    told += [f"{place(line)}  {text(line)}" for line in lines[:12]]
    inside = set(slots)
    called = [r for s in dict.fromkeys(tape.dependents.tolist()) if s in inside for r in results(tape, s, labels)]
    return Entry(
        graph.GROUP,
        tuple(slots),
        part(tape, slots[0]),
        f"{len(slots):,} instructions",
        [n for n in (most, at, f"v{slots[0]:,} to v{slots[-1]:,}") if n],
        hint="\n".join(told),
        result=shorten(", ".join(called), 3 * LONGEST_NAME),
    )


def _counted(tape: Tape, slot: int) -> str:
    """What an instruction is counted as: its sign, or its op."""
    op, attribute = OPS[int(tape.opcodes[slot])], tape.attribute(slot)
    called = title(op, attribute)
    return formula(op, attribute, [None] * len(tape.read(slot)), called) if op.commutes else called
