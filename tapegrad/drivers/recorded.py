"""A function and its recordings: one for each signature of arguments and each way its branches went."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.touched import Gathered, touched
from tapegrad.drivers.again import Path
from tapegrad.drivers.arguments import Arguments, Signature
from tapegrad.drivers.inner import dependent, pair, require_kept
from tapegrad.drivers.kept import COMPUTED, Aux, Recording, Search
from tapegrad.drivers.limits import within
from tapegrad.errors import CapturedArrayError, RandomnessWarning, RerecordingWarning, ShapeError, describe
from tapegrad.passes.optimize import optimize
from tapegrad.record.captured import Captured
from tapegrad.record.current import CURRENT
from tapegrad.record.draws import Draws
from tapegrad.record.functions import FUNCTIONS
from tapegrad.record.recorder import Recorder
from tapegrad.record.surroundings import Surroundings
from tapegrad.record.variable import Variable
from tapegrad.sweep.run import NOWHERE, GuardFailure, Runner
from tapegrad.tape import Tape
from tapegrad.trees import Structure, flatten

KEPT: Final = 64  # signatures, and recordings of each; the least recently used goes first
PATHS: Final = 4  # short ways: arguments of so many forms may take turns
MANY: Final = 16  # recordings after which a warning names the cause

VALUE, GRADIENT, PULLBACK = "value", "gradient", "pullback"


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A run of a function on Variables: its tape, and what there is to know about it.

    `structure` is that of the result; the tape's dependents are its arrays, then those of `aux`.
    """

    tape: Tape
    recorder: Recorder
    structure: Structure | None
    surroundings: Surroundings
    aux: Aux | None = None


def trace(
    function: Callable[..., Any], arguments: Arguments, *, scalar: bool, floating: bool = True, aux: bool = False
) -> Trace:
    """Run a function on Variables, once; what it reads from outside itself is watched, and not changed.

    Args:
        function: the user's function.
        arguments: what it is recorded for.
        scalar: whether the result must be one floating scalar.
        floating: whether integer and boolean results become floating.
        aux: whether it returns a pair, the second of which is not differentiated.
    """
    before = Surroundings.of(function, arguments.objects())
    draws = Draws(before, arguments.objects())
    recorder = Recorder(arguments.signature.dtype, FUNCTIONS, frozenset(map(id, before.arrays())))
    filled = arguments.fill(lambda array, wanted, c: recorder.input(array, independent=wanted, ordered=c))
    outer = CURRENT.set(recorder)
    try:
        result, beside = pair(function(*filled)) if aux else (function(*filled), None)
        leaves, structure = flatten(result)
        line = _definition(function) or recorder.line()
        _warn_of_draws(draws.who(), function, line)
        variables = [_result(recorder, leaf, line, scalar=scalar, floating=floating) for leaf in leaves]
        if scalar and structure is not None:
            found = f"a result of type {type(result).__name__}"
            raise ShapeError(describe("differentiate", found=found, wanted="one scalar", line=line))
        for captured in recorder.constants.captured:
            captured.check_all()
        extra = _beside(recorder, beside, line) if aux else None
        if extra is not None:
            variables += extra[1]
        tape = recorder.finish(variables)
        return Trace(tape, recorder, structure, before.untouched(), None if extra is None else extra[0])
    finally:
        CURRENT.reset(outer)
        recorder.open = False


def _warn_of_draws(who: str, function: Callable[..., Any], line: str) -> None:
    """Warn of random numbers that have become constants."""
    if who:
        name = getattr(function, "__name__", "the function")
        text = f"{name} draws random numbers ({who}) while it is recorded: they are the same at every call. Draw them "
        warnings.warn(f"{text}outside, and pass them as arguments (at {line})", RandomnessWarning, stacklevel=4)


