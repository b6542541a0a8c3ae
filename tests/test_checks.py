"""Poison and bounds see a fault of the schedule at once; an index out of range is an error in any mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import tapegrad.schedule.draft as drafting
from tapegrad.errors import BoundsError, ElementIndexError
from tapegrad.ops.row import Op
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.record.variable import Variable
from tapegrad.schedule.code import SHIFT, TILED
from tapegrad.schedule.program import CHECKS, Program, schedule
from tapegrad.sweep import workspace
from tapegrad.sweep.layout import BOUNDS, FIRST_INPUT, FOLLOW, P0, SUMS, TILES, WORDS
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape
from tests.helpers import F32, assert_close, bits, pullback, record, record_samples, run, samples
from tests.random_programs import RandomChooser, write
from tests.reached import is_poison, reached_in_loop
from tests.row_programs import write_rows
from tests.scheduled import ARENA, moved, placed, records, row_case

# --- poison


def test_poison_shows_a_read_of_a_dead_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """cos reads where exp's result was, which sin was the last to need."""
    monkeypatch.setenv(CHECKS, "poison")
    x = np.linspace(0.1, 1.0, 20)
    tape = record(lambda r, v: [r.elementwise("cos", r.elementwise("sin", r.elementwise("exp", v))) * 2.0], [x])
    program = schedule(tape)
    first = {OPS[tape.opcodes[i]].name: k for k, i in reversed(list(enumerate(program.code.record_origin.tolist())))}
    words = list(records(program))
    dead, alive = int(words[first["exp"]][P0]), int(words[first["cos"]][P0 + 1])
    assert_close(run(tape, [x])[0], 2 * np.cos(np.sin(np.exp(x))), 1e-15)
    (found,) = Runner(moved(program, first["cos"], P0 + 1, dead - alive))([x])
    assert np.isnan(found).all()


def test_poison_shows_a_read_before_the_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two records change places: the second reads what the first has not written yet."""
    monkeypatch.setenv(CHECKS, "poison")
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


@pytest.mark.parametrize("height", [0, 1, 3])
@pytest.mark.parametrize("seed", range(30))
def test_poison_fills_every_dead_buffer(seed: int, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No window of rows outlives its loop."""
    program = (write, write_rows)[seed % 2](RandomChooser(np.random.default_rng(seed)))
    inputs = program.draw(seed)
    tape = optimize(record(program.record, inputs, program.independent, program.dtype))
    plain, known = placed(tape, height)
    placement = known.placement
    monkeypatch.setenv(CHECKS, "poison")
    runner = Runner(schedule(tape, height=height), threads=1)
    runner(inputs)
    (ready,) = runner.free
    kept = np.zeros(plain.arena, np.bool_)
    kept[: len(plain.image)] = True
    for b in np.flatnonzero((placement.buffer_base == ARENA) & (placement.buffer_ends >= len(plain.tape))).tolist():
        kept[placement.buffer_offset[b] :][: placement.buffer_bytes[b]] = True
    arena, tiles = ready.workspace.arena, ready.workspace.tiles
    assert (arena[~kept] == 255).all()
    assert bits(arena[: len(plain.image)]) == bits(plain.image)
    assert len(tiles) == plain.tiles
    assert (tiles == 255).all()


# --- bounds

ROWS = [op for op in OPS if not op.leaf and not op.effect and not op.eager]
READS_A_PART = frozenset({"slice", "item", "pad", "slice_add", "slice_set", "item_add", "item_set", "concatenate"})


def sizes_of(program: Program, inputs: list[Any]) -> list[int]:
    """Bytes of each base."""
    outputs = [t.size * t.dtype(program.tape.dtype).itemsize for t in program.outputs]
    sizes = [program.arena, program.tiles, program.arena, *(v.nbytes for v in inputs)]
    assert len(sizes) == FIRST_INPUT + len(inputs)
    return [*sizes, *(c.nbytes for c in program.constants), *outputs]


@pytest.mark.parametrize("height", [0, 2])
@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_bounds_are_checked_for_every_operand_of_every_record(op: Op, height: int) -> None:
    """An address one element too far, or beyond the whole base, is refused; the right ones never are."""
    found = [s for s in samples(op, F32) if all(v.size for v in s.operands) and s.value().size]
    tape, inputs = record_samples(found, F32)
    program = schedule(tape, height=height)
    Runner(program)(inputs)
    sizes, count = sizes_of(program, inputs), 0
    for k, words in enumerate(records(program)):
        for j in range(4):
            packed = int(words[P0 + j])
            if packed < 0:
                continue
            itemsize = int(words[WORDS["SIZES"]]) >> (8 * j) & 255
            for step in [itemsize, sizes[packed >> 48]][op.name in READS_A_PART :]:
                count += 1
                with pytest.raises(BoundsError, match=r"record .*test_checks|record .*helpers"):
                    Runner(moved(program, k, P0 + j, step))(inputs)
    assert count or all(s.value().shape == () for s in found) or op.name in ("reshape", "stop_gradient")


