"""Changed files of tapes: each must be refused by `TapeFileError`, or be a tape that runs.

    python -m tests.fuzz_files --count 20000 --seed 0

A process of its own reads and runs them, with the checking modes on and with little memory: it must neither die, nor
take long, nor raise anything else. What runs is compared with NumPy, instruction by instruction. `--only K` runs one.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import selectors
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

import tapegrad as tg
from tapegrad.errors import TapeFileError, TapegradError
from tapegrad.recorded.fixed import FixedTape
from tapegrad.trees import unflatten
from tapegrad.values import values
from tests.file_models import row_tapes, tapes
from tests.file_mutations import mutated

MEMORY: Final = 6 << 30
LIMIT: Final = 64 << 20
SECONDS: Final = 20.0  # for one file; the first compiles
FIRST: Final = 600.0


# --- one file


def originals(folder: Path) -> list[bytes]:
    """The files of all models."""
    found = []
    for name, tape in (tapes() | row_tapes()).items():
        path = folder / f"{name}.npz"
        if not path.exists():
            tape.save(path)
        found.append(path.read_bytes())
    return found


def case(files: list[bytes], seed: int, number: int) -> tuple[str, bytes]:
    """A changed file by its number."""
    rng = np.random.default_rng([seed, number])
    return mutated(rng, files[int(rng.integers(len(files)))])


def arguments(tape: FixedTape, rng: np.random.Generator) -> list[Any]:
    """Arguments such as a tape was recorded for."""
    leaves = []
    for leaf in tape.interface.signature.leaves:
        if not isinstance(leaf, tuple):
            leaves.append(leaf.value)
            continue
        shape, code = leaf[:2]
        kind = np.dtype(code).kind
        drawn = rng.normal(size=shape) if kind == "f" else rng.integers(0, 2 if kind == "b" else 3, shape)
        if kind == "f" and drawn.size and rng.integers(4) == 0:
            drawn = np.where(rng.random(shape) < 0.1, rng.choice([np.nan, np.inf, -np.inf, 0.0, 1e200]), drawn)
        with np.errstate(all="ignore"):
            leaves.append(np.asarray(drawn).astype(code))
    found, start = [], 0
    for structure in tape.interface.signature.structures:
        size = 1 if structure is None else structure.size
        found.append(unflatten(structure, leaves[start : start + size]))
        start += size
    return found


def check(path: Path, rng: np.random.Generator) -> str:
    """Read a file and run it; what became of it."""
    try:
        tape = tg.load(path, memory_limit=LIMIT)
    except TapeFileError as error:
        return "refused" if str(path) in str(error) else f"failed: {error}"
    args = arguments(tape, rng)
    try:
        results = tape(*args)
    except TapegradError:
        results = None
    if results is not None:
        compare(tape, args)
    outcome = "stopped" if results is None else "ran"
    tape.save(path)
    assert not tg.diff(tape, tg.load(path, memory_limit=LIMIT))
    assert str(tape)
    assert str(tg.diff(tape, tapes()["network-float64"]))
    if (
        tape.interface.result is None
        and tape.tape.type(int(tape.tape.dependents[0])).kind == "f"
        and np.ndim(results) == 0
    ):
        try:
            tape.adjoint()(*args)
        except TapegradError:
            return outcome
        outcome += "+gradient"
    return outcome


def compare(tape: FixedTape, args: list[Any]) -> None:
    """The sweep's results are those of NumPy, where these are finite."""
    inputs = tape.interface.inputs(args, tape.tape)
    assert tape._runner is not None
    swept = tape._runner(inputs)
    try:
        with np.errstate(all="ignore"):
            known = values(tape.tape, inputs)
    except (TapegradError, IndexError):  # of an instruction that no result needs, or whose result is empty
        return
    if not all(np.isfinite(v).all() and np.abs(v, dtype=np.float64).max(initial=0) < 1e6 for v in known):
        return
    assert isinstance(swept, list)
    for slot, found in zip(tape.tape.dependents.tolist(), swept, strict=True):
        wanted = np.asarray(known[slot], np.float64)
        scale = np.abs(wanted).max(initial=1.0)
        rounding = 1e-6 if tape.tape.dtype == np.float64 else 3e-2
        assert np.allclose(np.asarray(found, np.float64), wanted, rounding, rounding * scale), (
            "other values than NumPy's"
        )


