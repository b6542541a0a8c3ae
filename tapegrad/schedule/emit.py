"""Writes a program's code: one compiled loop copies each signature's layout and fills in the addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.ops.row import BOOL, ArrayType
from tapegrad.schedule.code import ARRAYS, ROW_WORDS, SEGMENT_WORDS, SHIFT, Code, Emission, Templates, flat
from tapegrad.schedule.layout import CELL, ROW, Layout
from tapegrad.schedule.record import Records
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import Storage, contiguous
from tapegrad.sweep.layout import ALL_ROWS, BOUNDS, FOLLOW, P0, TILES, W0


@part
def _segment(segments: Any, state: Any, kind: Any, height: Any, rows: Any, loop: Any) -> None:
    """Close the open segment and open one, unless one of the kind is open; state: words, row, segment, kind."""
    if state[3] == kind and kind < 2:
        return
    if state[2] > 0:
        segments[state[2] - 1, 2] = state[1] if state[3] == 1 else state[0]
    if kind >= 0:
        s = state[2]
        segments[s, 0], segments[s, 1] = kind, state[1] if kind == 1 else state[0]
        segments[s, 3], segments[s, 4], segments[s, 5] = height, rows, loop
        state[2] += 1
    state[3] = kind


@part
def _begin_record(state: Any, record_at: Any, record_origin: Any, i: Any) -> None:
    record_at[state[4]], record_origin[state[4]] = state[0], i
    state[4] += 1


@part
def _addresses(
    records: Any, at: Any, r: Any, i: Any, roles: Any, offsets: Any, starts: Any, operands: Any, base: Any, offset: Any,
    private: Any, bounds: Any, buffer: Any, extent: Any, end: Any,
) -> None:  # fmt: skip
    """Fill in the addresses of a record, and, in the bounds-checking mode, what each may reach."""
    for j in range(4):
        if roles[r, j] < 0:
            continue
        slot = i if roles[r, j] == 0 else operands[starts[i] + roles[r, j] - 1]
        b = private if roles[r, j] == 0 and private > 0 and base[slot] == 0 else base[slot]
        records[at + 2 + j] = (b << 48) | (offset[slot] + offsets[r, j])
        if bounds:
            records[end + 2 * j] = extent[buffer[slot], 0]
            records[end + 2 * j + 1] = extent[buffer[slot], 1]


@part
def _body(
    i: Any, s: Any, inside: Any, state: Any, records: Any, record_at: Any, record_origin: Any, taken: Any,
    starts: Any, operands: Any, base: Any, offset: Any, attribute: Any, lag: Any, ahead: Any, reduces: Any,
    first: Any, words: Any, word_starts: Any, roles: Any, offsets: Any, conditional: Any, scale: Any, following: Any,
    bounds: Any, buffer: Any, extent: Any,
) -> None:  # fmt: skip
    """The records of instruction i: those of a loop's begin (inside is 0), those of its body (1), all (2)."""
    for r in range(first[s], first[s + 1]):
        follows = following[r, 0] >= 0
        if (conditional[r] and taken[i]) or (inside == 1 and not follows) or (inside == 0 and follows):
            continue
        if inside == 0 and taken[i]:
            continue
        _begin_record(state, record_at, record_origin, i)
        at = state[0]
        length = word_starts[r + 1] - word_starts[r]
        for w in range(length):
            records[at + w] = words[word_starts[r] + w]
        tail = at + length
        end = tail + (12 if inside == 1 else 0)
        private = 2 if reduces[i] else 0
        _addresses(
            records, at, r, i, roles, offsets, starts, operands, base, offset, private, bounds, buffer, extent, end
        )
        records[at + 2 + scale[r, 1]] += scale[r, 0] * attribute[i]
        if inside == 1:
            records[tail], records[tail + 1] = lag[i] + following[r, 7], following[r, 6]
            records[tail + 2], records[tail + 3] = following[r, 0], following[r, 1]
            for j in range(4):
                if roles[r, j] < 0:
                    continue
                slot = i if roles[r, j] == 0 else operands[starts[i] + roles[r, j] - 1]
                step = following[r, 2 + j]
                records[tail + 4 + j] = step
                if ahead[slot] >= 0:  # a window of rows: its place moves with the tile
                    records[tail + 8 + j] = step
                    records[at + 2 + j] += ahead[slot] * step
        records[at + 1] = end - at + (8 if bounds else 0)
        state[0] += records[at + 1]


