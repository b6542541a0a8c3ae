"""Random programs: value, gradient, tangent and second derivative by the sweep, against JAX.

    python -m tests.test_programs --count 20000 --seed 0

runs as many as wanted, each from a seed of its own, and prints the programs that fail.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.tangent import tangent
from tapegrad.ops.row import FLOAT
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import CHECKS, schedule
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape
from tests.helpers import F64, assert_close, bits, gradients_only, like, record, run
from tests.random_programs import Program, RandomChooser, programs, write
from tests.references import REFERENCES

# Relative to the largest entry of all gradients: entries where large terms cancel keep only their share.
VALUE_TOLERANCE: Final = {"d": 1e-12, "f": 3e-5}
GRADIENT_TOLERANCE: Final = {"d": 1e-9, "f": 1e-3}
# Rounding must not decide a branch: programs that come closer to a kink than this are set aside.
MARGIN: Final = {"d": 1e-8, "f": 1e-3}
COMPARISONS: Final = frozenset({"less", "less_equal", "greater", "greater_equal"})


class NearKinkError(Exception):
    """The program comes so near to a kink that rounding decides the branch."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What JAX finds: outputs, and one gradient an independent."""

    values: list[Any]
    gradients: list[Any]


def reference(program: Program, inputs: Sequence[Any], seeds: Sequence[Any] | None) -> Wanted:
    """The program in JAX, operation by operation, in float64 whatever the program's dtype is."""
    places = program.independent

    def outputs(*active: Any) -> tuple[Any, Any]:
        given_ = dict(zip(places, active, strict=True))
        values = [given_.get(k, jnp.asarray(_wide(v))) for k, v in enumerate(inputs)]
        values += [jnp.asarray(_wide(c)) for c in program.constants]
        for step in program.steps:
            values.append(REFERENCES[step.name](step.attribute, *[values[k] for k in step.operands]))
        results = [values[k] for k in program.outputs]
        return ([sum(jnp.sum(r) for r in results)] if program.scalar else results), values

    with jax.enable_x64(True):
        results, back, values = jax.vjp(outputs, *[jnp.asarray(_wide(inputs[k])) for k in places], has_aux=True)
        check_margins(program, [np.asarray(v) for v in values])
        given_seeds = [np.ones(())] if seeds is None else [_wide(s) for s in seeds]
        found = back([jnp.asarray(s) for s in given_seeds])
    return Wanted([np.asarray(r) for r in results], [np.asarray(g) for g in found])


def _wide(value: Any) -> Any:
    return np.asarray(value, F64) if value.dtype.kind == "f" else value


def check_margins(program: Program, values: list[Any]) -> None:
    """Raise where an operand is near a kink. Right at it is good where any code computes the same numbers."""
    least = MARGIN[program.dtype.char]
    first = len(program.inputs) + len(program.constants)
    for step in program.steps:
        x = values[step.operands[0]]
        exact = all(program.exact[k] for k in step.operands) or len(set(step.operands)) < len(step.operands)
        if step.name in COMPARISONS or step.name in ("maximum", "minimum"):
            gap = np.abs(x - values[step.operands[1]])
            exact = exact or step.name in ("maximum", "minimum")
        elif step.name in ("absolute", "sign"):
            gap = np.abs(x)
        elif step.name == "floor":
            gap = np.abs(x - np.rint(x))
        elif step.name in ("max", "min"):
            result = values[first + program.steps.index(step)]
            gap, exact = np.abs(x - np.expand_dims(result, step.attribute)), True
        else:
            continue
        if ((gap < least) & ((gap > 0) | (not exact))).any():
            raise NearKinkError


@contextmanager
def checking(modes: str) -> Iterator[None]:
    """TAPEGRAD_CHECKS set for a while."""
    kept = os.environ.get(CHECKS)
    os.environ[CHECKS] = modes
    try:
        yield
    finally:
        if kept is None:
            del os.environ[CHECKS]
        else:
            os.environ[CHECKS] = kept


def runners(tape: Tape) -> list[Runner]:
    """The tape without checks, with each, and with both."""
    found = []
    for modes in ("", "poison", "bounds", "poison,bounds"):
        with checking(modes):
            found.append(Runner(schedule(tape)))
    return found


def check(program: Program, seed: int) -> None:
    """Everything that must hold for a program."""
    rng = np.random.default_rng(seed)
    tape = optimize(record(program.record, program.draw(seed), program.independent, program.dtype))
    full = optimize(adjoint(tape, seed_inputs=not program.scalar), drop_stops=True)
    compiled = runners(full)
    first: tuple[list[Any], list[bytes]] | None = None
    for k in range(2):
        inputs = program.draw(seed + k)
        seeds = None if program.scalar else like([np.empty(t) for t in output_shapes(tape)], rng, program.dtype)
        wanted = reference(program, inputs, seeds)
        everything = inputs + (seeds or [])
        results = [runner(everything) for runner in compiled]
        compare(program, results[0], wanted)
        for other in results[1:]:
            assert [bits(r) for r in other] == [bits(r) for r in results[0]], "a checking mode changes the result"
        first = first or (everything, [bits(r) for r in results[0]])
    assert first is not None
    for runner in compiled:
        assert [bits(r) for r in runner(first[0])] == first[1], "a run leaves something behind"
    check_tangents(program, tape, full, first[0], rng)


