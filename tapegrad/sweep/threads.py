"""Loops over rows on several threads: each takes a stretch of rows and sums of its own, added in a fixed order.

So a result depends on how many threads there are, but never on timing. The kernels release the interpreter's
lock; a pool of plain threads is entered from any number of Python threads, and made anew after a fork.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from tapegrad.schedule.code import TILED
from tapegrad.schedule.plan import Loop
from tapegrad.schedule.program import Program, Sum
from tapegrad.sweep.blas import BlasThreads
from tapegrad.sweep.calls import call
from tapegrad.sweep.layout import ALL_ROWS, ARENA, FIRST_INPUT, SUMS, TILES, WORDS
from tapegrad.sweep.workspace import POISON, Workspace, address, aligned

VARIABLE: Final = "TAPEGRAD_NUM_THREADS"
_WORTH: Final = 1 << 21  # bytes a loop goes through, below which a second thread does not pay


@dataclass(slots=True)
class _Setting:
    """How many threads a sweep may use: the one thing that is set for a whole process."""

    count: int


@cache
def _setting() -> _Setting:
    wanted = os.environ.get(VARIABLE, "")
    return _Setting(int(wanted) if wanted.isdecimal() and int(wanted) else usable_cores())


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def num_threads() -> int:
    """How many threads a sweep may use.

    >>> import tapegrad as tg
    >>> tg.num_threads() >= 1
    True
    """
    return _setting().count


def set_num_threads(count: int) -> None:
    """Let sweeps use up to `count` threads; all usable cores at first, or what TAPEGRAD_NUM_THREADS says.

    Loops over rows and large matrix products use them. A result depends on the number of threads, because sums
    are taken in another order, but not on timing.

    Raises:
        ValueError: `count` is no integer of 1 or more.

    >>> import tapegrad as tg
    >>> before = tg.num_threads()
    >>> tg.set_num_threads(1)
    >>> tg.num_threads()
    1
    >>> tg.set_num_threads(before)
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 1:
        raise ValueError(f"set_num_threads: found {count!r}; wanted an integer of 1 or more")
    _setting().count = int(count)


@cache
def _pool(process: int, workers: int) -> ThreadPoolExecutor:
    """Threads of this process: none of them survives a fork."""
    return ThreadPoolExecutor(workers, thread_name_prefix=f"tapegrad-{process}")


@dataclass(frozen=True, slots=True, eq=False)
class Worker:
    """What a further thread of one sweep has to itself.

    Attributes:
        control, bases: copies of the sweep's, with memory of its own for windows, sums and scratch.
        sums: uint8[], laid out as the arena; only results of reductions are touched.
        outputs: by base, memory for outputs that are results of reductions.
        kept: arrays that must live as long as their addresses are in use.
    """

    control: Any
    bases: Any
    sums: Any
    outputs: dict[int, Any]
    kept: tuple[Any, ...]

    @classmethod
    def of(cls, program: Program, workspace: Workspace) -> Worker:
        """A worker for sweeps in this workspace."""
        control, bases = workspace.control.copy(), workspace.bases.copy()
        records = program.code.records.copy()
        tiles, sums, scratch = aligned(program.tiles), aligned(program.arena), np.zeros_like(workspace.scratch)
        control[WORDS["RECORDS"]], control[WORDS["SCRATCH"]] = address(records), address(scratch)
        control[WORDS["BASES"]] = address(bases)
        outputs = {
            s.base: np.empty(s.type.shape, s.type.dtype(program.tape.dtype))
            for s in program.sums
            if s.base >= FIRST_INPUT
        }
        return cls(control, bases, sums, outputs, (records, tiles, scratch))

    def begin(self, program: Program, workspace: Workspace, segment: int, loop: int, rows: tuple[int, int]) -> None:
        """Get ready for a stretch of rows: the sweep's memory, own windows, own sums at their beginning."""
        self.bases[:] = workspace.bases
        if program.poison:
            self.kept[1][:] = POISON
        self.bases[TILES], self.bases[SUMS] = address(self.kept[1]), address(self.sums)
        for s in program.sums:
            if s.loop == loop:  # another loop may read what this one sums up
                self.part(program, s)[...] = _identity(s, program)
                if s.base >= FIRST_INPUT:
                    self.bases[s.base] = address(self.outputs[s.base])
        control = self.control
        control[WORDS["FIRST"]], control[WORDS["LAST"]] = segment, segment + 1
        control[WORDS["FROM"]], control[WORDS["TO"]] = rows

    def part(self, program: Program, s: Sum) -> Any:
        """This worker's result of a reduction."""
        if s.base >= FIRST_INPUT:
            return self.outputs[s.base].reshape(-1)
        return _in(self.sums, s, program)


