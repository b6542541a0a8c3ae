"""value_and_grad, grad, vjp, record, check_grad, stop_gradient: arguments in, derivatives out."""

from __future__ import annotations

import enum
import functools
import re
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.drivers.recorded import MANY
from tapegrad.errors import GradientCheckError, RerecordingWarning, ShapeError
from tests.models import Counted

X = np.array([1.0, -2.0, 3.0])


def square(x: Any) -> Any:
    return np.sum(x * x)


def weighted(x: Any, data: Any) -> Any:
    return np.sum(x * x * data)


# --- argnums


@pytest.mark.parametrize(
    ("argnums", "wanted"),
    [
        (0, 12.0),
        (2, 6.0),
        (-1, 6.0),
        (-3, 12.0),
        (np.int64(1), 8.0),
        ((1,), (8.0,)),
        ((0, 2), (12.0, 6.0)),
        ((2, 0), (6.0, 12.0)),
        ([-1, 1], (6.0, 8.0)),
        (np.array([0, 1]), (12.0, 8.0)),
        ((), ()),
    ],
)
def test_argnums(argnums: Any, wanted: Any) -> None:
    def f(x: Any, y: Any, z: Any) -> Any:
        return x * y * z

    assert tg.grad(f, argnums)(2.0, 3.0, 4.0) == wanted
    assert tg.value_and_grad(f, argnums)(2.0, 3.0, 4.0) == (24.0, wanted)


def test_argnums_of_containers() -> None:
    def f(p: Any, x: Any, q: Any) -> Any:
        return p["a"] * q[0] * x

    assert tg.grad(f, (2, 0))({"a": 2.0}, 3.0, [4.0, 5.0]) == ([6.0, 0.0], {"a": 12.0})


def test_argnums_are_places_among_the_arguments_given() -> None:
    f = tg.grad(lambda *args: sum((k + 1) * a for k, a in enumerate(args)), -1)
    assert [f(*[1.0] * n) for n in (1, 2, 3)] == [1, 2, 3]


def test_the_same_array_twice_is_two_arguments() -> None:
    gx, gy = tg.grad(lambda x, y: np.sum(x * x + 3 * y), (0, 1))(X, X)
    assert gx.tolist() == (2 * X).tolist()
    assert gy.tolist() == [3.0] * 3


# --- structure, dtype and type of results

SCALARS = [2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), np.array(2.0, np.float32)]


