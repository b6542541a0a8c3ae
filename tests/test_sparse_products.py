"""Products with matrices of scipy.sparse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import tapegrad as tg
from tapegrad.errors import CapturedArrayError, ConversionError, DtypeError, ShapeError, UnsupportedError
from tests.test_linalg import curvature

DENSE = np.array([[0.0, 1.5, 0.0], [2.0, 0.0, -1.0], [0.0, 0.0, 3.0], [1.0, 0.0, 0.0]])
X, Y = np.array([1.0, -2.0, 0.5]), np.array([1.0, 2.0, -1.0, 0.3])
FORMATS = ("csr_array", "csc_array", "coo_array", "bsr_array", "dia_array", "csr_matrix", "csc_matrix")


@pytest.mark.parametrize("form", FORMATS)
def test_products(form: str) -> None:
    a = getattr(scipy.sparse, form)(DENSE)
    two, three = np.stack([X, X**2], 1), np.stack([Y, Y**2, Y**3])
    calls: tuple[tuple[Any, Any, Any], ...] = (
        (lambda v: a @ v, lambda v: DENSE @ v, X),
        (lambda v: a @ v, lambda v: DENSE @ v, two),
        (lambda v: v @ a, lambda v: v @ DENSE, Y),
        (lambda v: v @ a, lambda v: v @ DENSE, three),
        (lambda v: a.T @ v, lambda v: DENSE.T @ v, Y),
        (lambda v: np.matmul(a, v), lambda v: DENSE @ v, X),
    )
    for sparse, dense, x in calls:
        value, gradient = tg.value_and_grad(lambda v, f=sparse: np.sum(np.sin(f(v))))(x)
        wanted, reference = tg.value_and_grad(lambda v, f=dense: np.sum(np.sin(f(v))))(x)
        assert value == pytest.approx(wanted, rel=1e-14)
        np.testing.assert_allclose(gradient, reference, rtol=1e-14, atol=1e-15)


def test_second_derivatives() -> None:
    a = scipy.sparse.csr_array(DENSE)
    found = curvature(lambda v: np.sum((a @ v) ** 3), X, Y[:3])
    np.testing.assert_allclose(found, DENSE.T @ (6 * (DENSE @ X) * (DENSE @ Y[:3])), rtol=1e-14)


def test_other_ways_to_multiply() -> None:
    a = scipy.sparse.csr_array(DENSE)
    assert tg.value_and_grad(lambda v: np.sum(a.dot(v)))(X)[0] == pytest.approx(np.sum(DENSE @ X))
    assert tg.value_and_grad(lambda v: np.sum(a @ v.astype(np.float32)))(X)[0] == pytest.approx(np.sum(DENSE @ X))
    integers = scipy.sparse.csr_array(DENSE.astype(int))
    assert tg.grad(lambda v: np.sum(integers @ v))(X.astype(np.float32)).dtype == np.float32


def test_a_change_in_place_is_seen() -> None:
    a = scipy.sparse.csc_array(DENSE)
    f = tg.grad(lambda v: np.sum(a @ v))
    np.testing.assert_allclose(f(X), DENSE.sum(0))
    a.data *= 2
    with pytest.raises(CapturedArrayError):
        f(X)
    np.testing.assert_allclose(f(X), 2 * DENSE.sum(0))


def test_another_matrix_is_recorded_anew() -> None:
    matrices = {"a": scipy.sparse.csr_array(DENSE)}
    f = tg.grad(lambda v: np.sum(matrices["a"] @ v))
    f(X)
    matrices["a"] = scipy.sparse.csr_array(3 * DENSE)
    np.testing.assert_allclose(f(X), 3 * DENSE.sum(0))


A = scipy.sparse.csr_array(DENSE)
MISUSE: dict[str, tuple[Any, type[Exception], tuple[str, ...]]] = {
    "shapes": (lambda v: A @ v[:2], ShapeError, ("matmul", "(4, 3) and (2,)")),
    "shapes from the left": (lambda v: v @ A, ShapeError, ("matmul", "(3,) and (4, 3)")),
    "three axes": (lambda v: A @ v.reshape(1, 3, 1), ShapeError, ("matmul", "vector or matrix")),
    "a number": (lambda v: A @ v[0], ShapeError, ("matmul", "()")),
    "lil": (lambda v: A.tolil() @ v, UnsupportedError, ("format lil", "tocsr")),
    "complex": (lambda v: (1j * A) @ v, DtypeError, ("complex128",)),
    "sum": (lambda v: v + A, UnsupportedError, ("sparse csr_array", "A @ x", "toarray")),
    "sum from the left": (lambda v: A + v, UnsupportedError, ("sparse csr_array", "A @ x")),
    "product of matrices": (lambda v: scipy.sparse.csr_matrix(DENSE) * v, UnsupportedError, ("csr_matrix", "A @ x")),
    "elementwise": (A.multiply, ConversionError, ("conversion to an array",)),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, kind, words = MISUSE[name]
    with pytest.raises(kind) as error:
        tg.grad(lambda v: np.sum(f(v)))(X)
    assert all(word in str(error.value) for word in words), error.value
    assert "test_sparse_products.py:" in str(error.value)


@pytest.mark.parametrize("ask", [np.array, np.asarray, lambda v: np.array(v, dtype=object), lambda v: np.array([v, v])])
def test_only_sparse_products_get_an_array_of_objects(ask: Any) -> None:
    with pytest.raises(ConversionError, match=r"tapegrad\.numpy"):
        tg.grad(lambda v: np.sum(ask(v)))(X)


def _matmul_dispatch(v: Any) -> Any:
    return np.asarray(v)


def test_nor_does_a_function_of_that_name_elsewhere() -> None:
    with pytest.raises(ConversionError):
        tg.grad(lambda v: np.sum(_matmul_dispatch(v)))(X)
