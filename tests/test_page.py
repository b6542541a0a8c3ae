"""The page of an explanation, in a headless Chromium: what it shows at each step, and what is lit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from selenium.webdriver.common.by import By

import tapegrad as tg
from tapegrad.explanation.explain import Explanation
from tapegrad.reading.figures import figure
from tests.page_reader import Reader, recurrence, seven

# --- stepping


def check_forward(reader: Reader, e: Explanation, moment: int) -> None:
    """A step of the forward sweep: values up to it, none after it, no adjoints."""
    value = figure(e.values[moment])
    assert reader.text("sentence").endswith(value)
    for slot in range(len(e)):
        cells = reader.row(slot)
        assert cells["value"] == (figure(e.values[slot]) if slot <= moment else "")
        assert cells["adjoint"] == ""
        assert reader.box(slot) == cells["value"]


def check_reverse(reader: Reader, e: Explanation, steps: int) -> None:
    """The reverse sweep after some of its steps: each adjoint is the sum of what has come so far."""
    adjoints = {e.tape.dependents[0]: e.values[e.seeds[0]]}
    for step in e.steps[:steps]:
        adjoints[step.operand] = e.values[step.total]
    for slot in range(len(e)):
        wanted = figure(adjoints[slot]) if slot in adjoints else ""
        assert reader.row(slot)["adjoint"] == wanted
        assert reader.box(slot).partition("∂ ")[2] == wanted
    if steps:
        step = e.steps[steps - 1]
        partial = e.values[e.partials[step.instruction][step.place]]
        own = e.values[e.adjoints[step.instruction]]
        sentence = reader.text("sentence")
        factors = " × ".join(f"({t})" if t.startswith("-") else t for t in (figure(partial), figure(own)))
        assert f"= {factors} = {figure(e.values[step.added])}" in sentence
        assert sentence.startswith(f"The adjoint of v{step.operand}")
        row = reader.row(len(e) + steps)
        assert row["name"] == f"v{step.operand}"
        assert row["formula"] == f"∂v{step.instruction}/∂v{step.operand} × adjoint v{step.instruction}"
        assert row["partials"] == f"{figure(partial)} × {figure(own)}"
        assert [row["value"], row["adjoint"]] == [figure(e.values[step.added]), figure(e.values[step.total])]
        if step.before >= 0:
            assert f"so far {figure(e.values[step.before])}, grows by" in sentence
            assert sentence.endswith(f"to {figure(e.values[step.total])}")


@pytest.mark.parametrize("by", ["keys", "buttons"])
def test_steps_show_values_then_adjoints(reader: Reader, by: str) -> None:
    e = tg.explain(seven, 2.0, 5.0)
    reader.open(e)
    assert reader.length == 7 + 1 + 8
    for moment in range(reader.length):
        if moment < 7:
            check_forward(reader, e, moment)
        else:
            check_reverse(reader, e, moment - 7)
        if by == "keys":
            reader.press("right")
        else:
            reader.click("forward")
    assert reader.run("return page.state.moment") == reader.length - 1
    assert "∂seven/∂x1 = 5.5" in reader.text("notes")
    for slot in range(7):
        difference = e.differences[slot]
        assert difference is not None
        assert reader.row(slot)["difference"] == figure(difference.value)


def test_words_are_a_sentence(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    assert reader.text("sentence") == "v0 is the argument x1 = 2"
    reader.run("page.go(3)")
    assert reader.text("sentence") == "v3 = v0 × v1 = 2 × 5 = 10"
    assert reader.text("notes") == "Partial derivatives: ∂v3/∂v0 = 5, ∂v3/∂v1 = 2"
    reader.press("end")
    wanted = "The adjoint of v0, so far 5, grows by ∂v2/∂v0 × adjoint of v2 = 0.5 × 1 = 0.5, to 5.5"
    assert reader.text("sentence") == wanted


def test_an_operand_that_is_read_twice_counts_twice(reader: Reader) -> None:
    reader.open(tg.explain(lambda x: x * x, 3.0))
    reader.run("page.go(1)")
    assert reader.text("notes") == "Partial derivatives: ∂v1/∂v0 = 3 + 3"
    assert reader.row(1)["partials"] == "∂v0: 3 + 3"
    reader.press("end")
    wanted = "The adjoint of v0, so far 3, grows by ∂v1/∂v0 (operand 2) × adjoint of v1 = 3 × 1 = 3, to 6"
    assert reader.text("sentence") == wanted


def test_a_result_that_is_there_twice_has_the_sum_of_its_seeds(reader: Reader) -> None:
    def twice(x: Any) -> Any:
        y = np.sin(x)
        return y, y, x

    e = tg.explain(twice, 2.0, seed=(2.0, 3.0, 0.5))
    reader.open(e)
    adjoints = []
    for moment in range(2, reader.length):
        reader.run("page.go(arguments[0])", moment)
        adjoints.append([reader.row(slot)["adjoint"] for slot in range(2)])
    assert adjoints == [["", "5"], ["0.5", "5"], [figure(0.5 + 5 * np.cos(2.0)), "5"]]
    reader.write(0, "1")
    assert reader.row(0)["adjoint"] == figure(0.5 + 5 * np.cos(1.0))
    assert float(reader.row(0)["difference"]) == pytest.approx(0.5 + 5 * np.cos(1.0), rel=1e-4)


def test_what_was_not_selected_adds_nothing(reader: Reader) -> None:
    """A partial of infinity times an adjoint of 0, which a selection made."""
    with np.errstate(all="ignore"):
        e = tg.explain(lambda x: np.where(x > 0, np.sqrt(x), 1.0), 0.0)
    reader.open(e)
    step = next(k for k, s in enumerate(e.steps) if not np.isfinite(e.values[e.partials[s.instruction][s.place]]))
    reader.run("page.go(arguments[0])", reader.length - len(e.steps) + step)
    assert reader.text("sentence").endswith("inf × 0 = 0")
    assert "since that entry was not selected" in reader.text("notes")


def test_an_array_added_in_place_is_said_so(reader: Reader) -> None:
    e = tg.explain(lambda x: x[1] * x[2] + x[3], np.ones(5000))
    reader.open(e)
    for moment in range(reader.length):
        reader.run("page.go(arguments[0])", moment)
    together = next(k for k, s in enumerate(e.steps) if s.added == s.total and s.before >= 0)
    reader.run("page.go(arguments[0])", reader.length - len(e.steps) + together)
    assert "grows by what flows back through item, to" in reader.text("sentence")


def test_going_back_restores_each_step(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    seen = []
    for _ in range(reader.length):
        seen.append(reader.everything())
        reader.press("right")
    assert len(set(seen)) == len(seen)
    for moment in range(reader.length - 1, -1, -1):
        assert reader.everything() == seen[moment]
        reader.click("back") if moment % 2 else reader.press("left")
    reader.press("end")
    assert reader.everything() == seen[-1]
    reader.press("home")
    assert reader.everything() == seen[0]


def test_the_current_instruction_is_lit_everywhere(reader: Reader) -> None:
    e = tg.explain(seven, 2.0, 5.0)
    reader.open(e)
    number = seven.__code__.co_firstlineno + 1
    for moment in range(reader.length):
        reader.run("page.go(arguments[0])", moment)
        step = e.steps[moment - 8] if moment >= 8 else None
        slot = step.instruction if step else min(moment, 6)
        assert reader.run("return document.querySelector('.current').dataset.moment") == str(moment)
        lit = reader.run("return [...document.querySelectorAll('.is-lit[data-slot]')].map((g) => g.dataset.slot)")
        arrows = "return [...document.querySelectorAll('.arrow.is-lit')].map((g) => [g.dataset.from, g.dataset.to])"
        if step:
            assert lit == []
            growing = "return document.querySelector('.is-growing').dataset.slot"
            assert reader.run(growing) == str(step.operand)
            assert reader.run("return document.querySelector('.is-source').dataset.slot") == str(slot)
            assert reader.run(arrows) == [[str(step.operand), str(slot)]]
        elif moment < 7:
            assert lit == [str(slot)]
            assert sorted(reader.run(arrows)) == [[str(s), str(slot)] for s in e.tape.read(slot)]
        source = reader.run("return document.querySelector('#source .lit')?.innerText")
        if e.tape.line(slot) == "?":
            assert source is None
        else:
            assert source.split() == [str(number), *["return", "np.log(x1)", "+", "x1", "*", "x2", "-", "np.sin(x2)"]]


def test_it_plays_and_pauses(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    play = reader.driver.find_element(By.ID, "play")
    assert play.get_attribute("aria-label") == "Play"
    reader.press("space")
    assert play.get_attribute("aria-label") == "Pause"
    reader.driver.set_script_timeout(20)
    reader.driver.execute_async_script(
        """const done = arguments[0];
        const timer = setInterval(() => { if (page.state.moment > 1) { clearInterval(timer); done(); } }, 50)"""
    )
    play.click()
    assert play.get_attribute("aria-label") == "Play"
    here = reader.run("return page.state.moment")
    reader.driver.execute_async_script("setTimeout(arguments[0], 1500)")
    assert reader.run("return page.state.moment") == here


# --- long tapes


def test_a_long_tape_is_windowed_and_folded(reader: Reader) -> None:
    e = tg.explain(recurrence, 0.3, 1.1)
    assert len(e) > 6000
    reader.open(e)
    rows = "return document.querySelectorAll('#listing .rows .row').length"
    assert reader.run(rows) < 60
    assert len(reader.driver.find_elements(By.CSS_SELECTOR, "g[data-slot]")) < 20
    for moment in (len(e) - 1, len(e) // 2, reader.length - 1):
        reader.run("page.go(arguments[0])", moment)
        assert reader.run(rows) < 60
        assert reader.run("return document.querySelector('.current').dataset.moment") == str(moment)
    shown = reader.run("return Number(document.querySelector('#listing').getAttribute('aria-rowcount'))")
    assert shown == reader.length + 2


def test_a_folded_box_shows_the_turn_that_runs(reader: Reader) -> None:
    e = tg.explain(recurrence, 0.3, 1.1)
    reader.open(e)
    for slot in (len(e) - 1, 2 + 4 * 700, 3 + 4 * 700, 4 + 4 * 700, 5 + 4 * 700):
        reader.run("page.go(arguments[0])", slot)
        lit = reader.run(
            """const g = document.querySelector("g.slot.is-lit");
            return [g.querySelector(".note").textContent, g.querySelector(".value").textContent]"""
        )
        assert lit == [f"v{slot}", figure(e.values[slot])]
        partials = sorted(figure(e.values[p]) for p in e.partials[slot] if p >= 0)
        pills = (
            """return [...document.querySelectorAll(".arrow.is-lit .partial:not(.letter)")].map((x) => x.textContent)"""
        )
        assert sorted(reader.run(pills)) == partials
    assert reader.text("turn").startswith("turn ")
    assert reader.text("turn").endswith("of 1,500")
