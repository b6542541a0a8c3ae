"""How one signature is executed: as nothing (a view), as a scalar instruction, or as array records.

A record is an odometer of outer axes around an inner stretch; axes are merged where all operands allow,
so that the common case is one stretch over everything. See `tapegrad.sweep.layout` for the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute, Op
from tapegrad.ops.shapes import Windows, concatenate_window
from tapegrad.ops.table import OPCODES
from tapegrad.sweep.layout import DIMS, LOOPS, ND, P0, SIZES, W0, WORDS

LEAF, VIEW, CELL, ROW, RECORDS = range(5)
RESULT: Final = 0  # roles: the result, then operand k as 1 + k
Strides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One record; the addresses are filled in for each instruction from `roles` and byte `offsets`.

    `unless_in_place`: left out where the result has taken the first operand's buffer. `scale`: how many bytes
    the result's address goes up for each unit of an immediate attribute.
    """

    words: tuple[int, ...]
    roles: tuple[int, int, int, int]
    offsets: tuple[int, int, int, int]
    unless_in_place: bool = False
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Layout:
    """How instructions of one signature are executed.

    VIEW: the result is operand 0's memory from byte `offset` on, `scale` bytes more for each unit of an
    immediate attribute. CELL: the same for a scalar, loaded into
    a cell. ROW: the scalar machine's `opcode`, operands counted in `units` bytes. RECORDS: `records`.
    `loop`: the place in `LOOPS` of the ufunc's loop that is called, or -1.
    `in_place`: bit k set where the result may take operand k's buffer.
    """

    form: int
    offset: int = 0
    opcode: int = 0
    units: tuple[int, ...] = ()
    loop: int = -1
    records: tuple[Record, ...] = ()
    in_place: int = 0
    scale: int = 0


