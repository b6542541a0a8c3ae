"""The elementwise rows: adding a scalar op is adding one here, and nothing else.

    row(name, operands, value, partials, points, doc, ...)

- `value`: a numba expression in the operands; the kernels are generated from it.
- `partials`: one expression an operand, in the operands, the result `z` and, where a factor will not do,
  the incoming derivative `g` ("where(c, g, 0)"). "0" everywhere: the op is flat; "": there is no rule, and
  asking for that derivative is an error.
- `points`: one interval an operand, inside the domain; the tests draw from them and add the edges.
- `loop`: the NumPy or SciPy ufunc whose inner loop runs the op on arrays ("" : a loop made of `value`).
  Without a `value` the ufunc runs scalars, too.
- `vector`: the function's name in libm, if libmvec's vector functions may run the op where they are faster
  (`tapegrad.sweep.loops`). Their results are within 4 units in the last place.
- `source`: the op in NumPy source (`tapegrad.ops.source`), where it is neither an operator nor a call of its function.
- `kinds`: kinds of the operands and, after the arrow, of the result; one opcode each.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from tapegrad.errors import ShapeError
from tapegrad.ops.flops import each_result
from tapegrad.ops.row import ArrayType, Attribute, Interval, Op
from tapegrad.ops.source import elementwise_source

REAL: Final[Interval] = (-3.0, 3.0)
POSITIVE: Final[Interval] = (0.1, 4.0)
OPEN_UNIT: Final[Interval] = (-0.9, 0.9)
OUTSIDE: Final = -(1 << 40)  # an index that stays negative when strides of up to 2**22 are multiplied in


@cache
def find_ufunc(path: str) -> Callable[..., Any]:
    """The function at a dotted path such as "numpy.exp"; SciPy is imported only when one of its is asked for."""
    module, _, name = path.rpartition(".")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


def _caller(path: str) -> Callable[..., Any]:
    def evaluate(_: Attribute, *operands: Any) -> Any:
        return find_ufunc(path)(*operands)

    return evaluate


def broadcast_type(kind: str) -> Callable[[Attribute, Sequence[ArrayType]], ArrayType]:
    """The shape rule of every elementwise op: operands broadcast as in NumPy."""

    def result_type(_: Attribute, types: Sequence[ArrayType]) -> ArrayType:
        try:
            return ArrayType(np.broadcast_shapes(*(t.shape for t in types)), kind)
        except ValueError:
            raise ShapeError(" and ".join(str(t.shape) for t in types)) from None

    return result_type


def row(
    name: str,
    operands: str,
    value: str,
    partials: Sequence[str],
    points: Sequence[Interval],
    doc: str,
    *,
    kinds: str = "",
    numpy: str = "",
    loop: str = "",
    vector: str = "",
    evaluate: Callable[..., Any] | None = None,
    source: str = "",
    selects: bool = False,
    commutes: bool = False,
    effect: bool = False,
    flops: Callable[..., float] | None = None,
) -> list[Op]:
    """The ops of one row, one for each combination of kinds."""
    names = tuple(operands.split())
    path = numpy or loop or f"numpy.{name}"
    reference = evaluate or _caller(path)
    float_signature = "f" * len(names) + "->f"
    ops = []
    for signature in (kinds or float_signature).split():
        # Loops over integers and booleans are NumPy's own: nothing is gained by compiling them again.
        borrowed = evaluate is None and signature != float_signature and isinstance(find_ufunc(path), np.ufunc)
        taken, _, given = signature.partition("->")
        smooth = given == "f" and "f" in taken and any(p != "0" for p in partials)
        ops.append(
            Op(
                name=name,
                operands=names,
                kinds=taken,
                result_kind=given,
                doc=doc,
                evaluate=reference,
                source=source or elementwise_source(name, names, path),
                result_type=broadcast_type(given),
                differentiable=smooth,
                selects=selects,
                elementwise=True,
                value=value,
                loop=path if borrowed else loop,
                vector=vector,
                partials=tuple(partials) if smooth else (),
                points=tuple(points),
                commutes=commutes,
                effect=effect,
                flops=flops,
            )
        )
    return ops


def unary(name: str, value: str, partial: str, points: Interval, doc: str, **options: Any) -> list[Op]:
    """A row of one operand, `x`."""
    return row(name, "x", value, [partial], [points], doc, **options)


def binary(
    name: str, value: str, partials: Sequence[str], points: Sequence[Interval], doc: str, **options: Any
) -> list[Op]:
    """A row of two operands, `x` and `y`."""
    return row(name, "x y", value, partials, points, doc, **options)


def joined(*rows: list[Op]) -> tuple[Op, ...]:
    """The ops of some rows, one after another."""
    return tuple(op for ops in rows for op in ops)


def _above(_: Attribute, x: Any, y: Any) -> Any:
    share = np.where(x > y, 1.0, np.where(x == y, 0.5, 0.0))
    return share.astype(np.result_type(x, y))


def _masked_multiply(_: Attribute, x: Any, y: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.where(x == 0, np.zeros_like(x), np.multiply(x, y))


def _multiply_add(_: Attribute, x: Any, y: Any, a: Any) -> Any:
    return np.add(np.multiply(x, y), a)


ROWS: Final[tuple[Op, ...]] = joined(
    # arithmetic
    binary("add", "x + y", ["g", "g"], [REAL, REAL], "x + y", kinds="ff->f ii->i", commutes=True),
    binary("subtract", "x - y", ["g", "-g"], [REAL, REAL], "x - y", kinds="ff->f ii->i"),
    binary("multiply", "x * y", ["y", "x"], [REAL, REAL], "x * y", kinds="ff->f ii->i", commutes=True),
    binary("divide", "x / y", ["1 / y", "-z / y"], [REAL, POSITIVE], "x / y"),
    binary(
        "power",
        "x ** y",
        ["where(y == 0, 0, y * x ** (y - 1))", "z * log(where(x == 0, 1, x))"],
        [POSITIVE, REAL],
        "x to the power y; the derivative to y is 0 at x = 0",
        loop="numpy.power",
    ),
    binary(
        "floor_divide",
        "",
        ["0", "0"],
        [REAL, POSITIVE],
        "floor(x / y)",
        kinds="ff->f ii->i",
        loop="numpy.floor_divide",
    ),
    binary(
        "remainder",
        "",
        ["g", "-floor_divide(x, y)"],
        [(0.1, 0.9), (1.0, 2.0)],
        "x - y floor(x / y)",
        kinds="ff->f ii->i",
        loop="numpy.remainder",
    ),
    binary(
        "fmod",
        "",
        ["g", "rint((z - x) / y)"],
        [(0.1, 0.9), (1.0, 2.0)],
        "x - y trunc(x / y), of the sign of x",
        kinds="ff->f ii->i",
        loop="numpy.fmod",
    ),
    unary("negative", "-x", "-g", REAL, "-x", kinds="f->f i->i"),
    unary("square", "x * x", "2 * x", REAL, "x * x", kinds="f->f i->i"),
    unary("reciprocal", "1.0 / x", "-z * z", POSITIVE, "1 / x"),
    unary("absolute", "abs(x)", "sign(x)", REAL, "|x|; the derivative at 0 is 0", kinds="f->f i->i"),
    unary("sign", "x if x != x else (x > 0) - (x < 0)", "0", REAL, "-1, 0 or 1; nan stays nan", kinds="f->f i->i"),
    binary(
        "copysign",
        "",
        ["sign(x) * copysign(1, y)", "0"],
        [REAL, REAL],
        "|x| with the sign of y; the derivative at x = 0 is 0",
        loop="numpy.copysign",
    ),
    row(
        "ldexp",
        "x n",
        "",
        ["ldexp(g, n)", "0"],
        [REAL, REAL],
        "x times 2 to the power of an integer",
        kinds="fi->f",
        loop="numpy.ldexp",
    ),
    binary(
        "nextafter",
        "",
        ["g", "0"],
        [REAL, REAL],
        "the float beside x in the direction of y: it moves with x",
        loop="numpy.nextafter",
    ),
    # choices: ties share equally
    binary(
        "maximum",
        "x if (x > y) | (x != x) else y",
        ["above(x, y)", "above(y, x)"],
        [REAL, REAL],
        "larger one; a nan wins; ties share",
        kinds="ff->f ii->i",
        selects=True,
        commutes=True,
    ),
    binary(
        "minimum",
        "x if (x < y) | (x != x) else y",
        ["above(y, x)", "above(x, y)"],
        [REAL, REAL],
        "smaller one; a nan wins; ties share",
        kinds="ff->f ii->i",
        selects=True,
        commutes=True,
    ),
    binary(
        "fmax",
        "",
        ["where(isnan(y), 1, above(x, y))", "where(isnan(x), 1, above(y, x))"],
        [REAL, REAL],
        "larger one; a number wins against nan; ties share",
        kinds="ff->f ii->i",
        loop="numpy.fmax",
        selects=True,
    ),
    binary(
        "fmin",
        "",
        ["where(isnan(y), 1, above(y, x))", "where(isnan(x), 1, above(x, y))"],
        [REAL, REAL],
        "smaller one; a number wins against nan; ties share",
        kinds="ff->f ii->i",
        loop="numpy.fmin",
        selects=True,
    ),
    binary(
        "above",
        "(x > y) + 0.5 * (x == y)",
        ["0", "0"],
        [REAL, REAL],
        "1 where x > y, 0.5 where x = y, else 0",
        evaluate=_above,
        source="_above(x, y)",
    ),
    row(
        "where",
        "c x y",
        "x if c else y",
        ["0", "where(c, g, 0)", "where(c, 0, g)"],
        [REAL, REAL, REAL],
        "x where c, else y; the one not taken contributes exactly 0",
        kinds="bff->f bii->i bbb->b",
        selects=True,
    ),
    binary(
        "masked_multiply",
        "0.0 if x == 0.0 else x * y",
        ["masked_multiply(g, y)", "where(x == 0, 0, masked_multiply(g, x))"],
        [REAL, REAL],
        "x * y, and 0 where x is 0 whatever y is",
        evaluate=_masked_multiply,
        source="np.where(x == 0, 0.0, x * y)",
        selects=True,
    ),
    # products with sums, rounded once: `tapegrad.passes.fuse` makes them
    row(
        "multiply_add",
        "x y a",
        "x * y + a",
        ["y", "x", "g"],
        [REAL] * 3,
        "x y + a",
        evaluate=_multiply_add,
        source="x * y + a",
        flops=each_result(2),
    ),
    row(
        "multiply_subtract",
        "x y a",
        "x * y - a",
        ["y", "x", "-g"],
        [REAL] * 3,
        "x y - a",
        evaluate=lambda _, x, y, a: np.subtract(np.multiply(x, y), a),
        source="x * y - a",
        flops=each_result(2),
    ),
    row(
        "subtract_multiply",
        "x y a",
        "a - x * y",
        ["-y", "-x", "g"],
        [REAL] * 3,
        "a - x y",
        evaluate=lambda _, x, y, a: np.subtract(a, np.multiply(x, y)),
        source="a - x * y",
        flops=each_result(2),
    ),
)
