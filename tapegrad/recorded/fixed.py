"""A tape without its function: it runs as it is, and cannot be recorded anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, final

from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import user_line
from tapegrad.drivers.interface import Interface
from tapegrad.errors import BranchError, ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.passes.optimize import optimize
from tapegrad.recorded.tape_function import TapeFunction
from tapegrad.schedule.program import Program, schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tapegrad.trees import unflatten


@final
class FixedTape(TapeFunction):
    """A tape that runs by itself: one that was loaded, or the one that computes a gradient.

    Where a branch on a value would go another way than it was recorded, it raises `BranchError`: there is no function
    to record anew.

    >>> import numpy as np, tapegrad as tg
    >>> gradient = tg.record(lambda x: np.sum(x * x), np.ones(2)).adjoint()
    >>> value, g = gradient(np.array([1.0, 3.0]))
    >>> float(value), g
    (10.0, array([2., 6.]))
    """

    def __init__(self, tape: Tape, interface: Interface, program: Program | None = None) -> None:
        self.tape, self.interface = tape, interface
        self._runner: Runner | None = None if program is None else Runner(program)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles schedule anew: a schedule holds addresses of kernels and buffers."""
        return FixedTape, (self.tape, self.interface)

    def __call__(self, *args: Any) -> Any:
        """The results for arguments of the shapes that were recorded.

        Raises:
            ShapeError, DtypeError: arguments that the tape was not recorded for.
            BranchError: a branch that would go another way.
        """
        inputs = self.interface.inputs(args, self.tape)
        if self._runner is None:
            self._runner = Runner(schedule(optimize(self.tape, drop_stops=True)))
        results = self._runner(inputs)
        if isinstance(results, GuardFailure):
            raise BranchError(
                describe(
                    "a tape",
                    found="arguments for which a branch on a value goes another way than it was recorded",
                    wanted="arguments that take the recorded way, or the function itself, which is recorded anew",
                    line=user_line(),
                )
            )
        return unflatten(self.interface.result, [r if r.ndim else r[()] for r in results])

    def adjoint(self) -> FixedTape:
        """The tape of value and gradient, of a tape that has only its forward part."""
        return with_adjoint(self.tape, self.interface)


def with_adjoint(tape: Tape, interface: Interface) -> FixedTape:
    """The tape of value and gradient."""
    types = [tape.type(d) for d in tape.dependents.tolist()]
    if interface.result is not None or types[0].shape or types[0].kind != FLOAT:
        found = "a result that is not one scalar" if tape.reverse == len(tape) else "a tape with its reverse part"
        raise ShapeError(describe("adjoint", found=found, wanted="a tape of one floating scalar", line=user_line()))
    if not interface.parameters:
        wanted = "arguments to differentiate by"
        raise ShapeError(describe("adjoint", found="a tape of no arguments", wanted=wanted, line=user_line()))
    grown = adjoint(tape)
    order = [0, *(1 + k for k in interface.gradients())]
    return FixedTape(optimize(replace(grown, dependents=grown.dependents[order])), interface.with_gradient())
