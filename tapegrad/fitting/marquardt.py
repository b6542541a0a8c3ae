"""`least_squares` by our own Levenberg-Marquardt: the same arguments and the same kind of result as SciPy's methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tapegrad.fitting.minimize import takes_result
from tapegrad.fitting.start import Start
from tapegrad.optimizers.gauss_newton import LevenbergMarquardt
from tapegrad.optimizers.minimizer import FLAT, LEVEL, SHORT, descend
from tapegrad.optimizers.residuals import Residuals

NAME: Final = "levenberg-marquardt"
_MOST: Final = 100  # evaluations for each parameter, at the least 1000, where nothing is said
_STATUS: Final = ((FLAT, 1), (LEVEL, 2), (SHORT, 3))  # SciPy's numbers


def solve(
    function: Callable[..., Any],
    start: Start,
    *,
    ftol: float | None,
    xtol: float | None,
    gtol: float | None,
    max_nfev: int | None,
    sparse: bool | None,
    callback: Callable[..., Any] | None,
) -> Any:
    """A result like SciPy's, with a vector of parameters.

    Args:
        function: the residuals of nested parameters.
        start: where to start.
        ftol, xtol, gtol: relative decrease of the cost, relative length of the scaled step, cosine between residuals
            and columns of the Jacobian, at which to stop; None for 0.
        max_nfev: the most evaluations.
        sparse: whether the Jacobian is sparse; None for whatever suits.
        callback: SciPy's, of the vector or of a result on the way; stops by raising StopIteration.
    """
    from scipy.optimize import OptimizeResult

    problem = Residuals(function, start.flat.views(start.vector), sparse=sparse)
    most = max(1000, _MOST * start.flat.size) if max_nfev is None else max_nfev
    why = [""]

    def told(state: Any) -> bool:
        if state.evaluations >= most and not state.stopped:
            why[0] = "the maximum number of function evaluations is reached"
        if callback is not None and state.iterations:
            try:
                if takes_result(callback):
                    now = OptimizeResult(x=state.point, fun=state.residuals, cost=state.value, nit=state.iterations)
                    callback(intermediate_result=now)
                else:
                    callback(state.point)
            except StopIteration:
                why[0] = why[0] or "the callback asked for it"
        return bool(why[0])

    method = LevenbergMarquardt(
        decrease_tolerance=ftol or 0.0, step_tolerance=xtol or 0.0, gradient_tolerance=gtol or 0.0
    )
    _, state = descend(problem, method, max_iterations=most, callback=told)
    reason = state.stopped or why[0]
    status = next((number for text, number in _STATUS if text == reason), 0)
    return OptimizeResult(
        x=state.point,
        cost=state.value,
        fun=state.residuals,
        jac=state.jacobian,
        grad=state.gradient,
        optimality=float(np.max(np.abs(state.gradient), initial=0.0)),
        active_mask=np.zeros(start.flat.size, int),
        nfev=state.evaluations,
        njev=state.jacobians,
        nit=state.iterations,
        status=status,
        message=reason,
        success=status > 0,
    )
