"""One sweep over many points: every row, its derivatives, what is refused, what the tape looks like."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

import tapegrad.derivative.batch as batching
from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.batch import batched
from tapegrad.derivative.tangent import tangent
from tapegrad.errors import ElementIndexError, UnsupportedError
from tapegrad.ops.row import BOOL, Op
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.passes.optimize import optimize
from tapegrad.passes.signature import signatures
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tests.batches import WITHOUT_RULE, active, at_point, calls, points_of, tape_of
from tests.helpers import F32, F64, assert_close, like, pullback, pushforward, record, run
from tests.test_passes import check_sound, names

ROWS: Final = [op for op in OPS if not op.leaf and not op.effect and op.name not in WITHOUT_RULE]
SMOOTH: Final = [op for op in ROWS if op.differentiable]
TOLERANCE: Final = {"d": 1e-12, "f": 2e-5}
DERIVATIVES: Final = 1e-10


def near(found: Any, wanted: Any, tolerance: float, what: str = "") -> None:
    """Beside the largest entry; nan is nan."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"{what}: shape {found.shape}, wanted {wanted.shape}"
    finite = np.isfinite(wanted)
    assert ((found == wanted) | (np.isnan(found) & np.isnan(wanted)) | finite).all(), what
    size = max(1.0, np.abs(wanted[finite]).max(initial=0))
    assert_close(found[finite], wanted[finite], tolerance * size, what)


# --- every row


@pytest.mark.parametrize("dtype", [F64, F32], ids=["float64", "float32"])
@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_values_are_those_of_a_loop_over_points(op: Op, dtype: Any) -> None:
    rng = np.random.default_rng(2)
    for length in (3, 1, 0) if dtype == F64 else (3,):
        found = [p for s in calls(op, dtype) for p in points_of(s, length, rng)]
        tape, flags, inputs = tape_of(found, dtype)
        many = batched(tape, flags, length)
        check_sound(many)
        tapes = [optimize(many, drop_stops=True), *([many, optimize(many)] if dtype == F64 and length == 3 else [])]
        for t in tapes:
            for result, p in zip(run(t, inputs), found, strict=True):
                what = f"{p.sample.attribute}, {[v.shape for v in p.operands]}, batched {p.mask}"
                near(result, p.values().astype(dtype), TOLERANCE[dtype.char], what)


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_derivatives_are_those_of_a_loop_over_points(op: Op) -> None:
    """The adjoint at many points, and the adjoint of many points: where an operand is shared, the sum of theirs."""
    rng, length = np.random.default_rng(3), 3
    found = [p for s in samples_with_derivatives(op)[:8] for p in points_of(s, length, rng)]
    tape, flags, inputs = tape_of(found)
    seeds = like([p.values() for p in found], rng)
    count, seeded = len(found), [True] * len(found)
    back = pullback(tape)
    alone = [run(back, [*at_point(inputs, flags, p), *at_point(seeds, seeded, p)])[count:] for p in range(length)]
    wanted = [np.stack(parts) for parts in zip(*alone, strict=True)]

    first = optimize(batched(back, [*flags, *seeded], length), drop_stops=True)
    for f, w in zip(run(first, [*inputs, *seeds])[count:], wanted, strict=True):
        near(f, w, DERIVATIVES, "points of the adjoint")

    last = pullback(batched(tape, flags, length))
    places = [tape.inputs.tolist().index(s) for s in tape.independents.tolist()]
    for f, w, k in zip(run(last, [*inputs, *seeds])[count:], wanted, places, strict=True):
        near(f, w if flags[k] else w.sum(0), DERIVATIVES, "adjoint of the points")


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_all_seeds_of_a_matrix_at_once(op: Op) -> None:
    """Only seeds or tangents are batched: the primal values are computed once, and stay as they are."""
    rng, length = np.random.default_rng(4), 3
    few = samples_with_derivatives(op)[:8]
    found = [replace(points_of(s, 1, rng)[0], mask=(False,) * len(s.operands), operands=s.operands) for s in few]
    tape, flags, inputs = tape_of(found)
    count = len(tape.dependents)
    for transform, arrays in ((pullback, [s.value() for s in few]), (pushforward, independents(tape, inputs))):
        seeds = [np.stack(like([a] * length, rng)) for a in arrays]
        once, seeded = transform(tape), [True] * len(seeds)
        many = optimize(batched(once, [*flags, *seeded], length), drop_stops=True)
        results = run(many, [*inputs, *seeds])
        for p in range(length):
            alone = run(once, [*inputs, *at_point(seeds, seeded, p)])
            for f, w in zip(results[count:], alone[count:], strict=True):
                near(f[p], w, DERIVATIVES, transform.__name__)
            for f, w in zip(results[:count], alone[:count], strict=True):
                near(f[p], w, 1e-14, "values")


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_derivatives_at_no_point_at_all(op: Op) -> None:
    rng = np.random.default_rng(3)
    found = [p for s in samples_with_derivatives(op)[:4] for p in points_of(s, 0, rng)]
    tape, flags, inputs = tape_of(found)
    seeds = [p.values() for p in found]
    results = run(pullback(batched(tape, flags, 0)), [*inputs, *seeds])[len(found) :]
    for f, w in zip(results, independents(tape, inputs), strict=True):
        assert f.shape == w.shape
        assert not f.any()
    inside = run(optimize(batched(pullback(tape), [*flags, *[True] * len(seeds)], 0)), [*inputs, *seeds])
    assert all(len(f) == 0 for f in inside)


