"""What mkdocs is told of this repository: a hook of `mkdocs.yml`.

Pages of `docs/` link to one another and to files beside `docs/` by relative paths, so that they can be read where the
code is hosted. The site takes such files along, and moves the links: what is `docs/fits.md` in the repository is
`fits.md` in the site, all else keeps its path.
"""

from __future__ import annotations

import posixpath
import re
import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
BESIDE: Final = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "benchmarks/README.md",
    "benchmarks/results/*",
    "benchmarks/fits/results/*",
)
PAGE: Final = "step-through.html"  # made for the site; on other pages a comment stands where the link to it will be
_LINK: Final = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")
_FLAG: Final = re.compile(r" *# doctest: *\+.*$", re.MULTILINE)


def beside() -> list[str]:
    """Files outside `docs/` that the site takes along: their paths in the repository."""
    return sorted(p.relative_to(ROOT).as_posix() for pattern in BESIDE for p in ROOT.glob(pattern))


def source(uri: str) -> str:
    """The path in the repository of a file of the site."""
    return uri if uri in beside() else f"docs/{uri}"


def moved(markdown: str, uri: str, taken: frozenset[str]) -> str:
    """A page's text, with links that hold in the site.

    Args:
        markdown: the text.
        uri: the page's path in the site.
        taken: the files that are taken along.
    """
    own = source(uri)

    def link(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(own), match[1]))
        if target in taken:
            there = target
        elif own in taken and target.startswith("docs/"):
            there = target.removeprefix("docs/")
        else:
            return match[1]
        return posixpath.relpath(there, posixpath.dirname(uri) or ".")

    return _LINK.sub(link, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Take files from beside `docs/` along."""
    from mkdocs.structure.files import File

    for uri in beside():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    files.append(File.generated(config, f"tutorial/{PAGE}", content=_page()))
    return files


def _page() -> str:
    """The page of the tutorial's example, on which one steps through the sweeps."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / PAGE
        runpy.run_path(str(ROOT / "tools" / "pictures.py"))["page"](path)
        return path.read_text()


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001 - mkdocs calls it so
    """A page without what only doctest wants to see, its links moved."""
    markdown = markdown.replace(f"<!-- {PAGE} -->", f"[Here it is.]({PAGE})")
    plain = _FLAG.sub("", markdown).replace("\n<BLANKLINE>\n", "\n\n")
    return moved(plain, page.file.src_uri, frozenset(beside()))
