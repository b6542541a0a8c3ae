"""Times taken in turns: in every round each library runs each case, so that what disturbs one disturbs all."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np

from benchmarks import clock
from benchmarks.comparison import peers
from benchmarks.comparison.cases import Case
from benchmarks.comparison.peers import OURS, PEERS, MissingPeerError, Peer, Prepared

AGREEMENT: Final = {"float64": 1e-8, "float32": 1e-3}
SHORTEST_SAMPLE: Final = 1e-3
TURN_SECONDS: Final = 0.2


class DisagreementError(Exception):
    """Two libraries whose values or gradients differ: then times say nothing."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all cases of a run."""

    dtype: str = "float64"
    threads: int = 1
    rounds: int = 7
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What one peer took for one case.

    Attributes:
        first: seconds of its first call: recording, compiling or building, and a gradient.
        rounds: median seconds of a call, round by round.
        cores: processor seconds a second: above the number of threads, it used more of them.
    """

    first: float
    rounds: tuple[float, ...]
    cores: float

    @property
    def seconds(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.rounds)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One case: what each peer took, and why others did not run it."""

    case: Case
    measured: dict[str, Measured]
    missing: dict[str, str]

    def seconds(self, name: str) -> float | None:
        """The time of a peer, none where it did not run."""
        return self.measured[name].seconds if name in self.measured else None

    @property
    def best(self) -> str | None:
        """The quickest rival, none where no other library ran the case."""
        rivals = [peer.name for peer in PEERS if peer.is_rival and peer.name in self.measured]
        return min(rivals, key=lambda name: self.measured[name].seconds, default=None)

    @property
    def ratio(self) -> float | None:
        """Our time over that of the best rival: below 1 we are faster."""
        return None if self.best is None else self.measured[OURS].seconds / self.measured[self.best].seconds

    @property
    def ratios(self) -> list[float]:
        """The same, round by round: how far the ratio is to be trusted."""
        if self.best is None:
            return []
        return [a / b for a, b in zip(self.measured[OURS].rounds, self.measured[self.best].rounds, strict=True)]


@dataclass(slots=True)
class _Runner:
    prepared: Prepared
    first: float
    batch: int = 1
    samples: int = 1

    def fit(self) -> None:
        """Choose how often a turn calls it."""
        guess = max(clock.once(self.prepared.call), 1e-9)
        self.batch = max(1, round(SHORTEST_SAMPLE / guess))
        self.samples = min(50, max(1, int(TURN_SECONDS / (guess * self.batch))))

    def turn(self) -> tuple[float, float]:
        """Median seconds of a call, and processor seconds a second; one call before is not counted."""
        call = self.prepared.call
        call()
        start, used = perf_counter(), process_time()
        seconds = [clock.batch_seconds(call, self.batch) for _ in range(self.samples)]
        return statistics.median(seconds), (process_time() - used) / (perf_counter() - start)


def measure_case(case: Case, setting: Setting, wanted: Sequence[Peer] = PEERS) -> Outcome:
    """Run a case by all peers: first calls, then whether they agree, then the rounds."""
    arguments = case.arguments(quick=setting.quick, dtype=setting.dtype)
    runners: dict[str, _Runner] = {}
    missing: dict[str, str] = {}
    found: dict[str, tuple[float, list[Any]]] = {}
    for peer in wanted:
        try:
            prepared = peers.prepared(peer, case, arguments, setting.threads)
        except MissingPeerError as error:
            missing[peer.name] = str(error)
            continue
        start = perf_counter()
        result = prepared.call()
        runners[peer.name] = _Runner(prepared, perf_counter() - start)
        found[peer.name] = prepared.numbers(result)
        del result
    check_agreement(case.name, found, AGREEMENT[setting.dtype])
    found.clear()
    return Outcome(case, _rounds(runners, setting), missing)


def _rounds(runners: dict[str, _Runner], setting: Setting) -> dict[str, Measured]:
    order = list(runners)
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in order}
    for runner in runners.values():
        runner.fit()
        runner.samples = 1 if setting.quick else runner.samples
    for k in range(setting.rounds):
        # Another one begins each time: nobody always follows the same neighbour.
        begin = k % len(order)
        for name in order[begin:] + order[:begin]:
            gc.collect()
            turns[name].append(runners[name].turn())
    return {
        name: Measured(
            runners[name].first,
            tuple(seconds for seconds, _ in turns[name]),
            statistics.median(cores for _, cores in turns[name]),
        )
        for name in order
    }


def check_agreement(title: str, found: dict[str, tuple[float, list[Any]]], limit: float) -> None:
    """Compare all values and gradients with ours, relative to the largest entry of the gradient."""
    value, gradient = found[OURS]
    ours = np.concatenate([leaf.reshape(-1) for leaf in gradient])
    largest = float(np.max(np.abs(ours)))
    for name, (other, parts) in found.items():
        if not abs(other - value) <= limit * max(1.0, abs(value)):
            raise DisagreementError(f"{title}: the value is {value!r}, by {name} {other!r}")
        if not parts:
            continue
        theirs = np.concatenate([leaf.reshape(-1) for leaf in parts])
        error = float(np.max(np.abs(theirs - ours))) if theirs.shape == ours.shape else float("inf")
        if not error <= limit * largest:
            raise DisagreementError(
                f"{title}: the gradient by {name} is off by {error:.1e}, its largest is {largest:.1e}"
            )


def measure_all(cases: Sequence[Case], setting: Setting, report: Callable[[str], None]) -> list[Outcome]:
    """All cases, one after another; `report` is told what is being measured."""
    report("loading the libraries")
    for peer in PEERS:
        peers.wake(peer, setting.threads)
    outcomes = []
    for case in cases:
        report(case.title)
        outcomes.append(measure_case(case, setting))
    return outcomes
