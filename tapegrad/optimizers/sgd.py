"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tapegrad.optimizers import updates
from tapegrad.optimizers.optimizer import Optimizer, Rule, require, require_rate
from tapegrad.optimizers.schedules import Rate


@final
@dataclass(frozen=True, slots=True)
class SGD(Optimizer):
    """Gradient descent: x -= rate * v, where v = momentum * v + gradient.

    Args:
        rate: the learning rate, a number or a schedule.
        momentum: how much of v is kept, 0 up to below 1.
        nesterov: whether the step is rate * (momentum * v + gradient), with v as it is after this step.

    Source: Polyak, Some methods of speeding up the convergence of iteration methods (1964); Sutskever et al., On the
    importance of initialization and momentum in deep learning (2013), section 2.
    """

    rate: Rate = 1e-2
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        require_rate(self)
        require(self, "momentum", self.momentum, 0, 1, "a number from 0 to below 1")

    @property
    def moments(self) -> int:
        """The velocity, with momentum."""
        return int(self.momentum > 0)

    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""
        rate = self.rate_at(step)
        if not self.momentum:
            return Rule(updates.descend, updates.descend_rows, (rate,))
        return Rule(updates.momentum, updates.momentum_rows, (rate, self.momentum, float(self.nesterov)))
