"""`fit`: from a loss, parameters and data to fitted parameters."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.drivers.arguments import user_line
from tapegrad.drivers.limits import MemoryLimit, bytes_of
from tapegrad.drivers.objective import Objective
from tapegrad.errors import FitWarning, SettingError, ShapeError, describe
from tapegrad.fitting.batches import Batches, held_out, rows_of
from tapegrad.fitting.descent import Descent
from tapegrad.fitting.full_batch import fit_whole, of_residuals, require_whole
from tapegrad.fitting.history import NAMES, Epoch
from tapegrad.fitting.limits import Limits
from tapegrad.fitting.mini_batch import fit_batches
from tapegrad.fitting.result import FitResult
from tapegrad.fitting.validation import Validation
from tapegrad.flat import Flat
from tapegrad.optimizers.adagrad import Adagrad
from tapegrad.optimizers.adam import Adam, AdamW
from tapegrad.optimizers.minimizer import Minimizer
from tapegrad.optimizers.optimizer import Optimizer
from tapegrad.optimizers.residuals import half_squares
from tapegrad.optimizers.rmsprop import RMSProp
from tapegrad.optimizers.sgd import SGD
from tapegrad.trees import flatten

Callback: TypeAlias = Callable[[Epoch, Any], Any]
BY_NAME: Final[Mapping[str, Callable[[], Optimizer]]] = MappingProxyType(
    {"sgd": SGD, "rmsprop": RMSProp, "adagrad": Adagrad, "adam": Adam, "adamw": AdamW}
)
_NO_METRICS: Final[Mapping[str, Callable[..., Any]]] = MappingProxyType({})


def fit(
    loss: Callable[..., Any],
    params: Any,
    data: Any = (),
    *,
    optimizer: Optimizer | Minimizer[Any, Any] | str = "adam",
    batch_size: int | None = None,
    epochs: int = 10,
    seed: int = 0,
    shuffle: bool = True,
    validation: Any = None,
    metrics: Mapping[str, Callable[..., Any]] = _NO_METRICS,
    patience: int | None = None,
    min_improvement: float = 0.0,
    clip_norm: float | None = None,
    touched_rows: bool = False,
    memory_limit: MemoryLimit = None,
    callback: Callback | Sequence[Callback] = (),
    progress: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> FitResult:
    """Fit parameters: select a batch, compute the gradient of the loss, update the parameters, move on.

    Args:
        loss: a function in NumPy of parameters and data that returns a scalar: `loss(params, *data)`. It is recorded
            once for each size of batch, so once more for a smaller last batch.
        params: where to start: nested float64 or float32 arrays and floats. They are not changed.
        data: a tuple of arrays (or nested containers of them), one row a case, all of as many rows. Anything that
            is no tuple or list is one argument. Floating data is computed with in the parameters' dtype.
        optimizer: from `tapegrad.optimizers`, or a name: "sgd", "rmsprop", "adagrad", "adam", "adamw". Full-batch
            methods (`LBFGS`, `NewtonCG` ...) take all data at once, an iteration an epoch; `LevenbergMarquardt` and
            `GaussNewton` take residuals for the loss, half the sum of whose squares is made small.
        batch_size: rows of a batch; None for all rows at every step. The last batch of an epoch has what is left.
        epochs: how many times to go through the data.
        seed: of the order of rows. The order of epoch k depends on the seed and k alone.
        shuffle: whether rows are taken in random order, another one each epoch.
        validation: data like `data`, whose loss is computed after each epoch; or the share of the rows that is put
            aside for it at random, between 0 and 1.
        metrics: by name, functions of (params, *validation) that return a number, computed in NumPy after each epoch.
        patience: stop after so many epochs in which the validation loss (without one, the loss) did not become less
            by `min_improvement` than the least so far.
        min_improvement: see `patience`.
        clip_norm: gradients of a larger Euclidean norm are shortened to it.
        touched_rows: whether parameters that the loss reads by index arrays alone (embeddings, factor matrices) are
            changed in the rows that a batch touches and in no others, moments included, so that the cost of a step
            does not grow with the table. Plain gradient descent is the same; with moments the others rest.
        memory_limit: as for `value_and_grad`: bytes that the sweep of a batch may take for what it computes on the way.
        callback: a function, or several, of (epoch, params), called after each epoch with an `Epoch` and read-only
            parameters; one that returns True stops the fit.
        progress: whether to show a bar; None for: on a terminal, where tqdm is installed.
        checkpoint: a file, written after each epoch. If it is there already the fit goes on from it, and ends bit for
            bit where it would have ended without the interruption (with as many threads).

    Returns:
        A `FitResult`. `params` are those of the least validation loss, or the last ones without validation data. A
        keyboard interrupt ends the fit and returns what there is. So does a loss or gradient that is not finite:
        with a `FitWarning` that names the instruction, and parameters that were sound, at most 100 steps old
        (with touched rows, an epoch).

    Raises:
        ShapeError: a loss that is not a scalar, data of unequal lengths; DtypeError: parameters that are not
        floating, data that is no array; SettingError: a batch size of 0 or above the number of rows and the like;
        MemoryLimitError: a limit that cannot be kept;
        CheckpointError: a path that cannot be written, a checkpoint that is damaged or of another model.

    Warns:
        FitWarning: a parameter that the loss ignores, a loss that is not finite, a validation loss that never is.

    Source: Bottou, Curtis & Nocedal, Optimization methods for large-scale machine learning, SIAM Review 60 (2018).

    >>> import numpy as np, tapegrad as tg
    >>> x = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = x @ [1.0, -2.0, 0.5] + 3.0
    >>> def loss(p, x, y):
    ...     return np.mean((x @ p["w"] + p["b"] - y) ** 2)
    >>> found = tg.fit(loss, {"w": np.zeros(3), "b": 0.0}, (x, y), optimizer=tg.optimizers.Adam(0.1),
    ...                batch_size=32, epochs=40)
    >>> found.params["w"].round(3), round(found.params["b"], 3)
    (array([ 1. , -2. ,  0.5]), 3.0)
    """
    rule = _optimizer(optimizer)
    limits = Limits(epochs, patience, min_improvement, progress)
    _require(seed, clip_norm)
    limit = bytes_of(memory_limit, "fit")
    _require_metrics(metrics)
    callbacks = _callbacks(callback)
    flat = Flat.of(params, "fit", line=user_line())
    known, held = _parts(data, validation, seed)
    batches = Batches.of(known, batch_size, flat.dtype, int(seed), shuffle=shuffle)
    held_rows = None
    if held is not None:
        aside = Batches.of(held, None, flat.dtype, 0, shuffle=False)
        held, held_rows = aside.whole_data(), aside.rows
    validate = Validation(half_squares(loss) if of_residuals(rule) else loss, flat, held, metrics)

    def told(epoch: Epoch, vector: Any) -> bool:
        if not callbacks:
            return False
        seen = vector.copy()  # a callback may keep it
        seen.flags.writeable = False
        return any([bool(each(epoch, flat.views(seen))) for each in callbacks])

    if isinstance(rule, Minimizer):
        foreign = {
            "batch_size": batch_size,
            "clip_norm": clip_norm,
            "checkpoint": checkpoint,
            "memory_limit": memory_limit,
        }
        require_whole(rule, **foreign, touched_rows=touched_rows)
        return _checked(fit_whole(loss, params, batches.whole_data(), rule, limits, validate, told))
    objective = Objective(loss, flat, touched_rows=touched_rows, limit=limit)
    descent = Descent.of(objective, rule, batches, flat.vector(params), clip_norm, validate)
    return _checked(fit_batches(descent, limits, told, checkpoint, held_rows))


def _checked(found: FitResult) -> FitResult:
    """A result; a warning where no validation loss says which parameters are the best."""
    losses = found.history["validation"]
    if len(losses) and found.history.epochs[-1].validation is not None and not np.isfinite(losses).any():
        text = f"fit: the validation loss is {losses[-1]} in all epochs; params are those of epoch {found.best}"
        warnings.warn(text, FitWarning, stacklevel=3)
    return found


def _optimizer(given: Any) -> Optimizer | Minimizer[Any, Any]:
    """An optimiser, or the one of a name."""
    if isinstance(given, (Optimizer, Minimizer)):
        return given
    if isinstance(given, str) and given.lower() in BY_NAME:
        return BY_NAME[given.lower()]()
    wanted = f"one of tapegrad.optimizers, or {', '.join(map(repr, BY_NAME))}"
    raise SettingError(describe("fit", found=f"optimizer={given!r}", wanted=wanted))


def _require(seed: Any, clip_norm: Any) -> None:
    """Refuse numbers that make no sense."""
    if not isinstance(seed, (int, np.integer)) or seed < 0:
        raise SettingError(describe("fit", found=f"seed={seed!r}", wanted="a whole number of at least 0"))
    if clip_norm is not None and not clip_norm > 0:
        raise SettingError(describe("fit", found=f"clip_norm={clip_norm!r}", wanted="a positive number, or None"))


def _require_metrics(metrics: Any) -> None:
    """Refuse what are no functions by name, and names that the history has for something else."""
    if not isinstance(metrics, Mapping) or not all(callable(each) for each in metrics.values()):
        raise SettingError(describe("fit", found=f"metrics={metrics!r}", wanted="functions by name, in a dict"))
    taken = sorted(NAMES & metrics.keys())
    if taken:
        found, wanted = f"a metric {taken[0]!r}", f"a name that the history has not: {', '.join(sorted(NAMES))}"
        raise SettingError(describe("fit", found=found, wanted=wanted))


def _callbacks(given: Any) -> tuple[Callback, ...]:
    """One callback or several."""
    found = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if not all(callable(each) for each in found):
        raise SettingError(describe("fit", found=f"callback={given!r}", wanted="a function, or several in a list"))
    return found


def _parts(given: Any, validation: Any, seed: int) -> tuple[tuple[Any, ...], tuple[Any, ...] | None]:
    """The data to fit to, and that to validate with."""
    data = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    if validation is None:
        return data, None
    if isinstance(validation, (float, np.floating)):
        return held_out(data, float(validation), seed)
    held = tuple(validation) if isinstance(validation, (tuple, list)) else (validation,)
    if rows_of(held, "validation")[1] != flatten(data)[1]:
        wanted = "as many arrays as the data has, put together in the same way; or a share, between 0 and 1"
        raise ShapeError(describe("fit", found="validation of another structure", wanted=wanted))
    return data, held
