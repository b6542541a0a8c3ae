"""Guards: what was tested while recording and how it came out; the tape is good only while it comes out so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tapegrad.errors import ConversionError, ShapeError, describe
from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.kinds import CAST

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder
    from tapegrad.record.variable import Variable


def guard(recorder: Recorder, v: Variable, kind: str) -> Any:
    """The value of a scalar as `kind`, and a guard that the tape is good only while it comes out so."""
    recorder.check(v)
    tested = recorder.cast(v, kind)
    value = recorder.values[tested._slot].item()
    if recorder.values.is_fixed(tested._slot):
        return value
    expected = recorder.constant(value, kind)
    expect(recorder, tested, expected, value)
    return value


def guard_number(recorder: Recorder, v: Variable, kind: str, wanted: str) -> Any:
    """For int(v), float(v): as `guard`, but an error where the derivative would be lost."""
    if v._active and kind == FLOAT:
        found = "a Variable that is being differentiated"
        raise ConversionError(describe("float()", found=found, wanted=wanted, line=recorder.line()))
    if v.size != 1:
        operation = f"{CAST[kind].removeprefix('to_')}()"
        raise ShapeError(describe(operation, found=f"shape {v.shape}", wanted="one element", line=recorder.line()))
    scalar = recorder.apply("reshape", (), v) if v.shape else v
    if kind == INT and v._kind == FLOAT:
        int(recorder.values[scalar._slot].item())  # nan and infinities have none: Python's own error
    return guard(recorder, scalar, kind)


def expect(recorder: Recorder, tested: Variable, expected: Variable, outcome: Any) -> None:
    """Record a guard: one scalar is to equal another; `outcome` tells this recording from others."""
    recorder.guards.append((recorder.elementwise("guard", tested, expected)._slot, outcome))
