"""Rows that go along an axis in order: sums so far, and places: of extremes, in sorted order, in a sorted array.

The attribute begins with the axis. Places are integers, which have no derivative: what is differentiated is
the `gather` of the elements there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted
from tapegrad.ops.flops import each, searching, sorting
from tapegrad.ops.row import INT, ArrayType, Attribute, Case, Op
from tapegrad.ops.source import Written, call

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution


def _reversed(b: Builder, ref: int) -> int:
    """The value with the axis turned round."""
    axis, shape = b.attribute[0], b.type(ref).shape
    windows = tuple((n - 1, -1, n) if a == axis and n > 1 else (0, 1, n) for a, n in enumerate(shape))
    return b.apply("slice", windows, ref)


def _cumsum_adjoint(b: Builder, _: int) -> Contribution:
    """Sums from the other end."""
    return _reversed(b, b.apply("cumsum", b.attribute, _reversed(b, b.full(b.seed, b.result_type))))


def _places_type(_: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    """One place for each element of the last operand."""
    return ArrayType(types[-1].shape, INT)


def _place_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    """One place for each stretch along the axis, which vanishes."""
    axis, shape = attribute[0], types[0].shape
    return ArrayType((*shape[:axis], *shape[axis + 1 :]), INT)


def _running_place(attribute: Attribute, x: Any) -> Any:
    """Where the largest of the elements so far was met first; attribute: the axis, and 0 for the smallest.

    Once a nan is met it is the extreme, as for `numpy.maximum.accumulate`.
    """
    axis, largest = attribute
    x = np.moveaxis(np.asarray(x), axis, -1)
    extremes = (np.maximum if largest else np.minimum).accumulate(x, axis=-1)
    places = np.zeros(x.shape, np.int64)
    now, before = extremes[..., 1:], extremes[..., :-1]
    changed = (now != before) & (before == before)
    places[..., 1:] = np.where(changed, np.arange(1, x.shape[-1]), 0) if x.size else 0
    return np.moveaxis(np.maximum.accumulate(places, axis=-1), -1, axis)


def _searchsorted(attribute: Attribute, a: Any, v: Any) -> Any:
    """As `numpy.searchsorted`; with common axes in front, each entry of those has an array of its own."""
    side: Any = ("left", "right")[attribute[0]]
    common = attribute[1]
    if not common:
        return np.searchsorted(a, v, side)
    count = math.prod(a.shape[:common])
    pairs = zip(a.reshape(count, a.shape[-1]), v.reshape(count, math.prod(v.shape[common:])), strict=True)
    found = [np.searchsorted(line, values, side) for line, values in pairs]
    return np.array(found, np.int64).reshape(v.shape)


def _searchsorted_points(b: Batcher) -> int:
    side, common = b.attribute
    if not (common or b.batched[0]):
        return b.apply("searchsorted", b.attribute, *b.operands)
    return b.apply("searchsorted", (side, common + 1), b.full(0), b.full(1))


def _along(b: Batcher) -> int:
    """The same along the same axis of each point."""
    return b.apply(b.op.name, (b.attribute[0] + 1, *b.attribute[1:]), *b.operands)


def _source(text: str) -> Written:
    """A text with a gap for the axis."""
    return lambda attribute, _: text.format(attribute[0])


def _searchsorted_source(attribute: Attribute, _: Sequence[ArrayType]) -> str:
    side, common = ("left", "right")[attribute[0]], attribute[1]
    return f"_searchsorted(a, v, {side!r}, {common})" if common else f"np.searchsorted(a, v, {side!r})"


def _of_places(name: str, doc: str, evaluate: Any, cases: tuple[Case, ...], **fields: Any) -> Op:
    """A row whose result is places along an axis of x."""
    return Op(
        name=name,
        kinds="",
        result_kind="",
        doc=doc,
        evaluate=evaluate,
        eager=True,
        cases=cases,
        **{
            "operands": ("x",),
            "result_type": _places_type,
            "accepts": accepted.along,
            "batch": _along,
            "flops": each(),
            **fields,
        },
    )


_ALONG: Final = (Case(((5,),), (0,)), Case(((3, 4),), (1,)), Case(((2, 3, 4),), (1,)))

ROWS: Final[tuple[Op, ...]] = (
    Op(
        name="cumsum",
        operands=("x",),
        kinds="",
        result_kind="",
        doc="sums of the elements so far along an axis",
        result_type=lambda _, types: types[0],
        accepts=accepted.along_numbers,
        evaluate=lambda attribute, x: np.cumsum(x, axis=attribute[0]),
        source=_source("np.cumsum(x, axis={})"),
        differentiable=True,
        adjoint=_cumsum_adjoint,
        flops=each(),
        tangent=lambda b, _: b.apply("cumsum", b.attribute, b.full(b.seed, b.types[0])),
        eager=True,
        batch=_along,
        cases=(Case(((5,),), (0,)), Case(((3, 4),), (0,)), Case(((2, 3, 4),), (1,)), Case(((0, 3),), (0,))),
    ),
    _of_places(
        "argsort",
        "places of the elements in rising order along an axis; equal ones stay in order, nan comes last",
        lambda attribute, x: np.argsort(x, axis=attribute[0], kind="stable"),
        (Case(((5,),), (0,)), Case(((3, 4),), (1,)), Case(((2, 0),), (1,))),
        source=_source("np.argsort(x, axis={}, kind='stable')"),
        flops=sorting,
    ),
    _of_places(
        "argpartition",
        "places in an order in which some elements (attribute: the axis, then their ranks) are where sorting puts them",
        lambda attribute, x: np.argpartition(x, attribute[1:], axis=attribute[0]),
        (Case(((5,),), (0, *range(5))), Case(((3, 4),), (1, 0, 1, 2, 3)), Case(((0, 3),), (1, 0, 1, 2))),
        source=lambda attribute, _: f"np.argpartition(x, {attribute[1:]}, axis={attribute[0]})",
        accepts=accepted.ranks,
    ),
    _of_places(
        "argmax",
        "place of the largest along an axis, of the first where some are equal; a nan is larger than all",
        lambda attribute, x: np.argmax(x, axis=attribute[0]),
        _ALONG,
        source=_source("np.argmax(x, axis={})"),
        result_type=_place_type,
        accepts=accepted.along_some,
    ),
    _of_places(
        "argmin",
        "place of the smallest along an axis, of the first where some are equal; a nan is smaller than all",
        lambda attribute, x: np.argmin(x, axis=attribute[0]),
        _ALONG,
        source=_source("np.argmin(x, axis={})"),
        result_type=_place_type,
        accepts=accepted.along_some,
    ),
    _of_places(
        "running_place",
        "place of the extreme so far along an axis, the first where some are equal (attribute: axis, 1: largest)",
        _running_place,
        (Case(((7,),), (0, 1)), Case(((3, 5),), (1, 0)), Case(((5, 2),), (0, 1)), Case(((2, 0),), (1, 1))),
        source=call("_running_place", "x"),
        accepts=accepted.running,
    ),
    _of_places(
        "searchsorted",
        "where to put v in the sorted a (attribute: 1 for after equal elements; how many axes in front are common)",
        _searchsorted,
        (
            Case((np.array([-1, 0, 0, 2]), (2, 3)), (0, 0)),
            Case((np.array([-3, 0, 1]), ()), (1, 0)),
            Case((np.zeros(0, np.int64), (3,)), (0, 0)),
            Case((np.array([[-1, 0, 0], [0, 1, 2]]), (2, 3)), (1, 1)),
        ),
        source=_searchsorted_source,
        operands=("a", "v"),
        accepts=accepted.search,
        batch=_searchsorted_points,
        flops=searching,
    ),
)
