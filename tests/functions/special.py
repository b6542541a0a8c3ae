"""SciPy's special functions: ufuncs as they are called in SciPy, and those that only tapegrad.scipy.special records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax.scipy.special
import numpy
import scipy.special

import tapegrad.numpy
import tapegrad.scipy.special
from tests.functions.case import Call, uniform

Interval = tuple[float, float]


def special(namespace: Any) -> Any:
    """The module of special functions that goes with a namespace of NumPy's functions."""
    if namespace is numpy:
        return scipy.special
    return tapegrad.scipy.special if namespace is tapegrad.numpy else jax.scipy.special


def row(name: str, *operands: Any, **options: Any) -> Call:
    """A call of a ufunc by name; operands are arrays, or intervals to draw from, in shapes that broadcast.

    With JAX its op is compared in `tests/test_ops.py`.
    """
    shapes = ((3, 4), (4,), (3, 1))
    points = tuple(
        uniform(*shapes[k], seed=k, low=x[0], high=x[1]) if isinstance(x, tuple) else x for k, x in enumerate(operands)
    )
    function: Callable[..., Any] = lambda np, *x: getattr(special(np), name)(*x)  # noqa: E731
    return Call(f"scipy.special.{name}", function, points, **{"jax": False, **options})


def call(name: str, function: Callable[..., Any], *points: Any, **options: Any) -> Call:
    """A call of a function that SciPy writes in Python, which only tapegrad.scipy.special records."""
    return Call(
        f"scipy.special.{name}", lambda np, *x: function(special(np), *x), points, **{"plain": False, **options}
    )


REAL, POSITIVE, UNIT, OPEN = (-2.0, 2.0), (0.3, 4.0), (0.1, 0.9), (-0.9, 0.9)
TWO: Final = numpy.array([2, 3, 2, 4])  # orders and parameters that are data


def data(value: float) -> Any:
    """A parameter that is not differentiated by: an integer array."""
    return numpy.array(value)


_UNARY: Final = (
    *(row(name, REAL) for name in ("expit", "log_expit", "erf", "erfc", "erfcx", "erfi", "ndtr", "log_ndtr", "dawsn")),
    *(row(name, UNIT) for name in ("logit", "erfcinv", "ndtri", "ellipk", "ellipe", "ellipkm1", "entr")),
    *(row(name, POSITIVE) for name in ("gamma", "gammaln", "loggamma", "digamma", "psi", "rgamma", "spence", "entr")),
    *(row(name, POSITIVE) for name in ("k0", "k1", "k0e", "k1e", "y0", "y1", "expi", "exp1")),
    *(row(name, REAL) for name in ("i0", "i1", "i0e", "i1e", "j0", "j1", "exprel", "cosm1", "wrightomega", "exp10")),
    *(row(name, REAL) for name in ("exp2", "expm1", "sindg", "cosdg", "tandg")),
    *(row(name, POSITIVE) for name in ("log1p", "cbrt")),
    row("erfinv", OPEN),
    row("ndtri_exp", (-4.0, -0.2)),
    row("cotdg", (10.0, 80.0)),
    row("rgamma", (-2.9, -2.1)),
    row("gammasgn", (-2.9, -2.1), smooth=False),
    row("round", REAL, smooth=False),
    call("softplus", lambda sp, x: sp.softplus(x), uniform(3, 4), jax=False),
)

