"""What docs/coming-from.md says of other libraries: names are there, and idioms of one row give the same numbers."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CapturedArrayError, DtypeError, UnsupportedError

jax.config.update("jax_enable_x64", True)
PAGE = (Path(__file__).parents[1] / "docs" / "coming-from.md").read_text()
X, V, SEED = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.5, -2.0]), np.array([2.0, -1.0, 0.5])
OURS = {"x", "y", "print", "if", "for", "while", "mode", "dtype", "static_argnums"}  # no names of a library


def table() -> Iterator[tuple[str, str]]:
    """Library and name of each piece of code of the table that begins with a name."""
    for line in PAGE.splitlines():
        cells = line.split(" | ")
        if len(cells) == 5 and "`" in line:
            for library, cell in zip(("autograd", "jax", "torch", "tapegrad"), cells[1:], strict=True):
                for found in re.findall(r"`([A-Za-z_][\w.]*)", cell):
                    if found.split(".")[0] not in OURS:
                        yield library, found.removeprefix("tapegrad.")


NAMES = sorted(set(table()))


def same(*found: Any) -> None:
    for one in found[1:]:
        np.testing.assert_allclose(np.asarray(one, dtype=float), np.asarray(found[0], dtype=float), rtol=1e-12, atol=0)


def scalar(m: Any, x: Any) -> Any:
    """A scalar by the functions of a module."""
    return m.sum(m.sin(x) * x**2) + x[0] * x[1]


def vector(m: Any, x: Any) -> Any:
    return m.tanh(x) * x[0]


@pytest.mark.parametrize(("library", "name"), NAMES)
def test_names_are_there(library: str, name: str) -> None:
    if library == "torch":
        pytest.importorskip("torch")
    found: Any = importlib.import_module(library)
    path = library
    for part in name.split("."):
        path = f"{path}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(path)


def test_gradients() -> None:
    value, gradient = tg.value_and_grad(partial(scalar, np))(X)
    same(gradient, autograd.grad(partial(scalar, anp))(X), jax.grad(partial(scalar, jnp))(X))
    same(value, autograd.value_and_grad(partial(scalar, anp))(X)[0], jax.value_and_grad(partial(scalar, jnp))(X)[0])


def test_gradients_by_several_arguments() -> None:
    def f(m: Any, x: Any, y: Any) -> Any:
        return m.sum(x * y**2)

    ours = tg.grad(partial(f, np), argnums=(0, 1))(X, V)
    same(ours, autograd.grad(partial(f, anp), (0, 1))(X, V), jax.grad(partial(f, jnp), argnums=(0, 1))(X, V))


def test_a_further_result() -> None:
    def f(m: Any, x: Any) -> Any:
        return m.sum(x**2), x * 2.0

    ours = tg.grad(partial(f, np), has_aux=True)(X)
    same(ours, jax.grad(partial(f, jnp), has_aux=True)(X), autograd.grad_and_aux(partial(f, anp))(X))


def test_products_with_the_jacobian() -> None:
    y, pullback = tg.vjp(partial(vector, np), X)
    theirs, of_jax = jax.vjp(partial(vector, jnp), X)
    of_autograd, its_y = autograd.make_vjp(partial(vector, anp))(X)
    same(y, theirs, its_y)
    same(pullback(SEED)[0], of_jax(SEED)[0], of_autograd(SEED))
    ours = tg.jvp(partial(vector, np), (X,), (V,))
    same(ours[1], jax.jvp(partial(vector, jnp), (X,), (V,))[1], autograd.make_jvp(partial(vector, anp))(X)(V)[1])


def test_matrices() -> None:
    ours = tg.jacobian(partial(vector, np))(X)
    same(ours, jax.jacrev(partial(vector, jnp))(X), jax.jacfwd(partial(vector, jnp))(X))
    same(ours, autograd.jacobian(partial(vector, anp))(X), tg.sparse_jacobian(partial(vector, np))(X).toarray())
    ours = tg.hessian(partial(scalar, np))(X)
    same(ours, jax.hessian(partial(scalar, jnp))(X), autograd.hessian(partial(scalar, anp))(X))
    product = tg.hvp(partial(scalar, np))(X, V)
    np.testing.assert_allclose(product, ours @ V, rtol=1e-12)
    same(product, autograd.hessian_vector_product(partial(scalar, anp))(X, V))
    same(product, jax.jvp(jax.grad(partial(scalar, jnp)), (X,), (V,))[1])


def test_many_points() -> None:
    def f(m: Any, x: Any, w: Any) -> Any:
        return m.sum(m.sin(x) * w)

    points = np.stack([X, V])
    same(
        tg.batch(partial(f, np), in_axes=(0, None))(points, SEED),
        jax.vmap(partial(f, jnp), in_axes=(0, None))(points, SEED),
    )


def test_constants_of_the_derivative() -> None:
    same(
        tg.grad(lambda x: np.sum(x * tg.stop_gradient(x)))(X),
        jax.grad(lambda x: jnp.sum(x * jax.lax.stop_gradient(x)))(X),
    )


def test_elements_and_branches() -> None:
    def ours(x: Any) -> Any:
        x = x.copy()
        x[0] = x[1] * 2.0
        return np.sum(x**2) if x[0] < 0 else np.sum(x)

    def theirs(x: Any) -> Any:
        x = x.at[0].set(x[1] * 2.0)
        return jax.lax.cond(x[0] < 0, lambda x: jnp.sum(x**2), jnp.sum, x)

    gradient = tg.grad(ours)
    for x in (X, -X, X):
        same(gradient(x), jax.grad(theirs)(jnp.asarray(x)))
    with pytest.raises((TypeError, AttributeError)):
        autograd.grad(ours)(X)


def test_rules_of_ones_own() -> None:
    @tg.primitive
    def ours(x: Any) -> Any:
        return np.exp(x)

    ours.defvjp(lambda g, y, x: (2.0 * g * y,))
    extend = autograd.extend
    of_autograd = extend.primitive(np.exp)
    extend.defvjp(of_autograd, lambda y, x: lambda g: 2.0 * g * y)
    of_jax = jax.custom_vjp(jnp.exp)
    of_jax.defvjp(lambda x: (jnp.exp(x), jnp.exp(x)), lambda y, g: (2.0 * g * y,))
    same(
        tg.grad(lambda x: np.sum(ours(x)))(X),
        autograd.grad(lambda x: anp.sum(of_autograd(x)))(X),
        jax.grad(lambda x: jnp.sum(of_jax(x)))(X),
    )


def test_torch() -> None:
    torch = pytest.importorskip("torch")

    def f(x: Any) -> Any:
        return torch.sum(torch.sin(x) * x**2) + x[0] * x[1]

    def g(x: Any) -> Any:
        return torch.tanh(x) * x[0]

    x, v, seed = (torch.tensor(a, dtype=torch.float64) for a in (X, V, SEED))
    parameter = x.clone().requires_grad_()
    f(parameter).backward()
    same(tg.grad(partial(scalar, np))(X), parameter.grad)
    same(tg.vjp(partial(vector, np), X)[1](SEED)[0], torch.func.vjp(g, x)[1](seed)[0])
    same(tg.jvp(partial(vector, np), (X,), (V,))[1], torch.func.jvp(g, (x,), (v,))[1])
    same(tg.jacobian(partial(vector, np))(X), torch.func.jacrev(g)(x))
    same(tg.hessian(partial(scalar, np))(X), torch.func.hessian(f)(x))
    same(tg.hvp(partial(scalar, np))(X, V), torch.func.jvp(torch.func.grad(f), (x,), (v,))[1])
    many = torch.vmap(lambda x, w: torch.sum(torch.sin(x) * w), in_dims=(0, None))
    same(
        tg.batch(lambda x, w: np.sum(np.sin(x) * w), in_axes=(0, None))(np.stack([X, V]), SEED),
        many(torch.stack([x, v]), seed),
    )
    parameter = x.clone().requires_grad_()
    torch.sum(parameter * parameter.detach()).backward()
    same(tg.grad(lambda x: np.sum(x * tg.stop_gradient(x)))(X), parameter.grad)
    parameter = torch.zeros((), dtype=torch.float64, requires_grad=True)
    torch.where(parameter > 0, torch.sqrt(parameter), 0.0).backward()
    assert np.isnan(float(parameter.grad))


def test_what_where_does_not_choose() -> None:
    def f(m: Any, x: Any) -> Any:
        return m.where(x > 0, m.sqrt(x), 0.0)

    assert tg.grad(partial(f, np))(0.0) == 0.0
    assert np.isnan(jax.grad(partial(f, jnp))(0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        assert np.isnan(autograd.grad(partial(f, anp))(np.zeros(()))[()])


def test_surroundings() -> None:
    data = np.ones(3)
    ours, theirs = tg.grad(lambda x: np.sum(x * data)), jax.jit(jax.grad(lambda x: jnp.sum(x * data)))
    same(ours(X), theirs(X), data)
    data[0] = 5.0
    with pytest.raises(CapturedArrayError):
        ours(X)
    assert theirs(X)[0] == 1.0  # the old one


def test_what_is_refused() -> None:
    with pytest.raises(DtypeError):
        tg.grad(lambda x: x * x)(3)
    with pytest.raises(TypeError):
        jax.grad(lambda x: x * x)(3)
    with pytest.raises(UnsupportedError, match="batch"):
        tg.batch(lambda x: x if x > 0 else -x)(X)
