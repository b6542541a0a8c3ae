"""Assignment inside recorded functions: the numbers are NumPy's, the gradients those of finite differences."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.numpy
from tapegrad.errors import (
    TapegradError,
)
from tapegrad.trees import flatten
from tests.assignment_programs import Writer
from tests.functions.case import Call
from tests.helpers import directional
from tests.random_programs import DrawnChooser, RandomChooser
from tests.test_functions import CALLS

X = numpy.random.default_rng(5).uniform(0.3, 1.7, 6)
M = numpy.random.default_rng(6).uniform(0.3, 1.7, (3, 4))
T = numpy.random.default_rng(7).uniform(0.3, 1.7, (2, 3, 4))


def check(f: Callable[..., Any], x: Any, *, gradient: bool = True) -> Any:
    """f(np, x) by plain NumPy and recorded: the values, and the gradient against differences; returns the gradient."""
    wanted = f(numpy, x.copy(order="K"))
    kept = x.copy()
    found, pull = tg.vjp(lambda v: f(tapegrad.numpy, v), x)
    numpy.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-14)
    assert numpy.array_equal(x, kept)
    seed = numpy.random.default_rng(1).uniform(-1, 1, numpy.shape(wanted))
    (slope,) = pull(seed)[:1]
    if gradient:
        way = numpy.random.default_rng(2).uniform(-1, 1, x.shape)
        with numpy.errstate(all="ignore"):
            (difference,) = directional(lambda t: [numpy.sum(seed * f(numpy, x + t * way))])
        numpy.testing.assert_allclose(numpy.sum(slope * way), difference, rtol=1e-8, atol=1e-9)
    return slope


def filled(np: Any, x: Any) -> Any:
    """An array of x's shape and other values, made in the function."""
    return np.sin(x)


# --- indices

Key = Callable[[Any, Any, Any], Any]

INDICES: dict[str, tuple[Any, Any]] = {
    "integer": (X, 2),
    "negative": (X, -1),
    "numpy integer": (X, numpy.int64(3)),
    "slice": (X, slice(1, 4)),
    "strided": (X, slice(None, None, 2)),
    "backwards": (X, slice(None, None, -1)),
    "backwards part": (X, slice(4, 0, -2)),
    "nothing": (X, slice(3, 3)),
    "ellipsis": (X, Ellipsis),
    "everything": (X, slice(None)),
    "empty tuple": (X, ()),
    "new axis": (X, (slice(1, 3), None)),
    "list": (X, [0, 3, 5]),
    "array": (X, numpy.array([4, 1])),
    "matrix of integers": (X, numpy.array([[4, 1], [0, 2]])),
    "repeated": (X, numpy.array([1, 4, 1, 1])),
    "repeated, counted from the end": (X, numpy.array([1, -5, 2])),
    "mask": (X, numpy.array([True, False, True, True, False, False])),
    "empty mask": (X, numpy.zeros(6, bool)),
    "true": (X, True),
    "false": (X, False),
    "number as an array": (X, numpy.array(2)),
    "nothing by an array": (X, numpy.zeros(0, int)),
    "row": (M, 1),
    "last row": (M, -1),
    "element": (M, (1, 2)),
    "column": (M, (slice(None), 1)),
    "block": (M, (slice(0, 2), slice(1, 4, 2))),
    "turned block": (M, (slice(None, None, -1), slice(3, 0, -2))),
    "element of a row": (M, (2, slice(1, 3))),
    "with ellipsis": (M, (Ellipsis, 0)),
    "element with ellipsis": (M, (1, 2, Ellipsis)),
    "with new axes": (M, (None, 1, None, slice(0, 2))),
    "rows": (M, [2, 0]),
    "rows, repeated": (M, [2, 0, 2]),
    "columns": (M, (slice(None), [3, 1])),
    "elements": (M, ([0, 1, 2], [3, 0, 1])),
    "elements, repeated": (M, ([0, 1, 0], [3, 0, 3])),
    "one a row": (M, (numpy.arange(3), numpy.array([3, 0, 3]))),
    "rows and columns": (M, numpy.ix_([0, 2], [1, 3])),
    "mask of rows": (M, numpy.array([True, False, True])),
    "mask of elements": (M, M > 1),
    "mask of columns": (M, (slice(None), numpy.array([True, False, True, True]))),
    "row and mask": (M, (1, numpy.array([True, False, True, True]))),
    "three axes": (T, (1, slice(None), 2)),
    "parted arrays": (T, ([0, 1], slice(None), [3, 2])),
    "arrays at the end": (T, (slice(None), [0, 2], [3, 3])),
    "arrays, in front": (T, ([1, 0], [0, 2])),
    "array and integer": (T, (1, slice(None), [3, 0, 3])),
    "array and part": (T, ([1, 0, 1], slice(0, 2))),
    "mask of matrices": (T, T[..., 0] > 1),
}


