"""Every row of the instruction set: its value, tangent, adjoint and second derivative.

Driven by the table: a new row is tested with no edit here. It fails until it has a reference, or a reason
why there is none, in `references`.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.tangent import tangent
from tapegrad.errors import UnsupportedError
from tapegrad.ops.row import BOOL, FLOAT, INT, Op
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tests.helpers import (
    F32,
    F64,
    MOVES_ANY_KIND,
    REDUCES_INTEGERS,
    Sample,
    assert_close,
    assert_values,
    difference_jacobian,
    directional,
    fill,
    gradients_only,
    like,
    pullback,
    pushforward,
    record,
    record_samples,
    run,
    samples,
)
from tests.references import NO_REFERENCE, REFERENCES, names

ROWS = [op for op in OPS if not op.leaf and op.name not in {"custom", "primitive"}]
SMOOTH = [op for op in ROWS if op.differentiable and any(op.partials or [op.adjoint])]
UNSUPPORTED = [(op, k) for op in ROWS for k, text in enumerate(op.partials) if not text]

every_row = pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
every_smooth_row = pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])

# Other code computes scalars (libm) than arrays (NumPy's vectorised loops), and each may err by some units.
VALUE_ULPS = 4
# Sums and products of many terms: rounding in another order.
ROUNDING = {F64: 1e-13, F32: 1e-5}
# Errors in float32 beside what is usual: SciPy's own values are that far off.
SINGLE = {"betainc": 6e-6, "betaincc": 6e-6, "betaincinv": 6e-6, "betainccinv": 5e-5, "kv": 2e-4}
# Not the derivative of what they compute, on purpose.
NOT_A_DERIVATIVE = {"stop_gradient", "lu"}


def check_values(found: list[Sample], dtype: Any) -> None:
    tape, inputs = record_samples(found, dtype)
    for sample, value in zip(found, run(tape, inputs), strict=True):
        wanted = sample.value().astype(dtype)
        what = f"{sample.op.key} {sample.attribute} of {[v.shape for v in sample.operands]}"
        if sample.op.elementwise:
            assert_values(sample.op.name, value, wanted, sample.operands, VALUE_ULPS, what)
        else:
            assert value.dtype == dtype
            assert_close(value, wanted, ROUNDING[dtype], what)


@both_dtypes
@every_row
def test_value_is_numpys(op: Op, dtype: Any) -> None:
    check_values(samples(op, dtype), dtype)


# NumPy's sums of booleans are integers: the recorder casts before it sums.
OTHER_KINDS = [
    (op, kind)
    for op in ROWS
    for kind in (INT, BOOL)
    if op.name in MOVES_ANY_KIND or (kind == INT and op.name in REDUCES_INTEGERS)
]


@both_dtypes
@pytest.mark.parametrize(("op", "kind"), OTHER_KINDS, ids=[f"{op.key}-{kind}" for op, kind in OTHER_KINDS])
def test_structural_rows_take_integers_and_booleans(op: Op, kind: str, dtype: Any) -> None:
    """Values are exact; the dependents of these tapes are cast to floats only at the end."""
    rng = np.random.default_rng(0)
    check_values([Sample(op, case.attribute, tuple(fill(case, kind, rng, dtype)), ()) for case in op.cases], dtype)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("end", [np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_integer_extremes_reach_the_ends_of_int64(name: str, end: int) -> None:
    values = np.full(3, end)
    tape = record(lambda r, x: [r.elementwise("equal", r.apply(name, (0,), x), int(end))], [values])
    assert run(tape, [values])[0] == 1.0


@both_dtypes
@every_row
def test_tangent_and_adjoint_agree(op: Op, dtype: Any) -> None:
    """<ybar, J xdot> = <J' ybar, xdot>, in every pattern of shapes, to rounding."""
    rng = np.random.default_rng(1)
    tape, inputs = record_samples(samples(op, dtype), dtype)
    n = len(tape.dependents)
    tangents = like([inputs[tape.attribute_ids[s]] for s in tape.independents.tolist()], rng, dtype)
    results = run(pushforward(tape), inputs + tangents)
    seeds = like(results[:n], rng, dtype)
    adjoints = run(pullback(tape), inputs + seeds)[n:]
    left = [(s * y).sum(dtype=np.float64) for s, y in zip(seeds, results[n:], strict=True)]
    right = [(a * t).sum(dtype=np.float64) for a, t in zip(adjoints, tangents, strict=True)]
    size = sum(np.abs(a * t).sum() for a, t in zip(seeds + adjoints, results[n:] + tangents, strict=True))
    assert abs(sum(left) - sum(right)) <= ROUNDING[dtype] * size
    assert size > 0 or op not in SMOOTH


