"""Refusing what cannot be recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tapegrad.errors import UnsupportedError, describe

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder


def unsupported(operation: str, found: str, wanted: str, recorder: Recorder | None = None) -> UnsupportedError:
    """The error for a function, or a way to call one, that there is no rule for."""
    line = recorder.line() if recorder is not None else ""
    return UnsupportedError(describe(operation, found=found, wanted=wanted, line=line))


def require_plain(array: Any, operation: str, line: str = "") -> None:
    """Refuse subclasses of ndarray that compute otherwise: matrices, masked arrays, arrays with units."""
    if isinstance(array, np.ndarray) and type(array) not in (np.ndarray, np.memmap):
        found = f"a {type(array).__module__}.{type(array).__name__}"
        wanted = "a plain array: numpy.asarray(x), or for a masked array .filled() and the mask by itself"
        raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=line))
    if type(array).__module__.startswith("scipy.sparse"):
        wanted = "a matrix product, A @ x, which is all that sparse matrices can do here; or A.toarray()"
        raise UnsupportedError(describe(operation, found=f"a sparse {type(array).__name__}", wanted=wanted, line=line))
