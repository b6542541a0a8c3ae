"""tapegrad.minimize: what it refuses, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.optimize as so

import tapegrad as tg
from tapegrad.errors import DtypeError, NonFiniteError, SettingError, ShapeError, UnsupportedError
from tapegrad.fitting.minimize import METHODS
from tests.test_minimize import METHOD_NAMES, WITH_GRADIENT, rosenbrock


def rejected(error: type[Exception], *words: str, fun: Any = rosenbrock, x0: Any = (), **given: Any) -> None:
    with pytest.raises(error) as caught:
        tg.minimize(fun, np.zeros(3) if isinstance(x0, tuple) and not x0 else x0, **given)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_refuses_parameters() -> None:
    wanted = "wanted parameters that are float64 or float32 arrays, or floats"
    rejected(DtypeError, "minimize: found x0['n'], 3;", wanted, x0={"n": 3, "w": np.zeros(2)})
    rejected(DtypeError, "minimize: found x0, an array of dtype int64;", wanted, x0=np.arange(3))
    rejected(DtypeError, "found x0[1], an array of dtype complex128", x0=[1.0, np.ones(2, complex)])
    rejected(ShapeError, "minimize: found x0 without any array; wanted parameters", x0={})
    rejected(ShapeError, "minimize: found x0 without any entry; wanted parameters", x0=np.zeros((0, 2)))
    rejected(
        NonFiniteError,
        "minimize: found x0['w'][0, 1] = nan; wanted a start of finite",
        x0={"w": np.array([[1, np.nan]])},
    )
    rejected(NonFiniteError, "minimize: found x0[1] = inf", "test_minimize_errors.py", x0=[1.0, np.inf])
    rejected(UnsupportedError, "numpy.ma.MaskedArray", "a plain array", x0=np.ma.ones(3))


def test_refuses_functions_that_are_no_loss() -> None:
    for method in METHOD_NAMES:
        rejected(ShapeError, "a result of shape (3,)", "wanted a scalar result", fun=lambda x: x * x, method=method)
        rejected(ShapeError, "found a result", "wanted", fun=lambda x: {"a": x[0]}, method=method)


def test_refuses_a_start_without_a_value() -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.log(x))

    words = ("log in the forward sweep", "-1.0", "wanted finite values", "test_minimize_errors.py")
    for method in WITH_GRADIENT:
        rejected(NonFiniteError, *words, fun=loss, x0=np.array([1.0, -1.0]), method=method)
    rejected(NonFiniteError, "in the reverse sweep", fun=lambda x: np.sum(np.sqrt(x)), x0=np.zeros(2))
    within = tg.minimize(lambda x: np.sum(x - np.log(x)), np.array([-1.0]), bounds=[(0.1, 3.0)])  # SciPy starts at 0.1
    np.testing.assert_allclose(within.x, 1.0, atol=1e-5)


def test_refuses_derivatives() -> None:
    wanted = "wanted the function alone: its derivatives are made by tapegrad"
    for name in ("jac", "hess", "hessp"):
        rejected(UnsupportedError, f"minimize: found {name}=True;", wanted, **{name: True})
    rejected(UnsupportedError, "jac= of a constraint", constraints={"type": "eq", "fun": len, "jac": len})
    by_hand = so.NonlinearConstraint(np.sum, 0, 1, jac=np.ones_like)
    rejected(UnsupportedError, "jac= of a constraint", wanted, constraints=[by_hand])
    by_hand = so.NonlinearConstraint(np.sum, 0, 1, hess=lambda x, v: np.eye(3))
    rejected(UnsupportedError, "hess= of a constraint", wanted, constraints=by_hand)


def test_refuses_methods() -> None:
    rejected(SettingError, "minimize: found method='Adam'; wanted one of Nelder-Mead, Powell, CG, BFGS,", method="Adam")
    rejected(SettingError, "found method=<function", method=so.minimize)
    for method in METHODS.values():
        if not method.bounds:
            words = (f"bounds with method='{method.name}'", "a method that keeps them: Nelder-Mead, Powell, L-BFGS-B,")
            rejected(UnsupportedError, *words, bounds=(0.0, 1.0), method=method.name)
        if not method.constraints:
            words = (f"constraints with method='{method.name}'", "COBYLA, COBYQA, SLSQP, trust-constr")
            rejected(UnsupportedError, *words, constraints={"type": "eq", "fun": np.sum}, method=method.name)
    assert tg.minimize(rosenbrock, np.zeros(2), method="BFGS", bounds=(None, None)).success


def test_refuses_bounds() -> None:
    pairs = (
        "a sequence of 3 pairs (low, high), or a container of the parameters' structure that holds (low, high) or None"
    )
    rejected(ShapeError, "minimize: found bounds=5; wanted scipy.optimize.Bounds", pairs, bounds=5)
    rejected(ShapeError, "found bounds={'b': (0, 1)}", bounds={"b": (0, 1)}, x0={"a": 1.0})
    rejected(ShapeError, "found bounds=[(0, 1)]", pairs, bounds=[(0, 1)])
    rejected(ShapeError, "Bounds of shape (2,)", "Bounds of 3 entries", bounds=so.Bounds([0, 0], [1, 1]))
    rejected(ShapeError, "7 for x0['a']", "(low, high), scipy.optimize.Bounds or None", bounds={"a": 7}, x0={"a": 1.0})
    words = ("for x0['a']", "numbers or None, or arrays of x0['a']'s shape (2,)")
    rejected(ShapeError, *words, bounds={"a": (np.zeros(3), 1)}, x0={"a": np.zeros(2)})
    rejected(ShapeError, *words, bounds={"a": ("low", 1)}, x0={"a": np.zeros(2)})
    words = ("x0['a'][1] between 2.0 and 1.0", "a lower bound that is not above the upper one")
    rejected(SettingError, *words, bounds={"a": ([0, 2], 1)}, x0={"a": np.zeros(2)})
    rejected(SettingError, "x0[2] between nan and 1.0", bounds=[(0, 1), (0, 1), (np.nan, 1)])


def test_refuses_constraints() -> None:
    wanted = "wanted {'type': 'eq' or 'ineq', 'fun': a function}, with 'args' if it takes any"
    for given in (5, ["eq"], {"type": "eq"}, {"type": "leq", "fun": np.sum}, {"type": "eq", "fun": np.sum, "hess": 1}):
        rejected(SettingError, "minimize: found constraint", wanted, constraints=given)
    nothing = {"type": "eq", "fun": lambda x: None}
    rejected(ShapeError, "constraint: found a function that returns no array", constraints=nothing)
