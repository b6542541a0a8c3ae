"""`Cost`: what a value and a gradient cost: instructions, flops, bytes, memory, time, and the lines that cost most."""

from __future__ import annotations

import linecache
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from tapegrad.costs.calibration import Calibration, rates
from tapegrad.costs.counts import counts
from tapegrad.costs.predict import around, by_instruction
from tapegrad.costs.rates import Rates
from tapegrad.costs.traffic import traffic
from tapegrad.costs.work import work
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.limits import MemoryLimit, bytes_of, within
from tapegrad.ops.row import FLOAT
from tapegrad.ops.table import flags
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import Program, schedule
from tapegrad.schedule.record import Records
from tapegrad.sweep.threads import num_threads, shares
from tapegrad.tape import Tape

CACHE: Final = 1 << 20  # bytes of a usual second-level cache: what lies further back is moved
TOP: Final = 10  # lines that are told
_CODE: Final = 60  # characters of a line of code
_UNITS: Final = ("", "k", "M", "G", "T", "P")


@dataclass(frozen=True, slots=True)
class Seconds:
    """Predicted time of one call: on one thread, and on as many as `num_threads()` was."""

    one: float
    all: float
    threads: int

    def __str__(self) -> str:
        text = f"{_time(self.one)} on 1 thread"
        return text if self.threads == 1 else f"{text}, {_time(self.all)} on {self.threads}"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a call has in memory.

    Attributes:
        arguments, results, constants: arrays that go in and come out, and that the tape holds.
        arena: what is computed in between; `tiles`: windows of rows, of all threads.
    """

    arguments: int
    results: int
    constants: int
    arena: int
    tiles: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.arguments + self.results + self.constants + self.arena + self.tiles

    def __str__(self) -> str:
        parts = [f"{name} {_bytes(n)}" for name in self.__slots__ if (n := getattr(self, name))]
        return f"{_bytes(self.total)}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of the source costs, in the forward and the reverse part.

    Attributes:
        line: "file:line".
        share: of the predicted time on one thread.
        flops, functions, bytes: as of `Cost`.
    """

    line: str
    share: float
    flops: float
    functions: float
    bytes: float

    @property
    def code(self) -> str:
        """The line itself, where the file is there."""
        file, _, number = self.line.rpartition(":")
        return linecache.getline(file, int(number)).strip() if number.isdecimal() else ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Cost:
    """What a call costs: of a gradient, or of a value where there is no gradient. It prints as a table.

    Attributes:
        dtype: of floating numbers.
        parameters: numbers that are differentiated by.
        instructions: of the forward and of the reverse part, those that compute or move something; `recomputed`: how
            many of them run again within a limit of memory.
        flops: additions, multiplications, divisions, comparisons and what matrix products and decompositions have
            of them; `products`: those of matrix products.
        functions: elements of which exp, tanh or another function is taken; no flops.
        bytes: to and from memory: of what was last touched more than a megabyte of other data ago. What stays in a
            cache within a tile is not moved.
        memory: bytes in memory.
        value, gradient: predicted times.
        lines: the most expensive source lines.
    """

    dtype: np.dtype[Any]
    parameters: int
    instructions: tuple[int, int]
    recomputed: int
    flops: float
    products: float
    functions: float
    bytes: float
    memory: Memory
    value: Seconds
    gradient: Seconds | None
    lines: tuple[Line, ...]

    def __repr__(self) -> str:
        forward, reverse = self.instructions
        what = "a value" if self.gradient is None else "a gradient"
        products = f", {100 * self.products / self.flops:.0f} % in matrix products" if self.products else ""
        rows = [
            ("cost of", f"{what}, {self.dtype}"),
            ("parameters", f"{self.parameters:,}"),
            ("instructions", f"{forward:,} forward{_more(reverse, 'reverse')}{_more(self.recomputed, 'again')}"),
            ("flops", f"{_number(self.flops)}{products}; {_number(self.functions)} values of functions"),
            ("bytes moved", _bytes(self.bytes)),
            ("memory", str(self.memory)),
            ("value", f"{self.value}, predicted"),
        ]
        if self.gradient is not None:
            rows.append(("gradient", f"{self.gradient}, predicted"))
        return "\n".join([*(f"{name:<14}{text}" for name, text in rows), *_table(self.lines)])


