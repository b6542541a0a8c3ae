"""Dead code: instructions that neither the result nor a guard needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.table import INPUT, flags
from tapegrad.tape import Ints, Tape


@compiled
def mark(opcodes: Any, starts: Any, operands: Any, effect: Any, live: Any) -> None:
    """Mark all that what is marked reads, and what has an effect."""
    for i in range(len(opcodes) - 1, -1, -1):
        if effect[opcodes[i]]:
            live[i] = True
        if live[i]:
            for o in range(starts[i], starts[i + 1]):
                live[operands[o]] = True


def drop_dead(tape: Tape) -> Tape:
    """The tape without dead instructions; arguments stay, used or not."""
    live = tape.opcodes == INPUT
    live[tape.dependents] = True
    mark(tape.opcodes, tape.starts, tape.operands, flags("effect"), live)
    return tape if live.all() else keep(tape, live)


def keep(tape: Tape, live: Any) -> Tape:
    """The tape with only the instructions where `live`, renumbered."""
    place: Ints = (np.cumsum(live) - 1).astype(np.int32)
    widths = np.diff(tape.starts)
    starts = np.zeros(int(live.sum()) + 1, np.int32)
    np.cumsum(widths[live], out=starts[1:])
    return replace(
        tape,
        opcodes=tape.opcodes[live],
        starts=starts,
        operands=place[tape.operands[np.repeat(live, widths)]],
        type_ids=tape.type_ids[live],
        attribute_ids=tape.attribute_ids[live],
        line_ids=tape.line_ids[live],
        inputs=place[tape.inputs],
        independents=place[tape.independents],
        dependents=place[tape.dependents],
        reverse=int(live[: tape.reverse].sum()),
    )
