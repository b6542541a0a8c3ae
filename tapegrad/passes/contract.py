"""Sums of products become inner products: the terms are never written down.

sum(x * y) over the last axis is the product of a row and a column for each row; over the only axis it is one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import OPCODES, find
from tapegrad.passes.dead import drop_dead
from tapegrad.tape import Interner, Tape

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
    types, attributes = Interner.of(tape.types), Interner.of(tape.attributes)
    n = len(tape)
    width = np.ones(n, np.int64)
    width[chosen] = 4
    place = np.cumsum(width) - 1  # where each slot's value is found now
    total = int(width.sum())
    old = np.repeat(np.arange(n), width)
    opcodes, kinds, details = tape.opcodes[old], tape.type_ids[old], tape.attribute_ids[old]
    read: list[list[int]] = [[]] * total
    for i in range(n):
        read[int(place[i])] = place[tape.read(i)].tolist()
    for i in chosen:
        term = int(tape.operands[tape.starts[i]])
        factors = place[tape.read(term)].tolist()
        shape = tape.type(term).shape
        *outer, k = shape
        first = int(place[i]) - 3
        forms = ((*outer, 1, k), (*outer, k, 1), (*outer, 1, 1), tuple(outer))
        for j, (name, form) in enumerate(zip(("reshape", "reshape", "matmul", "reshape"), forms, strict=True)):
            opcodes[first + j] = OPCODES[name]
            kinds[first + j] = types(ArrayType(form, FLOAT))
            details[first + j] = attributes((0, 0) if name == "matmul" else form)
        read[first], read[first + 1] = [factors[0]], [factors[-1]]
        read[first + 2], read[first + 3] = [first, first + 1], [first + 2]
    starts = np.zeros(total + 1, np.int32)
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
