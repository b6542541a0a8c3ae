"""The pattern of a Jacobian, read off the tape: which entries may be nonzero, for any values of the inputs.

Sets of independent entries go through the instructions as values do (Griewank & Walther, Evaluating Derivatives,
2nd ed. 2008, section 7.1: sparsity patterns by propagating index domains).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.derivative.expand import activity
from tapegrad.errors import UnsupportedError, describe
from tapegrad.jit import compiled
from tapegrad.ops.table import OPS, flags
from tapegrad.sparse import pool, sets
from tapegrad.sparse.known import Known
from tapegrad.sparse.reader import NoRoomError, Reader
from tapegrad.sparse.rules import reads, rule
from tapegrad.tape import Tape

MOST_ENTRIES: Final = 5 * 10**7
_WIDEST: Final = 4  # operands that the loop over scalars takes
_UNKNOWN: Final = "?"  # the line of an instruction that no line of the user's recorded


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """What was read off a tape.

    Attributes:
        matrix: bool `scipy.sparse.csr_array`, a row an entry of the dependents, a column one of the independents.
        read: the places of integer arguments whose values it holds for; for others it holds whatever they are.
    """

    matrix: Any
    read: tuple[int, ...]


@compiled
def _needed(starts: Any, operands: Any, active: Any, needed: Any, last: Any) -> None:
    """Mark the active slots that a dependent reads, and the last instruction that reads each."""
    for i in range(len(starts) - 2, -1, -1):
        if needed[i]:
            for o in range(starts[i], starts[i + 1]):
                s = operands[o]
                if active[s]:
                    needed[s] = True
                    last[s] = max(last[s], i)


@compiled
def _any_of(starts: Any, operands: Any, flag: Any, found: Any) -> None:
    """Mark the instructions that read a slot with the flag."""
    for i in range(len(starts) - 1):
        for o in range(starts[i], starts[i + 1]):
            if flag[operands[o]]:
                found[i] = True


def jacobian_pattern(tape: Tape, inputs: Sequence[Any] | None = None, most: int = MOST_ENTRIES) -> Any:
    """Which entries of the Jacobian of all dependents by all independents may be nonzero.

    Args:
        tape: the tape of a function.
        inputs: its arguments, one array each. Given, integers among them are taken for fixed, so that what is
            selected by them depends on the selected entries only; `read_pattern` tells which of them mattered.
        most: entries that the pattern may have.

    Returns:
        A bool `scipy.sparse.csr_array` of shape (size of the dependents, size of the independents).

    Raises:
        UnsupportedError: the pattern has more than `most` entries.

    >>> import numpy as np, tapegrad as tg
    >>> tape = tg.record(lambda x: x[1:] * x[0], np.ones(4)).tape
    >>> print(jacobian_pattern(tape).toarray().astype(int))
    [[1 1 0 0]
     [1 0 1 0]
     [1 0 0 1]]
    """
    return read_pattern(tape, inputs, most).matrix


def read_pattern(tape: Tape, inputs: Sequence[Any] | None = None, most: int = MOST_ENTRIES) -> Pattern:
    """As `jacobian_pattern`, with the places of the integer arguments that the pattern depends on."""
    r = _reader(tape, Known.of(tape, inputs))
    _go_through(r, most)
    return Pattern(_matrix(r, most), tuple(sorted(r.known.read)))


def _reader(tape: Tape, known: Known) -> Reader:
    n, active = len(tape), activity(tape)
    needed, careful, last = np.zeros(n, np.bool_), np.zeros(n, np.bool_), np.full(n, -1)
    needed[tape.dependents] = active[tape.dependents]
    _needed(tape.starts, tape.operands, active, needed, last)
    last[tape.dependents] = n
    _any_of(tape.starts, tape.operands, known.may_vanish(), careful)
    independents = tape.independents.tolist()
    ends = np.cumsum([0, *(tape.type(s).size for s in independents)])
    r = Reader(tape, known, needed, careful, last, pool.new_pool(int(ends[-1])), {}, np.zeros(n, np.int32))
    for slot, first, end in zip(independents, ends, ends[1:], strict=False):
        r.put(slot, np.arange(first + 1, end + 1, dtype=np.int32).reshape(tape.type(slot).shape))
    return r


def _go_through(r: Reader, most: int) -> None:
    """Give every slot its pattern, and drop it when it has been read last."""
    tape, n = r.tape, len(r.tape)
    todo = r.active & ~flags("leaf")[tape.opcodes]
    scalar = np.array([t.shape == () for t in tape.types], np.bool_)[tape.type_ids]
    taken, widths = _taken(), np.diff(tape.starts)
    simple = todo & scalar & ~r.careful & flags("elementwise")[tape.opcodes] & (widths <= _WIDEST)
    before = np.append(0, np.cumsum(simple))
    place = 0
    for i in [*np.flatnonzero(todo & ~simple).tolist(), n]:
        if before[i] > before[place]:
            _scalars(r, (place, i), (simple, taken), most)
        if i < n:
            r.put(i, _with_room(r, i, most))
            r.drop(i)
        place = i + 1


def _taken() -> Any:
    """bool[opcodes, operands]: does the derivative of an elementwise op to its operand exist?"""
    taken = np.zeros((len(OPS), _WIDEST), np.bool_)
    for code, op in enumerate(OPS):
        for k, text in enumerate(op.partials[:_WIDEST]):
            taken[code, k] = reads(text)
    return taken


def _scalars(r: Reader, run: tuple[int, int], marks: tuple[Any, Any], most: int) -> None:
    """A run of scalar instructions; between them are others that nothing active comes from."""
    i, end = run
    failed = -1
    while i < end:
        i, room = sets.scalars(
            i, end, *marks, r.active, r.tape.opcodes, r.tape.starts, r.tape.operands, r.names, *r.pool[:-1]
        )
        if not room:
            _make_room(r, i, most, more=i == failed)
            failed = i


def _with_room(r: Reader, i: int, most: int) -> Any:
    """The pattern of an instruction; the pool of sets grows until it can be made."""
    work, more = rule(int(r.tape.opcodes[i])), False
    while True:
        try:
            return work(r, i)
        except NoRoomError:
            _make_room(r, i, most, more=more)
            more = True


def _make_room(r: Reader, i: int, most: int, *, more: bool) -> None:
    """Drop sets that are not needed any more, or, where that has been done already, take a larger pool."""
    larger = (pool.enlarged if more else pool.collected)(r.pool, r.live(i), most)
    if larger is None:
        raise _too_dense(r, i, most)
    r.pool = larger


def _matrix(r: Reader, most: int) -> Any:
    """The pattern of the dependents as a matrix."""
    from scipy.sparse import csr_array

    dependents = r.tape.dependents.tolist()
    names = [np.asarray(r.pattern(s)).reshape(-1) for s in dependents]
    rows = np.concatenate([np.zeros(0, np.int32), *names])
    pointers = np.append(0, np.cumsum(pool.lengths(r.pool, rows), dtype=np.int64))
    if pointers[-1] > most:
        ends = np.cumsum([len(v) for v in names])
        raise _too_dense(r, next(s for s, end in zip(dependents, ends, strict=True) if pointers[end] > most), most)
    indices = np.empty(int(pointers[-1]), np.int32)
    sets.written(rows, pointers, indices, r.pool.entries, r.pool.sets)
    small = pointers.astype(np.int32) if pointers[-1] < np.iinfo(np.int32).max else pointers
    return csr_array((np.ones(len(indices), np.bool_), indices, small), shape=(len(rows), pool.entry_count(r.pool)))


def _too_dense(r: Reader, i: int, most: int) -> UnsupportedError:
    """The error for a pattern with too many entries; it names the line of instruction i, or of what that reads."""
    tape = r.tape
    while tape.line(i) == _UNKNOWN and any(r.active[s] for s in tape.read(i)):
        i = next(s for s in tape.read(i) if r.active[s])
    found, wanted = f"more than {most} entries", "a sparse derivative; dense ones have drivers of their own"
    return UnsupportedError(describe("sparsity pattern", found=found, wanted=wanted, line=tape.line(i)))
