"""Conventions: the derivative at each point of the table of docs/numbers.md, and what the page says of others."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tests.kinks import KINKS, PAGE, PEERS, Kink, by_tapegrad, entry, peer

ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count(" | ") > 2]
IDS = [f"{k.text} at {entry(k.at)}" for k in KINKS]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


@pytest.mark.parametrize("k", KINKS, ids=IDS)
def test_the_derivative_is_what_the_table_says(k: Kink) -> None:
    for found, wanted in zip(by_tapegrad(k), k.wanted, strict=True):
        np.testing.assert_array_equal(np.asarray(found) + 0.0, np.asarray(wanted))


def test_the_page_has_every_row_in_order() -> None:
    wanted = [[f"`{k.text}`", entry(k.at), entry(k.wanted)] for k in KINKS]
    assert [cells(line)[:3] for line in ROWS] == wanted, "python -m tests.kinks prints the table"


@pytest.mark.parametrize("library", PEERS)
def test_the_page_is_right_about_others(library: str) -> None:
    if importlib.util.find_spec({"PyTorch": "torch"}.get(library, library.lower())) is None:
        pytest.skip(f"{library} is not installed")
    place = 3 + list(PEERS).index(library)
    found = [(cells(line)[0], cells(line)[place]) for line in ROWS]
    assert found == [(f"`{k.text}`", peer(library, k)) for k in KINKS], "python -m tests.kinks prints the table"
