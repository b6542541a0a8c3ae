"""Large pictures: what is read far from where it is computed is named there; no arrow crosses half the picture."""

from __future__ import annotations

from typing import Final

from tapegrad.pictures import boxes, graph
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.graph import Arrow, Chip, Graph
from tapegrad.pictures.layers import assign, topological
from tapegrad.tape import Tape

LEAST: Final = 70  # boxes: a smaller picture has all its arrows
FAR: Final = 9  # layers
ROW: Final = 10.0  # boxes beside one another


def take_shortcuts(drawn: Graph, tape: Tape, labels: Labels) -> None:
    """Put chips in place of the long arrows of a large graph. The shortest arrow from each box stays."""
    if len(drawn.entries) < LEAST:
        return
    forward = [a for a in drawn.arrows if not a.back]
    order = topological(len(drawn.entries), [(a.source, a.target) for a in forward])
    number = {old: new for new, old in enumerate(order)}
    layers = assign([1.0] * len(order), [(number[a.source], number[a.target]) for a in forward], ROW)
    nearest: dict[int, int] = {}
    for a in forward:
        at = layers[number[a.target]]
        nearest[a.source] = min(nearest.get(a.source, at), at)
    gone = set()
    for a in forward:
        far = layers[number[a.target]] - layers[number[a.source]] > FAR
        if far and layers[number[a.target]] > nearest[a.source] and _may_go(drawn, a):
            source, target = drawn.entries[a.source], drawn.entries[a.target]
            kind = "reverse" if source.part else "forward"
            called = source.title if source.kind == graph.ENTRANCE else boxes.name(tape, a.slot, labels)
            target.chips[a.place] = Chip(called, kind, a.slot)
            gone.add(id(a))
    drawn.arrows = [a for a in drawn.arrows if id(a) not in gone]
    changed = {a.target for a in forward if id(a) in gone}
    for k in changed:
        boxes.rename(drawn.entries[k], tape)
    for a in drawn.arrows:
        if a.target in changed and a.label:
            a.label = boxes.letter(tape, a.reader, a.place, drawn.entries[a.target].chips)


def _may_go(drawn: Graph, a: Arrow) -> bool:
    """Whether an arrow may be a name instead: it is one operand, the same one in every turn."""
    source, target = drawn.entries[a.source], drawn.entries[a.target]
    plain = source.kind in {graph.OP, graph.INPUT, graph.CONSTANT} and len(source.slots) == 1
    fixed = source.kind == graph.ENTRANCE and source.fixed
    return target.kind == graph.OP and (plain or fixed) and a.reader >= 0 and not a.several and not a.partial
