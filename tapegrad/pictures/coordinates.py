"""Where in its row a box stands: arrows as straight as the order allows.

Brandes & Köpf, Fast and simple horizontal coordinate assignment (Graph Drawing 2001, LNCS 2265, 2002): boxes are
aligned with a median neighbour into blocks, blocks are pushed together as far as their widths allow; once for each of
the four corners, and the median of the four is taken, which keeps order and distances. Blocks are pushed by longest
paths over all of them, which leaves out the classes of the paper (and what its authors corrected of them in 2020),
and gives the same separation.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from tapegrad.pictures.ordering import WALL, Rows

LENGTHS: Final = (1 << 30, 20, 10, 5, 2)  # rows that a block may go through


def across(rows: Rows, widths: Sequence[float], gap: float, narrow: float, limit: float) -> list[float]:
    """The centre of each box and dummy.

    Args:
        rows: ordered rows.
        widths: of boxes and dummies.
        gap: between two boxes.
        narrow: between two of which one is a dummy.
        limit: how wide all may be; where that is too little for long straight blocks, blocks are shorter.
    """
    marked = _conflicts(rows)
    best: list[float] = []
    narrowest = float("inf")
    for longest in LENGTHS:
        layouts = []
        for down in (True, False):
            for right in (True, False):
                root = _align(rows, marked, longest, down=down, right=right)
                layouts.append(_push(rows, root, widths, (gap, narrow), right=right))
        found = _balance(layouts, widths)
        wide = max((x + w / 2 for x, w in zip(found, widths, strict=True)), default=0.0)
        if wide < narrowest:
            best, narrowest = found, wide
        if wide <= limit:
            break
    return best


def _conflicts(rows: Rows) -> set[tuple[int, int]]:
    """Lines that give way: they cross a line between two dummies, which is to be straight; a wall's first of all."""
    marked: set[tuple[int, int]] = set()
    for row in rows.rows[:-1]:
        lines = [(u, v) for u in row for v in rows.lower[u]]
        inner = [(u, v) for u, v in lines if u >= rows.count and v >= rows.count]
        inner.sort(key=lambda e: (rows.group[e[0]] != WALL, rows.group[e[0]] != rows.group[e[1]], rows.place[e[0]]))
        kept: list[tuple[int, int]] = []
        straight: set[tuple[int, int]] = set()
        for u, v in (*inner, *(e for e in lines if e[0] < rows.count or e[1] < rows.count)):
            a, b = rows.place[u], rows.place[v]
            if any((a - c) * (b - d) < 0 for c, d in kept):
                marked.add((u, v))
            elif u >= rows.count and v >= rows.count and (u, v) not in straight:
                kept.append((a, b))
                straight.add((u, v))
    return marked


def _align(rows: Rows, marked: set[tuple[int, int]], longest: int, *, down: bool, right: bool) -> list[int]:
    """The block of each box, named by its first: each with a median neighbour, where no other line is in the way."""
    total = len(rows.layer)
    root, align = list(range(total)), list(range(total))
    length = [1] * total
    beside = rows.upper if down else rows.lower
    for row in rows.rows if down else rows.rows[::-1]:
        last = -1 if right else 1 << 60
        for v in row if right else row[::-1]:
            near = sorted(beside[v], key=rows.place.__getitem__)
            if not near:
                continue
            low, high = (len(near) - 1) // 2, len(near) // 2
            for m in (low, high) if right else (high, low):
                u = near[m]
                free = last < rows.place[u] if right else last > rows.place[u]
                room = length[root[u]] < longest or rows.group[v] == WALL
                if align[v] == v and free and room and ((u, v) if down else (v, u)) not in marked:
                    align[u] = v
                    root[v] = root[u]
                    align[v] = root[v]
                    length[root[u]] += 1
                    last = rows.place[u]
    return root


def _push(
    rows: Rows,
    root: list[int],
    widths: Sequence[float],
    gaps: tuple[float, float],
    *,
    right: bool,
) -> list[float]:
    """Blocks as far to the left as they go (or to the right), each then moved back towards its neighbours."""
    between: dict[int, dict[int, float]] = {}
    entering: dict[int, int] = dict.fromkeys(root, 0)
    for row in rows.rows:
        for v, w in pairwise(row):
            a, b = (v, w) if right else (w, v)
            gap = gaps[0] if v < rows.count and w < rows.count else gaps[1]
            apart = (widths[v] + widths[w]) / 2 + gap
            onward = between.setdefault(root[a], {})
            if root[b] not in onward:
                entering[root[b]] += 1
            onward[root[b]] = max(onward.get(root[b], 0.0), apart)
    order = [b for b, n in entering.items() if n == 0]
    at = dict.fromkeys(root, 0.0)
    for block in order:
        for following, apart in between.get(block, {}).items():
            at[following] = max(at[following], at[block] + apart)
            entering[following] -= 1
            if entering[following] == 0:
                order.append(following)
    _pull(rows, root, between, order, at)
    sign = 1 if right else -1
    return [sign * at[root[v]] for v in range(len(rows.layer))]


def _pull(
    rows: Rows, root: list[int], between: dict[int, dict[int, float]], order: list[int], at: dict[int, float]
) -> None:
    """Move blocks, the farthest first, to the median of what they are connected with, as far as there is room."""
    members: dict[int, list[int]] = {}
    for v, r in enumerate(root):
        members.setdefault(r, []).append(v)
    for block in reversed(order):
        room = min((at[n] - apart for n, apart in between.get(block, {}).items()), default=None)
        near = sorted(at[root[w]] for v in members[block] for w in (*rows.upper[v], *rows.lower[v]) if root[w] != block)
        wanted = near[len(near) // 2] if near else None
        if wanted is None:
            wanted = room if room is not None else at[block]
        at[block] = max(at[block], wanted if room is None else min(wanted, room))


def _balance(layouts: list[list[float]], widths: Sequence[float]) -> list[float]:
    """The layouts over one another, the narrowest unmoved; of each box the middle between its middle two places."""
    if not layouts[0]:
        return []
    spans = []
    for xs in layouts:
        low = min(x - w / 2 for x, w in zip(xs, widths, strict=True))
        high = max(x + w / 2 for x, w in zip(xs, widths, strict=True))
        spans.append((low, high))
    best = min(range(4), key=lambda k: spans[k][1] - spans[k][0])
    low, high = spans[best]
    moved = [[x + (low - spans[k][0] if k % 2 == 0 else high - spans[k][1]) for x in layouts[k]] for k in range(4)]
    middle = []
    for four in zip(*moved, strict=True):
        ordered = sorted(four)
        middle.append((ordered[1] + ordered[2]) / 2)
    left = min(x - w / 2 for x, w in zip(middle, widths, strict=True))
    return [x - left for x in middle]
