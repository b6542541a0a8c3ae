"""Functions of neighbours, of points on a line, and of polynomials."""

from __future__ import annotations

from typing import Final

import numpy as np

from tapegrad.record.functions import FUNCTIONS
from tests.functions.case import Call, uniform

_VECTOR, _MATRIX = uniform(5), uniform(3, 4)
_POINTS: Final = np.array([0.0, 0.4, 1.5, 1.9, 3.0])
_PLACES: Final = np.array([0.1, 1.7, 0.5, 2.9, 1.6, -1.0, 3.5])

_DIFFERENCES: Final = (
    Call("numpy.diff", lambda np, x: np.diff(x), (_MATRIX,)),
    Call("numpy.diff", lambda np, x: np.diff(x, 2, axis=0), (_MATRIX,)),
    Call("numpy.diff", lambda np, x, y: np.diff(x, prepend=y, append=0.5), (_VECTOR, uniform(2, seed=1))),
    Call("numpy.diff", lambda np, x: np.diff(x > 0), (_VECTOR,), smooth=False),
    Call("numpy.ediff1d", lambda np, x: np.ediff1d(x), (_MATRIX,)),
    Call(
        "numpy.ediff1d", lambda np, x, y: np.ediff1d(x, to_end=y, to_begin=np.array([1.0, 2.0])), (_VECTOR, uniform())
    ),
    Call("numpy.trapezoid", lambda np, y: np.trapezoid(y, dx=0.5, axis=0), (_MATRIX,)),
    Call("numpy.trapezoid", lambda np, y, x: np.trapezoid(y, x), (_MATRIX, uniform(4, seed=1))),
    Call("numpy.trapezoid", lambda np, y, x: np.trapezoid(y, x, axis=0), (_MATRIX, uniform(3, 4, seed=1))),
    Call("numpy.gradient", lambda np, f: np.gradient(f), (_MATRIX,)),
    Call("numpy.gradient", lambda np, f, h: np.gradient(f, h, axis=0), (_MATRIX, uniform(low=1.0))),
    Call("numpy.gradient", lambda np, f: np.gradient(f, 0.5, 2.0), (_MATRIX,)),
    Call("numpy.gradient", lambda np, f: np.gradient(f, edge_order=2, axis=-1), (_MATRIX,), jax=False),
    Call("numpy.gradient", lambda np, f, x: np.gradient(f, x), (_VECTOR, _POINTS)),
    Call("numpy.gradient", lambda np, f, x: np.gradient(f, x, edge_order=2), (_VECTOR, _POINTS), jax=False),
    Call("numpy.gradient", lambda np, f: np.gradient(f, 2.0 * np.arange(4), axis=1), (_MATRIX,)),
    Call("numpy.cross", lambda np, a, b: np.cross(a, b), (uniform(3), uniform(2, 3, seed=1))),
    Call("numpy.cross", lambda np, a, b: np.cross(a, b, axis=0), (uniform(3, 2), uniform(3, 1, seed=1))),
    Call("numpy.cross", lambda np, a, b: np.cross(a, b, axisa=0, axisc=0), (uniform(3, 4), uniform(4, 3, seed=1))),
)

_SPACING: Final = (
    Call("numpy.linspace", lambda np, a, b: np.linspace(a, b, 5), (uniform(), uniform(seed=1))),
    Call("numpy.linspace", lambda np, a: np.linspace(a, 2.0, 4, endpoint=False, axis=-1), (uniform(3),)),
    Call("numpy.linspace", lambda np, a, b: np.linspace(a, b, 3, retstep=True), (uniform(), uniform(3, seed=1))),
    Call("numpy.linspace", lambda np, a, b: np.linspace(a, b, 7, dtype=np.int64), (uniform(), uniform()), smooth=False),
    Call("numpy.logspace", lambda np, a, b: np.logspace(a, b, 4, base=2.0), (uniform(), uniform(3, seed=1))),
    Call(
        "numpy.logspace", lambda np, a, c: np.logspace(a, 1.0, 3, base=c), (uniform(), uniform(2, low=1.0)), jax=False
    ),
    Call("numpy.geomspace", lambda np, a, b: np.geomspace(a, b, 4), (uniform(2, low=1.0), uniform(2, low=0.5, seed=1))),
    Call("numpy.geomspace", lambda np, a: np.geomspace(-a, -3.0, 3, endpoint=False), (uniform(low=1.0),)),
    Call("numpy.interp", lambda np, x, fp: np.interp(x, _POINTS, fp), (_PLACES, _VECTOR)),
    Call("numpy.interp", lambda np, x, xp, fp: np.interp(x, xp, fp), (_PLACES, _POINTS, _VECTOR)),
    Call("numpy.interp", lambda np, x, fp, e: np.interp(x, _POINTS, fp, e, -e), (_PLACES, _VECTOR, uniform())),
    Call("numpy.interp", lambda np, x, fp: np.interp(x, _POINTS[::-1], fp, period=2.5), (_PLACES + 0.03, _VECTOR)),
    Call(
        "numpy.interp",
        lambda np, x, xp, fp, p: np.interp(x, xp, fp, period=p),
        (_PLACES + 0.03, _POINTS[::-1] + 0.1, _VECTOR, np.array(2.5)),
    ),
    Call("numpy.interp", lambda np, xp, fp: np.interp(np.array([[0.2, 2.2]]), xp, fp), (_POINTS, _VECTOR)),
)

