"""Whole models: the gradient equals JAX's, whichever module the loss was written with.

JAX has no part where it cannot compile: the loop of 2,000 steps is compared with complex steps, which are
exact to rounding (Squire and Trapp, Using complex variables to estimate derivatives of real functions, 1998).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy
from tests.models import MODELS, Model, lotka_volterra

jax = pytest.importorskip("jax")

TOLERANCE = {np.float64: 1e-10, np.float32: 2e-4}
COMPILED = [name for name, model in MODELS.items() if model.compiles]


def leaves(tree: Any) -> list[Any]:
    """The arrays of nested containers in an order of their own: JAX sorts the keys of dicts."""
    if isinstance(tree, dict):
        return [x for k in sorted(tree) for x in leaves(tree[k])]
    if isinstance(tree, (list, tuple)):
        return [x for t in tree for x in leaves(t)]
    return [np.asarray(tree)]


def assert_close(found: Any, wanted: Any, tolerance: float) -> None:
    """Leaf by leaf: the norm of the error, and each entry's error beside the largest entry."""
    for g, w in zip(leaves(found), leaves(wanted), strict=True):
        assert g.shape == w.shape
        assert np.isfinite(w).all()
        error = g.astype(np.float64) - w
        assert np.linalg.norm(error) <= tolerance * np.linalg.norm(w)
        assert np.abs(error).max() <= tolerance * np.abs(w).max()


def by_jax(model: Model, arguments: tuple[Any, ...]) -> tuple[float, Any]:
    """Value and gradient in float64, compiled if the model can be."""
    with jax.enable_x64(True):
        f = jax.value_and_grad(partial(model.f, jax.numpy))
        if model.compiles:
            f = jax.jit(f)
        arrays = jax.tree.map(lambda x: jax.numpy.asarray(x) if isinstance(x, np.ndarray) else x, arguments)
        value, gradient = f(*arrays)
        return float(value), jax.tree.map(np.asarray, gradient)


def by_complex_steps(f: Callable[[Any], Any], p: tuple[float, ...]) -> list[float]:
    """The gradient of an analytic function of a few numbers."""
    h = 1e-30
    return [f(tuple(complex(x, h * (j == k)) for j, x in enumerate(p))).imag / h for k in range(len(p))]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", COMPILED)
def test_gradients_equal_those_of_jax(name: str, dtype: Any) -> None:
    model, tolerance = MODELS[name], TOLERANCE[dtype]
    arguments = model.arguments(dtype=dtype)
    value, gradient = tg.value_and_grad(partial(model.f, np))(*arguments)
    # The reference of a float32 gradient is the float64 one of the same float32 numbers.
    wanted_value, wanted = by_jax(model, model.arguments() if dtype is np.float64 else rounded(model))
    assert value.dtype == dtype
    assert all(g.dtype == dtype for g in leaves(gradient))
    assert abs(float(value) - wanted_value) <= tolerance * abs(wanted_value)
    assert_close(gradient, wanted, tolerance)


def rounded(model: Model) -> tuple[Any, ...]:
    """The arguments in float64, rounded to float32."""
    return jax.tree.map(
        lambda x: x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x,
        model.arguments(dtype=np.float32),
    )


@pytest.mark.parametrize("name", ["softmax_regression", "mixture"])
def test_gradients_equal_those_of_jax_in_the_size_that_is_measured(name: str) -> None:
    model = MODELS[name]
    arguments = model.arguments("full")
    value, gradient = tg.value_and_grad(partial(model.f, np))(*arguments)
    wanted_value, wanted = by_jax(model, arguments)
    assert abs(value - wanted_value) <= 1e-10 * abs(wanted_value)
    assert_close(gradient, wanted, 1e-10)


