"""The order of boxes within their layers.

The steps of Sugiyama, Tagawa & Toda, Methods for visual understanding of hierarchical system structures (IEEE
Transactions on Systems, Man, and Cybernetics 11, 1981), with what Gansner, Koutsofios, North & Vo add in A technique
for drawing directed graphs (IEEE Transactions on Software Engineering 19, 1993): weighted medians, transposition of
neighbours, the best order kept.

Arrows that pass a layer get a *dummy* there, a point that the arrow goes through. All arrows from one box that go the
same way share their dummies: they are one trunk with branches.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

MOST_SWEEPS: Final = 24
MOST_EXCHANGES: Final = 10
PATIENCE: Final = 6  # sweeps without a better order, after which it stays

FIRST, LEFT, WALL, RIGHT = -1, 0, 1, 2  # groups, in the order in which they stand in a row


@dataclass(slots=True, eq=False)
class Rows:
    """Boxes and dummies in layers.

    Attributes:
        count: how many boxes there are.
        rows: for each layer what is in it, in order: boxes 0 to count - 1, dummies after those.
        layer, group: of each. A group stays together in its row; between LEFT and RIGHT there is a wall.
        upper, lower: for each what it is connected with in the layer before and in the one after it.
        trunks: the dummies from a box on, by box, by whether they go down, and by whether they go to another group.
        place: in its row, of each.
    """

    count: int
    rows: list[list[int]]
    layer: list[int]
    group: list[int]
    upper: list[list[int]] = field(default_factory=list)
    lower: list[list[int]] = field(default_factory=list)
    trunks: dict[tuple[int, bool, bool], list[int]] = field(default_factory=dict)
    place: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, layer: Sequence[int], arrows: Sequence[tuple[int, int]], group: Sequence[int]) -> Rows:
        """Rows with their dummies, in a first order. The two ends of an arrow are in different layers."""
        count, height = len(layer), max(layer, default=-1) + 1
        rows = cls(count, [[] for _ in range(height)], list(layer), list(group))
        rows.upper, rows.lower = [[] for _ in range(count)], [[] for _ in range(count)]
        for u in range(count):
            rows.rows[layer[u]].append(u)
        if {LEFT, RIGHT} <= set(group):
            wall = rows._dummy(0, WALL)
            for at in range(1, height):
                rows._connect(wall, wall := rows._dummy(at, WALL))
        for u, v in sorted(set(arrows), key=lambda a: (a[0], abs(layer[a[1]] - layer[a[0]]), a[1])):
            rows._connect(rows.last(u, v, make=True), v)
        rows._start()
        return rows

    def way(self, u: int, v: int) -> tuple[int, bool, bool]:
        """The trunk that an arrow goes along."""
        return u, self.layer[v] > self.layer[u], self.group[v] != self.group[u]

    def trunk(self, u: int, v: int) -> list[int]:
        """The dummies that an arrow goes through."""
        return self.trunks.get(self.way(u, v), [])[: abs(self.layer[v] - self.layer[u]) - 1]

    def last(self, u: int, v: int, *, make: bool = False) -> int:
        """The last dummy on an arrow's way, or its source; `make` the dummies that are missing."""
        if make:
            known = self.trunks.setdefault(self.way(u, v), [])
            step = 1 if self.layer[v] > self.layer[u] else -1
            for at in range(self.layer[u] + step * (len(known) + 1), self.layer[v], step):
                d = self._dummy(at, max(self.group[u], self.group[v]))
                self._connect(known[-1] if known else u, d)
                known.append(d)
        trunk = self.trunk(u, v)
        return trunk[-1] if trunk else u

    def settle(self) -> None:
        """Note everyone's place in its row, the groups one after another."""
        self.place = [0] * len(self.layer)
        for row in self.rows:
            row.sort(key=self.group.__getitem__)
            for k, v in enumerate(row):
                self.place[v] = k

    def _dummy(self, at: int, group: int) -> int:
        d = len(self.layer)
        self.layer.append(at)
        self.group.append(group)
        self.rows[at].append(d)
        self.upper.append([])
        self.lower.append([])
        return d

    def _connect(self, u: int, v: int) -> None:
        above, below = (u, v) if self.layer[u] < self.layer[v] else (v, u)
        self.lower[above].append(below)
        self.upper[below].append(above)

    def _start(self) -> None:
        """A first order: depth first from the first layer, so that what belongs together stands together."""
        seen = [False] * len(self.layer)
        order: list[int] = []
        for root in [v for row in self.rows for v in row]:
            stack = [root]
            while stack:
                v = stack.pop()
                if not seen[v]:
                    seen[v] = True
                    order.append(v)
                    stack += reversed([w for w in (*self.upper[v], *self.lower[v]) if not seen[w]])
        rank = {v: k for k, v in enumerate(order)}
        for row in self.rows:
            row.sort(key=rank.__getitem__)
        self.settle()


