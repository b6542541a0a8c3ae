"""NumPy's functions of polynomials, given by their coefficients from the highest power down; convolutions; `sinc`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import (
    constant,
    find_variable,
    fresh,
    join,
    lift,
    misfit,
    operand,
    promote,
    recorder_of,
    reshaped,
    stretch,
)
from tapegrad.record.functions.elementwise import where
from tapegrad.record.functions.products import matmul
from tapegrad.record.functions.shaping import broadcast_to, flip
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

_MODES: Final = MappingProxyType({0: "valid", 1: "same", 2: "full"})
# The shorter sequence is gone through element by element where it has no more than `_FEW`, or where a matrix of
# the longer one's windows would have more than `_LARGE`.
_FEW: Final = 32
_LARGE: Final = 1 << 20
# sin(x) / x as a series in x squared, as far as double precision goes for |x| < 1 and two derivatives.
_SINC: Final = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in reversed(range(11)))


# --- convolutions


def convolve(a: Any, v: Any, mode: Any = "full") -> Variable:
    """`numpy.convolve`."""
    recorder, x, y = _sequences("convolve", a, v)
    return _convolved(recorder, x, y, _mode(recorder, "convolve", mode))


def correlate(a: Any, v: Any, mode: Any = "valid") -> Variable:
    """`numpy.correlate`."""
    recorder, x, y = _sequences("correlate", a, v)
    wanted = _mode(recorder, "correlate", mode)
    if x.size < y.size:
        return flip(_convolved(recorder, y, flip(x), wanted))
    return _convolved(recorder, x, flip(y), wanted)


def _sequences(operation: str, a: Any, v: Any) -> tuple[Recorder, Variable, Variable]:
    recorder = recorder_of(a, v)
    x, y = promote(recorder, (a, v))
    x, y = (reshaped(z, (1,)) if not z.shape else z for z in (x, y))
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size:
        raise misfit(recorder, operation, f"shapes {x.shape} and {y.shape}", "one axis each, with an element or more")
    return recorder, x, y


def _mode(recorder: Recorder, operation: str, mode: Any) -> str:
    name: str = _MODES.get(mode, mode)
    if name not in _MODES.values():
        raise misfit(recorder, operation, f"mode={mode!r}", "'full', 'same' or 'valid'")
    return name


def _convolved(recorder: Recorder, x: Variable, y: Variable, mode: str) -> Variable:
    """Sums of products x[j - k] y[k], where both are there: all of them, the middle, or those of all of the shorter."""
    long, short = (x, y) if x.size >= y.size else (y, x)
    n, m = long.size, short.size
    first, count = {"full": (0, n + m - 1), "same": ((m - 1) // 2, n), "valid": (m - 1, n - m + 1)}[mode]
    margin = m - 1
    wide = recorder.apply("pad", ((n + 2 * margin,), ((margin, 1, n),)), long) if mode != "valid" and margin else long
    start = first if wide is not long else 0
    rows, columns = sorted((count, m))
    if m > _FEW and (count <= _FEW or rows * (count + m) <= _LARGE) and long._kind == FLOAT:
        windows = _windows(wide, start, rows, columns)
        return matmul(windows, flip(short)) if rows == count else matmul(flip(short), windows)
    total: Any = None
    for k in range(m):
        product = recorder.elementwise("multiply", stretch(wide, 0, start + margin - k, count), stretch(short, 0, k, 1))
        total = product if total is None else recorder.elementwise("add", total, product)
    result: Variable = total
    return result


def _windows(x: Variable, start: int, rows: int, columns: int) -> Variable:
    """The matrix of x[start + i + j]: x over and over, cut into rows that are longer by one."""
    part = stretch(x, 0, start, rows + columns - 1)
    n = part.size
    copies = reshaped(part._recorder.apply("broadcast_to", (rows + 1, n), part), ((rows + 1) * n,))
    return stretch(reshaped(stretch(copies, 0, 0, rows * (n + 1)), (rows, n + 1)), 1, 0, columns)


# --- polynomials


def polyval(p: Any, x: Any) -> Variable:
    """`numpy.polyval`, by Horner's rule."""
    recorder = recorder_of(p, x)
    coefficients, at = lift(recorder, p), lift(recorder, x)
    if coefficients.shape == (0,):
        return constant(recorder, 0, at.shape, at._kind)
    coefficients, at = promote(recorder, (coefficients, at))
    if not coefficients.shape:
        raise misfit(recorder, "polyval", "coefficients without axes", "a sequence of them")
    total = broadcast_to(coefficients[0], np.broadcast_shapes(coefficients.shape[1:], at.shape))
    for k in range(1, coefficients.shape[0]):
        total = total * at + coefficients[k]
    return recorder.again(total)


def polyadd(a1: Any, a2: Any) -> Variable:
    """`numpy.polyadd`."""
    return _summed("add", a1, a2)


