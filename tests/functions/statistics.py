"""Reductions with all their options, variances, averages, quantiles, histograms; with and without nan."""

from __future__ import annotations

from typing import Final

import numpy

from tests.functions.case import Call, distinct, uniform

MASK: Final = numpy.array([[True, False, True, True], [False, False, True, False], [True, True, True, True]])
NAN: Final = numpy.array(
    [[1.5, numpy.nan, 2.0, -0.3, 0.9], [numpy.nan, -3.0, 0.5, numpy.nan, 0.25], [4.0, 1.0, 3.0, 2.5, 0.4]]
)
ZEROS: Final = numpy.array([[1.5, 0.0, 2.0], [0.0, 3.0, 0.0], [0.7, -1.1, 0.9]])
EDGES: Final = numpy.array([-1.0, 0.0, 1.5, 2.0])
WEIGHTS: Final = numpy.array([0.5, 1.5, 0.7, 0.2])
COUNTS: Final = numpy.array([2, 1, 3, 1])
Q: Final = numpy.array([[0.1, 0.5], [0.77, 1.0]])
METHODS: Final = (
    "linear",
    "lower",
    "higher",
    "midpoint",
    "nearest",
    "hazen",
    "weibull",
    "median_unbiased",
    "normal_unbiased",
    "inverted_cdf",
    "averaged_inverted_cdf",
    "closest_observation",
    "interpolated_inverted_cdf",
)
ALL_Q: Final = numpy.array([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.625, 0.75, 0.9, 1.0])

REDUCTIONS: Final = (
    Call("numpy.sum", lambda np, x: np.sum(x, axis=0, where=MASK, initial=1.5), (uniform(3, 4),)),
    Call("numpy.sum", lambda np, x: np.sum(x, where=x > 0), (uniform(3, 4),)),
    Call("numpy.sum", lambda np, k: np.sum(k, axis=0, dtype=float), (numpy.arange(6).reshape(2, 3),), smooth=False),
    Call("numpy.sum", lambda np, x: np.sum(x, dtype=int), (uniform(3, 4),), smooth=False),
    Call("numpy.mean", lambda np, x: np.mean(x, axis=1, where=MASK, keepdims=True), (uniform(3, 4),)),
    Call("numpy.mean", lambda np, x: np.mean(x, where=MASK[:, :1]) ** 2, (uniform(3, 4),)),
    Call("numpy.prod", lambda np, x: np.prod(x, axis=1), (ZEROS,), jax=False),
    Call("numpy.prod", lambda np, x: np.prod(x[:, :2], axis=(0, 1)), (uniform(2, 3),)),
    Call("numpy.prod", lambda np, x: np.prod(x, where=MASK, initial=3.0), (uniform(3, 4),)),
    Call("numpy.prod", lambda np, x: np.prod(x, axis=0, keepdims=True), (ZEROS,), jax=False),
    Call("numpy.max", lambda np, x: np.max(x, axis=0, initial=0.2), (distinct(3, 4),)),
    Call("numpy.max", lambda np, x: np.max(x, axis=1, initial=-9.0, where=MASK), (distinct(3, 4),)),
    Call("numpy.max", lambda np, x: np.max(x[:0], axis=0, initial=2.0), (distinct(3, 4),), smooth=False),
    Call("numpy.max", lambda np, k: np.max(k, where=k < 4, initial=2), (numpy.arange(6),), smooth=False),
    Call("numpy.amin", lambda np, x: np.amin(x, initial=0.1, where=x > 0.5), (distinct(3, 4),), plain=True),
    Call("numpy.any", lambda np, x: np.any(x > 1, axis=1, where=MASK), (uniform(3, 4),), smooth=False),
    Call("numpy.all", lambda np, x: np.all(x > -1, axis=0, where=MASK, keepdims=True), (uniform(3, 4),), smooth=False),
    Call("numpy.count_nonzero", lambda np, x: np.count_nonzero(x), (ZEROS,), smooth=False),
    Call("numpy.count_nonzero", lambda np, x: np.count_nonzero(x > 0, axis=1, keepdims=True), (ZEROS,), smooth=False),
    Call("numpy.ptp", lambda np, x: np.ptp(x), (distinct(3, 4),)),
    Call("numpy.ptp", lambda np, x: np.ptp(x, axis=-1, keepdims=True), (distinct(3, 4),)),
)

