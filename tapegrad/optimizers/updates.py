"""The updates of first-order methods: each one pass over parameters, gradient and moments, in place.

An update reads and writes every number once, which is all that memory allows (`python -m benchmarks updates`). A rule
is one function of an entry, and two loops: over all entries, and over the entries of some rows of a table. `g` is
the gradient and `scale` what it is multiplied by first. All arrays and settings of a call are of one dtype, so that
float32 is not computed in float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.jit import entry, part, reduction


@part
def _descend(x: Any, g: Any, rate: Any) -> Any:
    return x - rate * g


@part
def _momentum(x: Any, g: Any, velocity: Any, rate: Any, momentum: Any, ahead: Any) -> Any:
    velocity = momentum * velocity + g
    # Nesterov's step looks ahead by one more momentum: ahead is 1, else 0.
    return x - rate * (velocity + ahead * (momentum * velocity + g - velocity)), velocity


@part
def _rmsprop(x: Any, g: Any, square: Any, rate: Any, keep: Any, epsilon: Any) -> Any:
    square = keep * square + (1 - keep) * (g * g)
    return x - rate * g / (np.sqrt(square) + epsilon), square


@part
def _adagrad(x: Any, g: Any, total: Any, rate: Any, epsilon: Any) -> Any:
    total = total + g * g
    return x - rate * g / (np.sqrt(total) + epsilon), total


@part
def _adam(x: Any, g: Any, mean: Any, square: Any, s: Any) -> Any:
    rate, shrink, keep1, keep2, unbias2, epsilon = s
    mean = keep1 * mean + (1 - keep1) * g
    square = keep2 * square + (1 - keep2) * (g * g)
    return shrink * x - rate * mean / (np.sqrt(square) * unbias2 + epsilon), mean, square


@entry
def descend(x: Any, g: Any, scale: Any, rate: Any) -> None:
    """Gradient descent."""
    for i in range(x.size):
        x[i] = _descend(x[i], scale * g[i], rate)


@entry
def descend_rows(x: Any, rows: Any, g: Any, scale: Any, rate: Any) -> None:
    """The same, of some rows."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[r, j] = _descend(x[r, j], scale * g[k, j], rate)


@entry
def momentum(x: Any, g: Any, velocity: Any, scale: Any, rate: Any, keep: Any, ahead: Any) -> None:
    """Gradient descent with momentum, Polyak's or Nesterov's."""
    for i in range(x.size):
        x[i], velocity[i] = _momentum(x[i], scale * g[i], velocity[i], rate, keep, ahead)


@entry
def momentum_rows(x: Any, rows: Any, g: Any, velocity: Any, scale: Any, rate: Any, keep: Any, ahead: Any) -> None:
    """The same, of some rows."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[r, j], velocity[r, j] = _momentum(x[r, j], scale * g[k, j], velocity[r, j], rate, keep, ahead)


@entry
def rmsprop(x: Any, g: Any, square: Any, scale: Any, rate: Any, keep: Any, epsilon: Any) -> None:
    """RMSProp."""
    for i in range(x.size):
        x[i], square[i] = _rmsprop(x[i], scale * g[i], square[i], rate, keep, epsilon)


@entry
def rmsprop_rows(x: Any, rows: Any, g: Any, square: Any, scale: Any, rate: Any, keep: Any, epsilon: Any) -> None:
    """The same, of some rows."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[r, j], square[r, j] = _rmsprop(x[r, j], scale * g[k, j], square[r, j], rate, keep, epsilon)


@entry
def adagrad(x: Any, g: Any, total: Any, scale: Any, rate: Any, epsilon: Any) -> None:
    """Adagrad."""
    for i in range(x.size):
        x[i], total[i] = _adagrad(x[i], scale * g[i], total[i], rate, epsilon)


@entry
def adagrad_rows(x: Any, rows: Any, g: Any, total: Any, scale: Any, rate: Any, epsilon: Any) -> None:
    """The same, of some rows."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[r, j], total[r, j] = _adagrad(x[r, j], scale * g[k, j], total[r, j], rate, epsilon)


@entry
def adam(x: Any, g: Any, mean: Any, square: Any, scale: Any, *s: Any) -> None:
    """Adam."""
    for i in range(x.size):
        x[i], mean[i], square[i] = _adam(x[i], scale * g[i], mean[i], square[i], s)


@entry
def adam_rows(x: Any, rows: Any, g: Any, mean: Any, square: Any, scale: Any, *s: Any) -> None:
    """The same, of some rows."""
    for k in range(rows.size):
        r = rows[k]
        for j in range(x.shape[1]):
            x[r, j], mean[r, j], square[r, j] = _adam(x[r, j], scale * g[k, j], mean[r, j], square[r, j], s)


@entry
def finite(x: Any) -> bool:
    """Are all numbers finite? One pass without a branch."""
    bad = 0
    for i in range(x.size):
        bad |= not np.isfinite(x[i])
    return bad == 0


@reduction
def _added(x: Any, step: Any, factor: Any, other: Any) -> Any:
    total = 0.0
    for i in range(x.size):
        x[i] += factor * step[i]
        total += x[i] * other[i]
    return total


@entry
def add(x: Any, step: Any, factor: Any, other: Any) -> Any:
    """x += factor * step, and the inner product of what x is then with another vector, in one pass."""
    return _added(x, step, factor, other)
