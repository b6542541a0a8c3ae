"""Which slots share memory, and where each buffer lies: liveness, in place, two arenas.

A *root* is a slot that owns memory; a view's root is the root of what it views. A buffer holds one root
after another where a result takes over a dying operand's memory. What is alive while a loop over rows runs
is alive in all of its tiles, except for windows of rows that are made and used up within a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.sweep.layout import ARENA, TILES

CELL_BYTES: Final = 8
ALIGNMENT: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What is to be placed; arrays by slot, in the order in which instructions run.

    Attributes:
        leaf, view: has it no instruction; is it a part of its operand's memory, from byte `offset` on?
        root: the slot whose memory it uses; `nbytes`: of the slot, or of its window of rows.
        in_place: bit k set where it may take operand k's buffer.
        follows: the slot whose buffer it takes in any case, -1: none.
        alike: only slots of the same number may take one another's buffers; `lasting` ones never.
        window: is it a window of rows that lives within a tile?
        first, last: the first and last instruction of its loop, itself where there is none.
        scalar: has it no axes? `turned`: is its memory not in C order?
        leaf_base, leaf_offset: where leaves are.
    """

    leaf: Any
    view: Any
    root: Any
    offset: Any
    nbytes: Any
    in_place: Any
    follows: Any
    alike: Any
    lasting: Any
    window: Any
    first: Any
    last: Any
    scalar: Any
    turned: Any
    leaf_base: Any
    leaf_offset: Any


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """Where slots are: `base`, `offset` (bytes) by slot; `taken[i]`: did i take over operand 0's memory?

    `buffer` is each slot's; a buffer has a base, an offset, bytes, and the last instruction that reads it.
    `arena` and `tiles` are the bytes of the two arenas, the first `image` bytes hold scalar constants.
    """

    base: Any
    offset: Any
    taken: Any
    buffer: Any
    buffer_ends: Any
    buffer_base: Any
    buffer_offset: Any
    buffer_bytes: Any
    copied_outputs: tuple[int, ...]
    arena: int
    tiles: int
    image: int


@compiled
def _ends(starts: Any, operands: Any, root: Any, window: Any, lasting: Any, last: Any, end: Any) -> None:
    """end[r]: the last instruction during which root r must be there."""
    for i in range(len(root)):
        end[i] = i if window[i] and not lasting[i] else last[i]
    for i in range(len(root)):
        for o in range(starts[i], starts[i + 1]):
            r = root[operands[o]]
            end[r] = max(end[r], i if window[r] and not lasting[r] else last[i])


@compiled
def _share_buffers(
    starts: Any,
    operands: Any,
    leaf: Any,
    view: Any,
    root: Any,
    offsets: Any,
    nbytes: Any,
    in_place: Any,
    follows: Any,
    alike: Any,
    lasting: Any,
    window: Any,
    first: Any,
    ends: Any,
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
    for i in range(len(leaf)):
        a, b = starts[i], starts[i + 1]
        if view[i]:
            buffer[i] = buffer[operands[a]]
            within[i] = within[operands[a]] + offsets[i]
            continue
        within[i] = 0
        chosen = -1
        if follows[i] >= 0:
            chosen = buffer[follows[i]]
        for k in range(min(b - a, 8)):
            if (in_place[i] >> k) & 1 == 0 or chosen >= 0:
                continue
            s = operands[a + k]
            r = root[s]
            h = buffer[s]
            if fixed[h] or ends[r] != i or within[s] != 0 or size[h] != nbytes[i]:
                continue
            if alike[r] != alike[i] or lasting[r] or lasting[i] or window[r] != window[i]:
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
            begin[count] = i if window[i] and not lasting[i] else first[i]
            fixed[count] = leaf[i]
            count += 1
        else:
            taken[i] = True
        buffer[i] = chosen
        end[chosen] = ends[i]
    return count


@compiled
def _allocate(
    begin: Any,
    by_begin: Any,
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

    `by_begin` and `order` sort the buffers by their begin and their end; `wanted[b]`: does it live in the arena?
    """
    cells, arrays, freed = 0, 0, 0
    for b in by_begin:
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
    starts: Any, operands: Any, wanted: Wanted, dependents: list[int], first_output: int, image: int
) -> Placement:
    """Place every slot; outputs are the bases from `first_output` on, one a dependent."""
    w = wanted
    n = len(w.leaf)
    ends = np.empty(n, np.int32)
    _ends(starts, operands, w.root, w.window, w.lasting, w.last, ends)
    ends[w.root[dependents]] = n
    buffer, within, taken = np.empty(n, np.int32), np.empty(n, np.int64), np.zeros(n, np.bool_)
    size, begin, end = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32)
    fixed = np.zeros(n, np.bool_)
    count = _share_buffers(
        starts, operands, w.leaf, w.view, w.root, w.offset, w.nbytes, w.in_place, w.follows, w.alike, w.lasting,
        w.window, w.first, ends, buffer, within, taken, size, begin, end, fixed,
    )  # fmt: skip
    size, begin, end, fixed = size[:count], begin[:count], end[:count], fixed[:count]
    base = np.full(count, ARENA, np.int64)
    where = np.zeros(count, np.int64)
    leaves = np.flatnonzero(w.leaf)
    base[buffer[leaves]] = w.leaf_base[leaves]
    where[buffer[leaves]] = w.leaf_offset[leaves]
    base[buffer[w.window & ~w.leaf & ~w.view]] = TILES
    pinned = np.zeros(count, np.bool_)
    pinned[buffer[w.scalar]] = True  # the scalar machine reaches the arena alone
    owned = ~fixed
    copied = _place_outputs(dependents, first_output, buffer, within, w.nbytes, size, pinned, w.turned, owned, base)
    arena = _place_in_arena(begin, end, owned & (base == ARENA), size, where, image)
    tiles = _place_in_arena(begin, end, owned & (base == TILES), size, where, 0)
    return Placement(
        base[buffer],
        where[buffer] + within,
        taken,
        buffer,
        np.where(fixed, n, end),
        base,
        where,
        size,
        copied,
        arena,
        tiles,
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
    turned: Any,
    owned: Any,
    base: Any,
) -> tuple[int, ...]:
    """Let results be written where they are wanted; returns the dependents that must be copied there."""
    copied = []
    for k, slot in enumerate(dependents):
        b = buffer[slot]
        if owned[b] and within[slot] == 0 and size[b] == nbytes[slot] and not pinned[b] and not turned[slot]:
            base[b] = first_output + k
            owned[b] = False
        else:
            copied.append(k)
    return tuple(copied)


def _place_in_arena(begin: Any, end: Any, owned: Any, size: Any, where: Any, image: int) -> int:
    """Offsets for the owned buffers, cells first; returns the bytes of the whole arena."""
    rounded = np.where(size <= CELL_BYTES, CELL_BYTES, -(-size // ALIGNMENT) * ALIGNMENT)
    class_bytes, klass = np.unique(rounded, return_inverse=True)
    spot = np.zeros(len(size), np.int64)
    by_begin = np.argsort(begin, kind="stable").astype(np.int64)
    order = np.argsort(end, kind="stable").astype(np.int64)
    heads, link = np.full(len(class_bytes), -1, np.int64), np.full(len(size), -1, np.int64)
    cells, arrays = _allocate(
        begin, by_begin, order, end, klass.astype(np.int64), owned, class_bytes, spot, heads, link, CELL_BYTES
    )
    start = -(-(image + cells) // ALIGNMENT) * ALIGNMENT
    is_cell = rounded == CELL_BYTES
    where[owned] = (spot + np.where(is_cell, image, start))[owned]
    return int(start + arrays)
