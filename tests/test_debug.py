"""`debug=True`: the instruction and the line to blame for a nan or an infinity, and no one else."""

from __future__ import annotations

import threading
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import NonFiniteError
from tests.models import Counted, place

X: Final = np.array([1.0, 2.0, 3.0])


def fault(f: Any, *args: Any, **options: Any) -> str:
    """What is said of a gradient."""
    with pytest.raises(NonFiniteError) as caught:
        tg.grad(f, debug=True)(*args, **options)
    return str(caught.value)


def test_in_the_forward_sweep() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        z = np.log(x)  # here
        return np.sum(y * z)

    assert fault(f, np.array([1.0, -1.0])) == (
        f"log in the forward sweep: found nan at [1] of -1.0; wanted finite values (at {place(f, '# here')})"
    )


def test_in_the_reverse_sweep() -> None:
    def f(x: Any) -> Any:
        y = np.sqrt(x)  # here
        return np.sum(y)

    words = fault(f, np.array([[4.0, 0.0]]))
    assert words.startswith("divide in the reverse sweep: found inf at [0, 1] of 0.5, 0.0; wanted finite derivatives")
    assert words.endswith(f"(at {place(f, '# here')})")
    assert tg.grad(f)(np.array([4.0, 0.0]))[1] == np.inf  # without debug it is what it is


def test_the_first_of_several() -> None:
    def f(x: Any) -> Any:
        first = np.log(-x)  # here
        second = 1.0 / (first - first)
        return np.sum(np.sqrt(second))

    assert fault(f, X).endswith(f"found nan at [0] of -1.0; wanted finite values (at {place(f, '# here')})")


@pytest.mark.parametrize(
    ("f", "x", "words"),
    [
        (lambda x: np.sum(np.exp(x) * np.exp(x)), np.array([400.0]), "multiply in the forward sweep: found inf at [0]"),
        (np.sum, np.full(3, 1e308), "sum in the forward sweep: found inf"),
        (lambda x: np.mean(x[:0]), X, "divide in the forward sweep: found nan of 0.0, 0.0"),
        (lambda x: np.max(np.log(-x)), X, "log in the forward sweep: found nan at [0] of -1.0"),
        (lambda x: np.sum(np.log(x[np.array([1, 0])])), -X, "log in the forward sweep: found nan at [0] of -2.0"),
        (lambda x: sum(np.log(x[k]) for k in range(3)), np.array([1.0, 0.0, 2.0]), "found -inf of 0.0"),
        (lambda x: x**0.5, 0.0, "in the reverse sweep"),
        (lambda x: np.arcsin(x), 1.0, "in the reverse sweep"),  # noqa: PLW0108
        (lambda x: np.sum(np.outer(x, x) @ np.outer(x, x)), np.full(2, 1e100), "in the forward sweep: found inf"),
        (lambda x: np.sum(np.exp(x)), np.float32([100.0]), "exp in the forward sweep: found inf at [0] of 100.0"),
    ],
)
def test_where_it_comes_from(f: Any, x: Any, words: str) -> None:
    assert words in fault(f, x)


def test_an_argument() -> None:
    def f(p: Any, data: Any, k: Any = 1.0) -> Any:
        return np.sum(p["w"][0] * data["x"][1]) * np.sum(k)

    p, data = {"w": [X]}, {"n": 3, "x": [X.copy(), X.copy()]}
    gradient = tg.grad(f, debug=True)
    assert gradient(p, data)["w"][0].tolist() == X.tolist()
    data["x"][1][1] = np.nan
    for _ in range(2):
        with pytest.raises(NonFiniteError) as caught:
            gradient(p, data)
        assert str(caught.value).startswith("args[1]['x'][1]: found nan at [1]; wanted finite values (at ")
        assert __file__ in str(caught.value)
    data["x"][1][1] = 1.0
    data["x"][0][:] = np.inf  # nobody reads it
    gradient(p, data)
    assert fault(f, {"w": [X * np.inf]}, data).startswith("args[0]['w'][0]: found inf at [0]")
    assert fault(f, p, data, k=np.nan).startswith("k: found nan; wanted finite values")
    assert fault(f, p, data, k=np.array([[1.0, -np.inf]])).startswith("k: found -inf at [0, 1]")


