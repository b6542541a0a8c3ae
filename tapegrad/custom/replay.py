"""A function as the steps of a rule: it is recorded once for the types it meets, and its instructions are copied.

A rule that can be recorded runs in the sweep like any other, and has derivatives itself. One that cannot - it calls
compiled code, or goes by values - is called.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.batch import batched
from tapegrad.ops.builder import Builder
from tapegrad.ops.row import FLOAT, INT, ArrayType
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.passes.optimize import optimize
from tapegrad.record.captured import Captured
from tapegrad.record.constants import settle
from tapegrad.record.current import CURRENT
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.recorder import Recorder
from tapegrad.record.stretch import inline
from tapegrad.record.surroundings import Surroundings
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape


class RuleRecorder(Recorder):
    """Records a function for any values of its arguments: those that it has are examples."""

    def __init__(self, types: Sequence[ArrayType]) -> None:
        super().__init__(np.dtype(np.float64), FUNCTIONS)
        self.arguments = [self.input(_example(t), independent=t.kind == FLOAT) for t in types]

    def end(self, result: Variable) -> Tape:
        """The tape."""
        return optimize(self.finish([result]))


def recorded(function: Callable[..., Any], types: Sequence[ArrayType], reads: Callable[..., Any]) -> Tape | None:
    """The tape of a function of arrays of these types that returns one array.

    None where it cannot be recorded for all values, and where it returns anything else. So is a function that reads
    arrays from outside itself, because they may change; `reads` is the user's, by which that is seen.
    """
    if Surroundings.of(reads).arrays():
        return None
    recorder = RuleRecorder(types)
    outer = CURRENT.set(recorder)
    try:
        returned = function(*recorder.arguments)
        if not isinstance(returned, (Variable, np.ndarray, np.generic, float, int)):
            return None
        result = recorder.cast(recorder.lift(returned, FLOAT), FLOAT)
    except Exception:
        return None
    finally:
        CURRENT.reset(outer)
        recorder.open = False
    settle(recorder, 0)
    del returned
    if recorder.guards or not _nobody_elses(recorder.constants.captured):
        return None  # it went by values that stand for nothing, or by arrays that may change
    recorder.open = True
    return recorder.end(result)


def _nobody_elses(captured: list[Captured]) -> bool:
    """Did the function make these arrays itself? Then they are gone as soon as they are not held here."""
    owners = [_owner(c.array) for c in captured]
    captured.clear()
    return all(owner is not None and owner() is None for owner in owners)


def _owner(array: Any) -> Any:
    """A weak reference to the array whose memory an array is; None where it is something else's."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return weakref.ref(array) if array.base is None else None


def _example(t: ArrayType) -> Any:
    """Values for functions that are asked only for their result's shape: in no way special, so that none fails."""
    if t.kind != FLOAT:
        return np.zeros(t.shape, np.int64 if t.kind == INT else np.bool_)
    return np.random.default_rng(t.size).uniform(0.5, 1.5, t.shape)


def transposed(tape: Tape, seed: ArrayType) -> Tape | None:
    """A tape that is linear in its first input, the other way round: that input is now of the result's type, `seed`.

    What pulls back is the transpose of what pushes forward. None where the tape is not linear.
    """
    grown = adjoint(replace(tape, independents=tape.inputs[:1]), seed_inputs=True)
    grown = optimize(replace(grown, dependents=grown.dependents[1:]))
    first = grown.inputs[0]
    if first in grown.operands or first in grown.dependents:
        return None
    recorder = RuleRecorder([seed, *(tape.type(i) for i in tape.inputs[1:].tolist())])
    unread, *rest = recorder.arguments
    return recorder.end(inline(recorder, grown, [unread, *rest, unread])[0])


def at_points(tape: Tape, flags: Sequence[bool], length: int, *, total: bool) -> Tape:
    """A tape at many points; `flags`: which inputs differ from point to point; `total`: are the results added up?"""
    types = [tape.type(i) for i in tape.inputs.tolist()]
    recorder = RuleRecorder(
        [ArrayType((length, *t.shape), t.kind) if f else t for t, f in zip(types, flags, strict=True)]
    )
    (found,) = inline(recorder, batched(tape, flags, length), recorder.arguments)
    return recorder.end(recorder.apply("sum", (0,), found) if total else found)


def replay(b: Builder, tape: Tape, refs: Sequence[int]) -> int:
    """Append a tape's instructions to a rule, for operands that may be broader than those it was recorded for."""
    found: list[int] = []
    for i in range(len(tape)):
        code, op = int(tape.opcodes[i]), OPS[tape.opcodes[i]]
        if code == INPUT:
            found.append(refs[int(tape.attribute_ids[i])])
        elif code == CONSTANT:
            value = tape.constants[tape.attribute_ids[i]]
            found.append(b.array(value) if value.shape or value.dtype.kind != "f" else b.constant(float(value)))
        elif op.name == "item":  # its number would be taken for the instruction's own
            found.append(_item(b, found[tape.read(i)[0]], tape.attribute(i)[0]))
        elif op.name == "item_add":
            total, added = (found[s] for s in tape.read(i))
            shape, k = b.type(total).shape, tape.attribute(i)[0]
            windows = ((k, 1, 1), *((0, 1, n) for n in shape[1:]))
            found.append(b.apply("slice_add", windows, total, b.reshape(added, (1, *shape[1:]))))
        else:
            found.append(b.apply(op.name, tape.attribute(i), *(found[s] for s in tape.read(i))))
    return found[int(tape.dependents[0])]


def _item(b: Builder, ref: int, k: int) -> int:
    shape = b.type(ref).shape
    part = b.apply("slice", ((k, 1, 1), *((0, 1, n) for n in shape[1:])), ref)
    return b.reshape(part, shape[1:])


def partial_tape(function: Callable[..., Any], count: int, k: int) -> Tape | None:
    """The derivative of a scalar function to its k-th argument, as a tape for operands of any shape.

    None where the function cannot be recorded, or does more than go element by element.
    """
    tape = recorded(function, [ArrayType((), FLOAT)] * count, function)
    if tape is None:
        return None
    grown = adjoint(tape)
    grown = optimize(replace(grown, dependents=grown.dependents[1 + k : 2 + k]))
    ops = [OPS[code] for code in np.unique(grown.opcodes).tolist()]
    return grown if all(op.pointwise or op.leaf for op in ops) else None
