"""A failing program made smaller: fewer outputs, and steps replaced by arguments or by their operands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.ops.table import OPS, find
from tests.random_programs import Input, Step
from tests.row_programs import RowProgram


def types_of(program: RowProgram) -> list[ArrayType]:
    """The type of every value."""
    kinds = {"f": FLOAT, "i": "i", "b": "b"}
    types = [x.type for x in program.inputs]
    types += [ArrayType(np.shape(c), kinds[np.asarray(c).dtype.kind]) for c in program.constants]
    for step in program.steps:
        operands = [types[k] for k in step.operands]
        op = OPS[find(step.name, "".join(t.kind for t in operands))]
        types.append(op.result_type(step.attribute, operands))
    return types


def rebuilt(program: RowProgram, instead: Mapping[int, int | Input]) -> RowProgram:
    """The program with values replaced by earlier ones or by new arguments, and what it does not need left out."""
    made: list[Any] = [*program.inputs, *program.constants, *program.steps]
    stands = list(range(len(made)))
    for k in range(len(made)):
        other = instead.get(k, k)
        if isinstance(other, Input):
            made[k] = other
        else:
            stands[k] = stands[other] if other != k else k
    needed: set[int] = set()
    waiting = [stands[k] for k in program.outputs]
    while waiting:
        k = waiting.pop()
        if k not in needed:
            needed.add(k)
            waiting += [stands[o] for o in made[k].operands] if isinstance(made[k], Step) else []
    order = sorted(needed, key=lambda k: 2 if isinstance(made[k], Step) else 0 if isinstance(made[k], Input) else 1)
    place = {k: j for j, k in enumerate(order)}
    smaller = replace(program, inputs=[], constants=[], steps=[], exact=[])
    for k in order:
        if isinstance(made[k], Step):
            smaller.steps.append(replace(made[k], operands=tuple(place[stands[o]] for o in made[k].operands)))
        else:
            (smaller.inputs if isinstance(made[k], Input) else smaller.constants).append(made[k])
        smaller.exact.append(True if isinstance(made[k], Input) else program.exact[k])
    smaller.outputs = [place[stands[k]] for k in program.outputs]
    return smaller


def attempts(program: RowProgram) -> Iterator[RowProgram]:
    """Programs that are smaller by one thing."""
    yield rebuilt(program, {})
    if len(program.outputs) > 1:
        for k in range(len(program.outputs)):
            outputs = [program.outputs[k]]
            yield rebuilt(replace(program, outputs=outputs), {})
            yield rebuilt(replace(program, outputs=program.outputs[:k] + program.outputs[k + 1 :]), {})
    if not program.scalar:
        yield replace(program, scalar=True)
    types, first = types_of(program), len(program.inputs) + len(program.constants)
    for k in reversed(range(first, len(types))):
        step = program.steps[k - first]
        for o in dict.fromkeys(step.operands):
            if types[o] == types[k]:
                yield rebuilt(program, {k: o})
        if types[k].kind == FLOAT and k not in program.outputs:
            yield rebuilt(program, {k: Input(types[k], independent=True)})
            yield rebuilt(program, {k: Input(types[k], independent=False)})
    for k, x in enumerate(program.inputs):
        if x.independent:
            yield rebuilt(program, {k: replace(x, independent=False)})


def size(program: RowProgram) -> tuple[int, ...]:
    """What is to become less, the most important thing first."""
    independents = sum(x.independent for x in program.inputs)
    return len(program.steps), len(program.outputs), not program.scalar, len(program.inputs), independents


def smallest(program: RowProgram, fails: Callable[[RowProgram], bool], tries: int = 2000) -> RowProgram:
    """A program that still fails and of which nothing can be left out."""
    while tries > 0:
        for candidate in attempts(program):
            tries -= 1
            if size(candidate) < size(program) and fails(candidate):
                program = candidate
                break
            if tries <= 0:
                break
        else:
            return program
    return program
