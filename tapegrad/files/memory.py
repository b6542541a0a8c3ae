"""What a tape needs to run, known before anything of it is allocated."""

from __future__ import annotations

from math import prod

from tapegrad.errors import TapegradError
from tapegrad.files.wrong import Wrong, require
from tapegrad.ops.row import ArrayType
from tapegrad.ops.table import OPCODES
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import Program, schedule
from tapegrad.tape import Tape


def scheduled(tape: Tape, limit: int) -> Program:
    """The program of a tape that has been checked; `Wrong` where a sweep would need more bytes than the limit."""
    results = sum(_nbytes(tape, tape.type(d)) for d in tape.dependents.tolist())
    _require_below(results + sum(c.nbytes for c in tape.constants), limit)
    for i in (tape.opcodes == OPCODES["complement"]).nonzero()[0].tolist():
        *batch, m, n = tape.type(tape.read(i)[0]).shape  # it computes all vectors, and gives a part of them
        _require_below(prod(batch) * (m * m + n * n) * tape.dtype.itemsize, limit)
    try:
        program = schedule(optimize(tape, drop_stops=True))
    except TapegradError as error:
        raise Wrong(f"which cannot be run ({error})") from None
    _require_below(program.arena + program.tiles + results + sum(c.nbytes for c in program.constants), limit)
    return program


def _nbytes(tape: Tape, t: ArrayType) -> int:
    return t.size * t.dtype(tape.dtype).itemsize


def _require_below(nbytes: int, limit: int) -> None:
    require(nbytes <= limit, f"which needs {nbytes} bytes to run, where {limit} are allowed (memory_limit=)")
