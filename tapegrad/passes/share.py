"""Common subexpressions: instructions that compute the same from the same become one.

Also drops what does nothing: a product with exactly 1, a change of shape to the same shape.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.table import CONSTANT, OPCODES, flags
from tapegrad.tape import Tape

_UNIT_SECOND: Final = ("multiply", "divide", "masked_multiply")  # x op 1 = x
_IDENTITY: Final = ("reshape", "broadcast_to")  # nothing where the type stays


@compiled
def _share(  # noqa: C901, PLR0912 - one compiled loop
    opcodes: Any, attributes: Any, types: Any, starts: Any, operands: Any, one: Any, rules: Any, stands: Any, table: Any
) -> None:
    """`stands[i]` becomes the slot that stands for slot i; `operands` are rewritten to such slots.

    `rules` holds one row an opcode: keep (never shared), commutes, unit on the right, unit on the left,
    identity where the type stays, identity always.
    """
    mask = len(table) - 1
    for i in range(len(opcodes)):
        a, b = starts[i], starts[i + 1]
        for o in range(a, b):
            operands[o] = stands[operands[o]]
        stands[i] = i
        code = opcodes[i]
        if rules[code, 0]:
            continue
        if rules[code, 5] or (rules[code, 4] and types[operands[a]] == types[i]):
            stands[i] = operands[a]
            continue
        if rules[code, 2] and one[operands[a + 1]] and types[operands[a]] == types[i]:
            stands[i] = operands[a]
            continue
        if rules[code, 3] and one[operands[a]] and types[operands[a + 1]] == types[i]:
            stands[i] = operands[a + 1]
            continue
        if rules[code, 1] and operands[a] > operands[a + 1]:
            operands[a], operands[a + 1] = operands[a + 1], operands[a]
        h = (np.uint64(code) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(attributes[i])
        h = (h ^ (h >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
        for o in range(a, b):
            h = (h ^ (h >> np.uint64(29)) ^ np.uint64(operands[o])) * np.uint64(0x94D049BB133111EB)
        place = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask))
        while True:
            j = table[place]
            if j < 0:
                table[place] = i
                break
            same = opcodes[j] == code and attributes[j] == attributes[i] and starts[j + 1] - starts[j] == b - a
            if same:
                for o in range(b - a):
                    if operands[starts[j] + o] != operands[a + o]:
                        same = False
                        break
            if same:
                stands[i] = j
                break
            place = (place + 1) & mask


def _rules(drop_stops: bool) -> Any:
    rules = np.zeros((len(flags("leaf")), 6), np.bool_)
    rules[:, 0] = flags("effect")
    rules[OPCODES["input"], 0] = True
    rules[:, 1] = flags("commutes")
    for name in _UNIT_SECOND:
        rules[OPCODES[name], 2] = True
    rules[OPCODES["multiply"], 3] = True
    rules[OPCODES["masked_multiply"], 3] = True
    for name in _IDENTITY:
        rules[OPCODES[name], 4] = True
    rules[OPCODES["stop_gradient"], 5] = drop_stops
    return rules


def _same_numbers(tape: Tape, leaves: Any) -> Any:
    """The attributes, those of scalar constants that are equal to the bit alike: derivatives bring their own."""
    first: dict[tuple[str, bytes], int] = {}
    places = np.arange(len(tape.constants), dtype=np.int32)
    for k, value in enumerate(tape.constants):
        if value.shape == ():
            places[k] = first.setdefault((value.dtype.char, value.tobytes()), k)
    attributes = tape.attribute_ids.copy()
    attributes[leaves] = places[tape.attribute_ids[leaves]]
    return attributes


def share(tape: Tape, *, drop_stops: bool = False) -> Tape:
    """The tape with later copies of an instruction replaced by the first (they stay, dead, until `drop_dead`).

    `drop_stops` also replaces each stop_gradient by its operand: for a tape that will not be differentiated.
    """
    n = len(tape)
    one = np.zeros(n, np.bool_)
    units = np.array([c.shape == () and c.dtype.kind == "f" and c == 1.0 for c in tape.constants], np.bool_)
    leaves = np.flatnonzero(tape.opcodes == CONSTANT)
    if len(leaves):
        one[leaves] = units[tape.attribute_ids[leaves]]
    operands, stands = tape.operands.copy(), np.empty(n, np.int32)
    table = np.full(1 << max(4, (2 * n).bit_length()), -1, np.int32)
    attributes = _same_numbers(tape, leaves)
    _share(tape.opcodes, attributes, tape.type_ids, tape.starts, operands, one, _rules(drop_stops), stands, table)
    return replace(tape, operands=operands, dependents=stands[tape.dependents])
