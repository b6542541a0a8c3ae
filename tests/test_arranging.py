"""Functions that rearrange, pad, choose and space, beyond their values: misuse, constants that change, the tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.errors import (
    CapturedArrayError,
    DtypeError,
    ElementIndexError,
    ShapeError,
    TapegradError,
    UnsupportedError,
)
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.functions.picking import picked
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tests.helpers import F64

X: Final = np.array([[0.5, -1.5, 2.5, 0.1], [1.0, 0.25, -3.0, 0.2], [2.0, 1.75, -0.5, 0.3]])
V: Final = X[0]
K: Final = np.array([1, 0, 2])

# --- what is wrong with a call, and what the message says of it

WRONG: Final[dict[str, tuple[Callable[[Any], Any], type[TapegradError], tuple[str, ...]]]] = {
    # shapes, axes, counts
    "tile": (lambda x: np.tile(x, -1), ShapeError, ("tile", "[1, -1]", "not negative")),
    "repeat": (lambda x: np.repeat(x, [1, 2], axis=0), ShapeError, ("repeat", "(2,)", "length 3")),
    "repeat less than never": (lambda x: np.repeat(x, [1, -1, 1], axis=0), ShapeError, ("repeat", "length 3")),
    "resize": (lambda x: np.resize(x, (2, -1)), ShapeError, ("resize", "(2, -1)", "not negative")),
    "roll": (lambda x: np.roll(x, (1, 2), (0, 1, 0)), ShapeError, ("roll", "2 shifts and 3 axes")),
    "roll along no axis": (lambda x: np.roll(x, 1, 2), ShapeError, ("roll", "axis 2", "2 axes")),
    "rollaxis": (lambda x: np.rollaxis(x, 0, 3), ShapeError, ("rollaxis", "start 3", "from -2 to 2")),
    "rot90": (lambda x: np.rot90(x, 1, (0, -2)), ShapeError, ("rot90", "(0, -2)", "two different axes")),
    "split": (lambda x: np.split(x, 2), ShapeError, ("split", "2 parts of axis 0, of length 3", "np.array_split")),
    "array_split": (lambda x: np.array_split(x, 0), ShapeError, ("array_split", "0 parts", "a part or more")),
    "vsplit": (lambda x: np.vsplit(x[0], 2), ShapeError, ("vsplit", "(4,)", "2 axes or more")),
    "append": (lambda x: np.append(x, x[0], axis=0), ShapeError, ("append", "(3, 4) and (4,)", "axis 0")),
    "insert": (lambda x: np.insert(x, 9, 1.0, axis=0), ElementIndexError, ("insert", "obj 9", "length 3")),
    "insert too many": (lambda x: np.insert(x, [0, 1], x, axis=0), ShapeError, ("broadcast_to", "(3, 4)", "(2, 4)")),
    "delete": (lambda x: np.delete(x, 5, axis=1), ElementIndexError, ("delete", "obj 5", "length 4")),
    "delete by a mask": (lambda x: np.delete(x, [True, False]), ShapeError, ("delete", "length 12")),
    "delete by floats": (lambda x: np.delete(x, [0.5]), UnsupportedError, ("delete", "float64", "integers, booleans")),
    "block": (lambda x: np.block([[x], x]), ShapeError, ("block", "0 and 1 deep")),
    "block of nothing": (lambda x: np.block([[x], []]), ShapeError, ("block", "an empty list")),
    "block of a tuple": (lambda x: tnp.block((x, x)), ShapeError, ("block", "a tuple", "lists")),
    "meshgrid": (lambda x: np.meshgrid(x, x, indexing="yx"), ShapeError, ("meshgrid", "'yx'", "'xy' or 'ij'")),
    "ix_": (lambda x: np.ix_(x > 0), ShapeError, ("ix_", "(3, 4)", "one axis each")),
    "diag": (lambda x: np.diag(x[None]), ShapeError, ("diag", "(1, 3, 4)", "one axis or two")),
    "diagonal": (lambda x: np.diagonal(x, 0, 1, -1), ShapeError, ("diagonal", "1 and -1", "two different axes")),
    "trace": (lambda x: np.trace(x[0]), ShapeError, ("trace", "(4,)", "two axes or more")),
    "tril": (lambda x: np.tril(x[0, 0]), ShapeError, ("tril", "without axes")),
    "tril_indices_from": (lambda x: np.tril_indices_from(x[0]), ShapeError, ("tril_indices_from", "(4,)")),
    "diag_indices_from": (np.diag_indices_from, ShapeError, ("diag_indices_from", "(3, 4)", "one length")),
    "vander": (np.vander, ShapeError, ("vander", "(3, 4)", "one axis")),
    "unstack": (lambda x: np.unstack(x[0, 0]), ShapeError, ("unstack", "without axes")),
    "pad": (lambda x: np.pad(x, -1), ShapeError, ("pad", "pad_width -1", "not negative")),
    "pad for three axes": (lambda x: np.pad(x, [(1, 1)] * 3), ShapeError, ("pad", "pad_width", "(3, 4)")),
    "pad with nothing": (lambda x: np.pad(x[:0], 1, "edge"), ShapeError, ("axis 0 of length 0", "mode='constant'")),
    "pad a mode": (lambda x: np.pad(x, 1, "mirror"), UnsupportedError, ("pad", "'mirror'", "reflect")),
    "pad by a function": (lambda x: np.pad(x, 1, lambda *_: None), UnsupportedError, ("pad", "mode=<function")),
    "pad an option": (lambda x: np.pad(x, 1, "edge", end_values=1), ShapeError, ("['end_values']", "'edge'", "none")),
    "pad stat_length": (
        lambda x: np.pad(x, 1, "mean", stat_length=0),
        ShapeError,
        ("stat_length", "an element or more"),
    ),
    "pad values": (lambda x: np.pad(x, 1, constant_values=[1.0] * 3), ShapeError, ("constant_values of shape (3,)",)),
    "diff": (lambda x: np.diff(x, -1), ShapeError, ("diff", "order -1", "not negative")),
    "diff with more": (lambda x: np.diff(x, append=x[:2]), ShapeError, ("diff", "(3, 4) and (2, 4)", "axis 1")),
    "ediff1d": (lambda x: np.ediff1d(x.astype(int), 0.5), UnsupportedError, ("ediff1d", "int64", "same kind")),
    "gradient": (lambda x: np.gradient(x[:1]), ShapeError, ("gradient", "axis 0 of length 1", "2 elements or more")),
    "gradient with edges": (lambda x: np.gradient(x, edge_order=3), ShapeError, ("gradient", "edge_order=3", "1 or 2")),
    "gradient along": (lambda x: np.gradient(x, K, axis=1), ShapeError, ("a spacing of shape (3,)", "4 coordinates")),
    "cross": (lambda x: np.cross(x, x), ShapeError, ("cross", "4 elements", "3, or 2")),
    "linspace": (lambda x: np.linspace(x, 1.0, -2), ShapeError, ("linspace", "-2 samples", "not negative")),
    "linspace between": (lambda x: np.linspace(x, K), ShapeError, ("linspace", "(3, 4) and (3,)", "broadcast")),
    "interp": (lambda x: np.interp(x, [0.0, 1.0], [0.0, 1.0, 2.0]), ShapeError, ("interp", "(2,)", "(3,)")),
    "interp periodic": (lambda x: np.interp(x, K, K, period=0), ShapeError, ("interp", "period of 0")),
    "convolve": (lambda x: np.convolve(x, x[0]), ShapeError, ("convolve", "(3, 4) and (4,)", "one axis each")),
    "convolve with nothing": (lambda x: np.convolve(x[0], []), ShapeError, ("convolve", "(0,)", "an element or more")),
    "convolve a mode": (lambda x: np.convolve(x[0], x[1], "half"), ShapeError, ("'half'", "'full', 'same' or 'valid'")),
    "polyval": (lambda x: np.polyval(x[0, 0], x), ShapeError, ("polyval", "without axes")),
    "polyder": (np.polyder, ShapeError, ("polyder", "(3, 4)", "one axis")),
    "polyint": (lambda x: np.polyint(x[0], 3, [1.0, 2.0]), ShapeError, ("polyint", "2 integration constants", "or 3")),
    "poly of a matrix": (lambda x: np.poly(x[:, :3]), ShapeError, ("poly", "(3, 3)", "a sequence of zeros")),
    "select": (lambda x: np.select([x > 0], [x, x]), ShapeError, ("select", "1 conditions and 2 choices")),
    "select by floats": (lambda x: np.select([x], [x]), DtypeError, ("select", "float64", "booleans")),
    "choose": (lambda x: np.choose([0, 3], [x[0, 0], 1.0]), ElementIndexError, ("choose", "from 0 to 1")),
    "choose by floats": (lambda x: np.choose(x, [x, x]), DtypeError, ("choose", "float64", "integers")),
    "choose a mode": (lambda x: np.choose([0], [x], mode="c"), ShapeError, ("choose", "'c'", "'wrap'")),
    "choose shapes": (lambda x: np.choose(K, [x, x]), ShapeError, ("choose", "(3,), (3, 4)", "broadcast")),
    "compress": (lambda x: np.compress([0, 0, 0, 1], x, 0), ElementIndexError, ("compress", "true at 3", "before 3")),
    "compress by a matrix": (lambda x: np.compress(X > 0, x), ShapeError, ("compress", "(3, 4)", "one axis")),
    "extract": (lambda x: np.extract(np.ones(13), x), ElementIndexError, ("extract", "true at 12", "before 12")),
    "take": (lambda x: np.take(x, 0, mode="near"), UnsupportedError, ("take", "'near'", '"wrap"')),
    "piecewise": (lambda x: np.piecewise(x, [x > 0], [1, 2, 3]), ShapeError, ("piecewise", "1 conditions and 3")),
    "piecewise shapes": (lambda x: np.piecewise(x, [x[0] > 0], [1]), ShapeError, ("piecewise", "(4,)", "(3, 4)")),
    "piecewise results": (lambda x: np.piecewise(x, [x > 0], [lambda v: X[0]]), ShapeError, ("a piece of shape (4,)",)),
    "apply_along_axis": (
        lambda x: np.apply_along_axis(np.sum, 0, x[:, :0]),
        ShapeError,
        ("apply_along_axis", "(3, 0)"),
    ),
    "apply_over_axes": (
        lambda x: np.apply_over_axes(lambda a, _: a[None], x, 0),
        ShapeError,
        ("(1, 3, 4)", "one less"),
    ),
    "unravel_index": (lambda x: np.unravel_index(x, (3, 4)), DtypeError, ("unravel_index", "float64", "integers")),
    # in place
    "nan_to_num": (lambda x: np.nan_to_num(x, copy=False), UnsupportedError, ("nan_to_num", "in place", "x = np.nan")),
    "out": (lambda x: np.compress([1], x, out=np.zeros(1)), UnsupportedError, ("compress", "out=")),
    # values that decide a shape, but are no integers
    "counts": (lambda x: np.repeat(x, x[:, 0], 0), UnsupportedError, ("repeat", "counts", "(3,)", "integers")),
    "ix_ by floats": (lambda x: np.ix_(x[0]), UnsupportedError, ("ix_", "indices", "float64", "integers or booleans")),
    "delete by a Variable": (lambda x: np.delete(x, x[0]), UnsupportedError, ("delete", "indices", "float64")),
    # pieces that look at several elements
    "mixing": (
        lambda x: np.piecewise(x, [x > 0], [lambda v: v - np.mean(v), 0.0]),
        UnsupportedError,
        ("piecewise", "(sum)", "plain array"),
    ),
    "mixing by order": (
        lambda x: np.piecewise(x, [x > 0], [lambda v: v[::-1], 0.0]),
        UnsupportedError,
        ("several elements at once (slice)",),
    ),
}


def raised(f: Callable[[Any], Any], kind: type[TapegradError]) -> str:
    with pytest.raises(kind) as caught:
        tg.record(f, X)
    return str(caught.value)


@pytest.mark.parametrize("name", WRONG)
def test_misuse(name: str) -> None:
    f, kind, words = WRONG[name]
    text = raised(f, kind)
    assert all(word in text for word in (*words, "test_arranging.py")), text


def test_an_index_outside_that_only_a_call_shows() -> None:
    g = tg.grad(lambda x, k: np.sum(np.choose(k, [x, x * x, 1.0])))
    np.testing.assert_allclose(g(V[:3], K), [2 * 0.5, 1.0, 0.0])
    for outside in (3, -1):
        with pytest.raises(ElementIndexError):
            g(V[:3], K * 0 + outside)


# --- arguments that are known: watched, or guarded

WATCHED: Final[dict[str, tuple[Callable[[Any, Any], Any], Any, Any]]] = {
    "repeat": (lambda x, n: np.repeat(x, n, 1), np.array([1, 0, 2, 0]), 0),
    "roll": (lambda x, n: np.roll(x, n, (0, 1)), np.array([1, 0]), 0),
    "delete": (np.delete, np.array([1, 3]), 2),
    "split": (lambda x, n: np.split(x, n)[0], np.array([1, 2]), 2),
    "compress": (lambda x, m: np.compress(m, x, 0), np.array([True, True, False]), False),
    "pad": (np.pad, np.array([[1, 2], [0, 1]]), 3),
    "pad by values": (lambda x, c: np.pad(x, 1, constant_values=c), np.array([0.0, 0.0]), 1.0),
    "take": (lambda x, k: np.take(x, k, mode="wrap"), np.array([3, 19]), 4),
    "choose": (lambda x, k: np.choose(k, [x, x * x]), np.array([0, 1, 0, 1]), 1),
    "piecewise": (lambda x, m: np.piecewise(x, [m], [np.sin, np.cos]), X > 0, False),
    "interp": (lambda x, p: np.interp(x, p, [1.0, 2.0, 0.0]), np.array([0.0, 1.0, 2.0]), -1.0),
    "gradient": (lambda x, p: np.gradient(x, p, axis=0), np.array([0.0, 1.0, 2.0]), -1.0),
}


@pytest.mark.parametrize("name", WATCHED)
def test_constant_arrays_are_watched(name: str) -> None:
    call, given, other = WATCHED[name]
    array = np.array(given)
    g = tg.grad(lambda x: np.sum(call(x, array) ** 2))
    g(X)
    g(X)
    array.flat[0] = other
    with pytest.raises(CapturedArrayError):
        g(X)


PINNED: Final[dict[str, tuple[Callable[[Any, Any], Any], tuple[Any, ...]]]] = {
    "a count": (np.repeat, (np.array(1), np.array(3))),
    "counts": (np.repeat, (np.array([1, 0, 2, 1]), np.array([1, 1, 1, 0]))),
    "a mask to compress by": (lambda x, k: np.compress(k > 0, x), (np.array([1, 0, 2, 0]), np.array([0, 0, 0, 1]))),
    "floats to extract by": (lambda x, k: np.extract(k * 1.5, x), (np.array([1, 0, 2, 0]), np.array([0, 0, 0, 1]))),
    "a mask to delete by": (lambda x, k: np.delete(x, k > 0), (np.array([1, 0, 2, 0]), np.array([0, 0, 0, 1]))),
    "a place to insert at": (lambda x, k: np.insert(x, k, 5.0), (np.array(0), np.array(-1))),
    "a mask in ix_": (lambda x, k: x[np.ix_(k > 0)], (np.array([1, 0, 2, 0]), np.array([0, 0, 0, 1]))),
    "widths": (lambda x, n: np.pad(x, n, "edge"), (np.array([0, 2]), np.array([1, 0]))),
    "a number of samples": (lambda x, n: np.linspace(x, 1.0, n), (np.array(2), np.array(3))),
    "sections": (lambda x, n: np.split(x, n)[-1], (np.array(2), np.array(4))),
    "a mask of x itself": (lambda x, k: np.compress(x > k, x), (np.array(0), np.array(-2))),
}


@pytest.mark.parametrize("name", PINNED)
def test_what_decides_a_shape_is_a_guard(name: str) -> None:
    call, given = PINNED[name]
    count = 0

    def loss(np: Any, x: Any, n: Any) -> Any:
        y = call(x, n)
        return np.sum(y**2 * (np.arange(y.size).reshape(y.shape) + 1))

    def f(x: Any, n: Any) -> Any:
        nonlocal count
        count += 1
        return loss(np, x, n)

    g = tg.grad(f)
    for n in (*given, *given):
        found = g(V, n)
        wanted = [(loss(np, V + h, n) - loss(np, V - h, n)) / 2e-4 for h in 1e-4 * np.eye(4)]
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)
    assert count == len(given)


def test_a_shift_decides_no_shape() -> None:
    count = 0

    def f(x: Any, n: Any) -> Any:
        nonlocal count
        count += 1
        return np.sum(np.roll(x, n) * np.arange(4.0))

    g = tg.grad(f)
    for n in (0, 1, -6):
        np.testing.assert_array_equal(g(V, np.array(n)), np.roll(np.arange(4.0), -n))
    assert count == 1


# --- what is recorded


def ops(f: Callable[[Any], Any], x: Any = X) -> list[str]:
    """The ops that a function of one array records."""
    recorder = Recorder(F64, FUNCTIONS)
    f(recorder.input(x, independent=True))
    return [op.name for _, op, _ in recorder.instructions(1)]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.roll(x, 1, 0),
        lambda x: np.pad(x, 2, "reflect"),
        lambda x: np.pad(x, 2, "edge"),
        lambda x: np.delete(x, 1, 0),
        lambda x: np.compress([1, 0, 1], x, 0),
        lambda x: np.insert(x, 1, 2.0, 0),
        lambda x: np.tile(x, 3),
        lambda x: np.resize(x, (5, 5)),
        lambda x: np.convolve(x[0], x[1]),
        lambda x: np.convolve(np.tile(x.ravel(), 4), np.tile(x.ravel(), 3)),
    ],
)
def test_straight_runs_are_windows(call: Callable[[Any], Any]) -> None:
    assert "gather" not in ops(call)


def test_scattered_places_are_gathered() -> None:
    places = np.array([3, 1, 1, 2, 3, 0, 2, 2, 1, 3, 0, 1, 3, 2])
    assert ops(lambda x: np.repeat(x, [1, 2, 0], axis=0)).count("gather") <= 1
    recorder = Recorder(F64, FUNCTIONS)
    v = recorder.input(V, independent=True)
    found = picked(v, 0, places)
    assert [op.name for _, op, _ in recorder.instructions(1)] == ["constant", "gather"]
    np.testing.assert_array_equal(recorder.values[found._slot], V[places])


def test_picked_is_numpys_indexing() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        runs = [
            np.arange(rng.integers(1, 5)) * s + b
            for s, b in zip(rng.integers(-2, 3, 9), rng.integers(8, 12, 9), strict=True)
        ]
        index = np.concatenate([*runs[: rng.integers(1, 9)], np.zeros(0, int)])[rng.integers(0, 4) :]
        recorder = Recorder(F64, FUNCTIONS)
        v = recorder.input(rng.uniform(size=(2, 20)), independent=True)
        found = picked(v, 1, index)
        np.testing.assert_array_equal(recorder.values[found._slot], recorder.values[v._slot][:, index])


def test_constants_alone_are_numpys() -> None:
    """Without a Variable, the functions of tapegrad.numpy are NumPy's."""
    assert type(tnp.pad(V, 1)) is np.ndarray
    assert tnp.linspace(0, 1, 3).tolist() == [0.0, 0.5, 1.0]
    assert tnp.array_equal(V, V) is True
    assert tnp.piecewise(V, [V > 0], [lambda v: v - v.sum(), 0.0])[1] == 0.0


