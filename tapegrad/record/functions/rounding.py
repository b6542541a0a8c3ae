"""Functions that round numbers or take them apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.functions.common import find_variable, lift, operand, recorder_of, refuse
from tapegrad.record.functions.elementwise import floating, wrong_kind
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- rounding: flat but for jumps


def around(a: Any, decimals: Any = 0, out: Any = None) -> Variable:
    """`numpy.round`: halves to even, as NumPy scales; integers keep their kind."""
    v = operand(a)
    r = v._recorder
    refuse("round", r, out=out)
    if find_variable(decimals) is not None:
        raise unsupported("round", "decimals= a Variable", "an integer", r)
    if v._kind == INT and decimals >= 0:
        return v
    kind, factor = v._kind, 10.0 ** abs(decimals)
    x = r.cast(v, FLOAT)
    if decimals == 0:
        return r.elementwise("rint", x)
    there, back = ("multiply", "divide") if decimals > 0 else ("divide", "multiply")
    rounded = r.elementwise(back, r.elementwise("rint", r.elementwise(there, x, factor)), factor)
    return r.cast(rounded, INT) if kind == INT else rounded


def fix(x: Any, out: Any = None) -> Variable:
    """`numpy.fix`: the integer part, towards 0; integers stay as they are."""
    v = operand(x)
    refuse("fix", v._recorder, out=out)
    return v._recorder.elementwise("trunc", v) if v._kind == FLOAT else v


# --- parts of a number


def modf(x: Any) -> tuple[Variable, Variable]:
    """`numpy.modf`: the fraction, which moves with x, and the integer part."""
    v = floating(operand(x))
    r = v._recorder
    zero = r.elementwise("copysign", 0.0, v)
    fraction = r.elementwise("where", r.elementwise("isinf", v), zero, r.elementwise("fmod", v, 1.0))
    return fraction, r.elementwise("trunc", v)


def frexp(x: Any) -> tuple[Variable, Variable]:
    """`numpy.frexp`: the mantissa in [0.5, 1), with the derivative of x / 2**exponent, and the exponent.

    The exponent is found by a logarithm, whose rounding may put it one too high or too low: two steps set that right.
    """
    v = floating(operand(x))
    r = v._recorder
    size = r.elementwise("absolute", v)
    ordinary = r.elementwise("logical_and", r.elementwise("isfinite", v), r.elementwise("greater", size, 0.0))
    exponent = r.elementwise("floor", r.elementwise("log2", r.elementwise("where", ordinary, size, 0.5)))
    power = r.elementwise("add", r.cast(exponent, INT), 1)
    for beyond, limit, step in (("less", 0.5, -1), ("greater_equal", 1.0, 1)):
        mantissa = r.elementwise("ldexp", size, r.elementwise("negative", power))
        off = r.elementwise("logical_and", ordinary, r.elementwise(beyond, mantissa, limit))
        power = r.elementwise("where", off, r.elementwise("add", power, step), power)
    mantissa = r.elementwise("ldexp", v, r.elementwise("negative", power))
    return r.elementwise("where", ordinary, mantissa, v), r.elementwise("where", ordinary, power, 0)


def ldexp(x: Any, n: Any) -> Variable:
    """`numpy.ldexp`: x times 2**n; the exponents are integers."""
    r = recorder_of(x, n)
    x, n = lift(r, x), lift(r, n)
    if n._kind == FLOAT:
        raise wrong_kind(r, "ldexp", f"exponents of dtype {n.dtype}", "integers")
    return r.elementwise("ldexp", r.cast(x, FLOAT), r.cast(n, INT))


def signbit(x: Any) -> Variable:
    """`numpy.signbit`: is there a minus sign, also before 0 and nan?"""
    v = floating(operand(x))
    return v._recorder.elementwise("less", v._recorder.elementwise("copysign", 1.0, v), 0.0)


def i0(x: Any) -> Variable:
    """`numpy.i0`: modified Bessel function of order 0."""
    v = floating(operand(x))
    return v._recorder.elementwise("i0", v)


# --- what is not finite


def _infinity(name: str, value: float) -> Callable[..., Variable]:
    """`numpy.isposinf` and `numpy.isneginf`."""

    def record(x: Any, out: Any = None) -> Variable:
        v = floating(operand(x))
        refuse(name, v._recorder, out=out)
        return v._recorder.elementwise("equal", v, value)

    return record


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.round: around,
        np.around: around,
        "round": around,
        np.fix: fix,
        np.modf: modf,
        np.frexp: frexp,
        np.ldexp: ldexp,
        np.signbit: signbit,
        np.i0: i0,
        np.isposinf: _infinity("isposinf", math.inf),
        np.isneginf: _infinity("isneginf", -math.inf),
    }
)
