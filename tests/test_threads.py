"""Several threads in one function at once, and processes forked after use."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.drivers import recorded
from tapegrad.errors import ShapeError
from tapegrad.sweep import blas
from tests.models import Counted

THREADS = 4


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads take turns at nearly every bytecode."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run `work(k)` in threads that start at the same moment; the first exception of any is raised."""
    barrier = threading.Barrier(threads)
    errors: list[BaseException] = []

    def run(k: int) -> None:
        barrier.wait()
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    pool = [threading.Thread(target=run, args=(k,)) for k in range(threads)]
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join()
    if errors:
        raise errors[0]


def loss(x: Any, data: Any) -> Any:
    return np.sum(np.tanh(x * data) ** 2) + np.sum(x @ data.T)


def slope(x: Any, data: Any) -> Any:
    t = np.tanh(x * data)
    return 2 * t * (1 - t * t) * data + np.sum(data, axis=0)


def test_one_function_in_several_threads() -> None:
    f = tg.value_and_grad(loss)

    def work(k: int) -> None:
        rng = np.random.default_rng(k)
        for _ in range(15):  # the kernels let go of the interpreter, so these sweeps run at the same time
            x, data = rng.normal(size=(2, 200, 100))
            value, gradient = f(x, data)
            assert np.allclose(value, loss(x, data), rtol=1e-12)
            assert np.allclose(gradient, slope(x, data), rtol=1e-10, atol=1e-12)

    together(work)


def test_there_is_one_limit_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where several threads are the first to ask: one that is left was entered."""
    found: list[Any] = []

    def slow() -> object:
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(blas, "_limit", cache(slow))
    together(lambda _: found.append(blas.limit()))
    assert len(set(map(id, found))) == 1


def test_the_first_call_in_several_threads_records_once() -> None:
    counted = Counted(loss)
    f = tg.value_and_grad(counted)
    x, data = np.random.default_rng(0).normal(size=(2, 5, 4))

    def work(_: int) -> None:
        for _ in range(5):
            assert np.allclose(f(x, data)[1], slope(x, data), rtol=1e-12)

    together(work)
    assert counted.runs == 1


def power(x: Any) -> Any:
    return x ** int(x)


@pytest.mark.filterwarnings("ignore::tapegrad.errors.RerecordingWarning")
@pytest.mark.parametrize("kept", [1, 3, 64])
def test_threads_that_record_again_at_once(monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    monkeypatch.setattr(recorded, "KEPT", kept)
    f = tg.value_and_grad(power)

    def work(k: int) -> None:
        rng = np.random.default_rng(k)
        for n in rng.integers(1, 9, 60).tolist():
            value, gradient = f(n + 0.25)
            assert value == pytest.approx((n + 0.25) ** n, rel=1e-12)
            assert gradient == pytest.approx(n * (n + 0.25) ** (n - 1), rel=1e-12)

    together(work)


@pytest.mark.filterwarnings("ignore::tapegrad.errors.RerecordingWarning")
def test_threads_with_arguments_of_other_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "KEPT", 2)
    f = tg.grad(lambda x, n: np.sum(x**n))

    def work(k: int) -> None:
        for j in range(40):
            x = np.full(1 + (k + j) % 5, 2.0)
            assert f(x, 1 + j % 3).tolist() == ((1 + j % 3) * x ** (j % 3)).tolist()

    together(work)


def test_an_error_in_one_thread_leaves_the_others_alone() -> None:
    f = tg.grad(lambda x, y: np.sum(x * y))
    x = np.ones(3)

    def work(k: int) -> None:
        for _ in range(30):
            if k % 2:
                with pytest.raises(ShapeError):
                    f(x, np.ones(4))
            else:
                assert f(x, 2 * x).tolist() == [2.0] * 3

    together(work)


def test_recordings_in_several_threads_do_not_mix() -> None:
    def work(k: int) -> None:
        for j in range(15):
            c = float(10 * k + j)
            f = tg.value_and_grad(lambda x, c=c: sum(c * x for _ in range(20)))
            assert f(1.0) == (20 * c, 20 * c)

    together(work)


def test_one_pullback_in_several_threads() -> None:
    x = np.linspace(-1, 1, 50)
    _, pullback = tg.vjp(lambda x: np.sin(x) * x, x)

    def work(k: int) -> None:
        for j in range(30):
            (g,) = pullback(np.full(50, float(k + j)))
            assert np.allclose(g, (k + j) * (np.cos(x) * x + np.sin(x)), rtol=1e-12)

    together(work)


FORK = """
import multiprocessing
import numpy as np
import tapegrad as tg

def loss(w, x):
    return np.sum(np.tanh(x @ w) ** 2)

gradient = tg.grad(loss)
newton = tg.grad(lambda a: a ** int(a))
x = np.linspace(-1.0, 1.0, 60).reshape(20, 3)

def child(k):
    w = np.full(3, 0.1 * k)
    t = np.tanh(x @ w)
    wanted = x.T @ (2 * t * (1 - t * t))
    fresh = tg.grad(lambda v: np.sum(v ** 3))(w)
    assert np.allclose(gradient(w, x), wanted, rtol=1e-12)      # recorded by the parent
    assert np.allclose(gradient(w, x[:7]), tg.grad(loss)(w, x[:7]), rtol=1e-12)  # recorded anew
    assert np.allclose(fresh, 3 * w * w, rtol=1e-12)
    assert newton(k + 1.5) == (k + 1) * (k + 1.5) ** k
    return k

if __name__ == "__main__":
    child(2)
    context = multiprocessing.get_context("fork")
    with context.Pool(2) as pool:
        assert pool.map(child, range(6)) == list(range(6))
    child(3)
    print("all right")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_processes_forked_after_use(tmp_path: Path) -> None:
    # In a process of its own: this one has threads of other libraries, which do not survive a fork.
    script = tmp_path / "forks.py"
    script.write_text(FORK)
    package = Path(tg.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "all right"
