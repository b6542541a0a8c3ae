"""The kinds of values on a tape - booleans, integers, floats - and which dtypes become which."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.errors import ComplexError, DtypeError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT

# Which of two kinds a result has: the higher.
RANK: Final = {BOOL: 0, INT: 1, FLOAT: 2}
# The op that makes a kind of another.
CAST: Final = {FLOAT: "to_float", INT: "to_int", BOOL: "to_bool"}


def kind_of(dtype: np.dtype[Any], operation: str, line: str = "") -> str:
    """The kind that values of a dtype have on a tape; `DtypeError` for those that have none."""
    if dtype.kind == "f" and dtype.itemsize <= 8:
        return FLOAT
    if dtype.kind in "iu":
        return INT
    if dtype.kind == "b":
        return BOOL
    hint = {"c": "; complex arrays are not supported yet", "O": "; is it a list of unequal lengths, or of Variables?"}
    error = ComplexError if dtype.kind == "c" else DtypeError
    raise error(
        describe(
            operation,
            found=f"an array of dtype {dtype}",
            wanted="floats, integers or booleans" + hint.get(dtype.kind, ""),
            line=line,
        )
    )
