"""Methods of arrays beyond their values, which `tests/functions/methods.py` compares: copies, attributes, refusals."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import ConversionError, DtypeError, ShapeError, TapegradError, UnsupportedError
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.recorder import Recorder
from tapegrad.record.variable import Variable
from tapegrad.trees import flatten
from tests.helpers import F32, F64

X: Final = np.array([[0.5, -1.5, 2.5], [1.0, 0.25, -3.0]])


def recorded(function: Callable[..., Any], *arguments: Any, dtype: Any = F64) -> tuple[list[Variable], Any]:
    """The Variables that stand for the arguments, and what the function gives for them."""
    recorder = Recorder(dtype, FUNCTIONS)
    variables = [recorder.input(np.asarray(a), independent=np.asarray(a).dtype.kind == "f") for a in arguments]
    return variables, function(*variables)


def values(result: Any) -> list[Any]:
    return [v._recorder.values[v._slot] if isinstance(v, Variable) else np.asarray(v) for v in flatten(result)[0]]


# --- copies and views

COPIES: Final[dict[str, Callable[[Any], Any]]] = {
    "copy": lambda x: x.copy(),
    "np.copy": np.copy,
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "flatten": lambda x: x.flatten(),
    "flat.copy": lambda x: x.flat.copy(),
    "+x": lambda x: +x,
    "np.positive": np.positive,
    "astype": lambda x: x.astype(x.dtype),
    "np.astype": lambda x: np.astype(x, np.float64),
    "np.conjugate": np.conjugate,
    "clip": lambda x: x.clip(),
    "to the power 1": lambda x: x**1,
    "np.concatenate": lambda x: np.concatenate([x]),
    "np.tile": lambda x: np.tile(x, 1),
    "np.repeat": lambda x: np.repeat(x, 1),
    "np.roll": lambda x: np.roll(x, 0),
    "np.pad": lambda x: np.pad(x, 0),
    "np.delete": lambda x: np.delete(x, []),
    "np.meshgrid": lambda x: np.meshgrid(x)[0],
    "np.nan_to_num": lambda x: np.nan_to_num(x.astype(int)),
}


@pytest.mark.parametrize("name", COPIES)
def test_what_copies_gives_a_new_variable(name: str) -> None:
    (x,), result = recorded(COPIES[name], X[0])
    assert isinstance(result, Variable)
    assert result is not x
    np.testing.assert_array_equal(values(result)[0], values(COPIES[name](X[0]))[0])


@pytest.mark.parametrize("name", ["copy", "np.copy", "copy.copy", "copy.deepcopy", "flatten", "+x", "astype"])
def test_a_copy_takes_no_instruction(name: str) -> None:
    (x,), result = recorded(COPIES[name], X[0])
    assert result._slot == x._slot
    assert x._recorder.count == 1


def test_a_copy_is_differentiated() -> None:
    g = tg.grad(lambda x: np.sum(x.copy() * copy.deepcopy(x)) + np.sum(x.flatten()))(X)
    np.testing.assert_allclose(g, 2 * X + 1)


# --- attributes and values


@pytest.mark.parametrize("dtype", [F64, F32])
def test_attributes(dtype: Any) -> None:
    array = X.astype(dtype)
    (x,), _ = recorded(lambda x: x, array, dtype=dtype)
    for name in ("shape", "ndim", "size", "dtype", "itemsize", "nbytes", "device"):
        assert getattr(x, name) == getattr(array, name), name
    assert len(x.flat) == 6
    assert x.imag.dtype == dtype
    assert x.real is x
    assert x.to_device("cpu") is x


def test_tolist_is_nested_lists_of_variables() -> None:
    (x,), rows = recorded(lambda x: x.tolist(), X)
    assert [len(row) for row in rows] == [3, 3]
    assert all(isinstance(v, Variable) and v.shape == () for row in rows for v in row)
    np.testing.assert_array_equal(values(rows), X.ravel())
    assert x[0, 0].tolist().shape == ()
    np.testing.assert_allclose(tg.grad(lambda x: math.prod(x.tolist()[0]))(X)[0], np.prod(X[0]) / X[0])


def test_item_is_a_number_and_a_guard() -> None:
    k, flag = np.array([[4, 7], [1, 9]]), np.array([True])
    _, found = recorded(lambda k, flag: (k.item(1), k.item(1, 0), k.item((1, 1)), k.item(-1), flag.item()), k, flag)
    assert found == (7, 1, 9, 9, True)
    assert [type(value) for value in found] == [int, int, int, int, bool]
    seen = []

    def f(x: Any, k: Any) -> Any:
        seen.append(k.item(0))
        return np.sum(x) * seen[-1]

    g = tg.grad(f)
    assert [g(X, k)[0, 0], g(X, k + 1)[0, 0], g(X, k)[0, 0]] == [4.0, 5.0, 4.0]
    assert seen == [4, 5]


def test_in_is_one_guard() -> None:
    (x, *_), found = recorded(lambda x: (2.5 in x, 2.6 in x), X)
    assert found == (True, False)
    assert len(x._recorder.guards) == 2


# --- methods of functions that may have no rule yet

OTHERS: Final[dict[str, tuple[Any, Callable[[Any], Any]]]] = {
    "cumsum": (np.cumsum, lambda x: (x.cumsum(), x.cumsum(axis=1))),
    "cumprod": (np.cumprod, lambda x: (x.cumprod(), x.cumprod(0))),
    "std": (np.std, lambda x: (x.std(), x.std(axis=0, ddof=1, keepdims=True))),
    "var": (np.var, lambda x: (x.var(), x.var(1))),
    "argmax": (np.argmax, lambda x: (x.argmax(), x.argmax(axis=0))),
    "argmin": (np.argmin, lambda x: (x.argmin(), x.argmin(1, keepdims=True))),
    "argsort": (np.argsort, lambda x: (x.argsort(), x.argsort(axis=0))),
    "round": (np.round, lambda x: (x.round(), x.round(1))),
    "searchsorted": (np.searchsorted, lambda x: x[1, ::-1].searchsorted(x[0])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_methods_follow_the_table_of_functions(name: str) -> None:
    function, call = OTHERS[name]
    if function in FUNCTIONS:
        found, wanted = values(recorded(call, X)[1]), values(call(X))
        for f, w in zip(found, wanted, strict=True):
            np.testing.assert_allclose(f, w, rtol=1e-12)
    else:
        with pytest.raises(
            UnsupportedError, match=rf"numpy\.{name}: found a Variable; wanted a function that .* knows"
        ):
            recorded(call, X)


def test_a_method_without_a_rule_names_its_function_and_line() -> None:
    recorder = Recorder(F64, {})
    x = recorder.input(X, independent=True)
    with pytest.raises(UnsupportedError, match=r"numpy\.mean: found a Variable; .* \(at .*test_methods.py:\d+\)"):
        x.mean()


# --- misuse

WRONG: Final[dict[str, tuple[Callable[[Any], Any], type[TapegradError], tuple[str, ...]]]] = {
    "sort": (lambda x: x.sort(), UnsupportedError, ("sort", "in place", "np.sort(x)")),
    "sort with options": (lambda x: x.sort(axis=0, kind="stable"), UnsupportedError, ("np.sort(x)",)),
    "partition": (lambda x: x.partition(1), UnsupportedError, ("partition", "np.partition(x, kth)")),
    "fill": (lambda x: x.fill(0.0), UnsupportedError, ("item assignment", "an argument", "x.copy()")),
    "put": (lambda x: x.put([0], [1.0]), UnsupportedError, ("item assignment", "an argument", "x.copy()")),
    "itemset": (lambda x: x.itemset(0, 1.0), UnsupportedError, ("itemset", "np.where")),
    "resize": (lambda x: x.resize((3, 2)), UnsupportedError, ("resize", "np.resize(x, shape)")),
    "flat": (lambda x: x.flat.__setitem__(0, 1.0), UnsupportedError, ("flat", "in place", "np.where")),
    "flat by two": (lambda x: x.flat[0, 1], ShapeError, ("flat", "2 indices", "one axis")),
    "view": (lambda x: x.view(np.int64), UnsupportedError, ("view", "no memory", "astype")),
    "to_device": (lambda x: x.to_device("gpu"), UnsupportedError, ("to_device", "'gpu'", "'cpu'")),
    "item": (lambda x: x[0, 0].item(), ConversionError, ("float()", "np.sin(x), not math.sin(x)")),
    "item of several": (lambda x: x.astype(int).item(), ShapeError, ("shape (2, 3)", "one element")),
    "item with too many": (lambda x: x.item(0, 1, 2), ShapeError, ("item", "3 indices", "(2, 3)")),
    "astype unsafe": (lambda x: x.astype(int, casting="safe"), DtypeError, ("float64", "int64", "casting='safe'")),
    "mT": (lambda x: x[0].mT, ShapeError, ("matrix_transpose", "(3,)", "two axes")),
    "out": (lambda x: x.sum(out=np.zeros(())), UnsupportedError, ("sum", "out=")),
    "cumulative out": (lambda x: x.round(out=np.zeros((2, 3))), UnsupportedError, ("round",)),
}


@pytest.mark.parametrize("name", WRONG)
def test_misuse(name: str) -> None:
    call, kind, words = WRONG[name]
    with pytest.raises(kind) as caught:
        recorded(call, X)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_what_numpy_has_no_more_is_no_attribute() -> None:
    (x,), _ = recorded(lambda x: x, X)
    for name in ("ptp", "newbyteorder", "strides", "tobytes"):
        with pytest.raises(AttributeError):
            getattr(x, name)


def test_names_are_those_of_ndarray() -> None:
    """Every public name of a Variable is one of an array's, and what is missing is known."""
    missing = {name for name in dir(np.ndarray) if not name.startswith("_")} - set(dir(Variable))
    memory = {"base", "ctypes", "data", "flags", "strides", "setflags", "byteswap", "getfield", "setfield"}
    files = {"dump", "dumps", "tobytes", "tofile"}
    assert missing == memory | files
    ours = {name for name in dir(Variable) if not name.startswith("_")} - set(dir(np.ndarray))
    assert ours <= {"itemset"}
