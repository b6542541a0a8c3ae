"""What a function reads besides its arguments: globals and closure variables, its own and its callees'.

They are constants of a recording. When one is bound to something else, the recording no longer fits, and
the function is recorded again. (An array changed in place is another matter: `tapegrad.record.captured`.)
So are those attributes that the code names, of the objects that it reaches and of their classes, and what the
methods read that it names. What is not looked at: the insides of large or nested containers.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import is_
from types import (
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.record.lines import LIBRARIES

SMALL: Final = 64  # items of a list, tuple or dict that are compared one by one
DEEP: Final = 3  # objects within objects whose attributes are watched
_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None))
_MISSING: Final = object()
_INSTALLED: Final = (*LIBRARIES, sys.prefix, sys.base_prefix)
_SCOPES: Final = (dict, MappingProxyType)
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
        search = _Search()
        search.follow([function, *objects])
        search.named.update(dict.fromkeys(n for value in objects for n in (*_attributes(value), *_slots(value))))
        search.follow(())
        return cls.made(search.found.values())

    @classmethod
    def made(cls, names: Iterable[tuple[Any, str, Any, Any]]) -> Surroundings:
        """These names, sorted."""
        names = tuple(names)
        # An object that is the same tuple still has the same items.
        plain = [(w, n, v) for w, n, v, items in names if (items is None or type(v) is tuple) and v is not _MISSING]
        others = [
            entry for entry in names if entry[2] is _MISSING or (entry[3] is not None and type(entry[2]) is not tuple)
        ]
        return cls(
            names,
            tuple((w, n, v) for w, n, v in plain if type(w) in _SCOPES),
            tuple((w, v) for w, _, v in plain if type(w) is CellType),
            (*others, *((w, n, v, None) for w, n, v in plain if type(w) not in (*_SCOPES, CellType))),
        )

    def arrays(self) -> list[Any]:
        """The arrays among the values."""
        return [value for _, _, value, _ in self.names if isinstance(value, np.ndarray)]

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
    now = _now(where, name)
    if now is value:
        return items is None or _same_items(now, items)
    return type(now) is type(value) and isinstance(now, _PLAIN) and bool(now == value)


def _now(where: Any, name: str) -> Any:
    """What a name is bound to: in a scope, in a cell, or as an object's slot."""
    if type(where) in _SCOPES:
        return where.get(name, _MISSING)
    return _contents(where) if type(where) is CellType else getattr(where, name, _MISSING)


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a name that is not bound yet
        return _MISSING


