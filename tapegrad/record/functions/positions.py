"""Index arrays as one: positions along the axes that they select from, merged, for one `gather`.

`x[arange(n), labels]` selects from each row of x by that row's own index. Where that can be seen - leading
index arrays known while recording that count up the axes they select from - those axes stay: they become
the gather's batch, and only the arrays after them are merged. So whatever runs row by row can go on so.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import ElementIndexError, describe
from tapegrad.ops.elementwise import OUTSIDE
from tapegrad.record.functions.common import fresh, reshaped
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

# Strides that add up to no more can't make an int64 of the sentinel OUTSIDE wrap around.
_STRIDES: Final = (1 << 62) // -OUTSIDE


class IndexArray(NamedTuple):
    """An index array: a Variable, or a value known while recording (and its Variable, if it has one)."""

    variable: Variable | None
    value: NDArray[Any] | None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of either."""
        found: Any = self.variable if self.value is None else self.value
        return tuple(found.shape)


class Positions(NamedTuple):
    """What index arrays select, in the terms of a gather.

    Attributes:
        indices: integers, for the axes from `kept` on, merged.
        kept: how many of the axes stay as they are.
        batch: how many of the kept axes the integers are given for, one by one: all or none.
        shape: that of all index arrays broadcast: what stands in place of the axes in the result.
    """

    indices: Variable
    kept: int
    batch: int
    shape: tuple[int, ...]


def wrong(recorder: Recorder, found: str, wanted: str) -> ElementIndexError:
    """The error for an index that does not fit."""
    return ElementIndexError(describe("indexing", found=found, wanted=wanted, line=recorder.line()))


def outside(recorder: Recorder, index: int, axis: int, n: int) -> ElementIndexError:
    """The error for an index beyond its axis."""
    wanted = f"one from {-n} to {n - 1}, as axis {axis} has length {n}" if n else f"none, as axis {axis} has length 0"
    return wrong(recorder, f"index {index}", wanted)


def _check(recorder: Recorder, index: NDArray[Any], axis: int, n: int) -> None:
    beyond = (index < -n) | (index >= n)
    if beyond.any():
        raise outside(recorder, int(index[beyond][0]), axis, n)


def positions(
    recorder: Recorder,
    arrays: Sequence[tuple[int, IndexArray]],
    lengths: Sequence[int],
    flags: Sequence[tuple[int, ...]],
    *,
    rows: bool,
) -> Positions:
    """Index arrays as one; `arrays` name axes in messages, `lengths` are the axes', `flags` more shapes to broadcast.

    `rows`: the axes are the first ones, so that leading ones may be kept.
    """
    shapes = [array.shape for _, array in arrays]
    try:
        shape = np.broadcast_shapes(*shapes, *flags)
    except ValueError:
        raise wrong(recorder, f"index arrays of shapes {[*shapes, *flags]}", "shapes that broadcast") from None
    if 0 not in shape:  # else nothing is selected, and NumPy does not look either
        for (axis, array), n in zip(arrays, lengths, strict=True):
            if array.value is not None:
                _check(recorder, array.value, axis, n)
    kept = _counting(arrays, lengths, shape) if rows else 0
    index = _linear(recorder, [array for _, array in arrays[kept:]], lengths[kept:])
    own = (*[1] * (len(shape) - index.ndim), *index.shape)
    batch = kept if own[:kept] != (1,) * kept else 0
    wanted = shape[kept - batch :]
    if not batch:
        index = reshaped(index, own[kept:])
    if index.shape != wanted:
        index = recorder.apply("broadcast_to", wanted, index)
    return Positions(index, kept, batch, shape)


def _counting(arrays: Sequence[tuple[int, IndexArray]], lengths: Sequence[int], shape: tuple[int, ...]) -> int:
    """How many leading arrays, the last one left out, count up an axis and stand along it in the result."""
    most = min(len(arrays) - 1, len(shape))
    for k in range(most):
        value, n = arrays[k][1].value, lengths[k]
        if value is None or shape[k] != n:
            return k
        own = (*[1] * (len(shape) - value.ndim), *value.shape)
        along = tuple(n if a == k else 1 for a in range(len(shape)))
        if own != along or not np.array_equal(value.ravel(), np.arange(n)):
            return k
    return most


def _linear(recorder: Recorder, arrays: Sequence[IndexArray], lengths: Sequence[int]) -> Variable:
    """Index arrays as positions along their axes merged."""
    if len(arrays) == 1:
        variable, value = arrays[0]
        return fresh(recorder, value) if variable is None else variable
    strides = [prod(lengths[k + 1 :]) for k in range(len(lengths))]
    known: Any = None
    wrapped: list[Variable] = []
    terms: list[Variable] = []
    for (variable, value), n, stride in zip(arrays, lengths, strides, strict=True):
        if value is not None:
            part = np.where(value < 0, value + n, value).astype(np.int64) * stride
            known = part if known is None else known + part
            continue
        wrapped.append(recorder.elementwise("wrap_index", variable, n))
        terms.append(wrapped[-1] if stride == 1 else recorder.elementwise("multiply", wrapped[-1], stride))
    if not terms:
        return fresh(recorder, known)
    if known is not None:
        terms.append(fresh(recorder, known))
    total = reduce(lambda a, b: recorder.elementwise("add", a, b), terms)
    if sum(strides) <= _STRIDES:
        return total
    lowest = reduce(lambda a, b: recorder.elementwise("minimum", a, b), wrapped)
    return recorder.elementwise("where", recorder.elementwise("less", lowest, 0), OUTSIDE, total)
