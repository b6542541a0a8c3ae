"""Which Variables are the same array or parts of one, and what has been assigned to it.

NumPy's arrays change in place, slots of a tape never do. So an assignment gives a Variable, which is an object, another
slot: that of the array with something else in it. All names of the object see that, as in NumPy. Other objects may be
views of the same memory, and must see it, too:

- A *root* has memory, a view is a part of a root's. What made a view is kept with it (`View`, `linking`); where it lies
  is asked only when it matters, by doing to a *shadow* - bytes of the root's shape and order that nobody reads - what
  NumPy does to the array. So NumPy itself tells views from copies, and which elements are shared.
- Nothing is checked where a Variable is used. An assignment makes all views of the root out of date by giving them
  another class, `Changed` (`outdated`), whose `_slot` is a property: whoever asks for it gets the part of the root as
  it is then.
- Elements and rows that integers select are assigned to in a dict at first (`pending`), and read from there. They come
  on the tape when the array is needed as a whole, as one stack. So a loop that fills an array records nothing but what
  it computes, and its derivative has nothing to take apart.
- An assignment to a view is one to its root (`changes`).

What NumPy would do depends now and then on the order of an array in memory. Where that is not known (`orders`), and an
assignment makes it matter, that is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import ref

import numpy as np

from tapegrad.record.variable import ARGUMENT, Variable

# The attributes themselves, for classes that have a property in their place.
SLOT: Final[Any] = vars(Variable)["_slot"]
ACTIVE: Final[Any] = vars(Variable)["_active"]


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
