"""Tapes as text: columns, attributes in words, source lines, long tapes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import tapegrad as tg
import tapegrad.scipy.linalg
from tapegrad.ops.table import OPS
from tapegrad.reading.columns import aligned, shortened
from tapegrad.reading.figures import figure, summary
from tapegrad.reading.listing import brief, ends, listing
from tapegrad.reading.source import place, text
from tapegrad.reading.wording import operation, window
from tests.models import lotka_volterra

X = np.arange(1.0, 13.0).reshape(3, 4)


def seven(x1: Any, x2: Any) -> Any:
    return np.log(x1) + x1 * x2 - np.sin(x2)


def words(f: Any, *args: Any) -> list[str]:
    """The instructions of a function in words, without leaves."""
    tape = tg.record(f, *args).tape
    return [operation(tape, i) for i in range(len(tape)) if not OPS[tape.opcodes[i]].leaf]


def cells(line: str) -> list[str]:
    """The columns of a line, which are at least two blanks apart."""
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


# --- the listing


def test_the_seven_instructions_are_listed() -> None:
    tape = tg.record(seven, 2.0, 5.0, argnums=(0, 1))
    lines = str(tape).splitlines()
    assert lines[0] == "tape of 7 instructions, 2 inputs, float64"
    assert [cells(line)[:4] for line in lines[1:8]] == [
        ["v0", "input", "x1", "()"],
        ["v1", "input", "x2", "()"],
        ["v2", "log", "v0", "()"],
        ["v3", "multiply", "v0 v1", "()"],
        ["v4", "add", "v2 v3", "()"],
        ["v5", "sin", "v1", "()"],
        ["v6", "subtract", "v4 v5", "()"],
    ]
    number = seven.__code__.co_firstlineno + 1
    assert cells(lines[3])[4:] == [f"test_listing.py:{number}", "return np.log(x1) + x1 * x2 - np.sin(x2)"]
    assert cells(lines[4])[4:] == [f"test_listing.py:{number}"]  # the same line is written out once
    assert cells(lines[1])[4:] == []  # no line of the user's recorded an input
    assert lines[8:] == ["result: v6"]


def test_columns_are_aligned() -> None:
    lines = str(tg.record(lambda x: np.sum(np.exp(x[1:, ::2]) * 2.0, axis=1), X)).splitlines()[1:-1]
    for word in ("input", "constant", "exp", "multiply", "slice", "sum"):
        assert len({line.index(f" {word}") for line in lines if f" {word}" in line}) == 1
    assert len({line.index("(") for line in lines if "sum" in line or "exp" in line}) == 1
    assert all(line == line.rstrip() for line in lines)


def test_the_reverse_part_has_a_heading_and_gradients_have_names() -> None:
    p = {"w": np.ones((4, 2)), "b": [np.zeros(2), 1.0]}
    gradient = tg.record(lambda p, x: np.mean((x @ p["w"] + p["b"][0]) ** 2) * p["b"][1], p, X).adjoint()
    lines = str(gradient).splitlines()
    n, reverse = len(gradient), gradient.tape.reverse
    assert lines[0] == f"tape of {n} instructions ({reverse} forward, {n - reverse} reverse), 4 inputs, float64"
    assert lines[1] == "forward"
    assert lines[2 + reverse] == "reverse"
    dependents = gradient.tape.dependents.tolist()
    names = ["value", "gradient by p['w']", "gradient by p['b'][0]", "gradient by p['b'][1]"]
    assert lines[-4:] == [f"{name}: v{slot}" for name, slot in zip(names, dependents, strict=True)]


def test_gradients_stand_in_the_order_of_argnums() -> None:
    gradient = tg.record(seven, 2.0, 5.0, argnums=(1, 0)).adjoint()
    d = gradient.tape.dependents.tolist()
    assert str(gradient).splitlines()[-3:] == [
        f"value: v{d[0]}",
        f"gradient by x2: v{d[1]}",
        f"gradient by x1: v{d[2]}",
    ]


def test_results_have_names_of_their_containers() -> None:
    lines = str(tg.record(lambda x: {"a": x * 2.0, "b": (np.sin(x), x)}, X)).splitlines()
    assert [line.split(":")[0] for line in lines[-3:]] == ["result['a']", "result['b'][0]", "result['b'][1]"]


def test_kinds_that_are_not_floating_are_named() -> None:
    text = str(tg.record(lambda x: (x > 2.0, np.argmax(x, axis=0)), X))
    assert "bool (3, 4)" in text
    assert "int64 (4,)" in text


def test_a_raw_tape_is_listed_without_names() -> None:
    tape = tg.record(seven, 2.0, 5.0, argnums=(0, 1)).adjoint().tape
    lines = listing(tape).splitlines()
    assert "argument 0" in lines[2]
    assert lines[-3].startswith("value: v")
    assert lines[-1].startswith("gradient by argument 1: v")
    assert len(listing(tape, first=1, last=3).splitlines()) == 3 + 4  # a heading, "forward", two lines, three results


def test_an_empty_stretch_and_a_tape_of_no_arguments() -> None:
    tape = tg.record(lambda: 2.0)
    assert str(tape).splitlines()[0] == "tape of 1 instructions, 0 inputs, float64"
    assert tape.listing(5, 9).splitlines()[1:] == ["result: v0"]


# --- long tapes


def test_a_long_tape_shows_its_ends() -> None:
    p = np.array([1.5, 1.0, 3.0, 1.0, 10.0, 5.0])
    tape = tg.record(partial(lotka_volterra, np, steps=2000), p)
    n = len(tape)
    assert n > 21_000
    lines = str(tape).splitlines()
    assert len(lines) == 203
    assert lines[101] == f"... {n - 200:,} more; tape.listing() gives all"
    assert cells(lines[100])[0] == "v99"
    assert cells(lines[102])[0] == f"v{n - 100}"
    assert max(map(len, lines)) <= 140
    assert len(tape.listing().splitlines()) == n + 2
    assert [cells(line)[0] for line in tape.listing(5000, 5003).splitlines()[1:-1]] == ["v5000", "v5001", "v5002"]
    assert [cells(line)[0] for line in tape.listing(-2).splitlines()[1:-1]] == [f"v{n - 2}", f"v{n - 1}"]


def test_only_rows_that_are_shown_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def counted(tape: Any, i: int) -> str:
        asked.append(i)
        return operation(tape, i)

    monkeypatch.setattr("tapegrad.reading.listing.operation", counted)
    tape = tg.record(partial(lotka_volterra, np, steps=100), np.ones(6))
    str(tape)
    assert len(asked) == 200
    assert len(tape) > 1000


def test_headings_of_long_tapes_stand_where_parts_begin() -> None:
    tape = tg.record(partial(lotka_volterra, np, steps=30), np.ones(6)).adjoint()
    lines = brief(tape.tape).splitlines()
    assert lines.index("forward") == 1
    gap = next(k for k, line in enumerate(lines) if line.startswith("... "))
    assert lines.index("reverse") > gap


@pytest.mark.parametrize(("count", "shown"), [(0, [0]), (200, [200]), (201, [100, 100])])
def test_ends(count: int, shown: list[int]) -> None:
    assert [len(part) for part in ends(count)] == shown


def test_many_results_are_shortened() -> None:
    lines = str(tg.record(lambda x: [x * float(k) for k in range(300)], 2.0)).splitlines()
    assert "... 100 more" in lines


# --- attributes in words


@pytest.mark.parametrize(
    ("f", "wanted"),
    [
        (np.sum, "sum"),
        (lambda x: np.sum(x, axis=1), "sum axis 1"),
        (lambda x: np.max(x[None], axis=(0, 2)), "max axes 0, 2"),
        (lambda x: x.T, "transpose"),
        (lambda x: np.transpose(x[None], (2, 0, 1)), "transpose axes 2, 0, 1"),
        (lambda x: x[1:, ::2], "slice [1:, ::2]"),
        (lambda x: x[::-1], "slice [::-1]"),
        (lambda x: x[:, 1:3], "slice [:, 1:3]"),
        (lambda x: x[2], "item [2]"),
        (lambda x: x[-1], "item [2]"),
        (lambda x: np.concatenate([x, x], axis=1), "concatenate axis 1"),
        (lambda x: x[:, np.array([0, 2])], "gather axis 1"),
        (lambda x: x.reshape(-1)[np.array([0, 2])], "gather"),
        (lambda x: np.cumsum(x, axis=0), "cumsum axis 0"),
        (lambda x: np.argmax(x, axis=1), "argmax axis 1"),
        (lambda x: np.searchsorted(x[0], 2.5, side="right"), "searchsorted right"),
        (lambda x: np.linalg.eigvalsh(x[:, :3]), "eigvalsh lower"),
        (np.linalg.pinv, "pinv rcond=1e-15"),
        (lambda x: np.fft.irfft(np.fft.rfft(x, axis=0, norm="ortho"), axis=0), "rfft axis -2, ortho"),
        (lambda x: scipy.sparse.eye(3).tocsr() @ x, "sparse_matmul (3, 3)"),
        (lambda x: tapegrad.scipy.linalg.solve_triangular(x[:, :3], x, lower=True), "solve_triangular lower"),
    ],
)
def test_attributes_are_told_in_words(f: Any, wanted: str) -> None:
    assert wanted in words(f, X)


def test_assignments_are_told_in_words() -> None:
    def f(x: Any) -> Any:
        y = x * 1.5
        y[1:, 2] = 0.5 * y[:2, 0]
        y[0] = x[2]
        return y

    found = words(f, X)
    assert "slice_set [1:, 2:3] =" in found
    assert "item_set [0] =" in found


def test_factors_that_are_read_transposed_are_marked() -> None:
    tape = tg.record(lambda a, b: np.sum(a.T @ b.T), X, np.ones((2, 3)))
    assert "v0.T v1.T" in str(tape)
    assert "v0.T v1" in str(tg.record(lambda a: np.linalg.solve(a.T, np.ones(3)), np.eye(3)))


def test_functions_of_the_user_have_their_names() -> None:
    @tg.primitive
    def cube(x: Any) -> Any:
        return x**3

    assert "cube" in words(cube, X)


@pytest.mark.parametrize("shape", [(5,), (1,), (4, 6)])
def test_windows_are_written_as_numpy_slices_them(shape: tuple[int, ...]) -> None:
    x = np.arange(np.prod(shape)).reshape(shape)
    rng = np.random.default_rng(3)
    evaluate = next(op.evaluate for op in OPS if op.name == "slice")
    for _ in range(300):
        windows = []
        for n in shape:
            step = int(rng.choice([1, 1, 2, 3, -1, -2]))
            start = int(rng.integers(n))
            room = (n - 1 - start) // step + 1 if step > 0 else start // -step + 1
            windows.append((start, step, int(rng.integers(room + 1))))
        written = window(tuple(windows), shape)
        assert np.array_equal(eval(f"x{written}", {"x": x}), evaluate(tuple(windows), x)), (windows, written)


def test_a_window_of_a_scalar() -> None:
    assert window((), ()) == "[()]"


# --- numbers, columns, lines


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (np.float32(0.1), "0.1"),
        (1 / 3, "0.333333"),
        (-1e-20, "-1e-20"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (np.int64(123456789), "123456789"),
        (np.True_, "True"),
    ],
)
def test_numbers(value: Any, wanted: str) -> None:
    assert figure(value) == wanted


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        (np.array(2.5), "2.5"),
        (np.zeros((0, 3)), "empty"),
        (np.array([[1.0, np.nan], [np.inf, 2.0]]), "[[1, nan], [inf, 2]]"),
        (np.array([1.23456, 2.34567, 3.45678]), "[1.235, 2.346, 3.457]"),
        (np.arange(50), "0..49, mean 24.5"),
        (np.full(50, np.nan), "50 nan, nothing else"),
        (np.array([np.inf] * 3 + [np.nan] * 2 + [1.0, 4.0] * 4), "2 nan, 3 inf, else 1..4"),
        (np.arange(50) > 10, "39 of 50 True"),
        (np.array([-2.0, -0.0] * 9), "-2..0, mean -1"),
        (1.0 + 1e-9 * np.arange(50), "about 1"),
        (np.append(np.nan, 1.0 + 1e-9 * np.arange(50)), "1 nan, else about 1"),
        (np.full(50, 1e308), "1e+308 everywhere"),
        (np.array([1e308, 1.1e308] * 9), "1e+308..1.1e+308"),
    ],
)
def test_arrays(array: Any, wanted: str) -> None:
    assert summary(array).removesuffix(", mean inf") == wanted


def test_columns_are_cut_where_a_line_would_be_too_long() -> None:
    lines = aligned([["v0", "a" * 90, "b" * 90], ["v1", "c", "d"]], 60)
    assert max(map(len, lines)) == 60
    assert lines[0].count("…") == 2
    assert aligned([], 10) == []
    assert len(aligned([["x" * 10] * 9], 30)[0]) > 30  # no column is narrower than can be read
    assert shortened("abc", 3) == "abc"


def test_source_lines(tmp_path: Any) -> None:
    path = tmp_path / "model.py"
    path.write_text("a = 1\n    b = 2  \n", encoding="utf-8")
    assert (place(f"{path}:2"), text(f"{path}:2")) == ("model.py:2", "b = 2")
    assert text(f"{path}:9") == text("?") == text("<stdin>:1") == text("nowhere") == ""


def test_a_long_source_line_is_shortened() -> None:
    def f(x: Any) -> Any:
        return x * 1.0000001 * 1.0000002 * 1.0000003 * 1.0000004 * 1.0000005 * 1.0000006 * 1.0000007 * 1.0000008

    lines = str(tg.record(f, 2.0)).splitlines()
    assert any(line.endswith("…") for line in lines)
    assert max(map(len, lines)) <= 140
