"""Numbers and arrays in a few characters."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

_FEW: Final = 8  # entries that may be listed one by one


def figure(x: Any, digits: int = 6) -> str:
    """One number.

    >>> figure(0.1234567), figure(np.int64(3)), figure(1e300), figure(-0.0), figure(True)
    ('0.123457', '3', '1e+300', '-0', 'True')
    """
    x = np.asarray(x)
    return f"{x.item():.{digits}g}" if x.dtype.kind == "f" else str(x.item())


def summary(array: Any, width: int = 24) -> str:
    """An array in about `width` characters: its entries where they are few, or where they lie; nan and inf are counted.

    >>> summary(np.array([1.0, 2.5])), summary(np.full(100, 0.5)), summary(np.arange(100.0))
    ('[1, 2.5]', '0.5 everywhere', '0..99, mean 49.5')
    >>> summary(np.array([1.0, np.nan] * 50)), summary(np.arange(9) > 3)
    ('50 nan, else 1', '5 of 9 True')
    """
    array = np.asarray(array)
    if array.ndim == 0:
        return figure(array)
    if not array.size:
        return "empty"
    if array.size <= _FEW:
        for digits in (6, 4, 3):
            text = _listed(array.tolist(), digits)
            if len(text) <= width:
                return text
    return _range(array, width)


def _listed(entries: Any, digits: int) -> str:
    if isinstance(entries, list):
        return "[" + ", ".join(_listed(e, digits) for e in entries) + "]"
    return figure(entries, digits)


def _range(array: Any, width: int) -> str:
    """Least, largest and mean of an array, and how many entries are not finite."""
    if array.dtype.kind == "b":
        return f"{np.count_nonzero(array)} of {array.size} True"
    finite = array[np.isfinite(array)]
    counts = [(np.count_nonzero(np.isnan(array)), "nan"), (np.count_nonzero(np.isinf(array)), "inf")]
    odd = ", ".join(f"{count} {name}" for count, name in counts if count)
    if not finite.size:
        return f"{odd}, nothing else"
    low, high = finite.min() + 0, finite.max() + 0  # -0 is 0
    if low == high:
        return f"{odd}, else {figure(low)}" if odd else f"{figure(low)} everywhere"
    ends = [figure(low, 4), figure(high, 4)]
    text = f"about {ends[0]}" if ends[0] == ends[1] else "..".join(ends)
    if odd or ends[0] == ends[1]:
        return f"{odd}, else {text}" if odd else text
    with np.errstate(over="ignore"):
        longer = f"{text}, mean {figure(np.mean(finite), 3)}"
    return longer if len(longer) <= width else text
