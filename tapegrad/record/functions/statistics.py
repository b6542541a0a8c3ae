"""NumPy's variances, averages and covariances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import (
    NO_VALUE,
    absent,
    fresh,
    given,
    join,
    lift,
    misfit,
    normalize_axes,
    recorder_of,
    refuse,
    reshaped,
    transposed,
)
from tapegrad.record.functions.indexing import getitem
from tapegrad.record.functions.products import matmul
from tapegrad.record.functions.reducing import axes_of, chosen, count_of, floating, mean, reduced
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_MEAN: Final = mean  # what an argument of that name hides

# --- variance


def var(
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
    """`numpy.var`; a given `mean` is differentiated by, too."""
    return variance("var", a, axis, dtype, out, ddof_of("var", a, ddof, correction), keepdims, where, mean)


def std(
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
    """`numpy.std`; the derivative is 0 where all elements are equal: it has a kink there."""
    return root(variance("std", a, axis, dtype, out, ddof_of("std", a, ddof, correction), keepdims, where, mean))


def ddof_of(operation: str, a: Any, ddof: Any, correction: Any) -> Any:
    """What is taken off the number of elements; NumPy has two names for it."""
    if absent(correction):
        return ddof
    if ddof != 0:
        raise unsupported(operation, "ddof= and correction=", "one of them, as they are the same", recorder_of(a))
    return correction


def variance(
    operation: str,
    a: Any,
    axis: Any,
    dtype: Any,
    out: Any,
    ddof: Any,
    keepdims: Any,
    where: Any,
    mean: Any,
    none: float = 0.0,
) -> Variable:
    """The mean square distance from the mean; `none` is divided by where a mask leaves no degree of freedom."""
    r = recorder_of(a, where, mean)
    refuse(operation, r, out=out)
    v = floating(operation, lift(r, a), dtype)
    axes = axes_of(operation, v, axis)
    centre = _MEAN(v, axes, keepdims=True, where=where) if absent(mean) else r.cast(lift(r, mean), FLOAT)
    distance = r.elementwise("subtract", v, centre)
    if distance.shape != v.shape:
        raise misfit(r, operation, f"mean= of shape {centre.shape}", "the mean of the elements, with keepdims=True")
    squares = r.elementwise("square", chosen(operation, distance, where, 0.0))
    count = count_of(operation, v, axes, where, given(keepdims))
    if isinstance(count, int):
        freedom: Any = max(count - ddof, 0)
    else:
        left = r.elementwise("subtract", count, ddof)
        freedom = r.elementwise("where", r.elementwise("greater", left, 0.0), left, none)
    return r.elementwise("divide", reduced("sum", squares, axes, given(keepdims)), freedom)


def root(v: Variable) -> Variable:
    """The square root, with derivative 0 at 0.

    There it is sqrt(v + 1) - 1; a `where` would make the whole derivative masked.
    """
    r = v._recorder
    one = r.cast(r.elementwise("equal", v, 0.0), FLOAT)
    return r.elementwise("subtract", r.elementwise("sqrt", r.elementwise("add", v, one)), one)


# --- averages


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NO_VALUE
) -> Variable | tuple[Variable, Variable]:
    """`numpy.average`; also differentiated by the weights.

    Raises:
        ShapeError: weights that do not fit the array.
        ZeroDivisionError: constant weights that add up to 0.
    """
    r = recorder_of(a, weights)
    v = floating("average", lift(r, a))
    axes = axes_of("average", v, axis)
    if weights is None:
        result = _MEAN(v, axes, keepdims=keepdims)
        total = r.cast(r.constant(count_of("average", v, axes, None, False)), FLOAT)
    else:
        w = fitted("average", v, axis, r.cast(lift(r, weights), FLOAT))
        total = reduced("sum", w, axes, given(keepdims))
        known = r.constant_value(total)
        if known is not None and not np.all(known):
            found, wanted = "weights that add up to 0", "another sum, to divide by"
            raise ZeroDivisionError(describe("average", found=found, wanted=wanted, line=r.line()))
        result = r.elementwise("divide", reduced("sum", r.elementwise("multiply", v, w), axes, given(keepdims)), total)
    return (result, broadcast_to(total, result.shape)) if returned else result


def fitted(operation: str, v: Variable, axis: Any, w: Variable) -> Variable:
    """The weights in a shape that broadcasts to the array's: they may be given for the axes alone."""
    r = v._recorder
    if w.shape == v.shape:
        return w
    if axis is None:
        wanted = f"weights of shape {v.shape}, or axis="
        raise misfit(r, operation, f"weights of shape {w.shape} without an axis", wanted)
    axes = normalize_axes(axis, v.ndim, operation, r)
    if w.shape != tuple(v.shape[k] for k in axes):
        wanted = f"weights of shape {v.shape} or {tuple(v.shape[k] for k in axes)}"
        raise misfit(r, operation, f"weights of shape {w.shape}", wanted)
    w = transposed(w, tuple(np.argsort(axes).tolist()))
    return reshaped(w, tuple(n if k in axes else 1 for k, n in enumerate(v.shape)))


