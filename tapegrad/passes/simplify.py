"""Small algebra: chains of two instructions that one can do.

Everywhere, to the last bit: a reshape of a reshape, a transpose of a transpose, a negative of a negative;
negatives that a sum or a difference can take in, x + (-y) = x - y.

In the derivative's part also products with a number: a * (b * x) = (a * b) * x and a * (b / x) = (a * b) / x
where one of the numbers is a power of two, so that nothing but an overflow or an underflow on the way can
tell; a * (-x) = (-a) * x; and no mask. The recorded part is left alone there: its values are the function's own.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled, part
from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import CONSTANT, OPCODES, OPS
from tapegrad.tape import Interner, Tape

_RESHAPE, _TRANSPOSE, _NEGATIVE, _ADD, _SUBTRACT, _MULTIPLY, _MASKED, _DIVIDE = range(1, 9)
_NAMES: Final = {
    "reshape": _RESHAPE,
    "transpose": _TRANSPOSE,
    "negative": _NEGATIVE,
    "negative:i": _NEGATIVE,
    "add": _ADD,
    "add:ii": _ADD,
    "subtract": _SUBTRACT,
    "subtract:ii": _SUBTRACT,
    "multiply": _MULTIPLY,
    "masked_multiply": _MASKED,
    "divide": _DIVIDE,
}
_ROLES: Final = np.array([_NAMES.get(op.key, 0) for op in OPS], np.int8)
_OPPOSITE: Final = {"add": "subtract", "add:ii": "subtract:ii", "subtract": "add", "subtract:ii": "add:ii"}
_OPPOSITES: Final = np.array([OPCODES[_OPPOSITE.get(op.key, op.key)] for op in OPS], np.uint16)
_CODES: Final = np.array([OPCODES[name] for name in ("negative", "multiply", "divide")], np.uint16)


@part
def _sum(i: Any, opcodes: Any, starts: Any, operands: Any, roles: Any, opposites: Any) -> None:
    """A sum or a difference takes negatives in."""
    a = starts[i]
    while True:
        x, y = operands[a], operands[a + 1]
        if roles[y] == _NEGATIVE:
            operands[a + 1] = operands[starts[y]]
        elif roles[i] == _ADD and roles[x] == _NEGATIVE:
            operands[a], operands[a + 1] = y, operands[starts[x]]
        else:
            return
        opcodes[i] = opposites[opcodes[i]]
        roles[i] = _SUBTRACT if roles[i] == _ADD else _ADD


@part
def _number_of(i: Any, starts: Any, operands: Any, values: Any) -> Any:
    """Which operand of a product is a number, 0 or 1; -1 for none. `values` are nan but for numbers."""
    for k in range(2):
        if values[operands[starts[i] + k]] == values[operands[starts[i] + k]]:
            return k
    return -1


@part
def _exact(a: Any, b: Any, limits: Any) -> Any:
    """Is a product of numbers neither rounded nor out of range?"""
    power = math.frexp(abs(a))[0] == 0.5 or math.frexp(abs(b))[0] == 0.5
    return power and limits[0] <= abs(a * b) <= limits[1]


@part
def _scaled(a: Any, x: Any, starts: Any, operands: Any, roles: Any, values: Any, limits: Any, reverse: Any) -> Any:
    """a * x as b * y, y further back on the tape, in the derivative's part: the rest is computed anyway."""
    while True:
        if x >= reverse and roles[x] == _NEGATIVE:
            a, x = -a, operands[starts[x]]
            continue
        k = _number_of(x, starts, operands, values) if x >= reverse and roles[x] == _MULTIPLY else -1
        if k < 0:
            return a, x
        b = values[operands[starts[x] + k]]
        if not _exact(a, b, limits):
            return a, x
        a, x = a * b, operands[starts[x] + 1 - k]


@part
def _product(
    i: Any,
    opcodes: Any,
    starts: Any,
    operands: Any,
    roles: Any,
    codes: Any,
    values: Any,
    limits: Any,
    reverse: Any,
    state: Any,
) -> Any:
    """A product with a number taken together with what it multiplies; gives the slot that stands for it."""
    o, k = starts[i], _number_of(i, starts, operands, values)
    if k < 0 or not limits[0] <= abs(values[operands[o + k]]) <= limits[1]:
        return i
    number, factor = operands[o + k], operands[o + 1 - k]
    a, x = _scaled(values[number], factor, starts, operands, roles, values, limits, reverse)
    role = _MULTIPLY
    if x >= reverse and roles[x] == _DIVIDE and _exact(a, values[operands[starts[x]]], limits):
        a, x, role = a * values[operands[starts[x]]], operands[starts[x] + 1], _DIVIDE
    elif a == 1.0:
        return x
    elif a == -1.0:
        opcodes[i], roles[i], operands[o], starts[i + 1] = codes[0], _NEGATIVE, x, o + 1
        return i
    elif x == factor:  # at most without the mask: in the order of operands that `share` gave it
        opcodes[i], roles[i] = codes[1], role
        return i
    if a != values[number]:
        number = len(opcodes) + state[0]
        state[0] += 1
        values[number] = a
    opcodes[i], roles[i] = codes[1 if role == _MULTIPLY else 2], role
    operands[o], operands[o + 1] = number, x
    return i


