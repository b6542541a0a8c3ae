"""The documentation: every example runs, every link leads somewhere, every name is there, the site builds."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tapegrad as tg
from tools.site import ROOT, beside, moved

DOCS = ROOT / "docs"
RUN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
PAGES = [*RUN, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "README.md"]
PLAIN = {"", "text", "sh", "toml"}  # what is fenced and does not run
CONFIG = (ROOT / "mkdocs.yml").read_text()
NAV = re.findall(r"^ +- (?:.*: )?([\w./-]+\.md)$", CONFIG.partition("\nnav:")[2], re.MULTILINE)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and text of each fenced block."""
    for found in re.finditer(r"^( *)(```+)[ \t]*(\S*).*?\n(.*?)^\1\2[ \t]*$", text, re.MULTILINE | re.DOTALL):
        yield found[3], found[4]


def prose(text: str) -> str:
    """A page without its code."""
    for _, body in fences(text):
        text = text.replace(body, "")
    return re.sub(r"`[^`\n]*`", "``", text)


def anchors(text: str) -> set[str]:
    """What of a page can be linked to, in the site and where the code is hosted."""
    plain = text
    for _, body in fences(text):
        plain = plain.replace(body, "")
    found = set(re.findall(r"^::: ([\w.]+)", plain, re.MULTILINE))
    for heading in re.findall(r"^#+ (.*)$", plain, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        hosted = re.sub(r"[^\w\s-]", "", words).replace(" ", "-")
        site = unicodedata.normalize("NFKD", words).encode("ascii", "ignore").decode()
        if hosted == re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", site).strip()):
            found.add(hosted)
    return found


@pytest.mark.parametrize("page", RUN, ids=named)
def test_every_example_runs(page: Path) -> None:
    text = page.read_text()
    assert "+SKIP" not in text
    for language, body in fences(text):
        if language == "pycon":
            assert ">>> " in body, f"nothing runs here: {body}"
        else:
            assert language in PLAIN, f"{language}: write it as pycon, with >>>"
            assert ">>> " not in body, f"without a language: {body}"


def test_pages_with_examples_are_collected(pytestconfig: pytest.Config) -> None:
    paths = pytestconfig.getini("testpaths")
    assert {"docs", "README.md", "CONTRIBUTING.md"} <= set(paths)
    assert "--doctest-glob=*.md" in pytestconfig.getini("addopts")


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.is_file(), f"{link}: there is no such file"
        if anchor:
            assert anchor in anchors(target.read_text()), f"{link}: there is no such heading"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=named)
def test_the_site_has_what_a_page_links_to(page: Path) -> None:
    uri, taken = page.relative_to(DOCS).as_posix(), frozenset(beside())
    for link in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", moved(prose(page.read_text()), uri, taken)):
        target = os.path.normpath(Path(uri).parent / link)
        assert target in taken or (DOCS / target).is_file(), f"{link}: add it to tools/site.py"


def test_links_from_pages_beside_docs() -> None:
    taken = frozenset(beside())
    text = "[a](../docs/fits.md#nist) [b](results/compare.md) [c](https://a.b/c.md) [d](../CONTRIBUTING.md)"
    found = moved(text, "benchmarks/README.md", taken)
    assert found == "[a](../fits.md#nist) [b](results/compare.md) [c](https://a.b/c.md) [d](../CONTRIBUTING.md)"
    assert moved("![](../../benchmarks/results/time.svg)", "tutorial/a.md", taken) == (
        "![](../benchmarks/results/time.svg)"
    )


