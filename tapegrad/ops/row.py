"""What a row of the instruction set is.

An op is one row: its name, its operands, the kinds it takes, how its value is computed, its derivative,
where to test it and a line of documentation. The tangent and adjoint rules, the kernels, the tests and
the reference page are derived from rows; nothing else has to be edited when one is added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from tapegrad.ops.batcher import Batcher
    from tapegrad.ops.builder import Builder, Contribution

Attribute: TypeAlias = tuple[Any, ...]
Interval: TypeAlias = tuple[float, float]

FLOAT, INT, BOOL = "f", "i", "b"


@dataclass(frozen=True, slots=True)
class ArrayType:
    """Shape and kind of a slot: kind "f" (the tape's floating dtype), "i" (int64) or "b" (bool)."""

    shape: tuple[int, ...]
    kind: str = FLOAT

    @property
    def size(self) -> int:
        """Number of elements."""
        total = 1
        for n in self.shape:
            total *= n
        return total

    def dtype(self, floating: np.dtype[Any]) -> np.dtype[Any]:
        """The NumPy dtype of this kind on a tape whose floating dtype is `floating`."""
        if self.kind == FLOAT:
            return floating
        return np.dtype(np.int64) if self.kind == INT else np.dtype(np.bool_)

    def __str__(self) -> str:
        return f"{self.kind}{list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Case:
    """One call of a structural op for the tests: its attribute and its operands.

    An operand is a shape (drawn at random) or an array (taken as it is: indices, masks).
    """

    operands: tuple[Any, ...]
    attribute: Attribute = ()


@dataclass(frozen=True, slots=True)
class Op:
    """One row of the instruction set, for one combination of kinds; the opcode is its place in the table.

    `value` is a numba expression in the operands' names (elementwise ops); `partials` are expressions in
    the operands, the result `z` and, where a plain factor will not do, the incoming derivative `g`.

    `loop`: the ufunc whose inner loop runs the op on arrays. `vector`: what libm calls the function, where libmvec's
    may take the loop's place.

    `batch`: the rule for many points at once (`tapegrad.ops.batcher`); elementwise ops have one in common.

    `immediate`: the attribute is one integer, which is no part of the signature: x[0], x[1], x[2] ... are of
    one kind, so that a loop over them costs Python work once.

    `overwrites`: it puts something in place of a part of operand 0, which goes on with zeros there in a reverse sweep.
    So that this may happen in place, the other operands' adjoints are taken out before.

    `source`: what it is in NumPy source (`tapegrad.ops.source`): a text, or a function of the attribute and of the
    operands' types that gives one. Functions of the user's have none.

    `flops`: floating-point operations, by attribute, operands and result. Without it an elementwise op has one for each
    element of its result, any other none: it only moves numbers.

    `eager`: the sweep stops and calls `evaluate` itself, on arrays. For what has a well-kept implementation that
    a kernel would not better: decompositions of matrices, sorting, Fourier transforms, functions of the user's.

    `accepts`: may an instruction of a tape from outside have this attribute and operands of these types (`takes`)? It
    decides what reaches kernels, which check nothing. Elementwise ops need none; what has none is refused.
    """

    name: str
    operands: tuple[str, ...]
    kinds: str
    result_kind: str
    doc: str
    evaluate: Callable[..., Any]
    result_type: Callable[[Attribute, Sequence[ArrayType]], ArrayType]
    accepts: Callable[[Attribute, Sequence[ArrayType]], bool] | None = None
    differentiable: bool = False
    selects: bool = False
    elementwise: bool = False
    value: str = ""
    source: str | Callable[[Attribute, Sequence[ArrayType]], str] = ""
    loop: str = ""
    vector: str = ""
    partials: tuple[str, ...] = ()
    points: tuple[Interval, ...] = ()
    cases: tuple[Case, ...] = ()
    adjoint: Callable[[Builder, int], Contribution | None] | None = None
    tangent: Callable[[Builder, int], Contribution | None] | None = None
    batch: Callable[[Batcher], int] | None = None
    accumulates: bool = False
    overwrites: bool = False
    leaf: bool = False
    effect: bool = False
    immediate: bool = False
    commutes: bool = False
    eager: bool = False
    flops: Callable[[Attribute, Sequence[ArrayType], ArrayType], float] | None = None

    @property
    def pointwise(self) -> bool:
        """Does it go through broadcast operands element by element?"""
        return self.elementwise or self.name == "custom"

    @property
    def key(self) -> str:
        """Name that tells rows of the same op for other kinds apart: "add", "add:ii"."""
        plain = set(self.kinds) <= {FLOAT}
        return self.name if plain or not self.elementwise else f"{self.name}:{self.kinds}"

    def takes(self, attribute: Attribute, types: Sequence[ArrayType]) -> bool:
        """May an instruction that was not recorded here have this attribute, and operands of these types?"""
        if self.elementwise:
            return attribute == () and "".join(t.kind for t in types) == self.kinds
        count = max(len(types), 1) if self.name == "concatenate" else len(self.operands)
        if self.accepts is None or type(attribute) is not tuple or len(types) != count:
            return False
        return self.accepts(attribute, types)
