"""How far back what a record reads or writes was last touched: bytes of other data in between.

Data is still in a cache where that is less than the cache holds: the reuse distance of Mattson, Gecsei, Slutz &
Traiger, Evaluation techniques for storage hierarchies (1970). A sweep comes after others like it, so it is gone through
twice and the second time counts. Memory is known as regions: stretches of it that records name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.costs.work import Work
from tapegrad.jit import compiled, part

_ORDER: Final = (1, 2, 3, 0)  # a record reads before it writes
_COVERS: Final = 0.9  # of an area, after which all of it counts as touched


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """By record and operand, float64[r, 4]: bytes and how far back they were last touched.

    Attributes:
        nbytes, distance: of what is met for the first time in its loop, or outside of one.
        again, near: of what was met in the same loop before: in this tile, or in the tile before.
        written: is it a result?
        in_place: is it a result over an operand of the same record?
    """

    nbytes: Any
    distance: Any
    again: Any
    near: Any
    written: Any
    in_place: Any

    def beyond(self, cache: float) -> Any:
        """float64[r]: bytes that each record moves to and from what lies behind a cache of so many bytes."""
        return (self.nbytes * (self.distance > cache) + self.again * (self.near > cache)).sum(1)


@part
def _add(tree: Any, place: Any, value: Any) -> None:
    """Add a value at a place of a Fenwick tree."""
    while place < len(tree):
        tree[place] += value
        place += place & -place


@part
def _before(tree: Any, place: Any) -> Any:
    """The sum of the values up to a place."""
    total = 0.0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@compiled
def _reuse(
    first: Any, last: Any, key: Any, area: Any, record: Any, nbytes: Any, covers: Any,
    seen: Any, whole: Any, tree: Any, found: Any,
) -> None:  # fmt: skip
    """found[t]: bytes touched since access t's region was touched, itself included; each stretch of accesses twice.

    `tree` is a Fenwick tree over time: the bytes of each region at the time when it was touched last.
    """
    for s in range(len(first)):
        n = last[s] - first[s]
        for t in range(first[s], last[s]):
            seen[key[t]], whole[area[t]] = -1, -1
        tree[: 2 * n + 1] = 0.0
        times = tree[: 2 * n + 1]
        for time in range(2 * n):
            t = first[s] + time % n
            k, a = key[t], area[t]
            before = max(seen[k], whole[a])
            found[t] = np.inf
            if before >= time - time % n and record[first[s] + before % n] == record[t]:
                found[t] = 0.0
            elif before >= 0:
                found[t] = max(nbytes[t] + _before(times, time) - _before(times, before + 1), 0.0)
            if seen[k] >= 0:
                _add(times, seen[k] + 1, -nbytes[first[s] + seen[k] % n])
            _add(times, time + 1, nbytes[t])
            seen[k] = time
            if covers[t]:
                whole[a] = time


def traffic(work: Work) -> Traffic:
    """The traffic of a program's records."""
    shape = (len(work), 4)
    there = work.base >= 0
    order = [np.asarray(x)[:, _ORDER].reshape(-1) for x in (there, work.base, work.start, work.span, work.window)]
    chosen = np.flatnonzero(order[0])
    base, start, span, window = (x[chosen] for x in order[1:])
    nbytes, run_bytes, moves = (
        np.asarray(x)[:, _ORDER].reshape(-1)[chosen] for x in (work.nbytes, work.run_bytes, work.moves)
    )
    record = chosen // 4
    loop, runs = work.loop[record], work.runs[record]
    key, area, extent = _regions(base, start, span)
    covers = nbytes >= _COVERS * extent[area]
    key = np.where(covers, len(key) + area, key)  # x[1:] and x[:-1] are one and the same
    opening = _opening(loop, key) & ~(window & (loop >= 0))
    distance, near = np.zeros(len(chosen)), np.zeros(len(chosen))
    wide = np.where(moves, nbytes, run_bytes)
    _measure(np.flatnonzero(opening), np.zeros(len(chosen), np.int64), key, area, record, wide, covers, distance)
    _measure(np.flatnonzero(loop >= 0), loop, key, area, record, run_bytes, covers, near)
    again = np.where(loop < 0, 0.0, np.where(opening, np.where(moves, 0, runs - 1), runs) * run_bytes)
    columns = np.tile(np.array(_ORDER), len(work))[chosen]

    def spread(values: Any) -> Any:
        full = np.zeros(shape)
        full[record, columns] = values
        return full

    picked = np.asarray(work.chosen)[:, _ORDER].reshape(-1)[chosen]  # what an index chooses may be anywhere in there
    distance, near = (np.where(picked, np.maximum(x, span), x) for x in (distance, near))
    written = spread(columns == 0) > 0
    within = spread(np.where(opening, distance, near) == 0) > 0
    return Traffic(
        spread(np.where(opening, wide, 0.0)), spread(distance), spread(again), spread(near), written, written & within
    )


def _regions(base: Any, start: Any, span: Any) -> tuple[Any, Any, Any]:
    """The region and the area of each access, and the bytes of each area: what overlaps is one area."""
    key = np.unique(np.stack([base, start], 1), axis=0, return_inverse=True)[1].reshape(-1)
    order = np.lexsort((start, base))
    first, end = start[order], (start + span)[order]
    lifted = end + (base[order] << 50)
    reach = np.maximum.accumulate(lifted) if len(order) else lifted
    new = np.ones(len(order), np.bool_)
    new[1:] = first[1:] + (base[order][1:] << 50) >= reach[:-1]
    number = np.cumsum(new) - 1
    area = np.empty(len(order), np.int64)
    area[order] = number
    begins = np.flatnonzero(new)
    ends = np.append(begins[1:], len(order)) - 1
    extent = reach[ends] - (first[begins] + (base[order][begins] << 50)) if len(order) else np.zeros(0)
    return key, area, extent


def _opening(loop: Any, key: Any) -> Any:
    """Which accesses are the first to their region in their loop, or outside of loops."""
    found = loop < 0
    inside = np.flatnonzero(loop >= 0)
    if len(inside):
        pairs = np.stack([loop[inside], key[inside]], 1)
        found[inside[np.unique(pairs, axis=0, return_index=True)[1]]] = True
    return found


def _measure(
    chosen: Any, group: Any, key: Any, area: Any, record: Any, nbytes: Any, covers: Any, into: Any
) -> None:  # fmt: skip
    """Distances among the chosen accesses, those of each group (they are one after another) by themselves."""
    if not len(chosen):
        return
    mine = group[chosen]
    first = np.flatnonzero(np.append(True, mine[1:] != mine[:-1]))
    last = np.append(first[1:], len(chosen))
    found = np.zeros(len(chosen))
    tree = np.zeros(2 * int((last - first).max()) + 2)
    _reuse(
        first, last, key[chosen], area[chosen], record[chosen], nbytes[chosen].astype(np.float64), covers[chosen],
        np.zeros(int(key.max()) + 1, np.int64), np.zeros(int(area.max()) + 1, np.int64), tree, found,
    )  # fmt: skip
    into[chosen] = found
