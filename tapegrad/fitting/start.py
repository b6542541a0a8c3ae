"""Where an optimiser of SciPy starts: nested parameters as a float64 vector, and the way back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import NonFiniteError, ShapeError, describe
from tapegrad.flat import Flat
from tapegrad.record.refusal import require_plain
from tapegrad.trees import flatten

ROOT: Final = "x0"
_FLOAT64: Final = np.dtype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Start:
    """The parameters at the start.

    Attributes:
        given: how the user's parameters lie in a vector, with their types and dtypes.
        flat: the same in float64, in which SciPy's methods work and the tape runs.
        vector: the parameters.
        operation: what is being done, for messages.
    """

    given: Flat
    flat: Flat
    vector: NDArray[np.float64]
    operation: str

    @classmethod
    def of(cls, x0: Any, operation: str) -> Start:
        """Parameters as they were given.

        Raises:
            DtypeError: a leaf that is no floating array and no float.
            ShapeError: no parameters.
            UnsupportedError: a subclass of ndarray that computes otherwise, a sparse matrix.
            NonFiniteError: a nan or an infinity.
        """
        line = user_line()
        for leaf in flatten(x0)[0]:
            require_plain(leaf, operation, line)
        given = Flat.of(x0, operation, ROOT, line)
        flat = replace(given, dtypes=(_FLOAT64,) * len(given.shapes), dtype=_FLOAT64)
        if not flat.size:
            found = f"{ROOT} without any entry"
            raise ShapeError(describe(operation, found=found, wanted="parameters", line=line))
        start = cls(given, flat, flat.vector(x0, operation, line), operation)
        bad = np.flatnonzero(~np.isfinite(start.vector))
        if bad.size:
            found = f"{start.entry(bad[0])} = {start.vector[bad[0]]}"
            raise NonFiniteError(describe(operation, found=found, wanted="a start of finite numbers", line=line))
        return start

    def entry(self, k: int) -> str:
        """What a message calls an entry of the vector: "x0['w'][1, 2]"."""
        spans = self.flat.spans
        leaf = next(i for i, (first, end) in enumerate(spans) if first <= k < end)
        shape = self.flat.shapes[leaf]
        place = np.unravel_index(int(k) - spans[leaf][0], shape) if shape else ()
        return self.flat.names[leaf] + (f"[{', '.join(str(int(i)) for i in place)}]" if shape else "")

    def restore(self, vector: Any) -> Any:
        """Such a vector in the user's structure, types and dtypes."""
        return self.given.restore(np.asarray(vector))
