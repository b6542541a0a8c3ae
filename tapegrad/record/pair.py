"""Complex numbers of a recording, as a pair of Variables: what lies between a Fourier transform and its inverse.

A tape is real, and so are a function's arguments and results. In between, `ComplexPair` stands for complex arrays:
arithmetic with anything, parts, absolute value and angle, what moves elements or sums them, and the transforms.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from tapegrad.errors import ComplexError, ConversionError, UnsupportedError, describe
from tapegrad.record.variable import Variable

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder

HINT: Final = "what ComplexPair has: arithmetic, .real, .imag, abs, numpy.angle, numpy.exp, sums, shapes, numpy.fft"


class ComplexPair:
    """A complex array of a recording.

    Attributes:
        real, imag: Variables of one shape and of the floating dtype.
    """

    __slots__ = ("imag", "real")
    __hash__ = None  # type: ignore[assignment]

    real: Variable
    imag: Variable

    def __init__(self, real: Variable, imag: Variable) -> None:
        self.real = real
        self.imag = imag

    # --- what an array has

    @property
    def _recorder(self) -> Recorder:
        return self.real._recorder

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self.real.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.real.ndim

    @property
    def size(self) -> int:
        """Number of elements."""
        return self.real.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The complex dtype of the tape's floating one."""
        return np.result_type(self.real.dtype, np.complex64)

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        """Axes in reverse order."""
        return self._call(np.transpose, self)

    def __repr__(self) -> str:
        return f"<ComplexPair of shape {self.shape}, {self.dtype}>"

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[ComplexPair]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, index: Any) -> ComplexPair:
        return ComplexPair(self.real[index], self.imag[index])

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._refuse("item assignment", "x[index] = value", "a new array: np.where, or x * mask")

    # --- operators

    def _by(self, name: str, *values: Any) -> Any:
        return self._recorder.complex(name, values)

    def __add__(self, other: Any) -> Any:
        return self._by("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._by("subtract", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self._by("subtract", other, self)

    def __mul__(self, other: Any) -> Any:
        return self._by("multiply", self, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._by("divide", self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._by("divide", other, self)

    def __pow__(self, other: Any) -> Any:
        return self._by("power", self, other)

    def __neg__(self) -> Any:
        return self._by("negative", self)

    def __pos__(self) -> ComplexPair:
        return self

    def __abs__(self) -> Any:
        return self._by("absolute", self)

    def __matmul__(self, other: Any) -> Any:
        return self._call(np.matmul, self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._call(np.matmul, other, self)

    def __eq__(self, other: object) -> NoReturn:
        self._refuse("comparison", "a complex operand", "a comparison of .real, .imag or abs")

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__

    # --- conversions, which there are none of

    def _refuse(self, operation: str, found: str, wanted: str) -> NoReturn:
        raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=self._recorder.line()))

    def _convert(self, *_: Any) -> NoReturn:
        found = f"{self!r}, which has no values yet"
        wanted = "its parts .real and .imag, or abs"
        raise ConversionError(describe("conversion", found=found, wanted=wanted, line=self._recorder.line()))

    __bool__ = __int__ = __float__ = __complex__ = __index__ = _convert

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        wanted = "real numbers: .real, .imag or abs of what numpy.fft gives; complex arrays are not supported yet"
        raise ComplexError(describe("recording", found=repr(self), wanted=wanted, line=self._recorder.line()))

    # --- NumPy's protocols

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        recorder = self._recorder
        if method != "__call__" or options:
            name = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            self._refuse(name, f"a complex operand and options {sorted(options)}", HINT)
        recorded = recorder.functions.get(("complex", ufunc))
        return recorder.complex(ufunc.__name__, inputs) if recorded is None else recorded(*inputs)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        return self._call(function, *arguments, **options)

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Any:
        """What NumPy's function does where complex numbers are among its arguments."""
        recorded = self._recorder.functions.get(("complex", function))
        if recorded is None:
            name = f"{getattr(function, '__module__', 'numpy')}.{getattr(function, '__name__', function)}"
            self._refuse(name, "a complex operand", HINT)
        return recorded(*arguments, **options)

    # --- methods of arrays

    def conj(self) -> ComplexPair:
        """The conjugate."""
        return ComplexPair(self.real, -self.imag)

    conjugate = conj

    def sum(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Sum over axes."""
        return self._call(np.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        """Mean over axes."""
        return self._call(np.mean, self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any, order: str = "C") -> ComplexPair:
        """The same elements in another shape."""
        return ComplexPair(self.real.reshape(*shape, order=order), self.imag.reshape(*shape, order=order))

    def ravel(self, order: str = "C") -> Any:
        """One axis."""
        return self._call(np.ravel, self, order=order)

    flatten = ravel

    def transpose(self, *axes: Any) -> ComplexPair:
        """Axes permuted; reversed if none are given."""
        return ComplexPair(self.real.transpose(*axes), self.imag.transpose(*axes))

    def swapaxes(self, axis1: int, axis2: int) -> Any:
        """Two axes swapped."""
        return self._call(np.swapaxes, self, axis1, axis2)

    def squeeze(self, axis: Any = None) -> Any:
        """Without axes of length 1."""
        return self._call(np.squeeze, self, axis)

    def copy(self, order: str = "C") -> ComplexPair:  # noqa: ARG002 - the signature of NumPy
        """The same values: a pair never changes."""
        return self

    def astype(self, dtype: Any, **_: Any) -> ComplexPair:
        """As complex numbers, which the pair is anyway."""
        if np.dtype(dtype).kind != "c":
            self._refuse("astype", f"dtype {np.dtype(dtype)}", "a complex dtype, or .real")
        return self
