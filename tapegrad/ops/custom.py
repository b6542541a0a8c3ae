"""Rows that run functions of the user's (attribute: the function, an object that knows its rules).

`custom` goes through broadcast arrays element by element, by a compiled loop, in tiles; `primitive` is called by
the sweep on whole arrays, and so are its rules where they cannot be recorded. See `tapegrad.custom`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from tapegrad.ops.elementwise import broadcast_type
from tapegrad.ops.row import FLOAT, ArrayType, Attribute, Op

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution


class Function(Protocol):
    """What the attribute of these rows is."""

    name: str

    def evaluate(self, *operands: Any) -> Any:
        """The value."""

    def adjoint(self, b: Builder, k: int) -> Contribution | None:
        """What operand k's adjoint receives."""

    def tangent(self, b: Builder, k: int) -> Contribution | None:
        """What the result's tangent receives from operand k's."""


def title(op: Op, attribute: Attribute) -> str:
    """What a message calls an instruction: the op, or the user's function."""
    return attribute[0].name if op.name in {"custom", "primitive"} else op.name


def _row(name: str, doc: str, result_type: Any, **fields: Any) -> Op:
    return Op(
        name=name,
        operands=("x",),
        kinds="",
        result_kind="",
        doc=doc,
        result_type=result_type,
        # What is called may keep its operands or write to them, but they are the sweep's.
        evaluate=lambda attribute, *operands: attribute[0].evaluate(*(np.array(x) for x in operands)),
        differentiable=True,
        adjoint=lambda b, k: b.attribute[0].adjoint(b, k),
        tangent=lambda b, k: b.attribute[0].tangent(b, k),
        **fields,
    )


def _stated_type(attribute: Attribute, _: Sequence[ArrayType]) -> ArrayType:
    return ArrayType(attribute[1], FLOAT)


def _each(b: Batcher) -> int:
    """The function at each point."""
    shape = b.over(b.point).shape
    return b.apply("primitive", (b.attribute[0].each(tuple(b.batched), b.length), shape), *b.operands)


ROWS: Final[tuple[Op, ...]] = (
    _row("custom", "a scalar function of the user's, element by element (attribute: it)", broadcast_type(FLOAT)),
    _row(
        "primitive",
        "a function of the user's (attribute: it, and the shape of its result)",
        _stated_type,
        eager=True,
        batch=_each,
    ),
)
