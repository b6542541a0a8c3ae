"""The page of an explanation, in a headless Chromium: who can read it, where, and what it never does."""

from __future__ import annotations

import html
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import tapegrad as tg
from tapegrad.pages import file as page_file
from tapegrad.reading.figures import figure, summary
from tests import browser
from tests.browser import complaints, started
from tests.page_reader import Reader, network, seven

# --- who reads it, and what is in it


def test_nothing_can_be_loaded_or_run(reader: Reader) -> None:
    """The policy refuses images, requests and scripts other than the page's."""
    reader.open(tg.explain(seven, 2.0, 5.0))
    refused = reader.driver.execute_async_script(
        """const done = arguments[0], met = [];
        document.addEventListener("securitypolicyviolation", (e) => {
          met.push(e.effectiveDirective); if (met.length === 3) done(met.sort()); });
        const script = document.createElement("script"); script.textContent = "window.ran = true";
        document.body.append(script, Object.assign(document.createElement("img"), { src: "https://a.invalid/x.png" }));
        fetch("https://a.invalid/").catch(() => 0);"""
    )
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert reader.run("return window.ran") is None
    assert len(complaints(reader.driver)) >= 3
    reader.driver.get("about:blank")


HOSTILE = '</script><img src=x onerror="window.hacked=1">\u2028{{script}}<!--'


def test_hostile_names_stay_text(reader: Reader, tmp_path: Path) -> None:
    module = tmp_path / "hostile.py"
    text = (
        "import numpy as np\ndef f(p):\n    return np.sum(p[NAME])  # </script><script>window.hacked=2</script><!--\n"
    )
    module.write_text(f"NAME = {HOSTILE!r}\n{text}", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("hostile", module)
    assert spec is not None
    assert spec.loader is not None
    hostile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hostile)
    hostile.f.__name__ = "<script>window.hacked=3</script>"
    reader.open(tg.explain(hostile.f, {HOSTILE: np.array([1.0, 2.0])}))
    for moment in range(reader.length):
        reader.run("page.go(arguments[0])", moment)
    assert reader.run("return window.hacked") is None
    assert reader.run("return document.querySelectorAll('img').length") == 0
    assert reader.run("return document.scripts.length") == 2
    assert reader.run("return document.querySelector('#inputs .label').textContent") == f"p[{HOSTILE!r}]"
    assert "# </script><script>window.hacked=2</script><!--" in reader.text("source")
    assert "<script>window.hacked=3</script>(" in reader.text("title")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (768, 1024)])
