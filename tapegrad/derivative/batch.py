"""One function at many points in one sweep: what differs from point to point has one more axis, the first.

What an instruction becomes hangs on its signature and on which of its operands are batched. Its rule (`Op.batch`)
runs once for each such *site*; what the rule records is copied for all instructions of the site at once, array by
array, so that the time is linear in the length of the tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.jit import compiled
from tapegrad.ops.batcher import Batcher, batch_elementwise
from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.passes.signature import signatures
from tapegrad.tape import Interner, Tape

_OWN: Final = -1  # as a step's attribute: that of the instruction itself


@compiled
def _spread(starts: Any, operands: Any, batched: Any) -> None:
    """What reads a batched slot is batched."""
    for i in range(len(batched)):
        for o in range(starts[i], starts[i + 1]):
            if batched[operands[o]]:
                batched[i] = True
                break


@dataclass(frozen=True, slots=True)
class _Template:
    """What the instructions of one site become: steps as (opcode, attribute, type, references), and the result."""

    steps: tuple[tuple[int, int, int, tuple[int, ...]], ...]
    result: int


@dataclass(frozen=True, slots=True)
class _Tables:
    """The types and attributes of the new tape."""

    types: Interner[ArrayType]
    attributes: Interner[Attribute]


def batched(tape: Tape, inputs: Sequence[bool], length: int) -> Tape:
    """The same function at `length` points.

    The result is an ordinary tape. It wants to be optimized: what rules move to and fro cancels there.

    Args:
        tape: any tape.
        inputs: for each input, whether it has an array for each point: these get a new leading axis, and so does
            every slot that depends on one of them. What does not is computed once.
        length: how many points.

    Returns:
        A tape with the same inputs, independents and dependents. All dependents have the leading axis.

    Raises:
        ValueError: not one flag for each input.
        UnsupportedError: a branch on a value that differs from point to point, or an op that has no rule.
    """
    if len(inputs) != len(tape.inputs):
        raise ValueError(f"{len(inputs)} flags for a tape of {len(tape.inputs)} inputs")
    differs = np.zeros(len(tape), np.bool_)
    differs[tape.inputs] = inputs
    _spread(tape.starts, tape.operands, differs)
    site, firsts = signatures(tape, (2 * tape.type_ids + differs).astype(np.int32))
    tables = _Tables(Interner.of(tape.types), Interner.of(tape.attributes))
    templates = [
        _template(tape, i, differs, length, tables) if differs[i] else _copy(tape, i, int(tape.type_ids[i]))
        for i in firsts.tolist()
    ]
    return _widened(_copied(tape, site, templates, tables), tape, differs, length)


def _copy(tape: Tape, i: int, type_id: int) -> _Template:
    """The instruction itself."""
    outer = len(tape.read(i))
    return _Template(((int(tape.opcodes[i]), _OWN, type_id, tuple(range(outer))),), outer)


def _template(tape: Tape, i: int, differs: Any, length: int, tables: _Tables) -> _Template:
    """Run the rule for the site of instruction i, which is batched."""
    op, operands, point = OPS[tape.opcodes[i]], tape.read(i), tape.type(i)
    wanted = ArrayType((length, *point.shape), point.kind)
    if op.leaf:
        return _copy(tape, i, tables.types(wanted))
    if op.effect:
        found = "a branch on a value that differs from point to point (if, while, int(), an index)"
        raise UnsupportedError(describe("batch", found=found, wanted="np.where, which records both", line=tape.line(i)))
    rule = batch_elementwise if op.pointwise else op.batch
    if rule is None:
        found = f"{op.name}, which has no rule for many points at once"
        raise UnsupportedError(describe("batch", found=found, wanted="one call for each point", line=tape.line(i)))
    batcher = Batcher(
        op=op,
        attribute=tape.attribute(i),
        points=[tape.type(s) for s in operands],
        point=point,
        batched=[bool(differs[s]) for s in operands],
        length=length,
    )
    result = rule(batcher)
    if result < len(operands):  # an operand as it is: the result is an instruction, and a pass drops it
        result = batcher.apply("reshape", wanted.shape, result)
    assert batcher.type(result) == wanted, f"{op.name}: the rule gives {batcher.type(result)}, not {wanted}"
    steps = [
        (
            step.opcode,
            _OWN if OPS[step.opcode].immediate else tables.attributes(step.attribute),
            tables.types(step.type),
            step.operands,
        )
        for step in batcher.steps
    ]
    return _Template(tuple(steps), result)


def _offsets(lengths: Any) -> Any:
    """int64[n+1]: where each of n stretches of these lengths starts, one after another."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def _copied(tape: Tape, site: Any, templates: Sequence[_Template], tables: _Tables) -> Tape:
    """Every instruction replaced by the steps of its site."""
    n, steps = len(tape), [step for t in templates for step in t.steps]
    opcodes = np.array([opcode for opcode, *_ in steps], np.uint16)
    attributes = np.array([attribute for _, attribute, *_ in steps], np.int32)
    type_ids = np.array([type_id for _, _, type_id, _ in steps], np.int32)
    refs = np.array([ref for *_, part in steps for ref in part], np.int64)
    first_ref = _offsets([len(part) for *_, part in steps])
    first_step = _offsets([len(t.steps) for t in templates])
    widths = np.diff(tape.starts)
    results = np.array([t.result for t in templates], np.int64)[site] - widths

    begin = _offsets(np.diff(first_step)[site])  # where the steps of each instruction stand
    place = (begin[:-1] + results).astype(np.int32)  # where its value does
    origin = np.repeat(np.arange(n), np.diff(begin))
    step = first_step[site[origin]] + np.arange(len(origin)) - begin[origin]
    starts = _offsets(np.diff(first_ref)[step])
    reader = np.repeat(origin, np.diff(starts))
    ref = refs[np.repeat(first_ref[step] - starts[:-1], np.diff(starts)) + np.arange(len(reader))]
    own = ref >= widths[reader]  # a step of the rule's own, not an operand
    outside = np.where(own, 0, tape.starts[reader] + ref)
    operands = np.where(own, begin[reader] + ref - widths[reader], place[tape.operands[outside]])
    return replace(
        tape,
        opcodes=opcodes[step],
        starts=starts.astype(np.int32),
        operands=operands.astype(np.int32),
        type_ids=type_ids[step],
        attribute_ids=np.where(attributes[step] == _OWN, tape.attribute_ids[origin], attributes[step]),
        line_ids=tape.line_ids[origin],
        types=tuple(tables.types.items),
        attributes=tuple(tables.attributes.items),
        inputs=place[tape.inputs],
        independents=place[tape.independents],
        dependents=place[tape.dependents],
        reverse=int(begin[tape.reverse]),
    )


