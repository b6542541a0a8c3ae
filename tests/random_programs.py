"""Random programs of array operations: written once, then run by the sweep and by JAX.

A program is data: inputs, constants and steps, each of which names earlier values. The writer keeps a bound
for each value and scales down what grows, so that rounding errors stay small beside the results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

import numpy as np
from hypothesis import strategies as st

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute
from tapegrad.ops.table import OPS, find
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable

LARGEST: Final = 64  # elements of a value
LIMIT: Final = 6.0  # a value that may be larger is scaled down
SHAPES: Final = ((), (), (1,), (3,), (4,), (2, 3), (3, 2), (3, 3), (1, 3), (3, 1), (2, 1, 3), (2, 3, 2), (0,), (0, 3))
# Exactly the same numbers by any code, if the operands are. (A product is not: it may be fused with a sum.)
EXACT: Final = frozenset(
    {"add", "subtract", "negative", "absolute", "maximum", "minimum", "where", "max", "min", "reshape", "transpose",
     "broadcast_to", "slice", "pad", "slice_add", "slice_set", "item", "item_set", "concatenate", "gather",
     "stop_gradient", "to_float"}
)  # fmt: skip


class Chooser(Protocol):
    """Where a writer's choices come from."""

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""


@dataclass(frozen=True, slots=True)
class RandomChooser:
    """Choices by a random number generator."""

    rng: np.random.Generator

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.rng.integers(low, high + 1))


@dataclass(frozen=True, slots=True)
class DrawnChooser:
    """Choices by hypothesis, which can make a failing program smaller."""

    draw: Callable[[Any], Any]

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.draw(st.integers(low, high)))


@dataclass(frozen=True, slots=True)
class Input:
    """An argument: integers are indices of an axis of length `length`."""

    type: ArrayType
    independent: bool
    length: int = 1


@dataclass(frozen=True, slots=True)
class Step:
    """One operation on earlier values."""

    name: str
    attribute: Attribute
    operands: tuple[int, ...]


@dataclass(slots=True)
class Program:
    """Values are the inputs, then the constants, then the results of the steps.

    `scalar`: the result is one number, the sum of all elements of the outputs. `exact`: the values that
    come out the same by any code.
    """

    dtype: np.dtype[Any]
    inputs: list[Input] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    scalar: bool = False
    exact: list[bool] = field(default_factory=list)

    def draw(self, seed: int) -> list[Any]:
        """Arguments."""
        rng = np.random.default_rng(seed)
        values = []
        for x in self.inputs:
            if x.type.kind == FLOAT:
                value = rng.uniform(-1.5, 1.5, x.type.shape).astype(self.dtype)
            elif x.type.kind == INT:
                value = rng.integers(-x.length, x.length, x.type.shape)
            else:
                value = rng.integers(0, 2, x.type.shape).astype(np.bool_)
            values.append(np.asarray(value))
        return values

    @property
    def independent(self) -> list[int]:
        """The places of the inputs to differentiate by."""
        return [k for k, x in enumerate(self.inputs) if x.independent]

    def record(self, recorder: Recorder, *variables: Variable) -> list[Variable]:
        """The program on a tape."""
        values = [*variables, *(recorder.constant(c if c.shape else c.item()) for c in self.constants)]
        for step in self.steps:
            operands = [values[k] for k in step.operands]
            elementwise = OPS[find(step.name, "".join(v._kind for v in operands))].elementwise
            values.append(
                recorder.elementwise(step.name, *operands)
                if elementwise
                else recorder.apply(step.name, step.attribute, *operands)
            )
        outputs = [values[k] for k in self.outputs]
        if not self.scalar:
            return outputs
        sums = [recorder.apply("sum", tuple(range(v.ndim)), v) for v in outputs]
        total = sums[0]
        for term in sums[1:]:
            total = recorder.elementwise("add", total, term)
        return [total]

    def without_stops(self) -> Program:
        """The program with another linear operation in place of stop_gradient, which differences do not see."""
        steps = [replace(s, name="negative") if s.name == "stop_gradient" else s for s in self.steps]
        return replace(self, steps=steps)

    def __str__(self) -> str:
        rows = [f"v{k} = input {x}" for k, x in enumerate(self.inputs)]
        rows += [f"v{len(rows) + k} = {c!r}" for k, c in enumerate(self.constants)]
        for k, s in enumerate(self.steps, len(rows)):
            rows.append(f"v{k} = {s.name} {s.attribute} {' '.join(f'v{o}' for o in s.operands)}")
        return "\n".join([f"{self.dtype}, scalar={self.scalar}", *rows, f"outputs {self.outputs}"])


