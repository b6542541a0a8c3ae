"""Random programs at many points, against a loop over points; cut into tiles of points, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.batch import batched
from tapegrad.derivative.tangent import tangent
from tapegrad.ops import products
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tests.batches import at_point
from tests.helpers import assert_close, like, record, run
from tests.program_references import MARGIN, NearKinkError, check_margins, evaluate
from tests.random_programs import Program, RandomChooser, write
from tests.row_programs import write_rows
from tests.test_passes import check_sound

VALUES: Final = {"d": 1e-11, "f": 5e-5}
GRADIENTS: Final = {"d": 1e-9, "f": 2e-3}
HEIGHTS: Final = (0, 1, 3, 64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A random program, its tape, which inputs differ from point to point, all inputs, a seed for each result."""

    program: Program
    tape: Tape
    flags: list[bool]
    inputs: list[Any]
    seeds: list[Any]
    length: int

    @property
    def everything(self) -> list[Any]:
        """Inputs and seeds."""
        return self.inputs + self.seeds

    @property
    def all_flags(self) -> list[bool]:
        """Of inputs and seeds, which differ from point to point: all seeds do."""
        return self.flags + [True] * len(self.seeds)

    def loop(self, tape: Tape) -> list[Any]:
        """Results of a tape of inputs and seeds, point by point."""
        runner, parts = Runner(schedule(tape)), []
        for p in range(self.length):
            found = runner(at_point(self.everything, self.all_flags, p))
            assert not isinstance(found, GuardFailure)
            parts.append(found)
        return [np.stack(part) for part in zip(*parts, strict=True)]


def drawn(seed: int, *, rows: bool = False) -> Drawn:
    """A program and points for it; `NearKinkError` where rounding may decide a branch."""
    rng = np.random.default_rng([seed, 7])
    program = (write_rows if rows else write)(RandomChooser(np.random.default_rng(seed)))
    length = int(rng.choice([1, 2, 3, 5]))
    points = [program.draw(1000 * seed + p) for p in range(length)]
    flags = [bool(f) for f in rng.integers(0, 3, len(program.inputs))]  # two thirds differ
    inputs = [np.stack([point[k] for point in points]) if f else points[0][k].copy() for k, f in enumerate(flags)]
    tape = optimize(record(program.record, points[0], program.independent, program.dtype))
    shapes = [np.empty((length, *tape.type(s).shape)) for s in tape.dependents.tolist()]
    for p in range(length):
        values = evaluate(program, at_point(inputs, flags, p))
        check_margins(program, values, MARGIN[program.dtype.char])
    return Drawn(program, tape, flags, inputs, like(shapes, rng, program.dtype), length)


def by_numpy(d: Drawn) -> list[Any]:
    """Values by the rows' own functions, point by point, in float64."""
    parts = []
    for p in range(d.length):
        values = evaluate(d.program, at_point(d.inputs, d.flags, p))
        outputs = [values[k] for k in d.program.outputs]
        parts.append([np.asarray(sum(v.sum() for v in outputs))] if d.program.scalar else outputs)
    return [np.stack(part) for part in zip(*parts, strict=True)]


def near(found: Sequence[Any], wanted: Sequence[Any], tolerance: float, what: str) -> None:
    """Each beside the largest of all."""
    largest = max([1.0, *(np.abs(w).max(initial=0) for w in wanted)])
    for k, (f, w) in enumerate(zip(found, wanted, strict=True)):
        assert_close(f, w, tolerance * largest, f"{what}: result {k}")


def check(seed: int, *, rows: bool = False) -> bool:
    """Values, gradients and tangents; False where the program is set aside."""
    try:
        d = drawn(seed, rows=rows)
    except NearKinkError:
        return False
    dtype, n = d.program.dtype.char, len(d.tape.dependents)
    many = batched(d.tape, d.flags, d.length)
    check_sound(many)
    wanted = by_numpy(d)
    near(run(many, d.inputs), wanted, VALUES[dtype], "values")
    tolerance = GRADIENTS[dtype]
    for height in HEIGHTS:
        runner = Runner(schedule(optimize(many, drop_stops=True), height=height))
        near(runner(d.inputs), wanted, VALUES[dtype], f"values in tiles of {height}")  # type: ignore[arg-type]
    back = optimize(adjoint(d.tape, seed_inputs=True), drop_stops=True)
    alone = d.loop(back)[n:]
    inside = optimize(batched(back, d.all_flags, d.length), drop_stops=True)
    outside = optimize(adjoint(many, seed_inputs=True), drop_stops=True)
    shared = [g if d.flags[k] else g.sum(0) for g, k in zip(alone, d.program.independent, strict=True)]
    near(run(inside, d.everything)[n:], alone, tolerance, "gradients, batched")
    near(run(outside, d.everything)[n:], shared, tolerance, "gradients of what is batched")
    height = HEIGHTS[1 + seed % 3]
    for t, w in ((inside, alone), (outside, shared)):
        found = Runner(schedule(t, height=height))(d.everything)
        near(found[n:], w, tolerance, f"gradients in tiles of {height}")  # type: ignore[index]
    check_tangents(d, seed)
    return True


