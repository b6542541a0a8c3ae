"""Checkpoints: a fit that was killed goes on bit for bit; files that are none are refused."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CheckpointError
from tapegrad.fitting import checkpoint as checkpoints
from tapegrad.optimizers import SGD, Adam, Cosine

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 4))
Y = np.tanh(X @ RNG.normal(size=4))
START = {"w": 0.1 * RNG.normal(size=(4, 5)), "v": 0.1 * RNG.normal(size=5)}
OPTIONS: dict[str, Any] = {
    "optimizer": Adam(Cosine(0.02, 80)),
    "batch_size": 13,
    "epochs": 12,
    "validation": 0.2,
    "metrics": {"size": lambda p, *data: np.abs(p["w"]).sum()},
}


def loss(p: Any, x: Any, y: Any) -> Any:
    return np.mean((np.tanh(x @ p["w"]) @ p["v"] - y) ** 2)


def assert_same(one: Any, other: Any) -> None:
    for name in ("params", "last"):
        for leaf in ("w", "v"):
            np.testing.assert_array_equal(getattr(one, name)[leaf], getattr(other, name)[leaf])
    np.testing.assert_array_equal(one.history.losses, other.history.losses)
    for name in ("loss", "validation", "rate", "size", "steps"):
        np.testing.assert_array_equal(one.history[name], other.history[name])
    assert (one.loss, one.best, one.steps) == (other.loss, other.best, other.steps)
    for a, b in zip(one.state.moments, other.state.moments, strict=True):
        np.testing.assert_array_equal(a, b)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("at", [1, 5, 11])
def test_a_fit_that_was_stopped_ends_where_it_would_have(tmp_path: Path, at: int) -> None:
    def kill(epoch: Any, params: Any) -> None:
        if epoch.number == at:
            raise KilledError

    path = tmp_path / "fit.npz"
    wanted = tg.fit(loss, START, (X, Y), **OPTIONS)
    with pytest.raises(KilledError):
        tg.fit(loss, START, (X, Y), **OPTIONS, checkpoint=path, callback=kill)
    assert_same(tg.fit(loss, START, (X, Y), **OPTIONS, checkpoint=path), wanted)
    assert_same(tg.fit(loss, START, (X, Y), **OPTIONS, checkpoint=str(path)), wanted)  # all is done already
    assert [p.name for p in tmp_path.iterdir()] == ["fit.npz"]


def test_patience_is_remembered(tmp_path: Path) -> None:
    path, options = tmp_path / "fit.npz", {**OPTIONS, "optimizer": SGD(2.0), "epochs": 100, "patience": 4}
    wanted = tg.fit(loss, START, (X, Y), **options)
    assert wanted.stopped == "no improvement in 4 epochs"
    for epochs in (wanted.best + 2, 100):
        found = tg.fit(loss, START, (X, Y), **{**options, "epochs": epochs}, checkpoint=path)
    assert_same(found, wanted)


PROGRAM = """
import sys
sys.path.insert(0, {root!r})
import tapegrad as tg
from tests.test_checkpoint import OPTIONS, START, X, Y, loss
tg.fit(loss, START, (X, Y), **{{**OPTIONS, "epochs": 100_000}}, checkpoint={path!r})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_process_that_was_killed(tmp_path: Path) -> None:
    path, root = tmp_path / "fit.npz", str(Path(__file__).parents[1])
    with subprocess.Popen([sys.executable, "-c", PROGRAM.format(root=root, path=str(path))]) as process:
        try:
            until = time.monotonic() + 120
            while not path.exists() and process.poll() is None and time.monotonic() < until:
                time.sleep(0.01)
            time.sleep(0.3)
        finally:
            process.send_signal(signal.SIGKILL)
    assert path.exists()
    kept = checkpoints.load(path, _model(), 2, np.zeros(25))
    done = len(kept.epochs)
    assert done >= 1
    options = {**OPTIONS, "epochs": done + 3}
    assert_same(tg.fit(loss, START, (X, Y), **options, checkpoint=path), tg.fit(loss, START, (X, Y), **options))


def _model() -> dict[str, Any]:
    return {}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 2}, checkpoint=path)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tg.fit(loss, START, (X, Y), **OPTIONS, checkpoint=path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path / "none" / "fit.npz", "No such file or directory; wanted a file in a folder that can be written"),
        (tmp_path, "it is a folder"),
    ):
        with pytest.raises(CheckpointError) as caught:
            tg.fit(loss, START, (X, Y), **OPTIONS, checkpoint=path)
        assert words in str(caught.value)
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 12}, "batch_size 13; wanted 12, or another path"),
        ({"optimizer": SGD(0.1)}, "optimizer 'Adam(rate=Cosine("),
        ({"optimizer": Adam(0.1)}, "wanted 'Adam(rate=0.1, "),
        ({"seed": 1}, "seed 0; wanted 1"),
        ({"validation": 0.25}, "rows 48; wanted 45"),
        ({"data": (X[:48], Y[:48]), "validation": None}, "validation rows 12; wanted None"),
        ({"data": (X[:48], Y[:48]), "validation": (X, Y)}, "validation rows 12; wanted 60"),
    ],
)
def test_another_fits_checkpoint(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 1}, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        tg.fit(loss, START, **{"data": (X, Y), **OPTIONS, **change}, checkpoint=path)
    assert "a checkpoint of another model: " in str(caught.value)
    assert words in str(caught.value)
    assert path.read_bytes() == before


def test_metrics_may_be_others(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 2}, checkpoint=path)
    found = tg.fit(loss, START, (X, Y), **{**OPTIONS, "metrics": {"one": lambda p, *data: 1.0}}, checkpoint=path)
    np.testing.assert_array_equal(found.history["one"], [np.nan] * 2 + [1.0] * 10)
    assert np.isfinite(found.history["size"][:2]).all()
    with pytest.raises(KeyError):
        found.history["none"]


def test_another_models_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 1}, checkpoint=path)
    other = {**START, "v": START["v"][:, None]}
    with pytest.raises(CheckpointError, match=r"another model: parameters .*params\['v'\] \(5,\)"):
        tg.fit(lambda p, x, y: loss({**p, "v": p["v"][:, 0]}, x, y), other, (X, Y), **OPTIONS, checkpoint=path)
    single = {k: v.astype(np.float32) for k, v in START.items()}
    with pytest.raises(CheckpointError, match="another model: dtype 'float64'; wanted 'float32'"):
        tg.fit(loss, single, (X, Y), **OPTIONS, checkpoint=path)


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 1}, checkpoint=path)
    whole = path.read_bytes()
    texts = [b"", b"no checkpoint", whole[:100], whole[: len(whole) // 2], whole[:-30]]
    rng = np.random.default_rng(0)
    for _ in range(40):  # a few bits of the arrays' heads, sizes and names
        broken = bytearray(whole)
        broken[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        texts.append(bytes(broken))
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    texts.append((tmp_path / "other.npz").read_bytes())
    np.savez(tmp_path / "objects.npz", text=np.array([{}], object))
    texts.append((tmp_path / "objects.npz").read_bytes())
    refused = 0
    for text in texts:
        path.write_bytes(text)
        with contextlib.suppress(CheckpointError):
            tg.fit(loss, START, (X, Y), **{**OPTIONS, "epochs": 1}, checkpoint=path)
            refused -= 1
        refused += 1
    assert refused >= 40  # a few bits are no part of what is read: times, checked by nobody