def output_shapes(tape: Tape) -> list[tuple[int, ...]]:
    return [tape.type(s).shape for s in tape.dependents.tolist()]


def compare(program: Program, found: list[Any], wanted: Wanted) -> None:
    n = len(wanted.values)
    scale = {
        0: max([1.0, *(np.abs(v).max(initial=0) for v in wanted.values)]),
        1: max([1.0, *(np.abs(g).max(initial=0) for g in wanted.gradients)]),
    }
    for k, (f, w) in enumerate(zip(found, wanted.values + wanted.gradients, strict=True)):
        tolerance = (VALUE_TOLERANCE if k < n else GRADIENT_TOLERANCE)[program.dtype.char]
        what = f"value {k}" if k < n else f"gradient {k - n}"
        assert f.dtype == program.dtype
        assert_close(f, w, tolerance * scale[k >= n], what)


def check_tangents(program: Program, tape: Tape, full: Tape, inputs: list[Any], rng: Any) -> None:
    """<ybar, J xdot> = <J' ybar, xdot>; and H xdot is the same by both ways to differentiate the gradient."""
    arguments = inputs[: len(program.inputs)]
    seeds = inputs[len(program.inputs) :] or [np.ones((), program.dtype)]
    directions = like([arguments[k] for k in program.independent], rng, program.dtype)
    n = len(tape.dependents)
    tangents = run(optimize(tangent(tape), drop_stops=True), arguments + directions)[n:]
    gradients = run(full, inputs)[n:]
    left = sum(float((s * t).sum(dtype=np.float64)) for s, t in zip(seeds, tangents, strict=True))
    right = sum(float((g * d).sum(dtype=np.float64)) for g, d in zip(gradients, directions, strict=True))
    size = 1 + sum(float(np.abs(a * b).sum()) for a, b in zip(seeds + gradients, tangents + directions, strict=True))
    assert abs(left - right) <= GRADIENT_TOLERANCE[program.dtype.char] * size, "tangent and adjoint disagree"
    if program.dtype.char == "f":  # rounding errors of second derivatives leave nothing to compare
        return
    first = gradients_only(full, n)
    m = len(directions)
    reverse = run(optimize(adjoint(first, seed_inputs=True)), inputs + directions)[m:]
    forward = run(optimize(tangent(first)), inputs + directions)[m:]
    largest = max([1.0, *(np.abs(f).max(initial=0) for f in forward)])
    for r, f in zip(reverse, forward, strict=True):
        assert_close(r, f, 1e-8 * largest, "second derivatives disagree")


@given(program=programs())
def test_random_programs(program: Program) -> None:
    try:
        check(program, 0)
    except NearKinkError:
        assume(condition=False)


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_by_seed(seed: int) -> None:
    """Longer and more various ones than hypothesis draws; each is told by its seed."""
    try:
        check(write(RandomChooser(np.random.default_rng(seed))), seed)
    except NearKinkError:
        pass


def test_the_reference_sees_a_wrong_gradient() -> None:
    """The comparison can fail: one sign in one step."""
    program = write(RandomChooser(np.random.default_rng(3)))
    inputs = program.draw(3)
    seeds = None if program.scalar else [np.ones(np.shape(v)) for v in reference(program, inputs, None).values]
    wanted = reference(program, inputs, seeds)
    assert any(np.abs(g).max(initial=0) > 1e-3 for g in wanted.gradients)
    with pytest.raises(AssertionError):
        compare(program, [*(v.astype(program.dtype) for v in wanted.values), *(-g.astype(program.dtype) for g in wanted.gradients)], wanted)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run many programs; the number of those that failed."""
    parser = argparse.ArgumentParser(description="random programs, the sweep against JAX")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first program; the others follow")
    options = parser.parse_args(arguments)
    failures, skipped = [], 0
    for seed in range(options.seed, options.seed + options.count):
        if seed % 500 == 499:
            jax.clear_caches()  # one compiled function for each operation and shape
            print(f"{seed + 1 - options.seed} programs, {skipped} near a kink, {len(failures)} failures", flush=True)
        try:
            program = write(RandomChooser(np.random.default_rng(seed)))
            check(program, seed)
        except NearKinkError:
            skipped += 1
        except Exception:
            failures.append(seed)
            print(f"--- seed {seed}\n{program}\n{traceback.format_exc()}", flush=True)
    print(f"{options.count} programs, {skipped} near a kink, {len(failures)} failures: {failures}")
    return min(len(failures), 1)


if __name__ == "__main__":
    sys.exit(main())
