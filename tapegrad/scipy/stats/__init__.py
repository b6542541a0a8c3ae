"""`scipy.stats`, with distributions that record where a Variable is among the point and the parameters.

>>> import numpy as np, tapegrad as tg
>>> from tapegrad.scipy import stats
>>> x = np.array([0.5, 1.5])
>>> tg.grad(lambda m: np.sum(stats.norm.logpdf(x, loc=m, scale=2.0)))(0.0)
0.5

Logarithms of densities and of distribution functions, and inverses where there is a closed form, take SciPy's
parameters in SciPy's order, and by their names. All else of `scipy.stats` is SciPy's own, for arrays.
"""

from __future__ import annotations

import importlib
from typing import Any

from tapegrad.scipy.stats.continuous import CONTINUOUS as _CONTINUOUS
from tapegrad.scipy.stats.discrete import DISCRETE as _DISCRETE
from tapegrad.scipy.stats.distribution import Continuous as _Continuous
from tapegrad.scipy.stats.distribution import Discrete as _Discrete
from tapegrad.scipy.stats.multivariate import MULTIVARIATE as _MULTIVARIATE

globals().update({family.name: _Continuous(family) for family in _CONTINUOUS})
globals().update({family.name: _Discrete(family) for family in _DISCRETE})
globals().update({distribution.name: distribution for distribution in _MULTIVARIATE})


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("scipy.stats"), name)


def __dir__() -> list[str]:
    return sorted({*dir(importlib.import_module("scipy.stats")), *globals()})
