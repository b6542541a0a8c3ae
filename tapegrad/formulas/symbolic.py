"""A function and its gradient as formulas: a tape run on SymPy's symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any

import numpy as np

from tapegrad.drivers.interface import Interface
from tapegrad.errors import MissingExtraError, SettingError, UnsupportedError, describe
from tapegrad.formulas.interpret import Interpreter
from tapegrad.formulas.names import Names
from tapegrad.formulas.printed import printed
from tapegrad.formulas.python import require_name
from tapegrad.formulas.shorten import shorten
from tapegrad.formulas.symbols import independents, packed, subscripts, symbols
from tapegrad.tape import Tape
from tapegrad.trees import unflatten

Simplify = bool | Callable[[Any], Any]


@dataclass(frozen=True, slots=True, eq=False)
class Symbolic:
    """A scalar function and its gradient as expressions of SymPy's.

    Attributes:
        name: the function's.
        value: an expression.
        gradient: one for each number that it is differentiated by, nested as the arguments are; for an array a
            `sympy.Array` of its shape.
        symbols: of each floating argument, by name: a symbol, or an array of symbols.
        conditions: what must hold: the function took branches, and the formulas are for these.
    """

    name: str
    value: Any
    gradient: Any
    symbols: Mapping[str, Any]
    conditions: tuple[Any, ...]
    _tape: Tape
    _interface: Interface
    _names: Names
    _inputs: tuple[Any, ...]
    _results: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles: a view of a dict has neither."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _again, ({**values, "symbols": dict(self.symbols)},)

    def __str__(self) -> str:
        head = f"{self.name}({', '.join(self._names.parameters)})"
        lines = [f"{left} = {right}" for left, right in self._lines(str, head, lambda s: f"d{self.name}/d{s}")]
        return "\n".join([*lines, *(f"if {c}" for c in self.conditions)])

    def __repr__(self) -> str:
        return f"<tapegrad.Symbolic {self.name}({', '.join(self._names.parameters)})>"

    def latex(self) -> str:
        """The formulas in LaTeX, one below the other: an `aligned` environment."""
        sp = require_sympy()
        below = subscripts(sp, self._inputs)

        def text(expression: Any) -> str:
            return str(sp.latex(expression, symbol_names=below))

        name = text(sp.Symbol(self.name))
        head = rf"{name}\left({', '.join(text(sp.Symbol(p)) for p in self._names.parameters)}\right)"
        found = self._lines(text, head, lambda s: rf"\frac{{\partial {name}}}{{\partial {text(s)}}}")
        lines = [f"{left} &= {right}" for left, right in found]
        lines += [rf"&\text{{if }} {text(c)}" for c in self.conditions]
        body = " \\\\\n".join(lines)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    def _repr_latex_(self) -> str:
        """What Jupyter shows."""
        return f"$\\displaystyle {self.latex()}$"

    def to_python(self, name: str = "") -> str:
        """Value and gradient as a plain NumPy function in source form, which runs without tapegrad and SymPy.

        Args:
            name: what to call the function; its own name, if nothing is said.

        Raises:
            UnsupportedError: a function that neither NumPy nor SciPy has.
        """
        require_name(name or self.name)
        outside = self._tape, self._interface, self._names
        return printed(require_sympy(), name or self.name, *outside, self._results, self.conditions)

    def _lines(
        self, text: Callable[[Any], str], head: str, derivative: Callable[[Any], str]
    ) -> Iterator[tuple[str, str]]:
        """Left and right side of each formula."""
        yield head, text(self.value)
        inputs = [self._inputs[k] for k in independents(self._tape, self._interface)]
        for symbol, gradient in zip(inputs, self._results[1:], strict=True):
            for k in np.ndindex(symbol.shape):
                yield derivative(symbol[k]), text(gradient[k])


def _again(values: dict[str, Any]) -> Symbolic:
    """Formulas out of their parts."""
    return Symbolic(**{**values, "symbols": MappingProxyType(values["symbols"])})


def formulas(
    name: str, tape: Tape, interface: Interface, given: Sequence[Any], names: Sequence[str], simplify: Simplify
) -> Symbolic:
    """The formulas of a tape of value and gradient; `given` are arrays for its inputs, `names` those of parameters."""
    try:
        found = _formulas(name, tape, interface, given, names, simplify)
        str(found)  # SymPy's printers go as deep as its expressions
    except RecursionError:
        text = "an expression nested more deeply than Python's limit of recursion lets SymPy go"
        wanted = "a shorter function, or fewer steps of a loop"
        raise UnsupportedError(describe("symbolic", found=text, wanted=wanted)) from None
    return found


def _formulas(
    name: str, tape: Tape, interface: Interface, given: Sequence[Any], names: Sequence[str], simplify: Simplify
) -> Symbolic:
    """As `formulas`, where it does not go too deep."""
    sp = require_sympy()
    chosen = Names(interface, names)
    inputs = symbols(sp, tape, interface, chosen, given)
    interpreter = Interpreter(sp, tape)
    found = interpreter.run(inputs)
    if any(e.has(sp.zoo) for v in found for e in map(sp.sympify, v.flat)):
        wanted = "divisors, and arguments of log and the like, that are not 0 whatever the arguments are"
        raise UnsupportedError(describe("symbolic", found="a division by 0, or a pole", wanted=wanted))
    results = tuple(interpreter.each(lambda e: _short(sp, e, simplify), v) for v in found)
    value, gradient = unflatten(interface.result, [packed(sp, v) for v in results])
    leaves = [n for n, _ in chosen.inputs(interface)]
    known = {n: packed(sp, v) for n, v in zip(leaves, inputs, strict=True) if v.dtype == object}
    conditions = tuple(interpreter.conditions)
    parts = tape, interface, chosen, tuple(inputs), results
    return Symbolic(name, value, gradient, MappingProxyType(known), conditions, *parts)


def _short(sp: Any, expression: Any, simplify: Simplify) -> Any:
    """A shorter form of an expression, if one is wanted."""
    if callable(simplify):
        return sp.sympify(simplify(expression))
    return shorten(sp, expression) if simplify else expression


def _is_name(name: Any) -> bool:
    """Can a parameter be called that?"""
    return isinstance(name, str) and name.isidentifier()


def require_names(names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    """Names for the parameters, or none."""
    found = tuple(names or ())
    if names is not None and (len(found) != count or len(set(found)) != count or not all(_is_name(n) for n in found)):
        raise SettingError(describe("symbolic", found=f"names={list(found)}", wanted=f"{count} different names"))
    return found


def require_sympy() -> Any:
    """The module sympy."""
    try:
        import sympy
    except ImportError:
        found, wanted = "no SymPy", "pip install 'tapegrad[symbolic]'"
        raise MissingExtraError(describe("symbolic", found=found, wanted=wanted)) from None
    return sympy
