"""Determinants of matrices in the last two axes, and the derivatives of `det`, right for singular matrices.

"Giles" is M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation,
2008.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted_matrices
from tapegrad.ops.flops import cubic
from tapegrad.ops.matrices import SQUARES, Matrix, example, matrix_row, require_finite, row_of, square_shape
from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution


def _number(b: Builder, ref: int) -> Matrix:
    """Numbers (...,) as matrices of one element."""
    return Matrix(b, b.reshape(ref, (*b.type(ref).shape, 1, 1)))


def _slogdet_adjoint(b: Builder, _: int) -> Contribution:
    """Giles, section 2.2.4; the sign does not change."""
    *batch, _two = b.result_type.shape
    g = row_of(b, b.full(b.seed, b.result_type))
    windows = (*((0, 1, m) for m in batch), (0, 1, 1), (1, 1, 1))
    inverse = Matrix(b, b.apply("inv", (), b.operands[0]))
    return (inverse.T * Matrix(b, b.apply("slice", windows, g.ref))).plain()


def _slogdet_tangent(b: Builder, k: int) -> Contribution:
    inverse = Matrix(b, b.apply("inv", (), b.operands[0]))
    trace = (inverse.T * Matrix.seed(b, k)).total()
    *batch, _two = shape = b.result_type.shape
    windows = (*((0, 1, m) for m in batch), (1, 1, 1))
    return b.apply("pad", (shape, windows), b.reshape(trace.ref, (*batch, 1)))


def _det_adjoint(b: Builder, _: int) -> Contribution:
    cofactors = Matrix(b, b.apply("cofactors", (), b.operands[0]))
    return (cofactors * _number(b, b.full(b.seed, b.result_type))).ref


def _det_tangent(b: Builder, k: int) -> Contribution:
    cofactors = Matrix(b, b.apply("cofactors", (), b.operands[0]))
    return b.reshape((cofactors * Matrix.seed(b, k)).total().ref, b.result_type.shape)


def _cofactors_rule(b: Builder, k: int | None) -> Contribution:
    """The derivative of the cofactors is its own adjoint, being the second derivative of the determinant."""
    return b.apply("cofactors_change", (), b.operands[0], Matrix.seed(b, k).ref)


def _change_rule(b: Builder, k: int, wanted: int | None) -> Contribution:
    """Linear in the change d; to the matrix, the third derivative of the determinant, along d and t.

    It is symmetric in all its directions, so that the tangent rule and the adjoint rule are the same. Written
    with the inverse W = A^-T: the derivative of det(A) (<W, d> W - W d^T W). The matrix must not be singular.
    """
    t, d = Matrix.seed(b, wanted), Matrix(b, b.operands[1])
    if k == 1:
        return b.apply("cofactors_change", (), b.operands[0], t.ref)
    det = _number(b, b.apply("det", (), b.operands[0]))
    w = Matrix(b, b.apply("inv", (), b.operands[0])).T
    dw, tw = (w @ d.T) @ w, (w @ t.T) @ w
    p, q, both = (w * t).total(), (w * d).total(), (tw * d).total()
    change = (w * q - dw) * p - w * both - tw * q + (tw @ d.T) @ w + (dw @ t.T) @ w
    return (change * det).ref


def _products_without(s: Any, count: int) -> Any:
    """Products of all but one of the numbers s (..., n), or of all but any two (..., n, n), its diagonal 0."""
    n = s.shape[-1]
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    if count == 1:
        return before * after
    later = np.arange(n) > np.arange(n)[:, None]
    between = np.cumprod(np.where(later, s[..., None, :], 1.0), -1)  # from i + 1 to j
    between = np.concatenate([np.broadcast_to(ones[..., None], (*s.shape, 1)), between[..., :-1]], -1)
    pairs = np.where(later, before[..., :, None] * between * after[..., None, :], 0.0)
    return pairs + np.swapaxes(pairs, -1, -2)


def _factored(a: Any) -> tuple[Any, Any, Any, Any]:
    """The singular value decomposition, with the sign det U det V; in double precision as NumPy's det."""
    u, s, vh = np.linalg.svd(require_finite(np.asarray(a, np.float64)))
    return u, s, vh, np.linalg.det(u) * np.linalg.det(vh)


def _cofactors(_: Attribute, a: Any) -> Any:
    """det U det V U C V^T, C the cofactors of the singular values: right for singular matrices, too."""
    if not a.shape[-1]:
        return a
    u, s, vh, sign = _factored(a)
    return (u * (_products_without(s, 1) * np.rint(sign)[..., None])[..., None, :]) @ vh


def _cofactors_change(_: Attribute, a: Any, d: Any) -> Any:
    """The derivative of the cofactors along d, in the basis of the singular vectors, where E stands for d.

    With P_ij the product of all singular values but i and j it is sum_k P_ik E_kk on the diagonal, and
    -P_ij E_ji off it: what the determinants of the matrix without a row and a column change by.
    """
    if not a.shape[-1]:
        return a
    u, s, vh, sign = _factored(a)
    e = np.swapaxes(u, -1, -2) @ d @ np.swapaxes(vh, -1, -2)
    pairs = _products_without(s, 2)
    change = -pairs * np.swapaxes(e, -1, -2)
    diagonal = np.arange(a.shape[-1])
    change[..., diagonal, diagonal] = np.einsum("...ik,...kk->...i", pairs, e)
    return np.rint(sign)[..., None, None] * (u @ change @ vh)


ROWS: Final[tuple[Op, ...]] = (
    matrix_row(
        "slogdet",
        "a",
        "sign of the determinant of matrices, and logarithm of its absolute value, in a last axis",
        lambda _, a: np.stack(np.linalg.slogdet(a), -1),
        source="np.stack(np.linalg.slogdet(a), -1)",
        result_type=lambda _, types: ArrayType((*square_shape(types[0])[:-2], 2), types[0].kind),
        accepts=accepted_matrices.squares,
        adjoint=_slogdet_adjoint,
        flops=cubic(2 / 3),
        tangent=_slogdet_tangent,
        cases=SQUARES,
    ),
    matrix_row(
        "det",
        "a",
        "determinant of matrices",
        lambda _, a: np.linalg.det(a),
        source="np.linalg.det(a)",
        result_type=lambda _, types: ArrayType(square_shape(types[0])[:-2], types[0].kind),
        accepts=accepted_matrices.squares,
        adjoint=_det_adjoint,
        flops=cubic(2 / 3),
        tangent=_det_tangent,
        cases=SQUARES,
    ),
    matrix_row(
        "cofactors",
        "a",
        "cofactors of matrices, singular ones as well: the derivative of det",
        _cofactors,
        source="_cofactors(a)",
        adjoint=lambda b, _: _cofactors_rule(b, None),
        flops=cubic(25),
        tangent=_cofactors_rule,
        cases=SQUARES,
    ),
    matrix_row(
        "cofactors_change",
        "a d",
        "derivative of the cofactors of a along d: the second derivative of det",
        _cofactors_change,
        source="_cofactors_change(a, d)",
        adjoint=lambda b, k: _change_rule(b, k, None),
        flops=cubic(30),
        tangent=lambda b, k: _change_rule(b, k, k),
        cases=(Case((example(3, 3), (3, 3))), Case((example(2, 2, 2), (2, 2, 2))), Case(((1, 1), (1, 1)))),
    ),
)
