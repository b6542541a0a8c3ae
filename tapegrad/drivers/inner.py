"""Derivatives within a recorded function: a function is recorded in place, and its derivative put after it.

Derivatives of derivatives are this: the outer one differentiates a tape that holds the inner derivative's
instructions. All drivers but the plain gradient are made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import DtypeError, LeakedVariableError, ShapeError, UnsupportedError, describe
from tapegrad.ops.row import BOOL, FLOAT
from tapegrad.passes.optimize import optimize
from tapegrad.record.constants import lost
from tapegrad.record.pair import ComplexPair
from tapegrad.record.recorder import Recorder
from tapegrad.record.stretch import alias, inline, stretch
from tapegrad.record.variable import ARGUMENT, Variable
from tapegrad.tape import Tape
from tapegrad.trees import Structure, flatten, names, unflatten


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """A function recorded within a recording, as a tape of its own.

    Attributes:
        recorder: the recording.
        tape: the function; its first inputs are what is differentiated by.
        inputs: what the tape's inputs are in the recording.
        independents: of the inputs, those that are differentiated by; `structures`: of their arguments.
        result: the structure of what the function returned; `aux`: what it returned beside that.
    """

    recorder: Recorder
    tape: Tape
    inputs: list[Variable]
    independents: list[Variable]
    structures: tuple[Structure | None, ...]
    result: Structure | None
    aux: Any

    def apply(self, tape: Tape, more: Sequence[Variable] = ()) -> list[Any]:
        """Put a tape made of the function's into the recording; `more` are its further inputs."""
        return list(inline(self.recorder, tape, [*self.inputs, *more]))

    def restore(self, leaves: Sequence[Any]) -> tuple[Any, ...]:
        """One container for each argument, of a value for each independent."""
        found, start = [], 0
        for structure in self.structures:
            size = 1 if structure is None else structure.size
            found.append(unflatten(structure, leaves[start : start + size]))
            start += size
        return tuple(found)

    def shapes(self) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Of the independents, and of the results."""
        tape = self.tape
        return [v.shape for v in self.independents], [tape.type(d).shape for d in tape.dependents.tolist()]


def recorder_in(*values: Any) -> Recorder | None:
    """The recorder of the first Variable in nested containers, if there is one."""
    for leaf in flatten(values)[0]:
        if isinstance(leaf, Variable):
            return leaf._recorder
    return None


def outer_recorder(error: LeakedVariableError) -> Recorder:
    """The recording that a derivative of plain values is within, if its function met Variables of it.

    Raises:
        LeakedVariableError: the very error, where there is no such recording.
    """
    found: Recorder | None = next((r for r in error.recorders if r.open), None)
    if found is None:
        raise error
    return found


def enter(
    recorder: Recorder,
    function: Callable[..., Any],
    args: Sequence[Any],
    places: Sequence[int],
    keywords: Mapping[str, Any],
    *,
    aux: bool = False,
    example: Callable[[Variable], Variable] = alias,
    kinds: str = FLOAT,
    floating: bool = True,
) -> Inner:
    """Record a function in place.

    Args:
        recorder: the recording, which must be open.
        function: what to record.
        args: its arguments; values, Variables, and containers of them.
        places: the arguments to differentiate by.
        keywords: its keyword arguments.
        aux: does it return a pair, the second of which is not differentiated?
        example: what an independent is to the function: itself, or one point of a batch.
        kinds: what an independent may be.
        floating: whether integer and boolean results become floating.
    """
    first = recorder.count
    independents: list[Variable] = []
    copies: list[Variable] = []
    structures: dict[int, Structure | None] = {}
    filled = list(args)
    for k in sorted(places):
        leaves, structure = flatten(args[k])
        variables = [
            _independent(recorder, leaf, name, kinds)
            for leaf, name in zip(leaves, names(structure, f"args[{k}]"), strict=True)
        ]
        own = [example(v) for v in variables]
        for v in own:
            v._memory = ARGUMENT
        independents += variables
        copies += own
        structures[k] = structure
        filled[k] = unflatten(structure, own)
    returned = function(*filled, **keywords)
    beside = None
    if aux:
        returned, beside = pair(returned)
    leaves, result = flatten(returned)
    variables = [dependent(recorder, leaf, user_line(), floating=floating) for leaf in leaves]
    tape, inputs = stretch(recorder, first, copies, variables)
    inputs[: len(copies)] = independents
    order = [structures[k] for k in sorted(places)]
    return Inner(recorder, optimize(tape), inputs, independents, tuple(order), result, beside)


def pair(returned: Any) -> tuple[Any, Any]:
    """What a function with `has_aux` returns, taken apart."""
    if not isinstance(returned, tuple) or len(returned) != 2:
        found, wanted = f"a result of type {type(returned).__name__}", "with has_aux=True a pair: (value, aux)"
        raise DtypeError(describe("differentiate", found=found, wanted=wanted, line=user_line()))
    return returned


def _independent(recorder: Recorder, leaf: Any, name: str, kinds: str) -> Variable:
    v = leaf if isinstance(leaf, Variable) else None
    if v is None and (
        isinstance(leaf, float) or (isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind == "f")
    ):
        v = recorder.lift(leaf, FLOAT)
    if v is None or v._kind not in kinds:
        found = f"{name}, " + (f"of type {type(leaf).__name__}" if v is None else f"an array of dtype {v.dtype}")
        raise DtypeError(describe("differentiate", found=found, wanted="floating parameters", line=user_line()))
    return recorder.again(recorder.lift(v))


def dependent(recorder: Recorder, leaf: Any, line: str, *, floating: bool) -> Variable:
    """A leaf of what a function returned, as a Variable."""
    if not isinstance(leaf, (Variable, np.ndarray, np.generic, float, int)):
        found, wanted = f"a result of type {type(leaf).__name__}", "a result made of arrays or numbers"
        if isinstance(leaf, (ComplexPair, complex)):
            wanted = "real numbers: .real, .imag or abs; complex results are not supported yet"
        raise DtypeError(describe("differentiate", found=found, wanted=wanted, line=line))
    require_kept(recorder, leaf, line)
    v = recorder.lift(leaf, FLOAT if floating else BOOL)
    return recorder.again(recorder.cast(v, FLOAT) if floating else v)  # the next one may find it out of date


def require_kept(recorder: Recorder, leaf: Any, line: str) -> None:
    """Refuse an array whose values an in-place operator has lost."""
    if lost(recorder, leaf):
        found = "a result from an array that an in-place operator has changed under another name"
        raise UnsupportedError(
            describe("differentiate", found=found, wanted="array = array + x, a new array", line=line)
        )


def require_scalar(inner: Inner) -> None:
    """Refuse a function whose gradient is asked for and that returns no scalar."""
    _, shapes = inner.shapes()
    if inner.result is not None or shapes[0] != ():
        found = "a result that is a container" if inner.result is not None else f"a result of shape {shapes[0]}"
        wanted = "a scalar result, of shape (): use sum, mean, or tapegrad.jacobian or vjp for an array"
        raise ShapeError(describe("differentiate", found=found, wanted=wanted, line=user_line()))
