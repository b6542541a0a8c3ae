"""The losses that are compared, written once, in ordinary NumPy code; the module `np` is the first parameter of each.

Most are those of `tests/models.py`, whose gradients the tests compare with JAX's. What is only here: a mixture whose
products all libraries give to BLAS, a Poisson regression, and many operations on small arrays.
"""

from __future__ import annotations

from typing import Any

from tests.models import (
    factorisation,
    log_sum_exp,
    lotka_volterra,
    network,
    rosenbrock,
    softmax_regression,
    total_variation,
    transcendental,
)

__all__ = [
    "factorisation",
    "lotka_volterra",
    "mixture",
    "network",
    "poisson_regression",
    "rosenbrock",
    "small_arrays",
    "softmax_regression",
    "total_variation",
    "transcendental",
]


def mixture(np: Any, p: Any, x: Any, lower: Any, eye: Any) -> Any:
    """Negative log likelihood of a Gaussian mixture with full covariances.

    The precision of component k is F F', F lower triangular with exp(logs) on its diagonal.
    """
    factors = p["factors"] * lower + np.exp(p["logs"])[:, :, None] * eye
    centred = x - p["means"][:, None, :]
    whitened = centred @ np.swapaxes(factors, 1, 2)
    terms = (p["weights"] + np.sum(p["logs"], axis=1))[:, None] - 0.5 * np.sum(whitened**2, axis=2)
    return len(x) * log_sum_exp(np, p["weights"]) - np.sum(log_sum_exp(np, terms.T))


def poisson_regression(np: Any, p: Any, x: Any, counts: Any) -> Any:
    """Mean negative log likelihood of counts, but for a constant."""
    z = x @ p["w"] + p["b"]
    return np.mean(np.exp(z) - counts * z)


def small_arrays(np: Any, x: Any) -> Any:
    """Forty operations on small arrays: thirteen times three, and a sum."""
    y = x
    for _ in range(13):
        y = y + np.sin(x * y)
    return np.sum(y)
