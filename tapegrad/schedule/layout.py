"""How one signature is executed: as nothing (a view), as a scalar instruction, or as array records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute, Op
from tapegrad.ops.shapes import concatenate_windows
from tapegrad.ops.table import OPCODES
from tapegrad.ops.windows import Windows
from tapegrad.schedule.modes import ALIGNED, PER_ROW, REDUCTION, Mode
from tapegrad.schedule.products import product_record, takes_factor
from tapegrad.schedule.record import Following, Record, Records, Row, four
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import Storage, broadcast_strides, contiguous, same, view_of
from tapegrad.sweep.layout import DIMS, LOOPS, ND, W0, WORDS
from tapegrad.tape import Interner

LEAF, VIEW, CELL, ROW, RECORDS, CALL = range(6)
_ANY_STRIDES: Final = frozenset(
    {"sum", "max", "min", "pad", "slice_add", "slice_set", "item_add", "item_set", "concatenate"}
)

_HOW: Final = MappingProxyType(
    {
        "slice_add": "ACCUMULATE",
        "slice_set": "COPY",
        "item_add": "ACCUMULATE",
        "item_set": "COPY",
        "scatter_add": "SCATTER_ADD",
        "scatter_set": "SCATTER_SET",
    }
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How instructions of one signature are executed.

    VIEW: the result is operand 0's memory from byte `offset` on, `scale` bytes more for each unit of an
    immediate attribute. CELL: the same for a scalar, loaded into a cell. ROW: the scalar machine's `opcode`,
    operands counted in `units` bytes. RECORDS: `records`. `loop`: the place in `LOOPS` of the ufunc's loop that
    is called, or -1. CALL: the sweep stops for it. `in_place`: bit k set where the result may take operand k's
    buffer; `grows`: by adding to what is there.
    """

    form: int
    offset: int = 0
    opcode: int = 0
    units: tuple[int, ...] = ()
    loop: int = -1
    records: tuple[Record, ...] = ()
    in_place: int = 0
    scale: int = 0
    grows: bool = False


def accepts(op: Op, attribute: Attribute, k: int, source: Storage) -> bool:
    """May operand k lie in memory like this, which is not C order?"""
    if op.pointwise or op.name in _ANY_STRIDES:
        return True
    if op.name in {"matmul", "matmul_add"}:
        factor = k - (op.name == "matmul_add")
        return factor < 0 or takes_factor(source)
    del attribute
    return False


