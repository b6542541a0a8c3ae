"""Validation: the loss of data that is not fitted to, and metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tapegrad.drivers.evaluated import evaluated
from tapegrad.errors import ShapeError, describe
from tapegrad.flat import Flat


class Validation:
    """The loss and the metrics of parameters, on data of their own; the loss is recorded once.

    Args:
        loss: the function that is fitted.
        flat: how its parameters lie in a vector.
        data: the validation data; None for metrics alone.
        metrics: functions of parameters and validation data, in NumPy.
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        flat: Flat,
        data: tuple[Any, ...] | None,
        metrics: Mapping[str, Callable[..., Any]],
    ) -> None:
        self.flat, self.data, self.metrics = flat, data, metrics
        self.loss = evaluated(loss)

    def __call__(self, vector: Any) -> tuple[float | None, dict[str, float]]:
        """Validation loss, None without data, and metrics."""
        if self.data is None and not self.metrics:
            return None, {}
        seen = vector.view()
        seen.flags.writeable = False  # a metric must not change what is fitted
        params = self.flat.views(seen)
        data = () if self.data is None else self.data
        found = {name: _number(name, metric(params, *data)) for name, metric in self.metrics.items()}
        if self.data is None:
            return None, found
        return float(self.loss(params, *data)), found


def _number(name: str, found: Any) -> float:
    """What a metric gave."""
    if np.ndim(found) != 0:
        text = f"metric {name!r} that returns an array of shape {np.shape(found)}"
        raise ShapeError(describe("fit", found=text, wanted="a number"))
    return float(found)
