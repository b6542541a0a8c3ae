"""A function of nested parameters as a function of one vector, with exact derivatives: residuals, constraints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tapegrad.drivers.arguments import settled, user_line
from tapegrad.drivers.compressed import sparse_jacobian
from tapegrad.drivers.evaluated import evaluated
from tapegrad.drivers.gradient import described
from tapegrad.drivers.jacobian import hessian, jacobian
from tapegrad.drivers.pushforward import hvp, jvp
from tapegrad.errors import ShapeError, UnsupportedError, describe
from tapegrad.flat import Flat
from tapegrad.trees import flatten


class VectorFunction:
    """Residuals or constraints by a vector of parameters.

    Each of the methods is recorded at its first call.

    Args:
        function: of parameters and `args`; returns an array of any shape, or a nested container of arrays.
        flat: how the parameters lie in a vector.
        args: its further arguments, `keywords` those by name.
        operation: what is being done, for messages.

    >>> import numpy as np
    >>> f = VectorFunction(lambda p, x: p["a"] * x, Flat.of({"a": 1.0}), (np.array([1.0, 2.0]),))
    >>> f.value(np.array([3.0])), f.jacobian(np.array([3.0])).tolist()
    (array([3., 6.]), [[1.0], [2.0]])
    """

    def __init__(
        self,
        function: Callable[..., Any],
        flat: Flat,
        args: tuple[Any, ...] = (),
        keywords: Mapping[str, Any] | None = None,
        operation: str = "least_squares",
    ) -> None:
        self._data = settled((tuple(args), dict(keywords or {})))

        def joined(vector: Any, given: Any, named: Any) -> Any:
            return _joined(function(flat.views(vector), *given, **named), operation)

        def contracted(vector: Any, weights: Any, given: Any, named: Any) -> Any:
            return np.sum(weights * joined(vector, given, named))

        def bent(vector: Any, direction: Any, given: Any, named: Any) -> Any:
            def along(point: Any) -> Any:
                return jvp(lambda x: joined(x, given, named), (point,), (direction,))[1]

            return jvp(along, (vector,), (direction,))[1]

        joined = described(joined, function, operation, "Entries")
        contracted = described(contracted, function, operation, "Weighted sum")
        self._value, self._jacobian = evaluated(joined), jacobian(joined)
        self._sparse = sparse_jacobian(joined)
        self._curvature, self._product = hessian(contracted), hvp(contracted)
        self._bent = evaluated(described(bent, function, operation, "Second derivative"))

    def value(self, vector: NDArray[Any]) -> NDArray[Any]:
        """All entries of the result one after another: (m,)."""
        return self._value(vector, *self._data)  # type: ignore[no-any-return]

    def jacobian(self, vector: NDArray[Any]) -> NDArray[Any]:
        """(m, n)."""
        return self._jacobian(vector, *self._data)  # type: ignore[no-any-return]

    def sparse_jacobian(self, vector: NDArray[Any]) -> Any:
        """(m, n), a `scipy.sparse.csr_array`."""
        return self._sparse(vector, *self._data)

    def is_sparse(self, vector: NDArray[Any], share: float) -> bool:
        """May less than a share of the Jacobian's entries be nonzero, whatever the parameters are?"""
        try:
            found = self.sparse_jacobian(vector)
        except UnsupportedError:  # a pattern of too many entries
            return False
        return bool(found.nnz < share * found.shape[0] * found.shape[1])

    def second(self, vector: NDArray[Any], direction: NDArray[Any]) -> NDArray[Any]:
        """The second derivative along a direction, by one forward sweep: (m,)."""
        return self._bent(vector, direction, *self._data)  # type: ignore[no-any-return]

    def curvature(self, vector: NDArray[Any], weights: NDArray[Any]) -> NDArray[Any]:
        """The Hessian of the weighted sum of the entries: (n, n)."""
        return self._curvature(vector, np.asarray(weights, float), *self._data)  # type: ignore[no-any-return]

    def product(self, vector: NDArray[Any], weights: NDArray[Any], direction: NDArray[Any]) -> NDArray[Any]:
        """The Hessian of the weighted sum of the entries times a direction: (n,)."""
        given = (vector, np.asarray(weights, float), *self._data)
        return self._product(*given, direction.reshape(-1))  # type: ignore[no-any-return]


def _joined(result: Any, operation: str) -> Any:
    leaves, _ = flatten(result)
    if not leaves:
        found, wanted = "a function that returns no array", "an array, or a container of arrays"
        raise ShapeError(describe(operation, found=found, wanted=wanted, line=user_line()))
    flat = [np.ravel(leaf) for leaf in leaves]
    return flat[0] if len(flat) == 1 else np.concatenate(flat)
