"""What a fit returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tapegrad.fitting.history import History, Timings


@dataclass(frozen=True, slots=True, eq=False)
class FitResult:
    """Fitted parameters, and how they were found.

    Attributes:
        params: the best parameters, in the structure and dtypes of those given: of the least validation loss, or the
            last ones where there is no validation data.
        last: the last parameters, at which the fit stopped.
        loss: the loss that speaks for `params`: the validation's, else the last epoch's.
        best: the number of the epoch after which `params` were found, counted from 1.
        history: losses, rates, metrics.
        steps: how many steps were taken.
        stopped: why the fit ended.
        timings: where the time went.
        state: the optimiser's state after the last step.
    """

    params: Any
    last: Any
    loss: float
    best: int
    history: History
    steps: int
    stopped: str
    timings: Timings
    state: Any

    def __repr__(self) -> str:
        epochs = len(self.history)
        return (
            f"FitResult(loss={self.loss:.6g} after epoch {self.best} of {epochs}, {self.steps} steps in "
            f"{self.timings.total:.3g} s; stopped: {self.stopped})"
        )

    def plot(self) -> Any:
        """A picture of the losses, a matplotlib `Figure`; needs the extra `fit`."""
        from tapegrad.fitting.picture import draw

        return draw(self.history)
