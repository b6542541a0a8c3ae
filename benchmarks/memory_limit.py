"""What a limit of memory costs: gradients whose sweeps compute again what they may not keep.

`python -m benchmarks memory_limit [--quick] [--out FOLDER]`. *Workspace* is what the sweep needs, without arguments and
results; *again* how many of its instructions are there again; *time* that of value and gradient, beside that without a
limit. All gradients are the same to the bit, which is checked.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

import tapegrad as tg
from benchmarks.clock import format_seconds, measure, once
from benchmarks.machine import describe
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.limits import readable, within
from tapegrad.drivers.recorded import trace
from tapegrad.errors import MemoryLimitError
from tapegrad.passes.optimize import optimize
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape

SHARES: Final = (0.9, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
HEAD: Final = ("limit", "workspace", "instructions", "again", "search", "value and gradient", "time")
RESULTS: Final = Path(__file__).parent / "results"
Problem = tuple[Callable[..., Any], tuple[Any, ...]]


def layers(count: int, width: int, batch: int) -> Problem:
    """A chain of layers."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(width, width)) / math.sqrt(width) for _ in range(count)]

    def loss(weights: Any, x: Any) -> Any:
        for w in weights:
            x = np.tanh(x @ w)
        return np.sum(x * x)

    return loss, (weights, rng.normal(size=(batch, width)))


def recurrent(steps: int, hidden: int) -> Problem:
    """A recurrent network, one sequence."""
    rng = np.random.default_rng(1)
    p = {"w": rng.normal(size=(hidden, hidden)) / math.sqrt(hidden), "u": rng.normal(size=(4, hidden))}

    def loss(p: Any, xs: Any) -> Any:
        h = np.zeros(hidden)
        for t in range(steps):
            h = np.tanh(h @ p["w"] + xs[t] @ p["u"])
        return np.sum(h * h)

    return loss, (p, rng.normal(size=(steps, 4)))


def scalars(steps: int) -> Problem:
    """A loop over scalars: predators and prey."""

    def loss(x: Any) -> Any:
        a, b = x[0], x[1]
        for _ in range(steps):
            a, b = a + 0.001 * a * (1.0 - b), b - 0.001 * b * (1.0 - a)
        return a * b

    return loss, (np.array([0.3, 0.4]),)


def transformer(blocks: int, rows: int, width: int, heads: int) -> Problem:
    """Attention and two layers, several times: attention weights are what takes most memory."""
    rng = np.random.default_rng(2)
    shapes = dict.fromkeys("qkvo", (width, width)) | {"up": (width, 4 * width), "down": (4 * width, width)}
    params = [{k: rng.normal(size=s) / math.sqrt(s[0]) for k, s in shapes.items()} for _ in range(blocks)]
    deep = width // heads

    def normal(x: Any) -> Any:
        return (x - np.mean(x, axis=-1, keepdims=True)) / np.sqrt(np.var(x, axis=-1, keepdims=True) + 1e-5)

    def loss(params: Any, x: Any) -> Any:
        for p in params:
            y = normal(x)
            q, k, v = (np.transpose(np.reshape(y @ p[n], (rows, heads, deep)), (1, 0, 2)) for n in "qkv")
            scores = q @ np.transpose(k, (0, 2, 1)) / math.sqrt(deep)
            e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
            mixed = (e / np.sum(e, axis=-1, keepdims=True)) @ v
            x = x + np.reshape(np.transpose(mixed, (1, 0, 2)), (rows, width)) @ p["o"]
            x = x + np.tanh(normal(x) @ p["up"]) @ p["down"]
        return np.mean(x * x)

    return loss, (params, rng.normal(size=(rows, width)))


FULL: Final = {
    "48 layers of width 512, 1,024 rows": partial(layers, 48, 512, 1024),
    "a recurrent network, 4,096 steps, 32 hidden": partial(recurrent, 4096, 32),
    "a loop over scalars, 24,000 instructions": partial(scalars, 3000),
    "8 blocks of attention, 512 rows, width 256, 8 heads": partial(transformer, 8, 512, 256, 8),
}
QUICK: Final = {
    "12 layers of width 16, 32 rows": partial(layers, 12, 16, 32),
    "a recurrent network, 64 steps, 8 hidden": partial(recurrent, 64, 8),
    "a loop over scalars": partial(scalars, 100),
    "2 blocks of attention, 32 rows, width 16, 2 heads": partial(transformer, 2, 32, 16, 2),
}


def full_tape(loss: Callable[..., Any], args: Sequence[Any]) -> tuple[Tape, list[Any]]:
    """The tape of value and gradient, as a driver makes it, and its inputs."""
    arguments = bind(args, (0,))
    forward = optimize(trace(loss, arguments, scalar=True).tape)
    return optimize(optimize(adjoint(forward)), drop_stops=True), list(arguments.inputs)


def rows(problem: Problem, budget: float) -> Iterator[list[str]]:
    """The rows of one table."""
    tape, inputs = full_tape(*problem)
    _, usual = within(tape, None)
    runner = Runner(usual)
    wanted: Any = runner(inputs)
    base = measure(partial(runner, inputs), budget).seconds
    length = len(usual.tape)
    yield ["none", readable(usual.workspace), f"{length:,}", "0", "", format_seconds(base), "1"]
    for share in SHARES:
        limit = int(share * usual.workspace)
        try:
            spent = once(partial(within, tape, limit))
            _, program = within(tape, limit)
        except MemoryLimitError as error:
            yield [readable(limit), f"not reached ({str(error).rpartition('at least ')[2].split(',')[0]} needed)"]
            return
        runner = Runner(program)
        found: Any = runner(inputs)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(a, b)
        time = measure(partial(runner, inputs), budget).seconds
        cells = [readable(limit), readable(program.workspace), f"{len(program.tape):,}", f"{program.recomputed:,}"]
        yield [*cells, format_seconds(spent), format_seconds(time), f"{time / base:.2f}"]


def report(quick: bool) -> Iterator[str]:
    """The report, line by line."""
    yield "# Gradients within a limit of memory\n"
    yield f"{describe()}; float64, one thread.\n"
    for title, make in (QUICK if quick else FULL).items():
        yield f"## {title[0].upper()}{title[1:]}\n"
        yield "| " + " | ".join(HEAD) + " |"
        yield "|" + "---:|" * len(HEAD)
        for row in rows(make(), 0.02 if quick else 2.0):
            yield "| " + " | ".join([*row, *[""] * (len(HEAD) - len(row))]) + " |"
        yield ""


def main(arguments: Sequence[str]) -> int:
    """Print the tables, and write them where no one only looks whether they work."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks memory_limit", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems, to see that it works; nothing is written")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for memory_limit.md")
    chosen = parser.parse_args(arguments)
    tg.set_num_threads(1)
    lines = []
    for line in report(chosen.quick):
        print(line, flush=True)
        lines.append(line)
    if not chosen.quick:
        (chosen.out / "memory_limit.md").write_text("\n".join(lines), encoding="utf-8")
    return 0