@part
def _scalar(
    i: Any, s: Any, kind: Any, state: Any, rows: Any, side: Any, row_origin: Any, starts: Any, operands: Any,
    base: Any, offset: Any, opcode: Any, loop: Any, extra: Any, units: Any, unit_starts: Any,
) -> None:  # fmt: skip
    """One row of the scalar machine: a load (kind 2) or an instruction (3)."""
    row = state[1]
    rows[row, 0] = opcode[s]
    rows[row, 1] = offset[i] // units[unit_starts[s]]
    if kind == 2:
        source = operands[starts[i]] if starts[i + 1] > starts[i] else i
        side[state[5]] = extra[i] if source == i else (base[source] << 48) | (offset[source] + extra[i])
        rows[row, 2] = state[5]
        state[5] += 1
    else:
        rows[row, 3] = -1
        for o in range(starts[i], starts[i + 1]):
            k = o - starts[i]
            rows[row, 2 + k] = offset[operands[o]] // units[unit_starts[s] + 1 + k]
        if loop[s] >= 0:
            rows[row, 4] = loop[s]
    row_origin[row] = i
    state[1] += 1


@part
def _constant_record(
    template: Any, o: Any, u: Any, n: Any, inside: Any, bounds: Any, state: Any, records: Any, record_at: Any,
    record_origin: Any, i: Any, extent: Any, b: Any,
) -> None:  # fmt: skip
    """A record at fixed addresses: bytes filled, or rows of a window moved to its front."""
    _begin_record(state, record_at, record_origin, i)
    at = state[0]
    for w in range(len(template)):
        records[at + w] = template[w]
    records[at + 2], records[at + 8] = o, n
    if u >= 0:
        records[at + 3] = u
    tail = at + len(template)
    if inside:
        for w in range(12):
            records[tail + w] = 0
        records[tail + 1], records[tail + 2] = 1 << 40, 13  # all rows; the word that counts them is not read
        tail += 12
    if bounds:
        for w in range(8):
            records[tail + w] = extent[b, w % 2]
        tail += 8
    records[at + 1] = tail - at
    state[0] = tail


