"""Elimination of parameters that come in small blocks, each of which meets the residuals by itself.

In bundle adjustment a residual sees one point: J'J has a block of three for each point, and none between points. Those
are eliminated, block by block, and what is left is a system of the cameras alone, the Schur complement (Triggs,
McLauchlan, Hartley & Fitzgibbon, Bundle Adjustment - A Modern Synthesis, 2000, section 6.1; Agarwal, Snavely, Seitz &
Szeliski, Bundle Adjustment in the Large, ECCV 2010). Many curves with parameters of their own and some in common have
the same form. Which parameters to eliminate is read off the Jacobian's pattern.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.optimizers import blocks
from tapegrad.optimizers.systems import DirectSystem, Linear, Solver, System, factored

_LARGEST: Final = 12  # columns of a block
_SHARE: Final = 0.6  # of the columns that blocks must have to be worth it
_MOST_DENSE: Final = 6000  # columns up to which what is left is a dense matrix


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """An independent set of groups of columns.

    Attributes:
        group_of: for each column its group, -1 if it is kept.
        place: its place in the group, or among the kept columns.
        sizes: how many columns a group has.
        columns: those of the groups, a group after another; `kept` the others.
        row_group: for each row the group that it meets, -1 for none.
    """

    group_of: Any
    place: Any
    sizes: Any
    columns: Any
    kept: Any
    row_group: Any


def sparse_system(jacobian: Any) -> System:
    """The system for Jacobians of a pattern: by elimination, if enough columns can be eliminated, else as a whole."""
    found = find_blocks(jacobian)
    if found is None or len(found.columns) < _SHARE * jacobian.shape[1] or not len(found.kept):
        return DirectSystem(jacobian)
    return EliminatedSystem(jacobian, found)


def find_blocks(jacobian: Any) -> Blocks | None:
    """Small groups of columns that are in the same rows, such that no row meets two groups; None if there are none.

    Groups are taken greedily, those of the fewest rows first.

    >>> import numpy as np, scipy.sparse as sp
    >>> found = find_blocks(sp.csr_array(np.array([[1.0, 1, 1, 0, 0], [1, 1, 1, 0, 0], [1, 0, 0, 1, 1]])))
    >>> found.columns, found.sizes, found.kept
    (array([3, 4, 1, 2]), array([2, 2]), array([0]))
    """
    columns = jacobian.tocsc()
    heights = np.diff(columns.indptr)
    order, bounds = _alike(columns, heights)
    sizes = np.diff(bounds)
    firsts = order[bounds[:-1]]
    small = np.flatnonzero(sizes <= _LARGEST)
    small = small[np.argsort(heights[firsts[small]], kind="stable")]
    picked, taken = np.zeros(len(sizes), np.bool_), np.zeros(jacobian.shape[0], np.bool_)
    blocks.independent(small, firsts, columns.indptr, columns.indices, taken, picked)
    chosen = small[picked[small]]
    if not len(chosen):
        return None
    inside = np.concatenate([order[bounds[g] : bounds[g + 1]] for g in chosen.tolist()])
    group_of, place = np.full(jacobian.shape[1], -1, np.int32), np.empty(jacobian.shape[1], np.int32)
    own = sizes[chosen]
    group_of[inside] = np.repeat(np.arange(len(chosen)), own)
    place[inside] = np.arange(len(inside)) - np.repeat(np.cumsum(own) - own, own)
    kept = np.flatnonzero(group_of < 0)
    place[kept] = np.arange(len(kept))
    row_group = np.full(jacobian.shape[0], -1, np.int32)
    if not blocks.met(jacobian.indptr, jacobian.indices, group_of, row_group):
        return None  # two sets of rows that have one hash
    return Blocks(group_of, place, own, inside, kept, row_group)


def _alike(columns: Any, heights: Any) -> tuple[Any, Any]:
    """Columns sorted such that those in the same rows stand together, and the bounds of these groups."""
    codes = np.random.default_rng(0).integers(1, 2**62, columns.shape[0], dtype=np.uint64)
    sums = np.append(np.uint64(0), np.cumsum(codes[columns.indices], dtype=np.uint64))
    keys = sums[columns.indptr[1:]] - sums[columns.indptr[:-1]]
    empty = heights == 0
    keys[empty] = np.arange(np.count_nonzero(empty), dtype=np.uint64)
    order = np.lexsort((keys, heights))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(keys[order]) != 0) | (np.diff(heights[order]) != 0)
    return order, np.append(np.flatnonzero(new), len(order))


class EliminatedSystem(System):
    """Normal equations from which blocks are eliminated; what is left is dense up to some thousand parameters.

    Args:
        jacobian: one of the Jacobians, a `scipy.sparse.csr_array` of the pattern that all have.
        found: the blocks, of `find_blocks`.
    """

    def __init__(self, jacobian: Any, found: Blocks) -> None:
        starts, columns = jacobian.indptr, jacobian.indices
        groups, count = len(found.sizes), len(found.kept)
        self.blocks, self.dense = found, count <= _MOST_DENSE
        self.order = np.argsort(found.row_group, kind="stable")
        self.bounds = np.searchsorted(found.row_group[self.order], np.arange(groups + 1))
        self.ends = np.zeros(groups + 1, np.int64)
        pattern = (self.bounds, self.order, starts, columns, found.group_of, found.place)
        total = blocks.neighbours(*pattern, count, self.ends, np.empty(0, np.int32))
        self.lists = np.empty(total, np.int32)
        blocks.neighbours(*pattern, count, self.ends, self.lists)
        self.turn = np.argsort(np.append(self.lists, 0)[self.ends[:-1]], kind="stable")
        self.local = np.zeros(jacobian.nnz, np.int32)
        blocks.located(*pattern, self.ends, self.lists, self.local)
        self.group_starts = np.cumsum(found.sizes) - found.sizes
        self.own_starts = np.append(0, np.cumsum(found.sizes**2))
        self.shared_starts = np.append(0, np.cumsum(found.sizes * np.diff(self.ends)))

    def at(self, jacobian: Any, scale: Any) -> Linear:
        """The blocks of J'J."""
        found, count = self.blocks, len(self.blocks.kept)
        csr = (jacobian.indptr, jacobian.indices, jacobian.data)
        own, shared = np.empty(self.own_starts[-1]), np.empty(self.shared_starts[-1])
        held = (self.own_starts, own, self.shared_starts, shared)
        rows = (self.bounds, self.order, *csr)
        blocks.group_products(found.sizes, *rows, found.group_of, self.local, self.ends, *held)
        kept: Any
        if self.dense:
            kept = np.zeros((count, count))
            blocks.kept_products(*csr, found.group_of, found.place, kept)
        else:
            part = jacobian[:, found.kept].astype(np.float64)
            kept = (part.T @ part).tocsc()
        return _Blocked(self, jacobian, own, shared, kept, scale)

    def whole(self, shared: Any) -> Any:
        """What the groups share with the kept columns, as a matrix: a row for each column of a group."""
        from scipy.sparse import csr_array

        sizes, widths = self.blocks.sizes, np.diff(self.ends)
        each = np.repeat(widths, sizes)
        starts = np.append(0, np.cumsum(each))
        firsts = np.repeat(self.ends[:-1], sizes)
        columns = self.lists[np.repeat(firsts - starts[:-1], each) + np.arange(starts[-1])]
        return csr_array((shared, columns, starts), shape=(len(each), len(self.blocks.kept)))