@pytest.mark.parametrize("value", ["number", "Variable", "array", "row"])
@pytest.mark.parametrize("name", INDICES)
def test_every_index(name: str, value: str) -> None:
    x, index = INDICES[name]
    shape = x[index].shape

    def f(np: Any, x: Any) -> Any:
        y = filled(np, x)
        if value == "number":
            y[index] = 2.5
        elif value == "Variable":
            y[index] = x.sum() * 0.5
        elif value == "array":
            y[index] = np.cos(x.reshape(-1)[numpy.arange(int(numpy.prod(shape))) % x.size]).reshape(shape)
        else:
            row = np.cos(x.reshape(-1)[: shape[-1] if shape else 1])
            y[index] = row.reshape((1, *shape[-1:]) if len(shape) > 1 else shape[-1:])
        return y * np.cos(y)

    check(f, x)


@pytest.mark.parametrize("sign", ["+=", "-=", "*=", "/=", "**="])
@pytest.mark.parametrize("name", INDICES)
def test_every_index_with_operators(name: str, sign: str) -> None:
    x, index = INDICES[name]
    change = {
        "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "**=": operator.ipow
    }[sign]  # fmt: skip

    def f(np: Any, x: Any) -> Any:
        y = filled(np, x)
        y[index] = change(y[index], x.sum() * 0.25)
        return y * np.cos(y)

    check(f, x)


@pytest.mark.parametrize("name", INDICES)
def test_every_index_added_at(name: str) -> None:
    x, index = INDICES[name]

    def f(np: Any, x: Any) -> Any:
        y = filled(np, x)
        numpy.add.at(y, index, np.cos(x.sum()))
        few = y[index].shape  # NumPy reads beyond its memory for fewer axes than the index has
        numpy.subtract.at(y, index, np.cos(x.reshape(-1)[0]) * numpy.ones((1,) * (len(few) - 1) + few[-1:]))
        return y * np.cos(y)

    check(f, x)


@pytest.mark.parametrize("dtype", [int, bool])
@pytest.mark.parametrize("name", INDICES)
def test_every_index_of_integers_and_booleans(name: str, dtype: Any) -> None:
    x, index = INDICES[name]

    def f(np: Any, x: Any) -> Any:
        y = (x * 7.0).astype(int) % 3
        y = y.astype(dtype)
        y[index] = (x.max() > 0.5).astype(int) * 2 if np is tapegrad.numpy else 2
        return y * x

    check(f, x, gradient=False)


# --- programs


def recurrence(np: Any, x: Any) -> Any:
    out = np.zeros(6)
    out[0] = x[0]
    for t in range(1, 6):
        out[t] = np.sin(out[t - 1]) * x[t] + 0.1 * out[t - 1] ** 2
    return out


def rows_of_a_recurrence(np: Any, x: Any) -> Any:
    out = np.empty((5, 4))
    out[0] = x[0]
    for t in range(1, 5):
        out[t] = np.tanh(out[t - 1] * x[1]) + x[2] * out[t - 1, 0]
    return out


def autoregression(np: Any, x: Any) -> Any:
    y = np.zeros(9)
    y[:3] = x[:3]
    for t in range(3, 9):
        y[t] = np.sum(y[t - 3 : t] * x[3:]) * 0.5
    return y


