"""Moves of the writer of programs with rows: tables that rows point into, windows of rows, and rows joined."""

from __future__ import annotations

import numpy as np

from tests.program_moves import combine, windows
from tests.row_programs import LONGEST, RowWriter

# --- tables


def table(w: RowWriter) -> int:
    """An invariant with a leading axis that rows may point into."""
    x = w.fixed_value(lambda t: bool(t.shape) and t.size > 0)
    if x is None or w.chance(2):
        return w.parameter((w.second, *w.pick([(), (3,), (2,), (2, 3)])))
    return x


def gather(w: RowWriter) -> None:
    """Rows of a table, by integers that are row data; one or two integers a row. Or columns, the same of each row."""
    if w.chance(4):
        y = w.row_matrix()
        if length := w.shape(y)[1]:
            w.step("gather", y, w.index(w.pick([(), (2,), (3,)]), length), attribute=(1, 0))
        return
    x, length = table(w), w.pick(sorted(w.lengths))
    index = w.index(w.pick([(length,), (length,), (length, 2)]), w.shape(x)[0])
    size = w.types[x].size // w.shape(x)[0] * w.types[index].size
    if size <= w.largest:
        w.step("gather", x, index, attribute=(0, 0))


def scatter(w: RowWriter) -> None:
    """Rows added into a table; or columns into columns of each row."""
    if w.chance(4):
        y = w.row_matrix()
        place = w.index(w.shape(y)[1:], 3)
        w.step("scatter", y, place, attribute=(1, 3, 0), bound=w.bounds[y] * max(w.shape(y)[1], 1))
        return
    x = w.row_value()
    axes = w.choose.integer(1, min(2, len(w.shape(x))))
    rows = w.choose.integer(1, max(2, w.second))
    index = w.index(w.shape(x)[:axes], rows)
    bound = w.bounds[x] * max(w.types[index].size, 1)
    shape = (rows, *w.shape(x)[axes:])
    if w.chance(2):
        w.step("scatter", x, index, attribute=(0, rows, 0), bound=bound)
        return
    acc = w.fixed_value(lambda t: t.shape == shape)
    acc = w.parameter(shape) if acc is None else acc
    if w.chance(3):
        w.step("scatter_set", acc, x, index, attribute=(0, 0, 0), bound=max(w.bounds[x], w.bounds[acc]))
    else:
        w.step("scatter_add", acc, x, index, attribute=(0, 0), bound=bound + w.bounds[acc])


def labels(w: RowWriter) -> None:
    """One element of each row, as logits[arange(N), labels] is recorded; without `wrap_index` rows are mixed."""
    x = w.row_matrix()
    length, k = w.shape(x)
    if not k:
        return
    chosen = w.index((length,), k)
    if not w.chance(4):
        chosen = w.step("wrap_index", chosen, w.constant(k))
    if w.chance(2):
        w.step("gather", x, chosen, attribute=(1, 1))
        return
    index = w.step("add", chosen, w.constant(np.arange(length, dtype=np.int64) * k))
    flat = w.step("reshape", x, attribute=(length * k,))
    w.step("gather", flat, index, attribute=(0, 0))


# --- windows


def shift(w: RowWriter) -> None:
    """A window of rows: some left out before, some after."""
    x = w.row_value(lambda t: t.shape[0] > 1)
    length = w.shape(x)[0]
    before = w.choose.integer(0, min(4, length - 1))
    after = w.choose.integer(0, min(3, length - before - 1))
    w.cut(x, before, length - before - after)


def differences(w: RowWriter) -> None:
    """x[1:] - x[:-1], again and again, with other operations between: what needs the most lag."""
    x = w.row_value()
    for _ in range(w.choose.integer(1, 4)):
        length = w.shape(x)[0]
        far = w.choose.integer(1, 2)
        if length <= far:
            return
        if w.chance(3):
            x = w.step(w.pick(["sin", "tanh", "cos"]), x, bound=1.0)
        low, high = w.cut(x, 0, length - far), w.cut(x, far, length - far)
        if length > 2 * far and w.chance(3):  # x[2:] - 2 x[1:-1] + x[:-2]
            low, high = w.cut(x, 0, length - 2 * far), w.cut(x, 2 * far, length - 2 * far)
            middle = w.scaled(w.cut(x, far, length - 2 * far), -2.0)
            high = w.step("add", high, middle, bound=w.bounds[high] + w.bounds[middle])
        x = w.step(w.pick(["subtract", "add"]), high, low, bound=w.bounds[low] + w.bounds[high])


