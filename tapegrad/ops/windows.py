"""Rows that read, write, add to or set a part of an array: windows, and items along the first axis.

A *window* is one (start, step, count) an axis; steps may be negative. `slice` reads a window, `pad` writes
one into zeros, `slice_add` adds into one: each is the others' derivative. `slice_set` puts something in place of a
window: what was there before has no derivative any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted
from tapegrad.ops.flops import each
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import Written, window_text

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

Windows = tuple[tuple[int, int, int], ...]


def structural(name: str, operands: str, doc: str, **fields: Any) -> Op:
    """A row that moves numbers of any kind."""
    return Op(
        name=name, operands=tuple(operands.split()), kinds="", result_kind="", doc=doc, differentiable=True, **fields
    )


def window_index(windows: Windows) -> tuple[slice, ...]:
    """The NumPy index of a window."""
    index = []
    for start, step, count in windows:
        stop = start + step * count
        index.append(slice(start, None if stop < 0 else stop, step) if count else slice(0, 0))
    return tuple(index)


def first(_: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    """The type of operand 0."""
    return types[0]


def linear(b: Builder, _: int) -> Contribution:
    """The tangent of a linear op of one operand: the same op on the tangent."""
    return b.apply(b.op.name, b.attribute, b.full(b.seed, b.types[0]))


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


# --- many points at once


def _moved_windows(b: Batcher, windows: Windows) -> Windows:
    """A window of each point."""
    return ((0, 1, b.length), *windows)


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


# --- in NumPy source


def _window_source(function: str) -> Written:
    return lambda windows, types: f"{function}(acc, np.s_[{window_text(windows, types[0].shape)}], x)"


ROWS: Final[tuple[Op, ...]] = (
    structural(
        "slice",
        "x",
        "a window of x (attribute: start, step, count of each axis)",
        result_type=_slice_type,
        accepts=accepted.slice_,
        evaluate=lambda windows, x: np.asarray(x)[window_index(windows)],
        source=lambda windows, types: f"x[{window_text(windows, types[0].shape)}]",
        adjoint=_slice_adjoint,
        tangent=linear,
        batch=_slice_batch,
        selects=True,
        cases=(Case(((5, 4),), ((3, -1, 3), (1, 2, 2))), Case(((5,),), ((4, -2, 3),)), Case(((4,),), ((2, 1, 0),))),
    ),
    structural(
        "pad",
        "x",
        "x in a window of zeros (attribute: the shape and the window)",
        result_type=_pad_type,
        accepts=accepted.pad,
        evaluate=_pad,
        source=lambda attribute, _: f"_pad(x, {attribute[0]}, np.s_[{window_text(attribute[1], attribute[0])}])",
        adjoint=_pad_adjoint,
        tangent=linear,
        batch=_pad_batch,
        cases=(Case(((3, 2),), ((5, 4), ((3, -1, 3), (1, 2, 2)))), Case(((),), ((), ()))),
    ),
    structural(
        "slice_add",
        "acc x",
        "acc with x added in a window (attribute: the window)",
        result_type=first,
        accepts=accepted.slice_add,
        evaluate=_slice_add,
        source=_window_source("_add_at"),
        adjoint=_slice_add_adjoint,
        flops=each(1),
        tangent=_slice_add_tangent,
        batch=_slice_add_batch,
        accumulates=True,
        cases=(Case(((5, 4), (3, 2)), ((3, -1, 3), (1, 2, 2))),),
    ),
    structural(
        "slice_set",
        "acc x",
        "acc with x in place of a window (attribute: the window)",
        result_type=first,
        accepts=accepted.slice_set,
        evaluate=_slice_set,
        source=_window_source("_set_at"),
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
    structural(
        "item",
        "x",
        "x[k] (attribute: k, counted from the start)",
        result_type=lambda _, types: ArrayType(types[0].shape[1:], types[0].kind),
        accepts=accepted.item,
        evaluate=lambda attribute, x: np.asarray(x)[attribute[0]],
        source=lambda attribute, _: f"x[{attribute[0]}]",
        adjoint=_item_adjoint,
        tangent=linear,
        batch=_item_batch,
        selects=True,
        immediate=True,
        cases=(Case(((5,),), (2,)), Case(((3, 2),), (0,)), Case(((2, 3, 2),), (1,)), Case(((2, 0),), (1,))),
    ),
    structural(
        "item_add",
        "acc x",
        "acc with x added to acc[k] (attribute: k, counted from the start)",
        result_type=first,
        accepts=accepted.item_add,
        evaluate=_item_add,
        source=lambda attribute, _: f"_add_at(acc, {attribute[0]}, x)",
        adjoint=_item_add_adjoint,
        flops=each(1),
        tangent=_item_add_tangent,
        batch=_item_add_batch,
        accumulates=True,
        immediate=True,
        cases=(Case(((5,), ()), (2,)), Case(((3, 2), (2,)), (1,))),
    ),
    structural(
        "item_set",
        "acc x",
        "acc with x in place of acc[k] (attribute: k, counted from the start)",
        result_type=first,
        accepts=accepted.item_set,
        evaluate=_item_set,
        source=lambda attribute, _: f"_set_at(acc, {attribute[0]}, x)",
        adjoint=_item_set_adjoint,
        tangent=_item_set_tangent,
        batch=_item_set_batch,
        selects=True,
        accumulates=True,
        overwrites=True,
        immediate=True,
        cases=(Case(((5,), ()), (2,)), Case(((3, 2), (2,)), (1,)), Case(((2, 3, 2), (3, 2)), (0,))),
    ),
)
