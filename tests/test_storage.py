"""Strides: views and merged axes against NumPy's own, on any order of axes in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.table import OPS, find
from tapegrad.schedule.products import leading
from tapegrad.schedule.rows import NO_ROW
from tapegrad.schedule.storage import (
    Storage,
    broadcast_strides,
    contiguous,
    default_storage,
    is_contiguous,
    merged,
    permuted,
    reshape_strides,
    view_of,
)

LENGTHS = st.integers(1, 4)
SHAPES = st.lists(LENGTHS, max_size=4).map(tuple)


def strided(shape: Sequence[int], strides: Sequence[int], start: int = 0) -> Any:
    """An array that lies like this; each element is its place in memory."""
    base = np.arange(start + 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)))
    return as_strided(base[start:], shape, [8 * s for s in strides])


@st.composite
def storages(draw: Any) -> Storage:
    """Axes in any order, some with gaps between, some repeated."""
    shape = draw(SHAPES)
    strides = list(permuted(shape, draw(st.permutations(range(len(shape))))))
    gap = draw(st.integers(1, 3))
    strides = [0 if draw(st.integers(0, 9)) == 0 else gap * s for s in strides]
    return Storage(ArrayType(shape), NO_ROW, tuple(strides))


@st.composite
def reshapes(draw: Any) -> tuple[Storage, tuple[int, ...]]:
    """A storage, and another shape of as many elements."""
    source = draw(storages())
    factors = [p for n in source.shape for p in ((2, 2) if n == 4 else (n,)) if n > 1]
    factors = draw(st.permutations(factors)) if draw(st.booleans()) else factors
    shape: list[int] = []
    for f in factors:
        if shape and draw(st.booleans()):
            shape[-1] *= f
        else:
            shape += [1] * draw(st.integers(0, 1)) + [f]
    return source, (*shape, *[1] * draw(st.integers(0, 1)))


@given(reshapes())
def test_a_reshape_is_a_view_where_it_is_one_in_numpy(case: tuple[Storage, tuple[int, ...]]) -> None:
    source, shape = case
    x = strided(source.shape, source.strides)
    strides = reshape_strides(source, shape)
    try:
        wanted = np.reshape(x, shape, copy=False)
    except ValueError:
        assert strides is None
        return
    assert strides is not None
    assert np.array_equal(strided(shape, strides), wanted)


@st.composite
def windows(draw: Any, shape: Sequence[int]) -> Attribute:
    """A window with any steps."""
    found = []
    for n in shape:
        start, step = draw(st.integers(0, n - 1)), draw(st.sampled_from([1, 1, 2, -1, -2]))
        most = (n - 1 - start) // step if step > 0 else start // -step
        found.append((start, step, draw(st.integers(1, most + 1))))
    return tuple(found)


@st.composite
def views(draw: Any) -> tuple[str, Attribute, Storage]:
    """A moving op on a storage."""
    source = draw(storages())
    shape = source.shape
    name = draw(st.sampled_from(["slice", "item", "transpose", "broadcast_to", "stop_gradient", "sum", "max"]))
    assume(shape or name != "item")
    attribute: Attribute = ()
    if name == "slice":
        attribute = draw(windows(shape))
    elif name == "transpose":
        attribute = tuple(draw(st.permutations(range(len(shape)))))
    elif name == "broadcast_to":
        attribute = (*draw(SHAPES)[:2], *(draw(LENGTHS) if n == 1 else n for n in shape))
    return name, (0,) if name == "item" else attribute, source


@given(views())
def test_a_view_reads_what_the_op_gives(case: tuple[str, Attribute, Storage]) -> None:
    name, attribute, source = case
    op = OPS[find(name, "f")]
    x = strided(source.shape, source.strides)
    found = view_of(name, attribute, source, op.result_type(attribute, [source.type]))
    assert found is not None
    start, strides = found
    wanted = np.asarray(op.evaluate(attribute, x))
    lowest = start + sum(min(0, (n - 1) * s) for n, s in zip(wanted.shape, strides, strict=True))
    assert lowest >= 0
    memory = np.arange(x.max() + 1)
    assert np.array_equal(as_strided(memory[start:], wanted.shape, [8 * s for s in strides]), wanted)


def test_what_computes_is_no_view() -> None:
    source = Storage(ArrayType((4, 3)), NO_ROW, (3, 1))
    for name, attribute in (("sum", (0,)), ("pad", ((5, 3), ((0, 1, 4), (0, 1, 3)))), ("gather", (0, 0))):
        assert view_of(name, attribute, source, ArrayType((4, 3))) is None


@given(SHAPES, st.integers(-1, 3), st.booleans())
def test_rows_lie_outermost_where_the_scheduler_makes_them(shape: tuple[int, ...], row: int, leaf: bool) -> None:
    assume(row < len(shape))
    s = default_storage(ArrayType(shape), row, leaf=leaf)
    x = strided(shape, s.strides)
    assert sorted(x.reshape(-1).tolist()) == list(range(x.size))
    assert s.plain == np.array_equal(x, np.arange(x.size).reshape(shape))
    if row >= 0 and not leaf:
        assert np.array_equal(np.moveaxis(x, row, 0).reshape(-1), np.arange(x.size))


@given(storages())
def test_what_is_contiguous(source: Storage) -> None:
    x = strided(source.shape, source.strides)
    assert is_contiguous(source.shape, source.strides) == np.array_equal(x, np.arange(x.size).reshape(source.shape))
    assert is_contiguous(source.shape, contiguous(source.shape))


# --- merged axes


def walked(axes: list[tuple[int, list[int], bool]], operand: int) -> list[int]:
    """The elements that axes go through, in order."""
    places = np.zeros(1, np.int64)
    for n, steps, _ in axes:
        places = (places[:, None] + np.arange(n) * steps[operand]).reshape(-1)
    return places.tolist()


@st.composite
def several(draw: Any) -> tuple[tuple[int, ...], list[tuple[int, ...]], int]:
    """A shape, strides of one to three operands along it, some of which are broadcast, and a row axis or none."""
    shape = draw(SHAPES)
    orders = st.one_of(st.just(range(len(shape))), st.permutations(range(len(shape))))
    strides = []
    for _ in range(draw(st.integers(1, 3))):
        own = tuple(1 if draw(st.integers(0, 4)) == 0 else n for n in shape)
        source = Storage(ArrayType(own), NO_ROW, permuted(own, draw(orders)))
        strides.append(broadcast_strides(source, shape))
    return shape, strides, draw(st.integers(NO_ROW, len(shape) - 1))


@given(several())
def test_merged_axes_go_the_same_way(case: tuple[tuple[int, ...], list[tuple[int, ...]], int]) -> None:
    shape, strides, row = case
    axes = merged(shape, strides, row)
    for k, own in enumerate(strides):
        assert walked(axes, k) == strided(shape, own).reshape(-1).tolist()
    assert [has for _, _, has in axes].count(True) == (row != NO_ROW)
    for at, (n, steps, has) in enumerate(axes):
        if has:  # a part of the rows goes through the first of its elements, whatever the outer axes are
            assert n % shape[row] == 0
            unit = n // shape[row]
            fewer = [(n - unit, steps, True) if k == at else axis for k, axis in enumerate(axes)]
            part = tuple(m - 1 if a == row else m for a, m in enumerate(shape))
            for k, own in enumerate(strides):
                assert walked(fewer, k) == (strided(part, own).reshape(-1).tolist() if 0 not in part else [])


@given(SHAPES)
def test_what_is_contiguous_is_one_axis(shape: tuple[int, ...]) -> None:
    assert len(merged(shape, [contiguous(shape)] * 3)) <= 1


# --- matrices for BLAS


@pytest.mark.parametrize("rows", range(1, 5))
@pytest.mark.parametrize("columns", range(1, 5))
def test_leading_dimensions(rows: int, columns: int) -> None:
    """(0, d): element i, j lies at i d + j; (1, d): at j d + i. d is at least what it steps over."""
    places = np.arange(rows)[:, None], np.arange(columns)[None, :]
    for down in range(7):
        for along in range(7):
            wanted = places[0] * down + places[1] * along
            found = leading((rows, columns), (down, along))
            fits = [
                (t, d)
                for t in (0, 1)
                for d in range(max(1, rows if t else columns), 13)
                if np.array_equal(wanted, places[1] * d + places[0] if t else places[0] * d + places[1])
            ]
            assert found in fits if fits else found is None, f"{rows} x {columns}: {down}, {along}: {found}"
