"""What changes an array in place: `x[index] = value`, `x += value`; what it does stands in `functions/assigning.py`."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder


class Assignable:
    """The operators that NumPy's arrays have and its numbers have not."""

    __slots__ = ()

    _recorder: Recorder

    def _change(self, function: Any, *arguments: Any) -> Any:
        return self._recorder.functions[function](self, *arguments)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._change(operator.setitem, index, value)

    def __iadd__(self, other: Any) -> Self:
        return self._change(operator.iadd, other)  # type: ignore[no-any-return]

    def __isub__(self, other: Any) -> Self:
        return self._change(operator.isub, other)  # type: ignore[no-any-return]

    def __imul__(self, other: Any) -> Self:
        return self._change(operator.imul, other)  # type: ignore[no-any-return]

    def __itruediv__(self, other: Any) -> Self:
        return self._change(operator.itruediv, other)  # type: ignore[no-any-return]

    def __ifloordiv__(self, other: Any) -> Self:
        return self._change(operator.ifloordiv, other)  # type: ignore[no-any-return]

    def __imod__(self, other: Any) -> Self:
        return self._change(operator.imod, other)  # type: ignore[no-any-return]

    def __ipow__(self, other: Any) -> Self:
        return self._change(operator.ipow, other)  # type: ignore[no-any-return]

    def __imatmul__(self, other: Any) -> Self:
        return self._change(operator.imatmul, other)  # type: ignore[no-any-return]

    def __iand__(self, other: Any) -> Self:
        return self._change(operator.iand, other)  # type: ignore[no-any-return]

    def __ior__(self, other: Any) -> Self:
        return self._change(operator.ior, other)  # type: ignore[no-any-return]

    def __ixor__(self, other: Any) -> Self:
        return self._change(operator.ixor, other)  # type: ignore[no-any-return]

    def fill(self, value: Any) -> None:
        """Every element becomes this number."""
        self._change(operator.setitem, Ellipsis, value)

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """As `numpy.put`."""
        self._change(np.put, indices, values, mode)
