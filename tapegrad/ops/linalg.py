"""Inverses and the exponential of matrices, in the last two axes; axes before them are batches.

The derivatives are made of other rows, and so have derivatives themselves. "Giles" is
M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted_matrices
from tapegrad.ops.flops import cubic
from tapegrad.ops.matrices import SQUARES, Matrix, example, matrix_row, require_finite
from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution


# --- inverses


def _inv_adjoint(b: Builder, _: int) -> Contribution:
    """Giles, section 2.2.3."""
    z = Matrix(b, b.result)
    return (-(z.T @ (Matrix.seed(b) @ z.T))).plain()


def _inv_tangent(b: Builder, k: int) -> Contribution:
    z = Matrix(b, b.result)
    return (-(z @ (Matrix.seed(b, k) @ z))).plain()


def _pinv(attribute: Attribute, a: Any) -> Any:
    return np.linalg.pinv(require_finite(a), rcond=attribute[0])


def _projected(a: Matrix, p: Matrix, x: Matrix) -> Matrix:
    """(I - A P) X."""
    return x - a @ (p @ x)


def _pinv_adjoint(b: Builder, _: int) -> Contribution:
    """The adjoint of Golub & Pereyra, The differentiation of pseudo-inverses ... (1973), equation 4.12."""
    a, p, g = Matrix(b, b.operands[0]), Matrix(b, b.result), Matrix.seed(b)
    first = -(p.T @ (g @ p.T))
    second = _projected(a, p, g.T @ p) @ p.T
    third = _projected(a.T, p.T, (p.T @ (p @ g.T)).T).T
    return (first + second + third).plain()


def _pinv_tangent(b: Builder, k: int) -> Contribution:
    a, p, t = Matrix(b, b.operands[0]), Matrix(b, b.result), Matrix.seed(b, k)
    first = -(p @ (t @ p))
    second = p @ (p.T @ _projected(p.T, a.T, t).T)
    third = _projected(p, a, t.T @ (p.T @ p))
    return (first + second + third).plain()


# --- the exponential


def _expm(_: Attribute, a: Any) -> Any:
    from scipy.linalg import expm

    return expm(a) if a.size else a


def _expm_rule(a: Matrix, direction: Matrix) -> int:
    """The derivative of expm at A along E is the upper right block of expm of [[A, E], [0, A]].

    Mathias, A chain rule for matrix functions and applications (1996), theorem 2.1 (Van Loan 1978).
    """
    b, n = a.b, a.shape[-1]
    top = a.T.above(direction.T).T  # one beside the other
    bottom = a.zeros().T.above(a.T).T
    both = Matrix(b, b.apply("expm", (), top.above(bottom).plain()))
    return both.rows(0, n).T.rows(n, n).T.plain()


ROWS: Final[tuple[Op, ...]] = (
    matrix_row(
        "inv",
        "a",
        "inverse of matrices",
        lambda _, a: np.linalg.inv(a),
        source="np.linalg.inv(a)",
        adjoint=_inv_adjoint,
        flops=cubic(2),
        tangent=_inv_tangent,
        cases=SQUARES,
    ),
    matrix_row(
        "pinv",
        "a",
        "pseudo-inverse of matrices (attribute: the part of the largest singular value below which others count as 0, "
        "and 'rcond', so that 0.0 is not taken for the axis 0)",
        _pinv,
        source=lambda attribute, _: f"np.linalg.pinv(a, rcond={attribute[0]!r})",
        result_type=lambda _, types: ArrayType(
            (*types[0].shape[:-2], types[0].shape[-1], types[0].shape[-2]), types[0].kind
        ),
        accepts=accepted_matrices.cutoff,
        adjoint=_pinv_adjoint,
        flops=cubic(23),
        tangent=_pinv_tangent,
        cases=tuple(Case((example(*shape),), (1e-15, "rcond")) for shape in ((3, 3), (4, 2), (2, 2, 3))),
    ),
    matrix_row(
        "expm",
        "a",
        "exponential of matrices",
        _expm,
        source=lambda _, types: "scipy.linalg.expm(a)" if types[0].size else "a",
        adjoint=lambda b, _: _expm_rule(Matrix(b, b.operands[0]).T, Matrix.seed(b)),
        flops=cubic(20),
        tangent=lambda b, k: _expm_rule(Matrix(b, b.operands[0]), Matrix.seed(b, k)),
        cases=tuple(Case((example(*shape, diagonal=0.5),)) for shape in ((3, 3), (2, 2, 2), (0, 0))),
    ),
)
