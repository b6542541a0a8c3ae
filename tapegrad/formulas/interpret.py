"""A tape run on SymPy's expressions in place of numbers: arrays of objects, slot by slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.formulas.algebra import apply
from tapegrad.formulas.exact import number
from tapegrad.formulas.extremes import indicator, one_of_all
from tapegrad.formulas.points import single
from tapegrad.ops.custom import title
from tapegrad.ops.row import BOOL, FLOAT, INT, Op
from tapegrad.ops.table import CONSTANT, GUARDS, INPUT, OPS
from tapegrad.tape import Tape

MOST: Final = 20_000  # terms of an expression: what is longer nobody reads, and SymPy does not get through

# Rows whose `evaluate` moves, adds and multiplies objects as well as numbers.
_PLAIN: Final = frozenset(
    {"reshape", "transpose", "broadcast_to", "slice", "pad", "slice_add", "slice_set", "item", "item_add", "item_set",
     "concatenate", "stop_gradient", "sum", "gather", "scatter", "scatter_add", "scatter_set", "matmul", "matmul_add",
     "cumsum", "tril"}
)  # fmt: skip
_MATRICES: Final = frozenset({"det", "inv", "cofactors", "solve", "lu_solve", "slogdet"})


class Interpreter:
    """Runs a tape.

    Attributes:
        sp: the module sympy.
        tape: the instructions.
        values: an array a slot: of SymPy's expressions, or of known integers and booleans.
        conditions: what must hold for the branches that were recorded.
    """

    def __init__(self, sp: Any, tape: Tape) -> None:
        self.sp, self.tape = sp, tape
        self.values: list[Any] = []
        self.conditions: list[Any] = []
        self._sizes: dict[Any, int] = {}

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The dependents, for one array of symbols or numbers an input."""
        for i, code in enumerate(self.tape.opcodes.tolist()):
            if code in {INPUT, CONSTANT}:
                place = int(self.tape.attribute_ids[i])
                value = inputs[place] if code == INPUT else self._known(self.tape.constants[place])
            elif code in GUARDS:
                value = self._guard(i)
            else:
                value = self._settled(self._value(i), self.tape.type(i).kind)
                self._measure(i, value)
            self.values.append(value)
        return [self.values[d] for d in self.tape.dependents.tolist()]

    def _known(self, value: Any) -> Any:
        return self.each(lambda x: number(self.sp, x), value) if value.dtype.kind == "f" else value

    def each(self, function: Any, *arrays: Any) -> Any:
        """A function of the elements of broadcast arrays."""
        spread = np.broadcast_arrays(*arrays)
        out = np.empty(spread[0].shape, object)
        for k in np.ndindex(out.shape):
            out[k] = function(*(a[k] for a in spread))
        return out

    def _settled(self, value: Any, kind: str) -> Any:
        """Expressions; integers and booleans as NumPy's where all of them are known."""
        sp = self.sp
        value = np.asarray(value)
        if value.dtype != object:
            return self._known(value)
        value = self.each(lambda v: sp.sympify(v[()] if isinstance(v, np.ndarray) else v), value)
        if kind == INT and all(v.is_Integer for v in value.flat):
            return value.astype(np.int64)
        if kind == BOOL and all(v in (sp.true, sp.false) for v in value.flat):
            return value.astype(bool)
        return value

    def _value(self, i: int) -> Any:
        """What an instruction gives."""
        tape, op = self.tape, OPS[self.tape.opcodes[i]]
        slots, attribute, derivative = tape.read(i), tape.attribute(i), i >= tape.reverse
        operands = [self.values[s] for s in slots]
        if all(v.dtype != object for v in operands) and op.source:
            found = np.asarray(op.evaluate(attribute, *operands))
            return found.astype(tape.dtype) if tape.type(i).kind == FLOAT else found
        if op.name == "where" and derivative:
            return self.each(self._chosen, *operands)
        if op.name in {"where", "to_float"}:
            operands[0] = self.each(self._general, operands[0])
        if op.pointwise:
            self._require_sign(i, op, operands)
            name = title(op, attribute)
            return self.each(lambda *x: apply(self.sp, name, *map(self._expression, x)), *operands)
        if op.name in _PLAIN:
            found = op.evaluate(attribute, *operands)
            return self.each(lambda e: one_of_all(self.sp, e), found) if derivative and op.name == "sum" else found
        return self._array(i, op, attribute, operands)

    def _require_sign(self, i: int, op: Op, operands: Sequence[Any]) -> None:
        """Refuse the sign of a zero: SymPy's has none."""
        if op.name == "copysign" and any(y == 0 for y in operands[1].flat):
            wanted = "a sign that is an argument's, or a number's other than 0"
            raise UnsupportedError(
                describe("symbolic", found="copysign(x, 0.0)", wanted=wanted, line=self.tape.line(i))
            )

    def _array(self, i: int, op: Op, attribute: Any, operands: Sequence[Any]) -> Any:
        """What a function of whole arrays gives, if there is a formula."""
        if op.name in {"max", "min"}:
            return self._extremes(op, attribute, operands[0])
        if op.name in _MATRICES:
            return self._matrices(op, attribute, operands)
        if op.name == "lu":
            return operands[0]  # only `lu_solve` reads it, and not here
        name, line = title(op, attribute), self.tape.line(i)
        found, wanted = f"{name}, which has no formula for its elements", "elementwise functions, sums and products"
        raise UnsupportedError(describe("symbolic", found=found, wanted=wanted, line=line))

    def _expression(self, x: Any) -> Any:
        return x if hasattr(x, "free_symbols") else number(self.sp, x)

    def _general(self, test: Any) -> Any:
        """A test for general arguments: at single points the formulas do not tell."""
        return self.sp.false if single(self.sp, test) else self._expression(test)

    def _chosen(self, test: Any, x: Any, y: Any) -> Any:
        """A choice in a derivative: where something is an extreme, a step."""
        sp, x, y = self.sp, self._expression(x), self._expression(y)
        if isinstance(test, sp.Eq) and isinstance(test.rhs, (sp.Max, sp.Min)):
            attained = indicator(sp, test.lhs, test.rhs)
            return y + (x - y) * attained if attained is not None else apply(sp, "where", test, x, y)
        return apply(sp, "where", self._general(test), x, y)

    def _extremes(self, op: Op, axes: Sequence[int], x: Any) -> Any:
        """The largest or smallest over axes."""
        kept = [a for a in range(x.ndim) if a not in axes]
        rows = np.transpose(x, [*kept, *axes]).reshape(*(x.shape[a] for a in kept), -1)
        out = np.empty(rows.shape[:-1], object)
        for k in np.ndindex(out.shape):
            found = [self._expression(v) for v in rows[k]]
            out[k] = (self.sp.Max if op.name == "max" else self.sp.Min)(*found)
        return out

    def _matrices(self, op: Op, attribute: Any, operands: Sequence[Any]) -> Any:
        """Determinants, inverses and solutions, of each of a batch."""
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
        spread = [np.broadcast_to(x, batch + x.shape[-2:]) for x in operands]
        found = [np.asarray(self._matrix(op, attribute, [x[k] for x in spread])) for k in np.ndindex(batch)]
        return np.stack(found).reshape(batch + found[0].shape)

    def _matrix(self, op: Op, attribute: Any, operands: Sequence[Any]) -> Any:
        sp, n = self.sp, len(operands[0])
        a = sp.Matrix(n, n, operands[0].reshape(-1).tolist())
        det = a.det(method="berkowitz")
        if op.name in {"det", "slogdet"}:
            value = np.empty((), object)
            value[()] = det
            return value if op.name == "det" else np.array([sp.sign(det), sp.log(sp.Abs(det))], object)
        adjugate = np.array(a.adjugate().tolist(), object).reshape(n, n)
        if op.name == "cofactors":
            return adjugate.T
        if op.name == "inv":
            return adjugate / det
        return (adjugate.T if attribute[0] else adjugate) @ operands[-1] / det

    def _guard(self, i: int) -> Any:
        """A condition, if it is not always true."""
        x, expected = (self.values[s] for s in self.tape.read(i))
        if x.dtype == object:
            test, wanted = self._expression(x[()]), self._expression(expected[()])
            boolean = self.tape.type(self.tape.read(i)[0]).kind == BOOL
            holds = (test if wanted == self.sp.true else self.sp.Not(test)) if boolean else self.sp.Eq(test, wanted)
            if holds != self.sp.true and holds not in self.conditions:
                self.conditions.append(holds)
        return np.asarray(True)

    def _measure(self, i: int, value: Any) -> None:
        """Stop where expressions grow without end."""
        if value.dtype == object and any(self._size(v) > MOST for v in value.flat):
            op = OPS[self.tape.opcodes[i]]
            found = f"an expression of more than {MOST:,} terms in {title(op, self.tape.attribute(i))}"
            wanted = "a shorter function, or fewer steps of a loop"
            raise UnsupportedError(describe("symbolic", found=found, wanted=wanted, line=self.tape.line(i)))

    def _size(self, expression: Any) -> int:
        """How many terms an expression has, written out."""
        known = self._sizes.get(expression)
        if known is None:
            known = self._sizes[expression] = 1 + sum(self._size(a) for a in expression.args)
        return known
