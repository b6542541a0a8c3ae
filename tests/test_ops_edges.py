"""Every row at the edges of its domain, at its kinks, below selections, and through strided arguments."""

from __future__ import annotations

from itertools import product
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.special import digamma

import tapegrad as tg
from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.tangent import tangent
from tapegrad.ops.row import BOOL, FLOAT, INT, Op
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tests.helpers import (
    F32,
    F64,
    Sample,
    active_operands,
    assert_close,
    assert_ulps,
    assert_values,
    bits,
    gradient,
    gradients_only,
    record,
    run,
    samples,
)

ELEMENTWISE = [op for op in OPS if op.elementwise and not op.effect]
SMOOTH = [op for op in ELEMENTWISE if op.differentiable]
UNARY = [op for op in SMOOTH if op.kinds == FLOAT]
PLAIN = [op for op in UNARY if not op.loop.startswith("scipy.special.")]
both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])


MOST = 3000  # combinations


def special_floats(dtype: Any) -> Any:
    info = np.finfo(dtype)
    ends = [0.0, info.smallest_subnormal, info.tiny / 4, info.tiny, info.eps, 1.0 - info.eps, info.max / 2, info.max]
    plain = [0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 87.0, 171.5, 710.0, 2.0**31 + 0.0, 1e16, np.inf]
    positive = np.array(ends + plain, dtype)
    return np.concatenate([positive, -positive, [np.nan]]).astype(dtype)


def special(kind: str, dtype: Any, *, narrow: bool = False) -> Any:
    """Values of one kind at the edges; `narrow`: only those that an int64 can hold."""
    if kind == BOOL:
        return np.array([False, True])
    if kind == INT:
        info = np.iinfo(np.int64)
        return np.array([0, 1, -1, 2, -2, 3, 7, -7, 2**31, -(2**31), info.max, info.min + 1, info.min])
    values = special_floats(dtype)
    return values[np.abs(values) < 2.0**40] if narrow else values


def edge_operands(op: Op, dtype: Any) -> list[Any]:
    """Combinations of special operands, as 1-d arrays: all of two operands, some of three."""
    columns = [special(kind, dtype, narrow=op.result_kind == INT) for kind in op.kinds]
    places = np.array(list(product(*(range(len(c)) for c in columns))))
    places = places[:: len(places) // MOST + 1]
    found = [column[places[:, k]] for k, column in enumerate(columns)]
    if op.name == "wrap_index":  # lengths are small
        return [v[np.abs(found[1]) <= 2**31] for v in found]
    if op.operands[0] == "v":  # orders; huge ones take SciPy's Bessel functions seconds
        return [v[np.abs(found[0]) <= 200] for v in found]
    if op.name in {"beta", "betaln", "binom", "poch"}:  # SciPy's zeta of -2**31 + 0.3 takes 2**31 steps
        return [v[(np.abs(found[0]) != 2**31) & (np.abs(found[1]) != 2**31)] for v in found]
    if op.name == "expn":  # orders are whole
        return [v[np.isin(found[0], (0.0, 1.0, 2.0, 3.0, 87.0))] for v in found]
    return found


def element(recorder: Recorder, x: Variable, i: int) -> Variable:
    return recorder.apply("reshape", (), recorder.apply("slice", ((i, 1, 1),), x))


@both_dtypes
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.key)
def test_arrays_of_special_values(op: Op, dtype: Any) -> None:
    """Nan, infinities, denormals, huge values: as NumPy has it, contiguous and with a broadcast operand."""
    operands = edge_operands(op, dtype)
    calls = [operands]
    for k, v in enumerate(operands):
        calls += [[v[j] if m == k else u for m, u in enumerate(operands)] for j in range(0, len(v), 97)]
    calls = [[np.asarray(v) for v in call] for call in calls if any(np.ndim(v) for v in call)]
    found = [Sample(op, (), tuple(call), ()) for call in calls]
    inputs = [v for s in found for v in s.operands]
    step = len(operands)
    tape = record(
        lambda r, *v: [s.record(r, v[step * j : step * (j + 1)]) for j, s in enumerate(found)], inputs, dtype=dtype
    )
    for sample, value in zip(found, run(tape, inputs), strict=True):
        assert_values(op.name, value, sample.value().astype(dtype), sample.operands, 4, op.key)