def heat(np: Any, x: Any) -> Any:
    u = x.copy()
    for _ in range(4):
        u[1:-1] = u[1:-1] + 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2]) * u[1:-1]
    return u


def heat_in_place(np: Any, x: Any) -> Any:
    u = x.copy()
    for _ in range(4):
        u[1:-1] += 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
        u[0] = 0.5 * u[1]
        u[-1] *= 0.9
    return u


def red_and_black(np: Any, x: Any) -> Any:
    u = x.copy()
    for _ in range(3):
        u[1:-1:2] = 0.5 * (u[:-2:2] + u[2::2])
        u[2:-1:2] = np.sin(u[1:-2:2]) + u[3::2]
    return u


def cholesky(np: Any, x: Any) -> Any:
    a = x @ x.T + 3.0 * numpy.eye(3)
    out = np.zeros((3, 3))
    for i in range(3):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s = s - out[i, k] * out[j, k]
            out[i, j] = np.sqrt(s) if i == j else s / out[j, j]
    return out


def cholesky_by_rows(np: Any, x: Any) -> Any:
    a = x @ x.T + 3.0 * numpy.eye(3)
    out = np.zeros_like(a)
    for i in range(3):
        for j in range(i):
            out[i, j] = (a[i, j] - out[i, :j] @ out[j, :j]) / out[j, j]
        out[i, i] = np.sqrt(a[i, i] - out[i, :i] @ out[i, :i])
    return out


def elimination(np: Any, x: Any) -> Any:
    a = x[:, :3] + 4.0 * numpy.eye(3)
    b = x[:, 3].copy()
    for k in range(3):
        for i in range(k + 1, 3):
            factor = a[i, k] / a[k, k]
            a[i] -= factor * a[k]
            b[i] -= factor * b[k]
    for i in range(2, -1, -1):
        b[i] = (b[i] - a[i, i + 1 :] @ b[i + 1 :]) / a[i, i]
    return b


def chained_indices(np: Any, x: Any) -> Any:
    y = np.zeros((3, 4))
    for i in range(3):
        for j in range(4):
            y[i][j] = x[i][j] * (y[i][j - 1] + 1.0)
    return y


def swapped(np: Any, x: Any) -> Any:
    y = x.copy()
    y[0], y[1] = y[1], y[0]
    y[[2, 3]] = y[[3, 2]]
    y[::-1] = y
    return y


def shifted(np: Any, x: Any) -> Any:
    y = x.copy()
    y[1:] = y[:-1]
    y[:-1] += y[1:]
    return y


def counted(np: Any, x: Any) -> Any:
    places = np.zeros(4, dtype=int)
    for k in range(6):
        places[k % 4] += k
    chosen = x[places % 6]
    for k in range(int(places[1])):
        chosen = chosen + 0.1 * x[k % 6]
    return chosen


def bubbles(np: Any, x: Any) -> Any:
    y = x.copy()
    for i in range(5):
        for j in range(5 - i):
            if y[j] > y[j + 1]:
                y[j], y[j + 1] = y[j + 1], y[j]
    return y * numpy.arange(6)


def tables(np: Any, x: Any) -> Any:
    weights = np.zeros((6, 6))
    for i in range(6):
        weights[i, i] = 2.0
    weights[numpy.arange(5), numpy.arange(1, 6)] = -1.0
    weights += weights.T.copy()
    return weights @ x


def histogram(np: Any, x: Any) -> Any:
    bins = np.zeros(3)
    numpy.add.at(bins, (x * 1.5).astype(int), x**2)
    return bins


def scattered(np: Any, x: Any) -> Any:
    y = np.ones(6)
    y[(x * 3.0).astype(int)] = x * 2.0
    y[(x * 2.0).astype(int)] += x
    return y


def placed_by_a_value(np: Any, x: Any) -> Any:
    y = np.sin(x)
    k = np.argmax(x) if np is numpy else (x * 2.0).astype(int)[3]
    y[(x * 2.0).astype(int)[3]] = x[0] * x[1]
    del k
    return y


