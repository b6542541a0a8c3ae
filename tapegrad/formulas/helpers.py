"""What the source of some rows calls: plain functions of NumPy arrays.

`to_python` writes the ones that a formula needs in front of it, as they stand here but for types and comments. So
each needs nothing but `np` and others of this file. None changes its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _argument(value: Any, shape: tuple[int, ...], dtype: Any = np.float64) -> Any:
    """An argument as an array; the formula is good for one shape only."""
    array = np.asarray(value)
    if array.shape != shape or not np.can_cast(array.dtype, dtype, "same_kind"):
        wanted = f"shape {shape} and {np.dtype(dtype)}"
        raise ValueError(f"found an argument of shape {array.shape} and {array.dtype}; wanted {wanted}")
    return array.astype(dtype, copy=False)


def _array(text: str, dtype: str, shape: tuple[int, ...]) -> Any:
    """A constant array, from its bytes in base 64."""
    import base64

    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


# --- elementwise


def _above(x: Any, y: Any) -> Any:
    """1 where x > y, 0.5 where x = y, else 0."""
    return ((x > y) + 0.5 * (x == y)).astype(np.result_type(x, y))


def _wrap_index(index: Any, length: Any) -> Any:
    """Indices counted from the start; one that is out of bounds stays so, whatever is added."""
    wrapped = np.where(index < 0, index + length, index)
    return np.where((wrapped < 0) | (wrapped >= length), -(1 << 40), wrapped)


# --- parts of arrays


def _pad(x: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Zeros with x at an index."""
    out = np.zeros(shape, np.asarray(x).dtype)
    out[index] = x
    return out


def _add_at(x: Any, index: Any, values: Any) -> Any:
    """A copy of x with values added at an index."""
    out = np.array(x)
    out[index] += values
    return out


def _set_at(x: Any, index: Any, values: Any) -> Any:
    """A copy of x with values put at an index."""
    out = np.array(x)
    out[index] = values
    return out


def _places(index: Any, shape: tuple[int, ...], axis: int, batch: int) -> Any:
    """What selects from an array along an axis; the first axes of array and indices, `batch` of them, are the same."""
    index = np.asarray(index)
    if not batch:
        return (*[slice(None)] * axis, index)
    own = index.shape[batch:]
    before = [np.arange(n).reshape(-1, *[1] * (axis - 1 - a + len(own))) for a, n in enumerate(shape[:axis])]
    return (*before, index.reshape(*index.shape[:batch], *[1] * (axis - batch), *own))


def _gather(x: Any, index: Any, axis: int, batch: int) -> Any:
    """x at indices along an axis."""
    return x[_places(index, x.shape, axis, batch)]


def _scatter(x: Any, index: Any, axis: int, length: int, batch: int) -> Any:
    """Zeros with x added at indices along an axis."""
    x = np.asarray(x)
    shape = (*x.shape[:axis], length, *x.shape[axis + np.ndim(index) - batch :])
    return _scatter_add(np.zeros(shape, x.dtype), x, index, axis, batch)


def _scatter_add(total: Any, x: Any, index: Any, axis: int, batch: int) -> Any:
    """A copy of an array with x added at indices along an axis."""
    out = np.array(total)
    np.add.at(out, _places(index, out.shape, axis, batch), x)
    return out


def _scatter_set(whole: Any, x: Any, index: Any, axis: int, batch: int) -> Any:
    """A copy of an array with x put at indices along an axis; of equal indices the last one counts."""
    out = np.array(whole)
    out[_places(index, out.shape, axis, batch)] = x
    return out


def _is_last(index: Any, length: int, batch: int) -> Any:
    """Where no later index is the same, in each entry of the first axes."""
    index = np.asarray(index)
    rows = index.reshape(int(np.prod(index.shape[:batch], dtype=np.int64)), -1)
    places = np.where(rows < 0, rows + length, rows) + length * np.arange(len(rows))[:, None]
    last = np.zeros(index.size, np.bool_)
    last[index.size - 1 - np.unique(places.reshape(-1)[::-1], return_index=True)[1]] = True
    return last.reshape(index.shape)


