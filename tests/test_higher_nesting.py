"""Derivatives within recorded functions: no perturbation is taken for another, branches are guarded, programs work.

References are formulas and JAX. Siskind & Pearlmutter, Perturbation confusion and referential transparency (2005).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import ConversionError, LeakedVariableError, UnsupportedError
from tests.models import Counted

X: Final = np.array([0.5, -1.0, 2.0])
STATE: dict[str, Any] = {}


def pushed(f: Callable[[Any], Any], x: Any) -> Any:
    """The derivative of a function of one number, by forward mode."""
    return tg.jvp(f, (x,), (1.0,))[1]


def pulled(f: Callable[[Any], Any], x: Any) -> Any:
    """By `vjp`."""
    return tg.vjp(f, x)[1](1.0)[0]


def blocked(f: Callable[[Any], Any], x: Any) -> Any:
    """By `jacobian`."""
    return tg.jacobian(f)(x)


def taken(f: Callable[[Any], Any], x: Any) -> Any:
    """By `grad`."""
    return tg.grad(f)(x)


WAYS: Final = (taken, pushed, pulled, blocked)


# --- perturbation confusion


@pytest.mark.parametrize("outer", WAYS)
@pytest.mark.parametrize("inner", WAYS)
def test_the_classic(outer: Any, inner: Any) -> None:
    """d/dx (x d/dy (x + y)) = 1, not 2."""
    for x in (1.0, 3.0, np.float64(2.0), np.array(0.5)):
        assert outer(lambda x: x * inner(lambda y: x + y, 1.0), x) == 1.0
        assert outer(lambda x: x * inner(lambda y: x + y, x), x) == 1.0
        assert outer(lambda x: inner(lambda y: x * y * y, 2.0), x) == 4.0
        found = outer(lambda x: x * inner(lambda y: x * y, 2.0), x)
        assert found == pytest.approx(2 * float(x))


@pytest.mark.parametrize("way", WAYS)
def test_a_captured_variable_is_a_constant_to_the_inner_derivative(way: Any) -> None:
    x = 1.3
    assert way(lambda x: way(lambda y: x**2 * y, 5.0), x) == pytest.approx(2 * x)
    assert way(lambda x: way(lambda y: x**2, 5.0), x) == 0.0
    assert way(lambda x: way(lambda y: x**2 * y**3, x), x) == pytest.approx(12 * x**3)
    assert way(lambda x: way(lambda _: x, x) + x, x) == 1.0


@pytest.mark.parametrize("way", WAYS)
def test_three_levels(way: Any) -> None:
    """d/dx [x d/dy [y x d/dz (x y z)]] with y = x: the innermost is x y, the middle one x**2 y**2 by y = 2 x**3."""

    def f(x: Any) -> Any:
        return x * way(lambda y: y * x * way(lambda z: x * y * z, 1.5), x)

    assert way(f, 1.2) == pytest.approx(8 * 1.2**3)
    assert way(lambda x: way(lambda y: way(lambda z: x * z, y), x * 2), 3.0) == 0.0
    assert way(lambda x: way(lambda y: way(lambda z: x * y * z**2, y), 2.0), 3.0) == pytest.approx(8.0)
    assert way(lambda x: way(lambda y: way(lambda z: x * z, 1.0) * y, 2.0), 3.0) == 1.0


def test_the_same_function_at_every_level() -> None:
    def f(x: Any) -> Any:
        return x**4

    g = tg.grad(f)
    assert tg.grad(lambda x: g(x) * x)(2.0) == pytest.approx(4 * 4 * 8)
    h = tg.grad(lambda x: g(g(x)))
    with jax.enable_x64(True):
        k = jax.grad(lambda x: x**4)
        assert h(0.5) == pytest.approx(float(jax.grad(lambda x: k(k(x)))(0.5)))


def test_a_function_that_is_returned_keeps_its_perturbation() -> None:
    """Amazing bug of Manzyuk et al. (2019): derivatives of functions of higher order."""

    def shift(u: Any) -> Any:
        return lambda f: lambda x: f(x + u)

    def derived(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda x: tg.grad(f)(x)  # noqa: PLW0108 - made at each call

    found = tg.grad(lambda u: derived(shift(u)(np.sin))(0.7) + derived(shift(u)(derived(shift(u)(np.sin))))(0.2))(0.3)
    wanted = -np.sin(1.0) - 2 * np.cos(0.2 + 0.6)
    assert found == pytest.approx(wanted)


def test_the_same_variable_twice_is_two_arguments() -> None:
    found = tg.grad(lambda x: np.sum(tg.grad(lambda a, b: np.sum(a**2 * b), 0)(x, x)))(X)
    np.testing.assert_allclose(found, 4 * X)
    both = tg.jacobian(lambda x: tg.grad(lambda a, b: np.sum(a**2 * b), (1, 0))(x, x))(X)
    np.testing.assert_allclose(both[0], np.diag(2 * X))
    np.testing.assert_allclose(both[1], np.diag(4 * X))


def test_an_argument_of_the_inner_function_hides_nothing() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(x * tg.grad(lambda x: np.sum(x * y) * np.sum(x**2))(y))

    x, y = X, 2.0 * X + 1.0
    with jax.enable_x64(True):
        wanted = jax.grad(lambda x, y: jnp.sum(x * jax.grad(lambda x: jnp.sum(x * y) * jnp.sum(x**2))(y)), (0, 1))(x, y)
    found = tg.grad(f, (0, 1))(x, y)
    np.testing.assert_allclose(found[0], wanted[0])
    np.testing.assert_allclose(found[1], wanted[1])


def test_points_of_gradients_that_capture_a_variable() -> None:
    points = np.array([1.0, 2.0, 3.0])

    def f(x: Any) -> Any:
        return np.sum(tg.batch(tg.grad(lambda q: x**2 * q**3))(points))

    assert tg.grad(f)(0.5) == pytest.approx(2 * 0.5 * 3 * 14)
    assert tg.hessian(f)(0.5) == pytest.approx(2 * 3 * 14)
    assert tg.grad(lambda x: tg.batch(lambda p: p * x)(points)[1])(5.0) == 2.0


def test_stop_gradient_within() -> None:
    f = tg.grad(lambda x: x * tg.stop_gradient(tg.grad(lambda y: y**2 * x)(3.0)))
    assert f(2.0) == 12.0
    g = tg.grad(lambda x: tg.grad(lambda y: tg.stop_gradient(y) * y * x)(x))
    assert g(2.0) == pytest.approx(2.0)


# --- values and Variables that meet


def test_an_inner_function_of_values_is_run_where_it_belongs() -> None:
    counted = Counted(lambda y: y * y)
    inner = tg.grad(counted)
    outer = tg.grad(lambda x: x * inner(3.0))
    assert outer(2.0) == 6.0
    assert outer(5.0) == 6.0
    assert counted.runs == 1


def test_a_driver_made_once_works_with_values_and_within() -> None:
    for made in (tg.grad(np.sum), tg.jacobian(np.sum), lambda x: tg.hvp(lambda x: np.sum(x**2))(x, x) / (2 * x)):
        for _ in range(2):
            np.testing.assert_allclose(made(X), [1.0] * 3)
            np.testing.assert_allclose(tg.grad(lambda x, made=made: np.sum(made(x) * x))(X), [1.0] * 3)


def test_a_global_that_is_a_variable_for_a_while() -> None:
    inner = tg.grad(lambda y: np.sum(y * STATE["x"]))

    def outer(x: Any) -> Any:
        STATE["x"] = x
        return np.sum(inner(np.ones(3)) ** 2)

    STATE["x"] = np.array([1.0, 2.0, 3.0])
    assert inner(np.ones(3)).tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_allclose(tg.grad(outer)(X), 2 * X)
    with pytest.raises(LeakedVariableError):
        inner(np.ones(3))
    STATE["x"] = np.array([4.0, 5.0, 6.0])
    assert inner(np.ones(3)).tolist() == [4.0, 5.0, 6.0]
    STATE.clear()


def test_a_pullback_kept_from_a_recording_is_refused_later() -> None:
    kept = []

    def f(x: Any) -> Any:
        y, pullback = tg.vjp(np.sin, x)
        kept.append(pullback)
        return np.sum(y)

    tg.grad(f)(X)
    with pytest.raises(LeakedVariableError):
        kept[0](np.ones(3))


def test_an_array_changed_after_an_inner_derivative_has_read_it() -> None:
    def f(x: Any) -> Any:
        total = np.ones(3)
        g = tg.grad(lambda y: np.sum(y * y * total))(x)
        y, pullback = tg.vjp(lambda y: y * total, x)
        total += x
        total += g
        return np.sum(total * g) + np.sum(pullback(x)[0]) + np.sum(y)

    value, g = tg.value_and_grad(f)(X)
    assert value == pytest.approx(np.sum((1 + 3 * X) * 2 * X) + 2 * np.sum(X))
    np.testing.assert_allclose(g, 2 + 12 * X + 2)


def test_results_of_data_alone_may_become_numbers() -> None:
    """The gradient hangs on nothing that is differentiated: float() cuts nothing."""
    f = tg.grad(lambda x, y: x * float(tg.grad(lambda z: z**2)(y)))
    assert f(1.0, 3.0) == 6.0
    assert f(1.0, 4.0) == 8.0
    with pytest.raises(ConversionError):
        tg.grad(lambda x: float(tg.grad(lambda z: z**2 * x)(3.0)))(1.0)


# --- branches


def test_a_branch_in_an_inner_function_is_guarded() -> None:
    def h(y: Any) -> Any:
        return np.sum(y**3) if y[0] > 0 else np.sum(y**2)

    f = tg.grad(lambda x: np.sum(tg.grad(h)(x)))
    for _ in range(2):
        np.testing.assert_allclose(f(np.abs(X)), 6 * np.abs(X))
        np.testing.assert_allclose(f(-np.abs(X)), [2.0] * 3)


def test_a_branch_on_an_outer_variable_in_an_inner_function() -> None:
    f = tg.grad(lambda x: tg.grad(lambda y: y**2 * x if x > 0 else y * x**2)(3.0))
    for _ in range(2):
        assert f(2.0) == 6.0
        assert f(-2.0) == -4.0


def test_a_branch_on_an_inner_gradient() -> None:
    def f(x: Any) -> Any:
        g = tg.grad(np.cos)(x)
        return g * x if g > 0 else g * x**2

    for x in (-1.0, 1.0, -2.0, 2.0):
        wanted = -np.sin(x) - x * np.cos(x) if x < 0 else -2 * x * np.sin(x) - x**2 * np.cos(x)
        assert tg.grad(f)(x) == pytest.approx(wanted)


def test_newton_in_a_while_loop() -> None:
    """x(a) with x**3 = a, found by Newton's method on inner gradients: dx/da = 1 / (3 x**2)."""

    def root(a: Any) -> Any:
        def miss(x: Any) -> Any:
            return x**3 - a

        x: Any = 1.0
        while np.abs(miss(x)) > 1e-13:
            x = x - miss(x) / tg.grad(miss)(x)
        return x - miss(x) / tg.grad(miss)(x)

    f = tg.value_and_grad(root)
    for a in (2.0, 5.0, 27.0, 2.5):
        value, g = f(a)
        assert value == pytest.approx(a ** (1 / 3))
        assert g == pytest.approx(a ** (-2 / 3) / 3, rel=1e-6)


