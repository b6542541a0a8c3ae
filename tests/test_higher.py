"""Every driver against JAX, against formulas and against one another: derivatives of any order, at many points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tests.models import Counted

X: Final = np.array([0.7, -1.3, 2.1])
A: Final = np.array([[1.0, 0.5, -0.3], [0.2, 2.0, 0.1], [0.4, -0.6, 1.5]])


def rosenbrock(np: Any, x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def quadratic(np: Any, x: Any) -> Any:
    return x @ A @ x + np.sum(np.tanh(A @ x))


def logsumexp(np: Any, x: Any) -> Any:
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def masked(np: Any, x: Any) -> Any:
    return np.sum(np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), x**3))


def network(np: Any, x: Any) -> Any:
    hidden = np.tanh(np.outer(x, x) @ A)
    return np.mean((hidden @ x - 0.3) ** 2)


def products(np: Any, x: Any) -> Any:
    return np.prod(x) + np.einsum("i,ij,j->", np.sin(x), A, np.cos(x))


def gathered(np: Any, x: Any) -> Any:
    return np.sum(np.exp(x[np.array([0, 2, 2, 1])] * np.array([1.0, 0.5, -1.0, 2.0])))


def loop(np: Any, x: Any) -> Any:
    state = 0.1 * x
    for k in range(3):
        state = np.sin(A @ state) + x[k] * state
    return np.sum(state**2)


def power(np: Any, x: Any) -> Any:
    return np.sum(np.abs(x) ** x[0]) / np.sqrt(np.sum(x * x))


SCALARS: Final = (rosenbrock, quadratic, logsumexp, masked, network, products, gathered, loop, power)


def waves(np: Any, x: Any) -> Any:
    return np.stack([np.sin(x) * x[0], np.exp(-x) + x[::-1]])


def residuals(np: Any, x: Any) -> Any:
    return A @ x - np.tanh(x) * np.sum(x)


def table(np: Any, x: Any) -> Any:
    return np.outer(x, x**2) / (1.0 + np.sum(x**2))


ARRAYS: Final = (waves, residuals, table)


def ours(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: f(np, *args)


def theirs(driver: Any, f: Callable[..., Any], *args: Any) -> Any:
    """What a driver of JAX's gives."""
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, driver(lambda *given: f(jnp, *given))(*args))


def near(found: Any, wanted: Any, rtol: float = 1e-10) -> None:
    size = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol * size)


# --- against JAX


@pytest.mark.parametrize("f", SCALARS, ids=lambda f: f.__name__)
def test_second_derivatives_of_scalars(f: Callable[..., Any]) -> None:
    wanted = theirs(jax.hessian, f, X)
    found = tg.hessian(ours(f))(X)
    near(found, wanted)
    near(found, found.T)
    v = np.array([1.0, -2.0, 0.5])
    near(tg.hvp(ours(f))(X, v), wanted @ v)
    near(tg.jacobian(tg.grad(ours(f)), mode="reverse")(X), wanted)
    near(tg.jacobian(tg.jacobian(ours(f)))(X), wanted)
    near(tg.grad(lambda x: tg.grad(ours(f))(x) @ v)(X), wanted @ v)
    near(tg.jvp(tg.grad(ours(f)), (X,), (v,))[1], wanted @ v)
    near(tg.vjp(tg.grad(ours(f)), X)[1](v)[0], wanted @ v)


@pytest.mark.parametrize("f", ARRAYS, ids=lambda f: f.__name__)
def test_jacobians_by_all_ways(f: Callable[..., Any]) -> None:
    wanted = theirs(jax.jacobian, f, X)
    g = ours(f)
    for mode in ("forward", "reverse", None):
        near(tg.jacobian(g, mode=mode)(X), wanted)
    y, pullback = tg.vjp(g, X)
    near(y, f(np, X))
    rows = [pullback(seed.reshape(y.shape))[0] for seed in np.eye(y.size)]
    near(np.reshape(rows, wanted.shape), wanted)
    columns = [tg.jvp(g, (X,), (v,))[1] for v in np.eye(3)]
    near(np.stack(columns, -1), wanted)


