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

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as _numpy

from tapegrad.numpy import constructors as _constructors
from tapegrad.numpy.wrapping import RecordingUfunc, recording
from tapegrad.record.functions import FUNCTIONS as _FUNCTIONS


def _wrappers() -> dict[str, Any]:
    """A wrapper for each name in NumPy's main namespace that stands for a function with a rule."""
    by_function: dict[Any, Any] = {}
    for function, recorded in _FUNCTIONS.items():
        if isinstance(function, _numpy.ufunc):
            by_function[function] = RecordingUfunc(function, recorded)
        elif callable(function):
            by_function[function] = recording(function, recorded)
    public = {name: value for name, value in vars(_numpy).items() if callable(value) and not name.startswith("_")}
    return {name: by_function[value] for name, value in public.items() if value in by_function}


# They are looked up here, and are no globals of this module, because their docstrings are NumPy's own.
_RECORDING: Final[Mapping[str, Any]] = MappingProxyType(_wrappers() | dict(_constructors.TABLE))


def __getattr__(name: str) -> Any:
    found = _RECORDING.get(name)
    return getattr(_numpy, name) if found is None else found


def __dir__() -> list[str]:
    return sorted({*dir(_numpy), *_RECORDING})
