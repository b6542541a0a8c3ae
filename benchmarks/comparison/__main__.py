"""What the child processes of `python -m benchmarks compare` run; not meant to be called by hand."""

from __future__ import annotations

import importlib
import sys


def main(arguments: list[str]) -> int:
    """Hand the second argument to the module that the first one names."""
    name, text = arguments
    return int(importlib.import_module(f"benchmarks.comparison.{name}").child_main(text))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
