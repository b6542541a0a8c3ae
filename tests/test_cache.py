"""The kernels on disk: never stale after an edit of the op table, and not needed to be writable."""

from __future__ import annotations

import ast
import importlib
import os
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from numba.core.dispatcher import Dispatcher

import tapegrad
from tapegrad.ops.table import digest
from tapegrad.sweep import kernels

ROOT = Path(tapegrad.__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "tools").is_dir(), reason="the generator is in the repository only")

# Sums of squares on arrays and on scalars, which are two kernels.
SQUARES = """
import numpy as np
import tapegrad as tg
x = np.array([1.0, 2.0, 3.0])
value, gradient = tg.value_and_grad(lambda x: np.sum(x**2))(x)
scalar, slope = tg.value_and_grad(lambda x: x**2)(5.0)
print(tg.__file__, float(value), gradient.tolist(), float(scalar), slope)
"""
# As much as runs without the sweep, whose compilation takes longest.
RECORD = """
import numpy as np
import tapegrad as tg
from tapegrad.sweep import kernels
print(tg.__file__, len(tg.record(lambda x: np.sum(x * x), np.ones(3))))
"""


def python(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the package in `root`."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "TAPEGRAD_", "XDG_"))}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env={**kept, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def copy(root: Path, *, ignore: tuple[str, ...] = ()) -> Path:
    """A copy of package and tools, with the kernels that are compiled already."""
    for name in ("tapegrad", "tools"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns(*ignore, "*.pyc"))
    return root


def edit(path: Path, old: str, new: str) -> None:
    """Change a file so that neither its size nor its time tells."""
    text, before = path.read_text(), path.stat()
    assert text.count(old) == 1
    assert len(old) == len(new)
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_the_kernels_are_fresh() -> None:
    done = python(ROOT, "-m", "tools.generate_kernels", "--check")
    assert done.returncode == 0, done.stderr
    assert digest() == kernels.DIGEST


def compiled_functions() -> Iterator[tuple[ModuleType, Dispatcher]]:
    """Every compiled function with the module it stands in."""
    for found in pkgutil.walk_packages(tapegrad.__path__, "tapegrad."):
        if found.name.startswith(("tapegrad.demo", "tapegrad.__main__")):
            continue
        module = importlib.import_module(found.name)
        for value in vars(module).values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == found.name:
                yield module, value


def test_compiled_functions_read_nothing_from_other_files() -> None:
    # The cache looks at one file only: what is imported into it could change without being noticed.
    functions = list(compiled_functions())
    assert len(functions) > 20
    for module, function in functions:
        tree = ast.parse(Path(module.__file__ or "").read_text())
        imports = (n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom))
        imported = {a.asname or a.name for n in imports for a in n.names}
        assert not imported.intersection(function.py_func.__code__.co_names), function


def test_the_check_notices_an_edit_of_a_hand_written_part(tmp_path: Path) -> None:
    root = copy(tmp_path, ignore=("__pycache__",))
    assert python(root, "-m", "tools.generate_kernels", "--check").returncode == 0
    part = root / "tools" / "kernels" / "reductions.py"
    part.write_text(part.read_text().replace("return", "return  ", 1))
    done = python(root, "-m", "tools.generate_kernels", "--check")
    assert done.returncode == 1
    assert "not fresh" in done.stderr


def test_an_edit_of_a_rule_never_leaves_a_stale_kernel(tmp_path: Path) -> None:
    root = copy(tmp_path)
    before = python(root, "-c", SQUARES)
    assert before.returncode == 0, before.stderr
    assert before.stdout.split(maxsplit=1) == [
        str(root / "tapegrad" / "__init__.py"),
        "14.0 [2.0, 4.0, 6.0] 25.0 10.0\n",
    ]
    assert list((root / "tapegrad" / "sweep" / "__pycache__").glob("kernels.sweep-*.nbc"))

    edit(root / "tapegrad" / "ops" / "elementwise.py", 'unary("square", "x * x",', 'unary("square", "x + x",')
    stale = python(root, "-c", SQUARES)
    assert stale.returncode != 0
    assert "StaleKernelsError: the op table has changed: run `python -m tools.generate_kernels`" in stale.stderr

    path = root / "tapegrad" / "sweep" / "kernels.py"
    was, size = path.stat(), len(path.read_text())
    generated = python(root, "-m", "tools.generate_kernels")
    assert generated.returncode == 0, generated.stderr
    assert len(path.read_text()) == size
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    after = python(root, "-c", SQUARES)
    assert after.returncode == 0, after.stderr
    assert after.stdout.split(maxsplit=1)[1] == "12.0 [2.0, 4.0, 6.0] 10.0 10.0\n"


def test_it_works_where_no_folder_can_be_written(tmp_path: Path) -> None:
    root = copy(tmp_path, ignore=("__pycache__",))
    nowhere = tmp_path / "file"
    nowhere.write_text("")
    for folder in [root / "tapegrad", *(p for p in (root / "tapegrad").rglob("*") if p.is_dir())]:
        (folder / "__pycache__").write_text("")  # a file, which stops the superuser, too
    home = str(nowhere / "home")
    done = python(root, "-c", RECORD, HOME=home, XDG_CACHE_HOME=home, LOCALAPPDATA=home, USERPROFILE=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(root / "tapegrad" / "__init__.py"), "3"]
    assert not list(root.rglob("*.nbi"))
