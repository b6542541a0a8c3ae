"""The forward derivative as a stretch of tape: each instruction is followed by its tangent's instructions.

Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), section 3.1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tapegrad.derivative.adjoint import widen
from tapegrad.derivative.expand import Expansion
from tapegrad.ops.builder import tangent_contribution
from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import CONSTANT, INPUT
from tapegrad.tape import Tape


def tangent(tape: Tape) -> Tape:
    """The tape followed by its tangent part; dependents are the values, then one tangent each.

    New inputs, one an independent and in their order, are the tangents of the independents.
    """
    n, inputs = len(tape), tape.inputs.tolist()
    expansion = Expansion.of(tape, tangent_contribution, reverse=False)
    for independent in tape.independents.tolist():
        seed = expansion.append(INPUT, len(inputs), int(tape.type_ids[independent]))
        expansion.derivative[independent] = seed
        inputs.append(seed)
    expansion.run()
    tangents = []
    for dependent in tape.dependents.tolist():
        slot = int(expansion.derivative[dependent])
        if slot < 0:
            slot = expansion.append(CONSTANT, expansion.number(0.0), expansion.types(ArrayType((), FLOAT)))
        tangents.append(widen(expansion, slot, tape.type(dependent)))
    grown = expansion.finish([*tape.dependents.tolist(), *tangents], n)
    return replace(grown, inputs=np.array(inputs, np.int32))
