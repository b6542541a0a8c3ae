"""`stop_gradient`: a value taken as a constant by the derivative."""

from __future__ import annotations

from typing import Any

from tapegrad.record.variable import Variable


def stop_gradient(x: Any) -> Any:
    """Give x itself, but a constant to every derivative; arrays are returned as they are.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(lambda x: x * tg.stop_gradient(x))(3.0)
    3.0
    """
    return x._recorder.apply("stop_gradient", (), x) if isinstance(x, Variable) else x
