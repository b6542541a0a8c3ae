"""Values of slots while they are recorded: as much of the tape is evaluated as is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from tapegrad.errors import UnsupportedError, describe
from tapegrad.ops.evaluate import evaluate
from tapegrad.ops.row import ArrayType, Attribute
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.record.lines import Lines
from tapegrad.tape import Interner

WORDS: Final = 5  # of an instruction that is being recorded: opcode, attribute, type, line, end of the operands


class Values:
    """Evaluates slots of a recording, each once. It reads the recorder's own lists, which grow.

    Args:
        words, operands: the instructions so far.
        types, attributes, lines: what their words refer to.
        dtype: the tape's floating dtype.
    """

    def __init__(
        self,
        words: list[int],
        operands: list[int],
        types: Interner[ArrayType],
        attributes: Interner[Attribute],
        lines: Sequence[str],
        dtype: np.dtype[Any],
    ) -> None:
        self._words, self._operands, self._types, self._attributes = words, operands, types, attributes
        self._lines = lines
        self._dtype = dtype
        self._known: dict[int, Any] = {}
        self._fixed: dict[int, bool] = {}

    def __setitem__(self, slot: int, value: Any) -> None:
        self._known[slot] = value

    def read(self, i: int) -> list[int]:
        """The slots that instruction i reads."""
        start = self._words[i * WORDS - 1] if i else 0
        return self._operands[start : self._words[i * WORDS + 4]]

    def __getitem__(self, slot: int) -> Any:
        """The value of a slot for the arguments that are being recorded."""
        known = self._known
        todo = [slot]
        while todo:
            i = todo[-1]
            if i in known:
                todo.pop()
                continue
            operands = self.read(i)
            missing = [s for s in operands if s not in known]
            if missing:
                todo += missing
                continue
            code, attribute, type_id = self._words[i * WORDS : i * WORDS + 3]
            if code == INPUT:
                raise _no_values()
            t = self._types.items[type_id]
            given = (attribute,) if OPS[code].immediate else self._attributes.items[attribute]
            line = self._lines[self._words[i * WORDS + 3]]
            result = evaluate(OPS[code], given, [known[s] for s in operands], line)
            known[i] = np.asarray(result, dtype=t.dtype(self._dtype))
            todo.pop()
        return known[slot]

    def vary(self, slot: int) -> None:
        """Let a slot, and so what will be made of it, count as one that hangs on arguments."""
        self._fixed[slot] = False

    def is_fixed(self, slot: int) -> bool:
        """Is the slot the same whatever the arguments are?"""
        fixed = self._fixed
        todo, met = [slot], set()
        while todo:
            i = todo.pop()
            if i not in fixed and i not in met:
                met.add(i)
                todo += self.read(i)
        for i in sorted(met):
            operands = self.read(i)
            fixed[i] = self._words[i * WORDS] == CONSTANT or (bool(operands) and all(fixed[s] for s in operands))
        return fixed[slot]


def _no_values() -> UnsupportedError:
    """The error for a value that hangs on an argument of which there is a shape alone."""
    lines = Lines()
    return UnsupportedError(
        describe(
            "recording from shapes",
            found="a value that is needed now: by a branch, int(), float(), an index or a mask that decides a shape",
            wanted="a function whose course does not hang on values (np.where), or an array in place of the shape",
            line=lines.names[lines.current()],
        )
    )
