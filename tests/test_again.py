"""A call like an earlier one takes a short way; one that differs in anything gives what a first call gives."""

from __future__ import annotations

import gc
import itertools
import threading
import weakref
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.drivers import gradient as gradient_module
from tapegrad.drivers import recorded as recorded_module
from tapegrad.drivers.again import Form
from tapegrad.drivers.arguments import bind
from tapegrad.errors import CapturedArrayError, DtypeError, ElementIndexError, UnsupportedError
from tapegrad.recorded import record as recording_module
from tapegrad.sweep.objects import CHECK, NUMBER, SKIP, TAKE, Row, Table, gather
from tapegrad.sweep.run import Runner
from tapegrad.trees import flatten
from tests.models import Counted

X = np.array([1.0, -2.0, 3.0])
Pair = namedtuple("Pair", "a b")  # noqa: PYI024 - what users have


@dataclass
class Weights:
    w: Any
    b: Any


class Long:
    """Counts the calls that take the long way."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.count = 0

    def __call__(self, *args: Any) -> Any:
        self.count += 1
        return self.function(*args)


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> Long:
    found = Long(bind)
    monkeypatch.setattr(gradient_module, "bind", found)
    monkeypatch.setattr(recording_module, "bind", found)
    return found


def total(*trees: Any) -> Any:
    """Of all leaves that are numbers, squared and weighted by their places."""
    leaves = [leaf for tree in trees for leaf in flatten(tree)[0] if not isinstance(leaf, (str, int))]
    return sum(np.sum(leaf * leaf) * (k + 1) for k, leaf in enumerate(leaves))


def same(found: Any, wanted: Any) -> None:
    """Equal in structure, types, dtypes, and bit for bit."""
    a, b = flatten(found), flatten(wanted)
    assert a[1] == b[1]
    assert repr(a[1]) == repr(b[1])  # keys that are equal may be of other types
    for x, y in zip(a[0], b[0], strict=True):
        assert type(x) is type(y)
        assert np.asarray(x).dtype == np.asarray(y).dtype
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


# --- what takes the short way

UNALIGNED = np.zeros(25, np.uint8)[1:].view(np.float64)
UNALIGNED[:] = X
LIKE: dict[str, Callable[[float], tuple[Any, ...]]] = {
    "array": lambda s: (X * s,),
    "single": lambda s: (np.float32(X * s),),
    "matrix": lambda s: (np.arange(6.0).reshape(2, 3) * s,),
    "empty": lambda s: (np.zeros((0, 3)),),
    "no axes": lambda s: (np.array(2.0 * s),),
    "float": lambda s: (2.0 * s,),
    "float64": lambda s: (np.float64(2.0 * s),),
    "float32": lambda s: (np.float32(2.0 * s),),
    "float32 among float64": lambda s: (np.float32(2.0 * s), X * s, 3.0 * s, np.float32(X)),
    "float among float32": lambda s: (3.0 * s, np.float32(X * s)),
    "dict": lambda s: ({"w": X * s, "b": 2.0 * s},),
    "keys that are no strings": lambda s: ({1: X * s, (2, "b"): 2.0 * s, None: X},),
    "nested": lambda s: ([{"w": (X * s, X)}, [], None, (2.0 * s,), {}],),
    "namedtuple": lambda s: (Pair(X * s, 2.0),),
    "dataclass": lambda s: (Weights(X * s, {"c": 2.0 * s}),),
    "defaultdict": lambda s: (defaultdict(list, {"a": X * s}), OrderedDict(b=X)),
    "transposed": lambda s: (np.arange(6.0).reshape(2, 3).T * s, (np.arange(6.0).reshape(2, 3) * s).T),
    "strided": lambda s: (np.repeat(X * s, 2)[::2], (X * s)[::-1]),
    "big-endian": lambda s: (np.asarray(X * s, ">f8"),),
    "unaligned": lambda s: (UNALIGNED,),
    "read-only": lambda s: (np.broadcast_to(np.float64(s), (2, 2)), np.frombuffer((X * s).tobytes())),
}


@pytest.mark.parametrize("name", LIKE)
def test_calls_alike_take_the_short_way(name: str, long: Long) -> None:
    make = LIKE[name]
    places = tuple(range(len(make(1.0))))
    f = tg.value_and_grad(total, places)
    called = [(make(s), f(*make(s))) for s in (1.0, 2.0, -3.0)]
    assert long.count == 1
    for args, found in called:
        same(found, tg.value_and_grad(total, places)(*args))


DATA: dict[str, Callable[[int], tuple[Any, ...]]] = {
    "integers": lambda s: (np.array([1, 2, s]),),
    "short integers": lambda s: (np.array([1, 2, s], np.int32), np.array([s], np.uint8)),
    "unsigned": lambda s: (np.array([1, 2, s], np.uint64),),
    "booleans": lambda s: (np.array([True, s > 1]),),
    "half": lambda s: (np.array([1, s], np.float16), np.float16(s)),
    "scalars": lambda s: (np.int64(s), np.int8(s), np.bool_(s > 1), 2.0 * s),
    "strided": lambda s: (np.arange(6)[::2] * s, np.arange(6) > s),
}


@pytest.mark.parametrize("name", DATA)
def test_data_alike_take_the_short_way(name: str, long: Long) -> None:
    def loss(x: Any, *data: Any) -> Any:
        return sum(np.sum(x * np.sum(d * 2.0)) for d in data)

    f = tg.value_and_grad(loss)
    found = [f(X, *DATA[name](s)) for s in (1, 2, 3)]
    assert long.count == 1
    for s, result in zip((1, 2, 3), found, strict=True):
        same(result, tg.value_and_grad(loss)(X, *DATA[name](s)))


def test_a_recorded_function_takes_the_short_way(long: Long) -> None:
    def f(x: Any, s: Any) -> Any:
        return {"y": x * s, "z": [np.sum(x), s]}

    recorded = tg.record(f, X, 2.0)
    first = recorded(X, 2.0)
    found = [recorded(X * k, 3.0) for k in (1.0, 2.0)]
    assert long.count == 2
    same(first, {"y": X * 2.0, "z": [np.sum(X), np.float64(2.0)]})
    same(found, [{"y": X * k * 3.0, "z": [np.sum(X * k), np.float64(3.0)]} for k in (1.0, 2.0)])


# --- what differs: every pair of a group, one called after the other

KINDS: dict[str, list[Any]] = {
    "layouts": [
        X,
        np.repeat(X, 2)[::2],
        X[::-1],
        UNALIGNED,
        np.asarray(X, ">f8"),
        np.float32(X),
        np.broadcast_to(2.0, 3),
        X.astype(np.dtype("f8", metadata={"unit": "m"})),
        np.frombuffer(X.tobytes()),
    ],
    "shapes": [X, X[:2], X[:, None], X[None], np.array(2.0), np.zeros((0,)), np.zeros((3, 0)), np.ones((1, 1, 1))],
    "orders": [np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3, order="F"), np.arange(6.0).reshape(3, 2).T],
    "numbers": [2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), np.array(2.0, np.float32), np.array([2.0]), True],
    "containers": [X, [X], (X,), {"a": X}, [X, X], [[X]], Pair(X, X), (X, X), Weights(X, X), [X, None], [X, X, X], []],
    "dicts": [
        {"a": X, "b": 2.0},
        {"b": 2.0, "a": X},
        {"a": 2.0, "b": X},
        {"a": X},
        {"a": X, "c": 2.0},
        {"a": X, "b": 2.0, "c": 2.0},
        {"a": X, "b": [2.0]},
        OrderedDict(a=X, b=2.0),
        {},
    ],
    "keys": [{1: X}, {True: X}, {1.0: X}, {np.int64(1): X}, {"1": X}, {np.str_("1"): X}],
}


def outcome(f: Callable[..., Any], x: Any) -> Any:
    try:
        return f(x)
    except DtypeError:
        return "refused"


@pytest.mark.filterwarnings("ignore::tapegrad.errors.RerecordingWarning")
@pytest.mark.parametrize("name", KINDS)
def test_after_any_call_another_gives_what_it_gives_first(name: str) -> None:
    def f() -> Callable[..., Any]:
        return tg.value_and_grad(lambda x: total(x) + 0.0)

    wanted = [outcome(f(), x) for x in KINDS[name]]
    places = range(len(wanted))
    for i, j in itertools.product(places, places):
        g = f()
        for k in (i, i, j, j, i):
            found = outcome(g, KINDS[name][k])
            if name == "keys":  # equal keys share a recording; those of the call are what its gradient has
                assert [type(key) for key in found[1]] == [type(key) for key in KINDS[name][k]]
            same(found, wanted[k])


STATICS: list[Any] = [2, 3, True, False, "2", b"2", None, np.str_("2"), 2 + 0j, (2, "a"), ("a", 2), 2.0, np.int64(2)]


@pytest.mark.parametrize("pair", list(itertools.permutations(range(len(STATICS)), 2)), ids=str)
def test_static_arguments_are_told_apart(pair: tuple[int, int]) -> None:
    seen: list[Any] = []

    def loss(x: Any, static: Any) -> Any:
        seen.append(static)
        return np.sum(x) * len(seen)

    f = tg.value_and_grad(loss)
    i, j = pair
    results = [f(X, STATICS[k])[0] for k in (i, i, i, j, j, i)]
    assert results[:3] == [results[0]] * 3
    assert results[3] == results[4]
    assert results[3] != results[0]
    assert results[5] == results[0]


def test_a_static_object_that_changes_its_hash_is_seen() -> None:
    class Setting:
        def __init__(self, value: float) -> None:
            self.values = [value]

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Setting) and self.values[0] == other.values[0]

        def __hash__(self) -> int:
            return hash(self.values[0])

    setting = Setting(2.0)
    f = tg.grad(lambda x, s: s.values[0] * x)
    assert [f(1.0, setting), f(1.0, Setting(2.0)), f(1.0, setting)] == [2.0] * 3
    setting.values[0] = 5.0
    assert f(1.0, setting) == 5.0


def test_objects_as_arguments_are_watched() -> None:
    setting = SimpleNamespace(rate=1.0)
    f = tg.grad(lambda x, s: s.rate * x)
    assert [f(1.0, setting) for _ in range(3)] == [1.0] * 3
    setting.rate = 4.0
    assert [f(1.0, setting) for _ in range(3)] == [4.0] * 3
    assert f(1.0, SimpleNamespace(rate=7.0)) == 7.0


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (np.ma.masked_array(X), UnsupportedError),
        (np.array([1, 2, 3]), DtypeError),
        (X + 0j, DtypeError),
        (np.array(["a", "b", "c"]), DtypeError),
        (np.array([1.0, None, 2.0]), DtypeError),
        ("abc", DtypeError),
        (1, DtypeError),
        (X.astype(np.longdouble), DtypeError),
    ],
    ids=lambda x: getattr(x, "__name__", type(x).__name__),
)
def test_what_is_refused_is_refused_on_a_later_call(other: Any, error: type[Exception]) -> None:
    f = tg.value_and_grad(total)
    for _ in range(3):
        f(X)
        with pytest.raises(error):
            f(other)


def test_integers_beyond_int64_are_refused_on_a_later_call() -> None:
    f = tg.grad(lambda x, n: np.sum(x * n))
    small, large = np.array([1], np.uint64), np.array([2**64 - 1], np.uint64)
    for _ in range(3):
        assert f(np.ones(1), small).tolist() == [1.0]
        with pytest.raises(DtypeError, match="beyond int64"):
            f(np.ones(1), large)


def test_a_subclass_and_arrays_of_other_libraries_after_arrays(tmp_path: Any) -> None:
    class Foreign:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X + 1.0

    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=3)
    mapped[:] = X + 2.0
    f = tg.grad(lambda x, d: np.sum(x * d))
    for _ in range(3):
        assert f(X, X).tolist() == X.tolist()
        assert f(X, Foreign()).tolist() == (X + 1.0).tolist()
        assert f(X, mapped).tolist() == (X + 2.0).tolist()


def test_variables_after_arrays() -> None:
    inner = tg.grad(total)
    inner(X)
    inner(X)
    outer = tg.grad(lambda x: np.sum(x * inner(x)))
    fresh = tg.grad(lambda x: np.sum(x * tg.grad(total)(x)))
    assert np.array_equal(outer(X), fresh(X))


def test_more_or_fewer_arguments() -> None:
    f = tg.grad(lambda *args: sum((k + 1) * a for k, a in enumerate(args)), -1)
    assert [f(*[1.0] * n) for n in (1, 2, 1, 2, 3, 2, 1)] == [1, 2, 1, 2, 3, 2, 1]
    with pytest.raises(ValueError, match="argnums"):
        f()


@pytest.mark.parametrize("argnums", [0, 1, (0, 2), (2, 0), [2, 1, 0], (), np.array([1, 0]), -1])
def test_argnums_of_later_calls(argnums: Any) -> None:
    args = ({"a": X, "b": 1.5}, [np.float32(X), 2.0], 3.0)
    f = tg.value_and_grad(total, argnums)
    first = f(*args)
    same(f(*args), first)
    same(f(*args), tg.value_and_grad(total, argnums)(*args))


# --- what changes between calls


def test_arguments_changed_in_place() -> None:
    x, p = X.copy(), {"a": X.copy()}
    f, g = tg.value_and_grad(total), tg.value_and_grad(total)
    for k in range(4):
        x[1] = p["a"][2] = k
        same(f(x), tg.value_and_grad(total)(x))
        same(g(p), tg.value_and_grad(total)(p))
    x.shape = (3, 1)
    p["b"] = 2.0
    same(f(x), tg.value_and_grad(total)(x))
    same(g(p), tg.value_and_grad(total)(p))
    p["a"] = X[:2]
    same(g(p), tg.value_and_grad(total)(p))
    x.dtype = np.int64
    with pytest.raises(DtypeError):
        f(x)


def test_results_belong_to_their_call() -> None:
    f = tg.value_and_grad(lambda p: np.sum(p["x"] ** 2) * p["s"] * p["t"])
    found = [f({"x": X * k, "s": np.float64(k), "t": np.array(float(k))}) for k in range(1, 5)]
    for k, (value, gradient) in enumerate(found, 1):
        assert value == 14.0 * k**4
        assert gradient["s"] == gradient["t"] == 14.0 * k**3
        assert gradient["x"].tolist() == (2 * k**3 * X).tolist()
    arrays = [g for _, gradient in found for g in (gradient["x"], gradient["t"])]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


@pytest.mark.parametrize("make", [X.copy, lambda: np.asarray(X, ">f8")], ids=["as it is", "converted"])
def test_arguments_and_results_are_not_kept(make: Callable[[], Any]) -> None:
    f = tg.value_and_grad(total)
    kept = []
    for _ in range(3):
        x = make()
        _, gradient = f(x)
        kept += [weakref.ref(x), weakref.ref(gradient)]
        del x, gradient
    gc.collect()
    assert [r() for r in kept] == [None] * 6


factor = 2.0


def by_global(x: Any) -> Any:
    return factor * x


def test_a_global_changed_back_and_forth(monkeypatch: pytest.MonkeyPatch, long: Long) -> None:
    f = tg.grad(by_global)
    for value in (2.0, 2.0, 5.0, 5.0, 2.0, 5.0, 2.0):
        monkeypatch.setitem(globals(), "factor", value)
        assert f(1.0) == value
    assert long.count == 2


def test_a_captured_array_that_changes_after_many_calls() -> None:
    data = np.array([1.0, 2.0, 3.0])
    f = tg.grad(lambda x: np.sum(x * data))
    assert [f(1.0) for _ in range(4)] == [6.0] * 4
    data[0] = 2.0
    with pytest.raises(CapturedArrayError):
        f(1.0)
    assert [f(1.0) for _ in range(4)] == [7.0] * 4


def test_what_another_recording_captured_is_of_no_concern() -> None:
    data = {1: np.ones(1), 2: np.ones(2)}
    one, two = data[1], data[2]
    f = tg.grad(lambda x: np.sum(x * (one if len(x) == 1 else two)))
    for n in (1, 2, 1, 2, 1):
        f(np.ones(n))
    two[0] = 5.0
    for _ in range(3):
        assert f(np.ones(1)).tolist() == [1.0]
    with pytest.raises(CapturedArrayError):
        f(np.ones(2))
    assert f(np.ones(2)).tolist() == [5.0, 1.0]


# --- several recordings


def test_shapes_that_take_turns(long: Long) -> None:
    counted = Counted(total)
    f = tg.grad(counted)
    for k in range(12):
        x = np.full(2 + k % 3, float(k))
        assert f(x).tolist() == (2 * x).tolist()
    assert counted.runs == long.count == 3


def test_branches_that_take_turns(long: Long) -> None:
    def f(x: Any) -> Any:
        if x > 2:
            return x * x
        if x > 1:
            return 3.0 * x
        return -x

    counted = Counted(f)
    g = tg.value_and_grad(counted)
    wanted = {3.0: (9.0, 6.0), 1.5: (4.5, 3.0), 0.5: (-0.5, -1.0)}
    for x in [3.0, 1.5, 0.5] * 5:
        assert g(x) == wanted[x]
    assert counted.runs == long.count == 3


@pytest.mark.filterwarnings("ignore::tapegrad.errors.RerecordingWarning")
@pytest.mark.parametrize("kept", [1, 2, 3])
def test_the_least_recently_used_is_dropped_first(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(recorded_module, "KEPT", kept)
    counted = Counted(total)
    f = tg.grad(counted)
    order: list[int] = []
    runs = 0
    for n in np.random.default_rng(0).integers(1, 5, 60).tolist():
        f(np.ones(n))
        runs += n not in order
        order = [*(k for k in order if k != n), n][-kept:]
        assert counted.runs == runs


def test_the_least_recently_used_branch_is_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded_module, "KEPT", 2)
    counted = Counted(lambda x: x * int(x))
    f = tg.grad(counted)
    for n in (1, 2, 1, 1, 3, 1):  # 3 takes the place of 2, though 2 was recorded after 1
        assert f(n + 0.5) == n
    assert counted.runs == 3
    assert f(2.5) == 2
    assert counted.runs == 4


def test_a_guard_that_fails_is_swept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeps = []
    f = tg.grad(lambda x: x * x if x > 0 else -x)
    f(1.0)
    f(1.0)
    original = Runner.sweep
    monkeypatch.setattr(Runner, "sweep", lambda *a, **k: (sweeps.append(1), original(*a, **k))[1])
    assert f(-1.0) == -1.0
    assert len(sweeps) == 2  # the one that fails, and the one recorded then


# --- errors and threads


def test_an_error_in_the_middle_leaves_all_as_it_was() -> None:
    f = tg.grad(lambda x, index: np.sum(x[index] ** 2))
    good, bad = np.array([0, 2]), np.array([0, 3])
    for _ in range(3):
        assert f(X, good).tolist() == [2.0, 0.0, 6.0]
        with pytest.raises(ElementIndexError):
            f(X, bad)
    assert f(X, good).tolist() == [2.0, 0.0, 6.0]


def test_threads_with_shapes_and_branches_that_take_turns() -> None:
    def loss(p: Any, flip: Any) -> Any:
        s = np.sum(p["x"] ** 2) * p["s"]
        return s if flip > 0 else -s

    f, errors = tg.value_and_grad(loss), []
    barrier = threading.Barrier(4)

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        barrier.wait()
        try:
            for _ in range(300):
                x, s, flip = rng.normal(size=rng.integers(1, 4)), float(rng.normal()), float(rng.choice([-1.0, 1.0]))
                value, gradient = f({"x": x, "s": s}, flip)
                assert value == pytest.approx(flip * np.sum(x * x) * s, rel=1e-12)
                assert np.allclose(gradient["x"], 2 * x * s * flip, rtol=1e-12)
                assert type(gradient["s"]) is float
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


# --- the rows


def test_an_object_fits_its_row_or_not() -> None:
    row = Row(CHECK, 1, np.ndarray, np.dtype(np.float64), (2, 3))
    table, bases = Table.of([Row(SKIP), row, Row(NUMBER, 2, float), Row(TAKE, 0)]), np.zeros(3, np.int64)
    good, own = np.ones((2, 3)), np.ones(5)

    def fits(*objects: Any) -> bool:
        assert len(objects) == 4
        return bool(gather(id(objects), table.address, bases.ctypes.data))

    number = 2.5
    assert fits("any", good, number, own)
    assert bases[:2].tolist() == [own.ctypes.data, good.ctypes.data]
    assert fits(None, good.copy(), 1.0, own[::2])
    wrong = [np.ones((2, 2)), np.ones((3, 2)), np.ones(6), np.ones((2, 3, 1)), np.float32(good), np.ones((3, 2)).T]
    wrong += [np.ma.masked_array(good), [1.0], 2.0, None, np.ones((2, 6))[:, ::2], good.astype(">f8"), np.ones(())]
    assert not any(fits("any", x, number, own) for x in wrong)
    assert not any(fits("any", good, x, own) for x in (1, True, np.float64(1.0), np.array(1.0), None))


def test_there_is_no_form_of_arguments_of_unknown_types(tmp_path: Any) -> None:
    assert Form.of(bind((X, 1.0, 2, None), (0,))) is not None
    assert Form.of(bind((X, np.memmap(tmp_path / "x", np.float64, "w+", shape=3)), (0,))) is None
