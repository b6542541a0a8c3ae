"""Least squares: steps against dense solutions, sparse systems against dense ones, fits against certified values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import least_squares, root

from tapegrad.errors import DtypeError, NonFiniteError, SettingError, ShapeError
from tapegrad.optimizers import LBFGS, GaussNewton, LevenbergMarquardt, Residuals, descend
from tapegrad.optimizers import elimination as elimination_module
from tapegrad.optimizers.elimination import EliminatedSystem, find_blocks, sparse_system
from tapegrad.optimizers.gauss_newton import DEFICIENT, column_norms
from tapegrad.optimizers.minimizer import FLAT, LEVEL, SHORT
from tapegrad.optimizers.systems import DenseSystem, DirectSystem

BOTH: tuple[Any, ...] = (LevenbergMarquardt(), GaussNewton())


def valley(x):
    """Rosenbrock's function as residuals."""
    return {"bend": 10 * (x[1:] - x[:-1] ** 2), "end": 1 - x[:-1]}


def decays(p, x, y):
    return p["a"] * np.exp(-p["b"] * x) + p["c"] - y


def curves(p, index, x, y):
    """Many decays, each with parameters of its own, over a common background."""
    return p["a"][index] * np.exp(-p["b"][index] * x) + p["common"][0] + p["common"][1] * x - y


def many_curves(rng, count=30, each=8):
    """Data of `curves`, and where to start."""
    index = np.repeat(np.arange(count), each)
    x = np.tile(np.linspace(0.0, 2.0, each), count)
    true = {"a": rng.uniform(1, 2, count), "b": rng.uniform(0.5, 2, count), "common": np.array([0.3, -0.1])}
    y = curves(true, index, x, 0.0) + 0.01 * rng.normal(size=len(x))
    start = {"a": np.ones(count), "b": np.ones(count), "common": np.zeros(2)}
    return start, (index, x, y), true


def random_blocks(rng, groups=7, size=3, shared=5, rows=4):
    """A sparse matrix whose first columns are in groups that meet no row together, and rows of shared columns alone."""
    dense = np.zeros((groups * rows + 6, groups * size + shared))
    for g in range(groups):
        for r in range(g * rows, (g + 1) * rows):
            dense[r, g * size : (g + 1) * size] = rng.normal(size=size)
            chosen = rng.permutation(shared)[:2]
            dense[r, groups * size + chosen] = rng.normal(size=2)
    dense[groups * rows :, groups * size :] = rng.normal(size=(6, shared))
    return dense[:, rng.permutation(dense.shape[1])]


def expected_step(jacobian, residuals, damping, scale):
    """(J'J + mu D^2) p = -J'r, as least squares."""
    augmented = np.vstack([jacobian, np.sqrt(damping) * np.diag(scale)])
    right = np.append(-residuals, np.zeros(len(scale)))
    return np.linalg.lstsq(augmented, right, rcond=None)[0]


# --- steps


