"""`check_grad`: a gradient against central finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import Argnums, positions
from tapegrad.drivers.gradient import value_and_grad
from tapegrad.errors import GradientCheckError, describe
from tapegrad.trees import flatten, names, unflatten

# Central differences err by about eps^(2/3); a float32 gradient by more.
_TOLERANCE: Final = {"d": 1e-5, "f": 2e-3}


def check_grad(
    f: Callable[..., Any],
    *args: Any,
    argnums: Argnums = 0,
    samples: int | None = None,
    seed: int = 0,
    rtol: float | None = None,
    atol: float | None = None,
) -> float:
    """Compare f's gradient with central finite differences of f itself, run by NumPy in float64.

    Args:
        f: a function, as for `value_and_grad`.
        *args: its arguments.
        argnums: which of them to check.
        samples: how many entries to check, drawn at random; None for all.
        seed: what they are drawn with.
        rtol: an entry agrees if |a - b| <= atol + rtol * max(|a|, |b|); by default 1e-5 (in float32 2e-3).
        atol: by default the same, times the largest entry of the gradient if that is over 1.

    Returns:
        The largest error found, relative to what was allowed (1 or less).

    Raises:
        GradientCheckError: an entry disagrees; the worst one is named.

    >>> import numpy as np, tapegrad as tg
    >>> tg.check_grad(lambda x: np.sum(np.exp(x)), np.linspace(-1.0, 1.0, 5)) < 1
    True
    """
    wanted = tuple(sorted(positions(argnums, len(args))))
    _, gradients = value_and_grad(f, wanted)(*args)
    parameters, structure = flatten(tuple(args[k] for k in wanted))
    labels = [label for k in wanted for label in names(flatten(args[k])[1], f"args[{k}]")]
    gradient = [np.asarray(g, np.float64).reshape(-1) for g in flatten(gradients)[0]]
    points = [np.array(p, np.float64) for p in parameters]
    tolerance = max((_TOLERANCE[np.asarray(p).dtype.char] for p in parameters), default=0.0)
    largest = max((float(np.abs(g[np.isfinite(g)]).max(initial=0.0)) for g in gradient), default=0.0)
    rtol = tolerance if rtol is None else rtol
    atol = tolerance * max(1.0, largest) if atol is None else atol

    def value(k: int, place: int, at: float) -> float:
        flat = points[k].reshape(-1)
        kept, flat[place] = flat[place], at
        try:
            filled = list(args)
            for place_of, tree in zip(
                wanted, unflatten(structure, [_as(p, q) for p, q in zip(points, parameters, strict=True)]), strict=True
            ):
                filled[place_of] = tree
            return float(f(*filled))
        finally:
            flat[place] = kept

    worst, message = 0.0, ""
    for k, place in _entries(gradient, samples, seed):
        x = points[k].reshape(-1)[place]
        step = np.cbrt(np.finfo(np.float64).eps) * max(1.0, abs(x))
        above, below = x + step, x - step
        found, difference = gradient[k][place], (value(k, place, above) - value(k, place, below)) / (above - below)
        error = abs(found - difference) / (atol + rtol * max(abs(found), abs(difference)))
        if not error <= worst:  # nan is worst
            index = [int(i) for i in np.unravel_index(place, points[k].shape)]
            worst, message = float(error), f"{labels[k]}{index or ''}: gradient {found}, finite difference {difference}"
        if np.isnan(worst):
            break
    if not worst <= 1:
        raise GradientCheckError(
            describe("check_grad", found=message, wanted=f"agreement to rtol={rtol:g}, atol={atol:g}")
        )
    return worst


def _as(point: Any, original: Any) -> Any:
    return point if isinstance(original, np.ndarray) else float(point)


def _entries(gradient: list[Any], samples: int | None, seed: int) -> list[tuple[int, int]]:
    """(leaf, place) of the entries to check."""
    sizes = [g.size for g in gradient]
    total = sum(sizes)
    chosen = range(total)
    if samples is not None and samples < total:
        chosen = np.random.default_rng(seed).choice(total, samples, replace=False).tolist()
    ends = np.cumsum(sizes)
    leaves = np.searchsorted(ends, list(chosen), side="right")
    return [(int(k), int(c - (ends[k] - sizes[k]))) for k, c in zip(leaves, chosen, strict=True)]
