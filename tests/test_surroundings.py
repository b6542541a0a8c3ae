"""What a function reads besides its arguments: bound anew it is recorded anew, changed in place it is refused."""

from __future__ import annotations

import functools
from types import SimpleNamespace

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import UnsupportedError

scale = 2.0
outside = np.zeros(3)


class Model:
    factor = 3.0

    def __init__(self, weight):
        self.weight = weight

    def loss(self, x):
        return self.weight * x + self.factor * x

    def __call__(self, x):
        return self.weight * x


def by_global(x):
    return scale * x


def through_callee(x):
    return by_global(x) + x


@pytest.mark.parametrize("function", [by_global, through_callee, functools.partial(through_callee)])
def test_a_global_bound_anew_is_seen(function, monkeypatch):
    gradient = tg.grad(function)
    before = gradient(1.0)
    monkeypatch.setitem(globals(), "scale", 10.0)
    assert gradient(1.0) == before + 8.0


def test_a_closure_variable_bound_anew_is_seen():
    data = np.ones(3)

    def rebind(value):
        nonlocal data
        data = value

    gradient = tg.grad(lambda x: np.sum(x * data))
    assert gradient(np.ones(3)).tolist() == [1, 1, 1]
    rebind(np.arange(3.0))
    assert gradient(np.ones(3)).tolist() == [0, 1, 2]


def test_attributes_that_the_code_names_are_seen():
    model, settings = Model(1.0), SimpleNamespace(rate=1.0, unused=0)
    for function in (model.loss, model, lambda x: settings.rate * model.loss(x)):
        gradient = tg.grad(function)
        before = gradient(1.0)
        model.weight += 1.0
        assert gradient(1.0) == before + 1.0
    settings.rate = 5.0
    assert gradient(1.0) == 5 * (before + 1.0)


def test_an_object_as_an_argument_is_watched():
    settings = SimpleNamespace(rate=1.0)
    gradient = tg.grad(lambda x, s: s.rate * x)
    assert gradient(1.0, settings) == 1.0
    settings.rate = 4.0
    assert gradient(1.0, settings) == 4.0


def test_items_of_a_small_container_are_seen():
    settings = {"rate": 1.0}
    gradient = tg.grad(lambda x: settings["rate"] * x)
    assert gradient(1.0) == 1.0
    settings["rate"] = 6.0
    assert gradient(1.0) == 6.0


def test_what_stays_is_not_recorded_again():
    runs = iter(range(100))
    gradient = tg.grad(lambda x: next(runs) + scale * x)
    gradient(1.0)
    gradient(2.0)
    assert next(runs) == 1


def test_in_place_on_an_array_of_its_own_is_the_new_value():
    def loss(x):
        total = np.zeros(3)
        first = x + total
        total += x
        return np.sum(total * first)

    value, gradient = tg.value_and_grad(loss)(np.arange(3.0))
    assert value == 5.0
    assert gradient.tolist() == [0, 2, 4]


def _view(x):
    table = np.zeros((2, 3))
    row = table[0]
    row += x
    return np.sum(table)


def _alias(x):
    def add(total, v):
        total += v

    total = np.zeros(3)
    add(total, x)
    return np.sum(total)


def _recorded_alias(x):
    total = np.zeros(3)
    np.add(total, x, out=total)
    return np.sum(total * x)


def _outside(x):
    global outside  # noqa: PLW0603 - what is tested
    outside += x
    return np.sum(outside)


def _integers(x):
    total = np.zeros(3, int)
    total += x
    return np.sum(total)


@pytest.mark.parametrize("function", [_view, _alias, _recorded_alias, _outside, _integers])
def test_in_place_under_another_name_is_refused(function):
    with pytest.raises(UnsupportedError, match=r"array = array \+ x"):
        tg.grad(function)(np.ones(3))
    with pytest.raises(UnsupportedError, match=r"array = array \+ x"):
        tg.record(function, np.ones(3))
    assert outside.tolist() == [0, 0, 0]
