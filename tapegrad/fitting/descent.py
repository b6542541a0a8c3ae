"""The loop of a fit: a batch, its gradient, a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from time import perf_counter
from typing import Any, Final

import numpy as np

from tapegrad.drivers.objective import Objective
from tapegrad.errors import NonFiniteError
from tapegrad.fitting.batches import Batches
from tapegrad.fitting.best import Best
from tapegrad.fitting.checkpoint import Snapshot
from tapegrad.fitting.history import Epoch, Timings
from tapegrad.fitting.progress import Progress
from tapegrad.fitting.step import Step
from tapegrad.optimizers.optimizer import Optimizer, State
from tapegrad.optimizers.updates import finite

SOUND: Final = 100  # steps after which parameters are kept that gave a finite loss and gradient


class NotFiniteError(Exception):
    """The loss or the gradient of a batch, or a parameter, is not finite; the message says where."""


@dataclass(slots=True, eq=False)
class Descent:
    """A fit in the making.

    Attributes:
        objective, optimizer, batches: what is fitted, how, to what.
        change: what takes a step.
        validate: the validation loss and the metrics of parameters.
        vector: the parameters; `gradient`: of the last batch.
        state: the optimiser's.
        sound: parameters at which loss and gradient were finite.
        kept: the best parameters at the end of an epoch; `best` says which.
        losses, epochs: what was seen; `timings`: where the time went.
    """

    objective: Objective
    optimizer: Optimizer
    batches: Batches
    change: Step
    validate: Callable[[Any], tuple[float | None, Mapping[str, float]]]
    vector: Any
    gradient: Any
    state: State
    sound: Any
    kept: Any
    best: Best = field(default_factory=Best)
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)

    @classmethod
    def of(
        cls,
        objective: Objective,
        optimizer: Optimizer,
        batches: Batches,
        start: Any,
        clip_norm: float | None,
        validate: Callable[[Any], tuple[float | None, Mapping[str, float]]],
    ) -> Descent:
        """A fit at its beginning."""
        state = optimizer.start(objective.flat)
        gradient = np.zeros(objective.flat.size, objective.flat.dtype)  # memory that is not touched costs nothing
        change = Step(objective, optimizer, start, gradient, clip_norm)
        return cls(objective, optimizer, batches, change, validate, start, gradient, state, start.copy(), start.copy())

    def prepare(self) -> list[str]:
        """Record, and compile what must be; the names of parameters on which the loss does not depend."""
        before = perf_counter()
        _, batch = next(self.batches.epoch(1))
        self.objective.value_and_grad(self.vector, self.gradient, batch)
        self.timings.record += perf_counter() - before
        return self.objective.ignored()

    def epoch(self, bar: Progress, min_improvement: float) -> Epoch:
        """Once through the data.

        Raises:
            NotFiniteError: a loss or a gradient that is not finite, and parameters and state are those before its step;
                or parameters that are not finite at the epoch's end.
        """
        began, number, timings = perf_counter(), len(self.epochs) + 1, self.timings
        total = 0.0
        batches = self.batches.epoch(number)
        for k in range(len(self.batches)):
            before = perf_counter()
            rows, batch = next(batches)
            timings.select += perf_counter() - before
            value = self.step(batch, first=k == 0)
            total += rows * value
            bar.step(number, value, self.rate)
        self._require_finite()
        before = perf_counter()
        validation, metrics = self.validate(self.vector)
        timings.validate += perf_counter() - before
        mean = total / max(1, self.batches.rows)
        now = Epoch(number, self.state.steps, mean, validation, self.rate, metrics, perf_counter() - began)
        self.epochs.append(now)
        if self.best.see(now, min_improvement):
            self.kept[...] = self.vector
        return now

    @property
    def rate(self) -> float:
        """The learning rate of the last step."""
        return self.optimizer.rate_at(max(0, self.state.steps - 1))

    def step(self, batch: tuple[Any, ...], *, first: bool) -> float:
        """One gradient and one step, the first of an epoch or not; the loss of the batch before it."""
        timings, recordings = self.timings, self.objective.recorded.count
        before = perf_counter()
        value = self.objective.value_and_grad(self.vector, self.gradient, batch)
        swept = perf_counter()
        if self.objective.recorded.count == recordings:
            timings.sweep += swept - before
        else:
            timings.record += swept - before
        steps = self.state.steps
        if isfinite(value) and (first or (steps % SOUND == 0 and not self.objective.gathered and finite(self.vector))):
            self.sound[...] = self.vector
        state = self.change.take(self.state) if isfinite(value) else None
        if state is None:
            raise NotFiniteError(self._fault(batch, value))
        self.state = state
        self.losses.append(value)
        timings.update += perf_counter() - swept
        return value

    def _require_finite(self) -> None:
        """Steps that are too long may end in infinity, which no loss has seen yet; moments that do stop others."""
        if not all(map(finite, self.state.moments)):
            found = f"the optimiser's moments overflow in {self.vector.dtype.name} by step {self.state.steps}"
            raise NotFiniteError(f"{found}: scale the loss, or shorten its gradient by clip_norm")
        if finite(self.vector):
            return
        flat = self.objective.flat
        for name, now, sound in zip(flat.names, flat.arrays(self.vector), flat.arrays(self.sound), strict=True):
            bad = now[~np.isfinite(now) & np.isfinite(sound)]  # what was not finite from the start, none has read
            if bad.size:
                raise NotFiniteError(f"{name} became {bad[0]} by step {self.state.steps}, at a rate of {self.rate:.3g}")

    def _fault(self, batch: tuple[Any, ...], value: float) -> str:
        """Which instruction and line made a loss or gradient that is not finite."""
        what = f"a loss of {value}" if not isfinite(value) else "a gradient that is not finite"
        where = f"{what} at step {self.state.steps + 1}"
        try:
            self.objective.require_finite(self.vector, batch)
        except NonFiniteError as error:
            return f"{where}: {error}"
        return where

    def history(self) -> Any:
        """The loss of every batch."""
        return np.array(self.losses, np.float64)

    def snapshot(self) -> Snapshot:
        """What a checkpoint holds."""
        return Snapshot(
            vector=self.vector,
            kept=self.kept,
            moments=self.state.moments,
            steps=self.state.steps,
            losses=self.history(),
            epochs=tuple(self.epochs),
            best=self.best,
        )

    def resume(self, found: Snapshot) -> None:
        """Go on from a checkpoint."""
        self.vector[...], self.kept[...], self.sound[...] = found.vector, found.kept, found.vector
        for own, kept in zip(self.state.moments, found.moments, strict=True):
            own[...] = kept
        self.state = State(found.steps, self.state.moments)
        self.losses, self.epochs = found.losses.tolist(), list(found.epochs)
        self.best = found.best
