"""Arrays that are out of date, because they or what they are views of were assigned to, and how they are read.

Whoever asks for the slot of one brings it up to date: what is pending comes on the tape, a view becomes the part of its
root as it is now.
"""

from __future__ import annotations

from typing import Any

from tapegrad.record.assignable import Assignable
from tapegrad.record.functions.common import reshaped
from tapegrad.record.functions.memory import Owner, View, memory_of, register, root_of, shadow_of
from tapegrad.record.functions.orders import by_order, require_any_order, surely_in_c_order
from tapegrad.record.functions.parts import is_part, part_of
from tapegrad.record.functions.pending import filled, pended
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Array, Variable


class Changed(Array):
    """An array whose slot is out of date: asked for it, it puts itself in order, and is an `Array` again."""

    __slots__ = ()

    @property
    def _slot(self) -> int:  # type: ignore[override]
        settle(self)
        return self._slot

    @property
    def _active(self) -> bool:  # type: ignore[override]
        settle(self)
        return self._active

    def _settled(self) -> Variable:
        settle(self)
        return self


class Cell(Assignable, Variable):
    """A view without axes, as x[0, ...] is. It is read anew whenever the array has changed."""

    __slots__ = ()

    @property
    def _slot(self) -> int:  # type: ignore[override]
        return self._settled()._slot

    @property
    def _active(self) -> bool:  # type: ignore[override]
        return self._settled()._active

    def _settled(self) -> Variable:
        view: View = self._memory
        owner = memory_of(root_of(self))
        if view.latest is None or view.latest[0] != owner.changes:
            view.latest = (owner.changes, _read_view(self, view))
        return view.latest[1]


def where(v: Variable) -> tuple[Variable, Any]:
    """The root of a Variable and the part of its shadow that is the Variable's; None where that is not known.

    What turns out to be a copy becomes a root itself.
    """
    memory = memory_of(v)
    if type(memory) is Owner:
        return v, shadow_of(v, memory)
    root, around = where(memory.base)
    if memory.part is not None or memory.somewhere or around is None:
        return root, memory.part
    owner = memory_of(root)
    found = memory.of(around)
    shares = is_part(found, owner.shadow)
    if by_order(root, owner, memory):
        require_any_order(v, root, shares=shares)
    if not shares:
        _detach(v, root, owner)
        return v, shadow_of(v, memory_of(v))
    memory.part = found
    return root, found


def _detach(v: Variable, root: Variable, owner: Owner) -> None:
    """v is a copy: it has kept the values that it was made with. Views of it are to look where they belong now."""
    outdate(owner, v._recorder)
    v.__class__ = Array if v.shape else Variable
    v._memory = Owner(v._slot)


def outdate(owner: Owner, recorder: Recorder) -> None:
    """All views are out of date."""
    views, owner.views = owner.views, []
    owner.line = recorder.line()
    for each in views:
        v = each()
        if v is not None and type(v._memory) is View:
            v.__class__ = Changed


def settle(v: Variable) -> None:
    """Bring a Variable that is out of date up to date."""
    memory = memory_of(v)
    if type(memory) is Owner:
        _flush(v, memory)
        return
    new = _read_view(v, memory)
    if type(v) is not Changed:  # it was a copy
        return
    root = root_of(v)
    if not surely_in_c_order(root, memory_of(root)):
        v._recorder.ordered[new._slot] = False
    renew(v, new)
    register(root, v)


def _flush(root: Variable, owner: Owner) -> None:
    """Bring on the tape what is pending."""
    pending, flat = owner.pending, owner.flat
    assert flat is not None
    recorder = root._recorder
    new = reshaped(filled(recorder, flat, pending), root.shape)
    recorder.ordered[new._slot] = surely_in_c_order(root, owner)
    owner.pending, owner.flat = {}, None
    renew(root, new)


def _read_view(v: Variable, view: View) -> Variable:
    root, found = where(v)
    if root is v:
        return v
    if found is not None:
        return read_part(root, found)
    out: Variable = view.of(view.base._settled(), v._recorder.functions[view.function])  # where it lies is not known
    return out


def read_part(root: Variable, found: Any) -> Variable:
    """A part of a root as it is now; `found` shows it in the root's shadow."""
    owner = memory_of(root)
    part = part_of(found, shadow_of(root, owner))
    if owner.pending and part.straight and (cell := part.cell(root.shape)) is not None:
        item = pended(root, owner, *cell)
        if item is not None:
            return reshaped(item, found.shape)
    return part.read(root._settled())


def renew(v: Variable, new: Variable) -> None:
    """Give a Variable the values of another, of its type."""
    v.__class__ = Array
    v._slot, v._active = new._slot, new._active
