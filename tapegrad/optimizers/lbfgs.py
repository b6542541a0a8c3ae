"""L-BFGS: quasi-Newton steps from the last few changes of the gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from tapegrad.optimizers.line_search import search
from tapegrad.optimizers.minimizer import STUCK, Minimizer, Origin, State, dot, norm, stopped
from tapegrad.optimizers.problem import Problem
from tapegrad.optimizers.updates import add


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LBFGSState(State):
    """`steps` and `changes` are the last changes of the point and of the gradient, the oldest first.

    `products` are the inner products of each step with its change.
    """

    steps: tuple[Any, ...] = ()
    changes: tuple[Any, ...] = ()
    products: tuple[float, ...] = ()


@final
@dataclass(frozen=True, kw_only=True)
class LBFGS(Minimizer[Problem, LBFGSState]):
    """Limited-memory BFGS with a strong-Wolfe line search: the first choice for a smooth loss of many parameters.

    Args:
        memory: how many of the last changes are kept; an iteration costs 4 * memory * size flops beside the loss.
        sufficient: constant c1 of the Wolfe conditions.
        curvature: constant c2 of the Wolfe conditions.

    Tolerances: see `Minimizer`. Raises `SettingError` for settings that make no sense.

    Source: Nocedal & Wright, Numerical Optimization (2nd ed., 2006), algorithms 7.4 and 7.5, and eq. 7.20; Liu &
    Nocedal, Math. Programming 45 (1989).

    >>> import numpy as np
    >>> problem = Problem(lambda x: np.sum((x - np.arange(4.0)) ** 4 + x**2), np.ones(4))
    >>> optimizer = LBFGS()
    >>> state = optimizer.init(problem)
    >>> while not state.stopped:
    ...     state = optimizer.update(problem, state)
    >>> problem.restore(state.point).round(4)
    array([0.    , 0.4102, 1.1649, 2.    ])
    """

    memory: int = 10
    sufficient: float = 1e-4
    curvature: float = 0.9

    def __post_init__(self) -> None:
        self.require("memory", 0)
        self.require("sufficient", 0, 1)
        self.require("curvature", self.sufficient, 1)

    def init(self, problem: Problem) -> LBFGSState:
        """The state at the problem's start: no changes are known yet."""
        at = Origin.of(problem, self.gradient_tolerance)
        return LBFGSState(point=at.point, value=at.value, gradient=at.gradient, stopped=at.stopped)

    def update(self, problem: Problem, state: LBFGSState) -> LBFGSState:
        """One step along `direction`; where there is none, once more without memory."""
        if state.stopped:
            return state
        # Without memory nothing is known of the scale: the first step is no longer than 1.
        guess = 1.0 if state.steps else 1.0 / max(1.0, norm(state.gradient))
        found, evaluations = search(
            problem, state, direction(state), guess=guess, sufficient=self.sufficient, curvature=self.curvature
        )
        if found is None:
            if not state.steps:
                return stopped(state, STUCK, evaluations)
            return self.update(
                problem, replace(state, steps=(), changes=(), products=(), evaluations=state.evaluations + evaluations)
            )
        steps, changes, products = self._remembered(state, found.point - state.point, found.gradient - state.gradient)
        after = LBFGSState(
            point=found.point,
            value=found.value,
            gradient=found.gradient,
            iterations=state.iterations + 1,
            evaluations=state.evaluations + evaluations,
            steps=steps,
            changes=changes,
            products=products,
        )
        return replace(after, stopped=self.reason(state, after))

    def _remembered(
        self, state: LBFGSState, step: Any, change: Any
    ) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[float, ...]]:
        """The changes with one more, unless that would make the Hessian's estimate indefinite by rounding."""
        product = dot(step, change)
        if product <= np.finfo(step.dtype).eps * dot(change, change):
            return state.steps, state.changes, state.products
        steps, changes, products = (*state.steps, step), (*state.changes, change), (*state.products, product)
        return steps[-self.memory :], changes[-self.memory :], products[-self.memory :]


def direction(state: LBFGSState) -> Any:
    """Minus the estimate of the inverse Hessian times the gradient, by the two-loop recursion (algorithm 7.4).

    Vectors may be long, and then memory is what takes the time: each addition is made in place, and in the same pass
    takes the inner product that the next one wants.
    """
    q = state.gradient.astype(np.float64)
    steps, changes, products = state.steps, state.changes, state.products
    if not steps:
        return np.negative(q, out=q)
    factors, slope = [], dot(steps[-1], q)
    for k in range(len(steps) - 1, -1, -1):
        factors.append(slope / products[k])
        slope = add(q, changes[k], -factors[-1], steps[k - 1] if k else changes[0])
    scale = products[-1] / dot(changes[-1], changes[-1])
    q *= scale
    slope *= scale
    for k, factor in enumerate(reversed(factors)):
        slope = add(q, steps[k], factor - slope / products[k], changes[min(k + 1, len(steps) - 1)])
    return np.negative(q, out=q)
