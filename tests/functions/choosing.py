"""Functions that choose, compare, and apply functions piece by piece."""

from __future__ import annotations

from typing import Final

import numpy as np

from tests.functions.case import Call, distinct, uniform

_MATRIX, _OTHER = distinct(3, 4), uniform(3, 4, seed=1)
_MASK: Final = np.array([True, False, True])
_NAMES: Final = np.array([[0, 2, 1, 1], [2, 2, 0, 1], [0, 1, 0, 2]])
_HOLES: Final = np.array([0.0, np.nan, np.inf, 0.0])
_EDGES: Final = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0])

_CHOOSING: Final = (
    Call("numpy.select", lambda np, x, y: np.select([x > 1, x < 0], [x * y, y], 2.0), (_MATRIX, _OTHER)),
    Call("numpy.select", lambda np, x, y: np.select([x > 0], [y]), (_MATRIX, _OTHER)),
    Call("numpy.select", lambda np, x, y: np.select([x > 0], [np.sqrt(abs(x))], y), (_MATRIX, uniform())),
    Call(
        "numpy.choose", lambda np, k, x, y: np.choose(k, [x, y, 0.5]), (_NAMES, _MATRIX, uniform(4, seed=1)), jax=False
    ),
    *(
        Call("numpy.choose", lambda np, k, x, m=m: np.choose(k, [x, x * x], mode=m), (2 * _NAMES - 1, _MATRIX))
        for m in ("wrap", "clip")
    ),
    Call("numpy.choose", lambda np, x, y: np.choose(_NAMES[0], [x, y, x]), (uniform(4), uniform(4, seed=1)), jax=False),
    Call("numpy.compress", lambda np, x: np.compress(_MASK, x, axis=0), (_MATRIX,)),
    Call("numpy.compress", lambda np, x: np.compress(np.array([0, 1, 1, 0, 1]), x), (_MATRIX,)),
    Call("numpy.extract", lambda np, x: np.extract(_NAMES == 1, x), (_MATRIX,)),
    *(
        Call("numpy.take", lambda np, x, k, m=m: np.take(x, k, axis=1, mode=m), (_MATRIX, 3 * _NAMES - 2))
        for m in ("wrap", "clip")
    ),
    *(
        Call("numpy.take", lambda np, x, m=m: np.take(x, np.array([5, -7, 2, 19]), mode=m), (_MATRIX,))
        for m in ("wrap", "clip")
    ),
)

_PIECES: Final = (
    Call(
        "numpy.piecewise", lambda np, x: np.piecewise(x, [x < 0, x > 1], [np.exp, np.log, 0.5]), (_MATRIX,), jax=False
    ),
    Call(
        "numpy.piecewise",
        lambda np, x, a: np.piecewise(x, [x < 0], [lambda v, a: v * a, lambda v, a: a - v], a),
        (distinct(5), uniform()),
    ),
    # In NumPy the first function sees two elements, and so it does here.
    Call(
        "numpy.piecewise",
        lambda np, x: np.piecewise(x, [_MASK], [lambda v: v * v.sum(), lambda v: v**3]),
        (distinct(3),),
        jax=False,
    ),
    Call("numpy.piecewise", lambda np, x: np.piecewise(x, x > 0, [np.sqrt, 1.0]), (distinct(6),), jax=False),
    Call("numpy.apply_along_axis", lambda np, x: np.apply_along_axis(np.sum, 0, x), (_MATRIX,)),
    Call(
        "numpy.apply_along_axis",
        lambda np, x, a: np.apply_along_axis(lambda v, a: v[:2, None] * v[1:] + a, 1, x, a),
        (uniform(2, 3, 2), uniform()),
    ),
    Call("numpy.apply_over_axes", lambda np, x: np.apply_over_axes(np.sum, x, (0, -1)), (uniform(2, 3, 2),)),
    Call("numpy.unravel_index", lambda np, k: np.unravel_index(k, (3, 4)), (np.array([7, 0, 11]),), smooth=False),
    Call(
        "numpy.ravel_multi_index",
        lambda np, i, j: np.ravel_multi_index((i, j), (3, 4), mode=("wrap", "clip")),
        (np.array([-1, 4, 2]), np.array([1, 9, -3])),
        smooth=False,
        plain=False,
    ),
)

_COMPARING: Final = (
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x), (_MATRIX,)),
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x + _HOLES, nan=2.0, posinf=1.0), (_MATRIX,)),
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x, nan=1.0, posinf=2.0, neginf=-3.0), (_EDGES,), smooth=False),
    Call("numpy.nan_to_num", lambda np, x: np.nan_to_num(x), (_EDGES,), smooth=False),
    Call("numpy.heaviside", lambda np, x, y: np.heaviside(x, y), (_MATRIX, _OTHER)),
    Call("numpy.heaviside", lambda np, x, y: np.heaviside(x, y), (np.arange(-1, 2), uniform(3)), jax=False),
    Call("numpy.heaviside", lambda np, x: np.heaviside(x, 0.5), (_EDGES,), smooth=False),
    Call("numpy.isclose", lambda np, x, y: np.isclose(x, y, atol=0.3), (_MATRIX, _OTHER), smooth=False),
    Call("numpy.isclose", lambda np, x: np.isclose(x, x[::-1], equal_nan=True), (_EDGES,), smooth=False),
    Call("numpy.isclose", lambda np, x: np.isclose(x, x), (_EDGES,), smooth=False),
    Call("numpy.allclose", lambda np, x: np.allclose(x, x + 1e-9), (_MATRIX,), smooth=False),
    Call("numpy.array_equal", lambda np, x: np.array_equal(x, x), (_EDGES,), smooth=False),
    Call("numpy.array_equal", lambda np, x: np.array_equal(x, x, equal_nan=True), (_EDGES,), smooth=False),
    Call("numpy.array_equiv", lambda np, x: np.array_equiv(x, x[None]), (_MATRIX,), smooth=False),
    Call("numpy.isreal", lambda np, x: np.isreal(x), (_MATRIX,), smooth=False),
    Call("numpy.iscomplex", lambda np, x: np.iscomplex(x), (_MATRIX,), smooth=False),
    Call("numpy.imag", lambda np, x: np.imag(x), (_MATRIX,), smooth=False),
    Call("numpy.real_if_close", lambda np, x: np.real_if_close(x) * x, (_MATRIX,), jax=False),
    Call("numpy.angle", lambda np, x: np.angle(x), (_MATRIX,)),
    Call("numpy.angle", lambda np, x: np.angle(x, deg=True), (np.append(_EDGES, -0.0),), smooth=False),
)

CALLS: Final = _CHOOSING + _PIECES + _COMPARING
