"""An instruction in words: the op with what its attribute says, and what it reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Final

from tapegrad.ops.custom import title
from tapegrad.ops.row import FLOAT, ArrayType, Attribute
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.reading.figures import summary
from tapegrad.tape import Tape

Types = Sequence[ArrayType]
_NAMES: Final = MappingProxyType({"i": "int64", "b": "bool"})


def window(windows: Attribute, shape: Sequence[int]) -> str:
    """A window of an array of this shape, as it is written with NumPy.

    >>> window(((1, 1, 3), (0, 1, 5)), (4, 5)), window(((4, -2, 2),), (5,)), window(((0, 1, 5), (2, 2, 2)), (5, 8))
    ('[1:]', '[:0:-2]', '[:, 2:6:2]')
    """
    parts = [_stretch(w, n) for w, n in zip(windows, shape, strict=True)]
    while len(parts) > 1 and parts[-1] == ":":
        parts.pop()
    return "[" + (", ".join(parts) or "()") + "]"


def _stretch(along: tuple[int, int, int], length: int) -> str:
    start, step, count = along
    stop = start + step * count
    if not count:
        return "0:0"
    if step > 0:
        first, last = "" if start == 0 else start, "" if stop >= length else stop
    else:
        first, last = "" if start == length - 1 else start, "" if stop < 0 else stop
    return f"{first}:{last}" + ("" if step == 1 else f":{step}")


def _axes(axes: Sequence[int]) -> str:
    return ("axis " if len(axes) == 1 else "axes ") + ", ".join(map(str, axes))


def _along(attribute: Attribute, types: Types) -> str:
    """The axis, where the operand has more than one."""
    return _axes(attribute[:1]) if len(types[0].shape) > 1 else ""


def _reduced(attribute: Attribute, types: Types) -> str:
    """The axes, where they are not all."""
    return "" if len(attribute) == len(types[0].shape) else _axes(attribute)


def _permuted(attribute: Attribute, types: Types) -> str:
    rank = len(types[0].shape)
    return "" if attribute == tuple(range(rank))[::-1] else _axes(attribute)


def _transform(attribute: Attribute, _: Types) -> str:
    words = [_axes(attribute[0])]
    if attribute[1] != "backward":
        words.append(attribute[1])
    return ", ".join(words)


def _triangle(attribute: Attribute, _: Types) -> str:
    return ("lower" if attribute[0] else "upper") + (", diagonal of ones" if attribute[2] else "")


# What an attribute says beyond the shape of the result.
_WORDS: Final[MappingProxyType[str, Callable[[Any, Types], str]]] = MappingProxyType(
    {
        "transpose": _permuted,
        "slice": lambda a, types: window(a, types[0].shape),
        "pad": lambda a, _: f"{window(a[1], a[0])} =",
        "slice_add": lambda a, types: f"{window(a, types[0].shape)} +=",
        "slice_set": lambda a, types: f"{window(a, types[0].shape)} =",
        "item": lambda a, _: f"[{a[0]}]",
        "item_add": lambda a, _: f"[{a[0]}] +=",
        "item_set": lambda a, _: f"[{a[0]}] =",
        "concatenate": _along,
        "sum": _reduced,
        "max": _reduced,
        "min": _reduced,
        "gather": _along,
        "scatter": lambda a, _: _axes(a[:1]),
        "scatter_add": _along,
        "scatter_set": _along,
        "cumsum": _along,
        "argsort": _along,
        "argpartition": _along,
        "argmax": _along,
        "argmin": _along,
        "running_place": lambda a, _: "largest" if a[1] else "smallest",
        "searchsorted": lambda a, _: "right" if a[0] else "left",
        "tril": lambda a, _: f"k={a[0]}" if a[0] else "",
        "pinv": lambda a, _: f"rcond={a[0]:.2g}",
        "solve_triangular": _triangle,
        "eigh": lambda a, _: "upper" if a[0] else "lower",
        "eigvalsh": lambda a, _: "upper" if a[0] else "lower",
        "complement": lambda a, _: str(a[0]),
        "fft": lambda a, types: _transform(a, types) + (", inverse" if a[2] else ""),
        "fft_real": lambda a, types: _transform(a, types) + (", inverse" if a[2] else ""),
        "rfft": _transform,
        "irfft": _transform,
        "sparse_matmul": lambda a, _: f"{a[0].matrix.shape}" + (".T" if a[1] else ""),
    }
)

# Which flag of the attribute says that an operand is read transposed: (operand, flag).
_TRANSPOSED: Final = MappingProxyType(
    {
        "matmul": ((0, 0), (1, 1)),
        "matmul_add": ((1, 0), (2, 1)),
        "solve": ((0, 0),),
        "lu_solve": ((0, 0),),
        "solve_triangular": ((0, 1),),
    }
)


def operation(tape: Tape, i: int) -> str:
    """The op of instruction i, with what its attribute says: "sum axis 0", "slice [1:]"."""
    op = OPS[int(tape.opcodes[i])]
    if op.leaf:
        return op.name
    attribute = tape.attribute(i)
    words = _WORDS.get(op.name)
    detail = words(attribute, [tape.type(s) for s in tape.read(i)]) if words is not None else ""
    return f"{title(op, attribute)} {detail}".rstrip()


def reads(tape: Tape, i: int, labels: Sequence[str] = ()) -> str:
    """What instruction i reads: slots, the name of an input, the value of a constant."""
    code = int(tape.opcodes[i])
    if code == INPUT:
        place = int(tape.attribute_ids[i])
        return labels[place] if place < len(labels) else f"argument {place}"
    if code == CONSTANT:
        return summary(tape.constants[int(tape.attribute_ids[i])])
    words = [f"v{s}" for s in tape.read(i)]
    flags = _TRANSPOSED.get(OPS[code].name, ())
    for operand, flag in flags:
        if tape.attribute(i)[flag]:
            words[operand] += ".T"
    return " ".join(words)


def kind(found: ArrayType) -> str:
    """A slot's shape, and what it holds where that is not floating: "(2, 3)", "int64 ()"."""
    return str(found.shape) if found.kind == FLOAT else f"{_NAMES[found.kind]} {found.shape}"
