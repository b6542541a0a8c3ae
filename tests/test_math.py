"""Transcendental functions on arrays: libmvec's vector functions, NumPy's loops in their place, and the choice."""

from __future__ import annotations

import dataclasses
import os
import platform
from collections.abc import Iterator
from functools import cache
from typing import Any

import mpmath as mp
import numba
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import SettingError
from tapegrad.ops.elementwise import find_ufunc
from tapegrad.ops.table import OPS
from tapegrad.sweep import loops
from tapegrad.sweep.fresh import kernels
from tapegrad.sweep.layout import VECTOR_SCRATCH, VECTORS
from tapegrad.sweep.loops import AVX2, AVX512, Vector, call_vector, find_vector
from tests.helpers import F32, F64, assert_ulps, bits, record, run

REFERENCES = {
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "erf": mp.erf,
}
LENGTHS = (0, 1, 3, 7, 8, 9, 16, 17, 1000)
PATHS = {name: path for path, name in VECTORS.items()}
NAMES = {op.loop: op.name for op in OPS if op.vector}
FOUND = [
    pytest.param(name, dtype, vector, id=f"{name}-{dtype}-{vector.lanes}")
    for name in REFERENCES
    for dtype in (F64, F32)
    for register in sorted(loops.usable_registers())
    if (vector := find_vector(name, np.dtype(dtype).itemsize, register))
]
every_vector_function = pytest.mark.parametrize(("name", "dtype", "vector"), FOUND)
every_path = pytest.mark.parametrize("path", VECTORS)
both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])
needs_libmvec = pytest.mark.skipif(not FOUND, reason="no libmvec, or no registers for it")


@pytest.fixture(autouse=True)
def _choices() -> Iterator[None]:
    """What one test makes loops choose, the next must not see."""

    def forget() -> None:
        loops.registers.cache_clear()
        loops.vector_function.cache_clear()

    forget()
    yield
    forget()


def ordinary(name: str, dtype: Any, size: int) -> Any:
    low, high = (-1.0, 1.0) if name in {"asin", "acos"} else (-6.0, 6.0)
    return np.random.default_rng(0).uniform(low, high, size).astype(dtype)


def edges(dtype: Any) -> Any:
    info = np.finfo(dtype)
    tiny = [0.0, info.smallest_subnormal, info.tiny / 4, info.tiny, info.eps, 1e-5]
    plain = [
        0.5,
        1.0 - info.eps,
        1.0,
        1.0 + info.eps,
        3.65,
        5.9,
        np.pi / 2,
        np.pi,
        2e4 * np.pi,
        88.5,
        89.5,
        709.7,
        711.0,
    ]
    huge = [1e5, 2.0**31, 1e16, 1e22, info.max / 2, info.max, np.inf]
    positive = np.array(tiny + plain + huge, dtype)
    return np.concatenate([positive, -positive, np.array([np.nan], dtype)])


@cache
def exact(name: str, dtype: Any) -> tuple[Any, Any]:
    """Points, and the function there by mpmath, rounded; where mpmath would take for ever, by NumPy."""
    x = np.concatenate([ordinary(name, dtype, 150), edges(dtype)])
    with np.errstate(all="ignore"):
        wanted = find_ufunc(PATHS[name])(x.astype(F64))
    exponential = name in {"sinh", "cosh"}
    with mp.workprec(1300):
        for k, v in enumerate(x.tolist()):
            if np.isfinite(wanted[k]) and not (exponential and abs(v) > 1e3):
                wanted[k] = float(REFERENCES[name](mp.mpf(v)))
    with np.errstate(all="ignore"):
        return x, wanted.astype(dtype)


def test_every_row_that_names_a_vector_function_is_tested() -> None:
    assert set(REFERENCES) == set(VECTORS.values())


@every_vector_function
def test_vector_functions_are_right_to_four_ulps(name: str, dtype: Any, vector: Vector) -> None:
    x, wanted = exact(name, dtype)
    found = call_vector(vector, x)
    assert_ulps(found, wanted, 4, name)
    zero = (x == 0) & (wanted == 0)
    assert np.array_equal(np.signbit(found[zero]), np.signbit(x[zero]))


