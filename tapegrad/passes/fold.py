"""Constant folding: what depends on constants alone is computed once, here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.evaluate import evaluate
from tapegrad.ops.table import CONSTANT, INPUT, OPCODES, OPS, flags
from tapegrad.tape import Tape

# A constant that is only spread out costs nothing to spread out again, and much to keep.
_NOT_WORTH_KEEPING: Final = ("broadcast_to", "pad")


@compiled
def _constant(opcodes: Any, starts: Any, operands: Any, varies: Any, constant: Any) -> None:
    """Mark what is computed from constants alone; `varies` are the opcodes that are never constant."""
    for i in range(len(opcodes)):
        if varies[opcodes[i]]:
            constant[i] = False
            continue
        constant[i] = True
        for o in range(starts[i], starts[i + 1]):
            if not constant[operands[o]]:
                constant[i] = False
                break


def foldable(tape: Tape) -> Any:
    """The slots of instructions that `fold` replaces by constants."""
    varies = flags("effect")
    for name in _NOT_WORTH_KEEPING:
        varies[OPCODES[name]] = True
    varies[INPUT] = True
    constant = np.empty(len(tape), np.bool_)
    _constant(tape.opcodes, tape.starts, tape.operands, varies, constant)
    return np.flatnonzero(constant & (tape.opcodes != CONSTANT))


def fold(tape: Tape) -> Tape:
    """The tape with constant instructions replaced by constants (their operands stay until `drop_dead`)."""
    todo = foldable(tape)
    if not len(todo):
        return tape
    opcodes, attribute_ids = tape.opcodes.copy(), tape.attribute_ids.copy()
    constants = list(tape.constants)
    for i in todo.tolist():
        values = [constants[attribute_ids[s]] for s in tape.read(i)]
        value = evaluate(OPS[tape.opcodes[i]], tape.attribute(i), values, tape.line(i))
        attribute_ids[i] = len(constants)
        opcodes[i] = CONSTANT
        constants.append(np.ascontiguousarray(value, dtype=tape.type(i).dtype(tape.dtype)).reshape(tape.type(i).shape))
    kept = np.ones(len(tape), np.bool_)
    widths = np.diff(tape.starts)
    kept[todo] = False
    operands = tape.operands[np.repeat(kept, widths)]
    starts = np.zeros(len(tape) + 1, np.int32)
    np.cumsum(np.where(kept, widths, 0), out=starts[1:])
    return replace(
        tape,
        opcodes=opcodes,
        starts=starts,
        operands=operands,
        attribute_ids=attribute_ids,
        constants=tuple(constants),
    )
