"""Moves that take rows apart, mix them or put them elsewhere: what cannot be run tile by tile, or not simply."""

from __future__ import annotations

from typing import Final

import numpy as np

from tests import program_moves
from tests.row_moves import Move, multiply
from tests.row_programs import RowWriter


def strided(w: RowWriter) -> None:
    """Every second row, rows backwards, rows written so."""
    x = w.row_value()
    length, *inner = w.shape(x)
    step = w.pick([-1, -1, 2, 3, -2])
    count = (length - 1) // abs(step) + 1
    start = 0 if step > 0 else length - 1
    if w.chance(2):
        w.cut(x, start, count, step)
        return
    total = abs(step) * (length - 1) + 1
    if total * int(np.prod(inner)) <= w.largest:
        w.note(total)
        place = ((0 if step > 0 else total - 1, step, length), *((0, 1, n) for n in inner))
        w.step("pad", x, attribute=((total, *inner), place))


def one_row(w: RowWriter) -> None:
    """A single row, or one that is added to or replaced."""
    x = w.row_value()
    shape = w.shape(x)
    at = (w.choose.integer(0, shape[0] - 1),)
    y = w.value(lambda t: t.shape == shape[1:])
    y = w.step("item", x, attribute=(w.choose.integer(0, shape[0] - 1),)) if y is None else y
    match w.pick(["item", "add", "set"]):
        case "item":
            w.step("item", x, attribute=at)
        case "add":
            w.step("item_add", x, y, attribute=at, bound=w.bounds[x] + w.bounds[y])
        case _:
            w.step("item_set", x, y, attribute=at, bound=max(w.bounds[x], w.bounds[y]))


def mixed(w: RowWriter) -> None:
    """Rows gathered by integers, or scattered among rows."""
    x = w.row_value()
    length = w.shape(x)[0]
    if w.chance(2):
        index = w.index(w.pick([(length,), (length,), (w.second,), ()]), length)
        w.step("gather", x, index, attribute=(0, 0))
        return
    index = w.index((length,), w.rows)
    w.step("scatter", x, index, attribute=(0, w.rows, 0), bound=w.bounds[x] * length)


def columns_first(w: RowWriter) -> None:
    """The row axis elsewhere, operations there, and back."""
    x = w.row_matrix()
    y = w.step("transpose", x, attribute=(1, 0))
    k, length = w.shape(y)
    match w.pick(["nothing", "column", "sum", "product", "cumulated"]):
        case "column":
            y = w.step("multiply", y, column := w.parameter((k, 1)), bound=w.bounds[y] * w.bounds[column])
        case "sum":
            w.step("sum", y, attribute=(w.choose.integer(0, 1),), bound=max(k, length) * w.bounds[y])
        case "product":
            multiply(w, w.parameter((2, k)), y, (0, 0))
        case "cumulated" if length > 1:
            low, high = w.cut(y, 0, length - 1, axis=1), w.cut(y, 1, length - 1, axis=1)
            y = w.step("add", low, high, bound=2 * w.bounds[y])
        case _:
            pass
    if w.chance(2):
        w.note(w.shape(y)[1])
        w.step("transpose", y, attribute=(1, 0))


def features(w: RowWriter) -> None:
    """An argument with the rows last: W @ x, a sum over the rows, or a number for each."""
    x = w.value(lambda t: len(t.shape) == 2 and t.shape[1] == w.rows and t.shape[0] <= 3)
    x = w.input((3, w.rows), independent=w.chance(2)) if x is None else x
    y = multiply(w, w.parameter((2, w.shape(x)[0])), x, (0, 0))
    y = x if y is None else y
    match w.pick(["bounded", "rows", "columns", "whole"]):
        case "bounded":
            w.step("tanh", y, bound=1.0)
        case "rows":
            w.step("sum", y, attribute=(0,), bound=w.shape(y)[0] * w.bounds[y])
        case "columns":
            w.step("sum", y, attribute=(1,), bound=w.shape(y)[1] * w.bounds[y])
        case _:
            w.step("add", y, w.row_value(lambda t: t.shape == (w.rows,), (w.rows,)), bound=w.bounds[y] + 6.0)


def gram(w: RowWriter) -> None:
    """Every row with every other: products, differences; and rows again by a mean with such weights."""
    x = w.row_matrix()
    length, k = w.shape(x)
    if w.chance(3) and length * length * k <= w.largest:
        first = w.step("reshape", x, attribute=(length, 1, k))
        second = w.step("reshape", x, attribute=(1, length, k))
        y = w.step("subtract", first, second, bound=2 * w.bounds[x])
        square = w.step("square", y, bound=w.bounds[y] ** 2)
        w.step("sum", square, attribute=(2,), bound=k * w.bounds[square])
        return
    y = multiply(w, x, x, (0, 1))
    if y is not None and w.chance(2):
        weights = w.step("tanh", y, bound=1.0)
        multiply(w, weights, x, (w.choose.integer(0, 1), 0))


def merged(w: RowWriter) -> None:
    """Rows laid end to end, or a column cut into rows."""
    x = w.row_matrix()
    length, k = w.shape(x)
    shapes = [(length * k,), (k, length)]
    if length % 2 == 0:
        shapes += [(length // 2, 2 * k), (length // 2, 2, k)]
    y = w.step("reshape", x, attribute=w.pick(shapes))
    if w.chance(2):
        y = w.step("tanh", y, bound=1.0)
        w.step("reshape", y, attribute=(length, k))


def anything(w: RowWriter) -> None:
    """Any move of the programs without rows."""
    w.pick(program_moves.MOVES)(w)


TWISTS: Final[tuple[Move, ...]] = (
    strided, one_row, mixed, columns_first, features, gram, merged, anything, anything,
)  # fmt: skip
