"""Visits to a doctor: regressions of counts, with standard errors. `python -m benchmarks.fits.counts`.

20,190 rows of the RAND health insurance experiment come with the package statsmodels (`randhie`). Two likelihoods,
written in NumPy: Poisson's, and the negative binomial with a variance of mean + alpha * mean² (NB2; Cameron & Trivedi,
Regression analysis of count data, 2013, sections 3.2 and 3.3). `tapegrad.minimize` finds the maximum with exact
Hessians, and the inverse of the Hessian there gives the standard errors. Coefficients and standard errors are
compared with those of statsmodels, whose derivatives are written by hand.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

import tapegrad as tg
from benchmarks.clock import format_seconds
from benchmarks.fits.report import Course, heading, options, race, save, style, threads
from benchmarks.picture import FORWARD, QUIET, TAPE
from benchmarks.table import grid

Vector: TypeAlias = NDArray[np.float64]

AGREE: Final = 1e-6  # how near coefficients and standard errors are to statsmodels', at least


@dataclass(frozen=True, slots=True, eq=False)
class Data:
    """Rows of explanatory variables, the first of them 1, with their names; and the number of visits of each."""

    names: tuple[str, ...]
    x: NDArray[np.float64]
    y: Vector


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Coefficients, their standard errors, and the logarithm of the likelihood."""

    values: Vector
    errors: Vector
    likelihood: float


def load(*, quick: bool) -> Data:
    """All rows, or each tenth."""
    from statsmodels.datasets import randhie

    table = randhie.load_pandas()
    rows = slice(None, None, 10 if quick else 1)
    x, y = (np.asarray(part, np.float64)[rows] for part in (table.exog, table.endog))
    explained_by = np.ascontiguousarray(np.column_stack((np.ones(len(x)), x)))
    return Data(("const", *table.exog.columns), explained_by, y)


# --- the models


def poisson(beta: Any, x: Any, y: Any) -> Any:
    """The logarithm of the probability of each count, for counts of mean exp(x beta)."""
    log_mean = x @ beta
    return y * log_mean - np.exp(log_mean) - gammaln(y + 1)


def negative_binomial(params: Any, x: Any, y: Any) -> Any:
    """The same for counts of variance mean + alpha * mean²; alpha is the last parameter."""
    log_mean, size = x @ params[:-1], 1 / params[-1]
    chosen = gammaln(y + size) - gammaln(size) - gammaln(y + 1)
    return chosen + size * np.log(size) + y * log_mean - (y + size) * np.log(size + np.exp(log_mean))


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its probabilities, where parameters beside the coefficients start, and statsmodels' name for it."""

    name: str
    log_probability: Callable[..., Any]
    more: tuple[float, ...]
    theirs: str

    def loss(self, params: Any, x: Any, y: Any) -> Any:
        """Minus the logarithm of the likelihood."""
        return -np.sum(self.log_probability(params, x, y))

    def names(self, data: Data) -> list[str]:
        """Of the parameters."""
        return [*data.names, *("alpha" for _ in self.more)]


POISSON: Final = Model("Poisson", poisson, (), "Poisson")
NB2: Final = Model("Negative binomial (NB2)", negative_binomial, (1.0,), "NegativeBinomial")
MODELS: Final = (POISSON, NB2)


# --- who fits them


def ours(model: Model, data: Data) -> Estimate:
    """The maximum by a trust region; standard errors from the observed information, which is the Hessian there."""
    start = np.concatenate((np.zeros(data.x.shape[1]), model.more))
    found = tg.minimize(model.loss, start, (data.x, data.y), method="trust-exact", options={"gtol": 1e-5})
    return Estimate(found.x, np.sqrt(np.diag(np.linalg.inv(found.hess))), -found.fun)


def theirs(model: Model, data: Data) -> Estimate:
    """statsmodels, by Newton's method: its default for NB2 stops before it is there."""
    import statsmodels.api as sm

    found = getattr(sm, model.theirs)(data.y, data.x).fit(method="newton", maxiter=100, tol=1e-12, disp=0)
    return Estimate(np.asarray(found.params), np.asarray(found.bse), float(found.llf))


OURS, THEIRS = "tapegrad", "statsmodels"
BOTH: Final = {OURS: ours, THEIRS: theirs}


def difference(one: Estimate, other: Estimate) -> float:
    """The largest of all coefficients and standard errors, relative where they are above 1."""
    a, b = (np.concatenate((e.values, e.errors)) for e in (one, other))
    return float(np.max(np.abs(a - b) / np.maximum(1, np.abs(b))))


# --- the report


