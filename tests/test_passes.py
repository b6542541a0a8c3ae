"""Passes: what they find, what they must leave alone, and that the function stays the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tapegrad.derivative.adjoint import adjoint
from tapegrad.ops.table import CONSTANT, INPUT, OPCODES, OPS, flags
from tapegrad.passes.dead import drop_dead
from tapegrad.passes.fold import fold
from tapegrad.passes.optimize import optimize
from tapegrad.passes.orient import orient
from tapegrad.passes.share import share
from tapegrad.passes.simplify import simplify
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tests.helpers import F32, F64, assert_close, bits, like, record, run
from tests.random_programs import Program, RandomChooser, write

X, Y = np.array([0.5, -1.25, 2.0]), np.array([1.5, 0.75, -0.5])
M, N = np.arange(6.0).reshape(2, 3) - 2, np.arange(6.0).reshape(3, 2) / 4

Function = Callable[..., Variable | Sequence[Variable]]


def tape_of(function: Function, *inputs: Any, dtype: Any = F64) -> Tape:
    """The tape as recorded, of a function of a recorder and Variables."""

    def build(r: Recorder, *v: Variable) -> Sequence[Variable]:
        result = function(r, *v)
        return [result] if isinstance(result, Variable) else result

    return record(build, inputs, dtype=dtype)


def names(tape: Tape) -> list[str]:
    """Ops in order, without inputs."""
    return [OPS[code].name for code in tape.opcodes.tolist() if code != INPUT]


def check_sound(tape: Tape) -> None:
    """Single assignment, operands before use, everything in range, all of it needed."""
    n = len(tape)
    arrays = (tape.opcodes, tape.type_ids, tape.attribute_ids, tape.line_ids)
    assert all(len(a) == n for a in arrays)
    assert len(tape.starts) == n + 1
    assert tape.starts[0] == 0
    assert tape.starts[-1] == len(tape.operands)
    widths = np.diff(tape.starts)
    assert (widths >= 0).all()
    assert (tape.operands < np.repeat(np.arange(n), widths)).all()
    assert (tape.operands >= 0).all()
    leaf = flags("leaf")[tape.opcodes]
    assert (widths[leaf] == 0).all()
    assert (widths[~leaf] > 0).all()
    assert (tape.opcodes[tape.inputs] == INPUT).all()
    assert (tape.opcodes == INPUT).sum() == len(tape.inputs)
    assert tape.attribute_ids[tape.inputs].tolist() == list(range(len(tape.inputs)))
    assert np.isin(tape.independents, tape.inputs).all()
    assert ((tape.dependents >= 0) & (tape.dependents < n)).all()
    for i in np.flatnonzero(tape.opcodes == CONSTANT).tolist():
        value = tape.constants[tape.attribute_ids[i]]
        assert value.shape == tape.type(i).shape
        assert value.dtype == tape.type(i).dtype(tape.dtype)


# --- fold


def test_what_depends_on_constants_alone_is_folded() -> None:
    tape = tape_of(
        lambda r, x: x + r.apply("sum", (0,), r.elementwise("exp", r.constant(Y)) * 2.0),
        X,
    )
    folded = drop_dead(fold(tape))
    assert names(folded) == ["constant", "add"]
    assert np.array_equal(folded.constants[folded.attribute_ids[1]], (np.exp(Y) * 2).sum())
    check_sound(folded)


def test_folding_keeps_dtypes_and_kinds() -> None:
    def function(r: Recorder, x: Variable) -> list[Variable]:
        less = r.elementwise("less", r.constant(Y), r.constant(0.0))
        whole = r.elementwise("to_int", r.constant(Y))
        return [x * r.elementwise("to_float", whole), x * r.elementwise("to_float", less), x / r.constant(3)]

    folded = optimize(tape_of(function, X.astype(np.float32), dtype=F32))
    assert {c.dtype for c in folded.constants} <= {np.dtype(t) for t in (np.float32, np.int64, np.bool_)}
    assert Counter(names(folded)) == Counter(constant=3, multiply=2, divide=1)
    check_sound(folded)


@pytest.mark.filterwarnings("error")
def test_folding_what_is_not_a_number_is_silent() -> None:
    tape = tape_of(lambda r, x: x * (r.elementwise("log", r.constant(-1.0)) + r.constant(1.0) / r.constant(0.0)), X)
    folded = optimize(tape)
    assert names(folded) == ["constant", "multiply"]
    assert np.isnan(run(folded, [X])[0]).all()


@pytest.mark.parametrize(
    ("name", "attribute"), [("broadcast_to", (1000, 3)), ("pad", ((1000,), ((500, 1, 3),)))], ids=["broadcast", "pad"]
)
def test_spread_constants_are_not_kept(name: str, attribute: Any) -> None:
    tape = optimize(tape_of(lambda r, x: r.apply("sum", (0,), r.apply(name, attribute, r.constant(Y))) + x, X))
    assert max(c.size for c in tape.constants) == 3
    assert name in names(tape)


def test_a_guard_on_constants_is_not_folded() -> None:
    tape = optimize(tape_of(lambda r, x: [r.elementwise("guard", r.constant(1.0), r.constant(2.0)), x][1:], X))
    assert "guard" in names(tape)
    assert Runner(schedule(tape))([X]) == GuardFailure(0)


# --- share

SHARED: dict[str, tuple[Function, list[str]]] = {
    "the same twice": (lambda r, x, y: r.elementwise("sin", x) - r.elementwise("sin", x), ["sin", "subtract"]),
    "commuted": (lambda r, x, y: (x * y) / (y * x), ["multiply", "divide"]),
    "commuted maximum": (
        lambda r, x, y: r.elementwise("maximum", x, y) / r.elementwise("maximum", y, x),
        ["maximum", "divide"],
    ),
    "through sharing": (
        lambda r, x, y: r.elementwise("sin", x + y) / r.elementwise("sin", y + x),
        ["add", "sin", "divide"],
    ),
    "with an attribute": (
        lambda r, x, y: r.apply("item", (1,), x) / r.apply("item", (1,), x),
        ["item", "divide"],
    ),
    "equal numbers": (lambda r, x, y: (x + 2.5) / (x + 2.5), ["constant", "add", "divide"]),
    "times one": (lambda r, x, y: y - x * 1.0, ["subtract"]),
    "one times": (lambda r, x, y: y - 1.0 * x, ["subtract"]),
    "over one": (lambda r, x, y: y - x / 1.0, ["subtract"]),
    "masked by one": (lambda r, x, y: y - r.elementwise("masked_multiply", x, 1.0), ["subtract"]),
    "one masked": (lambda r, x, y: y - r.elementwise("masked_multiply", 1.0, x), ["subtract"]),
    "reshaped to itself": (lambda r, x, y: y - r.apply("reshape", (3,), x), ["subtract"]),
    "broadcast to itself": (lambda r, x, y: y - r.apply("broadcast_to", (3,), x), ["subtract"]),
}
KEPT: dict[str, Function] = {
    "difference": lambda r, x, y: (x - y) * (y - x),
    "quotient": lambda r, x, y: (x / y) + (y / x),
    "power": lambda r, x, y: r.elementwise("power", x, y) + r.elementwise("power", y, x),
    "comparison": lambda r, x, y: [r.elementwise("less", x, y), r.elementwise("less", y, x)],
    "one over": lambda r, x, y: y - 1.0 / x,
    "minus zero": lambda r, x, y: y * (x + 0.0),
    "another attribute": lambda r, x, y: r.apply("item", (1,), x) / r.apply("item", (0,), x),
    "inputs of one type": lambda r, x, y: r.elementwise("sin", x) - r.elementwise("sin", y),
    "ones that broadcast": lambda r, x, y: r.apply("item", (1,), x) * r.constant(np.ones(3)),
    "reshaped": lambda r, x, y: y - r.apply("reshape", (3, 1), x),
    "broadcast": lambda r, x, y: y - r.apply("broadcast_to", (1, 3), x),
    "nearly one": lambda r, x, y: y - x * (1.0 + 2**-52),
}


@pytest.mark.parametrize("case", SHARED)
def test_share(case: str) -> None:
    function, wanted = SHARED[case]
    tape = tape_of(function, X, Y)
    shared = drop_dead(share(tape))
    assert names(shared) == wanted
    assert np.array_equal(run(shared, [X, Y])[0], run(tape, [X, Y])[0])
    check_sound(shared)


@pytest.mark.parametrize("case", KEPT)
def test_share_leaves_alone(case: str) -> None:
    tape = tape_of(KEPT[case], X, Y)
    shared = drop_dead(share(tape))
    assert names(shared) == names(tape)
    for found, wanted in zip(run(shared, [X, Y]), run(tape, [X, Y]), strict=True):
        assert np.array_equal(found, wanted, equal_nan=True)


def test_one_of_another_shape_or_kind_is_no_unit() -> None:
    """1.0 in an array may broadcast; the integer 1 times a boolean is an integer."""
    tape = tape_of(lambda r, x: x * r.constant(np.ones((2, 1))), X)
    assert run(optimize(tape), [X])[0].shape == (2, 3)
    counts = np.array([1, 2, 3])
    tape = tape_of(lambda r, i: i * r.constant(1), counts)
    assert run(optimize(tape), [counts])[0].tolist() == [1.0, 2.0, 3.0]


def test_equal_guards_are_not_merged() -> None:
    """Each stands for one outcome: the drivers count them."""
    x = np.array(1.0)
    tape = tape_of(lambda r, v: [r.elementwise("guard", v, 1.0), r.elementwise("guard", v, 1.0), v * 2.0][2:], x)
    assert Counter(names(optimize(tape)))["guard"] == 2


def test_stop_gradient_goes_only_when_told() -> None:
    def function(r: Recorder, x: Variable) -> Variable:
        return r.apply("stop_gradient", (), x) * x

    assert names(optimize(tape_of(function, X))) == ["stop_gradient", "multiply"]
    assert names(optimize(tape_of(function, X), drop_stops=True)) == ["multiply"]


# --- dead code


def test_what_nothing_needs_is_dropped() -> None:
    tape = tape_of(lambda r, x, y: [r.elementwise("sin", x), r.elementwise("exp", y), x + 1.0][2:], X, Y)
    kept = drop_dead(tape)
    assert names(kept) == ["constant", "add"]
    assert len(kept.inputs) == 2  # the second one is not used, but it is an argument
    check_sound(kept)


def test_a_guard_keeps_what_it_tests() -> None:
    x = np.array(0.25)
    tape = tape_of(lambda r, v: [r.elementwise("guard", r.elementwise("sin", v), np.sin(0.25)), v + 1.0][1:], x)
    kept = drop_dead(tape)
    assert Counter(names(kept)) == Counter(sin=1, guard=1, add=1, constant=2)
    check_sound(kept)


def test_a_tape_with_nothing_dead_is_returned_as_it_is() -> None:
    tape = tape_of(lambda r, x: r.elementwise("sin", x), X)
    assert drop_dead(tape) is tape


def test_the_reverse_part_starts_where_it_did() -> None:
    """`reverse` counts the instructions that are left before it."""
    tape = tape_of(lambda r, x: r.apply("sum", (0,), [r.elementwise("exp", x), r.elementwise("sin", x)][1]), X)
    full = optimize(adjoint(tape))
    forward = names(optimize(tape))
    first = full.reverse - len(full.inputs)
    assert names(full)[:first] == forward
    assert names(full)[first:] == ["cos"]


# --- orientation


def swap(r: Recorder, x: Variable) -> Variable:
    axes = list(range(x.ndim))
    axes[-2:] = axes[:-3:-1]
    return r.apply("transpose", tuple(axes), x)


ORIENTED: dict[str, tuple[Function, tuple[int, int]]] = {
    "left": (lambda r, m, n: r.apply("matmul", (0, 0), swap(r, m), m), (1, 0)),
    "right": (lambda r, m, n: r.apply("matmul", (0, 0), m, swap(r, m)), (0, 1)),
    "both": (lambda r, m, n: r.apply("matmul", (0, 0), swap(r, n), swap(r, m)), (1, 1)),
    "undone": (lambda r, m, n: r.apply("matmul", (1, 0), swap(r, m), n), (0, 0)),
    "half undone": (lambda r, m, n: r.apply("matmul", (1, 1), swap(r, m), m), (0, 1)),
}


@pytest.mark.parametrize("case", ORIENTED)
def test_a_transpose_becomes_a_flag(case: str) -> None:
    function, flags_ = ORIENTED[case]
    tape = tape_of(function, M, N)
    oriented = optimize(tape)
    assert names(oriented) == ["matmul"]
    assert oriented.attribute(len(oriented) - 1) == flags_
    assert all(type(flag) is int for flag in oriented.attribute(len(oriented) - 1))
    assert_close(run(oriented, [M, N])[0], run(tape, [M, N])[0], 1e-14)
    check_sound(oriented)


def test_an_accumulating_product_is_oriented_too() -> None:
    tape = tape_of(lambda r, m: r.apply("matmul_add", (0, 0), swap(r, m), swap(r, m), r.constant(np.eye(2))), M)
    oriented = optimize(tape)
    assert Counter(names(oriented)) == Counter(transpose=1, constant=1, matmul_add=1)  # what is added to stays
    assert oriented.attribute(len(oriented) - 1) == (1, 0)
    assert_close(run(oriented, [M])[0], 2 * M.T, 1e-14)


def test_batches_are_oriented_and_other_permutations_are_not() -> None:
    batch = np.arange(24.0).reshape(2, 3, 4)
    tape = optimize(tape_of(lambda r, b: r.apply("matmul", (0, 0), b, swap(r, b)), batch))
    assert names(tape) == ["matmul"]
    assert_close(run(tape, [batch])[0], batch @ batch.swapaxes(1, 2), 1e-12)
    tape = optimize(
        tape_of(
            lambda r, b: r.apply("matmul", (0, 0), r.apply("transpose", (2, 0, 1), b), r.constant(np.ones((3, 1)))),
            batch,
        )
    )
    assert Counter(names(tape)) == Counter(transpose=1, matmul=1, constant=1)
    assert_close(run(tape, [batch])[0], batch.transpose(2, 0, 1) @ np.ones((3, 1)), 1e-12)


def test_a_transpose_that_others_read_stays() -> None:
    tape = optimize(tape_of(lambda r, m, n: [r.apply("matmul", (0, 0), swap(r, m), m), swap(r, m)], M, N))
    assert Counter(names(tape)) == Counter(matmul=1, transpose=1)


# --- small algebra


def negated(x: Variable, times: int) -> Variable:
    for _ in range(times):
        x = -x
    return x


def transposed(r: Recorder, x: Variable, *orders: tuple[int, ...]) -> Variable:
    for axes in orders:
        x = r.apply("transpose", axes, x)
    return x


CUBE = np.arange(24.0).reshape(2, 3, 4)
# To the last bit, also in the recorded part: what is left.
SIMPLER: dict[str, tuple[Function, list[Any], list[str]]] = {
    "reshaped twice": (
        lambda r, x: r.apply("reshape", (3, 1), r.apply("reshape", (1, 3), x)) * 1.5,
        [X],
        ["reshape", "constant", "multiply"],
    ),
    "reshaped there and back": (
        lambda r, x, y: y - r.apply("reshape", (3,), r.apply("reshape", (1, 3), r.apply("reshape", (3, 1), x))),
        [X, Y],
        ["subtract"],
    ),
    "transposed twice": (lambda r, x: transposed(r, x, (1, 2, 0), (0, 2, 1)), [CUBE], ["transpose"]),
    "transposed there and back": (lambda r, x: -transposed(r, x, (1, 2, 0), (2, 0, 1)), [CUBE], ["negative"]),
    "transposed often": (lambda r, x: transposed(r, x, *[(1, 2, 0)] * 8), [CUBE], ["transpose"]),
    "negative twice": (lambda r, x, y: y * negated(x, 2), [X, Y], ["multiply"]),
    "negative often": (lambda r, x: negated(x, 5), [X], ["negative"]),
    "plus a negative": (lambda r, x, y: x + -y, [X, Y], ["subtract"]),
    "a negative plus": (lambda r, x, y: -x + y, [X, Y], ["subtract"]),
    "minus a negative": (lambda r, x, y: x - -y, [X, Y], ["add"]),
    "two negatives": (lambda r, x, y: -x + -y, [X, Y], ["negative", "subtract"]),
    "minus two negatives": (lambda r, x, y: -x - -y, [X, Y], ["subtract"]),
    "broadcast": (lambda r, x, m: -x + m, [X, M], ["subtract"]),
    "of integers": (lambda r, i, j: i + -j, [np.arange(3), np.array([2, -7, 5])], ["subtract", "to_float"]),
    "taken in twice": (lambda r, x, y: (x + -y) * (-y + x), [X, Y], ["subtract", "multiply"]),
}
# In the derivative's part.
SCALED: dict[str, tuple[Function, list[str]]] = {
    "two numbers": (lambda r, x: 0.3 * (2.0 * x), ["constant", "multiply"]),
    "many numbers": (lambda r, x: 4.0 * ((0.25 * ((x * 0.1) * 2.0)) * 0.5), ["constant", "multiply"]),
    "numbers that make one": (lambda r, x: 0.5 * (2.0 * x), []),
    "numbers that make minus one": (lambda r, x: -0.5 * (2.0 * x), ["negative"]),
    "a negative": (lambda r, x: 3.0 * -x, ["constant", "multiply"]),
    "a negative between": (lambda r, x: 2.0 * -(3.0 * x), ["constant", "multiply"]),
    "a quotient": (lambda r, x: 2.0 * (0.7 / x), ["constant", "divide"]),
    "a mask": (lambda r, x: r.elementwise("masked_multiply", x, 3.0), ["constant", "multiply"]),
    "masks": (
        lambda r, x: r.elementwise("masked_multiply", r.elementwise("masked_multiply", -x, 3.0), 2.0),
        ["constant", "multiply"],
    ),
}
UNSCALED: dict[str, Function] = {
    "what is rounded": lambda r, x: 0.3 * (0.7 * x),
    "what is too large": lambda r, x: 1e308 * (2.0 * x),
    "what is too small": lambda r, x: 0.5 * (3e-308 * x),
    "nothing": lambda r, x: 0.0 * (2.0 * x),
    "infinity": lambda r, x: r.elementwise("masked_multiply", x, np.inf),
    "not a number": lambda r, x: r.elementwise("masked_multiply", x, np.nan),
    "arrays": lambda r, x: r.constant(np.full(3, 2.0)) * (r.constant(np.full(3, 0.5)) * x),
    "an array's mask": lambda r, x: r.elementwise("masked_multiply", x, r.constant(np.full(3, 0.5))),
    "a number below": lambda r, x: 2.0 * (x / 3.0),
}
EXTREME = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e-300, 3.7])


@pytest.mark.parametrize("case", SIMPLER)
def test_chains_become_shorter(case: str) -> None:
    function, inputs, wanted = SIMPLER[case]
    tape = tape_of(function, *inputs)
    simple = drop_dead(simplify(tape))
    assert Counter(names(drop_dead(share(simple)))) == Counter(wanted)
    check_sound(simple)
    assert [bits(v) for v in run(simple, inputs)] == [bits(v) for v in run(tape, inputs)]


@pytest.mark.parametrize("case", SCALED)
def test_numbers_are_multiplied_in_the_derivative_alone(case: str) -> None:
    function, wanted = SCALED[case]
    recorded = tape_of(function, EXTREME)
    assert simplify(recorded) is recorded
    tape = replace(recorded, reverse=0)
    simple = drop_dead(share(simplify(tape)))
    assert Counter(names(simple)) == Counter(wanted)
    check_sound(simple)
    with np.errstate(all="ignore"):
        assert np.array_equal(run(simple, [EXTREME])[0], run(tape, [EXTREME])[0], equal_nan=True)


@pytest.mark.parametrize("case", UNSCALED)
def test_products_that_are_not_the_same_stay(case: str) -> None:
    tape = replace(share(tape_of(UNSCALED[case], X)), reverse=0)
    assert simplify(tape) is tape


def test_float32_numbers_are_rounded_as_float32() -> None:
    """The product of two numbers is exact in float64, but not in the tape's own dtype."""
    x = X.astype(np.float32)
    for a, b, same in ((0.3, 0.7, True), (0.3, 0.5, False), (1e-38, 0.5, True)):
        tape = replace(tape_of(lambda r, x, a=a, b=b: a * (b * x), x, dtype=F32), reverse=0)
        simple = simplify(tape)
        assert (simple is tape) == same
        assert all(c.dtype == F32 for c in simple.constants)
        assert np.array_equal(run(simple, [x])[0], run(tape, [x])[0])


