"""What goes into a tape and what comes out: the outside of a function, without the function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tapegrad.drivers.arguments import Argnums, Arguments, Signature, Static, user_line
from tapegrad.errors import DtypeError, ShapeError, describe
from tapegrad.record.kinds import RANK, kind_of
from tapegrad.record.refusal import require_plain
from tapegrad.tape import Tape
from tapegrad.trees import Structure, flatten, names, plain, unflatten


@dataclass(frozen=True, slots=True, eq=False)
class Interface:
    """The outside of a tape.

    Attributes:
        signature: structures and leaves of the arguments, with their shapes, and the static ones with their values.
        parameters: a name for each argument.
        argnums: what is differentiated by, as it was given: a place among the arguments, or several.
        result: structure of the result, whose leaves are the tape's dependents.
    """

    signature: Signature
    parameters: tuple[str, ...]
    argnums: Argnums
    result: Structure | None

    @classmethod
    def of(
        cls, function: Callable[..., Any], arguments: Arguments, argnums: Argnums, result: Structure | None
    ) -> Interface:
        """The outside of a function called with these arguments."""
        signature = arguments.signature
        return cls(signature, _parameters(function, len(signature.structures)), argnums, result)

    def labels(self) -> list[str]:
        """A readable name for each input of the tape: "params['w']"."""
        found = [
            name
            for structure, root in zip(self.signature.structures, self.parameters, strict=True)
            for name in names(structure, root)
        ]
        return [n for n, leaf in zip(found, self.signature.leaves, strict=True) if not isinstance(leaf, Static)]

    def with_gradient(self) -> Interface:
        """The outside of value and gradient: the result is a pair."""
        trees = [unflatten(s, [0.0] * _size(s)) for s in self.signature.structures]
        found = tuple(trees[k] for k in self._places())
        pair = flatten((0.0, found if isinstance(self.argnums, Sequence) else found[0]))[1]
        return replace(self, result=pair)

    def gradients(self) -> list[int]:
        """For each leaf of the gradient, its place among the tape's independents, which are in order of the inputs."""
        places, first, start = self._places(), {}, 0
        for k in sorted(places):
            first[k] = start
            start += _size(self.signature.structures[k])
        return [first[k] + j for k in places for j in range(_size(self.signature.structures[k]))]

    def inputs_of(self, places: Sequence[int]) -> list[int]:
        """The inputs of the tape that are leaves of these arguments, in order.

        Raises:
            DtypeError: a leaf that is no input but a part of the program.
        """
        found, place, leaves = [], 0, iter(self.signature.leaves)
        for k, (structure, root) in enumerate(zip(self.signature.structures, self.parameters, strict=True)):
            for name in names(structure, root):
                leaf = next(leaves)
                if isinstance(leaf, Static):
                    if k in places:
                        raise self._error(DtypeError, f"{name} = {leaf.value!r}", "an argument of floats and arrays")
                    continue
                if k in places:
                    found.append(place)
                place += 1
        return found

    def _places(self) -> list[int]:
        """The arguments to differentiate by, counted from the first."""
        wanted = self.argnums if isinstance(self.argnums, Sequence) else (self.argnums,)
        return [int(k) % len(self.parameters) for k in wanted]

    def inputs(self, args: Sequence[Any], tape: Tape) -> list[Any]:
        """Arguments as the tape's inputs: C-contiguous arrays of its dtypes.

        Raises:
            ShapeError: another number of arguments, another structure or shape than was recorded.
            DtypeError: a dtype that does not fit, or a static argument of another value.
        """
        if len(args) != len(self.parameters):
            wanted = f"{len(self.parameters)}: {', '.join(self.parameters)}"
            raise self._error(ShapeError, f"{len(args)} arguments", wanted)
        entries, slots, inputs = iter(self.signature.leaves), iter(tape.inputs.tolist()), []
        for structure, root, arg in zip(self.signature.structures, self.parameters, args, strict=True):
            leaves, found = flatten(arg)
            if found != structure and plain(found) != structure:
                raise self._error(ShapeError, f"{root} nested in another way", "the containers it was recorded with")
            for name, leaf in zip(names(structure, root), leaves, strict=True):
                entry = next(entries)
                if not isinstance(entry, Static):
                    inputs.append(self._input(name, leaf, tape, next(slots)))
                elif not entry.matches(leaf):
                    raise self._error(DtypeError, f"{name} = {leaf!r}", f"{entry.value!r}, as it was recorded")
        return inputs

    def _input(self, name: str, leaf: Any, tape: Tape, slot: int) -> Any:
        """One input, of the slot's shape and dtype."""
        require_plain(leaf, name, user_line())
        wanted, array = tape.type(slot), np.asarray(leaf)
        dtype = wanted.dtype(tape.dtype)
        if RANK[kind_of(array.dtype, name, user_line())] > RANK[wanted.kind]:
            raise self._error(DtypeError, f"{name} of dtype {array.dtype}", str(dtype))
        if array.shape != wanted.shape:
            raise self._error(ShapeError, f"{name} of shape {array.shape}", f"shape {wanted.shape}, as it was recorded")
        return np.array(array, dtype, order="C", copy=None)

    @staticmethod
    def _error(kind: type[Exception], found: str, wanted: str) -> Exception:
        return kind(describe("a tape", found=found, wanted=wanted, line=user_line()))


def _parameters(function: Callable[..., Any], count: int) -> tuple[str, ...]:
    """The names of a function's first positional parameters."""
    try:
        found = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        found = []
    positional = [p.name for p in found if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    rest = next((p.name for p in found if p.kind is p.VAR_POSITIONAL), "args")
    missing = [f"{rest}[{k}]" for k in range(max(0, count - len(positional)))]
    return (*positional[:count], *missing)


def _size(structure: Structure | None) -> int:
    """Number of leaves."""
    return 1 if structure is None else structure.size
