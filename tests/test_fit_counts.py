"""Regressions of counts: coefficients and standard errors are statsmodels', and the maximum is one."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from benchmarks.fits import counts
from benchmarks.fits.counts import MODELS, POISSON, Estimate, Model

pytest.importorskip("statsmodels")
EACH_MODEL = pytest.mark.parametrize("model", MODELS, ids=lambda m: m.theirs)


@cache
def data() -> counts.Data:
    return counts.load(quick=False)


@cache
def estimate(model: Model) -> Estimate:
    return counts.ours(model, data())


@EACH_MODEL
def test_statsmodels_finds_the_same(model: Model) -> None:
    ours, theirs = estimate(model), counts.theirs(model, data())
    np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours.errors, theirs.errors, rtol=1e-6, atol=0)
    assert ours.likelihood == pytest.approx(theirs.likelihood, rel=1e-12)


@EACH_MODEL
def test_the_likelihood_is_scipys(model: Model) -> None:
    from scipy import stats

    x, y = data().x[:200], data().y[:200]
    values = estimate(model).values
    mean = np.exp(x @ values[: x.shape[1]])
    if model is POISSON:
        expected = stats.poisson.logpmf(y, mean)
    else:
        size = 1 / values[-1]
        expected = stats.nbinom.logpmf(y, size, size / (size + mean))
    np.testing.assert_allclose(model.log_probability(values, x, y), expected, rtol=1e-10)


@EACH_MODEL
def test_standard_errors_are_those_of_the_hessian(model: Model) -> None:
    d, found = data(), estimate(model)
    hessian = tg.hessian(model.loss)(found.values, d.x, d.y)
    assert (np.linalg.eigvalsh(hessian) > 0).all()
    np.testing.assert_allclose(found.errors, np.sqrt(np.diag(np.linalg.inv(hessian))), rtol=1e-10)
    gradient = tg.grad(model.loss)(found.values, d.x, d.y)
    assert np.abs(gradient).max() < 1e-4 * np.sqrt(len(d.y))


def test_poissons_gradient_and_hessian_are_those_of_the_book() -> None:
    """Cameron & Trivedi, section 3.2: X'(mean - y) and X' diag(mean) X."""
    d = data()
    beta = np.linspace(-0.1, 0.1, d.x.shape[1])
    mean = np.exp(d.x @ beta)
    gradient = tg.grad(POISSON.loss)(beta, d.x, d.y)
    hessian: Any = tg.hessian(POISSON.loss)(beta, d.x, d.y)
    np.testing.assert_allclose(gradient, d.x.T @ (mean - d.y), rtol=1e-10, atol=1e-6)
    np.testing.assert_allclose(hessian, d.x.T @ (mean[:, None] * d.x), rtol=1e-10)


def test_another_model_is_seen() -> None:
    """The comparison can fail."""
    other = estimate(POISSON)
    far = Estimate(other.values + 1e-5, other.errors, other.likelihood)
    assert counts.difference(other, far) > counts.AGREE
    assert counts.difference(other, Estimate(other.values, other.errors * 1.001, 0.0)) > counts.AGREE
