"""Adam, and AdamW."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import final

from tapegrad.optimizers import updates
from tapegrad.optimizers.optimizer import Optimizer, Rule, require, require_rate
from tapegrad.optimizers.schedules import Rate


@final
@dataclass(frozen=True, slots=True)
class Adam(Optimizer):
    """x -= rate * m' / (sqrt(v') + epsilon), m' and v' the unbiased running means of gradient and square.

    m = keep_mean * m + (1 - keep_mean) * gradient and m' = m / (1 - keep_mean**t) at step t = 1, 2, ...; v likewise
    with keep_square.

    Args:
        rate: the learning rate, a number or a schedule.
        keep_mean, keep_square: how much of the running means is kept, 0 up to below 1: beta1 and beta2 of the paper.
        epsilon: keeps the divisor from 0.

    Source: Kingma & Ba, Adam: a method for stochastic optimization (2015), algorithm 1.
    """

    rate: Rate = 1e-3
    keep_mean: float = 0.9
    keep_square: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _require(self)

    @property
    def moments(self) -> int:
        """The running means of gradient and square."""
        return 2

    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""
        return _rule(self, step, 1.0)


@final
@dataclass(frozen=True, slots=True)
class AdamW(Optimizer):
    """Adam after x *= 1 - rate * decay: parameters decay by themselves, not through the gradient.

    Args:
        rate, keep_mean, keep_square, epsilon: as for `Adam`.
        decay: the factor of decay.

    Source: Loshchilov & Hutter, Decoupled weight decay regularization (2019), algorithm 2, where decay counts with
    the learning rate.
    """

    rate: Rate = 1e-3
    keep_mean: float = 0.9
    keep_square: float = 0.999
    epsilon: float = 1e-8
    decay: float = 1e-2

    def __post_init__(self) -> None:
        _require(self)
        require(self, "decay", self.decay, 0, float("inf"), "a number of 0 or more")

    @property
    def moments(self) -> int:
        """The running means of gradient and square."""
        return 2

    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""
        return _rule(self, step, 1.0 - self.rate_at(step) * self.decay)


def _require(optimizer: Adam | AdamW) -> None:
    require_rate(optimizer)
    require(optimizer, "keep_mean", optimizer.keep_mean, 0, 1, "a number from 0 to below 1")
    require(optimizer, "keep_square", optimizer.keep_square, 0, 1, "a number from 0 to below 1")
    require(optimizer, "epsilon", optimizer.epsilon, 0, float("inf"), "a number of 0 or more")


def _rule(optimizer: Adam | AdamW, step: int, shrink: float) -> Rule:
    """The means are not divided by what they lack, but the rate and the root are."""
    lacks_mean = 1.0 - optimizer.keep_mean ** (step + 1)
    lacks_square = 1.0 - optimizer.keep_square ** (step + 1)
    rate = optimizer.rate_at(step) / lacks_mean
    settings = (rate, shrink, optimizer.keep_mean, optimizer.keep_square, 1 / sqrt(lacks_square), optimizer.epsilon)
    return Rule(updates.adam, updates.adam_rows, settings)
