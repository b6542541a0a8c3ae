"""Dense Jacobians and Hessians: all directions go through one sweep, as a further axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any, Final

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.batch import batched
from tapegrad.derivative.tangent import tangent
from tapegrad.drivers.arguments import Argnums, positions, user_line
from tapegrad.drivers.evaluated import evaluated
from tapegrad.drivers.gradient import described, grad
from tapegrad.drivers.inner import Inner, enter, recorder_in
from tapegrad.errors import DtypeError, SettingError, describe
from tapegrad.record.constants import fresh
from tapegrad.record.functions.common import reshaped, stretch, transposed
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape
from tapegrad.trees import unflatten

FORWARD: Final = "forward"
REVERSE: Final = "reverse"


def jacobian(f: Callable[..., Any], argnums: Argnums = 0, *, mode: str | None = None) -> Callable[..., Any]:
    """A function that returns f's Jacobian: all rows, or all columns, by one sweep.

    Args:
        f: a function that returns an array of shape s, or a nested container of arrays.
        argnums: the arguments to differentiate by, as for `value_and_grad`.
        mode: "forward" goes through the tangents of all entries of the arguments at once, "reverse" through the
            adjoints of all entries of the result; without one, whichever are fewer.

    Returns:
        A function of f's arguments that returns, for an argument of shape t, an array of shape (*s, *t); in the
        structure of the result, and within it in that of the argument (of a tuple for a sequence of argnums).

    Raises:
        SettingError: a mode that there is not; DtypeError, UnsupportedError: as for `value_and_grad`.

    Source: Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), sections 3.1 and 3.2, vector modes.

    >>> import numpy as np, tapegrad as tg
    >>> tg.jacobian(lambda x: np.array([1.0, 2.0]) * x[0] * x)(np.array([3.0, 1.0]))
    array([[6., 0.],
           [2., 6.]])
    """
    if mode not in (None, FORWARD, REVERSE):
        wanted = '"forward", "reverse" or None'
        raise SettingError(describe("jacobian", found=f"mode={mode!r}", wanted=wanted, line=user_line()))
    return evaluated(described(_matrix(f, argnums, mode, "jacobian"), f, "jacobian", "Jacobian"))


def hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns f's Hessian: the tangents of all entries of the gradient's sweep at once.

    Args:
        f: a function that returns a scalar.
        argnums: the arguments to differentiate by, as for `value_and_grad`.

    Returns:
        A function of f's arguments that returns, for an argument of shape t, an array of shape (*t, *t); for
        containers, that of the gradient, and within it for each of its arrays that of the argument.

    Raises:
        ShapeError: the result is not a scalar; DtypeError, UnsupportedError: as for `value_and_grad`.

    >>> import numpy as np, tapegrad as tg
    >>> tg.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 3.0]))
    array([[6., 2.],
           [2., 0.]])
    """
    return evaluated(described(_matrix(grad(f, argnums), argnums, FORWARD, "hessian"), f, "hessian", "Hessian"))


def _matrix(f: Callable[..., Any], argnums: Argnums, mode: str | None, name: str) -> Callable[..., Any]:
    """What records f and its Jacobian; `name` is that of the driver."""
    single = isinstance(argnums, (int, np.integer))

    def matrix(*args: Any, **keywords: Any) -> Any:
        places = positions(argnums, len(args))
        inner = enter_for(f, args, places, keywords, name)
        ins, outs = inner.shapes()
        way = mode or (FORWARD if _total(ins) <= _total(outs) else REVERSE)
        blocks = _by_tangents(inner, ins, outs) if way == FORWARD else _by_adjoints(inner, ins, outs)
        return _arranged(inner, blocks, places, single=single)

    return matrix


def enter_for(f: Callable[..., Any], args: Sequence[Any], places: Sequence[int], keywords: Any, name: str) -> Inner:
    """Record f in the recording that its arguments belong to."""
    recorder = recorder_in(*args)
    if recorder is None:
        found, wanted = "no floating array among the arguments", "floating parameters to differentiate by"
        raise DtypeError(describe(name, found=found, wanted=wanted, line=user_line()))
    return enter(recorder, f, args, places, keywords)


def _total(shapes: Sequence[tuple[int, ...]]) -> int:
    return sum(prod(s) for s in shapes)


def unit_seeds(recorder: Recorder, shapes: Sequence[tuple[int, ...]]) -> list[Variable]:
    """For each array, of every entry of all arrays in turn, the direction along it: shape (total, *shape)."""
    total, starts = _total(shapes), np.cumsum([0, *(prod(s) for s in shapes)])
    seeds = []
    for shape, (first, last) in zip(shapes, pairwise(starts.tolist()), strict=True):
        block = np.zeros((total, last - first))
        block[first:last] = np.eye(last - first)
        seeds.append(fresh(recorder, block.reshape(total, *shape), "f"))
    return seeds


def along_all(inner: Inner, seeds: Sequence[Variable], count: int) -> list[Variable]:
    """The results' tangents along `count` directions: (count, *shape) each."""
    grown = tangent(inner.tape)
    return _swept(inner, replace(grown, dependents=grown.dependents[len(inner.tape.dependents) :]), seeds, count)


def against_all(inner: Inner, seeds: Sequence[Variable], count: int) -> list[Variable]:
    """The independents' adjoints for `count` seeds: (count, *shape) each."""
    grown = adjoint(inner.tape, seed_inputs=True)
    return _swept(inner, replace(grown, dependents=grown.dependents[len(inner.tape.dependents) :]), seeds, count)


def _swept(inner: Inner, tape: Tape, seeds: Sequence[Variable], count: int) -> list[Variable]:
    """A derivative's tape at many seeds, its last inputs; what is the same for all is computed once."""
    flags = [k >= len(inner.inputs) for k in range(len(tape.inputs))]
    return inner.apply(batched(tape, flags, count), seeds)


def _by_tangents(inner: Inner, ins: Sequence[tuple[int, ...]], outs: Sequence[tuple[int, ...]]) -> list[list[Variable]]:
    """For each result, for each independent, the block of the Jacobian."""
    columns = along_all(inner, unit_seeds(inner.recorder, ins), _total(ins))
    starts = np.cumsum([0, *(prod(s) for s in ins)]).tolist()
    found = []
    for column, out in zip(columns, outs, strict=True):
        row = []
        for shape, first in zip(ins, starts, strict=False):
            part = stretch(column, 0, first, prod(shape))
            turned = transposed(part, (*range(1, part.ndim), 0))
            row.append(reshaped(turned, (*out, *shape)))
        found.append(row)
    return found


def _by_adjoints(inner: Inner, ins: Sequence[tuple[int, ...]], outs: Sequence[tuple[int, ...]]) -> list[list[Variable]]:
    rows = against_all(inner, unit_seeds(inner.recorder, outs), _total(outs))
    starts = np.cumsum([0, *(prod(s) for s in outs)]).tolist()
    return [
        [reshaped(stretch(row, 0, first, prod(out)), (*out, *shape)) for row, shape in zip(rows, ins, strict=True)]
        for out, first in zip(outs, starts, strict=False)
    ]


def _arranged(inner: Inner, blocks: Sequence[Sequence[Variable]], places: Sequence[int], *, single: bool) -> Any:
    """The blocks in the structure of the result, and within it of the arguments."""
    leaves = []
    for row in blocks:
        trees = dict(zip(sorted(places), inner.restore(row), strict=True))
        found = tuple(trees[k] for k in places)
        leaves.append(found[0] if single else found)
    return unflatten(inner.result, leaves)
