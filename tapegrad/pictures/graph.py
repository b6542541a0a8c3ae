"""What a picture shows: boxes and the arrows between them, repeats as boxes with a picture inside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

INPUT: Final = "input"
CONSTANT: Final = "constant"
OP: Final = "op"
FRAME: Final = "frame"  # a repeat, its first turn drawn inside
GROUP: Final = "group"  # instructions that are counted, not drawn
STUB: Final = "stub"  # what is left out beside a box
ENTRANCE: Final = "entrance"  # where an arrow comes into a frame
EXIT: Final = "exit"  # where one leaves it
TAG: Final = "tag"  # a frame's own title

FORWARD, REVERSE = 0, 1

MARK: Final = "\x1f"  # in titles on both sides of the place of an operand that is a chip


@dataclass(slots=True)
class Chip:
    """An operand that is written in its reader's box, with no arrow."""

    text: str
    kind: str  # CONSTANT, or the part that the slot is of
    slot: int


@dataclass(slots=True, eq=False)
class Entry:
    """A box.

    Attributes:
        kind: one of the words above.
        slots: what it stands for; of a frame or a group all its slots.
        part: forward or reverse.
        title: the large text, notes: the small lines under it.
        value, adjoint: where they are shown.
        chips: operands without arrows, by place.
        hint: what a pointer that rests on it is told.
        result: what it is called where it is a result.
        inner: of a frame the picture of its first turn.
        turns: of a frame how many turns there are.
        fixed: of an entrance whether the same comes in for every turn.
    """

    kind: str
    slots: tuple[int, ...]
    part: int = FORWARD
    title: str = ""
    notes: list[str] = field(default_factory=list)
    value: str = ""
    adjoint: str = ""
    chips: dict[int, Chip] = field(default_factory=dict)
    hint: str = ""
    result: str = ""
    inner: Graph | None = None
    turns: int = 1
    fixed: bool = False

    def pieces(self) -> list[tuple[str, Chip | None]]:
        """The title in pieces: texts, and chips with theirs."""
        if self.kind != OP:
            return [(self.title, None)]
        found = self.title.split(MARK)
        texts = [
            (t, None) if k % 2 == 0 else (self.chips[int(t)].text, self.chips[int(t)]) for k, t in enumerate(found)
        ]
        return [(text, chip) for text, chip in texts if text]

    def text(self) -> str:
        """The title as it is read."""
        return "".join(text for text, _ in self.pieces())


@dataclass(slots=True, eq=False)
class Arrow:
    """An arrow between two entries of one graph.

    Attributes:
        source, target: places among the graph's entries.
        slot, reader, place: what is read, by which slot, as which operand; -1 where that is no one operand.
        way_out, way_in: where source or target is a frame: the place of the exit or entrance within it; else -1.
        label: which operand it is, where the order matters.
        partial: the partial derivative, where these are shown.
        back: from the end of a turn to the start of the next one.
        several: it stands for several operands, or for other ones in each turn.
    """

    source: int
    target: int
    slot: int = -1
    reader: int = -1
    place: int = -1
    way_out: int = -1
    way_in: int = -1
    label: str = ""
    partial: str = ""
    back: bool = False
    several: bool = False


@dataclass(slots=True, eq=False)
class Graph:
    """Boxes, in an order in which arrows go forward, and arrows."""

    entries: list[Entry] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def add(self, entry: Entry) -> int:
        """Append a box; its place."""
        self.entries.append(entry)
        return len(self.entries) - 1

    def count(self) -> int:
        """How many boxes are drawn, those within frames among them."""
        return sum(1 + (e.inner.count() if e.inner is not None else 0) for e in self.entries if e.kind != TAG)

    def subgraph(self, kept: list[int]) -> Graph:
        """Only these boxes and the arrows among them."""
        place = {old: new for new, old in enumerate(kept)}
        out = Graph([self.entries[k] for k in kept])
        for a in self.arrows:
            if a.source in place and a.target in place:
                a.source, a.target = place[a.source], place[a.target]
                out.arrows.append(a)
        return out
