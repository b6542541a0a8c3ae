"""Misuse of the drivers: each error names the operation, what was found, what was wanted and the user's line."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import (
    ConversionError,
    DtypeError,
    LeakedVariableError,
    SettingError,
    ShapeError,
    TapegradError,
    UnsupportedError,
)

X: Final = np.array([1.0, 2.0, 3.0])
FORM: Final = re.compile(r".+: found .+; wanted .+ \(at .+:\d+\)", re.DOTALL)
HERE: Final = __file__


def norm(x: Any) -> Any:
    return np.sum(x**2)


def nothing() -> Any:
    return 1.0


def branch(x: Any) -> Any:
    return x if x > 0 else -x


def entangled(x: Any, y: Any) -> Any:
    return np.sum(x * y)


CASES: Final[dict[str, tuple[Callable[[], Any], type[TapegradError], str]]] = {
    # directions
    "jvp: shape": (
        lambda: tg.jvp(norm, (X,), (np.ones(2),)),
        ShapeError,
        "jvp: found a tangent of shape (2,) for args[0]; wanted shape (3,)",
    ),
    "jvp: shape of the second": (
        lambda: tg.jvp(entangled, (X, X), (X, 1.0)),
        ShapeError,
        "jvp: found a tangent of shape () for args[1]; wanted shape (3,)",
    ),
    "jvp: structure": (
        lambda: tg.jvp(lambda p: norm(p["a"]), ({"a": X},), ({"b": X},)),
        ShapeError,
        "jvp: found a tangent of another structure than args[0]; wanted the structure of the argument",
    ),
    "jvp: none": (lambda: tg.jvp(entangled, (X, X), (X, None)), ShapeError, "another structure than args[1]"),
    "jvp: number": (
        lambda: tg.jvp(norm, (X,), (X, X)),
        ShapeError,
        "jvp: found 1 arguments and 2 tangents; wanted a tangent for each argument",
    ),
    "jvp: no tuples": (
        lambda: tg.jvp(norm, X, X),
        DtypeError,
        "jvp: found arguments of type ndarray and tangents of type ndarray; wanted tuples",
    ),
    "jvp: integers": (
        lambda: tg.jvp(norm, (np.arange(3),), (X,)),
        DtypeError,
        "found args[0], an array of dtype int64; wanted floating parameters",
    ),
    "jvp: an int": (
        lambda: tg.jvp(norm, (3,), (1.0,)),
        DtypeError,
        "found args[0], of type int; wanted floating parameters",
    ),
    "jvp: text": (lambda: tg.jvp(norm, (X,), ("text",)), DtypeError, "found an array of dtype <U4; wanted floats"),
    "jvp: complex": (lambda: tg.jvp(norm, (X,), (1j * X,)), DtypeError, "found an array of dtype complex128"),
    "jvp: nothing": (lambda: tg.jvp(lambda: 1.0, (), ()), DtypeError, "jvp: found no floating array"),
    "hvp: shape": (
        lambda: tg.hvp(norm)(X, np.ones((3, 1))),
        ShapeError,
        "hvp: found a tangent of shape (3, 1) for args[0]; wanted shape (3,)",
    ),
    "hvp: structure": (lambda: tg.hvp(norm)(X, [X]), ShapeError, "hvp: found a tangent of another structure"),
    "hvp: no direction": (
        lambda: tg.hvp(norm)(X),
        ShapeError,
        "hvp: found 1 positional arguments; wanted those of the function and, last, a direction",
    ),
    "hvp: one direction of two": (
        lambda: tg.hvp(entangled, (0, 1))(X, X, X),
        ShapeError,
        "hvp: found one direction; wanted a tuple of 2 directions",
    ),
    "hvp: no scalar": (lambda: tg.hvp(np.sin)(X, X), ShapeError, "a result of shape (3,); wanted a scalar result"),
    "hvp: integers": (lambda: tg.hvp(norm)(np.arange(3), X), DtypeError, "found args[0], an array of dtype int64"),
    # seeds within a recorded function
    "vjp: shape": (
        lambda: tg.grad(lambda x: norm(tg.vjp(np.sin, x)[1](np.ones(2))[0]))(X),
        ShapeError,
        "pullback: found a seed of shape (2,); wanted y's shape (3,)",
    ),
    "vjp: structure": (
        lambda: tg.grad(lambda x: norm(tg.vjp(np.sin, x)[1]([x])[0]))(X),
        ShapeError,
        "pullback: found a seed of another structure; wanted the structure of y",
    ),
    "vjp: number": (
        lambda: tg.vjp(lambda x: (x, x), X)[1]((X,)),
        ShapeError,
        "pullback: found a seed of another structure",
    ),
    # jacobian, hessian
    "jacobian: mode": (
        lambda: tg.jacobian(norm, mode="fwd"),
        SettingError,
        'jacobian: found mode=\'fwd\'; wanted "forward", "reverse" or None',
    ),
    "jacobian: an int": (
        lambda: tg.jacobian(norm)(3),
        DtypeError,
        "jacobian: found no floating array among the arguments; wanted floating parameters to differentiate by",
    ),
    "jacobian: integers": (
        lambda: tg.jacobian(norm)({"a": [np.arange(3)]}),
        DtypeError,
        "found args[0]['a'][0], an array of dtype int64; wanted floating parameters",
    ),
    "jacobian: text": (lambda: tg.jacobian(entangled)("text", X), DtypeError, "found args[0], of type str"),
    "jacobian: complex": (lambda: tg.jacobian(norm)(1j * X), DtypeError, "complex arrays are not supported yet"),
    "jacobian: complex result": (lambda: tg.jacobian(lambda x: 1j * np.ones(2))(X), DtypeError, "complex128"),
    "jacobian: text result": (
        lambda: tg.jacobian(lambda x: {"a": x, "b": "text"})(X),
        DtypeError,
        "found a result of type str; wanted a result made of arrays or numbers",
    ),
    "hessian: an int": (lambda: tg.hessian(norm)(3), DtypeError, "hessian: found no floating array"),
    "hessian: no scalar": (
        lambda: tg.hessian(np.sin)(X),
        ShapeError,
        "a result of shape (3,); wanted a scalar result, of shape (): use sum, mean, or tapegrad.jacobian",
    ),
    "hessian: a container": (lambda: tg.hessian(lambda x: [norm(x)])(X), ShapeError, "a result that is a container"),
    "inner grad: no scalar": (
        lambda: tg.grad(lambda x: np.sum(tg.grad(np.sin)(x)))(X),
        ShapeError,
        "differentiate: found a result of shape (3,); wanted a scalar result",
    ),
    "inner grad: integers": (
        lambda: tg.grad(lambda x, k: np.sum(x) * tg.grad(norm)(k))(X, np.arange(3)),
        DtypeError,
        "found args[0], an array of dtype int64; wanted floating parameters",
    ),
    "inner grad: an int": (
        lambda: tg.grad(lambda x: tg.grad(lambda y: y * x)(3))(1.0),
        DtypeError,
        "found args[0] = 3 of type int; wanted float64 or float32 parameters",
    ),
    # points
    "batch: numbers of points": (
        lambda: tg.batch(entangled)(np.ones((2, 3)), np.ones((4, 3))),
        ShapeError,
        "batch: found arrays of [2, 4] points; wanted arrays of one number of points",
    ),
    "batch: no axis": (
        lambda: tg.batch(entangled)(X, 2.0),
        ShapeError,
        "batch: found points along axis 0 of an array of shape (); wanted an axis that it has",
    ),
    "batch: too far an axis": (
        lambda: tg.batch(norm, 2)(np.ones((2, 3))),
        ShapeError,
        "batch: found points along axis 2 of an array of shape (2, 3)",
    ),
    "batch: too few axes": (
        lambda: tg.batch(entangled, (0,))(X, X),
        ShapeError,
        "batch: found in_axes=(0,) for 2 arguments; wanted an integer for each argument, None for some of them",
    ),
    "batch: none": (lambda: tg.batch(norm, None)(X), ShapeError, "batch: found in_axes=None for 1 arguments"),
    "batch: all none": (lambda: tg.batch(entangled, (None, None))(X, X), ShapeError, "found in_axes=(None, None)"),
    "batch: no arguments": (lambda: tg.batch(nothing)(*[]), ShapeError, "batch: found in_axes=0 for 0 arguments"),
    "batch: a container of axes": (lambda: tg.batch(norm, ({"a": 0},))(X), ShapeError, "found in_axes=({'a': 0},)"),
    "batch: text for axes": (lambda: tg.batch(norm, "0")(X), ShapeError, "found in_axes='0' for 1 arguments"),
    "batch: a float for an axis": (lambda: tg.batch(norm, 0.0)(X), ShapeError, "found in_axes=0.0 for 1 arguments"),
    "batch: keywords": (
        lambda: tg.batch(entangled)(X, y=X),
        UnsupportedError,
        "batch: found keyword arguments ['y']; wanted positional arguments, which in_axes tells of",
    ),
    "batch: a branch": (
        lambda: tg.batch(branch)(X),
        UnsupportedError,
        "batch: found a branch on a value that differs from point to point (if, while, int(), an index)",
    ),
    "batch: a branch further in": (
        lambda: tg.batch(tg.grad(branch))(X),
        UnsupportedError,
        "found a branch on a value that differs",
    ),
    "batch: no numbers": (lambda: tg.batch(norm)("text"), ShapeError, "batch: found no floating array"),
    "batch: text among arrays": (lambda: tg.batch(norm)({"a": X, "b": "text"}), DtypeError, "dtype <U4"),
    "batch: complex": (lambda: tg.batch(norm)(1j * X), DtypeError, "complex arrays are not supported yet"),
    "batch: shapes": (
        lambda: tg.batch(entangled)(np.ones((4, 3)), np.ones((4, 2))),
        ShapeError,
        "multiply: found shapes (3,) and (2,); wanted shapes that broadcast",
    ),
    # aux
    "has_aux: no pair": (
        lambda: tg.grad(norm, has_aux=True)(X),
        DtypeError,
        "differentiate: found a result of type Variable; wanted with has_aux=True a pair: (value, aux)",
    ),
    "has_aux: three": (
        lambda: tg.grad(lambda x: (norm(x), 1, 2), has_aux=True)(X),
        DtypeError,
        "found a result of type tuple; wanted with has_aux=True a pair",
    ),
    "has_aux: no pair within": (
        lambda: tg.grad(lambda x: np.sum(tg.grad(norm, has_aux=True)(x)[0]))(X),
        DtypeError,
        "with has_aux=True a pair: (value, aux)",
    ),
    "has_aux: no scalar": (
        lambda: tg.grad(lambda x: (x, 1), has_aux=True)(X),
        ShapeError,
        "found a result of shape (3,); wanted a scalar result",
    ),
    "a pair without has_aux": (lambda: tg.grad(lambda x: (norm(x), 1))(X), ShapeError, "found a result of type tuple"),
    # values
    "float()": (
        lambda: tg.grad(lambda x: float(tg.grad(norm)(x)[0]) * x[0])(X),
        ConversionError,
        "float(): found a Variable that is being differentiated",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_misuse(name: str) -> None:
    call, kind, words = CASES[name]
    lines, first = inspect.getsourcelines(call)
    for _ in range(2):
        with pytest.raises(TapegradError) as caught:
            call()
        assert isinstance(caught.value, kind)
        text = str(caught.value)
        assert words in text
        assert FORM.fullmatch(text), text
        line = int(text.rsplit(":", 1)[1].rstrip(")"))
        starts = [
            (first, first + len(lines)),
            *((f.__code__.co_firstlineno, f.__code__.co_firstlineno + 2) for f in (norm, branch, entangled)),
        ]
        assert HERE in text, text
        assert any(a <= line <= b for a, b in starts), text


@pytest.mark.parametrize(
    "call",
    [
        lambda: tg.jacobian(norm, 3)(X),
        lambda: tg.hessian(norm, (0, 0))(X),
        lambda: tg.hvp(norm, -2)(X, X),
        lambda: tg.grad(lambda x: np.sum(tg.grad(norm, 1)(x)))(X),
    ],
)
def test_argnums_that_are_not_there(call: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="argnums: found"):
        call()


MADE: Final[dict[str, Callable[[Any], Any]]] = {
    "jacobian": tg.jacobian(np.sin),
    "hessian": tg.hessian(norm),
    "hvp": lambda x: tg.hvp(norm)(x, X),
    "batch": tg.batch(norm),
    "grad": tg.grad(norm),
    "jvp": lambda x: tg.jvp(np.sin, (x,), (X,))[1],
    "jvp's tangent": lambda x: tg.jvp(np.sin, (X,), (x,))[1],
    "vjp": lambda x: tg.vjp(np.sin, x)[1](X)[0],
    "vjp's seed": lambda x: tg.vjp(np.sin, X)[1](x)[0],
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("short", [False, True])
def test_a_variable_kept_and_used_later(name: str, short: bool) -> None:
    kept = []

    def f(x: Any) -> Any:
        kept.append(x)
        return np.sum(x)

    made = MADE[name]
    if short:
        made(X)
        made(X)
    tg.grad(f)(X)
    with pytest.raises((LeakedVariableError, DtypeError)) as caught:
        np.sum(made(kept[0]))
    assert type(caught.value) is LeakedVariableError, str(caught.value)
    assert "recording" in str(caught.value)


@pytest.mark.parametrize("name", MADE)
def test_a_driver_works_after_misuse(name: str) -> None:
    made = MADE[name]
    wanted = made(X)
    for wrong in (1j * X, "text", np.array(["a"]), object()):
        with pytest.raises((TapegradError, TypeError)):
            made(wrong)
    np.testing.assert_array_equal(made(X), wanted)


def test_an_exception_of_the_user_passes_through_every_driver() -> None:
    class MineError(Exception):
        pass

    def f(x: Any) -> Any:
        if x[0] < 0:
            raise MineError("mine")
        return np.sum(x**2)

    made = [
        tg.hessian(f),
        tg.jacobian(f),
        tg.grad(lambda x: np.sum(tg.grad(f)(x))),
        tg.batch(lambda k, x: f(x), (0, None)),
    ]
    for driver in made[:3]:
        wanted = driver(X)
        for _ in range(2):
            with pytest.raises(MineError, match="mine"):
                driver(-X)
            np.testing.assert_array_equal(driver(X), wanted)
    with pytest.raises(MineError):
        made[3](X, -X)
    assert made[3](X, X).tolist() == [14.0] * 3
