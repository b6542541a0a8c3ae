"""The small language in which partials are written: arithmetic, comparisons, calls of ops, numbers.

parse("1 - z * z")  ->  subtract(1, multiply(z, z))
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, TypeAlias

Expression: TypeAlias = "Name | Number | Call"


@dataclass(frozen=True, slots=True)
class Name:
    """An operand, the result `z`, or the incoming derivative `g`."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True)
class Call:
    """An op applied to expressions."""

    op: str
    arguments: tuple[Expression, ...]


_BINARY: Final = MappingProxyType(
    {ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.Pow: "power"}
)
_COMPARE: Final = MappingProxyType({ast.Eq: "equal", ast.NotEq: "not_equal", ast.Gt: "greater", ast.Lt: "less"})


@cache
def parse(text: str) -> Expression:
    """The expression that a text stands for; `SyntaxError` for anything outside the language.

    >>> parse("2 * x")
    Call(op='multiply', arguments=(Number(value=2.0), Name(name='x')))
    """
    return _convert(ast.parse(text, mode="eval").body, text)


def _convert(tree: ast.expr, text: str) -> Expression:  # noqa: PLR0911 - one return a form
    match tree:
        case ast.Name(name):
            return Name(name)
        case ast.Constant(int() | float() as value):
            return Number(float(value))
        case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
            return Number(-float(value))
        case ast.UnaryOp(ast.USub(), operand):
            return Call("negative", (_convert(operand, text),))
        case ast.BinOp(left, sign, right) if type(sign) in _BINARY:
            return Call(_BINARY[type(sign)], (_convert(left, text), _convert(right, text)))
        case ast.Compare(left, [sign], [right]) if type(sign) in _COMPARE:
            return Call(_COMPARE[type(sign)], (_convert(left, text), _convert(right, text)))
        case ast.Call(ast.Name(name), arguments, []):
            return Call(name, tuple(_convert(a, text) for a in arguments))
        case _:
            raise SyntaxError(f"cannot read the partial {text!r}")


def names(expression: Expression) -> frozenset[str]:
    """The names an expression reads."""
    match expression:
        case Name(name):
            return frozenset({name})
        case Call(_, arguments):
            return frozenset().union(*(names(a) for a in arguments))
        case _:
            return frozenset()
