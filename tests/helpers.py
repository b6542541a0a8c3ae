"""What the tests share: tapes built by hand, runs of them, finite differences, samples of every op."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.tangent import tangent
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Attribute, Case, Op
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.passes.optimize import optimize
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape

F64: Final = np.dtype(np.float64)
F32: Final = np.dtype(np.float32)
Build = Callable[..., Sequence[Variable]]

# Shapes of the operands of an elementwise op, by their number: every way to broadcast, and nothing at all.
SHAPES: Final[dict[int, tuple[tuple[tuple[int, ...], ...], ...]]] = {
    1: (((),), ((1,),), ((0,),), ((0, 3),), ((19,),), ((4, 5),), ((2, 3, 4),)),
    2: (
        ((), ()),
        ((1,), (1,)),
        ((0,), (0,)),
        ((0, 3), (3,)),
        ((), (0,)),
        ((19,), (19,)),
        ((17,), ()),
        ((), (17,)),
        ((1,), (3,)),
        ((3, 1), (1, 4)),
        ((4, 5), (5,)),
        ((5,), (4, 5)),
        ((4, 5), (4, 1)),
        ((2, 1, 4), (3, 1)),
        ((2, 3, 4), (1, 3, 1)),
        ((1, 1, 3), (2, 2, 1)),
        ((2, 3, 4), (2, 3, 4)),
    ),
    3: (
        ((), (), ()),
        ((19,), (19,), (19,)),
        ((17,), (17,), ()),
        ((17,), (), (17,)),
        ((17,), (), ()),
        ((), (17,), (17,)),
        ((), (), (5,)),
        ((0, 3), (3,), ()),
        ((3, 1), (1, 4), (2, 1, 1)),
        ((4, 5), (5,), (4, 1)),
        ((2, 3, 4), (1, 3, 1), (4,)),
    ),
}

# Structural rows name no kinds. Those that only move elements take all of them, reductions take numbers.
MOVES_ANY_KIND: Final = frozenset(
    {"reshape", "transpose", "broadcast_to", "slice", "item", "pad", "concatenate", "gather", "stop_gradient",
     "slice_set", "item_set", "scatter_set"}
)  # fmt: skip
# Rows whose second operand another row makes of the first; their cases leave it out.
FACTORS: Final = {"lu_solve": "lu"}
REDUCES_INTEGERS: Final = frozenset({"sum", "max", "min"})


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of an op: attribute and operands; `active` are the places of those to differentiate by."""

    op: Op
    attribute: Attribute
    operands: tuple[Any, ...]
    active: tuple[int, ...]

    def value(self, *operands: Any) -> Any:
        """What the row's own NumPy or SciPy function gives."""
        operands = operands or self.operands
        with np.errstate(all="ignore"):
            if self.op.name in FACTORS:
                factors = OPS[OPCODES[FACTORS[self.op.name]]]
                operands = (operands[0], factors.evaluate((), operands[0]), *operands[1:])
            return np.asarray(self.op.evaluate(self.attribute, *operands))

    def record(self, recorder: Recorder, operands: Sequence[Variable]) -> Variable:
        """The op on a tape."""
        if self.op.elementwise:
            return recorder.elementwise(self.op.name, *operands)
        if self.op.name in FACTORS:
            operands = (operands[0], recorder.apply(FACTORS[self.op.name], (), operands[0]), *operands[1:])
        return recorder.apply(self.op.name, self.attribute, *operands)


def active_operands(op: Op, operands: Sequence[Any]) -> tuple[int, ...]:
    """Floating operands, without those that the row has no derivative rule for."""
    missing = {k for k, text in enumerate(op.partials) if not text}
    return tuple(k for k, v in enumerate(operands) if v.dtype.kind == "f" and k not in missing)


def draw(kind: str, shape: Sequence[int], interval: tuple[float, float], place: int, rng: Any, dtype: Any) -> Any:
    """Values inside an interval, on a grid of tenths moved by a little, another little for each operand.

    So integers, zero and ties between operands are at least 0.01 away, where finite differences need it.
    An interval of one number gives that number.
    """
    low, high = interval
    if low == high:
        return np.full(shape, low, dtype)
    if kind == BOOL:
        return rng.integers(0, 2, shape).astype(np.bool_)
    if kind == INT:
        first = int(np.ceil(low))
        return rng.integers(first, max(int(np.floor(high)), first) + 1, shape).astype(np.int64)
    tenths = rng.integers(int(np.ceil(10 * low)), int(np.floor(10 * high)), shape)
    return np.asarray(tenths * 0.1 + (0.037, 0.051, 0.064)[place % 3], dtype)