def test_pieces_may_look_things_up() -> None:
    """A piece chosen by a Variable may use tables, other Variables and whatever works element by element."""

    def f(x: Any) -> Any:
        return np.piecewise(
            x,
            [x < 0, x > 2],
            [lambda v: np.interp(v, [-4.0, -1.0, 0.0], [1.0, 0.5, 2.0]), lambda v: v * np.sum(x), np.sinc],
        )

    wanted = np.piecewise(
        X, [X < 0, X > 2], [lambda v: np.interp(v, [-4.0, -1.0, 0.0], [1.0, 0.5, 2.0]), lambda v: v * X.sum(), np.sinc]
    )
    value, _ = tg.value_and_grad(lambda x: np.sum(f(x) * np.arange(12).reshape(3, 4)))(X)
    np.testing.assert_allclose(value, np.sum(wanted * np.arange(12).reshape(3, 4)))


def test_pieces_outside_their_domain_leave_no_trace() -> None:
    g = tg.grad(lambda x: np.sum(np.piecewise(x, [x > 0], [np.log, lambda v: v**2])))(X)
    np.testing.assert_allclose(g, np.where(X > 0, 1 / np.where(X > 0, X, 1.0), 2 * X))


def test_results_of_tests_are_variables() -> None:
    recorder = Recorder(F64, FUNCTIONS)
    x = recorder.input(X, independent=True)
    for found in (np.allclose(x, X), np.array_equal(x, X), np.array_equiv(x, X)):
        assert isinstance(found, Variable)
        assert found.shape == ()
    assert np.array_equal(x, V) is False
    assert np.array_equiv(x, K) is False
