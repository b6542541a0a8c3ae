"""The way to the kernels, which refuses those of another op table."""

from __future__ import annotations

from functools import cache
from typing import Any

from tapegrad.errors import StaleKernelsError
from tapegrad.jit import callback
from tapegrad.ops.table import digest


@cache
def kernels() -> Any:
    """The module of kernels, once it is known to be generated from the op table as it is."""
    from tapegrad.sweep import kernels as module

    if digest() != module.DIGEST:
        raise StaleKernelsError("the op table has changed: run `python -m tools.generate_kernels`")
    return module


@cache
def checker() -> int:
    """The address of the bounds check, compiled only where it is asked for."""
    return callback(kernels().check, 6)
