"""Rows that take matrices apart; an op has one result, so factors lie in it one below the other.

The vectors that belong to equal eigenvalues or singular values are not unique, and have no derivative: functions of
them get nan (or infinities). Functions of the values alone, and of vectors that belong to other values, are right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tapegrad.errors import ShapeError, UnsupportedError, describe
from tapegrad.ops import accepted_matrices
from tapegrad.ops.flops import cubic, each_result, orthogonal
from tapegrad.ops.matrices import Matrix, example, leading, require_finite, row_of, square_shape, vector_of
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import call

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution

_UPLO: Final[tuple[Literal["L"], Literal["U"]]] = ("L", "U")
# Eigenvalues of a matrix that differ by less than this many units in the last place of the largest are equal.
_EQUAL: Final = 16


# --- the reciprocal differences in all derivatives of vectors


def _gaps(_: Attribute, x: Any) -> Any:
    gaps = x[..., None, :] - x[..., :, None]
    largest = np.abs(x).max(axis=-1, initial=0.0)[..., None, None]
    with np.errstate(divide="ignore"):
        reciprocal = 1 / np.where(np.abs(gaps) <= _EQUAL * np.finfo(x.dtype).eps * largest, 0, gaps)
    diagonal = np.arange(x.shape[-1])
    reciprocal[..., diagonal, diagonal] = 0
    return reciprocal


def _gaps_adjoint(b: Builder, _: int) -> Contribution:
    f = Matrix(b, b.result)
    change = Matrix.seed(b).masked(f).masked(f)  # of 1 / (x_j - x_i), but for the sign
    n = len(change.shape)
    rows, columns = (b.apply("sum", (axis,), change.plain()) for axis in (n - 1, n - 2))
    return b.apply("subtract", (), rows, columns)


def _gaps_tangent(b: Builder, k: int) -> Contribution:
    f, t = Matrix(b, b.result), row_of(b, b.full(b.seed, b.types[k]))
    return (t.T - t).masked(f).masked(f).ref


def _reciprocal_gaps(values: Matrix) -> Matrix:
    """1 / (x_j - x_i) of a row of values."""
    b = values.b
    return Matrix(b, b.apply("reciprocal_gaps", (), vector_of(values)))


# --- symmetric matrices


def _read(b: Builder, t: Matrix) -> Matrix:
    """The symmetric matrix that the op takes an operand for: it reads one triangle."""
    return (t.T if b.attribute == (1,) else t).mirrored()


def _folded(b: Builder, p: Matrix) -> int:
    """The adjoint of the triangle that is read, where P + P^T is twice that of the symmetric matrix."""
    lower = (p + p.T).half()
    return (lower.T if b.attribute == (1,) else lower).plain()


def _cholesky_adjoint(b: Builder, _: int) -> Contribution:
    """Murray, Differentiation of the Cholesky decomposition (2016), equation 10, for the triangle that is read."""
    factor = Matrix(b, b.result)
    inner = factor.T.solved((factor.T @ Matrix.seed(b)).half())
    return _folded(b, factor.T.solved(inner.T))


def _cholesky_tangent(b: Builder, k: int) -> Contribution:
    """Murray (2016), equation 8."""
    factor = Matrix(b, b.result)
    inner = factor.solved(factor.solved(_read(b, Matrix.seed(b, k))).T)
    return (factor @ inner.half()).ref


def _eigh(attribute: Attribute, a: Any) -> Any:
    values, vectors = np.linalg.eigh(a, _UPLO[attribute[0]])
    return np.concatenate([vectors, values[..., None, :]], -2)


def _eigh_adjoint(b: Builder, _: int) -> Contribution:
    """Giles (2008), section 3.1; Seeger et al., Auto-differentiating linear algebra (2017), section 4.4."""
    n = b.types[0].shape[-1]
    packed, seed = Matrix(b, b.result), Matrix.seed(b)
    v, gaps = packed.rows(0, n), _reciprocal_gaps(packed.rows(n, 1))
    core = (v.T @ seed.rows(0, n)).masked(gaps) + seed.rows(n, 1).on_diagonal()
    return _folded(b, v @ (core @ v.T))


def _eigh_tangent(b: Builder, k: int) -> Contribution:
    """Giles (2008), section 3.1."""
    n = b.types[0].shape[-1]
    packed = Matrix(b, b.result)
    v, gaps = packed.rows(0, n), _reciprocal_gaps(packed.rows(n, 1))
    core = v.T @ (_read(b, Matrix.seed(b, k)) @ v)
    return (v @ core.masked(gaps)).above(core.diagonal()).ref


def _eigvalsh_adjoint(b: Builder, _: int) -> Contribution:
    n = b.types[0].shape[-1]
    v = Matrix(b, b.apply("eigh", b.attribute, b.operands[0])).rows(0, n)
    return _folded(b, (v * row_of(b, b.full(b.seed, b.result_type))) @ v.T)


def _eigvalsh_tangent(b: Builder, k: int) -> Contribution:
    n = b.types[0].shape[-1]
    v = Matrix(b, b.apply("eigh", b.attribute, b.operands[0])).rows(0, n)
    change = v * (_read(b, Matrix.seed(b, k)) @ v)
    return b.apply("sum", (len(b.result_type.shape) - 1,), change.plain())


# --- singular values


def _svd(_: Attribute, a: Any) -> Any:
    u, s, vh = np.linalg.svd(require_finite(a), full_matrices=False)
    return np.concatenate([u, np.swapaxes(vh, -1, -2), s[..., None, :]], -2)


class _Factors:
    """U, V and s of matrices of shape (m, n) in what the row `svd` packs; s is a matrix of one row."""

    def __init__(self, packed: Matrix, m: int, n: int) -> None:
        self.u, self.v, self.s = packed.rows(0, m), packed.rows(m, n), packed.rows(m + n, 1)

    def gaps(self) -> Matrix:
        """1 / (s_j^2 - s_i^2)."""
        return _reciprocal_gaps(self.s).masked((self.s + self.s.T).reciprocal())


def _beside(vectors: Matrix, x: Matrix) -> Matrix:
    """(I - U U^T) X: nothing where the vectors span everything."""
    return x - vectors @ (vectors.T @ x)


def _svd_adjoint(b: Builder, _: int) -> Contribution:
    """Townsend, Differentiating the singular value decomposition (2016), equation 31."""
    m, n = b.types[0].shape[-2:]
    f, g = _Factors(Matrix(b, b.result), m, n), _Factors(Matrix.seed(b), m, n)
    gaps, k = f.gaps(), f.s.shape[-1]
    left, right = (f.u.T @ g.u).masked(gaps), (f.v.T @ g.v).masked(gaps)
    core = (left + left.T) * f.s + (right + right.T) * f.s.T + g.s.on_diagonal()
    total = f.u @ core
    if m > k:
        total = total + _beside(f.u, g.u).masked(f.s.reciprocal())
    total = total @ f.v.T
    if n > k:
        total = total + f.u @ _beside(f.v, g.v).masked(f.s.reciprocal()).T
    return total.plain()


def _svd_tangent(b: Builder, k: int) -> Contribution:
    """Townsend (2016), equations 18 to 22."""
    m, n = b.types[0].shape[-2:]
    f, t = _Factors(Matrix(b, b.result), m, n), Matrix.seed(b, k)
    gaps, count = f.gaps(), f.s.shape[-1]
    core = f.u.T @ (t @ f.v)
    u = f.u @ (core * f.s + f.s.T * core.T).masked(gaps)
    v = f.v @ (f.s.T * core + core.T * f.s).masked(gaps)
    if m > count:
        u = u + _beside(f.u, t @ f.v).masked(f.s.reciprocal())
    if n > count:
        v = v + _beside(f.v, t.T @ f.u).masked(f.s.reciprocal())
    return u.above(v, core.diagonal()).ref


def _svdvals_factors(b: Builder) -> _Factors:
    m, n = b.types[0].shape[-2:]
    return _Factors(Matrix(b, b.apply("svd", (), b.operands[0])), m, n)


def _svdvals_adjoint(b: Builder, _: int) -> Contribution:
    f = _svdvals_factors(b)
    return ((f.u * row_of(b, b.full(b.seed, b.result_type))) @ f.v.T).ref


def _svdvals_tangent(b: Builder, k: int) -> Contribution:
    f = _svdvals_factors(b)
    change = f.u * (Matrix.seed(b, k) @ f.v)
    return b.apply("sum", (len(b.types[0].shape) - 2,), change.plain())


# --- orthogonal and triangular factors


def _qr_shape(a: ArrayType) -> tuple[int, ...]:
    if len(a.shape) < 2 or a.shape[-2] < a.shape[-1]:
        raise ShapeError(str(a.shape))
    return _packed(a, sum(a.shape[-2:]))


def _qr(_: Attribute, a: Any) -> Any:
    q, r = np.linalg.qr(a)
    return np.concatenate([q, np.swapaxes(r, -1, -2)], -2)


def _qr_adjoint(b: Builder, _: int) -> Contribution:
    """Seeger et al. (2017), section 4.3: (Qbar + Q sym(M)) R^-T, M = R Rbar^T - Qbar^T Q, sym of its lower triangle."""
    m, n = b.types[0].shape[-2:]
    packed, seed = Matrix(b, b.result), Matrix.seed(b)
    q, r, dq, dr = packed.rows(0, m), packed.rows(m, n).T, seed.rows(0, m), seed.rows(m, n).T
    inner = (r @ dr.T - dq.T @ q).mirrored()
    return r.solved((dq + q @ inner).T).T.plain()


def _qr_tangent(b: Builder, k: int) -> Contribution:
    """Walter & Lehmann, Algorithmic differentiation of linear algebra functions ... (2013), section 3.1."""
    m, n = b.types[0].shape[-2:]
    packed = Matrix(b, b.result)
    q, r = packed.rows(0, m), packed.rows(m, n).T
    whole = r.T.solved(Matrix.seed(b, k).T).T  # dA R^-1
    core = q.T @ whole
    turn = core.lower(-1) - core.lower(-1).T
    dq = q @ turn
    if m > n:
        dq = dq + _beside(q, whole)
    return dq.above(((core - turn) @ r).T).ref


# --- what has no derivative


def _complement(attribute: Attribute, a: Any) -> Any:
    k = min(a.shape[-2:])
    if attribute[0] == "qr":
        return np.linalg.qr(a, mode="complete")[0][..., k:]
    u, _, vh = np.linalg.svd(require_finite(a))
    return u[..., k:] if attribute[0] == "u" else vh[..., k:, :]


def _complement_type(attribute: Attribute, types: Any) -> ArrayType:
    *batch, m, n = types[0].shape
    k = min(m, n)
    return ArrayType((*batch, n - k, n) if attribute[0] == "vh" else (*batch, m, m - k), types[0].kind)


def _no_rule(b: Builder, _: int) -> Contribution:
    found = "the vectors beyond those of the reduced decomposition, which are not unique, in a derivative"
    wanted = "full_matrices=False of svd, mode='reduced' of qr"
    raise UnsupportedError(describe(b.op.name, found=found, wanted=wanted))


def _row(name: str, doc: str, evaluate: Callable[..., Any], shape: Callable[..., Any], **fields: Any) -> Op:
    """A row of one operand; `shape` gives that of the result."""
    return Op(
        name=name,
        operands=("a",),
        kinds="",
        result_kind="",
        doc=doc,
        evaluate=evaluate,
        result_type=lambda _, types: ArrayType(shape(types[0]), types[0].kind),
        differentiable=True,
        eager=True,
        batch=leading,
        **fields,
    )


def _packed(a: ArrayType, rows: int) -> tuple[int, ...]:
    return (*a.shape[:-2], rows, min(a.shape[-2:]))


def _cases(*shapes: tuple[int, ...], attributes: tuple[Attribute, ...] = ((),)) -> tuple[Case, ...]:
    return tuple(Case((example(*shape),), attribute) for attribute in attributes for shape in shapes)


_TALL_AND_WIDE: Final = _cases((3, 3), (4, 2), (2, 3), (2, 3, 2), (0, 0))
_SYMMETRIC: Final = _cases((3, 3), (2, 3, 3), (1, 1), (0, 0), attributes=((0,), (1,)))

ROWS: Final[tuple[Op, ...]] = (
    _row(
        "reciprocal_gaps",
        "1 / (x_j - x_i); 0 on the diagonal, infinite where two are equal to rounding",
        _gaps,
        lambda a: (*a.shape, a.shape[-1]),
        source="_reciprocal_gaps(a)",
        accepts=accepted_matrices.floats,
        adjoint=_gaps_adjoint,
        flops=each_result(),
        tangent=_gaps_tangent,
        cases=(Case((example(3, 3)[0],)), Case((example(2, 3),)), Case(((0,),))),
    ),
    _row(
        "cholesky",
        "lower triangular factor of symmetric matrices, of which the lower triangle is read",
        lambda _, a: np.linalg.cholesky(a),
        square_shape,
        source="np.linalg.cholesky(a)",
        accepts=accepted_matrices.squares,
        adjoint=_cholesky_adjoint,
        flops=cubic(1 / 3),
        tangent=_cholesky_tangent,
        cases=_cases((3, 3), (2, 3, 3), (1, 1), (0, 0)),
    ),
    _row(
        "eigh",
        "eigenvectors of symmetric matrices, as columns, and in a last row eigenvalues "
        "(attribute: 0 where the lower triangle is read, 1 where the upper is)",
        _eigh,
        lambda a: _packed(a, square_shape(a)[-1] + 1),
        source=lambda attribute, _: f"_eigh(a, {_UPLO[attribute[0]]!r})",
        accepts=accepted_matrices.square_and_flag,
        adjoint=_eigh_adjoint,
        flops=cubic(9),
        tangent=_eigh_tangent,
        cases=_SYMMETRIC,
    ),
    _row(
        "eigvalsh",
        "eigenvalues of symmetric matrices (attribute: as of eigh)",
        lambda attribute, a: np.linalg.eigvalsh(a, _UPLO[attribute[0]]),
        lambda a: square_shape(a)[:-1],
        source=lambda attribute, _: f"np.linalg.eigvalsh(a, {_UPLO[attribute[0]]!r})",
        accepts=accepted_matrices.square_and_flag,
        adjoint=_eigvalsh_adjoint,
        flops=cubic(4 / 3),
        tangent=_eigvalsh_tangent,
        cases=_SYMMETRIC,
    ),
    _row(
        "svd",
        "singular vectors and values: rows of U, of V, and one of the values",
        _svd,
        lambda a: _packed(a, sum(a.shape[-2:]) + 1),
        source="_svd(a)",
        accepts=accepted_matrices.matrices,
        adjoint=_svd_adjoint,
        flops=cubic(21),
        tangent=_svd_tangent,
        cases=_TALL_AND_WIDE,
    ),
    _row(
        "svdvals",
        "singular values",
        lambda _, a: np.linalg.svd(a, compute_uv=False),
        lambda a: (*a.shape[:-2], min(a.shape[-2:])),
        source="np.linalg.svd(a, compute_uv=False)",
        accepts=accepted_matrices.matrices,
        adjoint=_svdvals_adjoint,
        flops=cubic(8 / 3),
        tangent=_svdvals_tangent,
        cases=_TALL_AND_WIDE,
    ),
    _row(
        "qr",
        "orthonormal and upper triangular factor of matrices with no more columns than rows: rows of Q, of R^T",
        _qr,
        _qr_shape,
        source="_qr(a)",
        accepts=accepted_matrices.tall,
        adjoint=_qr_adjoint,
        flops=orthogonal,
        tangent=_qr_tangent,
        cases=_cases((3, 3), (4, 2), (2, 3, 2), (2, 0)),
    ),
    Op(
        name="complement",
        operands=("a",),
        kinds="",
        result_kind="",
        doc="vectors that complete those of a reduced decomposition (attribute: qr, u or vh); asking for a derivative "
        "is an error",
        evaluate=_complement,
        source=call("_complement", "a"),
        result_type=_complement_type,
        accepts=accepted_matrices.beyond,
        differentiable=True,
        partials=("",),
        adjoint=_no_rule,
        tangent=_no_rule,
        flops=cubic(21),
        eager=True,
        batch=leading,
        cases=tuple(
            Case((example(*shape),), (kind,)) for kind, shape in (("qr", (4, 2)), ("u", (2, 3, 2)), ("vh", (2, 3)))
        ),
    ),
)
