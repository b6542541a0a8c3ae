"""The elementwise rows of special functions. Values are SciPy's, by the inner loops of its ufuncs.

Partials are written so that they keep their digits in the tails and where a plain formula would be 0 / 0;
what they are made of is rows again, so that derivatives of any order are. A partial "" has no formula in these
functions: that operand, an order or a shape parameter, cannot be differentiated by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import factorial, prod
from typing import Any, Final

import numpy as np

from tapegrad.ops.elementwise import OPEN_UNIT, POSITIVE, REAL, joined, row
from tapegrad.ops.row import Attribute, Interval, Op

UNIT: Final[Interval] = (0.1, 0.9)
ORDER: Final[Interval] = (1.0, 4.0)


def function(
    name: str,
    operands: str,
    partials: str | Sequence[str],
    points: Sequence[Interval],
    doc: str,
    *,
    loop: str = "",
    **options: Any,
) -> list[Op]:
    """A row whose value is a ufunc's of `scipy.special`."""
    taken = [partials] if isinstance(partials, str) else partials
    return row(name, operands, "", taken, points, doc, loop=loop or f"scipy.special.{name}", **options)


def series(variable: str, coefficients: Iterable[float]) -> str:
    """A polynomial by Horner's rule, as a text: its coefficients from the constant term on.

    >>> series("x", [1, 2, 3])
    '(1 + x * (2 + x * (3)))'
    """
    first, *rest = coefficients
    return f"({first} + {variable} * {series(variable, rest)})" if rest else f"({first})"


def _mills() -> str:
    """What erfcx is divided by in its derivative's tail: x + 1 / (x + 1.5 / (x + 2 / (x + ...))).

    sqrt(pi) erfcx(x) = 1 / (x + K), K = 0.5 / (x + 1 / (x + 1.5 / ...)) (DLMF 7.9.1), and so
    erfcx' = 2 x erfcx - 2 / sqrt(pi) = -2 K erfcx. From x = 10 on eight fractions are enough.
    """
    text = "x"
    for n in range(9, 1, -1):
        text = f"(x + {n / 2} / {text})"
    return text


def _trigamma() -> str:
    """The derivative of digamma: SciPy's zeta(2, x) takes half a microsecond.

    For t > 0 the sum of 1 / (t + k)² for k < 10, and the asymptotic series at t + 10, whose first term left out is
    below 1e-17 (DLMF 5.15.5 and 5.15.8); elsewhere by reflection (5.15.6).
    """
    t = "(x if x > 0 else 1 - x)"
    far = f"({t} + 10)"
    bernoulli = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)
    near = " + ".join(f"1 / (({t} + {k}) * ({t} + {k}))" for k in range(10))
    tail = f"(1 + (0.5 + {series(f'(1 / ({far} * {far}))', bernoulli)} / {far}) / {far}) / {far}"
    total = f"({near} + {tail})"
    sine = "math.sin(math.pi * (x - np.floor(x + 0.5)))"  # of the distance from the next whole number
    return f"{total} if x > 0 else (math.pi / {sine}) * (math.pi / {sine}) - {total}"


def _trigamma_by_zeta(_: Attribute, x: Any) -> Any:
    from scipy.special import zeta

    return zeta(2, np.where(x == -np.inf, np.nan, x))  # there is no limit, though SciPy has one


_DOUBLE_FACTORIALS: Final = [prod(range(1, 2 * k, 2)) for k in range(1, 13)]

_REFLECTED: Final = "maximum(1 - x, 0.5)"  # where x > 0.5 nothing is asked of it, least of all slow sums of SciPy's


def _by_derivative(x: str) -> str:
    """(log(1 + t) / t)' for t = `x`: near 0 by its series."""
    near = series(f"({x})", [(-1) ** k * k / (k + 1) for k in range(1, 14)])
    return f"where(absolute({x}) > 0.05, (1 / (1 + {x}) - log1p({x}) / ({x})) / ({x}), {near})"


