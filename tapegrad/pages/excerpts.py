"""The user's source text around the lines that recorded a tape."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tapegrad.reading.source import place
from tapegrad.sources import source_lines

_AROUND: Final = 3  # lines, where no function is around a line, or the function is long
_LONG: Final = 300


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some stretches of one file.

    Attributes:
        path: of the file, as lines of the tape have it.
        name: a short name.
        parts: the number of the first line of each stretch, and its lines.
    """

    path: str
    name: str
    parts: tuple[tuple[int, tuple[str, ...]], ...]


def excerpts(lines: Iterable[str]) -> list[Excerpt]:
    """The functions that hold these lines ("file:number"), or a few lines around each, of files that can be read.

    Files stand in the order in which they are met.
    """
    wanted: dict[str, set[int]] = {}
    for line in lines:
        path, _, number = line.rpartition(":")
        if path and number.isdigit():
            wanted.setdefault(path, set()).add(int(number))
    found = []
    for path, numbers in wanted.items():
        text = [line.rstrip("\n") for line in source_lines(path)]
        known = sorted(n for n in numbers if 0 < n <= len(text))
        if known:
            parts = tuple((first, tuple(text[first - 1 : last])) for first, last in _stretches(text, known))
            found.append(Excerpt(path, place(f"{path}:1").rpartition(":")[0], parts))
    return found


def _stretches(text: Sequence[str], numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last lines of what is shown, in rising order, none touching another."""
    functions = _functions("\n".join(text))
    wanted = []
    for n in numbers:
        around = [(a, b) for a, b in functions if a <= n <= b and b - a < _LONG]
        outermost = min(around, default=(max(1, n - _AROUND), min(len(text), n + _AROUND)))
        wanted.append(outermost)
    found: list[tuple[int, int]] = []
    for first, last in sorted(wanted):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def _functions(text: str) -> list[tuple[int, int]]:
    """First and last lines of all functions; of a lambda those of the statement around it."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [(_first(node), node.end_lineno or node.lineno) for node in ast.walk(tree) if isinstance(node, kinds)]


def _first(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The line of a function's first decorator, or of itself."""
    return min([function.lineno, *(d.lineno for d in function.decorator_list)])
