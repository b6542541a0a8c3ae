"""Compiled loops over sparse Jacobians: normal equations, and the elimination of small blocks from them.

Arrays of a `csr` matrix are called starts, columns, values; those of its `csc` form starts, rows. All in one file:
compiled functions call those of their own file only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.jit import compiled, entry, kernel

# --- the whole of J'J


@entry
def square_sums(columns: Any, values: Any, out: Any) -> None:
    """The sum of squares of each column, added to `out`."""
    for p in range(len(columns)):
        v = np.float64(values[p])
        out[columns[p]] += v * v


@entry
def gram(
    rows: Any, row_places: Any, row_starts: Any, starts: Any, columns: Any, values: Any, at: Any, of: Any, out: Any
) -> None:
    """J'J column by column, into its known pattern.

    Args:
        rows, row_starts: of J's `csc` form; `row_places` has the place of each of its entries in the `csr` values.
        starts, columns, values: of J's `csr` form.
        at, of: starts and rows of the pattern of J'J, a column after another.
        out: its values.
    """
    total = np.zeros(len(at) - 1)
    for c in range(len(at) - 1):
        for p in range(row_starts[c], row_starts[c + 1]):
            v, r = np.float64(values[row_places[p]]), rows[p]
            for q in range(starts[r], starts[r + 1]):
                total[columns[q]] += v * values[q]
        for p in range(at[c], at[c + 1]):
            out[p] = total[of[p]]
            total[of[p]] = 0.0


# --- which blocks to eliminate, and what meets them


@compiled
def independent(order: Any, firsts: Any, starts: Any, rows: Any, taken: Any, picked: Any) -> None:
    """Pick groups of columns in an order, such that no row meets two of them.

    All columns of a group are in the same rows, those of `firsts[group]`.
    """
    for g in order:
        c = firsts[g]
        free = True
        for p in range(starts[c], starts[c + 1]):
            if taken[rows[p]]:
                free = False
                break
        if free:
            picked[g] = True
            for p in range(starts[c], starts[c + 1]):
                taken[rows[p]] = True


@compiled
def met(starts: Any, columns: Any, group_of: Any, found: Any) -> bool:
    """found[row]: the group that the row meets, -1 for none; False if a row meets two."""
    for r in range(len(starts) - 1):
        for p in range(starts[r], starts[r + 1]):
            g = group_of[columns[p]]
            if g >= 0 and found[r] >= 0 and found[r] != g:
                return False
            found[r] = max(found[r], g)
    return True


@compiled
def neighbours(
    bounds: Any, order: Any, starts: Any, columns: Any, group_of: Any, place: Any, count: Any, ends: Any, lists: Any
) -> Any:
    """The kept columns that share a row with each group: sorted, one list after another; gives their total number.

    With an empty `lists` it counts only. `ends[g + 1]` is where the list of group g ends, and `count` the kept columns.
    """
    seen, found = np.full(count, -1), np.empty(count, np.int32)
    total = 0
    for g in range(len(bounds) - 1):
        n = 0
        for k in range(bounds[g], bounds[g + 1]):
            for p in range(starts[order[k]], starts[order[k] + 1]):
                c = columns[p]
                if group_of[c] < 0 and seen[place[c]] != g:
                    seen[place[c]] = g
                    found[n] = place[c]
                    n += 1
        if len(lists):
            lists[total : total + n] = np.sort(found[:n])
        total += n
        ends[g + 1] = total
    return total


@compiled
def located(
    bounds: Any, order: Any, starts: Any, columns: Any, group_of: Any, place: Any, ends: Any, lists: Any, local: Any
) -> None:
    """For each entry of J in a row of a group its place in the group's block, or in the list of its neighbours."""
    at = np.zeros(lists.max() + 1 if len(lists) else 1, np.int32)
    for g in range(len(bounds) - 1):
        for k in range(ends[g], ends[g + 1]):
            at[lists[k]] = k - ends[g]
        for k in range(bounds[g], bounds[g + 1]):
            for p in range(starts[order[k]], starts[order[k] + 1]):
                c = columns[p]
                local[p] = at[place[c]] if group_of[c] < 0 else place[c]


# --- their part of the normal equations


@entry
def group_products(
    sizes: Any,
    bounds: Any,
    order: Any,
    starts: Any,
    columns: Any,
    values: Any,
    group_of: Any,
    local: Any,
    ends: Any,
    own_starts: Any,
    own: Any,
    shared_starts: Any,
    shared: Any,
) -> None:
    """E'E into `own` and E'F into `shared`, for each group: E its columns of J, F those of its neighbours."""
    own[:] = 0.0
    shared[:] = 0.0
    for g in range(len(sizes)):
        k, width = sizes[g], ends[g + 1] - ends[g]
        e = np.zeros(k)
        for place in range(bounds[g], bounds[g + 1]):
            r = order[place]
            e[:] = 0.0
            for p in range(starts[r], starts[r + 1]):
                if group_of[columns[p]] >= 0:
                    e[local[p]] = values[p]
            for a in range(k):
                for b in range(k):
                    own[own_starts[g] + a * k + b] += e[a] * e[b]
            for p in range(starts[r], starts[r + 1]):
                if group_of[columns[p]] < 0:
                    for a in range(k):
                        shared[shared_starts[g] + a * width + local[p]] += e[a] * values[p]