def _slope(x: str, z: str) -> str:
    """The derivative of exprel at `x`, where it is `z`: three forms, none of which cancels."""
    near = series(f"({x})", [k / factorial(k + 1) for k in range(1, 11)])
    return f"where({x} > 0.1, {z} * (1 - 1 / ({x})) + 1 / ({x}), where({x} < -0.1, (exp({x}) - {z}) / ({x}), {near}))"


_ERRORS: Final[tuple[Op, ...]] = joined(
    function("expit", "x", "z * expit(-x)", [REAL], "logistic sigmoid 1 / (1 + exp(-x))"),
    function("logit", "x", "1 / (x * (1 - x))", [UNIT], "log(x / (1 - x)), 0 < x < 1"),
    function("log_expit", "x", "expit(-x)", [REAL], "log(expit(x)) without underflow"),
    row(
        "erf",
        "x",
        "math.erf(x)",
        ["1.1283791670955126 * exp(-(x * x))"],
        [REAL],
        "error function",
        loop="scipy.special.erf",
        vector="erf",
    ),
    function("erfc", "x", "-1.1283791670955126 * exp(-(x * x))", [REAL], "1 - erf(x)"),
    function(
        "erfcx",
        "x",
        f"where(x > 10, -z / {_mills()}, 2 * x * z - 1.1283791670955126)",
        [REAL],
        "exp(x * x) erfc(x), without underflow",
    ),
    function("erfi", "x", "1.1283791670955126 * exp(x * x)", [REAL], "imaginary error function, -i erf(i x)"),
    function("erfinv", "x", "0.886226925452758 * exp(z * z)", [OPEN_UNIT], "inverse of erf, |x| < 1"),
    function("erfcinv", "x", "-0.886226925452758 * exp(z * z)", [UNIT], "inverse of erfc, 0 < x < 2"),
    function("ndtr", "x", "0.3989422804014327 * exp(-0.5 * x * x)", [REAL], "normal cumulative distribution"),
    function(
        "log_ndtr",
        "x",
        "0.7978845608028654 / erfcx(-0.7071067811865476 * x)",
        [REAL],
        "log(ndtr(x)) without underflow",
    ),
    function("ndtri", "x", "2.5066282746310002 * exp(0.5 * z * z)", [UNIT], "inverse of ndtr, 0 < x < 1"),
    function(
        "ndtri_exp",
        "x",
        "1.2533141373155001 * erfcx(-0.7071067811865476 * z)",
        [(-4.0, -0.2)],
        "inverse of log_ndtr, x < 0",
    ),
    function(
        "dawsn",
        "x",
        f"where(absolute(x) > 12, -0.5 / (x * x) * {series('(0.5 / (x * x))', _DOUBLE_FACTORIALS)}, 1 - 2 * x * z)",
        [REAL],
        "Dawson's integral exp(-x * x) times the integral of exp(t * t) from 0 to x",
    ),
    function(
        "owens_t",
        "h a",
        [
            "-0.19947114020071635 * exp(-0.5 * h * h) * erf(0.7071067811865476 * h * a)",
            "0.15915494309189535 * exp(-0.5 * h * h * (1 + a * a)) / (1 + a * a)",
        ],
        [REAL, REAL],
        "Owen's T function",
    ),
)

