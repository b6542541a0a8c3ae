"""`diff`: how two tapes differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Protocol

import numpy as np

from tapegrad.drivers.arguments import Static
from tapegrad.drivers.interface import Interface
from tapegrad.errors import DtypeError, describe
from tapegrad.files.alignment import UNKNOWN, Alignment, align, counterparts
from tapegrad.ops.custom import title
from tapegrad.ops.table import CONSTANT, INPUT, OPS
from tapegrad.tape import Tape
from tapegrad.trees import Structure, names, plain

_SHOWN: Final = 12  # lines of each part


class HasTape(Protocol):
    """A tape that can be called."""

    tape: Tape
    interface: Interface


@dataclass(frozen=True, slots=True)
class Difference:
    """How two tapes differ; it is true if they do, and prints as a few lines.

    Attributes:
        parts: what differs, each a headline and lines.
    """

    parts: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def same(self) -> bool:
        """Do they not differ?"""
        return not self.parts

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        if not self.parts:
            return "no difference"
        return "\n".join("\n  ".join([headline, *lines]) for headline, lines in self.parts)


def diff(a: HasTape | Tape, b: HasTape | Tape) -> Difference:
    """How two tapes differ: arguments and result, instructions, constants, source lines.

    Instructions are put beside one another by what they do; where one was inserted those after it are still the same
    ones. Of long tapes that differ in very many places it says only how long the part is that differs. Of source lines
    the file's own name and the number count, not its folder, so that a loaded tape is the one that was saved.

    Args:
        a, b: tapes of any sort: recorded, loaded, of gradients, or the arrays (`tapegrad.Tape`).

    Returns:
        What differs. `str` tells it; it is true if the tapes differ; `same` is the opposite.

    Raises:
        DtypeError: something that is no tape.

    >>> import numpy as np, tapegrad as tg
    >>> x = np.ones(3)
    >>> found = tg.diff(tg.record(lambda x: np.sum(np.sin(x)), x), tg.record(lambda x: np.sum(np.cos(x) * 2.0), x))
    >>> print(found)  # doctest: +ELLIPSIS
    instructions: 3 and 5
      constant: 0 and 1
      cos: 0 and 1
      multiply: 0 and 1
      sin: 1 and 0
    first difference: v1
      - v1 sin v0 (3,) ...
      + v1 cos v0 (3,) ...
      + v2 constant 2. () ...
      + v3 multiply v1 v2 (3,) ...
    """
    one, other = _tape(a), _tape(b)
    parts: list[tuple[str, list[str]]] = []
    if not isinstance(a, Tape) and not isinstance(b, Tape):
        parts += _outsides(a.interface, b.interface)
    if one.dtype != other.dtype:
        parts.append((f"floats: {one.dtype} and {other.dtype}", []))
    parts += _instructions(one, other)
    return Difference(tuple((headline, tuple(lines)) for headline, lines in parts))


def _tape(given: HasTape | Tape) -> Tape:
    """The arrays of a tape."""
    found = given if isinstance(given, Tape) else getattr(given, "tape", None)
    if not isinstance(found, Tape):
        text = f"a {type(given).__name__}"
        raise DtypeError(describe("diff", found=text, wanted="tapes: of tapegrad.record, load or .adjoint()"))
    return found


def _cut(lines: Iterator[str] | Sequence[str], count: int | None = None) -> list[str]:
    """The first lines, and how many more there are."""
    if isinstance(lines, Sequence):
        count = len(lines)
    shown = list(islice(iter(lines), _SHOWN))
    rest = (count or 0) - len(shown)
    return [*shown, f"... {rest} more"] if rest > 0 else shown


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# --- the outside


def _outsides(a: Interface, b: Interface) -> Iterator[tuple[str, list[str]]]:
    """Arguments and result."""
    if a.parameters != b.parameters:
        yield f"parameters: {', '.join(a.parameters)} and {', '.join(b.parameters)}", []
    one, other = _leaves(a), _leaves(b)
    changed = [
        f"{name}: {one.get(name, 'nothing')} and {other.get(name, 'nothing')}"
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
    if changed:
        yield "arguments", _cut(changed)
    elif [plain(s) for s in a.signature.structures] != [plain(s) for s in b.signature.structures]:
        yield "arguments: nested in other containers", []
    if plain(a.result) != plain(b.result):
        yield "result", [f"{_form(plain(a.result))} and {_form(plain(b.result))}"]


def _leaves(interface: Interface) -> dict[str, str]:
    """Each leaf's name and what it is."""
    found = (
        name
        for structure, root in zip(interface.signature.structures, interface.parameters, strict=True)
        for name in names(plain(structure), root)
    )
    return {name: _leaf(leaf) for name, leaf in zip(found, interface.signature.leaves, strict=True)}


