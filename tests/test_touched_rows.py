"""`touched_rows=True`: gradients of tables that are read by index arrays, as rows and values."""

from __future__ import annotations

import tracemalloc
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapegrad as tg
from tapegrad.drivers.arguments import bind
from tapegrad.drivers.recorded import GRADIENT, Recorded
from tapegrad.errors import ElementIndexError, NonFiniteError, ShapeError, UnsupportedError
from tapegrad.ops.table import INPUT, OPS
from tapegrad.reading.listing import listing
from tapegrad.touched import RowSums, TouchedRows

N = 53
SHAPES: dict[str, tuple[int, ...]] = {"U": (N, 3), "V": (41, 3), "b": (59,), "T": (61, 2, 2), "w": (3,)}
Params = namedtuple("Params", "table bias")  # noqa: PYI024 - what users have

USERS, ITEMS = np.array([4, -1, 4, 0, 52, -53, 17]), np.array([3, 3, -41, 40, 2, 2, 3])
SQUARE = np.array([[4, -1, 4], [0, 30, 4]])
NONE = np.zeros(0, np.int64)
KNOWN = np.array([1, -1, 50])


def params(dtype: Any = np.float64) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape).astype(dtype) for name, shape in SHAPES.items()}


def factors(p: Any, i: Any, j: Any) -> Any:
    return np.mean((np.sum(p["U"][i] * p["V"][j], axis=1) + p["b"][i] - 0.5) ** 2)


def regularised(p: Any, i: Any, j: Any) -> Any:
    return factors(p, i, j) + 0.1 * np.sum(p["U"][i] ** 2) + 0.2 * np.mean(np.abs(p["V"][j]))


def whole(p: Any, i: Any, j: Any) -> Any:
    return factors(p, i, j) + 0.1 * np.sum(p["U"] ** 2)


def several(p: Any, i: Any, j: Any) -> Any:
    near, far = p["U"][i] - p["U"][i[::-1]], p["U"][i] * p["U"][i % 7]
    return np.sum(np.maximum(0.0, 1.0 + np.sum(near * far, axis=-1))) + np.sum(np.sin(p["U"][i[:2]]))


def recurrent(p: Any, i: Any, j: Any) -> Any:
    h = np.zeros(3)
    for k in range(6):
        h = np.tanh(0.5 * h + p["U"][i[k]] * p["w"])
    return np.sum(h) + np.sum(np.exp(p["b"][j % 41]))


def branching(p: Any, i: Any, j: Any) -> Any:
    x, total = p["U"][i], p["w"][0]
    while total < 2.0:
        total = total + 0.5 + np.sum(x**2)
    return total * p["V"][j[0], :].sum() if p["w"][1] > 100.0 else total + np.sum(p["V"][j])