_GAMMAS: Final[tuple[Op, ...]] = joined(
    function("gamma", "x", "z * digamma(x)", [POSITIVE], "gamma function"),
    function("gammaln", "x", "digamma(x)", [POSITIVE], "log |gamma(x)|"),
    function("loggamma", "x", "digamma(x)", [POSITIVE], "log(gamma(x)), x > 0"),
    function("gammasgn", "x", "0", [POSITIVE], "sign of gamma(x)"),
    function(
        "rgamma",
        "x",
        "where(x > 0.5, -z * digamma(x), "
        f"gamma({_REFLECTED}) * cos(3.141592653589793 * x) - z * digamma({_REFLECTED}))",
        [POSITIVE],
        "1 / gamma(x)",
    ),
    function("digamma", "x", "trigamma(x)", [POSITIVE], "derivative of gammaln", loop="scipy.special.psi"),
    row(
        "trigamma",
        "x",
        _trigamma(),
        ["-2 * zeta(3, x)"],
        [POSITIVE],
        "derivative of digamma",
        evaluate=_trigamma_by_zeta,
        source="scipy.special.zeta(2, np.where(x == -np.inf, np.nan, x))",
    ),
    function(
        "zeta",
        "s x",
        ["", "-s * zeta(s + 1, x)"],
        [(2.0, 4.0), POSITIVE],
        "Hurwitz zeta function; no rule for s",
        numpy="scipy.special.zeta",
        loop="scipy.special._ufuncs._zeta",
    ),
    function(
        "beta",
        "a b",
        ["z * (digamma(a) - digamma(a + b))", "z * (digamma(b) - digamma(a + b))"],
        [POSITIVE, POSITIVE],
        "gamma(a) gamma(b) / gamma(a + b)",
    ),
    function(
        "betaln",
        "a b",
        ["digamma(a) - digamma(a + b)", "digamma(b) - digamma(a + b)"],
        [POSITIVE, POSITIVE],
        "log |beta(a, b)|",
    ),
    function(
        "binom",
        "n k",
        ["z * (digamma(n + 1) - digamma(n - k + 1))", "z * (digamma(n - k + 1) - digamma(k + 1))"],
        [(2.0, 4.0), UNIT],
        "binomial coefficient of real numbers",
    ),
    function(
        "poch",
        "x m",
        ["z * (digamma(x + m) - digamma(x))", "z * digamma(x + m)"],
        [POSITIVE, POSITIVE],
        "rising factorial gamma(x + m) / gamma(x)",
    ),
    function(
        "gammainc",
        "a x",
        ["", "exp(xlogy(a - 1, x) - x - gammaln(a))"],
        [POSITIVE, POSITIVE],
        "regularised lower incomplete gamma function; no rule for a",
    ),
    function(
        "gammaincc",
        "a x",
        ["", "-exp(xlogy(a - 1, x) - x - gammaln(a))"],
        [POSITIVE, POSITIVE],
        "regularised upper incomplete gamma function; no rule for a",
    ),
    function(
        "gammaincinv",
        "a p",
        ["", "exp(z + gammaln(a) - xlogy(a - 1, z))"],
        [ORDER, UNIT],
        "inverse of gammainc; no rule for a",
    ),
    function(
        "gammainccinv",
        "a p",
        ["", "-exp(z + gammaln(a) - xlogy(a - 1, z))"],
        [ORDER, UNIT],
        "inverse of gammaincc; no rule for a",
    ),
    function(
        "betainc",
        "a b x",
        ["", "", "exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))"],
        [ORDER, ORDER, UNIT],
        "regularised incomplete beta function; no rule for a and b",
    ),
    function(
        "betaincc",
        "a b x",
        ["", "", "-exp(xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b))"],
        [ORDER, ORDER, UNIT],
        "1 - betainc(a, b, x); no rule for a and b",
    ),
    function(
        "betaincinv",
        "a b p",
        ["", "", "exp(betaln(a, b) - xlogy(a - 1, z) - xlog1py(b - 1, -z))"],
        [ORDER, ORDER, UNIT],
        "inverse of betainc; no rule for a and b",
    ),
    function(
        "betainccinv",
        "a b p",
        ["", "", "-exp(betaln(a, b) - xlogy(a - 1, z) - xlog1py(b - 1, -z))"],
        [ORDER, ORDER, UNIT],
        "inverse of betaincc; no rule for a and b",
    ),
    function(
        "stdtr",
        "n t",
        ["", "exp(-0.5 * (n + 1) * log1p(t * t / n) - betaln(0.5 * n, 0.5)) / sqrt(n)"],
        [ORDER, REAL],
        "cumulative distribution of Student's t; no rule for n",
    ),
    function(
        "stdtrit",
        "n p",
        ["", "exp(0.5 * (n + 1) * log1p(z * z / n) + betaln(0.5 * n, 0.5)) * sqrt(n)"],
        [ORDER, UNIT],
        "inverse of stdtr; no rule for n",
    ),
)

