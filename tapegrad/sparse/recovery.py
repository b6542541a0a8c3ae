"""Seeds of compressed derivatives, and how the entries of a sparse matrix are picked out of the results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.jit import compiled
from tapegrad.sparse.colouring import NONE, column_colouring, row_colouring, star_colouring

FORWARD, REVERSE, SYMMETRIC = "forward", "reverse", "symmetric"
_OF: Final = {FORWARD: "columns", REVERSE: "rows", SYMMETRIC: "columns of the symmetric matrix"}


@dataclass(frozen=True, slots=True, eq=False)
class Recovery:
    """How a sparse matrix is got from products with seeds; built once for a pattern.

    Attributes:
        pattern: bool `scipy.sparse.csr_array`.
        mode: "forward": products are the matrix times a seed, "reverse": seeds times the matrix, "symmetric":
            either, of a symmetric matrix.
        colours: int32[], one for each column ("reverse": row); -1 where there are no entries.
        count: how many colours, and so how many seeds, there are.
        gather: for each entry of the pattern its place in the flat products.
        length: how long a product is, where the pattern does not say.
        places: for each place in `gather` the entry that it is added to; None where it is the entry itself.
    """

    pattern: Any
    mode: str
    colours: Any
    count: int
    gather: Any
    length: int | None = None
    places: Any = None

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the products: one row a colour."""
        rows, columns = self.pattern.shape
        return self.count, self.length or (columns if self.mode == REVERSE else rows)


def seeds(colours: Any, count: int, dtype: Any) -> Any:
    """The seeds: one row a colour, 1 for the columns that have it.

    >>> import numpy as np
    >>> seeds(np.array([0, 1, -1, 0]), 2, np.float64)
    array([[1., 0., 0., 1.],
           [0., 1., 0., 0.]])
    """
    made = np.zeros((count, len(colours)), dtype)
    coloured = np.flatnonzero(np.asarray(colours) >= 0)
    made[colours[coloured], coloured] = 1
    return made


def jacobian_recovery(pattern: Any, colours: Any, mode: str = FORWARD) -> Recovery:
    """The recovery of a Jacobian from its products with the seeds of a column colouring ("reverse": row colouring).

    Raises:
        ValueError: entries of one row have the same colour.
    """
    rows, columns = _places(pattern)
    lines, crossed, told = (columns, rows, pattern) if mode == FORWARD else (rows, columns, pattern.T.tocsr())
    count, length = _count(colours), pattern.shape[0 if mode == FORWARD else 1]
    if not _alone(told, colours).all():
        raise _not_told_apart(mode)
    gather = colours[lines].astype(np.int64) * length + crossed
    return Recovery(pattern, mode, colours, count, _small(gather))


def hessian_recovery(pattern: Any, colours: Any) -> Recovery:
    """The recovery of a symmetric matrix from its products with the seeds of a star colouring.

    Raises:
        ValueError: the pattern is not symmetric, its indices are not sorted, or an entry is alone of its colour neither
            in its row nor in its column.
    """
    rows, columns = _places(pattern)
    count, length = _count(colours), pattern.shape[0]
    alone = _alone(pattern, colours)
    lines, crossed = np.where(alone, columns, rows), np.where(alone, rows, columns)
    gather = colours[lines].astype(np.int64) * length + crossed
    if not (alone | _mirrored(pattern, alone)).all():
        raise _not_told_apart(SYMMETRIC)
    return Recovery(pattern, SYMMETRIC, colours, count, _small(gather))


def recover(recovery: Recovery, products: Any) -> Any:
    """The sparse matrix from its products with the seeds, one row a colour.

    Args:
        recovery: made for the pattern and its colours.
        products: shape `recovery.shape`.

    Returns:
        A `scipy.sparse.csr_array` of the products' dtype, with all entries of the pattern, zeros included.

    Raises:
        ShapeError: products of another shape.
    """
    from scipy.sparse import csr_array

    array = np.asarray(products)
    if array.shape != recovery.shape:
        found, wanted = f"products of shape {array.shape}", f"shape {recovery.shape}"
        raise ShapeError(describe("recover", found=found, wanted=wanted))
    pattern = recovery.pattern
    flat = np.ascontiguousarray(array).reshape(-1)
    if recovery.places is None:
        data = np.empty(pattern.nnz, array.dtype)
        _pick(flat, recovery.gather, data)
    else:
        data = np.zeros(pattern.nnz, array.dtype)
        _add(flat, recovery.gather, recovery.places, data)
    return csr_array((data, pattern.indices.copy(), pattern.indptr.copy()), shape=pattern.shape)


