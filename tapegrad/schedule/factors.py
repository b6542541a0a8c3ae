"""Scalar factors that wait for a reduction are pulled out of the loop over rows and applied to what it sums up.

The gradient of sqrt(mean(r * r)) is r / (n rmse): linear in 1 / rmse, which is known only when all rows are done.
Rather than go through them a second time, the loop sums up the gradient without the factor. A gradient that is
itself per row still needs its second loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType, Attribute
from tapegrad.ops.table import CONSTANT, OPCODES, OPS
from tapegrad.tape import Interner, Tape

LONGEST: Final = 20_000  # instructions; longer tapes are left as they are, because this is done one by one
_LINEAR: Final = frozenset(
    {"negative", "reshape", "transpose", "slice", "pad", "broadcast_to", "sum", "gather", "scatter", "item"}
)
_ADDING: Final = {"matmul_add": "matmul", "scatter_add": "scatter"}
_NONE: Final = -1


@dataclass(slots=True)
class _Writer:
    """The tape being written: what each old slot has become, as a slot and a factor (-1: 1) to multiply it by."""

    old: Tape
    rows: Any
    late: Any
    opcodes: list[int] = field(default_factory=list)
    operands: list[tuple[int, ...]] = field(default_factory=list)
    kinds: list[int] = field(default_factory=list)
    attributes: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    base: list[int] = field(default_factory=list)
    factor: list[int] = field(default_factory=list)
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)
    types: Interner[ArrayType] = field(default_factory=Interner)
    interned: Interner[Attribute] = field(default_factory=Interner)
    constants: list[Any] = field(default_factory=list)

    def append(self, opcode: int, attribute: int, kind: int, operands: Sequence[int], line: int) -> int:
        """One more instruction."""
        self.opcodes.append(opcode)
        self.attributes.append(attribute)
        self.kinds.append(kind)
        self.operands.append(tuple(operands))
        self.lines.append(line)
        return len(self.opcodes) - 1

    def apply(self, name: str, attribute: Attribute, operands: Sequence[int], t: ArrayType, line: int) -> int:
        """One more instruction, or the earlier one that computes the same."""
        key = (name, attribute, *operands)
        if key not in self.known:
            self.known[key] = self.append(OPCODES[name], self.interned(attribute), self.types(t), operands, line)
        return self.known[key]

    def type(self, slot: int) -> ArrayType:
        """Type of a new slot."""
        return self.types.items[self.kinds[slot]]

    def one(self, line: int) -> int:
        """The constant 1."""
        key = ("constant", 1.0)
        if key not in self.known:
            self.constants.append(np.ones((), self.old.dtype))
            kind = self.types(ArrayType((), FLOAT))
            self.known[key] = self.append(CONSTANT, len(self.constants) - 1, kind, (), line)
        return self.known[key]

    def scalar(self, slot: int, line: int) -> int:
        """A new slot of one element, with shape ()."""
        t = ArrayType((), FLOAT)
        return slot if self.type(slot) == t else self.apply("reshape", (), (slot,), t, line)

    def product(self, a: int, b: int, line: int) -> int:
        """The product of two factors."""
        if _NONE in {a, b}:
            return max(a, b)
        return self.apply("multiply", (), sorted((a, b)), ArrayType((), FLOAT), line)

    def full(self, slot: int) -> int:
        """What an old slot has become, its factor applied."""
        base, factor = self.base[slot], self.factor[slot]
        if factor == _NONE:
            return base
        return self.apply("multiply", (), (base, factor), self.type(base), int(self.old.line_ids[slot]))

    # --- one instruction

    def take(self, i: int) -> None:
        """Write instruction i."""
        found = self._factored(i) if self._concerned(i) else None
        if found is None:
            read = [self.full(s) for s in self.old.read(i)]
            self.base.append(self._same(i, read))
            self.factor.append(_NONE)
            return
        base, factor = found
        self.base.append(base)
        self.factor.append(factor)
        if self.rows[i] < 0:  # a sum over rows: here the factor is applied
            self.base[i], self.factor[i] = self.full(i), _NONE

    def _same(self, i: int, operands: Sequence[int], opcode: int | None = None) -> int:
        old = self.old
        code = int(old.opcodes[i]) if opcode is None else opcode
        return self.append(code, int(old.attribute_ids[i]), int(old.type_ids[i]), operands, int(old.line_ids[i]))

    def _concerned(self, i: int) -> bool:
        read = self.old.read(i)
        if self.old.type(i).kind != FLOAT or not read:
            return False
        late = self.rows[i] >= 0 and any(self.late[s] for s in read)
        return late or any(self.factor[s] != _NONE for s in read)

    def _factored(self, i: int) -> tuple[int, int] | None:  # noqa: PLR0911 - one case a row
        """(new slot, factor) of instruction i, None where its operands' factors must be applied first."""
        name, read = OPS[self.old.opcodes[i]].name, self.old.read(i)
        if name in {"multiply", "divide"}:
            return self._scaled(i, name, read)
        factors = [self.factor[s] for s in read]
        if name in _LINEAR:
            if name in {"gather", "scatter"} and factors[1] != _NONE:
                return None
            return self._same(i, [self.base[s] for s in read]), factors[0]
        line = int(self.old.line_ids[i])
        if name == "matmul":
            return self._same(i, [self.base[s] for s in read]), self.product(factors[0], factors[1], line)
        if name in {"add", "subtract", "slice_add"} and factors[0] == factors[1]:
            return self._same(i, [self.base[s] for s in read]), factors[0]
        if name in {"multiply_add", "multiply_subtract", "subtract_multiply"}:
            factor = self.product(factors[0], factors[1], line)
            if not self.late[read[0]] and not self.late[read[1]] and factor == factors[2]:
                return self._same(i, [self.base[s] for s in read]), factor
        if name in _ADDING and self.rows[i] < 0:
            return self._added(i, name, read), _NONE
        return None

    def _scaled(self, i: int, name: str, read: Sequence[int]) -> tuple[int, int] | None:  # noqa: PLR0911 - the same
        """A product or quotient: a late scalar becomes a factor."""
        x, y = read
        line, t = int(self.old.line_ids[i]), self.old.type(i)
        if self.late[x] and self.rows[y] >= 0:
            scalar, other = self.scalar(self.full(x), line), y
        elif self.late[y] and self.rows[x] >= 0:
            scalar, other = self.scalar(self.full(y), line), x
        elif self.late[x] or self.late[y]:
            return None
        elif name == "multiply":
            base = self._same(i, [self.base[x], self.base[y]])
            return base, self.product(self.factor[x], self.factor[y], line)
        elif self.factor[y] == _NONE:
            return self._same(i, [self.base[x], self.base[y]]), self.factor[x]
        else:
            return None
        if self.old.type(other) != t:
            return None
        if name == "multiply":
            return self.base[other], self.product(self.factor[other], scalar, line)
        if other == x:
            inverse = self.apply("divide", (), (self.one(line), scalar), ArrayType((), FLOAT), line)
            return self.base[other], self.product(self.factor[other], inverse, line)
        if self.factor[other] != _NONE:
            return None
        return self.apply("divide", (), (self.one(line), self.base[other]), t, line), scalar

    def _added(self, i: int, name: str, read: Sequence[int]) -> int:
        """A sum over rows that is added to something: summed up alone, multiplied, then added."""
        total, x, y = read
        line, t = int(self.old.line_ids[i]), self.old.type(i)
        factor = self.product(self.factor[x], self.factor[y], line)
        attribute = self.old.attribute(i)
        if name == "scatter_add":
            axis, batch = attribute
            attribute = (axis, t.shape[axis], batch)
        alone = self.apply(_ADDING[name], attribute, (self.base[x], self.base[y]), t, line)
        scaled = alone if factor == _NONE else self.apply("multiply", (), (alone, factor), t, line)
        return self.apply("add", (), (self.full(total), scaled), t, line)

    def finish(self) -> Tape:
        """The new tape."""
        old = self.old
        starts = np.zeros(len(self.opcodes) + 1, np.int32)
        np.cumsum([len(o) for o in self.operands], out=starts[1:])
        dependents = np.array([self.full(s) for s in old.dependents.tolist()], np.int32)
        if len(starts) != len(self.opcodes) + 1:  # factors of dependents were applied
            starts = np.zeros(len(self.opcodes) + 1, np.int32)
            np.cumsum([len(o) for o in self.operands], out=starts[1:])
        base = np.array(self.base, np.int32)
        return replace(
            old,
            opcodes=np.array(self.opcodes, np.uint16),
            starts=starts,
            operands=np.array([s for part in self.operands for s in part], np.int32),
            type_ids=np.array(self.kinds, np.int32),
            attribute_ids=np.array(self.attributes, np.int32),
            line_ids=np.array(self.lines, np.int32),
            types=tuple(self.types.items),
            attributes=tuple(self.interned.items),
            constants=tuple(self.constants),
            inputs=base[old.inputs],
            independents=base[old.independents],
            dependents=dependents,
            reverse=0,
        )


def pull_factors(tape: Tape, rows: Any, level: Any) -> Tape | None:
    """The tape with late scalars pulled out of what is per row; None where there are none.

    `rows` are the slots' row axes (-1: none), `level` the instructions' levels.
    """
    if len(tape) > LONGEST:
        return None
    single = np.array([t.size == 1 and t.kind == FLOAT for t in tape.types], np.bool_)[tape.type_ids]
    late = single & (rows < 0) & (level >= 2)
    if not late.any():
        return None
    writer = _Writer(
        tape, rows, late, types=Interner.of(tape.types), interned=Interner.of(tape.attributes),
        constants=list(tape.constants),
    )  # fmt: skip
    for i in range(len(tape)):
        writer.take(i)
    return writer.finish()