def polysub(a1: Any, a2: Any) -> Variable:
    """`numpy.polysub`."""
    return _summed("subtract", a1, a2)


def _summed(op: str, a1: Any, a2: Any) -> Variable:
    recorder = recorder_of(a1, a2)
    x, y = (_coefficients(f"poly{op[:3]}", recorder, a) for a in (a1, a2))
    size = max(x.size, y.size)
    x, y = (recorder.apply("pad", ((size,), ((size - v.size, 1, v.size),)), v) if v.size < size else v for v in (x, y))
    return recorder.elementwise(op, x, y)


def _coefficients(operation: str, recorder: Recorder, value: Any, least: int = 0) -> Variable:
    """Coefficients along one axis; where none is asked for, a number is a polynomial, too."""
    v = lift(recorder, value)
    if not least <= v.ndim <= 1:
        raise misfit(recorder, operation, f"coefficients of shape {v.shape}", "one axis")
    return v if v.shape else reshaped(v, (1,))


def polymul(a1: Any, a2: Any) -> Variable:
    """`numpy.polymul`; first coefficients that are 0 are left out where they are constants."""
    recorder = recorder_of(a1, a2)
    return convolve(*[_trimmed(recorder, a) for a in (a1, a2)])


def _trimmed(recorder: Recorder, value: Any) -> Variable:
    """The coefficients from the first one on that may not be 0."""
    v = _coefficients("polymul", recorder, value)
    if find_variable(value) is not None or not v.size:
        return v
    zeros = np.cumsum(np.asarray(value).reshape(-1) != 0) == 0
    first = min(int(zeros.sum()), v.size - 1)
    return stretch(v, 0, first, v.size - first)


def polyder(p: Any, m: Any = 1) -> Variable:
    """`numpy.polyder`, m times."""
    v = operand(p)
    v = _coefficients("polyder", v._recorder, v, least=1)
    times = operator.index(m)
    if times < 0:
        raise misfit(v._recorder, "polyder", f"order {times}", "one that is not negative")
    for _ in range(times):
        v = _scaled(stretch(v, 0, 0, max(v.size - 1, 0)), "multiply")
    return v


def polyint(p: Any, m: Any = 1, k: Any = None) -> Variable:
    """`numpy.polyint`, m times, with integration constants k."""
    recorder = recorder_of(p, k)
    v = _coefficients("polyint", recorder, p, least=1)
    times = operator.index(m)
    if times < 0:
        raise misfit(recorder, "polyint", f"order {times}", "one that is not negative")
    constants = recorder.cast(_coefficients("polyint", recorder, 0.0 if k is None else k), FLOAT)
    if constants.size == 1:
        constants = broadcast_to(constants, (times,))
    if constants.size < times:
        raise misfit(recorder, "polyint", f"{constants.size} integration constants", f"one, or {times}")
    for i in range(times):
        v = join(recorder, [_scaled(recorder.cast(v, FLOAT), "divide"), stretch(constants, 0, i, 1)], 0)
    return v


def _scaled(v: Variable, op: str) -> Variable:
    """Each coefficient times the power that it has after one more, or divided by it."""
    powers = fresh(v._recorder, np.arange(v.size, 0, -1, dtype=v.dtype if v._kind == FLOAT else np.int64))
    return v._recorder.elementwise(op, v, powers)


def poly(seq_of_zeros: Any) -> Variable:
    """`numpy.poly` of zeros: the polynomial that has them. The characteristic one of a matrix is refused."""
    v = operand(seq_of_zeros)
    recorder = v._recorder
    v = recorder.cast(reshaped(v, (1,)) if not v.shape else v, FLOAT)
    if v.ndim != 1:
        raise misfit(recorder, "poly", f"shape {v.shape}", "a sequence of zeros")
    one = constant(recorder, 1.0, (1,), FLOAT)
    product = one
    for k in range(v.size):
        product = convolve(product, join(recorder, [one, -stretch(v, 0, k, 1)], 0))
    return product


def sinc(x: Any) -> Variable:
    """`numpy.sinc`, sin(pi x) / (pi x); near 0 its series, so that derivatives are right there, too."""
    v = operand(x)
    recorder = v._recorder
    angle = recorder.cast(v, FLOAT) * math.pi
    near = abs(angle) < 1.0
    square = recorder.elementwise("square", where(near, angle, 0.0))
    series = polyval(_SINC, square)
    away = where(near, 1.0, angle)
    return operand(where(near, series, recorder.elementwise("sin", away) / away))


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.convolve: convolve,
        np.correlate: correlate,
        np.polyval: polyval,
        np.polyadd: polyadd,
        np.polysub: polysub,
        np.polymul: polymul,
        np.polyder: polyder,
        np.polyint: polyint,
        np.poly: poly,
        np.sinc: sinc,
    }
)
