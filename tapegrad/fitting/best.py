"""The best parameters of a fit so far, and how long there has been no improvement."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from tapegrad.fitting.history import Epoch


@dataclass(slots=True)
class Best:
    """What the losses of the epochs say.

    Attributes:
        loss, epoch: the least loss, and the number of the epoch after which the best parameters were found.
        goal, waited: the loss that is to be improved on by enough, and epochs that did not.
    """

    loss: float = inf
    epoch: int = 0
    goal: float = inf
    waited: int = 0

    def see(self, now: Epoch, min_improvement: float) -> bool:
        """Look at an epoch; are its parameters the best?

        By the validation loss, if there is one; without it the last are, and the loss says what improves.
        """
        loss = now.loss if now.validation is None else now.validation
        better = now.validation is None or loss < self.loss or not self.epoch
        if better:
            self.epoch = now.number
        self.loss = min(self.loss, loss)
        self.waited, self.goal = (0, loss) if loss < self.goal - min_improvement else (self.waited + 1, self.goal)
        return better
