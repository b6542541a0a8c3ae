"""The recorder: operations append opcodes and operand slots; at the end the lists become a Tape.

Recording needs no values. Only where Python asks for one - a branch, an index - is as much of the tape
evaluated as that needs, and a *guard* recorded: what was tested, and how it came out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from tapegrad.errors import (
    ComplexError,
    ConversionError,
    DtypeError,
    LeakedVariableError,
    ShapeError,
    UnsupportedError,
    describe,
)
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute, Op
from tapegrad.ops.table import CONSTANT, ELEMENTWISE_KINDS, IMMEDIATES, INPUT, OPCODES, OPS, find
from tapegrad.record import arithmetic
from tapegrad.record.captured import Captured
from tapegrad.record.lines import Lines
from tapegrad.record.values import WORDS, Values
from tapegrad.record.variable import ARGUMENT, Array, Variable
from tapegrad.tape import Interner, Tape

_RANK: Final = {BOOL: 0, INT: 1, FLOAT: 2}
_CAST: Final = {FLOAT: "to_float", INT: "to_int", BOOL: "to_bool"}
_OF_BOOLEANS: Final = {
    "add": "logical_or",
    "multiply": "logical_and",
    "maximum": "logical_or",
    "minimum": "logical_and",
    "subtract": "",
    "negative": "",
}


def kind_of(dtype: np.dtype[Any], operation: str, line: str = "") -> str:
    """The kind that values of a dtype have on a tape; `DtypeError` for those that have none."""
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return FLOAT
    if dtype.kind in "iu":
        return INT
    if dtype.kind == "b":
        return BOOL
    hint = {"c": "; complex arrays are not supported yet", "O": "; is it a list of unequal lengths, or of Variables?"}
    error = ComplexError if dtype.kind == "c" else DtypeError
    raise error(
        describe(
            operation,
            found=f"an array of dtype {dtype}",
            wanted="floats, integers or booleans" + hint.get(dtype.kind, ""),
            line=line,
        )
    )


def require_plain(array: Any, operation: str, line: str = "") -> None:
    """Refuse subclasses of ndarray that compute otherwise: matrices, masked arrays, arrays with units."""
    if isinstance(array, np.ndarray) and type(array) not in (np.ndarray, np.memmap):
        found = f"a {type(array).__module__}.{type(array).__name__}"
        wanted = "a plain array: numpy.asarray(x), or for a masked array .filled() and the mask by itself"
        raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=line))
    if type(array).__module__.startswith("scipy.sparse"):
        wanted = "a matrix product, A @ x, which is all that sparse matrices can do here; or A.toarray()"
        raise UnsupportedError(describe(operation, found=f"a sparse {type(array).__name__}", wanted=wanted, line=line))


class Recorder:
    """Records one function once.

    Args:
        dtype: the tape's one floating dtype.
        functions: what runs when a NumPy function or ufunc is called on a Variable.
        outer: ids of arrays that the function finds outside itself and must not change.

    Attributes:
        objects: what stands for complex arrays and sparse matrices from outside, by their ids.
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
        self.captured: list[Captured] = []
        self.guards: list[tuple[int, Any]] = []
        self.ordered: dict[int, bool] = {}
        self._attributes: Interner[Attribute] = Interner.of([()])
        self._words: list[int] = []
        self._operands: list[int] = []
        self._count = 0
        self._lines = Lines()
        self._constants: list[Any] = []
        self._numbers: dict[tuple[str, object], Variable] = {}
        self._arrays: dict[int, Variable] = {}
        self.objects: dict[int, Any] = {}
        self._outer = outer
        self._replaced: dict[int, Any] = {}
        self._settled: set[int] = set()
        self._inputs: list[int] = []
        self._independents: list[int] = []
        self._values = Values(self._words, self._operands, self.types, self._attributes, self._lines.names, dtype)
        self._rules: dict[tuple[Any, ...], tuple[int, int, type[Variable], bool]] = {}

    # --- leaves

    def input(self, value: Any, *, independent: bool, ordered: bool = False) -> Variable:
        """An argument's array, of the tape's dtypes; `independent` if it is differentiated by.

        `ordered`: is what the caller passes in C order, here and wherever the tape is used?
        """
        kind = kind_of(value.dtype, "record")
        slot = self.append(INPUT, len(self._inputs), self.types(ArrayType(value.shape, kind)), (), 0)
        self._inputs.append(slot)
        self._values[slot] = value
        self.ordered[slot] = ordered
        if independent:
            self._independents.append(slot)
        variable = self.variable(slot, active=independent)
        variable._memory = ARGUMENT
        return variable

    def constant(self, value: Any, like: str = BOOL) -> Variable:
        """A value that no argument changes. A Python number becomes of kind `like` where that ranks higher."""
        if isinstance(value, (bool, int, float)):
            return self._number(value, like)
        if type(value) is not np.ndarray:
            require_plain(value, "constant", self.line())
        array = np.asarray(value)
        if array.dtype == object:
            return self._stack_objects(array)
        if array.ndim == 0:
            number = self._number(array.item() if array.dtype.kind in "biuf" else array, like)
            if array is value and id(value) not in self._arrays:
                self.captured.append(Captured.of(array, self.line()))
                self._arrays[id(value)] = number
            return number
        known = self._arrays.get(id(value))
        if known is not None:
            return known
        if id(value) in self._replaced or id(array.base) in self._replaced:
            raise unsupported(
                "an in-place operator",
                "an array that it has changed, under another name",
                "array = array + x, and no other name for the array",
                self,
            )
        line = self._lines.current()
        kind = kind_of(array.dtype, "constant", self._lines.names[line])
        variable = self._constant(array, kind, line)
        self.ordered[variable._slot] = array.flags.c_contiguous
        if array is value:
            self.captured.append(Captured.of(array, self._lines.names[line]))
            self._arrays[id(value)] = variable
        return variable

    def complex_constant(self, value: Any) -> tuple[Variable, Variable]:
        """The real and the imaginary part of complex numbers that no argument changes."""
        array = np.asarray(value)
        known = self.objects.get(id(value))
        if known is None:
            line = self._lines.current()
            real, imag = (self._constant(part, FLOAT, line) for part in (array.real, array.imag))
            known = real, imag
            if array is value:
                self.captured.append(Captured.of(array, self._lines.names[line]))
                self.objects[id(value)] = known
        return known

    def replace(self, target: Any, operation: str) -> None:
        """`target += v` gives the name target a new Variable; the array itself cannot take the sum in.

        NumPy would have changed the array, and another name for it would show that. So the array is filled
        with nan, and using it in the recording is an error; what cannot be undone like that is refused.
        """
        if id(target) in self._outer or target.base is not None or target.dtype.kind != "f":
            found = "an array from outside the function" if id(target) in self._outer else "a view of another array"
            if target.dtype.kind != "f":
                found = f"an array of dtype {target.dtype}"
            raise unsupported(
                f"in-place {operation}",
                f"{found}, which cannot hold a Variable",
                "array = array + x, a new array",
                self,
            )
        known = self._arrays.pop(id(target), None)
        if known is not None:  # what was recorded before stays
            place = self._words[known._slot * WORDS + 1]
            self._constants[place] = self._values[known._slot] = self._constants[place].copy()
            self.captured = [c for c in self.captured if c.array is not target]
        self._replaced[id(target)] = target
        target.fill(np.nan)

    def lost(self, value: Any) -> bool:
        """Is a plain value nan, and may that come from an array that `replace` has filled?"""
        if not self._replaced or isinstance(value, Variable):
            return False
        array = np.asarray(value)
        return array.dtype.kind == "f" and bool(np.isnan(array).any())

    def fixed(self, array: Any, kind: str) -> Variable:
        """A constant of an array that nobody else holds."""
        return self._constant(array, kind, self._lines.current())

    def watch(self, *values: Any) -> None:
        """Notice changes of arrays from outside, in lists and tuples of any depth, that are computed with at once."""
        for value in values:
            if isinstance(value, (list, tuple)):
                self.watch(*value)
            elif type(value) is np.ndarray and (self._replaced or {id(value), id(value.base)} & self._outer):
                self.constant(value)

    def _number(self, value: Any, like: str) -> Variable:
        if not isinstance(value, (bool, int, float)):
            kind_of(np.asarray(value).dtype, "constant", self.line())
        kind = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else FLOAT
        kind = like if _RANK[like] > _RANK[kind] else kind
        key = (kind, value if value else str(value))  # -0.0 == 0.0, but they are two constants
        known = self._numbers.get(key)
        if known is None:
            try:
                array = np.array(value, ArrayType((), kind).dtype(self.dtype))
            except OverflowError:
                raise DtypeError(describe("constant", found=f"{value}", wanted="an int64", line=self.line())) from None
            known = self._numbers[key] = self._constant(array, kind, 0)
        return known

    def own_constant(self, array: Any, kind: str) -> Variable:
        """A constant that nobody else has: it need not be watched."""
        return self._constant(array, kind, 0)

    def _constant(self, array: Any, kind: str, line: int) -> Variable:
        t = ArrayType(array.shape, kind)
        value = np.ascontiguousarray(array, dtype=t.dtype(self.dtype)).reshape(array.shape)
        slot = self.append(CONSTANT, len(self._constants), self.types(t), (), line)
        self._constants.append(value)
        self._values[slot] = value
        return self.variable(slot, active=False)

    def _stack_objects(self, array: Any) -> Variable:
        """An object array of Variables and numbers, as np.array([v, w]) of scalars gives it, stacked."""
        if not any(isinstance(x, Variable) for x in array.flat):
            kind_of(array.dtype, "constant", self.line())
        items = [self.lift(x, FLOAT) for x in array.flat]
        if any(v.shape for v in items):
            kind_of(array.dtype, "constant", self.line())
        cells = [self.apply("reshape", (1,), self.cast(v, FLOAT)) for v in items]
        return self.apply("reshape", array.shape, self.apply("concatenate", (0,), *cells))

    def lift(self, value: Any, like: str = BOOL) -> Variable:
        """A Variable of this recorder, whatever the value is."""
        if isinstance(value, Variable):
            if value._recorder is not self and value._numbers is not None:
                return self.constant(value._numbers)
            self._check(value)
            return value._settled()
        return self.constant(value, like)

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

    def release(self, v: Variable) -> None:
        """Before v is assigned to: a captured array that it stood for gets another Variable."""
        for key, known in self._arrays.items():
            if known is v:
                self._arrays[key] = self.again(v)

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
            self._check(values[0])
        opcode, type_id, form, smooth = rule
        slot = self._count
        self._count = slot + 1
        operands = self._operands
        operands += slots
        self._words += (opcode, 0, type_id, self._lines.current(), len(operands))
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
            if isinstance(v, Variable) and _RANK[v._kind] > _RANK[like]:
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
        for wanted in sorted(known, key=lambda k: [_RANK[c] for c in k]):
            if all(_RANK[k] <= _RANK[w] for k, w in zip(kinds, wanted, strict=True)):
                return tuple(self.cast(v, w) for v, w in zip(values, wanted, strict=True))
        return tuple(self.cast(v, w) for v, w in zip(values, next(iter(known)), strict=True))

    def _elementwise_rule(self, name: str, values: tuple[Variable, ...]) -> tuple[int, int, type[Variable], bool]:
        opcode = find(name, "".join(v._kind for v in values))
        result = self._result_type(opcode, (), values)
        return opcode, self.types(result), self._form(result), OPS[opcode].differentiable

    def cast(self, v: Variable, kind: str) -> Variable:
        """The Variable as another kind."""
        return v if v._kind == kind else self.elementwise(_CAST[kind], v)

    def apply(self, name: str, attribute: Attribute, *values: Variable) -> Variable:
        """A structural op; operands are Variables of this recorder, of the kinds that the op wants."""
        immediate = name in IMMEDIATES
        key: list[Any] = [name, None if immediate else attribute]
        slots = []
        active = False
        for v in values:
            if v._recorder is not self or not self.open:
                self._check(v)
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
        place = attribute[0] if immediate else self._attributes(attribute)
        out._slot = self.append(opcode, place, type_id, slots, self._lines.current())
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

    def _check(self, v: Variable) -> None:
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
        return self._lines.names[self._lines.current()]

    def line_of(self, slot: int) -> str:
        """The line that recorded a slot."""
        return self._lines.names[self._words[slot * WORDS + 3]]

    def instruction(self, slot: int) -> tuple[int, ArrayType, list[int]]:
        """Opcode, type and operands of a slot."""
        code, _, type_id = self._words[slot * WORDS : slot * WORDS + 3]
        return code, self.types.items[type_id], self._values.read(slot)

    # --- values and guards

    def value(self, slot: int) -> Any:
        """The value of a slot for the arguments that are being recorded."""
        return self._values[slot]

    def is_fixed(self, slot: int) -> bool:
        """Is a slot the same whatever the arguments are?"""
        return self._values.is_fixed(slot)

    def vary(self, v: Variable) -> None:
        """Let a Variable count as one that changes, whatever it is made of: what goes by its value is guarded."""
        self._values.vary(v._slot)

    def constant_value(self, v: Variable) -> Any:
        """The value of a Variable that no argument changes; None of others."""
        self._check(v)
        return self._values[v._slot] if self._values.is_fixed(v._slot) else None

    def pin(self, v: Variable) -> Any:
        """The value of integers or booleans, and a guard that the tape is good only while they are the same."""
        value = self.constant_value(v)
        if value is not None:
            return value
        value = self._values[v._slot]
        if not value.shape:
            self.guard(v, v._kind)
        elif value.size:
            same = self.cast(self.elementwise("equal", v, self._constant(value, v._kind, 0)), INT)
            every = self.cast(self.apply("min", tuple(range(v.ndim)), same), BOOL)
            guard = self.elementwise("guard", every, self._number(True, BOOL))
            self.guards.append((guard._slot, (value.shape, value.tobytes())))
        return value

    def guard(self, v: Variable, kind: str) -> Any:
        """The value of a scalar as `kind`, and a guard that the tape is good only while it comes out so."""
        self._check(v)
        tested = self.cast(v, kind)
        value = self.value(tested._slot).item()
        if self._values.is_fixed(tested._slot):
            return value
        expected = self._number(value, kind)
        guard = self.elementwise("guard", tested, expected)
        self.guards.append((guard._slot, value))
        return value

    def guard_number(self, v: Variable, kind: str, wanted: str) -> Any:
        """For int(v), float(v): as `guard`, but an error where the derivative would be lost."""
        if v._active and kind == FLOAT:
            raise ConversionError(
                describe(
                    "float()",
                    found="a Variable that is being differentiated",
                    wanted=wanted,
                    line=self.line(),
                )
            )
        if v.size != 1:
            raise ShapeError(
                describe(f"{_CAST[kind][3:]}()", found=f"shape {v.shape}", wanted="one element", line=self.line())
            )
        scalar = self.apply("reshape", (), v) if v.shape else v
        if kind == INT and v._kind == FLOAT:
            int(self.value(scalar._slot).item())  # nan and infinities have none: Python's own error
        return self.guard(scalar, kind)

    # --- stretches of the recording, see `tapegrad.record.stretch`

    def listing(self, first: int) -> tuple[Any, Any]:
        """The instructions from slot `first` on: words int32[k, 5] and operands."""
        start = self._words[first * WORDS - 1] if first else 0
        words = np.array(self._words[first * WORDS :], np.int64).reshape(-1, WORDS)
        words[:, 4] -= start
        return words, np.array(self._operands[start:], np.int64)

    def settle(self, first: int) -> None:
        """Copy the function's own arrays among the constants from slot `first` on.

        An in-place operator may change such an array later (`replace`). What was recorded with it stays, also where
        a tape made of a stretch has taken the constant over.
        """
        for key, v in self._arrays.items():
            if v._slot >= first and key not in self._outer and v._slot not in self._settled:
                place = self._words[v._slot * WORDS + 1]
                self._constants[place] = self._values[v._slot] = self._constants[place].copy()
                self._settled.add(v._slot)

    @property
    def attributes(self) -> tuple[Attribute, ...]:
        """Of the instructions so far."""
        return tuple(self._attributes.items)

    @property
    def constants(self) -> tuple[Any, ...]:
        """The constants so far."""
        return tuple(self._constants)

    @property
    def lines(self) -> tuple[str, ...]:
        """The source lines so far."""
        return tuple(self._lines.names)

    def line_id(self, name: str) -> int:
        """The id of a source line."""
        return self._lines.intern(name)

    def attribute_id(self, attribute: Attribute) -> int:
        """The place of an attribute."""
        return self._attributes(attribute)

    # --- the end

    def finish(self, dependents: list[Variable]) -> Tape:
        """Close the recording; Variables can't be used any more."""
        for v in dependents:
            self._check(v)
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
            attributes=tuple(self._attributes.items),
            constants=tuple(self._constants),
            lines=tuple(self._lines.names),
            inputs=np.array(self._inputs, np.int32),
            independents=np.array(self._independents, np.int32),
            dependents=np.array([v._slot for v in dependents], np.int32),
            reverse=self._count,
            dtype=self.dtype,
        )


def unsupported(operation: str, found: str, wanted: str, recorder: Recorder | None = None) -> UnsupportedError:
    """The error for a function, or a way to call one, that there is no rule for."""
    line = recorder.line() if recorder is not None else ""
    return UnsupportedError(describe(operation, found=found, wanted=wanted, line=line))
