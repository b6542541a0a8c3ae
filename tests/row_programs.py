"""Random programs with rows: arrays of N rows among invariants, as a scheduler meets them that runs tile by tile.

The writer knows rows by their length: the N of the program, and lengths that slices and concatenations along the row
axis have made. Half of the programs are *smooth*: no kinks, so that finite differences tell their gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute
from tests.random_programs import Chooser, DrawnChooser, Program, Writer

LARGEST: Final = 3000  # elements of a value
LONGEST: Final = 120  # rows of a value
INNER: Final = ((), (), (1,), (2,), (3,), (3,), (2, 3))
NARROW: Final = 3  # a shorter axis is not taken for rows, unless the program has few
# What stands for an operation with a kink in a smooth program.
SMOOTH: Final = {
    "absolute": "negative",
    "floor": "negative",
    "sign": "sin",
    "maximum": "logaddexp",
    "minimum": "logaddexp",
    "max": "sum",
    "min": "sum",
}
COMPARISONS: Final = frozenset({"less", "less_equal", "greater", "greater_equal"})


@dataclass(slots=True)
class RowProgram(Program):
    """A program with its number of rows, the moves that wrote it, and whether it has no kinks."""

    rows: int = 0
    moves: set[str] = field(default_factory=set)
    smooth: bool = False

    def __str__(self) -> str:
        return f"{self.rows} rows, smooth={self.smooth}, {Program.__str__(self)}"


@dataclass(slots=True)
class RowWriter(Writer):
    """Writes a program with rows.

    Attributes:
        rows: their number; `second`: that of another, mostly smaller family of arrays beside them.
        inner: shapes of a row.
        smooth: no kinks.
        lengths: leading axes that are taken for rows.
    """

    rows: int = 1
    second: int = 1
    inner: tuple[tuple[int, ...], ...] = INNER
    smooth: bool = False
    lengths: set[int] = field(default_factory=set)

    # --- what is there

    def shape(self, k: int) -> tuple[int, ...]:
        """A value's shape."""
        return self.types[k].shape

    def has_rows(self, t: ArrayType) -> bool:
        """Is the leading axis one of rows?"""
        return bool(t.shape) and t.shape[0] in self.lengths

    def row_value(
        self, fits: Callable[[ArrayType], bool] = lambda _: True, shape: tuple[int, ...] | None = None
    ) -> int:
        """A value with rows; a new argument if none fits, of this shape."""
        found = self.value(lambda t: self.has_rows(t) and fits(t))
        if found is not None:
            return found
        return self.input((self.rows, *self.pick(self.inner)) if shape is None else shape, independent=self.chance(2))

    def row_matrix(self, axes: int = 2) -> int:
        """Rows that are vectors, or matrices (three axes)."""
        x = self.row_value()
        shape = self.shape(x)
        if len(shape) == axes:
            return x
        size = int(np.prod(shape[1:]))
        wanted = (shape[0], size) if axes == 2 else (shape[0], *((2, size // 2) if size % 2 == 0 else (1, size)))
        return self.step("reshape", x, attribute=wanted)

    def fixed_value(self, fits: Callable[[ArrayType], bool] = lambda _: True) -> int | None:
        """A value without rows."""
        return self.value(lambda t: not self.has_rows(t) and fits(t))

    def parameter(self, shape: tuple[int, ...]) -> int:
        """One more argument, mostly an independent."""
        return self.input(shape, independent=not self.chance(4))

    def index(self, shape: tuple[int, ...], length: int) -> int:
        """Integers that are in range: data, new or used before, or a constant."""
        known = [
            k
            for k, (what, detail) in enumerate(self.made)
            if what == "input" and detail.type == ArrayType(shape, INT) and detail.length <= length
        ]
        if known and self.chance(3):
            return self.pick(known)
        if not self.chance(5):
            return self.input(shape, INT, length=length)
        size = int(np.prod(shape, dtype=np.int64))
        return self.constant((np.arange(size) * self.choose.integer(1, 7) % (2 * length) - length).reshape(shape))

    # --- operations

    def note(self, length: int) -> None:
        """Take a leading axis of this length for rows from now on."""
        if length > NARROW or self.rows <= NARROW + 2:
            self.lengths.add(length)

    def step(self, name: str, *operands: int, attribute: Attribute = (), bound: float | None = None) -> int:
        """One more operation; in a smooth program one without a kink."""
        if self.smooth and name in COMPARISONS:
            return self.input(np.broadcast_shapes(*[self.shape(k) for k in operands]), BOOL)
        if self.smooth and name in SMOOTH:
            limit = max(self.bounds[k] for k in operands)
            if name in ("max", "min"):
                bound = limit * int(np.prod([self.shape(operands[0])[a] for a in attribute]))
            elif name in ("maximum", "minimum"):
                bound = limit + 0.7
            name = SMOOTH[name]
        return Writer.step(self, name, *operands, attribute=attribute, bound=bound)

    def cut(self, x: int, start: int, count: int, step: int = 1, axis: int = 0) -> int:
        """A window along one axis, whole along the others."""
        windows = tuple((start, step, count) if a == axis else (0, 1, n) for a, n in enumerate(self.shape(x)))
        if axis == 0 and count:
            self.note(count)
        return self.step("slice", x, attribute=windows)

    def scaled(self, x: int, factor: float) -> int:
        """The value times a number."""
        return self.step("multiply", x, self.constant(factor), bound=self.bounds[x] * abs(factor))


def _number_of_rows(choose: Chooser) -> int:
    """Mostly 5 to 40, odd ones included."""
    low, high = ((1, 4), (1, 60), (1, 60), *((5, 40),) * 7)[choose.integer(0, 9)]
    return choose.integer(low, high)


def write_rows(choose: Chooser) -> RowProgram:
    """A program of five to sixty steps or so."""
    from tests.row_moves import MOVES
    from tests.row_twists import TWISTS

    dtype = np.dtype(np.float32 if choose.integer(1, 5) == 1 else np.float64)
    rows = _number_of_rows(choose)
    square = choose.integer(1, 10) == 1 and rows > 1
    if square:
        rows = min(rows, choose.integer(2, 12))
    program = RowProgram(dtype, rows=rows, smooth=choose.integer(1, 2) == 1 or dtype == np.float32)
    w = RowWriter(choose, program, LARGEST, rows=rows, smooth=program.smooth, lengths={rows})
    w.second = rows if choose.integer(1, 10) == 1 else choose.integer(1, max(1, min(rows - 1, 6)))
    if square:
        w.inner = ((), (rows,), (rows,), (1,), (2,))
    w.shapes = ((), (3,), (1, 3), (2, 3), (3, 3), *((rows, *i) for i in w.inner), (w.second, 3), (w.second,))
    for k in range(choose.integer(1, 3)):
        w.input((rows, *w.pick(w.inner)), independent=k == 0 or not w.chance(3))
    twisted = w.pick([0, 0, 0, 12, 4])  # once in so many moves
    wanted = choose.integer(4, 36)
    while sum(what == "step" for what, _ in w.made) < wanted:
        move = w.pick(TWISTS) if twisted and w.chance(twisted) else w.pick(MOVES)
        before = len(w.made)
        move(w)
        if len(w.made) > before:
            program.moves.add(move.__name__)
    return _finish(w)


def _finish(w: RowWriter) -> RowProgram:
    """Choose the outputs."""
    if w.chance(12):
        w.parameter((w.rows, *w.pick(w.inner)))  # never used
    floats = [k for k, t in enumerate(w.types) if t.kind == FLOAT]
    ends = [k for k in floats if k not in w.used and w.made[k][0] == "step"]
    outputs = ends[-w.choose.integer(1, 6) :] or floats[-1:]
    outputs += [w.pick(floats) for _ in range(w.choose.integer(0, 2))]
    if w.chance(5):
        outputs.append(w.pick(outputs))  # the same result twice
    if w.chance(8):
        outputs.append(w.pick([k for k in floats if w.made[k][0] == "input"]))
    program = w.finish(outputs, scalar=not w.chance(3))
    assert isinstance(program, RowProgram)
    return program


@st.composite
def row_programs(draw: Any) -> RowProgram:
    """Programs with rows, for hypothesis."""
    return write_rows(DrawnChooser(draw))
