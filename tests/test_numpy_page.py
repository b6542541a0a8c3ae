"""The page of NumPy's functions: every one of them has a place, and the page is fresh."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.errors import UnsupportedError
from tools.numpy_page import MODULES, PLAIN, REFUSED, TARGET, lines, public, status


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_every_function_has_a_place(module: Any) -> None:
    for name in public(module):
        kind, reason = status(getattr(module, name), name)
        assert kind == "records" or reason


def test_the_page_is_fresh() -> None:
    assert TARGET.read_text() == "\n".join(lines())


def test_no_name_stands_twice() -> None:
    names = [name for table in (PLAIN, REFUSED) for group in table.values() for name in group.split()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ["packbits", "roots", "polydiv", "linalg.eig"])
def test_what_is_refused_says_so(name: str) -> None:
    function: Any = np
    for part in name.split("."):
        function = getattr(function, part)
    x = np.eye(2) if name.startswith("linalg") else np.arange(1.0, 4.0)
    arguments = (x,) if name != "polydiv" else (x, x)
    with pytest.raises(UnsupportedError, match=name.rpartition(".")[2]):
        tg.grad(lambda x: np.sum(function(*[x * a for a in arguments])))(1.0)
