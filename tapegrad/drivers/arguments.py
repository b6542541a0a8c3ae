"""Arguments at the edge: what is differentiated, what is data, what is part of the program.

Arrays and floats are inputs of the tape. Everything else - integers, strings, flags, None, objects - is
*static*: part of the program, and a new value of it is recorded anew. All that reaches a kernel is
validated here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from tapegrad.errors import DtypeError, SettingError, UnsupportedError, describe
from tapegrad.ops.row import FLOAT, INT
from tapegrad.record.kinds import kind_of
from tapegrad.record.lines import Lines
from tapegrad.record.refusal import require_plain
from tapegrad.record.variable import Variable
from tapegrad.trees import Structure, flatten, map_leaves, names, unflatten

Argnums: TypeAlias = int | Sequence[int]
_LARGEST: Final = 8  # bytes of an element
_CONSTANTS: Final = frozenset({bool, int, str, bytes})
_FLOAT64, _INT64, _BOOL = np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_)


class Static:
    """A static argument as part of a key: equal by value where it can be hashed, else by identity."""

    __slots__ = ("_hash", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        try:
            self._hash = hash((type(value), value))
        except TypeError:
            self._hash = id(value)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Static) or type(self.value) is not type(other.value):
            return False
        if self.value is other.value:
            return True
        try:
            hash(self.value)
            return bool(self.value == other.value)
        except (TypeError, ValueError):
            return False

    def matches(self, leaf: Any) -> bool:
        """Is a leaf the same in a key? Quick for what most are (`python -m benchmarks calls`)."""
        value = self.value
        if type(leaf) is not type(value):
            return False
        if type(value) in _CONSTANTS:
            return bool(leaf == value)
        if isinstance(leaf, Variable) or flatten(leaf)[1] is not None or _is_input(leaf):
            return False
        other = Static(leaf)
        return other._hash == self._hash and other == self


@dataclass(frozen=True, slots=True)
class Signature:
    """What a recording depends on besides the values of its inputs; equal signatures share recordings.

    `leaves` holds (shape, dtype code, differentiated, in C order) for inputs and `Static` for the rest.
    """

    structures: tuple[Structure | None, ...]
    leaves: tuple[Any, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """Arguments taken apart.

    Attributes:
        signature: the key for recordings.
        inputs: C-contiguous arrays of the tape's dtypes, one an input leaf; `Shape`s where there are no values
            (`tapegrad.drivers.shapes`).
        originals: the leaves that are differentiated, as they were given.
        leaves: all leaves, as they were given.
    """

    signature: Signature
    inputs: list[Any]
    originals: list[Any]
    leaves: tuple[Any, ...] = ()

    def objects(self) -> list[Any]:
        """The static leaves."""
        return [x.value for x in self.signature.leaves if isinstance(x, Static)]

    def labels(self) -> list[str]:
        """A readable name for each input: "args[0]['w']"."""
        found = [n for k, s in enumerate(self.signature.structures) for n in names(s, f"args[{k}]")]
        return [n for n, leaf in zip(found, self.signature.leaves, strict=True) if not isinstance(leaf, Static)]

    def fill(self, make: Callable[[Any, bool, bool], Any]) -> tuple[Any, ...]:
        """The arguments with each input replaced by `make(array, differentiated, in C order)`."""
        inputs = iter(self.inputs)
        leaves = [x.value if isinstance(x, Static) else make(next(inputs), *x[2:]) for x in self.signature.leaves]
        filled, start = [], 0
        for structure in self.signature.structures:
            size = 1 if structure is None else structure.size
            filled.append(unflatten(structure, leaves[start : start + size]))
            start += size
        return tuple(filled)


def positions(argnums: Argnums, count: int) -> tuple[int, ...]:
    """`argnums` as places among `count` arguments; `SettingError` for one that is not there."""
    wanted = (argnums,) if isinstance(argnums, (int, np.integer)) else tuple(argnums)
    for k in wanted:
        if not -count <= k < count:
            raise SettingError(f"argnums: found {k}; wanted a place among {count} positional arguments")
    found = tuple(k % count for k in wanted)
    if len(set(found)) != len(found):
        raise SettingError(f"argnums: found {argnums}, which names an argument twice")
    return found


def user_line() -> str:
    """The innermost line that is not a library's, as "file:line"."""
    lines = Lines()
    return lines.names[lines.current()]


def _is_input(leaf: Any) -> bool:
    if isinstance(leaf, (np.str_, np.bytes_)):
        return False
    return isinstance(leaf, (np.ndarray, np.generic, float)) or hasattr(type(leaf), "__array__")


