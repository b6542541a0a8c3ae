"""What is said of axes holds: aligned entries depend on one another alone, stretches of sums make up the whole."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Case, Op
from tapegrad.ops.table import OPS, find
from tapegrad.schedule.relations import Group, Relations, relations
from tests.helpers import F64, Sample, fill, samples

ROWS = [op for op in OPS if not op.leaf and not op.effect and op.name not in {"custom", "primitive"}]
KINDS = {np.dtype(np.float64): FLOAT, np.dtype(np.int64): INT, np.dtype(np.bool_): BOOL}

# Cases beside those of the rows: windows of step 1, axes of length 1 and of equal length, rows on any axis.
INDEX, BY_ROW = np.array([2, 0, -1, 1, 2]), np.array([[2, 0], [-3, 1], [1, 1], [0, -1]])
MORE: dict[str, tuple[Case, ...]] = {
    "reshape": (
        Case(((6, 4, 3),), (6, 12)),
        Case(((6, 12),), (6, 2, 6)),
        Case(((1, 6, 4),), (6, 1, 2, 2)),
        Case(((4, 4),), (2, 2, 4)),
        Case(((6, 4),), (4, 6)),
        Case(((2, 3, 4, 5),), (6, 4, 5)),
    ),
    "slice": (
        Case(((7, 4),), ((2, 1, 4), (0, 1, 4))),
        Case(((7, 4),), ((6, -1, 7), (1, 1, 3))),
        Case(((7, 4),), ((0, 2, 3), (3, 1, 1))),
    ),
    "pad": (
        Case(((4, 3),), ((7, 5), ((2, 1, 4), (0, 1, 3)))),
        Case(((1, 3),), ((7, 3), ((2, 1, 1), (0, 1, 3)))),
        Case(((3, 3),), ((7, 3), ((1, 2, 3), (0, 1, 3)))),
    ),
    "slice_add": (Case(((7, 4), (4, 3)), ((2, 1, 4), (1, 1, 3))), Case(((7, 4), (1, 4)), ((2, 1, 1), (0, 1, 4)))),
    "slice_set": (
        Case(((7, 4), (4, 3)), ((2, 1, 4), (1, 1, 3))),
        Case(((7, 4), (1, 4)), ((2, 1, 1), (0, 1, 4))),
        Case(((7, 4), (7, 2)), ((0, 1, 7), (3, -2, 2))),
    ),
    "concatenate": (Case(((4, 3), (2, 3), (1, 3)), (0,)), Case(((4, 3), (4, 2)), (1,))),
    "stop_gradient": (Case(((4, 3),)),),
    "broadcast_to": (Case(((4, 1, 3),), (2, 4, 5, 3)), Case(((4,),), (4, 4))),
    "sum": (Case(((4, 3, 5),), (1,)), Case(((4, 3, 5),), (0, 1)), Case(((4, 4),), (0,))),
    "gather": (
        Case(((5, 4, 3), INDEX), (1, 0)),
        Case(((4, 3, 5), BY_ROW), (1, 1)),
        Case(((4, 2, 3), np.array([[[2], [0]]] * 4)), (2, 2)),
        Case(((4, 3, 5), np.array([1, -2, 0, 1])), (1, 1)),
    ),
    "scatter": (Case(((5, 3), INDEX), (0, 3, 0)), Case(((4, 2, 5), BY_ROW), (1, 3, 1))),
    "scatter_add": (Case(((3, 4), (5, 4), INDEX), (0, 0)), Case(((4, 3), (4, 2), BY_ROW), (1, 1))),
    "scatter_set": (
        Case(((3, 4), (5, 4), INDEX), (0, 0, 0)),
        Case(((4, 3), (4, 2), BY_ROW), (1, 1, 0)),
        Case(((4, 5), (4, 3), np.array([1, -2, 1])), (1, 0, 0)),
    ),
    "matmul": (
        Case(((4, 4), (4, 4)), (0, 0)),
        Case(((6, 5, 4), (6, 4, 3)), (0, 0)),
        Case(((6, 4, 5), (6, 3, 4)), (1, 1)),
        Case(((1, 5, 4), (6, 4, 3)), (0, 0)),
        Case(((2, 6, 5, 4), (4, 3)), (0, 0)),
        Case(((1, 5), (5, 1)), (0, 0)),
    ),
    "matmul_add": (Case(((5, 3), (5, 4), (4, 3)), (0, 0)), Case(((6, 5, 3), (6, 4, 5), (6, 4, 3)), (1, 0))),
}
MORE["max"] = MORE["min"] = MORE["sum"]


def cases(op: Op) -> list[Sample]:
    """All calls of a row, without those that have nothing in them."""
    rng = np.random.default_rng(0)
    more = [Sample(op, c.attribute, tuple(fill(c, FLOAT, rng, F64)), ()) for c in MORE.get(op.name, ())]
    return [s for s in (*samples(op), *more) if s.value().size and all(v.size for v in s.operands)]


def related(s: Sample) -> Relations:
    """What is said of a call."""
    types = [ArrayType(v.shape, KINDS[v.dtype]) for v in s.operands]
    op = OPS[find(s.op.name, "".join(t.kind for t in types))] if s.op.elementwise else s.op
    return relations(op, s.attribute, types, ArrayType(s.value().shape, FLOAT))


def changed(x: Any, a: int, j: int, rng: Any) -> Any:
    """x with other values at index j of axis a."""
    x = x.copy()
    part = np.moveaxis(x, a, 0)
    if x.dtype.kind == "f":
        whole = np.array_equal(x, np.floor(x))  # orders of functions are defined at whole numbers alone
        part[j] += 1.0 if whole else rng.uniform(0.05, 0.1, part[j].shape)
    elif x.dtype.kind == "b":
        part[j] = ~part[j]
    else:  # indices: of a row that there is in any case
        part[j] = np.where(part[j] == 0, 1, 0)
    return x


def differs(found: Any, wanted: Any, axis: int) -> list[int]:
    """Along an axis, the places of what is not the same."""
    with np.errstate(all="ignore"):
        off = ~((np.abs(found - wanted) <= 1e-12) | (found == wanted) | (np.isnan(found) & np.isnan(wanted)))
    return np.flatnonzero(off.any(tuple(d for d in range(off.ndim) if d != axis))).tolist()


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_aligned_entries_depend_on_one_another_alone(op: Op) -> None:
    rng = np.random.default_rng(1)
    moved = 0
    for s in cases(op):
        wanted = s.value().astype(np.float64)
        for k, a, r, shift in related(s).aligned:
            assert wanted.shape[r] != 1
            for j in range(s.operands[k].shape[a]):
                operands = [changed(v, a, j, rng) if m == k else v for m, v in enumerate(s.operands)]
                places = differs(s.value(*operands).astype(np.float64), wanted, r)
                assert places in ([], [j - shift]), f"{s.attribute}: operand {k}, {j} of axis {a}, result's axis {r}"
                moved += bool(places)
    assert (
        moved
        or op.eager
        or op.name in {"item_add", "item_set", "to_bool", "isnan", "isfinite", "isinf"}
        or not op.differentiable
    )


def stretch(s: Sample, group: Group, first: int, end: int) -> list[Any]:
    """The operands, of the axes in a group a stretch only."""
    operands = list(s.operands)
    for k, a in group:
        operands[k] = np.take(operands[k], range(first, end), a)
    return operands


def combined(s: Sample, parts: Sequence[list[Any]]) -> Any:
    """What the op gives stretch by stretch."""
    if s.op.accumulates:
        total = parts[0][0]
        for part in parts:
            total = s.value(total, *part[1:])
        return total
    join = {"max": np.maximum, "min": np.minimum}.get(s.op.name, np.add)
    return join.reduce([s.value(*part) for part in parts])


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_stretches_of_summed_axes_make_up_the_whole(op: Op) -> None:
    count = 0
    for s in cases(op):
        for group in related(s).summed:
            (length,) = {s.operands[k].shape[a] for k, a in group}
            for cuts in ([1], [length - 1], [1, 2]):
                ends = [0, *cuts, length]
                if any(b <= a for a, b in pairwise(ends)):
                    continue
                parts = [stretch(s, group, a, b) for a, b in pairwise(ends)]
                assert np.allclose(combined(s, parts), s.value(), 1e-12, 1e-12), f"{s.attribute}: {group} at {cuts}"
                count += 1
    assert count or op.name not in {"sum", "max", "min", "scatter", "scatter_add", "matmul", "matmul_add"}


SAID: dict[str, tuple[str, tuple[Any, ...], tuple[tuple[int, ...], ...], set[Any], set[Any]]] = {
    # op, attribute, shapes; aligned, summed
    "rows @ w": ("matmul", (0, 0), ((9, 4), (4, 2)), {(0, 0, 0, 0), (1, 1, 1, 0)}, {((0, 1), (1, 0))}),
    "rows.T @ g": ("matmul", (1, 0), ((9, 4), (9, 2)), {(0, 1, 0, 0), (1, 1, 1, 0)}, {((0, 0), (1, 0))}),
    "x[2:]": ("slice", ((2, 1, 7), (0, 1, 4)), ((9, 4),), {(0, 0, 0, 2), (0, 1, 1, 0)}, set()),
    "its adjoint": ("pad", ((9, 4), ((2, 1, 7), (0, 1, 4))), ((7, 4),), {(0, 0, 0, -2), (0, 1, 1, 0)}, set()),
    "x[::-1]": ("slice", ((8, -1, 9), (0, 1, 4)), ((9, 4),), {(0, 1, 1, 0)}, set()),
    "rows into matrices": ("reshape", (9, 2, 3), ((9, 6),), {(0, 0, 0, 0)}, set()),
    "rows into rows of two": ("reshape", (18, 3), ((9, 6),), set(), set()),
    "mean over rows": ("sum", (0,), ((9, 4),), {(0, 1, 0, 0)}, {((0, 0),)}),
    "axes of length 1": ("add", (), ((9, 1), (1, 4)), {(0, 0, 0, 0), (1, 1, 1, 0)}, set()),
}


@pytest.mark.parametrize("what", SAID)
def test_what_is_said_is_not_too_little(what: str) -> None:
    """The tests above hold for an op that says nothing."""
    name, attribute, shapes, aligned, summed = SAID[what]
    op = OPS[find(name, "f" * len(shapes))]
    types = [ArrayType(shape) for shape in shapes]
    found = relations(op, attribute, types, op.result_type(attribute, types))
    assert (set(found.aligned), set(found.summed)) == (aligned, summed)


def test_nothing_is_said_of_what_is_empty() -> None:
    for op in ROWS:
        for s in samples(op):
            if not s.value().size or not all(v.size for v in s.operands):
                found = related(s)
                assert not found.aligned
                assert not found.summed
