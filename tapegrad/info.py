"""What this installation runs on: for bug reports, and to see which code is behind a number."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tapegrad.ops.row import Op
from tapegrad.ops.table import ELEMENTWISE_KINDS, OPS
from tapegrad.sweep.fresh import kernels
from tapegrad.sweep.loops import AVX2, AVX512, registers, vector_function
from tapegrad.version import __version__

_REGISTERS: Final = MappingProxyType({AVX2: "AVX2", AVX512: "AVX-512"})
_OWNERS: Final = MappingProxyType({"numpy": "NumPy", "scipy": "SciPy"})


@dataclass(frozen=True, slots=True, repr=False)
class Info:
    """What `info` found; it prints as a few lines.

    Attributes:
        versions: of tapegrad, of Python and of the libraries that compute.
        features: registers of the CPU that vector functions use.
        functions: for each transcendental function by name, the code that runs it on arrays, in float64 and in
            float32. Scalars are computed by libm.
        cache: the folder of the compiled kernels; "" where none can be written and each process compiles them.
        cores: how many cores this process may use.
    """

    versions: Mapping[str, str]
    features: tuple[str, ...]
    functions: Mapping[str, tuple[str, str]]
    cache: str
    cores: int

    def __repr__(self) -> str:
        by_code: dict[str, list[str]] = {}
        for name, codes in self.functions.items():
            by_code.setdefault(" / ".join(dict.fromkeys(codes)), []).append(name)
        return "\n".join(
            [
                ", ".join(f"{name} {version}" for name, version in self.versions.items()),
                f"cores: {self.cores}; registers for vector functions: {', '.join(self.features) or 'none'}",
                f"compiled kernels: {self.cache or 'nowhere, each process compiles them'}",
                "functions on arrays, float64 / float32 where they differ:",
                *(f"  {code}: {', '.join(names)}" for code, names in by_code.items()),
            ]
        )


def _code(op: Op, itemsize: int) -> str:
    found = vector_function(op.loop, itemsize)
    return f"libmvec, {found.lanes} lanes" if found else _OWNERS[op.loop.partition(".")[0]]


def processor() -> str:
    """The processor's model name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except (OSError, UnicodeDecodeError):
        pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def info() -> Info:
    """Versions, what the CPU offers, and which code runs each transcendental function.

    >>> import tapegrad as tg
    >>> print(tg.info())  # doctest: +ELLIPSIS
    tapegrad ..., Python ..., numba ..., NumPy ..., SciPy ...
    cores: ...; registers for vector functions: ...
    compiled kernels: ...
    functions on arrays, float64 / float32 where they differ:
    ...
    >>> tg.info().functions["exp"]
    ('NumPy', 'NumPy')
    """
    libraries = {name: importlib.metadata.version(name.lower()) for name in ("numba", "NumPy", "SciPy")}
    transcendental = [op for op in OPS if op.loop and op.differentiable and len(ELEMENTWISE_KINDS[op.name]) == 1]
    return Info(
        versions=MappingProxyType(
            {"tapegrad": __version__, "Python": platform.python_version(), **libraries},
        ),
        features=tuple(_REGISTERS[size] for size in sorted(registers())),
        functions=MappingProxyType({op.name: (_code(op, 8), _code(op, 4)) for op in transcendental}),
        cache=kernels().sweep.stats.cache_path or "",
        cores=_cores(),
    )
