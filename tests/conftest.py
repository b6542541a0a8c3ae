"""The whole suite runs in both checking modes; random tests repeat exactly.

Poison: dead and unwritten memory reads as nan. Bounds: a record that reaches outside its buffers is refused.
`--hypothesis-profile=long` draws more examples, others at every run.
"""

from __future__ import annotations

import os
import random

os.environ["TAPEGRAD_CHECKS"] = "poison,bounds"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("default", deadline=None, max_examples=60, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("long", deadline=None, max_examples=2000, derandomize=False, suppress_health_check=_SLOW)
settings.load_profile("default")


@pytest.fixture(autouse=True)
def _seeds() -> None:
    """Whatever draws from a global generator draws the same in every run and in any order of the tests."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - code under test may use it


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator of the test's own."""
    return np.random.default_rng(0)
