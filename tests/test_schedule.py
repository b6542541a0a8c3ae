"""The schedule: where values lie, that it is linear, and that none is overwritten while it is needed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapegrad.derivative.adjoint import adjoint
from tapegrad.ops.table import OPS, flags
from tapegrad.passes.optimize import optimize
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.buffers import Placement
from tapegrad.schedule.program import CHECKS, Program, schedule
from tapegrad.sweep.layout import P0
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape
from tests.helpers import F32, F64, assert_close, bits, record, run
from tests.scheduled import ARENA, drawn, placed, records

OFFSET = (1 << 48) - 1


def digest(program: Program) -> str:
    """A hash of everything a program decides."""
    code = program.code
    arrays = (code.segments, code.records, code.rows, code.side, code.row_origin, code.record_at, code.record_origin)
    found = hashlib.sha256(program.image.tobytes() + str(program.arena).encode())
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


# --- where things lie


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_deterministic(seed: int) -> None:
    assert digest(schedule(drawn(seed))) == digest(schedule(drawn(seed)))


def test_a_schedule_is_the_same_in_every_process() -> None:
    """Nothing hangs on the order of a set or on an address."""
    code = "from tests.test_schedule import *; print(*[digest(schedule(drawn(s))) for s in range(8)])"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert len(found.pop().split()) == 8


@dataclass(slots=True)
class Memory:
    """Which slot's value each byte holds, base by base, as a program's instructions are followed."""

    tape: Tape
    placement: Placement
    root: list[int]
    owner: dict[tuple[int, int], int]

    def bytes_of(self, slot: int) -> tuple[int, int, int]:
        """Base, first byte, end."""
        t = self.tape.type(slot)
        start = int(self.placement.offset[slot])
        return int(self.placement.base[slot]), start, start + t.size * t.dtype(self.tape.dtype).itemsize

    def holds(self, slot: int) -> bool:
        """Is the slot's value still there, whole?"""
        base, first, end = self.bytes_of(slot)
        return all(self.owner.get((base, k)) == self.root[slot] for k in range(first, end))

    def write(self, slot: int) -> None:
        base, first, end = self.bytes_of(slot)
        self.owner.update(((base, k), slot) for k in range(first, end))

    def overlaps(self, one: int, other: int) -> bool:
        (base, first, end), (base_, first_, end_) = self.bytes_of(one), self.bytes_of(other)
        return base == base_ and max(first, first_) < min(end, end_)


def check_memory(program: Program, placement: Placement) -> None:
    """Follow the instructions: each finds its operands whole, and none writes where it still reads."""
    tape, code = program.tape, program.code
    n = len(tape)
    copies = sum(tape.type(int(tape.dependents[k])).size > 0 for k in placement.copied_outputs)
    moves = len(code.record_origin) - copies  # the last records copy results out
    has_code = set(code.row_origin.tolist()) | set(code.record_origin[:moves].tolist())
    first_output = 1 + len(tape.inputs) + len(program.constants)
    memory = Memory(tape, placement, list(range(n)), {})
    leaf = flags("leaf")[tape.opcodes]
    for i in range(n):
        operands = tape.read(i)
        for s in operands:
            assert memory.holds(s), f"instruction {i} reads slot {s}, which has been overwritten"
        if not tape.type(i).size:
            continue
        if not leaf[i] and i not in has_code and not placement.taken[i]:
            memory.root[i] = memory.root[operands[0]]  # a view
            assert memory.bytes_of(i)[0] == memory.bytes_of(operands[0])[0]
            assert memory.bytes_of(memory.root[i])[1] <= memory.bytes_of(i)[1]
            assert memory.bytes_of(i)[2] <= memory.bytes_of(memory.root[i])[2]
            continue
        check_result(memory, i, operands, first_output, leaf=bool(leaf[i]))
        memory.write(i)
    for d in tape.dependents.tolist():
        assert memory.holds(d), f"the result in slot {d} has been overwritten"


def check_result(memory: Memory, i: int, operands: list[int], first_output: int, *, leaf: bool) -> None:
    """Where an instruction's result may lie."""
    tape, placement = memory.tape, memory.placement
    base, first, end = memory.bytes_of(i)
    op = OPS[tape.opcodes[i]]
    if not leaf:
        assert base == ARENA or base >= first_output, f"instruction {i} writes into an input or a constant"
        assert base != ARENA or placement.image <= first <= end <= placement.arena
    for k, s in enumerate(operands):
        if not leaf and memory.overlaps(i, s):
            same = memory.bytes_of(i) == memory.bytes_of(s)
            assert same, f"instruction {i} writes over a part of its operand {k}"
            assert op.elementwise or (op.accumulates and k == 0), f"instruction {i} reads what it has written"
            assert not op.loop, f"instruction {i}: a ufunc's loop must not run in place"


