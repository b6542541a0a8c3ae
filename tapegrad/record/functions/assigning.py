"""Assignment: `x[index] = value`, `x += value`, `out=`, `numpy.add.at`.

Integers and slices select a part of an array, which is replaced (`parts`). Masks choose, by `where`, if what they
select need not be counted. Index arrays become one `scatter_set`, as they become one `gather` where they are read.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.errors import DtypeError, ShapeError, UnsupportedError, describe
from tapegrad.ops.row import BOOL, FLOAT, INT
from tapegrad.record.functions.changes import pend, rebind
from tapegrad.record.functions.common import find_variable, lift, recorder_of, reshaped, transposed
from tapegrad.record.functions.indexing import Selection, inverse, selection, take_apart
from tapegrad.record.functions.known import Known, give, melt
from tapegrad.record.functions.memory import Owner, View, memory_of, register, root_of, shadow_of
from tapegrad.record.functions.outdated import Changed, renew, where
from tapegrad.record.functions.parts import part_of, spread
from tapegrad.record.functions.positions import wrong
from tapegrad.record.functions.viewing import basic, cell, fixed_index
from tapegrad.record.kinds import RANK
from tapegrad.record.pins import pin
from tapegrad.record.refusal import unsupported
from tapegrad.record.variable import Variable

_NAMES: Final = MappingProxyType({FLOAT: "floating", INT: "integer", BOOL: "boolean"})


# --- what is assigned


def assigned(x: Variable, value: Any, shape: tuple[int, ...]) -> Variable:
    """A value as it goes into a part of x of this shape: of x's kind; of that shape, or one number.

    Floats are cut to integers as NumPy does it, but not if they are differentiated.
    """
    recorder = x._recorder
    v = lift(recorder, value, x._kind)
    if (v.shape != shape and v.size != 1) or v.ndim > len(shape):
        extra = v.ndim - len(shape)
        own = v.shape[max(extra, 0) :]
        fits = all(n == 1 for n in v.shape[: max(extra, 0)]) and all(
            n in (1, m) for n, m in zip(own[::-1], shape[::-1], strict=False)
        )
        if not fits:
            wanted = f"a value that broadcasts to shape {shape}"
            raise ShapeError(describe("assignment", found=f"shape {v.shape}", wanted=wanted, line=recorder.line()))
        v = reshaped(v, own)
        v = v if v.size == 1 else spread(v, shape)
    if v._kind == x._kind:
        return v
    if v._active and RANK[v._kind] > RANK[x._kind]:
        found = f"a Variable that is being differentiated, for an array of {_NAMES[x._kind]} dtype"
        wanted = "a floating array, because the derivative would be lost: np.zeros(n), not np.zeros(n, int)"
        raise DtypeError(describe("assignment", found=found, wanted=wanted, line=recorder.line()))
    return recorder.cast(v, x._kind)


def _own(x: Variable, *, augmented: bool = False) -> tuple[Variable, Owner]:
    """The root that an assignment to x changes; it must be the function's own, and known."""
    if type(x) is Variable:
        raise unsupported("item assignment", "a number, which never changes", "an array", x._recorder)
    if isinstance(x, Known):
        melt(x)
    if type(memory_of(x)) is View:
        where(x)  # it may be a copy after all
    root = root_of(x)
    owner: Owner = memory_of(root)
    if owner.argument and not augmented:
        found = "an argument, or a part of one: NumPy would change the caller's array"
        wanted = "an array made in the function: x = x.copy() first"
        raise UnsupportedError(describe("item assignment", found=found, wanted=wanted, line=root._recorder.line()))
    return root, owner


def _place(x: Variable) -> Any:
    """The part of its root's shadow that x shows."""
    root, found = where(x)
    if found is None:
        raise unsupported(
            "item assignment",
            "a row that was taken out of an array by a Variable, and that is a part of it",
            "an assignment to the array itself, x[k, j] = value, or .copy() of the row",
            root._recorder,
        )
    if not found.flags.writeable:
        raise unsupported("item assignment", "an array that NumPy only lets be read", ".copy() of it", root._recorder)
    return found


# --- where it is assigned


def setitem(x: Variable, index: Any, value: Any) -> None:
    """`x[index] = value`."""
    if type(x) is Known:
        x[index] = value
        return
    memory = memory_of(x)
    if type(memory) is Owner and not memory.argument and (place := cell(x.shape, index)) is not None:
        shape = x.shape[place[1] :]
        v = assigned(x, value, shape)
        pend(x, memory, *place, v if not shape else x._recorder.again(spread(v, shape)))
        return
    _own(x)
    index = fixed_index(x, index)
    if basic(index):
        _set_part(x, index, value)
    elif not _set_where(x, index, value):
        _set_selected(x, index, value)


def _set_part(x: Variable, index: Any, value: Any) -> None:
    entries = index if type(index) is tuple else (index,)
    around = _place(x)
    try:
        found = around[entries if Ellipsis in entries else (*entries, Ellipsis)]
    except IndexError as error:
        raise wrong(x._recorder, str(error), f"an index of an array of shape {x.shape}") from None
    if _is_the_same(x, found, value):
        return
    _write(x, found, assigned(x, value, found.shape))