def masks(np: Any, x: Any) -> Any:
    y = np.sin(x)
    y[x > 1.0] = 0.0
    y[y < 0.5] = x[0]
    y[(x > 0.5) & (x < 1.2)] *= 1.0
    return y


def masks_with_arrays(np: Any, x: Any) -> Any:
    y = np.sin(x)
    y[x > 1.0] = x[: int(np.sum(x > 1.0))] ** 2
    return y


def masks_of_rows(np: Any, x: Any) -> Any:
    y = np.sin(x)
    y[x[:, 0] > 1.0] = x[0]
    y[x[:, 1] > 0.4, 1:3] = x[1, 0]
    return y


def outputs(np: Any, x: Any) -> Any:
    y = np.empty(6)
    np.multiply(x, 2.0, out=y)
    np.add(y, x, out=y)
    np.sin(x[:3], out=y[:3])
    np.exp(x, out=y, where=x > 1.0)
    z = np.zeros(2)
    np.sum(x.reshape(2, 3), axis=1, out=z)
    return y[:2] * z


def assigning_functions(np: Any, x: Any) -> Any:
    y = np.sin(x)
    numpy.put(y, [0, 7, -1], x[0, :2])
    numpy.put_along_axis(y, numpy.array([[1], [2], [1]]), x[:, :1], 1)
    numpy.place(y, x > 1.2, [x[0, 0], 2.0])
    numpy.putmask(y, x < 0.5, x[0] * 2.0)
    numpy.copyto(y[0], x[1])
    numpy.copyto(y, x * 2.0, where=x > 1.4)
    z = np.zeros((4, 3))
    numpy.fill_diagonal(z, x[2, :3])
    z.put([1, 5], x[2, 0])
    w = np.zeros(4)
    w.fill(x[1, 1])
    return y * w + z.T


def inverted_views(np: Any, x: Any) -> Any:
    y = np.sin(x)
    y.T[0] = x[:, 0] * 2.0
    y.ravel()[5] = x[0, 1]
    y.reshape(-1)[::5] *= x[1, 1]
    y.reshape(2, 6)[1, 2:4] = x[0, :2]
    y.swapaxes(0, 1)[2, 1] = x[2, 2]
    y[None, :, None].squeeze()[1, 1] = x[0, 3]
    y[::-1, ::-1].T[0, 0] += 1.0
    numpy.expand_dims(y, 1)[0, 0, 1:3] = x[1, 1:3] ** 2
    numpy.flip(y, 0)[0, 1] = x[2, 0]
    numpy.moveaxis(y, 0, 1)[3] = x[:, 1]
    return y


def stale_views(np: Any, x: Any) -> Any:
    y = np.sin(x)
    row, column, flat, turned, corner = y[1], y[:, 2], y.reshape(-1), y.T, y[1:, 2:][:, ::-1]
    last = y[2, 3, ...]
    y[1, 2] = x[0, 0] ** 2
    y[2] = x[0]
    return (
        row.sum() + 2.0 * column.sum() + (flat * flat[::-1]).sum() + turned[2, 1] + corner[0, 1] * corner[1, 0] + last
    )


def views_of_views(np: Any, x: Any) -> Any:
    y = np.sin(x)
    a = y[1:]
    b = a.T
    c = b[::2]
    c[0, 1] = x[0, 0]
    y[1] = x[1] ** 2
    c *= 2.0
    d = c.reshape(-1)
    d[0] = 100.0 * x[0, 1]
    return a.sum() + b[0, 0] + c[1] @ x[0, :2] + d[0] + np.sum(y * x)


def copies(np: Any, x: Any) -> Any:
    y = np.sin(x)
    kept = [
        y.copy(), y.flatten(), +y, np.array(y), numpy.copy(y), y[[0, 1]], y * 1.0, y.astype(float), y.T.reshape(-1),
        y[:, ::2].ravel(), np.where(y > 10.0, y, y), numpy.concatenate([y]), numpy.clip(y, None, 99.0),
        numpy.positive(y), y**1, numpy.full((3, 4), 1.0) * y,
    ]  # fmt: skip
    y[...] = 7.0
    for each in kept:
        each[0] *= 2.0
    return sum(np.sum(each) for each in kept) + y


