"""Random numbers drawn while a function is recorded are constants, and a warning says so."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import RandomnessWarning

RNG = np.random.default_rng(0)
OLD = np.random.RandomState(0)


class Noise:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(1)

    def __call__(self, x: Any) -> Any:
        return np.sum(x * self.rng.normal(size=3))


def with_generator(x: Any) -> Any:
    return np.sum(x * RNG.normal(size=3))


def with_old_generator(x: Any) -> Any:
    return np.sum(x * OLD.normal(size=3))


def with_numpy(x: Any) -> Any:
    return np.sum(x * np.random.normal(size=3))  # noqa: NPY002


def with_python(x: Any) -> Any:
    return np.sum(x * random.random())


@pytest.mark.parametrize(
    ("function", "who"),
    [
        (with_generator, "Generator"),
        (with_old_generator, "RandomState"),
        (with_numpy, "numpy.random"),
        (with_python, "random"),
        (Noise(), "Generator"),
    ],
)
def test_draws_are_noticed(function: Any, who: str) -> None:
    gradient = tg.grad(function)
    with pytest.warns(
        RandomnessWarning, match=rf"draws random numbers \({who}\) while it is recorded.*pass them as arg"
    ):
        first = gradient(np.ones(3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(gradient(np.ones(3)), first)


def test_a_generator_that_is_an_argument() -> None:
    with pytest.warns(RandomnessWarning, match="Generator"):
        tg.grad(lambda x, rng: np.sum(x * rng.normal(size=3)))(np.ones(3), np.random.default_rng(2))


def test_a_fit() -> None:
    with pytest.warns(RandomnessWarning, match="at .*test_draws.py"):
        tg.fit(with_generator, np.ones(3), optimizer=tg.optimizers.SGD(0.1), epochs=2)


def test_what_is_no_reason_to_warn() -> None:
    noise = RNG.normal(size=3)

    def fixed(x: Any, z: Any) -> Any:
        return np.sum(x * z * np.random.default_rng(5).normal(size=3))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tg.grad(fixed)(np.ones(3), noise)
