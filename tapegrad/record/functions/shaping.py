"""NumPy's functions that move numbers and leave them as they are: shapes, axes, joining."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.record.functions.common import (
    as_dtype,
    find_variable,
    join,
    lengths,
    misfit,
    normalize_axes,
    normalize_axis,
    operand,
    pile,
    promote,
    recorder_of,
    refuse,
    reshaped,
    stretch,
    transposed,
)
from tapegrad.record.recorder import Recorder
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

# --- shapes


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: Any = None) -> Variable:
    """`numpy.reshape`; a Variable never changes, so `copy` makes no difference."""
    v = operand(a)
    wanted = _target(v, lengths(shape))
    if not _is_fortran(v, "reshape", order, "CFA") or wanted == v.shape:
        return reshaped(v, wanted)
    return _reversed(reshaped(_reversed(v), wanted[::-1]))


def ravel(a: Any, order: str = "C") -> Variable:
    """`numpy.ravel`."""
    v = operand(a)
    return reshaped(_reversed(v) if _is_fortran(v, "ravel", order, "CFAK") else v, (v.size,))


def _is_fortran(v: Variable, operation: str, order: str, known: str) -> bool:
    """Whether elements are read with the first axis fastest. A Variable itself is laid out in C order."""
    if order is None or order not in known:
        raise unsupported(operation, f"order={order!r}", f"one of {', '.join(known)}", v._recorder)
    return order == "F"


def _reversed(v: Variable) -> Variable:
    return transposed(v, tuple(range(v.ndim))[::-1])


def _target(v: Variable, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its one unknown length, -1, filled in."""
    unknown = [a for a, n in enumerate(shape) if n < 0]
    known = math.prod(n for n in shape if n >= 0)
    filled = shape
    if len(unknown) == 1 and known:
        filled = tuple(v.size // known if n < 0 else n for n in shape)
    if len(unknown) > 1 or math.prod(filled) != v.size or (unknown and not known):
        found = f"{v.size} elements, of shape {v.shape}, and the new shape {shape}"
        raise misfit(v._recorder, "reshape", found, "a shape of as many elements, one length of it -1 at most")
    return filled


def squeeze(a: Any, axis: Any = None) -> Variable:
    """`numpy.squeeze`."""
    v = operand(a)
    if axis is None:
        return reshaped(v, tuple(n for n in v.shape if n != 1))
    if v.ndim == 0 and axis in (0, -1):
        return v
    axes = normalize_axes(axis, v.ndim, "squeeze", v._recorder)
    if any(v.shape[k] != 1 for k in axes):
        raise misfit(v._recorder, "squeeze", f"axis {axis} of shape {v.shape}", "axes of length 1")
    return reshaped(v, tuple(n for k, n in enumerate(v.shape) if k not in axes))


def expand_dims(a: Any, axis: Any) -> Variable:
    """`numpy.expand_dims`."""
    v = operand(a)
    new = lengths(axis)
    ndim = v.ndim + len(new)
    places = normalize_axes(new, ndim, "expand_dims", v._recorder)
    kept = iter(v.shape)
    return reshaped(v, tuple(1 if k in places else next(kept) for k in range(ndim)))


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Variable:
    """`numpy.broadcast_to`."""
    v, wanted = operand(array), lengths(shape)
    fits = len(wanted) >= v.ndim and all(n >= 0 for n in wanted)
    if not fits or any(n not in (1, m) for n, m in zip(v.shape[::-1], wanted[::-1], strict=False)):
        raise misfit(v._recorder, "broadcast_to", f"shape {v.shape}", f"one that broadcasts to {wanted}")
    return v if v.shape == wanted else v._recorder.apply("broadcast_to", wanted, v)


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """`numpy.broadcast_arrays`; what is no Variable stays an array."""
    recorder = recorder_of(*args)
    values = [operand(x) if find_variable(x) is not None else np.asarray(x) for x in args]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in values))
    except ValueError:
        found = f"shapes {' and '.join(str(x.shape) for x in values)}"
        raise misfit(recorder, "broadcast_arrays", found, "shapes that broadcast") from None
    return tuple(broadcast_to(x, shape) if isinstance(x, Variable) else np.broadcast_to(x, shape) for x in values)


