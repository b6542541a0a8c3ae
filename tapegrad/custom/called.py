"""What the sweep calls: a primitive's rules that cannot be recorded, and functions at many points one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn, Protocol

import numpy as np

from tapegrad.custom.replay import at_points, replay
from tapegrad.errors import DtypeError, ShapeError, UnsupportedError, describe
from tapegrad.ops.builder import Builder
from tapegrad.ops.row import FLOAT, ArrayType
from tapegrad.record.functions.common import constant
from tapegrad.record.variable import Variable
from tapegrad.tape import Tape

Rule = Callable[..., Any]
VJP: Final = "vjp"  # rule(g, result, *args) -> a derivative for each argument
JVP: Final = "jvp"  # rule(tangents, result, *args) -> the result's tangent


class Owner(Protocol):
    """What a rule is of: a primitive."""

    name: str
    vjp: Rule | None
    jvp: Rule | None

    def rule(self, way: str, k: int, line: str) -> Called:
        """A rule as a function that the sweep calls."""


class Ruled(Protocol):
    """What has rules for its derivative. Way is VJP or JVP, k the argument; a rule takes (seed, result, *args)."""

    name: str

    def evaluate(self, *operands: Any) -> Any:
        """The value."""

    def tape(self, way: str, k: int, types: Sequence[ArrayType], result: ArrayType) -> Tape | None:
        """The rule as a tape; None where it has to be called."""

    def rule(self, way: str, k: int, line: str) -> Any:
        """The rule as a function that the sweep calls."""


def contribution(function: Ruled, b: Builder, way: str, k: int) -> int | None:
    """What operand k's adjoint, or from it the result's tangent, receives: by a recorded rule, else by a call of it."""
    if b.types[k].kind != FLOAT:
        return None
    seed, wanted = (b.result_type, b.types[k]) if way == VJP else (b.types[k], b.result_type)
    refs = [b.full(b.seed, seed), b.result, *b.operands]
    tape = function.tape(way, k, b.types, b.result_type)
    if tape is None:
        return b.apply("primitive", (function.rule(way, k, b.line), wanted.shape), *refs)
    found = replay(b, tape, refs)
    if b.type(found).shape != wanted.shape:
        text = f"shape {b.type(found).shape}" + (f" for argument {k}" if way == VJP else "")
        raise ShapeError(describe(f"{function.name}.{way}", found=text, wanted=f"shape {wanted.shape}", line=b.line))
    return found


class _Called:
    """What the sweep calls and no tape is made of."""

    name: str
    line = ""

    def evaluate(self, *operands: Any) -> Any:
        """The value."""
        raise NotImplementedError

    def tape(self, *_: Any) -> Tape | None:
        """There is none."""
        return None

    def rule(self, *_: Any) -> Any:
        """There is none."""
        self.refuse()

    def refuse(self) -> NoReturn:
        """Say that a rule that is called has no derivative."""
        raise UnsupportedError(
            describe(
                self.name,
                found="a derivative of the rule, which calls what cannot be recorded",
                wanted="a rule made of NumPy functions, or of another tapegrad.primitive",
                line=self.line,
            )
        )

    def adjoint(self, b: Builder, k: int) -> int | None:
        """What operand k's adjoint receives."""
        return contribution(self, b, VJP, k)

    def tangent(self, b: Builder, k: int) -> int | None:
        """What the result's tangent receives from operand k's."""
        return contribution(self, b, JVP, k)

    def each(self, batched: tuple[bool, ...], length: int) -> Each:
        """The same at many points."""
        return Each(self, batched, length)