def _is_the_same(x: Variable, found: Any, value: Any) -> bool:
    """Is a part assigned to itself? That is how `x[index] += value` ends, when the part has been changed."""
    if not isinstance(value, Variable) or isinstance(value, Known):
        return False
    if type(getattr(value, "_memory", None)) is not View:
        return False
    root, part = where(value)
    if root is not root_of(x) or part is None:
        return False
    fields = [(a.__array_interface__["data"][0], a.shape, a.strides) for a in (part, found)]
    return fields[0] == fields[1]


def _write(x: Variable, found: Any, value: Variable, *, augmented: bool = False) -> None:
    """Put a value in place of a part of x's root, which `found` shows in the root's shadow."""
    if not found.size:
        return
    root, owner = _own(x, augmented=augmented)
    part = part_of(found, shadow_of(root, owner))
    place = part.cell(root.shape)
    if place is not None:
        shape = root.shape[place[1] :]
        pend(root, owner, *place, root._recorder.again(part.item(value, shape)))
    elif part.fills(root.shape):
        rebind(root, owner, part.arranged(value))
    else:
        rebind(root, owner, part.write(root._settled(), value))


def assign(x: Variable, value: Variable, *, augmented: bool = False) -> None:
    """x[...] = value, of x's kind and shape or one number. `augmented`: arguments may change, but not the caller's."""
    root, owner = _own(x, augmented=augmented)
    if root is x:
        rebind(x, owner, spread(reshaped(value, ()) if value.size == 1 else value, x.shape))
        return
    value = x._recorder.again(value)
    _write(x, _place(x), value, augmented=augmented)
    if type(x) is Changed and value.shape == x.shape:  # what it is now need not be read
        x._recorder.ordered[value._slot] = False  # in what order the view lies, its value does not say
        renew(x, value)
        register(root, x)


# --- masks and index arrays


def _set_where(x: Variable, index: Any, value: Any) -> bool:
    """x[mask] = value by `where`, if that is what it is: the value is the same for all that the mask selects."""
    mask = index[0] if type(index) is tuple and len(index) == 1 else index
    if isinstance(mask, list):
        mask = np.asarray(mask) if find_variable(mask) is None else lift(x._recorder, mask)
    dtype = getattr(mask, "dtype", None)
    if dtype != np.bool_ or not mask.shape or mask.shape != x.shape[: len(mask.shape)]:
        return False
    v = lift(x._recorder, value, x._kind)
    rest = x.shape[len(mask.shape) :]
    if v.ndim > len(rest) and v.size != 1:
        return False
    recorder = x._recorder
    chosen = reshaped(recorder.lift(mask), (*mask.shape, *[1] * len(rest)))
    new = recorder.elementwise("where", chosen, assigned(x, v, rest), recorder.again(x))
    assign(x, new)
    return True


def pinned(x: Variable, index: Any) -> Any:
    """The index with masks that are Variables as they are now, and a guard for each."""
    if isinstance(index, tuple):
        return tuple(pinned(x, e) for e in index)
    return pin(x._recorder, index) if isinstance(index, Variable) and index._kind == BOOL else index


def _set_selected(x: Variable, index: Any, value: Any) -> None:
    """x[index] = value, with arrays among the indices."""

    def put(found: Selection, z: Variable, v: Variable) -> Variable:
        single = found.where.size == 1 or len(found.where.shape) == found.batch
        attribute = (found.axis, found.batch, int(single))
        return x._recorder.apply("scatter_set", attribute, z, v, found.where)

    now = x._recorder.again(x)
    assign(x, _selected(now, pinned(x, index), lambda shape: assigned(x, value, shape), put))


def _selected(
    x: Variable,
    index: Any,
    value: Callable[[tuple[int, ...]], Variable],
    put: Callable[[Selection, Variable, Variable], Variable],
) -> Variable:
    """x with something put where index arrays point: `put` gets x arranged as for a gather, and the value likewise."""
    plan = take_apart(x, index)
    recorder, shape, windows = plan.recorder, tuple(plan.shape), tuple(plan.windows)
    whole = windows == tuple((0, 1, n) for n in x.shape)
    y = x if whole else recorder.apply("slice", windows, x)
    if plan.arrays:
        found = selection(plan, y.shape)
        v = value((*shape[: plan.place], *found.chosen, *shape[plan.place :]))
        z = found.arranged(y)
        own = (*z.shape[: found.axis], *found.where.shape[found.batch :], *z.shape[found.axis + 1 :])
        if v.size == 1:
            v = spread(reshaped(v, ()), own)
        else:
            v = transposed(reshaped(v, tuple(own[p] for p in found.after)), inverse(found.after))
        new = found.restored(put(found, z, v) if v.size else z, y.shape)
    else:  # 0-d booleans: all or nothing
        nothing = (0,) in plan.flags
        v = value((*shape[: plan.place], int(not nothing), *shape[plan.place :]))
        new = y if nothing else spread(reshaped(v, ()), y.shape) if v.size == 1 else reshaped(v, y.shape)
    return new if whole else recorder.apply("slice_set", windows, x, new)