@dataclass(frozen=True, slots=True, eq=False)
class _Blocked(Linear):
    """A Jacobian and the blocks of J'J: `own` of the groups, `shared` by them and their neighbours, and `kept`."""

    system: EliminatedSystem
    jacobian: Any
    own: Any
    shared: Any
    kept: Any
    scale: Any

    def damped(self, damping: float) -> Solver | None:
        """Factor the groups, and what is left when they are eliminated."""
        s, found = self.system, self.system.blocks
        diagonal = damping * self.scale**2
        own, shared = self.own.copy(), self.shared.copy()
        held = (s.own_starts, own, s.shared_starts, shared)
        if not blocks.factored(found.sizes, s.group_starts, s.ends, diagonal[found.columns], *held):
            return None
        if s.dense:
            reduced = self.kept.copy()
            np.einsum("ii->i", reduced)[:] += diagonal[found.kept]
            blocks.eliminated(s.turn, found.sizes, s.ends, s.lists, s.shared_starts, shared, reduced)
            solve = _definite(reduced)
        else:
            from scipy.sparse import csc_array, diags_array

            y = s.whole(shared)
            factors = factored(csc_array(self.kept + diags_array(diagonal[found.kept]) - y.T @ y))
            solve = None if factors is None else factors.solve
        return None if solve is None else _Eliminated(s, self.jacobian, own, shared, solve)


@dataclass(frozen=True, slots=True, eq=False)
class _Eliminated(Solver):
    """Factors of the groups' blocks, and what solves the kept columns' system."""

    system: EliminatedSystem
    jacobian: Any
    own: Any
    shared: Any
    solve: Callable[[Any], Any]

    def step(self, residuals: Any) -> Any:
        """Eliminate the groups, solve for the kept columns, and substitute back."""
        s, found = self.system, self.system.blocks
        gradient = np.asarray(self.jacobian.T @ residuals, np.float64)
        places = (found.sizes, s.group_starts, s.ends, s.lists)
        held = (s.own_starts, self.own, s.shared_starts, self.shared)
        z, right, part = gradient[found.columns], gradient[found.kept], np.empty(len(found.columns))
        blocks.forward(*places, *held, z, right)
        kept = self.solve(-right)
        blocks.substituted(*places, *held, z, kept, part)
        step = np.empty_like(gradient)
        step[found.kept], step[found.columns] = kept, part
        return step


def _definite(matrix: Any) -> Callable[[Any], Any] | None:
    """What solves a dense system whose lower triangle is given; None where it is not positive definite."""
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    try:  # transposed, the matrix is in LAPACK's order: it is factored where it stands
        factor = cho_factor(matrix.T, lower=False, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return None
    return lambda right: cho_solve(factor, right, check_finite=False)
