"""Values of elementwise ops as JavaScript: what a page computes them with.

A row's `value` is an expression of a few forms, written for numba; each form has one in JavaScript. What has no
`value`, or one that JavaScript's `Math` cannot do, is for the page's own table (`assets/functions.js`).
"""

from __future__ import annotations

import ast
import json
from types import MappingProxyType
from typing import Final

from tapegrad.ops.table import OPS

_SIGNS: Final = MappingProxyType(
    {
        ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
        ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "===", ast.NotEq: "!==",
        ast.And: "&&", ast.Or: "||", ast.USub: "-", ast.Not: "!",
    }
)  # fmt: skip

_CALLS: Final = MappingProxyType(
    {
        "abs": "Math.abs", "int": "Math.trunc", "np.floor": "Math.floor", "np.ceil": "Math.ceil",
        "math.exp": "Math.exp", "math.expm1": "Math.expm1", "math.log": "Math.log", "math.log1p": "Math.log1p",
        "math.log2": "Math.log2", "math.log10": "Math.log10", "math.sqrt": "Math.sqrt", "math.sin": "Math.sin",
        "math.cos": "Math.cos", "math.tan": "Math.tan", "math.asin": "Math.asin", "math.acos": "Math.acos",
        "math.atan": "Math.atan", "math.atan2": "Math.atan2", "math.sinh": "Math.sinh", "math.cosh": "Math.cosh",
        "math.tanh": "Math.tanh", "math.asinh": "Math.asinh", "math.acosh": "Math.acosh", "math.atanh": "Math.atanh",
    }
)  # fmt: skip

_CONSTANTS: Final = MappingProxyType({"math.inf": "Infinity", "math.pi": "Math.PI", "math.nan": "NaN"})


class UntranslatableError(Exception):
    """An expression that has no form in JavaScript."""


def expression(text: str) -> str:
    """A row's `value` in JavaScript; operands get a leading underscore, so that none is a word of the language.

    Raises:
        UntranslatableError: a form or a function that is not known here.

    >>> expression("x if (x > y) | (x != x) else y")
    '(((_x > _y) | (_x !== _x)) ? _x : _y)'
    >>> expression("math.exp(-x)")
    'Math.exp((-_x))'
    """
    return _translate(ast.parse(text, mode="eval").body)


def function(operands: tuple[str, ...], value: str) -> str:
    """A function of some operands.

    >>> function(("x", "y"), "x * y")
    '(_x, _y) => (_x * _y)'
    """
    return f"({', '.join('_' + name for name in operands)}) => {expression(value)}"


def elementwise() -> str:
    """A table of all elementwise ops whose value can be translated, as the text of an object."""
    entries = {}
    for op in OPS:
        if op.elementwise and op.value and op.name not in entries:
            try:
                entries[op.name] = function(op.operands, op.value)
            except UntranslatableError:
                continue
    return "{\n" + "".join(f"  {json.dumps(name)}: {text},\n" for name, text in entries.items()) + "}"


def _translate(tree: ast.expr) -> str:  # noqa: PLR0911 - one return a form
    """One form after another."""
    match tree:
        case ast.Name(name):
            return "_" + name
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return repr(number)
        case ast.Attribute():
            return _known(_CONSTANTS, tree)
        case ast.IfExp(test, body, other):
            return f"({_translate(test)} ? {_translate(body)} : {_translate(other)})"
        case ast.BinOp(left, ast.Pow(), right):
            return f"power({_translate(left)}, {_translate(right)})"
        case ast.BinOp(left, sign, right) | ast.Compare(left, [sign], [right]):
            return f"({_translate(left)} {_sign(sign)} {_translate(right)})"
        case ast.BoolOp(sign, values):
            return "(" + f" {_sign(sign)} ".join(_translate(v) for v in values) + ")"
        case ast.UnaryOp(sign, operand):
            return f"({_sign(sign)}{_translate(operand)})"
        case ast.Call(called, arguments, []):
            return f"{_known(_CALLS, called)}({', '.join(_translate(a) for a in arguments)})"
        case _:
            raise UntranslatableError(ast.unparse(tree))


def _sign(sign: ast.AST) -> str:
    """An operator."""
    found = _SIGNS.get(type(sign))
    if found is None:
        raise UntranslatableError(type(sign).__name__)
    return found


def _known(table: MappingProxyType[str, str], tree: ast.expr) -> str:
    """A function or a constant by its dotted name."""
    name = ast.unparse(tree)
    if name not in table:
        raise UntranslatableError(name)
    return table[name]
