"""Records of matrix products: every orientation, gaps between rows, batches, tiles, against NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from tapegrad.ops.row import ArrayType
from tapegrad.schedule.modes import ALIGNED, PER_ROW, REDUCTION, SAME, WHOLE, Mode
from tapegrad.schedule.products import product_record, takes_factor
from tapegrad.schedule.record import Record, Records
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import Storage
from tests.helpers import F32, F64, assert_close
from tests.machine import execute

SIZES = [(1, 1, 1), (1, 1, 5), (1, 4, 3), (5, 1, 3), (4, 3, 1), (1, 5, 1), (3, 4, 5), (5, 4, 2), (7, 6, 9)]
LIES = ["C", "C with a gap", "turned", "turned with a gap"]
BATCHES = [((), (), ()), ((3,), (3,), (3,)), ((3,), (3,), ()), ((2, 3), (3,), (2, 1)), ((3,), (1,), (3,))]
ALLOWED = {F64: 1e-13, F32: 1e-5}
flags_of_each = pytest.mark.parametrize("flags", list(product((0, 1), repeat=2)), ids=str)
both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])


def storage(batch: tuple[int, ...], rows: int, columns: int, lie: str, row: int = NO_ROW) -> Storage:
    """A matrix, or a batch of them, one after another with a gap between."""
    gap = 2 if "gap" in lie else 0
    down, along, size = (1, rows + gap, columns) if lie.startswith("turned") else (columns + gap, 1, rows)
    strides, step = [], size * max(down, along) + 1
    for n in reversed(batch):
        strides.append(step)
        step *= n
    return Storage(ArrayType((*batch, rows, columns)), row, (*reversed(strides), down, along))


@dataclass(slots=True)
class Call:
    """One product: records, the storages of result and factors, where they are, what NumPy gives."""

    record: Record
    storages: tuple[Storage, Storage, Storage]
    add: bool
    flags: tuple[int, int]


def view(memory: Any, start: int, s: Storage) -> Any:
    """What lies at a place."""
    return as_strided(memory[start:], s.shape, [memory.itemsize * n for n in s.strides])


def check(calls: list[Call], dtype: Any, height: int = 0) -> None:
    """All calls at once, each in memory of its own, against NumPy; what is between matrices stays as it was."""
    rng = np.random.default_rng(0)
    places = []
    ends = [0, 0, 0]
    for call in calls:
        places.append(list(ends))
        for k, s in enumerate(call.storages):
            ends[k] += 1 + sum((n - 1) * step for n, step in zip(s.shape, s.strides, strict=True))
    memory = [np.asarray(rng.normal(size=n), dtype) for n in ends]
    wanted = memory[0].astype(F64)
    for call, starts in zip(calls, places, strict=True):
        o, a, b = (view(m, at, s) for m, at, s in zip((wanted, *memory[1:]), starts, call.storages, strict=True))
        x, y = (np.swapaxes(v, -1, -2) if turned else v for v, turned in zip((a, b), call.flags, strict=True))
        o[...] = (o if call.add else 0) + x.astype(F64) @ y.astype(F64)
    execute([c.record for c in calls], places, memory, height)
    assert_close(memory[0], wanted, ALLOWED[dtype] * 30)


def shapes(flags: tuple[int, int], m: int, n: int, k: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of the two factors."""
    return (k, m) if flags[0] else (m, k), (n, k) if flags[1] else (k, n)


@both_dtypes
@flags_of_each
@pytest.mark.parametrize("add", [False, True], ids=["stored", "added"])
def test_products_of_matrices_that_lie_in_any_way(flags: tuple[int, int], add: bool, dtype: Any) -> None:
    calls = []
    for (m, n, k), (of, one, other), lies in product(SIZES, BATCHES, product(LIES, repeat=3)):
        first, second = shapes(flags, m, n, k)
        o, a, b = storage(of, m, n, lies[0]), storage(one, *first, lies[1]), storage(other, *second, lies[2])
        assert takes_factor(a)
        assert takes_factor(b)
        how = Mode(WHOLE, (SAME, SAME), (0, 0))
        calls.append(
            Call(product_record(Records(dtype), flags, (a, b), o, (0, 1, 2), how, add=add), (o, a, b), add, flags)
        )
    check(calls, dtype)


def in_rows(which: str, flags: tuple[int, int], dtype: Any, lies: tuple[str, ...], size: tuple[int, ...]) -> Call:
    """A product whose result is per row."""
    m, n, k = size
    first, second = shapes(flags, m, n, k)
    batch = (7,) if which == "batches" else ()
    o, a, b = storage(batch, m, n, lies[0]), storage(batch, *first, lies[1]), storage(batch, *second, lies[2])
    if which == "batches":
        rows, modes = (0, 0, 0), (ALIGNED, ALIGNED)
    elif which == "left":
        rows, modes = (0, flags[0], NO_ROW), (ALIGNED, SAME)
    else:
        rows, modes = (1, NO_ROW, 1 - flags[1]), (SAME, ALIGNED)
    o, a, b = (Storage(s.type, r, s.strides) for s, r in zip((o, a, b), rows, strict=True))
    how = Mode(PER_ROW, modes, (0, 0))
    return Call(product_record(Records(dtype), flags, (a, b), o, (0, 1, 2), how, add=False), (o, a, b), False, flags)


@both_dtypes
@flags_of_each
@pytest.mark.parametrize("height", [1, 2, 5, 100])
@pytest.mark.parametrize("which", ["left", "right", "batches"])
def test_products_row_by_row(which: str, height: int, flags: tuple[int, int], dtype: Any) -> None:
    """Rows of the left factor, columns of the right one, or a matrix a row."""
    calls = [in_rows(which, flags, dtype, lies, s) for s, lies in product(SIZES, product(LIES, repeat=3))]
    check(calls, dtype, height)


@both_dtypes
@flags_of_each
@pytest.mark.parametrize("height", [1, 2, 5, 100])
def test_products_over_rows(height: int, flags: tuple[int, int], dtype: Any) -> None:
    """Each tile adds its part to the sum."""
    calls = []
    for (m, n, k), lies in product(SIZES, product(LIES, repeat=3)):
        first, second = shapes(flags, m, n, k)
        o = storage((), m, n, lies[0])
        a, b = storage((), *first, lies[1], 1 - flags[0]), storage((), *second, lies[2], flags[1])
        how = Mode(REDUCTION, (ALIGNED, ALIGNED), (0, 0))
        calls.append(
            Call(product_record(Records(dtype), flags, (a, b), o, (0, 1, 2), how, add=True), (o, a, b), True, flags)
        )
    check(calls, dtype, height)


def test_what_blas_cannot_read() -> None:
    for strides in ((8, 2), (0, 1), (1, 0), (1, 1), (2, 1)):
        assert not takes_factor(Storage(ArrayType((4, 3)), NO_ROW, strides))
    assert not takes_factor(Storage(ArrayType((5, 4, 3)), NO_ROW, (0, 3, 1)))
