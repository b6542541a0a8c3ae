"""tapegrad.least_squares by our own Levenberg-Marquardt: as the method by itself, and as MINPACK's in the end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import issparse

import tapegrad as tg
from tapegrad.errors import SettingError, UnsupportedError
from tapegrad.optimizers import LevenbergMarquardt, Residuals, descend
from tests.test_least_squares import X, Y, residuals, start, vector

OWN = "levenberg-marquardt"


def test_the_method_by_itself() -> None:
    found = tg.least_squares(residuals, start(), method=OWN, args=(X, Y), ftol=None, xtol=1e-12, gtol=1e-10)
    method = LevenbergMarquardt(decrease_tolerance=0.0, step_tolerance=1e-12, gradient_tolerance=1e-10)
    params, state = descend(Residuals(residuals, start(), (X, Y)), method)
    np.testing.assert_array_equal(vector(found.x), vector(params))
    assert (found.cost, found.nfev, found.njev, found.nit) == (
        state.value,
        state.evaluations,
        state.jacobians,
        state.iterations,
    )
    assert found.message == state.stopped
    assert found.success


def test_as_minpack_in_the_end() -> None:
    found = tg.least_squares(residuals, start(), method=OWN, args=(X,), kwargs={"y": Y}, ftol=None, xtol=1e-12)
    wanted = tg.least_squares(residuals, start(), method="lm", args=(X, Y), ftol=1e-14, xtol=1e-14, gtol=1e-14)
    np.testing.assert_allclose(vector(found.x), vector(wanted.x), rtol=1e-6)
    assert found.cost == pytest.approx(wanted.cost)
    np.testing.assert_allclose(found.jac, wanted.jac, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(vector(found.grad), 0.0, atol=1e-4)
    np.testing.assert_array_equal(vector(found.active_mask), 0)
    assert found.x.keys() == wanted.x.keys()


def test_sparse_and_float32() -> None:
    def chain(x: Any) -> Any:
        return (3 - x) * x + 1 - np.concatenate([np.zeros(1), x[:-1]]) - 2 * np.concatenate([x[1:], np.zeros(1)])

    found = tg.least_squares(chain, -np.ones(2000, np.float32), method=OWN)
    assert issparse(found.jac)
    assert found.x.dtype == np.float32
    assert found.cost < 1e-12
    dense = tg.least_squares(chain, -np.ones(60), method=OWN, sparse=False)
    assert isinstance(dense.jac, np.ndarray)


def test_ends() -> None:
    few = tg.least_squares(residuals, start(), method=OWN, args=(X, Y), max_nfev=2)
    assert (few.status, few.success) == (0, False)
    assert "maximum number of function evaluations" in few.message
    seen: list[Any] = []

    def plain(p: Any) -> None:
        seen.append(p)

    def named(intermediate_result: Any) -> None:
        seen.append(intermediate_result)
        if intermediate_result.nit == 2:
            raise StopIteration

    found = tg.least_squares(residuals, start(), method=OWN, args=(X, Y), callback=plain)
    assert len(seen) == found.nit
    assert seen[-1].keys() == found.x.keys()
    seen.clear()
    found = tg.least_squares(residuals, start(), method=OWN, args=(X, Y), callback=named)
    assert found.message == "the callback asked for it"
    assert seen[-1].x.keys() == found.x.keys()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"loss": "huber"}, "found loss='huber' with method='levenberg-marquardt'; wanted method='trf' or 'dogbox'"),
        ({"x_scale": 2.0}, "found x_scale=2.0 with method='levenberg-marquardt'"),
        ({"tr_solver": "lsmr"}, "found tr_solver='lsmr' with"),
        ({"tr_options": {"regularize": False}}, "with method='levenberg-marquardt'"),
        ({"bounds": (0.0, 9.0)}, "found bounds with method='levenberg-marquardt'; wanted method='trf' or 'dogbox'"),
    ],
)
def test_what_it_does_not_take(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        tg.least_squares(residuals, start(), method=OWN, args=(X, Y), **setting)
    assert words in str(caught.value)


def test_unknown_methods() -> None:
    with pytest.raises(SettingError, match="one of trf, dogbox, lm, levenberg-marquardt"):
        tg.least_squares(residuals, start(), method="lma", args=(X, Y))
