"""The demo from beginning to end."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Final

import numpy as np

import tapegrad as tg
from tapegrad.demo import digits, network
from tapegrad.demo.differences import Comparison, compare
from tapegrad.demo.digits import Digits
from tapegrad.demo.network import Parameters
from tapegrad.demo.report import draw, span

HELD_OUT: Final = 1000
CHECKED: Final = 20
RATE: Final = 2e-3


def run(epochs: int, batch: int, seed: int, out: Path) -> None:
    """Load, record, check, train, tell, draw."""
    rng = np.random.default_rng(seed)
    known, held_out = digits.split(digits.load(), HELD_OUT, rng)
    params = network.start(rng)
    count = sum(p.size for p in params.values())
    print(f"{len(known):,} digits to train on, {len(held_out):,} held out; a network of {count:,} parameters")
    checked = check(params, known.take(slice(0, batch)), rng)
    fitted = tg.fit(
        network.loss,
        params,
        (known.images, known.labels),
        optimizer=tg.optimizers.Adam(RATE),
        batch_size=min(batch, len(known)),
        epochs=epochs,
        seed=seed,
        validation=(held_out.images, held_out.labels),
        progress=True,
    )
    tell_times(fitted, checked)
    guessed = network.guesses(fitted.last, held_out.images)
    print(f"held out: {np.mean(guessed == held_out.labels):.1%} of {len(held_out):,} digits read right")
    draw(out, fitted.history, held_out, guessed)
    print(f"picture: {out}")


def check(params: Parameters, batch: Digits, rng: np.random.Generator) -> Comparison:
    """Compute a first gradient, say what was recorded, and compare the gradient with finite differences."""
    arguments = (params, batch.images, batch.labels)
    print("first gradient, which compiles the kernels once for an installation: ", end="", flush=True)
    began = perf_counter()
    _, gradient = tg.value_and_grad(network.loss)(*arguments)
    print(span(perf_counter() - began))
    tape = tg.record(network.loss, *arguments)
    print(f"recorded: {len(tape)} instructions, {tape.nbytes:,} bytes")
    checked = compare(params, gradient, batch, CHECKED, rng)
    print(
        f"checked: {checked.entries} random entries against central finite differences, "
        f"worst relative error {checked.worst:.1e}"
    )
    return checked


def tell_times(fitted: tg.FitResult, checked: Comparison) -> None:
    """One gradient beside what finite differences would take for it."""
    gradients, timings = fitted.steps, fitted.timings
    print(f"{gradients:,} steps in {span(timings.total)}, of it {timings.sweep / timings.total:.0%} in gradients")
    print(f"one gradient: {span(timings.sweep / gradients)} (mean)")
    print(
        f"by finite differences: {span(checked.whole)} ({checked.losses:,} losses of {span(checked.seconds)} each, "
        f"extrapolated), and {span(checked.whole * gradients)} for the {gradients:,} gradients of this run"
    )
