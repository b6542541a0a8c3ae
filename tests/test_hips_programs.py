"""Programs written for HIPS autograd give with tapegrad what they give there: only the imports are changed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
import pytest

from tapegrad.trees import flatten

FOLDER: Final = Path(__file__).parent / "programs"
CHANGES: Final = (
    ("import autograd.numpy as np", "import tapegrad.numpy as np"),
    ("from autograd import", "from tapegrad import"),
)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def changed(name: str, folder: Path) -> ModuleType:
    """The program with other imports."""
    text = (FOLDER / f"{name}.py").read_text()
    for before, after in CHANGES:
        assert before in text
        text = text.replace(before, after)
    assert "autograd" not in text.replace("tapegrad", "")
    path = folder / f"{name}.py"
    path.write_text(text)
    return load(path)


@pytest.mark.parametrize("name", sorted(p.stem for p in FOLDER.glob("[a-z]*.py")))
def test_the_same_results_with_other_imports(name: str, tmp_path: Path) -> None:
    wanted, found = load(FOLDER / f"{name}.py").run(), changed(name, tmp_path).run()
    assert list(found) == list(wanted)
    for what, value in wanted.items():
        value, rtol = value if isinstance(value, tuple) else (value, 1e-9)
        other = found[what][0] if isinstance(found[what], tuple) else found[what]
        for w, f in zip(flatten(value)[0], flatten(other)[0], strict=True):
            assert np.shape(f) == np.shape(w)
            np.testing.assert_allclose(
                f, w, rtol=rtol, atol=rtol * max(1.0, np.abs(w).max()), err_msg=f"{name}: {what}"
            )
