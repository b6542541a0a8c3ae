"""The numba options, in one place, so that kernel files are nearly all mathematics.

numba's disk cache trusts a kernel as long as the *one file* that holds it is unchanged. So a compiled
function calls compiled functions of its own file only, and takes tables as arguments, never as globals.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

import numba
from numba.core import event

PATIENCE: Final = 2.0  # seconds of compiling after which it is said
COMPILING: Final = "tapegrad: compiling its kernels, once a machine (about a minute)..."
OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}
# Without the wrappers for C and, where only kernels call it, for Python a function compiles in three quarters of the
# time (`python -m benchmarks compare --start --cold`).
INNER: Final[dict[str, Any]] = {"no_cpython_wrapper": True}
# Keeps nan and inf right: no reassociation, no assumption that they do not occur.
SAFE_MATH: Final = frozenset({"contract", "nsz"})
# Reductions alone may be reassociated: their vector form is also the more accurate one.
REDUCTION_MATH: Final = frozenset({"contract", "nsz", "reassoc"})


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function over integer arrays (a pass), compiled on first call and cached on disk."""
    return _jit(function, {})


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that only compiled functions of its own file call: it needs no way in from Python."""
    return _jit(function, INNER)


def entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numerical kernel that Python calls."""
    return _jit(function, {"fastmath": set(SAFE_MATH)})


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """A part of a numerical kernel, whose multiplications and additions may be contracted."""
    return _jit(function, {"fastmath": set(SAFE_MATH), **INNER})


def reduction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A numerical kernel whose sums may be taken in any order."""
    return _jit(function, {"fastmath": set(REDUCTION_MATH), **INNER})


def callback(function: Callable[..., Any], arguments: int) -> int:
    """The address of a function of so many int64 that returns nothing, for calls by address."""
    signature = numba.void(*[numba.int64] * arguments)
    try:
        made = numba.cfunc(signature, cache=True)(function)
    except RuntimeError:  # as below
        made = numba.cfunc(signature)(function)
    return int(made.address or 0)


def held(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that reads Python's objects, so it keeps the interpreter's lock."""
    return _jit(function, {"nogil": False})


def _jit(function: Callable[..., Any], options: dict[str, Any]) -> Callable[..., Any]:
    wanted = {**OPTIONS, **options}
    kept = "no_cpython_wrapper" not in options  # on disk; a part is kept with what calls it
    try:
        made: Callable[..., Any] = numba.njit(cache=kept, **wanted)(function)
    except RuntimeError:  # no folder for the cache can be written: compile anew in each process
        made = numba.njit(**wanted)(function)
    return made


class Announcer(event.Listener):
    """Says, once, that compiling takes long; says nothing where the kernels are found on disk.

    Compiled functions compile those that they call, so events come nested.
    """

    def __init__(self, limit: float = PATIENCE, clock: Callable[[], float] = perf_counter) -> None:
        self.limit = limit
        self.clock = clock
        self.told = False
        self._depth = 0
        self._since = 0.0
        self._spent = 0.0

    def on_start(self, event: Any) -> None:
        """A function is about to be compiled."""
        if not ours(event):
            return
        now = self.clock()
        if self._depth == 0:
            self._since = now
        self._depth += 1
        if not self.told and self._spent + now - self._since > self.limit:
            self.told = True
            print(COMPILING, file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        """A function has been compiled, or could not be."""
        if ours(event):
            self._depth -= 1
            if self._depth == 0:
                self._spent += self.clock() - self._since


def ours(event: Any) -> bool:
    """Is an event about a function of tapegrad?"""
    return str(event.data["dispatcher"].py_func.__module__).startswith("tapegrad.")


event.register("numba:compile", Announcer())  # type: ignore[no-untyped-call]
