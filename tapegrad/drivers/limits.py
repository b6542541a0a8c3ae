"""Limits of memory: what they may be written as, and programs within them."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import MemoryLimitError, SettingError, describe
from tapegrad.schedule.program import Program, schedule
from tapegrad.schedule.within import Over, schedule_within
from tapegrad.tape import Tape

MemoryLimit: TypeAlias = int | str | None

UNITS: Final = MappingProxyType(
    {
        "b": 1,
        **{f"{letter}b": 1000**k for k, letter in enumerate("kmgt", 1)},
        **{f"{letter}ib": 1024**k for k, letter in enumerate("kmgt", 1)},
    }
)
_WANTED: Final = 'a positive number of bytes: an int, or text such as "500 MB" or "1.5 GiB"'
_TEXT: Final = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)\s*", re.IGNORECASE | re.ASCII)


def bytes_of(limit: MemoryLimit, who: str) -> int | None:
    """A limit in bytes.

    Args:
        limit: an int, or a number with a unit: B, kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024), in
            lower or upper case; None for no limit.
        who: the function whose setting it is.

    Raises:
        SettingError: anything else.

    >>> bytes_of("1.5 kB", "grad"), bytes_of("2 MiB", "grad"), bytes_of(640, "grad")
    (1500, 2097152, 640)
    """
    if limit is None:
        return None
    found = -1
    if isinstance(limit, (int, np.integer)) and not isinstance(limit, bool):
        found = int(limit)
    elif isinstance(limit, str):
        match = _TEXT.fullmatch(limit)
        if match is not None and match[2].lower() in UNITS:
            found = int(float(match[1]) * UNITS[match[2].lower()])
    if found <= 0:
        raise SettingError(describe(who, found=f"memory_limit={limit!r}", wanted=_WANTED, line=user_line()))
    return found


def within(tape: Tape, limit: int | None) -> tuple[Tape, Program]:
    """A tape's program whose workspace is within a limit of bytes, and the tape that it runs.

    Args:
        tape: of value and gradient, after all other passes.
        limit: bytes; None for no limit.

    Returns:
        The tape as it runs, in which instructions may be there again, and its program: `program.workspace` is what it
        needs, `program.recomputed` how many instructions are there again.

    Raises:
        MemoryLimitError: there is no such program.
    """
    program = schedule(tape) if limit is None else schedule_within(tape, limit)
    if isinstance(program, Over):
        held = f", {readable(program.held)} of it made at this line" if program.line else ""
        raise MemoryLimitError(
            describe(
                "memory_limit",
                found=f"a limit of {readable(int(limit or 0))} for a sweep that needs at least "
                f"{readable(program.least)} of workspace{held}",
                wanted=f"a limit of at least {program.least} bytes, or smaller arrays",
                line=program.line,
            )
        )
    return program.tape, program


def readable(nbytes: int) -> str:
    """Bytes as text, to three digits.

    >>> readable(999), readable(12_345_678)
    ('999 bytes', '12.3 MB')
    """
    if nbytes < 1000:
        return f"{nbytes} bytes"
    size: Any = float(nbytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.3g} {unit}"
    return f"{size / 1000:.3g} TB"
