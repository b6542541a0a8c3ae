"""What the rules of linear algebra are written with: `Matrix`, a `Builder`'s reference with the operators of matrices.

Matrices are the last two axes, axes before them are batches. A transposition is kept as a flag for as long as only
products ask for the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops import accepted_matrices
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import call

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution


@dataclass(frozen=True, slots=True)
class Matrix:
    """A reference to matrices; `flip` if they are to be read transposed. A vector is a matrix of one row."""

    b: Builder
    ref: int
    flip: bool = False

    @classmethod
    def seed(cls, b: Builder, k: int | None = None) -> Matrix:
        """The incoming derivative in full: of the result, or (in a tangent rule) of operand k."""
        return cls(b, b.full(b.seed, b.result_type if k is None else b.types[k]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        shape = self.b.type(self.ref).shape
        return (*shape[:-2], shape[-1], shape[-2]) if self.flip else shape

    @property
    def T(self) -> Matrix:  # noqa: N802 - NumPy's name
        """The transposed matrices."""
        return replace(self, flip=not self.flip)

    def plain(self) -> int:
        """A reference to the matrices as they are read."""
        if not self.flip:
            return self.ref
        n = len(self.shape)
        return self.b.apply("transpose", (*range(n - 2), n - 1, n - 2), self.ref)

    def _apply(self, name: str, attribute: Attribute, *others: Matrix) -> Matrix:
        return Matrix(self.b, self.b.apply(name, attribute, self.plain(), *[m.plain() for m in others]))

    # --- arithmetic

    def __matmul__(self, other: Matrix) -> Matrix:
        flags = (int(self.flip), int(other.flip))
        return Matrix(self.b, self.b.apply("matmul", flags, self.ref, other.ref))

    def __add__(self, other: Matrix) -> Matrix:
        return self._apply("add", (), other)

    def __sub__(self, other: Matrix) -> Matrix:
        return self._apply("subtract", (), other)

    def __mul__(self, other: Matrix) -> Matrix:
        """Elementwise; rows and columns broadcast."""
        return self._apply("multiply", (), other)

    def __neg__(self) -> Matrix:
        return Matrix(self.b, self.b.apply("negative", (), self.ref), self.flip)

    def halves(self) -> Matrix:
        """The matrices times 0.5."""
        return Matrix(self.b, self.b.apply("multiply", (), self.ref, self.b.constant(0.5)), self.flip)

    def masked(self, factors: Matrix) -> Matrix:
        """Elementwise product that is 0 where this matrix is 0, also where a factor is infinite."""
        return self._apply("masked_multiply", (), factors)

    def reciprocal(self) -> Matrix:
        """1 / x, elementwise."""
        return self._apply("reciprocal", ())

    def total(self) -> Matrix:
        """The sum of all elements, as matrices of one element."""
        n = len(self.shape)
        total = self.b.apply("sum", (n - 2, n - 1), self.ref)
        return Matrix(self.b, self.b.reshape(total, (*self.shape[:-2], 1, 1)))

    # --- parts

    def rows(self, start: int, count: int) -> Matrix:
        """A stretch of rows."""
        shape = self.shape
        whole = tuple((0, 1, n) for n in shape)
        windows = (*whole[:-2], (start, 1, count), whole[-1])
        return self if count == shape[-2] else self._apply("slice", windows)

    def lower(self, k: int = 0) -> Matrix:
        """On and below diagonal k; zeros above."""
        return self._apply("tril", (k,))

    def half(self) -> Matrix:
        """The lower triangle with half its diagonal: the operator Phi of Murray (2016), equation 6."""
        return (self.lower() + self.lower(-1)).halves()

    def mirrored(self) -> Matrix:
        """The symmetric matrix of the same lower triangle."""
        return self.lower() + self.lower(-1).T

    def diagonal(self) -> Matrix:
        """The diagonals of square matrices, as rows."""
        *batch, n, _ = self.shape
        flat = self.b.reshape(self.ref, (*batch, n * n))
        windows = (*((0, 1, m) for m in batch), (0, n + 1, n))
        return Matrix(self.b, self.b.reshape(self.b.apply("slice", windows, flat), (*batch, 1, n)))

    def on_diagonal(self) -> Matrix:
        """Square matrices with these rows on their diagonals."""
        *batch, _, n = self.shape
        flat = self.b.reshape(self.plain(), (*batch, n))
        windows = (*((0, 1, m) for m in batch), (0, n + 1, n))
        padded = self.b.apply("pad", ((*batch, n * n), windows), flat)
        return Matrix(self.b, self.b.reshape(padded, (*batch, n, n)))

    def above(self, *others: Matrix) -> Matrix:
        """These rows, and those of other matrices below them."""
        return self._apply("concatenate", (len(self.shape) - 2,), *others)

    def zeros(self) -> Matrix:
        """Zeros of the same shape."""
        return Matrix(self.b, self.b.apply("broadcast_to", self.shape, self.b.constant(0.0)))

    # --- solutions

    def solved(self, right: Matrix, *, lower: bool = True, unit: int = 0) -> Matrix:
        """The solution of (triangle of this matrix) X = right; `lower` says where the triangle lies in `ref`."""
        attribute = (int(lower), int(self.flip), unit)
        return Matrix(self.b, self.b.apply("solve_triangular", attribute, self.ref, right.plain()))


def row_of(b: Builder, ref: int) -> Matrix:
    """A vector (..., n) as a matrix of one row."""
    *batch, n = b.type(ref).shape
    return Matrix(b, b.reshape(ref, (*batch, 1, n)))


def vector_of(row: Matrix) -> int:
    """A matrix of one row as a vector (..., n)."""
    *batch, _, n = row.shape
    return row.b.reshape(row.plain(), (*batch, n))


def example(*shape: int, diagonal: float = 3.0, phase: float = 0.0) -> Any:
    """Matrices to test rows with: none of their entries or singular values alike, away from singular."""
    entries = np.sin(1.0 + phase + 1.7 * np.arange(np.prod(shape, dtype=np.int64))).reshape(shape)
    spread = np.linspace(0.5, 1.5, min(shape[-2:]))
    entries[..., range(len(spread)), range(len(spread))] += diagonal * spread
    return entries


def square_shape(a: ArrayType) -> tuple[int, ...]:
    """The shape of square matrices; `ShapeError` for others."""
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(str(a.shape))
    return a.shape


def require_finite(a: Any) -> Any:
    """The matrices, unless a number is nan or infinite: LAPACK's singular vectors of an infinity never come."""
    if not np.isfinite(a).all():
        raise np.linalg.LinAlgError("SVD did not converge: a number is not finite")
    return a


