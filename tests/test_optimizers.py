"""First-order optimisers: their published recurrences step by step, PyTorch's steps, rows, schedules, misuse."""

from __future__ import annotations

import importlib.util
from math import cos, pi
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError, SettingError, ShapeError, UnsupportedError
from tapegrad.optimizers import SGD, Adagrad, Adam, AdamW, Cosine, Exponential, Optimizer, RMSProp, Steps, Warmup

STEPS: Final = 25


def sgd(o: Any, x: Any, gradients: Any) -> Any:
    for t, g in enumerate(gradients):
        x = x - o.rate_at(t) * g
    return x


def polyak(o: Any, x: Any, gradients: Any) -> Any:
    v = 0.0
    for t, g in enumerate(gradients):
        v = o.momentum * v + g
        x = x - o.rate_at(t) * v
    return x


def nesterov(o: Any, x: Any, gradients: Any) -> Any:
    v = 0.0
    for t, g in enumerate(gradients):
        v = o.momentum * v + g
        x = x - o.rate_at(t) * (g + o.momentum * v)
    return x


def rmsprop(o: Any, x: Any, gradients: Any) -> Any:
    s = 0.0
    for t, g in enumerate(gradients):
        s = o.keep * s + (1 - o.keep) * g**2
        x = x - o.rate_at(t) * g / (np.sqrt(s) + o.epsilon)
    return x


def adagrad(o: Any, x: Any, gradients: Any) -> Any:
    s = 0.0
    for t, g in enumerate(gradients):
        s = s + g**2
        x = x - o.rate_at(t) * g / (np.sqrt(s) + o.epsilon)
    return x


def adam(o: Any, x: Any, gradients: Any) -> Any:
    m = v = 0.0
    decay = getattr(o, "decay", 0.0)
    for t, g in enumerate(gradients):
        m = o.keep_mean * m + (1 - o.keep_mean) * g
        v = o.keep_square * v + (1 - o.keep_square) * g**2
        first, second = m / (1 - o.keep_mean ** (t + 1)), v / (1 - o.keep_square ** (t + 1))
        x = x - o.rate_at(t) * decay * x
        x = x - o.rate_at(t) * first / (np.sqrt(second) + o.epsilon)
    return x


CASES: Final = (
    (SGD(0.1), sgd),
    (SGD(Exponential(0.1, 0.5, 10)), sgd),
    (SGD(0.05, momentum=0.9), polyak),
    (SGD(0.05, momentum=0.9, nesterov=True), nesterov),
    (RMSProp(0.01), rmsprop),
    (RMSProp(0.01, keep=0.0, epsilon=0.1), rmsprop),
    (Adagrad(0.1), adagrad),
    (Adam(0.05), adam),
    (Adam(Cosine(0.05, 20, 0.01), keep_mean=0.5, keep_square=0.9, epsilon=1e-3), adam),
    (AdamW(0.05, decay=0.1), adam),
)
IDS: Final = [str(o) for o, _ in CASES]


def run(optimizer: Optimizer, start: Any, gradients: Any) -> Any:
    params, state = start, optimizer.init(start)
    for g in gradients:
        params, state = optimizer.update(params, g, state)
    assert state.steps == len(gradients)
    return params


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 2e-5)])
@pytest.mark.parametrize(("optimizer", "recurrence"), CASES, ids=IDS)
def test_the_published_recurrence(optimizer: Any, recurrence: Any, dtype: Any, rtol: float) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(7, 3))
    gradients = rng.normal(size=(STEPS, 7, 3)) * np.exp(rng.normal(size=(STEPS, 1, 1)))
    for n in range(STEPS + 1):  # step by step
        found = run(optimizer, start.astype(dtype), gradients[:n].astype(dtype))
        assert found.dtype == dtype
        wanted = recurrence(optimizer, start.astype(dtype).astype(float), gradients[:n].astype(dtype).astype(float))
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=rtol)


def torch_optimizer(o: Any, x: Any) -> Any:
    from torch import optim

    match o:
        case SGD():
            return optim.SGD([x], lr=o.rate, momentum=o.momentum, nesterov=o.nesterov)
        case RMSProp():
            return optim.RMSprop([x], lr=o.rate, alpha=o.keep, eps=o.epsilon)
        case Adagrad():
            return optim.Adagrad([x], lr=o.rate, eps=o.epsilon)
        case Adam():
            return optim.Adam([x], lr=o.rate, betas=(o.keep_mean, o.keep_square), eps=o.epsilon)
    return optim.AdamW([x], lr=o.rate, betas=(o.keep_mean, o.keep_square), eps=o.epsilon, weight_decay=o.decay)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("optimizer", [o for o, _ in CASES if not callable(o.rate)], ids=str)
