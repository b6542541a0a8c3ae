"""scipy.special's functions that are no ufuncs, and the distributions of scipy.stats, by their parameters, too.

A distribution function is compared with JAX where JAX has a derivative for it.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

import numpy

from tapegrad.record.functions import FUNCTIONS
from tests.functions.case import Call, uniform
from tests.functions.linalg import positive, well

_PARENTS: Final = {"numpy": "scipy", "jax.numpy": "jax.scipy", "tapegrad.numpy": "tapegrad.scipy"}


def of(np: Any, module: str) -> Any:
    """SciPy's module, JAX's or ours, for the namespace that a call is made with."""
    return importlib.import_module(f"{_PARENTS[np.__name__]}.{module}")


def special(name: str, arguments: tuple[Any, ...], *more: Any, jax: bool = True, **options: Any) -> Call:
    """A call of a function of scipy.special: what is differentiated by, then all else."""

    def call(np: Any, *values: Any) -> Any:
        return getattr(of(np, "special"), name)(*values, *more, **options)

    return Call(f"scipy.special.{name}", call, arguments, jax=jax, plain=False)


def density(name: str, arguments: tuple[Any, ...], *needs: str, method: str = "logpdf", **options: Any) -> list[Call]:
    """A call of a distribution's method; none where tapegrad lacks the special functions that it needs."""

    def call(np: Any, *values: Any) -> Any:
        found = getattr(getattr(of(np, "stats"), name), method)(*values)
        return np.maximum(found, -99.0)  # finite differences of -inf are nan: `tests/test_scipy.py` has it

    row = Call(f"scipy.stats.{name}.{method}", call, arguments, plain=False, **options)
    return [row] if all(need in FUNCTIONS for need in needs) else []


HOLES: Final = numpy.array([[0.3, -numpy.inf, 1.2], [0.1, 2.0, -numpy.inf]])
NOTHING: Final = numpy.array([[0.3, 1.0], [-numpy.inf, -numpy.inf]])
MASK: Final = numpy.array([[True, False, True], [True, True, False]])
WEIGHTS: Final = numpy.array([[0.5, -0.2, 1.5], [1.0, 2.0, 0.7]])
POSITIVE: Final = uniform(4, low=0.4, high=2.5, seed=1)
UNIT: Final = uniform(4, low=0.1, high=0.9, seed=2)
REAL: Final = uniform(4, seed=3) + 0.013
BOTH: Final = numpy.array([-1.3, 0.4, 1.7, -0.2])  # inside and outside of a support
COUNTS: Final = numpy.array([0, 3, 1, 5])
SCALE: Final = numpy.array([0.7, 1.3, 0.9, 1.6])
LOC: Final = numpy.array([-0.3, 0.2, 0.1, -0.4])

SPECIAL: Final = (
    special("logsumexp", (uniform(2, 3),)),
    special("logsumexp", (uniform(2, 3),), axis=1, keepdims=True),
    special("logsumexp", (uniform(2, 3),), axis=(0, 1), return_sign=True),
    special("logsumexp", (HOLES,), axis=-1),
    special("logsumexp", (uniform(2, 3),), 1, WEIGHTS),
    Call(
        "scipy.special.logsumexp",
        lambda np, a, b: of(np, "special").logsumexp(a, axis=1, b=b, keepdims=True, return_sign=True),
        (uniform(2, 3), WEIGHTS - 0.9),
        plain=False,
    ),
    Call(
        "scipy.special.logsumexp",
        lambda np, a, b: of(np, "special").logsumexp(a, axis=0, b=b),
        (uniform(3), WEIGHTS + 0.5),
        plain=False,
    ),
    Call(
        "scipy.special.logsumexp, masked",
        lambda np, x: of(np, "special").logsumexp(np.where(MASK, x, -np.inf), axis=1),
        (uniform(2, 3),),
        plain=False,
    ),
    special("softmax", (uniform(2, 3),)),
    special("softmax", (uniform(2, 3),), axis=0),
    special("softmax", (800.0 * uniform(2, 3),), axis=(0, 1), jax=False),
    Call(
        "scipy.special.softmax, masked",
        lambda np, x: of(np, "special").softmax(np.where(MASK, x, -np.inf), axis=1),
        (uniform(2, 3),),
        plain=False,
    ),
    special("log_softmax", (uniform(2, 3),)),
    special("log_softmax", (uniform(2, 3),), axis=-1),
    special("softplus", (uniform(2, 3),), jax=False),
    special("multigammaln", (POSITIVE + 1.0,), 3),
    Call("scipy.special.polygamma", lambda np, x: of(np, "special").polygamma(2, x), (POSITIVE,), plain=False),
    Call("scipy.special.zeta", lambda np, q: of(np, "special").zeta(2.5, q), (POSITIVE,), plain=False),
    Call("scipy.special.sinc", lambda np, x: np.sinc(x), (REAL,), plain=False),
    Call(
        "scipy.special, lists",
        lambda np, x: of(np, "special").expit([x[0], x[1] * 2.0]),
        (REAL,),
        plain=False,
        jax=False,
    ),
)

