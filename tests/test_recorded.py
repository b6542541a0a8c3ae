"""Tapes with their outside: what goes in, what comes out, what is refused."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import BranchError, DtypeError, ElementIndexError, ShapeError, UnsupportedError
from tapegrad.trees import flatten

X = np.array([1.0, 2.0, 3.0])


class Line(NamedTuple):
    slope: float
    offset: float


def loss(params, x, power=2):
    return np.sum((params["w"] * x + params["b"]) ** power)


PARAMS = {"w": X, "b": 0.5}


def test_the_adjoint_gives_value_and_gradient() -> None:
    tape = tg.record(loss, PARAMS, X)
    value, gradient = tape.adjoint()(PARAMS, X)
    wanted = tg.value_and_grad(loss)(PARAMS, X)
    assert value == wanted[0]
    assert list(gradient) == ["w", "b"]
    assert gradient["w"].tolist() == wanted[1]["w"].tolist()
    assert gradient["b"] == wanted[1]["b"]


@pytest.mark.parametrize("argnums", [1, (0, 1), (1,), -1, (1, 0), (-1, -2)])
def test_the_adjoint_is_structured_as_argnums_say(argnums) -> None:
    tape = tg.record(loss, PARAMS, X, argnums=argnums)
    _, gradient = tape.adjoint()(PARAMS, X)
    _, wanted = tg.value_and_grad(loss, argnums)(PARAMS, X)
    (found, structure), (leaves, expected) = flatten(gradient), flatten(wanted)
    assert structure == expected
    for g, w in zip(found, leaves, strict=True):
        assert np.array_equal(g, w)


def test_inputs_are_named_as_the_function_names_them() -> None:
    assert tg.record(loss, PARAMS, X).interface.labels() == ["params['w']", "params['b']", "x"]
    assert tg.record(lambda *rest: rest[0] * rest[1], 1.0, 2.0).interface.labels() == ["rest[0]", "rest[1]"]
    assert tg.record(lambda line, *xs: line.slope * xs[0], Line(1.0, 2.0), 2.0).interface.labels() == [
        "line.slope",
        "line.offset",
        "xs[0]",
    ]
    assert tg.record(np.sin, 1.0).interface.labels() == ["x"]


def test_a_fixed_tape_takes_what_it_was_recorded_for() -> None:
    tape = tg.record(loss, PARAMS, X).adjoint()
    with pytest.raises(ShapeError, match=r"found 1 arguments; wanted 2: params, x"):
        tape(PARAMS)
    with pytest.raises(ShapeError, match="params nested in another way"):
        tape({"w": X}, X)
    with pytest.raises(ShapeError, match=r"params\['w'\] of shape \(2,\); wanted shape \(3,\)"):
        tape({"w": X[:2], "b": 0.5}, X)
    with pytest.raises(DtypeError, match="x: found an array of dtype complex128"):
        tape(PARAMS, X + 1j)
    value, _ = tape({"w": X, "b": 1}, X)
    assert value == loss({"w": X, "b": 1.0}, X)


def test_static_arguments_must_be_the_same() -> None:
    tape = tg.record(loss, PARAMS, X, 2).adjoint()
    assert tape(PARAMS, X, 2)[0] == loss(PARAMS, X)
    with pytest.raises(DtypeError, match=r"power = 3; wanted 2, as it was recorded"):
        tape(PARAMS, X, 3)


def test_integers_do_for_floats_but_not_the_other_way() -> None:
    gather = tg.record(lambda x, k: np.sum(x[k]), X, np.array([0, 1])).adjoint()
    assert gather(np.array([1, 2, 3]), np.array([2, 2]))[0] == 6.0
    with pytest.raises(DtypeError, match="k of dtype float64; wanted int64"):
        gather(X, np.array([0.0, 1.0]))


def test_a_branch_that_goes_another_way() -> None:
    tape = tg.record(lambda x: x * x if x > 0 else -x, 2.0).adjoint()
    assert tape(3.0) == (9.0, 6.0)
    with pytest.raises(BranchError, match=r"another way than it was recorded.*\(at .*test_recorded.py:"):
        tape(-3.0)


def test_only_a_scalar_has_an_adjoint() -> None:
    for f in (lambda x: x * 2.0, lambda x: (np.sum(x),), lambda x: np.sum(x > 0)):
        with pytest.raises(ShapeError, match="adjoint: found a result that is not one scalar"):
            tg.record(f, X).adjoint()
    with pytest.raises(ShapeError, match="a tape with its reverse part"):
        tg.record(np.sum, X).adjoint().adjoint()


def test_the_adjoint_keeps_captured_arrays_as_they_were() -> None:
    scale = np.ones(3)
    tape = tg.record(lambda x: np.sum(x * scale), X).adjoint()
    scale[:] = 7.0
    assert tape(X)[1].tolist() == [1.0, 1.0, 1.0]


def test_float32() -> None:
    tape = tg.record(loss, {"w": X.astype(np.float32), "b": np.float32(0.5)}, X.astype(np.float32)).adjoint()
    value, gradient = tape({"w": X, "b": 0.5}, X)
    assert value.dtype == gradient["w"].dtype == np.float32


def test_what_is_not_plain_numpy_is_refused() -> None:
    """A mask would be lost."""
    tape = tg.record(lambda x: np.sum(x * x), X).adjoint()
    with pytest.raises(UnsupportedError, match=r"x: found a numpy\.ma\.MaskedArray; wanted a plain array"):
        tape(np.ma.array(X, mask=[True, False, False]))


def test_copies_and_pickles(tmp_path: Path) -> None:
    tape = tg.record(loss, PARAMS, X)
    tape.save(tmp_path / "loss.npz")
    loaded = tg.load(tmp_path / "loss.npz")
    for each in (tape, tape.adjoint(), loaded):
        wanted = flatten(each(PARAMS, X))[0]
        for again in (copy.copy(each), copy.deepcopy(each), pickle.loads(pickle.dumps(each))):
            assert tg.diff(each, again).same
            assert all(np.array_equal(a, b) for a, b in zip(flatten(again(PARAMS, X))[0], wanted, strict=True))


def test_pictures_of_adjoints_are_of_the_recorded_way() -> None:
    made = tg.record(lambda x, k: np.sum(x[k]) if x[0] > 0 else x[1], X, np.array([0, 2])).adjoint()
    assert str(made.draw(X, np.array([0, -1])))
    with pytest.raises(BranchError, match="a branch on a value goes another way"):
        made.draw(-X, np.array([0, 2]))
    with pytest.raises(ElementIndexError, match="index 3 is out of bounds"):
        made.draw(X, np.array([0, 3]))
