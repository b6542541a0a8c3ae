"""Warnings about a fit, at the line that called it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from tapegrad.errors import FitWarning


def warn_of_ignored(names: Iterable[str], frames: int) -> None:
    """Name parameters on which the loss does not depend: nearly always a mistake.

    `frames`: how far up the line is that called `fit`.
    """
    for name in names:
        text = f"fit: the loss does not depend on {name}, which will not change"
        warnings.warn(text, FitWarning, stacklevel=frames + 1)