def test_a_negative_that_others_read_stays() -> None:
    tape = tape_of(lambda r, x, y: [x + (n := -y), r.elementwise("exp", n)], X, Y)
    simple = drop_dead(simplify(tape))
    assert Counter(names(simple)) == Counter(subtract=1, negative=1, exp=1)
    for found, value in zip(run(simple, [X, Y]), run(tape, [X, Y]), strict=True):
        assert np.array_equal(found, value)


def test_a_tape_with_nothing_to_simplify_is_returned_as_it_is() -> None:
    tape = tape_of(lambda r, x, y: (x - y) * r.elementwise("exp", -x), X, Y)
    assert simplify(tape) is tape


def test_a_long_chain_takes_linear_time() -> None:
    """Each product finds what stands before it taken together already, and need not walk back to the start."""

    def chain(r: Recorder, x: Variable) -> Variable:
        for k in range(100_000):
            x = (2.0, 0.5)[k % 2] * -(x if k % 7 else 3.0 * x)
        return x

    x = np.array(1.25)
    tape = replace(tape_of(chain, x), reverse=0)
    simple = simplify(tape)
    assert len(drop_dead(share(simple))) < len(tape) / 5


# --- known cases


def mean_square(r: Recorder, w: Variable, x: Variable, y: Variable) -> Variable:
    error = r.apply("reshape", (4,), r.apply("matmul", (0, 0), x, r.apply("reshape", (3, 1), w))) - y
    return r.apply("sum", (0,), error * error) / 4.0


