"""What a page knows of an explanation: the tape in columns, its numbers, the words and the source text around it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops.row import INT
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.pages.excerpts import excerpts
from tapegrad.pages.templates import template
from tapegrad.pages.web_page import packed
from tapegrad.reading.figures import summary
from tapegrad.reading.source import place
from tapegrad.tape import Interner, Tape

if TYPE_CHECKING:
    from tapegrad.explanation.explain import Explanation
    from tapegrad.pictures.folds import Fold

LONGEST: Final = 1000  # entries of an array that a page computes with
_MOST: Final = 300_000  # numbers of all slots together
_EXACT: Final = 1 << 53  # whole numbers beyond are not exact in JavaScript


def page_data(e: Explanation, folds: Sequence[Fold]) -> dict[str, Any]:
    """All that `page.js` reads; nothing but lists, texts and numbers. `folds` are the repeats of a picture."""
    reason = _reason(e)
    n, length = len(e.tape), len(e.tape) if reason else len(e.full)
    columns = _Columns(e.full, n)
    for i in range(length):
        columns.add(i)
    known = {s: k for k, s in enumerate(e.full.types)}
    sources, lines = _lines(e.tape)
    return {
        "name": e.name,
        "count": n,
        "length": len(e.full),
        "single": e.full.dtype == np.float32,
        "reason": reason,
        "remark": e.remark,
        "ops": columns.ops(),
        "types": [{"shape": list(t.shape), "kind": t.kind} for t in known],
        "attributes": [_plain(a) for a in columns.attributes.items],
        "templates": columns.templates.items,
        "constants": [packed(c) if c.size <= LONGEST and not reason else None for c in e.full.constants],
        "columns": {**columns.packed(), **_slots(e)},
        "lines": lines,
        "sources": sources,
        "inputs": _inputs(e),
        "results": list(zip(e.tape.dependents.tolist(), e.seeds, strict=True)),
        "starts": _starts(e),
        "steps": _steps(e),
        "differences": _differences(e),
        "values": _values(e),
        "folds": _folds(folds),
    }


def _folds(folds: Sequence[Fold]) -> list[dict[str, Any]]:
    """Repeats, whose first turns alone are drawn."""
    return [{"first": f.first, "period": f.period, "turns": f.turns, "inner": _folds(f.inner)} for f in folds]


def _reason(e: Explanation) -> str:
    """Why a page cannot compute anew; empty where it may."""
    sizes = np.array([t.size for t in e.full.types], np.int64)[e.full.type_ids]
    if sizes.max(initial=0) > LONGEST:
        return f"the tape has arrays of more than {LONGEST:,} entries"
    if sizes.sum() > _MOST:
        return f"the tape has more than {_MOST:,} numbers"
    if any(_is_beyond(v) for v in e.values):
        return "the tape has whole numbers beyond 2^53"
    return ""


def _is_beyond(value: Any) -> bool:
    """Whole numbers that JavaScript would round?"""
    return bool(value.dtype.kind == INT and np.any((value >= _EXACT) | (value <= -_EXACT)))


@dataclass(slots=True)
class _Columns:
    """Columns of a tape whose entries are places in small tables."""

    tape: Tape
    count: int
    codes: Interner[int] = field(default_factory=Interner)
    attributes: Interner[Any] = field(default_factory=Interner)
    templates: Interner[str] = field(default_factory=Interner)
    written: dict[tuple[Any, ...], int] = field(default_factory=dict)
    rows: dict[str, list[int]] = field(default_factory=lambda: {"opcodes": [], "attributes": [], "templates": []})

    def add(self, i: int) -> None:
        """Append instruction i."""
        code = int(self.tape.opcodes[i])
        leaf = code in {INPUT, CONSTANT}
        attribute = int(self.tape.attribute_ids[i])
        self.rows["opcodes"].append(self.codes(code))
        self.rows["attributes"].append(attribute if leaf else self.attributes((OPS[code].name, self.tape.attribute(i))))
        if i < self.count:
            self.rows["templates"].append(self.templates("constant") if leaf else self.template(i))

    def template(self, i: int) -> int:
        """The place of an instruction's formula, written once for all that differ in their operands alone."""
        tape = self.tape
        reads = tape.read(i)
        key = (int(tape.opcodes[i]), tape.attribute(i), tuple([int(tape.type_ids[s]) for s in reads]))
        if key not in self.written:
            self.written[key] = self.templates(template(tape, i))
        return self.written[key]

    def packed(self) -> dict[str, str]:
        """The columns for `integers` of codec.js; operands of as many instructions as there are rows."""
        rows = len(self.rows["opcodes"])
        starts = self.tape.starts[: rows + 1]
        found = {**self.rows, "starts": starts, "operands": self.tape.operands[: starts[-1]]}
        return {name: packed(column, np.int32) for name, column in found.items()}

    def ops(self) -> list[dict[str, Any]]:
        """What the evaluator has to know of each op."""
        rows = [OPS[code] for code in self.codes.items]
        return [{"name": op.name, "key": op.key, "elementwise": op.elementwise, "leaf": op.leaf} for op in rows]


