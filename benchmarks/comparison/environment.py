"""The threads a process may use: libraries read that once, when they are imported, so it is set before all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

MARK = "TAPEGRAD_COMPARE_THREADS"
POOLS = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
ONE_XLA_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def variables(threads: int) -> dict[str, str]:
    """The environment of a process whose libraries all use this many threads."""
    count = str(threads)
    found = dict.fromkeys(POOLS, count)
    # The size of XLA's own pools.
    found |= {"NPROC": count, "PJRT_NPROC": count, "JAX_PLATFORMS": "cpu", MARK: count}
    if threads == 1:
        found["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {ONE_XLA_THREAD}".strip()
    return found


def is_set(threads: int) -> bool:
    """Whether this process was started with `variables(threads)`."""
    return os.environ.get(MARK) == str(threads)


def start_again(arguments: Sequence[str], threads: int) -> None:
    """Replace this process by one that runs the same command in that environment; does not return."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = [sys.executable, "-m", "benchmarks", "compare", *arguments]
    os.execve(sys.executable, command, {**os.environ, **variables(threads)})