@pytest.mark.parametrize("x", SCALARS, ids=lambda x: f"{type(x).__name__}-{np.asarray(x).dtype}")
def test_a_scalar_gradient_is_of_the_type_of_its_argument(x: Any) -> None:
    value, gradient = tg.value_and_grad(lambda x: x * x)(x)
    assert type(gradient) is type(x)
    assert np.asarray(gradient).dtype == np.asarray(x).dtype
    assert np.shape(gradient) == ()
    assert (value, gradient) == (4.0, 4.0)
    assert type(value) is np.asarray(x).dtype.type


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0,), (2, 3), (0, 3), (2, 0), (1, 1, 1), (2, 1, 3, 1)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_gradient_has_the_shape_and_dtype_of_its_argument(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    value, gradient = tg.value_and_grad(square)(x)
    assert (gradient.shape, gradient.dtype, value.dtype) == (shape, dtype, dtype)
    assert gradient.flags.c_contiguous
    assert gradient.flags.writeable
    assert np.array_equal(gradient, 2 * x)


def test_mixed_precision_is_computed_in_the_higher_one_and_returned_in_each() -> None:
    p = {"a": np.float32([1.5, 2.5]), "b": np.array([1.0, 3.0]), "c": 0.1}
    value, gradient = tg.value_and_grad(lambda p: np.sum(p["a"] * p["b"]) * p["c"])(p)
    assert value.dtype == np.float64
    assert value == (1.5 + 7.5) * 0.1
    assert [gradient["a"].dtype, gradient["b"].dtype, type(gradient["c"])] == [np.float32, np.float64, float]
    assert gradient["a"].tolist() == np.float32([0.1, np.float64(0.1) * 3.0]).tolist()
    assert gradient["c"] == 9.0


def test_data_of_the_higher_precision_lifts_the_computation() -> None:
    x, data = np.float32([1.0, 2.0]), np.array([1e-9, 1.0])
    value, gradient = tg.value_and_grad(lambda x, d: np.sum(x + d) - 3.0)(x, data)
    assert value == pytest.approx(1 + 1e-9)
    assert gradient.dtype == np.float32


def test_python_floats_give_way_to_single_precision() -> None:
    value, gradient = tg.value_and_grad(lambda x, s: np.sum(x * s))(np.float32([1.0]), 0.1)
    assert value.dtype == gradient.dtype == np.float32
    assert gradient[0] == np.float32(0.1)


# --- data and recordings


def test_data_changes_without_recording() -> None:
    counted = Counted(lambda x, a, s, n, flags: np.sum(x * a[n] * s * np.where(flags, 1.0, 2.0)))
    f = tg.grad(counted)
    rng = np.random.default_rng(0)
    for _ in range(10):
        a, s, n, flags = rng.normal(size=9), float(rng.normal()), rng.integers(0, 9, 3), rng.integers(0, 2, 3) > 0
        assert np.allclose(f(X, a, s, n, flags), a[n] * s * np.where(flags, 1.0, 2.0), rtol=1e-15)
    assert counted.runs == 1


def test_a_new_shape_or_dtype_is_recorded_once() -> None:
    counted = Counted(weighted)
    f = tg.grad(counted)
    arrays = [np.ones(3), np.ones((2, 3)), np.ones(1), np.float32([1, 1, 1]), np.ones(3, int), np.ones(3, bool)]
    for _ in range(3):
        for data in arrays:
            assert np.array_equal(f(X, data), 2 * X * len(np.atleast_2d(data)))
    assert counted.runs == len(arrays)


class Mode(enum.Enum):
    SLOW = 1
    FAST = 2


STATIC: dict[str, tuple[Any, Any]] = {
    "int": (2, 3),
    "negative int": (-1, -2),
    "bool": (True, False),
    "int and bool": (1, True),
    "str": ("a", "b"),
    "None": (None, 1),
    "function": (np.sin, np.cos),
    "enum": (Mode.SLOW, Mode.FAST),
    "tuple": ((1, "a"), (1, "b")),
    "slice": (slice(0, 2), slice(0, 3)),
    "type": (float, int),
    "frozenset": (frozenset({1}), frozenset({2})),
    "nested": ({"n": 1}, {"n": 2}),
    "numpy string": (np.str_("a"), np.str_("b")),
}


@pytest.mark.parametrize("name", STATIC)
def test_a_static_argument_is_recorded_anew_by_value(name: str) -> None:
    one, other = STATIC[name]
    counted = Counted(lambda x, option: x * (2.0 if option == one and type(option) is type(one) else 3.0))
    f = tg.grad(counted)
    assert [f(1.0, o) for o in (one, other, one, other)] == [2, 3, 2, 3]
    assert counted.runs == 2


def test_static_objects_without_a_hash_are_told_apart_by_identity() -> None:
    counted = Counted(lambda x, options: x * len(options))
    f = tg.grad(counted)
    one, other = {1}, {1}
    assert [f(1.0, one), f(1.0, other), f(1.0, one)] == [1, 1, 1]
    assert counted.runs == 2


def test_many_static_values_warn_once_and_say_what_to_do() -> None:
    f = tg.grad(lambda x, step: x * step)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for step in range(3 * MANY):
            assert f(1.0, step) == step
    (warning,) = caught
    assert warning.category is RerecordingWarning
    assert f"was recorded {MANY} times: an argument that is no array" in str(warning.message)


def test_many_shapes_warn_once() -> None:
    f = tg.grad(square)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for n in range(2 * MANY):
            f(np.ones(n))
    (warning,) = caught
    assert "the shapes or dtypes of its arguments keep changing" in str(warning.message)


def test_each_function_has_recordings_of_its_own() -> None:
    counted = Counted(square)
    f, g = tg.grad(counted), tg.grad(counted)
    for _ in range(2):
        f(X)
        g(X)
    assert counted.runs == 2


# --- what the function reads


def test_a_closure_variable_that_is_bound_anew_is_noticed() -> None:
    scale = 2.0

    def f(x: Any) -> Any:
        return scale * x

    g = tg.grad(f)
    assert g(1.0) == 2.0
    scale = 5.0
    assert g(1.0) == 5.0
    scale = 2.0
    assert g(1.0) == 2.0


# --- arrays of every layout

BASE = np.arange(24.0).reshape(4, 6) - 7.0


def read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


def unaligned(a: Any) -> Any:
    raw = np.zeros(a.nbytes + 1, np.uint8)
    out = raw[1:].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "read-only": read_only,
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T.copy().T,
    "columns skipped": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "rows skipped": lambda a: np.repeat(a, 3, axis=0)[1::3],
    "negative strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little-endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
    "unaligned": unaligned,
    "part of a larger one": lambda a: np.pad(a, 2)[2:-2, 2:-2],
    "memory-mapped": lambda a: a.view(np.memmap),
    "broadcast": lambda a: np.broadcast_to(a[:1], a.shape),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_parameters_and_data(name: str, dtype: Any) -> None:
    x = LAYOUTS[name](BASE.astype(dtype))
    plain = np.array(x, dtype, order="C", subok=False)
    rows = np.arange(4, dtype=dtype)[:, None]
    f = tg.value_and_grad(lambda x, data: np.sum(x * x * data) + np.sum(x @ np.ones((6, 2))), (0, 1))
    value, (g, data_g) = f(x, LAYOUTS[name](BASE.astype(dtype)))
    wanted_value, (wanted, wanted_data) = f(plain, plain)
    assert value == wanted_value
    assert np.array_equal(g, wanted)
    assert np.array_equal(data_g, wanted_data)
    assert g.dtype == x.dtype
    assert type(g) is np.ndarray
    assert np.array_equal(tg.grad(lambda x, d: np.sum(x * d))(x, rows), np.broadcast_to(rows, x.shape))


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, bool]
)
@pytest.mark.parametrize("order", [">", "<"])
def test_data_of_integers_and_booleans(dtype: Any, order: str) -> None:
    data = np.array([[0, 1, 1], [1, 0, 1]]).astype(np.dtype(dtype).newbyteorder(order))[:, ::-1]
    gradient = tg.grad(lambda x, d: np.sum(x * d) + np.sum(x / (d + 1)))(X, data)
    assert np.allclose(gradient, np.sum(data + 1 / (data.astype(int) + 1), axis=0), rtol=1e-15)


def test_integer_data_is_int64_on_a_tape() -> None:
    # NumPy's narrow integers wrap around; a tape's don't.
    data = np.array([200, 100], np.uint8)
    seen = SimpleNamespace()

    def f(x: Any, d: Any) -> Any:
        seen.dtype = d.dtype
        return np.sum(x * (d + d))

    assert tg.grad(f)(X[:2], data).tolist() == [400.0, 200.0]
    assert seen.dtype == np.int64


def test_booleans_are_added_as_numpy_adds_them() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, False])
    f = tg.grad(lambda x, a, b: np.sum(x * (a + b)) + np.sum(x * (x > 0) * a) + np.sum(x * np.maximum(a, b)))
    assert f(X, a, b).tolist() == ((a + b) * 1.0 + (X > 0) * a + np.maximum(a, b)).tolist()


@pytest.mark.parametrize("value", [np.float16(0.1), np.array([0.1, 0.2], np.float16)])
def test_data_in_half_precision_is_taken_in_single(value: Any) -> None:
    x = np.float32([1.0, 2.0])
    assert np.array_equal(tg.grad(lambda x, d: np.sum(x * d))(x, value), np.broadcast_to(np.float32(value), 2))


class Series:
    """Data of another library: NumPy can make an array of it."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, np.float32)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values


def test_data_of_other_libraries_may_change_like_arrays() -> None:
    data = Series([1.0, 2.0, 3.0])
    counted = Counted(weighted)
    f = tg.grad(counted)
    assert f(X, data).tolist() == (2 * X * data.values).tolist()
    data.values[:] = 7.0
    assert f(X, data).tolist() == (14 * X).tolist()
    assert counted.runs == 1


def test_arguments_are_not_changed() -> None:
    x, data = X.copy(), np.array([1, 2, 3])
    tg.value_and_grad(weighted)(x, data)
    assert x.tolist() == X.tolist()
    assert data.tolist() == [1, 2, 3]


# --- results


def test_results_are_fresh_arrays() -> None:
    f = tg.value_and_grad(lambda p: np.sum(p["a"] * p["b"]) + 0.0 * np.sum(p["c"]))
    p = {"a": X.copy(), "b": X.copy(), "c": np.ones(2)}
    _, first = f(p)
    kept = {k: g.copy() for k, g in first.items()}
    _, second = f(p)
    for g in second.values():
        g[:] = np.nan
    assert all(np.array_equal(first[k], kept[k]) for k in p)
    _, third = f(p)
    assert all(np.array_equal(third[k], kept[k]) for k in p)
    for k in p:
        assert not any(np.shares_memory(third[k], other) for other in p.values())


def test_a_gradient_that_is_an_argument_or_a_constant_is_a_copy() -> None:
    weights = np.array([5.0, 6.0, 7.0])
    f = tg.grad(lambda x, w: np.sum(x * w) + np.sum(x * weights), (0, 1))
    w = X.copy()
    gx, gw = f(X, w)
    gx[:] = gw[:] = 0.0
    assert w.tolist() == X.tolist()
    assert weights.tolist() == [5.0, 6.0, 7.0]
    assert f(X, w)[0].tolist() == (w + weights).tolist()


def test_a_parameter_that_is_not_used_has_zeros() -> None:
    p = {"used": X, "unused": np.ones((2, 2)), "scalar": 3.0, "single": np.float32(1.0), "empty": np.ones(0)}
    gradient = tg.grad(lambda p: np.sum(p["used"]))(p)
    assert gradient["unused"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert (gradient["scalar"], gradient["single"]) == (0.0, 0.0)
    assert type(gradient["single"]) is np.float32
    assert gradient["empty"].shape == (0,)


@pytest.mark.parametrize("constant", [3.0, 3, np.float64(3), np.array(3.0), True])
def test_a_constant_function(constant: Any) -> None:
    value, gradient = tg.value_and_grad(lambda _: constant)(X)
    assert value == float(constant)
    assert gradient.tolist() == [0.0] * 3


def test_a_result_that_depends_on_data_only() -> None:
    f = tg.value_and_grad(lambda x, d: np.sum(d))
    assert f(2.0, X) == (2.0, 0.0)
    assert f(2.0, 2 * X) == (4.0, 0.0)


def test_a_result_that_is_an_argument() -> None:
    f = tg.value_and_grad(lambda x, y: y, (0, 1))
    assert f(2.0, 3.0) == (3.0, (0.0, 1.0))
    value, gradient = tg.value_and_grad(lambda x: x)(np.array(4.0))
    assert (value, gradient) == (4.0, 1.0)


def test_an_integer_result_has_derivative_zero() -> None:
    assert tg.value_and_grad(lambda x, n: np.sum(n))(X, np.arange(4)) == (6.0, pytest.approx(np.zeros(3)))


def test_nothing_to_differentiate() -> None:
    assert tg.value_and_grad(lambda p: 2.0)({}) == (2.0, {})
    assert tg.value_and_grad(lambda p, x: np.sum(x))(None, X) == (2.0, None)


def test_names_and_texts_of_derivatives() -> None:
    assert tg.value_and_grad(square).__name__ == "value_and_grad_of_square"
    assert tg.grad(square).__name__ == "grad_of_square"
    assert "square" in (tg.grad(square).__doc__ or "")
    assert tg.grad(functools.partial(weighted, data=X))(X).tolist() == (2 * X * X).tolist()


def test_methods_partials_and_callable_objects() -> None:
    class Model:
        def __init__(self, scale: float) -> None:
            self.scale = scale

        def loss(self, x: Any) -> Any:
            return self.scale * x

        def __call__(self, x: Any) -> Any:
            return 2.0 * self.loss(x)

    model = Model(3.0)
    assert tg.grad(model.loss)(1.0) == 3.0
    assert tg.grad(model)(1.0) == 6.0
    assert tg.grad(functools.partial(weighted, data=2.0))(1.0) == 4.0
    assert tg.grad(np.sum)(X).tolist() == [1.0] * 3


def test_a_gradient_of_constants_inside_a_function() -> None:
    f = tg.grad(lambda x: x * tg.grad(lambda y: y**3)(2.0))
    assert f(1.0) == 12.0


def test_a_recording_inside_a_recording_of_the_same_function() -> None:
    inner = tg.grad(square)
    outer = tg.grad(lambda x: np.sum(x * inner(X)))
    assert outer(X).tolist() == (2 * X).tolist()
    assert inner(X).tolist() == (2 * X).tolist()


# --- vjp


def test_vjp_of_an_array() -> None:
    y, pullback = tg.vjp(lambda x: x[1:] * x[:-1], X)
    assert y.tolist() == [-2.0, -6.0]
    for seed in ([1.0, 0.0], [0.0, 1.0], [2.0, -3.0]):
        (g,) = pullback(np.array(seed))
        assert g.tolist() == [-2 * seed[0], seed[0] + 3 * seed[1], -2 * seed[1]]


def test_vjp_of_nested_results_and_several_arguments() -> None:
    def f(p: Any, s: Any) -> Any:
        return {"sum": np.sum(p["a"]) * s, "rows": (p["a"][None] * np.ones((2, 1)), s)}

    y, pullback = tg.vjp(f, {"a": X}, 2.0)
    assert y["sum"] == 4.0
    assert type(y["sum"]) is np.float64
    assert y["rows"][0].tolist() == [X.tolist(), X.tolist()]
    assert y["rows"][1] == 2.0
    gp, gs = pullback({"sum": 3.0, "rows": (np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), 10.0)})
    assert gp["a"].tolist() == [11.0, 13.0, 15.0]
    assert gs == 16.0
    assert type(gs) is float


def test_a_pullback_uses_the_old_values() -> None:
    x, s = X.copy(), np.array(2.0)
    y, pullback = tg.vjp(lambda x, s: s * x * x, x, s)
    x[:], s[...] = 100.0, 100.0
    y[:] = np.nan
    for _ in range(2):
        gx, gs = pullback(np.ones(3))
        assert gx.tolist() == [4.0, -8.0, 12.0]
        assert gs == 14.0


def test_a_pullback_does_not_keep_its_seed() -> None:
    _, pullback = tg.vjp(lambda x: x + 0.0, X)
    seed = np.ones(3)
    (g,) = pullback(seed)
    seed[:] = 5.0
    assert g.tolist() == [1.0] * 3
    g[:] = 7.0
    assert pullback(np.ones(3))[0].tolist() == [1.0] * 3


@pytest.mark.parametrize(
    "seed",
    [[1, 2, 3], (1.0, 2.0, 3.0), np.array([1, 2, 3]), np.float32([1, 2, 3]), np.arange(3.0, 0.0, -1.0)[::-1]],
    ids=["list", "tuple", "int", "float32", "negative stride"],
)
def test_seeds_of_other_types(seed: Any) -> None:
    _, pullback = tg.vjp(lambda x: x * x, X)
    if isinstance(seed, (list, tuple)):
        with pytest.raises(ShapeError, match="another structure"):
            pullback(seed)
    else:
        assert pullback(seed)[0].tolist() == [2.0, -8.0, 18.0]


def test_vjp_of_results_that_are_arguments_constants_and_each_other() -> None:
    def f(x: Any) -> Any:
        y = 2.0 * x
        return [x, y, y, 1.0, X, x]

    y, pullback = tg.vjp(f, np.ones(3))
    assert [np.asarray(v).tolist() for v in y] == [[1.0] * 3, [2.0] * 3, [2.0] * 3, 1.0, X.tolist(), [1.0] * 3]
    (g,) = pullback([np.full(3, s) if k != 3 else 1e6 for k, s in enumerate([1.0, 10.0, 100.0, 0.0, 1e5, 1000.0])])
    assert g.tolist() == [1 + 20 + 200 + 1000.0] * 3
    y[1][:] = 0.0
    assert y[2].tolist() == [2.0] * 3


def test_vjp_in_single_precision() -> None:
    y, pullback = tg.vjp(lambda x: x * x, np.float32([1.0, 2.0]))
    (g,) = pullback(np.array([1.0, 1.0]))
    assert y.dtype == g.dtype == np.float32


def test_vjp_of_nothing() -> None:
    y, pullback = tg.vjp(lambda x: [], X)
    assert y == []
    assert pullback([])[0].tolist() == [0.0] * 3


# --- record


def test_a_recorded_function_runs_for_other_arguments() -> None:
    counted = Counted(lambda x, data: {"loss": np.sum(x * data), "all": x * 2.0})
    tape = tg.record(counted, X, np.ones(3))
    y = tape(2 * X, X)
    assert y["loss"] == 28.0
    assert y["all"].tolist() == (4 * X).tolist()
    assert len(tape) == len(tape.tape) > 0
    assert tape.nbytes == tape.tape.nbytes > 0


def test_a_tape_can_be_printed() -> None:
    text = str(tg.record(lambda x, d: np.sum(np.sin(x) * d * 2.5) if x[0] > 0 else 0.0, X, X))
    for word in ("input ", "constant ", "sin", "multiply", "sum", "guard", "2.5", "(3,)", "test_drivers.py:"):
        assert word in text
    assert text.splitlines()[-1].strip().startswith("result: v")


def test_a_recorded_function_has_a_gradient() -> None:
    tape = tg.record(weighted, X, X, argnums=(0, 1))
    value, (gx, gd) = tape.value_and_grad(X, 2 * X)
    assert value == np.sum(X * X * 2 * X)
    assert gx.tolist() == (4 * X * X).tolist()
    assert gd.tolist() == (X * X).tolist()
    assert tape.tape.independents.tolist() == tape.tape.inputs.tolist()


def test_a_recorded_function_without_a_scalar_has_none() -> None:
    tape = tg.record(lambda x: x * 2.0, X)
    assert tape(X).tolist() == (2 * X).tolist()
    with pytest.raises(ShapeError):
        tape.value_and_grad(X)


def test_a_recorded_function_of_no_arguments() -> None:
    assert tg.record(lambda: 2.0 + 3.0)() == 5.0


def test_other_shapes_are_recorded_beside_the_tape() -> None:
    tape = tg.record(square, X)
    n = len(tape)
    assert tape(np.ones((4, 5))) == 20.0
    assert len(tape) == n


# --- check_grad


def test_check_grad_passes() -> None:
    rng = np.random.default_rng(0)
    p = {"w": rng.normal(size=(3, 2)), "b": rng.normal(size=2), "s": 0.5, "e": np.ones(0), "n": np.float64(2.0)}
    x = rng.normal(size=(5, 3))

    def loss(p: Any, x: Any) -> Any:
        return np.sum(np.tanh(x @ p["w"] + p["b"]) ** 2) * p["s"] + p["n"] ** 3 + np.sum(p["e"])

    assert 0 <= tg.check_grad(loss, p, x) < 0.1
    assert tg.check_grad(loss, p, x, argnums=(0, 1)) < 0.1
    assert tg.check_grad(loss, p, x, argnums=(1, 0), samples=4) < 0.1
    assert tg.check_grad(loss, p, x, argnums=-1, samples=10**6) < 0.1


def test_check_grad_in_single_precision() -> None:
    assert tg.check_grad(lambda x: np.sum(np.exp(x) * np.sin(x)), np.linspace(-1, 1, 7, dtype=np.float32)) < 1


def test_check_grad_of_nothing() -> None:
    assert tg.check_grad(lambda p: 2.0, {}) == 0.0


def test_check_grad_leaves_its_arguments_as_they_are() -> None:
    x = X.copy()
    x.flags.writeable = False
    tg.check_grad(square, x)
    assert x.tolist() == X.tolist()


@pytest.mark.parametrize("k", range(6))
def test_check_grad_names_the_entry(k: int) -> None:
    def f(p: Any) -> Any:
        return np.sum(p["x"]) + p["s"] + 2.0 * tg.stop_gradient(p["x"])[k // 3, k % 3]

    with pytest.raises(GradientCheckError) as caught:
        tg.check_grad(f, {"s": 1.0, "x": np.ones((2, 3))})
    found = re.escape(f"found args[0]['x'][{k // 3}, {k % 3}]: gradient 1.0, finite difference ")
    assert re.search(found + r"(2\.99|3\.0)", str(caught.value))


def test_check_grad_names_the_worst_of_several() -> None:
    def f(x: Any) -> Any:
        return np.sum(x) + np.sum(np.array([0.1, 5.0, 1.0]) * tg.stop_gradient(x))

    with pytest.raises(GradientCheckError, match=r"args\[0\]\[1\]: gradient 1\.0, finite difference (6\.0|5\.99)"):
        tg.check_grad(f, X)


def test_check_grad_names_a_scalar() -> None:
    with pytest.raises(GradientCheckError, match=r"found args\[1\]: gradient 0\.0"):
        tg.check_grad(lambda x, y: x * tg.stop_gradient(y), 2.0, 3.0, argnums=(0, 1))


def test_check_grad_finds_nan() -> None:
    with pytest.raises(GradientCheckError, match="nan"), np.errstate(invalid="ignore"):
        tg.check_grad(lambda x: np.sum(np.sqrt(x)), np.array([1.0, -1.0, 4.0]))


def test_check_grad_draws_samples() -> None:
    # One wrong entry of 400: all entries find it, few seeds of few samples do.
    def f(x: Any) -> Any:
        return np.sum(x) + tg.stop_gradient(x)[123]

    x = np.ones(400)
    with pytest.raises(GradientCheckError, match=r"\[123\]"):
        tg.check_grad(f, x)
    found = 0
    for seed in range(20):
        try:
            assert tg.check_grad(f, x, samples=20, seed=seed) < 1
        except GradientCheckError:
            found += 1
    assert 0 < found < 10


def test_check_grad_takes_tolerances() -> None:
    def f(x: Any) -> Any:
        return np.sum(x) + 1e-3 * np.sum(tg.stop_gradient(x))

    with pytest.raises(GradientCheckError, match="rtol=1e-05, atol=1e-05"):
        tg.check_grad(f, X)
    assert tg.check_grad(f, X, rtol=1e-2) < 1
    assert tg.check_grad(f, X, atol=1e-2) < 1
    with pytest.raises(GradientCheckError, match="rtol=1e-06, atol=0"):
        tg.check_grad(f, X, rtol=1e-6, atol=0.0)


# --- stop_gradient


def test_stop_gradient_is_the_value_and_no_derivative() -> None:
    value, gradient = tg.value_and_grad(lambda x: np.sum(x * tg.stop_gradient(x * x)))(X)
    assert value == np.sum(X**3)
    assert gradient.tolist() == (X * X).tolist()


@pytest.mark.parametrize("x", [X, 2.0, np.float32(1.0), "text", None])
def test_stop_gradient_of_anything_else_is_that(x: Any) -> None:
    assert tg.stop_gradient(x) is x
