"""The elementwise rows of steps, integers and booleans: flat but for jumps, so that they have no derivative."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.ops.elementwise import OUTSIDE, REAL, binary, joined, unary
from tapegrad.ops.row import Attribute, Interval, Op

_SHIFTS: Final[Interval] = (0.0, 5.0)


def comparison(name: str, sign: str, doc: str) -> list[Op]:
    """A comparison: floats or integers in, booleans out, no derivative."""
    return binary(name, f"x {sign} y", ["0", "0"], [REAL, REAL], doc, kinds="ff->b ii->b bb->b", loop=f"numpy.{name}")


def bitwise(name: str, doc: str) -> list[Op]:
    """An operation on the bits of two integers."""
    return binary(name, "", ["0", "0"], [REAL, _SHIFTS], doc, kinds="ii->i", loop=f"numpy.{name}")


def _wrap_index(_: Attribute, index: Any, length: Any) -> Any:
    wrapped = np.where(index < 0, index + length, index)
    return np.where((wrapped < 0) | (wrapped >= length), OUTSIDE, wrapped)


def _agrees(_: Attribute, x: Any, expected: Any) -> Any:
    return (x == expected) | ((x != x) & (expected != expected))


ROWS: Final[tuple[Op, ...]] = joined(
    # steps
    unary("floor", "np.floor(x)", "0", REAL, "largest integer not above x", loop="numpy.floor"),
    unary("ceil", "np.ceil(x)", "0", REAL, "smallest integer not below x", loop="numpy.ceil"),
    unary("rint", "", "0", REAL, "nearest integer, halves to even", loop="numpy.rint"),
    unary("trunc", "", "0", REAL, "integer part, towards 0", loop="numpy.trunc"),
    unary("spacing", "", "0", REAL, "distance to the next float away from 0", loop="numpy.spacing"),
    # integers
    binary("gcd", "", ["0", "0"], [REAL, REAL], "greatest common divisor", kinds="ii->i", loop="numpy.gcd"),
    binary("lcm", "", ["0", "0"], [REAL, REAL], "least common multiple", kinds="ii->i", loop="numpy.lcm"),
    bitwise("bitwise_and", "bits of x and y"),
    bitwise("bitwise_or", "bits of x or y"),
    bitwise("bitwise_xor", "bits of either x or y"),
    bitwise("left_shift", "x times 2**y, as bits"),
    bitwise("right_shift", "floor(x / 2**y), as bits"),
    unary("invert", "", "0", REAL, "-x - 1: every bit the other way", kinds="i->i", loop="numpy.invert"),
    # comparisons and logic
    comparison("less", "<", "x < y"),
    comparison("less_equal", "<=", "x <= y"),
    comparison("greater", ">", "x > y"),
    comparison("greater_equal", ">=", "x >= y"),
    comparison("equal", "==", "x == y"),
    comparison("not_equal", "!=", "x != y"),
    unary("isnan", "x != x", "0", REAL, "is x nan?", kinds="f->b"),
    unary("isfinite", "x - x == 0.0", "0", REAL, "is x neither nan nor infinite?", kinds="f->b"),
    unary("isinf", "x == math.inf or x == -math.inf", "0", REAL, "is x infinite?", kinds="f->b"),
    binary("logical_and", "(x != 0) & (y != 0)", ["0", "0"], [REAL, REAL], "x and y", kinds="bb->b", commutes=True),
    binary("logical_or", "(x != 0) | (y != 0)", ["0", "0"], [REAL, REAL], "x or y", kinds="bb->b", commutes=True),
    binary(
        "logical_xor",
        "(x != 0) ^ (y != 0)",
        ["0", "0"],
        [REAL, REAL],
        "either x or y",
        kinds="bb->b",
        commutes=True,
    ),
    unary("logical_not", "x == 0", "0", REAL, "not x", kinds="b->b"),
    # conversions
    unary(
        "to_float",
        "x",
        "0",
        REAL,
        "integers or booleans as the tape's floating dtype",
        kinds="i->f b->f",
        numpy="numpy.float64",
        source="x.astype(floating)",
    ),
    unary(
        "to_int",
        "int(x)",
        "0",
        REAL,
        "integer part as int64",
        kinds="f->i b->i",
        numpy="numpy.int64",
        source="x.astype(np.int64)",
    ),
    unary("to_bool", "x != 0", "0", REAL, "is x not zero?", kinds="f->b i->b", numpy="numpy.bool_", source="x != 0"),
    # indices and guards
    binary(
        "wrap_index",
        f"{OUTSIDE} if x < -y or x >= y else (x + y if x < 0 else x)",
        ["0", "0"],
        [REAL, REAL],
        "index x of an axis of length y, counted from its start",
        kinds="ii->i",
        evaluate=_wrap_index,
        source="_wrap_index(x, y)",
    ),
    binary(
        "guard",
        "x == y or (x != x and y != y)",
        ["0", "0"],
        [REAL, REAL],
        "stops the sweep where x is not what it was when recorded",
        kinds="ff->b ii->b bb->b",
        evaluate=_agrees,
        source="(x == y) | (x != x) & (y != y)",
        effect=True,
    ),
)
