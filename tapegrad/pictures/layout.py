"""Where everything in a picture goes: boxes, the paths of arrows, frames with what is in them.

A graph is laid out from top to bottom (`layers`, `coordinates`); a picture from left to right is the same with the
two directions exchanged. Between two layers an arrow is a curve that leaves and arrives upright and stays between
them; past the boxes of a layer it goes straight. So no arrow crosses a box.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tapegrad.pictures import graph
from tapegrad.pictures.coordinates import across
from tapegrad.pictures.graph import Arrow, Entry, Graph
from tapegrad.pictures.layers import assign, mirror, topological
from tapegrad.pictures.measure import PILL, pill_text, pill_width, size
from tapegrad.pictures.ordering import FIRST, LEFT, RIGHT, WALL, Rows, arrange

GAP: Final = 22.0  # between boxes of a layer
NARROW: Final = 13.0  # beside an arrow that goes past
LEAST_BETWEEN: Final = 26.0  # between layers
MOST_BETWEEN: Final = 60.0
PAD: Final = 14.0  # within a frame
PORT: Final = 13.0  # between arrows that touch a box
WALL_GAP: Final = 36.0  # between forward and reverse part
TRACK: Final = 7.0  # between two arrows that go back
MOST_BACK: Final = 12  # arrows that go back that are drawn; more are only named

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Where a box is."""

    x: float
    y: float
    width: float
    height: float

    def moved(self, dx: float, dy: float) -> Rectangle:
        """The same, elsewhere."""
        return Rectangle(self.x + dx, self.y + dy, self.width, self.height)

    def turned(self) -> Rectangle:
        """With the two directions exchanged."""
        return Rectangle(self.y, self.x, self.height, self.width)


@dataclass(slots=True, eq=False)
class Path:
    """An arrow's line: points, of which a curve's come in threes after the one it starts from."""

    start: Point
    pieces: list[tuple[Point, ...]] = field(default_factory=list)
    pill: Rectangle | None = None

    def line(self, point: Point) -> None:
        """Go straight."""
        if abs(point[0] - self.end[0]) + abs(point[1] - self.end[1]) > 0.01:
            self.pieces.append((point,))

    def curve(self, point: Point) -> None:
        """Go on in a curve that leaves and arrives upright."""
        x, y = self.end
        if abs(point[0] - x) < 0.5:
            self.line(point)
        else:
            middle = (y + point[1]) / 2
            self.pieces.append(((x, middle), (point[0], middle), point))

    @property
    def end(self) -> Point:
        """Where it is so far."""
        return self.pieces[-1][-1] if self.pieces else self.start

    def points(self) -> list[Point]:
        """All points, those of curves among them."""
        return [self.start, *(p for piece in self.pieces for p in piece)]

    def changed(self, dx: float, dy: float, *, turned: bool = False) -> Path:
        """Moved, then perhaps with the two directions exchanged."""

        def change(p: Point) -> Point:
            x, y = p[0] + dx, p[1] + dy
            return (y, x) if turned else (x, y)

        out = Path(change(self.start), [tuple(map(change, piece)) for piece in self.pieces])
        if self.pill is not None:
            moved = self.pill.moved(dx, dy)
            out.pill = moved.turned() if turned else moved
        return out


@dataclass(slots=True, eq=False)
class Plan:
    """A graph laid out; `inner` are those of its frames, whose coordinates are this one's, too.

    `wall` is where, across, the reverse part begins, where both are one graph.

    `rectangles` and `paths` stand beside the graph's entries and arrows; a path is None where nothing is drawn.
    """

    graph: Graph
    width: float
    height: float
    rectangles: list[Rectangle]
    paths: list[Path | None]
    inner: dict[int, Plan] = field(default_factory=dict)
    wall: float | None = None
    x: float = 0.0
    y: float = 0.0

    def changed(self, dx: float, dy: float, *, turned: bool = False) -> Plan:
        """Moved, then perhaps with the two directions exchanged."""
        rectangles = [r.moved(dx, dy) for r in self.rectangles]
        return Plan(
            self.graph,
            self.height if turned else self.width,
            self.width if turned else self.height,
            [r.turned() for r in rectangles] if turned else rectangles,
            [None if p is None else p.changed(dx, dy, turned=turned) for p in self.paths],
            {k: plan.changed(dx, dy, turned=turned) for k, plan in self.inner.items()},
            None if self.wall is None else self.wall + dx,
            *((self.y + dy, self.x + dx) if turned else (self.x + dx, self.y + dy)),
        )


