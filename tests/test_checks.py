"""Poison and bounds see a fault of the schedule at once; an index out of range is an error in any mode."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tapegrad.errors import BoundsError, ElementIndexError
from tapegrad.ops.row import Op
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import CHECKS, Program, schedule
from tapegrad.sweep.layout import P0, WORDS
from tapegrad.sweep.run import Runner
from tapegrad.sweep.workspace import Workspace
from tests.helpers import F32, assert_close, bits, pullback, record, record_samples, run, samples
from tests.random_programs import RandomChooser, write
from tests.scheduled import ARENA, placed, records


def corrupt(program: Program, change: Callable[[int, Any], None]) -> Program:
    """The program with its records changed by `change(place, words)`."""
    code = replace(program.code, records=program.code.records.copy())
    changed = replace(program, code=code)
    for k, words in enumerate(records(changed)):
        change(k, words)
    return changed


def test_poison_shows_a_read_of_a_dead_value() -> None:
    """cos reads where exp's result was, which sin was the last to need."""
    x = np.linspace(0.1, 1.0, 20)
    tape = record(lambda r, v: [r.elementwise("cos", r.elementwise("sin", r.elementwise("exp", v))) * 2.0], [x])
    program = schedule(tape)
    first = {OPS[tape.opcodes[i]].name: k for k, i in reversed(list(enumerate(program.code.record_origin.tolist())))}
    dead = [int(words[P0]) for words in records(program)][first["exp"]]

    def change(k: int, words: Any) -> None:
        if k == first["cos"]:
            words[P0 + 1] = dead

    assert_close(run(tape, [x])[0], 2 * np.cos(np.sin(np.exp(x))), 1e-15)
    (found,) = Runner(corrupt(program, change))([x])
    assert np.isnan(found).all()


def test_poison_shows_a_read_before_the_write() -> None:
    """Two records change places: the second reads what the first has not written yet."""
    x = np.linspace(0.1, 1.0, 20)
    tape = record(lambda r, v: [r.elementwise("sin", r.elementwise("exp", v)) * 1.5], [x])
    program = schedule(tape)
    words = program.code.records.copy()
    at = program.code.record_at.tolist()
    first, second = words[at[0] : at[1]].copy(), words[at[1] : at[2]].copy()
    assert len(first) == len(second)
    words[at[0] : at[1]], words[at[1] : at[2]] = second, first
    (found,) = Runner(replace(program, code=replace(program.code, records=words)))([x])
    assert np.isnan(found).all()


