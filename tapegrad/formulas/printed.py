"""Expressions of SymPy's as a plain NumPy function, by SymPy's own printer."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from tapegrad.drivers.interface import Interface
from tapegrad.errors import UnsupportedError, describe
from tapegrad.formulas.lines import wrapped
from tapegrad.formulas.names import Names
from tapegrad.formulas.outside import docstring, head, together, unpacking
from tapegrad.formulas.python import module, returned
from tapegrad.formulas.symbols import independents
from tapegrad.ops.table import OPS
from tapegrad.tape import Tape


def printed(
    sp: Any,
    name: str,
    tape: Tape,
    interface: Interface,
    names: Names,
    results: Sequence[Any],
    conditions: Sequence[Any],
) -> str:
    """The source of a function of value and gradient.

    Args:
        sp: the module sympy.
        name: of the function.
        tape, interface, names: of the formulas.
        results: an array of expressions for each dependent.
        conditions: what must be true.
    """
    printer = _printer(sp)
    tests = [_plain(sp, c) for c in conditions]
    expressions = [_plain(sp, e) for r in results for e in r.flat]
    shared, short = sp.cse(expressions, sp.numbered_symbols(names.prefix, real=True))
    lines = [
        '@np.errstate(all="ignore")',
        *head(name, names, constants=False),
        *docstring(tape, interface, names, ()),
        *(line for text in unpacking(tape, interface, names) for line in wrapped(text)),
    ]
    for test in tests:
        lines += [*wrapped(f"if not ({printer(test)}):"), "        raise ValueError('recorded for another branch')"]
    for symbol, expression in shared:
        lines += wrapped(f"{symbol} = {printer(expression)}")
    texts = iter([printer(e) for e in short])
    dtype = f"np.{tape.dtype.name}"
    leaves = [names.inputs(interface)[k][0] for k in independents(tape, interface)]
    chosen = copy.deepcopy(names)
    given = [chosen.new(wish) for wish in ("value", *(f"d_{leaf}" for leaf in leaves))]
    for result, part in zip(given, results, strict=True):
        lines += wrapped(f"{result} = {_array([next(texts) for _ in part.flat], part.shape, dtype)}")
    lines += returned(together(interface.result, iter(given)))
    modules = {m for m in re.findall(r"\b(scipy(?:\.\w+)*)\.\w+\(", "\n".join(lines)) if "." in m}
    return module(lines, ["_argument"], modules)


def _array(texts: Sequence[str], shape: tuple[int, ...], dtype: str) -> str:
    """An array of expressions, or one number."""
    if not shape:
        return f"{dtype}({texts[0]})"
    places = np.arange(len(texts)).reshape(shape).tolist()

    def nested(tree: Any) -> str:
        return texts[tree] if isinstance(tree, int) else f"[{', '.join(map(nested, tree))}]"

    if not texts:
        return f"np.zeros({shape}, {dtype})"
    return f"np.array({nested(places)}, {dtype})"


def _plain(sp: Any, expression: Any) -> Any:
    """Cases and extremes as calls of functions of two or three arguments; SymPy's printer would simplify them first."""

    def chosen(*pieces: Any) -> Any:
        found = sp.nan
        for value, test in reversed(pieces):
            found = value if test == sp.true else sp.Function("where")(test, value, found)
        return found

    def folded(name: str) -> Callable[..., Any]:
        return lambda *operands: reduce(sp.Function(name), operands)

    found = expression.replace(sp.Piecewise, chosen).replace(sp.Heaviside, sp.Function("heaviside"))
    return found.replace(sp.Max, folded("maximum")).replace(sp.Min, folded("minimum"))


def _printer(sp: Any) -> Callable[[Any], str]:
    """A function that writes an expression in NumPy and SciPy."""
    from sympy.printing.numpy import SciPyPrinter

    undefined = {op.name: op.loop for op in OPS if op.loop} | {n: f"numpy.{n}" for n in ("where", "heaviside")}
    printer = SciPyPrinter({"fully_qualified_modules": True, "user_functions": undefined, "strict": False})

    def text(expression: Any) -> str:
        found = str(printer.doprint(expression))
        missing = [f.func.__name__ for f in expression.atoms(sp.core.function.AppliedUndef)]
        unknown = [m for m in missing if m not in undefined] or re.findall(r"# Not supported.*\n# (\w+)", found)
        if unknown:
            what = f"{unknown[0]}, for which NumPy and SciPy have no function that SymPy knows"
            raise UnsupportedError(describe("to_python", found=what, wanted="tape.to_python(), which knows it"))
        return re.sub(r"\b(?:numpy|scipy\.constants)\.(?=pi\b)|\bnumpy\.", "np.", found)

    return text
