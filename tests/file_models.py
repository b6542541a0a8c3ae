"""Small functions of every sort of instruction, whose tapes are written to files, read again, and mutated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy
import scipy.sparse

import tapegrad as tg
import tapegrad.numpy as np
import tapegrad.scipy.linalg
from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.arguments import Signature
from tapegrad.drivers.interface import Interface
from tapegrad.ops.table import INPUT, OPS
from tapegrad.passes.optimize import optimize
from tapegrad.recorded.fixed import FixedTape
from tapegrad.recorded.tape_function import TapeFunction
from tapegrad.schedule.draft import reordered
from tapegrad.scipy import special
from tapegrad.tape import Tape
from tapegrad.trees import Structure
from tests.helpers import record_samples, samples, shapes_of

F: Final = numpy.linspace
SPARSE: Final = scipy.sparse.csr_array(numpy.array([[0.0, 1.5, 0.0], [-2.0, 0.0, 0.5]]))
LABELS: Final = numpy.array([0, 2, 1, 1])


@dataclass(frozen=True, slots=True)
class FileModel:
    """A function and its arguments; `argnums` as for `tapegrad.record`."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    argnums: Any = 0

    def cast(self, dtype: Any) -> tuple[Any, ...]:
        """The arguments with floating arrays of this dtype."""
        return tuple(_cast(a, dtype) for a in self.args)


def _cast(tree: Any, dtype: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _cast(v, dtype) for k, v in tree.items()}
    if isinstance(tree, (list, tuple)) and not hasattr(tree, "_fields"):
        return type(tree)(_cast(v, dtype) for v in tree)
    return tree.astype(dtype) if isinstance(tree, numpy.ndarray) and tree.dtype.kind == "f" else tree


class Line(NamedTuple):
    slope: Any
    offset: Any


@dataclass
class Curve:
    height: Any
    width: Any


def seven(x: Any, y: Any) -> Any:
    return np.sin(x * y) + np.exp(x) / y


def scalars(p: Any, steps: int) -> Any:
    a, b = p
    for _ in range(steps):
        a, b = a + 0.01 * (b - a * b), b - 0.02 * a
    return a * a + b


def network(p: dict[str, Any], x: Any, labels: Any) -> Any:
    hidden = np.tanh(x @ p["w"] + p["b"])
    logits = hidden @ p["layers"][0]
    top = np.max(logits, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(logits - top), axis=1)) + top[:, 0] - logits[np.arange(4), labels])


def rows(x: Any, w: Any) -> Any:
    return np.mean((np.tanh(x @ w) - np.sum(x * x, axis=1)) ** 2)


def gathered(p: Any, index: Any) -> Any:
    return np.sum(p["u"][index] * p["v"][index[::-1]]) + np.sum(p["u"] ** 2)


def windows(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1:-1] = x[2:] - x[:-2]
    y[0] = x[1]
    return np.sum(y[::-1] * x) + np.sum(np.concatenate([x, y])[::3] ** 2)


def fluid(x: Any) -> Any:
    for _ in range(3):
        x = (np.roll(x, 1, axis=0) + np.roll(x, -1, axis=1) + x) / 3
    return np.sum(x * x)


def branches(x: Any) -> Any:
    total = 0.0
    for k in range(3):
        total = total + x[k] if x[k] > 0 else total - 2 * x[k]
    return total + np.sum(x[x > 0] ** 2)


def algebra(a: Any, b: Any) -> Any:
    m = a @ a.T + 3 * np.eye(3)
    values = np.linalg.eigvalsh(m)
    return np.sum(np.linalg.solve(m, b)) + np.linalg.det(a) + np.sum(np.linalg.cholesky(m)) + values[-1]


def inverses(a: Any) -> Any:
    u, s, _ = np.linalg.svd(a)
    q, r = np.linalg.qr(a)
    return np.sum(np.linalg.pinv(a)) + np.sum(np.linalg.inv(a)) + s[0] + np.sum(np.abs(r)) + np.sum(q * u)


def triangles(a: Any, b: Any) -> Any:
    factor = np.tril(a) + 2 * np.eye(3)
    return np.sum(np.linalg.slogdet(factor @ factor.T)[1]) + np.sum(
        tg.scipy.linalg.solve_triangular(factor, b, lower=True)
    )