@compiled
def _emit(  # noqa: C901, PLR0912 - one compiled loop
    form: Any, signature: Any, starts: Any, operands: Any, base: Any, offset: Any, taken: Any, attribute: Any,
    loop_first: Any, loop_last: Any, loop_height: Any, loop_rows: Any, kinds: Any, lag: Any, ahead: Any, history: Any,
    opcode: Any, loop: Any, extra: Any, units: Any, unit_starts: Any,
    first: Any, words: Any, word_starts: Any, roles: Any, offsets: Any, conditional: Any, scale: Any, following: Any,
    buffer: Any, extent: Any, bounds: Any, row_bytes: Any,
    deaths: Any, death_at: Any, passing: Any, fill: Any, shift: Any, buffer_at: Any, buffer_bytes: Any,
    segments: Any, records: Any, rows: Any, side: Any, row_origin: Any, record_at: Any, record_origin: Any, state: Any,
) -> None:  # fmt: skip
    """`form` codes: 0 leaf, 1 view, 2 cell, 3 row, 4 records, 5 call. `state` returns the lengths."""
    state[3] = -1
    reduces = kinds == 3
    dead, q, i, n = 0, 0, 0, len(form)
    while i < n:
        looping = q < len(loop_first) and i == loop_first[q]
        last = loop_last[q] if looping else i
        if looping:
            for k in range(i, last + 1):
                if kinds[k] == 3 and form[k] == 4:
                    _segment(segments, state, 0, 0, 0, 0)
                    _body(
                        k, signature[k], 0, state, records, record_at, record_origin, taken, starts, operands, base,
                        offset, attribute, lag, ahead, reduces, first, words, word_starts, roles, offsets,
                        conditional, scale, following, bounds, buffer, extent,
                    )  # fmt: skip
            _segment(segments, state, 2, loop_height[q], loop_rows[q], q)
        for k in range(i, last + 1):
            if form[k] == 2 or form[k] == 3:
                _segment(segments, state, 1, 0, 0, 0)
                _scalar(
                    k, signature[k], form[k], state, rows, side, row_origin, starts, operands, base, offset, opcode,
                    loop, extra, units, unit_starts,
                )  # fmt: skip
            elif form[k] == 4:
                if not looping:
                    _segment(segments, state, 0, 0, 0, 0)
                _body(
                    k, signature[k], 1 if looping else 2, state, records, record_at, record_origin, taken, starts,
                    operands, base, offset, attribute, lag, ahead, reduces, first, words, word_starts, roles,
                    offsets, conditional, scale, following, bounds, buffer, extent,
                )  # fmt: skip
            elif form[k] == 5:
                _segment(segments, state, 3, 0, 0, k)
            while looping and dead < len(deaths) and death_at[dead] <= k and passing[deaths[dead]]:
                b = deaths[dead]
                dead += 1
                _constant_record(
                    fill, buffer_at[b], -1, buffer_bytes[b], True, bounds, state, records, record_at, record_origin,
                    k, extent, b,
                )  # fmt: skip
        if looping:
            for k in range(i, last + 1):
                if ahead[k] >= 0 and history[k] > 0 and form[k] == 4:
                    b, moved = buffer[k], history[k] * row_bytes[k]
                    _constant_record(
                        shift, buffer_at[b], buffer_at[b] + loop_height[q] * row_bytes[k], moved, True, bounds, state,
                        records, record_at, record_origin, k, extent, b,
                    )  # fmt: skip
                    if len(deaths) > 0:
                        _constant_record(
                            fill, buffer_at[b] + moved, -1, buffer_bytes[b] - moved, True, bounds, state, records,
                            record_at, record_origin, k, extent, b,
                        )  # fmt: skip
            _segment(segments, state, -1, 0, 0, 0)
            q += 1
        while dead < len(deaths) and death_at[dead] <= last:
            b = deaths[dead]
            dead += 1
            _segment(segments, state, 0, 0, 0, 0)
            _constant_record(
                fill, buffer_at[b], -1, buffer_bytes[b], False, bounds, state, records, record_at, record_origin,
                last, extent, b,
            )  # fmt: skip
        i = last + 1
    _segment(segments, state, -1, 0, 0, 0)


def emit(
    wanted: Emission, templates: Templates, layouts: Sequence[Layout], maker: Records, *, poison: bool, bounds: bool
) -> Code:
    """The code of placed slots."""
    w, t = wanted, templates
    placement = w.placement
    units, unit_starts = flat([lay.units for lay in layouts])
    passing = (placement.buffer_base == TILES) & (_margins(w) == 0)
    deaths, death_at = _deaths(w, passing, poison=poison)
    n = len(w.form)
    shifted = int((w.history > 0).sum())
    constant = _poison_record(maker), _shift_record(maker)
    tail = FOLLOW + (BOUNDS if bounds else 0)
    records_of = np.diff(t.first)
    words_of = np.array([sum(len(r.words) + tail for r in lay.records) for lay in layouts], np.int64)
    fixed = len(deaths) + 2 * shifted
    rows_bound = int(((w.form == CELL) | (w.form == ROW)).sum())
    code = Code(
        segments=np.zeros((n + len(deaths) + 2 * len(w.loops) + 1, SEGMENT_WORDS), np.int64),
        records=np.zeros(int(words_of[w.signature].sum()) + fixed * (len(constant[0]) + tail), np.int64),
        rows=np.zeros((rows_bound, ROW_WORDS), np.int32),
        side=np.zeros(int((w.form == CELL).sum()), np.int64),
        row_origin=np.zeros(rows_bound, np.int32),
        record_at=np.zeros(int(records_of[w.signature].sum()) + fixed, np.int64),
        record_origin=np.zeros(int(records_of[w.signature].sum()) + fixed, np.int32),
    )
    state = np.zeros(6, np.int64)
    extent = np.stack([placement.buffer_offset, placement.buffer_offset + np.maximum(w.reach, 1)], 1)
    _emit(
        w.form, w.signature, w.starts, w.operands, placement.base, placement.offset, placement.taken, w.attribute,
        *(np.array([getattr(loop, name) for loop in w.loops], np.int64) for name in ("first", "last", "height")),
        np.array([loop.rows + loop.lag for loop in w.loops], np.int64), w.kind, w.lag, w.ahead, w.history,
        np.array([lay.opcode for lay in layouts], np.int64), np.array([lay.loop for lay in layouts], np.int64),
        w.extra, units, unit_starts,
        t.first, t.words, t.starts, t.roles, t.offsets, t.conditional, t.scale, t.following,
        placement.buffer, extent, bounds, w.row_bytes,
        deaths, death_at, passing, *constant,
        (placement.buffer_base << SHIFT) | placement.buffer_offset, np.maximum(placement.buffer_bytes, 1),
        code.segments, code.records, code.rows, code.side, code.row_origin, code.record_at, code.record_origin, state,
    )  # fmt: skip
    trimmed = Code(
        code.segments[: state[2]].copy(),
        code.records[: state[0]].copy(),
        code.rows,
        code.side,
        code.row_origin,
        code.record_at[: state[4]].copy(),
        code.record_origin[: state[4]].copy(),
    )
    return _with_copies(trimmed, w, maker, bounds=bounds)


