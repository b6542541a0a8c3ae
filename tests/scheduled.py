"""What the tests of the schedule and of its checks share: programs with where their slots were placed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

import tapegrad.schedule.program as scheduling
from tapegrad.derivative.adjoint import adjoint
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.buffers import Placement
from tapegrad.schedule.program import CHECKS, Program, schedule
from tapegrad.tape import Tape
from tests.helpers import record
from tests.random_programs import RandomChooser, write

ARENA: Final = 0  # base of the arena


def drawn(seed: int) -> Tape:
    """The tape of a random program with its reverse part."""
    program = write(RandomChooser(np.random.default_rng(seed)))
    tape = optimize(record(program.record, program.draw(seed), program.independent, program.dtype))
    return optimize(adjoint(tape, seed_inputs=not program.scalar), drop_stops=True)


def placed(tape: Tape) -> tuple[Program, Placement]:
    """A program without checks, and where its slots were placed."""
    kept: list[Placement] = []
    place = scheduling.place

    def remember(*arguments: Any) -> Placement:
        kept.append(place(*arguments))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHECKS, "")
        patch.setattr(scheduling, "place", remember)
        program = schedule(tape)
    return program, kept[-1]


def records(program: Program) -> Iterator[Any]:
    """The records, as views that can be written to."""
    words = program.code.records
    for at in program.code.record_at.tolist():
        yield words[at : at + words[at + 1]]
