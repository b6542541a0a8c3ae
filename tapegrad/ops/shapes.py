"""Rows that only move numbers: reshape, transpose, broadcast, windows and their adjoints, joining.

A *window* is one (start, step, count) an axis; steps may be negative. `slice` reads a window, `pad` writes
one into zeros, `slice_add` adds into one: each is the others' derivative. `slice_set` puts something in place of a
window: what was there before has no derivative any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops.row import ArrayType, Attribute, Case, Op

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

Windows = tuple[tuple[int, int, int], ...]


def window_index(windows: Windows) -> tuple[slice, ...]:
    """The NumPy index of a window."""
    index = []
    for start, step, count in windows:
        stop = start + step * count
        index.append(slice(start, None if stop < 0 else stop, step) if count else slice(0, 0))
    return tuple(index)


def _first(_: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    return types[0]


def _linear(b: Builder, _: int) -> Contribution:
    """The tangent of a linear op of one operand: the same op on the tangent."""
    return b.apply(b.op.name, b.attribute, b.full(b.seed, b.types[0]))


def _reshape_adjoint(b: Builder, _: int) -> Contribution:
    if b.is_uniform(b.seed):
        return b.reshape(b.seed, ())
    return b.reshape(b.full(b.seed, b.result_type), b.types[0].shape)


def _reshape_tangent(b: Builder, _: int) -> Contribution:
    if b.is_uniform(b.seed):
        return b.reshape(b.seed, ())
    return b.reshape(b.full(b.seed, b.types[0]), b.result_type.shape)


def _transpose_type(axes: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    return ArrayType(tuple(types[0].shape[a] for a in axes), types[0].kind)


def _transpose_adjoint(b: Builder, _: int) -> Contribution:
    if b.is_uniform(b.seed):
        return b.reshape(b.seed, ())
    return b.apply("transpose", tuple(np.argsort(b.attribute).tolist()), b.full(b.seed, b.result_type))


def _broadcast_adjoint(b: Builder, _: int) -> Contribution:
    return b.sum_to(b.seed, b.result_type.shape, b.types[0].shape)


def _slice_type(windows: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    return ArrayType(tuple(count for _, _, count in windows), types[0].kind)


def _slice_adjoint(b: Builder, _: int) -> Contribution:
    g = b.full(b.seed, b.result_type)
    return b.accumulate("pad", (b.types[0].shape, b.attribute), "slice_add", b.attribute, g)


def _pad_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    return ArrayType(attribute[0], types[0].kind)


def _pad(attribute: Attribute, x: Any) -> Any:
    shape, windows = attribute
    out = np.zeros(shape, np.asarray(x).dtype)
    out[window_index(windows)] = x
    return out


def _pad_adjoint(b: Builder, _: int) -> Contribution:
    return b.apply("slice", b.attribute[1], b.full(b.seed, b.result_type))


def _slice_add(windows: Attribute, acc: Any, x: Any) -> Any:
    out = np.array(acc)
    out[window_index(windows)] += x
    return out


def _slice_add_adjoint(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return b.apply("slice", b.attribute, b.full(b.seed, b.result_type))


def _slice_add_tangent(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    t = b.full(b.seed, b.types[1])
    return b.accumulate("pad", (b.result_type.shape, b.attribute), "slice_add", b.attribute, t)


def _item_adjoint(b: Builder, _: int) -> Contribution:
    return b.accumulate("", (), "item_add", b.attribute, b.full(b.seed, b.result_type))


def _item_add(attribute: Attribute, acc: Any, x: Any) -> Any:
    out = np.array(acc)
    out[attribute[0]] += x
    return out


def _item_add_adjoint(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return b.apply("item", b.attribute, b.full(b.seed, b.result_type))


def _item_add_tangent(b: Builder, k: int) -> Contribution:
    if k == 0:
        return b.seed
    return b.accumulate("", (), "item_add", b.attribute, b.full(b.seed, b.types[1]))


def _slice_set(windows: Attribute, acc: Any, x: Any) -> Any:
    out = np.array(acc)
    out[window_index(windows)] = x
    return out


def _zeros(b: Builder, shape: tuple[int, ...]) -> int:
    """Zeros of a shape, none of which is stored."""
    return b.full(b.constant(0.0), ArrayType(shape))


def _slice_set_adjoint(b: Builder, k: int) -> Contribution | None:
    counts = b.types[1].shape
    if k == 1:
        return b.apply("slice", b.attribute, b.full(b.seed, b.result_type))
    if counts == b.types[0].shape:
        return None
    return b.apply("slice_set", b.attribute, b.full(b.seed, b.result_type), _zeros(b, counts))


def _slice_set_tangent(b: Builder, k: int) -> Contribution:
    if k == 1:
        return _slice_add_tangent(b, 1)
    return b.apply("slice_set", b.attribute, b.full(b.seed, b.types[0]), _zeros(b, b.types[1].shape))


def _item_set(attribute: Attribute, acc: Any, x: Any) -> Any:
    out = np.array(acc)
    out[attribute[0]] = x
    return out


def _item_set_adjoint(b: Builder, k: int) -> Contribution:
    seed = b.full(b.seed, b.result_type)
    if k == 1:
        return b.apply("item", b.attribute, seed)
    return b.apply("item_set", b.attribute, seed, _zeros(b, b.types[1].shape))


def _item_set_tangent(b: Builder, k: int) -> Contribution:
    if k == 1:
        return _item_add_tangent(b, 1)
    return b.apply("item_set", b.attribute, b.full(b.seed, b.types[0]), _zeros(b, b.types[1].shape))


def _concatenate_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    (axis,) = attribute
    shape = list(types[0].shape)
    shape[axis] = sum(t.shape[axis] for t in types)
    return ArrayType(tuple(shape), types[0].kind)


def concatenate_window(axis: int, types: Sequence[ArrayType], k: int) -> Windows:
    """Where operand k of a concatenation stands in the result."""
    start = sum(t.shape[axis] for t in types[:k])
    return tuple((start if a == axis else 0, 1, n) for a, n in enumerate(types[k].shape))


def _concatenate_adjoint(b: Builder, k: int) -> Contribution:
    if b.is_uniform(b.seed):
        return b.reshape(b.seed, ())
    window = concatenate_window(b.attribute[0], b.types, k)
    return b.apply("slice", window, b.full(b.seed, b.result_type))


def _concatenate_tangent(b: Builder, k: int) -> Contribution:
    window = concatenate_window(b.attribute[0], b.types, k)
    t = b.full(b.seed, b.types[k])
    return b.accumulate("pad", (b.result_type.shape, window), "slice_add", window, t)


# --- many points at once


def _moved_windows(b: Batcher, windows: Windows) -> Windows:
    """A window of each point."""
    return ((0, 1, b.length), *windows)


def _reshape_batch(b: Batcher) -> int:
    return b.apply("reshape", (b.length, *b.attribute), 0)


def _transpose_batch(b: Batcher) -> int:
    return b.apply("transpose", (0, *(a + 1 for a in b.attribute)), 0)


def _broadcast_batch(b: Batcher) -> int:
    return b.apply("broadcast_to", (b.length, *b.attribute), b.raised(0, len(b.attribute)))


def _slice_batch(b: Batcher) -> int:
    return b.apply("slice", _moved_windows(b, b.attribute), 0)


def _pad_batch(b: Batcher) -> int:
    shape, windows = b.attribute
    return b.apply("pad", ((b.length, *shape), _moved_windows(b, windows)), 0)


def _slice_add_batch(b: Batcher) -> int:
    return b.apply("slice_add", _moved_windows(b, b.attribute), b.full(0), b.full(1))


def _item_batch(b: Batcher) -> int:
    """k counts the first axis, so that it is no part of the signature; all items of x share the transposition."""
    return b.apply("item", b.attribute, b.to_front(0, 1))


def _item_add_batch(b: Batcher) -> int:
    """Between one item_add and the next the transpositions cancel (`tapegrad.passes.simplify`)."""
    return b.to_front(b.apply("item_add", b.attribute, b.to_front(b.full(0), 1), b.full(1)), 1)


def _slice_set_batch(b: Batcher) -> int:
    return b.apply("slice_set", _moved_windows(b, b.attribute), b.full(0), b.full(1))


def _item_set_batch(b: Batcher) -> int:
    return b.to_front(b.apply("item_set", b.attribute, b.to_front(b.full(0), 1), b.full(1)), 1)


def _concatenate_batch(b: Batcher) -> int:
    return b.apply("concatenate", (b.attribute[0] + 1,), *[b.full(k) for k in b.operands])


def _stop_gradient_batch(b: Batcher) -> int:
    return b.apply("stop_gradient", (), 0)


def _structural(name: str, operands: str, doc: str, **fields: Any) -> Op:
    return Op(
        name=name, operands=tuple(operands.split()), kinds="", result_kind="", doc=doc, differentiable=True, **fields
    )


ROWS: Final[tuple[Op, ...]] = (
    _structural(
        "reshape",
        "x",
        "the same elements in another shape (attribute: the shape)",
        result_type=lambda shape, types: ArrayType(shape, types[0].kind),
        evaluate=lambda shape, x: np.reshape(x, shape),
        adjoint=_reshape_adjoint,
        tangent=_reshape_tangent,
        batch=_reshape_batch,
        cases=(Case(((2, 3),), (3, 2)), Case(((),), (1, 1)), Case(((0, 4),), (2, 0))),
    ),
    _structural(
        "transpose",
        "x",
        "axes permuted (attribute: the axes)",
        result_type=_transpose_type,
        evaluate=lambda axes, x: np.transpose(x, axes),
        adjoint=_transpose_adjoint,
        tangent=_linear,
        batch=_transpose_batch,
        cases=(Case(((2, 3, 4),), (2, 0, 1)), Case(((3, 2),), (1, 0)), Case(((),), ())),
    ),
    _structural(
        "broadcast_to",
        "x",
        "repeated along new or size-1 axes (attribute: the shape)",
        result_type=lambda shape, types: ArrayType(shape, types[0].kind),
        evaluate=lambda shape, x: np.broadcast_to(x, shape),
        adjoint=_broadcast_adjoint,
        tangent=lambda b, _: b.seed,
        batch=_broadcast_batch,
        cases=(Case(((3, 1),), (2, 3, 4)), Case(((),), (3,)), Case(((1,),), (0,))),
    ),
    _structural(
        "slice",
        "x",
        "a window of x (attribute: start, step, count of each axis)",
        result_type=_slice_type,
        evaluate=lambda windows, x: np.asarray(x)[window_index(windows)],
        adjoint=_slice_adjoint,
        tangent=_linear,
        batch=_slice_batch,
        selects=True,
        cases=(Case(((5, 4),), ((3, -1, 3), (1, 2, 2))), Case(((5,),), ((4, -2, 3),)), Case(((4,),), ((2, 1, 0),))),
    ),
    _structural(
        "pad",
        "x",
        "x in a window of zeros (attribute: the shape and the window)",
        result_type=_pad_type,
        evaluate=_pad,
        adjoint=_pad_adjoint,
        tangent=_linear,
        batch=_pad_batch,
        cases=(Case(((3, 2),), ((5, 4), ((3, -1, 3), (1, 2, 2)))), Case(((),), ((), ()))),
    ),
    _structural(
        "slice_add",
        "acc x",
        "acc with x added in a window (attribute: the window)",
        result_type=_first,
        evaluate=_slice_add,
        adjoint=_slice_add_adjoint,
        tangent=_slice_add_tangent,
        batch=_slice_add_batch,
        accumulates=True,
        cases=(Case(((5, 4), (3, 2)), ((3, -1, 3), (1, 2, 2))),),
    ),
    _structural(
        "slice_set",
        "acc x",
        "acc with x in place of a window (attribute: the window)",
        result_type=_first,
        evaluate=_slice_set,
        adjoint=_slice_set_adjoint,
        tangent=_slice_set_tangent,
        batch=_slice_set_batch,
        selects=True,
        accumulates=True,
        overwrites=True,
        cases=(
            Case(((5, 4), (3, 2)), ((3, -1, 3), (1, 2, 2))),
            Case(((5,), (2,)), ((4, -2, 2),)),
            Case(((2, 3), (2, 3)), ((0, 1, 2), (0, 1, 3))),
            Case(((4,), (0,)), ((2, 1, 0),)),
        ),
    ),
    _structural(
        "item",
        "x",
        "x[k] (attribute: k, counted from the start)",
        result_type=lambda _, types: ArrayType(types[0].shape[1:], types[0].kind),
        evaluate=lambda attribute, x: np.asarray(x)[attribute[0]],
        adjoint=_item_adjoint,
        tangent=_linear,
        batch=_item_batch,
        selects=True,
        immediate=True,
        cases=(Case(((5,),), (2,)), Case(((3, 2),), (0,)), Case(((2, 3, 2),), (1,)), Case(((2, 0),), (1,))),
    ),
    _structural(
        "item_add",
        "acc x",
        "acc with x added to acc[k] (attribute: k, counted from the start)",
        result_type=_first,
        evaluate=_item_add,
        adjoint=_item_add_adjoint,
        tangent=_item_add_tangent,
        batch=_item_add_batch,
        accumulates=True,
        immediate=True,
        cases=(Case(((5,), ()), (2,)), Case(((3, 2), (2,)), (1,))),
    ),
    _structural(
        "item_set",
        "acc x",
        "acc with x in place of acc[k] (attribute: k, counted from the start)",
        result_type=_first,
        evaluate=_item_set,
        adjoint=_item_set_adjoint,
        tangent=_item_set_tangent,
        batch=_item_set_batch,
        selects=True,
        accumulates=True,
        overwrites=True,
        immediate=True,
        cases=(Case(((5,), ()), (2,)), Case(((3, 2), (2,)), (1,)), Case(((2, 3, 2), (3, 2)), (0,))),
    ),
    _structural(
        "concatenate",
        "x",
        "operands joined along an axis (attribute: the axis)",
        result_type=_concatenate_type,
        evaluate=lambda attribute, *xs: np.concatenate(xs, attribute[0]),
        adjoint=_concatenate_adjoint,
        tangent=_concatenate_tangent,
        batch=_concatenate_batch,
        cases=(Case(((2, 3), (2, 1), (2, 0)), (1,)), Case(((2,), (3,)), (0,))),
    ),
    Op(
        name="stop_gradient",
        operands=("x",),
        kinds="",
        result_kind="",
        doc="x, taken as a constant by the derivative",
        result_type=_first,
        evaluate=lambda _, x: x,
        batch=_stop_gradient_batch,
        cases=(Case(((3,),)),),
    ),
)
