"""Points at which a derivative is a convention, and what others make of them: the table of docs/numbers.md.

    python -m tests.kinks

prints that table. Every entry of it is computed, none is told: `tests/test_kinks.py` compares the page with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import autograd
import autograd.numpy
import jax
import jax.numpy
import jax.scipy.special
import numpy

import tapegrad as tg
import tapegrad.scipy.special

PAGE: Final = Path(__file__).parents[1] / "docs" / "numbers.md"
INF, NAN = math.inf, math.nan


@dataclass(frozen=True, slots=True)
class Kink:
    """One row.

    Attributes:
        text: the call as the table shows it, of x and y.
        call: `call(np, *operands)`; the namespace has NumPy's functions, and SciPy's as `np.special`.
        at: the operands.
        wanted: the derivative to each of them.
        torch: the call by PyTorch, where it has other names: `torch(torch, *operands)`.
    """

    text: str
    call: Callable[..., Any]
    at: tuple[Any, ...]
    wanted: tuple[Any, ...]
    torch: Callable[..., Any] | None = None


def kink(text: str, call: Callable[..., Any], at: Any, wanted: Any, torch: Callable[..., Any] | None = None) -> Kink:
    """A row; of one operand, the point and the derivative stand by themselves."""
    return Kink(text, call, *(v if isinstance(v, tuple) else (v,) for v in (at, wanted)), torch)


KINKS: Final[tuple[Kink, ...]] = (
    # ties and kinks
    kink("np.abs(x)", lambda np, x: np.abs(x), 0.0, 0.0),
    kink("np.sign(x)", lambda np, x: np.sign(x), 0.0, 0.0),
    kink("np.maximum(x, y)", lambda np, x, y: np.maximum(x, y), (1.0, 1.0), (0.5, 0.5)),
    kink("np.minimum(x, y)", lambda np, x, y: np.minimum(x, y), (1.0, 1.0), (0.5, 0.5)),
    kink("np.fmax(x, y)", lambda np, x, y: np.fmax(x, y), (1.0, 1.0), (0.5, 0.5)),
    kink("np.fmax(x, y)", lambda np, x, y: np.fmax(x, y), (NAN, 1.0), (0.0, 1.0)),
    kink("np.maximum(x, 0)", lambda np, x: np.maximum(x, 0.0), 0.0, 0.5, lambda t, x: t.relu(x)),
    kink("np.clip(x, 0, 1)", lambda np, x: np.clip(x, 0.0, 1.0), 1.0, 0.5),
    kink("np.max(x)", lambda np, x: np.max(x), [1.0, 1.0, 0.0], [0.5, 0.5, 0.0], lambda t, x: t.amax(x)),
    kink("np.min(x)", lambda np, x: np.min(x), [1.0, 2.0, 1.0], [0.5, 0.0, 0.5], lambda t, x: t.amin(x)),
    kink("np.where(x > 0, x, 0)", lambda np, x: np.where(x > 0, x, 0.0), 0.0, 0.0),
    kink("np.where(x > 0, np.sqrt(x), 0)", lambda np, x: np.where(x > 0, np.sqrt(x), 0.0), 0.0, 0.0),
    kink("np.where(x > 0, np.log(x), 0)", lambda np, x: np.where(x > 0, np.log(x), 0.0), -1.0, 0.0),
    kink("np.copysign(x, y)", lambda np, x, y: np.copysign(x, y), (0.0, 1.0), (0.0, 0.0)),
    # steps
    kink("np.floor(x)", lambda np, x: np.floor(x), 2.0, 0.0),
    kink("np.round(x)", lambda np, x: np.round(x), 0.5, 0.0),
    kink("np.heaviside(x, y)", lambda np, x, y: np.heaviside(x, y), (0.0, 0.5), (0.0, 1.0)),
    kink("np.fmod(x, y)", lambda np, x, y: np.fmod(x, y), (2.0, 1.0), (1.0, -2.0)),
    kink("np.remainder(x, y)", lambda np, x, y: np.remainder(x, y), (2.0, 1.0), (1.0, -2.0)),
    kink("np.modf(x)[0]", lambda np, x: np.modf(x)[0], 2.0, 1.0, lambda t, x: t.frac(x)),
    kink("np.floor_divide(x, y)", lambda np, x, y: np.floor_divide(x, y), (2.0, 1.0), (0.0, 0.0)),
    kink("np.nan_to_num(x)", lambda np, x: np.nan_to_num(x), NAN, 0.0),
    # ends of the domain
    kink("np.sqrt(x)", lambda np, x: np.sqrt(x), 0.0, INF),
    kink("np.cbrt(x)", lambda np, x: np.cbrt(x), 0.0, INF),
    kink("np.log(x)", lambda np, x: np.log(x), 0.0, INF),
    kink("np.arcsin(x)", lambda np, x: np.arcsin(x), 1.0, INF),
    kink("np.arccos(x)", lambda np, x: np.arccos(x), 1.0, -INF),
    kink("np.arccosh(x)", lambda np, x: np.arccosh(x), 1.0, INF),
    kink("np.arctanh(x)", lambda np, x: np.arctanh(x), 1.0, INF),
    # powers
    kink("x ** 0", lambda np, x: x**0, 0.0, 0.0),
    kink("x ** 0.5", lambda np, x: x**0.5, 0.0, INF),
    kink("x ** y", lambda np, x, y: x**y, (0.0, 0.0), (0.0, 0.0)),
    kink("x ** y", lambda np, x, y: x**y, (0.0, 1.0), (1.0, 0.0)),
    kink("x ** y", lambda np, x, y: x**y, (0.0, 2.0), (0.0, 0.0)),
    kink("x ** y", lambda np, x, y: x**y, (-2.0, 3.0), (12.0, NAN)),
    # 0 / 0
    kink("np.hypot(x, y)", lambda np, x, y: np.hypot(x, y), (0.0, 0.0), (0.0, 0.0)),
    kink("np.sqrt(x**2 + y**2)", lambda np, x, y: np.sqrt(x**2 + y**2), (0.0, 0.0), (NAN, NAN)),
    kink("np.arctan2(x, y)", lambda np, x, y: np.arctan2(x, y), (0.0, 0.0), (NAN, NAN)),
    kink("np.sinc(x)", lambda np, x: np.sinc(x), 0.0, 0.0),
    kink("x / y", lambda np, x, y: x / y, (0.0, 0.0), (INF, NAN)),
    # products
    kink("np.prod(x)", lambda np, x: np.prod(x), [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
    kink("np.prod(x)", lambda np, x: np.prod(x), [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
    # logarithms of sums, entropies
    kink("np.logaddexp(x, y)", lambda np, x, y: np.logaddexp(x, y), (1.0, -INF), (1.0, 0.0)),
    kink("np.logaddexp(x, y)", lambda np, x, y: np.logaddexp(x, y), (-INF, -INF), (0.5, 0.5)),
    kink(
        "logsumexp(x)",
        lambda np, x: np.special.logsumexp(x),
        [-INF, -INF],
        [0.0, 0.0],
        lambda t, x: t.logsumexp(x, 0),
    ),
    kink("xlogy(x, y)", lambda np, x, y: np.special.xlogy(x, y), (0.0, 0.0), (-INF, 0.0)),
    kink("xlogy(x, y)", lambda np, x, y: np.special.xlogy(x, y), (0.0, 2.0), (math.log(2.0), 0.0)),
    kink("entr(x)", lambda np, x: np.special.entr(x), 0.0, INF),
    kink("rel_entr(x, y)", lambda np, x, y: np.special.rel_entr(x, y), (0.0, 0.0), (0.0, 0.0)),
    kink("kl_div(x, y)", lambda np, x, y: np.special.kl_div(x, y), (0.0, 0.0), (0.0, 1.0)),
    kink("huber(1, x)", lambda np, x: np.special.huber(1.0, x), 1.0, 1.0),
    kink("i0e(x)", lambda np, x: np.special.i0e(x), 0.0, 0.0),
)


# --- who differentiates


class Namespace(SimpleNamespace):
    """A library's functions by NumPy's names, with SciPy's as `special`."""

    def __init__(self, functions: Any, special: Any) -> None:
        super().__init__(special=special)
        self._functions = functions

    def __getattr__(self, name: str) -> Any:
        return getattr(self._functions, name)


