"""Lines of source: wrapped where they are long, and what the user's own lines say."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from tapegrad.sources import source_line

WIDTH: Final = 110


def wrapped(text: str, indent: str = "    ") -> list[str]:
    """A statement in lines of a width, if it has commas (or `or`) within brackets to break it at.

    >>> wrapped("x = [1, 2]")
    ['    x = [1, 2]']
    """
    lines, rest, lead = [], text, indent
    while len(lead) + len(rest) > WIDTH:
        breaks = [k for k in _breaks(rest, inside=lead != indent) if len(lead) + k <= WIDTH]
        if not breaks:
            break
        lines.append((lead + rest[: breaks[-1]]).rstrip())
        rest, lead = rest[breaks[-1] :].lstrip(), indent + "    "
    return [*lines, lead + rest]


def _breaks(text: str, *, inside: bool) -> list[int]:
    """Where a text may be broken: after commas, before `or`, within brackets; `inside`: it begins within brackets."""
    found, depth, quote, k = [], int(inside), "", 0
    while k < len(text):
        c = text[k]
        if quote:
            k += c == "\\"
            quote = "" if c == quote else quote
        elif c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth > 0 and (c == "," or text.startswith(" or ", k)):
            found.append(k + 1)
        k += 1
    return found


def comment(line: str, *, quoted: bool) -> str:
    """A comment that names a line of the user's, "model.py:5", with what stands there if it can be read."""
    file, _, number = line.rpartition(":")
    place = f"# {PurePath(file).name}:{number}"
    text = source_line(file, int(number)) if quoted and number.isdigit() else ""
    whole = " ".join(f"{place}  {text}".splitlines()).rstrip()  # a name in a file of a tape's may say anything
    return whole if len(whole) <= WIDTH else f"{whole[: WIDTH - 4]} ..."
