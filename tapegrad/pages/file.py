"""The page of an explanation: as HTML, as a file, in a notebook."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tapegrad.atomic import replacing
from tapegrad.pages.data import page_data
from tapegrad.pages.web_page import web_page
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.folds import find_folds
from tapegrad.pictures.picture import draw
from tapegrad.reading.account import account
from tapegrad.reading.figures import figure, summary

if TYPE_CHECKING:
    from tapegrad.explanation.explain import Explanation

_WIDE: Final = 11  # characters that a number may take when inputs are changed: "-0.00012345"
_NOTEBOOK: Final = 3_000_000  # characters of a page that a notebook keeps within itself
_HEIGHT: Final = 760  # pixels


def page(e: Explanation) -> str:
    """The page as one HTML text."""
    return web_page(page_data(e, find_folds(e.tape)), draw(e.tape, _labels(e)).svg)


def save(e: Explanation, path: str | os.PathLike[str]) -> None:
    """Write the page to a file, which appears whole or not at all."""
    text = page(e)
    with replacing(Path(path)) as file:
        file.write(text.encode("utf-8"))


def in_notebook(e: Explanation) -> str:
    """The page in a frame of its own; of a long tape the text that `print` shows."""
    text = page(e)
    if len(text) > _NOTEBOOK:
        return f"<pre>{escape(account(e))}</pre>"
    return (
        f'<iframe srcdoc="{escape(text)}" sandbox="allow-scripts" title="{escape(e.name)}: its tape" '
        f'style="width: 100%; height: {_HEIGHT}px; border: 0"></iframe>'
    )


def _labels(e: Explanation) -> Labels:
    """Values and partials in the picture, with room for the numbers that other inputs give, and for the adjoints."""
    values, partials = {}, {}
    for s, value in enumerate(e.values[: len(e.tape)]):
        values[s] = _room(summary(value, 18)) + ("   " + _room(_adjoint(e, s)) if e.adjoints[s] >= 0 else "")
    for i, slots in enumerate(e.partials):
        for k, slot in enumerate(slots):
            if slot >= 0:
                partials[i, k] = summary(e.values[slot], 14)
    return Labels(names=e.interface.labels(), values=values, partials=partials)


def _adjoint(e: Explanation, slot: int) -> str:
    value = e.values[e.adjoints[slot]]
    return figure(value.reshape(())) if value.size == 1 else summary(value, 18)


def _room(text: str) -> str:
    return text.ljust(min(_WIDE, 9))
