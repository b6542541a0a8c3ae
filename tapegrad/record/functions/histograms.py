"""NumPy's functions that count, or add up weights, by bin. Counts have no derivative; sums of weights are linear."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import DtypeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.common import find_variable, fresh, join, lift, misfit, recorder_of, reshaped, stretch
from tapegrad.record.functions.reducing import counted
from tapegrad.record.functions.reducing import max as largest
from tapegrad.record.functions.reducing import min as smallest
from tapegrad.record.functions.sorting import rises, searchsorted, sort
from tapegrad.record.guards import guard
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable


def histogram(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    density: Any = None,
    weights: Any = None,
) -> tuple[Variable, Variable]:
    """`numpy.histogram`; the edges are differentiated, too, where they are made of the smallest and the largest.

    Raises:
        UnsupportedError: bins that NumPy would choose by a rule ("auto").
        ValueError: no bins, or edges that do not rise.
    """
    r = recorder_of(a, bins, range, weights)
    v = lift(r, a)
    line = reshaped(v, (v.size,))
    edges = _edges("histogram", r, line, bins, range)
    n = edges.size - 1
    if weights is None:
        counts = _counts(line, edges)
    else:
        w = lift(r, weights)
        if w.shape != v.shape:
            raise misfit(r, "histogram", f"weights of shape {w.shape}", f"one for each element of shape {v.shape}")
        place = searchsorted(edges, line, "right")  # 0 and n + 1 are outside
        place = r.elementwise("where", r.elementwise("equal", line, edges[-1]), n, place)
        counts = stretch(_added(r.cast(reshaped(w, line.shape), FLOAT), place, n + 2), 0, 1, n)
    if density:
        width = r.elementwise("subtract", stretch(edges, 0, 1, n), stretch(edges, 0, 0, n))
        floats = r.cast(counts, FLOAT)
        counts = r.elementwise("divide", r.elementwise("divide", floats, width), r.apply("sum", (0,), floats))
    return counts, edges


def histogram_bin_edges(
    a: Any,
    bins: Any = 10,
    range: Any = None,  # noqa: A002 - NumPy's name
    weights: Any = None,
) -> Variable:
    """`numpy.histogram_bin_edges`; errors as of `histogram`."""
    r = recorder_of(a, bins, range, weights)
    v = lift(r, a)
    return _edges("histogram_bin_edges", r, reshaped(v, (v.size,)), bins, range)


def _edges(operation: str, r: Recorder, line: Variable, bins: Any, bounds: Any) -> Variable:
    """Edges as given, or of so many bins of one width."""
    if isinstance(bins, str):
        raise unsupported(operation, f"bins={bins!r}", "a number of bins, or their edges", r)
    if np.ndim(bins):
        edges = lift(r, bins if find_variable(bins) is not None else np.asarray(bins))
        if edges.ndim != 1 or not rises(edges):
            raise misfit(r, operation, "edges in no order", "edges on one axis, that rise")
        return r.cast(edges, FLOAT)
    n = operator.index(bins)
    if n < 1:
        raise misfit(r, operation, f"{n} bins", "one or more")
    first, last = _bounds(operation, r, line, bounds)
    step = r.elementwise("divide", r.elementwise("subtract", last, first), float(n))
    rest = r.elementwise("add", r.elementwise("multiply", step, fresh(r, np.arange(float(n)))), first)
    return join(r, [rest, reshaped(last, (1,))], 0)


def _bounds(operation: str, r: Recorder, line: Variable, bounds: Any) -> tuple[Variable, Variable]:
    """The outer edges. That they are finite, and differ, is a guard where it is not known."""
    if bounds is not None:
        first, last = (r.cast(lift(r, x), FLOAT) for x in bounds)
    elif not line.size:
        first, last = r.constant(0.0), r.constant(1.0)
    else:
        first, last = r.cast(smallest(line), FLOAT), r.cast(largest(line), FLOAT)
    width = r.elementwise("subtract", last, first)
    if not guard(r, r.elementwise("isfinite", width), BOOL) or guard(r, r.elementwise("less", width, 0.0), BOOL):
        raise misfit(r, operation, "a range that is not finite, or falls", "range=(low, high)")
    if guard(r, r.elementwise("equal", width, 0.0), BOOL):
        return r.elementwise("subtract", first, 0.5), r.elementwise("add", last, 0.5)
    return first, last


def _counts(line: Variable, edges: Variable) -> Variable:
    """How many elements are from each edge to the next; the last edge belongs to its bin."""
    r, n = line._recorder, edges.size - 1
    ordered = sort(line)
    below = searchsorted(ordered, stretch(edges, 0, 0, n), "left")
    return _steps(join(r, [below, searchsorted(ordered, stretch(edges, 0, n, 1), "right")], 0))


def _steps(v: Variable) -> Variable:
    n = v.size - 1
    return v._recorder.elementwise("subtract", stretch(v, 0, 1, n), stretch(v, 0, 0, n))


def _added(weights: Variable, place: Variable, n: int) -> Variable:
    """Weights added up by the places they belong to."""
    return weights._recorder.apply("scatter", (0, n, 0), weights, place)


def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Variable:
    """`numpy.bincount`; the length of the result is a guard where it is not known.

    Raises:
        DtypeError: floats to count.
        ShapeError: negative integers, or weights that do not fit.
    """
    r = recorder_of(x, weights, minlength)
    v = counted(lift(r, x))
    if v._kind != INT:
        raise DtypeError(describe("bincount", found=f"an array of {v.dtype}", wanted="integers", line=r.line()))
    if v.ndim != 1:
        raise misfit(r, "bincount", f"shape {v.shape}", "one axis")
    n = operator.index(minlength)
    if v.size:
        if guard(r, r.elementwise("less", smallest(v), 0), BOOL):
            raise misfit(r, "bincount", "negative integers", "integers of 0 or more")
        n = guard(r, r.elementwise("maximum", r.elementwise("add", largest(v), 1), n), INT)
    if weights is None:
        return _steps(searchsorted(sort(v), fresh(r, np.arange(n + 1))))
    w = lift(r, weights)
    if w.shape != v.shape:
        raise misfit(r, "bincount", f"weights of shape {w.shape}", f"one for each of shape {v.shape}")
    return _added(r.cast(w, FLOAT), v, n)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {np.histogram: histogram, np.histogram_bin_edges: histogram_bin_edges, np.bincount: bincount}
)