# The loss, its index arrays, and the gradients that come as rows.
LOSSES: dict[str, tuple[Callable[..., Any], Any, Any, str]] = {
    "factors and biases": (factors, USERS, ITEMS, "UVb"),
    "gathered rows regularised": (regularised, USERS, ITEMS, "UVb"),
    "a table regularised whole": (whole, USERS, ITEMS, "Vb"),
    "one table by several indices": (several, USERS, ITEMS, "U"),
    "one row at a time": (recurrent, USERS, ITEMS, "Ub"),
    "a while and an if": (branching, USERS, ITEMS, "UV"),
    "indices of two axes": (
        lambda p, i, j: np.sum(np.tanh(p["U"][i]) * p["w"]) + np.sum(p["b"][i]),
        SQUARE,
        ITEMS,
        "Ub",
    ),
    "rows of two axes": (
        lambda p, i, j: np.sum(np.einsum("kab,kbc->kac", p["T"][i], p["T"][i]) ** 2),
        USERS,
        ITEMS,
        "T",
    ),
    "no rows": (lambda p, i, j: np.sum(p["U"][i]) + p["w"][0] + np.sum(p["b"][i]), NONE, ITEMS, "Ub"),
    "some rows and none": (lambda p, i, j: np.sum(p["U"][i]) + np.sum(p["U"][j] ** 2), NONE, ITEMS, "U"),
    "a single index": (lambda p, i, j: np.sum(p["U"][i] ** 2) * p["b"][i], np.array(-3), ITEMS, "Ub"),
    "a constant index": (lambda p, i, j: np.sum(p["U"][KNOWN] ** 2) + np.sum(p["U"][[2, 2]]), USERS, ITEMS, "U"),
    "a constant index and an argument": (
        lambda p, i, j: np.sum(p["b"][KNOWN] ** 3) + np.sum(p["b"][i] ** 2),
        USERS,
        ITEMS,
        "b",
    ),
    "a mask": (lambda p, i, j: np.sum(p["U"][np.arange(N) % 9 == 0] ** 2), USERS, ITEMS, "U"),
    "take": (lambda p, i, j: np.sum(np.take(p["U"], i, axis=0) ** 2 @ p["w"]), USERS, ITEMS, "U"),
    "take, clipped": (lambda p, i, j: np.sum(np.take(p["U"], i * 3, axis=0, mode="clip") ** 2), USERS, ITEMS, "U"),
    "a part of each row": (lambda p, i, j: np.sum(p["U"][i][:, 1:] ** 2), USERS, ITEMS, "U"),
    "a table in another shape": (
        lambda p, i, j: np.sum(p["T"].reshape(61, 4)[i] ** 2) + np.sum(p["T"][i]),
        USERS,
        ITEMS,
        "T",
    ),
    "a bias as a column": (lambda p, i, j: np.sum(p["b"][:, None][i] ** 2), USERS, ITEMS, "b"),
    "an index that is computed": (
        lambda p, i, j: np.sum(p["U"][np.where(i > 3, i - 1, i)] ** 2),
        np.abs(USERS),
        ITEMS,
        "U",
    ),
    "rows out of a gather": (lambda p, i, j: np.sum(p["U"][i][j % 7] ** 2), USERS, ITEMS, "U"),
    "an item beside": (lambda p, i, j: np.sum(p["U"][i]) * p["U"][3, 1], USERS, ITEMS, ""),
    "a row beside": (lambda p, i, j: np.sum(p["U"][i] * p["U"][3]), USERS, ITEMS, ""),
    "a slice beside": (lambda p, i, j: np.sum(p["U"][i]) * np.sum(p["U"][:4] ** 2), USERS, ITEMS, ""),
    "columns": (lambda p, i, j: np.sum(p["U"][:, j % 3] ** 2), USERS, ITEMS, ""),
    "entries": (lambda p, i, j: np.sum(p["U"][i, j % 3] ** 2), USERS, ITEMS, ""),
    "a table in products": (lambda p, i, j: np.sum((p["U"] * 2.0)[i] ** 2) + np.sum(p["U"][i]), USERS, ITEMS, ""),
    "a transposed table": (lambda p, i, j: np.sum(p["U"].T[:, i] ** 2), USERS, ITEMS, ""),
    "nothing gathered": (lambda p, i, j: np.sum(p["w"] ** 2), USERS, ITEMS, ""),
}


def compared(f: Any, *args: Any, rows: str) -> Any:
    """Value and gradient both ways, by the long way and the short way; gives the touched gradient.

    `rows`: the names of the gradients that come as rows.
    """
    wanted, dense = tg.value_and_grad(f)(*args)
    run = tg.value_and_grad(f, touched_rows=True)
    for _ in range(3):
        value, found = run(*args)
        np.testing.assert_array_equal(value, wanted)
        assert list(found) == list(dense)
        assert "".join(name for name, g in found.items() if isinstance(g, TouchedRows)) == rows
        for name, g in found.items():
            check(g, dense[name])
    return found


def check(found: Any, dense: Any) -> None:
    """A gradient, maybe in rows, beside the dense one."""
    if isinstance(found, TouchedRows):
        assert found.shape == dense.shape
        assert found.rows.dtype == np.int64
        assert len(np.unique(found.rows)) == len(found.rows)
        assert np.all((found.rows >= 0) & (found.rows < dense.shape[0]))
        assert found.values.shape == (len(found.rows), *dense.shape[1:])
        found = found.to_dense()
    assert type(found) is type(dense)
    assert found.dtype == dense.dtype
    eps = np.finfo(dense.dtype).eps
    np.testing.assert_allclose(found, dense, rtol=50 * eps, atol=50 * eps * max(1.0, np.abs(dense).max(initial=0.0)))


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_same_as_the_dense_gradient(name: str, dtype: Any) -> None:
    f, i, j, rows = LOSSES[name]
    compared(f, params(dtype), i, j, rows=rows)


