"""Families with a density, as formulas: those of SciPy, written so that they are smooth where the density is."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from tapegrad.scipy import special
from tapegrad.scipy.stats.family import Family

# By their names, since SciPy is not to be imported yet.
_NDTR, _NDTRI, _EXPIT, _LOG_NDTR = map(special.SpecialFunction, ("ndtr", "ndtri", "expit", "log_ndtr"))
_LOG_2: Final = math.log(2.0)
_LOG_PI: Final = math.log(math.pi)
_LOG_2_PI: Final = math.log(2.0 * math.pi)
_ROOT_2: Final = math.sqrt(2.0)


def _positive(*shapes: Any) -> tuple[Any, ...]:
    return tuple(s > 0 for s in shapes)


def _t(y: Any, df: Any) -> Any:
    return -0.5 * (df + 1.0) * np.log1p(y * y / df) - 0.5 * np.log(df) - special.betaln(0.5 * df, 0.5)


def _softplus(y: Any) -> Any:
    return np.logaddexp(0.0, y)


ON_THE_LINE: Final[tuple[Family, ...]] = (
    Family(
        "norm",
        "Normal distribution: exp(-y**2 / 2) / sqrt(2 pi).",
        lambda y: -0.5 * (y * y) - 0.5 * _LOG_2_PI,
        cdf=_NDTR,
        sf=lambda y: special.ndtr(-y),
        logcdf=_LOG_NDTR,
        logsf=lambda y: special.log_ndtr(-y),
        ppf=_NDTRI,
        isf=lambda q: -special.ndtri(q),
    ),
    Family(
        "t",
        "Student's t: (1 + y**2 / df)**(-(df + 1) / 2) / (sqrt(df) B(df / 2, 1 / 2)).",
        _t,
        ("df",),
        _positive,
        cdf=lambda y, df: special.stdtr(df, y),
        sf=lambda y, df: special.stdtr(df, -y),
        ppf=lambda q, df: special.stdtrit(df, q),
        isf=lambda q, df: -special.stdtrit(df, q),
    ),
    Family(
        "laplace",
        "Laplace distribution: exp(-|y|) / 2.",
        lambda y: -np.abs(y) - _LOG_2,
        cdf=lambda y: np.where(y > 0, 1.0 - 0.5 * np.exp(-y), 0.5 * np.exp(y)),
        sf=lambda y: np.where(y > 0, 0.5 * np.exp(-y), 1.0 - 0.5 * np.exp(y)),
        logcdf=lambda y: np.where(y > 0, np.log1p(-0.5 * np.exp(-y)), y - _LOG_2),
        logsf=lambda y: np.where(y > 0, -y - _LOG_2, np.log1p(-0.5 * np.exp(y))),
        ppf=lambda q: np.where(q > 0.5, -np.log(2.0 * (1.0 - q)), np.log(2.0 * q)),
        isf=lambda q: np.where(q > 0.5, np.log(2.0 * (1.0 - q)), -np.log(2.0 * q)),
    ),
    Family(
        "logistic",
        "Logistic distribution: exp(-y) / (1 + exp(-y))**2.",
        lambda y: -_softplus(y) - _softplus(-y),
        cdf=_EXPIT,
        sf=lambda y: special.expit(-y),
        logcdf=lambda y: -_softplus(-y),
        logsf=lambda y: -_softplus(y),
        ppf=lambda q: np.log(q) - np.log1p(-q),
        isf=lambda q: np.log1p(-q) - np.log(q),
    ),
    Family(
        "cauchy",
        "Cauchy distribution: 1 / (pi (1 + y**2)).",
        lambda y: -np.log1p(y * y) - _LOG_PI,
        cdf=lambda y: np.arctan2(1.0, -y) / math.pi,
        sf=lambda y: np.arctan2(1.0, y) / math.pi,
        ppf=lambda q: -1.0 / np.tan(math.pi * q),
        isf=lambda q: 1.0 / np.tan(math.pi * q),
    ),
    Family(
        "vonmises",
        "Von Mises distribution: exp(kappa cos(y)) / (2 pi I0(kappa)).",
        lambda y, kappa: -2.0 * kappa * np.sin(0.5 * y) ** 2 - _LOG_2_PI - np.log(special.i0e(kappa)),
        ("kappa",),
        lambda kappa: (kappa >= 0,),
    ),
)

ON_A_PART: Final[tuple[Family, ...]] = (
    Family(
        "uniform",
        "Uniform distribution: 1 for 0 <= y <= 1.",
        lambda y: 0.0 * y,
        lower=0.0,
        upper=1.0,
        cdf=lambda y: y,
        sf=lambda y: 1.0 - y,
        ppf=lambda q: q,
        isf=lambda q: 1.0 - q,
    ),
    Family(
        "expon",
        "Exponential distribution: exp(-y), y >= 0.",
        lambda y: -y,
        lower=0.0,
        cdf=lambda y: -np.expm1(-y),
        sf=lambda y: np.exp(-y),
        logsf=lambda y: -y,
        ppf=lambda q: -np.log1p(-q),
        isf=lambda q: -np.log(q),
    ),
    Family(
        "halfnorm",
        "Half normal distribution: sqrt(2 / pi) exp(-y**2 / 2), y >= 0.",
        lambda y: -0.5 * (y * y) + 0.5 * (_LOG_2 - _LOG_PI),
        lower=0.0,
        cdf=lambda y: special.erf(y / _ROOT_2),
        sf=lambda y: 2.0 * special.ndtr(-y),
        logsf=lambda y: special.log_ndtr(-y) + _LOG_2,
        ppf=lambda q: _ROOT_2 * special.erfinv(q),
        isf=lambda q: -special.ndtri(0.5 * q),
    ),
    Family(
        "lognorm",
        "Lognormal distribution: exp(-log(y)**2 / (2 s**2)) / (s y sqrt(2 pi)), y > 0.",
        lambda y, s: -0.5 * (np.log(y) / s) ** 2 - np.log(s) - np.log(y) - 0.5 * _LOG_2_PI,
        ("s",),
        _positive,
        lower=0.0,
        open=True,
        cdf=lambda y, s: special.ndtr(np.log(y) / s),
        sf=lambda y, s: special.ndtr(-np.log(y) / s),
        logcdf=lambda y, s: special.log_ndtr(np.log(y) / s),
        logsf=lambda y, s: special.log_ndtr(-np.log(y) / s),
        ppf=lambda q, s: np.exp(s * special.ndtri(q)),
        isf=lambda q, s: np.exp(-s * special.ndtri(q)),
    ),
    Family(
        "gamma",
        "Gamma distribution: y**(a - 1) exp(-y) / gamma(a), y >= 0.",
        lambda y, a: special.xlogy(a - 1.0, y) - y - special.gammaln(a),
        ("a",),
        _positive,
        lower=0.0,
        cdf=lambda y, a: special.gammainc(a, y),
        sf=lambda y, a: special.gammaincc(a, y),
        ppf=lambda q, a: special.gammaincinv(a, q),
        isf=lambda q, a: special.gammainccinv(a, q),
    ),
    Family(
        "chi2",
        "Chi-squared distribution: (y / 2)**(df / 2 - 1) exp(-y / 2) / (2 gamma(df / 2)), y >= 0.",
        lambda y, df: special.xlogy(0.5 * df - 1.0, y) - 0.5 * y - special.gammaln(0.5 * df) - 0.5 * _LOG_2 * df,
        ("df",),
        _positive,
        lower=0.0,
        cdf=lambda y, df: special.gammainc(0.5 * df, 0.5 * y),
        sf=lambda y, df: special.gammaincc(0.5 * df, 0.5 * y),
        ppf=lambda q, df: 2.0 * special.gammaincinv(0.5 * df, q),
        isf=lambda q, df: 2.0 * special.gammainccinv(0.5 * df, q),
    ),
    Family(
        "invgamma",
        "Inverse gamma distribution: y**(-a - 1) exp(-1 / y) / gamma(a), y > 0.",
        lambda y, a: -(a + 1.0) * np.log(y) - special.gammaln(a) - 1.0 / y,
        ("a",),
        _positive,
        lower=0.0,
        open=True,
        cdf=lambda y, a: special.gammaincc(a, 1.0 / y),
        sf=lambda y, a: special.gammainc(a, 1.0 / y),
        ppf=lambda q, a: 1.0 / special.gammainccinv(a, q),
        isf=lambda q, a: 1.0 / special.gammaincinv(a, q),
    ),
    Family(
        "beta",
        "Beta distribution: y**(a - 1) (1 - y)**(b - 1) / B(a, b), 0 <= y <= 1.",
        lambda y, a, b: special.xlog1py(b - 1.0, -y) + special.xlogy(a - 1.0, y) - special.betaln(a, b),
        ("a", "b"),
        _positive,
        lower=0.0,
        upper=1.0,
        cdf=lambda y, a, b: special.betainc(a, b, y),
        sf=lambda y, a, b: special.betaincc(a, b, y),
        ppf=lambda q, a, b: special.betaincinv(a, b, q),
        isf=lambda q, a, b: special.betainccinv(a, b, q),
    ),
    Family(
        "weibull_min",
        "Weibull distribution: c y**(c - 1) exp(-y**c), y >= 0.",
        lambda y, c: np.log(c) + special.xlogy(c - 1.0, y) - np.power(y, c),
        ("c",),
        _positive,
        lower=0.0,
        cdf=lambda y, c: -np.expm1(-np.power(y, c)),
        sf=lambda y, c: np.exp(-np.power(y, c)),
        logsf=lambda y, c: -np.power(y, c),
        ppf=lambda q, c: np.power(-np.log1p(-q), 1.0 / c),
        isf=lambda q, c: np.power(-np.log(q), 1.0 / c),
    ),
    Family(
        "pareto",
        "Pareto distribution: b / y**(b + 1), y >= 1.",
        lambda y, b: np.log(b) - (b + 1.0) * np.log(y),
        ("b",),
        _positive,
        lower=1.0,
        cdf=lambda y, b: -np.expm1(-b * np.log(y)),
        sf=lambda y, b: np.exp(-b * np.log(y)),
        logsf=lambda y, b: -b * np.log(y),
        ppf=lambda q, b: np.exp(-np.log1p(-q) / b),
        isf=lambda q, b: np.exp(-np.log(q) / b),
    ),
)

CONTINUOUS: Final = ON_THE_LINE + ON_A_PART
