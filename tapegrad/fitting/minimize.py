"""`minimize`: SciPy's methods with exact derivatives, for nested parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.drivers.limits import MemoryLimit, bytes_of
from tapegrad.errors import SettingError, UnsupportedError, describe
from tapegrad.fitting.bounds import box_of_pairs
from tapegrad.fitting.constraints import DENSE, flat_constraints
from tapegrad.fitting.start import Start
from tapegrad.optimizers.minimizer import finite
from tapegrad.optimizers.problem import Problem

VALUE, GRADIENT, PRODUCT, HESSIAN, EITHER = "value", "gradient", "product", "hessian", "either"


@dataclass(frozen=True, slots=True)
class Method:
    """What a method of SciPy's takes.

    Attributes:
        name: as SciPy writes it.
        needs: the derivatives that it uses.
        bounds, constraints: whether it keeps them.
        plain: whether its callback always gets the parameters alone.
    """

    name: str
    needs: str
    bounds: bool = False
    constraints: bool = False
    plain: bool = False


METHODS: Final = MappingProxyType(
    {
        method.name.lower(): method
        for method in (
            Method("Nelder-Mead", VALUE, bounds=True),
            Method("Powell", VALUE, bounds=True),
            Method("CG", GRADIENT),
            Method("BFGS", GRADIENT),
            Method("Newton-CG", PRODUCT),
            Method("L-BFGS-B", GRADIENT, bounds=True),
            Method("TNC", GRADIENT, bounds=True, plain=True),
            Method("COBYLA", VALUE, bounds=True, constraints=True, plain=True),
            Method("COBYQA", VALUE, bounds=True, constraints=True, plain=True),
            Method("SLSQP", GRADIENT, bounds=True, constraints=True),
            Method("trust-constr", EITHER, bounds=True, constraints=True),
            Method("dogleg", HESSIAN),
            Method("trust-ncg", PRODUCT),
            Method("trust-exact", HESSIAN),
            Method("trust-krylov", PRODUCT),
        )
    }
)


def minimize(
    fun: Callable[..., Any],
    x0: Any,
    args: Any = (),
    method: str | None = None,
    jac: Any = None,
    hess: Any = None,
    hessp: Any = None,
    bounds: Any = None,
    constraints: Any = (),
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: dict[str, Any] | None = None,
    *,
    memory_limit: MemoryLimit = None,
) -> Any:
    """Make a function of nested parameters small by a method of `scipy.optimize.minimize`, with exact derivatives.

    Arguments are SciPy's where nothing else is said. The function is recorded once; value and gradient come from one
    sweep. Newton-CG, trust-ncg and trust-krylov get products with the exact Hessian, dogleg and trust-exact the Hessian
    itself, trust-constr the Hessian of up to 1000 parameters and products of more.

    Args:
        fun: `fun(params, *args)` in NumPy, which returns a scalar.
        x0: the parameters at the start: a container (dict, list, tuple, dataclass) of float64 or float32 arrays and
            floats, or one array. All of it is worked with in float64.
        args: data for the function: a tuple; anything else is its one argument.
        method: a name of SciPy's, in any case. Without one: SLSQP with constraints, L-BFGS-B with bounds, else BFGS.
        jac, hess, hessp: have SciPy's places, and are refused: derivatives are made here.
        bounds: a container of the structure of `x0` that holds, for each array, (low, high) - numbers or None, or
            arrays of its shape -, `scipy.optimize.Bounds` or None; a None for a container leaves all of it free.
            Or, as in SciPy, a (low, high) for each entry of the vector of all parameters, or `Bounds` of it; for one
            array also a single (low, high) of numbers.
        constraints: as in SciPy, but the functions take nested parameters and return arrays or containers of them.
            The matrix of a LinearConstraint has a column for each entry of the vector of all parameters, which are
            those of the container's arrays one after another, each in C order.
        tol, options: SciPy's.
        callback: as in SciPy, `callback(params)` or `callback(intermediate_result)`, with nested parameters.
        memory_limit: as for `value_and_grad`, with methods that take gradients alone.

    Returns:
        `scipy.optimize.OptimizeResult`: `x` and the gradient (`jac`; of trust-constr `grad`) have the structure, types
        and dtypes of `x0`. All else is SciPy's, and about the vector of all parameters: `hess_inv`, `hess`, ...

    Raises:
        DtypeError: a parameter that is not floating.
        ShapeError: the function returns no scalar; bounds that do not fit the parameters.
        SettingError: an unknown method, a lower bound above the upper one, a constraint that is none.
        UnsupportedError: derivatives that are given; bounds, constraints or a limit of memory with a method that would
            not keep them.
        MemoryLimitError: a limit of memory that cannot be kept.
        NonFiniteError: a start that is not finite; with derivatives, a first value or gradient that is not.

    >>> import numpy as np, tapegrad as tg
    >>> def rosenbrock(p):
    ...     return (1 - p["a"]) ** 2 + 100 * (p["b"] - p["a"] ** 2) ** 2
    >>> result = tg.minimize(rosenbrock, {"a": -1.2, "b": 1.0}, method="trust-exact")
    >>> {name: round(value, 6) for name, value in result.x.items()}
    {'a': 1.0, 'b': 1.0}
    """
    from scipy.optimize import Bounds
    from scipy.optimize import minimize as solve

    for name, given in (("jac", jac), ("hess", hess), ("hessp", hessp)):
        if given is not None:
            _refuse(f"{name}={given!r}", "the function alone: its derivatives are made by tapegrad")
    start = Start.of(x0, "minimize")
    limited = _is_some(constraints)
    chosen = _method(method, bounded=bounds is not None, constrained=limited)
    box = None if bounds is None else box_of_pairs(bounds, start)
    if box is not None and box.bounded and not chosen.bounds:
        _refuse(f"bounds with method={chosen.name!r}", f"a method that keeps them: {_names('bounds')}")
    if limited and not chosen.constraints:
        _refuse(f"constraints with method={chosen.name!r}", f"a method that keeps them: {_names('constraints')}")
    limit = bytes_of(memory_limit, "minimize")
    if limit is not None and chosen.needs != GRADIENT:
        _refuse(f"memory_limit with method={chosen.name!r}", "a method that takes gradients alone, such as L-BFGS-B")
    problem = Problem(fun, x0, args if isinstance(args, tuple) else (args,), start.flat, limit=limit)
    result = solve(
        problem.value if chosen.needs == VALUE else _watched(problem),
        start.vector.copy(),
        method=chosen.name,
        bounds=None if box is None or not chosen.bounds else Bounds(box.low, box.high, box.keep),
        constraints=flat_constraints(constraints, start, second=chosen.needs == EITHER) if limited else (),
        tol=tol,
        callback=None
        if callback is None
        else told(callback, start, plain=chosen.plain, with_state=chosen.name == "trust-constr"),
        options=options,
        **_derivatives(problem, chosen),
    )
    return nested_result(result, start)


def _watched(problem: Problem) -> Callable[[Any], Any]:
    """Value and gradient; the first ones, which may be at a start that SciPy has moved into the bounds, are finite."""
    first = [True]

    def both(point: Any) -> Any:
        value, gradient = problem.value_and_gradient(point)
        if first:
            first.clear()
            if not finite(value, gradient):
                problem.require_finite(point)
        return value, gradient

    return both


def _derivatives(problem: Problem, method: Method) -> dict[str, Any]:
    """What SciPy is given beside the function, which returns its gradient, too."""
    needs = method.needs
    if needs == EITHER:
        needs = HESSIAN if problem.flat.size <= DENSE else PRODUCT
    if needs == VALUE:
        return {}
    if needs == GRADIENT:
        return {"jac": True}
    return {"jac": True, **({"hess": problem.hessian} if needs == HESSIAN else {"hessp": problem.product})}


def _method(method: str | None, *, bounded: bool, constrained: bool) -> Method:
    """The method by its name; by default SciPy's choice."""
    if method is None:
        method = "SLSQP" if constrained else "L-BFGS-B" if bounded else "BFGS"
    if not isinstance(method, str) or method.lower() not in METHODS:
        wanted = f"one of {', '.join(m.name for m in METHODS.values())}"
        raise SettingError(describe("minimize", found=f"method={method!r}", wanted=wanted, line=user_line()))
    return METHODS[method.lower()]


