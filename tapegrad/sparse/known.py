"""What is known of a tape without the values that it differentiates by: constants, and integers that were given.

Where a partial derivative depends on these alone it may be known to be 0: a product with a mask, a choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.expression import Call, Expression, Name, Number, names, parse
from tapegrad.ops.row import BOOL, INT
from tapegrad.ops.table import CONSTANT, INPUT, OPS, find, flags
from tapegrad.tape import Tape


@compiled
def _spread(opcodes: Any, starts: Any, operands: Any, varies: Any, known: Any) -> None:
    """Mark what is computed from known slots alone; `varies` are the opcodes whose results are not."""
    for i in range(len(opcodes)):
        if varies[opcodes[i]]:
            continue
        known[i] = True
        for o in range(starts[i], starts[i + 1]):
            if not known[operands[o]]:
                known[i] = False
                break


@dataclass(slots=True)
class Known:
    """The slots of a tape whose values are known, computed when they are asked for.

    Attributes:
        tape: the tape.
        inputs: the arguments; None if they are not given.
        known: bool[n].
        constant: bool[n], what is known without arguments.
        read: the places of the arguments whose values were asked for.
        values: slots that have been computed.
    """

    tape: Tape
    inputs: Sequence[Any] | None
    known: Any
    constant: Any
    read: set[int] = field(default_factory=set)
    values: dict[int, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, tape: Tape, inputs: Sequence[Any] | None) -> Known:
        """Constants and, of the arguments, integers are known."""
        known, constant = np.zeros((2, len(tape)), np.bool_)
        if inputs is not None:
            integer = np.array([t.kind == INT for t in tape.types], np.bool_)
            known[tape.inputs] = integer[tape.type_ids[tape.inputs]]
        for marks in (known, constant):
            marks[tape.opcodes == CONSTANT] = True
            _spread(tape.opcodes, tape.starts, tape.operands, flags("leaf", "effect"), marks)
        return cls(tape, inputs, known, constant)

    def value(self, slot: int) -> Any:
        """The value of a slot; None if it is not known."""
        if not self.known[slot]:
            return None
        todo = [slot]
        while todo:
            i = todo[-1]
            missing = [s for s in self.tape.read(i) if s not in self.values]
            if missing and i not in self.values:
                todo += missing
                continue
            todo.pop()
            if i not in self.values:
                self.values[i] = self._computed(i)
        return self.values[slot]

    def _computed(self, i: int) -> Any:
        tape, code = self.tape, self.tape.opcodes[i]
        place = int(tape.attribute_ids[i])
        if code == CONSTANT:
            return tape.constants[place]
        if code == INPUT:
            assert self.inputs is not None
            self.read.add(place)
            return np.asarray(self.inputs[place])
        with np.errstate(all="ignore"):
            return np.asarray(OPS[code].evaluate(tape.attribute(i), *[self.values[s] for s in tape.read(i)]))

    def may_vanish(self) -> Any:
        """bool[n]: known slots that may hold a 0 or a False."""
        tape = self.tape
        zero = np.array([c.dtype.kind == BOOL or bool((c == 0).any()) for c in tape.constants], np.bool_)
        found = self.known.copy()
        leaves = np.flatnonzero(tape.opcodes == CONSTANT)
        if len(leaves):
            found[leaves] = zero[tape.attribute_ids[leaves]]
        return found

    def partial(self, i: int, k: int) -> Any:
        """The partial of an elementwise instruction to its operand k, nan where it is not known; None for all nan.

        It is 0 only where it is 0 for any values of what is not known. A number that is an argument is not asked for:
        the pattern would be another one for each value, and have fewer entries for 0 alone.
        """
        op, values = OPS[self.tape.opcodes[i]], {"g": np.array(1.0)}
        if not op.partials[k]:
            return None
        partial = parse(op.partials[k])
        for name, slot in zip(op.operands, self.tape.read(i), strict=True):
            if name in names(partial) and (self.constant[slot] or self.tape.type(slot).shape):
                values[name] = self.value(slot)
        with np.errstate(all="ignore"):
            return _evaluated(partial, values)


def _evaluated(expression: Expression, values: dict[str, Any]) -> Any:
    """An expression in what is known; as `Known.partial`. The incoming derivative, a factor, is 1."""
    match expression:
        case Number(value):
            return np.array(value)
        case Name(name):
            return values.get(name)
        case Call("where", (condition, one, other)):
            return _chosen(*[_evaluated(e, values) for e in (condition, one, other)])
        case Call(name, arguments):
            found = [_evaluated(e, values) for e in arguments]
            if any(v is None or np.isnan(v).any() for v in found):
                return None
            row = OPS[find(name, "".join(v.dtype.kind for v in found))]
            return np.asarray(row.evaluate((), *found))


def _chosen(condition: Any, one: Any, other: Any) -> Any:
    """A choice between what may be known and what may not."""
    if condition is None:
        return None
    return np.where(condition, np.nan if one is None else one, np.nan if other is None else other)