def _beside(recorder: Recorder, beside: Any, line: str) -> tuple[Aux, list[Variable]]:
    """What is returned beside the value, and its arrays that depend on the arguments; others are watched."""
    leaves, structure = flatten(beside)
    kept: list[Any] = []
    variables = []
    for leaf in leaves:
        kept.append(COMPUTED if isinstance(leaf, Variable) else leaf)
        if isinstance(leaf, Variable):
            variables.append(dependent(recorder, leaf, line, floating=False))
        elif isinstance(leaf, np.ndarray):
            require_kept(recorder, leaf, line)
            if not leaf.dtype.hasobject:
                recorder.constants.captured.append(Captured.of(leaf, line))
            kept[-1] = leaf.copy()
    return Aux(structure, tuple(kept)), variables


def _definition(function: Callable[..., Any]) -> str:
    """Where a function is defined, as "file:line"; empty where that is not known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else ""


def _result(recorder: Recorder, leaf: Any, line: str, *, scalar: bool, floating: bool) -> Variable:
    v = dependent(recorder, leaf, line, floating=floating)
    if scalar and v.shape:
        raise ShapeError(
            describe(
                "differentiate",
                found=f"a result of shape {v.shape}",
                wanted="a scalar result, of shape (): use sum, mean, or tapegrad.jacobian or vjp for an array",
                line=line,
            )
        )
    return v


@dataclass(slots=True)
class Recorded:
    """A function with all its recordings.

    Attributes:
        function: the user's function.
        mode: VALUE for the function itself, GRADIENT for value and gradient of a scalar, PULLBACK for
            values and their derivative contracted with seeds, which are more inputs.
        limit: bytes that the workspace of a sweep may take, None for any number (`tapegrad.drivers.limits`).
        aux: whether the function returns (value, aux); the arrays of aux are the last results.
        touched: with GRADIENT, whether gradients are left in parts where they can be (`Recording.gathered`).
    """

    function: Callable[..., Any]
    mode: str
    aux: bool = False
    touched: bool = False
    limit: int | None = None
    recordings: dict[Signature, list[Recording]] = field(default_factory=dict)
    paths: tuple[Path, ...] = ()  # the last used first; replaced, never changed, so it is read without the lock
    count: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def again(self, args: tuple[Any, ...], into: Mapping[int, Any] = NOWHERE) -> tuple[Path | None, Any]:
        """The results for arguments that are like those of a call before, by a short way (`Path`).

        `into` are arrays for results, as `Ready.fill` has it.

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
            outputs = ready.fill(objects, path.plan, into)
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
            if fresh:
                recording.settle()
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
        made = trace(self.function, arguments, scalar=self.mode == GRADIENT, floating=self.mode != VALUE, aux=self.aux)
        tape, recorder = made.tape, made.recorder
        simple = optimize(tape)
        full = simple if self.mode == VALUE else self._derivative(simple)
        whole = len(full.dependents)
        gathered: tuple[Gathered | None, ...] = ()
        if self.touched:  # before anything else is made of scatters, for speed
            full, gathered = touched(full, 1, len(simple.independents))
        parts = len(full.dependents) - whole
        full = optimize(full, drop_stops=True)
        recording = Recording(
            tape=simple,
            full=full,
            runner=Runner(within(full, self.limit)[1]),
            outcomes=tuple(value for _, value in recorder.guards),
            captured=tuple(recorder.constants.captured),
            surroundings=made.surroundings.untouched(),  # rules have been run since
            result=made.structure,
            lines=tuple(tape.line(slot) for slot, _ in recorder.guards),
            aux=made.aux,
            gathered=gathered,
            parts=parts,
        )
        if len(kept) >= KEPT:
            self._settle()
        kept.append(recording)
        self._forget(kept[:-KEPT])
        del kept[:-KEPT]
        self._count(arguments.signature, recording)
        return recording

    def _derivative(self, tape: Tape) -> Tape:
        """The tape with its reverse part; what is returned beside the value stays a result."""
        own = tape.dependents[:1] if self.aux else tape.dependents
        grown = adjoint(replace(tape, dependents=own), seed_inputs=self.mode == PULLBACK)
        return optimize(replace(grown, dependents=np.concatenate([grown.dependents, tape.dependents[len(own) :]])))

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
