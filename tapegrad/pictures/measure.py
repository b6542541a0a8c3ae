"""How large boxes are: the room that their texts take."""

from __future__ import annotations

from typing import Final

from tapegrad.pictures import graph
from tapegrad.pictures.graph import Arrow, Entry
from tapegrad.pictures.widths import width

TITLE: Final = 14.0
NOTE: Final = 10.5
VALUE: Final = 11.0
PILL: Final = 15.0  # height of a partial's label
CHIP: Final = 10.5
_SIDE: Final = 9.0
_LEAST: Final = 46.0


def size(entry: Entry) -> tuple[float, float]:
    """Width and height of a box that is no frame."""
    if entry.kind in {graph.ENTRANCE, graph.EXIT}:
        return max(24.0, width(entry.title, CHIP) + 14), 18.0
    wide = width(entry.text(), TITLE) * 1.06
    high = 12.0 + (TITLE + 3 if entry.title else 0.0)
    for note in entry.notes:
        wide, high = max(wide, width(note, NOTE)), high + NOTE + 3
    if entry.result:
        wide, high = max(wide, width(entry.result, NOTE) * 1.1), high + NOTE + 3
    if entry.value:
        wide, high = max(wide, width(entry.value, VALUE, mono=True)), high + VALUE + 4
    if entry.adjoint:
        wide, high = max(wide, width(entry.adjoint, VALUE, mono=True)), high + VALUE + 4
    return max(_LEAST, wide + 2 * _SIDE), high


def pill_width(a: Arrow) -> float:
    """Width of what is written on an arrow."""
    return width(pill_text(a), CHIP, mono=bool(a.partial)) + 8


def pill_text(a: Arrow) -> str:
    """What is written on an arrow: which operand, and the partial."""
    return " ".join(t for t in (a.label, a.partial) if t)
