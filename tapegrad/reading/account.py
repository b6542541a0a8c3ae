"""An explanation as text: a table of instructions with their numbers, then the reverse sweep, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapegrad.ops.row import FLOAT
from tapegrad.ops.table import CONSTANT, OPS
from tapegrad.reading.columns import aligned, breadth, shortened
from tapegrad.reading.figures import figure, summary
from tapegrad.reading.listing import WIDTH, ends
from tapegrad.reading.wording import kind, operation, reads

if TYPE_CHECKING:
    from tapegrad.explanation.differences import Difference
    from tapegrad.explanation.dissection import Step
    from tapegrad.explanation.explain import Explanation

_HEADS: Final = ("", "op", "operands", "", "value", "partials", "adjoint", "finite difference")
_OP: Final = 22  # characters of an op
_OPERANDS: Final = 14
_ARRAYS: Final = (28, 24, 20, 16)  # of an array in the table: the first that lets a line fit
_TERM: Final = 26  # of an array in the sweep
_SWEEP: Final = (
    "reverse sweep: back from the result, each instruction adds its adjoint × a partial to the adjoint of each operand"
)


def account(e: Explanation) -> str:
    """The whole explanation; of a long tape the first and the last lines."""
    parts = [
        _heading(e),
        *table_rows(e, ends(len(e.tape))),
        "",
        _SWEEP if e.steps else "reverse sweep: nothing is passed back",
        *_seed_rows(e),
        *sweep_rows(e, ends(len(e.steps))),
        "",
        *gradient_rows(e),
        _verdict(e),
    ]
    return "\n".join(parts).rstrip()


def _heading(e: Explanation) -> str:
    """The function, how long its tape is, and its value."""
    slots = e.tape.dependents.tolist()
    shown = ", ".join(summary(e.values[s]) for s in slots[:3]) + (", ..." if len(slots) > 3 else "")
    text = f"{e.name}: {len(e.tape):,} instructions, {e.tape.dtype}"
    return shortened(f"{text}, value {shown}" if slots else text, WIDTH)


# --- the table


def table_rows(e: Explanation, parts: Sequence[range]) -> list[str]:
    """The lines of some stretches of the tape, with a heading."""
    chosen = [i for part in parts for i in part]
    labels = e.interface.labels()
    rows: list[Sequence[str]] = []
    owners: list[int] = []
    for width in _ARRAYS:
        rows, owners = [_HEADS], [-1]
        for i in chosen:
            cells = _instruction(e, i, labels, width)
            rows += cells
            owners += [i] * len(cells)
        rows[0] = [head if any(row[k] for row in rows[1:]) else "" for k, head in enumerate(_HEADS)]
        if breadth(rows) <= WIDTH:
            break
    return _with_gaps(aligned(rows, WIDTH), owners, "explanation.table() gives all")


def _with_gaps(lines: Sequence[str], owners: Sequence[int], hint: str) -> list[str]:
    """The lines, and one that says how much was left out where their owners do not follow one another."""
    found: list[str] = []
    for k, line in enumerate(lines):
        if k and owners[k - 1] >= 0 and owners[k] > owners[k - 1] + 1:
            found.append(f"... {owners[k] - owners[k - 1] - 1:,} more; {hint}")
        found.append(line)
    return found


def _instruction(e: Explanation, i: int, labels: Sequence[str], width: int) -> list[Sequence[str]]:
    """The cells of one instruction: a row, and another one for each further partial."""
    found = e.tape.type(i)
    partials = _partials(e, i, width)
    operands = "" if int(e.tape.opcodes[i]) == CONSTANT else reads(e.tape, i, labels)
    first = (
        f"v{i}",
        shortened(operation(e.tape, i), _OP),
        shortened(operands, _OPERANDS),
        "" if not found.shape and found.kind == FLOAT else kind(found),
        summary(e.values[i], width),
        partials[0] if partials else "",
        _wide(e.values[e.adjoints[i]], width) if e.adjoints[i] >= 0 else "",
        _difference(e.differences[i]),
    )
    return [first, *(("", "", "", "", "", p, "", "") for p in partials[1:])]


def _partials(e: Explanation, i: int, width: int) -> list[str]:
    """The partials of an instruction, by its operands' names; an operand that is read twice has two."""
    operands, found = e.tape.read(i), []
    for k, (operand, slot) in enumerate(zip(operands, e.partials[i], strict=True)):
        if slot >= 0:
            which = f" ({k + 1}.)" if operands.count(operand) > 1 else ""
            found.append(f"∂/∂v{operand}{which} = {_wide(e.values[slot], width)}")
    return found


def _wide(array: Any, width: int) -> str:
    """An array; of one that is broadcast from a single number, that number."""
    return figure(array.reshape(())) if array.size == 1 else summary(array, width)


