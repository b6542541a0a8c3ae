"""Ufuncs, `where` and `clip`, and what asks a Variable only for its shape and dtype.

Every elementwise op of the instruction set that bears the name of a ufunc is here by itself; what differs
from its op - for booleans and integers, mostly - is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias, overload

import numpy as np

from tapegrad.errors import DtypeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.ops.table import ELEMENTWISE_KINDS, OPS
from tapegrad.record.functions.common import (
    NO_VALUE,
    absent,
    constant,
    find_variable,
    lengths,
    lift,
    normalize_axes,
    operand,
    ordered,
    pinned_places,
    recorder_of,
    refuse,
)
from tapegrad.record.functions.known import fits, known
from tapegrad.record.functions.orders import in_c_order
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

Recorded: TypeAlias = Callable[..., Any]


# --- ufuncs


def plain(op: str) -> Recorded:
    """A ufunc that is one op."""

    def record(*values: Any) -> Variable:
        if len(values) == 1 and isinstance(values[0], Variable):
            return values[0]._recorder.elementwise(op, values[0])
        recorder = recorder_of(*values)
        return recorder.elementwise(op, *_lifted(recorder, values))

    return record


def _logical(op: str, boolean: str) -> Recorded:
    """A ufunc that is another op where all operands are booleans."""

    def record(*values: Any) -> Variable:
        recorder = recorder_of(*values)
        values = tuple(_lifted(recorder, values))
        return recorder.elementwise(boolean if _are_booleans(values) else op, *values)

    return record


def _integral(name: str, boolean: str = "") -> Recorded:
    """A ufunc of integers, which may be another op where all operands are booleans."""

    def record(*values: Any) -> Variable:
        recorder = recorder_of(*values)
        lifted = [lift(recorder, v) for v in values]
        if all(v._kind == BOOL for v in lifted) and boolean:
            return recorder.elementwise(boolean, *lifted)
        if any(v._kind == FLOAT for v in lifted):
            found = " and ".join(f"dtype {v.dtype}" for v in lifted)
            raise wrong_kind(recorder, name, found, "integers or booleans")
        return recorder.elementwise(name, *(recorder.cast(v, INT) for v in lifted))

    return record


def _numeric(name: str, recorded: Recorded) -> Recorded:
    """A ufunc that NumPy refuses to apply where all operands are booleans."""

    def record(*values: Any) -> Variable:
        recorder = recorder_of(*values)
        values = tuple(_lifted(recorder, values))
        if _are_booleans(values):
            raise wrong_kind(recorder, name, "booleans", "numbers: .astype(float), or a logical function")
        return recorded(*values)  # type: ignore[no-any-return]

    return record


def _keeping_integers(recorded: Recorded) -> Recorded:
    """A ufunc that leaves integers and booleans as they are."""

    def record(x: Any) -> Variable:
        v = operand(x)
        return recorded(v) if v._kind == FLOAT else _copied(v)

    return record


def floating(v: Variable) -> Variable:
    """The Variable as floats."""
    return v._recorder.cast(v, FLOAT)


def _lifted(recorder: Recorder, values: tuple[Any, ...]) -> list[Any]:
    """The operands; lists that hold Variables become Variables, all else the recorder lifts itself."""
    return [lift(recorder, v) if isinstance(v, (list, tuple)) else v for v in values]


def _are_booleans(values: tuple[Any, ...]) -> bool:
    return all(v._kind == BOOL if isinstance(v, Variable) else np.asarray(v).dtype.kind == "b" for v in values)


def wrong_kind(recorder: Recorder, operation: str, found: str, wanted: str) -> DtypeError:
    """The error for operands of a kind that a function does not take."""
    return DtypeError(describe(operation, found=found, wanted=wanted, line=recorder.line()))


def _copied(x: Any, *_: Any, **__: Any) -> Variable:
    v = operand(x)
    return v._recorder.again(v)


def copy(a: Any, order: str = "K", subok: bool = False) -> Variable:
    """`numpy.copy`: another array, which may be assigned to by itself."""
    return ordered(operand(a), order)


def _scaled(factor: float) -> Recorded:
    def record(x: Any) -> Variable:
        v = operand(x)
        return v._recorder.elementwise("multiply", v, factor)

    return record


def _absolute(x: Any) -> Variable:
    v = operand(x)
    return _copied(v) if v._kind == BOOL else v._recorder.elementwise("absolute", v)


def _fabs(x: Any) -> Variable:
    v = operand(x)
    return v._recorder.elementwise("absolute", v._recorder.cast(v, FLOAT))


def _reciprocal(x: Any) -> Variable:
    v = operand(x)
    if v._kind != FLOAT:
        raise wrong_kind(v._recorder, "reciprocal", "integers, whose reciprocal NumPy cuts to 0", "floats, or 1 / x")
    return v._recorder.elementwise("reciprocal", v)


def _divmod(x: Any, y: Any) -> tuple[Variable, Variable]:
    recorder = recorder_of(x, y)
    values = _lifted(recorder, (x, y))
    return recorder.elementwise("floor_divide", *values), recorder.elementwise("remainder", *values)


# --- powers


def power(x: Any, y: Any, /) -> Variable:
    """`numpy.power`. A constant exponent stays one, and the common ones have ops of their own."""
    recorder = recorder_of(x, y)
    x, y = _lifted(recorder, (x, y))
    if isinstance(x, Variable) and not isinstance(y, Variable) and np.ndim(y) == 0:
        exponent = y.item() if isinstance(y, (np.ndarray, np.generic)) else y
        if isinstance(exponent, int) and x._kind != FLOAT:
            return _integer_power(recorder, recorder.cast(x, INT), int(exponent))
        if isinstance(exponent, (int, float)):
            return _constant_power(recorder, recorder.cast(x, FLOAT), exponent)
    x, y = recorder.lift(x), recorder.lift(y)
    if FLOAT not in (x._kind, y._kind):
        wanted = "a constant exponent, or a floating base or exponent"
        raise wrong_kind(recorder, "power", "integers to the power of integers that are not known", wanted)
    return recorder.elementwise("power", x, y)


def float_power(x: Any, y: Any, /) -> Variable:
    """`numpy.float_power`: `power` of floats."""
    recorder = recorder_of(x, y)
    return recorder.elementwise("power", recorder.cast(lift(recorder, x), FLOAT), lift(recorder, y))


def _constant_power(recorder: Recorder, x: Variable, exponent: float) -> Variable:
    """As NumPy's operator: these exponents are other functions there, too."""
    if exponent == 1:
        return recorder.again(x)
    name = {2: "square", 0.5: "sqrt", -1: "reciprocal"}.get(exponent)
    return recorder.elementwise("power", x, exponent) if name is None else recorder.elementwise(name, x)


