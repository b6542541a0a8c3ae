"""How a slot lies in memory: strides. A slot per row has its rows outermost; a view has what its source allows.

Strides count elements. The memory of a per-row slot is a window of rows, so all strides but the row axis's
are the same whether the window holds one row or all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.schedule.rows import NO_ROW

Strides = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Storage:
    """Type, row axis (-1: none) and strides of a slot. `own`: it must be no part of other memory."""

    type: ArrayType
    row: int
    strides: Strides
    own: bool = field(default=False, compare=False)

    @property
    def shape(self) -> tuple[int, ...]:
        """The slot's shape."""
        return self.type.shape

    @property
    def plain(self) -> bool:
        """Is it C-contiguous?"""
        return is_contiguous(self.shape, self.strides)


def contiguous(shape: Sequence[int]) -> Strides:
    """Strides of a C-contiguous array."""
    strides, step = [], 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return tuple(reversed(strides))


def is_contiguous(shape: Sequence[int], strides: Strides) -> bool:
    """Are these the strides of a C-contiguous array, those of axes of length 1 left aside?"""
    return 0 in shape or same(shape, strides, contiguous(shape))


def same(shape: Sequence[int], strides: Strides, others: Strides) -> bool:
    """Are these the same strides, those of axes of length 1 left aside?"""
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, others, strict=True))


def default_storage(t: ArrayType, row: int, *, leaf: bool) -> Storage:
    """C order, but rows outermost where the scheduler makes the slot."""
    if leaf or row <= 0:
        return Storage(t, row, contiguous(t.shape))
    order = [row, *(a for a in range(len(t.shape)) if a != row)]
    return Storage(t, row, permuted(t.shape, order))


def permuted(shape: Sequence[int], order: Sequence[int]) -> Strides:
    """Strides of an array whose axes lie in memory in this order, outermost first."""
    strides = [0] * len(shape)
    step = 1
    for a in reversed(order):
        strides[a] = step
        step *= shape[a]
    return tuple(strides)


def broadcast_strides(source: Storage, full: Sequence[int]) -> Strides:
    """Strides of an operand broadcast to `full`: 0 along the axes that are repeated."""
    missing = len(full) - len(source.shape)
    own = tuple(0 if n == 1 else s for n, s in zip(source.shape, source.strides, strict=True))
    return (0,) * missing + own


def reshape_strides(source: Storage, shape: Sequence[int]) -> Strides | None:
    """Strides that read `source` in another shape; None where its elements don't lie as that needs."""
    axes = [(n, s) for n, s in zip(source.shape, source.strides, strict=True) if n != 1]
    wanted = [a for a, n in enumerate(shape) if n != 1]
    strides = [0] * len(shape)
    at = 0
    while wanted:
        if at == len(axes):
            return None
        size, part = axes[at][0], [wanted.pop(0)]
        total, last = shape[part[0]], at + 1
        while total != size:
            if total < size:
                if not wanted:
                    return None
                part.append(wanted.pop(0))
                total *= shape[part[-1]]
            else:
                if last == len(axes):
                    return None
                if axes[last - 1][1] != axes[last][0] * axes[last][1]:
                    return None
                size *= axes[last][0]
                last += 1
        step = axes[last - 1][1]
        for a in reversed(part):
            strides[a] = step
            step *= shape[a]
        at = last
    return tuple(strides) if at == len(axes) else None


def view_of(  # noqa: PLR0911 - one case a row
    name: str, attribute: Attribute, source: Storage, result: ArrayType
) -> tuple[int, Strides] | None:
    """(first element, strides) with which a moving op's result can be read where its operand lies, or None."""
    shape = result.shape
    if not result.size:
        return 0, contiguous(shape)
    match name:
        case "reshape" | "stop_gradient":
            strides = reshape_strides(source, shape)
            return None if strides is None else (0, strides)
        case "sum" | "max" | "min" if not attribute:
            return 0, source.strides
        case "slice":
            start = sum(first * s for (first, _, _), s in zip(attribute, source.strides, strict=True))
            # A step along one element is none: chains of them would multiply up.
            return start, tuple(
                step * s if n > 1 else s for (_, step, n), s in zip(attribute, source.strides, strict=True)
            )
        case "item":
            return 0, source.strides[1:]
        case "transpose":
            return 0, tuple(source.strides[a] for a in attribute)
        case "broadcast_to":
            return 0, broadcast_strides(source, shape)
    return None


def merged(shape: Sequence[int], strides: Sequence[Strides], row: int = NO_ROW) -> list[tuple[int, list[int], bool]]:
    """Axes as (length, stride of each operand, has it the rows?), without those of length 1.

    Neighbours are merged if all operands allow, but nothing is merged into the row axis from outside: how many
    rows there are is known only at run time.
    """
    axes: list[tuple[int, list[int], bool]] = []
    for a, n in enumerate(shape):
        if n == 1 and a != row:
            continue
        steps = [s[a] for s in strides]
        fits = axes and all(outer == inner * n for outer, inner in zip(axes[-1][1], steps, strict=True))
        if fits and a != row:
            axes[-1] = (axes[-1][0] * n, steps, axes[-1][2])
        else:
            axes.append((n, steps, a == row))
    return axes