@every_vector_function
def test_a_result_depends_on_its_operand_alone(name: str, dtype: Any, vector: Vector) -> None:
    """Not on its place, on how many there are, or on its neighbours; and nothing else is written."""
    rng = np.random.default_rng(1)
    x = rng.permutation(np.concatenate([ordinary(name, dtype, 1000 - len(edges(dtype))), edges(dtype)]))
    alone = np.array([call_vector(vector, x[k : k + 1])[0] for k in range(len(x))])
    for n in LENGTHS:
        for first in range(3):
            part = x[first : first + n]
            assert bits(call_vector(vector, part)) == bits(alone[first : first + n]), (n, first)
    order = rng.permutation(len(x))
    assert bits(call_vector(vector, x[order])) == bits(alone[order])
    for step in (2, 3, -1, -2):
        assert bits(call_vector(vector, x[::step])) == bits(alone[::step]), step


@every_vector_function
def test_only_the_result_is_written(name: str, dtype: Any, vector: Vector) -> None:
    """Apart and in place, with any stride of the result."""
    x, size = ordinary(name, dtype, 100), np.dtype(dtype).itemsize
    wanted = call_vector(vector, x)
    scratch = np.zeros(VECTOR_SCRATCH + AVX512, np.uint8)

    def call(o: Any, u: Any, n: int) -> None:
        places = (scratch.ctypes.data, n, o.ctypes.data, u.ctypes.data, *o.strides, *u.strides)
        kernels().map_vectors(vector.address, vector.lanes, size, int(vector.bounded), *places)

    for n in (0, 1, 7, 8, 9, 30):
        for step in (1, 2, 3):
            result = np.full(100, 5, dtype)
            call(result[1::step], x, n)
            left = result.copy()
            left[1::step][:n] = 5
            assert bits(result[1::step][:n]) == bits(wanted[:n])
            assert (left == 5).all()
        both = x.copy()
        call(both, both, n)
        assert bits(both) == bits(np.concatenate([wanted[:n], x[n:]]))
    assert not scratch[:VECTOR_SCRATCH].any()


@pytest.mark.parametrize(("name", "dtype", "vector"), [p for p in FOUND if p.values[0] in {"sin", "cos", "erf"}])
def test_sines_and_cosines_stay_within_one(name: str, dtype: Any, vector: Vector) -> None:
    """Else sqrt(1 - cos(x)**2) is nan where NumPy's is not."""
    rng = np.random.default_rng(0)
    close = rng.normal(size=200_000) * 10.0 ** rng.uniform(-9 if dtype is F64 else -5, -1, 200_000)
    x = (rng.integers(-40, 40, 200_000) * (np.pi / 2) + close).astype(dtype)
    assert np.abs(call_vector(vector, x)).max() == 1.0


# --- in a sweep


def values(path: str, x: Any) -> Any:
    return run(record(lambda r, v: [r.elementwise(NAMES[path], v)], [x], dtype=x.dtype), [x])[0]


@both_dtypes
@every_path
def test_arrays_of_any_length(path: str, dtype: Any) -> None:
    for n in LENGTHS:
        x = ordinary(VECTORS[path], dtype, n)
        assert_ulps(values(path, x), find_ufunc(path)(x).astype(dtype), 4, path)


@both_dtypes
@every_path
def test_shapes_do_not_matter(path: str, dtype: Any) -> None:
    x = ordinary(VECTORS[path], dtype, 105)
    flat = values(path, x)
    for shape in ((3, 5, 7), (7, 15), (105, 1)):
        assert bits(values(path, x.reshape(shape))) == bits(flat)
    table = x.reshape(7, 15)
    assert bits(values(path, np.ascontiguousarray(table[::2, 3:]))) == bits(flat.reshape(7, 15)[::2, 3:])
    tape = record(lambda r, v: [r.elementwise(NAMES[path], r.apply("transpose", (1, 0), v))], [table], dtype=dtype)
    assert bits(run(tape, [table])[0]) == bits(flat.reshape(7, 15).T)


