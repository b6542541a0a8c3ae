"""The moves of the writer of random programs: each appends one operation or a few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, INT, ArrayType
from tests.random_programs import Writer

Fits = Callable[[ArrayType], bool]


def _any(_: ArrayType) -> bool:
    return True


BOUNDED: Final = {"sin": 1.0, "cos": 1.0, "tanh": 1.0, "arctan": 1.6, "expit": 1.0, "erf": 1.0, "sign": 1.0}


def bounded(w: Writer, fits: Fits = _any) -> None:
    if (x := w.value(fits)) is not None:
        name = w.pick(list(BOUNDED))
        w.step(name, x, bound=BOUNDED[name])


def same_bound(w: Writer, fits: Fits = _any) -> None:
    if (x := w.value(fits)) is not None:
        w.step(w.pick(["negative", "absolute", "negative", "absolute", "floor", "stop_gradient"]), x)


def restricted(w: Writer, fits: Fits = _any) -> None:
    """Functions of a part of the line, of an operand brought there."""
    if (x := w.value(fits)) is None:
        return
    inside = w.step("multiply", w.step("tanh", x, bound=1.0), w.constant(0.9), bound=0.9)
    match w.pick(["log", "sqrt", "log1p", "reciprocal", "exp", "expm1", "arcsin", "arccos", "tan", "sinh", "cosh"]):
        case "log" | "sqrt" | "log1p" as name:
            w.step(name, w.positive(x, 0.5), bound=4.0)
        case "reciprocal":
            w.step("reciprocal", w.positive(x, 0.5), bound=2.0)
        case name:
            w.step(name, inside, bound=3.0)


def arithmetic(w: Writer, fits: Fits = _any) -> None:
    if (pair := two(w, fits)) is not None:
        combine(w, *pair)


def combine(w: Writer, x: int, y: int) -> None:
    """An arithmetic operation on two values that broadcast."""
    a, b = w.bounds[x], w.bounds[y]
    match w.pick(["add", "add", "subtract", "multiply", "multiply", "divide", "arctan2", "logaddexp", "power"]):
        case "add" | "subtract" as name:
            w.step(name, x, y, bound=a + b)
        case "multiply":
            w.step("multiply", x, y, bound=a * b)
        case "divide":
            w.step("divide", x, w.positive(y, 0.5), bound=2 * a)
        case "arctan2":
            w.step("arctan2", x, w.positive(y, 0.5), bound=1.6)
        case "logaddexp":
            w.step("logaddexp", x, y, bound=max(a, b) + 0.7)
        case _:
            w.step("power", w.positive(x, 0.7), w.step("sin", y, bound=1.0), bound=a * a + 2)


def two(w: Writer, fits: Fits) -> tuple[int, int] | None:
    """Two values that broadcast, now and then the same one twice."""
    x = w.value(fits)
    if x is None:
        return None
    if w.chance(8):
        return x, x
    y = w.value(lambda t: fits(t) and w.broadcasts(w.types[x].shape, t.shape))
    assert y is not None
    return (x, y) if w.chance(2) else (y, x)


def choice(w: Writer, fits: Fits = _any) -> None:
    if (pair := two(w, fits)) is not None:
        select(w, *pair)


def select(w: Writer, x: int, y: int) -> None:
    """The larger or the smaller, or one of the two by a condition."""
    if w.chance(2):
        w.step(w.pick(["maximum", "minimum"]), x, y)
        return
    test = condition(w, x)
    if w.broadcasts(np.broadcast_shapes(w.types[x].shape, w.types[y].shape), w.types[test].shape):
        w.step("where", test, x, y, bound=max(w.bounds[x], w.bounds[y]))


def condition(w: Writer, x: int) -> int:
    """A boolean: a comparison, data, or two of them combined."""
    if w.chance(4):
        return w.input(w.types[x].shape, BOOL)
    y = w.value(lambda t: w.broadcasts(w.types[x].shape, t.shape)) if w.chance(2) else w.constant(0.37)
    assert y is not None
    test = w.step(w.pick(["less", "less_equal", "greater", "greater_equal"]), x, y)
    if w.chance(4):
        test = w.step(w.pick(["logical_and", "logical_or", "logical_xor"]), test, w.input(w.types[x].shape, BOOL))
    return w.step("logical_not", test) if w.chance(4) else test


def reduction(w: Writer) -> None:
    if (x := w.value(lambda t: bool(t.shape))) is None:
        return
    shape = w.types[x].shape
    axes = tuple(a for a in range(len(shape)) if w.chance(2)) or (len(shape) - 1,)
    if w.chance(4):
        axes = tuple(range(len(shape)))
    count = int(np.prod([shape[a] for a in axes]))
    if count and w.chance(4):
        w.step(w.pick(["max", "min"]), x, attribute=axes)
    else:
        w.step("sum", x, attribute=axes, bound=count * w.bounds[x])


def reshape(w: Writer) -> None:
    if (x := w.value()) is None:
        return
    n = w.types[x].size
    shapes: list[tuple[int, ...]] = [(n,), (1, n), (n, 1)]
    shapes += [(a, n // a) for a in (2, 3) if n % a == 0]
    shapes += [()] * 2 if n == 1 else []
    w.step("reshape", x, attribute=w.pick(shapes))


def transpose(w: Writer) -> None:
    if (x := w.value(lambda t: len(t.shape) >= 2)) is None:
        return
    axes = list(range(len(w.types[x].shape)))
    moved = [axes.pop(w.choose.integer(0, len(axes) - 1)) for _ in range(len(axes))]
    w.step("transpose", x, attribute=tuple(moved))


def broadcast(w: Writer) -> None:
    if (x := w.value()) is None:
        return
    shape = w.types[x].shape
    wide = np.broadcast_shapes(shape, tuple(w.choose.integer(2, 3) if n == 1 else n for n in shape))
    wide = (w.choose.integer(1, 3), *wide) if len(wide) < 3 and w.chance(2) else wide
    if int(np.prod(wide)) <= w.largest:
        w.step("broadcast_to", x, attribute=wide)


def windows(w: Writer, shape: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
    """A window of an array: any step but 0, any count that fits."""
    found = []
    for n in shape:
        if w.chance(3):
            found.append((0, 1, n))
            continue
        count = w.choose.integer(0 if n == 0 or w.chance(8) else 1, n)
        step = w.choose.integer(1, max(1, (n - 1) // max(count - 1, 1))) if count > 1 else 1
        start = w.choose.integer(0, max(n - 1 - step * max(count - 1, 0), 0))
        if w.chance(2) and count:
            start, step = start + step * (count - 1), -step
        found.append((start, step, count))
    return tuple(found)


def window(w: Writer) -> None:
    if (x := w.value(lambda t: bool(t.shape))) is None:
        return
    shape = w.types[x].shape
    match w.pick(["slice", "slice", "pad", "slice_add"]):
        case "slice":
            w.step("slice", x, attribute=windows(w, shape))
        case "pad":
            outer, window_ = [], []
            for n in shape:
                before, after, step = w.choose.integer(0, 1), w.choose.integer(0, 1), w.pick([1, 1, 2, -1])
                length = before + after + (abs(step) * (n - 1) + 1 if n else 0)
                outer.append(length)
                window_.append((before if step > 0 or not n else before + n - 1, step, n))
            if int(np.prod(outer)) <= w.largest:
                w.step("pad", x, attribute=(tuple(outer), tuple(window_)))
        case _:
            place = windows(w, shape)
            inner = tuple(count for _, _, count in place)
            y = w.value(lambda t: t.shape == inner)
            if y is None:
                y = w.step("slice", x, attribute=windows_of(w, shape, inner))
            if w.chance(2):
                w.step("slice_set", x, y, attribute=place, bound=max(w.bounds[x], w.bounds[y]))
            else:
                w.step("slice_add", x, y, attribute=place, bound=w.bounds[x] + w.bounds[y])


def item(w: Writer) -> None:
    """x[k], or something added to it."""
    if (x := w.value(lambda t: t.size > 0 and bool(t.shape))) is None:
        return
    shape = w.types[x].shape
    place = (w.choose.integer(0, shape[0] - 1),)
    y = w.value(lambda t: t.shape == shape[1:])
    if y is None or w.chance(2):
        w.step("item", x, attribute=place)
    elif w.chance(2):
        w.step("item_set", x, y, attribute=place, bound=max(w.bounds[x], w.bounds[y]))
    else:
        w.step("item_add", x, y, attribute=place, bound=w.bounds[x] + w.bounds[y])


def windows_of(w: Writer, shape: tuple[int, ...], counts: tuple[int, ...]) -> tuple[tuple[int, int, int], ...]:
    """A plain window of these lengths, anywhere."""
    return tuple((w.choose.integer(0, n - c), 1, c) for n, c in zip(shape, counts, strict=True))


def concatenate(w: Writer) -> None:
    if (x := w.value(lambda t: bool(t.shape))) is None:
        return
    shape = w.types[x].shape
    axis = w.choose.integer(0, len(shape) - 1)
    rest = shape[:axis] + shape[axis + 1 :]
    items = [x]
    for _ in range(w.choose.integer(0, 2)):
        y = w.value(lambda t: len(t.shape) == len(shape) and t.shape[:axis] + t.shape[axis + 1 :] == rest)
        items.append(x if y is None else y)
    if sum(w.types[k].size for k in items) <= w.largest:
        w.step("concatenate", *items, attribute=(axis,))


def index(w: Writer, shape: tuple[int, ...], length: int) -> int:
    """Integers that are in range: data, or a constant."""
    if w.chance(2):
        return w.input(shape, INT, length=length)
    size = int(np.prod(shape, dtype=np.int64))
    values = [w.choose.integer(-length, length - 1) for _ in range(size)]
    return w.constant(np.array(values, np.int64).reshape(shape))


def gather(w: Writer) -> None:
    if (x := w.value(lambda t: bool(t.shape) and t.size > 0)) is None:
        return
    shape = w.types[x].shape
    axis = w.choose.integer(0, len(shape) - 1)
    batch = w.choose.integer(0, axis)
    chosen = w.pick([(), (2,), (3,), (2, 2), (0,)])
    if w.types[x].size // shape[axis] * max(int(np.prod(chosen)), 1) <= w.largest:
        w.step("gather", x, index(w, shape[:batch] + chosen, shape[axis]), attribute=(axis, batch))


def scatter(w: Writer) -> None:
    if (x := w.value(lambda t: bool(t.shape))) is None:
        return
    shape = w.types[x].shape
    axis = w.choose.integer(0, len(shape) - 1)
    axes = w.choose.integer(0, min(2, len(shape) - axis))
    batch = w.choose.integer(0, axis)
    length = w.choose.integer(1, 3)
    if w.types[x].size * length > w.largest:
        return
    chosen = shape[axis : axis + axes]
    place = index(w, shape[:batch] + chosen, length)
    bound = w.bounds[x] * max(int(np.prod(chosen)), 1)
    wanted = shape[:axis] + (length,) + shape[axis + axes :]
    acc = w.value(lambda t: t.shape == wanted)
    if acc is None or w.chance(2):
        w.step("scatter", x, place, attribute=(axis, length, batch), bound=bound)
    elif w.chance(2):
        w.step("scatter_set", acc, x, place, attribute=(axis, batch, 0), bound=max(w.bounds[x], w.bounds[acc]))
    else:
        w.step("scatter_add", acc, x, place, attribute=(axis, batch), bound=bound + w.bounds[acc])


def product(w: Writer) -> None:
    """A matrix product with flags; where no other factor fits, of a value with itself."""
    if (a := w.value(lambda t: len(t.shape) >= 2)) is None:
        return
    shape = w.types[a].shape
    flip_a, flip_b = w.choose.integer(0, 1), w.choose.integer(0, 1)
    inner = shape[-2] if flip_a else shape[-1]
    b = w.value(
        lambda t: (
            len(t.shape) >= 2
            and (t.shape[-1] if flip_b else t.shape[-2]) == inner
            and w.broadcasts(shape[:-2], t.shape[:-2])
        )
    )
    if b is None or w.chance(6):
        b, flip_b = a, 1 - flip_a
    flags = (flip_a, flip_b)
    result = product_shape(shape, w.types[b].shape, flags)
    bound = max(inner, 1) * w.bounds[a] * w.bounds[b]
    if int(np.prod(result)) > w.largest:
        return
    acc = w.value(lambda t: t.shape == result)
    if acc is None or w.chance(2):
        w.step("matmul", a, b, attribute=flags, bound=bound)
    else:
        w.step("matmul_add", acc, a, b, attribute=flags, bound=bound + w.bounds[acc])


def product_shape(a: tuple[int, ...], b: tuple[int, ...], flags: tuple[int, int]) -> tuple[int, ...]:
    return (*np.broadcast_shapes(a[:-2], b[:-2]), a[-1] if flags[0] else a[-2], b[-2] if flags[1] else b[-1])


def leaf(w: Writer) -> None:
    """More arguments and constants, one of them used at once."""
    shape = w.pick(w.shapes)
    match w.pick(["parameter", "data", "integers", "booleans", "array", "number"]):
        case "parameter":
            w.input(shape, independent=True)
        case "data":
            w.input(shape)
        case "integers":
            w.step("to_float", w.input(shape, INT, length=3), bound=3.0)
        case "booleans":
            w.step("to_float", w.input(shape, BOOL), bound=1.0)
        case "array":
            n = int(np.prod(shape, dtype=np.int64))
            w.constant((np.arange(n) * 0.73 % 1.1 - 0.5).reshape(shape))
        case _:
            w.constant(w.pick([1.0, -0.5, 0.0, 2.5]))


def to_scalar(w: Writer) -> None:
    """Something that scalar instructions can go on with: a sum, or one element."""
    if (x := w.value(lambda t: t.size > 0)) is None:
        return
    shape = w.types[x].shape
    if w.chance(2):
        w.step("sum", x, attribute=tuple(range(len(shape))), bound=w.types[x].size * w.bounds[x])
    else:
        place = tuple((w.choose.integer(0, n - 1), 1, 1) for n in shape)
        w.step("reshape", w.step("slice", x, attribute=place), attribute=())


SCALAR_MOVES: Final[tuple[Any, ...]] = (bounded, arithmetic, arithmetic, choice, restricted, same_bound)
MOVES: Final[tuple[Any, ...]] = (
    bounded, same_bound, restricted, arithmetic, arithmetic, arithmetic, choice, reduction, reduction, reshape,
    transpose, broadcast, window, window, item, concatenate, gather, scatter, product, product, leaf, to_scalar,
)  # fmt: skip
