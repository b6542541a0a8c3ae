"""`elementwise`: a scalar function, compiled, as an op that runs inside the sweep."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from tapegrad.custom.replay import partial_tape, replay
from tapegrad.errors import CapturedArrayError, UnsupportedError, describe
from tapegrad.ops.builder import Builder
from tapegrad.ops.row import FLOAT
from tapegrad.record.captured import Captured
from tapegrad.record.functions.common import lift, recorder_of
from tapegrad.record.surroundings import Surroundings
from tapegrad.record.variable import Variable

_MOST: Final = 3  # operands that a record of the array machine has addresses for
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")  # numba's messages have them where colorama is installed


class Elementwise:
    """A scalar function as a function of arrays, with a derivative: what `tapegrad.elementwise` returns."""

    WATCHED: Final = ("function", "partials")  # recordings hang on what these read

    def __init__(self, function: Callable[..., float], partials: Sequence[Callable[..., float] | None]) -> None:
        self.function = function
        self.name = self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = function.__doc__
        self.count = _parameters(function, self.name)
        if partials and len(partials) != self.count:
            found, wanted = f"{len(partials)} partials of {self.name}", f"one for each of its {self.count} numbers"
            raise UnsupportedError(describe("elementwise", found=found, wanted=wanted))
        self.partials = tuple(p if p is None or isinstance(p, Elementwise) else Elementwise(p, ()) for p in partials)
        self._compiled: Compiled | None = None

    def compiled(self) -> Compiled:
        """The function as it is now: numba takes what it reads from outside for constants."""
        if self._compiled is None or not self._compiled.holds():
            self._compiled = Compiled(self)
        return self._compiled

    def __call__(self, *operands: Any) -> Any:
        """The function of broadcast arrays; of Variables it records."""
        if len(operands) != self.count:
            raise TypeError(f"{self.name}() takes {self.count} arguments, not {len(operands)}")
        compiled = self.compiled()  # an error of the compiler's is best told now
        if not any(isinstance(v, Variable) for v in operands):
            return compiled.ufunc(*operands)
        recorder = recorder_of(*operands)
        captured = recorder.constants.captured
        captured += [c for c in compiled.captured if not any(c is known for known in captured)]
        values = [recorder.cast(lift(recorder, v, FLOAT), FLOAT) for v in operands]
        return recorder.apply("custom", (compiled,), *values)

    def __repr__(self) -> str:
        return f"<tapegrad.elementwise {self.name}>"


class Compiled:
    """An elementwise function, compiled: what the instructions of a tape refer to.

    Attributes:
        name, count: of the function, and how many operands it takes.
        ufunc: a NumPy ufunc, with loops for float64 and float32.
        captured: the arrays that the compiler has taken for constants.
    """

    def __init__(self, owner: Elementwise) -> None:
        self.name, self.count, self._owner = owner.name, owner.count, owner
        self._surroundings = Surroundings.of(owner.function)
        self.captured = [Captured.of(a, _definition(owner.function)) for a in self._surroundings.arrays()]
        self.ufunc = _compile(owner.function, owner.name, owner.count)

    def holds(self) -> bool:
        """Is all that the function reads as it was when it was compiled?"""
        try:
            for each in self.captured:
                each.check()
        except CapturedArrayError:
            return False
        return self._surroundings.hold()

    def evaluate(self, *operands: Any) -> Any:
        """The value, as the sweep computes it."""
        return self.ufunc(*operands)

    def _contribution(self, b: Builder, k: int) -> int:
        """The seed times partial k."""
        owner = self._owner
        given = owner.partials[k] if owner.partials else None
        if given is not None:
            partial = b.apply("custom", (given.compiled(),), *b.operands)
        else:
            tape = partial_tape(owner.function, self.count, k)
            if tape is None:
                found = f"no partial of {self.name} to its argument {k}, and code that cannot be recorded to find it"
                wanted = "partials=[...], or a function of NumPy functions without branches on values"
                raise UnsupportedError(describe("elementwise", found=found, wanted=wanted, line=b.line))
            partial = replay(b, tape, list(b.operands))
        return b.apply("masked_multiply" if b.masked else "multiply", (), b.seed, partial)

    def adjoint(self, b: Builder, k: int) -> int:
        """What operand k's adjoint receives."""
        return b.sum_to(self._contribution(b, k), b.result_type.shape, b.types[k].shape)

    def tangent(self, b: Builder, k: int) -> int:
        """What the result's tangent receives from operand k's."""
        return self._contribution(b, k)


def _parameters(function: Any, name: str) -> int:
    """How many numbers a function takes, which must be one that numba can compile."""
    if not inspect.isfunction(getattr(function, "py_func", function)):  # `py_func`: compiled by numba.njit before
        found, wanted = f"a {type(function).__name__}", "a function written in Python: lambda x: math.sin(x)"
        raise UnsupportedError(describe("elementwise", found=found, wanted=wanted))
    count = len(inspect.signature(function).parameters)
    if not 1 <= count <= _MOST:
        found, wanted = f"{name}, a function of {count} numbers", f"one of 1 to {_MOST}"
        raise UnsupportedError(describe("elementwise", found=found, wanted=wanted))
    return count


def _definition(function: Any) -> str:
    code = getattr(function, "py_func", function).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _compile(function: Any, name: str, count: int) -> Any:
    """The function as a ufunc."""
    import numba

    signatures = [t(*[t] * count) for t in (numba.float32, numba.float64)]
    try:
        compiled: Any = numba.vectorize(signatures, nopython=True)  # type: ignore[no-untyped-call]
        return compiled(function).ufunc
    except numba.core.errors.NumbaError as error:
        plain = _COLOURS.sub("", str(error))
        text = [line.strip() for line in plain.splitlines() if line.strip()]
        found = f"{name}, where it says: {next((t for t in text if not t.startswith('Failed in')), text[0])}"
        wanted = "a function of numbers that numba compiles"
        raise UnsupportedError(
            describe("elementwise", found=found, wanted=wanted, line=_definition(function))
        ) from error


def elementwise(function: Callable[..., float] | None = None, *, partials: Sequence[Any] = ()) -> Any:
    """A scalar function as an op: compiled by numba, it runs inside the sweep, in tiles, at full speed.

    Args:
        function: of one to three floats; it returns a float. numba must be able to compile it: branches, loops and
            `math` are fine.
        partials: its partial derivatives, one function of the same arguments for each argument, or None for one that
            has to be found. A partial may be an `elementwise` itself, with partials of its own, for second
            derivatives. Without partials, they are found by recording the function, if it is made of NumPy functions
            alone.

    Returns:
        A function of broadcast arrays. It can be used as a decorator: `@elementwise(partials=[...])`.

    Raises:
        UnsupportedError: a function that numba cannot compile, or a derivative for which there is no partial.

    `tapegrad.check_grad` finds wrong partials.

    >>> import math
    >>> import numpy as np, tapegrad as tg
    >>> def slope(x):
    ...     return 1.0 / (1.0 + math.exp(-x))
    >>> @tg.elementwise(partials=[slope])
    ... def softplus(x):
    ...     return math.log1p(math.exp(x)) if x < 30.0 else x
    >>> tg.grad(lambda x: np.sum(softplus(x)))(np.array([0.0, 100.0]))
    array([0.5, 1. ])
    """
    if function is None:
        return lambda f: Elementwise(f, partials)
    return Elementwise(function, partials)