def samples_with_derivatives(op: Op) -> list[Any]:
    """Its floating calls; those of many elements last."""
    found = [active(s) for s in calls(op, F64)]
    return sorted((s for s in found if s.active), key=lambda s: s.value().size)


def independents(tape: Tape, inputs: list[Any]) -> list[Any]:
    """The inputs to differentiate by."""
    places = tape.inputs.tolist()
    return [inputs[places.index(s)] for s in tape.independents.tolist()]


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_tangents_of_many_points(op: Op) -> None:
    rng, length = np.random.default_rng(5), 2
    few = samples_with_derivatives(op)[:6]
    found = [p for s in few for p in points_of(s, length, rng) if all(p.mask)]
    tape, flags, inputs = tape_of(found)
    tangents, count = like(independents(tape, inputs), rng), len(tape.dependents)
    forward, seeded = pushforward(tape), [True] * len(tangents)
    inside = optimize(batched(forward, [*flags, *seeded], length))
    outside = optimize(tangent(batched(tape, flags, length)))
    results = [run(t, [*inputs, *tangents])[count:] for t in (inside, outside)]
    for p in range(length):
        wanted = run(forward, [*at_point(inputs, flags, p), *at_point(tangents, seeded, p)])[count:]
        for result in results:
            for f, w in zip(result, wanted, strict=True):
                near(f[p], w, DERIVATIVES)


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_points_of_points(op: Op) -> None:
    """Batched twice, by other operands each time."""
    rng, outer, inner = np.random.default_rng(6), 2, 3
    few = sorted(calls(op, F64), key=lambda s: s.value().size)[:6]
    found = [p for s in few for p in points_of(s, inner, rng)]
    tape, flags, inputs = tape_of(found)
    again = [bool(rng.integers(0, 2)) for _ in flags]
    many = batched(batched(tape, flags, inner), again, outer)
    check_sound(many)
    other = [[*points_of(p.sample, inner, rng)] for p in found]
    changed = [next(q for q in qs if q.mask == p.mask) for p, qs in zip(found, other, strict=True)]
    starts = [v for p in changed for v in p.operands]
    given = [np.stack([v, w]) if a else v for v, w, a in zip(inputs, starts, again, strict=True)]
    results = run(optimize(many), given)
    for j, values in enumerate((inputs, [w if a else v for v, w, a in zip(inputs, starts, again, strict=True)])):
        at = 0
        for p, result in zip(found, results, strict=True):
            point = replace(p, operands=tuple(values[at : at + len(p.mask)]))
            near(result[j], point.values().astype(np.float64), TOLERANCE["d"], f"{p.sample.attribute} {p.mask}")
            at += len(p.mask)


def test_every_row_has_a_rule() -> None:
    """But those that are listed, and nothing else is."""
    assert {op.name for op in OPS if not (op.pointwise or op.leaf or op.batch)} == WITHOUT_RULE