def check_tangents(d: Drawn, seed: int) -> None:
    """All rows of a seed matrix at once: tangents differ from point to point, nothing else does."""
    rng, n, length = np.random.default_rng(seed), len(d.tape.dependents), 4
    point = at_point(d.inputs, d.flags, 0)
    forward = optimize(tangent(d.tape), drop_stops=True)
    directions = [np.stack(like([point[k]] * length, rng, d.program.dtype)) for k in d.program.independent]
    flags = [False] * len(point) + [True] * len(directions)
    found = run(optimize(batched(forward, flags, length), drop_stops=True), point + directions)
    runner = Runner(schedule(forward))
    for p in range(length):
        wanted = runner(at_point(point + directions, flags, p))
        near([f[p] for f in found[n:]], wanted[n:], GRADIENTS[d.program.dtype.char], "tangents")  # type: ignore[index]


PROGRAMS: Final = range(5000, 5150)
ROWS: Final = range(6000, 6040)


@pytest.mark.parametrize("seed", PROGRAMS)
def test_programs_agree_with_a_loop_over_points(seed: int) -> None:
    check(seed)


@pytest.mark.parametrize("seed", ROWS)
def test_programs_with_rows_agree_with_a_loop_over_points(seed: int) -> None:
    """There are rows already: points are rows of rows."""
    check(seed, rows=True)


@pytest.mark.parametrize("seed", range(5000, 5040))
def test_products_that_stay_apart(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large ones do, which random programs have none of."""
    monkeypatch.setattr(products, "_SMALL", 0)
    check(seed)
    check(seed + 1000, rows=True)


def test_few_programs_are_set_aside() -> None:
    """Else the tests above would test nothing and pass."""
    aside = 0
    for seed in PROGRAMS:
        try:
            drawn(seed)
        except NearKinkError:
            aside += 1
    assert aside <= len(PROGRAMS) // 5


@pytest.mark.parametrize("seed", range(5000, 5030))
def test_programs_at_points_of_points(seed: int) -> None:
    try:
        d = drawn(seed)
    except NearKinkError:
        return
    rng, outer = np.random.default_rng(seed), 3
    again = [bool(f) for f in rng.integers(0, 2, len(d.inputs))]
    moved = [np.stack([v, *[rng.permutation(v) if v.ndim else v] * (outer - 1)]) for v in d.inputs]
    given = [m if a else v for m, v, a in zip(moved, d.inputs, again, strict=True)]
    once = optimize(batched(d.tape, d.flags, d.length))
    twice = batched(once, again, outer)
    check_sound(twice)
    found = run(optimize(twice, drop_stops=True), given)
    for p in range(outer):
        wanted = run(once, at_point(given, again, p))
        near([f[p] for f in found], wanted, VALUES[d.program.dtype.char], "points of points")


# --- tiles of points


def network(r: Any, w: Any, v: Any, x: Any) -> list[Any]:
    """A small network at one point: a loss of a vector."""
    hidden = r.elementwise("tanh", r.apply("reshape", (8,), r.apply("matmul", (0, 0), w, x)))
    return [r.apply("sum", (0,), r.elementwise("multiply", hidden, v))]


@pytest.mark.parametrize("height", [0, 1, 3, 64, None])
@pytest.mark.parametrize("flags", [(False, False, True), (False, True, True), (True, True, False)])
def test_points_are_cut_into_tiles(flags: tuple[bool, ...], height: int | None) -> None:
    """Points are what the rows of data are: the scheduler finds them, and goes through all of it a tile at a time."""
    rng, length = np.random.default_rng(0), 70
    shapes = ((8, 5), (8,), (5, 1))
    inputs = [rng.normal(size=(length, *s) if f else s) for s, f in zip(shapes, flags, strict=True)]
    tape = optimize(adjoint(optimize(record(network, at_point(inputs, flags, 0)))))
    many = optimize(batched(tape, flags, length), drop_stops=True)
    program = schedule(many, height=height)
    if height:
        assert program.plan.loops
        assert {loop.rows for loop in program.plan.loops} == {length}
    found = Runner(program)(inputs)
    assert not isinstance(found, GuardFailure)
    for p in range(length):
        w, v, x = at_point(inputs, flags, p)
        hidden = np.tanh(w @ x[:, 0])
        back = (1 - hidden**2) * v
        wanted = [hidden @ v, np.outer(back, x), hidden, (w.T @ back)[:, None]]
        for f, g in zip(found, wanted, strict=True):
            assert np.allclose(f[p], g, rtol=1e-12, atol=1e-13)
