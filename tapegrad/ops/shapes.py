"""Rows that only move numbers: reshape, transpose, broadcast, joining."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import numpy as np

from tapegrad.ops import accepted
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.windows import Windows, first, linear, structural

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution


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


def _concatenate_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    (axis,) = attribute
    shape = list(types[0].shape)
    shape[axis] = sum(t.shape[axis] for t in types)
    return ArrayType(tuple(shape), types[0].kind)


def concatenate_window(axis: int, types: Sequence[ArrayType], k: int) -> Windows:
    """Where operand k of a concatenation stands in the result."""
    return _window_from(sum(t.shape[axis] for t in types[:k]), axis, types[k].shape)


def concatenate_windows(axis: int, types: Sequence[ArrayType]) -> list[Windows]:
    """Where each operand stands, at a cost that does not grow with the square of their number."""
    starts = accumulate((t.shape[axis] for t in types), initial=0)
    return [_window_from(start, axis, t.shape) for start, t in zip(starts, types, strict=False)]


def _window_from(start: int, axis: int, shape: tuple[int, ...]) -> Windows:
    return tuple((start if a == axis else 0, 1, n) for a, n in enumerate(shape))


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


def _reshape_batch(b: Batcher) -> int:
    return b.apply("reshape", (b.length, *b.attribute), 0)


def _transpose_batch(b: Batcher) -> int:
    return b.apply("transpose", (0, *(a + 1 for a in b.attribute)), 0)


def _broadcast_batch(b: Batcher) -> int:
    return b.apply("broadcast_to", (b.length, *b.attribute), b.raised(0, len(b.attribute)))


def _concatenate_batch(b: Batcher) -> int:
    return b.apply("concatenate", (b.attribute[0] + 1,), *[b.full(k) for k in b.operands])


def _stop_gradient_batch(b: Batcher) -> int:
    return b.apply("stop_gradient", (), 0)


# --- in NumPy source


def _transpose_source(axes: Attribute, _: Sequence[ArrayType]) -> str:
    return "x.T" if axes == tuple(range(len(axes)))[::-1] else f"np.transpose(x, {axes})"


def _concatenate_source(attribute: Attribute, types: Sequence[ArrayType]) -> str:
    operands = ", ".join(f"x{k}" for k in range(len(types)))
    return f"np.concatenate([{operands}]{f', axis={attribute[0]}' if attribute[0] else ''})"


ROWS: Final[tuple[Op, ...]] = (
    structural(
        "reshape",
        "x",
        "the same elements in another shape (attribute: the shape)",
        result_type=lambda shape, types: ArrayType(shape, types[0].kind),
        accepts=accepted.reshape,
        evaluate=lambda shape, x: np.reshape(x, shape),
        source=lambda shape, _: f"x.reshape({', '.join(map(str, shape)) or '()'})",
        adjoint=_reshape_adjoint,
        tangent=_reshape_tangent,
        batch=_reshape_batch,
        cases=(Case(((2, 3),), (3, 2)), Case(((),), (1, 1)), Case(((0, 4),), (2, 0))),
    ),
    structural(
        "transpose",
        "x",
        "axes permuted (attribute: the axes)",
        result_type=_transpose_type,
        accepts=accepted.transpose,
        evaluate=lambda axes, x: np.transpose(x, axes),
        source=_transpose_source,
        adjoint=_transpose_adjoint,
        tangent=linear,
        batch=_transpose_batch,
        cases=(Case(((2, 3, 4),), (2, 0, 1)), Case(((3, 2),), (1, 0)), Case(((),), ())),
    ),
    structural(
        "broadcast_to",
        "x",
        "repeated along new or size-1 axes (attribute: the shape)",
        result_type=lambda shape, types: ArrayType(shape, types[0].kind),
        accepts=accepted.broadcast_to,
        evaluate=lambda shape, x: np.broadcast_to(x, shape),
        source=lambda shape, _: f"np.broadcast_to(x, {shape})",
        adjoint=_broadcast_adjoint,
        tangent=lambda b, _: b.seed,
        batch=_broadcast_batch,
        cases=(Case(((3, 1),), (2, 3, 4)), Case(((),), (3,)), Case(((1,),), (0,))),
    ),
    structural(
        "concatenate",
        "x",
        "operands joined along an axis (attribute: the axis)",
        result_type=_concatenate_type,
        accepts=accepted.concatenate,
        evaluate=lambda attribute, *xs: np.concatenate(xs, attribute[0]),
        source=_concatenate_source,
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
        result_type=first,
        accepts=accepted.plain,
        evaluate=lambda _, x: x,
        source="x",
        batch=_stop_gradient_batch,
        cases=(Case(((3,),)),),
    ),
)
