"""How the axes of an instruction's operands relate to those of its result.

An axis of an operand is *aligned* with one of the result where entry r of the result's depends on entry
r + shift of the operand's alone; it is *summed* where the result adds up (or takes the extreme) over it.
What is neither is needed whole. From this the scheduler finds rows (`tapegrad.schedule.rows`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tapegrad.ops.row import ArrayType, Attribute, Op
from tapegrad.ops.shapes import concatenate_windows
from tapegrad.ops.windows import Windows

Aligned = tuple[int, int, int, int]  # operand, its axis, the result's axis, shift
Group = tuple[tuple[int, int], ...]  # (operand, axis): axes that are summed together


@dataclass(frozen=True, slots=True)
class Relations:
    """Aligned axes and groups of summed ones.

    `strict`: the op only moves numbers, so a row axis that is not aligned needs the operand whole.
    """

    aligned: tuple[Aligned, ...] = ()
    summed: tuple[Group, ...] = ()
    strict: bool = False


def relations(op: Op, attribute: Attribute, types: Sequence[ArrayType], result: ArrayType) -> Relations:
    """The relations of a signature; axes of length 1 have none, nor have empty arrays."""
    if op.leaf or op.eager or not result.size or not all(t.size for t in types):
        return Relations(strict=True)
    if op.pointwise or op.name == "broadcast_to":
        return Relations(tuple(a for k, t in enumerate(types) for a in _broadcast(k, t.shape, result.shape)))
    found = _structural(op.name, attribute, types, result)
    aligned = tuple(
        (k, a, r, shift) for k, a, r, shift in found.aligned if types[k].shape[a] != 1 and result.shape[r] != 1
    )
    summed = tuple(group for group in found.summed if all(types[k].shape[a] != 1 for k, a in group))
    return Relations(aligned, summed, found.strict)


def _broadcast(k: int, shape: tuple[int, ...], full: tuple[int, ...]) -> list[Aligned]:
    missing = len(full) - len(shape)
    return [(k, a, a + missing, 0) for a, n in enumerate(shape) if n != 1]


def _same(k: int, ndim: int) -> list[Aligned]:
    return [(k, a, a, 0) for a in range(ndim)]


def _windowed(k: int, windows: Windows, sign: int) -> list[Aligned]:
    """Axes of a window that is read (sign 1) or written (sign -1): those of step 1 are shifted."""
    return [(k, a, a, sign * start) for a, (start, step, _) in enumerate(windows) if step == 1]


def _structural(  # noqa: C901, PLR0911, PLR0912 - one case a row
    name: str, attribute: Attribute, types: Sequence[ArrayType], result: ArrayType
) -> Relations:
    first = types[0].shape
    match name:
        case "stop_gradient":
            return Relations(tuple(_same(0, len(first))), strict=True)
        case "reshape":
            return Relations(tuple(_reshaped(first, result.shape)), strict=True)
        case "transpose":
            return Relations(tuple((0, a, r, 0) for r, a in enumerate(attribute)), strict=True)
        case "slice":
            return Relations(tuple(_windowed(0, attribute, 1)), strict=True)
        case "pad":
            return Relations(tuple(_windowed(0, attribute[1], -1)), strict=True)
        case "slice_add" | "slice_set":
            return Relations((*_same(0, len(first)), *_windowed(1, attribute, -1)), strict=True)
        case "item":
            return Relations(tuple((0, a + 1, a, 0) for a in range(len(result.shape))), strict=True)
        case "item_add" | "item_set":
            added = [(1, a, a + 1, 0) for a in range(len(types[1].shape))]
            return Relations((*_same(0, len(first))[1:], *added), strict=True)
        case "concatenate":
            windows = concatenate_windows(attribute[0], types)
            return Relations(tuple(a for k, w in enumerate(windows) for a in _windowed(k, w, -1)), strict=True)
        case "sum" | "max" | "min":
            kept = [a for a in range(len(first)) if a not in attribute]
            return Relations(
                tuple((0, a, r, 0) for r, a in enumerate(kept)), tuple(((0, a),) for a in attribute), strict=True
            )
        case "gather":
            return _gathered(attribute, types)
        case "scatter":
            return _scattered(0, attribute[0], attribute[-1], types)
        case "scatter_add":
            found = _scattered(1, attribute[0], attribute[-1], types)
            return Relations((*_same(0, len(first)), *found.aligned), found.summed, strict=True)
        case "scatter_set":  # in order, so not stretch by stretch
            found = _scattered(1, attribute[0], attribute[1], types)
            return Relations((*_same(0, len(first)), *found.aligned), strict=True)
        case "matmul":
            return _multiplied(0, attribute, types, result)
        case "matmul_add":
            found = _multiplied(1, attribute, types, result)
            return Relations((*_same(0, len(first)), *found.aligned), found.summed)
        case _:
            raise AssertionError(f"no relations for {name}")


def _reshaped(shape: tuple[int, ...], wanted: tuple[int, ...]) -> list[Aligned]:
    """Axes of the same length with equally many elements before them."""
    places, before = {}, 1
    for r, n in enumerate(wanted):
        if n != 1:
            places[before, n] = r
        before *= n
    found, before = [], 1
    for a, n in enumerate(shape):
        if n != 1 and (before, n) in places:
            found.append((0, a, places[before, n], 0))
        before *= n
    return found


def _gathered(attribute: Attribute, types: Sequence[ArrayType]) -> Relations:
    axis, batch = attribute
    x, index = types
    own = len(index.shape) - batch
    before = [(0, a, a, 0) for a in range(axis)] + [(1, a, a, 0) for a in range(batch)]
    chosen = [(1, batch + j, axis + j, 0) for j in range(own)]
    after = [(0, a, a - 1 + own, 0) for a in range(axis + 1, len(x.shape))]
    return Relations((*before, *chosen, *after))


def _scattered(k: int, axis: int, batch: int, types: Sequence[ArrayType]) -> Relations:
    x, index = types[k : k + 2]
    own = len(index.shape) - batch
    before = [(k, a, a, 0) for a in range(axis)] + [(k + 1, a, a, 0) for a in range(batch)]
    after = [(k, a, a - own + 1, 0) for a in range(axis + own, len(x.shape))]
    summed = tuple(((k, axis + j), (k + 1, batch + j)) for j in range(own))
    return Relations((*before, *after), summed, strict=True)


def _multiplied(k: int, flags: Attribute, types: Sequence[ArrayType], result: ArrayType) -> Relations:
    a, b = types[k : k + 2]
    na, nb, nr = len(a.shape), len(b.shape), len(result.shape)
    rows, inner = (na - 1, na - 2) if flags[0] else (na - 2, na - 1)
    inner_b, columns = (nb - 1, nb - 2) if flags[1] else (nb - 2, nb - 1)
    batch = _broadcast(k, a.shape[:-2], result.shape[:-2]) + _broadcast(k + 1, b.shape[:-2], result.shape[:-2])
    kept = [(k, rows, nr - 2, 0), (k + 1, columns, nr - 1, 0)]
    return Relations((*batch, *kept), (((k, inner), (k + 1, inner_b)),))