@dataclass(slots=True)
class Writer:
    """Writes a program.

    Inputs and constants are asked for while steps are written, so values are named by negative numbers until
    the end: `order` keeps them apart.

    `largest`: elements of a value; `shapes`: what moves draw shapes from.
    """

    choose: Chooser
    program: Program
    largest: int = LARGEST
    shapes: Sequence[tuple[int, ...]] = SHAPES
    types: list[ArrayType] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    exact: list[bool] = field(default_factory=list)
    active: list[bool] = field(default_factory=list)  # does it depend on a parameter, through smooth operations?
    used: set[int] = field(default_factory=set)
    made: list[tuple[str, Any]] = field(default_factory=list)  # what each value is: input, constant or step

    # --- choices

    def chance(self, of: int) -> bool:
        """True once in `of` times."""
        return self.choose.integer(1, of) == 1

    def pick(self, items: Sequence[Any]) -> Any:
        """One of them."""
        return items[self.choose.integer(0, len(items) - 1)]

    def value(self, fits: Callable[[ArrayType], bool] = lambda _: True) -> int | None:
        """A floating value that fits, mostly one that depends on a parameter, and a recent one; None if none fits."""
        found = [k for k, t in enumerate(self.types) if t.kind == FLOAT and fits(t)]
        if not found:
            return None
        active = [k for k in found if self.active[k]]
        if active and not self.chance(6):
            found = active
        return self.pick(found if self.chance(2) else found[-4:])

    def broadcasts(self, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
        """Do two shapes fit, and is the result small enough?"""
        try:
            return int(np.prod(np.broadcast_shapes(a, b))) <= self.largest
        except ValueError:
            return False

    # --- values

    def _append(
        self, what: str, detail: Any, t: ArrayType, bound: float, *, exact: bool = True, active: bool = False
    ) -> int:
        self.made.append((what, detail))
        self.types.append(t)
        self.bounds.append(bound)
        self.exact.append(exact)
        self.active.append(active)
        return len(self.types) - 1

    def input(self, shape: tuple[int, ...], kind: str = FLOAT, *, independent: bool = False, length: int = 1) -> int:
        """One more argument."""
        t = ArrayType(shape, kind)
        return self._append("input", Input(t, independent, length), t, 1.5, active=independent)

    def constant(self, value: Any) -> int:
        """One more constant: a number, or an array."""
        kind = {"f": FLOAT, "i": INT, "b": BOOL}[np.asarray(value).dtype.kind]
        array = np.asarray(value, self.program.dtype) if kind == FLOAT else np.asarray(value)
        return self._append("constant", array, ArrayType(array.shape, kind), float(np.abs(array).max(initial=0)))

    def step(self, name: str, *operands: int, attribute: Attribute = (), bound: float | None = None) -> int:
        """One more operation, scaled down if it may be large. A bound not given is that of the largest operand."""
        types = [self.types[k] for k in operands]
        op = OPS[find(name, "".join(t.kind for t in types))]
        limit = max(self.bounds[k] for k in operands) if bound is None else bound
        exact = name in EXACT and all(self.exact[k] for k in operands)
        active = op.differentiable and any(self.active[k] for k in operands)
        step, result = Step(name, attribute, operands), op.result_type(attribute, types)
        k = self._append("step", step, result, limit, exact=exact, active=active)
        self.used.update(operands)
        if limit <= LIMIT or self.types[k].kind != FLOAT:
            return k
        if self.chance(2):
            return self.step("tanh", k, bound=1.0)
        return self.step("multiply", k, self.constant(2.0 / limit), bound=2.0)

    def positive(self, x: int, least: float) -> int:
        """x * x + least."""
        return self.step("add", self.step("square", x, bound=self.bounds[x] ** 2), self.constant(least), bound=LIMIT)

    def finish(self, outputs: list[int], *, scalar: bool) -> Program:
        """The program, inputs first, constants next."""
        order = sorted(range(len(self.made)), key=lambda k: ("input", "constant", "step").index(self.made[k][0]))
        place = {k: j for j, k in enumerate(order)}
        p = self.program
        for k in order:
            what, detail = self.made[k]
            if what == "step":
                detail = Step(detail.name, detail.attribute, tuple(place[o] for o in detail.operands))
            {"input": p.inputs, "constant": p.constants, "step": p.steps}[what].append(detail)
            p.exact.append(self.exact[k])
        p.outputs, p.scalar = [place[k] for k in outputs], scalar
        return p


def write(choose: Chooser) -> Program:
    """A program of five to thirty steps or so."""
    from tests.program_moves import MOVES, SCALAR_MOVES

    dtype = np.dtype(np.float32 if choose.integer(1, 4) == 1 else np.float64)
    w = Writer(choose, Program(dtype))
    nothing = w.chance(30)  # to differentiate by
    for k in range(choose.integer(1, 4)):
        w.input(w.pick(SHAPES), independent=not nothing and (k == 0 or not w.chance(4)))
    wanted = choose.integer(5, 30)
    while len([m for m in w.made if m[0] == "step"]) < wanted:
        if w.chance(4):
            for _ in range(choose.integer(2, 8)):  # a run of scalar instructions
                w.pick(SCALAR_MOVES)(w, lambda t: t.shape == ())
        else:
            w.pick(MOVES)(w)
    if w.chance(6):
        w.input(w.pick(SHAPES), independent=True)  # never used
    floats = [k for k, t in enumerate(w.types) if t.kind == FLOAT]
    ends = [k for k in floats if k not in w.used and w.made[k][0] == "step"]
    outputs = ends[-w.choose.integer(1, 4) :] or floats[-1:]
    outputs += [w.pick(floats) for _ in range(w.choose.integer(0, 2))]
    if w.chance(5):
        outputs.append(w.pick(outputs))  # the same result twice
    return w.finish(outputs, scalar=not w.chance(3))


@st.composite
def programs(draw: Any) -> Program:
    """Programs, for hypothesis."""
    return write(DrawnChooser(draw))
