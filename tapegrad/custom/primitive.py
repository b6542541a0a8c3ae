"""`primitive`: any function of arrays, with rules for its derivative, as an instruction that the sweep calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from tapegrad.custom.called import JVP, VJP, Called, Each, Rule, contribution
from tapegrad.custom.replay import RuleRecorder, recorded, transposed
from tapegrad.errors import DtypeError, UnsupportedError, describe
from tapegrad.ops.builder import Builder
from tapegrad.ops.row import ArrayType
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape
from tapegrad.trees import flatten

_CALLS: Final = "tapegrad.primitive"


class Primitive:
    """A function with rules for its derivative: what `tapegrad.primitive` returns."""

    WATCHED: Final = ("function", "vjp", "jvp")  # recordings hang on what these read, and on their being the same

    def __init__(self, function: Callable[..., Any], vjp: Rule | None, jvp: Rule | None) -> None:
        self.function = function
        self.name = self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = function.__doc__
        self.vjp, self.jvp = vjp, jvp
        self._shapes: dict[tuple[ArrayType, ...], tuple[int, ...]] = {}

    def defvjp(self, rule: Rule) -> Rule:
        """Set the reverse rule, as a decorator: rule(g, result, *args) -> a derivative for each argument."""
        self.vjp = rule
        return rule

    def defjvp(self, rule: Rule) -> Rule:
        """Set the forward rule, as a decorator: rule(tangents, result, *args) -> the result's tangent."""
        self.jvp = rule
        return rule

    def __call__(self, *args: Any) -> Any:
        """The function; of Variables it records one instruction."""
        found = next((x for x in flatten(args)[0] if isinstance(x, Variable)), None)
        if found is None:
            return self.function(*args)
        recorder = found._recorder
        values = [self._operand(recorder, v, k) for k, v in enumerate(args)]
        types = tuple(recorder.types.items[v._type] for v in values)
        # A rule is recorded for examples, on which a solver may take for ever.
        shape = self._shapes.get(types) if isinstance(recorder, RuleRecorder) else None
        if shape is None:
            shape = self._shapes[types] = self._shape(recorder, values)
        return recorder.apply("primitive", (self, shape), *values)

    def _operand(self, recorder: Recorder, value: Any, k: int) -> Variable:
        if not isinstance(value, (Variable, np.ndarray, np.generic, bool, int, float)):
            found, wanted = f"argument {k} of {self.name}, of type {type(value).__name__}", "arrays and numbers"
            raise DtypeError(describe(_CALLS, found=found, wanted=wanted, line=recorder.line()))
        return recorder.lift(value)

    def _shape(self, recorder: Recorder, values: Sequence[Variable]) -> tuple[int, ...]:
        """The shape of the result, by a call."""
        result = self.function(*[np.array(recorder.values[v._slot]) for v in values])
        dtype = np.asarray(result).dtype
        if dtype.kind != "f" or isinstance(result, (tuple, list)):
            what = f"of dtype {dtype}" if isinstance(result, (np.ndarray, np.generic)) else type(result).__name__
            found = f"a result of {self.name}, {what}"
            raise DtypeError(describe(_CALLS, found=found, wanted="one floating array", line=recorder.line()))
        return np.shape(result)

    def evaluate(self, *operands: Any) -> Any:
        """The value."""
        return self.function(*operands)

    def tape(self, way: str, k: int, types: Sequence[ArrayType], result: ArrayType) -> Tape | None:
        """The rule as a tape: the user's own, or the transpose of the other; None where it cannot be recorded."""
        seeds = {VJP: result, JVP: types[k]}
        own, other = (self.vjp, self.jvp) if way == VJP else (self.jvp, self.vjp)
        if own is not None:
            return recorded(Called(self, way, k).evaluate, [seeds[way], result, *types], own)
        turned = JVP if way == VJP else VJP
        if other is None:
            return None
        tape = recorded(Called(self, turned, k).evaluate, [seeds[turned], result, *types], other)
        return None if tape is None else transposed(tape, seeds[way])

    def rule(self, way: str, k: int, line: str) -> Called:
        """The rule as a function that the sweep calls."""
        if (self.vjp if way == VJP else self.jvp) is None:
            kind = "reverse" if way == VJP else "forward"
            found, wanted = f"{self.name}, which has no rule for {kind} derivatives", f"one: @{self.name}.def{way}"
            raise UnsupportedError(describe(_CALLS, found=found, wanted=wanted, line=line))
        return Called(self, way, k, line)

    def adjoint(self, b: Builder, k: int) -> int | None:
        """What operand k's adjoint receives."""
        return contribution(self, b, VJP, k)

    def tangent(self, b: Builder, k: int) -> int | None:
        """What the result's tangent receives from operand k's."""
        return contribution(self, b, JVP, k)

    def each(self, batched: tuple[bool, ...], length: int) -> Each:
        """The function at many points."""
        return Each(self, batched, length)

    def __repr__(self) -> str:
        return f"<tapegrad.primitive {self.name}>"


def primitive(function: Callable[..., Any] | None = None, *, vjp: Rule | None = None, jvp: Rule | None = None) -> Any:
    """Any function of arrays, with rules for its derivative: an ODE solver, compiled code, a fixed point.

    Args:
        function: of arrays; it returns one floating array, which depends on its arguments alone, as its shape depends
            on their shapes alone.
        vjp: the rule for reverse derivatives: vjp(g, result, *args) returns a tuple with the derivative to each
            argument, g times the Jacobian, of the argument's shape; None for one without.
        jvp: the rule for forward derivatives: jvp(tangents, result, *args) returns the result's tangent, of its shape.

    Rules made of NumPy functions are recorded: they run in the sweep, and have derivatives themselves; where only one
    of the two is given, the other is its transpose. Other rules are called by the sweep, and so are those that read
    arrays which are not their arguments.

    Returns:
        The function, which records one instruction where it is given Variables. It has decorators `defvjp` and
        `defjvp` to set the rules.

    Raises:
        UnsupportedError: a derivative that there is no rule for; ShapeError: a rule that returns another shape.

    `tapegrad.check_grad` finds wrong rules.

    >>> import numpy as np, tapegrad as tg
    >>> @tg.primitive
    ... def cube_root(x):
    ...     return np.cbrt(x)
    >>> @cube_root.defvjp
    ... def _(g, y, x):
    ...     return (g / (3.0 * y * y),)
    >>> tg.grad(lambda x: np.sum(cube_root(x)))(np.array([1.0, 8.0])).round(4)
    array([0.3333, 0.0833])
    """
    if function is None:
        return lambda f: Primitive(f, vjp, jvp)
    return Primitive(function, vjp, jvp)
