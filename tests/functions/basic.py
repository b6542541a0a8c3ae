"""Elementwise functions and the plainest of the others."""

from __future__ import annotations

from typing import Final

from tests.functions.case import Call, uniform

CALLS: Final = (
    Call("numpy.exp", lambda np, x: np.exp(x), (uniform(3, 4),)),
    Call("numpy.where", lambda np, x, y: np.where(x > 0, x * y, x - y), (uniform(4), uniform(3, 1, seed=1))),
    Call("numpy.matmul", lambda np, a, b: np.matmul(a, b), (uniform(2, 3), uniform(5, 3, 4, seed=1))),
)