# --- the process that runs them


def work(folder: Path, seed: int, first: int, last: int) -> None:
    """Run files from `first` on; a line before each and one after it."""
    report = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # LAPACK says on it what it thinks of infinities
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    files = originals(folder)
    path = folder / f"changed-{os.getpid()}.npz"
    for number in range(first, last):
        print(json.dumps({"start": number}), file=report)
        changes, data = case(files, seed, number)
        path.write_bytes(data)
        try:
            outcome = check(path, np.random.default_rng([seed, number, 1]))
        except BaseException:
            outcome = f"failed: {traceback.format_exc()}"
        print(json.dumps({"end": number, "outcome": outcome, "changes": changes}), file=report)


class Worker:
    """The process, and what it says."""

    def __init__(self, folder: Path, seed: int, first: int, last: int) -> None:
        command = [sys.executable, "-m", "tests.fuzz_files", "--work", str(folder), "--seed", str(seed)]
        environment = {
            **os.environ,
            "TAPEGRAD_CHECKS": "poison,bounds",
            "PYTHONFAULTHANDLER": "1",
            "OMP_NUM_THREADS": "1",
        }
        environment["OPENBLAS_NUM_THREADS"] = "1"
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self.process = subprocess.Popen(
            [*command, "--first", str(first), "--count", str(last)],
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment,
        )
        assert self.process.stdout is not None
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.buffer = b""

    def line(self, seconds: float) -> dict[str, Any] | str:
        """The next line, "late" or "dead"."""
        assert self.process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0 or not self.selector.select(left):
                return "late"
            more = self.process.stdout.read(1 << 16)
            if not more:
                return "dead"
            self.buffer += more
        text, _, self.buffer = self.buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(text)
        return found

    def stop(self) -> str:
        """End the process; what it said last, and how it ended."""
        self.process.kill()
        status = self.process.wait()
        self.errors.seek(0)
        said = self.errors.read()[-3000:].decode(errors="replace")
        self.errors.close()
        return f"status {status}: {said}"


def fuzz(seed: int, first: int, last: int, *, report: bool = True) -> tuple[Counter[str], dict[int, str]]:
    """What became of how many files, and those that should not have become that."""
    outcomes: Counter[str] = Counter()
    failures: dict[int, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        number = first
        while number < last:
            worker = Worker(Path(folder), seed, number, last)
            seconds = FIRST
            while number < last:
                found = worker.line(seconds)
                seconds = SECONDS
                if isinstance(found, str):
                    failures[number] = f"{found} ({worker.stop()})"
                    number += 1
                    break
                if "end" in found:
                    name = found["outcome"].split(":")[0]
                    outcomes[name] += 1
                    for change in found["changes"].split("+"):
                        outcomes[f"{change} {name}"] += 1
                    if name == "failed":
                        failures[number] = f"{found['changes']}: {found['outcome']}"
                    number = found["end"] + 1
                    if report and number % 500 == 0:
                        print(number, dict(outcomes.most_common(4)), f"{len(failures)} failures", flush=True)
            else:
                worker.process.wait()
                worker.stop()
    return outcomes, failures


def main() -> int:
    """Fuzz, or work for the process that does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.seed, given.first, given.count)
        return 0
    if given.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            changes, data = case(originals(Path(folder)), given.seed, given.only)
            path = Path(folder) / "changed.npz"
            path.write_bytes(data)
            print(changes)
            try:
                print(check(path, np.random.default_rng([given.seed, given.only, 1])))
            finally:
                Path(f"case-{given.only}.npz").write_bytes(data)
        return 0
    outcomes, failures = fuzz(given.seed, given.first, given.first + given.count)
    for name, count in sorted(outcomes.items()):
        print(f"{count:7} {name}")
    for number, text in failures.items():
        print(f"--- {number}: {text}")
    print(f"{sum(outcomes[k] for k in outcomes if ' ' not in k)} files, {len(failures)} failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
