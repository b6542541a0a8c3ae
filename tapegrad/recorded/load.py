"""`load`: a tape from a file."""

from __future__ import annotations

import os
import sys
from typing import Final

from tapegrad.drivers.limits import MemoryLimit, bytes_of
from tapegrad.files.read import read
from tapegrad.recorded.fixed import FixedTape

MEMORY: Final = 4 << 30


def load(path: str | os.PathLike[str], *, memory_limit: MemoryLimit = MEMORY) -> FixedTape:
    """Read a tape that `save` has written: it runs without the function, on any machine.

    All of the file is checked before anything of it is run, as `docs/files.md` tells: a file that is damaged, that is
    something else, or that was made to do harm is refused.

    Args:
        path: the file.
        memory_limit: bytes that the file, and a sweep with its results, may take, as an int or as text such as "1 GB".
            None for any number.

    Returns:
        The tape. A namedtuple among the arguments or in the result is a tuple, a dataclass is a dict.

    Raises:
        TapeFileError: a file that is no tape, is damaged, is of another format, or needs more memory.
        SettingError: a limit that is no number of bytes.
        FileNotFoundError, PermissionError: a path that cannot be read.

    >>> import tempfile, numpy as np, tapegrad as tg
    >>> tape = tg.record(lambda x: np.sum(x * x), np.ones(2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tape.save(f"{folder}/square.npz")
    ...     loaded = tg.load(f"{folder}/square.npz")
    >>> float(loaded(np.array([1.0, 3.0])))
    10.0
    """
    limit = bytes_of(memory_limit, "load")
    tape, interface, program = read(path, sys.maxsize if limit is None else limit)
    return FixedTape(tape, interface, program)
