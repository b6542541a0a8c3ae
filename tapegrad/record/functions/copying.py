"""Functions whose results are no views in NumPy: what they give may be assigned to and shares nothing.

Recorded, some give their argument itself where it is the result, as a sum over no axes is. So each result becomes
another Variable of the same slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

import numpy as np

from tapegrad.record.functions.linking import linked
from tapegrad.record.functions.memory import View, memory_of, root_of
from tapegrad.record.variable import Array, Variable

Recorded = Callable[..., Any]

# They may give an argument, or change one. (Those that always view stand in `viewing`.)
_ITSELF: Final = frozenset(
    {np.astype, np.linalg.matrix_power, np.broadcast_arrays, np.copyto, np.put, np.place, np.putmask,
     np.put_along_axis, np.fill_diagonal,
     np.ndarray.__array__, np.ufunc, np.ufunc.at}
)  # fmt: skip
_UNSEEN: Final = (np.trim_zeros, np.real_if_close, np.ix_)  # views, but of which elements only the values say, or never


def copies(recorded: Mapping[Any, Recorded]) -> Mapping[Any, Recorded]:
    """Of functions that are recorded, those that may give their argument though NumPy copies, copying."""
    found: dict[Any, Recorded] = {}
    for function, record in recorded.items():
        if function in _UNSEEN:
            found[function] = _unseen(record)
        elif function not in _ITSELF and _is_numpys(function):
            found[function] = _copying(record)
    return MappingProxyType(found)


def _is_numpys(function: Any) -> bool:
    """Is it a function, but no ufunc, or a ufunc's method? A ufunc's own rule copies where it must."""
    if type(function) is tuple:
        return isinstance(function[0], np.ufunc)
    module = getattr(function, "__module__", None) or ""
    return module.startswith("numpy") and not isinstance(function, np.ufunc)


def _copying(record: Recorded) -> Recorded:
    @wraps(record)
    def copy(*arguments: Any, **options: Any) -> Any:
        result = record(*arguments, **options)
        if type(result) is list or type(result) is tuple:
            return type(result)(map(_own, result))
        return _own(result)

    return copy


def _own(result: Any) -> Any:
    """A result that may be an argument, or known as a part of one, as another object."""
    return result._recorder.again(result) if type(result) is Array else result


def _unseen(record: Recorded) -> Recorded:
    """A function whose views are not followed: as long as one exists, neither it nor its array may change."""

    @wraps(record)
    def view(*arguments: Any, **options: Any) -> Any:
        result = record(*arguments, **options)
        found = result if type(result) is tuple else (result,)
        bases = [a for a in arguments if isinstance(a, Variable) and a.shape]
        made = tuple(_followed(out, bases) for out in found)
        return made if type(result) is tuple else made[0]

    return view


def _followed(out: Any, bases: list[Variable]) -> Any:
    if not isinstance(out, Variable) or not out.shape or not bases:
        return out
    out = out._recorder.again(out)
    for base in bases:
        memory_of(root_of(base)).given.append((ref(out), base._recorder.line()))
    return linked(out, View(bases[0], somewhere=True))
