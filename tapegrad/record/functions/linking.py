"""Linking views with what they are views of."""

from __future__ import annotations

from typing import Any, Final

from tapegrad.ops.row import ArrayType
from tapegrad.record.functions.memory import ACTIVE, SLOT, View, memory_of, register, root_of, shadow_of
from tapegrad.record.functions.orders import surely_in_c_order
from tapegrad.record.functions.outdated import Cell, Changed, where
from tapegrad.record.functions.parts import is_part
from tapegrad.record.variable import Variable

_DEEPEST: Final = 16  # views of views


def linked(out: Any, view: View) -> Any:
    """What a function has made, known as a view of its base; numbers and empty arrays are none."""
    if not isinstance(out, Variable) or not out.size:
        return out
    if getattr(out, "_memory", None) is not None or out is view.base:
        out = out._recorder.again(out)
    above = memory_of(view.base)
    if type(above) is View:
        view.depth = above.depth + 1
        view = _shortened(view) if view.depth > _DEEPEST else view
    if not out.shape:
        return _cell(out, view)
    out._memory = view
    register(root_of(view.base), out)
    return out


def _shortened(view: View) -> View:
    """A view of a view of a view as one of the root, if it is known where it lies."""
    root = root_of(view.base)
    if view.somewhere or not surely_in_c_order(root, memory_of(root)):
        return view
    root, around = where(view.base)
    found = None if around is None else view.of(around)
    return View(root, part=found) if is_part(found, shadow_of(root, memory_of(root))) else view


def _cell(out: Variable, view: View) -> Variable:
    cell: Variable = object.__new__(Cell)
    cell._recorder, cell._type, cell._memory = out._recorder, out._type, view
    SLOT.__set__(cell, out._slot)
    ACTIVE.__set__(cell, out._active)
    view.latest = (memory_of(root_of(view.base)).changes, out)
    return cell


def unread(base: Variable, found: Any, view: View) -> Variable:
    """A view that is read only when it is asked for; `found` is its part of the shadow."""
    recorder = base._recorder
    form: type[Variable] = Changed if found.shape else Cell
    out = object.__new__(form)
    out._recorder, out._memory = recorder, view
    out._type = recorder.types(ArrayType(found.shape, base._kind))
    view.part = found
    return out
