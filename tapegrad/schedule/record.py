"""Records: what the array machine executes, an odometer of outer axes around an inner stretch.

A record of a loop over rows also says how it follows the tile: which of its words counts rows, how many bytes
each operand moves a row, how far it runs behind. See `tapegrad.sweep.layout` for the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import Storage, Strides, merged
from tapegrad.sweep.layout import DIMS, ND, P0, SIZES, W0, WORDS

RESULT: Final = 0  # roles: the result, then operand k as 1 + k
Four = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Following:
    """How a record follows the tile of rows.

    Attributes:
        word: the word that counts rows; `unit`: what one row adds to it.
        steps: bytes an operand moves a row, by role.
        rows: how many rows there are; `start`: where the first one stands in the result.
    """

    word: int
    unit: int
    steps: Four
    rows: int
    start: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """One record; the addresses are filled in for each instruction from `roles` and byte `offsets`.

    `unless_in_place`: left out where the result has taken the first operand's buffer. `scale`: how many bytes
    the address of role `scaled` goes up for each unit of an immediate attribute. `following` is None for what is
    done whole, or, in a loop, once before it.
    """

    words: tuple[int, ...]
    roles: Four
    offsets: Four = (0, 0, 0, 0)
    unless_in_place: bool = False
    scale: int = 0
    scaled: int = 0
    following: Following | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """The row axis of what a record goes through (-1: it is one row), and where its first row stands."""

    axis: int
    start: int = 0


def four(values: Sequence[int], missing: int) -> Four:
    """Four values, padded."""
    padded = [*values, *[missing] * (4 - len(values))]
    return (padded[0], padded[1], padded[2], padded[3])


@dataclass(frozen=True, slots=True)
class Records:
    """Makes records for tapes of one floating dtype."""

    dtype: np.dtype[Any]

    def itemsize(self, kind: str) -> int:
        """Bytes of one element."""
        return {FLOAT: self.dtype.itemsize, INT: 8, BOOL: 1}[kind]

    def nbytes(self, t: ArrayType) -> int:
        """Bytes of a slot."""
        return t.size * self.itemsize(t.kind)

    def through(
        self,
        opcode: int,
        shape: Sequence[int],
        strides: Sequence[Strides],
        types: Sequence[ArrayType],
        *,
        own: Sequence[int] = (0,) * 6,
        roles: Sequence[int] | None = None,
        starts: Sequence[int] = (0, 0, 0, 0),
        row: Row | None = None,
    ) -> Record:
        """A record that goes through `shape`.

        Args:
            opcode: of the array machine.
            shape: what it goes through, with the strides of result and operands along it.
            strides, types: the result's, then the operands'.
            own: words from W0 on that are not strides.
            roles: which slots they are; the result and the operands in order where not given.
            starts: the elements at which they start.
            row: the row axis, for a record of a loop.
        """
        axis = NO_ROW if row is None else row.axis
        first = axis != NO_ROW and next((s[axis] for s in strides if s[axis]), 0) != 1
        order = sorted(range(len(shape)), key=lambda a: (not first or a != axis, a))
        ordered = [tuple(s[a] for a in order) for s in strides]
        at = order.index(axis) if axis != NO_ROW else NO_ROW
        axes = merged([shape[a] for a in order], ordered, at) or [(1, [1] + [0] * (len(strides) - 1), False)]
        inner, outer = axes[-1], axes[:-1]
        sizes = [self.itemsize(t.kind) for t in types]
        words = self._head(opcode, len(outer), sizes)
        words[W0 : W0 + 6] = own
        words[W0] = inner[0]
        words[W0 + 1 : W0 + 1 + len(inner[1])] = inner[1]
        for d, (n, steps, _) in enumerate(outer):
            words[DIMS + 5 * d : DIMS + 5 * d + 1 + len(steps)] = [n, *steps]
        given = list(roles if roles is not None else range(len(types)))
        offsets = [start * z for start, z in zip(starts, sizes, strict=False)]
        record = Record(tuple(words), four(given, -1), four(offsets, 0))
        if row is None:
            return record
        counted = [k for k, (_, _, has) in enumerate(axes) if has]
        word = W0 if not counted or counted[0] == len(outer) else DIMS + 5 * counted[0]
        rows = shape[axis] if counted else 1
        steps = [s[axis] * z if counted else 0 for s, z in zip(strides, sizes, strict=True)]
        return replace(record, following=Following(word, words[word] // rows, four(steps, 0), rows, row.start))

    def _head(self, opcode: int, outer: int, sizes: Sequence[int]) -> list[int]:
        words = [0] * (DIMS + 5 * outer)
        words[0], words[1], words[ND] = opcode, len(words), outer
        words[P0 : P0 + 4] = [-1] * 4
        words[SIZES] = sum(z << (8 * j) for j, z in enumerate(sizes))
        return words

    def plain(
        self,
        name: str,
        own: Sequence[int],
        types: Sequence[ArrayType],
        roles: Sequence[int],
        outer: Sequence[tuple[int, Sequence[int]]] = (),
    ) -> Record:
        """A record whose words from W0 on are its op's own; `outer` are axes with strides."""
        words = self._head(WORDS[name], len(outer), [self.itemsize(t.kind) for t in types])
        words[W0 : W0 + len(own)] = own
        for d, (count, steps) in enumerate(outer):
            words[DIMS + 5 * d : DIMS + 5 * d + 1 + len(steps)] = [count, *steps]
        return Record(tuple(words), four(roles, -1))

    def fill(self, target: Storage, value: float, row: Row | None = None, rows: int = 0) -> Record:
        """A record that fills the result, all of which is its own, with one value; or `rows` rows of it."""
        t = target.type
        bits = np.array(value, t.dtype(self.dtype)).view(f"i{self.itemsize(t.kind)}").item()
        if row is None:
            return self.plain("FILL", (t.size, bits), [t], (RESULT,))
        shape = tuple(rows if rows and a == row.axis else n for a, n in enumerate(t.shape))
        start = row.start * target.strides[row.axis]
        record = self.through(WORDS["FILL"], shape, [target.strides], [t], starts=(start,), row=row)
        words = list(record.words)
        words[W0 + 1] = bits
        return replace(record, words=tuple(words))

    def move(
        self,
        name: str,
        target: Storage,
        source: Storage,
        strides: tuple[Strides, Strides] | None = None,
        starts: tuple[int, int] = (0, 0),
        role: int = 1,
        row: Row | None = None,
        *,
        unless_in_place: bool = False,
    ) -> Record:
        """A COPY or ACCUMULATE of an operand into the result; it goes through the source's shape."""
        record = self.through(
            WORDS[name],
            source.shape,
            strides or (target.strides, source.strides),
            (target.type, source.type),
            roles=(RESULT, role),
            starts=starts,
            row=row,
        )
        return replace(record, unless_in_place=unless_in_place)
