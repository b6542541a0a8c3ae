"""Value and gradient of four losses by hand, as quick as they get with NumPy and numba: nothing is stored in between.

Each returns a gradient of its own, as the libraries do. They use one thread, whatever `--threads` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

# Sums may be reassociated, so that the loops vectorise; nan and inf stay what they are.
MATH = {"contract", "nsz", "arcp", "reassoc"}
TILE = 4096


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    made: Callable[..., Any] = numba.njit(cache=True, error_model="numpy", fastmath=MATH)(function)
    return made


def transcendental(x: Any) -> Any:
    """`losses.transcendental`, by NumPy's loops on tiles that stay in the cache.

    numba calls the functions of the C library number by number: one fused loop of those takes longer.
    """
    gradient = np.empty_like(x)
    spare = np.empty((5, TILE), x.dtype)
    total = 0.0
    for start in range(0, x.size, TILE):
        t = x[start : start + TILE]
        total += _transcendental_tile(t, gradient[start : start + TILE], spare[:, : t.size])
    return total, gradient


def _transcendental_tile(t: Any, out: Any, spare: Any) -> Any:
    bell, wide, sine, bend, logarithm = spare
    np.multiply(t, t, out=wide)
    np.exp(np.negative(wide, out=bell), out=bell)
    np.log(np.add(wide, 1, out=wide), out=logarithm)
    np.sin(t, out=sine)
    np.tanh(t, out=bend)
    total = np.dot(sine, bell) + np.dot(logarithm, bend)
    # bell * (cos(t) - 2 t sine) + 2 t / (1 + t²) * bend + logarithm * (1 - bend²)
    np.cos(t, out=out)
    out -= np.multiply(np.multiply(sine, t, out=sine), 2, out=sine)
    out *= bell
    np.divide(t, wide, out=wide)
    out += np.multiply(np.multiply(wide, bend, out=wide), 2, out=wide)
    np.subtract(1, np.multiply(bend, bend, out=bend), out=bend)
    out += np.multiply(logarithm, bend, out=logarithm)
    return total


@_compiled
def rosenbrock(x: Any) -> Any:
    """`losses.rosenbrock`: each miss is computed twice, so that no step waits for the one before it."""
    n = x.size
    gradient = np.empty_like(x)
    left, middle, right, inner = x[:-2], x[1:-1], x[2:], gradient[1:-1]
    miss, rest = x[1] - x[0] * x[0], 1 - x[0]
    total = 100 * miss * miss + rest * rest
    gradient[0] = -400 * miss * x[0] - 2 * rest
    for i in range(middle.size):
        t = middle[i]
        behind, ahead, rest = t - left[i] * left[i], right[i] - t * t, 1 - t
        total += 100 * ahead * ahead + rest * rest
        inner[i] = 200 * behind - 400 * ahead * t - 2 * rest
    gradient[n - 1] = 200 * (x[n - 1] - x[n - 2] * x[n - 2])
    return total, gradient


@_compiled
def _factorisation(u: Any, v: Any, users: Any, items: Any, ratings: Any) -> Any:
    du, dv = np.empty_like(u), np.empty_like(v)
    total = _decay(u, du) + _decay(v, dv)
    for k in range(ratings.size):
        a, b, da, db = u[users[k]], v[items[k]], du[users[k]], dv[items[k]]
        predicted = 0.0
        for j in range(a.size):
            predicted += a[j] * b[j]
        miss = predicted - ratings[k]
        total += miss * miss
        double = 2 * miss
        for j in range(a.size):
            da[j] += double * b[j]
            db[j] += double * a[j]
    return total, du, dv


@_compiled
def _decay(a: Any, gradient: Any) -> Any:
    """The weight decay of one matrix; its derivative is stored, so that nothing has to be set to zero."""
    flat, out = a.reshape(-1), gradient.reshape(-1)
    total = 0.0
    for i in range(flat.size):
        total += flat[i] * flat[i]
        out[i] = 0.1 * flat[i]
    return 0.05 * total


def factorisation(p: Any, users: Any, items: Any, ratings: Any) -> Any:
    """`losses.factorisation`: the derivatives of a rating are added where its rows were read."""
    total, du, dv = _factorisation(p["users"], p["items"], users, items, ratings)
    return total, {"users": du, "items": dv}


@_compiled
def total_variation(image: Any, noisy: Any) -> Any:
    """`losses.total_variation`: row after row, the next row's share of a derivative written ahead."""
    rows, columns = image.shape
    gradient = np.empty_like(image)
    total = 0.0
    for j in range(columns):
        gradient[0, j] = 0.0
    for i in range(rows):
        here, out = image[i], gradient[i]
        for j in range(columns):
            miss = here[j] - noisy[i, j]
            total += 0.5 * miss * miss
            out[j] += miss
        if i + 1 < rows:
            total += _row_of_slopes(here, image[i + 1], out, gradient[i + 1])
    return total, gradient


@_compiled
def _row_of_slopes(here: Any, below: Any, out: Any, ahead: Any) -> Any:
    n = here.size - 1
    across = np.empty(n, here.dtype)
    current, right = here[:n], here[1:]
    total = 0.0
    for j in range(n):
        dx, dy = below[j] - current[j], right[j] - current[j]
        length = math.sqrt(dx * dx + dy * dy + 1e-3)
        scale = 1 / length
        total += length
        ahead[j] = dx * scale
        across[j] = dy * scale
        out[j] -= (dx + dy) * scale
    ahead[n] = 0.0
    behind = out[1:]
    for j in range(n):
        behind[j] += across[j]
    return total


FUNCTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (transcendental, rosenbrock, factorisation, total_variation)
}
