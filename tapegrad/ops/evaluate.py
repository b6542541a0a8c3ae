"""An instruction's value by the row's own function, in Python."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapegrad.errors import LinearAlgebraError, describe
from tapegrad.ops.custom import title
from tapegrad.ops.row import Attribute, Op


def evaluate(op: Op, attribute: Attribute, operands: Any, line: str) -> Any:
    """What the row's function gives for these arrays; warnings of NumPy's are left out.

    Raises:
        LinearAlgebraError: a matrix that NumPy finds singular, or not positive definite; it names the line.
    """
    try:
        with np.errstate(all="ignore"):
            return op.evaluate(attribute, *operands)
    except np.linalg.LinAlgError as error:
        wanted = "a matrix for which it is defined"
        raise LinearAlgebraError(describe(title(op, attribute), found=str(error), wanted=wanted, line=line)) from error
