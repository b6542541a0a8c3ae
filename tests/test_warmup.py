"""Compiling says so where it takes long; `python -m tapegrad warmup` does all of it at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tapegrad
from tapegrad.__main__ import main, options
from tapegrad.jit import COMPILING, Announcer

ROOT = Path(tapegrad.__file__).parents[1]


def compiling(module: str = "tapegrad.sweep.kernels") -> Any:
    """An event about a function of a module."""
    return SimpleNamespace(data={"dispatcher": SimpleNamespace(py_func=SimpleNamespace(__module__=module))})


START, END = "start", "end"


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        ([(START, 0.0), (END, 1.9)], False),
        ([(START, 0.0), (START, 1.0), (END, 1.5), (END, 9.0)], False),
        ([(START, 0.0), (START, 2.5)], True),
        ([(START, 0.0), (END, 1.5), (START, 100.0), (END, 100.4), (START, 200.0)], False),
        ([(START, 0.0), (END, 1.5), (START, 100.0), (END, 101.0), (START, 200.0)], True),
        ([(START, 0.0), (START, 2.5), (START, 3.0), (START, 4.0)], True),
    ],
)
def test_compiling_says_so_once_where_it_takes_long(
    steps: list[tuple[str, float]], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    # Only a few of the times are asked for: the end of an inner function is of no interest.
    asked, depth = [], 0
    for step in steps:
        depth += 1 if step[0] == START else -1
        asked.append((step, step[0] == START or depth == 0))
    clock = iter([at for (_, at), wanted in asked if wanted])
    announcer = Announcer(limit=2.0, clock=lambda: next(clock))
    for name, _ in steps:
        (announcer.on_start if name == START else announcer.on_end)(compiling())
    assert capsys.readouterr() == ("", f"{COMPILING}\n" if told else "")


def test_functions_of_others_are_of_no_concern(capsys: pytest.CaptureFixture[str]) -> None:
    announcer = Announcer(limit=-1.0)
    announcer.on_start(compiling("tapegradient.x"))
    announcer.on_end(compiling("numba.cpython.builtins"))
    assert capsys.readouterr() == ("", "")
    announcer.on_start(compiling())
    assert capsys.readouterr().err == f"{COMPILING}\n"


# After the warm-up no function is compiled, or even loaded, for types that it has not been met with.
SCRIPT = """
import importlib, pkgutil
from functools import partial
import numpy as np
from numba.core.dispatcher import Dispatcher
import tapegrad
from tapegrad.__main__ import main

assert main(["warmup"]) == 0

def functions():
    for found in pkgutil.walk_packages(tapegrad.__path__, "tapegrad."):
        if not found.name.startswith(("tapegrad.demo", "tapegrad.__main__")):
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, Dispatcher):
                    yield value

before = {f: set(f.overloads) for f in functions()}
from tests.models import MODELS
for model in MODELS.values():
    for dtype in (np.float64, np.float32):
        tapegrad.value_and_grad(partial(model.f, np))(*model.arguments("small", dtype))
for f, known in before.items():
    assert set(f.overloads) == known, f
"""


def test_after_a_warmup_nothing_is_left_to_compile() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    *_, single, end = done.stdout.splitlines()
    assert single.startswith("float32: ")
    assert end.startswith("the kernels are ready, ")


def test_the_demo_is_what_runs_without_a_command() -> None:
    assert options([]).command is None
    assert options(["--epochs", "3"]).epochs == 3
    assert options(["warmup"]).command == "warmup"
    with pytest.raises(SystemExit):
        options(["cooldown"])


def test_a_warmup_says_what_took_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["warmup"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("float")] == ["float64", "float32"]
