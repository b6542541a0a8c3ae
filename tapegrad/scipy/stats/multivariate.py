"""Distributions of vectors."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import find_variable, lift, misfit, recorder_of, refuse
from tapegrad.record.recorder import Recorder
from tapegrad.scipy import special
from tapegrad.scipy.linalg import solve_triangular
from tapegrad.scipy.stats.distribution import Delegate

_LOG_2_PI: Final = math.log(2.0 * math.pi)


def _floats(*values: Any) -> tuple[Recorder, list[Any]]:
    recorder = recorder_of(*values)
    return recorder, [recorder.cast(lift(recorder, v), FLOAT) for v in values]


def _squeezed(v: Any) -> Any:
    """Without axes of length 1, as SciPy gives it."""
    return v.reshape(tuple(n for n in v.shape if n != 1))


def _sums_to_one(v: Any, axis: int) -> Any:
    return np.abs(np.sum(v, axis=axis) - 1.0) <= (1e-9 if v.dtype == np.float64 else 1e-5)


class Dirichlet(Delegate):
    """Dirichlet distribution: prod(x**(alpha - 1)) gamma(sum(alpha)) / prod(gamma(alpha)), sum(x) = 1."""

    def logpdf(self, x: Any, alpha: Any) -> Any:
        """Logarithm of the density at x, of K or K - 1 elements, or columns of them; -inf outside the simplex.

        Raises:
            ShapeError: x and alpha do not fit.
        """
        if find_variable((x, alpha)) is None:
            return self._scipy.logpdf(x, alpha)
        recorder, (v, a) = _floats(x, alpha)
        if a.ndim != 1 or v.ndim not in (1, 2) or v.shape[0] not in (a.size, a.size - 1):
            found = f"x of shape {v.shape} and alpha of shape {a.shape}"
            raise misfit(recorder, "dirichlet", found, "alpha (K,), and x (K,), (K, N) or of K - 1 elements")
        if v.shape[0] == a.size - 1:
            v = np.concatenate([v, 1.0 - np.sum(v, axis=0, keepdims=True)])
        powers = a if v.ndim == 1 else a.reshape((a.size, 1))
        log = np.sum(special.xlogy(powers - 1.0, v), axis=0) + special.gammaln(np.sum(a)) - np.sum(special.gammaln(a))
        inside = np.logical_and(_sums_to_one(v, 0), np.all(v >= 0, axis=0))
        return _squeezed(np.where(np.all(a > 0), np.where(inside, log, -math.inf), math.nan))

    def pdf(self, x: Any, alpha: Any) -> Any:
        """Density at x."""
        recorded = find_variable((x, alpha)) is not None
        return np.exp(self.logpdf(x, alpha)) if recorded else self._scipy.pdf(x, alpha)


class Multinomial(Delegate):
    """Multinomial distribution: n! prod(p**x / x!), sum(x) = n."""

    def logpmf(self, x: Any, n: Any, p: Any) -> Any:
        """Logarithm of the probability of counts x (..., K); nan where p (..., K) does not sum to 1.

        Raises:
            ShapeError: x and p do not fit.
        """
        if find_variable((x, n, p)) is None:
            return self._scipy.logpmf(x, n, p)
        recorder, (v, total, q) = _floats(x, n, p)
        if v.ndim == 0 or q.ndim == 0 or v.shape[-1] != q.shape[-1]:
            raise misfit(recorder, "multinomial", f"x of shape {v.shape} and p of shape {q.shape}", "(..., K), both")
        log = special.gammaln(total + 1.0) + np.sum(special.xlogy(v, q) - special.gammaln(v + 1.0), axis=-1)
        counts = np.all(np.logical_and(v >= 0, np.floor(v) == v), axis=-1)
        log = np.where(np.logical_and(counts, np.sum(v, axis=-1) == total), log, -math.inf)
        valid = np.logical_and(_sums_to_one(q, -1), np.all(np.logical_and(q >= 0, q <= 1), axis=-1))
        return np.where(np.logical_and(valid, total >= 0), log, math.nan)

    def pmf(self, x: Any, n: Any, p: Any) -> Any:
        """Probability of counts x."""
        recorded = find_variable((x, n, p)) is not None
        return np.exp(self.logpmf(x, n, p)) if recorded else self._scipy.pmf(x, n, p)


class MultivariateNormal(Delegate):
    """Normal distribution of vectors: exp(-(x - m)' inv(C) (x - m) / 2) / sqrt(det(2 pi C))."""

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Logarithm of the density at vectors x (..., d), by a Cholesky factor of the covariance.

        The lower triangle of `cov` is read, and that is where its gradient is. A vector stands for a diagonal matrix.

        Raises:
            ShapeError: x, mean and cov do not fit.
            LinearAlgebraError: cov is not positive definite.
            UnsupportedError: allow_singular.
        """
        if find_variable((x, mean, cov)) is None:
            return self._scipy.logpdf(x, mean, cov, allow_singular)
        recorder = recorder_of(x, mean, cov)
        refuse("multivariate_normal", recorder, allow_singular=allow_singular or None)
        c = recorder.cast(lift(recorder, 1.0 if cov is None else cov), FLOAT)
        m = None if mean is None else recorder.cast(lift(recorder, mean), FLOAT)
        d = m.size if m is not None else 1 if c.ndim < 2 else c.shape[0]
        v: Any = recorder.cast(lift(recorder, x), FLOAT)
        v = v.reshape((*v.shape, 1) if d == 1 and v.ndim <= 1 else v.shape)
        if v.ndim == 0 or v.shape[-1] != d or c.shape not in ((), (d,), (d, d)) or (m is not None and m.ndim > 1):
            found = f"x of shape {v.shape}, {d} means and cov of shape {c.shape}"
            raise misfit(recorder, "multivariate_normal", found, "x (..., d), mean (d,) and cov (d, d), (d,) or ()")
        factor = np.linalg.cholesky(c if c.ndim == 2 else np.eye(d) * c)
        moved = v if m is None else v - m.reshape((d,))
        lead = moved.shape[:-1]
        z = solve_triangular(factor, moved.reshape((math.prod(lead), d)).T, lower=True)
        half = np.sum(np.log(np.diagonal(factor))) + 0.5 * d * _LOG_2_PI
        return _squeezed((-0.5 * np.sum(z * z, axis=0) - half).reshape(lead))

    def pdf(self, x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
        """Density at vectors x."""
        if find_variable((x, mean, cov)) is None:
            return self._scipy.pdf(x, mean, cov, allow_singular)
        return np.exp(self.logpdf(x, mean, cov, allow_singular))


MULTIVARIATE: Final[tuple[Delegate, ...]] = tuple(
    kind(name, kind.__doc__ or "")
    for name, kind in (
        ("dirichlet", Dirichlet),
        ("multinomial", Multinomial),
        ("multivariate_normal", MultivariateNormal),
    )
)
