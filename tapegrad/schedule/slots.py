"""What each slot of a tape is for the schedule: its rows, its storage, how its instruction is executed.

All of it is decided once a signature; the signature of an instruction grows as more is known of its slots:
first their types, then their row axes, then how they lie in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import Attribute, Op
from tapegrad.ops.table import INPUT, OPCODES, OPS, flags
from tapegrad.passes.narrow import is_narrow
from tapegrad.passes.signature import signatures
from tapegrad.schedule.apart import copied_apart
from tapegrad.schedule.layout import LEAF as LEAF_FORM
from tapegrad.schedule.layout import VIEW, Layout, Layouts, accepts
from tapegrad.schedule.modes import PER_ROW, Mode, mode
from tapegrad.schedule.products import leading
from tapegrad.schedule.record import Records
from tapegrad.schedule.relations import Relations, relations
from tapegrad.schedule.rows import NO_ROW, SMALL, families
from tapegrad.schedule.storage import Storage, contiguous, default_storage, same, view_of
from tapegrad.tape import Tape

_VIEWS: Final = ("reshape", "slice", "item", "transpose", "broadcast_to")
_DENSE: Final = 4  # elements in a row of memory that make reading in place worth more than a copy


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """Signatures of a tape's instructions with what belongs to each.

    Attributes:
        signature: int32[n]; `modes`, `layouts`: of each signature.
        storage: int32[n], places in `storages`.
        row: int32[n], the row axis, -1: none.
        in_full: bool[n], must all rows be kept? A reader needs them in C order, which a window can't give.
        functions: the user's, which loops call.
    """

    signature: Any
    modes: tuple[Mode, ...]
    layouts: tuple[Layout, ...]
    storage: Any
    storages: tuple[Storage, ...]
    row: Any
    in_full: Any
    functions: tuple[Any, ...]


def _operation(tape: Tape, i: int) -> tuple[Op, Attribute]:
    op = OPS[tape.opcodes[i]]
    return op, () if op.leaf else tape.attribute(i)


def _relations(tape: Tape, firsts: Any) -> list[Relations]:
    found = []
    for i in firsts.tolist():
        op, attribute = _operation(tape, i)
        found.append(relations(op, attribute, [tape.type(s) for s in tape.read(i)], tape.type(i)))
    return found


def row_choices(tape: Tape, make: Records, *, forced: bool) -> list[Any]:
    """The row axes that are worth a try, the best first; with `forced` also of small tapes."""
    signature, firsts = signatures(tape)
    nbytes = np.array([make.nbytes(t) for t in tape.types], np.int64)[tape.type_ids]
    return families(tape, lambda: _relations(tape, firsts), signature, nbytes, 0 if forced else SMALL)


def slots(tape: Tape, make: Records, row: Any) -> Slots:
    """Decide on storage and layouts for slots with these row axes."""
    signature, firsts = signatures(tape)
    kinds = tape.type_ids
    if (row != NO_ROW).any():
        kinds = _numbered(tape.type_ids, row)
        signature, firsts = signatures(tape, kinds)
    modes = _modes(tape, firsts, row)
    moved = np.array([m.kind == PER_ROW for m in modes], np.bool_)[signature] & (row > 0)
    moved &= ~flags("eager")[tape.opcodes]
    outermost, plain = moved, kinds
    kinds, storages = _defaults(tape, plain, row, outermost)
    if outermost.any():
        outermost = _readable(tape, kinds, storages, outermost)
        kinds, storages = _defaults(tape, plain, row, outermost)
    kinds, storages = _read_in_place(tape, kinds, storages)
    found = _laid_out(tape, make, row, kinds, storages, moved & ~outermost)
    nbytes = np.array([make.nbytes(t) for t in tape.types], np.int64)[tape.type_ids]
    view = np.array([lay.form == VIEW for lay in found.layouts], np.bool_)[found.signature]
    apart = copied_apart(tape, view, row == NO_ROW, nbytes)
    if not apart.any():
        return found
    kinds, storages = _copied(kinds, storages, apart)
    return _laid_out(tape, make, row, kinds, storages, found.in_full)


def _laid_out(tape: Tape, make: Records, row: Any, kinds: Any, storages: list[Storage], in_full: Any) -> Slots:
    """The layouts of all signatures, for slots of these kinds."""
    signature, firsts = signatures(tape, kinds)
    modes = _modes(tape, firsts, row)
    maker = Layouts(make)
    layouts = []
    for s, i in enumerate(firsts.tolist()):
        op, attribute = _operation(tape, i)
        if tape.opcodes[i] == INPUT:
            layouts.append(maker.argument(tape.type(i)))
            continue
        operands = [storages[kinds[o]] for o in tape.read(i)]
        layouts.append(maker.of(op, attribute, operands, storages[kinds[i]], modes[s]))
    called = tuple(maker.functions.items)
    return Slots(signature, tuple(modes), tuple(layouts), kinds, tuple(storages), row, in_full, called)


def _copied(kinds: Any, storages: list[Storage], apart: Any) -> tuple[Any, list[Storage]]:
    """Kinds and storages of which those `apart` have memory of their own, in C order."""
    marked = _numbered(kinds, apart.astype(np.int32))
    found = []
    for i in _firsts(marked).tolist():
        s = storages[kinds[i]]
        found.append(Storage(s.type, s.row, contiguous(s.shape), own=True) if apart[i] else s)
    return marked, found


def _defaults(tape: Tape, kinds: Any, row: Any, outermost: Any) -> tuple[Any, list[Storage]]:
    """Kinds and their storages, rows outermost where wanted, else in C order."""
    kinds = _numbered(kinds, outermost.astype(np.int32)) if outermost.any() else kinds
    firsts = _firsts(kinds).tolist()
    return kinds, [default_storage(tape.type(i), int(row[i]), leaf=not outermost[i]) for i in firsts]


def _readable(tape: Tape, kinds: Any, storages: list[Storage], outermost: Any) -> Any:
    """`outermost` without the slots that some reader needs in C order."""
    signature, firsts = signatures(tape, kinds)
    kept = outermost.copy()
    for s, i in enumerate(firsts.tolist()):
        op, attribute = _operation(tape, i)
        for k, operand in enumerate(tape.read(i)):
            if not outermost[operand]:
                continue
            source = storages[kinds[operand]]
            if op.name in _VIEWS:
                if view_of(op.name, attribute, source, tape.type(i)) is not None:
                    continue
            elif accepts(op, attribute, k, source):
                continue
            kept[tape.operands[tape.starts[np.flatnonzero(signature == s)] + k]] = False
    return kept


def _numbered(a: Any, b: Any) -> Any:
    """Equal numbers for equal pairs."""
    return np.unique(a.astype(np.int64) * (int(b.max()) + 2) + (b + 1), return_inverse=True)[1].astype(np.int32)


def _firsts(kinds: Any) -> Any:
    """The first slot of each kind, for kinds numbered without gaps, else of those that occur."""
    first = np.zeros(int(kinds.max(initial=-1)) + 1, np.int64)
    first[kinds[::-1]] = np.arange(len(kinds))[::-1]
    return first


def _modes(tape: Tape, firsts: Any, row: Any) -> list[Mode]:
    found = []
    for i in firsts.tolist():
        op, attribute = _operation(tape, i)
        read = tape.read(i)
        types = [tape.type(s) for s in read]
        known = relations(op, attribute, types, tape.type(i))
        found.append(mode(op, known, types, [int(row[s]) for s in read], int(row[i])))
    return found


def _read_in_place(tape: Tape, kinds: Any, storages: list[Storage]) -> tuple[Any, list[Storage]]:
    """Let moving instructions be views that are not in C order, where all that read them can.

    And let a product be stored as the transposition wants it that is all that reads it.
    """
    signature, firsts = signatures(tape, kinds)
    candidate = np.full(len(firsts), -1, np.int32)
    storages = list(storages)
    for s, i in enumerate(firsts.tolist()):
        op, attribute = _operation(tape, i)
        if op.name not in _VIEWS:
            continue
        own = storages[kinds[i]]
        view = view_of(op.name, attribute, storages[kinds[tape.operands[tape.starts[i]]]], own.type)
        if view is None or same(own.shape, view[1], own.strides) or not _worth(own, view[1]):
            continue
        candidate[s] = len(storages)
        storages.append(Storage(own.type, own.row, view[1]))
    turned = _turned_products(tape, kinds, storages)
    chosen = candidate[signature]
    if (chosen < 0).all() and not turned:
        return kinds, storages
    chosen[tape.dependents] = -1
    for slot, source, wanted in turned:
        chosen[source], chosen[slot] = wanted, -1
    return np.where(chosen >= 0, chosen, kinds).astype(np.int32) if _settle(
        tape, kinds, storages, chosen
    ) else kinds, storages


def _worth(own: Storage, strides: tuple[int, ...]) -> bool:
    """Is it better to read these strides than to copy? Some stretch of memory must be read in order."""
    lengths = [n for n, s in zip(own.shape, strides, strict=True) if s == 1 and n > 1]
    return 0 in strides or bool(lengths and lengths[0] >= _DENSE)


def _turned_products(tape: Tape, kinds: Any, storages: list[Storage]) -> list[tuple[int, int, int]]:
    """(transposition, product, storage of the product) where a transposition alone reads a product."""
    transposes = np.flatnonzero(tape.opcodes == OPCODES["transpose"])
    if not len(transposes):
        return []
    readers = np.bincount(tape.operands, minlength=len(tape))
    readers[tape.dependents] += 1
    found, known = [], {}
    for i in transposes.tolist():
        source = int(tape.operands[tape.starts[i]])
        if readers[source] != 1 or tape.opcodes[source] != OPCODES["matmul"] or is_narrow(tape.type(source).shape):
            continue
        own, key = storages[kinds[i]], (kinds[i], kinds[source], tape.attribute_ids[i])
        if key not in known:
            strides = [0] * len(own.strides)
            for axis, step in zip(tape.attribute(i), own.strides, strict=True):
                strides[axis] = step
            product = storages[kinds[source]]
            usable = leading(product.shape[-2:], strides[-2:]) is not None and product.type.size
            known[key] = len(storages) if usable else -1
            if usable:
                storages.append(Storage(product.type, product.row, tuple(strides)))
        if known[key] >= 0:
            found.append((i, source, known[key]))
    return found


def _settle(tape: Tape, kinds: Any, storages: list[Storage], chosen: Any) -> bool:
    """Give up, in `chosen`, what some reader cannot read; is anything left?"""
    assumed = np.where(chosen >= 0, chosen, kinds).astype(np.int32)
    signature, firsts = signatures(tape, assumed)
    views = np.isin(tape.opcodes, [OPCODES[name] for name in _VIEWS]) & (chosen >= 0)
    for s, i in enumerate(firsts.tolist()):
        op, attribute = _operation(tape, i)
        for k, operand in enumerate(tape.read(i)):
            if not views[operand] or accepts(op, attribute, k, storages[assumed[operand]]):
                continue
            instructions = np.flatnonzero(signature == s)
            refused = tape.operands[tape.starts[instructions] + k]
            chosen[refused[views[refused]]] = -1
    return bool((chosen >= 0).any())


__all__ = ["LEAF_FORM", "Slots", "slots"]
