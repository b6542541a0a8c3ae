"""A tape's instructions as statements; what only one instruction of the same line reads is written into it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapegrad.formulas.lines import comment, wrapped
from tapegrad.formulas.literal import CARRIED, array, carried, expression, number
from tapegrad.formulas.names import Names
from tapegrad.formulas.template import Template, template
from tapegrad.ops.row import BOOL, FLOAT, Op
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.ops.table import CONSTANT, GUARDS, INPUT, OPS
from tapegrad.tape import Tape

_LONG: Final = 64  # characters of an expression that may stand within another
_LINE: Final = 90  # characters of a line that others still stand within
_FRESH: Final = frozenset(
    {"sum", "max", "min", "matmul", "matmul_add"}
)  # arrays of their own; numbers, where () is left


@dataclass(slots=True)
class Body:
    """The statements of a formula, and what they need.

    Attributes:
        tape: the instructions.
        names: of inputs and slots.
        inputs: the name of each input.
        function: the name of the formula.
        lines: the statements, indented.
        helpers, modules: functions and modules that they call.
        data: arrays that stand behind the function, each with its name.
        given: places of the constants that are too large for that.
    """

    tape: Tape
    names: Names
    inputs: Sequence[str]
    function: str
    lines: list[str] = field(default_factory=list)
    helpers: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    data: dict[str, str] = field(default_factory=dict)
    given: list[int] = field(default_factory=list)
    _values: dict[int, ast.expr] = field(default_factory=dict)
    _kept: set[int] = field(default_factory=set)
    _line: int = 0

    def write(self) -> list[str]:
        """Append all statements; gives the expressions of the dependents."""
        tape = self.tape
        templates = needed(tape)
        readers = _readers(tape, templates)
        reverse = False
        for i, found in templates.items():
            code = int(tape.opcodes[i])
            if i >= tape.reverse and not reverse and code not in {INPUT, CONSTANT}:
                reverse, self._line = True, 0
                self.lines += ["", "    # reverse part"]
            if found is None:
                self._leaf(i, code)
            elif code in GUARDS:
                self._guard(i, found)
            else:
                self._value(i, found, templates, readers[i])
        return [self._result(k, d) for k, d in enumerate(tape.dependents.tolist())]

    def _leaf(self, i: int, code: int) -> None:
        place = int(self.tape.attribute_ids[i])
        if code == INPUT:
            self._values[i] = ast.Name(self.inputs[place])
        elif self.tape.type(i).shape:
            self._assign(i, self._array(i, place))

    def _array(self, i: int, place: int) -> ast.expr:
        """A constant array: written out, behind the function, or handed in."""
        value = self.tape.constants[place]
        text = array(value)
        if text is None and value.nbytes > CARRIED:
            self.given.append(place)
            self.helpers.add("_argument")
            text = f"_argument(constants[{place}], {value.shape}, np.{value.dtype.name.replace('bool', 'bool_')})"
        elif text is None:
            text = self.carry(f"_{self.function}_{self.names.slot(i)}", value)
        return expression(text)

    def carry(self, name: str, value: Any) -> str:
        """Put an array behind the function; gives its name."""
        text = array(value)
        if text is None:
            self.helpers.add("_array")
            text = carried(value)
        return self._keep(name, text)

    def _keep(self, name: str, text: str) -> str:
        """Put an expression behind the function; gives its name, which is that of the same one if there is one."""
        known = next((k for k, v in self.data.items() if v == text), name)
        self.data[known] = text
        return known

    def _guard(self, i: int, found: Template) -> None:
        """A statement that stops where a branch would go another way."""
        slots = self.tape.read(i)
        x, expected = self._operand(OPS[self.tape.opcodes[i]], found, 0, slots), self._number(slots[1])
        test: ast.expr
        if expected is None:
            test = self._filled(i, found)
        elif self.tape.type(slots[1]).kind == BOOL:
            test = x if expected else ast.UnaryOp(ast.Not(), x)
        elif expected != expected:
            test = ast.Compare(x, [ast.NotEq()], [x])
        else:
            test = ast.Compare(x, [ast.Eq()], [expression(number(expected, bare=True))])
        self._comment(i)
        self.lines += wrapped(f"if {ast.unparse(_negated(test))}:")
        self.lines.append("        raise ValueError('recorded for another branch')")

    def _value(self, i: int, found: Template, templates: dict[int, Template | None], readers: list[int]) -> None:
        """A slot's expression: kept for the one that reads it, or given a name."""
        value, kept = self._filled(i, found), [s for s in self.tape.read(i) if s in self._kept]
        while kept and len(ast.unparse(value)) > _LINE:
            longest = max(kept, key=lambda s: len(ast.unparse(self._values[s])))
            self._assign(longest, self._values[longest])
            value, kept = self._filled(i, found), [s for s in kept if s in self._kept]
        if len(readers) == 1 and self._together(i, readers[0]):
            reader = templates[readers[0]]
            assert reader is not None
            once = reader.counts[self.tape.read(readers[0]).index(i)] == 1
            if (once or self._tested(readers[0])) and len(ast.unparse(value)) <= _LONG:
                self._values[i] = value
                self._kept.add(i)
                return
        self._assign(i, value)

    def _tested(self, reader: int) -> bool:
        """Is it a guard that is written as a comparison with a number, which reads the slot once?"""
        if int(self.tape.opcodes[reader]) not in GUARDS:
            return False
        expected = self._number(self.tape.read(reader)[1])
        return expected is not None and bool(expected == expected)

    def _together(self, i: int, reader: int) -> bool:
        """Do two instructions come from the same line, in the same part?"""
        tape = self.tape
        part = (i >= tape.reverse) == (reader >= tape.reverse)
        return part and reader >= 0 and bool(tape.line_ids[i] == tape.line_ids[reader])

    def _filled(self, i: int, found: Template) -> ast.expr:
        """An instruction with what it reads."""
        tape, op = self.tape, OPS[self.tape.opcodes[i]]
        slots = tape.read(i)
        values = [self._operand(op, found, k, slots) for k in range(len(slots))]
        others: dict[str, ast.expr] = {}
        for name in found.names:
            if name == "floating":
                others[name] = expression(f"np.{tape.dtype.name}")
            elif name == "matrix":
                others[name] = ast.Name(self._sparse(i))
            elif name.startswith("_"):
                self.helpers.add(name)
        self.modules |= found.modules
        return found.fill(values, others)

    def _operand(self, op: Op, found: Template, k: int, slots: Sequence[int]) -> ast.expr:
        value = self._number(slots[k])
        if value is None:
            return self._values.get(slots[k], ast.Name("None"))  # a slot that the source does not read
        return expression(number(value, bare=k not in found.owned and self._bare(op, found, k, slots)))

    def _bare(self, op: Op, found: Template, k: int, slots: Sequence[int]) -> bool:
        """May a number stand without its dtype? Then other operands decide on that of the result."""
        kind = self.tape.type(slots[k]).kind
        others = [s for s in slots if self._number(s) is None]
        if kind == FLOAT and self.tape.dtype != np.float64:
            return op.elementwise and not found.modules and any(self.tape.type(s).kind == FLOAT for s in others)
        return bool(others) or not op.elementwise

    def _number(self, slot: int) -> Any:
        """The value of a slot that is one constant number."""
        if self.tape.opcodes[slot] != CONSTANT or self.tape.type(slot).shape:
            return None
        return self.tape.constants[int(self.tape.attribute_ids[slot])][()]

    def _sparse(self, i: int) -> str:
        """The name of the sparse matrix in an attribute; it stands behind the function."""
        matrix = next(a for a in self.tape.attribute(i) if isinstance(a, SparseMatrix)).matrix.tocsr()
        name = f"_{self.function}_{self.names.slot(i)}"
        arrays = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        parts = [self.carry(f"{name}_{k}", a) for k, a in arrays.items()]
        self.modules.add("scipy.sparse")
        return self._keep(name, f"scipy.sparse.csr_array(({', '.join(parts)}), shape={matrix.shape})")

    def _assign(self, i: int, value: ast.expr) -> None:
        """A statement that names a slot."""
        self._comment(i)
        name = self.names.slot(i)
        self.lines += wrapped(f"{name} = {ast.unparse(value)}")
        self._values[i] = ast.Name(name)
        self._kept.discard(i)

    def _comment(self, i: int) -> None:
        """The source line, where it is another than that of the statement before."""
        line = int(self.tape.line_ids[i])
        if line and line != self._line:
            self._line = line
            self.lines.append(f"    {comment(self.tape.lines[line], quoted=i < self.tape.reverse)}")

    def _result(self, place: int, slot: int) -> str:
        """A dependent: an array of its own, or a number."""
        value = self._number(slot)
        if value is not None:
            return number(value, bare=False)
        op, text = OPS[self.tape.opcodes[slot]], ast.unparse(self._values[slot])
        fresh = op.elementwise or op.name in _FRESH
        if not self.tape.type(slot).shape:
            return text if fresh and not _gives_arrays(op) else f"{text}[()]"
        first = self.tape.dependents.tolist().index(slot) == place
        return text if fresh and first else f"{text}.copy()"


