"""The schedule: where values lie, that it is linear, and that none is overwritten while it is needed."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad.schedule.draft as drafting
import tapegrad.schedule.program as scheduling
from tapegrad.derivative.adjoint import adjoint
from tapegrad.passes.optimize import optimize
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.buffers import Wanted
from tapegrad.schedule.code import TILED
from tapegrad.schedule.layout import RECORDS
from tapegrad.schedule.modes import PER_ROW
from tapegrad.schedule.phases import Phases
from tapegrad.schedule.program import Program, schedule
from tapegrad.sweep.layout import FOLLOW, P0, TILES, WORDS
from tapegrad.tape import Tape
from tests.helpers import record, run
from tests.row_cases import CASES
from tests.scheduled import ARENA, drawn, drawn_rows, moved, placed, records, row_case
from tests.touched import Touched

HEIGHTS = (1, 2, 3, 5, 7)


def digest(program: Program) -> str:
    """A hash of everything a program decides."""
    code = program.code
    arrays = (code.segments, code.records, code.rows, code.side, code.row_origin, code.record_at, code.record_origin)
    decided = (program.arena, program.tiles, program.plan, program.sums)
    found = hashlib.sha256(program.image.tobytes() + str(decided).encode())
    for array in arrays:
        found.update(array.tobytes())
    return found.hexdigest()


# --- where things lie


@pytest.mark.parametrize("seed", range(20))
def test_a_schedule_is_deterministic(seed: int) -> None:
    for make, height in ((drawn, None), (drawn, 2), (drawn_rows, 0), (drawn_rows, 3)):
        assert digest(schedule(make(seed), height=height)) == digest(schedule(make(seed), height=height))


def test_a_schedule_is_the_same_in_every_process() -> None:
    """Nothing hangs on the order of a set or on an address."""
    code = (
        "from tests.test_schedule import *;"
        "print(*[digest(schedule(drawn_rows(s), height=h)) for s in range(8) for h in (0, 3)])"
    )
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
    assert len(found.pop().split()) == 16


@pytest.mark.parametrize("seed", range(200))
def test_no_value_is_overwritten_while_it_is_needed(seed: int) -> None:
    tape = drawn(seed)
    for height in (0, 1 + seed % 3):
        Touched(*placed(tape, height)).follow()
        Touched(*placed(replace(tape, dependents=tape.dependents[:1]), height, "poison,bounds")).follow()


@pytest.mark.parametrize("seed", range(80))
def test_no_row_is_overwritten_while_it_is_needed(seed: int) -> None:
    """Windows of rows and what they remember, slots that a loop fills, sums over rows."""
    tape = drawn_rows(seed)
    for height, modes in ((0, ""), (HEIGHTS[seed % 5], ""), (HEIGHTS[seed // 5 % 5], "poison")):
        Touched(*placed(tape, height, modes)).follow()


@pytest.mark.parametrize("name", CASES)
def test_losses_find_their_rows(name: str) -> None:
    tape, _ = row_case(name, 33)
    for height, modes in ((1, ""), (5, ""), (5, "poison,bounds"), (4096, ""), (None, "")):
        Touched(*placed(tape, height, modes)).follow()


def test_the_tapes_above_have_all_there_is_to_place() -> None:
    """Several loops, windows with and without a memory, slots filled by a loop, sums that are results."""
    seen = set()
    for name in CASES:
        program, known = placed(row_case(name, 33)[0], 5)
        p = known.placement
        seen |= {f"{len(program.plan.loops)} loops"} | {"lag" for loop in program.plan.loops if loop.lag}
        window = known.ahead >= 0
        seen |= {"memory"} if (known.history[window] > 0).any() else set()
        seen |= {"none"} if (window & (known.history == 0)).any() else set()
        seen |= {"both arenas"} if program.tiles and program.arena > len(program.image) else set()
        full = (known.kind == PER_ROW) & ~window & (known.form == RECORDS)
        seen |= {"filled"} if (p.base[full] == ARENA).any() else set()
        seen |= {"filled result"} if (p.base[full] > TILES).any() else set()
        seen |= {"sum that is a result"} if any(s.base > TILES for s in program.sums) else set()
    assert seen >= {"1 loops", "2 loops", "3 loops", "lag", "memory", "none", "both arenas", "filled", "filled result"}
    assert "sum that is a result" in seen


# --- the checks above can fail


def test_a_value_in_anothers_place_is_seen() -> None:
    """Two values that live at once."""
    x = np.ones(5)
    tape = record(lambda r, v: [r.elementwise("exp", v) * r.elementwise("sin", v) + 1.0], [x])
    program, known = placed(tape)
    Touched(program, known).follow()
    ats = program.code.record_at.tolist()
    words = program.code.records.copy()
    words[ats[1] + P0] = words[ats[0] + P0]
    with pytest.raises(AssertionError, match=r"reads|writes"):
        Touched(replace(program, code=replace(program.code, records=words)), known).follow()


def spoil_wanted(patch: pytest.MonkeyPatch, change: Callable[[Wanted], Wanted]) -> None:
    """Let the scheduler place something else than is wanted."""
    place = scheduling.place
    patch.setattr(scheduling, "place", lambda starts, operands, w, *rest: place(starts, operands, change(w), *rest))


def spoil_phases(patch: pytest.MonkeyPatch, change: Callable[[Phases], Phases]) -> None:
    """Let the scheduler work with other lags or histories."""
    phases = drafting.phases
    patch.setattr(drafting, "phases", lambda *given, **named: change(phases(*given, **named)))


FAULTS: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "a window that remembers rows is shared": (
        "nested",
        lambda p: spoil_wanted(p, lambda w: replace(w, lasting=np.zeros_like(w.lasting))),
    ),
    "what outlives a tile lives from its instruction to its last reader": (
        "rosenbrock",
        lambda p: spoil_wanted(p, lambda w: replace(w, first=np.arange(len(w.first)), last=np.arange(len(w.last)))),
    ),
    "half of a window": (
        "attention",
        lambda p: spoil_wanted(p, lambda w: replace(w, nbytes=np.where(w.window, w.nbytes // 2, w.nbytes))),
    ),
    "what a later loop reads is kept for a tile": (
        "standardised",
        lambda p: spoil_phases(p, lambda f: replace(f, full=np.zeros_like(f.full))),
    ),
    "one row of history too few": (
        "nested",
        lambda p: spoil_phases(p, lambda f: replace(f, history=np.maximum(f.history - 1, 0))),
    ),
    "one row too early": (
        "nested",
        lambda p: spoil_phases(p, lambda f: replace(f, lag=np.maximum(f.lag - 1, 0))),
    ),
}


@pytest.mark.parametrize("height", [1, 5])
@pytest.mark.parametrize("name", ["nested", "skewed", "rosenbrock", "standardised", "convolution", "factorisation"])
def test_a_record_that_runs_a_row_too_early_or_too_late_is_seen(name: str, height: int) -> None:
    """Any record that writes or reads more rows than one."""
    tape, _ = row_case(name, 33)
    program, known = placed(tape, height)
    for k, words in enumerate(records(program)):
        looping = any(s[0] == TILED and s[1] <= program.code.record_at[k] < s[2] for s in program.code.segments)
        for by in (-1, 1) if looping and words[0] != WORDS["SHIFT"] else ():
            with pytest.raises((AssertionError, IndexError)):
                Touched(moved(program, k, len(words) - FOLLOW, by), known).follow()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_schedule_is_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, spoil = FAULTS[fault]
    tape, _ = row_case(name, 33)
    Touched(*placed(tape, 5)).follow()
    spoil(monkeypatch)
    with pytest.raises(AssertionError):
        Touched(*placed(tape, 5)).follow()


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
