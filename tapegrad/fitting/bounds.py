"""Bounds of nested parameters: SciPy's forms, and containers of the parameters' own structure."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapegrad.drivers.arguments import user_line
from tapegrad.errors import SettingError, ShapeError, describe
from tapegrad.fitting.start import Start
from tapegrad.trees import Structure

_NESTED = "a container of the parameters' structure that holds (low, high) or None for each array"


@dataclass(frozen=True, slots=True, eq=False)
class Box:
    """The least and the greatest value of each entry of the vector of parameters.

    `keep`: entries that must lie within also on the way, as `scipy.optimize.Bounds.keep_feasible`.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    keep: NDArray[np.bool_]

    @property
    def bounded(self) -> bool:
        """Is there any bound?"""
        return bool(np.isfinite(self.low).any() or np.isfinite(self.high).any())

    def checked(self, start: Start) -> Box:
        """Itself; `SettingError` where no value is between two bounds."""
        bad = np.flatnonzero(~(self.low <= self.high))
        if bad.size:
            k = bad[0]
            found = f"{start.entry(k)} between {self.low[k]} and {self.high[k]}"
            wanted = "a lower bound that is not above the upper one"
            raise SettingError(describe(start.operation, found=found, wanted=wanted, line=user_line()))
        return self


def box_of_pairs(bounds: Any, start: Start) -> Box:
    """Bounds in the forms of `scipy.optimize.minimize`, or nested.

    Args:
        bounds: `scipy.optimize.Bounds` of the vector; a container of the parameters' structure whose leaves are
            (low, high), `Bounds` or None; a (low, high) for each entry of the vector; for one array also a single
            (low, high) of numbers.
        start: the parameters.
    """
    if _is_bounds(bounds):
        return _of_vector(bounds, start).checked(start)
    flat = start.flat
    nested = matched(flat.structure, bounds)
    if nested is not None and (flat.structure is not None or _is_pair_of_numbers(bounds)):
        return _of_leaves(nested, start).checked(start)
    each = _each(bounds, start)
    if each is None:
        wanted = f"scipy.optimize.Bounds, a sequence of {flat.size} pairs (low, high), or {_NESTED}"
        raise _wrong(bounds, wanted, start)
    return _joined([_of_leaf(x, (), start.entry(k), start) for k, x in enumerate(each)]).checked(start)


def box_of_limits(bounds: Any, start: Start) -> Box:
    """Bounds in the forms of `scipy.optimize.least_squares`, or nested.

    Args:
        bounds: `scipy.optimize.Bounds` of the vector; (low, high), each of them a number, a vector of all entries or
            a container of the parameters' structure; a container of the parameters' structure whose leaves are
            (low, high), `Bounds` or None.
        start: the parameters.
    """
    if _is_bounds(bounds):
        return _of_vector(bounds, start).checked(start)
    limits = _limits(bounds, start)
    nested = matched(start.flat.structure, bounds) if start.flat.structure is not None else None
    if nested is not None and not all(_is_leaf(x) for x in nested):
        nested = None
    if limits is not None and nested is not None:
        found, wanted = (
            "bounds that may be (low, high) or a pair for each parameter",
            "scipy.optimize.Bounds(low, high)",
        )
        raise ShapeError(describe(start.operation, found=found, wanted=wanted, line=user_line()))
    if limits is not None:
        return limits.checked(start)
    if nested is None:
        raise _wrong(bounds, f"(low, high), scipy.optimize.Bounds, or {_NESTED}", start)
    return _of_leaves(nested, start).checked(start)


def matched(structure: Structure | None, tree: Any) -> list[Any] | None:
    """What a container holds in place of each leaf of a structure; None if it is another structure.

    Dicts may have their keys in another order, and stand for dataclasses; None stands for all leaves within.

    >>> from tapegrad.trees import flatten
    >>> matched(flatten({"a": 1.0, "b": [2.0, 3.0]})[1], {"b": None, "a": (0, 1)})
    [(0, 1), None, None]
    """
    if structure is None:
        return [tree]
    if tree is None:
        return [None] * structure.size
    parts = _parts(structure, tree)
    if parts is None or len(parts) != len(structure.children):
        return None
    found: list[Any] = []
    for child, part in zip(structure.children, parts, strict=True):
        inner = matched(child, part)
        if inner is None:
            return None
        found += inner
    return found


