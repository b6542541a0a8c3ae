"""`primitive`: functions with rules, recorded or called, under every driver, at many points; what rules do wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, GradientCheckError, ShapeError, TapegradError, UnsupportedError
from tests.models import Counted, place

X: Final = np.array([0.5, -1.0, 2.0])
Y: Final = np.array([1.5, 0.3, -0.7])
factor = 2.0


def plain(a: Any) -> Any:
    """An array that no rule can be recorded through: NumPy wants values for it."""
    return np.frombuffer(np.ascontiguousarray(a).tobytes()).reshape(np.shape(a)) if np.size(a) else np.asarray(a)


def make(vjp: str = "", jvp: str = "") -> Any:
    """f(x, y) = x**2 * sin(y), whose function only values go through; rules are "recorded", "called" or missing."""

    @tg.primitive
    def f(x: Any, y: Any) -> Any:
        return plain(x) ** 2 * np.sin(plain(y))

    if vjp:
        through: Any = plain if vjp == "called" else (lambda a: a)
        f.defvjp(lambda g, _, x, y: (through(2 * g * x * np.sin(y)), through(g * x**2 * np.cos(y))))
    if jvp:
        out: Any = plain if jvp == "called" else (lambda a: a)
        f.defjvp(lambda t, _, x, y: out(2 * x * np.sin(y) * t[0] + x**2 * np.cos(y) * t[1]))
    return f


def reference(x: Any, y: Any) -> Any:
    """The same, by ops."""
    return x**2 * np.sin(y)


KINDS: Final = [
    ("recorded", "recorded"),
    ("recorded", ""),
    ("", "recorded"),
    ("called", "called"),
    ("called", ""),
    ("", "called"),
    ("recorded", "called"),
    ("called", "recorded"),
]


def near(found: Any, wanted: Any, rtol: float = 1e-11) -> None:
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for f, w in zip(found, wanted, strict=True):
            near(f, w, rtol)
        return
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


BOTH: Final = np.stack([X, 2 * X, Y, X + 1.0])
SEEDS: Final = np.array([1.0, -2.0, 0.5])

# What needs reverse (r) or forward (f) rules, and how often they are differentiated themselves.
DRIVERS: Final[dict[str, tuple[str, Callable[[Any], Any]]]] = {
    "grad": ("r", lambda f: tg.grad(lambda x, y: np.sum(f(x, y) ** 2), (0, 1))(X, Y)),
    "grad by one": ("r", lambda f: tg.grad(lambda y: np.sum(f(X, y) * SEEDS))(Y)),
    "vjp": ("r", lambda f: tg.vjp(f, X, Y)[1](SEEDS)),
    "jacobian backwards": ("r", lambda f: tg.jacobian(f, (0, 1), mode="reverse")(X, Y)),
    "batch of grad": ("r", lambda f: tg.batch(tg.grad(lambda x, y: np.sum(f(x, y))))(BOTH, BOTH)),
    "grad of batch": ("r", lambda f: tg.grad(lambda x, y: np.sum(tg.batch(f, (0, None))(x, y) ** 2), (0, 1))(BOTH, Y)),
    "batch of jacobian": ("r", lambda f: tg.batch(tg.jacobian(f, (0, 1), mode="reverse"))(BOTH, BOTH)),
    "jacobian of batch": ("r", lambda f: tg.jacobian(tg.batch(f, (None, 0)), (0, 1), mode="reverse")(X, BOTH)),
    "batch of batch": ("", lambda f: tg.batch(tg.batch(f, (0, None)), (None, 0))(BOTH, BOTH)),
    "grad of batch of batch": (
        "r",
        lambda f: tg.grad(lambda x, y: np.sum(tg.batch(tg.batch(f, (0, None)), (None, 0))(x, y) ** 2), (0, 1))(
            BOTH, BOTH
        ),
    ),
    "jvp": ("f", lambda f: tg.jvp(f, (X, Y), (SEEDS, Y))),
    "jacobian forwards": ("f", lambda f: tg.jacobian(f, (1, 0), mode="forward")(X, Y)),
    "jvp of batch": ("f", lambda f: tg.jvp(tg.batch(f, (0, None)), (BOTH, Y), (BOTH, X))[1]),
    "batch of jvp": ("f", lambda f: tg.batch(lambda x, y: tg.jvp(f, (x, y), (y, x))[1], (0, None))(BOTH, Y)),
    "hvp": ("rf2", lambda f: tg.hvp(lambda x: np.sum(f(x, Y) ** 2))(X, SEEDS)),
    "hessian": ("rf2", lambda f: tg.hessian(lambda x, y: np.sum(f(x, y) ** 2), (0, 1))(X, Y)),
    "grad of grad": ("r2", lambda f: tg.grad(lambda x: np.sum(tg.grad(lambda y: np.sum(f(x, y) ** 2))(Y)))(X)),
    "hessian of batch": ("rf2", lambda f: tg.hessian(lambda y: np.sum(tg.batch(f, (0, None))(BOTH, y) ** 2))(Y)),
    "batch of hessian": ("rf2", lambda f: tg.batch(tg.hessian(lambda x: np.sum(f(x, Y) ** 2)))(BOTH)),
    "third": ("rf3", lambda f: tg.jacobian(tg.hessian(lambda x: np.sum(f(x, Y) ** 2)))(X)),
    "value": ("", lambda f: tg.record(f, X, Y)(X, Y)),
    "batch": (
        "",
        lambda f: [tg.batch(f)(BOTH, BOTH), tg.batch(f, (0, None))(BOTH, Y), tg.batch(f, (None, 0))(X, BOTH)],
    ),
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: f"vjp {k[0] or 'none'}, jvp {k[1] or 'none'}")
def test_under_every_driver(driver: str, kind: tuple[str, str]) -> None:
    """What a missing rule does not give, its transpose does; what is called has no second derivative."""
    needs, call = DRIVERS[driver]
    vjp, jvp = kind
    reverse = vjp or ("recorded" if jvp == "recorded" else "")
    forward = jvp or ("recorded" if vjp == "recorded" else "")
    found = make(*kind)
    missing = ("r" in needs and not reverse) or ("f" in needs and not forward)
    twice = ("2" in needs and reverse == "called") or ("3" in needs and "called" in {reverse, forward})
    if missing or twice:
        with pytest.raises(UnsupportedError) as caught:
            call(found)
        words = str(caught.value)
        assert "which has no rule for" in words or "a derivative of the rule, which calls what cannot" in words
        assert __file__ in words
        return
    near(call(found), call(reference))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_rules_that_are_called_are_linear_in_their_seed(mode: str) -> None:
    """So the derivative along it needs no more than rules."""
    f = make("called", "called")
    mixed = tg.jacobian(lambda w: tg.grad(lambda x: np.sum(f(x, Y) * w))(X), mode=mode)
    wanted = np.diag(2 * X * np.sin(Y))
    near(mixed(SEEDS), wanted)
    near(tg.batch(mixed)(BOTH), [wanted] * 4)
    many = tg.jacobian(lambda w: tg.batch(tg.grad(lambda x, w: np.sum(f(x, Y) * w)), (0, None))(BOTH, w), mode=mode)
    near(many(SEEDS), [np.diag(2 * x * np.sin(Y)) for x in BOTH])
    pushed = tg.jacobian(lambda v: tg.jvp(lambda x: f(x, Y), (X,), (v,))[1], mode=mode)
    near(pushed(SEEDS), wanted)
    only = make("called")
    if mode == "forward":
        with pytest.raises(UnsupportedError, match="no rule for reverse derivatives"):
            tg.grad(lambda v: np.sum(tg.jvp(lambda x: make("", "called")(x, Y), (X,), (v,))[1]))(SEEDS)
    else:
        with pytest.raises(UnsupportedError, match="no rule for forward derivatives"):
            tg.jacobian(lambda w: tg.grad(lambda x: np.sum(only(x, Y) * w))(X), mode=mode)(SEEDS)


def test_the_rule_that_is_missing_is_named() -> None:
    def f(x: Any) -> Any:
        return np.sum(bare(x, x))  # here

    bare = make("", "called")
    with pytest.raises(UnsupportedError) as caught:
        tg.grad(f)(X)
    assert str(caught.value) == (
        "tapegrad.primitive: found f, which has no rule for reverse derivatives; "
        f"wanted one: @f.defvjp (at {place(f, '# here')})"
    )
    bare = make("called")
    with pytest.raises(UnsupportedError) as caught:
        tg.jacobian(f, mode="forward")(X)
    assert "no rule for forward derivatives; wanted one: @f.defjvp" in str(caught.value)
    with pytest.raises(UnsupportedError) as caught:
        tg.grad(lambda x: np.sum(tg.grad(f)(x)))(X)
    assert str(caught.value).startswith("f.vjp: found a derivative of the rule, which calls what cannot be recorded")


def test_broadcast_between_arguments_is_the_rules_business() -> None:
    @tg.primitive
    def scale(x: Any, s: Any) -> Any:
        return plain(x) * s

    scale.defvjp(lambda g, _, x, s: (g * s, np.sum(g * x)))
    gx, gs = tg.grad(lambda x, s: np.sum(scale(x, s) ** 2), (0, 1))(X, 3.0)
    near(gx, 18 * X)
    near(gs, 6 * np.sum(X**2))
    assert type(gs) is float
    assert tg.check_grad(lambda x, s: np.sum(scale(x, s) ** 2), X, 3.0, argnums=(0, 1)) < 1
    each = tg.batch(tg.grad(lambda s, x: np.sum(scale(x, s) ** 2)), (0, None))(np.array([1.0, 2.0]), X)
    near(each, 2 * np.array([1.0, 2.0]) * np.sum(X**2))
    near(tg.hessian(lambda s: np.sum(scale(X, s) ** 2))(3.0), 2 * np.sum(X**2))


@pytest.mark.parametrize("recorded", [True, False])
def test_rules_that_return_none(recorded: bool) -> None:
    through: Any = (lambda a: a) if recorded else plain

    @tg.primitive
    def f(a: Any, k: Any, b: Any) -> Any:
        return plain(a) * k + 0.0 * plain(b)

    f.defvjp(lambda g, _, a, k, b: (None, None, through(g * 5.0)))
    a, b = tg.grad(lambda a, b: np.sum(f(a, 3, b)), (0, 1))(X, Y)
    assert a.tolist() == [0.0] * 3
    assert b.tolist() == [5.0] * 3
    f.defjvp(lambda t, _, a, k, b: None if recorded else through(t[0] * k))
    pushed = tg.jvp(lambda a: f(a, 3, Y), (X,), (np.ones(3),))[1]
    assert pushed.tolist() == ([0.0] * 3 if recorded else [3.0] * 3)


def test_integer_and_boolean_arguments() -> None:
    seen = []

    @tg.primitive
    def pick(x: Any, k: Any, mask: Any) -> Any:
        seen.append((np.asarray(k).dtype.kind, np.asarray(mask).dtype.kind))
        return np.where(mask, plain(x)[k], 0.0)

    @pick.defvjp
    def _(g: Any, _: Any, x: Any, k: Any, mask: Any) -> Any:
        found = np.zeros(x.shape)
        np.add.at(found, np.asarray(k), np.where(mask, g, 0.0))
        return found, None, None

    index, mask = np.array([2, 0, 2]), np.array([True, False, True])
    f = tg.grad(lambda x, k, m: np.sum(pick(x, k, m) * np.array([1.0, 2.0, 3.0])))
    for _ in range(2):
        assert f(X, index, mask).tolist() == [0.0, 0.0, 4.0]
        assert f(X, index, ~mask).tolist() == [2.0, 0.0, 0.0]
    assert set(seen) == {("i", "b")}
    each = tg.batch(lambda x, k: pick(x, k, mask), (None, 0))(X, np.stack([index, index[::-1], 0 * index]))
    assert each.tolist() == [[2.0, 0.0, 2.0], [2.0, 0.0, 2.0], [0.5, 0.0, 0.5]]
    gradients = tg.batch(tg.grad(lambda x, k: np.sum(pick(x, k, mask))), (None, 0))(X, np.stack([index, 0 * index]))
    assert gradients.tolist() == [[0.0, 0.0, 2.0], [2.0, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", [("recorded", "recorded"), ("called", "called")])
def test_single_precision(kind: tuple[str, str], dtype: Any) -> None:
    seen = []

    @tg.primitive
    def f(x: Any) -> Any:
        seen.append(x.dtype)
        return np.tanh(np.asarray(x))

    through: Any = (lambda a: a) if kind[0] == "recorded" else (lambda a: np.asarray(a, dtype=a.dtype).copy())
    f.defvjp(lambda g, y, x: (through(g * (1 - y * y)),))
    x = X.astype(dtype)
    value, g = tg.value_and_grad(lambda x: np.sum(f(x)))(x)
    assert (value.dtype, g.dtype) == (dtype, dtype)
    assert set(seen) == {np.dtype(dtype)}
    near(g, 1 - np.tanh(X) ** 2, 1e-6)


def test_shapes_that_are_empty_or_of_no_axes() -> None:
    @tg.primitive
    def total(x: Any) -> Any:
        return np.sum(np.asarray(x) ** 2)

    total.defvjp(lambda g, _, x: (np.asarray(2.0 * g) * np.asarray(x),))
    for x in (np.zeros(0), np.zeros((2, 0)), X, np.array(3.0), np.ones((2, 3))):
        value, g = tg.value_and_grad(total)(x)
        near(value, np.sum(x**2))
        near(g, 2 * x)
    assert tg.grad(total)(3.0) == 6.0
    assert tg.batch(total)(np.zeros((0, 3))).shape == (0,)
    assert tg.batch(tg.grad(total))(np.zeros((0, 3))).shape == (0, 3)
    shared = tg.grad(lambda y, x: np.sum(tg.batch(lambda p, y: total(y) * p, (0, None))(x, y)))(X, np.zeros(0))
    assert shared.tolist() == [0.0] * 3

    @tg.primitive
    def empty(x: Any) -> Any:
        return np.asarray(x)[:0]

    empty.defvjp(lambda g, _, x: (np.zeros(np.asarray(x).shape),))
    near(tg.grad(lambda x: np.sum(empty(x)) + np.sum(x))(X), [1.0] * 3)


def test_a_point_shared_by_no_points_at_all() -> None:
    for kind in (("called", "called"), ("recorded", "recorded")):
        f = make(*kind)
        g = tg.grad(lambda y, x, f=f: np.sum(tg.batch(f, (0, None))(x, y)))
        assert g(Y, np.zeros((0, 3))).tolist() == [0.0] * 3


def test_a_function_that_takes_a_gradient_inside() -> None:
    """Newton's method within the primitive, its gradient by tapegrad; the rule by the implicit function theorem."""

    def equation(z: Any, a: Any) -> Any:
        return z**3 + a * z - 1.0

    step = tg.value_and_grad(equation)

    @tg.primitive
    def root(a: Any) -> Any:
        z = 1.0
        for _ in range(50):
            value, slope = step(z, a)
            z = z - value / slope
        return np.float64(z)

    @root.defvjp
    def _(g: Any, z: Any, a: Any) -> Any:
        return (-g * tg.grad(equation, 1)(z, a) / tg.grad(equation)(z, a),)

    assert tg.check_grad(lambda a: root(a) ** 2, 0.8) < 1
    z = root(0.8)
    slope = -z / (3 * z * z + 0.8)
    near(tg.grad(root)(0.8), slope)
    curvature = -(slope * (3 * z * z + 0.8) - z * (6 * z * slope + 1)) / (3 * z * z + 0.8) ** 2
    near(tg.hessian(root)(0.8), curvature)
    near(tg.batch(tg.grad(root))(np.array([0.8, 0.8])), [slope] * 2)


