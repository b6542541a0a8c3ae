"""`tapegrad.diff`: what differs is told, and nothing else."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import DtypeError
from tests.file_models import FILE_MODELS, tapes

X = np.arange(3.0)


def lines(a: Any, b: Any) -> list[str]:
    found = tg.diff(a, b)
    assert found
    assert not found.same
    return str(found).splitlines()


def recorded(f: Any, *args: Any, **options: Any) -> tg.RecordedFunction:
    return tg.record(f, *args, **options)


def test_nothing(tmp_path: Path) -> None:
    for name in ("network-float64", "nested-float32", "mixed-float64-gradient"):
        tape = tapes()[name]
        tape.save(tmp_path / "a.npz")
        found = tg.diff(tape, tg.load(tmp_path / "a.npz"))
        assert found.same
        assert not found
        assert str(found) == "no difference"
    assert not tg.diff(tape.tape, tape.tape)


def product(x: Any, y: Any) -> Any:
    z = np.sin(x)
    return np.sum(z * y)


def other_product(x: Any, y: Any) -> Any:
    z = np.sin(x)
    return np.sum(z * np.exp(y))


def test_an_instruction_more() -> None:
    found = lines(recorded(product, X, X), recorded(other_product, X, X))
    assert found[:5] == [
        "instructions: 5 and 6",
        "  exp: 0 and 1",
        "first difference: v3",
        f"  + v3 exp v1 (3,) test_difference.py:{other_product.__code__.co_firstlineno + 2}",
        "1 instruction reads something else",
    ]
    assert found[5].startswith("  - v3 multiply v1 v2 (3,)")
    assert found[6].startswith("  + v4 multiply v2 v3 (3,)")
    assert found[7] == "source lines"
    assert len(found) == 10


def test_instructions_of_others() -> None:
    def make(f: Any) -> tg.RecordedFunction:
        return recorded(lambda x: np.sum(f(x)), X)

    found = lines(make(np.sin), make(np.cos))
    assert found[0] == "instructions: 3 and 3"
    assert found[1:4] == ["  cos: 0 and 1", "  sin: 1 and 0", "first difference: v1"]
    assert found[4].startswith("  - v1 sin v0 (3,)")
    assert found[5].startswith("  + v1 cos v0 (3,)")
    assert len(found) == 6


def test_what_is_read() -> None:
    def make(turned: bool) -> tg.RecordedFunction:
        return recorded(lambda x, y: (x * y) - y if turned else (x * y) - x, 1.0, 2.0)

    found = lines(make(True), make(False))
    assert found[0] == "1 instruction reads something else"
    assert found[1].startswith("  - v3 subtract v2 v1 ()")
    assert found[2].startswith("  + v3 subtract v2 v0 ()")
    assert len(found) == 3


def test_attributes_places_and_results() -> None:
    def make(axis: int, k: int) -> tg.RecordedFunction:
        return recorded(lambda x: np.sum(x, axis=axis)[k], np.ones((3, 3)))

    assert "  - v1 sum v0 (0,) (3,)" in lines(make(0, 1), make(1, 1))[1]
    assert "  - v2 item v1 (1,) ()" in lines(make(0, 1), make(0, 2))[1]
    pair = recorded(lambda x: (x * 2, x + 1), 1.0).tape
    turned = replace(pair, dependents=pair.dependents[::-1].copy())
    one, other = pair.dependents.tolist()
    assert lines(pair, turned) == ["dependents", f"  v{one} v{other} and v{other} v{one}"]


def test_constants() -> None:
    def make(*numbers: float) -> tg.RecordedFunction:
        return recorded(lambda x: np.sum(x * np.array(numbers)) + 1.0, X)

    found = lines(make(1.0, 2.0, 3.0), make(1.0, 2.5, 3.25))
    assert found[0] == "1 constant of other values"
    assert "(3,): 2.0 and 2.5 at [1], 0.5 apart, 2 of 3 numbers (test_difference.py:" in found[1]
    assert len(found) == 2
    assert not tg.diff(make(np.nan, 1.0, 2.0), make(np.nan, 1.0, 2.0))
    assert "nan and 1.0 at [0], inf apart" in lines(make(np.nan, 1.0, 2.0), make(1.0, 1.0, 2.0))[1]
    assert "signs of zeros" in lines(make(0.0, 1.0, 2.0), make(-0.0, 1.0, 2.0))[1]


def test_large_integers_that_floats_cannot_tell_apart() -> None:
    def make(n: int) -> tg.RecordedFunction:
        return recorded(lambda k: k + np.array([n]), np.array([1]), argnums=())

    found = lines(make(2**60), make(2**60 + 1))
    assert found[0] == "1 constant of other values"
    assert f"{2**60} and {2**60 + 1} at [0], 1 apart" in found[1]


def test_arguments() -> None:
    found = lines(recorded(product, X, X), recorded(product, np.ones(4), np.ones(4, np.float32)))
    assert found[:3] == [
        "arguments",
        "  x: float64 (3,), differentiated and float64 (4,), differentiated",
        "  y: float64 (3,) and float32 (4,)",
    ]
    assert lines(recorded(product, X, X), recorded(product, X, X, argnums=(0, 1))) == [
        "arguments",
        "  y: float64 (3,) and float64 (3,), differentiated",
        "independents",
        "  v0 and v0 v1",
    ]

    def scaled(x: Any, times: int) -> Any:
        return np.sum(x) + 0.0 * times

    assert lines(recorded(scaled, X, 2), recorded(scaled, X, 3))[:2] == ["arguments", "  times: 2 and 3"]
    assert lines(recorded(lambda p: p[0] * 2, [1.0]), recorded(lambda p: p[0] * 2, (1.0,)))[0] == (
        "arguments: nested in other containers"
    )
    assert lines(recorded(lambda x: x * 2, 1.0), recorded(lambda y: y * 2, 1.0))[0] == "parameters: x and y"


def test_results_and_dtypes() -> None:
    found = lines(recorded(lambda x: (x * 2,), 1.0), recorded(lambda x: {"a": x * 2}, 1.0))
    assert found == ["result", "  (*,) and {'a': *}"]
    args = FILE_MODELS["rows"].args
    f = FILE_MODELS["rows"].function
    found = lines(recorded(f, *args), recorded(f, *(a.astype(np.float32) for a in args)))
    assert "floats: float64 and float32" in found
    assert not any("constant" in line or "instructions" in line for line in found)


def test_a_gradient_is_the_tape_and_its_reverse_part() -> None:
    tape = tapes()["seven-float64"]
    found = lines(tape, tapes()["seven-float64-gradient"])
    assert f"first difference: v{len(tape)}" in found
    assert found[-1] == "reverse part: none and there"


def orbit(p: Any, steps: int, bent: bool) -> Any:
    a, b = p
    for k in range(steps):
        a, b = a + 0.01 * (b - a * b), b - 0.02 * a
        if bent and k % 7 == 0:
            a = np.sin(a)
    return a * b


def test_long_tapes_take_no_long_time() -> None:
    straight, bent, longer = (
        recorded(orbit, (1.0, 2.0), n, b) for n, b in ((4000, False), (4000, True), (4001, False))
    )
    start = time.perf_counter()
    found = lines(straight, bent)
    assert any("too much to look for what is the same" in line for line in found)
    assert len(found) < 30
    found = lines(straight, longer)
    assert f"first difference: v{len(straight) - 1}" in found or f"first difference: v{len(straight)}" in found
    assert not any("too much" in line for line in found)
    assert time.perf_counter() - start < 20


def test_one_change_in_a_long_tape_is_found() -> None:
    def chain(k: int) -> tg.RecordedFunction:
        def f(x: Any) -> Any:
            for i in range(5000):
                x = np.cos(x) if i == k else np.sin(x)
            return x

        return recorded(f, 1.0)

    found = lines(chain(3000), chain(-1))
    assert "first difference: v3001" in found
    assert len(found) == 6


def test_what_is_no_tape_is_refused() -> None:
    tape = recorded(np.sum, X)
    for other in (np.sum, 3, None):
        with pytest.raises(DtypeError, match=r"diff: found a .*; wanted tapes"):
            tg.diff(tape, other)  # type: ignore[arg-type]