def _in(memory: Any, s: Sum, program: Program) -> Any:
    dtype = s.type.dtype(program.tape.dtype)
    return memory[s.offset : s.offset + s.type.size * dtype.itemsize].view(dtype)


def _identity(s: Sum, program: Program) -> Any:
    if s.how == "sum":
        return 0
    dtype = s.type.dtype(program.tape.dtype)
    info: Any = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    if dtype.kind == "f":
        return -np.inf if s.how == "max" else np.inf
    return info.min if s.how == "max" else info.max


_JOIN: Final[dict[str, Callable[..., Any]]] = {"sum": np.add, "max": np.maximum, "min": np.minimum}


def shares(program: Program, threads: int) -> list[bool]:
    """Which loops are worth several threads. One that remembers rows would need them at each stretch's begin."""
    return [_worth(loop, threads) for loop in program.plan.loops]


def _worth(loop: Loop, threads: int) -> bool:
    return not loop.history and loop.rows >= 2 * threads * loop.height and loop.rows * loop.row_bytes >= _WORTH


def sweep_in_parts(
    kernel: Callable[..., int],
    program: Program,
    workspace: Workspace,
    outputs: list[Any],
    shared: list[bool],
    threads: int,
) -> int:
    """A sweep that stops for calls, and whose `shared` loops run on several threads; the kernel's status."""
    control, one = workspace.control, program.tape.dtype.type(1)
    segments = program.code.segments
    status, first, count = WORDS["OK"], 0, len(segments)
    tiled = [s for s in np.flatnonzero(segments[:, 0] == TILED).tolist() if shared and shared[int(segments[s, 5])]]
    try:
        for s in [*sorted([*tiled, *program.calls]), count]:
            if s > first:
                control[WORDS["FIRST"]], control[WORDS["LAST"]] = first, s
                status = kernel(workspace.control_address, one)
            if status == WORDS["OK"] and s in program.calls:
                call(program, workspace, program.calls[s])
            elif status == WORDS["OK"] and s < count:
                with BlasThreads(1):
                    status = _share(kernel, program, workspace, outputs, s, threads)
            if status != WORDS["OK"]:
                break
            first = s + 1
        return status
    finally:
        control[WORDS["FIRST"]], control[WORDS["LAST"]] = 0, count


def _share(
    kernel: Callable[..., int], program: Program, workspace: Workspace, outputs: list[Any], segment: int, threads: int
) -> int:
    """One loop over rows, cut into as many stretches of whole tiles as there are threads."""
    number = int(program.code.segments[segment, 5])
    loop = program.plan.loops[number]
    tiles = -(-loop.rows // loop.height)
    cuts = [min(k * tiles // threads * loop.height, loop.rows) for k in range(threads)] + [loop.rows]
    while len(workspace.workers) < threads - 1:
        workspace.workers.append(Worker.of(program, workspace))
    one, pool = program.tape.dtype.type(1), _pool(os.getpid(), max(threads - 1, usable_cores() - 1))
    workers: list[Worker] = workspace.workers[: threads - 1]
    waiting = []
    for k, worker in enumerate(workers, 1):
        worker.begin(program, workspace, segment, number, (cuts[k], cuts[k + 1]))
        worker.control[WORDS["GUARDED"]] = workspace.control[WORDS["GUARDED"]]
        waiting.append(pool.submit(kernel, address(worker.control), one))
    control = workspace.control
    control[WORDS["FIRST"]], control[WORDS["LAST"]], control[WORDS["TO"]] = segment, segment + 1, cuts[1]
    try:
        status = kernel(workspace.control_address, one)
    finally:  # nobody may be at work on this memory when it is given back
        wait(waiting)
        control[WORDS["TO"]] = ALL_ROWS
    for worker, future in zip(workers, waiting, strict=True):
        found = future.result()
        if status == WORDS["OK"] and found != WORDS["OK"]:
            status = found
            for name in ("WHERE", "DETAIL", "SEGMENT"):
                control[WORDS[name]] = worker.control[WORDS[name]]
    if status == WORDS["OK"]:
        _join(program, workspace, workers, outputs, number)
    return status


def _join(program: Program, workspace: Workspace, workers: list[Worker], outputs: list[Any], loop: int) -> None:
    """Add the workers' results of a loop's reductions, in their order."""
    first = len(workspace.bases) - len(outputs)
    for s in program.sums:
        if s.loop != loop:
            continue
        whole = outputs[s.base - first].reshape(-1) if s.base >= first else _in(workspace.arena, s, program)
        for worker in workers:
            _JOIN[s.how](whole, worker.part(program, s), out=whole)


assert ARENA == 0  # sums are laid out as the arena
