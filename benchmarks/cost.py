"""Predicted times beside measured ones: `tape.cost()` and what a value and a gradient take.

`python -m benchmarks cost [--kept] [--quick] [--cases a,b] [--out FOLDER]`. The machine is measured first, unless the
measurement on disk is `--kept`. What cannot be measured here is on paper alone: BERT base and large, from shapes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np

import tapegrad as tg
from benchmarks import bert
from benchmarks.clock import format_seconds
from benchmarks.comparison import cases as comparison
from benchmarks.machine import describe
from benchmarks.table import grid

CASES: Final = (
    "softmax",
    "network",
    "network_32",
    "transcendental",
    "rosenbrock",
    "factorisation",
    "lotka_volterra",
    "small_arrays",
)
ROWS, LENGTH = 8, 128  # of a batch of words
LEGEND: Final = (
    "`tape.cost()` beside the least time of repeated calls, on one thread where no other number is given. *Flops* and "
    "*bytes moved* are those of value and gradient."
)


@dataclass(frozen=True, slots=True)
class Case:
    """A loss of its first argument, with its arguments."""

    name: str
    title: str
    loss: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]


def cases(*, quick: bool) -> list[Case]:
    """What is measured; quick ones are small."""
    found = []
    for case in comparison.chosen(",".join(CASES)):
        loss = _with_numpy(case.loss)
        found.append(Case(case.name, case.title, loss, lambda case=case: case.arguments(quick=quick, dtype="float64")))
    for name in ("tiny", "mini"):
        size = bert.Size(1, 8, 2, words=20, places=16) if quick else bert.SIZES[name]
        rows, length = (2, 16) if quick else (ROWS, LENGTH)
        title = f"BERT {name}, {ROWS} × {LENGTH} words, float32"
        found.append(
            Case(f"bert_{name}", title, bert.loss, lambda s=size, r=rows, n=length: bert.drawn(s, r, n))  # type: ignore[misc]
        )
    return found


def _with_numpy(loss: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any) -> Any:
        return loss(np, *args)

    return function


def least(call: Callable[[], object], budget: float) -> float:
    """The least time of a call, as often as the budget allows."""
    call()
    found, end = np.inf, perf_counter() + budget
    while perf_counter() < end:
        start = perf_counter()
        call()
        found = min(found, perf_counter() - start)
    return float(found)


def row(case: Case, budget: float) -> list[str]:
    """One row of the table: value and gradient on one thread, the gradient on all."""
    args, threads = case.arguments(), tg.num_threads()
    tape, gradient = tg.record(case.loss, *args), tg.value_and_grad(case.loss)
    cost = tape.cost()
    assert cost.gradient is not None
    cells = [case.title, _number(cost.flops), _bytes(cost.bytes)]
    tg.set_num_threads(1)
    try:
        cells += _pair(cost.value.one, least(lambda: tape(*args), budget))
        cells += _pair(cost.gradient.one, least(lambda: gradient(*args), budget))
    finally:
        tg.set_num_threads(threads)
    if threads > 1:
        cells += _pair(cost.gradient.all, least(lambda: gradient(*args), budget))
    return cells


def _pair(predicted: float, measured: float) -> list[str]:
    return [format_seconds(predicted), format_seconds(measured), f"{predicted / measured:.2f}"]


def _number(x: float) -> str:
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if x >= limit:
            return f"{x / limit:.3g} {unit}"
    return f"{x:.3g}"


def _bytes(n: float) -> str:
    return f"{_number(n)}B" if n >= 1000 else f"{n:.0f} B"


def on_paper(name: str, rows: int, calibration: tg.Calibration | None = None) -> tg.Cost:
    """What a gradient of a BERT would cost for a batch."""
    size = bert.SIZES[name]
    data = (tg.Shape(shape, int) for shape in bert.batch(rows, LENGTH))
    return tg.plan_shapes(
        bert.loss, (bert.parameters(size), *data, size.heads), dtype=np.float32, calibration=calibration
    )


def paper_row(name: str, rows: int, calibration: tg.Calibration | None = None) -> list[str]:
    """One row of the table of what is not run."""
    cost = on_paper(name, rows, calibration)
    assert cost.gradient is not None
    return [
        f"BERT {name}, {rows} × {LENGTH} words",
        f"{cost.parameters:,}",
        f"{sum(cost.instructions):,}",
        _number(cost.flops),
        _bytes(cost.bytes),
        _bytes(cost.memory.total),
        format_seconds(cost.gradient.one),
        format_seconds(cost.gradient.all),
    ]


def report(chosen: Sequence[Case], budget: float) -> str:
    """The whole report."""
    threads = tg.num_threads()
    head = ["case", "flops", "bytes moved"]
    for what in ("value", "gradient", *([f"gradient, {threads} threads"] if threads > 1 else [])):
        head += [f"{what}, predicted", "measured", "ratio"]
    table = []
    for case in chosen:
        table.append(row(case, budget))
        print(" | ".join(table[-1]), file=sys.stderr, flush=True)
    paper = [paper_row(name, ROWS) for name in ("tiny", "mini", "base", "large")]
    columns = [
        "model",
        "parameters",
        "instructions",
        "flops",
        "bytes moved",
        "memory",
        "1 thread",
        f"{threads} threads",
    ]
    return "\n\n".join(
        [
            "# Predicted and measured times",
            f"{describe()}.",
            LEGEND,
            grid(head, table, left=1),
            "## On paper",
            "A value and a gradient of BERT (`benchmarks/bert.py`) in float32, planned from shapes alone.",
            grid(columns, paper, left=1),
            f"What the predictions rest on:\n\n```\n{tg.calibrate()}\n```",
        ]
    )


def main(arguments: Sequence[str]) -> int:
    """Measure, print the report and write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks cost", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small cases, to see that it works")
    parser.add_argument("--kept", action="store_true", help="with the measurement of the machine that is on disk")
    parser.add_argument("--cases", default="", help="names with commas between them; all where it is empty")
    parser.add_argument("--out", type=Path, help="the folder to write to; benchmarks/results unless it is quick")
    chosen = parser.parse_args(arguments)
    every = cases(quick=chosen.quick)
    names = [name for name in chosen.cases.split(",") if name]
    if unknown := set(names) - {case.name for case in every}:
        parser.error(f"no case is called {', '.join(sorted(unknown))}; there is: {', '.join(c.name for c in every)}")
    if not chosen.kept:
        tg.calibrate(force=True)
    text = report([c for c in every if not names or c.name in names], 0.01 if chosen.quick else 3.0)
    print(text)
    folder = chosen.out or (None if chosen.quick or names else Path(__file__).parent / "results")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cost.md").write_text(f"{text}\n", encoding="utf-8")
    return 0
