"""Arrays that a function captures: constants by definition, so a change in place must not go unnoticed.

Each is remembered by a fingerprint. Every call looks again: at all of a small array; at one element a page
of a large one, and at one stretch more, another at every call. So a change of 4 KiB or more at once is
found by the next call, a smaller one in a large array within a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import numpy as np

from tapegrad.errors import CapturedArrayError, describe

SMALL: Final = 1 << 20  # bytes looked at in full
FEW: Final = 1 << 16  # bytes; a copy of more is slow
PAGE: Final = 4096
STRETCH: Final = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A captured array, a copy of it if it is small, and of its sample if it is large.

    `turns` chooses the stretch that is looked at next: each recording goes round by itself. `text` are the
    bytes of an array of a few numbers: they are compared quickest (`python -m benchmarks calls`).
    """

    array: Any
    reference: Any
    stretches: tuple[int, ...]
    line: str
    text: bytes | None = None
    turns: Iterator[int] = field(default_factory=count)

    @classmethod
    def of(cls, array: Any, line: str) -> Captured:
        """Remember an array as it is now."""
        whole = _bytes(array)
        if whole is None or len(whole) <= SMALL:
            text = array.tobytes() if array.nbytes <= FEW else None
            return cls(array, array.copy(order="K"), (), line, text)
        return cls(array, _samples(whole).copy(), _hashes(whole), line)

    def check(self) -> None:
        """Raise `CapturedArrayError` if the array is seen to have changed: a quick look."""
        array, reference = self.array, self.reference
        if self.text is not None and array.tobytes() == self.text and array.shape == reference.shape:
            return
        if not self.stretches:
            self._require(_equal(array, reference))
            return
        whole = _bytes(array)
        k = next(self.turns) % len(self.stretches)
        stretch = whole[k * STRETCH : (k + 1) * STRETCH].tobytes()
        self._require(bool(np.array_equal(_samples(whole), reference)) and hash(stretch) == self.stretches[k])

    def check_all(self) -> None:
        """Raise `CapturedArrayError` if the array has changed at all."""
        if not self.stretches:
            self._require(_equal(self.array, self.reference))
        else:
            self._require(_hashes(_bytes(self.array)) == self.stretches)

    def _require(self, same: bool) -> None:
        if not same:
            shape = f"{self.array.dtype} array of shape {self.array.shape}"
            raise CapturedArrayError(
                describe(
                    "captured array",
                    found=f"a {shape} that was changed in place after it was recorded as a constant",
                    wanted="an array that stays as it is, or one passed as an argument (arguments may change freely)",
                    line=self.line,
                )
            )


def _bytes(array: Any) -> Any:
    """The array's memory as uint8[n]; None where it is not one stretch."""
    if array.flags.f_contiguous:
        array = array.T
    if not array.flags.c_contiguous or array.ndim == 0:
        return None
    return array.reshape(-1).view(np.uint8)


def _samples(whole: Any) -> Any:
    """The first eight bytes of each page, so at least one whole element."""
    return whole[: len(whole) // 8 * 8].view(np.uint64)[:: PAGE // 8]


def _hashes(whole: Any) -> tuple[int, ...]:
    return tuple(hash(whole[k : k + STRETCH].tobytes()) for k in range(0, len(whole), STRETCH))


def _equal(array: Any, reference: Any) -> bool:
    if array.shape != reference.shape:
        return False
    whole = _bytes(array)
    if whole is not None:  # quicker than by number, and 0.0 is not -0.0
        return bool(np.array_equal(whole, _bytes(reference)))
    return bool(np.array_equal(array, reference, equal_nan=array.dtype.kind in "fc"))
