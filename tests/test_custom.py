"""`elementwise`: scalar functions of the user's as ops: values, derivatives, layouts, tiles, drivers, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numba
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import trace
from tapegrad.errors import CapturedArrayError, GradientCheckError, UnsupportedError
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import Runner
from tests.models import place

rate = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A function with and without partials, and what it is in JAX."""

    name: str
    made: Any
    wanted: Callable[..., Any]

    @property
    def count(self) -> int:
        return int(self.made.count)

    def __str__(self) -> str:
        return self.name


def slope(x: Any) -> Any:
    return 1.0 / (1.0 + math.exp(-x))


def slope_of_slope(x: Any) -> Any:
    s = compiled_slope(x)
    return s * (1.0 - s)


compiled_slope: Final = numba.njit(slope)


@tg.elementwise(partials=[tg.elementwise(compiled_slope, partials=[slope_of_slope])])
def softplus(x: Any) -> Any:
    """A branch, a loop and math: what only the compiler can read."""
    return x if x > 30.0 else math.log1p(math.exp(x))


def power_by_loop(x: Any) -> Any:
    result = 1.0
    for _ in range(3):
        result *= x
    return result


def loop_slope(x: Any) -> Any:
    return 3.0 * x * x


def loop_curvature(x: Any) -> Any:
    return 6.0 * x


CASES: Final = (
    Case("softplus", softplus, lambda x: jnp.logaddexp(x, 0.0)),
    Case(
        "loop",
        tg.elementwise(power_by_loop, partials=[tg.elementwise(loop_slope, partials=[tg.elementwise(loop_curvature)])]),
        lambda x: x**3,
    ),
    Case("wave", tg.elementwise(lambda x: np.sin(x) * np.exp(-x)), lambda x: jnp.sin(x) * jnp.exp(-x)),
    Case("number", tg.elementwise(lambda x: 2.0), lambda x: 0.0 * x + 2.0),
    Case("identity", tg.elementwise(lambda x: x), lambda x: x),
    Case("product", tg.elementwise(lambda x, y: x * np.tanh(y)), lambda x, y: x * jnp.tanh(y)),
    Case(
        "hypotenuse",
        tg.elementwise(
            lambda x, y: math.sqrt(x * x + y * y),
            partials=[lambda x, y: x / np.sqrt(x * x + y * y), lambda x, y: y / np.sqrt(x * x + y * y)],
        ),
        lambda x, y: jnp.sqrt(x * x + y * y),
    ),
    Case(
        "one partial",
        tg.elementwise(lambda x, y: x * x * y, partials=[lambda x, y: 2.0 * x * y, None]),
        lambda x, y: x * x * y,
    ),
    Case("second only", tg.elementwise(lambda x, y: np.cos(y)), lambda x, y: 0.0 * x + jnp.cos(y)),
    Case("three", tg.elementwise(lambda x, y, z: x * y + np.sin(z) * x), lambda x, y, z: x * y + jnp.sin(z) * x),
    Case(
        "three with partials",
        tg.elementwise(
            lambda a, x, b: a * x * x + b,
            partials=[lambda a, x, b: x * x, lambda a, x, b: 2.0 * a * x, lambda a, x, b: 1.0],
        ),
        lambda a, x, b: a * x * x + b,
    ),
)

# By the number of operands: every way to broadcast, and nothing at all.
SHAPES: Final[dict[int, tuple[tuple[tuple[int, ...], ...], ...]]] = {
    1: (((),), ((7,),), ((2, 3),), ((0,),), ((1, 1),)),
    2: (
        ((), ()),
        ((5,), ()),
        ((), (5,)),
        ((3, 1), (4,)),
        ((2, 3), (3,)),
        ((0, 3), (3,)),
        ((1,), (1,)),
        ((2, 3), (2, 1)),
    ),
    3: (
        ((), (), ()),
        ((5,), (5,), (5,)),
        ((5,), (), ()),
        ((), (), (5,)),
        ((3, 1), (4,), (2, 1, 1)),
        ((2, 3), (3,), (2, 1)),
        ((0, 3), (3,), ()),
    ),
}