SMOOTH: Final = (
    *density("norm", (REAL,)),
    *density("norm", (REAL, LOC, SCALE)),
    *density("norm", (numpy.array([1, 2, 0, 1]), LOC[:1], SCALE)),
    *density("norm", (uniform(2, 4), LOC, SCALE[:1]), method="pdf"),
    *density("laplace", (REAL, LOC, SCALE)),
    *density("logistic", (REAL, LOC, SCALE)),
    *density("logistic", (numpy.array([0.0, 40.0, -40.0]),)),
    *density("cauchy", (REAL, LOC, SCALE)),
    *density("t", (REAL, POSITIVE, LOC, SCALE), "betaln"),
    *density("vonmises", (REAL, POSITIVE), "i0e"),
    *density("vonmises", (REAL, POSITIVE, LOC, SCALE), "i0e", jax=False),
    *density("uniform", (BOTH, LOC, SCALE)),
    *density("expon", (BOTH, LOC, SCALE)),
    *density("halfnorm", (BOTH, LOC, SCALE), jax=False),
    *density("lognorm", (BOTH, POSITIVE, LOC, SCALE), jax=False),
    *density("gamma", (BOTH, POSITIVE, LOC, SCALE), "xlogy"),
    *density("chi2", (BOTH, POSITIVE, LOC, SCALE), "xlogy", jax=False),
    *density("chi2", (POSITIVE + 1.0, POSITIVE, LOC, SCALE), "xlogy"),
    *density("beta", (UNIT, POSITIVE, POSITIVE[::-1].copy()), "xlogy", "betaln"),
    *density("invgamma", (BOTH, POSITIVE, LOC, SCALE), jax=False),
    *density("beta", (UNIT * 2 - 0.6, POSITIVE, POSITIVE[::-1].copy(), LOC * 0.1, SCALE), "xlogy", "betaln", jax=False),
    *density("weibull_min", (BOTH, POSITIVE, LOC, SCALE), "xlogy", jax=False),
    *density("pareto", (BOTH * 2, POSITIVE, LOC, SCALE), jax=False),
    *density("pareto", (POSITIVE + 3.0, POSITIVE, LOC, SCALE)),
)

_ON_THE_LINE: Final = {
    "norm": ("ndtr", "log_ndtr", "ndtri"),
    "laplace": (),
    "logistic": (),
    "cauchy": (),
    "uniform": (),
    "expon": (),
    "halfnorm": ("ndtr", "log_ndtr", "erfinv"),
}
_WITH_A_SHAPE: Final = {"lognorm": ("ndtr", "log_ndtr", "ndtri"), "weibull_min": (), "pareto": ()}
_METHODS: Final = ("cdf", "sf", "logcdf", "logsf")


def cumulative() -> list[Call]:
    """Every distribution function, its relatives and its inverses, of points and of all parameters."""
    found = []
    for method in _METHODS:
        for name, needs in _ON_THE_LINE.items():
            found += density(name, (BOTH * 0.9, LOC, SCALE), *needs, method=method, jax=False)
        for name, needs in _WITH_A_SHAPE.items():
            found += density(name, (BOTH + 0.9, POSITIVE, LOC, SCALE), *needs, method=method, jax=False)
    for method in ("ppf", "isf"):
        for name, needs in _ON_THE_LINE.items():
            found += density(name, (UNIT, LOC, SCALE), *needs, method=method, jax=False)
        for name, needs in _WITH_A_SHAPE.items():
            found += density(name, (UNIT, POSITIVE, LOC, SCALE), *needs, method=method, jax=False)
    return found


def by_point() -> list[Call]:
    """Distribution functions that have no derivative by a shape parameter: an integer here."""
    found = []
    for name, need in (
        ("gamma", "gammaincinv"),
        ("chi2", "gammaincinv"),
        ("invgamma", "gammaincinv"),
        ("t", "stdtrit"),
    ):
        for method in _METHODS:
            found += density(name, (BOTH, 3, LOC, SCALE), need, method=method, jax=False)
        for method in ("ppf", "isf"):
            found += density(name, (UNIT, 3, LOC, SCALE), need, method=method, jax=False)
    for method in (*_METHODS, "ppf", "isf"):
        found += density("beta", (UNIT, 2, 3), "betainc", "betaincc", "betaincinv", method=method, jax=False)
    return found


