"""Methods and attributes of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from tests.functions.case import Call, distinct, uniform

_MATRIX, _DEEP, _INTEGERS = distinct(3, 4), uniform(2, 3, 2), np.array([[3, 0, 2], [1, 1, 0]])

# By name: what is done to the array, and an array to do it to. JAX's arrays have most of these, too.
_METHODS: Final[tuple[tuple[str, Callable[[Any], Any], Any], ...]] = (
    ("T", lambda x: x.T, _DEEP),
    ("mT", lambda x: x.mT, _DEEP),
    ("real", lambda x: x.real * x, _MATRIX),
    ("reshape", lambda x: (x.reshape(4, 3), x.reshape((2, -1)), x.reshape(-1)), _MATRIX),
    ("ravel", lambda x: x.ravel(), _MATRIX),
    ("flatten", lambda x: x.flatten(), _MATRIX),
    ("squeeze", lambda x: (x.squeeze(), x.squeeze(1)), uniform(2, 1)),
    ("transpose", lambda x: (x.transpose(), x.transpose(2, 0, 1), x.transpose((1, 0, 2))), _DEEP),
    ("swapaxes", lambda x: x.swapaxes(0, -1), _DEEP),
    ("diagonal", lambda x: (x.diagonal(), x.diagonal(1, 1, 0)), _MATRIX),
    ("copy", lambda x: x.copy(), _MATRIX),
    ("take", lambda x: (x.take(np.array([0, -1])), x.take(np.array([1]), axis=1)), _MATRIX),
    ("repeat", lambda x: (x.repeat(2), x.repeat(2, axis=1)), _MATRIX),
    ("compress", lambda x: x.compress(np.array([True, False, True]), axis=0), _MATRIX),
    ("sum", lambda x: (x.sum(), x.sum(1), x.sum(axis=0, keepdims=True)), _MATRIX),
    ("prod", lambda x: (x.prod(), x.prod(axis=-1)), _MATRIX),
    ("mean", lambda x: (x.mean(), x.mean((0, 1), keepdims=True)), _MATRIX),
    ("max", lambda x: (x.max(), x.max(0)), _MATRIX),
    ("min", lambda x: (x.min(), x.min(axis=1, keepdims=True)), _MATRIX),
    ("trace", lambda x: (x.trace(), x.trace(1)), _MATRIX),
    ("dot", lambda x: x.dot(x.T), _MATRIX),
    ("clip", lambda x: (x.clip(-0.5, 0.5), x.clip(min=0.0), x.clip(max=0.3)), _MATRIX),
    ("conj", lambda x: (x.conj(), x.conjugate()), _MATRIX),
    ("+x", lambda x: +x, _MATRIX),
    ("divmod", lambda x: (divmod(x, 0.4), divmod(2.3, x)), np.array([0.53, 0.66, 0.9])),
)
_ONLY_OURS: Final[tuple[tuple[str, Callable[[Any], Any], Any], ...]] = (
    ("reshape", lambda x: x.reshape((4, 3), order="F"), _MATRIX),
    ("flat", lambda x: [v * v for v in x.flat], _MATRIX),
    ("flat", lambda x: (x.flat[5], x.flat[2:4]), _MATRIX),
    ("astype", lambda x: (x.astype(np.float64), x.astype(x.dtype, copy=False)), _MATRIX),
)
_WITHOUT_DERIVATIVE: Final[tuple[tuple[str, Callable[[Any], Any], Any], ...]] = (
    ("any", lambda x: ((x > 0).any(), (x > 0).any(axis=1, keepdims=True)), _MATRIX),
    ("all", lambda x: ((x > 0).all(0), x.all()), _MATRIX),
    ("imag", lambda x: x.imag, _MATRIX),
    ("astype", lambda x: (x.astype(int), x.astype(bool), x.astype(np.int32)), _MATRIX),
    ("choose", lambda x: (x.choose([5, 6, 7, 8]), x.choose([5, 6], mode="clip")), _INTEGERS),
    ("in", lambda x: (x + 0 if 2 in x else x, x + 0 if 7 not in x else x), _INTEGERS),
)

CALLS: Final = tuple(
    Call(f"ndarray.{name}", lambda _, x, call=call: call(x), (x,), **options)
    for table, options in (
        (_METHODS, {}),
        (_ONLY_OURS, {"jax": False}),
        (_WITHOUT_DERIVATIVE, {"smooth": False}),
    )
    for name, call, x in table
)
