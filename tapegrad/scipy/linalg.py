"""`scipy.linalg`, with functions that record where they are given Variables.

>>> import numpy as np, tapegrad as tg
>>> from tapegrad.scipy import linalg
>>> def f(k):
...     return linalg.cho_solve(linalg.cho_factor(k, lower=True), np.ones(2)).sum()
>>> tg.grad(f)(np.array([[2.0, 0.0], [0.0, 4.0]]))
array([[-0.25  ,  0.    ],
       [-0.25  , -0.0625]])

A matrix of which a function reads one triangle has a gradient in that triangle, where an element counts for its mirror
image, too. Batches are axes before those of the matrices. Functions that are not here are SciPy's own, for arrays.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from tapegrad.record.functions import decomposing, norms, solving, systems
from tapegrad.record.functions.common import find_variable


def _call(
    name: str, recorded: Callable[..., Any], *arguments: Any, plain: Mapping[str, Any] | None = None, **options: Any
) -> Any:
    """What is recorded, or SciPy's function, which alone is given the options `plain`."""
    if find_variable(arguments) is not None:
        return recorded(*arguments, **options)
    function = getattr(importlib.import_module("scipy.linalg"), name)
    return function(*arguments, **options, **(plain or {}))


def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:
    """Solution of a triangular system: a (..., n, n), of which one triangle is read, and b (n,) or (..., n, k).

    Raises:
        ShapeError: a is not square, or b has another number of rows.
        LinearAlgebraError: an element of the diagonal is 0.

    >>> import numpy as np
    >>> solve_triangular(np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0]), lower=True)
    array([1., 2.])
    """
    plain = {"overwrite_b": overwrite_b, "check_finite": check_finite}
    options = {"trans": trans, "lower": lower, "unit_diagonal": unit_diagonal}
    return _call("solve_triangular", systems.solve_triangular, a, b, plain=plain, **options)


def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: Any = None,
    transposed: bool = False,
) -> Any:
    """Solution of a linear system: a (..., n, n) and b (n,) or (..., n, k).

    Of matrices assumed to be symmetric or positive definite one triangle is read, the upper one unless `lower`.

    Raises:
        ShapeError: a is not square, or b has another number of rows.
        LinearAlgebraError: a is singular, or not positive definite where that is assumed.

    >>> import numpy as np
    >>> solve(np.array([[2.0, 0.0], [1.0, 4.0]]), np.array([2.0, 9.0]))
    array([1., 2.])
    """
    plain = {"overwrite_a": overwrite_a, "overwrite_b": overwrite_b, "check_finite": check_finite}
    return _call("solve", systems.solve, a, b, plain=plain, lower=lower, assume_a=assume_a, transposed=transposed)


def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky factor for `cho_solve`, and whether it is the lower one.

    Raises:
        ShapeError: a is not square.
        LinearAlgebraError: a is not positive definite.

    >>> import numpy as np
    >>> cho_factor(np.array([[4.0]]))
    (array([[2.]]), False)
    """
    plain = {"overwrite_a": overwrite_a, "check_finite": check_finite}
    return _call("cho_factor", systems.cho_factor, a, plain=plain, lower=lower)


def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """Solution of a linear system by what `cho_factor` gives; b (n,) or (..., n, k).

    Raises:
        ShapeError: b has another number of rows.

    >>> import numpy as np
    >>> cho_solve((np.array([[2.0]]), True), np.array([8.0]))
    array([2.])
    """
    plain = {"overwrite_b": overwrite_b, "check_finite": check_finite}
    return _call("cho_solve", systems.cho_solve, c_and_lower, b, plain=plain)


def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Cholesky factor of positive definite matrices (..., n, n): the upper one, unless `lower`.

    Raises:
        ShapeError: a is not square.
        LinearAlgebraError: a is not positive definite.

    >>> import numpy as np
    >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 1.],
           [0., 1.]])
    """
    plain = {"overwrite_a": overwrite_a, "check_finite": check_finite}
    return _call("cholesky", lambda a, lower: decomposing.cholesky(a, upper=not lower), a, plain=plain, lower=lower)


def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False
) -> Any:
    """Inverse of matrices (..., n, n).

    Raises:
        ShapeError: a is not square.
        LinearAlgebraError: a is singular.

    >>> import numpy as np
    >>> inv(np.array([[4.0]]))
    array([[0.25]])
    """
    options = {} if assume_a is None else {"assume_a": assume_a, "lower": lower}
    return _call("inv", systems.inv, a, plain={"overwrite_a": overwrite_a, "check_finite": check_finite}, **options)


def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """Determinant of matrices (..., n, n); its derivative is right for singular matrices, too.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(det)(np.array([[1.0, 2.0], [2.0, 4.0]]))
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    return _call("det", solving.det, a, plain={"overwrite_a": overwrite_a, "check_finite": check_finite})


def expm(A: Any) -> Any:  # noqa: N803 - SciPy's name
    """Exponential of matrices (..., n, n); derivative after Mathias, A chain rule for matrix functions (1996).

    >>> import numpy as np
    >>> expm(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    return _call("expm", systems.expm, A)


def block_diag(*arrs: Any) -> Any:
    """Matrices along the diagonal of one, zeros elsewhere.

    >>> block_diag([[1.0, 2.0]], [[3.0]])
    array([[1., 2., 0.],
           [0., 0., 3.]])
    """
    return _call("block_diag", systems.block_diag, *arrs)


def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:  # noqa: A002
    """Norm of vectors or matrices, as `numpy.linalg.norm`; the derivative of that of a zero vector is 0.

    >>> import numpy as np, tapegrad as tg
    >>> tg.grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    return _call("norm", norms.norm, a, ord, axis, keepdims, plain={"check_finite": check_finite})


def toeplitz(c: Any, r: Any = None) -> Any:
    """Matrix with constant diagonals, of its first column and its first row (by default the same).

    >>> toeplitz([1.0, 2.0], [1.0, 5.0])
    array([[1., 5.],
           [2., 1.]])
    """
    return _call("toeplitz", systems.toeplitz, c, r)


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("scipy.linalg"), name)