def _widened(grown: Tape, tape: Tape, differs: Any, length: int) -> Tape:
    """The grown tape with the dependents that are the same at all points repeated for each."""
    same = np.unique(grown.dependents[~differs[tape.dependents]])
    n, m = len(grown), len(same)
    types, attributes = Interner.of(grown.types), Interner.of(grown.attributes)
    points = [grown.type(s) for s in same.tolist()]
    wanted = [ArrayType((length, *t.shape), t.kind) for t in points]
    place = np.arange(n, dtype=np.int32)
    place[same] = n + np.arange(m)
    last = grown.starts[-1]
    return replace(
        grown,
        opcodes=np.append(grown.opcodes, np.full(m, OPCODES["broadcast_to"], np.uint16)),
        starts=np.append(grown.starts, last + np.arange(1, m + 1, dtype=np.int32)),
        operands=np.append(grown.operands, same),
        type_ids=np.append(grown.type_ids, np.array([types(t) for t in wanted], np.int32)),
        attribute_ids=np.append(grown.attribute_ids, np.array([attributes(t.shape) for t in wanted], np.int32)),
        line_ids=np.append(grown.line_ids, grown.line_ids[same]),
        types=tuple(types.items),
        attributes=tuple(attributes.items),
        dependents=np.where(differs[tape.dependents], grown.dependents, place[grown.dependents]),
        reverse=grown.reverse if tape.reverse < len(tape) else n + m,
    )
