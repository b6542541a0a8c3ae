"""The elementwise rows of Bessel functions and of integrals: more of `tapegrad.ops.special`."""

from __future__ import annotations

from math import factorial
from typing import Final

from tapegrad.ops.elementwise import POSITIVE, REAL, joined
from tapegrad.ops.row import Interval, Op
from tapegrad.ops.special import ORDER, function, series

_WHOLE: Final[Interval] = (2.0, 2.0)  # one number: an order that the function cuts to an integer
# K(m) = pi/2 sum c[n] m**n and E(m) = pi/2 (1 - sum c[n] m**n / (2 n - 1)), DLMF 19.5.1 and 19.5.2.
_ELLIPTIC: Final = [(factorial(2 * n) / (4**n * factorial(n) ** 2)) ** 2 for n in range(18)]
_HALF_PI: Final = 1.5707963267948966

_BESSEL: Final[tuple[Op, ...]] = joined(
    function("i0", "x", "i1(x)", [REAL], "modified Bessel function of order 0"),
    function("i1", "x", "0.5 * (i0(x) + iv(2, x))", [REAL], "modified Bessel function of order 1"),
    function("i0e", "x", "i1e(x) - sign(x) * z", [REAL], "exp(-|x|) i0(x)"),
    function("i1e", "x", "0.5 * (i0e(x) + ive(2, x)) - sign(x) * z", [REAL], "exp(-|x|) i1(x)"),
    function(
        "iv",
        "v x",
        ["", "0.5 * (iv(v - 1, x) + iv(v + 1, x))"],
        [ORDER, POSITIVE],
        "modified Bessel function of order v; no rule for v",
    ),
    function(
        "ive",
        "v x",
        ["", "0.5 * (ive(v - 1, x) + ive(v + 1, x)) - sign(x) * z"],
        [ORDER, POSITIVE],
        "exp(-|x|) iv(v, x); no rule for v",
    ),
    function("k0", "x", "-k1(x)", [POSITIVE], "modified Bessel function of the second kind, order 0"),
    function(
        "k1", "x", "-0.5 * (k0(x) + kv(2, x))", [POSITIVE], "modified Bessel function of the second kind, order 1"
    ),
    function("k0e", "x", "z - k1e(x)", [POSITIVE], "exp(x) k0(x)"),
    function("k1e", "x", "z - 0.5 * (k0e(x) + kve(2, x))", [POSITIVE], "exp(x) k1(x)"),
    function(
        "kv",
        "v x",
        ["", "-0.5 * (kv(v - 1, x) + kv(v + 1, x))"],
        [ORDER, POSITIVE],
        "modified Bessel function of the second kind, order v; no rule for v",
    ),
    function(
        "kve",
        "v x",
        ["", "z - 0.5 * (kve(v - 1, x) + kve(v + 1, x))"],
        [ORDER, POSITIVE],
        "exp(x) kv(v, x); no rule for v",
    ),
    function("j0", "x", "-j1(x)", [REAL], "Bessel function of order 0"),
    function("j1", "x", "0.5 * (j0(x) - jv(2, x))", [REAL], "Bessel function of order 1"),
    function(
        "jv",
        "v x",
        ["", "0.5 * (jv(v - 1, x) - jv(v + 1, x))"],
        [ORDER, POSITIVE],
        "Bessel function of order v; no rule for v",
    ),
    function("y0", "x", "-y1(x)", [POSITIVE], "Bessel function of the second kind, order 0"),
    function("y1", "x", "0.5 * (y0(x) - yv(2, x))", [POSITIVE], "Bessel function of the second kind, order 1"),
    function(
        "yv",
        "v x",
        ["", "0.5 * (yv(v - 1, x) - yv(v + 1, x))"],
        [ORDER, POSITIVE],
        "Bessel function of the second kind, order v; no rule for v",
    ),
)

_INTEGRALS: Final[tuple[Op, ...]] = joined(
    function("expi", "x", "exp(x) / x", [POSITIVE], "exponential integral Ei"),
    function("exp1", "x", "-exp(-x) / x", [POSITIVE], "exponential integral E1"),
    function(
        "expn",
        "n x",
        ["", "-where(n == 0, z * (1 + 1 / x), expn(n - 1, x))"],
        [_WHOLE, POSITIVE],
        "generalised exponential integral of a whole order n; no rule for n",
    ),
    function(
        "spence",
        "x",
        f"where(absolute(1 - x) > 0.05, log(x) / (1 - x), -{series('(1 - x)', [1 / k for k in range(1, 14)])})",
        [POSITIVE],
        "Spence's function, the dilogarithm of 1 - x",
    ),
    function(
        "ellipk",
        "x",
        "where(absolute(x) > 0.1, (ellipe(x) - masked_multiply(1 - x, z)) / (2 * x * (1 - x)), "
        f"{series('x', [_HALF_PI * n * c for n, c in enumerate(_ELLIPTIC) if n])})",
        [(0.2, 0.9)],
        "complete elliptic integral of the first kind, of the parameter x = k * k",
    ),
    function(
        "ellipkm1",
        "x",
        "where(absolute(1 - x) > 0.1, (masked_multiply(x, z) - ellipe(1 - x)) / (2 * x * (1 - x)), "
        f"-{series('(1 - x)', [_HALF_PI * n * c for n, c in enumerate(_ELLIPTIC) if n])})",
        [(0.2, 0.8)],
        "ellipk(1 - x), right near x = 0",
    ),
    function(
        "ellipe",
        "x",
        "where(absolute(x) > 0.1, (z - ellipk(x)) / (2 * x), "
        f"{series('x', [-_HALF_PI * n * c / (2 * n - 1) for n, c in enumerate(_ELLIPTIC) if n])})",
        [(0.2, 0.9)],
        "complete elliptic integral of the second kind, of the parameter x = k * k",
    ),
)

ROWS: Final[tuple[Op, ...]] = _BESSEL + _INTEGRALS
