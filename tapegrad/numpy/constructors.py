"""NumPy's functions that make arrays: they never ask a Variable, so they are written here to record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.numpy.wrapping import named
from tapegrad.record.functions.common import find_variable, operand, recorder_of
from tapegrad.record.functions.shaping import broadcast_to, reshape
from tapegrad.record.recorder import unsupported
from tapegrad.record.variable import Variable


def _converted(value: Any, dtype: Any) -> Variable:
    v = operand(value)
    return v if dtype is None else v.astype(dtype)


@named(np.array)
def array(object: Any, dtype: Any = None, **options: Any) -> Any:
    """`numpy.array`, also of nested lists of Variables, arrays and numbers."""
    if find_variable(object) is None:
        return np.array(object, dtype, **options)
    v = _converted(object, dtype)
    return reshape(v, (1,) * (options.get("ndmin", 0) - v.ndim) + v.shape)


def _conversion(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numpy.asarray` and its relatives, which tell only memory layouts and subclasses apart."""

    @named(function)
    def convert(a: Any, dtype: Any = None, *arguments: Any, **options: Any) -> Any:
        if find_variable(a) is None:
            return function(a, dtype, *arguments, **options)
        return _converted(a, dtype)

    return convert


@named(np.full)
def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **options: Any) -> Any:
    """`numpy.full`, also filled with a Variable."""
    if find_variable(fill_value) is None:
        return np.full(shape, fill_value, dtype, order, **options)
    return broadcast_to(_converted(fill_value, dtype), shape)


def _plain_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose result has a length that depends on its arguments' values."""

    @named(function)
    def make(*arguments: Any, **options: Any) -> Any:
        values = (*arguments, *options.values())
        if find_variable(values) is not None:
            wanted = "plain numbers (start + step * np.arange(n) records, with Variables for start and step)"
            raise unsupported(function.__name__, "a Variable", wanted, recorder_of(*values))
        return function(*arguments, **options)

    return make


TABLE: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "array": array,
        "asarray": _conversion(np.asarray),
        "asanyarray": _conversion(np.asanyarray),
        "ascontiguousarray": _conversion(np.ascontiguousarray),
        "asfortranarray": _conversion(np.asfortranarray),
        "full": full,
        "arange": _plain_numbers(np.arange),
        "linspace": _plain_numbers(np.linspace),
    }
)
