"""Full-batch methods as pure functions: `init` gives a state, `update` the state after one iteration.

Steps are judged by three tolerances, all relative to something, so that they mean the same for any scale of the loss
but `gradient_tolerance` of a loss that has none of its own (a residual problem has: see `gauss_newton`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, Protocol, TypeVar

import numpy as np

from tapegrad.errors import SettingError, describe
from tapegrad.optimizers.problem import Problem

FLAT: Final = "the gradient is below its tolerance"
SHORT: Final = "the step is below its tolerance"
LEVEL: Final = "the decrease is below its tolerance"
STUCK: Final = "no step along the direction decreases the loss"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class State:
    """Where a minimiser is.

    Attributes:
        point, value, gradient: the parameters as a vector, the loss there, its gradient there.
        iterations: how many `update`s there were.
        evaluations: how often the loss was computed.
        stopped: empty while there is something left to do, else why not.
    """

    point: Any
    value: float
    gradient: Any
    iterations: int = 0
    evaluations: int = 1
    stopped: str = ""


class Restoring(Protocol):
    """What gives nested parameters of a vector: a `Problem` or `Residuals`."""

    def restore(self, point: Any) -> Any:
        """Nested parameters."""


P = TypeVar("P", bound=Restoring)
S = TypeVar("S", bound=State)


@dataclass(frozen=True, kw_only=True)
class Minimizer(ABC, Generic[P, S]):
    """The settings of a method; what changes is in its state.

    Args:
        gradient_tolerance: stop where no entry of the gradient is larger in magnitude.
        step_tolerance: stop after a step that is shorter than this times the length of the point.
        decrease_tolerance: stop after a step that decreases the loss by less than this times its magnitude.

    A method that cannot go on stops by itself, so a tolerance of 0 is allowed.
    """

    gradient_tolerance: float = 1e-6
    step_tolerance: float = 1e-14
    decrease_tolerance: float = 0.0

    @abstractmethod
    def init(self, problem: P) -> S:
        """The state at the problem's start. Raises `NonFiniteError` where the loss or its gradient is not finite."""

    @abstractmethod
    def update(self, problem: P, state: S) -> S:
        """The state after one more iteration; a state that is stopped is given back as it is."""

    def require(self, name: str, least: float, most: float = np.inf) -> None:
        """Raise `SettingError` if a setting is outside the open interval that it must be in."""
        found = getattr(self, name)
        if not least < found < most:
            wanted = f"a number above {least:g}" + (f" and below {most:g}" if most < np.inf else "")
            raise SettingError(describe(type(self).__name__, found=f"{name}={found!r}", wanted=wanted))

    def reason(self, before: State, after: State) -> str:
        """Why to stop after a step; empty if there is no reason."""
        if largest(after.gradient) <= self.gradient_tolerance:
            return FLAT
        if norm(after.point - before.point) <= self.step_tolerance * norm(before.point):
            return SHORT
        if before.value - after.value < self.decrease_tolerance * max(abs(before.value), abs(after.value)):
            return LEVEL
        return ""


@dataclass(frozen=True, slots=True)
class Origin:
    """The first evaluation of a problem."""

    point: Any
    value: float
    gradient: Any
    stopped: str

    @classmethod
    def of(cls, problem: Problem, tolerance: float) -> Origin:
        """Evaluate a problem at its start; stopped already where the gradient is small enough."""
        point = problem.start.copy()
        value, gradient = problem.value_and_gradient(point)
        if not finite(value, gradient):
            problem.require_finite(point)
        return cls(point, value, gradient, FLAT if largest(gradient) <= tolerance else "")


def descend(
    problem: P, minimizer: Minimizer[P, S], *, max_iterations: int = 1000, callback: Callable[[S], Any] | None = None
) -> tuple[Any, S]:
    """Update until the minimiser stops.

    Args:
        problem: a `Problem`, or `Residuals` for `LevenbergMarquardt` and `GaussNewton`.
        minimizer: the method and its settings.
        max_iterations: updates after which the state is given back as it is, not stopped.
        callback: called with each state, the first one too; where it returns True there are no more updates.

    Returns:
        The parameters, in the container they were given in, and the last state.

    >>> import numpy as np, tapegrad as tg
    >>> from tapegrad.optimizers.lbfgs import LBFGS
    >>> problem = Problem(lambda p: (p["x"] - 3.0) ** 2 + 1.0, {"x": 0.0})
    >>> params, state = descend(problem, LBFGS())
    >>> params, state.value, state.stopped
    ({'x': 3.0}, 1.0, 'the gradient is below its tolerance')
    """
    state = minimizer.init(problem)
    first = state.iterations
    while not (callback is not None and callback(state) is True):
        if state.stopped or state.iterations - first >= max_iterations:
            break
        state = minimizer.update(problem, state)
    return problem.restore(state.point), state


def stopped(state: S, why: str, evaluations: int = 0) -> S:
    """The state, with a reason to go no further."""
    return replace(state, stopped=why, evaluations=state.evaluations + evaluations)


def largest(vector: Any) -> float:
    """The largest magnitude of an entry."""
    return float(np.max(np.abs(vector), initial=0.0))


def norm(vector: Any) -> float:
    """The Euclidean length, in float64."""
    return float(np.sqrt(dot(vector, vector)))


def dot(one: Any, other: Any) -> float:
    """The inner product, in float64: float32 vectors lose digits, or overflow, where it is summed in theirs."""
    return float(np.dot(np.asarray(one, np.float64), np.asarray(other, np.float64)))


def finite(value: float, vector: Any) -> bool:
    """Are a value and all entries of a vector finite?"""
    return bool(np.isfinite(value)) and bool(np.isfinite(vector).all())
