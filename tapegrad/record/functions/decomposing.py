"""`numpy.linalg`: factors, eigenvalues and singular values.

Functions of symmetric matrices read one triangle, as NumPy's do, and their derivatives are to what is read: the
gradient is a triangle, in which an element counts for its mirror image, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NoReturn

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import constant, join, recorder_of, reshaped, stretch
from tapegrad.record.functions.matrices import last_row, matrices, product, result_form, swapped
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- triangles


def cholesky(a: Any, /, *, upper: bool = False) -> Variable:
    """`numpy.linalg.cholesky`: reads the lower triangle, with `upper` the upper one."""
    v = matrices(a, "linalg.cholesky", square=True)
    if upper:
        return swapped(v._recorder.apply("cholesky", (), swapped(v)))
    return v._recorder.apply("cholesky", (), v)


def qr(a: Any, mode: str = "reduced") -> Any:
    """`numpy.linalg.qr`; with mode "complete" the columns beyond those of the reduced one have no derivative."""
    v = matrices(a, "linalg.qr")
    if mode not in ("reduced", "complete", "r"):
        raise unsupported("linalg.qr", f"mode={mode!r}", "reduced, complete or r", v._recorder)
    q, r = _reduced_qr(v)
    if mode == "r":
        return r
    if mode == "complete" and v.shape[-2] > v.shape[-1]:
        q = join(v._recorder, [q, v._recorder.apply("complement", ("qr",), v)], v.ndim - 1)
        zeros = constant(v._recorder, 0.0, (*v.shape[:-2], v.shape[-2] - v.shape[-1], v.shape[-1]), FLOAT)
        r = join(v._recorder, [r, zeros], v.ndim - 2)
    return result_form(np.linalg.qr)(q, r)


def _reduced_qr(v: Variable) -> tuple[Variable, Variable]:
    m, n = v.shape[-2:]
    last = v.ndim - 1
    if m < n:  # the first columns give Q; the others are turned by it
        q, r = _reduced_qr(stretch(v, last, 0, m))
        return q, join(v._recorder, [r, product(q, stretch(v, last, m, n - m), flip=True)], last)
    packed = v._recorder.apply("qr", (), v)
    return stretch(packed, last - 1, 0, m), swapped(stretch(packed, last - 1, m, n))


# --- eigenvalues


def _triangle(operation: str, v: Variable, uplo: str) -> int:
    if uplo.upper() not in ("L", "U"):
        raise unsupported(operation, f"UPLO={uplo!r}", "'L' or 'U'", v._recorder)
    return int(uplo.upper() == "U")


def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 - NumPy's name
    """`numpy.linalg.eigh`. Vectors of equal eigenvalues are not unique: what depends on them has the derivative nan."""
    v = matrices(a, "linalg.eigh", square=True)
    packed = v._recorder.apply("eigh", (_triangle("linalg.eigh", v, UPLO),), v)
    return result_form(np.linalg.eigh)(last_row(packed), stretch(packed, v.ndim - 2, 0, v.shape[-1]))


def eigvalsh(a: Any, UPLO: str = "L") -> Variable:  # noqa: N803
    """`numpy.linalg.eigvalsh`; equal eigenvalues do no harm."""
    v = matrices(a, "linalg.eigvalsh", square=True)
    return v._recorder.apply("eigvalsh", (_triangle("linalg.eigvalsh", v, UPLO),), v)


def _complex_values(name: str, instead: str) -> Callable[..., NoReturn]:
    """What would give complex numbers even of real matrices."""

    def refuse(a: Any) -> NoReturn:
        found = "a Variable, whose eigenvalues may be complex"
        raise unsupported(name, found, f"a symmetric matrix: numpy.linalg.{instead}", recorder_of(a))

    return refuse


# --- singular values


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """`numpy.linalg.svd`. With `full_matrices` the vectors beyond the first k = min(m, n) have no derivative.

    Vectors of equal singular values are not unique: what depends on them has the derivative nan.
    """
    v = matrices(a, "linalg.svd", square=hermitian)
    if hermitian:
        return _symmetric_svd(v, vectors=compute_uv)
    if not compute_uv:
        return v._recorder.apply("svdvals", (), v)
    m, n = v.shape[-2:]
    rows = v.ndim - 2
    packed = v._recorder.apply("svd", (), v)
    u, s, vh = stretch(packed, rows, 0, m), last_row(packed), swapped(stretch(packed, rows, m, n))
    if full_matrices and m > n:
        u = join(v._recorder, [u, v._recorder.apply("complement", ("u",), v)], rows + 1)
    if full_matrices and m < n:
        vh = join(v._recorder, [vh, v._recorder.apply("complement", ("vh",), v)], rows)
    return result_form(np.linalg.svd)(u, s, vh)


def _symmetric_svd(v: Variable, *, vectors: bool) -> Any:
    """By eigenvalues, in falling order of their absolute values; their signs go to the right vectors."""
    recorder, count = v._recorder, v.ndim - 2
    n = v.shape[-1]
    values, u = eigh(v) if vectors else (eigvalsh(v), None)
    sizes = recorder.elementwise("absolute", values)
    rising = recorder.apply("argsort", (count,), sizes)
    order = recorder.apply("slice", (*((0, 1, k) for k in v.shape[:-2]), (n - 1, -1, n)), rising) if n > 1 else rising

    def chosen(x: Variable) -> Variable:
        return recorder.apply("gather", (count, count), x, order)

    if u is None:
        return chosen(sizes)
    u = swapped(chosen(swapped(u)))
    negative = recorder.elementwise("less", chosen(values), 0.0)  # of -0.0, as NumPy's, no derivative tells
    signs = recorder.elementwise("where", negative, -1.0, 1.0)
    vh = swapped(recorder.elementwise("multiply", u, reshaped(signs, (*v.shape[:-2], 1, n))))
    return result_form(np.linalg.svd)(u, chosen(sizes), vh)


def svdvals(x: Any, /) -> Variable:
    """`numpy.linalg.svdvals`; equal singular values do no harm."""
    v = matrices(x, "linalg.svdvals")
    return v._recorder.apply("svdvals", (), v)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.linalg.cholesky: cholesky,
        np.linalg.qr: qr,
        np.linalg.eigh: eigh,
        np.linalg.eigvalsh: eigvalsh,
        np.linalg.eig: _complex_values("linalg.eig", "eigh"),
        np.linalg.eigvals: _complex_values("linalg.eigvals", "eigvalsh"),
        np.linalg.svd: svd,
        np.linalg.svdvals: svdvals,
    }
)
