"""The text of a file: JSON, with limits, and what its values must be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn

import numpy as np

from tapegrad.files.wrong import Wrong, require

MOST_BYTES: Final = 32 << 20
DEEPEST: Final = 100
_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)  # in strings alone: elsewhere it is no JSON
_STRING: Final = re.compile(rb'"[^"]*"')  # once escapes are gone


def to_text(value: Any) -> bytes:
    """A value as text, in the one way in which it is written."""
    try:
        found = json.dumps(value, separators=(",", ":"), allow_nan=False).encode("ascii")
    except RecursionError:
        raise Wrong("containers nested too deep") from None
    except ValueError as error:
        raise Wrong(f"what no text can hold ({error})") from None
    require(len(found) <= MOST_BYTES, f"a description of {len(found)} bytes, which is more than {MOST_BYTES}")
    return found


def from_text(data: memoryview) -> Any:
    """The value of a text, which is neither long nor deep."""
    require(len(data) <= MOST_BYTES, f"a description of {len(data)} bytes, which is more than {MOST_BYTES}")
    text = bytes(data)
    require(text.isascii(), "a description that is no ASCII text")
    bare = _ESCAPE.sub(b"", text)
    require(bare.count(b'"') % 2 == 0, "a description with a string that does not end")
    require(_depth(_STRING.sub(b"", bare)) <= DEEPEST, f"a description with more than {DEEPEST} levels")
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except ValueError as error:
        raise Wrong(f"a description that is no JSON ({error})") from None


def _depth(text: bytes) -> int:
    """How deep brackets are nested in a text without strings."""
    found = np.frombuffer(text, np.uint8)
    opened = np.isin(found, np.frombuffer(b"[{", np.uint8)).astype(np.int32)
    return int(np.cumsum(opened - np.isin(found, np.frombuffer(b"]}", np.uint8))).max(initial=0))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    require(len(found) == len(pairs), "a description with a name twice")
    return found


def _no_number(name: str) -> NoReturn:
    raise Wrong(f"a description with {name}")


# --- what values must be


def fields(value: Any, names: Iterable[str], what: str) -> tuple[Any, ...]:
    """The values of an object's fields, of which it has exactly these."""
    wanted = tuple(names)
    require(type(value) is dict and set(value) == set(wanted), f"{what} that has not the fields {', '.join(wanted)}")
    return tuple(value[name] for name in wanted)


def listed(value: Any, what: str, count: int | None = None) -> list[Any]:
    """A list, of so many items if that is given."""
    require(type(value) is list and count in (None, len(value)), f"{what} that are no list of the right length")
    found: list[Any] = value
    return found


def integer(value: Any, low: int, high: int, what: str) -> int:
    """An integer between limits, both included."""
    require(type(value) is int and low <= value <= high, f"{what} that is no integer from {low} to {high}")
    found: int = value
    return found


def truth(value: Any, what: str) -> bool:
    """True or false."""
    require(type(value) is bool, f"{what} that is neither true nor false")
    found: bool = value
    return found


def line(value: Any, what: str) -> str:
    """A short text in one line, without control characters: it is printed."""
    require(
        type(value) is str and len(value) <= 500 and value.isprintable(), f"{what} that is no short, printable text"
    )
    found: str = value
    return found
