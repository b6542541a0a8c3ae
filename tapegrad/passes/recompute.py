"""Values of the forward part that the reverse part reads are computed again instead of being kept.

It is the last of all passes: any other would find that the same is computed twice, and share it. What is computed
again, and when, is decided by `tapegrad.passes.segments`; here it is written down. Whatever that decides, the tape
computes the same: a copy of an instruction reads the same values as the instruction itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.ops.table import flags
from tapegrad.passes.dead import keep, mark
from tapegrad.passes.segments import Facts, Segments
from tapegrad.tape import Tape

# The writer's state, an int64 array: instructions and operands written, the segment that the reverse part is in.
_COUNT, _USED, _NOW = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """A tape in which instructions are there again.

    Attributes:
        tape: it.
        origin: for each of its instructions, the one of the tape before that it is.
        again: whether it is there again, later than it was.
        work: what the sweep costs now, in the unit of the facts.
    """

    tape: Tape
    origin: Any
    again: Any
    work: float


@part
def _fresh(s: Any, lasts: Any, level: Any, parent: Any, stamp: Any, state: Any) -> Any:
    """Is the value of slot s there? `lasts`: it is never computed again, or kept from the forward part on."""
    return lasts[s] or stamp[s] == parent[level[s] - 2, state[_NOW]]


@part
def _write(
    i: Any, again: Any, starts: Any, operands: Any, lasts: Any, level: Any, parent: Any, place: Any, found: Any,
    stamp: Any, state: Any, origin: Any, ends: Any, reads: Any,
) -> None:  # fmt: skip
    """Append instruction i; `found` are the places of the newest copies."""
    at, used = state[_COUNT], state[_USED]
    for o in range(starts[i], starts[i + 1]):
        s = operands[o]
        reads[used] = found[s] if again else place[s]
        used += 1
    origin[at], ends[at + 1] = i, used
    if lasts[i] or not again:
        place[i] = at
    found[i] = at
    if not lasts[i]:
        stamp[i] = parent[level[i] - 2, state[_NOW]]
    state[_COUNT], state[_USED] = at + 1, used


@part
def _want(
    s: Any, token: Any, lasts: Any, level: Any, parent: Any, stamp: Any, state: Any, seen: Any, stack: Any, depth: Any
) -> Any:
    """Put a slot whose value is not there on the stack, once; gives its depth."""
    if seen[s] == token or _fresh(s, lasts, level, parent, stamp, state):
        return depth
    seen[s] = token
    stack[depth] = s
    return depth + 1


@part
def _enter(
    old: Any, token: Any, bounds: Any, bound_at: Any, lasts: Any, level: Any, through: Any, parent: Any, stamp: Any,
    state: Any, seen: Any, stack: Any,
) -> Any:  # fmt: skip
    """The checkpoints of the segments that the reverse part has just entered are wanted; gives how many."""
    depth = 0
    for k in range(len(parent) - 1):
        segment = parent[k, state[_NOW]]
        if segment == parent[k, old]:
            continue
        first, end = bounds[bound_at[k] + segment], bounds[bound_at[k] + segment + 1]
        for s in range(first, min(end, token)):
            if level[s] == k + 2 and not lasts[s] and not through[s]:
                depth = _want(s, token, lasts, level, parent, stamp, state, seen, stack, depth)
    return depth


@compiled
def _again(
    starts: Any, operands: Any, forward: Any, lasts: Any, through: Any, level: Any, parent: Any, bounds: Any,
    bound_at: Any, now: Any, place: Any, found: Any, stamp: Any, seen: Any, stack: Any, batch: Any, state: Any,
    origin: Any, copied: Any, ends: Any, reads: Any,
) -> bool:  # fmt: skip
    """Write all instructions, and before those of the reverse part what they need again. False where space ends."""
    for i in range(len(forward)):
        count = 0
        if not forward[i]:
            old = state[_NOW]
            state[_NOW] = now[i]
            depth = 0
            if now[i] != old:
                depth = _enter(
                    old, i, bounds, bound_at, lasts, level, through, parent, stamp, state, seen, stack
                )  # fmt: skip
            for o in range(starts[i], starts[i + 1]):
                depth = _want(operands[o], i, lasts, level, parent, stamp, state, seen, stack, depth)
            while depth > 0:
                depth -= 1
                s = stack[depth]
                batch[count] = s
                count += 1
                for o in range(starts[s], starts[s + 1]):
                    depth = _want(operands[o], i, lasts, level, parent, stamp, state, seen, stack, depth)
        if count > 1:
            batch[:count].sort()
        if state[_COUNT] + count >= len(origin):
            return False
        for k in range(count + 1):
            s = batch[k] if k < count else i
            if state[_USED] + starts[s + 1] - starts[s] > len(reads):
                return False
            copied[state[_COUNT]] = k < count
            _write(
                s, k < count or not forward[i], starts, operands, lasts, level, parent, place, found, stamp, state,
                origin, ends, reads,
            )  # fmt: skip
    return True


MOST: Final = 4  # times the length of the tape: what would become longer is not worth it


def recompute(tape: Tape, facts: Facts, chosen: Segments) -> Repeated | None:
    """The tape with values of the forward part computed again; None where it would be many times as long.

    Time grows linearly with the tape's length, but for sorting what is computed again at one time.

    Args:
        tape: in the order in which it runs.
        facts: what there is to know of its instructions.
        chosen: what is kept, what is computed again.
    """
    n = len(tape)
    lasts = (chosen.level == 1) | ~facts.forward
    own = np.arange(n)
    through = (facts.root != own) | facts.light
    room, space = MOST * n + 1, MOST * (len(tape.operands) + 1)
    origin, copied = np.empty(room, np.int32), np.zeros(room, np.bool_)
    ends, reads = np.zeros(room + 1, np.int32), np.empty(space, np.int32)
    place, found = np.zeros(n, np.int32), np.zeros(n, np.int32)
    stamp, seen = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    stack, batch = np.empty(n + 1, np.int32), np.empty(n + 1, np.int32)
    state = np.zeros(3, np.int64)
    state[_NOW] = chosen.now[0] if n else 0
    bound_at = np.cumsum([0, *(len(b) for b in chosen.bounds[:-1])])
    whole = _again(
        tape.starts, tape.operands, facts.forward, lasts, through, chosen.level, chosen.parent,
        np.concatenate(chosen.bounds), bound_at, chosen.now, place, found, stamp, seen, stack, batch, state, origin,
        copied, ends, reads,
    )  # fmt: skip
    if not whole:
        return None
    count = int(state[_COUNT])
    origin, copied = origin[:count], copied[:count]
    longer = replace(
        tape,
        opcodes=tape.opcodes[origin],
        starts=ends[: count + 1],
        operands=reads[: state[_USED]],
        type_ids=tape.type_ids[origin],
        attribute_ids=tape.attribute_ids[origin],
        line_ids=tape.line_ids[origin],
        inputs=place[tape.inputs],
        independents=place[tape.independents],
        dependents=place[tape.dependents],
        reverse=count,
    )
    live = facts.leaf[origin]
    live[longer.dependents] = True
    mark(longer.opcodes, longer.starts, longer.operands, flags("effect"), live)
    work = float(facts.work[origin[live]].sum())
    return Repeated(keep(longer, live), origin[live], copied[live], work)
