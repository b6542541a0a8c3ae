"""Jacobians, Hessians and many points at once, beside JAX: in turns, in one process, one thread.

`python -m benchmarks derivatives [--rounds N] [--quick]`. First calls include recording, reading the pattern and
colouring it (JAX: tracing and compiling); the kernels are compiled before. Results are compared first.
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tapegrad as tg
from benchmarks.clock import format_seconds, once
from benchmarks.machine import describe


@dataclass(frozen=True, slots=True)
class Case:
    """What is computed: by us, by JAX (None: JAX has nothing like it), and of what."""

    name: str
    ours: Callable[..., Any]
    theirs: Callable[..., Any] | None
    arguments: tuple[Any, ...]


def rosenbrock(x: Any) -> Any:
    """A chain: its Hessian has three diagonals."""
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()


def cases(*, quick: bool) -> list[Case]:
    """The cases; quick ones are small."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    n, m, points = (1000, 30, 100) if quick else (100_000, 300, 10_000)
    x, small, v = rng.normal(size=n), rng.normal(size=m), rng.normal(size=n)
    weights = [rng.normal(size=(20, 30)) * 0.3, rng.normal(size=(30, 1)) * 0.3]
    data, labels = rng.normal(size=(points, 20)), rng.normal(size=points)

    def mesh(np: Any) -> Callable[[Any], Any]:
        return lambda x: np.tanh(np.sin(x) * x[0] + np.exp(-x * x))

    def miss(np: Any) -> Callable[..., Any]:
        return lambda w, x, y: ((np.tanh(x @ w[0]) @ w[1])[0] - y) ** 2

    def along(x: Any, v: Any) -> Any:
        return jax.jvp(jax.grad(rosenbrock), (x,), (v,))[1]

    return [
        Case(f"sparse Hessian, chain of {n:,}", tg.sparse_hessian(rosenbrock), None, (x,)),
        Case(f"Hessian times a direction, chain of {n:,}", tg.hvp(rosenbrock), jax.jit(along), (x, v)),
        Case(f"dense Hessian, chain of {m}", tg.hessian(rosenbrock), jax.jit(jax.hessian(rosenbrock)), (small,)),
        Case(f"dense Jacobian, {m} by {m}", tg.jacobian(mesh(np)), jax.jit(jax.jacobian(mesh(jnp))), (small,)),
        Case(
            f"gradient at each of {points:,} points, network of 630 weights",
            tg.batch(tg.grad(miss(np)), in_axes=(None, 0, 0)),
            jax.jit(jax.vmap(jax.grad(miss(jnp)), in_axes=(None, 0, 0))),
            (weights, data, labels),
        ),
    ]


def row(case: Case, rounds: int) -> list[str]:
    """One row of the table: first calls, medians of later ones in turns, their ratio."""
    import jax

    def theirs() -> Any:
        return jax.block_until_ready(case.theirs(*case.arguments)) if case.theirs is not None else None

    results: list[Any] = []
    first = once(lambda: results.append(case.ours(*case.arguments)))
    if case.theirs is None:
        later = statistics.median(once(lambda: case.ours(*case.arguments)) for _ in range(rounds))
        return [case.name, format_seconds(first), format_seconds(later), "none", "none", ""]
    their_first = once(lambda: results.append(theirs()))
    for a, b in zip(*map(jax.tree.leaves, results), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9 * float(np.abs(b).max()))
    ours, others = [], []
    for _ in range(rounds):
        theirs()
        others.append(once(theirs))
        case.ours(*case.arguments)
        ours.append(once(lambda: case.ours(*case.arguments)))
    mine, other = statistics.median(ours), statistics.median(others)
    times = [format_seconds(t) for t in (first, mine, their_first, other)]
    return [case.name, *times, f"{mine / other:.2f}"]


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks derivatives", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small cases, to see that it works")
    parser.add_argument("--rounds", type=int, default=11, help="how often each has a turn")
    chosen = parser.parse_args(arguments)
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    import jax

    tg.set_num_threads(1)
    head = ["what", "first call", "later", "JAX, first call", "JAX, later", "ratio"]
    print(f"{describe()}\n")
    print("| " + " | ".join(head) + " |")
    print("|---|" + "---:|" * (len(head) - 1))
    with jax.enable_x64(True):
        for case in cases(quick=chosen.quick):
            print("| " + " | ".join(row(case, 3 if chosen.quick else chosen.rounds)) + " |", flush=True)
    return 0
