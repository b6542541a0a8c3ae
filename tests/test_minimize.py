"""tapegrad.minimize: SciPy's results with derivatives written by hand, for nested parameters; and its errors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.optimize as so

import tapegrad as tg
from tapegrad.fitting.minimize import GRADIENT, METHODS, VALUE

METHOD_NAMES = [m.name for m in METHODS.values()]
WITH_GRADIENT = [m.name for m in METHODS.values() if m.needs != VALUE]
BOUNDED = [m.name for m in METHODS.values() if m.bounds]
CONSTRAINED = [m.name for m in METHODS.values() if m.constraints]
HESSIAN = ("dogleg", "trust-exact", "trust-constr")
PRODUCT = ("Newton-CG", "trust-ncg", "trust-krylov")


def rosenbrock(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def derivatives(method: str, jac: Any, hess: Any) -> dict[str, Any]:
    """What SciPy is given by hand for a method."""
    found = {} if METHODS[method.lower()].needs == VALUE else {"jac": jac}
    if method in HESSIAN:
        found["hess"] = hess
    if method in PRODUCT:
        found["hessp"] = lambda x, p: hess(x) @ p
    return found


# --- Rosenbrock's function

# The way is sensitive to the last digit: methods that take long are compared after some iterations, not at the end.
# COBYLA goes another way altogether after any rounding, also on its own function times 1 + 1e-15.
ROUGH = {"COBYLA": {"tol": 1e-9}}
UNCOUNTED = (*ROUGH, "COBYQA")  # rounding says when they end
ITERATIONS = {"CG": 12, "TNC": 12, "Powell": 5, "COBYQA": 60, "Nelder-Mead": 80}


def near(method: str, found: Any, wanted: Any, tolerance: float = 1e-6) -> None:
    tolerance = 2e-4 if method in ROUGH else tolerance
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def limited(method: str) -> dict[str, Any]:
    if method not in ITERATIONS:
        return {}
    return {"maxfun" if method == "TNC" else "maxfev" if method == "COBYQA" else "maxiter": ITERATIONS[method]}


@pytest.mark.parametrize("n", [2, 5])
@pytest.mark.parametrize("method", [m for m in METHOD_NAMES if m not in ROUGH])
def test_rosenbrock_as_scipy(method: str, n: int) -> None:
    x0 = np.linspace(-1.2, 1.0, n)
    if method == "dogleg":
        x0 = 1.0 + 0.02 * np.linspace(-1.0, 1.0, n)  # it wants a Hessian that is positive definite
    options = limited(method)
    given = derivatives(method, so.rosen_der, so.rosen_hess)
    wanted = so.minimize(so.rosen, x0, method=method, options=options, **given)
    found = tg.minimize(rosenbrock, x0, method=method.upper(), options=options)
    np.testing.assert_allclose(found.x, wanted.x, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.fun, wanted.fun, rtol=1e-6, atol=1e-9)
    assert (found.nfev, found.status, found.message) == (wanted.nfev, wanted.status, wanted.message)
    assert set(found) == set(wanted)
    for name in {"jac", "hess"} & set(found) if method != "trust-constr" else ():
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-4, atol=1e-4)
    assert type(found) is so.OptimizeResult


@pytest.mark.parametrize("method", [m for m in WITH_GRADIENT if m not in ("CG", "TNC", "dogleg")])
def test_many_parameters(method: str) -> None:
    x0 = np.linspace(0.5, 1.5, 60)
    found = tg.minimize(rosenbrock, x0, method=method, options={"maxiter": 3000})
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, atol=3e-3)


def test_trust_constr_of_many_parameters_gets_products() -> None:
    def loss(x: Any) -> Any:
        return np.sum((x - 1.0) ** 4) + np.sum((x[1:] - x[:-1]) ** 2)

    n = 1100
    near = so.NonlinearConstraint(lambda x: np.sum(x**2), 0.0, 300.0)
    found = tg.minimize(loss, np.zeros(n), method="trust-constr", constraints=near, options={"maxiter": 60})
    assert np.sum(found.x**2) < 300.0 + 1e-6
    np.testing.assert_allclose(found.x, np.sqrt(300.0 / n), atol=1e-3)


# --- logistic regression, nested


@dataclass
class Weights:
    w: Any
    b: Any


class Pair(NamedTuple):
    w: Any
    b: Any


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 3))
    return x, (x @ np.array([1.0, -2.0, 0.5]) + 0.3 + rng.logistic(size=80) > 0).astype(float)


def logistic(params: Any, x: Any, y: Any) -> Any:
    w, b = (params["w"], params["b"]) if isinstance(params, dict) else (params.w, params.b)
    score = x @ w + b
    return np.mean(np.logaddexp(0.0, score) - y * score) + 0.05 * (np.sum(w**2) + b**2)


def logistic_by_hand(method: str, x0: Any = (0.0, 0.0, 0.0, 0.0), **more: Any) -> Any:
    x, y = data()
    full = np.column_stack([x, np.ones(len(x))])

    def value(v: Any) -> Any:
        score = full @ v
        return np.mean(np.logaddexp(0.0, score) - y * score) + 0.05 * v @ v

    def gradient(v: Any) -> Any:
        return full.T @ (1 / (1 + np.exp(-full @ v)) - y) / len(x) + 0.1 * v

    def hessian(v: Any) -> Any:
        p = 1 / (1 + np.exp(-full @ v))
        return (full.T * (p * (1 - p))) @ full / len(x) + 0.1 * np.eye(4)

    return so.minimize(value, np.array(x0), method=method, **derivatives(method, gradient, hessian), **more)


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_nested_logistic_regression_as_scipy(method: str) -> None:
    rough = ROUGH.get(method, {})
    wanted = logistic_by_hand(method, **rough)
    found = tg.minimize(logistic, {"w": np.zeros(3), "b": 0.0}, args=data(), method=method, **rough)
    assert type(found.x) is dict
    assert type(found.x["b"]) is float
    near(method, [*found.x["w"], found.x["b"]], wanted.x)
    assert found.nfev == wanted.nfev or method in UNCOUNTED
    name = "grad" if method == "trust-constr" else "jac"
    if name in wanted:
        np.testing.assert_allclose(found[name]["w"], wanted[name][:3], atol=1e-6)
        assert type(found[name]["b"]) is float


@pytest.mark.parametrize("method", BOUNDED)
def test_bounds_as_scipy(method: str) -> None:
    bounds = so.Bounds([0.1, -0.5, -np.inf, -np.inf], [np.inf, 0.0, 0.2, np.inf])
    rough = ROUGH.get(method, {})
    wanted = logistic_by_hand(method, x0=np.array([0.3, 0.0, 0.0, 0.0]), bounds=bounds, **rough)
    start = {"w": np.array([0.3, 0.0, 0.0]), "b": 0.0}
    nested = {"b": None, "w": (np.array([0.1, -0.5, -np.inf]), np.array([np.inf, 0.0, 0.2]))}
    found = tg.minimize(logistic, start, args=data(), method=method, bounds=nested, **rough)
    near(method, [*found.x["w"], found.x["b"]], wanted.x, 1e-5)
    assert abs(found.x["w"][1] + 0.5) < 1e-3  # a bound that matters


PAIRS = [(0.1, None), (-0.5, 0.0), (None, 0.2), (None, None)]


@pytest.mark.parametrize(
    "bounds",
    [
        PAIRS,
        [*PAIRS[:3], None],
        np.array([(0.1, np.inf), (-0.5, 0.0), (-np.inf, 0.2), (-np.inf, np.inf)]),
        so.Bounds([0.1, -0.5, -np.inf, -np.inf], [np.inf, 0.0, 0.2, np.inf]),
        {"w": so.Bounds([0.1, -0.5, -np.inf], [np.inf, 0.0, 0.2]), "b": (None, None)},
        {"b": None, "w": ([0.1, -0.5, -np.inf], [np.inf, 0.0, 0.2])},
    ],
    ids=["pairs", "none", "array", "Bounds", "nested Bounds", "nested pairs"],
)
def test_forms_of_bounds(bounds: Any) -> None:
    start = {"w": np.zeros(3), "b": 0.0}
    found = tg.minimize(logistic, start, args=data(), bounds=bounds)  # L-BFGS-B
    wanted = logistic_by_hand("L-BFGS-B", bounds=PAIRS)
    np.testing.assert_allclose([*found.x["w"], found.x["b"]], wanted.x, rtol=1e-8)
    assert "PGTOL" in found.message or "REDUCTION" in found.message


@pytest.mark.parametrize(
    ("x0", "bounds", "wanted"),
    [
        (np.full(3, 0.5), (0.0, 1.0), [1.0, 1.0, 1.0]),
        (np.full(2, 0.5), ((0.0, 1.0), (0.0, 0.7)), [1.0, 0.7]),
        (np.full((2, 2), 0.5), so.Bounds(np.zeros((2, 2)), np.array([[1.0, 0.6], [0.7, 9.0]])), [1, 0.6, 0.7, 2.0]),
        (np.full((1, 2), 0.5), [(None, 0.9), None], [0.9, 2.0]),
        ([0.5, 0.5], [(0.0, 1.0), (0.0, 0.7)], [1.0, 0.7]),
        ((np.full(2, 0.5), 0.5), ((0.0, 1.0), None), [1.0, 1.0, 2.0]),
        ({"a": [0.5, np.full(2, 0.5)], "b": (0.5, None)}, {"a": None, "b": ((0.0, 0.8), None)}, [2.0, 2.0, 2.0, 0.8]),
        (Weights(np.full(2, 0.5), 0.5), Weights((0.0, 1.0), None), [1.0, 1.0, 2.0]),
        (Weights(np.full(2, 0.5), 0.5), {"b": (0.0, 0.6), "w": None}, [2.0, 2.0, 0.6]),
        (Pair(np.full(2, 0.5), 0.5), Pair(None, (0.0, 0.6)), [2.0, 2.0, 0.6]),
        (Pair(np.full(2, 0.5), 0.5), {"b": (0.0, 0.6), "w": None}, [2.0, 2.0, 0.6]),
        (0.5, (None, 1.0), [1.0]),
        (0.5, [(None, 1.0)], [1.0]),
    ],
)
def test_bounds_of_structures(x0: Any, bounds: Any, wanted: Any) -> None:
    def loss(params: Any) -> Any:
        return sum(np.sum((leaf - 2.0) ** 2) for leaf in leaves(params))

    found = tg.minimize(loss, x0, bounds=bounds)
    assert type(found.x) is type(x0)
    np.testing.assert_allclose(np.concatenate([np.ravel(x) for x in leaves(found.x)]), wanted, atol=1e-6)


def leaves(tree: Any) -> list[Any]:
    if tree is None:
        return []
    if isinstance(tree, Weights):
        tree = [tree.w, tree.b]
    if isinstance(tree, dict):
        tree = list(tree.values())
    return [x for part in tree for x in leaves(part)] if isinstance(tree, (list, tuple)) else [tree]


def test_structures_types_and_dtypes_are_kept() -> None:
    start = {
        "a": np.zeros((2, 2), np.float32),
        "b": [np.float32(1.0), 1.0],
        "c": (np.ones(()), None),
        "d": Pair(1.0, 2.0),
    }

    def loss(p: Any) -> Any:
        centred = np.sum((p["a"] - np.eye(2)) ** 2) + (p["c"][0] - 1 / 3) ** 2
        return centred + (p["b"][0] - 0.1) ** 2 + p["b"][1] ** 2 + (p["d"].w - p["d"].b - 1.0) ** 2 + p["d"].b ** 2

    found = tg.minimize(loss, start, tol=1e-12)
    for tree in (found.x, found.jac):
        assert list(tree) == ["a", "b", "c", "d"]
        assert tree["a"].dtype == np.float32
        assert tree["a"].shape == (2, 2)
        assert [type(x) for x in tree["b"]] == [np.float32, float]
        assert type(tree["c"]) is tuple
        assert type(tree["d"]) is Pair
    assert abs(found.x["c"][0] - 1 / 3) < 1e-12  # in float64, though there is a float32 beside it
    assert found.x["b"][0] == np.float32(0.1)
    assert found.hess_inv.shape == (9, 9)


def test_float32_runs_in_float64() -> None:
    seen = []

    def loss(x: Any) -> Any:
        seen.append(x.dtype)
        return np.sum((x - 1 / 3) ** 2)

    found = tg.minimize(loss, np.zeros(2, np.float32), tol=1e-14)
    assert set(seen) == {np.dtype(np.float64)}
    assert found.x.dtype == np.float32
    assert found.fun < 1e-25  # float32 cannot be as near


def test_start_is_left_alone() -> None:
    start = {"w": np.full(3, 2.0)}
    for method in WITH_GRADIENT:
        found = tg.minimize(lambda p: np.sum(p["w"] ** 4 + p["w"] ** 2), start, method=method)
        assert np.all(start["w"] == 2.0)
        assert found.x["w"] is not start["w"]


def test_is_recorded_once_for_value_and_gradient() -> None:
    calls = []

    def loss(x: Any) -> Any:
        calls.append(1)
        return rosenbrock(x)

    found = tg.minimize(loss, np.zeros(4), method="L-BFGS-B")
    assert found.nfev > 10
    assert len(calls) == 1


def test_args_that_are_no_tuple() -> None:
    found = tg.minimize(lambda x, c: np.sum((x - c) ** 2), np.zeros(2), np.array([1.0, 2.0]))
    np.testing.assert_allclose(found.x, [1.0, 2.0], atol=1e-6)


def test_branches_are_recorded_anew() -> None:
    def loss(x: Any) -> Any:
        return (x - 1.0) ** 2 if x < 0.5 else (x - 1.0) ** 2 + (x - 0.5) ** 4

    found = tg.minimize(loss, -3.0, method="BFGS")
    wanted = so.minimize(lambda x: loss(x[0]), [-3.0], method="BFGS")
    np.testing.assert_allclose(found.x, wanted.x[0], rtol=1e-5)


def test_globals_are_seen() -> None:
    scale = {"by": 2.0}

    def loss(x: Any) -> Any:
        return np.sum((x - scale["by"]) ** 2)

    assert abs(tg.minimize(loss, np.zeros(1)).x[0] - 2.0) < 1e-6
    scale["by"] = 3.0
    assert abs(tg.minimize(loss, np.zeros(1)).x[0] - 3.0) < 1e-6


# --- constraints


def target(p: Any) -> Any:
    return (p["a"] - 1.0) ** 2 + np.sum((p["b"] - 2.5) ** 2) + p["a"] * p["b"][0] ** 2


def target_flat(v: Any) -> Any:
    return (v[0] - 1.0) ** 2 + np.sum((v[1:] - 2.5) ** 2) + v[0] * v[1] ** 2


def target_gradient(v: Any) -> Any:
    return np.array([2 * (v[0] - 1) + v[1] ** 2, 2 * (v[1] - 2.5) + 2 * v[0] * v[1], 2 * (v[2] - 2.5)])


def target_hessian(v: Any) -> Any:
    return np.array([[2.0, 2 * v[1], 0.0], [2 * v[1], 2.0 + 2 * v[0], 0.0], [0.0, 0.0, 2.0]])


START = {"a": 0.5, "b": np.array([1.0, 1.0])}
FLAT_START = np.array([0.5, 1.0, 1.0])


@pytest.mark.parametrize("method", [m for m in CONSTRAINED if m != "trust-constr"])
def test_dict_constraints_as_scipy(method: str) -> None:
    nested = [
        {"type": "ineq", "fun": lambda p, c: c - p["a"] ** 2 - np.sum(p["b"] ** 2), "args": (3.0,)},
        {"type": "ineq", "fun": lambda p: {"first": p["b"] - 0.2, "second": p["a"] + 1.0}},
    ]
    flat = [
        {"type": "ineq", "fun": lambda v: 3.0 - v @ v, "jac": lambda v: -2 * v},
        {"type": "ineq", "fun": lambda v: np.array([v[1] - 0.2, v[2] - 0.2, v[0] + 1.0]), "jac": lambda v: rows},
    ]
    rows = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    if method == "SLSQP":
        nested.append({"type": "eq", "fun": lambda p: p["a"] - p["b"][0] ** 2})
        flat.append({"type": "eq", "fun": lambda v: v[0] - v[1] ** 2, "jac": lambda v: np.array([1.0, -2 * v[1], 0.0])})
    given = {**derivatives(method, target_gradient, target_hessian), **ROUGH.get(method, {})}
    wanted = so.minimize(target_flat, FLAT_START, method=method, constraints=flat, **given)
    found = tg.minimize(target, START, method=method, constraints=nested, **ROUGH.get(method, {}))
    near(method, [found.x["a"], *found.x["b"]], wanted.x)
    assert found.success
    assert found.nfev == wanted.nfev or method in UNCOUNTED


@pytest.mark.parametrize("method", CONSTRAINED)
@pytest.mark.parametrize("bounds", [None, {"a": (0.0, 0.2), "b": None}])
def test_constraint_objects_as_scipy(method: str, bounds: Any) -> None:
    def jacobian(v: Any) -> Any:
        return np.array([2 * v, [v[1], v[0], 0.0]])

    def hessian(v: Any, w: Any) -> Any:
        return 2 * w[0] * np.eye(3) + w[1] * np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])

    low, high = [-np.inf, 0.05], [3.0, 1.0]
    line = so.LinearConstraint([[1.0, 1.0, 1.0]], -np.inf, 2.4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tg.minimize(
            target,
            START,
            method=method,
            bounds=bounds,
            **ROUGH.get(method, {}),
            constraints=(
                so.NonlinearConstraint(lambda p: [p["a"] ** 2 + np.sum(p["b"] ** 2), p["a"] * p["b"][0]], low, high),
                line,
            ),
        )
    hess = {"hess": hessian} if method == "trust-constr" else {}
    ball = so.NonlinearConstraint(lambda v: np.array([v @ v, v[0] * v[1]]), low, high, jac=jacobian, **hess)
    wanted = so.minimize(
        target_flat,
        FLAT_START,
        method=method,
        constraints=[ball, line],
        bounds=None if bounds is None else [(0.0, 0.2), (None, None), (None, None)],
        **derivatives(method, target_gradient, target_hessian),
        **ROUGH.get(method, {}),
    )
    near(method, [found.x["a"], *found.x["b"]], wanted.x)
    assert found.success
    assert found.nfev == wanted.nfev or method in UNCOUNTED
    if method == "trust-constr":
        np.testing.assert_allclose([found.grad["a"], *found.grad["b"]], wanted.grad, rtol=1e-6, atol=1e-6)
        assert (found.nit, found.cg_niter) == (wanted.nit, wanted.cg_niter)


def test_dict_constraints_of_trust_constr_have_hessians() -> None:
    found = tg.minimize(target, START, method="trust-constr", constraints={"type": "eq", "fun": lambda p: p["a"] ** 3})
    assert abs(found.x["a"]) < 1e-2
    assert found.constr_nhev[0] > 0
    chosen = tg.minimize(target, START, constraints={"type": "INEQ", "fun": lambda p: 1.0 - p["b"]})
    assert chosen.x["b"].max() < 1.0 + 1e-9


@pytest.mark.parametrize("method", ["SLSQP", "L-BFGS-B", "TNC"])
def test_fixed_parameters(method: str) -> None:
    found = tg.minimize(target, START, method=method, bounds={"a": (0.5, 0.5), "b": None})
    bounds = so.Bounds([0.5, -np.inf, -np.inf], [0.5, np.inf, np.inf])
    wanted = so.minimize(target_flat, FLAT_START, jac=target_gradient, method=method, bounds=bounds)
    assert found.x["a"] == 0.5
    np.testing.assert_allclose(found.x["b"], wanted.x[1:], rtol=1e-6)


# --- callbacks


@pytest.mark.parametrize("method", METHOD_NAMES)
def test_callbacks_get_nested_parameters(method: str) -> None:
    seen: list[Any] = []

    def plain(params: Any, *state: Any) -> None:
        seen.append(params)
        assert all(type(s.x) is dict for s in state)

    start = {"w": np.array([1.5, 0.5]), "b": 1.0}
    found = tg.minimize(lambda p: np.sum(p["w"] ** 2) + p["b"] ** 4 + p["b"] ** 2, start, method=method, callback=plain)
    assert seen
    assert all(type(x) is dict and x["w"].shape == (2,) and type(x["b"]) is float for x in seen)
    np.testing.assert_allclose(seen[-1]["w"], found.x["w"], atol=1e-3)
    assert len({id(x["w"]) for x in seen}) == len(seen)  # each its own


@pytest.mark.parametrize("method", [m for m in METHOD_NAMES if not METHODS[m.lower()].plain])
def test_callbacks_get_results_on_the_way(method: str) -> None:
    values = []

    def told(intermediate_result: Any) -> None:
        assert type(intermediate_result.x) is dict
        values.append(intermediate_result.fun)
        if len(values) == 2:
            raise StopIteration

    found = tg.minimize(lambda p: rosenbrock(p["x"]), {"x": np.array([0.9, 0.8])}, method=method, callback=told)
    assert len(values) in (1, 2)
    if len(values) == 2 and method != "trust-constr":
        assert not found.success


def test_methods_are_all_of_scipys() -> None:
    assert {m.lower() for m in so._minimize.MINIMIZE_METHODS} == set(METHODS)
    assert METHODS["bfgs"].needs == GRADIENT
