"""One instruction of a program by itself, again and again: how long does it take?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import get_clock_info, perf_counter_ns, thread_time_ns
from typing import Any, Final

import numpy as np

from tapegrad.schedule.code import ARRAYS, SCALARS, SEGMENT_WORDS
from tapegrad.schedule.program import Program
from tapegrad.sweep.blas import BlasThreads
from tapegrad.sweep.layout import WORDS
from tapegrad.sweep.run import Ready, Runner
from tapegrad.sweep.workspace import address

# The time of this thread alone, where the system tells it finely: others at work on the machine do not count.
CLOCK: Final = thread_time_ns if get_clock_info("thread_time").resolution <= 1e-6 else perf_counter_ns


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Some records, or rows of the scalar machine, as often as wanted one after another; `kept` is its memory."""

    segments: Any
    words: Any
    kind: int


@dataclass(frozen=True, slots=True, eq=False)
class Alone:
    """A program without loops over rows that has run, so that there is something to compute with.

    Attributes:
        program: what the instructions are of.
        ready: its workspace, with its inputs; `kept`: those, and its results.
    """

    program: Program
    ready: Ready
    kept: tuple[Any, ...]

    @classmethod
    def of(cls, program: Program, inputs: Sequence[Any]) -> Alone:
        """Run a program once for these inputs."""
        runner = Runner(program, threads=1)
        runner(inputs, guarded=False)
        ready, objects = runner.take(), tuple(inputs)
        assert runner.arrays is not None
        outputs = ready.fill(objects, runner.arrays)
        return cls(program, ready, (objects, outputs))

    def stretch(self, instructions: Sequence[int], times: int = 1) -> Stretch:
        """The records of these instructions, or their scalar rows, one after another, so many times."""
        code: Any = self.program.code
        if not instructions:
            return _stretch(ARRAYS, code.records[:0])
        rows = [_where(code.row_origin, i) for i in instructions]
        if all(len(found) for found in rows):
            return _stretch(SCALARS, np.tile(code.rows[np.concatenate(rows)], (times, 1)))
        starts = np.concatenate([code.record_at[_where(code.record_origin, i)] for i in instructions]).tolist()
        words = [code.records[at : at + code.records[at + 1]] for at in starts]
        return _stretch(ARRAYS, np.tile(np.concatenate(words), times))

    def seconds(self, stretch: Stretch) -> float:
        """How long a stretch takes, what is done around it included."""
        control = self.ready.workspace.control
        name = "RECORDS" if stretch.kind == ARRAYS else "SCALARS"
        changed = {"SEGMENTS": address(stretch.segments), name: address(stretch.words), "LAST": 1}
        before = {word: int(control[WORDS[word]]) for word in changed}
        try:
            for word, value in changed.items():
                control[WORDS[word]] = value
            with BlasThreads(1):
                start = CLOCK()
                self.ready.kernel(self.ready.workspace.control_address, self.ready.one)
                return (CLOCK() - start) * 1e-9
        finally:
            for word, value in before.items():
                control[WORDS[word]] = value


def _where(origin: Any, i: int) -> Any:
    """Where an instruction is in an array of instructions in order."""
    return np.arange(*np.searchsorted(origin, [i, i + 1]))


def _stretch(kind: int, words: Any) -> Stretch:
    segments = np.zeros((1, SEGMENT_WORDS), np.int64)
    segments[0, :3] = kind, 0, len(words)
    return Stretch(segments, np.ascontiguousarray(words), kind)
