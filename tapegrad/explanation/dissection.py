"""A tape taken apart: its partials, and the reverse sweep contribution by contribution, as more instructions.

`tapegrad.derivative.adjoint` makes the reverse part that runs; what it adds in place, or has in common with another
instruction, is no slot there. Here each partial, each contribution and each running total of an adjoint is a slot.
The rules are the same ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tapegrad.derivative.adjoint import widen
from tapegrad.derivative.expand import IMMEDIATE, Expansion, TemplateStep, activity, maskedness
from tapegrad.errors import UnsupportedError
from tapegrad.ops.builder import Builder, adjoint_contribution, tangent_contribution
from tapegrad.ops.expression import parse
from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import CONSTANT, OPCODES, OPS
from tapegrad.passes.signature import signatures
from tapegrad.tape import Tape

_APART: Final = 4096  # elements; to the adjoint of a larger slot rules may add in place
_SCALAR: Final = ArrayType((), FLOAT)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One contribution of the reverse sweep; the steps stand in the order in which they happen.

    Attributes:
        instruction: the forward instruction whose rule ran.
        place: which of its operands (0, 1, ...).
        operand: the forward slot whose adjoint grows.
        added: the slot with the contribution (or with the total, where a rule adds in place); it may be narrower.
        total: the slot with the adjoint so far, after this step.
        before: the slot with the adjoint before this step; -1: nothing was there yet.
    """

    instruction: int
    place: int
    operand: int
    added: int
    total: int
    before: int


@dataclass(frozen=True, slots=True, eq=False)
class Dissection:
    """What `dissect` finds. Slots are those of `full`; -1 stands for none.

    Attributes:
        full: the tape, its partials, the reverse part; dependents are the values, then a gradient each independent.
        partials: for each instruction and operand the partial.
        seeds: for each dependent its seed.
        steps: the reverse sweep.
        adjoints: for each slot of the tape its adjoint.
    """

    full: Tape
    partials: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]
    steps: tuple[Step, ...]
    adjoints: tuple[int, ...]


def dissect(tape: Tape, seeds: Sequence[Any]) -> Dissection:
    """Take a tape apart.

    Args:
        tape: any tape.
        seeds: an array for each dependent, of its shape; None for one that is not floating.

    Raises:
        UnsupportedError: an operand on the way from the independents to the dependents without a rule.

    Source: Griewank & Walther, Evaluating Derivatives (2nd ed., 2008), section 3.2.
    """
    work = _Dissector.of(tape)
    partials = tuple(work.partials(i) for i in range(len(tape)))
    places = work.seed(seeds)
    for i in range(len(tape) - 1, -1, -1):
        work.sweep(i)
    gradients = [work.gradient(s) for s in tape.independents.tolist()]
    full = work.expansion.finish([*tape.dependents.tolist(), *gradients], len(tape))
    return Dissection(full, partials, places, tuple(work.steps), tuple(work.adjoints))


def _partial(b: Builder, k: int) -> int | None:
    """The partial by operand k, in the shape both broadcast to; of other rows the contribution for the seed 1."""
    if not b.op.pointwise:
        return adjoint_contribution(b, k)
    if not b.op.elementwise:
        return tangent_contribution(b, k)
    if not b.op.partials[k]:
        raise UnsupportedError(b.op.name)
    return b.evaluate(parse(b.op.partials[k]))


@dataclass(slots=True)
class _Template:
    """What a rule records for one kind of site, as in `tapegrad.derivative.expand`; `result` -1: nothing.

    `added`: the reference to the contribution, where the result is the total; else the result.
    """

    steps: list[TemplateStep]
    result: int
    added: int
    totals: bool


