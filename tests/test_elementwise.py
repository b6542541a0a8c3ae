"""NumPy's elementwise functions beside their tables: bits of values, misuse, calls of ufuncs with keywords."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy
from tapegrad.errors import DtypeError, ShapeError, TapegradError, UnsupportedError
from tests.helpers import bits

X = np.array([1.0, 2.0, 3.0])
EDGES = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 5e-324, -3e-310, 2.0**-1022, 1.7e308, -(2.0**1000), np.inf, -np.inf, np.nan]
)


def values(f: Callable[..., Any], *arguments: Any) -> Any:
    """What the recorded function gives."""
    return tg.record(f, *arguments)(*arguments)


def around_powers_of_two() -> Any:
    powers = 2.0 ** np.arange(-1074, 1024, 7)
    return np.concatenate([powers, np.nextafter(powers, 0), np.nextafter(powers, np.inf), -powers, EDGES])


def test_frexp_is_exact() -> None:
    x = around_powers_of_two()
    mantissa, exponent = values(np.frexp, x)
    wanted = np.frexp(x)
    assert bits(mantissa) == bits(wanted[0])
    assert np.array_equal(exponent, wanted[1])


@pytest.mark.parametrize("function", [np.modf, np.signbit, np.spacing, np.trunc, np.fix], ids=lambda f: f.__name__)
def test_bits_are_numpys(function: Any) -> None:
    x = np.concatenate([around_powers_of_two(), np.linspace(-5, 5, 41)])
    found, wanted = values(function, x), function(x)
    for f, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, wanted)), strict=True):
        assert bits(f) == bits(w.astype(f.dtype))  # results of a recording are floats


@pytest.mark.parametrize("decimals", [-2, -1, 0, 1, 3])
def test_rounding_is_numpys(decimals: int) -> None:
    x = np.concatenate([np.arange(-3, 3, 0.125), np.random.default_rng(0).normal(size=50) * 1000])
    assert bits(values(lambda x: np.round(x, decimals), x)) == bits(np.round(x, decimals))


def test_sinc_is_smooth_at_zero() -> None:
    """First and second derivative there: 0 and -pi**2 / 3; an average over a small distance sees the fourth."""
    slope = tg.grad(np.sinc)
    assert slope(np.array(0.0)) == 0.0
    for step, allowed in ((1e-8, 1e-9), (1e-3, 2e-5)):
        curvature = (slope(np.array(step)) - slope(np.array(-step))) / (2 * step)
        assert abs(curvature + np.pi**2 / 3) < allowed


# --- misuse


def written_twice(x: Any) -> Any:
    target = np.zeros(3)
    result = np.exp(x, out=target, where=X > 1)
    return result + target


MISUSE: dict[str, tuple[Callable[[Any], Any], type[TapegradError], tuple[str, ...]]] = {
    "bits of floats": (lambda x: np.bitwise_or(x, 1), DtypeError, ("bitwise_or", "dtype float64", "integers")),
    "shift of floats": (lambda x: x << 1, DtypeError, ("left_shift", "dtype float64", "integers")),
    "gcd of floats": (lambda x: np.gcd(x, 2), DtypeError, ("gcd", "dtype float64", "integers")),
    "ldexp by floats": (lambda x: np.ldexp(x, x), DtypeError, ("ldexp", "exponents of dtype float64", "integers")),
    "decimals": (lambda x: np.round(x, x[0]), UnsupportedError, ("round", "decimals=", "an integer")),
    "round out=": (lambda x: np.round(x, out=np.zeros(3)), UnsupportedError, ("round", "out=")),
    "where= alone": (lambda x: np.exp(x, where=X > 1), UnsupportedError, ("exp", "without out=", "np.where")),
    "out= alone": (lambda x: np.exp(x, out=np.zeros(3)), UnsupportedError, ("exp", "out=")),
    "out= of another shape": (
        lambda x: np.exp(x, out=np.zeros((2, 1)), where=X > 1),
        ShapeError,
        ("exp", "out= of shape (2, 1) for a result of shape (2, 3)"),
    ),
    "out= of integers": (
        lambda x: np.exp(x, out=np.zeros(3, int), where=X > 1),
        UnsupportedError,
        ("exp", "int64", "cannot hold a Variable"),
    ),
    "out= from outside": (lambda x: np.exp(x, out=X, where=X > 1), UnsupportedError, ("exp", "outside the function")),
    "out= used again": (written_twice, UnsupportedError, ("under another name",)),
    "an option": (lambda x: np.exp(x, signature="d->d"), UnsupportedError, ("exp", "signature")),
    "another dtype": (lambda x: np.exp(x, dtype=np.float32), UnsupportedError, ("exp", "float32", "float64")),
    "outer with keywords": (lambda x: np.add.outer(x, x, dtype=float), UnsupportedError, ("add.outer", "dtype=")),
    "reduce out=": (lambda x: np.add.reduce(x, out=np.zeros(())), UnsupportedError, ("add.reduce", "out=")),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, error, words = MISUSE[name]
    with pytest.raises(error) as caught:
        tg.grad(lambda x: np.sum(f(x)))(np.array(X))
    for word in words:
        assert word in str(caught.value), word


def test_a_quotient_where_it_has_a_value() -> None:
    """The idiom: no nan, neither in the value nor in the derivative, where the divisor is 0."""

    def f(x: Any, y: Any) -> Any:
        return np.sum(np.divide(x, y, out=np.zeros_like(x), where=y != 0))

    x, y = np.array([1.0, 2.0, 0.0]), np.array([4.0, 0.0, 0.0])
    value, (dx, dy) = tg.value_and_grad(f, (0, 1))(x, y)
    assert value == 0.25
    assert np.array_equal(dx, [0.25, 0, 0])
    assert np.array_equal(dy, [-1 / 16, 0, 0])


def test_cumulative_methods_are_known_where_the_functions_are() -> None:
    """`add.accumulate` is `numpy.cumsum`; both or neither."""
    for ufunc, cumulative in ((np.add, np.cumsum), (np.multiply, np.cumprod)):
        try:
            wanted = values(lambda x, c=cumulative: c(x, axis=0), X)
        except UnsupportedError:
            with pytest.raises(UnsupportedError, match=rf"{ufunc.__name__}\.accumulate.*knows"):
                tg.record(ufunc.accumulate, X)
        else:
            assert np.array_equal(values(ufunc.accumulate, X), wanted)


def test_guards_of_comparisons() -> None:
    """A branch on `allclose` is recorded anew where it comes out otherwise."""
    f = tg.grad(lambda x: np.sum(x * (2.0 if tapegrad.numpy.allclose(x, [1.0, 2.0]) else 3.0)))
    assert np.array_equal(f(np.array([1.0, 2.0])), [2.0, 2.0])
    assert np.array_equal(f(np.array([1.0, 2.1])), [3.0, 3.0])
    assert np.array_equal(f(np.array([1.0, 2.0])), [2.0, 2.0])
