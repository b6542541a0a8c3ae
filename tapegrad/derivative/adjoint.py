"""The reverse sweep as a stretch of tape: walking the instructions backwards, each appends its adjoint's.

After Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), section 3.2: contributions are added to
an operand's adjoint as soon as they are known, the first one being stored, not added to zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tapegrad.derivative.expand import Expansion, activity
from tapegrad.ops.builder import adjoint_contribution
from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import CONSTANT, INPUT, OPCODES
from tapegrad.tape import Tape


def widen(expansion: Expansion, slot: int, wanted: ArrayType) -> int:
    """The slot broadcast to the full type."""
    if expansion.types.items[expansion.arrays["types"][slot]] == wanted:
        return slot
    type_id, attribute = expansion.types(wanted), expansion.attributes(wanted.shape)
    return expansion.append(OPCODES["broadcast_to"], attribute, type_id, (slot,))


def adjoint(tape: Tape, *, seed_inputs: bool = False) -> Tape:
    """The tape followed by its reverse part; dependents are the values, then one gradient an independent.

    The seed is the constant 1 (for one scalar dependent), or, with `seed_inputs`, there is one more input
    for each dependent, of its shape.
    """
    n = len(tape)
    expansion = Expansion.of(tape, adjoint_contribution, reverse=True)
    active, inputs = activity(tape), tape.inputs.tolist()
    for dependent in tape.dependents.tolist():
        if seed_inputs:
            seed = expansion.append(INPUT, len(inputs), int(tape.type_ids[dependent]))
            inputs.append(seed)
        else:
            seed = expansion.append(CONSTANT, expansion.number(1.0), expansion.types(ArrayType((), FLOAT)))
        if active[dependent]:
            expansion.derivative[dependent] = _sum(expansion, int(expansion.derivative[dependent]), seed)
    expansion.run()
    dependents = [*tape.dependents.tolist(), *_collect(expansion, tape)]
    return replace(expansion.finish(dependents, n), inputs=np.array(inputs, np.int32))


def _sum(expansion: Expansion, total: int, slot: int) -> int:
    """The sum of two slots of the same type; `total` is -1 where there is none yet."""
    if total < 0:
        return slot
    return expansion.append(OPCODES["add"], 0, int(expansion.arrays["types"][slot]), (total, slot))


def _collect(expansion: Expansion, tape: Tape) -> list[int]:
    """The full gradient of each independent; zeros for one that the result does not depend on."""
    slots = []
    for independent in tape.independents.tolist():
        slot = int(expansion.derivative[independent])
        if slot < 0:
            slot = expansion.append(CONSTANT, expansion.number(0.0), expansion.types(ArrayType((), FLOAT)))
        slots.append(widen(expansion, slot, tape.type(independent)))
    return slots