def _plain(attribute: Any) -> Any:
    """An op's attribute as JSON has it; nothing for one that holds an object, whose op no page computes."""
    try:
        return json.loads(json.dumps(attribute[1], allow_nan=False))
    except (TypeError, ValueError):
        return None


def _slots(e: Explanation) -> dict[str, str]:
    """Columns that say which slot is what."""
    partials = [slot for slots in e.partials for slot in slots]
    lines = Interner[str]()
    found = {
        "types": e.full.type_ids,
        "lines": [lines(e.tape.line(i)) for i in range(len(e.tape))],
        "partials": partials,
        "adjoints": e.adjoints,
    }
    return {name: packed(column, np.int32) for name, column in found.items()}


def _lines(tape: Tape) -> tuple[list[dict[str, Any]], list[dict[str, Any] | None]]:
    """Source texts, and for each line of the forward part its file, number and text."""
    lines = list(dict.fromkeys(tape.line(i) for i in range(len(tape))))
    found = excerpts(lines)
    places = {excerpt.path: k for k, excerpt in enumerate(found)}
    sources = [{"name": x.name, "parts": [{"first": first, "lines": text} for first, text in x.parts]} for x in found]
    named: list[dict[str, Any] | None] = []
    for line in lines:
        path, _, number = line.rpartition(":")
        short = place(line).rpartition(":")[0]
        named.append({"file": short, "number": int(number), "source": places.get(path, -1)} if short else None)
    return sources, named


def _inputs(e: Explanation) -> list[dict[str, Any]]:
    """A slot and a name for each input."""
    labels = e.interface.labels()
    return [{"slot": s, "label": label} for s, label in zip(e.tape.inputs.tolist(), labels, strict=True)]


def _starts(e: Explanation) -> list[tuple[int, int]]:
    """Each result with an adjoint, and the slot with what that starts with: its seed, or the sum of several."""
    before: dict[int, int] = {}
    for step in e.steps:
        before.setdefault(step.operand, step.before)
    active = [d for d in dict.fromkeys(e.tape.dependents.tolist()) if e.adjoints[d] >= 0]
    return [(d, before.get(d, e.adjoints[d])) for d in active]


def _steps(e: Explanation) -> dict[str, str]:
    """The reverse sweep in columns."""
    names = ("instruction", "place", "operand", "added", "total", "before")
    return {name: packed([getattr(step, name) for step in e.steps], np.int32) for name in names}


def _differences(e: Explanation) -> list[list[Any]]:
    """Slot, entry, value and whether it agrees, for each finite difference."""
    words = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
    return [
        [s, list(d.entry), words.get(repr(float(d.value)), repr(float(d.value))), d.agrees]
        for s, d in enumerate(e.differences)
        if d is not None
    ]


def _values(e: Explanation) -> dict[str, Any]:
    """Numbers of slots one after another; of long arrays, and of whole numbers beyond 2**53, a few words."""
    sizes = np.array([v.size for v in e.values])
    most = next(n for n in (LONGEST, 64, 8, 1, 0) if sizes[sizes <= n].sum() <= _MOST or n == 0)
    words = {s: summary(v) for s, v in enumerate(e.values) if v.size > most or _is_beyond(v)}
    kept = [np.ravel(v).astype(np.float64) for s, v in enumerate(e.values) if s not in words]
    return {"numbers": packed(np.concatenate(kept) if kept else []), "words": words}
