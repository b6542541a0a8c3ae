"""How patterns go through instructions: one rule for each family of ops.

Ops that move elements are evaluated on the numbers of sets: 0, with which they pad, is the empty set. Ops without a
rule here have the pattern that is always right: every element depends on all of every operand.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.expression import Number, parse
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.ops.windows import window_index
from tapegrad.sparse.reader import Reader, thin

Rule = Callable[[Reader, int], Any]
# Up to so many products of a constant matrix that has zeros the zeros are left out, beyond taken for nonzero.
_MOST_PRODUCTS: Final = 10**7


def reads(text: str) -> bool:
    """Is a partial, as its row has it, anything but 0?"""
    return not text or parse(text) != Number(0.0)


def elementwise(r: Reader, i: int) -> Any:
    """The union of the operands', but where a partial is known to be 0."""
    op, shape = OPS[r.tape.opcodes[i]], r.tape.type(i).shape
    patterns = []
    for k, slot in enumerate(r.tape.read(i)):
        if not r.active[slot] or not reads(op.partials[k]):
            continue
        pattern, partial = r.pattern(slot), r.known.partial(i, k) if r.careful[i] else None
        if partial is not None and (partial == 0).any():
            pattern = np.where(partial == 0, np.int32(0), pattern)
        patterns.append(pattern)
    return r.union(patterns, shape)


def moved(r: Reader, i: int) -> Any:
    """The sets, moved as the elements are."""
    op = OPS[r.tape.opcodes[i]]
    return op.evaluate(r.tape.attribute(i), *r.operands(i))


def reduction(r: Reader, i: int) -> Any:
    """The union over the reduced axes."""
    (pattern,) = r.operands(i)
    return r.reduced(pattern, r.tape.attribute(i)).reshape(r.tape.type(i).shape)


def dense(r: Reader, i: int) -> Any:
    """The union of everything."""
    parts = [r.reduced(p, range(p.ndim)).reshape(()) for p in r.operands(i)]
    return np.broadcast_to(r.union(parts, ()), r.tape.type(i).shape)


# --- adding at places


def slice_add(r: Reader, i: int) -> Any:
    """The operand's sets united into a window."""
    return _added(r, i, window_index(r.tape.attribute(i)))


def item_add(r: Reader, i: int) -> Any:
    """The operand's sets united into one place of the first axis."""
    return _added(r, i, r.tape.attribute(i))


def slice_set(r: Reader, i: int) -> Any:
    """The operand's sets in place of a window."""
    return _put(r, i, window_index(r.tape.attribute(i)))


def item_set(r: Reader, i: int) -> Any:
    """The operand's sets in place of one place of the first axis."""
    return _put(r, i, r.tape.attribute(i))


def _put(r: Reader, i: int, index: Any) -> Any:
    slot, put = r.tape.read(i)
    pattern = r.pattern(put)
    total = r.taken_over(i, slot)
    total[index] = pattern
    return total


def _added(r: Reader, i: int, index: Any) -> Any:
    slot, added = r.tape.read(i)
    pattern = r.pattern(added)
    total = r.taken_over(i, slot)
    total[index] = r.union([total[index], pattern], pattern.shape)
    return total


def gather(r: Reader, i: int) -> Any:
    """The sets at the indices; where these are not known, the union over the axis."""
    axis, batch = r.tape.attribute(i)
    slot, index_slot = r.tape.read(i)
    pattern, index = r.pattern(slot), _index(r, index_slot, axis, r.tape.type(slot).shape)
    if index is not None:
        return OPS[r.tape.opcodes[i]].evaluate((axis, batch), pattern, index)
    own = len(r.tape.type(index_slot).shape) - batch
    whole = r.reduced(pattern, [axis])
    shape = whole.shape[:axis] + (1,) * own + whole.shape[axis + 1 :]
    return np.broadcast_to(whole.reshape(shape), r.tape.type(i).shape)


def scatter(r: Reader, i: int) -> Any:
    """The sets added at the indices; where these are not known, everywhere along the axis."""
    axis, _, batch = r.tape.attribute(i)
    slot, index_slot = r.tape.read(i)
    total = np.zeros(r.tape.type(i).shape, np.int32)
    r.own.add(i)
    return _scattered(r, (axis, batch), total, r.pattern(slot), index_slot)


