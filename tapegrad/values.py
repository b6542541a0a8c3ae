"""The value of every slot of a tape, instruction by instruction, in Python: for looking at, not for speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.ops.evaluate import evaluate
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.tape import Tape


def values(tape: Tape, inputs: Sequence[Any]) -> list[Any]:
    """One array a slot, of the slot's shape and dtype.

    Args:
        tape: any tape. Guards are computed like other instructions; nothing stops at them.
        inputs: one array an input.

    Raises:
        LinearAlgebraError: a matrix for which a decomposition or a solution is not defined.
    """
    found: list[Any] = []
    for i in range(len(tape)):
        found.append(value(tape, i, inputs, found))
    return found


def value(tape: Tape, i: int, inputs: Sequence[Any], known: Sequence[Any]) -> Any:
    """The value of slot i, given those of the slots it reads."""
    code = int(tape.opcodes[i])
    if code in {INPUT, CONSTANT}:
        found = (inputs if code == INPUT else tape.constants)[int(tape.attribute_ids[i])]
    else:
        found = evaluate(OPS[code], tape.attribute(i), [known[s] for s in tape.read(i)], tape.line(i))
    return np.asarray(found, tape.type(i).dtype(tape.dtype))