_POLYNOMIALS: Final = (
    *(
        Call("numpy.convolve", lambda np, a, v, mode=mode: np.convolve(a, v, mode), (_VECTOR, uniform(3, seed=1)))
        for mode in ("full", "same", "valid")
    ),
    Call("numpy.convolve", lambda np, a, v: np.convolve(a, v), (uniform(34), uniform(40, seed=1))),
    Call("numpy.convolve", lambda np, a, v: np.convolve(a, v, "valid"), (uniform(50), uniform(35, seed=1))),
    Call("numpy.correlate", lambda np, a, v: np.correlate(a, v), (_VECTOR, uniform(3, seed=1))),
    Call("numpy.correlate", lambda np, a, v: np.correlate(a, v, "same"), (uniform(3), uniform(6, seed=1))),
    Call("numpy.correlate", lambda np, a, v: np.correlate(a, v, "full"), (uniform(40), uniform(34, seed=1))),
    Call("numpy.polyval", lambda np, p, x: np.polyval(p, x), (uniform(4), _MATRIX)),
    Call("numpy.polyval", lambda np, x: np.polyval(np.array([2, -1, 3]), x), (_VECTOR,)),
    Call(
        "numpy.polyval", lambda np, a, x: np.polyval([a, 1.0, a * a], x), (uniform(), _VECTOR), jax=False, plain=False
    ),
    Call("numpy.polyadd", lambda np, p, q: np.polyadd(p, q), (uniform(4), uniform(2, seed=1))),
    Call("numpy.polysub", lambda np, p, q: np.polysub(p, q), (uniform(2), uniform(3, seed=1))),
    Call("numpy.polymul", lambda np, p, q: np.polymul(p, q), (uniform(4), uniform(2, seed=1))),
    Call("numpy.polymul", lambda np, p: np.polymul([0.0, 0.0, 2.0, 1.0], p), (uniform(3),), jax=False),
    Call("numpy.polyder", lambda np, p: np.polyder(p, 2), (uniform(5),)),
    Call("numpy.polyint", lambda np, p: np.polyint(p), (uniform(3),)),
    Call("numpy.polyint", lambda np, p, k: np.polyint(p, 2, k), (uniform(3), uniform(2, seed=1))),
    Call("numpy.poly", lambda np, z: np.poly(z), (uniform(4),)),
    Call("numpy.sinc", lambda np, x: np.sinc(x), (_MATRIX,)),
    # JAX divides near 0, too: it finds a second derivative of 201 at 1e-9, where it is -pi**2 / 3.
    Call("numpy.sinc", lambda np, x: np.sinc(x), (np.array([0.0, 1e-9, -1e-5, 1e-3, 0.3, 0.31, 0.32]),), jax=False),
)

# These need functions that other modules record.
_ANGLES: Final = np.array([0.1, 3.0, -2.9, 0.4, 6.9, 20.0])
_WRAPPED: Final = (
    Call("numpy.unwrap", lambda np, p: np.unwrap(p), (_ANGLES,)),
    Call("numpy.unwrap", lambda np, p: np.unwrap(p.reshape(2, 3), 4.0, 0, period=3.1), (_ANGLES,)),
    Call("numpy.unwrap", lambda np, p: np.unwrap(p, period=7), (np.array([0, 4, 1, 8, -3, 0]),), smooth=False),
    Call("numpy.unwrap", lambda np, p, n: np.unwrap(p, period=n), (_ANGLES, uniform(low=3.0, high=3.5)), jax=False),
)

CALLS: Final = _DIFFERENCES + _SPACING + _POLYNOMIALS + (_WRAPPED if np.cumsum in FUNCTIONS else ())
