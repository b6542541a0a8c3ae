"""Elements at places that are known while recording, and what has to be known for that.

Most functions that rearrange an array read it in a few straight runs - a roll is two, a reflected margin one -
and those are windows, which cost nothing or little. Only what has more of them is gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import ElementIndexError, describe
from tapegrad.ops.row import BOOL, FLOAT
from tapegrad.record.functions.common import find_variable, fresh, join, lift, misfit
from tapegrad.record.pins import pin
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_RUNS: Final = 6


def known(recorder: Recorder, value: Any, operation: str, what: str) -> NDArray[Any]:
    """An argument that decides a shape, or which elements are meant.

    Of Variables it is the value that they have now, with a guard that it stays so; they are integers or booleans.

    Raises:
        UnsupportedError: it is a floating Variable, or holds one.
    """
    if isinstance(value, Variable):
        if value._kind == FLOAT:
            found = f"{what} that is a Variable of shape {value.shape}, {value.dtype}"
            raise unsupported(operation, found, f"{what} of integers or booleans", recorder)
        pinned: NDArray[Any] = pin(recorder, recorder.lift(value))
        return pinned
    if isinstance(value, (list, tuple)) and find_variable(value) is not None:
        return np.asarray([known(recorder, item, operation, what) for item in value])
    if isinstance(value, np.ndarray):
        recorder.constant(value)  # so that a change of the array does not go unnoticed
    return np.asarray(value)


def known_mask(recorder: Recorder, value: Any, operation: str) -> NDArray[Any]:
    """A condition that decides which elements are meant, as booleans; floats are true where they are not 0."""
    if find_variable(value) is not None:
        value = recorder.cast(lift(recorder, value), BOOL)
    mask: NDArray[Any] = known(recorder, value, operation, "a condition").astype(np.bool_)
    return mask


def places(
    recorder: Recorder, operation: str, count: int, found: str, choose: Callable[[NDArray[Any]], Any]
) -> NDArray[Any]:
    """Which places of an axis of `count` elements NumPy's own function takes, asked with their numbers."""
    try:
        chosen: NDArray[Any] = np.asarray(choose(np.arange(count)))
    except IndexError as error:
        wanted = f"places on an axis of length {count} (NumPy: {error})"
        raise ElementIndexError(describe(operation, found=found, wanted=wanted, line=recorder.line())) from None
    except ValueError as error:
        raise misfit(recorder, operation, found, f"what fits an axis of length {count} (NumPy: {error})") from None
    return chosen


def picked(v: Variable, axis: int, index: NDArray[Any]) -> Variable:
    """Elements along an axis at places counted from the start, each of which is there; maybe v itself."""
    r = v._recorder
    runs = _runs(index)
    if runs is None:
        return r.apply("gather", (axis, 0), v, fresh(r, index.astype(np.int64)))
    return join(r, [_run(v, axis, *run) for run in runs], axis)


def _runs(index: NDArray[Any]) -> list[tuple[int, int, int]] | None:
    """The places as stretches (start, step, count); None if they are many."""
    count = len(index)
    steps = np.diff(index)
    ends = [*(np.flatnonzero(steps[1:] != steps[:-1]) + 1)[: 2 * _RUNS + 1].tolist(), len(steps)]
    runs: list[tuple[int, int, int]] = []
    first = 0
    while first < count:
        if len(runs) == _RUNS:
            return None
        last = next((e for e in ends if e > first), first)
        after = next((e for e in ends if e > last), last)
        if last - first == 1 and after - last > 1:  # a jump to a longer stretch
            last = first
        runs.append((int(index[first]), int(steps[first]) if last > first else 1, last - first + 1))
        first = last + 1
    return runs or [(0, 1, 0)]


def _run(v: Variable, axis: int, start: int, step: int, count: int) -> Variable:
    if (start, step, count) == (0, 1, v.shape[axis]):
        return v
    window = (start, step, count) if step else (start, 1, 1)
    result = v._recorder.apply("slice", tuple(window if a == axis else (0, 1, n) for a, n in enumerate(v.shape)), v)
    if step:
        return result
    return v._recorder.apply("broadcast_to", (*v.shape[:axis], count, *v.shape[axis + 1 :]), result)
