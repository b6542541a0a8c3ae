"""Symbols for the elements of arguments, and arrays of expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tapegrad.drivers.interface import Interface
from tapegrad.errors import ShapeError, describe
from tapegrad.formulas.names import Names
from tapegrad.ops.row import FLOAT
from tapegrad.tape import Tape

MOST: Final = 64  # numbers that a formula may have as arguments


def symbols(sp: Any, tape: Tape, interface: Interface, names: Names, given: Sequence[Any]) -> list[Any]:
    """An array of symbols for each floating input, "x[0]", "x[1]" ...; integers and booleans are what they are.

    Raises:
        ShapeError: more of them than anyone reads.
    """
    slots = [tape.type(s) for s in tape.inputs.tolist()]
    floating = [(path, t) for (_, path), t in zip(names.inputs(interface), slots, strict=True) if t.kind == FLOAT]
    if sum(t.size for _, t in floating) > MOST:
        sizes = ", ".join(f"{path} of {t.size}" for path, t in floating)
        wanted = f"at most {MOST} numbers as arguments; tape.to_python() has formulas of arrays"
        raise ShapeError(describe("symbolic", found=sizes, wanted=wanted))
    return [
        _array(sp, name, t.shape) if t.kind == FLOAT else value
        for (name, _), t, value in zip(names.inputs(interface), slots, given, strict=True)
    ]


def _array(sp: Any, name: str, shape: tuple[int, ...]) -> Any:
    out = np.empty(shape, object)
    for k in np.ndindex(shape):
        index = ", ".join(map(str, k))
        out[k] = sp.Symbol(f"{name}[{index}]" if k else name, real=True)
    return out


def independents(tape: Tape, interface: Interface) -> list[int]:
    """Places among the inputs of what each gradient is the derivative to."""
    places = {slot: k for k, slot in enumerate(tape.inputs.tolist())}
    return [places[int(tape.independents[k])] for k in interface.gradients()]


def packed(sp: Any, values: Any) -> Any:
    """Expressions as SymPy has them: one by itself, or an array."""
    if not values.shape:
        return sp.sympify(values[()])
    return sp.Array([sp.sympify(v) for v in values.flat], values.shape)


def subscripts(sp: Any, arrays: Sequence[Any]) -> dict[Any, str]:
    """How symbols of arrays are set in LaTeX: with indices below."""
    found = {}
    for array in arrays:
        for symbol in array.flat if array.dtype == object and array.ndim else ():
            name, _, index = symbol.name.partition("[")
            base = sp.latex(sp.Symbol(name))
            found[symbol] = f"{{{base}}}_{{{index[:-1]}}}" if "_" in base else f"{base}_{{{index[:-1]}}}"
    return found
