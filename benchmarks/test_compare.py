"""What `compare` rests on: the libraries agree, every mode runs, wins and losses are told alike. Nothing is timed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import compare
from benchmarks.comparison import cases, environment, handwritten, peers, report, timing
from benchmarks.comparison.cases import CASES
from benchmarks.comparison.peers import BY_NAME, OURS, Peer
from benchmarks.comparison.timing import DisagreementError, Measured, Outcome, Setting

ROOT = Path(__file__).parent.parent
SETTING = Setting(rounds=2, quick=True)


def run(*options: str) -> str:
    """The output of the command, in a process of its own: it sets the environment and starts itself again."""
    clean = {name: value for name, value in os.environ.items() if name != environment.MARK}
    command = [sys.executable, "-m", "benchmarks", "compare", "--quick", *options]
    done = subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def unpadded(text: str) -> str:
    """A report without the blanks that align its columns."""
    return " ".join(text.split())


def outcome(**seconds: float) -> Outcome:
    """One that nobody measured."""
    return Outcome(CASES[0], {name: Measured(1.0, (t, t), 1.0) for name, t in seconds.items()}, {})


def test_all_cases_run_and_all_libraries_agree(tmp_path: Path) -> None:
    """A disagreement ends the command with an error."""
    text = run("--out", str(tmp_path))
    for case in CASES:
        assert text.count(f"| {case.title} ") == 2, case.name
    assert "Geometric mean over" in text
    assert (tmp_path / "compare.md").read_text(encoding="utf-8") in text
    assert "<svg" in (tmp_path / "compare.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "file", "expected"),
    [
        (("--scaling",), "compare_scaling", "| entries |"),
        (("--memory", "--cases", "rosenbrock"), "compare_memory", "| Rosenbrock, 10⁶ |"),
        (("--start",), "compare_start", "| tapegrad, numba's cache filled |"),
        (("--cases", "softmax", "--dtype", "float32", "--threads", "2"), "compare_float32_2_threads", "| softmax"),
    ],
    ids=["scaling", "memory", "start", "float32"],
)
def test_every_mode_writes_a_table_and_a_picture(
    tmp_path: Path, options: tuple[str, ...], file: str, expected: str
) -> None:
    """In files that bear the mode's name."""
    assert expected in unpadded(run(*options, "--out", str(tmp_path)))
    assert {path.name for path in tmp_path.iterdir()} == {f"{file}.md", f"{file}.svg"}


def test_a_peer_that_is_not_installed_is_left_out() -> None:
    """It is told, and it is no error."""

    def absent(*_):
        import no_such_library  # noqa: F401

    wanted = [BY_NAME[OURS], BY_NAME["numpy"], Peer("jax", "JAX", absent, "no-such-library", is_rival=True)]
    found = timing.measure_case(CASES[0], SETTING, wanted)
    assert set(found.measured) == {OURS, "numpy"}
    assert found.missing["jax"].startswith("not installed")
    assert wanted[-1].version() == ""
    assert found.best is found.ratio is None
    assert "JAX: not installed" in report.render([found], SETTING)


def test_a_wrong_gradient_is_refused() -> None:
    """Also a wrong value, a nan and a gradient of another size."""
    right = (2.0, [np.array([1.0, 100.0])])
    timing.check_agreement("case", {OURS: right, "jax": (2.0, [np.array([1.0 + 5e-7, 100.0])])}, 1e-8)
    timing.check_agreement("case", {OURS: right, "numpy": (2.0, [])}, 1e-8)
    for wrong in (
        (2.0, [np.array([1.0 + 2e-6, 100.0])]),
        (2.1, [np.array([1.0, 100.0])]),
        (2.0, [np.array([np.nan, 100.0])]),
        (2.0, [np.array([1.0])]),
    ):
        with pytest.raises(DisagreementError, match="jax"):
            timing.check_agreement("case", {OURS: right, "jax": wrong}, 1e-8)


@pytest.mark.parametrize("name", sorted(handwritten.FUNCTIONS))
def test_gradients_by_hand_agree_beyond_one_tile(name: str) -> None:
    """On sizes that are no multiple of anything."""
    case = next(case for case in CASES if case.loss.__name__ == name)
    drawn = case.arguments(quick=True, dtype="float64")
    arguments = (np.random.default_rng(0).normal(size=2 * handwritten.TILE + 3),) if len(drawn) == 1 else drawn
    found = {}
    for peer in ("tapegrad", "hand"):
        prepared = peers.prepared(BY_NAME[peer], case, arguments, 1)
        found[peer] = prepared.numbers(prepared.call())
    timing.check_agreement(name, found, 1e-12)


def test_only_libraries_that_differentiate_count_as_peers() -> None:
    """Neither the value alone nor what is written by hand."""
    found = outcome(tapegrad=3.0, hand=0.5, jax=2.0, torch=4.0, numpy=1.0)
    assert found.best == "jax"
    assert found.ratio == 1.5
    assert found.ratios == [1.5, 1.5]


def test_losses_are_told_like_wins() -> None:
    """Each with its factor and the name of the peer."""
    text = unpadded(report.render([outcome(tapegrad=3.0, jax=2.0), outcome(tapegrad=1.0, torch=4.0)], SETTING))
    assert "| **1.50** (1.50 to 1.50) | slower: JAX |" in text
    assert "| **0.25** (0.25 to 0.25) | faster: PyTorch |" in text
    assert "**Slower in 1 of 2**" in text
    assert "**Faster in 1 of 2**" in text
    assert f"Geometric mean over 2 cases: {(1.5 * 0.25) ** 0.5:.2f} times" in text


def test_the_environment_names_the_threads() -> None:
    """Every library's own variable; XLA's flags only where there is one thread."""
    one, two = environment.variables(1), environment.variables(2)
    assert {one["OPENBLAS_NUM_THREADS"], one["OMP_NUM_THREADS"]} == {"1"}
    assert "--xla_cpu_multi_thread_eigen=false" in one["XLA_FLAGS"]
    assert two["OMP_NUM_THREADS"] == "2"
    assert "XLA_FLAGS" not in two


def test_unknown_cases_and_pointless_options_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """With the names that there are."""
    with pytest.raises(ValueError, match="no case is called nonsense; there is: transcendental, "):
        cases.chosen("softmax,nonsense")
    assert [case.name for case in cases.chosen("softmax,rosenbrock")] == ["rosenbrock", "softmax"]
    for options, message in ((["--cold"], "--cold goes with --start"), (["--start", "--cases", "softmax"], "--cases")):
        with pytest.raises(SystemExit):
            compare.main(options)
        assert message in capsys.readouterr().err
