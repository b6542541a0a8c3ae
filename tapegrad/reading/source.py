"""A line of the user's source code: where it stands, and what it says."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from tapegrad.sources import source_line

UNKNOWN: Final = "?"  # the line of an instruction that no line of the user's recorded


def place(line: str) -> str:
    """A line's place with a short name for its file; empty where there is no line.

    >>> place("/home/ada/model.py:12"), place("/tmp/ipykernel_77/2318.py:3"), place("<stdin>:1"), place("?")
    ('model.py:12', 'cell:3', '<stdin>:1', '')
    """
    path, colon, number = line.rpartition(":")
    if not colon or path.startswith("<"):
        return "" if line == UNKNOWN else line
    name = "cell" if PurePath(path).parent.name.startswith("ipykernel_") else PurePath(path).name
    return f"{name}:{number}"


def text(line: str) -> str:
    """What the line says; empty where that is not known."""
    path, _, number = line.rpartition(":")
    return source_line(path, int(number)) if path and number.isdigit() else ""
