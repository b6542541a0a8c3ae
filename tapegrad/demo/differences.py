"""Finite differences: what they say of the gradient, and how long they would take for all of it."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from tapegrad.demo.digits import Digits
from tapegrad.demo.network import Parameters, loss

_STEP: Final = np.cbrt(np.finfo(np.float64).eps)  # central differences err least near it


@dataclass(frozen=True, slots=True)
class Comparison:
    """Some entries of a gradient beside central differences.

    Attributes:
        entries: how many were compared.
        worst: the largest error, relative to the larger of the two values.
        seconds: time of one loss, in NumPy; the shortest seen, so that the differences are not wronged.
        losses: how many of them a whole gradient takes.
    """

    entries: int
    worst: float
    seconds: float
    losses: int

    @property
    def whole(self) -> float:
        """Seconds that all entries would take: extrapolated."""
        return self.seconds * self.losses


def compare(
    params: Parameters, gradient: Parameters, batch: Digits, entries: int, rng: np.random.Generator
) -> Comparison:
    """Compare entries drawn at random from all parameters alike."""
    names, sizes = list(params), [p.size for p in params.values()]
    ends, errors, seconds = np.cumsum(sizes), [], []
    for place in rng.choice(ends[-1], entries, replace=False):
        k = int(np.searchsorted(ends, place, side="right"))
        within = int(place - (ends[k] - sizes[k]))
        found = gradient[names[k]].reshape(-1)[within]
        began = perf_counter()
        expected = central_difference(params, names[k], within, batch)
        seconds.append((perf_counter() - began) / 2)
        errors.append(abs(found - expected) / max(abs(found), abs(expected)))
    return Comparison(entries, float(max(errors)), min(seconds), 2 * int(ends[-1]))


def central_difference(params: Parameters, name: str, place: int, batch: Digits) -> float:
    """The derivative by one parameter, from two losses; the parameters are as before when it returns."""
    flat = params[name].reshape(-1)
    kept = flat[place]
    values, points = [], (kept + _STEP, kept - _STEP)
    for point in points:
        flat[place] = point
        values.append(float(loss(params, batch.images, batch.labels)))
    flat[place] = kept
    return (values[0] - values[1]) / float(points[0] - points[1])