KNOWN: dict[str, tuple[Function, list[Any], list[str]]] = {
    "sum of squares": (
        lambda r, x: r.apply("sum", (0,), x * x),
        [X],
        ["multiply", "sum", "add"],
    ),
    "sum": (lambda r, x: r.apply("sum", (0,), x), [X], ["sum", "constant", "broadcast_to"]),
    "sum of exponentials": (
        lambda r, x: r.apply("sum", (0,), r.elementwise("exp", x)),
        [X],
        ["exp", "sum"],
    ),
    "logarithm of a sum of exponentials": (
        lambda r, x: r.elementwise("log", r.apply("sum", (0,), r.elementwise("exp", x))),
        [X],
        ["exp", "sum", "log", "constant", "divide", "multiply"],
    ),
    "sum of squares by square": (
        lambda r, x: r.apply("sum", (0,), r.elementwise("square", x)),
        [X],
        ["square", "sum", "constant", "multiply"],
    ),
    "half the sum of squares": (
        lambda r, x: r.apply("sum", (0,), r.elementwise("square", x)) / 2.0,
        [X],
        ["square", "sum", "constant", "divide"],
    ),
    "norm": (
        lambda r, x: r.elementwise("sqrt", r.apply("sum", (0,), r.elementwise("square", x))),
        [X],
        ["square", "sum", "sqrt", "constant", "divide", "multiply"],
    ),
    "squares of differences": (
        lambda r, x, y: r.apply("sum", (0,), r.elementwise("square", x - y)),
        [X, Y],
        ["subtract", "square", "sum", "constant", "multiply", "negative"],
    ),
    "sine": (lambda r, x: r.apply("sum", (0,), r.elementwise("sin", x)), [X], ["sin", "sum", "cos"]),
    "tanh": (
        lambda r, x: r.apply("sum", (0,), r.elementwise("tanh", x)),
        [X],
        ["tanh", "sum", "multiply", "constant", "subtract"],
    ),
}


