"""How an instruction takes part in rows, by signature: whole, per row, or as a reduction over rows.

Its operands, too: one without a row axis is the same for all rows; one may be read row by row, at a shift;
one may be needed whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tapegrad.ops.row import ArrayType, Op
from tapegrad.schedule.relations import Relations
from tapegrad.schedule.rows import NO_ROW

LEAF, WHOLE, PER_ROW, REDUCTION = range(4)  # instructions
SAME, ALIGNED, NEEDED_WHOLE = range(3)  # operands

_REDUCING: Final = frozenset({"sum", "max", "min", "matmul", "matmul_add", "scatter", "scatter_add"})
_PIECES: Final = frozenset({"pad", "slice_add", "slice_set", "concatenate"})  # an operand may be one row of the result

_SCATTERS: Final = frozenset({"scatter", "scatter_add", "scatter_set"})


@dataclass(frozen=True, slots=True)
class Mode:
    """Of the instruction, of each operand, and each operand's shift."""

    kind: int
    operands: tuple[int, ...]
    shifts: tuple[int, ...]


def mode(op: Op, found: Relations, types: Sequence[ArrayType], rows: Sequence[int], row: int) -> Mode:
    """The mode of a signature whose operands have the row axes `rows` and whose result has `row`."""
    none = (0,) * len(rows)
    if op.leaf:
        return Mode(LEAF, none, none)
    whole = Mode(WHOLE, tuple(NEEDED_WHOLE if r != NO_ROW else SAME for r in rows), none)
    if row != NO_ROW:
        return _per_row(op, found, types, rows, row, whole)
    reduced = op.name in _REDUCING and any(
        set(group) == {(k, r) for k, r in enumerate(rows) if r != NO_ROW} for group in found.summed
    )
    if reduced and _outermost(op, rows, row):
        return Mode(REDUCTION, tuple(ALIGNED if r != NO_ROW else SAME for r in rows), none)
    return whole


def _per_row(op: Op, found: Relations, types: Sequence[ArrayType], rows: Sequence[int], row: int, whole: Mode) -> Mode:
    shifts = {(k, a): shift for k, a, r, shift in found.aligned if r == row}
    modes = tuple(SAME if r == NO_ROW else ALIGNED if (k, r) in shifts else NEEDED_WHOLE for k, r in enumerate(rows))
    if found.strict and (NEEDED_WHOLE in modes or (SAME in modes and not _free(op, modes, types, row))):
        return whole
    if not _outermost(op, rows, row):
        return whole
    return Mode(PER_ROW, modes, tuple(shifts.get((k, r), 0) for k, r in enumerate(rows)))


def _free(op: Op, modes: Sequence[int], types: Sequence[ArrayType], row: int) -> bool:
    """May operands of a moving op lack the row axis? One row may be put in; indices may be the same for all."""
    if op.name in _PIECES:
        return all(m != SAME or types[k].shape[row] == 1 for k, m in enumerate(modes))
    return op.name in _SCATTERS and SAME not in modes[:-1]


def _outermost(op: Op, rows: Sequence[int], row: int) -> bool:
    """Selections take rows as their first axis only: what they select must stay in one piece."""
    if op.name != "gather" and op.name not in _SCATTERS:
        return True
    return row in {NO_ROW, 0} and all(r in {NO_ROW, 0} for r in rows)