class Called(_Called):
    """A rule that is called by the sweep, for one argument: of a seed, the result and the arguments.

    It is linear in the seed: along that its derivative is itself, or the owner's other rule. It has no others.
    """

    def __init__(self, owner: Owner, way: str, place: int, line: str = "") -> None:
        self.name = f"{owner.name}.{way}"
        self.function = owner.vjp if way == VJP else owner.jvp
        self.owner, self.way, self.place, self.line = owner, way, place, line

    def evaluate(self, seed: Any, result: Any, *args: Any) -> Any:
        """The derivative to one argument; forward, along the tangent of one argument."""
        assert self.function is not None
        if self.way == JVP:
            tangents = tuple(seed if k == self.place else _zeros(v) for k, v in enumerate(args))
            pushed = self.function(tangents, result, *args)
            return _zeros(result) if pushed is None else pushed
        found = self.function(seed, result, *args)
        if not isinstance(found, (tuple, list)) or len(found) != len(args):
            what = f"{len(found)} derivatives" if isinstance(found, (tuple, list)) else f"a {type(found).__name__}"
            wanted = f"a tuple of one derivative, or None, for each of {len(args)} arguments"
            raise DtypeError(describe(self.name, found=what, wanted=wanted, line=self.line))
        return _zeros(args[self.place]) if found[self.place] is None else found[self.place]

    def rule(self, way: str, k: int, line: str) -> AtSeed:
        """Along the seed."""
        if k:
            self.refuse()
        return AtSeed(self if way == JVP else self.owner.rule(JVP if self.way == VJP else VJP, self.place, line))


class AtSeed(_Called):
    """A rule at another seed, as the derivative of one along its seed: of (seed, value, seed before, result, args)."""

    def __init__(self, called: Called) -> None:
        self.called, self.name, self.line = called, called.name, called.line

    def evaluate(self, seed: Any, *operands: Any) -> Any:
        """The rule's value."""
        return self.called.evaluate(seed, *operands[2:])


class Each(_Called):
    """A function at many points: it is called for one after another.

    `batched`: which operands differ from point to point; `total`: of a rule whose results are added up, the operand
    that they belong to, else -1.
    """

    def __init__(self, inner: Any, batched: tuple[bool, ...], length: int, total: int = -1) -> None:
        self.inner, self.batched, self.length, self.total = inner, batched, length, total
        self.name, self.line = inner.name, getattr(inner, "line", "")

    def evaluate(self, *operands: Any) -> Any:
        """The values at all points, stacked or added."""
        found = [
            np.asarray(self.inner.evaluate(*(v[i] if b else v for v, b in zip(operands, self.batched, strict=True))))
            for i in range(self.length)
        ]
        if self.total >= 0:
            return sum(found, np.zeros(np.shape(operands[self.total])))
        return np.stack(found)

    def tape(self, way: str, k: int, types: Sequence[ArrayType], result: ArrayType) -> Tape | None:
        """The rule at many points, where it can be recorded."""
        if self.total >= 0:
            return None
        points = [ArrayType(t.shape[1:], t.kind) if b else t for t, b in zip(types, self.batched, strict=True)]
        tape = self.inner.tape(way, k, points, ArrayType(result.shape[1:], result.kind))
        if tape is None:
            return None
        return at_points(tape, self._flags(way, k), self.length, total=self._total(way, k) >= 0)

    def rule(self, way: str, k: int, line: str) -> Each:
        """The rule, called at one point after another."""
        if self.total >= 0:
            self.refuse()
        return Each(self.inner.rule(way, k, line), self._flags(way, k), self.length, self._total(way, k))

    def _flags(self, way: str, k: int) -> tuple[bool, ...]:
        """Which operands of a rule differ from point to point: the seed, the result, arguments."""
        return (way == VJP or self.batched[k], True, *self.batched)

    def _total(self, way: str, k: int) -> int:
        """An argument that is the same at all points receives the sum: its place among a rule's operands, or -1."""
        return 2 + k if way == VJP and not self.batched[k] else -1


def _zeros(v: Any) -> Any:
    return constant(v._recorder, 0.0, v.shape, FLOAT) if isinstance(v, Variable) else np.zeros(np.shape(v))
