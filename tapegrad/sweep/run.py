"""Runs programs: the only module that calls kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np

from tapegrad.errors import BoundsError, ElementIndexError, StaleKernelsError, describe
from tapegrad.ops.elementwise import OUTSIDE
from tapegrad.ops.table import OPS, digest
from tapegrad.schedule.program import Program
from tapegrad.sweep.layout import WORDS
from tapegrad.sweep.workspace import Workspace, address

_POISON: Final = 255


@dataclass(frozen=True, slots=True)
class GuardFailure:
    """A branch that would go another way than recorded: the guard instruction at which the sweep stopped."""

    instruction: int


@cache
def _kernel() -> Any:
    """The compiled sweep, once it is known to be generated from the op table as it is."""
    from tapegrad.sweep import kernels

    if digest() != kernels.DIGEST:
        raise StaleKernelsError("the op table has changed: run `python -m tools.generate_kernels`")
    return kernels.sweep


@dataclass(slots=True)
class Runner:
    """A program and the workspaces made for it; each sweep has one to itself, so threads may share a runner."""

    program: Program
    free: list[Workspace] = field(default_factory=list)

    def __call__(self, inputs: Sequence[Any], *, guarded: bool = True) -> list[Any] | GuardFailure:
        """Run a sweep.

        Args:
            inputs: one C-contiguous array an input, of exactly the tape's shapes and dtypes. They are
                checked by the caller: kernels check nothing.
            guarded: whether a guard that fails stops the sweep.

        Returns:
            One new array for each dependent, or the guard that failed.
        """
        program = self.program
        try:
            workspace = self.free.pop()
        except IndexError:
            workspace = Workspace.of(program)
        try:
            workspace.control[WORDS["GUARDED"]] = guarded
            return self._run(workspace, inputs)
        finally:
            self.free.append(workspace)

    def _run(self, workspace: Workspace, inputs: Sequence[Any]) -> list[Any] | GuardFailure:
        program, bases, extents = self.program, workspace.bases, workspace.extents
        dtype = program.tape.dtype
        outputs = [np.empty(t.shape, t.dtype(dtype)) for t in program.outputs]
        if program.poison:
            for output in outputs:
                output.reshape(-1).view(np.uint8)[:] = _POISON
        for k, value in enumerate(inputs):
            bases[1 + k], extents[1 + k] = address(value), value.nbytes
        first = len(bases) - len(outputs)
        for k, value in enumerate(outputs):
            bases[first + k], extents[first + k] = address(value), value.nbytes
        if program.poison:
            workspace.arena[len(program.image) :] = _POISON
        status = _kernel()(workspace.control_address, dtype.type(1))
        if status == WORDS["OK"]:
            return outputs
        return self._failure(workspace, status)

    def _failure(self, workspace: Workspace, status: int) -> GuardFailure:
        code, control = self.program.code, workspace.control
        where = int(control[WORDS["WHERE"]])
        if status == WORDS["GUARD_FAILED"]:
            return GuardFailure(int(code.row_origin[where]))
        i = int(code.record_origin[np.searchsorted(code.record_at, where)])
        tape = self.program.tape
        name, line = OPS[tape.opcodes[i]].name, tape.line(i)
        if status == WORDS["BAD_INDEX"]:
            index = int(control[WORDS["DETAIL"]])
            # Several index arrays are combined into one; `wrap_index` marks what was outside its own axis.
            found = "an index outside its axis" if index <= OUTSIDE // 2 else f"index {index}"
            attribute, whole = tape.attribute(i), tape.type(tape.read(i)[0]).shape
            axis = attribute[0]
            length = attribute[1] if name == "scatter" else whole[axis]
            raise ElementIndexError(
                describe(name, found=found, wanted=f"{-length} to {length - 1} along axis {axis}", line=line)
            )
        raise BoundsError(
            describe(name, found=f"record {where} reaching outside its buffers", wanted="a sound schedule", line=line)
        )
