"""What a line of the user's source code says."""

from __future__ import annotations

import linecache
from pathlib import PurePath


def source_lines(path: str) -> list[str]:
    """The lines of a file of source code, or of a cell; none where it cannot be read, or its folder is not known.

    Tapes from files name files without folders. Looking for such a name along Python's path could find another file,
    and whoever wrote the tape would choose which one is shown.
    """
    cell = path.startswith("<") and path.endswith(">")
    return linecache.getlines(path) if cell or PurePath(path).is_absolute() else []


def source_line(path: str, number: int) -> str:
    """One line, counted from 1, without the space around it; empty where there is none."""
    lines = source_lines(path)
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""