@pytest.mark.parametrize("f", [rosenbrock, network, products, power], ids=lambda f: f.__name__)
def test_third_derivatives(f: Callable[..., Any]) -> None:
    wanted = theirs(lambda g: jax.jacfwd(jax.hessian(g)), f, X)
    near(tg.jacobian(tg.hessian(ours(f)))(X), wanted, 1e-9)
    near(tg.hessian(lambda x: tg.grad(ours(f))(x)[1])(X), wanted[1], 1e-9)
    v, w = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 1.0])
    pushed = tg.jvp(lambda x: tg.hvp(ours(f))(x, v), (X,), (w,))[1]
    near(pushed, np.einsum("ijk,j,k->i", wanted, v, w), 1e-9)


@pytest.mark.parametrize("order", range(5))
def test_derivatives_of_a_number(order: int) -> None:
    f: Any = lambda x: np.sin(2.0 * x) * x  # noqa: E731 - it is replaced
    g: Any = lambda x: jnp.sin(2.0 * x) * x  # noqa: E731
    for _ in range(order):
        f, g = tg.grad(f), jax.grad(g)
    with jax.enable_x64(True):
        wanted = float(g(0.4))
    found = f(0.4)
    assert found == pytest.approx(wanted, rel=1e-12)
    assert isinstance(found, float)


@pytest.mark.parametrize("f", [rosenbrock, masked, network, gathered], ids=lambda f: f.__name__)
def test_points_are_those_of_a_loop(f: Callable[..., Any], rng: np.random.Generator) -> None:
    points, g = rng.normal(size=(5, 3)), ours(f)
    for driver in (lambda h: h, tg.grad, tg.hessian, tg.jacobian, lambda h: tg.jacobian(tg.grad(h), mode="reverse")):
        near(tg.batch(driver(g))(points), np.stack([driver(g)(x) for x in points]))
    along = rng.normal(size=(5, 3))
    near(tg.batch(tg.hvp(g))(points, along), np.stack([tg.hvp(g)(x, v) for x, v in zip(points, along, strict=True)]))
    near(tg.grad(lambda p: np.sum(tg.batch(g)(p)))(points), tg.batch(tg.grad(g))(points))
    near(tg.batch(g)(points), theirs(jax.vmap, f, points))


def test_points_of_points_and_hessians_of_points(rng: np.random.Generator) -> None:
    points = rng.normal(size=(2, 4, 3))
    near(tg.batch(tg.batch(ours(network)))(points), [[network(np, x) for x in row] for row in points])
    near(tg.batch(tg.batch(ours(waves), 1), 2)(points), theirs(lambda f: jax.vmap(jax.vmap(f, 1), 2), waves, points))
    found = tg.hessian(lambda p: np.sum(tg.batch(ours(rosenbrock))(p) ** 2))(points[0])
    wanted = theirs(lambda f: jax.hessian(lambda p: jnp.sum(jax.vmap(f)(p) ** 2)), rosenbrock, points[0])
    near(found, wanted)
    outer = tg.batch(tg.hessian(lambda p: np.sum(tg.batch(ours(network))(p))))(points)
    inner = theirs(lambda f: jax.vmap(jax.hessian(lambda p: jnp.sum(jax.vmap(f)(p)))), network, points)
    near(outer, inner)


def test_a_jacobian_at_many_points_and_many_points_in_a_jacobian(rng: np.random.Generator) -> None:
    points = rng.normal(size=(4, 3))
    each = np.stack([tg.jacobian(ours(residuals))(x) for x in points])
    near(tg.batch(tg.jacobian(ours(residuals)))(points), each)
    for mode in ("forward", "reverse"):
        whole = tg.jacobian(tg.batch(ours(residuals)), mode=mode)(points)
        near(whole, np.einsum("nik,nm->nimk", each, np.eye(4)))


def test_a_pullback_of_points(rng: np.random.Generator) -> None:
    points, seeds = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    found = tg.batch(lambda x, s: tg.vjp(ours(residuals), x)[1](s)[0])(points, seeds)
    near(found, [tg.jacobian(ours(residuals))(x).T @ s for x, s in zip(points, seeds, strict=True)])


# --- what argnums name


def three(x: Any, y: Any, z: Any) -> Any:
    return np.sum(x * y**2) * np.sin(z)


