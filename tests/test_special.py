"""Derivatives of special functions against mpmath, where plain formulas lose their digits: tails, poles, 0 / 0.

First derivatives come from a row's partials, second ones from the partials of those.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.special

import tapegrad as tg
import tapegrad.scipy.special as sp
from tapegrad.derivative.tangent import tangent
from tapegrad.errors import ConversionError, DtypeError, TapegradError, UnsupportedError
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tests.helpers import gradients_only, pullback, record, run

Function = Callable[..., Any]


def ndtr(x: Any) -> Any:
    return mp.erfc(-x / mp.sqrt(2)) / 2


def xlogy(x: Any, y: Any) -> Any:
    return x * mp.log(y)


# name, function, points; allowed relative errors of the first and of the second derivative
UNARY: tuple[tuple[str, Function, tuple[float, ...], float, float], ...] = (
    ("expit", lambda x: 1 / (1 + mp.exp(-x)), (-700, -40, -1, 2, 40, 700), 1e-15, 1e-14),
    ("log_expit", lambda x: -mp.log1p(mp.exp(-x)), (-800, -40, 0, 3, 40, 700), 1e-15, 1e-14),
    ("logit", lambda x: mp.log(x / (1 - x)), (1e-100, 1e-9, 0.4, 1 - 1e-9), 1e-15, 1e-14),
    ("erf", mp.erf, (1e-9, 5, -12), 1e-13, 1e-13),
    ("erfc", mp.erfc, (-5, 1e-9, 5, 26), 1e-13, 1e-13),
    ("erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), (-20, -3, 0, 1, 5, 9.99, 10.01, 50, 1e4, 1e8), 1e-13, 1e-11),
    ("erfi", mp.erfi, (1e-9, -5, 20), 1e-13, 1e-13),
    ("erfinv", mp.erfinv, (1e-9, 0.5, -0.99, 1 - 1e-9), 1e-14, 1e-14),
    ("ndtr", ndtr, (-37, -5, 1e-9, 5, 15), 1e-13, 1e-13),
    ("log_ndtr", lambda x: mp.log(ndtr(x)), (-1e8, -1e4, -40, -15, -14, -5, -1, 0, 1, 5, 10, 15), 1e-13, 1e-12),
    (
        "dawsn",
        lambda x: mp.exp(-x * x) * mp.erfi(x) * mp.sqrt(mp.pi) / 2,
        (1e-9, -5, 11.9, 12.1, 1e4, 1e8),
        2e-13,
        1e-10,
    ),
    ("gamma", mp.gamma, (1e-8, 1.4, -2.5, -10.001, 50, 170), 1e-13, 1e-12),
    ("gammaln", lambda x: mp.log(abs(mp.gamma(x))), (1e-8, 1.4, 2, -2.5, 50, 1e8), 1e-13, 1e-13),
    ("rgamma", mp.rgamma, (0, -1, -2, -3, -10, -1 + 1e-9, 0.4999, 0.5001, 1, 3, 100, -20.5), 1e-13, 1e-12),
    ("digamma", mp.digamma, (1e-100, 1e-8, 1, -2.5, 50, 1e8), 1e-13, 1e-13),
    ("trigamma", lambda x: mp.polygamma(1, x), (1e-8, 1, 9.5, 50, 1e8), 1e-13, 1e-13),
    ("entr", lambda x: -xlogy(x, x), (1e-300, 1, 1e300), 1e-15, 1e-15),
    ("i0", lambda x: mp.besseli(0, x), (0, 1e-9, 1, -5, 100, 600), 1e-14, 1e-13),
    ("i1", lambda x: mp.besseli(1, x), (1e-9, 1, -5, 100, 600), 1e-14, 1e-13),
    ("i0e", lambda x: mp.besseli(0, x) * mp.exp(-abs(x)), (1e-9, 1, -5, 100), 1e-13, 1e-11),
    ("i1e", lambda x: mp.besseli(1, x) * mp.exp(-abs(x)), (1e-9, 1, -5, 100), 1e-13, 1e-11),
    ("k0", lambda x: mp.besselk(0, x), (1e-9, 1, 5, 100, 600), 1e-14, 1e-13),
    ("k1", lambda x: mp.besselk(1, x), (1e-9, 1, 5, 100, 600), 1e-14, 1e-13),
    ("k0e", lambda x: mp.besselk(0, x) * mp.exp(x), (1e-9, 1, 5, 100), 1e-13, 1e-11),
    ("k1e", lambda x: mp.besselk(1, x) * mp.exp(x), (1e-9, 1, 5, 100), 1e-13, 1e-11),
    ("j0", lambda x: mp.besselj(0, x), (0, 1e-9, 1, -5, 100), 1e-13, 1e-13),
    ("j1", lambda x: mp.besselj(1, x), (1e-9, 1, -5, 100), 1e-13, 1e-13),
    ("y0", lambda x: mp.bessely(0, x), (1e-9, 1, 5, 100), 1e-13, 1e-13),
    ("y1", lambda x: mp.bessely(1, x), (1e-9, 1, 5, 100), 1e-13, 1e-13),
    ("expi", mp.ei, (1e-9, 2, -5, -40, 100, 700), 1e-15, 1e-14),
    ("exp1", mp.e1, (1e-9, 1, 5, 40, 100, 700), 1e-15, 1e-14),
    ("spence", lambda x: mp.polylog(2, 1 - x), (1e-9, 0.5, 0.94, 0.96, 1 - 1e-9, 1, 1.04, 1.06, 30), 1e-14, 1e-12),
    ("ellipk", mp.ellipk, (-1e8, -10, -0.11, -0.09, 0, 1e-12, 0.05, 0.09, 0.11, 0.5, 1 - 1e-12), 1e-14, 1e-12),
    ("ellipe", mp.ellipe, (-1e8, -10, -0.11, -0.09, 0, 1e-12, 0.05, 0.09, 0.11, 0.5, 1 - 1e-12), 1e-14, 1e-12),
    ("ellipkm1", lambda p: mp.ellipk(1 - p), (1e-12, 0.5, 0.89, 0.91, 1, 1.09, 1.11, 50), 1e-14, 1e-12),
    (
        "exprel",
        lambda x: mp.expm1(x) / x if x else mp.mpf(1),
        (-1e8, -800, -30, -1, -0.11, -0.09, 0, 1e-12, 0.09, 0.11, 1.5, 100, 700),
        1e-14,
        1e-12,
    ),
    ("cosm1", lambda x: mp.cos(x) - 1, (1e-9, 1, 5), 1e-15, 1e-15),
    ("wrightomega", lambda x: mp.lambertw(mp.exp(x)), (-700, -50, -1, 0, 5, 700), 1e-14, 1e-13),
    ("exp2", lambda x: mp.mpf(2) ** x, (-1000, 0, 1000), 1e-15, 1e-15),
    ("exp10", lambda x: mp.mpf(10) ** x, (-300, 0, 300), 1e-15, 1e-15),
    ("log2", lambda x: mp.log(x, 2), (1e-100, 1, 1e100), 1e-15, 1e-15),
    ("log10", lambda x: mp.log(x, 10), (1e-100, 1, 1e100), 1e-15, 1e-15),
    ("cbrt", mp.cbrt, (1e-100, 1, 1e100), 1e-15, 1e-14),
    ("arcsinh", mp.asinh, (-1e100, -1, 1e-9, 1e100), 1e-15, 1e-14),
    ("arccosh", mp.acosh, (1 + 1e-12, 2, 1e100), 1e-14, 1e-13),
    ("arctanh", mp.atanh, (0.01, 0.5, 1 - 1e-12, -1 + 1e-9), 1e-14, 1e-14),
)

BINARY: tuple[tuple[str, int, Function, tuple[tuple[float, ...], ...], float], ...] = (
    # name, operand to differentiate by, function, points, allowed error
    ("xlogy", 0, xlogy, ((0, 3), (1e-300, 1e-300), (2, 1e300)), 1e-15),
    ("xlogy", 1, xlogy, ((0, 3), (2, 1e-100), (2, 1e100)), 1e-15),
    ("xlog1py", 1, lambda x, y: x * mp.log1p(y), ((0, 3), (2, -1 + 1e-9), (2, 1e-9)), 1e-15),
    ("rel_entr", 0, lambda x, y: xlogy(x, x / y), ((1e-300, 1), (1, 1e-300), (1 + 1e-9, 1)), 1e-14),
    ("kl_div", 0, lambda x, y: xlogy(x, x / y) - x + y, ((1e-30, 1), (1, 1e-300), (1 + 1e-9, 1)), 1e-14),
    ("kl_div", 1, lambda x, y: xlogy(x, x / y) - x + y, ((1e-30, 1), (1, 1e-100), (1 + 1e-9, 1)), 1e-14),
    ("hypot", 0, mp.hypot, ((1e200, 1e200), (1e-200, 1e-200), (1e-200, 1e200), (3, 0)), 1e-15),
    ("logaddexp2", 0, lambda x, y: mp.log(2**x + 2**y, 2), ((0, 90), (-90, 0), (1, 1)), 1e-13),
    ("betaln", 0, lambda a, b: mp.log(mp.beta(a, b)), ((1e-8, 1), (2, 1e8), (50, 0.5)), 1e-13),
    ("beta", 1, mp.beta, ((0.1, 1), (2, 0.01), (50, 0.5)), 1e-13),
    ("poch", 0, mp.rf, ((0.1, 0.5), (20, 3)), 1e-13),
    ("binom", 0, mp.binomial, ((5.5, 2.25), (100, 3)), 1e-13),
    ("gammainc", 1, lambda a, x: mp.gammainc(a, 0, x, regularized=True), ((0.5, 1e-9), (3, 40), (100, 90)), 1e-13),
    ("gammaincc", 1, lambda a, x: mp.gammainc(a, x, regularized=True), ((1, 1e-9), (3, 40), (100, 90)), 1e-13),
    ("zeta", 1, mp.zeta, ((2, 1e-9), (3, 1), (2, 1e8)), 1e-14),
    ("iv", 1, mp.besseli, ((0, 1e-9), (2.5, 1e-3), (3, 50)), 1e-13),
    ("kv", 1, mp.besselk, ((0, 1e-3), (2.5, 1e-3), (3, 50)), 1e-13),
    ("jv", 1, mp.besselj, ((0, 1e-9), (2.5, 1e-3), (3, 20)), 1e-13),
    ("yv", 1, mp.bessely, ((0, 1e-3), (2.5, 1e-3), (3, 20)), 1e-13),
    ("ive", 1, lambda v, x: mp.besseli(v, x) * mp.exp(-x), ((2.5, 1e-3), (3, 5)), 1e-13),
    ("kve", 1, lambda v, x: mp.besselk(v, x) * mp.exp(x), ((2.5, 1e-3), (3, 5)), 1e-13),
    ("expn", 1, mp.expint, ((0, 2), (1, 1e-9), (4, 0.5), (3, 200)), 1e-13),
    ("boxcox", 1, lambda x, p: mp.expm1(p * mp.log(x)) / p, ((3, 1e-12), (3, -1e-5), (0.1, 2), (1e9, 0.01)), 1e-14),
    ("boxcox", 0, lambda x, p: mp.expm1(p * mp.log(x)) / p, ((3, 1e-12), (3, -1e-5), (1e-9, 2)), 1e-14),
    ("boxcox1p", 1, lambda x, p: mp.expm1(p * mp.log1p(x)) / p, ((1e-9, 1), (3, -1e-5), (-0.9, 2)), 1e-14),
    ("inv_boxcox", 1, lambda x, p: mp.exp(mp.log1p(x * p) / p), ((2, 1e-12), (1, -1e-5), (1, 0.06), (2, 3)), 1e-13),
    ("inv_boxcox1p", 1, lambda x, p: mp.expm1(mp.log1p(x * p) / p), ((2, 1e-12), (1, -1e-5), (2, 3)), 1e-13),
    ("pseudo_huber", 0, lambda d, x: d * d * (mp.hypot(1, x / d) - 1), ((1, 1e-5), (1e-5, 1), (2, 3)), 1e-13),
    ("pseudo_huber", 1, lambda d, x: d * d * (mp.hypot(1, x / d) - 1), ((1, 1e-5), (1e-5, 1), (2, 3)), 1e-14),
)


def derivatives(name: str, operands: Sequence[Any], k: int = 0) -> tuple[Any, Any]:
    """First and second derivative of an op to one operand, element by element."""
    ones = np.ones_like(operands[0])
    first = gradients_only(pullback(record(lambda r, *v: [r.elementwise(name, *v)], operands, [k])), 1)
    by_operand = replace(first, independents=first.independents[:1])
    inputs = [*operands, ones]
    return run(first, inputs)[0], run(optimize(tangent(by_operand)), [*inputs, ones])[-1]


def exact(f: Function, point: Sequence[float], k: int = 0) -> tuple[Any, Any]:
    """The same by differences in 150 digits, of a step that is small beside the distance to a pole."""
    with mp.workdps(150):
        x = [mp.mpf(p) for p in point]
        near = min([abs(x[k] - n) for n in (-10, -3, -2, -1, 0, 1) if x[k] != n])
        step = near * mp.mpf(10) ** -35

        def at(h: Any) -> Any:
            return mp.re(f(*(v + h if j == k else v for j, v in enumerate(x))))

        below, here, above = at(-step), at(0), at(step)
        return (above - below) / (2 * step), (above - 2 * here + below) / step**2


def check(name: str, found: Any, wanted: Any, rtol: float, point: Any) -> None:
    wrong = abs(mp.mpf(float(found)) - wanted)
    assert wrong <= rtol * abs(wanted) + 1e-300, f"{name} at {point}: {found}, wanted {float(wanted)}"


@pytest.mark.parametrize(("name", "f", "points", "first", "second"), UNARY, ids=[row[0] for row in UNARY])
def test_derivatives_keep_their_digits(
    name: str, f: Function, points: tuple[float, ...], first: float, second: float
) -> None:
    slopes, curvatures = derivatives(name, [np.array(points, np.float64)])
    for point, slope, curvature in zip(points, slopes, curvatures, strict=True):
        wanted = exact(f, [point])
        check(f"{name}'", slope, wanted[0], first, point)
        check(f"{name}''", curvature, wanted[1], second, point)


@pytest.mark.parametrize(("name", "k", "f", "points", "rtol"), BINARY, ids=[f"{row[0]}-{row[1]}" for row in BINARY])
def test_derivatives_of_two_operands(
    name: str, k: int, f: Function, points: tuple[tuple[float, ...], ...], rtol: float
) -> None:
    slopes, _ = derivatives(name, [np.array(column, np.float64) for column in zip(*points, strict=True)], k)
    for point, slope in zip(points, slopes, strict=True):
        check(f"{name}'", slope, exact(f, point, k)[0], rtol, point)


# --- at the very edge


EDGES: dict[str, tuple[str, float, float]] = {
    "erfcx of what is huge": ("erfcx", 1e150, -1 / np.sqrt(np.pi) * 1e-300),
    "erfcx that overflows": ("erfcx", -30.0, -np.inf),
    "log_ndtr of what is huge": ("log_ndtr", -1e150, 1e150),
    "log_ndtr where it is 0": ("log_ndtr", 100.0, 0.0),
    "log_ndtr where it nearly is": ("log_ndtr", 30.0, np.exp(-450.0) / np.sqrt(2 * np.pi)),
    "log_expit of what is huge": ("log_expit", -1e300, 1.0),
    "log_expit where it is 0": ("log_expit", 1e300, 0.0),
    "logit at 0": ("logit", 0.0, np.inf),
    "erfinv at 1": ("erfinv", 1.0, np.inf),
    "ndtri at 0": ("ndtri", 0.0, np.inf),
    "entr at 0": ("entr", 0.0, np.inf),
    "exprel that overflows": ("exprel", 720.0, np.inf),
    "exprel of what is huge": ("exprel", -1e150, 1e-300),
    "dawsn of what is huge": ("dawsn", 1e150, -0.5e-300),
    "spence at 0": ("spence", 0.0, -np.inf),
    "ellipk at 1": ("ellipk", 1.0, np.inf),
    "ellipkm1 beside 0": ("ellipkm1", 1e-300, -0.5e300),
    "ellipe at 1": ("ellipe", 1.0, -np.inf),
    "arcsinh of what is huge": ("arcsinh", 1e300, 1e-300),
    "arccosh of what is huge": ("arccosh", 1e300, 1e-300),
    "arccosh at 1": ("arccosh", 1.0, np.inf),
    "arctanh at 1": ("arctanh", 1.0, np.inf),
    "cbrt at 0": ("cbrt", 0.0, np.inf),
    "gamma that overflows": ("gamma", 180.0, np.inf),
    "expit of what is huge": ("expit", -1e300, 0.0),
}


@pytest.mark.parametrize("case", EDGES)
def test_first_derivatives_at_the_edge(case: str) -> None:
    name, point, wanted = EDGES[case]
    slope = derivatives(name, [np.array([point])])[0][0]
    assert slope == pytest.approx(wanted, rel=1e-13, abs=0.0)


# --- rows without a reference in JAX: each against SciPy's value in a sweep, and against mpmath above or here

INVERSES = {
    "gammaincinv": ("gammainc", (2.5,)),
    "gammainccinv": ("gammaincc", (2.5,)),
    "betaincinv": ("betainc", (2.5, 1.5)),
    "betainccinv": ("betaincc", (2.5, 1.5)),
    "stdtrit": ("stdtr", (3.5,)),
    "ndtri": ("ndtr", ()),
    "ndtri_exp": ("log_ndtr", ()),
    "erfcinv": ("erfc", ()),
}


@pytest.mark.parametrize("name", INVERSES)
def test_an_inverse_has_the_inverse_derivative(name: str) -> None:
    other, parameters = INVERSES[name]
    y = np.array([1e-9, 1e-3, 0.2, 0.5, 0.97])
    y = np.log(y) if other == "log_ndtr" else y
    x = getattr(scipy.special, name)(*parameters, y)
    k = len(parameters)
    constants = [np.full_like(y, p) for p in parameters]
    slope, curvature = derivatives(name, [*constants, y], k)
    back, bent = derivatives(other, [*constants, x], k)
    np.testing.assert_allclose(slope * back, 1.0, rtol=1e-8)
    np.testing.assert_allclose(curvature, -bent / back**3, rtol=1e-7)


def test_every_row_of_scipys_is_compared_with_something() -> None:
    """A new row must come with a reference: in JAX (test_ops), in mpmath or by its inverse."""
    from tests.references import NO_REFERENCE

    here = {row[0] for row in UNARY} | {row[0] for row in BINARY} | set(INVERSES)
    missing = {name for name, reason in NO_REFERENCE.items() if "mpmath in test_special" in reason} - here
    assert not missing
    assert here <= {op.name for op in OPS}


# --- the package


def test_it_is_light() -> None:
    """Neither the package nor a recording imports scipy.special or scipy.stats."""
    code = (
        "import sys, numpy as np, tapegrad as tg, tapegrad.scipy.special as sp, tapegrad.scipy.stats as st\n"
        "tg.record(lambda x: sp.logsumexp(x) + sp.softplus(x).sum() + st.norm.logpdf(x).sum(), np.ones(3))\n"
        "print([name for name in ('scipy.special', 'scipy.stats') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


MISUSE: dict[str, tuple[Callable[[Any], Any], type[TapegradError], tuple[str, ...]]] = {
    "to a shape": (lambda x: sp.gammainc(x, 2.0), UnsupportedError, ("gammainc", "derivative to a")),
    "to an order": (lambda x: sp.jv(x, 2.0), UnsupportedError, ("jv", "derivative to v")),
    "to degrees of freedom": (lambda x: sp.stdtr(x, 2.0), UnsupportedError, ("stdtr", "derivative to n")),
    "zeta to s": (lambda x: sp.zeta(x + 1, 2.0), UnsupportedError, ("zeta", "derivative to s")),
    "Riemann's zeta": (lambda x: sp.zeta(x + 1), UnsupportedError, ("zeta", "no rule")),
    "Riemann's zeta of SciPy": (lambda x: scipy.special.zeta(x + 1), UnsupportedError, ("_riemann_zeta", "knows")),
    "polygamma of a Variable": (lambda x: sp.polygamma(x, x), UnsupportedError, ("polygamma", "order", "constant")),
    "polygamma of half an order": (lambda x: sp.polygamma(0.5, x), DtypeError, ("polygamma", "order 0.5", "whole")),
    "expn of floats": (lambda x: sp.expn(x, x), DtypeError, ("expn", "orders of dtype float64", "integers")),
    "exact": (lambda x: sp.comb(x, 2, exact=True), UnsupportedError, ("comb", "exact=")),
    "no rule": (lambda x: sp.airy(x)[0], UnsupportedError, ("airy", "knows")),
    "a function of SciPy's": (sp.lambertw, UnsupportedError, ("lambertw", "knows")),
    "out=": (lambda x: sp.erf(x, out=np.zeros(2)), UnsupportedError, ("erf", "out=")),
    "scipy's own polygamma": (lambda x: scipy.special.polygamma(1, x), ConversionError, ("no values yet",)),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, error, words = MISUSE[name]
    with pytest.raises(error) as caught:
        tg.grad(lambda x: np.sum(f(x)))(np.array([1.0, 2.0]))
    for word in words:
        assert word in str(caught.value), word


def test_parameters_that_are_data_may_be_arguments() -> None:
    """Without a rule for the shape, the other operand still has its derivative, by an argument that is data."""
    f = tg.grad(lambda x, a: np.sum(sp.gammainc(a, x)), 0)
    x, a = np.array([0.5, 2.0]), np.array([1.0, 2.0])
    np.testing.assert_allclose(f(x, a), x ** (a - 1) * np.exp(-x), rtol=1e-15)
