"""A step: the gradient is looked over, shortened if it is too long, and the parameters are changed.

Parameters whose gradient is whole are changed stretch by stretch of the vector, as long as they come; tables of which
rows were touched in these rows alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import hypot, isfinite
from typing import Any

import numpy as np

from tapegrad.drivers.objective import Objective
from tapegrad.optimizers.optimizer import Optimizer, State
from tapegrad.optimizers.updates import finite
from tapegrad.touched import RowSums


@dataclass(slots=True, eq=False)
class Step:
    """What changes parameters by the gradient that an objective has just computed.

    Attributes:
        objective, optimizer: whose gradient, by which rule.
        vector, gradient: the parameters, and the gradient of those that have a whole one.
        clip_norm: the largest norm of a gradient; None for any.
    """

    objective: Objective
    optimizer: Optimizer
    vector: Any
    gradient: Any
    clip_norm: float | None
    _sums: dict[tuple[int, int], RowSums] = field(default_factory=dict)  # of a leaf and a number of contributions
    _spans: dict[tuple[bool, ...], list[tuple[int, int]]] = field(default_factory=dict)

    def take(self, state: State) -> State | None:
        """Change the vector and the state's moments; None, and nothing is changed, if the gradient is not finite."""
        gathered = self.objective.gathered
        touched = [(k, self._sum(k)) for k, parts in enumerate(gathered) if parts is not None]
        spans = self._whole(tuple(parts is None for parts in gathered))
        pieces = [self.gradient[a:b] for a, b in spans] + [s.values[: s.count].reshape(-1) for _, s in touched]
        if not all(finite(piece) for piece in pieces):
            return None
        scale = self._scale(pieces)
        rule = self.optimizer.rule(state.steps)
        for a, b in spans:
            moments = tuple(m[a:b] for m in state.moments)
            self.optimizer.apply(rule, self.vector[a:b], self.gradient[a:b], moments, scale)
        for k, sums in touched:
            a, b = self.objective.flat.spans[k]
            rows, values = sums.rows[: sums.count], sums.values[: sums.count]
            form = sums.length, values.shape[1]
            moments = tuple(m[a:b].reshape(form) for m in state.moments)
            self.optimizer.apply_rows(rule, self.vector[a:b].reshape(form), rows, values, moments, scale)
        return State(state.steps + 1, state.moments)

    def _sum(self, k: int) -> RowSums:
        """The touched rows of a leaf."""
        parts = self.objective.gathered[k]
        assert parts is not None
        index, values = parts.parts(self.objective.results)
        sums = self._sums.get((k, len(index)))
        if sums is None:
            sums = self._sums[k, len(index)] = RowSums.of(parts.shape, len(index), self.vector.dtype)
        sums.clear()
        sums.add(index, values.astype(self.vector.dtype, copy=False))
        return sums

    def _whole(self, wholes: tuple[bool, ...]) -> list[tuple[int, int]]:
        """The stretches of the vector whose gradient is whole; neighbours are joined."""
        if all(wholes):
            return [(0, len(self.vector))]
        if wholes not in self._spans:
            found: list[tuple[int, int]] = []
            for whole, (a, b) in zip(wholes, self.objective.flat.spans, strict=True):
                if whole and a < b:
                    found[-1:] = [(found[-1][0], b)] if found and found[-1][1] == a else [*found[-1:], (a, b)]
            self._spans[wholes] = found
        return self._spans[wholes]

    def _scale(self, pieces: list[Any]) -> float:
        """What the gradient is multiplied by, so that it is not too long."""
        if self.clip_norm is None:
            return 1.0
        norm, unit = _norm(pieces), 1.0
        if not isfinite(norm):  # squares overflow, in single precision from 2e19 on
            unit = max(float(np.max(np.abs(piece), initial=0.0)) for piece in pieces)
            norm = _norm([piece / unit for piece in pieces])
        return min(1.0, self.clip_norm / unit / norm) if norm > 0 else 1.0


def _norm(pieces: list[Any]) -> float:
    """The Euclidean norm of all pieces; infinite where it overflows."""
    with np.errstate(over="ignore"):
        return hypot(*(float(np.linalg.norm(piece)) for piece in pieces))