# --- what is refused


def branching(batch_branch: bool) -> tuple[Tape, list[bool], list[Any]]:
    def build(r: Recorder, x: Variable, y: Variable) -> list[Variable]:
        tested = x if batch_branch else y
        if tested > 0.0:
            return [x * y]
        return [x + y]

    return record(build, [np.array(1.0), np.array(2.0)]), [True, False], [np.array([1.0, -2.0]), np.array(2.0)]


def test_a_branch_on_what_differs_is_refused() -> None:
    tape, flags, _ = branching(batch_branch=True)
    with pytest.raises(UnsupportedError, match=r"branch on a value that differs from point to point.*np\.where") as e:
        batched(tape, flags, 2)
    assert "test_batch.py:" in str(e.value)


def test_a_branch_on_what_is_shared_stays_a_guard() -> None:
    tape, flags, inputs = branching(batch_branch=False)
    many = optimize(batched(tape, flags, 2))
    assert run(many, inputs)[0].tolist() == [2.0, -4.0]
    assert Runner(schedule(many))([inputs[0], np.array(-1.0)]) == GuardFailure(0)


def test_an_op_without_a_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = record(lambda r, x: [r.apply("sum", (0,), x)], [np.ones(3)])
    table = [replace(op, batch=None) if op.name == "sum" else op for op in OPS]
    monkeypatch.setattr(batching, "OPS", tuple(table))
    with pytest.raises(UnsupportedError, match=r"sum, which has no rule for many points at once.*test_batch\.py:"):
        batched(tape, [True], 2)
    assert names(batched(tape, [False], 2)) == ["sum", "broadcast_to"]


def test_one_flag_for_each_input() -> None:
    tape = record(lambda r, x, y: [x + y], [np.ones(3), np.ones(3)])
    with pytest.raises(ValueError, match="1 flags for a tape of 2 inputs"):
        batched(tape, [True], 2)


@pytest.mark.parametrize(("flags", "shared"), [((True, True), 0), ((False, True), 0), ((False, True), 1)])
def test_an_index_outside_the_axis_is_found_at_any_point(flags: tuple[bool, bool], shared: int) -> None:
    x, index = np.ones((2, 3)), np.zeros((2, 2)[: 1 + shared], np.int64)
    tape = record(lambda r, x, i: [r.apply("gather", (1, shared), x, i)], [x, index])
    many = optimize(batched(tape, flags, 4))
    given = [np.ones((4, 2, 3)) if flags[0] else x, np.zeros((4, *index.shape), np.int64)]
    run(many, given)
    given[1][2, -1] = 3
    with pytest.raises(ElementIndexError, match="index 3"):
        run(many, given)


# --- what the tape looks like


def test_what_is_shared_is_computed_once() -> None:
    def build(r: Recorder, x: Variable, w: Variable) -> list[Variable]:
        return [r.elementwise("exp", w) * x, r.elementwise("exp", w), w, x]

    tape = record(build, [np.ones(3), np.ones(3)])
    many = batched(tape, [True, False], 5)
    shapes = [many.type(i).shape for i in range(len(many))]
    assert names(many) == ["exp", "multiply", "exp", "broadcast_to", "broadcast_to"]
    assert shapes == [(5, 3), (3,), (3,), (5, 3), (3,), (5, 3), (5, 3)]
    x, w = np.arange(15.0).reshape(5, 3), np.array([0.5, -1.0, 2.0])
    for f, wanted in zip(run(many, [x, w]), [np.exp(w) * x, [np.exp(w)] * 5, [w] * 5, x], strict=True):
        assert np.array_equal(f, wanted)


def test_lines_inputs_and_the_reverse_part_are_carried_along() -> None:
    tape = record(lambda r, x, y, c: [r.apply("item", (1,), x) * y + c], [np.ones(3), np.array(2.0), np.array(3)])
    full = adjoint(tape)
    many = batched(full, [True, False, False], 4)
    assert many.inputs.tolist() == [0, 1, 2]
    assert many.independents.tolist() == [0, 1]
    assert {many.line(i) for i in range(len(many))} == {full.line(i) for i in range(len(full))}
    ahead = Counter(names(full)[: full.reverse - 3]) + Counter(["transpose"])
    assert Counter(OPS[c].name for c in many.opcodes[: many.reverse].tolist()) - Counter(["input"] * 3) == ahead
    value = batched(tape, [True, False, False], 4)
    assert value.reverse == len(value)
    nothing = batched(tape, [False] * 3, 4)
    assert nothing.reverse == len(nothing)
    assert [nothing.type(s).shape for s in nothing.dependents.tolist()] == [(4,)]
    check_sound(many)


