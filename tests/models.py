"""Models written once, in ordinary NumPy code: the module `np` is the first parameter of each.

The same function runs under numpy, tapegrad.numpy and jax.numpy. `MODELS` says how to make its arguments,
in the size of the usual test run and in the size that is usually measured. Then there is what tests of the
drivers share: a function that counts its runs, and the line of one that bears a mark.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy

Arguments = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """A loss `f(np, parameters, *data)`.

    Attributes:
        f: the loss; it differentiates by its first argument after `np`.
        make: arguments for a size ("small" or "full"), drawn by a generator.
        compiles: whether JAX can compile it in reasonable time (an unrolled loop it cannot).
    """

    f: Callable[..., Any]
    make: Callable[[numpy.random.Generator, str], Arguments]
    compiles: bool = True

    @property
    def name(self) -> str:
        """The loss's name."""
        return self.f.__name__

    def arguments(self, size: str = "small", dtype: Any = numpy.float64) -> Arguments:
        """Arguments, always the same ones, floating arrays in this dtype."""
        return _cast(self.make(numpy.random.default_rng(7), size), dtype)


def _cast(tree: Any, dtype: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _cast(v, dtype) for k, v in tree.items()}
    if isinstance(tree, (tuple, list)):
        return type(tree)(_cast(v, dtype) for v in tree)
    if isinstance(tree, numpy.ndarray) and tree.dtype.kind == "f":
        return tree.astype(dtype)
    return tree


def _sized(small: Any, full: Any) -> Callable[[str], Any]:
    return {"small": small, "full": full}.__getitem__


# --- elementwise, one axis


def transcendental(np: Any, x: Any) -> Any:
    """A sum of transcendental terms."""
    return np.sum(np.sin(x) * np.exp(-x * x) + np.log(1 + x * x) * np.tanh(x))


def rosenbrock(np: Any, x: Any) -> Any:
    """Rosenbrock's function in any number of dimensions."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def total_variation(np: Any, image: Any, noisy: Any) -> Any:
    """Denoising by the smoothed total variation of an image."""
    dx = image[1:, :-1] - image[:-1, :-1]
    dy = image[:-1, 1:] - image[:-1, :-1]
    return np.sum(np.sqrt(dx**2 + dy**2 + 1e-3)) + 0.5 * np.sum((image - noisy) ** 2)


# --- rows of data


def log_sum_exp(np: Any, a: Any) -> Any:
    """log(sum(exp(a))) over the last axis, without overflow."""
    top = np.max(a, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(a - top), axis=-1)) + top[..., 0]


def softmax_regression(np: Any, p: Any, x: Any, labels: Any) -> Any:
    """Mean cross entropy of a linear classifier with weight decay."""
    logits = x @ p["w"] + p["b"]
    chosen = logits[np.arange(len(labels)), labels]
    return np.mean(log_sum_exp(np, logits) - chosen) + 1e-3 * np.sum(p["w"] ** 2)


def network(np: Any, layers: Any, x: Any, targets: Any) -> Any:
    """Mean squared error of a fully connected network with tanh."""
    for weights, bias in layers[:-1]:
        x = np.tanh(x @ weights + bias)
    weights, bias = layers[-1]
    return np.mean((x @ weights + bias - targets) ** 2)


def factorisation(np: Any, p: Any, users: Any, items: Any, ratings: Any) -> Any:
    """Matrix factorisation: squared errors of ratings from gathered rows, with weight decay."""
    u, v = p["users"], p["items"]
    predicted = np.sum(u[users] * v[items], axis=1)
    return np.sum((predicted - ratings) ** 2) + 0.05 * (np.sum(u**2) + np.sum(v**2))


def mixture(np: Any, p: Any, x: Any, lower: Any, eye: Any) -> Any:
    """Negative log likelihood of a Gaussian mixture with full covariances.

    The precision of component k is F F', F lower triangular with exp(logs) on its diagonal.
    """
    factors = p["factors"] * lower + np.exp(p["logs"])[:, :, None] * eye
    centred = x[:, None, :] - p["means"]
    whitened = np.einsum("kij,nkj->nki", factors, centred)
    terms = p["weights"] + np.sum(p["logs"], axis=1) - 0.5 * np.sum(whitened**2, axis=2)
    return len(x) * log_sum_exp(np, p["weights"]) - np.sum(log_sum_exp(np, terms))


# --- loops in Python


def lotka_volterra(np: Any, p: Any, steps: int) -> Any:
    """Predators and prey by Euler's method, in plain numbers: eleven scalar instructions a step."""
    a, b, c, d, prey, predators = p
    h = 0.005
    for _ in range(steps):
        met = prey * predators
        prey, predators = prey + h * (a * prey - b * met), predators + h * (d * met - c * predators)
    return prey * prey + predators


