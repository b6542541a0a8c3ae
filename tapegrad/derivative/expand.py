"""The compiled loop that differentiates a tape: it copies templates.

A *template* is what a rule records for one site: an instruction's signature, one operand, the types of
the seed and of the sum so far, and whether the seed may be masked. The loop walks the tape, looks each
site up in a hash table and appends the template's instructions; at a site of a new kind it stops, Python
runs the rule once, and the loop goes on. So a derivative costs Python work for each *kind* of site, and
tens of nanoseconds for each instruction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.errors import UnsupportedError
from tapegrad.jit import compiled
from tapegrad.ops.builder import Builder, Step
from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.table import CONSTANT, OPS, flags
from tapegrad.passes.signature import signatures
from tapegrad.tape import Interner, Tape

DONE, NEW_SITE, NO_SPACE = 0, 1, 2
_SITE: Final = 5  # signature, operand, seed type, type of the sum so far (-1: none), masked
IMMEDIATE: Final = -1  # as a step's attribute: that of the instruction itself
_STEP: Final = 5  # opcode, attribute, type, first reference, end of references

# The loop's state, an int64 array.
_I, _K, _SLOTS, _OPERANDS = range(4)


@compiled
def _find(sites: Any, table: Any, signature: Any, k: Any, seed: Any, total: Any, masked: Any) -> Any:
    """The place in `table` of a site, or of the empty cell where it belongs."""
    mask = len(table) - 1
    h = np.uint64(signature) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(k)
    h = (h ^ (h >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9) ^ np.uint64(seed)
    h = (h ^ (h >> np.uint64(31))) * np.uint64(0x94D049BB133111EB) ^ np.uint64(2 * (total + 1) + masked)
    h = (h ^ (h >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    place = np.int64((h ^ (h >> np.uint64(32))) & np.uint64(mask))
    while True:
        t = table[place]
        if t < 0:
            return place
        s = sites[t]
        if s[0] == signature and s[1] == k and s[2] == seed and s[3] == total and s[4] == masked:
            return place
        place = (place + 1) & mask


@compiled
def _expand(
    reverse: Any,
    opcodes: Any,
    attributes: Any,
    types: Any,
    lines: Any,
    starts: Any,
    operands: Any,
    n: Any,
    signature: Any,
    active: Any,
    masked: Any,
    last_first: Any,
    derivative: Any,
    state: Any,
    sites: Any,
    table: Any,
    bounds: Any,
    results: Any,
    steps: Any,
    refs: Any,
) -> int:
    """Append the derivative's instructions; `derivative[s]` is the slot of slot s's adjoint (or tangent).

    `last_first`: opcodes whose operands are gone through from the last to the first.
    """
    while 0 <= state[_I] < n:
        i = state[_I]
        a, b = starts[i], starts[i + 1]
        while state[_K] < b - a and active[i]:
            k = b - a - 1 - state[_K] if last_first[opcodes[i]] else state[_K]
            operand = operands[a + k]
            source, target = (i, operand) if reverse else (operand, i)
            seed = derivative[source]
            if seed >= 0 and active[operand]:
                total = derivative[target]
                total_type = types[total] if total >= 0 else -1
                place = _find(sites, table, signature[i], k, types[seed], total_type, masked[i])
                t = table[place]
                if t < 0:
                    return NEW_SITE
                first, end = bounds[t], bounds[t + 1]
                slots, used = state[_SLOTS], state[_OPERANDS]
                if slots + (end - first) > len(opcodes) or used + (refs_end(steps, first, end)) > len(operands):
                    return NO_SPACE
                outer = b - a
                for j in range(first, end):
                    opcodes[slots] = steps[j, 0]
                    attributes[slots] = attributes[i] if steps[j, 1] == IMMEDIATE else steps[j, 1]
                    types[slots] = steps[j, 2]
                    lines[slots] = lines[i]
                    for r in range(steps[j, 3], steps[j, 4]):
                        operands[used] = _resolve(refs[r], outer, operands, a, i, seed, total, state[_SLOTS])
                        used += 1
                    slots += 1
                    starts[slots] = used
                if results[t] != -1:
                    derivative[target] = _resolve(results[t], outer, operands, a, i, seed, total, state[_SLOTS])
                state[_SLOTS] = slots
                state[_OPERANDS] = used
            state[_K] += 1
        state[_K] = 0
        state[_I] += -1 if reverse else 1
    return DONE


@compiled
def refs_end(steps: Any, first: Any, end: Any) -> Any:
    """How many operands the steps of a template have."""
    return steps[end - 1, 4] - steps[first, 3] if end > first else 0


@compiled
def _resolve(ref: Any, outer: Any, operands: Any, a: Any, i: Any, seed: Any, total: Any, base: Any) -> Any:
    """The slot that a template's reference stands for at this site."""
    if ref < outer:
        return operands[a + ref]
    if ref == outer:
        return i
    if ref == outer + 1:
        return seed
    if ref == outer + 2:
        return total
    return base + ref - outer - 3