def scatter_add(r: Reader, i: int) -> Any:
    """As `scatter`, united with what was there."""
    slot, added, index_slot = r.tape.read(i)
    pattern = r.pattern(added)
    return _scattered(r, r.tape.attribute(i), r.taken_over(i, slot), pattern, index_slot)


def _scattered(r: Reader, attribute: Any, total: Any, pattern: Any, index_slot: int) -> Any:
    axis, batch = attribute
    index = _index(r, index_slot, axis, total.shape)
    if index is not None:
        numbers = np.arange(total.size).reshape(total.shape)
        places = OPS[OPCODES["gather"]].evaluate(attribute, numbers, index)
        r.add(total, np.reshape(places, -1), np.reshape(pattern, -1))
        return total
    own = len(r.tape.type(index_slot).shape) - batch
    whole = r.reduced(pattern, range(axis, axis + own))
    whole = whole.reshape(whole.shape[:axis] + (1,) + whole.shape[axis + own :])
    total[...] = r.union([total, whole], total.shape)
    return total


def _index(r: Reader, slot: int, axis: int, shape: tuple[int, ...]) -> Any:
    """The indices, if they are known and inside the axis; those outside are for the sweep to refuse."""
    index, length = r.known.value(slot), shape[axis]
    return None if index is None or ((index < -length) | (index >= length)).any() else index


# --- products


def product(r: Reader, i: int) -> Any:
    """Rows of the left factor, columns of the right one, and what they are added to."""
    slots, shape = r.tape.read(i), r.tape.type(i).shape
    left, right = slots[-2:]
    flip_left, flip_right = r.tape.attribute(i)
    parts = [r.pattern(s) for s in slots[:-2] if r.active[s]]
    if r.active[left]:
        other = r.known.value(right)
        parts.append(_rows(r, _flipped(r.pattern(left), flip_left), _flipped(other, flip_right)))
    if r.active[right]:
        other = r.known.value(left)
        columns = _rows(r, _flipped(r.pattern(right), 1 - flip_right), _flipped(other, 1 - flip_left))
        parts.append(np.swapaxes(columns, -1, -2))
    return r.union(parts, shape)


def _flipped(array: Any, flip: int) -> Any:
    return np.swapaxes(array, -1, -2) if flip and array is not None else array


def _rows(r: Reader, pattern: Any, factor: Any) -> Any:
    """The pattern of a product with a factor that has none; without zeros in it that of a row is one set."""
    whole = r.reduced(pattern, [pattern.ndim - 1])
    if factor is None or factor.ndim > 2 or factor.all():
        return whole
    slim = thin(pattern)
    columns, terms = np.nonzero(factor.T)
    rows = int(np.prod(slim.shape[:-1], dtype=np.int64))
    if rows * len(terms) > _MOST_PRODUCTS:
        return whole
    if slim.shape[-1] != pattern.shape[-1]:
        terms = np.zeros_like(terms)
    names = slim.reshape(rows, slim.shape[-1])[:, terms]
    ends = np.searchsorted(columns, np.arange(factor.shape[1] + 1))
    bounds = (len(terms) * np.arange(rows)[:, None] + ends[:-1]).reshape(-1)
    found = r.grouped(names.reshape(-1), np.append(bounds, rows * len(terms)))
    return np.broadcast_to(found.reshape(*slim.shape[:-1], factor.shape[1]), (*pattern.shape[:-1], factor.shape[1]))


RULES: Final = MappingProxyType[str, Rule](
    {
        **dict.fromkeys(("reshape", "transpose", "broadcast_to", "slice", "pad", "item", "concatenate"), moved),
        **dict.fromkeys(("sum", "max", "min"), reduction),
        **dict.fromkeys(("matmul", "matmul_add"), product),
        "slice_add": slice_add,
        "item_add": item_add,
        "slice_set": slice_set,
        "item_set": item_set,
        "gather": gather,
        "scatter": scatter,
        "scatter_add": scatter_add,
    }
)


def rule(code: int) -> Rule:
    """The rule of an opcode."""
    op = OPS[code]
    return elementwise if op.elementwise else RULES.get(op.name, dense)
