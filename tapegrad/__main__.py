"""`python -m tapegrad`: the demo fits a network to handwritten digits; `warmup` compiles the kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_NEEDED: Final = ("matplotlib", "mlxtend", "tqdm")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tapegrad", description="Fit a network of 101,770 parameters to 4,000 handwritten digits."
    )
    parser.add_argument("--epochs", type=_positive, default=20, help="times through all digits (default 20)")
    parser.add_argument("--batch", type=_positive, default=100, help="digits to a gradient (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of every random choice (default 0)")
    parser.add_argument("--out", type=Path, default=Path("tapegrad-demo.png"), help="where to write the picture")
    commands = parser.add_subparsers(dest="command", metavar="{warmup}", title="instead of the demo")
    help_ = "compile all kernels now and keep them on disk, so that no later process has to"
    commands.add_parser("warmup", help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo, or what is named; returns the exit code."""
    chosen = options(arguments)
    if chosen.command == "warmup":
        from tapegrad.warmup import warmup

        warmup()
        return 0
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        print(f"the demo needs {' and '.join(missing)}: pip install 'tapegrad[demo]'", file=sys.stderr)
        return 1
    from tapegrad.demo.run import run

    run(chosen.epochs, chosen.batch, chosen.seed, chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