VARIANCES: Final = (
    Call("numpy.var", lambda np, x: np.var(x), (uniform(3, 4),)),
    Call("numpy.var", lambda np, x: np.var(x, axis=(0, 2), ddof=1, keepdims=True), (uniform(2, 3, 4),)),
    Call("numpy.var", lambda np, x: np.var(x, axis=-1, correction=1), (uniform(3, 4),)),
    Call("numpy.var", lambda np, x: np.var(x, axis=0, where=MASK), (uniform(3, 4),)),
    Call("numpy.var", lambda np, x: np.var(x, axis=0, mean=np.mean(x, axis=0, keepdims=True)), (uniform(3, 4),)),
    Call("numpy.var", lambda np, x, m: np.var(x, 1, mean=m), (uniform(3, 4), uniform(3, 1, seed=1)), jax=False),
    Call("numpy.var", lambda np, k: np.var(k), (numpy.arange(4),), smooth=False),
    Call("numpy.std", lambda np, x: np.std(x), (uniform(3, 4),)),
    Call("numpy.std", lambda np, x: np.std(x, axis=0, ddof=1), (uniform(3, 4),)),
    Call("numpy.std", lambda np, x: np.std(x, axis=1, keepdims=True, where=x > -1.9), (uniform(3, 4),)),
    Call("numpy.average", lambda np, x: np.average(x, axis=1), (uniform(3, 4),)),
    Call("numpy.average", lambda np, x: np.average(x, returned=True), (uniform(3, 4),)),
    Call("numpy.average", lambda np, x, w: np.average(x, axis=-1, weights=w), (uniform(3, 4), WEIGHTS)),
    Call(
        "numpy.average",
        lambda np, x, w: np.average(x, axis=1, weights=w, returned=True, keepdims=True),
        (uniform(3, 4), uniform(3, 4, low=0.1)),
    ),
    Call(
        "numpy.average",
        lambda np, x, w: np.average(x, axis=(2, 0), weights=w),
        (uniform(2, 3, 4), uniform(4, 2, low=0.1)),
        jax=False,
    ),
    Call("numpy.average", lambda np, w: np.average(numpy.arange(4), weights=w), (WEIGHTS,)),
    Call("numpy.cov", lambda np, x: np.cov(x), (uniform(3, 5),)),
    Call("numpy.cov", lambda np, x: np.cov(x), (uniform(5),)),
    Call("numpy.cov", lambda np, x, y: np.cov(x, y, rowvar=False, bias=True), (uniform(5, 2), uniform(5, 1, seed=1))),
    Call("numpy.cov", lambda np, x, w: np.cov(x, aweights=w), (uniform(3, 4), WEIGHTS)),
    Call("numpy.cov", lambda np, x, w: np.cov(x, aweights=w, ddof=0), (uniform(3, 4), WEIGHTS)),
    Call("numpy.cov", lambda np, x: np.cov(x, fweights=COUNTS), (uniform(2, 4),)),
    Call("numpy.cov", lambda np, x, w: np.cov(x, fweights=COUNTS, aweights=w), (uniform(2, 4), WEIGHTS)),
    Call("numpy.corrcoef", lambda np, x: np.corrcoef(x), (uniform(3, 5),)),
    Call("numpy.corrcoef", lambda np, x, y: np.corrcoef(x, y), (uniform(5), uniform(5, seed=1))),
    Call("numpy.corrcoef", lambda np, x: np.corrcoef(x, rowvar=False)[0, 1], (uniform(5, 2),)),
    Call("numpy.corrcoef", lambda np, x: np.corrcoef(x), (uniform(5),), smooth=False),
)


