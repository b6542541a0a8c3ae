"""What records reach: the bytes that each operand goes through, and the row that each byte belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.schedule.code import SHIFT
from tapegrad.sweep.layout import BOUNDS, DIMS, FOLLOW, ND, P0, SIZES, W0, WORDS

OFFSET: Final = (1 << SHIFT) - 1
POISON: Final = 255
_STORING: Final = frozenset(WORDS[n] for n in ("SUM_F", "MAX_F", "MIN_F"))  # where told that nothing comes before
_ADDING: Final = frozenset(WORDS[n] for n in WORDS if n.startswith(("SUM_", "MAX_", "MIN_", "ACCUM", "SCATTER_")))
Axis = tuple[int, int, int]  # length, stride in elements, the word that holds the length


def axes(words: Any, j: int) -> list[Axis]:
    """What operand j of a record goes through."""
    op, own = int(words[0]), [int(w) for w in words[W0 : W0 + 6]]
    found = [(int(words[at]), int(words[at + 1 + j]), at) for at in range(DIMS, DIMS + 5 * int(words[ND]), 5)]
    if op == WORDS["MATMUL"]:
        m, n, k, what = own[:4]
        lda, ldb, ldc = own[4] & 0xFFFFFFFF, own[4] >> 32, own[5]
        down, along, across = (m, W0), (n, W0 + 1), (k, W0 + 2)
        first, second = ((1, lda) if what & 1 else (lda, 1)), ((1, ldb) if what & 2 else (ldb, 1))
        lengths = ((down, along), (down, across), (across, along))[j]
        steps = ((ldc, 1), first, second)[j]
        return [*found, *((n, step, word) for (n, word), step in zip(lengths, steps, strict=True))]
    if op in (WORDS["GATHER"], WORDS["SCATTER_ADD"], WORDS["SCATTER_SET"]):
        groups, per, after, length, between = own[:5]
        if j == 2:
            return [(groups, per, W0), (per, 1, W0 + 1)]
        whole = (j == 1) == (op == WORDS["GATHER"])  # any of it may be selected
        count, word = (length, W0 + 3) if whole else (per, W0 + 1)
        step = count * after
        return [(groups, between * step, W0), (between, step, W0 + 4), (count, after, word), (after, 1, W0 + 2)]
    if op in (WORDS["FILL"], WORDS["SHIFT"]):
        return [*found, (own[0], 1, W0)]
    return [*found, (own[0], own[1 + j], W0)]


def grid(found: list[Axis], word: int, unit: int) -> tuple[Any, Any]:
    """(element, row) of all that axes go through; the axis whose length is in `word` has `unit` elements a row."""
    elements, rows = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for length, step, at in found:
        places = np.arange(length)
        elements = (elements[:, None] + places * step).reshape(-1)
        rows = (rows[:, None] + (places // unit if at == word else 0 * places)).reshape(-1)
    return elements, rows


@dataclass(frozen=True, slots=True)
class Tile:
    """The stretch of rows that a record goes through, from `low` on; a height of 0 where it is not of a loop.

    `tile` is where the loop is, `start` where the record's first row stands in the result; `word` and `unit` tell what
    counts rows.
    """

    tile: int = 0
    height: int = 0
    low: int = 0
    start: int = 0
    word: int = -1
    unit: int = 1


@dataclass(frozen=True, slots=True)
class Reach:
    """The bytes of one base that an operand goes through, and the row of each."""

    base: int
    offsets: Any
    rows: Any


def tiled(record: Any, tile: int, height: int, lag: int, *, bounds: bool) -> Tile | None:
    """Write into a record of a loop what the machine does for one tile; None where it has no rows to go through."""
    tail = len(record) - FOLLOW - (BOUNDS if bounds else 0)
    follow = [int(w) for w in record[tail : tail + FOLLOW]]
    low, high = max(tile - follow[0], 0), min(tile - follow[0] + height, follow[1])
    if low >= high:
        return None
    record[follow[2]] = follow[3] * (high - low)
    for j in range(4):
        if record[P0 + j] >= 0:
            record[P0 + j] += low * follow[4 + j] - tile * follow[8 + j]
    return Tile(tile, height, low, follow[0] - lag, follow[2], follow[3])


def reaches(record: Any, tile: Tile) -> Iterator[Reach]:
    """Of the result, then of each operand; rows are counted as the record counts them."""
    for j in range(4):
        packed = int(record[P0 + j])
        if packed < 0:
            continue
        size = int(record[SIZES]) >> (8 * j) & 255
        elements, rows = grid(axes(record, j), tile.word, tile.unit)
        offsets = ((packed & OFFSET) + size * elements[:, None] + np.arange(size)).reshape(-1)
        yield Reach(packed >> SHIFT, offsets, np.repeat(rows + tile.low, size))


def reached_in_loop(record: Any, segment: Sequence[int]) -> dict[int, tuple[int, int, int]]:
    """By operand: base, first byte and end of what a record of a loop touches, all tiles taken together."""
    found: dict[int, tuple[int, int, int]] = {}
    for tile in range(0, segment[4], segment[3]):
        words = record.copy()
        stretch = tiled(words, tile, segment[3], 0, bounds=True)
        there = [j for j in range(4) if words[P0 + j] >= 0] if stretch else []
        for j, r in zip(there, reaches(words, stretch or Tile()), strict=False):
            first, end = int(r.offsets.min()), int(r.offsets.max()) + 1
            _, low, high = found.get(j, (r.base, first, end))
            found[j] = r.base, min(low, first), max(high, end)
    return found


def is_poison(record: Any) -> bool:
    """Does a record fill bytes that are dead?"""
    return bool(record[0] == WORDS["FILL"] and record[SIZES] & 255 == 1 and record[W0 + 1] == POISON)


def adds(record: Any) -> bool:
    """Does a record go on from what is in its result?"""
    if record[0] == WORDS["MATMUL"]:
        return bool(record[W0 + 3] & 4)
    return record[0] in _ADDING and not (record[0] in _STORING and record[W0 + 5])