# --- along an axis


def _running_place(x: Any, axis: int, largest: int) -> Any:
    """Where the largest (or smallest) element so far was met first."""
    x = np.moveaxis(np.asarray(x), axis, -1)
    extremes = (np.maximum if largest else np.minimum).accumulate(x, axis=-1)
    now, before = extremes[..., 1:], extremes[..., :-1]
    places = np.zeros(x.shape, np.int64)
    places[..., 1:] = np.where((now != before) & (before == before), np.arange(1, max(x.shape[-1], 1)), 0)
    return np.moveaxis(np.maximum.accumulate(places, axis=-1), -1, axis)


def _searchsorted(a: Any, v: Any, side: Any, common: int) -> Any:
    """numpy.searchsorted in each entry of the first axes, which are common."""
    out = np.empty(v.shape, np.int64)
    for k in np.ndindex(a.shape[:common]):
        out[k] = np.searchsorted(a[k], v[k], side)
    return out


# --- matrices


def _each(function: Callable[..., Any], *operands: Any) -> Any:
    """A function of matrices, of each of a batch."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in operands))
    if not batch:
        return function(*operands)
    spread = [np.broadcast_to(x, batch + x.shape[-2:]) for x in operands]
    found = [function(*(x[k] for x in spread)) for k in np.ndindex(batch)]
    return np.array(found).reshape(batch + found[0].shape) if found else spread[-1]


def _lu(a: Any) -> Any:
    """The factors of transposed matrices, and the pivots in a last row."""
    from scipy.linalg import lu_factor

    def factor(a: Any) -> Any:
        if not a.size:
            return np.zeros((1, 0), a.dtype)
        factors, pivots = lu_factor(a.T, check_finite=False)
        if not factors.diagonal().all():
            raise np.linalg.LinAlgError("Singular matrix")
        return np.concatenate([factors.T, pivots[None].astype(a.dtype)])

    return _each(factor, a)


def _lu_solve(lu: Any, b: Any, transposed: int) -> Any:
    """The solution of a x = b by the factors of a, transposed if asked for."""
    from scipy.linalg import lu_solve

    def solve(lu: Any, b: Any) -> Any:
        if not b.size:
            return b
        return lu_solve((lu[:-1].T, lu[-1].astype(np.int32)), b, trans=1 - transposed, check_finite=False)

    return _each(solve, lu, b)


def _solve_triangular(a: Any, b: Any, lower: int, transposed: int, unit: int) -> Any:
    """The solution of t x = b, t a triangle of a, transposed if asked for, with a diagonal of ones if asked for."""
    from scipy.linalg import solve_triangular

    def solve(a: Any, b: Any) -> Any:
        if not b.size:
            return b
        return solve_triangular(a, b, transposed, bool(lower), bool(unit), check_finite=False)

    return _each(solve, a, b)


def _reciprocal_gaps(x: Any) -> Any:
    """1 / (x_j - x_i); 0 on the diagonal, infinite where two are equal to rounding."""
    gaps = x[..., None, :] - x[..., :, None]
    largest = np.abs(x).max(axis=-1, initial=0.0)[..., None, None]
    reciprocal = 1 / np.where(np.abs(gaps) <= 16 * np.finfo(x.dtype).eps * largest, 0, gaps)
    diagonal = np.arange(x.shape[-1])
    reciprocal[..., diagonal, diagonal] = 0
    return reciprocal


def _eigh(a: Any, triangle: Any) -> Any:
    """Eigenvectors, as columns, and eigenvalues in a last row."""
    values, vectors = np.linalg.eigh(a, triangle)
    return np.concatenate([vectors, values[..., None, :]], -2)


def _svd(a: Any) -> Any:
    """Rows of U, rows of V, and singular values in a last row."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, np.swapaxes(vh, -1, -2), s[..., None, :]], -2)


