"""The methods of arrays: what a Variable has of `numpy.ndarray`'s, each by the function of the same name.

A method whose function has no rule raises as the function does. What changes an array in place is refused.
Methods that copy give a new Variable, those that may give a view sometimes the Variable itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

import numpy as np

from tapegrad.errors import ConversionError, DtypeError, ShapeError, UnsupportedError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.flat import Flat

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder
    from tapegrad.record.variable import Variable

_NO_VALUE: Final[Any] = getattr(np, "_NoValue")  # noqa: B009 - NumPy's mark for an argument that was not given
_KINDS: Final = {"f": FLOAT, "i": INT, "u": INT, "b": BOOL}


class Methods:
    """What `Variable` inherits: attributes and methods under NumPy's names, with NumPy's arguments."""

    __slots__ = ()

    _recorder: Recorder
    _type: int

    if TYPE_CHECKING:

        def __getitem__(self, index: Any) -> Variable: ...

    # --- what they share

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Variable:
        """What NumPy's function does when it is called on this Variable; options that were not given are left out."""
        given = {name: value for name, value in options.items() if value is not _NO_VALUE}
        result: Variable = self._recorder.call(function, self, *arguments, **given)
        return result

    def _refuse(self, operation: str, found: str, wanted: str) -> NoReturn:
        raise ConversionError(describe(operation, found=found, wanted=wanted, line=self._recorder.line()))

    def _unsupported(self, operation: str, found: str, wanted: str) -> NoReturn:
        raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=self._recorder.line()))

    def _in_place(self, name: str, wanted: str) -> NoReturn:
        self._unsupported(name, f"x.{name}(...), which would change a Variable in place", wanted)

    # --- attributes

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths of the axes."""
        return self._recorder.types.items[self._type].shape

    @property
    def _kind(self) -> str:
        return self._recorder.types.items[self._type].kind

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._recorder.types.items[self._type].size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The tape's floating dtype, int64 or bool."""
        return self._recorder.types.items[self._type].dtype(self._recorder.dtype)

    @property
    def T(self) -> Variable:  # noqa: N802
        """Axes in reverse order."""
        return self._call(np.transpose)

    @property
    def mT(self) -> Variable:  # noqa: N802
        """The last two axes swapped."""
        return self._call(np.matrix_transpose)

    @property
    def real(self) -> Variable:
        """The Variable itself: there are no complex ones."""
        return cast("Variable", self)

    @property
    def imag(self) -> Any:
        """Zeros."""
        return np.zeros(self.shape, self.dtype)

    @property
    def flat(self) -> Flat:
        """The elements in C order: to go through and to index."""
        return Flat(self.real)

    @property
    def itemsize(self) -> int:
        """Bytes an element takes."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes that the elements take."""
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        """Where arrays are, in the words of the array API."""
        return "cpu"

    # --- shapes and axes

    def reshape(self, *shape: Any, order: str = "C", copy: Any = None) -> Variable:
        """The same elements in another shape."""
        return self._call(np.reshape, shape[0] if len(shape) == 1 else shape, order=order, copy=copy)

    def ravel(self, order: str = "C") -> Variable:
        """One axis."""
        return self._call(np.ravel, order=order)

    def flatten(self, order: str = "C") -> Variable:
        """One axis, in a new array."""
        return self._recorder.again(self._call(np.ravel, order=order))

    def squeeze(self, axis: Any = None) -> Variable:
        """Without axes of length 1."""
        return self._call(np.squeeze, axis=axis)

    def transpose(self, *axes: Any) -> Variable:
        """Axes permuted; reversed if none are given."""
        return self._call(np.transpose, axes[0] if len(axes) == 1 else (axes or None))

    def swapaxes(self, axis1: Any, axis2: Any) -> Variable:
        """Two axes swapped."""
        return self._call(np.swapaxes, axis1, axis2)

    def diagonal(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Variable:
        """Elements whose places along two axes are the same, up to an offset."""
        return self._call(np.diagonal, offset, axis1, axis2)

    # --- copies

    def copy(self, order: str = "C") -> Variable:
        """The same values in another array."""
        return self._call(np.copy, order)

    def __copy__(self) -> Variable:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Variable:
        return self.copy()

    def astype(
        self,
        dtype: Any,
        order: str = "K",  # noqa: ARG002
        casting: Any = "unsafe",
        subok: bool = True,  # noqa: ARG002
        copy: bool = True,
    ) -> Variable:
        """As the tape's floating dtype, int64 or bool; a new Variable, unless `copy` is false and nothing changes."""
        wanted = np.dtype(dtype)
        kind = _KINDS.get(wanted.kind)
        if wanted.kind == "c":
            return self._recorder.complex("add", (self, 0j))  # type: ignore[no-any-return]
        if kind is None:
            self._refuse("astype", f"dtype {wanted}", "a floating, integer or boolean dtype")
        if not np.can_cast(self.dtype, wanted, casting):
            found = f"{self.dtype} to be made {wanted} with casting={casting!r}"
            raise DtypeError(
                describe("astype", found=found, wanted="a cast that it allows", line=self._recorder.line())
            )
        if kind == self._kind:
            return self.copy() if copy else self.real
        return self._recorder.cast(self.real, kind)

    def item(self, *index: Any) -> Any:
        """One element as a Python number, which is a guard, and refused where it would cut a derivative."""
        place = index[0] if len(index) == 1 and isinstance(index[0], tuple) else index
        if len(place) not in {0, 1, self.ndim}:
            found = f"{len(place)} indices for shape {self.shape}"
            line = self._recorder.line()
            raise ShapeError(describe("item", found=found, wanted="one for each axis, or one into x.flat", line=line))
        if place:
            return (self.flat[place[0]] if len(place) == 1 else self[place]).item()
        return {FLOAT: float, INT: int, BOOL: bool}[self._kind](self)

    def tolist(self) -> Any:
        """Nested lists of Variables without axes."""
        rows: Any = self
        return [row.tolist() for row in rows] if self.shape else rows

    def view(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: there are no bytes to look at."""
        self._unsupported("view", "a Variable, which has no memory yet", "x itself, or x.astype(dtype)")

    def to_device(self, device: Any, /, *, stream: Any = None) -> Variable:  # noqa: ARG002 - the array API's argument
        """The Variable itself, for `"cpu"`."""
        if device != "cpu":
            self._unsupported("to_device", f"device {device!r}", "'cpu'")
        return self.real

    # --- elements

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Variable:
        """Elements along an axis at integer indices."""
        return self._call(np.take, indices, axis=axis, out=out, mode=mode)

    def repeat(self, repeats: Any, axis: Any = None) -> Variable:
        """Each element several times."""
        return self._call(np.repeat, repeats, axis=axis)

    def compress(self, condition: Any, axis: Any = None, out: Any = None) -> Variable:
        """The slices along an axis that a mask chooses."""
        result: Variable = self._recorder.call(np.compress, condition, self, axis=axis, out=out)
        return result

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> Variable:
        """From each place of several arrays the element that this integer array names."""
        return self._call(np.choose, choices, out=out, mode=mode)

    def nonzero(self) -> Any:
        """Where elements are not zero."""
        return self._call(np.nonzero)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Variable:
        """Where in this sorted array to put values."""
        return self._call(np.searchsorted, v, side=side, sorter=sorter)

    # --- order

    def argmax(self, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Variable:
        """Where the largest element is."""
        return self._call(np.argmax, axis=axis, out=out, keepdims=keepdims)

    def argmin(self, axis: Any = None, out: Any = None, *, keepdims: Any = False) -> Variable:
        """Where the smallest element is."""
        return self._call(np.argmin, axis=axis, out=out, keepdims=keepdims)

    def argsort(self, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Variable:
        """The indices that would sort it."""
        return self._call(np.argsort, axis=axis, kind=kind, order=order, stable=stable)

    def argpartition(self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Variable:
        """The indices that would partition it."""
        return self._call(np.argpartition, kth, axis=axis, kind=kind, order=order)

    # --- reductions

    def sum(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = _NO_VALUE,
    ) -> Variable:
        """Sum over axes."""
        return self._call(np.sum, axis=axis, dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)

    def prod(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = _NO_VALUE,
    ) -> Variable:
        """Product over axes."""
        return self._call(np.prod, axis=axis, dtype=dtype, out=out, keepdims=keepdims, initial=initial, where=where)

    def mean(
        self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = _NO_VALUE
    ) -> Variable:
        """Mean over axes."""
        return self._call(np.mean, axis=axis, dtype=dtype, out=out, keepdims=keepdims, where=where)

    def std(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **options: Any
    ) -> Variable:
        """Standard deviation over axes."""
        return self._call(np.std, axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, **options)

    def var(
        self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: Any = False, **options: Any
    ) -> Variable:
        """Variance over axes."""
        return self._call(np.var, axis=axis, dtype=dtype, out=out, ddof=ddof, keepdims=keepdims, **options)

    def max(
        self,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = _NO_VALUE,
    ) -> Variable:
        """Largest over axes."""
        return self._call(np.max, axis=axis, out=out, keepdims=keepdims, initial=initial, where=where)

    def min(
        self,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = _NO_VALUE,
        where: Any = _NO_VALUE,
    ) -> Variable:
        """Smallest over axes."""
        return self._call(np.min, axis=axis, out=out, keepdims=keepdims, initial=initial, where=where)

    def any(self, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = _NO_VALUE) -> Variable:
        """Is any element true?"""
        return self._call(np.any, axis=axis, out=out, keepdims=keepdims, where=where)

    def all(self, axis: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = _NO_VALUE) -> Variable:
        """Are all elements true?"""
        return self._call(np.all, axis=axis, out=out, keepdims=keepdims, where=where)

    def cumsum(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
        """Sums of the elements so far."""
        return self._call(np.cumsum, axis=axis, dtype=dtype, out=out)

    def cumprod(self, axis: Any = None, dtype: Any = None, out: Any = None) -> Variable:
        """Products of the elements so far."""
        return self._call(np.cumprod, axis=axis, dtype=dtype, out=out)

    def trace(self, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None) -> Variable:
        """The sum of a diagonal."""
        return self._call(np.trace, offset, axis1, axis2, dtype=dtype, out=out)

    def dot(self, b: Any, out: Any = None) -> Variable:
        """`numpy.dot`."""
        return self._call(np.dot, b, out=out)

    # --- element by element

    def clip(
        self,
        min: Any = None,  # noqa: A002 - the names of NumPy
        max: Any = None,  # noqa: A002
        out: Any = None,
        **options: Any,
    ) -> Variable:
        """Limited to an interval."""
        return self._call(np.clip, min, max, out=out, **options)

    def round(self, decimals: Any = 0, out: Any = None) -> Variable:
        """Rounded to some decimals."""
        return self._call(np.round, decimals=decimals, out=out)

    def conj(self) -> Variable:
        """The conjugate: the array itself, as it is real."""
        return self.real

    def conjugate(self) -> Variable:
        """The conjugate: the array itself, as it is real."""
        return self.real

    # --- what changes an array in place

    def sort(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: it would change the Variable."""
        self._in_place("sort", "np.sort(x), a new array")

    def partition(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: it would change the Variable."""
        self._in_place("partition", "np.partition(x, kth), a new array")

    def fill(self, value: Any) -> None:  # noqa: ARG002 - arrays have another (`assignable`)
        """Refused: a number never changes."""
        self._in_place("fill", "np.full_like(x, value), a new array")

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:  # noqa: ARG002
        """Refused: a number never changes."""
        self._in_place("put", "np.where(mask, values, x), a new array")

    def itemset(self, *_: Any) -> NoReturn:
        """Refused: it would change the Variable."""
        self._in_place("itemset", "np.where(mask, value, x), a new array")

    def resize(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: it would change the Variable."""
        self._in_place("resize", "np.resize(x, shape), a new array")
