"""What was measured of this machine, once, and is kept on disk.

A file in the user's cache folder, or in that of TAPEGRAD_CACHE_DIR. It counts only if all of it is as it should be, and
is of this machine and these versions; else the machine is measured again. Nothing is measured at import.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.atomic import replacing
from tapegrad.costs.measure import measure, measured
from tapegrad.costs.rates import Rates
from tapegrad.info import info, processor
from tapegrad.ops.table import digest
from tapegrad.sweep.threads import usable_cores

VARIABLE: Final = "TAPEGRAD_CACHE_DIR"
FORMAT: Final = 1
DTYPES: Final = ("float64", "float32")
_LARGEST: Final = 1 << 20  # bytes of a file that is read
_SLOWEST: Final = 1e12  # nanoseconds


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Calibration:
    """How fast a machine is; prints as a few lines.

    Attributes:
        machine: what was measured: processor, cores, versions.
        found: by dtype, nanoseconds by name.
    """

    machine: Mapping[str, str]
    found: Mapping[str, Mapping[str, float]]

    def rates(self, dtype: np.dtype[Any]) -> Rates:
        """The costs of things on tapes of a dtype; `KeyError` where they have not been measured."""
        return Rates(self.found[dtype.name])

    def __repr__(self) -> str:
        lines = [f"machine: {self.machine['processor']}, cores: {self.machine['cores']}"]
        for name, found in self.found.items():
            rates, size = Rates(found), np.dtype(name).itemsize
            product = 2 * 512**3 / found["product:NN:512x512x512"]
            near, far = 1 / rates.bytes(np.array([1 << 20, 1 << 26]), np.array([False, False]))
            lines.append(
                f"{name}: products {product:.1f} Gflop/s, memory {far:.1f} GB/s, second-level cache {near:.1f} GB/s, "
                f"add {found['op:add']:.2f} ns, exp {found['op:exp']:.2f} ns an element of {size} bytes, "
                f"an array instruction {found['dispatch']:.0f} ns, a scalar one {rates.scalars().min():.1f} ns"
            )
        return "\n".join(lines)


@dataclass(slots=True)
class _Kept:
    """What this process knows of a file."""

    calibration: Calibration | None = field(default=None)


@cache
def _kept(path: Path | None) -> _Kept:
    del path
    return _Kept()


def calibrate(*, force: bool = False) -> Calibration:
    """How fast this machine is: measured once, in a few seconds, and kept on disk.

    `tape.cost()` and `plan_shapes` ask for it themselves. Measure on a machine that does nothing else.

    Args:
        force: whether to measure again what is known already.

    >>> import tapegrad as tg
    >>> tg.calibrate()  # doctest: +ELLIPSIS
    machine: ..., cores: ...
    float64: products ... Gflop/s, memory ... GB/s, ...
    float32: products ... Gflop/s, memory ... GB/s, ...
    """
    return _calibrated(DTYPES, force=force)


def rates(dtype: np.dtype[Any]) -> Rates:
    """The costs of things on this machine, for tapes of a dtype."""
    return _calibrated((dtype.name,), force=False).rates(dtype)


def _calibrated(dtypes: tuple[str, ...], *, force: bool) -> Calibration:
    path, machine = _path(), _machine()
    kept = _kept(path)
    known = kept.calibration or (None if path is None else _read(path, machine))
    if known is not None and known.machine != machine:
        known = None
    found = {} if known is None or force else dict(known.found)
    missing = [name for name in dtypes if name not in found]
    for name in missing:
        found[name] = MappingProxyType(measure(np.dtype(name)))
    kept.calibration = Calibration(MappingProxyType(machine), MappingProxyType(found))
    if missing and path is not None:
        _write(path, kept.calibration)
    return kept.calibration


def _machine() -> dict[str, str]:
    """What a measurement depends on."""
    about = info()
    return {
        "processor": processor(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "cores": str(usable_cores()),
        "registers": ", ".join(about.features),
        "operations": digest(),
        **about.versions,
    }


# --- the file


def _path() -> Path | None:
    """Where the file is; None where the user has no folder."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given) / "calibration.json"
    try:
        return _folder() / "tapegrad" / "calibration.json"
    except RuntimeError:  # no home
        return None


def _folder() -> Path:
    """The user's cache folder."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if Path(given).is_absolute() else Path.home() / ".cache"


def _read(path: Path, machine: Mapping[str, str]) -> Calibration | None:
    """What a file holds, if it is sound and of this machine."""
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
        content = json.loads(text) if len(text) <= _LARGEST else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("format") != FORMAT or content.get("machine") != machine:
        return None
    found = content.get("nanoseconds")
    if not isinstance(found, dict) or not set(found) <= set(DTYPES):
        return None
    if not all(_sound(part) for part in found.values()):
        return None
    return Calibration(
        MappingProxyType(dict(machine)),
        MappingProxyType({name: MappingProxyType(part) for name, part in found.items()}),
    )


def _sound(part: Any) -> bool:
    """Is it a positive number for each name?"""
    if not isinstance(part, dict) or set(part) != measured():
        return False
    return all(type(x) in {int, float} and 0 < x < _SLOWEST for x in part.values())  # a nan is neither


def _write(path: Path, made: Calibration) -> None:
    """Put a file there, at once; nothing happens where that is not allowed."""
    content = {
        "format": FORMAT,
        "machine": dict(made.machine),
        "nanoseconds": {name: dict(part) for name, part in made.found.items()},
    }
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(json.dumps(content, indent=0).encode("utf-8"))
