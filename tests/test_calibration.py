"""Calibration: what is measured has a name, and the file is trusted only where all of it is as it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.costs import calibration
from tapegrad.costs.calibration import Calibration, calibrate
from tapegrad.costs.measure import measure, measured
from tapegrad.ops.table import OPS
from tapegrad.schedule.program import schedule
from tapegrad.sweep.alone import Alone


class Clock:
    """Stands for `measure`: counts its calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, dtype: Any) -> dict[str, float]:
        self.calls.append(str(dtype))
        return dict.fromkeys(measured(), 1.0 + len(self.calls))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(calibration, "measure", made)
    forget()
    return made


def forget() -> None:
    """As in a process that has just begun."""
    calibration._kept.cache_clear()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(calibration.VARIABLE, str(tmp_path / "folder"))
    return tmp_path / "folder" / "calibration.json"


def test_it_is_measured_once(clock: Clock, file: Path) -> None:
    first = calibrate()
    assert clock.calls == ["float64", "float32"]
    assert calibrate() is not None
    forget()
    again = calibrate()
    assert clock.calls == ["float64", "float32"]
    assert dict(again.found["float32"]) == dict(first.found["float32"])
    assert file.exists()
    assert not [f for f in file.parent.iterdir() if f != file]


def test_only_the_dtype_that_is_wanted(clock: Clock, file: Path) -> None:
    calibration.rates(np.dtype(np.float32))
    assert clock.calls == ["float32"]
    forget()
    calibration.rates(np.dtype(np.float64))
    assert clock.calls == ["float32", "float64"]
    forget()
    calibrate()
    assert clock.calls == ["float32", "float64"]


def test_force(clock: Clock, file: Path) -> None:
    assert calibrate().found["float64"]["copy"] == 2.0
    assert calibrate(force=True).found["float64"]["copy"] == 4.0
    assert calibrate().found["float64"]["copy"] == 4.0
    forget()
    assert calibrate().found["float64"]["copy"] == 4.0


def _changed(change: Any) -> Any:
    def made(content: dict[str, Any]) -> bytes:
        change(content)
        return json.dumps(content).encode()

    return made


def _set(value: Any) -> Any:
    return _changed(lambda c: c["nanoseconds"]["float64"].update(copy=value))


HOSTILE = {
    "empty": lambda c: b"",
    "not JSON": lambda c: b"\x00\xff{",
    "cut off": lambda c: json.dumps(c).encode()[:-100],
    "deep": lambda c: b"[" * 100_000,
    "long": lambda c: json.dumps(c).encode() + b" " * (1 << 21),
    "a list": lambda c: b"[1, 2]",
    "another format": _changed(lambda c: c.update(format=99)),
    "another processor": _changed(lambda c: c["machine"].update(processor="486")),
    "another version": _changed(lambda c: c["machine"].update(tapegrad="0.0.1")),
    "no machine": _changed(lambda c: c.pop("machine")),
    "no times": _changed(lambda c: c.pop("nanoseconds")),
    "times of nothing": _changed(lambda c: c.update(nanoseconds=[1.0])),
    "another dtype": _changed(lambda c: c["nanoseconds"].update(float16={})),
    "a name too few": _changed(lambda c: c["nanoseconds"]["float64"].pop("copy")),
    "a name too many": _changed(lambda c: c["nanoseconds"]["float64"].update(more=1.0)),
    "nan": _set(float("nan")),
    "infinity": _set(float("inf")),
    "zero": _set(0),
    "negative": _set(-1.0),
    "huge": _set(10**400),
    "true": _set(True),
    "a string": _set("1.0"),
    "null": _set(None),
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_measured_anew(clock: Clock, file: Path, spoil: Any) -> None:
    calibrate()
    good = json.loads(file.read_text(encoding="utf-8"))
    file.write_bytes(spoil(good))
    forget()
    assert calibrate().found["float64"]["copy"] > 2.0
    assert len(clock.calls) > 2
    forget()
    before = len(clock.calls)
    calibrate()  # what was spoilt has been written again
    assert len(clock.calls) == before


def test_a_folder_in_place_of_the_file(clock: Clock, file: Path) -> None:
    file.mkdir(parents=True)
    assert isinstance(calibrate(), Calibration)
    assert calibrate().found["float64"]["copy"] == 2.0  # in memory
    assert clock.calls == ["float64", "float32"]


def test_a_folder_that_cannot_be_made(clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(calibration.VARIABLE, str(tmp_path / "file" / "folder"))
    assert calibrate().found["float64"]["copy"] == 2.0
    assert (tmp_path / "file").read_text(encoding="utf-8") == ""


def test_without_a_home(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in (calibration.VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert calibrate().found["float64"]["copy"] == 2.0


@pytest.mark.parametrize(
    ("system", "variables", "wanted"),
    [
        ("linux", {}, "HOME/.cache/tapegrad"),
        ("linux", {"XDG_CACHE_HOME": "/elsewhere"}, "/elsewhere/tapegrad"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "HOME/.cache/tapegrad"),  # as the XDG specification has it
        ("darwin", {}, "HOME/Library/Caches/tapegrad"),
        ("win32", {}, "HOME/AppData/Local/tapegrad"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/tapegrad"),
        ("linux", {"TAPEGRAD_CACHE_DIR": "/own"}, "/own"),
    ],
)
def test_where_it_is_kept(system: str, variables: dict[str, str], wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration.sys, "platform", system)
    for name in ("TAPEGRAD_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert calibration._path() == Path(wanted.replace("HOME", str(Path.home()))) / "calibration.json"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_machine_is_measured(dtype: str) -> None:
    """Everything gets a time; which one depends on what else the machine does."""
    found = measure(np.dtype(dtype))
    assert set(found) == measured()
    assert all(np.isfinite(x) and x > 0 for x in found.values())
    assert found["op:betaincinv"] > found["op:add"]
    text = repr(Calibration({"processor": "this one", "cores": "2"}, {dtype: found}))
    assert text.startswith("machine: this one, cores: 2\n" + dtype)
    assert "Gflop/s" in text


def test_one_instruction_alone() -> None:
    """It runs as often as wanted, and the program is none the worse for it."""
    x = np.linspace(0.1, 2.0, 5000)
    program = schedule(tg.record(lambda x: np.sum(np.sin(x)) * 2.0, x).tape, height=0)
    alone = Alone.of(program, [x])
    sine = next(i for i in range(len(program.tape)) if OPS[program.tape.opcodes[i]].name == "sin")
    ten, thousand = alone.stretch([sine], 10), alone.stretch([sine], 1000)
    assert 0 < min(alone.seconds(ten) for _ in range(5)) < min(alone.seconds(thousand) for _ in range(5))
    scalars = program.code.row_origin[-1:].tolist()
    assert alone.stretch(scalars, 3).words.shape[0] == 3
    assert alone.seconds(alone.stretch([])) >= 0
    assert alone.ready.kernel(alone.ready.workspace.control_address, alone.ready.one) == 0
    assert alone.kept[1][0] == pytest.approx(2 * np.sum(np.sin(x)))
