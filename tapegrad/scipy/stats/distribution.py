"""Distributions: SciPy's for arrays, formulas of a `Family` where a Variable is among the arguments."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import find_variable, lift, recorder_of
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.scipy.stats.family import Family, all_of, any_of, chosen

# The values below and above the support.
_ENDS: Final = {
    "cdf": (0.0, 1.0),
    "sf": (1.0, 0.0),
    "logcdf": (-math.inf, 0.0),
    "logsf": (0.0, -math.inf),
}


class Delegate:
    """A distribution of `scipy.stats` by its name, which does all that is not asked for with a Variable."""

    def __init__(self, name: str, doc: str) -> None:
        self.name = name
        self.__doc__ = doc
        self.__module__ = "tapegrad.scipy.stats"  # where pickle looks for the name

    def __call__(self, *args: Any, **kwds: Any) -> Any:
        """The distribution with its parameters fixed ("frozen")."""
        if find_variable((*args, *kwds.values())) is None:
            return self._scipy(*args, **kwds)
        return Frozen(self, args, tuple(kwds.items()))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self._scipy, name)

        def call(*args: Any, **kwds: Any) -> Any:
            held = (*args, *kwds.values())
            return found(*args, **kwds) if find_variable(held) is None else self._refuse(name, recorder_of(held))

        return call if callable(found) else found

    def __repr__(self) -> str:
        return f"<scipy.stats.{self.name}, recording>"

    def __reduce__(self) -> str:
        return self.name

    @property
    def _scipy(self) -> Any:
        return getattr(importlib.import_module("scipy.stats"), self.name)

    def _refuse(self, method: str, recorder: Recorder) -> NoReturn:
        wanted = "a method with a closed form: see tapegrad.scipy.stats"
        raise unsupported(f"scipy.stats.{self.name}.{method}", "a Variable", wanted, recorder)


@dataclass(frozen=True, slots=True)
class Frozen:
    """A distribution and its parameters, of which one is a Variable."""

    distribution: Delegate
    args: tuple[Any, ...]
    kwds: tuple[tuple[str, Any], ...]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.distribution, name)
        return lambda *points: method(*points, *self.args, **dict(self.kwds))


class Distribution(Delegate):
    """A distribution of one variable by its family's formulas.

    Outside the support a density is 0, its logarithm -inf, with a derivative of 0. Parameters that a family does not
    allow give nan.
    """

    def __init__(self, family: Family) -> None:
        super().__init__(family.name, family.doc)
        self.family = family

    def cdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Probability of what is not above x."""
        return self._cumulative("cdf", x, args, kwds)

    def sf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Probability of what is above x."""
        return self._cumulative("sf", x, args, kwds)

    def logcdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Logarithm of `cdf`."""
        return self._cumulative("logcdf", x, args, kwds)

    def logsf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Logarithm of `sf`."""
        return self._cumulative("logsf", x, args, kwds)

    def _log(self, method: str, x: Any, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        """The logarithm of the density."""
        if find_variable((x, *args, *kwds.values())) is None:
            return getattr(self._scipy, method)(x, *args, **kwds)
        recorder, y, shapes, scale = self._standard(method, x, args, kwds)
        family = self.family
        with np.errstate(all="ignore"):
            value = family.log(y, *shapes)
            value = value if _is(scale, 1) else value - np.log(scale)
            between = np.abs(np.floor(y) - y) > 0 if family.discrete else False  # nan is not: it stays nan
            outside = any_of(*family.outside(y, shapes), between)
            if outside is False and family.valid is None:
                return recorder.lift(value)  # a scale that is not positive makes it nan by itself
            value = chosen(outside, -math.inf, value)
            return recorder.lift(chosen(self._valid(shapes, scale), value, math.nan))

    def _cumulative(self, method: str, x: Any, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        """The distribution function and its relatives; where it is not smooth its derivative is 0."""
        if find_variable((x, *args, *kwds.values())) is None:
            return getattr(self._scipy, method)(x, *args, **kwds)
        recorder, y, shapes, scale = self._standard(method, x, args, kwds)
        formula = self.family.formula(method)
        if formula is None:
            self._refuse(method, recorder)
        with np.errstate(all="ignore"):
            y = np.floor(y) if self.family.discrete else y
            below, above = self.family.outside(y, shapes, closed=not self.family.discrete)
            value = chosen(below, _ENDS[method][0], chosen(above, _ENDS[method][1], formula(y, *shapes)))
            return recorder.lift(chosen(self._valid(shapes, scale), value, math.nan))

    def _valid(self, shapes: tuple[Any, ...], scale: Any) -> Any:
        conditions = self.family.valid(*shapes) if self.family.valid else ()
        return all_of(*map(_known, (*conditions, scale > 0)))

    def _parameters(
        self, method: str, x: Any, args: tuple[Any, ...], kwds: dict[str, Any]
    ) -> tuple[Recorder, Any, tuple[Any, ...], Any, Any]:
        """The recorder, the point, the shape parameters, location and scale: floats and floating Variables."""
        recorder = recorder_of(x, *args, *kwds.values())
        point, *values = (_floating(recorder, v) for v in (x, *self._bind(method, args, kwds)))
        shapes = tuple(values[: len(self.family.shapes)])
        return recorder, point, shapes, values[len(shapes)], 1.0 if self.family.discrete else values[-1]

    def _standard(
        self, method: str, x: Any, args: tuple[Any, ...], kwds: dict[str, Any]
    ) -> tuple[Recorder, Any, tuple[Any, ...], Any]:
        """The recorder, the point for location 0 and scale 1, the shape parameters and the scale."""
        recorder, point, shapes, loc, scale = self._parameters(method, x, args, kwds)
        with np.errstate(all="ignore"):
            moved = point if _is(loc, 0) else point - loc
            return recorder, moved if _is(scale, 1) else np.divide(moved, scale), shapes, scale

    def _bind(self, method: str, args: tuple[Any, ...], kwds: dict[str, Any]) -> list[Any]:
        """The parameters in order; those that have a default, location and scale, need not be given."""
        names = self.family.parameters
        known = {"loc": 0.0, "scale": 1.0} | dict(zip(names, args, strict=False)) | kwds
        repeated = set(names[: len(args)]) & set(kwds)
        if len(args) > len(names) or repeated or set(kwds) - set(names) or set(names) - set(known):
            raise TypeError(f"{self.name}.{method}() takes the parameters {', '.join(names)}, each of them once")
        return [known[name] for name in names]


class Continuous(Distribution):
    """A distribution with a density."""

    def logpdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Logarithm of the density at x."""
        return self._log("logpdf", x, args, kwds)

    def pdf(self, x: Any, *args: Any, **kwds: Any) -> Any:
        """Density at x."""
        recorded = find_variable((x, *args, *kwds.values())) is not None
        return np.exp(self.logpdf(x, *args, **kwds)) if recorded else self._scipy.pdf(x, *args, **kwds)

    def ppf(self, q: Any, *args: Any, **kwds: Any) -> Any:
        """The inverse of `cdf`."""
        return self._inverse("ppf", q, args, kwds)

    def isf(self, q: Any, *args: Any, **kwds: Any) -> Any:
        """The inverse of `sf`."""
        return self._inverse("isf", q, args, kwds)

    def _inverse(self, method: str, q: Any, args: tuple[Any, ...], kwds: dict[str, Any]) -> Any:
        if find_variable((q, *args, *kwds.values())) is None:
            return getattr(self._scipy, method)(q, *args, **kwds)
        recorder, p, shapes, loc, scale = self._parameters(method, q, args, kwds)
        formula = self.family.formula(method)
        if formula is None:
            self._refuse(method, recorder)
        with np.errstate(all="ignore"):
            value = formula(p, *shapes) * scale + loc
            inside = all_of(self._valid(shapes, scale), _known(p >= 0), _known(p <= 1))
            return recorder.lift(chosen(inside, value, math.nan))


class Discrete(Distribution):
    """A distribution of integers. The derivative by a point is that of the formula for real numbers."""

    def logpmf(self, k: Any, *args: Any, **kwds: Any) -> Any:
        """Logarithm of the probability of k."""
        return self._log("logpmf", k, args, kwds)

    def pmf(self, k: Any, *args: Any, **kwds: Any) -> Any:
        """Probability of k."""
        recorded = find_variable((k, *args, *kwds.values())) is not None
        return np.exp(self.logpmf(k, *args, **kwds)) if recorded else self._scipy.pmf(k, *args, **kwds)


def _floating(recorder: Recorder, value: Any) -> Any:
    """Numbers as they are; all else as Variables, so that a change of an array from outside is noticed."""
    if isinstance(value, (int, float, np.floating, np.integer)):
        return float(value)
    return recorder.cast(lift(recorder, value), FLOAT)


def _is(value: Any, number: float) -> bool:
    return isinstance(value, float) and value == number


def _known(condition: Any) -> Any:
    """NumPy's booleans as Python's."""
    return bool(condition) if isinstance(condition, np.bool_) else condition
