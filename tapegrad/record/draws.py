"""Random numbers that a function draws while it is recorded: constants of the recording, the same at every call.

That is seldom meant, and nothing else tells. So the states of the generators that the function can reach are compared
with what they were: NumPy's and Python's global ones, those among its arguments and in its surroundings.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from tapegrad.record.surroundings import Surroundings


class Draws:
    """The states of random generators before a function runs."""

    def __init__(self, surroundings: Surroundings, objects: Iterable[Any]) -> None:
        values = [*objects, *(value for _, _, value, _ in surroundings.names)]
        found = {id(v): v for v in values if isinstance(v, (np.random.Generator, np.random.RandomState))}
        self._generators = [(g, _state(g)) for g in found.values()]
        self._numpy, self._python = _state(np.random.mtrand._rand), hash(random.getstate())

    def who(self) -> str:
        """Whose numbers have been drawn since; empty if nobody's."""
        if _state(np.random.mtrand._rand) != self._numpy:
            return "numpy.random"
        if hash(random.getstate()) != self._python:
            return "random"
        return next((type(g).__name__ for g, before in self._generators if _state(g) != before), "")


def _state(generator: Any) -> Any:
    """Where a generator is."""
    bits = generator.bit_generator if isinstance(generator, np.random.Generator) else generator._bit_generator
    found = bits.state
    inner = found["state"]
    if "key" in inner:  # a Mersenne twister: 624 words, of which all change at once
        return inner["pos"], inner["key"][:2].tobytes()
    return repr(found)
