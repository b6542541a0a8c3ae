"""Is it a tape? All that passes, derivatives, the scheduler and kernels take for granted is looked at here.

A file may have been written by anybody: its hash says that it is whole, not that it means well. Kernels check nothing,
so each instruction must be one that could have been recorded: of an op that is known, with an attribute that the op
takes for operands of these types (`Op.takes`), and with the type that the row's own rule gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.files.wrong import Wrong, require
from tapegrad.ops import accepted
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType
from tapegrad.ops.table import CONSTANT, INPUT, OPS, flags
from tapegrad.passes.fold import foldable
from tapegrad.passes.signature import signatures
from tapegrad.tape import Tape

_LARGEST: Final = 1 << 46  # bytes of a slot: an address of the sweep's has 48 bits


def check(tape: Tape, most: int = _LARGEST) -> None:
    """Raise `Wrong` unless it is a tape, each slot of which has no more than so many bytes.

    The arrays have the dtypes that they should have.
    """
    check_types(tape.types, tape.dtype, most)
    _check_tables(tape)
    _check_arrays(tape)
    _check_leaves(tape)
    _check_instructions(tape)
    _check_immediates(tape)
    _check_ends(tape)
    folded = foldable(tape)
    require(not len(folded), f"{_place(tape, folded)} depends on constants alone, which is one already in a tape")


def _place(tape: Tape, slots: Any) -> str:
    """How a message names the first of some instructions."""
    i = int(slots[0]) if len(slots) else 0
    return f"instruction {i} ({OPS[tape.opcodes[i]].key})" if i < len(tape) else f"instruction {i}"


# --- tables


def check_types(types: Sequence[ArrayType], dtype: np.dtype[Any], most: int = _LARGEST) -> None:
    """Raise `Wrong` unless arrays can be of these types, none larger; an empty axis counts as one of length 1."""
    for t in types:
        require(t.kind in (FLOAT, INT, BOOL) and accepted.shape(t.shape), f"a type that is none: {str(t)[:80]}")
        span = ArrayType(tuple(max(n, 1) for n in t.shape)).size * t.dtype(dtype).itemsize
        most = min(most, _LARGEST)
        require(span <= most, f"a slot of shape {t.shape}, {span} bytes, where {most} are allowed (memory_limit=)")


def _check_tables(tape: Tape) -> None:
    for name, table in (("types", tape.types), ("attributes", tape.attributes), ("lines", tape.lines)):
        require(len(set(table)) == len(table), f"{name} that are listed twice")
    require(tape.attributes[:1] == ((),), "attributes that do not begin with the empty one")
    require(tape.lines[:1] == ("?",), "lines that do not begin with the unknown one")


# --- arrays


def _check_arrays(tape: Tape) -> None:
    n = len(tape)
    require(
        len(tape.starts) == n + 1 and tape.starts[0] == 0, "starts that are not one more than there are instructions"
    )
    widths: Any = np.diff(tape.starts.astype(np.int64))
    require((widths >= 0).all(), "starts that go down")
    require(tape.starts[-1] == len(tape.operands), "more or fewer operands than instructions read")
    for name, table in (("type", tape.types), ("line", tape.lines)):
        ids = getattr(tape, f"{name}_ids")
        require(len(ids) == n and _within(ids, len(table)), f"{name}_ids that name no {name}")
    require(len(tape.attribute_ids) == n and _within(tape.opcodes, len(OPS)), "instructions that are incomplete")
    readers = np.repeat(np.arange(n), widths)
    wrong = np.flatnonzero((tape.operands < 0) | (tape.operands >= readers))
    require(not len(wrong), f"{_place(tape, readers[wrong])} reads a slot that is not before it")


def _within(places: Any, count: int) -> bool:
    return not len(places) or bool(places.min() >= 0 and places.max() < count)


def _check_leaves(tape: Tape) -> None:
    inputs, count = np.flatnonzero(tape.opcodes == INPUT), len(tape.inputs)
    same = len(inputs) == count and np.array_equal(inputs, np.arange(count))
    require(same and np.array_equal(tape.inputs, inputs), "inputs that are not the tape's first instructions")
    require(np.array_equal(tape.attribute_ids[inputs], inputs), "inputs in another order than their numbers")
    leaves = np.flatnonzero(tape.opcodes == CONSTANT)
    ids = tape.attribute_ids[leaves]
    require(_within(ids, len(tape.constants)), "instructions that are constants which do not exist")
    for slot, k in zip(leaves.tolist(), ids.tolist(), strict=True):
        t, value = tape.type(slot), tape.constants[k]
        same = value.shape == t.shape and value.dtype == t.dtype(tape.dtype) and value.flags.c_contiguous
        require(same, f"instruction {slot} is a constant of another type than its slot")
    tabled = ~flags("leaf", "immediate")[tape.opcodes]
    require(_within(tape.attribute_ids[tabled], len(tape.attributes)), "attribute_ids that name no attribute")


def _check_ends(tape: Tape) -> None:
    n, count = len(tape), len(tape.inputs)
    require(_within(tape.dependents, n), "dependents that are no slots")
    require(_within(tape.independents, count), "independents that are no inputs")
    require(len(set(tape.independents.tolist())) == len(tape.independents), "independents that are listed twice")
    floating = all(tape.type(s).kind == FLOAT for s in tape.independents.tolist())
    require(floating, "independents that are no floats")
    require(count <= tape.reverse <= n, f"a reverse part from {tape.reverse} on, of {n} instructions")


# --- instructions, each kind of them once


def _check_instructions(tape: Tape) -> None:
    for i in signatures(tape)[1].tolist():
        op = OPS[tape.opcodes[i]]
        read = tape.read(i)
        if op.leaf:
            require(not read, f"{_place(tape, [i])} reads slots")
            continue
        found = _result_type(tape, i, [tape.type(s) for s in read])
        require(found == tape.type(i), f"{_place(tape, [i])} is of type {tape.type(i)}, and its result of type {found}")
        require(not op.effect or not tape.type(i).shape, f"{_place(tape, [i])} is a guard of an array")


def _result_type(tape: Tape, i: int, types: list[ArrayType]) -> ArrayType:
    """What the row's rule gives for an instruction, if the row takes it."""
    op, attribute = OPS[tape.opcodes[i]], tape.attribute(i)
    try:
        if op.takes(attribute, types):
            result: ArrayType = op.result_type(attribute, types)
            return result
    except (ShapeError, ArithmeticError, LookupError, TypeError, ValueError):
        pass  # a rule that can make nothing of it
    found = f"the attribute {str(attribute)[:80]} and operands of types {', '.join(map(str, types[:3]))}"
    raise Wrong(f"{_place(tape, [i])} with {found}")


def _check_immediates(tape: Tape) -> None:
    """Places along the first axis are no part of a signature."""
    chosen = np.flatnonzero(flags("immediate")[tape.opcodes])
    lengths = np.array([t.shape[0] if t.shape else 0 for t in tape.types], np.int64)
    places = tape.attribute_ids[chosen]
    whole = lengths[tape.type_ids[tape.operands[tape.starts[chosen]]]] if len(chosen) else places
    wrong = chosen[(places < 0) | (places >= whole)]
    require(not len(wrong), f"{_place(tape, wrong)} is an item outside its axis")
