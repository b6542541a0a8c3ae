"""What a draft tells of its instructions to those who decide what is computed again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from tapegrad.jit import compiled
from tapegrad.ops.row import ArrayType, Attribute, Op
from tapegrad.ops.table import OPCODES, OPS, flags
from tapegrad.passes.dead import mark
from tapegrad.passes.segments import Facts
from tapegrad.schedule.draft import Draft
from tapegrad.schedule.layout import CALL, RECORDS, VIEW
from tapegrad.schedule.modes import PER_ROW, REDUCTION
from tapegrad.schedule.program import Placed
from tapegrad.tape import Tape

LARGE: Final = 1 / 4  # of the largest result: less is not worth computing from leaves again and again
DEPTH: Final = 3  # instructions from leaves to what is had easily

# What an instruction costs, in nanoseconds or so: it alone, and for each element, multiply-add ...
_SCALAR, _RECORD, _CALL = 4.0, 60.0, 4000.0
_ELEMENT, _FUNCTION, _MULTIPLY_ADD = 0.5, 5.0, 0.05
_PRODUCTS: Final = (OPCODES["matmul"], OPCODES["matmul_add"])
_USERS: Final = (OPCODES["custom"], OPCODES["primitive"])  # nobody knows whether they give the same twice
_MOVES: Final = frozenset({"reshape", "broadcast_to", "transpose", "slice", "item", "pad"})
_EASY: Final = np.array([(op.elementwise and not op.loop and not op.effect) or op.name in _MOVES for op in OPS])


def facts_of(draft: Draft, known: Placed, values: list[int], small: float) -> Facts:
    """The facts of a draft.

    Args:
        draft: it.
        known: where its slots are.
        values: places of the dependents that the forward part computes.
        small: bytes: of the smallest results as many are kept in any case as fit into this.
    """
    tape, n = draft.tape, len(draft.tape)
    forward, leaf = np.zeros(n, np.bool_), flags("leaf")[tape.opcodes]
    forward[tape.dependents[values]] = True
    mark(tape.opcodes, tape.starts, tape.operands, flags("effect"), forward)
    view = draft.form == VIEW
    nbytes = np.where(leaf | view, 0, known.wanted.nbytes)
    root = np.where(view, draft.known.root, np.arange(n))
    fixed = _fixed(draft, leaf)
    ends = tape.dependents[values]
    fixed[ends] = fixed[root[ends]] = True
    fixed |= ~view & (nbytes <= _small(nbytes[forward & ~leaf & ~view], small))
    depth = np.zeros(n, np.int32)
    _depths(tape.starts, tape.operands, leaf, view, _EASY[tape.opcodes], DEPTH + 1, depth)
    light = forward & ~leaf & ~fixed & (depth <= DEPTH) & (nbytes >= LARGE * nbytes.max(initial=0))
    return Facts(forward, leaf, root, fixed, light, nbytes, _work(draft))


def _fixed(draft: Draft, leaf: Any) -> Any:
    """What may not be computed again, or not without other roundings."""
    tape, kind = draft.tape, draft.known.kind
    fixed = flags("effect")[tape.opcodes] | np.isin(tape.opcodes, _USERS) | (kind == REDUCTION)
    if len({(loop.rows, loop.height, loop.history) for loop in draft.plan.loops}) > 1:
        fixed |= (kind == PER_ROW) & np.isin(tape.opcodes, _PRODUCTS)  # BLAS rounds by the number of rows
    return fixed & ~leaf


def _small(nbytes: Any, most: float) -> float:
    """The largest size so that all results of this size and smaller ones take `most` bytes at most."""
    sizes, counts = np.unique(nbytes, return_counts=True)
    fits = np.flatnonzero(np.cumsum(sizes * counts) <= most)
    return float(sizes[fits[-1]]) if len(fits) else -1.0


@compiled
def _depths(starts: Any, operands: Any, leaf: Any, view: Any, easy: Any, far: Any, depth: Any) -> None:
    """How many easy instructions lead from leaves to each; many where others do."""
    for i in range(len(leaf)):
        step = 0 if leaf[i] or view[i] else 1 if easy[i] else far
        depth[i] = step
        for o in range(starts[i], starts[i + 1]):
            depth[i] = max(depth[i], min(depth[operands[o]] + step, far))


def dear(tape: Tape, facts: Facts) -> Iterator[Any]:
    """Sets of instructions that are not computed again, the largest first: products and calls, the dearest, no more."""
    able = facts.forward & ~facts.leaf & ~facts.fixed & (facts.nbytes > 0)
    costly = able & np.isin(tape.opcodes, [*_PRODUCTS, *np.flatnonzero(flags("eager"))])
    if costly.any() and not (costly == able).all():
        density = facts.work / np.maximum(facts.nbytes, 1)
        yield facts.fixed | costly
        order = np.flatnonzero(costly)[np.argsort(density[costly], kind="stable")]
        nbytes = np.cumsum(facts.nbytes[order])
        middle = density[order[np.searchsorted(nbytes, nbytes[-1] / 2)]]
        if (density[costly] <= middle).any() and (density[costly] > middle).any():
            yield facts.fixed | (costly & (density > middle))
    yield facts.fixed


def _work(draft: Draft) -> Any:
    """What each instruction costs."""
    tape, signature = draft.tape, draft.found.signature
    _, firsts = np.unique(signature, return_index=True)
    cost = np.zeros(len(draft.found.layouts))
    for i in firsts.tolist():
        op, types = OPS[tape.opcodes[i]], [tape.type(s) for s in tape.read(i)]
        attribute = () if op.leaf else tape.attribute(i)
        cost[signature[i]] = _cost(op, attribute, int(draft.form[i]), types, tape.type(i))
    return cost[signature]


def _cost(op: Op, attribute: Attribute, form: int, types: list[ArrayType], result: ArrayType) -> float:
    """What one instruction costs."""
    if form <= VIEW:
        return 0.0
    if form not in {RECORDS, CALL}:
        return _SCALAR
    if form == CALL:
        return _CALL + _FUNCTION * float(max(t.size for t in [*types, result]) ** 1.5)
    if op.name in {"matmul", "matmul_add"}:
        inner = types[-2].shape[-2 if attribute[0] else -1]
        return _RECORD + _MULTIPLY_ADD * result.size * inner
    if op.elementwise:
        return _RECORD + (_FUNCTION if op.loop else _ELEMENT) * result.size
    return _RECORD + _ELEMENT * (result.size + sum(t.size for t in types))
