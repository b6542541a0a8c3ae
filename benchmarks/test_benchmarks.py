"""What the benchmarks' numbers rest on: the exact gradients, the differences, the marks in the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import cost, difference, table
from benchmarks.__main__ import main as command
from benchmarks.calls import programs
from benchmarks.clock import Timing, format_seconds, measure
from benchmarks.finite_differences import Curve, Point, Study, closed, time_differences
from benchmarks.model import MODELS, Model, relative_error

every_model = pytest.mark.parametrize("model", MODELS, ids=[model.name for model in MODELS])


@every_model
def test_exact_gradient_agrees_with_the_complex_step(model: Model) -> None:
    """The imaginary part of f(x + ih) / h is the derivative without cancellation, whoever derived the formula."""
    arguments = model.draw(30)
    reference = model.reference(arguments).reshape(-1)
    wide = [argument.astype(np.clongdouble) for argument in arguments]
    found = np.empty_like(reference)
    for coordinate in range(reference.size):
        moved = wide[0].copy()
        moved.reshape(-1)[coordinate] += 1e-30j
        found[coordinate] = model.loss(moved, *wide[1:]).imag / np.longdouble(1e-30)
    assert relative_error(found, reference) < 8 * np.finfo(np.longdouble).eps


@every_model
@pytest.mark.parametrize(
    ("method", "step", "limit"),
    [(difference.forward, difference.FORWARD_STEP, 1e-5), (difference.central, difference.CENTRAL_STEP, 1e-8)],
    ids=["forward", "central"],
)
def test_differences_approach_the_exact_gradient(
    model: Model, method: difference.Method, step: float, limit: float
) -> None:
    """Both kinds, at the textbook step, and the parameters are left as they were."""
    arguments = model.draw(30)
    before = arguments[0].copy()
    found = method(closed(model, arguments), arguments[0], step, range(30))
    assert relative_error(found, model.reference(arguments)) < limit
    assert np.array_equal(arguments[0], before)


def test_long_differences_are_extrapolated() -> None:
    """Beyond the budget nothing is run: the number is derived and says so."""
    timing = time_differences(difference.central, lambda x: pytest.fail("evaluated"), np.zeros(1000), Timing(1.0, 5))
    assert timing == Timing(2000.0, 5, extrapolated=True)


def test_extrapolated_times_are_marked_in_the_table() -> None:
    """A dagger on every extrapolated number and on what is computed from it, on no other."""
    timing, guessed = Timing(0.5, 9), Timing(700.0, 9, extrapolated=True)
    point = Point(1000, 1.0, timing, timing, guessed, guessed, 1e-16, 1e-8, 1e-10)
    curve = Curve(10, (0.1, 0.01), (1e-1, 1e-2), (1e-2, 1e-4), 1e-16)
    text = table.render([Study(MODELS[0], (point,), curve)], 0.4)
    row = next(line for line in text.splitlines() if line.startswith("|      1,000 "))
    assert [cell.strip() for cell in row.split("|")[5:8]] == ["11.7 min †", "11.7 min †", "1,400 × †"]
    assert row.count("†") == 3


def test_measure_excludes_the_first_call() -> None:
    """The warm-up is called but not counted."""
    calls: list[int] = []
    timing = measure(lambda: calls.append(1), budget=0.001)
    assert timing.samples >= 3
    assert 0 < timing.seconds < 1e-3
    assert len(calls) > timing.samples


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (4.2e-6, "4.20 µs"),
        (0.0123, "12.3 ms"),
        (1.5, "1.50 s"),
        (1200, "20.0 min"),
        (86400, "24.0 h"),
        (1e6, "11.6 days"),
    ],
)
def test_seconds_are_told_in_the_readers_unit(seconds: float, text: str) -> None:
    """From microseconds to days."""
    assert format_seconds(seconds) == text


def test_calls_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each program; how long it took is not asserted."""
    assert command(["calls", "--quick"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" | ")[0].strip("| ") for line in lines[-3:]] == [p.name for p in programs()]
    assert all(line.count("µs") + line.count(" ms") == 4 for line in lines[-3:])


def test_derivatives_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each case, its results compared with JAX's."""
    pytest.importorskip("jax")
    assert command(["derivatives", "--quick"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" ")[1] for line in lines[-5:]] == ["sparse", "Hessian", "dense", "dense", "gradient"]


def test_updates_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each optimiser and dtype."""
    assert command(["updates", "--quick"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert sum(line.startswith("| Adam") for line in lines) == 4
    assert len(lines) == 4 + 12


def test_touched_rows_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """A row for each length; both gradients are compared there, the times are not."""
    assert command(["touched", "--quick"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split(" ")[1] for line in lines[-3:]] == ["100", "1,000", "10,000"]


def test_costs_are_measured(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A row for each case, predicted and measured; BERT on paper; the report is a file."""
    assert command(["cost", "--quick", "--kept", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert (tmp_path / "cost.md").read_text(encoding="utf-8") == text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows[1:11]] == [case.title for case in cost.cases(quick=True)]
    assert [row[1].strip() for row in rows[-4:]] == ["4,385,920", "11,170,560", "109,482,240", "335,141,888"]


def test_cases_of_costs_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """What is unknown is refused before anything is measured."""
    with pytest.raises(SystemExit):
        command(["cost", "--quick", "--kept", "--cases", "softmax,none"])
    assert "no case is called none" in capsys.readouterr().err
