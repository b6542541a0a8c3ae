"""Special functions that record where they are given Variables; for arrays they are SciPy's own.

SciPy's ufuncs record by themselves; `scipy.special.logsumexp` does not, and importing SciPy takes a while,
which these put off until an array is given.
"""

from __future__ import annotations

import importlib
from typing import Any

from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.functions.common import find_variable


def _call(name: str, *arguments: Any, **options: Any) -> Any:
    if find_variable(arguments) is not None:
        return FUNCTIONS[name](*arguments, **options)
    return getattr(importlib.import_module("scipy.special"), name)(*arguments, **options)


def expit(x: Any) -> Any:
    """Logistic sigmoid, 1 / (1 + exp(-x)).

    >>> expit(0.0)
    np.float64(0.5)
    """
    return _call("expit", x)


def erf(x: Any) -> Any:
    """Error function."""
    return _call("erf", x)


def gammaln(x: Any) -> Any:
    """Logarithm of the absolute value of the gamma function."""
    return _call("gammaln", x)


def digamma(x: Any) -> Any:
    """Derivative of `gammaln`."""
    return _call("digamma", x)


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """Logarithm of the sum of exponentials; of Variables without weights `b` and without a sign.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(logsumexp)(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return _call("logsumexp", a, axis, b, keepdims, return_sign)