@both_dtypes
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.key)
def test_scalars_of_special_values(op: Op, dtype: Any) -> None:
    """The same by the scalar machine, which has code of its own."""
    operands = edge_operands(op, dtype)
    n = len(operands[0])
    tape = record(
        lambda r, *v: [r.elementwise(op.name, *(element(r, x, i) for x in v)) for i in range(n)],
        operands,
        dtype=dtype,
    )
    found = np.array(run(tape, operands), dtype)
    wanted = Sample(op, (), tuple(operands), ()).value().astype(dtype)
    assert_values(op.name, found, wanted, operands, 4, op.key)


# --- strided arguments

STRIDED = {
    "transposed": lambda x: x.T,
    "fortran": np.asfortranarray,
    "reversed": lambda x: x[::-1, ::-1],
    "every other": lambda x: x[::2, 1::3],
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "reversed column": lambda x: x[::-2, 1],
}


@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_strided_arguments(op: Op) -> None:
    """Through the drivers, which hand contiguous arrays to the kernels: the bits of a contiguous copy's results."""
    rng = np.random.default_rng(0)

    def f(*operands: Any) -> Any:
        y = next(v for v in operands if isinstance(v, Variable))._recorder.elementwise(op.name, *operands)
        return y._recorder.apply("sum", tuple(range(y.ndim)), y._recorder.elementwise("multiply", y, y))

    places = active_operands(op, samples(op)[0].operands)
    both = tg.value_and_grad(f, places)
    for name, view in STRIDED.items():
        operands = [
            rng.uniform(*op.points[k], (6, 7)) > 0 if kind == BOOL else rng.uniform(*op.points[k], (6, 7))
            for k, kind in enumerate(op.kinds)
        ]
        views = [view(v) for v in operands]
        wanted = both(*[np.ascontiguousarray(v) for v in views])
        found = both(*views)
        assert bits(found[0]) == bits(wanted[0]), name
        for k, g, w in zip(places, found[1], wanted[1], strict=True):
            assert g.shape == views[k].shape
            assert bits(g) == bits(w), name


# --- kinks

NAN, INF = np.nan, np.inf
# name, operands, gradients
KINKS: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = [
    ("absolute", (0.0,), (0.0,)),
    ("absolute", (-0.0,), (0.0,)),
    ("sign", (0.0,), (0.0,)),
    ("maximum", (1.5, 1.5), (0.5, 0.5)),
    ("maximum", (0.0, -0.0), (0.5, 0.5)),
    ("maximum", (INF, INF), (0.5, 0.5)),
    ("maximum", (2.0, 1.0), (1.0, 0.0)),
    ("maximum", (1.0, 2.0), (0.0, 1.0)),
    ("maximum", (1.0, INF), (0.0, 1.0)),
    ("minimum", (1.5, 1.5), (0.5, 0.5)),
    ("minimum", (-INF, -INF), (0.5, 0.5)),
    ("minimum", (2.0, 1.0), (0.0, 1.0)),
    ("minimum", (1.0, 2.0), (1.0, 0.0)),
    ("power", (0.0, 2.0), (0.0, 0.0)),
    ("power", (0.0, 1.0), (1.0, 0.0)),
    ("power", (0.0, 0.0), (0.0, 0.0)),
    ("power", (0.0, 0.5), (INF, 0.0)),
    ("power", (2.0, 0.0), (0.0, np.log(2.0))),
    ("power", (-2.0, 0.0), (0.0, NAN)),
    ("power", (-2.0, 3.0), (12.0, NAN)),
    ("power", (-2.0, 2.0), (-4.0, NAN)),
    ("sqrt", (0.0,), (INF,)),
    ("log", (0.0,), (INF,)),
    ("arctan2", (0.0, 1.0), (1.0, 0.0)),
    ("arctan2", (0.0, -1.0), (-1.0, 0.0)),
    ("floor", (2.0,), (0.0,)),
    ("expit", (800.0,), (0.0,)),
    ("expit", (-800.0,), (0.0,)),
    ("logaddexp", (800.0, -800.0), (1.0, 0.0)),
    ("logaddexp", (-INF, 0.0), (0.0, 1.0)),
    ("logaddexp", (3.0, 3.0), (0.5, 0.5)),
    ("tanh", (800.0,), (0.0,)),
    ("erf", (30.0,), (0.0,)),
]


