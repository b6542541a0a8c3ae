"""NumPy's elementwise functions: ufuncs, their methods and keywords, and what NumPy writes in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy

from tests.functions.case import Call, distinct, uniform

Intervals = tuple[tuple[float, float], ...]


def ufunc(name: str, *intervals: tuple[float, float], **options: Any) -> Call:
    """A call of a ufunc; operands of several shapes that broadcast."""
    shapes = ((3, 4), (4,), (3, 1))
    points = tuple(
        uniform(*shape, seed=k, low=low, high=high)
        for k, (shape, (low, high)) in enumerate(zip(shapes, intervals, strict=False))
    )
    return Call(f"numpy.{name}", lambda np, *x: getattr(np, name)(*x), points, **options)


def integers(*shape: int, seed: int = 0, low: int = -9, high: int = 10) -> Any:
    return numpy.random.default_rng(seed).integers(low, high, shape)


REAL, POSITIVE, UNIT = (-2.0, 2.0), (0.2, 3.0), (-0.9, 0.9)
EDGES: Final = numpy.array([0.0, -0.0, 1.0, -2.5, 7.25, 3e-310, -1e300, numpy.inf, -numpy.inf, numpy.nan])
FLAGS: Final = numpy.array([True, False, True, False])

_UFUNCS: Final = (
    *(
        ufunc(name, REAL)
        for name in ("sin", "cos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "exp", "exp2", "expm1")
    ),
    *(ufunc(name, POSITIVE) for name in ("log", "log2", "log10", "log1p", "sqrt", "cbrt", "reciprocal")),
    *(ufunc(name, UNIT) for name in ("arcsin", "arccos", "arctanh", "tan")),
    *(ufunc(name, REAL) for name in ("square", "negative", "positive", "absolute", "fabs", "conjugate")),
    *(ufunc(name, REAL) for name in ("degrees", "radians", "deg2rad", "rad2deg")),
    ufunc("arccosh", (1.2, 4.0)),
    ufunc("cbrt", (-3.0, -0.2)),
    *(ufunc(name, REAL, REAL) for name in ("add", "subtract", "multiply", "logaddexp", "logaddexp2", "copysign")),
    *(ufunc(name, REAL, POSITIVE) for name in ("divide", "arctan2", "hypot")),
    *(ufunc(name, POSITIVE, REAL) for name in ("power", "float_power")),
    *(ufunc(name, (0.1, 0.9), (1.0, 2.0)) for name in ("remainder", "fmod", "divmod")),
    Call("numpy.remainder", lambda np, x, y: np.remainder(x, y), (uniform(5), uniform(5, seed=1, low=0.7, high=0.9))),
    Call("numpy.fmod", lambda np, x, y: np.fmod(x, y), (uniform(5), uniform(5, seed=1, low=0.7, high=0.9))),
    *(
        Call(
            f"numpy.{name}",
            lambda np, x, y, name=name: getattr(np, name)(x, y),
            (distinct(3, 4), distinct(4, seed=5) + 0.05),
        )
        for name in ("maximum", "minimum", "fmax", "fmin")
    ),
    Call("numpy.heaviside", lambda np, x, y: np.heaviside(x, y), (numpy.array([-1, 0, 2]), uniform(3)), jax=False),
    Call("numpy.ldexp", lambda np, x, n: np.ldexp(x, n), (uniform(3, 4), integers(4))),
    Call("numpy.nextafter", lambda np, x, y: np.nextafter(x, y), (uniform(4), uniform(4, seed=1)), jax=False),
)

_STEPS: Final = (
    *(ufunc(name, REAL, smooth=False) for name in ("floor", "ceil", "trunc", "rint", "sign", "spacing", "signbit")),
    *(ufunc(name, REAL, smooth=False) for name in ("isnan", "isinf", "isfinite", "logical_not")),
    *(ufunc(name, REAL, REAL, smooth=False) for name in ("floor_divide", "less", "less_equal", "equal", "not_equal")),
    *(ufunc(name, REAL, REAL, smooth=False) for name in ("greater", "greater_equal", "logical_and", "logical_or")),
    *(
        Call(f"numpy.{name} at edges", lambda np, x, name=name: getattr(np, name)(x), (EDGES,), smooth=False)
        for name in ("signbit", "spacing", "isnan", "isinf", "isfinite", "isposinf", "isneginf", "trunc", "fix", "sign")
    ),
    *(
        Call(f"numpy.{name} at edges", lambda np, x, name=name: getattr(np, name)(x), (EDGES,), smooth=False)
        for name in ("modf", "frexp", "nan_to_num", "sinc", "angle", "rint", "cbrt", "arcsinh", "exp2")
    ),
    *(
        Call(f"numpy.{name} at edges", lambda np, x, name=name: getattr(np, name)(x, x[::-1]), (EDGES,), smooth=False)
        for name in ("fmax", "fmin", "copysign", "hypot", "nextafter", "heaviside", "fmod", "logaddexp2")
    ),
    Call(
        "numpy.heaviside", lambda np, x: np.heaviside(x, 0.5), (numpy.array([-1.0, 0.0, 2.0, numpy.nan]),), smooth=False
    ),
    Call("numpy.frexp", lambda np, x: np.frexp(x)[1], (uniform(4, low=-9, high=9),), smooth=False),
    Call("numpy.spacing", lambda np, x: np.spacing(x), (uniform(4),), smooth=False),
)

_INTEGERS: Final = (
    *(
        Call(
            f"numpy.{name}",
            lambda np, i, j, name=name: getattr(np, name)(i, j),
            (integers(3, 4), integers(4, seed=1)),
            smooth=False,
        )
        for name in ("gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor", "fmax", "fmin", "maximum", "logical_xor")
    ),
    *(
        Call(
            f"numpy.{name}",
            lambda np, i, j, name=name: getattr(np, name)(i, j),
            (integers(3, 4), integers(4, seed=1, low=1)),
            smooth=False,
        )
        for name in ("left_shift", "right_shift", "remainder", "fmod", "floor_divide")
    ),
    *(
        Call(f"numpy.{name}", lambda np, b, name=name: getattr(np, name)(b, b[::-1]), (FLAGS,), smooth=False)
        for name in ("bitwise_and", "bitwise_or", "bitwise_xor", "left_shift", "fmax", "fmin", "logical_xor", "equal")
    ),
    Call("numpy.invert", lambda np, i: np.invert(i), (integers(4),), smooth=False),
    Call("numpy.invert", lambda np, b: np.invert(b), (FLAGS,), smooth=False),
    Call("numpy.bitwise_or", lambda np, i: np.bitwise_or(i, 5), (integers(4),), smooth=False),
    Call("numpy.bitwise_and", lambda np, b: np.bitwise_and(b, True), (FLAGS,), smooth=False),
    Call(
        "numpy.ndarray.__and__",
        lambda np, i: (i & 6, 6 | i, i ^ i[::-1], ~i, i << 2, 5 >> abs(i)),
        (integers(4),),
        smooth=False,
    ),
    Call("numpy.ndarray.__and__", lambda np, b: (b & b[::-1], True | b, b ^ b[::-1], ~b), (FLAGS,), smooth=False),
    Call("numpy.fix", lambda np, i: np.fix(i), (integers(4),), smooth=False),
    Call("numpy.round", lambda np, i: np.round(i, -1), (integers(6, low=-99, high=99),), smooth=False),
    Call("numpy.round", lambda np, i: np.round(i, 1), (integers(4),), smooth=False),
    Call("numpy.exp2", lambda np, i: np.exp2(i), (integers(4),), smooth=False),
    Call("numpy.hypot", lambda np, i: np.hypot(i, 2), (integers(4),), smooth=False),
)

_WRITTEN: Final = (
    Call("numpy.round", lambda np, x: np.round(x), (uniform(4, low=-9, high=9),), smooth=False),
    Call("numpy.round", lambda np, x: np.round(x, 2), (uniform(4),), smooth=False),
    Call("numpy.round", lambda np, x: np.round(x, decimals=-2), (uniform(4, low=-900, high=900),), smooth=False),
    Call("numpy.around", lambda np, x: np.around(x, 1), (uniform(4),), smooth=False),
    Call("numpy.round", lambda np, x: x * np.round(x, 1), (uniform(4),), jax=False),
    Call("numpy.fix", lambda np, x: np.fix(x), (uniform(4),), smooth=False),
    Call("numpy.modf", lambda np, x: np.modf(x), (uniform(5),), jax=False),
    Call("numpy.frexp", lambda np, x: np.frexp(x)[0], (uniform(5, low=0.6, high=0.9),), jax=False),
    Call("numpy.frexp", lambda np, x: np.frexp(x)[0], (-3.7 * uniform(5, low=1.2, high=1.9),), jax=False),
    Call("numpy.angle", lambda np, x: np.angle(x), (uniform(5),), smooth=False),
    Call("numpy.angle", lambda np, x: np.angle(x, deg=True), (uniform(5),), smooth=False),
    Call("numpy.imag", lambda np, x: np.imag(x) + x, (uniform(3),)),
    Call("numpy.real", lambda np, x: np.real(x), (uniform(3),)),
    Call("numpy.isreal", lambda np, x: (np.isreal(x), np.iscomplex(x)), (uniform(3),), smooth=False),
    Call("numpy.real_if_close", lambda np, x: np.real_if_close(x, tol=1000), (uniform(3),), jax=False),
    Call("numpy.sinc", lambda np, x: np.sinc(x), (uniform(3, 4),)),
    Call("numpy.sinc", lambda np, x: np.sinc(x), (numpy.array([0.0, 1e-9, 0.01, -0.049, 0.051, 5.3]),), jax=False),
    Call("numpy.i0", lambda np, x: np.i0(x), (uniform(4),)),
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x), (uniform(4),)),
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x, nan=1.5, posinf=2.0, neginf=-3.0), (EDGES,), smooth=False),
    Call(
        "numpy.nan_to_num",
        lambda np, x, y: np.nan_to_num(x / 0.0, nan=y, posinf=y * 2),
        (numpy.ones(3), uniform(3)),
        jax=False,
    ),
    Call("numpy.isposinf", lambda np, x: (np.isposinf(x), np.isneginf(x)), (EDGES,), smooth=False),
    Call("numpy.isclose", lambda np, x: np.isclose(x, 1.0 + 1e-6), (numpy.array([1.0, 1.1, numpy.inf]),), smooth=False),
    Call(
        "numpy.isclose",
        lambda np, x, y: np.isclose(x, y, rtol=0.1, atol=0.0, equal_nan=True),
        (EDGES, EDGES * 1.05),
        smooth=False,
    ),
    Call("numpy.allclose", lambda np, x: x * (2.0 if np.allclose(x, x + 1e-9) else 3.0), (uniform(3),)),
    Call("numpy.array_equal", lambda np, x: x * (2.0 if np.array_equal(x, x[::-1]) else 3.0), (uniform(3),)),
    Call("numpy.array_equal", lambda np, x: x * (2.0 if np.array_equal(x, x[:2]) else 3.0), (uniform(3),)),
    Call("numpy.array_equiv", lambda np, x: x * (2.0 if np.array_equiv(x, x[:1]) else 3.0), (uniform(3),), jax=False),
)


def outer(name: str, **options: Any) -> Call:
    return Call(
        f"numpy.{name}.outer",
        lambda np, x, y: getattr(np, name).outer(x, y),
        (distinct(3), distinct(2, 2, seed=3) + 5.3),
        **{"jax": False, **options},
    )


def keyword(text: str, call: Callable[..., Any], *arguments: Any, **options: Any) -> Call:
    """JAX has no such keywords."""
    return Call(f"numpy ufunc {text}", call, arguments, **{"jax": False, **options})


_METHODS: Final = (
    outer("add", jax=True),
    outer("subtract", jax=True),
    outer("multiply", jax=True),
    *(outer(name) for name in ("divide", "arctan2", "maximum", "hypot", "logaddexp", "fmin")),
    outer("greater", smooth=False),
    Call("numpy.multiply.outer", lambda np, x: np.multiply.outer(x, [1.0, 2.0]), (uniform(3),), jax=False),
    Call("numpy.multiply.outer", lambda np, x: np.multiply.outer(2.0, x), (uniform(3),)),
    *(
        Call(f"numpy.{name}.reduce", lambda np, x, name=name: getattr(np, name).reduce(x, axis=1), (distinct(3, 4),))
        for name in ("add", "multiply", "maximum", "minimum", "logaddexp")
    ),
    *(
        Call(f"numpy.{name}.reduce", lambda np, x, name=name: getattr(np, name).reduce(x), (distinct(3, 4),))
        for name in ("add", "multiply", "maximum", "logaddexp")
    ),
    Call("numpy.logical_and.reduce", lambda np, x: np.logical_and.reduce(x > -1), (uniform(3, 4),), smooth=False),
    Call("numpy.logical_or.reduce", lambda np, x: np.logical_or.reduce(x > 1, axis=1), (uniform(3, 4),), smooth=False),
    keyword("dtype=", lambda np, x: np.multiply(x, 2, dtype=x.dtype), uniform(3)),
    keyword("dtype=", lambda np, i: np.multiply(i, 2, dtype=float), integers(3), smooth=False),
    keyword("where=True", lambda np, x: np.exp(x, where=True), uniform(3)),
    keyword(
        "where= out=",
        lambda np, x, y: np.divide(x, y, out=np.zeros_like(x), where=y > 0),
        uniform(3),
        numpy.array([2.0, -1.0, 0.5]),
    ),
    keyword(
        "where= out=",
        lambda np, x, y: np.log(x, out=np.full((2, 3), -1.0), where=x > y),
        uniform(3),
        uniform(2, 1, low=-0.5, high=0.5),
    ),
)

CALLS: Final = (*_UFUNCS, *_STEPS, *_INTEGERS, *_WRITTEN, *_METHODS)
