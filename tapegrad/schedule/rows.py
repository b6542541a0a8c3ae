"""Row analysis: which axes of a tape's slots run over the same rows, and which of these families to tile.

Axes that an instruction aligns, or sums together, belong to one class (union-find over all axes of all
slots). The class that most bytes go through is the tape's row axis, a leading axis counting double: rows that
lie one after another are what data and caches like. A slot that has it is *per row*. Lengths alone decide
nothing: 64 x 64 times 64 x 64 has three classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.ops.table import OPS
from tapegrad.schedule.relations import Relations
from tapegrad.tape import Tape

NO_ROW: Final = -1
_CHOICES, _LESS = 3, 0.3  # how many classes are tried, and what share of the best one's bytes they must have
_LONG: Final = 20_000  # instructions: longer tapes are scheduled for one class only
SMALL: Final = 1 << 15  # bytes: a tape whose slots are all smaller has nothing that leaves the cache

# Instructions that memory limits: a product is as fast whole, and what only moves numbers may cost nothing.
_COSTLESS: Final = ("matmul", "matmul_add", "reshape", "slice", "item", "broadcast_to", "transpose")
_THROUGH: Final = np.array([not op.leaf and op.name not in _COSTLESS for op in OPS], np.bool_)


@part
def _find(parent: Any, x: Any) -> Any:
    while parent[x] != x:
        parent[x] = parent[parent[x]]
        x = parent[x]
    return x


@compiled
def _unite(
    signature: Any, starts: Any, operands: Any, first_axis: Any, pairs: Any, pair_starts: Any, parent: Any
) -> None:
    """Unite the axes that each instruction relates; a pair is (slot, axis, slot, axis), slot 0 the result."""
    for i in range(len(signature)):
        s = signature[i]
        for p in range(pair_starts[s], pair_starts[s + 1]):
            one = i if pairs[p, 0] == 0 else operands[starts[i] + pairs[p, 0] - 1]
            other = i if pairs[p, 2] == 0 else operands[starts[i] + pairs[p, 2] - 1]
            a = _find(parent, first_axis[one] + pairs[p, 1])
            b = _find(parent, first_axis[other] + pairs[p, 3])
            if a != b:
                parent[max(a, b)] = min(a, b)
    for x in range(len(parent)):
        parent[x] = _find(parent, x)


def _pairs(found: Relations) -> list[tuple[int, int, int, int]]:
    """What a signature unites, references counted as 0 for the result, 1 + k for operand k."""
    pairs = [(0, r, 1 + k, a) for k, a, r, _ in found.aligned]
    for group in found.summed:
        (k0, a0), *others = group
        pairs += [(1 + k0, a0, 1 + k, a) for k, a in others]
    return pairs


def families(
    tape: Tape, relations: Callable[[], Sequence[Relations]], signature: Any, nbytes: Any, least: int
) -> list[Any]:
    """For each class that may be tiled, the best first, int32[n]: the row axis of each slot, -1 where it has none.

    `relations` gives those of each signature; `nbytes` are the slots' bytes. There is no class where no slot has
    `least` bytes. A second or third class is listed where not much less goes through it.
    """
    if not len(tape) or nbytes.max() < least:
        return []
    parent, owner, axis, lengths = _classes(tape, relations(), signature)
    through = (lengths > 1) & _THROUGH[tape.opcodes[owner]]
    weight = np.bincount(parent, np.where(through, nbytes[owner] * np.where(axis == 0, 1.0, 0.5), 0.0), len(parent) + 1)
    for apart in range(1, int(np.bincount(owner).max(initial=1))):  # a class with two axes of one slot can't be cut
        twice = (parent[apart:] == parent[:-apart]) & (owner[apart:] == owner[:-apart])
        weight[parent[apart:][twice]] = 0
    chosen = np.argsort(-weight, kind="stable")[: _CHOICES if len(tape) <= _LONG else 1]
    found = []
    for c in chosen[weight[chosen] > _LESS * weight[chosen[:1]]].tolist():
        members = np.flatnonzero((parent == c) & (lengths > 1))
        row = np.full(len(tape), NO_ROW, np.int32)
        row[owner[members]] = axis[members]
        found.append(row)
    return found


def _classes(tape: Tape, relations: Sequence[Relations], signature: Any) -> tuple[Any, Any, Any, Any]:
    """Of each axis of each slot: its class, its slot, its place, its length."""
    ndims = np.array([len(t.shape) for t in tape.types], np.int64)[tape.type_ids]
    first_axis = np.zeros(len(tape) + 1, np.int64)
    np.cumsum(ndims, out=first_axis[1:])
    parent = np.arange(first_axis[-1], dtype=np.int64)
    listed = [_pairs(r) for r in relations]
    pair_starts = np.zeros(len(listed) + 1, np.int64)
    np.cumsum([len(p) for p in listed], out=pair_starts[1:])
    pairs = np.array([p for part in listed for p in part], np.int64).reshape(-1, 4)
    _unite(signature, tape.starts, tape.operands, first_axis, pairs, pair_starts, parent)
    owner = np.repeat(np.arange(len(tape)), ndims)
    length = np.array([m for t in tape.types for m in t.shape], np.int64)
    type_axis = np.zeros(len(tape.types) + 1, np.int64)
    np.cumsum([len(t.shape) for t in tape.types], out=type_axis[1:])
    axis = np.arange(len(parent)) - first_axis[owner]
    lengths = length[type_axis[tape.type_ids[owner]] + axis]
    return parent, owner, axis, lengths
