"""A step's gradient of a factorisation by tables of growing length: whole arrays beside touched rows.

`python -m benchmarks touched [--quick]`. Each step reads 1,000 rows of either table. First calls, which record, are
not counted. *Step* is value and gradient, and a step down both tables.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np

import tapegrad as tg
from benchmarks.clock import format_seconds, measure
from benchmarks.machine import describe

LENGTHS: Final = (10_000, 100_000, 1_000_000)
WIDTH: Final = 16
TOUCHED: Final = 1_000
RATE: Final = 1e-3

Params = dict[str, Any]


def loss(p: Params, i: Any, j: Any, ratings: Any) -> Any:
    """Factors of users and items, and biases of users."""
    return np.mean((np.sum(p["users"][i] * p["items"][j], axis=1) + p["biases"][i] - ratings) ** 2)


def dense_step(run: Callable[..., Any], p: Params, *data: Any) -> None:
    """Down a whole gradient."""
    _, gradient = run(p, *data)
    for name, g in gradient.items():
        p[name] -= RATE * g


def touched_step(run: Callable[..., Any], p: Params, *data: Any) -> None:
    """Down the rows that were touched."""
    _, gradient = run(p, *data)
    for name, g in gradient.items():
        p[name][g.rows] -= RATE * g.values


def row(length: int, budget: float) -> list[str]:
    """One row of the table, after both ways have given the same."""
    rng = np.random.default_rng(0)
    p = {name: rng.normal(size=(length, WIDTH)) for name in ("users", "items")} | {"biases": np.zeros(length)}
    data = (*rng.integers(0, length, (2, TOUCHED)), rng.normal(size=TOUCHED))
    ways = (tg.value_and_grad(loss), dense_step), (tg.value_and_grad(loss, touched_rows=True), touched_step)
    (value, dense), (same, touched) = [run(p, *data) for run, _ in ways]
    np.testing.assert_array_equal(value, same)
    for name, g in touched.items():
        np.testing.assert_allclose(g.to_dense(), dense[name], rtol=1e-12, atol=1e-15)
    del dense
    gradients = [measure(partial(run, p, *data), budget).seconds for run, _ in ways]
    steps = [measure(partial(step, run, p, *data), budget).seconds for run, step in ways]
    ratios = [f"{b / a:.3f}" for a, b in (gradients, steps)]
    times = [format_seconds(t) for t in (*gradients, *steps)]
    return [f"{length:,}", *times[:2], ratios[0], *times[2:], ratios[1]]


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks touched", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small tables, to see that it works")
    chosen = parser.parse_args(arguments)
    tg.set_num_threads(1)
    head = ["rows of a table", "gradient, dense", "touched", "ratio", "step, dense", "touched", "ratio"]
    print(f"{describe()}. {WIDTH} columns, {TOUCHED:,} touched rows, float64, one thread.\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---:|" * len(head))
    for length in [n // 100 for n in LENGTHS] if chosen.quick else LENGTHS:
        print("| " + " | ".join(row(length, 0.02 if chosen.quick else 1.0)) + " |", flush=True)
    return 0
