"""When a fit ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.errors import SettingError, describe


@dataclass(frozen=True, slots=True)
class Limits:
    """After how many epochs, or how many of them without an improvement; and whether a bar shows the way there.

    `SettingError` for limits that make no sense.
    """

    epochs: int
    patience: int | None
    min_improvement: float
    progress: bool | None

    def __post_init__(self) -> None:
        for name, least in (("epochs", 0), ("patience", 1)):
            value: Any = getattr(self, name)
            if value is not None and not (isinstance(value, (int, np.integer)) and value >= least):
                wanted = f"a whole number of at least {least}"
                raise SettingError(describe("fit", found=f"{name}={value!r}", wanted=wanted))
        if not self.min_improvement >= 0:
            found = f"min_improvement={self.min_improvement!r}"
            raise SettingError(describe("fit", found=found, wanted="a number of at least 0"))

    def exhausted(self, waited: int) -> str:
        """Why to stop after so many epochs without an improvement; empty if there is no reason."""
        enough = self.patience is not None and waited >= self.patience
        return f"no improvement in {self.patience} epochs" if enough else ""

    @property
    def over(self) -> str:
        """That all epochs are over."""
        return f"{self.epochs} epochs are over"
