"""Changes of a root: it gets another slot, or something pending, and all views of it are out of date."""

from __future__ import annotations

from math import prod

from tapegrad.errors import UnsupportedError, describe
from tapegrad.record.constants import release
from tapegrad.record.functions.common import reshaped
from tapegrad.record.functions.memory import Owner
from tapegrad.record.functions.orders import surely_in_c_order
from tapegrad.record.functions.outdated import Changed, outdate, renew, settle
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable


def change(root: Variable, owner: Owner) -> None:
    """Before anything is assigned to a root."""
    recorder = root._recorder
    if owner.given:
        _require_forgotten(owner, recorder)
    if not owner.changes:
        release(root)
    owner.changes += 1
    if owner.views:
        outdate(owner, recorder)


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
    if not surely_in_c_order(root, owner):  # though it may be an array that is, it lies here in another order
        root._recorder.ordered[new._slot] = False
    change(root, owner)
    owner.pending, owner.flat, owner.values, owner.frozen = {}, None, None, None
    renew(root, new)


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
