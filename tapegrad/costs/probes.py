"""What is measured of a machine: instructions of one tape, each alone, in caches and from memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Interval
from tapegrad.ops.table import OPS
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.sweep.workspace import aligned
from tapegrad.tape import Tape

LENGTH: Final = 1024  # elements of an array in the first-level cache
SIZES: Final = (1, 2, 8, 32, 128, 512)  # rows, columns and terms of products
FLAGS: Final = ((0, 0), (0, 1), (1, 0))  # are their factors transposed?
FOOTPRINTS: Final = (1 << 17, 1 << 20, 1 << 23, 1 << 26)  # bytes that are gone through
LINE: Final = 64  # bytes that come from memory at once
LINES: Final = 1 << 14  # that are read here and there
NEAR: Final = 1 << 15  # bytes in the first-level cache, where elements cost what they are measured to
SHORT: Final = 4  # elements of a short stretch, of which there are so many:
STRETCHES: Final = 256
ROW: Final = 16  # elements of a row that an index selects
LOOP: Final = 16  # instructions that come again and again
MIXED: Final = ("add", "multiply", "subtract", "negative", "square", "maximum", "multiply_add")


_SINGLE: Final = (
    "same", "dispatch", "scalars", "copy", "copy:strided", "strided", "fill", "copy and add",
    "sum:into", "sum:each", "sum:ints", "max:into", "max:each", "max:ints",
    "gather", "gather:rows", "scatter", "scatter:rows",
    "stretch", "stretch:loop", "stretch:sum", "stretch:product",
)  # fmt: skip


def names() -> list[str]:
    """What every probe is called."""
    rows = [f"{kind}:{OPS[code].key}" for kind in ("op", "scalar") for code in _rows()]
    products = [product_name(*which) for which in product(FLAGS, SIZES, SIZES, SIZES)]
    memory = [f"{kind}:{nbytes}" for kind in ("read", "write", "line") for nbytes in FOOTPRINTS]
    return [*rows, *_SINGLE, *products, *memory]


@dataclass(frozen=True, slots=True)
class Probe:
    """Instructions that are measured together; `units` of something they do."""

    name: str
    instructions: tuple[int, ...]
    units: float


@dataclass(slots=True)
class Bench:
    """A tape with an instruction for each probe. Nothing reads most of them: they share memory."""

    recorder: Recorder
    arrays: list[Any] = field(default_factory=list)
    probes: list[Probe] = field(default_factory=list)
    drawn: dict[Any, Variable] = field(default_factory=dict)

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> Bench:
        """All probes for tapes of a dtype."""
        bench = cls(Recorder(dtype, {}))
        for make in (_elementwise, _scalars, _moves, _selections, _stretches, _products, _memory):
            make(bench)
        return bench

    def input(self, shape: tuple[int, ...], kind: str = FLOAT, within: Interval = (0.5, 1.5)) -> Variable:
        """An argument, the same one for the same shape, kind and interval."""
        key = shape, kind, within
        if key not in self.drawn:
            values = np.resize(np.random.default_rng(0).uniform(*within, LENGTH), shape)
            if kind == INT:
                values = 1 + np.floor(3 * values) % 3
            array = np.asarray(values > np.mean(within) if kind == BOOL else values)
            self.arrays.append(_aligned(array, ArrayType(shape, kind).dtype(self.recorder.dtype)))
            self.drawn[key] = self.recorder.input(self.arrays[-1], independent=False, ordered=True)
        return self.drawn[key]

    def places(self, count: int, length: int) -> Variable:
        """Indices into an axis, in no order."""
        key = "places", count, length
        if key not in self.drawn:
            self.arrays.append(np.random.default_rng(1).integers(0, length, count))
            self.drawn[key] = self.recorder.input(self.arrays[-1], independent=False, ordered=True)
        return self.drawn[key]

    def row(self, code: int, operands: Sequence[Variable]) -> Variable:
        """An instruction with this very opcode, without an attribute."""
        op, recorder = OPS[code], self.recorder
        t = op.result_type((), [recorder.type_of(v._slot) for v in operands])
        slot = recorder.append(code, 0, recorder.types(t), [v._slot for v in operands], 0)
        return recorder.variable(slot, active=False)

    def probe(self, name: str, units: float, *made: Variable) -> None:
        """Measure what has been recorded."""
        self.probes.append(Probe(name, tuple(v._slot for v in made), units))

    def finish(self) -> Tape:
        """The tape. Numbers among the arguments are its results, so that nothing takes their places."""
        return self.recorder.finish([v for v in self.drawn.values() if not v.shape])


def _aligned(values: Any, dtype: np.dtype[Any]) -> Any:
    """An array that begins with a line of the cache, as those between instructions do."""
    found = aligned(values.size * dtype.itemsize).view(dtype).reshape(values.shape)
    found[...] = values
    return found


def _rows() -> Iterator[int]:
    """The opcodes of elementwise rows that compute something."""
    return (code for code, op in enumerate(OPS) if op.elementwise and not op.effect)


def _elementwise(bench: Bench) -> None:
    """Each function of arrays, and a sequence of many on one element each."""
    for code in _rows():
        op = OPS[code]
        operands = [bench.input((LENGTH,), k, p) for k, p in zip(op.kinds, op.points, strict=True)]
        bench.probe(f"op:{op.key}", LENGTH, bench.row(code, operands))
    one = bench.input((1,))
    bench.probe("same", 1, bench.recorder.elementwise("add", one, one))
    bench.probe("dispatch", 64, *_mixture(bench, one, 64))


def _mixture(bench: Bench, x: Variable, count: int) -> list[Variable]:
    """Arithmetic in no order, but again and again, as the steps of a loop are."""
    chosen = np.resize(np.random.default_rng(2).integers(0, len(MIXED), LOOP), count)
    names = [MIXED[k] for k in chosen.tolist()]
    widths = {op.name: len(op.operands) for op in OPS}
    return [bench.recorder.elementwise(name, *[x] * widths[name]) for name in names]


def _scalars(bench: Bench) -> None:
    """Each function of numbers, and a sequence of many."""
    for code in _rows():
        op = OPS[code]
        operands = [bench.input((), k, p) for k, p in zip(op.kinds, op.points, strict=True)]
        bench.probe(f"scalar:{op.key}", 1, bench.row(code, operands))
    bench.probe("scalars", 1024, *_mixture(bench, bench.input(()), 1024))


def _moves(bench: Bench) -> None:
    recorder, x, square = bench.recorder, bench.input((LENGTH,)), bench.input((32, 32))
    turned = recorder.apply("transpose", (1, 0), square)
    bench.probe("copy", LENGTH, recorder.apply("concatenate", (0,), x))
    bench.probe("copy:strided", LENGTH, turned, recorder.apply("reshape", (LENGTH,), turned))
    bench.probe("strided", LENGTH, recorder.elementwise("add", square, turned))
    one = bench.input((1,))
    bench.probe("fill", LENGTH, recorder.apply("pad", ((LENGTH,), ((0, 1, 1),)), one))
    bench.probe("copy and add", LENGTH, recorder.apply("slice_add", ((0, 1, LENGTH),), x, x))
    rows, whole = bench.input((4, LENGTH)), bench.input((LENGTH,), INT)
    for name in ("sum", "max"):
        bench.probe(f"{name}:into", LENGTH, recorder.apply(name, (0,), x))
        bench.probe(f"{name}:each", 4 * LENGTH, recorder.apply(name, (0,), rows))
        bench.probe(f"{name}:ints", LENGTH, recorder.apply(name, (0,), whole))


def _selections(bench: Bench) -> None:
    recorder, x, places = bench.recorder, bench.input((LENGTH,)), bench.places(LENGTH, LENGTH)
    table, some = bench.input((64, ROW)), bench.places(64, 64)
    bench.probe("gather", LENGTH, recorder.apply("gather", (0, 0), x, places))
    bench.probe("gather:rows", 64, recorder.apply("gather", (0, 0), table, some))
    bench.probe("scatter", LENGTH, recorder.apply("scatter", (0, LENGTH, 0), x, places))
    bench.probe("scatter:rows", 64, recorder.apply("scatter", (0, 64, 0), table, some))


def _stretches(bench: Bench) -> None:
    """Many short inner stretches."""
    recorder, x, y = bench.recorder, bench.input((STRETCHES, SHORT)), bench.input((STRETCHES, 1))
    bench.probe("stretch", STRETCHES, recorder.elementwise("add", x, y))
    bench.probe("stretch:loop", STRETCHES, recorder.elementwise("hypot", x, y))
    bench.probe("stretch:sum", STRETCHES, recorder.apply("sum", (1,), x))
    left, right = bench.input((STRETCHES, 1, SHORT)), bench.input((STRETCHES, SHORT, 1))
    bench.probe("stretch:product", STRETCHES, recorder.apply("matmul", (0, 0), left, right))


def _products(bench: Bench) -> None:
    for flags, m, n, k in product(FLAGS, SIZES, SIZES, SIZES):
        a, b = bench.input((k, m) if flags[0] else (m, k)), bench.input((n, k) if flags[1] else (k, n))
        bench.probe(product_name(flags, m, n, k), 1, bench.recorder.apply("matmul", flags, a, b))


def product_name(flags: tuple[int, int], m: int, n: int, k: int) -> str:
    """What a product is called."""
    return f"product:{'NT'[flags[0]]}{'NT'[flags[1]]}:{m}x{n}x{k}"


def _memory(bench: Bench) -> None:
    """Reading, and reading and writing, as many bytes; lines of the cache here and there among them."""
    size = bench.recorder.dtype.itemsize
    for nbytes in FOOTPRINTS:
        x = bench.input((nbytes // size,))
        bench.probe(f"read:{nbytes}", nbytes, bench.recorder.apply("sum", (0,), x))
        bench.probe(f"write:{nbytes}", nbytes, bench.recorder.elementwise("negative", x))
        lines = bench.recorder.apply("reshape", (nbytes // LINE, LINE // size), x)
        places = bench.places(LINES, nbytes // LINE)
        bench.probe(f"line:{nbytes}", LINES, bench.recorder.apply("gather", (0, 0), lines, places))