@pytest.mark.parametrize("name", MODELS)
def test_the_value_is_that_of_plain_numpy(name: str) -> None:
    model = MODELS[name]
    arguments = model.arguments()
    value, _ = tg.value_and_grad(partial(model.f, np))(*arguments)
    assert value == pytest.approx(model.f(np, *arguments), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_numpy_and_our_numpy_record_the_same_tape(name: str) -> None:
    model = MODELS[name]
    arguments = model.arguments()
    ours, plain = (tg.record(partial(model.f, module), *arguments).tape for module in (tapegrad.numpy, np))
    for field in ("opcodes", "starts", "operands", "type_ids", "attribute_ids", "dependents"):
        assert np.array_equal(getattr(ours, field), getattr(plain, field)), field
    assert (ours.types, ours.attributes) == (plain.types, plain.attributes)
    assert all(np.array_equal(a, b) for a, b in zip(ours.constants, plain.constants, strict=True))


@pytest.mark.parametrize("name", COMPILED)
def test_our_numpy_on_plain_arrays_is_numpy(name: str) -> None:
    model = MODELS[name]
    arguments = model.arguments()
    assert model.f(tapegrad.numpy, *arguments) == model.f(np, *arguments)


@pytest.mark.parametrize("name", MODELS)
def test_a_second_call_with_other_values_is_right(name: str) -> None:
    model = MODELS[name]
    arguments = model.arguments()
    f = tg.value_and_grad(partial(model.f, np))
    f(*arguments)
    moved = jax.tree.map(lambda x: 1.01 * x, arguments[0])
    value, gradient = f(moved, *arguments[1:])
    wanted_value, wanted = tg.value_and_grad(partial(model.f, np))(moved, *arguments[1:])
    assert value == wanted_value
    assert_close(gradient, wanted, 1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_loop_of_scalars_agrees_with_complex_steps(dtype: Any) -> None:
    p, steps = MODELS["lotka_volterra"].arguments()
    p = tuple(float(dtype(x)) for x in p)
    value, gradient = tg.value_and_grad(partial(lotka_volterra, np))(tuple(dtype(x) for x in p), steps)
    # 2,000 steps of rounding errors, which the dynamics carry along.
    tolerance = {np.float64: 1e-10, np.float32: 2e-3}[dtype]
    assert value.dtype == dtype
    assert value == pytest.approx(lotka_volterra(np, p, steps), rel=tolerance)
    assert_close(list(gradient), by_complex_steps(lambda q: lotka_volterra(np, q, steps), p), tolerance)


def test_a_loop_of_scalars_has_eleven_instructions_a_step() -> None:
    p, steps = MODELS["lotka_volterra"].arguments()
    assert 11 * steps - 100 < len(tg.record(partial(lotka_volterra, np), p, steps)) < 11 * steps + 100


def test_a_short_loop_of_scalars_agrees_with_jax() -> None:
    p, _ = MODELS["lotka_volterra"].arguments()
    value, gradient = tg.value_and_grad(partial(lotka_volterra, np))(p, 40)
    wanted_value, wanted = by_jax(MODELS["lotka_volterra"], (p, 40))
    assert value == pytest.approx(wanted_value, rel=1e-12)
    assert_close(gradient, wanted, 1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_recurrent_network_agrees_with_jax(dtype: Any) -> None:
    model = MODELS["recurrent"]
    _, gradient = tg.value_and_grad(partial(model.f, np))(*model.arguments(dtype=dtype))
    _, wanted = by_jax(model, model.arguments() if dtype is np.float64 else rounded(model))
    assert_close(gradient, wanted, TOLERANCE[dtype])


def test_a_recurrent_network_of_a_thousand_steps_agrees_with_directional_derivatives() -> None:
    model = MODELS["recurrent"]
    p, x, targets = model.arguments("full")
    _, gradient = tg.value_and_grad(partial(model.f, np))(p, x, targets)
    rng = np.random.default_rng(3)
    direction = {k: rng.normal(size=v.shape) for k, v in p.items()}
    h = 1e-30
    moved = {k: v + 1j * h * direction[k] for k, v in p.items()}
    wanted = model.f(np, moved, x, targets).imag / h
    assert sum(np.sum(gradient[k] * direction[k]) for k in p) == pytest.approx(wanted, rel=1e-10)