def plan(drawn: Graph, limit: float, *, sideways: bool = False, mirrored: bool = False) -> Plan:
    """Lay out a graph.

    Args:
        drawn: boxes and arrows.
        limit: how wide a layer may be.
        sideways: from left to right; else from top to bottom.
        mirrored: the reverse part beside the forward part, and the other way round.
    """
    best: Plan | None = None
    for share in (1.0, 0.75):  # arrows that go past take room that layers do not know of
        found = _Planner(drawn, limit * share, sideways, mirrored).run()
        if best is None or found.width < best.width:
            best = found
        if best.width <= limit:
            break
    assert best is not None
    return best


class _Planner:
    """Lays out one graph, always downwards; sizes come turned where the picture goes sideways."""

    def __init__(self, drawn: Graph, limit: float, sideways: bool, mirrored: bool = False) -> None:
        self.graph, self.limit, self.sideways, self.mirrored = drawn, limit, sideways, mirrored
        entries = drawn.entries
        self.inner = {k: _frame(e, limit - 2 * PAD, sideways) for k, e in enumerate(entries) if e.kind == graph.FRAME}
        arrows = [a for a in drawn.arrows if not a.back]
        self.order = topological(len(entries), [(a.source, a.target) for a in arrows])
        self.number = {old: new for new, old in enumerate(self.order)}
        ends = [(self.number[a.source], self.number[a.target]) for a in arrows]
        layers, groups = self._layers(ends)
        self.rows = Rows.of(layers, ends, groups)
        self.incoming: list[tuple[list[Arrow], list[Arrow]]] = [([], []) for _ in entries]  # from above, from below
        for a in arrows:
            self.incoming[a.target][self._at(a.source) > self._at(a.target)].append(a)
        self.strips = [self._strips(k) for k in range(len(entries))]
        self.sizes = [self._size(k, e) for k, e in enumerate(entries)]

    def _at(self, k: int) -> int:
        """The layer of an entry."""
        return self.rows.layer[self.number[k]]

    def _layers(self, ends: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
        """Layer and group of each box, by number."""
        entries = [self.graph.entries[k] for k in self.order]
        top = frozenset(k for k, e in enumerate(entries) if e.kind in {graph.ENTRANCE, graph.TAG})
        bottom = frozenset(k for k, e in enumerate(entries) if e.kind == graph.EXIT)
        widths = [
            GAP + (self.inner[k].width if k in self.inner else self._box(e)[0])
            for k, e in zip(self.order, entries, strict=True)
        ]
        groups = [FIRST if e.kind == graph.TAG else LEFT for e in entries]
        if not self.mirrored:
            return assign(widths, ends, self.limit, top, bottom), groups
        reverse = [e.part == graph.REVERSE for e in entries]
        forward = [k for k, r in enumerate(reverse) if not r]
        place = {k: n for n, k in enumerate(forward)}
        inside = [(place[u], place[v]) for u, v in ends if not reverse[u] and not reverse[v]]
        known = assign([widths[k] for k in forward], inside, self.limit / 2)
        layers = [known[place[k]] if k in place else 0 for k in range(len(entries))]
        return mirror(layers, reverse, ends), [RIGHT if r else LEFT for r in reverse]

    # --- sizes

    def _box(self, entry: Entry) -> tuple[float, float]:
        """Across and along."""
        w, h = size(entry)
        return (h, w) if self.sideways else (w, h)

    def _strips(self, k: int) -> tuple[float, float]:
        """Room for what is written on arrows, above and below a box."""
        above, below = (max((self._written(a)[1] for a in arrows), default=0.0) for arrows in self.incoming[k])
        return above, below

    def _written(self, a: Arrow) -> tuple[float, float]:
        """What a partial or a letter takes: across, along."""
        if not pill_text(a):
            return PORT, 0.0
        wide = pill_width(a)
        return (PILL + 5, wide + 14) if self.sideways else (max(PORT, wide + 6), PILL + 10)

    def _size(self, k: int, entry: Entry) -> tuple[float, float]:
        """What a box takes, with what is written at its arrows: across, along."""
        if k in self.inner:
            return self.inner[k].width, self.inner[k].height
        w, h = self._box(entry)
        ports = max(sum(self._written(a)[0] for a in arrows) + PORT * self.mirrored for arrows in self.incoming[k])
        return max(w, ports + 4), h + sum(self.strips[k])

    # --- coordinates

    def run(self) -> Plan:
        """Order the rows, and place them one under another."""
        if not self.order:
            return Plan(self.graph, 0.0, 0.0, [], [])
        rows, order = self.rows, self.order
        arrange(rows)
        widths = [self.sizes[k][0] for k in order] + [2.0 + WALL_GAP * (g == WALL) for g in rows.group[rows.count :]]
        self.centres = across(rows, widths, GAP, NARROW, self.limit)
        self.tops, self.bottoms, y = [], [], 0.0
        for at, row in enumerate(rows.rows):
            high = max((self.sizes[order[v]][1] for v in row if v < rows.count), default=0.0)
            self.tops.append(y)
            self.bottoms.append(y + high)
            y += high + (self._between(at) if at + 1 < len(rows.rows) else 0.0)
        rectangles = [Rectangle(0, 0, 0, 0)] * len(order)
        for v, k in enumerate(order):
            (w, h), (above, below), at = self.sizes[k], self.strips[k], rows.layer[v]
            top = self.tops[at] + above + (self.bottoms[at] - self.tops[at] - h) / 2
            rectangles[k] = Rectangle(self.centres[v] - w / 2, top, w, h - above - below)
        width = max(c + w / 2 for c, w in zip(self.centres, widths, strict=True))
        out = Plan(self.graph, width, y, rectangles, [None] * len(self.graph.arrows))
        out.wall = next((self.centres[v] for v, g in enumerate(rows.group) if g == WALL), None)
        for k, plan_ in self.inner.items():
            out.inner[k] = plan_.changed(rectangles[k].x, rectangles[k].y)
        self._route(out)
        return out

    def _between(self, at: int) -> float:
        """How far a layer is from the next one: farther where arrows go far across."""
        rows = self.rows
        far = [abs(self.centres[v] - self.centres[w]) for v in rows.rows[at] for w in rows.lower[v]]
        return min(MOST_BETWEEN, LEAST_BETWEEN + 0.05 * max(far, default=0.0) + 0.5 * len(far))

    # --- arrows

    def _route(self, out: Plan) -> None:
        """The path of each arrow."""
        arriving: dict[int, float] = {}
        leaving: dict[tuple[int, bool], float] = {}
        for k in range(len(out.rectangles)):
            for below in (False, True):
                self._ports(k, below, out, arriving, leaving)
        for n, a in enumerate(self.graph.arrows):
            if not a.back:
                out.paths[n] = self._path(a, out, arriving[id(a)], leaving)

    def _ports(
        self, k: int, below: bool, out: Plan, arriving: dict[int, float], leaving: dict[tuple[int, bool], float]
    ) -> None:
        """Where arrows touch the upper or the lower edge of a box: side by side in the order in which they come."""
        r, v = out.rectangles[k], self.number[k]
        arrows = [a for a in self.incoming[k][below] if a.way_in < 0]
        items = [
            (self.centres[self.rows.last(self.number[a.source], v)], self._written(a)[0], a.place, id(a))
            for a in arrows
        ]
        onward = self._onward(v, below)
        if onward:
            items.append((sum(self.centres[w] for w in onward) / len(onward), PORT, -1, -1))
        items.sort()
        rooms = sum(i[1] for i in items)
        spread = min(1.6, (r.width - 4) / max(rooms, 1.0)) if len(items) > 1 else 1.0
        x = r.x + r.width / 2 - rooms * spread / 2
        for _, room, _, key in items:
            if key == -1:
                leaving[k, below] = x + room * spread / 2
            else:
                arriving[key] = x + room * spread / 2
            x += room * spread
        for a in self.incoming[k][below]:
            if a.way_in >= 0:
                chip = out.inner[k].rectangles[a.way_in]
                arriving[id(a)] = chip.x + chip.width / 2

    def _onward(self, v: int, below: bool) -> list[int]:
        """What a box's arrows go to first, on one side."""
        beside = (self.rows.lower if below else self.rows.upper)[v]
        ours = {self.rows.trunks[key][0] for key in self.rows.trunks if key[0] == v and self.rows.trunks[key]}
        came = {self.rows.last(self.number[a.source], v) for a in self.incoming[self.order[v]][below]}
        return [w for w in beside if w in ours or w not in came]

    def _path(self, a: Arrow, out: Plan, end: float, leaving: dict[tuple[int, bool], float]) -> Path:
        """From a box past the layers between to another one."""
        rows, u, v = self.rows, self.number[a.source], self.number[a.target]
        r, target, down = out.rectangles[a.source], out.rectangles[a.target], rows.layer[v] > rows.layer[u]
        near, far = (self.tops, self.bottoms) if down else (self.bottoms, self.tops)
        edge = r.y + r.height if down else r.y
        if a.way_out >= 0:
            chip = out.inner[a.source].rectangles[a.way_out]
            path = Path((chip.x + chip.width / 2, chip.y + chip.height))
            path.line((path.start[0], edge))
        else:
            path = Path((leaving[a.source, down], edge))
        path.line((path.end[0], far[rows.layer[u]]))
        for d in rows.trunk(u, v):
            path.curve((self.centres[d], near[rows.layer[d]]))
            path.line((self.centres[d], far[rows.layer[d]]))
        path.curve((end, near[rows.layer[v]]))
        stop = target.y if down else target.y + target.height
        if a.way_in >= 0:
            stop = out.inner[a.target].rectangles[a.way_in].y
        elif pill_text(a):
            path.pill = self._pill(a, end, stop, 1 if down else -1)
        path.line((end, stop))
        return path

    def _pill(self, a: Arrow, at: float, end: float, step: int) -> Rectangle:
        """Where what is written on an arrow goes: just before its end."""
        wide, beside = pill_width(a), 0.0 if a.partial else pill_width(a) / 2 - 1
        across_, along = (PILL, wide) if self.sideways else (wide, PILL)
        first = end - along - (7 if a.partial else 2) if step > 0 else end + (7 if a.partial else 2)
        return Rectangle(at - across_ / 2 + beside, first, across_, along)


def _frame(entry: Entry, limit: float, sideways: bool) -> Plan:
    """The inside of a frame, with room for its edge and for the arrows that go back."""
    assert entry.inner is not None
    inside = plan(entry.inner, limit, sideways=sideways)
    back = [k for k, a in enumerate(entry.inner.arrows) if a.back]
    back = back if len(back) <= MOST_BACK else []
    room = TRACK * (len(back) + 1) if back else 6.0
    out = inside.changed(PAD, room + 4)
    ends = [(out.rectangles[entry.inner.arrows[k].target], k) for k in back]
    right, low = PAD + out.width + PAD, room + 4 + out.height
    for n, (target, k) in enumerate(sorted(ends, key=lambda e: -e[0].x)):
        source = out.rectangles[entry.inner.arrows[k].source]
        lane, track = right + TRACK * (n + 0.5), TRACK * (n + 1)
        path = Path((source.x + source.width / 2, source.y + source.height))
        start = path.start[0] + 5
        path = Path((start, path.start[1]))
        path.line((start, low + track))
        path.line((lane, low + track))
        path.line((lane, room - track))
        path.line((target.x + target.width / 2 + 5, room - track))
        path.line((target.x + target.width / 2 + 5, target.y))
        out.paths[k] = path
    out.width = right + (TRACK * len(back) + 6 if back else 0.0)
    out.height = low + room + 4
    return out
