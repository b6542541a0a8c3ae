"""Writes a program's code: one compiled loop copies each signature's layout and fills in the addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.row import ArrayType
from tapegrad.schedule.buffers import Placement
from tapegrad.schedule.layout import CELL, ROW, Layout, Layouts
from tapegrad.sweep.layout import P0, W0
from tapegrad.tape import Tape

ROW_WORDS: Final = 5  # opcode, result, three operands
SHIFT: Final = 48  # an address is base << SHIFT | offset


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """The arrays that the kernels run.

    Attributes:
        segments: int64[k, 3], (1 for scalars or 0, first, last), in rows or in words of `records`.
        records: int64[], records of array instructions one after another.
        rows: int32[m, 5], scalar instructions.
        side: int64[], packed addresses that scalar loads refer to.
        row_origin: int32[m], the instruction of each row.
        record_at, record_origin: where each record starts, and its instruction.
    """

    segments: Any
    records: Any
    rows: Any
    side: Any
    row_origin: Any
    record_at: Any
    record_origin: Any


@compiled
def _emit(  # noqa: C901, PLR0912, PLR0915 - one compiled loop
    form: Any,
    signature: Any,
    starts: Any,
    operands: Any,
    base: Any,
    offset: Any,
    taken: Any,
    opcode: Any,
    loop: Any,
    extra: Any,
    units: Any,
    unit_starts: Any,
    first_record: Any,
    record_starts: Any,
    record_words: Any,
    roles: Any,
    offsets: Any,
    conditional: Any,
    scale: Any,
    attribute: Any,
    deaths: Any,
    death_at: Any,
    poison_words: Any,
    poison_address: Any,
    poison_bytes: Any,
    segments: Any,
    records: Any,
    rows: Any,
    side: Any,
    row_origin: Any,
    record_at: Any,
    record_origin: Any,
    counts: Any,
) -> None:
    """`form` codes: 1 view, 2 cell, 3 row, 4 records; leaves (0) have no code. `counts` returns the lengths."""
    words, row, sided, record, segment = 0, 0, 0, 0, 0
    open_kind = -1
    dead = 0
    for i in range(len(form)):
        kind = form[i]
        s = signature[i]
        if kind in (2, 3):
            if open_kind != 1:
                if open_kind == 0:
                    segments[segment - 1, 2] = words
                segments[segment, 0], segments[segment, 1] = 1, row
                segment += 1
                open_kind = 1
            rows[row, 0] = opcode[s]
            rows[row, 1] = offset[i] // units[unit_starts[s]]
            if kind == 2:
                source = operands[starts[i]] if starts[i + 1] > starts[i] else i
                side[sided] = extra[i] if source == i else (base[source] << 48) | (offset[source] + extra[i])
                rows[row, 2] = sided
                sided += 1
            else:
                rows[row, 3] = -1
                for o in range(starts[i], starts[i + 1]):
                    k = o - starts[i]
                    rows[row, 2 + k] = offset[operands[o]] // units[unit_starts[s] + 1 + k]
                if loop[s] >= 0:
                    rows[row, 4] = loop[s]
            row_origin[row] = i
            row += 1
        elif kind == 4:
            for r in range(first_record[s], first_record[s + 1]):
                if conditional[r] and taken[i]:
                    continue
                if open_kind != 0:
                    if open_kind == 1:
                        segments[segment - 1, 2] = row
                    segments[segment, 0], segments[segment, 1] = 0, words
                    segment += 1
                    open_kind = 0
                record_at[record], record_origin[record] = words, i
                record += 1
                length = record_starts[r + 1] - record_starts[r]
                for w in range(length):
                    records[words + w] = record_words[record_starts[r] + w]
                for j in range(4):
                    if roles[r, j] >= 0:
                        slot = i if roles[r, j] == 0 else operands[starts[i] + roles[r, j] - 1]
                        records[words + 2 + j] = (base[slot] << 48) | (offset[slot] + offsets[r, j])
                records[words + 2] += scale[r] * attribute[i]
                words += length
        while dead < len(deaths) and death_at[dead] <= i:
            b = deaths[dead]
            dead += 1
            if open_kind != 0:
                if open_kind == 1:
                    segments[segment - 1, 2] = row
                segments[segment, 0], segments[segment, 1] = 0, words
                segment += 1
                open_kind = 0
            record_at[record], record_origin[record] = words, i
            record += 1
            for w in range(len(poison_words)):
                records[words + w] = poison_words[w]
            records[words + 2] = poison_address[b]
            records[words + 8] = poison_bytes[b]
            words += len(poison_words)
    if segment > 0:
        segments[segment - 1, 2] = words if open_kind == 0 else row
    counts[0], counts[1], counts[2], counts[3], counts[4] = segment, words, row, sided, record


def view_offsets(tape: Tape, layouts: Sequence[Layout], signature: Any) -> Any:
    """int64[n]: where in its operand's memory each view starts, in bytes."""
    start = np.array([lay.offset for lay in layouts], np.int64)[signature]
    scale = np.array([lay.scale for lay in layouts], np.int64)[signature]
    return start + scale * tape.attribute_ids


