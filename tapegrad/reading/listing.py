"""A tape as aligned text: index, op, operands, shape, source line; the reverse part under a heading of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tapegrad.drivers.interface import Interface
from tapegrad.reading.columns import aligned, shortened
from tapegrad.reading.source import UNKNOWN, place, text
from tapegrad.reading.wording import kind, operation, reads
from tapegrad.tape import Tape
from tapegrad.trees import names

WIDTH: Final = 140  # characters of a line, at most
SHOWN: Final = 200  # instructions; of more, the first and the last are shown
_WORDS: Final = 60  # characters of a source line
_CELL: Final = 40  # characters of an op, of operands


def listing(
    tape: Tape,
    labels: Sequence[str] = (),
    results: Sequence[str] = (),
    first: int | None = None,
    last: int | None = None,
) -> str:
    """One line an instruction, from `first` on and up to `last`, which is left out, as in a slice of a list.

    Only the lines that are shown are made.

    Args:
        tape: any tape.
        labels: a name for each input, where there are names.
        results: a name for each dependent, where there are names.
    """
    chosen = range(len(tape))[first:last]
    return "\n".join([heading(tape), *_listed(tape, labels, [chosen]), *_results(tape, labels, results)])


def brief(tape: Tape, labels: Sequence[str] = (), results: Sequence[str] = ()) -> str:
    """The listing; of a long tape the first and the last lines."""
    parts = ends(len(tape))
    return "\n".join([heading(tape), *_listed(tape, labels, parts), *_results(tape, labels, results)])


def ends(count: int) -> list[range]:
    """What is shown of so many lines: all of them, or the first and the last."""
    if count <= SHOWN:
        return [range(count)]
    return [range(SHOWN // 2), range(count - SHOWN // 2, count)]


def heading(tape: Tape) -> str:
    """How long a tape is, and what it holds."""
    n, forward = len(tape), tape.reverse
    parts = f" ({forward:,} forward, {n - forward:,} reverse)" if forward < n else ""
    word = "input" if len(tape.inputs) == 1 else "inputs"
    return f"tape of {n:,} instructions{parts}, {len(tape.inputs):,} {word}, {tape.dtype}"


def result_names(interface: Interface, tape: Tape) -> list[str]:
    """A name for each dependent: "result", "result['a']"; of a tape with its reverse part "gradient by x"."""
    count, gradients = len(tape.dependents), len(tape.independents)
    labels = interface.labels()
    if tape.reverse < len(tape) and count == 1 + gradients:
        places = {slot: k for k, slot in enumerate(tape.inputs.tolist())}
        independents = [labels[places[s]] for s in tape.independents.tolist()]
        return ["value", *(f"gradient by {independents[k]}" for k in interface.gradients())]
    found = names(interface.result, "result")
    return found if len(found) == count else []


def _results(tape: Tape, labels: Sequence[str], results: Sequence[str]) -> list[str]:
    """The lines that name the dependents."""
    slots = tape.dependents.tolist()
    places = {slot: k for k, slot in enumerate(tape.inputs.tolist())}
    if not results and tape.reverse < len(tape) and len(slots) == 1 + len(tape.independents):
        inputs = [places[s] for s in tape.independents.tolist()]
        results = ["value", *(f"gradient by {labels[k] if labels else f'argument {k}'}" for k in inputs)]
    if not results:
        return ["result: " + ", ".join(f"v{s}" for s in slots)]
    shown = [f"{name}: v{s}" for name, s in zip(results, slots, strict=True)]
    if len(shown) <= SHOWN:
        return shown
    return [*shown[: SHOWN // 2], f"... {len(shown) - SHOWN:,} more", *shown[-SHOWN // 2 :]]


def _listed(tape: Tape, labels: Sequence[str], parts: Sequence[range]) -> list[str]:
    """The lines of some stretches of the tape, with headings where a part of it begins, and what was left out."""
    chosen = [i for part in parts for i in part]
    lines = aligned(list(_rows(tape, labels, chosen)), WIDTH) if chosen else []
    found: list[str] = []
    both = tape.reverse < len(tape)
    before = -1
    for i, line in zip(chosen, lines, strict=True):
        if before >= 0 and i != before + 1:
            found.append(f"... {i - before - 1:,} more; tape.listing() gives all")
        if both and (before < 0 or before < tape.reverse <= i):
            found.append("reverse" if i >= tape.reverse else "forward")
        found.append(line)
        before = i
    return found


def _rows(tape: Tape, labels: Sequence[str], chosen: Sequence[int]) -> Iterator[tuple[str, ...]]:
    """The cells of some instructions; a source line is written out where it is another one than above."""
    above = ""
    for i in chosen:
        line = tape.line(i)
        words = "" if line in {above, UNKNOWN} else shortened(text(line), _WORDS)
        above = above if line == UNKNOWN else line
        yield (
            f"v{i}",
            shortened(operation(tape, i), _CELL),
            shortened(reads(tape, i, labels), _CELL),
            kind(tape.type(i)),
            place(line),
            words,
        )