def _integer_power(recorder: Recorder, x: Variable, exponent: int) -> Variable:
    """Squares and products: exact, where the power of floats would not be."""
    if exponent < 0:
        raise wrong_kind(recorder, "power", f"integers to the negative power {exponent}", "a floating base")
    result: Variable | None = None
    while exponent:
        if exponent % 2:
            result = x if result is None else recorder.elementwise("multiply", result, x)
        exponent //= 2
        if exponent:
            x = recorder.elementwise("square", x)
    return constant(recorder, 1, x.shape, INT) if result is None else recorder.again(result)


# --- choices


@overload
def where(condition: Any, /) -> tuple[Any, ...]: ...
@overload
def where(condition: Any, x: Any, y: Any, /) -> Variable: ...
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """`numpy.where`; the choice not taken contributes exactly 0 to the derivative. Of one argument, as `nonzero`."""
    recorder = recorder_of(condition, x, y)
    if x is None and y is None:
        return pinned_places(operand(condition))
    if x is None or y is None:
        raise unsupported("where", "two arguments", "one or three", recorder)
    c, x, y = _lifted(recorder, (condition, x, y))
    return recorder.elementwise("where", recorder.cast(recorder.lift(c), BOOL), x, y)


def clip(
    a: Any,
    a_min: Any = NO_VALUE,
    a_max: Any = NO_VALUE,
    out: Any = None,
    *,
    min: Any = NO_VALUE,  # noqa: A002 - NumPy's names
    max: Any = NO_VALUE,  # noqa: A002
    **options: Any,
) -> Variable:
    """`numpy.clip`: the minimum with the upper bound of the maximum with the lower one."""
    recorder = recorder_of(a, a_min, a_max, min, max)
    refuse("clip", recorder, out=out, **options)
    if (a_min is NO_VALUE) != (a_max is NO_VALUE):
        raise TypeError("clip() takes both of 'a_min' and 'a_max', or 'min' and 'max' by name")
    if a_min is not NO_VALUE and not (min is NO_VALUE and max is NO_VALUE):
        raise ValueError("clip() takes 'min' and 'max' only without 'a_min' and 'a_max'")
    lower, upper = (min, max) if a_min is NO_VALUE else (a_min, a_max)
    result = a
    if not absent(lower):
        result = _MAXIMUM(result, lower) if find_variable((result, lower)) is not None else np.maximum(result, lower)
    if not absent(upper):
        result = _MINIMUM(result, upper)
    return operand(result) if result is not a else _copied(a)


_MAXIMUM: Final = _logical("maximum", "logical_or")
_MINIMUM: Final = _logical("minimum", "logical_and")


# --- shapes and dtypes: plain constants


