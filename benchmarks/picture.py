"""The two pictures of the finite-differences benchmark, and the style of all pictures; needs matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.clock import Timing, format_seconds
from benchmarks.finite_differences import Study

TAPE = "#0b5cad"
FORWARD = "#d1600a"
CENTRAL = "#8a2f6b"
QUIET = "#6b7280"
INK = "#1f2933"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.9,
    "lines.markersize": 5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "tapegrad",
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
CLOCK_TICKS = {1e-6: "1 µs", 1e-3: "1 ms", 1.0: "1 s", 60.0: "1 min", 3600.0: "1 h", 86400.0: "1 day"}


def draw_time(studies: Sequence[Study], path: Path) -> None:
    """Time of a gradient against the number of parameters, one panel a model."""
    with plt.rc_context(STYLE):
        figure, panels = _panels(len(studies))
        for axes, study in zip(panels, studies, strict=True):
            _draw_times(axes, study)
        panels[0].set_ylabel("time of one gradient")
        panels[0].set_yticks(list(CLOCK_TICKS), list(CLOCK_TICKS.values()))
        _label_times(panels[-1], studies[-1])
        _note(figure, "filled, solid: measured · hollow, dashed: extrapolated from the measured time of one evaluation")
        save(figure, path)


def draw_error(studies: Sequence[Study], path: Path) -> None:
    """Error of a gradient against the step of the differences, one panel a model."""
    with plt.rc_context(STYLE):
        figure, panels = _panels(len(studies))
        for axes, study in zip(panels, studies, strict=True):
            _draw_errors(axes, study)
        panels[0].set_ylabel("relative error of the gradient")
        panels[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
        panels[0].yaxis.set_major_locator(FixedLocator([10.0**exponent for exponent in range(-16, 5, 4)]))
        _label_errors(panels[-1], studies[-1])
        save(figure, path)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    engine = ConstrainedLayoutEngine(wspace=0.06)
    figure, grid = plt.subplots(1, count, figsize=(9.6, 3.7), sharey=True, squeeze=False, layout=engine)
    panels = list(grid[0])
    for axes in panels:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.grid(True, which="major")
        axes.set_axisbelow(True)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: power(value)))
    return figure, panels


def _draw_times(axes: Axes, study: Study) -> None:
    sizes = [point.n for point in study.points]
    axes.set_title(study.model.title)
    axes.set_xlabel("parameters")
    axes.plot(sizes, [point.evaluation.seconds for point in study.points], color=QUIET, linewidth=1.1)
    _draw_timings(axes, sizes, [point.central for point in study.points], CENTRAL)
    _draw_timings(axes, sizes, [point.forward for point in study.points], FORWARD)
    _draw_timings(axes, sizes, [point.tape for point in study.points], TAPE)
    axes.plot(sizes, [point.first for point in study.points], color=TAPE, linewidth=1.1, alpha=0.6)
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.margins(y=0.09)
    last = study.points[-1]
    _tell(axes, last.n, last.central, CENTRAL, last.central.seconds)
    _tell(axes, last.n, last.tape, TAPE, max(last.tape.seconds, last.first))


def _tell(axes: Axes, n: int, timing: Timing, colour: str, height: float) -> None:
    """The time at the last point, in words, above `height`."""
    text = ("≈ " if timing.extrapolated else "") + format_seconds(timing.seconds)
    axes.annotate(
        text,
        (n, height),
        xytext=(-6, 5),
        textcoords="offset points",
        ha="right",
        color=colour,
        weight="bold",
        fontsize=9,
    )


def _draw_timings(axes: Axes, sizes: Sequence[int], timings: Sequence[Timing], colour: str) -> None:
    seconds = [timing.seconds for timing in timings]
    measured = sum(not timing.extrapolated for timing in timings)
    axes.plot(sizes[:measured], seconds[:measured], "o-", color=colour)
    if measured < len(sizes):
        joint = max(measured - 1, 0)
        axes.plot(sizes[joint:], seconds[joint:], "--", color=colour, linewidth=1.4, zorder=1.9)
        axes.plot(sizes[measured:], seconds[measured:], "o", color=colour, markerfacecolor="white")


def _label_times(axes: Axes, study: Study) -> None:
    last = study.points[-1]
    _label_ends(
        axes,
        [
            ("central differences", last.central.seconds, CENTRAL, "bold"),
            ("forward differences", last.forward.seconds, FORWARD, "bold"),
            ("tapegrad, first call", last.first, TAPE, "normal"),
            ("tapegrad", last.tape.seconds, TAPE, "bold"),
            ("the function alone", last.evaluation.seconds, QUIET, "normal"),
        ],
    )


def _draw_errors(axes: Axes, study: Study) -> None:
    curve = study.curve
    axes.set_title(study.model.title)
    axes.set_xlabel(f"step ({curve.n:,} parameters)")
    axes.plot(curve.steps, curve.forward, color=FORWARD)
    axes.plot(curve.steps, curve.central, color=CENTRAL)
    axes.axhline(curve.tape, color=TAPE)
    axes.set_xlim(min(curve.steps), max(curve.steps))
    axes.xaxis.set_major_locator(FixedLocator([1e-15, 1e-12, 1e-9, 1e-6, 1e-3]))


def _label_errors(axes: Axes, study: Study) -> None:
    curve = study.curve
    _label_ends(
        axes,
        [
            ("forward differences", curve.forward[0], FORWARD, "bold"),
            ("central differences", curve.central[0], CENTRAL, "bold"),
            ("tapegrad (no step)", curve.tape, TAPE, "bold"),
        ],
    )


def _label_ends(axes: Axes, labels: Sequence[tuple[str, float, str, str]]) -> None:
    """Names at the right ends of lines, pushed apart where they would overlap."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    to_pixels, to_fraction = axes.transData, axes.transAxes.inverted()
    gap = 12.5 / 72 * figure.dpi / axes.bbox.height
    heights: list[float] = []
    ordered = sorted(labels, key=lambda label: label[1])
    for _, value, _, _ in ordered:
        height = float(to_fraction.transform(to_pixels.transform((axes.get_xlim()[1], value)))[1])
        heights.append(max(height, heights[-1] + gap) if heights else height)
    for (text, _, colour, weight), height in zip(ordered, heights, strict=True):
        axes.annotate(
            text,
            (1.04, height),
            xycoords="axes fraction",
            color=colour,
            weight=weight,
            va="center",
            annotation_clip=False,
        )


def _note(figure: Figure, text: str) -> None:
    figure.supxlabel(text, fontsize=8.5, color=QUIET)


def power(value: float) -> str:
    """A power of ten as one writes it, for the ticks of an axis."""
    return "10" + f"{round(math.log10(value))}".translate(SUPERSCRIPTS)


def save(figure: Figure, path: Path) -> None:
    """Write the picture and let go of it."""
    # No date: the same numbers draw the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=110)
    plt.close(figure)