# --- operators and functions


def in_place(function: Callable[[Any, Any], Any], name: str) -> Callable[[Variable, Any], Variable]:
    """An operator like +=: the array itself changes, and keeps its shape and dtype."""

    def record(x: Variable, other: Any) -> Variable:
        out = function(x, other)
        if out is NotImplemented:
            return out  # type: ignore[no-any-return]
        copied(x, out, name)
        return x

    return record


def copied(x: Variable, value: Any, name: str, *, augmented: bool = True) -> None:
    """The array takes over the result of an operation, which must be of its shape and no higher kind."""
    recorder = x._recorder
    v = recorder.lift(value)
    if v.shape != x.shape and not (name == "copyto" and v.ndim <= x.ndim):
        found = f"a result of shape {v.shape} for an array of shape {x.shape}, which keeps its shape"
        raise ShapeError(describe(name, found=found, wanted="x = x + y, a new array", line=recorder.line()))
    if RANK[v._kind] > RANK[x._kind]:
        found = f"a result of {_NAMES[v._kind]} dtype for an array of {_NAMES[x._kind]} dtype, which keeps its dtype"
        raise DtypeError(describe(name, found=found, wanted="x = x + y, a new array", line=recorder.line()))
    assign(x, assigned(x, v, x.shape), augmented=augmented)


def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """`numpy.copyto`, and what `out=` does."""
    if not isinstance(dst, Variable):
        recorder = recorder_of(src, where)
        wanted = "an array made by tapegrad.numpy (import tapegrad.numpy as np) or np.zeros_like(x)"
        raise unsupported("copyto", "a NumPy array, which cannot hold a Variable", wanted, recorder)
    if casting == "unsafe":
        dst[...] = src if where is True else dst._recorder.functions[np.where](where, src, dst)
        return
    if where is not True:
        src = dst._recorder.functions[np.where](where, src, dst)
    copied(dst, src, "copyto", augmented=False)


def write_out(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A ufunc with `out=`, some of it Variables."""
    options = dict(options)
    outs, mask = options.pop("out"), options.pop("where", True)
    results = getattr(ufunc, method)(*inputs, **options)
    for out, result in zip(outs, results if len(outs) > 1 else (results,), strict=True):
        if out is not None:
            copyto(out, result, where=mask)
    return outs if len(outs) > 1 else outs[0]


def at(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
    """`numpy.add.at` and its like: of a repeated index each one counts."""
    x, index, *operands = inputs
    recorder = recorder_of(*inputs)
    if not isinstance(x, Variable):
        wanted = "an array made by tapegrad.numpy (import tapegrad.numpy as np) or np.zeros_like(x)"
        raise unsupported(f"{ufunc.__name__}.at", "a NumPy array, which cannot hold a Variable", wanted, recorder)
    _own(x)
    index = pinned(x, fixed_index(x, index))
    if basic(index) or _distinct(x, index):
        x[index] = ufunc(x[index], *operands)
    elif ufunc in (np.add, np.subtract) and x._kind == FLOAT:
        value = operands[0] if ufunc is np.add else -lift(recorder, operands[0], FLOAT)
        assign(x, _added(x, index, value))
    else:
        found = f"an array of {_NAMES[x._kind]} dtype and indices that may be repeated"
        raise unsupported(f"{ufunc.__name__}.at", found, "np.add.at or np.subtract.at of a floating array", recorder)


def _added(x: Variable, index: Any, value: Any) -> Variable:
    def put(found: Selection, z: Variable, v: Variable) -> Variable:
        return x._recorder.apply("scatter_add", (found.axis, found.batch), z, v, found.where)

    return _selected(x._recorder.again(x), index, lambda shape: assigned(x, value, shape), put)


def _distinct(x: Variable, index: Any) -> bool:
    """Is it certain that an index selects no element twice?"""
    if find_variable(index) is not None:
        return False
    places = np.arange(x.size).reshape(x.shape)[index]
    return bool(len(np.unique(places)) == places.size)


_OPERATORS: Final = (
    (operator.iadd, operator.add), (operator.isub, operator.sub), (operator.imul, operator.mul),
    (operator.itruediv, operator.truediv), (operator.ifloordiv, operator.floordiv), (operator.imod, operator.mod),
    (operator.ipow, operator.pow), (operator.imatmul, operator.matmul), (operator.iand, operator.and_),
    (operator.ior, operator.or_), (operator.ixor, operator.xor),
)  # fmt: skip
_SIGNS: Final = ("+=", "-=", "*=", "/=", "//=", "%=", "**=", "@=", "&=", "|=", "^=")

TABLE: Final[Mapping[Any, Callable[..., Any]]] = MappingProxyType(
    {
        operator.setitem: setitem,
        **{changing: in_place(f, sign) for (changing, f), sign in zip(_OPERATORS, _SIGNS, strict=True)},
        np.copyto: copyto,
        np.ufunc: write_out,
        np.ufunc.at: at,
        np.ndarray.__array__: give,
    }
)
