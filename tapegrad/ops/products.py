"""Matrix products. Orientation is a flag, never a transpose: attribute (transpose a, transpose b), each 0 or 1.

Operands have two axes or more; axes before the last two are batches and broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops import accepted_matrices
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import turned

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

_SMALL: Final = 1 << 15  # multiply-adds: what takes fewer is as long in being called as in being computed


def _oriented(shape: tuple[int, ...], transposed: int) -> tuple[int, int]:
    rows, columns = shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


def _matmul_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    a, b = types
    rows, inner = _oriented(a.shape, attribute[0])
    inner_b, columns = _oriented(b.shape, attribute[1])
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        batch = None
    if inner != inner_b or batch is None:
        raise ShapeError(f"{a.shape} and {b.shape}")
    return ArrayType((*batch, rows, columns), a.kind)


def _flops(attribute: Attribute, types: Sequence[ArrayType], result: ArrayType) -> float:
    """A multiplication and an addition for each term of each element."""
    return 2.0 * result.size * _oriented(types[-2].shape, attribute[0])[1]


def _matmul(attribute: Attribute, a: Any, b: Any) -> Any:
    a = np.swapaxes(a, -1, -2) if attribute[0] else a
    b = np.swapaxes(b, -1, -2) if attribute[1] else b
    return np.matmul(a, b)


def _factors(b: Builder, k: int, g: int) -> tuple[int, int, Attribute]:
    """The product that gives the derivative to operand k of C = op(A) op(B), and its flags."""
    left, right = b.operands[-2:]
    flip_left, flip_right = b.attribute
    if k == 0:
        return (right, g, (flip_right, 1)) if flip_left else (g, right, (0, 1 - flip_right))
    return (g, left, (1, flip_left)) if flip_right else (left, g, (1 - flip_left, 0))


def _matmul_adjoint(b: Builder, k: int) -> Contribution:
    x, y, flags = _factors(b, k, b.full(b.seed, b.result_type))
    target, batch = b.types[-2:][k].shape, b.result_type.shape[:-2]
    if target[:-2] == batch:
        return b.accumulate("matmul", flags, "matmul_add", flags, x, y)
    return b.sum_to(b.apply("matmul", flags, x, y), batch + target[-2:], target)


def _matmul_tangent(b: Builder, k: int) -> Contribution:
    t = b.full(b.seed, b.types[-2:][k])
    factors = [b.operands[-2], b.operands[-1]]
    factors[k] = t
    return b.accumulate("matmul", b.attribute, "matmul_add", b.attribute, *factors)


def _matmul_add_adjoint(b: Builder, k: int) -> Contribution:
    return b.seed if k == 0 else _matmul_adjoint(b, k - 1)


def _matmul_add_tangent(b: Builder, k: int) -> Contribution:
    return b.seed if k == 0 else _matmul_tangent(b, k - 1)


# --- many points at once


def _matmul_batch(b: Batcher) -> int:
    return _product(b, None)


def _matmul_add_batch(b: Batcher) -> int:
    if not b.batched[0]:
        return b.apply("add", (), 0, _product(b, None))
    if not b.batched[1] and not b.batched[2]:
        return b.apply("add", (), 0, b.apply("matmul", b.attribute, 1, 2))
    return _product(b, 0)


def _product(b: Batcher, acc: int | None) -> int:
    """The product of the last two operands, added to `acc` where there is one.

    With a matrix that is the same for all points, the products of all points are one larger product, unless they are
    large by themselves: then they stay apart, so that the points may be cut into tiles. Vectors lose nothing by it.
    """
    x, y = b.operands[-2:]
    rows, inner = _oriented(b.points[x].shape, b.attribute[0])
    columns = b.point.shape[-1]
    small = rows * inner * columns < _SMALL
    if not b.batched[y] and len(b.points[y].shape) == 2 and (small or rows == 1):
        return _by_rows(b, acc, rows, inner)
    if not b.batched[x] and len(b.points[x].shape) == 2 and columns == 1:
        return _by_vectors(b, acc, inner)
    if not b.batched[x] and len(b.points[x].shape) == 2 and small:
        product = _by_columns(b, inner, columns)
        return product if acc is None else b.apply("add", (), acc, product)
    ndim = len(b.point.shape)
    return _multiplied(b, acc, b.attribute, b.raised(x, ndim), b.raised(y, ndim))


def _multiplied(b: Batcher, acc: int | None, flags: Attribute, x: int, y: int) -> int:
    return b.apply("matmul", flags, x, y) if acc is None else b.apply("matmul_add", flags, acc, x, y)


def _by_rows(b: Batcher, acc: int | None, rows: int, inner: int) -> int:
    """Left factors differ: their rows, one after another, are those of one factor."""
    x, y = b.operands[-2:]
    result = b.over(b.point).shape
    count, flip = prod(result[:-1]), int(b.attribute[0] and rows > 1)
    left = b.reshape(b.to_front(x, len(result) - 2), (inner, count)) if flip else b.reshape(x, (count, inner))
    into = None if acc is None else b.reshape(acc, (count, result[-1]))
    return b.reshape(_multiplied(b, into, (flip, b.attribute[1]), left, y), result)


def _by_vectors(b: Batcher, acc: int | None, inner: int) -> int:
    """Right factors are vectors: the rows of one left factor."""
    x, y = b.operands[-2:]
    result = b.over(b.point).shape
    count = prod(result[:-2])
    into = None if acc is None else b.reshape(acc, (count, result[-2]))
    product = _multiplied(b, into, (0, 1 - b.attribute[0]), b.reshape(y, (count, inner)), x)
    return b.reshape(product, result)


def _by_columns(b: Batcher, inner: int, columns: int) -> int:
    """Right factors differ: their columns, one after another, are those of one factor."""
    x, y = b.operands[-2:]
    *batch, rows, _ = b.over(b.point).shape
    ndim, count = len(batch), prod(batch) * columns
    right = b.reshape(y, (count, inner)) if b.attribute[1] else b.reshape(b.to_front(y, ndim), (inner, count))
    product = b.apply("matmul", b.attribute, x, right)
    if rows == 1:
        return b.reshape(product, (*batch, 1, columns))
    return b.transpose(b.reshape(product, (rows, *batch, columns)), [*range(1, ndim + 1), 0, ndim + 1])


def _source(attribute: Attribute, types: Sequence[ArrayType]) -> str:
    return " @ ".join(turned(n, t, len(a.shape)) for n, t, a in zip("ab", attribute, types, strict=True))


_FACTORS, _FACTORS_AND_SUM = accepted_matrices.product(_matmul_type)

ROWS: Final[tuple[Op, ...]] = (
    Op(
        name="matmul",
        operands=("a", "b"),
        kinds="",
        result_kind="",
        doc="matrix product, batched (attribute: transpose a, transpose b)",
        result_type=_matmul_type,
        accepts=_FACTORS,
        evaluate=_matmul,
        source=_source,
        differentiable=True,
        adjoint=_matmul_adjoint,
        flops=_flops,
        tangent=_matmul_tangent,
        batch=_matmul_batch,
        cases=(
            Case(((3, 4), (4, 2)), (0, 0)),
            Case(((4, 3), (4, 2)), (1, 0)),
            Case(((3, 4), (2, 4)), (0, 1)),
            Case(((4, 3), (2, 4)), (1, 1)),
            Case(((5, 3, 4), (4, 2)), (0, 0)),
            Case(((2, 1, 3, 4), (5, 4, 1)), (0, 0)),
            Case(((1, 4), (4, 1)), (0, 0)),
            Case(((3, 0), (0, 2)), (0, 0)),
        ),
    ),
    Op(
        name="matmul_add",
        operands=("acc", "a", "b"),
        kinds="",
        result_kind="",
        doc="acc plus a matrix product (attribute: transpose a, transpose b)",
        result_type=lambda _, types: types[0],
        accepts=_FACTORS_AND_SUM,
        evaluate=lambda attribute, acc, a, b: np.add(acc, _matmul(attribute, a, b)),
        source=lambda attribute, types: f"acc + {_source(attribute, types[1:])}",
        differentiable=True,
        adjoint=_matmul_add_adjoint,
        flops=_flops,
        tangent=_matmul_add_tangent,
        batch=_matmul_add_batch,
        accumulates=True,
        cases=(Case(((3, 2), (3, 4), (2, 4)), (0, 1)), Case(((2, 3, 1), (2, 3, 4), (2, 4, 1)), (0, 0))),
    ),
)
