"""Bundle adjustment: where cameras stood, and what they looked at, from some hundred thousand sightings.

`python -m benchmarks.fits.bundle` makes a scene, fits it with `tapegrad.optimizers.LevenbergMarquardt` and, beside it,
with `scipy.optimize.least_squares`, both with tapegrad's sparse Jacobian; it prints tables and draws a picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import machine
from benchmarks.clock import format_seconds
from benchmarks.fits import bundle_by_hand, bundle_scene
from benchmarks.fits.bundle_scene import Params, Scene
from benchmarks.table import grid
from tapegrad.optimizers import LevenbergMarquardt, Residuals

FULL, SMALL = (200, 34_000, 6), (12, 400, 5)  # cameras, points, sightings of each point
ENOUGH = 1e-6  # the fit ends where a step decreases the cost by a smaller share
SAME = 1e-4  # costs this close to the fit's are the same, when times to them are compared
REPEATS = 5
ITERATIONS = 100


@dataclass
class Run:
    """The costs that a method reached, and when, in seconds from its first evaluation."""

    name: str
    costs: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    evaluations: int = 0
    ending: str = ""

    def until(self, cost: float) -> float | None:
        """When it first was down to a cost; None if it never was."""
        return next((s for s, c in zip(self.seconds, self.costs, strict=True) if c <= cost), None)


@dataclass
class Report:
    """All that is told of a scene."""

    scene: Scene
    first: float  # seconds of the first Jacobian: recording, pattern, colouring, a sweep
    jacobian: float
    by_hand: float
    difference: float  # of the two Jacobians, relative to the largest entry
    residuals: float
    linear: float
    entries: int
    system: str
    ours: Run
    theirs: Run | None
    fitted: Params


class EnoughError(Exception):
    """The budget of the other method is spent."""


def run(shape: tuple[int, int, int], seed: int, budget: float) -> Report:
    """Make a scene and fit it.

    Args:
        shape: cameras, points, sightings of each point.
        seed: of the scene.
        budget: seconds for `scipy.optimize.least_squares`, 0 to leave it out.
    """
    scene = bundle_scene.make(*shape, seed)
    problem = Residuals(bundle_scene.residuals, scene.start, scene.data, sparse=True)
    problem.residuals(problem.start)
    first, jacobian = timed(lambda: problem.jacobian(problem.start))
    problem.jacobian(problem.start)
    ours, state = fit(problem)
    linear, fitted = timed_linear(state), problem.restore(state.point)
    return Report(
        scene=scene,
        first=first,
        jacobian=repeated(lambda: problem.jacobian(state.point)),
        by_hand=repeated(lambda: bundle_by_hand.jacobian(fitted, *scene.data[:2])),
        difference=difference(problem.jacobian(state.point), bundle_by_hand.jacobian(fitted, *scene.data[:2])),
        residuals=repeated(lambda: problem.residuals(state.point)),
        linear=linear,
        entries=jacobian.nnz,
        system=told(state.system),
        ours=ours,
        theirs=beside(problem, budget, ours.costs[-1]) if budget else None,
        fitted=fitted,
    )


def fit(problem: Residuals) -> tuple[Run, Any]:
    """By tapegrad's Levenberg-Marquardt; first-order steps are quicker here than bent ones, and as many."""
    optimizer = LevenbergMarquardt(decrease_tolerance=ENOUGH, acceleration=None)
    record, began = Run("tapegrad, Levenberg-Marquardt"), perf_counter()
    state = optimizer.init(problem)
    with tqdm(total=ITERATIONS, desc=record.name, leave=False) as bar:
        while True:
            record.costs.append(state.value)
            record.seconds.append(perf_counter() - began)
            bar.set_postfix(cost=f"{state.value:.6g}")
            if state.stopped or state.iterations == ITERATIONS:
                break
            state = optimizer.update(problem, state)
            bar.update()
    record.evaluations, record.ending = state.evaluations, state.stopped
    return record, state