def prepare(array: Any, dtype: np.dtype[Any]) -> Any:
    """An input as kernels read it: contiguous, aligned, of the tape's dtype for its kind; itself if it is so."""
    wanted = input_dtype(array.dtype, dtype)
    if array.dtype == wanted and array.flags.c_contiguous and array.flags.aligned:
        return array
    if array.dtype.kind == "u" and array.dtype.itemsize == 8 and array.size and array.max() > np.iinfo(np.int64).max:
        raise DtypeError(describe("argument", found="uint64 values beyond int64", wanted="values that fit an int64"))
    return np.array(array, dtype=wanted, order="C")


def input_dtype(given: np.dtype[Any], floating: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that an input has on a tape of this floating dtype."""
    kind = kind_of(given, "argument")
    return floating if kind == FLOAT else _INT64 if kind == INT else _BOOL


def bind(
    args: Sequence[Any], differentiated: Sequence[int], ready: Callable[[Any, np.dtype[Any]], Any] = prepare
) -> Arguments:
    """Take arguments apart.

    Args:
        args: positional arguments, each a nested container of leaves.
        differentiated: places of those whose floating leaves are differentiated by.
        ready: makes an input of an array, for a tape of this floating dtype.

    Raises:
        DtypeError: a parameter that is not floating, or data of a dtype without a place on a tape.
    """
    structures: list[Structure | None] = []
    leaves: list[Any] = []
    raw: list[tuple[Any, bool]] = []
    originals: list[Any] = []
    given: list[Any] = []
    for k, arg in enumerate(args):
        found, structure = ([arg], None) if type(arg) is np.ndarray else flatten(arg)
        structures.append(structure)
        given += found
        wanted = k in differentiated
        for place, leaf in enumerate(found):
            if isinstance(leaf, Variable):
                raise UnsupportedError(
                    describe(
                        "a derivative inside a recorded function",
                        found=f"argument {names(structure, f'args[{k}]')[place]} that is a Variable",
                        wanted="values; derivatives of derivatives are not supported yet",
                        line=user_line(),
                    )
                )
            if type(leaf) is not np.ndarray and isinstance(leaf, np.ndarray):
                require_plain(leaf, names(structure, f"args[{k}]")[place], user_line())
            if wanted:
                if not is_parameter(leaf):
                    raise _wrong_parameter(leaf, names(structure, f"args[{k}]")[place])
                originals.append(leaf)
            if wanted or _is_input(leaf):
                array = np.asarray(leaf)
                if array.dtype.kind not in "fiub" or array.dtype.itemsize > _LARGEST:
                    kind_of(array.dtype, names(structure, f"args[{k}]")[place], user_line())
                raw.append((array, type(leaf) is float))
                leaves.append((array.shape, array.dtype.char, wanted, array.flags.c_contiguous))
            else:
                leaves.append(Static(leaf))
    dtype = _floating(raw)
    inputs = [ready(array, dtype) for array, _ in raw]
    return Arguments(Signature(tuple(structures), tuple(leaves), dtype), inputs, originals, tuple(given))


def is_parameter(leaf: Any) -> bool:
    """Can it be differentiated by?"""
    if isinstance(leaf, float):
        return True
    return isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind == "f" and leaf.dtype.itemsize in (4, 8)


def _wrong_parameter(leaf: Any, name: str) -> DtypeError:
    wanted = "float64 or float32 parameters"
    if isinstance(leaf, (np.ndarray, np.generic)):
        found = f"{name}, an array of dtype {leaf.dtype}"
        wanted += "; complex arrays are not supported yet" if leaf.dtype.kind == "c" else ""
    elif hasattr(type(leaf), "__array__"):
        found, wanted = f"{name}, a {type(leaf).__name__}", f"{wanted}: numpy.asarray(x)"
    else:
        found = f"{name} = {leaf!r} of type {type(leaf).__name__}"
    return DtypeError(describe("differentiate", found=found, wanted=wanted, line=user_line()))


def _floating(raw: Sequence[tuple[Any, bool]]) -> np.dtype[Any]:
    """The tape's dtype: NumPy's promotion of all floating inputs; Python floats give way to arrays."""
    dtypes = {array.dtype for array, weak in raw if not weak and array.dtype.kind == "f"}
    if not dtypes:
        return _FLOAT64
    found = np.result_type(*dtypes)
    return found if found.itemsize in (4, 8) else np.dtype(np.float32)


def settled(data: Any) -> Any:
    """Data whose arrays are as sweeps read them, so that they are not converted anew at each of many."""

    def leaf(x: Any) -> Any:
        if type(x) is not np.ndarray or x.dtype.kind not in "fiub" or x.dtype == np.uint64:
            return x
        return np.ascontiguousarray(x, _INT64 if x.dtype.kind in "iu" else x.dtype)

    return map_leaves(leaf, data)