@dataclass(slots=True)
class _Dissector:
    """A tape that is being taken apart."""

    tape: Tape
    expansion: Expansion
    operands: list[list[int]]
    active: list[bool]
    masked: list[bool]
    wanted: list[bool]
    signature: list[int]
    adjoints: list[int]
    steps: list[Step] = field(default_factory=list)
    templates: dict[tuple[int, ...], _Template] = field(default_factory=dict)
    one: int = -1

    @classmethod
    def of(cls, tape: Tape) -> _Dissector:
        """Nothing is done yet."""
        active = activity(tape)
        operands = [tape.read(i) for i in range(len(tape))]
        return cls(
            tape=tape,
            expansion=Expansion.of(tape, adjoint_contribution, reverse=True),
            operands=operands,
            active=active.tolist(),
            masked=maskedness(tape, active).tolist(),
            wanted=_wanted(tape, operands, active.tolist()),
            signature=signatures(tape)[0].tolist(),
            adjoints=[-1] * len(tape),
        )

    def type(self, slot: int) -> ArrayType:
        """Type of a slot, old or new."""
        found: ArrayType = self.expansion.types.items[self.type_id(slot)]
        return found

    def type_id(self, slot: int) -> int:
        """Its place in the table of types."""
        return int(self.expansion.arrays["types"][slot])

    # --- partials

    def partials(self, i: int) -> tuple[int, ...]:
        """The partial by each operand of an instruction."""
        operands = self.operands[i]
        if not self.wanted[i]:
            return (-1,) * len(operands)
        return tuple(self.partial(i, k, s) if self.active[s] else -1 for k, s in enumerate(operands))

    def partial(self, i: int, k: int, operand: int) -> int:
        """The partial by one operand; -1 where it is no one array."""
        op = OPS[int(self.tape.opcodes[i])]
        if not op.pointwise and self.tape.type(i).size != 1:
            return -1
        if op.immediate and self.tape.type(operand).size > _APART:
            return -1  # a 1 among zeros; of a loop over a long array they would fill the memory
        site = (self.signature[i], k)
        template = self.templates.get(site)
        if template is None:
            builder = self.expansion.builder(i, _SCALAR, None, masked=False)
            try:
                steps, result = self.expansion.template(builder, _partial, k)
            except UnsupportedError:  # the sweep says so, if it gets there
                steps, result = [], -1
            template = self.templates[site] = _Template(steps, result, result, totals=False)
        return self.copy(template, i, self.unit(), -1)[0]

    def unit(self) -> int:
        """A slot with the number 1."""
        if self.one < 0:
            self.one = self.expansion.append(CONSTANT, self.expansion.number(1.0), self.expansion.types(_SCALAR))
        return self.one

    # --- the reverse sweep

    def seed(self, seeds: Sequence[Any]) -> tuple[int, ...]:
        """Append the seeds; an adjoint of a slot that is the result more than once starts with their sum."""
        found = []
        for dependent, seed in zip(self.tape.dependents.tolist(), seeds, strict=True):
            if seed is None:
                found.append(-1)
                continue
            self.expansion.constants.append(seed)
            place = len(self.expansion.constants) - 1
            slot = self.expansion.append(CONSTANT, place, int(self.tape.type_ids[dependent]))
            found.append(slot)
            if self.active[dependent]:
                self.adjoints[dependent] = self.total(self.adjoints[dependent], slot)
        return tuple(found)

    def sweep(self, i: int) -> None:
        """What the operands of an instruction receive."""
        if self.adjoints[i] < 0 or not self.active[i]:
            return
        operands = list(enumerate(self.operands[i]))
        if OPS[int(self.tape.opcodes[i])].overwrites:
            operands.reverse()
        for k, operand in operands:
            if self.active[operand]:
                self.contribute(i, k, operand)

    def contribute(self, i: int, k: int, operand: int) -> None:
        """What one operand receives."""
        before = self.adjoints[operand]
        together = before >= 0 and self.tape.type(operand).size > _APART
        seed = self.adjoints[i]
        sum_type = self.type_id(before) if together else -1
        site = (self.signature[i], k, self.type_id(seed), sum_type, self.masked[i])
        template = self.templates.get(site)
        if template is None:
            template = self.templates[site] = self.rule(i, k, seed, before if together else -1)
        added, total = self.copy(template, i, seed, before)
        if added < 0:
            return
        if not template.totals:
            total = self.total(before, added, int(self.tape.line_ids[i]))
        self.adjoints[operand] = total
        self.steps.append(Step(i, k, operand, added, total, before))

    def rule(self, i: int, k: int, seed: int, before: int) -> _Template:
        """Run the rule for a site, to add to what was there before if there is something (not -1)."""
        sum_type = self.type(before) if before >= 0 else None
        builder = self.expansion.builder(i, self.type(seed), sum_type, masked=self.masked[i])
        steps, result = self.expansion.template(builder, adjoint_contribution, k)
        added = result
        if sum_type is not None and result >= 0 and builder.steps:
            last = builder.steps[-1]
            if OPS[last.opcode].name == "add" and last.operands[0] == builder.total:
                added = last.operands[1]
        return _Template(steps, result, added, totals=sum_type is not None)

    def total(self, before: int, added: int, line: int = 0) -> int:
        """The sum of what was there before (-1: nothing) and what is added."""
        if before < 0:
            return added
        opcode = OPCODES["add"]
        found = OPS[opcode].result_type((), [self.type(before), self.type(added)])
        return self.expansion.append(opcode, 0, self.expansion.types(found), (before, added), line)

    def gradient(self, slot: int) -> int:
        """The full gradient by an independent; zeros where the result does not depend on it."""
        found = self.adjoints[slot]
        if found < 0:
            found = self.expansion.append(CONSTANT, self.expansion.number(0.0), self.expansion.types(_SCALAR))
        return widen(self.expansion, found, self.tape.type(slot))

    def copy(self, template: _Template, i: int, seed: int, before: int) -> tuple[int, int]:
        """Append a template's instructions for this site: the slots of the contribution and of the result."""
        if template.result < 0:
            return -1, -1
        known = [*self.operands[i], i, seed, before]
        line, own = int(self.tape.line_ids[i]), int(self.tape.attribute_ids[i])
        for opcode, attribute, type_id, refs in template.steps:
            read = tuple([known[r] for r in refs])
            place = own if attribute == IMMEDIATE else attribute
            known.append(self.expansion.append(opcode, place, type_id, read, line))
        return known[template.added], known[template.result]


def _wanted(tape: Tape, operands: list[list[int]], active: list[bool]) -> list[bool]:
    """Which slots the floating dependents depend on, by ways that have a derivative."""
    wanted = [False] * len(tape)
    for dependent in tape.dependents.tolist():
        wanted[dependent] = active[dependent]
    for i in range(len(tape) - 1, -1, -1):
        if wanted[i]:
            for s in operands[i]:
                wanted[s] = wanted[s] or active[s]
    return wanted
