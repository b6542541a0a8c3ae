"""Rows that select along one axis by an integer array, and their adjoints, which add back (scatter)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.builder import Builder, Contribution

_INDEX: Final = np.array([[2, 0, -1], [1, 2, 2]])


def _gather_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    (axis,) = attribute
    x, index = types
    return ArrayType((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]), x.kind)


def _scatter_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    axis, length = attribute
    x, index = types
    return ArrayType((*x.shape[:axis], length, *x.shape[axis + len(index.shape) :]), x.kind)


def _scatter_add(attribute: Attribute, acc: Any, x: Any, index: Any) -> Any:
    out = np.array(acc)
    np.add.at(out, (slice(None),) * attribute[0] + (index,), x)
    return out


def _scatter(attribute: Attribute, x: Any, index: Any) -> Any:
    axis, length = attribute
    x = np.asarray(x)
    shape = (*x.shape[:axis], length, *x.shape[axis + np.ndim(index) :])
    return _scatter_add((axis,), np.zeros(shape, x.dtype), x, index)


def _gather_adjoint(b: Builder, _: int) -> Contribution:
    (axis,) = b.attribute
    g = b.full(b.seed, b.result_type)
    return b.accumulate("scatter", (axis, b.types[0].shape[axis]), "scatter_add", (axis,), g, b.operands[1])


def _gather_tangent(b: Builder, _: int) -> Contribution:
    return b.apply("gather", b.attribute, b.full(b.seed, b.types[0]), b.operands[1])


def _scatter_adjoint(b: Builder, _: int) -> Contribution:
    return b.apply("gather", b.attribute[:1], b.full(b.seed, b.result_type), b.operands[1])


def _scatter_tangent(b: Builder, _: int) -> Contribution:
    return b.apply("scatter", b.attribute, b.full(b.seed, b.types[0]), b.operands[1])


def _scatter_add_adjoint(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return b.apply("gather", b.attribute, b.full(b.seed, b.result_type), b.operands[2])


def _scatter_add_tangent(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    (axis,) = b.attribute
    t = b.full(b.seed, b.types[1])
    return b.accumulate("scatter", (axis, b.result_type.shape[axis]), "scatter_add", (axis,), t, b.operands[2])


def _selection(name: str, operands: str, doc: str, **fields: Any) -> Op:
    return Op(
        name=name, operands=tuple(operands.split()), kinds="", result_kind="", doc=doc, differentiable=True, **fields
    )


ROWS: Final[tuple[Op, ...]] = (
    _selection(
        "gather",
        "x index",
        "x at integer indices along an axis (attribute: the axis)",
        result_type=_gather_type,
        evaluate=lambda attribute, x, index: np.take(x, index, attribute[0]),
        adjoint=_gather_adjoint,
        tangent=_gather_tangent,
        selects=True,
        cases=(Case(((3,), _INDEX), (0,)), Case(((2, 3, 2), _INDEX), (1,)), Case(((2, 3), np.array(1)), (1,))),
    ),
    _selection(
        "scatter",
        "x index",
        "x added into zeros at integer indices along an axis (attribute: the axis and its length)",
        result_type=_scatter_type,
        evaluate=_scatter,
        adjoint=_scatter_adjoint,
        tangent=_scatter_tangent,
        cases=(Case(((2, 3), _INDEX), (0, 3)), Case(((4, 2, 3, 2), _INDEX), (1, 3))),
    ),
    _selection(
        "scatter_add",
        "acc x index",
        "acc with x added at integer indices along an axis (attribute: the axis)",
        result_type=lambda _, types: types[0],
        evaluate=_scatter_add,
        adjoint=_scatter_add_adjoint,
        tangent=_scatter_add_tangent,
        accumulates=True,
        cases=(Case(((3, 2), (2, 3, 2), _INDEX), (0,)),),
    ),
)
