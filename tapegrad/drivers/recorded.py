"""A function and its recordings: one for each signature of arguments and each way its branches went."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Arguments, Signature
from tapegrad.drivers.kept import Recording, Search
from tapegrad.errors import CapturedArrayError, DtypeError, RerecordingWarning, ShapeError, UnsupportedError, describe
from tapegrad.ops.row import FLOAT
from tapegrad.passes.optimize import optimize
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.recorder import Recorder
from tapegrad.record.surroundings import Surroundings
from tapegrad.record.variable import Variable
from tapegrad.schedule.program import schedule
from tapegrad.sweep.run import GuardFailure, Runner
from tapegrad.tape import Tape
from tapegrad.trees import Structure, flatten

KEPT: Final = 64  # signatures, and recordings of each; the least recently used goes first
PATHS: Final = 4  # short ways: arguments of so many forms may take turns
MANY: Final = 16  # recordings after which a warning names the cause

VALUE, GRADIENT, PULLBACK = "value", "gradient", "pullback"


def trace(
    function: Callable[..., Any], arguments: Arguments, *, scalar: bool
) -> tuple[Tape, Recorder, Structure | None, Surroundings]:
    """Run a function on Variables, once; what it reads from outside itself is watched, and not changed.

    Args:
        function: the user's function.
        arguments: what it is recorded for.
        scalar: whether the result must be one floating scalar.
    """
    before = Surroundings.of(function, arguments.objects())
    recorder = Recorder(arguments.signature.dtype, FUNCTIONS, before.arrays())
    filled = arguments.fill(lambda array, wanted: recorder.input(array, independent=wanted))
    try:
        result = function(*filled)
        leaves, structure = flatten(result)
        line = _definition(function) or recorder.line()
        variables = [_result(recorder, leaf, line, scalar=scalar) for leaf in leaves]
        if scalar and structure is not None:
            found = f"a result of type {type(result).__name__}"
            raise ShapeError(describe("differentiate", found=found, wanted="one scalar", line=line))
        for captured in recorder.captured:
            captured.check_all()
        return recorder.finish(variables), recorder, structure, before.untouched()
    finally:
        recorder.open = False


def _definition(function: Callable[..., Any]) -> str:
    """Where a function is defined, as "file:line"; empty where that is not known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _result(recorder: Recorder, leaf: Any, line: str, *, scalar: bool) -> Variable:
    if not isinstance(leaf, (Variable, np.ndarray, np.generic, float, int)):
        found, wanted = f"a result of type {type(leaf).__name__}", "a result made of arrays or numbers"
        raise DtypeError(describe("differentiate", found=found, wanted=wanted, line=line))
    if recorder.lost(leaf):
        found = "a result from an array that an in-place operator has changed under another name"
        raise UnsupportedError(
            describe("differentiate", found=found, wanted="array = array + x, a new array", line=line)
        )
    v = recorder.lift(leaf, FLOAT)
    if scalar and v.shape:
        raise ShapeError(
            describe(
                "differentiate",
                found=f"a result of shape {v.shape}",
                wanted="a scalar result, of shape (): use sum, mean, or tapegrad.vjp for an array",
                line=line,
            )
        )
    return recorder.cast(v, FLOAT)


