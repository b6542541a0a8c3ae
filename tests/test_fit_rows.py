"""`fit` with touched rows: only these change, as in a loop by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import FitWarning
from tapegrad.fitting.step import Step
from tapegrad.optimizers import SGD, Adagrad, Adam

RNG = np.random.default_rng(5)
USERS, ITEMS = 40, 30
USER, J = RNG.integers(0, USERS, 200), RNG.integers(-ITEMS, ITEMS, 200)
USER[USER == 7] = 8  # nobody's
R = RNG.normal(size=200)
START: dict[str, Any] = {
    "users": RNG.normal(size=(USERS, 4)),
    "scale": np.ones(4),
    "items": RNG.normal(size=(ITEMS, 4)),
    "bias": np.zeros(USERS),
    "mean": 0.0,
}


def loss(p: Any, i: Any, j: Any, r: Any) -> Any:
    guess = np.sum(p["users"][i] * p["scale"] * p["items"][j], axis=1) + p["bias"][i] + p["mean"]
    return np.mean((guess - r) ** 2) + 0.01 * np.mean(p["users"][i] ** 2)


def equal(one: Any, other: Any, rtol: float = 1e-10) -> None:
    for name in START:
        np.testing.assert_allclose(one[name], other[name], rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("clip_norm", [None, 0.1])
def test_gradient_descent_is_the_same(clip_norm: float | None) -> None:
    options: dict[str, Any] = {"optimizer": SGD(0.1), "batch_size": 32, "epochs": 4, "clip_norm": clip_norm}
    one = tg.fit(loss, START, (USER, J, R), **options, touched_rows=True)
    equal(one.params, tg.fit(loss, START, (USER, J, R), **options).params)
    np.testing.assert_array_equal(one.params["users"][7], START["users"][7])


@pytest.mark.parametrize("rule", [Adam(0.01), Adagrad(0.1), SGD(0.05, momentum=0.9)], ids=str)
def test_rows_that_are_not_touched_rest_with_their_moments(rule: Any) -> None:
    found = tg.fit(loss, START, (USER, J, R), optimizer=rule, batch_size=16, epochs=2, touched_rows=True, shuffle=False)
    params = {k: np.array(v) for k, v in START.items()}
    moments = {k: [np.zeros_like(v) for _ in range(rule.moments)] for k, v in params.items()}
    gradient = tg.grad(loss)
    step = 0
    for _ in range(2):
        for k in range(0, 200, 16):
            i, j, r = USER[k : k + 16], J[k : k + 16], R[k : k + 16]
            g = gradient(params, i, j, r)
            touched = {"users": np.unique(i), "bias": np.unique(i), "items": np.unique(j % ITEMS)}
            for name, x in params.items():
                rows = touched.get(name, ...)
                part, own = np.array(x[rows]), [np.array(m[rows]) for m in moments[name]]
                flat = part.reshape(-1)
                state = tg.optimizers.State(step, tuple(m.reshape(-1) for m in own))
                rule.step(flat, np.asarray(g[name])[rows].reshape(-1), state)
                x[rows] = part
                for m, now in zip(moments[name], own, strict=True):
                    m[rows] = now
            step += 1
    equal(found.params, params)
    np.testing.assert_array_equal(found.params["users"][7], START["users"][7])


def test_only_what_is_touched_is_looked_at(monkeypatch: Any) -> None:
    seen = []
    whole = Step._whole

    def look(self: Any, wholes: Any) -> Any:
        seen.append(whole(self, wholes))
        return seen[-1]

    monkeypatch.setattr(Step, "_whole", look)
    tg.fit(loss, START, (USER, J, R), batch_size=100, epochs=1, touched_rows=True)
    leaves = list(START)
    ends = np.cumsum([np.size(START[n]) for n in leaves])
    at = {n: (int(e - np.size(START[n])), int(e)) for n, e in zip(leaves, ends, strict=True)}
    assert seen == [[at["scale"], at["mean"]]] * 2


def test_a_dense_use_makes_it_dense() -> None:
    def penalised(p: Any, i: Any, j: Any, r: Any) -> Any:
        return loss(p, i, j, r) + 0.01 * np.sum(p["users"] ** 2)

    options: dict[str, Any] = {"optimizer": SGD(0.1), "batch_size": 32, "epochs": 2}
    one = tg.fit(penalised, START, (USER, J, R), **options, touched_rows=True)
    other = tg.fit(penalised, START, (USER, J, R), **options)
    np.testing.assert_allclose(one.params["users"], other.params["users"], rtol=1e-10)
    assert (one.params["users"][7] != START["users"][7]).all()


def test_float32_and_a_table_alone() -> None:
    table = RNG.normal(size=(50, 3)).astype(np.float32)
    options: dict[str, Any] = {"optimizer": SGD(0.5), "batch_size": 8, "epochs": 6}

    def nearest(t: Any, i: Any, x: Any) -> Any:
        return np.mean((t[i] - x[:, None]) ** 2)

    found = tg.fit(nearest, table, (USER, R), **options, touched_rows=True).params
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tg.fit(nearest, table, (USER, R), **options).params, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[45:], table[45:])


def test_a_gradient_that_is_not_finite_is_found_in_rows_too() -> None:
    table = np.abs(RNG.normal(size=(30, 2)))
    table[11] = 0.0
    with pytest.warns(FitWarning, match=r"a gradient that is not finite at step \d+: divide in the reverse"):
        found = tg.fit(
            lambda t, i: np.sum(np.sqrt(t[i])), table, (np.arange(30),), optimizer=SGD(1e-9), batch_size=5, epochs=2,
            touched_rows=True,
        )  # fmt: skip
    assert np.isfinite(found.params).all()


def test_checkpoints_of_touched_rows(tmp_path: Path) -> None:
    options: dict[str, Any] = {"optimizer": Adam(0.01), "batch_size": 32, "touched_rows": True}
    path = tmp_path / "fit.npz"
    tg.fit(loss, START, (USER, J, R), **options, epochs=2, checkpoint=path)
    found = tg.fit(loss, START, (USER, J, R), **options, epochs=5, checkpoint=path)
    wanted = tg.fit(loss, START, (USER, J, R), **options, epochs=5)
    for name in START:
        np.testing.assert_array_equal(found.params[name], wanted.params[name])