def same_object(np: Any, x: Any) -> Any:
    y = np.sin(x)
    a = b = y
    a += x
    b *= 2.0
    c = np.asarray(b)
    c[0] = 1.0
    del a
    return y


def argument_with_operators(np: Any, x: Any) -> Any:
    other, part = x, x[1:3]
    x += 1.0
    x *= x
    part /= 2.0
    return other + part.sum()


def numbers_rebound(np: Any, x: Any) -> Any:
    total = other = x[0]
    total += x[1]
    total *= 2.0
    return total + other


def overwritten_nan(np: Any, x: Any) -> Any:
    y = np.log(x - 10.0)
    z = 1.0 / (x - x)
    y[:] = x
    z[2:] = x[2:]
    z[0] = z[1] = 1.0
    w = np.log(x - x[0])
    w[0] = x[1]
    w[1:] = numpy.arange(5.0)
    return y * z + w


def split_arrays(np: Any, x: Any) -> Any:
    y = np.sin(x)
    for row in y:
        row[0] = row[1] * 2.0
    a, b, c = y
    b[2] = a[2] + c[2]
    return y


def of_a_list(np: Any, x: Any) -> Any:
    y = np.array([x[0], x[1], 0.0, 0.0])
    y[2:] = [x[2], x[3] * y[0]]
    y[0:2] = np.stack([y[3], y[2]])
    return y


def diagonals(np: Any, x: Any) -> Any:
    y = np.sin(x)
    y.reshape(-1)[::5] = x[0, :3]
    y.ravel()[1:9:3] += x[1, :3]
    return y


PROGRAMS: dict[Callable[..., Any], Any] = {
    recurrence: X, rows_of_a_recurrence: X, autoregression: X, heat: X, heat_in_place: X, red_and_black: X, cholesky: M,
    cholesky_by_rows: M, elimination: M, chained_indices: M, swapped: X, shifted: X, counted: X, bubbles: X, tables: X,
    histogram: X, scattered: X, placed_by_a_value: X, masks_with_arrays: X, masks_of_rows: M, outputs: X,
    assigning_functions: M, inverted_views: M, stale_views: M, views_of_views: M, copies: M, same_object: X,
    argument_with_operators: X, numbers_rebound: X, split_arrays: M, of_a_list: X, diagonals: M,
}  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda f: f.__name__)
def test_programs(program: Callable[..., Any]) -> None:
    check(program, PROGRAMS[program])


def test_what_is_overwritten_has_no_derivative() -> None:
    """Neither its value nor its derivative, which is not finite, is seen."""
    with numpy.errstate(all="ignore"):
        slope = check(overwritten_nan, X, gradient=False)
    assert numpy.isfinite(slope).all()


# --- what shares memory with what


def changed_arguments(call: Call, np: Any, arguments: Any) -> Any:
    """The results after the arrays they were made of have changed."""
    given = [a.copy() if is_array(a) else a for a in arguments]
    made = call.call(np, *given)
    for a in given:
        if is_array(a):
            a[...] = a * 0.5 + 3.0
    return made


def changed_results(call: Call, np: Any, arguments: Any) -> Any:
    """What a result was made of, after the result has changed."""
    given = [a.copy() if is_array(a) else a for a in arguments]
    for leaf in flatten(call.call(np, *given))[0]:
        if hasattr(leaf, "shape") and leaf.shape and leaf.dtype == numpy.float64:
            leaf[...] = 5.0
    return given


def is_array(a: Any) -> bool:
    return hasattr(a, "shape") and a.shape != () and a.dtype == numpy.float64


def shares(name: str, call: Callable[..., Any], *arguments: Any) -> Call:
    return Call(name, call, arguments)


