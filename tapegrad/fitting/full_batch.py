"""Fits by full-batch methods: an epoch is one iteration, with all of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from time import perf_counter
from typing import Any

import numpy as np

from tapegrad.errors import SettingError, describe
from tapegrad.fitting.best import Best
from tapegrad.fitting.history import Epoch, History, Timings
from tapegrad.fitting.limits import Limits
from tapegrad.fitting.progress import Progress
from tapegrad.fitting.result import FitResult
from tapegrad.fitting.warned import warn_of_ignored
from tapegrad.optimizers.gauss_newton import GaussNewton, LevenbergMarquardt
from tapegrad.optimizers.minimizer import Minimizer
from tapegrad.optimizers.problem import Problem
from tapegrad.optimizers.residuals import Residuals


def of_residuals(minimizer: Any) -> bool:
    """Does a method want residuals, not a loss?"""
    return isinstance(minimizer, (LevenbergMarquardt, GaussNewton))


def require_whole(minimizer: Minimizer[Any, Any], **settings: Any) -> None:
    """Refuse settings that mean nothing to a full-batch method."""
    for name, value in settings.items():
        if value is not None and value is not False:
            name_, wanted = type(minimizer).__name__, "a method of first order, such as Adam, or all data at once"
            raise SettingError(describe("fit", found=f"{name}={value!r} with {name_}", wanted=wanted))


def fit_whole(
    loss: Callable[..., Any],
    params: Any,
    data: tuple[Any, ...],
    minimizer: Minimizer[Any, Any],
    limits: Limits,
    validate: Callable[[Any], tuple[float | None, Mapping[str, float]]],
    told: Callable[[Epoch, Any], bool],
) -> FitResult:
    """Iterations until the method stops, or one of the other reasons is met.

    Args:
        loss, params, data, minimizer: what is fitted, how, to what.
        limits: when it ends.
        validate: the validation loss and the metrics of a vector of parameters.
        told: is told of each epoch and of the vector; says whether to stop.
    """
    began = perf_counter()
    problem: Any = (Residuals if of_residuals(minimizer) else Problem)(loss, params, data)
    state = minimizer.init(problem)
    if isinstance(problem, Problem):
        warn_of_ignored(problem.ignored(), frames=3)
    climb = Iterations(state, state.point, timings=Timings(record=perf_counter() - began))
    stopped, bar = "", Progress(limits.progress, limits.epochs)
    try:
        while not (stopped or climb.state.stopped) and len(climb.epochs) < limits.epochs:
            epoch = climb.iterate(minimizer, problem, validate, limits.min_improvement)
            bar.step(epoch.number, epoch.loss, nan)
            before = perf_counter()
            stopped = "a callback asked for it" if told(epoch, climb.state.point) else ""
            stopped = stopped or limits.exhausted(climb.best.waited)
            climb.timings.validate += perf_counter() - before
    except KeyboardInterrupt:
        stopped = "interrupted"
    finally:
        bar.close()
    climb.timings.total = perf_counter() - began
    return climb.result(problem, stopped or climb.state.stopped or limits.over)


@dataclass(slots=True, eq=False)
class Iterations:
    """A fit in the making.

    Attributes:
        state: the method's.
        kept: the best parameters; `best` says which.
        losses: before each iteration; `epochs`: what was seen after it; `timings`: where the time went.
    """

    state: Any
    kept: Any
    best: Best = field(default_factory=Best)
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    timings: Timings = field(default_factory=Timings)

    def iterate(
        self,
        minimizer: Minimizer[Any, Any],
        problem: Any,
        validate: Callable[[Any], tuple[float | None, Mapping[str, float]]],
        min_improvement: float,
    ) -> Epoch:
        """One iteration."""
        before = perf_counter()
        self.losses.append(self.state.value)
        self.state = state = minimizer.update(problem, self.state)
        updated = perf_counter()
        validation, metrics = validate(state.point)
        ended = perf_counter()
        self.timings.sweep += updated - before
        self.timings.validate += ended - updated
        number = len(self.epochs) + 1
        epoch = Epoch(number, state.iterations, state.value, validation, nan, metrics, ended - before)
        self.epochs.append(epoch)
        if self.best.see(epoch, min_improvement):
            self.kept = state.point
        return epoch

    def result(self, problem: Any, stopped: str) -> FitResult:
        """What is returned."""
        validated = bool(self.epochs) and self.epochs[-1].validation is not None
        return FitResult(
            params=problem.restore(self.kept if validated else self.state.point),
            last=problem.restore(self.state.point),
            loss=self.best.loss if validated else self.state.value,
            best=self.best.epoch,
            history=History(tuple(self.epochs), np.array(self.losses)),
            steps=self.state.iterations,
            stopped=stopped,
            timings=self.timings,
            state=self.state,
        )
