"""Kernels beyond the cases of the rows: long stretches, many axes, products of every size, exactness of sums."""

from __future__ import annotations

from itertools import chain, combinations, permutations, product
from typing import Any

import numpy as np
import pytest

from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tests.helpers import F32, F64, assert_close, assert_ulps, record, run

both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])
EPS = {F64: 2.3e-16, F32: 1.2e-7}
SHAPE = (2, 3, 4, 5)
SIZES = (0, 1, 2, 7, 33)


def array(rng: Any, shape: Any, dtype: Any) -> Any:
    return np.asarray(rng.normal(size=shape), dtype)


@both_dtypes
@pytest.mark.parametrize("name", ["sum", "max", "min"])
def test_reductions_over_any_axes(name: str, dtype: Any, rng: Any) -> None:
    x = array(rng, SHAPE, dtype)
    subsets = list(chain.from_iterable(combinations(range(4), n) for n in range(5)))
    tape = record(lambda r, v: [r.apply(name, axes, v) for axes in subsets], [x], dtype=dtype)
    for axes, found in zip(subsets, run(tape, [x]), strict=True):
        assert_close(found, getattr(np, name)(x.astype(F64), axis=axes), 200 * EPS[dtype] * (name == "sum"), str(axes))


@both_dtypes
def test_transposes_by_every_permutation(dtype: Any, rng: Any) -> None:
    x = array(rng, SHAPE, dtype)
    axes = list(permutations(range(4)))
    tape = record(lambda r, v: [r.apply("transpose", a, v) for a in axes], [x], dtype=dtype)
    for a, found in zip(axes, run(tape, [x]), strict=True):
        assert np.array_equal(found, x.transpose(a))


@both_dtypes
def test_operands_broadcast_along_any_axes(dtype: Any, rng: Any) -> None:
    """Every pattern of ones in both operands of four axes: the inner stretch and each outer axis."""
    patterns = list(product((False, True), repeat=4))
    shapes = [tuple(1 if one else n for one, n in zip(p, SHAPE, strict=True)) for p in patterns]
    inputs = [array(rng, s, dtype) for s in shapes]

    def build(r: Recorder, *v: Variable) -> list[Variable]:
        return [x - y for x in v for y in v] + [r.elementwise("arctan2", x, y) for x in v for y in v]

    found = run(record(build, inputs, dtype=dtype), inputs)
    wanted = [x - y for x in inputs for y in inputs] + [np.arctan2(x, y) for x in inputs for y in inputs]
    for f, w in zip(found, wanted, strict=True):
        assert_ulps(f, w, 2)


@both_dtypes
def test_windows_with_any_steps(dtype: Any, rng: Any) -> None:
    x = array(rng, (5, 4, 6), dtype)
    choices = [
        [(0, 1, 5), (1, 2, 2), (4, -2, 3)],
        [(0, 1, 4), (3, -1, 4), (3, -3, 2)],
        [(0, 1, 6), (2, 1, 3), (0, 3, 2), (5, -5, 2)],
    ]
    windows = list(product(*choices))

    def build(r: Recorder, v: Variable) -> list[Variable]:
        parts = [r.apply("slice", w, v) for w in windows]
        pads = [r.apply("pad", (x.shape, w), p) for w, p in zip(windows, parts, strict=True)]
        adds = [r.apply("slice_add", w, v, p) for w, p in zip(windows, parts, strict=True)]
        return [*parts, *pads, *adds]

    found = iter(run(record(build, [x], dtype=dtype), [x]))
    places = [np.ix_(*(start + step * np.arange(count) for start, step, count in w)) for w in windows]
    for place in places:
        assert np.array_equal(next(found), x[place])
    for place in places:
        wanted = np.zeros_like(x)
        wanted[place] = x[place]
        assert np.array_equal(next(found), wanted)
    for place in places:
        wanted = x.copy()
        wanted[place] *= 2
        assert np.array_equal(next(found), wanted)


@both_dtypes
@pytest.mark.parametrize("flags", list(product((0, 1), repeat=2)))
@pytest.mark.parametrize("batch", [(), (3,)], ids=["matrix", "batch"])
def test_products_of_every_size(flags: tuple[int, int], batch: tuple[int, ...], dtype: Any, rng: Any) -> None:
    """Inner and outer products, vectors, matrices, and nothing at all: each has code of its own."""
    sizes = list(product(SIZES, repeat=3))
    inputs, wanted = [], []
    for m, n, k in sizes:
        a = array(rng, (*batch, *((k, m) if flags[0] else (m, k))), dtype)
        b = array(rng, (n, k) if flags[1] else (k, n), dtype)
        c = array(rng, (*batch, m, n), dtype)
        inputs += [a, b, c]
        x, y = (a.swapaxes(-1, -2) if flags[0] else a).astype(F64), (b.T if flags[1] else b).astype(F64)
        wanted += [x @ y, c + x @ y]

    def build(r: Recorder, *v: Variable) -> list[Variable]:
        results = []
        for j in range(0, len(v), 3):
            results += [r.apply("matmul", flags, *v[j : j + 2]), r.apply("matmul_add", flags, v[j + 2], *v[j : j + 2])]
        return results

    for j, (f, w) in enumerate(zip(run(record(build, inputs, dtype=dtype), inputs), wanted, strict=True)):
        assert_close(f, w, 300 * EPS[dtype], f"(m, n, k) = {sizes[j // 2]}")


