"""Arrays of numbers made inside a function, as `np.zeros_like(x)` makes them: NumPy computes with them.

A `Known` is a Variable that can be assigned to, but as long as it holds numbers alone it is a NumPy array in all but
name: what is computed of such arrays and of numbers is computed at once, elements are NumPy's own numbers (indices,
bounds of loops, keys of dicts), and numbers are assigned in place. On the tape it becomes a constant where it meets a
Variable, and an ordinary `Array` where one is assigned to it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final
from weakref import ref

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.record.constants import fresh, watch
from tapegrad.record.functions.changes import change
from tapegrad.record.functions.common import constant
from tapegrad.record.functions.memory import Owner, View, memory_of, register, root_of, shadow_of
from tapegrad.record.functions.parts import is_part
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Array, Variable

_FLOAT64, _INT64, _BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)
_KINDS: Final = MappingProxyType({"f": FLOAT, "i": INT, "b": BOOL})
# These change an argument in place; whatever no rule is known for might.
_CHANGING: Final = frozenset({np.put, np.place, np.putmask, np.copyto, np.fill_diagonal, np.put_along_axis})


class Known(NDArrayOperatorsMixin, Array):
    """An array of numbers that is not on the tape."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    @property
    def _slot(self) -> int:  # type: ignore[override]
        return frozen(self)._slot

    @property
    def _active(self) -> bool:  # type: ignore[override]
        return False

    @property
    def _numbers(self) -> Any:
        return values_of(self)

    def _settled(self) -> Variable:
        return frozen(self)

    def __repr__(self) -> str:
        return repr(values_of(self))

    def __getitem__(self, index: Any) -> Any:
        if only_numbers(index):
            return computed(self, operator.getitem, (self, index), {})
        melt(self)
        return self[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not only_numbers((index, value)):
            melt(self)
            self[index] = value
            return
        watch(self._recorder, index, value)
        changed(self)
        values_of(self)[numbers(index)] = numbers(value)

    def copy(self, order: str = "C") -> Any:
        """The same numbers in another array."""
        return known(self._recorder, values_of(self).copy(order))

    def astype(
        self, dtype: Any, order: Any = "K", casting: Any = "unsafe", subok: bool = True, copy: bool = True
    ) -> Any:
        """The numbers as another dtype."""
        made = values_of(self).astype(dtype, order, casting, subok, copy)
        return self if made is values_of(self) else known(self._recorder, made)

    def tolist(self) -> Any:
        """As nested lists."""
        return values_of(self).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        values = values_of(self)
        if copy or (dtype is not None and np.dtype(dtype) != values.dtype):
            return np.array(values, dtype=dtype)
        given = values[...]
        give(self, given)
        return given

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        return computed(self, function, (self, *arguments), options)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if not only_numbers((inputs, options.get("out", ()))):
            live = _live((inputs, options.get("out", ())))
            return live.__array_ufunc__(ufunc, method, *map(_of_now, inputs), **options)
        for array in (*options.get("out", ()), *(inputs[:1] if method == "at" else ())):
            changed(array)
        return computed(self, getattr(ufunc, method), inputs, options, changing=False)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return computed(self, function, arguments, options)


# --- what they hold


def fits(recorder: Recorder, array: Any) -> bool:
    """Is it an array that can become a Variable and stay what it is?"""
    if type(array) is not np.ndarray or not array.ndim:
        return False
    return bool(array.dtype in {_FLOAT64, recorder.dtype, _INT64, _BOOL} and array.dtype.isnative)


def known(recorder: Recorder, array: Any) -> Any:
    """An array that nobody else holds, so that it can be assigned to; itself if it can't be a Variable."""
    if not recorder.open or not fits(recorder, array):
        return array
    if array.base is not None or not array.flags.writeable:
        array = array.copy(order="K")
    return _made(recorder, array, Owner(values=array, certain=True))


def _made(recorder: Recorder, array: Any, memory: Any) -> Known:
    out = Known.__new__(Known)
    out._recorder, out._memory = recorder, memory
    out._type = recorder.types(ArrayType(array.shape, _KINDS[array.dtype.kind]))
    return out


def values_of(v: Variable) -> Any:
    """The numbers of a `Known`, where they are."""
    return memory_of(v).values


def frozen(v: Variable) -> Variable:
    """The numbers as a constant of the tape; one constant as long as they are the same."""
    owner, recorder = memory_of(v), v._recorder
    if type(owner) is View:
        return _constant(recorder, values_of(v))
    shared = any(array() is not None for array, _ in owner.given)
    if owner.frozen is None or shared:
        owner.frozen = _constant(recorder, owner.values)
    found: Variable = owner.frozen
    return found


def _constant(recorder: Recorder, values: Any) -> Variable:
    """A copy as a constant; of one number again and again, that number spread."""
    kind = _KINDS[values.dtype.kind]
    first = values[(0,) * values.ndim] if values.size else None
    if first is not None and np.ascontiguousarray(values).tobytes() == first.tobytes() * values.size:
        found = constant(recorder, first.item(), values.shape, kind)
    else:
        found = fresh(recorder, np.array(values, order="C"), kind, recorder.lines.current())
    recorder.ordered[found._slot] = values.flags.c_contiguous
    return found


def changed(v: Any) -> None:
    """Numbers of an array are assigned to."""
    if isinstance(v, Known):
        owner = memory_of(root_of(v))
        owner.frozen = None
        owner.changes += 1


def give(v: Variable, array: Any) -> None:
    """A NumPy array with the values of v is handed out, and may be kept."""
    if type(v) is not Variable:  # a number never changes
        memory_of(root_of(v)).given.append((ref(array), v._recorder.line()))


def melt(v: Variable) -> None:
    """The array that a `Known` is or is a part of becomes an ordinary one, its views out of date."""
    root = root_of(v)
    owner = memory_of(root)
    if owner.values is None:
        return
    new, shadow = frozen(root), shadow_of(root, owner)
    for each in owner.views:
        view = getattr(each(), "_memory", None)
        if type(view) is View:
            view.part, view.values = _same_part(view.values, owner.values, shadow), None
    change(root, owner)
    owner.values, owner.frozen = None, None
    root.__class__ = Array
    root._slot, root._active = new._slot, False


def _same_part(part: Any, values: Any, shadow: Any) -> Any:
    """The part of the shadow that lies there as a part of the numbers lies among them."""
    size = values.itemsize
    offset = (part.__array_interface__["data"][0] - values.__array_interface__["data"][0]) // size
    flat = shadow.ravel(order="K")
    found = np.ndarray(part.shape, np.int8, flat, offset, [step // size for step in part.strides])
    found.flags.writeable = part.flags.writeable
    return found


# --- computing with them


def only_numbers(value: Any) -> bool:
    """Are all Variables in a value, in lists and tuples of any depth, arrays of numbers?"""
    if isinstance(value, Variable):
        return isinstance(value, Known)
    return all(map(only_numbers, value)) if isinstance(value, (list, tuple)) else True


def numbers(value: Any) -> Any:
    """The value with arrays of numbers as NumPy's."""
    if isinstance(value, Known):
        return values_of(value)
    if type(value) in (list, tuple):
        return type(value)(map(numbers, value))
    return value


def _of_now(value: Any) -> Any:
    """An array of a recording that has ended as the NumPy array that it is."""
    return values_of(value) if isinstance(value, Known) and not value._recorder.open else value


def _live(value: Any) -> Any:
    """The first Variable that is on the tape."""
    if isinstance(value, (list, tuple)):
        return next((found for x in value if (found := _live(x)) is not None), None)
    return value if isinstance(value, Variable) and not isinstance(value, Known) else None


def computed(
    v: Variable, function: Any, arguments: Sequence[Any], options: dict[str, Any], *, changing: bool = True
) -> Any:
    """What a function of NumPy's makes of arrays of numbers; recorded, if there are other Variables among them.

    `changing`: the function may change its arguments.
    """
    given = (tuple(arguments), tuple(options.values()))
    recorder = v._recorder
    if not only_numbers(given):
        live = _live(given)
        return live.__array_function__(function, (), tuple(map(_of_now, arguments)), options)
    watch(recorder, *given)
    if changing and (function in _CHANGING or function not in recorder.functions):
        for array in arguments:
            changed(array)
    result = function(*numbers(given[0]), **{name: numbers(value) for name, value in options.items()})
    if (out := options.get("out")) is not None:
        changed(out)
        return out[0] if isinstance(out, tuple) and len(out) == 1 else out
    if isinstance(result, (list, tuple)) and any(isinstance(x, np.ndarray) for x in result):
        found = [_wrapped(recorder, x, given[0]) for x in result]
        return type(result)(*found) if hasattr(result, "_fields") else type(result)(found)
    return _wrapped(recorder, result, given[0])


def _wrapped(recorder: Recorder, result: Any, arguments: Sequence[Any]) -> Any:
    """An array of NumPy's as one that can be assigned to, and as a view, if it is one of an argument."""
    if not isinstance(result, np.ndarray):
        return result
    if not result.size:
        return known(recorder, result)
    for source in arguments:
        if not isinstance(source, Known):
            continue
        if result is values_of(source):
            return source
        root = root_of(source)
        if is_part(result, memory_of(root).values):
            if not fits(recorder, result):
                give(source, result)
                return result
            out = _made(recorder, result, View(root, values=result))
            register(root, out)
            return out
    return known(recorder, result)