def coefficients(model: Model, data: Data, one: Estimate, other: Estimate) -> str:
    """The table of coefficients and standard errors, and how far those of statsmodels are away."""
    rows = [
        [name, f"{b:.8f}", f"{s:.8f}", f"{b - c:+.1e}", f"{s - t:+.1e}"]
        for name, b, s, c, t in zip(model.names(data), one.values, one.errors, other.values, other.errors, strict=True)
    ]
    return grid(["", "coefficient", "standard error", "less statsmodels'", "less statsmodels'"], rows, left=1)


def draw(data: Data, found: dict[str, dict[str, Estimate]], path: Path) -> None:
    """Coefficients of both models with intervals, and how often each number of visits occurs and is expected."""
    with style():
        from matplotlib.figure import Figure

        figure = Figure(figsize=(11.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        places = np.arange(len(data.names))
        for k, (model, colour) in enumerate(zip(MODELS, (FORWARD, TAPE), strict=True)):
            one, other = (found[model.name][name] for name in BOTH)
            at, shown = places + 0.3 * k - 0.15, slice(0, len(data.names))
            reach = 1.96 * one.errors[shown]
            left.errorbar(one.values[shown], at, xerr=reach, fmt="o", color=colour, markersize=4, label=model.name)
            left.plot(other.values[shown], at, "x", color="black", markersize=4, zorder=3)
        left.plot([], [], "x", color="black", markersize=4, label="statsmodels")
        left.axvline(0, color=QUIET, linewidth=0.8)
        left.set_yticks(places, data.names)
        left.invert_yaxis()
        left.grid(axis="x")
        left.set_title("Coefficients, 95 % intervals")
        left.legend(frameon=False, bbox_to_anchor=(1.0, 0.55), loc="center right")
        _draw_counts(right, data, found)
        save(figure, path)


def _draw_counts(axes: Any, data: Data, found: dict[str, dict[str, Estimate]]) -> None:
    """Observed numbers of visits, and those that the models expect, summed over all rows."""
    visits = np.arange(21)
    axes.bar(visits, [np.sum(data.y == k) for k in visits], color="#d5d9df", label="observed")
    for model, colour in zip(MODELS, (FORWARD, TAPE), strict=True):
        values = found[model.name][OURS].values
        expected = [np.sum(np.exp(model.log_probability(values, data.x, k))) for k in visits]
        axes.plot(visits, expected, "o-", color=colour, markersize=4, label=f"expected by {model.name}")
    axes.set(xlabel="visits to a doctor in a year", xticks=visits[::2])
    axes.set_title("People with so many visits")
    axes.grid(axis="y")
    axes.set_axisbelow(True)
    axes.legend(frameon=False)


def times(courses: dict[str, dict[str, Sequence[Course]]]) -> str:
    """The table of times: from the data to coefficients and standard errors."""
    rows = []
    for model, of in courses.items():
        ours, theirs = ([c.seconds[-1] for c in of[name]] for name in BOTH)
        ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
        shown = [format_seconds(statistics.median(t)) for t in (ours, theirs)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        rows.append([model, *shown, spread])
    return grid(["from data to standard errors", *BOTH, "over ours"], rows, left=1)


def fitter(name: str, model: Model, data: Data) -> Callable[[Course], Estimate]:
    """One of the two, as a contestant that is seen at the end."""

    def fit(course: Course) -> Estimate:
        found = BOTH[name](model, data)
        course.see(-found.likelihood)
        return found

    return fit


def main(arguments: Sequence[str] | None = None) -> int:
    """Fit, print the tables, save the picture."""
    chosen = options("counts", __doc__, ".svg", arguments)
    data = load(quick=chosen.quick)
    with threads(chosen.threads):
        courses = {m.name: race({n: fitter(n, m, data) for n in BOTH}, chosen.rounds) for m in MODELS}
    found = {model: {name: runs[-1].found for name, runs in of.items()} for model, of in courses.items()}
    text = f"{len(data.y):,} rows. Rounds: {chosen.rounds}, threads: {chosen.threads}."
    print(heading("Counts", text))
    for model in MODELS:
        one, other = (found[model.name][name] for name in BOTH)
        far = difference(one, other)
        print(f"## {model.name}\n\n{coefficients(model, data, one, other)}\n")
        print(f"Logarithm of the likelihood: {one.likelihood:.6f}, statsmodels' {other.likelihood:.6f}; ", end="")
        print(f"coefficients and standard errors agree within {far:.0e}.\n")
        if not far <= AGREE:
            raise AssertionError(f"{model.name}: coefficients or standard errors differ by {far:.1e}")
    print(times(courses))
    draw(data, found, chosen.out)
    print(f"\nPicture: {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
