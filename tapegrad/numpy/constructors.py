"""NumPy's functions that make arrays: they never ask a Variable, so what they record is written here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.record.functions.common import lengths, lift, operand, recorder_of, reshaped
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.recorder import unsupported
from tapegrad.record.variable import Variable


def _as_dtype(v: Variable, dtype: Any) -> Variable:
    return v if dtype is None else v.astype(dtype)


def _array(object: Any, dtype: Any = None, *, ndmin: int = 0, **_: Any) -> Variable:
    v = _as_dtype(operand(object), dtype)
    return reshaped(v, (1,) * (ndmin - v.ndim) + v.shape)


def _asarray(a: Any, dtype: Any = None, *_: Any, **__: Any) -> Variable:
    return _as_dtype(operand(a), dtype)


def _full(shape: Any, fill_value: Any, dtype: Any = None, *_: Any, **__: Any) -> Variable:
    recorder = recorder_of(fill_value, shape)
    return broadcast_to(_as_dtype(lift(recorder, fill_value), dtype), lengths(shape))


def _of_shape(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numpy.zeros` and its relatives, of a shape that Variables are part of: each records a guard."""

    def make(shape: Any, *arguments: Any, **options: Any) -> Any:
        return function(lengths(shape), *arguments, **options)

    return make


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
        np.ascontiguousarray: _asarray,
        np.asfortranarray: _asarray,
        np.full: _full,
        np.zeros: _of_shape(np.zeros),
        np.ones: _of_shape(np.ones),
        np.empty: _of_shape(np.empty),
        np.arange: _refused(np.arange),
        np.linspace: _refused(np.linspace),
    }
)
