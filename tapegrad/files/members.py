"""The members of a file: arrays of one axis, as NumPy writes them, and the hash of all of them."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tapegrad.files.wrong import require

FLOATING: Final = "tape"  # the tape's floating dtype
HEADER, HASH = "header", "hash"
# In the order in which they stand in the file.
ARRAYS: Final = (
    ("opcodes", "<u2"),
    ("starts", "<i4"),
    ("operands", "<i4"),
    ("type_ids", "<i4"),
    ("attribute_ids", "<i4"),
    ("line_ids", "<i4"),
    ("inputs", "<i4"),
    ("independents", "<i4"),
    ("dependents", "<i4"),
    ("floats", FLOATING),
    ("integers", "<i8"),
    ("booleans", "|b1"),
    ("sparse_values", FLOATING),
    ("sparse_columns", "<i8"),
    ("sparse_starts", "<i8"),
)
NAMES: Final = tuple(f"{name}.npy" for name in (HEADER, *(name for name, _ in ARRAYS), HASH))
_HEAD: Final = 128  # bytes before an array's elements


def _head(code: str, count: int) -> bytes:
    """What NumPy writes before an array of one axis; no other is read."""
    text = f"{{'descr': '{code}', 'fortran_order': False, 'shape': ({count},), }}"
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", _HEAD - 10)
    return start + text.ljust(_HEAD - len(start) - 1).encode("ascii") + b"\n"


def to_bytes(array: Any, code: str) -> bytes:
    """A member: an array of one axis, of the dtype of this code."""
    elements = np.ascontiguousarray(array, np.dtype(code)).reshape(-1)
    return _head(code, elements.size) + elements.tobytes()


def from_bytes(content: memoryview, name: str, code: str) -> Any:
    """The array of a member, which must be of this dtype; the array is the caller's."""
    itemsize = np.dtype(code).itemsize
    count, rest = divmod(len(content) - _HEAD, itemsize)
    expected = _head(code, max(count, 0))
    found = bytes(content[:_HEAD])
    text = found[10:_HEAD].rstrip().decode("ascii", "replace")
    same = count >= 0 and rest == 0 and found == expected
    require(same, f"member {name!r} begins with {text[:90]!r}, not with {expected[10:].rstrip().decode()!r}")
    elements = np.frombuffer(content, np.uint8, offset=_HEAD)
    if code == "|b1":
        require(elements.max(initial=0) <= 1, f"member {name!r} holds other bytes than 0 and 1")
    dtype = np.dtype(code)
    return np.frombuffer(content, dtype, offset=_HEAD).astype(dtype.newbyteorder("="))


def codes(floating: str) -> Mapping[str, str]:
    """The dtype of each array, for a tape of this floating dtype."""
    own = {"float64": "<f8", "float32": "<f4"}[floating]
    return {name: own if code == FLOATING else code for name, code in ARRAYS}


def hashed(contents: Sequence[memoryview | bytes]) -> bytes:
    """The hash of the members before the last: their names, lengths and bytes."""
    found = hashlib.sha256()
    for name, content in zip(NAMES[:-1], contents, strict=True):
        found.update(f"{name} {len(content)}\n".encode("ascii"))
        found.update(content)
    return found.digest()
