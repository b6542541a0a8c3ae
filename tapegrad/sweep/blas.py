"""BLAS: addresses of its routines, and how many threads it may take during a sweep.

Small products on several BLAS threads cost more in waking them than in work; tiles on our own threads call BLAS
from each. So BLAS keeps to one thread during a sweep, except for whole products that are large.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Final

import numpy as np

_PREFIXES: Final = ("scipy_openblas", "openblas")
_SUFFIXES: Final = ("", "64_")
_FIRST: Final = Lock()


@cache
def _routine(name: str) -> int:
    """Address of a BLAS routine; imported late, because scipy.linalg takes 0.2 to 0.4 s."""
    import scipy.linalg.cython_blas as module

    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype, api.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
    get = api.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address: int = get(capsule, api.PyCapsule_GetName(capsule))
    return address


def blas_table(dtype: np.dtype[Any]) -> Any:
    """Addresses of gemm and gemv."""
    letter = "d" if dtype.itemsize == 8 else "s"
    return np.array([_routine(letter + "gemm"), _routine(letter + "gemv")], np.int64)


@dataclass(slots=True)
class Limit:
    """The number of threads that SciPy's OpenBLAS may use: the least that any running sweep asks for.

    With another BLAS, `read` and `write` are None and nothing is limited.
    """

    read: Callable[[], int] | None
    write: Callable[[int], None] | None
    lock: Lock = field(default_factory=Lock)
    wanted: list[int] = field(default_factory=list)
    before: int = 1

    def enter(self, count: int) -> None:
        """Ask for at most `count` threads."""
        if self.read is None or self.write is None:
            return
        with self.lock:
            if not self.wanted:
                self.before = self.read()
            self.wanted.append(count)
            self.write(min(self.wanted))

    def leave(self, count: int) -> None:
        """Take that back."""
        if self.write is None:
            return
        with self.lock:
            self.wanted.remove(count)
            self.write(min(self.wanted) if self.wanted else self.before)


def limit() -> Limit:
    """The limit of this process: one, also where several threads are the first to ask for it."""
    with _FIRST:
        return _limit()


@cache
def _limit() -> Limit:
    import scipy

    package = Path(scipy.__file__).parent
    folders = (package.parent / "scipy.libs", package / ".dylibs")
    for path in (p for folder in folders for p in sorted(folder.glob("*openblas*"))):
        try:
            library = ctypes.CDLL(str(path))
        except OSError:
            continue
        for prefix in _PREFIXES:
            for suffix in _SUFFIXES:
                names = [f"{prefix}_{verb}_num_threads{suffix}" for verb in ("get", "set")]
                if all(hasattr(library, name) for name in names):
                    return Limit(*(getattr(library, name) for name in names))
    return Limit(None, None)


@dataclass(frozen=True, slots=True)
class BlasThreads:
    """`with BlasThreads(1): ...` keeps BLAS to that many threads."""

    count: int

    def __enter__(self) -> None:
        limit().enter(self.count)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        limit().leave(self.count)