@pytest.mark.parametrize("name", LOSSES)
def test_no_instruction_is_as_long_as_a_table_that_is_only_gathered(name: str) -> None:
    f, i, j, rows = LOSSES[name]
    _, recording = Recorded(f, GRADIENT, touched=True).run(bind((params(), i, j), (0,)))
    tape, lengths = recording.full, {SHAPES[leaf][0] for leaf in rows}
    for k, code in enumerate(tape.opcodes.tolist()):
        if code != INPUT and not (OPS[code].name == "reshape" and tape.opcodes[tape.read(k)[0]] == INPUT):  # a view
            assert not lengths & set(tape.type(k).shape), listing(tape)


def test_memory_of_a_call_does_not_depend_on_the_tables_length() -> None:
    peaks = []
    for n in (1_000, 300_000):
        p = {"U": np.ones((n, 8)), "V": np.ones((n, 8)), "b": np.ones(n)}
        run = tg.value_and_grad(factors, touched_rows=True)
        run(p, USERS % 53, ITEMS % 41)
        tracemalloc.start()
        run(p, USERS % 53, ITEMS % 41)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 2_000


def test_many_rows_in_tiles_on_several_threads() -> None:
    rng = np.random.default_rng(1)
    p = {"U": rng.normal(size=(5_000, 8)), "V": rng.normal(size=(300, 8)), "b": rng.normal(size=5_000)}
    i, j = rng.integers(-5_000, 5_000, 30_000), rng.integers(0, 300, 30_000)
    wanted = tg.grad(factors)(p, i, j)
    found = tg.grad(factors, touched_rows=True)(p, i, j)
    for name, g in found.items():
        assert isinstance(g, TouchedRows)
        check(g, wanted[name])


# --- the ways in


def test_aux_and_keyword_arguments() -> None:
    def f(p: Any, *, i: Any, scale: float = 1.0) -> Any:
        x = p["U"][i]
        return scale * np.sum(x**2), {"rows": x, "mean": np.mean(x), "what": "kept", "i": i * 2}

    p = params()
    wanted, dense = tg.value_and_grad(f, has_aux=True)(p, i=USERS, scale=0.5)
    run = tg.value_and_grad(f, has_aux=True, touched_rows=True)
    for _ in range(3):
        value, found = run(p, i=USERS, scale=0.5)
        assert value[0] == wanted[0]
        assert value[1]["what"] == "kept"
        for name in ("rows", "mean", "i"):
            np.testing.assert_array_equal(value[1][name], wanted[1][name])
        check(found["U"], dense["U"])
        assert isinstance(found["U"], TouchedRows)
        gradient, aux = tg.grad(f, has_aux=True, touched_rows=True)(p, i=USERS, scale=0.5)
        check(gradient["U"], dense["U"])
        np.testing.assert_array_equal(aux["rows"], wanted[1]["rows"])


def test_containers_and_argnums() -> None:
    def f(a: Any, i: Any, b: Any, c: Any) -> Any:
        return np.sum(a[i] ** 2) + np.sum(np.sin(b.table[i] * b.bias[i, None])) + c

    p = params()
    b, arguments = Params(p["U"] + 1.0, p["b"]), (2, 0, 3)
    dense = tg.grad(f, arguments)(p["U"], USERS, b, 2.0)
    run = tg.grad(f, arguments, touched_rows=True)
    for _ in range(2):
        found = run(p["U"], USERS, b, 2.0)
        assert type(found) is tuple
        assert type(found[0]) is Params
        assert found[2] == 1.0
        for g, d in [(found[0].table, dense[0].table), (found[0].bias, dense[0].bias), (found[1], dense[1])]:
            assert isinstance(g, TouchedRows)
            check(g, d)
    alone = tg.grad(f, touched_rows=True)(p["U"], USERS, b, 2.0)
    check(alone, dense[1])


def test_parameters_of_another_dtype_than_the_tapes() -> None:
    p = {**params(), "U": params(np.float32)["U"], "b": params(np.float32)["b"]}
    found = compared(factors, p, USERS, ITEMS, rows="UVb")
    assert (found["U"].dtype, found["V"].dtype, found["b"].values.dtype) == (np.float32, np.float64, np.float32)


def test_a_table_in_another_order() -> None:
    p = {name: np.asfortranarray(x) for name, x in params().items()}
    compared(factors, p, USERS, ITEMS, rows="UVb")