def _at_least(ndim: int, values: tuple[Any, ...], numpy_function: Callable[[Any], Any]) -> Any:
    out = tuple(_padded(operand(x), ndim) if find_variable(x) is not None else numpy_function(x) for x in values)
    return out[0] if len(out) == 1 else out


def _padded(v: Variable, ndim: int) -> Variable:
    """Axes of length 1 put in front, up to `ndim` axes."""
    return reshaped(v, (1,) * (ndim - v.ndim) + v.shape)


def atleast_1d(*arys: Any) -> Any:
    """`numpy.atleast_1d`."""
    return _at_least(1, arys, np.atleast_1d)


def atleast_2d(*arys: Any) -> Any:
    """`numpy.atleast_2d`."""
    return _at_least(2, arys, np.atleast_2d)


# --- the order of axes and of elements


def transpose(a: Any, axes: Any = None) -> Variable:
    """`numpy.transpose`."""
    v = operand(a)
    if axes is None:
        return _reversed(v)
    order = lengths(axes)
    if len(order) != v.ndim:
        raise misfit(v._recorder, "transpose", f"axes {order} for shape {v.shape}", "one for each axis")
    return transposed(v, normalize_axes(order, v.ndim, "transpose", v._recorder))


def matrix_transpose(x: Any, /) -> Variable:
    """`numpy.matrix_transpose`."""
    v = operand(x)
    if v.ndim < 2:
        raise misfit(v._recorder, "matrix_transpose", f"shape {v.shape}", "two axes or more")
    return swapaxes(v, -1, -2)


def swapaxes(a: Any, axis1: Any, axis2: Any) -> Variable:
    """`numpy.swapaxes`."""
    v = operand(a)
    j, k = (normalize_axis(axis, v.ndim, "swapaxes", v._recorder) for axis in (axis1, axis2))
    return transposed(v, tuple(k if n == j else j if n == k else n for n in range(v.ndim)))


def moveaxis(a: Any, source: Any, destination: Any) -> Variable:
    """`numpy.moveaxis`."""
    v = operand(a)
    sources = normalize_axes(lengths(source), v.ndim, "moveaxis", v._recorder)
    targets = normalize_axes(lengths(destination), v.ndim, "moveaxis", v._recorder)
    if len(sources) != len(targets):
        found = f"{len(sources)} axes to move to {len(targets)} places"
        raise misfit(v._recorder, "moveaxis", found, "as many places as axes")
    order = [k for k in range(v.ndim) if k not in sources]
    for target, k in sorted(zip(targets, sources, strict=True)):
        order.insert(target, k)
    return transposed(v, tuple(order))


def flip(m: Any, axis: Any = None) -> Variable:
    """`numpy.flip`."""
    v = operand(m)
    axes = normalize_axes(axis if axis is None else lengths(axis), v.ndim, "flip", v._recorder)
    windows = tuple((n - 1, -1, n) if k in axes and n > 1 else (0, 1, n) for k, n in enumerate(v.shape))
    return v._recorder.apply("slice", windows, v) if any(step < 0 for _, step, _ in windows) else v


def flipud(m: Any) -> Variable:
    """`numpy.flipud`."""
    return flip(m, 0)


def fliplr(m: Any) -> Variable:
    """`numpy.fliplr`."""
    return flip(m, 1)


# --- joining


def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Variable:
    """`numpy.concatenate`."""
    recorder = recorder_of(arrays, out)
    refuse("concatenate", recorder, out=out)
    if isinstance(arrays, Variable) and arrays.ndim > 1:
        result = _merged(arrays, axis)
    else:
        result = _concatenated(recorder, listed(recorder, arrays), axis, "concatenate")
    return as_dtype(result, dtype, "concatenate", casting)


