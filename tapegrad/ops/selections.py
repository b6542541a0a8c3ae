"""Rows that select along one axis by an integer array, and their adjoints, which add back (scatter).

With a *batch* of b, the first b axes of the array and of what it selects from are the same, and each entry
of those has indices of its own: p the b axes, q the others before the axis, j the rest of the array's,

    gathered[p, q, j, r] = x[p, q, index[p, j], r]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution

_INDEX: Final = np.array([[2, 0, -1], [1, 2, 2]])
_ROWS: Final = np.array([[[2, 0, -1], [1, 2, 2]], [[0, 0, 1], [-3, -2, 1]]])  # for a batch of one axis or two


def _gather_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    axis, batch = attribute
    x, index = types
    return ArrayType((*x.shape[:axis], *index.shape[batch:], *x.shape[axis + 1 :]), x.kind)


def _scatter_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    axis, length, batch = attribute
    x, index = types
    return ArrayType((*x.shape[:axis], length, *x.shape[axis + len(index.shape) - batch :]), x.kind)


def _places(attribute: Attribute, shape: tuple[int, ...], index: Any) -> tuple[Any, ...]:
    """What selects the same from an array of this shape by NumPy's own indexing."""
    axis, batch = attribute
    index = np.asarray(index)
    if not batch:
        return (*[slice(None)] * axis, index)
    own = index.shape[batch:]
    before = [np.arange(n).reshape(-1, *[1] * (axis - 1 - a + len(own))) for a, n in enumerate(shape[:axis])]
    return (*before, index.reshape(*index.shape[:batch], *[1] * (axis - batch), *own))


def _scatter_add(attribute: Attribute, acc: Any, x: Any, index: Any) -> Any:
    out = np.array(acc)
    np.add.at(out, _places(attribute, out.shape, index), x)
    return out


def _scatter(attribute: Attribute, x: Any, index: Any) -> Any:
    axis, length, batch = attribute
    x = np.asarray(x)
    shape = (*x.shape[:axis], length, *x.shape[axis + np.ndim(index) - batch :])
    return _scatter_add((axis, batch), np.zeros(shape, x.dtype), x, index)


def _added(b: Builder, whole: ArrayType, ref: int, index: int) -> Contribution:
    """What was gathered from `whole`, or a tangent of it, added where it came from; b is of gather or scatter_add."""
    axis, batch = b.attribute
    return b.accumulate("scatter", (axis, whole.shape[axis], batch), "scatter_add", b.attribute, ref, index)


def _gather_adjoint(b: Builder, _: int) -> Contribution:
    return _added(b, b.types[0], b.full(b.seed, b.result_type), b.operands[1])


def _gather_tangent(b: Builder, _: int) -> Contribution:
    return b.apply("gather", b.attribute, b.full(b.seed, b.types[0]), b.operands[1])


def _scatter_adjoint(b: Builder, _: int) -> Contribution:
    axis, batch = b.attribute[0], b.attribute[2]
    return b.apply("gather", (axis, batch), b.full(b.seed, b.result_type), b.operands[1])


def _scatter_tangent(b: Builder, _: int) -> Contribution:
    return b.apply("scatter", b.attribute, b.full(b.seed, b.types[0]), b.operands[1])


def _scatter_add_adjoint(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return b.apply("gather", b.attribute, b.full(b.seed, b.result_type), b.operands[2])


def _scatter_add_tangent(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return _added(b, b.result_type, b.full(b.seed, b.types[1]), b.operands[2])


def _selection(name: str, operands: str, doc: str, **fields: Any) -> Op:
    return Op(
        name=name, operands=tuple(operands.split()), kinds="", result_kind="", doc=doc, differentiable=True, **fields
    )


ROWS: Final[tuple[Op, ...]] = (
    _selection(
        "gather",
        "x index",
        "x at integer indices along an axis (attribute: the axis and the batch)",
        result_type=_gather_type,
        evaluate=lambda attribute, x, index: np.asarray(x)[_places(attribute, np.shape(x), index)],
        adjoint=_gather_adjoint,
        tangent=_gather_tangent,
        selects=True,
        cases=(
            Case(((3,), _INDEX), (0, 0)),
            Case(((2, 3, 2), _INDEX), (1, 0)),
            Case(((2, 3), np.array(1)), (1, 0)),
            Case(((2, 3), _INDEX[:, 1]), (1, 1)),
            Case(((2, 4, 3, 2), _ROWS), (2, 1)),
            Case(((2, 2, 2, 3), _ROWS), (3, 2)),
        ),
    ),
    _selection(
        "scatter",
        "x index",
        "x added into zeros at integer indices along an axis (attribute: the axis, its length and the batch)",
        result_type=_scatter_type,
        evaluate=_scatter,
        adjoint=_scatter_adjoint,
        tangent=_scatter_tangent,
        cases=(
            Case(((2, 3), _INDEX), (0, 3, 0)),
            Case(((4, 2, 3, 2), _INDEX), (1, 3, 0)),
            Case(((2,), _INDEX[:, 1]), (1, 3, 1)),
            Case(((2, 4, 2, 3, 2), _ROWS), (2, 3, 1)),
            Case(((2, 2, 2, 3), _ROWS), (3, 4, 2)),
        ),
    ),
    _selection(
        "scatter_add",
        "acc x index",
        "acc with x added at integer indices along an axis (attribute: the axis and the batch)",
        result_type=lambda _, types: types[0],
        evaluate=_scatter_add,
        adjoint=_scatter_add_adjoint,
        tangent=_scatter_add_tangent,
        accumulates=True,
        cases=(
            Case(((3, 2), (2, 3, 2), _INDEX), (0, 0)),
            Case(((2, 3), (2, 3), _INDEX), (1, 1)),
            Case(((2, 4, 3, 2), (2, 4, 2, 3, 2), _ROWS), (2, 1)),
        ),
    ),
)
