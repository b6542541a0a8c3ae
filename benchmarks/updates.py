"""Steps of optimisers against what memory allows, and beside PyTorch's: in turns, in one process, one thread.

`python -m benchmarks updates [--size N] [--rounds N] [--quick]`. A step reads and writes each number of parameters,
gradient and moments once. The limit is the time in which NumPy copies as many bytes, read and written together.
PyTorch's are its fastest implementations for a CPU (`fused` where there is one, `foreach` elsewhere).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from benchmarks.clock import format_seconds, once
from benchmarks.machine import describe
from tapegrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSProp

RULES: Final[tuple[tuple[str, Optimizer], ...]] = (
    ("SGD", SGD(1e-3)),
    ("SGD, momentum", SGD(1e-3, momentum=0.9)),
    ("RMSProp", RMSProp(1e-3)),
    ("Adagrad", Adagrad(1e-3)),
    ("Adam", Adam(1e-3)),
    ("AdamW", AdamW(1e-3)),
)


def ours(rule: Optimizer, start: Any, gradient: Any) -> Callable[[], object]:
    """A step of ours, in place."""
    vector = start.copy()
    states = [rule.init(vector)]

    def step() -> None:
        states[0] = rule.step(vector, gradient, states[0])

    return step


def theirs(rule: Any, start: Any, gradient: Any) -> Callable[[], object] | None:
    """A step of PyTorch's; None where it is not installed."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    x = torch.tensor(start.copy(), requires_grad=True)
    x.grad = torch.tensor(gradient)
    kinds = {
        SGD: lambda: torch.optim.SGD([x], lr=rule.rate, momentum=rule.momentum, fused=True),
        RMSProp: lambda: torch.optim.RMSprop([x], lr=rule.rate, foreach=True),
        Adagrad: lambda: torch.optim.Adagrad([x], lr=rule.rate, fused=True),
        Adam: lambda: torch.optim.Adam([x], lr=rule.rate, fused=True),
        AdamW: lambda: torch.optim.AdamW([x], lr=rule.rate, fused=True),
    }
    optimizer: Any = kinds[type(rule)]()
    return optimizer.step  # type: ignore[no-any-return]


def copy_of(nbytes: int, dtype: Any) -> Callable[[], object]:
    """A copy that moves so many bytes, half of them read and half written."""
    source = np.ones(nbytes // 2 // np.dtype(dtype).itemsize, dtype)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def row(name: str, rule: Optimizer, dtype: Any, size: int, rounds: int) -> list[str]:
    """One row of the table: medians in turns."""
    rng = np.random.default_rng(0)
    start, gradient = rng.normal(size=size).astype(dtype), rng.normal(size=size).astype(dtype)
    moved = (3 + 2 * rule.moments) * start.nbytes
    calls = [ours(rule, start, gradient), copy_of(moved, dtype), theirs(rule, start, gradient)]
    times: list[list[float]] = [[], [], []]
    for _ in range(rounds):
        for k, call in enumerate(calls):
            if call is not None:
                call()
                times[k].append(once(call))
    mine, limit, other = (statistics.median(t) if t else None for t in times)
    assert mine is not None
    assert limit is not None
    peer = ["", ""] if other is None else [format_seconds(other), f"{mine / other:.2f}"]
    cells = [f"{moved / 1e6:.0f} MB", format_seconds(mine), format_seconds(limit), f"{mine / limit:.2f}", *peer]
    return [f"{name}, {np.dtype(dtype).name}", *cells]


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks updates", description=__doc__)
    parser.add_argument("--size", type=int, default=1_000_000, help="number of parameters")
    parser.add_argument("--rounds", type=int, default=101, help="how often each has a turn")
    parser.add_argument("--quick", action="store_true", help="few, to see that it works")
    chosen = parser.parse_args(arguments)
    size, rounds = (10_000, 3) if chosen.quick else (chosen.size, chosen.rounds)
    head = ["step", "moved", "time", "copy of as much", "ratio", "PyTorch", "ratio"]
    print(f"{describe()}; {size:,} parameters\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    for dtype in (np.float64, np.float32):
        for name, rule in RULES:
            print("| " + " | ".join(row(name, rule, dtype, size, rounds)) + " |", flush=True)
    return 0