def _parts(structure: Structure, tree: Any) -> list[Any] | None:
    """The children of a container in a structure's order."""
    form, names = structure.form, structure.names
    if issubclass(form, (list, tuple)):
        if isinstance(tree, (list, tuple)):
            return list(tree)
        names = getattr(form, "_fields", ())
    if isinstance(tree, dict) and names:
        return [tree[n] for n in names] if set(tree) == set(names) else None
    if dataclasses.is_dataclass(tree) and type(tree) is form:
        return [getattr(tree, n) for n in names]
    return None


def _is_bounds(x: Any) -> bool:
    from scipy.optimize import Bounds

    return isinstance(x, Bounds)


def _is_pair(x: Any) -> bool:
    return isinstance(x, (tuple, list, np.ndarray)) and len(x) == 2


def _is_pair_of_numbers(x: Any) -> bool:
    return _is_pair(x) and all(y is None or np.ndim(y) == 0 for y in x)


def _is_leaf(x: Any) -> bool:
    return x is None or _is_bounds(x) or _is_pair(x)


def _each(bounds: Any, start: Start) -> list[Any] | None:
    """A pair for each entry of the vector."""
    if not isinstance(bounds, (Sequence, np.ndarray)) or len(bounds) != start.flat.size:
        return None
    return list(bounds) if all(x is None or _is_pair_of_numbers(x) for x in bounds) else None


def _of_vector(bounds: Any, start: Start) -> Box:
    """`scipy.optimize.Bounds` of all entries."""
    size, shapes = start.flat.size, start.flat.shapes
    sides = []
    for side in (bounds.lb, bounds.ub, bounds.keep_feasible):
        array = np.asarray(side)
        if len(shapes) == 1 and array.shape == shapes[0]:
            array = array.reshape(-1)
        if array.shape not in ((), (1,), (size,)):
            raise _wrong(f"Bounds of shape {array.shape}", f"Bounds of {size} entries", start)
        sides.append(np.broadcast_to(array, (size,)))
    return Box(sides[0].astype(float), sides[1].astype(float), sides[2].astype(bool))


def _of_leaf(spec: Any, shape: tuple[int, ...], name: str, start: Start) -> Box:
    """The bounds of one array, as vectors."""
    sides: list[Any]
    if spec is None:
        sides = [-np.inf, np.inf, False]
    elif _is_bounds(spec):
        sides = [x[0] if x.shape == (1,) else x for x in map(np.asarray, (spec.lb, spec.ub, spec.keep_feasible))]
    elif _is_pair(spec):
        low, high = spec
        sides = [-np.inf if low is None else low, np.inf if high is None else high, False]
    else:
        raise _wrong(f"{spec!r} for {name}", "(low, high), scipy.optimize.Bounds or None", start)
    try:
        low, high, keep = (np.broadcast_to(np.asarray(x, float), shape).reshape(-1) for x in sides)
    except (TypeError, ValueError):
        wanted = f"numbers or None, or arrays of {name}'s shape {shape}"
        raise _wrong(f"{spec!r} for {name}", wanted, start) from None
    return Box(low, high, keep.astype(bool))


def _of_leaves(specs: Sequence[Any], start: Start) -> Box:
    """The bounds of all arrays."""
    rows = zip(specs, start.flat.shapes, start.flat.names, strict=True)
    return _joined([_of_leaf(x, shape, name, start) for x, shape, name in rows])


def _joined(parts: Sequence[Box]) -> Box:
    low, high, keep = (np.concatenate([getattr(p, side) for p in parts]) for side in ("low", "high", "keep"))
    return Box(low, high, keep)


def _limits(bounds: Any, start: Start) -> Box | None:
    """(low, high) as vectors; None if it is no such pair."""
    if not _is_pair(bounds):
        return None
    sides = [vector_of(x, start) for x in bounds]
    if sides[0] is None or sides[1] is None:
        return None
    return Box(sides[0], sides[1], np.zeros(start.flat.size, bool))


def vector_of(given: Any, start: Start) -> NDArray[np.float64] | None:
    """A number for each entry: of a number, a vector, or a container of the parameters' structure; else None."""
    flat = start.flat
    nested = matched(flat.structure, given) if given is not None else None
    for parts, shapes in ((nested, flat.shapes), ([given], ((flat.size,),))):
        if parts is None or any(x is None for x in parts):  # NumPy would take None for nan
            continue
        try:
            found = [np.broadcast_to(np.asarray(x, float), shape) for x, shape in zip(parts, shapes, strict=True)]
        except (TypeError, ValueError):
            continue
        return np.concatenate([x.reshape(-1) for x in found])
    return None


def _wrong(found: Any, wanted: str, start: Start) -> ShapeError:
    text = found if isinstance(found, str) else f"bounds={found!r}"
    return ShapeError(describe(start.operation, found=text, wanted=wanted, line=user_line()))