# --- faults in loops over rows

STENCILS = ("rosenbrock", "total_variation", "nested", "skewed", "forecast")
LOOPING = (*STENCILS, "standardised", "batch_norm", "convolution", "factorisation", "table")


def shows(program: Program, inputs: list[Any], wanted: list[Any]) -> str:
    """What a run shows: "bounds", "nan", "wrong" where nothing is noticed, "right" where nothing has changed."""
    try:
        found = Runner(program, threads=1)(inputs)
    except BoundsError:
        return "bounds"
    assert isinstance(found, list)
    if any(np.isnan(v).any() for v in found):
        return "nan"
    return "right" if all(np.allclose(f, w, 1e-9, 1e-12) for f, w in zip(found, wanted, strict=True)) else "wrong"


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poison lies around the arenas, too, so that what reads or writes beyond them does no harm."""

    def aligned(nbytes: int) -> Any:
        memory = np.full(nbytes + 8192, 255, np.uint8)
        start = 4096 - workspace.address(memory) % 64
        return memory[start : start + nbytes]

    monkeypatch.setattr(workspace, "aligned", aligned)


def case_with_results(name: str) -> tuple[Tape, list[Any], list[Any]]:
    """The tape of a loss with 33 rows, its inputs and its results."""
    tape, inputs = row_case(name, 33)
    return tape, inputs, run(tape, inputs)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("height", [1, 2, 5, 16])
@pytest.mark.parametrize("name", STENCILS)
def test_a_window_that_remembers_a_row_too_few_is_seen(name: str, height: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By bounds at once; by poison, too, if what lies beside the window is not alive."""
    tape, inputs, wanted = case_with_results(name)
    phases = drafting.phases

    def forgetful(*given: Any, **named: Any) -> Any:
        found = phases(*given, **named)
        return replace(found, history=np.maximum(found.history - 1, 0))

    monkeypatch.setattr(drafting, "phases", forgetful)
    for modes, seen in (("bounds", "bounds"), ("poison,bounds", "bounds"), ("poison", "nan")):
        monkeypatch.setenv(CHECKS, modes)
        what = shows(schedule(tape, height=height), inputs, wanted)
        assert what == seen or (name, modes, what) == ("total_variation", "poison", "wrong")


def of_loops(program: Program) -> Iterator[tuple[int, Any, list[int]]]:
    """Records of loops over rows with their places and segments, without those that poison or move memory."""
    for segment in program.code.segments.tolist():
        for k, words in enumerate(records(program)) if segment[0] == TILED else ():
            inside = segment[1] <= program.code.record_at[k] < segment[2]
            if inside and words[0] != WORDS["SHIFT"] and not is_poison(words):
                yield k, words, segment


@pytest.mark.parametrize("height", [1, 5])
@pytest.mark.parametrize("name", LOOPING)
def test_a_record_that_runs_a_row_too_early_or_too_late_is_seen(name: str, height: int) -> None:
    """By where it reaches, by rows that no tile has for it, or because a row that is read has not been written.

    In a slot that a loop fills and adds to, a row that is added to first and filled then has lost a term unseen: all of
    its memory is there, and alive. `tests.touched` sees it.
    """
    unseen = {(-1, WORDS["ACCUMULATE"]), (1, WORDS["COPY"])}
    tape, inputs, wanted = case_with_results(name)
    program = schedule(tape, height=height)
    assert shows(program, inputs, wanted) == "right"
    seen: Counter[str] = Counter()
    for k, words, _ in of_loops(program):
        for by in (-1, 1):
            what = shows(moved(program, k, len(words) - FOLLOW - BOUNDS, by), inputs, wanted)
            assert what != "wrong" or (by, words[0]) in unseen, f"record {k}, {by}"
            seen[what] += 1
    assert seen["bounds"] > seen["nan"] + seen["right"]


@pytest.mark.parametrize("height", [1, 5])
@pytest.mark.parametrize("name", LOOPING)
def test_an_element_outside_its_buffer_is_never_touched(name: str, height: int) -> None:
    """Before the first row or behind the last: of windows, of what is the same for all rows, of slots kept in full.

    A prototype took the pad of an invariant for a view of a window with margins, and read a row before its memory.
    """
    tape, inputs, wanted = case_with_results(name)
    program, known = placed(tape, height, "poison,bounds")
    p, sides = known.placement, Counter()
    for k, words, segment in of_loops(program):
        i = int(program.code.record_origin[k])
        for j, (base, first, end) in reached_in_loop(words, segment).items():
            slots = [i] if j == 0 else program.tape.read(i)
            places = [
                (int(p.buffer_offset[b]), int(p.buffer_bytes[b]))
                for b in p.buffer[slots]
                if p.buffer_base[b] == base or base == SUMS
            ]
            start, size = next((a, n) for a, n in places if a <= first and end <= a + n)
            itemsize = int(words[WORDS["SIZES"]]) >> (8 * j) & 255
            for by in (start - first - itemsize, start + size - end + itemsize):
                assert shows(moved(program, k, P0 + j, by), inputs, wanted) == "bounds", f"record {k}, {j} by {by}"
                sides[base] += 1
    assert sides[TILES]


