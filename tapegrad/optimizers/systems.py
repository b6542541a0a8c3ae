"""The linear systems of Levenberg-Marquardt steps: dense by singular values, sparse by factors of J'J."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from tapegrad.optimizers.blocks import gram


class Solver(ABC):
    """J'J + damping D^2, factored."""

    @abstractmethod
    def step(self, residuals: Any) -> Any:
        """The solution p of (J'J + damping D^2) p = -J' residuals."""


class Linear(ABC):
    """A Jacobian at a point."""

    @abstractmethod
    def damped(self, damping: float) -> Solver | None:
        """The factored system for a damping; None where it is singular to rounding."""


class System(ABC):
    """How such systems are solved for Jacobians of one pattern; what depends on that alone is found once."""

    @abstractmethod
    def at(self, jacobian: Any, scale: Any) -> Linear:
        """Take a Jacobian; `scale` is the diagonal of D."""


# --- dense


class DenseSystem(System):
    """J D^-1 is decomposed into singular values, so nothing is squared and all dampings share the decomposition."""

    def at(self, jacobian: Any, scale: Any) -> Linear:
        """Decompose."""
        from scipy.linalg import svd

        u, s, vt = svd(np.asarray(jacobian, np.float64) / scale, full_matrices=False, check_finite=False)
        return _Decomposed(u, s, vt, scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Decomposed(Linear):
    """Left vectors, singular values, right vectors."""

    u: Any
    s: Any
    vt: Any
    scale: Any

    def damped(self, damping: float) -> Solver:
        """With no damping the shortest of the solutions, in terms of D p."""
        s = self.s
        if damping == 0:
            least = np.finfo(np.float64).eps * max(len(self.u), self.vt.shape[1]) * s.max(initial=0.0)
            return _Filtered(self, np.divide(1.0, s, out=np.zeros_like(s), where=s > least))
        return _Filtered(self, s / (s * s + damping))


@dataclass(frozen=True, slots=True, eq=False)
class _Filtered(Solver):
    """What takes the place of the singular values' reciprocals."""

    linear: _Decomposed
    factors: Any

    def step(self, residuals: Any) -> Any:
        """From the right vectors, with the factors."""
        along = self.linear.u.T @ residuals
        return -(self.linear.vt.T @ (self.factors * along)) / self.linear.scale


# --- sparse


class DirectSystem(System):
    """J'J is assembled in its pattern, which is found once, and factored by SuperLU.

    Args:
        jacobian: one of the Jacobians, a `scipy.sparse.csr_array` of the pattern that all have.
    """

    def __init__(self, jacobian: Any) -> None:
        from scipy.sparse import csc_array, csr_array, eye_array

        index, shape = (jacobian.indices, jacobian.indptr), jacobian.shape
        ones = csr_array((np.ones(jacobian.nnz, np.float32), *index), shape=shape)
        places = csr_array((np.arange(jacobian.nnz), *index), shape=shape).tocsc()
        pattern = csc_array(ones.T @ ones + eye_array(shape[1], dtype=np.float32))
        pattern.sort_indices()
        self.columns = (places.indices, places.data, places.indptr)
        self.pattern = pattern
        lines = np.repeat(np.arange(shape[1]), np.diff(pattern.indptr))
        self.diagonal = np.flatnonzero(lines == pattern.indices)

    def at(self, jacobian: Any, scale: Any) -> Linear:
        """Assemble J'J."""
        values, pattern = np.empty(self.pattern.nnz), (self.pattern.indptr, self.pattern.indices)
        gram(*self.columns, jacobian.indptr, jacobian.indices, jacobian.data, *pattern, values)
        return _Assembled(self, jacobian, values, scale)


@dataclass(frozen=True, slots=True, eq=False)
class _Assembled(Linear):
    """A Jacobian and the values of J'J."""

    system: DirectSystem
    jacobian: Any
    values: Any
    scale: Any

    def damped(self, damping: float) -> Solver | None:
        """Factor with the damping on the diagonal."""
        from scipy.sparse import csc_array

        pattern, values = self.system.pattern, self.values.copy()
        values[self.system.diagonal] += damping * self.scale**2
        factors = factored(csc_array((values, pattern.indices, pattern.indptr), shape=pattern.shape))
        return None if factors is None else _Direct(self.jacobian, factors)


@dataclass(frozen=True, slots=True, eq=False)
class _Direct(Solver):
    """Factors of the whole matrix."""

    jacobian: Any
    factors: Any

    def step(self, residuals: Any) -> Any:
        """Two triangular solutions."""
        return -self.factors.solve(np.asarray(self.jacobian.T @ residuals, np.float64))


def factored(matrix: Any) -> Any:
    """Factors of a symmetric positive definite `csc_array`; None where it is singular.

    Pivots stay on the diagonal, and the columns are ordered for a symmetric matrix.
    """
    from scipy.sparse.linalg import splu

    options = {"SymmetricMode": True, "Equil": False}
    try:
        return splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options)
    except RuntimeError:  # exactly singular
        return None