def test_other_values_indices_shapes_and_branches() -> None:
    def f(p: Any, i: Any) -> Any:
        return np.sum(p["U"][i] ** 2) if p["w"][0] > 0.0 else np.sum(p["U"] ** 2) + np.sum(p["V"][i])

    dense, run = tg.value_and_grad(f), tg.value_and_grad(f, touched_rows=True)
    rng = np.random.default_rng(2)
    for k in range(24):
        p = {name: rng.normal(size=x.shape) for name, x in params().items()}
        p["w"][0] = (-1.0) ** (k // 2)
        i = rng.integers(-41, 41, 5 if k % 5 else 8)
        (value, found), (wanted, gradient) = run(p, i), dense(p, i)
        assert value == wanted
        assert isinstance(found["U"], TouchedRows) == (p["w"][0] > 0.0)
        assert isinstance(found["V"], TouchedRows) == (p["w"][0] < 0.0)
        for name, g in found.items():
            check(g, gradient[name])


def test_a_result_is_the_callers_own() -> None:
    run, p = tg.grad(factors, touched_rows=True), params()
    first = run(p, USERS, ITEMS)
    rows, values = first["U"].rows.copy(), first["U"].values.copy()
    second = run(p, ITEMS, ITEMS)
    second["U"].values[:] = np.nan
    run(p, ITEMS, ITEMS)
    np.testing.assert_array_equal(first["U"].rows, rows)
    np.testing.assert_array_equal(first["U"].values, values)
    assert not np.shares_memory(first["U"].values, first["V"].values)


def test_rows_come_in_the_order_of_one_index() -> None:
    found = tg.grad(lambda x, i: np.sum(x[i] ** 2), touched_rows=True)(np.ones((9, 2)), np.array([5, -1, 2, 8, 5]))
    assert found.rows.tolist() == [5, 8, 2]
    assert found.values.tolist() == [[4.0, 4.0], [4.0, 4.0], [2.0, 2.0]]


def test_what_a_recording_tells_a_loop_of_steps() -> None:
    p = params()
    recorded = Recorded(several, GRADIENT, touched=True)
    results, recording = recorded.run(bind((p, USERS, ITEMS), (0,)))
    assert [g is None for g in recording.gathered] == [False, True, True, True, True]
    gathered = recording.gathered[0]
    assert gathered is not None
    index, values = gathered.parts(results)
    sums = RowSums.of(gathered.shape, len(index), values.dtype)
    dense = tg.grad(several)(p, USERS, ITEMS)["U"]
    for _ in range(2):
        sums.clear()
        sums.add(index, values)
        check(TouchedRows(sums.rows[: sums.count], sums.values[: sums.count], gathered.shape), dense)
    assert results[2].shape == SHAPES["V"]
    assert Recorded(several, GRADIENT).run(bind((p, USERS, ITEMS), (0,)))[1].gathered == ()


# --- errors


@pytest.mark.parametrize(("bad", "axis"), [(53, 0), (-54, 0)])
def test_an_index_outside_is_named_with_its_line(bad: int, axis: int) -> None:
    def f(p: Any, i: Any) -> Any:
        return np.sum(p["U"][i])

    line = f"{__file__}:{f.__code__.co_firstlineno + 1}"
    wrong = np.array([1, bad, 2])
    messages = []
    for options in ({}, {"touched_rows": True}):
        run = tg.grad(f, **options)
        for _ in range(2):
            with pytest.raises(ElementIndexError) as error:
                run(params(), wrong)
            messages.append(str(error.value))
            run(params(), np.array([1, 2, 3]))
    assert len(set(messages)) == 1
    assert f"index {bad}" in messages[0]
    assert f"-53 to 52 along axis {axis}" in messages[0]
    assert line in messages[0]


def test_within_a_recorded_function_it_is_refused() -> None:
    inner = tg.grad(lambda x, i: np.sum(x[i] ** 3), touched_rows=True)
    for outer in (
        lambda x: np.sum(inner(x, USERS).values),
        lambda x: np.sum(inner(np.ones((N, 3)) * x[0, 0], USERS).values),
    ):
        with pytest.raises(UnsupportedError, match=r"touched_rows=True.*within a recorded function.*test_touched_rows"):
            tg.grad(outer)(params()["U"])
    with pytest.raises(UnsupportedError, match="touched_rows=True"):
        tg.batch(inner, in_axes=(None, 0))(params()["U"], USERS.reshape(7, 1))


def test_debug_names_what_made_a_nan() -> None:
    def f(p: Any, i: Any) -> Any:
        return np.sum(np.sqrt(p["U"][i]))

    p = {"U": np.ones((N, 3)), "w": np.ones(3)}
    run = tg.grad(f, touched_rows=True, debug=True)
    for _ in range(2):
        check(run(p, USERS)["U"], tg.grad(f)(p, USERS)["U"])
    p["U"][17] = 0.0
    for again in (run, tg.grad(f, touched_rows=True, debug=True)):
        with pytest.raises(NonFiniteError, match=r"in the reverse sweep: found inf.*test_touched_rows"):
            again(p, USERS)


def test_debug_names_a_row_whose_sum_overflows() -> None:
    def f(p: Any, i: Any, scale: float) -> Any:
        return np.sum((p["w"] * 0.0 + 1.0) * p["U"][i] * scale)

    p = {"w": np.ones(3), "U": np.zeros((N, 3))}
    tg.grad(f, touched_rows=True, debug=True)(p, np.array([1, 7, 2]), 1e308)
    for keywords in ({}, {"scale": 1e308}):
        with pytest.raises(NonFiniteError, match=r"overflow in row 7 of the gradient by args\[0\]\['U'\]"):
            tg.grad(f, touched_rows=True, debug=True)(
                p, np.array([1, 7, 7]), *([] if keywords else [1e308]), **keywords
            )


# --- sums of rows


def test_sums_refuse_what_does_not_fit() -> None:
    sums = RowSums.of((5, 2), 3, np.float64)
    with pytest.raises(ShapeError, match=r"\(2, 3\).*\(2, 2\)"):
        sums.add(np.array([1, 2]), np.ones((2, 3)))
    with pytest.raises(ElementIndexError, match=r"index 5.*-5 to 4"):
        sums.add(np.array([1, 5]), np.ones((2, 2)))
    sums.clear()
    with pytest.raises(ShapeError, match="at most 3"):
        sums.add(np.arange(4), np.ones((4, 2)))


@settings(deadline=None, max_examples=100)
@given(
    st.integers(1, 40),
    st.integers(0, 3),
    st.lists(st.lists(st.integers(-40, 39), max_size=30), max_size=3),
    st.sampled_from([np.float64, np.float32]),
)
def test_sums_are_those_of_numpy(length: int, width: int, batches: list[list[int]], dtype: Any) -> None:
    indices = [np.array([k % length - length * (k < 0) for k in batch], np.int64) for batch in batches]
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(len(i), width)).astype(dtype) for i in indices]
    sums, wanted = RowSums.of((length, width), sum(map(len, indices)), dtype), np.zeros((length, width), dtype)
    for i, v in zip(indices, values, strict=True):
        sums.add(i, v)
        np.add.at(wanted, i, v)
    order = [k % length for i in indices for k in i.tolist()]
    assert sums.rows[: sums.count].tolist() == list(dict.fromkeys(order))
    found = TouchedRows(sums.rows[: sums.count], sums.values[: sums.count], wanted.shape).to_dense()
    np.testing.assert_array_equal(found, wanted)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_random_gathers(data: Any) -> None:
    tables = {name: data.draw(st.sampled_from([(5,), (7, 2), (4, 2, 3), (1, 2)])) for name in "ab"}
    gathers = []
    for _ in range(data.draw(st.integers(1, 5))):
        name = data.draw(st.sampled_from("ab"))
        n, shape = tables[name][0], data.draw(st.sampled_from([(), (1,), (4,), (2, 3), (0,), (9,)]))
        entries = st.lists(st.integers(-n, n - 1), min_size=int(np.prod(shape)), max_size=int(np.prod(shape)))
        index = np.array(data.draw(entries), np.int64).reshape(shape)
        gathers.append((name, index, data.draw(st.sampled_from([np.tanh, np.square, np.negative, np.exp]))))
    dense = data.draw(st.sampled_from(["", "", "a"]))

    def f(p: Any, indices: Any) -> Any:
        total = 0.0
        for (name, _, function), index in zip(gathers, indices, strict=True):
            total = total + np.sum(function(p[name][index])) * 0.5
        return total + (np.sum(p[dense] ** 2) if dense else 0.0)

    rng = np.random.default_rng(0)
    p = {name: rng.normal(size=shape) for name, shape in tables.items()}
    rows = "".join(name for name in "ab" if name != dense and any(g[0] == name for g in gathers))
    compared(f, p, [g[1] for g in gathers], rows=rows)
