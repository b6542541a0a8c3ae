"""Tapes in files: what is read is what was written, and everything else is refused."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.errors import BranchError, SettingError, ShapeError, TapeFileError, UnsupportedError
from tapegrad.files import archive
from tapegrad.ops.row import BOOL, FLOAT, INT, ArrayType, Op
from tapegrad.ops.table import OPCODES, OPS
from tapegrad.recorded.tape_function import TapeFunction
from tapegrad.trees import flatten, plain
from tests import file_mutations as mutations
from tests.file_models import FILE_MODELS, Curve, Line, row_tapes, tapes
from tests.fuzz_files import fuzz
from tests.helpers import Sample, samples
from tests.models import MODELS
from tests.test_functions import CALLS, differentiated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


def square(x: Any) -> Any:
    return np.sum(x * x)


def round_trip(tape: TapeFunction, path: Path) -> TapeFunction:
    """The tape as it is read again; written once more it is the same file."""
    tape.save(path)
    first = path.read_bytes()
    loaded = tg.load(path)
    loaded.save(path)
    assert path.read_bytes() == first
    assert not tg.diff(tape, loaded)
    return loaded


def assert_same_bits(found: Any, wanted: Any) -> None:
    (ours, form), (theirs, other) = flatten(found), flatten(wanted)
    assert plain(form) == plain(other)
    for x, y in zip(map(np.asarray, ours), map(np.asarray, theirs), strict=True):
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        assert x.tobytes() == y.tobytes()


# --- round trips


@pytest.mark.parametrize("name", tapes())
def test_a_loaded_tape_gives_the_same_bits(name: str, path: Path) -> None:
    tape, (model, dtype) = tapes()[name], name.split("-")[:2]
    args = FILE_MODELS[model].cast(dtype)
    loaded = round_trip(tape, path)
    assert_same_bits(loaded(*args), tape(*args))
    assert [a[:4] for a in loaded.interface.signature.leaves if isinstance(a, tuple)] == [
        a[:4] for a in tape.interface.signature.leaves if isinstance(a, tuple)
    ]
    assert loaded.interface.parameters == tape.interface.parameters
    if tape.interface.result is None and name.count("-") == 1 and FILE_MODELS[model].argnums != ():
        assert_same_bits(loaded.adjoint()(*args), tape.adjoint()(*args))


def test_every_row_of_the_instruction_set(path: Path) -> None:
    for tape in row_tapes().values():
        round_trip(tape, path)


@pytest.mark.parametrize("name", ["lotka_volterra", "recurrent", "network_32", "mixture"])
def test_larger_models(name: str, path: Path) -> None:
    model = MODELS[name]
    args = model.arguments("small", np.float32)
    tape = tg.record(lambda *a: model.f(np, *a), *args)
    for made in (tape, tape.adjoint()):
        assert_same_bits(round_trip(made, path)(*args), made(*args))


def test_calls_of_functions(path: Path) -> None:
    for call in CALLS[::6]:
        tape = tg.record(
            lambda *args, call=call: call.call(tnp, *args), *call.arguments, argnums=tuple(differentiated(call))
        )
        assert_same_bits(round_trip(tape, path)(*call.arguments), tape(*call.arguments))


def test_a_loaded_tape_runs_without_its_function_elsewhere(path: Path, tmp_path: Path) -> None:
    module = tmp_path / "secret_folder" / "model_code.py"
    module.parent.mkdir()
    module.write_text("import numpy as np\ndef f(x):\n    return np.sum(np.sin(x) * x)\n")
    namespace: dict[str, Any] = {}
    exec(compile(module.read_text(), str(module), "exec"), namespace)
    tape = tg.record(namespace["f"], np.arange(3.0))
    tape.save(path)
    module.unlink()
    code = f"import numpy as np, tapegrad as tg; t = tg.load({str(path)!r}); print(repr(float(t(np.arange(3.0)))), t)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout
    assert found.startswith(repr(float(tape(np.arange(3.0)))))
    assert "model_code.py:3" in found
    assert b"secret_folder" not in path.read_bytes()


def test_source_lines_of_a_loaded_tape_are_not_looked_for(path: Path, monkeypatch: Any) -> None:
    """Whoever wrote it would choose the file whose text stands in a page or a listing."""
    (path.parent / "secret.py").write_text("the password is 1234\n")
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend(str(path.parent))
    tg.record(lambda x: np.sum(x * x), np.ones(2)).save(path)
    path.write_bytes(change(path.read_bytes(), lambda p: p.header["lines"].__setitem__(1, "secret.py:1")))
    loaded = tg.load(path)
    loaded.explain(np.ones(2)).save(path.parent / "page.html")
    shown = [str(loaded), loaded.to_python(), str(loaded.explain(np.ones(2))), str(loaded.draw())]
    for text in (*shown, (path.parent / "page.html").read_text()):
        assert "1234" not in text
    assert "secret.py:1" in shown[0]


def test_the_same_tape_is_the_same_file(path: Path, tmp_path: Path) -> None:
    def make() -> TapeFunction:
        return tg.record(lambda x: np.sum(x**2) + 3.0, np.ones(2))

    make().save(path)
    make().save(tmp_path / "other.npz")
    assert path.read_bytes() == (tmp_path / "other.npz").read_bytes()


def test_numpy_reads_the_arrays_and_python_the_archive(path: Path) -> None:
    tg.record(lambda x: np.sum(x * np.array([1.0, 2.0])), np.ones(2)).save(path)
    with np.load(path, allow_pickle=False) as file:
        header = json.loads(file["header"].tobytes())
        assert [header["ops"][k] for k in file["opcodes"]] == ["input", "constant", "multiply", "sum"]
        assert file["floats"].tolist() == [1.0, 2.0]
    with zipfile.ZipFile(path) as archived:
        assert archived.testzip() is None
        assert {i.compress_type for i in archived.infolist()} == {zipfile.ZIP_STORED}


def test_captured_arrays_are_saved_as_they_are_now(path: Path) -> None:
    weights = np.ones(2)
    tape = tg.record(lambda x: np.sum(x * weights), np.ones(2))
    weights[:] = 3.0
    tape.save(path)
    assert tg.load(path)(np.ones(2)) == 6.0


def test_containers_with_classes_are_read_back_without_them(path: Path) -> None:
    tape = tapes()["nested-float64"]
    args = FILE_MODELS["nested"].args
    loaded = round_trip(tape, path)
    plainly = {"line": tuple(args[0]["line"]), "curve": {"height": args[0]["curve"].height, "width": 2.0}}
    wanted = tape(*args)
    for first in (args[0], plainly):
        found = loaded(first, *args[1:])
        assert type(found["text"]) is tuple
        assert_same_bits(found, wanted)
    with pytest.raises(ShapeError, match="p nested in another way"):
        loaded({"line": list(args[0]["line"]), "curve": Curve(1.0, 2.0)}, *args[1:])
    assert isinstance(args[0]["line"], Line)


def test_tapes_of_nothing(path: Path) -> None:
    assert round_trip(tg.record(lambda: 2.0), path)() == 2.0
    assert round_trip(tg.record(lambda x: (), 1.0), path)(3.0) == ()
    assert round_trip(tg.record(lambda: ()), path)() == ()
    with pytest.raises(ShapeError, match="a tape of no arguments"):
        tg.record(lambda: 2.0).adjoint()


def test_a_branch_that_goes_another_way_is_an_error(path: Path) -> None:
    tg.record(lambda x: x * x if x > 0 else -x, 2.0).save(path)
    assert tg.load(path)(3.0) == 9.0
    with pytest.raises(BranchError, match="goes another way"):
        tg.load(path)(-3.0)


# --- what is not written


class Thing:
    pass


def test_functions_of_the_users_are_code(path: Path) -> None:
    @tg.elementwise
    def softly(x: float) -> float:
        return x * x

    @tg.primitive
    def roughly(x: Any) -> Any:
        return np.asarray(x) + 1.0

    for function, name in ((softly, "softly"), (roughly, "roughly")):
        tape = tg.record(lambda x, function=function: np.sum(function(x)), np.ones(2))
        with pytest.raises(UnsupportedError, match=f"save: found .*{name}, a function of your own .*test_files.py"):
            tape.save(path)
    assert not path.exists()


def test_arguments_that_no_text_can_hold(path: Path) -> None:
    for value, text in ((Thing(), "type Thing"), (b"x", "type bytes"), (1j, "type complex")):
        tape = tg.record(lambda x, thing: x * 2, 1.0, value)
        with pytest.raises(UnsupportedError, match=f"{text}, which is part of the program"):
            tape.save(path)
    with pytest.raises(UnsupportedError, match=r"a dict with the key \(1, 2\)"):
        tg.record(lambda p: p[1, 2] * 2, {(1, 2): 1.0}).save(path)
    deep: Any = 1.0
    for _ in range(120):
        deep = [deep]
    with pytest.raises(UnsupportedError, match="100 levels"):
        tg.record(lambda x: x, deep).save(path)
    with pytest.raises(FileNotFoundError):
        tg.record(square, np.ones(2)).save(path / "no" / "such")


def test_a_failed_write_leaves_the_old_file(path: Path, monkeypatch: Any) -> None:
    tg.record(square, np.ones(2)).save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        tg.record(square, np.ones(3)).save(path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208


def test_a_new_file_has_the_usual_rights(path: Path) -> None:
    tg.record(square, np.ones(2)).save(path)
    (path.parent / "usual").touch()
    assert path.stat().st_mode == (path.parent / "usual").stat().st_mode


# --- what is not read


def refused(path: Path, data: bytes, match: str) -> None:
    path.write_bytes(data)
    with pytest.raises(TapeFileError, match=match) as caught:
        tg.load(path)
    assert repr(str(path)) in str(caught.value)


@pytest.fixture
def data(path: Path) -> bytes:
    """The file of a small tape."""
    tg.record(lambda x: np.sum(x[1:] * np.array([1.0, 2.0])), np.ones(3)).save(path)
    return path.read_bytes()


def test_other_files(path: Path, data: bytes, tmp_path: Path) -> None:
    refused(path, b"", "no .npz file")
    refused(path, b"hello, world, this is some text", "no .npz file")
    refused(path, data[:-1], "cut off")
    refused(path, data[: len(data) // 2], "cut off")
    refused(path, data + b"\0", "something was appended")
    found = io.BytesIO()
    np.savez(found, a=np.ones(3))
    refused(path, found.getvalue(), "an unknown member 'a.npy'")
    with pytest.raises(FileNotFoundError):
        tg.load(tmp_path / "nothing.npz")
    with pytest.raises(TapeFileError, match="no regular file"):
        tg.load(tmp_path)
    with pytest.raises(TapeFileError, match="cannot be read"):
        tg.load("a\0b")
    with pytest.raises(SettingError, match="memory_limit=-1"):
        tg.load(path, memory_limit=-1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_does_not_make_it_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TapeFileError, match="no regular file"):
        tg.load(tmp_path / "pipe")
    if Path("/dev/zero").exists():
        with pytest.raises(TapeFileError, match="no regular file"):
            tg.load("/dev/zero")


def test_archives(path: Path, data: bytes) -> None:
    members = mutations.unpacked(data)
    items = list(members.items())
    assert mutations.stored(items) == data
    refused(path, mutations.stored(items[1:]), "member 'header.npy' is missing")
    refused(path, mutations.stored([*items, items[3]]), "'operands.npy' is there more than once")
    refused(path, mutations.stored([*items, ("../x.npy", b"")]), "unknown member '../x.npy'")
    refused(path, mutations.stored(items[::-1]), "members stand in another order")
    refused(path, mutations.archive(members, compression=zipfile.ZIP_DEFLATED), "'header.npy' is compressed")
    refused(path, mutations.archive({**members, "floats.npy": bytes(1 << 20)}), "header that tapegrad does not write")
    changed = bytearray(data)
    changed[400] ^= 1
    refused(path, bytes(changed), "'header.npy' is damaged")
    changed = {**members, "floats.npy": mutations.npy(np.array([1.0, 3.0]))}
    refused(path, mutations.stored(list(changed.items())), "their hash is another")
    encrypted = bytearray(data)
    encrypted[data.index(b"PK\1\2") + 8] |= 1
    refused(path, bytes(encrypted), "'header.npy' is encrypted")
    huge = bytearray(data)
    at = data.index(b"PK\1\2")
    huge[at + 20 : at + 28] = b"\xff" * 8
    refused(path, bytes(huge), "'header.npy' says that it is larger than it is")
    link = bytearray(data)
    link[at + 38 : at + 42] = (0o120777 << 16).to_bytes(4, "little")
    refused(path, bytes(link), "header that tapegrad does not write")


def test_members_are_arrays_of_one_dtype(path: Path, data: bytes) -> None:
    members = mutations.unpacked(data)

    def written(name: str, content: bytes) -> bytes:
        return mutations.stored(list(mutations.rehashed({**members, name: content}).items()))

    for array in (np.zeros(4, np.int64), np.zeros((2, 2), np.int32), np.array([None], object), np.zeros(4, ">i4")):
        refused(path, written("starts.npy", mutations.npy(array)), "member 'starts' begins with .*descr")
    lie = mutations.head(
        "{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904,), }".ljust(117) + "\n"
    )
    refused(path, written("starts.npy", lie), "4611686018427387904")
    refused(path, written("starts.npy", b""), "member 'starts' begins with ''")
    booleans = mutations.npy(np.array([2], np.uint8)).replace(b"|u1", b"|b1")
    refused(path, written("booleans.npy", booleans), "'booleans' holds other bytes than 0 and 1")


def change(data: bytes, how: Callable[[mutations.Parts], Any]) -> bytes:
    parts = mutations.Parts.of(mutations.unpacked(data))
    how(parts)
    return parts.data()


def put(name: str, value: Any) -> Callable[[mutations.Parts], None]:
    return lambda parts: parts.header.__setitem__(name, value)


def at(name: str, k: int, value: int) -> Callable[[mutations.Parts], None]:
    return lambda parts: parts.arrays[name].__setitem__(k, value)


def attribute(k: int, value: Any) -> Callable[[mutations.Parts], None]:
    return lambda parts: parts.header["attributes"].__setitem__(k, value)


def integral(parts: mutations.Parts) -> None:
    """An integer argument that is differentiated by: the adjoint would be an array of other elements."""
    parts.arrays["type_ids"][0] = parts.place("types", ["i", [3]])
    parts.arrays["dependents"][0] = 0
    parts.header["interface"]["leaves"][0]["dtype"] = "int64"
    parts.shorten(0)


# The tape: v0 input (3,), v1 slice ((1, 1, 2),), v2 constant (2,), v3 multiply, v4 sum (0,).
WRONG: dict[str, tuple[Callable[[mutations.Parts], Any], str]] = {
    "format": (put("format", "something"), "a file of arrays, but no tape"),
    "newer": (put("version", 2), "format 2, written by tapegrad 0.1.0; .* reads format 1"),
    "true": (put("version", True), "a tape of format True"),
    "field": (lambda p: p.header.pop("types"), "has not the fields"),
    "dtype": (put("dtype", "float16"), "another dtype than float64 and float32"),
    "op": (lambda p: p.header["ops"].__setitem__(3, "juggle"), "the operation 'juggle', which .* does not know"),
    "function": (lambda p: p.header["ops"].__setitem__(1, "primitive"), r"instruction 1 \(primitive\) with the"),
    "twice": (lambda p: p.header["ops"].__setitem__(3, "slice"), "operations that are listed twice"),
    "opcode": (at("opcodes", 3, 9), "instructions of no operation"),
    "elementwise": (lambda p: p.header["ops"].__setitem__(3, "add:ii"), r"\(add:ii\) with the attribute \(\)"),
    "starts": (at("starts", 2, 3), "starts that go down"),
    "end": (at("starts", 5, 3), "starts that go down|more or fewer operands"),
    "operand": (at("operands", 1, 3), r"instruction 3 \(multiply\) reads a slot that is not before it"),
    "negative": (at("operands", 0, -1), "reads a slot that is not before it"),
    "type": (at("type_ids", 3, 0), r"instruction 3 \(multiply\) is of type f\[3\], and its result of type f\[2\]"),
    "no type": (at("type_ids", 3, 77), "type_ids that name no type"),
    "no line": (at("line_ids", 3, -1), "line_ids that name no line"),
    "no attribute": (at("attribute_ids", 4, 77), "attribute_ids that name no attribute"),
    "window": (attribute(1, [[2, 1, 2]]), r"\(slice\) with the attribute \(\(2, 1, 2\),\)"),
    "window before": (attribute(1, [[1, -2, 2]]), "slice"),
    "overflow": (attribute(1, [[2**63, -(2**64), 2]]), "slice"),
    "true for 1": (attribute(1, [[True, 1, 2]]), "true or false"),
    "float for 1": (attribute(1, [[1.0, 1, 2]]), "slice"),
    "axis": (attribute(2, [1]), r"instruction 4 \(sum\) with the attribute \(1,\)"),
    "axis before": (attribute(2, [-1]), "sum"),
    "text": (attribute(2, ["0"]), "sum"),
    "same": (attribute(2, [[1, 1, 2]]), "attributes that are listed twice"),
    "input": (at("attribute_ids", 0, 1), "inputs in another order"),
    "constant": (at("attribute_ids", 2, 1), "constants which do not exist"),
    "constant's type": (put("constants", [0]), "constants with fewer elements"),
    "elements": (lambda p: p.arrays.__setitem__("floats", np.ones(3)), "elements of no constant"),
    "inputs": (lambda p: p.arrays.__setitem__("inputs", np.array([1], np.int32)), "not the tape's first instructions"),
    "independents": (at("independents", 0, 1), "independents that are no inputs"),
    "integers": (integral, "independents that are no floats"),
    "dependents": (at("dependents", 0, 5), "dependents that are no slots"),
    "reverse": (put("reverse", 6), "a reverse part from 6 on"),
    "huge": (lambda p: p.header["types"][0][1].__setitem__(0, 2**40), "a length that is no integer"),
    "large": (lambda p: p.header["types"].append(["f", [2**30, 2**30]]), r"slot of shape .* allowed \(memory_limit=\)"),
    "empty but large": (lambda p: p.header["types"].append(["f", [0, 2**30, 2**30]]), "memory_limit"),
    "axes": (lambda p: p.header["types"].append(["f", [1] * 33]), "a type that is none"),
    "line": (lambda p: p.header["lines"].append("\x1b[2J"), "a source line that is no short, printable text"),
    "folder": (lambda p: p.header["lines"].append("/etc/passwd:1"), "a source line of a file in a folder"),
    "backslash": (lambda p: p.header["lines"].append("..\\x.py:1"), "a source line of a file in a folder"),
    "folded": (at("operands", 1, 2), "instruction 3 .* depends on constants alone"),
    "parameters": (lambda p: p.header["interface"].__setitem__("parameters", []), "parameters that are no list"),
    "leaf": (lambda p: p.header["interface"]["leaves"][0].__setitem__("shape", [4]), "another argument than slot 0 is"),
    "argnums": (lambda p: p.header["interface"].__setitem__("argnums", []), "argnums that are others"),
    "no argnums": (lambda p: p.header["interface"].__setitem__("argnums", 3), "argnums that is no integer"),
    "result": (lambda p: p.header["interface"].__setitem__("result", {"none": []}), "a result of more or fewer parts"),
    "form": (lambda p: p.header["interface"].__setitem__("result", {"set": []}), "a container of the form 'set'"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_a_file_says_must_be_a_tape(name: str, path: Path, data: bytes) -> None:
    how, match = WRONG[name]
    refused(path, change(data, how), match)


def test_text_that_is_deep_or_long_or_no_json(path: Path, data: bytes) -> None:
    members = mutations.unpacked(data)
    texts = {
        b"[" * 100_000: "more than 100 levels",
        b'{"a": ' * 5000 + b"1" + b"}" * 5000: "more than 100 levels",
        b'"' + b'\\"' * 100_000: "a string that does not end",
        b"[1, 2": "no JSON",
        b"\xff\xfe": "no ASCII text",
        b'{"a": 1, "a": 2}': "a name twice",
        b"[NaN]": "a description with NaN",
        b"[" + b"7" * 5000 + b"]": "no JSON",
        b"[]": "no tape",
        b" " * (33 << 20): "a description of 34603008 bytes",
    }
    for text, match in texts.items():
        header = {"header.npy": mutations.npy(np.frombuffer(text, np.uint8))}
        refused(path, mutations.stored(list(mutations.rehashed({**members, **header}).items())), match)


def test_the_memory_of_a_sweep_is_known_before_it_is_taken(path: Path) -> None:
    tape = tg.record(lambda x: np.sum(np.sin(np.broadcast_to(x, (1000, 1000))).T @ np.ones((1000, 5))), np.ones(1000))
    tape.save(path)
    with pytest.raises(TapeFileError, match=r"8000000 bytes, where 4000000 are allowed \(memory_limit=\)"):
        tg.load(path, memory_limit=4_000_000)
    assert len(tg.load(path, memory_limit=8_000_000)) == len(tape)  # rows of the sines are made in tiles
    with pytest.raises(TapeFileError, match=r"[0-9]+ bytes, where 100 are allowed \(memory_limit=\)"):
        tg.load(path, memory_limit=100)
    tape = tg.record(lambda x: [np.sort(x), np.sort(-x), np.sort(x * x), np.cumsum(x)], np.ones(100_000))
    tape.save(path)
    with pytest.raises(TapeFileError, match=r"needs 3200000 bytes to run, where 3000000 are allowed"):
        tg.load(path, memory_limit=3_000_000)
    with pytest.raises(TapeFileError, match=r"needs [4-9]\d{6} bytes to run, where 4000000 are allowed"):
        tg.load(path, memory_limit=4_000_000)
    assert len(tg.load(path, memory_limit=10_000_000)) == len(tape)


def test_all_vectors_of_a_decomposition_count(path: Path) -> None:
    tape = tg.record(lambda a: np.linalg.svd(a)[2], np.ones((3, 4)))
    tape.save(path)

    def widen(parts: mutations.Parts) -> None:
        parts.arrays["type_ids"][0] = parts.place("types", ["f", [20_000, 4]])
        parts.header["interface"]["leaves"][0]["shape"] = [20_000, 4]
        parts.repair()

    path.write_bytes(change(path.read_bytes(), widen))
    with pytest.raises(TapeFileError, match=r"needs 32000\d+ bytes to run"):
        tg.load(path, memory_limit=1_000_000_000)


def test_results_count_as_often_as_they_are_returned(path: Path) -> None:
    tg.record(lambda x: (2 * x,), np.ones(1000)).save(path)

    def repeat(parts: mutations.Parts) -> None:
        parts.arrays["dependents"] = np.repeat(parts.arrays["dependents"], 2000)
        parts.header["interface"]["result"] = {"tuple": [None] * 2000}

    path.write_bytes(change(path.read_bytes(), repeat))
    with pytest.raises(TapeFileError, match=r"needs 160\d* bytes to run"):
        tg.load(path, memory_limit=15_000_000)


def test_a_file_may_be_read_by_several_threads(path: Path) -> None:
    tape = tapes()["network-float64"]
    tape.save(path)
    args, found = FILE_MODELS["network"].args, []
    threads = [threading.Thread(target=lambda: found.append(tg.load(path)(*args))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == [tape(*args)] * 4


# --- attributes


def type_of(operand: Any) -> ArrayType:
    return ArrayType(operand.shape, {"f": FLOAT, "i": INT, "b": BOOL}[operand.dtype.kind])


STRUCTURAL = [op for op in OPS if not op.elementwise and not op.leaf and op.name not in {"custom", "primitive"}]


def operands_of(sample: Sample) -> list[Any]:
    found = list(sample.operands)
    if sample.op.name == "lu_solve":
        found.insert(1, OPS[OPCODES["lu"]].evaluate((), found[0]))
    return found


@pytest.mark.parametrize(
    "op", [op for op in OPS if not op.leaf and op.name not in {"custom", "primitive"}], ids=lambda op: op.key
)
def test_rows_take_their_own_cases(op: Op) -> None:
    for sample in samples(op):
        assert op.takes(sample.attribute, [type_of(v) for v in operands_of(sample)])
    if op.elementwise:
        assert op.accepts is None
        assert not op.takes((0,), [ArrayType((), k) for k in op.kinds])
        assert not op.takes((), [ArrayType((), k) for k in op.kinds[:-1]])


def test_what_has_no_rule_is_not_taken() -> None:
    assert {op.name for op in OPS if op.accepts is None and not op.elementwise} == {
        "input", "constant", "custom", "primitive",
    }  # fmt: skip
    assert not OPS[OPCODES["primitive"]].takes((None, (3,)), [ArrayType((3,))])


def corruptions(value: Any) -> Iterator[Any]:
    """An attribute with one of its parts changed."""
    if isinstance(value, tuple):
        for k, part in enumerate(value):
            yield from ((*value[:k], new, *value[k + 1 :]) for new in corruptions(part))
            yield (*value[:k], *value[k + 1 :])
            yield (*value[:k], part, *value[k:])
        yield (*value, 0)
        yield (*value, ())
    elif type(value) is int:
        yield from (value + 1, value - 1, -value - 1, 2**31, 2**63, -(2**63), 10**30)
    elif isinstance(value, str):
        yield from ("", "other", value.upper())
    if not isinstance(value, tuple):
        yield from (None, "0", (value,), ())


def retyped(value: Any) -> Iterator[Any]:
    """An attribute that is equal, or nearly so, and of other types."""
    if isinstance(value, tuple):
        for k, part in enumerate(value):
            yield from ((*value[:k], new, *value[k + 1 :]) for new in retyped(part))
        yield list(value)
    elif type(value) is int:
        yield from (float(value), bool(value), str(value), np.int64(value))


@pytest.mark.parametrize("op", STRUCTURAL, ids=lambda op: op.key)
def test_other_attributes_are_refused_or_work(op: Op) -> None:
    """What is taken gives, by the row's own function, an array of the type that the row's rule says."""
    taken = refused = 0
    for sample in samples(op):
        operands = operands_of(sample)
        types = [type_of(v) for v in operands]
        for other in retyped(sample.attribute):
            assert not op.takes(other, types), other
        for other in corruptions(sample.attribute):
            if not op.takes(other, types):
                refused += 1
                continue
            taken += 1
            try:
                wanted = op.result_type(other, types)
            except ShapeError:
                continue
            if wanted.size > 10**6 or wanted.size == 0:
                continue
            try:
                value = op.evaluate(other, *operands)
            except IndexError:
                assert op.name in INDEXED  # it is looked at in the sweep
                continue
            assert (np.shape(value), np.asarray(value).dtype.kind) == (
                wanted.shape,
                {"f": "f", "i": "i", "b": "b"}[wanted.kind],
            )
        for k in range(len(types)):
            for kind in (FLOAT, INT, BOOL):
                changed = [ArrayType(t.shape, kind) if j == k else t for j, t in enumerate(types)]
                if changed[k] != types[k] and op.takes(sample.attribute, changed):
                    assert op.name in MOVES or op.eager or (kind == INT and op.name in {"sum", "max", "min"}), changed
    assert refused


INDEXED = {"gather", "scatter", "scatter_add", "scatter_set"}
MOVES = {"reshape", "transpose", "broadcast_to", "slice", "pad", "item", "concatenate", "gather", "stop_gradient"}


def test_operands_of_fewer_axes_are_no_part_of_a_concatenation() -> None:
    concatenate = OPS[OPCODES["concatenate"]]
    assert not concatenate.takes((1,), [ArrayType((2, 3)), ArrayType((2,))])
    assert not concatenate.takes((0,), [])


def test_transforms_of_nothing() -> None:
    assert not OPS[OPCODES["rfft"]].takes(((-1,), "backward", 0), [ArrayType((2, 0))])


def test_the_last_of_no_indices() -> None:
    found = OPS[OPCODES["is_last"]].evaluate((3, 1), np.zeros((0, 2), np.int64))
    assert (found.shape, found.dtype) == ((0, 2), np.bool_)


def test_pivots_outside_the_matrix_do_not_reach_lapack(path: Path) -> None:
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.ones((2, 1))
    lu = OPS[OPCODES["lu"]].evaluate((), a)
    for pivot in (-1.0, 2.0, 1e9, np.nan, np.inf):
        lu[-1, 0] = pivot
        with pytest.raises(np.linalg.LinAlgError, match="Pivots outside"):
            OPS[OPCODES["lu_solve"]].evaluate((0,), a, lu, b)


@pytest.mark.parametrize("name", ["svd", "pinv", "complement", "cofactors", "cofactors_change"])
def test_decompositions_of_infinities_come_to_an_end(name: str) -> None:
    a = np.array([[np.inf, 0.58, -0.66], [-0.61, -1.6, 0.72], [0.8, -0.47, 0.16]])
    op = OPS[OPCODES[name]]
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        op.evaluate(("u",) if name == "complement" else op.cases[0].attribute, *[a] * len(op.operands))


def test_an_archive_has_an_end() -> None:
    with pytest.raises(archive.Wrong, match="more than 4 GB"):
        archive.pack([("a.npy", Huge())])  # type: ignore[list-item]


class Huge(bytes):
    """Bytes that say that there are very many of them."""

    def __len__(self) -> int:
        return 1 << 32


# --- mutations


def test_changed_files_are_refused_or_run() -> None:
    outcomes, failures = fuzz(3, 0, 600, report=False)
    assert not failures, "\n".join(failures.values())
    assert outcomes["refused"] > 300
    assert outcomes["ran"] > 50
