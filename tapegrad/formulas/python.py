"""A tape as a plain function of NumPy, in source form: it runs without tapegrad."""

from __future__ import annotations

import ast
import inspect
import keyword
import textwrap
from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

from tapegrad.drivers.interface import Interface
from tapegrad.errors import SettingError, describe
from tapegrad.formulas import helpers
from tapegrad.formulas.body import Body
from tapegrad.formulas.lines import WIDTH, wrapped
from tapegrad.formulas.names import Names
from tapegrad.formulas.outside import docstring, head, together, unpacking
from tapegrad.tape import Tape

HELPERS: Final = MappingProxyType({k: f for k, f in vars(helpers).items() if inspect.isfunction(f)})


def to_python(tape: Tape, interface: Interface, name: str = "f") -> str:
    """The source of a module with one function, which computes what the tape does.

    Args:
        tape: any tape, with its reverse part or without.
        interface: its outside.
        name: what to call the function.

    Raises:
        UnsupportedError: a function of the user's on the tape, whose source is not known; a key of a dict that cannot
            be written down.
        SettingError: a name that no function can have.
    """
    require_name(name)
    chosen = Names(interface)
    inputs = [n for n, _ in chosen.inputs(interface)]
    body = Body(tape, chosen, inputs, name)
    if inputs:
        body.helpers.add("_argument")
    results = body.write()
    result = together(interface.result, iter(results))
    lines = [
        '@np.errstate(all="ignore")',
        *head(name, chosen, constants=bool(body.given)),
        *docstring(tape, interface, chosen, body.given),
        *(line for text in unpacking(tape, interface, chosen) for line in wrapped(text)),
        *body.lines,
        *returned(result),
    ]
    return module(lines, body.helpers, body.modules, [f"{k} = {v}" for k, v in body.data.items()])


def returned(result: str) -> list[str]:
    """The last statement; a tuple needs no brackets, unless it is long."""
    short = f"    return {result[1:-1]}"
    return [short] if result.startswith("(") and len(short) <= WIDTH else wrapped(f"return {result}")


def require_name(name: str) -> None:
    """Refuse what no function can be called."""
    if (
        not isinstance(name, str)
        or not name.isidentifier()
        or keyword.iskeyword(name)
        or name in {"np", "scipy"}
        or name in HELPERS
    ):
        raise SettingError(describe("to_python", found=f"name={name!r}", wanted="a name for a function"))


def module(lines: Iterable[str], used: Iterable[str], modules: Iterable[str], data: Iterable[str] = ()) -> str:
    """The whole source: imports, helpers, the function, its data."""
    parts = ["\n".join(["import numpy as np", *(f"import {m}" for m in sorted(modules))])]
    parts += [_plain(name) for name in _all(used)]
    parts.append("\n".join(lines))
    behind = [line for text in data for line in ([text] if '"""' in text else wrapped(text, ""))]
    parts += ["\n".join(behind)] if behind else []
    return "\n\n\n".join(parts) + "\n"


def _all(used: Iterable[str]) -> list[str]:
    """Helpers with those that they call, in the order of their file."""
    wanted, waiting = set[str](), list(used)
    while waiting:
        name = waiting.pop()
        if name not in wanted:
            wanted.add(name)
            tree = ast.walk(ast.parse(textwrap.dedent(inspect.getsource(HELPERS[name]))))
            waiting += [n.id for n in tree if isinstance(n, ast.Name) and n.id in HELPERS]
    return [name for name in HELPERS if name in wanted]


def _plain(name: str) -> str:
    """A helper's source without types."""
    tree = ast.parse(inspect.getsource(HELPERS[name]))
    for found in ast.walk(tree):
        if isinstance(found, ast.FunctionDef):
            found.returns = None
        elif isinstance(found, ast.arg):
            found.annotation = None
    return ast.unparse(tree)
