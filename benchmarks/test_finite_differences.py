"""The tape's gradient against finite differences, as a pytest-benchmark suite.

`pytest benchmarks --benchmark-only` compares, for every function and number of parameters, one evaluation, the first
gradient, every further gradient, and the gradient by differences where that takes no more than `LONGEST` seconds;
where it would take longer the test is skipped, and what it would take stands in the reason and in `extra_info`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from benchmarks import clock, difference
from benchmarks.finite_differences import SIZES, closed, fresh_gradient, load_kernels
from benchmarks.model import MODELS, Array, Model, relative_error

LONGEST = 0.3
EXACT = 1e-12

every_case = pytest.mark.parametrize(
    ("model", "n"), [pytest.param(model, n, id=f"{model.name}-{n}") for model in MODELS for n in SIZES]
)
briefly = pytest.mark.benchmark(max_time=0.25, min_rounds=3, warmup=False)


@cache
def drawn(model: Model, n: int) -> tuple[Array, ...]:
    """Arguments, drawn once; no test writes to them."""
    return model.draw(n)


@pytest.fixture(scope="session", autouse=True)
def kernels() -> None:
    """Load the kernels before anything is timed."""
    load_kernels()


@every_case
@briefly
def test_evaluation(benchmark: Any, model: Model, n: int) -> None:
    """The function alone, and what differences by all parameters cost at that rate."""
    benchmark.group = f"{model.name}, {n:,} parameters"
    arguments = drawn(model, n)
    benchmark(model.loss, *arguments)
    if benchmark.stats:
        for method in (difference.forward, difference.central):
            seconds = benchmark.stats.stats.median * difference.evaluations(method, n)
            benchmark.extra_info[f"extrapolated_{method.__name__}_seconds"] = seconds


@every_case
def test_first_call(benchmark: Any, model: Model, n: int) -> None:
    """The first gradient of a function not seen before."""
    benchmark.group = f"{model.name}, {n:,} parameters"
    arguments = drawn(model, n)
    benchmark.pedantic(lambda: fresh_gradient(model)(*arguments), rounds=3, iterations=1)


@every_case
@briefly
def test_tape(benchmark: Any, model: Model, n: int) -> None:
    """Every further gradient; it must be right, too."""
    benchmark.group = f"{model.name}, {n:,} parameters"
    arguments = drawn(model, n)
    gradient = fresh_gradient(model)
    benchmark.extra_info["first_call_seconds"] = clock.once(lambda: gradient(*arguments))
    _, found = benchmark(gradient, *arguments)
    error = relative_error(np.asarray(found), model.reference(arguments))
    benchmark.extra_info["relative_error"] = error
    assert error < EXACT


@pytest.mark.parametrize("method", [difference.forward, difference.central], ids=["forward", "central"])
@every_case
def test_differences(benchmark: Any, model: Model, n: int, method: difference.Method) -> None:
    """A gradient by differences over all parameters, where that ends in good time."""
    benchmark.group = f"{model.name}, {n:,} parameters"
    arguments = drawn(model, n)
    loss = closed(model, arguments)
    expected = clock.measure(lambda: loss(arguments[0]), 0.02).seconds * difference.evaluations(method, n)
    benchmark.extra_info["extrapolated_seconds"] = expected
    if expected > LONGEST:
        pytest.skip(f"extrapolated from one evaluation: {clock.format_seconds(expected)}")
    step = difference.FORWARD_STEP if method is difference.forward else difference.CENTRAL_STEP
    coordinates = range(n)
    benchmark.pedantic(method, (loss, arguments[0], step, coordinates), rounds=3, iterations=1, warmup_rounds=0)
