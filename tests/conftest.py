"""The whole suite runs in both checking modes; random tests repeat exactly.

Poison: dead and unwritten memory reads as nan. Bounds: a record that reaches outside its buffers is refused.
`--hypothesis-profile=long` draws more examples, others at every run.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

os.environ["TAPEGRAD_CHECKS"] = "poison,bounds"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # it compiles a thousand small functions, each run once

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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many functions, and calls of them, were compared with NumPy, finite differences and JAX."""
    reports = [r for found in terminalreporter.stats.values() for r in found if hasattr(r, "nodeid")]
    calls = {r.nodeid for r in reports if "test_values_are_numpys[" in r.nodeid}
    if calls:
        names = {node.partition("[")[2].rstrip("]0123456789") for node in calls}
        terminalreporter.write_line(f"{len(names)} functions compared with NumPy in {len(calls)} calls")


@pytest.fixture(scope="module")
def hired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A reader of pages with a browser, one for all tests of a module."""
    from tests.page_reader import Reader

    yield from Reader.hired(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def reader(hired: Any) -> Iterator[Any]:
    """The same; after each test the browser must have had nothing to complain of."""
    from tests.page_reader import require_quiet

    yield hired
    require_quiet(hired)
