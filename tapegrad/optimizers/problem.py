"""What is made small: a loss as a function of a vector, with its gradient, its Hessian and products with that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapegrad.drivers.arguments import settled, user_line
from tapegrad.drivers.evaluated import evaluated
from tapegrad.drivers.gradient import described
from tapegrad.drivers.jacobian import hessian
from tapegrad.drivers.objective import Objective
from tapegrad.drivers.pushforward import hvp
from tapegrad.errors import ShapeError, describe
from tapegrad.flat import Flat
from tapegrad.trees import flatten


class Problem:
    """A loss of nested parameters, for minimisers that know vectors only; each method records at its first call.

    Args:
        loss: a function of the parameters and data that returns a scalar.
        params: where to start: a nested container of float64 or float32 arrays and floats.
        data: the loss's further arguments.
        flat: how the parameters lie in a vector, if not as `Flat.of` has it.
        limit: bytes that the workspace of value and gradient may take.

    Attributes:
        flat: how the parameters lie in a vector.
        start: the given parameters as a vector.

    Raises:
        DtypeError: parameters that are not floating; ShapeError: no parameters. What the loss itself raises comes at
            its first evaluation: `ShapeError` for a loss that is no scalar.

    >>> import numpy as np
    >>> problem = Problem(lambda p, y: np.sum((p["a"] - y) ** 2), {"a": np.zeros(2)}, (np.array([1.0, 2.0]),))
    >>> problem.value_and_gradient(problem.start)
    (5.0, array([-2., -4.]))
    >>> problem.product(problem.start, np.array([1.0, 0.0]))
    array([2., 0.])
    """

    def __init__(
        self,
        loss: Callable[..., Any],
        params: Any,
        data: tuple[Any, ...] = (),
        flat: Flat | None = None,
        limit: int | None = None,
    ) -> None:
        self.data = settled(tuple(data))
        self.flat = flat = Flat.of(params, "minimize") if flat is None else flat
        self.start = flat.vector(params, "minimize")

        def scalar(params: Any, *data: Any) -> Any:
            return _require_scalar(loss(params, *data))

        def of_vector(vector: Any, *data: Any) -> Any:
            return loss(flat.views(vector), *data)

        self._objective = Objective(loss, flat, limit=limit)
        self._value = evaluated(described(scalar, loss, "minimize", "Value"))
        self._hvp = hvp(loss)
        self._hessian = hessian(described(of_vector, loss, "minimize", "Value"))

    def value(self, point: Any) -> float:
        """The loss at a point, without any derivative."""
        return float(self._value(self.flat.views(self._vector(point)), *self.data))

    def value_and_gradient(self, point: Any) -> tuple[float, Any]:
        """The loss at a point, and its gradient in a new vector."""
        gradient = np.empty(self.flat.size, self.flat.dtype)
        return self._objective.value_and_grad(self._vector(point), gradient, self.data), gradient

    def product(self, point: Any, direction: Any) -> Any:
        """The Hessian at a point times a direction."""
        at, along = (self.flat.views(self._vector(v)) for v in (point, direction))
        return self.flat.vector(self._hvp(at, *self.data, along), "minimize")

    def hessian(self, point: Any) -> Any:
        """The Hessian at a point, of shape (size, size)."""
        return self._hessian(self._vector(point), *self.data)

    def ignored(self) -> list[str]:
        """The names of parameters on which the loss does not depend; a gradient has been computed before."""
        return self._objective.ignored()

    def require_finite(self, point: Any) -> None:
        """Raise `NonFiniteError`, naming the instruction to blame, if the loss or its gradient is not finite."""
        self._objective.require_finite(self._vector(point), self.data)

    def restore(self, point: Any) -> Any:
        """Nested parameters of a vector."""
        return self.flat.restore(point)

    def _vector(self, given: Any) -> Any:
        return np.ascontiguousarray(given, self.flat.dtype).reshape(-1)


def _require_scalar(result: Any) -> Any:
    if flatten(result)[1] is not None or np.shape(result) != ():
        found = "a result that is a container" if flatten(result)[1] is not None else ""
        found = found or f"a result of shape {np.shape(result)}"
        wanted = "a scalar result, of shape (): use sum or mean"
        raise ShapeError(describe("minimize", found=found, wanted=wanted, line=user_line()))
    return result
