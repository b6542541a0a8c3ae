"""The product of a sparse constant matrix with an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops import accepted_matrices
from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution


@dataclass(frozen=True, slots=True, eq=False)
class SparseMatrix:
    """A matrix of `scipy.sparse` as part of an attribute: equal only to itself, and never changed."""

    matrix: Any

    @property
    def count(self) -> int:
        """Entries that are stored."""
        return int(getattr(self.matrix, "nnz", self.matrix.shape[0] * self.matrix.shape[1]))

    def __repr__(self) -> str:
        return f"<sparse matrix of shape {self.matrix.shape}>"


def _type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    rows, columns = attribute[0].matrix.shape[::-1] if attribute[1] else attribute[0].matrix.shape
    if len(types[0].shape) != 2 or types[0].shape[0] != columns:
        raise ShapeError(f"{(rows, columns)} and {types[0].shape}")
    return ArrayType((rows, types[0].shape[1]), types[0].kind)


def _evaluate(attribute: Attribute, x: Any) -> Any:
    sparse, transposed = attribute
    return (sparse.matrix.T if transposed else sparse.matrix) @ x


def _adjoint(b: Builder, _: int) -> Contribution:
    sparse, transposed = b.attribute
    return b.apply("sparse_matmul", (sparse, 1 - transposed), b.full(b.seed, b.result_type))


def _many(b: Batcher) -> int:
    """The columns of all points in one product."""
    ref, (length, rows, columns) = b.operands[0], b.over(b.points[0]).shape
    wide = b.reshape(b.transpose(ref, (1, 0, 2)), (rows, length * columns))
    product = b.apply("sparse_matmul", b.attribute, wide)
    return b.transpose(b.reshape(product, (b.point.shape[0], length, columns)), (1, 0, 2))


@dataclass(frozen=True, slots=True)
class _Example:
    """What the row is tested with, in place of a matrix of SciPy's, so that SciPy is not imported for it."""

    dense: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The matrix's shape."""
        return self.dense.shape  # type: ignore[no-any-return]

    @property
    def T(self) -> _Example:  # noqa: N802
        """The transposed matrix."""
        return _Example(self.dense.T)

    def __matmul__(self, x: Any) -> Any:
        return self.dense @ x


_EXAMPLE: Final = SparseMatrix(_Example(np.array([[0.0, 1.5, 0.0], [-2.0, 0.0, 0.5]])))

ROWS: Final[tuple[Op, ...]] = (
    Op(
        name="sparse_matmul",
        operands=("x",),
        kinds="",
        result_kind="",
        doc="product of a sparse constant matrix and x (attribute: the matrix, 1 for its transpose)",
        result_type=_type,
        accepts=accepted_matrices.sparse(SparseMatrix),
        evaluate=_evaluate,
        source=lambda attribute, _: "matrix.T @ x" if attribute[1] else "matrix @ x",
        differentiable=True,
        adjoint=_adjoint,
        flops=lambda attribute, types, _: 2.0 * attribute[0].count * types[0].shape[1],
        tangent=lambda b, _: b.apply("sparse_matmul", b.attribute, b.full(b.seed, b.types[0])),
        eager=True,
        batch=_many,
        cases=(Case(((3, 2),), (_EXAMPLE, 0)), Case(((2, 4),), (_EXAMPLE, 1))),
    ),
)
