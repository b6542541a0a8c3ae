"""Where things stand in the arrays that a kernel reads: the control block, records, statuses, opcodes.

The kernels are generated with these numbers written in; the schedule writes records with the same names.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tapegrad.ops.table import OPS

# Control block: int64 words, most of them addresses.
CONTROL: Final = (
    "SEGMENTS",
    "SEGMENT_COUNT",
    "RECORDS",
    "SCALARS",
    "BASES",
    "EXTENTS",
    "SIDE",
    "LOOPS",
    "BLAS",
    "SCRATCH",
    "CHECK",
    "WHERE",
    "DETAIL",
    "SEGMENT",
    "GUARDED",
)
STATUS: Final = ("OK", "GUARD_FAILED", "BAD_INDEX", "OUT_OF_BOUNDS")

# A record of an array instruction: opcode, length, four packed addresses, element sizes, number of outer
# axes, eight words of the op's own, then (length, four strides) for each outer axis.
P0: Final = 2
SIZES: Final = 6
ND: Final = 7
W0: Final = 8
DIMS: Final = 14

# Opcodes of the array machine that are not elementwise rows.
MOVES: Final = (
    "COPY",
    "LOOP",
    "FILL",
    "ACCUMULATE",
    "MATMUL",
    "SUM_F",
    "MAX_F",
    "MIN_F",
    "SUM_I",
    "MAX_I",
    "MIN_I",
    "GATHER",
    "SCATTER_ADD",
)
# Opcodes of the scalar machine that are not elementwise rows. LOOP, LOOP_CELL: the loop of a ufunc.
CELLS: Final = ("LOAD_F", "LOAD_I", "LOAD_B", "LOOP_CELL")

# Inner loops of ufuncs that rows name: (path, kinds, kind of the result).
LOOPS: Final = tuple(dict.fromkeys((op.loop, op.kinds, op.result_kind) for op in OPS if op.loop))


def words() -> dict[str, int]:
    """Every name above with its number."""
    first = len(OPS)
    named = {name: k for k, name in enumerate(CONTROL)}
    named |= {name: k for k, name in enumerate(STATUS)}
    named |= {"P0": P0, "SIZES": SIZES, "ND": ND, "W0": W0, "DIMS": DIMS}
    named |= {name: first + k for k, name in enumerate(MOVES)}
    named |= {name: first + len(MOVES) + k for k, name in enumerate(CELLS)}
    return named


WORDS: Final = MappingProxyType(words())
