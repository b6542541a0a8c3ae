"""numpy.fft, and what is done to spectra: results are real, so complex ones are taken apart at the end."""

from __future__ import annotations

from typing import Any, Final

import numpy

from tests.functions.case import Call, uniform


def parts(z: Any) -> tuple[Any, Any]:
    """What a recorded function may return of a complex array."""
    return z.real, z.imag


FILTER: Final = uniform(4, seed=8) + 1j * uniform(4, seed=9)
PHASE: Final = numpy.exp(1j * numpy.linspace(0.3, 2.0, 4))
TRANSFORMS: Final = (
    Call("numpy.fft.rfft", lambda np, x: parts(np.fft.rfft(x)), (uniform(6),)),
    Call("numpy.fft.rfft", lambda np, x: parts(np.fft.rfft(x, norm="ortho")), (uniform(2, 5),)),
    Call("numpy.fft.rfft", lambda np, x: parts(np.fft.rfft(x, 4, axis=0, norm="forward")), (uniform(5, 2),)),
    Call("numpy.fft.rfft", lambda np, x: parts(np.fft.rfft(x, n=8)), (uniform(2, 5),)),
    Call("numpy.fft.irfft", lambda np, x, y: np.fft.irfft(x + 1j * y), (uniform(4), uniform(4, seed=1))),
    Call("numpy.fft.irfft", lambda np, x, y: np.fft.irfft(x + 1j * y, 5, norm="ortho"), (uniform(2, 4), uniform(4))),
    Call("numpy.fft.irfft", lambda np, x, y: np.fft.irfft(x + 1j * y, 9, 0, "forward"), (uniform(4, 2), uniform(2))),
    Call("numpy.fft.irfft", lambda np, x: np.fft.irfft(x), (uniform(4),)),
    Call("numpy.fft.rfft2", lambda np, x: parts(np.fft.rfft2(x)), (uniform(2, 3, 4),)),
    Call("numpy.fft.rfft2", lambda np, x: parts(np.fft.rfft2(x, s=(4, 3), axes=(1, 0))), (uniform(2, 3),)),
    Call("numpy.fft.irfft2", lambda np, x, y: np.fft.irfft2(x + 1j * y, norm="ortho"), (uniform(3, 3), uniform(3, 3))),
    Call("numpy.fft.rfftn", lambda np, x: parts(np.fft.rfftn(x, norm="forward")), (uniform(2, 3, 3),)),
    Call("numpy.fft.rfftn", lambda np, x: parts(np.fft.rfftn(x, axes=(2, 0))), (uniform(2, 3, 3),)),
    Call("numpy.fft.irfftn", lambda np, x, y: np.fft.irfftn(x + 1j * y), (uniform(2, 3, 2), uniform(2, 3, 2, seed=1))),
    Call(
        "numpy.fft.irfftn",
        lambda np, x, y: np.fft.irfftn(x + 1j * y, s=(2, 5), axes=(0, 1)),
        (uniform(3, 3), uniform(3, 3, seed=1)),
    ),
    Call("numpy.fft.fft", lambda np, x: parts(np.fft.fft(x)), (uniform(5),)),
    Call("numpy.fft.fft", lambda np, x, y: parts(np.fft.fft(x + 1j * y, 4, 0, "ortho")), (uniform(5, 2), uniform(2))),
    Call("numpy.fft.ifft", lambda np, x: parts(np.fft.ifft(x, 7)), (uniform(5),)),
    Call("numpy.fft.ifft", lambda np, x, y: parts(np.fft.ifft(x + 1j * y)), (uniform(3, 4), uniform(3, 4, seed=1))),
    Call("numpy.fft.fft2", lambda np, x: parts(np.fft.fft2(x)), (uniform(2, 3, 2),)),
    Call("numpy.fft.ifft2", lambda np, x, y: parts(np.fft.ifft2(x + 1j * y)), (uniform(3, 2), uniform(3, 2, seed=1))),
    Call("numpy.fft.fftn", lambda np, x: parts(np.fft.fftn(x, s=(4, 2), axes=(0, 2))), (uniform(3, 2, 2),)),
    Call(
        "numpy.fft.ifftn",
        lambda np, x, y: parts(np.fft.ifftn(x + 1j * y, norm="forward")),
        (uniform(3, 2), uniform(3, 2, seed=1)),
    ),
    Call("numpy.fft.hfft", lambda np, x, y: np.fft.hfft(x + 1j * y), (uniform(4), uniform(4, seed=1))),
    Call("numpy.fft.hfft", lambda np, x, y: np.fft.hfft(x + 1j * y, 5, norm="forward"), (uniform(4), uniform(4))),
    Call("numpy.fft.ihfft", lambda np, x: parts(np.fft.ihfft(x)), (uniform(2, 5),)),
    Call("numpy.fft.fftshift", lambda np, x: np.fft.fftshift(x), (uniform(5),)),
    Call("numpy.fft.fftshift", lambda np, x: np.fft.fftshift(x, axes=1), (uniform(3, 4),)),
    Call("numpy.fft.ifftshift", lambda np, x: np.fft.ifftshift(x), (uniform(3, 5),)),
    Call("numpy.fft.ifftshift", lambda np, x: parts(np.fft.ifftshift(np.fft.fft(x), axes=(0,))), (uniform(5),)),
)
PAIRS: Final = (
    Call("add", lambda np, x: parts(np.fft.rfft(x) + FILTER + x[0]), (uniform(6),)),
    Call("subtract", lambda np, x: parts(2.0 - np.fft.rfft(x) - x[0] - 1j), (uniform(6),)),
    Call("multiply", lambda np, x: np.fft.irfft(np.fft.rfft(x) * FILTER), (uniform(6),)),
    Call("multiply", lambda np, x, y: np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(y)), (uniform(6), uniform(6, seed=1))),
    Call("multiply", lambda np, x: parts(x * (1j * x[:4, None]) * 2.0), (uniform(6),)),
    Call("divide", lambda np, x, y: parts(np.fft.rfft(x) / np.fft.rfft(y)), (uniform(6), uniform(6, seed=1))),
    Call("divide", lambda np, x: parts(x[0] / np.fft.rfft(x) + np.fft.rfft(x) / x[1] + FILTER / x[2]), (uniform(6),)),
    Call("negative", lambda np, x: parts(-np.fft.rfft(x)), (uniform(6),)),
    Call("abs", lambda np, x: (abs(np.fft.rfft(x)), np.abs(np.fft.rfft(x)) ** 2), (uniform(6),)),
    Call("angle", lambda np, x: np.angle(np.fft.rfft(x))[1:3], (uniform(6),)),
    Call("angle", lambda np, x: np.angle(np.fft.rfft(x), deg=True)[1:3], (uniform(6),)),
    Call("conj", lambda np, x: (np.conj(np.fft.rfft(x)) * np.fft.rfft(x).conj()).real, (uniform(6),)),
    Call("real", lambda np, x: (np.real(np.fft.rfft(x)), np.imag(np.fft.rfft(x))), (uniform(6),)),
    Call("exp", lambda np, x: parts(np.exp(1j * x)), (uniform(6),)),
    Call("exp", lambda np, x: parts(np.exp(np.fft.rfft(x) / 4)), (uniform(6),)),
    Call("log", lambda np, x: parts(np.log(np.fft.rfft(x)[1:3])), (uniform(6),)),
    Call("sqrt", lambda np, x: parts(np.sqrt(np.fft.rfft(x)[1:3])), (uniform(6),)),
    Call("power", lambda np, x: parts(np.fft.rfft(x) ** 2 + np.square(np.fft.rfft(x)) ** 3), (uniform(6),), rtol=1e-6),
    Call("power", lambda np, x: parts(np.fft.rfft(x)[1:3] ** -2 + np.fft.rfft(x)[1:3] ** 0.5), (uniform(6),)),
    Call("power", lambda np, x: parts(np.fft.rfft(x) ** 0 + np.fft.rfft(x) ** 1), (uniform(6),)),
    Call("power", lambda np, x: parts(np.fft.rfft(x) ** 0), (uniform(6),), smooth=False),
    Call("reciprocal", lambda np, x: parts(np.reciprocal(np.fft.rfft(x))), (uniform(6),)),
    Call("sum", lambda np, x: parts(np.sum(np.fft.fft(x), axis=0) + np.fft.fft(x).mean()), (uniform(3, 4),)),
    Call("sum", lambda np, x: parts(np.mean(np.fft.fft(x), axis=1, keepdims=True)), (uniform(3, 4),)),
    Call("reshape", lambda np, x: parts(np.fft.fft(x).reshape(2, 6).T), (uniform(3, 4),)),
    Call("transpose", lambda np, x: parts(np.transpose(np.fft.fft(x), (1, 0)).ravel()), (uniform(3, 4),)),
    Call("getitem", lambda np, x: parts(np.fft.fft(x)[1, ::2] * PHASE[:2]), (uniform(3, 4),)),
    Call("where", lambda np, x: parts(np.where(x > 0, np.fft.fft(x), 1j)), (uniform(3, 4),)),
    Call("concatenate", lambda np, x: parts(np.concatenate([np.fft.fft(x), x], axis=1)), (uniform(3, 4),)),
    Call("concatenate", lambda np, x: parts(np.concatenate([x, np.fft.fft(x)], axis=1)), (uniform(3, 4),)),
    Call("concatenate", lambda np, x: parts(np.concatenate([x, FILTER[None]])), (uniform(3, 4),)),
    Call("matmul", lambda np, x: parts(x @ FILTER + FILTER[:3] @ x[:, :1] + np.dot(x, FILTER)), (uniform(3, 4),)),
    Call("stack", lambda np, x: parts(np.stack([np.fft.fft(x), 2j * x])), (uniform(4),)),
    Call("matmul", lambda np, x: parts(np.fft.fft(x) @ np.fft.fft(x).T), (uniform(2, 3),)),
    Call("matmul", lambda np, x: parts(uniform(2, 3) @ np.fft.fft(x) + np.fft.fft(x)[0] @ x), (uniform(3, 3),)),
    Call("vdot", lambda np, x: np.vdot(np.fft.fft(x), np.fft.fft(x) * PHASE).imag, (uniform(3, 4),)),
    Call("norm", lambda np, x: np.linalg.norm(np.fft.fft(x)), (uniform(3, 4),)),
    Call("norm", lambda np, x: np.linalg.norm(np.fft.fft(x), 1, axis=1), (uniform(3, 4),)),
    Call("fftfreq", lambda np, x: parts(np.fft.fft(x) * np.fft.fftfreq(4, 0.5)), (uniform(3, 4),)),
    # A derivative by the spectrum, and a filter whose frequency is a parameter.
    Call("spectral", lambda np, x: np.fft.irfft(1j * np.fft.rfftfreq(6) * np.fft.rfft(x), 6), (uniform(6),)),
    Call(
        "shift",
        lambda np, x, s: np.fft.irfft(np.fft.rfft(x) * np.exp(-2j * np.pi * np.fft.rfftfreq(7) * s), 7),
        (uniform(7), numpy.array(0.3)),
    ),
    Call("autocorrelation", lambda np, x: np.fft.irfft(np.abs(np.fft.rfft(x, 12)) ** 2)[:6], (uniform(6),)),
)
CALLS: Final = (*TRANSFORMS, *PAIRS)
