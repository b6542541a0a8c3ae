"""A layer for each box.

Layers are filled from the last one up, as wide as the picture may be (after Coffman & Graham, Optimal scheduling for
two-processor systems, Acta Informatica 1, 1972): longest paths, so that an input stands close to where it is used. Then
boxes move to where their arrows are short, which Gansner, Koutsofios, North & Vo, A technique for drawing directed
graphs (IEEE Transactions on Software Engineering 19, 1993) do by a linear program.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush


def assign(
    widths: Sequence[float],
    arrows: Sequence[tuple[int, int]],
    limit: float,
    top: frozenset[int] = frozenset(),
    bottom: frozenset[int] = frozenset(),
) -> list[int]:
    """A layer for each box: below all that it reads, none wider than `limit` where that can be.

    Args:
        widths: of each box.
        arrows: from a box to one with a larger number.
        limit: how wide a layer may be.
        top, bottom: boxes that stand alone in the first layer, and in the last one.
    """
    count = len(widths)
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for u, v in sorted(set(arrows)):
        before[v].append(u)
        after[u].append(v)
    used: dict[int, float] = {}
    level = [0] * count
    for u in reversed(range(count)):
        if u in top or u in bottom:
            continue
        at = max((level[v] + 1 for v in after[u] if v not in bottom), default=0)
        while used.get(at, 0.0) and used.get(at, 0.0) + widths[u] > limit:
            at += 1
        level[u] = at
        used[at] = used.get(at, 0.0) + widths[u]
    height = max(level, default=0)
    layer = [height + 1 - at for at in level]
    for u in top:
        layer[u] = 0
    for u in bottom:
        layer[u] = height + 2
    free = [u for u in range(count) if u not in top and u not in bottom]
    _shorten(free, layer, before, after, widths, limit)
    return _compact(layer)


def _shorten(
    free: list[int],
    layer: list[int],
    before: list[list[int]],
    after: list[list[int]],
    widths: Sequence[float],
    limit: float,
) -> None:
    """Move boxes between what they read and what reads them, to where arrows are short."""
    used: dict[int, float] = {}
    for u in free:
        used[layer[u]] = used.get(layer[u], 0.0) + widths[u]
    for turn in range(8):
        moved = False
        for u in free if turn % 2 == 0 else reversed(free):
            pull = len(before[u]) - min(1, len(after[u]))  # arrows out of a box share a trunk
            if pull == 0 or not before[u]:
                continue
            lowest = max(layer[v] for v in before[u]) + 1
            for at in range(lowest, layer[u]):
                if used.get(at, 0.0) + widths[u] <= limit and at > 0:
                    used[layer[u]] -= widths[u]
                    used[at] = used.get(at, 0.0) + widths[u]
                    layer[u], moved = at, True
                    break
        for u in reversed(free):
            if before[u] or not after[u]:
                continue
            highest = min(layer[v] for v in after[u]) - 1
            for at in range(highest, layer[u], -1):
                if used.get(at, 0.0) + widths[u] <= limit:
                    used[layer[u]] -= widths[u]
                    used[at] = used.get(at, 0.0) + widths[u]
                    layer[u], moved = at, True
                    break
        if not moved:
            return


def _compact(layer: list[int]) -> list[int]:
    """Without empty layers."""
    number = {at: k for k, at in enumerate(sorted(set(layer)))}
    return [number[at] for at in layer]


def mirror(layer: Sequence[int], reverse: Sequence[bool], arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Layers for a forward part that goes down and, beside it, a reverse part that goes up.

    A box of the reverse part stands half a layer below what it reads of the forward part, where the arrows of its own
    part leave it the choice: so an adjoint stands about beside its slot, and no arrow stays in its layer.

    Args:
        layer: of the forward part's boxes; of others it does not matter.
        reverse: whether a box is of the reverse part.
        arrows: from a box to one with a larger number.
    """
    reads: list[list[int]] = [[] for _ in layer]
    readers: list[list[int]] = [[] for _ in layer]
    for u, v in arrows:
        reads[v].append(u)
        readers[u].append(v)
    above = [0] * len(layer)  # how many layers a box needs above itself
    for u in reversed(range(len(layer))):
        above[u] = max((above[v] + 1 for v in readers[u]), default=0)
    lowest = 2 * max((at for at, r in zip(layer, reverse, strict=True) if not r), default=0) + 1
    found = [2 * at for at in layer]
    for v in (v for v, of_reverse in enumerate(reverse) if of_reverse):
        highest = min((found[u] - 2 for u in reads[v] if reverse[u]), default=lowest)
        beside = max((found[u] + 1 for u in reads[v] if not reverse[u]), default=highest)
        found[v] = min(highest, max(beside, 2 * above[v] + 1))
    for v in reversed(range(len(layer))):
        if reverse[v] and not reads[v] and readers[v]:  # a seed: just below who reads it
            found[v] = max(found[u] for u in readers[v]) + 2
    return _joined(_compact(found), arrows)


def _joined(layer: list[int], arrows: Sequence[tuple[int, int]]) -> list[int]:
    """Layers that follow one another as one, where no arrow goes between their boxes."""
    connected = {tuple(sorted((layer[u], layer[v]))) for u, v in arrows}
    number, first = {0: 0}, 0
    for at in range(1, max(layer, default=0) + 1):
        if any((before, at) in connected for before in range(first, at)):
            first = at
            number[at] = number[at - 1] + 1
        else:
            number[at] = number[at - 1]
    return [number[at] for at in layer]


def topological(count: int, arrows: Sequence[tuple[int, int]]) -> list[int]:
    """An order in which arrows go forward, as close to that of the numbers as can be."""
    waiting = [0] * count
    onward: list[list[int]] = [[] for _ in range(count)]
    for u, v in arrows:
        waiting[v] += 1
        onward[u].append(v)
    ready = [k for k in range(count) if not waiting[k]]
    order = []
    while ready:
        k = heappop(ready)
        order.append(k)
        for v in onward[k]:
            waiting[v] -= 1
            if not waiting[v]:
                heappush(ready, v)
    return order