def test_nothing_sticks_out_of_the_window(reader: Reader, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    reader.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        weights = {"in": np.ones((3, 4)), "bias": np.zeros(4), "out": np.ones(4)}
        for e in (tg.explain(seven, 2.0, 5.0), tg.explain(network, weights, np.ones((2, 3)))):
            reader.open(e)
            reader.press("end")
            assert reader.run("return document.documentElement.scrollWidth") <= width
            if width > 900:
                assert reader.run("return document.documentElement.scrollHeight") <= height
    finally:
        reader.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_it_can_be_read_without_eyes(reader: Reader) -> None:
    """Buttons and fields have names, the sentence is read out, the slider says where it is."""
    reader.open(tg.explain(seven, 2.0, 5.0))
    nameless = """return [...document.querySelectorAll("button, input, [role=table], section")].filter((x) =>
        !x.getAttribute("aria-label") && !x.textContent.trim()).length"""
    assert reader.run(nameless) == 0
    assert reader.run("return document.getElementById('sentence').ariaLive") == "polite"
    assert reader.run("return document.getElementById('problem').role") == "alert"
    reader.press("end")
    slider = reader.driver.find_element(By.ID, "moment")
    assert slider.get_attribute("aria-valuetext") == "reverse sweep, step 16 of 16"
    assert reader.run("return document.querySelectorAll('[aria-current=step]').length") == 1


def test_keys_in_a_field_do_not_step(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    field = reader.driver.find_element(By.CSS_SELECTOR, "#inputs [type=text]")
    field.send_keys(Keys.ARROW_RIGHT, Keys.HOME, Keys.END, Keys.SPACE)
    assert reader.run("return [page.state.moment, page.player]") == [0, None]


def test_a_click_goes_there(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    reader.driver.find_element(By.CSS_SELECTOR, "#listing [data-moment='9']").click()
    assert reader.run("return page.state.moment") == 9
    reader.driver.find_element(By.CSS_SELECTOR, "g[data-slot='3'] .title").click()
    assert reader.run("return page.state.moment") == 3


def test_numbers_are_written_as_in_python(reader: Reader) -> None:
    reader.open(tg.explain(seven, 2.0, 5.0))
    rng = np.random.default_rng(0)
    numbers = [
        0.0,
        -0.0,
        1.0,
        0.1 + 0.2,
        1e5,
        123456.7,
        1234567.0,
        1e-4,
        9.9e-5,
        1e300,
        -5e-324,
        np.nan,
        np.inf,
        -np.inf,
    ]
    numbers += (rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200)).tolist()
    texts = reader.run("return arguments[0].map((x) => figure(Number(x)))", [_for_javascript(x) for x in numbers])
    assert texts == [figure(x) for x in numbers]
    arrays = [
        np.zeros((2, 0)),
        np.ones(9),
        np.array([1.0, np.nan]),
        np.full(9, np.nan),
        np.array([np.inf, *np.ones(9)]),
    ]
    arrays += [rng.normal(size=n) for n in ((3,), (2, 2), (8,), (4, 5), (100,))] + [np.array([0.1, 1.0, np.nan] * 5)]
    arrays += [np.array([1.0] * 9 + [1.0 + 1e-9]), np.array([-0.0] * 9), np.array([-0.0] * 9 + [1.0])]
    arrays += [np.array([1.0] * 9 + [1.0 + 1e-9, np.inf])]
    for array in arrays:
        data = [_for_javascript(x) for x in array.ravel().tolist()]
        script = "return summary({ shape: arguments[0], kind: 'f', data: Float64Array.from(arguments[1], Number) })"
        assert reader.run(script, list(array.shape), data) == summary(array)
    for whole in (np.array([True, False] * 9), np.array([True]), np.arange(4), np.arange(30)):
        kind = {"b": "b", "i": "i"}[whole.dtype.kind]
        script = "return summary({ shape: arguments[0], kind: arguments[1], data: Float64Array.from(arguments[2]) })"
        assert reader.run(script, list(whole.shape), kind, whole.astype(float).tolist()) == summary(whole)


def _for_javascript(x: float) -> str:
    return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(repr(x), repr(x))


# --- files and notebooks


def test_in_a_notebook(reader: Reader, tmp_path: Path) -> None:
    """A frame that may run its own script and nothing else."""
    text = tg.explain(seven, 2.0, 5.0)._repr_html_()
    assert 'sandbox="allow-scripts"' in text
    book = tmp_path / "book.html"
    book.write_text(f"<!doctype html><meta charset=utf-8><title>book</title>{text}", encoding="utf-8")
    reader.visit(book)
    reader.driver.switch_to.frame(0)
    try:
        assert reader.text("title") == "seven(x1, x2)"
        reader.click("last")
        assert reader.text("sentence").endswith("to 5.5")
    finally:
        reader.driver.switch_to.default_content()


def test_a_page_that_is_too_long_for_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    e = tg.explain(seven, 2.0, 5.0)
    monkeypatch.setattr(page_file, "_NOTEBOOK", 1000)
    assert e._repr_html_() == f"<pre>{html.escape(str(e))}</pre>"


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    e = tg.explain(seven, 2.0, 5.0)
    target = tmp_path / "tape.html"
    e.save(str(target))
    text = target.read_text(encoding="utf-8")
    assert text == page_file.page(e)
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        tg.explain(seven, 3.0, 5.0).save(target)
    assert target.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [target]
    with pytest.raises(FileNotFoundError):
        e.save(tmp_path / "nowhere" / "tape.html")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_without_a_browser(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Skipped, with the packages' names; where the environment says CI, failed."""
    monkeypatch.setattr(browser, "CHROMIUM", tmp_path / "chromium")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium-driver"):
        started(tmp_path)
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="chromium-driver"):
        started(tmp_path)
