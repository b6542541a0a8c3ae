"""What every row is compared with: the same function in JAX, written without a look at the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
from jax.scipy import special

from tapegrad.ops.table import OPS

Reference = Callable[..., Any]


def _named(module: Any, name: str) -> Reference:
    function = getattr(module, name)
    return lambda _, *operands: function(*operands)


def _indices(windows: Any) -> Any:
    """Open mesh of the places that a window selects."""
    return np.ix_(*(start + step * np.arange(count) for start, step, count in windows))


def _pad(attribute: Any, x: Any) -> Any:
    shape, windows = attribute
    return jnp.zeros(shape, x.dtype).at[_indices(windows)].set(x) if shape else x


def _gather(attribute: Any, x: Any, index: Any) -> Any:
    axis, batch = attribute
    if batch:
        return jax.vmap(lambda x, index: _gather((axis - 1, batch - 1), x, index))(x, index)
    return x[(slice(None),) * axis + (index,)]


def _scatter_add(attribute: Any, acc: Any, x: Any, index: Any) -> Any:
    axis, batch = attribute
    if batch:
        return jax.vmap(lambda acc, x, index: _scatter_add((axis - 1, batch - 1), acc, x, index))(acc, x, index)
    return acc.at[(slice(None),) * axis + (index,)].add(x)


def _scatter(attribute: Any, x: Any, index: Any) -> Any:
    axis, length, batch = attribute
    shape = x.shape[:axis] + (length,) + x.shape[axis + index.ndim - batch :]
    return _scatter_add((axis, batch), jnp.zeros(shape, x.dtype), x, index)


def _is_last(attribute: Any, index: Any) -> Any:
    length, batch = attribute
    if batch:
        return jax.vmap(lambda index: _is_last((length, batch - 1), index))(index)
    order = jnp.arange(index.size).reshape(index.shape)
    return jnp.full(length, -1).at[index].max(order)[index] == order


def _scatter_set(attribute: Any, acc: Any, x: Any, index: Any) -> Any:
    axis, batch, distinct = attribute
    if batch:
        part = (axis - 1, batch - 1, distinct)
        return jax.vmap(lambda acc, x, index: _scatter_set(part, acc, x, index))(acc, x, index)
    places = (slice(None),) * axis
    last = _is_last((acc.shape[axis], 0), index)
    last = last.reshape((1,) * axis + index.shape + (1,) * (acc.ndim - axis - 1))
    kept = jnp.ones(acc.shape[axis], bool).at[index].set(False).reshape((-1,) + (1,) * (acc.ndim - axis - 1))
    return jnp.where(kept, acc, 0).at[(*places, index)].add(jnp.where(last, x, 0))


def _matmul(attribute: Any, a: Any, b: Any) -> Any:
    a = jnp.swapaxes(a, -1, -2) if attribute[0] else a
    b = jnp.swapaxes(b, -1, -2) if attribute[1] else b
    return jnp.einsum("...ij,...jk->...ik", a, b, precision="highest")


def _running_place(attribute: Any, x: Any) -> Any:
    axis, largest = attribute
    find = jnp.argmax if largest else jnp.argmin
    stretches = [jax.lax.slice_in_dim(x, 0, k + 1, axis=axis) for k in range(x.shape[axis])]
    return jnp.stack([find(s, axis) for s in stretches], axis) if stretches else jnp.zeros(x.shape, int)


def _searchsorted(attribute: Any, a: Any, v: Any) -> Any:
    side, common = attribute
    if common:
        return jax.vmap(lambda a, v: _searchsorted((side, common - 1), a, v))(a, v)
    return jnp.searchsorted(a, v, side=("left", "right")[side])


def _triangle(attribute: Any, a: Any) -> Any:
    lower, transposed, unit = attribute
    t = jnp.tril(a) if lower else jnp.triu(a)
    t = t - unit * jnp.einsum("...ij,ij->...ij", t, jnp.eye(a.shape[-1])) + unit * jnp.eye(a.shape[-1])
    return jnp.swapaxes(t, -1, -2) if transposed else t


def _symmetric(a: Any, upper: int = 0) -> Any:
    """The symmetric matrix of which a function that reads one triangle takes `a` for."""
    a = jnp.swapaxes(a, -1, -2) if upper else a
    return jnp.tril(a) + jnp.swapaxes(jnp.tril(a, -1), -1, -2)


def _solve(a: Any, b: Any) -> Any:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return jnp.linalg.solve(jnp.broadcast_to(a, batch + a.shape[-2:]), jnp.broadcast_to(b, batch + b.shape[-2:]))


def _det(a: Any) -> Any:
    return jnp.linalg.det(a) if a.size else jnp.ones(a.shape[:-2])


def _cofactors(a: Any) -> Any:
    return _det(a)[..., None, None] * jnp.swapaxes(jnp.linalg.inv(a), -1, -2)


def _eigh(attribute: Any, a: Any) -> Any:
    values, vectors = jnp.linalg.eigh(_symmetric(a, *attribute), "LU"[attribute[0]])
    return jnp.concatenate([vectors, values[..., None, :]], -2)


def _svd(_: Any, a: Any) -> Any:
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    return jnp.concatenate([u, jnp.swapaxes(vh, -1, -2), s[..., None, :]], -2)


def _qr(_: Any, a: Any) -> Any:
    q, r = jnp.linalg.qr(a)
    return jnp.concatenate([q, jnp.swapaxes(r, -1, -2)], -2)


def _reciprocal_gaps(_: Any, x: Any) -> Any:
    gaps = x[..., None, :] - x[..., :, None]
    same = jnp.eye(x.shape[-1], dtype=bool)
    return jnp.where(same, 0.0, 1 / jnp.where(same, 1.0, gaps))


def _parts(z: Any) -> Any:
    return jnp.stack([z.real, z.imag])


def _fft(attribute: Any, x: Any) -> Any:
    axes, norm, inverse = attribute
    return _parts((jnp.fft.ifftn if inverse else jnp.fft.fftn)(x, axes=axes, norm=norm))


def _weights(n: int, axis: int) -> Any:
    return np.array([1 if 2 * k in (0, n) else 2 for k in range(n // 2 + 1)]).reshape(-1, *[1] * (-1 - axis))


def _rfft(attribute: Any, x: Any) -> Any:
    axes, norm, weighted = attribute
    z = jnp.fft.rfftn(x, axes=axes, norm=norm)
    return _parts(z * _weights(x.shape[axes[-1]], axes[-1]) if weighted else z)


def _irfft(attribute: Any, x: Any) -> Any:
    axes, norm, weighted, n = attribute
    z = x[0] + 1j * x[1]
    z = z / _weights(n, axes[-1]) if weighted else z
    return jnp.fft.irfftn(z, s=(*(z.shape[a] for a in axes[:-1]), n), axes=axes, norm=norm)


def _by_name() -> dict[str, Reference]:
    """Elementwise rows that JAX has under the same name."""
    found = {}
    for op in OPS:
        module = next((m for m in (jnp, special) if op.elementwise and hasattr(m, op.name)), None)
        if module is not None and op.name != "spence":  # whose derivative is nan in places
            found[op.name] = _named(module, op.name)
    return found


REFERENCES: Final[dict[str, Reference]] = {
    **_by_name(),
    # JAX calls it flat, though it moves with x.
    "nextafter": lambda _, x, y: x + jnp.nextafter(*map(jax.lax.stop_gradient, (x, y))) - jax.lax.stop_gradient(x),
    "spacing": lambda _, x: jnp.spacing(jax.lax.stop_gradient(x)),
    "exp10": lambda _, x: 10.0**x,
    "log_expit": lambda _, x: jax.nn.log_sigmoid(x),
    "erfi": lambda _, x: 2 / jnp.sqrt(jnp.pi) * jnp.exp(x * x) * special.dawsn(x),
    "erfcinv": lambda _, x: special.erfinv(1 - x),
    "ndtri_exp": lambda _, x: special.ndtri(jnp.exp(x)),
    "rgamma": lambda _, x: 1 / special.gamma(x),
    "trigamma": lambda _, x: special.polygamma(1, x),
    "binom": lambda _, n, k: 1 / ((n + 1) * special.beta(n - k + 1, k + 1)),
    "betaincc": lambda _, a, b, x: 1 - special.betainc(a, b, x),
    "stdtr": lambda _, n, t: (1 + jnp.sign(t) * special.betainc(0.5, n / 2, t * t / (n + t * t))) / 2,
    "expn": lambda _, n, x: jnp.exp(-x) - x * special.exp1(x) + 0 * n,  # of order 2
    "cosm1": lambda _, x: -2 * jnp.sin(x / 2) ** 2,
    "exprel": lambda _, x: jnp.expm1(x) / x,
    "huber": lambda _, d, x: jnp.where(abs(x) < d, x * x / 2, d * (abs(x) - d / 2)),
    "pseudo_huber": lambda _, d, x: d * d * (jnp.sqrt(1 + (x / d) ** 2) - 1),
    "inv_boxcox": lambda _, x, p: jnp.exp(jnp.log1p(x * p) / p),
    "inv_boxcox1p": lambda _, x, p: jnp.expm1(jnp.log1p(x * p) / p),
    "multiply_add": lambda _, x, y, a: x * y + a,
    "multiply_subtract": lambda _, x, y, a: x * y - a,
    "subtract_multiply": lambda _, x, y, a: a - x * y,
    "to_float": lambda _, x: x.astype(jnp.float64),
    "cumsum": lambda attribute, x: jnp.cumsum(x, attribute[0]),
    "argsort": lambda attribute, x: jnp.argsort(x, attribute[0], stable=True),
    "argpartition": lambda attribute, x: jnp.argsort(x, attribute[0]),  # its cases ask for every rank
    "argmax": lambda attribute, x: jnp.argmax(x, attribute[0]),
    "argmin": lambda attribute, x: jnp.argmin(x, attribute[0]),
    "running_place": _running_place,
    "searchsorted": _searchsorted,
    "to_int": lambda _, x: x.astype(jnp.int64),
    "to_bool": lambda _, x: x != 0,
    "reshape": lambda shape, x: jnp.reshape(x, shape),
    "transpose": lambda axes, x: jnp.transpose(x, axes),
    "broadcast_to": lambda shape, x: jnp.broadcast_to(x, shape),
    "slice": lambda windows, x: x[_indices(windows)],
    "pad": _pad,
    "slice_set": lambda windows, acc, x: acc.at[_indices(windows)].set(x),
    "slice_add": lambda windows, acc, x: acc.at[_indices(windows)].add(x),
    "item": lambda attribute, x: x[attribute[0]],
    "item_set": lambda attribute, acc, x: acc.at[attribute[0]].set(x),
    "item_add": lambda attribute, acc, x: acc.at[attribute[0]].add(x),
    "concatenate": lambda attribute, *xs: jnp.concatenate(xs, attribute[0]),
    "stop_gradient": lambda _, x: jax.lax.stop_gradient(x),
    "sum": lambda axes, x: jnp.sum(x, axis=axes),
    "max": lambda axes, x: jnp.max(x, axis=axes),
    "min": lambda axes, x: jnp.min(x, axis=axes),
    "gather": _gather,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
    "scatter_set": _scatter_set,
    "is_last": _is_last,
    "matmul": _matmul,
    "tril": lambda attribute, x: jnp.tril(x, attribute[0]),
    "inv": lambda _, a: jnp.linalg.inv(a),
    "pinv": lambda _, a: jnp.linalg.pinv(a),
    "expm": lambda _, a: jnp.vectorize(jax.scipy.linalg.expm, signature="(i,i)->(i,i)")(a),
    "solve": lambda attribute, a, b: _solve(jnp.swapaxes(a, -1, -2) if attribute[0] else a, b),
    "lu_solve": lambda attribute, a, b: _solve(jnp.swapaxes(a, -1, -2) if attribute[0] else a, b),
    "solve_triangular": lambda attribute, a, b: _solve(_triangle(attribute, a), b),
    "slogdet": lambda _, a: jnp.stack(jnp.linalg.slogdet(a), -1),
    "det": lambda _, a: _det(a),
    "cofactors": lambda _, a: _cofactors(a),
    "cofactors_change": lambda _, a, d: jax.jvp(_cofactors, (a,), (d,))[1],
    "reciprocal_gaps": _reciprocal_gaps,
    "cholesky": lambda _, a: jnp.linalg.cholesky(_symmetric(a)),
    "eigh": _eigh,
    "eigvalsh": lambda attribute, a: jnp.linalg.eigvalsh(_symmetric(a, *attribute)),
    "svd": _svd,
    "svdvals": lambda _, a: jnp.linalg.svd(a, compute_uv=False),
    "qr": _qr,
    "fft": lambda attribute, x: _fft(attribute, x[0] + 1j * x[1]),
    "fft_real": _fft,
    "rfft": _rfft,
    "irfft": _irfft,
    "sparse_matmul": lambda attribute, x: (attribute[0].matrix.T if attribute[1] else attribute[0].matrix).dense @ x,
    "matmul_add": lambda attribute, acc, a, b: acc + _matmul(attribute, a, b),
}

_BY_MPMATH: Final = "JAX has none, or no derivative of it; compared with mpmath in test_special.py"
# Rows that JAX has no function for. Each needs a reason here, and a test of its own by value.
NO_REFERENCE: Final[dict[str, str]] = {
    "above": "internal: the share that a tie gives to each operand of maximum; compared with its formula",
    "masked_multiply": "internal: the product of a reverse sweep below a selection; compared with its formula",
    "wrap_index": "internal: an index counted from the start, or far outside; compared with Python's own indexing",
    "custom": "a function of the user's: tests/test_custom.py",
    "primitive": "a function of the user's: tests/test_custom.py",
    "lu": "internal: factors laid out as LAPACK wants them; lu_solve is compared with solutions",
    "complement": "vectors that are not unique; compared with NumPy's values",
    "guard": "an effect: it stops the sweep; compared with whether the sweep stops",
    **dict.fromkeys(
        (
            *("gammaincinv", "gammainccinv", "betaincinv", "betainccinv", "stdtrit"),
            *("ellipk", "ellipkm1", "ellipe", "wrightomega", "spence"),
            *("iv", "ive", "k0", "k1", "k0e", "k1e", "kv", "kve", "j0", "j1", "jv", "y0", "y1", "yv"),
        ),
        _BY_MPMATH,
    ),
}


def names() -> list[str]:
    """Every row's name, leaves left out."""
    return list(dict.fromkeys(op.name for op in OPS if not op.leaf))