def test_a_step_solves_the_damped_system():
    problem = Residuals(valley, np.array([-1.2, 1.0, 0.5]))
    optimizer, falls = LevenbergMarquardt(acceleration=None), set()
    state = optimizer.init(problem)
    for _ in range(8):
        after = optimizer.update(problem, state)
        jacobian, r = problem.jacobian(state.point), problem.residuals(state.point)
        failed = after.evaluations - state.evaluations - 1
        damping = state.damping * 2.0 ** (failed * (failed + 1) // 2)
        step = expected_step(jacobian, r, damping, state.scale)
        np.testing.assert_allclose(after.point - state.point, step, rtol=1e-8, atol=1e-12)
        model = 0.5 * np.sum((r + jacobian @ step) ** 2)
        gain = (state.value - after.value) / (state.value - model)
        fall = 0.1 if abs(gain - 1) < 0.25 else max(1 / 3, 1 - (2 * gain - 1) ** 3)
        falls.add(fall == 0.1)
        assert after.damping == pytest.approx(damping * fall, rel=1e-6)
        np.testing.assert_array_equal(after.scale, np.maximum(column_norms(after.jacobian), state.scale / 2))
        state = after
    assert falls == {True, False}


def test_the_state_knows_where_it_is():
    problem = Residuals(valley, np.array([-1.2, 1.0, 0.5]))
    state = LevenbergMarquardt().init(problem)
    for _ in range(3):
        state = LevenbergMarquardt().update(problem, state)
        r, jacobian = problem.residuals(state.point), problem.jacobian(state.point)
        np.testing.assert_array_equal(state.residuals, r)
        np.testing.assert_array_equal(state.jacobian, jacobian)
        assert state.value == pytest.approx(0.5 * r @ r, rel=1e-14)
        np.testing.assert_allclose(state.gradient, jacobian.T @ r, rtol=1e-13)


def test_a_bent_step_adds_half_the_acceleration():
    x = np.linspace(0.0, 2.0, 9)
    problem = Residuals(lambda p, x, y: p[0] * np.exp(p[1] * x) - y, np.array([1.0, -0.5]), (x, 2 * np.exp(-x)))
    optimizer = LevenbergMarquardt(damping=1e-2)
    state = optimizer.init(problem)
    after = optimizer.update(problem, state)
    a, b = state.point
    first = expected_step(state.jacobian, state.residuals, 1e-2, state.scale)
    second = 2 * x * np.exp(b * x) * first[0] * first[1] + a * x**2 * np.exp(b * x) * first[1] ** 2
    np.testing.assert_allclose(problem.second(state.point, first), second, rtol=1e-12)
    bend = expected_step(state.jacobian, second, 1e-2, state.scale)
    np.testing.assert_allclose(after.point - state.point, first + bend / 2, rtol=1e-9)


def test_a_step_whose_bend_is_too_long_fails():
    x = np.linspace(0.0, 2.0, 9)
    problem = Residuals(lambda p, x, y: p[0] * np.exp(p[1] * x) - y, np.array([1.0, 3.0]), (x, 2 * np.exp(-x)))
    for limit in (0.75, 0.01):
        optimizer = LevenbergMarquardt(damping=1e-9, acceleration=limit)
        state = optimizer.init(problem)
        after = optimizer.update(problem, state)
        assert after.iterations == 1
        lengths = []
        for damping in state.damping * 2.0 ** (np.arange(12) * (np.arange(12) + 1) // 2):
            first = expected_step(state.jacobian, state.residuals, damping, state.scale)
            bend = expected_step(state.jacobian, problem.second(state.point, first), damping, state.scale)
            lengths.append((np.linalg.norm(state.scale * bend) / np.linalg.norm(state.scale * first), first + bend / 2))
        step = next(step for ratio, step in lengths if ratio <= limit)
        np.testing.assert_allclose(after.point - state.point, step, rtol=1e-6)


def test_gauss_newton_steps_are_least_squares_solutions(rng):
    """Of a linear problem the first step is the last."""
    matrix, right = rng.normal(size=(12, 4)), rng.normal(size=12)
    problem = Residuals(lambda x, a, b: a @ x - b, np.zeros(4), (matrix, right))
    params, state = descend(problem, GaussNewton())
    np.testing.assert_allclose(params, np.linalg.lstsq(matrix, right, rcond=None)[0], rtol=1e-12)
    assert state.iterations == 1
    assert state.stopped == FLAT


def test_gauss_newton_takes_the_shortest_step_where_the_rank_is_deficient():
    problem = Residuals(lambda x: np.sum(x) - np.array([1.0, 1.0]), np.zeros(2))
    params, _ = descend(problem, GaussNewton())
    np.testing.assert_allclose(params, 0.5)
    sparse = Residuals(lambda x: np.sum(x) - np.array([1.0, 1.0]), np.zeros(2), sparse=True)
    assert descend(sparse, GaussNewton())[1].stopped == DEFICIENT


# --- systems


@pytest.mark.parametrize("damping", [1e-6, 1e-2, 1.0, 1e3])
def test_sparse_systems_solve_as_the_dense_one(rng, damping, monkeypatch):
    dense = random_blocks(rng)
    matrix, scale = sp.csr_array(dense), rng.uniform(0.5, 2, dense.shape[1])
    r = rng.normal(size=len(dense))
    expected = expected_step(dense, r, damping, scale)
    eliminated = sparse_system(matrix)
    assert isinstance(eliminated, EliminatedSystem)
    assert eliminated.dense
    monkeypatch.setattr(elimination_module, "_MOST_DENSE", 1)
    reduced = sparse_system(matrix)
    assert isinstance(reduced, EliminatedSystem)
    assert not reduced.dense
    for system, given in [
        (DenseSystem(), dense),
        (DirectSystem(matrix), matrix),
        (eliminated, matrix),
        (reduced, matrix),
    ]:
        solver = system.at(given, scale).damped(damping)
        assert solver is not None
        np.testing.assert_allclose(solver.step(r), expected, rtol=1e-7, atol=1e-9)


def test_blocks_are_found_in_any_order(rng):
    dense = random_blocks(rng)
    found = find_blocks(sp.csr_array(dense))
    assert found is not None
    assert sorted(found.sizes.tolist()) == [3] * 7
    assert len(found.kept) == 5
    for g in range(7):
        members = np.flatnonzero(found.group_of == g)
        rows = dense[:, members[0]] != 0
        np.testing.assert_array_equal(found.row_group[rows], g)
        np.testing.assert_array_equal(np.sort(found.place[members]), np.arange(3))
    assert (found.row_group == -1).sum() == 6


def test_columns_that_nothing_depends_on_are_eliminated_too(rng):
    dense = np.hstack([random_blocks(rng), np.zeros((34, 2))])
    matrix, scale, r = sp.csr_array(dense), np.ones(dense.shape[1]), rng.normal(size=34)
    system = sparse_system(matrix)
    assert isinstance(system, EliminatedSystem)
    solver = system.at(matrix, scale).damped(0.1)
    assert solver is not None
    np.testing.assert_allclose(solver.step(r), expected_step(dense, r, 0.1, scale), rtol=1e-9, atol=1e-12)
    assert system.at(matrix, scale).damped(0.0) is None


@pytest.mark.parametrize("shape", ["band", "dense"])
def test_what_has_no_blocks_is_solved_as_a_whole(rng, shape):
    dense = rng.normal(size=(20, 20)) * (np.tri(20, k=1) - np.tri(20, k=-2) if shape == "band" else 1)
    matrix, r = sp.csr_array(dense), rng.normal(size=20)
    system = sparse_system(matrix)
    assert isinstance(system, DirectSystem)
    solver = system.at(matrix, np.ones(20)).damped(0.5)
    assert solver is not None
    np.testing.assert_allclose(solver.step(r), expected_step(dense, r, 0.5, np.ones(20)), rtol=1e-9)


def test_singular_systems_are_told():
    matrix = sp.csr_array(np.array([[1.0, 1.0], [1.0, 1.0]]))
    linear = DirectSystem(matrix).at(matrix, np.ones(2))
    assert linear.damped(0.0) is None
    assert linear.damped(1e-3) is not None


# --- fits


def test_sparse_fits_go_the_way_of_dense_ones(rng):
    start, data, _ = many_curves(rng)
    optimizer = LevenbergMarquardt()
    problems = [Residuals(curves, start, data, sparse=s) for s in (False, True, None)]
    states = [optimizer.init(p) for p in problems]
    assert isinstance(states[0].system, DenseSystem)
    assert all(isinstance(s.system, EliminatedSystem) for s in states[1:])
    whole = replace(states[1], system=DirectSystem(states[1].jacobian))
    problems, states = [*problems, problems[1]], [*states, whole]
    for _ in range(6):
        states = [optimizer.update(p, s) for p, s in zip(problems, states, strict=True)]
        for state in states[1:]:
            np.testing.assert_allclose(state.point, states[0].point, rtol=1e-7, atol=1e-8)
    assert len({s.evaluations for s in states}) == 1


@pytest.mark.parametrize("optimizer", BOTH, ids=lambda m: type(m).__name__)
def test_a_band_is_solved_as_a_whole(optimizer):
    """Discrete boundary value problem (Moré, Garbow & Hillstrom 1981, no. 28): as many residuals as parameters."""
    n = 300
    h = 1 / (n + 1)
    t = h * np.arange(1, n + 1)

    def boundary(x, t):
        left, right = np.append(0.0, x[:-1]), np.append(x[1:], 0.0)
        return 2 * x - left - right + h**2 * (x + t + 1) ** 3 / 2

    params, state = descend(Residuals(boundary, t * (t - 1), (t,)), optimizer, max_iterations=50)
    assert isinstance(state.system, DirectSystem)
    assert state.stopped
    found = root(lambda x: boundary(x, t), t * (t - 1), tol=1e-14)
    np.testing.assert_allclose(params, found.x, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("optimizer", BOTH, ids=lambda m: type(m).__name__)
def test_nested_parameters_and_integer_data(rng, optimizer):
    start, data, true = many_curves(rng)
    params, state = descend(Residuals(curves, start, data), optimizer)
    assert state.stopped
    assert params.keys() == true.keys()
    for name in ("a", "b"):
        np.testing.assert_allclose(params[name], true[name], atol=0.25)
    assert sp.issparse(state.jacobian)
    flat = np.concatenate([start[k] for k in ("a", "b", "common")])

    def theirs(v):
        return curves({"a": v[:30], "b": v[30:60], "common": v[60:]}, *data)

    found = least_squares(theirs, flat, method="lm", xtol=1e-14, ftol=1e-14, gtol=1e-14)
    assert state.value == pytest.approx(found.cost, rel=1e-10)


CERTIFIED = [  # NIST StRD nonlinear regression; BoxBOD and MGH10 from their first start defeat many programs
    (
        "BoxBOD",
        lambda b, x, y: b[0] * (1 - np.exp(-b[1] * x)) - y,
        ([1.0, 2, 3, 5, 7, 10], [109.0, 149, 149, 191, 213, 224]),
        [1.0, 1.0],
        [2.1380940889e02, 5.4723748542e-01],
    ),
    (
        "MGH09",
        lambda b, x, y: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]) - y,
        (
            [4.0, 2.0, 1.0, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
            [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
        ),
        [25.0, 39.0, 41.5, 39.0],
        [1.9280693458e-01, 1.9128232873e-01, 1.2305650693e-01, 1.3606233068e-01],
    ),
    (
        "MGH10",
        lambda b, x, y: b[0] * np.exp(b[1] / (x + b[2])) - y,
        (
            np.arange(50.0, 126, 5).tolist(),
            [34780.0, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
        ),
        [2.0, 400000.0, 25000.0],
        [5.6096364710e-03, 6.1813463463e03, 3.4522363462e02],
    ),
]


@pytest.mark.parametrize("case", CERTIFIED, ids=lambda c: c[0])
def test_certified_values(case):
    _, model, (x, y), start, certified = case
    problem = Residuals(model, np.array(start), (np.array(x), np.array(y)))
    params, state = descend(problem, LevenbergMarquardt())
    assert state.stopped
    np.testing.assert_allclose(params, certified, rtol=1e-8)


@pytest.mark.parametrize("optimizer", BOTH, ids=lambda m: type(m).__name__)
def test_valley(optimizer):
    params, state = descend(Residuals(valley, np.array([-1.2, 1.0])), optimizer)
    np.testing.assert_allclose(params, 1.0, rtol=1e-12)
    assert state.stopped == FLAT
    assert state.jacobians <= state.iterations + 1


@pytest.mark.parametrize("sparse", [False, True])
def test_points_without_a_value_are_no_steps(sparse):
    """Beyond 0 the logarithm is nan, and the first steps go there."""
    x = np.linspace(0.5, 2.0, 7)
    y = np.log(0.5 * x)
    problem = Residuals(lambda p, x, y: np.log(p["a"] * x) - y, {"a": np.array([40.0])}, (x, y), sparse=sparse)
    with np.errstate(invalid="ignore"):
        for optimizer in BOTH:
            params, _ = descend(problem, optimizer)
            np.testing.assert_allclose(params["a"], 0.5, rtol=1e-10)


def test_float32():
    x = np.linspace(0.0, 3.0, 20, dtype=np.float32)
    y = (2.0 * np.exp(-1.5 * x) + 0.5).astype(np.float32)
    start = {"a": np.float32(1.0), "b": np.ones((), np.float32), "c": np.zeros((), np.float32)}
    params, state = descend(Residuals(decays, start, (x, y)), LevenbergMarquardt(), max_iterations=50)
    assert state.point.dtype == state.residuals.dtype == np.float32
    assert state.stopped
    np.testing.assert_allclose([params["a"], params["b"], params["c"]], [2.0, 1.5, 0.5], rtol=1e-5)


def test_float32_parameters_of_float64_data():
    x = np.linspace(0.0, 3.0, 20)
    start = np.array([1.0, 1.0, 0.0], np.float32)
    for sparse in (False, True):
        problem = Residuals(
            lambda p, x, y: p[0] * np.exp(-p[1] * x) + p[2] - y, start, (x, 2 * np.exp(-1.5 * x) + 0.5), sparse=sparse
        )
        for optimizer in BOTH:
            params, state = descend(problem, optimizer, max_iterations=50)
            assert params.dtype == np.float32
            assert state.stopped
            np.testing.assert_allclose(params, [2.0, 1.5, 0.5], rtol=1e-5)
        params, state = descend(problem.problem, LBFGS(gradient_tolerance=1e-5))
        assert state.stopped
        np.testing.assert_allclose(params, [2.0, 1.5, 0.5], rtol=1e-3)


def test_sparse_systems_of_float32_are_solved_in_float64(rng):
    matrix = sp.csr_array(random_blocks(rng)).astype(np.float32)
    dense, scale, r = matrix.toarray().astype(float), np.ones(matrix.shape[1]), rng.normal(size=matrix.shape[0])
    for system in (sparse_system(matrix), DirectSystem(matrix), DenseSystem()):
        solver = system.at(matrix.toarray() if isinstance(system, DenseSystem) else matrix, scale).damped(0.1)
        assert solver is not None
        np.testing.assert_allclose(solver.step(r), expected_step(dense, r, 0.1, scale), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("optimizer", BOTH, ids=lambda m: type(m).__name__)
def test_at_the_optimum_there_is_nothing_to_do(optimizer):
    problem = Residuals(valley, np.ones(3))
    params, state = descend(problem, optimizer)
    np.testing.assert_array_equal(params, 1.0)
    assert (state.iterations, state.evaluations, state.jacobians, state.stopped) == (0, 1, 1, FLAT)
    assert optimizer.update(problem, state) is state


@pytest.mark.parametrize("optimizer", BOTH, ids=lambda m: type(m).__name__)
def test_reasons_to_stop(optimizer, rng):
    x = np.linspace(0.0, 3.0, 20)
    data = (x, 2 * np.exp(-1.5 * x) + 0.1 * rng.normal(size=20))
    problem = Residuals(decays, {"a": 1.0, "b": 1.0, "c": 0.0}, data)
    assert descend(problem, replace(optimizer, step_tolerance=1e3))[1].stopped == SHORT
    assert descend(problem, replace(optimizer, decrease_tolerance=2.0))[1].stopped == LEVEL
    _, state = descend(problem, replace(optimizer, gradient_tolerance=1e-3))
    assert state.stopped == FLAT
    _, state = descend(problem, optimizer, max_iterations=1)
    assert (state.iterations, state.stopped) == (1, "")


def test_scale_of_parameters_and_residuals_does_not_matter(rng):
    x = np.linspace(0.0, 3.0, 20)
    y = 2 * np.exp(-1.5 * x) + 0.1 * rng.normal(size=20)

    def scaled(p, x, y, unit, whole):
        return whole * (p[0] * unit * np.exp(-p[1] / unit * x) - y)

    ends = []
    for unit, whole in [(1.0, 1.0), (2.0**20, 2.0**-30)]:
        start = np.array([1.0 / unit, 1.0 * unit])
        params, state = descend(Residuals(scaled, start, (x, y, unit, whole)), LevenbergMarquardt())
        ends.append((params[0] * unit, params[1] / unit, state.iterations, state.evaluations))
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-9)


def test_residuals_may_be_a_scalar_or_a_container():
    params, _ = descend(Residuals(lambda x: x**2 - 2.0, 1.0), LevenbergMarquardt())
    assert params == pytest.approx(np.sqrt(2.0), rel=1e-12)
    problem = Residuals(lambda x: (x[0] - 1.0, [x * 2.0, x[:, None] + x]), np.array([1.0, 3.0]))
    np.testing.assert_array_equal(problem.residuals(problem.start), [0.0, 2.0, 6.0, 2.0, 4.0, 4.0, 6.0])
    assert problem.jacobian(problem.start).shape == (7, 2)


def test_the_same_as_a_problem_for_other_minimisers():
    residuals = Residuals(valley, np.array([-1.2, 1.0]))
    params, _ = descend(residuals.problem, LBFGS())
    np.testing.assert_allclose(params, 1.0, atol=1e-5)
    first = LevenbergMarquardt().init(residuals)
    value, gradient = residuals.problem.value_and_gradient(residuals.start)
    assert value == pytest.approx(first.value, rel=1e-14)
    np.testing.assert_allclose(gradient, first.gradient, rtol=1e-13)


def test_a_jacobian_is_sparse_where_that_is_worth_it():
    wide = np.ones(80)
    banded = Residuals(lambda x: x[1:] * x[:-1], wide)
    assert sp.issparse(banded.jacobian(wide))
    full = Residuals(lambda x: np.outer(x, x) @ x, wide)
    assert isinstance(full.jacobian(wide), np.ndarray)
    assert isinstance(Residuals(lambda x: x[1:] * x[:-1], wide, sparse=False).jacobian(wide), np.ndarray)
    small = Residuals(lambda x: x[1:] * x[:-1], np.ones(4))
    assert isinstance(small.jacobian(np.ones(4)), np.ndarray)


def test_errors():
    with pytest.raises(DtypeError, match=r"least squares: found params\['n'\], an array of dtype int64; wanted"):
        Residuals(lambda p: p["n"] * 1.0, {"n": np.arange(3)})
    with pytest.raises(ShapeError, match="least squares: found a function that returns no array; wanted an array"):
        LevenbergMarquardt().init(Residuals(lambda p: (), np.ones(2)))
    with pytest.raises(NonFiniteError, match="log"):
        LevenbergMarquardt().init(Residuals(np.log, np.zeros(2)))
    with pytest.raises(SettingError, match="LevenbergMarquardt: found damping=0; wanted a number above 0"):
        LevenbergMarquardt(damping=0)
    with pytest.raises(SettingError, match="GaussNewton: found sufficient=1; wanted a number above 0 and below 1"):
        GaussNewton(sufficient=1)
