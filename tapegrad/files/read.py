"""A tape from a file, by whomever it was written."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tapegrad.drivers.interface import Interface
from tapegrad.errors import TapeFileError, describe
from tapegrad.files import meaning
from tapegrad.files.archive import unpack
from tapegrad.files.matrices import from_arrays
from tapegrad.files.members import ARRAYS, HASH, HEADER, NAMES, codes, from_bytes, hashed
from tapegrad.files.memory import scheduled
from tapegrad.files.outside import from_values
from tapegrad.files.text import fields, from_text, integer, line, listed
from tapegrad.files.wrong import Wrong, require
from tapegrad.ops.accepted import LONGEST
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.ops.table import OPCODES
from tapegrad.schedule.program import Program
from tapegrad.tape import Tape
from tapegrad.version import __version__

FORMAT: Final = "tapegrad tape"
VERSION: Final = 1
_FIELDS: Final = (
    "format",
    "version",
    "tapegrad",
    "dtype",
    "ops",
    "types",
    "attributes",
    "lines",
    "constants",
    "sparse",
    "reverse",
    "interface",
)
_LEAFY: Final = (int, float, str, type(None))


def read(path: str | os.PathLike[str], memory_limit: int) -> tuple[Tape, Interface, Program]:
    """The tape of a file, its outside, and its program.

    Raises:
        TapeFileError: a file that is no tape, in whatever way, or one that needs more memory.
        FileNotFoundError, PermissionError: as everywhere.
    """
    try:
        tape, interface = decoded(_members(_contents(path, memory_limit)), memory_limit)
        return tape, interface, scheduled(tape, memory_limit)
    except Wrong as wrong:
        found = str(wrong)
    except (MemoryError, RecursionError, OverflowError) as error:
        found = f"more than this machine can hold ({type(error).__name__})"
    wanted = "a file that tape.save has written"
    raise TapeFileError(describe("load", found=f"{os.fspath(path)!r}: {found}", wanted=wanted))


def _contents(path: str | os.PathLike[str], limit: int) -> bytes:
    """The bytes of a regular file: no pipe, which could make us wait, and no device, which may never end."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        handle = os.open(path, flags)
        try:
            status = os.fstat(handle)
            require(stat.S_ISREG(status.st_mode), "no regular file")
            require(status.st_size <= limit, f"{status.st_size} bytes, where {limit} are allowed (memory_limit=)")
            with os.fdopen(handle, "rb", closefd=False) as file:
                data = file.read(status.st_size + 1)
        finally:
            os.close(handle)
    except (FileNotFoundError, PermissionError):
        raise
    except (OSError, ValueError) as error:
        raise Wrong(f"which cannot be read ({error})") from None
    require(len(data) == status.st_size, "a file that changes while it is read")
    return data


def _members(data: bytes) -> list[memoryview]:
    """The members of an archive, but for the hash, which is that of the others."""
    *contents, last = unpack(memoryview(data), NAMES)
    found = from_bytes(last, HASH, "|u1").tobytes()
    require(found == hashed(contents), "contents that are not what was written: their hash is another")
    return contents


def decoded(contents: Sequence[memoryview], most: int = 1 << 62) -> tuple[Tape, Interface]:
    """Tape and outside of the members; `Wrong` unless they are right, and no slot has more than so many bytes."""
    header = from_text(memoryview(from_bytes(contents[0], HEADER, "|u1")))
    known = type(header) is dict and header.get("format") == FORMAT
    require(known, "a file of arrays, but no tape")
    version, writer = header.get("version"), line(header.get("tapegrad"), "a version")
    newer = f"a tape of format {str(version)[:20]}, written by tapegrad {writer}; {__version__} reads format {VERSION}"
    require(type(version) is int and version == VERSION, newer)
    _, _, _, dtype, ops, types, attributes, lines, kinds, sparse, reverse, outside = fields(header, _FIELDS, "a tape")
    require(dtype in ("float64", "float32"), "a tape of another dtype than float64 and float32")
    found = {
        name: from_bytes(content, name, codes(dtype)[name])
        for (name, _), content in zip(ARRAYS, contents[1:], strict=True)
    }
    matrices = from_arrays(sparse, *(found.pop(f"sparse_{name}") for name in ("values", "columns", "starts")))
    table = tuple(_type(t) for t in listed(types, "types"))
    meaning.check_types(table, np.dtype(dtype), most)
    places = [integer(k, 0, len(table) - 1, "a constant's type") for k in listed(kinds, "constants")]
    tape = Tape(
        opcodes=_opcodes(ops, found.pop("opcodes"), writer),
        types=table,
        attributes=tuple(_attribute(a, matrices) for a in listed(attributes, "attributes")),
        constants=_constants([table[k] for k in places], found),
        lines=tuple(_line(name) for name in listed(lines, "lines")),
        reverse=integer(reverse, 0, LONGEST, "a reverse part"),
        dtype=np.dtype(dtype),
        **found,
    )
    meaning.check(tape, most)
    return tape, from_values(outside, tape)


def _opcodes(names: Any, places: Any, writer: str) -> Any:
    """Opcodes of this tapegrad's: the file names its ops."""
    keys = [line(name, "an operation") for name in listed(names, "operations")]
    require(len(set(keys)) == len(keys), "operations that are listed twice")
    unknown = next((key for key in keys if key not in OPCODES), None)
    require(unknown is None, f"the operation {unknown!r}, which {__version__} does not know (written by {writer})")
    require(not len(places) or places.max() < len(keys), "instructions of no operation")
    table = np.array([OPCODES[key] for key in keys], np.uint16)
    return table[places] if len(places) else places


def _line(value: Any) -> str:
    """A source line of a file without its folder: what stands there may be shown, and could be anybody's secret."""
    name = line(value, "a source line")
    require("/" not in name and "\\" not in name, "a source line of a file in a folder")
    return name


def _type(value: Any) -> ArrayType:
    kind, shape = listed(value, "a type", 2)
    lengths = [integer(n, 0, LONGEST, "a length") for n in listed(shape, "a shape")]
    require(kind in ("f", "i", "b"), "a type of no kind")
    return ArrayType(tuple(lengths), kind)


def _attribute(value: Any, matrices: Sequence[SparseMatrix]) -> tuple[Any, ...]:
    """An attribute: tuples of numbers, texts, None and sparse matrices."""
    return tuple(_part(v, matrices) for v in listed(value, "an attribute"))


def _part(value: Any, matrices: Sequence[SparseMatrix]) -> Any:
    if type(value) is dict:
        (k,) = fields(value, ("sparse",), "a part of an attribute")
        return matrices[integer(k, 0, len(matrices) - 1, "a sparse matrix")]
    if type(value) is list:
        return _attribute(value, matrices)
    require(type(value) in _LEAFY, "a part of an attribute that is true or false")
    return value


def _constants(types: Sequence[ArrayType], arrays: dict[str, Any]) -> tuple[Any, ...]:
    """The constants of these types: their elements stand one after another, by kind."""
    elements = {kind: arrays.pop(name) for kind, name in ((FLOAT, "floats"), (INT, "integers"), (BOOL, "booleans"))}
    used, found = dict.fromkeys(elements, 0), []
    for t in types:
        start, end = used[t.kind], used[t.kind] + t.size
        require(end <= len(elements[t.kind]), "constants with fewer elements than they have")
        found.append(elements[t.kind][start:end].reshape(t.shape).copy())
        used[t.kind] = end
    require(all(len(elements[kind]) == count for kind, count in used.items()), "elements of no constant")
    return tuple(found)
