"""What a function reads besides its arguments: globals and closure variables, its own and its callees'.

They are constants of a recording. When one is bound to something else, the recording no longer fits, and
the function is recorded again. (An array changed in place is another matter: `tapegrad.record.captured`.)
Attributes of objects and the insides of large or nested containers are not looked at.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType
from typing import Any, Final

from tapegrad.record.lines import LIBRARIES

SMALL: Final = 64  # items of a list, tuple or dict that are compared one by one
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None))
_MISSING: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Names read by a function with the values that they had: (where to look, name, value, its items)."""

    names: tuple[tuple[Any, str, Any, Any], ...]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Surroundings:
        """What a function reads, as it is now."""
        found: dict[tuple[int, str], tuple[Any, str, Any, Any]] = {}
        _visit(function, found, set())
        return cls(tuple(found.values()))

    def hold(self) -> bool:
        """Are all names still bound to what they were bound to?"""
        for where, name, value, items in self.names:
            now = where.get(name, _MISSING) if type(where) is dict else _contents(where)
            if now is value:
                if items is not None and not _same_items(now, items):
                    return False
            elif type(now) is not type(value) or not isinstance(now, _PLAIN) or now != value:
                return False
        return True


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return _MISSING


def _visit(function: Any, found: dict[tuple[int, str], tuple[Any, str, Any, Any]], seen: set[int]) -> None:
    while isinstance(function, (functools.partial, MethodType)):
        function = function.func if isinstance(function, functools.partial) else function.__func__
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    if function.__code__.co_filename.startswith(LIBRARIES):
        return
    for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
        _add(cell, name, _contents(cell), found, seen)
    scope = function.__globals__
    for name in _global_names(function.__code__):
        if name in scope:
            _add(scope, name, scope[name], found, seen)


def _add(
    where: Any, name: str, value: Any, found: dict[tuple[int, str], tuple[Any, str, Any, Any]], seen: set[int]
) -> None:
    found[id(where), name] = (where, name, value, _items(value))
    _visit(value, found, seen)


def _global_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _items(value: Any) -> list[Any] | None:
    """The items of a small container; None for anything else."""
    if isinstance(value, dict) and len(value) <= SMALL:
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)) and len(value) <= SMALL:
        return list(value)
    return None


def _same_items(value: Any, items: list[Any]) -> bool:
    now = _items(value)
    if now is None or len(now) != len(items):
        return False
    return all(
        a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and a == b) for a, b in zip(now, items, strict=True)
    )