@pytest.mark.parametrize("shape", [(), (3,)], ids=["scalar", "array"])
@pytest.mark.parametrize(("name", "operands", "wanted"), KINKS, ids=[f"{n}{o}" for n, o, _ in KINKS])
def test_kinks(name: str, operands: tuple[float, ...], wanted: tuple[float, ...], shape: tuple[int, ...]) -> None:
    inputs = [np.full(shape, v) for v in operands]
    axes = tuple(range(len(shape)))
    _, found = gradient(lambda r, *v: [r.apply("sum", axes, r.elementwise(name, *v))], inputs)
    for g, w in zip(found, wanted, strict=True):
        assert_ulps(g, np.full(shape, w), 2, name)


# Functions of one operand by mpmath, and points where a careless formula for the derivative loses every digit.
TAILS: dict[str, tuple[Any, tuple[float, ...]]] = {
    "expit": (lambda x: 1 / (1 + mp.exp(-x)), (-700.0, -40.0, -20.0, 20.0, 40.0, 700.0)),
    "log1p": (mp.log1p, (-1 + 1e-12, 1e-12, 1e12)),
    "arcsin": (mp.asin, (1 - 1e-12, -1 + 1e-12, 1e-12)),
    "arccos": (mp.acos, (1 - 1e-12, -1 + 1e-12, 1e-12)),
    "arctan": (mp.atan, (1e8, -1e8, 1e-8)),
    "erf": (mp.erf, (3.0, 5.0, -5.0)),
    "exp": (mp.exp, (-700.0, 700.0)),
    "gammaln": (mp.loggamma, (1e-8, 1e8)),
    "digamma": (mp.digamma, (1e-8, 1e8)),
    "trigamma": (lambda x: mp.polygamma(1, x), (1e-8, 1e8)),
    "sqrt": (mp.sqrt, (1e-300, 1e300)),
    "log": (mp.log, (1e-300, 1e300)),
    "reciprocal": (lambda x: 1 / x, (1e-150, 1e150)),
}


@pytest.mark.parametrize("name", TAILS)
def test_derivatives_keep_their_digits_in_the_tails(name: str) -> None:
    """Relative to the derivative itself, however small or large that is."""
    function, points = TAILS[name]
    x = np.array(points)
    _, (found,) = gradient(lambda r, v: [r.apply("sum", (0,), r.elementwise(name, v))], [x])
    with mp.workdps(400):
        wanted = np.array([float(mp.diff(function, mp.mpf(p), h=mp.mpf(10) ** -350)) for p in points])
    assert_close(found, wanted, 1e-13 * np.abs(wanted), name)


def test_the_tails_of_logaddexp() -> None:
    """Each derivative is the share of one term, relative to itself."""
    x, y = np.array([0.0, 40.0, 300.0]), np.array([-40.0, 0.0, -300.0])
    _, found = gradient(lambda r, a, b: [r.apply("sum", (0,), r.elementwise("logaddexp", a, b))], [x, y])
    small = np.exp(-np.abs(x - y))
    assert_close(found[0], 1 / (1 + small), 1e-15)
    assert_close(found[1], small / (1 + small), 1e-13 * small)


