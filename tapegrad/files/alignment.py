"""Which instructions of two tapes are the same ones: what both begin and end with, and what is found in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final

import numpy as np

from tapegrad.ops.table import CONSTANT, OPS
from tapegrad.passes.signature import signatures
from tapegrad.tape import Interner, Tape

# Between what both begin and end with: more than that is not looked at closely, which could take minutes.
_MOST, _MOST_PAIRS = 4000, 400_000


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Instructions of one tape beside those of another.

    Attributes:
        pairs: int64[k, 2], instructions that are the same but for the slots they read, rising in both.
        stretches: what is between them: (first, end) in one and in the other; one of both may be empty.
        complete: was all of it looked at?
    """

    pairs: Any
    stretches: tuple[tuple[int, int, int, int], ...]
    complete: bool


def align(a: Tape, b: Tape) -> Alignment:
    """What is the same in two tapes."""
    shared: Interner[Any] = Interner()
    one, other = _keys(a, shared), _keys(b, shared)
    shorter = min(len(one), len(other))
    differs = np.flatnonzero(one[:shorter] != other[:shorter])
    head = int(differs[0]) if len(differs) else shorter
    rest = shorter - head
    differs = np.flatnonzero(one[::-1][:rest] != other[::-1][:rest])
    tail = int(differs[0]) if len(differs) else rest
    ends = len(one) - tail, len(other) - tail
    middle = [one[head : ends[0]].tolist(), other[head : ends[1]].tolist()]
    blocks, complete = _blocks(*middle)
    runs = [(0, 0, head), *((head + i, head + j, n) for i, j, n in blocks), (*ends, tail)]
    pairs = [np.stack([np.arange(i, i + n), np.arange(j, j + n)], 1) for i, j, n in runs]
    stretches, at = [], (0, 0)
    for i, j, n in runs:
        if (i, j) != at:
            stretches.append((at[0], i, at[1], j))
        at = (i + n, j + n)
    return Alignment(np.concatenate(pairs), tuple(stretches), complete)


def _blocks(one: list[int], other: list[int]) -> tuple[list[tuple[int, int, int]], bool]:
    """Stretches that are the same in two lists, and whether that was looked at."""
    counts = Counter(other)
    work = sum(counts[key] for key in one)
    if max(len(one), len(other)) > _MOST or work > _MOST_PAIRS:
        return [], not one or not other
    found = SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()
    return [(m.a, m.b, m.size) for m in found if m.size], True


def _keys(tape: Tape, shared: Interner[Any]) -> Any:
    """int64[n]: the same number for what is the same but for the slots that are read, and for constants' values."""
    ids, firsts = signatures(tape)
    known = []
    for i in firsts.tolist():
        op = OPS[tape.opcodes[i]]
        attribute = () if op.leaf or op.immediate else tape.attribute(i)
        typed = tuple(repr(part) for part in attribute)  # 1 and 1.0 are two
        known.append(shared((op.key, typed, tape.type(i), tuple(tape.type(s) for s in tape.read(i)))))
    keys: Any = np.array(known, np.int64)[ids]
    own = np.array([(op.immediate or op.leaf) and k != CONSTANT for k, op in enumerate(OPS)], np.bool_)[tape.opcodes]
    return keys << 32 | np.where(own, tape.attribute_ids, 0)


UNKNOWN: Final = -1


def counterparts(alignment: Alignment, count: int) -> Any:
    """int64[count]: of each slot of the first tape the one of the second, or `UNKNOWN`."""
    found = np.full(count, UNKNOWN, np.int64)
    found[alignment.pairs[:, 0]] = alignment.pairs[:, 1]
    return found
