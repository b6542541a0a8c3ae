"""Solutions of linear systems: of matrices in the last two axes, of their triangles, by factors at hand.

A right-hand side is a matrix, too. Batches of both broadcast.

Source of the derivatives:
    M. Giles, Collected matrix derivative results for forward and reverse mode algorithmic differentiation (2008).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops import accepted_matrices
from tapegrad.ops.flops import cubic, solving
from tapegrad.ops.matrices import SQUARES, Matrix, example, matrix_row, square_shape
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import call, turned

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution


def solution_type(a: ArrayType, b: ArrayType) -> ArrayType:
    """The type of a^-1 b."""
    shape = square_shape(a)
    if len(b.shape) < 2 or b.shape[-2] != shape[-1]:
        raise ShapeError(f"{a.shape} and {b.shape}")
    try:
        batch = np.broadcast_shapes(shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(f"{a.shape} and {b.shape}") from None
    return ArrayType((*batch, *b.shape[-2:]), a.kind)


def _oriented(a: Any, transposed: int) -> Any:
    return np.swapaxes(a, -1, -2) if transposed else a


def _along_batch(function: Callable[..., Any], shape: tuple[int, ...], *operands: Any) -> Any:
    """A function of matrices called for each of a batch, whose axes broadcast; its results have `shape`."""
    batch = shape[:-2]
    if not batch:
        return function(*operands)
    out = np.empty(shape, operands[0].dtype)
    spread = [np.broadcast_to(x, batch + x.shape[-2:]) for x in operands]
    for index in np.ndindex(batch):
        out[index] = function(*[x[index] for x in spread])
    return out


def _lapack(name: str, dtype: Any) -> Any:
    from scipy.linalg import get_lapack_funcs

    return get_lapack_funcs(name, dtype=dtype)


def _solve_triangular(attribute: Attribute, a: Any, b: Any) -> Any:
    """LAPACK reads columns first: it is given the transposed matrix, with the flags turned round."""
    lower, transposed, unit = attribute
    trtrs = _lapack("trtrs", a.dtype)

    def solve(a: Any, b: Any) -> Any:
        if not b.size:
            return b
        x, info = trtrs(a.T, b, lower=1 - lower, trans=1 - transposed, unitdiag=unit)
        if info > 0:
            raise np.linalg.LinAlgError(f"Singular matrix: element {info - 1} of the diagonal is 0")
        return x

    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])
    return _along_batch(solve, shape, a, b)


def _lu(_: Attribute, a: Any) -> Any:
    """The factors of the transposed matrix, as LAPACK lays them out, and the pivots as a last row."""
    getrf = _lapack("getrf", a.dtype)
    n = a.shape[-1]

    def factor(a: Any) -> Any:
        out = np.zeros((n + 1, n), a.dtype)
        if n:
            factors, out[n], info = getrf(a.T)
            if info > 0:
                raise np.linalg.LinAlgError("Singular matrix")
            out[:n] = factors.T
        return out

    return _along_batch(factor, (*a.shape[:-2], n + 1, n), a)


def _lu_solve(attribute: Attribute, _: Any, lu: Any, b: Any) -> Any:
    getrs = _lapack("getrs", lu.dtype)

    def solve(lu: Any, b: Any) -> Any:
        if not b.size:
            return b
        if not ((lu[-1] >= 0) & (lu[-1] < len(lu) - 1)).all():  # LAPACK would read and write where they say
            raise np.linalg.LinAlgError("Pivots outside the matrix")
        return getrs(lu[:-1].T, lu[-1].astype(np.int32), b, trans=1 - attribute[0])[0]

    shape = (*np.broadcast_shapes(lu.shape[:-2], b.shape[:-2]), *b.shape[-2:])
    return _along_batch(solve, shape, lu, b)


def _again(b: Builder, right: Matrix, *, turned: bool) -> Matrix:
    """The solution for another right-hand side, of the transposed matrix if `turned`."""
    if b.op.name == "solve_triangular":
        lower, transposed, unit = b.attribute
        return Matrix(b, b.operands[0], bool(transposed) != turned).solved(right, lower=bool(lower), unit=unit)
    attribute = (1 - b.attribute[0],) if turned else b.attribute
    others = [b.operands[k] for k in range(len(b.types) - 1)]
    return Matrix(b, b.apply(b.op.name, attribute, *others, right.plain()))


def _read(b: Builder, a: Matrix) -> Matrix:
    """The part of a matrix shaped as operand a that the op reads: a triangle of it, or all."""
    if b.op.name != "solve_triangular":
        return a
    lower, _, unit = b.attribute
    return a.lower(-unit) if lower else a.T.lower(-unit).T


def _transposed(b: Builder) -> bool:
    return bool(b.attribute[1] if b.op.name == "solve_triangular" else b.attribute[0])


def _solution_adjoint(b: Builder, k: int) -> Contribution | None:
    """Giles, section 2.3.1: the adjoint of the right-hand side is A^-T Xbar, that of A is -(A^-T Xbar) X^T.

    All solutions are alike: of a matrix (`solve`), of a triangle, of a matrix whose factors are at hand.
    """
    last = len(b.types) - 1
    if 0 < k < last:
        return None
    w, x = _again(b, Matrix.seed(b), turned=True), Matrix(b, b.result)
    batch = b.result_type.shape[:-2]
    contribution = w if k == last else _read(b, -(x @ w.T if _transposed(b) else w @ x.T))
    target = b.types[k].shape
    return b.sum_to(contribution.plain(), batch + target[-2:], target)


def _solution_tangent(b: Builder, k: int) -> Contribution | None:
    last = len(b.types) - 1
    if 0 < k < last:
        return None
    t = Matrix.seed(b, k)
    if k == last:
        right = t
    else:
        t = _read(b, t)
        right = -((t.T if _transposed(b) else t) @ Matrix(b, b.result))
    return _again(b, right, turned=False).plain()


def _solve_source(attribute: Attribute, types: Sequence[ArrayType]) -> str:
    return f"np.linalg.solve({turned('a', attribute[0], len(types[0].shape))}, b)"


_SOLUTIONS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "result_type": lambda _, types: solution_type(types[0], types[-1]),
        "accepts": accepted_matrices.solution(1),
        "adjoint": _solution_adjoint,
        "tangent": _solution_tangent,
    }
)

ROWS: Final[tuple[Op, ...]] = (
    matrix_row(
        "solve",
        "a b",
        "a^-1 b; batches broadcast (attribute: 1 for the transposed a)",
        lambda attribute, a, b: np.linalg.solve(_oriented(a, attribute[0]), b),
        source=_solve_source,
        **_SOLUTIONS,
        flops=solving(2 / 3, 2),
        cases=(
            Case((example(3, 3), (3, 2)), (0,)),
            Case((example(2, 3, 3), (2, 3, 1)), (1,)),
            Case((example(2, 1, 2, 2), (3, 2, 2)), (0,)),
        ),
    ),
    matrix_row(
        "lu",
        "a",
        "the factors of matrices that `lu_solve` wants; no derivative of their own",
        _lu,
        source="_lu(a)",
        flops=cubic(2 / 3),
        result_type=lambda _, types: ArrayType(
            (*square_shape(types[0])[:-2], types[0].shape[-1] + 1, types[0].shape[-1]), types[0].kind
        ),
        accepts=accepted_matrices.squares,
        differentiable=False,
        cases=SQUARES,
    ),
    matrix_row(
        "lu_solve",
        "a lu b",
        "a^-1 b by the factors of a, which carry no derivative (attribute: 1 for the transposed a)",
        _lu_solve,
        source=call("_lu_solve", "lu", "b"),
        **{**_SOLUTIONS, "accepts": accepted_matrices.factored},
        flops=solving(0, 2),
        cases=(
            Case((example(3, 3), (3, 2)), (0,)),
            Case((example(4, 4), (4, 1)), (1,)),
            Case((example(2, 3, 3), (2, 3, 2)), (0,)),
        ),
    ),
    matrix_row(
        "solve_triangular",
        "a b",
        "t^-1 b, t a triangle of a (attribute: 1 each for the lower one, for t transposed, for a diagonal of ones)",
        _solve_triangular,
        source=call("_solve_triangular", "a", "b"),
        **{**_SOLUTIONS, "accepts": accepted_matrices.solution(3)},
        flops=solving(0, 1),
        cases=(
            Case((example(3, 3), (3, 2)), (1, 0, 0)),
            Case((example(3, 3), (3, 1)), (1, 1, 0)),
            Case((example(3, 3), (3, 2)), (0, 0, 1)),
            Case((example(2, 3, 3), (2, 3, 1)), (0, 1, 0)),
            Case((example(2, 1, 2, 2), (3, 2, 2)), (1, 1, 1)),
            Case(((0, 0), (0, 2)), (1, 0, 0)),
        ),
    ),
)
