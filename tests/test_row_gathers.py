"""Index arrays that select from each row by the row's own indices: x[arange(n), labels] and its kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import CapturedArrayError, DtypeError, ElementIndexError, ShapeError
from tapegrad.ops.table import OPS
from tapegrad.schedule.program import CHECKS
from tests.helpers import assert_close

Selection = Callable[[Any, Any, Any], Any]

N, SHAPE = 4, (4, 3, 5)
ROWS, COLUMN = np.arange(N), np.arange(N)[:, None]
LABELS = np.array([2, 0, -1, 2])  # one a row; negative ones count from the end
SEVERAL = np.array([[2, -3], [0, 0], [1, -1], [2, 1]])
KNOWN = LABELS.copy()
MESH = np.ix_(range(4), range(3), [0])[:2]
DEEP = np.arange(4 * 3 * 2).reshape(4, 3, 2) % 10 - 5

# Function of (numpy, x, index), the index, and (axis, batch) of the gather that it becomes.
BY_ROW: dict[str, tuple[Selection, Any, tuple[int, int]]] = {
    "one a row": (lambda np, x, i: x[np.arange(N), i], LABELS, (1, 1)),
    "as many as labels": (lambda np, x, i: x[np.arange(len(i)), i], LABELS, (1, 1)),
    "as many as rows": (lambda np, x, i: x[np.arange(x.shape[0]), i], LABELS, (1, 1)),
    "known labels": (lambda np, x, i: x[ROWS, KNOWN] * i[0], LABELS, (1, 1)),
    "a list of rows": (lambda np, x, i: x[[0, 1, 2, 3], i], LABELS, (1, 1)),
    "small integers": (lambda np, x, i: x[np.arange(N, dtype=np.uint8), i], LABELS, (1, 1)),
    "several a row": (lambda np, x, i: x[COLUMN, i], SEVERAL, (1, 1)),
    "of one axis": (lambda np, x, i: x[:, :, 1][ROWS, i], LABELS, (1, 1)),
    "of a window": (lambda np, x, i: x[1:3, ::-1][np.arange(2), i[:2]], LABELS, (1, 1)),
    "a place in each row": (lambda np, x, i: x[np.arange(N), i, i], LABELS, (1, 1)),
    "with an integer": (lambda np, x, i: x[np.arange(N), 1, i], LABELS, (1, 1)),
    "with a new axis": (lambda np, x, i: x[None, np.arange(N), i], LABELS, (1, 1)),
    "rows parted from the index": (lambda np, x, i: x[np.arange(N), :, i], LABELS, (1, 1)),
    "rows and columns": (lambda np, x, i: x[np.arange(4)[:, None, None], np.arange(3)[:, None], i], DEEP, (2, 2)),
    "an open mesh": (lambda np, x, i: x[(*MESH, i)], DEEP, (2, 2)),
    "the same for all rows": (lambda np, x, i: x[np.arange(N)[:, None], i], LABELS, (1, 0)),
    "one for all rows": (lambda np, x, i: x[np.arange(N), i], np.array(-1), (1, 0)),
    "along the last axis": (lambda np, x, i: np.take_along_axis(x, i, -1), DEEP, (2, 2)),
    "along the last, repeated": (lambda np, x, i: np.take_along_axis(x, i[:1, :1], axis=2), DEEP, (2, 0)),
    "along a middle axis": (lambda np, x, i: np.take_along_axis(x, i.reshape(4, 2, 1), 1), SEVERAL, (1, 1)),
}
MERGED: dict[str, tuple[Selection, Any]] = {
    "rows out of order": (lambda np, x, i: x[np.arange(N)[::-1], i], LABELS),
    "a row twice": (lambda np, x, i: x[np.array([0, 1, 2, 2]), i], LABELS),
    "some rows": (lambda np, x, i: x[np.arange(3), i[:3]], LABELS),
    "rows counted from the end": (lambda np, x, i: x[np.arange(N) - N, i], LABELS),
    "rows along the second axis": (lambda np, x, i: x[np.arange(N), i.T], SEVERAL),
    "labels first": (lambda np, x, i: x[i, np.arange(3)[:, None]], LABELS),
    "rows that are an argument": (lambda np, x, i: x[i, i], np.array([0, 1, 2])),
    "the first axis, by places": (lambda np, x, i: np.take_along_axis(x, i.reshape(2, 3, 1), 0), DEEP[:2, :, 0] % 4),
    "all axes as one": (lambda np, x, i: np.take_along_axis(x, i, axis=None), LABELS),
}
ALL = {**{k: v[:2] for k, v in BY_ROW.items()}, **MERGED}


def gathers(f: Any, *args: Any) -> list[tuple[Any, ...]]:
    """Attributes of the gathers that a function records."""
    tape = tg.record(f, *args).tape
    return [tape.attribute(i) for i, code in enumerate(tape.opcodes.tolist()) if OPS[code].name == "gather"]


@pytest.mark.parametrize("case", ALL)
def test_selections_are_numpys_and_their_gradients_jaxs(case: str, rng: Any) -> None:
    f, index = ALL[case]
    x = rng.normal(size=SHAPE)
    wanted = f(np, x, index)
    weights = rng.normal(size=wanted.shape)
    assert np.array_equal(tg.record(lambda x, i: f(np, x, i), x, index)(x, index), wanted)
    value, gradient = tg.value_and_grad(lambda x, i: np.sum(weights * f(np, x, i) ** 2))(x, index)
    assert_close(value, np.sum(weights * wanted**2), 1e-12)
    with jax.enable_x64(True):
        jnp = jax.numpy
        by_jax = jax.grad(lambda x, i: jnp.sum(weights * f(jnp, x, i) ** 2))(jnp.asarray(x), jnp.asarray(index))
    assert_close(gradient, by_jax, 1e-12)


@pytest.mark.parametrize("case", BY_ROW)
def test_rows_stay_rows(case: str, rng: Any) -> None:
    f, index, wanted = BY_ROW[case]
    assert gathers(lambda x, i: f(np, x, i), rng.normal(size=SHAPE), index) == [wanted]


@pytest.mark.parametrize("case", MERGED)
def test_what_is_no_row_is_merged(case: str, rng: Any) -> None:
    f, index = MERGED[case]
    assert gathers(lambda x, i: f(np, x, i), rng.normal(size=SHAPE), index) == [(0, 0)]


def test_one_row_and_none(rng: Any) -> None:
    for n in (0, 1):
        x, index = rng.normal(size=(n, 3)), np.full(n, 2)
        value, gradient = tg.value_and_grad(lambda x, i: np.sum(x[np.arange(len(i)), i] * 2.0))(x, index)
        assert value == pytest.approx(2 * x[:, 2].sum())
        assert gradient.tolist() == [[0.0, 0.0, 2.0]] * n


def test_labels_may_change_from_call_to_call(rng: Any) -> None:
    x = rng.normal(size=(4, 3))
    gradient_of = tg.grad(lambda x, i: np.sum(x[np.arange(len(i)), i]))
    for labels in (LABELS, LABELS[::-1].copy(), np.array([-3, -2, 1, 0])):
        wanted = np.zeros((4, 3))
        wanted[ROWS, labels] = 1
        assert np.array_equal(gradient_of(x, labels), wanted)


@pytest.mark.parametrize("modes", ["", "poison,bounds"], ids=["plain", "checked"])
@pytest.mark.parametrize("outside", [3, -4, 12, 2**40])
@pytest.mark.parametrize("row", range(4))
def test_an_index_outside_its_row_is_an_error(
    row: int, outside: int, modes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any row, also where the next one's elements would be read instead."""
    monkeypatch.setenv(CHECKS, modes)
    gradient_of = tg.grad(lambda x, i: np.sum(x[np.arange(len(i)), i] ** 2))
    x, labels = np.ones((4, 3)), LABELS.copy()
    assert gradient_of(x, labels).sum() == 8
    labels[row] = outside
    with pytest.raises(ElementIndexError, match=rf"index {outside}; wanted -3 to 2 along axis 1.*test_row_gathers.py"):
        gradient_of(x, labels)


