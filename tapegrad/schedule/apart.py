"""Parts of arrays that are copied, so that the array itself can be overwritten in place.

A window of an array is read where it lies. But if the array is assigned to while the window is still needed - for a
derivative, mostly - one of them must be copied: whichever is smaller. A loop that fills an array row by row and
looks back at rows would copy the whole array for each row otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.table import flags
from tapegrad.tape import Tape


@compiled
def _last_reads(starts: Any, operands: Any, view: Any, overwrites: Any, root: Any, last: Any) -> None:
    """The last time that a slot is read, but by a view: 2 i, or 2 i + 1 by what does not overwrite it."""
    for i in range(len(view)):
        root[i] = i
        if view[i]:
            root[i] = root[operands[starts[i]]]
            continue
        for o in range(starts[i], starts[i + 1]):
            time = 2 * i if overwrites[i] and o == starts[i] else 2 * i + 1
            last[operands[o]] = max(last[operands[o]], time)


@compiled
def _mark(
    starts: Any, operands: Any, view: Any, whole: Any, nbytes: Any, root: Any, last: Any, at: Any, cost: Any, kept: Any
) -> None:
    """Mark views that outlive their root's last overwriting, which is at time at[root], and the parts of such views.

    `cost[root]` becomes the bytes to copy, all of the root's where no copy of a part would do.
    """
    for i in range(len(view)):
        r = root[i]
        kept[i] = False
        if at[r] < 0:
            continue
        if not view[i]:
            if last[i] > at[i]:
                cost[r] = nbytes[r]
            continue
        kept[i] = kept[operands[starts[i]]]
        if kept[i] or last[i] <= at[r]:
            continue
        kept[i] = True
        if not whole[i] or 2 * i > at[r]:
            cost[r] = nbytes[r]
        cost[r] += nbytes[i]


def copied_apart(tape: Tape, view: Any, whole: Any, nbytes: Any) -> Any:
    """bool[n]: the views that are better copied.

    Args:
        tape: the tape, in the order in which it runs.
        view: which slots are parts of their operand's memory.
        whole: which slots have no rows.
        nbytes: of each slot.
    """
    n = len(tape)
    overwrites = flags("overwrites")[tape.opcodes]
    if not overwrites.any():
        return np.zeros(n, np.bool_)
    root, last, at = np.zeros(n, np.int32), np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    _last_reads(tape.starts, tape.operands, view, overwrites, root, last)
    last[tape.dependents] = 2 * n
    places = np.flatnonzero(overwrites & whole)
    changed = tape.operands[tape.starts[places]]
    fits = whole[root[changed]] & (nbytes[root[changed]] == nbytes[changed])
    np.maximum.at(at, root[changed[fits]], 2 * places[fits])
    cost, kept = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    _mark(tape.starts, tape.operands, view, whole, nbytes, root, last, at, cost, kept)
    worth = kept & (cost[root] < nbytes[root])
    parent = tape.operands[np.minimum(tape.starts[:-1], max(len(tape.operands) - 1, 0))]
    return worth & ~kept[parent]
