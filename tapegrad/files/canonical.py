"""One form for every tape: the same tape gives the same file.

Tables are in the order in which instructions first use them, without what none uses. Of a source line only the file's
own name and the number stay: where it was is nobody else's business.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

import numpy as np

from tapegrad.files.wrong import Wrong
from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.ops.table import CONSTANT, flags
from tapegrad.tape import Interner, Tape

_LONGEST: Final = 300


def canonical(tape: Tape) -> Tape:
    """The same tape in the form in which it is written."""
    attribute_ids = tape.attribute_ids.copy()
    tabled = ~flags("leaf", "immediate")[tape.opcodes]
    used, attribute_ids[tabled] = by_first_use(tape.attribute_ids[tabled])
    attributes: Interner[Attribute] = Interner.of([()])
    places = np.array([attributes(_plain(tape.attributes[k])) for k in used.tolist()], np.int32)
    attribute_ids[tabled] = places[attribute_ids[tabled]]

    leaves = tape.opcodes == CONSTANT
    constants, attribute_ids[leaves] = by_first_use(tape.attribute_ids[leaves])
    slots = np.flatnonzero(leaves)[np.unique(attribute_ids[leaves], return_index=True)[1]]
    kept = [_constant(tape, k, tape.type(slot)) for k, slot in zip(constants.tolist(), slots.tolist(), strict=True)]

    types, type_ids = by_first_use(tape.type_ids)
    found, line_ids = by_first_use(tape.line_ids)
    lines: Interner[str] = Interner.of(["?"])
    numbers = np.array([lines(_line(tape.lines[k])) for k in found.tolist()], np.int32)
    return replace(
        tape,
        type_ids=type_ids,
        attribute_ids=attribute_ids,
        line_ids=numbers[line_ids].astype(np.int32),
        types=tuple(tape.types[k] for k in types.tolist()),
        attributes=tuple(attributes.items),
        constants=tuple(kept),
        lines=tuple(lines.items),
    )


def by_first_use(ids: Any) -> tuple[Any, Any]:
    """The different numbers in the order in which they first occur, and each number's place among them."""
    values, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return values[order], place[inverse]


def _constant(tape: Tape, k: int, t: ArrayType) -> Any:
    """A constant in C order, of its slot's dtype."""
    return np.ascontiguousarray(tape.constants[k], t.dtype(tape.dtype)).reshape(t.shape)


def _plain(value: Any) -> Any:
    """An attribute made of Python's own numbers."""
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in value)
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if value is None or isinstance(value, (str, SparseMatrix)):
        return value
    raise Wrong(f"an attribute of type {type(value).__name__}")


def _line(name: str) -> str:
    """A source line without its folder, printable."""
    own = re.split(r"[/\\]", name)[-1]
    return "".join(c if c.isprintable() else "?" for c in own[-_LONGEST:])
