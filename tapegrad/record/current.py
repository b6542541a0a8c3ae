"""The recording that is under way, for functions that make arrays of nothing: `tapegrad.numpy.zeros` and its like."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder

CURRENT: Final[ContextVar[Recorder | None]] = ContextVar("recording", default=None)
