"""What the numbers were measured on: the processor and the versions, nothing that names the host."""

from __future__ import annotations

import importlib.metadata
import os
import platform

from tapegrad.info import processor


def describe() -> str:
    """One line: processor, cores, system, Python and the libraries that matter."""
    libraries = ", ".join(f"{name} {importlib.metadata.version(name.lower())}" for name in ("NumPy", "numba"))
    cores = os.cpu_count() or 1
    return (
        f"{processor()} ({cores} core{'s' if cores > 1 else ''}), {platform.system()}, "
        f"Python {platform.python_version()}, {libraries}"
    )
