"""A loss as a function of one flat vector of parameters: what is made small by fitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapegrad.derivative.touched import Gathered
from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.faults import require_finite
from tapegrad.drivers.kept import Recording
from tapegrad.drivers.recorded import GRADIENT, Recorded
from tapegrad.flat import Flat
from tapegrad.ops.table import flags
from tapegrad.passes.dead import mark


class Objective:
    """Value and gradient of a loss by a vector, in memory of the caller's.

    Args:
        loss: a function of parameters and data that returns a scalar.
        flat: how the parameters lie in a vector.
        touched_rows: whether gradients that come from gathers alone are left in parts (`tapegrad.derivative.touched`).
        limit: bytes that the workspace of a sweep may take (`tapegrad.drivers.limits`).

    >>> import numpy as np
    >>> flat = Flat.of({"a": 1.0, "b": np.zeros(2)})
    >>> objective = Objective(lambda p, x: p["a"] * x + np.sum(p["b"] ** 2), flat)
    >>> gradient = np.empty(3)
    >>> objective.value_and_grad(np.array([1.0, 2.0, 3.0]), gradient, (5.0,)), gradient
    (18.0, array([5., 4., 6.]))
    """

    def __init__(
        self, loss: Callable[..., Any], flat: Flat, *, touched_rows: bool = False, limit: int | None = None
    ) -> None:
        self.loss, self.flat = loss, flat
        self.recorded = Recorded(loss, GRADIENT, touched=touched_rows, limit=limit)
        self.gathered: tuple[Gathered | None, ...] = ()
        self.results: Sequence[Any] = ()
        # The views of the vectors that were seen last: an optimiser changes them in place.
        self._vector: Any = None
        self._params: Any = None
        self._gradient: Any = None
        self._into: dict[int, Any] = {}

    def value_and_grad(self, vector: NDArray[Any], gradient: NDArray[Any], data: tuple[Any, ...] = ()) -> float:
        """The loss; its gradient is written to `gradient`. Both vectors are contiguous and of the flat dtype.

        Of leaves that are in parts nothing is written; `gathered` tells then which they are, and
        `gathered[k].parts(objective.results)` has the parts.
        """
        if vector is not self._vector:
            self._vector, self._params = vector, self.flat.views(vector)
        if gradient is not self._gradient:
            self._gradient, self._into = gradient, dict(enumerate(self.flat.arrays(gradient), 1))
        args = (self._params, *data)
        path, found = self.recorded.again(args, self._into)
        recording, self.results = self._first(args, found) if path is None else (path.recording, found)
        self.gathered = recording.gathered if recording.parts else ()
        if path is None or path.restored:  # of new memory, or data of more digits than the parameters have
            self._keep()
        return float(self.results[0])

    def _first(self, args: tuple[Any, ...], search: Any) -> tuple[Recording, Sequence[Any]]:
        """For arguments of a new form."""
        arguments = bind(args, (0,))
        results, recording = self.recorded.run(arguments, search=search)
        self.recorded.remember(Path.of_gradient(arguments, recording, (0,)))
        return recording, results

    def _keep(self) -> None:
        for k, wanted in self._into.items():
            whole = not self.gathered or self.gathered[k - 1] is None
            if whole and self.results[k] is not wanted:
                wanted[...] = self.results[k]

    def ignored(self) -> list[str]:
        """The names of parameters on which the value does not depend, as it was recorded first."""
        recording = next(iter(self.recorded.recordings.values()))[0]
        tape = recording.tape
        live = np.zeros(len(tape), np.bool_)
        live[tape.dependents] = True
        mark(tape.opcodes, tape.starts, tape.operands, np.zeros_like(flags("effect")), live)
        return [name for name, used in zip(self.flat.names, live[tape.independents], strict=True) if not used]

    def require_finite(self, vector: NDArray[Any], data: tuple[Any, ...] = ()) -> None:
        """Raise `NonFiniteError` that names the instruction to blame, if the value or the gradient is not finite."""
        arguments = bind((self.flat.views(vector), *data), (0,))
        results, recording = self.recorded.run(arguments)
        labels = [*self.flat.names, *(_data(label) for label in arguments.labels()[len(self.flat.names) :])]
        require_finite(recording.full, arguments, results[: 1 + len(self.flat.names)], lambda k: labels[k])


def _data(label: str) -> str:
    """What the user calls an argument: "args[1]['x']" is data[0]['x']."""
    place, _, rest = label.removeprefix("args[").partition("]")
    return f"data[{int(place) - 1}]{rest}"
