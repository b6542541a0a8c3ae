"""How wide a text will be: widths of a common sans serif's characters, a little wider than most."""

from __future__ import annotations

import unicodedata
from itertools import chain
from types import MappingProxyType
from typing import Final

# Thousandths of the font's size, of Helvetica and the fonts that are made to its measures.
_BY_WIDTH: Final = (
    (191, "'"),
    (222, "ijl"),
    (260, "|"),
    (278, " !,./:;I[\\]ft·"),
    (333, "()-`r²³ᵀ"),
    (334, "{}"),
    (355, '"'),
    (389, "*"),
    (469, "^"),
    (500, "Jcksvxyz"),
    (556, "#$0123456789?L_abdeghnopqu"),
    (584, "+<=>~×÷−≤≥≠√∂"),
    (611, "FTZ"),
    (667, "&ABEKPSVXY"),
    (722, "CDHNRUw"),
    (778, "GOQ"),
    (833, "Mm"),
    (889, "%"),
    (944, "W"),
    (1015, "@"),
)
_WIDTHS: Final = MappingProxyType(dict(chain.from_iterable(((c, w) for c in text) for w, text in _BY_WIDTH)))
_OTHER: Final = 820
_MONOSPACE: Final = 0.61
_ROOM: Final = 1.1  # fonts that stand in for Helvetica are wider


def width(text: str, size: float, *, mono: bool = False) -> float:
    """Width of a line of text in pixels.

    >>> width("v5", 10) < width("v55", 10) < width("v55", 12)
    True
    """
    if mono:
        return size * _MONOSPACE * sum(_cells(c) for c in text)
    return size * _ROOM * sum(_WIDTHS.get(c, _OTHER * _cells(c)) for c in text) / 1000


def _cells(character: str) -> float:
    """0 for what is put on the character before, 2 for wide ones of Chinese, Japanese and Korean."""
    if character.isascii():
        return 1.0
    if unicodedata.combining(character):
        return 0.0
    return 1.7 if unicodedata.east_asian_width(character) in {"W", "F"} else 1.0


def shorten(text: str, most: int) -> str:
    """The text, its middle left out where it is longer than so many characters.

    >>> shorten("params['encoder']['layer 3']['weights']", 20)
    "params['en…'weights']"
    """
    return text if len(text) <= most else f"{text[: most // 2]}…{text[len(text) - (most - most // 2) :]}"
