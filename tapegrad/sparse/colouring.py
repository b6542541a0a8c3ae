"""Colourings: entries that share a colour share a sweep, and each can still be told from the others.

After Gebremedhin, Manne & Pothen, "What color is your Jacobian?", SIAM Review 47 (2005). A Jacobian's columns may share
a colour if they have no row in common (Curtis, Powell & Reid 1974; a partial distance-2 colouring of the bipartite
graph), a Hessian's if that is a star colouring of its adjacency graph: neighbours differ, and every path of four has
three colours (Coleman & Moré 1984). Greedy: a column takes the smallest colour that those before it allow. Several
orders are tried, and the best colouring is taken.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.sparse.ordering import orders

NONE: Final = -1  # the colour of a column without entries
# Steps after which a colouring is given up, and each column gets a colour of its own: so dense a matrix saves little.
_MOST_STEPS: Final = 2 * 10**9
_FEW: Final = 3  # colours that other orders could improve by one at most
_STAR_STEPS: Final = (2 * 10**8, 200)  # and so many for each entry


def column_colouring(pattern: Any) -> tuple[Any, int]:
    """Colours of columns such that columns of one colour have no row in common.

    Args:
        pattern: a `scipy.sparse.csr_array`; what it stores counts as an entry.

    Returns:
        An int32 array of colours, -1 for columns without entries, and the number of colours.

    >>> import numpy as np, scipy.sparse as sp
    >>> column_colouring(sp.csr_array(np.eye(4, dtype=bool) + np.eye(4, k=1, dtype=bool)))
    (array([0, 1, 0, 1], dtype=int32), 2)
    """
    columns = pattern.tocsc()
    degrees = np.diff(pattern.indptr).astype(np.int64)
    heights = np.diff(columns.indptr)
    least = int(degrees.max(initial=0))
    if int((degrees**2).sum()) > _MOST_STEPS or least == np.count_nonzero(heights):
        return _separate(heights > 0)
    best: tuple[Any, int] | None = None
    for order in orders(pattern, columns):
        colours = np.full(len(heights), NONE, np.int32)
        count = _colour_columns(order, columns.indptr, columns.indices, pattern.indptr, pattern.indices, colours)
        if best is None or count < best[1]:
            best = colours, int(count)
        if count == least:  # as many as a row has entries: fewer there cannot be
            break
    assert best is not None
    return best


def row_colouring(pattern: Any) -> tuple[Any, int]:
    """Colours of rows such that rows of one colour have no column in common; as `column_colouring`."""
    return column_colouring(pattern.T.tocsr())


def star_colouring(pattern: Any) -> tuple[Any, int]:
    """Colours of the columns of a symmetric matrix from which it can be recovered directly, using its symmetry.

    For each entry (i, j) either column j is the only one of its colour that meets row i, or i the only one of its
    colour that meets j.

    Args:
        pattern: a symmetric `scipy.sparse.csr_array`; what it stores counts as an entry.

    Returns:
        An int32 array of colours, -1 for columns without entries, and the number of colours.

    >>> import numpy as np, scipy.sparse as sp
    >>> arrow = np.eye(5, dtype=bool)
    >>> arrow[0] = arrow[:, 0] = True
    >>> star_colouring(sp.csr_array(arrow))
    (array([0, 1, 1, 1, 1], dtype=int32), 2)
    """
    degrees = np.diff(pattern.indptr)
    if pattern.nnz == len(degrees) ** 2:
        return _separate(degrees > 0)
    most = _STAR_STEPS[0] + _STAR_STEPS[1] * pattern.nnz
    best: tuple[Any, int] | None = None
    for order in orders(pattern, pattern.tocsc()):
        colours = np.full(len(degrees), NONE, np.int32)
        count = _colour_stars(order, pattern.indptr, pattern.indices, colours, most)
        if count < 0:
            return _separate(degrees > 0)
        if best is None or count < best[1]:
            best = colours, int(count)
        if count <= _FEW:
            break
    assert best is not None
    return best


def _separate(present: Any) -> tuple[Any, int]:
    """Each column that has entries in a colour of its own."""
    return np.where(present, np.cumsum(present) - 1, NONE).astype(np.int32), int(np.count_nonzero(present))


@compiled
def _colour_columns(order: Any, column_starts: Any, rows: Any, row_starts: Any, columns: Any, colours: Any) -> Any:
    """Colour columns in an order; gives the number of colours."""
    forbidden = np.full(len(colours) + 1, -1, np.int64)
    count = 0
    for v in order:
        if column_starts[v] == column_starts[v + 1]:
            continue
        for p in range(column_starts[v], column_starts[v + 1]):
            for q in range(row_starts[rows[p]], row_starts[rows[p] + 1]):
                colour = colours[columns[q]]
                if colour >= 0:
                    forbidden[colour] = v
        colour = 0
        while forbidden[colour] == v:
            colour += 1
        colours[v] = colour
        count = max(count, colour + 1)
    return count


@part
def _find(colour: Any, w: Any, starts: Any, lengths: Any, lists: Any) -> Any:
    """The place of a colour in the list of vertex w; the end of the list if it is not there."""
    place = starts[w]
    while place < starts[w] + lengths[w] and lists[place, 0] != colour:
        place += 1
    return place


@part
def _forbid(v: Any, starts: Any, others: Any, colours: Any, lengths: Any, lists: Any, forbidden: Any, met: Any) -> Any:
    """Mark the colours that vertex v must not have; gives the steps that took."""
    steps = 0
    for place in range(starts[v], starts[v] + lengths[v]):
        met[lists[place, 0]] = lists[place, 1]
    for p in range(starts[v], starts[v + 1]):
        w = others[p]
        if w == v or colours[w] < 0:
            continue
        forbidden[colours[w]] = v
        several = met[colours[w]] > 1
        for place in range(starts[w], starts[w] + lengths[w]):
            if several or lists[place, 3]:
                forbidden[lists[place, 0]] = v
        steps += lengths[w]
    return steps


@part
def _enter(v: Any, starts: Any, others: Any, colours: Any, lengths: Any, lists: Any) -> Any:
    """Tell the neighbours of v its colour, and who is the tip of a star now."""
    steps = 0
    for p in range(starts[v], starts[v + 1]):
        w = others[p]
        if w == v:
            continue
        place = _find(colours[v], w, starts, lengths, lists)
        steps += lengths[w] + 1
        if place == starts[w] + lengths[w]:
            lengths[w] += 1
            lists[place, 0], lists[place, 1], lists[place, 2], lists[place, 3] = colours[v], 0, v, 0
        lists[place, 1] += 1
        if colours[w] < 0:
            continue
        own = _find(colours[w], v, starts, lengths, lists)
        if lists[own, 1] > 1:  # v is the centre of a star, w a tip
            lists[place, 3] = 1
        if lists[place, 1] > 1:  # w is the centre, v a tip, and so is who was there first
            lists[own, 3] = 1
            first = lists[place, 2]
            lists[_find(colours[w], first, starts, lengths, lists), 3] = 1
        steps += 2 * lengths[v]
    return steps


@compiled
def _colour_stars(order: Any, starts: Any, others: Any, colours: Any, most: Any) -> Any:
    """Colour vertices in an order; gives the number of colours, -1 if it takes more than `most` steps.

    `lists` holds for each vertex, in its stretch of places, the colours of its neighbours: the colour, how many have
    it, the first of them, and whether the vertex is a tip of the two-coloured star that these edges are part of.
    Through a vertex w that is a tip, the colour of its centre would make a path of four in two colours.
    """
    lengths = np.zeros(len(colours), np.int64)
    lists = np.zeros((len(others), 4), np.int32)
    forbidden = np.full(len(colours) + 1, -1, np.int64)
    met = np.zeros(len(colours) + 1, np.int64)
    count, steps = 0, 0
    for v in order:
        if starts[v] == starts[v + 1]:
            continue
        steps += _forbid(v, starts, others, colours, lengths, lists, forbidden, met)
        colour = 0
        while forbidden[colour] == v:
            colour += 1
        colours[v] = colour
        count = max(count, colour + 1)
        steps += _enter(v, starts, others, colours, lengths, lists)
        if steps > most:
            return -1
    return count
