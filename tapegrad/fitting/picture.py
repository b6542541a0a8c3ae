"""A picture of a fit: losses, and the learning rate if it changed."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.errors import MissingExtraError, describe
from tapegrad.fitting.history import History

_DARK, _LIGHT, _BLUE, _GREEN = "#333333", "#c9c9c9", "#1f6fb5", "#2a8a4a"
_MOST: Final = 20_000  # points of a line


def draw(history: History) -> Any:
    """A figure with the loss of each batch, their mean in each epoch, validation loss and metrics."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        found, wanted = "no matplotlib", "pip install 'tapegrad[fit]'"
        raise MissingExtraError(describe("plot", found=found, wanted=wanted)) from None
    metrics = list(history.epochs[0].metrics) if history.epochs else []
    rates = history["rate"]
    others = [*metrics, *(["rate"] if len(set(rates.tolist())) > 1 else [])]
    figure = Figure(figsize=(6.4 + 4.0 * len(others), 4.2), dpi=110, layout="constrained")
    axes = figure.subplots(1, 1 + len(others), squeeze=False)[0]
    _losses(axes[0], history)
    numbers = [e.number for e in history.epochs]
    for axis, name in zip(axes[1:], others, strict=True):
        axis.plot(numbers, history[name], color=_GREEN if name != "rate" else _DARK, marker="o", markersize=3)
        axis.set_title("learning rate" if name == "rate" else name, loc="left", fontweight="bold")
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.grid(axis="y", color=_LIGHT, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _losses(axis: Any, history: History) -> None:
    """The losses, on a logarithmic scale where they are positive."""
    epochs = np.array([e.number for e in history.epochs])
    losses = history.losses
    each = max(1, len(losses) // _MOST)
    ends = len(epochs) or 1
    places = (np.arange(len(losses)) + 0.5) * ends / max(1, len(losses))
    if len(losses) > len(epochs):
        axis.plot(places[::each], losses[::each], color=_LIGHT, linewidth=0.8, label="each batch")
    axis.plot(epochs - 0.5, history["loss"], color=_DARK, linewidth=2, label="mean of the epoch")
    if len(epochs) and history.epochs[0].validation is not None:
        axis.plot(epochs, history["validation"], color=_BLUE, linewidth=2, marker="o", markersize=3, label="validation")
    if len(losses) and (losses > 0).all():
        axis.set_yscale("log")
    axis.set_title("loss", loc="left", fontweight="bold")
    axis.legend(frameon=False)