SHARING = (
    shares("reshape", lambda np, x: (np.reshape(x, (4, 3)), np.reshape(x, (3, 4)), np.reshape(x, -1)), M),
    shares(
        "reshape, turned", lambda np, x: (np.reshape(x.T, 12), np.reshape(x.T, (4, 3)), np.reshape(x.T, (4, 1, 3))), M
    ),
    shares("reshape, F", lambda np, x: (np.reshape(x, 12, order="F"), np.reshape(x, (3, 4), order="F")), M),
    shares("reshape of a part", lambda np, x: (x[:, :2].reshape(-1), x[1:].reshape(-1), x[:, ::2].reshape(3, 1, 2)), M),
    shares("reshape of one axis", lambda np, x: (x[::2].reshape(3, 1), x[::-1].reshape(2, 3), x[:4].reshape(2, 2)), X),
    shares("reshape to nothing", lambda np, x: (x[2:3].reshape(()), x[1, ...], x[:1].squeeze()), X),
    shares("ravel", lambda np, x: (np.ravel(x), x.ravel(order="F"), x.T.ravel(), x.T.ravel(order="F")), M),
    shares("ravel of a part", lambda np, x: (x[::2].ravel(), x[::-1].ravel(), x[1:4].ravel(), x[2:3].ravel()), X),
    shares("flatten", lambda np, x: (x.flatten(), x[:1].flatten(), x.T.flatten()), M),
    shares("transpose", lambda np, x: (x.T, np.transpose(x, (1, 2, 0)), x.transpose(0, 2, 1), x.swapaxes(0, 2)), T),
    shares("matrix_transpose", lambda np, x: np.matrix_transpose(x), T),
    shares("moveaxis", lambda np, x: (np.moveaxis(x, 0, 2), np.moveaxis(x, 1, 1)), T),
    shares("squeeze", lambda np, x: (np.squeeze(x[:, :1]), x[None].squeeze(0), x.squeeze()), M),
    shares("expand_dims", lambda np, x: np.expand_dims(x, (0, 2)), M),
    shares("flip", lambda np, x: (np.flip(x), np.flip(x, 1), np.flipud(x), np.fliplr(x)), M),
    shares("atleast", lambda np, x: (np.atleast_1d(x), np.atleast_2d(x), *np.atleast_2d(x[1:], x[::2])), X),
    shares(
        "asarray", lambda np, x: (np.asarray(x), np.ascontiguousarray(x), np.ascontiguousarray(x.T), np.array(x)), M
    ),
    shares("asfortranarray", lambda np, x: (np.asfortranarray(x), np.asfortranarray(x[0])), M),
    shares("real", lambda np, x: (np.real(x), np.conjugate(x)), X),
    shares("copy", lambda np, x: (np.copy(x), x.copy(), +x, np.positive(x), np.array(x), x.astype(float)), X),
    shares("astype", lambda np, x: (x.astype(float, copy=False), np.astype(x, np.float64)), X),
    shares("where", lambda np, x: np.where(x > -9.0, x, x), X),
    shares("clip", lambda np, x: np.clip(x, None, 9.0), X),
    shares("power", lambda np, x: (x**1, np.power(x, 1.0)), X),
    shares("floor of integers", lambda np, x: (np.floor((x * 5.0).astype(int)), np.abs(x > 1)), X),
    shares(
        "concatenate",
        lambda np, x: (np.concatenate([x]), np.stack([x]), np.hstack([x]), np.vstack([x]), np.stack(x)),
        M,
    ),
    shares("column_stack", lambda np, x: (np.column_stack([x]), np.concatenate(x), np.concatenate([x], axis=None)), M),
    shares("reductions", lambda np, x: (np.sum(x, axis=()), np.max(x, axis=()), np.mean(x, axis=()), x.sum(0)), M),
    shares("reductions of one", lambda np, x: (np.sum(x, axis=0), np.max(x[:1], axis=0), np.prod(x[:1], axis=0)), M),
    shares("take", lambda np, x: (np.take(x, 1, axis=0), np.take(x, [0, 1]), np.take(x, numpy.arange(12))), M),
    shares("indices", lambda np, x: (x[1], x[:], x[...], x[()], x[[0, 1]]), M),
    shares(
        "indices with a number", lambda np, x: (x[numpy.int64(1)], x[numpy.array(1)], x[True], x[1, :], x[None, 1]), M
    ),
    shares("einsum", lambda np, x: (np.einsum("ij->ji", x), np.einsum("ij->ij", x), np.einsum("ij->j", x)), M),
    shares("einsum of a diagonal", lambda np, x: np.einsum("iij->ij", x), T[:, :2]),
    shares("products", lambda np, x: (np.dot(x, 1.0), np.outer(x, 1.0), np.tensordot(x, x, 0), np.inner(x, 2.0)), M),
    shares("full", lambda np, x: (np.full_like(x, 2.0), np.zeros_like(x), x * np.ones_like(x)), M),
    shares("broadcast", lambda np, x: (np.broadcast_to(x, (2, 3, 4)) * 1.0, np.broadcast_arrays(x, x)[0] * 1.0), M),
)


