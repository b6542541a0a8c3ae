"""What must hold for a program with rows, however it is cut into tiles.

The whole-array schedule is the reference: it is compared with NumPy's values, and where wanted with JAX's or finite
differences' gradients. Every tiled schedule must then agree with it to rounding, in any checking mode, on any number
of threads, and leave nothing behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.ops.table import CONSTANT, INPUT, OPCODES
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tests.helpers import assert_close, bits, gradients_only, like, record
from tests.program_references import REFERENCES, NearKinkError, check_margins, evaluate
from tests.row_programs import RowProgram
from tests.test_programs import (
    DIFFERENCE_TOLERANCE,
    GRADIENT_TOLERANCE,
    VALUE_TOLERANCE,
    check_tangents,
    checking,
    compare,
    seeds_of,
)

# How near two schedules of one tape come: relative to the largest entry of its values, or of its gradients.
TILE_TOLERANCE: Final = {"d": 1e-12, "f": 3e-5}
SECOND_TOLERANCE: Final = 1e-11  # second derivatives, in float64
MARGIN: Final = {"d": 1e-9, "f": 3e-5}  # a kink nearer than this is decided by rounding
HEIGHTS: Final = (1, 2, 5, 7, 23, 4096)
MODES: Final = ("poison,bounds", "poison,bounds", "bounds", "poison")


@dataclass(frozen=True, slots=True)
class Way:
    """One way to run a tape: rows of a tile (0: whole, None: the scheduler's choice), threads, checking modes."""

    height: int | None
    threads: int = 1
    modes: str = ""

    def runner(self, tape: Tape) -> Runner:
        """The tape, scheduled so."""
        with checking(self.modes):
            program = schedule(tape, height=self.height)
        shared = [not loop.history for loop in program.plan.loops] if self.threads > 1 else []
        return Runner(program, threads=self.threads, shared=shared)


WHOLE: Final = Way(0)


@dataclass(slots=True)
class Tally:
    """How much programs put to the test: how many ran in how many loops over rows, and how many with lag."""

    programs: int = 0
    aside: int = 0
    loops: list[int] = field(default_factory=list)  # most loops of any schedule of a program
    lags: int = 0
    failures: list[int] = field(default_factory=list)

    def __str__(self) -> str:
        several = [sum(n >= least for n in self.loops) for least in (1, 2, 3)]
        return (
            f"{self.programs} programs, {self.aside} set aside near a kink; with 1, 2, 3 loops or more: {several}, "
            f"{self.lags} of them with lag; {len(self.failures)} failures: {self.failures}"
        )


def loops(runner: Runner) -> int:
    """Loops over rows of a program."""
    return len(runner.program.plan.loops)


def shifts_computed_rows(tape: Tape) -> bool:
    """Is there a window of computed rows that starts later than they do?"""
    for i in np.flatnonzero(tape.opcodes == OPCODES["slice"]).tolist():
        (s,) = tape.read(i)
        start, step, count = tape.attribute(i)[0] if tape.type(s).shape else (0, 1, 0)
        if tape.opcodes[s] not in (INPUT, CONSTANT) and start > 0 and step == 1 and count > 1:
            return True
    return False


def results(runner: Runner, inputs: Sequence[Any]) -> list[Any]:
    """One run; it must not change its inputs."""
    before = [bits(v) for v in inputs]
    found = runner(list(inputs))
    assert not isinstance(found, GuardFailure)
    assert [bits(v) for v in inputs] == before, "a run changes its inputs"
    return found


def check_near(found: Sequence[Any], wanted: Sequence[Any], values: int, tolerance: float, what: str) -> None:
    """Results of two schedules, values and gradients each beside the largest of their sort."""
    parts = [wanted[:values], wanted[values:]]
    largest = [max([1.0, *(np.abs(v).max(initial=0) for v in part)]) for part in parts]
    for k, (f, w) in enumerate(zip(found, wanted, strict=True)):
        assert f.dtype == w.dtype
        assert_close(f, w, tolerance * largest[k >= values], f"{what}: result {k} ({values} are values)")


def check_ways(
    tape: Tape, given: Sequence[Sequence[Any]], ways: Sequence[Way], values: int, tolerance: float, rng: Any
) -> int:
    """Every way agrees with the whole schedule, for all inputs given; its most loops over rows."""
    wanted, _ = run_checked(WHOLE, tape, given, rng)
    for w in wanted:
        assert all(np.isfinite(v).all() for v in w), "values that are not finite tell nothing"
    most = 0
    for way in ways:
        found, several = run_checked(way, tape, given, rng)
        for f, w in zip(found, wanted, strict=True):
            check_near(f, w, values, tolerance, f"{way} against whole")
        most = max(most, several)
    return most


def run_checked(way: Way, tape: Tape, given: Sequence[Sequence[Any]], rng: Any) -> tuple[list[list[Any]], int]:
    """Results for all inputs given, and how many loops; a checking mode finds a fault before memory is spoilt by it."""
    other = replace(way, modes=MODES[rng.integers(len(MODES))])
    checked = results(other.runner(tape), given[0])
    runner = way.runner(tape)
    found = [results(runner, inputs) for inputs in given]
    assert same(checked, found[0]), f"{other} changes the result"
    again = results(runner, given[0])
    assert same(again, found[0]), f"{way}: a run leaves something behind, or hangs on timing"
    return found, loops(runner)


def same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    """Bit for bit?"""
    return [bits(v) for v in one] == [bits(v) for v in other]


def draw_ways(rng: Any, rows: int) -> list[Way]:
    """Two or three heights, some on two threads; now and then the height that the scheduler chooses."""
    wanted = rng.choice([*HEIGHTS, rows, 0], size=rng.integers(2, 4), replace=False).tolist()
    return [Way(int(h) or None, int(rng.integers(1, 3))) for h in wanted]


def check(program: RowProgram, seed: int, reference: str = "whole", *, second: bool = False) -> tuple[int, bool]:
    """Everything that must hold for a program; the most loops of its schedules, and whether they need lag.

    `reference`: what the whole schedule is compared with: NumPy's values alone ("whole"), and gradients by
    "differences" or "jax". `second`: second derivatives, too.
    """
    program = program.without_stops() if reference == "differences" else program
    rng = np.random.default_rng(seed)
    arguments = [program.draw(seed), program.draw(seed + 1)]
    tape = optimize(record(program.record, arguments[0], program.independent, program.dtype))
    full = optimize(adjoint(tape, seed_inputs=not program.scalar), drop_stops=True)
    seeds = [seeds_of(program, tape, rng) for _ in arguments]
    given = [a if program.scalar else a + s for a, s in zip(arguments, seeds, strict=True)]
    for a in arguments:
        check_margins(program, evaluate(program, a), MARGIN[program.dtype.char])
    check_reference(program, full, arguments[0], seeds[0], reference)
    fixed = np.random.default_rng([seed, 1])  # so that a program made smaller runs in the same ways
    n, ways = len(tape.dependents), draw_ways(fixed, program.rows)
    most = check_ways(full, given, ways, n, TILE_TOLERANCE[program.dtype.char], fixed)
    if reference != "whole" and all(s.name != "stop_gradient" for s in program.steps):
        check_tangents(program, tape, full, given[0], rng)
    if second and program.dtype.char == "d" and program.independent:
        directions = [like([a[k] for k in program.independent], rng) for a in arguments]
        curvature = optimize(adjoint(gradients_only(full, n), seed_inputs=True))
        inputs = [g + d for g, d in zip(given, directions, strict=True)]
        most = max(most, check_ways(curvature, inputs, ways[:2], len(directions[0]), SECOND_TOLERANCE, fixed))
    return most, most > 0 and shifts_computed_rows(tape)


def check_reference(program: RowProgram, full: Tape, inputs: list[Any], seeds: list[Any], reference: str) -> None:
    """The whole schedule against NumPy, and against JAX or finite differences."""
    found = results(WHOLE.runner(full), inputs if program.scalar else inputs + seeds)
    if reference != "whole":
        tolerance = GRADIENT_TOLERANCE if reference == "jax" else DIFFERENCE_TOLERANCE
        try:
            compare(program, found, REFERENCES[reference](program)(inputs, seeds), tolerance)
        except AssertionError:
            if reference != "jax":
                raise
            compare(program, found, REFERENCES["careful"](program)(inputs, seeds), tolerance)
        return
    values = evaluate(program, inputs)
    wanted = [values[k] for k in program.outputs]
    wanted = [np.asarray(sum(v.sum() for v in wanted))] if program.scalar else wanted
    wanted = [w.astype(program.dtype) for w in wanted]
    check_near(found[: len(wanted)], wanted, len(wanted), VALUE_TOLERANCE[program.dtype.char], "whole against NumPy")


def tally_up(program: RowProgram, seed: int, reference: str, tally: Tally, *, second: bool = False) -> None:
    """`check`, and what it has found counted. A program that rounding might take another way tells nothing."""
    tally.programs += 1
    try:
        most, lag = check(program, seed, reference, second=second)
    except NearKinkError:
        tally.aside += 1
        return
    tally.loops.append(most)
    tally.lags += lag
