"""tapegrad beside JAX, PyTorch, autograd, CasADi and gradients written by hand: times, memory, start, sizes.

`python -m benchmarks compare` runs the cases of `comparison/cases.py` in one process, the libraries in turns, and
writes a table and a picture of the times relative to the best peer of the run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import environment

ROUNDS = 7
MODES = ("memory", "start", "scaling")


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__.split("\n", maxsplit=1)[0])
    mode = made.add_mutually_exclusive_group()
    mode.add_argument("--memory", action="store_true", help="growth of memory, each case and library in a process")
    mode.add_argument("--start", action="store_true", help="from an empty process to the first gradient")
    mode.add_argument("--scaling", action="store_true", help="the first case from 10³ to 10⁷ entries")
    made.add_argument("--cases", default="", metavar="A,B", help="only these cases")
    made.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    made.add_argument(
        "--threads", type=_positive, default=1, metavar="N", help="threads of all libraries, 1 by default"
    )
    made.add_argument(
        "--rounds", type=_positive, default=None, metavar="N", help=f"{ROUNDS} by default, 1 with --quick"
    )
    made.add_argument("--cold", action="store_true", help="with --start: no compiled kernels on disk")
    made.add_argument("--quick", action="store_true", help="tiny sizes, to try the program out")
    made.add_argument("--out", type=Path, help="folder to write to; without it --quick writes nothing")
    return made


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def stem(options: argparse.Namespace) -> str:
    """The name of the files: the mode and what is not by default."""
    parts = ["compare", *(mode for mode in MODES if getattr(options, mode))]
    parts += ["cold"] if options.cold else []
    parts += [options.dtype] if options.dtype != "float64" else []
    parts += [f"{options.threads}_threads"] if options.threads != 1 else []
    return "_".join(parts)


def main(arguments: Sequence[str]) -> int:
    """Measure, print the table, write it and the picture."""
    made = parser()
    options = made.parse_args(arguments)
    if options.cold and not options.start:
        made.error("--cold goes with --start")
    if options.cases and (options.start or options.scaling):
        made.error("--start and --scaling have a case of their own: no --cases")
    if not environment.is_set(options.threads):
        environment.start_again(arguments, options.threads)
    # From here on NumPy may be imported: the environment tells it how many threads to use.
    from benchmarks.comparison import cases
    from benchmarks.comparison.timing import DisagreementError

    try:
        chosen = cases.chosen(options.cases)
    except ValueError as error:
        made.error(str(error))
    try:
        text, draw = _measured(options, chosen)
    except DisagreementError as error:
        print(f"nothing was timed: {error}", file=sys.stderr)
        return 1
    print(text)
    out = options.out or (None if options.quick else Path(__file__).parent / "results")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{stem(options)}.md").write_text(text, encoding="utf-8")
        draw(out / f"{stem(options)}.svg")
    return 0


def _measured(options: argparse.Namespace, chosen: Any) -> tuple[str, Callable[[Path], None]]:
    """The report of the mode that was asked for, and what draws its picture."""
    from benchmarks.comparison import memory, report, scaling, start, timing

    rounds = options.rounds or (1 if options.quick else ROUNDS)
    setting = timing.Setting(options.dtype, options.threads, rounds, options.quick)
    if options.memory:
        grown = memory.measure(chosen, setting, tell)
        return memory.render(grown, chosen, setting), lambda path: memory.draw(grown, chosen, path)
    if options.start:
        starts = start.measure(setting, tell, cold=options.cold)
        return start.render(starts, setting, cold=options.cold), lambda path: start.draw(starts, path)
    if options.scaling:
        sizes = scaling.measure(setting, tell)
        return scaling.render(sizes, setting), lambda path: scaling.draw(sizes, path)
    outcomes = timing.measure_all(chosen, setting, tell)
    return report.render(outcomes, setting), lambda path: report.draw(outcomes, path)


def tell(text: str) -> None:
    """What is being measured, beside the report."""
    print(f"... {text}", file=sys.stderr, flush=True)
