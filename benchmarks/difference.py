"""Gradients by finite differences: one evaluation of the loss a parameter (forward) or two (central)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.model import Array

Loss = Callable[[Array], Any]
Method = Callable[[Loss, Array, float, Sequence[int]], Array]

# The textbook steps: they balance truncation against rounding for a function whose derivatives are of order one.
FORWARD_STEP = float(np.finfo(np.float64).eps) ** (1 / 2)
CENTRAL_STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


def forward(loss: Loss, point: Array, step: float, coordinates: Sequence[int]) -> Array:
    """(f(x + h) - f(x)) / h at the given coordinates of the flattened parameters."""
    base = loss(point)
    moved = point.copy()
    flat = moved.reshape(-1)
    gradient = np.empty(len(coordinates))
    for position, coordinate in enumerate(coordinates):
        start = flat[coordinate]
        flat[coordinate] = start + step
        # Divided by the step as it was rounded, not as it was asked for: the method at its best.
        gradient[position] = (loss(moved) - base) / (flat[coordinate] - start)
        flat[coordinate] = start
    return gradient


def central(loss: Loss, point: Array, step: float, coordinates: Sequence[int]) -> Array:
    """(f(x + h) - f(x - h)) / 2h at the given coordinates of the flattened parameters."""
    moved = point.copy()
    flat = moved.reshape(-1)
    gradient = np.empty(len(coordinates))
    for position, coordinate in enumerate(coordinates):
        start = flat[coordinate]
        flat[coordinate] = above = start + step
        upper = loss(moved)
        flat[coordinate] = below = start - step
        gradient[position] = (upper - loss(moved)) / (above - below)
        flat[coordinate] = start
    return gradient


def evaluations(method: Method, n: int) -> int:
    """How many times a method evaluates the loss for a gradient by `n` parameters."""
    return n + 1 if method is forward else 2 * n
