"""Batches: rows of the data, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import DtypeError, SettingError, ShapeError, describe
from tapegrad.record.refusal import require_plain
from tapegrad.trees import Structure, flatten, names, unflatten


@dataclass(slots=True, eq=False)
class Batches:
    """Data cut into batches.

    Attributes:
        leaves: the data's arrays, all of as many rows.
        structure: how they are put together.
        rows: how many there are; 0 where there is no data.
        size: rows of a batch; the last batch of an epoch may have fewer.
        dtype: of floating arrays in a batch: the parameters'.
        seed, shuffle: of the order of rows.
    """

    leaves: list[Any]
    structure: Structure | None
    rows: int
    size: int
    dtype: np.dtype[Any]
    seed: int = 0
    shuffle: bool = True
    _memory: dict[int, tuple[list[Any], tuple[Any, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: tuple[Any, ...], size: int | None, dtype: np.dtype[Any], seed: int, *, shuffle: bool) -> Batches:
        """Batches of data, which is checked."""
        leaves, structure, rows = rows_of(data, "data")
        if not leaves:
            if size is not None:
                raise SettingError(describe("fit", found=f"batch_size={size} and no data", wanted="data"))
            return cls([], structure, 0, 0, dtype, seed, shuffle)
        whole = isinstance(size, (int, np.integer)) and not isinstance(size, bool)
        if size is not None and not (whole and 1 <= size <= rows):
            wanted = f"a whole number from 1 to {rows}, the rows of the data, or None for all of them"
            raise SettingError(describe("fit", found=f"batch_size={size!r}", wanted=wanted))
        return cls(leaves, structure, rows, rows if size is None else int(size), dtype, seed, shuffle)

    def __len__(self) -> int:
        return -(-self.rows // self.size) if self.rows else 1

    @property
    def whole(self) -> bool:
        """Is a batch all there is?"""
        return self.size == self.rows

    def epoch(self, number: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """The batches of an epoch, each with its number of rows (1 where there is no data).

        A batch lies where the one before it lay, and is good until the next one.
        """
        if self.whole:
            yield max(1, self.rows), self.whole_data()
            return
        order = np.arange(self.rows)
        if self.shuffle:
            order = np.random.default_rng((self.seed, number)).permutation(self.rows)
        for k in range(0, self.rows, self.size):
            places = order[k : k + self.size]
            yield len(places), self._take(places)

    def whole_data(self) -> tuple[Any, ...]:
        """All rows, floating data in the parameters' dtype."""
        if not self._memory:
            arrays = [np.ascontiguousarray(x, self._dtype(x)) for x in self.leaves]
            self._memory[self.rows] = arrays, unflatten(self.structure, arrays)
        return self._memory[self.rows][1]

    def _take(self, places: Any) -> tuple[Any, ...]:
        """Rows at some places, in memory that is kept for as many."""
        kept = self._memory.get(len(places))
        if kept is None:
            arrays = [np.empty((len(places), *x.shape[1:]), self._dtype(x)) for x in self.leaves]
            kept = self._memory[len(places)] = arrays, unflatten(self.structure, arrays)
        for source, wanted in zip(self.leaves, kept[0], strict=True):
            if source.dtype == wanted.dtype:
                np.take(source, places, axis=0, out=wanted, mode="clip")  # the other modes copy once more
            else:
                wanted[...] = source[places]
        return kept[1]

    def _dtype(self, array: Any) -> Any:
        """Floating data is computed with as the parameters are; integers as the tape has them."""
        kind = array.dtype.kind
        return self.dtype if kind == "f" else np.int64 if kind in "iu" else array.dtype


def rows_of(data: tuple[Any, ...], name: str) -> tuple[list[Any], Structure | None, int]:
    """Arrays, structure and number of rows of data; clear errors for what is none."""
    leaves, structure = flatten(data)
    called = names(structure, name)
    arrays = []
    for leaf, label in zip(leaves, called, strict=True):
        require_plain(leaf, f"fit: {label}", user_line())
        array = np.asarray(leaf) if hasattr(leaf, "__array__") else leaf
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            text = f"of dtype {array.dtype}" if isinstance(array, np.ndarray) else f"of type {type(leaf).__name__}"
            wanted = "arrays of numbers, one row a case; anything else may be captured by the loss"
            raise DtypeError(describe("fit", found=f"{label} {text}", wanted=wanted))
        if array.ndim == 0:
            raise ShapeError(describe("fit", found=f"{label} of shape ()", wanted="arrays with a row for each case"))
        if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
            found, wanted = f"{label} with uint64 values beyond int64", "values that fit an int64"
            raise DtypeError(describe("fit", found=found, wanted=wanted))
        arrays.append(array)
    lengths = [len(a) for a in arrays]
    if len(set(lengths)) > 1:
        found = ", ".join(f"{label} with {n} rows" for label, n in zip(called, lengths, strict=True))
        raise ShapeError(describe("fit", found=found, wanted="as many rows in all arrays of the data"))
    if lengths and not lengths[0]:
        raise ShapeError(describe("fit", found=f"{name} without a row", wanted="at least one row"))
    return arrays, structure, lengths[0] if lengths else 0


def held_out(data: tuple[Any, ...], share: float, seed: int) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Data in two parts, at random: to fit to, and a share of the rows to validate with."""
    leaves, structure, rows = rows_of(data, "data")
    count = round(rows * share) if 0 < share < 1 else 0
    if not 0 < count < rows:
        wanted = "a share of the rows that leaves some on both sides, or data"
        raise SettingError(describe("fit", found=f"validation={share!r} of {rows} rows", wanted=wanted))
    order = np.random.default_rng((seed, 1 << 32)).permutation(rows)
    parts = (order[count:], order[:count])
    known, held = (unflatten(structure, [x[p] for x in leaves]) for p in parts)
    return known, held