def recurrent(np: Any, p: Any, x: Any, targets: Any) -> Any:
    """A recurrent network: its hidden states are kept in a list and stacked."""
    h, states = p["h"], []
    for t in range(len(x)):
        h = np.tanh(p["w"] @ h + p["u"] @ x[t] + p["b"])
        states.append(h)
    return np.mean((np.stack(states) @ p["v"] - targets) ** 2)


# --- their arguments


def _points(rng: numpy.random.Generator, size: str) -> Arguments:
    return (rng.normal(size=10**6),)


def _image(rng: numpy.random.Generator, size: str) -> Arguments:
    return rng.normal(size=(512, 512)), rng.normal(size=(512, 512))


def _labelled(rng: numpy.random.Generator, size: str) -> Arguments:
    n, d, k = _sized((2000, 784, 10), (20000, 784, 10))(size)
    p = {"w": 0.1 * rng.normal(size=(d, k)), "b": rng.normal(size=k)}
    return p, rng.normal(size=(n, d)), rng.integers(0, k, n)


def _layers(batch: int) -> Callable[[numpy.random.Generator, str], Arguments]:
    def make(rng: numpy.random.Generator, size: str) -> Arguments:
        widths = (784, 512, 256, 10)
        shapes = pairwise(widths)
        layers = [(rng.normal(size=s) / numpy.sqrt(s[0]), 0.1 * rng.normal(size=s[1])) for s in shapes]
        return layers, rng.normal(size=(batch, 784)), rng.normal(size=(batch, 10))

    return make


def _ratings(rng: numpy.random.Generator, size: str) -> Arguments:
    users, items, rank, count = 943, 1682, 64, 100_000
    p = {"users": 0.3 * rng.normal(size=(users, rank)), "items": 0.3 * rng.normal(size=(items, rank))}
    return p, rng.integers(0, users, count), rng.integers(0, items, count), rng.normal(3.5, 1.0, count)


def _clusters(rng: numpy.random.Generator, size: str) -> Arguments:
    n, d, k = _sized((300, 12, 9), (1000, 64, 100))(size)
    p = {
        "weights": rng.normal(size=k),
        "means": rng.normal(size=(k, d)),
        "logs": 0.1 * rng.normal(size=(k, d)),
        "factors": 0.1 * rng.normal(size=(k, d, d)),
    }
    return p, rng.normal(size=(n, d)), numpy.tril(numpy.ones((d, d)), -1), numpy.eye(d)


def _predators(rng: numpy.random.Generator, size: str) -> Arguments:
    return (1.5, 1.0, 3.0, 1.0, 10.0, 5.0), 2000


def _sequence(rng: numpy.random.Generator, size: str) -> Arguments:
    steps, width, inputs = _sized((100, 32, 16), (1000, 32, 16))(size)
    p = {
        "w": rng.normal(size=(width, width)) / 6,
        "u": rng.normal(size=(width, inputs)) / 4,
        "b": 0.1 * rng.normal(size=width),
        "h": numpy.zeros(width),
        "v": rng.normal(size=(width, 3)),
    }
    return p, rng.normal(size=(steps, inputs)), rng.normal(size=(steps, 3))


MODELS: Final = {
    "transcendental": Model(transcendental, _points),
    "rosenbrock": Model(rosenbrock, _points),
    "total_variation": Model(total_variation, _image),
    "softmax_regression": Model(softmax_regression, _labelled),
    "network_1024": Model(network, _layers(1024)),
    "network_32": Model(network, _layers(32)),
    "factorisation": Model(factorisation, _ratings),
    "mixture": Model(mixture, _clusters),
    "lotka_volterra": Model(lotka_volterra, _predators, compiles=False),
    "recurrent": Model(recurrent, _sequence, compiles=False),
}


# --- what tests of the drivers share


class Counted:
    """A function that counts how often Python runs it, which is how often it is recorded."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f, self.runs = f, 0
        self.__name__ = f.__name__

    def __call__(self, *args: Any) -> Any:
        """Run it."""
        self.runs += 1
        return self.f(*args)


def place(f: Callable[..., Any], mark: str = "") -> str:
    """The line of a function that bears a mark, or its first line, as "file:line"."""
    lines, first = inspect.getsourcelines(f)
    offset = next(k for k, line in enumerate(lines) if mark in line)
    return f"{inspect.getsourcefile(f)}:{first + offset}"
