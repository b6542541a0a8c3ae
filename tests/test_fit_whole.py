"""`fit` by full-batch methods: an iteration an epoch, as the methods by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import FitWarning, SettingError
from tapegrad.optimizers import (
    LBFGS,
    ConjugateGradients,
    GaussNewton,
    LevenbergMarquardt,
    NewtonCG,
    Problem,
    Residuals,
    descend,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = (X @ [1.0, -2.0, 0.5] + 0.3 + RNG.logistic(size=60) > 0).astype(float)
START = {"w": np.zeros(3), "b": 0.0}


def loss(p: Any, x: Any, y: Any) -> Any:
    score = x @ p["w"] + p["b"]
    return np.mean(np.logaddexp(0.0, score) - y * score) + 0.01 * np.sum(p["w"] ** 2)


def residuals(p: Any, x: Any, y: Any) -> Any:
    return np.tanh(x @ p["w"] + p["b"]) - y


@pytest.mark.parametrize("method", [LBFGS(), ConjugateGradients(), NewtonCG()], ids=lambda m: type(m).__name__)
def test_the_iterations_of_the_method(method: Any) -> None:
    values: list[float] = []
    params, state = descend(Problem(loss, START, (X, Y)), method, callback=lambda s: values.append(s.value))
    found = tg.fit(loss, START, (X, Y), optimizer=method, epochs=1000)
    np.testing.assert_array_equal(found.params["w"], params["w"])
    assert found.params["b"] == params["b"]
    assert found.stopped == state.stopped == "the gradient is below its tolerance"
    assert found.steps == len(found.history) == state.iterations
    np.testing.assert_array_equal(found.history.losses, values[:-1])
    np.testing.assert_array_equal(found.history["loss"], values[1:])
    assert found.loss == values[-1]


@pytest.mark.parametrize("method", [LevenbergMarquardt(), GaussNewton()], ids=lambda m: type(m).__name__)
def test_residuals(method: Any) -> None:
    params, state = descend(Residuals(residuals, START, (X, Y)), method)
    found = tg.fit(residuals, START, (X, Y), optimizer=method, epochs=1000, validation=(X, Y))
    np.testing.assert_allclose(found.last["w"], params["w"])
    assert found.loss == pytest.approx(0.5 * np.sum(residuals(params, X, Y) ** 2))
    assert found.history["validation"][-1] == pytest.approx(found.history["loss"][-1]) == pytest.approx(state.value)


def test_validation_callbacks_and_patience() -> None:
    seen = []

    def look(epoch: Any, params: Any) -> bool:
        assert not params["w"].flags.writeable
        seen.append(epoch.validation)
        return False

    other = RNG.normal(size=(20, 3)), RNG.integers(0, 2, 20).astype(float)
    found = tg.fit(
        loss, START, (X, Y), optimizer=LBFGS(), epochs=99, validation=other, patience=2, callback=look,
        metrics={"size": lambda p, x, y: np.sum(p["w"] ** 2)}, progress=False,
    )  # fmt: skip
    assert found.loss == min(seen) == pytest.approx(loss(found.params, *other))
    assert found.stopped == "no improvement in 2 epochs"
    assert len(seen) == found.best + 2
    assert found.history["size"].shape == (len(seen),)
    assert found.timings.other >= 0
    found.plot()


@pytest.mark.parametrize("method", [LBFGS(), "adam"])
def test_a_validation_loss_that_is_never_finite(method: Any) -> None:
    x = np.array([1.0, 2.0, 4.0])
    with pytest.warns(FitWarning, match="validation loss is nan in all epochs; params are those of epoch 1") as seen:
        tg.fit(lambda p, x: np.mean((p - x) ** 4), 0.0, (x,), optimizer=method, epochs=3, validation=(x * np.nan,))
    assert seen[0].filename == __file__


def test_ignored_parameters_are_named() -> None:
    with pytest.warns(FitWarning, match=r"does not depend on params\['idle'\]") as caught:
        tg.fit(lambda p: np.sum(p["x"] ** 2), {"x": np.ones(2), "idle": np.ones(3)}, optimizer=LBFGS())
    assert caught[0].filename == __file__


def test_other_ends() -> None:
    assert tg.fit(loss, START, (X, Y), optimizer=LBFGS(), epochs=2).stopped == "2 epochs are over"
    stop = tg.fit(loss, START, (X, Y), optimizer=LBFGS(), epochs=9, callback=lambda e, p: e.number == 3)
    assert (stop.stopped, stop.steps) == ("a callback asked for it", 3)

    def interrupt(epoch: Any, params: Any) -> None:
        raise KeyboardInterrupt

    assert tg.fit(loss, START, (X, Y), optimizer=LBFGS(), epochs=9, callback=interrupt).stopped == "interrupted"
    assert tg.fit(loss, START, (X, Y), optimizer=LBFGS(), epochs=0).steps == 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"batch_size": 8}, "fit: found batch_size=8 with LBFGS; wanted a method of first order"),
        ({"clip_norm": 1.0}, "found clip_norm=1.0 with LBFGS"),
        ({"touched_rows": True}, "found touched_rows=True with LBFGS"),
        ({"checkpoint": "fit.npz"}, "found checkpoint='fit.npz' with LBFGS"),
    ],
)
def test_settings_of_first_order_methods(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError) as caught:
        tg.fit(loss, START, (X, Y), optimizer=LBFGS(), **setting)
    assert words in str(caught.value)
