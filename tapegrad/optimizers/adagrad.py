"""Adagrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from tapegrad.optimizers import updates
from tapegrad.optimizers.optimizer import Optimizer, Rule, require, require_rate
from tapegrad.optimizers.schedules import Rate


@final
@dataclass(frozen=True, slots=True)
class Adagrad(Optimizer):
    """x -= rate * gradient / (sqrt(s) + epsilon), where s is the sum of all squares of the gradient.

    Args:
        rate: the learning rate, a number or a schedule.
        epsilon: keeps the divisor from 0.

    Source: Duchi, Hazan & Singer, Adaptive subgradient methods, JMLR 12 (2011), figure 1, diagonal.
    """

    rate: Rate = 1e-2
    epsilon: float = 1e-10

    def __post_init__(self) -> None:
        require_rate(self)
        require(self, "epsilon", self.epsilon, 0, float("inf"), "a number of 0 or more")

    @property
    def moments(self) -> int:
        """The sum of squares."""
        return 1

    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""
        return Rule(updates.adagrad, updates.adagrad_rows, (self.rate_at(step), self.epsilon))
