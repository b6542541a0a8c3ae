"""Which Variables are the same array or parts of one, and what has been assigned to it.

NumPy's arrays change in place, slots of a tape never do. So an assignment gives a Variable, which is an object, another
slot: that of the array with something else in it. All names of the object see that, as in NumPy. Other objects may be
views of the same memory, and must see it, too:

- A *root* has memory, a view is a part of a root's. What made a view is kept with it (`View`); where it lies is asked
  only when it matters, by doing to a *shadow* - bytes of the root's shape and order that nobody reads - what NumPy does
  to the array. So NumPy itself tells views from copies, and which elements are shared.
- Nothing is checked where a Variable is used. An assignment makes all views of the root out of date by giving them
  another class, `Changed`, whose `_slot` is a property: whoever asks for it gets the part of the root as it is then.
- Elements and rows that integers select are assigned to in a dict at first (`Owner.pending`), and read from there. They
  come on the tape when the array is needed as a whole, as one stack. So a loop that fills an array records nothing but
  what it computes, and its derivative has nothing to take apart.
- An assignment to a view is one to its root.

What NumPy would do depends now and then on the order of an array in memory. Where that is not known (`orders`), and an
assignment makes it matter, that is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from math import prod
from typing import Any, Final
from weakref import ref

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.row import ArrayType
from tapegrad.record.assignable import Assignable
from tapegrad.record.functions.common import pile, reshaped
from tapegrad.record.functions.orders import in_c_order
from tapegrad.record.functions.parts import is_part, part_of
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import ARGUMENT, Array, Variable

_SLOT: Final[Any] = vars(Variable)["_slot"]
_ACTIVE: Final[Any] = vars(Variable)["_active"]
_BY_ORDER: Final = (np.reshape, np.ravel, np.ascontiguousarray, np.asfortranarray)  # a view or a copy
_MOST: Final = 4  # axes whose every order is tried
_DEEPEST: Final = 16  # views of views


@dataclass(slots=True, eq=False)
class Owner:
    """What belongs to a root.

    Attributes:
        made: the slot that it had at first; `argument`: was that an argument's?
        certain: is its order in memory that of the shadow?
        views: those that are up to date, as far as they still exist; `limit`: so many, and they are looked through.
        given: NumPy arrays of its values that NumPy would change with it, each with the line that asked for it.
        values: its numbers, where they are not on the tape (`known`); `frozen`: the constant of them that is.
        pending: what is not on the tape yet, by place among the first `depth` axes merged; `flat`: what is, so merged.
        shadow: see above. `changes`: how often it was assigned to; `line`: where it was last, with views.
    """

    made: int = -1
    argument: bool = False
    certain: bool = False
    views: list[ref[Variable]] = field(default_factory=list)
    limit: int = 64
    given: list[tuple[ref[Any], str]] = field(default_factory=list)
    values: Any = None
    frozen: Variable | None = None
    pending: dict[int, Variable] = field(default_factory=dict)
    depth: int = 0
    flat: Variable | None = None
    shadow: Any = None
    changes: int = 0
    line: str = ""


@dataclass(slots=True, eq=False)
class View:
    """What belongs to a view: it was made of `base` by NumPy's `function`.

    Attributes:
        place: which of the arguments the base is; `pick`: which of several results the view is.
        somewhere: where it lies is known only to the sweep.
        part: the part of the root's shadow that it is, once that was asked for.
        values: its numbers, where they are not on the tape (`known`).
        depth: how many views lie between it and the root, at most.
        latest: of a view without axes, the number of changes and the value when it was read.
    """

    base: Variable
    function: Callable[..., Any] | None = None
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    place: int = 0
    pick: int = -1
    somewhere: bool = False
    part: Any = None
    values: Any = None
    depth: int = 0
    latest: tuple[int, Variable] | None = None

    def of(self, array: Any, function: Callable[..., Any] | None = None) -> Any:
        """The same of another array, or of a Variable by the function that records it."""
        before, after = self.arguments[: self.place], self.arguments[self.place :]
        called = function or self.function
        assert called is not None
        found = called(*before, array, *after, **self.options)
        return found if self.pick < 0 else found[self.pick]


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


# --- roots and views


def memory_of(v: Variable) -> Any:
    """The `Owner` or `View` of a Variable."""
    found = getattr(v, "_memory", None)
    if found is None or found is ARGUMENT:
        found = v._memory = Owner(v._slot, found is ARGUMENT)
    return found


def root_of(v: Variable) -> Variable:
    """The root that a Variable is, or is a part of as far as is known."""
    while type(found := memory_of(v)) is View:
        v = found.base
    return v


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
    if view.somewhere or not _surely_in_c_order(root, memory_of(root)):
        return view
    root, around = where(view.base)
    found = None if around is None else view.of(around)
    return View(root, part=found) if is_part(found, shadow_of(root, memory_of(root))) else view


def _cell(out: Variable, view: View) -> Variable:
    cell: Variable = object.__new__(Cell)
    cell._recorder, cell._type, cell._memory = out._recorder, out._type, view
    _SLOT.__set__(cell, out._slot)
    _ACTIVE.__set__(cell, out._active)
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


def register(root: Variable, v: Variable) -> None:
    """An assignment to the root is to be told to v."""
    owner = memory_of(root)
    if len(owner.views) >= owner.limit:
        owner.views = [each for each in owner.views if each() is not None]
        owner.limit = 2 * len(owner.views) + 64
    owner.views.append(ref(v))


def shadow_of(root: Variable, owner: Owner) -> Any:
    """The shadow of a root."""
    if owner.shadow is None:
        like = owner.values
        owner.shadow = np.empty(root.shape, np.int8) if like is None else np.empty_like(like, np.int8)
    return owner.shadow


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
        _require_any_order(v, root, shares=shares)
    if not shares:
        _detach(v, root, owner)
        return v, shadow_of(v, memory_of(v))
    memory.part = found
    return root, found


def _surely_in_c_order(root: Variable, owner: Owner) -> bool:
    """Is it known that a root is in C order in memory?"""
    if owner.certain:
        return bool(shadow_of(root, owner).flags.c_contiguous)
    return in_c_order(root._recorder, owner.made)


def by_order(root: Variable, owner: Owner, view: View) -> bool:
    """May it depend on the order of the root in memory whether something is a view?"""
    return view.function in _BY_ORDER and not owner.certain and not in_c_order(root._recorder, owner.made)


def _require_any_order(v: Variable, root: Variable, *, shares: bool) -> None:
    """Raise unless a view is one, or none, in whatever order the root lies in memory."""
    count = len(root.shape)
    for order in permutations(range(count)) if count <= _MOST else ():
        turned = np.empty(tuple(root.shape[a] for a in order), np.int8)
        found = _along(v, turned.transpose(np.argsort(order)))
        if is_part(found, turned) != shares:
            break
    else:
        if count <= _MOST:
            return
    function: Any = memory_of(v).function
    line, owner = v._recorder.line_of(_SLOT.__get__(v)), memory_of(root)
    changed = f", which was assigned to at {owner.line}" if owner.line else ""
    raise UnsupportedError(
        describe(
            f"assignment beside {function.__name__}",
            found=f"the result of a {function.__name__} that is a view or a copy, as the array of shape {root.shape} "
            f"lies in memory{changed}",
            wanted="an array made in C order (np.ascontiguousarray(x), np.zeros(shape)), or .copy() of the result",
            line=line,
        )
    )


def _along(v: Variable, array: Any) -> Any:
    """What all that made a view makes of another array in place of the root."""
    memory = memory_of(v)
    return array if type(memory) is Owner else memory.of(_along(memory.base, array))


def _detach(v: Variable, root: Variable, owner: Owner) -> None:
    """v is a copy: it has kept the values that it was made with. Views of it are to look where they belong now."""
    outdate(owner, v._recorder)
    v.__class__ = Array if v.shape else Variable
    v._memory = Owner(v._slot)


# --- changes


def change(root: Variable, owner: Owner) -> None:
    """Before anything is assigned to a root."""
    recorder = root._recorder
    if owner.given:
        _require_forgotten(owner, recorder)
    if not owner.changes:
        recorder.release(root)
    owner.changes += 1
    if owner.views:
        outdate(owner, recorder)


def outdate(owner: Owner, recorder: Recorder) -> None:
    """All views are out of date."""
    views, owner.views = owner.views, []
    owner.line = recorder.line()
    for each in views:
        v = each()
        if v is not None and type(v._memory) is View:
            v.__class__ = Changed


def _require_forgotten(owner: Owner, recorder: Recorder) -> None:
    """Raise where NumPy arrays that would have to change still exist."""
    owner.given = [(array, line) for array, line in owner.given if array() is not None]
    if owner.given:
        raise UnsupportedError(
            describe(
                "assignment",
                found=f"an array that NumPy was given the values of, at {owner.given[0][1]}, and that would have to "
                "change there, too",
                wanted="np.array(x), a copy, there, or tapegrad.numpy.asarray(x), which is x",
                line=recorder.line(),
            )
        )


def rebind(root: Variable, owner: Owner, new: Variable) -> None:
    """Give a root the slot of another array; what was pending is in it."""
    new = root._recorder.again(new)  # it may be a view that is out of date next
    if not _surely_in_c_order(root, owner):  # though it may be an array that is, it lies here in another order
        root._recorder.ordered[new._slot] = False
    change(root, owner)
    owner.pending, owner.flat, owner.values, owner.frozen = {}, None, None, None
    renew(root, new)


def renew(v: Variable, new: Variable) -> None:
    """Give a Variable the values of another, of its type."""
    v.__class__ = Array
    v._slot, v._active = new._slot, new._active


# --- elements and rows by integers


def pend(root: Variable, owner: Owner, place: int, depth: int, value: Variable) -> None:
    """Assign to an element or a row; it comes on the tape when the array is needed."""
    if owner.pending and owner.depth != depth:
        settle(root)
    change(root, owner)
    if not owner.pending:
        shape = root.shape
        owner.depth = depth
        owner.flat = reshaped(root._recorder.again(root), (prod(shape[:depth]), *shape[depth:]))
        root.__class__ = Changed
    owner.pending[place] = value


def pended(root: Variable, owner: Owner, place: int, depth: int) -> Variable | None:
    """An element or a row of a root that is partly not on the tape; None if it has to come on the tape for that."""
    if depth < owner.depth:
        return None
    inner = root.shape[owner.depth : depth]
    outside, inside = divmod(place, prod(inner))
    found = owner.pending.get(outside)
    recorder = root._recorder
    if found is None:
        assert owner.flat is not None
        found = recorder.apply("item", (outside,), owner.flat)
    if depth == owner.depth:
        return found
    return recorder.apply("item", (inside,), reshaped(found, (prod(inner), *root.shape[depth:])))


def _flush(root: Variable, owner: Owner) -> None:
    """Bring on the tape what is pending."""
    pending, flat = owner.pending, owner.flat
    assert flat is not None
    recorder = root._recorder
    new = reshaped(_filled(recorder, flat, pending), root.shape)
    recorder.ordered[new._slot] = _surely_in_c_order(root, owner)
    owner.pending, owner.flat = {}, None
    renew(root, new)


def _filled(recorder: Recorder, flat: Variable, pending: dict[int, Variable]) -> Variable:
    """The array with items in places of its first axis: stretches of neighbours are stacked and put in as one."""
    places = sorted(pending)
    if len(places) == flat.shape[0]:
        return pile(recorder, [pending[k] for k in places], 0, "assignment")
    starts = [j for j, k in enumerate(places) if not j or k != places[j - 1] + 1]
    for j, end in zip(starts, [*starts[1:], len(places)], strict=True):
        if end == j + 1:
            flat = recorder.apply("item_set", (places[j],), flat, pending[places[j]])
            continue
        piece = pile(recorder, [pending[k] for k in places[j:end]], 0, "assignment")
        windows = ((places[j], 1, end - j), *((0, 1, n) for n in flat.shape[1:]))
        flat = recorder.apply("slice_set", windows, flat, piece)
    return flat


# --- reading


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
    if not _surely_in_c_order(root, memory_of(root)):
        v._recorder.ordered[new._slot] = False
    renew(v, new)
    register(root, v)


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
