"""The pictures of the comparison: bars against the best peer, and lines over sizes; needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.comparison.peers import OURS, PEERS, Peer
from benchmarks.picture import CENTRAL, FORWARD, INK, QUIET, STYLE, TAPE, power, save

COLOURS: Final = {
    OURS: TAPE,
    "hand": "#1f2933",
    "jax": FORWARD,
    "torch": CENTRAL,
    "autograd": "#2e7d5b",
    "casadi": "#b08900",
    "numpy": "#aab2bd",
}
CUT: Final = 30.0  # longer bars are cut there, and say how long they are
Bars = Sequence[tuple[str, Mapping[str, tuple[float, str]]]]


def draw_bars(groups: Bars, axis: str, path: Path) -> None:
    """A group of bars a case, from 1, which is the best peer: to the left what is less, to the right what is more.

    Each group is a title and, by a peer's name, the ratio to the best peer and the text beside the bar.
    """
    shown = [peer for peer in PEERS if any(peer.name in bars for _, bars in groups)]
    rows = sum(len(bars) + 1 for _, bars in groups)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(9.6, 1.2 + 0.15 * rows), layout="constrained")
        axes.set_xscale("log")
        place, ticks, names = 0.0, [], []
        for title, bars in groups:
            middle = place + (len(bars) - 1) / 2
            for peer in shown:
                if peer.name in bars:
                    _bar(axes, place, peer.name, *bars[peer.name])
                    place += 1
            ticks.append(middle)
            names.append(title)
            place += 1
        axes.set_yticks(ticks, names)
        axes.set_ylim(place - 1, -1)
        _scale(axes, axis, [ratio for _, bars in groups for ratio, _ in bars.values()])
        _legend(figure, axes, shown)
        save(figure, path)


def _bar(axes: Axes, place: float, name: str, ratio: float, text: str) -> None:
    bold, end = name == OURS, min(ratio, CUT)
    axes.barh(place, end - 1, left=1, height=0.8, color=COLOURS[name], zorder=2)
    # A bar of no length, the best peer's, is a point; one that is cut ends in an arrow.
    axes.plot(end, place, ">" if ratio > CUT else "o", color=COLOURS[name], markersize=3.4, zorder=3)
    factor = f"{ratio:,.0f} ×" if ratio > CUT else f"{ratio:.2f} ×"
    axes.annotate(
        f"{text} ({factor})" if bold or ratio > CUT else text,
        (end, place),
        xytext=(5 if ratio >= 1 else -5, 0),
        textcoords="offset points",
        ha="left" if ratio >= 1 else "right",
        va="center",
        fontsize=7,
        color=TAPE if bold else QUIET,
        weight="bold" if bold else "normal",
    )


def _scale(axes: Axes, label: str, ratios: Sequence[float]) -> None:
    axes.axvline(1, color=INK, linewidth=1, zorder=4)
    # Beyond the bars there is room for the text beside them.
    axes.set_xlim(min(0.5, *ratios) / 2.2, min(CUT, max(2.0, *ratios)) * 2.2)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=30))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True, which="major", axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", labelsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(label)


def _legend(figure: Figure, axes: Axes, shown: Sequence[Peer]) -> None:
    handles = [axes.barh([0], [0], color=COLOURS[peer.name])[0] for peer in shown]
    titles = [peer.title for peer in shown]
    figure.legend(handles, titles, loc="outside upper center", ncols=len(shown), frameon=False, columnspacing=1.2)


def draw_lines(sizes: Sequence[int], lines: Mapping[str, Sequence[float | None]], label: str, path: Path) -> None:
    """A line a peer over the sizes, both axes logarithmic."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        for peer in PEERS:
            if peer.name in lines:
                known = [(n, value) for n, value in zip(sizes, lines[peer.name], strict=True) if value is not None]
                axes.plot(*zip(*known, strict=True), "o-", color=COLOURS[peer.name], label=peer.title)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.grid(True, which="major")
        axes.set_xlabel("entries")
        axes.set_ylabel(label)
        axes.legend(frameon=False)
        save(figure, path)
