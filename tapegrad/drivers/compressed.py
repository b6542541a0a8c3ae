"""Sparse Jacobians and Hessians: the pattern is read off the tape, coloured, and swept through compressed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Argnums, bind, positions
from tapegrad.drivers.gradient import described, grad
from tapegrad.drivers.inner import Inner
from tapegrad.drivers.jacobian import against_all, along_all, enter_for
from tapegrad.drivers.recorded import VALUE, Recorded
from tapegrad.errors import UnsupportedError
from tapegrad.record.constants import fresh
from tapegrad.record.functions.common import join, reshaped
from tapegrad.record.pins import pin
from tapegrad.record.variable import Variable
from tapegrad.sparse.cut import Cut, combined, cut_gathers
from tapegrad.sparse.pattern import read_pattern
from tapegrad.sparse.recovery import FORWARD, Recovery, plan_hessian, plan_jacobian, recover, renamed, seeds
from tapegrad.tape import Tape


def sparse_jacobian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns f's Jacobian as a sparse array, by a sweep through as many seeds as it takes.

    What may be nonzero is read off the tape, once; columns (or rows) that have no row (column) in common share a
    seed. Of a banded Jacobian as many seeds are needed as the band is wide, however large it is.

    Args:
        f: a function that returns an array, or a container of arrays.
        argnums: the arguments to differentiate by, as for `value_and_grad`.

    Returns:
        A function of f's arguments that returns a `scipy.sparse.csr_array` of shape (m, n): m are the entries of f's
        arrays one after another, in C order, n those of the arguments in the order of `argnums`. It holds all entries
        of the pattern, also those that happen to be zero.

    Raises:
        UnsupportedError: a pattern of too many entries: the Jacobian is dense. DtypeError, and as for `jacobian`.

    Source: Curtis, Powell & Reid, On the estimation of sparse Jacobian matrices, IMA J. Appl. Math. 13 (1974);
    Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), chapters 7 and 8.

    >>> import numpy as np, tapegrad as tg
    >>> tg.sparse_jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0])).toarray()
    array([[2., 1., 0.],
           [0., 3., 2.]])
    """
    return _sparse(f, argnums, "sparse_jacobian", _plan_jacobian)


