"""Tall, narrow sums of outer products are made lying on their side: BLAS goes along the long axis.

X.T @ G for a batch of rows with few outputs has few columns; its transpose G.T @ X takes two thirds of the time
(`python -m benchmarks compare`, softmax regression).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import OPCODES, find
from tapegrad.passes.spread import Spread
from tapegrad.tape import Tape

NARROW: Final = 16  # columns at most
TALL: Final = 8  # times as many rows at least
DEEP: Final = 32  # terms at least: else turning costs more than it gains


def is_narrow(shape: Sequence[int]) -> bool:
    """Has a product this lying shape?"""
    return len(shape) == 2 and 1 < shape[0] <= NARROW and shape[1] >= TALL * shape[0]


def lay_down(tape: Tape) -> Tape:
    """The tape with such products computed as their transposes."""
    products = np.flatnonzero(np.isin(tape.opcodes, [OPCODES["matmul"], OPCODES["matmul_add"]]))
    chosen = [i for i in products.tolist() if _fits(tape, i)]
    return _rewritten(tape, chosen) if chosen else tape


def _fits(tape: Tape, i: int) -> bool:
    a, b = tape.read(i)[-2:]
    left, right = tape.attribute(i)
    deep = tape.type(a).shape[0] >= DEEP and len(tape.type(a).shape) == len(tape.type(b).shape)
    return left == 1 and right == 0 and deep and is_narrow(tape.type(i).shape[::-1])


def _rewritten(tape: Tape, chosen: list[int]) -> Tape:
    """Each product becomes a product and its transposition, and what it is added to an addition."""
    adds = tape.opcodes == OPCODES["matmul_add"]
    made = Spread.of(tape, chosen, np.where(adds[chosen], 3, 2))
    for i in chosen:
        *sum_of, a, b = made.operands(i)
        shape = tape.type(i).shape[::-1]
        first = made.put(made.first(i), OPCODES["matmul"], [b, a], (1, 0), ArrayType(shape, FLOAT))
        made.put(first + 1, OPCODES["transpose"], [first], (1, 0))
        if sum_of:
            made.put(first + 2, find("add", "ff"), [*sum_of, first + 1], ())
    return made.finish()
