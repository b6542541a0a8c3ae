"""The numbers of an explanation as a picture's labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tapegrad.ops.row import FLOAT
from tapegrad.pictures.boxes import Labels
from tapegrad.reading.figures import figure, summary
from tapegrad.reading.listing import result_names

if TYPE_CHECKING:
    from tapegrad.explanation.explain import Explanation

VALUE_WIDTH: Final = 20
PARTIAL_WIDTH: Final = 14


def numbers(e: Explanation) -> Labels:
    """Values and adjoints of slots, partials of operands."""
    tape = e.tape
    return Labels(
        e.interface.labels(),
        result_names(e.interface, tape),
        {s: _text(e.values[s], VALUE_WIDTH) for s in range(len(tape))},
        {s: f"∂ {_text(e.values[a], VALUE_WIDTH)}" for s, a in enumerate(e.adjoints) if a >= 0},
        {
            (i, k): _text(e.values[p], PARTIAL_WIDTH)
            for i, found in enumerate(e.partials)
            for k, p in enumerate(found)
            if p >= 0 and tape.type(tape.read(i)[k]).kind == FLOAT
        },
    )


def _text(value: Any, width: int) -> str:
    """An array; of one that is broadcast from a single number, that number."""
    return figure(value.reshape(())) if value.size == 1 else summary(value, width)
