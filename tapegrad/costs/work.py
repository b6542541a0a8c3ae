"""What a program's records do: how many elements in what stretches, where, how often. Read off its code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.costs.probes import LINE
from tapegrad.schedule.code import ARRAYS, SHIFT, TILED
from tapegrad.schedule.program import Program
from tapegrad.sweep.layout import ALL_ROWS, ARENA, BOUNDS, DIMS, FOLLOW, ND, P0, SIZES, SUMS, TILES, W0, WORDS

_OFFSET: Final = (1 << SHIFT) - 1
_PAGE: Final = 4096  # bytes within which the next line is foreseen
_POISON: Final = 255  # the byte that dead memory is filled with
_GATHER, _MATMUL = WORDS["GATHER"], WORDS["MATMUL"]


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """One row a record; an operand is a column: the result, then what is read. A run is one tile, or all.

    Attributes:
        instruction: of the tape as it runs.
        opcode: of the array machine; `words`: those of its own.
        loop: over rows, -1 outside of one; `runs`: how often the record runs.
        counts: float64[r, axes], lengths of its axes in one run, the innermost stretch first; of a product its rows,
            columns and terms first, of a selection its groups, what lies between, indices, and what each selects.
        strides: int64[r, axes, 4], in elements.
        base, start: int64[r, 4], where the operand's first byte is, base -1 for none.
        span: bytes from its first to its last one, of all runs; `nbytes`: bytes of these that it touches;
            `run_bytes`: in one run.
        moves: does it go on with the rows? `window`: is it a window of rows, used up within a tile? `chosen`: is it
            what indices choose from?
        jumps: how often in a run it goes on at another place, so far off that nothing foresees it.
    """

    instruction: Any
    opcode: Any
    words: Any
    loop: Any
    runs: Any
    counts: Any
    strides: Any
    base: Any
    start: Any
    span: Any
    nbytes: Any
    run_bytes: Any
    moves: Any
    window: Any
    chosen: Any
    jumps: Any

    def __len__(self) -> int:
        return len(self.opcode)


def work(program: Program) -> Work:
    """The work of a program's records, in order."""
    code: Any = program.code
    at, records = code.record_at, code.records
    words = records[at[:, None] + np.arange(DIMS)] if len(at) else np.zeros((0, DIMS), np.int64)
    own = ~_poisons(words)
    at, words, origin = at[own], words[own], code.record_origin[own]
    kind, height, rows, loop = _segments(code, at)
    counts, strides = _axes(records, at, words)
    tiled = kind == TILED
    follow = _follow(records, at, words, tiled, program.bounds)
    every = follow[:, 1] >= ALL_ROWS
    mine = np.where(every | ~tiled, rows, follow[:, 1])
    runs = np.where(tiled, -(-mine // np.maximum(height, 1)), 1)
    share = np.where(tiled & ~every, 1 / np.maximum(runs, 1), 1.0)
    axis = _row_axis(words[:, 0], follow[:, 2])
    run_counts = counts.astype(np.float64)
    run_counts[np.arange(len(at)), axis] *= share
    packed = words[:, P0 : P0 + 4]
    size = (words[:, SIZES, None] >> (8 * np.arange(4))) & 255
    base = np.where(packed >= 0, packed >> SHIFT, -1)
    low, span = _reach(counts, strides, size)
    chosen = _chosen(words[:, 0])
    wholes = words[:, W0] * words[:, W0 + 4] * words[:, W0 + 3] * words[:, W0 + 2]
    span = np.where(chosen, wholes[:, None] * size, span)
    return Work(
        instruction=origin,
        opcode=words[:, 0],
        words=words[:, W0:],
        loop=np.where(tiled, loop, -1),
        runs=runs,
        counts=run_counts,
        strides=strides,
        base=np.where(base == SUMS, ARENA, base),
        start=(packed & _OFFSET) + low,
        span=span,
        nbytes=_touched(counts.astype(np.float64), strides, size, span),
        run_bytes=_touched(run_counts, strides, size, span),
        moves=tiled[:, None] & (follow[:, 4:8] != 0),
        window=base == TILES,
        chosen=chosen,
        jumps=np.where(chosen, run_counts[:, :3].prod(1)[:, None], _jumps(run_counts, strides, size)),
    )


def _poisons(words: Any) -> Any:
    """Which records do nothing but overwrite what is dead (`TAPEGRAD_CHECKS=poison`): they are no part of the work."""
    return (words[:, 0] == WORDS["FILL"]) & (words[:, SIZES] & 255 == 1) & (words[:, W0 + 1] == _POISON)


def _segments(code: Any, at: Any) -> tuple[Any, Any, Any, Any]:
    """Kind, tile height, rows and loop of the segment that each record is in."""
    mine = code.segments[np.isin(code.segments[:, 0], [ARRAYS, TILED])]
    if not len(mine):
        return (np.zeros(len(at), np.int64),) * 4
    found = mine[np.searchsorted(mine[:, 1], at, side="right") - 1]
    return found[:, 0], found[:, 3], found[:, 4], found[:, 5]


def _follow(records: Any, at: Any, words: Any, tiled: Any, bounds: bool) -> Any:
    """int64[r, 12]: what records of loops say of rows; zeros of others."""
    end = at + words[:, 1] - FOLLOW - (BOUNDS if bounds else 0)
    found = np.zeros((len(at), FOLLOW), np.int64)
    found[tiled] = records[end[tiled, None] + np.arange(FOLLOW)]
    return found


def _axes(records: Any, at: Any, words: Any) -> tuple[Any, Any]:
    """Lengths and strides of each record's axes."""
    opcode, own, outer = words[:, 0], words[:, W0:], words[:, ND]
    product, selection = opcode == _MATMUL, opcode >= _GATHER
    most = int(outer.max(initial=0))
    counts, strides = np.ones((len(at), 3 + max(most, 1)), np.int64), np.zeros((len(at), 3 + max(most, 1), 4), np.int64)
    plain = ~product & ~selection
    counts[plain, 0], strides[plain, 0] = own[plain, 0], own[plain, 1:5]
    filled = plain & np.isin(opcode, [WORDS["FILL"], WORDS["SHIFT"]])
    strides[filled, 0] = 1
    for d in range(most):
        there = np.flatnonzero(outer > d)
        dims = records[at[there, None] + DIMS + 5 * d + np.arange(5)]
        place = np.where(product[there], 3, 1) + d
        counts[there, place], strides[there, place] = dims[:, 0], dims[:, 1:]
    _products(own, product, counts, strides)
    _selections(opcode, own, selection, counts, strides)
    return counts, strides


def _products(own: Any, chosen: Any, counts: Any, strides: Any) -> None:
    """Rows, columns and terms of matrix products."""
    flags, ldc = own[chosen, 3], own[chosen, 5]
    lda, ldb = own[chosen, 4] & 0xFFFFFFFF, own[chosen, 4] >> 32
    ta, tb, one, none = (flags & 1) != 0, (flags & 2) != 0, np.ones_like(ldc), np.zeros_like(ldc)
    counts[chosen, :3] = own[chosen, :3]
    strides[chosen, 0] = np.stack([ldc, np.where(ta, one, lda), none, none], 1)
    strides[chosen, 1] = np.stack([one, none, np.where(tb, ldb, one), none], 1)
    strides[chosen, 2] = np.stack([none, np.where(ta, lda, one), np.where(tb, one, ldb), none], 1)


def _selections(opcode: Any, own: Any, chosen: Any, counts: Any, strides: Any) -> None:
    """Groups, what lies between, indices and what each selects, of gathers and scatters.

    Which elements of the whole are chosen is not known: they count as spread evenly.
    """
    groups, m, after, length, between = (own[chosen, k] for k in range(5))
    counts[chosen, :4] = np.stack([groups, between, m, after], 1)
    one, none = np.ones_like(m), np.zeros_like(m)
    selected = [between * m * after, m * after, after, one]
    whole = [between * length * after, length * after, np.maximum(length // np.maximum(m, 1), 1) * after, one]
    index = [m, none, one, none]
    first = opcode[chosen] == _GATHER
    for axis in range(4):
        o, u = np.where(first, selected[axis], whole[axis]), np.where(first, whole[axis], selected[axis])
        strides[chosen, axis] = np.stack([o, u, index[axis], none], 1)


def _row_axis(opcode: Any, word: Any) -> Any:
    """The axis whose length the word counts."""
    product, selection, outer = opcode == _MATMUL, opcode >= _GATHER, word >= DIMS
    inner = np.clip(word - W0, 0, 4)
    chosen = np.where(selection, np.array([0, 2, 3, 0, 1])[inner], np.where(product, np.minimum(inner, 2), 0))
    return np.where(outer, np.where(product, 3, 1) + (word - DIMS) // 5, chosen)


def _jumps(counts: Any, strides: Any, size: Any) -> Any:
    """How often an operand goes on a page or more away, and not where its stretch before ended."""
    steps, found = np.abs(strides), np.ones(strides[:, 0].shape)
    for axis in range(counts.shape[1]):
        inner = np.where(steps < steps[:, axis, None], (counts[:, :, None] - 1) * steps, 0).sum(1) + 1
        far = (steps[:, axis] * size >= _PAGE) & (steps[:, axis] > 2 * inner) & (counts[:, axis, None] > 1)
        found *= np.where(far, counts[:, axis, None], 1.0)
    return np.where(found > 1, found, 0.0)


def _chosen(opcode: Any) -> Any:
    """Which operand indices choose from: of a gather what it reads, of a scatter its result."""
    selection, gathers = opcode >= _GATHER, opcode == _GATHER
    none = np.zeros_like(selection)
    return np.stack([selection & ~gathers, gathers, none, none], 1)


def _reach(counts: Any, strides: Any, size: Any) -> tuple[Any, Any]:
    """Bytes from an operand's address down to its first byte, and from there to its last one."""
    reach = (np.maximum(counts, 1) - 1)[:, :, None] * strides
    low = np.minimum(reach, 0).sum(1) * size
    return low, (np.abs(reach).sum(1) + 1) * size


def _touched(counts: Any, strides: Any, size: Any, span: Any) -> Any:
    """Bytes that an operand's elements take, whole lines where they lie apart."""
    varies = strides != 0
    elements = np.where(varies, counts[:, :, None], 1.0).prod(1)
    apart = np.where(varies & (counts[:, :, None] > 1), np.abs(strides), 1 << 40).min(1)
    each = np.where(apart < 1 << 40, np.clip(apart * size, size, LINE), size)
    return np.minimum(elements * each, span)