def test_the_navigation_names_every_page_once() -> None:
    there = {p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md")}
    assert len(NAV) == len(set(NAV))
    assert there <= set(NAV), "add to nav in mkdocs.yml"
    assert set(NAV) - there <= set(beside())


def test_chapters_lead_on() -> None:
    chapters = [page for page in NAV if page.startswith("tutorial/")]
    overview = (DOCS / chapters[0]).read_text()
    assert re.findall(r"^\d+\. \[.*\]\((.*)\)", overview, re.MULTILINE) == [Path(c).name for c in chapters[1:]]
    for number, (chapter, following) in enumerate(zip(chapters[1:], [*chapters[2:], None], strict=True), 1):
        text = (DOCS / chapter).read_text()
        assert text.startswith(f"# {number}. ")
        if following:
            assert text.rstrip().splitlines()[-1].endswith(f"]({Path(following).name})")


def resolved(name: str) -> Any:
    """The object of a dotted name."""
    parts = name.split(".")
    for k in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:k]))
        except ModuleNotFoundError:
            continue
        for part in parts[k:]:
            found = getattr(found, part)
        return found
    raise LookupError(name)


def test_the_reference_has_every_public_name() -> None:
    text = "\n".join(p.read_text() for p in sorted((DOCS / "reference").glob("*.md")))
    entries = re.findall(r"^::: ([\w.]+)", text, re.MULTILINE)
    assert len(entries) == len(set(entries))
    there = [resolved(entry) for entry in entries]
    for entry, found in zip(entries, there, strict=True):
        assert found.__doc__, entry
    # `tapegrad.record` is a function, and a folder of that name: mkdocstrings would take the folder.
    shown = {id(found) for found in there}
    for module in (tg, tg.optimizers):
        for name in module.__all__:
            if name not in {"__version__", "optimizers"}:
                assert id(getattr(module, name)) in shown, f"add {name} to docs/reference"
    assert "`tapegrad.__version__`" in text
    overview = (DOCS / "reference" / "index.md").read_text()
    for name in tg.__all__:
        assert f"`{name}`" in overview, f"add {name} to docs/reference/index.md"


@pytest.mark.parametrize("page", RUN, ids=named)
def test_names_of_ours_are_there(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(r"\b(?:tg|tapegrad)(?:\.[A-Za-z_]\w*)+", text):
        if re.search(r"\.(py|md|png|svg|npz)$", name) or "(at " in name:
            continue
        resolved(re.sub(r"^tg\b", "tapegrad", name))


def test_doctests_of_docstrings_are_fenced() -> None:
    pytest.importorskip("griffe")
    from tools.docstrings import fenced

    text = "Add.\n\n>>> def f(x):\n...     return x\n>>> f(1)\n1\n\nAnd more.\n>>> 2\n2"
    assert fenced(text) == (
        "Add.\n\n```pycon\n>>> def f(x):\n...     return x\n>>> f(1)\n1\n```\n\nAnd more.\n```pycon\n>>> 2\n2\n```"
    )


def test_what_is_raised_is_listed() -> None:
    pytest.importorskip("griffe")
    from tools.docstrings import listed

    text = "F.\n\nRaises:\n    ShapeError: a shape; DtypeError, XError: a dtype\n    or more. YError, as ever.\n\nEnd."
    assert listed(text) == (
        "F.\n\nRaises:\n    ShapeError: a shape\n    DtypeError, XError: a dtype or more. YError, as ever.\n\nEnd."
    )


def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    for module in ("mkdocs", "material", "mkdocstrings_handlers"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: pip install 'tapegrad[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert not re.search("warning|error", said, re.IGNORECASE), said
    pages = sorted(tmp_path.rglob("*.html"))
    assert {tmp_path / re.sub(r"(README|index)\.md$|\.md$", _html, page) for page in NAV} <= set(pages)
    for page in pages:
        text = page.read_text()
        outside = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?(?:https?:)?//[^>]*>", text)
        outside += re.findall(r"<link\b[^>]*\bhref=[\"']?(?:https?:)?//[^>]*>", text)
        assert not outside, f"{page.name} fetches from a network: {outside[0]}"
        assert "&gt;&gt;&gt;</p>" not in text
        assert "<p>:::" not in text
    assert "step-through.html" in (tmp_path / "tutorial" / "seven-nodes.html").read_text()
    assert (tmp_path / "tutorial" / "step-through.html").stat().st_size > 10_000


def _html(found: re.Match[str]) -> str:
    return "index.html" if found[1] else ".html"
