"""Adam, in place. Kingma & Ba, Adam: a method for stochastic optimization (2015), algorithm 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tapegrad.demo.network import Parameters

_BETA1: Final = 0.9
_BETA2: Final = 0.999
_EPSILON: Final = 1e-8


@dataclass(slots=True)
class Adam:
    """The running means of the gradient and of its square, and the number of steps taken."""

    rate: float
    steps: int = 0
    mean: Parameters = field(default_factory=dict)
    square: Parameters = field(default_factory=dict)

    def step(self, params: Parameters, gradient: Parameters) -> None:
        """Change the parameters against the gradient."""
        self.steps += 1
        size = self.rate * np.sqrt(1 - _BETA2**self.steps) / (1 - _BETA1**self.steps)
        for name, g in gradient.items():
            m = self.mean.setdefault(name, np.zeros_like(g))
            v = self.square.setdefault(name, np.zeros_like(g))
            m += (1 - _BETA1) * (g - m)
            v += (1 - _BETA2) * (g * g - v)
            params[name] -= size * m / (np.sqrt(v) + _EPSILON)
