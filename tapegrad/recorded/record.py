"""`record`: the tape of a function, to look at and to run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Argnums, bind, positions
from tapegrad.drivers.gradient import value_and_grad
from tapegrad.drivers.interface import Interface
from tapegrad.drivers.recorded import VALUE, Recorded, trace
from tapegrad.passes.optimize import optimize
from tapegrad.recorded.fixed import FixedTape, with_adjoint
from tapegrad.recorded.tape_function import TapeFunction
from tapegrad.tape import Tape
from tapegrad.trees import unflatten


@final
class RecordedFunction(TapeFunction):
    """A function with its tape.

    `tape` are the arrays; `print` lists them; calling it runs the function for other arguments, and
    `value_and_grad` its derivative. A branch that goes another way is recorded anew, beside this tape.
    """

    def __init__(self, tape: Tape, interface: Interface, function: Callable[..., Any]) -> None:
        self.tape, self.interface, self.function = tape, interface, function
        self._recorded = Recorded(function, VALUE)
        self._gradient = value_and_grad(function, interface.argnums)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles record anew where they are called: compiled sweeps stay behind."""
        return RecordedFunction, (self.tape, self.interface, self.function)

    def __call__(self, *args: Any) -> Any:
        """The function's value, by the compiled sweep."""
        path, outputs = self._recorded.again(args)
        if path is not None:
            return path.value(outputs)
        arguments = bind(args, ())
        results, recording = self._recorded.run(arguments, search=outputs)
        self._recorded.remember(Path.of_value(arguments, recording))
        return unflatten(recording.result, [r[()] if r.ndim == 0 else r for r in results])

    def adjoint(self) -> FixedTape:
        """The tape of value and gradient. Arrays that the function captured are what they are now."""
        tape = replace(self.tape, constants=tuple(c.copy() for c in self.tape.constants))
        return with_adjoint(tape, self.interface)

    def value_and_grad(self, *args: Any) -> tuple[Any, Any]:
        """Value and gradient, as `tapegrad.value_and_grad` gives them."""
        return self._gradient(*args)


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
    made = trace(f, arguments, scalar=False, floating=False)
    return RecordedFunction(optimize(made.tape), Interface.of(f, arguments, argnums, made.structure), f)