def cost(tape: Tape, *, scalar: bool, memory_limit: MemoryLimit = None, calibration: Calibration | None = None) -> Cost:
    """The cost of a gradient, computed as the drivers would: of a tape as it was recorded, or with its reverse part.

    Args:
        tape: any tape, in the order in which it was made.
        scalar: is its result one number that can be differentiated?
        memory_limit: bytes that the workspace of a gradient may take, as for `value_and_grad`.
        calibration: of the machine; this one's if it is None.

    Raises:
        MemoryLimitError: less than the gradient needs.
        SettingError: a limit that is none.
    """
    limit = bytes_of(memory_limit, "cost")
    whole = tape.reverse < len(tape)
    grows = scalar and not whole and len(tape.independents) > 0 and _is_number(tape)
    first = replace(tape, dependents=tape.dependents[:1]) if whole else tape
    value = optimize(first, drop_stops=True)
    full = optimize(optimize(adjoint(tape)), drop_stops=True) if grows else optimize(tape, drop_stops=True)
    known = rates(tape.dtype) if calibration is None else calibration.rates(tape.dtype)
    threads = num_threads()
    program = within(full, limit)[1] if grows or whole else schedule(full)
    return _cost(full, program, value if grows or whole else None, known, threads)


def _is_number(tape: Tape) -> bool:
    t = tape.type(int(tape.dependents[0])) if len(tape.dependents) == 1 else None
    return t is not None and t.shape == () and t.kind == FLOAT


def _cost(full: Tape, program: Program, value: Tape | None, known: Rates, threads: int) -> Cost:
    """The cost of a tape and its program; `value`: the tape that would run for the value alone, if that is another."""
    done = work(program)
    moved = traffic(done)
    computed = counts(program.tape)
    nanoseconds = by_instruction(program, done, moved, known, 1)
    nbytes = np.bincount(done.instruction, moved.beyond(CACHE), len(program.tape))
    time = _seconds(program, known, threads)
    active = ~flags("leaf")[full.opcodes]
    forward = int(active[: full.reverse].sum())
    return Cost(
        dtype=full.dtype,
        parameters=sum(full.type(s).size for s in full.independents.tolist()),
        instructions=(forward, int(active.sum()) - forward),
        recomputed=program.recomputed,
        flops=float(computed.flops.sum()),
        products=float(computed.products.sum()),
        functions=float(computed.functions.sum()),
        bytes=float(nbytes.sum()),
        memory=_memory(program, threads),
        value=time if value is None else _seconds(schedule(value), known, threads),
        gradient=None if value is None else time,
        lines=_lines(program.tape, nanoseconds, computed.flops, computed.functions, nbytes),
    )


def _seconds(program: Program, known: Rates, threads: int) -> Seconds:
    """The predicted time of one call."""
    done = work(program)
    moved = traffic(done)
    one, several = (
        1e-9 * (float(by_instruction(program, done, moved, known, n).sum()) + around(program, known, n))
        for n in (1, threads)
    )
    return Seconds(one, several, threads)


def _memory(program: Program, threads: int) -> Memory:
    """What a call has in memory."""
    tape, nbytes = program.tape, Records(program.tape.dtype).nbytes
    tiles = program.tiles * (threads if threads > 1 and any(shares(program, threads)) else 1)
    return Memory(
        arguments=sum(nbytes(tape.type(s)) for s in tape.inputs.tolist()),
        results=sum(nbytes(t) for t in program.outputs),
        constants=sum(c.nbytes for c in program.constants),
        arena=program.arena,
        tiles=tiles,
    )


def _lines(tape: Tape, nanoseconds: Any, flops: Any, functions: Any, nbytes: Any) -> tuple[Line, ...]:
    """The lines that take longest."""
    count = len(tape.lines)
    sums = [np.bincount(tape.line_ids, x, count) for x in (nanoseconds, flops, functions, nbytes)]
    total = max(float(sums[0].sum()), 1e-30)
    order = [k for k in np.argsort(-sums[0], kind="stable").tolist() if sums[0][k] > 0]
    return tuple(Line(tape.lines[k], float(sums[0][k]) / total, *(float(x[k]) for x in sums[1:])) for k in order[:TOP])


# --- as text


def _table(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    rows = [("share", "flops", "functions", "bytes", "line")]
    for x in lines:
        file, _, number = x.line.rpartition(":")
        place = f"{Path(file).name}:{number}  {x.code[:_CODE]}" if file else x.line
        rows.append((f"{100 * x.share:.0f} %", _number(x.flops), _number(x.functions), _bytes(x.bytes), place.rstrip()))
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    return ["", *("  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows)]


def _more(count: int, what: str) -> str:
    return f", {count:,} {what}" if count else ""


def _number(x: float) -> str:
    """Three digits and a unit: "3.29 G"."""
    scale = 0
    while x >= 999.5 and scale < len(_UNITS) - 1:
        x, scale = x / 1000, scale + 1
    digits = f"{x:.3g}" if scale or x != int(x) else str(int(x))
    return f"{digits} {_UNITS[scale]}".rstrip()


def _bytes(n: float) -> str:
    text = _number(n)
    return f"{text}B" if text[-1].isalpha() else f"{text} B"


def _time(seconds: float) -> str:
    """Three digits in the unit that a reader would choose."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"