def _difference(found: Difference | None) -> str:
    if found is None:
        return ""
    place = f" at [{', '.join(map(str, found.entry))}]" if found.entry else ""
    return ("" if found.agrees or not found.taken else "≠ ") + f"{figure(found.value)}{place}"


# --- the reverse sweep


def _seed_rows(e: Explanation) -> list[str]:
    """What the adjoints of the dependents start with."""
    found = []
    for dependent, slot in zip(e.tape.dependents.tolist(), e.seeds, strict=True):
        if slot >= 0:
            found.append(f"seed: adjoint v{dependent} = {summary(e.values[slot], _TERM)}")
    shown = ends(len(found))
    if len(shown) == 1:
        return found
    return [
        *(found[k] for k in shown[0]),
        f"... {len(found) - 2 * len(shown[0]):,} more",
        *(found[k] for k in shown[1]),
    ]


def sweep_rows(e: Explanation, parts: Sequence[range]) -> list[str]:
    """The lines of some stretches of the steps."""
    chosen = [k for part in parts for k in part]
    rows = []
    for k in chosen:
        step = e.steps[k]
        rows.append((f"v{step.instruction} → v{step.operand}:", _sum(e, step)))
    return _with_gaps(aligned(rows, WIDTH), chosen, "explanation.sweep() gives all")


def _sum(e: Explanation, step: Step) -> str:
    """A step as a sum: what was there before, what is added, the total."""
    before = _term(e, step.before) if step.before >= 0 else "0"
    return f"adjoint v{step.operand} = {before} + {_added(e, step)} = {_term(e, step.total)}"


def _added(e: Explanation, step: Step) -> str:
    """What a step adds: the adjoint of the instruction times the partial, where there is one."""
    i, partial = step.instruction, e.partials[step.instruction][step.place]
    op = OPS[int(e.tape.opcodes[i])]
    if step.added == step.total and step.before >= 0:
        return f"({op.name})"
    if partial < 0:
        return f"{_factor(e, step.added)} ({op.name})"
    own = e.values[e.adjoints[i]]
    product = f"{_factor(e, e.adjoints[i])} × {_factor(e, partial)}"
    if op.pointwise and e.values[step.added].size < max(own.size, e.values[partial].size):
        product = f"sum({product})"
    return f"{product} (0 where masked)" if _masked(e, step, partial) else product


def _masked(e: Explanation, step: Step, partial: int) -> bool:
    """Whether a product of 0 and a partial that is not finite was taken for 0."""
    own, factor = e.values[e.adjoints[step.instruction]], e.values[partial]
    if np.all(np.isfinite(factor)):
        return False
    with np.errstate(all="ignore"):
        plain = np.sum(own * factor)
    return bool(np.isnan(plain) and not np.isnan(np.sum(e.values[step.added])))


def _term(e: Explanation, slot: int) -> str:
    return _wide(e.values[slot], _TERM)


def _factor(e: Explanation, slot: int) -> str:
    """A factor, in brackets where it is negative or several words."""
    text = _wide(e.values[slot], _TERM)
    return f"({text})" if text.startswith("-") or (" " in text and not text.startswith("[")) else text


# --- the end


def gradient_rows(e: Explanation) -> list[str]:
    """One line for each array of the gradient."""
    labels, places = e.interface.labels(), {slot: k for k, slot in enumerate(e.tape.inputs.tolist())}
    slots = e.full.dependents.tolist()[len(e.tape.dependents) :]
    independents = e.tape.independents.tolist()
    rows = []
    for k in e.interface.gradients():
        array = e.values[slots[k]]
        shape = "" if not array.ndim else f" {array.shape}"
        rows.append((f"gradient by {labels[places[independents[k]]]}{shape}:", summary(array, 60)))
    return aligned(rows, WIDTH)


def _verdict(e: Explanation) -> str:
    """How the finite differences compare."""
    tried = [(s, d) for s, d in enumerate(e.differences) if d is not None]
    found = [(s, d) for s, d in tried if d.taken]
    off = [f"v{s}" for s, d in found if not d.agrees]
    words = []
    if off:
        text = f"finite differences differ from {len(off):,} of {len(found):,} adjoints: {', '.join(off[:8])}"
        text += ", ..." if len(off) > 8 else ""
        words.append(f"{text} (≠: a kink, a selection, rounding, or too coarse a step)")
    elif found:
        all_of_them = "the adjoint" if len(found) == 1 else f"all {len(found):,} adjoints"
        words.append(f"finite differences agree with {all_of_them}")
    if len(tried) > len(found):
        words.append(f"{len(tried) - len(found):,} finite differences are not finite")
    return "; ".join([*words, e.remark] if e.remark else words)
