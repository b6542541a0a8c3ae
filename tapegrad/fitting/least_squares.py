"""`least_squares`: SciPy's methods with exact Jacobians, for nested parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.drivers.gradient import described
from tapegrad.errors import NonFiniteError, SettingError, ShapeError, UnsupportedError, describe
from tapegrad.fitting import marquardt
from tapegrad.fitting.bounds import Box, box_of_limits, vector_of
from tapegrad.fitting.minimize import nested_result, told
from tapegrad.fitting.start import Start
from tapegrad.optimizers.vector_function import VectorFunction

LARGE: Final = 100_000  # entries of a Jacobian from which on its pattern is looked at
SPARSE: Final = 0.1  # share of entries that may be nonzero below which it is kept sparse


@dataclass(frozen=True, slots=True)
class Method:
    """What a method takes: bounds, sparse Jacobians, and SciPy's further settings."""

    bounds: bool
    sparse: bool
    settings: bool = True


METHODS: Final = MappingProxyType(
    {
        "trf": Method(bounds=True, sparse=True),
        "dogbox": Method(bounds=True, sparse=True),
        "lm": Method(bounds=False, sparse=False),
        marquardt.NAME: Method(bounds=False, sparse=True, settings=False),
    }
)


def least_squares(
    fun: Callable[..., Any],
    x0: Any,
    jac: Any = None,
    bounds: Any = None,
    method: str = "trf",
    ftol: float | None = 1e-8,
    xtol: float | None = 1e-8,
    gtol: float | None = 1e-8,
    x_scale: Any = None,
    loss: str | Callable[..., Any] = "linear",
    f_scale: float = 1.0,
    diff_step: Any = None,
    tr_solver: str | None = None,
    tr_options: dict[str, Any] | None = None,
    jac_sparsity: Any = None,
    max_nfev: int | None = None,
    verbose: int = 0,
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    callback: Callable[..., Any] | None = None,
    *,
    sparse: bool | None = None,
) -> Any:
    """Make a sum of squared residuals small by a method of `scipy.optimize.least_squares`, with exact Jacobians.

    Arguments are SciPy's where nothing else is said. Residuals and Jacobian are recorded once each.

    Args:
        fun: `fun(params, *args, **kwargs)` in NumPy; returns the residuals: an array of any shape, or a container of
            arrays.
        x0: the parameters at the start: a container (dict, list, tuple, dataclass) of float64 or float32 arrays and
            floats, or one array. All of it is worked with in float64.
        jac, diff_step, jac_sparsity: have SciPy's places, and are refused: the Jacobian and its pattern are made here.
        bounds: (low, high), each of them a number, a vector of all entries or a container of the structure of `x0`;
            `scipy.optimize.Bounds`; or a container of the structure of `x0` that holds, for each array, (low, high),
            `Bounds` or None. What may be read both ways is refused.
        method: "trf", "dogbox", or "lm", which is MINPACK's and takes neither bounds nor sparse Jacobians; or
            "levenberg-marquardt", which is `tapegrad.optimizers.LevenbergMarquardt`, takes no bounds, and of SciPy's
            settings the tolerances alone: `gtol` is then a cosine, as in MINPACK.
        ftol, xtol, gtol: SciPy's.
        x_scale: as in SciPy, "jac", a number or a vector of all entries; or a container of the structure of `x0`.
        loss, f_scale, tr_solver, tr_options, max_nfev, verbose: SciPy's.
        args, kwargs: data for the function.
        callback: as in SciPy, with nested parameters.
        sparse: whether the Jacobian is made sparse (`tapegrad.sparse_jacobian`), and the steps by `tr_solver="lsmr"`.
            By default where it has 100,000 entries or more, of which less than a tenth may be nonzero.

    Returns:
        `scipy.optimize.OptimizeResult`: `x` and `grad` have the structure, types and dtypes of `x0`, `active_mask` has
        its structure. `fun`, `jac` and all else are SciPy's, and about the vector of all parameters and residuals.

    Raises:
        DtypeError: a parameter that is not floating.
        ShapeError: bounds or scales that do not fit the parameters.
        SettingError: an unknown method, a lower bound above the upper one, a start outside the bounds.
        UnsupportedError: derivatives that are given; bounds or a sparse Jacobian with method="lm".
        NonFiniteError: parameters or residuals at the start that are not finite.
        ValueError: SciPy's, for other settings that it refuses.

    >>> import numpy as np, tapegrad as tg
    >>> def residuals(p, x, y):
    ...     return p["height"] * np.exp(-p["rate"] * x) - y
    >>> x = np.linspace(0.0, 2.0, 9)
    >>> result = tg.least_squares(residuals, {"height": 1.0, "rate": 1.0}, args=(x, 3.0 * np.exp(-0.5 * x)))
    >>> {name: round(value, 6) for name, value in result.x.items()}
    {'height': 3.0, 'rate': 0.5}
    """
    from scipy.optimize import least_squares as solve

    _refuse_derivatives(jac=jac, diff_step=diff_step, jac_sparsity=jac_sparsity)
    _require_method(method, sparse=sparse, tr_solver=tr_solver)
    start = Start.of(x0, "least_squares")
    residuals = VectorFunction(fun, start.flat, args if isinstance(args, tuple) else (args,), kwargs)
    box = _box(bounds, start, method)
    _require_finite(residuals, start)
    called = None if callback is None else told(callback, start)
    limits: dict[str, Any] = {"ftol": ftol, "xtol": xtol, "gtol": gtol, "max_nfev": max_nfev, "callback": called}
    if not METHODS[method].settings:
        _refuse_settings(method, x_scale=x_scale, loss=loss, tr_solver=tr_solver, tr_options=tr_options)
        result = marquardt.solve(_given(fun, args, kwargs), start, **limits, sparse=sparse)
    else:
        way = sparse
        if way is None:
            way = METHODS[method].sparse and tr_solver != "exact" and _is_sparse(residuals, start)
        more: dict[str, Any] = {"tr_solver": "lsmr" if way else tr_solver, "tr_options": tr_options or {}}
        if x_scale is not None:  # SciPy's default depends on the method
            more["x_scale"] = _scale(x_scale, start)
        if called is None:  # which older SciPys do not know
            del limits["callback"]
        result = solve(
            residuals.value,
            start.vector.copy(),
            residuals.sparse_jacobian if way else residuals.jacobian,
            bounds=(-np.inf, np.inf) if box is None else (box.low, box.high),
            method=method,
            loss=loss,
            f_scale=f_scale,
            verbose=verbose,
            **limits,
            **more,
        )
    result = nested_result(result, start)
    result["active_mask"] = start.flat.views(result["active_mask"])
    return result


