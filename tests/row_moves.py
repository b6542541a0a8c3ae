"""The moves of the writer of programs with rows that leave the rows in their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, INT, ArrayType
from tests.program_moves import (
    SCALAR_MOVES,
    arithmetic,
    bounded,
    combine,
    product_shape,
    restricted,
    same_bound,
    select,
    to_scalar,
    windows,
)
from tests.random_programs import LIMIT
from tests.row_programs import RowWriter
from tests.row_windows import (
    aligned,
    differences,
    gather,
    inner_window,
    joined,
    joined_columns,
    labels,
    margins,
    scatter,
    shift,
    table,
    window_add,
)

# --- row by row


def chain(w: RowWriter) -> None:
    """Functions of one row value after another."""
    for _ in range(w.choose.integer(1, 3)):
        w.pick([bounded, bounded, restricted, restricted, same_bound])(w, w.has_rows)


def mate(w: RowWriter, x: int) -> int:
    """What broadcasts against rows and leaves their shape: as many rows, or an invariant."""
    shape = w.shape(x)

    def keeps(t: ArrayType) -> bool:
        return len(t.shape) <= len(shape) and w.broadcasts(shape, t.shape) and _joined(shape, t.shape)[0] == shape[0]

    def rows(t: ArrayType) -> bool:
        return w.has_rows(t) and len(t.shape) == len(shape) and t.shape[0] == shape[0] and keeps(t)

    match w.pick(["rows", "rows", "invariant", "narrow", "new"]):
        case "rows":
            y = w.value(rows)
            assert y is not None
            return w.input(shape) if y == x and w.chance(2) else y
        case "narrow" if len(shape) > 1:
            y = w.row_value(lambda t: t.shape == shape[:1], shape[:1])
            return w.step("reshape", y, attribute=(shape[0],) + (1,) * len(shape[1:]))
        case "invariant":
            y = w.fixed_value(keeps)
            if y is not None:
                return y
    return w.parameter(w.pick([(), shape[1:], (1, *shape[1:]), (1,) * len(shape[1:])]))


def _joined(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(np.broadcast_shapes(a, b))


def pair(w: RowWriter) -> None:
    x = w.row_value()
    y = mate(w, x)
    combine(w, *((x, y) if w.chance(2) else (y, x)))


def choose_one(w: RowWriter) -> None:
    """Maximum, minimum, where."""
    x = w.row_value()
    y = mate(w, x)
    select(w, *((x, y) if len(w.shape(x)) < 1 or w.chance(2) else (y, x)))


def new_rows(w: RowWriter) -> None:
    """Row data: floats, parameters, integers, booleans, a constant array."""
    length = w.pick(sorted(w.lengths))
    shape = (length, *w.pick(w.inner))
    match w.pick(["data", "parameter", "integers", "booleans", "constant"]):
        case "integers":
            w.step("to_float", w.input(shape, INT, length=3), bound=3.0)
        case "booleans":
            w.step("to_float", w.input(shape, BOOL), bound=1.0)
        case "constant":
            w.constant((np.arange(int(np.prod(shape))) * 0.73 % 1.1 - 0.5).reshape(shape))
        case kind:
            w.input(shape, independent=kind == "parameter")


def widen(w: RowWriter) -> None:
    """Invariants, or narrow rows, as rows."""
    length = w.pick(sorted(w.lengths))
    shape = w.pick([(length,), (length, 3), (length, 1), (length, 2, 3)])
    x = w.value(lambda t: w.broadcasts(t.shape, shape) and _joined(t.shape, shape) == shape)
    w.step("broadcast_to", w.parameter(w.pick([(), (1,)])) if x is None else x, attribute=shape)


def reshaped_rows(w: RowWriter) -> None:
    """Another shape of a row."""
    x = w.row_value()
    length, *inner = w.shape(x)
    size = int(np.prod(inner))
    shapes = [(length, size), (length, 1, size), (length, size, 1)]
    shapes += [(length, a, size // a) for a in (2, 3) if size % a == 0]
    shapes += [(length,)] * 3 if size == 1 else []
    w.step("reshape", x, attribute=w.pick(shapes))


def turned(w: RowWriter) -> None:
    """The axes of a row permuted."""
    w.step("transpose", w.row_matrix(3), attribute=(0, 2, 1))


# --- reductions


def reduction(w: RowWriter) -> None:
    """Over rows, inner axes, or all; kept as 1 or not; and used again beside the rows."""
    x = w.row_value(lambda t: t.size > 0)
    shape = w.shape(x)
    inner = tuple(range(1, len(shape)))
    axes = w.pick([(0,), (0,), inner or (0,), inner[-1:] or (0,), (0, *inner), (0, *inner[-1:])])
    if w.chance(3):
        y = w.step(w.pick(["max", "min"]), x, attribute=axes)
    else:
        y = w.step("sum", x, attribute=axes, bound=int(np.prod([shape[a] for a in axes])) * w.bounds[x])
    if w.chance(2):
        y = w.step("reshape", y, attribute=tuple(1 if a in axes else n for a, n in enumerate(shape)))
        if w.chance(2):
            combine(w, x, y)


def mean(w: RowWriter, x: int) -> int:
    """Over rows, kept as 1."""
    length, *inner = w.shape(x)
    total = w.step("sum", w.scaled(x, 1.0 / length), attribute=(0,), bound=w.bounds[x])
    return w.step("reshape", total, attribute=(1, *inner))


def normalised(w: RowWriter) -> None:
    """By what is known only after a pass over all rows; then rows again, so there are several phases."""
    x = w.row_value(lambda t: t.size > 0)
    match w.pick(["variance", "batch", "rmse", "softmax", "logsumexp"]):
        case "variance" | "batch" as kind:
            centred = w.step("subtract", x, mean(w, x), bound=2 * w.bounds[x])
            variance = mean(w, w.step("square", centred, bound=w.bounds[centred] ** 2))
            if kind == "batch":
                deviation = w.step("sqrt", w.step("add", variance, w.constant(0.5), bound=LIMIT), bound=3.0)
                w.step("divide", centred, deviation, bound=1.5 * w.bounds[centred])
        case "rmse":
            axes = tuple(range(len(w.shape(x))))
            square = w.step("square", x, bound=w.bounds[x] ** 2)
            total = w.step("sum", w.scaled(square, 1 / w.types[x].size), attribute=axes, bound=w.bounds[square])
            root = w.step("sqrt", w.step("add", total, w.constant(0.1), bound=LIMIT), bound=LIMIT)
            if w.chance(2):
                w.step("divide", x, root, bound=3.2 * w.bounds[x])
        case kind:
            _exponentials(w, x, w.pick([0, 0, len(w.shape(x)) - 1]), kind)


def _exponentials(w: RowWriter, x: int, axis: int, kind: str) -> None:
    """Softmax or log-sum-exp along an axis."""
    kept = tuple(1 if a == axis else n for a, n in enumerate(w.shape(x)))
    inside, top = w.step("tanh", x, bound=1.0) if w.smooth else x, 0
    if not w.smooth:
        top = w.step("reshape", w.step("max", x, attribute=(axis,)), attribute=kept)
        inside = w.step("subtract", x, top, bound=LIMIT)
    powers = w.step("exp", inside, bound=LIMIT)
    total = w.step("reshape", w.step("sum", powers, attribute=(axis,), bound=LIMIT), attribute=kept)
    if kind == "softmax":
        w.step("divide", powers, total, bound=1.0)
        return
    logarithm = w.step("log", total, bound=LIMIT)
    if not w.smooth:
        w.step("add", logarithm, top, bound=LIMIT + w.bounds[top])


# --- products


def multiply(w: RowWriter, a: int, b: int, flags: tuple[int, int]) -> int | None:
    """A product, or one added to something; None if it is too large."""
    shape = product_shape(w.shape(a), w.shape(b), flags)
    if int(np.prod(shape)) > w.largest:
        return None
    inner = w.shape(a)[-2] if flags[0] else w.shape(a)[-1]
    bound = max(inner, 1) * w.bounds[a] * w.bounds[b]
    if not w.chance(3):
        return w.step("matmul", a, b, attribute=flags, bound=bound)
    acc = w.value(lambda t: t.shape == shape)
    acc = w.parameter(shape) if acc is None else acc
    return w.step("matmul_add", acc, a, b, attribute=flags, bound=bound + w.bounds[acc])


def product(w: RowWriter) -> None:
    """Rows times a matrix, rows' matrices among themselves, or one that contracts the rows."""
    match w.pick(["weights", "weights", "contracted", "contracted", "batched", "mean"]):
        case "weights":
            x = w.row_matrix()
            flip, (k, m) = w.choose.integer(0, 1), (w.shape(x)[1], w.choose.integer(1, 3))
            y = w.fixed_value(lambda t: len(t.shape) == 2 and t.shape[1 if flip else 0] == k)
            if y is None or w.chance(2):
                y = w.parameter((m, k) if flip else (k, m))
            multiply(w, x, y, (0, flip))
        case "contracted":
            x = w.row_matrix()
            y = w.row_value(lambda t: len(t.shape) == 2 and t.shape[0] == w.shape(x)[0], (w.shape(x)[0], 2))
            multiply(w, x, y, (1, 0))
        case "mean":  # p @ x, as it is recorded
            x = w.row_matrix()
            length = w.shape(x)[0]
            y = w.row_value(lambda t: t.shape == (length,), (length,))
            multiply(w, w.step("reshape", y, attribute=(1, length)), x, (0, 0))
        case _:
            x = w.row_matrix(3)
            flips = w.choose.integer(0, 1), w.choose.integer(0, 1)
            k, m = w.shape(x)[1 if flips[0] else 2], w.choose.integer(1, 3)
            matrix = (m, k) if flips[1] else (k, m)
            y = w.value(lambda t: len(t.shape) == 3 and (t.shape[0], t.shape[1:]) == (w.shape(x)[0], matrix))
            if y is None:
                shapes = [(w.shape(x)[0], *matrix), matrix, (1, *matrix)]
                y = w.input(w.pick(shapes), independent=w.chance(2))
            multiply(w, x, y, flips)


