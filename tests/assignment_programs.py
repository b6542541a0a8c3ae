"""Random programs of assignments and views: written while NumPy runs them, then run with any namespace."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy

from tests.random_programs import Chooser

SHAPES: Final = ((4,), (6,), (3, 4), (2, 6), (3, 1), (1, 4), (2, 3, 2), (4, 3))
LARGEST: Final = 24
SIGNS: Final = (operator.iadd, operator.isub, operator.imul)
Step = tuple[Any, ...]


@dataclass(slots=True)
class Program:
    """Steps that have an effect on a list of arrays."""

    steps: list[Step] = field(default_factory=list)

    def __call__(self, np: Any, x: Any) -> list[Any]:
        """All arrays at the end."""
        arrays = [np.sin(x)]
        for step in self.steps:
            take(step, np, x, arrays)
        return arrays

    def __str__(self) -> str:
        return "\n".join(map(str, self.steps))


def take(step: Step, np: Any, x: Any, arrays: list[Any]) -> None:  # noqa: C901, PLR0912 - one case a step
    """Do one step."""
    what, k, *more = step
    match what:
        case "make":
            make, shape = more
            if make in {"zeros_like", "empty_like", "copy", "asfortranarray", "ascontiguousarray"}:
                made = getattr(np, make)(arrays[k])
                if make == "empty_like":
                    made[...] = 0.25
            elif make == "integers":
                made = np.arange(12)[: int(numpy.prod(shape))].reshape(shape)
            else:
                made = np.zeros(shape) if make == "zeros" else np.full(shape, 0.5)
            arrays.append(made)
        case "compute":
            (other,) = more
            arrays.append(np.cos(arrays[k]) + 0.5 * arrays[other])
        case "alias":
            arrays.append(arrays[k])
        case "index":
            arrays.append(arrays[k][index_of(more[0], x)])
        case "view":
            name, arguments = more
            arrays.append(getattr(np, name)(arrays[k], *arguments))
        case "set":
            index, value = more
            arrays[k][index_of(index, x)] = value_of(value, x, arrays)
        case "change":
            sign, value = more
            arrays[k] = SIGNS[sign](arrays[k], value_of(value, x, arrays))
        case "change part":
            sign, index, value = more
            place = index_of(index, x)
            arrays[k][place] = SIGNS[sign](arrays[k][place], value_of(value, x, arrays))
        case "at":
            index, value = more
            numpy.add.at(arrays[k], index_of(index, x), value_of(value, x, arrays))
        case "out":
            np.multiply(arrays[k], value_of(more[0], x, arrays), out=arrays[more[1]])
        case "fill":
            name, arguments = more
            getattr(np, name)(arrays[k], *arguments)


def index_of(index: Any, x: Any) -> Any:
    """An index; ("places", n, m) are m integers below n that depend on x."""
    if isinstance(index, tuple) and index and index[0] == "places":
        _, n, m = index
        flat = x.reshape(-1)
        return (flat[numpy.arange(m) % flat.shape[0]] * 5.0).astype(int) % n
    if isinstance(index, tuple):
        return tuple(index_of(e, x) for e in index)
    return index


def value_of(value: Any, x: Any, arrays: list[Any]) -> Any:
    """A value to assign."""
    what, k = value
    return k if what == "number" else x.reshape(-1)[k] * 0.75 if what == "x" else arrays[k]


# --- writing


@dataclass(slots=True)
class Writer:
    """Writes a program for an argument; what NumPy refuses is left out."""

    choose: Chooser
    x: Any
    arrays: list[Any] = field(default_factory=list)
    program: Program = field(default_factory=Program)

    def pick(self, items: Any) -> Any:
        return items[self.choose.integer(0, len(items) - 1)]

    def which(self) -> int:
        """One of the arrays, mostly a recent one."""
        last = len(self.arrays) - 1
        return (
            self.choose.integer(max(0, last - 3), last) if self.choose.integer(0, 2) else self.choose.integer(0, last)
        )

    def write(self, length: int) -> Program:
        self.arrays = [numpy.sin(self.x)]
        moves: tuple[Callable[[], Step], ...] = (
            self.make, self.compute, self.alias, self.index, self.index, self.view, self.view, self.set, self.set,
            self.set,
            self.change, self.part, self.at, self.out, self.fill,
        )  # fmt: skip
        for _ in range(length):
            step = self.pick(moves)()
            kept = list(self.arrays)
            try:
                take(step, numpy, self.x, kept)
            except (ValueError, IndexError, TypeError):
                continue
            if kept[-1].size > LARGEST or any(a.size and numpy.abs(a).max() > 1e6 for a in kept):
                self.arrays = Program(self.program.steps)(numpy, self.x)
                continue
            self.arrays = kept
            self.program.steps.append(step)
        return self.program

    def make(self) -> Step:
        kind = self.pick(["zeros", "full", "integers", "zeros_like", "empty_like", "copy", "asfortranarray",
                          "ascontiguousarray"])  # fmt: skip
        return "make", self.which(), kind, self.pick(SHAPES)

    def compute(self) -> Step:
        return "compute", self.which(), self.which()

    def alias(self) -> Step:
        return "alias", self.which()

    def index(self) -> Step:
        k = self.which()
        return "index", k, self.key(self.arrays[k].shape)

    def view(self) -> Step:
        k = self.which()
        a = self.arrays[k]
        if not a.ndim:  # whether it is a number or an array without axes is not known of a Variable
            return "alias", k
        nd, n = a.ndim, a.size
        name, arguments = self.pick(
            [("reshape", ((-1,),)), ("reshape", (self.pick(SHAPES),)), ("ravel", ()), ("ravel", ("F",)),
             ("transpose", ()),
             ("reshape", ((n // 2, 2),)), ("flip", (0,)), ("squeeze", ()), ("expand_dims", (nd // 2,)),
             ("swapaxes", (0, -1)), ("moveaxis", (0, -1)), ("atleast_2d", ()), ("asarray", ()),
             ("ascontiguousarray", ()),
             ("copy", ()), ("reshape", (a.shape,))]
        )  # fmt: skip
        return "view", k, name, arguments

    def set(self) -> Step:
        k = self.which()
        return "set", k, self.key(self.arrays[k].shape), self.value()

    def change(self) -> Step:
        return "change", self.which(), self.choose.integer(0, 2), self.value()

    def part(self) -> Step:
        k = self.which()
        return "change part", k, self.choose.integer(0, 2), self.key(self.arrays[k].shape), self.value()

    def at(self) -> Step:
        k = self.which()
        return "at", k, self.key(self.arrays[k].shape), self.value(arrays=False)

    def out(self) -> Step:
        return "out", self.which(), self.value(), self.which()

    def fill(self) -> Step:
        k = self.which()
        n = max(self.arrays[k].size, 1)
        places = [self.choose.integer(-n, n - 1) for _ in range(3)]
        name, arguments = self.pick(
            [("put", (places, [0.5, 1.5])), ("fill_diagonal", (0.25,)), ("copyto", (0.75,)),
             ("place", (numpy.arange(self.arrays[k].size).reshape(self.arrays[k].shape) % 3 == 1, [0.1, 0.2]))]
        )  # fmt: skip
        return "fill", k, name, arguments

    def value(self, *, arrays: bool = True) -> tuple[str, Any]:
        kind = self.pick(["number", "x", "array", "array"] if arrays else ["number", "x"])
        if kind == "number":
            return kind, self.pick([0.0, 0.5, -1.25])
        return kind, self.choose.integer(0, self.x.size - 1) if kind == "x" else self.which()

    def key(self, shape: tuple[int, ...]) -> Any:
        """An index of any kind."""
        if self.choose.integer(0, 5) == 0 and shape:
            return (
                self.array(shape[0]) if self.choose.integer(0, 2) else ("places", shape[0], self.choose.integer(1, 3))
            )
        if self.choose.integer(0, 7) == 0:
            return numpy.array([bool(self.choose.integer(0, 1)) for _ in range(int(numpy.prod(shape)))]).reshape(shape)
        entries = list(self.entries(shape))
        if self.choose.integer(0, 4) == 0:
            entries.insert(self.choose.integer(0, len(entries)), self.pick([None, Ellipsis]))
        return entries[0] if len(entries) == 1 and self.choose.integer(0, 1) else tuple(entries)

    def entries(self, shape: tuple[int, ...]) -> Iterator[Any]:
        for n in shape[: self.choose.integer(0, len(shape))]:
            match self.choose.integer(0, 6):
                case 0 | 1 | 2 if n:
                    yield self.choose.integer(-n, n - 1)
                case 3 if n:
                    yield self.array(n)
                case 4:
                    yield slice(None, None, self.pick([-1, 2, -2]))
                case _:
                    yield slice(*sorted((self.choose.integer(0, n), self.choose.integer(0, n))))

    def array(self, n: int) -> Any:
        found = [self.choose.integer(-n, n - 1) for _ in range(self.choose.integer(1, 3))] if n else []
        return numpy.array(found, int)
