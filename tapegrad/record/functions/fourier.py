"""`numpy.fft`: transforms of real and of complex numbers; what is complex is a `ComplexPair`.

A length other than that of the data crops it or fills it up with zeros, so the rows themselves transform what they get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.errors import ShapeError, describe
from tapegrad.record import arithmetic
from tapegrad.record.functions.common import join, lengths, normalize_axes, operand, refuse, reshaped, stretch
from tapegrad.record.functions.pairs import recorder_of
from tapegrad.record.pair import ComplexPair
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

Spectrum: TypeAlias = "Variable | ComplexPair"

_NORMS: Final = ("backward", "ortho", "forward")
_OPPOSITE: Final = MappingProxyType({"backward": "forward", "forward": "backward", "ortho": "ortho"})


# --- operands


def _operand(value: Any) -> tuple[Recorder, Spectrum]:
    """What is transformed: a floating Variable, or a pair."""
    recorder = recorder_of(value)
    if isinstance(value, (list, tuple)):
        value = recorder.functions["complex", np.stack](value) if _holds_pair(value) else operand(value)
    real, imag = arithmetic.parts(recorder, value)
    return recorder, real if imag is None else ComplexPair(real, imag)


def _holds_pair(value: Any) -> bool:
    return isinstance(value, ComplexPair) or (isinstance(value, (list, tuple)) and any(_holds_pair(v) for v in value))


def _norm(recorder: Recorder, operation: str, norm: Any) -> str:
    if norm is not None and norm not in _NORMS:
        raise unsupported(operation, f"norm={norm!r}", f"None or one of {', '.join(_NORMS)}", recorder)
    return norm or "backward"


def _places(
    recorder: Recorder, operation: str, shape: tuple[int, ...], s: Any, axes: Any
) -> tuple[tuple[int, ...], list[int]]:
    """The axes from the start and the lengths along them, as `s` and `axes` give them."""
    sizes = None if s is None else list(lengths(s))
    if axes is None:
        places = tuple(range(len(shape) if sizes is None else len(sizes)))
        places = tuple(k + len(shape) - len(places) for k in places)
    else:
        places = lengths(axes)
    places = normalize_axes(places, len(shape), operation, recorder)
    if sizes is None:
        sizes = [shape[k] for k in places]
    if len(sizes) != len(places) or not places:
        raise _misfit(recorder, operation, f"lengths {s} for axes {axes}", "one length for each of one axis or more")
    return places, [shape[k] if n == -1 else n for k, n in zip(places, sizes, strict=True)]


def _misfit(recorder: Recorder, operation: str, found: str, wanted: str) -> ShapeError:
    return ShapeError(describe(operation, found=found, wanted=wanted, line=recorder.line()))


def _fitted(x: Spectrum, operation: str, axes: Sequence[int], sizes: Sequence[int]) -> Spectrum:
    """Cropped, or filled up with zeros."""
    if isinstance(x, ComplexPair):
        return ComplexPair(*(_fitted_part(v, operation, axes, sizes) for v in (x.real, x.imag)))
    return _fitted_part(x, operation, axes, sizes)


def _fitted_part(v: Variable, operation: str, axes: Sequence[int], sizes: Sequence[int]) -> Variable:
    for axis, n in zip(axes, sizes, strict=True):
        if n < 1:
            raise _misfit(v._recorder, operation, f"length {n} along axis {axis}", "one element or more")
        if n < v.shape[axis]:
            v = stretch(v, axis, 0, n)
        elif n > v.shape[axis]:
            shape = tuple(n if k == axis else m for k, m in enumerate(v.shape))
            v = v._recorder.apply("pad", (shape, tuple((0, 1, m) for m in v.shape)), v)
    return v


def _packed(recorder: Recorder, x: ComplexPair) -> Variable:
    return join(recorder, [reshaped(v, (1, *v.shape)) for v in (x.real, x.imag)], 0)


def _unpacked(recorder: Recorder, v: Variable) -> ComplexPair:
    return ComplexPair(*(recorder.apply("item", (k,), v) for k in range(2)))


def _from_end(axes: Sequence[int], ndim: int) -> tuple[int, ...]:
    return tuple(k - ndim for k in axes)


# --- transforms


def _transform(operation: str, a: Any, s: Any, axes: Any, norm: Any, out: Any, *, inverse: bool) -> ComplexPair:
    """All frequencies of real or complex numbers, or the way back."""
    recorder, x = _operand(a)
    refuse(operation, recorder, out=out)
    scale = _norm(recorder, operation, norm)
    places, sizes = _places(recorder, operation, x.shape, s, axes)
    x = _fitted(x, operation, places, sizes)
    attribute = (_from_end(places, x.ndim), scale, int(inverse))
    if isinstance(x, ComplexPair):
        return _unpacked(recorder, recorder.apply("fft", attribute, _packed(recorder, x)))
    return _unpacked(recorder, recorder.apply("fft_real", attribute, x))


def _to_half(operation: str, a: Any, s: Any, axes: Any, norm: Any, out: Any) -> ComplexPair:
    """Half of the frequencies of real numbers."""
    recorder, x = _operand(a)
    refuse(operation, recorder, out=out)
    if isinstance(x, ComplexPair):
        raise unsupported(operation, "complex numbers", "real numbers, or fft", recorder)
    scale = _norm(recorder, operation, norm)
    places, sizes = _places(recorder, operation, x.shape, s, axes)
    x = _fitted_part(x, operation, places, sizes)
    return _unpacked(recorder, recorder.apply("rfft", (_from_end(places, x.ndim), scale, 0), x))


def _from_half(operation: str, a: Any, s: Any, axes: Any, norm: Any, out: Any) -> Variable:
    """Real numbers of half of their frequencies. Without `s` the last length is even."""
    recorder, x = _operand(a)
    refuse(operation, recorder, out=out)
    scale = _norm(recorder, operation, norm)
    places, sizes = _places(recorder, operation, x.shape, s, axes)
    if s is None or lengths(s)[-1] == -1:
        sizes[-1] = 2 * (x.shape[places[-1]] - 1)
    n = sizes[-1]
    if n < 1:
        raise _misfit(recorder, operation, f"length {n} along axis {places[-1]}", "one element or more")
    x = arithmetic.pair_of(recorder, _fitted(x, operation, places, [*sizes[:-1], n // 2 + 1]))
    attribute = (_from_end(places, x.ndim), scale, 0, n)
    return recorder.apply("irfft", attribute, _packed(recorder, x))


def _length(n: Any) -> Any:
    return None if n is None else (n,)


def fft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.fft`."""
    return _transform("fft", a, _length(n), (axis,), norm, out, inverse=False)


