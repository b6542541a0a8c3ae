"""Addresses of what kernels call: inner loops of ufuncs, BLAS routines."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError
from tapegrad.ops.elementwise import find_ufunc
from tapegrad.sweep.layout import LOOPS

_LETTERS: Final = {("f", 8): "d", ("f", 4): "f", ("i", 8): "l", ("i", 4): "l", ("b", 8): "?", ("b", 4): "?"}


class _Head(ctypes.Structure):
    """The first fields of NumPy's public PyUFuncObject."""

    _fields_ = (
        ("object", ctypes.c_byte * object.__basicsize__),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
    )


@cache
def ufunc_loop(path: str, kinds: str, result: str, itemsize: int) -> tuple[int, int]:
    """(function, data) of a ufunc's inner loop: void loop(char **args, npy_intp *n, npy_intp *steps, void *data).

    The loop is taken from the ufunc object itself, so arrays get bit for bit what NumPy gives.
    """
    ufunc: Any = find_ufunc(path)
    head = _Head.from_address(id(ufunc))
    if (head.nin, head.nout, head.ntypes) != (ufunc.nin, ufunc.nout, ufunc.ntypes):
        raise UnsupportedError(f"{path}: this NumPy lays its ufuncs out in a way that tapegrad does not know")
    wanted = "".join(_LETTERS[k, itemsize] for k in kinds) + "->" + _LETTERS[result, itemsize]
    spellings = {wanted, wanted.replace("l", "q")}
    k = next((k for k, types in enumerate(ufunc.types) if types in spellings), None)
    if k is None:
        raise UnsupportedError(f"{path}: there is no loop {wanted}")
    return head.functions[k] or 0, (head.data[k] or 0) if head.data else 0


def loop_table(used: frozenset[int], dtype: np.dtype[Any]) -> Any:
    """The addresses of the loops a program calls, at their places in `LOOPS`."""
    table = np.zeros((len(LOOPS), 2), np.int64)
    for k in used:
        path, kinds, result = LOOPS[k]
        table[k] = ufunc_loop(path, kinds, result, dtype.itemsize)
    return table


@cache
def _blas(name: str) -> int:
    """Address of a BLAS routine; imported late, because scipy.linalg takes 0.2 to 0.4 s."""
    import scipy.linalg.cython_blas as module

    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get = api.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = get(capsule, api.PyCapsule_GetName(capsule))
    return address


def blas_table(dtype: np.dtype[Any]) -> Any:
    """Addresses of gemm and gemv."""
    letter = "d" if dtype.itemsize == 8 else "s"
    return np.array([_blas(letter + "gemm"), _blas(letter + "gemv")], np.int64)
