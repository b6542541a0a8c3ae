"""NumPy's medians and quantiles: the derivative goes to the elements that are taken, or lain between.

Along the axis the elements are sorted, or as far as that needs; what is between two of them is

    s[base] + (s[upper] - s[lower]) weight

Where each q is found among n elements is worked out in one place (`_position`), with NumPy on numbers and with
NumPy's functions on Variables: of q, or of the n that differ from slice to slice where nan are left out.
Source of the methods: Hyndman and Fan, Sample quantiles in statistical packages, The American Statistician
50(4), 1996, pp. 361-365.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import describe
from tapegrad.ops.row import BOOL, FLOAT
from tapegrad.record.functions import reducing
from tapegrad.record.functions.common import (
    constant,
    find_variable,
    fresh,
    given,
    lift,
    misfit,
    recorder_of,
    refuse,
    reshaped,
    transposed,
)
from tapegrad.record.functions.indexing import take_along_axis
from tapegrad.record.functions.nans import valid
from tapegrad.record.functions.reducing import axes_of, dropped, floating, kept, merged
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.functions.statistics import fitted
from tapegrad.record.guards import guard
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# The methods that interpolate, by Hyndman and Fan's alpha and beta; linear is written out, which rounds less.
_BETWEEN: Final = MappingProxyType(
    {
        "interpolated_inverted_cdf": (0.0, 1.0),
        "hazen": (0.5, 0.5),
        "weibull": (0.0, 0.0),
        "median_unbiased": (1 / 3, 1 / 3),
        "normal_unbiased": (3 / 8, 3 / 8),
    }
)


def _closest(n: Any, q: Any) -> Any:
    """The nearest place; of two the one of even rank, counted from 1."""
    x = n * q - 1.5
    first = np.floor(x)
    return np.where((x == first) & (first % 2 == 1), first, first + 1)


def _averaged(n: Any, q: Any) -> Any:
    """Half-way between two where n q is an integer, else the later one."""
    x = n * q - 1
    first = np.floor(x)
    return np.where(x == first, first + 0.5, first + 1)


_METHODS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "linear": lambda n, q: (n - 1) * q,
        "lower": lambda n, q: np.floor((n - 1) * q),
        "higher": lambda n, q: np.ceil((n - 1) * q),
        "nearest": lambda n, q: np.rint((n - 1) * q),
        "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
        "inverted_cdf": lambda n, q: np.ceil(n * q - 1),
        "averaged_inverted_cdf": _averaged,
        "closest_observation": _closest,
    }
)


def _position(method: str, n: Any, q: Any) -> Any:
    """Where q is among n sorted elements, counted from 0; an integer is a place, a fraction between two."""
    if method in _METHODS:
        return _METHODS[method](n, q)
    alpha, beta = _BETWEEN[method]
    return n * q + (alpha + q * (1 - alpha - beta)) - 1


# --- slices to choose from


@dataclass(frozen=True, slots=True)
class _Slices:
    """An array whose reduced axes are one.

    Attributes:
        whole: the array before that.
        axes: the axes that are reduced.
        v: the array with those as one.
        k: that one's place.
    """

    whole: Variable
    axes: tuple[int, ...]
    v: Variable
    k: int

    @classmethod
    def of(cls, operation: str, a: Any, axis: Any, recorder: Recorder) -> _Slices:
        """Take an argument and its axes."""
        whole = floating(operation, lift(recorder, a))
        axes = axes_of(operation, whole, axis)
        return cls(whole, axes, *merged(whole, axes))

    @property
    def n(self) -> int:
        """How many elements are chosen from."""
        return self.v.shape[self.k]

    def along(self, count: int) -> tuple[int, ...]:
        """A shape with `count` entries along the axis and 1 along the others."""
        return tuple(count if j == self.k else 1 for j in range(self.v.ndim))

    def count(self) -> Variable:
        """How many elements of each slice are not nan."""
        return reducing.sum(valid(self.v), self.k, keepdims=True)

    def order(self, places: Any = None) -> Variable:
        """The order of each slice, as far as it decides what stands at `places`; they may be known numbers."""
        r = self.v._recorder
        if places is None:
            return r.apply("argsort", (self.k,), self.v)
        return r.apply("argpartition", (self.k, *sorted(set(places))), self.v)

    def at(self, order: Variable, places: Any) -> Variable:
        """The elements at places in the order: an array of one axis, the same for all slices, or a Variable."""
        r = self.v._recorder
        if isinstance(places, Variable):
            index = take_along_axis(order, places, self.k)
        else:
            index = r.apply("gather", (self.k, 0), order, fresh(r, places))
        return take_along_axis(self.v, index, self.k)

    def unless_nan(self, order: Variable, result: Variable) -> Variable:
        """The result, or nan where there is one in the slice: it is sorted last."""
        r = self.v._recorder
        last = self.at(order, np.array([self.n - 1]))
        return r.elementwise("where", r.elementwise("isnan", last), last, result)

    def shaped(self, result: Variable, shape: tuple[int, ...], keepdims: bool) -> Variable:
        """The result with the axis in front, in the shape of q, and the array's other axes behind it."""
        k, others = self.k, [j for j in range(result.ndim) if j != self.k]
        rest = kept(self.whole, self.axes) if keepdims else dropped(self.whole, self.axes)
        return reshaped(transposed(result, (k, *others)), (*shape, *rest))


