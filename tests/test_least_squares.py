"""tapegrad.least_squares: SciPy's results with Jacobians written by hand, for nested parameters; and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.optimize as so
from scipy.sparse import csr_array, issparse

import tapegrad as tg
from tapegrad.errors import DtypeError, NonFiniteError, SettingError, ShapeError, UnsupportedError
from tapegrad.fitting.least_squares import LARGE, METHODS

X = np.linspace(0.0, 3.0, 40)
Y = 2.0 * np.exp(-1.3 * X) + 0.5 + 0.05 * np.random.default_rng(3).normal(size=40)
Y[::13] += 1.0  # outliers

SCIPYS = [name for name, method in METHODS.items() if method.settings]


@dataclass
class Decay:
    height: Any
    rate: Any
    floor: Any


def model(p: Any, x: Any) -> Any:
    return p["height"] * np.exp(-p["rate"] * x) + p["floor"][0]


def residuals(p: Any, x: Any, y: Any) -> Any:
    return model(p, x) - y


def by_hand(v: Any) -> Any:
    return v[0] * np.exp(-v[1] * X) + v[2] - Y


def jacobian_by_hand(v: Any) -> Any:
    e = np.exp(-v[1] * X)
    return np.column_stack([e, -v[0] * X * e, np.ones_like(X)])


def start() -> dict[str, Any]:
    return {"height": 1.0, "rate": np.ones(()), "floor": [0.0]}


def vector(p: Any) -> Any:
    return np.array([p["height"], p["rate"], p["floor"][0]])


def compare(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(vector(found.x), wanted.x, rtol=1e-7)
    assert (found.nfev, found.njev, found.status) == (wanted.nfev, wanted.njev, wanted.status)
    np.testing.assert_allclose(found.cost, wanted.cost, rtol=1e-10)
    np.testing.assert_allclose(found.fun, wanted.fun, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found.jac, wanted.jac, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(vector(found.grad), wanted.grad, atol=1e-6)
    np.testing.assert_array_equal(vector(found.active_mask), wanted.active_mask)
    assert set(found) == set(wanted)
    assert type(found) is so.OptimizeResult


@pytest.mark.parametrize("loss", ["linear", "soft_l1", "huber", "cauchy", "arctan"])
@pytest.mark.parametrize("method", SCIPYS)
def test_nested_decay_as_scipy(method: str, loss: str) -> None:
    if method == "lm" and loss != "linear":
        with pytest.raises(ValueError, match="method='lm' supports only 'linear' loss"):
            tg.least_squares(residuals, start(), args=(X, Y), method=method, loss=loss)
        return
    wanted = so.least_squares(by_hand, [1.0, 1.0, 0.0], jacobian_by_hand, method=method, loss=loss, f_scale=0.1)
    found = tg.least_squares(residuals, start(), args=(X, Y), method=method, loss=loss, f_scale=0.1)
    compare(found, wanted)
    assert [type(found.x[k]) for k in ("height", "rate", "floor")] == [float, np.ndarray, list]


NESTED_LOW = {"height": 0.0, "rate": -np.inf, "floor": [0.6]}
NESTED_HIGH = {"height": 1.5, "rate": np.inf, "floor": [np.inf]}


@pytest.mark.parametrize(
    "bounds",
    [
        ([0.0, -np.inf, 0.6], [1.5, np.inf, np.inf]),
        (NESTED_LOW, NESTED_HIGH),
        so.Bounds([0.0, -np.inf, 0.6], [1.5, np.inf, np.inf]),
        {"rate": None, "height": (0.0, 1.5), "floor": [(0.6, None)]},
        {"rate": None, "height": so.Bounds(0.0, 1.5), "floor": [(0.6, np.inf)]},
    ],
    ids=["vectors", "containers", "Bounds", "pairs", "nested Bounds"],
)
@pytest.mark.parametrize("method", ["trf", "dogbox"])
def test_bounds_as_scipy(method: str, bounds: Any) -> None:
    limits = ([0.0, -np.inf, 0.6], [1.5, np.inf, np.inf])
    wanted = so.least_squares(by_hand, [1.0, 1.0, 0.7], jacobian_by_hand, bounds=limits, method=method)
    begin = {"height": 1.0, "rate": np.ones(()), "floor": [0.7]}
    found = tg.least_squares(residuals, begin, args=(X, Y), bounds=bounds, method=method)
    compare(found, wanted)
    assert found.x["height"] == pytest.approx(1.5)
    assert found.active_mask["height"] == 1


@pytest.mark.parametrize("x_scale", ["jac", 2.0, [1.0, 0.5, 3.0], {"height": 1.0, "rate": 0.5, "floor": [3.0]}])
@pytest.mark.parametrize("method", SCIPYS)
def test_scales_as_scipy(method: str, x_scale: Any) -> None:
    flat = [1.0, 0.5, 3.0] if isinstance(x_scale, dict) else x_scale
    wanted = so.least_squares(by_hand, [1.0, 1.0, 0.0], jacobian_by_hand, method=method, x_scale=flat)
    compare(tg.least_squares(residuals, start(), args=(X, Y), method=method, x_scale=x_scale), wanted)


def test_other_settings_are_handed_on(capsys: pytest.CaptureFixture[str]) -> None:
    settings = {"ftol": 1e-3, "xtol": None, "gtol": 1e-2, "tr_solver": "lsmr", "tr_options": {"maxiter": 2}}
    wanted = so.least_squares(by_hand, [1.0, 1.0, 0.0], jacobian_by_hand, **settings)
    compare(tg.least_squares(residuals, start(), args=(X, Y), verbose=1, **settings), wanted)
    assert "Function evaluations" in capsys.readouterr().out
    assert tg.least_squares(residuals, start(), args=(X, Y), max_nfev=2).status == 0


def test_residuals_of_any_form_and_keywords() -> None:
    def two(p: Any, x: Any, *, y: Any, weight: Any = 1.0) -> Any:
        r = p.height * np.exp(-p.rate * x) + p.floor - y
        return {"all": weight * r.reshape(2, 5, 4), "prior": (0.1 * p.rate, [0.1 * p.floor])}

    exactly = {"ftol": 1e-15, "xtol": 1e-15, "gtol": 1e-15}
    found = tg.least_squares(two, Decay(1.0, 1.0, 0.0), args=X, kwargs={"y": Y, "weight": 2.0}, **exactly)
    flat = so.least_squares(lambda v: np.concatenate([2 * by_hand(v), 0.1 * v[1:]]), np.ones(3), method="lm", **exactly)
    assert type(found.x) is Decay
    assert found.fun.shape == (42,)
    np.testing.assert_allclose([found.x.height, found.x.rate, found.x.floor], flat.x, rtol=1e-6)
    one = tg.least_squares(lambda x: np.sum(x**2) - 2.0, np.array([1.0]))
    np.testing.assert_allclose(one.x, np.sqrt(2.0))


def test_float32_runs_in_float64() -> None:
    begin = {"height": np.float32(1.0), "rate": np.ones((), np.float32), "floor": [0.0]}
    found = tg.least_squares(residuals, begin, args=(X, Y))
    exact = tg.least_squares(residuals, start(), args=(X, Y))
    assert found.cost == exact.cost
    assert [type(found.x["height"]), found.x["rate"].dtype, type(found.x["floor"][0])] == [
        np.float32,
        np.float32,
        float,
    ]
    assert found.jac.dtype == np.float64


def test_is_recorded_twice() -> None:
    calls = []

    def counted(p: Any, x: Any, y: Any) -> Any:
        calls.append(1)
        return residuals(p, x, y)

    assert tg.least_squares(counted, start(), args=(X, Y)).nfev > 4
    assert len(calls) == 2  # residuals, and Jacobian


def test_start_is_left_alone() -> None:
    begin = {"x": np.full(3, 2.0)}
    for method in METHODS:
        found = tg.least_squares(lambda p: p["x"] ** 2 - 1.0, begin, method=method)
        assert np.all(begin["x"] == 2.0)
        assert not np.shares_memory(found.x["x"], begin["x"])


# --- sparse


def broyden(x: Any) -> Any:
    """Broyden's tridiagonal function: as in SciPy's documentation."""
    return (3 - x) * x + 1 - np.concatenate([np.zeros(1), x[:-1]]) - 2 * np.concatenate([x[1:], np.zeros(1)])


def broyden_jacobian(x: Any) -> Any:
    n = len(x)
    return csr_array(np.diag(3 - 2 * x) - np.diag(np.ones(n - 1), -1) - 2 * np.diag(np.ones(n - 1), 1))


@pytest.mark.parametrize("bounds", [(-np.inf, np.inf), (-0.9, 0.5)])
@pytest.mark.parametrize("method", ["trf", "dogbox"])
def test_sparse_as_scipy(method: str, bounds: Any) -> None:
    n = 60
    x0 = np.full(n, -0.8)
    wanted = so.least_squares(broyden, x0, broyden_jacobian, bounds=bounds, method=method, tr_solver="lsmr")
    found = tg.least_squares(broyden, x0, bounds=bounds, method=method, sparse=True)
    np.testing.assert_allclose(found.x, wanted.x, rtol=1e-7)
    assert (found.nfev, found.njev) == (wanted.nfev, wanted.njev)
    assert issparse(found.jac)
    np.testing.assert_allclose(found.jac.toarray(), wanted.jac.toarray(), atol=1e-7)
    dense = tg.least_squares(broyden, x0, bounds=bounds, method=method, sparse=False)
    assert type(dense.jac) is np.ndarray
    np.testing.assert_allclose(dense.x, wanted.x, atol=1e-5)


def test_large_jacobians_are_sparse_by_themselves() -> None:
    n = int(np.sqrt(LARGE)) + 1
    x0 = {"x": np.full(n, -1.0)}

    def banded(p: Any) -> Any:
        return broyden(p["x"])

    def dense(p: Any) -> Any:
        return p["x"] + np.sum(p["x"] ** 2)

    assert issparse(tg.least_squares(banded, x0).jac)
    assert not issparse(tg.least_squares(banded, x0, sparse=False).jac)
    assert not issparse(tg.least_squares(banded, x0, tr_solver="exact").jac)
    assert not issparse(tg.least_squares(banded, x0, method="lm").jac)
    assert not issparse(tg.least_squares(banded, {"x": np.full(20, -1.0)}).jac)
    assert not issparse(tg.least_squares(dense, x0, max_nfev=1).jac)


# --- callbacks


@pytest.mark.parametrize("method", ["trf", "dogbox"])
def test_callbacks_get_nested_parameters(method: str) -> None:
    seen: list[Any] = []
    tg.least_squares(residuals, start(), args=(X, Y), method=method, callback=seen.append)
    assert seen
    assert all(type(p) is dict and type(p["height"]) is float for p in seen)
    told: list[Any] = []

    def stop(intermediate_result: Any) -> None:
        told.append(intermediate_result.x)
        if len(told) == 2:
            raise StopIteration

    found = tg.least_squares(residuals, start(), args=(X, Y), method=method, callback=stop)
    assert told[1] == found.x
    assert found.status == -2


# --- errors


def rejected(error: type[Exception], *words: str, fun: Any = residuals, x0: Any = None, **given: Any) -> None:
    given = {"args": (X, Y), **given} if fun is residuals else given
    with pytest.raises(error) as caught:
        tg.least_squares(fun, start() if x0 is None else x0, **given)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_refuses_parameters() -> None:
    rejected(DtypeError, "least_squares: found x0['height'], 3;", "wanted parameters that are", x0={"height": 3})
    rejected(NonFiniteError, "least_squares: found x0['height'] = nan; wanted a start of", x0={"height": np.nan})
    rejected(ShapeError, "x0 without any array", x0=[])


def test_refuses_derivatives() -> None:
    wanted = "wanted the function alone: its Jacobian is made by tapegrad, and sparse=True makes a sparse one"
    rejected(UnsupportedError, "least_squares: found jac='3-point';", wanted, jac="3-point")
    rejected(UnsupportedError, "found diff_step=0.1;", wanted, diff_step=0.1)
    rejected(UnsupportedError, "found jac_sparsity=", wanted, jac_sparsity=np.ones((40, 3)))


def test_refuses_methods() -> None:
    rejected(SettingError, "least_squares: found method='adam'; wanted one of trf, dogbox, lm", method="adam")
    rejected(UnsupportedError, "sparse=True with method='lm'", "method='trf' or 'dogbox'", method="lm", sparse=True)
    rejected(UnsupportedError, "bounds with method='lm'", "method='trf' or 'dogbox'", method="lm", bounds=(0.0, 5.0))
    rejected(UnsupportedError, "sparse=True with tr_solver='exact'", "'lsmr' or None", tr_solver="exact", sparse=True)
    free = tg.least_squares(residuals, start(), args=(X, Y), method="lm", bounds=(-np.inf, np.inf))
    assert free.success
    rejected(ValueError, "`loss` must be one of", loss="square")  # SciPy's own


def test_refuses_bounds() -> None:
    wanted = "wanted (low, high), scipy.optimize.Bounds, or a container of the parameters' structure"
    for bounds in (5, (0, 1, 2), ([0, 0], 1), {"height": (0, 1)}, {**start(), "floor": [1.0]}):
        rejected(ShapeError, "least_squares: found bounds=", wanted, bounds=bounds)
    words = ("found bounds that may be (low, high) or a pair for each parameter", "scipy.optimize.Bounds(low, high)")
    rejected(ShapeError, *words, fun=lambda p: p[0] * p[1], x0=(1.0, 1.0), bounds=((0, 2), (0, 2)))
    rejected(SettingError, "x0['rate'] between 2.0 and 1.0", bounds=([0, 2, 0], [1, 1, 1]))
    words = ("x0['floor'][0] = 0.0 outside its bounds (0.5, inf)", "a start within the bounds")
    rejected(SettingError, *words, bounds=([0, 0, 0.5], np.inf))
    words = ("x_scale={'height': 1}", "'jac', a number, 3 numbers or a container of the parameters' structure")
    rejected(ShapeError, *words, x_scale={"height": 1})


def test_pairs_that_can_be_read_one_way_only() -> None:
    x0 = (np.array([0.5, 0.5, 0.5]), 0.5)

    def fun(p: Any) -> Any:
        return {"a": p[0] - 2.0, "b": p[1] - 2.0}

    found = tg.least_squares(fun, x0, bounds=(0.0, 1.0))
    np.testing.assert_allclose([*found.x[0], found.x[1]], 1.0, rtol=1e-6)
    found = tg.least_squares(fun, x0, bounds=((0.0, 1.0), None))
    np.testing.assert_allclose([*found.x[0], found.x[1]], [1.0, 1.0, 1.0, 2.0], rtol=1e-6)


def test_refuses_residuals() -> None:
    words = ("10 of 40 residuals that are not finite at the start, first residual 0 = nan", "finite residuals")
    rejected(NonFiniteError, *words, fun=lambda p: np.where(np.arange(40) < 10, np.sqrt(p), p), x0=-1.0)
    rejected(ShapeError, "least_squares: found a function that returns no array", fun=lambda p: None, x0=1.0)
    rejected(DtypeError, "an array of dtype <U4", fun=lambda p: "text", x0=1.0)