def operands(shapes: Any, dtype: Any = np.float64) -> list[Any]:
    rng = np.random.default_rng(len(shapes) + sum(map(len, shapes)))
    return [np.asarray(rng.uniform(0.2, 2.0, s), dtype) for s in shapes]


def loss(f: Callable[..., Any], weigh: Any = np) -> Callable[..., Any]:
    """A scalar of it in which each entry has a weight of its own."""

    def weighted(*args: Any) -> Any:
        y = f(*args)
        return weigh.sum(y * (1.0 + np.arange(y.size).reshape(y.shape)))

    return weighted


def plain(tree: Any) -> Any:
    """JAX's arrays as NumPy's."""
    return jax.tree.map(np.asarray, tree)


def near(found: Any, wanted: Any, rtol: float = 1e-11) -> None:
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case: Case) -> None:
    places = tuple(range(case.count))
    for shapes in SHAPES[case.count]:
        single = operands(shapes, np.float32)
        wide = [np.asarray(a, np.float64) for a in single]
        with jax.enable_x64(True):
            wanted = np.asarray(case.wanted(*wide))
            gradients = plain(jax.grad(loss(case.wanted, jnp), places)(*wide))
        for args, dtype, rtol in ((wide, np.float64, 1e-11), (single, np.float32, 2e-5)):
            eager = case.made(*args)
            near(eager, wanted, rtol)
            assert np.asarray(eager).dtype == dtype
            value, found = tg.value_and_grad(loss(case.made), places)(*args)
            near(value, np.sum(wanted * (1.0 + np.arange(wanted.size).reshape(wanted.shape))), 10 * rtol)
            for f, w, a in zip(found, gradients, args, strict=True):
                near(f, w, 20 * rtol)
                assert (f.shape, f.dtype) == (a.shape, dtype)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_second_derivatives_and_all_drivers(case: Case) -> None:
    args = operands([(3,)] * case.count)
    places = tuple(range(case.count))
    ours, theirs = loss(case.made), loss(case.wanted, jnp)
    with jax.enable_x64(True):
        hessian = plain(jax.hessian(theirs, places)(*args))
        jacobian = plain(jax.jacobian(case.wanted, places)(*args))
    found = tg.hessian(ours, places)(*args)
    for row, wanted in zip(found, hessian, strict=True):
        for f, w in zip(row, wanted, strict=True):
            near(f, w, 1e-9)
    for mode in ("forward", "reverse"):
        for f, w in zip(tg.jacobian(case.made, places, mode=mode)(*args), jacobian, strict=True):
            near(f, w)
    directions = tuple(np.linspace(-1.0, 1.0, 3) + k for k in places)
    pushed = sum(j @ v for j, v in zip(jacobian, directions, strict=True))
    near(tg.jvp(case.made, tuple(args), directions)[1], pushed)
    seeds = np.array([1.0, -2.0, 0.5])
    for f, j in zip(tg.vjp(case.made, *args)[1](seeds), jacobian, strict=True):
        near(f, seeds @ j)
    points = [np.stack([a, 2 * a, a + 1]) for a in args]
    each = [case.made(*p) for p in zip(*points, strict=True)]
    near(tg.batch(case.made)(*points), each)
    near(tg.batch(tg.grad(ours))(*points), [tg.grad(ours)(*p) for p in zip(*points, strict=True)])
    if case.count > 1:
        in_axes = (0, *[None] * (case.count - 1))
        near(tg.batch(case.made, in_axes)(points[0], *args[1:]), [case.made(p, *args[1:]) for p in points[0]])


def test_third_derivatives_by_partials_of_partials() -> None:
    f = CASES[1].made
    x = np.array([0.5, -2.0])
    near(tg.jacobian(tg.hessian(lambda x: np.sum(f(x))))(x)[1, 1, 1], 6.0)
    assert tg.grad(tg.grad(tg.grad(f)))(4.0) == pytest.approx(6.0)
    assert tg.grad(tg.grad(tg.grad(tg.grad(f))))(4.0) == 0.0


# --- layouts, tiles, threads


