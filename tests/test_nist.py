"""NIST's nonlinear regression problems: the data are NIST's, and all fits reach the certified values."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import tapegrad as tg
from benchmarks.fits import nist
from benchmarks.fits.nist import Fit, fit
from benchmarks.fits.nist_problems import FOLDER, MODELS, load

NAMES = tuple(MODELS)
# Parameters of eleven digits give no sum of squares of 1e-25.
ROUNDED = "Lanczos1"


@cache
def fitted(name: str, start: int, method: str = nist.OWN) -> Fit:
    return fit(load(name), start, method)


def test_problems_are_all_there() -> None:
    assert len(NAMES) == 27
    assert {p.stem for p in FOLDER.glob("*.txt")} == set(NAMES)
    levels = [load(name).level for name in NAMES]
    assert [levels.count(level) for level in ("lower", "average", "higher")] == [8, 11, 8]
    assert levels == sorted(levels, key=["lower", "average", "higher"].index)


@pytest.mark.parametrize("name", NAMES)
def test_data_have_the_certified_sum_of_squares(name: str) -> None:
    problem = load(name)
    squares = np.sum(problem.residuals(problem.certified, problem.x, problem.y) ** 2)
    if name != ROUNDED:
        assert squares == pytest.approx(problem.squares, rel=2e-10)
    points, size = problem.y.size, problem.certified.size
    assert problem.x.shape[-1] == points > size == problem.deviation.size
    assert all(start.shape == (size,) for start in problem.starts)


def test_data_of_lanczos1_in_sixty_digits() -> None:
    """Gauss-Newton from the certified parameters, whose last digits it moves."""
    problem = load(ROUNDED)
    with mpmath.workdps(60):
        b = [mpmath.mpf(repr(float(v))) for v in problem.certified]
        x = [mpmath.mpf(repr(float(v))) for v in problem.x]
        y = [mpmath.mpf(repr(float(v))) for v in problem.y]

        def residuals() -> Any:
            return [sum(b[k] * mpmath.exp(-b[k + 1] * s) for k in (0, 2, 4)) - t for s, t in zip(x, y, strict=True)]

        for _ in range(4):
            rows = []
            for s in x:
                row = []
                for k in (0, 2, 4):
                    e = mpmath.exp(-b[k + 1] * s)
                    row += [e, -b[k] * s * e]
                rows.append(row)
            step = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(residuals()))
            b = [v - d for v, d in zip(b, step, strict=True)]
        squares = float(sum(r**2 for r in residuals()))
    assert squares == pytest.approx(problem.squares, rel=2e-10)
    np.testing.assert_allclose([float(v) for v in b], problem.certified, rtol=1e-10)


@pytest.mark.parametrize("method", [nist.OWN, "trf"])
@pytest.mark.parametrize("start", [2, 1])
@pytest.mark.parametrize("name", NAMES)
def test_certified_parameters_are_found(name: str, start: int, method: str) -> None:
    found = fitted(name, start, method)
    assert found.digits >= nist.WANTED, nist.cause(found)
    assert found.squares == pytest.approx(found.problem.squares, rel=1e-8) or name == ROUNDED


@pytest.mark.parametrize("name", [n for n in NAMES if n != ROUNDED])
def test_certified_deviations_are_found(name: str) -> None:
    """The covariance is made of the Jacobian: an exact one gives the certified standard deviations."""
    problem, found = load(name), fitted(name, 2)
    jacobian = tg.jacobian(problem.residuals)(found.parameters, problem.x, problem.y)
    scale = np.linalg.norm(jacobian, axis=0)
    upper = np.linalg.qr(jacobian / scale, mode="r")
    spread = np.linalg.norm(np.linalg.inv(upper), axis=1) / scale
    deviation = spread * np.sqrt(found.squares / (problem.y.size - problem.certified.size))
    np.testing.assert_allclose(deviation, problem.deviation, rtol=1e-5)


def test_digits() -> None:
    problem = load("DanWood")
    assert problem.digits(problem.certified) == 11.0
    assert problem.digits(problem.certified * (1 + 1e-7)) == pytest.approx(7.0, abs=1e-3)
    assert problem.digits(problem.certified * [1, 3]) == 0.0
    assert problem.digits(problem.certified * [1, np.nan]) == 0.0


def test_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nist.main(["--only", "BoxBOD", "Lanczos3", "--method", "lm", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "3 of 4 fits have at least 6 digits" in said
    assert "BoxBOD from start 1, 0.0 digits: stopped elsewhere: sum of squares 9772, certified 1168" in said
    assert (tmp_path / "nist.md").read_text().startswith("# NIST's nonlinear regression problems")
    assert (tmp_path / "nist.svg").stat().st_size > 1000