def test_a_captured_constant() -> None:
    table = np.array([1.0, np.inf])

    def f(x: Any) -> Any:
        return np.sum(x * table)  # here

    words = fault(f, np.ones(2))
    assert words == f"a constant: found inf at [1]; wanted finite values (at {place(f, '# here')})"


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(np.where(x > 1.5, np.log(x - 1.5), 0.0)),
        lambda x: np.sum(np.where(x > 1.5, np.sqrt(x - 1.5), x)),
        lambda x: np.sum(np.log(x - 1.5)[1:]),
        lambda x: np.sum(1.0 / np.exp(1000.0 * tg.stop_gradient(x))) + np.sum(x),
        lambda x: np.sum(np.where(np.array([True, True, True]), x, np.nan)),
        lambda x: np.min(np.stack([np.sum(x), np.inf])),
    ],
)
def test_what_does_no_harm_is_no_fault(f: Any) -> None:
    gradient = tg.grad(f, debug=True)
    for _ in range(3):
        assert np.isfinite(gradient(X)).all()


def test_later_calls() -> None:
    counted = Counted(lambda x: np.sum(np.log(x)))
    gradient = tg.value_and_grad(counted, debug=True)
    for _ in range(3):
        assert gradient(X)[1].tolist() == (1 / X).tolist()
        with pytest.raises(NonFiniteError, match="log in the forward sweep: found nan at"):
            gradient(np.array([1.0, -2.0, 3.0]))
    assert counted.runs == 1


def test_the_value_alone() -> None:
    with pytest.raises(NonFiniteError, match="log in the forward sweep: found -inf"):
        tg.value_and_grad(lambda x: np.sum(np.log(x)) * 1.0 + 0.0 * np.sum(x), debug=True)(np.array([0.0]))
    with pytest.raises(NonFiniteError, match="found inf"):
        tg.grad(lambda x, y: x * 2.0 + y, debug=True)(1.0, np.inf)


def test_branches() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.log(x)) if x[0] > 0 else np.sum(np.sqrt(x))

    gradient = tg.grad(f, debug=True)
    for _ in range(2):
        assert gradient(X).tolist() == (1 / X).tolist()
        with pytest.raises(NonFiniteError, match="log"):
            gradient(np.array([1.0, -1.0]))
        with pytest.raises(NonFiniteError, match="sqrt"):
            gradient(-X)


def test_aux_may_be_anything() -> None:
    gradient = tg.grad(
        lambda x: (np.sum(np.log(x)), {"nan": np.log(x - 2.0), "n": np.arange(3), "s": "text", "i": x > 1}),
        has_aux=True,
        debug=True,
    )
    for _ in range(3):
        g, aux = gradient(X)
        assert g.tolist() == (1 / X).tolist()
        assert np.isnan(aux["nan"][0])
        with pytest.raises(NonFiniteError, match=r"found nan at \[0\] of -1[.]0"):
            gradient(-X)


def test_functions_of_the_users_bear_their_names() -> None:
    @tg.primitive
    def solver(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.log(x)

    solver.defvjp(lambda g, _, x: (g / x,))

    def f(x: Any) -> Any:
        return np.sum(solver(x))  # here

    assert fault(f, -X).startswith("solver in the forward sweep: found nan at [0]")
    assert fault(f, -X).endswith(f"(at {place(f, '# here')})")
    scalar = tg.elementwise(lambda x: np.log(x))  # noqa: PLW0108 - numba wants Python
    scalar.name = "scalar"
    assert fault(lambda x: np.sum(scalar(x)), -X).startswith("scalar in the forward sweep: found nan at [0] of -1.0")


def test_gradients_of_gradients() -> None:
    def f(x: Any) -> Any:
        return np.sum(tg.grad(lambda y: np.sum(np.sqrt(y)))(x))  # here

    words = fault(f, np.array([1.0, 0.0]))
    assert words.startswith("divide in the forward sweep: found inf at [1] of 0.5, 0.0; wanted finite")
    assert words.endswith(f"(at {place(f, '# here')})")


def test_threads_are_told_apart() -> None:
    gradient = tg.grad(lambda x: np.sum(np.log(x)), debug=True)
    wrong: list[Any] = []

    def work(sign: float) -> None:
        for _ in range(50):
            try:
                if not np.array_equal(gradient(sign * X), 1 / X) or sign < 0:
                    wrong.append(sign)
            except NonFiniteError:
                if sign > 0:
                    wrong.append(sign)

    threads = [threading.Thread(target=work, args=(s,)) for s in (1.0, -1.0, 1.0, -1.0)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_big_arrays_in_tiles_on_threads() -> None:
    data = np.random.default_rng(0).normal(size=(20_000, 4))
    data[12_345, 2] = np.nan

    def f(w: Any, x: Any) -> Any:
        return np.mean(np.tanh(x @ w) ** 2)

    assert fault(f, np.ones(4), data).startswith("args[1]: found nan at [12345, 2]; wanted finite values")
    data[12_345, 2] = 1.0
    assert np.isfinite(tg.grad(f, debug=True)(np.ones(4), data)).all()


def test_the_error_is_pythons_too() -> None:
    with pytest.raises(FloatingPointError):
        tg.grad(lambda x: 1.0 / x, debug=True)(0.0)
