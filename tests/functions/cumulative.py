"""Functions that keep every result along an axis, and `accumulate` and `reduce` of ufuncs."""

from __future__ import annotations

from typing import Final

import numpy

from tests.functions.case import Call, distinct, uniform

ZEROS: Final = numpy.array([[1.5, 0.0, 2.0, -0.5], [0.0, 3.0, 0.0, 2.0], [0.7, 1.1, -0.9, 0.4]])
NAN: Final = numpy.array([[1.5, numpy.nan, 2.0], [numpy.nan, numpy.nan, 0.5]])
STARTS: Final = numpy.array([1, 3, 2])
LONG: Final = uniform(2, 69, low=0.7, high=1.4)

CALLS: Final = (
    Call("numpy.cumsum", lambda np, x: np.cumsum(x), (uniform(2, 3),)),
    Call("numpy.cumsum", lambda np, x: np.cumsum(x, axis=-1), (uniform(2, 3),)),
    Call("numpy.cumsum", lambda np, x: np.cumsum(x, axis=0) * x, (uniform(3, 2),)),
    Call("numpy.cumsum", lambda np, x: np.cumsum(x > 0, axis=1, dtype=int), (uniform(2, 5),), smooth=False),
    Call("numpy.cumsum", lambda np, k: np.cumsum(k, axis=0), (numpy.arange(6).reshape(3, 2),), smooth=False),
    Call("numpy.cumprod", lambda np, x: np.cumprod(x), (uniform(2, 3),)),
    Call("numpy.cumprod", lambda np, x: np.cumprod(x, axis=1), (ZEROS,), jax=False),
    Call("numpy.cumprod", lambda np, x: np.cumprod(x, axis=0), (ZEROS,), jax=False),
    Call("numpy.cumprod", lambda np, x: np.cumprod(x, -1), (LONG,), rtol=1e-6),
    Call("numpy.cumprod", lambda np, k: np.cumprod(k, dtype=float), (numpy.arange(1, 6),), smooth=False),
    Call("numpy.cumulative_sum", lambda np, x: np.cumulative_sum(x), (uniform(4),)),
    Call("numpy.cumulative_sum", lambda np, x: np.cumulative_sum(x, axis=0, include_initial=True), (uniform(3, 2),)),
    Call("numpy.cumulative_prod", lambda np, x: np.cumulative_prod(x), (uniform(4),)),
    Call("numpy.cumulative_prod", lambda np, x: np.cumulative_prod(x, axis=-1, include_initial=True), (uniform(2, 3),)),
    Call("numpy.nancumsum", lambda np, x: np.nancumsum(x, axis=1), (NAN,)),
    Call("numpy.nancumsum", lambda np, x: np.nancumsum(x), (NAN,)),
    Call("numpy.nancumprod", lambda np, x: np.nancumprod(x, axis=0), (NAN,)),
    Call("numpy.nancumprod", lambda np, k: np.nancumprod(k), (numpy.arange(1, 4),), smooth=False),
    Call("numpy.add.accumulate", lambda np, x: np.add.accumulate(x), (uniform(3, 2),)),
    Call("numpy.add.accumulate", lambda np, x: np.add.accumulate(x, axis=1), (uniform(3, 2),)),
    Call("numpy.multiply.accumulate", lambda np, x: np.multiply.accumulate(x, -1), (ZEROS,), jax=False),
    Call("numpy.maximum.accumulate", lambda np, x: np.maximum.accumulate(x), (distinct(5, 3),), jax=False),
    Call("numpy.maximum.accumulate", lambda np, x: np.maximum.accumulate(x, axis=1) * x, (distinct(2, 7),), jax=False),
    Call("numpy.minimum.accumulate", lambda np, x: np.minimum.accumulate(x, -2), (distinct(2, 5, 2),), jax=False),
    Call("numpy.minimum.accumulate", lambda np, x: np.minimum.accumulate(x), (distinct(9) ** 2,), jax=False),
    Call("numpy.logaddexp.accumulate", lambda np, x: np.logaddexp.accumulate(x, axis=1), (uniform(2, 6),), jax=False),
    Call("numpy.logaddexp.accumulate", lambda np, x: np.logaddexp.accumulate(x), (uniform(35),), jax=False),
    Call("numpy.logaddexp.reduce", lambda np, x: np.logaddexp.reduce(x), (uniform(4, 3),), jax=False),
    Call(
        "numpy.logaddexp.reduce",
        lambda np, x: np.logaddexp.reduce(x, axis=1, keepdims=True),
        (uniform(4, 3),),
        jax=False,
    ),
    Call("numpy.logaddexp.reduce", lambda np, x: np.logaddexp.reduce(x, initial=0.3), (uniform(4),), jax=False),
    Call("numpy.add.reduceat", lambda np, x: np.add.reduceat(x, [0, 3, 1, 5]), (uniform(6),), jax=False),
    Call("numpy.add.reduceat", lambda np, x: np.add.reduceat(x, [0, 2], axis=1), (uniform(2, 5),), jax=False),
    Call("numpy.add.reduceat", lambda np, x, k: np.add.reduceat(x, k, -2), (uniform(4, 2), STARTS), jax=False),
    Call("numpy.add.reduceat", lambda np, k: np.add.reduceat(k, [0, 2, 1]), (STARTS,), smooth=False),
    Call("numpy.add.reduce", lambda np, x: np.add.reduce(x, where=x > 0, initial=2.0), (uniform(4, 3),)),
    Call("numpy.multiply.reduce", lambda np, x: np.multiply.reduce(x, axis=1), (ZEROS,), jax=False),
    Call("numpy.maximum.reduce", lambda np, x: np.maximum.reduce(x, axis=-1, initial=-9.0), (distinct(4, 3),)),
    Call("numpy.minimum.reduce", lambda np, x: np.minimum.reduce(x, keepdims=True), (distinct(4, 3),)),
    Call(
        "numpy.logical_and.reduce", lambda np, x: np.logical_and.reduce(x > -1, axis=1), (uniform(4, 3),), smooth=False
    ),
    Call("numpy.logical_or.reduce", lambda np, x: np.logical_or.reduce(x > 1), (uniform(4, 3),), smooth=False),
)
