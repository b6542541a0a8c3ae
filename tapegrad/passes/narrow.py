"""Tall, narrow sums of outer products are made lying on their side: BLAS goes along the long axis.

X.T @ G for a batch of rows with few outputs has few columns; its transpose G.T @ X takes two thirds of the time
(`python -m benchmarks compare`, softmax regression).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import OPCODES, find
from tapegrad.tape import Interner, Tape

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
    types, attributes = Interner.of(tape.types), Interner.of(tape.attributes)
    n = len(tape)
    width = np.ones(n, np.int64)
    adds = tape.opcodes == OPCODES["matmul_add"]
    width[chosen] = np.where(adds[chosen], 3, 2)
    place = np.cumsum(width) - 1
    old = np.repeat(np.arange(n), width)
    opcodes, kinds, details = tape.opcodes[old], tape.type_ids[old], tape.attribute_ids[old]
    read: list[list[int]] = [[]] * len(old)
    for i in range(n):
        read[int(place[i])] = place[tape.read(i)].tolist()
    for i in chosen:
        a, b = place[tape.read(i)[-2:]].tolist()
        first = int(place[i] - width[i]) + 1
        opcodes[first], read[first] = OPCODES["matmul"], [b, a]
        kinds[first] = types(ArrayType(tape.type(i).shape[::-1], FLOAT))
        details[first] = attributes((1, 0))
        opcodes[first + 1], read[first + 1] = OPCODES["transpose"], [first]
        details[first + 1] = attributes((1, 0))
        if adds[i]:
            opcodes[first + 2], details[first + 2] = find("add", "ff"), attributes(())
            read[first + 2] = [int(place[tape.read(i)[0]]), first + 1]
    starts = np.zeros(len(old) + 1, np.int32)
    np.cumsum([len(r) for r in read], out=starts[1:])
    return replace(
        tape,
        opcodes=opcodes,
        starts=starts,
        operands=np.array([s for r in read for s in r], np.int32),
        type_ids=kinds,
        attribute_ids=details,
        line_ids=tape.line_ids[old],
        types=tuple(types.items),
        attributes=tuple(attributes.items),
        inputs=place[tape.inputs].astype(np.int32),
        independents=place[tape.independents].astype(np.int32),
        dependents=place[tape.dependents].astype(np.int32),
        reverse=int(width[: tape.reverse].sum()),
    )
