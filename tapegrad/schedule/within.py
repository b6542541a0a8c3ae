"""A program within a limit of memory: what is too much to keep is computed again.

Candidates are made, from the one that computes least again to the one that computes most, and the first whose workspace
is within the limit is taken. They differ in three things: which results are too dear to be computed again (matrix
products and the like), how large a segment is, and how many levels of segments there are (`tapegrad.passes.segments`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.passes.recompute import Repeated, recompute
from tapegrad.passes.segments import Facts, Weights, segments
from tapegrad.schedule.draft import Draft, drafted, repeated
from tapegrad.schedule.facts import dear, facts_of
from tapegrad.schedule.layout import VIEW
from tapegrad.schedule.program import Placed, Program, placed, program_of
from tapegrad.sweep.layout import TILES
from tapegrad.tape import Tape

SIZES: Final = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.42, 0.34, 0.26, 0.2, 0.15, 0.11, 0.08, 0.06, 0.04, 0.03, 0.02, 0.01)
SMALL: Final = 1 / 16  # of the limit: the smallest results are kept, as many as fit into this
STRIDE: Final = 3  # of the first look at sizes
HALVES: Final = 3  # times that the size between one that fits and one that does not is halved
RATIOS: Final = (2, 3, 4, 6, 8, 12, 16, 24, 32, 64)
LEVELS: Final = 5
MARGIN: Final = 1.3  # times the limit: what looks larger than that is not placed
FEW: Final = 3  # of what looks too large all the same, so that the least is known that can be reached

Made = tuple[Draft, Placed]
Way = tuple[
    float, int, int
]  # bytes of the smallest segments, levels, how many segments of one level make one of the next


@dataclass(frozen=True, slots=True, eq=False)
class Over:
    """Nothing is within the limit: the least that can be reached, the line that holds most of it, and how much."""

    least: int
    line: str
    held: int


def schedule_within(tape: Tape, limit: int) -> Program | Over:
    """The program of a tape whose workspace is within a limit of bytes, or what stands in the way.

    A tape that fits gets the program that it gets without a limit. Results are the same to the bit in any case. Time
    grows linearly with the tape's length (but for sorting), times the number of ways that are tried: some tens at most.
    """
    draft = drafted(tape)
    first = draft, placed(draft)
    if first[1].workspace <= limit:
        return program_of(*first)
    values = [k for k, slot in enumerate(tape.dependents.tolist()) if slot < tape.reverse]
    given, facts = facts_of(*first, values, 0.0), facts_of(*first, values, SMALL * limit)
    # The second time by what does not hang on the limit, so that what is told to be the least will do as a limit.
    for each in (facts, given) if (facts.fixed != given.fixed).any() else (given,):
        search = _Search(*first, each, limit)
        search.run()
        if search.best is not None:
            return program_of(*search.best)
    return Over(search.least[1].workspace, *_heaviest_line(*search.least))


class _Search:
    """A look for the way that computes least again and is within the limit.

    Attributes:
        best: the draft of the least work that is within the limit; `work`: its work.
        least: the draft of the least workspace.
    """

    def __init__(self, draft: Draft, known: Placed, facts: Facts, limit: int) -> None:
        self.draft, self.facts, self.limit = draft, facts, limit
        self.best: Made | None = None
        self.work = np.inf
        self.least: Made = draft, known
        self._large: list[tuple[float, Repeated]] = []
        usual = max(_peak_of(draft.tape, np.arange(len(draft.tape)), facts), 1.0)
        self._bound = np.inf if draft.plan.loops else MARGIN * limit * usual / known.workspace

    def run(self) -> None:
        """Try one level of segments for each choice of what is too dear, then more levels with nothing too dear."""
        tape = self.draft.tape
        for fixed in dear(tape, self.facts):
            facts = replace(self.facts, fixed=fixed)
            weights = Weights.of(tape, facts)
            self._scan(facts, weights, _one_level(weights), STRIDE)
        for levels in range(2, LEVELS + 1):
            if self.best is None:
                self._scan(facts, weights, _several_levels(weights, levels), 1)
        if self.best is None:
            for _, repeated_ in sorted(self._large, key=lambda known: known[0])[:FEW]:
                self._place(repeated_)

    def _scan(self, facts: Facts, weights: Weights, ways: Sequence[Way], stride: int) -> None:
        """Go through ways that compute more and more, by strides; where one fits, look at those just passed."""
        fits = next((k for k in range(0, len(ways), stride) if self._try(facts, weights, ways[k])), None)
        if fits is None:
            return
        passed = range(max(fits - stride + 1, 0), fits)
        fits = next((k for k in passed if self._try(facts, weights, ways[k])), fits)
        if not fits or stride == 1:
            return
        (low, levels, ratio), high = ways[fits], ways[fits - 1][0]
        for _ in range(HALVES):
            middle = (low + high) / 2
            if self._try(facts, weights, (middle, levels, ratio)):
                low = middle
            else:
                high = middle

    def _try(self, facts: Facts, weights: Weights, way: Way) -> bool:
        """Does this way fit? It is the best if it computes less again than any before."""
        tape = self.draft.tape
        made = recompute(tape, facts, segments(tape, facts, weights, *way))
        if made is None or not made.again.any():
            return False
        if made.work >= self.work:  # the ways after this one compute even more
            return True
        peak = _peak_of(made.tape, made.origin, facts)
        if peak > self._bound:
            self._large.append((peak, made))
            return False
        return self._place(made)

    def _place(self, made: Repeated) -> bool:
        """Is it within the limit when it is placed?"""
        draft = repeated(self.draft, made.tape, made.origin, made.again)
        if draft is None:
            return False
        found = draft, placed(draft)
        self.least = min(self.least, found, key=lambda m: m[1].workspace)
        if found[1].workspace > self.limit:
            return False
        self.best, self.work = found, made.work
        return True


def _one_level(weights: Weights) -> list[Way]:
    """Larger and smaller segments."""
    whole, heavy = float(weights.total[-1]), int((np.diff(weights.total) > 0).sum())
    return [(whole * share, 1, 1) for share in SIZES if heavy * share >= 1]


def _several_levels(weights: Weights, levels: int) -> list[Way]:
    """Segments of segments."""
    whole, heavy = float(weights.total[-1]), int((np.diff(weights.total) > 0).sum())
    return [(whole / ratio**levels, levels, ratio) for ratio in RATIOS if ratio**levels <= 2 * heavy]


@compiled
def _peak(starts: Any, operands: Any, origin: Any, root: Any, nbytes: Any, own: Any, last: Any, change: Any) -> Any:
    """The most bytes that are alive at once, where nothing is computed in place."""
    n = len(origin)
    for i in range(n):
        own[i] = i if root[origin[i]] == origin[i] else own[operands[starts[i]]]
        last[i] = i
        for o in range(starts[i], starts[i + 1]):
            last[own[operands[o]]] = i
    for i in range(n):
        if own[i] == i:
            change[i] += nbytes[origin[i]]
            change[last[i] + 1] -= nbytes[origin[i]]
    alive, most = 0, 0
    for i in range(n):
        alive += change[i]
        most = max(most, alive)
    return most


def _peak_of(tape: Tape, origin: Any, facts: Facts) -> float:
    """The most bytes that are alive at once on a tape of instructions whose facts are known."""
    n = len(tape)
    own, last, change = np.empty(n, np.int32), np.empty(n, np.int32), np.zeros(n + 1, np.int64)
    return float(_peak(tape.starts, tape.operands, origin, facts.root, facts.nbytes, own, last, change))


def _heaviest_line(draft: Draft, where: Placed) -> tuple[str, int]:
    """The source line that holds most memory when most is alive, and how many bytes."""
    p, n = where.placement, len(draft.tape)
    slots = np.flatnonzero((draft.form > VIEW) & (p.base <= TILES))
    if not len(slots):
        return "", 0
    begin = np.full(len(p.buffer_base), n, np.int64)
    np.minimum.at(begin, p.buffer[slots], slots)
    used = np.flatnonzero(begin < n)
    change = np.zeros(n + 2, np.int64)
    np.add.at(change, begin[used], p.buffer_bytes[used])
    np.add.at(change, np.minimum(p.buffer_ends[used], n) + 1, -p.buffer_bytes[used])
    peak = int(np.cumsum(change).argmax())
    held: dict[int, int] = {}  # by buffer, the last that was written to it
    for slot in slots[slots <= peak].tolist():
        held[int(p.buffer[slot])] = slot
    by_line: dict[str, int] = {}
    for b, slot in held.items():
        if p.buffer_ends[b] >= peak:
            line = draft.tape.line(slot)
            by_line[line] = by_line.get(line, 0) + int(p.buffer_bytes[b])
    return max(by_line.items(), key=lambda item: item[1], default=("", 0))