def test_gradients_in_a_loop() -> None:
    def f(x: Any) -> Any:
        total: Any = 0.0
        for k in range(1, 5):
            total = total + tg.grad(lambda y, k=k: y**k * x)(x)
        return total

    assert tg.grad(f)(1.5) == pytest.approx(sum(k * k * 1.5 ** (k - 1) for k in range(1, 5)))


def test_a_branch_on_constants_that_are_points_or_differentiated() -> None:
    """They are constants of the recording, and yet differ from point to point, and may be other ones next time."""
    points = np.array([1.0, 2.0, 3.0])

    def f(x: Any) -> Any:
        return np.sum(tg.batch(lambda p: x * p if p > 1.5 else x * p * p)(points))

    with pytest.raises(UnsupportedError, match="a branch on a value that differs from point to point"):
        tg.grad(f)(2.0)
    with pytest.raises(ConversionError):
        tg.grad(lambda x: tg.grad(lambda y: x * float(y))(2.0))(1.0)
    with pytest.raises(ConversionError):
        tg.grad(lambda x: tg.grad(lambda y: x * float(tg.grad(lambda z: z * z * y)(3.0)))(2.0))(1.0)


# --- programs


def test_gradient_descent_within_a_function() -> None:
    """The gradient of the loss after five steps to the step's length and to where they began."""

    def trained(module: Any, grad: Any, rate: Any, w: Any, x: Any, y: Any) -> Any:
        def loss(w: Any) -> Any:
            return module.mean((module.tanh(x @ w) - y) ** 2)

        for _ in range(5):
            w = w - rate * grad(loss)(w)
        return loss(w)

    rng = np.random.default_rng(3)
    x, y, w = rng.normal(size=(6, 3)), rng.normal(size=6), rng.normal(size=3)
    with jax.enable_x64(True):
        wanted = jax.grad(lambda *a: trained(jnp, jax.grad, *a), (0, 1))(0.3, w, x, y)
    counted = Counted(lambda *a: trained(np, tg.grad, *a))
    found = tg.grad(counted, (0, 1))
    for _ in range(2):
        g = found(0.3, w, x, y)
        assert g[0] == pytest.approx(float(wanted[0]))
        np.testing.assert_allclose(g[1], wanted[1], rtol=1e-9)
    assert counted.runs == 1


