"""A function of gathered parameters, cut where they are gathered: f(x) = g(x[i], x[j], ...).

A parameter may be read by very many residuals, as a camera's are by all points that it sees, and then rows that have no
column in common are few. But what was gathered is read by one residual each: the Jacobian of g needs as many reverse
sweeps as a residual has entries, and each of its columns is one of the parameters, known from the indices.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.ops.table import INPUT, OPCODES, OPS
from tapegrad.passes.optimize import optimize
from tapegrad.tape import Tape

# What a parameter may pass through before it is gathered: each entry stays one of its entries.
_MOVES: Final = frozenset({"slice", "reshape", "transpose", "item"})


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A tape in two parts.

    Attributes:
        gathered: the first part; its dependents are what is gathered of the independents.
        rest: the second part; what was gathered are further inputs. Its independents are those of the tape that it
            still needs, then these.
        kept: the places of the former among the tape's independents.
    """

    gathered: Tape
    rest: Tape
    kept: tuple[int, ...]


def cut_gathers(tape: Tape) -> Cut | None:
    """The tape, cut at the gathers of independents; None if it has none."""
    slots = _gathers(tape)
    if not slots:
        return None
    opcodes, attributes = tape.opcodes.copy(), tape.attribute_ids.copy()
    opcodes[slots] = INPUT
    attributes[slots] = len(tape.inputs) + np.arange(len(slots))
    widths = np.diff(tape.starts)
    reads = np.ones(len(tape.operands), np.bool_)
    for s in slots:
        reads[tape.starts[s] : tape.starts[s + 1]] = False
    widths[slots] = 0
    starts = np.append(0, np.cumsum(widths)).astype(np.int32)
    made = replace(
        tape,
        opcodes=opcodes,
        attribute_ids=attributes,
        starts=starts,
        operands=tape.operands[reads],
        inputs=np.append(tape.inputs, np.array(slots, np.int32)),
        independents=np.append(tape.independents, np.array(slots, np.int32)),
    )
    rest = optimize(made)
    needed = np.isin(rest.independents, np.append(rest.operands, rest.dependents))
    count = len(tape.independents)
    needed[count:] = True
    rest = replace(rest, independents=rest.independents[needed])
    first = replace(tape, dependents=np.array(slots, np.int32))
    return Cut(first, rest, tuple(np.flatnonzero(needed[:count]).tolist()))


def _gathers(tape: Tape) -> list[int]:
    """The gathers of independents that have done no more than move."""
    moves = np.array([op.name in _MOVES for op in OPS], np.bool_)
    moved, found = set(tape.independents.tolist()), []
    gather = OPCODES["gather"]
    for i in np.flatnonzero(moves[tape.opcodes] | (tape.opcodes == gather)).tolist():
        if int(tape.operands[tape.starts[i]]) in moved:
            if tape.opcodes[i] == gather:
                found.append(i)
            else:
                moved.add(i)
    return found


def combined(pattern: Any, targets: Any, columns: int) -> tuple[Any, Any]:
    """The pattern of f's Jacobian from that of g's.

    Args:
        pattern: g's, a bool `csr_array`.
        targets: for each of its columns the column of f's.
        columns: how many columns f's has.

    Returns:
        f's pattern, a bool `csr_array` with sorted indices, and for each entry of g's its place among the entries of
        f's; several have the same place where a row reads a parameter by two indices that are equal.

    >>> import scipy.sparse as sp
    >>> found, places = combined(sp.csr_array(np.array([[True, True, True]])), np.array([4, 0, 4]), 5)
    >>> found.indices, places
    (array([0, 4], dtype=int32), array([1, 0, 1]))
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    keys = rows * np.int64(columns) + targets[pattern.indices]
    if len(keys) and (np.diff(keys) > 0).all():  # as it is: nothing moves
        unique, places = keys, np.arange(len(keys))
    else:
        unique, places = np.unique(keys, return_inverse=True)
    starts = np.searchsorted(unique, np.arange(pattern.shape[0] + 1) * np.int64(columns))
    index = (unique % columns).astype(np.int32), starts.astype(pattern.indptr.dtype)
    return csr_array((np.ones(len(unique), np.bool_), *index), shape=(pattern.shape[0], columns)), places
