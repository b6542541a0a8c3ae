"""A call of a function, and where to test it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a row of a table.

    Attributes:
        name: what is called, as "numpy.roll" or "scipy.special.erf"; several rows may bear one name.
        call: `call(np, *arguments)`, written for any namespace that is like NumPy's: NumPy itself, tapegrad.numpy,
            jax.numpy. The result is an array or a sequence of arrays.
        arguments: the point; floating arrays are differentiated by, others are data.
        jax: whether JAX has the function and agrees with NumPy about it.
        plain: whether plain NumPy hands a Variable over; if not, only tapegrad.numpy records.
        smooth: whether there is a derivative at all; if not, values alone are compared.
        second: whether second derivatives are compared, too.
        rtol: what the comparison with finite differences allows; of second derivatives, tenfold.
        single: what float32 may differ from float64 by.
    """

    name: str
    call: Callable[..., Any]
    arguments: tuple[Any, ...]
    jax: bool = True
    plain: bool = True
    smooth: bool = True
    second: bool = True
    rtol: float = 1e-7
    single: float = 3e-4

    def __str__(self) -> str:
        return self.name


def uniform(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> Any:
    """Numbers drawn between two bounds."""
    return np.random.default_rng(seed).uniform(low, high, shape)


def distinct(*shape: int, seed: int = 0, gap: float = 0.17) -> Any:
    """Numbers in random order that are at least `gap` apart, and away from 0: no ties, no kinks."""
    size = int(np.prod(shape))
    return (np.random.default_rng(seed).permutation(size).reshape(shape) - size / 2 + 0.31) * gap
