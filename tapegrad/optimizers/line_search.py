"""Steps along a direction that satisfy the strong Wolfe conditions.

Nocedal & Wright, Numerical Optimization (2nd ed., 2006), algorithms 3.5 and 3.6, with cubic interpolation (eq. 3.59):
here a point's slope comes with its value, in one sweep. That, and points where the loss is nan, which must not be taken
for points where it falls, is why `scipy.optimize.line_search` was of no use: it interpolates values alone and gives up
after ten points, a thousandth of a first guess that is too long. Where decreases drown in rounding, slopes tell: a step
is taken if it meets the approximate Wolfe conditions (Hager & Zhang, SIAM J. Optim. 16 (2005), eq. 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.optimizers.minimizer import State, dot, finite
from tapegrad.optimizers.problem import Problem

_MOST: Final = 60  # points on a line
_GROWTH: Final = (2.0, 10.0)  # of a step that is too short: at least, at most
_MARGIN: Final = 0.1  # of an interval, near its ends, where no new point is put
_INSIDE: Final = 0.2  # where to go from a point towards one where there is no value
_SHRUNK: Final = 0.66  # two points that leave more of an interval are followed by its middle
_ROUNDING: Final = 16  # units in the last place by which a value may be wrong


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A point on the line.

    Attributes:
        length: how far along the direction.
        slope: the derivative of the loss by the length.
    """

    length: float
    point: Any
    value: float
    gradient: Any
    slope: float


@dataclass(slots=True, eq=False)
class Line:
    """A loss along a direction.

    Attributes:
        problem: the loss.
        origin: the point that the line starts from.
        direction: a direction of descent.
        sufficient, curvature: the constants c1 and c2 of the Wolfe conditions.
        evaluations: how many points were computed.
    """

    problem: Problem
    origin: Trial
    direction: Any
    sufficient: float
    curvature: float
    evaluations: int = 0

    def at(self, length: float) -> Trial:
        """A point; its value is infinite where it, or its gradient, is not finite."""
        start = self.origin.point
        with np.errstate(over="ignore", invalid="ignore"):
            point = start + (length * self.direction).astype(start.dtype, copy=False)
        value, gradient = self.problem.value_and_gradient(point)
        self.evaluations += 1
        if not finite(value, gradient):
            value, gradient = np.inf, np.zeros_like(gradient)
        return Trial(length, point, value, gradient, dot(gradient, self.direction))

    def level(self, trial: Trial) -> bool:
        """Is a value the first one but for rounding?"""
        eps = float(np.finfo(self.origin.point.dtype).eps)
        return abs(trial.value - self.origin.value) <= _ROUNDING * eps * abs(self.origin.value)

    def decreases(self, trial: Trial) -> bool:
        """Does a point decrease the loss enough? Where that cannot be told by values, its slope may."""
        first = self.origin
        if trial.value <= first.value + self.sufficient * trial.length * first.slope:
            return True
        return self.level(trial) and trial.slope <= (2 * self.sufficient - 1) * first.slope

    def curves(self, trial: Trial) -> bool:
        """Is the slope flat enough?"""
        return abs(trial.slope) <= -self.curvature * self.origin.slope

    def lower(self, trial: Trial, other: Trial) -> bool:
        """Is a point lower than another? Where that cannot be told by values, as far as slopes go."""
        return trial.value < other.value or (self.level(trial) and self.level(other))


def search(
    problem: Problem, state: State, direction: Any, *, guess: float, sufficient: float, curvature: float
) -> tuple[Trial | None, int]:
    """A step along a direction that decreases the loss, and how often that was computed.

    Args:
        problem: the loss.
        state: where to start.
        direction: a direction of descent.
        guess: the length to try first.
        sufficient: the constant c1 of the Wolfe conditions.
        curvature: their constant c2.

    Returns:
        A point that satisfies the strong Wolfe conditions; where none is found the lowest that decreases the loss
        enough, None if none does.
    """
    origin = Trial(0.0, state.point, state.value, state.gradient, dot(state.gradient, direction))
    if not (origin.slope < 0 and np.isfinite(origin.slope)):
        return None, 0
    line = Line(problem, origin, direction, sufficient, curvature)
    found = _searched(line, guess)
    return (None if found is origin else found), line.evaluations


def _searched(line: Line, guess: float) -> Trial:
    """The step; the origin where there is none.

    `low` is the lowest point so far that decreases enough; towards `high` there is one that meets both conditions.
    """
    before = low = line.origin
    high: Trial | None = None
    length, widths = guess, [np.inf, np.inf]
    for _ in range(_MOST):
        trial = line.at(length)
        if not line.decreases(trial) or (low is not line.origin and not line.lower(trial, low)):
            high = trial
        elif line.curves(trial):
            return trial
        else:
            if trial.slope * ((length if high is None else high.length) - low.length) >= 0:
                high = low
            before, low = low, trial
        if high is None:
            length = _extended(before, trial)
            continue
        width = abs(high.length - low.length)
        if width <= np.finfo(np.float64).eps * max(high.length, low.length):
            break
        length = _middle(low, high) if width > _SHRUNK * widths[0] else _between(low, high)
        widths = [widths[1], width]
    return low


def _extended(before: Trial, trial: Trial) -> float:
    """Beyond a point where the loss still falls: where its slope would be 0 at this rate."""
    bend = trial.slope - before.slope
    wanted = trial.length - trial.slope * (trial.length - before.length) / bend if bend > 0 else np.inf
    return float(np.clip(wanted, _GROWTH[0] * trial.length, _GROWTH[1] * trial.length))


def _middle(low: Trial, high: Trial) -> float:
    return low.length + (0.5 if high.value < np.inf else _INSIDE) * (high.length - low.length)


def _between(low: Trial, high: Trial) -> float:
    """The minimum of the cubic through two points with their slopes, not too near either (N&W eq. 3.59)."""
    if high.value == np.inf:
        return _middle(low, high)
    width = high.length - low.length
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        d = low.slope + high.slope - 3 * np.float64(high.value - low.value) / width
        root = np.copysign(np.sqrt(d * d - low.slope * high.slope), width)
        share = 1 - (high.slope + root - d) / (high.slope - low.slope + 2 * root)
    if not np.isfinite(share):
        return _middle(low, high)
    return low.length + float(np.clip(share, _MARGIN, 1 - _MARGIN)) * width
