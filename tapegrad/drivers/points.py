"""`batch`: one function at many points, in one sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeGuard

import numpy as np

from tapegrad.derivative.batch import batched
from tapegrad.drivers.arguments import user_line
from tapegrad.drivers.evaluated import evaluated
from tapegrad.drivers.gradient import described
from tapegrad.drivers.inner import enter, recorder_in
from tapegrad.errors import ShapeError, UnsupportedError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.record.constants import fresh
from tapegrad.record.functions.shaping import moveaxis
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.trees import flatten, unflatten

Axes: TypeAlias = int | Sequence[int | None] | None


def batch(f: Callable[..., Any], in_axes: Axes = 0) -> Callable[..., Any]:
    """A function that gives f's results at many points at once: one sweep, its rows the points.

    Args:
        f: a function of one point. A branch on a value that differs from point to point is refused; `np.where`
            records both.
        in_axes: the axis of each argument's arrays along which the points lie; None for an argument that is the same
            at all points. One number stands for all arguments, a sequence has one for each.

    Returns:
        A function of arguments with that axis; each array of its result has the points along its first axis.

    Raises:
        ShapeError: arguments of unequal numbers of points, or axes that they don't have. UnsupportedError: a branch, a
            function that has no rule for many points, or keyword arguments, of which `in_axes` says nothing.

    >>> import numpy as np, tapegrad as tg
    >>> def miss(w, x, y):
    ...     return (np.sum(w * x) - y) ** 2
    >>> each = tg.batch(tg.grad(miss), in_axes=(None, 0, 0))  # the gradient at each point
    >>> each(np.ones(2), np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([2.0, 0.0]))
    array([[2., 4.],
           [0., 2.]])
    """

    def many(*args: Any, **keywords: Any) -> Any:
        if keywords:
            found, wanted = f"keyword arguments {sorted(keywords)}", "positional arguments, which in_axes tells of"
            raise UnsupportedError(describe("batch", found=found, wanted=wanted, line=user_line()))
        axes = _axes(in_axes, len(args))
        recorder = recorder_in(*args)
        if recorder is None:
            found, wanted = "no floating array among the arguments", "arrays of points"
            raise ShapeError(describe("batch", found=found, wanted=wanted, line=user_line()))
        filled: list[Any] = []
        points: list[Variable] = []
        for arg, axis in zip(args, axes, strict=True):
            leaves, structure = flatten(arg)
            ready = [_ready(recorder, leaf, axis) for leaf in leaves] if axis is not None else leaves
            points += ready if axis is not None else []
            filled.append(unflatten(structure, ready))
        counts = {v.shape[0] for v in points}
        if len(counts) != 1:
            found, wanted = f"arrays of {sorted(counts)} points", "arrays of one number of points, at least one array"
            raise ShapeError(describe("batch", found=found, wanted=wanted, line=user_line()))
        places = [k for k, axis in enumerate(axes) if axis is not None]
        inner = enter(recorder, f, filled, places, {}, example=_first, kinds="fib", floating=False)
        flags = [k < len(points) for k in range(len(inner.tape.inputs))]
        return unflatten(inner.result, inner.apply(batched(inner.tape, flags, counts.pop())))

    return evaluated(described(many, f, "batch", "Results at many points"))


def _axes(in_axes: Axes, count: int) -> tuple[int | None, ...]:
    several = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * count
    axes = tuple(a if a is None else int(a) for a in several if _is_axis(a))
    if len(several) != count or len(axes) != count or all(a is None for a in axes):
        found, wanted = (
            f"in_axes={in_axes!r} for {count} arguments",
            "an integer for each argument, None for some of them",
        )
        raise ShapeError(describe("batch", found=found, wanted=wanted, line=user_line()))
    return axes


def _is_axis(a: Any) -> TypeGuard[int | None]:
    return a is None or (isinstance(a, (int, np.integer)) and not isinstance(a, bool))


def _ready(recorder: Recorder, leaf: Any, axis: int) -> Variable:
    """An array with its points along the first axis."""
    v = recorder.lift(leaf, FLOAT)
    if not -v.ndim <= axis < v.ndim:
        found, wanted = f"points along axis {axis} of an array of shape {v.shape}", "an axis that it has"
        raise ShapeError(describe("batch", found=found, wanted=wanted, line=user_line()))
    return v if axis in {0, -v.ndim} else moveaxis(v, axis, 0)


def _first(v: Variable) -> Variable:
    """The first point, which stands for all while the function is recorded."""
    recorder = v._recorder
    none = not v.shape[0]  # then it is a constant, but a slot of its own
    point = fresh(recorder, np.zeros(v.shape[1:]), v._kind) if none else recorder.apply("item", (0,), v)
    recorder.values.vary(point._slot)
    point._active = point._active or v._kind == FLOAT
    return point
