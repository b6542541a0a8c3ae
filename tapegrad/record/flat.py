"""What `x.flat` is, for a Variable x."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapegrad.errors import ShapeError, describe

if TYPE_CHECKING:
    from tapegrad.record.variable import Variable


class Flat:
    """The elements of a Variable in C order, as `numpy.ndarray.flat` gives them: to go through and to index."""

    __slots__ = ("_source",)

    def __init__(self, source: Variable) -> None:
        self._source = source

    @property
    def _array(self) -> Variable:
        """The elements as they are now: the array may be assigned to."""
        return self._source._call(np.ravel)

    def __len__(self) -> int:
        return self._source.size

    def __iter__(self) -> Iterator[Variable]:
        return (self._array[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> Variable:
        if isinstance(index, tuple) and len(index) > 1:
            found = f"{len(index)} indices"
            line = self._array._recorder.line()
            raise ShapeError(describe("flat", found=found, wanted="one: flat has one axis", line=line))
        elements: Any = self._array[index]
        result: Variable = elements.copy() if getattr(elements, "shape", ()) else elements
        return result

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._source._unsupported(
            "flat",
            "x.flat[index] = value, which would change a Variable in place",
            "a new array: np.where(mask, value, x)",
        )

    def copy(self) -> Variable:
        """The elements as a new Variable."""
        return self._array._call(np.copy)