def shape(a: Any) -> tuple[int, ...]:
    """`numpy.shape`."""
    return operand(a).shape


def ndim(a: Any) -> int:
    """`numpy.ndim`."""
    return operand(a).ndim


def size(a: Any, axis: Any = None) -> int:
    """`numpy.size`."""
    v = operand(a)
    return math.prod(v.shape[k] for k in normalize_axes(axis, v.ndim, "size", v._recorder))


def _filled_like(fill: Callable[..., Any]) -> Recorded:
    """`numpy.zeros_like` and its relatives: arrays that can be assigned to."""

    def make(
        a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
    ) -> Any:
        v = operand(a)
        return _like(v, fill(v.shape if shape is None else lengths(shape), v.dtype if dtype is None else dtype), order)

    return make


def _like(v: Variable, made: Any, order: str) -> Any:
    """An array of numbers to be laid out as v is, if that is known."""
    recorder = v._recorder
    if order in {"C", "F"} or in_c_order(recorder, v._slot) or not made.ndim:
        return known(recorder, np.asarray(made, order="F" if order == "F" else "C"))
    if not fits(recorder, made):
        return made
    out = recorder.again(known(recorder, made))
    recorder.ordered[out._slot] = False
    return out


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """`numpy.full_like`, also filled with a Variable."""
    like: Any = operand(a) if find_variable(a) is not None else np.asarray(a)
    wanted = like.shape if shape is None else lengths(shape)
    taken = np.dtype(like.dtype if dtype is None else dtype)
    if find_variable(fill_value) is None:
        return _like(like, np.full(wanted, fill_value, taken), order)
    v = operand(fill_value)
    return v._recorder.again(broadcast_to(v.astype(taken), wanted))


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """`numpy.result_type`; a Variable counts as its dtype."""
    return np.result_type(*[x.dtype if isinstance(x, Variable) else x for x in arrays_and_dtypes])


def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Variable:
    """`numpy.astype`."""
    return operand(x).astype(dtype, copy=copy)


def _ops_of_ufuncs() -> dict[Any, Recorded]:
    """The ops that a ufunc of NumPy's stands for; SciPy's by name, so that it need not be imported."""
    table: dict[Any, Recorded] = {}
    for name in ELEMENTWISE_KINDS:
        ufunc = getattr(np, name, None)
        if isinstance(ufunc, np.ufunc):
            table[ufunc] = plain(name)
    for op in OPS:
        if op.loop.startswith("scipy.special."):
            table[op.name] = table[op.loop.rpartition(".")[2]] = plain(op.name)
    return table


TABLE: Final[Mapping[Any, Recorded]] = MappingProxyType(
    {
        **_ops_of_ufuncs(),
        np.add: _logical("add", "logical_or"),
        np.multiply: _logical("multiply", "logical_and"),
        np.maximum: _MAXIMUM,
        np.minimum: _MINIMUM,
        np.subtract: _numeric("subtract", plain("subtract")),
        np.negative: _numeric("negative", plain("negative")),
        np.positive: _numeric("positive", _copied),
        np.sign: _numeric("sign", plain("sign")),
        np.absolute: _absolute,
        np.fabs: _fabs,
        np.reciprocal: _reciprocal,
        np.floor: _keeping_integers(plain("floor")),
        np.ceil: _keeping_integers(plain("ceil")),
        np.trunc: _keeping_integers(plain("trunc")),
        np.power: power,
        np.float_power: float_power,
        np.divmod: _divmod,
        **dict.fromkeys((np.degrees, np.rad2deg), _scaled(180.0 / math.pi)),
        **dict.fromkeys((np.radians, np.deg2rad), _scaled(math.pi / 180.0)),
        np.conjugate: _copied,
        np.copy: copy,
        np.real: operand,
        np.fmax: _logical("fmax", "logical_or"),
        np.fmin: _logical("fmin", "logical_and"),
        np.gcd: _integral("gcd"),
        np.lcm: _integral("lcm"),
        np.bitwise_and: _integral("bitwise_and", "logical_and"),
        np.bitwise_or: _integral("bitwise_or", "logical_or"),
        np.bitwise_xor: _integral("bitwise_xor", "logical_xor"),
        np.invert: _integral("invert", "logical_not"),
        np.left_shift: _integral("left_shift"),
        np.right_shift: _integral("right_shift"),
        np.where: where,
        np.clip: clip,
        np.shape: shape,
        np.ndim: ndim,
        np.size: size,
        np.zeros_like: _filled_like(np.zeros),
        np.ones_like: _filled_like(np.ones),
        np.empty_like: _filled_like(np.empty),
        np.full_like: full_like,
        np.result_type: result_type,
        np.astype: astype,
        np.iscomplexobj: lambda x: False,
        np.isrealobj: lambda x: True,
    }
)
