"""Rows that select along one axis by an integer array, their adjoints, which add back (scatter), and assignment.

With a *batch* of b, the first b axes of the array and of what it selects from are the same, and each entry
of those has indices of its own: p the b axes, q the others before the axis, j the rest of the array's,

    gathered[p, q, j, r] = x[p, q, index[p, j], r]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted
from tapegrad.ops.flops import each
from tapegrad.ops.row import BOOL, ArrayType, Attribute, Case, Op
from tapegrad.ops.source import call

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
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


# --- many points at once: they are one more shared axis where array and indices have them, else an axis of one of both


def _gather_batch(b: Batcher) -> int:
    axis, batch = b.attribute
    if not b.batched[0]:
        return _gather_for_points(b)
    if batch or b.batched[1]:
        return b.apply("gather", (axis + 1, batch + 1), 0, b.full(1))
    return b.apply("gather", (axis + 1, 0), 0, 1)


def _gather_for_points(b: Batcher) -> int:
    """Indices differ from point to point, what they select from does not, and is not repeated."""
    axis, batch = b.attribute
    if batch:  # the points after the shared axes, as the first of the index's own
        index = b.transpose(1, [*range(1, batch + 1), 0, *range(batch + 1, len(b.type(1).shape))])
        return b.to_front(b.apply("gather", b.attribute, 0, index), axis)
    found = b.apply("gather", (0, 0), b.to_front(0, axis), 1)
    chosen, every = len(b.type(1).shape), len(b.type(found).shape)
    return b.transpose(found, [0, *range(chosen, chosen + axis), *range(1, chosen), *range(chosen + axis, every)])


def _shared(b: Batcher, x: int, index: int, batch: int) -> tuple[int, int, int]:
    """Array, indices and the axes that they share, where one of both at least differs from point to point."""
    if batch or b.batched[index]:
        return b.full(x), b.full(index), batch + 1
    return x, index, 0


def _scatter_batch(b: Batcher) -> int:
    axis, length, batch = b.attribute
    x, index, shared = _shared(b, 0, 1, batch)
    return b.apply("scatter", (axis + 1, length, shared), x, index)


def _scatter_add_batch(b: Batcher) -> int:
    axis, batch = b.attribute
    if not b.batched[1] and not b.batched[2]:
        added = b.apply("scatter", (axis, b.point.shape[axis], batch), 1, 2)
        return b.apply("add", (), 0, added)
    acc = b.full(0)
    x, index, shared = _shared(b, 1, 2, batch)
    return b.apply("scatter_add", (axis + 1, shared), acc, x, index)


def _scatter_set_batch(b: Batcher) -> int:
    axis, batch, distinct = b.attribute
    return b.apply("scatter_set", (axis + 1, batch + 1, distinct), b.full(0), b.full(1), b.full(2))


def _is_last_batch(b: Batcher) -> int:
    length, batch = b.attribute
    return b.apply("is_last", (length, batch + 1), 0)


# --- assignment


def _scatter_set(attribute: Attribute, acc: Any, x: Any, index: Any) -> Any:
    out = np.array(acc)
    out[_places(attribute[:2], out.shape, index)] = x
    return out


def _is_last(attribute: Attribute, index: Any) -> Any:
    """Of places that are named more than once, where the last name stands, in each entry of the batch."""
    length, batch = attribute
    index = np.asarray(index)
    if not index.size:
        return np.zeros(index.shape, np.bool_)
    rows = index.reshape(int(np.prod(index.shape[:batch], dtype=np.int64)), -1)
    places = np.where(rows < 0, rows + length, rows) + length * np.arange(len(rows))[:, None]
    backwards = places.reshape(-1)[::-1]
    last = np.zeros(index.size, np.bool_)
    last[index.size - 1 - np.unique(backwards, return_index=True)[1]] = True
    return last.reshape(index.shape)


def _lasting(b: Builder, ref: int) -> int:
    """What belongs to x of a scatter_set, 0 where x is overwritten at once."""
    axis, batch, distinct = b.attribute
    if distinct:
        return ref
    index, whole = b.operands[2], b.types[0].shape
    shape = b.type(index).shape
    last = b.apply("is_last", (whole[axis], batch), index)
    wide = (*shape[:batch], *[1] * (axis - batch), *shape[batch:], *[1] * (len(whole) - axis - 1))
    return b.apply("where", (), b.reshape(last, wide), ref, b.constant(0.0))


def _scatter_set_adjoint(b: Builder, k: int) -> Contribution:
    seed, index = b.full(b.seed, b.result_type), b.operands[2]
    if k == 1:
        return _lasting(b, b.apply("gather", b.attribute[:2], seed, index))
    return b.apply("scatter_set", (*b.attribute[:2], 1), seed, b.full(b.constant(0.0), b.types[1]), index)


def _scatter_set_tangent(b: Builder, k: int) -> Contribution:
    index = b.operands[2]
    if k == 0:
        zeros = b.full(b.constant(0.0), b.types[1])
        return b.apply("scatter_set", (*b.attribute[:2], 1), b.full(b.seed, b.types[0]), zeros, index)
    axis, batch, _ = b.attribute
    t = _lasting(b, b.full(b.seed, b.types[1]))
    whole = (axis, b.types[0].shape[axis], batch)
    return b.accumulate("scatter", whole, "scatter_add", (axis, batch), t, index)


def _gather_source(attribute: Attribute, _: Sequence[ArrayType]) -> str:
    axis, batch = attribute
    return f"_gather(x, index, {axis}, {batch})" if batch else f"x[{':, ' * axis}index]"


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
        accepts=accepted.gather,
        evaluate=lambda attribute, x, index: np.asarray(x)[_places(attribute, np.shape(x), index)],
        source=_gather_source,
        adjoint=_gather_adjoint,
        tangent=_gather_tangent,
        batch=_gather_batch,
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
        accepts=accepted.scatter,
        evaluate=_scatter,
        source=call("_scatter", "x", "index"),
        adjoint=_scatter_adjoint,
        flops=each(),
        tangent=_scatter_tangent,
        batch=_scatter_batch,
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
        accepts=accepted.scatter_add,
        evaluate=_scatter_add,
        source=call("_scatter_add", "acc", "x", "index"),
        adjoint=_scatter_add_adjoint,
        flops=each(1),
        tangent=_scatter_add_tangent,
        batch=_scatter_add_batch,
        accumulates=True,
        cases=(
            Case(((3, 2), (2, 3, 2), _INDEX), (0, 0)),
            Case(((2, 3), (2, 3), _INDEX), (1, 1)),
            Case(((2, 4, 3, 2), (2, 4, 2, 3, 2), _ROWS), (2, 1)),
        ),
    ),
    _selection(
        "scatter_set",
        "acc x index",
        "acc with x in place of what is at integer indices along an axis; of a repeated index the last one counts "
        "(attribute: the axis, the batch, 1 where the derivative may take all indices for distinct)",
        result_type=lambda _, types: types[0],
        accepts=accepted.scatter_set,
        evaluate=_scatter_set,
        source=lambda attribute, _: f"_scatter_set(acc, x, index, {attribute[0]}, {attribute[1]})",
        adjoint=_scatter_set_adjoint,
        tangent=_scatter_set_tangent,
        batch=_scatter_set_batch,
        selects=True,
        accumulates=True,
        overwrites=True,
        cases=(
            Case(((3, 2), (2, 3, 2), _INDEX), (0, 0, 0)),
            Case(((5,), (3,), np.array([4, 0, -2])), (0, 0, 1)),
            Case(((2, 3), (2, 3), _INDEX), (1, 1, 0)),
            Case(((2, 4, 3, 2), (2, 4, 2, 3, 2), _ROWS), (2, 1, 0)),
            Case(((2, 3, 2), (2, 2), np.array(1)), (1, 0, 1)),
        ),
    ),
    Op(
        name="is_last",
        operands=("index",),
        kinds="",
        result_kind="",
        doc="where no later index along an axis is the same (attribute: the axis' length and the batch)",
        result_type=lambda _, types: ArrayType(types[0].shape, BOOL),
        accepts=accepted.is_last,
        evaluate=_is_last,
        source=call("_is_last", "index"),
        batch=_is_last_batch,
        eager=True,
        cases=(Case((_INDEX,), (3, 0)), Case((_INDEX,), (3, 1)), Case((_ROWS,), (3, 1)), Case((np.array(1),), (2, 0))),
    ),
)