def arrange(rows: Rows) -> None:
    """Order each row so that few arrows cross."""
    best, fewest, idle = [list(r) for r in rows.rows], crossings(rows), 0
    for sweep in range(MOST_SWEEPS):
        if fewest == 0 or idle >= PATIENCE:
            break
        _sweep(rows, downward=sweep % 2 == 0)
        rows.settle()
        _transpose(rows)
        found = crossings(rows)
        idle += 1
        if found < fewest:
            best, fewest, idle = [list(r) for r in rows.rows], found, 0
    rows.rows = best
    rows.settle()


def crossings(rows: Rows) -> int:
    """How many pairs of lines cross, between neighbouring layers."""
    total = 0
    for row in rows.rows[:-1]:
        seen: list[int] = []
        for v in row:
            ends = sorted(rows.place[w] for w in rows.lower[v])
            total += sum(len(seen) - bisect_left(seen, e + 1) for e in ends)
            for e in ends:
                insort(seen, e)
    return total


def _sweep(rows: Rows, *, downward: bool) -> None:
    """Sort each row by the weighted medians of what it is connected with in the row before."""
    beside = rows.upper if downward else rows.lower
    for row in rows.rows[1:] if downward else rows.rows[-2::-1]:
        keys = {}
        for v in row:
            at = sorted(rows.place[w] for w in beside[v])
            keys[v] = _median(at) if at else -1.0
        free = [v for v in row if keys[v] >= 0]
        ordered = iter(sorted(free, key=lambda v: (keys[v], rows.place[v])))
        row[:] = [v if keys[v] < 0 else next(ordered) for v in row]  # who has no neighbours keeps its place
        for k, v in enumerate(row):
            rows.place[v] = k


def _median(at: list[int]) -> float:
    """The median of places, between the middle two closer to the side where they lie closer together."""
    middle = len(at) // 2
    if len(at) % 2:
        return float(at[middle])
    if len(at) == 2:
        return (at[0] + at[1]) / 2
    left, right = at[middle - 1] - at[0], at[-1] - at[middle]
    if left + right == 0:
        return (at[middle - 1] + at[middle]) / 2
    return (at[middle - 1] * right + at[middle] * left) / (left + right)


def _transpose(rows: Rows) -> None:
    """Exchange neighbours for as long as that takes crossings away."""
    waiting = set(range(len(rows.rows)))
    for _ in range(MOST_EXCHANGES):
        changed = set()
        for at in sorted(waiting):
            row = rows.rows[at]
            for k in range(len(row) - 1):
                v, w = row[k], row[k + 1]
                if rows.group[v] == rows.group[w] and _gain(rows, v, w) > 0:
                    row[k], row[k + 1] = w, v
                    rows.place[v], rows.place[w] = k + 1, k
                    changed.add(at)
        if not changed:
            return
        waiting = {at + step for at in changed for step in (-1, 0, 1) if 0 <= at + step < len(rows.rows)}


def _gain(rows: Rows, v: int, w: int) -> int:
    """How many crossings fewer there are if two neighbours are exchanged."""
    gain = 0
    place = rows.place
    for beside in (rows.upper, rows.lower):
        for a in beside[v]:
            for b in beside[w]:
                gain += (place[a] > place[b]) - (place[a] < place[b])
    return gain
