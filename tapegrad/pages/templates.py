"""Instructions as formulas with places for their operands, which a page fills with names or with numbers."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from tapegrad.ops.custom import title
from tapegrad.ops.table import OPS
from tapegrad.reading.wording import operation
from tapegrad.tape import Tape

_SIGNS: Final = MappingProxyType(
    {
        "add": "{0} + {1}", "subtract": "{0} − {1}", "multiply": "{0} × {1}", "masked_multiply": "{0} × {1}",
        "divide": "{0} / {1}", "power": "{0} ^ {1}", "floor_divide": "{0} // {1}", "remainder": "{0} mod {1}",
        "negative": "−{0}", "square": "{0}²", "reciprocal": "1 / {0}", "absolute": "|{0}|", "sqrt": "√{0}",
        "less": "{0} < {1}", "less_equal": "{0} ≤ {1}", "greater": "{0} > {1}", "greater_equal": "{0} ≥ {1}",
        "equal": "{0} = {1}", "not_equal": "{0} ≠ {1}", "guard": "check {0} = {1}", "logical_and": "{0} and {1}",
        "logical_or": "{0} or {1}", "logical_not": "not {0}", "where": "{1} where {0}, else {2}",
        "multiply_add": "{0} × {1} + {2}", "multiply_subtract": "{0} × {1} − {2}",
        "subtract_multiply": "{2} − {0} × {1}",
    }
)  # fmt: skip

_MANY: Final = 6  # operands that are written one by one


def template(tape: Tape, i: int) -> str:
    """The formula of instruction i, which is no leaf; "{0}" stands for its first operand.

    What an attribute says stands after the operands, or as an index behind the first.
    """
    op, attribute = OPS[int(tape.opcodes[i])], tape.attribute(i)
    if _SIGNS.get(op.name):
        return _SIGNS[op.name]
    name = title(op, attribute)
    detail = operation(tape, i).removeprefix(name).strip()
    count = len(tape.read(i))
    places = [f"{{{k}}}" for k in range(count)] if count <= _MANY else ["{0}", "…", f"{{{count - 1}}}"]
    if op.name in {"matmul", "matmul_add"}:
        turned = [places[-2 + k] + ("ᵀ" if flag else "") for k, flag in enumerate(attribute)]
        return " + ".join([*places[:-2], " @ ".join(turned)])
    if op.name in {"item", "slice"}:
        return places[0] + detail
    return f"{name.replace('{', '').replace('}', '')}({', '.join([*places, *([detail] if detail else [])])})"