def summed(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: np.sum(f(x))


def test_a_rule_made_of_another_primitive() -> None:
    @tg.primitive
    def sine(x: Any) -> Any:
        return np.sin(plain(x))

    @tg.primitive
    def cosine(x: Any) -> Any:
        return np.cos(plain(x))

    sine.defvjp(lambda g, _, x: (g * cosine(x),))
    cosine.defvjp(lambda g, _, x: (-g * sine(x),))
    f: Any = lambda x: np.sum(sine(x))  # noqa: E731 - it is replaced
    signs = [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]
    for wanted in signs:
        f = tg.grad(f)
        near(f(X), wanted(X))
        f = summed(f)


def test_rules_are_recorded_once_and_functions_not_called_for_examples() -> None:
    """A solver may take for ever on values that no one gave it."""
    values = []

    @tg.primitive
    def f(x: Any) -> Any:
        values.append(float(np.asarray(x)))
        return np.exp(np.asarray(x))

    counted = Counted(lambda g, y, x: (g * f(x),))
    f.defvjp(counted)
    g = tg.grad(f)
    for x in (7.0, 8.0, 9.0):
        near(g(x), np.exp(x))
    assert set(values) <= {7.0, 8.0, 9.0}
    assert counted.runs == 1


# --- what a function does to its arguments


def test_arguments_belong_to_the_function() -> None:
    kept = []

    @tg.primitive
    def f(x: Any) -> Any:
        kept.append(x)
        x *= 2.0
        return x

    @f.defvjp
    def _(g: Any, y: Any, x: Any) -> Any:
        kept.extend([g, y, x])
        g = np.asarray(g)
        g *= 2.0
        y[...] = np.nan
        return (g,)

    x = X.copy()
    h = tg.value_and_grad(lambda x: np.sum(f(x) * f(x + 1.0)))
    for _ in range(3):
        value, g = h(x)
        near(value, np.sum(4 * X * (X + 1)))
        near(g, 4 * (2 * X + 1))
        assert x.tolist() == X.tolist()
    before = [np.array(a) for a in kept if isinstance(a, np.ndarray)]
    h(x + 5.0)
    for a, b in zip([a for a in kept if isinstance(a, np.ndarray)], before, strict=False):
        np.testing.assert_array_equal(a, b)


# --- surroundings


@pytest.mark.parametrize("called", [False, True])
def test_what_functions_and_rules_read_is_watched(called: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    through: Any = plain if called else (lambda a: a)
    number = np.array(2.0)

    @tg.primitive
    def f(x: Any) -> Any:
        return np.asarray(x) * factor * number

    f.defvjp(lambda g, _, x: (through(g * factor * number),))
    f.defjvp(lambda t, _, x: through(t[0] * factor * number))
    h = tg.value_and_grad(lambda x: np.sum(f(x)))
    j = tg.jacobian(lambda x: f(x)[0] * 1.0, mode="forward")
    nested = tg.grad(lambda x: np.sum(tg.grad(lambda y: np.sum(f(y) * x))(Y) * x))
    for value in (2.0, 5.0):
        monkeypatch.setitem(globals(), "factor", value)
        for scale in (1.0, 3.0):
            number[...] = scale
            near(h(X)[0], np.sum(X) * value * scale)
            near(h(X)[1], [value * scale] * 3)
            near(j(X), [value * scale, 0.0, 0.0])
            near(nested(X), 2 * X * value * scale)


def test_another_rule_is_another_function() -> None:
    f = make("recorded")
    g = tg.grad(lambda x: np.sum(f(x, Y)))
    near(g(X), 2 * X * np.sin(Y))
    f.defvjp(lambda g, _, x, y: (7.0 * g, None))
    near(g(X), [7.0] * 3)


# --- what goes wrong


def broken(**rules: Any) -> Any:
    f = tg.primitive(lambda x: np.asarray(x) * 2.0)
    f.name = "double"
    for name, rule in rules.items():
        getattr(f, f"def{name}")(rule)
    return f


WRONG: Final[dict[str, tuple[Any, str, type[TapegradError], str]]] = {
    "no tuple": (
        broken(vjp=lambda g, y, x: 2 * g),
        "grad",
        DtypeError,
        "double.vjp: found a ndarray; wanted a tuple of one derivative, or None, for each of 1 arguments",
    ),
    "no tuple, called": (broken(vjp=lambda g, y, x: plain(2 * g)), "grad", DtypeError, "double.vjp: found a ndarray"),
    "none": (broken(vjp=lambda g, y, x: None), "grad", DtypeError, "double.vjp: found a NoneType; wanted a tuple"),
    "too many": (broken(vjp=lambda g, y, x: (g, g)), "grad", DtypeError, "double.vjp: found 2 derivatives; wanted"),
    "too few": (broken(vjp=lambda g, y, x: ()), "grad", DtypeError, "double.vjp: found 0 derivatives; wanted"),
    "shape": (
        broken(vjp=lambda g, y, x: (np.sum(2 * g),)),
        "grad",
        ShapeError,
        "double.vjp: found shape () for argument 0; wanted shape (3,)",
    ),
    "shape, called": (
        broken(vjp=lambda g, y, x: (plain(2 * g)[:2],)),
        "grad",
        ShapeError,
        "double.vjp: found a result of shape (2,); wanted shape (3,), as when it was recorded",
    ),
    "complex": (
        broken(vjp=lambda g, y, x: (plain(2 * g) * 1j,)),
        "grad",
        DtypeError,
        "double.vjp: found a result of dtype complex128; wanted floats",
    ),
    "text": (broken(vjp=lambda g, y, x: ("text",)), "grad", DtypeError, "double.vjp: found a result of dtype <U4"),
    "tangent's shape": (
        broken(jvp=lambda t, y, x: np.stack([t[0], t[0]])),
        "jvp",
        ShapeError,
        "double.jvp: found shape (2, 3); wanted shape (3,)",
    ),
    "tangent's shape, called": (
        broken(jvp=lambda t, y, x: plain(t[0])[:1]),
        "jvp",
        ShapeError,
        "double.jvp: found a result of shape (1,); wanted shape (3,)",
    ),
    "tangents as a tuple": (
        broken(jvp=lambda t, y, x: (t[0],)),
        "jvp",
        ShapeError,
        "double.jvp: found a result of shape (1, 3); wanted shape (3,)",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_rules_that_return_something_else(name: str) -> None:
    f, driver, kind, words = WRONG[name]

    def use(x: Any) -> Any:
        return np.sum(f(x) * x)  # here

    for _ in range(2):
        with pytest.raises(TapegradError) as caught:
            tg.grad(use)(X) if driver == "grad" else tg.jvp(use, (X,), (X,))
        assert type(caught.value) is kind
        assert words in str(caught.value)
        assert str(caught.value).endswith(f"(at {place(use, '# here')})")


RESULTS: Final[dict[str, tuple[Callable[[Any], Any], str]]] = {
    "integers": (lambda x: np.arange(3), "a result of dbl, of dtype int64; wanted one floating array"),
    "complex": (lambda x: 1j * x, "a result of dbl, of dtype complex128; wanted one floating array"),
    "a tuple": (lambda x: (x, x), "a result of dbl, tuple; wanted one floating array"),
    "none": (lambda x: None, "a result of dbl, NoneType; wanted one floating array"),
}


@pytest.mark.parametrize("name", RESULTS)
def test_functions_that_return_something_else(name: str) -> None:
    function, words = RESULTS[name]
    f = tg.primitive(function, vjp=lambda g, y, x: (g,))
    f.name = "dbl"

    def use(x: Any) -> Any:
        return np.sum(f(x))  # here

    with pytest.raises(DtypeError) as caught:
        tg.grad(use)(X)
    assert words in str(caught.value)
    assert str(caught.value).endswith(f"(at {place(use, '# here')})")


def test_a_shape_that_hangs_on_values() -> None:
    @tg.primitive
    def positive(x: Any) -> Any:
        x = np.asarray(x)
        return x[x > 0]

    positive.defvjp(lambda g, y, x: (np.asarray(x) > 0,))

    def use(x: Any) -> Any:
        return np.sum(positive(x))  # here

    g = tg.grad(use)
    assert g(np.array([1.0, -1.0, 2.0])).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(ShapeError) as caught:
        g(np.array([1.0, 1.0, 2.0]))
    words = "positive: found a result of shape (3,); wanted shape (2,), as when it was recorded"
    assert str(caught.value) == f"{words} (at {place(use, '# here')})"
    assert g(np.array([-1.0, 1.0, 2.0])).tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("where", ["first call", "later call", "rule", "many points"])
def test_exceptions_of_the_users_pass_through(where: str) -> None:
    class MineError(Exception):
        pass

    wrong = [False]

    def look() -> None:
        if wrong[0]:
            raise MineError("mine")

    @tg.primitive
    def f(x: Any) -> Any:
        if where != "rule":
            look()
        return np.asarray(x) ** 2

    @f.defvjp
    def _(g: Any, _: Any, x: Any) -> Any:
        if where == "rule":
            look()
        return (2.0 * np.asarray(g) * x,)

    h: Any = tg.grad(lambda x: np.sum(f(x)))
    if where == "many points":
        h = tg.batch(h)
    x = np.stack([X, Y]) if where == "many points" else X
    if where != "first call":
        near(h(x), 2 * x)
    wrong[0] = True
    for _ in range(2):
        with pytest.raises(MineError, match="mine"):
            h(x)
    wrong[0] = False
    for _ in range(2):
        near(h(x), 2 * x)


@pytest.mark.parametrize("args", [([X, X],), ({"a": X},), ("text",), (None,), ((1.0, 2.0),)], ids=str)
def test_arguments_that_are_no_arrays(args: Any) -> None:
    f = tg.primitive(lambda x, y: x, vjp=lambda g, r, x, y: (g, None))
    f.name = "first"
    with pytest.raises(DtypeError) as caught:
        tg.grad(lambda x: np.sum(f(x, *args)))(X)
    kind = type(args[0]).__name__
    assert f"found argument 1 of first, of type {kind}; wanted arrays and numbers" in str(caught.value)


def test_variables_in_containers_are_refused_and_not_recorded_through() -> None:
    f = tg.primitive(lambda xs: xs[0] * 2.0, vjp=lambda g, r, xs: (g,))
    for given in (lambda x: [x], lambda x: {0: x}, lambda x: (x, 1.0)):
        with pytest.raises(DtypeError, match=r"tapegrad.primitive: found argument 0"):
            tg.grad(lambda x, given=given: np.sum(f(given(x))))(X)


def test_wrong_rules_are_found() -> None:
    wrong = broken(vjp=lambda g, y, x: (3 * g,))
    with pytest.raises(GradientCheckError):
        tg.check_grad(lambda x: np.sum(wrong(x)), X)


def test_a_rule_that_is_not_linear_is_not_transposed() -> None:
    f = broken(vjp=lambda g, y, x: (2.0 * g * g,))
    with pytest.raises(UnsupportedError, match="no rule for forward derivatives"):
        tg.jvp(f, (X,), (X,))


def test_a_singular_matrix_in_a_function() -> None:
    @tg.primitive
    def solve(a: Any) -> Any:
        return np.linalg.inv(np.asarray(a))

    solve.defvjp(lambda g, y, a: (-y.T @ g @ y.T,))
    f = tg.grad(lambda a: np.sum(solve(a)))
    good = np.array([[2.0, 1.0], [0.0, 1.0]])
    wanted = f(good)
    with pytest.raises(np.linalg.LinAlgError, match="solve: found Singular matrix"):
        f(np.zeros((2, 2)))
    near(f(good), wanted)


def test_used_by_hand() -> None:
    f = make("recorded")
    near(f(X, Y), reference(X, Y))
    assert f.__name__ == "f"
    assert repr(f) == "<tapegrad.primitive f>"
    g = tg.primitive(vjp=lambda g, y, x: (g * 3.0,))(lambda x: np.asarray(x) * 3.0)
    assert tg.grad(lambda x: np.sum(g(x)))(X).tolist() == [3.0] * 3
    with pytest.raises(TypeError):
        g(X, k=3)
