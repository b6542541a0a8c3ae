"""Full-batch minimisers: against their recurrences written out in NumPy, and against SciPy on standard problems."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import optimize

from tapegrad.errors import DtypeError, NonFiniteError, SettingError, ShapeError
from tapegrad.optimizers import LBFGS, ConjugateGradients, Minimizer, NewtonCG, Problem, descend
from tapegrad.optimizers.lbfgs import direction
from tapegrad.optimizers.line_search import search
from tapegrad.optimizers.minimizer import FLAT, LEVEL, SHORT, STUCK, State
from tapegrad.optimizers.newton import truncated

ALL: tuple[Minimizer[Any, Any], ...] = (LBFGS(), ConjugateGradients(), NewtonCG())
SIDE = 6


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_gradient(x):
    gradient = np.zeros_like(x)
    miss = x[1:] - x[:-1] ** 2
    gradient[1:] = 200 * miss
    gradient[:-1] -= 400 * miss * x[:-1] + 2 * (1 - x[:-1])
    return gradient


def beale(x):
    a, b = x[0], x[1]
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def powell(x):
    a, b, c, d = x[0], x[1], x[2], x[3]
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def quadratic(x, a, b):
    return 0.5 * x @ a @ x - b @ x


def logistic(p, x, y):
    scores = x @ p["w"] + p["b"]
    return np.mean(np.logaddexp(0.0, scores) - y * scores) + 0.01 * np.sum(p["w"] ** 2)


def convex(rng, n=SIDE):
    """A symmetric positive definite matrix and a vector."""
    half = rng.normal(size=(n, n))
    return half @ half.T + np.eye(n), rng.normal(size=n)


def trail(problem, minimizer, count):
    """The first states."""
    states = [minimizer.init(problem)]
    for _ in range(count):
        states.append(minimizer.update(problem, states[-1]))
    return states


# --- recurrences


def test_lbfgs_directions_are_those_of_the_bfgs_formula():
    memory = 3
    problem = Problem(rosenbrock, np.full(5, -1.2))
    for k, state in enumerate(trail(problem, LBFGS(memory=memory), 9)):
        kept = min(k, memory)
        assert len(state.steps) == len(state.changes) == kept
        inverse = np.eye(5)
        if kept:
            s, y = state.steps[-1], state.changes[-1]
            inverse *= (s @ y) / (y @ y)
        for s, y in zip(state.steps, state.changes, strict=True):  # N&W eq. 6.17, from gamma * I
            rho = 1 / (y @ s)
            v = np.eye(5) - rho * np.outer(y, s)
            inverse = v.T @ inverse @ v + rho * np.outer(s, s)
        np.testing.assert_allclose(direction(state), -inverse @ rosenbrock_gradient(state.point), rtol=1e-9, atol=1e-10)


def test_lbfgs_remembers_changes_of_point_and_gradient():
    problem = Problem(rosenbrock, np.full(4, -1.2))
    states = trail(problem, LBFGS(memory=2), 5)
    for before, after in pairwise(states):
        np.testing.assert_array_equal(after.steps[-1], after.point - before.point)
        expected = rosenbrock_gradient(after.point) - rosenbrock_gradient(before.point)
        np.testing.assert_allclose(after.changes[-1], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_steps_satisfy_the_strong_wolfe_conditions(minimizer):
    problem = Problem(rosenbrock, np.full(4, -1.2))
    for before, after in pairwise(trail(problem, minimizer, 12)):
        step = after.point - before.point
        first, last = before.gradient @ step, after.gradient @ step
        assert after.value <= before.value + minimizer.sufficient * first
        assert abs(last) <= minimizer.curvature * abs(first) * (1 + 1e-9)
        assert after.value == pytest.approx(rosenbrock(after.point), rel=1e-12)
        np.testing.assert_allclose(after.gradient, rosenbrock_gradient(after.point), rtol=1e-11, atol=1e-11)


def test_conjugate_gradients_end_after_n_exact_searches_on_a_quadratic(rng):
    a, b = convex(rng)
    problem = Problem(quadratic, np.zeros(SIDE), (a, b))
    minimizer = ConjugateGradients(curvature=1e-7, sufficient=1e-8, gradient_tolerance=1e-5, restart=10.0)
    states = trail(problem, minimizer, SIDE)
    x, r = np.zeros(SIDE), -b  # linear conjugate gradients, N&W algorithm 5.2
    p = -r
    for state in states[1:]:
        alpha = (r @ r) / (p @ a @ p)
        x = x + alpha * p
        new = r + alpha * a @ p
        p, r = -new + (new @ new) / (r @ r) * p, new
        np.testing.assert_allclose(state.point, x, rtol=1e-4, atol=1e-5)
    assert states[-1].stopped == FLAT
    assert not states[-2].stopped


def test_conjugate_directions_are_those_of_polak_and_ribiere():
    problem, minimizer = Problem(rosenbrock, np.full(4, -1.2)), ConjugateGradients(restart=0.5)
    kinds = set()
    for before, after in pairwise(trail(problem, minimizer, 30)):
        g, new = rosenbrock_gradient(before.point), rosenbrock_gradient(after.point)
        beta = 0.0 if abs(new @ g) >= 0.5 * (new @ new) else max(0.0, new @ (new - g) / (g @ g))
        kinds.add(beta > 0)
        np.testing.assert_allclose(after.direction, -new + beta * before.direction, rtol=1e-7, atol=1e-7)
    assert kinds == {True, False}


def test_newton_direction_solves_the_system(rng):
    a, b = convex(rng)
    problem = Problem(quadratic, np.ones(SIDE), (a, b))
    minimizer = NewtonCG(forcing=1e-13)
    state = minimizer.init(problem)
    found, products = minimizer.direction(problem, state)
    np.testing.assert_allclose(found, np.linalg.solve(a, b - a @ np.ones(SIDE)), rtol=1e-9)
    assert products <= 2 * SIDE
    after = minimizer.update(problem, state)
    np.testing.assert_allclose(after.point, np.linalg.solve(a, b), rtol=1e-9)
    assert (after.iterations, after.products) == (1, products)
    assert after.stopped == FLAT


def test_newton_stops_a_system_at_the_forcing(rng):
    a, b = convex(rng)
    for forcing in (0.5, 0.1, 1e-3):
        step, count = truncated(lambda d: a @ d, -b, forcing, 100)
        assert np.linalg.norm(a @ step - b) <= forcing * np.linalg.norm(b)
        shorter, _ = truncated(lambda d: a @ d, -b, 1e-15, count - 1)
        assert count == 1 or np.linalg.norm(a @ shorter - b) > forcing * np.linalg.norm(b)


def test_newton_takes_what_it_has_where_the_curvature_is_negative():
    a = np.diag([1.0, 2.0, -1.0])
    down, count = truncated(lambda d: a @ d, np.array([0.0, 0.0, 1.0]), 0.1, 10)
    np.testing.assert_array_equal(down, [0.0, 0.0, -1.0])
    assert count == 1
    g = np.array([1.0, 1.0, 0.1])
    step, count = truncated(lambda d: a @ d, g, 1e-6, 10)
    assert count > 1
    assert step @ g < 0


def test_newton_forcing_is_eisenstat_and_walkers():
    problem = Problem(rosenbrock, np.array([-1.2, 1.0]))
    power = (1 + np.sqrt(5)) / 2
    states = trail(problem, NewtonCG(), 8)
    assert states[0].forcing == 0.5
    for before, after in pairwise(states):
        norms = [np.linalg.norm(rosenbrock_gradient(s.point)) for s in (before, after)]
        expected = 0.9 * (norms[1] / norms[0]) ** power
        if 0.9 * before.forcing**power > 0.1:
            expected = max(expected, 0.9 * before.forcing**power)
        assert after.forcing == pytest.approx(min(expected, 0.5), rel=1e-6)


# --- beside SciPy


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize(
    ("loss", "start", "optimum"),
    [
        (rosenbrock, [-1.2, 1.0], [1.0, 1.0]),
        (rosenbrock, [-1.2, 1.0] * 5, [1.0] * 10),
        (rosenbrock, [1.2, 1.1] * 25, [1.0] * 50),
        (beale, [1.0, 1.0], [3.0, 0.5]),
        (powell, [3.0, -1.0, 0.0, 1.0], [0.0] * 4),
    ],
)
def test_standard_problems(minimizer, loss, start, optimum):
    params, state = descend(Problem(loss, np.array(start)), minimizer, max_iterations=3000)
    assert state.stopped
    # Powell's Hessian is singular at the optimum: the gradient is flat long before.
    np.testing.assert_allclose(params, optimum, atol=2e-2 if loss is powell else 1e-5)
    assert np.max(np.abs(state.gradient)) <= 1e-6


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_logistic_regression_as_scipy_has_it(rng, minimizer):
    x, y = rng.normal(size=(60, 4)), (rng.random(60) < 0.5).astype(float)
    params, state = descend(Problem(logistic, {"w": np.zeros(4), "b": 0.0}, (x, y)), minimizer)
    theirs = optimize.minimize(
        lambda v: logistic({"w": v[:4], "b": v[4]}, x, y), np.zeros(5), method="BFGS", options={"gtol": 1e-7}
    )
    np.testing.assert_allclose(params["w"], theirs.x[:4], atol=1e-4)
    assert type(params["b"]) is float
    assert params["b"] == pytest.approx(theirs.x[4], abs=1e-4)
    assert state.value == pytest.approx(theirs.fun, rel=1e-8)
    assert state.stopped == FLAT


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_nested_parameters_of_both_kinds(minimizer):
    def loss(p, y):
        return np.sum((p["a"][0] - y) ** 2) + (p["a"][1] - 3.0) ** 2 + np.sum((p["c"] + 1) ** 4)

    start = {"a": (np.zeros((2, 2), np.float32), 0.0), "c": np.zeros(2)}
    params, _ = descend(Problem(loss, start, (np.arange(4.0).reshape(2, 2),)), minimizer)
    np.testing.assert_allclose(params["a"][0], [[0, 1], [2, 3]], atol=1e-4)
    assert params["a"][0].dtype == np.float32
    assert params["a"][1] == pytest.approx(3.0, abs=1e-5)
    np.testing.assert_allclose(params["c"], -1.0, atol=1e-2)


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_float32_goes_as_far_as_its_digits(minimizer):
    start = np.array([-1.2, 1.0], np.float32)
    params, state = descend(Problem(rosenbrock, start), replace(minimizer, gradient_tolerance=1e-3))
    assert state.point.dtype == state.gradient.dtype == params.dtype == np.float32
    assert state.stopped
    np.testing.assert_allclose(params, 1.0, atol=5e-3)


# --- what may go wrong


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_points_without_a_value_are_no_steps(minimizer):
    """The logarithm of a negative number is nan: a full step would go there."""
    start = np.array([1e-3, 5.0])
    for scale in (1.0, 1e4):
        problem = Problem(lambda x, c: c * np.sum(x - np.log(x)), start, (scale,))
        with np.errstate(invalid="ignore"):
            params, state = descend(problem, replace(minimizer, gradient_tolerance=1e-6 * scale))
        np.testing.assert_allclose(params, 1.0, atol=1e-5)
        assert state.stopped == FLAT


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_at_the_optimum_there_is_nothing_to_do(minimizer):
    problem = Problem(rosenbrock, np.ones(3))
    params, state = descend(problem, minimizer)
    np.testing.assert_array_equal(params, 1.0)
    assert (state.iterations, state.evaluations, state.stopped) == (0, 1, FLAT)
    assert minimizer.update(problem, state) is state


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_accuracy_ends_where_rounding_begins(minimizer):
    """A large constant hides decreases; the approximate Wolfe conditions still tell by slopes."""
    problem = Problem(lambda x: 1e6 + np.sum(np.cosh(x - 1.0)), np.zeros(4))
    params, state = descend(problem, replace(minimizer, gradient_tolerance=1e-9), max_iterations=200)
    assert state.stopped
    np.testing.assert_allclose(params, 1.0, atol=1e-7)


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_gradients_whose_squares_underflow(minimizer):
    problem = Problem(lambda x: 1e-180 * np.sum((x - 1.0) ** 2), np.zeros(3))
    _, state = descend(problem, replace(minimizer, gradient_tolerance=0.0), max_iterations=5)
    assert state.stopped == STUCK


@pytest.mark.parametrize("minimizer", ALL, ids=lambda m: type(m).__name__)
def test_reasons_to_stop(minimizer):
    problem = Problem(rosenbrock, np.array([-1.2, 1.0]))
    assert descend(problem, replace(minimizer, step_tolerance=10.0))[1].stopped == SHORT
    assert descend(problem, replace(minimizer, decrease_tolerance=2.0))[1].stopped == LEVEL
    _, state = descend(problem, minimizer, max_iterations=2)
    assert (state.iterations, state.stopped) == (2, "")
    # A gradient that points the wrong way: nothing along it decreases the loss.
    state = minimizer.init(problem)
    uphill = replace(state, value=-1e9)
    assert minimizer.update(problem, uphill).stopped == STUCK


def test_states_are_left_as_they_were():
    problem = Problem(rosenbrock, np.full(3, -1.2))
    for minimizer in ALL:
        states = trail(problem, minimizer, 3)
        points = [s.point.copy() for s in states]
        again = minimizer.update(problem, states[1])
        np.testing.assert_array_equal(again.point, states[2].point)
        assert again.value == states[2].value
        for state, point in zip(states, points, strict=True):
            np.testing.assert_array_equal(state.point, point)
        with pytest.raises(FrozenInstanceError):
            states[0].value = 0.0  # type: ignore[misc]


def test_every_evaluation_is_counted():
    calls = []

    class Counted(Problem):
        def value_and_gradient(self, point):
            calls.append(point.copy())
            return super().value_and_gradient(point)

    for minimizer in ALL:
        calls.clear()
        _, state = descend(Counted(rosenbrock, np.full(3, -1.2)), minimizer, max_iterations=20)
        assert state.evaluations == len(calls)
        assert len({c.tobytes() for c in calls}) == len(calls)  # none of them twice


def test_a_search_goes_far_in_few_points():
    problem = Problem(lambda x: np.sum((x - 1000.0) ** 2), np.zeros(1))
    value, gradient = problem.value_and_gradient(problem.start)
    state = State(point=problem.start, value=value, gradient=gradient)
    found, evaluations = search(problem, state, -gradient, guess=1e-6, sufficient=1e-4, curvature=0.1)
    assert found is not None
    assert found.point[0] == pytest.approx(1000.0, rel=0.2)
    assert evaluations < 12
    found, evaluations = search(problem, state, -gradient, guess=1e6, sufficient=1e-4, curvature=0.1)
    assert found is not None
    assert found.point[0] == pytest.approx(1000.0, rel=0.2)
    assert evaluations < 12


def test_callback_sees_every_state_and_may_end_it():
    seen: list[State] = []
    problem = Problem(rosenbrock, np.array([-1.2, 1.0]))

    def callback(state):
        seen.append(state)
        return len(seen) == 4

    _, state = descend(problem, LBFGS(), callback=callback)
    assert [s.iterations for s in seen] == [0, 1, 2, 3]
    assert state is seen[-1]


def test_errors():
    with pytest.raises(DtypeError, match=r"minimize: found params\['n'\], an array of dtype int64; wanted parameters"):
        Problem(lambda p: np.sum(p["n"]), {"n": np.arange(3)})
    with pytest.raises(ShapeError, match="minimize: found params without any array"):
        Problem(lambda p: 0.0, {})
    with pytest.raises(ShapeError, match=r"found a result of shape \(3,\); wanted a scalar result"):
        LBFGS().init(Problem(lambda x: x * 2, np.ones(3)))
    with pytest.raises(NonFiniteError, match="log"):
        LBFGS().init(Problem(lambda x: np.sum(np.log(x)), np.zeros(2)))
    for settings, text in [
        ({"memory": 0}, "LBFGS: found memory=0; wanted a number above 0"),
        ({"curvature": 1e-5}, "LBFGS: found curvature=1e-05; wanted a number above 0.0001 and below 1"),
    ]:
        with pytest.raises(SettingError, match=text):
            LBFGS(**settings)
    with pytest.raises(SettingError, match=r"ConjugateGradients: found curvature=0\.9; wanted .* below 0.5"):
        ConjugateGradients(curvature=0.9)
    with pytest.raises(SettingError, match=r"NewtonCG: found forcing=1\.5"):
        NewtonCG(forcing=1.5)
