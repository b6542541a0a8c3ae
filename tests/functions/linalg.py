"""numpy.linalg, and products of NumPy's that are gufuncs."""

from __future__ import annotations

from typing import Any, Final

import numpy

from tests.functions.case import Call, uniform


def well(*shape: int, seed: int = 0) -> Any:
    """Matrices with singular values away from 0 and from each other."""
    found = uniform(*shape, seed=seed, low=-0.5, high=0.5)
    k = min(shape[-2:])
    found[..., range(k), range(k)] += numpy.linspace(1.5, 3.5, k)
    return found


def symmetric(np: Any, x: Any) -> Any:
    """A symmetric matrix: so JAX, which reads both triangles, and NumPy, which reads one, take the same from it."""
    return (x + np.swapaxes(x, -1, -2)) / 2


def positive(np: Any, x: Any) -> Any:
    """A positive definite matrix."""
    return np.matmul(x, np.swapaxes(x, -1, -2))


BATCH: Final = (2, 3, 3)
RANDOM: Final = uniform(3, 3, seed=4)
VECTOR: Final = uniform(3, seed=5)
INVERSES: Final = (
    Call("numpy.linalg.inv", lambda np, a: np.linalg.inv(a), (well(3, 3),)),
    Call("numpy.linalg.inv", lambda np, a: np.linalg.inv(a), (well(*BATCH),)),
    Call("numpy.linalg.pinv", lambda np, a: np.linalg.pinv(a), (well(3, 3),)),
    Call("numpy.linalg.pinv", lambda np, a: np.linalg.pinv(a), (well(4, 2),)),
    Call("numpy.linalg.pinv", lambda np, a: np.linalg.pinv(a, rtol=None), (well(2, 2, 3),)),
    Call("numpy.linalg.pinv", lambda np, a: np.linalg.pinv(a, 1e-9, hermitian=True), (well(3, 3),), jax=False),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(3, 3), VECTOR)),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(3, 3), uniform(3, 2))),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(3, 3), uniform(2, 1, 3, 2)), jax=False),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(*BATCH), uniform(*BATCH))),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(*BATCH), uniform(3, 1)), jax=False),
    Call("numpy.linalg.solve", lambda np, a, b: np.linalg.solve(a, b), (well(*BATCH), VECTOR), jax=False),
    Call("numpy.linalg.solve", lambda np, b: np.linalg.solve(well(3, 3), b), (VECTOR,)),
    Call("numpy.linalg.tensorinv", lambda np, a: np.linalg.tensorinv(a.reshape(2, 3, 6), 2), (well(6, 6),)),
    Call("numpy.linalg.tensorinv", lambda np, a: np.linalg.tensorinv(a.reshape(4, 2, 2), ind=1), (well(4, 4),)),
    Call(
        "numpy.linalg.tensorsolve",
        lambda np, a, b: np.linalg.tensorsolve(a.reshape(2, 3, 3, 2), b),
        (well(6, 6), uniform(2, 3)),
    ),
    Call(
        "numpy.linalg.tensorsolve",
        lambda np, a, b: np.linalg.tensorsolve(a.reshape(2, 4, 2), b, axes=(0,)),
        (well(4, 4), uniform(2, 4)[0]),
        jax=False,
    ),
    Call("numpy.linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b)[0], (well(5, 3), uniform(5))),
    Call("numpy.linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b)[:2], (well(5, 3), uniform(5, 2)), jax=False),
    Call("numpy.linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b, 1e-9)[0], (well(2, 4), uniform(2))),
    Call("numpy.linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b), (well(3, 3), uniform(3)), smooth=False),
    Call("numpy.linalg.lstsq", lambda np, a, b: np.linalg.lstsq(a, b), (well(4, 2), uniform(4, 2)), smooth=False),
    Call("numpy.linalg.matrix_power", lambda np, a: np.linalg.matrix_power(a, 5), (well(3, 3),)),
    Call("numpy.linalg.matrix_power", lambda np, a: np.linalg.matrix_power(a, -2), (well(*BATCH),)),
    Call("numpy.linalg.matrix_power", lambda np, a: a + np.linalg.matrix_power(a, 0), (well(*BATCH),)),
    Call("numpy.linalg.matrix_power", lambda np, a: np.linalg.matrix_power(a, 1), (well(2, 2),)),
)
DETERMINANTS: Final = (
    Call("numpy.linalg.det", lambda np, a: np.linalg.det(a), (well(3, 3),)),
    Call("numpy.linalg.det", lambda np, a: np.linalg.det(a), (well(*BATCH),)),
    Call("numpy.linalg.det", lambda np, a: np.linalg.det(a), (-well(4, 4),)),
    Call("numpy.linalg.slogdet", lambda np, a: np.linalg.slogdet(a), (well(3, 3),)),
    Call("numpy.linalg.slogdet", lambda np, a: np.linalg.slogdet(-a).logabsdet, (well(*BATCH),)),
    Call("numpy.linalg.slogdet", lambda np, a: np.linalg.slogdet(a).sign, (-well(*BATCH),), smooth=False),
)
DECOMPOSITIONS: Final = (
    Call("numpy.linalg.cholesky", lambda np, x: np.linalg.cholesky(positive(np, x)), (well(3, 3),)),
    Call("numpy.linalg.cholesky", lambda np, x: np.linalg.cholesky(positive(np, x)), (well(*BATCH),)),
    Call("numpy.linalg.cholesky", lambda np, x: np.linalg.cholesky(positive(np, x), upper=True), (well(3, 3),)),
    # What is read is one triangle, and the gradient is to that.
    Call("numpy.linalg.cholesky", lambda np, a: np.linalg.cholesky(a), (well(*BATCH),), jax=False),
    Call("numpy.linalg.cholesky", lambda np, a: np.linalg.cholesky(a, upper=True), (well(3, 3),), jax=False),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a), (well(3, 3),)),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a), (well(4, 2),)),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a), (well(2, 4),), jax=False),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a).Q, (well(2, 3, 2),)),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a, mode="r"), (well(2, 3, 2),)),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a, mode="complete")[1], (well(4, 2),), jax=False),
    Call("numpy.linalg.qr", lambda np, a: np.linalg.qr(a, mode="complete"), (well(2, 4, 2),), smooth=False),
    Call("numpy.linalg.eigh", lambda np, x: np.linalg.eigh(symmetric(np, x)), (well(3, 3),)),
    Call("numpy.linalg.eigh", lambda np, x: np.linalg.eigh(symmetric(np, x)).eigenvectors, (well(*BATCH),)),
    Call("numpy.linalg.eigh", lambda np, a: np.linalg.eigh(a), (well(3, 3),), jax=False),
    Call("numpy.linalg.eigh", lambda np, a: np.linalg.eigh(a, UPLO="U"), (well(3, 3),), jax=False),
    Call("numpy.linalg.eigvalsh", lambda np, x: np.linalg.eigvalsh(symmetric(np, x)), (well(*BATCH),)),
    Call("numpy.linalg.eigvalsh", lambda np, a: np.linalg.eigvalsh(a, "U"), (well(3, 3),), jax=False),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a), (well(3, 3),)),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a, full_matrices=False), (well(4, 2),)),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a, False), (well(2, 2, 3),)),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a), (well(2, 4, 2),), smooth=False),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a), (well(2, 4),), smooth=False),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a)[1:], (well(4, 2),), jax=False),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a).S, (well(2, 4),), jax=False),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a, compute_uv=False), (well(2, 3, 2),)),
    Call("numpy.linalg.svd", lambda np, a: np.linalg.svd(a, hermitian=True), (-well(3, 3),), jax=False),
    Call(
        "numpy.linalg.svd",
        lambda np, a: np.linalg.svd(a - 2.2 * np.eye(3), True, False, True),
        (well(*BATCH),),
        jax=False,
    ),
    Call("numpy.linalg.svdvals", lambda np, a: np.linalg.svdvals(a), (well(3, 2),)),
)
NORMS: Final = (
    *(
        Call("numpy.linalg.norm", lambda np, x, o=order: np.linalg.norm(x, o), (uniform(5),), jax=order != 0)
        for order in (None, 0, 1, 2, 3, 2.5, -1, 0.5, numpy.inf, -numpy.inf)
    ),
    *(
        Call("numpy.linalg.norm", lambda np, x, o=order: np.linalg.norm(x, o), (uniform(3, 4),))
        for order in (None, "fro", "nuc", 1, -1, 2, -2, numpy.inf, -numpy.inf)
    ),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x), (uniform(2, 3, 2),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, keepdims=True), (uniform(2, 3, 2),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, axis=-1), (uniform(2, 3, 2),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, 3, axis=0, keepdims=True), (uniform(2, 3, 2),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, "nuc", axis=(0, 2)), (uniform(2, 3, 2),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, 1, axis=(2, 0), keepdims=True), (uniform(2, 3, 3),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, -numpy.inf, axis=(2, 0)), (uniform(2, 3, 3),)),
    Call("numpy.linalg.norm", lambda np, x: np.linalg.norm(x, axis=(1, 2)), (uniform(2, 3, 3),)),
    Call("numpy.linalg.vector_norm", lambda np, x: np.linalg.vector_norm(x), (uniform(2, 3),)),
    Call("numpy.linalg.vector_norm", lambda np, x: np.linalg.vector_norm(x, axis=1, ord=1), (uniform(2, 3),)),
    Call(
        "numpy.linalg.vector_norm",
        lambda np, x: np.linalg.vector_norm(x, axis=(2, 0), keepdims=True, ord=3),
        (uniform(2, 3, 2),),
    ),
    Call("numpy.linalg.matrix_norm", lambda np, x: np.linalg.matrix_norm(x), (uniform(2, 3, 2),)),
    Call("numpy.linalg.matrix_norm", lambda np, x: np.linalg.matrix_norm(x, ord=2, keepdims=True), (uniform(2, 3, 2),)),
    Call("numpy.linalg.cond", lambda np, x: np.linalg.cond(x), (well(3, 3),)),
    Call("numpy.linalg.cond", lambda np, x: np.linalg.cond(x, -2), (well(2, 3, 2),)),
    Call("numpy.linalg.cond", lambda np, x: np.linalg.cond(x, 1), (well(*BATCH),)),
    Call("numpy.linalg.cond", lambda np, x: np.linalg.cond(x, "fro"), (well(3, 3),)),
    Call(
        "numpy.linalg.matrix_rank", lambda np, x: np.linalg.matrix_rank(x[:, :2] @ x[:2]), (well(3, 3),), smooth=False
    ),
    Call("numpy.linalg.matrix_rank", lambda np, x: np.linalg.matrix_rank(x, 2.0), (well(2, 3, 4),), smooth=False),
    Call("numpy.linalg.matrix_rank", lambda np, x: np.linalg.matrix_rank(x, rtol=0.5), (well(2, 3, 4),), smooth=False),
    Call("numpy.linalg.matrix_rank", lambda np, x: np.linalg.matrix_rank(x, None, True), (well(3, 3),), smooth=False),
    Call("numpy.linalg.matrix_rank", lambda np, x: np.linalg.matrix_rank(x), (uniform(4),), smooth=False),
)
PRODUCTS: Final = (
    Call(
        "numpy.linalg.multi_dot",
        lambda np, a, b, c: np.linalg.multi_dot([a, b, c]),
        (uniform(2, 3), uniform(3, 4, seed=1), uniform(4, 2, seed=2)),
    ),
    Call(
        "numpy.linalg.multi_dot",
        lambda np, a, b, c: np.linalg.multi_dot([a, b, b.T, b, c]),
        (uniform(2), uniform(2, 4, seed=1), uniform(4, seed=2)),
    ),
    Call("numpy.linalg.multi_dot", lambda np, a, b: np.linalg.multi_dot((a, b)), (uniform(2, 3), uniform(3, seed=1))),
    Call("numpy.linalg.matmul", lambda np, a, b: np.linalg.matmul(a, b), (uniform(2, 3), uniform(3, 2, seed=1))),
    Call(
        "numpy.linalg.tensordot",
        lambda np, a, b: np.linalg.tensordot(a, b, axes=((0,), (1,))),
        (uniform(2, 3), uniform(3, 2, seed=1)),
    ),
    Call("numpy.linalg.vecdot", lambda np, a, b: np.linalg.vecdot(a, b), (uniform(2, 3), uniform(3, seed=1))),
    Call("numpy.linalg.vecdot", lambda np, a, b: np.linalg.vecdot(a, b, axis=0), (uniform(3, 2), uniform(3, 1))),
    Call("numpy.linalg.outer", lambda np, a, b: np.linalg.outer(a, b), (uniform(2), uniform(3, seed=1))),
    Call("numpy.linalg.cross", lambda np, a, b: np.linalg.cross(a, b), (uniform(2, 3), uniform(3, seed=1))),
    Call("numpy.linalg.cross", lambda np, a, b: np.linalg.cross(a, b, axis=0), (uniform(3, 2), uniform(3, 2, seed=1))),
    Call("numpy.linalg.diagonal", lambda np, a: np.linalg.diagonal(a), (uniform(2, 3, 4),)),
    Call("numpy.linalg.diagonal", lambda np, a: np.linalg.diagonal(a, offset=2), (uniform(3, 4),)),
    Call("numpy.linalg.diagonal", lambda np, a: np.linalg.diagonal(a, offset=-1), (uniform(2, 4, 3),)),
    Call("numpy.linalg.diagonal", lambda np, a: np.linalg.diagonal(a, offset=-5), (uniform(4, 3),), smooth=False),
    Call("numpy.linalg.trace", lambda np, a: np.linalg.trace(a), (uniform(2, 3, 4),)),
    Call("numpy.linalg.trace", lambda np, a: np.linalg.trace(a, offset=1), (uniform(3, 3),)),
    Call("numpy.linalg.matrix_transpose", lambda np, a: np.linalg.matrix_transpose(a), (uniform(2, 3, 4),)),
    Call("numpy.vecdot", lambda np, a, b: np.vecdot(a, b), (uniform(2, 3), uniform(2, 3, seed=1))),
    Call("numpy.vecdot", lambda np, a, b: np.vecdot(a, b, axis=0), (uniform(2, 3), uniform(2, 3, seed=1))),
    *(
        Call("numpy.matvec", lambda np, a, b: np.matvec(a, b), (uniform(2, 3, 4), uniform(*shape, seed=1)))
        for shape in ((4,), (2, 4))
        if hasattr(numpy, "matvec")
    ),
    *(
        Call("numpy.vecmat", lambda np, a, b: np.vecmat(a, b), (uniform(*shape, seed=1), uniform(2, 3, 4)))
        for shape in ((3,), (2, 3))
        if hasattr(numpy, "vecmat")
    ),
)
CALLS: Final = (*INVERSES, *DETERMINANTS, *DECOMPOSITIONS, *NORMS, *PRODUCTS)