@compiled
def _pick(products: Any, gather: Any, data: Any) -> None:
    """data[k] = products[gather[k]]; NumPy would make int64 of the places first, at every call."""
    for k in range(len(gather)):
        data[k] = products[gather[k]]


@compiled
def _add(products: Any, gather: Any, places: Any, data: Any) -> None:
    """data[places[k]] += products[gather[k]]."""
    for k in range(len(gather)):
        data[places[k]] += products[gather[k]]


def renamed(recovery: Recovery, pattern: Any, places: Any) -> Recovery:
    """A recovery whose entries are those of another pattern: each is added to the one at its place."""
    own = len(places) == pattern.nnz and bool((places == np.arange(len(places))).all())
    kept = None if own else places
    return replace(recovery, pattern=pattern, length=recovery.shape[1], places=kept)


def plan_jacobian(pattern: Any) -> tuple[str, Recovery]:
    """The mode, "forward" or "reverse", that takes fewer sweeps for a Jacobian, and its recovery.

    >>> import numpy as np, scipy.sparse as sp
    >>> mode, recovery = plan_jacobian(sp.csr_array(np.ones((1, 5), dtype=bool)))
    >>> mode, recovery.count
    ('reverse', 1)
    """
    widest = int(np.diff(pattern.indptr).max(initial=0))
    tallest = int(np.bincount(pattern.indices, minlength=1).max())
    # No colouring of the columns has less colours than the widest row has entries.
    modes = [(FORWARD, column_colouring, widest), (REVERSE, row_colouring, tallest)]
    if tallest < widest:
        modes.reverse()
    (mode, colouring, _), (other, other_colouring, least) = modes
    colours, count = colouring(pattern)
    if count > least:
        other_colours, other_count = other_colouring(pattern)
        if (other_count, other == REVERSE) < (count, mode == REVERSE):
            mode, colours = other, other_colours
    return mode, jacobian_recovery(pattern, colours, mode)


def plan_hessian(pattern: Any) -> Recovery:
    """The recovery of a Hessian; its pattern is made symmetric first.

    >>> import numpy as np, scipy.sparse as sp
    >>> plan_hessian(sp.csr_array(np.tri(6, k=1, dtype=bool) & ~np.tri(6, k=-2, dtype=bool))).count
    3
    """
    both = (pattern + pattern.T).tocsr()
    both.sort_indices()
    colours, count = star_colouring(both)
    if count > int(np.diff(both.indptr).max(initial=0)):  # of a dense band, columns that meet nowhere may be fewer
        other, other_count = column_colouring(both)
        colours = other if other_count < count else colours
    return hessian_recovery(both, colours)


@compiled
def _mark_alone(starts: Any, columns: Any, colours: Any, tally: Any, alone: Any) -> None:
    for r in range(len(starts) - 1):
        for p in range(starts[r], starts[r + 1]):
            tally[colours[columns[p]]] += 1
        for p in range(starts[r], starts[r + 1]):
            alone[p] = tally[colours[columns[p]]] == 1 and colours[columns[p]] >= 0
        for p in range(starts[r], starts[r + 1]):
            tally[colours[columns[p]]] = 0


def _alone(pattern: Any, colours: Any) -> Any:
    """For each entry, whether it is the only one of its colour in its row."""
    alone = np.zeros(pattern.nnz, np.bool_)
    _mark_alone(pattern.indptr, pattern.indices, colours, np.zeros(_count(colours) + 1, np.int64), alone)
    return alone


def _mirrored(pattern: Any, data: Any) -> Any:
    """For each entry (i, j) of a symmetric pattern what `data` has for (j, i)."""
    copy = pattern.copy()
    copy.data = data
    other = copy.T.tocsr()
    if not (np.array_equal(other.indices, pattern.indices) and np.array_equal(other.indptr, pattern.indptr)):
        found, wanted = "a pattern that is not symmetric, or whose indices are not sorted", "pattern + pattern.T"
        raise ValueError(describe("recovery", found=found, wanted=wanted))
    return other.data


def _places(pattern: Any) -> tuple[Any, Any]:
    """Row and column of each entry."""
    return np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr)), pattern.indices


def _count(colours: Any) -> int:
    return int(colours.max(initial=NONE)) + 1


def _small(gather: Any) -> Any:
    return gather.astype(np.int32) if gather.max(initial=0) < np.iinfo(np.int32).max else gather


def _not_told_apart(mode: str) -> ValueError:
    found = "entries that share a colour and cannot be told apart"
    return ValueError(describe("recovery", found=found, wanted=f"a colouring of the {_OF[mode]}"))
