"""Medians of repeated timings: the warm-up excluded, the number of repeats fitted to a budget of seconds."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

SHORTEST_SAMPLE = 100e-6
MOST_SAMPLES = 200


@dataclass(frozen=True)
class Timing:
    """Seconds a call took (the median of `samples`), or would take where it is only extrapolated."""

    seconds: float
    samples: int
    extrapolated: bool = False


def once(call: Callable[[], object]) -> float:
    """Seconds of a single call."""
    start = perf_counter_ns()
    call()
    return (perf_counter_ns() - start) * 1e-9


def measure(call: Callable[[], object], budget: float, least: int = 3) -> Timing:
    """The median time of `call`, after one call that is not counted, over as many samples as the budget allows."""
    call()
    guess = once(call)
    # A call of a few microseconds is timed in batches, so that the clock itself does not show.
    batch = max(1, round(SHORTEST_SAMPLE / max(guess, 1e-9)))
    samples = min(MOST_SAMPLES, max(least, int(budget / (batch * guess))))
    return Timing(statistics.median(batch_seconds(call, batch) for _ in range(samples)), samples)


def batch_seconds(call: Callable[[], object], batch: int) -> float:
    """Seconds of a call, as the mean of a few in a row."""
    start = perf_counter_ns()
    for _ in range(batch):
        call()
    return (perf_counter_ns() - start) * 1e-9 / batch


def format_seconds(seconds: float) -> str:
    """Two or three digits in the unit a reader would choose."""
    for limit, factor, unit in (
        (1e-3, 1e6, "µs"),
        (1, 1e3, "ms"),
        (120, 1, "s"),
        (7200, 1 / 60, "min"),
        (172800, 1 / 3600, "h"),
    ):
        if seconds < limit:
            return f"{_digits(seconds * factor)} {unit}"
    return f"{_digits(seconds / 86400)} days"


def _digits(value: float) -> str:
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{decimals}f}"
