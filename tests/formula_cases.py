"""Varied functions, each with arguments: what `tests/test_to_python.py` writes out as source, runs and compares."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import scipy.sparse

import tapegrad.numpy as tnp
from tapegrad.scipy import special
from tests import models, row_cases

RNG: Final = np.random.default_rng(3)
NOISE: Final = RNG.normal(size=(9, 9))
TABLE: Final = RNG.normal(size=(300, 200))
SPARSE: Final = scipy.sparse.random_array((6, 5), density=0.4, rng=RNG, format="csr")
LARGE_SPARSE: Final = scipy.sparse.random_array((40, 50), density=0.4, rng=RNG, format="csr")


@dataclass(frozen=True, slots=True)
class Formula:
    """A scalar function and its arguments; `argnums` as for `value_and_grad`."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: Any = 0


FORMULAS: Final[dict[str, Formula]] = {}


def formula(*args: Any, argnums: Any = 0) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function."""

    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        FORMULAS[f.__name__] = Formula(f, args, argnums)
        return f

    return register


def draw(*shape: int, dtype: Any = np.float64) -> Any:
    return RNG.normal(size=shape).astype(dtype)


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Line:
    slope: Any
    offset: Any


# --- written for it


@formula(0.7, 1.3, argnums=(0, 1))
def griewank(x: Any, y: Any) -> Any:
    return (np.sin(x / y) + x / y - np.exp(y)) * (x / y - np.exp(y))


@formula(np.float32(0.3), draw(4, dtype=np.float32), argnums=(1, 0))
def single(scale: Any, x: Any) -> Any:
    return np.sum(np.where(x > 0.1, np.exp(scale * x), 0.1 * x) / 3.0) ** 2 + np.log1p(scale)


@formula({"a": [draw(3), (draw(2, 2), 0.5)], "b": None}, OrderedDict(c=draw(3)), Pair(draw(3), Line(2.0, -1.0)))
def nested(params: Any, data: Any, pair: Any) -> Any:
    x, (w, b) = params["a"]
    y = x * pair.left + pair.right.slope * data["c"] + pair.right.offset
    return np.sum(w @ y[:2]) + b * y[2]


@formula(draw(5))
def assigned(x: Any) -> Any:
    y = tnp.zeros(7)
    y[1:6] = x
    y[0] = x[0] * x[1]
    y[2:5] += y[:3]
    y[[5, 6]] = np.sin(x[1:3])
    y[y > 1] *= 0.5
    return np.sum(y * y)


@formula(2.0)
def doubled(x: Any) -> Any:
    steps, total = 0, x
    while total < 50.0:
        total = total * x + 1.0
        steps += 1
    return total * steps if steps % 2 else total


@formula(draw(8), draw(8))
def filtered(x: Any, y: Any) -> Any:
    spectrum = np.fft.rfft(x) * np.fft.rfft(y)
    smooth = np.fft.irfft(spectrum, 8)
    return np.sum(smooth**2) + np.sum(np.abs(np.fft.fft(x)) ** 2) * 0.1


@formula(draw(7))
def ordered(x: Any) -> Any:
    y = np.sort(x)
    return np.sum(y * np.arange(7)) + np.max(x) * np.median(x) + np.sum(x[np.argsort(-x)[:2]] ** 2)


@formula(np.abs(draw(6)) + 0.1)
def running(x: Any) -> Any:
    return np.sum(np.cumsum(x)[::2]) + np.cumprod(x)[-1] + np.sum(np.maximum.accumulate(np.sin(5 * x)))


@formula(draw(4, 4), draw(4))
def systems(a: Any, b: Any) -> Any:
    m = a @ a.T + 4 * np.eye(4)
    return b @ np.linalg.solve(m, b) + np.linalg.slogdet(m)[1] + np.trace(np.linalg.inv(m)) + np.linalg.det(a)


@formula(draw(3, 3))
def decomposed(a: Any) -> Any:
    m = a @ a.T + np.diag([1.0, 2.0, 3.0])
    values, vectors = np.linalg.eigh(m)
    q, r = np.linalg.qr(a)
    u, s, vh = np.linalg.svd(a)
    chol = np.linalg.cholesky(m)
    parts = np.sum(values * vectors[0] ** 2) + np.sum(np.abs(r)) + np.sum(q[0] ** 2)
    return parts + np.sum(np.log(s)) + np.sum(u[:, 0] ** 2 * vh[0]) + np.sum(np.log(np.diag(chol)))


@formula(np.abs(draw(5)) + 0.5)
def special_functions(x: Any) -> Any:
    terms = special.gammaln(x) + special.erf(x) * special.expit(x) + special.xlogy(x, x) + special.j0(x)
    return np.sum(terms + special.digamma(x) + special.ndtr(x) + special.logsumexp(x))


@formula(np.abs(draw(5, dtype=np.float32)) + np.float32(0.5))
def special_single(x: Any) -> Any:
    return np.sum(special.gammaln(x) + special.xlogy(2.0, x) + special.log_ndtr(-x) + special.i0(x) + 1.5)


@formula({"table": draw(6, 3), "w": draw(3)}, np.array([[0, 5, 0], [2, -1, 3]]), np.array([[True, True, False]] * 2))
def embedded(p: Any, words: Any, known: Any) -> Any:
    vectors = p["table"][words]
    weights = np.where(known, vectors @ p["w"], -np.inf)
    weights = np.exp(weights - np.max(weights, axis=1, keepdims=True))
    weights = weights / np.sum(weights, axis=1, keepdims=True)
    return np.sum(np.tanh(np.sum(weights[..., None] * vectors, axis=1)) ** 2)


@formula(draw(3, 3), draw(6, 6))
def convolved(kernel: Any, image: Any) -> Any:
    total = np.zeros((4, 4))
    for i in range(3):
        for j in range(3):
            total = total + kernel[i, j] * image[i : i + 4, j : j + 4]
    return np.sum(np.maximum(total, 0.0)[::2, ::-1] ** 2)


@formula(draw(5), draw(6))
def sparse(x: Any, y: Any) -> Any:
    return np.sum((SPARSE @ x - y) ** 2) + np.sum(SPARSE.T @ y * x)


@formula(draw(50))
def large_sparse(x: Any) -> Any:
    return np.sum(np.tanh(LARGE_SPARSE @ x))


@formula(draw(9))
def captured(x: Any) -> Any:
    return x @ NOISE @ x + np.sum(NOISE[0] * x) + np.sum(x[np.array([8, 1, 1])])


@formula(1.2, 0.4, -0.3, argnums=[2, 0])
def starred(*args: Any) -> Any:
    return args[0] ** args[1] + args[0] * args[2] + np.nan_to_num(args[1]) + np.abs(args[2])


@formula(draw(4), 3, "fast", True)
def settings(x: Any, power: Any, mode: Any, flag: Any) -> Any:
    y = x**power if mode == "fast" else x
    return np.sum(y) if flag else np.sum(-y)


@formula(draw(3), draw(3), argnums=(0, 1))
def named_badly(v0: Any, len: Any) -> Any:  # noqa: A002 - names that formulas use themselves
    np = v0 * len
    return (np @ np) ** 0.5


@formula(draw(4, 3), draw(5, 3))
def distances(x: Any, y: Any) -> Any:
    d = np.sqrt(np.sum((x[:, None, :] - y[None, :, :]) ** 2, axis=-1) + 1e-9)
    return np.mean(np.min(d, axis=1)) + np.std(d) + np.einsum("ik,jk->", x, y) / np.hypot(d[0, 0], 1.0)


@formula(np.array([0.3, 0.9, 2.1]), np.array([4, 1, 7]))
def counted(rates: Any, counts: Any) -> Any:
    return np.sum(rates - counts * np.log(rates) + special.gammaln(counts + 1.0)) + np.sum(counts // 2 * rates)


@formula(0.5, np.linspace(0.0, 1.0, 70))
def interpolated(x: Any, grid: Any) -> Any:
    place = np.searchsorted(grid, x)
    below, above = grid[place - 1], grid[place]
    return ((x - below) / (above - below)) ** 2 + np.interp(x, np.linspace(0, 1, 70), np.cos(np.arange(70.0)))


@formula(draw(6))
def rounded(x: Any) -> Any:
    return np.sum(np.floor(3 * x) * x + np.sign(x) * np.mod(x, 0.7) + np.clip(x, -0.5, 0.5) + np.copysign(x, -1.0))


@formula(draw(3, 4))
def arranged(x: Any) -> Any:
    y = np.concatenate([x.T, np.ones((4, 1)), np.roll(x, 1, axis=1).T], axis=1)
    z = np.stack([y[:, ::2], y[:, 1:5]], axis=0) if y.shape[1] == 4 else np.tile(y, (2, 1))
    return np.sum(np.triu(z[:4, :4]) ** 2) + np.sum(np.pad(x, 1) * 2) + np.prod(x[0, :2]) + np.sum(np.diff(x))


# --- the models of other tests

for name, case in row_cases.CASES.items():
    FORMULAS[name] = Formula(partial(case.f, np), case.make(np.random.default_rng(5), 7))
FORMULAS["lotka_volterra"] = Formula(partial(models.lotka_volterra, np), ((1.5, 1.0, 3.0, 1.0, 10.0, 5.0), 60))
