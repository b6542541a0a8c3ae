"""The plan of a program: in what order its instructions run, in which loops over rows, how high the tiles are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.schedule.modes import PER_ROW, REDUCTION
from tapegrad.schedule.phases import Phases

L1_BYTES: Final = 24 << 10  # live bytes of a tile: half of a usual first-level cache
L2_BYTES: Final = 512 << 10  # ... of a tile with matrix products: half of a usual second-level cache
HIGHEST: Final = 512
FEWEST: Final = 16  # rows below which a product costs more a row
USUAL: Final = 48  # ... from which small products cost no less
WIDE: Final = 256  # the same for wide layers, whose weights come from memory in each tile
WIDE_WORK: Final = 1 << 16  # multiply-adds a row that make a layer wide
SKINNY: Final = 10**6  # multiply-adds up to which BLAS has its path for small products
WORTH: Final = 1 << 16  # bytes gone through below which everything is in cache anyway


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop over rows.

    Attributes:
        first, last: its first and last instruction, in the order in which they run.
        rows: how many rows the longest slot has; `height`: rows of a tile.
        row_bytes: bytes of one row of all that is alive at once.
        lag: rows that the last slot runs behind.
        history: does a slot remember rows? Such a loop runs on one thread.
    """

    first: int
    last: int
    rows: int
    height: int
    row_bytes: int
    lag: int
    history: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What the scheduler decided; prints as a few lines."""

    loops: tuple[Loop, ...]
    instructions: int

    @property
    def rows(self) -> int:
        """Rows of the longest loop; 0 if everything runs whole."""
        return max((loop.rows for loop in self.loops), default=0)

    @property
    def height(self) -> int:
        """Tile height of the longest loop; 0 if everything runs whole."""
        return max(((loop.rows, loop.height) for loop in self.loops), default=(0, 0))[1]

    def __str__(self) -> str:
        if not self.loops:
            return f"{self.instructions} instructions, whole"
        lines = [f"{self.instructions} instructions, {len(self.loops)} loop(s) over rows"]
        lines += [
            f"  instructions {loop.first} to {loop.last}: {loop.rows} rows in tiles of {loop.height}, "
            f"{loop.row_bytes} bytes a row, lag {loop.lag}"
            for loop in self.loops
        ]
        return "\n".join(lines)


def order_of(phases: Phases) -> Any:
    """int64[n]: the instructions in the order in which they run."""
    return np.argsort(phases.level, kind="stable")


def loops_of(
    phases: Phases,
    starts: Any,
    operands: Any,
    view: Any,
    length: Any,
    row_bytes: Any,
    product: Any,
    height: int | None,
    heights: Mapping[int, int],
) -> tuple[Loop, ...]:
    """The loops of instructions that are in order; `length` and `row_bytes` are the slots' rows and their bytes.

    `product`: multiply-adds a row of each matrix product, 0 for other instructions. `heights`: those of tiles by level,
    where they have been chosen before.
    """
    found = []
    inside = (phases.level % 2 == 1) & (phases.kind >= PER_ROW) & ~view
    for level in np.unique(phases.level[inside]).tolist():
        members = np.flatnonzero(inside & (phases.level == level))
        first, last = int(members[0]), int(members[-1])
        rows = int(length[members].max())
        live = _live(phases, members, starts, operands, row_bytes, first, last)
        lag = int(phases.lag[members].max())
        chosen = heights.get(level, 0) or height or _height(live, rows, product[members])
        history = bool(phases.history[members].any()) or lag > 0
        found.append(Loop(first, last, rows, max(1, min(chosen, rows + lag)), live, lag, history))
    return tuple(found)


def _live(phases: Phases, members: Any, starts: Any, operands: Any, row_bytes: Any, first: int, last: int) -> int:
    """Bytes a row of what is alive at once in a loop, what is read from outside counted all along."""
    span = last - first + 1
    change = np.zeros(span + 1, np.int64)
    ends = np.full(len(phases.root), -1, np.int64)
    lengths = (starts[members + 1] - starts[members]).astype(np.int64)
    readers = np.repeat(members, lengths)
    offsets = np.repeat(starts[members], lengths) + (
        np.arange(len(readers)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    )
    roots = phases.root[operands[offsets]]
    np.maximum.at(ends, roots, readers)
    made = members[phases.kind[members] == PER_ROW]
    np.add.at(change, made - first, row_bytes[made])
    np.add.at(change, np.maximum(ends[made], made) - first + 1, -row_bytes[made])
    outside = np.unique(roots[(phases.kind[roots] != REDUCTION) & ~np.isin(roots, made)])
    return int(np.cumsum(change).max(initial=0) + row_bytes[outside].sum())


def _height(live: int, rows: int, product: Any) -> int:
    """Rows of a tile: as many as keep what is alive within a cache, more where products want more.

    `python -m benchmarks compare` pays for the figures above. `rows` where a tile would be everything, or where
    even one row leaves the cache.
    """
    live = max(live, 1)
    height = max(1, min(HIGHEST, L1_BYTES // live))
    work = int(product.max(initial=0))
    if work >= WIDE_WORK:
        height = max(height, WIDE)
    elif work:
        height = max(height, min(USUAL, max(L2_BYTES // live, FEWEST)))
        height = min(height, max(SKINNY // work, FEWEST))
    if live > L2_BYTES or rows * live < WORTH or 2 * height > rows:
        return rows
    return height
