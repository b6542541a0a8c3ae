"""NumPy, with functions that record where they are given Variables: `import tapegrad.numpy as np`.

Everything that NumPy's main namespace has is here. Functions that tapegrad has a rule for, and those that
make arrays of nested lists (`array`, `asarray`, `full` ...), record where a Variable is among their
arguments; for arrays they are NumPy's own, and so is all else: dtypes, constants, `linalg`, `random`.

>>> import tapegrad as tg
>>> import tapegrad.numpy as np
>>> def f(x):
...     return np.sum(np.array([x[0] * x[1], np.sin(x[0]), 1.0]))
>>> tg.grad(f)(np.array([0.0, 2.0]))
array([3., 0.])
"""

from __future__ import annotations

from typing import Any

import numpy as _numpy

from tapegrad.numpy.constructors import TABLE as _CONSTRUCTORS
from tapegrad.numpy.wrapping import wrapped as _wrapped
from tapegrad.record.functions import FUNCTIONS as _FUNCTIONS


def _recording() -> dict[str, Any]:
    """A wrapper for each name in NumPy's main namespace that stands for a function which can be recorded."""
    recorded = {function: value for function, value in {**_FUNCTIONS, **_CONSTRUCTORS}.items() if callable(function)}
    wrappers = {function: _wrapped(function, value) for function, value in recorded.items()}
    public = {name: value for name, value in vars(_numpy).items() if callable(value) and not name.startswith("_")}
    return {name: wrappers[value] for name, value in public.items() if value in wrappers}


globals().update(_recording())


def __getattr__(name: str) -> Any:
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*dir(_numpy), *globals()})
