"""Products that only a sum reads become one instruction with it: adjoints are made of such pairs.

Fused products are rounded once, not twice. So values keep NumPy's bits: only the reverse part is fused, where
no difference of squares is kept from going below zero by being rounded like its neighbour.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.table import OPCODES, find
from tapegrad.passes.dead import drop_dead
from tapegrad.tape import Tape

_NONE, _FIRST, _SECOND = 0, 1, 2


@compiled
def _pairs(
    opcodes: Any, types: Any, starts: Any, operands: Any, readers: Any, codes: Any, begin: Any, which: Any
) -> None:
    """which[i]: the operand of the sum i that is a product to be taken into it; `codes`: multiply, add, subtract."""
    for i in range(begin, len(opcodes)):
        if opcodes[i] != codes[1] and opcodes[i] != codes[2]:
            continue
        for k in range(1, -1, -1):
            p = operands[starts[i] + k]
            if p >= begin and opcodes[p] == codes[0] and readers[p] == 1 and types[p] == types[i]:
                which[i] = 1 + k


def fuse(tape: Tape) -> Tape:
    """The tape with sums of products in its reverse part made one instruction each."""
    names = ("multiply", "add", "subtract")
    codes = np.array([find(name, "ff") for name in names], np.int64)
    readers = np.bincount(tape.operands, minlength=len(tape))
    readers[tape.dependents] += 1
    which = np.zeros(len(tape), np.int8)
    _pairs(tape.opcodes, tape.type_ids, tape.starts, tape.operands, readers, codes, tape.reverse, which)
    sums = np.flatnonzero(which)
    if not len(sums):
        return tape
    first, second = tape.operands[tape.starts[sums]], tape.operands[tape.starts[sums] + 1]
    product = np.where(which[sums] == _FIRST, first, second)
    other = np.where(which[sums] == _FIRST, second, first)
    widths = np.diff(tape.starts)
    widths[sums] = 3
    starts = np.zeros(len(tape) + 1, np.int32)
    np.cumsum(widths, out=starts[1:])
    kept = np.ones(int(starts[-1]), np.bool_)
    kept[(starts[sums][:, None] + np.arange(3)).reshape(-1)] = False
    operands = np.empty(int(starts[-1]), np.int32)
    operands[kept] = tape.operands[np.repeat(which == _NONE, np.diff(tape.starts))]
    for k, slot in enumerate((tape.operands[tape.starts[product]], tape.operands[tape.starts[product] + 1], other)):
        operands[starts[sums] + k] = slot
    opcodes = tape.opcodes.copy()
    added = tape.opcodes[sums] == codes[1]
    opcodes[sums] = np.where(
        added,
        OPCODES["multiply_add"],
        np.where(which[sums] == _FIRST, OPCODES["multiply_subtract"], OPCODES["subtract_multiply"]),
    )
    return drop_dead(replace(tape, opcodes=opcodes, starts=starts, operands=operands))
