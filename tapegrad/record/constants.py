"""The constants of a recording: numbers, arrays that the function captures, and what is made of them.

A number or an array that is met again is the same constant. An array that somebody else holds is remembered by a
fingerprint (`captured`), because it may be changed later.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tapegrad.errors import DtypeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.ops.table import CONSTANT
from tapegrad.record.captured import Captured
from tapegrad.record.kinds import RANK, kind_of
from tapegrad.record.refusal import require_plain, unsupported
from tapegrad.record.variable import Variable

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder


@dataclass(slots=True, eq=False)
class Constants:
    """The constants that a recorder has so far.

    Attributes:
        outer: ids of arrays that the function finds outside itself and must not change.
        items: the constants' arrays, in the order of the tape.
        numbers, arrays: the Variables of numbers, by kind and value, and of arrays that somebody else holds, by id.
        captured: the fingerprints of such arrays.
        objects: what stands for complex arrays and sparse matrices from outside, by their ids.
        replaced: arrays of the function's own that an in-place operator has changed (`replace`), by their ids.
        settled: slots of constants that are copies already (`settle`).
    """

    outer: frozenset[int] = frozenset()
    items: list[Any] = field(default_factory=list)
    numbers: dict[tuple[str, object], Variable] = field(default_factory=dict)
    arrays: dict[int, Variable] = field(default_factory=dict)
    captured: list[Captured] = field(default_factory=list)
    objects: dict[int, Any] = field(default_factory=dict)
    replaced: dict[int, Any] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)


def constant(recorder: Recorder, value: Any, like: str = BOOL) -> Variable:
    """A value that no argument changes. A Python number becomes of kind `like` where that ranks higher."""
    if isinstance(value, (bool, int, float)):
        return number(recorder, value, like)
    if type(value) is not np.ndarray:
        require_plain(value, "constant", recorder.line())
    array = np.asarray(value)
    if array.dtype == object:
        return _stacked(recorder, array)
    known = recorder.constants
    if array.ndim == 0:
        found = number(recorder, array.item() if array.dtype.kind in "biuf" else array, like)
        if array is value and id(value) not in known.arrays:
            known.captured.append(Captured.of(array, recorder.line()))
            known.arrays[id(value)] = found
        return found
    variable = known.arrays.get(id(value))
    if variable is not None:
        return variable
    if id(value) in known.replaced or id(array.base) in known.replaced:
        raise unsupported(
            "an in-place operator",
            "an array that it has changed, under another name",
            "array = array + x, and no other name for the array",
            recorder,
        )
    line = recorder.lines.current()
    name = recorder.lines.names[line]
    variable = fresh(recorder, array, kind_of(array.dtype, "constant", name), line)
    recorder.ordered[variable._slot] = array.flags.c_contiguous
    if array is value:
        known.captured.append(Captured.of(array, name))
        known.arrays[id(value)] = variable
    return variable


def complex_constant(recorder: Recorder, value: Any) -> tuple[Variable, Variable]:
    """The real and the imaginary part of complex numbers that no argument changes."""
    array = np.asarray(value)
    known = recorder.constants
    parts: tuple[Variable, Variable] | None = known.objects.get(id(value))
    if parts is None:
        line = recorder.lines.current()
        parts = fresh(recorder, array.real, FLOAT, line), fresh(recorder, array.imag, FLOAT, line)
        if array is value:
            known.captured.append(Captured.of(array, recorder.lines.names[line]))
            known.objects[id(value)] = parts
    return parts


def number(recorder: Recorder, value: Any, like: str) -> Variable:
    """A number, of kind `like` where that ranks higher."""
    if not isinstance(value, (bool, int, float)):
        kind_of(np.asarray(value).dtype, "constant", recorder.line())
    kind = BOOL if isinstance(value, bool) else INT if isinstance(value, int) else FLOAT
    kind = like if RANK[like] > RANK[kind] else kind
    key = (kind, value if value else str(value))  # -0.0 == 0.0, but they are two constants
    numbers = recorder.constants.numbers
    known = numbers.get(key)
    if known is None:
        try:
            array = np.array(value, ArrayType((), kind).dtype(recorder.dtype))
        except OverflowError:
            line = recorder.line()
            raise DtypeError(describe("constant", found=f"{value}", wanted="an int64", line=line)) from None
        known = numbers[key] = fresh(recorder, array, kind)
    return known


def fresh(recorder: Recorder, array: Any, kind: str, line: int = 0) -> Variable:
    """A constant of an array that nobody else holds: it need not be watched."""
    items = recorder.constants.items
    t = ArrayType(array.shape, kind)
    value = np.ascontiguousarray(array, dtype=t.dtype(recorder.dtype)).reshape(array.shape)
    slot = recorder.append(CONSTANT, len(items), recorder.types(t), (), line)
    items.append(value)
    recorder.values[slot] = value
    return recorder.variable(slot, active=False)


def _stacked(recorder: Recorder, array: Any) -> Variable:
    """An object array of Variables and numbers, as np.array([v, w]) of scalars gives it, stacked."""
    if not any(isinstance(x, Variable) for x in array.flat):
        kind_of(array.dtype, "constant", recorder.line())
    items = [recorder.lift(x, FLOAT) for x in array.flat]
    if any(v.shape for v in items):
        kind_of(array.dtype, "constant", recorder.line())
    cells = [recorder.apply("reshape", (1,), recorder.cast(v, FLOAT)) for v in items]
    return recorder.apply("reshape", array.shape, recorder.apply("concatenate", (0,), *cells))


# --- arrays that change while the function is recorded


def watch(recorder: Recorder, *values: Any) -> None:
    """Notice changes of arrays from outside, in lists and tuples of any depth, that are computed with at once."""
    known = recorder.constants
    for value in values:
        if isinstance(value, (list, tuple)):
            watch(recorder, *value)
        elif type(value) is np.ndarray and (known.replaced or {id(value), id(value.base)} & known.outer):
            constant(recorder, value)


def replace(recorder: Recorder, target: Any, operation: str) -> None:
    """`target += v` gives the name target a new Variable; the array itself cannot take the sum in.

    NumPy would have changed the array, and another name for it would show that. So the array is filled
    with nan, and using it in the recording is an error; what cannot be undone like that is refused.
    """
    known = recorder.constants
    if id(target) in known.outer or target.base is not None or target.dtype.kind != "f":
        found = "an array from outside the function" if id(target) in known.outer else "a view of another array"
        if target.dtype.kind != "f":
            found = f"an array of dtype {target.dtype}"
        raise unsupported(
            f"in-place {operation}",
            f"{found}, which cannot hold a Variable",
            "array = array + x, a new array",
            recorder,
        )
    variable = known.arrays.pop(id(target), None)
    if variable is not None:  # what was recorded before stays
        _copy(recorder, variable._slot)
        known.captured = [c for c in known.captured if c.array is not target]
    known.replaced[id(target)] = target
    target.fill(np.nan)


def lost(recorder: Recorder, value: Any) -> bool:
    """Is a plain value nan, and may that come from an array that `replace` has filled?"""
    if not recorder.constants.replaced or isinstance(value, Variable):
        return False
    array = np.asarray(value)
    return array.dtype.kind == "f" and bool(np.isnan(array).any())


def release(v: Variable) -> None:
    """Before v is assigned to: a captured array that it stood for gets another Variable."""
    recorder = v._recorder
    arrays = recorder.constants.arrays
    for key, known in arrays.items():
        if known is v:
            arrays[key] = recorder.again(v)


def settle(recorder: Recorder, first: int) -> None:
    """Copy the function's own arrays among the constants from slot `first` on.

    An in-place operator may change such an array later (`replace`). What was recorded with it stays, also where
    a tape made of a stretch has taken the constant over.
    """
    known = recorder.constants
    for key, v in known.arrays.items():
        if v._slot >= first and key not in known.outer and v._slot not in known.settled:
            _copy(recorder, v._slot)
            known.settled.add(v._slot)


def _copy(recorder: Recorder, slot: int) -> None:
    """Let a constant be an array that nobody else holds."""
    items, place = recorder.constants.items, recorder.attribute_of(slot)
    items[place] = recorder.values[slot] = items[place].copy()
