"""Small functions run tile by tile: against the whole-array schedule, and against JAX."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import jax
import numpy as np
import pytest

import tapegrad.numpy
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import Arguments, bind
from tapegrad.drivers.recorded import trace
from tapegrad.errors import ElementIndexError
from tapegrad.passes.optimize import optimize
from tapegrad.sweep.run import GuardFailure
from tapegrad.tape import Tape
from tests.helpers import F32, bits, gradients_only, like
from tests.row_cases import CASES
from tests.row_checks import TILE_TOLERANCE, WHOLE, Way, check_near, loops, results

WAYS: Final = [
    Way(1),
    Way(2, threads=2),
    Way(5),
    Way(5, modes="poison,bounds"),
    Way(7, threads=2),
    Way(4096),
    Way(None),
]


def recorded(name: str, arguments: tuple[Any, ...]) -> tuple[Tape, Arguments]:
    """The tape of a case's value and gradient."""
    bound = bind(arguments, (0,))
    tape = trace(partial(CASES[name].f, tapegrad.numpy), bound, scalar=True).tape
    return optimize(adjoint(optimize(tape)), drop_stops=True), bound


def arguments_of(name: str, n: int, seed: int = 0) -> tuple[Any, ...]:
    return CASES[name].make(np.random.default_rng(seed), n)


def by_jax(name: str, arguments: tuple[Any, ...]) -> list[Any]:
    """Value and gradients in the order of the arguments' leaves."""
    with jax.enable_x64(True):
        f = jax.value_and_grad(partial(CASES[name].f, jax.numpy))
        value, gradient = jax.jit(f)(*arguments)
        return [np.asarray(value), *leaves(gradient, arguments[0])]


def leaves(tree: Any, like: Any) -> list[Any]:
    """In tapegrad's order: that of insertion."""
    if isinstance(like, dict):
        return [x for k in like for x in leaves(tree[k], like[k])]
    if isinstance(like, (list, tuple)):
        return [x for t, u in zip(tree, like, strict=True) for x in leaves(t, u)]
    return [np.asarray(tree)]


def check_ways(tape: Tape, given: Sequence[Any], values: int, tolerance: float) -> list[Any]:
    """Every way agrees with the whole schedule, and twice with itself."""
    wanted = results(WHOLE.runner(tape), given)
    for way in WAYS:
        runner = way.runner(tape)
        found, again = results(runner, given), results(runner, given)
        check_near(found, wanted, values, tolerance, f"{way}")
        assert [bits(v) for v in found] == [bits(v) for v in again]
    return wanted


@pytest.mark.parametrize("n", [1, 2, 33])
@pytest.mark.parametrize("name", CASES)
def test_tiles_agree_with_whole_arrays_and_with_jax(name: str, n: int) -> None:
    arguments = arguments_of(name, n)
    tape, bound = recorded(name, arguments)
    found = check_ways(tape, bound.inputs, 1, TILE_TOLERANCE["d"])
    if n > 2:
        check_near(found, by_jax(name, arguments), 1, 1e-11, "whole against JAX")


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.empty])
def test_no_rows(name: str) -> None:
    arguments = arguments_of(name, 0)
    tape, bound = recorded(name, arguments)
    found = check_ways(tape, bound.inputs, 1, TILE_TOLERANCE["d"])
    check_near(found, by_jax(name, arguments), 1, 1e-12, "whole against JAX")


@pytest.mark.parametrize("name", CASES)
def test_float32(name: str) -> None:
    arguments = jax.tree.map(
        lambda x: x.astype(F32) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x, arguments_of(name, 33)
    )
    tape, bound = recorded(name, arguments)
    assert bound.signature.dtype == F32
    check_ways(tape, bound.inputs, 1, 1e-4)


@pytest.mark.parametrize("name", ["nested", "skewed", "batch_norm", "softmax_regression", "factorisation", "log_sum"])
def test_second_derivatives(name: str) -> None:
    """Hessian times vector: the adjoint of the adjoint."""
    tape, bound = recorded(name, arguments_of(name, 33))
    directions = like([np.empty(tape.type(s).shape) for s in tape.independents.tolist()], np.random.default_rng(1))
    curvature = optimize(adjoint(gradients_only(tape, 1), seed_inputs=True))
    check_ways(curvature, [*bound.inputs, *directions], len(directions), 1e-11)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.tiled])
