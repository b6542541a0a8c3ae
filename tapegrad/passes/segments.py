"""Segments of a forward part: what is kept of each for the reverse part, and what is computed again.

Checkpoints as in Griewank & Walther, Algorithm 799: revolve, ACM Trans. Math. Softw. 26 (2000), and Chen, Xu, Zhang &
Guestrin, Training deep nets with sublinear memory cost (2016), but for tapes instead of chains. The forward part is cut
into segments, these into smaller ones, and so on: `levels` of them. The reverse part goes through them backwards, and
at any time it is in one segment of each level. A value that another segment asks for is a checkpoint of the coarsest
level at which the two segments differ: one of level 1 is kept from the forward part on; one of level k is computed
again when the reverse part enters its segment of level k - 1, and kept as long as it is there. All others are computed
anew in the smallest segment, where they are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.tape import Tape


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What there is to know of instructions, in the order in which they run; one entry each.

    Attributes:
        forward: does it belong to the forward part, which reads nothing of the reverse part?
        leaf: is it an argument or a constant?
        root: the slot whose memory its value is in: its own, or that of what it is a view of.
        fixed: may it not be computed again?
        light: so easily had from leaves that it need never be kept.
        nbytes: bytes that its value takes; 0 for views and leaves.
        work: what it costs to compute, in any unit.
    """

    forward: Any
    leaf: Any
    root: Any
    fixed: Any
    light: Any
    nbytes: Any
    work: Any


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """A forward part in segments.

    Attributes:
        bounds: for each level, the coarsest first, the first instruction of each segment, and the end.
        parent: int32[levels, m], the segment of each level that each of the m smallest segments is in.
        own: int32[n], the smallest segment of each instruction.
        now: int32[n], where each instruction of the reverse part is, as one of the smallest segments.
        level: int8[n], of each value of the forward part the level whose checkpoint it is; one more than there are
            levels where it is none.
    """

    bounds: tuple[Any, ...]
    parent: Any
    own: Any
    now: Any
    level: Any


@compiled
def _needed(
    starts: Any, operands: Any, forward: Any, leaf: Any, root: Any, needed: Any, last: Any, weight: Any
) -> None:
    """needed[i]: does a reverse instruction need forward instruction i? last[r]: the last such one that reads root r.

    `weight[r]` becomes 1 where a reverse instruction reads it itself.
    """
    for i in range(len(forward) - 1, -1, -1):
        if forward[i] and not needed[i]:
            continue
        for o in range(starts[i], starts[i + 1]):
            s = operands[o]
            if not forward[s] or leaf[s]:
                continue
            needed[s] = True
            if forward[i]:
                last[root[s]] = max(last[root[s]], i)
            else:
                weight[root[s]] = 1


@compiled
def _cut(total: Any, crossing: Any, size: Any, cuts: Any) -> Any:
    """Cut where least crosses, from the end: segments of weight `size` at most and of half of it at least.

    `total[i]` is the weight before instruction i, `crossing[i]` the bytes that a cut before it crosses.
    """
    count, end = 0, len(crossing) - 1
    while count < len(cuts) and total[end] > size:
        best, i = -1, end - 1
        while i > 0 and (total[end] - total[i] <= size or best < 0):
            enough = 2 * (total[end] - total[i]) >= size
            if enough and (best < 0 or crossing[i] <= crossing[best]):
                best = i
            i -= 1
        if best < 0:
            break
        cuts[count], end = best, best
        count += 1
    return count


@compiled
def _where(
    starts: Any, operands: Any, forward: Any, leaf: Any, fixed: Any, root: Any, needed: Any, own: Any, crosses: Any,
    now: Any, last: Any,
) -> None:  # fmt: skip
    """now[i]: the last segment of which something is still to be read that no other segment reads."""
    for i in range(len(forward)):
        if forward[i] and needed[i]:
            for o in range(starts[i], starts[i + 1]):
                r = root[operands[o]]
                if own[r] != own[i]:
                    crosses[r] = True
    current = -1
    for i in range(len(forward) - 1, -1, -1):
        if not forward[i]:
            for o in range(starts[i], starts[i + 1]):
                r = root[operands[o]]
                if forward[r] and not leaf[r] and not fixed[r] and not crosses[r]:
                    current = max(current, own[r])
        now[i] = current
    for i in range(len(forward)):
        if now[i] < 0:
            now[i] = 0 if current >= 0 else last


@part
def _differ(parent: Any, one: Any, other: Any) -> Any:
    """The coarsest level at which two of the smallest segments are not in the same one; one more than all for none."""
    for level in range(len(parent)):
        if parent[level, one] != parent[level, other]:
            return level + 1
    return len(parent) + 1


@part
def _ask(s: Any, distance: Any, mode: Any, level: Any, modes: Any) -> None:
    """A value is asked for from a segment that differs at level `distance`, while one of level `mode` is set up."""
    if distance <= mode:
        level[s] = min(level[s], distance)
    else:
        modes[s] |= 1 << mode