def test_pytorchs_steps(optimizer: Any) -> None:
    import torch

    def loss(x: Any) -> Any:
        return ((x[1:] - x[:-1] ** 2) ** 2).sum() + ((1 - x) ** 2).sum()

    start = np.random.default_rng(1).normal(size=12) * 0.3
    theirs = torch.tensor(start.copy(), requires_grad=True)
    stepper = torch_optimizer(optimizer, theirs)
    gradient, params, state = tg.grad(loss), start, optimizer.init(start)
    for _ in range(STEPS):
        stepper.zero_grad()
        loss(theirs).backward()
        stepper.step()
        params, state = optimizer.update(params, gradient(params), state)
        np.testing.assert_allclose(params, theirs.detach().numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("optimizer", [o for o, _ in CASES], ids=IDS)
def test_rows_are_changed_as_in_a_whole_table(optimizer: Optimizer) -> None:
    rng = np.random.default_rng(2)
    table = rng.normal(size=(9, 4))
    rows = np.array([7, 0, 3])
    few, whole = table.copy(), table.copy()
    few_moments = tuple(np.zeros((9, 4)) for _ in range(optimizer.moments))
    state = optimizer.init(whole)
    for t in range(4):
        values = rng.normal(size=(3, 4))
        gradient = np.zeros((9, 4))
        gradient[rows] = values
        optimizer.apply_rows(optimizer.rule(t), few, rows, values, few_moments, 0.5)
        flat = whole.reshape(-1)
        state = optimizer.step(flat, gradient.reshape(-1), state, 0.5)
        np.testing.assert_allclose(few[rows], whole[rows], rtol=1e-14)
    others = [k for k in range(9) if k not in rows]
    np.testing.assert_array_equal(few[others], table[others])
    assert not any(m[others].any() for m in few_moments)


def test_update_is_pure() -> None:
    params = {"w": np.ones(3), "b": 2.0, "none": None}
    adam = Adam(0.1)
    state = adam.init(params)
    after, later = adam.update(params, {"w": np.full(3, 2.0), "b": 1.0, "none": None}, state)
    np.testing.assert_array_equal(params["w"], np.ones(3))
    assert type(after["b"]) is float
    assert after["none"] is None
    assert state.steps == 0
    assert not any(m.any() for m in state.moments)
    assert later.steps == 1
    assert all(m.all() for m in later.moments)


def test_a_step_of_a_vector_is_in_place() -> None:
    vector = np.ones(4)
    rmsprop = RMSProp(0.1)
    state = rmsprop.init(vector)
    after = rmsprop.step(vector, np.ones(4), state)
    assert (vector < 1).all()
    assert after.moments[0] is state.moments[0]


def test_schedules() -> None:
    assert Exponential(1.0, 0.1, 10)(20) == pytest.approx(0.01)
    assert Cosine(1.0, 10, 0.2)(0) == 1.0
    assert Cosine(1.0, 10, 0.2)(3) == pytest.approx(0.2 + 0.8 * (1 + cos(0.3 * pi)) / 2)
    assert Cosine(1.0, 10, 0.2)(99) == pytest.approx(0.2)
    assert [Steps(1.0, (2, 4))(k) for k in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert [Warmup(2, Cosine(1.0, 4))(k) for k in range(5)] == pytest.approx(
        [0.5, *(Cosine(1.0, 4)(k) for k in range(1, 5))]
    )
    assert SGD(lambda step: 1.0 / (step + 1)).rate_at(3) == 0.25


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(0.0), "SGD: found rate=0.0; wanted a positive number, or a function of the step"),
        (lambda: Adam(float("nan")), "found rate=nan"),
        (lambda: SGD("fast"), "found rate='fast'; wanted a positive number, or a function of the step"),
        (lambda: SGD(None), "found rate=None"),
        (lambda: Cosine(0.1, 0), "Cosine: found steps=0; wanted a positive number"),
        (lambda: Warmup(0, 0.1), "Warmup: found steps=0"),
        (lambda: Exponential(0.1, 0.5, -1), "Exponential: found steps=-1"),
        (lambda: SGD(momentum=1.0), "found momentum=1.0; wanted a number from 0 to below 1"),
        (lambda: RMSProp(keep=-0.1), "found keep=-0.1"),
        (lambda: Adam(keep_mean=2.0), "found keep_mean=2.0"),
        (lambda: Adam(keep_square=1.0), "found keep_square=1.0"),
        (lambda: Adam(epsilon=-1.0), "found epsilon=-1.0; wanted a number of 0 or more"),
        (lambda: Adagrad(epsilon=-1.0), "found epsilon=-1.0"),
        (lambda: AdamW(decay=-1.0), "found decay=-1.0"),
    ],
)
def test_settings_that_make_no_sense(make: Any, words: str) -> None:
    with pytest.raises(SettingError) as caught:
        make()
    assert words in str(caught.value)


def test_what_does_not_fit_together() -> None:
    adam, params = Adam(), {"w": np.ones(3)}
    state = adam.init(params)
    with pytest.raises(ShapeError, match=r"Adam: found parameters of another structure or of other shapes"):
        adam.update(params, {"w": np.ones(4)}, state)
    with pytest.raises(SettingError, match=r"Adam: found a state of other parameters or of another optimiser"):
        adam.update(params, params, SGD().init(params))
    with pytest.raises(SettingError, match="another optimiser"):
        adam.update({"w": np.ones(4)}, {"w": np.ones(4)}, state)
    with pytest.raises(DtypeError, match=r"Adam: found params\['w'\], an array of dtype int64; wanted parameters"):
        adam.init({"w": np.arange(3)})
    with pytest.raises(DtypeError, match=r"found params\['n'\], 'text'"):
        adam.init({"n": "text"})


def test_touched_rows_are_refused_by_name() -> None:
    params = {"table": np.ones((5, 2))}
    gradient = tg.grad(lambda p: np.sum(p["table"][np.array([1, 3])]), touched_rows=True)(params)
    with pytest.raises(UnsupportedError, match=r"Adam: found a gradient of TouchedRows; wanted whole arrays"):
        Adam().update(params, gradient, Adam().init(params))
