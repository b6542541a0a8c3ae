"""Losses with rows, in the size of a test: what `tests/test_tiles.py` runs tile by tile.

Each is ordinary NumPy code that takes its module `np` first, so that it runs under tapegrad.numpy and jax.numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests import models

Make = Callable[[np.random.Generator, int], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Case:
    """A loss `f(np, *arguments)` with its arguments for n rows; the first of them is differentiated by.

    Attributes:
        tiled: must it run in loops over rows?
        empty: has it a value where there are no rows?
    """

    f: Callable[..., Any]
    make: Make
    tiled: bool = True
    empty: bool = True


CASES: Final[dict[str, Case]] = {}


def case(make: Make, *, tiled: bool = True, empty: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a loss."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        CASES[f.__name__] = Case(f, make, tiled, empty)
        return f

    return register


# --- one pass over the rows


def points(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    return (rng.normal(size=n),)


def vectors(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    return (rng.normal(size=(n, 3)),)


def weighted(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    """Weights, rows, targets."""
    return rng.normal(size=3), rng.normal(size=(n, 3)), rng.normal(size=n)


def labelled(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    p = {"w": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    return p, rng.normal(size=(n, 3)), rng.integers(0, 4, n)


def layers(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    shapes = ((3, 5), (5, 4), (4, 2))
    return (
        [(rng.normal(size=s), rng.normal(size=s[1])) for s in shapes],
        rng.normal(size=(n, 3)),
        rng.normal(size=(n, 2)),
    )


def ratings(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    p = {"users": rng.normal(size=(5, 3)), "items": rng.normal(size=(4, 3))}
    return p, rng.integers(0, 5, n), rng.integers(-4, 4, n), rng.normal(size=n)


def clusters(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    k, d = 4, 3
    p = {"weights": rng.normal(size=k), "means": rng.normal(size=(k, d)), "logs": 0.1 * rng.normal(size=(k, d))}
    p["factors"] = 0.1 * rng.normal(size=(k, d, d))
    return p, rng.normal(size=(n, d)), np.tril(np.ones((d, d)), -1), np.eye(d)


def image(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    return rng.normal(size=(n, 7)), rng.normal(size=(n, 7))


case(points)(models.transcendental)
case(points)(models.rosenbrock)
case(image)(models.total_variation)
case(labelled, empty=False)(models.softmax_regression)
case(layers, empty=False)(models.network)
case(ratings)(models.factorisation)
case(clusters)(models.mixture)


@case(weighted)
def residuals(np: Any, w: Any, x: Any, y: Any) -> Any:
    return np.sum((x @ w - y) ** 2) + np.sum(w * w)


@case(lambda rng, n: (rng.normal(size=(n, 2, 3)), rng.normal(size=(3, 2))))
def batches(np: Any, x: Any, w: Any) -> Any:
    """A matrix a row: products of each with one matrix, and with its own transpose."""
    y = np.tanh(x @ w)
    return np.sum((y @ np.swapaxes(y, 1, 2)) ** 2) + np.sum(np.max(x, axis=2))


@case(lambda rng, n: ({"w": rng.normal(size=(3, 3)), "b": rng.normal()}, rng.normal(size=(n, 6, 6))))
def convolution(np: Any, p: Any, images: Any) -> Any:
    """Nine windows of each image, weighed."""
    total = p["b"]
    for i in range(3):
        for j in range(3):
            total = total + p["w"][i, j] * images[:, i : i + 4, j : j + 4]
    return np.sum(np.maximum(total, 0.1 * total) ** 2)


@case(lambda rng, n: (rng.normal(size=(4, 2)), rng.integers(0, 4, n), rng.normal(size=(n, 2))))
def table(np: Any, t: Any, index: Any, x: Any) -> Any:
    """A second, smaller family: the table's own rows are shifted, and rows of data point into it."""
    smooth = np.sin(t)
    return np.sum((smooth[index] - x) ** 2) + np.sum((smooth[1:] - smooth[:-1]) ** 2) + np.sum(smooth[2:] * t[:-2])


@case(weighted)
def chosen(np: Any, w: Any, x: Any, y: Any) -> Any:
    """Branches by row, one of which has no value."""
    t = x @ w
    return np.sum(np.where(t > 0, np.log(np.where(t > 0, t, 1.0)), t * y)) + np.sum(np.minimum(t, y))


# --- shifted rows


@case(points)
def nested(np: Any, x: Any) -> Any:
    """Second differences of computed values, three deep."""
    for _ in range(3):
        x = np.tanh(x[2:] - 2 * x[1:-1] + x[:-2])
    return np.sum(x * x)


