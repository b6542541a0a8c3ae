"""NumPy's functions that build arrays of others: blocks, grids, diagonals, triangles, Kronecker products."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, INT
from tapegrad.record.functions.common import (
    constant,
    find_variable,
    fresh,
    join,
    lift,
    misfit,
    normalize_axis,
    operand,
    promote,
    recorder_of,
    reshaped,
    transposed,
)
from tapegrad.record.functions.picking import known
from tapegrad.record.functions.reducing import sum as sum_over
from tapegrad.record.functions.shaping import broadcast_to, concatenate, listed
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

# --- joining


def atleast_3d(*arys: Any) -> Any:
    """`numpy.atleast_3d`."""
    found = tuple(_deep(operand(x)) if find_variable(x) is not None else np.atleast_3d(x) for x in arys)
    return found[0] if len(found) == 1 else found


def _deep(v: Variable) -> Variable:
    """Three axes: of fewer the first one becomes the second."""
    return v if v.ndim > 2 else reshaped(v, ((), (1, 1, 1), (1, *v.shape, 1), (*v.shape, 1))[v.ndim + 1])


def dstack(tup: Any) -> Variable:
    """`numpy.dstack`."""
    return concatenate([_deep(v) for v in listed(recorder_of(tup), tup)], 2)


def block(arrays: Any) -> Variable:
    """`numpy.block`: the innermost lists are joined along the last axis, those around them along the one before."""
    recorder = recorder_of(arrays)
    depth = _depth(recorder, arrays)
    leaves = iter(promote(recorder, _leaves(arrays)))
    lifted = _mapped(arrays, lambda _: next(leaves))
    ndim = max(depth, *[v.ndim for v in _leaves(lifted)])
    padded = _mapped(lifted, lambda v: reshaped(v, (1,) * (ndim - v.ndim) + v.shape))
    return recorder.again(_blocks(recorder, padded, ndim - depth))


def _depth(recorder: Recorder, arrays: Any) -> int:
    """How deep the lists are nested: the same everywhere."""
    if not isinstance(arrays, list):
        if isinstance(arrays, tuple):
            raise misfit(recorder, "block", "a tuple", "lists of lists of arrays")
        return 0
    depths = {_depth(recorder, item) for item in arrays}
    if len(depths) != 1:
        found = (
            f"lists nested {' and '.join(map(str, sorted(depths)))} deep side by side" if depths else "an empty list"
        )
        raise misfit(recorder, "block", found, "lists nested equally deep, none of them empty")
    return 1 + depths.pop()


def _leaves(arrays: Any) -> list[Any]:
    return [leaf for item in arrays for leaf in _leaves(item)] if isinstance(arrays, list) else [arrays]


def _mapped(arrays: Any, change: Callable[[Any], Variable]) -> Any:
    return [_mapped(item, change) for item in arrays] if isinstance(arrays, list) else change(arrays)


def _blocks(recorder: Recorder, arrays: Any, axis: int) -> Variable:
    if not isinstance(arrays, list):
        found: Variable = arrays
        return found
    return concatenate([_blocks(recorder, item, axis + 1) for item in arrays], axis)


# --- grids


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """`numpy.meshgrid`; what is no Variable stays an array."""
    recorder = recorder_of(*xi)
    if indexing not in {"xy", "ij"}:
        raise misfit(recorder, "meshgrid", f"indexing={indexing!r}", "'xy' or 'ij'")
    values = [operand(x) if find_variable(x) is not None else np.asarray(x) for x in xi]
    order = list(range(len(values)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    shape = tuple(values[k].size for k in order)
    grids: list[Any] = []
    for k, value in enumerate(values):
        own = tuple(n if order[a] == k else 1 for a, n in enumerate(shape))
        wanted = own if sparse else shape
        if isinstance(value, Variable):
            grids.append(recorder.again(broadcast_to(reshaped(value, own), wanted)))
        else:
            grids.append(np.broadcast_to(value.reshape(own), wanted).copy())
    return tuple(grids)


def ix_(*args: Any) -> tuple[Any, ...]:
    """`numpy.ix_`; what is no integer Variable becomes an array, of boolean Variables with a guard."""
    recorder = recorder_of(*args)
    grids: list[Any] = []
    for k, x in enumerate(args):
        before, after = (1,) * k, (1,) * (len(args) - 1 - k)
        v: Any = operand(x) if find_variable(x) is not None else x
        v = v if isinstance(v, Variable) and v._kind == INT else known(recorder, v, "ix_", "indices")
        if v.ndim != 1:
            raise misfit(recorder, "ix_", f"shape {v.shape}", "sequences: one axis each")
        if not isinstance(v, Variable):
            grids.append(np.ix_(v)[0].reshape(*before, -1, *after))
        else:
            grids.append(reshaped(v, (*before, v.size, *after)))
    return tuple(grids)


# --- diagonals and triangles


def diag(v: Any, k: Any = 0) -> Variable:
    """`numpy.diag`: a vector as a diagonal, or the diagonal of a matrix."""
    x = operand(v)
    if x.ndim == 1:
        return _diagonal_matrix(x, operator.index(k))
    if x.ndim != 2:
        raise misfit(x._recorder, "diag", f"shape {x.shape}", "one axis or two")
    return diagonal(x, k)


def diagflat(v: Any, k: Any = 0) -> Variable:
    """`numpy.diagflat`."""
    x = operand(v)
    return _diagonal_matrix(reshaped(x, (x.size,)), operator.index(k))


def _diagonal_matrix(x: Variable, offset: int) -> Variable:
    recorder = x._recorder
    n = x.size + abs(offset)
    if x.size == 0:
        return constant(recorder, 0, (n, n), x._kind)
    window = (offset if offset > 0 else -offset * n, n + 1 if x.size > 1 else 1, x.size)
    return reshaped(recorder.apply("pad", ((n * n,), (window,)), x), (n, n))


def diagonal(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Variable:
    """`numpy.diagonal`."""
    return _diagonal("diagonal", operand(a), offset, axis1, axis2)


def _diagonal(operation: str, v: Variable, offset: Any, axis1: Any, axis2: Any) -> Variable:
    """The elements whose places along two axes differ by the offset, along a new last axis."""
    recorder = v._recorder
    if v.ndim < 2:
        raise misfit(recorder, operation, f"shape {v.shape}", "two axes or more")
    first, second = (normalize_axis(axis, v.ndim, operation, recorder) for axis in (axis1, axis2))
    if first == second:
        raise misfit(recorder, operation, f"axes {axis1} and {axis2}", "two different axes")
    v = transposed(v, (*[a for a in range(v.ndim) if a not in {first, second}], first, second))
    rest, (rows, columns) = v.shape[:-2], v.shape[-2:]
    shift = operator.index(offset)
    count = max(0, min(rows, columns - shift) if shift >= 0 else min(rows + shift, columns))
    start = shift if shift >= 0 else -shift * columns
    window = (start, columns + 1 if count > 1 else 1, count) if count else (0, 1, 0)
    flat = reshaped(v, (*rest, rows * columns))
    return recorder.apply("slice", (*[(0, 1, n) for n in rest], window), flat)


def trace(a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None, out: Any = None) -> Variable:
    """`numpy.trace`."""
    return sum_over(_diagonal("trace", operand(a), offset, axis1, axis2), -1, dtype, out)


def tril(m: Any, k: Any = 0) -> Variable:
    """`numpy.tril`."""
    return _triangle("tril", m, operator.index(k), lower=True)


def triu(m: Any, k: Any = 0) -> Variable:
    """`numpy.triu`."""
    return _triangle("triu", m, operator.index(k) - 1, lower=False)


def _triangle(operation: str, m: Any, k: int, *, lower: bool) -> Variable:
    v = operand(m)
    if not v.shape:
        raise misfit(v._recorder, operation, "an array without axes", "one axis or more")
    below = np.tri(v.shape[-min(v.ndim, 2)], v.shape[-1], k, dtype=np.bool_)
    mask = fresh(v._recorder, below if lower else ~below)
    return v._recorder.elementwise("where", mask, v, constant(v._recorder, 0, (), v._kind))


def _indices_from(function: Callable[..., Any]) -> Callable[..., Any]:
    """`numpy.tril_indices_from` and its relative: plain arrays, because only the shape is asked for."""

    def record(arr: Any, k: Any = 0) -> Any:
        v = operand(arr)
        if v.ndim != 2:
            raise misfit(v._recorder, f"{function.__name__}_from", f"shape {v.shape}", "two axes")
        return function(v.shape[0], k=k, m=v.shape[1])

    return record


def diag_indices_from(arr: Any) -> Any:
    """`numpy.diag_indices_from`: plain arrays, because only the shape is asked for."""
    v = operand(arr)
    if v.ndim < 2 or len(set(v.shape)) != 1:
        raise misfit(v._recorder, "diag_indices_from", f"shape {v.shape}", "two axes or more, all of one length")
    return np.diag_indices(v.shape[0], v.ndim)


# --- products of all with all


def kron(a: Any, b: Any) -> Variable:
    """`numpy.kron`: each element of a times all of b, laid out as blocks."""
    recorder = recorder_of(a, b)
    x, y = lift(recorder, a), lift(recorder, b)
    ndim = max(x.ndim, y.ndim)
    x, y = (reshaped(v, (1,) * (ndim - v.ndim) + v.shape) for v in (x, y))
    outer = tuple(length for n in x.shape for length in (n, 1))
    inner = tuple(length for n in y.shape for length in (1, n))
    product = recorder.elementwise("multiply", reshaped(x, outer), reshaped(y, inner))
    return reshaped(product, tuple(m * n for m, n in zip(x.shape, y.shape, strict=True)))


def vander(x: Any, N: Any = None, increasing: bool = False) -> Variable:  # noqa: N803 - NumPy's name
    """`numpy.vander`: a column for each power."""
    v = operand(x)
    recorder = v._recorder
    count = v.size if N is None else operator.index(N)
    if v.ndim != 1 or count < 0:
        raise misfit(
            recorder, "vander", f"shape {v.shape} and N={count}", "one axis, and no negative number of columns"
        )
    v = recorder.cast(v, INT) if v._kind == BOOL else v
    if count == 0:
        return constant(recorder, 0, (v.size, 0), v._kind)
    powers = [constant(recorder, 1, v.shape, v._kind)]
    for _ in range(1, count):
        powers.append(v if len(powers) == 1 else recorder.elementwise("multiply", powers[-1], v))
    columns = [reshaped(p, (v.size, 1)) for p in (powers if increasing else powers[::-1])]
    return join(recorder, columns, 1)


TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        np.atleast_3d: atleast_3d,
        np.dstack: dstack,
        np.block: block,
        np.meshgrid: meshgrid,
        np.ix_: ix_,
        np.diag: diag,
        np.diagflat: diagflat,
        np.diagonal: diagonal,
        np.trace: trace,
        np.tril: tril,
        np.triu: triu,
        np.tril_indices_from: _indices_from(np.tril_indices),
        np.triu_indices_from: _indices_from(np.triu_indices),
        np.diag_indices_from: diag_indices_from,
        np.kron: kron,
        np.vander: vander,
    }
)
