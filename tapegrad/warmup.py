"""`python -m tapegrad warmup`: everything is compiled once, and kept on disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

import numpy as np
from numba.core import event

from tapegrad.drivers.compressed import sparse_hessian, sparse_jacobian
from tapegrad.drivers.gradient import value_and_grad
from tapegrad.drivers.pullback import vjp
from tapegrad.fitting.fit import fit
from tapegrad.jit import ours
from tapegrad.optimizers import LBFGS, SGD, Adagrad, Adam, RMSProp
from tapegrad.recorded.record import record

DTYPES: Final = (np.float64, np.float32)


@dataclass(slots=True)
class Stopwatch(event.Listener):
    """How long each function took to compile; those that it compiles on the way are part of it."""

    seconds: dict[str, float] = field(default_factory=dict)
    _started: list[float] = field(default_factory=list)

    def on_start(self, event: Any) -> None:
        """A function is about to be compiled."""
        if ours(event):
            self._started.append(perf_counter())

    def on_end(self, event: Any) -> None:
        """A function has been compiled."""
        if ours(event):
            seconds = perf_counter() - self._started.pop()
            if not self._started:
                function = event.data["dispatcher"].py_func
                name = f"{function.__module__}.{function.__name__}"
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds


def warmup() -> None:
    """Compile all that a function of each dtype needs, and print what took how long."""
    start = perf_counter()
    for dtype in DTYPES:
        watch, began = Stopwatch(), perf_counter()
        with event.install_listener("numba:compile", watch):
            _run(dtype)
        for name, seconds in watch.seconds.items():
            print(f"  {seconds:6.2f} s  {name}")
        found = "compiled" if watch.seconds else "was there already"
        print(f"{np.dtype(dtype).name}: {found}, {perf_counter() - began:.1f} s", flush=True)
    print(f"the kernels are ready, {perf_counter() - start:.1f} s")


def _run(dtype: Any) -> None:
    """Record, differentiate and run: each kind of kernel and pass has something to do.

    All instructions of one machine are cases of one kernel, so it does not matter which are used.
    """
    table = np.arange(6, dtype=dtype).reshape(2, 3)  # captured: a constant
    places = np.array([2, 0])

    def vector(x: Any, index: Any) -> Any:
        h = np.tanh(table @ x) + 1.0 * 2.0
        return np.where(h > 0, h * h, h)[index % 2] + x[index]

    def loss(x: Any, index: Any, scale: Any) -> Any:
        total = 0.0 * scale
        for k in range(3):
            if x[k] > 0:
                total = total + x[k] * scale
        return total + np.sum(vector(x, index)) + np.max(x, axis=0)

    x = np.ones(3, dtype)
    for index in (places, places[:1]):
        value_and_grad(loss, (0, 2))(x, index, 2.0)
        record(loss, x, index, 2.0)(x, index, 3.0)
        y, pullback = vjp(lambda x, index=index: vector(x, index), x)
        pullback(y)
    value_and_grad(lambda s: s * s)(dtype(2.0))
    value_and_grad(lambda x, i: np.sum(x[i] * x[i[::-1]]), touched_rows=True)(x, places)
    rows = np.ones(1 << 14, dtype)  # more than is left whole
    value_and_grad(lambda x: np.sum(np.sin(x[1:] * x[:-1])) / np.max(x))(rows)
    again = value_and_grad(lambda x: np.sum(x * x))
    again(x)
    again(x)
    sparse_jacobian(lambda x: x[1:] * x[:-1])(x)
    sparse_hessian(lambda x: np.sum(x[1:] * x[:-1] ** 2))(x)
    for rule in (SGD(), SGD(momentum=0.5), RMSProp(), Adagrad(), Adam()):
        for touched_rows in (False, True):
            fit(lambda x, i: np.sum(x[i] ** 2), x, (places,), optimizer=rule, epochs=1, touched_rows=touched_rows)
    fit(lambda x: np.sum((x - 1) ** 4), x, optimizer=LBFGS(), epochs=3)