def _margins(w: Emission) -> Any:
    """Rows that each buffer remembers."""
    margin = np.zeros(len(w.placement.buffer_base), np.int64)
    np.maximum.at(margin, w.placement.buffer, w.history)
    return margin


def _deaths(w: Emission, passing: Any, *, poison: bool) -> tuple[Any, Any]:
    """Buffers of the arenas by the instruction after which they are dead; first those that are so in each tile."""
    if not poison:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    n, p = len(w.form), w.placement
    mortal = np.flatnonzero((p.buffer_base <= TILES) & (p.buffer_ends < n))
    order = mortal[np.lexsort((~passing[mortal], p.buffer_ends[mortal]))]
    return order.astype(np.int64), p.buffer_ends[order].astype(np.int64)


def _poison_record(maker: Records) -> Any:
    """A record that fills bytes with 255: nan as a float, -1 as an integer."""
    byte = ArrayType((), BOOL)
    words = list(maker.fill(Storage(byte, NO_ROW, ()), 0).words)
    words[W0 + 1] = 255
    return np.array(words, np.int64)


def _shift_record(maker: Records) -> Any:
    """A record that moves bytes downwards; they may overlap."""
    byte = ArrayType((), BOOL)
    return np.array(maker.plain("SHIFT", (0, 1, 1), [byte, byte], (0, 1)).words, np.int64)


def _with_copies(code: Code, w: Emission, maker: Records, *, bounds: bool) -> Code:
    """The code followed by copies of the results that could not be written in place."""
    words: list[int] = []
    at: list[int] = []
    p = w.placement
    for k in p.copied_outputs:
        slot = w.dependents[k]
        source = w.storages[w.storage[slot]]
        if not source.type.size:
            continue
        target = Storage(source.type, NO_ROW, contiguous(source.shape))
        record = list(maker.move("COPY", target, source).words)
        record[P0] = (w.first_output + k) << SHIFT
        record[P0 + 1] = (int(p.base[slot]) << SHIFT) | int(p.offset[slot])
        if bounds:
            b = p.buffer[slot]
            first = int(p.buffer_offset[b])
            record += [0, maker.nbytes(source.type), first, first + int(w.reach[b]), *[0] * 4]
            record[1] = len(record)
        at.append(len(code.records) + len(words))
        words += record
    if not words:
        return code
    start = len(code.records)
    last = np.array([[ARRAYS, start, start + len(words), 0, 0, 0]], np.int64)
    return Code(
        np.concatenate([code.segments, last]),
        np.concatenate([code.records, np.array(words, np.int64)]),
        code.rows,
        code.side,
        code.row_origin,
        np.concatenate([code.record_at, np.array(at, np.int64)]),
        np.concatenate([code.record_origin, np.full(len(at), len(w.form) - 1, np.int32)]),
    )


assert ALL_ROWS == 1 << 40  # written in _constant_record
