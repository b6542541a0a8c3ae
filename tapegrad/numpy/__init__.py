"""NumPy, with functions that record where they are given Variables: `import tapegrad.numpy as np`.

Everything that NumPy's main namespace has is here. Functions that tapegrad has a rule for, and those that
make arrays of nested lists (`array`, `asarray`, `full` ...), record where a Variable is among their
arguments, those in `linalg` and `fft`, too; for arrays they are NumPy's own, and so is all else: dtypes,
constants, `random`.
Inside a function that is recorded, arrays made by `zeros`, `empty`, `array` and their like can hold Variables:

>>> import tapegrad as tg
>>> import tapegrad.numpy as np
>>> def g(x):
...     y = np.zeros(3)
...     y[0] = x[0]
...     y[1:] = y[0] * x[1]
...     return np.sum(y)
>>> tg.grad(g)(np.array([1.0, 2.0]))
array([5., 2.])

>>> def f(x):
...     return np.sum(np.array([x[0] * x[1], np.sin(x[0]), 1.0]))
>>> tg.grad(f)(np.array([0.0, 2.0]))
array([3., 0.])
"""

from __future__ import annotations

from typing import Any

import numpy as _numpy

from tapegrad.numpy import fft as fft
from tapegrad.numpy import linalg as linalg
from tapegrad.numpy.constructors import MAKING as _MAKING
from tapegrad.numpy.constructors import TABLE as _CONSTRUCTORS
from tapegrad.numpy.wrapping import recording as _recording
from tapegrad.record.functions import FUNCTIONS as _FUNCTIONS

globals().update(_recording(_numpy, {**_FUNCTIONS, **_CONSTRUCTORS}, __name__, _MAKING))


def __getattr__(name: str) -> Any:
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*dir(_numpy), *globals()})
