"""Names for what a formula reads: the user's own, where they can stand beside the others."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from itertools import takewhile
from typing import Any, Final

from tapegrad.drivers.arguments import Static
from tapegrad.drivers.interface import Interface
from tapegrad.formulas import helpers
from tapegrad.trees import names

_MODULES: Final = frozenset({"np", "scipy", "constants", "len", "ValueError"})
_PREFIXES: Final = ("v", "t", "s", "slot", "tape_v")


class Names:
    """Names of parameters, of the leaves in them, and of slots; no two are the same.

    Attributes:
        parameters: one for each argument, as the function's head lists them.
        roots: what stands for each argument: its name, or `args[0]`.
        leaves: a name for each leaf of the arguments, those that are static among them.
        paths: how each leaf is reached: "params['w']".
        rest: the name of `*args`, if there are such arguments.
        prefix: what slots' names begin with.
    """

    def __init__(self, interface: Interface, given: Iterable[str] = ()) -> None:
        roots = tuple(given) or interface.parameters
        self._taken = {*_MODULES, *keyword.kwlist, *vars(helpers)}
        plain = list(takewhile(str.isidentifier, roots))
        self.parameters = tuple(self.new(r) for r in plain)
        others, self.rest = roots[len(plain) :], ""
        if others:
            rest = others[0].partition("[")[0]
            self.rest = self.new(rest if rest.isidentifier() else "args")
        self.roots = (*self.parameters, *(f"{self.rest}[{k}]" for k in range(len(others))))
        self._taken |= set(dir(builtins))
        self.paths: list[str] = []
        self.leaves: list[str] = []
        for structure, root in zip(interface.signature.structures, self.roots, strict=True):
            found = names(structure, root)
            self.paths += found
            self.leaves += [
                root if path == root and root.isidentifier() else self.new(*_wishes(path)) for path in found
            ]
        every = {*self.leaves, *self.parameters}
        self.prefix = next(p for p in _PREFIXES if not any(re.fullmatch(rf"_?{p}\d+", name) for name in every))

    def new(self, *wishes: str) -> str:
        """The first wish that is free, or the last one with underscores behind it."""
        free = next((w for w in wishes if w not in self._taken), "")
        if not free:
            free = wishes[-1]
            while free in self._taken:
                free += "_"
        self._taken.add(free)
        return free

    def inputs(self, interface: Interface) -> list[tuple[str, str]]:
        """Name and path of each input of the tape."""
        pairs = zip(self.leaves, self.paths, interface.signature.leaves, strict=True)
        return [(name, path) for name, path, leaf in pairs if not isinstance(leaf, Static)]

    def slot(self, i: int) -> str:
        """The name of a slot."""
        return f"{self.prefix}{i}"


def _wishes(path: str) -> list[str]:
    """Names for a leaf: its last key, if that is a name; else all of its path."""
    last = re.search(r"(?:\['|\.)(\w+)(?:'\])?$", path)
    whole = re.sub(r"\W+", "_", path).strip("_")
    return [w for w in (last[1] if last else "", whole) if w.isidentifier()] or ["leaf"]


def literal(key: Any) -> bool:
    """Can a key of a dict be written down?"""
    if isinstance(key, tuple):
        return all(literal(k) for k in key)
    return key is None or type(key) in {str, int, float, bool, bytes}