@dataclass(frozen=True, slots=True)
class Layouts:
    """Makes layouts for tapes of one floating dtype; `functions` are the user's that they call in loops."""

    make: Records
    functions: Interner[Any] = field(default_factory=Interner)

    def of(self, op: Op, attribute: Attribute, operands: Sequence[Storage], result: Storage, how: Mode) -> Layout:
        """The layout of a signature."""
        if op.leaf:
            return Layout(LEAF)
        if op.pointwise:
            return self._elementwise(op, attribute, operands, result, how)
        if op.eager:
            return Layout(CALL if result.type.size else RECORDS)
        part = len(operands) == 1 and not result.own
        view = view_of(op.name, attribute, operands[0], result.type) if part else None
        if view is not None and (not result.type.size or same(result.shape, view[1], result.strides)):
            scale = result.type.size and operands[0].strides[0] if op.name == "item" else 0
            size = self.make.itemsize(result.type.kind)
            return replace(self._view(result.type, view[0] * size if result.type.size else 0), scale=scale * size)
        records = self._records(op, attribute, operands, result, how) if result.type.size else []
        grows = (op.accumulates and operands[0] == result) or (
            op.name == "pad" and any(r.unless_in_place for r in records)
        )
        return Layout(RECORDS, records=tuple(records), in_place=int(grows), grows=grows)

    def argument(self, t: ArrayType) -> Layout:
        """The layout of an input: where it is, or, a scalar, loaded into a cell."""
        return Layout(LEAF) if t.shape else self._view(t, 0)

    def _view(self, result: ArrayType, offset: int) -> Layout:
        if result.shape:
            return Layout(VIEW, offset)
        load = WORDS[{FLOAT: "LOAD_F", INT: "LOAD_I", BOOL: "LOAD_B"}[result.kind]]
        return Layout(CELL, offset, load, (self.make.itemsize(result.kind),))

    def _loop(self, op: Op, attribute: Attribute) -> int:
        """The place of the op's loop: one that rows name, or after those one of the user's functions; -1: none."""
        if op.elementwise:
            return LOOPS.index((op.loop, op.kinds, op.result_kind)) if op.loop else -1
        return len(LOOPS) + self.functions(attribute[0])

    def _elementwise(
        self, op: Op, attribute: Attribute, operands: Sequence[Storage], result: Storage, how: Mode
    ) -> Layout:
        loop = self._loop(op, attribute)
        types = [result.type, *(s.type for s in operands)]
        if not result.shape and (op.value or len(operands) < 3):  # a scalar row has no room for three and a loop
            if not op.value:
                return Layout(ROW, opcode=WORDS["LOOP_CELL"], units=(1,) * len(types), loop=loop)
            return Layout(ROW, opcode=OPCODES[op.key], units=tuple(self.make.itemsize(t.kind) for t in types))
        if not result.type.size:
            return Layout(RECORDS)
        strides = [result.strides, *(broadcast_strides(s, result.shape) for s in operands)]
        record = self.make.through(
            WORDS["LOOP"] if loop >= 0 else OPCODES[op.key],
            result.shape,
            strides,
            types,
            own=(0, 0, 0, 0, 0, max(loop, 0)),
            row=Row(result.row) if how.kind == PER_ROW else None,
        )
        in_place = 0 if loop >= 0 else sum(1 << k for k, s in enumerate(operands) if s == result)
        return Layout(RECORDS, records=(record,), in_place=in_place, loop=loop)

    def _records(  # noqa: PLR0911 - one case a row
        self, op: Op, attribute: Attribute, operands: Sequence[Storage], result: Storage, how: Mode
    ) -> list[Record]:
        make, types = self.make, [s.type for s in operands]
        row = Row(result.row) if how.kind == PER_ROW else None
        first = [make.move("COPY", result, operands[0], row=row, unless_in_place=True)] if op.accumulates else []
        match op.name:
            case "reshape" | "stop_gradient" | "transpose" | "broadcast_to" | "slice" | "item":
                return [self._copied(op.name, attribute, operands[0], result, how)]
            case "pad":
                return self._padded(attribute[1], operands, result, how)
            case "slice_add" | "slice_set":
                return [*first, *self._into(_HOW[op.name], attribute, operands, 1, result, how)]
            case "item_add" | "item_set":
                return [*first, self._into_item(_HOW[op.name], operands[1], result, how)]
            case "concatenate":
                windows = concatenate_windows(attribute[0], types)
                return [r for k, w in enumerate(windows) for r in self._into("COPY", w, operands, k, result, how)]
            case "sum" | "max" | "min":
                return self._reduced(op.name, attribute, operands[0], result, how)
            case "gather":
                return self._selected("GATHER", attribute, (result, *operands), (0, 1, 2), how)
            case "scatter":
                fill = make.fill(result, 0, row)
                return [
                    fill,
                    *self._selected(
                        "SCATTER_ADD", (attribute[0], attribute[2]), (operands[0], result, operands[1]), (0, 1, 2), how
                    ),
                ]
            case "scatter_add" | "scatter_set":
                slots = (operands[1], result, operands[2])
                return [*first, *self._selected(_HOW[op.name], attribute[:2], slots, (0, 2, 3), how)]
            case "matmul":
                # A product over rows adds to what it begins with: zeros.
                begin = [make.fill(result, 0)] if how.kind == REDUCTION else []
                return [*begin, product_record(make, attribute, operands, result, (0, 1, 2), how, add=bool(begin))]
            case "matmul_add":
                part = replace(how, operands=how.operands[1:], shifts=how.shifts[1:])
                return [*first, product_record(make, attribute, operands[1:], result, (0, 2, 3), part, add=True)]
            case _:
                raise AssertionError(f"no layout for {op.name}")

    def _copied(self, name: str, attribute: Attribute, source: Storage, result: Storage, how: Mode) -> Record:
        """A copy that puts a view's elements in order."""
        row = Row(result.row) if how.kind == PER_ROW else None
        view = view_of(name, attribute, source, result.type)
        if view is None:  # another shape of what is not in C order: go through the source instead
            strides = (contiguous(source.shape), source.strides)
            plain = Storage(source.type, NO_ROW, strides[0])
            return self.make.move("COPY", plain, source, strides)
        like = Storage(result.type, result.row, view[1])
        record = self.make.move("COPY", result, like, starts=(0, view[0]), row=row)
        if name != "item":
            return record
        return replace(record, scale=source.strides[0] * self.make.itemsize(result.type.kind), scaled=1)

    def _into(
        self, name: str, windows: Windows, operands: Sequence[Storage], k: int, result: Storage, how: Mode
    ) -> list[Record]:
        """Move operand k into a window of the result."""
        source, own = operands[k], result.strides
        if not source.type.size:
            return []
        strides = tuple(step * s for (_, step, _), s in zip(windows, own, strict=True))
        start = sum(first * s for (first, _, _), s in zip(windows, own, strict=True))
        if how.kind != PER_ROW:
            return [self.make.move(name, result, source, (strides, source.strides), (start, 0), 1 + k)]
        axis = result.row if how.operands[k] == ALIGNED else NO_ROW
        row = Row(axis, windows[result.row][0])
        record = self.make.move(name, result, source, (strides, source.strides), (start, 0), 1 + k, row)
        if axis == NO_ROW and record.following is not None:  # one row is put in: where it goes moves with the tile
            step = own[result.row] * self.make.itemsize(result.type.kind)
            record = replace(record, following=replace(record.following, steps=(step, 0, 0, 0)))
        return [record]

    def _padded(self, windows: Windows, operands: Sequence[Storage], result: Storage, how: Mode) -> list[Record]:
        """Zeros and a window; of rows, only the margins are filled, and a window at the beginning may stay there."""
        into = self._into("COPY", windows, operands, 0, result, how)
        r = result.row
        others = [w for a, w in enumerate(zip(windows, result.shape, strict=True)) if a != r]
        rows = how.kind == PER_ROW and how.operands[0] == ALIGNED
        if not rows or any(w != (0, 1, n) for w, n in others):
            return [self.make.fill(result, 0, Row(r) if how.kind == PER_ROW else None), *into]
        start, _, count = windows[r]
        margins = ((0, start), (start + count, result.shape[r] - start - count))
        records = [self.make.fill(result, 0, Row(r, first), rows=n) for first, n in margins if n]
        stays = start == 0 and operands[0].strides == result.strides
        return [*records, *(replace(record, unless_in_place=stays) for record in into)]

    def _into_item(self, name: str, source: Storage, result: Storage, how: Mode) -> Record:
        """Move an operand to one place of axis 0, which an immediate attribute tells."""
        row = Row(source.row) if how.kind == PER_ROW else None
        strides = (result.strides[1:], source.strides)
        record = self.make.move(name, result, source, strides, role=2, row=row)
        return replace(record, scale=result.strides[0] * self.make.itemsize(result.type.kind))

    def _reduced(self, name: str, axes: Attribute, source: Storage, result: Storage, how: Mode) -> list[Record]:
        start: float = 0
        if name != "sum":
            info: Any = np.iinfo(np.int64)
            low, high = (-np.inf, np.inf) if source.type.kind == FLOAT else (info.min, info.max)
            start = high if name == "min" else low
        fill = self.make.fill(result, start, Row(result.row) if how.kind == PER_ROW else None)
        if not source.type.size:
            return [fill]
        kept = iter(result.strides)
        strides = tuple(0 if a in axes else next(kept) for a in range(len(source.shape)))
        opcode = WORDS[f"{name.upper()}_{source.type.kind.upper()}"]
        row = Row(source.row) if how.kind in {PER_ROW, REDUCTION} else None
        types, pair = (result.type, source.type), (strides, source.strides)
        record = self.make.through(opcode, source.shape, pair, types, row=row)
        if how.kind == REDUCTION or not _stored_once(record) or source.type.kind != FLOAT:
            return [fill, record]
        words = list(record.words)
        words[W0 + 5] = 1  # nothing comes before: no fill
        return [replace(record, words=tuple(words))]

    def _selected(
        self,
        name: str,
        attribute: Attribute,
        slots: Sequence[Storage],
        roles: tuple[int, int, int],
        how: Mode,
    ) -> list[Record]:
        """A gather or scatter; slots are what is selected (per index), the whole, the index."""
        selected, whole, index = slots
        axis, batch = attribute
        if not index.type.size:
            return []
        groups, between = _product(whole.shape[:batch]), _product(whole.shape[batch:axis])
        per, after = _product(index.shape[batch:]), _product(whole.shape[axis + 1 :])
        order = (selected, whole, index) if name == "GATHER" else (whole, selected, index)
        record = self.make.plain(name, (groups, per, after, whole.shape[axis], between), [s.type for s in order], roles)
        if how.kind not in {PER_ROW, REDUCTION}:
            return [record]
        # Rows are the first axis: the first of the index's own, or of those that share indices, or of the batches.
        word, count = (W0 + 1, per) if axis == 0 else (W0 + 4, between) if batch == 0 else (W0, groups)
        rows = index.shape[0] if axis == 0 else selected.shape[0]
        moves = [how.kind == PER_ROW if role == 0 else how.operands[role - 1] == ALIGNED for role in roles]
        steps = [s.strides[0] * self.make.itemsize(s.type.kind) if m else 0 for s, m in zip(order, moves, strict=True)]
        following = Following(word, count // rows, four(steps, 0), rows)
        return [replace(record, following=following)]


def _stored_once(record: Record) -> bool:
    """Does a reduction come to each element of its result in one inner stretch only?"""
    outer = [record.words[DIMS + 5 * d + 1] for d in range(record.words[ND])]
    return record.words[W0 + 1] == 0 and 0 not in outer


def _product(lengths: Sequence[int]) -> int:
    total = 1
    for n in lengths:
        total *= n
    return total
