"""What the functions of linear algebra share: operands that are matrices, their products and triangles."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import lift, operand, recorder_of, reshaped, stretch, transposed
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable


def floats(*values: Any) -> tuple[Recorder, list[Variable]]:
    """The recorder of the values, and all of them as floating Variables."""
    recorder = recorder_of(*values)
    return recorder, [recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in values]


def floating(value: Any) -> Variable:
    """The one array that a function works on, as a floating Variable."""
    v = operand(value)
    return v._recorder.cast(v, FLOAT)


def misfit(v: Variable, operation: str, found: str, wanted: str) -> ShapeError:
    """The error for shapes that do not fit."""
    return ShapeError(describe(operation, found=found, wanted=wanted, line=v._recorder.line()))


def require_matrices(v: Variable, operation: str, *, square: bool = False) -> Variable:
    """The Variable, if it has two axes or more, and, if asked for, the last two of one length."""
    if v.ndim < 2:
        raise misfit(v, operation, f"shape {v.shape}", "two axes or more, the last two those of matrices")
    if square and v.shape[-1] != v.shape[-2]:
        raise misfit(v, operation, f"shape {v.shape}", "square matrices: the last two axes of one length")
    return v


def matrices(value: Any, operation: str, *, square: bool = False) -> Variable:
    """The one operand of a function of matrices."""
    return require_matrices(floating(value), operation, square=square)


def swapped(v: Variable) -> Variable:
    """The matrices transposed."""
    return transposed(v, (*range(v.ndim - 2), v.ndim - 1, v.ndim - 2))


def product(a: Variable, b: Variable, *, flip: bool = False) -> Variable:
    """The product of matrices, the first of them transposed if `flip`."""
    return a._recorder.apply("matmul", (int(flip), 0), a, b)


def mirrored(v: Variable) -> Variable:
    """The symmetric matrices of the same lower triangles."""
    recorder = v._recorder
    return recorder.elementwise("add", recorder.apply("tril", (0,), v), swapped(recorder.apply("tril", (-1,), v)))


def identity(recorder: Recorder, shape: tuple[int, ...]) -> Variable:
    """Identity matrices."""
    eye = recorder.lift(np.eye(shape[-1]))
    return eye if len(shape) == 2 else recorder.apply("broadcast_to", shape, eye)


def diagonals(v: Variable, offset: int = 0) -> Variable:
    """The diagonals of matrices: (..., m, n) gives (..., k)."""
    *batch, m, n = v.shape
    count = max(min(m, n - offset) if offset >= 0 else min(m + offset, n), 0)
    start = offset if offset >= 0 else -offset * n
    flat = reshaped(v, (*batch, m * n))
    windows = (*((0, 1, k) for k in batch), (start if count else 0, n + 1, count))
    return v._recorder.apply("slice", windows, flat)


def last_row(v: Variable) -> Variable:
    """The last of the rows of matrices."""
    n = v.shape[-2]
    return reshaped(stretch(v, v.ndim - 2, n - 1, 1), (*v.shape[:-2], v.shape[-1]))


@cache
def result_form(function: Callable[..., Any]) -> Callable[..., Any]:
    """The named tuple that a function of NumPy's returns, which has no public name."""
    return type(function(np.eye(1)))