@pytest.mark.parametrize("case", KNOWN)
def test_gradients_take_no_more_instructions_than_by_hand(case: str) -> None:
    function, inputs, wanted = KNOWN[case]
    full = optimize(adjoint(optimize(tape_of(function, *inputs))))
    assert Counter(names(full)) == Counter(wanted)


def test_a_negative_is_taken_of_a_sum_and_not_of_its_terms() -> None:
    m, x = M, np.array([0.5, 0.25, -1.0])
    full = optimize(adjoint(optimize(tape_of(lambda r, m, x: r.apply("sum", (0, 1), (m - x) * (m - x)), m, x))))
    (place,) = np.flatnonzero(full.opcodes == OPCODES["negative"])
    assert full.type(int(place)).shape == (3,)
    assert_close(run(full, [m, x])[2], -2 * (m - x).sum(0), 1e-13)


def test_a_mean_square_takes_one_product_each_way() -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.normal(size=3), rng.normal(size=(4, 3)), rng.normal(size=4)]

    def build(r: Recorder, *v: Variable) -> list[Variable]:
        return [mean_square(r, *v)]

    tape = record(build, inputs, [0])
    full = optimize(adjoint(optimize(tape)))
    found = Counter(names(full))
    assert found["matmul"] == 2
    assert found["transpose"] == found["broadcast_to"] == 0
    assert_close(run(full, inputs)[1], inputs[1].T @ (inputs[1] @ inputs[0] - inputs[2]) / 2, 1e-13)