@both_dtypes
@pytest.mark.parametrize("n", [1, 15, 16, 17, 511, 512, 513, 1023, 1024, 1025, 5000])
def test_stretches_of_any_length(n: int, dtype: Any, rng: Any) -> None:
    """Vectorised loops and their rests: elementwise, sums along and across, copies."""
    x, y = array(rng, n, dtype), array(rng, n, dtype)
    pair = np.stack([x, y])

    def build(r: Recorder, a: Variable, b: Variable, p: Variable) -> list[Variable]:
        return [
            a * b - a / 3.0,
            r.elementwise("exp", a),
            r.elementwise("where", r.elementwise("less", a, b), a, 2.0),
            r.apply("sum", (0,), a * b),
            r.apply("sum", (0,), p),
            r.apply("sum", (1,), p),
            r.apply("sum", (0,), r.apply("transpose", (1, 0), p)),
            r.apply("max", (1,), p),
            r.apply("slice", ((n - 1, -1, n),), a),
        ]

    found = run(record(build, [x, y, pair], dtype=dtype), [x, y, pair])
    wide = pair.astype(F64)
    assert_close(found[0], wide[0] * wide[1] - wide[0] / 3, 20 * EPS[dtype])
    assert_ulps(found[1], np.exp(x), 1)
    assert np.array_equal(found[2], np.where(x < y, x, dtype.type(2)))
    scale = EPS[dtype] * np.sqrt(n) * 20
    assert_close(found[3], (wide[0] * wide[1]).sum(), scale)
    assert np.array_equal(found[4], x + y)
    assert_close(found[5], wide.sum(1), scale)
    assert_close(found[6], wide.sum(1), scale)
    assert np.array_equal(found[7], pair.max(1))
    assert np.array_equal(found[8], x[::-1])


def test_long_sums_of_small_floats_are_accurate() -> None:
    """A million tenths in float32: a plain loop would be off by one percent."""
    x = np.full(10**6, 0.1, F32)
    tape = record(lambda r, v: [r.apply("sum", (0,), v)], [x], dtype=F32)
    assert_close(run(tape, [x])[0], 10**6 * float(np.float32(0.1)), 0.05)


@both_dtypes
def test_infinities_and_nans_in_sums(dtype: Any) -> None:
    for values in ([np.inf, 1.0], [np.inf, -np.inf], [np.nan, 1.0], [1e38, 1e38, -1e38]):
        x = np.tile(np.array(values, dtype), 600)
        with np.errstate(all="ignore"):
            wanted = x.sum()
        tape = record(lambda r, v: [r.apply("sum", (0,), v)], [x], dtype=dtype)
        if np.isfinite(wanted):
            assert_close(run(tape, [x])[0], wanted, 1e-5 * abs(wanted))
        else:
            assert_ulps(run(tape, [x])[0], wanted, 0)


@both_dtypes
def test_gathers_and_scatters_along_any_axis(dtype: Any, rng: Any) -> None:
    x = array(rng, (3, 4, 5), dtype)
    index = np.array([[2, 0, -1], [-3, 1, 2]])
    tape = record(lambda r, v, i: [r.apply("gather", (a, 0), v, i) for a in range(3)], [x, index], dtype=dtype)
    for axis, found in enumerate(run(tape, [x, index])):
        assert np.array_equal(found, np.take(x, index, axis))
    parts = [array(rng, (*x.shape[:a], 2, 3, *x.shape[a + 1 :]), dtype) for a in range(3)]
    tape = record(
        lambda r, i, v, *p: [r.apply("scatter_add", (a, 0), v, q, i) for a, q in enumerate(p)],
        [index, x, *parts],
        dtype=dtype,
    )
    for axis, found in enumerate(run(tape, [index, x, *parts])):
        wanted = x.astype(F64)
        np.add.at(wanted, (slice(None),) * axis + (index,), parts[axis])
        assert_close(found, wanted, 10 * EPS[dtype])


@both_dtypes
@pytest.mark.parametrize(("axis", "batch"), [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (3, 3)])
def test_each_entry_of_a_batch_selects_for_itself(axis: int, batch: int, dtype: Any, rng: Any) -> None:
    """The same entry by entry, in plain loops."""
    x = array(rng, SHAPE, dtype)
    index = rng.integers(-SHAPE[axis], SHAPE[axis], (*SHAPE[:batch], 2, 3))
    part = array(rng, (*SHAPE[:axis], 2, 3, *SHAPE[axis + 1 :]), dtype)

    def build(r: Recorder, v: Variable, q: Variable, i: Variable) -> list[Variable]:
        gathered, added = r.apply("gather", (axis, batch), v, i), r.apply("scatter_add", (axis, batch), v, q, i)
        return [gathered, added, r.apply("scatter", (axis, SHAPE[axis], batch), q, i)]

    gathered, added, scattered = run(record(build, [x, part, index], dtype=dtype), [x, part, index])
    wanted = np.zeros(SHAPE)
    for place in np.ndindex(part.shape):
        before, own, after = place[:axis], place[axis : axis + 2], place[axis + 2 :]
        source = (*before, index[before[:batch] + own], *after)
        assert gathered[place] == x[source]
        wanted[source] += part[place]
    assert_close(scattered, wanted, 10 * EPS[dtype])
    assert_close(added, x + wanted, 10 * EPS[dtype])
