"""`numpy.fft`, with functions that record where they are given Variables, also within lists.

>>> import tapegrad as tg
>>> import tapegrad.numpy as np
>>> tg.grad(lambda x: np.sum(np.abs(np.fft.rfft([x[0], x[1], 0.0, 0.0])) ** 2))(np.array([3.0, 4.0]))
array([18., 24.])
"""

from __future__ import annotations

from typing import Any

from numpy import fft as _numpy

from tapegrad.numpy.wrapping import recording as _recording
from tapegrad.record.functions import FUNCTIONS as _FUNCTIONS

globals().update(_recording(_numpy, _FUNCTIONS, __name__))


def __getattr__(name: str) -> Any:
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*dir(_numpy), *globals()})