def test_what_has_rows_runs_in_tiles(name: str) -> None:
    tape, _ = recorded(name, arguments_of(name, 33))
    assert loops(Way(5).runner(tape)) >= 1
    assert loops(WHOLE.runner(tape)) == 0


@pytest.mark.parametrize("name", ["residuals", "nested", "batch_norm", "gram"])
def test_other_rows_leave_nothing_behind(name: str) -> None:
    """Other inputs between two runs with the same; results belong to the caller."""
    tape, bound = recorded(name, arguments_of(name, 33))
    other = bind(arguments_of(name, 33, seed=1), (0,)).inputs
    for way in WAYS:
        runner = way.runner(tape)
        first = results(runner, bound.inputs)
        kept = [bits(v) for v in first]
        second = results(runner, other)
        assert [bits(v) for v in first] == kept
        assert [bits(v) for v in results(runner, bound.inputs)] == kept
        assert [bits(v) for v in results(way.runner(tape), other)] == [bits(v) for v in second]


def recorded_values(f: Callable[..., Any], *arguments: Any) -> tuple[Tape, list[Any]]:
    """The tape of a function's results, and its inputs."""
    bound = bind(arguments, (0,))
    tape = trace(f, bound, scalar=False).tape
    return optimize(tape), bound.inputs


def test_results_of_every_sort() -> None:
    """Rows, windows of rows, invariants, numbers, an input and one result twice; with seeds for each."""

    def f(x: Any, w: Any) -> Any:
        y = np.tanh(x @ w)
        return y, y[2:] - y[:-2], np.sum(y, axis=0), np.mean(y), x, y, np.sin(w), y[4], y.T

    rng = np.random.default_rng(0)
    tape, inputs = recorded_values(f, rng.normal(size=(33, 3)), rng.normal(size=(3, 2)))
    check_ways(tape, inputs, len(tape.dependents), 1e-13)
    seeds = like([np.empty(tape.type(s).shape) for s in tape.dependents.tolist()], rng)
    full = optimize(adjoint(tape, seed_inputs=True))
    check_ways(full, [*inputs, *seeds], len(tape.dependents), TILE_TOLERANCE["d"])


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_guard_in_tiles(way: Way) -> None:
    """What is tested is known after all rows only; a guard that fails stops the sweep, and the next one runs."""

    def f(x: Any) -> Any:
        y = np.sin(x)
        return np.sum(y[1:] * y[:-1]) if np.sum(y) > 0 else np.sum(y)

    x = np.linspace(0.1, 3.0, 33)
    tape, inputs = recorded_values(f, x)
    runner = way.runner(tape)
    wanted = results(runner, inputs)
    assert isinstance(runner([-x]), GuardFailure)
    assert [bits(v) for v in results(runner, inputs)] == [bits(v) for v in wanted]


@pytest.mark.parametrize("row", [0, 4, 5, 32])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_an_index_out_of_range_in_one_tile(way: Way, row: int) -> None:
    """It is an error wherever it stands, and the runner can go on."""
    tape, bound = recorded("factorisation", arguments_of("factorisation", 33))
    runner = way.runner(tape)
    wanted = results(runner, bound.inputs)
    inputs = [v.copy() for v in bound.inputs]
    next(v for v in inputs if v.dtype.kind == "i")[row] = 5
    with pytest.raises(ElementIndexError, match="index 5"):
        runner(inputs)
    assert [bits(v) for v in results(runner, bound.inputs)] == [bits(v) for v in wanted]


@pytest.mark.parametrize("name", CASES)
def test_threads_do_not_change_a_bit_from_run_to_run(name: str) -> None:
    tape, bound = recorded(name, arguments_of(name, 33))
    for height in (1, 5):
        found = {tuple(bits(v) for v in results(Way(height, 2).runner(tape), bound.inputs)) for _ in range(5)}
        assert len(found) == 1
