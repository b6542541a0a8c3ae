"""What one call costs of a function that is recorded already, beside its bare sweep: the price of Python around it.

Small functions, where that price is what a user pays: forty operations on arrays of ten, a dict of parameters
with data, one float.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapegrad as tg
from benchmarks.clock import format_seconds, measure
from benchmarks.machine import describe
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import GRADIENT, Recorded


@dataclass(frozen=True, slots=True)
class Program:
    """A function with its arguments."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]


def forty(x: Any) -> Any:
    """Forty operations, each on all of x."""
    for _ in range(10):
        x = np.sin(x) * 1.1
        x = x + np.tanh(x)
    return np.sum(x)


def network(p: Any, x: Any, y: Any) -> Any:
    """A hidden layer and a squared error."""
    h = np.tanh(x @ p["w1"] + p["b1"])
    return np.mean((h @ p["w2"] + p["b2"] - y) ** 2)


def polynomial(x: Any) -> Any:
    """A number's."""
    return x * x * x - 2.0 * x


def programs() -> list[Program]:
    """The programs."""
    rng = np.random.default_rng(0)
    weights = {"w1": rng.normal(size=(3, 4)), "b1": np.zeros(4), "w2": rng.normal(size=(4, 1)), "b2": np.zeros(1)}
    return [
        Program("forty operations on an array of ten", forty, (rng.normal(size=10),)),
        Program(
            "a dict of four arrays, two of data",
            network,
            (weights, rng.normal(size=(5, 3)), rng.normal(size=(5, 1))),
        ),
        Program("one float", polynomial, (0.5,)),
    ]


def row(program: Program, budget: float) -> list[str]:
    """One row of the table."""
    gradient = tg.value_and_grad(program.function)
    gradient(*program.arguments)
    call = measure(lambda: gradient(*program.arguments), budget).seconds
    eager = measure(lambda: program.function(*program.arguments), budget).seconds
    bare = measure(bare_sweep(program), budget).seconds
    return [program.name, *map(format_seconds, (call, bare, call - bare, eager))]


def bare_sweep(program: Program) -> Callable[[], Any]:
    """The compiled sweep alone, on memory that is set up."""
    arguments = bind(program.arguments, (0,))
    _, recording = Recorded(program.function, GRADIENT).run(arguments)
    results = recording.runner(arguments.inputs)
    (ready,) = recording.runner.free
    address = ready.workspace.control_address
    kept = arguments, results  # what is read and written
    return lambda: kept and ready.kernel(address, ready.one)


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks calls", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    chosen = parser.parse_args(arguments)
    head = ["program", "value and gradient", "bare sweep", "the rest", "the function by NumPy"]
    print(f"{describe()}\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for program in programs():
        print("| " + " | ".join(row(program, budget=0.02 if chosen.quick else 1.0)) + " |", flush=True)
    return 0
