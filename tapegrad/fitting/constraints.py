"""Constraints of nested parameters as SciPy takes them: functions of the vector, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import SettingError, UnsupportedError, describe
from tapegrad.fitting.start import Start
from tapegrad.optimizers.vector_function import VectorFunction

DENSE: Final = 1000  # parameters up to which second derivatives are handed over as matrices
_KEYS: Final = frozenset({"type", "fun", "args"})


def flat_constraints(constraints: Any, start: Start, *, second: bool) -> list[Any]:
    """Constraints by the vector.

    Args:
        constraints: one, or a sequence of them: a dict of "type" ("eq" or "ineq"), "fun" and, if wanted, "args"; a
            `scipy.optimize.NonlinearConstraint`, whose function takes nested parameters, too; a
            `scipy.optimize.LinearConstraint`, whose matrix has a column for each entry of the vector.
        start: the parameters.
        second: whether the method uses second derivatives.

    Raises:
        UnsupportedError: a derivative beside the function: it is made here.
        SettingError: what is no constraint.
    """
    from scipy.optimize import LinearConstraint, NonlinearConstraint

    single = isinstance(constraints, (dict, LinearConstraint, NonlinearConstraint))
    if not single and not isinstance(constraints, Sequence):
        raise _wrong(constraints, start)
    found = []
    for each in [constraints] if single else constraints:
        if isinstance(each, NonlinearConstraint):
            found.append(_nonlinear(each, start, second=second))
        elif isinstance(each, LinearConstraint):
            found.append(each)
        elif isinstance(each, dict):
            found.append(_of_dict(each, start, second=second))
        else:
            raise _wrong(each, start)
    return found


def _of_dict(given: dict[str, Any], start: Start, *, second: bool) -> Any:
    from scipy.optimize import NonlinearConstraint

    if given.get("jac") is not None:
        raise _derivative("jac", start)
    kind = given.get("type")
    known = isinstance(kind, str) and kind.lower() in {"eq", "ineq"} and set(given) - {"jac"} <= _KEYS
    if not known or not callable(given.get("fun")):
        raise _wrong(given, start)
    args = given.get("args", ())
    function = VectorFunction(
        given["fun"], start.flat, args if isinstance(args, tuple) else (args,), None, "constraint"
    )
    if not second:
        return {"type": kind, "fun": function.value, "jac": function.jacobian}
    high = 0.0 if str(kind).lower() == "eq" else np.inf  # SciPy's dicts have no place for second derivatives
    return NonlinearConstraint(function.value, 0.0, high, function.jacobian, _hessian(function, start))


def _nonlinear(given: Any, start: Start, *, second: bool) -> Any:
    from scipy.optimize import BFGS, HessianUpdateStrategy, NonlinearConstraint

    # What a constraint has by default is no wish.
    if given.jac != "2-point":
        raise _derivative("jac", start)
    if not isinstance(given.hess, HessianUpdateStrategy):
        raise _derivative("hess", start)
    function = VectorFunction(given.fun, start.flat, (), None, "constraint")
    hess = _hessian(function, start) if second else BFGS()
    return NonlinearConstraint(function.value, given.lb, given.ub, function.jacobian, hess, given.keep_feasible)


def _hessian(function: VectorFunction, start: Start) -> Callable[[Any, Any], Any]:
    """The Hessian of the weighted sum of the constraints; of many parameters, by its products."""
    return function.curvature if start.flat.size <= DENSE else _products(function)


def _products(function: VectorFunction) -> Callable[[Any, Any], Any]:
    from scipy.sparse.linalg import LinearOperator

    def curvature(vector: Any, weights: Any) -> Any:
        vector, weights = np.array(vector), np.array(weights)
        shape = (vector.size, vector.size)
        return LinearOperator(shape, matvec=lambda p: function.product(vector, weights, p), dtype=np.float64)

    return curvature


def _derivative(name: str, start: Start) -> UnsupportedError:
    found, wanted = f"{name}= of a constraint", "the function alone: its derivatives are made by tapegrad"
    return UnsupportedError(describe(start.operation, found=found, wanted=wanted, line=user_line()))


def _wrong(given: Any, start: Start) -> SettingError:
    wanted = (
        "{'type': 'eq' or 'ineq', 'fun': a function}, with 'args' if it takes any, "
        "a scipy.optimize.NonlinearConstraint or LinearConstraint, or a sequence of them"
    )
    return SettingError(describe(start.operation, found=f"constraint {given!r}", wanted=wanted, line=user_line()))