@pytest.mark.parametrize("k", range(3))
@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[::2],
        lambda x: x[::-1],
        lambda x: x[::-3, ::-1],
        lambda x: x.T[:, ::2].T if hasattr(x, "T") else x,
        lambda x: np.transpose(x)[::-1],
        lambda x: np.broadcast_to(x[0], (6, 4)),
        lambda x: x[:, 1],
        lambda x: x[2:5, 1:3],
        lambda x: x[3],
    ],
    ids=[
        "steps",
        "backwards",
        "both backwards",
        "transposed steps",
        "transposed",
        "broadcast",
        "column",
        "window",
        "row",
    ],
)
def test_operands_as_they_lie(view: Callable[[Any], Any], k: int) -> None:
    f, g = CASES[9].made, CASES[9].wanted
    x = np.random.default_rng(1).normal(size=(6, 4))

    def apply(module: Any, f: Any, x: Any) -> Any:
        args: list[Any] = [0.5, 1.5, 0.25]
        args[k] = view(x) if module is np else x
        return module.sum(f(*args) ** 2)

    with jax.enable_x64(True):
        wanted = jax.grad(lambda x: apply(jnp, g, x))(view(x))
        _, pull = jax.vjp(lambda x: jnp.asarray(view_of(view, x)), x)
        wanted = pull(wanted)[0]
    near(tg.grad(lambda x: apply(np, f, x))(x), wanted)


def view_of(view: Callable[[Any], Any], x: Any) -> Any:
    """The view in JAX: by the places of its elements."""
    places = view(np.arange(24).reshape(6, 4))
    return x.ravel()[places.ravel()].reshape(places.shape)


@pytest.mark.parametrize("height", [1, 3, 64, None])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", [c for c in CASES if c.name not in {"number", "identity"}], ids=str)
def test_in_tiles(case: Case, dtype: Any, height: int | None) -> None:
    rows = 200
    rng = np.random.default_rng(2)
    data = rng.normal(size=(rows, 3)).astype(dtype)
    w = rng.uniform(0.5, 1.5, 3).astype(dtype)

    def model(f: Any, module: Any, w: Any, data: Any) -> Any:
        first = f(*[data * w + 0.1 * k for k in range(case.count)])
        second = f(*[module.sum(first, axis=1), *[w[0]] * (case.count - 1)])
        return module.mean(second * first[:, 1])

    arguments = bind((w, data), (0,))
    tape = trace(lambda w, x: model(case.made, np, w, x), arguments, scalar=True).tape
    full = optimize(adjoint(optimize(tape)), drop_stops=True)
    value, gradient = Runner(schedule(full, height=height))(arguments.inputs)
    with jax.enable_x64(True):
        wide = w.astype(np.float64), data.astype(np.float64)
        wanted = jax.value_and_grad(lambda w, x: model(case.wanted, jnp, w, x))(*wide)
    rtol = 1e-9 if dtype == np.float64 else 2e-3
    near(value, wanted[0], rtol)
    near(gradient, wanted[1], rtol)


@pytest.mark.parametrize("threads", [1, 2])
def test_many_rows_on_threads(threads: int) -> None:
    data = np.random.default_rng(3).uniform(-2.0, 2.0, (50_000, 4))
    before = tg.num_threads()
    try:
        tg.set_num_threads(threads)
        value, gradient = tg.value_and_grad(lambda w: np.mean(softplus(data @ w) ** 2))(np.array([1.0, -0.5, 0.2, 2.0]))
    finally:
        tg.set_num_threads(before)
    z = data @ np.array([1.0, -0.5, 0.2, 2.0])
    y, s = np.logaddexp(z, 0.0), 1 / (1 + np.exp(-z))
    near(value, np.mean(y**2), 1e-9)
    near(gradient, 2 * (y * s) @ data / len(z), 1e-9)


def test_a_long_scalar_program() -> None:
    def f(x: Any) -> Any:
        for _ in range(50):
            x = softplus(x) - 0.5
        return x

    with jax.enable_x64(True):

        def g(x: Any) -> Any:
            for _ in range(50):
                x = jnp.logaddexp(x, 0.0) - 0.5
            return x

        wanted = jax.value_and_grad(g)(0.7)
    near(tg.value_and_grad(f)(0.7), wanted, 1e-10)


