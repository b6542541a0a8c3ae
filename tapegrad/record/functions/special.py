"""Functions of `scipy.special` that are no ufuncs, as compositions. Ufuncs are rows, and found by their names."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT
from tapegrad.record.functions import reducing
from tapegrad.record.functions.common import constant, find_variable, given, lift, misfit, recorder_of, refuse, reshaped
from tapegrad.record.functions.shaping import broadcast_to
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable


def ufunc(name: str, recorder: Recorder, *values: Any) -> Any:
    """What records a ufunc of `scipy.special`, called; `UnsupportedError` where there is no row for it."""
    known = recorder.functions.get(name)
    if known is None:
        raise unsupported(f"scipy.special.{name}", "a Variable", "a function that tapegrad knows", recorder)
    return known(*values)


def _floats(*values: Any) -> tuple[Recorder, list[Variable]]:
    recorder = recorder_of(*values)
    return recorder, [recorder.cast(lift(recorder, v), FLOAT) for v in values]


# --- exponentials


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: bool = False) -> Any:
    """`scipy.special.logsumexp`, of weights `b`, too: no overflow, right where all or some entries are infinite.

    Where nothing is added up the result is -inf, and its derivative 0.
    """
    if b is None:
        result = reducing.logsumexp(a, axis, keepdims=keepdims)
        if not return_sign:
            return result
        ones = constant(result._recorder, 1.0, result.shape, FLOAT)
        return result, np.where(result == -np.inf, 0.0, ones)
    r, (v, weights) = _floats(a, b)
    shape = np.broadcast_shapes(v.shape, weights.shape)
    v, weights = broadcast_to(v, shape), broadcast_to(weights, shape)
    axes = reducing.axes_of("logsumexp", v, axis)
    kept = reducing.kept(v, axes)
    total, shift, empty = _added(r, v, weights, axes)
    size = np.where(empty, 1.0, np.abs(total) if return_sign else total)
    logarithm: Any = np.where(empty, -np.inf, np.log(size) + shift)
    shape = kept if given(keepdims) else reducing.dropped(v, axes)
    sign: Any = np.sign(total)
    return (reshaped(logarithm, shape), reshaped(sign, shape)) if return_sign else reshaped(logarithm, shape)


def _added(r: Recorder, v: Any, weights: Any, axes: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """The weighted sum of exp(v - shift), the shift, and where nothing is added up."""
    kept = reducing.kept(v, axes)
    if 0 in (v.shape[k] for k in axes):
        return constant(r, 0.0, kept, FLOAT), 0.0, constant(r, True, kept, BOOL)
    counted: Any = np.where(weights == 0, -np.inf, v)
    largest: Any = reducing.reduced("max", r.apply("stop_gradient", (), counted), axes, True)
    shift, empty = np.where(np.isfinite(largest), largest, 0.0), largest == -np.inf
    # A weight of 0 takes part in nothing, but the derivative to it is the exponential.
    raised: Any = np.exp(np.where(empty, -np.inf, v - shift))
    return reducing.reduced("sum", r.elementwise("masked_multiply", weights, raised), axes, True), shift, empty


def _shifted(operation: str, x: Any, axis: Any) -> tuple[Variable, tuple[int, ...]]:
    """The operand less its largest element, which is no part of the derivative."""
    r, (v,) = _floats(x)
    axes = reducing.axes_of(operation, v, axis)
    if v.size == 0:
        return v, axes
    return v - r.apply("stop_gradient", (), reducing.reduced("max", v, axes, True)), axes


def softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.softmax`; entries of -inf, which a mask may have put there, are 0 with derivative 0."""
    v, axes = _shifted("softmax", x, axis)
    terms: Any = np.exp(v)
    return terms / reducing.reduced("sum", terms, axes, True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    """`scipy.special.log_softmax`."""
    v, axes = _shifted("log_softmax", x, axis)
    terms: Any = np.exp(v)
    return v - np.log(reducing.reduced("sum", terms, axes, True))


def softplus(x: Any) -> Any:
    """`scipy.special.softplus`: log(1 + exp(x))."""
    return np.logaddexp(0.0, _floats(x)[1][0])


# --- the gamma function's relatives


def multigammaln(a: Any, d: Any) -> Any:
    """`scipy.special.multigammaln` (Anderson, Introduction to Multivariate Statistical Analysis, section 7.2)."""
    r, (v,) = _floats(a)
    if find_variable(d) is not None:
        raise unsupported("multigammaln", "a Variable for d", "an integer", r)
    n = operator.index(d)
    if n < 1:
        raise misfit(r, "multigammaln", f"d = {n}", "a positive dimension")
    result: Any = n * (n - 1) * 0.25 * math.log(math.pi)
    for j in range(n):
        result = result + ufunc("gammaln", r, v - 0.5 * j)
    return np.where(v > 0.5 * (n - 1), result, np.nan)  # SciPy raises, but here a is not known yet


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:  # noqa: N803 - SciPy's name
    """`scipy.special.comb` of real numbers; 0 where k < 0, N < 0 or k > N."""
    r, (n, taken) = _floats(N, k)
    refuse("comb", r, exact=exact or None)
    if repetition:
        return np.where((taken == 0) & (n >= 0), 1.0, ufunc("binom", r, n + taken - 1.0, taken))
    return np.where((taken <= n) & (n >= 0) & (taken >= 0), ufunc("binom", r, n, taken), 0.0)


def perm(N: Any, k: Any, exact: bool = False) -> Any:  # noqa: N803 - SciPy's name
    """`scipy.special.perm` of real numbers; 0 where k < 0, N < 0 or k > N."""
    r, (n, taken) = _floats(N, k)
    refuse("perm", r, exact=exact or None)
    return np.where((taken <= n) & (n >= 0) & (taken >= 0), ufunc("poch", r, n - taken + 1.0, taken), 0.0)


def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Any:
    """`scipy.special.factorial`: gamma(n + 1), and 0 where n < 0."""
    r, (v,) = _floats(n)
    refuse("factorial", r, exact=exact or None, extend=None if extend == "zero" else extend)
    return np.where(v < 0, 0.0, ufunc("gamma", r, v + 1.0))


def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    """`scipy.special.zeta`: Riemann's, or with `q` Hurwitz's, which has a derivative to q only."""
    r = recorder_of(x, q)
    refuse("zeta", r, out=out)
    return ufunc("_zeta", r, *_floats(x, 1.0 if q is None else q)[1])


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        "logsumexp": logsumexp,
        "softmax": softmax,
        "log_softmax": log_softmax,
        "softplus": softplus,
        "multigammaln": multigammaln,
        "comb": comb,
        "perm": perm,
        "factorial": factorial,
        "zeta": zeta,
    }
)
