"""The passes in their order."""

from __future__ import annotations

from tapegrad.passes.contract import contract
from tapegrad.passes.dead import drop_dead
from tapegrad.passes.fold import fold
from tapegrad.passes.fuse import fuse
from tapegrad.passes.narrow import lay_down
from tapegrad.passes.orient import orient
from tapegrad.passes.share import share
from tapegrad.passes.simplify import simplify
from tapegrad.tape import Tape


def optimize(tape: Tape, *, drop_stops: bool = False) -> Tape:
    """The same function in fewer instructions.

    `drop_stops` removes stop_gradient, and takes products into the sums that read them: for a tape that will not be
    differentiated any more.
    """
    tape = drop_dead(share(tape, drop_stops=drop_stops))
    folded = fold(tape)
    if folded is not tape:  # what has become constant may now be the same, or a product with 1
        folded = drop_dead(share(folded))
    simple = simplify(folded)
    if simple is not folded:
        simple = drop_dead(share(simple))
    tape = drop_dead(orient(simple))
    return lay_down(fuse(contract(tape))) if drop_stops else tape
