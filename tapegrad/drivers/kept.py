"""What is kept of a run of a function, and how the recording is found that fits a call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapegrad.derivative.touched import Gathered
from tapegrad.record.captured import Captured
from tapegrad.record.surroundings import Surroundings
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tapegrad.trees import Structure, unflatten

COMPUTED: Final = object()  # stands for a result of the tape among leaves


@dataclass(slots=True, eq=False)
class Recording:
    """One recorded run of a function.

    Attributes:
        tape: the function as recorded and simplified.
        full: the tape that runs: with its reverse part, if one was asked for.
        runner: its program.
        outcomes: how each guard came out, in order.
        captured: arrays that the function captured.
        surroundings: globals and closure variables that it reads.
        result: structure of what the function returned; `aux`: what it returned beside that.
        lines: the source line of each guard.
        gathered: for each gradient, its parts if it is in parts (`tapegrad.derivative.touched`); empty where none
            were asked for.
        parts: how many results after the gradients belong to those parts: indices.
    """

    tape: Tape
    full: Tape
    runner: Runner
    outcomes: tuple[Any, ...]
    captured: tuple[Captured, ...]
    surroundings: Surroundings
    result: Structure | None
    lines: tuple[str, ...]
    aux: Aux | None = None
    gathered: tuple[Gathered | None, ...] = ()
    parts: int = 0

    def gradients(self, results: Sequence[Any], count: int) -> list[Any]:
        """The gradients among the results of a sweep; those in parts as `TouchedRows`."""
        whole = results[1 : 1 + count]
        if not self.parts:
            return list(whole)
        return [g if t is None else t.rows(results) for g, t in zip(whole, self.gathered, strict=True)]

    def settle(self) -> None:
        """After the first sweep: what functions that it calls count or keep themselves is no reason to record anew."""
        if self.runner.program.calls:
            self.surroundings = self.surroundings.untouched()


@dataclass(frozen=True, slots=True, eq=False)
class Aux:
    """What a function returned beside what is differentiated: a container; some of its leaves are results of the tape.

    `leaves` are the others, the same at every call, with `COMPUTED` in place of each result.
    """

    structure: Structure | None
    leaves: tuple[Any, ...]

    def restore(self, results: Iterable[Any]) -> Any:
        """The container with these arrays."""
        computed = iter(results)
        return unflatten(self.structure, [next(computed) if x is COMPUTED else _fresh(x) for x in self.leaves])


def _fresh(leaf: Any) -> Any:
    """A leaf that the caller may change."""
    return leaf.copy() if isinstance(leaf, np.ndarray) else leaf


@dataclass(slots=True)
class Search:
    """The recordings that a call has tried, and what is known from them of how its guards come out."""

    tried: list[Recording] = field(default_factory=list)
    known: tuple[Any, ...] = ()

    def failed(self, recording: Recording, failure: GuardFailure) -> None:
        """A guard came out otherwise, and those before it as recorded."""
        self.tried.append(recording)
        if failure.guard >= len(self.known):
            self.known = recording.outcomes[: failure.guard]

    def next(self, kept: Sequence[Recording]) -> Recording | None:
        """The most recently used recording that agrees with all that is known."""
        return next((r for r in reversed(kept) if self.allows(r) and r.surroundings.hold()), None)

    def allows(self, recording: Recording) -> bool:
        """May the recording's guards all hold?"""
        if any(recording is t for t in self.tried):
            return False
        return recording.outcomes[: len(self.known)] == self.known and not self._contradicted(recording)

    def _contradicted(self, recording: Recording) -> bool:
        """Does it go, after the known guards, the way that a tried recording went and that was wrong?"""
        n = len(self.known)
        if not self.tried:
            return False
        if len(recording.outcomes) <= n:
            return True
        return any(
            t.outcomes[:n] == self.known and len(t.outcomes) > n and t.outcomes[n] == recording.outcomes[n]
            for t in self.tried
        )