@compiled
def _demands(  # noqa: C901, PLR0912 - one compiled loop
    starts: Any, operands: Any, forward: Any, leaf: Any, fixed: Any, through: Any, own: Any, now: Any, parent: Any,
    first: Any, level: Any, modes: Any,
) -> None:  # fmt: skip
    """`level` becomes that of `Segments`. Bit k of modes[i]: it is computed when a segment of level k is set up.

    `through`: views and what is light are never checkpoints; their operands are asked for in their stead. `first` is
    the segment in which the reverse part begins, where nothing is computed again.
    """
    levels = len(parent)
    for i in range(len(forward) - 1, -1, -1):
        if leaf[i] or (forward[i] and fixed[i]):
            continue
        if not forward[i]:
            for o in range(starts[i], starts[i + 1]):
                s = operands[o]
                if forward[s] and not leaf[s]:
                    _ask(s, _differ(parent, own[s], now[i]), levels, level, modes)
            continue
        wanted = modes[i]
        if not through[i]:
            if level[i] == 1:
                continue
            if level[i] <= levels:
                wanted = (wanted & ((1 << (level[i] - 1)) - 1)) | (1 << (level[i] - 1))
        for o in range(starts[i], starts[i + 1]):
            s = operands[o]
            distance = _differ(parent, own[s], own[i])
            if through[i] and level[i] <= levels:
                _ask(s, min(distance, level[i]), levels, level, modes)
            for mode in range(1, levels + 1):
                if (wanted >> mode) & 1 and (through[i] or parent[mode - 1, own[i]] != parent[mode - 1, first]):
                    _ask(s, distance, mode, level, modes)
    for i in range(len(forward)):
        if through[i]:
            level[i] = levels + 1


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """How heavy a forward part is, and where it is best cut.

    Attributes:
        needed: which of its instructions the reverse part needs.
        total: float64[n + 1], bytes before each instruction that the reverse part reads itself.
        crossing: float64[n + 1], bytes that a cut before each instruction crosses.
    """

    needed: Any
    total: Any
    crossing: Any

    @classmethod
    def of(cls, tape: Tape, facts: Facts) -> Weights:
        """Those of a tape."""
        n = len(tape)
        needed, read = np.zeros(n, np.bool_), np.zeros(n, np.int64)
        last = np.full(n, -1, np.int64)
        _needed(tape.starts, tape.operands, facts.forward, facts.leaf, facts.root, needed, last, read)
        heavy = facts.forward & ~facts.leaf & ~facts.fixed
        total, crossing = np.zeros(n + 1), np.zeros(n + 1)
        np.cumsum(np.where(heavy, facts.nbytes * read, 0), out=total[1:])
        alive = np.flatnonzero(heavy & (last > np.arange(n)) & ~facts.light)
        np.add.at(crossing, alive + 1, facts.nbytes[alive])
        np.add.at(crossing, last[alive] + 1, -facts.nbytes[alive])
        return cls(needed, total, np.cumsum(crossing))


def segments(tape: Tape, facts: Facts, weights: Weights, size: float, levels: int, ratio: int) -> Segments:
    """Cut a forward part into smallest segments of `size` bytes at most, and these into `levels` of `ratio` each.

    The last segment of each level is a full one: what is in it is there already when the reverse part begins.
    """
    n = len(tape)
    most = 2 * int(weights.total[-1] // max(size, 1.0)) + 2
    cuts = np.empty(min(most, n), np.int64)
    cuts = cuts[: _cut(weights.total, weights.crossing, size, cuts)][::-1]
    count = len(cuts) + 1
    steps = [ratio ** (levels - level) for level in range(1, levels + 1)]
    places = np.arange(count)
    found = [(count - 1) // step - (count - 1 - places) // step for step in steps]
    ends = np.concatenate([[0], cuts, [n]])
    bounds = tuple(np.append(ends[:-1][np.flatnonzero(np.diff(f, prepend=-1))], n) for f in found)
    parent = np.stack(found).astype(np.int32)
    own = np.searchsorted(cuts, np.arange(n), "right").astype(np.int32)
    fixed, root, view = facts.fixed, facts.root, facts.root != np.arange(n)
    now, crosses = np.empty(n, np.int32), np.zeros(n, np.bool_)
    _where(
        tape.starts, tape.operands, facts.forward, facts.leaf, fixed, root, weights.needed, own, crosses, now, count - 1
    )  # fmt: skip
    level, modes = np.full(n, levels + 1, np.int8), np.zeros(n, np.int32)
    through = facts.forward & ~facts.leaf & ~fixed & (view | facts.light)
    _demands(
        tape.starts, tape.operands, facts.forward, facts.leaf, fixed, through, own, now, parent, now[0], level, modes
    )  # fmt: skip
    level[fixed | facts.leaf] = 1
    return Segments(bounds, parent, own, now, level)