@pytest.mark.parametrize("name", ["max", "min"])
def test_ties_of_an_extreme_share_equally(name: str) -> None:
    sign = 1 if name == "max" else -1
    x = sign * np.array([[1.0, 3.0, 3.0, 3.0], [2.0, 2.0, -5.0, 0.0], [np.inf, 1.0, np.inf, 0.0]])
    _, found = gradient(lambda r, v: [r.apply("sum", (0,), r.apply(name, (1,), v))], [x])
    assert np.array_equal(found[0], [[0, 1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0, 0], [0.5, 0, 0.5, 0]])


@pytest.mark.parametrize("name", ["max", "min"])
def test_nan_wins_an_extreme(name: str) -> None:
    x = np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan], [3.0, 1.0, 2.0]])
    for axis in (0, 1):
        tape = record(lambda r, v, axis=axis: [r.apply(name, (axis,), v)], [x])
        assert_ulps(run(tape, [x])[0], getattr(np, name)(x, axis), 0)


# --- a selection's other branch contributes exactly 0

SELECT = {
    "where": lambda r, bad, good: r.elementwise("where", r.elementwise("less", good, -1e9), bad, good),
    "where else": lambda r, bad, good: r.elementwise("where", r.elementwise("greater", good, -1e9), good, bad),
}


def derivatives(tape: Any) -> list[Any]:
    """The adjoint tape of a scalar function, and tapes of its second derivative: reverse, and forward over reverse."""
    first = optimize(adjoint(optimize(tape)))
    grads = gradients_only(first, 1)
    return [grads, optimize(adjoint(grads, seed_inputs=True)), optimize(tangent(grads))]


def total(recorder: Recorder, values: list[Variable]) -> list[Variable]:
    terms = [recorder.apply("sum", tuple(range(v.ndim)), v) for v in values]
    result = terms[0]
    for term in terms[1:]:
        result = recorder.elementwise("add", result, term)
    return [result]


@pytest.mark.parametrize("scalar", [True, False], ids=["scalar", "array"])
@pytest.mark.parametrize("choice", SELECT)
@pytest.mark.parametrize("op", SMOOTH, ids=lambda op: op.key)
def test_a_branch_not_taken_contributes_nothing(op: Op, choice: str, scalar: bool) -> None:
    """Whatever the row's partials are at its special values: first and second derivatives are exactly 0."""
    columns = edge_operands(op, F64)
    if scalar:
        keep = np.random.default_rng(0).permutation(len(columns[0]))[:60]
        columns = [v[keep] for v in columns]
    active = list(active_operands(op, columns))

    def build(r: Recorder, *v: Variable) -> list[Variable]:
        if not scalar:
            return total(r, [SELECT[choice](r, r.elementwise(op.name, *v), r.constant(1.5))])
        cells = [[element(r, x, i) for x in v] for i in range(len(columns[0]))]
        return total(r, [SELECT[choice](r, r.elementwise(op.name, *c), r.constant(1.5)) for c in cells])

    check_nothing(record(build, columns, active), columns, active)


def check_nothing(tape: Any, inputs: list[Any], active: list[int]) -> None:
    """Gradient and second derivatives are 0, and nowhere nan."""
    directions = [np.ones_like(inputs[k]) for k in active]
    grads, reverse, forward = derivatives(tape)
    n = len(active)
    results = {"gradient": run(grads, inputs), "adjoint of adjoint": run(reverse, inputs + directions)[n:]}
    results["tangent of adjoint"] = run(forward, inputs + directions)[n:]
    for what, found in results.items():
        for g in found:
            assert np.array_equal(g, np.zeros_like(g)), f"{what}: {g[g != 0]}"


