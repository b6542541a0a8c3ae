"""Which slots share memory, and where each buffer lies: liveness, in place, one arena.

A *root* is a slot that owns memory; a view's root is the root of what it views. A buffer holds one root
after another where a result takes over a dying operand's memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled

CELL_BYTES: Final = 8
ALIGNMENT: Final = 64
ARENA: Final = 0  # base number of the arena
_REACH: Final = 8  # how many larger size classes an allocation looks through


@dataclass(frozen=True, slots=True)
class Placement:
    """Where slots are: `base`, `offset` (bytes) by slot; `taken[i]`: did i take over operand 0's memory?

    `ends[b]` is the last instruction that reads buffer b, with its base, offset and bytes; `arena` is the
    size of the arena in bytes, the first `image` of which hold scalar constants.
    """

    base: Any
    offset: Any
    taken: Any
    buffer_ends: Any
    buffer_base: Any
    buffer_offset: Any
    buffer_bytes: Any
    copied_outputs: tuple[int, ...]
    arena: int
    image: int


@compiled
def _roots(form: Any, starts: Any, operands: Any, view: Any, root: Any, last: Any) -> None:
    """root[i], and last[r]: the last instruction that reads any slot of root r (-1: none)."""
    for i in range(len(form)):
        root[i] = root[operands[starts[i]]] if form[i] == view else i
        last[i] = -1
        for o in range(starts[i], starts[i + 1]):
            last[root[operands[o]]] = i


@compiled
def _share_buffers(
    form: Any,
    starts: Any,
    operands: Any,
    offsets: Any,
    in_place: Any,
    nbytes: Any,
    root: Any,
    last: Any,
    leaf: Any,
    view: Any,
    buffer: Any,
    within: Any,
    taken: Any,
    size: Any,
    begin: Any,
    end: Any,
    fixed: Any,
) -> int:
    """Give each slot a buffer and a byte offset in it; returns the number of buffers."""
    count = 0
    for i in range(len(form)):
        a, b = starts[i], starts[i + 1]
        if form[i] == view:
            buffer[i] = buffer[operands[a]]
            within[i] = within[operands[a]] + offsets[i]
            continue
        within[i] = 0
        chosen = -1
        for k in range(min(b - a, 8)):
            if (in_place[i] >> k) & 1 == 0 or chosen >= 0:
                continue
            s = operands[a + k]
            r = root[s]
            h = buffer[s]
            if fixed[h] or last[r] != i or within[s] != 0 or size[h] != nbytes[i]:
                continue
            alone = True
            for o in range(a, b):
                other = operands[o]
                # The same slot twice is fine where each element depends on its like alone, but not x added into x.
                if buffer[other] == h and (other != s or (in_place[i] >> (o - a)) & 1 == 0):
                    alone = False
            if alone:
                chosen = h
        if chosen < 0:
            chosen = count
            size[count] = nbytes[i]
            begin[count] = i
            fixed[count] = form[i] == leaf
            count += 1
        else:
            taken[i] = True
        buffer[i] = chosen
        end[chosen] = max(last[i], i)
    return count


@compiled
def _allocate(
    begin: Any,
    order: Any,
    end: Any,
    klass: Any,
    wanted: Any,
    class_bytes: Any,
    place: Any,
    heads: Any,
    link: Any,
    cell: Any,
) -> Any:
    """Offsets by first fit from free lists of size classes; returns the bytes used by cells and by arrays.

    `order` sorts the buffers by their end; `wanted[b]` tells which ones live in the arena.
    """
    cells, arrays, freed = 0, 0, 0
    for b in range(len(begin)):
        while freed < len(order) and end[order[freed]] < begin[b]:
            f = order[freed]
            if wanted[f]:
                link[f] = heads[klass[f]]
                heads[klass[f]] = f
            freed += 1
        if not wanted[b]:
            continue
        own = klass[b]
        found = -1
        for c in range(own, min(own + 8, len(heads))):
            if class_bytes[c] > class_bytes[own] + class_bytes[own] // 4 or (c != own and class_bytes[own] == cell):
                break
            if heads[c] >= 0:
                found = heads[c]
                heads[c] = link[found]
                klass[b] = c
                break
        if found >= 0:
            place[b] = place[found]
        elif class_bytes[own] == cell:
            place[b] = cells
            cells += cell
        else:
            place[b] = arrays
            arrays += class_bytes[own]
    return cells, arrays


def place(
    form: Any,
    starts: Any,
    operands: Any,
    offsets: Any,
    in_place: Any,
    nbytes: Any,
    scalar: Any,
    leaf_base: Any,
    leaf_offset: Any,
    dependents: list[int],
    first_output: int,
    forms: tuple[int, int],
    image: int,
) -> Placement:
    """Place every slot.

    `leaf_base`, `leaf_offset` place the leaves; `scalar` marks slots of no axes; outputs are the bases from
    `first_output` on, one a dependent; `forms` are the codes of leaves and views.
    """
    n = len(form)
    leaf, view = forms
    root, last = np.empty(n, np.int32), np.empty(n, np.int32)
    _roots(form, starts, operands, view, root, last)
    last[root[dependents]] = n
    buffer, within, taken = np.empty(n, np.int32), np.empty(n, np.int64), np.zeros(n, np.bool_)
    size, begin, end = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32)
    fixed = np.zeros(n, np.bool_)
    count = _share_buffers(
        form, starts, operands, offsets, in_place, nbytes, root, last, leaf, view,
        buffer, within, taken, size, begin, end, fixed,
    )  # fmt: skip
    size, begin, end, fixed = size[:count], begin[:count], end[:count], fixed[:count]
    base = np.zeros(count, np.int64)
    where = np.zeros(count, np.int64)
    owned = ~fixed
    leaves = np.flatnonzero(form == leaf)
    base[buffer[leaves]] = leaf_base[leaves]
    where[buffer[leaves]] = leaf_offset[leaves]
    pinned = np.zeros(count, np.bool_)
    pinned[buffer[np.flatnonzero(scalar)]] = True  # the scalar machine reaches the arena alone
    copied = _place_outputs(dependents, first_output, buffer, within, nbytes, size, pinned, owned, base)
    _, arena = _place_in_arena(begin, end, owned, size, where, image)
    return Placement(
        base[buffer],
        where[buffer] + within,
        taken,
        np.where(fixed, n, end),
        base,
        where,
        size,
        copied,
        arena,
        image,
    )


def _place_outputs(
    dependents: list[int],
    first_output: int,
    buffer: Any,
    within: Any,
    nbytes: Any,
    size: Any,
    pinned: Any,
    owned: Any,
    base: Any,
) -> tuple[int, ...]:
    """Let results be written where they are wanted; returns the dependents that must be copied there."""
    copied = []
    for k, slot in enumerate(dependents):
        b = buffer[slot]
        if owned[b] and within[slot] == 0 and size[b] == nbytes[slot] and not pinned[b]:
            base[b] = first_output + k
            owned[b] = False
        else:
            copied.append(k)
    return tuple(copied)


def _place_in_arena(begin: Any, end: Any, owned: Any, size: Any, where: Any, image: int) -> tuple[int, int]:
    """Offsets for the owned buffers, cells first; returns the bytes of the cells and of the whole arena."""
    rounded = np.where(size <= CELL_BYTES, CELL_BYTES, -(-size // ALIGNMENT) * ALIGNMENT)
    class_bytes, klass = np.unique(rounded, return_inverse=True)
    spot = np.zeros(len(size), np.int64)
    order = np.argsort(end, kind="stable").astype(np.int64)
    heads, link = np.full(len(class_bytes), -1, np.int64), np.full(len(size), -1, np.int64)
    cells, arrays = _allocate(
        begin, order, end, klass.astype(np.int64), owned, class_bytes, spot, heads, link, CELL_BYTES
    )
    start = -(-(image + cells) // ALIGNMENT) * ALIGNMENT
    is_cell = rounded == CELL_BYTES
    where[owned] = (spot + np.where(is_cell, image, start))[owned]
    return int(cells), int(start + arrays)
