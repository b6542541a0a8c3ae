"""Sums of products become inner products: the terms are never written down.

sum(x * y) over the last axis is the product of a row and a column for each row; over the only axis it is one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import OPCODES, find
from tapegrad.passes.dead import drop_dead
from tapegrad.passes.spread import Spread
from tapegrad.tape import Tape

LEAST: Final = 16  # terms of a sum that make it worth a call of its own (`python -m benchmarks compare`)


def contract(tape: Tape) -> Tape:
    """The tape with sums of products over one last axis made matrix products."""
    readers = np.bincount(tape.operands, minlength=len(tape))
    readers[tape.dependents] += 1
    multiply, square = find("multiply", "ff"), find("square", "f")
    sums = np.flatnonzero(tape.opcodes == OPCODES["sum"])
    terms = tape.operands[tape.starts[sums]]
    sums = sums[np.isin(tape.opcodes[terms], [multiply, square]) & (readers[terms] == 1)]
    chosen = [i for i in sums.tolist() if _fits(tape, i)]
    return drop_dead(_rewritten(tape, chosen)) if chosen else tape


def _fits(tape: Tape, i: int) -> bool:
    term = int(tape.operands[tape.starts[i]])
    t = tape.type(term)
    last = len(t.shape) - 1
    same = all(tape.type_ids[s] == tape.type_ids[term] for s in tape.read(term))
    return t.kind == FLOAT and tape.attribute(i) == (last,) and t.shape[last] >= LEAST and same


def _rewritten(tape: Tape, chosen: list[int]) -> Tape:
    """Each sum in `chosen` is replaced by four instructions: row, column, product, and its shape."""
    made = Spread.of(tape, chosen, 4)
    reshape, matmul = OPCODES["reshape"], OPCODES["matmul"]
    for i in chosen:
        term = int(tape.operands[tape.starts[i]])
        factors = made.operands(term)
        *outer, k = tape.type(term).shape
        rows, columns, products = (*outer, 1, k), (*outer, k, 1), (*outer, 1, 1)
        first = made.first(i)
        made.put(first, reshape, factors[:1], rows, ArrayType(rows, FLOAT))
        made.put(first + 1, reshape, factors[-1:], columns, ArrayType(columns, FLOAT))
        made.put(first + 2, matmul, [first, first + 1], (0, 0), ArrayType(products, FLOAT))
        made.put(first + 3, reshape, [first + 2], tuple(outer))
    return made.finish()
