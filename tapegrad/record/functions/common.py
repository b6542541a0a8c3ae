"""What the recorded functions share: finding the recorder, lifting nested lists, axes, options."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.ops.row import BOOL
from tapegrad.record.kinds import RANK
from tapegrad.record.pins import pin
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

NO_VALUE: Final[Any] = getattr(np, "_NoValue")  # noqa: B009 - NumPy's mark for an argument that was not given
# A derivative rule of a join looks at all its operands, so many operands are joined in groups of this many.
_GROUP: Final = 64


def find_variable(value: Any) -> Variable | None:
    """The first Variable in a value: itself, or in lists and tuples of any depth."""
    if isinstance(value, Variable):
        return value
    if isinstance(value, (list, tuple)):
        for item in value:
            found = find_variable(item)
            if found is not None:
                return found
    return None


def recorder_of(*values: Any) -> Recorder:
    """The recorder of the first Variable in the values, which may stand in lists and tuples."""
    found = find_variable(values)
    if found is None:
        raise unsupported("recording", "no Variable among the arguments", "a Variable, or NumPy's own function")
    return found._recorder


def absent(value: Any) -> bool:
    """Whether an optional argument was left out: None, or NumPy's mark for it."""
    return value is None or value is NO_VALUE


def given(value: Any) -> bool:
    """An optional flag such as `keepdims`, False where it was left out."""
    return False if absent(value) else bool(value)


def refuse(operation: str, recorder: Recorder, **options: Any) -> None:
    """Raise `UnsupportedError` for the first option that was given a value: there is no rule for it."""
    for name, value in options.items():
        if not absent(value):
            raise unsupported(operation, f"{name}=", "a call without it", recorder)


def misfit(recorder: Recorder, operation: str, found: str, wanted: str) -> ShapeError:
    """The error for shapes, axes and counts that do not fit."""
    return ShapeError(describe(operation, found=found, wanted=wanted, line=recorder.line()))


# --- values


def operand(value: Any) -> Variable:
    """The one array that a function works on, as a Variable."""
    return value if isinstance(value, Variable) else lift(recorder_of(value), value)


def lift(recorder: Recorder, value: Any, like: str = BOOL) -> Variable:
    """A Variable, also of nested lists of Variables, arrays and numbers."""
    if isinstance(value, (list, tuple)) and find_variable(value) is not None:
        return pile(recorder, promote(recorder, value), 0, "array")
    return recorder.lift(value, like)


def promote(recorder: Recorder, values: Iterable[Any]) -> list[Variable]:
    """Variables of one kind: the highest among the values; a Python number takes the others' kind."""
    items = list(values)
    kinds = [v._kind for v in items if isinstance(v, Variable)]
    like = max(kinds, key=RANK.__getitem__, default=BOOL)
    lifted = [lift(recorder, v, like) for v in items]
    kind = max((v._kind for v in lifted), key=RANK.__getitem__, default=BOOL)
    return [recorder.cast(v, kind) for v in lifted]


def as_dtype(v: Variable, dtype: Any, operation: str, casting: str = "unsafe") -> Variable:
    """What `dtype=` makes of a result: one of the dtypes that a tape has."""
    if absent(dtype):
        return v
    wanted = np.dtype(dtype)
    if wanted not in {v._recorder.dtype, np.dtype(np.int64), np.dtype(np.bool_)}:
        known = f"{v._recorder.dtype}, the dtype of the tape, int64 or bool"
        raise unsupported(operation, f"dtype={wanted}", known, v._recorder)
    return v.astype(wanted, casting=casting, copy=False)


def reshaped(v: Variable, shape: tuple[int, ...]) -> Variable:
    """The Variable in another shape of the same size; nothing is recorded where it has that shape."""
    return v if v.shape == shape else v._recorder.apply("reshape", shape, v)


def transposed(v: Variable, axes: tuple[int, ...]) -> Variable:
    """The Variable with its axes permuted; nothing is recorded where they stay in order."""
    return v if axes == tuple(range(len(axes))) else v._recorder.apply("transpose", axes, v)


def ordered(v: Variable, order: str | None) -> Variable:
    """A copy in an order in memory, as NumPy would lay it out; that of "F" is not known any more (`orders`)."""
    recorder = v._recorder
    if order != "F" or v.ndim < 2:
        return recorder.again(v)
    backwards = tuple(range(v.ndim))[::-1]
    return recorder.apply("transpose", backwards, recorder.apply("transpose", backwards, v))


def constant(recorder: Recorder, value: float | bool, shape: tuple[int, ...], kind: str) -> Variable:
    """A constant array of one number."""
    v = recorder.cast(recorder.constant(value, kind), kind)
    return v if shape == () else recorder.apply("broadcast_to", shape, v)


def fresh(recorder: Recorder, value: Any) -> Variable:
    """A constant of an array that nobody else holds: given as a view, so that it is not watched for changes."""
    return recorder.constant(np.ascontiguousarray(value).data)


def pinned_places(v: Variable) -> tuple[Any, ...]:
    """Where elements are not zero, an index array for each axis; a guard that it stays so."""
    return np.nonzero(pin(v._recorder, v._recorder.cast(v, BOOL)))


def stretch(v: Variable, axis: int, start: int, count: int) -> Variable:
    """A stretch of one axis, all of the others."""
    windows = tuple((start, 1, count) if a == axis else (0, 1, n) for a, n in enumerate(v.shape))
    return v._recorder.apply("slice", windows, v)


def pile(recorder: Recorder, items: Sequence[Variable], axis: int, operation: str) -> Variable:
    """Variables of one kind and shape joined along a new axis."""
    shape = items[0].shape
    for v in items:
        if v.shape != shape:
            raise misfit(recorder, operation, f"items of shapes {shape} and {v.shape}", "items of one shape")
    cell = (*shape[:axis], 1, *shape[axis:])
    return join(recorder, [recorder.apply("reshape", cell, v) for v in items], axis)


def join(recorder: Recorder, items: Sequence[Variable], axis: int) -> Variable:
    """Variables of one kind joined along an axis, as a new one; their shapes have been checked."""
    while len(items) > _GROUP:
        groups = [items[k : k + _GROUP] for k in range(0, len(items), _GROUP)]
        items = [recorder.apply("concatenate", (axis,), *group) for group in groups]
    return recorder.again(items[0]) if len(items) == 1 else recorder.apply("concatenate", (axis,), *items)


# --- axes


def normalize_axis(axis: Any, ndim: int, operation: str, recorder: Recorder) -> int:
    """An axis counted from the start."""
    index = operator.index(axis)
    if not -ndim <= index < ndim:
        raise misfit(recorder, operation, f"axis {index}", f"an axis of an array of {ndim} axes")
    return index % ndim


def normalize_axes(axis: Any, ndim: int, operation: str, recorder: Recorder) -> tuple[int, ...]:
    """Axes counted from the start, in the order given; None means all."""
    if axis is None:
        return tuple(range(ndim))
    several = axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(normalize_axis(a, ndim, operation, recorder) for a in several)
    if len(set(axes)) != len(axes):
        raise misfit(recorder, operation, f"axes {axes}", "each axis once at most")
    return axes


def lengths(shape: Any) -> tuple[int, ...]:
    """A shape argument, a number or a sequence of them, as a tuple of ints."""
    if not isinstance(shape, (tuple, list)) and np.ndim(shape) == 0:
        return (operator.index(shape),)
    return tuple(operator.index(n) for n in shape)
