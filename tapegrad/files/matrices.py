"""Sparse matrices, which are parts of attributes: three arrays of compressed rows, those of all matrices joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapegrad.files.text import integer, listed
from tapegrad.files.wrong import require
from tapegrad.ops.accepted import LONGEST
from tapegrad.ops.sparse import SparseMatrix


def to_arrays(matrices: Sequence[SparseMatrix], dtype: Any) -> tuple[list[list[int]], dict[str, Any]]:
    """Rows, columns and number of elements of each, and the three arrays."""
    rows = [m.matrix.tocsr() for m in matrices]
    sizes = [[int(m.shape[0]), int(m.shape[1]), len(m.data)] for m in rows]
    none: Any = [np.zeros(0, np.int64)]
    arrays = {
        "sparse_values": np.concatenate([*none, *(m.data for m in rows)]).astype(dtype),
        "sparse_columns": np.concatenate([*none, *(m.indices for m in rows)]),
        "sparse_starts": np.concatenate([*none, *(m.indptr for m in rows)]),
    }
    return sizes, arrays


def from_arrays(sizes: Any, values: Any, columns: Any, starts: Any) -> list[SparseMatrix]:
    """The matrices: SciPy reads where columns and starts say, and so they are looked at."""
    found, row, element = [], 0, 0
    for size in listed(sizes, "sparse matrices"):
        height, width, count = (integer(n, 0, LONGEST, "a sparse matrix's size") for n in listed(size, "sizes", 3))
        own, places = starts[row : row + height + 1], columns[element : element + count]
        complete = len(own) == height + 1 and len(places) == count == len(values[element : element + count])
        require(complete, "a sparse matrix that is cut off")
        sound = own[0] == 0 and own[-1] == count and (np.diff(own) >= 0).all()
        require(sound, "a sparse matrix whose rows do not follow one another")
        inside = places.min(initial=0) >= 0 and places.max(initial=-1) < width
        require(inside, "a sparse matrix with an element outside its columns")
        found.append(_matrix(values[element : element + count], places, own, (height, width)))
        row, element = row + height + 1, element + count
    require((row, element, element) == (len(starts), len(columns), len(values)), "elements of no sparse matrix")
    return found


def _matrix(values: Any, columns: Any, starts: Any, shape: tuple[int, int]) -> SparseMatrix:
    from scipy.sparse import csr_array

    return SparseMatrix(csr_array((values.copy(), columns.copy(), starts.copy()), shape=shape))