@pytest.mark.parametrize("outer", UNARY, ids=lambda op: op.key)
def test_nor_do_the_operations_before_it(outer: Op) -> None:
    """Every row after each of NumPy's: two partials in a row that may be inf or nan, and one more before them."""
    x = special_floats(F64)

    def build(r: Recorder, v: Variable) -> list[Variable]:
        results = []
        for inner in PLAIN:
            bad = r.elementwise(outer.name, r.elementwise(inner.name, r.elementwise("multiply", v, v)))
            results.append(r.elementwise("where", r.elementwise("less", v, r.constant(np.nan)), bad, 1.0))
        return total(r, results)

    check_nothing(record(build, [x]), [x], [0])


@pytest.mark.parametrize("name", ["maximum", "minimum", "max", "slice", "gather"])
def test_other_selections_drop_what_they_do_not_choose(name: str) -> None:
    """sqrt at 0 has an infinite partial; here its value is not chosen."""
    x = np.zeros(3)
    select = {
        "maximum": lambda r, bad: r.elementwise("maximum", bad, 1.0),
        "minimum": lambda r, bad: r.elementwise("minimum", bad, -1.0),
        "max": lambda r, bad: r.apply("max", (0,), r.apply("concatenate", (0,), bad, r.constant(np.ones(2)))),
        "slice": lambda r, bad: r.apply(
            "slice", ((3, 1, 2),), r.apply("concatenate", (0,), bad, r.constant(np.ones(2)))
        ),
        "gather": lambda r, bad: r.apply(
            "gather", (0, 0), r.apply("concatenate", (0,), bad, r.constant(np.ones(2))), r.constant(np.array([4, 3]))
        ),
    }[name]
    check_nothing(record(lambda r, v: total(r, [select(r, r.elementwise("sqrt", v))]), [x]), [x], [0])


def test_the_branch_taken_keeps_its_derivative() -> None:
    """The other side of the same rule: infinities of the branch taken are not hidden."""
    x = np.array([0.0, 4.0])
    value, (g,) = gradient(
        lambda r, v: total(
            r, [r.elementwise("where", r.elementwise("greater_equal", v, 0.0), r.elementwise("sqrt", v), 0.0)]
        ),
        [x],
    )
    assert value == 2.0
    assert np.array_equal(g, [np.inf, 0.25])


def test_second_derivative_below_a_selection() -> None:
    """where(x > 0, x log x, 0) has the second derivative 1 / x where taken, 0 elsewhere."""
    x = np.array([0.0, -1.0, 0.5, 2.0])

    def build(r: Recorder, v: Variable) -> list[Variable]:
        product_ = r.elementwise("multiply", v, r.elementwise("log", v))
        return total(r, [r.elementwise("where", r.elementwise("greater", v, 0.0), product_, 0.0)])

    grads, reverse, forward = derivatives(record(build, [x]))
    assert_close(run(grads, [x])[0], [0.0, 0.0, np.log(0.5) + 1, np.log(2.0) + 1], 1e-15)
    for tape in (reverse, forward):
        assert_close(run(tape, [x, np.ones(4)])[1], [0.0, 0.0, 2.0, 0.5], 1e-15)


@pytest.mark.parametrize("shape", [(), (5,)], ids=["scalar", "array"])
def test_trigamma_is_right_on_both_sides_of_its_forms(shape: tuple[int, ...]) -> None:
    gradient = tg.grad(lambda x: np.sum(digamma(x)))
    for x in (1e-100, 1e-3, 0.5, 1.0, 3.3, 9.9, 10.1, 1e3, 1e100, -1e-3, -0.5, -3.75, -20.25):
        found = gradient(np.full(shape, x))
        np.testing.assert_allclose(found, float(mp.polygamma(1, mp.mpf(x))), rtol=2e-15)
    ends = [gradient(np.full(shape, x)) for x in (0.0, -3.0, np.inf, np.nan)]
    for found, wanted in zip(ends, (np.inf, np.inf, 0.0, np.nan), strict=True):
        np.testing.assert_array_equal(found, np.full(shape, wanted))