def _given(fun: Callable[..., Any], args: Any, keywords: Mapping[str, Any] | None) -> Callable[..., Any]:
    """The function of parameters alone."""
    data, named = args if isinstance(args, tuple) else (args,), dict(keywords or {})

    def of_parameters(params: Any) -> Any:
        return fun(params, *data, **named)

    return described(of_parameters, fun, "least_squares", "Residuals")


def _refuse_settings(method: str, **given: Any) -> None:
    """What our own method has no use for."""
    plain: dict[str, tuple[Any, ...]] = {
        "x_scale": (None, "jac"),
        "loss": ("linear",),
        "tr_solver": (None,),
        "tr_options": (None, {}),
    }
    for name, value in given.items():
        if not any(value is wanted or (isinstance(value, (str, dict)) and value == wanted) for wanted in plain[name]):
            able = " or ".join(repr(other) for other, takes in METHODS.items() if takes.settings)
            raise _error(UnsupportedError, f"{name}={value!r} with method={method!r}", f"method={able}")


def _refuse_derivatives(**given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            wanted = "the function alone: its Jacobian is made by tapegrad, and sparse=True makes a sparse one"
            raise _error(UnsupportedError, f"{name}={value!r}", wanted)


def _require_method(method: str, *, sparse: bool | None, tr_solver: str | None) -> None:
    if not isinstance(method, str) or method not in METHODS:
        raise _error(SettingError, f"method={method!r}", f"one of {', '.join(METHODS)}")
    if sparse and not METHODS[method].sparse:
        able = " or ".join(repr(name) for name, takes in METHODS.items() if takes.sparse)
        raise _error(UnsupportedError, f"sparse=True with method={method!r}", f"method={able}")
    if sparse and tr_solver == "exact":
        raise _error(UnsupportedError, "sparse=True with tr_solver='exact'", "tr_solver='lsmr' or None")


def _box(bounds: Any, start: Start, method: str) -> Box | None:
    """The bounds, if there are any."""
    box = None if bounds is None else box_of_limits(bounds, start)
    if box is None or not box.bounded:
        return None
    if not METHODS[method].bounds:
        able = " or ".join(repr(name) for name, takes in METHODS.items() if takes.bounds)
        raise _error(UnsupportedError, f"bounds with method={method!r}", f"method={able}")
    outside = np.flatnonzero((start.vector < box.low) | (start.vector > box.high))
    if outside.size:
        k = outside[0]
        found = f"{start.entry(k)} = {start.vector[k]} outside its bounds ({box.low[k]}, {box.high[k]})"
        raise _error(SettingError, found, "a start within the bounds")
    return box


def _require_finite(residuals: VectorFunction, start: Start) -> None:
    found = residuals.value(start.vector)
    bad = np.flatnonzero(~np.isfinite(found))
    if bad.size:
        text = f"{bad.size} of {found.size} residuals that are not finite at the start, first residual {bad[0]}"
        raise _error(NonFiniteError, f"{text} = {found[bad[0]]}", "finite residuals")


def _is_sparse(residuals: VectorFunction, start: Start) -> bool:
    """Is the Jacobian large, and are most of its entries zero whatever the parameters are?"""
    entries = start.flat.size * residuals.value(start.vector).size
    return entries >= LARGE and residuals.is_sparse(start.vector, SPARSE)


def _scale(x_scale: Any, start: Start) -> Any:
    if isinstance(x_scale, str):
        return x_scale  # "jac", or SciPy's error
    found = vector_of(x_scale, start)
    if found is None:
        wanted = f"'jac', a number, {start.flat.size} numbers or a container of the parameters' structure"
        raise _error(ShapeError, f"x_scale={x_scale!r}", wanted)
    return found


def _error(kind: type[Exception], found: str, wanted: str) -> Exception:
    return kind(describe("least_squares", found=found, wanted=wanted, line=user_line()))