@pytest.mark.parametrize("argnums", [0, 1, -1, np.int64(2), (0, 1), (1, 0), (-1, 0), (2, 0, 1), [1], ()], ids=str)
def test_argnums_in_every_driver(argnums: Any) -> None:
    args = (X, 2.0 * X, 0.3)
    single = not isinstance(argnums, (tuple, list))
    order = [argnums % 3] if single else [k % 3 for k in argnums]

    def pick(full: Any) -> Any:
        return full[order[0]] if single else tuple(full[k] for k in order)

    def same(found: Any, wanted: Any) -> None:
        assert type(found) is type(wanted) or np.shape(found) == np.shape(wanted)
        if isinstance(wanted, tuple):
            assert len(found) == len(wanted)
            for f, w in zip(found, wanted, strict=True):
                same(f, w)
        else:
            near(found, wanted)

    first = theirs(lambda f: jax.grad(f, (0, 1, 2)), lambda np, *a: np.sum(a[0] * a[1] ** 2) * np.sin(a[2]), *args)
    second = theirs(lambda f: jax.hessian(f, (0, 1, 2)), lambda np, *a: np.sum(a[0] * a[1] ** 2) * np.sin(a[2]), *args)
    same(tg.grad(three, argnums)(*args), pick(first))
    for mode in ("forward", "reverse"):
        same(tg.jacobian(three, argnums, mode=mode)(*args), pick(first))
    same(tg.hessian(three, argnums)(*args), pick([pick(row) for row in second]))
    if not order:
        return
    directions = pick([0.5 * X, X + 1.0, 2.0])
    flat = (directions,) if single else directions
    wanted = [
        sum(np.tensordot(second[i][j], v, np.ndim(v)) for j, v in zip(order, flat, strict=True)) for i in range(3)
    ]
    same(tg.hvp(three, argnums)(*args, directions), pick(wanted))


def test_keywords_in_every_driver() -> None:
    def f(x: Any, scale: Any = 1.0, *, table: Any = None, power: int = 2) -> Any:
        return np.sum(x**power) * scale * (1.0 if table is None else table["a"][0])

    options = {"scale": 3.0, "table": {"a": np.array([2.0, 5.0])}, "power": 3}
    near(tg.grad(f)(X, **options), 18 * X**2)
    near(tg.jacobian(f)(X, **options), 18 * X**2)
    near(tg.hessian(f)(X, **options), np.diag(36 * X))
    near(tg.hvp(f)(X, np.ones(3), **options), 36 * X)
    near(tg.hvp(f)(X, np.ones(3)), np.full(3, 2.0))
    near(tg.hessian(f)(X), 2 * np.eye(3))
    near(tg.grad(lambda x: tg.grad(f)(x, **options) @ X)(X), 36 * X * X)
    near(tg.jacobian(lambda s: tg.grad(f)(X, scale=s, power=3))(2.0), 3 * X**2)


# --- types of results


def test_single_precision_stays_single() -> None:
    x, v = X.astype(np.float32), np.ones(3, np.float32)
    points = np.stack([x, 2 * x])
    f = ours(rosenbrock)
    results = [
        tg.jacobian(f)(x),
        tg.jacobian(ours(waves), mode="reverse")(x),
        tg.hessian(f)(x),
        tg.hvp(f)(x, v),
        tg.hvp(f)(x, np.ones(3)),
        *tg.jvp(ours(waves), (x,), (v,)),
        tg.vjp(ours(waves), x)[1](np.ones((2, 3)))[0],
        tg.batch(f)(points),
        tg.batch(tg.grad(f))(points),
        tg.batch(tg.hessian(f))(points),
        tg.grad(lambda x: np.sum(tg.grad(f)(x) ** 2))(x),
    ]
    assert [r.dtype for r in results] == [np.float32] * len(results)
    near(results[2], tg.hessian(f)(X), 1e-5)
    near(results[10][1], tg.hessian(f)(2 * X), 1e-5)


