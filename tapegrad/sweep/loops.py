"""Which code runs a transcendental function on arrays: a ufunc's inner loop, or a vector function of libmvec.

libmvec is a part of glibc. Its functions take a register of elements at a time; NumPy's own loops are faster for
some functions and several times slower for others. The choice is by a list that was measured once, never by timing:
one machine gives the same bits in every run. What is chosen is compared with NumPy before it is used.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np

from tapegrad.errors import SettingError, describe
from tapegrad.ops.elementwise import find_ufunc
from tapegrad.sweep.addresses import loop_of, ufunc_loop
from tapegrad.sweep.fresh import kernels
from tapegrad.sweep.layout import LOOP_ROW, LOOPS, VECTOR_SCRATCH, VECTORS

MATH: Final = "TAPEGRAD_MATH"  # environment variable: "auto", or "numpy" for NumPy's and SciPy's loops alone

AVX2, AVX512 = 32, 64  # bytes of a register
_NEEDED: Final = {AVX2: {"avx2", "fma"}, AVX512: {"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}}
_LETTER: Final = {AVX2: "d", AVX512: "e"}  # in the names of the vector ABI

# The registers to use on a CPU with AVX-512, by function and bytes of an element. There NumPy has vector loops of its
# own for the others; measured in ns an element, NumPy and libmvec: sin 6.4 0.8, cos 6.5 1.0, tan 1.8 1.1, erf 11.2
# 1.7 (2.4 with AVX-512); in float32 sin and cos 0.75 0.48, erf 12.5 0.9; but sinh 1.3 2.8, cosh 1.1 1.1, arcsin 1.5
# 1.4, tan in float32 0.7 0.6.
# Without AVX-512 all are 2 to 20 times as fast as NumPy's.
_WITH_AVX512: Final = {
    ("sin", 8): AVX512,
    ("sin", 4): AVX512,
    ("cos", 8): AVX512,
    ("cos", 4): AVX512,
    ("tan", 8): AVX512,
    ("erf", 8): AVX2,
    ("erf", 4): AVX2,
}
# cos(pi k) comes out as 1 + 2e-16 now and then, and a user's sqrt(1 - cos(x)**2) as nan: such values are cut off.
_BOUNDED: Final = frozenset({"sin", "cos", "erf"})
_ULPS: Final = 4
# Whole registers and a part of one; inside the domain of every function and outside that of some.
_POINTS: Final = np.array([*np.linspace(-0.95, 0.95, 16), -0.0, 2.5, -7.25, 11.0, np.inf, -np.inf, np.nan])


@dataclass(frozen=True, slots=True)
class Vector:
    """A vector function: its address, the elements that it takes at once, and whether to cut off beyond +-1."""

    address: int
    lanes: int
    bounded: bool


@cache
def registers() -> frozenset[int]:
    """Which registers vector functions may use in this process: sizes in bytes, none where NumPy's loops are wanted."""
    wanted = os.environ.get(MATH, "auto")
    if wanted not in ("auto", "numpy"):
        raise SettingError(describe(MATH, found=repr(wanted), wanted="'auto' or 'numpy'"))
    return frozenset() if wanted == "numpy" else usable_registers()


def usable_registers() -> frozenset[int]:
    """Registers that this CPU has and that numba uses: else a vector would be handed over in several parts."""
    import numba
    from llvmlite import binding

    config: Any = numba.config
    if config.CPU_NAME or config.CPU_FEATURES or not config.ENABLE_AVX:  # it compiles for another CPU
        return frozenset()
    features = {name for name, present in binding.get_host_cpu_features().items() if present}
    return frozenset(size for size, needed in _NEEDED.items() if needed <= features)


@cache
def _library() -> Any:
    """glibc's libmvec, or None."""
    try:
        return ctypes.CDLL("libmvec.so.1")
    except OSError:
        return None


def find_vector(name: str, itemsize: int, register: int) -> Vector | None:
    """libmvec's function for registers of a size, if there is one."""
    lanes = register // itemsize
    symbol = f"_ZGV{_LETTER[register]}N{lanes}v_{name}{'f' if itemsize == 4 else ''}"
    found = getattr(_library(), symbol, None)
    address = ctypes.cast(found, ctypes.c_void_p).value if found else None
    return Vector(address, lanes, name in _BOUNDED) if address else None


@cache
def vector_function(path: str, itemsize: int) -> Vector | None:
    """What to call in place of the ufunc's loop, or None: the loop it is."""
    name, available = VECTORS.get(path), registers()
    if name is None or not available:
        return None
    register = _WITH_AVX512.get((name, itemsize), 0) if AVX512 in available else AVX2
    found = find_vector(name, itemsize, register) if register in available else None
    return found if found and _agrees(found, path, itemsize) else None


def call_vector(found: Vector, x: Any) -> Any:
    """f(x) of a 1-d array, by the kernel that calls vector functions in a sweep."""
    x = np.asarray(x)
    result = np.empty(x.shape, x.dtype)
    scratch = np.zeros(VECTOR_SCRATCH + AVX512, np.uint8)
    at, source, target = (v.__array_interface__["data"][0] for v in (scratch, x, result))
    kernels().map_vectors(
        found.address, found.lanes, x.itemsize, int(found.bounded), at, x.size, target, source, x.itemsize, *x.strides
    )
    return result


def _agrees(found: Vector, path: str, itemsize: int) -> bool:
    """Is it the ufunc, but for rounding?"""
    x = _POINTS.astype(f"f{itemsize}")
    with np.errstate(all="ignore"):
        wanted, result = find_ufunc(path)(x), call_vector(found, x)
        close = np.abs(result - wanted) <= _ULPS * np.spacing(np.abs(wanted))
    return bool((close | (result == wanted) | (np.isnan(result) & np.isnan(wanted))).all())


def loop_table(used: frozenset[int], functions: Sequence[Any], dtype: np.dtype[Any]) -> Any:
    """What a program calls, at its places in `LOOPS`, then the user's; `sweep.layout` tells the words of a row."""
    table = np.zeros((len(LOOPS) + len(functions), LOOP_ROW), np.int64)
    for k, function in enumerate(functions, len(LOOPS)):
        table[k, :2] = loop_of(function.ufunc, function.name, "f" * function.count, "f", dtype.itemsize)
    for k in used:
        if k >= len(LOOPS):
            continue
        path, kinds, result = LOOPS[k]
        table[k, :2] = ufunc_loop(path, kinds, result, dtype.itemsize)
        found = vector_function(path, dtype.itemsize) if kinds == "f" else None
        if found is not None:
            table[k, 2:] = found.address, found.lanes, dtype.itemsize, found.bounded
    return table