def _by_method(method: str) -> Call:
    return Call(
        f"numpy.quantile, {method}",
        lambda np, x: np.quantile(x, ALL_Q, axis=1, method=method),
        (distinct(2, 5),),
        jax=method in {"linear", "lower", "higher", "midpoint", "nearest"},
    )


def _nan_by_method(method: str) -> Call:
    return Call(
        f"numpy.nanquantile, {method}",
        lambda np, x: np.nanquantile(x, ALL_Q, axis=1, method=method),
        (NAN,),
        jax=False,
    )


QUANTILES: Final = (
    Call("numpy.median", lambda np, x: np.median(x), (distinct(3, 4),)),
    Call("numpy.median", lambda np, x: np.median(x, axis=0), (distinct(3, 4),)),
    Call("numpy.median", lambda np, x: np.median(x * x, axis=(0, -1), keepdims=True), (distinct(3, 2, 2),)),
    Call("numpy.median", lambda np, x: np.median(x, axis=1), (NAN,), smooth=False),
    Call("numpy.median", lambda np, k: np.median(k), (numpy.arange(4),), smooth=False),
    Call("numpy.median", lambda np, x: np.median(x), (numpy.array(1.5),)),
    Call("numpy.quantile", lambda np, x: np.quantile(x, 0.3), (distinct(3, 4),)),
    Call("numpy.quantile", lambda np, x: np.quantile(x, Q, axis=0, keepdims=True), (distinct(4, 3),), jax=False),
    Call("numpy.quantile", lambda np, x: np.quantile(x, Q[0], axis=(2, 0)), (distinct(2, 3, 4),)),
    Call("numpy.quantile", lambda np, x: np.quantile(x, [0.2, 0.9], axis=-1), (NAN,), smooth=False),
    Call("numpy.quantile", lambda np, x, q: np.quantile(x, q, axis=1), (distinct(2, 5), Q[0] + 0.01)),
    Call("numpy.quantile", lambda np, x, q: np.quantile(x, q, method="hazen"), (distinct(5), Q[0] + 0.01), jax=False),
    *[_by_method(method) for method in METHODS],
    Call(
        "numpy.quantile",
        lambda np, x: np.quantile(x, [0.0, 0.3, 0.5, 1.0], axis=1, weights=WEIGHTS, method="inverted_cdf"),
        (distinct(3, 4),),
        jax=False,
    ),
    Call(
        "numpy.quantile",
        lambda np, x, w: np.quantile(x, 0.4, axis=0, weights=w, method="inverted_cdf", keepdims=True),
        (distinct(3, 4), uniform(3, 4, low=0.1)),
        jax=False,
    ),
    Call("numpy.percentile", lambda np, x: np.percentile(x, 30, axis=1), (distinct(3, 4),)),
    Call("numpy.percentile", lambda np, x: np.percentile(x, [5, 95.0], method="lower"), (distinct(3, 4),), jax=False),
    Call("numpy.nanmedian", lambda np, x: np.nanmedian(x), (NAN,)),
    Call("numpy.nanmedian", lambda np, x: np.nanmedian(x, axis=0, keepdims=True), (NAN,)),
    Call("numpy.nanmedian", lambda np, k: np.nanmedian(k), (numpy.arange(4),), smooth=False),
    Call("numpy.nanquantile", lambda np, x: np.nanquantile(x, 0.3), (NAN,)),
    Call("numpy.nanquantile", lambda np, x: np.nanquantile(x, Q, axis=0, keepdims=True), (NAN,), jax=False),
    Call("numpy.nanquantile", lambda np, x: np.nanquantile(x, 0.3, axis=(0, 1)), (NAN,)),
    *[_nan_by_method(method) for method in METHODS],
    Call(
        "numpy.nanquantile",
        lambda np, x, w: np.nanquantile(x, [0.0, 0.3, 1.0], axis=1, weights=w, method="inverted_cdf"),
        (NAN, uniform(3, 5, low=0.1)),
        jax=False,
    ),
    Call("numpy.nanpercentile", lambda np, x: np.nanpercentile(x, 80, axis=1), (NAN,)),
)

