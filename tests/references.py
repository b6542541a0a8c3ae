"""What every row is compared with: the same function in JAX, written without a look at the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import jax
import jax.numpy as jnp
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


def _matmul(attribute: Any, a: Any, b: Any) -> Any:
    a = jnp.swapaxes(a, -1, -2) if attribute[0] else a
    b = jnp.swapaxes(b, -1, -2) if attribute[1] else b
    return jnp.einsum("...ij,...jk->...ik", a, b, precision="highest")


def _by_name() -> dict[str, Reference]:
    """Elementwise rows that JAX has under the same name."""
    found = {}
    for op in OPS:
        module = next((m for m in (jnp, special) if op.elementwise and hasattr(m, op.name)), None)
        if module is not None:
            found[op.name] = _named(module, op.name)
    return found


REFERENCES: Final[dict[str, Reference]] = {
    **_by_name(),
    "multiply_add": lambda _, x, y, a: x * y + a,
    "multiply_subtract": lambda _, x, y, a: x * y - a,
    "subtract_multiply": lambda _, x, y, a: a - x * y,
    "to_float": lambda _, x: x.astype(jnp.float64),
    "to_int": lambda _, x: x.astype(jnp.int64),
    "to_bool": lambda _, x: x != 0,
    "reshape": lambda shape, x: jnp.reshape(x, shape),
    "transpose": lambda axes, x: jnp.transpose(x, axes),
    "broadcast_to": lambda shape, x: jnp.broadcast_to(x, shape),
    "slice": lambda windows, x: x[_indices(windows)],
    "pad": _pad,
    "slice_add": lambda windows, acc, x: acc.at[_indices(windows)].add(x),
    "item": lambda attribute, x: x[attribute[0]],
    "item_add": lambda attribute, acc, x: acc.at[attribute[0]].add(x),
    "concatenate": lambda attribute, *xs: jnp.concatenate(xs, attribute[0]),
    "stop_gradient": lambda _, x: jax.lax.stop_gradient(x),
    "sum": lambda axes, x: jnp.sum(x, axis=axes),
    "max": lambda axes, x: jnp.max(x, axis=axes),
    "min": lambda axes, x: jnp.min(x, axis=axes),
    "gather": _gather,
    "scatter": _scatter,
    "scatter_add": _scatter_add,
    "matmul": _matmul,
    "matmul_add": lambda attribute, acc, a, b: acc + _matmul(attribute, a, b),
}

# Rows that JAX has no function for. Each needs a reason here, and a test of its own by value.
NO_REFERENCE: Final[dict[str, str]] = {
    "above": "internal: the share that a tie gives to each operand of maximum; compared with its formula",
    "masked_multiply": "internal: the product of a reverse sweep below a selection; compared with its formula",
    "wrap_index": "internal: an index counted from the start, or far outside; compared with Python's own indexing",
    "guard": "an effect: it stops the sweep; compared with whether the sweep stops",
}


def names() -> list[str]:
    """Every row's name, leaves left out."""
    return list(dict.fromkeys(op.name for op in OPS if not op.leaf))
