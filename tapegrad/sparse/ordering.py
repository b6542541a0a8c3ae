"""Orders in which greedy colourings take columns: which one needs the fewest colours depends on the matrix.

After Gebremedhin, Manne & Pothen, "What color is your Jacobian?", SIAM Review 47 (2005), section 8. Degrees count the
columns that meet a column, once a row in which they meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled, part

# Smallest last costs the sum of squares of the rows' lengths: it is left out where that is more for each entry.
_MOST_STEPS: Final = 64


def orders(pattern: Any, columns: Any) -> Iterator[Any]:
    """Natural order, largest first, smallest last, of a matrix in its `csr` and its `csc` form."""
    count = pattern.shape[1]
    yield np.arange(count)
    degrees = np.diff(pattern.indptr).astype(np.int64)
    weights = np.diff(np.append(0, np.cumsum(degrees[columns.indices] - 1))[columns.indptr])
    yield np.argsort(-weights, kind="stable")
    if int((degrees**2).sum()) <= _MOST_STEPS * pattern.nnz:
        order = np.empty(count, np.int64)
        _smallest_last(columns.indptr, columns.indices, pattern.indptr, pattern.indices, weights, order)
        yield order


@part
def _unlink(c: Any, bucket: Any, heads: Any, after: Any, before: Any) -> None:
    if before[c] >= 0:
        after[before[c]] = after[c]
    else:
        heads[bucket] = after[c]
    if after[c] >= 0:
        before[after[c]] = before[c]


@part
def _link(c: Any, bucket: Any, heads: Any, after: Any, before: Any) -> None:
    after[c], before[c] = heads[bucket], -1
    if heads[bucket] >= 0:
        before[heads[bucket]] = c
    heads[bucket] = c


@compiled
def _smallest_last(column_starts: Any, rows: Any, row_starts: Any, columns: Any, degrees: Any, order: Any) -> None:
    """Take away the column of least degree again and again; the order is the reverse (Matula & Beck 1983).

    Columns stand in lists by degree; those that meet more columns than there are share one.
    """
    n = len(order)
    heads, after, before = np.full(n + 1, -1), np.full(n, -1), np.full(n, -1)
    removed = np.zeros(n, np.bool_)
    for c in range(n):
        _link(c, min(degrees[c], n), heads, after, before)
    low = 0
    for place in range(n - 1, -1, -1):
        while heads[low] < 0:
            low += 1
        c = heads[low]
        _unlink(c, low, heads, after, before)
        removed[c] = True
        order[place] = c
        for p in range(column_starts[c], column_starts[c + 1]):
            for q in range(row_starts[rows[p]], row_starts[rows[p] + 1]):
                other = columns[q]
                if removed[other]:
                    continue
                degrees[other] -= 1
                if degrees[other] < n:
                    _unlink(other, degrees[other] + 1, heads, after, before)
                    _link(other, degrees[other], heads, after, before)
                    low = min(low, degrees[other])
