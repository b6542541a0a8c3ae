"""What derivative rules are written with: a `Builder` records the few instructions of one rule.

A rule is asked for the *contribution* of one operand: in a reverse sweep the part of that operand's
adjoint that flows through this instruction, in a forward sweep the part of the result's tangent that
comes from that operand. The builder knows only types, so a rule runs once for each combination of types
and its instructions are copied for every instruction alike (`tapegrad.derivative.expand`).

References are small integers: first what the rule may read (the operands, the result, the seed, the sum
so far), then the rule's own instructions in order.

An adjoint or tangent may be *narrow*: of a smaller shape that broadcasts to the slot's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import UnsupportedError
from tapegrad.ops.expression import Call, Expression, Name, Number, names, parse
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute, Op
from tapegrad.ops.table import CONSTANT, OPS, find


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of a rule. Where the opcode is CONSTANT, `array` is the value, or else `number`."""

    opcode: int
    attribute: Attribute
    operands: tuple[int, ...]
    type: ArrayType
    number: float = 0.0
    array: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True)
class Accumulation:
    """A contribution that has a form which adds to the sum so far, in place, and one that starts it.

    Without a `first`, zeros are what it starts from.
    """

    first: str
    first_attribute: Attribute
    then: str
    then_attribute: Attribute
    operands: tuple[int, ...]


Contribution: TypeAlias = "int | Accumulation"