def check_bits() -> None:
    """Every row gives NumPy's or SciPy's own bits."""
    for path, name in VECTORS.items():
        for dtype in (F64, F32):
            assert loops.vector_function(path, np.dtype(dtype).itemsize) is None
            x = np.concatenate([ordinary(name, dtype, 1000), edges(dtype)])
            with np.errstate(all="ignore"):
                assert bits(values(path, x)) == bits(find_ufunc(path)(x)), path


# --- the choice


def test_numpys_loops_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(loops.MATH, "numpy")
    assert not loops.registers()
    check_bits()


def test_they_serve_where_there_is_no_libmvec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loops, "_library", lambda: None)
    check_bits()


@pytest.mark.parametrize(("setting", "value"), [("CPU_NAME", "generic"), ("CPU_FEATURES", "+sse2"), ("ENABLE_AVX", 0)])
def test_they_serve_where_numba_compiles_for_another_cpu(
    setting: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A register handed over in two halves would be a wrong number."""
    monkeypatch.setattr(numba.config, setting, value)
    assert not loops.usable_registers()


def test_an_unknown_setting_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(loops.MATH, "nupmy")
    with pytest.raises(SettingError, match="TAPEGRAD_MATH: found 'nupmy'; wanted 'auto' or 'numpy'"):
        tg.info()


@needs_libmvec
def test_without_avx512_all_rows_use_vector_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loops.MATH, raising=False)
    monkeypatch.setattr(loops, "usable_registers", lambda: frozenset({AVX2}))
    for path, name in VECTORS.items():
        for dtype, lanes in ((F64, 4), (F32, 8)):
            chosen = loops.vector_function(path, np.dtype(dtype).itemsize)
            assert chosen is not None
            assert chosen.lanes == lanes
            x = ordinary(name, dtype, 1000)
            assert_ulps(values(path, x), find_ufunc(path)(x), 4, path)


@needs_libmvec
def test_a_function_that_is_off_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loops.MATH, raising=False)
    assert loops.vector_function("numpy.sin", 8) is not None
    loops.vector_function.cache_clear()
    monkeypatch.setattr(loops, "find_vector", lambda _, size, register: find_vector("cos", size, register))
    assert loops.vector_function("numpy.sin", 8) is None
    check = ordinary("sin", F64, 100)
    assert bits(values("numpy.sin", check)) == bits(np.sin(check))


@needs_libmvec
def test_the_slow_ones_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loops.MATH, raising=False)
    for path in ("numpy.sin", "numpy.cos", "scipy.special.erf"):
        assert loops.vector_function(path, 8) is not None
    for path in ("numpy.exp", "numpy.log", "numpy.log1p", "numpy.expm1", "numpy.tanh", "numpy.power"):
        assert loops.vector_function(path, 8) is None


# --- info


def test_info_tells_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tg.info()
    assert dataclasses.is_dataclass(found)
    assert found.versions["tapegrad"] == tg.__version__
    assert found.versions["Python"] == platform.python_version()
    assert found.versions["NumPy"] == np.__version__
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.functions["exp"] == ("NumPy", "NumPy")
    assert found.functions["gammaln"] == ("SciPy", "SciPy")
    assert "floor" not in found.functions
    text = str(found)
    assert repr(found) == text
    assert len(text.splitlines()) < 15
    for part in (*found.versions.values(), *found.features, *found.functions, found.cache):
        assert part in text

    monkeypatch.setenv(loops.MATH, "numpy")
    loops.registers.cache_clear()
    loops.vector_function.cache_clear()
    plain = tg.info()
    assert plain.features == ()
    assert plain.functions["sin"] == ("NumPy", "NumPy")
    assert "libmvec" not in str(plain)
    assert "vector functions: none" in str(plain)


@needs_libmvec
def test_info_names_libmvec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(loops.MATH, raising=False)
    lanes = 8 if AVX512 in loops.usable_registers() else 4
    assert tg.info().functions["sin"] == (f"libmvec, {lanes} lanes", f"libmvec, {2 * lanes} lanes")
    assert "libmvec" in str(tg.info())