def test_masked_where_it_is_not_taken() -> None:
    log = tg.elementwise(lambda x: math.log(x), partials=[lambda x: 1.0 / x])  # noqa: PLW0108 - numba wants Python
    x = np.array([1.0, 0.0, 2.0])
    for f in (log, tg.elementwise(lambda x: np.log(x))):  # noqa: PLW0108 - the same
        near(tg.grad(lambda x, f=f: np.sum(np.where(x > 0, f(x), 0.0)))(x), [1.0, 0.0, 0.5])
        assert np.isinf(tg.grad(lambda x, f=f: np.sum(f(x)))(x)[1])


def test_guards_on_its_value_and_integer_operands() -> None:
    f = tg.grad(lambda x, k: softplus(x) * k if softplus(x) > 1.0 else softplus(x * k))
    for _ in range(2):
        near(f(2.0, np.array(3)), 3 * slope(2.0))
        near(f(0.1, np.array(3)), 3 * slope(0.3))
    near(softplus(np.arange(3)), np.logaddexp(np.arange(3), 0.0))
    near(
        tg.grad(lambda x, flags: np.sum(softplus(flags) * x))(1.0, np.array([True, False])), np.log1p(np.e) + np.log(2)
    )


def test_used_by_hand_on_numbers_and_arrays() -> None:
    assert softplus.__name__ == "softplus"
    assert "only the compiler" in softplus.__doc__
    assert repr(softplus) == "<tapegrad.elementwise softplus>"
    assert softplus(0.0) == np.log(2.0)
    assert type(softplus(0.0)) is np.float64
    assert type(softplus(np.float32(0.0))) is np.float32
    assert softplus(np.zeros((2, 0))).shape == (2, 0)
    near(CASES[5].made(np.ones((3, 1)), np.ones(2)), np.full((3, 2), np.tanh(1.0)))


# --- what it reads from outside


def test_a_global_that_changes_is_compiled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    f = tg.elementwise(lambda x: rate * x * x)
    g = tg.elementwise(lambda x: x**3, partials=[lambda x: rate * x])
    gradients = [tg.value_and_grad(lambda x, f=f: np.sum(f(x))) for f in (f, g)]
    x = np.array([1.0, 2.0])
    for value in (2.0, 5.0, 2.0, -1.0):
        monkeypatch.setitem(globals(), "rate", value)
        for _ in range(2):
            near(f(x), value * x * x)
            near(gradients[0](x)[0], 5 * value)
            near(gradients[0](x)[1], 2 * value * x)
            near(gradients[1](x)[1], value * x)


def test_a_captured_array_that_changes_is_noticed() -> None:
    table = np.array([1.0, 10.0])
    f = tg.elementwise(lambda x: table[0] * x + table[1], partials=[lambda x: table[0]])
    gradient = tg.value_and_grad(f)
    assert gradient(2.0) == (12.0, 1.0)
    table[:] = 3.0, 20.0
    with pytest.raises(CapturedArrayError):
        gradient(2.0)
    assert gradient(2.0) == (26.0, 3.0)
    assert f(2.0) == 26.0


# --- errors


def nowhere(x: Any) -> Any:  # here
    return x.somewhere()


ERRORS: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "no numbers": (lambda: tg.elementwise(lambda: 1.0), "a function of 0 numbers; wanted one of 1 to 3"),
    "four numbers": (lambda: tg.elementwise(lambda a, b, c, d: a), "a function of 4 numbers; wanted one of 1 to 3"),
    "too many partials": (
        lambda: tg.elementwise(lambda x: x, partials=[None, None]),
        "elementwise: found 2 partials of <lambda>; wanted one for each of its 1 numbers",
    ),
    "a builtin": (lambda: tg.elementwise(math.sin), "found a builtin_function_or_method; wanted a function written in"),
    "a ufunc": (lambda: tg.elementwise(np.sin), "elementwise: found a ufunc; wanted a function written in Python"),
    "an attribute": (lambda: tg.elementwise(nowhere)(1.0), "nowhere, where it says: Unknown attribute 'somewhere'"),
    "a Python function": (
        lambda: tg.elementwise(lambda x: slope(x) + nowhere(x))(1.0),
        "where it says: Untyped global name 'slope'",
    ),
    "an unknown name": (lambda: tg.elementwise(lambda x: unknown(x))(1.0), "NameError: name 'unknown' is not defined"),  # noqa: F821, PLW0108
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_cannot_be_compiled(name: str) -> None:
    call, words = ERRORS[name]
    with pytest.raises(UnsupportedError) as caught:
        call()
    assert words in str(caught.value)


