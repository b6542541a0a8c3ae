"""Sources of rows as expressions that operands are put into: Python's own syntax trees, so that brackets are right."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.custom import title
from tapegrad.ops.row import ArrayType, Attribute, Op


@dataclass(frozen=True, slots=True)
class Template:
    """A source, read.

    Attributes:
        expression: its tree, which is never changed.
        operands: for each name in it that stands for an operand, the operand's place.
        counts: how often it reads each operand.
        owned: places of operands of which it asks for an attribute or an item: they must be arrays.
        names: all other names that it reads.
        modules: modules of SciPy's that it reads functions from.
    """

    expression: ast.expr
    operands: Mapping[str, int]
    counts: tuple[int, ...]
    owned: frozenset[int]
    names: frozenset[str]
    modules: frozenset[str]

    def fill(self, values: Sequence[ast.expr], others: Mapping[str, ast.expr]) -> ast.expr:
        """The expression with values in place of its operands, and of other names."""
        given = {name: values[place] for name, place in self.operands.items()}
        filled: ast.expr = _filled(self.expression, {**others, **given})
        return filled


def template(op: Op, attribute: Attribute, types: Sequence[ArrayType], line: str) -> Template:
    """The source of an instruction.

    Raises:
        UnsupportedError: a function of the user's.
    """
    text = op.source if isinstance(op.source, str) else op.source(attribute, types)
    if not text:
        found, wanted = f"{title(op, attribute)}, a function of yours", "functions that NumPy and SciPy have"
        raise UnsupportedError(describe("to_python", found=found, wanted=wanted, line=line))
    return _read(text, op.operands, len(types))


@cache
def _read(text: str, operands: tuple[str, ...], count: int) -> Template:
    expression = ast.parse(text, mode="eval").body
    places = {f"x{k}": k for k in range(count)} | dict(zip(operands, range(count), strict=False))
    read = Counter(n.id for n in ast.walk(expression) if isinstance(n, ast.Name))
    asked = [n.value for n in ast.walk(expression) if isinstance(n, (ast.Attribute, ast.Subscript))]
    paths = {ast.unparse(n.value) for n in ast.walk(expression) if isinstance(n, ast.Attribute)}
    return Template(
        expression,
        {name: place for name, place in places.items() if name in read},
        tuple(sum(read[name] for name, place in places.items() if place == k) for k in range(count)),
        frozenset(places[n.id] for n in asked if isinstance(n, ast.Name) and n.id in places),
        frozenset(name for name in read if name not in places),
        frozenset(p for p in paths if p.startswith("scipy.")),
    )


def _filled(tree: Any, values: Mapping[str, ast.expr]) -> Any:
    """A tree with others in place of names; what does not change is shared."""
    if isinstance(tree, ast.Name):
        return values.get(tree.id, tree)
    if isinstance(tree, list):
        return [_filled(t, values) for t in tree]
    if not isinstance(tree, ast.AST):
        return tree
    return type(tree)(**{name: _filled(value, values) for name, value in ast.iter_fields(tree)})
