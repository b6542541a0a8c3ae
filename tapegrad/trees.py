"""Nested containers of arrays: dicts, lists, tuples, namedtuples, dataclasses, None.

`flatten` takes one apart into leaves and a structure; `unflatten` puts one together again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from operator import is_
from typing import Any


@dataclass(frozen=True, slots=True)
class Structure:
    """What a nested container is without its leaves; equal structures compare equal and hash alike.

    `form` is the container's class, `names` the keys of a dict or the fields of a dataclass.
    """

    form: type
    names: tuple[Any, ...]
    children: tuple[Structure | None, ...]

    @property
    def size(self) -> int:
        """Number of leaves."""
        return sum(1 if c is None else c.size for c in self.children)


def _children(tree: Any) -> tuple[tuple[Any, ...], list[Any]] | None:
    """The names and children of a container; None for a leaf."""
    if tree is None:
        return (), []
    if isinstance(tree, dict):
        names = tuple(tree)
        return names, [tree[n] for n in names]
    if isinstance(tree, (list, tuple)):
        return (len(tree),), list(tree)
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        names = tuple(f.name for f in dataclasses.fields(tree))
        return names, [getattr(tree, n) for n in names]
    return None


def flatten(tree: Any) -> tuple[list[Any], Structure | None]:
    """Leaves in order, and the structure (None for a leaf by itself).

    >>> leaves, structure = flatten({"w": [1.0, 2.0], "b": 3.0})
    >>> leaves
    [1.0, 2.0, 3.0]
    >>> unflatten(structure, [10.0, 20.0, 30.0])
    {'w': [10.0, 20.0], 'b': 30.0}
    """
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


def _flatten(tree: Any, leaves: list[Any]) -> Structure | None:
    found = _children(tree)
    if found is None:
        leaves.append(tree)
        return None
    names, children = found
    return Structure(type(tree), names, tuple([_flatten(c, leaves) for c in children]))


def plain(structure: Structure | None) -> Structure | None:
    """The structure with tuples for namedtuples and dicts for dataclasses: what can be written down without classes.

    >>> from collections import namedtuple
    >>> Point = namedtuple("Point", "x y")
    >>> plain(flatten(Point(1.0, 2.0))[1]) == flatten((1.0, 2.0))[1]
    True
    """
    if structure is None:
        return None
    forms = (dict, tuple, list, type(None))
    form = next((known for known in forms if issubclass(structure.form, known)), dict)
    return Structure(form, structure.names, tuple([plain(c) for c in structure.children]))


def collect(structure: Structure, tree: Any, leaves: list[Any]) -> bool:
    """Append a container's leaves, if it has this very structure; else False, and `leaves` are of no use.

    Quicker than `flatten`, which builds a structure and has to be compared (`python -m benchmarks calls`).
    What is a leaf in the structure may be a container in the tree: the caller looks at the leaves' types.
    """
    found = _fitting(structure, tree)
    if found is None:
        return False
    if not any(structure.children):
        leaves.extend(found)
        return True
    for child, inner in zip(found, structure.children, strict=True):
        if inner is None:
            leaves.append(child)
        elif not collect(inner, child, leaves):
            return False
    return True


def _fitting(structure: Structure, tree: Any) -> Collection[Any] | None:
    """The children of a container, if it has the structure's form and names."""
    form: Any = structure.form
    names, found = structure.names, tree
    if type(tree) is not form:
        return None
    if form is dict:
        if len(tree) != len(names) or not (all(map(is_, tree, names)) or _same_names(tuple(tree), names)):
            return None
        found = tree.values()
    elif form is not list and form is not tuple:
        taken = _children(tree)
        if taken is None or not _same_names(taken[0], names):
            return None
        found = taken[1]
    return found if len(found) == len(structure.children) else None


def _same_names(found: tuple[Any, ...], known: tuple[Any, ...]) -> bool:
    """Names may be equal and yet others (1 and True); a result bears the names of its own call."""
    return len(found) == len(known) and all(
        a is b or (type(a) is type(b) and type(a) in (str, int) and a == b) for a, b in zip(found, known, strict=True)
    )


def unflatten(structure: Structure | None, leaves: Sequence[Any]) -> Any:
    """The container with these leaves; `ValueError` if there are too few or too many."""
    wanted = 1 if structure is None else structure.size
    if wanted != len(leaves):
        raise ValueError(f"the structure has {wanted} leaves, not {len(leaves)}")
    return rebuild(structure, iter(leaves))


def rebuild(structure: Structure | None, leaves: Iterator[Any]) -> Any:
    """The container with the next leaves, of which there are enough."""
    if structure is None:
        return next(leaves)
    form, inner = structure.form, structure.children
    children = [rebuild(c, leaves) for c in inner] if any(inner) else list(islice(leaves, len(inner)))
    if form is dict:
        return dict(zip(structure.names, children, strict=True))
    return None if form is type(None) else _made(structure, form, children)


def _made(structure: Structure, form: Any, children: list[Any]) -> Any:
    if issubclass(form, dict):
        return _dict(form, dict(zip(structure.names, children, strict=True)))
    if issubclass(form, tuple) and hasattr(form, "_fields"):
        return form(*children)
    if issubclass(form, (list, tuple)):
        return form(children)
    return _dataclass(form, dict(zip(structure.names, children, strict=True)))


def _dict(form: Any, items: dict[Any, Any]) -> Any:
    made = form.__new__(form)
    made.update(items)
    return made


def _dataclass(form: type, items: dict[str, Any]) -> Any:
    """A dataclass with these fields, whatever its `__init__` takes and checks."""
    made: Any = object.__new__(form)
    for name, value in items.items():
        object.__setattr__(made, name, value)
    return made


def names(structure: Structure | None, root: str = "") -> list[str]:
    """A readable name for each leaf: "params['w'][0]".

    >>> names(flatten({"w": [1.0, 2.0]})[1], "params")
    ["params['w'][0]", "params['w'][1]"]
    """
    if structure is None:
        return [root]
    found = []
    for k, child in enumerate(structure.children):
        if issubclass(structure.form, dict):
            step = f"[{structure.names[k]!r}]"
        elif issubclass(structure.form, (list, tuple)):
            fields = getattr(structure.form, "_fields", None)
            step = f".{fields[k]}" if fields else f"[{k}]"
        else:
            step = f".{structure.names[k]}"
        found += names(child, root + step)
    return found


def map_leaves(function: Callable[..., Any], tree: Any) -> Any:
    """The container with a function applied to each leaf."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [function(x) for x in leaves])