@pytest.mark.usefixtures("guarded")
def test_a_row_before_an_invariant_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both modes see it; bounds sees an address below the whole arena, too."""
    x, v = np.linspace(-1, 1, 99).reshape(33, 3), np.array([0.5, 1.0, 1.5])
    tape = record(lambda r, x, v: [x * r.elementwise("sin", r.elementwise("exp", v))], [x, v])
    for modes, by, seen in (("poison", 24, "nan"), ("bounds", 24, "bounds"), ("bounds", 4096, "bounds")):
        monkeypatch.setenv(CHECKS, modes)
        program = schedule(tape, height=5)
        ((k, words, _),) = of_loops(program)
        (j,) = [j for j in (1, 2) if words[P0 + j] >> SHIFT == ARENA]
        assert shows(program, [x, v], [x * np.sin(np.exp(v))]) == "right"
        assert shows(moved(program, k, P0 + j, -by), [x, v], []) == seen


# --- indices

OUTSIDE = [3, -4, 10**6, 2**40, -(2**40), np.iinfo(np.int64).max, np.iinfo(np.int64).min]
SELECTIONS: dict[str, Callable[..., Variable]] = {
    "gather": lambda r, x, index: r.apply("gather", (0, 0), x, index),
    "scatter": lambda r, x, index: r.apply("scatter", (0, 3, 0), x, index),
    "scatter_add": lambda r, x, index: r.apply("scatter_add", (0, 0), x, x, index),
    "scatter_set": lambda r, x, index: r.apply("scatter_set", (0, 0, 0), x, x, index),
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
    placement = placed(tape)[1].placement
    monkeypatch.setenv(CHECKS, modes)
    runner = Runner(schedule(tape))
    assert isinstance(runner([x, good]), list)
    (arena,) = [ready.workspace.arena for ready in runner.free]
    arena[:] = 171
    what = f"index {outside}" if outside > -(2**32) else "an index outside its axis"
    with pytest.raises(ElementIndexError, match=rf"{name}: found {what}; .*axis 0.*test_checks.py:\d+"):
        runner([x, bad])
    assert np.array_equal(x, np.ones((3, 2)))
    result = next(i for i, code in enumerate(tape.opcodes.tolist()) if OPS[code].name == name)
    own = slice(int(placement.offset[result]), int(placement.offset[result]) + 3 * 2 * 8)
    untouched = np.ones(len(arena), np.bool_)
    untouched[own] = False
    untouched[: placement.image] = False
    assert (arena[untouched] == (255 if "poison" in modes else 171)).all()
    assert isinstance(runner([x, good]), list)  # and the runner can go on


def test_a_scatter_checks_before_it_writes() -> None:
    """Not even the entries before the bad index are added."""
    x, index = np.ones(3), np.array([0, 1, 7])
    tape = record(lambda r, v, i: [r.elementwise("sin", r.apply("scatter_add", (0, 0), v, v, i))], [x, index])
    runner = Runner(schedule(tape))
    with pytest.raises(ElementIndexError):
        runner([x, index])
    (ready,) = runner.free
    values = ready.workspace.arena[len(runner.program.image) :].view(np.float64)
    assert set(values[np.isfinite(values)].tolist()) <= {1.0}


@pytest.mark.parametrize("outside", [3, -4])
def test_all_rows_are_checked_before_any_is_written(outside: int) -> None:
    """Each row of x has indices of its own; only the last one is outside."""
    x, index = np.ones((2, 4, 3)), np.array([[0, 1], [2, outside]])

    def build(r: Any, v: Variable, i: Variable) -> list[Variable]:
        sums = r.apply("scatter_add", (2, 1), v, r.apply("gather", (2, 1), v, r.constant(index % 3)), i)
        return [r.elementwise("sin", sums)]

    runner = Runner(schedule(record(build, [x, index])))
    with pytest.raises(ElementIndexError, match=rf"scatter_add: found index {outside}; wanted -3 to 2 along axis 2"):
        runner([x, index])
    (ready,) = runner.free
    values = ready.workspace.arena[len(runner.program.image) :].view(np.float64)
    assert set(values[np.isfinite(values)].tolist()) <= {1.0}


def test_gradients_check_indices_too() -> None:
    x, good = np.ones(3), np.array([0, 1])
    tape = record(lambda r, v, i: [r.apply("sum", (0,), r.apply("gather", (0, 0), v * v, i))], [x, good])
    full = pullback(tape)
    seeds = [np.ones(())]
    assert run(full, [x, good, *seeds])[1].tolist() == [2.0, 2.0, 0.0]
    with pytest.raises(ElementIndexError, match=r"test_checks.py"):
        run(full, [x, np.array([0, 3]), *seeds])
