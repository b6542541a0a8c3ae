"""Which attributes the ops on matrices and spectra take, see `tapegrad.ops.accepted`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tapegrad.errors import ShapeError
from tapegrad.ops.accepted import LONGEST, Accepts, flags, ints, kinds
from tapegrad.ops.row import FLOAT, ArrayType, Attribute

_NORMS = ("backward", "ortho", "forward")


def _float(t: ArrayType, axes: int) -> bool:
    return t.kind == FLOAT and len(t.shape) >= axes


def floats(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """No attribute; floats along one axis or more."""
    return attribute == () and _float(types[0], 1)


def matrices(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """No attribute; floating matrices."""
    return attribute == () and all(_float(t, 2) for t in types)


def _square(types: Sequence[ArrayType]) -> bool:
    return all(_float(t, 2) and t.shape[-1] == t.shape[-2] and t.shape == types[0].shape for t in types)


def squares(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """No attribute; square floating matrices, all operands of one shape."""
    return attribute == () and _square(types)


def square_and_flag(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A flag; square floating matrices."""
    return flags(attribute, 1) and _square(types)


def tall(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """No attribute; floating matrices of no more columns than rows."""
    return matrices(attribute, types) and types[0].shape[-2] >= types[0].shape[-1]


def triangle(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """The number of a diagonal; matrices of any kind."""
    return ints(attribute, 1) and abs(attribute[0]) <= LONGEST and len(types[0].shape) >= 2


def cutoff(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A finite number, and that it is one; floating matrices."""
    if len(attribute) != 2 or attribute[1] != "rcond" or not _float(types[0], 2):
        return False
    return type(attribute[0]) is float and math.isfinite(attribute[0])


def beyond(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Which decomposition; floating matrices that are not empty."""
    return attribute in (("qr",), ("u",), ("vh",)) and _float(types[0], 2) and types[0].size > 0


# --- products and solutions: their shapes are checked by the row's own type rule


def product(
    result_type: Callable[[Attribute, Sequence[ArrayType]], ArrayType],
) -> tuple[Accepts, Accepts]:
    """What `matmul` accepts, and `matmul_add`, whose first operand is shaped as the product."""

    def factors(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
        return flags(attribute, 2) and all(_float(t, 2) for t in types)

    def added(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
        if not factors(attribute, types[1:]):
            return False
        try:
            return result_type(attribute, types[1:]) == types[0]
        except ShapeError:
            return False

    return factors, added


def solution(count: int) -> Accepts:
    """So many flags; square floating matrices, and floating right-hand sides."""

    def accepts(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
        return flags(attribute, count) and _square(types[:1]) and all(_float(t, 2) for t in types)

    return accepts


def factored(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """A flag; the factors have one row more than the matrices, and are as many as them."""
    if not solution(1)(attribute, types):
        return False
    *batch, n, _ = types[0].shape
    return types[1].shape == (*batch, n + 1, n)


def sparse(matrix: type) -> Accepts:
    """A sparse matrix and a flag; floats."""

    def accepts(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
        return len(attribute) == 2 and type(attribute[0]) is matrix and flags(attribute[1:], 1) and kinds(types, "f")

    return accepts


# --- spectra


def _transform(attribute: Attribute, shape: Sequence[int], count: int) -> bool:
    """Different axes counted from the end, none of them empty, a norm, a flag."""
    if len(attribute) != count or not ints(attribute[0]) or not attribute[0]:
        return False
    axes: Any = attribute[0]
    known = all(-len(shape) <= a < 0 and shape[a] > 0 for a in axes) and len(set(axes)) == len(axes)
    return known and type(attribute[1]) is str and attribute[1] in _NORMS and flags(attribute[2:3], 1)


def real_transform(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Axes, norm and flag, of real numbers."""
    return kinds(types, "f") and _transform(attribute, types[0].shape, 3)


def complex_transform(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Axes, norm and flag, of a spectrum."""
    return _spectrum(types) and _transform(attribute, types[0].shape[1:], 3)


def half_transform(attribute: Attribute, types: Sequence[ArrayType]) -> bool:
    """Axes, norm, flag, and the length that half of the frequencies are of."""
    if not _spectrum(types) or not _transform(attribute, types[0].shape[1:], 4):
        return False
    n = attribute[3]
    return type(n) is int and 1 <= n <= LONGEST and types[0].shape[attribute[0][-1]] == n // 2 + 1


def _spectrum(types: Sequence[ArrayType]) -> bool:
    return kinds(types, "f") and len(types[0].shape) >= 2 and types[0].shape[0] == 2
