"""`vjp`: seeds times the Jacobian, one reverse sweep for each seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import Arguments, bind, user_line
from tapegrad.drivers.gradient import restored
from tapegrad.drivers.inner import Inner, enter, outer_recorder, recorder_in
from tapegrad.drivers.kept import Recording
from tapegrad.drivers.recorded import PULLBACK, Recorded
from tapegrad.errors import DtypeError, LeakedVariableError, ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import lift
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.sweep.run import GuardFailure
from tapegrad.trees import Structure, flatten, unflatten


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback: seeds times the Jacobian.

    Args:
        f: a function that returns an array, or a nested container of arrays.
        *args: its arguments; all of them are differentiated by.

    Returns:
        (y, pullback): `pullback(seed)` takes one seed for each array of y, in y's structure and shapes, and
        returns a tuple with one derivative for each argument, in its structure.

    Raises:
        ShapeError, DtypeError, UnsupportedError: as for `value_and_grad`; a seed that does not fit y.

    >>> import numpy as np, tapegrad as tg
    >>> y, pullback = tg.vjp(lambda x: x * x, np.array([1.0, 2.0]))
    >>> y, pullback(np.array([1.0, 10.0]))
    (array([1., 4.]), (array([ 2., 40.]),))
    """
    outer = recorder_in(*args)
    if outer is None:
        try:
            return _of_values(f, args)
        except LeakedVariableError as error:
            outer = outer_recorder(error)
    return _within(outer, f, args)


def _of_values(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    recorded = Recorded(f, PULLBACK)
    places = tuple(range(len(args)))
    arguments = bind(args, places)
    arguments = Arguments(arguments.signature, [a.copy() for a in arguments.inputs], arguments.originals)
    results, recording = recorded.run(arguments, _zero_seeds)
    count = len(recording.tape.dependents)
    y = unflatten(recording.result, [r[()] if r.ndim == 0 else r for r in results[:count]])

    def pullback(seed: Any) -> tuple[Any, ...]:
        for captured in recording.captured:
            captured.check()
        # Names may be bound anew by now, but y is of this recording, and the arguments are the same.
        found = recording.runner(arguments.inputs + _seeds(recording, seed), guarded=False)
        assert not isinstance(found, GuardFailure)
        return restored(arguments, places, found[count:])

    return y, pullback


def _within(
    outer: Recorder, f: Callable[..., Any], args: tuple[Any, ...]
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    inner = enter(outer, f, args, range(len(args)), {})
    y = unflatten(inner.result, inner.apply(inner.tape))

    def pullback(seed: Any) -> tuple[Any, ...]:
        seeds = seeds_within(inner, seed)
        found = inner.apply(adjoint(inner.tape, seed_inputs=True), seeds)
        return inner.restore(found[len(seeds) :])

    return y, pullback


def seeds_within(inner: Inner, seed: Any) -> list[Variable]:
    """The seeds as Variables, checked against the results."""
    leaves = _leaves(seed, inner.result)
    variables = [inner.recorder.cast(lift(inner.recorder, leaf, FLOAT), FLOAT) for leaf in leaves]
    for v, shape in zip(variables, inner.shapes()[1], strict=True):
        _require_shape(v.shape, shape)
    return variables


def _leaves(seed: Any, wanted: Structure | None) -> list[Any]:
    leaves, structure = flatten(seed)
    if structure != wanted:
        found, expected = "a seed of another structure", "the structure of y"
        raise ShapeError(describe("pullback", found=found, wanted=expected, line=user_line()))
    return leaves


def _require_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    if found != wanted:
        text = f"a seed of shape {found}"
        raise ShapeError(describe("pullback", found=text, wanted=f"y's shape {wanted}", line=user_line()))


def _zero_seeds(recording: Recording) -> list[Any]:
    tape = recording.tape
    return [np.zeros(tape.type(d).shape, tape.dtype) for d in tape.dependents.tolist()]


def _seeds(recording: Recording, seed: Any) -> list[Any]:
    """The seeds as arrays of the tape's dtype, checked against the results."""
    tape = recording.tape
    seeds = []
    for leaf, d in zip(_leaves(seed, recording.result), tape.dependents.tolist(), strict=True):
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiub":
            found, wanted = f"a seed of dtype {array.dtype}", "floats"
            raise DtypeError(describe("pullback", found=found, wanted=wanted, line=user_line()))
        _require_shape(array.shape, tape.type(d).shape)
        seeds.append(np.array(array, dtype=tape.dtype, order="C"))
    return seeds
