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
    "FIRST",
    "LAST",
    "FROM",
    "TO",
)
STATUS: Final = ("OK", "GUARD_FAILED", "BAD_INDEX", "OUT_OF_BOUNDS")

# A record of an array instruction: opcode, length, four packed addresses, element sizes, number of outer
# axes, eight words of the op's own, then (length, four strides) for each outer axis.
P0: Final = 2
SIZES: Final = 6
ND: Final = 7
W0: Final = 8
DIMS: Final = 14

# A record of a loop over rows goes on with: lag, rows, the word that counts rows, what a row adds to it, bytes a
# row by operand, bytes by which a window of rows moves by operand. In the bounds-checking mode each record ends
# with the first byte and the end of what each operand may reach.
FOLLOW: Final = 12
BOUNDS: Final = 8
ALL_ROWS: Final = 1 << 40  # of a record that goes with each tile, whatever its rows

# Bases: the arena, windows of rows, results of reductions (the arena again, a thread's own where there are more),
# then the inputs, the array constants, the outputs.
ARENA, TILES, SUMS, FIRST_INPUT = range(4)

# Opcodes of the array machine that are not elementwise rows.
MOVES: Final = (
    "COPY",
    "LOOP",
    "FILL",
    "SHIFT",
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
    "SCATTER_SET",
)
# Opcodes of the scalar machine that are not elementwise rows. LOOP, LOOP_CELL: the loop of a ufunc.
CELLS: Final = ("LOAD_F", "LOAD_I", "LOAD_B", "LOOP_CELL")

# Inner loops of ufuncs that rows name: (path, kinds, kind of the result).
LOOPS: Final = tuple(dict.fromkeys((op.loop, op.kinds, op.result_kind) for op in OPS if op.loop))
# What libmvec calls the function of such a loop, where a row says so.
VECTORS: Final = MappingProxyType({op.loop: op.vector for op in OPS if op.vector})
# Words of the table of loops, a row each: the loop, its data; a vector function in its place or 0, lanes, bytes of
# an element, whether values beyond +-1 are rounding errors.
LOOP_ROW: Final = 6
# Bytes of the scratch memory before those of vector functions: arguments of loops and BLAS, then counters of axes.
VECTOR_SCRATCH: Final = 512


def words() -> dict[str, int]:
    """Every name above with its number."""
    first = len(OPS)
    named = {name: k for k, name in enumerate(CONTROL)}
    named |= {name: k for k, name in enumerate(STATUS)}
    named |= {"P0": P0, "SIZES": SIZES, "ND": ND, "W0": W0, "DIMS": DIMS, "FOLLOW": FOLLOW, "BOUNDS": BOUNDS}
    named |= {"ALL_ROWS": ALL_ROWS}
    named |= {"LOOP_ROW": LOOP_ROW, "VECTOR_SCRATCH": VECTOR_SCRATCH}
    named |= {name: first + k for k, name in enumerate(MOVES)}
    named |= {name: first + len(MOVES) + k for k, name in enumerate(CELLS)}
    return named


WORDS: Final = MappingProxyType(words())
