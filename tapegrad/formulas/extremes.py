"""Which of several expressions is the largest, as steps: what the derivative of an extreme is made of."""

from __future__ import annotations

from typing import Any


def indicator(sp: Any, one: Any, extreme: Any) -> Any:
    """1 where an expression is larger (smaller) than all others of an extreme, else 0; None if it is none of them.

    >>> import sympy
    >>> x, y, z = sympy.symbols("x y z", real=True)
    >>> indicator(sympy, x, sympy.Max(x, y, z))
    Heaviside(x - Max(y, z))
    """
    kind = type(extreme)
    own = set(one.args) if isinstance(one, kind) else {one}
    others = [a for a in extreme.args if a not in own]
    if len(others) + len(own) != len(extreme.args) or not others:
        return None
    return sp.Heaviside(_step(one, kind(*others), kind is sp.Max))


def _step(one: Any, rest: Any, largest: bool) -> Any:
    """What is above 0 where an expression is the extreme."""
    return one - rest if largest else rest - one


def one_of_all(sp: Any, total: Any) -> Any:
    """The sum of the indicators of all expressions of an extreme is 1, but where some are equal.

    >>> import sympy
    >>> three = sympy.symbols("x y z", real=True)
    >>> one_of_all(sympy, sum(indicator(sympy, v, sympy.Max(*three)) for v in three))
    1
    """
    if not getattr(total, "is_Add", False) or not all(isinstance(a, sp.Heaviside) for a in total.args):
        return total
    steps = {h.args[0] for h in total.args}
    if len(steps) == 2 and sp.expand(sum(steps)) == 0:
        return sp.Integer(1)
    for kind in (sp.Max, sp.Min):
        known = _expressions(sp, next(iter(steps)), kind)
        if known and steps == {_step(e, kind(*(known - {e})), kind is sp.Max) for e in known}:
            return sp.Integer(1)
    return total


def _expressions(sp: Any, step: Any, kind: Any) -> set[Any]:
    """The expressions of the extreme that a step is of: x - Max(y, z), Min(y, z) - x."""
    sign = -1 if kind is sp.Max else 1
    rest = next((sign * term for term in sp.Add.make_args(step) if isinstance(sign * term, kind)), None)
    return set() if rest is None else {step + rest if kind is sp.Max else rest - step, *rest.args}