def _leaf(leaf: Any) -> str:
    if isinstance(leaf, Static):
        return repr(leaf.value)[:60]
    shape, code, differentiated, _ = leaf
    return f"{np.dtype(code)} {shape}" + (", differentiated" if differentiated else "")


def _form(structure: Structure | None, depth: int = 3) -> str:
    """A container as it would be written, its leaves as *."""
    if structure is None:
        return "*"
    parts = [_form(c, depth - 1) if depth else "..." for c in structure.children[:8]]
    if structure.form is dict:
        parts = [f"{name!r}: {part}" for name, part in zip(structure.names, parts, strict=False)]
    parts += ["..."] * (len(structure.children) > 8)
    around = {dict: "{}", list: "[]", type(None): ("None", "")}.get(
        structure.form, ("(", ",)" if len(parts) == 1 else ")")
    )
    return around[0] + ", ".join(parts) + around[1]


# --- the inside


def _instructions(a: Tape, b: Tape) -> Iterator[tuple[str, list[str]]]:
    """Instructions, what they read, constants, lines, results."""
    alignment = align(a, b)
    counts = [Counter(OPS[code].key for code in tape.opcodes.tolist()) for tape in (a, b)]
    changed = [
        f"{k}: {counts[0][k]} and {counts[1][k]}" for k in sorted(set().union(*counts)) if counts[0][k] != counts[1][k]
    ]
    if changed or len(a) != len(b):
        yield f"instructions: {len(a)} and {len(b)}", _cut(changed)
    if alignment.stretches:
        first, _, second, _ = alignment.stretches[0]
        place = f"v{first}" if first == second else f"v{first} and v{second}"
        note = "" if alignment.complete else ", too much to look for what is the same"
        total = sum(n - m + j - i for m, n, i, j in alignment.stretches)
        yield f"first difference: {place}{note}", _cut(_stretches(a, b, alignment), total)
    yield from _reads(a, b, alignment)
    yield from _constants(a, b, alignment)
    yield from _lines(a, b, alignment)
    yield from _ends(a, b, alignment)


def _stretches(a: Tape, b: Tape, alignment: Alignment) -> Iterator[str]:
    """The instructions that only one of both has."""
    for first, end, second, last in alignment.stretches:
        yield from (f"- {_text(a, i)}" for i in range(first, end))
        yield from (f"+ {_text(b, i)}" for i in range(second, last))


def _text(tape: Tape, i: int) -> str:
    """An instruction in a line."""
    op = OPS[tape.opcodes[i]]
    if tape.opcodes[i] == CONSTANT:
        read = np.array2string(tape.constants[int(tape.attribute_ids[i])], threshold=4, edgeitems=1).replace("\n", "")
        words = [op.name, read]
    elif tape.opcodes[i] == INPUT:
        words = [op.name, str(int(tape.attribute_ids[i]))]
    else:
        attribute = tape.attribute(i)
        words = [title(op, attribute), *(f"v{s}" for s in tape.read(i)[:8])]
        words += [str(attribute)[:60]] if attribute and op.key == title(op, attribute) else []
    t = tape.type(i)
    kind = {"f": "", "i": "integers ", "b": "booleans "}[t.kind]
    return f"v{i} {' '.join(words)} {kind}{t.shape} {_own(tape.line(i))}"


