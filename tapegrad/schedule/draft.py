"""Tape -> Draft: in what order a tape runs, in which loops over rows, and how its slots are stored.

The draft is made before slots are placed in memory: `tapegrad.schedule.program` places them and writes the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.table import OPCODES, OPS, flags
from tapegrad.passes.dead import drop_dead
from tapegrad.schedule.code import flat
from tapegrad.schedule.factors import pull_factors
from tapegrad.schedule.layout import RECORDS, VIEW
from tapegrad.schedule.modes import PER_ROW, REDUCTION
from tapegrad.schedule.phases import Phases, phases
from tapegrad.schedule.plan import L2_BYTES, Loop, Plan, loops_of, order_of
from tapegrad.schedule.record import Records
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.slots import Slots, row_choices, slots
from tapegrad.sweep.layout import W0
from tapegrad.tape import Tape

_CAN_FAIL: Final = frozenset({"gather", "scatter", "scatter_add", "scatter_set", *(op.name for op in OPS if op.eager)})
_PRODUCTS: Final = (OPCODES["matmul"], OPCODES["matmul_add"])
_CHOSEN: Final[Mapping[int, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A tape in the order in which it runs, and what is known of its slots, before they are placed.

    Attributes:
        found, known: storage and layouts; levels and windows.
        form: how each instruction is executed; `row_bytes`: bytes of one row of each slot.
        plan: the loops.
        recomputed: how many instructions are there again (`tapegrad.schedule.within`).
    """

    tape: Tape
    maker: Records
    found: Slots
    known: Phases
    form: Any
    row_bytes: Any
    plan: Plan
    recomputed: int = 0


def drafted(tape: Tape, height: int | None = None) -> Draft:
    """The best draft of a tape. `height`: rows of a tile, see `tapegrad.schedule.program.schedule`."""
    draft = _best(tape, height)
    if len(draft.plan.loops) > 1:
        pulled = pull_factors(draft.tape, draft.found.row, draft.known.level)
        other = None if pulled is None else _best(drop_dead(pulled), height)
        if other is not None and len(other.plan.loops) < len(draft.plan.loops):
            draft = other
    return draft


def repeated(draft: Draft, tape: Tape, origin: Any, late: Any) -> Draft | None:
    """The draft of a tape that consists of a draft's instructions, some of them several times.

    All that decides on a result's bits stays: storage, row axes, tiles. None where that cannot be.

    Args:
        draft: what there is.
        tape: the other tape.
        origin: for each of its instructions, the draft's that it is.
        late: the instructions that are there again: they run as late as they can.
    """
    old = draft.found
    found = replace(
        old,
        signature=old.signature[origin],
        storage=old.storage[origin],
        row=old.row[origin],
        in_full=old.in_full[origin],
    )
    form = draft.form[origin]
    known = _phases(tape, found, form == VIEW, late)
    before = _by_level(draft)
    heights = {level: loop.height for level, loop in before.items()}
    again = _in_loops(tape, draft.maker, found, form, known, None, heights)
    after = _by_level(again)
    matters = (known.kind == REDUCTION) | ((known.kind == PER_ROW) & np.isin(tape.opcodes, _PRODUCTS))
    for i in np.flatnonzero(matters & (form > VIEW)).tolist():
        one, other = before[int(draft.known.level[origin[i]])], after[int(known.level[i])]
        tiles = (one.rows, one.height, one.history) == (other.rows, other.height, other.history)
        if not tiles or known.lag[i] != draft.known.lag[origin[i]]:
            return None
    loops = [replace(loop, row_bytes=before.get(level, loop).row_bytes) for level, loop in after.items()]
    plan = replace(again.plan, loops=tuple(loops))  # threads go by these bytes, and sums by threads
    return replace(again, plan=plan, recomputed=int((late & (form > VIEW)).sum()))


def _by_level(draft: Draft) -> dict[int, Loop]:
    """The loops over rows by their levels."""
    return {int(draft.known.level[loop.first]): loop for loop in draft.plan.loops}


def _phases(tape: Tape, found: Slots, view: Any, late: Any = None) -> Phases:
    """Levels and windows of a tape's instructions; those that are `late` run as late as they can."""
    names = np.array([op.name in _CAN_FAIL for op in OPS], np.bool_)
    modes, mode_starts = flat([m.operands for m in found.modes])
    shifts, _ = flat([m.shifts for m in found.modes])
    return phases(
        tape.starts,
        tape.operands,
        tape.dependents,
        view,
        np.array([m.kind for m in found.modes], np.int8)[found.signature],
        modes,
        shifts,
        mode_starts[found.signature],
        guard=flags("effect")[tape.opcodes],
        fails=names[tape.opcodes],
        accumulates=flags("accumulates")[tape.opcodes],
        extends=np.array([lay.form == RECORDS and lay.in_place & 1 and lay.grows for lay in found.layouts], np.bool_)[
            found.signature
        ],
        in_full=found.in_full,
        types=found.storage,
        late=late,
    )


