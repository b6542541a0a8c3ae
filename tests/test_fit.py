"""`fit`: the steps it takes, what it keeps, why it stops."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, FitWarning, SettingError, ShapeError, UnsupportedError
from tapegrad.optimizers import SGD, Adam, Cosine, RMSProp

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = X @ [1.0, -2.0, 0.5] + 3.0 + 0.1 * RNG.normal(size=50)
START = {"w": np.zeros(3), "b": 0.0}


def loss(p: Any, x: Any, y: Any) -> Any:
    return np.mean((x @ p["w"] + p["b"] - y) ** 2)


def test_the_steps_are_those_of_a_loop_by_hand() -> None:
    rule, seed = RMSProp(0.02), 7
    found = tg.fit(loss, START, (X, Y), optimizer=rule, batch_size=16, epochs=3, seed=seed)
    gradient = tg.value_and_grad(loss)
    params, state, losses = START, rule.init(START), []
    for epoch in (1, 2, 3):
        order = np.random.default_rng((seed, epoch)).permutation(50)
        for k in range(0, 50, 16):
            rows = order[k : k + 16]
            value, g = gradient(params, X[rows], Y[rows])
            losses.append(float(value))
            params, state = rule.update(params, g, state)
        weights = np.array([16, 16, 16, 2])
        assert found.history["loss"][epoch - 1] == pytest.approx(np.average(losses[-4:], weights=weights), rel=1e-14)
    np.testing.assert_array_equal(found.history.losses, losses)
    np.testing.assert_array_equal(found.params["w"], params["w"])
    assert found.params["b"] == params["b"]
    assert found.steps == state.steps == 12
    assert found.stopped == "3 epochs are over"
    np.testing.assert_array_equal(START["w"], np.zeros(3))


def test_rows_in_their_order() -> None:
    seen: list[Any] = []
    tg.fit(
        lambda p, x: np.mean((p - x) ** 2),
        0.0,
        (np.arange(5.0),),
        optimizer=SGD(0.5),
        batch_size=1,
        epochs=1,
        shuffle=False,
        callback=lambda epoch, p: seen.append(float(p)),
    )
    assert seen == [4.0]  # each step goes to the row it saw


def test_recorded_once_for_each_size_of_batch() -> None:
    calls = []

    def counted(p: Any, x: Any) -> Any:
        calls.append(len(x))
        return np.mean((x - p) ** 2)

    tg.fit(counted, np.zeros(2), (RNG.normal(size=(23, 2)),), batch_size=10, epochs=5)
    assert calls == [10, 3]


def test_all_rows_at_once_and_no_data() -> None:
    found = tg.fit(loss, START, (X, Y), optimizer=SGD(0.1), epochs=200)
    best = np.linalg.lstsq(np.column_stack([X, np.ones(50)]), Y, rcond=None)[0]
    np.testing.assert_allclose([*found.params["w"], found.params["b"]], best, atol=1e-6)
    found = tg.fit(lambda p: np.sum((p - 2.0) ** 2), np.zeros(2, np.float32), optimizer=SGD(0.25), epochs=30)
    np.testing.assert_allclose(found.params, 2.0, atol=1e-5)
    assert found.params.dtype == np.float32
    assert found.steps == 30


@dataclass
class Layer:
    weight: Any
    bias: Any


def test_nested_parameters_and_data_of_all_kinds() -> None:
    params = [Layer(np.ones((2, 2), np.float32), np.float32(0.5)), {"scale": 2.0}]
    images = RNG.integers(0, 255, (30, 2)).astype(np.uint8)
    labels = RNG.integers(0, 2, 30)
    flags = labels > 0

    def model(p: Any, x: Any, more: Any) -> Any:
        z = (x / 255.0) @ p[0].weight * p[1]["scale"] + p[0].bias
        return np.mean(np.where(more["flag"][:, None], z, -z)[np.arange(len(x)), more["label"]] ** 2)

    data = (images, {"label": labels, "flag": flags})
    found = tg.fit(model, params, data, optimizer="sgd", batch_size=8, epochs=4)
    layer, scale = found.params[0], found.params[1]["scale"]
    assert isinstance(layer, Layer)
    assert layer.weight.dtype == np.float32
    assert type(layer.bias) is np.float32
    assert type(scale) is float
    assert found.history["loss"][-1] < found.history["loss"][0]


def test_floating_data_is_taken_in_the_parameters_dtype() -> None:
    seen = []

    def dtypes(p: Any, x: Any) -> Any:
        seen.append(x.dtype)
        return np.mean((x - p) ** 2)

    tg.fit(dtypes, np.zeros(2, np.float32), (X[:, :2],), batch_size=10, epochs=1)
    tg.fit(dtypes, np.zeros(2), (X[:, :2].astype(np.float32),), epochs=1)
    assert [np.dtype(d) for d in seen] == [np.float32, np.float64]


def test_strided_data() -> None:
    x, y = np.asfortranarray(X)[::-2], Y[::-2]
    one = tg.fit(loss, START, (x, y), batch_size=8, epochs=2)
    other = tg.fit(loss, START, (x.copy(), y.copy()), batch_size=8, epochs=2)
    np.testing.assert_array_equal(one.params["w"], other.params["w"])


def test_validation_keeps_the_best_and_patience_stops() -> None:
    target = {"at": 0.0}

    def drift(p: Any, x: Any) -> Any:
        return np.mean((p - x) ** 2)

    # Fitted towards 4 from 0; validated at 1: the best is passed on the way.
    found = tg.fit(
        drift, 0.0, (np.full(4, 4.0),), optimizer=SGD(0.01), epochs=500, validation=(np.ones(3),), patience=5
    )
    target["at"] = found.params
    assert target["at"] == pytest.approx(1.0, abs=0.05)
    assert found.stopped == "no improvement in 5 epochs"
    assert len(found.history) == found.best + 5
    assert found.last > found.params
    assert found.loss == found.history["validation"].min() == found.history["validation"][found.best - 1]


def test_a_share_of_the_rows_validates() -> None:
    sizes = []

    def sized(p: Any, x: Any, y: Any) -> Any:
        sizes.append(len(x))
        return loss(p, x, y)

    found = tg.fit(
        sized, START, (X, Y), validation=0.2, epochs=3, metrics={"worst": lambda p, x, y: np.max(np.abs(x @ p["w"]))}
    )
    assert sorted(sizes) == [10, 40]
    assert found.history["worst"].shape == (3,)
    assert np.isfinite(found.history["validation"]).all()


def test_min_improvement() -> None:
    options = {"optimizer": SGD(1e-4), "epochs": 50, "patience": 3}
    assert len(tg.fit(loss, START, (X, Y), min_improvement=1.0, **options).history) == 4
    assert len(tg.fit(loss, START, (X, Y), **options).history) == 50
    found = tg.fit(loss, START, (X, Y), validation=(X, Y), min_improvement=1.0, **options)
    assert found.best == 4  # less, but not by enough
    assert found.loss == found.history["validation"].min()
    np.testing.assert_array_equal(found.params["w"], found.last["w"])


def test_gradients_are_shortened() -> None:
    found = tg.fit(lambda p: np.sum(p * [3.0, 4.0]), np.zeros(2), optimizer=SGD(1.0), epochs=1, clip_norm=0.5)
    np.testing.assert_allclose(found.params, [-0.3, -0.4])
    found = tg.fit(lambda p: np.sum(p * [3.0, 4.0]), np.zeros(2), optimizer=SGD(1.0), epochs=1, clip_norm=50.0)
    np.testing.assert_allclose(found.params, [-3.0, -4.0])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "size"), [(np.float32, 1e25), (np.float64, 1e200), (np.float64, 1e308)])
def test_gradients_whose_squares_overflow_are_shortened(dtype: Any, size: float) -> None:
    def long(p: Any, x: Any) -> Any:
        return np.sum(p["a"] * x[:, 0]) + np.sum(p["b"] * x[:, 1])

    start, x = {"a": np.zeros(1, dtype), "b": np.zeros(1, dtype)}, np.array([[0.3, 0.4]], dtype) * dtype(size)
    found = tg.fit(long, start, (x,), optimizer=SGD(1.0), epochs=1, clip_norm=5.0)
    np.testing.assert_allclose([found.params["a"][0], found.params["b"][0]], [-3.0, -4.0], rtol=1e-6)


def test_callbacks_see_the_epoch_and_may_stop() -> None:
    seen = []

    def look(epoch: Any, params: Any) -> Any:
        seen.append((epoch.number, epoch.steps, float(params["b"])))
        with pytest.raises(ValueError, match="read-only"):
            params["w"][0] = 1.0
        return epoch.number == 3

    found = tg.fit(loss, START, (X, Y), batch_size=25, epochs=9, callback=[look, lambda e, p: None])
    assert [s[:2] for s in seen] == [(1, 2), (2, 4), (3, 6)]
    assert seen[-1][2] == found.params["b"]
    assert found.stopped == "a callback asked for it"
    kept: list[Any] = []
    tg.fit(loss, START, (X, Y), epochs=2, callback=lambda e, p: kept.append(p))
    assert not np.array_equal(kept[0]["w"], kept[1]["w"])


def test_metrics_change_nothing() -> None:
    def greedy(p: Any) -> float:
        p["w"][...] = 7.0
        return 0.0

    with pytest.raises(ValueError, match="read-only"):
        tg.fit(loss, START, (X, Y), metrics={"m": greedy})


def test_rates_change() -> None:
    rule = SGD(Cosine(0.1, steps=4))
    found = tg.fit(loss, START, (X, Y), optimizer=rule, epochs=6)
    np.testing.assert_allclose(found.history["rate"], [rule.rate_at(k) for k in range(6)])


def test_ctrl_c_returns_the_best_so_far() -> None:
    def interrupt(epoch: Any, params: Any) -> None:
        if epoch.number == 4:
            raise KeyboardInterrupt

    found = tg.fit(loss, START, (X, Y), optimizer=SGD(0.05), epochs=9, callback=interrupt, validation=(X, Y))
    assert found.stopped == "interrupted"
    assert len(found.history) == 4
    assert found.loss == min(found.history["validation"])
    assert loss(found.params, X, Y) == pytest.approx(found.loss)


def test_a_loss_that_is_not_finite_stops_and_names_the_instruction() -> None:
    def falls(p: Any) -> Any:
        return np.sum(np.log(p["a"])) + 0.0 * p["b"]  # minimal at 0, where it ends

    with pytest.warns(
        FitWarning, match=r"(?s)fit stopped: a loss of nan at step \d+: log in the forward.*test_fit\.py"
    ):
        found = tg.fit(falls, {"a": np.full(2, 0.35), "b": 1.0}, optimizer=SGD(0.1), epochs=1000)
    assert "log" in found.stopped
    assert np.isfinite(found.params["a"]).all()
    assert (found.params["a"] > 0).all()


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    with pytest.warns(FitWarning, match=r"a gradient that is not finite at step 1: .*in the reverse sweep"):
        found = tg.fit(lambda p: np.sum(np.sqrt(p)), np.zeros(2), optimizer=SGD(0.1), epochs=3)
    np.testing.assert_array_equal(found.params, 0.0)
    assert found.steps == 0
    assert np.isnan(found.loss)


@pytest.mark.parametrize("checked", [None, (X, Y)])
def test_a_last_step_that_is_too_long(tmp_path: Path, checked: Any) -> None:
    def far(p: Any, x: Any, y: Any) -> Any:
        return loss(p, 1e10 * x, y)

    options: dict[str, Any] = {"optimizer": SGD(1e300), "epochs": 1, "validation": checked}
    with pytest.warns(FitWarning, match=r"params\['w'\] became (-?inf|nan) by step 1, at a rate of 1e\+300"):
        found = tg.fit(far, START, (X, Y), **options, checkpoint=tmp_path / "fit.npz")
    assert "params['w'] became " in found.stopped
    np.testing.assert_array_equal(found.params["w"], START["w"])
    assert not (tmp_path / "fit.npz").exists()


def test_squares_that_overflow_are_no_rest() -> None:
    steep, start = lambda p: np.float32(1e22) * np.sum((p - 1) ** 2), np.zeros(1, np.float32)
    with pytest.warns(FitWarning, match="fit stopped: the optimiser's moments overflow in float32 by step 1: scale"):
        tg.fit(steep, start, epochs=3)
    assert tg.fit(steep, start, epochs=3, clip_norm=1.0).params > 0


def test_rows_that_nobody_reads_may_be_nan() -> None:
    table = np.array([[np.nan], [1.0], [2.0]])
    found = tg.fit(lambda p, i: np.sum(p[i] ** 2), table, (np.array([1, 2]),), optimizer=SGD(0.25), epochs=1)
    np.testing.assert_array_equal(found.params, [[np.nan], [0.5], [1.0]])


def test_sound_parameters_are_kept() -> None:
    def breaks(p: Any) -> Any:
        return np.sum(p) + np.log(np.sum(p) + 120.5)

    with pytest.warns(FitWarning, match="log in the forward sweep"):
        found = tg.fit(breaks, np.zeros(1), optimizer=SGD(0.5), epochs=2000)
    assert found.steps > 100
    assert found.params[0] + 120.5 > 0  # the last hundredth step's


def test_ignored_parameters_are_named() -> None:
    params = {"used": np.ones(2), "idle": np.ones(2), "deep": [1.0, 2.0]}
    with pytest.warns(FitWarning) as caught:
        tg.fit(lambda p: np.sum(p["used"] ** 2) + p["deep"][1] ** 2, params, epochs=1)
    texts = [str(w.message) for w in caught]
    assert {w.filename for w in caught} == {__file__}
    assert texts == [
        "fit: the loss does not depend on params['idle'], which will not change",
        "fit: the loss does not depend on params['deep'][0], which will not change",
    ]


def test_branches_on_values() -> None:
    def kinked(p: Any, x: Any) -> Any:
        miss = np.mean(x) - p
        return miss * miss if miss > 1.0 else 0.5 * (miss * miss) + 0.5

    found = tg.fit(kinked, 0.0, (np.full(8, 4.0),), optimizer=SGD(0.2), batch_size=4, epochs=60)
    assert found.params == pytest.approx(4.0, abs=1e-4)


def test_timings_add_up() -> None:
    found = tg.fit(loss, START, (X, Y), batch_size=10, epochs=5)
    t = found.timings
    parts = t.record + t.select + t.sweep + t.update + t.validate
    assert 0 < parts <= t.total
    assert t.other == pytest.approx(t.total - parts)
    assert "20 steps" not in repr(found)
    assert "25 steps" in repr(found)


def test_a_picture(tmp_path: Path) -> None:
    found = tg.fit(
        loss, START, (X, Y), optimizer=Adam(Cosine(0.1, 50)), batch_size=10, epochs=5, validation=0.2,
        metrics={"size": lambda p, *data: np.abs(p["w"]).sum()},
    )  # fmt: skip
    figure = found.plot()
    assert [a.get_title(loc="left") for a in figure.axes] == ["loss", "size", "learning rate"]
    figure.savefig(tmp_path / "fit.png")
    tg.fit(loss, START, (X, Y), epochs=0).plot()


def test_a_bar(capsys: Any) -> None:
    tg.fit(loss, START, (X, Y), batch_size=10, epochs=2, progress=True)
    text = capsys.readouterr().err
    assert "10/10" in text
    assert "loss" in text
    tg.fit(loss, START, (X, Y), batch_size=10, epochs=2)
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"data": (X, Y[:-1])}, ShapeError, "found data[0] with 50 rows, data[1] with 49 rows; wanted as many rows"),
        ({"batch_size": 0}, SettingError, "found batch_size=0; wanted a whole number from 1 to 50, the rows"),
        ({"batch_size": 51}, SettingError, "found batch_size=51; wanted a whole number from 1 to 50"),
        ({"batch_size": True}, SettingError, "found batch_size=True"),
        ({"batch_size": 2.5}, SettingError, "found batch_size=2.5"),
        ({"params": {"w": np.zeros(3, int), "b": 0.0}}, DtypeError, "params['w'], an array of dtype int64; wanted"),
        ({"params": {"w": np.zeros(3), "b": 1}}, DtypeError, "params['b'], 1; wanted parameters that are float"),
        ({"params": {}}, ShapeError, "params without any array"),
        ({"loss": lambda p, x, y: (x @ p["w"] - y) ** 2}, ShapeError, "a result of shape (50,)"),
        ({"loss": lambda p, x, y: {"a": np.sum(p["w"])}}, ShapeError, "found a result of type dict; wanted one scalar"),
        ({"data": (X, "y")}, DtypeError, "found data[1] of type str; wanted arrays of numbers"),
        ({"data": (X, 2.0)}, DtypeError, "found data[1] of type float"),
        ({"data": (X, np.float64(2.0))}, ShapeError, "found data[1] of shape ()"),
        ({"data": (X[:0], Y[:0])}, ShapeError, "data without a row"),
        ({"data": (), "loss": lambda p: np.sum(p["w"]), "batch_size": 3}, SettingError, "batch_size=3 and no data"),
        ({"validation": (X, Y[:3])}, ShapeError, "found validation[0] with 50 rows, validation[1] with 3 rows"),
        ({"validation": 1.5}, SettingError, "found validation=1.5 of 50 rows; wanted a share"),
        ({"optimizer": "newton"}, SettingError, "found optimizer='newton'; wanted one of tapegrad.optimizers, or"),
        ({"optimizer": Adam}, SettingError, "found optimizer=<class"),
        ({"epochs": -1}, SettingError, "found epochs=-1; wanted a whole number of at least 0"),
        ({"patience": 0}, SettingError, "found patience=0; wanted a whole number of at least 1"),
        ({"seed": -1}, SettingError, "found seed=-1; wanted a whole number of at least 0"),
        ({"seed": None}, SettingError, "found seed=None"),
        ({"callback": 3}, SettingError, "found callback=3; wanted a function, or several in a list"),
        ({"validation": (X,)}, ShapeError, "found validation of another structure; wanted as many arrays"),
        ({"validation": 1}, DtypeError, "found validation[0] of type int"),
        ({"min_improvement": -1.0}, SettingError, "found min_improvement=-1.0; wanted a number of at least 0"),
        ({"metrics": {"m": lambda p: p["w"]}}, ShapeError, "metric 'm' that returns an array of shape (3,)"),
        ({"clip_norm": 0.0}, SettingError, "found clip_norm=0.0; wanted a positive number"),
        ({"validation": float("nan")}, SettingError, "found validation=nan of 50 rows; wanted a share"),
        ({"metrics": len}, SettingError, "found metrics=<built-in function len>; wanted functions by name"),
        ({"metrics": {"m": 3}}, SettingError, "found metrics={'m': 3}; wanted functions by name"),
        ({"metrics": {"rate": len}}, SettingError, "found a metric 'rate'; wanted a name that the history has not"),
        ({"data": (X, np.full(50, 2**63, np.uint64))}, DtypeError, "found data[1] with uint64 values beyond int64"),
        ({"data": (X, np.ma.array(Y))}, UnsupportedError, "fit: data[1]: found a numpy.ma.MaskedArray; wanted a"),
        ({"params": {"w": np.ma.zeros(3), "b": 0.0}}, UnsupportedError, "params['w'], a numpy.ma.MaskedArray; wanted"),
    ],
)
def test_misuse(change: dict[str, Any], error: type[Exception], words: str) -> None:
    given = {"loss": loss, "params": START, "data": (X, Y), **change}
    with pytest.raises(error) as caught:
        tg.fit(given.pop("loss"), given.pop("params"), given.pop("data"), **given)
    assert words in str(caught.value)
    assert str(caught.value).startswith(("fit: ", "differentiate: "))


def test_a_nan_in_the_data_is_named() -> None:
    x = X.copy()
    x[17, 1] = np.nan
    with pytest.warns(FitWarning, match=r"a loss of nan at step \d+: data\[0\]: found nan at \[\d, 1\]; wanted finite"):
        tg.fit(loss, START, (x, Y), batch_size=5)
    with pytest.warns(FitWarning, match=r"params\['b'\]: found nan; wanted finite values"):
        tg.fit(loss, {**START, "b": np.nan}, (X, Y))