def spectrum(x: Any) -> Any:
    z = np.fft.rfft(x)
    y = np.fft.irfft(z * np.arange(4), 6)
    full = np.fft.fft(x)
    return np.sum(y * x) + np.sum(full.real**2)


def ordered(x: Any) -> Any:
    return np.sum(np.sort(x) * np.arange(5)) + np.cumsum(x)[2] + np.median(x) + np.max(x) + np.searchsorted(x, 0.3)


def integers(n: Any, k: Any) -> Any:
    return (n // 3 + n % 4 - k, n > 2, np.sum(n * k), np.bitwise_and(n, 3), (n + 0.5) * 2)


def sparse(x: Any) -> Any:
    return np.sum((SPARSE @ x) ** 2) + np.sum(SPARSE.T @ np.ones((2, 1)) * x)


def functions(x: Any) -> Any:
    return np.sum(
        special.gammaln(1 + x * x) + special.erf(x) + np.arctan2(x, 2.0) + np.where(x > 0, np.log1p(x * x), x)
    )


def shapes(x: Any) -> Any:
    y = np.transpose(np.broadcast_to(x, (2, 3, 4)), (2, 0, 1)).reshape(8, 3)
    return np.einsum("ij,ik->jk", y, y), np.stack([y[0], y[1]]), [None, {"last": y[-1], 7: y[0, 0]}]


def nested(p: dict[str, Any], scale: int, flip: bool, name: str) -> dict[str, Any]:
    line, curve = p["line"], p["curve"]
    x = line.slope * scale + line.offset
    return {"value": np.sum(x * curve.height) / curve.width, "text": Line(x, -x if flip else x), "none": None}


def empty(x: Any, y: Any) -> Any:
    return np.sum(x) + np.sum(y**2), x * 2, np.concatenate([x, y])


def unused(x: Any, y: Any) -> Any:
    return np.sum(x) * 2.0


def constant(x: Any) -> Any:
    return x, np.arange(3), 2.5


def mixed(x: Any) -> Any:
    scale = np.arange(1.0, 7.0).reshape(2, 3)
    y = np.pad(x * scale, 1)
    z = np.linalg.norm(y) + np.prod(x[0]) + np.std(x)
    return z + np.sum(np.cumprod(x, axis=1)) + np.sum(np.diff(x) ** 2) + np.sum(np.outer(x[0], x[1]))


def assigned(x: Any, index: Any) -> Any:
    y = np.array(x)
    y[index] = 2 * x[:3]
    y[4] += x[0]
    return np.sum(y * y)


def taken(x: Any, index: Any) -> Any:
    return np.sum(np.take_along_axis(x, index, axis=1) ** 2) + np.sum(np.take(x, 1, axis=0))


def expm(a: Any) -> Any:
    return np.sum(tg.scipy.linalg.expm(a)) + np.trace(a)


FILE_MODELS: Final = {
    "seven": FileModel(seven, (0.5, 2.0), (0, 1)),
    "scalars": FileModel(scalars, ((1.5, 0.5), 8)),
    "network": FileModel(
        network,
        ({"w": F(-1, 1, 15).reshape(3, 5), "b": F(0, 1, 5), "layers": [F(-1, 2, 15).reshape(5, 3)]},
         F(-2, 1, 12).reshape(4, 3), LABELS),
    ),
    "rows": FileModel(rows, (F(-1, 1, 3000).reshape(1000, 3), F(0, 1, 3)), 1),
    "gathered": FileModel(
        gathered, ({"u": F(0, 1, 6).reshape(3, 2), "v": F(1, 2, 6).reshape(3, 2)}, np.array([0, 2, -1, 1]))
    ),
    "windows": FileModel(windows, (F(-1, 2, 6),)),
    "fluid": FileModel(fluid, (F(-1, 2, 20).reshape(4, 5),)),
    "branches": FileModel(branches, (np.array([1.0, -2.0, 3.0]),)),
    "algebra": FileModel(algebra, (F(-1, 2, 9).reshape(3, 3) ** 2, F(0, 1, 6).reshape(3, 2)), (0, 1)),
    "inverses": FileModel(inverses, (np.diag([1.0, 2.0, 4.0]) + F(0, 1, 9).reshape(3, 3) ** 2,)),
    "triangles": FileModel(triangles, (F(0, 1, 9).reshape(3, 3), F(0, 1, 6).reshape(3, 2)), (0, 1)),
    "spectrum": FileModel(spectrum, (F(-1, 2, 6) ** 3,)),
    "ordered": FileModel(ordered, (np.array([0.3, -0.2, 1.5, 0.7, 0.1]),)),
    "integers": FileModel(integers, (np.arange(5), np.array(3)), ()),
    "sparse": FileModel(sparse, (F(-1, 1, 3).reshape(3, 1),)),
    "functions": FileModel(functions, (F(-1, 2, 7),)),
    "shapes": FileModel(shapes, (F(-1, 2, 4),)),
    "nested": FileModel(
        nested, ({"line": Line(F(0, 1, 3), F(1, 2, 3)), "curve": Curve(F(0, 1, 3), 2.0)}, 3, True, "a")),
    "empty": FileModel(empty, (np.zeros(0), F(0, 1, 3)), (0, 1)),
    "unused": FileModel(unused, (F(0, 1, 3), F(0, 1, 2)), (0, 1)),
    "constant": FileModel(constant, (F(0, 1, 3),)),
    "mixed": FileModel(mixed, (F(0.5, 2, 6).reshape(2, 3),)),
    "assigned": FileModel(assigned, (F(0, 1, 6), np.array([4, 1, 3]))),
    "taken": FileModel(taken, (F(0, 1, 6).reshape(2, 3), np.array([[0, 2], [1, 1]]))),
    "expm": FileModel(expm, (F(0, 1, 4).reshape(2, 2),)),
}  # fmt: skip


@cache
def tapes() -> dict[str, TapeFunction]:
    """The tapes of all models in both dtypes, and those of their gradients."""
    found: dict[str, TapeFunction] = {}
    for name, model in FILE_MODELS.items():
        for dtype in (numpy.float64, numpy.float32):
            key = f"{name}-{numpy.dtype(dtype).name}"
            found[key] = tape = tg.record(model.function, *model.cast(dtype), argnums=model.argnums)
            if tape.interface.result is None and model.argnums != ():
                found[f"{key}-gradient"] = tape.adjoint()
    return found


@cache
def row_tapes() -> dict[str, FixedTape]:
    """A tape of the cases of every structural row, and of some elementwise ones, in both dtypes; and their adjoints."""
    rows = [op for op in OPS if not op.elementwise and op.accepts is not None]
    rows += [op for op in OPS if op.elementwise][::9]
    found = {}
    for op in rows:
        for dtype in (numpy.dtype(numpy.float64), numpy.dtype(numpy.float32)):
            if op.name == "sparse_matmul":
                continue
            tape, inputs = record_samples(samples(op, dtype), dtype)
            key = f"{op.key.replace(':', '-')}-{dtype.name}"
            found[key] = _fixed(optimize(tape), inputs)
            seeds = [numpy.zeros(t.shape, dtype) for t in shapes_of(tape, tape.dependents)]
            if len(tape.independents) and op.name != "complement":
                found[f"{key}-adjoint"] = _fixed(optimize(adjoint(optimize(tape), seed_inputs=True)), inputs + seeds)
    return found


def _fixed(tape: Tape, inputs: list[Any]) -> FixedTape:
    """A tape with an outside: its inputs are the arguments, its dependents a tuple."""
    order = numpy.argsort(tape.opcodes != INPUT, kind="stable")
    tape = reordered(tape, order)
    wanted = [int(tape.attribute_ids[s]) for s in tape.independents.tolist()]
    leaves = tuple((v.shape, v.dtype.char, k in wanted, True) for k, v in enumerate(inputs))
    names = tuple(f"x{k}" for k in range(len(inputs)))
    count = len(tape.dependents)
    result = Structure(tuple, (count,), (None,) * count)
    return FixedTape(
        tape, Interface(Signature((None,) * len(inputs), leaves, tape.dtype), names, tuple(wanted), result)
    )


__all__ = ["FILE_MODELS", "FileModel", "row_tapes", "tapes"]
