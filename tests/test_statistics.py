"""Statistics and running products: ties, zeros, constants, nan, infinities, nothing at all, misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import ShapeError, TapegradError, UnsupportedError
from tapegrad.scipy.special import logsumexp
from tests.models import Counted

NAN, INF = np.nan, np.inf
X = np.array([1.0, 2.0, 3.0])


def gradient(f: Callable[..., Any], x: Any) -> Any:
    return tg.grad(f)(np.asarray(x, float)).tolist()


def value(f: Callable[..., Any], x: Any) -> Any:
    return tg.value_and_grad(f)(np.asarray(x, float))[0]


def hessian(f: Callable[..., Any], x: Any) -> Any:
    x = np.asarray(x, float)
    return tg.hessian(f)(x).reshape(x.size, x.size)


def product_hessian(x: Any) -> Any:
    """By the formula: the product of the others."""
    n = len(x)
    rest = [[np.prod(np.delete(x, [j, k])) if j != k else 0.0 for k in range(n)] for j in range(n)]
    return np.array(rest)


# --- products with zeros

ZEROS = ([2.0, 3.0, 5.0], [2.0, 0.0, 5.0, 3.0], [0.0, 2.0, 0.0, 3.0, 7.0], [0.0, 0.0, 0.0, 2.0], [0.0, 0.0])


@pytest.mark.parametrize("x", ZEROS, ids=str)
def test_derivatives_of_a_product_with_zeros(x: list[float]) -> None:
    wanted = [np.prod(np.delete(x, j)) for j in range(len(x))]
    assert gradient(np.prod, x) == wanted
    assert np.array_equal(hessian(np.prod, x), product_hessian(x))


@pytest.mark.parametrize("x", ZEROS, ids=str)
def test_derivatives_of_running_products_with_zeros(x: list[float]) -> None:
    n = len(x)
    weights = 1.0 + np.arange(n)
    first = np.zeros(n)
    second = np.zeros((n, n))
    for k in range(1, n + 1):
        first[:k] += weights[k - 1] * np.array([np.prod(np.delete(x[:k], j)) for j in range(k)])
        second[:k, :k] += weights[k - 1] * product_hessian(x[:k])
    assert gradient(lambda x: np.sum(np.cumprod(x) * weights), x) == first.tolist()
    assert np.array_equal(hessian(lambda x: np.sum(np.cumprod(x) * weights), x), second)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 34, 63, 64, 65, 129, 200])
def test_running_products_of_any_length(n: int) -> None:
    """Those of whole numbers are exact, in whatever order they are multiplied."""
    rng = np.random.default_rng(n)
    x = rng.choice([-1.0, 1.0, 2.0, 0.5], (2, n))
    found, back = tg.vjp(lambda x: np.cumprod(x, axis=1), x)
    np.testing.assert_array_equal(found, np.cumprod(x, axis=1))
    seed = rng.integers(-3, 4, (2, n)).astype(float)
    wanted = np.cumsum((seed * found)[:, ::-1], axis=1)[:, ::-1] / x
    np.testing.assert_allclose(back(seed)[0], wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())
    columns = tg.vjp(lambda x: np.cumprod(x, axis=0), x.T.copy())[0]
    np.testing.assert_array_equal(columns, found.T)


# --- ties, constants


def test_ties_of_the_extremes_share() -> None:
    assert gradient(lambda x: np.max(x, initial=3.0), [1, 3, 2]) == [0, 0.5, 0]
    assert gradient(np.nanmax, [3, NAN, 3, 1]) == [0.5, 0, 0.5, 0]
    assert gradient(np.ptp, [1, 3, 3, 1]) == [-0.5, 0.5, 0.5, -0.5]
    assert gradient(lambda x: np.max(x, initial=-9.0, where=[True, False, True]), [1, 9, 1]) == [0.5, 0, 0.5]


def test_the_deviation_of_equal_elements() -> None:
    assert gradient(np.std, [2, 2, 2]) == [0, 0, 0]
    assert gradient(np.nanstd, [2, NAN, 2]) == [0, 0, 0]
    assert gradient(lambda x: np.sum(np.std(x, axis=1)), [[2, 2], [3, 5]]) == [[0, 0], [-0.5, 0.5]]
    assert np.isfinite(hessian(np.std, [2, 2, 2])).all()


def test_the_derivative_of_a_quantile_goes_to_the_elements_that_are_taken() -> None:
    assert gradient(np.median, [1, 2, 2, 5]) == [0, 0.5, 0.5, 0]
    found = np.array(gradient(np.median, [7, 2, 2, 2, 1]))
    assert sorted(found.tolist()) == [0, 0, 0, 0, 1]
    assert found[1:4].sum() == 1
    assert gradient(lambda x: np.quantile(x, 0.25, method="lower"), [4, 3, 2, 1]) == [0, 0, 0, 1]
    np.testing.assert_allclose(gradient(lambda x: np.quantile(x, 0.75), [1, 2, 4]), [0, 0.5, 0.5], rtol=1e-15)


def test_a_quantile_by_its_share() -> None:
    """d/dq of what is between two elements is their distance times n - 1."""
    assert tg.grad(lambda q: np.quantile(np.array([1.0, 4.0, 9.0]), q))(0.3) == pytest.approx(6.0, rel=1e-14)
    counted = Counted(lambda q: np.quantile(X, q))
    g = tg.grad(counted)
    g(0.3)
    g(0.9)
    with pytest.raises(ValueError, match="quantile: found a q outside of 0 to 1"):
        g(1.5)
    assert counted.runs == 2


def test_weights_of_zero_are_passed_over() -> None:
    x, w = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0.0, 1.0, 1.0, 0.0])
    q = [0.0, 0.5, 0.6, 1.0]
    found = tg.vjp(lambda x: np.quantile(x, q, axis=1, weights=w, method="inverted_cdf"), x)[0]
    np.testing.assert_array_equal(found, np.quantile(x, q, axis=1, weights=w, method="inverted_cdf"))


def test_perfect_correlation() -> None:
    x = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0], [-1.0, -2.0, -4.0]])
    found, back = tg.vjp(np.corrcoef, x)
    np.testing.assert_allclose(found, np.corrcoef(x), rtol=1e-15)
    assert np.abs(found).max() <= 1.0
    np.testing.assert_allclose(back(np.ones((3, 3)))[0], np.zeros((3, 3)), atol=1e-14)


# --- nan and infinities


def test_nan_is_the_median() -> None:
    for f in (np.median, lambda x: np.quantile(x, 0.3), lambda x: np.percentile(x, 90, method="lower")):
        assert np.isnan(value(f, [1, NAN, 3]))
        assert gradient(f, [1, NAN, 3]) == [0, 1, 0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "f",
    [
        np.nanmean,
        np.nanmax,
        np.nanmin,
        np.nanvar,
        np.nanstd,
        np.nanmedian,
        lambda x, axis: np.nanquantile(x, 0.3, axis),
    ],
)
def test_rows_of_nan_alone_are_nan(f: Callable[..., Any]) -> None:
    x = np.array([[NAN, NAN, NAN], [1.0, NAN, 4.0]])
    found, back = tg.vjp(lambda x: f(x, axis=1), x)
    np.testing.assert_allclose(found, f(x, axis=1), rtol=1e-14)
    assert np.isnan(found[0])
    slope = back(np.array([0.0, 1.0]))[0]
    assert slope[0].tolist() == [0, 0, 0]
    assert slope[1, 1] == 0
    assert np.isfinite(slope).all()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_no_degree_of_freedom() -> None:
    for ddof in (1, 2, 3):
        for f in (np.var, np.nanvar):
            x = np.array([[1.0, 2.0], [1.0, NAN]])[:, : 2 if f is np.nanvar else 1]
            found = tg.vjp(lambda x, f=f, ddof=ddof: f(x, axis=1, ddof=ddof), x)[0]
            np.testing.assert_array_equal(found, f(x, axis=1, ddof=ddof))


def test_logsumexp_of_infinities() -> None:
    """A row of -inf has the derivative 0; beside others -inf takes no part."""
    x = np.array([[-INF, -INF, -INF], [-INF, 1.0, 2.0], [0.5, 1.0, -INF]])
    found, back = tg.vjp(lambda x: logsumexp(x, axis=1), x)
    np.testing.assert_allclose(found, np.logaddexp.reduce(x, axis=1), rtol=1e-15)
    with np.errstate(invalid="ignore"):
        soft = np.nan_to_num(np.exp(x - found[:, None]))
    np.testing.assert_allclose(back(np.ones(3))[0], soft, rtol=1e-14)
    curved = hessian(lambda x: np.sum(logsumexp(x, axis=1) * np.array([0.0, 1.0, 1.0])), x)
    wanted = np.zeros((9, 9))
    for k in (1, 2):
        wanted[3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = np.diag(soft[k]) - np.outer(soft[k], soft[k])
    np.testing.assert_allclose(curved[3:, 3:], wanted[3:, 3:], atol=1e-15)
    assert np.array_equal(hessian(logsumexp, x[0]), np.zeros((3, 3)))
    assert np.logaddexp.reduce(x[2]) == value(np.logaddexp.reduce, x[2])
    assert value(logsumexp, [INF, 1.0]) == INF


def softmax(x: Any) -> Any:
    terms = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return terms / np.sum(terms, axis=-1, keepdims=True)


def test_masked_softmax() -> None:
    """What is masked with -inf takes no part, and its derivatives are 0: first and second."""
    mask, weights, x = (
        np.array([True, False, True, True]),
        np.array([1.0, 5.0, 2.0, 4.0]),
        np.array([0.3, 0.1, -0.4, 1.0]),
    )
    masked = lambda x: np.sum(softmax(np.where(mask, x, -INF)) * weights)  # noqa: E731
    others = lambda x: np.sum(softmax(x) * weights[mask])  # noqa: E731
    assert value(masked, x) == pytest.approx(value(others, x[mask]), rel=1e-15)
    wanted = np.zeros(4)
    wanted[mask] = gradient(others, x[mask])
    np.testing.assert_allclose(gradient(masked, x), wanted, rtol=1e-14)
    twice = np.zeros((4, 4))
    twice[np.ix_(mask, mask)] = hessian(others, x[mask])
    np.testing.assert_allclose(hessian(masked, x), twice, atol=1e-15)
    there = np.where(mask, x, -INF)  # as an argument, too
    np.testing.assert_allclose(gradient(lambda x: np.sum(softmax(x) * weights), there), wanted, rtol=1e-14)
    np.testing.assert_allclose(hessian(lambda x: np.sum(softmax(x) * weights), there), twice, atol=1e-15)


# --- nothing at all


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_statistics_of_nothing() -> None:
    for f in (np.mean, np.var, np.std, np.median, np.nanmean, np.nanmedian, np.average):
        found, back = tg.vjp(lambda x, f=f: f(x), np.zeros(0))
        assert np.isnan(found)
        assert back(np.ones(()))[0].shape == (0,)
    empty = np.zeros((0, 2))
    for f in (np.sum, np.prod, np.nansum, np.mean, np.median):
        np.testing.assert_array_equal(tg.vjp(lambda x, f=f: f(x, axis=0), empty)[0], f(empty, axis=0))


# --- histograms


def test_counts_of_a_histogram_have_no_guard() -> None:
    counted = Counted(lambda x: np.sum(x * np.histogram(x, [0.0, 1.0, 2.0, 3.0])[0]))
    g = tg.grad(counted)
    assert g(np.array([0.5, 2.5, 3.0])).tolist() == [1, 0, 2]
    assert g(np.array([1.0, 1.5, 7.0])).tolist() == [0, 2, 0]
    assert counted.runs == 1


def test_a_histogram_of_equal_elements() -> None:
    g = tg.value_and_grad(lambda x: np.sum(np.histogram(x, 2)[1] * X))
    assert g(np.array([1.0, 1.0])) == (1.0 * 0.5 + 2.0 * 1.0 + 3.0 * 1.5, pytest.approx([3.0, 3.0]))
    assert g(np.array([1.0, 3.0])) == (1.0 + 4.0 + 9.0, pytest.approx([2.0, 4.0]))


@pytest.mark.parametrize("bins", [1, 3, 10])
def test_elements_on_edges_are_counted_as_numpy_does(bins: int) -> None:
    x = np.random.default_rng(bins).integers(0, 11, 200) / 10
    weights = np.arange(200.0)
    found = tg.vjp(lambda x, w: (np.histogram(x, bins)[0], np.histogram(x, bins, weights=w)[0]), x, weights)[0]
    np.testing.assert_array_equal(found[0], np.histogram(x, bins)[0])
    np.testing.assert_array_equal(found[1], np.histogram(x, bins, weights=weights)[0])


# --- misuse

MISUSE: dict[str, tuple[Callable[..., Any], type[TapegradError], str]] = {
    "dtype of a sum": (
        lambda x: np.sum(x, dtype=np.float32),
        UnsupportedError,
        "sum: found dtype=float32; wanted float64 or int64, the dtypes of the tape",
    ),
    "dtype of a mean": (lambda x: np.mean(x, dtype=int), UnsupportedError, "mean: found dtype=int64; wanted float64"),
    "dtype of cumsum": (lambda x: np.cumsum(x, dtype=bool), UnsupportedError, "cumsum: found dtype=bool"),
    "dtype of an accumulation": (
        lambda x: np.maximum.accumulate(x, dtype=float),
        UnsupportedError,
        "maximum.accumulate: found dtype=",
    ),
    "out=": (lambda x: np.var(x, out=np.zeros(())), UnsupportedError, "var: found out="),
    "where= of max": (lambda x: np.max(x, where=x > 1), UnsupportedError, "max: found where= without initial="),
    "shape of where=": (
        lambda x: np.sum(x, where=np.ones((2, 3), bool)),
        ShapeError,
        r"sum: found where= of shape \(2, 3\); wanted one that broadcasts to \(3,\)",
    ),
    "shape of mean=": (
        lambda x: np.var(x, mean=np.ones((2, 1))),
        ShapeError,
        r"var: found mean= of shape \(2, 1\); wanted the mean of the elements, with keepdims=True",
    ),
    "ddof twice": (lambda x: np.std(x, ddof=1, correction=1), UnsupportedError, "std: found ddof= and correction="),
    "axis of var": (lambda x: np.var(x, axis=1), ShapeError, "var: found axis 1"),
    "weights": (
        lambda x: np.average(x, weights=[1.0, 2.0]),
        ShapeError,
        r"average: found weights of shape \(2,\) without an axis",
    ),
    "weights along an axis": (
        lambda x: np.average(x, axis=0, weights=np.ones((2, 3))),
        ShapeError,
        r"average: found weights of shape \(2, 3\); wanted weights of shape \(3,\) or \(3,\)",
    ),
    "method": (lambda x: np.quantile(x, 0.5, method="best"), UnsupportedError, "method='best'; wanted one of linear, "),
    "weights of a method": (
        lambda x: np.quantile(x, 0.5, weights=X),
        UnsupportedError,
        "quantile: found weights= with method='linear'; wanted method='inverted_cdf'",
    ),
    "negative weights": (
        lambda x: np.quantile(x, 0.5, weights=X - 2, method="inverted_cdf"),
        ShapeError,
        "quantile: found negative weights",
    ),
    "quantile of nothing": (lambda x: np.nanquantile(x[:0], 0.5), ShapeError, r"nanquantile: found shape \(0,\)"),
    "three axes": (lambda x: np.cov(x.reshape(1, 1, 3)), ShapeError, r"cov: found shape \(1, 1, 3\)"),
    "observations": (lambda x: np.cov(x, x[1:]), ShapeError, "cov: found 3 and 2 observations"),
    "frequencies": (lambda x: np.cov(x, fweights=x), UnsupportedError, "cov: found fweights that are not integers"),
    "negative frequencies": (lambda x: np.cov(x, fweights=[1, -1, 1]), ShapeError, "cov: found negative fweights"),
    "shape of importances": (lambda x: np.cov(x, aweights=x[1:]), ShapeError, r"aweights of shape \(2,\)"),
    "axis of a sum so far": (lambda x: np.cumulative_sum(x.reshape(3, 1)), ShapeError, "without an axis; wanted axis="),
    "nothing so far": (lambda x: np.add.accumulate(x[0]), ShapeError, "accumulate: found an array without axes"),
    "indices of reduceat": (lambda x: np.add.reduceat(x, [0, 3]), ShapeError, "found an index outside of 0 to 2"),
    "floats for indices": (lambda x: np.add.reduceat(x, x), ShapeError, r"indices of shape \(3,\), float64"),
    "automatic bins": (lambda x: np.histogram(x, "auto"), UnsupportedError, "histogram: found bins='auto'"),
    "no bins": (lambda x: np.histogram(x, 0), ShapeError, "histogram: found 0 bins"),
    "falling edges": (lambda x: np.histogram(x, [2.0, 1.0]), ShapeError, "histogram: found edges in no order"),
    "range": (lambda x: np.histogram(x, range=(2, 1)), ShapeError, "histogram: found a range that is not finite, or"),
    "range of nan": (lambda x: np.histogram(x * NAN), ShapeError, "histogram: found a range that is not finite, or"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, kind, words = MISUSE[name]
    with pytest.raises(kind, match=words) as caught:
        tg.vjp(f, X)
    assert f"(at {f.__code__.co_filename}:{f.__code__.co_firstlineno}" in str(caught.value)


def test_values_that_numpy_refuses_too() -> None:
    with pytest.raises(ZeroDivisionError, match="average: found weights that add up to 0"):
        tg.vjp(lambda x: np.average(x, weights=[1.0, -1.0, 0.0]), X)
    for q in (1.5, -0.1, [0.5, NAN]):
        with pytest.raises(ValueError, match="quantile: found a q outside of 0 to 1"):
            tg.vjp(lambda x, q=q: np.quantile(x, q), X)
    with pytest.raises(ValueError, match="nanpercentile: found a q outside of 0 to 100"):
        tg.vjp(lambda x: np.nanpercentile(x, 101), X)