_BINARY: Final = (
    row("xlogy", REAL, POSITIVE),
    row("xlog1py", REAL, POSITIVE),
    *(row(name, POSITIVE, POSITIVE) for name in ("rel_entr", "kl_div", "beta", "betaln", "poch")),
    row("binom", (3.0, 5.0), (0.5, 2.5)),
    row("owens_t", REAL, REAL),
    row("huber", (0.5, 1.0), (1.2, 3.0)),
    row("pseudo_huber", POSITIVE, REAL),
    row("boxcox", POSITIVE, REAL),
    row("boxcox1p", POSITIVE, REAL),
    row("inv_boxcox", UNIT, (-0.9, 2.0)),
    row("inv_boxcox1p", UNIT, (-0.9, 2.0)),
    *(row(name, TWO, POSITIVE) for name in ("iv", "ive", "jv", "jn", "kv", "kve", "yv", "kn", "yn")),
    *(row(name, data(2), POSITIVE) for name in ("gammainc", "gammaincc")),
    *(row(name, data(2), UNIT) for name in ("gammaincinv", "gammainccinv")),
    *(row(name, data(3), data(2), UNIT) for name in ("betainc", "betaincc", "betaincinv", "betainccinv")),
    *(row(name, data(3), POSITIVE) for name in ("stdtr", "chdtr", "chdtrc", "pdtr", "pdtrc")),
    row("stdtrit", data(3), UNIT),
    *(row(name, POSITIVE, data(2), POSITIVE) for name in ("gdtr", "gdtrc")),
    *(row(name, data(3), data(4), POSITIVE) for name in ("fdtr", "fdtrc")),
    row("expn", TWO, POSITIVE),
    row("expn", data(0), POSITIVE),
    row("zeta", TWO, POSITIVE),
)

X: Final = uniform(3, 4)
B: Final = uniform(4, seed=2, low=0.5, high=2.0)

_WRITTEN: Final = (
    call("polygamma", lambda sp, x: sp.polygamma(0, x), uniform(4, low=0.5)),
    call("polygamma", lambda sp, x: sp.polygamma(1, x), uniform(4, low=0.5, high=3.0)),
    call("polygamma", lambda sp, x: sp.polygamma([[0], [1], [3]], x), uniform(4, low=0.5, high=3.0), jax=False),
    call("logsumexp", lambda sp, x: sp.logsumexp(x), X),
    call("logsumexp", lambda sp, x: sp.logsumexp(x, axis=-1, keepdims=True), X),
    call("logsumexp", lambda sp, x: sp.logsumexp(x, axis=(0, 1)), X),
    call("logsumexp", lambda sp, x, b: sp.logsumexp(x, b=b), X, B),
    call("logsumexp", lambda sp, x, b: sp.logsumexp(x, axis=0, b=b, keepdims=True), X, B),
    call("logsumexp", lambda sp, x, b: sp.logsumexp(x, 1, b, return_sign=True), X, B * [1, -1, -1, -1]),
    call("logsumexp", lambda sp, x: sp.logsumexp(x, axis=0, return_sign=True), X),
    call("logsumexp", lambda sp, x, b: sp.logsumexp(x, 1, b), X + 800 * (X > 1), numpy.array([0, 1, 2, 1]), jax=False),
    call("softmax", lambda sp, x: sp.softmax(x), X, jax=False),
    call("softmax", lambda sp, x: sp.softmax(x, axis=0), X),
    call("softmax", lambda sp, x: sp.softmax(1000 * x, axis=(0, 1)), X[:2, :2], jax=False, second=False, rtol=1e-5),
    call("log_softmax", lambda sp, x: sp.log_softmax(x), X, jax=False),
    call("log_softmax", lambda sp, x: sp.log_softmax(x, axis=-1), X),
    call("multigammaln", lambda sp, x: sp.multigammaln(x, 1), uniform(3, low=1.5)),
    call("multigammaln", lambda sp, x: sp.multigammaln(x, 3), uniform(3, low=1.5, high=4.0)),
    call("comb", lambda sp, n, k: sp.comb(n, k), uniform(3, low=3, high=5), uniform(3, low=0.3), jax=False),
    call("comb", lambda sp, n: sp.comb(n, numpy.array([-1.0, 0.5, 9.0])), uniform(3, low=3, high=5), jax=False),
    call("comb", lambda sp, n: sp.comb(n, 2, repetition=True), uniform(3, low=3, high=5), jax=False),
    call("perm", lambda sp, n, k: sp.perm(n, k), uniform(3, low=3, high=5), uniform(3, low=0.3), jax=False),
    call("factorial", lambda sp, n: sp.factorial(n), uniform(3, low=0.3, high=5), jax=False),
    call("erf", lambda sp, x: sp.erf([x[0], 2 * x[1]]), uniform(2), jax=False),
    call("xlogy", lambda sp, x: sp.xlogy([1.0, x[0]], x[1]), uniform(2, low=0.3), jax=False),
)

CALLS: Final = (*_UNARY, *_BINARY, *_WRITTEN)
