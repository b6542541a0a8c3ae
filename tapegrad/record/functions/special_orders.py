"""SciPy's special functions of whole orders, of degrees, and distribution functions, by the ops that they come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import find_variable, lift, operand, recorder_of
from tapegrad.record.functions.elementwise import floating, plain, wrong_kind
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- orders


def expn(n: Any, x: Any) -> Variable:
    """`scipy.special.expn`: generalised exponential integral of whole orders."""
    r = recorder_of(n, x)
    return r.elementwise("expn", _orders("expn", r, n), floating(lift(r, x)))


def _of_whole_order(name: str, op: str) -> Callable[..., Variable]:
    """`scipy.special.kn` and `yn`: Bessel functions of whole orders."""

    def record(n: Any, x: Any) -> Variable:
        r = recorder_of(n, x)
        return r.elementwise(op, _orders(name, r, n), floating(lift(r, x)))

    return record


def _orders(name: str, r: Recorder, n: Any) -> Any:
    """Whole numbers, as floats: constants, or a Variable of integers."""
    if find_variable(n) is None:
        return _whole(name, r, n)
    orders = lift(r, n)
    if orders._kind == FLOAT:
        raise wrong_kind(r, name, f"orders of dtype {orders.dtype}", "integers")
    return r.cast(orders, FLOAT)


def _whole(name: str, r: Recorder, order: Any) -> Any:
    """Constant whole numbers, as floats."""
    if find_variable(order) is not None:
        raise unsupported(name, "a Variable for its order", "a constant integer", r)
    orders = np.asarray(order)
    if orders.dtype.kind not in "iuf" or (orders != np.floor(orders)).any():
        raise wrong_kind(r, name, f"order {order}", "a whole number")
    return orders.astype(np.float64)


# --- derivatives of digamma


def polygamma(n: Any, x: Any) -> Variable:
    """`scipy.special.polygamma`: derivative n of digamma; n is one whole number, or an array of them."""
    r = recorder_of(n, x)
    orders = _whole("polygamma", r, n)
    v = floating(lift(r, x))
    if not orders.ndim and orders == 0:
        return r.elementwise("digamma", v)
    signed = np.array([(-1.0) ** (k + 1) * _factorial(k) for k in orders.flat]).reshape(orders.shape)
    higher = r.elementwise("multiply", r.elementwise("zeta", orders + 1.0, v), signed)
    return r.elementwise("where", orders == 0, r.elementwise("digamma", v), higher) if orders.ndim else higher


def _factorial(k: float) -> float:
    return math.gamma(k + 1.0) if k < 170 else math.inf


# --- angles in degrees


def _of_degrees(op: str, inverse: bool = False) -> Callable[[Any], Variable]:
    """`scipy.special.sindg` and its relatives."""

    def record(x: Any) -> Variable:
        v = floating(operand(x))
        r = v._recorder
        result = r.elementwise(op, r.elementwise("multiply", v, math.pi / 180.0))
        return r.elementwise("reciprocal", result) if inverse else result

    return record


# --- distributions by incomplete gamma and beta functions; only their last argument has a derivative


def _gamma_tail(
    op: str, *, halved: bool = False, counted: bool = False, scaled: bool = False
) -> Callable[..., Variable]:
    """`scipy.special.chdtr` (halved), `pdtr` (counted: of the floor of k, plus 1) and `gdtr` (scaled by a)."""

    def record(*arguments: Any) -> Variable:
        r = recorder_of(*arguments)
        *front, shape, x = (floating(lift(r, v)) for v in arguments)
        if halved:
            shape, x = r.elementwise("multiply", shape, 0.5), r.elementwise("multiply", x, 0.5)
        if counted:
            shape = r.elementwise("add", r.elementwise("floor", shape), 1.0)
        if scaled:
            x = r.elementwise("multiply", front[0], x)
        return r.elementwise(op, shape, x)

    return record


def _fdtr(op: str) -> Callable[..., Variable]:
    """`scipy.special.fdtr` and `fdtrc`: Snedecor's F distribution."""

    def record(dfn: Any, dfd: Any, x: Any) -> Variable:
        r = recorder_of(dfn, dfd, x)
        a, b, v = (floating(lift(r, value)) for value in (dfn, dfd, x))
        weighted = r.elementwise("multiply", a, v)
        share = r.elementwise("divide", weighted, r.elementwise("add", b, weighted))
        return r.elementwise(op, r.elementwise("multiply", a, 0.5), r.elementwise("multiply", b, 0.5), share)

    return record


TABLE: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType(
    {
        "expn": expn,
        "polygamma": polygamma,
        "kn": _of_whole_order("kn", "kv"),
        "yn": _of_whole_order("yn", "yv"),
        "jn": plain("jv"),
        "sindg": _of_degrees("sin"),
        "cosdg": _of_degrees("cos"),
        "tandg": _of_degrees("tan"),
        "cotdg": _of_degrees("tan", inverse=True),
        "chdtr": _gamma_tail("gammainc", halved=True),
        "chdtrc": _gamma_tail("gammaincc", halved=True),
        "pdtr": _gamma_tail("gammaincc", counted=True),
        "pdtrc": _gamma_tail("gammainc", counted=True),
        "gdtr": _gamma_tail("gammainc", scaled=True),
        "gdtrc": _gamma_tail("gammaincc", scaled=True),
        "fdtr": _fdtr("betainc"),
        "fdtrc": _fdtr("betaincc"),
        # What NumPy has a ufunc for, too.
        **{name: plain(name) for name in ("exp2", "expm1", "log1p", "cbrt")},
    }
)