def samples(op: Op, dtype: np.dtype[Any] = F64, seed: int = 0) -> list[Sample]:
    """Calls of one row: an elementwise one in every pattern of shapes, a structural one in its cases."""
    rng = np.random.default_rng([seed, zlib.crc32(op.key.encode())])  # whatever rows stand before it
    found = []
    if op.elementwise:
        for shapes in SHAPES[len(op.operands)] if not op.effect else SHAPES[len(op.operands)][:1]:
            operands = tuple(
                draw(kind, shape, op.points[k], k, rng, dtype)
                for k, (kind, shape) in enumerate(zip(op.kinds, shapes, strict=True))
            )
            if op.effect:  # a guard stops the sweep unless its operands agree
                operands = (operands[0],) * len(operands)
            found.append(Sample(op, (), operands, active_operands(op, operands)))
        return found
    for case in op.cases:
        operands = tuple(fill(case, FLOAT, rng, dtype))
        found.append(Sample(op, case.attribute, operands, active_operands(op, operands)))
    return found


def fill(case: Case, kind: str, rng: Any, dtype: np.dtype[Any]) -> Iterator[Any]:
    """The operands of a case; shapes are drawn without ties, arrays taken as they are."""
    for k, operand in enumerate(case.operands):
        if isinstance(operand, np.ndarray):
            yield operand.astype(dtype) if operand.dtype.kind == "f" else operand
            continue
        size = int(np.prod(operand, dtype=np.int64))
        if kind == FLOAT:  # distinct, so that extremes are unique
            values = rng.permutation(size) * 0.1 - 0.05 * size + (0.037, 0.051, 0.064)[k % 3]
            yield np.asarray(values, dtype).reshape(operand)
        elif kind == INT:
            yield rng.integers(-9, 10, operand).astype(np.int64)
        else:
            yield rng.integers(0, 2, operand).astype(np.bool_)


# --- tapes


def record(build: Build, inputs: Sequence[Any], independent: Sequence[int] | None = None, dtype: Any = F64) -> Tape:
    """The tape of `build(recorder, *variables)`; independents are all floating inputs, or those named."""
    recorder = Recorder(np.dtype(dtype), {})
    wanted = [k for k, v in enumerate(inputs) if v.dtype.kind == "f"] if independent is None else independent
    variables = [recorder.input(v, independent=k in wanted) for k, v in enumerate(inputs)]
    return recorder.finish([recorder.cast(v, FLOAT) for v in build(recorder, *variables)])


def record_samples(found: Sequence[Sample], dtype: Any = F64) -> tuple[Tape, list[Any]]:
    """All samples on one tape, a dependent each, and the tape's inputs."""
    inputs = [v for s in found for v in s.operands]
    starts = np.cumsum([0, *(len(s.operands) for s in found)])
    independent = [int(starts[j]) + k for j, s in enumerate(found) for k in s.active]

    def build(recorder: Recorder, *variables: Variable) -> list[Variable]:
        return [s.record(recorder, variables[a : a + len(s.operands)]) for s, a in zip(found, starts, strict=False)]

    return record(build, inputs, independent, dtype), inputs


def run(tape: Tape, inputs: Sequence[Any]) -> list[Any]:
    """One sweep; the results, one a dependent."""
    results = Runner(schedule(tape))(list(inputs))
    assert not isinstance(results, GuardFailure)
    return results


def pullback(tape: Tape) -> Tape:
    """The tape of values and of seeds times the Jacobian; the seeds are further inputs."""
    return optimize(adjoint(optimize(tape), seed_inputs=True), drop_stops=True)


def pushforward(tape: Tape) -> Tape:
    """The tape of values and of the Jacobian times tangents; the tangents are further inputs."""
    return optimize(tangent(optimize(tape)), drop_stops=True)


def gradients_only(tape: Tape, values: int) -> Tape:
    """A derivative's tape without its first dependents, the values: what to differentiate once more."""
    return replace(tape, dependents=tape.dependents[values:])


def gradient(build: Build, inputs: Sequence[Any], independent: Sequence[int] | None = None, dtype: Any = F64) -> Any:
    """Value and gradients of a scalar function, each by the compiled sweep."""
    results = run(optimize(adjoint(optimize(record(build, inputs, independent, dtype)))), inputs)
    return results[0], results[1:]


