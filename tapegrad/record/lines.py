"""Which line of the user's code recorded an instruction."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Final


def _folder(package: str) -> str:
    spec = importlib.util.find_spec(package)
    locations = spec.submodule_search_locations if spec is not None else None
    return str(Path(next(iter(locations or ["?"])))) + os.sep


# Frames of these are not the user's.
LIBRARIES: Final = tuple(_folder(p) for p in ("tapegrad", "numpy", "scipy"))


@dataclass(slots=True)
class Lines:
    """The source lines seen so far. A place in bytecode is looked up once; after that it costs a dict's look."""

    names: list[str] = field(default_factory=lambda: ["?"])
    places: dict[tuple[int, int], int] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    kept: list[CodeType] = field(default_factory=list)

    def current(self) -> int:
        """The id of the innermost line that is not a library's."""
        places = self.places
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            key = (id(frame.f_code), frame.f_lasti)
            place = places.get(key)
            if place is None:
                place = self._add(frame, key)
            if place >= 0:
                return place
            frame = frame.f_back
        return 0

    def intern(self, name: str) -> int:
        """The id of a line, a new one if it is new."""
        place = 0 if name == self.names[0] else self.ids.get(name, -1)
        if place < 0:
            place = self.ids[name] = len(self.names)
            self.names.append(name)
        return place

    def _add(self, frame: FrameType, key: tuple[int, int]) -> int:
        code = frame.f_code
        self.kept.append(code)  # its id stays its own
        place = -1
        if not code.co_filename.startswith(LIBRARIES):
            place = self.intern(f"{code.co_filename}:{frame.f_lineno}")
        self.places[key] = place
        return place
