"""Pins: arrays whose values the recording goes by, so that a guard holds them as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapegrad.ops.row import BOOL, INT
from tapegrad.record.constants import fresh, number
from tapegrad.record.guards import expect, guard

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder
    from tapegrad.record.variable import Variable


def pin(recorder: Recorder, v: Variable) -> Any:
    """The value of integers or booleans, and a guard that the tape is good only while they are the same."""
    value = recorder.constant_value(v)
    if value is not None:
        return value
    value = recorder.values[v._slot]
    if not value.shape:
        guard(recorder, v, v._kind)
    elif value.size:
        same = recorder.cast(recorder.elementwise("equal", v, fresh(recorder, value, v._kind)), INT)
        every = recorder.cast(recorder.apply("min", tuple(range(v.ndim)), same), BOOL)
        expect(recorder, every, number(recorder, True, BOOL), (value.shape, value.tobytes()))
    return value
