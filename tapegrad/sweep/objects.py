"""Where the data of Python's objects lies: a tuple of arrays and floats is checked and its addresses taken at once.

In Python an address costs a microsecond and the checks of an array another (`python -m benchmarks calls`).
Here a compiled function reads the objects themselves: the public head of NumPy's arrays, as any extension
module does, and the heads of tuples and floats. `layout` makes sure, once, that they are where they should be.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numba import types
from numba.extending import intrinsic

from tapegrad.errors import UnsupportedError
from tapegrad.jit import held

# What is done to an object of the tuple.
SKIP: Final = 0  # nothing: it is no input
TAKE: Final = 1  # an array known to fit
CHECK: Final = 2  # an array, if it fits
NUMBER: Final = 3  # a float object whose number is read where it is

# Flags of an array: NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_ALIGNED.
SOUND: Final = 0x0001 | 0x0100

# The table: head, then a row for each object: what to do, type, dtype, base, number of axes, shape.
HEAD: Final = 8
WIDTH: Final = 5


class _Array(ctypes.Structure):
    """The first fields of NumPy's public PyArrayObject; `type` ends the head of any object."""

    _fields_ = (
        ("count", ctypes.c_byte * (object.__basicsize__ - ctypes.sizeof(ctypes.c_void_p))),
        ("type", ctypes.c_void_p),
        ("data", ctypes.c_void_p),
        ("nd", ctypes.c_int),
        ("dimensions", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("base", ctypes.c_void_p),
        ("descr", ctypes.c_void_p),
        ("flags", ctypes.c_int),
    )


@cache
def layout() -> tuple[int, ...]:
    """Offsets of a tuple's items, and of an array's type, data, number of axes, shape, dtype and flags."""
    read_only = np.ones(3)
    read_only.flags.writeable = False
    probes = (np.zeros((2, 3)), np.zeros((4, 3), np.float32).T, np.array(1), np.zeros((1, 0, 5), np.bool_), read_only)
    items = (ctypes.c_void_p * len(probes)).from_address(id(probes) + tuple.__basicsize__)
    known = all(
        item == id(probe) and _as_known(_Array.from_address(id(probe)), probe)
        for item, probe in zip(items, probes, strict=True)
    )
    if not known or any(not _number_as_known(x) for x in (0.1, np.float64(0.2), np.float32(0.3))):
        raise UnsupportedError("this Python or NumPy lays its objects out in a way that tapegrad does not know")
    head = tuple(getattr(_Array, name).offset for name in ("type", "data", "nd", "dimensions", "descr", "flags"))
    return (tuple.__basicsize__, *head)


def _as_known(head: _Array, array: Any) -> bool:
    return bool(
        head.type == id(type(array))
        and head.data == array.__array_interface__["data"][0]
        and head.nd == array.ndim
        and tuple(head.dimensions[: array.ndim]) == array.shape
        and head.descr == id(array.dtype)
        and head.flags == array.flags.num
    )


def _number_as_known(number: Any) -> bool:
    kind = ctypes.c_float if type(number) is np.float32 else ctypes.c_double
    return bool(kind.from_address(id(number) + _Array.data.offset).value == float(number))


@dataclass(frozen=True, slots=True)
class Row:
    """What is done to an object: its type, dtype and shape where they are to be checked, and its base."""

    action: int
    base: int = 0
    type: Any = None
    dtype: Any = None
    shape: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows as `gather` reads them; `kept` are types and dtypes, known by their addresses."""

    words: Any
    address: int
    kept: tuple[Any, ...]

    @classmethod
    def of(cls, rows: list[Row]) -> Table:
        """A table with a row for each object of a tuple."""
        words = [len(rows), *layout()]
        for row in rows:
            words += [row.action, id(row.type), id(row.dtype), row.base, len(row.shape), *row.shape]
        made = np.array(words, np.int64)
        return cls(made, made.__array_interface__["data"][0], tuple((row.type, row.dtype) for row in rows))


def _pointer_to(element: Any) -> Any:
    def pointer(typing: Any, address: Any) -> Any:  # noqa: ARG001 - numba's signature
        found = types.CPointer(element)  # type: ignore[no-untyped-call]

        def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
            return builder.inttoptr(arguments[0], context.get_value_type(found))

        return found(types.int64), code

    return intrinsic(pointer)


_words, _halves = _pointer_to(types.int64), _pointer_to(types.int32)


@held
def gather(objects: Any, table: Any, bases: Any) -> Any:
    """Write the addresses of the data of a tuple's objects to their bases; False where one does not fit.

    Args:
        objects: the tuple's id. It has as many items as the table has rows.
        table, bases: addresses of int64[].
    """
    word, base = _words(table), _words(bases)
    items, to_type, to_data, to_nd = _words(objects + word[1]), word[2], word[3], word[4]
    to_shape, to_dtype, to_flags = word[5], word[6], word[7]
    at = HEAD
    for k in range(word[0]):
        found, action, nd = items[k], word[at], word[at + 4]
        if action >= CHECK and _words(found + to_type)[0] != word[at + 1]:
            return False
        if action == CHECK:
            if _words(found + to_dtype)[0] != word[at + 2] or _halves(found + to_nd)[0] != nd:
                return False
            if _halves(found + to_flags)[0] & SOUND != SOUND:
                return False
            shape = _words(_words(found + to_shape)[0])
            for d in range(nd):
                if shape[d] != word[at + WIDTH + d]:
                    return False
        if action == NUMBER:
            base[word[at + 3]] = found + to_data
        elif action != SKIP:
            base[word[at + 3]] = _words(found + to_data)[0]
        at += WIDTH + nd
    return True
