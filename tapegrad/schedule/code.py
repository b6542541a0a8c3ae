"""A program's code, what it is written from, and the records of all signatures one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.schedule.buffers import Placement
from tapegrad.schedule.layout import Layout
from tapegrad.schedule.plan import Loop
from tapegrad.schedule.record import Record
from tapegrad.schedule.storage import Storage

ROW_WORDS: Final = 5  # opcode, result, three operands
SEGMENT_WORDS: Final = 6  # what (see below), first, last, tile height, rows and lag, number of the loop
SHIFT: Final = 48  # an address is base << SHIFT | offset
ARRAYS, SCALARS, TILED, CALLED = range(4)
_FOLLOWING: Final = 8  # of a record template: word, unit, four steps, rows, start


@dataclass(frozen=True, slots=True, eq=False)
class Code:
    """The arrays that the kernels run.

    Attributes:
        segments: int64[k, 6]: ARRAYS, SCALARS, TILED or CALLED, first, last (in words of `records` or in rows), tile
            height, rows with the lag, number of the loop; of a CALLED one, which no kernel runs, in place of
            that number the instruction.
        records: int64[], records of array instructions one after another.
        rows: int32[m, 5], scalar instructions.
        side: int64[], packed addresses that scalar loads refer to.
        row_origin: int32[m], the instruction of each row.
        record_at, record_origin: where each record starts, and its instruction.
    """

    segments: Any
    records: Any
    rows: Any
    side: Any
    row_origin: Any
    record_at: Any
    record_origin: Any


@dataclass(frozen=True, slots=True, eq=False)
class Emission:
    """What is to be written; arrays by slot, in the order in which instructions run.

    Attributes:
        form, signature, kind: how each instruction is executed.
        starts, operands, attribute: the tape's.
        placement: where slots are; `extra`: offsets of views, addresses of scalar inputs.
        loops: the loops over rows.
        lag, history: rows; `ahead`: where row 0 stands in a window of rows, -1 for what is no window.
        row_bytes: bytes of a row.
        reach: bytes of each buffer.
        storage, storages, dependents, first_output: for what must be copied out.
    """

    form: Any
    signature: Any
    kind: Any
    starts: Any
    operands: Any
    attribute: Any
    placement: Placement
    extra: Any
    loops: Sequence[Loop]
    lag: Any
    history: Any
    ahead: Any
    row_bytes: Any
    reach: Any
    storage: Any
    storages: Sequence[Storage]
    dependents: list[int]
    first_output: int


@dataclass(frozen=True, slots=True, eq=False)
class Templates:
    """The records of all signatures, flattened: those of signature s from first[s] on."""

    first: Any
    words: Any
    starts: Any
    roles: Any
    offsets: Any
    conditional: Any
    scale: Any
    following: Any

    @classmethod
    def of(cls, layouts: Sequence[Layout]) -> Templates:
        """Of the layouts of a program."""
        every = [r for lay in layouts for r in lay.records]
        words, starts = flat([r.words for r in every])
        first = np.zeros(len(layouts) + 1, np.int64)
        np.cumsum([len(lay.records) for lay in layouts], out=first[1:])
        return cls(
            first,
            words,
            starts,
            np.array([r.roles for r in every], np.int64).reshape(-1, 4),
            np.array([r.offsets for r in every], np.int64).reshape(-1, 4),
            np.array([r.unless_in_place for r in every], np.bool_),
            np.array([(r.scale, r.scaled) for r in every], np.int64).reshape(-1, 2),
            np.array([_following(r) for r in every], np.int64).reshape(-1, _FOLLOWING),
        )


def _following(record: Record) -> tuple[int, ...]:
    f = record.following
    return (-1,) * _FOLLOWING if f is None else (f.word, f.unit, *f.steps, f.rows, f.start)


def flat(lists: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Lists one after another, and where each starts."""
    starts = np.zeros(len(lists) + 1, np.int64)
    np.cumsum([len(x) for x in lists], out=starts[1:])
    return np.array([x for part in lists for x in part], np.int64), starts