def aligned(w: RowWriter) -> None:
    """Two values of different lengths, brought to one."""
    x = w.row_value()
    y = w.row_value(lambda t: len(t.shape) == len(w.shape(x)) and w.broadcasts(t.shape[1:], w.shape(x)[1:]))
    count = min(w.shape(x)[0], w.shape(y)[0])
    count -= w.chance(2) and count > 1
    pieces = [w.cut(k, w.choose.integer(0, w.shape(k)[0] - count), count) for k in (x, y)]
    combine(w, *pieces)


def margins(w: RowWriter) -> None:
    """Rows of zeros before and after."""
    x = w.row_value()
    length, *inner = w.shape(x)
    missing = w.rows - length
    before = w.choose.integer(0, missing) if missing > 0 and not w.chance(4) else w.choose.integer(0, 3)
    after = missing - before if missing >= before and w.chance(2) else w.choose.integer(0, 2)
    if (total := before + length + after) <= LONGEST:
        w.note(total)
        place = ((before, 1, length), *((0, 1, n) for n in inner))
        w.step("pad", x, attribute=((total, *inner), place))


def window_add(w: RowWriter) -> None:
    """Rows added into a window of more rows."""
    x = w.row_value()
    length, *inner = w.shape(x)
    y = w.row_value(lambda t: t.shape[1:] == tuple(inner) and t.shape[0] <= length)
    if w.shape(y)[0] == length and length > 1:
        y = w.cut(y, w.choose.integer(0, 1), length - 1)
    count = w.shape(y)[0]
    place = ((w.choose.integer(0, length - count), 1, count), *((0, 1, n) for n in inner))
    if w.chance(2):
        w.step("slice_set", x, y, attribute=place, bound=max(w.bounds[x], w.bounds[y]))
    else:
        w.step("slice_add", x, y, attribute=place, bound=w.bounds[x] + w.bounds[y])


def joined(w: RowWriter) -> None:
    """Concatenation of rows: turned round, with others, with a piece of one row."""
    x = w.row_value()
    length, *inner = w.shape(x)
    match w.pick(["roll", "rows", "piece", "itself"]):
        case "roll" if length > 1:
            at = w.choose.integer(1, length - 1)
            pieces = [w.cut(x, at, length - at), w.cut(x, 0, at)]
        case "rows":
            pieces = [x, w.row_value(lambda t: t.shape[1:] == tuple(inner))]
        case "piece":
            y = w.value(lambda t: t.shape == (1, *inner))
            pieces = [w.parameter((1, *inner)) if y is None else y, x]
        case _:
            pieces = [x, x]
    pieces = pieces[::-1] if w.chance(2) else pieces
    total = sum(w.shape(k)[0] for k in pieces)
    if total <= LONGEST and sum(w.types[k].size for k in pieces) <= w.largest:
        w.note(total)
        w.step("concatenate", *pieces, attribute=(0,))


def joined_columns(w: RowWriter) -> None:
    """Concatenation of vectors in rows."""
    x = w.row_matrix()
    y = w.value(lambda t: len(t.shape) == 2 and t.shape[0] == w.shape(x)[0])
    pieces = [x, x if y is None else y]
    w.step("concatenate", *pieces, attribute=(1,))


def inner_window(w: RowWriter) -> None:
    """A window of each row, or each row in a window."""
    x = w.row_matrix(w.choose.integer(2, 3))
    length, *inner = w.shape(x)
    found = windows(w, tuple(inner))
    whole = (0, 1, length)
    match w.pick(["slice", "pad", "slice_add"]):
        case "slice":
            w.step("slice", x, attribute=(whole, *found))
        case "pad":
            before, after = w.choose.integer(0, 2), w.choose.integer(0, 2)
            outer = (length, *inner[:-1], inner[-1] + before + after)
            place = (whole, *((0, 1, n) for n in inner[:-1]), (before, 1, inner[-1]))
            if int(np.prod(outer)) <= w.largest:
                w.step("pad", x, attribute=(outer, place))
        case _:
            y = w.step(
                "slice", x, attribute=(whole, *((n - c, 1, c) for (_, _, c), n in zip(found, inner, strict=True)))
            )
            name, bound = w.pick([("slice_add", w.bounds[x] + w.bounds[y]), ("slice_set", w.bounds[x])])
            w.step(name, x, y, attribute=(whole, *found), bound=bound)