def sparse_hessian(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns f's Hessian as a sparse array.

    Args:
        f: a function that returns a scalar.
        argnums: the arguments to differentiate by, as for `value_and_grad`.

    Returns:
        A function of f's arguments that returns a symmetric `scipy.sparse.csr_array` of shape (n, n): n are the
        entries of the arguments' arrays one after another, in C order, arguments in the order of `argnums`. Of a
        banded Hessian, or one with some dense rows, a few seeds are needed, however large it is.

    Raises:
        ShapeError: the result is not a scalar; else as for `sparse_jacobian`.

    Source: Gebremedhin, Manne & Pothen, What color is your Jacobian?, SIAM Review 47 (2005): star colouring.

    >>> import numpy as np, tapegrad as tg
    >>> tg.sparse_hessian(lambda x: np.sum(x[1:] * x[:-1] ** 2))(np.array([1.0, 2.0, 3.0])).toarray()
    array([[4., 2., 0.],
           [2., 6., 4.],
           [0., 4., 0.]])
    """
    return _sparse(grad(f, argnums), argnums, "sparse_hessian", _plan_hessian)


class _Plan:
    """A recovery on its way through what a recorded function returns: no container."""

    def __init__(self, recovery: Recovery) -> None:
        self.recovery = recovery


def _plan_hessian(inner: Inner) -> tuple[Inner, str, Recovery]:
    return inner, FORWARD, plan_hessian(_pattern(inner, inner.tape))


def _plan_jacobian(inner: Inner) -> tuple[Inner, str, Recovery]:
    """The whole function, or what it makes of the parameters that it gathers, whichever takes less."""
    cut = cut_gathers(inner.tape)
    found = None if cut is None else _plan_cut(inner, cut)
    return found or (inner, *plan_jacobian(_pattern(inner, inner.tape)))


def _plan_cut(inner: Inner, cut: Cut) -> tuple[Inner, str, Recovery] | None:
    """As `_plan_jacobian`, for a tape that can be cut; None if there is no way to."""
    moved = _pattern(inner, cut.gathered)
    if not (np.diff(moved.indptr) == 1).all():  # an index that is not known, or outside
        return None
    try:
        rest = _pattern(inner, cut.rest)
    except UnsupportedError:  # too dense by what was gathered, perhaps not by what it was gathered of
        return None
    starts = np.cumsum([0, *(v.size for v in inner.independents)])
    kept = [np.arange(starts[k], starts[k + 1]) for k in cut.kept]
    targets = np.concatenate([*kept, moved.indices])
    pattern, places = combined(rest, targets, int(starts[-1]))
    mode, recovery = plan_jacobian(pattern)
    other_mode, other = plan_jacobian(rest)
    if _cost(other_mode, other) >= _cost(mode, recovery):
        return inner, mode, recovery
    given = inner.apply(cut.gathered)
    parts = replace(
        inner,
        tape=cut.rest,
        inputs=[*inner.inputs, *given],
        independents=[*(inner.independents[k] for k in cut.kept), *given],
    )
    return parts, other_mode, renamed(other, pattern, places)


def _cost(mode: str, recovery: Recovery) -> int:
    """Sweeps, forward ones: a reverse one takes about twice as long."""
    return recovery.count * (1 if mode == FORWARD else 2)


def _pattern(inner: Inner, tape: Tape) -> Any:
    """The pattern of a tape whose first inputs are the function's; integers that it holds for are pinned."""
    values: list[Any] = [inner.recorder.values[v._slot] for v in inner.inputs]
    pattern = read_pattern(tape, values + [None] * (len(tape.inputs) - len(values)))
    for k in pattern.read:
        pin(inner.recorder, inner.inputs[k])
    return pattern.matrix


def _sparse(
    f: Callable[..., Any], argnums: Argnums, name: str, plan: Callable[[Inner], tuple[Inner, str, Recovery]]
) -> Callable[..., Any]:
    """The function of arguments that gives f's Jacobian; `plan` says what to sweep through, and how."""

    def products(*args: Any) -> tuple[Variable, _Plan]:
        keywords, places = args[-1], positions(argnums, len(args) - 1)
        inner = _ordered(enter_for(f, args[:-1], places, keywords, name), places)
        inner, mode, recovery = plan(inner)
        return _compressed(inner, mode, recovery), _Plan(recovery)

    recorded = Recorded(described(products, f, name, "Products"), VALUE, aux=True)

    def matrix(*args: Any, **keywords: Any) -> Any:
        given = (*args, keywords)
        path, outputs = recorded.again(given)
        if path is not None:
            recording = path.recording
        else:
            arguments = bind(given, ())
            outputs, recording = recorded.run(arguments, search=outputs)
            recorded.remember(Path.of_value(arguments, recording))
        assert recording.aux is not None
        made: _Plan = recording.aux.restore(())
        return recover(made.recovery, outputs[0])

    return described(matrix, f, name, "Sparse Jacobian" if name == "sparse_jacobian" else "Sparse Hessian")


def _ordered(inner: Inner, places: Sequence[int]) -> Inner:
    """What is differentiated by in the order of the columns, argument by argument as `argnums` has them."""
    ends = np.cumsum([0, *(1 if s is None else s.size for s in inner.structures)]).tolist()
    ranks = [sorted(places).index(place) for place in places]
    order = [k for rank in ranks for k in range(ends[rank], ends[rank + 1])]
    return replace(
        inner,
        tape=replace(inner.tape, independents=inner.tape.independents[order]),
        independents=[inner.independents[k] for k in order],
        structures=tuple(inner.structures[rank] for rank in ranks),
    )


def _compressed(inner: Inner, mode: str, recovery: Recovery) -> Variable:
    """The products with the seeds: one row a colour."""
    ins, outs = inner.shapes()
    own, sweep = (ins, along_all) if mode == FORWARD else (outs, against_all)
    given = seeds(recovery.colours, recovery.count, inner.tape.dtype)
    found = sweep(inner, _split(inner, given, own), recovery.count)
    return join(inner.recorder, [reshaped(v, (recovery.count, prod(v.shape[1:]))) for v in found], 1)


def _split(inner: Inner, given: Any, shapes: Sequence[tuple[int, ...]]) -> list[Variable]:
    """Seeds of all arrays, array by array."""
    ends = np.cumsum([0, *(prod(s) for s in shapes)]).tolist()
    return [
        fresh(inner.recorder, given[:, first:last].reshape(len(given), *shape), "f")
        for shape, (first, last) in zip(shapes, pairwise(ends), strict=True)
    ]
