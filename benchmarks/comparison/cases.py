"""The cases: a loss, how its arguments are drawn in full and in tiny size, and who cannot run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from benchmarks.comparison import losses, trees

Draw = Callable[[np.random.Generator, bool], tuple[Any, ...]]

SEED: Final = 7
COMPILES_TOO_LONG: Final = "not tried, XLA takes many minutes to compile a loop of this length that Python unrolls"


@dataclass(frozen=True, slots=True)
class Case:
    """A loss `f(np, parameters, *data)` and its arguments.

    Attributes:
        name: what `--cases` calls it.
        title: what tables and pictures call it.
        loss: the function; `torch_losses.py` has one of the same name.
        draw: arguments from a generator, tiny ones where the flag is true.
        omits: the peers that cannot run it, with the reason.
        symbols: whether CasADi can run it on symbols, which are scalars.
    """

    name: str
    title: str
    loss: Callable[..., Any]
    draw: Draw
    omits: Mapping[str, str] = field(default_factory=dict)
    symbols: bool = False

    def arguments(self, *, quick: bool, dtype: str) -> tuple[Any, ...]:
        """Arguments, always the same ones, floating numbers in this dtype."""
        kind: Any = np.dtype(dtype).type

        def cast(leaf: Any) -> Any:
            if isinstance(leaf, np.ndarray):
                return leaf.astype(kind) if leaf.dtype.kind == "f" else leaf
            # A Python float is float64 to everybody but PyTorch and JAX.
            return kind(leaf) if isinstance(leaf, float) and dtype != "float64" else leaf

        drawn: tuple[Any, ...] = trees.mapped(cast, self.draw(np.random.default_rng(SEED), quick))
        return drawn


def points(n: int) -> Draw:
    """One vector of `n` standard normal numbers."""
    return lambda rng, quick: (rng.normal(size=min(n, 200) if quick else n),)


def _labelled(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
    n, d, k = (30, 12, 4) if quick else (20_000, 784, 10)
    p = {"w": 0.1 * rng.normal(size=(d, k)), "b": rng.normal(size=k)}
    return p, rng.normal(size=(n, d)), rng.integers(0, k, n)


def _layers(batch: int) -> Draw:
    def draw(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
        widths = (12, 9, 7, 3) if quick else (784, 512, 256, 10)
        rows = min(batch, 50) if quick else batch
        layers = [(rng.normal(size=s) / np.sqrt(s[0]), 0.1 * rng.normal(size=s[1])) for s in pairwise(widths)]
        return layers, rng.normal(size=(rows, widths[0])), rng.normal(size=(rows, widths[-1]))

    return draw


def _ratings(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
    users, items, rank, count = (9, 16, 4, 100) if quick else (943, 1682, 64, 100_000)
    p = {"users": 0.3 * rng.normal(size=(users, rank)), "items": 0.3 * rng.normal(size=(items, rank))}
    return p, rng.integers(0, users, count), rng.integers(0, items, count), rng.normal(3.5, 1.0, count)


def _clusters(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
    n, d, k = (20, 4, 3) if quick else (1000, 64, 100)
    p = {
        "weights": rng.normal(size=k),
        "means": rng.normal(size=(k, d)),
        "logs": 0.1 * rng.normal(size=(k, d)),
        "factors": 0.1 * rng.normal(size=(k, d, d)),
    }
    return p, rng.normal(size=(n, d)), np.tril(np.ones((d, d)), -1), np.eye(d)


def _counts(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
    n, d = (40, 5) if quick else (200_000, 50)
    p = {"w": 0.1 * rng.normal(size=d), "b": 0.3}
    return p, rng.normal(size=(n, d)), rng.poisson(2.0, n).astype(float)


def _image(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:
    side = 12 if quick else 512
    return rng.normal(size=(side, side)), rng.normal(size=(side, side))


def _predators(rng: np.random.Generator, quick: bool) -> tuple[Any, ...]:  # noqa: ARG001 - nothing in it is drawn
    return (1.5, 1.0, 3.0, 1.0, 10.0, 5.0), 20 if quick else 2000


CASES: Final = (
    Case("transcendental", "transcendental sum, 10⁶", losses.transcendental, points(10**6)),
    Case("rosenbrock", "Rosenbrock, 10⁶", losses.rosenbrock, points(10**6)),
    Case("softmax", "softmax regression, 20000×784×10", losses.softmax_regression, _labelled),
    Case("network", "network 784-512-256-10, batch 1024", losses.network, _layers(1024)),
    Case("network_32", "the same network, batch 32", losses.network, _layers(32)),
    Case("factorisation", "matrix factorisation, 943×1682×64", losses.factorisation, _ratings),
    Case("mixture", "Gaussian mixture, 1000×64, 100 components", losses.mixture, _clusters),
    Case("poisson", "Poisson regression, 200000×50", losses.poisson_regression, _counts),
    Case("total_variation", "total variation, 512×512", losses.total_variation, _image),
    Case(
        "lotka_volterra",
        "Lotka-Volterra, 2000 steps in scalars",
        losses.lotka_volterra,
        _predators,
        {"jax": COMPILES_TOO_LONG},
        symbols=True,
    ),
    Case("small_arrays", "40 operations on arrays of 10", losses.small_arrays, points(10)),
)
NAMES: Final = tuple(case.name for case in CASES)


def chosen(names: str) -> list[Case]:
    """The cases of a comma-separated list, all of them where it is empty; ValueError for a name that is none."""
    wanted = [name for name in names.split(",") if name]
    if unknown := [name for name in wanted if name not in NAMES]:
        raise ValueError(f"no case is called {', '.join(unknown)}; there is: {', '.join(NAMES)}")
    return [case for case in CASES if not wanted or case.name in wanted]
