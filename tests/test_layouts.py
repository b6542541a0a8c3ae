"""How signatures are executed: the records of every op, tile by tile, for operands and results that lie in any way."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tapegrad.ops.row import ArrayType, Op
from tapegrad.schedule.layout import CELL, RECORDS, ROW, VIEW, Layouts, accepts
from tapegrad.schedule.modes import PER_ROW, REDUCTION, Mode, mode
from tapegrad.schedule.record import Records
from tapegrad.schedule.relations import Relations
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import Storage, contiguous, default_storage, permuted
from tests.helpers import F64, Sample
from tests.machine import execute
from tests.test_relations import KINDS, ROWS, cases, related


def choices(s: Sample, found: Relations) -> Iterator[tuple[tuple[int, ...], int]]:
    """Row axes of the operands and of the result that may belong together."""
    n = len(s.operands)
    yield (NO_ROW,) * n, NO_ROW
    for r in range(s.value().ndim):
        rows = {k: a for k, a, to, _ in found.aligned if to == r}
        if rows:
            yield tuple(rows.get(k, NO_ROW) for k in range(n)), r
    for group in found.summed:
        yield tuple(dict(group).get(k, NO_ROW) for k in range(n)), NO_ROW


def stored(op: Op, s: Sample, k: int, row: int, rng: Any) -> Storage:
    """Operand k in C order, or, where the op takes it, in any other."""
    t = ArrayType(s.operands[k].shape, KINDS[s.operands[k].dtype])
    orders = list(permutations(range(len(t.shape))))
    other = Storage(t, row, permuted(t.shape, orders[rng.integers(len(orders))]))
    return other if accepts(op, s.attribute, k, other) else Storage(t, row, contiguous(t.shape))


def laid(x: Any, s: Storage) -> Any:
    """The memory of an array that lies like this."""
    memory = np.empty(x.size, x.dtype)
    as_strided(memory, x.shape, [x.itemsize * n for n in s.strides])[...] = x
    return memory


def result_of(s: Sample, operands: list[Storage], result: Storage, how: Mode, height: int) -> Any:
    """What the records of a layout compute; None where there are none."""
    layout = Layouts(Records(F64)).of(s.op, s.attribute, operands, result, how)
    inputs = [laid(v, o) for v, o in zip(s.operands, operands, strict=True)]
    if layout.form in (CELL, ROW):
        return None
    dtype = result.type.dtype(F64)
    if layout.form == VIEW:
        start = layout.offset + layout.scale * (s.attribute[0] if s.op.immediate else 0)
        return as_strided(
            inputs[0][start // dtype.itemsize :], result.shape, [dtype.itemsize * n for n in result.strides]
        )
    assert layout.form == RECORDS
    memory = laid(np.full(result.shape, np.nan if dtype.kind == "f" else 77).astype(dtype), result)
    places = []
    for record in layout.records:
        place = [0] * 4
        if record.scale:
            role = record.roles[record.scaled]
            place[role] = record.scale * s.attribute[0] // (dtype.itemsize if role == 0 else inputs[role - 1].itemsize)
        places.append(place)
    execute(layout.records, places, [memory, *inputs], height)
    return as_strided(memory, result.shape, [dtype.itemsize * n for n in result.strides])


@pytest.mark.parametrize("op", [op for op in ROWS if not op.eager], ids=lambda op: op.key)
def test_records_compute_the_op(op: Op) -> None:
    rng, kinds = np.random.default_rng(0), set()
    for s in cases(op):
        found, wanted = related(s), s.value()
        types = [ArrayType(v.shape, KINDS[v.dtype]) for v in s.operands]
        result_type = op.result_type(s.attribute, types)
        for rows, row in choices(s, found):
            how = mode(op, found, types, rows, row)
            kinds.add(how.kind)
            for trial in range(4):
                operands = [stored(op, s, k, r, rng) for k, r in enumerate(rows)]
                result = default_storage(result_type, row, leaf=how.kind != PER_ROW or trial % 2 == 0)
                for height in (1, 2, 100) if how.kind in (PER_ROW, REDUCTION) else (0,):
                    value = result_of(s, operands, result, how, height)
                    what = f"{s.attribute}: rows {rows}, {row}; {operands}, {result}; {how}, tiles of {height}"
                    assert value is None or np.allclose(value, wanted, 1e-12, 1e-12, equal_nan=True), what
    assert len(kinds) > 1
