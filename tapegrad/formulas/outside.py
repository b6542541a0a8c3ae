"""The outside of a formula: its head, what it expects, how arguments are taken apart and results put together."""

from __future__ import annotations

import keyword
from collections.abc import Iterator, Sequence
from typing import Any

from tapegrad.drivers.arguments import Static
from tapegrad.drivers.interface import Interface
from tapegrad.errors import UnsupportedError, describe
from tapegrad.formulas.lines import WIDTH, wrapped
from tapegrad.formulas.names import Names, literal
from tapegrad.tape import Tape
from tapegrad.trees import Structure, names


def head(name: str, chosen: Names, *, constants: bool) -> list[str]:
    """The line that begins the function."""
    parameters = [*chosen.parameters, *([f"*{chosen.rest}"] if chosen.rest else [])]
    if constants:
        parameters += ["constants"] if chosen.rest else ["*", "constants"]
    return wrapped(f"def {name}({', '.join(parameters)}):", "")


def docstring(tape: Tape, interface: Interface, chosen: Names, constants: Sequence[int]) -> list[str]:
    """What the formula takes and gives; `constants` are places among the tape's that it is given."""
    inputs = iter(tape.inputs.tolist())
    taken = []
    for path, leaf in zip(chosen.paths, interface.signature.leaves, strict=True):
        if isinstance(leaf, Static):
            taken.append(f"{path}: {_static(leaf.value)}")
        else:
            taken.append(f"{path}: {_type(tape, next(inputs))}")
    taken += [f"constants[{k}]: {c.dtype}, shape {c.shape}" for k, c in ((k, tape.constants[k]) for k in constants)]
    given = [
        f"{path}: {_type(tape, slot)}" if path else _type(tape, slot)
        for path, slot in zip(names(interface.result), tape.dependents.tolist(), strict=True)
    ]
    what = "Value and gradient" if tape.reverse < len(tape) else "A function"
    lines = [f'"""{what}, as a tape computes it.', ""]
    lines += ["Args:", *(f"    {t}" for t in taken), ""] if taken else []
    lines += ["Returns:", *(f"    {t}" for t in given), '"""']
    return [f"    {_escaped(x, k)}".rstrip() for k, x in enumerate(lines)]


def _escaped(text: str, place: int) -> str:
    return (
        text.replace("\\", "\\\\")
        if text.endswith('"""') or not place
        else text.replace("\\", "\\\\").replace('"', "'")
    )


def _type(tape: Tape, slot: int) -> str:
    found = tape.type(slot)
    return f"{found.dtype(tape.dtype)}, {f'shape {found.shape}' if found.shape else 'a number'}"


def _static(value: Any) -> str:
    return f"{value!r}, and nothing else" if literal(value) else f"a {type(value).__name__}, which is not looked at"


def unpacking(tape: Tape, interface: Interface, chosen: Names) -> Iterator[str]:
    """Statements that take the arguments apart, or refuse those that the formula is not for."""
    tests = [f"len({chosen.rest}) != {len(chosen.roots) - len(chosen.parameters)}"] if chosen.rest else []
    for structure, root in zip(interface.signature.structures, chosen.roots, strict=True):
        tests += _containers(structure, root)
    for path, leaf in zip(chosen.paths, interface.signature.leaves, strict=True):
        if isinstance(leaf, Static) and literal(leaf.value):
            tests.append(f"{path} != {leaf.value!r}")
    if tests:
        text = f"if {' or '.join(tests)}:"
        yield text if len(text) < WIDTH else f"if ({' or '.join(tests)}):"
        yield "    raise ValueError('found other containers or settings than those that the formula is for')"
    dtypes = {"f": f", np.{tape.dtype.name}" if tape.dtype.itemsize == 4 else "", "i": ", np.int64", "b": ", np.bool_"}
    for (name, path), slot in zip(chosen.inputs(interface), tape.inputs.tolist(), strict=True):
        found = tape.type(slot)
        yield f"{name} = _argument({path}, {found.shape}{dtypes[found.kind]})"


def _containers(structure: Structure | None, path: str) -> Iterator[str]:
    """Tests that are true for a container of another form; those within come after it."""
    if structure is None:
        return
    form = structure.form
    if form is type(None):
        yield f"{path} is not None"
    elif issubclass(form, (dict, list, tuple)) and not hasattr(form, "_fields"):
        yield f"len({path}) != {len(structure.children)}"
    for child, step in zip(structure.children, _steps(structure), strict=True):
        yield from _containers(child, path + step)


def _steps(structure: Structure) -> list[str]:
    """How each child is reached."""
    if issubclass(structure.form, dict):
        for key in structure.names:
            require_literal(key)
    elif not all(
        isinstance(n, int) or (str(n).isidentifier() and not keyword.iskeyword(n)) for n in _fields(structure)
    ):
        found = f"a {structure.form.__name__} with the fields {_fields(structure)}"
        raise UnsupportedError(describe("to_python", found=found, wanted="fields that have names"))
    alone = Structure(structure.form, structure.names, (None,) * len(structure.children))
    return names(alone)


def _fields(structure: Structure) -> tuple[Any, ...]:
    """Names of a namedtuple's or a dataclass' fields."""
    found: tuple[Any, ...] = getattr(structure.form, "_fields", structure.names)
    return found


def require_literal(key: Any) -> None:
    """Refuse a key of a dict that cannot be written down."""
    if not literal(key):
        found = f"a dict with the key {key!r} of type {type(key).__name__}"
        raise UnsupportedError(describe("to_python", found=found, wanted="strings or numbers for keys"))


def together(structure: Structure | None, leaves: Iterator[str]) -> str:
    """The result: a namedtuple becomes a tuple, a dataclass a dict."""
    if structure is None:
        return next(leaves)
    form, inner = structure.form, [together(c, leaves) for c in structure.children]
    if form is type(None):
        return "None"
    if issubclass(form, tuple):
        return f"({', '.join(inner)}{',' if len(inner) == 1 else ''})"
    if issubclass(form, list):
        return f"[{', '.join(inner)}]"
    for key in structure.names:
        require_literal(key)
    return f"{{{', '.join(f'{n!r}: {x}' for n, x in zip(structure.names, inner, strict=True))}}}"
