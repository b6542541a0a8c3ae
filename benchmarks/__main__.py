"""`python -m benchmarks [command] [options]`: each command is a module of this package with a `main(arguments)`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

COMMANDS = (
    "finite_differences",
    "recording",
    "calls",
    "compare",
    "derivatives",
    "touched",
    "updates",
    "memory_limit",
    "cost",
)


def main(arguments: Sequence[str]) -> int:
    """Run the command named first in `arguments`, or the first of all where none is named."""
    command, rest = COMMANDS[0], list(arguments)
    if rest and not rest[0].startswith("-"):
        command = rest.pop(0).replace("-", "_")
    if command not in COMMANDS:
        print(f"no benchmark is called {command!r}; there is: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    return int(importlib.import_module(f"benchmarks.{command}").main(rest))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