def like(arrays: Sequence[Any], rng: Any, dtype: Any = F64) -> list[Any]:
    """Seeds or tangents: arrays of the same shapes, between -1 and 1."""
    return [np.asarray(rng.uniform(-1, 1, np.shape(a)), dtype) for a in arrays]


def shapes_of(tape: Tape, slots: Any) -> list[ArrayType]:
    """The types of slots."""
    return [tape.type(s) for s in slots.tolist()]


# --- finite differences

# Central differences of order six.
STENCIL: Final = ((1, 3 / 4), (2, -3 / 20), (3, 1 / 60))
STEP: Final = 1e-3


def directional(function: Callable[[float], Sequence[Any]], step: float = STEP) -> list[Any]:
    """d/dt of each array that `function(t)` returns, at t = 0."""
    total: list[Any] | None = None
    for k, weight in STENCIL:
        above, below = function(k * step), function(-k * step)
        terms = [weight * (np.asarray(a) - np.asarray(b)) / step for a, b in zip(above, below, strict=True)]
        total = terms if total is None else [t + u for t, u in zip(total, terms, strict=True)]
    assert total is not None
    return total


def difference_jacobian(sample: Sample, k: int) -> Any:
    """The derivative of the sample's result to operand k by differences: shape (result.size, operand.size)."""
    operand = sample.operands[k]
    columns = []
    for place in range(operand.size):

        def moved(t: float, place: int = place) -> list[Any]:
            changed = operand.copy()
            changed.reshape(-1)[place] += t
            operands = [changed if j == k else v for j, v in enumerate(sample.operands)]
            return [np.asarray(sample.value(*operands), np.float64)]

        columns.append(directional(moved)[0].reshape(-1))
    size = np.asarray(sample.value()).size
    return np.array(columns, np.float64).reshape(operand.size, size).T


# --- comparisons


def assert_ulps(found: Any, wanted: Any, ulps: float, what: str = "") -> None:
    """Equal to a few units in the last place; nan equals nan, an infinity only itself."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    assert found.dtype == wanted.dtype, f"{what}: dtype {found.dtype}, wanted {wanted.dtype}"
    if found.dtype.kind != "f":
        assert np.array_equal(found, wanted), f"{what}: {found} wanted {wanted}"
        return
    with np.errstate(all="ignore"):
        spacing = np.spacing(np.maximum(np.abs(found), np.abs(wanted)))
        close = np.abs(found - wanted) <= ulps * spacing
    same = (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | close
    if not same.all():
        first = np.argwhere(np.atleast_1d(~same))[0]
        raise AssertionError(f"{what}: at {first.tolist()} found {found[~same][0]!r}, wanted {wanted[~same][0]!r}")


FUSED: Final = {"multiply_add": (1, 1), "multiply_subtract": (1, -1), "subtract_multiply": (-1, 1)}  # signs of xy, a


def assert_values(name: str, found: Any, wanted: Any, operands: Sequence[Any], ulps: float, what: str = "") -> None:
    """As `assert_ulps`; what is rounded once may differ by what rounding the product would have changed."""
    if name not in FUSED:
        assert_ulps(found, wanted, ulps, what)
        return
    assert found.shape == wanted.shape
    assert found.dtype == wanted.dtype
    x, y, a = (np.asarray(v, np.longdouble) for v in operands)
    signs, limits = FUSED[name], np.finfo(found.dtype)
    with np.errstate(all="ignore"):
        exact, size = signs[0] * x * y + signs[1] * a, np.abs(x * y) + np.abs(a)
        close = np.abs(found - exact) <= ulps * (limits.eps * size + limits.smallest_subnormal)
        beyond = np.abs(x * y) > limits.max  # rounded on its way, it would be infinite
    same = close | (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | beyond
    assert same.all(), f"{what}: found {found[~same]}, wanted {wanted[~same]}"


def assert_close(found: Any, wanted: Any, allowed: Any, what: str = "") -> None:
    """|found - wanted| <= allowed, entry by entry; nan never is."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    wrong = ~(np.abs(found.astype(np.float64) - wanted.astype(np.float64)) <= allowed)
    if wrong.any():
        first = np.argwhere(np.atleast_1d(wrong))[0]
        raise AssertionError(f"{what}: at {first.tolist()} found {found[wrong][0]!r}, wanted {wanted[wrong][0]!r}")


def bits(array: Any) -> bytes:
    """The bits of an array: what two runs of one program must agree in."""
    return np.ascontiguousarray(array).tobytes()
