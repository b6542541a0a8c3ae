"""A plan as SVG text."""

from __future__ import annotations

from html import escape
from math import hypot
from typing import Final

from tapegrad.pictures import graph
from tapegrad.pictures.graph import Arrow, Entry
from tapegrad.pictures.layout import Path, Plan, Point, Rectangle
from tapegrad.pictures.measure import NOTE, TITLE, VALUE, pill_text
from tapegrad.pictures.style import STYLE

_HEAD: Final = 7.0
_ILLEGAL: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535, *range(55296, 57344)), "�")


def text(value: str) -> str:
    """A text as it stands in XML: what has a meaning there or no place there replaced.

    >>> text('a < b & "c"')
    'a &lt; b &amp; &quot;c&quot;'
    """
    return escape(value.translate(_ILLEGAL), quote=True)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return (
        f"{value:.1f}".removesuffix(".0").replace("-0", "0") if abs(value) < 0.05 else f"{value:.1f}".removesuffix(".0")
    )


class Writer:
    """Collects the elements of a picture."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def document(self, width: float, height: float, title: str) -> str:
        """The whole picture, of what was added."""
        w, h = number(width), number(height)
        size = f'width="{w}" height="{h}" viewBox="0 0 {w} {h}" style="max-width:100%;height:auto"'
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" class="tapegrad" role="img" {size}>',
                f"<title>{text(title)}</title>",
                f"<style>{STYLE}</style>",
                f'<rect class="paper" width="{w}" height="{h}"/>',
                *self.lines,
                "</svg>",
                "",
            ]
        )

    def words(self, kind: str, x: float, y: float, content: str) -> None:
        """A line of text."""
        self.lines.append(f'<text class="{kind}" x="{number(x)}" y="{number(y)}">{text(content)}</text>')

    def rectangle(self, kind: str, r: Rectangle, radius: float) -> None:
        """A box's outline."""
        self.lines.append(
            f'<rect class="{kind}" x="{number(r.x)}" y="{number(r.y)}" width="{number(r.width)}" '
            f'height="{number(r.height)}" rx="{number(radius)}"/>'
        )

    def line(self, start: Point, end: Point) -> None:
        """The line between the two parts."""
        (a, b), (c, d) = start, end
        self.lines.append(f'<path class="wall" d="M{number(a)} {number(b)}L{number(c)} {number(d)}"/>')

    # --- plans

    def plan(self, drawn: Plan) -> None:
        """Frames at the back, then arrows, then boxes; what is in a frame after it."""
        for k, inner in drawn.inner.items():
            self._open(drawn.graph.entries[k])
            self.rectangle("box", drawn.rectangles[k], 9)
            self.lines.append("</g>")
            self.plan(inner)
        for a, path in zip(drawn.graph.arrows, drawn.paths, strict=True):
            if path is not None:
                self._arrow(drawn, a, path)
        for k, entry in enumerate(drawn.graph.entries):
            if entry.kind != graph.FRAME:
                self._box(entry, drawn.rectangles[k])

    def _open(self, entry: Entry) -> None:
        """Start the group of a box."""
        kinds = {graph.ENTRANCE: "port", graph.EXIT: "port", graph.OP: "op"}
        words = [
            "slot" if entry.kind in {graph.INPUT, graph.CONSTANT, graph.OP} else "",
            kinds.get(entry.kind, entry.kind),
        ]
        words += ["reverse" if entry.part else "forward", "final" if entry.result else ""]
        data = ""
        if entry.slots and entry.kind in {graph.FRAME, graph.GROUP, graph.STUB}:
            data = f' data-first="{entry.slots[0]}" data-last="{entry.slots[-1]}"'
        elif entry.slots:
            data = f' data-slot="{entry.slots[0]}"'
        self.lines.append(f'<g class="{" ".join(w for w in words if w)}"{data}>')
        if entry.hint:
            self.lines.append(f"<title>{text(entry.hint)}</title>")

    def _box(self, entry: Entry, r: Rectangle) -> None:
        """A box with its texts."""
        self._open(entry)
        x = r.x + r.width / 2
        if entry.kind in {graph.ENTRANCE, graph.EXIT}:
            self.rectangle("box", r, r.height / 2)
            self.words("chip", x, r.y + r.height / 2 + 3.6, entry.title)
            self.lines.append("</g>")
            return
        if entry.kind != graph.TAG:
            self.rectangle("box", r, min(r.height / 2, 16) if entry.kind == graph.INPUT else 6)
        y = r.y + 6
        if entry.title:
            y += TITLE
            self._title(entry, x, y)
            y += 3
        for note in entry.notes:
            y += NOTE
            self.words("note", x, y, note)
            y += 3
        if entry.result:
            y += NOTE
            self.words("result", x, y, entry.result)
            y += 3
        if entry.value:
            y += VALUE
            self.words("value", x, y, entry.value)
            y += 4
        if entry.adjoint:
            self.words("adjoint", x, y + VALUE, entry.adjoint)
        self.lines.append("</g>")

    def _title(self, entry: Entry, x: float, y: float) -> None:
        """The large text, operands without arrows in the colours of what they are."""
        parts = [
            text(piece)
            if chip is None
            else f'<tspan class="{chip.kind}-ink" data-slot="{chip.slot}">{text(piece)}</tspan>'
            for piece, chip in entry.pieces()
        ]
        self.lines.append(f'<text class="title" x="{number(x)}" y="{number(y)}">{"".join(parts)}</text>')

    # --- arrows

    def _arrow(self, drawn: Plan, a: Arrow, path: Path) -> None:
        """An arrow with its head and what is written on it."""
        target, source = drawn.graph.entries[a.target], drawn.graph.entries[a.source]
        words = ["arrow", "reverse" if source.part and target.part else "across" if target.part != source.part else ""]
        words += ["several" if a.several else "", "back" if a.back else ""]
        data = f' data-from="{a.slot}" data-to="{a.reader}" data-place="{a.place}"' if a.reader >= 0 else ""
        self.lines.append(f'<g class="{" ".join(w for w in words if w)}"{data}>')
        self.lines.append(f'<path d="{_commands(path)}"/>')
        self.lines.append(f'<path class="head" d="{self._head(path)}"/>')
        if path.pill is not None:
            r = path.pill
            if a.partial:
                self.rectangle("pill", r, 4)
            x, y = r.x + r.width / 2, r.y + r.height / 2 + 3.7
            if a.partial and a.label:
                self.lines.append(
                    f'<text x="{number(x)}" y="{number(y)}"><tspan class="partial letter">{text(a.label)} </tspan>'
                    f'<tspan class="partial">{text(a.partial)}</tspan></text>'
                )
            else:
                self.words("partial" if a.partial else "partial letter", x, y, pill_text(a))
        self.lines.append("</g>")

    @staticmethod
    def _head(path: Path) -> str:
        """A triangle at the end of a path, in the path's last direction."""
        (x, y), (a, b) = path.end, path.points()[-2]
        length = hypot(x - a, y - b) or 1.0
        dx, dy = (x - a) / length * _HEAD, (y - b) / length * _HEAD
        corners = ((x, y), (x - dx - 0.42 * dy, y - dy + 0.42 * dx), (x - dx + 0.42 * dy, y - dy - 0.42 * dx))
        return "M" + "L".join(f"{number(p)} {number(q)}" for p, q in corners) + "Z"


def _commands(path: Path) -> str:
    """The path in SVG's letters."""
    out = [f"M{number(path.start[0])} {number(path.start[1])}"]
    for piece in path.pieces:
        letter = "L" if len(piece) == 1 else "C"
        out += [letter, " ".join(f"{number(x)} {number(y)}" for x, y in piece)]
    return "".join(out)