def test_a_result_given_twice_is_repeated_once() -> None:
    tape = record(lambda r, x, y: [y, x * y, y], [np.ones(3), np.ones(3)])
    many = batched(tape, [True, False], 2)
    assert names(many) == ["multiply", "broadcast_to"]
    assert many.dependents[0] == many.dependents[2]
    check_sound(many)


PRODUCTS: Final[dict[str, tuple[tuple[int, int], tuple[Any, ...], tuple[bool, ...], list[str]]]] = {
    # flags, shapes, which are batched; what is left after the passes
    "rows of many points": ((0, 0), ((3, 4), (4, 2)), (True, False), ["reshape", "matmul", "reshape"]),
    "the same, other factor": ((0, 1), ((3, 4), (2, 4)), (True, False), ["reshape", "matmul", "reshape"]),
    "columns": ((1, 0), ((4, 3), (4, 2)), (True, False), ["transpose", "reshape", "matmul", "reshape"]),
    "vectors": ((0, 0), ((3, 4), (4, 1)), (False, True), ["reshape", "matmul", "reshape"]),
    "vectors on the left": ((1, 0), ((4, 1), (4, 3)), (True, False), ["reshape", "matmul", "reshape"]),
    "long vectors": ((0, 0), ((300, 400), (400, 1)), (False, True), ["reshape", "matmul", "reshape"]),
    "rows on the right": ((0, 1), ((3, 4), (2, 4)), (False, True), ["reshape", "matmul", "reshape", "transpose"]),
    "columns on the right": (
        (1, 0),
        ((4, 3), (4, 2)),
        (False, True),
        ["transpose", "reshape", "matmul", "reshape", "transpose"],
    ),
    "one row": ((0, 1), ((1, 4), (2, 4)), (False, True), ["reshape", "matmul", "reshape"]),
    "vectors, the other way round": ((1, 1), ((4, 3), (1, 4)), (False, True), ["reshape", "matmul", "reshape"]),
    "axes of their own on the right": (
        (0, 1),
        ((3, 4), (5, 6, 2, 4)),
        (False, True),
        ["reshape", "matmul", "reshape", "transpose"],
    ),
    "large ones": ((0, 0), ((40, 50), (50, 60)), (True, False), ["matmul"]),
    "large ones on the right": ((0, 0), ((40, 50), (50, 60)), (False, True), ["matmul"]),
    "both": ((0, 0), ((3, 4), (4, 2)), (True, True), ["matmul"]),
    "with axes of their own": ((0, 0), ((5, 3, 4), (4, 2)), (True, False), ["reshape", "matmul", "reshape"]),
    "both, axes that broadcast": ((0, 0), ((3, 4), (6, 4, 2)), (True, True), ["reshape", "matmul"]),
}


@pytest.mark.parametrize("what", PRODUCTS)
def test_products_of_many_points_are_few(what: str) -> None:
    flags, shapes, mask, wanted = PRODUCTS[what]
    rng, length = np.random.default_rng(0), 7
    one = [rng.normal(size=s) for s in shapes]
    acc = np.zeros(OPS[OPCODES["matmul"]].evaluate(flags, *one).shape)
    tape = record(lambda r, x, y: [r.apply("matmul", flags, x, y)], one)
    assert names(optimize(batched(tape, mask, length))) == wanted
    for kept in (False, True):
        tape = record(lambda r, a, x, y: [r.apply("matmul_add", flags, a, x, y)], [acc, *one])
        inputs = [rng.normal(size=(length, *v.shape)) if m else v for v, m in zip(one, mask, strict=True)]
        start = rng.normal(size=(length, *acc.shape) if kept else acc.shape)
        many = optimize(batched(tape, [kept, *mask], length))
        assert "broadcast_to" not in names(many)
        for p, result in enumerate(run(many, [start, *inputs])[0]):
            x, y = at_point(inputs, mask, p)
            near(result, (start[p] if kept else start) + OPS[OPCODES["matmul"]].evaluate(flags, x, y), 1e-12)


