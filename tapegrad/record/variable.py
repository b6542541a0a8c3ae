"""Variables: what a function sees in place of its arguments while it is recorded."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final, NoReturn

import numpy as np

from tapegrad.errors import ComplexError, LeakedVariableError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.assignable import Assignable
from tapegrad.record.guards import guard, guard_number
from tapegrad.record.methods import Methods

ARGUMENT: Final = "an argument"  # in place of what is known of an array's memory


def _is_sparse_product(frame: FrameType) -> bool:
    """Is it `A @ x` of a sparse matrix that asks for values?

    To an object without axes it says `NotImplemented`, and Python goes on to `Variable.__rmatmul__`. To all others an
    array of objects would be of no use, and silent.
    """
    called: str = frame.f_globals.get("__name__", "")
    return frame.f_code.co_name == "_matmul_dispatch" and called.startswith("scipy.sparse.")


class Variable(Methods):
    """A slot of the tape being recorded: behaves like a NumPy array, holds no value.

    This class has no axes; those that have are `Array`s. (A 0-d array has no length, and NumPy takes
    whatever has a `__len__` for a sequence.)
    """

    __slots__ = ("__weakref__", "_active", "_memory", "_recorder", "_slot", "_type")
    __array_priority__ = 1000.0
    __hash__ = None  # type: ignore[assignment]

    _active: bool
    _memory: Any  # what is known of its views, see `functions/memory.py`; often not set
    _slot: int
    _numbers: Any = None  # of an array of numbers that is not on the tape

    def __repr__(self) -> str:
        state = "" if self._recorder.open else ", of a recording that has ended"
        return f"<{type(self).__name__} v{self._slot} of shape {self.shape}, {self.dtype}{state}>"

    def __format__(self, spec: str) -> str:
        return repr(self)  # a Variable has no value that could be printed to some places

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

    def __divmod__(self, other: Any) -> tuple[Variable, Variable]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Variable, Variable]:
        return other // self, other % self

    def __pow__(self, other: Any) -> Variable:
        if type(other) is int and other == 2 and self._kind == FLOAT:
            return self._recorder.elementwise("square", self)
        return self._call(np.power, other)

    def __rpow__(self, other: Any) -> Variable:
        return self._recorder.functions[np.power](other, self)  # type: ignore[no-any-return]

    def __matmul__(self, other: Any) -> Variable:
        try:
            return self._call(np.matmul, other)
        except ComplexError:
            return self._complex(np.matmul, (self, other), {})  # type: ignore[no-any-return]

    def __rmatmul__(self, other: Any) -> Variable:
        try:
            return self._recorder.functions[np.matmul](other, self)  # type: ignore[no-any-return]
        except ComplexError:
            return self._complex(np.matmul, (other, self), {})  # type: ignore[no-any-return]

    def __neg__(self) -> Variable:
        return self._recorder.elementwise("negative", self)

    def __pos__(self) -> Variable:
        return self._call(np.positive)

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
        return self._call(np.bitwise_and, other)

    def __rand__(self, other: Any) -> Variable:
        return self._recorder.functions[np.bitwise_and](other, self)  # type: ignore[no-any-return]

    def __or__(self, other: Any) -> Variable:
        return self._call(np.bitwise_or, other)

    def __ror__(self, other: Any) -> Variable:
        return self._recorder.functions[np.bitwise_or](other, self)  # type: ignore[no-any-return]

    def __xor__(self, other: Any) -> Variable:
        return self._call(np.bitwise_xor, other)

    def __rxor__(self, other: Any) -> Variable:
        return self._recorder.functions[np.bitwise_xor](other, self)  # type: ignore[no-any-return]

    def __lshift__(self, other: Any) -> Variable:
        return self._call(np.left_shift, other)

    def __rlshift__(self, other: Any) -> Variable:
        return self._recorder.functions[np.left_shift](other, self)  # type: ignore[no-any-return]

    def __rshift__(self, other: Any) -> Variable:
        return self._call(np.right_shift, other)

    def __rrshift__(self, other: Any) -> Variable:
        return self._recorder.functions[np.right_shift](other, self)  # type: ignore[no-any-return]

    def __invert__(self) -> Variable:
        return self._call(np.invert)

    # Without axes there is nothing to iterate over. (With `__getitem__` alone Python would find an empty sequence.)
    __iter__: Any = None

    # --- values, which Python asks for: each records a guard

    def __bool__(self) -> bool:
        if self.size != 1:
            self._refuse("bool()", f"shape {self.shape}", "one element, or .any() and .all()")
        return bool(guard(self._recorder, self._scalar(), BOOL))

    def __int__(self) -> int:
        return int(guard_number(self._recorder, self, INT, ""))

    def __index__(self) -> int:
        if self._kind == FLOAT:
            self._refuse("index", f"a Variable of dtype {self.dtype}", "an integer: int(x) cuts to one, with a guard")
        return int(guard_number(self._recorder, self, INT, ""))

    def __float__(self) -> float:
        wanted = (
            "the Variable itself, because float() would cut its derivative: write np.sin(x), not math.sin(x), "
            "and leave float() out (tapegrad.stop_gradient(x) cuts on purpose); "
            "to assign elements, make the array with tapegrad.numpy (import tapegrad.numpy as np) or np.zeros_like(x), "
            "or build it with np.stack"
        )
        return float(guard_number(self._recorder, self, FLOAT, wanted))

    def __complex__(self) -> NoReturn:
        self._refuse("complex()", "a Variable", "real numbers: complex arrays are not supported yet")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if not self._recorder.open:
            raise LeakedVariableError(
                describe(
                    "numpy.asarray",
                    found=f"{self!r}",
                    wanted="values that the recorded function returns",
                )
            )
        if _is_sparse_product(sys._getframe(1)):
            held = np.empty((), object)
            held[()] = self
            return held
        value = self._recorder.constant_value(self)
        if value is None:
            self._refuse(
                "conversion to an array",
                "a Variable, which has no values yet (np.array, np.full, assignment into an array ask for them)",
                "tapegrad.numpy, whose array, asarray, zeros, full, stack ... record and can be assigned to: "
                "import tapegrad.numpy as np",
            )
        given = np.array(value, dtype=dtype)
        given.flags.writeable = False
        if copy is not True:  # NumPy's own array would be this one, and change with it
            self._recorder.functions[np.ndarray.__array__](self, given)
        return given

    def _settled(self) -> Variable:
        """A Variable whose slot has the values of this one now: itself, but for arrays that were assigned to."""
        return self

    def _scalar(self) -> Variable:
        return self._recorder.apply("reshape", (), self) if self.shape else self

    # --- NumPy's protocols

    def _complex(self, function: Any, arguments: Any, options: Any) -> Any:
        """What NumPy's function does where some of its arguments are complex. To be called for a `ComplexError`."""
        recorded = self._recorder.functions.get(("complex", function))
        if recorded is None:
            raise  # noqa: PLE0704 - it is being handled
        return recorded(*arguments, **options)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        recorder = self._recorder
        if not options and method == "__call__" and ufunc in recorder.functions:
            try:
                return recorder.functions[ufunc](*inputs)
            except ComplexError:
                return self._complex(ufunc, inputs, {})
        if method == "at" or any(isinstance(o, Variable) for o in options.get("out", ())):
            return recorder.functions[np.ufunc.at if method == "at" else np.ufunc](ufunc, method, inputs, options)
        return recorder.functions["__array_ufunc__"](recorder, ufunc, method, inputs, options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        try:
            return self._recorder.call(function, *arguments, **options)
        except ComplexError:
            return self._complex(function, arguments, options)

    # --- elements

    def __getitem__(self, index: Any) -> Variable:
        return self._recorder.functions[operator.getitem](self, index)  # type: ignore[no-any-return]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._unsupported("item assignment", "a number, which never changes", "an array: np.zeros_like(x) makes one")


class Array(Assignable, Variable):
    """A Variable with axes: it has a length, can be iterated over and assigned to."""

    __slots__ = ()

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Variable]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())
