"""What runs when a function of NumPy's is called on a `ComplexPair`. `TABLE` holds it as ("complex", function)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.record import arithmetic
from tapegrad.record.functions.common import lengths
from tapegrad.record.pair import HINT, ComplexPair
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

Recorded: TypeAlias = Callable[..., Any]

# Linear in their first argument, which the real and the imaginary part can take in turn.
_LINEAR: Final = (
    np.sum, np.mean, np.cumsum, np.diff, np.trace,
    np.reshape, np.ravel, np.squeeze, np.expand_dims, np.broadcast_to, np.atleast_1d, np.atleast_2d, np.copy,
    np.transpose, np.matrix_transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.linalg.matrix_transpose,
    np.flip, np.flipud, np.fliplr, np.roll, np.rot90, np.fft.fftshift, np.fft.ifftshift,
    np.take, np.take_along_axis, np.repeat, np.tile, np.diagonal, np.tril, np.triu,
)  # fmt: skip
_JOINS: Final = (np.concatenate, np.stack, np.hstack, np.vstack, np.column_stack)
_PRODUCTS: Final = (np.matmul, np.dot, np.inner, np.outer, np.tensordot, np.linalg.matmul, np.linalg.outer)


def recorder_of(*values: Any) -> Recorder:
    """The recorder of the first pair or Variable in the values, which may stand in lists and tuples."""
    todo = list(values)
    while todo:
        value = todo.pop(0)
        if isinstance(value, (Variable, ComplexPair)):
            return value._recorder
        if isinstance(value, (list, tuple)):
            todo = [*value, *todo]
    raise UnsupportedError(describe("recording", found="no Variable among the arguments", wanted="one"))


def _recorded(recorder: Recorder, function: Any) -> Recorded:
    """What records the function of real numbers."""
    found = recorder.functions.get(function)
    if found is None:
        name = getattr(function, "__name__", str(function))
        raise UnsupportedError(describe(name, found="a complex operand", wanted=HINT, line=recorder.line()))
    return found


def _linear(function: Any) -> Recorded:
    def record(a: Any, *arguments: Any, **options: Any) -> ComplexPair:
        recorder = recorder_of(a, arguments)
        recorded = _recorded(recorder, function)
        pair = arithmetic.pair_of(recorder, a)
        return ComplexPair(*(recorded(part, *arguments, **options) for part in (pair.real, pair.imag)))

    return record


def _join(function: Any) -> Recorded:
    def record(arrays: Any, *arguments: Any, **options: Any) -> ComplexPair:
        recorder = recorder_of(arrays)
        recorded = _recorded(recorder, function)
        pairs = [arithmetic.pair_of(recorder, a) for a in arrays]
        real, imag = ([getattr(p, part) for p in pairs] for part in ("real", "imag"))
        return ComplexPair(recorded(real, *arguments, **options), recorded(imag, *arguments, **options))

    return record


def _product(function: Any) -> Recorded:
    def record(a: Any, b: Any, *arguments: Any, **options: Any) -> Any:
        recorder = recorder_of(a, b)
        recorded = _recorded(recorder, function)
        x, y = arithmetic.parts(recorder, a), arithmetic.parts(recorder, b)
        found = arithmetic.bilinear(recorder, lambda p, q: recorded(p, q, *arguments, **options), x, y)
        return arithmetic.made(recorder, found)

    return record


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Variable:  # noqa: A002 - NumPy's name
    """`numpy.linalg.norm` by absolute values; those by singular values of complex matrices are refused."""
    recorder = recorder_of(x)
    axes = x.ndim if axis is None else len(lengths(axis))
    if axes == 2 and ord in (2, -2, "nuc"):
        found = f"complex matrices and ord={ord!r}"
        wanted = "another order, or real matrices"
        raise UnsupportedError(describe("linalg.norm", found=found, wanted=wanted, line=recorder.line()))
    norm: Variable = recorder.functions[np.linalg.norm](abs(x), ord, axis, keepdims)
    return norm


def _vector_norm(x: Any, /, **options: Any) -> Variable:
    """`numpy.linalg.vector_norm`."""
    norm: Variable = recorder_of(x).functions[np.linalg.vector_norm](abs(x), **options)
    return norm


def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Variable:  # noqa: A002
    """`numpy.linalg.matrix_norm`."""
    return _norm(x, ord, (-2, -1), keepdims)


def _vdot(a: Any, b: Any, /) -> Any:
    """`numpy.vdot`: the first operand is conjugated."""
    recorder = recorder_of(a, b)
    return _product(np.vdot)(recorder.complex("conjugate", (a,)), b)


def _angle(z: Any, deg: bool = False) -> Variable:
    """`numpy.angle`."""
    recorder = recorder_of(z)
    found = arithmetic.angle(recorder, arithmetic.parts(recorder, z))
    return recorder.elementwise("multiply", found, 180 / np.pi) if deg else found


def _where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    """`numpy.where` of three arguments."""
    return recorder_of(condition, x, y).complex("where", (condition, x, y))


def _like(fill: Callable[..., Any]) -> Recorded:
    """`numpy.zeros_like` and its relatives: constants."""

    def record(a: Any, dtype: Any = None, *_: Any, shape: Any = None, **__: Any) -> Any:
        return fill(a.shape if shape is None else lengths(shape), a.dtype if dtype is None else dtype)

    return record


_FUNCTIONS: Final[Mapping[Any, Recorded]] = MappingProxyType(
    {
        **{function: _linear(function) for function in _LINEAR},
        **{function: _join(function) for function in _JOINS},
        **{function: _product(function) for function in _PRODUCTS},
        np.linalg.norm: _norm,
        np.linalg.vector_norm: _vector_norm,
        np.linalg.matrix_norm: _matrix_norm,
        np.vdot: _vdot,
        np.angle: _angle,
        np.where: _where,
        np.real: lambda val: val.real,
        np.imag: lambda val: val.imag,
        np.shape: lambda a: a.shape,
        np.ndim: lambda a: a.ndim,
        np.size: lambda a: a.size,
        np.iscomplexobj: lambda x: True,
        np.isrealobj: lambda x: False,
        np.zeros_like: _like(np.zeros),
        np.ones_like: _like(np.ones),
        np.empty_like: _like(np.empty),
    }
)

TABLE: Final[Mapping[Any, Recorded]] = MappingProxyType(
    {("complex", function): recorded for function, recorded in _FUNCTIONS.items()}
)
