"""The gradient of a table of which a function has read a few rows: those rows, and nothing of the others."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import ElementIndexError, ShapeError, describe
from tapegrad.jit import entry

_BITS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class TouchedRows:
    """Rows of an array all of whose other rows are zero; `value_and_grad(f, touched_rows=True)` gives them.

    A step of gradient descent need not look at more: `table[g.rows] -= rate * g.values`.

    Attributes:
        rows: int64[u], which rows, from 0 to shape[0] - 1; each once, in the order in which the reverse sweep first
            comes to them (for one index array its own order).
        values: [u, *shape[1:]], what is in them, of the parameter's dtype.
        shape: that of the whole array.

    >>> import numpy as np, tapegrad as tg
    >>> def loss(table, index):
    ...     return np.sum(table[index] ** 2)
    >>> g = tg.grad(loss, touched_rows=True)(np.ones((1000, 2)), np.array([7, -1, 7]))
    >>> g.rows, g.values
    (array([  7, 999]), array([[4., 4.],
           [2., 2.]]))
    >>> g.shape, float(g.to_dense().sum())
    ((1000, 2), 12.0)
    """

    rows: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the values."""
        return self.values.dtype

    def astype(self, dtype: Any) -> TouchedRows:
        """The same rows with values of another dtype."""
        return TouchedRows(self.rows, self.values.astype(dtype), self.shape)

    def to_dense(self) -> NDArray[Any]:
        """The whole array."""
        whole = np.zeros(self.shape, self.dtype)
        whole[self.rows] = self.values
        return whole


@dataclass(slots=True)
class RowSums:
    """Adds up what goes to the same rows of a table; time and memory do not depend on the table's length.

    Which rows have been met is kept in a hash table (open addressing, Fibonacci hashing: Knuth, The Art of Computer
    Programming, vol. 3, section 6.4), so n contributions take O(n). What was met first comes first, and is added to in
    the order of the contributions: the same bits in every run. A loop that uses one object again allocates nothing.

    Attributes:
        length: of the table.
        rows, values: room for the rows met, int64[room], and for what they add up to, [room, width].
        cells: the hash table: places in `rows`, -1 for none.
        count: how many rows have been met.

    >>> sums = RowSums.of((100, 2), 3, np.float64)
    >>> sums.add(np.array([7, -1, 7]), np.array([[1.0, 2.0], [3.0, 4.0], [10.0, 20.0]]))
    >>> sums.rows[: sums.count], sums.values[: sums.count]
    (array([ 7, 99]), array([[11., 22.],
           [ 3.,  4.]]))
    """

    length: int
    rows: NDArray[np.int64]
    values: NDArray[Any]
    cells: NDArray[np.int64]
    count: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], most: int, dtype: Any) -> RowSums:
        """Room for at most so many contributions to a table of this shape."""
        room = min(most, shape[0])
        cells = np.full(2 << room.bit_length(), -1, np.int64)  # at most half full
        return cls(shape[0], np.empty(room, np.int64), np.empty((room, prod(shape[1:])), dtype), cells)

    def add(self, index: NDArray[np.int64], values: NDArray[Any]) -> None:
        """Add contributions: int64[m] rows, negative ones counted from the end, and [m, width] what goes to them.

        Raises:
            ElementIndexError: a row that the table does not have.
            ShapeError: values of another shape, or more contributions than there is room for.
        """
        wanted: Any = (len(index), self.values.shape[1])
        if values.shape != wanted:
            raise ShapeError(describe("sums of rows", found=f"values of shape {values.shape}", wanted=f"{wanted}"))
        shift = _BITS + 1 - len(self.cells).bit_length()
        found = _add(index, values, self.length, self.rows, self.values, self.cells, shift, self.count)
        if found == -1 - len(index):
            raise ShapeError(describe("sums of rows", found="one more row", wanted=f"at most {len(self.rows)}"))
        if found < 0:
            wanted = f"{-self.length} to {self.length - 1}"
            raise ElementIndexError(describe("sums of rows", found=f"index {index[-1 - found]}", wanted=wanted))
        self.count = found

    def clear(self) -> None:
        """Forget all contributions."""
        self.cells.fill(-1)
        self.count = 0


@entry
def _add(index: Any, values: Any, length: Any, rows: Any, sums: Any, cells: Any, shift: Any, count: Any) -> Any:
    """Add contributions; gives how many rows have been met, or -1 - k if index[k] is outside the table.

    -1 - len(index) says that there is no room for one more row.
    """
    mask = len(cells) - 1
    for k in range(len(index)):
        row = index[k]
        if row < 0:
            row += length
        if row < 0 or row >= length:
            return -1 - k
        cell = np.int64((np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(shift))
        while cells[cell] >= 0 and rows[cells[cell]] != row:
            cell = (cell + 1) & mask
        place = cells[cell]
        if place < 0:
            if count == len(rows):
                return -1 - len(index)
            cells[cell] = count
            rows[count] = row
            for j in range(values.shape[1]):
                sums[count, j] = values[k, j]
            count += 1
        else:
            for j in range(values.shape[1]):
                sums[place, j] += values[k, j]
    return count
