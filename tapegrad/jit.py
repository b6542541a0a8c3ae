"""The numba options, in one place, so that kernel files are nearly all mathematics.

numba's disk cache trusts a kernel as long as the *one file* that holds it is unchanged. So a compiled
function calls compiled functions of its own file only, and takes tables as arguments, never as globals.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba

OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "nogil": True}
# Keeps nan and inf right: no reassociation, no assumption that they do not occur.
SAFE_MATH: Final = frozenset({"contract", "nsz"})
# Reductions alone may be reassociated: their vector form is also the more accurate one.
REDUCTION_MATH: Final = frozenset({"contract", "nsz", "reassoc"})


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function over integer arrays (a pass), compiled on first call and cached on disk."""
    return _jit(function, {})


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numerical kernel, whose multiplications and additions may be contracted."""
    return _jit(function, {"fastmath": set(SAFE_MATH)})


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numerical kernel whose sums may be taken in any order."""
    return _jit(function, {"fastmath": set(REDUCTION_MATH)})


def _jit(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    try:
        made: Callable[..., Any] = numba.njit(cache=True, **OPTIONS, **options)(function)
    except RuntimeError:  # no folder for the cache can be written: compile anew in each process
        made = numba.njit(**OPTIONS, **options)(function)
    return made