@dataclass(slots=True)
class Recorded:
    """A function with all its recordings.

    Attributes:
        function: the user's function.
        mode: VALUE for the function itself, GRADIENT for value and gradient of a scalar, PULLBACK for
            values and their derivative contracted with seeds, which are more inputs.
    """

    function: Callable[..., Any]
    mode: str
    recordings: dict[Signature, list[Recording]] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()  # the last used first; replaced, never changed, so it is read without the lock
    count: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def again(self, args: tuple[Any, ...]) -> tuple[Path | None, Any]:
        """The results for arguments that are like those of a call before, by a short way (`Path`).

        Returns:
            The path with its results; or None with the `Search` that `run` is to go on with.
        """
        search: Search | None = None
        paths = self.paths
        for path in paths:
            recording = path.recording
            if search is not None and not search.allows(recording):
                continue
            objects = path.form.objects(args)
            if objects is None or not recording.surroundings.hold():
                continue
            runner = recording.runner
            ready = runner.take()
            outputs = ready.fill(objects, path.plan)
            if outputs is None:
                runner.free.append(ready)
                continue
            if recording.captured:
                self._check_captured(path.form.signature, recording)
            results = runner.sweep(ready, outputs, path.plan)
            if not isinstance(results, GuardFailure):
                if paths[0] is not path:
                    self.remember(path)
                return path, results
            search = search or Search()
            search.failed(recording, results)
        return None, search

    def remember(self, path: Path | None) -> None:
        """Let a path be the first that later calls try."""
        if path is None:
            return
        with self.lock:
            others = [p for p in self.paths if p is not path]
            for dropped in others[PATHS - 1 :]:
                self._touch(dropped)
            self.paths = (path, *others[: PATHS - 1])

    def run(
        self,
        arguments: Arguments,
        seeds: Callable[[Recording], list[Any]] | None = None,
        search: Search | None = None,
    ) -> tuple[list[Any], Recording]:
        """The results for these arguments, recording the function where no recording fits.

        Args:
            arguments: taken apart by `bind`.
            seeds: what gives the further inputs of a PULLBACK.
            search: what these arguments were tried with before.
        """
        search = search or Search()
        while True:
            recording, fresh = self._choose(arguments, search)
            inputs = arguments.inputs if seeds is None else arguments.inputs + seeds(recording)
            # A fresh recording took these very branches; rounding in another order must not undo that.
            results = recording.runner(inputs, guarded=not fresh)
            if not isinstance(results, GuardFailure):
                self._use(arguments.signature, recording)
                return results, recording
            search.failed(recording, results)

    def _choose(self, arguments: Arguments, search: Search) -> tuple[Recording, bool]:
        """A recording that may fit, the last one used first; or a new one (True)."""
        with self.lock:
            kept = self._kept(arguments.signature)
            recording = search.next(kept)
            if recording is None:
                return self._record(arguments, kept), True
        self._check_captured(arguments.signature, recording)
        return recording, False

    def _use(self, signature: Signature, recording: Recording) -> None:
        """Let a recording that fitted be the first to be tried and the last to be dropped."""
        with self.lock:
            kept = self.recordings.get(signature, [])
            if kept and kept[-1] is not recording and recording in kept:
                kept.remove(recording)
                kept.append(recording)

    def _kept(self, signature: Signature) -> list[Recording]:
        """The recordings of a signature, which becomes the one used last."""
        kept = self.recordings.get(signature)
        if kept is None:
            if len(self.recordings) >= KEPT:
                self._settle()
            kept = self.recordings[signature] = []
            if len(self.recordings) > KEPT:
                self._forget(self.recordings.pop(next(iter(self.recordings))))
        elif len(self.recordings) > 1:
            del self.recordings[signature]
            self.recordings[signature] = kept
        return kept

    def _settle(self) -> None:
        """Before something is dropped: the short way keeps no account of what was used last, but in `paths`."""
        for path in reversed(self.paths):
            self._touch(path)

    def _touch(self, path: Path) -> None:
        signature = path.form.signature
        if signature in self.recordings:
            self._kept(signature)
            self._use(signature, path.recording)

    def _forget(self, dropped: Sequence[Recording]) -> None:
        self.paths = tuple(p for p in self.paths if not any(p.recording is r for r in dropped))

    def _check_captured(self, signature: Signature, recording: Recording) -> None:
        for captured in recording.captured:
            try:
                captured.check()
            except CapturedArrayError:
                with self.lock:
                    kept = self.recordings.get(signature, [])
                    if recording in kept:
                        kept.remove(recording)  # a next call records what is there then
                    self._forget([recording])
                raise

    def _record(self, arguments: Arguments, kept: list[Recording]) -> Recording:
        tape, recorder, structure, surroundings = trace(self.function, arguments, scalar=self.mode == GRADIENT)
        simple = optimize(tape)
        full = simple if self.mode == VALUE else optimize(adjoint(simple, seed_inputs=self.mode == PULLBACK))
        full = optimize(full, drop_stops=True)
        recording = Recording(
            tape=simple,
            full=full,
            runner=Runner(schedule(full)),
            outcomes=tuple(value for _, value in recorder.guards),
            captured=tuple(recorder.captured),
            surroundings=surroundings,
            result=structure,
            lines=tuple(tape.line(slot) for slot, _ in recorder.guards),
        )
        if len(kept) >= KEPT:
            self._settle()
        kept.append(recording)
        self._forget(kept[:-KEPT])
        del kept[:-KEPT]
        self._count(arguments.signature, recording)
        return recording

    def _count(self, signature: Signature, recording: Recording) -> None:
        """Warn, once, of a function that is recorded again and again."""
        self.count += 1
        if self.count == MANY:
            name = getattr(self.function, "__name__", "the function")
            warnings.warn(
                f"{name} was recorded {self.count} times: {self._cause(signature, recording)}",
                RerecordingWarning,
                stacklevel=2,
            )

    def _cause(self, signature: Signature, recording: Recording) -> str:
        """What keeps changing, going by the last two recordings."""
        kept = self.recordings[signature]
        if len(kept) > 1 and recording.outcomes != kept[-2].outcomes and recording.lines:
            place = _first_difference(recording.outcomes, kept[-2].outcomes)
            line = recording.lines[min(place, len(recording.lines) - 1)]
            return f"a branch on a value keeps going other ways, at {line}. np.where records once"
        if len(kept) > 1:
            return "a global or closure variable that it reads keeps being bound anew. Pass it as an argument"
        shapes = [tuple(x for x in s.leaves if isinstance(x, tuple)) for s in self.recordings]
        if len(shapes) > 1 and shapes[-1] == shapes[-2]:
            return "an argument that is no array and no float (an int, a string) keeps changing. Pass np.asarray(it)"
        return "the shapes or dtypes of its arguments keep changing"


def _first_difference(a: tuple[Any, ...], b: tuple[Any, ...]) -> int:
    return next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