def leading(b: Batcher) -> int:
    """The rule for many points: the points are more of the axes that lead."""
    ndim = max(len(p.shape) for p in b.points)
    refs = []
    for k, batched in enumerate(b.batched):
        point = b.points[k].shape
        wide = (b.length, *[1] * (ndim - len(point)), *point)
        refs.append(b.raised(k, ndim) if batched else b.reshape(b.full(k), wide))
    return b.apply(b.op.name, b.attribute, *refs)


def same_square(_: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    """The type rule of what gives square matrices for square matrices."""
    return ArrayType(square_shape(types[0]), types[0].kind)


def matrix_row(name: str, operands: str, doc: str, evaluate: Callable[..., Any], **fields: Any) -> Op:
    """A row of linear algebra; square matrices give such, and there is a derivative, unless other fields are given."""
    return Op(
        name=name,
        operands=tuple(operands.split()),
        kinds="",
        result_kind="",
        doc=doc,
        evaluate=evaluate,
        eager=True,
        **{
            "result_type": same_square,
            "accepts": accepted_matrices.squares,
            "differentiable": True,
            "batch": leading,
            **fields,
        },
    )


def _tril_rule(b: Builder, k: int | None) -> Contribution:
    return Matrix.seed(b, k).lower(b.attribute[0]).ref


SQUARES: Final = tuple(Case((example(*shape),)) for shape in ((3, 3), (2, 3, 3), (1, 1), (0, 0)))

ROWS: Final[tuple[Op, ...]] = (
    Op(
        name="tril",
        operands=("x",),
        kinds="",
        result_kind="",
        doc="on and below a diagonal of the last two axes, zeros above (attribute: its number, 0 the main one)",
        result_type=lambda _, types: ArrayType(types[0].shape, types[0].kind),
        accepts=accepted_matrices.triangle,
        evaluate=lambda attribute, x: np.tril(x, attribute[0]),
        source=call("np.tril", "x"),
        differentiable=True,
        adjoint=lambda b, _: _tril_rule(b, None),
        tangent=_tril_rule,
        eager=True,
        batch=leading,
        cases=(Case(((3, 3),), (0,)), Case(((2, 3, 4),), (-1,)), Case(((3, 2),), (1,)), Case(((2, 0, 0),), (0,))),
    ),
)
