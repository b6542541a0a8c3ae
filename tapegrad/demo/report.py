"""The report: what is said on the way, and the picture at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from tapegrad.demo.digits import SIDE, Digits, Ints
from tapegrad.fitting.history import History

_ROWS, _COLUMNS = 6, 12
_CELL: Final = SIDE + 14  # pixels of a digit, with room for what is written under it
_BLUE, _DARK, _LIGHT, _RED = "#1f6fb5", "#333333", "#c9c9c9", "#d01c2f"


def span(seconds: float) -> str:
    """A time in the units in which one says it.

    >>> span(0.00132), span(84.0), span(66600.0)
    ('1.3 ms', '1 min 24 s', '18 h 30 min')
    """
    if seconds < 1:
        return f"{1000 * seconds:.1f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def draw(path: Path, history: History, held_out: Digits, guessed: Ints) -> None:
    """Write the picture: the loss on the way, and the first held-out digits with what they were taken for."""
    figure = Figure(figsize=(12.8, 4.9), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.75))
    _draw_losses(left, history)
    _draw_digits(right, held_out, guessed)
    figure.savefig(path)


def _draw_losses(axes: Any, history: History) -> None:
    """The loss of every batch, its mean in each epoch, and the loss of the held-out digits."""
    epochs = np.arange(1, len(history) + 1)
    batches = (np.arange(len(history.losses)) + 0.5) * len(epochs) / len(history.losses)
    axes.plot(batches, history.losses, color=_LIGHT, linewidth=0.8, label="training digits, each batch")
    axes.plot(epochs - 0.5, history["loss"], color=_DARK, linewidth=2, label="training digits, mean of each epoch")
    axes.plot(
        epochs, history["validation"], color=_BLUE, linewidth=2, marker="o", markersize=3.5, label="held-out digits"
    )
    axes.set(xlabel="epoch", xlim=(0, len(epochs)), yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color=_LIGHT, linewidth=0.6)
    axes.set_title("Loss", loc="left", fontweight="bold")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_digits(axes: Any, held_out: Digits, guessed: Ints) -> None:
    """The first held-out digits; a wrong guess is red, with the right one behind it."""
    shown = _ROWS * _COLUMNS
    sheet = np.zeros((_ROWS * _CELL, _COLUMNS * _CELL))
    for k, image in enumerate(held_out.images[:shown]):
        top, left = k // _COLUMNS * _CELL, k % _COLUMNS * _CELL
        sheet[top : top + SIDE, left : left + SIDE] = image.reshape(SIDE, SIDE)
        guess, label = int(guessed[k]), int(held_out.labels[k])
        wrong = guess != label
        text, color = (f"{guess}, is {label}", _RED) if wrong else (f"{guess}", _DARK)
        weight = "bold" if wrong else "normal"
        axes.text(left + SIDE / 2, top + SIDE + 6, text, color=color, weight=weight, ha="center", va="center", size=9)
        if wrong:
            frame = Rectangle((left - 1.5, top - 1.5), SIDE + 2, SIDE + 2, fill=False, color=_RED, linewidth=1.8)
            axes.add_patch(frame)
    axes.imshow(sheet, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set(xlim=(-4, _COLUMNS * _CELL - (_CELL - SIDE) + 4), ylim=(_ROWS * _CELL - 3, -4))
    right = int((guessed == held_out.labels).sum())
    title = f"{right} of {len(held_out):,} held-out digits read right; the first {shown} of them, mistakes in red"
    axes.set_title(title, loc="left", fontweight="bold")
    axes.axis("off")
