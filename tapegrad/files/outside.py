"""The outside of a tape - arguments and result - as values that a text can hold, without classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import Argnums, Signature, Static, positions
from tapegrad.drivers.interface import Interface
from tapegrad.files.text import fields, integer, line, listed, truth
from tapegrad.files.wrong import Wrong, require
from tapegrad.ops.accepted import LONGEST
from tapegrad.record.kinds import kind_of
from tapegrad.tape import Tape
from tapegrad.trees import Structure, plain

_FIELDS: Final = ("parameters", "argnums", "arguments", "leaves", "result")
_LEAF: Final = ("shape", "dtype", "differentiated", "c_order")
_FORMS: Final[Mapping[type, str]] = {list: "list", tuple: "tuple", dict: "dict", NoneType: "none"}
_DTYPES: Final = ("float64", "float32", "float16", "bool", *(f"{s}int{n}" for s in ("", "u") for n in (8, 16, 32, 64)))
_STATIC: Final = (bool, int, str)


# --- to a text


def to_values(interface: Interface) -> dict[str, Any]:
    """What is written of an interface."""
    signature, argnums = interface.signature, interface.argnums
    return {
        "parameters": list(interface.parameters),
        "argnums": [int(k) for k in argnums] if isinstance(argnums, Sequence) else int(argnums),
        "arguments": [_structure(plain(s)) for s in signature.structures],
        "leaves": [_leaf(leaf) for leaf in signature.leaves],
        "result": _structure(plain(interface.result)),
    }


def _structure(structure: Structure | None) -> Any:
    if structure is None:
        return None
    children = [_structure(c) for c in structure.children]
    if structure.form is not dict:
        return {_FORMS[structure.form]: children}
    for name in structure.names:
        require(type(name) in (str, int), f"a dict with the key {name!r}; keys that are str or int can be saved")
    return {"dict": [[name, child] for name, child in zip(structure.names, children, strict=True)]}


def _leaf(leaf: Any) -> dict[str, Any]:
    if not isinstance(leaf, Static):
        shape, code, differentiated, ordered = leaf
        return dict(zip(_LEAF, (list(shape), np.dtype(code).name, differentiated, ordered), strict=True))
    if type(leaf.value) not in _STATIC:
        kind = type(leaf.value).__name__
        raise Wrong(f"an argument of type {kind}, which is part of the program; a bool, int or str can be saved")
    return {"static": leaf.value}


# --- from a text


def from_values(values: Any, tape: Tape) -> Interface:
    """The interface, which must be that of the tape."""
    parameters, argnums, arguments, leaves, result = fields(values, _FIELDS, "an outside")
    structures = tuple(_read_structure(s) for s in listed(arguments, "arguments"))
    names = tuple(line(p, "a parameter") for p in listed(parameters, "parameters", len(structures)))
    wanted = _read_argnums(argnums, len(structures))
    found = tuple(_read_leaf(leaf) for leaf in listed(leaves, "leaves", sum(map(_size, structures))))
    interface = Interface(Signature(structures, found, tape.dtype), names, wanted, _read_structure(result))
    _require_inputs(interface, tape)
    require(_size(interface.result) == len(tape.dependents), "a result of more or fewer parts than the tape has")
    return interface


def _size(structure: Structure | None) -> int:
    return 1 if structure is None else structure.size


def _read_structure(value: Any) -> Structure | None:
    if value is None:
        return None
    require(type(value) is dict and len(value) == 1, "a container that is none")
    name, children = next(iter(value.items()))
    form = next((f for f, known in _FORMS.items() if known == name), None)
    require(form is not None and (form is not NoneType or children == []), f"a container of the form {name[:60]!r}")
    assert form is not None
    if form is not dict:
        found = tuple(_read_structure(c) for c in listed(children, "parts of a container"))
        return Structure(form, () if form is NoneType else (len(found),), found)
    pairs = [listed(pair, "parts of a dict", 2) for pair in listed(children, "parts of a dict")]
    keys = tuple(key for key, _ in pairs)
    require(all(type(k) in (str, int) for k in keys) and len(set(keys)) == len(keys), "keys of a dict")
    return Structure(dict, keys, tuple(_read_structure(child) for _, child in pairs))


def _read_argnums(value: Any, count: int) -> Argnums:
    several = type(value) is list
    found = [integer(k, -count, count - 1, "argnums") for k in (value if several else [value])] if count else []
    try:
        positions(found, count)
    except ValueError as error:
        raise Wrong(str(error)) from None
    return tuple(found) if several else (found[0] if found else 0)


def _read_leaf(value: Any) -> Any:
    if type(value) is dict and set(value) == {"static"}:
        require(type(value["static"]) in _STATIC, "an argument that is part of the program, of another type")
        return Static(value["static"])
    shape, name, differentiated, ordered = fields(value, _LEAF, "an argument's array")
    lengths = tuple(integer(n, 0, LONGEST, "a length") for n in listed(shape, "an argument's shape"))
    require(name in _DTYPES, "an argument of another dtype")
    return lengths, np.dtype(name).char, truth(differentiated, "a mark"), truth(ordered, "a mark")


def _require_inputs(interface: Interface, tape: Tape) -> None:
    """The tape's inputs are the arrays among the leaves, and its independents those that are differentiated."""
    arrays = [leaf for leaf in interface.signature.leaves if not isinstance(leaf, Static)]
    require(len(arrays) == len(tape.inputs), "more or fewer arrays among the arguments than the tape has inputs")
    for (shape, code, _, _), slot in zip(arrays, tape.inputs.tolist(), strict=True):
        kind = kind_of(np.dtype(code), "load")
        require((shape, kind) == (tape.type(slot).shape, tape.type(slot).kind), f"another argument than slot {slot} is")
    wanted = [slot for (_, _, wanted, _), slot in zip(arrays, tape.inputs.tolist(), strict=True) if wanted]
    require(wanted == tape.independents.tolist(), "independents that are not what is differentiated by")
    flags = [leaf[2] if not isinstance(leaf, Static) else None for leaf in interface.signature.leaves]
    argnums = interface.argnums if isinstance(interface.argnums, Sequence) else (interface.argnums,)
    count = len(interface.parameters)
    places, start = {k % count for k in argnums} if count else set(), 0
    for k, structure in enumerate(interface.signature.structures):
        own = flags[start : start + _size(structure)]
        require(all(f is True for f in own) if k in places else True not in own, "argnums that are others")
        start += _size(structure)
