"""`symbolic`: a function and its gradient as formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.drivers.arguments import Argnums
from tapegrad.formulas.symbolic import Simplify, Symbolic, formulas, require_names, require_sympy
from tapegrad.recorded.record import record


def symbolic(
    f: Callable[..., Any],
    *example: Any,
    argnums: Argnums = 0,
    names: Sequence[str] | None = None,
    simplify: Simplify = True,
) -> Symbolic:
    """A scalar function and its gradient as expressions of SymPy's, which `pip install 'tapegrad[symbolic]'` installs.

    What is differentiated is the tape: its adjoint is run on symbols in place of numbers, and what comes out is made
    shorter. All floating arguments are symbols, real numbers: x[0], x[1] ... for an array x. Integers and booleans stay
    what they are in the example. Numbers of the function are exact where they are whole, fractions with small
    denominators, or one of a few like pi and log(2); others are floating. Functions that SymPy does not have are
    undefined functions of their name. The formulas are those for general arguments: they do not tell what happens at
    single points, where something is exactly a number (`np.where(x == 0, 1, np.sin(x) / x)`) or two things are equal.

    Args:
        f: a function written in NumPy that gives one number.
        example: arguments; shapes, integers and the way that branches go are taken from them.
        argnums: the arguments to differentiate by, as for `value_and_grad`.
        names: names for the arguments, if those of the function's parameters will not do.
        simplify: whether to look for shorter forms, by what takes a second or so for an expression; or a function that
            gives one, such as `sympy.simplify`.

    Raises:
        ShapeError: a result that is not one number; arguments of more than 64 numbers.
        UnsupportedError: a decomposition, a sort, a Fourier transform, a `primitive`: what has no formula; formulas of
            more than 20,000 terms.
        MissingExtraError: SymPy is not installed.

    >>> import numpy as np, tapegrad as tg
    >>> found = tg.symbolic(lambda x, y: np.sin(x) * y[0] / y[1], 1.0, np.ones(2), argnums=(0, 1))
    >>> print(found)
    f(x, y) = y[0]*sin(x)/y[1]
    df/dx = y[0]*cos(x)/y[1]
    df/dy[0] = sin(x)/y[1]
    df/dy[1] = -y[0]*sin(x)/y[1]**2
    >>> found.gradient[1]
    [sin(x)/y[1], -y[0]*sin(x)/y[1]**2]
    """
    require_sympy()
    tape = record(f, *example, argnums=argnums)
    both = tape.adjoint()
    given = both.interface.inputs(example, both.tape)
    name = getattr(f, "__name__", "f")
    chosen = require_names(names, len(example))
    return formulas(name if name.isidentifier() else "f", both.tape, both.interface, given, chosen, simplify)