def test_numbers_give_numbers() -> None:
    def cube(x: Any) -> Any:
        return x * x * x

    assert tg.hvp(cube)(2.0, 1.0) == 12.0
    assert type(tg.hvp(cube)(2.0, 1.0)) is float
    for found, wanted in [
        (tg.jacobian(cube)(2.0), 12.0),
        (tg.hessian(cube)(2.0), 12.0),
        (tg.jvp(cube, (2.0,), (1.0,))[1], 12.0),
        (tg.jacobian(cube)(np.array(2.0)), 12.0),
        (tg.batch(cube)(np.array([2.0]))[0], 8.0),
    ]:
        assert isinstance(found, float), type(found)
        assert found == wanted
    assert type(tg.hessian(cube)(np.float32(2.0))) is np.float32
    near(tg.jacobian(lambda x: np.stack([x, x**2]))(3.0), [1.0, 6.0])
    near(tg.jacobian(lambda x: [x, {"a": x * X}])(3.0)[1]["a"], X)


def test_products_with_a_direction_are_of_the_types_of_the_argument() -> None:
    p = {"a": np.float32([2.0]), "b": np.ones(2), "c": 2.0, "d": np.float32(3.0), "e": np.array(1.5)}
    direction = {"a": np.ones(1), "b": [1.0, 1.0], "c": 1, "d": 1.0, "e": 1.0}
    with pytest.raises(tg.errors.ShapeError):
        tg.hvp(lambda p: np.sum(p["a"]))(p, direction)
    direction["b"] = np.ones(2)
    found = tg.hvp(lambda p: sum(np.sum(x**3) for x in p.values()))(p, direction)
    assert found["a"].dtype == np.float32
    assert found["b"].dtype == np.float64
    assert type(found["c"]) is float
    assert type(found["d"]) is np.float32
    assert type(found["e"]) is np.ndarray
    assert [float(np.sum(v)) for v in found.values()] == [12.0, 12.0, 12.0, 18.0, 9.0]


def test_integers_and_booleans_come_back_from_points() -> None:
    points = np.array([[3.0, 1.0], [-1.0, 2.0]])
    found = tg.batch(lambda x: {"sign": x > 0, "best": x[1].astype(int), "double": 2 * x, "n": 7})(points)
    assert found["sign"].dtype == np.bool_
    assert found["sign"].tolist() == [[True, True], [False, True]]
    assert found["best"].dtype == np.int64
    assert found["best"].tolist() == [1, 2]
    assert found["n"].tolist() == [7, 7]
    assert found["double"].dtype == np.float64


# --- points: axes and kinds


@pytest.mark.parametrize(
    ("in_axes", "shapes"),
    [
        (0, ((4, 3), (4,))),
        (1, ((3, 4), (3, 4))),
        (-1, ((3, 4), (4,))),
        ((0, None), ((4, 3), (3,))),
        ((None, 0), ((3,), (4, 3))),
        ([1, 0], ((3, 4), (4, 3))),
        ((np.int64(0), -1), ((4, 3), (3, 4))),
    ],
    ids=str,
)
def test_axes_of_points(in_axes: Any, shapes: Any, rng: np.random.Generator) -> None:
    args = [rng.normal(size=s) for s in shapes]
    axes = in_axes if isinstance(in_axes, (list, tuple)) else [in_axes] * 2
    points = [[a if k is None else np.take(a, i, k) for a, k in zip(args, axes, strict=True)] for i in range(4)]
    f: Any = lambda x, y: np.sin(x) * y + np.sum(x)  # noqa: E731 - shorter than a function
    near(tg.batch(f, in_axes)(*args), np.stack([f(*p) for p in points]))
    near(
        tg.batch(tg.grad(lambda x, y: np.sum(f(x, y)), (0, 1)), in_axes)(*args)[1],
        np.stack([tg.grad(lambda x, y: np.sum(f(x, y)), 1)(*p) for p in points]),
    )


def test_integer_points_select() -> None:
    labels, scores = np.array([2, 0, -1]), np.arange(9.0).reshape(3, 3)
    near(tg.batch(lambda s, k: s[k])(scores, labels), [2.0, 3.0, 8.0])
    near(tg.batch(lambda k, x: x[k] * k, (0, None))(labels, X), X[labels] * labels)
    gradients = tg.batch(tg.grad(lambda w, k: w[k] ** 2), (None, 0))(X, labels)
    near(gradients, np.eye(3)[labels] * 2 * X)
    masks = np.array([[True, False, True], [False, False, True]])
    near(tg.batch(lambda m, x: np.sum(np.where(m, x, 0.0)), (0, None))(masks, X), np.where(masks, X, 0.0).sum(1))


