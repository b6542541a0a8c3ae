"""Instructions as short formulas: × for multiply, x − y for subtract."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from tapegrad.ops.row import Attribute, Op
from tapegrad.pictures.graph import MARK

# Operands in braces; what commutes has its sign alone where nothing else is to be said.
_TEMPLATES: Final = MappingProxyType(
    {
        "add": "{} + {}",
        "subtract": "{} − {}",
        "multiply": "{} × {}",
        "masked_multiply": "{} ×₀ {}",
        "divide": "{} ÷ {}",
        "power": "{} ^ {}",
        "floor_divide": "{} // {}",
        "remainder": "{} mod {}",
        "negative": "−{}",
        "square": "{}²",
        "reciprocal": "1 ÷ {}",
        "absolute": "|{}|",
        "sqrt": "√{}",
        "multiply_add": "{} × {} + {}",
        "multiply_subtract": "{} × {} − {}",
        "subtract_multiply": "{2} − {0} × {1}",
        "less": "{} < {}",
        "less_equal": "{} ≤ {}",
        "greater": "{} > {}",
        "greater_equal": "{} ≥ {}",
        "equal": "{} = {}",
        "not_equal": "{} ≠ {}",
        "logical_and": "{} and {}",
        "logical_or": "{} or {}",
        "logical_xor": "{} xor {}",
        "logical_not": "not {}",
        "bitwise_and": "{} & {}",
        "bitwise_or": "{} | {}",
        "bitwise_xor": "{} ^ {}",
        "matmul": "{} @ {}",
        "matmul_add": "{} + {} @ {}",
        "where": "{1} where {0}, else {2}",
    }
)
_SYMBOLS: Final = MappingProxyType({"add": "+", "multiply": "×", "masked_multiply": "×₀", "negative": "−", "sqrt": "√"})
_COMMUTES: Final = frozenset({"masked_multiply"})
_INTO: Final = frozenset({"item_add", "item_set", "slice_add", "slice_set"})
_LONGEST: Final = 34


def ordered(op: Op) -> bool:
    """Whether it matters which operand is which."""
    return not op.commutes and op.name not in _COMMUTES


def operand_names(op: Op, count: int) -> list[str]:
    """A short name for each operand."""
    if count == len(op.operands):
        return list(op.operands)
    return [str(k + 1) for k in range(count)]


def formula(op: Op, attribute: Attribute, operands: Sequence[str | None], called: str) -> str:
    """What an instruction does.

    Args:
        op: its op.
        attribute: its attribute.
        operands: a text each, or None where an arrow brings it.
        called: the op with what its attribute says, in words.
    """
    arrows = sum(o is None for o in operands)
    names = operand_names(op, len(operands))
    several = arrows > 1 and ordered(op)
    texts = [(name if several else "·") if o is None else o for o, name in zip(operands, names, strict=True)]
    symbol = _SYMBOLS.get(op.name)
    if symbol and arrows == len(operands):
        return symbol
    if symbol and len(operands) == 2 and arrows == 1 and not ordered(op):
        return f"{symbol} {next(o for o in operands if o is not None)}"
    if op.name in {"matmul", "matmul_add"}:
        texts[-2:] = [t + ("ᵀ" if flag else "") for t, flag in zip(texts[-2:], attribute[:2], strict=True)]
    if op.name in _TEMPLATES:
        return _TEMPLATES[op.name].format(*texts)
    name = called.replace(MARK, "").removeprefix("item ").removeprefix("slice ")
    if op.name in _INTO:
        return f"{texts[0]}{name.partition(' ')[2]} {texts[1]}"
    if arrows == len(operands) and (len(operands) == 1 or len(operands) > 4):
        return name
    text = f"{name}({', '.join(texts)})"
    return text if len(text) <= _LONGEST or len(operands) < 3 else name
