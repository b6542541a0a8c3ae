"""The short way of a call that is like an earlier one: its arguments have the same form, leaf by leaf.

Taking arguments apart and looking their signature up costs 20 to 50 microseconds. Here they are only compared
with what they were (`python -m benchmarks calls`). Whatever differs in the least takes the long way,
`bind` and `Recorded.run`, which decides alone what is equal, what is allowed and what is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import Arguments, Signature, Static, prepare
from tapegrad.drivers.kept import Recording
from tapegrad.sweep.layout import FIRST_INPUT
from tapegrad.sweep.objects import CHECK, NUMBER, SKIP, TAKE, Row
from tapegrad.sweep.run import Filling
from tapegrad.trees import Structure, collect, rebuild

# Scalars that are converted: their types say all about them.
_SCALARS: Final = frozenset({float, *(np.dtype(code).type for code in "?bBhHiIlLqQefd")})


@dataclass(frozen=True, slots=True, eq=False)
class Converted:
    """A leaf that is no input as it is: of another dtype, not contiguous, a number that has no address."""

    place: int
    type: Any
    dtype: np.dtype[Any] | None
    shape: tuple[int, ...]
    ordered: bool
    wanted: np.dtype[Any]

    def of(self, leaf: Any) -> Any:
        """The leaf as an input; None if it is of another type, dtype, shape or order in memory."""
        if type(leaf) is not self.type:
            return None
        if self.dtype is not None and (leaf.dtype != self.dtype or leaf.shape != self.shape):
            return None
        if self.dtype is not None and leaf.flags.c_contiguous != self.ordered:
            return None
        return prepare(np.asarray(leaf), self.wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """What arguments are like: arguments of one form have one signature.

    Attributes:
        signature: theirs.
        flat: whether no argument is a container.
        statics: the static leaves, by place.
        converted: leaves that are converted first.
        rows: for each leaf, how it is checked and where it goes.
    """

    signature: Signature
    flat: bool
    statics: tuple[tuple[int, Static], ...]
    converted: tuple[Converted, ...]
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, arguments: Arguments) -> Form | None:
        """The form of arguments; None if one is of a type for which there is no short way."""
        signature = arguments.signature
        statics, converted, rows = [], [], []
        inputs = iter(enumerate(arguments.inputs, FIRST_INPUT))
        for place, (leaf, entry) in enumerate(zip(arguments.leaves, signature.leaves, strict=True)):
            if isinstance(entry, Static):
                statics.append((place, entry))
                rows.append(Row(SKIP))
                continue
            base, array = next(inputs)
            row = _row(leaf, array, entry, base)
            if row is None:
                row, found = Row(TAKE, base), _converted(leaf, place, entry, signature.dtype)
                if found is None:
                    return None
                converted.append(found)
            rows.append(row)
        flat = all(s is None for s in signature.structures)
        return cls(signature, flat, tuple(statics), tuple(converted), tuple(rows))

    def objects(self, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """The leaves of arguments, to be checked by the rows; None where more than a row can tell differs."""
        structures = self.signature.structures
        if len(args) != len(structures):
            return None
        found: Any = args
        if not self.flat:
            found = []
            for structure, arg in zip(structures, args, strict=True):
                if structure is None:
                    found.append(arg)
                elif not collect(structure, arg, found):
                    return None
        for place, static in self.statics:
            if not static.matches(found[place]):
                return None
        if self.converted:
            found = list(found)
            for each in self.converted:
                array = each.of(found[each.place])
                if array is None:
                    return None
                found[each.place] = array
        return tuple(found)


def _row(leaf: Any, array: Any, entry: Any, base: int) -> Row | None:
    """How a leaf is checked that is an input where it lies; None for others."""
    if type(leaf) is np.ndarray:
        shape, code, *_ = entry
        if leaf is array and leaf.dtype.char == code and leaf.dtype.isnative:
            return Row(CHECK, base, np.ndarray, leaf.dtype, shape)
        return None
    kinds = {"d": (float, np.float64), "f": (np.float32,)}
    return Row(NUMBER, base, type(leaf)) if type(leaf) in kinds.get(array.dtype.char, ()) else None


def _converted(leaf: Any, place: int, entry: Any, wanted: np.dtype[Any]) -> Converted | None:
    shape, code, *_ = entry
    if type(leaf) in _SCALARS:
        return Converted(place, type(leaf), None, (), True, wanted)
    if type(leaf) is not np.ndarray or leaf.dtype.char != code:
        return None
    return Converted(place, np.ndarray, leaf.dtype, shape, leaf.flags.c_contiguous, wanted)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The short way for arguments of one form with one recording.

    Attributes:
        plan: how leaves become inputs, and which results are arrays.
        restored: gradients of a dtype other than the tape's, and (None) those that are Python floats.
        trees: for each argument that is differentiated by, its structure and the place of its first gradient.
        first_aux: the place of the first result beside value and gradients.
    """

    form: Form
    recording: Recording
    plan: Filling
    restored: tuple[tuple[int, np.dtype[Any] | None], ...] = ()
    trees: tuple[tuple[Structure | None, int], ...] = ()
    first_aux: int = 1

    @classmethod
    def of_value(cls, arguments: Arguments, recording: Recording) -> Path | None:
        """Results as they are, those of shape () as scalars."""
        form, outputs = Form.of(arguments), recording.runner.program.outputs
        if form is None:
            return None
        return cls(form, recording, recording.runner.plan(form.rows, [k for k, t in enumerate(outputs) if t.shape]))

    @classmethod
    def of_gradient(cls, arguments: Arguments, recording: Recording, places: Sequence[int]) -> Path | None:
        """A value and gradients, each like what is differentiated by."""
        form, originals = Form.of(arguments), list(enumerate(arguments.originals, 1))
        if form is None:
            return None
        outputs, first = recording.runner.program.outputs, 1 + len(originals)
        rest = first + recording.parts
        arrays = [k for k, x in originals if type(x) is np.ndarray]
        arrays += [k for k, t in enumerate(outputs) if k >= first and t.shape]
        plan = recording.runner.plan(form.rows, arrays)
        dtype, restored = arguments.signature.dtype, []
        for k, x in originals:
            if type(x) is float:
                restored.append((k, None))
            elif x.dtype != dtype:
                restored.append((k, x.dtype))
        trees: dict[int, tuple[Structure | None, int]] = {}
        start = 1
        for k in sorted(places):
            structure = form.signature.structures[k]
            trees[k] = structure, start
            start += 1 if structure is None else structure.size
        return cls(form, recording, plan, tuple(restored), tuple(trees[k] for k in places), rest)

    def value(self, outputs: list[Any]) -> Any:
        """What the function returns."""
        return rebuild(self.recording.result, iter(outputs))

    def aux(self, outputs: list[Any]) -> Any:
        """What the function returns beside the value."""
        aux = self.recording.aux
        return None if aux is None else aux.restore(outputs[self.first_aux :])

    def gradients(self, outputs: list[Any]) -> tuple[Any, ...]:
        """One gradient for each argument that is differentiated by, in its structure, dtypes and types."""
        if self.recording.parts:
            gathered = self.recording.gathered
            outputs[1 : 1 + len(gathered)] = self.recording.gradients(outputs, len(gathered))
        for k, dtype in self.restored:
            outputs[k] = outputs[k].item() if dtype is None else outputs[k].astype(dtype)
        found = []
        for structure, k in self.trees:
            found.append(outputs[k] if structure is None else rebuild(structure, iter(outputs[k:])))
        return tuple(found)
