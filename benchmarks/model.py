"""The functions that are differentiated: plain NumPy, as a user writes them, each with its gradient derived by hand.

The hand-derived gradients are evaluated in long double and serve as the reference that errors are taken against.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SEED = 20
SOFTMAX_ROWS = 64
SOFTMAX_CLASSES = 10


@dataclass(frozen=True)
class Model:
    """A scalar loss, its arguments for a number of parameters, and its exact gradient by the first argument."""

    name: str
    title: str
    formula: str
    loss: Callable[..., Any]
    draw: Callable[[int], tuple[Array, ...]]
    gradient: Callable[..., Array]

    def reference(self, arguments: tuple[Array, ...]) -> Array:
        """The gradient in long double, from the very float64 numbers the other methods are given."""
        return self.gradient(*(argument.astype(np.longdouble) for argument in arguments))


def relative_error(gradient: Array, reference: Array) -> float:
    """|gradient - reference| / |reference|, Euclidean, both taken as vectors."""
    exact = reference.reshape(-1)
    return float(np.linalg.norm(gradient.reshape(-1) - exact) / np.linalg.norm(exact))


def reference_is_wider() -> bool:
    """Whether long double has more digits than float64 (it has not on Windows and on ARM Macs)."""
    return bool(np.finfo(np.longdouble).eps < np.finfo(np.float64).eps)


def draw_vector(n: int) -> tuple[Array, ...]:
    """`n` standard normal parameters."""
    return (np.random.default_rng(SEED).standard_normal(n),)


def terms(x: Array) -> Any:
    """A sum of transcendental terms, one a parameter."""
    return np.sum(np.sin(x) * np.exp(-x * x) + np.log(1 + x * x) * np.tanh(x))


def terms_gradient(x: Array) -> Array:
    """The gradient of `terms`."""
    bell = np.exp(-x * x)
    logarithmic = 2 * x / (1 + x * x) * np.tanh(x) + np.log(1 + x * x) / np.cosh(x) ** 2
    return np.asarray(bell * (np.cos(x) - 2 * x * np.sin(x)) + logarithmic)


def rosenbrock(x: Array) -> Any:
    """Rosenbrock's valley in `n` dimensions: each parameter is tied to the next."""
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_gradient(x: Array) -> Array:
    """The gradient of `rosenbrock`."""
    gradient = np.zeros_like(x)
    miss = x[1:] - x[:-1] ** 2
    gradient[1:] = 200 * miss
    gradient[:-1] -= 400 * miss * x[:-1] + 2 * (1 - x[:-1])
    return gradient


def draw_softmax(n: int) -> tuple[Array, ...]:
    """Weights (features x classes, `n` in all), data and one-hot labels."""
    random = np.random.default_rng(SEED)
    features = n // SOFTMAX_CLASSES
    weights = random.standard_normal((features, SOFTMAX_CLASSES))
    data = random.standard_normal((SOFTMAX_ROWS, features)) / np.sqrt(features)
    labels = np.eye(SOFTMAX_CLASSES)[random.integers(SOFTMAX_CLASSES, size=SOFTMAX_ROWS)]
    return weights, data, labels


def softmax(weights: Array, data: Array, labels: Array) -> Any:
    """Mean negative log-likelihood of a softmax regression."""
    scores = data @ weights
    scores = scores - np.max(scores, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(scores), axis=1)) - np.sum(labels * scores, axis=1))


def softmax_gradient(weights: Array, data: Array, labels: Array) -> Array:
    """The gradient of `softmax` by the weights."""
    scores = data @ weights
    chances = np.exp(scores - np.max(scores, axis=1, keepdims=True))
    chances /= np.sum(chances, axis=1, keepdims=True)
    return np.asarray(data.T @ (chances - labels) / data.shape[0])


MODELS = (
    Model(
        "terms",
        "transcendental sum",
        "`sum(sin(x) * exp(-x * x) + log(1 + x * x) * tanh(x))`.",
        terms,
        draw_vector,
        terms_gradient,
    ),
    Model(
        "rosenbrock",
        "Rosenbrock function",
        "`sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)`.",
        rosenbrock,
        draw_vector,
        rosenbrock_gradient,
    ),
    Model(
        "softmax",
        "softmax regression",
        f"Mean negative log-likelihood of {SOFTMAX_ROWS} rows in {SOFTMAX_CLASSES} classes; the parameters are the "
        "weights, features x classes.",
        softmax,
        draw_softmax,
        softmax_gradient,
    ),
)