# --- covariance


def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Variable:
    """`numpy.cov`; also differentiated by both kinds of weights."""
    r = recorder_of(m, y, fweights, aweights)
    rows = _variables(r, "cov", m, rowvar, dtype)
    if y is not None:
        rows = _joined(r, rows, _variables(r, "cov", y, rowvar, dtype))
    n = rows.shape[1]
    frequencies = _weights(r, "fweights", fweights, n)
    importances = _weights(r, "aweights", aweights, n)
    less = (0 if bias else 1) if ddof is None else ddof
    both = [w for w in (frequencies, importances) if w is not None]
    if not both:
        weighted = centred = r.elementwise("subtract", rows, _MEAN(rows, 1, keepdims=True))
        freedom: Any = float(max(n - less, 0))
    else:
        w = both[0] if len(both) == 1 else r.elementwise("multiply", *both)
        total = r.apply("sum", (0,), w)
        centre = r.elementwise("divide", reduced("sum", r.elementwise("multiply", rows, w), (1,), True), total)
        centred = r.elementwise("subtract", rows, centre)
        weighted = r.elementwise("multiply", centred, w)
        freedom = _freedom(r, total, w, importances, less)
    product = matmul(centred, transposed(weighted, (1, 0)))
    shape = tuple(k for k in product.shape if k != 1)
    return reshaped(r.elementwise("divide", product, freedom), shape)


def _variables(r: Recorder, operation: str, m: Any, rowvar: bool, dtype: Any) -> Variable:
    """What is observed, a row each."""
    v = floating(operation, lift(r, m), dtype)
    if v.ndim > 2:
        raise misfit(r, operation, f"shape {v.shape}", "two axes at most")
    if v.ndim < 2:
        return reshaped(v, (1, v.size))
    return v if rowvar else transposed(v, (1, 0))


def _joined(r: Recorder, rows: Variable, more: Variable) -> Variable:
    if rows.shape[1] != more.shape[1]:
        found = f"{rows.shape[1]} and {more.shape[1]} observations"
        raise misfit(r, "cov", found, "as many of the one as of the other")
    return join(r, [rows, more], 0)


def _weights(r: Recorder, name: str, weights: Any, n: int) -> Variable | None:
    if weights is None:
        return None
    w = lift(r, weights)
    if w.shape != (n,):
        raise misfit(r, "cov", f"{name} of shape {w.shape}", f"one for each of {n} observations")
    known = r.constant_value(w)
    if name == "fweights" and w._kind == FLOAT and (known is None or np.any(known != np.round(known))):
        raise unsupported("cov", "fweights that are not integers", "integers: how often each was observed", r)
    if known is not None and np.any(known < 0):
        raise misfit(r, "cov", f"negative {name}", "weights of 0 or more")
    return r.cast(w, FLOAT)


def _freedom(r: Recorder, total: Variable, w: Variable, importances: Variable | None, less: Any) -> Variable:
    """What the sum of products is divided by; not below 0."""
    if less == 0:
        return total
    taken: Any = less
    if importances is not None:
        square = r.apply("sum", (0,), r.elementwise("multiply", w, importances))
        taken = r.elementwise("multiply", less, r.elementwise("divide", square, total))
    left = r.elementwise("subtract", total, taken)
    return r.elementwise("where", r.elementwise("greater", left, 0.0), left, 0.0)


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Variable:
    """`numpy.corrcoef`; what rounding puts outside of -1 to 1 is brought back, with the derivative it has."""
    c = cov(x, y, rowvar, dtype=dtype)
    r = c._recorder
    if c.ndim == 0:
        return r.elementwise("divide", c, c)
    n = c.shape[0]
    index = fresh(r, np.arange(n))
    deviation = r.elementwise("sqrt", getitem(c, (index, index)))
    scaled = r.elementwise("divide", r.elementwise("divide", c, reshaped(deviation, (n, 1))), deviation)
    limited = r.elementwise("minimum", r.elementwise("maximum", scaled, -1.0), 1.0)
    moved = r.apply("stop_gradient", (), r.elementwise("subtract", limited, scaled))
    return r.elementwise("add", scaled, moved)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {np.var: var, np.std: std, np.average: average, np.cov: cov, np.corrcoef: corrcoef}
)
