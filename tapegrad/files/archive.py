"""The archive: a zip file of stored members, of which there is exactly one way to write it.

No compression, no encryption, no dates, no comments, no gaps, members in a fixed order. So reading is comparing: what
`pack` would not have written is refused, before anything is made of it, and nothing can be larger than the file is.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapegrad.files.wrong import Wrong, require

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_VERSION, _UNIX, _DATE, _REGULAR = 20, 3 << 8, 33, 0o100644 << 16  # the date: 1 January 1980, where zip's time begins
MOST_BYTES: Final = (1 << 32) - 1
_MOST_OF_DIRECTORY: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line of the archive's directory, as far as it says anything."""

    raw: bytes
    name: bytes
    flags: int
    method: int
    crc: int
    stored: int
    size: int
    offset: int


def _local(name: bytes, crc: int, size: int) -> bytes:
    """What stands before a member."""
    return _LOCAL.pack(b"PK\3\4", _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0) + name


def _central(name: bytes, crc: int, size: int, offset: int) -> bytes:
    """A member's line in the directory."""
    made = _VERSION | _UNIX
    head = (b"PK\1\2", made, _VERSION, 0, 0, 0, _DATE, crc, size, size, len(name), 0, 0, 0, 0, _REGULAR, offset)
    return _CENTRAL.pack(*head) + name


def pack(members: Sequence[tuple[str, bytes]]) -> list[bytes]:
    """The archive in pieces, to be written one after another."""
    pieces, directory, offset = [], [], 0
    for name, content in members:
        encoded, crc = name.encode("ascii"), zlib.crc32(content)
        require(offset + len(content) < MOST_BYTES, "more than 4 GB")
        pieces += [_local(encoded, crc, len(content)), content]
        directory.append(_central(encoded, crc, len(content), offset))
        offset += len(pieces[-2]) + len(content)
    size = sum(map(len, directory))
    require(offset + size < MOST_BYTES, "more than 4 GB")
    end = _END.pack(b"PK\5\6", 0, 0, len(members), len(members), size, offset, 0)
    return [*pieces, *directory, end]


def unpack(data: memoryview, names: Sequence[str]) -> list[memoryview]:
    """The members of these names, in their order, of an archive that has exactly them."""
    require(len(data) >= _END.size and bytes(data[:4]) == b"PK\3\4", "no .npz file")
    signature, disk, first, here, total, size, start, comment = _END.unpack(data[-_END.size :])
    whole = signature == b"PK\5\6" and start + size + _END.size == len(data)
    require(whole, "an archive that is cut off, or that something was appended to")
    require((disk, first, comment) == (0, 0, 0) and here == total, "an archive in several parts, or with a comment")
    require(size <= _MOST_OF_DIRECTORY, "an archive of very many members")
    entries = _entries(data[start : start + size])
    require(len(entries) == total, "an archive whose directory is damaged")
    _require_names([e.name for e in entries], names)
    found, offset = [], 0
    for entry in entries:
        _require_plain(entry, offset, start)
        head = _local(entry.name, entry.crc, entry.size)
        require(
            data[offset : offset + len(head)] == head, f"member {_shown(entry.name)} stands elsewhere, or is another"
        )
        content = data[offset + len(head) : offset + len(head) + entry.size]
        require(zlib.crc32(content) == entry.crc, f"member {_shown(entry.name)} is damaged: its checksum is another")
        found.append(content)
        offset += len(head) + entry.size
    require(offset == start, "an archive with something between its members")
    return found


def _entries(directory: memoryview) -> list[_Entry]:
    found, at = [], 0
    while at < len(directory):
        require(at + _CENTRAL.size <= len(directory), "an archive whose directory is cut off")
        head: tuple[Any, ...] = _CENTRAL.unpack(directory[at : at + _CENTRAL.size])
        require(head[0] == b"PK\1\2", "an archive whose directory is damaged")
        flags, method, crc, stored, size, length, extra, comment = (*head[3:5], *head[7:13])
        end = at + _CENTRAL.size + length + extra + comment
        require(end <= len(directory), "an archive whose directory is cut off")
        name = bytes(directory[at + _CENTRAL.size : at + _CENTRAL.size + length])
        found.append(_Entry(bytes(directory[at:end]), name, flags, method, crc, stored, size, head[16]))
        at = end
    return found


def _require_names(found: Sequence[bytes], wanted: Sequence[str]) -> None:
    """Refuse other members than these, missing ones, and a name that is there twice."""
    if found == [name.encode("ascii") for name in wanted]:
        return
    for name in found:
        require(found.count(name) == 1, f"member {_shown(name)} is there more than once")
        require(name in (n.encode("ascii") for n in wanted), f"an unknown member {_shown(name)}")
    missing = next((n for n in wanted if n.encode("ascii") not in found), None)
    raise Wrong("its members stand in another order" if missing is None else f"member {missing!r} is missing")


def _require_plain(entry: _Entry, offset: int, start: int) -> None:
    """Refuse a member that is not what `pack` writes at this place."""
    shown = _shown(entry.name)
    require(entry.flags & 1 == 0, f"member {shown} is encrypted")
    require(entry.method == 0, f"member {shown} is compressed")
    fits = entry.size == entry.stored and offset + _LOCAL.size + len(entry.name) + entry.size <= start
    require(fits, f"member {shown} says that it is larger than it is")
    expected = _central(entry.name, entry.crc, entry.size, offset)
    require(entry.raw == expected, f"member {shown} has a header that tapegrad does not write")


def _shown(name: bytes) -> str:
    return repr(name[:60].decode("ascii", "replace"))
