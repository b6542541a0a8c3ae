"""Instructions of the same signature (op, attribute, types of operands and result) are treated alike.

Real tapes have few signatures and many instructions. Whatever needs Python's flexibility - a derivative
rule, the layout of a record - is done once a signature; a compiled loop then does it to every instruction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapegrad.jit import compiled
from tapegrad.ops.table import flags
from tapegrad.tape import Ints, Tape


@compiled
def _intern(
    opcodes: Any,
    attributes: Any,
    types: Any,
    starts: Any,
    operands: Any,
    unread: Any,
    ids: Any,
    firsts: Any,
    table: Any,
) -> int:
    """Number the signatures in order of appearance; `table` is an open-addressing hash table of -1s.

    `unread` are the opcodes whose attribute is no part of their signature.
    """
    mask = len(table) - 1
    count = 0
    for i in range(len(opcodes)):
        h = np.uint64(opcodes[i]) * np.uint64(0x9E3779B97F4A7C15)
        if not unread[opcodes[i]]:
            h = (h ^ np.uint64(attributes[i])) * np.uint64(0xBF58476D1CE4E5B9)
        h = (h ^ np.uint64(types[i])) * np.uint64(0x94D049BB133111EB)
        for o in range(starts[i], starts[i + 1]):
            h = (h ^ (h >> np.uint64(29)) ^ np.uint64(types[operands[o]])) * np.uint64(0x9E3779B97F4A7C15)
        place = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask))
        width = starts[i + 1] - starts[i]
        while True:
            k = table[place]
            if k < 0:
                table[place] = count
                firsts[count] = i
                ids[i] = count
                count += 1
                break
            j = firsts[k]
            same = opcodes[j] == opcodes[i] and types[j] == types[i] and starts[j + 1] - starts[j] == width
            same = same and (unread[opcodes[i]] or attributes[j] == attributes[i])
            if same:
                for o in range(width):
                    if types[operands[starts[j] + o]] != types[operands[starts[i] + o]]:
                        same = False
                        break
            if same:
                ids[i] = k
                break
            place = (place + 1) & mask
    return count


def signatures(tape: Tape, kinds: Ints | None = None) -> tuple[Ints, NDArray[np.int64]]:
    """The signature id of each instruction, and for each signature the first instruction that has it.

    `kinds` may tell slots apart by more than their types.
    """
    n = len(tape)
    ids = np.empty(n, np.int32)
    firsts = np.empty(n, np.int64)
    table = np.full(1 << max(4, (2 * n).bit_length()), -1, np.int32)
    count = _intern(
        tape.opcodes,
        tape.attribute_ids,
        tape.type_ids if kinds is None else kinds,
        tape.starts,
        tape.operands,
        flags("leaf", "immediate"),
        ids,
        firsts,
        table,
    )
    return ids, firsts[:count].copy()
