"""NumPy's functions that assign: `put`, `place`, `putmask`, `put_along_axis`, `fill_diagonal`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import DtypeError, ElementIndexError, ShapeError, describe
from tapegrad.ops.row import BOOL, INT
from tapegrad.record.functions.assigning import assign, assigned, pinned, setitem
from tapegrad.record.functions.common import find_variable, lift, normalize_axis, reshaped
from tapegrad.record.functions.indexing import getitem
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable


def _own(a: Any, operation: str, *others: Any) -> Recorder:
    """The recorder of an array that is to be changed."""
    if isinstance(a, Variable):
        return a._recorder
    found = find_variable(others)
    assert found is not None
    wanted = "an array made by tapegrad.numpy (import tapegrad.numpy as np) or np.zeros_like(x)"
    raise unsupported(operation, "a NumPy array, which cannot hold a Variable", wanted, found._recorder)


def _repeated(a: Variable, values: Any, count: int) -> Variable:
    """So many values, from the beginning again where there are less."""
    v = lift(a._recorder, values, a._kind)
    v = reshaped(v, (v.size,))
    if v.size == 1:
        return assigned(a, v, (count,))
    return assigned(a, getitem(v, np.arange(count) % v.size) if v.size != count else v, (count,))


def _flat(a: Variable) -> Variable:
    """The array as it is now, with one axis."""
    return reshaped(a._recorder.again(a), (a.size,))


def _put_flat(a: Variable, indices: Any, values: Variable) -> None:
    """Assign to the array laid out flat."""
    flat = a._recorder.again(_flat(a))
    setitem(flat, indices, values)
    assign(a, reshaped(flat._settled(), a.shape))


def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """`numpy.put`: values, repeated as often as needed, at places of the array laid out flat."""
    recorder = _own(a, "put", ind, v)
    index: Any = lift(recorder, ind)
    known = recorder.constant_value(index)
    if mode not in {"raise", "wrap", "clip"} or (known is None and mode != "raise"):
        raise unsupported("put", f"mode={mode!r}", 'mode="raise", or indices that are known', recorder)
    if index._kind == BOOL:
        index = recorder.cast(index, INT)
        known = None if known is None else known.astype(np.int64)
    if index._kind != INT:
        found = f"indices of dtype {index.dtype}"
        raise DtypeError(describe("put", found=found, wanted="integers", line=recorder.line()))
    count = index.size
    if not count or not lift(recorder, v, a._kind).size:
        return
    if known is not None:
        if mode == "raise" and ((known < -a.size) | (known >= a.size)).any():
            found, wanted = f"indices {known.ravel().tolist()}", f"places among {a.size} elements"
            raise ElementIndexError(describe("put", found=found, wanted=wanted, line=recorder.line()))
        index = known % a.size if mode != "clip" else np.clip(known, 0, a.size - 1)
    _put_flat(a, index.reshape(-1) if known is not None else reshaped(index, (count,)), _repeated(a, v, count))


def put_along_axis(arr: Any, indices: Any, values: Any, axis: Any = -1) -> None:
    """`numpy.put_along_axis`: along an axis, values at indices that differ from place to place."""
    recorder = _own(arr, "put_along_axis", indices, values)
    index = lift(recorder, indices)
    if axis is None:
        put(arr, index, values)
        return
    place = normalize_axis(axis, arr.ndim, "put_along_axis", recorder)
    if index.ndim != arr.ndim or index._kind != INT:
        found = f"indices of shape {index.shape} and dtype {index.dtype}"
        wanted = f"integers, with as many axes as shape {arr.shape} has"
        raise ShapeError(describe("put_along_axis", found=found, wanted=wanted, line=recorder.line()))
    known = recorder.constant_value(index)
    grid: list[Any] = list(np.ix_(*(np.arange(n) for n in arr.shape)))
    grid[place] = index if known is None else known
    setitem(arr, tuple(grid), values)


def _mask(a: Variable, mask: Any, operation: str) -> Variable:
    recorder = a._recorder
    m = recorder.cast(lift(recorder, mask), BOOL)
    if m.size != a.size:
        found, wanted = f"a mask of shape {m.shape}", f"one of {a.size} elements, as the array"
        raise ShapeError(describe(operation, found=found, wanted=wanted, line=recorder.line()))
    return reshaped(m, a.shape)


def place(arr: Any, mask: Any, vals: Any) -> None:
    """`numpy.place`: the first values where a mask is true, in order."""
    recorder = _own(arr, "place", mask, vals)
    where = pinned(arr, _mask(arr, mask, "place"))
    v = lift(recorder, vals, arr._kind)
    count = int(np.count_nonzero(where))
    if count and not v.size:
        raise ShapeError(describe("place", found="no values", wanted="one at least", line=recorder.line()))
    if count:
        setitem(arr, where, _repeated(arr, v, count))


def putmask(a: Any, mask: Any, values: Any) -> None:
    """`numpy.putmask`: where a mask is true, the value that stands at the same place among values repeated."""
    recorder = _own(a, "putmask", mask, values)
    if not lift(recorder, values, a._kind).size or not a.size:
        return
    chosen = reshaped(_repeated(a, values, a.size), a.shape) if lift(recorder, values).size > 1 else values
    where = recorder.functions[np.where]
    assign(a, where(_mask(a, mask, "putmask"), assigned(a, chosen, a.shape), recorder.again(a)))


def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """`numpy.fill_diagonal`: of a matrix, or of an array all of whose axes are equally long."""
    recorder = _own(a, "fill_diagonal", val)
    shape = a.shape
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) != 1):
        found, wanted = f"shape {shape}", "two axes, or axes of one length"
        raise ShapeError(describe("fill_diagonal", found=found, wanted=wanted, line=recorder.line()))
    step = sum(prod(shape[k + 1 :]) for k in range(len(shape)))
    end = shape[1] * shape[1] if len(shape) == 2 and not wrap else a.size
    count = len(range(0, min(end, a.size), step))
    if count and lift(recorder, val, a._kind).size:
        _put_flat(a, slice(0, min(end, a.size), step), _repeated(a, val, count))


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.put: put,
        np.put_along_axis: put_along_axis,
        np.place: place,
        np.putmask: putmask,
        np.fill_diagonal: fill_diagonal,
    }
)
