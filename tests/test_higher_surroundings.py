"""What inner functions read from their surroundings: a derivative made of them is recorded anew when it changes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CapturedArrayError
from tests.models import Counted

X: Final = np.array([1.0, 2.0, 3.0])
V: Final = np.ones(3)

factor = 2.0
table = np.ones(3)


def inner(x: Any) -> Any:
    return factor * np.sum(x**3)


def through(x: Any) -> Any:
    return inner(x)


def scaled(x: Any) -> Any:
    return factor * x


made_grad = tg.grad(inner)
made_hessian = tg.hessian(through)
made_hvp = tg.hvp(inner)
made_jacobian = tg.jacobian(scaled)
made_batch = tg.batch(scaled)


class Model:
    def __init__(self) -> None:
        self.gradient = tg.grad(inner)
        self.partial = functools.partial(made_hvp, X)

    def loss(self, x: Any) -> Any:
        return np.sum(self.gradient(x))


model = Model()


def bound(driver: Callable[..., Any], call: Callable[..., Any]) -> Callable[[], Callable[[Any], Any]]:
    """What makes a driver once, and a function of x that calls it."""

    def make() -> Callable[[Any], Any]:
        made = driver()
        return lambda x: call(made, x)

    return make


def plain(driver: Callable[..., Any]) -> Callable[[], Callable[[Any], Any]]:
    return bound(driver, lambda f, x: f(x))


def doubled(f: Any, x: Any) -> Any:
    return f(np.stack([x, x]))


# Each is a function of X that is `factor` times something.
LINEAR: Final[dict[str, Callable[[], Callable[[Any], Any]]]] = {
    "grad": plain(lambda: tg.grad(inner)),
    "value_and_grad": bound(lambda: tg.value_and_grad(inner), lambda f, x: f(x)[1]),
    "hvp": bound(lambda: tg.hvp(inner), lambda f, x: f(x, V)),
    "jacobian": plain(lambda: tg.jacobian(scaled)),
    "jacobian backwards": plain(lambda: tg.jacobian(scaled, mode="reverse")),
    "hessian": plain(lambda: tg.hessian(through)),
    "batch": plain(lambda: tg.batch(scaled)),
    "batch of gradients": bound(lambda: tg.batch(tg.grad(inner)), doubled),
    "record": plain(lambda: tg.record(inner, X)),
    "jvp": plain(lambda: lambda x: tg.jvp(inner, (x,), (V,))[1]),
    "vjp": plain(lambda: lambda x: tg.vjp(scaled, x)[1](V)[0]),
    "grad of grad": plain(lambda: tg.grad(lambda x: np.sum(tg.grad(inner)(x)))),
    "grad of made grad": plain(lambda: tg.grad(lambda x: np.sum(made_grad(x)))),
    "grad of made hessian": plain(lambda: tg.grad(lambda x: np.sum(made_hessian(x)))),
    "grad of made hvp": plain(lambda: tg.grad(lambda x: np.sum(made_hvp(x, V)))),
    "grad of made jacobian": plain(lambda: tg.grad(lambda x: np.sum(made_jacobian(x) @ x))),
    "grad of made batch": plain(lambda: tg.grad(lambda x: np.sum(made_batch(x)))),
    "grad of jvp": plain(lambda: tg.grad(lambda x: tg.jvp(inner, (x,), (V,))[1])),
    "grad of vjp": plain(lambda: tg.grad(lambda x: np.sum(tg.vjp(inner, x)[1](1.0)[0]))),
    "hessian of grad": plain(lambda: tg.hessian(lambda x: np.sum(made_grad(x) * x))),
    "batch of made grad": bound(lambda: tg.batch(made_grad), doubled),
    "in an attribute": plain(lambda: tg.grad(model.loss)),
    "in a partial": plain(lambda: tg.grad(lambda x: np.sum(model.partial(x)))),
    "as an argument": bound(lambda: tg.grad(lambda x, g: np.sum(g(x))), lambda f, x: f(x, made_grad)),
    "in a list": plain(lambda: tg.grad(lambda x: np.sum(LISTED[0](x)))),
    "of plain values": plain(lambda: tg.grad(lambda x: np.sum(x * made_grad(X)))),
    "keywords": bound(lambda: tg.grad(lambda x, k: inner(x) * k), lambda f, x: f(x, k=2.0)),
    "aux": bound(lambda: tg.grad(lambda x: (np.sum(x), inner(x)), has_aux=True), lambda f, x: f(x)[1]),
}
LISTED: Final = [made_grad, made_hessian]


@pytest.mark.parametrize("name", LINEAR)
def test_a_global_of_the_inner_function(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f = LINEAR[name]()
    for _ in range(2):
        for value in (2.0, 5.0, -1.0):
            monkeypatch.setitem(globals(), "factor", 1.0)
            one = np.asarray(f(X))
            assert np.any(one)
            monkeypatch.setitem(globals(), "factor", value)
            for _ in range(2):
                np.testing.assert_allclose(f(X), value * one, rtol=1e-12)


def test_nothing_is_recorded_again_where_nothing_changes() -> None:
    counted = Counted(inner)
    drivers = [
        tg.grad(lambda x: np.sum(tg.grad(counted)(x))),
        tg.hessian(counted),
        tg.batch(tg.grad(counted)),
    ]
    for driver in drivers:
        counted.runs = 0
        first = driver(np.stack([X, X]) if driver is drivers[2] else X)
        runs = counted.runs
        for _ in range(3):
            np.testing.assert_array_equal(driver(np.stack([X, X]) if driver is drivers[2] else X), first)
        assert counted.runs == runs > 0


@pytest.mark.parametrize("driver", [tg.grad, tg.hessian, tg.jacobian], ids=lambda d: d.__name__)
@pytest.mark.parametrize("nested", [0, 1, 2])
def test_an_array_that_the_inner_function_captures_and_that_is_changed(driver: Any, nested: int) -> None:
    own = np.ones(3)
    f = [
        driver(lambda x: np.sum(own * x**2)),
        driver(lambda x: np.sum(tg.grad(lambda y: np.sum(own * y**3))(x))),
        lambda x, many=tg.batch(driver(lambda x: np.sum(own * x**2)), 1): many(np.stack([x, x], 1)),  # noqa: B008
    ][nested]
    one = np.asarray(f(X))
    for value in (3.0, -1.0):
        own[:] = value
        with pytest.raises(CapturedArrayError):
            f(X)
        np.testing.assert_allclose(f(X), value * one)


def test_a_pullback_is_of_the_function_that_gave_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    y, pullback = tg.vjp(scaled, X)
    monkeypatch.setitem(globals(), "factor", 10.0)
    assert y.tolist() == (2.0 * X).tolist()
    assert pullback(V)[0].tolist() == [2.0] * 3


def test_a_pullback_whose_captured_array_has_changed_is_refused() -> None:
    own = np.ones(3)
    _, pullback = tg.vjp(lambda x: x * own, X)
    own[0] = 5.0
    with pytest.raises(CapturedArrayError):
        pullback(V)


# --- what functions and objects reach


class Base:
    base = 3.0


class Config(Base):
    rate = 2.0


class Thing:
    klass = 4.0

    def __init__(self) -> None:
        self.weight = 5.0
        self.inner = SimpleNamespace(depth=6.0, further=SimpleNamespace(deeper=7.0))

    @property
    def twice(self) -> Any:
        return 2.0 * self.weight

    @staticmethod
    def static(x: Any) -> Any:
        return Config.rate * x

    @classmethod
    def of_class(cls, x: Any) -> Any:
        return cls.klass * x

    def method(self, x: Any) -> Any:
        return self.weight * x

    def deep(self, x: Any) -> Any:
        return self.inner.further.deeper * x

    def calls(self, x: Any) -> Any:
        return self.method(x) + self.deep(x)


@dataclass(slots=True)
class Slotted:
    rate: Any = 2.0


class Maker:
    def __init__(self, x: Any) -> None:
        self.x = factor * x


def chain(x: Any, thing: Any) -> Any:
    return thing.calls(x)


CHANGES: Final[dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]]] = {
    "a class's attribute": (lambda x, t: Config.rate * x, lambda m, t: m.setattr(Config, "rate", 9.0)),
    "a base's attribute": (lambda x, t: Config.base * x, lambda m, t: m.setattr(Base, "base", 9.0)),
    "an attribute of the class": (lambda x, t: t.klass * x, lambda m, t: m.setattr(Thing, "klass", 9.0)),
    "one that hides the class's": (lambda x, t: t.klass * x, lambda m, t: setattr(t, "klass", 9.0)),
    "a property": (lambda x, t: t.twice * x, lambda m, t: setattr(t, "weight", 9.0)),
    "a static method": (lambda x, t: t.static(x), lambda m, t: m.setattr(Config, "rate", 9.0)),
    "a class method": (lambda x, t: t.of_class(x), lambda m, t: m.setattr(Thing, "klass", 9.0)),
    "a method": (lambda x, t: t.method(x), lambda m, t: setattr(t, "weight", 9.0)),
    "an object within": (lambda x, t: t.inner.depth * x, lambda m, t: setattr(t.inner, "depth", 9.0)),
    "an object within one": (lambda x, t: t.deep(x), lambda m, t: setattr(t.inner.further, "deeper", 9.0)),
    "methods of methods": (lambda x, t: t.calls(x), lambda m, t: setattr(t.inner.further, "deeper", 9.0)),
    "an object replaced": (lambda x, t: t.deep(x), lambda m, t: setattr(t, "inner", SimpleNamespace(further=Deeper))),
    "a function that is given it": (lambda x, t: chain(x, t), lambda m, t: setattr(t, "weight", 9.0)),  # noqa: PLW0108
    "what makes objects": (lambda x, t: Maker(x).x, lambda m, t: m.setitem(globals(), "factor", 9.0)),
}
Deeper: Final = SimpleNamespace(deeper=9.0)


@pytest.mark.parametrize("way", ["argument", "closure", "list", "partial"])
@pytest.mark.parametrize("name", CHANGES)
def test_what_is_reached_through_objects(name: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    f, change = CHANGES[name]
    thing = Thing()
    things = [thing]
    gradient = {
        "argument": lambda: functools.partial(tg.grad(lambda t, x: f(x, t), 1), thing),
        "closure": lambda: tg.grad(lambda x: f(x, thing)),
        "list": lambda: tg.grad(lambda x: f(x, things[0])),
        "partial": lambda: tg.grad(functools.partial(f, t=thing)),
    }[way]()
    for _ in range(2):
        assert gradient(1.5) == pytest.approx(f(1.0, thing))
    before = f(1.0, thing)
    change(monkeypatch, thing)
    assert f(1.0, thing) != before
    for _ in range(2):
        assert gradient(1.5) == pytest.approx(f(1.0, thing))


def test_slots() -> None:
    thing = Slotted()
    for gradient in (tg.grad(lambda x: thing.rate * x), functools.partial(tg.grad(lambda t, x: t.rate * x, 1), thing)):
        thing.rate = 2.0
        assert gradient(1.0) == 2.0
        thing.rate = 3.0
        assert gradient(1.0) == 3.0


def test_functions_in_containers_and_as_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    functions = {"a": [scaled], "b": scaled}
    made = [
        tg.grad(lambda x: 1.0 * functions["b"](x)),
        functools.partial(tg.grad(lambda f, x: f(x), 1), scaled),
        functools.partial(tg.grad(lambda f, x: f(x), 1), functools.partial(scaled)),
        functools.partial(tg.grad(lambda f, x: f["a"][0](x), 1), {"a": [scaled]}),
        tg.grad(lambda x, f=scaled: f(x)),
        tg.grad(lambda x, *, f=scaled: f(x)),
    ]
    for f in made:
        assert f(1.0) == 2.0
    monkeypatch.setitem(globals(), "factor", 7.0)
    for f in made:
        assert f(1.0) == 7.0


def test_long_chains_and_circles_of_objects() -> None:
    first: Any = SimpleNamespace(value=1.0)
    last = first
    for _ in range(5000):
        last.following = SimpleNamespace(value=1.0)
        last = last.following
    last.following = first
    gradient = tg.grad(lambda x: first.following.following.value * x)
    assert gradient(1.0) == 1.0
    first.following.following.value = 5.0
    assert gradient(1.0) == 5.0


def test_what_the_function_counts_itself_is_no_reason() -> None:
    class Counter:
        total = 0

        def __call__(self, x: Any) -> Any:
            self.total += 1
            Counter.total += 1
            return x * x

    counter = Counter()
    gradient = tg.grad(counter)
    assert [gradient(float(k)) for k in range(4)] == [0.0, 2.0, 4.0, 6.0]
    assert counter.total == 1
