"""What a sweep stops for: instructions that are calls of Python functions on arrays."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tapegrad.errors import BoundsError, DtypeError, ShapeError, describe
from tapegrad.ops.custom import title
from tapegrad.ops.evaluate import evaluate
from tapegrad.schedule.call import Call, Place
from tapegrad.schedule.program import Program
from tapegrad.sweep.workspace import Workspace


def call(program: Program, workspace: Workspace, made: Call) -> None:
    """Run one call: its result is written where the instructions after it read it.

    Raises:
        LinearAlgebraError: a matrix that NumPy finds singular, or not positive definite.
        ShapeError, DtypeError: a function of the user's that returns another shape than it said, or no numbers.
    """
    name = title(made.op, made.attribute)
    operands = [_array(program, workspace, place) for place in made.operands]
    result = _array(program, workspace, made.result)
    value = np.asarray(evaluate(made.op, made.attribute, operands, made.line))
    if value.dtype.kind not in "fiub":
        found, wanted = f"a result of dtype {value.dtype}", "floats"
        raise DtypeError(describe(name, found=found, wanted=wanted, line=made.line))
    if value.shape != result.shape:
        found, wanted = f"a result of shape {value.shape}", f"shape {result.shape}, as when it was recorded"
        raise ShapeError(describe(name, found=found, wanted=wanted, line=made.line))
    result[...] = value


def _array(program: Program, workspace: Workspace, place: Place) -> Any:
    """The memory of a place as an array. What is called may keep it no longer than the call."""
    dtype = place.type.dtype(program.tape.dtype)
    nbytes = place.type.size * dtype.itemsize
    if program.bounds and not 0 <= place.offset <= place.offset + nbytes <= workspace.extents[place.base]:
        raise BoundsError(describe("a call", found="an array outside its buffer", wanted="a sound schedule"))
    memory: Any = (ctypes.c_char * nbytes).from_address(int(workspace.bases[place.base]) + place.offset)
    return np.frombuffer(memory, dtype).reshape(place.type.shape)
