"""Elements and rows that were assigned to and are not on the tape yet (`Owner.pending`)."""

from __future__ import annotations

from math import prod

from tapegrad.record.functions.common import pile, reshaped
from tapegrad.record.functions.memory import Owner
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable


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


def filled(recorder: Recorder, flat: Variable, pending: dict[int, Variable]) -> Variable:
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