# --- beside the rows


def aside(w: RowWriter) -> None:
    """Operations on invariants and on the second, smaller family."""
    match w.pick(["second", "invariant", "pad", "window", "chain", "pair", "sum"]):
        case "second":
            w.parameter((w.second, *w.pick([(), (3,), (2, 3)])))
        case "invariant":
            w.parameter(w.pick([(), (3,), (1, 3), (2, 3), (3, 2)]))
        case "pad":
            x = table(w)
            shape = w.shape(x)
            ends = [(w.choose.integer(0, 2), w.choose.integer(0, 2)) for _ in shape]
            outer = tuple(a + n + b for (a, b), n in zip(ends, shape, strict=True))
            if int(np.prod(outer)) <= w.largest:
                place = tuple((a, 1, n) for (a, _), n in zip(ends, shape, strict=True))
                w.step("pad", x, attribute=(outer, place))
        case "window":
            x = table(w)
            w.step("slice", x, attribute=windows(w, w.shape(x)))
        case "chain":
            w.pick([bounded, restricted, same_bound])(w, lambda t: not w.has_rows(t))
        case "pair":
            arithmetic(w, lambda t: not w.has_rows(t))
        case _:
            x = table(w)
            w.step("sum", x, attribute=(0,), bound=w.shape(x)[0] * w.bounds[x])


def scalars(w: RowWriter) -> None:
    """A number made of rows, scalar instructions, and rows times the outcome."""
    to_scalar(w)
    for _ in range(w.choose.integer(1, 6)):
        w.pick(SCALAR_MOVES)(w, lambda t: t.shape == ())
    x, y = w.row_value(), w.value(lambda t: t.shape == ())
    if y is not None and w.chance(2):
        combine(w, x, y)


Move = Callable[[RowWriter], Any]
MOVES: Final[tuple[Move, ...]] = (
    chain, chain, chain, pair, pair, pair, pair, choose_one, new_rows, widen, reshaped_rows, turned, reduction,
    reduction, normalised, product, product, gather, scatter, labels, shift, differences, aligned, margins, window_add,
    joined, joined_columns, inner_window, aside, aside, scalars,
)  # fmt: skip
