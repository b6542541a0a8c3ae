"""Docstrings as mkdocstrings wants them: an extension of griffe, which reads them for the reference pages.

Markdown would take `>>>` at the beginning of a line for three quotations. And griffe wants each exception of a section
`Raises` on lines of its own, where our docstrings run on.
"""

from __future__ import annotations

import re
from typing import Any, Final

from griffe import Extension

_EXAMPLE: Final = re.compile(r"^>>> .*\n?(?:.+\n?)*", re.MULTILINE)
_RAISED: Final = re.compile(r"^(Raises|Warns):\n((?: +.*(?:\n|$))+)", re.MULTILINE)
_KIND: Final = r"[A-Z]\w*(?:Error|Warning)"
_ENTRY: Final = re.compile(rf"(?:^|[;.] )({_KIND}(?:, {_KIND})*): ")


def fenced(text: str) -> str:
    """A docstring with a fence around each stretch of doctest."""
    return _EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```\n", text).rstrip()


def listed(text: str) -> str:
    """A docstring with one line for each exception that it raises."""

    def one_a_line(found: re.Match[str]) -> str:
        _, *entries = _ENTRY.split(" ".join(found[2].split()))
        lines = [f"    {kind}: {why}" for kind, why in zip(entries[::2], entries[1::2], strict=True)]
        return "\n".join([f"{found[1]}:", *lines, ""]) if lines else found[0]

    return _RAISED.sub(one_a_line, text)


class Docstrings(Extension):
    """Prepares each docstring."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Called once for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = fenced(listed(obj.docstring.value))
