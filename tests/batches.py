"""What the tests of many points at once share: points of every row, tapes of them, results point by point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT, Op
from tapegrad.ops.table import OPS, find
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape
from tests.helpers import F64, MOVES_ANY_KIND, REDUCES_INTEGERS, Sample, draw, fill, record, samples
from tests.test_relations import MORE

WITHOUT_RULE: Final[frozenset[str]] = frozenset()  # rows that can be run at one point only
KINDS: Final = {"f": FLOAT, "i": INT, "b": BOOL}


@dataclass(frozen=True, slots=True)
class Points:
    """One call of an op at several points: the operands in `mask` have a leading axis of points."""

    sample: Sample
    mask: tuple[bool, ...]
    operands: tuple[Any, ...]
    length: int

    def at(self, p: int) -> list[Any]:
        """The operands at one point."""
        return [v[p] if m else v for v, m in zip(self.operands, self.mask, strict=True)]

    def values(self) -> Any:
        """What the row's own function gives, point by point."""
        if not self.length:
            one = self.sample.value()
            return np.zeros((0, *one.shape), one.dtype)
        return np.stack([self.sample.value(*self.at(p)) for p in range(self.length)])


def kinds_of(op: Op) -> tuple[str, ...]:
    """The kinds of elements that a structural row takes."""
    if op.name in MOVES_ANY_KIND:
        return (FLOAT, INT, BOOL)
    return (FLOAT, INT) if op.name in REDUCES_INTEGERS else (FLOAT,)


def calls(op: Op, dtype: Any) -> Iterator[Sample]:
    """All samples of a row, and of a structural one those of its cases for other kinds and further cases."""
    yield from samples(op, dtype)
    if op.elementwise:
        return
    rng = np.random.default_rng(1)
    for case in MORE.get(op.name, ()):
        yield Sample(op, case.attribute, tuple(fill(case, FLOAT, rng, dtype)), ())
    for kind in kinds_of(op)[1:]:
        for case in op.cases:
            yield Sample(op, case.attribute, tuple(fill(case, kind, rng, dtype)), ())


def axis_length(s: Sample, k: int) -> int:
    """How long the axis is that an index of this call selects from."""
    if s.op.name == "scatter":
        return int(s.attribute[1])
    if s.op.name == "is_last":
        return int(s.attribute[0])
    selects = s.op.name in {"gather", "scatter_add"} or (s.op.name == "scatter_set" and k == 2)
    return int(s.operands[0].shape[s.attribute[0]]) if selects and k else 0


def vary(s: Sample, k: int, length: int, rng: Any) -> Any:
    """Operand k at so many points, each with values of its own."""
    v = s.operands[k]
    shape = (length, *v.shape)
    if v.dtype.kind == "i" and axis_length(s, k) and k == len(s.operands) - 1:
        return rng.integers(-axis_length(s, k), axis_length(s, k), shape)
    if s.op.elementwise:
        return draw(s.op.kinds[k], shape, s.op.points[k], k, rng, v.dtype)
    if v.dtype.kind != "f":
        return rng.integers(0, 2 if v.dtype.kind == "b" else 9, shape).astype(v.dtype)
    if s.op.name == "cholesky":  # positive definite at each point
        return np.array([v * (1 + 0.1 * i) for i in range(length)], v.dtype).reshape(shape)
    # As `fill` does: distinct, so that extremes are unique at each point.
    rows = [rng.permutation(v.size) * 0.1 - 0.05 * v.size + (0.037, 0.051, 0.064)[k % 3] for _ in range(length)]
    return np.array(rows, v.dtype).reshape(shape)


def masks(count: int) -> list[tuple[bool, ...]]:
    """Every combination of batched operands but none."""
    return [m for m in product((False, True), repeat=count) if any(m)]


def points_of(s: Sample, length: int, rng: Any) -> list[Points]:
    """A call at several points, for each combination of batched operands."""
    found = []
    for mask in masks(len(s.operands)):
        operands = [vary(s, k, length, rng) if m else s.operands[k] for k, m in enumerate(mask)]
        found.append(Points(s, mask, tuple(operands), length))
    return found


def tape_of(found: Sequence[Points], dtype: Any = F64) -> tuple[Tape, list[bool], list[Any]]:
    """All calls at one point on one tape, which inputs are batched, and the inputs at all points.

    Results that are not floating become so.
    """
    one = [v for p in found for v in p.sample.operands]
    starts = np.cumsum([0, *(len(p.mask) for p in found)]).tolist()
    independent = [a + k for p, a in zip(found, starts, strict=False) for k in p.sample.active]

    def build(recorder: Recorder, *variables: Variable) -> list[Variable]:
        given = [variables[a : a + len(p.mask)] for p, a in zip(found, starts, strict=False)]
        return [p.sample.record(recorder, v) for p, v in zip(found, given, strict=True)]

    tape = record(build, one, independent, dtype)
    return tape, [m for p in found for m in p.mask], [v for p in found for v in p.operands]


def active(s: Sample) -> Sample:
    """The call with all its floating operands to be differentiated by."""
    kinds = "".join(KINDS[v.dtype.kind] for v in s.operands)
    op = OPS[find(s.op.name, kinds)] if s.op.elementwise else s.op
    missing = {k for k, text in enumerate(op.partials) if not text}
    smooth = op.differentiable and s.value().dtype.kind == "f"
    floating = [k for k, v in enumerate(s.operands) if v.dtype.kind == "f" and k not in missing]
    return replace(s, active=tuple(floating) if smooth else ())


def at_point(inputs: Sequence[Any], flags: Sequence[bool], p: int) -> list[Any]:
    """Inputs of one point."""
    return [np.array(v[p]) if f else v for v, f in zip(inputs, flags, strict=True)]