def stack(arrays: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Variable:
    """`numpy.stack`."""
    recorder = recorder_of(arrays, out)
    refuse("stack", recorder, out=out)
    if isinstance(arrays, Variable) and arrays.size:
        result = recorder.again(moveaxis(arrays, 0, axis))
    else:
        rows = listed(recorder, arrays)
        result = pile(recorder, rows, normalize_axis(axis, rows[0].ndim + 1, "stack", recorder), "stack")
    return as_dtype(result, dtype, "stack", casting)


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Variable:
    """`numpy.hstack`."""
    recorder = recorder_of(tup)
    items = [_padded(v, 1) for v in listed(recorder, tup)]
    result = _concatenated(recorder, items, 0 if items[0].ndim == 1 else 1, "hstack")
    return as_dtype(result, dtype, "hstack", casting)


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Variable:
    """`numpy.vstack`."""
    recorder = recorder_of(tup)
    result = _concatenated(recorder, [_padded(v, 2) for v in listed(recorder, tup)], 0, "vstack")
    return as_dtype(result, dtype, "vstack", casting)


def column_stack(tup: Any) -> Variable:
    """`numpy.column_stack`."""
    recorder = recorder_of(tup)
    columns = [reshaped(v, (v.size, 1)) if v.ndim < 2 else v for v in listed(recorder, tup)]
    return _concatenated(recorder, columns, 1, "column_stack")


def listed(recorder: Recorder, arrays: Any) -> list[Variable]:
    """What is to be joined, of one kind; a Variable stands for its rows."""
    if not isinstance(arrays, Variable):
        return promote(recorder, arrays)
    if arrays.ndim == 0 or arrays.shape[0] == 0:
        raise misfit(recorder, "joining", f"a Variable of shape {arrays.shape}", "a sequence of arrays")
    return [reshaped(stretch(arrays, 0, k, 1), arrays.shape[1:]) for k in range(arrays.shape[0])]


def _merged(v: Variable, axis: Any) -> Variable:
    """The rows of a Variable concatenated: its first axis becomes part of another."""
    if axis is None:
        return reshaped(v, (v.size,))
    k = normalize_axis(axis, v.ndim - 1, "concatenate", v._recorder)
    rest = v.shape[1:]
    return reshaped(moveaxis(v, 0, k), (*rest[:k], v.shape[0] * rest[k], *rest[k + 1 :]))


def _concatenated(recorder: Recorder, items: list[Variable], axis: Any, operation: str) -> Variable:
    if len(items) == 1:
        items = [recorder.again(items[0])]
    if axis is None:
        return join(recorder, [reshaped(v, (v.size,)) for v in items], 0)
    shape = items[0].shape
    if not shape:
        raise misfit(recorder, operation, "arrays without axes", "arrays of one axis or more, or axis=None")
    k = normalize_axis(axis, len(shape), operation, recorder)
    for v in items:
        if v.ndim != len(shape) or v.shape[:k] != shape[:k] or v.shape[k + 1 :] != shape[k + 1 :]:
            wanted = f"shapes that agree but along axis {k}"
            raise misfit(recorder, operation, f"shapes {shape} and {v.shape}", wanted)
    return join(recorder, items, k)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.reshape: reshape,
        np.ravel: ravel,
        np.squeeze: squeeze,
        np.expand_dims: expand_dims,
        np.broadcast_to: broadcast_to,
        np.broadcast_arrays: broadcast_arrays,
        np.atleast_1d: atleast_1d,
        np.atleast_2d: atleast_2d,
        np.transpose: transpose,
        np.matrix_transpose: matrix_transpose,
        np.swapaxes: swapaxes,
        np.moveaxis: moveaxis,
        np.flip: flip,
        np.flipud: flipud,
        np.fliplr: fliplr,
        np.concatenate: concatenate,
        np.stack: stack,
        np.hstack: hstack,
        np.vstack: vstack,
        getattr(np, "row_stack", "row_stack"): vstack,  # NumPy's old name, which is on its way out
        np.column_stack: column_stack,
    }
)
