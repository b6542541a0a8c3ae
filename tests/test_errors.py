"""Misuse: each kind raises an error that names the operation, what was found, what was wanted, and the user's line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from operator import setitem
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import special

import tapegrad as tg
from tapegrad.errors import (
    CapturedArrayError,
    ComplexError,
    ConversionError,
    DtypeError,
    ElementIndexError,
    GradientCheckError,
    LeakedVariableError,
    ShapeError,
    TapegradError,
    UnsupportedError,
)
from tests.models import place

X = np.array([1.0, 2.0, 3.0])
FORM = re.compile(r".+: found .+; wanted .+ \(at .+:\d+\)", re.DOTALL)


def line_of(f: Callable[..., Any]) -> str:
    return f"{f.__code__.co_filename}:{f.__code__.co_firstlineno}"


def raised(f: Callable[..., Any], *args: Any) -> TapegradError:
    """The error of a gradient, in the common form."""
    with pytest.raises(TapegradError) as caught:
        tg.value_and_grad(f)(*args)
    assert FORM.fullmatch(str(caught.value)), str(caught.value)
    return caught.value


# --- inside the function: what it does, the error, words of its message

WITHIN: dict[str, tuple[Callable[..., Any], type[TapegradError], tuple[str, ...]]] = {
    # shapes
    "operands": (lambda x: np.sum(x + np.ones(4)), ShapeError, ("add", "(3,) and (4,)", "broadcast")),
    "three operands": (lambda x: np.where(x > 0, x, np.ones(2)), ShapeError, ("where", "(3,)", "(2,)", "broadcast")),
    "matrix product": (lambda x: np.sum(np.ones((4, 2)) @ x), ShapeError, ("matmul", "(4, 2)", "(3,)")),
    "product with a number": (lambda x: x @ 2.0, ShapeError, ("matmul", "()", "*")),
    "einsum": (lambda x: np.einsum("ij->", x), ShapeError, ("einsum", "2 indices", "1 axes")),
    "reshape": (lambda x: np.sum(x.reshape(2, 2)), ShapeError, ("reshape", "(3,)", "(2, 2)")),
    "axis": (lambda x: np.sum(np.sum(x, axis=1)), ShapeError, ("sum", "axis 1", "1 axes")),
    "axis twice": (lambda x: np.sum(x[None], axis=(0, -2)), ShapeError, ("sum", "(0, 0)", "once")),
    "concatenate": (lambda x: np.sum(np.concatenate([x, np.eye(2)])), ShapeError, ("concatenate", "(3,)", "(2, 2)")),
    "stack": (lambda x: np.sum(np.stack([x, x[1:]])), ShapeError, ("stack", "(3,)", "(2,)")),
    "largest of nothing": (lambda x: np.max(x[:0]), ShapeError, ("max", "(0,)", "one element")),
    # results
    "a result that is no scalar": (lambda x: 2.0 * x, ShapeError, ("(3,)", "scalar", "sum", "jacobian")),
    "a result of one element": (lambda x: x[:1], ShapeError, ("(1,)", "scalar")),
    "a tuple": (lambda x: (np.sum(x), 1.0), ShapeError, ("tuple", "scalar")),
    "None": (lambda _: None, ShapeError, ("NoneType", "scalar")),
    "a string": (lambda _: "loss", DtypeError, ("str", "arrays or numbers")),
    "a complex number": (lambda _: 1j, DtypeError, ("complex", "real numbers")),
    "a generator": (lambda x: (v for v in x), DtypeError, ("generator", "arrays or numbers")),
    # dtypes
    "complex constant": (lambda x: np.sum(x * 1j), DtypeError, ("ComplexPair", "complex results are not supported")),
    "complex array": (
        lambda x: np.einsum("i,i", x, np.ones(3, complex)),
        ComplexError,
        ("complex128", "not supported"),
    ),
    "object": (lambda x: np.sum(x * np.array([None, 1, 2])), DtypeError, ("object", "floats, integers or booleans")),
    "text": (lambda x: x + "a", DtypeError, ("<U1", "floats, integers or booleans")),
    "booleans subtracted": (lambda x: np.sum((x > 0) - (x > 1)), DtypeError, ("subtract", "booleans", "numbers")),
    "a number beyond int64": (lambda x: np.sum(x * (2**70 * np.sum(x > 1))), DtypeError, ("int64",)),
    "matrix": (lambda x: np.sum(x * np.eye(3).view(np.matrix)), UnsupportedError, ("matrix", "numpy.asarray")),
    "masked array": (lambda x: np.sum(x * np.ma.masked_equal(X, 2)), UnsupportedError, ("MaskedArray", "filled")),
    # functions without a rule, ways to call one
    "fft": (lambda x: np.sum(np.sin(np.fft.fft(x))), UnsupportedError, ("sin", "complex operand")),
    "eig": (lambda x: np.sum(np.linalg.eig(np.outer(x, x))[0]), UnsupportedError, ("linalg.eig", "symmetric", "eigh")),
    "ufunc": (lambda x: np.sum(np.isnat(x)), UnsupportedError, ("isnat", "knows")),
    "ufunc of scipy": (lambda x: np.sum(special.airy(x)[0]), UnsupportedError, ("airy", "knows")),
    "where=": (
        lambda x: np.sum(np.add(x, 1.0, where=X > 1)),
        UnsupportedError,
        ("add", "where= without out=", "np.where"),
    ),
    "out= an array": (lambda x: np.sum(np.add(x, 1.0, out=np.zeros(3))), UnsupportedError, ("add", "out=")),
    "out= a Variable": (
        lambda x: np.sum(np.add(x, 1.0, out=x)),
        UnsupportedError,
        ("item assignment", "an argument", "x.copy()"),
    ),
    "out= of a sum": (lambda x: np.sum(x, out=np.zeros(())), UnsupportedError, ("sum", "out=")),
    "dtype=": (lambda x: np.sum(np.add(x, 1.0, dtype=np.float32)), UnsupportedError, ("add", "float32", "float64")),
    "accumulate": (
        lambda x: np.sum(np.subtract.accumulate(x)),
        UnsupportedError,
        ("subtract.accumulate", "knows"),
    ),
    "at": (lambda x: np.add.at(x, 0, 1.0), UnsupportedError, ("item assignment", "an argument", "x.copy()")),
    "reduce": (lambda x: np.hypot.reduce(2.0 * x), UnsupportedError, ("hypot.reduce", "knows")),
    "item assignment": (lambda x: setitem(x, 0, 1.0), UnsupportedError, ("item assignment", "an argument", "x.copy()")),
    "a derivative by integers": (lambda x: tg.grad(np.sum)(np.arange(3) * x[0] > 1), DtypeError, ("args[0]", "bool")),
    "an inner gradient of an array": (lambda x: 2.0 * tg.grad(np.sin)(x), ShapeError, ("(3,)", "scalar")),
    # Variables as plain numbers and arrays
    "math": (lambda x: math.sin(x[0]), ConversionError, ("float()", "np.sin(x), not math.sin(x)")),
    "float": (lambda x: float(x[0]), ConversionError, ("float()", "leave float() out", "stop_gradient")),
    "item": (lambda x: x[0].item(), ConversionError, ("float()", "leave float() out")),
    "percent format": (lambda x: "%f" % x[0], ConversionError, ("float()",)),  # noqa: UP031 - that is what is tested
    "complex": (lambda x: complex(x[0]), ConversionError, ("complex()", "not supported")),
    "np.array of scalars": (
        lambda x: np.sum(np.array([x[0], x[1]])),
        ConversionError,
        ("import tapegrad.numpy as np",),
    ),
    "np.array of arrays": (lambda x: np.sum(np.array([x, x])), ConversionError, ("import tapegrad.numpy as np",)),
    "np.asarray": (lambda x: np.sum(np.asarray(x)), ConversionError, ("import tapegrad.numpy as np",)),
    "np.asarray of a scalar": (lambda x: np.asarray(x[0]), ConversionError, ("import tapegrad.numpy as np",)),
    "np.full": (lambda x: np.sum(np.full(3, x[0])), ConversionError, ("np.full", "import tapegrad.numpy as np")),
    "np.float64": (lambda x: np.float64(x[0]), ConversionError, ("import tapegrad.numpy as np",)),
    "np.vectorize": (lambda x: np.sum(np.vectorize(abs)(x)), ConversionError, ("import tapegrad.numpy as np",)),
    "ndarray.dot": (lambda x: 2.0 * X.dot(x), ConversionError, ("import tapegrad.numpy as np",)),
    "array assigned": (lambda x: setitem(np.zeros((2, 3)), 0, x), ConversionError, ("assignment into an array",)),
    "truth of an array": (lambda x: x if x > 0 else -x, ConversionError, ("bool()", "(3,)", ".any() and .all()")),
    "range": (lambda x: sum(k * x[0] for k in range(x[0])), ConversionError, ("index", "float64", "int(x)")),
    "index of a list": (lambda x: [x, x][x[0]], ConversionError, ("index", "float64", "int(x)")),
    "bits of floats": (
        lambda x: x & 1,
        DtypeError,
        ("bitwise_and", "dtype float64 and dtype int64", "integers or booleans"),
    ),
    # indices
    "index": (lambda x: x[3], ElementIndexError, ("index 3", "-3 to 2", "axis 0")),
    "negative index": (lambda x: x[-4], ElementIndexError, ("index -4", "-3 to 2", "axis 0")),
    "index array": (lambda x: np.sum(x[np.array([0, 5])]), ElementIndexError, ("index 5", "-3 to 2")),
    "index list": (lambda x: np.sum(x[[0, -4]]), ElementIndexError, ("index -4", "-3 to 2")),
    "too many indices": (lambda x: x[0, 0], ElementIndexError, ("2 axes", "(3,)")),
    "mask": (lambda x: np.sum(x[np.array([True, False])]), ElementIndexError, ("mask", "(2,)", "(3,)")),
    "floating index": (lambda x: x[1.0], DtypeError, ("float", "integers, slices")),
    "differentiated index": (lambda x: x[x[0]], DtypeError, ("float64", "integers, slices")),
    "mask of another length": (lambda x: np.sum(x[x[:2] > 1]), ElementIndexError, ("mask", "(2,)", "(3,)")),
}


@pytest.mark.parametrize("name", WITHIN)
def test_misuse_inside_the_function(name: str) -> None:
    f, kind, words = WITHIN[name]
    error = raised(f, X)
    assert type(error) is kind
    assert str(error).endswith(f"(at {line_of(f)})")
    for word in words:
        assert word in str(error)


def test_an_element_assigned_into_an_array() -> None:
    # NumPy raises an error of its own here; ours is its cause.
    def f(x: Any) -> Any:
        y = np.zeros(3)
        y[0] = x[1]  # here
        return np.sum(y)

    with pytest.raises(ValueError, match="setting an array element") as caught:
        tg.grad(f)(X)
    assert isinstance(caught.value.__cause__, ConversionError)
    assert "np.stack" in str(caught.value.__cause__)
    assert place(f, "# here") in str(caught.value.__cause__)


def test_iterating_over_a_scalar() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        tg.grad(lambda x: sum(x[0]))(X)


def test_the_length_of_a_scalar() -> None:
    with pytest.raises(TypeError, match="has no len"):
        tg.grad(lambda x: x[0] * len(x[0]))(X)


def test_a_variable_as_a_key() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        tg.grad(lambda x: {x[0]: 1.0}[x[0]])(X)


def test_the_line_is_that_of_the_innermost_call_of_the_user() -> None:
    def inner(x: Any) -> Any:
        return np.sum(x + np.ones(4))  # here

    assert str(raised(lambda x: inner(2.0 * x), X)).endswith(f"(at {place(inner, '# here')})")


# --- arguments

ARGUMENTS: dict[str, tuple[Any, str]] = {
    "int": (3, "args[0] = 3 of type int"),
    "bool": (True, "args[0] = True of type bool"),
    "complex": (1j, "args[0] = 1j of type complex"),
    "string": ("abc", "args[0] = 'abc' of type str"),
    "integer array": (np.arange(3), "args[0], an array of dtype int64"),
    "boolean array": (X > 1, "args[0], an array of dtype bool"),
    "complex array": (np.ones(2, complex), "args[0], an array of dtype complex128"),
    "object array": (np.array([1.0, None]), "args[0], an array of dtype object"),
    "array of strings": (np.array(["a"]), "args[0], an array of dtype <U1"),
    "half precision": (np.ones(2, np.float16), "args[0], an array of dtype float16"),
    "integer scalar": (np.int64(3), "args[0], an array of dtype int64"),
    "dates": (np.array(["2020-01-01"], "M8[D]"), "args[0], an array of dtype datetime64[D]"),
    "nested": ({"a": 1.0, "b": [1.0, 2]}, "args[0]['b'][1] = 2 of type int"),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_parameters_that_are_not_floating(name: str) -> None:
    parameter, found = ARGUMENTS[name]
    f = tg.value_and_grad(lambda x: x)
    with pytest.raises(DtypeError) as caught:
        f(parameter)  # here
    line = place(test_parameters_that_are_not_floating, "# here")
    text = str(caught.value)
    assert text.startswith(f"differentiate: found {found}; wanted float64 or float32 parameters")
    assert text.endswith(f"(at {line})")
    assert ("complex arrays are not supported" in text) == (name == "complex array")


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (np.ones(2, complex), "complex128"),
        (np.complex128(1), "complex128"),
        (np.array([1.0, None]), "object"),
        (np.array(["a"]), "<U1"),
        (np.ones(2, np.longdouble), str(np.dtype(np.longdouble))),
        (np.zeros(2, "M8[s]"), "datetime64[s]"),
        (np.zeros(2, [("a", float)]), "[('a', '<f8')]"),
    ],
)
def test_data_that_has_no_place_on_a_tape(data: Any, dtype: str) -> None:
    with pytest.raises(DtypeError) as caught:
        tg.grad(lambda x, d: np.sum(x))(X, {"images": data})  # here
    line = place(test_data_that_has_no_place_on_a_tape, "# here")
    assert str(caught.value).startswith(f"args[1]['images']: found an array of dtype {dtype}; wanted floats, ")
    assert str(caught.value).endswith(f"(at {line})")


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("made", [np.ones((1, 1)).view(np.matrix), np.ma.masked_array([1.0, 2.0], [True, False])])
def test_subclasses_that_compute_otherwise(made: Any, which: int) -> None:
    with pytest.raises(UnsupportedError, match=rf"args\[{which}\]: found a numpy.*wanted a plain array: numpy.asarray"):
        tg.grad(lambda x, d: np.sum(x * d))(*[X, X][:which], made, *[X, X][which + 1 :])


def test_unsigned_integers_beyond_int64() -> None:
    with pytest.raises(DtypeError, match="uint64 values beyond int64"):
        tg.grad(lambda x, n: np.sum(x * n))(X, np.array([1, 2, 2**63], np.uint64))


def test_arrays_of_other_libraries_are_no_parameters() -> None:
    class Series:
        dtype = "float64"

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return np.ones(3)

    with pytest.raises(DtypeError, match=r"args\[0\], a Series; wanted float64 or float32 parameters: numpy.asarray"):
        tg.grad(np.sum)(Series())


@pytest.mark.parametrize("argnums", [2, -3, (0, 2), 10])
def test_argnums_out_of_range(argnums: Any) -> None:
    with pytest.raises(ValueError, match=r"argnums: found -?\d+; wanted a place among 2 positional arguments"):
        tg.grad(lambda x, y: x * y, argnums)(1.0, 2.0)


@pytest.mark.parametrize("argnums", [(0, 0), (1, -1), [0, 1, 0]])
def test_argnums_twice(argnums: Any) -> None:
    with pytest.raises(ValueError, match=r"argnums: found .+, which names an argument twice"):
        tg.grad(lambda x, y: x * y, argnums)(1.0, 2.0)


# --- seeds


def pullback_error(seed: Any) -> tuple[TapegradError, str]:
    _, pullback = tg.vjp(lambda x: {"a": x * x, "b": np.sum(x)}, X)
    with pytest.raises(TapegradError) as caught:
        pullback(seed)  # here
    line = place(pullback_error, "# here")
    assert str(caught.value).endswith(f"(at {line})")
    return caught.value, str(caught.value)


@pytest.mark.parametrize(
    ("seed", "kind", "words"),
    [
        (X, ShapeError, "pullback: found a seed of another structure; wanted the structure of y"),
        ({"b": 1.0, "a": X}, ShapeError, "another structure"),
        ({"a": X}, ShapeError, "another structure"),
        ({"a": np.ones(2), "b": 1.0}, ShapeError, "found a seed of shape (2,); wanted y's shape (3,)"),
        ({"a": np.ones((3, 1)), "b": 1.0}, ShapeError, "found a seed of shape (3, 1); wanted y's shape (3,)"),
        ({"a": X, "b": np.ones(1)}, ShapeError, "found a seed of shape (1,); wanted y's shape ()"),
        ({"a": 1.0, "b": 1.0}, ShapeError, "found a seed of shape (); wanted y's shape (3,)"),
        ({"a": X * 1j, "b": 1.0}, DtypeError, "found a seed of dtype complex128; wanted floats"),
        ({"a": ["x", "y", "z"], "b": 1.0}, ShapeError, "another structure"),
        ({"a": X, "b": "x"}, DtypeError, "found a seed of dtype <U1; wanted floats"),
    ],
)
def test_seeds_that_do_not_fit(seed: Any, kind: type[TapegradError], words: str) -> None:
    error, text = pullback_error(seed)
    assert type(error) is kind
    assert words in text


def test_a_pullback_works_after_a_wrong_seed() -> None:
    _, pullback = tg.vjp(lambda x: x * x, X)
    with pytest.raises(ShapeError):
        pullback(np.ones(4))
    assert pullback(np.ones(3))[0].tolist() == [2.0, 4.0, 6.0]


# --- indices from data, found by the sweep


@pytest.mark.parametrize("wrong", [3, -4, 2**38, 2**62, -(2**62)])
def test_an_index_outside_found_by_the_sweep(wrong: int) -> None:
    def f(x: Any, i: Any) -> Any:
        return np.sum(x[i] ** 2)  # here

    g = tg.grad(f)
    assert g(X, np.array([0, 2])).tolist() == [2.0, 0.0, 6.0]
    for _ in range(2):
        with pytest.raises(ElementIndexError) as caught:
            g(X, np.array([0, wrong]))
        found = f"index {wrong}" if wrong > -(2**39) else "an index outside its axis"
        assert f"found {found}; wanted -3 to 2 along axis 0 (at {place(f, '# here')})" in str(caught.value)
        assert g(X, np.array([1, -1])).tolist() == [0.0, 4.0, 6.0]


def test_an_index_outside_at_the_very_first_call() -> None:
    g = tg.grad(lambda x, i: x[i])
    with pytest.raises(ElementIndexError, match="index 7"):
        g(X, np.array(7))
    assert g(X, np.array(1)).tolist() == [0.0, 1.0, 0.0]


# --- Variables outside their recording


def leak() -> Any:
    """A Variable of a recording that has ended."""
    kept = SimpleNamespace()

    def f(x: Any) -> Any:
        kept.x = x
        return np.sum(x)

    tg.grad(f)(X)
    return kept.x


USES: dict[str, Callable[[Any], Any]] = {
    "operator with a number": lambda v: v * 2.0,
    "operator with itself": lambda v: v + v,
    "operator with an array": lambda v: X - v,
    "unary operator": lambda v: -v,
    "ufunc": np.exp,
    "function": np.sum,
    "method": lambda v: v.sum(),
    "index": lambda v: v[0],
    "index array": lambda v: v[np.array([0, 1])],
    "iteration": list,
    "comparison": lambda v: v > 0,
    "matrix product": lambda v: v @ X,
    "np.asarray": np.asarray,
    "truth": lambda v: bool(v[0]),
    "stop_gradient": tg.stop_gradient,
}


@pytest.mark.parametrize("name", USES)
def test_a_variable_used_after_its_recording(name: str) -> None:
    with pytest.raises(LeakedVariableError) as caught:
        USES[name](leak())
    assert "found" in str(caught.value)
    assert "wanted" in str(caught.value)


@pytest.mark.parametrize("name", [n for n in USES if n not in ("np.asarray", "index array")])
def test_a_variable_used_in_a_later_recording(name: str) -> None:
    old = leak()
    use = USES[name]
    assert type(raised(lambda x: np.sum(x) + np.sum(use(old)), X)) is LeakedVariableError


@pytest.mark.parametrize(
    "f",
    [
        lambda x, old: np.sum(x * old),
        lambda x, old: np.sum(old * x),
        lambda x, old: np.sum(np.maximum(x, old)),
        lambda x, old: np.sum(np.stack([x, old])),
        lambda x, old: np.sum(np.where(old > 0, x, x)),
        lambda x, old: np.sum(np.where(x > 0, x, old)),
        lambda x, old: x @ old,
        lambda x, old: np.einsum("i,i->", x, old),
        lambda x, old: np.sum(old),
        lambda _, old: old[0],
    ],
)
def test_a_variable_mixed_with_those_of_a_later_recording(f: Callable[..., Any]) -> None:
    old = leak()
    error = raised(lambda x: f(x, old), X)
    assert type(error) is LeakedVariableError
    assert str(error).endswith(f"(at {line_of(f)})")


def test_a_leaked_variable_as_the_result() -> None:
    old = leak()
    assert type(raised(lambda _: old, 1.0)) is LeakedVariableError


def test_a_variable_of_an_outer_recording() -> None:
    """The inner derivative of plain values is then recorded in the outer function."""

    def outer(x: Any) -> Any:
        return tg.grad(lambda y: np.sum(x**2 * y))(X)[0]

    np.testing.assert_allclose(tg.grad(outer)(X), [2 * X[0], 0.0, 0.0])


def test_a_leaked_variable_can_be_printed() -> None:
    assert repr(leak()) == str(leak()) == "<Array v0 of shape (3,), float64, of a recording that has ended>"
    assert leak().shape == (3,)


def test_variables_can_be_printed() -> None:
    texts = []

    def f(x: Any) -> Any:
        texts.extend([repr(x), str(x[0]), f"{x[0]:.3f}", f"{[x]}"])
        return np.sum(x)

    tg.grad(f)(X)
    assert texts[0] == "<Array v0 of shape (3,), float64>"
    assert all(t.strip("[]").startswith(("<Array v", "<Variable v")) for t in texts)


# --- nothing is half changed by an error


@pytest.mark.parametrize("name", WITHIN)
def test_a_function_works_after_misuse(name: str) -> None:
    wrong, kind, _ = WITHIN[name]
    f = tg.value_and_grad(lambda x, bad: wrong(x) if bad else np.sum(x * x))
    for _ in range(2):
        with pytest.raises(kind):
            f(X, np.bool_(True))
        value, gradient = f(X, np.bool_(False))
        assert (value, gradient.tolist()) == (14.0, [2.0, 4.0, 6.0])


@pytest.mark.parametrize("good", [np.array([1.0, 2.0]), np.array([1.0])])
def test_a_function_works_after_arguments_that_do_not_fit(good: Any) -> None:
    f = tg.value_and_grad(lambda x, y: np.sum(x * y))
    for wrong in (np.ones(3), np.ones((2, 3)), "text"):
        with pytest.raises((ShapeError, DtypeError)):
            f(np.ones(2), wrong)
    value, gradient = f(np.ones(2), good)
    assert value == np.sum(np.ones(2) * good)
    assert gradient.tolist() == np.broadcast_to(good, 2).tolist()


def test_an_exception_of_the_user_passes_through() -> None:
    class MyError(Exception):
        pass

    def f(x: Any, wrong: bool) -> Any:
        if wrong:
            raise MyError("mine")
        return x * x

    g = tg.grad(f)
    with pytest.raises(MyError, match="mine"):
        g(2.0, True)
    assert g(2.0, False) == 4.0
    with pytest.raises(MyError, match="mine"):
        g(2.0, True)


def test_an_exception_in_a_branch_taken_later_passes_through() -> None:
    def f(x: Any) -> Any:
        if x < 0:
            raise ValueError("negative")
        return x * x

    g = tg.grad(f)
    assert g(2.0) == 4.0
    for _ in range(2):
        with pytest.raises(ValueError, match="negative"):
            g(-1.0)
        assert g(3.0) == 6.0


def test_a_captured_array_that_changed_is_named_and_then_recorded_anew() -> None:
    scale = np.ones(3)

    def f(x: Any) -> Any:
        return np.sum(x * scale)  # here

    g = tg.grad(f)
    assert g(X).tolist() == [1.0, 1.0, 1.0]
    scale[1] = 5.0
    with pytest.raises(CapturedArrayError) as caught:
        g(X)
    assert "a float64 array of shape (3,) that was changed in place" in str(caught.value)
    assert str(caught.value).endswith(f"(at {place(f, '# here')})")
    assert g(X).tolist() == [1.0, 5.0, 1.0]


def test_check_grad_names_the_worst_entry() -> None:
    with pytest.raises(GradientCheckError, match=r"check_grad: found args\[0\]\['b'\]\[1\]: gradient .*; wanted agree"):
        tg.check_grad(lambda p: p["a"] + np.sum(tg.stop_gradient(p["b"]) ** 2), {"a": 1.0, "b": np.array([0.0, 2.0])})


def test_errors_are_also_those_that_python_has_for_such_things() -> None:
    assert issubclass(ShapeError, ValueError)
    assert issubclass(DtypeError, TypeError)
    assert issubclass(UnsupportedError, TypeError)
    assert issubclass(ElementIndexError, IndexError)
    assert issubclass(GradientCheckError, AssertionError)


def test_more_arrays_than_addresses_can_tell_apart_are_an_error() -> None:
    data = [np.full(3, float(k)) for k in range(33_000)]
    with pytest.raises(UnsupportedError, match="captured or results; wanted at most 32768: stack them"):
        tg.value_and_grad(lambda x: np.sum(sum((d * x for d in data), 0.0 * x)))(np.ones(3))
