"""Linear algebra where it is delicate: what is equal, singular or misused, and what is computed once."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest
import scipy.linalg

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import trace
from tapegrad.errors import LinearAlgebraError, ShapeError, UnsupportedError
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.scipy import linalg
from tapegrad.tape import Tape
from tests.functions.linalg import well
from tests.helpers import gradients_only, pullback, pushforward, run

Function = Callable[..., Any]


def tape_of(f: Function, *arguments: Any) -> Tape:
    return trace(f, bind(arguments, tuple(range(len(arguments)))), scalar=False).tape


def curvature(f: Function, x: Any, direction: Any) -> Any:
    """The second derivative of a scalar function, times a direction."""
    first = gradients_only(pullback(tape_of(f, x)), 1)
    return run(pushforward(first), [x, np.array(1.0), direction])[1]


def bent(f: Function, x: Any, direction: Any) -> Any:
    """The same by JAX."""
    with jax.enable_x64(True):
        return np.asarray(jax.jvp(jax.grad(f), (jnp.asarray(x),), (jnp.asarray(direction),))[1])


def rotation(n: int, rng: np.random.Generator) -> Any:
    return np.linalg.qr(rng.normal(size=(n, n)))[0]


def repeated(values: Any, rng: np.random.Generator) -> Any:
    """A symmetric matrix with given eigenvalues, in a basis of no special directions."""
    q = rotation(len(values), rng)
    a = q * np.asarray(values) @ q.T
    return (a + a.T) / 2


# --- equal eigenvalues and singular values


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0), (1.0, 1.0, 3.0), (2.0, 0.5, 0.5), (0.0, 0.0, 4.0)])
@pytest.mark.parametrize("name", ["eigvalsh", "eigh"])
def test_functions_of_eigenvalues_do_not_mind_equal_ones(name: str, values: Any, rng: np.random.Generator) -> None:
    def f(a: Any) -> Any:
        w = np.linalg.eigvalsh(a) if name == "eigvalsh" else np.linalg.eigh(a)[0]
        return np.sum(np.exp(w)) + np.sum(w**2)

    for a in (np.diag(np.sort(values)), repeated(values, rng)):
        s = scipy.linalg.expm(a) + 2 * a  # the gradient to a symmetric matrix
        wanted = np.tril(s) + np.tril(s, -1)
        np.testing.assert_allclose(tg.grad(f)(a), wanted, rtol=1e-12, atol=1e-12)


def test_functions_of_singular_values_do_not_mind_equal_ones(rng: np.random.Generator) -> None:
    for values in ((2.0, 2.0, 2.0), (1.0, 1.0, 3.0), (0.0, 0.0, 1.0)):
        u, v = rotation(4, rng)[:, :3], rotation(3, rng)
        a = u * np.array(values) @ v.T
        for full in (True, False):
            found = tg.grad(lambda a, full=full: np.sum(np.linalg.svd(a, full)[1] ** 4))(a)
            np.testing.assert_allclose(found, 4 * a @ a.T @ a, rtol=1e-10, atol=1e-12)
        found = tg.grad(lambda a: np.sum(np.linalg.svdvals(a) ** 4))(a)
        np.testing.assert_allclose(found, 4 * a @ a.T @ a, rtol=1e-10, atol=1e-12)


def test_vectors_of_distinct_eigenvalues_do_not_mind_equal_others(rng: np.random.Generator) -> None:
    a = repeated([1.0, 1.0, 1.0, 4.0], rng)

    def f(a: Any) -> Any:
        v = np.linalg.eigh((a + a.T) / 2)[1]
        return np.sum(v[0, -1] * v[1, -1])

    tg.check_grad(f, a)
    assert np.isfinite(tg.grad(f)(a)).all()


def test_vectors_of_equal_values_have_no_derivative(rng: np.random.Generator) -> None:
    """The derivative depends on a choice among them: nan says so, where a number would be wrong."""
    weights = np.cos(np.arange(9.0)).reshape(3, 3)
    for a in (np.eye(3), repeated([1.0, 1.0, 3.0], rng)):
        assert np.isnan(tg.grad(lambda a: np.sum(weights * np.linalg.eigh(a)[1]))(a)).any()
        assert np.isnan(tg.grad(lambda a: np.sum(weights * np.linalg.svd(a)[0]))(a)).any()

        def root(a: Any) -> Any:  # it has a derivative, but not by way of the vectors
            w, v = np.linalg.eigh(a)
            return np.sum(((v * np.sqrt(w)) @ v.T)[0])

        assert not np.isfinite(tg.grad(root)(a)).all()


def test_second_derivatives_of_functions_of_distinct_eigenvalues() -> None:
    a, t = well(3, 3), well(3, 3, seed=1)

    def f(np: Any) -> Function:
        return lambda x: np.sum(np.exp(np.linalg.eigvalsh(x + x.T) / 4))

    np.testing.assert_allclose(curvature(f(np), a, t), bent(f(jnp), a, t), rtol=1e-10)


# --- determinants of singular matrices


def determinant(np: Any, a: Any) -> Any:
    """By permutations, so that derivatives of any order are those of a polynomial."""
    n = a.shape[-1]
    total = 0.0
    for order in permutations(range(n)):
        sign = (-1) ** sum(order[i] > order[j] for i in range(n) for j in range(i, n))
        term = sign
        for i, j in enumerate(order):
            term = term * a[i, j]
        total = total + term
    return total


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_det_of_singular_matrices(rank: int, rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, rank)) @ rng.normal(size=(rank, 3))
    t = rng.normal(size=(3, 3))
    with jax.enable_x64(True):
        gradient = np.asarray(jax.grad(lambda a: determinant(jnp, a))(jnp.asarray(a)))
    np.testing.assert_allclose(tg.grad(np.linalg.det)(a), gradient, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        curvature(np.linalg.det, a, t), bent(lambda a: determinant(jnp, a), a, t), rtol=1e-11, atol=1e-13
    )


def test_det_of_singular_matrices_in_a_batch() -> None:
    a = np.stack([np.ones((4, 4)), np.diag([1.0, 2.0, 3.0, 0.0]), np.diag([1.0, -2.0, 3.0, 4.0])])
    found = tg.grad(lambda a: np.sum(np.linalg.det(a) * np.array([1.0, 2.0, 3.0])))(a)
    wanted = [np.zeros((4, 4)), 2 * np.diag([0.0, 0.0, 0.0, 6.0]), 3 * np.diag([-24.0, 12.0, -8.0, -6.0])]
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def thrice(f: Function, x: Any, t: Any) -> Any:
    """The third derivative along a direction, by forward sweeps alone."""
    tape = tape_of(f, x)
    for _ in range(3):
        tape = pushforward(gradients_only(tape, len(tape.dependents) - 1))
    return run(tape, [x, t, t, t])[1]


def test_third_derivatives_of_det() -> None:
    """Of 3 x 3 matrices it is 6 times the determinant of the direction; singular ones have no rule for it."""
    a, t = well(3, 3), well(3, 3, seed=1)
    assert thrice(np.linalg.det, a, t) == pytest.approx(6 * np.linalg.det(t), rel=1e-11)
    first = gradients_only(pullback(tape_of(np.linalg.det, a)), 1)
    third = pushforward(gradients_only(pushforward(first), 1))
    assert np.sum(run(third, [a, np.array(1.0), t, t])[1] * t) == pytest.approx(6 * np.linalg.det(t), rel=1e-11)
    with pytest.raises(LinearAlgebraError, match="inv: found Singular matrix"):
        thrice(np.linalg.det, np.ones((3, 3)), t)


# --- norms


@pytest.mark.parametrize("order", [None, 2, 3, 1.5, 1, np.inf])
@pytest.mark.parametrize("shape", [(3,), (2, 3)])
def test_the_norm_of_a_zero_vector_has_derivative_0(order: Any, shape: tuple[int, ...]) -> None:
    f = tg.value_and_grad(lambda x: np.sum(np.linalg.norm(x, order, axis=-1)))
    value, gradient = f(np.zeros(shape))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros(shape))


def test_the_norm_of_a_zero_matrix_has_derivative_0() -> None:
    for order in (None, "fro"):
        np.testing.assert_array_equal(
            tg.grad(lambda x, o=order: np.linalg.norm(x, o))(np.zeros((2, 3))), np.zeros((2, 3))
        )


def test_zero_rows_among_others() -> None:
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    found = tg.grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(x)
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, 0.0]])
    np.testing.assert_allclose(
        curvature(lambda x: np.sum(np.linalg.norm(x, axis=1)), x, np.ones((2, 2)))[0],
        [4 / 125 * 1, -3 / 125],
        atol=1e-15,
    )


def test_norms_of_nothing() -> None:
    assert tg.value_and_grad(lambda x: np.linalg.norm(x, np.inf))(np.zeros(0))[0] == 0
    assert tg.value_and_grad(np.linalg.norm)(np.zeros((0, 2)))[0] == 0


# --- ranks


def test_the_pseudo_inverse_of_a_matrix_of_low_rank(rng: np.random.Generator) -> None:
    left, right = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    weights = rng.normal(size=(3, 4))

    def f(left: Any, right: Any) -> Any:  # of rank 2 whatever its factors are
        return np.sum(weights * np.linalg.pinv(left @ right, 1e-10) ** 2)

    tg.check_grad(f, left, right, argnums=(0, 1))


def test_another_rank_is_recorded_anew() -> None:
    f = tg.value_and_grad(lambda a: np.sum(np.linalg.lstsq(a, np.arange(3.0))[1]) + np.linalg.lstsq(a, np.ones(3))[2])
    full = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    low = np.array([[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    for a in (full, low, full):
        wanted = np.sum(np.linalg.lstsq(a, np.arange(3.0))[1]) + np.linalg.lstsq(a, np.ones(3))[2]
        assert f(a)[0] == pytest.approx(wanted)


def test_a_rank_can_decide_a_branch() -> None:
    f = tg.value_and_grad(lambda a: np.sum(a) if np.linalg.matrix_rank(a) == 2 else np.sum(a * a))
    assert f(np.eye(2))[0] == 2
    assert f(2 * np.ones((2, 2)))[0] == 16
    assert f(3 * np.eye(2))[0] == 6


# --- misuse


def line(error: pytest.ExceptionInfo[Any]) -> bool:
    return "test_linalg.py:" in str(error.value)


SINGULAR = {
    "inv": np.linalg.inv,
    "solve": lambda a: np.linalg.solve(a, np.ones(2)),
    "solve of a batch": lambda a: np.linalg.solve(np.stack([a, a]), np.ones(2)),
    "slogdet": lambda a: np.linalg.slogdet(a)[1],
    "solve_triangular": lambda a: linalg.solve_triangular(a - 1, np.ones(2)),
    "cond": lambda a: np.linalg.cond(a, 1),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_a_singular_matrix_names_the_line(name: str) -> None:
    f = tg.value_and_grad(lambda a: np.sum(SINGULAR[name](a)))
    good = np.array([[2.0, 3.0], [1.0, 2.0]])
    for a in (np.ones((2, 2)), good, np.ones((2, 2))):
        if a is good:
            assert np.isfinite(f(a)[1]).all()
            continue
        with pytest.raises(LinearAlgebraError, match="ingular matrix") as error:
            f(a)
        assert line(error)


def test_a_singular_constant_names_the_line() -> None:
    with pytest.raises(LinearAlgebraError, match=r"lu: found Singular matrix.*test_linalg\.py:"):
        tg.grad(lambda x: np.sum(np.linalg.solve(np.ones((2, 2)), x)))(np.ones(2))


def test_a_singular_matrix_of_which_a_value_is_asked_for_names_the_line() -> None:
    with pytest.raises(LinearAlgebraError, match=r"inv: found Singular matrix.*test_linalg\.py:"):
        tg.grad(lambda a: np.sum(a) if np.linalg.inv(a)[0, 0] > 0 else np.sum(a * a))(np.ones((2, 2)))


def test_a_matrix_that_is_not_positive_definite_names_the_line() -> None:
    for factor in (np.linalg.cholesky, lambda a: linalg.cho_factor(a)[0]):
        with pytest.raises(LinearAlgebraError, match=r"cholesky: found Matrix is not positive definite") as error:
            tg.grad(lambda a, factor=factor: np.sum(factor(a)))(-np.eye(2))
        assert line(error)
        assert isinstance(error.value, np.linalg.LinAlgError)


def test_nan_does_not_converge() -> None:
    with pytest.raises(LinearAlgebraError, match="converge"):
        tg.grad(lambda a: np.linalg.svdvals(a)[0])(np.full((2, 2), np.nan))


SHAPES: dict[str, tuple[Function, tuple[str, ...]]] = {
    "inv": (np.linalg.inv, ("linalg.inv", "(2, 3)", "square")),
    "det": (np.linalg.det, ("linalg.det", "(2, 3)", "square")),
    "cholesky": (np.linalg.cholesky, ("linalg.cholesky", "square")),
    "eigh": (lambda a: np.linalg.eigh(a)[0], ("linalg.eigh", "square")),
    "svd": (lambda a: np.linalg.svd(a[0])[1], ("linalg.svd", "(3,)", "two axes")),
    "solve": (lambda a: np.linalg.solve(a @ a.T, a.T), ("linalg.solve", "(3, 2)", "2 rows")),
    "solve a number": (lambda a: np.linalg.solve(a @ a.T, a[0, 0]), ("linalg.solve", "2 rows")),
    "matrix_power": (lambda a: np.linalg.matrix_power(a, 2), ("linalg.matrix_power", "square")),
    "tensorinv": (lambda a: np.linalg.tensorinv(a, 1), ("linalg.tensorinv", "ind=1")),
    "tensorsolve": (lambda a: np.linalg.tensorsolve(a, a[0]), ("linalg.tensorsolve",)),
    "lstsq": (lambda a: np.linalg.lstsq(a, a[0])[0], ("linalg.lstsq", "as many rows")),
    "multi_dot": (lambda a: np.linalg.multi_dot([a, a, a]), ("linalg.multi_dot", "(2, 3) and (2, 3)")),
    "norm": (lambda a: np.linalg.norm(a[None], 2), ("linalg.norm", "one axis or two")),
    "cross": (lambda a: np.linalg.cross(a.T, a.T), ("linalg.cross", "three")),
    "outer": (lambda a: np.linalg.outer(a, a), ("linalg.outer", "two vectors")),
    "vecdot": (lambda a: np.vecdot(a, a[0, :2]), ("vecdot", "one length")),
    "trace": (lambda a: np.linalg.trace(a[0]), ("linalg.trace", "two axes")),
    "cho_solve": (lambda a: linalg.cho_solve((a @ a.T, True), a[0]), ("cho_solve", "2 rows")),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_that_do_not_fit(name: str) -> None:
    f, words = SHAPES[name]
    with pytest.raises(ShapeError) as error:
        tg.value_and_grad(lambda a: np.sum(f(a)))(np.ones((2, 3)))
    assert all(word in str(error.value) for word in words), error.value
    assert line(error)


REFUSED: dict[str, tuple[Function, tuple[str, ...]]] = {
    "eig": (lambda a: np.linalg.eig(a)[0], ("linalg.eig:", "complex", "numpy.linalg.eigh")),
    "eigvals": (np.linalg.eigvals, ("linalg.eigvals:", "complex", "numpy.linalg.eigvalsh")),
    "qr": (lambda a: np.linalg.qr(a, mode="raw")[0], ("mode='raw'",)),
    "eigh": (lambda a: np.linalg.eigh(a, UPLO="X")[0], ("UPLO='X'",)),
    "pinv": (lambda a: np.linalg.pinv(a, np.array([1e-3])), ("linalg.pinv", "plain number")),
    "norm": (lambda a: np.linalg.norm(a, 3), ("ord=3 for matrices",)),
    "vector norm": (lambda a: np.linalg.norm(a[0], "fro"), ("ord='fro' for vectors",)),
    "solve_triangular": (lambda a: linalg.solve_triangular(a, a, trans=3), ("trans=3",)),
    "scipy solve": (lambda a: linalg.solve(a, a, assume_a="small"), ("assume_a='small'", "positive definite")),
    "svd": (lambda a: np.linalg.svd(a[:, :1])[0], ("complement", "full_matrices=False")),
    "svd wide": (lambda a: np.linalg.svd(a[:1])[2], ("complement", "not unique")),
    "complete qr": (lambda a: np.linalg.qr(a[:, :1], mode="complete")[0], ("complement", "mode='reduced'")),
    "axes": (lambda a: np.matvec(a, a[0], axes=[(0, 1), 0, 0]), ("matvec", "axes=")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    f, words = REFUSED[name]
    with pytest.raises(UnsupportedError) as error:
        tg.value_and_grad(lambda a: np.sum(f(a)))(np.eye(2))
    assert all(word in str(error.value) for word in words), error.value
    assert line(error)


@pytest.mark.parametrize("make", [np.linalg.svd, lambda a: np.linalg.qr(a, mode="complete")])
def test_vectors_without_a_derivative_have_values(make: Function) -> None:
    a = well(4, 2)
    for found, wanted in zip(tg.record(lambda a: list(make(a)), a)(a), make(a), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-14)


# --- what is computed once


def count(tape: Tape, name: str) -> int:
    return [OPS[code].name for code in tape.opcodes.tolist()].count(name)


def test_a_matrix_is_factored_once() -> None:
    """Solutions, their gradient and their second derivative share one factorization."""
    a, b = well(3, 3), np.ones(3)
    tape = tape_of(lambda a, b: np.linalg.solve(a, b) @ np.linalg.solve(a, 2 * b), a, b)
    full = optimize(adjoint(optimize(tape)))
    assert count(full, "lu") == 1
    assert count(optimize(adjoint(gradients_only(full, 1), seed_inputs=True)), "lu") == 1


def test_a_process_is_factored_once() -> None:
    tape = tape_of(likelihood(np, linalg.cho_solve), *PROCESS)
    assert count(optimize(adjoint(optimize(tape))), "cholesky") == 1


# --- a Gaussian process

X = np.linspace(0.0, 3.0, 12)
Y = np.sin(2 * X) + 0.1 * np.cos(17 * X)
PROCESS = (np.array(0.7), np.array(1.3), np.array(0.2))


def likelihood(np: Any, cho_solve: Function) -> Function:
    """The logarithm of the marginal likelihood (Rasmussen & Williams, Gaussian Processes, algorithm 2.1)."""

    def f(length: Any, scale: Any, noise: Any) -> Any:
        distances = (X[:, None] - X) / length
        k = scale**2 * np.exp(-0.5 * distances**2) + noise**2 * np.eye(len(X))
        factor = np.linalg.cholesky(k)
        return -0.5 * Y @ cho_solve((factor, True), Y) - np.sum(np.log(np.linalg.diagonal(factor)))

    return f


def test_a_gaussian_process() -> None:
    value, gradient = tg.value_and_grad(likelihood(np, linalg.cho_solve), (0, 1, 2))(*PROCESS)
    with jax.enable_x64(True):
        reference = jax.value_and_grad(likelihood(jnp, jax.scipy.linalg.cho_solve), (0, 1, 2))
        wanted, gradients = reference(*map(jnp.asarray, PROCESS))
    np.testing.assert_allclose(value, wanted, rtol=1e-12)
    np.testing.assert_allclose(gradient, gradients, rtol=1e-9)


# --- scipy.linalg

A, B, SPD = well(3, 3), np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.1]]), well(3, 3) @ well(3, 3).T
SCIPY: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "solve": (lambda m, a, b: m.solve(a, b), (A, B)),
    "solve vector": (lambda m, a, b: m.solve(a, b, transposed=True), (A, B[:, 0])),
    "solve positive": (lambda m, a, b: m.solve(a, b, assume_a="pos"), (SPD, B)),
    "solve positive lower": (lambda m, a, b: m.solve(a, b, lower=True, assume_a="positive definite"), (SPD, B)),
    "solve symmetric": (lambda m, a, b: m.solve(a, b, assume_a="sym"), (SPD, B)),
    "solve symmetric lower": (lambda m, a, b: m.solve(a, b, lower=True, assume_a="sym"), (SPD, B)),
    "solve upper": (lambda m, a, b: m.solve(a, b, assume_a="upper triangular"), (A, B)),
    "solve_triangular": (lambda m, a, b: m.solve_triangular(a, b), (A, B)),
    "solve_triangular lower": (lambda m, a, b: m.solve_triangular(a, b, lower=True, trans="T"), (A, B[:, 0])),
    "solve_triangular unit": (lambda m, a, b: m.solve_triangular(a, b, 1, unit_diagonal=True), (A, B)),
    "cho_solve": (lambda m, a, b: m.cho_solve(m.cho_factor(a), b), (SPD, B)),
    "cho_solve lower": (lambda m, a, b: m.cho_solve(m.cho_factor(a, lower=True), b), (SPD, B[:, 1])),
    "cholesky": (lambda m, a: m.cholesky(a), (SPD,)),
    "cholesky lower": (lambda m, a: m.cholesky(a, lower=True), (SPD,)),
    "inv": (lambda m, a: m.inv(a), (A,)),
    "det": (lambda m, a: m.det(a), (A,)),
    "expm": (lambda m, a: m.expm(a), (A / 3,)),
    "block_diag": (lambda m, a, b: m.block_diag(a, b, b[0], 2.0), (A, B)),
    "norm": (lambda m, a: m.norm(a, "fro") + m.norm(a[0], 1), (A,)),
    "toeplitz": (lambda m, a, b: m.toeplitz(a[0], b[1]) @ m.toeplitz(b[0])[0], (A, B)),
}


@pytest.mark.parametrize("name", SCIPY)
def test_scipy(name: str) -> None:
    """The value is SciPy's; the gradient is that of SciPy's function by finite differences."""
    call, arguments = SCIPY[name]
    wanted = call(scipy.linalg, *arguments)
    weights = np.cos(np.arange(np.size(wanted))).reshape(np.shape(wanted))

    def f(*arguments: Any) -> Any:
        return np.sum(weights * call(linalg, *arguments))

    value = tg.record(lambda *a: call(linalg, *a), *arguments, argnums=tuple(range(len(arguments))))(*arguments)
    np.testing.assert_allclose(value, wanted, rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(call(linalg, *arguments), wanted)
    tg.check_grad(f, *arguments, argnums=tuple(range(len(arguments))))


def test_batches_where_scipy_has_loops() -> None:
    a, b = well(2, 3, 3), np.stack([B, B])
    found = tg.grad(lambda a: np.sum(linalg.solve_triangular(a, b) ** 2))(a)
    for k in range(2):
        single = tg.grad(lambda a, k=k: np.sum(linalg.solve_triangular(a, b[k]) ** 2))(a[k])
        np.testing.assert_allclose(found[k], single, rtol=1e-12)


def test_what_is_not_here_is_scipys() -> None:
    assert linalg.hilbert is scipy.linalg.hilbert


# --- names


def test_functions_within_modules_are_objects_of_their_own() -> None:
    for module, name in ((tnp.linalg, "solve"), (tnp.fft, "rfft"), (tnp, "sum")):
        function = getattr(module, name)
        assert function.__module__ == module.__name__
        assert pickle.loads(pickle.dumps(function)) is function
    assert tnp.linalg.LinAlgError is np.linalg.LinAlgError
    assert tnp.fft.fftfreq is np.fft.fftfreq


def test_lists_of_variables() -> None:
    def f(x: Any) -> Any:
        return tnp.linalg.solve([[x[0], 1.0], [2.0, x[1]]], [1.0, x[0]])[0]

    x = np.array([3.0, 4.0])
    assert tg.value_and_grad(f)(x)[0] == pytest.approx(np.linalg.solve([[3.0, 1.0], [2.0, 4.0]], [1.0, 3.0])[0])
    tg.check_grad(f, x)


def test_integers_are_floats_there() -> None:
    a = np.array([[2, 1], [1, 3]])
    f = tg.record(lambda a, x: np.linalg.inv(a) @ x + np.linalg.norm(a), a, np.ones(2), argnums=1)
    np.testing.assert_allclose(f(a, np.ones(2)), np.linalg.inv(a) @ np.ones(2) + np.linalg.norm(a))


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.sum(np.linalg.solve(a, np.ones(3))),
        lambda a: np.sum(linalg.solve_triangular(a, np.ones((3, 2)))),
        lambda a: np.linalg.det(a) + np.sum(np.linalg.eigh(a)[1]),
        lambda a: np.sum(linalg.expm(a)) + np.linalg.norm(a, 2),
    ],
)
def test_single_precision(f: Function) -> None:
    a = (well(3, 3) / 2).astype(np.float32)
    value, gradient = tg.value_and_grad(f)(a)
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, tg.grad(f)(a.astype(np.float64)), rtol=1e-4, atol=1e-4)