def arrays(k: Kink) -> list[Any]:
    return [numpy.array(v) for v in k.at]


def by_tapegrad(k: Kink) -> Sequence[Any]:
    """The derivatives by a recording of plain NumPy."""
    namespace = Namespace(numpy, tapegrad.scipy.special)
    return tg.grad(lambda *x: k.call(namespace, *x), tuple(range(len(k.at))))(*arrays(k))


def by_autograd(k: Kink) -> Sequence[Any]:
    from autograd.scipy import special

    namespace = Namespace(autograd.numpy, special)
    with numpy.errstate(all="ignore"):
        found = autograd.grad(lambda *x: k.call(namespace, *x), tuple(range(len(k.at))))(*arrays(k))
    return [numpy.asarray(v) for v in found]


def by_jax(k: Kink) -> Sequence[Any]:
    namespace = Namespace(jax.numpy, jax.scipy.special)
    with jax.enable_x64(True):
        places = tuple(range(len(k.at)))
        return jax.grad(lambda *x: k.call(namespace, *x), places)(*map(jax.numpy.asarray, arrays(k)))


def by_torch(k: Kink) -> Sequence[Any]:
    import torch

    operands = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in k.at]
    call = k.torch or k.call
    call(torch, *operands).backward()
    return [numpy.zeros(v.shape) if v.grad is None else v.grad.numpy() for v in operands]


PEERS: Final = {"autograd": by_autograd, "JAX": by_jax, "PyTorch": by_torch}
# How a library says that it has no such function, or no derivative of it.
LACKS: Final = (AttributeError, NotImplementedError, TypeError, RuntimeError, ValueError)


# --- the table


def number(value: float) -> str:
    """0, -2, 0.5, inf, nan; others rounded."""
    if math.isnan(value):
        return "nan"
    return f"{value + 0.0:.4g}"


def entry(values: Sequence[Any]) -> str:
    """One derivative an operand."""
    return ", ".join(
        number(float(v)) if numpy.ndim(v) == 0 else f"[{', '.join(map(number, numpy.asarray(v).tolist()))}]"
        for v in values
    )


def peer(name: str, k: Kink) -> str:
    """What another library gives; "-" where it has no such function."""
    try:
        return entry(PEERS[name](k))
    except LACKS:
        return "-"


def row(k: Kink) -> str:
    """A row of the table."""
    cells = [f"`{k.text}`", entry(k.at), entry(k.wanted), *(peer(name, k) for name in PEERS)]
    return f"| {' | '.join(cells)} |"


def table() -> Iterator[str]:
    """The whole table."""
    yield f"| function | at | tapegrad | {' | '.join(PEERS)} |"
    yield "| --- " * (3 + len(PEERS)) + "|"
    for k in KINKS:
        yield row(k)


if __name__ == "__main__":
    print("\n".join(table()))
