"""Nested containers of arrays: dicts, lists, tuples, namedtuples, dataclasses, None.

`flatten` takes one apart into leaves and a structure; `unflatten` puts one together again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
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


def unflatten(structure: Structure | None, leaves: Sequence[Any]) -> Any:
    """The container with these leaves; `ValueError` if there are too few or too many."""
    wanted = 1 if structure is None else structure.size
    if wanted != len(leaves):
        raise ValueError(f"the structure has {wanted} leaves, not {len(leaves)}")
    return _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure | None, leaves: Iterator[Any]) -> Any:
    if structure is None:
        return next(leaves)
    children = [_unflatten(c, leaves) for c in structure.children]
    form = structure.form
    if form is type(None):
        return None
    if issubclass(form, dict):
        return _dict(form, dict(zip(structure.names, children, strict=True)))
    if issubclass(form, tuple) and hasattr(form, "_fields"):
        return form(*children)
    if issubclass(form, (list, tuple)):
        return form(children)
    return _dataclass(form, dict(zip(structure.names, children, strict=True)))


def _dict(form: Any, items: dict[Any, Any]) -> Any:
    if form is dict:
        return items
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
