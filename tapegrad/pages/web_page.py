"""One HTML file from its parts: markup, style, scripts and data; it asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources
from typing import Any, Final

import numpy as np

from tapegrad.pages.javascript import elementwise

EVALUATOR: Final = ("functions.js", "places.js", "evaluate.js", "codec.js")
_SCRIPTS: Final = (
    "numbers.js", "tape.js", "run.js", "timeline.js", "words.js", "dom.js", "listing.js", "source.js", "turns.js",
    "drawing.js", "inputs.js", "page.js",
)  # fmt: skip


def part(name: str) -> str:
    """One of the files that pages are made of."""
    return (resources.files("tapegrad.pages") / "assets" / name).read_text(encoding="utf-8")


def evaluator() -> str:
    """The script that computes values of instructions."""
    return "\n".join(['"use strict";', f"const ELEMENTWISE = {elementwise()};", *[part(name) for name in EVALUATOR]])


def web_page(data: Any, picture: str) -> str:
    """The whole file.

    A content security policy lets the one script run and nothing else, nor anything be loaded.

    Args:
        data: what `page.js` reads (`tapegrad.pages.data`).
        picture: SVG.
    """
    script = "\n".join([evaluator(), *[part(name) for name in _SCRIPTS]])
    parts = {
        "digest": digest(script),
        "style": part("page.css"),
        "picture": picture,
        "data": embedded(data),
        "script": script,
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], part("page.html"))


def packed(numbers: Any, dtype: type[Any] = np.float64) -> str:
    """Numbers as base64 of their bytes, for `doubles` (float64) or `integers` (int32) of codec.js."""
    little = np.asarray(numbers).astype(np.dtype(dtype).newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode("ascii")


def embedded(data: Any) -> str:
    """Data as JSON that stands in a script element: nothing in it ends the element, or a line of a script."""
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def digest(script: str) -> str:
    """What a content security policy calls a script that may run."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii") + "'"
