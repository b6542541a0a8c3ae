"""`compare --scaling`: the transcendental sum from a thousand entries to ten million, in nanoseconds an entry."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.comparison import losses, peers, report
from benchmarks.comparison.cases import Case, points
from benchmarks.comparison.peers import PEERS
from benchmarks.comparison.timing import Outcome, Setting, measure_case
from benchmarks.table import grid

SIZES: Final = (10**3, 10**4, 10**5, 10**6, 10**7)
QUICK_SIZES: Final = (10, 100)


def measure(setting: Setting, tell: Callable[[str], None]) -> dict[int, Outcome]:
    """The outcome of each size."""
    for peer in PEERS:
        peers.wake(peer, setting.threads)
    outcomes = {}
    for n in QUICK_SIZES if setting.quick else SIZES:
        tell(f"{n:,} entries")
        outcomes[n] = measure_case(Case("transcendental", f"{n:,}", losses.transcendental, points(n)), setting)
    return outcomes


def render(outcomes: dict[int, Outcome], setting: Setting) -> str:
    """The report: one line a size."""
    found = list(outcomes.items())
    shown = [peer for peer in PEERS if any(peer.name in outcome.measured for _, outcome in found)]
    rows = []
    for n, outcome in found:
        times = [outcome.seconds(peer.name) for peer in shown]
        ratio = report.NOTHING if outcome.ratio is None else f"**{outcome.ratio:.2f}**"
        cells = (report.NOTHING if t is None else f"{t / n * 1e9:,.2f}" for t in times)
        rows.append([f"{n:,}", ratio, *cells])
    text = (
        f"Nanoseconds an entry, value and gradient of the transcendental sum, {setting.dtype}, "
        f"{report.counted(setting.threads, 'thread')}, {report.counted(setting.rounds, 'round')} in turns. "
        "*NumPy forward* is the value alone. *tapegrad / best peer*: below 1 we are faster, above 1 slower."
    )
    header = ["entries", "tapegrad / best peer", *(peer.title for peer in shown)]
    return "\n\n".join([*report.heading("tapegrad and its peers: sizes"), text, grid(header, rows)]) + "\n"


def draw(outcomes: dict[int, Outcome], path: Path) -> None:
    """One line a peer."""
    from benchmarks.comparison import chart

    names = [peer.name for peer in PEERS if any(peer.name in outcome.measured for outcome in outcomes.values())]
    lines = {
        name: [None if (t := outcome.seconds(name)) is None else t / n * 1e9 for n, outcome in outcomes.items()]
        for name in names
    }
    chart.draw_lines(list(outcomes), lines, "nanoseconds an entry", path)
