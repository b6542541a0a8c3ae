"""Arrays that a function captures are constants: a change in place never goes unnoticed for long."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CapturedArrayError
from tapegrad.record.captured import PAGE, SMALL, STRETCH
from tests.models import Counted, place

LARGE = 3 * SMALL // 8 + 17  # numbers; three megabytes and a bit
CALLS = -(-8 * LARGE // STRETCH)  # after so many calls every stretch has been looked at


def gradient_by(array: Any) -> Callable[[float], Any]:
    """The gradient of x * sum(array), which is that sum."""
    return tg.grad(lambda x: np.sum(x * array))


def calls_until_found(f: Callable[..., Any], *args: Any) -> int:
    """How many calls it takes until a change is found."""
    for k in range(1, CALLS + 2):
        try:
            f(*args)
        except CapturedArrayError:
            return k
    raise AssertionError("the change was not found")


# --- small arrays: by the next call

SMALL_ARRAYS: dict[str, Callable[[], Any]] = {
    "vector": lambda: np.arange(1.0, 5.0),
    "single precision": lambda: np.arange(1, 5, dtype=np.float32),
    "integers": lambda: np.arange(1, 5),
    "booleans": lambda: np.array([True, False, True]),
    "matrix": lambda: np.arange(6.0).reshape(2, 3),
    "Fortran order": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "not contiguous": lambda: np.arange(12.0).reshape(3, 4)[:, ::2],
    "negative strides": lambda: np.arange(6.0)[::-1],
    "big-endian": lambda: np.arange(4, dtype=">f8"),
    "no axes": lambda: np.array(3.0),
    "view": lambda: np.arange(10.0)[2:5],
    "with nan": lambda: np.array([1.0, np.nan, 2.0]),
    "almost large": lambda: np.arange(SMALL / 8),
}


@pytest.mark.parametrize("name", SMALL_ARRAYS)
def test_a_change_in_a_small_array_is_found_by_the_next_call(name: str) -> None:
    array = SMALL_ARRAYS[name]()
    places = [k for k in np.ndindex(array.shape) if array[k] == array[k]]
    for k in [places[0], places[-1], places[len(places) // 2]]:
        f = gradient_by(array)
        for _ in range(3):
            assert np.array_equal(f(2.0), float(np.sum(array.astype(float))), equal_nan=True)
        array[k] = array[k] + 1 if array.dtype != bool else not array[k]
        with pytest.raises(CapturedArrayError, match="that was changed in place after it was recorded"):
            f(2.0)
        # The next call takes what is there.
        assert np.array_equal(f(2.0), float(np.sum(array.astype(float))), equal_nan=True)
        assert np.array_equal(f(2.0), float(np.sum(array.astype(float))), equal_nan=True)


def test_a_change_through_a_view_is_found() -> None:
    base = np.arange(10.0)
    f = tg.grad(lambda x: np.sum(x * base[2:5]))
    assert f(1.0) == 9.0
    base[0] = 100.0
    assert f(1.0) == 9.0
    base[4] = 100.0
    with pytest.raises(CapturedArrayError):
        f(1.0)
    assert f(1.0) == 105.0


def test_a_change_of_sign_of_zero_and_of_shape_is_found() -> None:
    array = np.zeros((2, 3))
    f = tg.grad(lambda x: np.sum(np.arctan2(array, x)) + array.shape[0] * x)
    assert f(-1.0) == 2.0
    array[1, 2] = -0.0
    with pytest.raises(CapturedArrayError):
        f(-1.0)
    assert f(-1.0) == 2.0
    array.shape = (3, 2)
    with pytest.raises(CapturedArrayError):
        f(-1.0)
    assert f(-1.0) == 3.0


def test_writing_the_same_values_again_is_no_change() -> None:
    array = np.array([1.0, np.nan, 3.0])
    counted = Counted(lambda x: np.sum(x * array))
    f = tg.grad(counted)
    f(1.0)
    array[:] = array.copy()
    array[0] = 5.0
    array[0] = 1.0
    f(1.0)
    assert counted.runs == 1


def test_the_error_says_which_array_and_where() -> None:
    weights = np.ones((2, 3), np.float32)

    def f(x: Any) -> Any:
        y = x * 2.0
        return np.sum(y * weights)  # here

    g = tg.grad(f)
    g(1.0)
    weights[1, 2] = 0.0
    with pytest.raises(CapturedArrayError) as caught:
        g(1.0)
    text = str(caught.value)
    assert text.startswith("captured array: found a float32 array of shape (2, 3) that was changed in place")
    assert "passed as an argument" in text
    assert text.endswith(f"(at {place(f, '# here')})")


# --- large arrays: at once if a page changed, else within a few calls

LARGE_ARRAYS: dict[str, Callable[[], Any]] = {
    "vector": lambda: np.ones(LARGE),
    "matrix": lambda: np.ones((LARGE // 5, 5)),
    "Fortran order": lambda: np.ones((5, LARGE // 5)).T,
    "bytes": lambda: np.ones(8 * LARGE, np.int8),
}


@pytest.mark.parametrize("name", LARGE_ARRAYS)
def test_a_change_of_a_page_of_a_large_array_is_found_by_the_next_call(name: str) -> None:
    array = LARGE_ARRAYS[name]()
    flat = (array if array.flags.c_contiguous else array.T).reshape(-1)
    page = PAGE // array.itemsize
    for start in (0, 5, 3 * page + 1, len(flat) // 2, len(flat) - page):
        f = gradient_by(array)
        total = f(1.0)
        flat[start : start + page] += 1
        with pytest.raises(CapturedArrayError):
            f(1.0)
        assert f(1.0) == total + page


@pytest.mark.parametrize("place_in_it", [0, 1, PAGE // 8 - 1, STRETCH // 8 + 3, LARGE // 2 + 1, LARGE - 1])
def test_a_change_of_one_number_of_a_large_array_is_found_within_a_few_calls(place_in_it: int) -> None:
    array = np.ones(LARGE)
    f = gradient_by(array)
    f(1.0)
    array[place_in_it] = 3.0
    assert calls_until_found(f, 1.0) <= CALLS
    assert f(1.0) == LARGE + 2.0


def test_each_recording_looks_at_all_of_a_large_array() -> None:
    # Recordings that take turns must not each see the same stretches again and again.
    array = np.ones(LARGE)
    f = tg.grad(lambda x: np.sum(x * array) if x > 0 else np.sum(2.0 * x * array))
    f(1.0), f(-1.0)
    array[STRETCH // 8 + 3] = 3.0
    found = {}
    for k in range(1, CALLS + 1):
        for x in (1.0, -1.0):
            try:
                f(x)
            except CapturedArrayError:
                found.setdefault(x, k)
    assert set(found) == {1.0, -1.0}


def test_a_large_array_that_is_not_contiguous() -> None:
    array = np.ones((LARGE, 2))[:, 0]
    f = gradient_by(array)
    assert f(1.0) == LARGE
    array[12345] = 0.0
    with pytest.raises(CapturedArrayError):
        f(1.0)
    assert f(1.0) == LARGE - 1


def test_a_large_array_that_stays_as_it_is_is_left_in_peace() -> None:
    array = np.ones(LARGE)
    counted = Counted(lambda x: np.sum(x * array))
    f = tg.grad(counted)
    for _ in range(CALLS + 2):
        assert f(1.0) == LARGE
    assert counted.runs == 1


# --- changes while the function is recorded


@pytest.mark.parametrize("size", [3, LARGE])
@pytest.mark.parametrize("entry", [0, -1, 1])
def test_an_array_changed_between_two_uses(size: int, entry: int) -> None:
    state = SimpleNamespace(buffer=np.ones(size), change=True)

    def f(x: Any) -> Any:
        y = np.sum(x * state.buffer)
        if state.change:
            state.buffer[entry] = 5.0
        return y + np.sum(x * state.buffer)

    g = tg.grad(f)
    with pytest.raises(CapturedArrayError):
        g(1.0)
    state.change = False
    assert g(1.0) == 2 * (size + 4.0)


@pytest.mark.parametrize("size", [3, LARGE])
def test_an_array_changed_after_its_last_use(size: int) -> None:
    buffer = np.zeros(size)

    def f(x: Any) -> Any:
        total = 0.0
        for k in range(3):
            buffer[k] = 1.0
            total = total + np.sum(x * buffer)
        return total

    with pytest.raises(CapturedArrayError):
        tg.grad(f)(1.0)


def test_arrays_made_in_the_function_may_be_filled_before_they_are_used() -> None:
    def f(x: Any) -> Any:
        weights = np.zeros(3)
        for k in range(3):
            weights[k] = k * k
        return np.sum(x * weights)

    g = tg.grad(f)
    assert [g(1.0), g(2.0)] == [5.0, 5.0]


# --- how an array may be captured

X = np.array([1.0, 2.0, 3.0])
USES: dict[str, tuple[Callable[[Any, Any], Any], Any]] = {
    "operator": (lambda x, a: np.sum(x * a), X),
    "on the left": (lambda x, a: np.sum(a * x), X),
    "matrix product": (lambda x, a: np.sum(a @ x), np.ones((2, 3))),
    "index": (lambda x, a: np.sum(x[a]), np.array([0, 2])),
    "mask": (lambda x, a: np.sum(x[a]), np.array([True, False, True])),
    "condition": (lambda x, a: np.sum(np.where(a, x, 0.0)), np.array([True, False, True])),
    "take": (lambda x, a: np.sum(np.take(x, a)), np.array([0, 2])),
    "concatenate": (lambda x, a: np.sum(np.concatenate([x, a]) ** 2), X),
    "stack": (lambda x, a: np.sum(np.stack([x, a]) ** 2), X),
    "einsum": (lambda x, a: np.einsum("i,i->", x, a), X),
    "maximum": (lambda x, a: np.sum(np.maximum(x, a)), X - 1),
    "comparison": (lambda x, a: np.sum(np.where(x > a, x, 0.0)), X - 1),
    "list": (lambda x, a: sum(np.sum(x * b) for b in [a, a]), X),
    "branch": (lambda x, a: np.sum(x) if np.all(x > a) else np.sum(2 * x), X - 1),
}


@pytest.mark.parametrize("name", USES)
def test_arrays_captured_by_any_use_are_watched(name: str) -> None:
    use, array = USES[name]
    array = array.copy()
    f = tg.grad(lambda x: use(x, array))
    before = f(X).tolist()
    assert f(X).tolist() == before
    array[...] = ~array if array.dtype == bool else np.roll(array, 1) if array.dtype == int else array + 1
    with pytest.raises(CapturedArrayError):
        f(X)
    assert f(X).tolist() == tg.grad(lambda x: use(x, array))(X).tolist()


def test_an_array_used_often_is_one_constant() -> None:
    weights = X.copy()
    tape = tg.record(lambda x: sum(np.sum(x * weights) ** k for k in range(2, 6)), X).tape
    assert sum(c.shape == (3,) for c in tape.constants) == 1


def test_an_array_in_a_branch_that_is_not_taken_is_not_watched() -> None:
    weights = X.copy()
    f = tg.grad(lambda x: np.sum(x * weights) if x[0] < 0 else np.sum(x))
    f(X)
    weights[0] = 9.0
    assert f(X).tolist() == [1.0] * 3
    assert f(-X).tolist() == [9.0, 2.0, 3.0]
    assert f(X).tolist() == [1.0] * 3
    weights[0] = 8.0
    assert f(X).tolist() == [1.0] * 3
    with pytest.raises(CapturedArrayError):
        f(-X)


def test_arguments_may_change_freely() -> None:
    data = X.copy()
    counted = Counted(lambda x, d: np.sum(x * d))
    f = tg.grad(counted)
    for k in range(4):
        data[:] = k
        assert f(X, data).tolist() == [float(k)] * 3
    assert counted.runs == 1


def test_pullbacks_and_recorded_functions_look_too() -> None:
    weights = X.copy()
    _, pullback = tg.vjp(lambda x: x * weights, X)
    tape = tg.record(lambda x: x * weights, X)
    assert tape(X).tolist() == (X * X).tolist()
    weights[1] = 0.0
    with pytest.raises(CapturedArrayError):
        pullback(X)
    with pytest.raises(CapturedArrayError):
        tape(X)
    assert tape(X).tolist() == [1.0, 0.0, 9.0]


def test_a_captured_array_may_be_a_parameter_too() -> None:
    weights = X.copy()
    f = tg.grad(lambda w: np.sum(w * weights))
    assert f(weights).tolist() == X.tolist()
    weights += 1.0
    with pytest.raises(CapturedArrayError):
        f(weights)
    assert f(weights).tolist() == (X + 1).tolist()