def _qr(a: Any) -> Any:
    """Rows of Q and rows of the transposed R."""
    q, r = np.linalg.qr(a)
    return np.concatenate([q, np.swapaxes(r, -1, -2)], -2)


def _complement(a: Any, kind: str) -> Any:
    """The vectors that complete those of a reduced decomposition."""
    k = min(a.shape[-2:])
    if kind == "qr":
        return np.linalg.qr(a, mode="complete")[0][..., k:]
    u, _, vh = np.linalg.svd(a)
    return u[..., k:] if kind == "u" else vh[..., k:, :]


def _factored(a: Any) -> Any:
    """Singular vectors and values, and the sign of the determinant, in double precision."""
    u, s, vh = np.linalg.svd(np.asarray(a, np.float64))
    return u, s, vh, np.rint(np.linalg.det(u) * np.linalg.det(vh))


def _products_without(s: Any) -> Any:
    """Products of all numbers but one, of all but two (0 on the diagonal)."""
    n = s.shape[-1]
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], -1), -1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], -1), -1)[..., ::-1]
    later = np.arange(n) > np.arange(n)[:, None]
    between = np.cumprod(np.where(later, s[..., None, :], 1.0), -1)
    between = np.concatenate([np.broadcast_to(ones[..., None], (*s.shape, 1)), between[..., :-1]], -1)
    pairs = np.where(later, before[..., :, None] * between * after[..., None, :], 0.0)
    return before * after, pairs + np.swapaxes(pairs, -1, -2)


def _cofactors(a: Any) -> Any:
    """Cofactors, of singular matrices as well, by the singular values."""
    if not a.shape[-1]:
        return a
    u, s, vh, sign = _factored(a)
    return ((u * (_products_without(s)[0] * sign[..., None])[..., None, :]) @ vh).astype(a.dtype)


def _cofactors_change(a: Any, d: Any) -> Any:
    """The derivative of the cofactors of a along d."""
    if not a.shape[-1]:
        return a
    u, s, vh, sign = _factored(a)
    e = np.swapaxes(u, -1, -2) @ d @ np.swapaxes(vh, -1, -2)
    pairs = _products_without(s)[1]
    change = -pairs * np.swapaxes(e, -1, -2)
    diagonal = np.arange(a.shape[-1])
    change[..., diagonal, diagonal] = np.einsum("...ik,...kk->...i", pairs, e)
    return (sign[..., None, None] * (u @ change @ vh)).astype(a.dtype)


# --- Fourier transforms: a spectrum is its real part and its imaginary part, one after the other


def _complex(x: Any) -> Any:
    """Complex numbers of two parts."""
    z = np.empty(x.shape[1:], np.result_type(x.dtype, np.complex64))
    z.real, z.imag = x[0], x[1]
    return z


def _parts(z: Any) -> Any:
    """The two parts of complex numbers."""
    return np.stack([z.real, z.imag])


def _weights(n: int, axis: int, dtype: Any) -> Any:
    """How many frequencies of n real numbers each of those kept stands for, along an axis counted from the end."""
    places = np.arange(n // 2 + 1)
    return np.where((places == 0) | (2 * places == n), 1, 2).astype(dtype).reshape(-1, *[1] * (-1 - axis))


def _rfft_weighted(x: Any, axes: Any, norm: Any) -> Any:
    """numpy.fft.rfftn, times how many frequencies each stands for."""
    return _parts(np.fft.rfftn(x, axes=axes, norm=norm) * _weights(x.shape[axes[-1]], axes[-1], x.dtype))


def _irfft(x: Any, axes: Any, norm: Any, weighted: int, n: int) -> Any:
    """numpy.fft.irfftn, of frequencies divided by how many each stands for if asked for."""
    z = _complex(x)
    if weighted:
        z = z / _weights(n, axes[-1], x.dtype)
    return np.fft.irfftn(z, s=(*(z.shape[a] for a in axes[:-1]), n), axes=axes, norm=norm)
