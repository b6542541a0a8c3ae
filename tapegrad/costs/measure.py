"""Measures a machine: the probes' instructions, and what happens around instructions, in about a second a dtype.

Each time is the least of several, taken in turns: what else the machine does at a moment spoils one turn of a few.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, Final

import numpy as np

from tapegrad.costs.probes import Bench, Probe, names
from tapegrad.drivers.gradient import value_and_grad
from tapegrad.ops.row import ArrayType, Op
from tapegrad.ops.table import OPS
from tapegrad.record.recorder import Recorder
from tapegrad.schedule.program import Program, schedule
from tapegrad.sweep.alone import Alone, Stretch
from tapegrad.sweep.blas import BlasThreads
from tapegrad.sweep.run import Runner
from tapegrad.sweep.threads import usable_cores
from tapegrad.tape import Tape

TURNS: Final = 3
_LONG: Final = 3e-5  # seconds that a probe takes at least, several times if need be
_MOST: Final = 1024  # times
_FEW: Final = 8  # times that are none too many
_SLOW: Final = 5e-4  # seconds that make a probe surer of its time
_ORDER: Final = 64  # of a matrix that is decomposed
_WIDE: Final = 640  # rows and columns of a product that threads share
_SPREAD: Final = 1 << 22  # elements that threads go through
_FRESH: Final = 1 << 25  # bytes that the system gives anew each time


_AROUND: Final = (
    "sweep", "sweep:array", "sweep:products", "call", "tile", "fresh",
    "threads:start", "threads:compute", "threads:memory", "threads:products",
)  # fmt: skip


def measured() -> frozenset[str]:
    """The names of all that is measured."""
    return frozenset([*names(), *_AROUND, *(f"call:{op.name}" for op in decompositions())])


@dataclass(slots=True)
class _Timed:
    """A stretch of one probe, so often that it can be timed, and the least time of one."""

    probe: Probe
    stretch: Stretch
    times: int
    least: float


def measure(dtype: np.dtype[Any]) -> dict[str, float]:
    """Nanoseconds by name, each for one of what the name says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of SciPy's loops warn of arguments that are no integers
        return _instructions(dtype) | {name: _nanoseconds(seconds) for name, seconds in _around(dtype)}


def _instructions(dtype: np.dtype[Any]) -> dict[str, float]:
    """The probes, each alone."""
    bench = Bench.of(dtype)
    alone = Alone.of(schedule(bench.finish(), height=0), bench.arrays)
    nothing = alone.stretch((), 0)
    empty = min(alone.seconds(nothing) for _ in range(100))
    timed = [_timed(alone, probe, empty) for probe in bench.probes]
    for turn in range(TURNS):
        for t in timed:
            if turn == 0 or t.least * t.times < _SLOW:
                for _ in range(2 if t.times < _FEW else 1):  # the first brings what it reads into the caches
                    t.least = min(t.least, (alone.seconds(t.stretch) - empty) / t.times)
    return {t.probe.name: _nanoseconds(t.least / t.probe.units) for t in timed}


def _nanoseconds(seconds: float) -> float:
    """Rounded to four digits, and more than 0."""
    return float(f"{max(seconds * 1e9, 1e-6):.4g}")


def _timed(alone: Alone, probe: Probe, empty: float) -> _Timed:
    """A probe so often that it takes long enough."""
    times = 1
    while True:
        stretch = alone.stretch(probe.instructions, times)
        taken = min(alone.seconds(stretch) for _ in range(3)) - empty
        if taken > _LONG / 2 or times == _MOST:
            return _Timed(probe, stretch, times, taken / times)
        times = min(_MOST, times * max(2, int(_LONG / max(taken, _LONG / 16))))


def _least(call: Callable[[], object], turns: int = 5, times: int = 1) -> float:
    """Seconds of a call that has been made before."""
    call()
    found = np.inf
    for _ in range(turns):
        start = perf_counter()
        for _again in range(times):
            call()
        found = min(found, (perf_counter() - start) / times)
    return float(found)


