"""`debug=True`: where a nan or an infinity in a result came from.

A tape whose results are not finite is gone through once more, instruction by instruction. From the result the way
leads back through values that are not finite to an instruction that made one of finite operands: the fault. What
was not finite but did no harm - a branch of `where` that was not taken - is not on that way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.drivers.arguments import Arguments, user_line
from tapegrad.errors import NonFiniteError, describe
from tapegrad.ops.custom import title
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.tape import Tape
from tapegrad.touched import TouchedRows
from tapegrad.values import values


def require_finite(tape: Tape, arguments: Arguments, results: Sequence[Any], name: Callable[[int], str]) -> None:
    """Raise `NonFiniteError` that names the first instruction and line to blame, if a result is not finite.

    Args:
        tape: what was run.
        arguments: for what.
        results: the first of its results; others may be anything.
        name: what a message calls an input.
    """
    if all(bool(np.isfinite(r).all()) for r in results):
        return
    found = values(tape, arguments.inputs)
    bad = [v.dtype.kind == "f" and not bool(np.isfinite(v).all()) for v in found]
    todo = [d for d in tape.dependents[: len(results)].tolist() if bad[d]]
    met: set[int] = set()
    faults = []
    while todo:
        i = todo.pop()
        if i in met:
            continue
        met.add(i)
        before = [s for s in tape.read(i) if bad[s]]
        todo += before
        if not before:
            faults.append(i)
    raise (
        _error(tape, found, min(faults), name)
        if faults
        else NonFiniteError(
            describe("debug", found="a result that is not finite", wanted="finite results, as a slower run gives them")
        )
    )


def require_finite_sums(gradients: Sequence[Any], names: Sequence[str]) -> None:
    """Raise `NonFiniteError` if finite contributions to a touched row have a sum that is not.

    Args:
        gradients: arrays and `TouchedRows`.
        names: of the parameters.
    """
    for gradient, name in zip(gradients, names, strict=True):
        if isinstance(gradient, TouchedRows) and not bool(np.isfinite(gradient.values).all()):
            row = int(gradient.rows[~np.isfinite(gradient.values.reshape(len(gradient.rows), -1)).all(1)][0])
            found = f"an overflow in row {row} of the gradient by {name}"
            raise NonFiniteError(describe("sums of rows", found=found, wanted="finite derivatives", line=user_line()))


def _error(tape: Tape, known: Sequence[Any], i: int, name: Callable[[int], str]) -> NonFiniteError:
    """The message: what became of which operands, where."""
    op, value = OPS[tape.opcodes[i]], known[i]
    place = tuple(int(k) for k in np.argwhere(~np.isfinite(value))[0]) if value.ndim else ()
    at = f" at {list(place)}" if place else ""
    found = f"{value[place]}{at}"
    if tape.opcodes[i] == INPUT:
        at = name(int(tape.attribute_ids[i]))
        return NonFiniteError(describe(at, found=found, wanted="finite values", line=user_line()))
    if tape.opcodes[i] == CONSTANT:
        return NonFiniteError(describe("a constant", found=found, wanted="finite values", line=tape.line(i)))
    if op.pointwise:
        operands = [np.broadcast_to(known[s], value.shape)[place] for s in tape.read(i)]
        found += " of " + ", ".join(str(x) for x in operands)
    part = "reverse" if i >= tape.reverse else "forward"
    wanted = "finite values" if part == "forward" else "finite derivatives"
    called = title(op, tape.attribute(i))
    return NonFiniteError(describe(f"{called} in the {part} sweep", found=found, wanted=wanted, line=tape.line(i)))