@dataclass(slots=True)
class Builder:
    """Records one rule.

    `types` are the operands' types, `seed_type` is that of the incoming derivative, `sum_type` that of the
    sum so far (None: this contribution is the first), `masked` whether a selection downstream may have
    set the seed to exactly 0 where a partial is not finite. `line` is that of one of the instructions.
    """

    op: Op
    attribute: Attribute
    types: Sequence[ArrayType]
    result_type: ArrayType
    seed_type: ArrayType
    sum_type: ArrayType | None
    masked: bool
    line: str = ""
    steps: list[Step] = field(default_factory=list)

    @property
    def operands(self) -> range:
        """References to the operands."""
        return range(len(self.types))

    @property
    def result(self) -> int:
        """Reference to the instruction's result."""
        return len(self.types)

    @property
    def seed(self) -> int:
        """Reference to the incoming derivative: the result's adjoint, or an operand's tangent."""
        return len(self.types) + 1

    @property
    def total(self) -> int:
        """Reference to the sum of the contributions so far."""
        return len(self.types) + 2

    def type(self, ref: int) -> ArrayType:
        """Type of what a reference stands for."""
        outer = len(self.types)
        if ref < outer:
            return self.types[ref]
        if ref >= outer + 3:
            return self.steps[ref - outer - 3].type
        found = (self.result_type, self.seed_type, self.sum_type)[ref - outer]
        assert found is not None
        return found

    def apply(self, name: str, attribute: Attribute, *refs: int) -> int:
        """Append an instruction."""
        types = [self.type(r) for r in refs]
        opcode = find(name, "".join(t.kind for t in types))
        return self._append(Step(opcode, attribute, refs, OPS[opcode].result_type(attribute, types)))

    def constant(self, value: float) -> int:
        """A floating constant."""
        return self._append(Step(CONSTANT, (), (), ArrayType((), FLOAT), value))

    def array(self, value: NDArray[Any]) -> int:
        """A constant array, or a constant of another kind."""
        kind = {"i": INT, "b": BOOL}.get(value.dtype.kind, FLOAT)
        return self._append(Step(CONSTANT, (), (), ArrayType(value.shape, kind), array=value))

    def _append(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.types) + 2 + len(self.steps)

    def accumulate(
        self, first: str, first_attribute: Attribute, then: str, then_attribute: Attribute, *refs: int
    ) -> Accumulation:
        """A contribution that adds itself to the sum so far: `then` takes the sum as its first operand."""
        return Accumulation(first, first_attribute, then, then_attribute, refs)

    def is_uniform(self, ref: int) -> bool:
        """Whether a value has one element, which stands for every entry of its slot."""
        return self.type(ref).size == 1

    def reshape(self, ref: int, shape: tuple[int, ...]) -> int:
        """The value in another shape; nothing is recorded where it has that shape."""
        return ref if self.type(ref).shape == shape else self.apply("reshape", shape, ref)

    def full(self, ref: int, wanted: ArrayType) -> int:
        """The value broadcast to the shape of the slot it belongs to."""
        return ref if self.type(ref).shape == wanted.shape else self.apply("broadcast_to", wanted.shape, ref)

    def take_back_negative(self, ref: int) -> int | None:
        """If the last instruction recorded is a negative: take it back, and give what it negates."""
        if ref == len(self.types) + 2 + len(self.steps) and OPS[self.steps[-1].opcode].name == "negative":
            return self.steps.pop().operands[0]
        return None

    @staticmethod
    def strip(shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape without leading ones: the canonical form of a narrow value."""
        first = next((a for a, n in enumerate(shape) if n != 1), len(shape))
        return shape[first:]

    def sum_to(self, ref: int, full: tuple[int, ...], wanted: tuple[int, ...]) -> int:
        """Sum a value that stands for one of shape `full` over the axes along which `wanted` was broadcast.

        An axis along which the value is itself not broadcast yet is not summed but counted.
        """
        shape = (1,) * (len(full) - len(self.type(ref).shape)) + self.type(ref).shape
        target = (1,) * (len(full) - len(wanted)) + wanted
        reduced = [a for a, n in enumerate(full) if target[a] == 1 and n != 1]
        axes = tuple(a for a in reduced if shape[a] != 1)
        count = int(np.prod([full[a] for a in reduced if shape[a] == 1], dtype=np.int64))
        if axes:
            ref = self.apply("sum", axes, self.reshape(ref, shape))
        kept = tuple(1 if a in axes else n for a, n in enumerate(shape))
        ref = self.reshape(ref, self.strip(kept[len(full) - len(wanted) :]))
        return ref if count == 1 else self.apply("multiply", (), ref, self.constant(float(count)))

    def finish(self, contribution: Contribution, wanted: ArrayType) -> int:
        """Add a contribution to the sum so far, if there is one; `wanted` is the full type of the sum."""
        if isinstance(contribution, Accumulation):
            c = contribution
            if self.sum_type is None and c.first:
                return self.apply(c.first, c.first_attribute, *c.operands)
            total = self.constant(0.0) if self.sum_type is None else self.total
            return self.apply(c.then, c.then_attribute, self.full(total, wanted), *c.operands)
        return contribution if self.sum_type is None else self.apply("add", (), self.total, contribution)

    def evaluate(self, expression: Expression) -> int:
        """Append the instructions of an expression in the operands, `z` and `g`."""
        match expression:
            case Number(value):
                return self.constant(value)
            case Name("z"):
                return self.result
            case Name("g"):
                return self.seed
            case Name(name):
                return self.op.operands.index(name)
            case Call(name, arguments):
                refs = [self.evaluate(a) for a in arguments]
                return self.apply(name, (), *refs)


def elementwise_contribution(b: Builder, k: int) -> int | None:
    """Seed times partial k, in the shape both broadcast to; None where the partial is 0.

    This one function is the tangent rule and, summed to the operand's shape, the adjoint rule of every
    elementwise row.
    """
    text = b.op.partials[k]
    if not text:
        raise UnsupportedError(f"{b.op.name}: there is no rule for the derivative to {b.op.operands[k]}")
    partial = parse(text)
    if partial == Number(0.0):
        return None
    if "g" in names(partial):
        return b.evaluate(partial)
    match partial:
        case Call("divide", (Number(1.0), below)) if not b.masked:
            return b.apply("divide", (), b.seed, b.evaluate(below))
        case Call("negative", (inner,)) if not b.masked:
            return b.apply("negative", (), b.apply("multiply", (), b.seed, b.evaluate(inner)))
        case Call("multiply", (Number(factor), inner)):  # the seed may be narrow, and have a factor already
            scaled = b.apply("multiply", (), b.seed, b.constant(factor))
            return b.apply("masked_multiply" if b.masked else "multiply", (), scaled, b.evaluate(inner))
    return b.apply("masked_multiply" if b.masked else "multiply", (), b.seed, b.evaluate(partial))


def adjoint_contribution(b: Builder, k: int) -> int | None:
    """What operand k's adjoint receives through this instruction, added to the sum so far."""
    if b.op.elementwise:
        ref = elementwise_contribution(b, k)
        if ref is None:
            return None
        negated = b.take_back_negative(ref)
        total = b.sum_to(ref if negated is None else negated, b.result_type.shape, b.types[k].shape)
        return b.finish(total if negated is None else b.apply("negative", (), total), b.types[k])
    return _by_rule(b, k, b.op.adjoint, b.types[k])


def tangent_contribution(b: Builder, k: int) -> int | None:
    """What the result's tangent receives from operand k's, added to the sum so far."""
    if b.op.elementwise:
        ref = elementwise_contribution(b, k)
        return None if ref is None else b.finish(ref, b.result_type)
    return _by_rule(b, k, b.op.tangent, b.result_type)


def _by_rule(
    b: Builder, k: int, rule: Callable[[Builder, int], Contribution | None] | None, wanted: ArrayType
) -> int | None:
    if rule is None:
        return None
    contribution = rule(b, k)
    return None if contribution is None else b.finish(contribution, wanted)