def test_no_points_and_empty_arrays() -> None:
    none = np.zeros((0, 3))
    assert tg.batch(ours(rosenbrock))(none).shape == (0,)
    assert tg.batch(tg.grad(ours(rosenbrock)))(none).shape == (0, 3)
    assert tg.batch(tg.hessian(ours(quadratic)))(none).shape == (0, 3, 3)
    assert tg.batch(lambda x, y: x * y + 0.0)(np.zeros(0), np.zeros(0)).shape == (0,)
    assert tg.batch(lambda k, x: x[k])(np.zeros(0, int), none).dtype == np.float64
    nothing = np.zeros(0)
    assert tg.hessian(lambda x: np.sum(x**2))(nothing).shape == (0, 0)
    assert tg.jacobian(lambda x: np.sum(x) * X, mode="forward")(nothing).shape == (3, 0)
    assert tg.jacobian(lambda x: np.zeros((0, 2)) * np.sum(x), mode="reverse")(X).shape == (0, 2, 3)
    assert tg.hvp(lambda x: np.sum(x**2))(nothing, nothing).shape == (0,)
    assert tg.jvp(lambda x: x * 2, (nothing,), (nothing,))[1].shape == (0,)


def test_what_is_not_used_has_zeros() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.sum(x**2)

    assert tg.hessian(f, (0, 1))(X, X)[1][0].tolist() == np.zeros((3, 3)).tolist()
    assert tg.hessian(f, 1)(X, X).tolist() == np.zeros((3, 3)).tolist()
    assert tg.hvp(f, 1)(X, X, X).tolist() == [0.0] * 3
    assert tg.jvp(lambda x, y: x, (X, X), (np.zeros(3), X))[1].tolist() == [0.0] * 3
    for mode in ("forward", "reverse"):
        assert tg.jacobian(lambda x: X, mode=mode)(X).tolist() == np.zeros((3, 3)).tolist()
        assert tg.jacobian(lambda x: 5, mode=mode)(X).tolist() == [0.0] * 3
        assert tg.jacobian(lambda x: x > 0, mode=mode)(X).tolist() == np.zeros((3, 3)).tolist()
    assert tg.batch(lambda x: 2.0)(X).tolist() == [2.0] * 3
    assert tg.batch(lambda x: X)(X).tolist() == [X.tolist()] * 3
    linear = tg.hessian(lambda x: np.sum(3.0 * x))(X)
    assert linear.tolist() == np.zeros((3, 3)).tolist()


# --- recordings


def test_drivers_record_once(rng: np.random.Generator) -> None:
    def loss(x: Any, y: Any) -> Any:
        return np.sum(np.sin(x) * y) ** 2

    drivers: dict[str, Any] = {
        "grad": tg.grad,
        "hvp": lambda f: lambda x, y: tg_hvp(x, y, np.ones(3)),
        "jacobian": tg.jacobian,
        "hessian": tg.hessian,
        "batch": lambda f: tg.batch(f, (None, 0)),
    }
    for name, driver in drivers.items():
        counted = Counted(loss)
        tg_hvp = tg.hvp(counted)
        made = driver(counted)
        made(X, np.ones(3))
        first = counted.runs
        assert first >= 1, name
        for _ in range(3):
            made(rng.normal(size=3), rng.normal(size=3))
        assert counted.runs == first, name
        made(rng.normal(size=2), rng.normal(size=2)) if name != "hvp" else None
        assert counted.runs == first + (name != "hvp"), name


def test_branches_are_told_apart_in_later_calls() -> None:
    def f(x: Any) -> Any:
        return np.sum(x**3) if x[0] > 0 else np.sum(x**2)

    made = [tg.hessian(f), tg.jacobian(tg.grad(f)), lambda x: tg.batch(tg.hessian(f), (1,))(np.stack([x], 1))[0]]
    for hessian in made[:2]:
        for _ in range(2):
            near(hessian(np.abs(X)), np.diag(6 * np.abs(X)))
            near(hessian(-np.abs(X)), 2 * np.eye(3))