@pytest.mark.parametrize("seed", range(30))
def test_poison_fills_every_dead_buffer(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    program = write(RandomChooser(np.random.default_rng(seed)))
    inputs = program.draw(seed)
    tape = optimize(record(program.record, inputs, program.independent, program.dtype))
    plain, placement = placed(tape)
    monkeypatch.setenv(CHECKS, "poison")
    runner = Runner(schedule(tape))
    runner(inputs)
    (workspace,) = runner.free
    kept = np.zeros(plain.arena, np.bool_)
    kept[: len(plain.image)] = True
    for b in np.flatnonzero((placement.buffer_base == ARENA) & (placement.buffer_ends >= len(tape))).tolist():
        kept[placement.buffer_offset[b] :][: placement.buffer_bytes[b]] = True
    assert (workspace.arena[~kept] == 255).all()
    assert bits(workspace.arena[: len(plain.image)]) == bits(plain.image)


ROWS = [op for op in OPS if not op.leaf and not op.effect]
READS_A_PART = frozenset({"slice", "item", "pad", "slice_add", "item_add", "concatenate"})


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_bounds_are_checked_for_every_operand_of_every_record(op: Op) -> None:
    """An address one element too far, or beyond the whole base, is refused; the right ones never are."""
    found = [s for s in samples(op, F32) if all(v.size for v in s.operands) and s.value().size]
    tape, inputs = record_samples(found, F32)
    program = schedule(tape)
    Runner(program)(inputs)
    extents = Workspace.of(program).extents.copy()
    extents[1 : 1 + len(inputs)] = [v.nbytes for v in inputs]
    extents[len(extents) - len(found) :] = [t.size * 4 for t in program.outputs]
    count = 0
    for k, words in enumerate(records(program)):
        for j in range(4):
            packed = int(words[P0 + j])
            if packed < 0:
                continue
            itemsize = int(words[WORDS["SIZES"]]) >> (8 * j) & 255
            whole = int(extents[packed >> 48])
            steps = [whole] if op.name in READS_A_PART or packed >> 48 == ARENA else [itemsize, whole]
            for step in steps:
                count += 1

                def change(place: int, w: Any, k: int = k, j: int = j, step: int = step) -> None:
                    if place == k:
                        w[P0 + j] += step

                with pytest.raises(BoundsError, match=r"record .*test_checks|record .*helpers"):
                    Runner(corrupt(program, change))(inputs)
    assert count or all(s.value().shape == () for s in found) or op.name in ("reshape", "stop_gradient")


# --- indices

OUTSIDE = [3, -4, 10**6, 2**40, -(2**40), np.iinfo(np.int64).max, np.iinfo(np.int64).min]
SELECTIONS: dict[str, Callable[..., Variable]] = {
    "gather": lambda r, x, index: r.apply("gather", (0,), x, index),
    "scatter": lambda r, x, index: r.apply("scatter", (0, 3), x, index),
    "scatter_add": lambda r, x, index: r.apply("scatter_add", (0,), x, x, index),
}


@pytest.mark.parametrize("modes", ["", "poison,bounds"], ids=["plain", "checked"])
@pytest.mark.parametrize("outside", OUTSIDE)
@pytest.mark.parametrize("name", SELECTIONS)
def test_an_index_out_of_range_is_an_error(
    name: str, outside: int, modes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the operation, the index and the line; nothing outside the result is written."""
    x, good, bad = np.ones((3, 2)), np.array([2, 0, -3]), np.array([0, outside, 1])
    tape = record(lambda r, v, i: [r.elementwise("sin", SELECTIONS[name](r, v, i))], [x, good])
    _, placement = placed(tape)
    monkeypatch.setenv(CHECKS, modes)
    runner = Runner(schedule(tape))
    assert isinstance(runner([x, good]), list)
    (workspace,) = runner.free
    workspace.arena[:] = 171
    what = f"index {outside}" if outside > -(2**32) else "an index outside its axis"
    with pytest.raises(ElementIndexError, match=rf"{name}: found {what}; .*axis 0.*test_checks.py:\d+"):
        runner([x, bad])
    assert np.array_equal(x, np.ones((3, 2)))
    result = next(i for i, code in enumerate(tape.opcodes.tolist()) if OPS[code].name == name)
    own = slice(int(placement.offset[result]), int(placement.offset[result]) + 3 * 2 * 8)
    untouched = np.ones(len(workspace.arena), np.bool_)
    untouched[own] = False
    untouched[: placement.image] = False
    assert (workspace.arena[untouched] == (255 if "poison" in modes else 171)).all()
    assert isinstance(runner([x, good]), list)  # and the runner can go on


def test_a_scatter_checks_before_it_writes() -> None:
    """Not even the entries before the bad index are added."""
    x, index = np.ones(3), np.array([0, 1, 7])
    tape = record(lambda r, v, i: [r.elementwise("sin", r.apply("scatter_add", (0,), v, v, i))], [x, index])
    runner = Runner(schedule(tape))
    with pytest.raises(ElementIndexError):
        runner([x, index])
    (workspace,) = runner.free
    values = workspace.arena[len(runner.program.image) :].view(np.float64)
    assert set(values[np.isfinite(values)].tolist()) <= {1.0}


def test_gradients_check_indices_too() -> None:
    x, good = np.ones(3), np.array([0, 1])
    tape = record(lambda r, v, i: [r.apply("sum", (0,), r.apply("gather", (0,), v * v, i))], [x, good])
    full = pullback(tape)
    seeds = [np.ones(())]
    assert run(full, [x, good, *seeds])[1].tolist() == [2.0, 2.0, 0.0]
    with pytest.raises(ElementIndexError, match=r"test_checks.py"):
        run(full, [x, np.array([0, 3]), *seeds])
