"""Families of integers, as formulas."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.scipy import special
from tapegrad.scipy.stats.family import Family


def _probability(p: Any) -> tuple[Any, ...]:
    return p >= 0, p <= 1


def _binom(k: Any, n: Any, p: Any) -> Any:
    ways = special.gammaln(n + 1.0) - (special.gammaln(k + 1.0) + special.gammaln(n - k + 1.0))
    return ways + special.xlogy(k, p) + special.xlog1py(n - k, -p)


def _nbinom(k: Any, n: Any, p: Any) -> Any:
    ways = special.gammaln(n + k) - special.gammaln(k + 1.0) - special.gammaln(n)
    return ways + n * np.log(p) + special.xlog1py(k, -p)


DISCRETE: Final[tuple[Family, ...]] = (
    Family(
        "poisson",
        "Poisson distribution: mu**k exp(-mu) / k!, k >= 0.",
        lambda k, mu: special.xlogy(k, mu) - special.gammaln(k + 1.0) - mu,
        ("mu",),
        lambda mu: (mu >= 0,),
        lower=0.0,
        discrete=True,
        cdf=lambda k, mu: special.gammaincc(k + 1.0, mu),
        sf=lambda k, mu: special.gammainc(k + 1.0, mu),
    ),
    Family(
        "binom",
        "Binomial distribution: C(n, k) p**k (1 - p)**(n - k), 0 <= k <= n.",
        _binom,
        ("n", "p"),
        lambda n, p: (n >= 0, np.floor(n) == n, *_probability(p)),
        lower=0.0,
        upper=lambda n, _: n,
        discrete=True,
        cdf=lambda k, n, p: special.betainc(n - k, k + 1.0, 1.0 - p),
        sf=lambda k, n, p: special.betainc(k + 1.0, n - k, p),
    ),
    Family(
        "nbinom",
        "Negative binomial distribution: C(k + n - 1, n - 1) p**n (1 - p)**k, k >= 0.",
        _nbinom,
        ("n", "p"),
        lambda n, p: (n > 0, p > 0, p <= 1),
        lower=0.0,
        discrete=True,
        cdf=lambda k, n, p: special.betainc(n, k + 1.0, p),
        sf=lambda k, n, p: special.betainc(k + 1.0, n, 1.0 - p),
    ),
    Family(
        "bernoulli",
        "Bernoulli distribution: p for k = 1, 1 - p for k = 0.",
        lambda k, p: special.xlogy(k, p) + special.xlog1py(1.0 - k, -p),
        ("p",),
        _probability,
        lower=0.0,
        upper=1.0,
        discrete=True,
        cdf=lambda k, p: 1.0 - p + 0.0 * k,
        sf=lambda k, p: p + 0.0 * k,
    ),
    Family(
        "geom",
        "Geometric distribution: (1 - p)**(k - 1) p, k >= 1.",
        lambda k, p: special.xlog1py(k - 1.0, -p) + np.log(p),
        ("p",),
        lambda p: (p > 0, p <= 1),
        lower=1.0,
        discrete=True,
        cdf=lambda k, p: -np.expm1(special.xlog1py(k, -p)),
        sf=lambda k, p: np.exp(special.xlog1py(k, -p)),
        logsf=lambda k, p: special.xlog1py(k, -p),
    ),
)
