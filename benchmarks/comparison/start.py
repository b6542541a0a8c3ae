"""`compare --start`: from an empty process to the first gradient, on the softmax regression.

Counted are the imports of NumPy and the library, and the first call: making the function, taking the inputs over from
NumPy arrays, recording or compiling, the gradient. Not counted are Python's own start and the drawing of the inputs.
This module imports nothing but the standard library: what it is to time must not be loaded yet.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from benchmarks.comparison.timing import Setting

CASE: Final = "softmax"
STAGES: Final = {"imports": "import", "first": "first call", "total": "together", "second": "second call"}


@dataclass(frozen=True, slots=True)
class Way:
    """A library with the state of its caches."""

    title: str
    peer: str
    caches: Mapping[str, str] = field(hash=False)
    empties: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """Median seconds of each of the stages."""

    imports: float
    first: float
    total: float
    second: float


def child_main(text: str) -> int:
    """Run as a child: `text` is the JSON of the peer's name, its module and the setting."""
    wanted = json.loads(text)
    begin = perf_counter()
    try:
        importlib.import_module("numpy")
        importlib.import_module(wanted["module"])
    except ImportError:
        print("{}")
        return 0
    imports = perf_counter() - begin
    from benchmarks.comparison import peers
    from benchmarks.comparison.cases import CASES

    case = next(case for case in CASES if case.name == CASE)
    arguments = case.arguments(quick=wanted["quick"], dtype=wanted["dtype"])
    begin = perf_counter()
    prepared = peers.prepared(peers.BY_NAME[wanted["peer"]], case, arguments, wanted["threads"])
    prepared.call()
    first = perf_counter() - begin
    begin = perf_counter()
    prepared.call()
    second = perf_counter() - begin
    print(json.dumps({"imports": imports, "first": first, "total": imports + first, "second": second}))
    return 0


def ways(*, cold: bool, folder: Path) -> list[Way]:
    """The libraries that start, and what caches they find; `folder` is there to hold caches."""
    filled = {
        "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    found = [Way("tapegrad, numba's cache filled", "tapegrad", {}), Way("JAX", "jax", {})]
    if cold:
        found[0] = Way("tapegrad, numba's cache empty", "tapegrad", {}, empties="NUMBA_CACHE_DIR")
    else:
        found.append(Way("JAX, its compilation cache filled", "jax", filled))
    return [*found, Way("PyTorch", "torch", {}), Way("autograd", "autograd", {})]


def _run(way: Way, setting: Setting, folder: Path) -> dict[str, float]:
    text = json.dumps({"peer": way.peer, "module": way.peer, **asdict(setting)})
    command = [sys.executable, "-m", "benchmarks.comparison", "start", text]
    with tempfile.TemporaryDirectory(dir=folder) as empty:
        caches = {**way.caches, **({way.empties: empty} if way.empties else {})}
        answer = subprocess.run(
            command, env={**os.environ, **caches}, stdout=subprocess.PIPE, check=True, text=True
        ).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def measure(setting: Setting, tell: Callable[[str], None], *, cold: bool) -> dict[Way, Start]:
    """The median start of each way, run in turns; a first run of each, not counted, fills the caches."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs: dict[str, list[dict[str, float]]] = {}
        chosen = ways(cold=cold, folder=folder)
        tell("filling caches")
        present = [way for way in chosen if (cold and way.empties) or _run(way, setting, folder)]
        for k in range(setting.rounds):
            tell(f"round {k + 1}")
            for way in present:
                runs.setdefault(way.title, []).append(_run(way, setting, folder))
    return {
        way: Start(**{stage: statistics.median(run[stage] for run in runs[way.title]) for stage in STAGES})
        for way in present
    }


def render(found: dict[Way, Start], setting: Setting, *, cold: bool) -> str:
    """The report: one line a way to start."""
    from benchmarks.clock import format_seconds
    from benchmarks.comparison import report
    from benchmarks.table import grid

    ours = next(start.total for way, start in found.items() if way.peer == "tapegrad")
    rows = []
    for way, start in found.items():
        times = [format_seconds(getattr(start, stage)) for stage in STAGES]
        ratio = report.NOTHING if way.peer == "tapegrad" else f"**{ours / start.total:.2f}**"
        rows.append([way.title, *times, ratio])
    header = ["", *STAGES.values(), "tapegrad over it, together"]
    caches = "an empty cache of compiled kernels for us" if cold else "caches filled by a run before"
    sizes = " **Tiny sizes, to try the program out.**" if setting.quick else ""
    text = (
        f"A fresh process each, softmax regression, {setting.dtype}, {report.counted(setting.threads, 'thread')}, "
        f"{caches}; medians of {report.counted(setting.rounds, 'round')} in turns.{sizes} *Import* is NumPy and the "
        "library; *first call* makes the function, takes the inputs over from NumPy arrays, records or compiles, and "
        "gives a gradient. Python's own start and the drawing of the inputs are not counted. Above 1 in the last "
        "column we start slower."
    )
    return "\n\n".join([*report.heading("tapegrad and its peers: start"), text, grid(header, rows, left=1)]) + "\n"


def draw(found: dict[Way, Start], path: Path) -> None:
    """Bars for each stage; of a library that starts in two ways, the first."""
    from benchmarks.clock import format_seconds
    from benchmarks.comparison import chart

    first: dict[str, Start] = {}
    for way, start in found.items():
        first.setdefault(way.peer, start)
    groups: list[tuple[str, Any]] = []
    for stage, title in STAGES.items():
        times = {name: getattr(start, stage) for name, start in first.items()}
        best = min((t for name, t in times.items() if name != "tapegrad"), default=None)
        if best is not None:
            groups.append((title, {name: (t / best, format_seconds(t)) for name, t in times.items()}))
    chart.draw_bars(groups, "time relative to the best peer", path)
