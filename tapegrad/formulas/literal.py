"""Constants as Python writes them, to the last bit."""

from __future__ import annotations

import ast
import base64
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

WRITTEN: Final = 64  # elements that are written out
CARRIED: Final = 1 << 18  # bytes of an array that a formula carries along


def expression(text: str) -> ast.expr:
    """The tree of an expression."""
    return ast.parse(text, mode="eval").body


def number(value: Any, *, bare: bool) -> str:
    """A number: bare where what it meets decides on the dtype, else of a dtype of its own.

    >>> import numpy as np
    >>> number(np.float64(0.1), bare=True), number(np.float32(0.1), bare=False), number(np.float64("-inf"), bare=True)
    ('0.1', 'np.float32(0.1)', '-np.inf')
    """
    dtype = np.asarray(value).dtype
    text = str(value)
    if dtype.kind == "f" and not math.isfinite(value):
        text = "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    return text if bare else f"np.{'bool_' if dtype.kind == 'b' else dtype.name}({text})"


def array(value: Any) -> str | None:
    """An array: the shortest of what makes it; None where it is too long to be written out.

    >>> import numpy as np
    >>> array(np.arange(2, 100)), array(np.zeros((20, 3))), array(np.array([1, 7]))
    ('np.arange(2, 100)', 'np.zeros((20, 3))', 'np.array([1, 7])')
    """
    for form in _FORMS:
        text = form(value)
        if text:
            return text
    return None


def carried(value: Any, width: int = 100) -> str:
    """The array as a call of the helper `_array`, in lines of a width."""
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    text = base64.b64encode(little.tobytes()).decode()
    lines = [text[k : k + width] for k in range(0, len(text), width)]
    joined = "\n".join(["", *lines, ""])
    return f'_array("""{joined}""", {little.dtype.str!r}, {value.shape})'


def _dtype(value: Any) -> str:
    """The dtype as a further argument, where it is not that of numbers in Python."""
    kind = value.dtype.kind
    return "" if value.dtype == np.float64 else f", np.{'bool_' if kind == 'b' else value.dtype.name}"


def _same(value: Any) -> str:
    """One number all over."""
    flat = value.reshape(-1)
    first = flat[:1].tobytes()
    if flat.tobytes() != first * flat.size:
        return ""
    one = flat[0] if flat.size else value.dtype.type(0)
    plain = value.dtype.kind == "f" and not np.signbit(one)
    if plain and one in (0, 1):
        return f"np.{'zeros' if one == 0 else 'ones'}({_shape(value)}{_dtype(value)})"
    return f"np.full({_shape(value)}, {number(one, bare=True)}{_dtype(value)})"


def _shape(value: Any) -> str:
    return str(value.shape[0]) if value.ndim == 1 else str(value.shape)


def _range(value: Any) -> str:
    """Whole numbers in steps that are the same."""
    if value.dtype != np.int64 or value.ndim != 1 or value.size < 4:
        return ""
    start, step = int(value[0]), int(value[1]) - int(value[0])
    if not step or not np.array_equal(value, start + step * np.arange(value.size)):
        return ""
    ends = f"{start}, " if start or step != 1 else ""
    return f"np.arange({ends}{start + step * value.size}{f', {step}' if step != 1 else ''})"


def _identity(value: Any) -> str:
    if value.dtype.kind != "f" or value.ndim != 2 or value.shape[0] != value.shape[1] or value.shape[0] < 2:
        return ""
    eye = np.eye(len(value), dtype=value.dtype)
    return f"np.eye({len(value)}{_dtype(value).replace(', ', ', dtype=')})" if eye.tobytes() == value.tobytes() else ""


def _listed(value: Any) -> str:
    """Every element."""
    if value.size > WRITTEN:
        return ""
    dtype = _dtype(value) if value.dtype.kind == "f" else ""
    return f"np.array({_nested(value)}{dtype})"


def _nested(value: Any) -> str:
    if not value.ndim:
        return number(value[()], bare=True)
    return f"[{', '.join(_nested(v) for v in value)}]"


_FORMS: Final[tuple[Callable[[Any], str], ...]] = (_same, _range, _identity, _listed)
