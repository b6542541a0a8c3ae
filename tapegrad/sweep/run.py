"""Runs programs: the only module that calls kernels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import BoundsError, ElementIndexError, describe
from tapegrad.ops.elementwise import OUTSIDE
from tapegrad.ops.table import GUARDS, OPS
from tapegrad.schedule.program import Program
from tapegrad.sweep.blas import BlasThreads
from tapegrad.sweep.fresh import kernels
from tapegrad.sweep.layout import FIRST_INPUT, WORDS
from tapegrad.sweep.objects import TAKE, Row, Table, gather
from tapegrad.sweep.threads import num_threads, shares, sweep_in_parts
from tapegrad.sweep.workspace import POISON, Workspace, address

_GUARDED: Final = WORDS["GUARDED"]
_OK: Final = WORDS["OK"]
NOWHERE: Final[Mapping[int, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class GuardFailure:
    """A branch that would go another way than recorded: the guard that failed, counted from 0.

    No pass and no schedule drops or reorders guards.
    """

    guard: int


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """How objects of one kind become the inputs of a program, and which results are arrays of their own.

    Attributes:
        table: a row for each object, then one for each result.
        fresh: place, shape and dtype of the results that are arrays.
        scalars: places of the others, which are given as NumPy's scalars.
    """

    table: Table
    fresh: tuple[tuple[int, tuple[int, ...], np.dtype[Any]], ...]
    scalars: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A workspace, and all about it that need not be looked up at every sweep (`python -m benchmarks calls`).

    Attributes:
        words: its control block.
        bases: the address of its bases.
        kernel, one: the compiled sweep and its second argument.
        cells: memory for the results of shape (), at their places.
    """

    workspace: Workspace
    words: memoryview
    bases: int
    kernel: Any
    one: Any
    cells: list[Any]

    @classmethod
    def of(cls, program: Program) -> Ready:
        """A new workspace for a program."""
        workspace, dtype, tape = Workspace.of(program), program.tape.dtype, program.tape
        inputs = [tape.type(i) for i in tape.inputs.tolist()]
        results = len(workspace.extents) - len(program.outputs)
        for k, t in [*enumerate(inputs, FIRST_INPUT), *enumerate(program.outputs, results)]:
            workspace.extents[k] = t.size * t.dtype(dtype).itemsize
        cells = [None if t.shape else np.empty((), t.dtype(dtype)) for t in program.outputs]
        words, bases = memoryview(workspace.control), address(workspace.bases)
        return cls(workspace, words, bases, kernels().sweep, dtype.type(1), cells)

    def fill(self, objects: tuple[Any, ...], filling: Filling, into: Mapping[int, Any] = NOWHERE) -> list[Any] | None:
        """Memory for the results; None where an object does not fit.

        What is read and written by the next sweep is then known. The objects must live until it ends. `into` are
        contiguous arrays for results at their places; where one is of another shape or dtype the result is new.
        """
        outputs = self.cells.copy()
        for k, shape, dtype in filling.fresh:
            given = into.get(k)
            fits = given is not None and given.shape == shape and given.dtype == dtype
            outputs[k] = given if fits else np.empty(shape, dtype)
        both = (*objects, *outputs)
        return outputs if gather(id(both), filling.table.address, self.bases) else None


@dataclass(slots=True)
class Runner:
    """A program and the workspaces made for it; each sweep has one to itself, so threads may share a runner.

    `threads` is how many a sweep may use, 0 for as many as `set_num_threads` says; `shared` which loops over rows
    are spread over them, empty to choose.
    """

    program: Program
    threads: int = 0
    shared: list[bool] = field(default_factory=list)
    free: list[Ready] = field(default_factory=list)
    arrays: Filling | None = None

    def __call__(self, inputs: Sequence[Any], *, guarded: bool = True) -> list[Any] | GuardFailure:
        """Run a sweep.

        Args:
            inputs: one C-contiguous array an input, of exactly the tape's shapes and dtypes. They are
                checked by the caller: kernels check nothing.
            guarded: whether a guard that fails stops the sweep.

        Returns:
            One new array for each dependent, or the guard that failed.
        """
        count = len(self.program.tape.inputs)
        if self.arrays is None:
            self.arrays = self.plan(
                [Row(TAKE, FIRST_INPUT + k) for k in range(count)], range(len(self.program.outputs))
            )
        objects, ready = tuple([np.asarray(x) for x in inputs]), self.take()
        outputs = ready.fill(objects, self.arrays) if len(objects) == count else None
        if outputs is None:
            raise ValueError(f"{len(objects)} inputs to a program of {count}")
        return self.sweep(ready, outputs, self.arrays, guarded=guarded)

    def plan(self, rows: Sequence[Row], arrays: Iterable[int]) -> Filling:
        """How to run for objects of one kind: a row for each of them, and places of results that are arrays."""
        program, wanted = self.program, frozenset(arrays)
        first = FIRST_INPUT + len(program.tape.inputs) + len(program.constants)
        results = [Row(TAKE, first + k) for k in range(len(program.outputs))]
        types = list(enumerate(program.outputs))
        fresh = tuple((k, t.shape, t.dtype(program.tape.dtype)) for k, t in types if k in wanted)
        return Filling(Table.of([*rows, *results]), fresh, tuple(k for k, _ in types if k not in wanted))

    def take(self) -> Ready:
        """A workspace that nobody else has."""
        try:
            return self.free.pop()
        except IndexError:
            return Ready.of(self.program)

    def sweep(
        self, ready: Ready, outputs: list[Any], filling: Filling, *, guarded: bool = True
    ) -> list[Any] | GuardFailure:
        """Run what a workspace has been filled with, and give it back."""
        try:
            ready.words[_GUARDED] = guarded
            if self.program.poison:
                self._poison(ready, outputs)
            if not self.program.products:
                status = self._run(ready, outputs)
            else:
                with BlasThreads((self.threads or num_threads()) if self.program.wide else 1):
                    status = self._run(ready, outputs)
            if status != _OK:
                return self._failure(ready.workspace, status)
            for k in filling.scalars:
                outputs[k] = outputs[k][()]
            return outputs
        except SystemError as error:  # a loop of the user's has set an exception, of which kernels know nothing
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None
        finally:
            self.free.append(ready)

    def _run(self, ready: Ready, outputs: list[Any]) -> int:
        """A sweep, its loops over rows on several threads where that pays, and stopping for calls."""
        if self.program.plan.loops and (threads := self.threads or num_threads()) > 1:
            shared = self.shared or shares(self.program, threads)
            if any(shared):
                return sweep_in_parts(ready.kernel, self.program, ready.workspace, outputs, shared, threads)
        if self.program.calls:
            return sweep_in_parts(ready.kernel, self.program, ready.workspace, outputs, [], 1)
        status: int = ready.kernel(ready.workspace.control_address, ready.one)
        return status

    def _poison(self, ready: Ready, outputs: list[Any]) -> None:
        for output in outputs:
            output.reshape(-1).view(np.uint8)[:] = POISON
        ready.workspace.arena[len(self.program.image) :] = POISON
        ready.workspace.tiles[:] = POISON

    def _failure(self, workspace: Workspace, status: int) -> GuardFailure:
        code, control = self.program.code, workspace.control
        where = int(control[WORDS["WHERE"]])
        if status == WORDS["GUARD_FAILED"]:
            return GuardFailure(int(np.isin(code.rows[:where, 0], list(GUARDS)).sum()))
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