_ENTROPIES: Final[tuple[Op, ...]] = joined(
    function(
        "xlogy",
        "x y",
        ["log(y)", "masked_multiply(x, 1 / y)"],
        [REAL, POSITIVE],
        "x log(y), and 0 where x is 0",
    ),
    function(
        "xlog1py",
        "x y",
        ["log1p(y)", "masked_multiply(x, 1 / (1 + y))"],
        [REAL, POSITIVE],
        "x log(1 + y), and 0 where x is 0",
    ),
    function("entr", "x", "-log(x) - 1", [POSITIVE], "-x log(x)"),
    function(
        "rel_entr",
        "x y",
        ["where(x + y == 0, 0, log(x / y) + 1)", "-masked_multiply(x, 1 / y)"],
        [POSITIVE, POSITIVE],
        "x log(x / y); both derivatives at (0, 0) are 0",
    ),
    function(
        "kl_div",
        "x y",
        ["where(x + y == 0, 0, log(x / y))", "where(x + y == 0, 1, (y - x) / y)"],
        [POSITIVE, POSITIVE],
        "x log(x / y) - x + y",
    ),
)

_OTHERS: Final[tuple[Op, ...]] = joined(
    function("exprel", "x", _slope("x", "z"), [REAL], "(exp(x) - 1) / x"),
    function("cosm1", "x", "-sin(x)", [REAL], "cos(x) - 1, right near 0"),
    function(
        "huber",
        "d x",
        ["maximum(absolute(x) - d, 0)", "maximum(minimum(x, d), -d)"],
        [(0.5, 1.0), (1.2, 3.0)],
        "x * x / 2 within d of 0, straight lines beyond",
    ),
    function(
        "pseudo_huber",
        "d x",
        ["where(d == 0, 0, z * z / (d * d * hypot(d, x)))", "d * x / where(d == 0, 1, hypot(d, x))"],
        [POSITIVE, REAL],
        "d * d * (sqrt(1 + (x / d)**2) - 1)",
    ),
    function(
        "boxcox",
        "x p",
        [
            "power(x, p - 1)",
            f"where(x == 0, 1 / (p * p), log(x) * log(x) * {_slope('p * log(x)', 'exprel(p * log(x))')})",
        ],
        [POSITIVE, REAL],
        "(x**p - 1) / p, and log(x) for p = 0",
    ),
    function(
        "boxcox1p",
        "x p",
        [
            "power(1 + x, p - 1)",
            f"where(x == -1, 1 / (p * p), log1p(x) * log1p(x) * {_slope('p * log1p(x)', 'exprel(p * log1p(x))')})",
        ],
        [POSITIVE, REAL],
        "boxcox(1 + x, p)",
    ),
    function(
        "inv_boxcox",
        "x p",
        ["z / (1 + x * p)", f"z * x * x * {_by_derivative('x * p')}"],
        [UNIT, (-1.0, 3.0)],
        "(1 + x p)**(1 / p), and exp(x) for p = 0",
    ),
    function(
        "inv_boxcox1p",
        "x p",
        ["(1 + z) / (1 + x * p)", f"(1 + z) * x * x * {_by_derivative('x * p')}"],
        [UNIT, (-1.0, 3.0)],
        "inv_boxcox(x, p) - 1",
    ),
    function("wrightomega", "x", "z / (1 + z)", [REAL], "the solution z of z + log(z) = x"),
)

ROWS: Final[tuple[Op, ...]] = _ERRORS + _GAMMAS + _ENTROPIES + _OTHERS
