"""Shorter forms of expressions: a few of SymPy's transformations, each where it cannot run away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

_SHORT: Final = 60  # operations up to which everything is tried
_LONG: Final = 600  # operations beyond which nothing is but extremes
_LONGEST: Final = 5000  # operations beyond which these are not, either
_POWER: Final = 6  # exponents of sums that may be multiplied out
_CHOICES: Final = 12  # extremes and steps of which it is asked whether they matter


def shorten(sp: Any, expression: Any) -> Any:
    """The shortest of what a few transformations give; of two equally long ones the first.

    Up to 600 operations common factors and powers, and extremes that cancel, such as the one taken off in a softmax; up
    to 60 fractions, factors, logarithms and identities of sines and cosines; and SymPy's `simplify` where there are no
    functions but exponentials and logarithms. With others it may take minutes.
    """
    if not 1 < expression.count_ops() <= _LONGEST:
        return expression
    # Floating numbers stand aside: with them, polynomials are inexact.
    numbers = {f: sp.Dummy(real=True) for f in sorted(expression.atoms(sp.Float), key=str)}
    back = {d: f for f, d in numbers.items()}
    plain = _without_idle(sp, expression.xreplace(numbers))
    if plain.count_ops() > _LONG:
        return plain.xreplace(back)
    found = [plain, *(way(plain) for way in _ways(sp, plain))]
    return min((e.xreplace(back) for e in found), key=lambda e: (e.count_ops(), len(str(e))))


def _ways(sp: Any, expression: Any) -> list[Callable[[Any], Any]]:
    """What is tried."""
    count = expression.count_ops()
    angles = expression.has(sp.functions.elementary.trigonometric.TrigonometricFunction)
    elementary = all(isinstance(f, (sp.exp, sp.log)) for f in expression.atoms(sp.Function))
    cases = expression.has(sp.Piecewise, sp.Heaviside, sp.Max, sp.Min)
    powers = all(abs(p.exp) <= _POWER for p in expression.atoms(sp.Pow) if p.exp.is_Integer and p.base.is_Add)
    ways = [sp.factor_terms, sp.powsimp]
    if count <= _SHORT:
        ways += [sp.together, sp.logcombine] if not expression.has(sp.Piecewise) else [sp.piecewise_fold]
        ways += [sp.cancel, sp.factor] if powers and not cases else []
        ways += [sp.fu] if angles and not cases else []
        ways += [sp.simplify] if powers and elementary else []
    return [_careful(sp, way) for way in ways]


def _careful(sp: Any, way: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A transformation that leaves alone what SymPy cannot transform."""

    def tried(expression: Any) -> Any:
        try:
            return way(expression)
        except (NotImplementedError, TypeError, ValueError, AttributeError, sp.PolynomialError, RecursionError):
            return expression

    return tried


def _without_idle(sp: Any, expression: Any) -> Any:
    """The expression without extremes and steps that it does not depend on: log(exp(x - m) + exp(y - m)) + m.

    Something else stands for each; if the derivative to that is 0, whatever stands there will do.
    """
    atoms = sorted(expression.atoms(sp.Heaviside, sp.Max, sp.Min), key=str)
    if not 0 < len(atoms) <= _CHOICES:
        return expression
    others = {atom: sp.Dummy(real=True) for atom in atoms}
    general = expression.xreplace(others)
    for other in others.values():
        slope = sp.diff(general, other)
        if slope.has(sp.Piecewise) or slope.count_ops() > _LONG:
            continue
        if slope == 0 or _careful(sp, lambda e: sp.cancel(sp.powsimp(e)))(slope) == 0:
            general = general.xreplace({other: sp.Integer(0)})
    return general.xreplace({other: atom for atom, other in others.items()})
