"""The recorder: operations append opcodes and operand slots; at the end the lists become a Tape.

Recording needs no values. Only where Python asks for one - a branch, an index - is as much of the tape
evaluated as that needs (`values`), and a *guard* recorded: what was tested, and how it came out (`guards`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from tapegrad.errors import (
    ComplexError,
    DtypeError,
    LeakedVariableError,
    ShapeError,
    describe,
)
from tapegrad.ops.row import BOOL, FLOAT, ArrayType, Attribute, Op
from tapegrad.ops.table import ELEMENTWISE_KINDS, IMMEDIATES, INPUT, OPCODES, OPS, find
from tapegrad.record import arithmetic
from tapegrad.record.constants import Constants, constant
from tapegrad.record.kinds import CAST, RANK, kind_of
from tapegrad.record.lines import Lines
from tapegrad.record.refusal import unsupported
from tapegrad.record.values import WORDS, Values
from tapegrad.record.variable import ARGUMENT, Array, Variable
from tapegrad.tape import Interner, Tape

_OF_BOOLEANS: Final = {
    "add": "logical_or",
    "multiply": "logical_and",
    "maximum": "logical_or",
    "minimum": "logical_and",
    "subtract": "",
    "negative": "",
}


class Recorder:
    """Records one function once.

    Args:
        dtype: the tape's one floating dtype.
        functions: what runs when a NumPy function or ufunc is called on a Variable.
        outer: ids of arrays that the function finds outside itself and must not change.

    Attributes:
        open: until the recording ends.
        types, attributes, lines: what instructions refer to by number.
        values: of slots, as far as they were asked for.
        constants: numbers and arrays that no argument changes.
        guards: slots of the guards so far, each with the outcome of its test (`tapegrad.record.guards`).
        ordered: of a slot, whether NumPy's array is surely in C order, as far as that was asked.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        functions: Mapping[Any, Callable[..., Any]],
        outer: frozenset[int] = frozenset(),
    ) -> None:
        self.dtype = dtype
        self.functions = functions
        self.open = True
        self.types: Interner[ArrayType] = Interner()
        self.attributes: Interner[Attribute] = Interner.of([()])
        self.lines = Lines()
        self.constants = Constants(outer)
        self.guards: list[tuple[int, Any]] = []
        self.ordered: dict[int, bool] = {}
        self._words: list[int] = []
        self._operands: list[int] = []
        self._count = 0
        self._inputs: list[int] = []
        self._independents: list[int] = []
        self.values = Values(self._words, self._operands, self.types, self.attributes, self.lines.names, dtype)
        self._rules: dict[tuple[Any, ...], tuple[int, int, type[Variable], bool]] = {}

    # --- leaves

    def input(self, value: Any, *, independent: bool, ordered: bool = False) -> Variable:
        """An argument's array, of the tape's dtypes; `independent` if it is differentiated by.

        `ordered`: is what the caller passes in C order, here and wherever the tape is used? What has a shape and a
        dtype alone is an array whose values nobody may ask for.
        """
        kind = kind_of(value.dtype, "record")
        slot = self.append(INPUT, len(self._inputs), self.types(ArrayType(value.shape, kind)), (), 0)
        self._inputs.append(slot)
        if isinstance(value, np.ndarray):
            self.values[slot] = value
        self.ordered[slot] = ordered
        if independent:
            self._independents.append(slot)
        variable = self.variable(slot, active=independent)
        variable._memory = ARGUMENT
        return variable

    def constant(self, value: Any, like: str = BOOL) -> Variable:
        """A value that no argument changes. A Python number becomes of kind `like` where that ranks higher."""
        return constant(self, value, like)

    def lift(self, value: Any, like: str = BOOL) -> Variable:
        """A Variable of this recorder, whatever the value is."""
        if isinstance(value, Variable):
            if value._recorder is not self and value._numbers is not None:
                return constant(self, value._numbers)
            self.check(value)
            return value._settled()
        return constant(self, value, like)

    def again(self, v: Variable) -> Variable:
        """The same values as another object, so that what is assigned to the one is not seen in the other."""
        v = v._settled()
        out = object.__new__(type(v))
        out._recorder, out._slot, out._type, out._active = self, v._slot, v._type, v._active
        return out

    def call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """What a function of NumPy's records; `UnsupportedError` where there is no rule for it."""
        if isinstance(options.get("out"), Variable):
            out = options.pop("out")
            self.functions[np.copyto](out, function(*arguments, **options))
            return out
        known = self.functions.get(function)
        if known is None:
            module = getattr(function, "__module__", "numpy") or "numpy"
            name = getattr(function, "__name__", str(function))
            raise unsupported(f"{module}.{name}", "a Variable", "a function that tapegrad knows", self)
        return known(*arguments, **options)

    # --- instructions

    @property
    def count(self) -> int:
        """How many instructions there are so far."""
        return self._count

    def instructions(self, start: int) -> Iterator[tuple[int, Op, list[int]]]:
        """The instructions from `start` on: slot, op, and the slots that it reads."""
        words = self._words
        for i in range(start, self._count):
            first = words[i * WORDS - 1] if i else 0
            yield i, OPS[words[i * WORDS]], self._operands[first : words[i * WORDS + 4]]

    def type_of(self, slot: int) -> ArrayType:
        """Shape and kind of a slot."""
        return self.types.items[self._words[slot * WORDS + 2]]

    def elementwise(self, name: str, *values: Any) -> Variable:
        """An elementwise op on Variables, arrays and numbers: operands broadcast, kinds are promoted.

        This is the path of every operator: `python -m benchmarks recording` times it.
        """
        key: list[Any] = [name]
        active = False
        slots = []
        for v in values:
            if (type(v) is not Variable and type(v) is not Array) or v._recorder is not self:
                try:
                    values = tuple(self._lifted(name, values))
                except ComplexError:
                    return self.complex(name, values)  # type: ignore[no-any-return]
                return self.elementwise(name, *values)
            key.append(v._type)
            slots.append(v._slot)
            if v._active:
                active = True
        rule = self._rules.get(tuple(key))
        if rule is None:
            if name in _OF_BOOLEANS and all(v._kind == BOOL for v in values):
                return self.elementwise(self._of_booleans(name), *values)
            promoted = self._promote(name, values)
            if promoted is not values:
                return self.elementwise(name, *promoted)
            rule = self._rules[tuple(key)] = self._elementwise_rule(name, values)
        if not self.open:
            self.check(values[0])
        opcode, type_id, form, smooth = rule
        slot = self._count
        self._count = slot + 1
        operands = self._operands
        operands += slots
        self._words += (opcode, 0, type_id, self.lines.current(), len(operands))
        out = form.__new__(form)
        out._recorder = self
        out._slot = slot
        out._type = type_id
        out._active = smooth and active
        return out

    def complex(self, name: str, values: tuple[Any, ...]) -> Any:
        """An elementwise function where complex numbers are among the operands: a `ComplexPair`, or a Variable."""
        return arithmetic.elementwise(self, name, values)

    def _lifted(self, name: str, values: tuple[Any, ...]) -> list[Variable]:
        """Every operand as a Variable; Python numbers take the highest kind among the Variables."""
        like = BOOL
        for v in values[1:] if name == "where" else values:
            if isinstance(v, Variable) and RANK[v._kind] > RANK[like]:
                like = v._kind
        if name == "where":
            return [self.lift(values[0]), *[self.lift(v, like) for v in values[1:]]]
        return [self.lift(v, like) for v in values]

    def _of_booleans(self, name: str) -> str:
        """What NumPy does instead of an arithmetic op where all operands are booleans."""
        if not _OF_BOOLEANS[name]:
            wanted = "numbers: .astype(float), or a logical function"
            raise DtypeError(describe(name, found="booleans", wanted=wanted, line=self.line()))
        return _OF_BOOLEANS[name]

    def _promote(self, name: str, values: tuple[Variable, ...]) -> tuple[Variable, ...]:
        """Cast operands so that there is an opcode for their kinds."""
        known = ELEMENTWISE_KINDS[name]
        kinds = "".join(v._kind for v in values)
        if kinds in known:
            return values
        for wanted in sorted(known, key=lambda k: [RANK[c] for c in k]):
            if all(RANK[k] <= RANK[w] for k, w in zip(kinds, wanted, strict=True)):
                return tuple(self.cast(v, w) for v, w in zip(values, wanted, strict=True))
        return tuple(self.cast(v, w) for v, w in zip(values, next(iter(known)), strict=True))

    def _elementwise_rule(self, name: str, values: tuple[Variable, ...]) -> tuple[int, int, type[Variable], bool]:
        opcode = find(name, "".join(v._kind for v in values))
        result = self._result_type(opcode, (), values)
        return opcode, self.types(result), self._form(result), OPS[opcode].differentiable

    def cast(self, v: Variable, kind: str) -> Variable:
        """The Variable as another kind."""
        return v if v._kind == kind else self.elementwise(CAST[kind], v)

    def apply(self, name: str, attribute: Attribute, *values: Variable) -> Variable:
        """A structural op; operands are Variables of this recorder, of the kinds that the op wants."""
        immediate = name in IMMEDIATES
        key: list[Any] = [name, None if immediate else attribute]
        slots = []
        active = False
        for v in values:
            if v._recorder is not self or not self.open:
                self.check(v)
            key.append(v._type)
            slots.append(v._slot)
            if v._active:
                active = True
        rule = self._rules.get(tuple(key))
        if rule is None:
            opcode = OPCODES[name]
            result = self._result_type(opcode, attribute, values)
            smooth = OPS[opcode].differentiable and result.kind == FLOAT
            rule = self._rules[tuple(key)] = (opcode, self.types(result), self._form(result), smooth)
        opcode, type_id, form, smooth = rule
        out = form.__new__(form)
        out._recorder = self
        out._type = type_id
        out._active = smooth and active
        place = attribute[0] if immediate else self.attributes(attribute)
        out._slot = self.append(opcode, place, type_id, slots, self.lines.current())
        return out

    def _result_type(self, opcode: int, attribute: Attribute, values: tuple[Variable, ...]) -> ArrayType:
        op = OPS[opcode]
        try:
            return op.result_type(attribute, [self.types.items[v._type] for v in values])
        except ShapeError as error:
            wanted = "shapes that broadcast" if op.elementwise else "shapes that fit"
            raise ShapeError(describe(op.name, found=f"shapes {error}", wanted=wanted, line=self.line())) from None

    def append(self, opcode: int, attribute: int, type_id: int, operands: Any, line: int) -> int:
        """Append an instruction as it is: nothing is checked."""
        slot = self._count
        self._count = slot + 1
        self._operands += operands
        self._words += (opcode, attribute, type_id, line, len(self._operands))
        return slot

    def variable(self, slot: int, *, active: bool) -> Variable:
        """A new Variable of a slot."""
        type_id = self._words[slot * WORDS + 2]
        out = object.__new__(self._form(self.types.items[type_id]))
        out._recorder, out._slot, out._type, out._active = self, slot, type_id, active
        return out

    @staticmethod
    def _form(t: ArrayType) -> type[Variable]:
        return Array if t.shape else Variable

    def check(self, v: Variable) -> None:
        """Raise `LeakedVariableError` unless a Variable is of this recording, and the recording is under way."""
        if v._recorder is not self or not self.open:
            error = LeakedVariableError(
                describe(
                    "recording",
                    found="a Variable of another recording, kept in a global, a closure or an attribute",
                    wanted="arguments and what is computed from them",
                    line=self.line(),
                )
            )
            error.recorders = (self, v._recorder)
            raise error

    def line(self) -> str:
        """The user's current line, for a message."""
        return self.lines.names[self.lines.current()]

    def line_of(self, slot: int) -> str:
        """The line that recorded a slot."""
        return self.lines.names[self._words[slot * WORDS + 3]]

    def attribute_of(self, slot: int) -> int:
        """The place of a slot's attribute; of a constant, its place among the constants."""
        return self._words[slot * WORDS + 1]

    def instruction(self, slot: int) -> tuple[int, ArrayType, list[int]]:
        """Opcode, type and operands of a slot."""
        code, _, type_id = self._words[slot * WORDS : slot * WORDS + 3]
        return code, self.types.items[type_id], self.values.read(slot)

    # --- values

    def constant_value(self, v: Variable) -> Any:
        """The value of a Variable that no argument changes; None of others."""
        self.check(v)
        return self.values[v._slot] if self.values.is_fixed(v._slot) else None

    # --- stretches of the recording, see `tapegrad.record.stretch`

    def listing(self, first: int) -> tuple[Any, Any]:
        """The instructions from slot `first` on: words int32[k, 5] and operands."""
        start = self._words[first * WORDS - 1] if first else 0
        words = np.array(self._words[first * WORDS :], np.int64).reshape(-1, WORDS)
        words[:, 4] -= start
        return words, np.array(self._operands[start:], np.int64)

    # --- the end

    def finish(self, dependents: list[Variable]) -> Tape:
        """Close the recording; Variables can't be used any more."""
        for v in dependents:
            self.check(v)
        self.open = False
        words = np.array(self._words, np.int32).reshape(-1, WORDS)
        starts = np.zeros(self._count + 1, np.int32)
        starts[1:] = words[:, 4]
        return Tape(
            opcodes=words[:, 0].astype(np.uint16),
            starts=starts,
            operands=np.array(self._operands, np.int32),
            type_ids=words[:, 2].copy(),
            attribute_ids=words[:, 1].copy(),
            line_ids=words[:, 3].copy(),
            types=tuple(self.types.items),
            attributes=tuple(self.attributes.items),
            constants=tuple(self.constants.items),
            lines=tuple(self.lines.names),
            inputs=np.array(self._inputs, np.int32),
            independents=np.array(self._independents, np.int32),
            dependents=np.array([v._slot for v in dependents], np.int32),
            reverse=self._count,
            dtype=self.dtype,
        )
