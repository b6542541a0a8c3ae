"""NumPy's functions that make arrays: they never ask a Variable, so what they record is written here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.record.functions.common import find_variable, lengths, lift, operand, ordered, recorder_of, reshaped
from tapegrad.record.functions.known import known
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.functions.viewing import viewing
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable


def _as_dtype(v: Variable, dtype: Any) -> Variable:
    return v if dtype is None else v.astype(dtype)


def _array(object: Any, dtype: Any = None, *, copy: Any = True, order: Any = "K", ndmin: int = 0, **_: Any) -> Variable:
    v = _as_dtype(operand(object), dtype)
    if (v is object and copy) or order == "F":
        v = ordered(v, order)
    return reshaped(v, (1,) * (ndmin - v.ndim) + v.shape)


def _asarray(a: Any, dtype: Any = None, *_: Any, **__: Any) -> Variable:
    v = operand(a)
    return v if dtype is None else v.astype(dtype, copy=False)


def _ascontiguousarray(a: Any, dtype: Any = None, **_: Any) -> Variable:
    v = _asarray(a, dtype)
    return v if v.shape else reshaped(v, (1,))


def _asfortranarray(a: Any, dtype: Any = None, **_: Any) -> Variable:
    return ordered(_ascontiguousarray(a, dtype), "F")


def _copy(a: Any, order: Any = "K", *_: Any) -> Variable:
    return ordered(operand(a), order)


def _full(shape: Any, fill_value: Any, dtype: Any = None, *_: Any, **__: Any) -> Variable:
    recorder = recorder_of(fill_value, shape)
    return recorder.again(broadcast_to(_as_dtype(lift(recorder, fill_value), dtype), lengths(shape)))


def _as_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that makes an array of integers, Variables among them: each is asked for its value, with a guard."""

    def make(*arguments: Any, **options: Any) -> Any:
        recorder = recorder_of(*arguments, *options.values())
        return known(recorder, function(*map(_number, arguments), **{k: _number(v) for k, v in options.items()}))

    return make


def _number(value: Any) -> Any:
    return value if find_variable(value) is None else lengths(value) if np.ndim(value) else operator.index(value)


def _refused(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result has as many elements as the values of its arguments say."""

    def refuse(*arguments: Any, **options: Any) -> Any:
        wanted = "plain numbers (start + step * np.arange(n) records, with Variables for start and step)"
        recorder = recorder_of(*arguments, *options.values())
        raise unsupported(function.__name__, "a Variable", wanted, recorder)

    return refuse


TABLE: Final[Mapping[Callable[..., Any], Callable[..., Any]]] = MappingProxyType(
    {
        np.array: _array,
        np.asarray: _asarray,
        np.asanyarray: _asarray,
        np.ascontiguousarray: viewing(np.ascontiguousarray, _ascontiguousarray),
        np.asfortranarray: viewing(np.asfortranarray, _asfortranarray),
        np.copy: _copy,
        np.full: _full,
        **{f: _as_numbers(f) for f in (np.zeros, np.ones, np.empty, np.eye, np.identity, np.tri, np.indices)},
        np.arange: _refused(np.arange),
    }
)
# What they make of no Variable is an array that can be assigned to, too.
MAKING: Final = frozenset({*TABLE, np.zeros_like, np.ones_like, np.empty_like, np.full_like})