# --- medians


def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False) -> Variable:
    """`numpy.median`; of an even number of elements the two in the middle share the derivative."""
    s = _Slices.of("median", a, axis, recorder_of(a))
    refuse("median", s.v._recorder, out=out)
    if not s.n:
        return _nothing(s, keepdims)
    middle = [(s.n - 1) // 2, s.n // 2][: 2 - s.n % 2]
    order = s.order([*middle, s.n - 1])
    found = s.unless_nan(order, reducing.mean(s.at(order, np.array(middle)), s.k, keepdims=True))
    return s.shaped(found, (), given(keepdims))


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: Any = False
) -> Variable:
    """`numpy.nanmedian`; nan where all are."""
    s = _Slices.of("nanmedian", a, axis, recorder_of(a))
    r = s.v._recorder
    refuse("nanmedian", r, out=out)
    if not s.n:
        return _nothing(s, keepdims)
    count, order = s.count(), s.order()
    lower = r.elementwise("maximum", (count - 1) // 2, 0)
    both = r.elementwise("add", s.at(order, lower), s.at(order, count // 2))
    return s.shaped(r.elementwise("multiply", both, 0.5), (), given(keepdims))


def _nothing(s: _Slices, keepdims: Any) -> Variable:
    shape = kept(s.whole, s.axes) if given(keepdims) else dropped(s.whole, s.axes)
    return constant(s.v._recorder, math.nan, shape, FLOAT)


# --- quantiles


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Variable:
    """`numpy.quantile`, by all of its methods; q may be a Variable, and is differentiated by.

    Raises:
        ValueError: a q outside of 0 to 1.
        ShapeError: nothing to choose from.
    """
    return _quantile("quantile", a, q, 1, axis, out, method, keepdims, weights)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Variable:
    """`numpy.percentile`: `quantile` of q / 100."""
    return _quantile("percentile", a, q, 100, axis, out, method, keepdims, weights)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Variable:
    """`numpy.nanquantile`; nan where all are."""
    return _quantile("nanquantile", a, q, 1, axis, out, method, keepdims, weights)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: Any = False,
    *,
    weights: Any = None,
) -> Variable:
    """`numpy.nanpercentile`: `nanquantile` of q / 100."""
    return _quantile("nanpercentile", a, q, 100, axis, out, method, keepdims, weights)


def _quantile(
    operation: str, a: Any, q: Any, whole: int, axis: Any, out: Any, method: str, keepdims: Any, weights: Any
) -> Variable:
    r = recorder_of(a, q, weights)
    refuse(operation, r, out=out)
    if method not in _METHODS and method not in _BETWEEN:
        raise unsupported(operation, f"method={method!r}", f"one of {', '.join([*_METHODS, *_BETWEEN])}", r)
    s = _Slices.of(operation, a, axis, r)
    if not s.n:
        raise misfit(r, operation, f"shape {s.whole.shape}", "one element or more to choose from")
    share, shape = _shares(operation, r, q, whole)
    share = share.reshape(s.along(math.prod(shape)))  # along the axis
    leave_out = operation.startswith("nan")
    if weights is None:
        result = _between(s, method, share, leave_out=leave_out)
    elif method == "inverted_cdf":
        w = fitted(operation, s.whole, axis, r.cast(lift(r, weights), FLOAT))
        known = r.constant_value(w)
        if known is not None and np.any(known < 0):
            raise misfit(r, operation, "negative weights", "weights of 0 or more")
        result = _weighted(s, broadcast_to(w, s.whole.shape), _on_tape(r, share), leave_out=leave_out)
    else:
        raise unsupported(operation, f"weights= with method={method!r}", "method='inverted_cdf'", r)
    return s.shaped(result, shape, given(keepdims))


def _shares(operation: str, r: Recorder, q: Any, whole: int) -> tuple[Any, tuple[int, ...]]:
    """What is asked for, from 0 to 1, and its shape. That it is in these bounds is a guard for a Variable."""
    if find_variable(q) is None:
        share: Any = np.asarray(q, np.float64) / whole
        inside = bool(np.all((share >= 0) & (share <= 1)))
        if isinstance(q, np.ndarray):
            r.constant(q)  # so that a change of it does not go unnoticed
    else:
        share = floating(operation, lift(r, q)) / float(whole)
        inside = bool(guard(r, reducing.all((share >= 0) & (share <= 1)), BOOL))
    if not inside:
        raise ValueError(describe(operation, found=f"a q outside of 0 to {whole}", wanted="one inside", line=r.line()))
    return share, share.shape


def _on_tape(r: Recorder, share: Any) -> Variable:
    return share if isinstance(share, Variable) else fresh(r, share)


def _between(s: _Slices, method: str, share: Any, *, leave_out: bool) -> Variable:
    """What is at the place of each share, or between two places."""
    r = s.v._recorder
    n: Any = r.cast(s.count(), FLOAT) if leave_out else s.n
    x = _position(method, n, _on_tape(r, share) if leave_out else share)
    first = np.floor(x)
    lower, upper = (np.maximum(np.minimum(p, n - 1), 0).astype(np.int64) for p in (first, first + 1))
    late = x - first >= 0.5
    weight = np.where(late, x - first - 1, x - first)
    base = np.where(late, upper, lower)
    between = isinstance(x, Variable) or bool(np.any(weight))
    if isinstance(x, Variable):
        order = s.order()
    else:
        lower, upper, base, weight = lower.ravel(), upper.ravel(), base.ravel(), fresh(r, weight)
        order = s.order([*lower.tolist(), *upper.tolist(), s.n - 1])
    result = s.at(order, base)
    if between:
        distance = r.elementwise("subtract", s.at(order, upper), s.at(order, lower))
        result = r.elementwise("add", result, r.elementwise("multiply", distance, weight))
    return result if leave_out else s.unless_nan(order, result)


def _weighted(s: _Slices, weights: Variable, share: Variable, *, leave_out: bool) -> Variable:
    """The first element with which the weights so far come up to each share of all; weights of 0 are passed over."""
    r, k = s.v._recorder, s.k
    w = merged(weights, s.axes)[0]
    if leave_out:
        w = reducing.chosen("nanquantile", w, valid(s.v), 0.0)
    order = s.order()
    so_far = r.apply("cumsum", (k,), take_along_axis(w, order, k))
    so_far = r.elementwise("divide", so_far, so_far[(slice(None),) * k + (slice(s.n - 1, None),)])
    below = []
    for j in range(share.shape[k]):
        wanted = share[(slice(None),) * k + (slice(j, j + 1),)]
        short = r.elementwise("logical_or", so_far < wanted, so_far == 0.0)
        below.append(reducing.sum(short, k, keepdims=True))
    places = np.minimum(np.concatenate(below, axis=k), s.n - 1)
    result = s.at(order, places)
    return result if leave_out else s.unless_nan(order, result)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.median: median,
        np.nanmedian: nanmedian,
        np.quantile: quantile,
        np.percentile: percentile,
        np.nanquantile: nanquantile,
        np.nanpercentile: nanpercentile,
    }
)
