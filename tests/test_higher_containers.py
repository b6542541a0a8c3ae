"""Nested containers in and out, through every driver: a table of drivers times a table of containers."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.record.variable import Variable
from tapegrad.trees import flatten, map_leaves, unflatten

Pair = namedtuple("Pair", "first second")  # noqa: PYI024 - the plain kind is what is tested


@dataclass
class Layer:
    w: Any
    b: Any


@dataclass(frozen=True)
class Frozen:
    a: Any


M: Final = np.array([[0.5, -1.0], [2.0, 0.3]])
V: Final = np.array([1.0, -2.0, 0.7])
F: Final = np.array([1.5, -0.5], np.float32)

TREES: Final[dict[str, Any]] = {
    "array": V,
    "matrix": M,
    "number": 1.5,
    "float32 number": np.float32(0.5),
    "float64 number": np.float64(0.5),
    "0-d": np.array(2.5),
    "float32": F,
    "list": [V, M],
    "tuple": (V, 2.0),
    "one": [V],
    "dict": {"b": V, "a": M},
    "ordered dict": OrderedDict(z=V, a=1.0),
    "integer keys": {3: V, 1: M},
    "namedtuple": Pair(V, M),
    "dataclass": Layer(M, V),
    "frozen": Frozen(Layer([V], 1.5)),
    "none": {"w": V, "b": None},
    "empty parts": {"w": V, "x": [], "y": (), "z": {}},
    "empty array": {"w": np.zeros((0, 2)), "b": 1.0},
    "mixed": {"layers": [Layer(M, V), Pair(F, (0.5, np.array(2.0)))], "scale": np.float32(2.0), "n": None},
    "single precision": {"a": F, "b": [np.float32(1.5), 0.25]},
    "deep": [[[[{"a": (V,)}]]]],
    "twice the same": (V, V),
}


def leaves(tree: Any) -> list[Any]:
    return flatten(tree)[0]


def cubes(tree: Any) -> Any:
    """A scalar: each leaf has another weight."""
    return sum((k + 1) * np.sum(x**3) for k, x in enumerate(leaves(tree)))


def squares(tree: Any) -> Any:
    """The container with leaves that hang on one another."""
    total = sum(np.sum(x) for x in leaves(tree))
    return map_leaves(lambda x: x * x + total, tree)


def like(tree: Any, seed: int) -> Any:
    """A container of the same structure and shapes, of plain floats and float64 arrays."""
    rng = np.random.default_rng(seed)
    return map_leaves(lambda x: rng.normal(size=np.shape(x)) if np.shape(x) else float(rng.normal()), tree)


def dtype_of(tree: Any) -> Any:
    """The dtype in which a container is computed."""
    given = {x.dtype for x in leaves(tree) if not isinstance(x, float) or isinstance(x, np.generic)}
    return np.result_type(*given) if given else np.dtype(np.float64)


def assert_tree(found: Any, like: Any, wanted: list[Any], tree: Any, *, typed: bool) -> None:
    """The structure of `like`, values `wanted`; `typed`: each leaf of the very type and dtype."""
    got, structure = flatten(found)
    given, expected = flatten(like)
    assert structure == expected
    for f, g, w in zip(got, given, wanted, strict=True):
        assert not isinstance(f, Variable)
        rtol = 2e-6 if np.float32 in [dtype_of(tree), np.asarray(f).dtype] else 1e-10
        np.testing.assert_allclose(f, w, rtol=rtol, atol=rtol)
        assert np.shape(f) == np.shape(w)
        if typed:
            assert type(f) is type(g)
            assert isinstance(g, float) or f.dtype == g.dtype
        else:
            assert f.dtype == dtype_of(tree)


@pytest.fixture(params=TREES)
def tree(request: pytest.FixtureRequest) -> Any:
    return TREES[request.param]


def plain(tree: Any) -> list[Any]:
    return [np.asarray(x, np.float64) for x in leaves(tree)]


def gradient(tree: Any) -> list[Any]:
    return [3.0 * (k + 1) * x**2 for k, x in enumerate(plain(tree))]


def test_gradients(tree: Any) -> None:
    for _ in range(2):  # the second by the short way
        value, found = tg.value_and_grad(cubes)(tree)
        assert_tree(found, tree, gradient(tree), tree, typed=True)
        assert value == pytest.approx(sum((k + 1) * np.sum(x**3) for k, x in enumerate(plain(tree))), rel=1e-6)


def test_gradients_beside_aux(tree: Any) -> None:
    both = tg.value_and_grad(lambda t: (cubes(t), {"in": t, "out": squares(t), "k": 3}), has_aux=True)
    for _ in range(3):
        (_, aux), found = both(tree)
        assert_tree(found, tree, gradient(tree), tree, typed=True)
        assert_tree(aux["in"], tree, plain(tree), tree, typed=False)
        total = sum(np.sum(x) for x in plain(tree))
        assert_tree(aux["out"], tree, [x * x + total for x in plain(tree)], tree, typed=False)
        assert aux["k"] == 3


def test_a_gradient_by_one_of_two(tree: Any) -> None:
    found = tg.grad(lambda a, t: np.sum(a) * cubes(t), -1)(2.0, tree)
    assert_tree(found, tree, [2.0 * g for g in gradient(tree)], tree, typed=True)


def test_gradients_of_gradients(tree: Any) -> None:
    wanted = [36.0 * (k + 1) ** 2 * x**3 for k, x in enumerate(plain(tree))]
    norm = tg.grad(lambda t: sum(np.sum(g * g) for g in leaves(tg.grad(cubes)(t))))
    for _ in range(2):
        assert_tree(norm(tree), tree, wanted, tree, typed=True)


def test_products_of_hessians(tree: Any) -> None:
    direction, product = like(tree, 1), tg.hvp(cubes)
    wanted = [6.0 * (k + 1) * x * v for k, (x, v) in enumerate(zip(plain(tree), plain(direction), strict=True))]
    for _ in range(2):
        assert_tree(product(tree, direction), tree, wanted, tree, typed=True)


def test_pushing_forward(tree: Any) -> None:
    direction = map_leaves(np.float32 if dtype_of(tree) == np.float32 else np.asarray, like(tree, 2))
    y, pushed = tg.jvp(squares, (tree,), (direction,))
    total, along = sum(np.sum(x) for x in plain(tree)), sum(np.sum(v) for v in plain(direction))
    assert_tree(y, tree, [x * x + total for x in plain(tree)], tree, typed=False)
    wanted = [2 * x * v + along for x, v in zip(plain(tree), plain(direction), strict=True)]
    assert_tree(pushed, tree, wanted, tree, typed=False)


def test_pulling_back(tree: Any) -> None:
    y, pullback = tg.vjp(squares, tree)
    seeds = like(tree, 3)
    total, seeded = sum(np.sum(x) for x in plain(tree)), sum(np.sum(s) for s in plain(seeds))
    assert_tree(y, tree, [x * x + total for x in plain(tree)], tree, typed=False)
    wanted = [2 * x * s + seeded for x, s in zip(plain(tree), plain(seeds), strict=True)]
    (found,) = pullback(seeds)
    assert_tree(found, tree, wanted, tree, typed=True)
    within = tg.record(lambda t, s: tg.vjp(squares, t)[1](s)[0], tree, seeds)(tree, seeds)
    rtol = 1e-10 if dtype_of(tree) == np.float64 else 1e-5
    for f, w in zip(leaves(within), wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=rtol, atol=rtol)


def test_jacobians(tree: Any) -> None:
    wanted = [
        [
            (
                np.ones((*a.shape, *b.shape))
                if i != j
                else 1.0 + np.reshape(2 * np.diag(a.ravel()), (*a.shape, *a.shape))
            )
            for j, b in enumerate(plain(tree))
        ]
        for i, a in enumerate(plain(tree))
    ]
    structure = flatten(tree)[1]
    for mode in ("forward", "reverse", None):
        made = tg.jacobian(squares, mode=mode)
        for _ in range(2):
            found = made(tree)
            rows = [unflatten(structure, row) for row in wanted]
            assert_tree(found, unflatten(structure, rows), [x for row in wanted for x in row], tree, typed=False)


def test_hessians(tree: Any) -> None:
    found = tg.hessian(cubes)(tree)
    structure, xs = flatten(tree)[1], plain(tree)
    rows = [
        [
            np.reshape(
                np.diag(6.0 * (i + 1) * a.ravel()) if i == j else np.zeros((a.size, b.size)), (*a.shape, *b.shape)
            )
            for j, b in enumerate(xs)
        ]
        for i, a in enumerate(xs)
    ]
    whole = unflatten(structure, [unflatten(structure, row) for row in rows])
    assert_tree(found, whole, [x for row in rows for x in row], tree, typed=False)


def stacked(tree: Any, axis: int) -> Any:
    return map_leaves(lambda x: np.stack([x, 2 * x, 0 * x, -x], axis if np.ndim(x) else 0), tree)


@pytest.mark.parametrize("axis", [0, -1])
def test_points(tree: Any, axis: int) -> None:
    points, factors = stacked(tree, axis), (1.0, 2.0, 0.0, -1.0)
    for driver, order in ((tg.grad(cubes), 2), (squares, 0)):
        found = tg.batch(driver, axis)(points)
        got, structure = flatten(found)
        assert structure == flatten(tree)[1]
        for k, f in enumerate(got):
            if order:
                wanted = [gradient(tree)[k] * c**order for c in factors]
            else:
                total = sum(np.sum(x) for x in plain(tree))
                wanted = [(c * plain(tree)[k]) ** 2 + c * total for c in factors]
            np.testing.assert_allclose(f, np.stack(wanted), rtol=1e-5, atol=1e-5)
            assert f.dtype == dtype_of(points)


CONTAINED: Final[dict[str, Callable[[Any], Any]]] = {
    "grad": lambda t: tg.grad(cubes)(t),  # noqa: PLW0108 - made anew, with its recordings
    "vjp": lambda t: tg.vjp(cubes, t)[1](1.0)[0],
    "jacobian": lambda t: tg.jacobian(cubes)(t),  # noqa: PLW0108 - as above
    "hvp": lambda t: tg.hvp(cubes)(t, t),
    "jvp": lambda t: tg.jvp(squares, (t,), (t,))[1],
}


@pytest.mark.parametrize("driver", CONTAINED)
def test_drivers_within_a_recorded_function_keep_structures(driver: str, tree: Any) -> None:
    made = CONTAINED[driver]
    found = tg.record(made, tree)(tree)
    wanted = made(tree)
    assert flatten(found)[1] == flatten(wanted)[1] == flatten(tree)[1]
    for f, w in zip(leaves(found), leaves(wanted), strict=True):
        np.testing.assert_allclose(f, w, rtol=2e-6, atol=1e-6)


def test_results_of_other_structures_than_the_arguments() -> None:
    def f(p: Any, x: Any) -> Any:
        return Pair({"y": p["w"] @ x}, [Layer(np.sum(x**2), p["b"] * 2.0), None])

    p, x = {"w": M, "b": 3.0}, np.array([1.0, 2.0])
    found = tg.jacobian(f, (1, 0))(p, x)
    assert type(found) is Pair
    assert set(found.first) == {"y"}
    by_x, by_p = found.first["y"]
    np.testing.assert_allclose(by_x, M)
    np.testing.assert_allclose(by_p["w"], np.einsum("ij,k->ijk", np.eye(2), x))
    assert by_p["b"].tolist() == [0.0, 0.0]
    assert type(found.second[0]) is Layer
    assert found.second[0].w[0].tolist() == [2.0, 4.0]
    assert found.second[0].b[1]["b"] == 2.0
    assert found.second[1] is None
    y, pullback = tg.vjp(f, p, x)
    seeds = Pair({"y": np.array([1.0, 0.0])}, [Layer(0.0, 1.0), None])
    assert type(y.second[0]) is Layer
    back = pullback(seeds)
    assert back[0]["b"] == 2.0
    assert back[1].tolist() == M[0].tolist()
    each = tg.batch(f, (None, 0))(p, np.stack([x, 2 * x]))
    assert each.second[0].w.tolist() == [5.0, 20.0]
    assert each.second[0].b.tolist() == [6.0, 6.0]


# --- aux


AUX: Final[dict[str, Callable[[Any], Any]]] = {
    "text": lambda x: "text",
    "integer": lambda x: 3,
    "float": lambda x: 0.1,
    "flag": lambda x: True,
    "none": lambda x: None,
    "empty": lambda x: {},
    "array": lambda x: x * 2,
    "scalar": np.sum,
    "argument": lambda x: x,
    "boolean array": lambda x: x > 0,
    "integer array": lambda x: np.arange(3, dtype=np.int32),
    "texts": lambda x: np.array(["a", "b"]),
    "objects": lambda x: np.array([{"a": 1}, None], object),
    "complex": lambda x: 1j * np.ones(2),
    "shape": lambda x: x.shape,
    "object": lambda x: KEPT,
    "nested": lambda x: {"a": [x, (1, "b", None)], "b": Layer(x[0], [np.float32(1.5), np.ones((2, 2))]), "c": {}},
}
KEPT: Final = object()


def same(a: Any, b: Any) -> None:
    found, structure = flatten(a)
    wanted, expected = flatten(b)
    assert structure == expected
    for f, w in zip(found, wanted, strict=True):
        assert type(f) is type(w) or (isinstance(f, np.generic) and isinstance(w, np.generic))
        assert np.array_equal(f, w)
        assert not isinstance(w, np.ndarray) or f.dtype == w.dtype


@pytest.mark.parametrize("name", AUX)
def test_aux_is_what_the_function_gives(name: str) -> None:
    made = AUX[name]

    def f(x: Any, k: Any = 1.0) -> Any:
        return np.sum(x**2) * k, made(x)

    gradient, both = tg.grad(f, has_aux=True), tg.value_and_grad(f, has_aux=True)
    for k in range(4):
        x = V + k
        g, aux = gradient(x)
        np.testing.assert_allclose(g, 2 * x)
        same(aux, made(x))
        (value, aux), g = both(x, k=2.0)
        np.testing.assert_allclose([value, *g], [2 * np.sum(x**2), *(4 * x)])
        same(aux, made(x))


@pytest.mark.parametrize("name", AUX)
def test_aux_of_a_gradient_within_a_function(name: str) -> None:
    made = AUX[name]

    def outer(x: Any) -> Any:
        g, aux = tg.grad(lambda y: (np.sum(y**3), made(y)), has_aux=True)(x)
        return np.sum(g), aux

    gradient = tg.grad(outer, has_aux=True)
    for k in range(3):
        g, aux = gradient(V + k)
        np.testing.assert_allclose(g, 6 * (V + k))
        same(aux, made(V + k))


def test_aux_within_a_function_is_differentiated_by_the_outer_one() -> None:
    def outer(x: Any) -> Any:
        (value, aux), g = tg.value_and_grad(lambda y: (np.sum(y**2), {"cube": y**3, "x": x * y}), has_aux=True)(x)
        return value + np.sum(g) + np.sum(aux["cube"]) + np.sum(aux["x"])

    np.testing.assert_allclose(tg.grad(outer)(V), 2 * V + 2 + 3 * V**2 + 2 * V)


def test_aux_may_be_changed_by_the_caller() -> None:
    table = np.arange(3.0)
    gradient = tg.grad(lambda x: (np.sum(x), {"own": np.zeros(2), "x": x, "table": table}), has_aux=True)
    for _ in range(3):
        _, aux = gradient(V)
        assert aux["own"].tolist() == [0.0, 0.0]
        assert aux["x"].tolist() == V.tolist()
        assert aux["table"].tolist() == [0.0, 1.0, 2.0]
        for array in aux.values():
            array += 100.0
    assert table.tolist() == [0.0, 1.0, 2.0]
    table[0] = 7.0
    with pytest.raises(tg.errors.CapturedArrayError):
        gradient(V)
    assert gradient(V)[1]["table"].tolist() == [7.0, 1.0, 2.0]


def test_aux_by_another_branch() -> None:
    gradient = tg.grad(lambda x: (np.sum(x), "up") if x[0] > 0 else (np.sum(2 * x), {"down": x}), has_aux=True)
    for _ in range(3):
        assert gradient(V)[1] == "up"
        assert gradient(-V)[1]["down"].tolist() == (-V).tolist()
