"""The Markdown report of the times: all libraries beside one another, wins and losses alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks import machine
from benchmarks.clock import format_seconds
from benchmarks.comparison.peers import BY_NAME, OURS, PEERS, Peer
from benchmarks.comparison.timing import AGREEMENT, Outcome, Setting
from benchmarks.table import grid

LEVEL: Final = 0.03
NOTHING: Final = "-"
SPARE_CORES: Final = 0.25


def heading(title: str) -> list[str]:
    """What every report begins with: its title, the machine and the versions."""
    versions = ", ".join(filter(None, (peer.version() for peer in PEERS)))
    return [f"# {title}", f"{machine.describe()}, {versions}."]


def counted(number: int, thing: str) -> str:
    """1 thread, 2 threads."""
    return f"{number} {thing}{'s' if number != 1 else ''}"


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean, none of nothing."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms)) if logarithms else None


def render(outcomes: Sequence[Outcome], setting: Setting) -> str:
    """The whole report."""
    shown = [peer for peer in PEERS if any(peer.name in outcome.measured for outcome in outcomes)]
    parts = [*heading("tapegrad and its peers: times"), _legend(setting), _times(outcomes, shown), *summary(outcomes)]
    parts += ["## First calls", FIRST_LEGEND, _first_calls(outcomes, shown), "## Left out", _left_out(outcomes)]
    parts += _busy(outcomes, setting)
    return "\n\n".join(parts) + "\n"


FIRST_LEGEND: Final = (
    "The first call with a function not seen before, libraries loaded and warm: recording it (tapegrad), compiling it "
    "(JAX), building the function of it (CasADi), and a gradient. Run once, so less certain than the medians above."
)


def _legend(setting: Setting) -> str:
    sizes = " **Tiny sizes, to try the program out: the times mean nothing.**" if setting.quick else ""
    return (
        f"Value and gradient by all parameters, {setting.dtype}, {counted(setting.threads, 'thread')}.{sizes} All ran "
        f"in one process and in turns, {counted(setting.rounds, 'round')}; a time is the median over the rounds of the "
        "median of a turn. Before anything was timed, all values and gradients were found to agree within "
        f"{AGREEMENT[setting.dtype]:.0e} of the gradient's largest entry.\n\n"
        "*tapegrad / best peer* is our time over that of the quickest other library of this run, which is named: below "
        "1 we are faster, above 1 slower; in brackets the least and the greatest ratio of a single round. The "
        "gradients *by hand* (one thread always) and *NumPy forward*, which is the value alone, are there to "
        "measure by and do not count as peers."
    )


def verdict(ratio: float) -> str:
    """faster, slower or level."""
    return "level" if abs(ratio - 1) <= LEVEL else "faster" if ratio < 1 else "slower"


def _times(outcomes: Sequence[Outcome], shown: Sequence[Peer]) -> str:
    header = ["case", "tapegrad / best peer", "", *(peer.title for peer in shown)]
    rows = [[outcome.case.title, *_against(outcome), *_cells(outcome, shown)] for outcome in outcomes]
    rows.append(["tapegrad over it, geometric mean", _number(_mean_ratio(outcomes)), ""])
    rows[-1] += [NOTHING if peer.name == OURS else _number(_mean_over(outcomes, peer.name)) for peer in shown]
    return grid(header, rows, left=1)


def _cells(outcome: Outcome, shown: Sequence[Peer]) -> list[str]:
    cells = []
    for peer in shown:
        seconds = outcome.seconds(peer.name)
        text = NOTHING if seconds is None else format_seconds(seconds)
        cells.append(f"**{text}**" if peer.name in {OURS, outcome.best} and seconds is not None else text)
    return cells


def _against(outcome: Outcome) -> tuple[str, str]:
    if outcome.ratio is None or outcome.best is None:
        return NOTHING, NOTHING
    low, high = min(outcome.ratios), max(outcome.ratios)
    ratio = f"**{outcome.ratio:.2f}** ({low:.2f} to {high:.2f})"
    return ratio, f"{verdict(outcome.ratio)}: {BY_NAME[outcome.best].title}"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"**{value:.2f}**"


def _mean_ratio(outcomes: Sequence[Outcome]) -> float | None:
    return geometric_mean(outcome.ratio for outcome in outcomes if outcome.ratio is not None)


def _mean_over(outcomes: Sequence[Outcome], name: str) -> float | None:
    return geometric_mean(
        outcome.measured[OURS].seconds / outcome.measured[name].seconds
        for outcome in outcomes
        if name in outcome.measured
    )


def summary(outcomes: Sequence[Outcome]) -> list[str]:
    """Wins and losses as a list, each with its factor, and the mean over all."""
    found = [outcome for outcome in outcomes if outcome.ratio is not None]
    mean = _mean_ratio(outcomes)
    if mean is None:
        return ["No other library ran any of these cases."]
    over = counted(len(found), "case")
    lines = [f"Geometric mean over {over}: {mean:.2f} times what the best peer of each case takes (below 1 is faster)."]
    for word in ("slower", "level", "faster"):
        of_kind = sorted((o for o in found if verdict(o.ratio or 1) == word), key=lambda o: -(o.ratio or 1))
        told = [f"{o.case.title} ({_factor(o)} {BY_NAME[o.best or OURS].title})" for o in of_kind]
        lines.append(
            f"**{word.capitalize()} in {len(told)} of {len(found)}**" + (f": {'; '.join(told)}." if told else ".")
        )
    return lines


def _factor(outcome: Outcome) -> str:
    ratio = outcome.ratio or 1
    return f"{max(ratio, 1 / ratio):.2f} × " + ("the time of" if ratio > 1 else "as fast as")


def _first_calls(outcomes: Sequence[Outcome], shown: Sequence[Peer]) -> str:
    libraries = [peer for peer in shown if peer.name == OURS or peer.is_rival]
    rows = []
    for outcome in outcomes:
        found = [outcome.measured.get(peer.name) for peer in libraries]
        rows.append([outcome.case.title, *(NOTHING if m is None else format_seconds(m.first) for m in found)])
    return grid(["case", *(peer.title for peer in libraries)], rows, left=1)


def _left_out(outcomes: Sequence[Outcome]) -> str:
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        for name, reason in outcome.missing.items():
            reasons.setdefault((BY_NAME[name].title, reason), []).append(outcome.case.title)
    lines = [
        f"- {title}: {reason} ({'all cases' if len(cases) == len(outcomes) else '; '.join(cases)})."
        for (title, reason), cases in reasons.items()
    ]
    return "\n".join(lines) if lines else "Nothing: every library ran every case."


def _busy(outcomes: Sequence[Outcome], setting: Setting) -> list[str]:
    found = [
        f"- {outcome.case.title}: {BY_NAME[name].title} kept {measured.cores:.1f} cores busy."
        for outcome in outcomes
        for name, measured in outcome.measured.items()
        if measured.cores > setting.threads + SPARE_CORES
    ]
    if setting.quick or not found:
        return []
    return [f"## More than {counted(setting.threads, 'thread')}", "\n".join(found)]


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Bars against the best peer, one group a case."""
    from benchmarks.comparison import chart

    groups = []
    for outcome in outcomes:
        if outcome.best is not None:
            best = outcome.measured[outcome.best].seconds
            found = {name: m.seconds for name, m in outcome.measured.items()}
            groups.append((outcome.case.title, {name: (t / best, format_seconds(t)) for name, t in found.items()}))
    chart.draw_bars(groups, "time relative to the best peer", path)