@compiled
def _simplify(
    i: Any,
    old_starts: Any,
    old_operands: Any,
    opcodes: Any,
    types: Any,
    starts: Any,
    operands: Any,
    roles: Any,
    opposites: Any,
    codes: Any,
    values: Any,
    limits: Any,
    reverse: Any,
    stands: Any,
    state: Any,
) -> Any:
    """From instruction i on; gives the next transpose of a transpose, which is for Python, or the end.

    `stands[i]` becomes the slot that stands for slot i. Slots from n on are new numbers; `state` counts them.
    """
    while i < len(opcodes):
        a = starts[i]
        for o in range(old_starts[i], old_starts[i + 1]):
            operands[a + o - old_starts[i]] = stands[old_operands[o]]
        starts[i + 1] = a + old_starts[i + 1] - old_starts[i]
        stands[i] = i
        role = roles[i]
        if role == _RESHAPE:
            if roles[operands[a]] == _RESHAPE:
                operands[a] = operands[starts[operands[a]]]
            if types[operands[a]] == types[i]:
                stands[i] = operands[a]
        elif role == _TRANSPOSE:
            if roles[operands[a]] == _TRANSPOSE:
                return i
        elif role == _NEGATIVE:
            if roles[operands[a]] == _NEGATIVE:
                stands[i] = operands[starts[operands[a]]]
        elif _ADD <= role <= _SUBTRACT:
            _sum(i, opcodes, starts, operands, roles, opposites)
        elif _MULTIPLY <= role <= _MASKED and i >= reverse:
            stands[i] = _product(i, opcodes, starts, operands, roles, codes, values, limits, reverse, state)
        i += 1
    return i


def simplify(tape: Tape) -> Tape:
    """The tape with chains made shorter (what they were made of stays until `drop_dead`)."""
    n = len(tape)
    roles, values = np.zeros(2 * n, np.int8), np.full(2 * n, np.nan)
    roles[:n], values[:n] = _ROLES[tape.opcodes], _numbers(tape)
    limits = np.array([np.finfo(tape.dtype).smallest_normal, np.finfo(tape.dtype).max], np.float64)
    opcodes, attribute_ids, attributes = tape.opcodes.copy(), tape.attribute_ids.copy(), Interner.of(tape.attributes)
    starts, operands = np.zeros(n + 1, np.int32), np.zeros(len(tape.operands), np.int32)
    stands, state = np.zeros(n, np.int32), np.zeros(1, np.int64)
    i = 0
    while True:
        i = _simplify(
            i, tape.starts, tape.operands, opcodes, tape.type_ids, starts, operands,
            roles, _OPPOSITES, _CODES, values, limits, tape.reverse, stands, state,
        )  # fmt: skip
        if i == n:
            break
        inner = operands[starts[i]]
        axes = attributes.items[attribute_ids[inner]]
        axes = tuple(axes[a] for a in attributes.items[attribute_ids[i]])
        operands[starts[i]], attribute_ids[i] = operands[starts[inner]], attributes(axes)
        if axes == tuple(range(len(axes))):
            stands[i] = operands[starts[i]]
        i += 1
    operands = operands[: starts[n]]
    same = np.array_equal(opcodes, tape.opcodes) and np.array_equal(operands, tape.operands)
    if same and np.array_equal(stands, np.arange(n)):
        return tape
    changed = replace(
        tape,
        opcodes=opcodes,
        starts=starts,
        operands=operands,
        attribute_ids=attribute_ids,
        attributes=tuple(attributes.items),
        dependents=stands[tape.dependents],
    )
    return _with_numbers(changed, values[n : n + int(state[0])])


def _numbers(tape: Tape) -> Any:
    """The value of each slot that is a constant floating number; nan for all others."""
    values = np.full(len(tape), np.nan)
    numbers = np.array([c.item() if c.shape == () and c.dtype.kind == "f" else np.nan for c in tape.constants])
    leaves = np.flatnonzero(tape.opcodes == CONSTANT)
    if len(leaves):
        values[leaves] = numbers[tape.attribute_ids[leaves]]
    return values


def _with_numbers(tape: Tape, values: Any) -> Tape:
    """The tape with new numbers, which its operands name from n on, where the derivative's part starts."""
    n, count, at = len(tape), len(values), tape.reverse
    if not count:
        return tape
    place = np.arange(n + count, dtype=np.int32)
    place[at:n] += count
    place[n:] = np.arange(at, at + count)
    found, which = np.unique(values, return_inverse=True)
    new = np.ones(count, np.int32)
    return replace(
        tape,
        opcodes=np.insert(tape.opcodes, at, new * CONSTANT),
        starts=np.insert(tape.starts, at, new * tape.starts[at]),
        operands=place[tape.operands],
        type_ids=np.insert(tape.type_ids, at, new * tape.types.index(ArrayType((), FLOAT))),
        attribute_ids=np.insert(tape.attribute_ids, at, len(tape.constants) + which),
        line_ids=np.insert(tape.line_ids, at, new * 0),
        constants=(*tape.constants, *(np.array(v, tape.dtype) for v in found)),
        inputs=place[tape.inputs],
        independents=place[tape.independents],
        dependents=place[tape.dependents],
    )