@every_row
def test_adjoint_is_that_of_finite_differences(op: Op) -> None:
    """Every entry of J' ybar, J by central differences of NumPy's function, in every pattern of shapes."""
    rng = np.random.default_rng(2)
    found = samples(op)
    tape, inputs = record_samples(found)
    seeds = like([s.value() for s in found], rng)
    adjoints = iter(run(pullback(tape), inputs + seeds)[len(found) :])
    for sample, seed in zip(found, seeds, strict=True):
        for k in sample.active:
            jacobian = difference_jacobian(sample, k)
            if op.name in NOT_A_DERIVATIVE:
                jacobian = np.zeros_like(jacobian)
            if not op.differentiable:  # flat but for jumps, whose differences are huge
                jacobian[np.abs(jacobian) > 10] = 0
            wanted = (jacobian.T @ seed.reshape(-1)).reshape(sample.operands[k].shape)
            scale = (np.abs(jacobian).T @ np.abs(seed.reshape(-1))).reshape(wanted.shape)
            shapes = [v.shape for v in sample.operands]
            assert_close(next(adjoints), wanted, 2e-9 * (1 + scale), f"{op.key} of {shapes} to operand {k}")
    assert next(adjoints, None) is None


@every_smooth_row
def test_float32_derivative_is_that_of_float64(op: Op) -> None:
    rng = np.random.default_rng(3)
    tape, inputs = record_samples(samples(op, F32), F32)
    seeds = like(run(tape, inputs), rng, F32)
    wide = [v.astype(F64) if v.dtype.kind == "f" else v for v in inputs + seeds]
    found = [
        Sample(s.op, s.attribute, tuple(v.astype(F64) if v.dtype.kind == "f" else v for v in s.operands), s.active)
        for s in samples(op, F32)
    ]
    wanted = run(pullback(record_samples(found)[0]), wide)
    results = run(pullback(tape), inputs + seeds)
    for narrow, reference in zip(results, wanted, strict=True):
        assert narrow.dtype == F32
        scale = np.abs(reference).max(initial=1.0)
        # Sums over broadcast axes may cancel.
        assert_close(narrow, reference, SINGLE.get(op.name, 5e-6) * scale, op.key)


# --- an independent reference


def test_every_row_has_a_reference_or_a_reason() -> None:
    known, missing = set(REFERENCES), set(NO_REFERENCE)
    print(
        f"{len(names())} names, {len(names()) - len(missing)} compared with JAX, {len(missing)} not: {sorted(missing)}"
    )
    assert known.isdisjoint(missing)
    assert known | missing == set(names())
    assert all(NO_REFERENCE.values())


@pytest.mark.parametrize("op", [op for op in ROWS if op.name not in NO_REFERENCE], ids=lambda op: op.key)
def test_value_and_adjoint_are_those_of_jax(op: Op) -> None:
    rng = np.random.default_rng(4)
    found = samples(op, seed=5)
    if op.elementwise:  # a few patterns of shapes: JAX compiles for each, and differences cover all of them
        found = found[::5]
    tape, inputs = record_samples(found)
    seeds = like([s.value() for s in found], rng)
    results = run(pullback(tape), inputs + seeds)
    with jax.enable_x64(True):
        wanted = jax.jit(lambda i, s: jax_pullback(found, i, s))(inputs, seeds)
    assert len(results) == len(wanted)
    for k, (value, reference) in enumerate(zip(results, wanted, strict=True)):
        scale = np.abs(np.asarray(reference)).max(initial=1.0)
        assert_close(value, reference, 1e-11 * scale, f"{op.key}, result {k}")