# --- any program

SEEDS = range(3000, 3080)


def drawn(seed: int) -> tuple[Program, Tape, list[Any]]:
    program = write(RandomChooser(np.random.default_rng(seed)))
    inputs = program.draw(seed)
    return program, record(program.record, inputs, program.independent, program.dtype), inputs


@pytest.mark.parametrize("seed", SEEDS)
def test_every_pass_keeps_the_function(seed: int) -> None:
    """To the last bit where instructions only vanish; to rounding where NumPy or another product computes."""
    program, tape, inputs = drawn(seed)
    full = adjoint(tape, seed_inputs=not program.scalar)
    inputs += (
        []
        if program.scalar
        else like(
            [np.empty(full.type(s).shape) for s in tape.dependents.tolist()], np.random.default_rng(0), program.dtype
        )
    )
    wanted = run(full, inputs)
    for change in (drop_dead, share, lambda t: share(t, drop_stops=True)):
        for found, value in zip(run(change(full), inputs), wanted, strict=True):
            assert np.array_equal(found, value)
    for change in (fold, orient, simplify, optimize, lambda t: optimize(optimize(t), drop_stops=True)):
        tolerance = 1e-11 if program.dtype == F64 else 1e-4
        largest = max(1.0, *(np.abs(v).max(initial=0) for v in wanted))
        for found, value in zip(run(change(full), inputs), wanted, strict=True):
            assert_close(found, value, tolerance * largest)


@pytest.mark.parametrize("seed", SEEDS)
def test_simplifying_keeps_recorded_values_to_the_last_bit(seed: int) -> None:
    _, tape, inputs = drawn(seed)
    full = adjoint(tape, seed_inputs=True)
    seeds = [np.zeros(full.type(s).shape, tape.dtype) for s in tape.dependents.tolist()]
    count = len(tape.dependents)
    for found, value in zip(
        run(simplify(full), inputs + seeds)[:count], run(full, inputs + seeds)[:count], strict=True
    ):
        assert bits(found) == bits(value)


@pytest.mark.parametrize("seed", SEEDS)
def test_optimised_tapes_are_sound_and_as_short_as_they_get(seed: int) -> None:
    _, tape, _ = drawn(seed)
    lengths = [len(tape)]
    for t in (tape, adjoint(optimize(tape), seed_inputs=True)):
        check_sound(t)
        once = optimize(t)
        check_sound(once)
        assert len(once) <= len(t)
        assert drop_dead(once) is once
        assert len(optimize(once)) == len(once)
        lengths.append(len(once))
    assert lengths[1] <= lengths[0]
