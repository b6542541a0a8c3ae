"""Rows that reduce over axes (attribute: the axes, counted from the start; they vanish from the shape)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted
from tapegrad.ops.flops import each
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import Written, axes_text

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

_CASES: Final = (
    Case(((3, 4),), (0,)),
    Case(((3, 4),), (1,)),
    Case(((2, 3, 4),), (0, 2)),
    Case(((5,),), (0,)),
    Case(((),), ()),
)
_EMPTY: Final = (Case(((0, 3),), (0,)), Case(((2, 0),), (0, 1)))


def _reduced_type(axes: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    shape = tuple(n for a, n in enumerate(types[0].shape) if a not in axes)
    return ArrayType(shape, types[0].kind)


def _kept(shape: tuple[int, ...], axes: Attribute) -> tuple[int, ...]:
    """The shape with the reduced axes kept as 1, so that a result broadcasts against its operand."""
    return tuple(1 if a in axes else n for a, n in enumerate(shape))


def _spread(b: Builder, ref: int) -> int:
    """A value shaped as the result (or narrower), shaped to broadcast against the operand."""
    result = b.result_type.shape
    narrow = (1,) * (len(result) - len(b.type(ref).shape)) + b.type(ref).shape
    axes, kept, place = b.attribute, [], 0
    for a in range(len(b.types[0].shape)):
        if a in axes:
            kept.append(1)
        else:
            kept.append(narrow[place])
            place += 1
    return b.reshape(ref, b.strip(tuple(kept)))


def _sum_adjoint(b: Builder, _: int) -> Contribution:
    return _spread(b, b.seed)


def _sum_tangent(b: Builder, _: int) -> Contribution:
    return b.apply("sum", b.attribute, b.full(b.seed, b.types[0]))


def _share(b: Builder) -> tuple[int, int]:
    """Which entries attain the extreme, and how many of each reduced stretch do: ties share equally."""
    result = b.reshape(b.result, _kept(b.types[0].shape, b.attribute))
    attained = b.apply("equal", (), b.operands[0], result)
    ones = b.apply("where", (), attained, b.constant(1.0), b.constant(0.0))
    return attained, b.apply("sum", b.attribute, ones)


def _extreme_adjoint(b: Builder, _: int) -> Contribution:
    attained, count = _share(b)
    share = b.apply("divide", (), _spread(b, b.seed), _spread(b, count))
    return b.apply("where", (), attained, share, b.constant(0.0))


def _extreme_tangent(b: Builder, _: int) -> Contribution:
    attained, count = _share(b)
    taken = b.apply("where", (), attained, b.seed, b.constant(0.0))
    return b.apply("divide", (), b.apply("sum", b.attribute, b.full(taken, b.types[0])), count)


def _batch(b: Batcher) -> int:
    return b.apply(b.op.name, tuple(a + 1 for a in b.attribute), 0)


def _source(name: str) -> Written:
    return lambda axes, types: f"np.{name}(x{axes_text(axes, len(types[0].shape))})"


def _reduction(name: str, doc: str, evaluate: Any, **fields: Any) -> Op:
    return Op(
        name=name,
        operands=("x",),
        kinds="",
        result_kind="",
        doc=doc,
        evaluate=evaluate,
        result_type=_reduced_type,
        differentiable=True,
        batch=_batch,
        flops=each(),
        **fields,
    )


ROWS: Final[tuple[Op, ...]] = (
    _reduction(
        "sum",
        "sum over axes",
        lambda axes, x: np.sum(x, axis=axes),
        source=_source("sum"),
        accepts=accepted.total,
        adjoint=_sum_adjoint,
        tangent=_sum_tangent,
        cases=_CASES + _EMPTY,
    ),
    _reduction(
        "max",
        "largest over axes; ties share the derivative equally",
        lambda axes, x: np.max(x, axis=axes),
        source=_source("max"),
        accepts=accepted.extreme,
        adjoint=_extreme_adjoint,
        tangent=_extreme_tangent,
        selects=True,
        cases=_CASES,
    ),
    _reduction(
        "min",
        "smallest over axes; ties share the derivative equally",
        lambda axes, x: np.min(x, axis=axes),
        source=_source("min"),
        accepts=accepted.extreme,
        adjoint=_extreme_adjoint,
        tangent=_extreme_tangent,
        selects=True,
        cases=_CASES,
    ),
)
