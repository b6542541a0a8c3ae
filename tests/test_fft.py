"""Spectra: what may leave a function, what may come in, what pairs can't do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.errors import CapturedArrayError, ConversionError, DtypeError, ShapeError, UnsupportedError
from tapegrad.record.pair import ComplexPair

X = np.array([1.0, -2.0, 0.5, 3.0])


def seen(f: Any) -> Any:
    """What a function returns while it is recorded."""
    found = []

    def g(x: Any) -> Any:
        found.append(f(x))
        return x[0]

    tg.grad(g)(X)
    return found[0]


def test_a_pair_looks_like_an_array() -> None:
    z = seen(lambda x: np.fft.fft(x.reshape(2, 2)))
    assert isinstance(z, ComplexPair)
    assert (z.shape, z.ndim, z.size, len(z), z.dtype) == ((2, 2), 2, 4, 2, np.complex128)
    assert "ComplexPair of shape (2, 2), complex128" in repr(z)
    assert seen(lambda x: (np.shape(np.fft.fft(x)), np.ndim(x * 1j), np.size(1j * x))) == ((4,), 1, 4)
    assert seen(lambda x: (np.iscomplexobj(1j * x), np.isrealobj(1j * x), np.iscomplexobj(x))) == (True, False, False)
    assert seen(lambda x: [row.shape for row in np.fft.fft(x.reshape(2, 2))]) == [(2,), (2,)]
    assert seen(lambda x: np.zeros_like(1j * x)).dtype == np.complex128


def test_constants_make_pairs() -> None:
    constant = np.array([1j, 2.0, 3.0, 4j])
    for f in (
        lambda x: x + 1j,
        lambda x: 1j - x,
        lambda x: x * np.complex128(1j),
        lambda x: constant * x,
        lambda x: x / constant,
        lambda x: np.multiply(x, constant),
        lambda x: tnp.subtract(constant, x),
        lambda x: np.where(x > 0, x, constant),
        lambda x: x @ np.outer(constant, constant),
        lambda x: x.astype(complex),
    ):
        z = seen(f)
        assert isinstance(z, ComplexPair)
        found = tg.record(lambda x, f=f: [f(x).real, f(x).imag], X)(X)
        np.testing.assert_allclose(found[0] + 1j * found[1], f(X), rtol=1e-14)


@pytest.mark.parametrize(
    "f", [lambda x: np.fft.rfft(x)[1:], lambda x: x * 1j, lambda x: (x, np.fft.fft(x)), lambda _: 1j]
)
def test_complex_results_are_refused(f: Any) -> None:
    with pytest.raises(DtypeError, match=r"complex results are not supported yet.*test_fft\.py:"):
        tg.record(f, X)


@pytest.mark.parametrize("value", [X + 1j, 1j, np.complex64(1)])
def test_complex_arguments_are_refused(value: Any) -> None:
    with pytest.raises(DtypeError, match="complex"):
        tg.grad(lambda x: np.sum(np.abs(x)))(value)
    with pytest.raises(DtypeError, match="complex"):
        tg.grad(lambda x, y: x * np.abs(y))(1.0, np.asarray(value))


REFUSED: dict[str, tuple[Any, type[Exception], tuple[str, ...]]] = {
    "ufunc": (np.sin, UnsupportedError, ("sin: found a complex operand", "numpy.angle")),
    "function": (lambda z: np.linalg.solve(np.eye(4), z), UnsupportedError, ("numpy.linalg.solve", "complex operand")),
    "sort": (np.sort, UnsupportedError, ("numpy.sort", "complex operand")),
    "comparison": (lambda z: z > 0, UnsupportedError, ("comparison", ".real")),
    "equality": (lambda z: z == 1j, UnsupportedError, ("comparison", "abs")),
    "reduction": (np.multiply.reduce, UnsupportedError, ("multiply.reduce",)),
    "keyword": (lambda z: np.add(z, z, where=True), UnsupportedError, ("add", "where")),
    "assignment": (lambda z: z.__setitem__(0, 1.0), UnsupportedError, ("item assignment", "np.where")),
    "power": (lambda z: z**z, UnsupportedError, ("power", "real number as the exponent")),
    "float": (lambda z: float(z[0]), ConversionError, ("ComplexPair of shape ()", ".real")),
    "bool": (lambda z: bool(z[0]), ConversionError, (".imag",)),
    "array": (np.asarray, DtypeError, ("ComplexPair", "not supported yet")),
    "astype": (lambda z: z.astype(float), UnsupportedError, ("astype", "complex dtype, or .real")),
    "rfft": (np.fft.rfft, UnsupportedError, ("rfft: found complex numbers", "fft")),
    "norm": (lambda z: np.linalg.norm(z.reshape(2, 2), 2), UnsupportedError, ("linalg.norm", "ord=2")),
    "arctan2": (lambda z: np.arctan2(z, 1.0), UnsupportedError, ("arctan2", "complex operand")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_pair_refuses(name: str) -> None:
    f, kind, words = REFUSED[name]
    with pytest.raises(kind) as error:
        tg.grad(lambda x: np.sum(f(np.fft.fft(x))))(X)
    assert all(word in str(error.value) for word in words), error.value
    assert "test_fft.py:" in str(error.value)


MISUSE: dict[str, tuple[Any, tuple[str, ...]]] = {
    "no points": (lambda x: np.fft.rfft(x, 0), ("rfft", "length 0", "one element")),
    "no result": (lambda x: np.fft.irfft(x[:1]), ("irfft", "length 0")),
    "axis": (lambda x: np.fft.fft(x, axis=1), ("fft", "axis 1")),
    "axes": (lambda x: np.fft.fftn(x.reshape(2, 2), axes=(0, 0)), ("fftn", "once")),
    "lengths": (lambda x: np.fft.rfftn(x.reshape(2, 2), s=(2,), axes=(0, 1)), ("rfftn", "one length for each")),
    "norm": (lambda x: np.fft.fft(x, norm="both"), ("norm='both'", "ortho")),
    "shift": (lambda x: np.fft.fftshift(x, axes=3), ("fftshift", "axis 3")),
    "out": (lambda x: np.fft.fft(x, out=np.zeros(4, complex)), ("fft", "out=")),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, words = MISUSE[name]
    with pytest.raises((ShapeError, UnsupportedError)) as error:
        tg.grad(lambda x: np.sum(np.abs(f(x))))(X)
    assert all(word in str(error.value) for word in words), error.value
    assert "test_fft.py:" in str(error.value)


def test_the_absolute_value_of_zero_has_derivative_0() -> None:
    """Spectra have exact zeros, and the absolute value has a kink there."""
    value, gradient = tg.value_and_grad(lambda x: np.sum(np.abs(np.fft.rfft(x))))(np.ones(4))
    assert value == 4
    np.testing.assert_allclose(gradient, np.ones(4))
    np.testing.assert_array_equal(tg.grad(lambda x: np.sum(np.abs(np.fft.fft(x))))(np.zeros(4)), np.zeros(4))


def test_sizes_far_from_1() -> None:
    """No square leaves the range of floats."""
    for scale in (1e-200, 1e200):
        value, gradient = tg.value_and_grad(lambda x, s=scale: np.sum(np.abs(x * (s + 1j * s)) / s))(X)
        np.testing.assert_allclose(value, np.sqrt(2) * np.abs(X).sum())
        np.testing.assert_allclose(gradient, np.sqrt(2) * np.sign(X))
        quotient = tg.record(lambda x, s=scale: (x * (s + 1j * s) / (x * (s - 1j * s))).imag, X)(X)
        np.testing.assert_allclose(quotient, np.ones(4))


def test_a_captured_spectrum_is_watched() -> None:
    window = np.array([1.0, 1j, 2.0])
    f = tg.value_and_grad(lambda x: np.sum(np.fft.irfft(np.fft.rfft(x) * window) ** 2) + np.sum(np.abs(x[:3] * window)))
    first = f(X)[0]
    window[1] = 3.0
    with pytest.raises(CapturedArrayError, match="complex128 array"):
        f(X)
    assert f(X)[0] != first


def test_single_precision() -> None:
    x = X.astype(np.float32)
    assert tg.record(lambda x: np.fft.irfft(np.fft.rfft(x) * 1j), x)(x).dtype == np.float32

    def f(x: Any) -> Any:
        assert (1j * x).dtype == np.fft.fft(x).dtype == (np.complex64 if x.dtype == np.float32 else np.complex128)
        return np.sum(np.abs(np.fft.fft(x)) ** 3)

    np.testing.assert_allclose(tg.grad(f)(x), tg.grad(f)(X), rtol=1e-5)


def test_lists_of_pairs_and_variables() -> None:
    def f(np: Any) -> Any:
        return lambda x: np.sum(np.abs(np.fft.fft([x[0], x[1] * 1j, 2.0, x[2]])) ** 2 * np.arange(4))

    assert tg.value_and_grad(f(tnp))(X)[0] == pytest.approx(f(np)(X))
    tg.check_grad(f(tnp), X)


def test_a_spectral_derivative() -> None:
    """The gradient of a loss on the derivative of a periodic function is the operator applied twice."""
    n = 16
    t = 2 * np.pi * np.arange(n) / n
    k = np.fft.rfftfreq(n, 1 / n)
    found = tg.grad(lambda x: 0.5 * np.sum(np.fft.irfft(1j * k * np.fft.rfft(x), n) ** 2))(np.sin(3 * t))
    np.testing.assert_allclose(found, 9 * np.sin(3 * t), atol=1e-12)
