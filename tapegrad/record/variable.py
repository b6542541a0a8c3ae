"""Variables: what a function sees in place of its arguments while it is recorded."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from tapegrad.errors import ConversionError, LeakedVariableError, UnsupportedError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT

if TYPE_CHECKING:
    from tapegrad.record.recorder import Recorder


class Variable:
    """A slot of the tape being recorded: behaves like a NumPy array, holds no value.

    This class has no axes; those that have are `Array`s. (A 0-d array has no length, and NumPy takes
    whatever has a `__len__` for a sequence.)
    """

    __slots__ = ("_active", "_recorder", "_slot", "_type")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    _active: bool
    _recorder: Recorder
    _slot: int
    _type: int

    # --- what an array has

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

    def __repr__(self) -> str:
        state = "" if self._recorder.open else ", of a recording that has ended"
        return f"<{type(self).__name__} v{self._slot} of shape {self.shape}, {self.dtype}{state}>"

    def __format__(self, spec: str) -> str:
        return repr(self)  # a Variable has no value that could be printed to some places

    def __deepcopy__(self, memo: Any) -> Variable:
        return self  # as `copy`

    # --- operators

    def __add__(self, other: Any) -> Variable:
        return self._recorder.elementwise("add", self, other)

    def __radd__(self, other: Any) -> Variable:
        return self._recorder.elementwise("add", other, self)

    def __sub__(self, other: Any) -> Variable:
        return self._recorder.elementwise("subtract", self, other)

    def __rsub__(self, other: Any) -> Variable:
        return self._recorder.elementwise("subtract", other, self)

    def __mul__(self, other: Any) -> Variable:
        return self._recorder.elementwise("multiply", self, other)

    def __rmul__(self, other: Any) -> Variable:
        return self._recorder.elementwise("multiply", other, self)

    def __truediv__(self, other: Any) -> Variable:
        return self._recorder.elementwise("divide", self, other)

    def __rtruediv__(self, other: Any) -> Variable:
        return self._recorder.elementwise("divide", other, self)

    def __floordiv__(self, other: Any) -> Variable:
        return self._recorder.elementwise("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> Variable:
        return self._recorder.elementwise("floor_divide", other, self)

    def __mod__(self, other: Any) -> Variable:
        return self._recorder.elementwise("remainder", self, other)

    def __rmod__(self, other: Any) -> Variable:
        return self._recorder.elementwise("remainder", other, self)

    def __pow__(self, other: Any) -> Variable:
        if type(other) is int and other == 2 and self._kind == FLOAT:
            return self._recorder.elementwise("square", self)
        return self._call(np.power, other)

    def __rpow__(self, other: Any) -> Variable:
        return self._recorder.functions[np.power](other, self)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> Variable:
        return self._call(np.matmul, other)

    def __rmatmul__(self, other: Any) -> Variable:
        return self._recorder.functions[np.matmul](other, self)  # type: ignore[no-any-return]

    def __neg__(self) -> Variable:
        return self._recorder.elementwise("negative", self)

    def __pos__(self) -> Variable:
        return self

    def __abs__(self) -> Variable:
        return self._recorder.elementwise("absolute", self)

    def __lt__(self, other: Any) -> Variable:
        return self._recorder.elementwise("less", self, other)

    def __le__(self, other: Any) -> Variable:
        return self._recorder.elementwise("less_equal", self, other)

    def __gt__(self, other: Any) -> Variable:
        return self._recorder.elementwise("greater", self, other)

    def __ge__(self, other: Any) -> Variable:
        return self._recorder.elementwise("greater_equal", self, other)

    def __eq__(self, other: object) -> Variable:  # type: ignore[override]
        return self._recorder.elementwise("equal", self, other)

    def __ne__(self, other: object) -> Variable:  # type: ignore[override]
        return self._recorder.elementwise("not_equal", self, other)

    def __and__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_and", *self._booleans("&", self, other))

    def __rand__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_and", *self._booleans("&", other, self))

    def __or__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_or", *self._booleans("|", self, other))

    def __ror__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_or", *self._booleans("|", other, self))

    def __xor__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_xor", *self._booleans("^", self, other))

    def __rxor__(self, other: Any) -> Variable:
        return self._recorder.elementwise("logical_xor", *self._booleans("^", other, self))

    def __invert__(self) -> Variable:
        return self._recorder.elementwise("logical_not", *self._booleans("~", self))

    def _booleans(self, sign: str, *values: Any) -> list[Variable]:
        lifted = [self._recorder.lift(v) for v in values]
        if any(v._kind != BOOL for v in lifted):
            found = " and ".join(str(v.dtype) for v in lifted)
            self._refuse(f"operator {sign}", f"operands of dtype {found}", "booleans")
        return lifted

    # Without axes there is nothing to iterate over. (With `__getitem__` alone Python would find an empty sequence.)
    __iter__: Any = None

    # --- values, which Python asks for: each records a guard

    def __bool__(self) -> bool:
        if self.size != 1:
            self._refuse("bool()", f"shape {self.shape}", "one element, or .any() and .all()")
        return bool(self._recorder.guard(self._scalar(), BOOL))

    def __int__(self) -> int:
        return int(self._recorder.guard_number(self, INT, ""))

    def __index__(self) -> int:
        if self._kind == FLOAT:
            self._refuse("index", f"a Variable of dtype {self.dtype}", "an integer: int(x) cuts to one, with a guard")
        return int(self._recorder.guard_number(self, INT, ""))

    def __float__(self) -> float:
        wanted = (
            "the Variable itself, because float() would cut its derivative: write np.sin(x), not math.sin(x), "
            "and leave float() out (tapegrad.stop_gradient(x) cuts on purpose); "
            "build arrays with np.stack or np.concatenate, not by assigning elements"
        )
        return float(self._recorder.guard_number(self, FLOAT, wanted))

    def __complex__(self) -> NoReturn:
        self._refuse("complex()", "a Variable", "real numbers: complex arrays are not supported yet")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        if not self._recorder.open:
            raise LeakedVariableError(
                describe(
                    "numpy.asarray",
                    found=f"{self!r}",
                    wanted="values that the recorded function returns",
                )
            )
        self._refuse(
            "conversion to an array",
            "a Variable, which has no values yet (np.array, np.full, assignment into an array ask for them)",
            "tapegrad.numpy, whose array, asarray, full, stack ... record: import tapegrad.numpy as np",
        )

    def _refuse(self, operation: str, found: str, wanted: str) -> NoReturn:
        raise ConversionError(describe(operation, found=found, wanted=wanted, line=self._recorder.line()))

    def _scalar(self) -> Variable:
        return self._recorder.apply("reshape", (), self) if self.shape else self

    # --- NumPy's protocols

    def _call(self, function: Any, *arguments: Any, **options: Any) -> Variable:
        """What NumPy's function does when it is called on this Variable."""
        return self._recorder.functions[function](self, *arguments, **options)  # type: ignore[no-any-return]

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        recorder = self._recorder
        if not options and method == "__call__" and ufunc in recorder.functions:
            return recorder.functions[ufunc](*inputs)
        out = options.pop("out", None)
        if out is not None and (len(out) != 1 or out[0] is not inputs[0] or isinstance(out[0], Variable)):
            self._unsupported(ufunc.__name__, "out=", "a call without it")
        if method == "reduce" and ufunc in recorder.functions and (ufunc, method) in recorder.functions:
            return recorder.functions[ufunc, method](*inputs, **options)
        function = recorder.functions.get(ufunc) or self._special(ufunc)
        if method != "__call__" or function is None:
            name = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
            self._unsupported(name, "a Variable", "a function that tapegrad knows")
        if options.pop("where", True) is not True:
            self._unsupported(ufunc.__name__, "where=", "a call without it: np.where chooses")
        dtype = options.pop("dtype", None)
        if dtype is not None and np.dtype(dtype) != recorder.dtype:
            self._unsupported(ufunc.__name__, f"dtype={np.dtype(dtype)}", f"{recorder.dtype}, the dtype of the tape")
        if set(options) - {"casting", "order", "subok"}:
            self._unsupported(ufunc.__name__, f"keywords {sorted(options)}", "a call without them")
        result = function(*inputs)
        if out is not None:
            recorder.replace(out[0], ufunc.__name__)
        return result

    def _special(self, ufunc: np.ufunc) -> Any:
        """What runs for a ufunc of scipy.special; those are known by name, because importing them is slow."""
        name = ufunc.__name__
        ours = getattr(sys.modules.get("scipy.special"), name, None) is ufunc
        return self._recorder.functions.get(name) if ours else None

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        known = self._recorder.functions.get(function)
        if known is None:
            module = getattr(function, "__module__", "numpy") or "numpy"
            name = getattr(function, "__name__", str(function))
            self._unsupported(f"{module}.{name}", "a Variable", "a function that tapegrad knows")
        return known(*arguments, **options)

    def _unsupported(self, operation: str, found: str, wanted: str) -> NoReturn:
        raise UnsupportedError(describe(operation, found=found, wanted=wanted, line=self._recorder.line()))

    # --- methods of arrays

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Variable:
        """Sum over axes."""
        return self._call(np.sum, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Variable:
        """Mean over axes."""
        return self._call(np.mean, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def max(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Variable:
        """Largest over axes."""
        return self._call(np.max, axis=axis, out=out, keepdims=keepdims)

    def min(self, axis: Any = None, out: Any = None, keepdims: bool = False) -> Variable:
        """Smallest over axes."""
        return self._call(np.min, axis=axis, out=out, keepdims=keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Variable:
        """Product over axes."""
        return self._call(np.prod, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def reshape(self, *shape: Any, order: str = "C") -> Variable:
        """The same elements in another shape."""
        return self._call(np.reshape, shape[0] if len(shape) == 1 else shape, order=order)

    def transpose(self, *axes: Any) -> Variable:
        """Axes permuted; reversed if none are given."""
        return self._call(np.transpose, axes[0] if len(axes) == 1 else (axes or None))

    def ravel(self, order: str = "C") -> Variable:
        """One axis."""
        return self._call(np.ravel, order=order)

    def flatten(self, order: str = "C") -> Variable:
        """One axis."""
        return self._call(np.ravel, order=order)

    def squeeze(self, axis: Any = None) -> Variable:
        """Without axes of length 1."""
        return self._call(np.squeeze, axis=axis)

    def swapaxes(self, axis1: int, axis2: int) -> Variable:
        """Two axes swapped."""
        return self._call(np.swapaxes, axis1, axis2)

    def dot(self, other: Any) -> Variable:
        """`numpy.dot`."""
        return self._call(np.dot, other)

    def clip(self, min: Any = None, max: Any = None) -> Variable:  # noqa: A002 - the names of NumPy
        """Limited to an interval."""
        return self._call(np.clip, min, max)

    def copy(self, order: str = "C") -> Variable:  # noqa: ARG002 - the signature of NumPy
        """The same values: a Variable never changes, so it is its own copy."""
        return self

    def astype(self, dtype: Any, **_: Any) -> Variable:
        """As the tape's floating dtype, int64 or bool."""
        kind = np.dtype(dtype).kind
        if kind not in "fiub":
            self._refuse("astype", f"dtype {np.dtype(dtype)}", "a floating, integer or boolean dtype")
        return self._recorder.cast(self, FLOAT if kind == "f" else BOOL if kind == "b" else INT)

    def item(self) -> float:
        """As `float()`."""
        return float(self)

    def any(self, axis: Any = None) -> Variable:
        """Is any element true?"""
        return self._call(np.any, axis=axis)

    def all(self, axis: Any = None) -> Variable:
        """Are all elements true?"""
        return self._call(np.all, axis=axis)

    def __getitem__(self, index: Any) -> Variable:
        return self._recorder.functions[operator.getitem](self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> NoReturn:
        self._unsupported(
            "item assignment", "x[index] = value", "a new array: np.where, np.concatenate, or x * mask + value"
        )


class Array(Variable):
    """A Variable with axes: it has a length and can be iterated over."""

    __slots__ = ()

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Variable]:
        return (self[i] for i in range(len(self)))