def _around(dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """What is not an instruction: calls, stops, tiles, threads, decompositions."""
    one = dtype.type(1.5)
    gradient = value_and_grad(lambda x: x * x)
    call = _least(lambda: gradient(one), turns=20, times=20)
    yield "sweep", call
    several = [np.ones(2, dtype) for _ in range(9)]
    first = value_and_grad(lambda xs: xs[0][0] * xs[0][1])
    ones = [_least(partial(first, several[:count]), turns=20, times=20) for count in (1, 9)]
    yield "sweep:array", max(ones[1] - ones[0], 0.0) / 16  # each goes in, and its gradient comes out
    vector = np.ones(2, dtype)
    product = value_and_grad(lambda x: (np.ones((2, 2), dtype) @ x)[0])
    yield "sweep:products", max(_least(lambda: product(vector), turns=20, times=20) - call, 0.0)
    yield from _calls(dtype)
    yield from _loops(dtype)
    yield from _threads(dtype)
    yield "fresh", max(_least(_written(fresh=True), 2) - _least(_written(fresh=False), 2), 0.0) / _FRESH


def _written(*, fresh: bool) -> Callable[[], object]:
    """Writes memory that the system gives anew, or the same again."""
    kept = np.ones(_FRESH, np.uint8)
    return (lambda: np.empty(_FRESH, np.uint8).fill(1)) if fresh else (lambda: kept.fill(1))


def _program(
    dtype: np.dtype[Any], make: Callable[[Bench], Any], height: int | None = None
) -> tuple[Program, list[Any]]:
    """The program of a few instructions."""
    bench = Bench(Recorder(dtype, {}))
    tape: Tape = bench.recorder.finish([make(bench)])
    return schedule(tape, height=height), bench.arrays


def _calls(dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """A stop of the sweep for a function in Python; decompositions, a flop each."""

    def stopping(count: int) -> Any:
        def make(bench: Bench) -> Any:
            v = bench.input((2,))
            for _ in range(count):
                v = bench.recorder.apply("cumsum", (0,), v)
            return v

        return make

    times = []
    for count in (1, 9):
        program, inputs = _program(dtype, stopping(count))
        runner = Runner(program, threads=1)
        times.append(_least(partial(runner, inputs), times=10))
    yield "call", (times[1] - times[0]) / 8
    square = np.random.default_rng(0).standard_normal((_ORDER, _ORDER))
    matrix = (square @ square.T / _ORDER + np.eye(_ORDER)).astype(dtype)
    for op in decompositions():
        attribute = op.cases[0].attribute
        with BlasThreads(1):
            seconds = _least(partial(op.evaluate, attribute, matrix), turns=2)
        yield f"call:{op.name}", seconds / flops_of(op, matrix)


def decompositions() -> list[Op]:
    """The rows that the sweep calls on one matrix."""
    return [op for op in OPS if op.eager and op.operands == ("a",) and op.flops is not None]


def flops_of(op: Op, matrix: Any) -> float:
    """How many flops a decomposition of a matrix counts."""
    types = [ArrayType(matrix.shape)]
    assert op.flops is not None
    return max(op.flops(op.cases[0].attribute, types, op.result_type(op.cases[0].attribute, types)), 1.0)


def _loops(dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """A record in one more tile: with tiles high enough that no record is begun while another one runs."""
    rows, steps, heights = 1 << 14, 12, (128, 1024)

    def make(bench: Bench) -> Any:
        v = x = bench.input((rows,))
        for k in range(steps):
            v = bench.recorder.elementwise(("multiply", "add", "maximum", "subtract")[k % 4], v, x)
        return bench.recorder.apply("sum", (0,), v)

    times = []
    for height in heights:
        program, inputs = _program(dtype, make, height)
        times.append(_least(partial(Runner(program, threads=1), inputs), turns=20))
    more = rows // heights[0] - rows // heights[1]
    yield "tile", (times[0] - times[1]) / more / (steps + 1)


def _threads(dtype: np.dtype[Any]) -> Iterator[tuple[str, float]]:
    """How long all cores together take for what one core does in 1: loops that compute, and read; products."""
    cores = usable_cores()
    if cores == 1:
        yield from ((name, 1e-9) for name in _AROUND if name.startswith("threads:"))
        return

    def computing(bench: Bench) -> Any:
        v = bench.input((_SPREAD // 16,))
        for _ in range(4):
            v = bench.recorder.elementwise("tanh", v)
        return bench.recorder.apply("sum", (0,), v)

    def reading(bench: Bench) -> Any:
        x = bench.input((_SPREAD,))
        return bench.recorder.apply("sum", (0,), bench.recorder.elementwise("negative", x))

    def starting(bench: Bench) -> Any:
        return bench.recorder.apply("sum", (0,), bench.recorder.elementwise("negative", bench.input((64,))))

    small = _shared(dtype, starting, cores, height=8)
    yield "threads:start", max(small[1] - small[0], 0.0)
    for name, make in (("compute", computing), ("memory", reading)):
        alone, together = _shared(dtype, make, cores, height=512)
        yield f"threads:{name}", together / alone * 1e-9
    a = np.ones((_WIDE, _WIDE), dtype)
    seconds = []
    for count in (1, cores):
        with BlasThreads(count):
            seconds.append(_least(lambda: a @ a, turns=3))
    yield "threads:products", seconds[1] / seconds[0] * 1e-9


def _shared(dtype: np.dtype[Any], make: Callable[[Bench], Any], cores: int, height: int) -> tuple[float, float]:
    """Seconds of a loop on one thread, and on all."""
    program, inputs = _program(dtype, make, height)
    alone, together = Runner(program, threads=1), Runner(program, threads=cores, shared=[True])
    return _least(partial(alone, inputs), turns=3), _least(partial(together, inputs), turns=3)