class _Search:
    """What functions read, found by following the names in their code.

    Attributes:
        found: the names, by where they are looked up.
        named: all names in the code of the functions met.
    """

    def __init__(self) -> None:
        self.found: _Found = {}
        self.named: dict[str, None] = {}
        self._todo: list[tuple[Any, int]] = []
        self._codes: set[int] = set()
        self._objects: dict[int, tuple[Any, int]] = {}
        self._looked_at: set[tuple[int, str]] = set()
        self._classes: dict[type, MappingProxyType[str, Any]] = {}

    def follow(self, values: Iterable[Any]) -> None:
        """Find what functions read, and watch those attributes of all objects met that any of their code names."""
        self._todo += [(value, 0) for value in values]
        known = -1
        while self._todo or len(self.named) > known:
            known = len(self.named)
            while self._todo:  # no recursion: chains of functions may be long
                value, depth = self._todo.pop()
                self._call(value)
                if id(value) not in self._objects and (_attributes(value) or _is_users(_class(value))):
                    self._objects[id(value)] = value, depth
            for value, depth in tuple(self._objects.values()):
                if depth <= DEEP:
                    self._attributes(value, depth)

    def _call(self, function: Any) -> None:
        """What a function reads, a class as it makes an object, or an object that can be called."""
        if isinstance(function, type):
            for name in ("__new__", "__init__", "__post_init__") if _is_users(function) else ():
                self._in_class(function, name)
            return
        self._todo += [(inner, 0) for inner in _inner(function)]
        if isinstance(function, MethodType):
            self._todo.append((function.__self__, 0))
            self._code(function.__func__)
        elif isinstance(function, FunctionType):
            self._code(function)
        elif callable(function):
            for name in getattr(type(function), "WATCHED", ()):
                self._add(_attributes(function), name, 0)
            call = type(function).__call__
            self._code(getattr(call, "__func__", call))

    def _code(self, function: Any) -> None:
        """Find what a function's own code reads."""
        if not isinstance(function, FunctionType) or id(function) in self._codes:
            return
        self._codes.add(id(function))
        if function.__code__.co_filename.startswith(LIBRARIES):
            return
        names = dict.fromkeys(_global_names(function.__code__))
        self.named.update(names)
        self._todo += [(default, 0) for default in function.__defaults__ or ()]
        self._todo += [(default, 0) for default in (function.__kwdefaults__ or {}).values()]
        for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
            self._add(cell, name, 0)
        for name in names:
            if name in function.__globals__:
                self._add(function.__globals__, name, 0)

    def _attributes(self, value: Any, depth: int) -> None:
        """Watch those attributes of an object that code names, and what its methods of these names read."""
        own, slots = _attributes(value), _slots(value)
        for name in tuple(self.named):
            if (id(value), name) in self._looked_at:
                continue
            self._looked_at.add((id(value), name))
            if name in own or name in slots:
                self._add(own if name in own else value, name, depth + 1)
            elif (where := self._in_class(value, name)) is not None:
                self._add(where, name, depth + 1)
                if not isinstance(value, type) and hasattr(value, "__dict__"):  # one of its own would hide that
                    self._add(value.__dict__, name, depth + 1)

    def _in_class(self, value: Any, name: str) -> Any:
        """Where the class of an object, or a class, binds a name to a plain value; finds what its methods read."""
        holder = next((c for c in _class(value).__mro__ if name in c.__dict__), None)
        if holder is None or not _is_users(holder):
            return None
        found = holder.__dict__[name]
        for each in (found, *(getattr(found, part, None) for part in ("fget", "func", "__func__"))):  # properties
            self._code(each)
        if hasattr(type(found), "__get__"):
            return None
        return self._classes.setdefault(holder, holder.__dict__)

    def _add(self, where: Any, name: str, depth: int) -> None:
        value = _now(where, name)
        items = _items(value)
        self.found[id(where), name] = (where, name, value, items)
        self._todo += [(each, depth) for each in (value, *(items or ()))]


def _class(value: Any) -> type:
    """A class itself, or that of an object."""
    return value if isinstance(value, type) else type(value)


def _inner(function: Any) -> Iterator[Any]:
    """The functions that a function is made of: a derivative's, those of a partial."""
    if isinstance(function, functools.partial):
        yield from (function.func, *function.args, *function.keywords.values())
    own = getattr(function, "__dict__", None)
    if type(own) is dict and "__wrapped__" in own:
        yield own["__wrapped__"]


def _attributes(value: Any) -> dict[str, Any]:
    """An object's attributes; none for what is made of code, and for libraries' modules."""
    if isinstance(value, (type, FunctionType)) or (
        isinstance(value, ModuleType) and (getattr(value, "__file__", None) or LIBRARIES[0]).startswith(_INSTALLED)
    ):
        return {}
    found = getattr(value, "__dict__", None)
    return found if type(found) is dict else {}


def _slots(value: Any) -> tuple[str, ...]:
    """The names of an object's slots."""
    if not _is_users(type(value)):
        return ()
    return tuple(n for c in type(value).__mro__ for n, v in c.__dict__.items() if isinstance(v, MemberDescriptorType))


def _is_users(form: type) -> bool:
    """Is a class written by the user, not one of Python's or of a library?"""
    name = form.__module__
    file = getattr(sys.modules.get(name), "__file__", None)
    return name not in sys.builtin_module_names if file is None else not file.startswith(_INSTALLED)


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
