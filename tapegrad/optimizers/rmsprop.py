"""RMSProp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tapegrad.optimizers import updates
from tapegrad.optimizers.optimizer import Optimizer, Rule, require, require_rate
from tapegrad.optimizers.schedules import Rate


@final
@dataclass(frozen=True, slots=True)
class RMSProp(Optimizer):
    """x -= rate * gradient / (sqrt(s) + epsilon), where s = keep * s + (1 - keep) * gradient**2.

    Args:
        rate: the learning rate, a number or a schedule.
        keep: how much of the running mean of squares is kept, 0 up to below 1.
        epsilon: keeps the divisor from 0.

    Source: Tieleman & Hinton, Neural networks for machine learning, lecture 6.5 (2012).
    """

    rate: Rate = 1e-2
    keep: float = 0.99
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require_rate(self)
        require(self, "keep", self.keep, 0, 1, "a number from 0 to below 1")
        require(self, "epsilon", self.epsilon, 0, float("inf"), "a number of 0 or more")

    @property
    def moments(self) -> int:
        """The mean of squares."""
        return 1

    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""
        return Rule(updates.rmsprop, updates.rmsprop_rows, (self.rate_at(step), self.keep, self.epsilon))