@compiled
def _activity(opcodes: Any, starts: Any, operands: Any, floating: Any, smooth: Any, active: Any) -> None:
    """A slot is active if it is floating and depends on an independent through ops that have a derivative."""
    for i in range(len(opcodes)):
        if smooth[opcodes[i]] and floating[i]:
            for o in range(starts[i], starts[i + 1]):
                if active[operands[o]]:
                    active[i] = True
                    break


@compiled
def _maskedness(opcodes: Any, starts: Any, operands: Any, active: Any, selects: Any, masked: Any) -> None:
    """A slot is masked if a selection further on may leave its adjoint exactly 0."""
    for i in range(len(opcodes) - 1, -1, -1):
        if active[i] and (masked[i] or selects[opcodes[i]]):
            for o in range(starts[i], starts[i + 1]):
                masked[operands[o]] = True


Rule = Callable[[Builder, int], "int | None"]
TemplateStep: TypeAlias = tuple[int, int, int, tuple[int, ...]]  # opcode, attribute, type, references


@dataclass(slots=True)
class _Templates:
    """The templates made so far and the hash table of their sites, in arrays with room to grow."""

    count: int = 0
    sites: Any = field(default_factory=lambda: np.zeros((16, _SITE), np.int64))
    table: Any = field(default_factory=lambda: np.full(64, -1, np.int32))
    bounds: Any = field(default_factory=lambda: np.zeros(17, np.int64))
    results: Any = field(default_factory=lambda: np.zeros(16, np.int64))
    steps: Any = field(default_factory=lambda: np.zeros((64, _STEP), np.int64))
    refs: Any = field(default_factory=lambda: np.zeros(128, np.int64))

    def arrays(self) -> tuple[Any, ...]:
        """What the compiled loop reads."""
        return self.sites, self.table, self.bounds, self.results, self.steps, self.refs

    def add(self, site: tuple[int, ...], steps: list[TemplateStep], result: int) -> None:
        """Append a template."""
        t, first = self.count, int(self.bounds[self.count])
        used = int(self.steps[first - 1, 4]) if first else 0
        self.sites = _room(self.sites, t + 1)
        self.results = _room(self.results, t + 1)
        self.bounds = _room(self.bounds, t + 2)
        self.steps = _room(self.steps, first + len(steps))
        self.refs = _room(self.refs, used + sum(len(refs) for *_, refs in steps))
        for j, (opcode, attribute, type_id, refs) in enumerate(steps):
            end = used + len(refs)
            self.refs[used:end] = refs
            self.steps[first + j] = (opcode, attribute, type_id, used, end)
            used = end
        self.sites[t], self.results[t], self.bounds[t + 1] = site, result, first + len(steps)
        self.count = t + 1
        if 4 * self.count > len(self.table):
            self.table = np.full(2 * len(self.table), -1, np.int32)
            for other in range(self.count):
                self.table[_find(self.sites, self.table, *self.sites[other])] = other
        else:
            self.table[_find(self.sites, self.table, *site)] = t


