"""Floating-point operations of an instruction: what rows name in their field `flops`.

Elementwise rows need none: one an element of the result. What only moves numbers has none at all. Decompositions have
the leading terms of LAPACK's algorithms, those for square matrices where they differ for others.

Source: Golub & Van Loan, Matrix Computations (4th ed., 2013).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log2, prod
from typing import TypeAlias

from tapegrad.ops.row import ArrayType, Attribute

Flops: TypeAlias = Callable[[Attribute, Sequence[ArrayType], ArrayType], float]


def each(place: int = 0, count: float = 1) -> Flops:
    """So many for each element of an operand."""
    return lambda _, types, __: count * types[place].size


def each_result(count: float = 1) -> Flops:
    """So many for each element of the result."""
    return lambda _, __, result: count * result.size


def sorting(_: Attribute, types: Sequence[ArrayType], __: ArrayType) -> float:
    """Comparisons of a sort; of all axes, which is more than there are along one."""
    return types[0].size * log2(max(types[0].size, 2))


def searching(_: Attribute, types: Sequence[ArrayType], __: ArrayType) -> float:
    """Comparisons of a binary search for each of the values."""
    return types[1].size * log2(max(types[0].size, 2))


def cubic(count: float) -> Flops:
    """So many times m n min(m, n) for each matrix of shape (m, n)."""

    def flops(_: Attribute, types: Sequence[ArrayType], __: ArrayType) -> float:
        return count * types[0].size * min(types[0].shape[-2:], default=0)

    return flops


def orthogonal(_: Attribute, types: Sequence[ArrayType], __: ArrayType) -> float:
    """A QR decomposition by reflections, its factor Q written out."""
    *batch, m, n = types[0].shape
    p = min(m, n)
    return 4.0 * prod(batch) * p * p * (max(m, n) - p / 3)


def solving(factoring: float, substituting: float) -> Flops:
    """Solutions of systems: so many times n^3 for each matrix, and n^2 for each column of right-hand sides."""

    def flops(_: Attribute, types: Sequence[ArrayType], result: ArrayType) -> float:
        n = types[0].shape[-1]
        return factoring * types[0].size * n + substituting * n * result.size

    return flops


def transforming(attribute: Attribute, types: Sequence[ArrayType], result: ArrayType) -> float:
    """Fourier transforms: 5/2 N log2 N for N numbers, real and imaginary parts counted apart."""
    larger = max(types[0], result, key=lambda t: t.size)
    length = prod(larger.shape[a] for a in attribute[0])
    return 2.5 * larger.size * log2(max(length, 2))
