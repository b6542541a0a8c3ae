"""What a function reads besides its arguments: globals and closure variables, its own and its callees'.

They are constants of a recording. When one is bound to something else, the recording no longer fits, and
the function is recorded again. (An array changed in place is another matter: `tapegrad.record.captured`.)
So are those attributes of objects that the code names. What is not looked at: the insides of large or
nested containers, and of objects within objects.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import is_
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.record.lines import LIBRARIES

SMALL: Final = 64  # items of a list, tuple or dict that are compared one by one
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None))
_MISSING: Final = object()
_INSTALLED: Final = (*LIBRARIES, sys.prefix, sys.base_prefix)
_Found: TypeAlias = dict[tuple[int, str], tuple[Any, str, Any, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """Names read by a function with the values that they had: (where to look, name, value, its items).

    Every call looks at them (`python -m benchmarks calls`), so they are sorted by what there is to do: most
    are one look into a dict or a cell.
    """

    names: tuple[tuple[Any, str, Any, Any], ...]
    scopes: tuple[tuple[dict[str, Any], str, Any], ...]
    cells: tuple[tuple[CellType, Any], ...]
    containers: tuple[tuple[Any, str, Any, Any], ...]

    @classmethod
    def of(cls, function: Callable[..., Any], objects: Sequence[Any] = ()) -> Surroundings:
        """What a function reads, as it is now; of `objects`, which it is given, all attributes."""
        found: _Found = {}
        _visit(function, found, set())
        for value in objects:
            _add_attributes(value, tuple(_attributes(value)), found)
        return cls.made(found.values())

    @classmethod
    def made(cls, names: Iterable[tuple[Any, str, Any, Any]]) -> Surroundings:
        """These names, sorted."""
        names = tuple(names)
        # An object that is the same tuple still has the same items.
        plain = [(w, n, v) for w, n, v, items in names if items is None or type(v) is tuple]
        return cls(
            names,
            tuple((w, n, v) for w, n, v in plain if type(w) is dict),
            tuple((w, v) for w, _, v in plain if type(w) is not dict),
            tuple(entry for entry in names if entry[3] is not None and type(entry[2]) is not tuple),
        )

    def arrays(self) -> frozenset[int]:
        """The ids of the arrays among the values."""
        return frozenset(id(value) for _, _, value, _ in self.names if isinstance(value, np.ndarray))

    def untouched(self) -> Surroundings:
        """Those that still are what they were.

        Called after a run of the function: what it counts or collects itself is no reason to record it anew.
        """
        return Surroundings.made(entry for entry in self.names if _holds(*entry))

    def hold(self) -> bool:
        """Are all names still bound to what they were bound to?"""
        try:
            for scope, name, value in self.scopes:
                if scope[name] is not value and not _holds(scope, name, value, None):
                    return False
        except KeyError:
            return False
        for cell, value in self.cells:
            if _contents(cell) is not value and not _holds(cell, "", value, None):
                return False
        return all(_holds(*entry) for entry in self.containers) if self.containers else True


def _holds(where: Any, name: str, value: Any, items: Any) -> bool:
    now = where.get(name, _MISSING) if type(where) is dict else _contents(where)
    if now is value:
        return items is None or _same_items(now, items)
    return type(now) is type(value) and isinstance(now, _PLAIN) and bool(now == value)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return _MISSING


def _visit(function: Any, found: _Found, seen: set[int]) -> None:
    while isinstance(function, functools.partial):
        function = function.func
    owner = getattr(function, "__self__", None) if isinstance(function, MethodType) else function
    if not isinstance(function, (FunctionType, MethodType)):
        function = type(function).__call__ if callable(function) else None  # an object called like a function
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    code = function.__code__
    if code.co_filename.startswith(LIBRARIES):
        return
    names = tuple(_global_names(code))
    _add_attributes(owner, names, found)
    for cell, name in zip(function.__closure__ or (), code.co_freevars, strict=True):
        _add(cell, name, _contents(cell), names, found, seen)
    scope = function.__globals__
    for name in names:
        if name in scope:
            _add(scope, name, scope[name], names, found, seen)


def _add(where: Any, name: str, value: Any, names: Sequence[str], found: _Found, seen: set[int]) -> None:
    found[id(where), name] = (where, name, value, _items(value))
    if not isinstance(value, type):
        _visit(value, found, seen)
    _add_attributes(value, names, found)


def _attributes(value: Any) -> dict[str, Any]:
    """An object's attributes; none for what is made of code, and for libraries' modules."""
    if isinstance(value, (type, FunctionType)) or (
        isinstance(value, ModuleType) and (getattr(value, "__file__", None) or LIBRARIES[0]).startswith(_INSTALLED)
    ):
        return {}
    found = getattr(value, "__dict__", None)
    return found if type(found) is dict else {}


def _add_attributes(value: Any, names: Sequence[str], found: _Found) -> None:
    """Watch those attributes of an object that the code names."""
    attributes = _attributes(value)
    for name in names:
        if name in attributes:
            found[id(attributes), name] = (attributes, name, attributes[name], _items(attributes[name]))


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
    return all(map(is_, now, items)) or all(
        a is b or (type(a) is type(b) and isinstance(a, _PLAIN) and a == b) for a, b in zip(now, items, strict=True)
    )
