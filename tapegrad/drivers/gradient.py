"""Derivatives of functions: `value_and_grad`, `grad`, `vjp`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Argnums, Arguments, bind, positions, user_line
from tapegrad.drivers.kept import Recording
from tapegrad.drivers.recorded import GRADIENT, PULLBACK, Recorded
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.trees import flatten, unflatten


def value_and_grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., tuple[Any, Any]]:
    """A function that returns f's value and its gradient.

    Args:
        f: a function written in NumPy that returns a scalar. It is recorded at the first call for each
            shape and dtype of its arguments, and again where a branch on a value goes another way.
        argnums: which positional arguments to differentiate by: their place, or a sequence of places.
            Each may be a nested container (dict, list, tuple, namedtuple, dataclass) of float64 or float32
            arrays and floats. The other arguments are data: arrays and floats may change freely.

    Returns:
        A function of the same arguments that returns (value, gradient). The gradient has the structure,
        shapes and dtypes of the argument; for a sequence of argnums it is a tuple.

    Raises:
        ShapeError: the result is not a scalar, or shapes do not fit.
        DtypeError: a parameter is not float64 or float32.
        UnsupportedError: a function for which there is no rule.

    Source: Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), chapter 3.

    >>> import numpy as np, tapegrad as tg
    >>> f = tg.value_and_grad(lambda x: np.sum(x**2))
    >>> value, gradient = f(np.array([1.0, 2.0, 3.0]))
    >>> float(value), gradient
    (14.0, array([2., 4., 6.]))
    """
    recorded = Recorded(f, GRADIENT)
    single = isinstance(argnums, (int, np.integer))
    wanted = argnums if isinstance(argnums, (int, np.integer)) else tuple(argnums)

    def gradient_of(*args: Any) -> tuple[Any, Any]:
        path, outputs = recorded.again(args)
        if path is not None:
            gradients = path.gradients(outputs)
            return outputs[0], gradients[0] if single else gradients
        places = positions(wanted, len(args))
        arguments = bind(args, places)
        results, recording = recorded.run(arguments, search=outputs)
        recorded.remember(Path.of_gradient(arguments, recording, places))
        gradients = _restore(arguments, places, results[1:])
        return results[0][()], gradients[0] if single else gradients

    gradient_of.__name__ = f"value_and_grad_of_{getattr(f, '__name__', 'function')}"
    gradient_of.__doc__ = f"Value and gradient of {getattr(f, '__name__', 'a function')}."
    return gradient_of


def grad(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns f's gradient; arguments and errors as for `value_and_grad`.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(lambda p: p["a"] * np.sin(p["b"]))({"a": 2.0, "b": 0.0})
    {'a': 0.0, 'b': 2.0}
    """
    both = value_and_grad(f, argnums)

    def gradient_of(*args: Any) -> Any:
        return both(*args)[1]

    gradient_of.__name__ = f"grad_of_{getattr(f, '__name__', 'function')}"
    gradient_of.__doc__ = f"Gradient of {getattr(f, '__name__', 'a function')}."
    return gradient_of


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
    recorded = Recorded(f, PULLBACK)
    places = tuple(range(len(args)))
    arguments = bind(args, places)
    arguments = Arguments(arguments.signature, [a.copy() for a in arguments.inputs], arguments.originals)
    results, recording = recorded.run(arguments, _zero_seeds)
    count = len(recording.tape.dependents)
    y = unflatten(recording.result, [r[()] if r.ndim == 0 else r for r in results[:count]])

    def pullback(seed: Any) -> tuple[Any, ...]:
        found, made = recorded.run(arguments, lambda r: _seeds(r, seed))
        return _restore(arguments, places, found[len(made.tape.dependents) :])

    return y, pullback


def _zero_seeds(recording: Recording) -> list[Any]:
    tape = recording.tape
    return [np.zeros(tape.type(d).shape, tape.dtype) for d in tape.dependents.tolist()]


def _seeds(recording: Recording, seed: Any) -> list[Any]:
    """The seeds as arrays of the tape's dtype, checked against the results."""
    tape = recording.tape
    leaves, structure = flatten(seed)
    if structure != recording.result:
        found, wanted = "a seed of another structure", "the structure of y"
        raise ShapeError(describe("pullback", found=found, wanted=wanted, line=user_line()))
    seeds = []
    for leaf, d in zip(leaves, tape.dependents.tolist(), strict=True):
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiub":
            found, wanted = f"a seed of dtype {array.dtype}", "floats"
            raise DtypeError(describe("pullback", found=found, wanted=wanted, line=user_line()))
        if array.shape != tape.type(d).shape:
            found, wanted = f"a seed of shape {array.shape}", f"y's shape {tape.type(d).shape}"
            raise ShapeError(describe("pullback", found=found, wanted=wanted, line=user_line()))
        seeds.append(np.array(array, dtype=tape.dtype, order="C"))
    return seeds


def _restore(arguments: Arguments, places: Sequence[int], gradients: Sequence[Any]) -> tuple[Any, ...]:
    """Gradients in the structures, dtypes and scalar types of the arguments they belong to."""
    originals = arguments.originals
    leaves = [_like(g, x) for g, x in zip(gradients, originals, strict=True)]
    trees: dict[int, Any] = {}
    start = 0
    for k in sorted(places):
        structure = arguments.signature.structures[k]
        size = 1 if structure is None else structure.size
        trees[k] = unflatten(structure, leaves[start : start + size])
        start += size
    return tuple(trees[k] for k in places)


def _like(gradient: Any, original: Any) -> Any:
    if type(original) is float:
        return float(gradient)
    if gradient.dtype != original.dtype:
        gradient = gradient.astype(original.dtype)
    return gradient[()] if isinstance(original, np.generic) else gradient