def test_items_of_one_array_share_a_transposition() -> None:
    """And so do their adjoints, however many there are."""

    def build(r: Recorder, x: Variable) -> list[Variable]:
        total = r.constant(0.0)
        for k in range(40):
            total = total + r.elementwise("sin", r.apply("item", (k,), x)) * r.apply("item", (39 - k,), x)
        return [total]

    x = np.random.default_rng(0).normal(size=(6, 40))
    full = optimize(adjoint(optimize(record(build, [x[0]]))))
    many = optimize(batched(full, [True], 6))
    found = Counter(names(many))
    assert (found["item"], found["item_add"], found["transpose"]) == (40, 40, 3)
    assert len(signatures(many)[1]) < 40
    value, gradient = run(many, [x])
    assert np.allclose(value, (np.sin(x) * x[:, ::-1]).sum(1), rtol=1e-14)
    assert np.allclose(gradient, np.cos(x) * x[:, ::-1] + np.sin(x[:, ::-1]), rtol=1e-13)


def test_numbers_beside_arrays() -> None:
    """At one point a number and an array; at many an array of numbers and one of arrays."""

    def build(r: Recorder, s: Variable, v: Variable, m: Variable) -> list[Variable]:
        return [s * v + m, r.elementwise("where", r.elementwise("greater", v, s), m, s), v - s]

    rng = np.random.default_rng(0)
    s, v, m = rng.normal(size=3), rng.normal(size=(3, 4)), rng.normal(size=(3, 2, 4))
    tape = record(build, [s[0], v[0], m[0]])
    found = run(optimize(batched(tape, [True] * 3, 3)), [s, v, m])
    for p in range(3):
        wanted = [s[p] * v[p] + m[p], np.where(v[p] > s[p], m[p], s[p]), v[p] - s[p]]
        assert all(np.allclose(f[p], w, rtol=1e-15) for f, w in zip(found, wanted, strict=True))


def test_a_long_scalar_tape_is_batched_by_few_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 instructions, and no more Python than for 200."""
    made: list[Any] = []
    kept = batching.Batcher

    def counting(**given: Any) -> Any:
        made.append(given["op"].name)
        return kept(**given)

    monkeypatch.setattr(batching, "Batcher", counting)

    def tape(n: int) -> Tape:
        def build(r: Recorder, x: Variable) -> list[Variable]:
            y = r.apply("item", (0,), x)
            for k in range(n // 4):
                y = r.elementwise("sin", y) * r.apply("item", (k % 50,), x) + y
            return [y]

        return optimize(record(build, [np.ones(50)]))

    counts = []
    for n in (200, 20_000):
        made.clear()
        one = tape(n)
        many = optimize(batched(one, [True], 3))
        counts.append((len(made), Counter(names(many))["transpose"]))
    assert counts[0] == counts[1] == (4, 1)
    x = np.random.default_rng(0).uniform(-0.1, 0.1, (3, 50))
    found = run(many, [x])[0]
    assert np.allclose(found, [run(one, [v])[0] for v in x], rtol=1e-12)
    gradient = run(optimize(batched(optimize(adjoint(one)), [True], 3)), [x])[1]
    assert np.allclose(gradient, [run(optimize(adjoint(one)), [v])[1] for v in x], rtol=1e-9)


def test_booleans_and_integers_are_batched() -> None:
    def build(r: Recorder, b: Variable, i: Variable) -> list[Variable]:
        moved = r.apply("concatenate", (0,), b, r.elementwise("logical_not", b))
        return [r.elementwise("to_float", moved), r.elementwise("to_float", r.apply("sum", (0,), i))]

    b, i = np.array([[True, False], [False, False]]), np.array([[1, 2], [3, 4]])
    tape = record(build, [b[0], i[0]])
    assert BOOL in {t.kind for t in tape.types}
    moved, total = run(optimize(batched(tape, [True, True], 2)), [b, i])
    assert moved.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]
    assert total.tolist() == [3, 7]
