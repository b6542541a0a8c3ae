"""What is made small in the sense of least squares: residuals as a function of a vector, with their Jacobian."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np

import tapegrad.numpy as tnp
from tapegrad.flat import Flat
from tapegrad.optimizers.problem import Problem
from tapegrad.optimizers.vector_function import VectorFunction
from tapegrad.trees import flatten

_SMALL: Final = 50  # parameters up to which a Jacobian is dense without a look at its pattern
_DENSE: Final = 0.2  # the share of entries from which on it is


class Residuals:
    """Residuals of nested parameters; half the sum of their squares is the value that is made small.

    Args:
        residuals: a function of the parameters and data that returns an array, a scalar, or a container of arrays: all
            their entries are residuals.
        params: where to start: a nested container of float64 or float32 arrays and floats.
        data: the function's further arguments.
        sparse: whether the Jacobian is a sparse array; None for whatever its pattern suggests.

    Attributes:
        flat: how the parameters lie in a vector.
        start: the given parameters as a vector.

    Raises:
        DtypeError: parameters that are not floating; ShapeError: no parameters, or no residuals. What the function
            itself raises comes at its first evaluation.

    >>> import numpy as np
    >>> x, y = np.array([0.0, 1.0]), np.array([1.0, 3.0])
    >>> problem = Residuals(lambda p, x, y: p["a"] * x + p["b"] - y, {"a": 1.0, "b": 0.0}, (x, y))
    >>> problem.residuals(problem.start), problem.jacobian(problem.start)
    (array([-1., -2.]), array([[0., 1.],
           [1., 1.]]))
    """

    def __init__(
        self, residuals: Callable[..., Any], params: Any, data: tuple[Any, ...] = (), *, sparse: bool | None = None
    ) -> None:
        self.data = tuple(data)
        self.flat = flat = Flat.of(params, "least squares")
        self.start = flat.vector(params, "least squares")
        self._function, self._params = residuals, params
        self._entries = VectorFunction(residuals, flat, self.data, operation="least squares")
        self._sparse = False if sparse is None and flat.size <= _SMALL else sparse

    def residuals(self, point: Any) -> Any:
        """All residuals at a point, one after another."""
        return self._entries.value(self._vector(point))

    def jacobian(self, point: Any) -> Any:
        """Their Jacobian: an array of shape (residuals, parameters), or a `scipy.sparse.csr_array`."""
        vector = self._vector(point)
        if self._sparse is None:
            self._sparse = self._entries.is_sparse(vector, _DENSE)
        return self._entries.sparse_jacobian(vector) if self._sparse else self._entries.jacobian(vector)

    def second(self, point: Any, direction: Any) -> Any:
        """Their second derivatives along a direction, by one forward sweep."""
        return self._entries.second(self._vector(point), self._vector(direction))

    def _vector(self, given: Any) -> Any:
        return np.ascontiguousarray(given, self.flat.dtype)

    @cached_property
    def problem(self) -> Problem:
        """The same for minimisers that want a gradient: half the sum of squares."""
        return Problem(half_squares(self._function), self._params, self.data)

    def restore(self, point: Any) -> Any:
        """Nested parameters of a vector."""
        return self.flat.restore(point)


def half_squares(residuals: Callable[..., Any]) -> Callable[..., Any]:
    """The loss of residuals: half the sum of their squares."""

    def half(params: Any, *data: Any) -> Any:
        leaves, _ = flatten(residuals(params, *data))
        total = 0.0
        for leaf in leaves:
            total = total + 0.5 * tnp.sum(leaf * leaf)
        return total

    return half
