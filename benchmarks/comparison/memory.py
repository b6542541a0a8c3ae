"""`compare --memory`: how far a library's memory grows beyond the inputs and the gradient, in a process of its own.

The child imports the library, takes a first gradient of a tiny function, makes the inputs, and has the kernel forget
the peak so far. Then come three calls, each result kept until the next one is there. What is told is the peak of the
resident memory during them, less what was resident before them and less the gradient. So it holds intermediate values,
tapes, arenas, compilers at work on the first call, and, where a library needs room for a second gradient while the
first is kept, that too.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.comparison import peers, report, trees
from benchmarks.comparison.cases import CASES, Case
from benchmarks.comparison.peers import BY_NAME, OURS, PEERS, MissingPeerError
from benchmarks.comparison.timing import Setting
from benchmarks.table import grid

CALLS: Final = 3
MEBIBYTE: Final = 2**20
STATUS: Final = Path("/proc/self/status")
FORGET: Final = Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes of one peer for one case.

    Attributes:
        inputs: parameters and data.
        gradient: the gradient.
        beyond: the growth of the peak over what was there before, less the gradient.
        reset: whether the peak could be forgotten; where not, what was drawn before hides a part of the growth.
    """

    inputs: int
    gradient: int
    beyond: int
    reset: bool


def _status(field: str) -> int | None:
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _forget_peak() -> bool:
    try:
        FORGET.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes if isinstance(leaf, np.ndarray) else 8 for leaf in trees.leaves(tree))


def child(case: Case, name: str, setting: Setting) -> Growth:
    """What the child process does."""
    peer = BY_NAME[name]
    peers.wake(peer, setting.threads)
    if name == "hand":  # its first call, on tiny arrays, loads what numba has compiled
        tiny = case.arguments(quick=True, dtype=setting.dtype)
        peers.prepared(peer, case, tiny, setting.threads).call()
    arguments = case.arguments(quick=setting.quick, dtype=setting.dtype)
    inputs, gradient = _bytes(arguments), 0 if name == "numpy" else _bytes(arguments[0])
    prepared = peers.prepared(peer, case, arguments, setting.threads)
    del arguments
    gc.collect()
    reset = _forget_peak()
    before = (_status("VmRSS") if reset else None) or _peak()
    result = None
    for _ in range(CALLS):
        result = prepared.call()
    beyond = _peak() - before - gradient
    del result
    return Growth(inputs, gradient, max(0, beyond), reset)


def child_main(text: str) -> int:
    """Run as a child: `text` is the JSON of the case's and the peer's names and the setting."""
    wanted = json.loads(text)
    case = next(case for case in CASES if case.name == wanted["case"])
    try:
        print(json.dumps(asdict(child(case, wanted["peer"], Setting(**wanted["setting"])))))
    except MissingPeerError as error:
        print(json.dumps({"missing": str(error)}))
    return 0


def measure(cases: Sequence[Case], setting: Setting, tell: Callable[[str], None]) -> dict[str, dict[str, Growth]]:
    """The growth by case and peer, each in a fresh process."""
    found: dict[str, dict[str, Growth]] = {}
    for case in cases:
        tell(case.title)
        found[case.name] = {}
        for peer in (peer for peer in PEERS if not peers.refusal(peer, case)):
            text = json.dumps({"case": case.name, "peer": peer.name, "setting": asdict(setting)})
            command = [sys.executable, "-m", "benchmarks.comparison", "memory", text]
            answer = subprocess.run(command, env=os.environ, stdout=subprocess.PIPE, check=True, text=True).stdout
            growth = json.loads(answer.splitlines()[-1])
            if "missing" not in growth:
                found[case.name][peer.name] = Growth(**growth)
    return found


def _best(growths: dict[str, Growth]) -> int | None:
    return min((growth.beyond for name, growth in growths.items() if BY_NAME[name].is_rival), default=None)


def _ratio(growth: Growth, best: int) -> float:
    # Pages and allocators make less than a mebibyte a matter of chance.
    return max(growth.beyond, MEBIBYTE) / max(best, MEBIBYTE)


def render(found: dict[str, dict[str, Growth]], cases: Sequence[Case], setting: Setting) -> str:
    """The report: one line a case."""
    shown = [peer for peer in PEERS if any(peer.name in growths for growths in found.values())]
    rows, ratios = [], []
    for case in cases:
        growths, best = found[case.name], _best(found[case.name])
        ratio = None if best is None else _ratio(growths[OURS], best)
        ratios += [] if ratio is None else [ratio]
        ours = growths[OURS]
        cells = [_mebibytes(growths[peer.name].beyond) if peer.name in growths else report.NOTHING for peer in shown]
        told = report.NOTHING if ratio is None else f"**{ratio:.2f}**"
        rows.append([case.title, told, _mebibytes(ours.inputs), _mebibytes(ours.gradient), *cells])
    header = ["case", "tapegrad / best peer", "inputs", "gradient", *(peer.title for peer in shown)]
    mean = report.geometric_mean(ratios)
    parts = [*report.heading("tapegrad and its peers: memory"), _legend(setting), grid(header, rows, left=1)]
    if mean is not None:
        parts.append(
            f"Geometric mean of *tapegrad / best peer* over {report.counted(len(ratios), 'case')}: {mean:.2f}."
        )
    if not all(growth.reset for growths in found.values() for growth in growths.values()):
        parts.append("The peak could not be reset here: drawing the inputs hides a part of the growth.")
    return "\n\n".join(parts) + "\n"


def _legend(setting: Setting) -> str:
    return (
        f"MiB by which the resident memory of a fresh process grows at its peak over {CALLS} calls, the first (which "
        "records or compiles) included, beyond what was resident before them - the library, imported and warmed up by "
        "a tiny gradient, and the inputs in its own form - and beyond one gradient. The last result is kept while the "
        f"next is computed. {setting.dtype}, {report.counted(setting.threads, 'thread')}. *tapegrad / best peer*: "
        "below 1 we need less than the most frugal other library, above 1 more; growths below 1 MiB count as 1 MiB. "
        "*NumPy forward* is the value alone."
    )


def _mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:,.1f}"


def draw(found: dict[str, dict[str, Growth]], cases: Sequence[Case], path: Path) -> None:
    """Bars against the most frugal peer."""
    from benchmarks.comparison import chart

    groups = []
    for case in cases:
        growths, best = found[case.name], _best(found[case.name])
        if best is not None:
            bars = {name: (_ratio(g, best), f"{_mebibytes(g.beyond)} MiB") for name, g in growths.items()}
            groups.append((case.title, bars))
    chart.draw_bars(groups, "memory beyond inputs and gradient, relative to the best peer", path)
