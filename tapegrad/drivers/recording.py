"""`record`: the tape of a function, to look at and to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Argnums, bind, positions
from tapegrad.drivers.gradient import value_and_grad
from tapegrad.drivers.recorded import VALUE, Recorded, trace
from tapegrad.passes.optimize import optimize
from tapegrad.tape import Tape
from tapegrad.trees import unflatten


@dataclass(frozen=True, slots=True, eq=False)
class RecordedFunction:
    """A function with its tape.

    `tape` are the arrays; `print` lists them; calling it runs the function for other arguments, and
    `value_and_grad` its derivative. A branch that goes another way is recorded anew, beside this tape.
    """

    tape: Tape
    function: Callable[..., Any]
    argnums: Argnums
    _recorded: Recorded
    _gradient: Callable[..., tuple[Any, Any]]

    def __call__(self, *args: Any) -> Any:
        """The function's value, by the compiled sweep."""
        path, outputs = self._recorded.again(args)
        if path is not None:
            return path.value(outputs)
        arguments = bind(args, ())
        results, recording = self._recorded.run(arguments, search=outputs)
        self._recorded.remember(Path.of_value(arguments, recording))
        return unflatten(recording.result, [r[()] if r.ndim == 0 else r for r in results])

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """Value and gradient, as `tapegrad.value_and_grad` gives them."""
        return self._gradient(*args)

    def __len__(self) -> int:
        return len(self.tape)

    @property
    def nbytes(self) -> int:
        """Bytes that the tape's instructions take."""
        return self.tape.nbytes

    def __str__(self) -> str:
        return str(self.tape)


def record(f: Callable[..., Any], *args: Any, argnums: Argnums = 0) -> RecordedFunction:
    """Record a function for arguments like these.

    Args:
        f: a function written in NumPy.
        args: example arguments; shapes, dtypes and the way branches go are taken from them.
        argnums: the arguments that are independents, as for `value_and_grad`.

    Returns:
        The function with its tape: `len`, `print`, `.tape` (arrays), `(...)`, `.value_and_grad(...)`.

    Raises:
        ShapeError, DtypeError, UnsupportedError: as for `value_and_grad`.

    >>> import numpy as np, tapegrad as tg
    >>> tape = tg.record(lambda x: np.sum(x * x), np.ones(3))
    >>> len(tape), float(tape(np.array([1.0, 2.0, 3.0])))
    (3, 14.0)
    """
    arguments = bind(args, positions(argnums, len(args)) if args else ())
    tape = trace(f, arguments, scalar=False, floating=False).tape
    return RecordedFunction(optimize(tape), f, argnums, Recorded(f, VALUE), value_and_grad(f, argnums))