def test_the_line_of_what_cannot_be_compiled() -> None:
    with pytest.raises(UnsupportedError) as caught:
        tg.grad(tg.elementwise(nowhere))(1.0)
    assert str(caught.value).endswith(f"(at {place(nowhere)})")


def test_a_partial_that_cannot_be_found() -> None:
    def f(x: Any) -> Any:
        return np.sum(absolute(x))  # here

    absolute = tg.elementwise(lambda x: x if x > 0 else -x)
    near(absolute(np.array([-1.0])), [1.0])
    for driver in (tg.grad, tg.jacobian, tg.hessian):
        with pytest.raises(UnsupportedError) as caught:
            driver(f)(np.ones(2))
        assert "no partial of <lambda> to its argument 0, and code that cannot be recorded" in str(caught.value)
        assert str(caught.value).endswith(f"(at {place(f, '# here')})")
    assert tg.record(f, np.ones(2))(np.array([-1.0, 2.0])) == 3.0


def test_code_that_goes_beyond_single_elements_needs_partials() -> None:
    """Recorded for one number, it would be something else for arrays."""
    f = tg.elementwise(lambda x, y: np.array([x, y]).sum())
    with pytest.raises(UnsupportedError, match=r"no partial of <lambda>|that numba compiles"):
        tg.grad(lambda x: np.sum(f(x, 2.0)))(np.ones(3))


def test_wrong_partials_are_found() -> None:
    wrong = tg.elementwise(lambda x: x * x, partials=[lambda x: x])
    with pytest.raises(GradientCheckError):
        tg.check_grad(lambda x: np.sum(wrong(x)), np.ones(3))
    right = tg.elementwise(lambda x: x * x, partials=[lambda x: 2.0 * x])
    assert tg.check_grad(lambda x: np.sum(right(x)), np.ones(3)) < 1


def test_a_wrong_number_of_operands() -> None:
    with pytest.raises(TypeError, match=r"softplus\(\) takes 1 arguments, not 2"):
        tg.grad(lambda x: softplus(x, x))(1.0)


def test_shapes_that_do_not_broadcast() -> None:
    def f(x: Any) -> Any:
        return np.sum(CASES[5].made(x, np.ones(2)))  # here

    with pytest.raises(tg.errors.ShapeError) as caught:
        tg.grad(f)(np.ones(3))
    assert "shapes (3,) and (2,)" in str(caught.value)
    assert str(caught.value).endswith(f"(at {place(f, '# here')})")


@pytest.mark.parametrize("threads", [1, 2])
def test_an_exception_raised_by_compiled_code_is_the_users(threads: int) -> None:
    def positive(x: Any) -> Any:
        if x < 0:
            raise ValueError("negative")
        return x * x

    f = tg.elementwise(positive, partials=[lambda x: 2.0 * x])
    gradient = tg.grad(lambda x: np.sum(f(x)))
    before = tg.num_threads()
    try:
        tg.set_num_threads(threads)
        for x in (np.array([1.0, 2.0]), np.array(3.0), np.ones(200_000)):
            for sign in (1.0, -1.0, 1.0):
                if sign < 0:
                    with pytest.raises(ValueError, match="negative"):
                        gradient(sign * x)
                else:
                    near(gradient(x), 2 * x)
    finally:
        tg.set_num_threads(before)
    with pytest.raises(ValueError, match="negative"):
        tg.grad(f)(-1.0)
    assert tg.grad(f)(1.0) == 2.0
