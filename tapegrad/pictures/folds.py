"""Stretches of a tape that repeat: what a loop leaves behind when it is recorded, turn after turn.

A turn repeats where its instructions have the ops, attributes, types and source lines of the turn before, and where
each operand moves from turn to turn by a fixed number of slots: by none (a parameter), by a turn (what the loop
computes and carries along), backwards (what a reverse part reads of a forward one), or by any other. An immediate
attribute, as the k of x[k], may change. The first turn may read anything: it takes what the loop starts from.

Repeats of equal keys are found with names for stretches of 1, 2, 4, 8 ... keys, each made of two of the names before
(Karp, Miller & Rosenberg, Rapid identification of repeated patterns in strings, trees and arrays, 1972): n log n,
whatever the period. An inner loop is found first and stands for one key after that, so that the loop around it is
found like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.ops.table import CONSTANT, OPS, flags
from tapegrad.tape import Tape

Longs = NDArray[np.int64]

MOST_ROUNDS: Final = 60
LEAST_TURNS: Final = 3
LEAST_SAVED: Final = 12  # instructions: folding less hides more than it tells
MULTIPLES: Final = (1, 2, 3, 4, 5, 6, 8)


@dataclass(frozen=True, slots=True)
class Fold:
    """A repeat: `turns` times `period` steps from step `first` on; `inner` are the repeats within its first turn.

    Steps are the instructions that are no inputs and no constants, in order (`Steps.slots`).
    """

    first: int
    period: int
    turns: int
    inner: tuple[Fold, ...] = ()

    @property
    def end(self) -> int:
        """The first step after it."""
        return self.first + self.period * self.turns

    def moved(self, by: int) -> Fold:
        """The same repeat so many steps on: that of another turn of the repeat around it."""
        return replace(self, first=self.first + by, inner=tuple(f.moved(by) for f in self.inner))


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """What repeats are looked for in: a tape without its leaves.

    Attributes:
        slots: the slot of each step.
        step: for each slot its step, -1 for leaves.
        keys: a number for each step, the same where op, attribute, type, line and number of operands are.
        starts: where each step's operands begin; one more at the end.
        operands: steps that are read; inputs count down from -1; the operands of a commuting op are in rising order.
        lines: the number of each step's source line in its file.
        line_ids: its place among the tape's lines.
        reverse: whether a step is of the reverse part.
        kinds: of each operand 0 for a step, 1 for an input, 2 for a constant.
    """

    slots: Longs
    step: Longs
    keys: Longs
    starts: Longs
    operands: Longs
    kinds: NDArray[np.int8]
    lines: Longs
    line_ids: Longs
    reverse: NDArray[np.bool_]

    @classmethod
    def of(cls, tape: Tape) -> Steps:
        """The steps of a tape."""
        n = len(tape)
        leaf = flags("leaf")[tape.opcodes]
        slots = np.flatnonzero(~leaf)
        step = np.full(n, -1, np.int64)
        step[slots] = np.arange(len(slots))
        counts: Longs = np.asarray(np.diff(tape.starts), np.int64)[slots]
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        read = tape.operands[_ranges(tape.starts[slots].astype(np.int64), counts)]
        constant = tape.opcodes[read] == CONSTANT
        kinds = np.where(constant, 2, np.where(leaf[read], 1, 0)).astype(np.int8)
        operands = np.where(leaf[read], -1 - read.astype(np.int64), step[read])
        operands[constant] = 0
        _orient(tape, slots, starts, counts, operands, kinds)
        lines = np.array([_line(text) for text in tape.lines], np.int64)[tape.line_ids[slots]]
        ids, reverse = tape.line_ids[slots].astype(np.int64), slots >= tape.reverse
        return cls(slots, step, _keys(tape, slots, counts), starts, operands, kinds, lines, ids, reverse)


def _line(text: str) -> int:
    """The number at the end of "file:line"."""
    number = text.rpartition(":")[2]
    return int(number) if number.isdigit() else 0


def _ranges(firsts: Longs, counts: Longs) -> Longs:
    """The numbers first, first + 1 ... of each stretch, one stretch after another."""
    ends = np.cumsum(counts)
    return np.repeat(firsts - ends + counts, counts) + np.arange(int(ends[-1]) if len(ends) else 0)


def _orient(tape: Tape, slots: Longs, starts: Longs, counts: Longs, operands: Longs, kinds: NDArray[np.int8]) -> None:
    """Put the two operands of commuting ops in rising order, in place."""
    commutes = np.array([op.commutes for op in OPS])[tape.opcodes[slots]] & (counts == 2)
    first = starts[:-1][commutes]
    ranks = operands + kinds.astype(np.int64) * (1 << 40)
    swapped = first[ranks[first] > ranks[first + 1]]
    for array in (operands, kinds):
        array[swapped], array[swapped + 1] = array[swapped + 1], array[swapped].copy()


def _keys(tape: Tape, slots: Longs, counts: Longs) -> Longs:
    """One number for each kind of step; the forward and the reverse part have none in common."""
    immediate = flags("immediate")[tape.opcodes[slots]]
    columns = [
        tape.opcodes[slots].astype(np.int64),
        np.where(immediate, -1, _attributes(tape)[tape.attribute_ids[slots]]),
        tape.type_ids[slots].astype(np.int64),
        tape.line_ids[slots].astype(np.int64),
        counts,
        (slots >= tape.reverse).astype(np.int64),
    ]
    keys = np.zeros(len(slots), np.int64)
    for column in columns:
        keys = _named(keys, column)
    return keys


def _attributes(tape: Tape) -> Longs:
    """A number for each attribute, the same for windows of one size that start in different places."""
    known: dict[Any, int] = {}
    count = max(len(tape.attributes), int(tape.attribute_ids.max(initial=0)) + 1)
    found = np.arange(count) + count
    for k, attribute in enumerate(tape.attributes):
        if attribute and all(isinstance(w, tuple) and len(w) == 3 for w in attribute):
            found[k] = known.setdefault(tuple(w[1:] for w in attribute), k)
    return found


def _named(a: Longs, b: Longs) -> Longs:
    """A small number for each pair."""
    if not len(a):
        return a
    span = int(b.max()) - int(b.min()) + 1
    found: Longs = np.unique((a - a.min()) * span + (b - b.min()), return_inverse=True)[1].astype(np.int64)
    return found


@dataclass(slots=True)
class _Symbols:
    """The steps with the repeats found so far in one symbol each."""

    names: Longs
    firsts: Longs  # step of each symbol
    ends: Longs  # and the step after it
    folds: list[Fold | None]
    known: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def contract(self, found: list[tuple[int, int, Fold]]) -> _Symbols:
        """With each of these stretches of symbols, from a to b, as one."""
        kept, names, firsts, ends, folds = 0, [], [], [], []
        for a, b, fold in found:
            names += self.names[kept:a].tolist()
            firsts += self.firsts[kept:a].tolist()
            ends += self.ends[kept:a].tolist()
            folds += self.folds[kept:a]
            width = (b - a) // fold.turns
            key = (*self.names[a : a + width].tolist(), fold.turns)
            names.append(self.known.setdefault(key, -1 - len(self.known)))
            firsts.append(fold.first)
            ends.append(fold.end)
            inner = tuple(f for f in self.folds[a : a + width] if f is not None)
            folds.append(replace(fold, inner=inner))
            kept = b
        names += self.names[kept:].tolist()
        firsts += self.firsts[kept:].tolist()
        ends += self.ends[kept:].tolist()
        return _Symbols(np.array(names), np.array(firsts), np.array(ends), [*folds, *self.folds[kept:]], self.known)


def find_folds(tape: Tape, steps: Steps | None = None) -> tuple[Fold, ...]:
    """The repeats of a tape, outermost ones in order; those within them are their `inner`.

    >>> import numpy as np, tapegrad as tg
    >>> def f(x):
    ...     for _ in range(100):
    ...         x = np.sin(x) + np.cos(x)
    ...     return x
    >>> find_folds(tg.record(f, 1.0).tape)
    (Fold(first=0, period=3, turns=100, inner=()),)
    """
    steps = Steps.of(tape) if steps is None else steps
    count = len(steps.slots)
    symbols = _Symbols(steps.keys, np.arange(count), np.arange(1, count + 1), [None] * count)
    for _ in range(MOST_ROUNDS):
        found = _round(steps, symbols)
        if not found:
            break
        symbols = symbols.contract(found)
    return tuple(f for f in symbols.folds if f is not None)


def _round(steps: Steps, symbols: _Symbols) -> list[tuple[int, int, Fold]]:
    """The repeats of the shortest period that there are, as stretches of symbols."""
    for places, distances in _candidates(symbols):
        found: list[tuple[int, int, Fold]] = []
        done = 0
        for x, d in zip(places.tolist(), distances.tolist(), strict=True):
            if x < done:
                continue
            end = _extent(symbols.names, x, d)
            for a, b, fold in _turns(steps, symbols, x, d, end):
                found.append((a, b, fold))
            done = max(done, end - d + 1, found[-1][1] if found else 0)
        if found:
            return found
    return []


def _candidates(symbols: _Symbols) -> Iterator[tuple[Longs, Longs]]:
    """Places where a stretch comes again within its own length, and how far on; for lengths 1, 2, 4 ...

    Of a run of such places only the first, and none of runs that are too short to be worth a frame.
    """
    names, length = symbols.names, 1
    while True:
        count = len(names)
        order = np.argsort(names, kind="stable")
        same = names[order[1:]] == names[order[:-1]]
        distances = np.full(count, 1 << 60)
        distances[order[:-1][same]] = order[1:][same] - order[:-1][same]
        near = distances <= length
        starts = near & (np.concatenate([[0], distances[:-1]]) != distances)
        places = np.flatnonzero(starts)
        lasts = np.flatnonzero(near & (np.concatenate([distances[1:], [0]]) != distances))
        second = places + distances[places]
        saved = symbols.ends[lasts + distances[places] + length - 1] - symbols.firsts[second]
        places = places[saved >= LEAST_SAVED]
        yield places, distances[places]
        if length >= count:
            return
        names = _named(names[:-length], names[length:])
        length *= 2


def _extent(names: Longs, x: int, d: int) -> int:
    """Where the stretch from x on ends that repeats after d."""
    at, chunk = x, max(64, d)
    while at + d < len(names):
        stop = min(at + chunk, len(names) - d)
        differ = names[at:stop] != names[at + d : stop + d]
        if differ.any():
            return at + int(differ.argmax()) + d
        at, chunk = stop, 2 * chunk
    return len(names)


def _turns(steps: Steps, symbols: _Symbols, x: int, d: int, end: int) -> Iterator[tuple[int, int, Fold]]:
    """The repeats from symbol x to end, where keys come again after d: those stretches whose operands move evenly.

    Where none does, every second turn may, or every third ...
    """
    for many in MULTIPLES:
        width = many * d
        turns = (end - x) // width
        if turns < LEAST_TURNS:
            return
        at = x + _rotation(steps, symbols, x, width, min(width - 1, end - x - turns * width))
        first, period = int(symbols.firsts[at]), int(symbols.firsts[at + width] - symbols.firsts[at])
        done = 0
        for run, last in _runs(_even(steps, first, period, turns)):
            start = max(run - 3, done)
            count, done = last - start + 1, last + 1
            if count >= LEAST_TURNS and (count - 1) * period >= LEAST_SAVED:
                yield at + start * width, at + done * width, Fold(first + start * period, period, count)
        if done:
            return


def _even(steps: Steps, first: int, period: int, turns: int) -> NDArray[np.bool_]:
    """For each turn whether every operand is as far from the turn before as that is from the one before it."""
    begin, width = int(steps.starts[first]), int(steps.starts[first + period] - steps.starts[first])
    read = steps.operands[begin : begin + turns * width].reshape(turns, width)
    kinds = steps.kinds[begin : begin + turns * width].reshape(turns, width)
    even = np.zeros(turns, np.bool_)
    moved = np.diff(read, axis=0)
    same = (kinds[2:] == kinds[1:-1]) & (kinds[1:-1] == kinds[:-2]) & (moved[1:] == moved[:-1])
    even[2:] = same.all(axis=1)
    return even


def _runs(flags_: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags_, [False]]).astype(np.int8)))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _rotation(steps: Steps, symbols: _Symbols, x: int, d: int, most: int) -> int:
    """By how many symbols to start later, so that fewest values are carried from turn to turn."""
    if most <= 0:
        return 0
    first, period = int(symbols.firsts[x]), int(symbols.firsts[x + d] - symbols.firsts[x])
    begin, end = int(steps.starts[first + period]), int(steps.starts[first + 2 * period])
    readers = np.repeat(
        np.arange(first + period, first + 2 * period), np.diff(steps.starts[first + period : first + 2 * period + 1])
    )
    read, kinds = steps.operands[begin:end], steps.kinds[begin:end]
    inside = (kinds == 0) & (read >= first)
    reach: dict[int, int] = {}
    for s, i in zip(read[inside].tolist(), readers[inside].tolist(), strict=True):
        place = (s - first) % period
        reach[place] = max(reach.get(place, 0), place + i - s)
    carried = np.zeros(2 * period + 1, np.int64)
    for s, i in reach.items():
        carried[s + 1] += 1
        carried[min(i, s + period) + 1] -= 1
    carried = np.cumsum(carried)[: 2 * period]
    total = carried[:period] + carried[period:]
    # Of equal ones that where the source lines jump farthest: a loop's end.
    lines = steps.lines[first : first + 2 * period]
    jump = np.abs(lines - np.roll(lines, 1))
    jump[0] = jump[period]
    places = symbols.firsts[x : x + most + 1] - first
    return int(np.lexsort((places, -jump[places], total[places]))[0])