@entry
def kept_products(starts: Any, columns: Any, values: Any, group_of: Any, place: Any, out: Any) -> None:
    """F'F of all kept columns, added to the lower triangle of `out`; columns are in increasing order."""
    for r in range(len(starts) - 1):
        for p in range(starts[r], starts[r + 1]):
            if group_of[columns[p]] >= 0:
                continue
            i, v = place[columns[p]], np.float64(values[p])
            for q in range(starts[r], p + 1):
                if group_of[columns[q]] < 0:
                    out[i, place[columns[q]]] += v * values[q]


@kernel
def _cholesky(a: Any, first: Any, k: Any) -> Any:
    """The Cholesky factor of a matrix in place, its lower triangle; False if it is not positive definite."""
    for j in range(k):
        d = a[first + j * k + j]
        for m in range(j):
            d -= a[first + j * k + m] ** 2
        if not d > 0.0:
            return False
        d = np.sqrt(d)
        a[first + j * k + j] = d
        for i in range(j + 1, k):
            s = a[first + i * k + j]
            for m in range(j):
                s -= a[first + i * k + m] * a[first + j * k + m]
            a[first + i * k + j] = s / d
    return True


@entry
def factored(
    sizes: Any, group_starts: Any, ends: Any, damping: Any, own_starts: Any, own: Any, shared_starts: Any, shared: Any
) -> bool:
    """Overwrite E'E + damping by its Cholesky factor L, and E'F by Y = L^-1 E'F, group by group.

    False if a block is not positive definite.
    """
    for g in range(len(sizes)):
        k, width, first = sizes[g], ends[g + 1] - ends[g], own_starts[g]
        for a in range(k):
            own[first + a * k + a] += damping[group_starts[g] + a]
        if not _cholesky(own, first, k):
            return False
        for a in range(k):
            row = shared_starts[g] + a * width
            for b in range(a):
                factor, other = own[first + a * k + b], shared_starts[g] + b * width
                for j in range(width):
                    shared[row + j] -= factor * shared[other + j]
            for j in range(width):
                shared[row + j] /= own[first + a * k + a]
    return True


@entry
def eliminated(turn: Any, sizes: Any, ends: Any, lists: Any, shared_starts: Any, shared: Any, reduced: Any) -> None:
    """Subtract the groups' Y'Y from the lower triangle of the kept columns' matrix.

    `turn` is the order of the groups: those that share kept columns one after another, for the cache's sake.
    """
    room = np.empty(reduced.shape[0])
    for g in turn:
        k, width, start = sizes[g], ends[g + 1] - ends[g], shared_starts[g]
        y, lines = shared[start : start + k * width].reshape(k, width), lists[ends[g] : ends[g + 1]]
        for i in range(width):
            total = room[: i + 1]  # slices, so that this becomes vector code
            total[:] = 0.0
            for a in range(k):
                factor, row = y[a, i], y[a]
                for j in range(i + 1):
                    total[j] += factor * row[j]
            out = reduced[lines[i]]
            for j in range(i + 1):
                out[np.uint64(lines[j])] -= total[j]


@entry
def forward(
    sizes: Any,
    group_starts: Any,
    ends: Any,
    lists: Any,
    own_starts: Any,
    own: Any,
    shared_starts: Any,
    shared: Any,
    z: Any,
    right: Any,
) -> None:
    """Overwrite the groups' part of a gradient by z = L^-1 z, and subtract Y'z from that of the kept columns."""
    for g in range(len(sizes)):
        k, first, width, column = sizes[g], ends[g], ends[g + 1] - ends[g], group_starts[g]
        for a in range(k):
            total = z[column + a]
            for b in range(a):
                total -= own[own_starts[g] + a * k + b] * z[column + b]
            total /= own[own_starts[g] + a * k + a]
            z[column + a] = total
            for j in range(width):
                right[lists[first + j]] -= shared[shared_starts[g] + a * width + j] * total


@entry
def substituted(
    sizes: Any,
    group_starts: Any,
    ends: Any,
    lists: Any,
    own_starts: Any,
    own: Any,
    shared_starts: Any,
    shared: Any,
    z: Any,
    kept: Any,
    out: Any,
) -> None:
    """The groups' steps, from those of the kept columns: -L^-T (z + Y kept)."""
    for g in range(len(sizes)):
        k, first, width = sizes[g], ends[g], ends[g + 1] - ends[g]
        column = group_starts[g]
        for a in range(k):
            total = z[column + a]
            for j in range(width):
                total += shared[shared_starts[g] + a * width + j] * kept[lists[first + j]]
            out[column + a] = -total
        for a in range(k - 1, -1, -1):
            total = out[column + a]
            for b in range(a + 1, k):
                total -= own[own_starts[g] + b * k + a] * out[column + b]
            out[column + a] = total / own[own_starts[g] + a * k + a]
