"""A part of a picture: what is near something, or has a name; what is left out is counted in stubs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import numpy as np

from tapegrad.ops.custom import title
from tapegrad.ops.table import OPS
from tapegrad.pictures import graph
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.boxes import name as slot_name
from tapegrad.pictures.folds import Steps
from tapegrad.pictures.graph import Arrow, Entry, Graph
from tapegrad.pictures.units import Unit
from tapegrad.reading.source import place
from tapegrad.tape import Tape

_ENDS: Final = frozenset({graph.INPUT, graph.CONSTANT})  # what else reads them is not near


def near(whole: Graph, roots: Iterable[int], depth: int | None, most: int, *, backwards: bool) -> list[int]:
    """The boxes within so many arrows of some, nearest first, at most so many.

    Args:
        whole: the graph.
        roots: places of boxes.
        depth: how many arrows; None for any number.
        most: how many boxes.
        backwards: only against the arrows, from a result to what it depends on.
    """
    beside: list[list[int]] = [[] for _ in whole.entries]
    ends = frozenset(roots)
    for a in whole.arrows:
        beside[a.target].append(a.source)
        if not backwards and (whole.entries[a.source].kind not in _ENDS or a.source in ends):
            beside[a.source].append(a.target)
    far = dict.fromkeys(sorted(ends), 0)
    waiting, count = deque(far), sum(_boxes(whole.entries[k]) for k in far)
    while waiting:
        k = waiting.popleft()
        if depth is not None and far[k] >= depth:
            continue
        for n in sorted(set(beside[k])):
            size = _boxes(whole.entries[n])
            if n not in far and count + size <= most:
                far[n] = far[k] + 1
                count += size
                waiting.append(n)
    return list(far)


def near_slots(tape: Tape, roots: Iterable[int], depth: int | None, most: int, *, backwards: bool) -> set[int]:
    """The same of a tape's slots, for tapes that are too long for a graph of all."""
    readers = np.repeat(np.arange(len(tape)), np.diff(tape.starts))
    order = np.argsort(tape.operands, kind="stable")
    begins = np.searchsorted(tape.operands[order], np.arange(len(tape) + 1))
    far = dict.fromkeys(sorted(roots)[:most], 0)
    waiting = deque(far)
    while waiting and len(far) < most:
        s = waiting.popleft()
        if depth is not None and far[s] >= depth:
            continue
        beside = tape.read(s)
        if not backwards and (beside or far[s] == 0):  # what else reads an input is not near
            beside += readers[order[begins[s] : begins[s + 1]]].tolist()
        for t in sorted(set(beside)):
            if t not in far and len(far) < most:
                far[t] = far[s] + 1
                waiting.append(t)
    return set(far)


def matching_slots(tape: Tape, labels: Labels, name: str) -> list[int]:
    """The slots whose op, argument or source line has this in its name."""
    lines = [name in place(line) for line in tape.lines]
    keys = zip(tape.opcodes.tolist(), tape.attribute_ids.tolist(), tape.line_ids.tolist(), strict=True)
    known: dict[tuple[int, int], bool] = {}
    found = []
    for slot, (code, attribute, line) in enumerate(keys):
        yes = known.get((code, attribute))
        if yes is None:
            leaf = OPS[code].leaf
            called = slot_name(tape, slot, labels) if leaf else title(OPS[code], tape.attribute(slot))
            yes = known[code, attribute] = name in called
        if yes or lines[line]:
            found.append(slot)
    return found


def around_units(steps: Steps, chosen: set[int]) -> list[Unit]:
    """Chosen slots by themselves, what lies between them joined."""
    cuts = sorted({int(steps.step[s]) for s in chosen} - {-1})
    out, at = [], 0
    for i in (*cuts, len(steps.slots)):
        if i > at:
            out.append(Unit(at, i))
        if i < len(steps.slots):
            out.append(Unit(i, i + 1))
        at = i + 1
    return out


def _boxes(entry: Entry) -> int:
    return 1 if entry.inner is None else entry.inner.count()


def cut(whole: Graph, kept: Iterable[int]) -> Graph:
    """Only some boxes; each slot that is left out is counted once, in a stub before or after the box nearest to it.

    Stubs before a box count what it depends on, stubs after it what depends on it.
    """
    inside = sorted(set(kept))
    drawn = [False] * len(whole.entries)
    for k in inside:
        drawn[k] = True
    order = _order(whole)
    readers: list[list[int]] = [[] for _ in whole.entries]
    reads: list[list[int]] = [[] for _ in whole.entries]
    for a in whole.arrows:
        readers[a.source].append(a.target)
        reads[a.target].append(a.source)
    below = _reach(order[::-1], readers, drawn, min)
    above = _reach(order, reads, drawn, max)
    counts: dict[tuple[int, bool], list[int]] = {}
    for k, entry in enumerate(whole.entries):
        if not drawn[k]:
            key = (below[k], True) if below[k] >= 0 else (above[k], False)
            counts.setdefault(key, []).extend(entry.slots)
    return _with_stubs(whole, inside, counts, below, drawn)


def _order(whole: Graph) -> list[int]:
    """The entries in an order in which arrows go forward."""
    waiting = [0] * len(whole.entries)
    onward: list[list[int]] = [[] for _ in whole.entries]
    for a in whole.arrows:
        waiting[a.target] += 1
        onward[a.source].append(a.target)
    out = [k for k, n in enumerate(waiting) if n == 0]
    for k in out:
        for v in onward[k]:
            waiting[v] -= 1
            if waiting[v] == 0:
                out.append(v)
    return out


def _reach(order: list[int], beside: list[list[int]], drawn: list[bool], best: Callable[[list[int]], int]) -> list[int]:
    """For each box that is left out the drawn one that it leads to; -1 where there is none."""
    out = [-1] * len(drawn)
    for k in order:
        if not drawn[k]:
            found = [v if drawn[v] else out[v] for v in beside[k]]
            out[k] = best([v for v in found if v >= 0] or [-1])
    return out


def _with_stubs(
    whole: Graph, inside: list[int], counts: dict[tuple[int, bool], list[int]], below: list[int], drawn: list[bool]
) -> Graph:
    """The boxes, their arrows, and the stubs."""
    crossing = {(a.target, below[a.source]) for a in whole.arrows if drawn[a.target] and not drawn[a.source]}
    place = {old: new for new, old in enumerate(inside)}
    out = whole.subgraph(inside)
    for (k, before), slots in sorted(counts.items()):
        slots.sort()
        text = f"… {len(slots):,} more"
        near_by = out.entries[place[k]] if k >= 0 else None
        stub = out.add(
            Entry(graph.STUB, tuple(slots), near_by.part if near_by else 0, text, hint=f"left out: {_ranges(slots)}")
        )
        if before:
            targets = [t for t, owner in sorted(crossing) if owner == k]
            out.arrows += [Arrow(stub, place[t], several=True) for t in targets]
        elif k >= 0:
            out.arrows.append(Arrow(place[k], stub, several=True))
    return out


def _ranges(slots: list[int]) -> str:
    """Slots in few words: v1 to v5, v7."""
    runs: list[list[int]] = []
    for s in slots:
        if runs and s == runs[-1][1] + 1:
            runs[-1][1] = s
        else:
            runs.append([s, s])
    words = [f"v{a}" if a == b else f"v{a} to v{b}" for a, b in runs]
    return ", ".join(words[:12]) + (" …" if len(words) > 12 else "")
