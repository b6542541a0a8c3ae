"""The elementwise rows of NumPy's transcendental functions: exponentials, logarithms, roots, angles."""

from __future__ import annotations

from typing import Final

from tapegrad.ops.elementwise import OPEN_UNIT, POSITIVE, REAL, binary, joined, unary
from tapegrad.ops.row import Op

ROWS: Final[tuple[Op, ...]] = joined(
    # exponentials and logarithms
    unary("exp", "math.exp(x)", "z", REAL, "e to the power x", loop="numpy.exp"),
    unary("exp2", "", "0.6931471805599453 * z", REAL, "2 to the power x", loop="numpy.exp2"),
    unary("exp10", "", "2.302585092994046 * z", REAL, "10 to the power x", loop="scipy.special.exp10"),
    unary("expm1", "math.expm1(x)", "z + 1", REAL, "exp(x) - 1, right near 0", loop="numpy.expm1"),
    unary("log", "math.log(x)", "1 / x", POSITIVE, "natural logarithm, x > 0", loop="numpy.log"),
    unary("log2", "", "1.4426950408889634 / x", POSITIVE, "logarithm to base 2, x > 0", loop="numpy.log2"),
    unary("log10", "", "0.4342944819032518 / x", POSITIVE, "logarithm to base 10, x > 0", loop="numpy.log10"),
    unary("log1p", "math.log1p(x)", "1 / (1 + x)", (-0.9, 3.0), "log(1 + x), right near 0; x > -1", loop="numpy.log1p"),
    binary(
        "logaddexp",
        "",
        [
            "expit(where(isinf(x), where(x == y, 0, x - y), x - y))",
            "expit(where(isinf(y), where(y == x, 0, y - x), y - x))",
        ],
        [REAL, REAL],
        "log(exp(x) + exp(y)) without overflow",
        loop="numpy.logaddexp",
        commutes=True,
    ),
    binary(
        "logaddexp2",
        "",
        [
            "expit(0.6931471805599453 * where(isinf(x), where(x == y, 0, x - y), x - y))",
            "expit(0.6931471805599453 * where(isinf(y), where(y == x, 0, y - x), y - x))",
        ],
        [REAL, REAL],
        "log2(2**x + 2**y) without overflow",
        loop="numpy.logaddexp2",
        commutes=True,
    ),
    # roots
    unary("sqrt", "math.sqrt(x)", "0.5 / z", POSITIVE, "square root, x >= 0"),
    unary("cbrt", "", "0.3333333333333333 / (z * z)", POSITIVE, "cube root, of any x", loop="numpy.cbrt"),
    binary(
        "hypot",
        "",
        ["where(z == 0, 0, x / z)", "where(z == 0, 0, y / z)"],
        [REAL, POSITIVE],
        "length of (x, y) without overflow; both derivatives at (0, 0) are 0",
        loop="numpy.hypot",
        commutes=True,
    ),
    # trigonometric functions
    unary("sin", "math.sin(x)", "cos(x)", REAL, "sine of x radians", loop="numpy.sin", vector="sin"),
    unary("cos", "math.cos(x)", "-sin(x)", REAL, "cosine of x radians", loop="numpy.cos", vector="cos"),
    unary("tan", "math.tan(x)", "1 + z * z", (-1.2, 1.2), "tangent of x radians", loop="numpy.tan", vector="tan"),
    unary(
        "arcsin",
        "math.asin(x)",
        "1 / sqrt((1 - x) * (1 + x))",
        OPEN_UNIT,
        "inverse sine, |x| <= 1",
        loop="numpy.arcsin",
        vector="asin",
    ),
    unary(
        "arccos",
        "math.acos(x)",
        "-1 / sqrt((1 - x) * (1 + x))",
        OPEN_UNIT,
        "inverse cosine, |x| <= 1",
        loop="numpy.arccos",
        vector="acos",
    ),
    unary("arctan", "math.atan(x)", "1 / (1 + x * x)", REAL, "inverse tangent", loop="numpy.arctan", vector="atan"),
    binary(
        "arctan2",
        "math.atan2(x, y)",
        ["y / (x * x + y * y)", "-x / (x * x + y * y)"],
        [REAL, POSITIVE],
        "angle of the point (y, x) in radians",
        loop="numpy.arctan2",
    ),
    # hyperbolic functions; the roots of two factors do not overflow
    unary("sinh", "math.sinh(x)", "cosh(x)", REAL, "hyperbolic sine", loop="numpy.sinh", vector="sinh"),
    unary("cosh", "math.cosh(x)", "sinh(x)", REAL, "hyperbolic cosine", loop="numpy.cosh", vector="cosh"),
    unary("tanh", "math.tanh(x)", "1 - z * z", REAL, "hyperbolic tangent", loop="numpy.tanh"),
    unary("arcsinh", "", "1 / hypot(x, 1)", REAL, "inverse hyperbolic sine", loop="numpy.arcsinh"),
    unary(
        "arccosh",
        "",
        "1 / (sqrt(x - 1) * sqrt(x + 1))",
        (1.1, 4.0),
        "inverse hyperbolic cosine, x >= 1",
        loop="numpy.arccosh",
    ),
    unary(
        "arctanh",
        "",
        "1 / ((1 - x) * (1 + x))",
        OPEN_UNIT,
        "inverse hyperbolic tangent, |x| <= 1",
        loop="numpy.arctanh",
    ),
)
