"""The Markdown report of the finite-differences benchmark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import difference, machine
from benchmarks.clock import Timing, format_seconds
from benchmarks.finite_differences import DIFFERENCE_BUDGET, SAMPLED_COORDINATES, Curve, Point, Study
from benchmarks.model import reference_is_wider

MARK = "†"


def render(studies: Sequence[Study], start: float) -> str:
    """The whole report; `start` is the time of the first gradient of the process."""
    parts = ["# The tape's gradient against finite differences", machine.describe() + ".", _legend(start)]
    for study in studies:
        title = study.model.title[0].upper() + study.model.title[1:]
        parts += [f"## {title}", study.model.formula, _time_table(study.points), _error_table(study.points)]
    parts += ["## Error against the step", _curve_legend(studies), _curve_table(studies)]
    return "\n\n".join(parts) + "\n"


def _legend(start: float) -> str:
    lines = [
        (
            "*One evaluation* is the function in plain NumPy; *tape* is value and gradient. Times are medians of "
            "repeated calls, the first call excluded (differences that take longer than "
            f"{DIFFERENCE_BUDGET / 10:.1g} s are run once); the column *first call* is the first gradient of a "
            "function not seen before, recording included. The first gradient of all in a process, which loads the "
            f"kernels, took {format_seconds(start)}."
        ),
        (
            f"**{MARK} extrapolated, not measured:** *n* + 1 (forward) or 2*n* (central) times the measured time of "
            "one evaluation; the loop around the evaluations is not counted, in favour of differences."
        ),
        (
            f"Errors are |gradient − exact| / |exact|: the tape's over all parameters, those of differences over "
            f"{SAMPLED_COORDINATES} of them drawn at random, at the textbook steps "
            f"{difference.FORWARD_STEP:.1e} (forward) and {difference.CENTRAL_STEP:.1e} (central)."
        ),
    ]
    if not reference_is_wider():
        lines.append("Long double has no more digits than float64 here: errors near 1e-16 are the reference's own.")
    return "\n\n".join(lines)


def _time_table(points: Iterable[Point]) -> str:
    header = (
        "parameters",
        "one evaluation",
        "tape, first call",
        "tape",
        "forward differences",
        "central differences",
        "forward / tape",
    )
    return grid(header, [_row(point) for point in points])


def _error_table(points: Iterable[Point]) -> str:
    header = ("parameters", "error of the tape", "of forward differences", "of central differences")
    rows = [
        (f"{point.n:,}", *(f"{error:.0e}" for error in (point.tape_error, point.forward_error, point.central_error)))
        for point in points
    ]
    return grid(header, rows)


def _row(point: Point) -> tuple[str, ...]:
    ratio = point.forward.seconds / point.tape.seconds
    return (
        f"{point.n:,}",
        _time(point.evaluation),
        format_seconds(point.first),
        f"**{_time(point.tape)}**",
        _time(point.forward),
        _time(point.central),
        _marked(f"{_two_digits(ratio):,.0f} ×" if ratio >= 10 else f"{ratio:.1f} ×", point.forward.extrapolated),
    )


def _curve_legend(studies: Sequence[Study]) -> str:
    sizes = sorted({study.curve.n for study in studies})
    return (
        f"The smallest error any step reaches, over all {' or '.join(f'{n:,}' for n in sizes)} parameters; "
        "the picture `error.svg` shows every step."
    )


def _curve_table(studies: Sequence[Study]) -> str:
    header = ("function", "tape", "forward, at best", "at step", "central, at best", "at step")
    return grid(header, [(study.model.title, *_curve_row(study.curve)) for study in studies])


def _curve_row(curve: Curve) -> tuple[str, ...]:
    cells = [f"**{curve.tape:.1e}**"]
    for errors in (curve.forward, curve.central):
        best = min(range(len(errors)), key=errors.__getitem__)
        cells += [f"{errors[best]:.1e}", f"{curve.steps[best]:.1e}"]
    return tuple(cells)


def _time(timing: Timing) -> str:
    return _marked(format_seconds(timing.seconds), timing.extrapolated)


def _marked(text: str, extrapolated: bool) -> str:
    return f"{text} {MARK}" if extrapolated else text


def _two_digits(value: float) -> float:
    return float(f"{value:.1e}")


def grid(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 0) -> str:
    """A Markdown table, padded so that it reads on a terminal too; the first `left` columns hold text."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = ["| " + " | ".join(_pad(cell, widths[k], k < left) for k, cell in enumerate(row)) + " |" for row in cells]
    rule = ("-" * (width + 2) if k < left else "-" * (width + 1) + ":" for k, width in enumerate(widths))
    lines.insert(1, "|" + "|".join(rule) + "|")
    return "\n".join(lines)


def _pad(cell: str, width: int, is_text: bool) -> str:
    return cell.ljust(width) if is_text else cell.rjust(width)
