"""When instructions run: levels, lags, and which per-row slots are kept in full.

Level 2p is the p-th stretch of whole instructions, level 2p + 1 the p-th loop over rows. A reduction of
loop 2p + 1 is available from level 2p + 2 on. Within a loop a slot may run *behind* the tile by `lag` rows,
so that what it reads at a shift is there already; `history` are the rows that a slot must remember.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.schedule.modes import ALIGNED, LEAF, NEEDED_WHOLE, PER_ROW, REDUCTION, WHOLE

FAR: Final = 64  # rows: what is shifted further waits for the next loop, or is kept in full


@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """By slot: level, the slot that owns its memory, shift to it in rows, lag, history, is it kept in full?

    `follows` is the slot whose memory, kept in full, it grows into (-1: none). A view has the level at which it may be
    read; `kind` is that of `tapegrad.schedule.modes`.
    """

    level: Any
    root: Any
    shift: Any
    kind: Any
    lag: Any
    history: Any
    full: Any
    follows: Any


@compiled
def _levels(  # noqa: C901, PLR0912 - one compiled loop
    starts: Any, operands: Any, view: Any, kind: Any, modes: Any, shifts: Any, mode_at: Any, guard: Any, fails: Any,
    chained: Any, level: Any, root: Any, shift: Any, broken: Any, lag: Any, far: Any,
) -> None:  # fmt: skip
    """As early as possible. `broken` marks views that need their root whole.

    Guards keep their order, and what may fail (an index) waits for the guards before it. `chained`: operand 0
    is the sum so far of the same loop.
    """
    floor = 0
    for i in range(len(kind)):
        root[i], shift[i], level[i], broken[i], lag[i] = i, 0, 0, False, 0
        if kind[i] == 0:
            continue
        wanted = 1 if kind[i] >= 2 else 0
        behind = 0
        for o in range(starts[i], starts[i + 1]):
            s, at = operands[o], mode_at[i] + o - starts[i]
            r = root[s]
            whole = modes[at] == 2 or broken[s]
            if view[i]:
                root[i], shift[i] = r, shift[s] + shifts[at]
                broken[i] = whole and kind[r] == 2
                level[i] = level[r] + (1 if broken[i] or kind[r] == 3 else 0)
                continue
            if kind[r] < 2:
                needed = level[r]
            elif kind[r] == 3:
                needed = level[r] if chained[i] and o == starts[i] else level[r] + 1
            else:
                moved = lag[r] + shift[s] + shifts[at]
                if kind[i] >= 2 and not whole and moved <= far:
                    needed = level[r]
                    if needed > wanted:
                        behind = 0
                    if needed >= wanted:
                        behind = max(behind, moved)
                else:
                    needed = level[r] + 1
            if (kind[i] >= 2 and needed % 2 == 0) or (kind[i] < 2 and needed % 2 == 1):
                needed += 1
            wanted = max(wanted, needed)
        if view[i]:
            continue
        if fails[i] or guard[i]:
            while wanted < floor:
                wanted += 2
        level[i] = wanted
        lag[i] = behind
        if guard[i]:
            floor = wanted


@compiled
def _sink(
    starts: Any, operands: Any, view: Any, kind: Any, modes: Any, shifts: Any, mode_at: Any, kept: Any,
    late: Any, level: Any, root: Any, shift: Any, broken: Any, latest: Any, far: Any,
) -> None:  # fmt: skip
    """Per-row instructions move to the loop that first reads them, so that less is kept between loops.

    Whole ones move to the level that first reads them if they are `late`.
    """
    for i in range(len(kind)):
        latest[i] = 1 << 30
    for i in range(len(kind) - 1, -1, -1):
        if kind[i] == 0 or view[i]:
            continue
        if kind[i] == 2 and not kept[i] and latest[i] < 1 << 30 and latest[i] > level[i]:
            level[i] = latest[i]
        if kind[i] == 1 and late[i] and latest[i] < 1 << 30 and latest[i] > level[i]:
            level[i] = latest[i]
        for o in range(starts[i], starts[i + 1]):
            s, at = operands[o], mode_at[i] + o - starts[i]
            r = root[s]
            if kind[r] == 1 and late[r]:
                latest[r] = min(latest[r], level[i] - level[i] % 2)
            if kind[r] != 2:
                continue
            same_loop = kind[i] >= 2 and modes[at] == 1 and not broken[s] and shift[s] + shifts[at] <= far // 4
            bound = level[i] if same_loop else (level[i] - 2 if kind[i] >= 2 else level[i] - 1)
            latest[r] = min(latest[r], bound)


@compiled
def _windows(  # noqa: C901, PLR0912 - one compiled loop
    starts: Any, operands: Any, view: Any, kind: Any, modes: Any, shifts: Any, mode_at: Any,
    level: Any, root: Any, shift: Any, broken: Any, lag: Any, history: Any, full: Any, far: Any,
) -> None:  # fmt: skip
    """Lags, then histories, for final levels; levels of views."""
    for i in range(len(kind)):
        lag[i] = 0
        if view[i]:
            r = root[i]
            level[i] = level[r] + (1 if broken[i] or kind[r] == 3 else 0)
            continue
        if kind[i] < 2:
            continue
        for o in range(starts[i], starts[i + 1]):
            s, at = operands[o], mode_at[i] + o - starts[i]
            r = root[s]
            if kind[r] == 2 and level[r] == level[i] and modes[at] == 1 and not broken[s]:
                lag[i] = max(lag[i], lag[r] + shift[s] + shifts[at])
    for i in range(len(kind)):
        if view[i] or kind[i] == 0:
            continue
        for o in range(starts[i], starts[i + 1]):
            s, at = operands[o], mode_at[i] + o - starts[i]
            r = root[s]
            if kind[r] != 2:
                continue
            if kind[i] >= 2 and level[r] == level[i] and modes[at] == 1 and not broken[s]:
                history[r] = max(history[r], lag[i] - shift[s] - shifts[at] - lag[r])
            else:
                full[r] = True
    for i in range(len(kind)):
        if history[i] > far:
            full[i] = True


@compiled
def _fill_in_place(
    starts: Any, operands: Any, kind: Any, extends: Any, last: Any, level: Any, lag: Any, root: Any, history: Any,
    full: Any, follows: Any,
) -> None:  # fmt: skip
    """What a result kept in full grows from is kept there, too, and not copied: nothing reads it afterwards."""
    for i in range(len(kind) - 1, -1, -1):
        if not full[i] or not extends[i]:
            continue
        s = operands[starts[i]]
        alike = kind[s] == 2 and root[s] == s and level[s] == level[i] and lag[s] == lag[i] and history[s] == 0
        if not alike or full[s] or last[s] != i:  # in full already: a later loop reads it, too
            continue
        once = True
        for o in range(starts[i] + 1, starts[i + 1]):
            once = once and root[operands[o]] != s
        if once:
            full[s] = True
            follows[i] = s


def phases(
    starts: Any,
    operands: Any,
    dependents: Any,
    view: Any,
    kind: Any,
    modes: Any,
    shifts: Any,
    mode_at: Any,
    *,
    guard: Any,
    fails: Any,
    accumulates: Any,
    extends: Any,
    in_full: Any,
    types: Any,
    late: Any = None,
) -> Phases:
    """Levels, lags and histories.

    `view`, `kind`, `guard`, `fails`, `accumulates`, `extends` (may its result take operand 0's memory?) and
    `in_full` are by slot; `modes` and `shifts` are the operands', those of instruction i from `mode_at[i]` on; `types`
    tells slots of one type apart from others; `late`, if given, marks whole instructions that wait until they are read.
    """
    n = len(kind)
    level, root, shift = np.zeros(n, np.int32), np.zeros(n, np.int32), np.zeros(n, np.int64)
    broken, lag, latest = np.zeros(n, np.bool_), np.zeros(n, np.int64), np.zeros(n, np.int64)
    history, full = np.zeros(n, np.int64), in_full & ~view
    readers = np.bincount(operands, minlength=n)
    readers[dependents] += 1
    chained = _chained(starts, operands, kind, accumulates, types, readers)
    common = (starts, operands, view, kind, modes, shifts, mode_at)
    _levels(*common, guard, fails, chained, level, root, shift, broken, lag, FAR)
    kept = np.zeros(n, np.bool_)
    kept[root[dependents]] = True
    if level.max(initial=0) > 2 or (late is not None and level.any()):
        late = np.zeros(n, np.bool_) if late is None else late
        _sink(*common, kept, late, level, root, shift, broken, latest, FAR)
    full[root[dependents]] |= kind[root[dependents]] == PER_ROW
    _windows(*common, level, root, shift, broken, lag, history, full, FAR)
    last, follows = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    np.maximum.at(last, root[operands], np.repeat(np.arange(n), np.diff(starts)))
    last[root[dependents]] = n
    _fill_in_place(starts, operands, kind, extends, last, level, lag, root, history, full, follows)
    return Phases(level, root, shift, kind, lag, history, full, follows)


def _chained(starts: Any, operands: Any, kind: Any, accumulates: Any, types: Any, readers: Any) -> Any:
    """Reductions that add to a reduction which nothing else reads."""
    chained = np.zeros(len(kind), np.bool_)
    adding = np.flatnonzero(accumulates & (kind == REDUCTION))
    before = operands[starts[adding]]
    alike = (kind[before] == REDUCTION) & (readers[before] == 1) & (types[before] == types[adding])
    chained[adding[alike]] = True
    return chained


assert (LEAF, WHOLE, PER_ROW, REDUCTION, ALIGNED, NEEDED_WHOLE) == (0, 1, 2, 3, 1, 2)  # written in the loops above