def test_a_hypergradient_by_the_implicit_function_theorem() -> None:
    """d/dl of the validation loss of ridge regression, whose solution a primitive finds."""
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(8, 3)), rng.normal(size=8)
    xv, yv = rng.normal(size=(5, 3)), rng.normal(size=5)

    def inner(w: Any, penalty: Any) -> Any:
        return np.sum((x @ w - y) ** 2) + penalty * np.sum(w**2)

    @tg.primitive
    def ridge(penalty: Any) -> Any:
        return np.linalg.solve(x.T @ x + penalty * np.eye(3), x.T @ y)

    @ridge.defvjp
    def _(g: Any, w: Any, penalty: Any) -> Any:
        hessian = tg.hessian(inner)(w, penalty)
        mixed = tg.jacobian(tg.grad(inner), 1)(w, penalty)
        return (-np.linalg.solve(hessian, g) @ mixed,)

    def validation(penalty: Any) -> Any:
        return np.sum((xv @ ridge(penalty) - yv) ** 2)

    assert tg.check_grad(validation, 0.7) < 1
    with jax.enable_x64(True):
        solved = jax.grad(lambda p: jnp.sum((xv @ jnp.linalg.solve(x.T @ x + p * jnp.eye(3), x.T @ y) - yv) ** 2))
        for p in (0.7, 0.1):
            assert tg.grad(validation)(p) == pytest.approx(float(solved(p)))