def _is_some(constraints: Any) -> bool:
    return not (constraints is None or (isinstance(constraints, (tuple, list)) and not constraints))


def _names(what: str) -> str:
    return ", ".join(m.name for m in METHODS.values() if getattr(m, what))


def _refuse(found: str, wanted: str) -> None:
    raise UnsupportedError(describe("minimize", found=found, wanted=wanted, line=user_line()))


def nested_result(result: Any, start: Start) -> Any:
    """A result of SciPy's, or one on the way, with nested parameters and gradient."""
    from scipy.optimize import OptimizeResult

    made = OptimizeResult(result)
    # The Jacobian of trust-constr is that of the constraints, a list.
    for name in ("x", "grad", "jac"):
        value = made.get(name)
        if isinstance(value, np.ndarray) and value.shape == start.vector.shape:
            made[name] = start.restore(value)
    if "allvecs" in made:
        made["allvecs"] = [start.restore(x) for x in made["allvecs"]]
    return made


def told(
    callback: Callable[..., Any], start: Start, *, plain: bool = False, with_state: bool = False
) -> Callable[..., Any]:
    """The callback by the vector, with the signature by which SciPy goes.

    `plain`: it always gets the parameters alone. `with_state`: or else both the parameters and the state.
    """
    if not plain and takes_result(callback):

        def with_result(intermediate_result: Any) -> Any:
            return callback(intermediate_result=nested_result(intermediate_result, start))

        return with_result
    if with_state:

        def with_both(x: Any, state: Any) -> Any:
            return callback(start.restore(x), nested_result(state, start))

        return with_both

    def with_parameters(x: Any) -> Any:
        return callback(start.restore(x))

    return with_parameters


def takes_result(callback: Callable[..., Any]) -> bool:
    """Does a callback ask for `intermediate_result`?"""
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except ValueError:
        return False
