"""The instruction set as one table: an opcode is a row's place in it."""

from __future__ import annotations

import hashlib
from functools import cache
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from tapegrad.jit import OPTIONS, REDUCTION_MATH, SAFE_MATH
from tapegrad.ops import (
    bessel,
    custom,
    decompositions,
    determinants,
    discrete,
    elementwise,
    fourier,
    linalg,
    matrices,
    products,
    reductions,
    selections,
    sequences,
    shapes,
    solutions,
    sparse,
    special,
    transcendental,
    windows,
)
from tapegrad.ops.row import ArrayType, Op


def _no_value(*_: Any) -> Any:
    raise AssertionError("a leaf has no operands to compute its value from")


def _no_type(*_: Any) -> ArrayType:
    raise AssertionError("a leaf has the type that it was recorded with")


def _leaf(name: str, doc: str) -> Op:
    return Op(
        name=name, operands=(), kinds="", result_kind="", doc=doc, evaluate=_no_value, result_type=_no_type, leaf=True
    )


OPS: Final[tuple[Op, ...]] = (
    _leaf("input", "an argument of the function (attribute: its place)"),
    _leaf("constant", "a value that no argument changes (attribute: its place among the constants)"),
    *shapes.ROWS,
    *windows.ROWS,
    *reductions.ROWS,
    *selections.ROWS,
    *products.ROWS,
    *sequences.ROWS,
    *custom.ROWS,
    *matrices.ROWS,
    *linalg.ROWS,
    *solutions.ROWS,
    *determinants.ROWS,
    *decompositions.ROWS,
    *fourier.ROWS,
    *sparse.ROWS,
    *elementwise.ROWS,
    *discrete.ROWS,
    *transcendental.ROWS,
    *special.ROWS,
    *bessel.ROWS,
)

OPCODES: Final = MappingProxyType({op.key: code for code, op in enumerate(OPS)})
INPUT: Final = OPCODES["input"]
CONSTANT: Final = OPCODES["constant"]
IMMEDIATES: Final = frozenset(op.name for op in OPS if op.immediate)
GUARDS: Final = frozenset(code for code, op in enumerate(OPS) if op.effect)

ELEMENTWISE_KINDS: Final = MappingProxyType(
    {
        name: MappingProxyType({op.kinds: code for code, op in enumerate(OPS) if op.name == name and op.elementwise})
        for name in dict.fromkeys(op.name for op in OPS if op.elementwise)
    }
)


def find(name: str, kinds: str) -> int:
    """The opcode of the op `name` for operands of these kinds; `KeyError` where there is none."""
    by_kinds = ELEMENTWISE_KINDS.get(name)
    return OPCODES[name] if by_kinds is None else by_kinds[kinds]


def flags(*names: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """One boolean an opcode: whether any of the row's fields of these names is set. The array is the caller's."""
    return np.frombuffer(_flags(names), np.bool_).copy()


@cache
def _flags(names: tuple[str, ...]) -> bytes:
    """The same as bytes: every recording asks for the flags many times."""
    return bytes(any(getattr(op, name) for name in names) for op in OPS)


def digest() -> str:
    """A hash of what the kernels are made from, numba's options included; they carry it, and are refused without."""
    lines = [repr(sorted(OPTIONS.items())), repr(sorted(SAFE_MATH)), repr(sorted(REDUCTION_MATH))]
    lines += [f"{code} {op.key} {op.result_kind} {op.value} {op.loop}" for code, op in enumerate(OPS)]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
