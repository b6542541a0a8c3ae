"""Learning rates that change: functions of the number of steps taken, to be given as an optimiser's `rate`.

Any function of an integer will do; these can be compared and printed, which a checkpoint asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, pi
from typing import TypeAlias

from tapegrad.errors import SettingError, describe

Rate: TypeAlias = float | Callable[[int], float]


def rate_at(rate: Rate, step: int) -> float:
    """A rate, or a schedule's at a step."""
    return float(rate(step)) if callable(rate) else float(rate)


def _require_steps(schedule: object, steps: float) -> None:
    if not steps > 0:
        found = f"steps={steps!r}"
        raise SettingError(describe(type(schedule).__name__, found=found, wanted="a positive number"))


@dataclass(frozen=True, slots=True)
class Exponential:
    """`start` times `factor` to the power of step / `steps`.

    >>> Exponential(0.1, factor=0.5, steps=100)(200)
    0.025
    """

    start: float
    factor: float
    steps: float

    def __post_init__(self) -> None:
        _require_steps(self, self.steps)

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return float(self.start * self.factor ** (step / self.steps))


@dataclass(frozen=True, slots=True)
class Cosine:
    """From `start` to `end` along half a cosine, in `steps` steps; `end` after that.

    Source: Loshchilov & Hutter, SGDR: stochastic gradient descent with warm restarts (2017), equation 5.

    >>> Cosine(0.1, steps=100)(50)
    0.05
    """

    start: float
    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        _require_steps(self, self.steps)

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        gone = min(step / self.steps, 1.0)
        return self.end + (self.start - self.end) * (1 + cos(pi * gone)) / 2


@dataclass(frozen=True, slots=True)
class Steps:
    """`start`, multiplied by `factor` at each of the `at` steps.

    >>> [Steps(0.1, at=(10, 20), factor=0.5)(k) for k in (9, 10, 20)]
    [0.1, 0.05, 0.025]
    """

    start: float
    at: tuple[int, ...]
    factor: float = 0.1

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return float(self.start * self.factor ** sum(step >= k for k in self.at))


@dataclass(frozen=True, slots=True)
class Warmup:
    """Rises to the rate of `then` in `steps` steps, in a straight line; that rate after them.

    Source: Goyal et al., Accurate, large minibatch SGD (2017), section 2.2.

    >>> [Warmup(4, then=0.1)(k) for k in (0, 1, 4)]
    [0.025, 0.05, 0.1]
    """

    steps: int
    then: Rate

    def __post_init__(self) -> None:
        _require_steps(self, self.steps)

    def __call__(self, step: int) -> float:
        """The rate of a step, counted from 0."""
        return rate_at(self.then, step) * min(1.0, (step + 1) / self.steps)
