"""What it costs to get from a function to its first gradient, and to the ones after it, for long tapes.

Four programs of many small instructions: Python loops over scalars and over elements, recurrent networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapegrad as tg
from benchmarks.clock import format_seconds, measure, once
from benchmarks.machine import describe


@dataclass(frozen=True, slots=True)
class Program:
    """A function with its arguments."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def lotka_volterra(p: Any) -> Any:
    """2,000 Euler steps of hares and foxes, in Python scalars."""
    a, b, c, d, x, y = p
    h = 1e-3
    for _ in range(2000):
        x, y = x + h * (a * x - b * x * y), y + h * (c * x * y - d * y)
    return x * x + y


def rosenbrock(x: Any) -> Any:
    """The Rosenbrock function, element by element."""
    total = 0.0
    for i in range(len(x) - 1):
        total = total + (1 - x[i]) ** 2 + 100 * (x[i + 1] - x[i] * x[i]) ** 2
    return total


def recurrent(p: Any, x: Any) -> Any:
    """A plain recurrent network."""
    h = np.zeros(len(p["b"]))
    for row in x:
        h = np.tanh(p["w"] @ h + p["u"] @ row + p["b"])
    return np.sum(h * h)


def sigmoid(z: Any) -> Any:
    """The logistic function, as one writes it."""
    return 1 / (1 + np.exp(-z))


def long_short_term_memory(p: Any, x: Any) -> Any:
    """A recurrent network with gates."""
    n = len(p["b"]) // 4
    h, c = np.zeros(n), np.zeros(n)
    for row in x:
        z = p["w"] @ h + p["u"] @ row + p["b"]
        c = sigmoid(z[:n]) * c + sigmoid(z[n : 2 * n]) * np.tanh(z[2 * n : 3 * n])
        h = sigmoid(z[3 * n :]) * np.tanh(c)
    return np.sum(h * h)


def _weights(rng: np.random.Generator, rows: int, hidden: int, seen: int) -> dict[str, Any]:
    return {
        "w": rng.normal(size=(rows, hidden)) / np.sqrt(hidden),
        "u": rng.normal(size=(rows, seen)) / np.sqrt(seen),
        "b": np.zeros(rows),
    }


def programs(*, quick: bool) -> list[Program]:
    """The programs; shorter ones where it must be quick."""
    rng = np.random.default_rng(0)
    k = 16 if quick else 1
    return [
        Program("Lotka-Volterra, 2,000 steps in scalars", lotka_volterra, (np.array([1.0, 0.5, 0.3, 0.7, 1.0, 2.0]),)),
        Program("Rosenbrock, element by element", rosenbrock, (rng.normal(size=10_000 // k),)),
        Program(
            "recurrent network, hidden 32", recurrent, (_weights(rng, 32, 32, 16), rng.normal(size=(4096 // k, 16)))
        ),
        Program(
            "LSTM, hidden 16", long_short_term_memory, (_weights(rng, 64, 16, 8), rng.normal(size=(16384 // k, 8)))
        ),
    ]


def row(program: Program) -> list[str]:
    """One row of the table."""
    warm = tg.value_and_grad(program.function)
    warm(*program.arguments)  # loads the kernels
    n = len(tg.record(program.function, *program.arguments))
    recording = measure(lambda: tg.record(program.function, *program.arguments), budget=2).seconds
    gradient = tg.value_and_grad(program.function)
    first = once(lambda: gradient(*program.arguments))
    later = measure(lambda: gradient(*program.arguments), budget=2).seconds
    return [
        program.name,
        f"{n:,}",
        f"{recording / n * 1e6:.1f} µs",
        f"{first / n * 1e6:.1f} µs",
        format_seconds(first),
        format_seconds(later),
    ]


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks recording", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter programs")
    chosen = parser.parse_args(arguments)
    head = ["program", "instructions", "record, each", "first gradient, each", "first gradient", "each after it"]
    print(f"{describe()}\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for program in programs(quick=chosen.quick):
        print("| " + " | ".join(row(program)) + " |", flush=True)
    return 0
