"""What gets a box of its own: an instruction, a repeat, or a stretch that is only counted.

A picture of too many boxes has those of one source line, where they follow one another, in one box; where these are
still too many, neighbours are joined until they are few enough. So every picture stays legible. Stretches of a tape
never read one another in a circle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from tapegrad.pictures.folds import Fold, Steps

LEAST_WITHIN: Final = 12  # boxes that a repeat may have, however many there are beside it


@dataclass(frozen=True, slots=True)
class Unit:
    """The steps from `first` to `end` as one box; of a repeat with what its first turn is made of."""

    first: int
    end: int
    fold: Fold | None = None
    inner: tuple[Unit, ...] = ()

    @property
    def boxes(self) -> int:
        """How many boxes it takes."""
        return 1 + sum(u.boxes for u in self.inner)


def single(first: int, end: int, folds: Sequence[Fold]) -> list[Unit]:
    """Every instruction by itself, repeats as they are."""
    out, at = [], first
    for fold in folds:
        out += [Unit(i, i + 1) for i in range(at, fold.first)]
        inner = single(fold.first, fold.first + fold.period, fold.inner)
        out.append(Unit(fold.first, fold.end, fold, tuple(inner)))
        at = fold.end
    return [*out, *(Unit(i, i + 1) for i in range(at, end))]


def few(steps: Steps, first: int, end: int, folds: Sequence[Fold], most: int) -> list[Unit]:
    """At most about so many boxes, as much in full as that allows."""
    total = _count(first, end, folds)
    if total <= most:
        return single(first, end, folds)
    apart = end - first - sum(f.end - f.first for f in folds)
    if folds and apart <= most // 2:
        return _with_repeats(steps, _gaps(first, end, folds), folds, most)
    lines = _opened(_by_line(steps, first, end, folds), most - LEAST_WITHIN * len(folds))
    out = _with_repeats(steps, lines, folds, most)
    return out if sum(u.boxes for u in out) <= most else _joined(steps, out, most)


def _count(first: int, end: int, folds: Sequence[Fold]) -> int:
    """Boxes, where all is drawn in full."""
    total = end - first
    for f in folds:
        total += 1 + _count(f.first, f.first + f.period, f.inner) - (f.end - f.first)
    return total


def _gaps(first: int, end: int, folds: Sequence[Fold]) -> list[Unit]:
    """The instructions between repeats."""
    out, at = [], first
    for fold in folds:
        out += [Unit(i, i + 1) for i in range(at, fold.first)]
        at = fold.end
    return [*out, *(Unit(i, i + 1) for i in range(at, end))]


def _by_line(steps: Steps, first: int, end: int, folds: Sequence[Fold]) -> list[Unit]:
    """The instructions between repeats, runs of one source line as one."""
    out, at = [], first
    for stop, after in (*((f.first, f.end) for f in folds), (end, end)):
        if stop > at:
            lines, parts = steps.line_ids[at:stop], steps.reverse[at:stop]
            cuts = np.flatnonzero((np.diff(lines) != 0) | (np.diff(parts.astype(np.int8)) != 0)) + 1
            edges = [at, *(at + cuts).tolist(), stop]
            out += [Unit(a, b) for a, b in pairwise(edges)]
        at = after
    return out


def _opened(runs: list[Unit], most: int) -> list[Unit]:
    """The shortest runs in full, as long as there is room for them."""
    count, opened = len(runs), set()
    for u in sorted(runs, key=lambda u: (u.end - u.first, u.first)):
        count += u.end - u.first - 1
        if count > most:
            break
        opened.add(u.first)
    return [
        part for u in runs for part in ([Unit(i, i + 1) for i in range(u.first, u.end)] if u.first in opened else [u])
    ]


def _with_repeats(steps: Steps, between: list[Unit], folds: Sequence[Fold], most: int) -> list[Unit]:
    """The repeats put in, with the boxes that are left to them."""
    costs = [1 + _count(f.first, f.first + f.period, f.inner) for f in folds]
    left, shares = most - len(between), [0] * len(folds)
    for n, k in enumerate(sorted(range(len(folds)), key=costs.__getitem__)):  # what small ones leave, large ones get
        shares[k] = max(LEAST_WITHIN, min(costs[k], left // (len(folds) - n)))
        left -= shares[k]
    frames = [
        Unit(f.first, f.end, f, tuple(few(steps, f.first, f.first + f.period, f.inner, share - 1)))
        for f, share in zip(folds, shares, strict=True)
    ]
    return sorted([*between, *frames], key=lambda u: u.first)


def _joined(steps: Steps, units: list[Unit], most: int) -> list[Unit]:
    """Neighbours joined. Forward and reverse part stay apart; so do repeats, unless these alone are too many."""
    frames = sum(u.boxes for u in units if u.fold is not None)
    apart = frames <= most // 2
    room = max(2, most - frames if apart else most)
    length = -(-sum(u.fold is None or not apart for u in units) // room)
    out: list[Unit] = []
    count = 0
    for u in units:
        whole = apart and u.fold is not None
        same = bool(out) and bool(steps.reverse[out[-1].first]) == bool(steps.reverse[u.first])
        if not whole and same and 0 < count < length:
            out[-1] = Unit(out[-1].first, u.end)
            count += 1
        else:
            out.append(u)
            count = 0 if whole else 1
    return out
