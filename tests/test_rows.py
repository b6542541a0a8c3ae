"""Random programs with rows: whatever the tiles, values and gradients are those of the whole arrays.

    python -m tests.test_rows --count 5000 --seed 0
    python -m tests.test_rows --count 500 --reference jax

runs as many as wanted, each from a seed of its own, prints the programs that fail, made smaller, and tells how many of
them were run in loops over rows at all. Each whole schedule is compared with NumPy's values; with `--reference
differences` or `jax` its gradients are compared, too.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Final

import jax
import numpy as np
import pytest
from hypothesis import assume, given, settings

from tapegrad.derivative.adjoint import adjoint
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tests.helpers import record
from tests.program_references import NearKinkError, evaluate
from tests.random_programs import RandomChooser
from tests.row_checks import (
    TILE_TOLERANCE,
    Tally,
    Way,
    check,
    check_near,
    loops,
    shifts_computed_rows,
    tally_up,
)
from tests.row_moves import MOVES
from tests.row_programs import RowProgram, row_programs, write_rows
from tests.row_smaller import smallest
from tests.row_twists import TWISTS

WHOLE: Final = range(220)
BY_DIFFERENCES: Final = range(1000, 1030)
BY_JAX: Final = range(2000, 2006)
SECOND: Final = 4  # one program in so many has its second derivatives tiled, too


def drawn(seed: int) -> RowProgram:
    """The program of a seed."""
    return write_rows(RandomChooser(np.random.default_rng(seed)))


def check_or_set_aside(program: RowProgram, seed: int, reference: str, give_up: Callable[[], Any]) -> None:
    """A program that rounding might take another way tells nothing."""
    try:
        check(program, seed, reference, second=seed % SECOND == 0)
    except NearKinkError:
        give_up()


@pytest.mark.parametrize("seed", WHOLE)
def test_tiles_agree_with_whole_arrays(seed: int) -> None:
    check_or_set_aside(drawn(seed), seed, "whole", lambda: None)


@pytest.mark.parametrize("seed", BY_DIFFERENCES)
def test_rows_agree_with_differences(seed: int) -> None:
    check_or_set_aside(drawn(seed), seed, "differences", lambda: None)


@pytest.mark.parametrize("seed", BY_JAX)
def test_rows_agree_with_jax(seed: int) -> None:
    check_or_set_aside(drawn(seed), seed, "jax", lambda: None)


@settings(max_examples=25)
@given(program=row_programs())
def test_tiles_of_drawn_programs_agree_with_whole_arrays(program: RowProgram) -> None:
    check_or_set_aside(program, 0, "whole", lambda: assume(condition=False))


def test_programs_are_various() -> None:
    """Every move and every structural row occur, both dtypes, few and many rows."""
    programs = [drawn(seed) for seed in WHOLE]
    names = {step.name for program in programs for step in program.steps}
    moves = {move for program in programs for move in program.moves}
    assert moves == {move.__name__ for move in MOVES + TWISTS}
    assert names >= {op.name for op in OPS if not (op.pointwise or op.leaf or op.eager)}
    assert {program.dtype.char for program in programs} == {"d", "f"}
    assert {program.scalar for program in programs} == {True, False}
    assert {program.smooth for program in programs} == {True, False}
    rows = [program.rows for program in programs]
    assert min(rows) <= 2
    assert max(rows) >= 50
    assert sum(5 <= n <= 40 for n in rows) > len(rows) // 2
    assert any(len(set(program.outputs)) < len(program.outputs) for program in programs)
    assert any(k < len(program.inputs) for program in programs for k in program.outputs)


def test_few_programs_are_set_aside() -> None:
    """Else the tests above would test nothing and pass."""
    tally = Tally()
    for seed in WHOLE[:40]:
        tally_up(drawn(seed), seed, "whole", tally)
    assert tally.aside <= 4


def test_at_least_half_of_the_programs_are_tiled() -> None:
    """With their reverse part; some in several loops, some with lag."""
    found, lags = [], 0
    for seed in WHOLE:
        program = drawn(seed)
        tape = optimize(record(program.record, program.draw(seed), program.independent, program.dtype))
        full = optimize(adjoint(tape, seed_inputs=not program.scalar), drop_stops=True)
        found.append(loops(Way(5).runner(full)))
        lags += found[-1] > 0 and shifts_computed_rows(tape)
    assert sum(n >= 1 for n in found) >= len(WHOLE) // 2
    assert sum(n >= 2 for n in found) >= len(WHOLE) // 10
    assert lags >= len(WHOLE) // 10


def test_a_wrong_result_is_seen() -> None:
    """The comparison can fail: one entry is off by as little as rounding never is."""
    program = drawn(0)
    wanted = [v for v in evaluate(program, program.draw(0)) if v.dtype.kind == "f" and v.size]
    found = [v.copy() for v in wanted]
    check_near(found, wanted, len(wanted), TILE_TOLERANCE["d"], "nothing is changed")
    largest = max(found, key=lambda v: np.abs(v).max())
    largest.reshape(-1)[np.abs(largest).argmax()] *= 1 + 1e-10
    with pytest.raises(AssertionError, match="one is"):
        check_near(found, wanted, len(wanted), TILE_TOLERANCE["d"], "one is")


def test_a_failing_program_is_made_smaller() -> None:
    """What is left is the step that fails."""
    program = next(p for p in map(drawn, WHOLE) if sum(s.name == "concatenate" for s in p.steps) > 1)
    found = smallest(program, lambda p: any(s.name == "concatenate" for s in p.steps))
    assert [s.name for s in found.steps] == ["concatenate"]
    assert len(found.outputs) == 1
    assert found.scalar
    check(found, 0, "differences")


# --- as many as wanted


def check_again(program: RowProgram, seed: int, reference: str, tally: Tally) -> None:
    """Differences that reach over a kink mislead: what they find is reported only if JAX finds it, too."""
    second = seed % SECOND == 0
    try:
        tally_up(program, seed, reference, tally, second=second)
    except AssertionError:
        if reference != "differences":
            raise
        check(program, seed, "jax", second=second)


def failure(program: RowProgram, seed: int, reference: str) -> type[Exception] | None:
    """How a program fails; None if it does not, or tells nothing."""
    try:
        with np.errstate(all="ignore"):
            for place in (seed, seed + 1):
                if not all(np.isfinite(v).all() for v in evaluate(program, program.draw(place))):
                    return None
        check(program, seed, reference, second=seed % SECOND == 0)
    except NearKinkError:
        return None
    except Exception as error:  # whatever it is, it is to be found again
        return type(error)
    return None


def report(program: RowProgram, seed: int, reference: str) -> None:
    """Print a failing program and what is left of it."""
    how = failure(program, seed, reference)
    print(f"--- seed {seed}\n{traceback.format_exc()}")
    if how is None:
        print(f"it fails not every time:\n{program}", flush=True)
        return
    print(smallest(program, lambda p: failure(p, seed, reference) is how), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run many programs; 1 if any failed."""
    parser = argparse.ArgumentParser(description="random programs with rows: tiles against whole arrays")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first program; the others follow")
    parser.add_argument("--reference", choices=["whole", "differences", "jax"], default="whole")
    parser.add_argument("--trace", action="store_true", help="print each seed before its program runs")
    options = parser.parse_args(arguments)
    tally = Tally()
    for k, seed in enumerate(range(options.seed, options.seed + options.count), 1):
        if options.trace:
            print(f"seed {seed}", flush=True)
        program = drawn(seed)
        try:
            check_again(program, seed, options.reference, tally)
        except NearKinkError:
            tally.aside += 1
        except Exception:
            tally.failures.append(seed)
            report(program, seed, options.reference)
        if k % 500 == 0:
            jax.clear_caches()
            print(tally, flush=True)
    print(tally)
    return min(len(tally.failures), 1)


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    sys.exit(main())
