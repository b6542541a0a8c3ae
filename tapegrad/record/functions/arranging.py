"""NumPy's functions that rearrange: repeat, roll and turn elements, take arrays apart, put elements in and out."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import (
    constant,
    find_variable,
    join,
    lengths,
    lift,
    misfit,
    normalize_axis,
    operand,
    promote,
    recorder_of,
    reshaped,
    stretch,
    transposed,
)
from tapegrad.record.functions.indexing import take
from tapegrad.record.functions.picking import known, picked, places
from tapegrad.record.functions.shaping import broadcast_to, flip, moveaxis, ravel
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- repeating


def tile(A: Any, reps: Any) -> Variable:  # noqa: N803 - NumPy's name
    """`numpy.tile`."""
    recorder = recorder_of(A, reps)
    v = lift(recorder, A)
    times = [int(n) for n in known(recorder, reps, "tile", "counts").ravel()]
    ndim = max(v.ndim, len(times))
    times = [1] * (ndim - len(times)) + times
    shape = (1,) * (ndim - v.ndim) + v.shape
    return _repeated(v, "tile", list(zip(times, shape, strict=True)), before=True)


def repeat(a: Any, repeats: Any, axis: Any = None) -> Variable:
    """`numpy.repeat`; counts that are Variables are guarded, as they decide a shape."""
    recorder = recorder_of(a, repeats)
    v = lift(recorder, a)
    if axis is None or not v.shape:
        k = normalize_axis(axis or 0, 1, "repeat", recorder)
        v = reshaped(v, (v.size,))
    else:
        k = normalize_axis(axis, v.ndim, "repeat", recorder)
    counts = known(recorder, repeats, "repeat", "counts")
    if counts.size == 1:
        times = [operator.index(counts.item()) if a == k else 1 for a in range(v.ndim)]
        return _repeated(v, "repeat", list(zip(times, v.shape, strict=True)), before=False)
    found = f"counts of shape {counts.shape}"
    index = places(recorder, "repeat", v.shape[k], found, lambda places: np.repeat(places, counts))
    return recorder.again(picked(v, k, index))


def _repeated(v: Variable, operation: str, axes: Sequence[tuple[int, int]], *, before: bool) -> Variable:
    """Each axis, of a count and a length, repeated as a whole (`before`) or element by element."""
    recorder = v._recorder
    if any(n < 0 for n, _ in axes):
        raise misfit(recorder, operation, f"counts {[n for n, _ in axes]}", "counts that are not negative")
    narrow: list[int] = []
    wide: list[int] = []
    for times, n in axes:
        if times == 1 or n == 1:
            narrow.append(n)
            wide.append(times * n)
        else:
            narrow += [1, n] if before else [n, 1]
            wide += [times, n] if before else [n, times]
    result = broadcast_to(reshaped(v, tuple(narrow)), tuple(wide))
    return recorder.again(reshaped(result, tuple(times * n for times, n in axes)))


def resize(a: Any, new_shape: Any) -> Variable:
    """`numpy.resize`: the elements over and over, up to the new shape."""
    recorder = recorder_of(a, new_shape)
    v = lift(recorder, a)
    shape = lengths(new_shape)
    if any(n < 0 for n in shape):
        raise misfit(recorder, "resize", f"the new shape {shape}", "lengths that are not negative")
    size = math.prod(shape)
    if v.size == 0 or size == 0:
        return constant(recorder, 0, shape, v._kind)
    flat = tile(reshaped(v, (v.size,)), -(-size // v.size))
    return recorder.again(reshaped(picked(flat, 0, np.arange(size)), shape))


# --- turning


def roll(a: Any, shift: Any, axis: Any = None) -> Variable:
    """`numpy.roll`, along one axis, several, or all as one."""
    recorder = recorder_of(a, shift)
    v = lift(recorder, a)
    if axis is None:
        return reshaped(roll(reshaped(v, (v.size,)), shift, 0), v.shape)
    axes = [normalize_axis(k, v.ndim, "roll", recorder) for k in lengths(axis)]
    shifts = _shifts(recorder, shift)
    if len(axes) != len(shifts) and 1 not in {len(axes), len(shifts)}:
        raise misfit(recorder, "roll", f"{len(shifts)} shifts and {len(axes)} axes", "as many shifts as axes, or one")
    count = max(len(axes), len(shifts)) if axes and shifts else 0
    total: list[Any] = [0] * v.ndim
    for k, amount in zip((axes * count)[:count], (shifts * count)[:count], strict=True):
        total[k] = total[k] + amount
    for k, amount in enumerate(total):
        n = v.shape[k]
        if isinstance(amount, Variable):
            v = take(v, (np.arange(n) - amount) % n, k) if n else v
        else:
            v = picked(v, k, np.roll(np.arange(n), amount))
    return recorder.again(v)


def _shifts(recorder: Recorder, shift: Any) -> list[Any]:
    """The shifts one by one: numbers, or integer Variables, as they decide no shape."""
    several = lift(recorder, shift) if find_variable(shift) is not None else known(recorder, shift, "roll", "shifts")
    if several.ndim > 1 or (isinstance(several, Variable) and several._kind == FLOAT):
        found = f"shifts of shape {several.shape}, {several.dtype}"
        raise misfit(recorder, "roll", found, "an integer or a sequence of integers")
    if isinstance(several, Variable):
        return [several] if several.ndim == 0 else [several[k] for k in range(several.size)]
    return [int(n) for n in several.reshape(-1)]


def rollaxis(a: Any, axis: Any, start: Any = 0) -> Variable:
    """`numpy.rollaxis`."""
    v = operand(a)
    k = normalize_axis(axis, v.ndim, "rollaxis", v._recorder)
    place = operator.index(start)
    if not -v.ndim <= place <= v.ndim:
        raise misfit(v._recorder, "rollaxis", f"start {place}", f"one from {-v.ndim} to {v.ndim}")
    place += v.ndim if place < 0 else 0
    return moveaxis(v, k, place - 1 if k < place else place)


def rot90(m: Any, k: Any = 1, axes: Any = (0, 1)) -> Variable:
    """`numpy.rot90`."""
    v = operand(m)
    pair = [normalize_axis(a, v.ndim, "rot90", v._recorder) for a in axes]
    if len(pair) != 2 or pair[0] == pair[1]:
        raise misfit(v._recorder, "rot90", f"axes {tuple(axes)}", "two different axes")
    turns = operator.index(k) % 4
    if turns == 2:
        return flip(v, tuple(pair))
    order = list(range(v.ndim))
    order[pair[0]], order[pair[1]] = pair[1], pair[0]
    if turns == 1:
        return transposed(flip(v, pair[1]), tuple(order))
    return flip(transposed(v, tuple(order)), pair[1]) if turns else v


# --- taking apart


def array_split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Variable]:
    """`numpy.array_split`: parts that are as long as one another, or one longer."""
    return _parts("array_split", ary, indices_or_sections, axis, equal=False)


def split(ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Variable]:
    """`numpy.split`."""
    return _parts("split", ary, indices_or_sections, axis, equal=True)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Variable]:
    """`numpy.hsplit`."""
    v = _of_axes("hsplit", ary, 1)
    return _parts("hsplit", v, indices_or_sections, 1 if v.ndim > 1 else 0, equal=True)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Variable]:
    """`numpy.vsplit`."""
    return _parts("vsplit", _of_axes("vsplit", ary, 2), indices_or_sections, 0, equal=True)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Variable]:
    """`numpy.dsplit`."""
    return _parts("dsplit", _of_axes("dsplit", ary, 3), indices_or_sections, 2, equal=True)


def _of_axes(operation: str, ary: Any, least: int) -> Variable:
    v = operand(ary)
    if v.ndim < least:
        raise misfit(v._recorder, operation, f"shape {v.shape}", f"{least} axes or more")
    return v


def _parts(operation: str, ary: Any, sections: Any, axis: Any, *, equal: bool) -> list[Variable]:
    recorder = recorder_of(ary, sections)
    v = lift(recorder, ary)
    k = normalize_axis(axis, v.ndim, operation, recorder)
    n = v.shape[k]
    wanted = known(recorder, sections, operation, "sections")
    if wanted.ndim:
        cuts = [0, *[slice(0, operator.index(i)).indices(n)[1] for i in wanted], n]
    else:
        count = operator.index(wanted.item())
        if count <= 0 or (equal and n % count):
            found = f"{count} parts of axis {k}, of length {n}"
            raise misfit(
                recorder, operation, found, "equal parts, or np.array_split" if count > 0 else "a part or more"
            )
        short, longer = divmod(n, count)
        cuts = [i * short + min(i, longer) for i in range(count + 1)]
    return [stretch(v, k, a, b - a) if b > a else stretch(v, k, 0, 0) for a, b in pairwise(cuts)]


def unstack(x: Any, /, *, axis: Any = 0) -> tuple[Variable, ...]:
    """`numpy.unstack`."""
    v = operand(x)
    if not v.shape:
        raise misfit(v._recorder, "unstack", "an array without axes", "one axis or more")
    k = normalize_axis(axis, v.ndim, "unstack", v._recorder)
    rest = v.shape[:k] + v.shape[k + 1 :]
    return tuple(reshaped(stretch(v, k, i, 1), rest) for i in range(v.shape[k]))


# --- putting in and taking out


def append(arr: Any, values: Any, axis: Any = None) -> Variable:
    """`numpy.append`."""
    recorder = recorder_of(arr, values)
    v, more = promote(recorder, (arr, values))
    if axis is None:
        return join(recorder, [reshaped(v, (v.size,)), reshaped(more, (more.size,))], 0)
    return _joined(recorder, "append", v, more, normalize_axis(axis, v.ndim, "append", recorder))


def _joined(recorder: Recorder, operation: str, v: Variable, more: Variable, k: int) -> Variable:
    if more.ndim != v.ndim or more.shape[:k] != v.shape[:k] or more.shape[k + 1 :] != v.shape[k + 1 :]:
        found = f"shapes {v.shape} and {more.shape}"
        raise misfit(recorder, operation, found, f"shapes that agree but along axis {k}")
    return join(recorder, [v, more], k)


def delete(arr: Any, obj: Any, axis: Any = None) -> Variable:
    """`numpy.delete`; where Variables say what goes, a guard says what they are."""
    recorder = recorder_of(arr, obj)
    v, k = _along(recorder, "delete", arr, axis)
    gone = _chosen(recorder, "delete", obj)
    index = places(recorder, "delete", v.shape[k], f"obj {gone}", lambda numbers: np.delete(numbers, gone))
    return recorder.again(picked(v, k, index))


def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Variable:
    """`numpy.insert`; where Variables say where to, a guard says what they are. Elements become of the array's kind."""
    recorder = recorder_of(arr, obj, values)
    v, k = _along(recorder, "insert", arr, axis)
    more = recorder.cast(lift(recorder, values, v._kind), v._kind)
    where = _chosen(recorder, "insert", obj)
    n = v.shape[k]
    at = np.arange(n)[where] if isinstance(where, slice) else np.asarray(where)
    at = np.flatnonzero(at) if at.dtype.kind == "b" else at
    if at.size == 1:  # then what is inserted may be of any length
        more = reshaped(more, (1,) * (v.ndim - more.ndim) + more.shape)
        more = moveaxis(more, 0, k) if at.ndim == 0 else more
        count = more.shape[k]
    else:
        count = at.size
    more = broadcast_to(more, (*v.shape[:k], count, *v.shape[k + 1 :]))
    new = n + np.arange(count)
    index = places(recorder, "insert", n, f"obj {where}", lambda numbers: np.insert(numbers, where, new))
    return recorder.again(picked(join(recorder, [v, more], k), k, index))


def _along(recorder: Recorder, operation: str, arr: Any, axis: Any) -> tuple[Variable, int]:
    """The array and the axis to work along: without one all axes as one."""
    v = lift(recorder, arr)
    return (ravel(v), 0) if axis is None else (v, normalize_axis(axis, v.ndim, operation, recorder))


def _chosen(recorder: Recorder, operation: str, obj: Any) -> Any:
    """A slice, or integers or booleans that are known."""
    if isinstance(obj, slice):
        return obj
    index: NDArray[Any] = known(recorder, obj, operation, "indices")
    if index.dtype.kind not in "iub" and index.size:
        raise unsupported(operation, f"indices of dtype {index.dtype}", "integers, booleans or a slice", recorder)
    return index if index.size else index.astype(np.int64)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.tile: tile,
        np.repeat: repeat,
        np.resize: resize,
        np.roll: roll,
        np.rollaxis: rollaxis,
        np.rot90: rot90,
        np.array_split: array_split,
        np.split: split,
        np.hsplit: hsplit,
        np.vsplit: vsplit,
        np.dsplit: dsplit,
        np.unstack: unstack,
        np.append: append,
        np.delete: delete,
        np.insert: insert,
    }
)
