"""The page of an explanation, in a headless Chromium: for other inputs than it was made for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import tapegrad as tg
from tapegrad.reading.figures import figure, summary
from tests.helpers import assert_close
from tests.page_reader import Reader, branching, chosen, network, seven

# --- other inputs

EDITS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[int, str], tuple[Any, ...]]] = {
    "numbers": (seven, (2.0, 5.0), {0: "3.25", 1: "-1e-1"}, (3.25, -0.1)),
    "nan": (seven, (2.0, 5.0), {0: "-1"}, (-1.0, 5.0)),
    "infinity": (seven, (2.0, 5.0), {0: "inf"}, (np.inf, 5.0)),
    "the same branch": (branching, (2.0, 3.0), {0: "1.5"}, (1.5, 3.0)),
    "float32": (
        lambda x: np.sum(np.exp(-x * x)),
        (np.array([0.5, 1.0], np.float32),),
        {1: "0.1"},
        (np.array([0.5, 0.1], np.float32),),
    ),
    "the last of an array": (
        lambda x: np.sum(x[1:] * x[:-1]),
        (np.linspace(0.1, 0.7, 4),),
        {3: "-7"},
        (np.array([*np.linspace(0.1, 0.7, 4)[:3], -7.0]),),
    ),
    "whole": (
        chosen,
        (np.array([3.0, 1.0, 2.0]), np.array([True, False, True]), np.int64(1)),
        {6: "2"},
        (np.array([3.0, 1.0, 2.0]), np.array([True, False, True]), np.int64(2)),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_changed_inputs_give_what_explain_gives(reader: Reader, name: str) -> None:
    """All slots: values, partials, contributions, adjoints; and the finite differences."""
    function, args, edits, others = EDITS[name]
    reader.open(tg.explain(function, *args))
    reader.press("end")
    before = reader.everything()
    for place, text in edits.items():
        reader.write(place, text)
    wanted = tg.explain(function, *others)
    single = wanted.full.dtype == np.float32
    assert reader.text("problem") == ""
    for slot, (found, value) in enumerate(zip(reader.values(), wanted.values, strict=True)):
        value = np.ravel(value).astype(np.float64)
        same = (found == value) | (np.isnan(found) & np.isnan(value))
        allowed = np.where(same, 0.0, (1e-5 if single else 1e-12) * (1 + np.abs(value)))
        assert_close(np.where(same, 0.0, found), np.where(same, 0.0, value), allowed, f"slot {slot}")
    for slot, difference in enumerate(wanted.differences):
        found = reader.run(
            "const d = page.state.differences[arguments[0]]; return d && [d.entry, String(d.value)]", slot
        )
        assert (found is None) == (difference is None)
        if difference is not None and np.isfinite(difference.value):
            assert tuple(found[0]) == difference.entry
            assert_close(float(found[1]), difference.value, 1e-5 * (1 + abs(difference.value)), f"difference {slot}")
    reader.driver.find_element(By.CSS_SELECTOR, ".reset").click()
    assert reader.everything() == before


def test_differences_that_are_off_are_marked(reader: Reader) -> None:
    """At a kink, and there alone."""
    reader.open(tg.explain(lambda x: np.abs(x), 2.0))  # noqa: PLW0108
    reader.press("end")
    assert reader.text("remark") == "finite differences agree with all 2 adjoints"
    reader.open(tg.explain(lambda x, y: np.maximum(x, y), 2.0, 2.5))  # noqa: PLW0108
    reader.press("end")
    assert reader.row(0)["difference"] == "0"
    reader.write(1, "2.000001")
    assert reader.text("remark").startswith("finite differences differ (≠) from 2 of 3 adjoints")
    assert reader.row(0)["difference"].startswith("≠ 0.4")


def test_a_flag_can_be_switched(reader: Reader) -> None:
    x = np.array([3.0, 1.0, 2.0])
    reader.open(tg.explain(chosen, x, np.array([True, False, True]), np.int64(1)))
    reader.driver.find_elements(By.CSS_SELECTOR, "#inputs [type=checkbox]")[0].click()
    wanted = tg.explain(chosen, x, np.array([False, False, True]), np.int64(1))
    assert reader.text("result") == f"= {figure(wanted.value)}"


def test_the_slider_moves_a_number(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    slider = reader.driver.find_element(By.CSS_SELECTOR, "#inputs [type=range]")
    slider.send_keys(Keys.ARROW_RIGHT)
    field = reader.driver.find_element(By.CSS_SELECTOR, "#inputs [type=text]")
    x = float(field.get_attribute("value"))
    assert x > 2.0
    assert reader.text("result") == f"= {figure(seven(x, 5.0))}"
    assert reader.run("return page.state.moment") == 0


def test_an_untouched_field_stands_for_the_number_itself(reader: Reader) -> None:
    """It shows six digits."""
    reader.open(tg.explain(seven, 2.0, 1.23456789))
    reader.write(0, "4")
    assert reader.values()[1] == [1.23456789]


@pytest.mark.parametrize("text", ["0.5", "1", "nan"])
def test_another_branch_is_said(reader: Reader, text: str) -> None:
    reader.open(tg.explain(branching, 2.0, 3.0))
    reader.press("end")
    reader.write(0, text)
    line = branching.__code__.co_firstlineno + 1
    assert f"takes another branch: the test at page_reader.py:{line} comes out the other way" in reader.text("problem")
    assert reader.text("sentence") == ""
    assert reader.text("result") == "= –"
    assert not any(c.isdigit() for slot in range(8) for c in reader.row(slot)["value"] + reader.row(slot)["adjoint"])
    reader.write(0, "3")
    assert reader.text("problem") == ""
    assert reader.text("result") == "= 27"


@pytest.mark.parametrize("text", ["", "two", "1e", "0x10", "1,5"])
def test_what_is_no_number_is_said(reader: Reader, text: str) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    reader.write(0, text or Keys.BACKSPACE)
    assert reader.text("problem") == f"“{text}” is not a number for x1."
    assert reader.text("result") == "= –"
    field = reader.driver.find_element(By.CSS_SELECTOR, "#inputs [type=text]")
    assert field.get_attribute("aria-invalid") == "true"


def test_an_index_outside_is_said(reader: Reader) -> None:
    reader.open(tg.explain(chosen, np.array([3.0, 1.0, 2.0]), np.array([True, False, True]), np.int64(1)))
    reader.write(6, "3")
    assert "an index outside its axis" in reader.text("problem")


def test_other_numbers_than_pythons_are_not_shown(reader: Reader) -> None:
    """A browser that computes otherwise is found out before it shows anything."""
    reader.open(tg.explain(seven, 2.0, 5.0))
    reader.run("FUNCTIONS.sin = (x) => Math.sin(x) + 1e-6")
    reader.write(0, "3")
    assert "computes other numbers than Python" in reader.text("problem")


# --- what cannot be changed


def fields(reader: Reader) -> int:
    return len(reader.driver.find_elements(By.CSS_SELECTOR, "#inputs input"))


def test_the_op_that_is_not_known_is_named(reader: Reader) -> None:
    e = tg.explain(lambda x: np.sum(np.linalg.solve(np.outer(x, x) + np.eye(2), x)), np.array([1.0, 2.0]))
    reader.open(e)
    assert fields(reader) == 0
    assert "Inputs cannot be changed here: the page cannot compute lu, lu_solve." in reader.text("inputs")
    assert "[1, 2]" in reader.text("inputs")
    reader.press("end")
    assert reader.run("return page.state.moment") == reader.length - 1


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (({"in": np.ones((60, 40)), "bias": np.zeros(40), "out": np.ones(40)}, np.ones((3, 60))), "more than 1,000"),
        (({"in": np.ones((5, 2)), "bias": np.zeros(2), "out": np.ones(2)}, np.full((3, 5), 2**60)), "beyond 2^53"),
    ],
    ids=["long", "whole"],
)
def test_arrays_that_are_not_computed_with(reader: Reader, args: Any, reason: str) -> None:
    e = tg.explain(network, *args, argnums=0)
    reader.open(e)
    assert fields(reader) == 0
    assert reason in reader.text("inputs")
    reader.press("end")
    labels = e.interface.labels()
    for label, slot in zip(labels, e.tape.inputs.tolist(), strict=True):
        assert f"{label}\n{summary(e.values[slot])}" in reader.text("inputs")


def test_an_array_of_many_entries_has_no_fields(reader: Reader) -> None:
    reader.open(tg.explain(lambda x, y: y * np.sum(x), np.ones(101), 2.0))
    assert "too many to change" in reader.text("inputs")
    reader.write(0, "3")
    assert reader.text("result") == "= 303"
