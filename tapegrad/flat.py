"""Nested parameters as one vector: their leaves one after another, each in C order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import DtypeError, ShapeError, UnsupportedError, describe
from tapegrad.trees import Structure, flatten, names, rebuild

_FLOATING: Final = frozenset({np.dtype(np.float64), np.dtype(np.float32)})


@dataclass(frozen=True, slots=True, eq=False)
class Flat:
    """How nested parameters lie in a vector.

    Attributes:
        structure: the container's, None for one array by itself.
        names: a readable name for each leaf.
        shapes, dtypes: of the leaves; a dtype of None is a Python float.
        spans: first entry and end of each leaf.
        dtype: the vector's, NumPy's promotion of the leaves'; Python floats give way to arrays.
        size: the number of all parameters.

    >>> import numpy as np
    >>> params = {"w": np.ones((2, 2)), "b": 3.0}
    >>> flat = Flat.of(params)
    >>> flat.vector(params)
    array([1., 1., 1., 1., 3.])
    >>> flat.restore(np.arange(5.0))
    {'w': array([[0., 1.],
           [2., 3.]]), 'b': 4.0}
    """

    structure: Structure | None
    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[np.dtype[Any] | None, ...]
    scalars: tuple[bool, ...]
    spans: tuple[tuple[int, int], ...]
    dtype: np.dtype[Any]
    size: int

    @classmethod
    def of(cls, params: Any, operation: str = "fit", root: str = "params", line: str = "") -> Flat:
        """The form of parameters: arrays of float64 or float32 and floats; `DtypeError` names any other leaf.

        `UnsupportedError` for matrices and masked arrays, whose entries in a vector would be plain numbers.
        """
        leaves, structure = flatten(params)
        called = tuple(names(structure, root))
        for leaf, name in zip(leaves, called, strict=True):
            if not isinstance(leaf, float) and getattr(leaf, "dtype", None) not in _FLOATING:
                kind = f"an array of dtype {leaf.dtype}" if hasattr(leaf, "dtype") else f"{leaf!r}"
                found, wanted = f"{name}, {kind}", "parameters that are float64 or float32 arrays, or floats"
                raise DtypeError(describe(operation, found=found, wanted=wanted, line=line))
            if isinstance(leaf, np.ndarray) and type(leaf) not in (np.ndarray, np.memmap):
                found, wanted = (
                    f"{name}, a {type(leaf).__module__}.{type(leaf).__name__}",
                    "plain arrays: numpy.asarray(x)",
                )
                raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=line))
        if not leaves:
            raise ShapeError(describe(operation, found=f"{root} without any array", wanted="parameters", line=line))
        shapes = tuple(np.shape(leaf) for leaf in leaves)
        dtypes = tuple(None if type(leaf) is float else leaf.dtype for leaf in leaves)
        ends = np.cumsum([np.size(leaf) for leaf in leaves]).tolist()
        spans = tuple(zip([0, *ends[:-1]], ends, strict=True))
        known = {d for d in dtypes if d is not None}
        dtype = np.result_type(*known) if known else np.dtype(np.float64)
        scalars = tuple(not isinstance(leaf, np.ndarray) for leaf in leaves)
        return cls(structure, called, shapes, dtypes, scalars, spans, dtype, ends[-1])

    def vector(self, params: Any, operation: str = "fit", line: str = "") -> NDArray[Any]:
        """The parameters as a new vector; `ShapeError` where their form is another."""
        leaves, structure = flatten(params)
        if structure != self.structure or tuple(np.shape(leaf) for leaf in leaves) != self.shapes:
            found, wanted = "parameters of another structure or of other shapes", "those it was made for"
            raise ShapeError(describe(operation, found=found, wanted=wanted, line=line))
        made = np.empty(self.size, self.dtype)
        for (first, end), leaf in zip(self.spans, leaves, strict=True):
            made[first:end] = np.asarray(leaf).reshape(-1)
        return made

    def arrays(self, vector: NDArray[Any]) -> list[NDArray[Any]]:
        """The leaves: views of a vector; of shape () too."""
        pairs = zip(self.spans, self.shapes, strict=True)
        return [vector[first:end].reshape(shape) for (first, end), shape in pairs]

    def views(self, vector: NDArray[Any]) -> Any:
        """The container, its leaves views of a vector: what changes it changes them."""
        return rebuild(self.structure, iter(self.arrays(vector)))

    def restore(self, vector: NDArray[Any]) -> Any:
        """The container with new leaves, of the types and dtypes of the parameters it was made for."""
        leaves = []
        for array, dtype, scalar in zip(self.arrays(vector), self.dtypes, self.scalars, strict=True):
            leaves.append(float(array) if dtype is None else array.astype(dtype)[()] if scalar else array.astype(dtype))
        return rebuild(self.structure, iter(leaves))
