"""Nonlinear conjugate gradients: two vectors of memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from tapegrad.optimizers.line_search import search
from tapegrad.optimizers.minimizer import STUCK, Minimizer, Origin, State, dot, norm, stopped
from tapegrad.optimizers.problem import Problem

_GROWTH: Final = 10.0  # of the first step to try over the one before


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ConjugateGradientsState(State):
    """`direction` is where the next step goes, `guess` the length of it that is tried first."""

    direction: Any
    guess: float


@final
@dataclass(frozen=True, kw_only=True)
class ConjugateGradients(Minimizer[Problem, ConjugateGradientsState]):
    """Conjugate gradients after Polak and Ribière, restarted; for losses whose parameters fill the memory.

    The factor of the direction before is max(0, beta), and 0 where successive gradients are far from orthogonal
    (Powell's restart) or the direction would not descend.

    Args:
        restart: the cosine of successive gradients from which on it starts anew, relative to the newer one (nu in
            eq. 5.52).
        sufficient: constant c1 of the Wolfe conditions.
        curvature: constant c2 of the Wolfe conditions, below 1/2.

    Tolerances: see `Minimizer`. Raises `SettingError` for settings that make no sense.

    Source: Nocedal & Wright, Numerical Optimization (2nd ed., 2006), section 5.2: algorithm 5.4 with eqs. 5.45 and
    5.52; first lengths by eq. 3.60's reasoning, that the decrease to first order is the one before.

    >>> import numpy as np
    >>> problem = Problem(lambda x: np.sum(np.array([1.0, 10.0]) * (x - 1.0) ** 2), np.zeros(2))
    >>> optimizer = ConjugateGradients()
    >>> state = optimizer.init(problem)
    >>> while not state.stopped:
    ...     state = optimizer.update(problem, state)
    >>> problem.restore(state.point).round(6)
    array([1., 1.])
    """

    restart: float = 0.1
    sufficient: float = 1e-4
    curvature: float = 0.1

    def __post_init__(self) -> None:
        self.require("restart", 0)
        self.require("sufficient", 0, 0.5)
        self.require("curvature", self.sufficient, 0.5)

    def init(self, problem: Problem) -> ConjugateGradientsState:
        """The state at the problem's start; the first direction is downhill."""
        at = Origin.of(problem, self.gradient_tolerance)
        downhill = -at.gradient.astype(np.float64)
        return ConjugateGradientsState(
            point=at.point,
            value=at.value,
            gradient=at.gradient,
            stopped=at.stopped,
            direction=downhill,
            guess=_first(downhill),
        )

    def update(self, problem: Problem, state: ConjugateGradientsState) -> ConjugateGradientsState:
        """One step along the state's direction; where there is none, once more downhill."""
        if state.stopped:
            return state
        found, evaluations = search(
            problem, state, state.direction, guess=state.guess, sufficient=self.sufficient, curvature=self.curvature
        )
        if found is None:
            downhill = -state.gradient.astype(np.float64)
            if np.array_equal(state.direction, downhill):
                return stopped(state, STUCK, evaluations)
            anew = replace(state, direction=downhill, guess=_first(downhill))
            return self.update(problem, replace(anew, evaluations=state.evaluations + evaluations))
        onward = self.conjugate(state, found.gradient)
        slope, before = dot(onward, found.gradient), dot(state.direction, state.gradient)
        after = ConjugateGradientsState(
            point=found.point,
            value=found.value,
            gradient=found.gradient,
            iterations=state.iterations + 1,
            evaluations=state.evaluations + evaluations,
            direction=onward,
            guess=found.length * min(before / slope, _GROWTH) if slope < 0 else found.length,
        )
        return replace(after, stopped=self.reason(state, after))

    def conjugate(self, state: ConjugateGradientsState, gradient: Any) -> Any:
        """The direction after a step to where the gradient is the given one."""
        g = gradient.astype(np.float64)
        downhill = -g
        if abs(dot(g, state.gradient)) >= self.restart * dot(g, g):
            return downhill
        beta = max(0.0, dot(g, g - state.gradient) / dot(state.gradient, state.gradient))
        onward = downhill + beta * state.direction
        return onward if dot(onward, g) < 0 else downhill


def _first(downhill: Any) -> float:
    """Nothing is known of the scale yet: no longer than 1."""
    length = norm(downhill)
    return min(1.0, 1.0 / length) if length else 1.0