def ifft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.ifft`."""
    return _transform("ifft", a, _length(n), (axis,), norm, out, inverse=True)


def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.fftn`."""
    return _transform("fftn", a, s, axes, norm, out, inverse=False)


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.ifftn`."""
    return _transform("ifftn", a, s, axes, norm, out, inverse=True)


def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.fft2`."""
    return _transform("fft2", a, s, axes, norm, out, inverse=False)


def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.ifft2`."""
    return _transform("ifft2", a, s, axes, norm, out, inverse=True)


def rfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.rfft`."""
    return _to_half("rfft", a, _length(n), (axis,), norm, out)


def irfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Variable:
    """`numpy.fft.irfft`."""
    return _from_half("irfft", a, _length(n), (axis,), norm, out)


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.rfftn`."""
    return _to_half("rfftn", a, s, axes, norm, out)


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Variable:
    """`numpy.fft.irfftn`."""
    return _from_half("irfftn", a, s, axes, norm, out)


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.rfft2`."""
    return _to_half("rfft2", a, s, axes, norm, out)


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Variable:
    """`numpy.fft.irfft2`."""
    return _from_half("irfft2", a, s, axes, norm, out)


def hfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> Variable:
    """`numpy.fft.hfft`: real frequencies of half of a signal that is symmetric about 0."""
    recorder, x = _operand(a)
    opposite = _OPPOSITE[_norm(recorder, "hfft", norm)]
    return _from_half("hfft", recorder.complex("conjugate", (x,)), _length(n), (axis,), opposite, out)


def ihfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None, out: Any = None) -> ComplexPair:
    """`numpy.fft.ihfft`."""
    recorder, x = _operand(a)
    opposite = _OPPOSITE[_norm(recorder, "ihfft", norm)]
    return _to_half("ihfft", x, _length(n), (axis,), opposite, out).conj()


# --- the order of frequencies


def _shifted(operation: str, x: Any, axes: Any, direction: int) -> Variable:
    v = operand(x)
    chosen = axes if axes is None or isinstance(axes, tuple) else lengths(axes)
    for axis in normalize_axes(chosen, v.ndim, operation, v._recorder):
        n = v.shape[axis]
        first = (n - n // 2) if direction > 0 else n // 2  # how many come last
        if 0 < first < n:
            v = join(v._recorder, [stretch(v, axis, first, n - first), stretch(v, axis, 0, first)], axis)
    return v


def fftshift(x: Any, axes: Any = None) -> Variable:
    """`numpy.fft.fftshift`."""
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: Any, axes: Any = None) -> Variable:
    """`numpy.fft.ifftshift`."""
    return _shifted("ifftshift", x, axes, -1)


_TRANSFORMS: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        getattr(np.fft, f.__name__): f
        for f in (fft, ifft, fftn, ifftn, fft2, ifft2, rfft, irfft, rfftn, irfftn, rfft2, irfft2, hfft, ihfft)
    }
)

TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        **_TRANSFORMS,
        **{("complex", function): recorded for function, recorded in _TRANSFORMS.items()},
        np.fft.fftshift: fftshift,
        np.fft.ifftshift: ifftshift,
    }
)
