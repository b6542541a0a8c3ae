"""`scipy.linalg`: systems of equations by what is known of the matrix, and matrices made of others."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.record.functions.common import constant, join, recorder_of, reshaped
from tapegrad.record.functions.decomposing import cholesky
from tapegrad.record.functions.matrices import floats, matrices, mirrored, misfit, require_matrices, swapped
from tapegrad.record.functions.solving import solution
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_TRANS: Final[Mapping[Any, int]] = MappingProxyType({0: 0, "N": 0, 1: 1, "T": 1, 2: 1, "C": 1})
# What `assume_a` may say, and what is done then. (That a matrix is banded makes no difference to its solution.)
_STRUCTURES: Final[Mapping[Any, str]] = MappingProxyType(
    {
        **dict.fromkeys((None, "gen", "general", "diagonal", "tridiagonal", "banded"), "general"),
        **dict.fromkeys(("sym", "symmetric", "her", "hermitian"), "symmetric"),
        **dict.fromkeys(("pos", "positive definite"), "positive"),
        "upper triangular": "upper",
        "lower triangular": "lower",
    }
)


def _system(operation: str, a: Any, b: Any) -> tuple[Variable, Variable, bool]:
    """The matrices, the right-hand sides as matrices, and whether they were a vector."""
    _, (v, right) = floats(a, b)
    require_matrices(v, operation, square=True)
    n = v.shape[-1]
    if right.ndim == 0 or right.shape[-2 if right.ndim > 1 else -1] != n:
        raise misfit(v, operation, f"shapes {v.shape} and {right.shape}", f"a right-hand side of {n} rows")
    return v, reshaped(right, (n, 1)) if right.ndim == 1 else right, right.ndim == 1


def _finished(found: Variable, vector: bool) -> Variable:
    return reshaped(found, found.shape[:-1]) if vector else found


def _triangular(a: Variable, b: Variable, *, lower: bool, transposed: bool = False, unit: bool = False) -> Variable:
    return a._recorder.apply("solve_triangular", (int(lower), int(transposed), int(unit)), a, b)


def solve_triangular(a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False) -> Variable:
    """`scipy.linalg.solve_triangular`."""
    v, right, vector = _system("solve_triangular", a, b)
    if trans not in _TRANS:
        raise unsupported("solve_triangular", f"trans={trans!r}", "0, 1, 2, 'N', 'T' or 'C'", v._recorder)
    flip = bool(_TRANS[trans])
    return _finished(_triangular(v, right, lower=lower, transposed=flip, unit=unit_diagonal), vector)


def cho_factor(a: Any, lower: bool = False) -> tuple[Variable, bool]:
    """`scipy.linalg.cho_factor`; the triangle that SciPy leaves as it is holds zeros."""
    return cholesky(a, upper=not lower), bool(lower)


def cho_solve(c_and_lower: Any, b: Any) -> Variable:
    """`scipy.linalg.cho_solve`."""
    c, lower = c_and_lower
    v, right, vector = _system("cho_solve", c, b)
    return _finished(_by_factor(v, right, lower=bool(lower)), vector)


def _by_factor(c: Variable, b: Variable, *, lower: bool) -> Variable:
    first = _triangular(c, b, lower=lower, transposed=not lower)
    return _triangular(c, first, lower=lower, transposed=lower)


def _structure(operation: str, v: Variable, assume_a: Any) -> str:
    found = _STRUCTURES.get(assume_a)
    if found is None:
        known = ", ".join(sorted(name for name in _STRUCTURES if name))
        raise unsupported(operation, f"assume_a={assume_a!r}", f"one of {known}", v._recorder)
    return found


def _symmetric(v: Variable, *, lower: bool) -> Variable:
    """The symmetric matrix of which one triangle is read."""
    return mirrored(v if lower else swapped(v))


def solve(a: Any, b: Any, lower: bool = False, assume_a: Any = None, transposed: bool = False) -> Variable:
    """`scipy.linalg.solve`."""
    v, right, vector = _system("solve", a, b)
    structure = _structure("solve", v, assume_a)
    if structure in ("upper", "lower"):
        found = _triangular(v, right, lower=structure == "lower", transposed=transposed)
    elif structure == "positive":
        found = _by_factor(cholesky(v, upper=not lower), right, lower=lower)
    elif structure == "symmetric":
        found = solution(_symmetric(v, lower=lower), right)
    else:
        found = solution(swapped(v) if transposed else v, right)
    return _finished(found, vector)


def inv(a: Any, assume_a: Any = None, lower: bool = False) -> Variable:
    """`scipy.linalg.inv`."""
    v = matrices(a, "inv", square=True)
    structure = _structure("inv", v, assume_a)
    if structure in ("symmetric", "positive"):
        v = _symmetric(v, lower=lower)
    elif structure == "lower":
        v = v._recorder.apply("tril", (0,), v)
    elif structure == "upper":
        v = swapped(v._recorder.apply("tril", (0,), swapped(v)))
    return v._recorder.apply("inv", (), v)


def expm(A: Any) -> Variable:  # noqa: N803 - SciPy's name
    """`scipy.linalg.expm`."""
    v = matrices(A, "expm", square=True)
    return v._recorder.apply("expm", (), v)


def block_diag(*arrs: Any) -> Variable:
    """`scipy.linalg.block_diag`: matrices; numbers and vectors are matrices of one row."""
    recorder, blocks = floats(*arrs)
    blocks = [reshaped(v, (1,) * (2 - v.ndim) + v.shape) for v in blocks]
    for v in blocks:
        if v.ndim > 2:
            raise misfit(v, "block_diag", f"shape {v.shape}", "two axes at most")
    columns, before, rows = sum(v.shape[1] for v in blocks), 0, []
    for v in blocks:
        windows = ((0, 1, v.shape[0]), (before, 1, v.shape[1]))
        rows.append(recorder.apply("pad", ((v.shape[0], columns), windows), v))
        before += v.shape[1]
    return join(recorder, rows, 0)


def toeplitz(c: Any, r: Any = None) -> Variable:
    """`scipy.linalg.toeplitz`: the first column and, from its second element on, the first row."""
    recorder = recorder_of(c, r)
    _, (column, row) = floats(c, c if r is None else r)
    if column.ndim > 1 or row.ndim > 1:
        raise misfit(column, "toeplitz", f"shapes {column.shape} and {row.shape}", "vectors")
    m, n = column.size, row.size
    column, row = reshaped(column, (m,)), reshaped(row, (n,))
    if not m or not n:
        return constant(recorder, 0.0, (m, n), FLOAT)
    values = join(recorder, [row, column], 0)
    i, j = np.arange(m)[:, None], np.arange(n)
    places = np.where(i >= j, n + i - j, j - i)
    found: Variable = recorder.functions[operator.getitem](values, places)
    return found