def _room(array: Any, wanted: int) -> Any:
    """The array, twice as long where it is too short."""
    while len(array) < wanted:
        array = np.concatenate([array, np.zeros_like(array)])
    return array


@dataclass(slots=True)
class Expansion:
    """A tape being differentiated: its arrays with room to grow, and its tables with room for more."""

    tape: Tape
    rule: Rule
    reverse: bool
    arrays: dict[str, Any]
    state: Any
    types: Interner[Any]
    attributes: Interner[Attribute]
    constants: list[Any]
    numbers: dict[float, int]
    derivative: Any
    templates: _Templates = field(default_factory=_Templates)

    @classmethod
    def of(cls, tape: Tape, rule: Rule, *, reverse: bool) -> Expansion:
        """Start from a tape; nothing is differentiated yet."""
        n, m = len(tape), len(tape.operands)
        room = 4 * n + 64
        arrays: dict[str, Any] = {
            "opcodes": np.zeros(room, np.uint16),
            "attributes": np.zeros(room, np.int32),
            "types": np.zeros(room, np.int32),
            "lines": np.zeros(room, np.int32),
            "starts": np.zeros(room + 1, np.int32),
            "operands": np.zeros(8 * n + 64, np.int32),
        }
        fields: tuple[Any, ...] = (
            tape.opcodes,
            tape.attribute_ids,
            tape.type_ids,
            tape.line_ids,
            tape.starts,
            tape.operands,
        )
        for room_for, values in zip(arrays.values(), fields, strict=True):
            room_for[: len(values)] = values
        state = np.array([n - 1 if reverse else 0, 0, n, m], np.int64)
        return cls(
            tape,
            rule,
            reverse,
            arrays,
            state,
            Interner.of(tape.types),
            Interner.of(tape.attributes),
            list(tape.constants),
            {},
            np.full(n, -1, np.int32),
        )

    def append(self, opcode: int, attribute: int, type_id: int, operands: tuple[int, ...] = (), line: int = 0) -> int:
        """Append one instruction by hand."""
        slot, used = int(self.state[_SLOTS]), int(self.state[_OPERANDS])
        if slot + 1 > len(self.arrays["opcodes"]) or used + len(operands) > len(self.arrays["operands"]):
            self._grow()
        a = self.arrays
        a["opcodes"][slot], a["attributes"][slot], a["types"][slot], a["lines"][slot] = (
            opcode,
            attribute,
            type_id,
            line,
        )
        a["operands"][used : used + len(operands)] = operands
        a["starts"][slot + 1] = used + len(operands)
        self.state[_SLOTS], self.state[_OPERANDS] = slot + 1, used + len(operands)
        return slot

    def number(self, value: float) -> int:
        """The place of a scalar constant."""
        place = self.numbers.get(value)
        if place is None:
            place = self.numbers[value] = len(self.constants)
            self.constants.append(np.array(value, self.tape.dtype))
        return place

    def run(self) -> None:
        """Append the derivative of every instruction, from the seeds set in `derivative`."""
        tape = self.tape
        signature, _ = signatures(tape)
        active = activity(tape)
        masked = maskedness(tape, active) if self.reverse else np.zeros(len(tape), np.bool_)
        last_first = flags("overwrites") & self.reverse
        template_arrays = self.templates.arrays()
        while True:
            a = self.arrays
            status = _expand(
                self.reverse,
                *a.values(),
                len(tape),
                signature,
                active,
                masked,
                last_first,
                self.derivative,
                self.state,
                *template_arrays,
            )
            if status == DONE:
                return
            if status == NO_SPACE:
                self._grow()
                continue
            self._add_template(signature, masked)
            template_arrays = self.templates.arrays()

    def _grow(self) -> None:
        for name, values in self.arrays.items():
            grown = np.zeros(2 * len(values), values.dtype)
            grown[: len(values)] = values
            self.arrays[name] = grown

    def _add_template(self, signature: Any, masked: Any) -> None:
        """Run the rule for the site at which the loop stopped."""
        i, k = int(self.state[_I]), int(self.state[_K])
        operands = self.tape.read(i)
        if self.reverse and OPS[self.tape.opcodes[i]].overwrites:
            k = len(operands) - 1 - k
        source, target = (i, operands[k]) if self.reverse else (operands[k], i)
        kinds = self.arrays["types"]
        seed_type = int(kinds[self.derivative[source]])
        total = int(self.derivative[target])
        total_type = int(kinds[total]) if total >= 0 else -1
        sum_type = self.types.items[total_type] if total >= 0 else None
        builder = self.builder(i, self.types.items[seed_type], sum_type, masked=bool(masked[i]))
        steps, result = self.template(builder, self.rule, k)
        site = (int(signature[i]), k, seed_type, total_type, int(masked[i]))
        self.templates.add(site, steps, result)

    def builder(self, i: int, seed_type: ArrayType, sum_type: ArrayType | None, *, masked: bool) -> Builder:
        """What a rule of instruction i is written with."""
        return Builder(
            op=OPS[self.tape.opcodes[i]],
            attribute=self.tape.attribute(i),
            types=[self.tape.type(s) for s in self.tape.read(i)],
            result_type=self.tape.type(i),
            seed_type=seed_type,
            sum_type=sum_type,
            masked=masked,
            line=self.tape.line(i),
        )

    def template(self, builder: Builder, rule: Rule, k: int) -> tuple[list[TemplateStep], int]:
        """What a rule records for operand k, and the reference to its result (-1: nothing is contributed)."""
        try:
            result = rule(builder, k)
        except UnsupportedError as error:
            place = f" (at {builder.line})"
            raise UnsupportedError(str(error) if str(error).endswith(place) else f"{error}{place}") from None
        if result is None:
            return [], -1
        return [(s.opcode, self._attribute(s), self.types(s.type), s.operands) for s in builder.steps], result

    def _attribute(self, step: Step) -> int:
        """What stands for a step's attribute in a template."""
        if OPS[step.opcode].immediate:
            return IMMEDIATE
        if step.opcode != CONSTANT:
            return self.attributes(step.attribute)
        if step.array is None:
            return self.number(step.number)
        floating = step.array.dtype.kind == "f"
        self.constants.append(np.array(step.array, self.tape.dtype if floating else None, order="C"))
        return len(self.constants) - 1

    def finish(self, dependents: list[int], reverse: int) -> Tape:
        """The grown tape."""
        slots, used = int(self.state[_SLOTS]), int(self.state[_OPERANDS])
        a = self.arrays
        return Tape(
            opcodes=a["opcodes"][:slots].copy(),
            starts=a["starts"][: slots + 1].copy(),
            operands=a["operands"][:used].copy(),
            type_ids=a["types"][:slots].copy(),
            attribute_ids=a["attributes"][:slots].copy(),
            line_ids=a["lines"][:slots].copy(),
            types=tuple(self.types.items),
            attributes=tuple(self.attributes.items),
            constants=tuple(self.constants),
            lines=self.tape.lines,
            inputs=self.tape.inputs,
            independents=self.tape.independents,
            dependents=np.array(dependents, np.int32),
            reverse=reverse,
            dtype=self.tape.dtype,
        )


def activity(tape: Tape) -> Any:
    """bool[n]: which slots depend on an independent through ops that have a derivative."""
    active = np.zeros(len(tape), np.bool_)
    active[tape.independents] = True
    floating = np.array([t.kind == "f" for t in tape.types], np.bool_)[tape.type_ids]
    active &= floating
    _activity(tape.opcodes, tape.starts, tape.operands, floating, flags("differentiable"), active)
    return active


def maskedness(tape: Tape, active: Any) -> Any:
    """bool[n]: of which slots a selection further on may leave the adjoint exactly 0."""
    masked = np.zeros(len(tape), np.bool_)
    _maskedness(tape.opcodes, tape.starts, tape.operands, active, flags("selects"), masked)
    return masked
