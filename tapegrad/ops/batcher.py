"""What rules for many points at once are written with: a `Batcher` records the few instructions of one rule.

An operand that differs from point to point has one more axis, the first: it is *batched*. The others are the same
for all points and stay as they are. A rule gives the result for all points, with that axis in front. It knows
types, not values, so it runs once for each combination of types and batched operands, and its instructions are
copied for every instruction alike (`tapegrad.derivative.batch`).

References are small integers: the operands, then the rule's own instructions in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tapegrad.ops.builder import Step
from tapegrad.ops.row import ArrayType, Attribute, Op
from tapegrad.ops.table import OPS, find


@dataclass(slots=True)
class Batcher:
    """Records one rule.

    Attributes:
        op, attribute: of the instruction.
        points: types of the operands at one point; `point`: that of the result.
        batched: which operands differ from point to point.
        length: how many points there are.
    """

    op: Op
    attribute: Attribute
    points: Sequence[ArrayType]
    point: ArrayType
    batched: Sequence[bool]
    length: int
    steps: list[Step] = field(default_factory=list)

    @property
    def operands(self) -> range:
        """References to the operands."""
        return range(len(self.points))

    def over(self, t: ArrayType) -> ArrayType:
        """The type of a batched value that is of type t at each point."""
        return ArrayType((self.length, *t.shape), t.kind)

    def type(self, ref: int) -> ArrayType:
        """Type of what a reference stands for."""
        outer = len(self.points)
        if ref >= outer:
            return self.steps[ref - outer].type
        return self.over(self.points[ref]) if self.batched[ref] else self.points[ref]

    def apply(self, name: str, attribute: Attribute, *refs: int) -> int:
        """Append an instruction."""
        types = [self.type(r) for r in refs]
        opcode = find(name, "".join(t.kind for t in types))
        self.steps.append(Step(opcode, attribute, refs, OPS[opcode].result_type(attribute, types)))
        return len(self.points) + len(self.steps) - 1

    def reshape(self, ref: int, shape: tuple[int, ...]) -> int:
        """The value in another shape; nothing is recorded where it has that shape."""
        return ref if self.type(ref).shape == shape else self.apply("reshape", shape, ref)

    def transpose(self, ref: int, axes: Sequence[int]) -> int:
        """The value with its axes permuted; nothing is recorded where they stay in order."""
        return ref if list(axes) == list(range(len(axes))) else self.apply("transpose", tuple(axes), ref)

    def to_front(self, ref: int, axis: int) -> int:
        """The value with one axis moved to the front."""
        rest = [a for a in range(len(self.type(ref).shape)) if a != axis]
        return self.transpose(ref, [axis, *rest])

    def full(self, k: int) -> int:
        """Operand k as a batched value, whether or not it is one."""
        return k if self.batched[k] else self.apply("broadcast_to", self.over(self.points[k]).shape, k)

    def raised(self, k: int, ndim: int) -> int:
        """Operand k with so many axes at each point, new ones in front: it broadcasts as it does at one point."""
        if not self.batched[k]:
            return k
        shape = self.points[k].shape
        return self.reshape(k, (self.length, *[1] * (ndim - len(shape)), *shape))


def batch_elementwise(b: Batcher) -> int:
    """The rule of every elementwise row: operands of fewer axes are told apart from the points."""
    ndim = len(b.point.shape)
    return b.apply(b.op.name, b.attribute, *[b.raised(k, ndim) for k in b.operands])
