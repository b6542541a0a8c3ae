"""`outer`, the method of ufuncs of two operands; `reduce` and `accumulate` stand with sums and their like."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.record.functions import elementwise, rounding
from tapegrad.record.functions.common import lift, recorder_of, refuse, reshaped

_BINARY: Final = {
    ufunc: recorded
    for table in (elementwise.TABLE, rounding.TABLE)
    for ufunc, recorded in table.items()
    if isinstance(ufunc, np.ufunc) and ufunc.nin == 2
}


def _outer(ufunc: np.ufunc, recorded: Callable[..., Any]) -> Callable[..., Any]:
    """`ufunc.outer(a, b)`: of every pair, over the axes of a and then those of b."""

    def record(a: Any, b: Any, **options: Any) -> Any:
        r = recorder_of(a, b)
        refuse(f"{ufunc.__name__}.outer", r, **options)
        first, second = lift(r, a), lift(r, b)
        return recorded(reshaped(first, first.shape + (1,) * second.ndim), second)

    return record


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        **{(ufunc, "outer"): _outer(ufunc, recorded) for ufunc, recorded in _BINARY.items()},
    }
)