def _negated(test: ast.expr) -> ast.expr:
    """The opposite of a test; nan is neither less than a number nor not."""
    match test:
        case ast.UnaryOp(ast.Not(), operand):
            return operand
        case ast.Compare(left, [ast.Eq()], [right]):
            return ast.Compare(left, [ast.NotEq()], [right])
        case ast.Compare(left, [ast.NotEq()], [right]):
            return ast.Compare(left, [ast.Eq()], [right])
    return ast.UnaryOp(ast.Not(), test)


def _gives_arrays(op: Op) -> bool:
    """May the source of an elementwise op give an array without axes, where NumPy's functions give a number?"""
    return isinstance(op.source, str) and ("where" in op.source or ".astype" in op.source or op.source[0] == "_")


def needed(tape: Tape) -> dict[int, Template | None]:
    """The slots that results and guards hang on, in order, with their sources."""
    wanted = np.zeros(len(tape), np.bool_)
    wanted[tape.dependents] = True
    wanted |= np.isin(tape.opcodes, list(GUARDS))
    found: dict[int, Template | None] = {}
    for i in range(len(tape) - 1, -1, -1):
        if not wanted[i]:
            continue
        op, slots = OPS[tape.opcodes[i]], tape.read(i)
        found[i] = None
        if not op.leaf:
            read = template(op, tape.attribute(i), [tape.type(s) for s in slots], tape.line(i))
            wanted[[s for s, count in zip(slots, read.counts, strict=True) if count]] = True
            found[i] = read
    return dict(reversed(found.items()))


def _readers(tape: Tape, templates: dict[int, Template | None]) -> dict[int, list[int]]:
    """The instructions that read each slot, once for each place; -1 for the result."""
    readers: dict[int, list[int]] = {i: [] for i in templates}
    for i, found in templates.items():
        if found is not None:
            for slot, count in zip(tape.read(i), found.counts, strict=True):
                readers[slot] += [i] * bool(count)
    for slot in tape.dependents.tolist():
        readers[slot].append(-1)
    return readers
