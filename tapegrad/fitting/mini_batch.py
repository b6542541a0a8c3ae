"""Fits by first-order methods: epochs of batches, checkpoints, and what ends them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from tapegrad.errors import FitWarning
from tapegrad.fitting import checkpoint as checkpoints
from tapegrad.fitting.descent import Descent, NotFiniteError
from tapegrad.fitting.history import Epoch, History
from tapegrad.fitting.limits import Limits
from tapegrad.fitting.progress import Progress
from tapegrad.fitting.result import FitResult
from tapegrad.fitting.warned import warn_of_ignored

_CALLER: Final = 4  # frames from a warning to the line that called `fit`


def fit_batches(
    descent: Descent,
    limits: Limits,
    told: Callable[[Epoch, Any], bool],
    checkpoint: str | os.PathLike[str] | None,
    held_rows: int | None,
) -> FitResult:
    """Epochs until one of the reasons to stop; from a checkpoint if there is one.

    Args:
        descent: the fit at its beginning.
        limits: when it ends.
        told: is told of each epoch and of the vector; says whether to stop.
        checkpoint: a file for it.
        held_rows: how many rows validate; None for none. The best parameters are those of the same data.
    """
    path = None if checkpoint is None else Path(checkpoint)
    model = {**_model(descent), "validation rows": held_rows}
    if path is not None:
        checkpoints.require_writable(path)
        if path.exists():
            moments = descent.optimizer.moments
            descent.resume(checkpoints.load(path, model, moments, descent.vector))

    def after(epoch: Epoch) -> str:
        if path is not None:
            checkpoints.save(path, descent.snapshot(), model)
        return "a callback asked for it" if told(epoch, descent.vector) else ""

    return _run(descent, limits, after)


def _run(descent: Descent, limits: Limits, after: Callable[[Epoch], str]) -> FitResult:
    """Epochs until one of the reasons to stop."""
    began, stopped, sound = perf_counter(), "", True
    bar = Progress(limits.progress, limits.epochs * len(descent.batches), descent.state.steps)
    try:
        warn_of_ignored(descent.prepare(), _CALLER)
        stopped = limits.exhausted(descent.best.waited)
        while not stopped and len(descent.epochs) < limits.epochs:
            epoch = descent.epoch(bar, limits.min_improvement)
            before = perf_counter()
            stopped = after(epoch) or limits.exhausted(descent.best.waited)
            descent.timings.validate += perf_counter() - before
    except KeyboardInterrupt:
        stopped = "interrupted"
    except NotFiniteError as error:
        stopped, sound = str(error), False
        warnings.warn(f"fit stopped: {error}", FitWarning, stacklevel=_CALLER)
    finally:
        bar.close()
    descent.timings.total = perf_counter() - began
    return _result(descent, stopped or limits.over, sound=sound)


def _result(descent: Descent, stopped: str, *, sound: bool) -> FitResult:
    """What is returned; parameters that gave no finite loss are not."""
    flat, epochs = descent.objective.flat, descent.epochs
    last = descent.vector if sound else descent.sound
    validated = bool(epochs) and epochs[-1].validation is not None
    loss = descent.best.loss if validated else epochs[-1].loss if epochs else float("nan")
    return FitResult(
        params=flat.restore(descent.kept if validated else last),
        last=flat.restore(last),
        loss=loss,
        best=descent.best.epoch if validated else len(epochs),
        history=History(tuple(epochs), descent.history()),
        steps=descent.state.steps,
        stopped=stopped,
        timings=descent.timings,
        state=descent.state,
    )


def _model(descent: Descent) -> dict[str, Any]:
    """What must be the same where a fit goes on from a checkpoint."""
    flat, batches = descent.objective.flat, descent.batches
    return {
        "parameters": [f"{n} {s}" for n, s in zip(flat.names, flat.shapes, strict=True)],
        "dtype": flat.dtype.name,
        "optimizer": _text_of(descent.optimizer),
        "rows": batches.rows,
        "batch_size": batches.size,
        "seed": batches.seed,
        "shuffle": batches.shuffle,
        "clip_norm": descent.change.clip_norm,
        "touched_rows": descent.objective.recorded.touched,
    }


def _text_of(setting: Any) -> str:
    """A setting as a text that is the same in another process."""
    if is_dataclass(setting):
        inner = ", ".join(f"{f.name}={_text_of(getattr(setting, f.name))}" for f in fields(setting))
        return f"{type(setting).__name__}({inner})"
    return getattr(setting, "__qualname__", type(setting).__name__) if callable(setting) else repr(setting)
