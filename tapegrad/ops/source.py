"""What a row is in NumPy source, for `to_python`: texts in the operands' names, and what these are written with.

A source is an expression in the operands' names; those of an op with any number of operands are x0, x1, x2 ... What
else it may name: `np` and `scipy`; `floating`, the tape's floating dtype; `matrix`, the sparse matrix of the attribute;
the functions of `tapegrad.formulas.helpers`, which begin with an underscore, and are written in front where they are
used. A text that hangs on the attribute or on the operands' types is made by a function of both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from tapegrad.ops.row import ArrayType, Attribute

Written: TypeAlias = Callable[[Attribute, Sequence[ArrayType]], str]

# Elementwise ops for which Python has an operator; others are calls of the function that evaluates them.
OPERATORS: Final = MappingProxyType(
    {
        "add": "x + y",
        "subtract": "x - y",
        "multiply": "x * y",
        "divide": "x / y",
        "power": "x ** y",
        "floor_divide": "x // y",
        "remainder": "x % y",
        "negative": "-x",
        "bitwise_and": "x & y",
        "bitwise_or": "x | y",
        "bitwise_xor": "x ^ y",
        "left_shift": "x << y",
        "right_shift": "x >> y",
        "invert": "~x",
        "less": "x < y",
        "less_equal": "x <= y",
        "greater": "x > y",
        "greater_equal": "x >= y",
        "equal": "x == y",
        "not_equal": "x != y",
    }
)


def elementwise_source(name: str, operands: Sequence[str], path: str) -> str:
    """An operator, or a call of the function at a dotted path such as "numpy.exp"."""
    module, _, function = path.rpartition(".")
    module = {"numpy": "np"}.get(module, module)
    return OPERATORS.get(name) or f"{module}.{function}({', '.join(operands)})"


def axes_text(axes: Sequence[int], ndim: int) -> str:
    """The axes of a reduction as further arguments; nothing for all of them.

    >>> axes_text((1,), 2), axes_text((0, 1), 2), axes_text((0, 2), 3)
    (', axis=1', '', ', axis=(0, 2)')
    """
    if axes and len(axes) == ndim:
        return ""
    return f", axis={axes[0] if len(axes) == 1 else tuple(axes)}"


def window_text(windows: Sequence[tuple[int, int, int]], shape: Sequence[int]) -> str:
    """A window as an index, with as few numbers as say it.

    >>> window_text(((1, 1, 3), (0, 1, 4), (4, -2, 3)), (5, 4, 5)), window_text(((1, 1, 2), (0, 1, 4)), (3, 4))
    ('1:4, :, ::-2', '1:')
    """
    parts = [_stretch(*window, length) for window, length in zip(windows, shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return ", ".join(parts) or "()"


def _stretch(start: int, step: int, count: int, length: int) -> str:
    """A window of one axis."""
    if not count:
        return "0:0"
    stop = start + step * count
    last = stop < 0 if step < 0 else stop >= length
    first = start == (length - 1 if step < 0 else 0)
    text = f"{'' if first else start}:{'' if last else stop}"
    return text if step == 1 else f"{text}:{step}"


def turned(name: str, transposed: Any, ndim: int) -> str:
    """A matrix, or a batch of them, read transposed where a flag says so."""
    if not transposed:
        return name
    return f"{name}.T" if ndim == 2 else f"np.swapaxes({name}, -1, -2)"


def call(function: str, *arguments: str) -> Written:
    """A call of a function with operands, and the attribute's entries after them.

    >>> call("np.tril", "x")((1,), ())
    'np.tril(x, 1)'
    """
    return lambda attribute, _: f"{function}({', '.join([*arguments, *map(repr, attribute)])})"
