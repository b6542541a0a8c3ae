"""A tape to a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from tapegrad.atomic import replacing
from tapegrad.drivers.interface import Interface
from tapegrad.errors import UnsupportedError, describe
from tapegrad.files.archive import pack
from tapegrad.files.canonical import by_first_use, canonical
from tapegrad.files.matrices import to_arrays
from tapegrad.files.members import ARRAYS, NAMES, codes, hashed, to_bytes
from tapegrad.files.outside import to_values
from tapegrad.files.read import FORMAT, VERSION, decoded
from tapegrad.files.text import to_text
from tapegrad.files.wrong import Wrong
from tapegrad.ops.custom import title
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.tape import Tape
from tapegrad.version import __version__

_FUNCTIONS: Final = ("custom", "primitive")


def save(tape: Tape, interface: Interface, path: str | os.PathLike[str]) -> None:
    """Write a tape, in one piece or not at all. What is written is checked as it will be when it is read.

    Raises:
        UnsupportedError: a function of the user's, which is code, an argument of a type that no text can hold.
        OSError: a path that cannot be written.
    """
    try:
        pieces = pack(members(tape, interface))
    except Wrong as wrong:
        raise UnsupportedError(describe("save", found=str(wrong), wanted="a tape that a file can hold")) from None
    with replacing(Path(path)) as file:
        for piece in pieces:
            file.write(piece)


def members(tape: Tape, interface: Interface) -> list[tuple[str, bytes]]:
    """The members of a tape's file, in their order."""
    _refuse_functions(tape)
    tape = canonical(tape)
    matrices = list(dict.fromkeys(v for a in tape.attributes for v in a if isinstance(v, SparseMatrix)))
    sizes, arrays = to_arrays(matrices, tape.dtype)
    used, opcodes = by_first_use(tape.opcodes)
    places = {t: k for k, t in enumerate(tape.types)}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "tapegrad": __version__,
        "dtype": tape.dtype.name,
        "ops": [OPS[code].key for code in used.tolist()],
        "types": [[t.kind, list(t.shape)] for t in tape.types],
        "attributes": [_value(a, matrices) for a in tape.attributes],
        "lines": list(tape.lines),
        "constants": [places[_type(c)] for c in tape.constants],
        "sparse": sizes,
        "reverse": int(tape.reverse),
        "interface": to_values(interface),
    }
    names = ("starts", "operands", "type_ids", "attribute_ids", "line_ids", "inputs", "independents", "dependents")
    arrays |= {name: getattr(tape, name) for name in names} | {"opcodes": opcodes}
    for name, kind in (("floats", FLOAT), ("integers", INT), ("booleans", BOOL)):
        dtype = ArrayType((), kind).dtype(tape.dtype)
        parts = [c.reshape(-1) for c in tape.constants if c.dtype == dtype]
        arrays[name] = np.concatenate([np.zeros(0, dtype), *parts])
    found = codes(tape.dtype.name)
    contents = [to_bytes(np.frombuffer(to_text(header), np.uint8), "|u1")]
    contents += [to_bytes(arrays[name], found[name]) for name, _ in ARRAYS]
    decoded([memoryview(c) for c in contents])
    contents.append(to_bytes(np.frombuffer(hashed(contents), np.uint8), "|u1"))
    return list(zip(NAMES, contents, strict=True))


def _refuse_functions(tape: Tape) -> None:
    """Refuse functions of the user's: they are code."""
    own = np.flatnonzero(np.isin(tape.opcodes, [OPCODES[name] for name in _FUNCTIONS]))
    if len(own):
        i = int(own[0])
        op = OPS[tape.opcodes[i]]
        found = f"{title(op, tape.attribute(i))}, a function of your own ({op.name}), which is code"
        raise UnsupportedError(describe("save", found=found, wanted="functions that tapegrad knows", line=tape.line(i)))


def _type(constant: Any) -> ArrayType:
    return ArrayType(constant.shape, {"f": FLOAT, "i": INT, "b": BOOL}[constant.dtype.kind])


def _value(attribute: Any, matrices: list[SparseMatrix]) -> Any:
    """An attribute as a text has it: tuples as lists, sparse matrices by their number."""
    if isinstance(attribute, tuple):
        return [_value(v, matrices) for v in attribute]
    return {"sparse": matrices.index(attribute)} if isinstance(attribute, SparseMatrix) else attribute
