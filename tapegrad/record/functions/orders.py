"""Does the array that NumPy has for a slot lie in C order? That decides whether a reshape of it is a view or a copy."""

from __future__ import annotations

from typing import Final

from tapegrad.ops.table import OPS
from tapegrad.record.recorder import Recorder

_KEEPING: Final = frozenset({"slice", "reshape", "item", "stop_gradient"})
_ONWARD: Final = frozenset({"slice_set", "item_set", "scatter_set", "slice_add", "item_add", "scatter_add"})


def in_c_order(recorder: Recorder, slot: int) -> bool:
    """Is it certain that NumPy's array is in C order? False where it is not known.

    The recorder knows arguments and constants. A ufunc's result is in the order of its operands. What other functions
    are recorded as says nothing about the order of NumPy's result.
    """
    known, todo = recorder.ordered, [slot]
    while todo:
        i = todo[-1]
        if i in known:
            todo.pop()
            continue
        code, t, read = recorder.instruction(i)
        op = OPS[code]
        if sum(n != 1 for n in t.shape) < 2:
            known[i] = True
            continue
        if op.elementwise:
            full = [s for s in read if recorder.instruction(s)[1].shape == t.shape]
            read = [s for s in full if OPS[recorder.instruction(s)[0]].name != "broadcast_to"]
        elif op.name in _ONWARD:
            read = read[:1]
        elif op.name not in _KEEPING:
            read = []
        missing = [s for s in read if s not in known]
        todo += missing
        if not missing:
            known[i] = bool(read) and all(known[s] for s in read)
    return known[slot]
