"""What was seen on the way of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

NAMES: Final = frozenset({"loss", "validation", "rate", "seconds", "steps"})  # what an epoch has beside metrics


@dataclass(frozen=True, slots=True)
class Epoch:
    """One time through the data.

    Attributes:
        number: counted from 1.
        steps: steps taken since the beginning of the fit.
        loss: the mean loss of the epoch's rows, each as its batch was before its step.
        validation: the loss of the validation data after the epoch; None without any.
        rate: the learning rate of its last step.
        metrics: what the `metrics` gave after the epoch.
        seconds: time of the epoch, validation included.
    """

    number: int
    steps: int
    loss: float
    validation: float | None
    rate: float
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """The epochs, and `losses`: the loss of every batch before its step."""

    epochs: tuple[Epoch, ...] = ()
    losses: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __len__(self) -> int:
        return len(self.epochs)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One number of each epoch: "loss", "validation", "rate", "seconds", "steps" or a metric's name.

        nan for epochs before a checkpoint from which the fit went on with another metric; `KeyError` if none has it.
        """
        if name in NAMES:
            found = [getattr(e, name) for e in self.epochs]
        else:
            if self.epochs and not any(name in e.metrics for e in self.epochs):
                raise KeyError(name)
            found = [e.metrics.get(name) for e in self.epochs]
        return np.array([np.nan if x is None else x for x in found])


@dataclass(slots=True)
class Timings:
    """Where the time of a fit went, in seconds.

    Attributes:
        record: first sweeps of each form of batch: recording, scheduling, loading of kernels.
        select: taking batches out of the data.
        sweep: value and gradient.
        update: checking the gradient, and changing the parameters.
        validate: validation loss, metrics, callbacks.
        total: all of it, and what was none of these.
    """

    record: float = 0.0
    select: float = 0.0
    sweep: float = 0.0
    update: float = 0.0
    validate: float = 0.0
    total: float = 0.0

    @property
    def other(self) -> float:
        """What was none of these."""
        return self.total - self.record - self.select - self.sweep - self.update - self.validate