def beside(problem: Residuals, budget: float, goal: float) -> Run:
    """By SciPy's trust-region method, which solves its linear systems by LSMR, until the same cost or out of time."""
    from scipy.optimize import least_squares

    record = Run("SciPy, least_squares (trf, lsmr)")
    best = np.inf
    bar = tqdm(desc=record.name, leave=False)
    began = perf_counter()

    def residuals(point: Any) -> Any:
        nonlocal best
        found = problem.residuals(point)
        record.evaluations += 1
        best = min(best, 0.5 * float(found @ found))
        record.costs.append(best)
        record.seconds.append(perf_counter() - began)
        bar.update()
        bar.set_postfix(cost=f"{best:.6g}")
        if best <= goal * (1 + SAME) or record.seconds[-1] > budget:
            raise EnoughError
        return found

    options = {"method": "trf", "tr_solver": "lsmr", "x_scale": "jac"}
    try:
        found = least_squares(residuals, problem.start, problem.jacobian, ftol=1e-10, xtol=1e-12, gtol=1e-12, **options)
        record.ending = str(found.message)
    except EnoughError:
        record.ending = "the same cost" if best <= goal * (1 + SAME) else "out of time"
    bar.close()
    return record


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and the result."""
    began = perf_counter()
    result = work()
    return perf_counter() - began, result


def repeated(work: Callable[[], Any]) -> float:
    """The median of several times."""
    return median(timed(work)[0] for _ in range(REPEATS))


def timed_linear(state: Any) -> float:
    """Seconds of one step: normal equations, elimination of the points, factors, and back."""
    return repeated(lambda: state.system.at(state.jacobian, state.scale).damped(1e-4).step(state.residuals))


def difference(one: Any, other: Any) -> float:
    """By how much two sparse arrays differ, relative to the largest entry."""
    return float(abs(one - other).max() / abs(one).max())


def told(system: Any) -> str:
    """In words, what is done to the normal equations."""
    blocks = getattr(system, "blocks", None)
    if blocks is None:
        return "as a whole"
    return f"{len(blocks.sizes):,} blocks of {blocks.sizes.max()} eliminated, {len(blocks.kept):,} columns left"


# --- what is told


def pixels(cost: float, scene: Scene) -> float:
    """The root mean square of the residuals."""
    return float(np.sqrt(2 * cost / scene.seen.size))


def aligned(params: Params, truth: Params) -> Params:
    """A scene moved, turned and scaled onto the truth: pictures cannot tell these (Umeyama 1991).

    Gives the points and the centres of the cameras.
    """
    mine, true = params["points"], truth["points"]
    centre, goal = mine.mean(0), true.mean(0)
    u, s, vt = np.linalg.svd((true - goal).T @ (mine - centre))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    turn = (u * flip) @ vt
    scale = (s * flip).sum() / np.sum((mine - centre) ** 2)
    return {
        "points": goal + scale * (mine - centre) @ turn.T,
        "cameras": goal + scale * (centres(params) - centre) @ turn.T,
    }


def centres(params: Params) -> Any:
    """Where the cameras are."""
    cameras = params["cameras"]
    return -bundle_scene.rotated(-cameras[:, :3], cameras[:, 3:6])


def off(params: Params, truth: Params) -> float:
    """The root mean square distance of points from the truth, once aligned."""
    return float(np.sqrt(np.mean(np.sum((aligned(params, truth)["points"] - truth["points"]) ** 2, axis=1))))


def render(report: Report) -> str:
    """The tables, in Markdown."""
    scene, ours = report.scene, report.ours
    facts = [
        ("cameras, points, sightings", _counts(scene)),
        ("parameters, residuals", f"{scene.size:,}, {scene.seen.size:,}"),
        ("entries of the Jacobian", f"{report.entries:,}"),
        ("normal equations", report.system),
        ("pixels off, at the start", f"{pixels(ours.costs[0], scene):.3f}"),
        ("pixels off, fitted", f"**{pixels(ours.costs[-1], scene):.4f}**"),
        ("expected of the noise alone", f"{scene.floor:.4f}"),
        ("points off, at the start", f"{off(scene.start, scene.truth):.4f}"),
        ("points off, fitted", f"{off(report.fitted, scene.truth):.4f}"),
        ("first Jacobian (recording, pattern, colouring, a sweep)", format_seconds(report.first)),
        ("a Jacobian", format_seconds(report.jacobian)),
        ("a Jacobian derived by hand, in NumPy", format_seconds(report.by_hand)),
        ("largest difference of the two, relative", f"{report.difference:.0e}"),
        ("the residuals", format_seconds(report.residuals)),
        ("a linear solution", format_seconds(report.linear)),
        ("the fit, after the first Jacobian", format_seconds(ours.seconds[-1])),
    ]
    parts = ["# Bundle adjustment", machine.describe() + ".", grid(("what", ""), facts, left=2), _iterations(report)]
    return "\n\n".join([*parts, _methods(report)]) + "\n"


def _counts(scene: Scene) -> str:
    return ", ".join(f"{n:,}" for n in (len(scene.start["cameras"]), len(scene.start["points"]), len(scene.seen)))


def _iterations(report: Report) -> str:
    ours = report.ours
    rows = [
        (str(k), f"{cost:.6g}", f"{pixels(cost, report.scene):.4f}", format_seconds(seconds))
        for k, (cost, seconds) in enumerate(zip(ours.costs, ours.seconds, strict=True))
    ]
    return grid(("iteration", "cost", "pixels", "after"), rows)


def _methods(report: Report) -> str:
    runs = [r for r in (report.ours, report.theirs) if r is not None]
    goal = report.ours.costs[-1] * (1 + SAME)
    rows = []
    for r in runs:
        there = r.until(goal)
        cells = f"{r.costs[-1]:.6g}", str(r.evaluations), "never" if there is None else format_seconds(there), r.ending
        rows.append((r.name, *cells))
    return grid(
        ("method", "cost", "evaluations", f"within {SAME:.2%} of the fit's cost after", "ended by"), rows, left=1
    )


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run, print, draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits.bundle", description=__doc__)
    parser.add_argument("--small", action="store_true", help="a scene for tests")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--budget", type=float, default=300.0, help="seconds for SciPy; 0 to leave it out")
    parser.add_argument(
        "--out", type=Path, default=Path("benchmarks/fits/results"), help="folder of bundle.md, bundle.png"
    )
    given = parser.parse_args(arguments)
    report = run(SMALL if given.small else FULL, given.seed, given.budget)
    text = render(report)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "bundle.md").write_text(text, encoding="utf-8")
    from benchmarks.fits.bundle_picture import draw

    draw(report, given.out / "bundle.png")
    return report


if __name__ == "__main__":
    main()
