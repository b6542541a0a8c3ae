"""Training: mini-batches in random order, a gradient and a step of Adam each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

import numpy as np
from tqdm import tqdm

import tapegrad as tg
from tapegrad.demo.adam import Adam
from tapegrad.demo.digits import Digits
from tapegrad.demo.network import Parameters, loss

RATE: Final = 2e-3


@dataclass(slots=True)
class History:
    """What was seen on the way.

    Attributes:
        steps: the loss of each mini-batch, before its step.
        train: their mean in each epoch.
        held_out: the loss of the held-out digits after each epoch.
        seconds: the time of each gradient.
    """

    steps: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    held_out: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


def batches(digits: Digits, size: int, rng: np.random.Generator) -> Iterator[Digits]:
    """All digits in random order, `size` at a time; the last batch may be smaller."""
    order = rng.permutation(len(digits))
    for first in range(0, len(digits), size):
        yield digits.take(order[first : first + size])


def train(
    params: Parameters, digits: Digits, held_out: Digits, *, epochs: int, batch: int, rng: np.random.Generator
) -> History:
    """Fit the parameters, in place, with a progress bar."""
    gradient_of = tg.value_and_grad(loss)
    adam, history = Adam(RATE), History()
    with tqdm(total=epochs * -(-len(digits) // batch), unit=" batches") as bar:
        for _ in range(epochs):
            before = len(history.steps)
            for part in batches(digits, batch, rng):
                began = perf_counter()
                value, gradient = gradient_of(params, part.images, part.labels)
                history.seconds.append(perf_counter() - began)
                history.steps.append(float(value))
                adam.step(params, gradient)
                bar.set_postfix(loss=f"{value:.3f}", refresh=False)
                bar.update()
            history.train.append(float(np.mean(history.steps[before:])))
            history.held_out.append(float(loss(params, held_out.images, held_out.labels)))
    return history