@pytest.mark.parametrize("change", [changed_arguments, changed_results])
@pytest.mark.parametrize("namespace", [numpy, tapegrad.numpy], ids=["numpy", "tapegrad.numpy"])
@pytest.mark.parametrize("call", [*SHARING, *(c for c in CALLS if c.arguments)], ids=str)
def test_results_are_views_where_numpys_are(call: Call, namespace: Any, change: Any) -> None:
    if namespace is numpy and not call.plain:
        return
    try:
        wanted = change(call, numpy, call.arguments)
    except ValueError:  # read-only
        return
    try:
        found = tg.record(lambda *a: change(call, namespace, a), *call.arguments, argnums=())(*call.arguments)
    except TapegradError as error:
        assert "assignment" in str(error) or "given" in str(error), str(error)  # noqa: PT017 - said, if not done
        return
    for f, w in zip(flatten(found)[0], flatten(wanted)[0], strict=True):
        numpy.testing.assert_allclose(f, w, rtol=1e-12, atol=1e-13)


# --- random programs


def check_random(chooser: Any, length: int) -> None:
    """The same numbers and derivatives, or an error that says what is not done."""
    rng = numpy.random.default_rng(chooser.integer(0, 9))
    x = (rng.integers(1, 6, (3, 4)) + rng.uniform(0.2, 0.8, (3, 4))) / 5.0  # where indices made of it do not jump
    x = numpy.asfortranarray(x) if chooser.integer(0, 2) == 0 else x
    program = Writer(chooser, x).write(length)
    wanted = program(numpy, x)
    try:
        found, pull = tg.vjp(lambda v: program(tapegrad.numpy, v), x)
    except (TapegradError, ValueError) as error:  # NumPy's own error, where one of its arrays cannot hold a Variable
        ours = error if isinstance(error, TapegradError) else error.__cause__
        wanted_words = "assignment|indices|index array|conversion"
        assert re.search(wanted_words, str(ours)), f"{error}\n{program}"  # noqa: PT017 - said, if not done
        return
    for f, w in zip(found, wanted, strict=True):
        numpy.testing.assert_allclose(f, w, rtol=1e-12, atol=1e-12, err_msg=str(program))
    seeds, way = [rng.uniform(-1, 1, w.shape) for w in wanted], rng.uniform(-1, 1, x.shape)
    (slope,) = pull(seeds)
    (difference,) = directional(
        lambda t: [sum(numpy.sum(s * r) for s, r in zip(seeds, program(numpy, x + t * way), strict=True))]
    )
    size = 1.0 + max(float(numpy.abs(w).max(initial=0.0)) for w in wanted)
    numpy.testing.assert_allclose(numpy.sum(slope * way), difference, rtol=1e-6, atol=1e-7 * size, err_msg=str(program))


@pytest.mark.parametrize("seed", range(150))
def test_random_programs(seed: int) -> None:
    check_random(RandomChooser(numpy.random.default_rng(seed)), 4 + seed % 20)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_drawn_programs(data: Any) -> None:
    check_random(DrawnChooser(data.draw), 10)
