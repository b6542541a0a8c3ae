"""Checkpoints: a fit on disk, from which it goes on bit for bit as if it had not been stopped.

A file of arrays and of a text, never pickled, that is written beside the old one and then takes its place: whoever
is killed in between leaves the old one whole.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from tapegrad.atomic import replacing
from tapegrad.errors import CheckpointError, describe
from tapegrad.fitting.best import Best
from tapegrad.fitting.history import Epoch

FORMAT: Final = 2
_BROKEN: Final = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error, RecursionError)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """All that a fit needs to go on after an epoch.

    Attributes:
        vector, kept: the parameters, last and best.
        moments, steps: the optimiser's state.
        losses: of every batch.
        epochs: what was seen.
        best: what is known of the best parameters.
    """

    vector: Any
    kept: Any
    moments: tuple[Any, ...]
    steps: int
    losses: Any
    epochs: tuple[Epoch, ...]
    best: Best


def require_writable(path: Path) -> None:
    """Refuse a path to which nothing can be written, before the work is done."""
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        wanted = "a file in a folder that can be written"
        raise CheckpointError(
            describe("fit", found=f"checkpoint {os.fspath(path)!r}: {error.strerror or error}", wanted=wanted)
        ) from None


def save(path: Path, snapshot: Snapshot, model: Mapping[str, Any]) -> None:
    """Write a snapshot, in one piece or not at all."""
    own = {
        "format": FORMAT,
        "model": model,
        "steps": snapshot.steps,
        "epochs": [asdict(e) for e in snapshot.epochs],
        "best_loss": snapshot.best.loss,
        "best_epoch": snapshot.best.epoch,
        "goal": snapshot.best.goal,
        "waited": snapshot.best.waited,
    }
    text = np.frombuffer(json.dumps(own).encode(), np.uint8)
    moments = {f"moment{k}": m for k, m in enumerate(snapshot.moments)}
    with replacing(path) as file:
        np.savez(file, text=text, vector=snapshot.vector, best=snapshot.kept, losses=snapshot.losses, **moments)


def load(path: Path, model: Mapping[str, Any], moments: int, like: Any) -> Snapshot:
    """Read a snapshot of the same model.

    Args:
        path: the file.
        model: what must be the same, by name.
        moments: vectors of the optimiser's state.
        like: a vector of the parameters' size and dtype.

    Raises:
        CheckpointError: a file that is no checkpoint, is damaged, or is of another model; it says in what.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            own = json.loads(bytes(file["text"]).decode())
            _compare(path, own, model)
            names = ("vector", "best", *(f"moment{k}" for k in range(moments)))
            vectors = [_vector(file[name], like) for name in names]
            losses = file["losses"]
        epochs = tuple(Epoch(**e) for e in own["epochs"])
        if losses.dtype != np.float64 or losses.ndim != 1:
            raise ValueError("losses that are none")
        steps, epoch, waited = (int(own[k]) for k in ("steps", "best_epoch", "waited"))
        best = Best(float(own["best_loss"]), epoch, float(own["goal"]), waited)
    except CheckpointError:
        raise
    except _BROKEN as error:
        found = f"{os.fspath(path)!r}, which cannot be read ({type(error).__name__}: {error})"
        raise CheckpointError(
            describe("fit", found=found, wanted="a checkpoint that fit has written, or no file")
        ) from None
    return Snapshot(vectors[0], vectors[1], tuple(vectors[2:]), steps, losses, epochs, best)


def _compare(path: Path, own: Any, model: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another model, and name the first difference."""
    if own["format"] != FORMAT:
        found, wanted = f"{os.fspath(path)!r} of format {own['format']!r}", f"format {FORMAT}"
        raise CheckpointError(describe("fit", found=found, wanted=wanted))
    theirs, mine = own["model"], json.loads(json.dumps(model))
    for name, wanted in mine.items():
        if theirs.get(name) != wanted:
            found = f"{os.fspath(path)!r}, a checkpoint of another model: {name} {theirs.get(name)!r}"
            raise CheckpointError(describe("fit", found=found, wanted=f"{wanted!r}, or another path"))


def _vector(found: Any, like: Any) -> Any:
    if found.shape != like.shape or found.dtype != like.dtype:
        raise ValueError(f"a vector of shape {found.shape} and dtype {found.dtype}")
    return found