def reordered(tape: Tape, order: Any) -> Tape:
    """The same tape with its instructions in another order."""
    place = np.empty(len(tape), np.int64)
    place[order] = np.arange(len(order))
    widths = np.diff(tape.starts)[order]
    starts = np.zeros(len(tape) + 1, np.int32)
    np.cumsum(widths, out=starts[1:])
    at = np.repeat(tape.starts[order] - starts[:-1], widths) + np.arange(int(starts[-1]))
    return replace(
        tape,
        opcodes=tape.opcodes[order],
        starts=starts,
        operands=place[tape.operands[at]].astype(np.int32),
        type_ids=tape.type_ids[order],
        attribute_ids=tape.attribute_ids[order],
        line_ids=tape.line_ids[order],
        inputs=place[tape.inputs].astype(np.int32),
        independents=place[tape.independents].astype(np.int32),
        dependents=place[tape.dependents].astype(np.int32),
    )


def _in_order(found: Slots, known: Phases, order: Any) -> tuple[Slots, Phases]:
    """Slots and phases, by slot, in the order in which instructions run."""
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    slots_ = replace(
        found,
        signature=found.signature[order],
        storage=found.storage[order],
        row=found.row[order],
        in_full=found.in_full[order],
    )
    phases_ = Phases(
        known.level[order],
        place[known.root[order]],
        known.shift[order],
        known.kind[order],
        known.lag[order],
        known.history[order],
        known.full[order],
        np.where(known.follows >= 0, place[known.follows], -1)[order].astype(np.int64),
    )
    return slots_, phases_


def _best(tape: Tape, height: int | None) -> Draft:
    """The draft that keeps least in memory, of those for the tape's families of rows; or everything whole.

    Other families than the first are for tapes whose first one is too wide for a cache or takes several loops. Where
    all of its rows are but a tile or two, nothing is gained by cutting along another axis.
    """
    maker = Records(tape.dtype)
    choices = [] if height == 0 else row_choices(tape, maker, forced=height is not None)
    drafts = [_draft(tape, maker, row, height) for row in choices[:1]]
    if drafts and (len(drafts[0].plan.loops) > 1 or _widest(drafts[0]) > L2_BYTES):
        drafts += [_draft(tape, maker, row, height) for row in choices[1:]]
    drafts = [d for d in drafts if height is not None or any(loop.height < loop.rows for loop in d.plan.loops)]
    return min(drafts, key=_kept) if drafts else _draft(tape, maker, np.full(len(tape), NO_ROW, np.int32), 0)


def _widest(draft: Draft) -> int:
    return max((loop.row_bytes for loop in draft.plan.loops), default=0)


def _kept(draft: Draft) -> int:
    """Bytes written to memory: of what is computed, all but windows of rows."""
    known = draft.known
    nbytes = np.array([draft.maker.nbytes(t) for t in draft.tape.types], np.int64)[draft.tape.type_ids]
    window = (known.kind == PER_ROW) & ~known.full
    for loop in draft.plan.loops:
        if loop.height >= loop.rows:
            window[loop.first : loop.last + 1] = False
    return int(nbytes[(draft.form > VIEW) & ~window].sum())


def _draft(tape: Tape, maker: Records, row: Any, height: int | None) -> Draft:
    """Storage, levels and loops for these row axes."""
    found = slots(tape, maker, row)
    form = np.array([lay.form for lay in found.layouts], np.int32)[found.signature]
    return _in_loops(tape, maker, found, form, _phases(tape, found, form == VIEW), height, _CHOSEN)


def _in_loops(
    tape: Tape, maker: Records, found: Slots, form: Any, known: Phases, height: int | None, heights: Mapping[int, int]
) -> Draft:
    """The draft of a tape whose levels are known; `heights` are those of loops at levels that have one already."""
    if (known.level > 0).any():
        order = order_of(known)
        tape = reordered(tape, order)
        found, known = _in_order(found, known, order)
        form = form[order]
    row_bytes, work = _row_bytes(found, maker), _work(tape, found)
    loops = loops_of(known, tape.starts, tape.operands, form == VIEW, _rows(found), row_bytes, work, height, heights)
    return Draft(tape, maker, found, known, form, row_bytes, Plan(loops, len(tape)))


def _row_bytes(found: Slots, maker: Records) -> Any:
    """int64[n]: bytes of one row of each slot, 0 where it has none."""
    nbytes = [maker.nbytes(s.type) // s.shape[s.row] if s.row != NO_ROW else 0 for s in found.storages]
    return np.array(nbytes, np.int64)[found.storage]


def _rows(found: Slots) -> Any:
    """int64[n]: rows that each instruction goes through."""
    following = [[r.following for r in lay.records if r.following is not None] for lay in found.layouts]
    return np.array([max((f.rows + f.start for f in part), default=0) for part in following], np.int64)[found.signature]


def _work(tape: Tape, found: Slots) -> Any:
    """Multiply-adds a row of each matrix product that follows the rows."""
    products = np.flatnonzero(np.isin(tape.opcodes, [OPCODES["matmul"], OPCODES["matmul_add"]]))
    work = np.zeros(len(tape), np.int64)
    for i in products.tolist():
        record = found.layouts[found.signature[i]].records[-1:] if tape.type(i).size else ()
        for r in record:
            if r.following is not None:
                sizes = [r.words[W0 + k] for k in range(3) if W0 + k != r.following.word]
                work[i] = int(np.prod(sizes))
    return work
