"""NIST's nonlinear regression problems, from both of NIST's starts: how many certified digits are found?

    python -m benchmarks.fits.nist [--method levenberg-marquardt|trf|dogbox|lm] [--only NAME ...] [--out FOLDER]

One policy for all problems: `tapegrad.least_squares` with exact Jacobians, scaled by their columns (x_scale="jac").
Tolerances are 1e-15 for SciPy's methods; our own goes by steps and gradients (1e-12) and not by decreases, which drown
in rounding first. The number of digits is -log10 of the relative error of the worst parameter.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

import tapegrad as tg
from benchmarks import machine
from benchmarks.fits.nist_problems import MODELS, Problem, load
from benchmarks.table import grid
from tapegrad.fitting.least_squares import METHODS

WANTED: Final = 6.0  # digits
OWN: Final = "levenberg-marquardt"
TOLERANCES: Final[dict[str, tuple[float | None, float, float]]] = {OWN: (None, 1e-12, 1e-12)}
SCIPYS: Final = (1e-15, 1e-15, 1e-15)
EVALUATIONS: Final = 5000
RESULTS: Final = Path(__file__).parent / "results"
SHOWN: Final = ("Chwirut1", "Gauss3", "Hahn1", "MGH17", "ENSO", "Thurber", "Eckerle4", "Bennett5")


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What came of a problem from one start.

    `evaluations` are those of the residuals, `jacobians` those of the Jacobian, one an iteration; `stopped` says why.
    """

    problem: Problem
    start: int
    parameters: Any
    squares: float
    evaluations: int
    jacobians: int
    seconds: float
    stopped: str

    @property
    def digits(self) -> float:
        """Of the certified parameters."""
        return self.problem.digits(self.parameters)


def fit(problem: Problem, start: int, method: str = OWN) -> Fit:
    """Fit a problem from NIST's start 1 or 2. The time is that of a user's call, recording included."""
    ftol, xtol, gtol = TOLERANCES.get(method, SCIPYS)
    began = time.perf_counter()
    with np.errstate(all="ignore"):
        found = tg.least_squares(
            problem.residuals,
            problem.starts[start - 1],
            args=(problem.x, problem.y),
            method=method,
            x_scale="jac",
            ftol=ftol,
            xtol=xtol,
            gtol=gtol,
            max_nfev=EVALUATIONS,
        )
    seconds = time.perf_counter() - began
    return Fit(problem, start, found.x, 2 * found.cost, found.nfev, found.njev, seconds, found.message)


def cause(found: Fit) -> str:
    """Why a fit has too few digits."""
    certified = found.problem.squares
    if found.evaluations >= EVALUATIONS:
        return f"not done after {found.evaluations} evaluations"
    if found.squares > certified * (1 + 1e-4) + 1e-20:
        return f"stopped elsewhere: sum of squares {found.squares:.4g}, certified {certified:.4g} ({found.stopped})"
    if found.digits < 2:
        return "the right minimum, with terms of equal form in another order"
    return "the right minimum; the last digits are lost in the rounding of the sum of squares"


def report(fits: Sequence[Fit], method: str) -> str:
    """The table and what is to be said of it."""
    pairs: dict[str, list[Fit]] = {}
    for each in fits:
        pairs.setdefault(each.problem.name, []).append(each)
    starts = [f"start {f.start}" for f in fits[:2]]
    columns = [f"{what}, {start}" for what in ("digits", "iterations", "time") for start in starts]
    header = ("problem", "level", "points", "parameters", *columns)
    rows = []
    for name, both in pairs.items():
        problem = both[0].problem
        rows.append(
            (
                name,
                problem.level,
                str(problem.y.size),
                str(problem.certified.size),
                *(f"{f.digits:.1f}" for f in both),
                *(str(f.jacobians) for f in both),
                *(f"{1000 * f.seconds:.0f} ms" for f in both),
            )
        )
    failed = [f for f in fits if f.digits < WANTED]
    said = f"{len(fits) - len(failed)} of {len(fits)} fits have at least {WANTED:.0f} digits, {_summary(fits)}."
    lines = [f"- {f.problem.name} from start {f.start}, {f.digits:.1f} digits: {cause(f)}" for f in failed]
    policy = f'method="{method}", x_scale="jac"; ftol, xtol, gtol: {TOLERANCES.get(method, SCIPYS)}.'
    parts = [policy, grid(header, rows, left=2), said, *(["\n".join(lines)] if lines else [])]
    return "\n\n".join(parts)


def _summary(fits: Sequence[Fit]) -> str:
    digits = [f.digits for f in fits]
    seconds = sum(f.seconds for f in fits)
    return f"the worst {min(digits):.1f}, the median {np.median(digits):.1f}, in {seconds:.1f} s together"


def draw(fits: Sequence[Fit], path: Path) -> None:
    """Data, the model at start 1, and the fit from there, of some problems."""
    import matplotlib.pyplot as plt

    from benchmarks.picture import FORWARD, QUIET, STYLE, TAPE, save

    chosen = [f for f in fits if f.start == 1 and f.problem.name in SHOWN]
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(2, 4, figsize=(12.0, 5.4), layout="constrained")
        for axes, found in zip(panels.flat, chosen, strict=False):
            problem = found.problem
            x = np.linspace(problem.x.min(), problem.x.max(), 600)
            with np.errstate(all="ignore"):
                begin, end = problem.model(problem.starts[0], x), problem.model(found.parameters, x)
            axes.plot(x, begin, color=FORWARD, linewidth=1.1, linestyle="--", label="at start 1")
            axes.plot(problem.x, problem.y, "o", color=QUIET, markersize=2.6, alpha=0.7, label="data")
            axes.plot(x, end, color=TAPE, linewidth=1.7, label="fitted")
            low, high = problem.y.min(), problem.y.max()
            axes.set_ylim(low - 0.15 * (high - low), high + 0.15 * (high - low))
            axes.set_title(f"{problem.name}: {found.digits:.1f} digits")
        for axes in panels.flat[len(chosen) :]:
            axes.set_visible(False)
        if chosen:
            panels.flat[0].legend(frameon=False)
        save(figure, path)


def main(arguments: Sequence[str]) -> int:
    """Fit them all, print the table, write it and the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits.nist", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--method", choices=tuple(METHODS), default=OWN, help="of tapegrad.least_squares")
    parser.add_argument("--only", nargs="+", choices=tuple(MODELS), metavar="NAME", help="problems, by their names")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for nist.md and nist.svg")
    given = parser.parse_args(arguments)
    fits = []
    todo = [(name, start) for name in given.only or MODELS for start in (1, 2)]
    with tqdm(todo, unit=" fits", leave=False, disable=None) as bar:  # no bar in a file
        for name, start in bar:
            bar.set_postfix_str(f"{name}, start {start}")
            fits.append(fit(load(name), start, given.method))
    text = report(fits, given.method)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    title = "# NIST's nonlinear regression problems"
    (given.out / "nist.md").write_text(f"{title}\n\n{machine.describe()}.\n\n{text}\n", encoding="utf-8")
    draw(fits, given.out / "nist.svg")
    print(f"\nwritten: {given.out / 'nist.md'}, {given.out / 'nist.svg'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
