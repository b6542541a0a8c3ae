"""NumPy's functions that take arrays as sets. How many different elements there are is pinned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions import reducing
from tapegrad.record.functions.common import (
    fresh,
    join,
    normalize_axis,
    operand,
    promote,
    recorder_of,
    reshaped,
    stretch,
)
from tapegrad.record.functions.indexing import getitem
from tapegrad.record.functions.reducing import counted
from tapegrad.record.functions.shaping import moveaxis
from tapegrad.record.functions.sorting import argsort, ordered, searchsorted, sort
from tapegrad.record.pins import pin
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

_FEW: Final = 16  # so many are compared one by one

# --- different elements


@dataclass(frozen=True, slots=True)
class _Different:
    """The different elements of one axis.

    Attributes:
        order: the axis sorted: places on it.
        firsts: where in that order an element stands that differs from the one before it.
    """

    order: Variable
    firsts: NDArray[Any]

    @classmethod
    def of(cls, v: Variable, *, equal_nan: bool) -> _Different:
        """The different elements of an array of one axis, or the different rows of one of two."""
        r = v._recorder
        order = argsort(v, 0) if v.ndim == 1 else _row_order(r, v)
        n = v.shape[0]
        if n < 2:
            return cls(order, np.arange(n))
        s = getitem(v, order)
        before, after = stretch(s, 0, 0, n - 1), stretch(s, 0, 1, n - 1)
        other = r.elementwise("not_equal", after, before)
        if v.ndim > 1:
            other = reducing.any(other, 1)
        elif equal_nan and v._kind == FLOAT:
            other = r.elementwise("logical_and", other, r.elementwise("logical_not", r.elementwise("isnan", before)))
        return cls(order, np.flatnonzero(np.concatenate([[True], pin(r, other)])))

    @property
    def index(self) -> Variable:
        """Where each is found first on the axis."""
        return getitem(self.order, fresh(self.order._recorder, self.firsts))

    @property
    def inverse(self) -> Variable:
        """Which of them each element of the axis is."""
        r, n = self.order._recorder, self.order.size
        number = np.searchsorted(self.firsts, np.arange(n), side="right") - 1
        return getitem(fresh(r, number), argsort(self.order, 0))

    @property
    def counts(self) -> NDArray[Any]:
        """How often each is there."""
        return np.diff([*self.firsts.tolist(), self.order.size])


def _row_order(r: Recorder, v: Variable) -> Variable:
    """Rows in the order of their first elements, where those are equal of their second ones, and so on."""
    n, width = v.shape
    if not width:
        return fresh(r, np.arange(n))
    return ordered(r, [reshaped(stretch(v, 1, k, 1), (n,)) for k in reversed(range(width))])


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,  # noqa: A002 - NumPy's name
) -> Any:
    """`numpy.unique`: sorted in any case; the derivative goes to the first of equal elements.

    Indices are Variables, counts a plain array.
    """
    v = operand(ar)
    if axis is None:
        line = reshaped(v, (v.size,))
        found = _Different.of(line, equal_nan=equal_nan)
        values, inverse_shape = getitem(line, found.index), v.shape
    else:
        k = normalize_axis(axis, v.ndim, "unique", v._recorder)
        moved = moveaxis(v, k, 0)
        rows = reshaped(moved, (v.shape[k], v.size // v.shape[k] if v.shape[k] else 0))
        found = _Different.of(rows if v.ndim > 1 else v, equal_nan=equal_nan and v.ndim == 1)
        values, inverse_shape = moveaxis(getitem(moved, found.index), 0, k), (v.shape[k],)
    results: list[Any] = [values]
    if return_index:
        results.append(found.index)
    if return_inverse:
        results.append(reshaped(found.inverse, inverse_shape))
    if return_counts:
        results.append(found.counts)
    return results[0] if len(results) == 1 else tuple(results)


# The tuples with names that these return; NumPy has no public name for them.
_COUNTS: Final = type(np.unique_counts(np.zeros(1)))
_INVERSE: Final = type(np.unique_inverse(np.zeros(1)))
_ALL: Final = type(np.unique_all(np.zeros(1)))


def unique_values(x: Any, /) -> Any:
    """`numpy.unique_values`, sorted."""
    return unique(x, equal_nan=False)


def unique_counts(x: Any) -> Any:
    """`numpy.unique_counts`."""
    return _COUNTS(*unique(x, return_counts=True, equal_nan=False))


def unique_inverse(x: Any) -> Any:
    """`numpy.unique_inverse`."""
    return _INVERSE(*unique(x, return_inverse=True, equal_nan=False))


def unique_all(x: Any) -> Any:
    """`numpy.unique_all`."""
    return _ALL(*unique(x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False))


# --- sets


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Variable:
    """`numpy.isin`."""
    r = recorder_of(element, test_elements)
    v, tested = (counted(x) for x in promote(r, [element, test_elements]))
    tested = reshaped(tested, (tested.size,))
    if tested.size <= _FEW:
        found = reducing.any(r.elementwise("equal", reshaped(v, (*v.shape, 1)), tested), -1)
    else:
        line = sort(tested)
        place = r.elementwise("minimum", searchsorted(line, v), tested.size - 1)
        found = r.elementwise("equal", getitem(line, place), v)
    return r.elementwise("logical_not", found) if invert else found


def union1d(ar1: Any, ar2: Any) -> Any:
    """`numpy.union1d`."""
    return unique(_joined(ar1, ar2))


def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """`numpy.intersect1d`; the derivative goes to the elements of the first array."""
    a, b = _sets(ar1, ar2)
    first = _Different.of(a, equal_nan=True).index
    here = pin(a._recorder, isin(getitem(a, first), b))
    index = getitem(first, np.flatnonzero(here))
    values = getitem(a, index)
    if not return_indices:
        return values
    order = argsort(b, 0)
    return values, index, getitem(order, searchsorted(getitem(b, order), values))


def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """`numpy.setdiff1d`."""
    a, b = _sets(ar1, ar2)
    line = a if assume_unique else unique(a)
    return getitem(line, isin(line, b, invert=True))


def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """`numpy.setxor1d`."""
    a, b = _sets(ar1, ar2)
    return sort(join(a._recorder, [setdiff1d(a, b), setdiff1d(b, a)], 0))


def _sets(ar1: Any, ar2: Any) -> list[Variable]:
    return [reshaped(v, (v.size,)) for v in promote(recorder_of(ar1, ar2), [ar1, ar2])]


def _joined(ar1: Any, ar2: Any) -> Variable:
    a, b = _sets(ar1, ar2)
    return join(a._recorder, [a, b], 0)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.unique: unique,
        np.unique_values: unique_values,
        np.unique_counts: unique_counts,
        np.unique_inverse: unique_inverse,
        np.unique_all: unique_all,
        np.isin: isin,
        np.union1d: union1d,
        np.intersect1d: intersect1d,
        np.setdiff1d: setdiff1d,
        np.setxor1d: setxor1d,
    }
)
