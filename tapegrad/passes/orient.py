"""Matrix products read a transposed operand as it is: the transpose becomes a flag of the product."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from tapegrad.ops.table import OPCODES
from tapegrad.tape import Interner, Tape

_PRODUCTS: Final = (("matmul", 0), ("matmul_add", 1))  # op, place of its left factor


def orient(tape: Tape) -> Tape:
    """The tape with transposes of the last two axes taken into the products that read them."""
    swaps = [k for k, axes in enumerate(tape.attributes) if _swaps_last_two(axes)]
    transposed = (tape.opcodes == OPCODES["transpose"]) & np.isin(tape.attribute_ids, swaps)
    if not transposed.any():
        return tape
    attributes = Interner.of(tape.attributes)
    operands, attribute_ids = tape.operands.copy(), tape.attribute_ids.copy()
    for name, left in _PRODUCTS:
        for i in np.flatnonzero(tape.opcodes == OPCODES[name]).tolist():
            flags = list(tape.attribute(i))
            at = int(tape.starts[i]) + left
            for side in (0, 1):
                factor = operands[at + side]
                if transposed[factor]:
                    operands[at + side] = tape.operands[tape.starts[factor]]
                    flags[side] = 1 - flags[side]
            attribute_ids[i] = attributes(tuple(flags))
    return replace(tape, operands=operands, attribute_ids=attribute_ids, attributes=tuple(attributes.items))


def _swaps_last_two(axes: tuple[object, ...]) -> bool:
    n = len(axes)
    return n >= 2 and axes == (*range(n - 2), n - 1, n - 2)