def _flat(lists: Sequence[Sequence[int]], dtype: type = np.int64) -> tuple[Any, Any]:
    """Lists one after another, and where each starts."""
    starts = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(x) for x in lists], out=starts[1:])
    return np.array([x for part in lists for x in part], dtype), starts


def emit(
    tape: Tape,
    layouts: list[Layout],
    signature: Any,
    form: Any,
    placement: Placement,
    first_output: int,
    maker: Layouts,
    *,
    poison: bool,
) -> Code:
    """The code of a placed tape."""
    every = [r for lay in layouts for r in lay.records]
    record_words, record_starts = _flat([r.words for r in every])
    first_record = np.zeros(len(layouts) + 1, np.int64)
    np.cumsum([len(lay.records) for lay in layouts], out=first_record[1:])
    units, unit_starts = _flat([lay.units for lay in layouts])
    extra = view_offsets(tape, layouts, signature)
    extra[tape.inputs] = (1 + np.arange(len(tape.inputs))) << SHIFT
    deaths, death_at = _deaths(placement, poison=poison)
    n = len(tape)
    words_of = np.array([sum(len(r.words) for r in lay.records) for lay in layouts], np.int64)
    records_of = np.diff(first_record)
    rows_bound = int(((form == CELL) | (form == ROW)).sum())
    poison_words = _poison_record(maker)
    records_bound = int(records_of[signature].sum()) + len(deaths)
    code = Code(
        segments=np.zeros((n + len(deaths) + 1, 3), np.int64),
        records=np.zeros(int(words_of[signature].sum()) + len(poison_words) * len(deaths), np.int64),
        rows=np.zeros((rows_bound, ROW_WORDS), np.int32),
        side=np.zeros(int((form == CELL).sum()), np.int64),
        row_origin=np.zeros(rows_bound, np.int32),
        record_at=np.zeros(records_bound, np.int64),
        record_origin=np.zeros(records_bound, np.int32),
    )
    counts = np.zeros(5, np.int64)
    _emit(
        form,
        signature,
        tape.starts,
        tape.operands,
        placement.base,
        placement.offset,
        placement.taken,
        np.array([lay.opcode for lay in layouts], np.int64),
        np.array([lay.loop for lay in layouts], np.int64),
        extra,
        units,
        unit_starts,
        first_record,
        record_starts,
        record_words,
        np.array([r.roles for r in every], np.int64).reshape(-1, 4),
        np.array([r.offsets for r in every], np.int64).reshape(-1, 4),
        np.array([r.unless_in_place for r in every], np.bool_),
        np.array([r.scale for r in every], np.int64),
        tape.attribute_ids,
        deaths,
        death_at,
        poison_words,
        (placement.buffer_base << SHIFT) | placement.buffer_offset,
        np.maximum(placement.buffer_bytes, 1),
        code.segments,
        code.records,
        code.rows,
        code.side,
        code.row_origin,
        code.record_at,
        code.record_origin,
        counts,
    )
    trimmed = Code(
        code.segments[: counts[0]].copy(),
        code.records[: counts[1]].copy(),
        code.rows,
        code.side,
        code.row_origin,
        code.record_at[: counts[4]].copy(),
        code.record_origin[: counts[4]].copy(),
    )
    return _with_copies(trimmed, tape, placement, first_output, maker)


def _deaths(placement: Placement, *, poison: bool) -> tuple[Any, Any]:
    """Buffers of the arena by the instruction after which they are dead."""
    if not poison:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    n = len(placement.base)
    mortal = np.flatnonzero((placement.buffer_base == 0) & (placement.buffer_ends < n))
    order = mortal[np.argsort(placement.buffer_ends[mortal], kind="stable")]
    return order.astype(np.int64), placement.buffer_ends[order].astype(np.int64)


def _poison_record(maker: Layouts) -> Any:
    """A record that fills bytes with 255: nan as a float, -1 as an integer."""
    words = list(maker.fill(ArrayType((), "b"), 0).words)
    words[W0 + 1] = 255
    return np.array(words, np.int64)


def _with_copies(code: Code, tape: Tape, placement: Placement, first_output: int, maker: Layouts) -> Code:
    """The code followed by copies of the results that could not be written in place."""
    words: list[int] = []
    at: list[int] = []
    for k in placement.copied_outputs:
        slot = int(tape.dependents[k])
        if not tape.type(slot).size:
            continue
        record = list(maker.copy(tape.type(slot)).words)
        record[P0] = (first_output + k) << SHIFT
        record[P0 + 1] = (int(placement.base[slot]) << SHIFT) | int(placement.offset[slot])
        at.append(len(code.records) + len(words))
        words += record
    if not words:
        return code
    start = len(code.records)
    last = np.array([[0, start, start + len(words)]], np.int64)
    return Code(
        np.concatenate([code.segments, last]),
        np.concatenate([code.records, np.array(words, np.int64)]),
        code.rows,
        code.side,
        code.row_origin,
        np.concatenate([code.record_at, np.array(at, np.int64)]),
        np.concatenate([code.record_origin, np.full(len(at), len(tape) - 1, np.int32)]),
    )
