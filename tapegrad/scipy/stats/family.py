"""What a row of the tables of distributions is: the formulas of one family, for a location of 0 and a scale of 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Formula: TypeAlias = Callable[..., Any]
# Conditions and ends of the support are Python's numbers and booleans where they are known.


@dataclass(frozen=True, slots=True)
class Family:
    """One family of distributions. Formulas take the point, then the shape parameters; None: there is none.

    Attributes:
        name: SciPy's.
        doc: its density.
        log: logarithm of the density, or of the probability of an integer, inside the support.
        shapes: names of the shape parameters, in SciPy's order.
        valid: what must hold for the shape parameters, which it takes; all else is nan.
        lower: where the support begins, a number or a function of the shape parameters.
        upper: where it ends.
        open: is the lower end outside the support?
        discrete: are these probabilities of integers? They have no scale.
        cdf, sf: the distribution function and 1 less it.
        logcdf, logsf: their logarithms, where there is more to them than `log`.
        ppf, isf: inverses of `cdf` and `sf`.
    """

    name: str
    doc: str
    log: Formula
    shapes: tuple[str, ...] = ()
    valid: Formula | None = None
    lower: float = -math.inf
    upper: float | Formula = math.inf
    open: bool = False
    discrete: bool = False
    cdf: Formula | None = None
    sf: Formula | None = None
    logcdf: Formula | None = None
    logsf: Formula | None = None
    ppf: Formula | None = None
    isf: Formula | None = None

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return (*self.shapes, "loc") if self.discrete else (*self.shapes, "loc", "scale")

    def formula(self, name: str) -> Formula | None:
        """A formula for a method, by its name, or by those of others."""
        known: Formula | None = getattr(self, name)
        if known is not None or self.cdf is None or self.sf is None:
            return known
        below, above, inverse = self.cdf, self.sf, self.ppf
        if name == "logcdf":
            return lambda *values: np.log(below(*values))
        if name == "logsf":
            return lambda *values: np.log(above(*values))
        return None if inverse is None else lambda q, *shapes: inverse(1.0 - q, *shapes)

    def outside(self, y: Any, shapes: tuple[Any, ...], *, closed: bool = True) -> tuple[Any, Any]:
        """Where a point is below and where it is above the support; if not `closed`, or at its upper end.

        Neither is where the point is nan.
        """
        upper = self.upper(*shapes) if callable(self.upper) else self.upper
        below = False if self.lower == -math.inf else y <= self.lower if self.open else y < self.lower
        above = False if isinstance(upper, float) and upper == math.inf else y > upper if closed else y >= upper
        return below, above


def all_of(*conditions: Any) -> Any:
    """Do all conditions hold? True where that is known."""
    result: Any = True
    for condition in conditions:
        if condition is not True and condition is not np.True_:
            result = condition if result is True else np.logical_and(result, condition)
    return result


def any_of(*conditions: Any) -> Any:
    """Does a condition hold? False where it is known that none does."""
    result: Any = False
    for condition in conditions:
        if condition is not False and condition is not np.False_:
            result = condition if result is False else np.logical_or(result, condition)
    return result


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """x where a condition holds, else y; that is not recorded where the condition is known and the other a number."""
    known = bool(condition) if isinstance(condition, (bool, np.bool_)) else None
    if known is not None and not isinstance(x if known else y, float):
        return x if known else y
    return np.where(condition, x, y)
