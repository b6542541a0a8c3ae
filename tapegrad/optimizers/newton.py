"""Newton's method with conjugate gradients inside, which need Hessian-vector products only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, final

import numpy as np

from tapegrad.optimizers.line_search import search
from tapegrad.optimizers.minimizer import STUCK, Minimizer, Origin, State, dot, norm, stopped
from tapegrad.optimizers.problem import Problem

_FIRST: Final = 0.5  # the forcing of the first iteration, and the largest of all
_GAMMA: Final = 0.9  # Eisenstat and Walker's constants
_POWER: Final = (1 + 5**0.5) / 2
_SAFE: Final = 0.1  # a forcing falls no faster than by its power while that is above this


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class NewtonCGState(State):
    """`forcing` is how small the residual of the next Newton system must become; `products` with the Hessian so far."""

    forcing: float
    products: int = 0


@final
@dataclass(frozen=True, kw_only=True)
class NewtonCG(Minimizer[Problem, NewtonCGState]):
    """Truncated Newton: few iterations, each of several Hessian-vector products; goes to high accuracy.

    The Newton system is solved by conjugate gradients until its residual is below the forcing times the gradient, or a
    direction of negative curvature is met: then the step is what was reached so far, downhill at first.

    Args:
        forcing: a constant forcing; None for Eisenstat and Walker's, which becomes small as the gradient does.
        most_products: Hessian-vector products in one iteration; None for twice as many as there are parameters.
        sufficient: constant c1 of the Wolfe conditions.
        curvature: constant c2 of the Wolfe conditions.

    Tolerances: see `Minimizer`. Raises `SettingError` for settings that make no sense.

    Source: Nocedal & Wright, Numerical Optimization (2nd ed., 2006), algorithm 7.1; Eisenstat & Walker, Choosing the
    forcing terms in an inexact Newton method, SIAM J. Sci. Comput. 17 (1996), choice 2.

    >>> import numpy as np
    >>> problem = Problem(lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2, np.array([-1.2, 1.0]))
    >>> optimizer = NewtonCG()
    >>> state = optimizer.init(problem)
    >>> while not state.stopped:
    ...     state = optimizer.update(problem, state)
    >>> problem.restore(state.point).round(6)
    array([1., 1.])
    """

    forcing: float | None = None
    most_products: int | None = None
    sufficient: float = 1e-4
    curvature: float = 0.9

    def __post_init__(self) -> None:
        if self.forcing is not None:
            self.require("forcing", 0, 1)
        if self.most_products is not None:
            self.require("most_products", 0)
        self.require("sufficient", 0, 1)
        self.require("curvature", self.sufficient, 1)

    def init(self, problem: Problem) -> NewtonCGState:
        """The state at the problem's start."""
        at = Origin.of(problem, self.gradient_tolerance)
        forcing = _FIRST if self.forcing is None else self.forcing
        return NewtonCGState(point=at.point, value=at.value, gradient=at.gradient, stopped=at.stopped, forcing=forcing)

    def update(self, problem: Problem, state: NewtonCGState) -> NewtonCGState:
        """One Newton step."""
        if state.stopped:
            return state
        direction, products = self.direction(problem, state)
        found, evaluations = search(
            problem, state, direction, guess=1.0, sufficient=self.sufficient, curvature=self.curvature
        )
        if found is None:
            downhill = -state.gradient.astype(np.float64)
            found, more = search(
                problem,
                state,
                downhill,
                guess=1.0 / max(1.0, norm(downhill)),
                sufficient=self.sufficient,
                curvature=self.curvature,
            )
            evaluations += more
        if found is None:
            return replace(stopped(state, STUCK, evaluations), products=state.products + products)
        after = NewtonCGState(
            point=found.point,
            value=found.value,
            gradient=found.gradient,
            iterations=state.iterations + 1,
            evaluations=state.evaluations + evaluations,
            forcing=self._forced(state, found.gradient),
            products=state.products + products,
        )
        return replace(after, stopped=self.reason(state, after))

    def direction(self, problem: Problem, state: NewtonCGState) -> tuple[Any, int]:
        """An approximate solution of the Newton system, and how many products it took."""
        most = self.most_products or 2 * len(state.point)
        return truncated(
            lambda d: problem.product(state.point, d), state.gradient.astype(np.float64), state.forcing, most
        )

    def _forced(self, state: NewtonCGState, gradient: Any) -> float:
        """The forcing of the next system: by how much the gradient became smaller, to a power."""
        if self.forcing is not None:
            return self.forcing
        chosen: float = _GAMMA * (norm(gradient) / norm(state.gradient)) ** _POWER
        safe: float = _GAMMA * state.forcing**_POWER
        return min(max(chosen, safe) if safe > _SAFE else chosen, _FIRST)


def truncated(product: Callable[[Any], Any], gradient: Any, forcing: float, most: int) -> tuple[Any, int]:
    """Conjugate gradients on the Newton system, stopped early (the inner loop of algorithm 7.1).

    Args:
        product: the Hessian times a direction.
        gradient: float64; the system is Hessian * step = -gradient.
        forcing: the residual wanted, over the gradient's length.
        most: products at most.

    Returns:
        The step, always one of descent, and the number of products.
    """
    step, residual, direction = np.zeros_like(gradient), gradient.copy(), -gradient
    square = dot(residual, residual)
    wanted = forcing * np.sqrt(square)
    for count in range(1, most + 1):
        image = np.asarray(product(direction), np.float64)
        curvature = dot(direction, image)
        if not curvature > 0:  # nan, too
            return (direction if count == 1 else step), count
        length = square / curvature
        step += length * direction
        residual += length * image
        before, square = square, dot(residual, residual)
        if np.sqrt(square) <= wanted:
            return step, count
        direction = -residual + square / before * direction
    return step, most
