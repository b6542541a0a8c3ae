"""The picture of a tape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from tapegrad.atomic import replacing
from tapegrad.errors import SettingError, describe
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.build import Builder
from tapegrad.pictures.choose import around_units, cut, matching_slots, near, near_slots
from tapegrad.pictures.folds import Fold, Steps, find_folds
from tapegrad.pictures.graph import Entry, Graph
from tapegrad.pictures.layout import Plan, plan
from tapegrad.pictures.svg import Writer
from tapegrad.pictures.units import Unit, few, single
from tapegrad.tape import Tape

Direction: TypeAlias = Literal["down", "right"]

MARGIN: Final = 16.0
MOST: Final = 220
WIDEST: Final = 1320.0
MOST_BESIDE: Final = 60  # instructions of which forward and reverse part are drawn beside one another, with all arrows
HEADING: Final = 24.0
BESIDE: Final = 40.0
MOST_FOLDED: Final = 2000  # boxes of a graph of the whole tape, of which a part is drawn


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as SVG: `str(picture)` or `picture.svg` is its text; in Jupyter it shows itself.

    It is one text with nothing outside it: no scripts, no fonts, no addresses. Colours follow what the reader prefers,
    light or dark.
    """

    svg: str

    def __str__(self) -> str:
        return self.svg

    def _repr_svg_(self) -> str:
        """What Jupyter shows."""
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the picture to a file, whose name ends in .svg.

        Raises:
            SettingError: the file's name says that it is something else.
        """
        if Path(path).suffix.lower() != ".svg":
            raise SettingError(describe("save", found=str(path), wanted="a name that ends in .svg: a picture is SVG"))
        with replacing(Path(path)) as file:
            file.write(self.svg.encode("utf-8"))

    def __repr__(self) -> str:
        return f"<Picture, {len(self.svg):,} characters of SVG>"


def draw(
    tape: Tape,
    labels: Labels | None = None,
    *,
    direction: Direction = "down",
    most: int = MOST,
    fold: bool | None = None,
    depth: int | None = None,
    around: int | str | None = None,
    name: str | None = None,
) -> Picture:
    """The picture of a tape: a box an instruction, an arrow an operand.

    Args:
        tape: any tape.
        labels: names, values and partials to write beside what they belong to.
        direction: "down", or "right": the way that arrows go.
        most: how many boxes to draw. Where there are more, instructions of one source line are counted in one box.
        fold: draw repeats, as loops leave them behind, as one turn in a frame. By default, unless `depth` or `around`
            asks for the neighbourhood of something.
        depth: draw only what is within so many arrows of the results, or of what `around` or `name` say.
        around: a slot, or the name of an argument.
        name: draw only boxes whose op, argument or source line ("model.py:12") has this in its name, and those beside
            them.

    Raises:
        SettingError: `around` or `name` is not there, or an argument is out of its range.
    """
    labels = labels or Labels()
    if direction not in {"down", "right"}:
        raise SettingError(describe("draw", found=f"direction={direction!r}", wanted="'down' or 'right'"))
    _require_count("most", most, 1)
    if depth is not None:
        _require_count("depth", depth, 0)
    steps = Steps.of(tape)
    fold = (depth is None and around is None) if fold is None else fold
    folds = find_folds(tape, steps) if fold else ()
    if depth is not None or around is not None or name is not None:
        asked = _Asked(depth, None if around is None else _slot(tape, labels, around), name, most)
        plans = [plan(_part(tape, labels, steps, folds, asked), WIDEST, sideways=direction == "right")]
    else:
        plans = _plans(tape, labels, steps, few(steps, 0, len(steps.slots), folds, most), most, direction)
    return Picture(_written(plans, direction == "right", tape))


def _require_count(option: str, value: int, least: int) -> None:
    """Refuse what is no number of boxes or arrows."""
    if not isinstance(value, (int, np.integer)) or value < least:
        raise SettingError(describe("draw", found=f"{option}={value!r}", wanted=f"an int of {least} or more"))


def _plans(tape: Tape, labels: Labels, steps: Steps, units: list[Unit], most: int, direction: Direction) -> list[Plan]:
    """The whole tape: one plan, or one each for the forward and the reverse part of a long one."""
    sideways, both = direction == "right", tape.reverse < len(tape)
    beside = both and len(units) <= MOST_BESIDE and all(u.end == u.first + 1 for u in units)
    whole = Builder(tape, steps, labels, beside or not both).whole(units, max(4, most // 5))
    if beside or not both:
        return [plan(whole, WIDEST, sideways=sideways, mirrored=beside)]
    sides: tuple[list[int], list[int]] = ([], [])
    for k, e in enumerate(whole.entries):
        sides[e.part].append(k)
    return [plan(whole.subgraph(side), WIDEST, sideways=sideways) for side in sides if side]


@dataclass(frozen=True, slots=True)
class _Asked:
    """The part of a tape that is asked for."""

    depth: int | None
    around: int | None
    name: str | None
    most: int

    @property
    def far(self) -> int | None:
        """How many arrows from what is asked for."""
        return 1 if self.depth is None and (self.around is not None or self.name is not None) else self.depth

    @property
    def backwards(self) -> bool:
        """Whether it is the results that are asked for."""
        return self.around is None and self.name is None


def _part(tape: Tape, labels: Labels, steps: Steps, folds: Sequence[Fold], asked: _Asked) -> Graph:
    """What was asked for, with stubs for what was not."""
    named = matching_slots(tape, labels, asked.name) if isinstance(asked.name, str) else []
    if asked.name is not None and not named:
        wanted = "a part of the name of an instruction, an argument or a source line"
        raise SettingError(describe("draw", found=f"name={asked.name!r}", wanted=wanted))
    roots = named if asked.around is None else [asked.around]
    roots = tape.dependents.tolist() if asked.backwards else roots
    units = single(0, len(steps.slots), folds)
    if folds and len(units) <= MOST_FOLDED:
        whole = Builder(tape, steps, labels).whole(units, len(units))
        of_roots = set(roots)
        places = [k for k, e in enumerate(whole.entries) if not of_roots.isdisjoint((*e.slots, *_chipped(e)))]
        return cut(whole, near(whole, places, asked.far, asked.most, backwards=asked.backwards))
    chosen = near_slots(tape, roots, asked.far, asked.most, backwards=asked.backwards)
    whole = Builder(tape, steps, labels).whole(around_units(steps, chosen), len(tape))
    return cut(whole, [k for k, e in enumerate(whole.entries) if len(e.slots) == 1 and e.slots[0] in chosen])


def _chipped(entry: Entry) -> list[int]:
    """The slots that are written in a box."""
    return [c.slot for c in entry.chips.values()]


def _slot(tape: Tape, labels: Labels, around: int | str) -> int:
    """The slot that is meant."""
    found = int(around) if isinstance(around, (int, np.integer)) and not isinstance(around, bool) else -1
    if isinstance(around, str):
        if around in labels.names:
            return int(tape.inputs[list(labels.names).index(around)])
        number = around.removeprefix("v")
        found = int(number) if number.isdecimal() else -1
    if not 0 <= found < len(tape):
        wanted = f"a slot below {len(tape)} or one of {', '.join(labels.names)}"
        raise SettingError(describe("draw", found=f"around={around!r}", wanted=wanted))
    return found


def _written(plans: list[Plan], sideways: bool, tape: Tape) -> str:
    """Plans as SVG: forward and reverse part with headings, side by side where there is room."""
    headed = len(plans) > 1 or plans[0].wall is not None
    head = HEADING if headed else 0.0
    row = sideways or sum(p.width for p in plans) + BESIDE <= WIDEST
    writer, placed = Writer(), []
    across, along = (MARGIN + head, MARGIN) if sideways else (MARGIN, MARGIN + head)
    for p in plans:
        placed.append(p.changed(across, along, turned=sideways))
        if row:
            across += p.width + BESIDE + (HEADING if sideways else 0.0)
        else:
            along += p.height + BESIDE + HEADING
    if headed:
        _headings(writer, placed, sideways)
    for p in placed:
        writer.plan(p)
    width, height = max(p.x + p.width for p in placed) + MARGIN, max(p.y + p.height for p in placed) + MARGIN
    words = f"{len(tape):,} instructions" + (f", the reverse part from v{tape.reverse} on" if headed else "")
    return writer.document(width, height, f"A tape of {words}")


def _headings(writer: Writer, placed: list[Plan], sideways: bool) -> None:
    """What the parts are called, and the line between them where they are one plan."""
    first, last = placed[0], placed[-1]
    writer.words("heading", first.x, first.y - 12, "forward")
    if first.wall is None:
        writer.words("heading of-reverse", last.x, last.y - 12, "reverse")
    elif sideways:
        writer.line((first.x, first.wall), (first.x + first.width, first.wall))
        writer.words("heading of-reverse", first.x, first.wall + 15, "reverse")
    else:
        writer.line((first.wall, first.y - HEADING), (first.wall, first.y + first.height))
        writer.words("heading of-reverse", first.wall + 14, first.y - 12, "reverse")
