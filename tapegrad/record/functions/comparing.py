"""NumPy's functions that compare and test: close, equal, complex; and those that choose by such a test."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import lift, operand, recorder_of
from tapegrad.record.functions.elementwise import where
from tapegrad.record.functions.reducing import all as all_of
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- close and equal


def isclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Variable:
    """`numpy.isclose`."""
    recorder = recorder_of(a, b, rtol, atol)
    x, y = (recorder.cast(lift(recorder, v), FLOAT) for v in (a, b))
    near = abs(x - y) <= lift(recorder, atol) + lift(recorder, rtol) * abs(y)
    close = near & recorder.elementwise("isfinite", y) | (x == y)
    return close | (x != x) & (y != y) if equal_nan else close


def allclose(a: Any, b: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: bool = False) -> Variable:
    """`numpy.allclose`, a boolean Variable without axes."""
    return all_of(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    """`numpy.array_equal`, a boolean Variable without axes; a plain False for arrays of different shapes."""
    recorder = recorder_of(a1, a2)
    x, y = lift(recorder, a1), lift(recorder, a2)
    if x.shape != y.shape:
        return False
    same = x == y
    if equal_nan and x._kind == y._kind == FLOAT:
        same = same | (x != x) & (y != y)
    return all_of(same)


def array_equiv(a1: Any, a2: Any) -> Any:
    """`numpy.array_equiv`, a boolean Variable without axes; a plain False where shapes do not broadcast."""
    recorder = recorder_of(a1, a2)
    x, y = lift(recorder, a1), lift(recorder, a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return all_of(x == y)


# --- complex numbers, of which there are none


def _everywhere(value: bool) -> Callable[[Any], Any]:
    """`numpy.isreal` and `numpy.iscomplex`: plain arrays."""

    def record(x: Any) -> Any:
        shape = operand(x).shape
        return np.full(shape, value) if shape else np.bool_(value)

    return record


def imag(val: Any) -> Any:
    """`numpy.imag`: a plain array of zeros."""
    return operand(val).imag


def real_if_close(a: Any, tol: Any = 100) -> Variable:
    """`numpy.real_if_close`: the array itself."""
    return operand(a)


def angle(z: Any, deg: bool = False) -> Variable:
    """`numpy.angle`: 0 for positive numbers, pi for negative ones; its derivative is 0."""
    v = operand(z)
    flat = v._recorder.apply("stop_gradient", (), v._recorder.cast(v, FLOAT))
    turn = v._recorder.elementwise("arctan2", 0.0, flat)
    return turn * (180 / math.pi) if deg else turn


# --- choices by a test


def nan_to_num(x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Variable:
    """`numpy.nan_to_num`; where a number is replaced, the derivative to x is 0."""
    recorder = recorder_of(x, nan, posinf, neginf)
    v = lift(recorder, x)
    if not copy:
        found = "copy=False, which would change a Variable in place"
        raise unsupported("nan_to_num", found, "x = np.nan_to_num(x)", recorder)
    if v._kind != FLOAT:
        return recorder.again(v)
    limit = float(np.finfo(recorder.dtype).max)
    result = where(recorder.elementwise("isnan", v), nan, v)
    result = where(v == math.inf, limit if posinf is None else posinf, result)
    return operand(where(v == -math.inf, -limit if neginf is None else neginf, result))


def heaviside(x1: Any, x2: Any, /) -> Variable:
    """`numpy.heaviside`: 0 below 0, x2 at 0, 1 above; the derivative to x1 is 0."""
    recorder = recorder_of(x1, x2)
    x, y = (recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in (x1, x2))
    x = recorder.apply("stop_gradient", (), x)
    step = where(recorder.elementwise("isnan", x), x, x > 0)
    return operand(where(x == 0, y, step))


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.isclose: isclose,
        np.allclose: allclose,
        np.array_equal: array_equal,
        np.array_equiv: array_equiv,
        np.isreal: _everywhere(True),
        np.iscomplex: _everywhere(False),
        np.imag: imag,
        np.real_if_close: real_if_close,
        np.angle: angle,
        np.nan_to_num: nan_to_num,
        np.heaviside: heaviside,
    }
)
