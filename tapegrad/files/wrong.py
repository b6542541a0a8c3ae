"""What is wrong with a file."""

from __future__ import annotations

from typing import Any


class Wrong(Exception):  # noqa: N818 - it never leaves this package: whoever reads or writes makes an error of it
    """A file that is no tape, or a tape that no file can hold: in a few words why."""


def require(condition: Any, text: str) -> None:
    """Raise `Wrong` unless a condition holds."""
    if not condition:
        raise Wrong(text)
