"""Arithmetic of complex numbers in a recording: what elementwise functions do to pairs of Variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.constants import complex_constant
from tapegrad.record.pair import HINT, ComplexPair
from tapegrad.record.variable import Variable

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder

Parts: TypeAlias = tuple[Variable, "Variable | None"]


def elementwise(recorder: Recorder, name: str, values: tuple[Any, ...]) -> Any:
    """An elementwise function where complex numbers are among the operands: a pair, or a Variable.

    Raises:
        UnsupportedError: the function is none of those that pairs have.
    """
    if name == "where":
        condition, *values_ = values
        return _where(recorder, condition, *(parts(recorder, v) for v in values_))
    if name == "power":
        return _power(recorder, *values)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise UnsupportedError(describe(name, found="a complex operand", wanted=HINT, line=recorder.line()))
    return made(recorder, function(recorder, *[parts(recorder, v) for v in values]))


def made(recorder: Recorder, found: Parts) -> Any:
    """A pair of two parts; the one Variable where there is no imaginary part."""
    real, imag = found
    if imag is None:
        return real
    shape = np.broadcast_shapes(real.shape, imag.shape)
    return ComplexPair(*(v if v.shape == shape else recorder.apply("broadcast_to", shape, v) for v in (real, imag)))


def parts(recorder: Recorder, value: Any) -> Parts:
    """The real and the imaginary part of whatever can be an operand; None for the latter where it is real."""
    if isinstance(value, ComplexPair):
        return value.real, value.imag
    if not isinstance(value, Variable) and np.iscomplexobj(value):
        return complex_constant(recorder, value)
    return recorder.cast(recorder.lift(value, FLOAT), FLOAT), None


def pair_of(recorder: Recorder, value: Any) -> ComplexPair:
    """Whatever can be an operand, as a pair."""
    real, imag = parts(recorder, value)
    if imag is None:
        imag = recorder.lift(0.0, FLOAT)
        imag = recorder.apply("broadcast_to", real.shape, imag) if real.shape else imag
    return ComplexPair(real, imag)


def total(recorder: Recorder, x: Variable | None, y: Variable | None, name: str = "add") -> Variable | None:
    """The sum or difference of what may be missing, because it is 0."""
    if y is None:
        return x
    if x is None:
        return y if name == "add" else recorder.elementwise("negative", y)
    return recorder.elementwise(name, x, y)


def bilinear(recorder: Recorder, product: Callable[[Variable, Variable], Variable], x: Parts, y: Parts) -> Parts:
    """A product of two operands, by the products of their parts."""

    def of(p: Variable | None, q: Variable | None) -> Variable | None:
        return None if p is None or q is None else product(p, q)

    (a, b), (c, d) = x, y
    real = total(recorder, of(a, c), of(b, d), "subtract")
    assert real is not None
    return real, total(recorder, of(a, d), of(b, c))


# --- the functions


def _add(recorder: Recorder, x: Parts, y: Parts) -> Parts:
    return recorder.elementwise("add", x[0], y[0]), total(recorder, x[1], y[1])


def _subtract(recorder: Recorder, x: Parts, y: Parts) -> Parts:
    return recorder.elementwise("subtract", x[0], y[0]), total(recorder, x[1], y[1], "subtract")


def _multiply(recorder: Recorder, x: Parts, y: Parts) -> Parts:
    return bilinear(recorder, lambda p, q: recorder.elementwise("multiply", p, q), x, y)


def _square(recorder: Recorder, x: Parts) -> Parts:
    return _multiply(recorder, x, x)


def _divide(recorder: Recorder, x: Parts, y: Parts) -> Parts:
    """x times the reciprocal of a real y; else x times the conjugate of y, by the square of its absolute value.

    Both are divided by the absolute value, one after the other, so that no square leaves the range of floats.
    """
    if y[1] is None:
        imag = None if x[1] is None else recorder.elementwise("divide", x[1], y[0])
        return recorder.elementwise("divide", x[0], y[0]), imag
    size = _absolute(recorder, y)[0], None
    turned = _divide(recorder, _conjugate(recorder, y), size)
    return _divide(recorder, _multiply(recorder, x, turned), size)


def _reciprocal(recorder: Recorder, x: Parts) -> Parts:
    return _divide(recorder, (recorder.lift(1.0, FLOAT), None), x)


def _negative(recorder: Recorder, x: Parts) -> Parts:
    real, imag = (None if v is None else recorder.elementwise("negative", v) for v in x)
    assert real is not None
    return real, imag


def _conjugate(recorder: Recorder, x: Parts) -> Parts:
    return x[0], None if x[1] is None else recorder.elementwise("negative", x[1])


def _absolute(recorder: Recorder, x: Parts) -> Parts:
    """Its derivative at 0 is 0."""
    return recorder.elementwise("absolute", x[0]) if x[1] is None else recorder.elementwise("hypot", *x), None


def angle(recorder: Recorder, x: Parts) -> Variable:
    """The angle of complex numbers in radians."""
    return recorder.elementwise("arctan2", recorder.lift(0.0, FLOAT) if x[1] is None else x[1], x[0])


def _turned(recorder: Recorder, size: Variable, by: Variable) -> Parts:
    """The complex numbers of a size and an angle."""
    real, imag = (recorder.elementwise("multiply", size, recorder.elementwise(f, by)) for f in ("cos", "sin"))
    return real, imag


def _exp(recorder: Recorder, x: Parts) -> Parts:
    size = recorder.elementwise("exp", x[0])
    return (size, None) if x[1] is None else _turned(recorder, size, x[1])


def _log(recorder: Recorder, x: Parts) -> Parts:
    return recorder.elementwise("log", _absolute(recorder, x)[0]), angle(recorder, x)


def _power(recorder: Recorder, x: Any, exponent: Any) -> Any:
    """Whole powers by products; others by absolute value and angle. The exponent is a real number."""
    if isinstance(exponent, (Variable, ComplexPair)) or np.ndim(exponent) or np.iscomplexobj(exponent):
        wanted = "a real number as the exponent; or numpy.exp(y * numpy.log(x))"
        raise UnsupportedError(describe("power", found="a complex operand", wanted=wanted, line=recorder.line()))
    base, number = parts(recorder, x), float(exponent)
    if number != int(number):
        size = recorder.elementwise("power", _absolute(recorder, base)[0], number)
        turn = recorder.elementwise("multiply", angle(recorder, base), number)
        return made(recorder, _turned(recorder, size, turn))
    one = recorder.lift(1.0, FLOAT)
    shape = base[0].shape
    result: Parts = (recorder.apply("broadcast_to", shape, one) if shape else one), None
    for digit in f"{abs(int(number)):b}":
        result = _multiply(recorder, result, result)
        result = _multiply(recorder, result, base) if digit == "1" else result
    return pair_of(recorder, made(recorder, _reciprocal(recorder, result) if number < 0 else result))


def _sqrt(recorder: Recorder, x: Parts) -> Parts:
    size = recorder.elementwise("sqrt", _absolute(recorder, x)[0])
    return _turned(recorder, size, recorder.elementwise("multiply", angle(recorder, x), 0.5))


def _where(recorder: Recorder, condition: Any, x: Parts, y: Parts) -> Any:
    zero = recorder.lift(0.0, FLOAT)
    real = recorder.elementwise("where", condition, x[0], y[0])
    imag = recorder.elementwise("where", condition, *(zero if v is None else v for v in (x[1], y[1])))
    return made(recorder, (real, imag))


_FUNCTIONS: Final[Mapping[str, Callable[..., Parts]]] = MappingProxyType(
    {
        "add": _add,
        "subtract": _subtract,
        "multiply": _multiply,
        "divide": _divide,
        "square": _square,
        "reciprocal": _reciprocal,
        "negative": _negative,
        "positive": lambda _, x: x,
        "conjugate": _conjugate,
        "absolute": _absolute,
        "exp": _exp,
        "log": _log,
        "sqrt": _sqrt,
    }
)
