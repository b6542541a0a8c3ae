"""Every function against NumPy for its value, and against finite differences and JAX for its derivatives.

The calls stand in the tables of `tests/functions`. Each is recorded through plain NumPy and through tapegrad.numpy.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad.numpy
import tests.functions
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import trace
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tapegrad.trees import flatten
from tests.functions.case import Call
from tests.helpers import F32, directional, gradients_only, like, pullback, pushforward

_MODULES: Final = [
    importlib.import_module(f"tests.functions.{found.name}") for found in pkgutil.iter_modules(tests.functions.__path__)
]
CALLS: Final[tuple[Call, ...]] = tuple(call for module in _MODULES for call in getattr(module, "CALLS", ()))
EPS: Final = 2.3e-16


def differentiated(call: Call) -> list[int]:
    return [k for k, a in enumerate(call.arguments) if np.asarray(a).dtype.kind == "f"]


def results(value: Any) -> list[Any]:
    return [np.asarray(leaf) for leaf in flatten(value)[0]]


def tape_of(call: Call, namespace: Any, arguments: Sequence[Any]) -> Tape:
    def function(*args: Any) -> Any:
        return call.call(namespace, *args)

    return trace(function, bind(arguments, differentiated(call)), scalar=False).tape


def run(runner: Runner, arguments: Sequence[Any], *more: Any) -> list[Any]:
    found = runner([*bind(arguments, ()).inputs, *more])
    assert not isinstance(found, GuardFailure)
    return found


def jax_function(call: Call, seeds: Sequence[Any], places: Sequence[int]) -> Any:
    """The sum of seeds times results, as a function of what is differentiated by."""

    def weighted(*independents: Any) -> Any:
        arguments = list(call.arguments)
        for k, value in zip(places, independents, strict=True):
            arguments[k] = value
        leaves = jax.tree.leaves(call.call(jnp, *arguments))
        return sum(jnp.sum(seed * leaf) for seed, leaf in zip(seeds, leaves, strict=True))

    return weighted


def compiled(function: Any) -> Any:
    """The function compiled as one, three times as quick; as it is, where values decide its shapes."""

    def run(*arguments: Any) -> Any:
        try:
            return jax.jit(function)(*arguments)
        except (jax.errors.ConcretizationTypeError, jax.errors.NonConcreteBooleanIndexError, TypeError):
            return function(*arguments)

    return run


def assert_near(found: Sequence[Any], wanted: Sequence[Any], rtol: float, what: str) -> None:
    size = max((float(np.abs(w).max(initial=0.0)) for w in wanted), default=0.0)
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=rtol, atol=rtol * max(1.0, size), err_msg=what)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_values_are_numpys(call: Call) -> None:
    wanted = results(call.call(np, *call.arguments))
    for namespace in (np, tapegrad.numpy) if call.plain else (tapegrad.numpy,):
        tape = optimize(tape_of(call, namespace, call.arguments), drop_stops=True)
        found = run(Runner(schedule(tape)), call.arguments)
        for f, w in zip(found, wanted, strict=True):
            assert f.shape == w.shape
            np.testing.assert_allclose(f, w, rtol=1e-12, atol=1e-13, err_msg=namespace.__name__)


@pytest.mark.parametrize("call", [c for c in CALLS if c.smooth], ids=str)
def test_derivatives(call: Call, rng: np.random.Generator) -> None:
    places = differentiated(call)
    tape = tape_of(call, np if call.plain else tapegrad.numpy, call.arguments)
    seeds = like(results(call.call(np, *call.arguments)), rng)
    directions = like([call.arguments[k] for k in places], rng)
    reverse = Runner(schedule(pullback(tape)))

    def moved(t: float) -> list[Any]:
        arguments = list(call.arguments)
        for k, direction in zip(places, directions, strict=True):
            arguments[k] = arguments[k] + t * direction
        return arguments

    found = run(reverse, call.arguments, *seeds)[len(seeds) :]
    slope = sum(float(np.sum(g * d)) for g, d in zip(found, directions, strict=True))
    with np.errstate(all="ignore"):
        differences = directional(
            lambda t: [sum(float(np.sum(s * r)) for s, r in zip(seeds, results(call.call(np, *moved(t))), strict=True))]
        )
    assert_near([slope], differences, call.rtol, "gradient against finite differences")
    # The forward derivative is another set of rules: its slope is the same.
    forward = Runner(schedule(pushforward(tape)))
    tangents = run(forward, call.arguments, *directions)[len(seeds) :]
    assert_near(
        [sum(float(np.sum(s * t)) for s, t in zip(seeds, tangents, strict=True))], [slope], 1e-9, "forward and reverse"
    )
    if call.second:
        twice = Runner(schedule(pushforward(gradients_only(pullback(tape), len(seeds)))))
        curved = run(twice, call.arguments, *seeds, *directions)[len(found) :]
        bent = directional(lambda t: run(reverse, moved(t), *seeds)[len(seeds) :])
        assert_near(curved, bent, 10 * call.rtol, "second derivative against finite differences")
    if call.jax:
        with jax.enable_x64(True):
            weighted = jax_function(call, seeds, places)
            at = [jnp.asarray(call.arguments[k]) for k in places]
            gradient = jax.grad(weighted, argnums=tuple(range(len(places))))
            if not call.second:
                assert_near(found, compiled(gradient)(*at), 1e-9, "gradient against JAX")
                return
            bend = compiled(lambda point, direction: jax.jvp(gradient, point, direction))
            first, second = bend(tuple(at), tuple(map(jnp.asarray, directions)))
            assert_near(found, first, 1e-9, "gradient against JAX")
            assert_near(curved, second, 1e-8, "second derivative against JAX")


@pytest.mark.parametrize("call", [c for c in CALLS if c.smooth], ids=str)
def test_float32(call: Call, rng: np.random.Generator) -> None:
    """In float32 the results are of that dtype, and as near to those in float64 as that allows."""
    namespace = np if call.plain else tapegrad.numpy
    single = [a.astype(F32) if np.asarray(a).dtype.kind == "f" else a for a in map(np.asarray, call.arguments)]
    double = [a.astype(np.float64) if a.dtype == F32 else a for a in single]
    seeds = like(results(call.call(np, *double)), rng, F32)
    narrow = run(Runner(schedule(pullback(tape_of(call, namespace, single)))), single, *seeds)
    seeds = [s.astype(np.float64) for s in seeds]
    wide = run(Runner(schedule(pullback(tape_of(call, namespace, double)))), double, *seeds)
    assert all(r.dtype == F32 for r in narrow)
    assert_near(narrow, wide, call.single, "float32")
