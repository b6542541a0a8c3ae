"""What is overwritten: a result may take over the memory of what it is made of, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from tapegrad.derivative.adjoint import adjoint
from tapegrad.passes.optimize import optimize
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import CHECKS, schedule
from tapegrad.sweep.run import Runner
from tests.helpers import F32, F64, assert_close, bits, record, run
from tests.scheduled import placed
from tests.touched import Touched

A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, -1.0], [2.0, 0.25]])


def fresh(r: Recorder, v: Variable) -> Variable:
    """The value, nearly, in memory of its own, which may be taken over."""
    return r.elementwise("multiply", v, 1.0 + 2.0**-40)


def swapped(r: Recorder, v: Variable) -> Variable:
    return r.apply("transpose", (1, 0), v)


IN_PLACE: dict[str, tuple[Callable[..., Sequence[Variable]], Callable[..., Sequence[Any]]]] = {
    "x + x.T": (lambda r, a, b: [(x := fresh(r, a)) + swapped(r, x)], lambda a, b: [a + a.T]),
    "x * x": (lambda r, a, b: [(x := fresh(r, a)) * x], lambda a, b: [a * a]),
    "x + reshaped x": (
        lambda r, a, b: [r.apply("reshape", (1, 2, 2), x := fresh(r, a)) + x],
        lambda a, b: [(a + a)[None]],
    ),
    "x + reversed x": (
        lambda r, a, b: [(x := fresh(r, a)) + r.apply("slice", ((1, -1, 2), (0, 1, 2)), x)],
        lambda a, b: [a + a[::-1]],
    ),
    "rows of x, then x": (
        lambda r, a, b: [(y := r.apply("item", (0,), x := fresh(r, a))) * 1.0, x + 1.0, y + 2.0],
        lambda a, b: [a[0], a + 1, a[0] + 2],
    ),
    "x + row of x": (
        lambda r, a, b: [(x := fresh(r, a)) + r.apply("item", (1,), x)],
        lambda a, b: [a + a[1]],
    ),
    "row of x + other row": (
        lambda r, a, b: [r.apply("item", (1,), x := fresh(r, a)) - r.apply("item", (0,), x)],
        lambda a, b: [a[1] - a[0]],
    ),
    "x moved by one": (
        lambda r, a, b: [-r.apply("slice", ((1, 1, 3),), r.apply("reshape", (4,), fresh(r, a)))],
        lambda a, b: [-a.reshape(4)[1:]],
    ),
    "scatter x into x": (
        lambda r, a, b: [r.apply("scatter_add", (0, 0), x := fresh(r, a), x, r.constant(np.array([0, 0])))],
        lambda a, b: [a + np.stack([a[0] + a[1], 0 * a[0]])],
    ),
    "add x into x": (
        lambda r, a, b: [r.apply("slice_add", ((1, -1, 2), (0, 1, 2)), x := fresh(r, a), x)],
        lambda a, b: [a + a[::-1]],
    ),
    "product of x into x": (
        lambda r, a, b: [r.apply("matmul_add", (0, 0), x := fresh(r, a), x, x)],
        lambda a, b: [a + a @ a],
    ),
    "product of a view of x into x": (
        lambda r, a, b: [r.apply("matmul_add", (0, 0), x := fresh(r, a), r.apply("reshape", (2, 2), x), b)],
        lambda a, b: [a + a @ b],
    ),
    "item of x into x": (
        lambda r, a, b: [r.apply("item_add", (0,), x := fresh(r, a), r.apply("item", (1,), x))],
        lambda a, b: [np.stack([a[0] + a[1], a[1]])],
    ),
    "x into a window of x": (
        lambda r, a, b: [r.apply("slice_set", ((1, -1, 2), (0, 1, 2)), x := fresh(r, a), x)],
        lambda a, b: [a[::-1]],
    ),
    "item of x in place of another": (
        lambda r, a, b: [r.apply("item_set", (0,), x := fresh(r, a), r.apply("item", (1,), x))],
        lambda a, b: [a[[1, 1]]],
    ),
    "x in place of its rows": (
        lambda r, a, b: [r.apply("scatter_set", (0, 0, 0), x := fresh(r, a), x, r.constant(np.array([1, 1])))],
        lambda a, b: [np.stack([a[0], a[1]])],
    ),
    "a window of x, kept while x is overwritten": (
        lambda r, a, b: [
            (y := r.apply("item", (0,), x := fresh(r, a)), r.apply("item_set", (0,), x, r.apply("item", (0,), b)))[1],
            y + 1.0,
        ],
        lambda a, b: [np.stack([b[0], a[1]]), a[0] + 1],
    ),
    "both halves of x, kept while x is overwritten": (
        lambda r, a, b: [
            (
                y := r.apply("item", (0,), x := fresh(r, a)),
                z := r.apply("item", (1,), x),
                r.apply("slice_set", ((0, 1, 2), (1, 1, 1)), x, r.apply("slice", ((0, 1, 2), (0, 1, 1)), b)),
            )[2],
            y + z,
        ],
        lambda a, b: [np.stack([a[:, 0], b[:, 0]], 1), a[0] + a[1]],
    ),
    "a window of x, cut out after x is overwritten": (
        lambda r, a, b: [
            r.apply("item_set", (0,), x := fresh(r, a), r.apply("item", (0,), b)),
            r.apply("item", (0,), x) + 1.0,
        ],
        lambda a, b: [np.stack([b[0], a[1]]), a[0] + 1],
    ),
    "into what is needed later": (
        lambda r, a, b: [r.apply("matmul_add", (0, 0), x := fresh(r, a), a, b), x * 2.0],
        lambda a, b: [a + a @ b, 2 * a],
    ),
    "into an input": (lambda r, a, b: [r.apply("matmul_add", (0, 0), a, a, b)], lambda a, b: [a + a @ b]),
    "into a constant": (
        lambda r, a, b: [r.apply("matmul_add", (0, 0), r.constant(np.eye(2)), a, b)],
        lambda a, b: [np.eye(2) + a @ b],
    ),
    "into a result": (
        lambda r, a, b: [x := fresh(r, a), r.apply("matmul_add", (0, 0), x, a, b), x + b],
        lambda a, b: [a, a + a @ b, a + b],
    ),
    "where of one and itself": (
        lambda r, a, b: [r.elementwise("where", r.elementwise("less", x := fresh(r, a), b), x, x * 2.0)],
        lambda a, b: [np.where(a < b, a, 2 * a)],
    ),
    "a narrow operand": (
        lambda r, a, b: [(x := fresh(r, a)) + r.apply("sum", (0,), x), r.apply("sum", (0, 1), x) + x],
        lambda a, b: [a + a.sum(0), a + a.sum()],
    ),
    "an input": (lambda r, a, b: [a, b, a], lambda a, b: [a, b, a]),
    "a constant": (
        lambda r, a, b: [r.constant(B), r.constant(2.5), r.apply("broadcast_to", (3,), r.constant(2.5))],
        lambda a, b: [B, np.array(2.5), np.full(3, 2.5)],
    ),
    "one result twice": (lambda r, a, b: [x := a + b, x, x * 1.0], lambda a, b: [a + b, a + b, a + b]),
    "views of an input": (
        lambda r, a, b: [
            r.apply("reshape", (4,), a),
            r.apply("item", (1,), a),
            r.apply("slice", ((1, 1, 1), (1, 1, 1)), a),
        ],
        lambda a, b: [a.reshape(4), a[1], a[1:, 1:]],
    ),
    "views of one value": (
        lambda r, a, b: [
            r.apply("reshape", (4,), x := a + b),
            r.apply("item", (1,), x),
            x,
            r.apply("reshape", (1, 2, 2), x),
        ],
        lambda a, b: [(a + b).reshape(4), (a + b)[1], a + b, (a + b)[None]],
    ),
    "scalars as arrays": (
        lambda r, a, b: [
            r.apply("reshape", (1, 1), x := r.apply("sum", (0, 1), a)),
            x,
            r.apply("reshape", (1,), x * 2.0) + 1.0,
        ],
        lambda a, b: [a.sum().reshape(1, 1), a.sum(), 2 * a.sum().reshape(1) + 1],
    ),
    "a scalar's view taken over": (
        lambda r, a, b: [
            r.apply("reshape", (1,), r.apply("item", (0,), r.apply("item", (0,), a)) * 2.0)
            * r.constant(np.array([3.0]))
        ],
        lambda a, b: [6 * a[0, :1]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("modes", ["", "poison,bounds"], ids=["plain", "checked"])
@pytest.mark.parametrize("height", [0, 1, 2])
@pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])
@pytest.mark.parametrize("optimized", [True, False], ids=["optimized", "as recorded"])
@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place(
    case: str, optimized: bool, dtype: Any, height: int, modes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CHECKS, modes)
    build, reference = IN_PLACE[case]
    inputs = [A.astype(dtype), B.astype(dtype)]
    tape = record(build, inputs, dtype=dtype)
    tape = optimize(tape) if optimized else tape
    Touched(*placed(tape, height, modes)).follow()
    runner, wanted = Runner(schedule(tape, height=height)), reference(A, B)
    for _ in range(2):
        found = runner(inputs)
        assert isinstance(found, list)
        for f, w in zip(found, wanted, strict=True):
            assert_close(f, w, 1e-10 if dtype == F64 else 1e-5)
        for k, f in enumerate(found):  # a result belongs to the caller alone
            assert not any(np.shares_memory(f, other) for other in [*found[:k], *found[k + 1 :], *inputs])
            f[...] = np.nan
    assert [bits(v) for v in inputs] == [bits(A.astype(dtype)), bits(B.astype(dtype))]


def test_gradients_that_are_one_slot_are_two_arrays() -> None:
    """d/dx and d/dy of f(x + y) are the same slot; and those of x + y are constants."""
    x, y = np.array([0.5, 1.0]), np.array([0.25, 2.0])
    for function, wanted in ((lambda r, s: r.elementwise("sin", s), np.cos(x + y)), (lambda r, s: s, np.ones(2))):
        tape = record(lambda r, a, b, function=function: [r.apply("sum", (0,), function(r, a + b))], [x, y])
        full = optimize(adjoint(optimize(tape)))
        _, first, second = run(full, [x, y])
        assert_close(first, wanted, 1e-15)
        assert_close(second, wanted, 1e-15)
        assert not np.shares_memory(first, second)
