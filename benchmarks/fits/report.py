"""What the fits share: options, courses of losses over time, contestants in turns, and their table."""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any, Final, TypeAlias

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import tapegrad as tg
from benchmarks.clock import format_seconds
from benchmarks.machine import describe
from benchmarks.picture import CENTRAL, FORWARD, INK, QUIET, STYLE, TAPE, save
from benchmarks.table import grid

__all__ = [
    "Course",
    "Fitter",
    "draw_courses",
    "has_torch",
    "heading",
    "options",
    "race",
    "reached",
    "save",
    "style",
    "threads",
]

RESULTS: Final = Path(__file__).parent / "results"


def options(name: str, text: str | None, suffix: str, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line of a fit: `quick`, `rounds`, `threads`, `out`."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.fits.{name}", description=text)
    parser.add_argument("--quick", action="store_true", help="a small part of it, to see that it works")
    parser.add_argument("--rounds", type=int, default=5, help="how often each has a turn")
    parser.add_argument("--threads", type=int, default=1, help="threads for everybody who can use some")
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}{suffix}", help="where the picture goes")
    chosen = parser.parse_args(arguments)
    if chosen.rounds < 1 or chosen.threads < 1:
        parser.error("--rounds and --threads are 1 or more")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    if chosen.quick:
        chosen.rounds = min(chosen.rounds, 2)
    return chosen


def has_torch() -> bool:
    """Is PyTorch installed?"""
    return find_spec("torch") is not None


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Within it all libraries use so many threads."""
    before = tg.num_threads()
    tg.set_num_threads(count)
    if has_torch():
        import torch

        torch.set_num_threads(count)
    with threadpool_limits(count):
        yield
    tg.set_num_threads(before)


@dataclass(slots=True)
class Course:
    """A loss on the way of one fit, and the clock that stands still while it is looked at.

    Attributes:
        seconds: of fitting, until each loss was reached.
        losses: the losses.
    """

    bar: Any
    seconds: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    found: Any = None
    spent: float = 0.0
    since: float = field(default_factory=perf_counter)

    def see(self, loss: float | Callable[[], float]) -> None:
        """A loss has been reached; a function that tells it runs off the clock."""
        self.spent += perf_counter() - self.since
        self.seconds.append(self.spent)
        self.losses.append(float(loss() if callable(loss) else loss))
        self.bar.update()
        self.since = perf_counter()

    def reach(self, target: float) -> tuple[float, int]:
        """Seconds and steps until a loss is no more than the target; infinity where it never is."""
        for step, (seconds, loss) in enumerate(zip(self.seconds, self.losses, strict=True), 1):
            if loss <= target:
                return seconds, step
        return float("inf"), 0


Fitter: TypeAlias = Callable[[Course], Any]


def race(contestants: Mapping[str, Fitter], rounds: int) -> dict[str, list[Course]]:
    """Every fit in turns, after one of each that does not count; a round begins with another one than that before."""
    names = list(contestants)
    courses: dict[str, list[Course]] = {name: [] for name in names}
    with tqdm(unit=" steps", mininterval=0.5) as bar:
        for turn in range(rounds + 1):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                bar.set_postfix_str(f"round {turn} of {rounds}, {name}", refresh=False)
                course = Course(bar)
                course.found = contestants[name](course)
                if turn:
                    courses[name].append(course)
    return courses


def median(courses: Sequence[Course]) -> Course:
    """Losses of the first course, at medians of the times of all: every round goes the same way."""
    seconds = [statistics.median(times) for times in zip(*(c.seconds for c in courses), strict=True)]
    return Course(courses[0].bar, seconds, courses[0].losses, courses[0].found)


def reached(courses: Mapping[str, Sequence[Course]], target: float, ours: Mapping[str, str], what: str) -> str:
    """The table: when each reached the target, and how that compares with ours.

    Args:
        courses: of each contestant.
        target: the loss to reach.
        ours: for a contestant, the one of ours that it is compared with.
        what: the heading of the column of steps.
    """
    rows = []
    for name, runs in courses.items():
        seconds, steps = median(runs).reach(target)
        ratios = [c.reach(target)[0] / m.reach(target)[0] for c, m in zip(runs, courses[ours[name]], strict=True)]
        never = steps == 0
        beside = "" if never or ours[name] == name else f"{statistics.median(ratios):.2f}"
        spread = f" ({min(ratios):.2f} - {max(ratios):.2f})" if beside else ""
        each = format_seconds(statistics.median(np.diff(median(runs).seconds)))
        best = f"{min(runs[0].losses):.6g}"
        rows.append(
            [name, best, "-" if never else str(steps), each, "never" if never else format_seconds(seconds)]
            + [beside + spread]
        )
    return grid(["", "least loss", what, "one takes", "time to target", "over ours"], rows, left=1)


def heading(title: str, text: str) -> str:
    """What stands above a table."""
    return f"# {title}\n\n{describe()}.\n\n{text}\n"


# --- pictures

COLOURS: Final = {"tapegrad": TAPE, "NumPy": INK, "PyTorch": CENTRAL, "numba": FORWARD}  # by a name's first word
SECOND: Final = "#7fb2e0"  # the second that is ours


def style() -> AbstractContextManager[Any]:
    """The style of all pictures."""
    import matplotlib as mpl

    return mpl.rc_context(STYLE)


def draw_courses(axes: Any, courses: Mapping[str, Sequence[Course]], target: float) -> None:
    """Losses over time, medians of all rounds, and the target that all are to reach."""
    taken: set[str] = set()
    for name, runs in courses.items():
        course, colour = median(runs), COLOURS[re.split("[. ,]", name)[0]]
        colour = SECOND if colour in taken else colour
        taken.add(colour)
        axes.plot(course.seconds, np.minimum.accumulate(course.losses), color=colour, label=name)
        seconds, steps = course.reach(target)
        if steps:
            axes.plot(seconds, course.losses[steps - 1], "o", color=colour)
    axes.axhline(target, color=QUIET, linewidth=1, linestyle="--", zorder=1)
    axes.set_xlabel("seconds")
    axes.set_xlim(left=0)
    axes.grid(True)
    axes.legend(frameon=False)
