"""Tests that are true at single points only, such as "is x 0?", where a formula would be 0 / 0."""

from __future__ import annotations

from typing import Any, Final

_SMALL: Final = 1e-9


def single(sp: Any, test: Any) -> bool:
    """Is it an equation of a smooth expression and a number, which general arguments do not fulfil?

    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> tests = sympy.Eq(x**2, 1), sympy.Eq(sympy.floor(x), 1), sympy.Eq((x + 1) ** 2 - x**2 - 2 * x, 1), x > 1
    >>> [single(sympy, t) for t in tests]
    [True, False, False, False]
    """
    if not isinstance(test, sp.Eq) or not test.rhs.is_number:
        return False
    steps = (sp.floor, sp.ceiling, sp.sign, sp.Heaviside, sp.Piecewise, sp.Max, sp.Min, sp.Mod, sp.Abs)
    left = test.lhs.args[0] if isinstance(test.lhs, sp.Abs) else test.lhs
    if left.has(*steps, sp.core.function.AppliedUndef):
        return False
    # An expression that is the same everywhere would have been tested for nothing else.
    somewhere = {s: sp.Float(0.3717 + 0.2113 * k) for k, s in enumerate(sorted(left.free_symbols, key=str))}
    gap = (test.lhs - test.rhs).evalf(subs=somewhere)
    return bool(gap.is_number and abs(complex(gap)) > _SMALL)
