"""Finite differences beside adjoints: the rest of the tape runs once more with one entry of a slot moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import TapegradError
from tapegrad.ops.table import OPS
from tapegrad.tape import Tape
from tapegrad.values import value, values

BUDGET: Final = 300_000  # instructions that may be evaluated again; `_costs` tells what a large one counts
_EPS: Final = float(np.finfo(np.float64).eps)
_STEP: Final = _EPS ** (1 / 3)
_LEAST: Final = 1e-5  # a smaller value is moved by as much as this one,
_ZERO: Final = 1e-3  # and 0, which does not tell what is small, by as much as this one
_CLOSE: Final = MappingProxyType({"d": 1e-4, "f": 1e-3})  # relative to the adjoint, which has the tape's rounding


@dataclass(frozen=True, slots=True)
class Difference:
    """A central difference beside an adjoint.

    Attributes:
        entry: which entry of the slot was moved: the one with the largest adjoint; () of a number.
        value: the central difference of the dependents, contracted with their seeds, by that entry.
        adjoint: the adjoint of that entry.
        agrees: whether the two are the same, but for errors that such differences have.
    """

    entry: tuple[int, ...]
    value: float
    adjoint: float
    agrees: bool

    @property
    def taken(self) -> bool:
        """Whether there is one: beside a nan, or where the dependents are not finite, there is none to compare."""
        return bool(np.isfinite(self.value))


def compared(
    tape: Tape,
    inputs: Sequence[Any],
    seeds: Sequence[Any],
    adjoints: Sequence[Any],
    wanted: bool | None,
) -> tuple[tuple[Difference | None, ...], str]:
    """One central difference for each slot that has an adjoint, and a remark on what was left out.

    The step is the cube root of the machine epsilon times the size of the entry, or times 1e-5 if it is smaller, 1e-3
    if it is 0. All is computed in float64. What `stop_gradient` gives is not moved.

    Args:
        tape: the forward tape.
        inputs: one array an input.
        seeds: one array a dependent; None for one that is not floating.
        adjoints: one array a slot, perhaps narrower than it; None for a slot without an adjoint.
        wanted: whether to compute them; None: as many as do not take long - all, those of the independents, or none.
    """
    nothing: tuple[None, ...] = (None,) * len(tape)
    slots = [s for s, a in enumerate(adjoints) if a is not None and np.size(a) and tape.type(s).size]
    if wanted is False:
        return nothing, "no finite differences were asked for"
    costs = _costs(tape)
    independents = set(tape.independents.tolist())
    remark = ""
    if wanted is None and _cost(slots, costs) > BUDGET:
        remark = "those of other instructions would take long (differences=True)"
        slots = [s for s in slots if s in independents]
        if _cost(slots, costs) > BUDGET:
            return nothing, "no finite differences, which would take long (differences=True)"
    if not slots:
        return nothing, remark
    rest = _Rest.of(tape, inputs, seeds)
    found: list[Difference | None] = list(nothing)
    for s in slots:
        adjoint = np.broadcast_to(adjoints[s], tape.type(s).shape)
        found[s] = _difference(rest, s, adjoint, _CLOSE[tape.dtype.char])
    return tuple(found), remark


def _costs(tape: Tape) -> Any:
    """For each slot what running all that follows it costs, in instructions of a few numbers each.

    A thousand elements read or written count as one, and so do 20,000 multiply-adds of a product; of matrices that are
    decomposed or inverted 2,000 to the power 3/2 of their size.
    """
    sizes = np.array([t.size for t in tape.types], np.float64)[tape.type_ids]
    read = np.concatenate([[0.0], np.cumsum(sizes[tape.operands])])
    own = 1.0 + (sizes + read[tape.starts[1:]] - read[tape.starts[:-1]]) / 1000
    for i, code in enumerate(tape.opcodes.tolist()):
        op = OPS[code]
        if op.eager or op.name in {"matmul", "matmul_add"}:
            operands = sizes[tape.read(i)]
            if op.eager:
                own[i] += float(np.max(operands, initial=0.0)) ** 1.5 / 2000
            else:  # the sizes of two factors and of their product are mn, nk and mk
                own[i] += float(np.sqrt(sizes[i] * operands[-1] * operands[-2])) / 20_000
    return np.cumsum(own[::-1])[::-1] - own


def _cost(slots: Sequence[int], costs: Any) -> float:
    return 2.0 * float(np.sum(costs[np.array(slots, np.int64)]))


def _difference(rest: _Rest, slot: int, adjoint: Any, allowed: float) -> Difference:
    """The central difference by the entry with the largest adjoint."""
    sizes = np.abs(adjoint)
    place = int(np.argmax(np.where(np.isnan(sizes), -1.0, sizes)))
    entry = tuple(int(k) for k in np.unravel_index(place, adjoint.shape))
    exact = float(adjoint[entry])
    found, noise = rest.slope(slot, entry)
    close = abs(found - exact) <= allowed * max(abs(found), abs(exact)) + 10 * noise
    agrees = bool(close or found == exact or (np.isnan(found) and np.isnan(exact)))
    return Difference(entry, found, exact, agrees)


@dataclass(slots=True)
class _Rest:
    """A tape that has run, and can run on from any slot with another value there."""

    tape: Tape
    inputs: Sequence[Any]
    seeds: Sequence[Any]
    found: list[Any]
    readers: list[list[int]]

    @classmethod
    def of(cls, tape: Tape, inputs: Sequence[Any], seeds: Sequence[Any]) -> _Rest:
        """Run the tape in float64."""
        tape = replace(tape, dtype=np.dtype(np.float64))
        readers: list[list[int]] = [[] for _ in range(len(tape))]
        for i, code in enumerate(tape.opcodes.tolist()):
            if not OPS[code].effect and OPS[code].name != "stop_gradient":
                for s in set(tape.read(i)):
                    readers[s].append(i)
        return cls(tape, inputs, seeds, values(tape, inputs), readers)

    def slope(self, slot: int, entry: tuple[int, ...]) -> tuple[float, float]:
        """The central difference by an entry, and what rounding may make of it."""
        x = float(self.found[slot][entry])
        step = _STEP * (max(abs(x), _LEAST) if x else _ZERO)
        high, low = x + step, x - step
        try:
            above, below = self.moved(slot, entry, high), self.moved(slot, entry, low)
        except TapegradError:  # a matrix that has become singular, say
            return float("nan"), 0.0
        change = size = 0.0
        with np.errstate(all="ignore"):
            for dependent, seed in zip(self.tape.dependents.tolist(), self.seeds, strict=True):
                if seed is not None:
                    here = self.found[dependent]
                    up, down = above.get(dependent, here), below.get(dependent, here)
                    change += float(np.sum(np.where(seed == 0, 0.0, seed * (up - down))))
                    size += float(np.sum(np.abs(seed * here)))
            return change / (high - low), _EPS * size / step

    def moved(self, slot: int, entry: tuple[int, ...], at: float) -> dict[int, Any]:
        """All values that change where one entry of a slot is another number."""
        start = np.array(self.found[slot])
        start[entry] = at
        known = _Changed(self.found, {slot: start})
        waiting = list(self.readers[slot])  # in rising order: a heap
        last = -1
        while waiting:
            i = heappop(waiting)
            if i != last:
                last = i
                known.changed[i] = value(self.tape, i, self.inputs, known)
                for reader in self.readers[i]:
                    heappush(waiting, reader)
        return known.changed


class _Changed(Sequence[Any]):
    """Values of which a few are others."""

    __slots__ = ("changed", "found")

    def __init__(self, found: list[Any], changed: dict[int, Any]) -> None:
        self.found, self.changed = found, changed

    def __getitem__(self, slot: Any) -> Any:
        return self.changed[slot] if slot in self.changed else self.found[slot]

    def __len__(self) -> int:
        return len(self.found)