WITHOUT_NAN: Final = (
    Call("numpy.nansum", lambda np, x: np.nansum(x, axis=1), (NAN,)),
    Call("numpy.nansum", lambda np, x: np.nansum(x, where=x > 0, initial=1.0), (NAN,)),
    Call("numpy.nansum", lambda np, k: np.nansum(k), (numpy.arange(4),), smooth=False),
    Call("numpy.nanprod", lambda np, x: np.nanprod(x, axis=0), (NAN,)),
    Call("numpy.nanmean", lambda np, x: np.nanmean(x), (NAN,)),
    Call("numpy.nanmean", lambda np, x: np.nanmean(x, axis=1, keepdims=True, where=x > -1), (NAN,)),
    Call("numpy.nanmax", lambda np, x: np.nanmax(x, axis=1), (NAN,)),
    Call("numpy.nanmax", lambda np, x: np.nanmax(x, axis=0, initial=2.2), (NAN,)),
    Call("numpy.nanmin", lambda np, x: np.nanmin(x), (NAN,)),
    Call("numpy.nanmin", lambda np, k: np.nanmin(k), (numpy.arange(4),), smooth=False),
    Call("numpy.nanvar", lambda np, x: np.nanvar(x, axis=1, ddof=1), (NAN,)),
    Call("numpy.nanvar", lambda np, x: np.nanvar(x), (NAN,)),
    Call("numpy.nanstd", lambda np, x: np.nanstd(x, axis=0, keepdims=True), (NAN,)),
    Call("numpy.nanstd", lambda np, x: np.nanstd(x, where=x > 0), (NAN,)),
)

HISTOGRAMS: Final = (
    Call("numpy.histogram", lambda np, x: np.histogram(x, 4), (distinct(3, 4),), smooth=False),
    Call("numpy.histogram", lambda np, x: np.histogram(x, 4)[1], (distinct(3, 4),)),
    Call("numpy.histogram", lambda np, x: np.histogram(x, 3, range=(-0.5, 1.0)), (distinct(3, 4),), smooth=False),
    Call("numpy.histogram", lambda np, x: np.histogram(x, [-1.0, -0.2, 0.5, 0.5, 1.0]), (ZEROS,), smooth=False),
    Call("numpy.histogram", lambda np, w: np.histogram(ZEROS, EDGES, weights=w)[0], (uniform(3, 3),)),
    Call("numpy.histogram", lambda np, x: np.histogram(x, 4, density=True), (distinct(3, 4),)),
    Call(
        "numpy.histogram",
        lambda np, x, w: np.histogram(x, 4, density=True, weights=w),
        (distinct(12), uniform(12, low=0.1)),
    ),
    Call("numpy.histogram_bin_edges", lambda np, x: np.histogram_bin_edges(x, 3), (distinct(3, 4),)),
    Call("numpy.histogram_bin_edges", lambda np, x: np.histogram_bin_edges(x), (ZEROS[:0],), smooth=False),
    Call("numpy.bincount", lambda np, k: np.bincount(k), (COUNTS,), smooth=False),
    Call("numpy.bincount", lambda np, k: np.bincount(k, minlength=6), (COUNTS,), smooth=False),
    Call("numpy.bincount", lambda np, w: np.bincount(COUNTS, w, 6), (WEIGHTS,)),
    Call("numpy.bincount", lambda np, k, w: np.bincount(k, weights=w * w), (COUNTS, WEIGHTS), jax=False),
)

CALLS: Final = REDUCTIONS + VARIANCES + QUANTILES + WITHOUT_NAN + HISTOGRAMS