def test_known_indices_are_checked_while_recording() -> None:
    known = np.array([0, 1, 3, 0])
    with pytest.raises(ElementIndexError, match=r"index 3; wanted .* axis 1 has length 3.*test_row_gathers.py"):
        tg.grad(lambda x: np.sum(x[np.arange(4), known]))(np.ones((4, 3)))


def test_rows_that_are_changed_in_place_are_noticed() -> None:
    rows = np.arange(4)
    gradient_of = tg.grad(lambda x, i: np.sum(x[rows, i]))
    gradient_of(np.ones((4, 3)), LABELS)
    rows[:] = 0
    with pytest.raises(CapturedArrayError):
        gradient_of(np.ones((4, 3)), LABELS)


def test_take_along_axis_wants_integers_of_as_many_axes() -> None:
    x = np.ones((4, 3))
    with pytest.raises(ShapeError, match=r"indices of shape \(4,\).*test_row_gathers.py"):
        tg.grad(lambda x: np.sum(np.take_along_axis(x, LABELS, 1)))(x)
    with pytest.raises(DtypeError, match=r"indices of dtype bool.*test_row_gathers.py"):
        tg.grad(lambda x: np.sum(np.take_along_axis(x, x > 0, 1)))(x)
    with pytest.raises(DtypeError, match=r"indices of dtype float64.*test_row_gathers.py"):
        tg.grad(lambda x: np.sum(np.take_along_axis(x, np.zeros((4, 1)), 1)))(x)
