"""Derivatives along a direction: `jvp`, and `hvp`, the gradient's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tapegrad.derivative.tangent import tangent
from tapegrad.drivers.arguments import Argnums, positions, user_line
from tapegrad.drivers.evaluated import evaluated
from tapegrad.drivers.gradient import described, grad, like
from tapegrad.drivers.inner import Inner, enter, recorder_in
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import lift
from tapegrad.record.variable import Variable
from tapegrad.trees import flatten, unflatten


def jvp(f: Callable[..., Any], args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its derivative along a direction: the Jacobian times tangents, by one forward sweep.

    Args:
        f: a function that returns an array, or a nested container of arrays.
        args: a tuple of its arguments, floating; all of them are differentiated by.
        tangents: the direction: a tuple of one for each argument, in its structure and shapes.

    Returns:
        (y, y_tangent), both of y's structure and shapes.

    Raises:
        ShapeError: tangents that do not fit; DtypeError, UnsupportedError: as for `value_and_grad`.

    Source: Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), section 3.1.

    >>> import numpy as np, tapegrad as tg
    >>> tg.jvp(np.sin, (np.array([0.0, 1.0]),), (np.array([2.0, 0.0]),))[1]
    array([2., 0.])
    """
    if not isinstance(args, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        found, wanted = (
            f"arguments of type {type(args).__name__} and tangents of type {type(tangents).__name__}",
            "tuples",
        )
        raise DtypeError(describe("jvp", found=found, wanted=wanted, line=user_line()))
    if len(args) != len(tangents):
        found, wanted = f"{len(args)} arguments and {len(tangents)} tangents", "a tangent for each argument"
        raise ShapeError(describe("jvp", found=found, wanted=wanted, line=user_line()))
    both = along(f, range(len(args)))
    return both(tuple(args), tuple(tangents))  # type: ignore[no-any-return]


def hvp(f: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function that returns the product of f's Hessian with a direction, at a few times the cost of f.

    Args:
        f: a function that returns a scalar, as for `value_and_grad`.
        argnums: the arguments to differentiate by, as for `value_and_grad`.

    Returns:
        A function of f's arguments and, last, the direction, of the gradient's structure and shapes; it
        returns the product, which is of the types of the gradient. It is recorded once, as gradients are.

    Raises:
        ShapeError: a direction that does not fit; else as for `value_and_grad`.

    Source: Pearlmutter, Fast exact multiplication by the Hessian, Neural Computation 6 (1994), 147-160.

    >>> import numpy as np, tapegrad as tg
    >>> tg.hvp(lambda x: np.sum(x**3))(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    array([ 6., 12.])
    """
    gradient, single = grad(f, argnums), isinstance(argnums, (int, np.integer))

    def product(*args: Any, **keywords: Any) -> Any:
        if len(args) < 2:
            found, wanted = f"{len(args)} positional arguments", "those of the function and, last, a direction"
            raise ShapeError(describe("hvp", found=found, wanted=wanted, line=user_line()))
        *given, direction = args
        places = positions(argnums, len(given))
        if not single and (not isinstance(direction, (tuple, list)) or len(direction) != len(places)):
            found = f"{len(direction)} directions" if isinstance(direction, (tuple, list)) else "one direction"
            wanted = f"a tuple of {len(places)} directions"
            raise ShapeError(describe("hvp", found=found, wanted=wanted, line=user_line()))
        return _push(gradient, given, places, (direction,) if single else direction, keywords, "hvp")[1]

    made = evaluated(described(product, f, "hvp", "Hessian times a direction"))

    def typed(*args: Any, **keywords: Any) -> Any:
        found = made(*args, **keywords)
        wanted = tuple(args[k] for k in positions(argnums, len(args) - 1))
        return like(found, wanted[0] if single else wanted)

    return described(typed, f, "hvp", "Hessian times a direction")


def along(f: Callable[..., Any], places: Sequence[int]) -> Callable[..., Any]:
    """The function of arguments and tangents that gives value and tangent."""

    def both(args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        return _push(f, args, places, tangents, {}, "jvp")

    return evaluated(described(both, f, "jvp", "Value and tangent"))


def _push(
    f: Callable[..., Any], args: Sequence[Any], places: Sequence[int], tangents: Any, keywords: Any, name: str
) -> tuple[Any, Any]:
    """Record f and its tangent."""
    recorder = recorder_in(*args, tangents)
    if recorder is None:
        found, wanted = "no floating array among the arguments", "floating parameters to differentiate by"
        raise DtypeError(describe(name, found=found, wanted=wanted, line=user_line()))
    inner = enter(recorder, f, args, places, keywords)
    pairs = sorted(zip(places, tangents, strict=True), key=lambda pair: pair[0])
    given = [v for k, t in pairs for v in _directions(inner, args[k], t, k, name)]
    results = inner.apply(tangent(inner.tape), given)
    count = len(inner.tape.dependents)
    return unflatten(inner.result, results[:count]), unflatten(inner.result, results[count:])


def _directions(inner: Inner, argument: Any, direction: Any, k: int, name: str) -> list[Variable]:
    """The tangents of one argument as Variables, checked against it."""
    leaves, structure = flatten(argument)
    found, own = flatten(direction)
    if own != structure:
        text, wanted = f"a tangent of another structure than args[{k}]", "the structure of the argument"
        raise ShapeError(describe(name, found=text, wanted=wanted, line=user_line()))
    recorder = inner.recorder
    variables = [recorder.cast(lift(recorder, leaf, FLOAT), FLOAT) for leaf in found]
    for v, leaf in zip(variables, leaves, strict=True):
        if v.shape != np.shape(leaf):
            text, wanted = f"a tangent of shape {v.shape} for args[{k}]", f"shape {np.shape(leaf)}"
            raise ShapeError(describe(name, found=text, wanted=wanted, line=user_line()))
    return variables