@case(vectors)
def skewed(np: Any, x: Any) -> Any:
    """Windows that start at 0, 1, 2, 3 and 5 of values with windows behind them."""
    y = np.sin(x)
    z = y[1:] * y[:-1]
    u = z[2:] + y[:-3] * x[3:]
    return np.sum(np.cos(u[2:]) * y[5:]) + np.sum(z) + np.sum(u[:-1] ** 2)


@case(points)
def forecast(np: Any, x: Any) -> Any:
    """Each from the two before it, whose own errors are fed back."""
    error = x[2:] - 0.6 * x[1:-1] - 0.2 * x[:-2]
    moved = error[1:] - 0.4 * error[:-1]
    return np.sum(moved**2) + np.sum(np.abs(x[:-1]))


@case(vectors, tiled=False)
def rolled(np: Any, x: Any) -> Any:
    y = np.sin(x)
    return np.sum(y * np.concatenate([y[1:], y[:1]]) * np.concatenate([x[-2:], x[:-2]]))


@case(points, tiled=False)
def mirrored(np: Any, x: Any) -> Any:
    y = np.exp(-x * x)
    return np.sum(y[::-1] * x) + np.sum(y[::2]) ** 2


# --- several passes


@case(weighted, empty=False)
def root_mean_square(np: Any, w: Any, x: Any, y: Any) -> Any:
    return np.sqrt(np.mean((x @ w - y) ** 2))


@case(vectors, empty=False)
def variance(np: Any, x: Any) -> Any:
    centred = x - np.mean(x, axis=0)
    return np.sum(np.log(1 + np.mean(centred**2, axis=0)))


@case(weighted, empty=False)
def log_sum(np: Any, w: Any, x: Any, y: Any) -> Any:
    """Over the rows; the largest comes first."""
    t = x @ w * y
    top = np.max(t)
    return np.log(np.sum(np.exp(t - top))) + top


@case(weighted, empty=False)
def attention(np: Any, w: Any, x: Any, y: Any) -> Any:
    """A softmax over the rows weighs them."""
    t = x @ w
    e = np.exp(t - np.max(t))
    p = e / np.sum(e)
    mean = p @ x
    return np.sum(mean**2) - np.sum(p * y)


@case(
    lambda rng, n: ((rng.normal(size=(3, 4)), rng.normal(size=4), rng.normal(size=4)), *weighted(rng, n)[1:]),
    empty=False,
)
def batch_norm(np: Any, p: Any, x: Any, y: Any) -> Any:
    w, scale, offset = p
    h = x @ w
    centred = h - np.mean(h, axis=0)
    h = scale * centred / np.sqrt(np.mean(centred**2, axis=0) + 1e-2) + offset
    return np.mean((np.sum(np.tanh(h), axis=1) - y) ** 2)


@case(vectors, empty=False)
def standardised(np: Any, x: Any) -> Any:
    """Twice, and shifted rows of the outcome: phases, lag and rows kept from phase to phase."""
    for _ in range(2):
        x = x - np.mean(x, axis=0)
        x = np.sin(x / np.sqrt(np.mean(x * x) + 0.1))
    return np.sum(x[1:] * x[:-1]) / np.sum(x * x + 1)


# --- rows elsewhere


@case(vectors, tiled=False)
def gram(np: Any, x: Any) -> Any:
    """Every row with every other."""
    k = np.exp(-0.5 * np.sum((x[:, None, :] - x[None, :, :]) ** 2, axis=2))
    return np.sum(k @ x) + np.sum(np.tanh(x @ x.T) * k)


@case(lambda rng, n: ((rng.normal(size=(4, 3)), rng.normal(size=(2, 4))), rng.normal(size=(3, n))), tiled=False)
def features_first(np: Any, p: Any, x: Any) -> Any:
    first, second = p
    return np.sum((second @ np.tanh(first @ x + first[:, :1])) ** 2)


@case(lambda rng, n: (rng.normal(size=(3, n)),), tiled=False)
def turned(np: Any, x: Any) -> Any:
    """Columns taken for rows, and back."""
    y = np.tanh(x.T) * np.sum(x, axis=0)[:, None]
    return np.sum((y.T + x) ** 2)


@case(lambda rng, n: (rng.normal(size=(6, 6)), rng.normal(size=(6, 6))), tiled=False)
def square(np: Any, x: Any, w: Any) -> Any:
    """As many rows as columns: no size tells which is which."""
    y = np.tanh(x @ w + np.sum(x, axis=0))
    return np.sum(y @ x.T * np.sum(y, axis=1)[:, None])