def jax_pullback(found: list[Sample], inputs: list[Any], seeds: list[Any]) -> list[Any]:
    """Values of all samples, then the adjoints of their active operands."""
    values, adjoints = [], []
    place = 0
    for sample, seed in zip(found, seeds, strict=True):
        operands = inputs[place : place + len(sample.operands)]
        place += len(operands)

        def function(*active: Any, sample: Sample = sample, operands: list[Any] = operands) -> Any:
            given = dict(zip(sample.active, active, strict=True))
            everything = [given.get(k, v) for k, v in enumerate(operands)]
            return jnp.asarray(REFERENCES[sample.op.name](sample.attribute, *everything), jnp.float64)

        value, back = jax.vjp(function, *[operands[k] for k in sample.active])
        values.append(value)
        adjoints += back(seed)
    return values + adjoints


def test_wrap_index_counts_as_python_does() -> None:
    length = 4
    index = np.arange(-length - 3, length + 3)
    tape = record(lambda r, i, n: [r.elementwise("wrap_index", i, n)], [index, np.array(length)])
    for i, found in zip(index, run(tape, [index, np.array(length)])[0], strict=True):
        if -length <= i < length:
            assert found == range(length)[i]
        else:
            assert found * 2**22 < -(2**40)


@pytest.mark.parametrize("kind", [FLOAT, INT, BOOL])
def test_a_guard_stops_the_sweep_where_it_fails(kind: str) -> None:
    one, other = {
        FLOAT: (np.array(np.nan), np.array(1.0)),
        INT: (np.array(-1), np.array(2)),
        BOOL: (np.array(True), np.array(False)),
    }[kind]
    tape = record(lambda r, x, y: [r.elementwise("guard", x, y)], [one, other])
    runner = Runner(schedule(tape))
    assert runner([one, one]) == [1.0]
    assert runner([other, other]) == [1.0]
    assert runner([one, other]) == GuardFailure(0)
    assert runner([one, other], guarded=False) == [1.0]


# --- second derivatives


@every_smooth_row
def test_second_derivative_is_that_of_finite_differences(op: Op) -> None:
    """The adjoint and the tangent of the adjoint tape, along a direction, against differences of the adjoint."""
    rng = np.random.default_rng(6)
    found = samples(op)
    tape, inputs = record_samples(found)
    n = len(found)
    inputs = inputs + like([s.value() for s in found], rng)
    first = gradients_only(pullback(tape), n)
    places = [int(first.attribute_ids[s]) for s in first.independents.tolist()]
    direction = like([inputs[k] for k in places], rng)
    runner = Runner(schedule(first))

    def moved(t: float) -> Any:
        changed = list(inputs)
        for k, d in zip(places, direction, strict=True):
            changed[k] = np.asarray(inputs[k] + t * d)
        return runner(changed)

    wanted = directional(moved)
    m = len(places)
    reverse = run(optimize(adjoint(first, seed_inputs=True)), inputs + direction)[m:]
    forward = run(optimize(tangent(first)), inputs + direction)[m:]
    for k, (r, f, w) in enumerate(zip(reverse, forward, wanted, strict=True)):
        allowed = 1e-8 * np.abs(w).max(initial=1.0)
        assert_close(f, w, allowed, f"{op.key}, tangent of adjoint {k}")
        assert_close(r, w, allowed, f"{op.key}, adjoint of adjoint {k}")


@pytest.mark.parametrize(("op", "k"), UNSUPPORTED, ids=[f"{op.key}-{op.operands[k]}" for op, k in UNSUPPORTED])
def test_a_missing_rule_is_an_error(op: Op, k: int) -> None:
    """Asked for, it raises in both sweeps; not asked for, the other operands are differentiated."""
    sample = samples(op)[0]
    tape = record(lambda r, *v: [sample.record(r, v)], sample.operands, [k])
    for derivative in (pullback, pushforward):
        with pytest.raises(UnsupportedError, match=rf"{op.name}.*{op.operands[k]}"):
            derivative(tape)


def test_there_is_a_row_without_a_rule() -> None:
    """Else the test above tests nothing, and it is time to delete it."""
    assert UNSUPPORTED
