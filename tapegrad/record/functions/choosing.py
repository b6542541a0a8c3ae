"""NumPy's functions that choose between arrays or elements, and those that apply a function piece by piece."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import DtypeError, ElementIndexError, describe
from tapegrad.ops.elementwise import OUTSIDE
from tapegrad.ops.row import BOOL, INT
from tapegrad.record.functions.common import (
    constant,
    find_variable,
    lengths,
    lift,
    misfit,
    normalize_axis,
    operand,
    pile,
    promote,
    recorder_of,
    refuse,
    reshaped,
    transposed,
)
from tapegrad.record.functions.elementwise import where
from tapegrad.record.functions.indexing import getitem
from tapegrad.record.functions.picking import known, known_mask, picked
from tapegrad.record.functions.shaping import broadcast_to, expand_dims
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Array, Variable

# --- between arrays


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Variable:
    """`numpy.select`: the first choice whose condition is true."""
    recorder = recorder_of(condlist, choicelist, default)
    if len(condlist) != len(choicelist) or not len(condlist):
        found = f"{len(condlist)} conditions and {len(choicelist)} choices"
        raise misfit(recorder, "select", found, "a choice for each condition, and one condition or more")
    conditions = [lift(recorder, c) for c in condlist]
    if any(c._kind != BOOL for c in conditions):
        found = f"conditions of dtypes {', '.join(str(c.dtype) for c in conditions)}"
        raise DtypeError(describe("select", found=found, wanted="booleans", line=recorder.line()))
    *choices, result = promote(recorder, [*choicelist, default])
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        result = where(condition, choice, result)
    return result


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Variable:
    """`numpy.choose`: at each place the element of the choice that the integer array a names there."""
    recorder = recorder_of(a, choices)
    refuse("choose", recorder, out=out)
    arrays = promote(recorder, choices if not isinstance(choices, Variable) else list(choices))
    index = lift(recorder, a) if find_variable(a) is not None else known(recorder, a, "choose", "choices")
    if index.dtype.kind not in "ib":
        raise DtypeError(describe("choose", found=f"dtype {index.dtype}", wanted="integers", line=recorder.line()))
    try:
        shape = np.broadcast_shapes(index.shape, *[v.shape for v in arrays])
    except ValueError:
        found = f"shapes {', '.join(str(x.shape) for x in (index, *arrays))}"
        raise misfit(recorder, "choose", found, "shapes that broadcast") from None
    place = _within(recorder, index, len(arrays), mode)
    table = pile(recorder, [broadcast_to(v, shape) for v in arrays], 0, "choose")
    others = np.ix_(*[np.arange(n) for n in shape]) if shape else ()
    return getitem(table, (place, *others))


def _within(recorder: Recorder, index: Any, count: int, mode: str) -> Any:
    """The index as `mode` makes it; with "raise" a sweep stops at what is still outside."""
    if mode not in {"raise", "wrap", "clip"}:
        raise misfit(recorder, "choose", f"mode={mode!r}", "'raise', 'wrap' or 'clip'")
    if isinstance(index, Variable):
        v = recorder.cast(index, INT)
        if mode == "wrap":
            return v % count
        v = where(v < 0, 0 if mode == "clip" else count, v)
        return recorder.elementwise("minimum", v, count - 1) if mode == "clip" else v
    value: NDArray[Any] = np.asarray(index, np.int64)
    if mode == "raise" and ((value < 0) | (value >= count)).any():
        wanted = f"integers from 0 to {count - 1}, one for each choice"
        raise ElementIndexError(describe("choose", found="an index outside", wanted=wanted, line=recorder.line()))
    return value % count if mode == "wrap" else np.clip(value, 0, count - 1)


# --- elements


def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Variable:
    """`numpy.compress`; where the condition is a Variable, a guard says how it comes out."""
    recorder = recorder_of(condition, a)
    refuse("compress", recorder, out=out)
    mask = known_mask(recorder, condition, "compress")
    v = lift(recorder, a)
    v = reshaped(v, (v.size,)) if axis is None or not v.shape else v
    k = normalize_axis(axis or 0, v.ndim, "compress", recorder)
    if mask.ndim != 1:
        raise misfit(recorder, "compress", f"a condition of shape {mask.shape}", "one axis")
    return _chosen(v, k, np.flatnonzero(mask), "compress")


def extract(condition: Any, arr: Any) -> Variable:
    """`numpy.extract`; where the condition is a Variable, a guard says how it comes out."""
    recorder = recorder_of(condition, arr)
    mask = known_mask(recorder, condition, "extract")
    v = lift(recorder, arr)
    return _chosen(reshaped(v, (v.size,)), 0, np.flatnonzero(mask), "extract")


def _chosen(v: Variable, axis: int, index: NDArray[Any], operation: str) -> Variable:
    recorder = v._recorder
    if index.size and index[-1] >= v.shape[axis]:
        found = f"a condition that is true at {index[-1]}"
        wanted = f"one that ends before {v.shape[axis]}, the length of axis {axis}"
        raise ElementIndexError(describe(operation, found=found, wanted=wanted, line=recorder.line()))
    return recorder.again(picked(v, axis, index))


# --- functions, piece by piece


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Variable:
    """`numpy.piecewise`.

    Where a condition is known, its function gets the elements that it holds for, as in NumPy. Where it is a
    Variable, the function gets all of x, and `where` chooses; so it may not look at several elements at once.
    """
    recorder = recorder_of(x, condlist, funclist)
    v = lift(recorder, x)
    conditions = _conditions(recorder, v, condlist)
    if len(funclist) == len(conditions) + 1:
        conditions.append(_otherwise(recorder, conditions))
    if len(funclist) != len(conditions):
        found = f"{len(conditions)} conditions and {len(funclist)} functions"
        raise misfit(recorder, "piecewise", found, "a function for each condition, and one more at most")
    result = constant(recorder, 0, v.shape, v._kind)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            piece = lift(recorder, function, v._kind)
        elif isinstance(condition, Variable):
            piece = _everywhere(recorder, v, function, args, kw)
        else:
            piece = _selected(recorder, v, condition, function, args, kw)
        if piece.shape not in {(), v.shape}:
            raise misfit(recorder, "piecewise", f"a piece of shape {piece.shape}", f"shape {v.shape}, or a number")
        result = where(condition, recorder.cast(piece, v._kind), result)
    return result


def _conditions(recorder: Recorder, v: Variable, condlist: Any) -> list[Any]:
    """The conditions, each of the shape of x: boolean arrays where they are known, else Variables."""
    listed = isinstance(condlist, (list, tuple))
    single = (not listed and np.ndim(condlist) == 0) or (
        v.ndim and not isinstance(condlist[0], (list, np.ndarray, Array))
    )
    found: list[Any] = []
    for item in [condlist] if single else condlist:
        if find_variable(item) is not None:
            condition: Any = recorder.cast(lift(recorder, item), BOOL)
        else:
            condition = known(recorder, item, "piecewise", "a condition").astype(np.bool_)
        if condition.shape != v.shape:
            if condition.shape:
                wanted = f"shape {v.shape}, that of x"
                raise misfit(recorder, "piecewise", f"a condition of shape {condition.shape}", wanted)
            known_one = not isinstance(condition, Variable)
            condition = np.full(v.shape, condition) if known_one else broadcast_to(condition, v.shape)
        found.append(condition)
    return found


def _otherwise(recorder: Recorder, conditions: Sequence[Any]) -> Any:
    """Where none of the conditions holds."""
    held: Any = np.zeros((), np.bool_)
    for condition in conditions:
        held = condition | held
    return ~held


def _selected(recorder: Recorder, v: Variable, mask: NDArray[Any], function: Any, args: Any, kw: Any) -> Variable:
    """The function of the elements where a known mask is true, put back to their places."""
    index = np.flatnonzero(mask)
    if not index.size:
        return constant(recorder, 0, (), v._kind)
    found = recorder.cast(lift(recorder, function(picked(reshaped(v, (v.size,)), 0, index), *args, **kw)), v._kind)
    if not found.shape:
        return found
    if found.shape != index.shape:
        wanted = f"shape {index.shape}, or a number"
        raise misfit(recorder, "piecewise", f"a piece of shape {found.shape}", wanted)
    places = np.zeros(v.size, np.int64)
    places[index] = np.arange(index.size)
    return reshaped(picked(found, 0, places), v.shape)


def _everywhere(recorder: Recorder, v: Variable, function: Any, args: Any, kw: Any) -> Variable:
    """The function of all elements, which it may not mix: in NumPy it would get some of them only."""
    own = recorder.apply("reshape", v.shape, v)  # so that it is told from x itself, which the function may know, too
    piece = lift(recorder, function(own, *args, **kw), v._kind)
    mixing = _mixing(recorder, own)
    if mixing:
        found = f"a function that looks at several elements at once ({mixing}), chosen by a Variable"
        wanted = "a function of each element by itself, or a condition that is a plain array"
        raise unsupported("piecewise", found, wanted, recorder)
    return piece


def _mixing(recorder: Recorder, v: Variable) -> str:
    """The first instruction that brings several elements of v together; "" if there is none."""
    touched = {v._slot}
    for slot, op, operands in recorder.instructions(v._slot + 1):
        if touched.isdisjoint(operands):
            continue
        table = operands[0] not in touched and len(recorder.type_of(operands[0]).shape) == 1
        looks_up = table and op.name in {"gather", "searchsorted"}
        if not (op.elementwise or looks_up or op.name == "stop_gradient"):
            return op.name
        touched.add(slot)
    return ""


def apply_along_axis(func1d: Callable[..., Any], axis: Any, arr: Any, *args: Any, **kwargs: Any) -> Variable:
    """`numpy.apply_along_axis`: the function is recorded once for each stretch along the axis."""
    recorder = recorder_of(arr, args, *kwargs.values())
    v = lift(recorder, arr)
    k = normalize_axis(axis, v.ndim, "apply_along_axis", recorder)
    rest = v.shape[:k] + v.shape[k + 1 :]
    if 0 in rest:
        raise misfit(recorder, "apply_along_axis", f"shape {v.shape}", "an element or more along each other axis")
    order = (*[a for a in range(v.ndim) if a != k], k)
    rows = reshaped(transposed(v, order), (math.prod(rest), v.shape[k]))
    found = pile(recorder, promote(recorder, [func1d(row, *args, **kwargs) for row in rows]), 0, "apply_along_axis")
    own = found.shape[1:]
    found = reshaped(found, rest + own)
    ndim = len(rest)
    return transposed(found, (*range(k), *range(ndim, ndim + len(own)), *range(k, ndim)))


def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Variable:
    """`numpy.apply_over_axes`."""
    v = operand(a)
    for axis in [axes] if np.ndim(axes) == 0 else axes:
        k = normalize_axis(operator.index(axis), v.ndim, "apply_over_axes", v._recorder)
        found = lift(v._recorder, func(v, k))
        if found.ndim == v.ndim - 1:
            found = expand_dims(found, k)
        if found.ndim != v.ndim:
            wanted = "as many axes as before, or one less"
            raise misfit(v._recorder, "apply_over_axes", f"a result of shape {found.shape}", wanted)
        v = found
    return v


# --- places


def unravel_index(indices: Any, shape: Any, order: str = "C") -> Any:
    """`numpy.unravel_index`, such as of an `argmax`; of what is outside, places that no array has."""
    v = operand(indices)
    recorder = v._recorder
    _require_order(recorder, "unravel_index", order)
    sizes = lengths(shape)
    rest = _integers("unravel_index", v)
    outside = (rest < 0) | (rest >= math.prod(sizes))
    places: list[Any] = []
    for n in sizes if order == "F" else sizes[::-1]:
        places.append(where(outside, OUTSIDE, rest % n))
        rest = rest // n
    return tuple(places if order == "F" else places[::-1])


def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Variable:
    """`numpy.ravel_multi_index`; of what is outside, a place that no array has."""
    recorder = recorder_of(multi_index)
    _require_order(recorder, "ravel_multi_index", order)
    sizes = lengths(dims)
    modes = mode if isinstance(mode, tuple) else (mode,) * len(sizes)
    if len(multi_index) != len(sizes) or len(modes) != len(sizes):
        found = f"{len(multi_index)} indices and {len(modes)} modes for dims {sizes}"
        raise misfit(recorder, "ravel_multi_index", found, "one for each axis")
    total, outside, stride = constant(recorder, 0, (), INT), constant(recorder, False, (), BOOL), 1
    axes = list(zip(multi_index, sizes, modes, strict=True))
    for index, n, rule in axes if order == "F" else axes[::-1]:
        v = _integers("ravel_multi_index", lift(recorder, index))
        place = _within(recorder, v, n, rule)
        outside = outside | (place < 0) | (place >= n)
        total, stride = total + place * stride, stride * n
    return operand(where(outside, OUTSIDE, total))


def _integers(operation: str, v: Variable) -> Variable:
    if v._kind != INT:
        recorder = v._recorder
        raise DtypeError(describe(operation, found=f"dtype {v.dtype}", wanted="integers", line=recorder.line()))
    return v


def _require_order(recorder: Recorder, operation: str, order: str) -> None:
    if order not in {"C", "F"}:
        raise unsupported(operation, f"order={order!r}", "'C' or 'F'", recorder)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.select: select,
        np.choose: choose,
        np.compress: compress,
        np.extract: extract,
        np.piecewise: piecewise,
        np.apply_along_axis: apply_along_axis,
        np.apply_over_axes: apply_over_axes,
        np.unravel_index: unravel_index,
        np.ravel_multi_index: ravel_multi_index,
    }
)
