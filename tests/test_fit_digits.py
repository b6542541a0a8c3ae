"""The digits: the small version runs; all three libraries are given the same loss."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from benchmarks.fits import digits

RNG = np.random.default_rng(0)
X, Y = RNG.random((32, 784)), RNG.integers(0, 10, 32)


def test_digits_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "digits.svg"
    assert digits.main(["--quick", "--out", str(path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(("| softmax", "| network"))]
    assert len(lines) == 4 * len(digits.available())
    assert all(" ms |" in line or " s |" in line for line in lines)
    assert path.stat().st_size > 10_000


@pytest.mark.parametrize("model", digits.MODELS, ids=lambda m: m.name)
def test_the_loss_is_pytorchs(model: Any) -> None:
    torch = pytest.importorskip("torch")
    layers = digits.start(model, np.random.default_rng(1), np.float64)
    tensors = [{k: torch.tensor(v, requires_grad=True) for k, v in layer.items()} for layer in layers]
    z = torch.tensor(X)
    for layer in tensors[:-1]:
        z = torch.relu(z @ layer["w"] + layer["b"])
    z = z @ tensors[-1]["w"] + tensors[-1]["b"]
    squares = sum((layer["w"] ** 2).sum() for layer in tensors)
    wanted = torch.nn.functional.cross_entropy(z, torch.tensor(Y)) + digits.DECAY / 2 / len(Y) * squares
    wanted.backward()
    value, gradient = tg.value_and_grad(digits.loss)(layers, X, Y)
    assert value == pytest.approx(float(wanted.detach()), rel=1e-12)
    for ours, theirs in zip(gradient, tensors, strict=True):
        for name in ours:
            np.testing.assert_allclose(ours[name], theirs[name].grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("model", digits.MODELS, ids=lambda m: m.name)
def test_the_loss_is_scikit_learns(model: Any) -> None:
    """Its loss at the start, before an epoch of one batch that changes next to nothing."""
    neural = pytest.importorskip("sklearn.neural_network")
    network = neural.MLPClassifier(
        model.widths[1:-1], alpha=digits.DECAY, batch_size=len(Y), learning_rate_init=1e-12, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.partial_fit(X, Y, classes=np.arange(10))
    layers = [{"w": w, "b": b} for w, b in zip(network.coefs_, network.intercepts_, strict=True)]
    assert digits.loss(layers, X, Y) == pytest.approx(network.loss_, rel=1e-6)
