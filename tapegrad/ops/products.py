"""Matrix products. Orientation is a flag, never a transpose: attribute (transpose a, transpose b), each 0 or 1.

Operands have two axes or more; axes before the last two are batches and broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution


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


ROWS: Final[tuple[Op, ...]] = (
    Op(
        name="matmul",
        operands=("a", "b"),
        kinds="",
        result_kind="",
        doc="matrix product, batched (attribute: transpose a, transpose b)",
        result_type=_matmul_type,
        evaluate=_matmul,
        differentiable=True,
        adjoint=_matmul_adjoint,
        tangent=_matmul_tangent,
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
        evaluate=lambda attribute, acc, a, b: np.add(acc, _matmul(attribute, a, b)),
        differentiable=True,
        adjoint=_matmul_add_adjoint,
        tangent=_matmul_add_tangent,
        accumulates=True,
        cases=(Case(((3, 2), (3, 4), (2, 4)), (0, 1)), Case(((2, 3, 1), (2, 3, 4), (2, 4, 1)), (0, 0))),
    ),
)
