"""How long a program takes: for each record what it computes, what it moves meanwhile, and what starts it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.costs.counts import counts
from tapegrad.costs.rates import Rates
from tapegrad.costs.traffic import Traffic
from tapegrad.costs.work import Work
from tapegrad.ops.row import FLOAT
from tapegrad.ops.table import OPS
from tapegrad.schedule.program import Program
from tapegrad.schedule.record import Records
from tapegrad.sweep.layout import WORDS
from tapegrad.sweep.threads import shares, usable_cores

_LOOP, _MATMUL, _GATHER = WORDS["LOOP"], WORDS["MATMUL"], WORDS["GATHER"]
_PARALLEL: Final = 1 << 18  # multiply-adds from which BLAS takes threads
_MAPPED: Final = 32 << 20  # bytes from which the C library asks the system for memory each time


def by_instruction(program: Program, work: Work, traffic: Traffic, rates: Rates, threads: int) -> Any:
    """float64[n]: nanoseconds of each instruction of a program's tape, on so many threads."""
    found = np.zeros(len(program.tape))
    np.add.at(found, work.instruction, _records(program, work, traffic, rates, threads))
    code: Any = program.code
    if len(code.row_origin):
        read = code.rows.nbytes / len(code.rows) * rates.bytes(float(code.rows.nbytes), written=False)
        each = np.hypot(rates.scalars()[program.tape.opcodes[code.row_origin]], read)
        found += np.bincount(code.row_origin, each, minlength=len(found))
    if program.calls:
        nbytes = Records(program.tape.dtype).nbytes
        computed = counts(program.tape).flops
        for segment, call in program.calls.items():
            i = int(code.segments[segment, 5])
            moved = sum(nbytes(place.type) for place in (*call.operands, call.result))
            flop = rates.found.get(f"call:{call.op.name}", rates.of("op:add"))
            found[i] += rates.of("call") + computed[i] * flop + moved * rates.of("read:8388608")
    return found


def around(program: Program, rates: Rates, threads: int) -> float:
    """Nanoseconds of a call that are no instruction's: the way in and out, threads, memory for large results."""
    nbytes = Records(program.tape.dtype).nbytes
    found = rates.of("sweep") + (rates.of("sweep:products") if program.products else 0.0)
    found += rates.of("sweep:array") * max(len(program.tape.inputs) + len(program.outputs) - 2, 0)
    if threads > 1:
        found += sum(shares(program, threads)) * rates.of("threads:start")
    return found + rates.of("fresh") * sum(n for t in program.outputs if (n := nbytes(t)) > _MAPPED)


def _records(program: Program, work: Work, traffic: Traffic, rates: Rates, threads: int) -> Any:
    compute = _elementwise(program, work, rates)
    product, selection = work.opcode == _MATMUL, work.opcode >= _GATHER
    compute[product] = _products(work, product, rates)
    compute[selection] = _selections(work, selection, rates)
    each = rates.bytes(traffic.distance, traffic.written), rates.bytes(traffic.near, traffic.written)
    memory = traffic.nbytes * each[0] + traffic.again * each[1]
    jumps = work.jumps / np.maximum(work.run_bytes, 1)  # a byte
    memory += jumps * (traffic.nbytes * rates.lines(traffic.distance) + traffic.again * rates.lines(traffic.near))
    memory[traffic.in_place] /= 2  # it has been read by the same record
    compute, moved = compute * work.runs, memory.sum(1)
    started = np.where(work.loop >= 0, rates.of("tile"), rates.of("dispatch")) * work.runs
    if threads > 1:
        cores = usable_cores()
        parallel = np.array([*shares(program, threads), False], np.bool_)[work.loop]
        wide = program.wide & product & (work.counts[:, :3].prod(1) >= _PARALLEL) & ~parallel
        compute *= np.where(parallel, rates.shared("compute", threads, cores), 1.0)
        compute *= np.where(wide, rates.shared("products", threads, cores), 1.0)
        started *= np.where(parallel, rates.shared("compute", threads, cores), 1.0)
        moved *= np.where(parallel | wide, rates.shared("memory", threads, cores), 1.0)
    return np.hypot(compute, moved) + started  # both at once, but not wholly


def _elementwise(program: Program, work: Work, rates: Rates) -> Any:
    """One run of what goes through inner stretches, element by element."""
    plain, into, strided = rates.moves()
    inner, opcode = work.strides[:, 0], work.opcode
    elements = work.counts.prod(1)
    code = np.where(opcode == _LOOP, program.tape.opcodes[work.instruction], opcode)
    single = (inner[:, 0] == 0) & (work.counts[:, 0] > 1)
    apart = (np.abs(inner) > 1).any(1)
    each = np.where(apart, strided[code], np.where(single, into[code], plain[code]))
    kinds = np.array([op.kinds == FLOAT * len(op.kinds) for op in OPS] + [True] * (len(plain) - len(OPS)))
    each = np.where(~kinds[code], plain[code], each)
    return elements * each + (work.counts[:, 1:].prod(1) - 1) * rates.stretches()[opcode]


def _products(work: Work, chosen: Any, rates: Rates) -> Any:
    m, n, k = (work.counts[chosen, j] for j in range(3))
    rounds = work.counts[chosen, 3:].prod(1)
    found = rounds * rates.products(m, n, k, work.words[chosen, 3])
    dots = (m == 1) & (n == 1) & (rounds > 1)  # a row each, without going through the machine for each
    single = rates.products(m, n, k, work.words[chosen, 3]) - rates.of("same")
    each = rates.of("stretch:product") + np.maximum(single, 0.0)
    return np.where(dots, rounds * each, found)


def _selections(work: Work, chosen: Any, rates: Rates) -> Any:
    """One run of gathers and scatters."""
    counts = work.counts[chosen]
    indices, after = counts[:, :3].prod(1), counts[:, 3]
    gathers = work.opcode[chosen] == _GATHER
    one, row, each, _ = rates.selections()
    add, add_row, add_each = rates.scatters()
    single = np.where(gathers, one, add)
    rows = np.where(gathers, row + after * each, add_row + after * add_each)
    return indices * np.where(after == 1, single, rows)
