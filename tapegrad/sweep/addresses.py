"""Addresses of the inner loops of ufuncs."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, Final

from tapegrad.errors import UnsupportedError
from tapegrad.ops.elementwise import find_ufunc

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
    return loop_of(find_ufunc(path), path, kinds, result, itemsize)


def loop_of(ufunc: Any, path: str, kinds: str, result: str, itemsize: int) -> tuple[int, int]:
    """As `ufunc_loop`, of a ufunc at hand."""
    head = _Head.from_address(id(ufunc))
    if (head.nin, head.nout, head.ntypes) != (ufunc.nin, ufunc.nout, ufunc.ntypes):
        raise UnsupportedError(f"{path}: this NumPy lays its ufuncs out in a way that tapegrad does not know")
    wanted = "".join(_LETTERS[k, itemsize] for k in kinds) + "->" + _LETTERS[result, itemsize]
    spellings = {wanted, wanted.replace("l", "q")}
    k = next((k for k, types in enumerate(ufunc.types) if types in spellings), None)
    if k is None:
        raise UnsupportedError(f"{path}: there is no loop {wanted}")
    return head.functions[k] or 0, (head.data[k] or 0) if head.data else 0
