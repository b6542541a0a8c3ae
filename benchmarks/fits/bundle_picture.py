"""The picture of bundle adjustment: the scene from above, before and after, and the cost against time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from benchmarks.fits.bundle_scene import Params
from benchmarks.picture import FORWARD, INK, QUIET, STYLE, TAPE, save

if TYPE_CHECKING:
    from benchmarks.fits.bundle import Report

_MOST = 6000  # points that are drawn


def draw(report: Report, path: Path) -> None:
    """Write the picture."""
    from benchmarks.fits.bundle import aligned, pixels

    scene, ours = report.scene, report.ours
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(12.6, 4.2), layout="constrained", width_ratios=(1, 1, 1.15))
        true = aligned(scene.truth, scene.truth)
        for axes, params, cost, title in [
            (panels[0], scene.start, ours.costs[0], "start"),
            (panels[1], report.fitted, ours.costs[-1], "fitted"),
        ]:
            _above(axes, aligned(params, scene.truth), true, f"{title}: {pixels(cost, scene):.2f} pixels off")
        _costs(panels[2], report)
        save(figure, path)


def _above(axes: Any, scene: Params, true: Params, title: str) -> None:
    """Points and cameras from above."""
    step = max(1, len(scene["points"]) // _MOST)
    points = scene["points"][::step]
    axes.plot(points[:, 0], points[:, 1], ".", color=QUIET, markersize=1.2, rasterized=True)
    axes.plot(true["cameras"][:, 0], true["cameras"][:, 1], "o", color=INK, markersize=3.4, fillstyle="none", mew=0.5)
    axes.plot(scene["cameras"][:, 0], scene["cameras"][:, 1], ".", color=TAPE, markersize=3.2)
    axes.set_title(title)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _costs(axes: Any, report: Report) -> None:
    """What each method had reached, and when."""
    floor = 0.999 * min(r.costs[-1] for r in (report.ours, report.theirs) if r is not None)
    for record, colour in [(report.ours, TAPE), (report.theirs, FORWARD)]:
        if record is None:
            continue
        axes.plot(record.seconds, [c - floor for c in record.costs], "o-", color=colour, markersize=3.2)
        place, shift = (-1, (-2, -13)) if record is report.ours else (1, (8, 4))
        axes.annotate(
            record.name,
            (record.seconds[place], record.costs[place] - floor),
            xytext=shift,
            textcoords="offset points",
            color=colour,
            weight="bold",
            fontsize=8.5,
        )
    axes.set_yscale("log")
    axes.margins(y=0.1)
    axes.set_title("cost above (0.999 of) the lowest, by seconds")
    axes.set_xlabel("seconds, recording and first Jacobian not counted")
    axes.grid(True, which="major")
