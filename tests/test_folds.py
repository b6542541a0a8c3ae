"""Repeats of tapes are found, and nothing is taken for a repeat that is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.ops.table import CONSTANT, OPS
from tapegrad.pictures.folds import Fold, Steps, find_folds


def _ode(turns):
    def f(p):
        x, y = p[2], p[3]
        for _ in range(turns):
            x, y = x + 0.01 * (p[0] * x - x * y), y + 0.01 * (x * y - p[1] * y)
        return x * y

    return tg.record(f, [1.1, 0.4, 10.0, 5.0])


def _covered(folds):
    return sum(f.period * f.turns for f in folds)


def test_a_loop_is_one_repeat():
    tape = _ode(500).tape
    (fold,) = find_folds(tape)
    assert fold.turns == 500
    assert fold.first == 0
    assert fold.end == len(Steps.of(tape).slots) - 1  # x * y comes after it


def test_the_reverse_part_repeats_as_well():
    tape = _ode(500).adjoint().tape
    forward, reverse = find_folds(tape)
    steps = Steps.of(tape)
    assert steps.slots[forward.end - 1] < tape.reverse <= steps.slots[reverse.first]
    assert forward.turns == 500
    assert 490 <= reverse.turns <= 500
    assert len(steps.slots) - _covered([forward, reverse]) < 3 * reverse.period


def test_elements_of_an_array():
    def f(x):
        y = tnp.zeros_like(x)
        for i in range(1, 40):
            y[i] = y[i - 1] * 0.5 + x[i]
        return y.sum()

    folds = find_folds(tg.record(f, np.ones(40)).tape)
    assert any(g.turns >= 38 and g.period == 3 for g in folds)


def test_windows_of_an_array():
    def f(x):
        total = np.zeros(2)
        for i in range(30):
            total = np.sin(total) + x[2 * i : 2 * i + 2]
        return total.sum()

    folds = find_folds(tg.record(f, np.ones(60)).tape)
    assert [g.turns for g in folds] == [29] or [g.turns for g in folds] == [30]


def test_loops_in_loops():
    def f(x):
        for _ in range(20):
            for _ in range(10):
                x = np.sin(x) + np.cos(x)
            x = np.exp(-x)
        return x

    (outer,) = find_folds(tg.record(f, 1.0).tape)
    assert (outer.turns, outer.period) == (20, 32)
    (inner,) = outer.inner
    assert (inner.turns, inner.period) == (10, 3)
    assert inner.moved(32).first == inner.first + 32


def test_carried_over_two_turns():
    def f(x):
        a, b = x, 2.0 * x
        for _ in range(50):
            a, b = b, np.sin(a) * b
        return b

    (fold,) = find_folds(tg.record(f, 1.0).tape)
    assert fold.turns >= 48


def test_numbers_may_change_from_turn_to_turn():
    def f(x):
        for k in range(30):
            x = np.sin(x) * (k + 2.5)
        return x

    (fold,) = find_folds(tg.record(f, 1.0).tape)
    assert fold.turns == 30


def test_operands_that_jump_are_no_repeat():
    order = np.random.default_rng(1).permutation(40)

    def f(x):
        made = [np.sin(x * 1.5)]
        for k in range(1, 40):
            made.append(np.sin(made[order[k] % k]))
        return sum(made)

    folds = find_folds(tg.record(f, 1.0).tape)
    steps = Steps.of(tg.record(f, 1.0).tape)
    for fold in folds:
        _check_even(steps, fold)


def _check_even(steps, fold):
    """From the second turn on, each operand moves by the same step from turn to turn."""
    first, width = int(steps.starts[fold.first]), int(steps.starts[fold.first + fold.period] - steps.starts[fold.first])
    read = steps.operands[first : first + width * fold.turns].reshape(fold.turns, width)
    keys = steps.keys[fold.first : fold.end].reshape(fold.turns, fold.period)
    assert (keys == keys[0]).all()
    assert (np.diff(read[1:], n=2, axis=0) == 0).all()
    for inner in fold.inner:
        assert fold.first <= inner.first
        assert inner.end <= fold.first + fold.period
        _check_even(steps, inner)


@given(
    st.lists(st.tuples(st.sampled_from(["sin", "cos", "add", "multiply"]), st.integers(1, 4)), max_size=4), st.data()
)
def test_random_loops(body, data):
    """Whatever is found repeats; a loop of the body is found where it is worth a frame."""
    turns = data.draw(st.integers(1, 20))

    def f(x):
        made = [x, x * 0.5, x - 1.0, x + 2.0]
        for _ in range(turns):
            for name, back in body:
                a = made[-back]
                made.append(getattr(np, name)(a, made[-1]) if name in {"add", "multiply"} else getattr(np, name)(a))
        return sum(made)

    tape = tg.record(f, 1.0).tape
    steps = Steps.of(tape)
    folds = find_folds(tape, steps)
    ends = [0]
    for fold in folds:
        assert fold.first >= ends[-1]
        ends.append(fold.end)
        _check_even(steps, fold)
    assert ends[-1] <= len(steps.slots)


@pytest.mark.parametrize("value", [1.0, np.ones(3)])
def test_short_tapes_have_none(value):
    assert find_folds(tg.record(lambda x: np.sin(x) * x, value).tape) == ()
    assert find_folds(tg.record(lambda x: x, value).tape) == ()


def test_steps_are_the_instructions_that_are_no_leaves():
    tape = _ode(3).adjoint().tape
    steps = Steps.of(tape)
    assert [OPS[c].leaf for c in tape.opcodes[steps.slots]].count(True) == 0
    assert len(steps.slots) == sum(not OPS[c].leaf for c in tape.opcodes.tolist())
    assert (steps.kinds == 2).sum() == sum(tape.opcodes[s] == CONSTANT for s in tape.operands.tolist())
    assert Fold(2, 3, 4).end == 14
