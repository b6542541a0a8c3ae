"""Discrete Fourier transforms. A spectrum is one array of floats: its first axis holds the real and the imaginary part.

Attribute: the axes, counted from the end, and the norm, as NumPy has them; then what the row adds. The transforms are
linear. In the inner product of real numbers, Re <a, b>, the adjoint of the one to frequencies is the one to times
without its factor 1/n, and the other way round: of norm "backward" it is that of norm "forward".

Where only half of the spectrum is kept, the frequencies that stand for their conjugates, too, count twice: the adjoint
of `rfft` divides them by 2 before `irfft`, that of `irfft` multiplies them by 2 after `rfft`. So the rows come in two
forms, and each is the adjoint of the other row's other form.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops import accepted_matrices
from tapegrad.ops.flops import transforming
from tapegrad.ops.row import ArrayType, Attribute, Case, Op
from tapegrad.ops.source import Written, call

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

_OPPOSITE: Final = MappingProxyType({"backward": "forward", "forward": "backward", "ortho": "ortho"})


def _parts(z: Any) -> Any:
    out = np.empty((2, *z.shape), z.real.dtype)
    out[0], out[1] = z.real, z.imag
    return out


def _complex(x: Any) -> Any:
    z = np.empty(x.shape[1:], np.result_type(x.dtype, np.complex64))
    z.real, z.imag = x[0], x[1]
    return z


def _weights(n: int, dtype: Any) -> Any:
    """How many frequencies of a real signal of length n each of the kept ones stands for."""
    weights = np.full(n // 2 + 1, 2, dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    return weights


def _linear(b: Builder, _: int) -> Contribution:
    return b.apply(b.op.name, b.attribute, b.full(b.seed, b.types[0]))


# --- all frequencies (attribute: axes, norm, 1 for the inverse)


def _transform(attribute: Attribute, z: Any) -> Any:
    axes, norm, inverse = attribute
    return (np.fft.ifftn if inverse else np.fft.fftn)(z, axes=axes, norm=norm)


def _fft_adjoint(b: Builder, _: int) -> Contribution:
    axes, norm, inverse = b.attribute
    g = b.apply("fft", (axes, _OPPOSITE[norm], 1 - inverse), b.full(b.seed, b.result_type))
    if b.op.name == "fft":
        return g
    shape = b.type(g).shape
    real = b.apply("slice", ((0, 1, 1), *((0, 1, n) for n in shape[1:])), g)
    return b.reshape(real, shape[1:])


# --- half of the frequencies along the last of the axes (attribute: axes, norm, 1 to weigh; of irfft the length, too)


def _rfft(attribute: Attribute, x: Any) -> Any:
    axes, norm, weighted = attribute
    z = np.fft.rfftn(x, axes=axes, norm=norm)
    if weighted:
        z *= _along(_weights(x.shape[axes[-1]], x.dtype), axes[-1])
    return _parts(z)


def _irfft(attribute: Attribute, x: Any) -> Any:
    axes, norm, weighted, n = attribute
    z = _complex(x)
    if weighted:
        z /= _along(_weights(n, x.dtype), axes[-1])
    return np.fft.irfftn(z, s=(*(z.shape[a] for a in axes[:-1]), n), axes=axes, norm=norm)


def _along(weights: Any, axis: int) -> Any:
    """Weights shaped to stand along an axis counted from the end."""
    return weights.reshape(-1, *[1] * (-1 - axis))


def _rfft_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    shape, last = list(types[0].shape), attribute[0][-1]
    shape[last] = shape[last] // 2 + 1
    return ArrayType((2, *shape), types[0].kind)


def _irfft_type(attribute: Attribute, types: Sequence[ArrayType]) -> ArrayType:
    shape = list(types[0].shape)
    shape[attribute[0][-1]] = attribute[3]
    return ArrayType(tuple(shape[1:]), types[0].kind)


def _rfft_adjoint(b: Builder, _: int) -> Contribution:
    axes, norm, weighted = b.attribute
    n = b.types[0].shape[axes[-1]]
    return b.apply("irfft", (axes, _OPPOSITE[norm], 1 - weighted, n), b.full(b.seed, b.result_type))


def _irfft_adjoint(b: Builder, _: int) -> Contribution:
    axes, norm, weighted, _n = b.attribute
    return b.apply("rfft", (axes, _OPPOSITE[norm], 1 - weighted), b.full(b.seed, b.result_type))


def _many(b: Batcher) -> int:
    """The transforms of many points: their axis stands behind that of the two parts, of what has it."""
    spectra_in, spectra_out = b.op.name in {"fft", "irfft"}, b.op.name != "irfft"
    ref: int = b.operands[0]
    if spectra_in:
        ref = b.to_front(ref, 1)
    result = b.apply(b.op.name, b.attribute, ref)
    return b.to_front(result, 1) if spectra_out else result


def _transform_source(operand: str) -> Written:
    return lambda attribute, _: (
        f"_parts(np.fft.{'ifftn' if attribute[2] else 'fftn'}({operand}, axes={attribute[0]}, norm={attribute[1]!r}))"
    )


def _rfft_source(attribute: Attribute, _: Sequence[ArrayType]) -> str:
    axes, norm, weighted = attribute
    transform = f"np.fft.rfftn(x, axes={axes}, norm={norm!r})"
    return f"_rfft_weighted(x, {axes}, {norm!r})" if weighted else f"_parts({transform})"


def _row(name: str, doc: str, **fields: Any) -> Op:
    return Op(
        name=name,
        operands=("x",),
        kinds="",
        result_kind="",
        doc=doc,
        differentiable=True,
        tangent=_linear,
        eager=True,
        batch=_many,
        flops=transforming,
        **fields,
    )


ROWS: Final[tuple[Op, ...]] = (
    _row(
        "fft",
        "Fourier transform of complex numbers (attribute: axes, norm, 1 for the inverse)",
        result_type=lambda _, types: types[0],
        accepts=accepted_matrices.complex_transform,
        evaluate=lambda attribute, x: _parts(_transform(attribute, _complex(x))),
        source=_transform_source("_complex(x)"),
        adjoint=_fft_adjoint,
        cases=(
            Case(((2, 5),), ((-1,), "backward", 0)),
            Case(((2, 3, 4),), ((-2, -1), "ortho", 1)),
            Case(((2, 3, 4),), ((-2,), "forward", 1)),
        ),
    ),
    _row(
        "fft_real",
        "Fourier transform of real numbers, all frequencies (attribute: axes, norm, 1 for the inverse)",
        result_type=lambda _, types: ArrayType((2, *types[0].shape), types[0].kind),
        accepts=accepted_matrices.real_transform,
        evaluate=lambda attribute, x: _parts(_transform(attribute, x)),
        source=_transform_source("x"),
        adjoint=_fft_adjoint,
        cases=(Case(((5,),), ((-1,), "forward", 0)), Case(((3, 4),), ((-2, -1), "backward", 1))),
    ),
    _row(
        "rfft",
        "Fourier transform of real numbers, half of the frequencies "
        "(attribute: axes, norm, 1 to weigh by how many frequencies each stands for)",
        result_type=_rfft_type,
        accepts=accepted_matrices.real_transform,
        evaluate=_rfft,
        source=_rfft_source,
        adjoint=_rfft_adjoint,
        cases=(
            Case(((5,),), ((-1,), "backward", 0)),
            Case(((3, 4),), ((-1,), "ortho", 1)),
            Case(((2, 4, 3),), ((-1, -2), "forward", 0)),
            Case(((2, 3, 4),), ((-3, -1), "backward", 1)),
        ),
    ),
    _row(
        "irfft",
        "real numbers of half of the frequencies "
        "(attribute: axes, norm, 1 to divide by how many frequencies each stands for, length)",
        result_type=_irfft_type,
        accepts=accepted_matrices.half_transform,
        evaluate=_irfft,
        source=call("_irfft", "x"),
        adjoint=_irfft_adjoint,
        cases=(
            Case(((2, 3),), ((-1,), "backward", 0, 5)),
            Case(((2, 3, 3),), ((-1,), "ortho", 1, 4)),
            Case(((2, 2, 3, 2),), ((-1, -2), "forward", 0, 4)),
            Case(((2, 2, 3),), ((-2, -1), "backward", 1, 5)),
        ),
    ),
)
