"""What the rules of `rules` work on: the patterns of the slots so far, and unions of them.

A slot's pattern is an int32 array of the slot's shape: each element names the set of the independent entries that
it depends on (`sets`). A rule may give a view of its operand's: only an array that nothing else has seen is written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapegrad.sparse.known import Known
from tapegrad.sparse.sets import Pool, unions, unions_of_groups
from tapegrad.tape import Tape


class NoRoomError(Exception):
    """The pool of sets is full; what the instruction has made so far is thrown away."""


@dataclass(slots=True)
class Reader:
    """A tape whose pattern is being read.

    Attributes:
        tape: the tape.
        known: its slots with known values.
        active: bool[n], whether a slot depends on an independent and a dependent on it.
        careful: bool[n], whether a partial of an elementwise instruction may be known to be 0.
        last: int[n], the last instruction that reads a slot; n for a dependent.
        pool: the sets.
        arrays: patterns of the slots that are still read, but scalars.
        names: int32[n], patterns of scalars.
        own: the slots whose arrays nothing else has seen.
    """

    tape: Tape
    known: Known
    active: Any
    careful: Any
    last: Any
    pool: Pool
    arrays: dict[int, Any]
    names: Any
    own: set[int] = field(default_factory=set)

    def pattern(self, slot: int) -> Any:
        """The pattern of a slot."""
        found = self.arrays.get(slot)
        if found is not None:
            self.own.discard(slot)
            return found
        shape = self.tape.type(slot).shape
        return np.broadcast_to(np.int32(0), shape) if shape or not self.active[slot] else self.names[slot]

    def operands(self, i: int) -> list[Any]:
        """The patterns of what an instruction reads; empty sets where it does not depend on an independent."""
        return [self.pattern(s) for s in self.tape.read(i)]

    def put(self, slot: int, pattern: Any) -> None:
        """Keep the pattern of a slot."""
        if self.tape.type(slot).shape:
            self.arrays[slot] = pattern
        else:
            self.names[slot] = pattern

    def taken_over(self, i: int, slot: int) -> Any:
        """The pattern of a slot in an array to write to, which becomes that of instruction i."""
        self.own.add(i)
        if slot in self.own and slot in self.arrays and self.last[slot] == i:
            return self.arrays[slot]
        return np.array(self.pattern(slot), order="C")  # its flat form must be a view

    def drop(self, i: int) -> None:
        """Drop what instruction i was the last to read."""
        for slot in self.tape.read(i):
            if self.last[slot] == i:
                self.arrays.pop(slot, None)
                self.own.discard(slot)

    def live(self, i: int) -> Any:
        """bool[sets]: sets that instruction i or a later one still needs."""
        found = np.zeros(len(self.pool.sets), np.bool_)
        found[self.names[self.last >= i]] = True
        for pattern in self.arrays.values():
            found[thin(pattern)] = True
        return found

    # --- unions

    def union(self, patterns: Sequence[Any], shape: tuple[int, ...]) -> Any:
        """The union of patterns that broadcast to a shape, element by element."""
        if not patterns:
            return np.broadcast_to(np.int32(0), shape)
        total = thin(patterns[0])
        for pattern in patterns[1:]:
            slim = thin(pattern)
            out = np.empty(np.broadcast_shapes(total.shape, slim.shape), np.int32)
            x, y = (_flat(np.broadcast_to(p, out.shape)) for p in (total, slim))
            if not unions(x, y, out.reshape(-1), *self.pool[:-1]):
                raise NoRoomError
            total = out
        return np.broadcast_to(total, shape)

    def reduced(self, pattern: Any, axes: Sequence[int]) -> Any:
        """The union over axes, which are kept with length 1."""
        kept = tuple(1 if a in axes else n for a, n in enumerate(pattern.shape))
        slim = thin(pattern)
        inner = [a for a in range(slim.ndim) if a in axes]
        outer = [a for a in range(slim.ndim) if a not in axes]
        width = int(np.prod([slim.shape[a] for a in inner], dtype=np.int64))
        rows = slim.transpose(outer + inner)
        count = int(np.prod([slim.shape[a] for a in outer], dtype=np.int64))
        found = self.grouped(rows, width * np.arange(count + 1))
        return np.broadcast_to(found.reshape([1 if a in axes else n for a, n in enumerate(slim.shape)]), kept)

    def grouped(self, names: Any, bounds: Any) -> Any:
        """The union of each stretch of sets."""
        out = np.empty(len(bounds) - 1, np.int32)
        if not unions_of_groups(_flat(names), bounds, out, *self.pool):
            raise NoRoomError
        return out

    def add(self, total: Any, places: Any, names: Any) -> None:
        """Unite sets into a pattern, each at its place in the flat pattern."""
        out = total.reshape(-1)
        order = np.argsort(places, kind="stable")
        places, names = places[order], names[order]
        first = np.flatnonzero(np.diff(places, prepend=-1))
        found, at = names, places[first]
        if len(first) < len(places):
            found = self.grouped(names, np.append(first, len(places)))
        out[at] = self.union([out[at], found], at.shape)


def thin(pattern: Any) -> Any:
    """The pattern with length 1 along axes that it only repeats along."""
    repeated = [n > 1 and s == 0 for n, s in zip(pattern.shape, pattern.strides, strict=True)]
    return pattern[tuple(slice(0, 1) if r else slice(None) for r in repeated)] if any(repeated) else pattern


def _flat(pattern: Any) -> Any:
    """The pattern as compiled code takes it: of one layout, so that it is compiled once."""
    return np.require(pattern, np.int32, ["C", "W"]).reshape(-1)
