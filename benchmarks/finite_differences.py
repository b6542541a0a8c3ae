"""The tape's gradient against finite differences: time against the number of parameters, error against the step."""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tapegrad as tg
from benchmarks import clock, difference
from benchmarks.clock import Timing
from benchmarks.model import MODELS, Array, Model, relative_error

SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = SIZES[:4]
STEPS = tuple(10.0 ** (-exponent / 2) for exponent in range(2, 31))
CURVE_SIZE = 1_000
QUICK_CURVE_SIZE = 100
SAMPLED_COORDINATES = 32
TAPE_BUDGET = 0.4
DIFFERENCE_BUDGET = 4.0
FIRST_CALLS = 3


@dataclass(frozen=True)
class Point:
    """One model at one number of parameters: what a gradient takes, and how far off it is."""

    n: int
    first: float
    tape: Timing
    evaluation: Timing
    forward: Timing
    central: Timing
    tape_error: float
    forward_error: float
    central_error: float


@dataclass(frozen=True)
class Curve:
    """One model at one number of parameters: the relative error of each step, and the tape's."""

    n: int
    steps: tuple[float, ...]
    forward: tuple[float, ...]
    central: tuple[float, ...]
    tape: float


@dataclass(frozen=True)
class Study:
    """All that was measured of one model."""

    model: Model
    points: tuple[Point, ...]
    curve: Curve


def closed(model: Model, arguments: tuple[Array, ...]) -> difference.Loss:
    """The loss as a function of the parameters alone."""
    return lambda parameters: model.loss(parameters, *arguments[1:])


def fresh_gradient(model: Model) -> Callable[..., tuple[float, Any]]:
    """A value-and-gradient function that has recorded nothing yet."""
    return tg.value_and_grad(model.loss)


def load_kernels() -> float:
    """Seconds of the first gradient of the process, which loads (or, once a machine, compiles) the kernels."""
    return clock.once(lambda: tg.value_and_grad(lambda x: np.sum(x * x))(np.ones(3)))


def time_differences(method: difference.Method, loss: difference.Loss, point: Array, evaluation: Timing) -> Timing:
    """The time of a whole gradient by differences: measured within the budget, extrapolated beyond it."""
    expected = evaluation.seconds * difference.evaluations(method, point.size)
    if expected > DIFFERENCE_BUDGET:
        return Timing(expected, evaluation.samples, extrapolated=True)
    step = difference.FORWARD_STEP if method is difference.forward else difference.CENTRAL_STEP

    def whole() -> Array:
        return method(loss, point, step, range(point.size))

    if expected > DIFFERENCE_BUDGET / 10:
        # Repeats would only cost time: a single pass this long is thousands of evaluations, its own average.
        return Timing(clock.once(whole), 1)
    return clock.measure(whole, DIFFERENCE_BUDGET / 10)


def measure_point(model: Model, n: int) -> Point:
    """Time and error of the tape and of both kinds of differences at `n` parameters."""
    arguments = model.draw(n)
    parameters, loss, reference = arguments[0], closed(model, arguments), model.reference(arguments).reshape(-1)
    first = statistics.median(clock.once(lambda: fresh_gradient(model)(*arguments)) for _ in range(FIRST_CALLS))
    gradient = fresh_gradient(model)
    tape_error = relative_error(np.asarray(gradient(*arguments)[1]), reference)
    evaluation = clock.measure(lambda: loss(parameters), TAPE_BUDGET)
    count = min(n, SAMPLED_COORDINATES)
    sample = np.sort(np.random.default_rng(n).choice(n, count, replace=False)).tolist()
    forward = difference.forward(loss, parameters, difference.FORWARD_STEP, sample)
    central = difference.central(loss, parameters, difference.CENTRAL_STEP, sample)
    return Point(
        n=n,
        first=first,
        tape=clock.measure(lambda: gradient(*arguments), TAPE_BUDGET),
        evaluation=evaluation,
        forward=time_differences(difference.forward, loss, parameters, evaluation),
        central=time_differences(difference.central, loss, parameters, evaluation),
        tape_error=tape_error,
        forward_error=relative_error(forward, reference[sample]),
        central_error=relative_error(central, reference[sample]),
    )


def measure_curve(model: Model, n: int) -> Curve:
    """The error of both kinds of differences for every step, over all parameters, and the tape's."""
    arguments = model.draw(n)
    parameters, loss, reference = arguments[0], closed(model, arguments), model.reference(arguments)

    def error(method: difference.Method, step: float) -> float:
        return relative_error(method(loss, parameters, step, range(n)), reference)

    return Curve(
        n=n,
        steps=STEPS,
        forward=tuple(error(difference.forward, step) for step in STEPS),
        central=tuple(error(difference.central, step) for step in STEPS),
        tape=relative_error(np.asarray(fresh_gradient(model)(*arguments)[1]), reference),
    )


def measure_all(sizes: Sequence[int], curve_size: int, report: Callable[[str], None]) -> list[Study]:
    """Every model at every size; `report` is told what is being measured."""
    studies = []
    for model in MODELS:
        points = []
        for n in sizes:
            report(f"{model.title}, {n:,} parameters")
            points.append(measure_point(model, n))
        report(f"{model.title}, error against step")
        studies.append(Study(model, tuple(points), measure_curve(model, curve_size)))
    return studies


def progress(total: int) -> Callable[[str], None]:
    """A reporter: one line that rewrites itself on a terminal, a line a step elsewhere."""
    done = 0
    begin, end = ("\r\x1b[K", "") if sys.stderr.isatty() else ("", "\n")

    def report(text: str) -> None:
        nonlocal done
        done += 1
        print(f"{begin}[{done}/{total}] {text}", end=end, file=sys.stderr, flush=True)

    return report


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write it and the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks finite_differences", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"no more than {QUICK_SIZES[-1]:,} parameters")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results", help="folder to write to")
    options = parser.parse_args(arguments)
    # Imported here: the tests and other commands use this module without matplotlib.
    from benchmarks import picture, table

    sizes, curve_size = (QUICK_SIZES, QUICK_CURVE_SIZE) if options.quick else (SIZES, CURVE_SIZE)
    report = progress(len(MODELS) * (len(sizes) + 1) + 2)
    report("loading the kernels")
    start = load_kernels()
    studies = measure_all(sizes, curve_size, report)
    report("drawing\n" if sys.stderr.isatty() else "drawing")
    options.out.mkdir(parents=True, exist_ok=True)
    text = table.render(studies, start)
    (options.out / "finite_differences.md").write_text(text, encoding="utf-8")
    picture.draw_time(studies, options.out / "time.svg")
    picture.draw_error(studies, options.out / "error.svg")
    print(text)
    return 0