INTEGERS: Final = (
    *density("poisson", (COUNTS, POSITIVE), "xlogy", method="logpmf"),
    *density("poisson", (COUNTS - 2, POSITIVE), "xlogy", method="pmf"),
    *density("binom", (COUNTS, 4, UNIT), "xlogy", "xlog1py", method="logpmf"),
    *density("nbinom", (COUNTS, POSITIVE, UNIT), "xlog1py", method="logpmf"),
    *density("bernoulli", (COUNTS - 1, UNIT), "xlogy", "xlog1py", method="logpmf"),
    *density("geom", (COUNTS, UNIT), "xlog1py", method="logpmf"),
    *[
        row
        for method in _METHODS
        for row in (
            *density("poisson", (COUNTS - 1, POSITIVE), "gammainc", method=method, jax=False),
            *density("binom", (COUNTS - 1, 4, UNIT), "betainc", method=method, jax=False),
            *density("nbinom", (COUNTS - 1, 2, UNIT), "betainc", method=method, jax=False),
            *density("bernoulli", (COUNTS - 1, UNIT), method=method, jax=False),
            *density("geom", (COUNTS - 1, UNIT), "xlog1py", method=method, jax=False),
        )
    ],
)


def simplex(np: Any, x: Any) -> Any:
    """Positive numbers along the first axis, divided by their sum."""
    return x / np.sum(x, axis=0)


def normal(np: Any, *arguments: Any) -> Any:
    """The density of normal vectors; JAX broadcasts it, SciPy drops axes of length 1."""
    return of(np, "stats").multivariate_normal.logpdf(*arguments)


VECTORS: Final = (
    Call("scipy.stats.multivariate_normal", normal, (uniform(3), LOC[:3]), plain=False, jax=False),
    Call("scipy.stats.multivariate_normal", lambda np, x, m, a: normal(np, x, m, positive(np, a)),
         (uniform(3), LOC[:3], well(3, 3)), plain=False),
    Call("scipy.stats.multivariate_normal", lambda np, x, m, a: normal(np, x, m, positive(np, a)),
         (uniform(4, 3), LOC[:3], well(3, 3)), plain=False),
    Call("scipy.stats.multivariate_normal", lambda np, x, a: normal(np, x, None, positive(np, a)),
         (uniform(2, 1, 3), well(3, 3)), plain=False, jax=False),
    Call("scipy.stats.multivariate_normal", normal, (uniform(4, 3), LOC[:3], SCALE[:3]), plain=False, jax=False),
    Call("scipy.stats.multivariate_normal", normal, (uniform(4, 3), LOC[:3], SCALE[0]), plain=False, jax=False),
    Call("scipy.stats.multivariate_normal", normal, (REAL, LOC[0], SCALE[0]), plain=False, jax=False),
)  # fmt: skip

COMPOSED: Final = (
    Call("scipy.stats.dirichlet", lambda np, x, a: of(np, "stats").dirichlet.logpdf(simplex(np, x), a),
         (POSITIVE[:3], SCALE[:3]), plain=False),
    Call("scipy.stats.dirichlet", lambda np, x, a: of(np, "stats").dirichlet.logpdf(simplex(np, x), a),
         (uniform(3, 4, low=0.2), SCALE[:3]), plain=False),
    Call("scipy.stats.dirichlet", lambda np, x, a: of(np, "stats").dirichlet.pdf(x, a),
         (numpy.array([0.2, 0.3]), SCALE[:3]), plain=False, jax=False),
    Call("scipy.stats.multinomial", lambda np, p: of(np, "stats").multinomial.logpmf(COUNTS, 9, simplex(np, p)),
         (POSITIVE,), plain=False),
    Call("scipy.stats.multinomial", lambda np, p: of(np, "stats").multinomial.pmf(COUNTS, 8, simplex(np, p)),
         (POSITIVE,), plain=False, jax=False),
    Call("scipy.special.comb", lambda np, n, k: of(np, "special").comb(n, k), (POSITIVE + 2.0, UNIT), plain=False,
         jax=False),
    Call("scipy.special.perm", lambda np, n, k: of(np, "special").perm(n, k), (POSITIVE + 2.0, UNIT), plain=False,
         jax=False),
    Call("scipy.special.factorial", lambda np, n: of(np, "special").factorial(n), (BOTH + 0.5,), plain=False,
         jax=False),
) if {"xlogy", "binom", "poch", "gamma"} <= set(FUNCTIONS) else ()  # fmt: skip

CALLS: Final = (*SPECIAL, *SMOOTH, *cumulative(), *by_point(), *INTEGERS, *VECTORS, *COMPOSED)
