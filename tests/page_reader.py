"""Functions whose pages are looked at, and someone who looks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tapegrad.explanation.explain import Explanation
from tests.browser import complaints, started

KEYS = {"right": Keys.ARROW_RIGHT, "left": Keys.ARROW_LEFT, "home": Keys.HOME, "end": Keys.END, "space": Keys.SPACE}


def seven(x1: Any, x2: Any) -> Any:
    return np.log(x1) + x1 * x2 - np.sin(x2)


def network(w: Any, x: Any) -> Any:
    return np.mean((np.tanh(x @ w["in"] + w["bias"]) @ w["out"] - 1.0) ** 2)


def branching(x: Any, y: Any) -> Any:
    if x > 1.0:
        return x * x * y
    return -x * y


def chosen(x: Any, flags: Any, place: Any) -> Any:
    return np.sum(np.where(flags, np.sort(x), x * x)) + np.cumsum(x)[place]


def recurrence(x: Any, y: Any) -> Any:
    for _ in range(1500):
        x = np.sin(x) * y + 0.999 * x
    return x


class Reader:
    """Someone who reads a page."""

    def __init__(self, driver: Any, folder: Path) -> None:
        self.driver, self.folder, self.count = driver, folder, 0

    def open(self, explanation: Explanation) -> None:
        """Save an explanation and look at the file."""
        self.count += 1
        path = self.folder / f"tape{self.count}.html"
        explanation.save(path)
        self.visit(path)

    def visit(self, path: Path) -> None:
        complaints(self.driver)
        self.driver.get_log("performance")
        self.driver.get(path.as_uri())

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def press(self, name: str) -> None:
        ActionChains(self.driver).send_keys(KEYS[name]).perform()

    def click(self, name: str) -> None:
        self.driver.find_element(By.ID, name).click()

    def text(self, name: str) -> str:
        found: str = self.driver.find_element(By.ID, name).text
        return found

    def row(self, moment: int) -> dict[str, str]:
        """The cells of a row of the listing, by their names."""
        script = """const cells = {}; const row = document.querySelector(`#listing [data-moment="${arguments[0]}"]`);
            for (const cell of row.children) cells[cell.className] = cell.textContent; return cells"""
        found: dict[str, str] = self.run(script, moment)
        return found

    def box(self, slot: int) -> str:
        """What the picture shows in a box: value and adjoint."""
        found: str = self.run(
            "return document.querySelector(`g[data-slot='${arguments[0]}'] .value`).textContent", slot
        )
        return found

    def values(self) -> list[Any]:
        """The page's numbers, one array a slot."""
        texts = self.run("return page.state.values.map((x) => Array.from(x.data, String))")
        return [np.array([float(t) for t in text]) for text in texts]

    def everything(self) -> str:
        """All that can be read, and what is lit."""
        found: str = self.run(
            """return document.body.innerText + [...document.querySelectorAll(".current, .lit, .is-lit, .is-growing")]
            .map((x) => x.textContent + x.className?.baseVal).join("|")"""
        )
        return found

    def write(self, place: int, text: str) -> None:
        """Type into a field of the inputs."""
        field = self.driver.find_elements(By.CSS_SELECTOR, "#inputs input:not([type=range])")[place]
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(text)

    @property
    def length(self) -> int:
        found: int = self.run("return page.state.timeline.length")
        return found

    @classmethod
    def hired(cls, folder: Path) -> Iterator[Reader]:
        """One with a browser of their own, as long as wanted."""
        driver = started(folder / "profile")
        yield cls(driver, folder)
        driver.quit()


def require_quiet(reader: Reader) -> None:
    """Nothing was said on the console, and nothing asked of the network."""
    assert complaints(reader.driver) == []
    assert reader.run("return performance.getEntriesByType('resource').map((x) => x.name)") == []
