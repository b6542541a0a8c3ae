"""Numbers of a tape as SymPy's: exact where they are meant to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

import numpy as np

_LARGEST: Final = 1000  # a denominator that stands for a fraction
_WHOLE: Final = 1e15  # a whole number that is written out

# What rules and users have numbers for.
_KNOWN: Final[Mapping[float, Callable[[Any], Any]]] = MappingProxyType(
    {
        math.pi: lambda sp: sp.pi,
        2 * math.pi: lambda sp: 2 * sp.pi,
        math.pi / 2: lambda sp: sp.pi / 2,
        math.pi / 4: lambda sp: sp.pi / 4,
        1 / math.pi: lambda sp: 1 / sp.pi,
        0.5 / math.pi: lambda sp: 1 / (2 * sp.pi),
        math.sqrt(math.pi): lambda sp: sp.sqrt(sp.pi),
        2 / math.sqrt(math.pi): lambda sp: 2 / sp.sqrt(sp.pi),
        math.sqrt(math.pi) / 2: lambda sp: sp.sqrt(sp.pi) / 2,
        math.sqrt(2 * math.pi): lambda sp: sp.sqrt(2 * sp.pi),
        1 / math.sqrt(2 * math.pi): lambda sp: 1 / sp.sqrt(2 * sp.pi),
        math.sqrt(2 / math.pi): lambda sp: sp.sqrt(2 / sp.pi),
        math.sqrt(math.pi / 2): lambda sp: sp.sqrt(sp.pi / 2),
        math.log(math.pi): lambda sp: sp.log(sp.pi),
        math.log(2 * math.pi): lambda sp: sp.log(2 * sp.pi),
        0.5 * math.log(2 * math.pi): lambda sp: sp.log(2 * sp.pi) / 2,
        math.e: lambda sp: sp.E,
        math.log(2): lambda sp: sp.log(2),
        math.log(10): lambda sp: sp.log(10),
        1 / math.log(2): lambda sp: 1 / sp.log(2),
        1 / math.log(10): lambda sp: 1 / sp.log(10),
        math.sqrt(2): lambda sp: sp.sqrt(2),
        math.sqrt(3): lambda sp: sp.sqrt(3),
        math.sqrt(0.5): lambda sp: 1 / sp.sqrt(2),
    }
)


def number(sp: Any, value: Any) -> Any:
    """A number of NumPy's as SymPy has it.

    Whole numbers and fractions of denominators up to 1000, if they are the value to the last bit, are exact; so are
    pi, e, the logarithms of 2 and 10, the square root of 2 and what is made of them in the derivatives of usual
    functions. All others are floating.

    >>> import numpy as np, sympy
    >>> [number(sympy, v) for v in (np.float64(0.1), np.float64(np.log(2.0)), np.float32(0.3), np.int64(3))]
    [1/10, log(2), 3/10, 3]
    """
    if isinstance(value, (bool, np.bool_)):
        return sp.true if value else sp.false
    if isinstance(value, (int, np.integer)):
        return sp.Integer(int(value))
    single = isinstance(value, np.float32)
    value = float(str(value)) if single else float(value)  # of a float32 the digits that say it
    if not math.isfinite(value):
        return sp.nan if math.isnan(value) else sp.oo * int(math.copysign(1, value))
    near, dtype = Fraction(value).limit_denominator(_LARGEST), np.float32 if single else np.float64
    if dtype(float(near)) == dtype(value) and abs(value) < _WHOLE:
        return sp.Rational(near.numerator, near.denominator)
    for known, made in _KNOWN.items():
        if dtype(abs(value)) == dtype(known):
            return made(sp) if value > 0 else -made(sp)
    return sp.Float(value)