def contiguous(shape: Sequence[int]) -> Strides:
    """Strides of a C-contiguous array, in elements."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def broadcast_strides(shape: Sequence[int], full: Sequence[int]) -> Strides:
    """Strides of an operand of `shape` broadcast to `full`: 0 along the axes that are repeated."""
    missing = len(full) - len(shape)
    own = contiguous(shape)
    return (0,) * missing + tuple(0 if n == 1 else s for n, s in zip(shape, own, strict=True))


def merged(shape: Sequence[int], strides: Sequence[Strides]) -> list[tuple[int, list[int]]]:
    """Axes as (length, stride of each operand), without those of length 1, neighbours merged if all allow."""
    axes: list[tuple[int, list[int]]] = []
    for a, n in enumerate(shape):
        if n == 1:
            continue
        steps = [s[a] for s in strides]
        if axes and all(outer == inner * n for outer, inner in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * n, steps)
        else:
            axes.append((n, steps))
    return axes


@dataclass(frozen=True, slots=True)
class Layouts:
    """Makes layouts for tapes of one floating dtype."""

    dtype: np.dtype[Any]

    def itemsize(self, kind: str) -> int:
        """Bytes of one element."""
        return {FLOAT: self.dtype.itemsize, INT: 8, BOOL: 1}[kind]

    def nbytes(self, t: ArrayType) -> int:
        """Bytes of a slot."""
        return t.size * self.itemsize(t.kind)

    def of(self, op: Op, attribute: Attribute, types: Sequence[ArrayType], result: ArrayType) -> Layout:
        """The layout of a signature."""
        if op.leaf:
            return Layout(LEAF)
        if op.elementwise:
            return self._elementwise(op, types, result)
        if op.name in ("reshape", "stop_gradient") or (op.name in ("sum", "max", "min") and not attribute):
            return self._view(result, 0)
        if op.name == "slice":
            return self._slice(attribute, types[0], result)
        if op.name == "item":
            return replace(self._view(result, 0), scale=self.nbytes(result))
        return Layout(RECORDS, records=tuple(self._records(op, attribute, types, result)), in_place=op.accumulates)

    def argument(self, t: ArrayType) -> Layout:
        """The layout of an input: where it is, or, a scalar, loaded into a cell."""
        return Layout(LEAF) if t.shape else self._view(t, 0)

    def _view(self, result: ArrayType, offset: int) -> Layout:
        if result.shape:
            return Layout(VIEW, offset)
        load = WORDS[{FLOAT: "LOAD_F", INT: "LOAD_I", BOOL: "LOAD_B"}[result.kind]]
        return Layout(CELL, offset, load, (self.itemsize(result.kind),))

    def _slice(self, windows: Windows, source: ArrayType, result: ArrayType) -> Layout:
        own = contiguous(source.shape)
        start = sum(first * s for (first, _, _), s in zip(windows, own, strict=True))
        strides = tuple(step * s for (_, step, _), s in zip(windows, own, strict=True))
        wanted = contiguous(result.shape)
        if all(n == 1 or s == w for n, s, w in zip(result.shape, strides, wanted, strict=True)):
            return self._view(result, start * self.itemsize(source.kind) if result.size else 0)
        if not result.size:
            return Layout(RECORDS)
        record = self._move("COPY", result, (wanted, strides), (0, start))
        return Layout(RECORDS, records=(record,))

    def _elementwise(self, op: Op, types: Sequence[ArrayType], result: ArrayType) -> Layout:
        loop = LOOPS.index((op.loop, op.kinds, op.result_kind)) if op.loop else -1
        if not result.shape:
            if not op.value:
                return Layout(ROW, opcode=WORDS["LOOP_CELL"], units=(1,) * (1 + len(types)), loop=loop)
            units = tuple(self.itemsize(t.kind) for t in (result, *types))
            return Layout(ROW, opcode=OPCODES[op.key], units=units)
        if not result.size:
            return Layout(RECORDS)
        strides = [contiguous(result.shape), *(broadcast_strides(t.shape, result.shape) for t in types)]
        opcode = WORDS["LOOP"] if op.loop else OPCODES[op.key]
        record = self._record(opcode, result.shape, strides, [result, *types], (0, 0, 0, 0, 0, max(loop, 0)))
        in_place = 0 if op.loop else sum(1 << k for k, t in enumerate(types) if t == result)
        return Layout(RECORDS, records=(record,), in_place=in_place, loop=loop)

    def _record(
        self,
        opcode: int,
        shape: Sequence[int],
        strides: Sequence[Strides],
        types: Sequence[ArrayType],
        own: Sequence[int] = (0,) * 6,
        roles: Sequence[int] | None = None,
        starts: Sequence[int] = (0, 0, 0, 0),
        *,
        unless_in_place: bool = False,
    ) -> Record:
        """A record over `shape`; `types`, `strides` and `roles` are the result's, then the operands'."""
        axes = merged(shape, strides) or [(1, [1] + [0] * (len(strides) - 1))]
        inner, outer = axes[-1], axes[:-1]
        sizes = [self.itemsize(t.kind) for t in types]
        words = [0] * (DIMS + 5 * len(outer))
        words[0], words[1], words[ND] = opcode, len(words), len(outer)
        words[P0 : P0 + 4] = [-1] * 4
        words[SIZES] = sum(z << (8 * j) for j, z in enumerate(sizes))
        words[W0 : W0 + 6] = own
        words[W0] = inner[0]
        words[W0 + 1 : W0 + 1 + len(inner[1])] = inner[1]
        for d, (n, steps) in enumerate(outer):
            words[DIMS + 5 * d : DIMS + 5 * d + 1 + len(steps)] = [n, *steps]
        given = list(roles if roles is not None else range(len(types)))
        offsets = [start * z for start, z in zip(starts, sizes, strict=False)]
        return Record(tuple(words), _four(given, -1), _four(offsets, 0), unless_in_place)

    def _move(
        self,
        name: str,
        like: ArrayType,
        strides: Sequence[Strides],
        starts: Sequence[int],
        role: int = 1,
        *,
        unless_in_place: bool = False,
    ) -> Record:
        """A COPY or ACCUMULATE of `like`'s elements from an operand to the result."""
        return self._record(
            WORDS[name],
            like.shape,
            strides,
            (like, like),
            roles=(RESULT, role),
            starts=starts,
            unless_in_place=unless_in_place,
        )

    def fill(self, t: ArrayType, value: float) -> Record:
        """A record that fills the result with one value."""
        bits = np.array(value, t.dtype(self.dtype)).view(f"i{self.itemsize(t.kind)}").item()
        own = [t.size, bits, 0, 0, 0, 0]
        record = self._record(WORDS["FILL"], (), [()], [t])
        words = list(record.words)
        words[W0 : W0 + 6] = own
        return Record(tuple(words), record.roles, record.offsets)

    def copy(self, t: ArrayType, *, unless_in_place: bool = False) -> Record:
        """A record that copies operand 0, of the result's type, to the result."""
        own = contiguous(t.shape)
        return self._move("COPY", t, (own, own), (0, 0), unless_in_place=unless_in_place)

    def _records(  # noqa: C901, PLR0912 - one case a row
        self, op: Op, attribute: Attribute, types: Sequence[ArrayType], result: ArrayType
    ) -> list[Record]:
        own = contiguous(result.shape)
        first = [self.copy(result, unless_in_place=True)] if op.accumulates and result.size else []
        match op.name:
            case "transpose":
                source = contiguous(types[0].shape)
                records = [self._move("COPY", result, (own, tuple(source[a] for a in attribute)), (0, 0))]
            case "broadcast_to":
                records = [self._move("COPY", result, (own, broadcast_strides(types[0].shape, result.shape)), (0, 0))]
            case "pad":
                records = [self.fill(result, 0), *self._into("COPY", attribute[1], types[0], own, 1)]
            case "slice_add":
                records = [*first, *self._into("ACCUMULATE", attribute, types[1], own, 2)]
            case "item_add":
                own = contiguous(types[1].shape)
                added = self._move("ACCUMULATE", types[1], (own, own), (0, 0), 2)
                records = [*first, replace(added, scale=self.nbytes(types[1]))]
            case "concatenate":
                records = []
                for k, t in enumerate(types):
                    records += self._into("COPY", concatenate_window(attribute[0], types, k), t, own, 1 + k)
            case "sum" | "max" | "min":
                return self._reduce(op.name, attribute, types[0], result)
            case "gather":
                records = self._select("GATHER", attribute[0], result, types[0], types[1], (0, 1, 2))
            case "scatter":
                select = self._select("SCATTER_ADD", attribute[0], types[0], result, types[1], (0, 1, 2))
                return [self.fill(result, 0), *select] if result.size else []
            case "scatter_add":
                records = [*first, *self._select("SCATTER_ADD", attribute[0], types[1], result, types[2], (0, 2, 3))]
            case "matmul":
                records = [self._matmul(attribute, types, result, (0, 1, 2), add=False)]
            case "matmul_add":
                records = [*first, self._matmul(attribute, types[1:], result, (0, 2, 3), add=True)]
            case _:
                raise AssertionError(f"no layout for {op.name}")
        return records if result.size else []

    def _into(self, name: str, windows: Windows, source: ArrayType, own: Strides, role: int) -> list[Record]:
        """Move an operand into a window of the result, whose strides are `own`."""
        if not source.size:
            return []
        strides = tuple(step * s for (_, step, _), s in zip(windows, own, strict=True))
        start = sum(first * s for (first, _, _), s in zip(windows, own, strict=True))
        return [self._move(name, source, (strides, contiguous(source.shape)), (start, 0), role)]

    def _reduce(self, name: str, axes: Attribute, source: ArrayType, result: ArrayType) -> list[Record]:
        start: float = 0
        if name != "sum":
            low, high = (-np.inf, np.inf) if source.kind == FLOAT else (np.iinfo(np.int64).min, np.iinfo(np.int64).max)
            start = high if name == "min" else low
        records = [self.fill(result, start)] if result.size else []
        kept = iter(contiguous(result.shape))
        strides = tuple(0 if a in axes else next(kept) for a in range(len(source.shape)))
        if source.size:
            opcode = WORDS[f"{name.upper()}_{source.kind.upper()}"]
            pair = (strides, contiguous(source.shape))
            records.append(self._record(opcode, source.shape, pair, (result, source)))
        return records

    def _select(
        self, name: str, axis: int, selected: ArrayType, whole: ArrayType, index: ArrayType, roles: tuple[int, int, int]
    ) -> list[Record]:
        before = int(np.prod(whole.shape[:axis], dtype=np.int64))
        after = int(np.prod(whole.shape[axis + 1 :], dtype=np.int64))
        types = [selected, whole, index] if name == "GATHER" else [whole, selected, index]
        record = self._record(WORDS[name], (), [(), (), ()], types, roles=roles)
        words = list(record.words)
        words[W0 : W0 + 4] = [before, index.size, after, whole.shape[axis]]
        return [Record(tuple(words), record.roles, record.offsets)] if index.size else []

    def _matmul(
        self, flags: Attribute, types: Sequence[ArrayType], result: ArrayType, roles: tuple[int, int, int], *, add: bool
    ) -> Record:
        a, b = types
        m, n = result.shape[-2:]
        k = a.shape[-2] if flags[0] else a.shape[-1]
        batch = result.shape[:-2]
        per = [m * n, m * k, k * n]
        strides = [
            tuple(s * count for s in broadcast_strides(t.shape[:-2], batch))
            for t, count in zip((result, a, b), per, strict=True)
        ]
        axes = merged(batch, strides)
        words = [0] * (DIMS + 5 * len(axes))
        words[0], words[1], words[ND] = WORDS["MATMUL"], len(words), len(axes)
        words[P0 : P0 + 4] = [-1] * 4
        words[SIZES] = sum(self.dtype.itemsize << (8 * j) for j in range(3))
        words[W0 : W0 + 6] = [m, n, k, int(flags[0]), int(flags[1]), int(add)]
        for d, (count, steps) in enumerate(axes):
            words[DIMS + 5 * d : DIMS + 5 * d + 4] = [count, *steps]
        return Record(tuple(words), _four(roles, -1), (0, 0, 0, 0))


def _four(values: Sequence[int], missing: int) -> tuple[int, int, int, int]:
    padded = [*values, *[missing] * (4 - len(values))]
    return (padded[0], padded[1], padded[2], padded[3])
