"""Branches on values: a recording is used only for arguments that go its way, another is made beside it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.drivers import recorded as recorded_module
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import GRADIENT, MANY, Recorded
from tests.models import Counted, place


def newton(a: Any) -> Any:
    """The square root of a."""
    x = a
    while abs(x * x - a) > 1e-12:
        x = 0.5 * (x + a / x)
    return x


# --- loops and branches


def test_newton_keeps_a_tape_for_each_number_of_steps() -> None:
    counted = Counted(newton)
    f = tg.value_and_grad(counted)
    for a in (2.0, 200.0, 2.0, 200.0, 2.1, 2.0):
        value, gradient = f(a)
        assert value == pytest.approx(np.sqrt(a), rel=1e-13)
        assert gradient == pytest.approx(0.5 / np.sqrt(a), rel=1e-10)
    assert counted.runs == 2


def test_both_tapes_of_newton_are_kept_and_the_one_used_last_is_tried_first() -> None:
    recorded = Recorded(newton, GRADIENT)
    used = [recorded.run(bind((a,), (0,)))[1] for a in (2.0, 200.0, 2.0)]
    (kept,) = recorded.recordings.values()
    assert kept == [used[1], used[0]]
    assert used[2] is used[0]
    assert len(used[1].tape) > len(used[0].tape)


def test_if_and_else() -> None:
    def f(x: Any) -> Any:
        if x > 1.0:
            return x * x
        return 3.0 * x

    counted = Counted(f)
    g = tg.value_and_grad(counted)
    assert [g(x) for x in (2.0, 0.5, 3.0, -1.0, 1.0)] == [(4, 4), (1.5, 3), (9, 6), (-3, 3), (3, 3)]
    assert counted.runs == 2


def test_nested_branches_choose_among_all_their_tapes() -> None:
    def f(x: Any, y: Any) -> Any:
        if x > 0:
            if y > 0:
                return x * y
            return x - y
        if y > x:
            return x + 2.0 * y
        return 5.0 * x * y

    points = [(1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0)]
    wanted = [(2.0, (2.0, 1.0)), (3.0, (1.0, -1.0)), (3.0, (1.0, 2.0)), (10.0, (-10.0, -5.0))]
    counted = Counted(f)
    g = tg.value_and_grad(counted, argnums=(0, 1))
    for _ in range(2):
        for k in (0, 1, 2, 3, 1, 0, 3, 2):
            assert g(*points[k]) == wanted[k]
    assert counted.runs == 4


def test_guards_inside_loops() -> None:
    def clipped_sum(x: Any) -> Any:
        total = 0.0
        for k in range(4):
            if x[k] > 0:
                total = total + x[k] ** 2
            elif x[k] < -1:
                total = total - x[k]
        return total

    f = tg.value_and_grad(clipped_sum)
    rng = np.random.default_rng(0)
    for _ in range(12):
        x = rng.normal(size=4)
        value, gradient = f(x)
        assert value == pytest.approx(clipped_sum(x), rel=1e-15)
        assert np.allclose(gradient, np.where(x > 0, 2 * x, np.where(x < -1, -1.0, 0.0)), rtol=1e-15)


def test_a_while_loop_with_break_and_continue() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        while True:
            x = 0.5 * x
            if x > 4.0:
                continue
            total = total + x
            if x < 0.3:
                break
        return total

    g = tg.value_and_grad(f)
    for start, halves in ((1.0, (1, 2)), (20.0, (3, 4, 5, 6, 7)), (3.0, (1, 2, 3, 4)), (1.0, (1, 2))):
        assert g(start) == (sum(start / 2**k for k in halves), sum(0.5**k for k in halves))


def test_a_comparison_chain() -> None:
    counted = Counted(lambda x: x * x if 0.0 < x <= 1.0 else 7.0 * x)
    f = tg.value_and_grad(counted)
    assert [f(x) for x in (0.5, 0.0, 1.0, 1.5, -1.0)] == [(0.25, 1), (0, 7), (1, 2), (10.5, 7), (-7, 7)]
    assert counted.runs == 3


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (lambda x, y: x if x > 0 and y > 0 else y, [0, 1, 1, 1]),
        (lambda x, y: x if x > 0 or y > 0 else y, [0, 0, 0, 1]),
        (lambda x, y: x if not x > 0 else y, [1, 1, 0, 0]),
        (lambda x, y: x if not (x > 0 and not y > 0) else y, [0, 1, 0, 0]),
        (lambda x, y: x if (x > 0) & (y > 0) else y, [0, 1, 1, 1]),
        (lambda x, y: x if ~(x > 0) | (y > 0) else y, [0, 1, 0, 0]),
        (lambda x, y: x if (x > 0) ^ (y > 0) else y, [1, 0, 0, 1]),
        (max, [1, 0, 1, 0]),
        (min, [0, 1, 0, 1]),
        (lambda x, y: x if all([x > 0, y > 0]) else y, [0, 1, 1, 1]),
        (lambda x, y: sorted([x, y])[0], [0, 1, 0, 1]),
    ],
)
def test_logic_of_python(f: Callable[[Any, Any], Any], wanted: list[int]) -> None:
    g = tg.grad(f, argnums=(0, 1))
    for _ in range(2):
        for (x, y), which in zip([(1.0, 2.0), (1.0, -2.0), (-1.0, 2.0), (-1.0, -2.0)], wanted, strict=True):
            assert g(x, y) == ((1.0, 0.0), (0.0, 1.0))[which], (x, y)


def test_any_and_all_of_an_array() -> None:
    def f(x: Any) -> Any:
        if (x > 0).all():
            return np.sum(x)
        if np.any(x > 2):
            return np.sum(x * x)
        return 0.0 * x[0]

    g = tg.grad(f)
    for _ in range(2):
        assert g(np.array([1.0, 3.0])).tolist() == [1, 1]
        assert g(np.array([-1.0, 3.0])).tolist() == [-2, 6]
        assert g(np.array([-1.0, 1.0])).tolist() == [0, 0]


def test_an_array_of_one_element_has_a_truth() -> None:
    g = tg.grad(lambda x: x[0] ** 2 if x > 0 else -x[0])
    assert [g(np.array([v])).tolist() for v in (3.0, -3.0)] == [[6.0], [-1.0]]


def test_nan_takes_the_branch_that_python_takes() -> None:
    counted = Counted(lambda x: 2.0 * x if x > 0 else 3.0 * x)
    f = tg.grad(counted)
    assert [f(1.0), f(float("nan")), f(float("nan")), f(-1.0)] == [2, 3, 3, 3]
    assert counted.runs == 2


# --- numbers made from values


def test_int_of_a_value() -> None:
    counted = Counted(lambda x: x ** int(x))
    f = tg.value_and_grad(counted)
    for x in (2.5, 3.5, 2.25, 3.75):
        assert f(x) == pytest.approx((x ** int(x), int(x) * x ** (int(x) - 1)))
    assert counted.runs == 2


def test_int_cuts_towards_zero() -> None:
    counted = Counted(lambda x: x * int(x))
    f = tg.grad(counted)
    assert [f(x) for x in (-0.5, 0.5, -1.5, -2.5, 2.5)] == [0, 0, -1, -2, 2]
    assert counted.runs == 4


@pytest.mark.parametrize(("x", "error"), [(np.nan, ValueError), (np.inf, OverflowError), (-np.inf, OverflowError)])
def test_int_of_what_is_no_integer_is_pythons_error(x: float, error: type[Exception]) -> None:
    f = tg.grad(lambda x: x * int(x))
    with pytest.raises(error, match="convert float"):
        f(x)
    assert f(2.5) == 2
    with pytest.raises(error, match="convert float"):
        f(x)


def test_an_index_into_a_list_made_from_a_value() -> None:
    weights = (1.0, 10.0, 100.0)
    counted = Counted(lambda x, i: x * weights[i])
    f = tg.grad(counted)
    assert [f(1.0, np.array(i)) for i in (0, 2, 1, 2, -1)] == [1, 100, 10, 100, 100]
    assert counted.runs == 4


def test_an_index_into_an_array_needs_no_guard() -> None:
    counted = Counted(lambda x, i: x[i] ** 2)
    f = tg.grad(counted)
    for i in (0, 2, -1, 1):
        wanted = np.where(np.arange(3) == i % 3, 2 * np.arange(3.0), 0)
        assert f(np.arange(3.0), np.int64(i)).tolist() == wanted.tolist()
    assert counted.runs == 1


def test_range_of_an_element_of_an_integer_array() -> None:
    def f(x: Any, counts: Any) -> Any:
        total = 0.0 * x
        for _ in range(counts[1]):
            total = total + x**2
        return total

    counted = Counted(f)
    g = tg.grad(counted)
    assert [g(3.0, np.array([9, n])) for n in (2, 0, 5, 2)] == [12, 0, 30, 12]
    assert g(3.0, np.array([8, 5])) == 30
    assert counted.runs == 3


def test_a_slice_made_from_a_value() -> None:
    counted = Counted(lambda x, n: np.sum(x[: int(n)] ** 2))
    f = tg.grad(counted)
    for n in (2, 3, 2):
        assert f(np.ones(4), np.array(n)).tolist() == [2.0] * n + [0.0] * (4 - n)
    assert counted.runs == 2


def test_float_and_item_of_data() -> None:
    counted = Counted(lambda x, y: x * float(y) + x * y.item())
    f = tg.grad(counted)
    assert [f(1.0, np.array(y)) for y in (2.0, 3.0, 2.0)] == [4, 6, 4]
    assert counted.runs == 2


def test_float_of_what_has_no_derivative() -> None:
    f = tg.grad(lambda x: x * float(tg.stop_gradient(x)))
    assert [f(x) for x in (2.0, 3.0, 2.0)] == [2, 3, 2]


# --- what a branch may look at


def test_a_branch_on_data() -> None:
    counted = Counted(lambda x, t: np.sum(x) if t[0] > t[1] else np.sum(x * x))
    f = tg.grad(counted)
    for t, wanted in (([1.0, 0.0], 1.0), ([0.0, 1.0], 4.0), ([5.0, 1.0], 1.0)):
        assert f(np.array([2.0]), np.array(t)).tolist() == [wanted]
    assert counted.runs == 2


def test_a_branch_on_boolean_data() -> None:
    f = tg.grad(lambda x, training: 2.0 * x if training else 3.0 * x)
    assert [f(1.0, np.bool_(t)) for t in (True, False, True)] == [2, 3, 2]


@pytest.mark.parametrize(
    "test",
    [
        lambda x: np.floor(x) > 1,
        lambda x: np.sign(x) > 0,
        lambda x: np.rint(x) == 2,
        lambda x: tg.stop_gradient(x) > 1.5,
        lambda x: x // 1.5 == 1,
    ],
)
def test_a_branch_on_a_value_without_derivative(test: Callable[[Any], Any]) -> None:
    f = tg.value_and_grad(lambda x: x * x if test(x) else -x)
    for x in (2.0, -2.0, 2.25, -1.75):
        assert f(x) == ((x * x, 2 * x) if test(np.float64(x)) else (-x, -1))


def test_guards_hold_for_pullbacks_too() -> None:
    x = np.array([1.0, -2.0])
    y, pullback = tg.vjp(lambda x: x * x if x[0] > 0 else 3.0 * x, x)
    x[0] = -1.0
    assert y.tolist() == [1.0, 4.0]
    assert pullback(np.ones(2))[0].tolist() == [2.0, -4.0]


def test_a_recorded_function_goes_other_ways() -> None:
    tape = tg.record(newton, 2.0)
    assert [float(tape(a)) for a in (2.0, 200.0, 2.0)] == pytest.approx([2**0.5, 200**0.5, 2**0.5], rel=1e-13)
    assert tape.value_and_grad(200.0)[1] == pytest.approx(0.5 / 200**0.5, rel=1e-10)


# --- thresholds


def on_threshold(quantity: Callable[[Any], Any], x: Any) -> None:
    """Branch on whether a quantity is exactly what NumPy gives for it.

    A sweep may round otherwise, so the branch just recorded may come out otherwise in the sweep.
    """
    threshold = float(quantity(x))

    def f(x: Any) -> Any:
        assert counted.runs < 20
        return np.sum(2.0 * x) if quantity(x) == threshold else np.sum(3.0 * x)

    counted = Counted(f)
    g = tg.grad(counted)
    for _ in range(4):
        assert np.unique(g(x)).tolist() in ([2.0], [3.0])
    assert counted.runs <= 4


@pytest.mark.parametrize("quantity", [lambda x: x * (1 / 7 + x) - 1 / 3, np.exp, np.tanh, lambda x: x**1.7])
def test_a_value_on_the_threshold_does_not_record_for_ever(quantity: Callable[[Any], Any]) -> None:
    for x in np.random.default_rng(0).uniform(0.1, 3.0, 8):
        on_threshold(quantity, np.array(x))


@pytest.mark.parametrize("n", [9, 100, 1001])
def test_a_sum_on_the_threshold_does_not_record_for_ever(n: int) -> None:
    rng = np.random.default_rng(0)
    on_threshold(np.sum, rng.normal(size=n) * 10.0 ** rng.integers(-8, 8, n))
    on_threshold(lambda x: x @ x, rng.normal(size=n))


# --- how many recordings are kept


def power(x: Any) -> Any:
    n = int(x)  # here
    return x**n


def test_many_branches_warn_once_and_name_the_line() -> None:
    f = tg.grad(power)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(2, 2 * MANY + 12):
            assert f(n + 0.5) == pytest.approx(n * (n + 0.5) ** (n - 1))
    (warning,) = caught
    assert warning.category is tg.errors.RerecordingWarning
    assert str(warning.message).startswith(f"power was recorded {MANY} times: a branch on a value")
    assert place(power, "# here") in str(warning.message)


def test_few_branches_do_not_warn() -> None:
    f = tg.grad(power)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in [*range(1, MANY), *range(1, MANY)]:
            f(n + 0.5)


def test_the_recordings_used_least_recently_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_module, "KEPT", 4)
    counted = Counted(lambda x: x * int(x))
    f = tg.grad(counted)
    runs = []
    for x in (1, 2, 3, 4, 1, 5, 3, 1, 4, 5, 2):
        assert f(x + 0.5) == x
        runs.append(counted.runs)
    # 5 drops 2, which was used longest ago, and only 2 is recorded again.
    assert runs == [1, 2, 3, 4, 4, 5, 5, 5, 5, 5, 6]


def test_signatures_used_least_recently_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_module, "KEPT", 3)
    counted = Counted(lambda x, n: x**n)
    f = tg.grad(counted)
    runs = []
    for n in (1, 2, 3, 1, 4, 1, 3, 4, 2):
        assert f(1.0, n) == n
        runs.append(counted.runs)
    assert runs == [1, 2, 3, 3, 4, 4, 4, 4, 5]


# --- random programs
#
# A program is a list of statements in three numbers. `run` interprets it on floats, dual numbers and Variables
# alike, so that guards and the choice among recordings meet any nesting of branches. All its operations are
# rounded correctly, so that a sweep and Python go the same way on every threshold.

NUMBERS = st.floats(-2, 2).map(lambda x: round(x, 3))
LEAF = st.one_of(st.tuples(st.just("x"), st.integers(0, 2)), st.tuples(st.just("c"), NUMBERS))
EXPRESSION = st.recursive(
    LEAF,
    lambda e: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*"]), e, e), st.tuples(st.sampled_from(["root", "neg", "half"]), e)
    ),
    max_leaves=6,
)
CONDITION = st.recursive(
    st.one_of(
        st.tuples(st.sampled_from(["<", ">="]), EXPRESSION, EXPRESSION),
        st.tuples(st.just("chain"), EXPRESSION, EXPRESSION, EXPRESSION),
    ),
    lambda c: st.one_of(st.tuples(st.sampled_from(["and", "or"]), c, c), st.tuples(st.just("not"), c)),
    max_leaves=3,
)
SET = st.tuples(st.just("set"), st.integers(0, 2), EXPRESSION)


def _blocks(statement: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    block = st.lists(statement, min_size=1, max_size=3)
    return st.one_of(
        SET,
        st.tuples(st.just("if"), CONDITION, block, block),
        st.tuples(st.just("for"), st.integers(0, 3), block),
        st.tuples(st.just("while"), CONDITION, block),
    )


PROGRAM = st.lists(st.recursive(SET, _blocks, max_leaves=6), min_size=1, max_size=4)
UNARY = {"root": lambda v: np.sqrt(1.0 + v * v), "neg": lambda v: -v, "half": lambda v: v / 2.0}
BINARY = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b}


def evaluate(e: Any, env: list[Any]) -> Any:
    match e:
        case ("x", k):
            return env[k]
        case ("c", value):
            return value
        case (name, a):
            return UNARY[name](evaluate(a, env))
        case (name, a, b):
            return BINARY[name](evaluate(a, env), evaluate(b, env))


def holds(c: Any, env: list[Any]) -> Any:
    match c:
        case ("and", a, b):
            return holds(a, env) and holds(b, env)
        case ("or", a, b):
            return holds(a, env) or holds(b, env)
        case ("not", a):
            return not holds(a, env)
        case ("<", a, b):
            return evaluate(a, env) < evaluate(b, env)
        case (">=", a, b):
            return evaluate(a, env) >= evaluate(b, env)
        case (_, a, b, d):
            return evaluate(a, env) < evaluate(b, env) <= evaluate(d, env)


def run(block: list[Any], env: list[Any]) -> None:
    for statement in block:
        match statement:
            case ("set", k, e):
                v = evaluate(e, env)
                env[k] = 2.0 * v / np.sqrt(1.0 + v * v)  # stays bounded
            case ("if", c, then, other):
                run(then if holds(c, env) else other, env)
            case ("for", n, body):
                for _ in range(n):
                    run(body, env)
            case ("while", c, body):
                turns = 0
                while turns < 3 and holds(c, env):
                    run(body, env)
                    turns += 1


def outcome(program: list[Any], x: Any) -> Any:
    env = [x[0], x[1], x[2]]
    run(program, env)
    return env[0] + 2.0 * env[1] - env[2]


@dataclass(frozen=True)
class Dual:
    """A number and its derivative in one direction: the derivative of whatever path Python takes."""

    value: float
    slope: float = 0.0

    def __add__(self, other: Any) -> Dual:
        y = dual(other)
        return Dual(self.value + y.value, self.slope + y.slope)

    def __neg__(self) -> Dual:
        return Dual(-self.value, -self.slope)

    def __sub__(self, other: Any) -> Dual:
        return self + -dual(other)

    def __rsub__(self, other: Any) -> Dual:
        return dual(other) - self

    def __mul__(self, other: Any) -> Dual:
        y = dual(other)
        return Dual(self.value * y.value, self.slope * y.value + self.value * y.slope)

    def __truediv__(self, other: Any) -> Dual:
        y = dual(other)
        z = self.value / y.value
        return Dual(z, (self.slope - z * y.slope) / y.value)

    def sqrt(self) -> Dual:
        """What numpy.sqrt calls."""
        z = np.sqrt(self.value)
        return Dual(z, 0.5 * self.slope / z)

    def __lt__(self, other: Any) -> bool:
        return self.value < dual(other).value

    def __ge__(self, other: Any) -> bool:
        return self.value >= dual(other).value

    def __le__(self, other: Any) -> bool:
        return self.value <= dual(other).value

    def __gt__(self, other: Any) -> bool:
        return self.value > dual(other).value

    __radd__, __rmul__ = __add__, __mul__


def dual(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(x)


@given(PROGRAM, st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=4))
def test_random_programs_agree_with_plain_python(program: list[Any], points: list[tuple[float, ...]]) -> None:
    f = tg.value_and_grad(lambda x: outcome(program, x))
    for point in [*points, *points]:
        value, gradient = f(np.array(point))
        wanted = [dual(outcome(program, [Dual(v, float(j == k)) for j, v in enumerate(point)])) for k in range(3)]
        assert value == pytest.approx(wanted[0].value, rel=1e-13, abs=1e-13)
        assert gradient == pytest.approx([w.slope for w in wanted], rel=1e-10, abs=1e-10)


@given(PROGRAM, st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=8))
def test_a_path_is_recorded_once(program: list[Any], points: list[tuple[float, ...]]) -> None:
    counted = Counted(lambda x: outcome(program, x))
    f = tg.value_and_grad(counted)
    for point in points:
        f(np.array(point))
    recorded = counted.runs
    assert recorded <= len(set(points))
    for point in points:
        f(np.array(point))
    assert counted.runs == recorded
