"""Rows of text in aligned columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_GAP: Final = "  "
_NARROW: Final = 8  # no column is made narrower than this


def shortened(text: str, width: int) -> str:
    """The text, cut where it is too long.

    >>> shortened("a long line", 7)
    'a long…'
    """
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def breadth(rows: Sequence[Sequence[str]]) -> int:
    """How many characters a line of aligned rows takes where nothing is cut."""
    return _total(_widths(rows))


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[k]) for row in rows) for k in range(len(rows[0]) if rows else 0)]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (sum(1 for width in widths if width) - 1)


def aligned(rows: Sequence[Sequence[str]], limit: int) -> list[str]:
    """One line a row, at most `limit` characters where that is possible; columns without text are left out.

    >>> for line in aligned([["v0", "sin", "", "x"], ["v10", "multiply", "", "v0 v9"]], 40):
    ...     print(line)
    v0   sin       x
    v10  multiply  v0 v9
    """
    widths = _widths(rows)
    kept = [k for k, width in enumerate(widths) if width]
    while _total(widths) > limit:
        widest = max(kept, key=lambda k: widths[k])
        if widths[widest] <= _NARROW:
            break
        widths[widest] -= 1
    return [_GAP.join(shortened(row[k], widths[k]).ljust(widths[k]) for k in kept).rstrip() for row in rows]
