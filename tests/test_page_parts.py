"""What pages are made of: formulas, source text, columns of numbers."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.pages.data import page_data
from tapegrad.pages.excerpts import excerpts
from tapegrad.pages.templates import template
from tapegrad.pages.web_page import embedded, packed
from tapegrad.pictures.folds import find_folds

SOURCE = '''"""A module."""

import numpy as np

A = 1


def first(x):
    """One."""

    def inner(y):
        return y * x

    return inner(2.0)


@decorated
def second(x):
    return x


for k in range(3):
    A += k
B = 2
'''


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "model.py"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("numbers", "stretches"),
    [
        ([12], [(8, 14)]),
        ([19], [(17, 19)]),
        ([9, 12], [(8, 14)]),
        ([9, 19], [(8, 14), (17, 19)]),
        ([23], [(20, 24)]),
        ([1], [(1, 4)]),
        ([19, 23], [(17, 24)]),
        ([99], []),
    ],
)
def test_excerpts_are_the_functions_around_lines(tmp_path: Path, numbers: Any, stretches: Any) -> None:
    path = written(tmp_path, SOURCE)
    found = excerpts(f"{path}:{n}" for n in numbers)
    lines = SOURCE.splitlines()
    parts = tuple((a, tuple(lines[a - 1 : b])) for a, b in stretches)
    assert [(x.name, x.parts) for x in found] == ([("model.py", parts)] if parts else [])


def test_excerpts_of_what_is_no_python(tmp_path: Path) -> None:
    path = written(tmp_path, "\n".join(f"line {n} (" for n in range(1, 21)))
    assert [(first, len(text)) for first, text in excerpts([f"{path}:10"])[0].parts] == [(7, 7)]


def test_excerpts_of_long_functions_are_short(tmp_path: Path) -> None:
    path = written(tmp_path, "def f(x):\n" + "    x = x + 1\n" * 1000)
    assert [(first, len(text)) for first, text in excerpts([f"{path}:500", f"{path}:502"])[0].parts] == [(497, 9)]


@pytest.mark.parametrize("line", ["?", "/nowhere/else.py:3", "<stdin>:1", "", ":", "x:y"])
def test_excerpts_of_what_cannot_be_read(line: str) -> None:
    assert excerpts([line]) == []


FORMULAS = {
    "{0} × {1}": (lambda x, y: x * y, 1.0, 2.0),
    "√{0}": (np.sqrt, 2.0),
    "log({0})": (np.log, 2.0),
    "{0}[1]": (lambda x: x[1], np.ones(3)),
    "{0}[1:, ::2]": (lambda x: x[1:, ::2], np.ones((3, 4))),
    "sum({0}, axis 1)": (lambda x: np.sum(x, 1), np.ones((3, 4))),
    "sum({0})": (np.sum, np.ones((3, 4))),
    "{0} @ {1}ᵀ": (lambda x, y: x @ y.T, np.ones((3, 4)), np.ones((2, 4))),
    "{1} where {0}, else {2}": (lambda x, y: np.where(x > y, x, y), np.ones(1), np.zeros(1)),
    "concatenate({0}, …, {7})": (lambda *x: np.concatenate(x), *[np.ones(2)] * 8),
}


@pytest.mark.parametrize("wanted", FORMULAS)
def test_formulas(wanted: str) -> None:
    function, *args = FORMULAS[wanted]
    tape = tg.record(function, *args).tape
    assert wanted in {template(tape, i) for i in range(len(tape)) if tape.read(i)}


def test_embedded_data_end_nothing() -> None:
    text = "</script><!-- ]]> \u2028 \u2029 \x00 & é \ud800"
    found = embedded([text])
    assert json.loads(found) == [text]
    assert not set("<>&\u2028\u2029\x00é") & set(found)


def test_packed_numbers_are_little_endian() -> None:
    numbers = np.array([0.1, -0.0, np.nan, np.inf], ">f8")
    assert base64.b64decode(packed(numbers)) == numbers.astype("<f8").tobytes()
    assert base64.b64decode(packed([1, -1], np.int32)) == b"\x01\0\0\0\xff\xff\xff\xff"


def data_of(function: Any, *args: Any) -> Any:
    e = tg.explain(function, *args)
    return page_data(e, find_folds(e.tape))


def test_long_arrays_are_words() -> None:
    data = data_of(lambda x: np.sum(x * x), np.full(1001, 2.0))
    assert data["reason"] == "the tape has arrays of more than 1,000 entries"
    assert data["values"]["words"][0] == "2 everywhere"
    assert len(json.dumps(data)) < 5000


def test_many_numbers_are_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapegrad.pages.data._MOST", 100)
    data = data_of(lambda x: np.sum(x * x), np.full(60, 2.0))
    assert data["reason"] == "the tape has more than 100 numbers"
    assert 0 in data["values"]["words"]


def test_folders_are_not_told(tmp_path: Path) -> None:
    """A page may be handed on: it names files, not where they lie."""
    assert str(Path(__file__).parent) not in json.dumps(data_of(np.sin, 1.0))
    assert str(Path(__file__).parent) not in tg.explain(lambda x: np.sin(x), 1.0)._repr_html_()  # noqa: PLW0108