@pytest.mark.parametrize("seed", range(200))
def test_no_value_is_overwritten_while_it_is_needed(seed: int) -> None:
    tape = drawn(seed)
    check_memory(*placed(tape))
    check_memory(*placed(replace(tape, dependents=tape.dependents[:1])))


def test_the_memory_check_sees_an_overwritten_value() -> None:
    """The check above can fail: two values that live at once are put in one place."""
    x = np.ones(5)
    tape = record(lambda r, v: [r.elementwise("exp", v) * r.elementwise("sin", v) + 1.0], [x])
    program, placement = placed(tape)
    check_memory(program, placement)
    offset, base = placement.offset.copy(), placement.base.copy()
    offset[2], base[2] = offset[1], base[1]
    with pytest.raises(AssertionError, match="overwritten"):
        check_memory(program, replace(placement, offset=offset, base=base))


@pytest.mark.parametrize("seed", range(40))
def test_records_address_the_slots_of_their_instruction(seed: int) -> None:
    program, placement = placed(drawn(seed))
    tape = program.tape
    copies = len(placement.copied_outputs)
    n = len(program.code.record_at)
    for k, record_ in enumerate(records(program)):
        if k >= n - copies:
            continue
        i = int(program.code.record_origin[k])
        result, *operands = record_[P0 : P0 + 4].tolist()
        assert in_slot(tape, placement, result, i)
        for address in operands:
            assert address < 0 or any(in_slot(tape, placement, address, s) for s in tape.read(i))


def in_slot(tape: Tape, placement: Placement, address: int, slot: int) -> bool:
    size = tape.type(slot).size * tape.type(slot).dtype(tape.dtype).itemsize
    return address >> 48 == placement.base[slot] and 0 <= (address & OFFSET) - placement.offset[slot] <= size


# --- linear


def chain(length: int, shape: tuple[int, ...]) -> Tape:
    def build(r: Recorder, x: Variable, y: Variable) -> list[Variable]:
        for _ in range(length):
            x = r.elementwise("sin", x) * y + x
        return [r.apply("sum", tuple(range(x.ndim)), x)]

    return record(build, [np.ones(shape), np.ones(shape)])


def python_calls(function: Callable[[], Any]) -> int:
    """How many Python functions a call runs."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("shape", [(), (4,)], ids=["scalar", "array"])
def test_python_runs_once_for_each_kind_of_instruction(shape: tuple[int, ...]) -> None:
    """What grows with the tape runs in compiled loops: sixteen times the instructions, no more Python."""

    def work(tape: Tape) -> Callable[[], Any]:
        return lambda: schedule(optimize(adjoint(optimize(tape))))

    short, long = chain(300, shape), chain(4800, shape)
    work(short)()
    assert python_calls(work(long)) <= python_calls(work(short)) + 100  # arrays that grow, a hash table's


def test_memory_is_taken_over_again_and_again() -> None:
    """A value that dies leaves its place: without a reverse part, the arena does not grow with the tape."""
    arenas = {schedule(optimize(chain(length, (1000,)))).arena for length in (10, 100, 3000)}
    assert len(arenas) == 1
    assert arenas.pop() <= 4 * 8000 + 1000


def test_a_long_tape() -> None:
    """100,000 instructions: hours, if any part were quadratic."""
    tape = optimize(adjoint(optimize(chain(33_000, ()))))
    results = run(tape, [np.array(0.1), np.array(1e-3)])
    assert np.isfinite(results[0])
    assert np.isfinite(results[1])


# --- in place

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
        lambda r, a, b: [r.apply("scatter_add", (0,), x := fresh(r, a), x, r.constant(np.array([0, 0])))],
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
@pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])
@pytest.mark.parametrize("optimized", [True, False], ids=["optimized", "as recorded"])
@pytest.mark.parametrize("case", IN_PLACE)
def test_in_place(case: str, optimized: bool, dtype: Any, modes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECKS, modes)
    build, reference = IN_PLACE[case]
    inputs = [A.astype(dtype), B.astype(dtype)]
    tape = record(build, inputs, dtype=dtype)
    tape = optimize(tape) if optimized else tape
    check_memory(*placed(tape))
    runner, wanted = Runner(schedule(tape)), reference(A, B)
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