def _reads(a: Tape, b: Tape, alignment: Alignment) -> Iterator[tuple[str, list[str]]]:
    """Instructions that do the same to other slots."""
    one, other = alignment.pairs[:, 0], alignment.pairs[:, 1]
    widths = np.diff(a.starts)[one]
    within = np.arange(int(widths.sum())) - np.repeat(np.cumsum(widths) - widths, widths)
    found = counterparts(alignment, len(a))[a.operands[np.repeat(a.starts[one], widths) + within]]
    wrong = found != b.operands[np.repeat(b.starts[other], widths) + within]
    # What reads an instruction that only one tape has follows from that one.
    wrong &= found != UNKNOWN
    pairs = alignment.pairs[np.unique(np.repeat(np.arange(len(one)), widths)[wrong])]
    if len(pairs):
        lines = (line for i, j in pairs.tolist() for line in (f"- {_text(a, i)}", f"+ {_text(b, j)}"))
        verb = "reads" if len(pairs) == 1 else "read"
        yield f"{_count(len(pairs), 'instruction')} {verb} something else", _cut(lines, 2 * len(pairs))


def _constants(a: Tape, b: Tape, alignment: Alignment) -> Iterator[tuple[str, list[str]]]:
    """Constants of other values, the largest differences first."""
    found = []
    for i, j in alignment.pairs[a.opcodes[alignment.pairs[:, 0]] == CONSTANT].tolist():
        one, other = a.constants[int(a.attribute_ids[i])], b.constants[int(b.attribute_ids[j])]
        if one.tobytes() != other.tobytes() or one.dtype != other.dtype:
            size, text = _apart(one, other)
            if text:
                found.append(
                    (-size, i, f"v{i}{'' if i == j else f' and v{j}'} {one.shape}: {text} ({_own(a.line(i))})")
                )
    if found:
        yield f"{_count(len(found), 'constant')} of other values", _cut([text for _, _, text in sorted(found)])


def _apart(one: Any, other: Any) -> tuple[float, str]:
    """How far constants of one shape are apart, and how that is told; nothing where only the dtypes differ."""
    x, y = np.asarray(one, np.float64).reshape(-1), np.asarray(other, np.float64).reshape(-1)
    same = (one == other).reshape(-1) | ((x != x) & (y != y))
    with np.errstate(all="ignore"):
        distance = np.where(same, 0.0, np.abs(x - y))
    if one.dtype.kind == "i":  # of large integers floats do not tell all
        distance = np.where(same, 0.0, np.maximum(distance, 1.0))
    distance = np.where(np.isnan(distance), np.inf, distance)
    if not distance.any():
        return 0.0, "" if one.dtype != other.dtype else "signs of zeros, or bits of nan"
    k = int(distance.argmax())
    place = "" if not one.shape else f" at {[int(n) for n in np.unravel_index(k, one.shape)]}"
    count = int((distance > 0).sum())
    numbers = "" if one.size == 1 else f", {count} of {one.size} numbers"
    return float(
        distance[k]
    ), f"{one.reshape(-1)[k]} and {other.reshape(-1)[k]}{place}, {distance[k]:.3g} apart{numbers}"


def _own(line: str) -> str:
    return re.split(r"[/\\]", line)[-1]


def _lines(a: Tape, b: Tape, alignment: Alignment) -> Iterator[tuple[str, list[str]]]:
    """Source lines of what is the same."""
    shared = {name: k for k, name in enumerate(dict.fromkeys(_own(n) for n in (*a.lines, *b.lines)))}
    one, other = (np.array([shared[_own(n)] for n in t.lines], np.int64)[t.line_ids] for t in (a, b))
    pairs = alignment.pairs[one[alignment.pairs[:, 0]] != other[alignment.pairs[:, 1]]]
    if len(pairs):
        counts = Counter((_own(a.line(i)), _own(b.line(j))) for i, j in pairs.tolist())
        lines = [f"{x} and {y}: {_count(n, 'instruction')}" for (x, y), n in counts.items()]
        yield "source lines", _cut(lines)


def _ends(a: Tape, b: Tape, alignment: Alignment) -> Iterator[tuple[str, list[str]]]:
    """What is differentiated by, the results, and where the reverse part begins."""
    place = counterparts(alignment, len(a))
    for name in ("independents", "dependents"):
        one, other = getattr(a, name), getattr(b, name)
        moved = len(one) != len(other) or bool((place[one] != other).any())
        if moved and not (len(one) == len(other) and alignment.stretches and UNKNOWN in place[one].tolist()):
            yield name, [" ".join(f"v{s}" for s in one[:8]) + " and " + " ".join(f"v{s}" for s in other[:8])]
    backward = [t.reverse < len(t) for t in (a, b)]
    if backward[0] != backward[1]:
        yield "reverse part: " + " and ".join("there" if there else "none" for there in backward), []
