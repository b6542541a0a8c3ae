"""What the tests of the schedule and of its checks share: programs with where their slots were placed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pytest

import tapegrad.numpy
import tapegrad.schedule.program as scheduling
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import trace
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.code import Emission
from tapegrad.schedule.program import CHECKS, Program, schedule
from tapegrad.tape import Tape
from tests.helpers import record
from tests.random_programs import RandomChooser, write
from tests.row_cases import CASES
from tests.row_programs import write_rows

ARENA: Final = 0  # base of the arena


def drawn(seed: int) -> Tape:
    """The tape of a random program with its reverse part."""
    return _reversed(write(RandomChooser(np.random.default_rng(seed))), seed)


def drawn_rows(seed: int) -> Tape:
    """The same of a random program with rows."""
    return _reversed(write_rows(RandomChooser(np.random.default_rng(seed))), seed)


def _reversed(program: Any, seed: int) -> Tape:
    tape = optimize(record(program.record, program.draw(seed), program.independent, program.dtype))
    return optimize(adjoint(tape, seed_inputs=not program.scalar), drop_stops=True)


def row_case(name: str, n: int) -> tuple[Tape, list[Any]]:
    """The tape of value and gradient of a loss with n rows, and its inputs."""
    loss = CASES[name]
    bound = bind(loss.make(np.random.default_rng(0), n), (0,))
    tape = trace(partial(loss.f, tapegrad.numpy), bound, scalar=True).tape
    return optimize(adjoint(optimize(tape)), drop_stops=True), list(bound.inputs)


def placed(tape: Tape, height: int | None = None, modes: str = "") -> tuple[Program, Emission]:
    """A program, without checks if not asked for, and what was known of its slots when it was written."""
    kept: list[Emission] = []
    emit = scheduling.emit

    def remember(wanted: Emission, *arguments: Any, **options: Any) -> Any:
        kept.append(wanted)
        return emit(wanted, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHECKS, modes)
        patch.setattr(scheduling, "emit", remember)
        program = schedule(tape, height=height)
    return program, kept[-1]


def records(program: Program) -> Iterator[Any]:
    """The records, as views that can be written to."""
    words = program.code.records
    for at in program.code.record_at.tolist():
        yield words[at : at + words[at + 1]]


def moved(program: Program, k: int, word: int, by: int) -> Program:
    """The program with one word of record k changed."""
    code = replace(program.code, records=program.code.records.copy())
    code.records[code.record_at[k] + word] += by
    return replace(program, code=code)
