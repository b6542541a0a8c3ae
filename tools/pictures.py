"""Writes the pictures of `docs/pictures`.

python -m tools.pictures            write them
python -m tools.pictures --check    exit 1 if one is not fresh
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

import tapegrad as tg
from tapegrad.pictures.picture import Picture

FOLDER: Final = Path(__file__).parent.parent / "docs" / "pictures"


def seven(x1: Any, x2: Any) -> Any:
    """The example of the tutorial has seven slots."""
    return np.log(x1) + x1 * x2 - np.sin(x2)


def network(params: Any, x: Any, y: Any) -> Any:
    """Two layers and the cross entropy of a softmax."""
    hidden = np.tanh(x @ params["w1"] + params["b1"])
    z = hidden @ params["w2"] + params["b2"]
    z = z - np.max(z, axis=1, keepdims=True)
    log_p = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(np.sum(log_p * y, axis=1))


def pendulum(start: Any, length: Any, damping: Any) -> Any:
    """A damped pendulum, 2,000 steps of the symplectic Euler method: 22,000 instructions."""
    angle, speed = start[0], start[1]
    for _ in range(2000):
        pull = 9.81 * np.sin(angle) / length + damping * speed * np.abs(speed)
        speed = speed - 0.005 * pull
        angle = angle + 0.005 * speed
    return angle


def pictures() -> dict[str, Callable[[], Picture]]:
    """How each picture is made, by file name."""
    params = {"w1": np.ones((4, 16)), "b1": np.zeros(16), "w2": np.ones((16, 3)), "b2": np.zeros(3)}
    example = (params, np.ones((32, 4)), np.ones((32, 3)))
    return {
        "seven.svg": lambda: tg.record(seven, 2.0, 5.0, argnums=(0, 1)).draw(2.0, 5.0, direction="right"),
        "seven-gradient.svg": lambda: tg.record(seven, 2.0, 5.0, argnums=(0, 1)).adjoint().draw(),
        "network.svg": lambda: tg.record(network, *example).adjoint().draw(),
        "pendulum.svg": lambda: tg.record(pendulum, np.array([1.0, 0.0]), 2.0, 0.1, argnums=(0, 1, 2)).adjoint().draw(),
    }


def page(path: Path) -> None:
    """Write the page of the tutorial's example."""
    tg.explain(seven, 2.0, 5.0).save(path)


def stale() -> list[str]:
    """The names of pictures that are not as they would be written now."""
    found = []
    for name, make in pictures().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != make().svg:
            found.append(name)
    return found


def main(arguments: list[str]) -> int:
    """Write or check the pictures."""
    if arguments == ["--check"]:
        names = stale()
        if names:
            print(f"{', '.join(names)}: not fresh, run python -m tools.pictures", file=sys.stderr)
        return bool(names)
    FOLDER.mkdir(exist_ok=True)
    for name, make in pictures().items():
        make().save(FOLDER / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
