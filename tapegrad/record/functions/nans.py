"""NumPy's reductions that leave nan out: as the others with a mask, and a derivative of 0 for what is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT
from tapegrad.record.functions import reducing, statistics
from tapegrad.record.functions.common import NO_VALUE, absent, lift, recorder_of
from tapegrad.record.variable import Variable


def valid(v: Variable) -> Any:
    """Where elements are not nan; True where none can be."""
    r = v._recorder
    return r.elementwise("logical_not", r.elementwise("isnan", v)) if v._kind == FLOAT else True


def without(v: Variable, other: float) -> Variable:
    """The elements, and `other` in place of nan."""
    return reducing.chosen("nan", v, valid(v), other)


def _mask(v: Variable, where: Any) -> Any:
    """What is left of `where=` without the nan."""
    r, mask = v._recorder, valid(v)
    if absent(where) or where is True:
        return mask
    return where if mask is True else r.elementwise("logical_and", mask, r.cast(lift(r, where), BOOL))


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Variable:
    """`numpy.nansum`."""
    v = lift(recorder_of(a, initial, where), a)
    return reducing.sum(v, axis, dtype, out, keepdims, initial, _mask(v, where))


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    initial: Any = NO_VALUE,
    where: Any = NO_VALUE,
) -> Variable:
    """`numpy.nanprod`."""
    v = lift(recorder_of(a, initial, where), a)
    return reducing.prod(v, axis, dtype, out, keepdims, initial, _mask(v, where))


def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Variable:
    """`numpy.nanmean`; nan where all are."""
    v = lift(recorder_of(a, where), a)
    return reducing.mean(v, axis, dtype, out, keepdims, where=_mask(v, where))


def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE, where: Any = NO_VALUE
) -> Variable:
    """`numpy.nanmax`; nan where all are; ties share the derivative equally."""
    return _extreme(reducing.max, a, axis, out, keepdims, initial, where)


def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, initial: Any = NO_VALUE, where: Any = NO_VALUE
) -> Variable:
    """`numpy.nanmin`; nan where all are; ties share the derivative equally."""
    return _extreme(reducing.min, a, axis, out, keepdims, initial, where)


def _extreme(
    reduction: Callable[..., Variable], a: Any, axis: Any, out: Any, keepdims: Any, initial: Any, where: Any
) -> Variable:
    v = lift(recorder_of(a, initial, where), a)
    mask = _mask(v, where)
    if v._kind != FLOAT or not absent(initial) or not (absent(where) or where is True):
        return reduction(v, axis, out, keepdims, initial, mask if v._kind == FLOAT else where)
    r = v._recorder
    worst = -math.inf if reduction is reducing.max else math.inf
    result = reduction(reducing.chosen("nan", v, mask, worst), axis, out, keepdims)
    return r.elementwise("where", reducing.any(mask, axis, keepdims=keepdims), result, math.nan)


def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
    mean: Any = NO_VALUE,
    correction: Any = NO_VALUE,
) -> Variable:
    """`numpy.nanvar`; nan where no more than `ddof` elements are left."""
    v = lift(recorder_of(a, where, mean), a)
    ddof = statistics.ddof_of("nanvar", v, ddof, correction)
    return statistics.variance("nanvar", v, axis, dtype, out, ddof, keepdims, _mask(v, where), mean, math.nan)


def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
    mean: Any = NO_VALUE,
    correction: Any = NO_VALUE,
) -> Variable:
    """`numpy.nanstd`; the derivative is 0 where all elements are equal."""
    v = lift(recorder_of(a, where, mean), a)
    ddof = statistics.ddof_of("nanstd", v, ddof, correction)
    return statistics.root(
        statistics.variance("nanstd", v, axis, dtype, out, ddof, keepdims, _mask(v, where), mean, math.nan)
    )


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.nansum: nansum,
        np.nanprod: nanprod,
        np.nanmean: nanmean,
        np.nanmax: nanmax,
        np.nanmin: nanmin,
        np.nanvar: nanvar,
        np.nanstd: nanstd,
    }
)
