"""Does the array that NumPy has for a slot lie in C order? That decides whether a reshape of it is a view or a copy."""

from __future__ import annotations

from itertools import permutations
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.table import OPS
from tapegrad.record.functions.memory import SLOT, Owner, View, memory_of, shadow_of
from tapegrad.record.functions.parts import is_part
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

_KEEPING: Final = frozenset({"slice", "reshape", "item", "stop_gradient"})
_ONWARD: Final = frozenset({"slice_set", "item_set", "scatter_set", "slice_add", "item_add", "scatter_add"})
_BY_ORDER: Final = (np.reshape, np.ravel, np.ascontiguousarray, np.asfortranarray)  # a view or a copy
_MOST: Final = 4  # axes whose every order is tried


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


def surely_in_c_order(root: Variable, owner: Owner) -> bool:
    """Is it known that a root is in C order in memory?"""
    if owner.certain:
        return bool(shadow_of(root, owner).flags.c_contiguous)
    return in_c_order(root._recorder, owner.made)


def by_order(root: Variable, owner: Owner, view: View) -> bool:
    """May it depend on the order of the root in memory whether something is a view?"""
    return view.function in _BY_ORDER and not owner.certain and not in_c_order(root._recorder, owner.made)


def require_any_order(v: Variable, root: Variable, *, shares: bool) -> None:
    """Raise unless a view is one, or none, in whatever order the root lies in memory."""
    count = len(root.shape)
    for order in permutations(range(count)) if count <= _MOST else ():
        turned = np.empty(tuple(root.shape[a] for a in order), np.int8)
        found = _along(v, turned.transpose(np.argsort(order)))
        if is_part(found, turned) != shares:
            break
    else:
        if count <= _MOST:
            return
    function: Any = memory_of(v).function
    line, owner = v._recorder.line_of(SLOT.__get__(v)), memory_of(root)
    changed = f", which was assigned to at {owner.line}" if owner.line else ""
    raise UnsupportedError(
        describe(
            f"assignment beside {function.__name__}",
            found=f"the result of a {function.__name__} that is a view or a copy, as the array of shape {root.shape} "
            f"lies in memory{changed}",
            wanted="an array made in C order (np.ascontiguousarray(x), np.zeros(shape)), or .copy() of the result",
            line=line,
        )
    )


def _along(v: Variable, array: Any) -> Any:
    """What all that made a view makes of another array in place of the root."""
    memory = memory_of(v)
    return array if type(memory) is Owner else memory.of(_along(memory.base, array))
