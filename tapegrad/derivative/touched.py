"""Gradients of tables that a function has read by index arrays, left in parts: where each goes, and what goes there.

The adjoint of `table[index]` is a scatter: contributions added into zeros as long as the table. Where a gradient is
nothing but a sum of scatters along the first axis, the tape gives their operands instead, and the scatters are dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tapegrad.derivative.expand import Expansion
from tapegrad.ops.builder import adjoint_contribution
from tapegrad.ops.row import FLOAT, INT, ArrayType
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.passes.dead import drop_dead
from tapegrad.tape import Tape
from tapegrad.touched import RowSums, TouchedRows


@dataclass(frozen=True, slots=True)
class Gathered:
    """A gradient in parts.

    Attributes:
        shape: of the whole.
        index, values: the places among the results of the rows that contributions go to, and of the contributions.
    """

    shape: tuple[int, ...]
    index: int
    values: int

    def parts(self, results: Sequence[Any]) -> tuple[Any, Any]:
        """The parts among the results of a sweep: int64[m] rows, some of them negative, and values, [m, width]."""
        index, width = results[self.index].reshape(-1), prod(self.shape[1:])
        return index, results[self.values].reshape(len(index), width)

    def rows(self, results: Sequence[Any]) -> TouchedRows:
        """The gradient, out of the results of a sweep."""
        index, values = self.parts(results)
        sums = RowSums.of(self.shape, len(index), values.dtype)
        sums.add(index, values)
        found = sums.values[: sums.count].reshape(sums.count, *self.shape[1:])
        return TouchedRows(sums.rows[: sums.count], found, self.shape)


def touched(tape: Tape, first: int, count: int) -> tuple[Tape, tuple[Gathered | None, ...]]:
    """The tape with gradients in parts where they can be: for tapes that will not be differentiated any more.

    Args:
        tape: with `count` gradients from dependent `first` on.
        first: the place of the first gradient.
        count: how many there are.

    Returns:
        The tape and, for each gradient, its parts, or None where it is whole as before. Contributions take the
        gradient's place, indices stand after the last gradient.
    """
    dependents: list[int] = tape.dependents.tolist()
    indices: dict[int, int] = {}  # slot and place
    found: list[Gathered | None] = []
    grown = Expansion.of(tape, adjoint_contribution, reverse=True)
    for k in range(first, first + count):
        scatters, parts = _scatters(tape, dependents[k]), None
        if scatters:
            shape = tape.type(dependents[k]).shape
            index, dependents[k] = _joined(grown, tape, scatters, shape)
            parts = Gathered(shape, indices.setdefault(index, first + count + len(indices)), k)
        found.append(parts)
    if not indices:
        return tape, tuple(found)
    dependents[first + count : first + count] = indices
    return drop_dead(grown.finish(dependents, tape.reverse)), tuple(found)


def _scatters(tape: Tape, slot: int) -> list[int]:
    """The instructions that add up to a slot by scattering along its first axis; none where that is not all of it."""
    whole = tape.type(slot)
    todo, met, found = [slot], set(), []
    while todo:
        i = todo.pop()
        if i in met or tape.type(i).shape[:1] != whole.shape[:1] or tape.type(i).size != whole.size:
            return []
        met.add(i)
        operands = tape.read(i)
        match OPS[tape.opcodes[i]].name:
            case "scatter" if tape.attribute(i)[0] == 0:
                found.append(i)
            case "scatter_add" if tape.attribute(i)[0] == 0:
                found.append(i)
                todo.append(operands[0])
            case "reshape" | "add":
                todo += operands
            case _:
                return []
    return found[::-1]


def _joined(grown: Expansion, tape: Tape, scatters: Sequence[int], shape: tuple[int, ...]) -> tuple[int, int]:
    """The slots of the indices of all scatters, one after another, and of what they add."""
    pairs = [tape.read(i)[-2:] for i in scatters]
    if len(pairs) == 1:
        values, index = pairs[0]
        return index, values
    counts = [tape.type(index).size for _, index in pairs]
    lines = [int(tape.line_ids[i]) for i in scatters]
    joined = []
    for place, kind, row in ((1, INT, ()), (0, FLOAT, shape[1:])):
        slots = [
            _append(grown, "reshape", (n, *row), ArrayType((n, *row), kind), [pair[place]], line)
            for n, pair, line in zip(counts, pairs, lines, strict=True)
        ]
        joined.append(_append(grown, "concatenate", (0,), ArrayType((sum(counts), *row), kind), slots, lines[0]))
    return joined[0], joined[1]


def _append(
    grown: Expansion, name: str, attribute: tuple[int, ...], kind: ArrayType, operands: Sequence[int], line: int
) -> int:
    """Append an instruction; a reshape to the same shape goes in the passes that follow."""
    return grown.append(OPCODES[name], grown.attributes(attribute), grown.types(kind), tuple(operands), line)
