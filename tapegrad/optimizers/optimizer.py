"""First-order methods: what all of them are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tapegrad.errors import SettingError, UnsupportedError, describe
from tapegrad.flat import Flat
from tapegrad.optimizers.schedules import Rate, rate_at
from tapegrad.touched import TouchedRows

Vector: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """What an optimiser remembers: the number of steps taken, and its moments, each a vector like the parameters'."""

    steps: int
    moments: tuple[Vector, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """An update of `tapegrad.optimizers.updates`: over all entries, over some rows, and its settings at a step.

    Both are called with parameters, (rows,) gradient, moments, the gradient's scale and the settings.
    """

    entries: Callable[..., None]
    rows: Callable[..., None]
    settings: tuple[float, ...]


class Optimizer(ABC):
    """A first-order method: parameters are changed by a gradient and what is remembered of those before.

    `init` and `update` are pure, and take nested parameters. `step` does the same to vectors where they lie, which
    is what `tapegrad.fit` uses.

    >>> import numpy as np
    >>> from tapegrad.optimizers import Adam
    >>> params = {"x": np.array([1.0, 2.0])}
    >>> adam = Adam(rate=0.1)
    >>> state = adam.init(params)
    >>> params, state = adam.update(params, {"x": np.array([1.0, -1.0])}, state)
    >>> params["x"].round(6), state.steps
    (array([0.9, 2.1]), 1)
    """

    __slots__ = ()
    rate: Rate

    @property
    @abstractmethod
    def moments(self) -> int:
        """How many vectors are remembered."""

    @abstractmethod
    def rule(self, step: int) -> Rule:
        """The update at a step, counted from 0."""

    def init(self, params: Any) -> State:
        """The state before the first step. `DtypeError` for parameters that are not floating."""
        return self.start(Flat.of(params, type(self).__name__))

    def start(self, flat: Flat) -> State:
        """The state before the first step, for parameters that lie in a vector."""
        return State(0, tuple(np.zeros(flat.size, flat.dtype) for _ in range(self.moments)))

    def update(self, params: Any, gradient: Any, state: State) -> tuple[Any, State]:
        """Parameters and state after a step; what is given stays as it is.

        Args:
            params: nested floating parameters.
            gradient: of their structure and shapes.
            state: what `init` or the last `update` returned.

        Raises:
            DtypeError, ShapeError: parameters, gradient and state that do not fit together.
        """
        name = type(self).__name__
        flat = Flat.of(params, name)
        if any(isinstance(leaf, TouchedRows) for leaf in _leaves(gradient)):
            found, wanted = "a gradient of TouchedRows", "whole arrays (to_dense()); tapegrad.fit takes rows"
            raise UnsupportedError(describe(name, found=found, wanted=wanted))
        vector, change = flat.vector(params, name), flat.vector(gradient, name)
        if len(state.moments) != self.moments or any(m.shape != vector.shape for m in state.moments):
            found, wanted = "a state of other parameters or of another optimiser", "what `init` returned for these"
            raise SettingError(describe(name, found=found, wanted=wanted))
        own = State(state.steps, tuple(m.astype(flat.dtype) for m in state.moments))
        after = self.step(vector, change, own)
        return flat.restore(vector), after

    def step(self, vector: Vector, gradient: Vector, state: State, scale: float = 1.0) -> State:
        """Change a vector and the state's moments in place; the gradient counts `scale` times."""
        self.apply(self.rule(state.steps), vector, gradient, state.moments, scale)
        return State(state.steps + 1, state.moments)

    @staticmethod
    def apply(rule: Rule, vector: Vector, gradient: Vector, moments: tuple[Vector, ...], scale: float) -> None:
        """Change vectors, or stretches of them, in place."""
        number = vector.dtype.type
        rule.entries(vector, gradient, *moments, number(scale), *map(number, rule.settings))

    @staticmethod
    def apply_rows(rule: Rule, table: Any, rows: Any, values: Any, moments: tuple[Any, ...], scale: float) -> None:
        """Change some rows of a table (n, k) in place; rows are int64[m], no two alike, values (m, k)."""
        number = table.dtype.type
        rule.rows(table, rows, values, *moments, number(scale), *map(number, rule.settings))

    def rate_at(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        return rate_at(self.rate, step)


def _leaves(tree: Any) -> list[Any]:
    """The leaves of a container; touched rows count as one, though they are a dataclass."""
    if isinstance(tree, TouchedRows):
        return [tree]
    children = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, (list, tuple)) else ()
    return [leaf for child in children for leaf in _leaves(child)]


def require(optimizer: object, name: str, value: float, low: float, high: float, wanted: str) -> None:
    """Refuse a setting outside of [low, high)."""
    if not low <= value < high:
        raise SettingError(describe(type(optimizer).__name__, found=f"{name}={value!r}", wanted=wanted))


def require_rate(optimizer: Optimizer) -> None:
    """Refuse a rate that is neither a schedule nor a positive number."""
    rate = optimizer.rate
    number = isinstance(rate, (int, float, np.number)) and not isinstance(rate, bool)
    if not callable(rate) and not (number and 0 < rate < float("inf")):
        wanted = "a positive number, or a function of the step"
        raise SettingError(describe(type(optimizer).__name__, found=f"rate={rate!r}", wanted=wanted))
