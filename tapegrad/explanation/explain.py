"""`explain`: a tape with its numbers: values, partials, adjoints and how they came about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from tapegrad.drivers.arguments import Argnums, bind, is_parameter, positions, user_line
from tapegrad.drivers.interface import Interface
from tapegrad.drivers.recorded import trace
from tapegrad.errors import BranchError, DtypeError, ElementIndexError, ShapeError, UnsupportedError, describe
from tapegrad.explanation.differences import Difference, compared
from tapegrad.explanation.dissection import Step, dissect
from tapegrad.ops.row import FLOAT
from tapegrad.ops.table import OPS
from tapegrad.pages.file import in_notebook, save
from tapegrad.passes.optimize import optimize
from tapegrad.pictures.numbers import numbers
from tapegrad.pictures.picture import Picture, draw
from tapegrad.reading.account import account, gradient_rows, sweep_rows, table_rows
from tapegrad.tape import Tape
from tapegrad.trees import flatten, unflatten
from tapegrad.values import values

__all__ = ["Difference", "Explanation", "Step", "explain", "values_for"]

_MOST: Final = 2 << 30  # bytes of all values together
_VIEWS: Final = frozenset({"reshape", "transpose", "broadcast_to", "slice", "item"})  # they take no memory


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """A tape with its numbers for some arguments; `print` shows them as a table, then the reverse sweep step by step.

    Attributes:
        tape: the tape that is explained.
        full: that tape (slots 0 to n-1), then the partials, then the reverse part; `full.reverse` is n. Dependents are
            the tape's, then one gradient an independent.
        interface: arguments and result.
        inputs: one array an input.
        values: one array for each slot of `full`.
        partials: for each instruction of the tape and each of its operands the slot of the partial, or -1: there is one
            where the op works element by element, or its result is one number.
        seeds: for each dependent the slot of its seed, or -1 for one that is not floating.
        steps: the contributions of the reverse sweep in their order.
        adjoints: for each slot of the tape the slot of its adjoint, or -1: the result does not depend on it.
            An adjoint may be narrower than its slot: it broadcasts.
        differences: for each slot of the tape a finite difference beside its adjoint, or None.
        remark: what was left out of the differences, and why.
        name: of the function.

    >>> import numpy as np, tapegrad as tg
    >>> found = tg.explain(lambda x, y: x * y + np.sqrt(x), 4.0, 3.0)
    >>> float(found.value), [float(g) for g in found.gradient]
    (14.0, [3.25, 4.0])
    >>> [float(found.values[slot]) for slot in found.partials[2]]  # of x * y
    [3.0, 4.0]
    """

    tape: Tape
    full: Tape
    interface: Interface
    inputs: tuple[Any, ...]
    values: tuple[Any, ...]
    partials: tuple[tuple[int, ...], ...]
    seeds: tuple[int, ...]
    steps: tuple[Step, ...]
    adjoints: tuple[int, ...]
    differences: tuple[Difference | None, ...]
    remark: str
    name: str

    @property
    def value(self) -> Any:
        """The function's value."""
        found = [self.values[s] for s in self.tape.dependents.tolist()]
        return unflatten(self.interface.result, [_plain(v) for v in found])

    @property
    def gradient(self) -> Any:
        """The gradient, of the structure of the arguments: a tuple where it is by several of them."""
        slots = self.full.dependents.tolist()[len(self.tape.dependents) :]
        leaves = [_plain(self.values[slots[k]]) for k in self.interface.gradients()]
        return unflatten(self.interface.with_gradient().result, [0.0, *leaves])[1]

    def __len__(self) -> int:
        return len(self.tape)

    def __str__(self) -> str:
        return account(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the explanation as a page: one HTML file that needs nothing else and no network.

        It steps forward and back through both sweeps, and computes them anew where the reader changes an input.

        >>> import tempfile, numpy as np, tapegrad as tg
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tg.explain(lambda x: x * np.sin(x), 2.0).save(f"{folder}/tape.html")
        ...     open(f"{folder}/tape.html").read(15)
        '<!doctype html>'
        """
        save(self, path)

    def _repr_html_(self) -> str:
        """What Jupyter shows: the page."""
        return in_notebook(self)

    def table(self, first: int | None = None, last: int | None = None) -> str:
        """Instructions with their numbers: all, or from `first` on and up to `last`, as in a slice of a list."""
        return "\n".join(table_rows(self, [range(len(self.tape))[first:last]]))

    def sweep(self, first: int | None = None, last: int | None = None) -> str:
        """The steps of the reverse sweep: all, or from `first` on and up to `last`, as in a slice of a list."""
        return "\n".join(sweep_rows(self, [range(len(self.steps))[first:last]]))

    def draw(self, **options: Any) -> Picture:
        """The picture of the tape, with values and adjoints in its boxes and partials on its arrows.

        Args:
            options: as for `tapegrad.pictures.picture.draw`.
        """
        return draw(self.tape, numbers(self), **options)

    def gradients(self) -> str:
        """The gradient as text, one line an array."""
        return "\n".join(gradient_rows(self))


def explain(
    f: Any, *args: Any, argnums: Argnums | None = None, seed: Any = None, differences: bool | None = None
) -> Explanation:
    """The tape of a function with the value of each instruction, its partials, its adjoint and a finite difference.

    Args:
        f: a function written in NumPy, or a tape: what `tapegrad.record` or `tapegrad.load` returns.
        args: its arguments.
        argnums: the arguments to differentiate by, as for `value_and_grad`. By default all that can be: those all of
            whose leaves are floats, or float64 or float32 arrays; of a tape those it was recorded with.
        seed: the adjoint of the result, of its structure and shapes. By default 1, or arrays of ones.
        differences: whether to compare each adjoint with a central difference; of an array the entry with the largest
            adjoint is compared. By default as many as do not take long: all, those of the arguments, or none.

    Returns:
        An `Explanation`: `print` shows it, its attributes hold the numbers.

    The result's adjoint is the seed; going back, each instruction adds its own adjoint times a partial to the adjoint
    of each of its operands (Griewank & Walther, Evaluating Derivatives, 2nd ed. 2008, section 3.2).

    Raises:
        DtypeError: no argument that can be differentiated, or one given in `argnums` that cannot.
        ShapeError: a seed of other shapes than the result; arguments that the tape was not recorded for.
        BranchError: a tape, and arguments for which a branch would go another way than recorded.
        UnsupportedError: a function for which there is no rule; a tape whose values would not fit in 2 GB.

    >>> import numpy as np, tapegrad as tg
    >>> print(tg.explain(lambda x, y: x * y, 2.0, 3.0))
    <lambda>: 3 instructions, float64, value 6
        op        operands  value  partials   adjoint  finite difference
    v0  input     x         2                 3        3
    v1  input     y         3                 2        2
    v2  multiply  v0 v1     6      ∂/∂v0 = 3  1        1
                                   ∂/∂v1 = 2
    <BLANKLINE>
    reverse sweep: back from the result, each instruction adds its adjoint × a partial to the adjoint of each operand
    seed: adjoint v2 = 1
    v2 → v0:  adjoint v0 = 0 + 1 × 3 = 3
    v2 → v1:  adjoint v1 = 0 + 1 × 2 = 2
    <BLANKLINE>
    gradient by x:  3
    gradient by y:  2
    finite differences agree with all 3 adjoints
    """
    tape, interface, inputs, fresh = _taped(f, args, argnums)
    tape = replace(tape, constants=tuple(np.array(c) for c in tape.constants))
    inputs = tuple(np.array(x) for x in inputs)
    seeds = _seeds(tape, interface, seed)
    found = dissect(tape, seeds)
    _require_memory(found.full)
    known = _values(found.full, inputs)
    if not fresh:
        _require_branches(tape, known)
    adjoints = [known[s] if s >= 0 else None for s in found.adjoints]
    checks, remark = compared(tape, inputs, seeds, adjoints, differences)
    return Explanation(
        tape=tape,
        full=found.full,
        interface=interface,
        inputs=inputs,
        values=tuple(known),
        partials=found.partials,
        seeds=found.seeds,
        steps=found.steps,
        adjoints=found.adjoints,
        differences=checks,
        remark=remark,
        name=_name(f),
    )


def _name(f: Any) -> str:
    """What the heading calls a function, or a tape."""
    if isinstance(getattr(f, "tape", None), Tape):
        f = getattr(f, "function", None)
        return "tape" if f is None else _name(f)
    return str(getattr(f, "__name__", type(f).__name__))


def _plain(array: Any) -> Any:
    """An array, or the number that it is."""
    return array if array.ndim else array[()]


def _taped(f: Any, args: Sequence[Any], argnums: Argnums | None) -> tuple[Tape, Interface, Sequence[Any], bool]:
    """The tape of a function or of a recorded one, its outside, its inputs, and whether it was recorded for them."""
    tape, interface = getattr(f, "tape", None), getattr(f, "interface", None)
    if isinstance(tape, Tape) and isinstance(interface, Interface):
        inputs = interface.inputs(args, tape)
        if not interface.parameters:
            _parameters(args)
        if argnums is not None:
            tape = replace(tape, independents=_independents(tape, interface, argnums))
            interface = replace(interface, argnums=argnums)
        return tape, interface, inputs, False
    chosen = _parameters(args) if argnums is None else argnums
    arguments = bind(args, positions(chosen, len(args)))
    made = trace(f, arguments, scalar=False, floating=False)
    interface = Interface.of(f, arguments, chosen, made.structure)
    return optimize(made.tape), interface, arguments.inputs, True


def _parameters(args: Sequence[Any]) -> tuple[int, ...]:
    """The arguments that can be differentiated by."""
    found = []
    for k, arg in enumerate(args):
        leaves = flatten(arg)[0]
        if leaves and all(is_parameter(leaf) for leaf in leaves):
            found.append(k)
    if not found:
        bind(args, ())  # what is wrong with them may be told better
        given = ", ".join(f"args[{k}] of type {type(arg).__name__}" for k, arg in enumerate(args)) or "no arguments"
        wanted = "an argument whose leaves are all floats (2.0, not 2), or float64 or float32 arrays"
        raise DtypeError(describe("explain", found=given, wanted=wanted, line=user_line()))
    return tuple(found)


def _independents(tape: Tape, interface: Interface, argnums: Argnums) -> Any:
    """The slots of the inputs that are leaves of these arguments."""
    wanted = positions(argnums, len(interface.parameters))
    inputs = interface.inputs_of(wanted)
    slots = tape.inputs[np.array(inputs, np.int64)]
    labels = interface.labels()
    for k, slot in zip(inputs, slots.tolist(), strict=True):
        if tape.type(slot).kind != FLOAT:
            text = f"{labels[k]}, of dtype {tape.type(slot).dtype(tape.dtype)}"
            raise DtypeError(describe("explain", found=text, wanted="floating arguments", line=user_line()))
    return slots.astype(np.int32)


def _seeds(tape: Tape, interface: Interface, seed: Any) -> list[Any]:
    """An array for each dependent; None for one that is not floating."""
    types = [tape.type(d) for d in tape.dependents.tolist()]
    if seed is None:
        return [np.ones(t.shape, tape.dtype) if t.kind == FLOAT else None for t in types]
    leaves, structure = ([seed], None) if interface.result is None else flatten(seed)
    if structure != interface.result:
        wanted = "the structure of the result"
        raise ShapeError(describe("explain", found="a seed nested in another way", wanted=wanted, line=user_line()))
    found = []
    for leaf, wanted_type in zip(leaves, types, strict=True):
        array = np.asarray(leaf)
        if array.dtype.kind not in "fiub":
            text = f"a seed of dtype {array.dtype}"
            raise DtypeError(describe("explain", found=text, wanted="floating arrays", line=user_line()))
        if array.shape != wanted_type.shape:
            text, wanted = f"a seed of shape {array.shape}", f"shape {wanted_type.shape}, that of the result"
            raise ShapeError(describe("explain", found=text, wanted=wanted, line=user_line()))
        found.append(np.array(array, tape.dtype) if wanted_type.kind == FLOAT else None)
    return found


def _require_memory(full: Tape) -> None:
    """Refuse a tape whose values would fill the memory."""
    sizes = np.array([t.size * t.dtype(full.dtype).itemsize for t in full.types], np.float64)[full.type_ids]
    own = np.array([not (op.leaf or op.name in _VIEWS) for op in OPS])[full.opcodes]
    total = float(np.sum(sizes[own]))
    if total > _MOST:
        found = f"a tape whose values and adjoints take {total / 1e9:.1f} GB"
        wanted = "2 GB at most: smaller arrays show the same"
        raise UnsupportedError(describe("explain", found=found, wanted=wanted, line=user_line()))


def values_for(tape: Tape, inputs: Sequence[Any]) -> list[Any]:
    """The value of every slot, for arguments that take the recorded way.

    Raises:
        BranchError: arguments for which a branch would go another way.
        ElementIndexError: an index outside its axis.
    """
    known = _values(tape, inputs)
    _require_branches(tape, known)
    return known


def _values(full: Tape, inputs: Sequence[Any]) -> list[Any]:
    """The value of every slot."""
    try:
        return values(full, inputs)
    except IndexError as error:
        text = describe("explain", found=str(error), wanted="indices within the axis", line=user_line())
        raise ElementIndexError(text) from error


def _require_branches(tape: Tape, known: Sequence[Any]) -> None:
    """Refuse arguments for which a branch goes another way than it was recorded."""
    for i, code in enumerate(tape.opcodes.tolist()):
        if OPS[code].effect and not np.all(known[i]):
            found = "arguments for which a branch on a value goes another way than it was recorded"
            wanted = "arguments that take the recorded way, or the function itself, which is recorded anew"
            raise BranchError(describe("explain", found=found, wanted=wanted, line=tape.line(i)))