def test_a_fixed_point_by_a_primitive_has_second_derivatives() -> None:
    """z = cos(a z), with rules that are recorded: derivatives of any order by the theorem again and again."""

    @tg.primitive
    def fixed(a: Any) -> Any:
        z = np.full(np.shape(a), 0.5)
        for _ in range(200):
            z = np.cos(a * z)
        return z

    @fixed.defjvp
    def _(tangents: Any, z: Any, a: Any) -> Any:
        s = -np.sin(a * z)
        return s * z / (1 - s * a) * tangents[0]

    def unrolled(a: Any) -> Any:
        z = 0.5 * jnp.ones_like(a)
        for _ in range(200):
            z = jnp.cos(a * z)
        return jnp.sum(z**2)

    a = np.array([0.3, 0.6])
    f: Any = lambda a: np.sum(fixed(a) ** 2)  # noqa: E731 - shorter than a function
    with jax.enable_x64(True):
        np.testing.assert_allclose(tg.grad(f)(a), jax.grad(unrolled)(a), rtol=1e-9)
        np.testing.assert_allclose(tg.hessian(f)(a), jax.jacfwd(jax.grad(unrolled))(a), rtol=1e-8, atol=1e-9)


def test_threads_take_inner_derivatives_at_once() -> None:
    f = tg.hessian(lambda x: np.sum(np.sin(x) * tg.grad(lambda y: np.sum(y**3))(x)))
    wanted = {n: f(np.linspace(0.1, 1.0, n)) for n in (2, 3, 4)}
    fresh = tg.hessian(lambda x: np.sum(np.sin(x) * tg.grad(lambda y: np.sum(y**3))(x)))
    wrong: list[Any] = []

    def work(n: int) -> None:
        for _ in range(10):
            wrong.extend([n] * (not np.array_equal(fresh(np.linspace(0.1, 1.0, n)), wanted[n])))

    threads = [threading.Thread(target=work, args=(n,)) for n in (2, 3, 4, 2, 3, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong
