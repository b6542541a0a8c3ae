"""Sorting, places and masks: ties, nan, nothing at all, values that decide shapes, misuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import GRADIENT, MANY, Recorded
from tapegrad.errors import DtypeError, RerecordingWarning, ShapeError, TapegradError, UnsupportedError
from tests.models import Counted

NAN = np.nan
X = np.array([1.0, 2.0, 3.0])


def gradient(f: Callable[..., Any], x: Any) -> Any:
    return tg.grad(f)(np.asarray(x, float)).tolist()


def value(f: Callable[..., Any], x: Any) -> Any:
    return tg.value_and_grad(f)(np.asarray(x, float))[0]


# --- ties and nan


def test_equal_elements_stay_in_order() -> None:
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    assert gradient(lambda x: np.sum(np.sort(x) * weights), [2, 1, 2, 1]) == [100, 1, 1000, 10]
    assert gradient(lambda x: np.sum(np.sort(x, kind="quicksort")[::-1] * weights), [2, 1, 2, 1]) == [10, 1000, 1, 100]


def test_nan_is_sorted_last_and_has_its_own_derivative() -> None:
    f = Counted(lambda x: np.sum(np.sort(x)[:2] * X[:2]))
    assert tg.value_and_grad(f)(np.array([3.0, NAN, 1.0]))[0] == 7.0
    assert gradient(lambda x: np.sum(np.sort(x)[:2] * X[:2]), [3.0, NAN, 1.0]) == [2, 0, 1]


def test_the_first_of_equal_extremes_is_taken() -> None:
    assert gradient(lambda x: x[np.argmax(x)], [1, 3, 3]) == [0, 1, 0]
    assert gradient(lambda x: x[np.argmin(x)], [1, 1, 3]) == [1, 0, 0]


def test_a_nan_is_the_extreme() -> None:
    assert gradient(lambda x: x[np.argmax(x)], [1, NAN, 3]) == [0, 1, 0]
    assert gradient(lambda x: x[np.nanargmax(x)], [1, NAN, 3]) == [0, 0, 1]
    assert gradient(lambda x: x[np.nanargmin(x)], [1, NAN, 3]) == [1, 0, 0]


def test_running_extremes_are_where_they_were_met_first() -> None:
    weights = np.array([1.0, 10.0, 100.0, 1000.0])
    assert gradient(lambda x: np.sum(np.maximum.accumulate(x) * weights), [1, 1, 0, 2]) == [111, 0, 0, 1000]
    assert gradient(lambda x: np.sum(np.minimum.accumulate(x) * weights), [1, 1, 0, 2]) == [11, 0, 1100, 0]


def test_a_running_extreme_stays_nan() -> None:
    found = tg.vjp(np.maximum.accumulate, np.array([1.0, NAN, 5.0, NAN]))
    np.testing.assert_array_equal(found[0], [1.0, NAN, NAN, NAN])
    assert found[1](np.array([1.0, 10.0, 100.0, 1000.0]))[0].tolist() == [1, 1110, 0, 0]


def test_unique_gives_its_derivative_to_the_first() -> None:
    assert gradient(lambda x: np.sum(np.unique(x) * X), [5, 2, 5, 7, 2]) == [2, 1, 0, 3, 0]
    assert gradient(lambda x: np.sum(np.unique(x, axis=0)[:, 0] * X[:2]), [[5, 2], [1, 2], [5, 2]]) == [
        [2, 0],
        [1, 0],
        [0, 0],
    ]


def test_counts_of_unique_are_plain() -> None:
    def f(x: Any) -> Any:
        values, counts = np.unique(x, return_counts=True)
        assert type(counts) is np.ndarray
        return np.sum(values * counts)

    assert gradient(f, [5, 2, 5, 7, 5]) == [3, 1, 0, 1, 0]


# --- no guard where none is needed


def test_orders_need_no_guard() -> None:
    def f(x: Any) -> Any:
        order = np.argsort(x)
        return np.sum(x[order] * X) + x[np.argmax(x)] * np.searchsorted(np.sort(x), 1.5) + np.median(x)

    counted = Counted(f)
    g = tg.value_and_grad(counted)
    rng = np.random.default_rng(0)
    for _ in range(5):
        x = rng.normal(size=3)
        weights = X.copy() + np.array([0, 1, 0])  # the median is the second
        weights[2] += np.searchsorted(np.sort(x), 1.5)
        wanted = np.empty(3)
        wanted[np.argsort(x)] = weights
        found, slope = g(x)
        assert found == pytest.approx(np.sum(np.sort(x) * weights), rel=1e-13)
        assert slope.tolist() == wanted.tolist()
    assert counted.runs == 1


def test_bins_that_go_on_rising_are_recorded_once() -> None:
    counted = Counted(lambda b: np.sum(b * np.digitize(b, b)))
    g = tg.grad(counted)
    assert g(np.array([1.0, 2.0])).tolist() == [1, 2]
    assert g(np.array([3.0, 5.0])).tolist() == [1, 2]
    assert g(np.array([5.0, 3.0])).tolist() == [0, 1]
    assert counted.runs == 2


# --- values that decide a shape


SHAPES: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "mask": (lambda x: np.sum(x[x > 0] ** 2), lambda x: np.where(x > 0, 2 * x, 0.0)),
    "mask of rows": (
        lambda x: np.sum(x.reshape(2, 3)[:, x[:3] > 0] ** 2),
        lambda x: np.where(np.tile(x[:3] > 0, 2), 2 * x, 0.0),
    ),
    "nonzero": (lambda x: np.sum(x[np.nonzero(x > 0)] ** 2), lambda x: np.where(x > 0, 2 * x, 0.0)),
    "flatnonzero": (
        lambda x: np.sum(x[np.flatnonzero(x.reshape(3, 2) > 0)]) * 2.0,
        lambda x: np.where(x > 0, 2.0, 0.0),
    ),
    "argwhere": (lambda x: np.sum(x[np.argwhere(x > 0)[:, 0]]), lambda x: np.where(x > 0, 1.0, 0.0)),
    "where": (lambda x: np.mean(x[np.where(x > 0)]), lambda x: np.where(x > 0, 1.0, 0.0) / np.sum(x > 0)),
    "loop over places": (
        lambda x: sum((x[k] for k in np.flatnonzero(x > 0)), 0.0 * x[0]),
        lambda x: np.where(x > 0, 1.0, 0.0),
    ),
    "plain array at places": (
        lambda x: np.sum(x[x > 0] * np.arange(6.0)[np.flatnonzero(x > 0)]),
        lambda x: np.where(x > 0, np.arange(6.0), 0.0),
    ),
    "unique": (
        lambda x: np.sum(np.unique(np.maximum(x, 0.0) * 1.0) ** 2),
        lambda x: np.where(x > 0, 2 * x, 0.0),
    ),
}


@pytest.mark.parametrize("name", [name for name, (_, wanted) in SHAPES.items() if wanted])
def test_another_shape_is_recorded_anew(name: str) -> None:
    f, wanted = SHAPES[name]
    counted = Counted(f)
    g = tg.value_and_grad(counted)
    x = np.array([1.0, -2.0, 3.0, -4.0, 5.0, 6.0])
    for point in (x, 1.5 * x, -x, x + 10, 2.0 * x, -2 * x):
        found, slope = g(point)
        assert found == pytest.approx(f(point), rel=1e-14)
        assert slope.tolist() == wanted(point).tolist()
    assert counted.runs == 3


def test_a_mask_of_nothing() -> None:
    counted = Counted(lambda x: np.sum(x[x > 0] ** 2))
    g = tg.value_and_grad(counted)
    assert g(np.array([-1.0, -2.0]))[0] == 0.0
    assert g(np.array([-1.0, 2.0]))[1].tolist() == [0, 4]
    assert g(np.array([-5.0, -2.0]))[1].tolist() == [0, 0]
    assert counted.runs == 2


def test_a_mask_that_is_an_argument() -> None:
    counted = Counted(lambda x, m: np.sum(x[m] ** 2))
    g = tg.grad(counted)
    for m in ([True, False, True], [False, False, True], [True, False, True]):
        assert g(X, np.array(m)).tolist() == np.where(m, 2 * X, 0).tolist()
    assert counted.runs == 2


def test_a_mask_that_no_argument_decides_is_no_guard() -> None:
    def f(x: Any) -> Any:
        return np.sum(x[tnp.array([x.size > 2, False, True])])

    recorded = Recorded(f, GRADIENT)
    _, recording = recorded.run(bind((X,), (0,)))
    assert recording.outcomes == ()


def test_masks_broadcast_as_numpys_do() -> None:
    """A mask beside an index array, of two axes, and of none."""
    x = np.arange(12.0).reshape(3, 4) - 5.5
    for f in (
        lambda x: x[x[:, 0] > -2, [0, 1]] ** 2,
        lambda x: x[x > 0],
        lambda x: x[x[0, 0] < 0] * 2.0,
        lambda x: x[x[0, 0] > 0] * 2.0,
        lambda x: x[None, x[:, 1] > 0, 1:],
    ):
        found, pullback = tg.vjp(f, x)
        np.testing.assert_array_equal(found, f(x))
        assert pullback(np.ones_like(found))[0].shape == x.shape


def test_masks_that_keep_changing_warn() -> None:
    g = tg.grad(lambda x: np.sum(x[x > 0]))
    for k in range(MANY - 1):
        g(np.where(np.arange(MANY) > k, 1.0, -1.0))
    with pytest.warns(RerecordingWarning, match=r"np\.where records once"):
        g(np.ones(MANY))


def test_an_integer_variable_as_an_index_is_no_guard() -> None:
    counted = Counted(lambda x, i: np.sum(x[i] ** 2))
    g = tg.grad(counted)
    assert g(X, np.array([0, 2])).tolist() == [2, 0, 6]
    assert g(X, np.array([1, 1])).tolist() == [0, 8, 0]
    assert counted.runs == 1


def test_take_counts_booleans() -> None:
    assert gradient(lambda x: np.sum(np.take(x, x > 1.5) * X), X) == [1, 5, 0]


def test_the_length_of_a_bincount_is_a_guard() -> None:
    counted = Counted(lambda x, k: np.sum(np.bincount(k, x) * np.arange(1.0, int(k.max()) + 2)))
    g = tg.grad(counted)
    assert g(X, np.array([0, 2, 0])).tolist() == [1, 3, 1]
    assert g(X, np.array([2, 1, 0])).tolist() == [3, 2, 1]
    assert g(X, np.array([0, 1, 1])).tolist() == [1, 2, 2]
    assert counted.runs == 2


def test_nan_alone_is_found_by_a_later_call() -> None:
    g = tg.grad(lambda x: x[np.nanargmax(x)])
    assert g(np.array([NAN, 1.0])).tolist() == [0, 1]
    with pytest.raises(ShapeError, match="nanargmax: found nothing but nan"):
        g(np.array([NAN, NAN]))
    assert g(np.array([NAN, 2.0])).tolist() == [0, 1]


# --- nothing at all


@pytest.mark.parametrize(
    "f",
    [
        np.sort,
        np.unique,
        np.cumsum,
        np.cumprod,
        np.maximum.accumulate,
        lambda x: x[np.argsort(x)],
        lambda x: np.partition(np.concatenate([x, [1.0]]), 0)[1:],
        lambda x: x[np.nonzero(x)],
        lambda x: np.setdiff1d(x, [1.0]),
        lambda x: np.unique(x.reshape(0, 2), axis=0),
        lambda x: np.searchsorted(x, [0.5, 1.5]),
        lambda x: np.isin([1.0, 2.0], x),
    ],
)
def test_nothing_is_sorted_as_numpy_does(f: Callable[..., Any]) -> None:
    found, pullback = tg.vjp(f, np.zeros(0))
    wanted = f(np.zeros(0))
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found, wanted)
    assert pullback(np.zeros(wanted.shape))[0].shape == (0,)


# --- partitions


@pytest.mark.parametrize("kth", [0, 3, -1, (2, 5), [1, -2]])
def test_a_partition_puts_its_places_where_sorting_does(kth: Any) -> None:
    x = np.random.default_rng(0).integers(0, 6, (3, 8)).astype(float)
    for axis in (0, 1, -1, None):
        if axis == 0 and np.max(np.abs(kth)) > 2:
            continue
        found = tg.vjp(lambda x, axis=axis: np.partition(x, kth, axis=axis), x)[0]
        line, s = (found.ravel(), np.sort(x, None)) if axis is None else (found, np.sort(x, axis))
        along = 0 if axis is None else axis
        for k in np.atleast_1d(kth):
            here = np.take(line, [k], along)
            np.testing.assert_array_equal(here, np.take(s, [k], along))
            place = k % line.shape[along]
            assert np.all(np.take(line, range(place), along) <= here)
            assert np.all(np.take(line, range(place, line.shape[along]), along) >= here)
        np.testing.assert_array_equal(np.sort(line, along), s)


# --- tapegrad.numpy takes lists


def test_lists_of_variables() -> None:
    assert gradient(lambda x: tnp.sum(tnp.sort([x[2], x[0], 2.5]) * X), X) == [1, 0, 3]
    assert gradient(lambda x: x[tnp.argmax([x[0], 5.0, x[2]])], X) == [0, 1, 0]
    assert value(lambda x: tnp.lexsort((x, [1, 0, 1]))[0] + 0.0, X) == 1.0


# --- misuse

MISUSE: dict[str, tuple[Callable[..., Any], type[TapegradError], str]] = {
    "axis of sort": (lambda x: np.sort(x, axis=1), ShapeError, "sort: found axis 1; wanted an axis of an array of 1"),
    "axis of argmax": (lambda x: np.argmax(x, axis=2), ShapeError, "argmax: found axis 2"),
    "argmax of nothing": (lambda x: np.argmax(x[:0]), ShapeError, r"argmax: found shape \(0,\); wanted one element"),
    "argmin of empty rows": (lambda x: np.argmin(x.reshape(3, 1)[:, :0], axis=1), ShapeError, r"\(3, 0\)"),
    "nan alone": (lambda x: np.nanargmin(x * NAN), ShapeError, "nanargmin: found nothing but nan along an axis"),
    "out of argmax": (lambda x: np.argmax(x, out=np.zeros((), int)), UnsupportedError, "argmax: found out="),
    "kth": (lambda x: np.partition(x, 3), ShapeError, "found kth=3; wanted places on an axis of length 3"),
    "kth below": (lambda x: np.argpartition(x, (0, -4)), ShapeError, "found kth=-4"),
    "kind": (lambda x: np.partition(x, 1, kind="x"), UnsupportedError, "argpartition: found kind="),
    "keys": (lambda x: np.lexsort((x, x[1:])), ShapeError, r"lexsort: found keys of shapes \[\(2,\), \(3,\)\]"),
    "searchsorted": (lambda x: np.searchsorted(x.reshape(3, 1), 1.0), ShapeError, r"shape \(3, 1\); wanted one axis"),
    "side": (lambda x: np.searchsorted(x, 1.0, "middle"), UnsupportedError, "found side='middle'; wanted 'left' or"),
    "bins": (lambda x: np.digitize(x, [1.0, 3.0, 2.0]), ShapeError, "digitize: found bins in no order"),
    "bins from x": (lambda x: np.digitize(x, np.sin(4 * x)), ShapeError, "digitize: found bins in no order"),
    "bins of two axes": (lambda x: np.digitize(x, x.reshape(3, 1)), ShapeError, r"bins of shape \(3, 1\)"),
    "where of two": (lambda x: np.where(x > 1, x), UnsupportedError, "where: found two arguments; wanted one or three"),
    "mask of another shape": (lambda x: x[x[:2] > 1], IndexError, r"mask of shape \(2,\); wanted one of shape \(3,\)"),
    "floats as an index": (lambda x: x[np.sort(x)], DtypeError, "a Variable of dtype float64"),
    "floats counted": (
        lambda x: np.bincount(x * 2),
        DtypeError,
        "bincount: found an array of float64; wanted integers",
    ),
    "negative integers counted": (
        lambda x: np.bincount(np.argmax(x) - np.arange(4)),
        ShapeError,
        "bincount: found negative integers",
    ),
    "weights counted": (lambda x: np.bincount(np.arange(2), x), ShapeError, r"weights of shape \(3,\)"),
    "axis of unique": (lambda x: np.unique(x, axis=1), ShapeError, "unique: found axis 1"),
}


@pytest.mark.parametrize("name", MISUSE)
def test_misuse(name: str) -> None:
    f, kind, words = MISUSE[name]
    with pytest.raises(kind, match=words) as caught:  # type: ignore[arg-type]
        tg.vjp(f, X)
    assert isinstance(caught.value, TapegradError)
    assert f"(at {f.__code__.co_filename}:{f.__code__.co_firstlineno}" in str(caught.value)


def test_options_that_numpy_does_not_know_either() -> None:
    with pytest.raises(ValueError, match="sort kind"):
        tg.vjp(lambda x: np.sort(x, kind="x"), X)
    with pytest.raises(ValueError, match="order"):
        tg.vjp(lambda x: np.argsort(x, order="a"), X)
    with pytest.raises(ValueError, match="at the same time"):
        tg.vjp(lambda x: np.sort(x, kind="stable", stable=True), X)
    with pytest.raises(ValueError, match="0d"):
        tg.vjp(lambda x: np.nonzero(x[0]), X)
