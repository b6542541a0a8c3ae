"""Stretches of a recording as tapes, and tapes put into a recording: how a recorded function takes derivatives itself.

`tapegrad.grad(g)(x)` within a recorded function records g, takes the stretch that it left as a tape of its own,
differentiates that, and puts the result into the recording. What the stretch reads from before it is an input of
it that is not differentiated by, so a variable of the outer function is a constant to the inner derivative.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapegrad.ops.table import CONSTANT, GUARDS, INPUT, OPS
from tapegrad.record.constants import fresh, settle
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape


def stretch(
    recorder: Recorder, first: int, independents: Sequence[Variable], dependents: Sequence[Variable]
) -> tuple[Tape, list[Variable]]:
    """What has been recorded from slot `first` on, as a tape.

    Args:
        recorder: an open recording.
        first: where the stretch starts.
        independents: Variables of the stretch that are to be inputs of the tape, whatever made them.
        dependents: Variables that are the tape's results; they may be older than the stretch.

    Returns:
        The tape, and the Variable that each of its inputs stands for; the independents are its first inputs.
    """
    settle(recorder, first)
    words, operands = recorder.listing(first)
    widths = np.diff(words[:, 4], prepend=0)
    own = np.array([v._slot - first for v in independents], np.int64)
    kept = np.ones(len(words), np.bool_)
    kept[own] = False  # an input reads nothing
    operands = operands[np.repeat(kept, widths)]
    widths = np.where(kept, widths, 0)
    results = np.array([v._slot for v in dependents], np.int64)
    outer = np.unique(np.concatenate([operands[operands < first], results[results < first]])).astype(np.int64)
    count = len(outer)
    place = np.concatenate([outer, first + np.arange(len(words))])  # sorted: where a slot stands in the tape

    opcodes = np.concatenate([np.full(count, INPUT), words[:, 0]])
    attributes = np.concatenate([np.arange(count) + len(own), words[:, 1]])
    opcodes[count + own], attributes[count + own] = INPUT, np.arange(len(own))
    outer_variables = [recorder.variable(int(s), active=not recorder.values.is_fixed(int(s))) for s in outer]
    types = np.concatenate([np.array([v._type for v in outer_variables], np.int64), words[:, 2]])
    starts = np.concatenate([np.zeros(count + 1, np.int64), np.cumsum(widths)])
    tape = Tape(
        opcodes=opcodes.astype(np.uint16),
        starts=starts.astype(np.int32),
        operands=np.searchsorted(place, operands).astype(np.int32),
        type_ids=types.astype(np.int32),
        attribute_ids=attributes.astype(np.int32),
        line_ids=np.concatenate([np.zeros(count, np.int64), words[:, 3]]).astype(np.int32),
        types=tuple(recorder.types.items),
        attributes=tuple(recorder.attributes.items),
        constants=tuple(recorder.constants.items),
        lines=tuple(recorder.lines.names),
        inputs=np.concatenate([count + own, np.arange(count)]).astype(np.int32),
        independents=(count + own).astype(np.int32),
        dependents=np.searchsorted(place, results).astype(np.int32),
        reverse=count + len(words),
        dtype=recorder.dtype,
    )
    return tape, [*independents, *outer_variables]


def inline(recorder: Recorder, tape: Tape, inputs: Sequence[Variable]) -> list[Variable]:
    """Append the instructions of a tape to a recording; guards are there already.

    Args:
        recorder: an open recording.
        tape: any tape of the recording's dtype.
        inputs: what the tape's inputs are.

    Returns:
        The tape's results.

    Raises:
        LeakedVariableError: the recording has ended.
    """
    for v in inputs:
        recorder.lift(v)
    active = any(v._active for v in inputs)
    types = [recorder.types(t) for t in tape.types]
    lines = [recorder.lines.intern(name) for name in tape.lines]
    slots: list[int] = []
    for i, (code, attribute, type_id, line) in enumerate(
        zip(
            tape.opcodes.tolist(), tape.attribute_ids.tolist(), tape.type_ids.tolist(), tape.line_ids.tolist(),
            strict=True,
        )
    ):  # fmt: skip
        if code == INPUT:
            slots.append(inputs[attribute]._slot)
        elif code == CONSTANT:
            slots.append(fresh(recorder, tape.constants[attribute], tape.types[type_id].kind)._slot)
        elif code in GUARDS:
            slots.append(-1)  # nothing reads it
        else:
            place = attribute if OPS[code].immediate else recorder.attributes(tape.attributes[attribute])
            operands = [slots[s] for s in tape.read(i)]
            slots.append(recorder.append(code, place, types[type_id], operands, lines[line]))
    return [recorder.variable(slots[d], active=active) for d in tape.dependents.tolist()]


def alias(v: Variable) -> Variable:
    """The same values as a slot of its own: what a derivative is taken by."""
    copy = v._recorder.apply("reshape", v.shape, v)
    copy._active = True
    copy._recorder.values.vary(copy._slot)
    return copy
