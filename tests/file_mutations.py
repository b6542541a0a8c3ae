"""Ways to change a tape's file: its bytes, the archive and its arrays, and what it says, with the right hash.

Every mutation is a function of a random generator, so that a number names a file for ever.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.ops.row import ArrayType
from tapegrad.ops.table import OPCODES, OPS

Random = np.random.Generator
END: Final = 22
EXTREMES: Final = (-1, 0, 1, 2, 7, 255, 2**15, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**63 - 1, -(2**63), 2**64)


def pick(rng: Random, items: Any) -> Any:
    """One of some things, whatever they are."""
    listed = list(items)
    return listed[int(rng.integers(len(listed)))]


# --- bytes


def flip(rng: Random, data: bytearray) -> None:
    for _ in range(int(rng.integers(1, 5))):
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))


def cut(rng: Random, data: bytearray) -> None:
    del data[int(rng.integers(len(data))) :]


def cut_out(rng: Random, data: bytearray) -> None:
    start = int(rng.integers(len(data)))
    del data[start : start + int(rng.integers(1, 64))]


def put_in(rng: Random, data: bytearray) -> None:
    start = int(rng.integers(len(data) + 1))
    data[start:start] = rng.bytes(int(rng.integers(1, 64)))


def swap(rng: Random, data: bytearray) -> None:
    n = int(rng.integers(1, 64))
    a, b = (int(rng.integers(len(data) - n)) for _ in range(2))
    data[a : a + n], data[b : b + n] = data[b : b + n], data[a : a + n]


def overwrite(rng: Random, data: bytearray) -> None:
    size, start = pick(rng, (2, 4, 8)), int(rng.integers(len(data)))
    data[start : start + size] = (pick(rng, EXTREMES) & (2 ** (8 * size) - 1)).to_bytes(size, "little")


def overwrite_end(rng: Random, data: bytearray) -> None:
    """Somewhere in the archive's directory."""
    tail = bytearray(data[-1200:])
    overwrite(rng, tail)
    data[-1200:] = tail


BYTES: Final = (flip, cut, cut_out, put_in, swap, overwrite, overwrite_end)


# --- the archive


def npy(array: Any) -> bytes:
    """An array as NumPy writes it."""
    found = io.BytesIO()
    np.lib.format.write_array(found, np.asarray(array), allow_pickle=True)
    return found.getvalue()


def head(text: str, version: bytes = b"\x01\x00") -> bytes:
    """A header of an array that says something."""
    length = struct.pack("<H" if version == b"\x01\x00" else "<I", len(text))
    return b"\x93NUMPY" + version + length + text.encode()


def rehashed(members: dict[str, bytes]) -> dict[str, bytes]:
    """The members with the hash that belongs to them."""
    found = hashlib.sha256()
    for name, content in members.items():
        if name != "hash.npy":
            found.update(f"{name} {len(content)}\n".encode() + content)
    return {**members, "hash.npy": npy(np.frombuffer(found.digest(), np.uint8))}


def archive(members: dict[str, bytes], **options: Any) -> bytes:
    """A zip file by Python's own module."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", **options) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return found.getvalue()


def stored(members: list[tuple[str, bytes]]) -> bytes:
    """A zip file as `save` writes it, also with names that are there twice."""
    pieces, directory, offset = b"", b"", 0
    for name, content in members:
        own, crc, size = name.encode(), zlib.crc32(content), len(content)
        pieces += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, crc, size, size, len(own), 0) + own + content
        middle = (b"PK\1\2", 788, 20, 0, 0, 0, 33, crc, size, size, len(own), 0, 0, 0, 0, 0o100644 << 16, offset)
        directory += struct.pack("<4s6H3L5H2L", *middle) + own
        offset = len(pieces)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, len(members), len(members), len(directory), offset, 0)
    return pieces + directory + end


def unpacked(data: bytes) -> dict[str, bytes]:
    """The members of a good file."""
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def exchanged(rng: Random, members: dict[str, bytes]) -> bytes:
    a, b = pick(rng, members), pick(rng, members)
    return stored(list(rehashed({**members, a: members[b], b: members[a]}).items()))


def other_dtype(rng: Random, members: dict[str, bytes]) -> bytes:
    name = pick(rng, members)
    array = np.load(io.BytesIO(members[name]))
    dtype = pick(rng, ("<i8", ">i4", "<f8", "<f4", "|b1", "<u8", "<c16", "|O", "<U3", "|S8", "<M8[s]", "|V8", "<i2"))
    try:
        changed = npy(array.astype(dtype))
    except (TypeError, ValueError):
        changed = npy(array.astype(object))
    return stored(list(rehashed({**members, name: changed}).items()))


def other_shape(rng: Random, members: dict[str, bytes]) -> bytes:
    name = pick(rng, members)
    array = np.load(io.BytesIO(members[name]))
    shapes = ((), (len(array), 1), (1, len(array)), (-1,), (2**62,), (2**40, 2**40), (len(array) + 1,), (10**30,))
    text = {"descr": array.dtype.str, "fortran_order": bool(rng.integers(2)), "shape": pick(rng, shapes)}
    if rng.integers(4) == 0:
        text["shape"] = pick(rng, ("(" * 5000 + "3", "__import__('os')", {}, [3], (3.5,), (True,)))
    version = pick(rng, (b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00"))
    changed = head(repr(text).ljust(117) + "\n", version) + array.tobytes()
    return stored(list(rehashed({**members, name: changed}).items()))


def renamed(rng: Random, members: dict[str, bytes]) -> bytes:
    name, items = pick(rng, members), list(members.items())
    others = (
        "/etc/passwd",
        "../../x.npy",
        "hash.npy",
        "",
        name.upper(),
        "C:\\x",
        "x" * 60000,
        "\x00.npy",
        "opcodes.npy",
    )
    new = pick(rng, others)
    return stored([(new if n == name else n, content) for n, content in items])


def missing_or_more(rng: Random, members: dict[str, bytes]) -> bytes:
    items = list(members.items())
    k = int(rng.integers(len(items)))
    choice = int(rng.integers(5))
    if choice == 0:
        del items[k]
    elif choice == 1:
        items.insert(k, items[int(rng.integers(len(items)))])
    elif choice == 2:
        items.insert(k, (pick(rng, ("more.npy", "a/b", "opcodes")), rng.bytes(20)))
    elif choice == 3:
        items = [items[j] for j in rng.permutation(len(items))]
    else:
        items *= int(rng.integers(2, 300))
    return stored(items)


def compressed(rng: Random, members: dict[str, bytes]) -> bytes:
    method = pick(rng, (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    if rng.integers(3) == 0:  # a bomb
        members = {**members, pick(rng, members): bytes(1 << 24)}
    return archive(members, compression=method)


def as_numpy_writes(rng: Random, members: dict[str, bytes]) -> bytes:
    arrays: dict[str, Any] = {name[:-4]: np.load(io.BytesIO(content)) for name, content in members.items()}
    if rng.integers(2):
        arrays[pick(rng, arrays)] = np.array([{"a": 1}, None], object)
    found = io.BytesIO()
    np.savez(found, **arrays)
    return found.getvalue()


def marked(rng: Random, members: dict[str, bytes]) -> bytes:
    """A symbolic link, an encrypted member, a comment, other flags: in the directory of a good archive."""
    data = bytearray(stored(list(members.items())))
    if rng.integers(4) == 0:
        comment = rng.bytes(int(rng.integers(1, 70)))
        return bytes(data[:-2]) + struct.pack("<H", len(comment)) + comment
    start = int.from_bytes(data[-6:-2], "little")
    for _ in range(int(rng.integers(len(members)))):
        start += 46 + int.from_bytes(data[start + 28 : start + 30], "little")
    field, size = pick(
        rng, ((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (38, 4), (42, 4))
    )
    value = pick(rng, (1, 8, 0x800, 0xFFFF, 0o120777 << 16, 0xFFFFFFFF, *EXTREMES))
    data[start + field : start + field + size] = (value & (2 ** (8 * size) - 1)).to_bytes(size, "little")
    return bytes(data)


ARCHIVES: Final = (
    exchanged, other_dtype, other_shape, renamed, missing_or_more, compressed, as_numpy_writes, marked,
)  # fmt: skip


# --- what it says


@dataclass(slots=True)
class Parts:
    """A file taken apart: what its text says, and its arrays."""

    header: Any
    arrays: dict[str, Any]

    @classmethod
    def of(cls, members: dict[str, bytes]) -> Parts:
        arrays = {name[:-4]: np.load(io.BytesIO(content)) for name, content in members.items()}
        header = json.loads(arrays.pop("header").tobytes())
        del arrays["hash"]
        return cls(header, arrays)

    def data(self) -> bytes:
        """The file, whole and with its hash."""
        try:
            text = json.dumps(self.header, separators=(",", ":")).encode()
        except RecursionError:
            text = b"[" * 100_000
        members = {"header.npy": npy(np.frombuffer(text, np.uint8))}
        members |= {f"{name}.npy": npy(array) for name, array in self.arrays.items()}
        return stored(list(rehashed(members).items()))

    # The tape, as far as mutations want it right

    def op(self, i: int) -> Any:
        return OPS[OPCODES[self.header["ops"][self.arrays["opcodes"][i]]]]

    def read(self, i: int) -> list[int]:
        starts = self.arrays["starts"]
        return self.arrays["operands"][starts[i] : starts[i + 1]].tolist()

    def type(self, slot: int) -> ArrayType:
        kind, shape = self.header["types"][self.arrays["type_ids"][slot]]
        return ArrayType(tuple(shape), kind)

    def attribute(self, i: int) -> Any:
        if self.op(i).immediate:
            return (int(self.arrays["attribute_ids"][i]),)
        return as_tuple(self.header["attributes"][self.arrays["attribute_ids"][i]])

    def opcode(self, key: str) -> int:
        """The place of an op's name, which is added where it is missing."""
        ops = self.header["ops"]
        if key not in ops:
            ops.append(key)
        return ops.index(key)

    def place(self, table: str, value: Any) -> int:
        """The place of a value in a table, to which it is added where it is missing."""
        found = self.header[table]
        if value not in found:
            found.append(value)
        return found.index(value)

    def repair(self) -> None:
        """Give every instruction the type that its operands and its attribute lead to, where they lead to one."""
        for i in range(len(self.arrays["opcodes"])):
            op = self.op(i)
            if op.leaf:
                continue
            try:
                found = op.result_type(self.attribute(i), [self.type(s) for s in self.read(i)])
                shape = [int(n) for n in found.shape]
            except Exception:
                continue
            if all(0 <= n < 2**31 for n in shape):
                self.arrays["type_ids"][i] = self.place("types", [found.kind, shape])

    def fits(self, i: int) -> bool:
        """Is an instruction one that could have been recorded?"""
        op, types = self.op(i), [self.type(s) for s in self.read(i)]
        try:
            taken = op.leaf or op.takes(self.attribute(i), types)
            return taken and (op.leaf or op.result_type(self.attribute(i), types) == self.type(i))
        except Exception:
            return False

    def shorten(self, last: int) -> None:
        """Leave out what comes after an instruction, which is the result then."""
        n = last + 1
        for name in ("opcodes", "type_ids", "attribute_ids", "line_ids"):
            self.arrays[name] = self.arrays[name][:n]
        self.arrays["starts"] = self.arrays["starts"][: n + 1]
        self.arrays["operands"] = self.arrays["operands"][: self.arrays["starts"][n]]
        self.arrays["dependents"] = np.array([last], np.int32)
        self.header["reverse"] = max(min(self.header["reverse"], n), len(self.arrays["inputs"]))
        self.header["interface"]["result"] = None


def as_tuple(value: Any) -> Any:
    """Lists as tuples."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value


def integers(rng: Random, parts: Parts) -> None:
    """Elements of an array."""
    name = pick(rng, [n for n, a in parts.arrays.items() if a.size])
    array = parts.arrays[name]
    limits = np.iinfo(array.dtype) if array.dtype.kind in "iu" else None
    for _ in range(int(rng.integers(1, 4))):
        k = int(rng.integers(array.size))
        if limits is None:
            array[k] = pick(rng, (0, 1, np.nan, np.inf, -np.inf, -0.0, 1e30, -3.5))
        elif rng.integers(2):
            array[k] = min(max(int(array[k]) + pick(rng, (-2, -1, 1, 2)), limits.min), limits.max)
        else:
            array[k] = min(max(pick(rng, (*EXTREMES, *range(array.size + 1))), limits.min), limits.max)


def rearranged(rng: Random, parts: Parts) -> None:
    """An array in another order, longer or shorter."""
    name = pick(rng, [n for n, a in parts.arrays.items() if a.size])
    array = parts.arrays[name]
    k = int(rng.integers(array.size))
    changes = (array[::-1], np.sort(array), rng.permutation(array), np.delete(array, k), array[:0], array[k:])
    parts.arrays[name] = pick(rng, (*changes, np.insert(array, k, array[k]), np.concatenate([array, array])))


def text_value(rng: Random, parts: Parts) -> None:
    """One value somewhere in the text."""
    changed(rng, parts.header)


def changed(rng: Random, root: Any) -> None:
    """Change one value, at any depth, of a container."""
    places: list[tuple[Any, Any]] = []
    todo = [root]
    while todo:
        container = todo.pop()
        for key in container if isinstance(container, dict) else range(len(container)):
            places.append((container, key))
            if isinstance(container[key], (dict, list)):
                todo.append(container[key])
    if not places:
        return
    container, key = pick(rng, places)
    value = container[key]
    action = int(rng.integers(8))
    if action == 0:
        container.pop(key)
    elif action == 1 and isinstance(container, list):
        container.insert(key, value)
    elif action == 2:
        container[key] = [value]
    elif action == 3 and type(value) is int:
        container[key] = pick(rng, (float(value), str(value), bool(value), -value, value + 1, value - 1))
    elif action == 4 and isinstance(value, str):
        container[key] = pick(
            rng, ("", value * 200, value + "\x1b[2J", "\ud800", "add", "primitive", "dict", value[::-1])
        )
    elif action == 5:
        deep: Any = value
        for _ in range(pick(rng, (3, 90, 110, 800))):
            deep = [deep]
        container[key] = deep
    else:
        values = (None, True, False, 0.5, "x", [], {}, {"sparse": 0}, {"static": 3}, 10**400, *EXTREMES)
        container[key] = pick(rng, values)


def attributes(rng: Random, parts: Parts) -> None:
    """An attribute, and the types made to fit."""
    for _ in range(int(rng.integers(1, 3))):
        changed(rng, parts.header["attributes"])
    if rng.integers(4):
        parts.repair()


def small(rng: Random, parts: Parts) -> None:
    """Numbers within attributes by one or two, and the types made to fit: what is likely to be taken."""
    numbers: list[tuple[Any, int]] = []
    todo = list(parts.header["attributes"])
    while todo:
        values = todo.pop()
        numbers += [(values, k) for k, v in enumerate(values) if type(v) is int]
        todo += [v for v in values if isinstance(v, list)]
    for _ in range(int(rng.integers(1, 4))):
        if numbers:
            values, k = pick(rng, numbers)
            values[k] += pick(rng, (-2, -1, 1, 2))
    ids = np.flatnonzero([parts.op(i).immediate for i in range(len(parts.arrays["opcodes"]))])
    if len(ids) and rng.integers(2):
        parts.arrays["attribute_ids"][pick(rng, ids)] += pick(rng, (-2, -1, 1, 2, 1000))
    parts.repair()


def operations(rng: Random, parts: Parts) -> None:
    """Another op for an instruction, of as many operands, sometimes of the same kinds."""
    n = len(parts.arrays["opcodes"])
    for _ in range(int(rng.integers(1, 4))):
        i = int(rng.integers(n))
        count = len(parts.read(i))
        kinds = "".join(parts.type(s).kind for s in parts.read(i))
        alike = [op.key for op in OPS if len(op.operands) == count and (not op.elementwise or op.kinds == kinds)]
        if alike and rng.integers(4):
            parts.arrays["opcodes"][i] = parts.opcode(pick(rng, alike))
        else:
            parts.arrays["opcodes"][i] = parts.opcode(pick(rng, OPS).key)
        if rng.integers(2):
            parts.arrays["attribute_ids"][i] = int(rng.integers(len(parts.header["attributes"])))
    if rng.integers(4):
        parts.repair()


def structural(rng: Random, parts: Parts) -> None:
    """An op of one operand becomes one that moves numbers, with an attribute made for it or nearly so."""
    ones = [i for i in range(len(parts.arrays["opcodes"])) if len(parts.read(i)) == 1]
    if not ones:
        return
    i = pick(rng, ones)
    shape = parts.type(parts.read(i)[0]).shape
    n = len(shape)
    windows = [
        [int(rng.integers(0, m + 1)), pick(rng, (-2, -1, 1, 1, 2, 3)), int(rng.integers(0, m + 2))] for m in shape
    ]
    choices: dict[str, Any] = {
        "slice": windows,
        "pad": [[m + int(rng.integers(0, 4)) for m in shape], [[int(rng.integers(0, 3)), 1, m] for m in shape]],
        "transpose": [int(a) for a in rng.permutation(n)],
        "reshape": list(shape[::-1]),
        "broadcast_to": [int(rng.integers(1, 4)), *shape],
        "sum": [int(a) for a in rng.permutation(n)[: int(rng.integers(0, n + 1))]],
        "max": [int(a) for a in rng.permutation(n)[: int(rng.integers(0, n + 1))]],
        "cumsum": [int(rng.integers(0, n + 1))],
        "argsort": [int(rng.integers(0, n + 1))],
        "argmax": [int(rng.integers(0, n + 1))],
        "running_place": [int(rng.integers(0, n + 1)), int(rng.integers(0, 2))],
        "concatenate": [int(rng.integers(0, n + 1))],
        "tril": [int(rng.integers(-3, 4))],
        "rfft": [[-1], "ortho", int(rng.integers(0, 2))],
        "fft_real": [[-1], "backward", 0],
        "svd": [],
        "stop_gradient": [],
        "eigh": [int(rng.integers(0, 2))],
    }
    key = pick(rng, choices)
    parts.arrays["opcodes"][i] = parts.opcode(key)
    parts.arrays["attribute_ids"][i] = parts.place("attributes", choices[key])
    parts.repair()


def operands(rng: Random, parts: Parts) -> None:
    """Other slots are read, sometimes of the same type."""
    array = parts.arrays["operands"]
    readers = np.repeat(np.arange(len(parts.arrays["opcodes"])), np.diff(parts.arrays["starts"]))
    for _ in range(int(rng.integers(1, 4))):
        if not array.size:
            return
        k = int(rng.integers(array.size))
        before = np.arange(readers[k])
        same = before[parts.arrays["type_ids"][before] == parts.arrays["type_ids"][array[k]]]
        array[k] = pick(rng, same if rng.integers(3) and same.size else before)
    if rng.integers(3):
        parts.repair()


def arguments(rng: Random, parts: Parts) -> None:
    """An argument of another shape or dtype, and all types made to fit."""
    inputs = parts.arrays["inputs"]
    leaves = [leaf for leaf in parts.header["interface"]["leaves"] if "shape" in leaf]
    if not leaves:
        return
    k = int(rng.integers(len(leaves)))
    leaf = leaves[k]
    if rng.integers(4) == 0:
        leaf["dtype"] = pick(rng, ("int64", "bool", "float64", "float32", "uint8", "float16"))
    shape = list(leaf["shape"])
    if shape and rng.integers(3):
        shape[int(rng.integers(len(shape)))] = pick(rng, (0, 1, 2, 3, 5, 16, 33, 1000, 2**20, 2**31 - 1))
    elif rng.integers(2):
        shape.insert(int(rng.integers(len(shape) + 1)), pick(rng, (0, 1, 2, 3, 40)))
    elif shape:
        shape.pop()
    leaf["shape"] = shape
    kind = {"i": "i", "u": "i", "b": "b", "f": "f"}[leaf["dtype"][0]]
    parts.arrays["type_ids"][inputs[k]] = parts.place("types", [kind, shape])
    parts.repair()


def ends(rng: Random, parts: Parts) -> None:
    """Other dependents, independents, inputs or another reverse part."""
    n = len(parts.arrays["opcodes"])
    choice = int(rng.integers(4))
    if choice == 0:
        parts.header["reverse"] = pick(rng, (0, 1, n - 1, n, n + 1, -1, 2**31, int(rng.integers(n + 1))))
        return
    array = parts.arrays[("dependents", "independents", "inputs")[choice - 1]]
    if array.size:
        array[int(rng.integers(array.size))] = pick(rng, (*range(n), -1, n, 2**31 - 1))


def constants(rng: Random, parts: Parts) -> None:
    """Values of constants: indices outside their axes, nan, infinities."""
    name = pick(rng, ("floats", "integers", "booleans", "sparse_values"))
    array = parts.arrays[name]
    for _ in range(3):
        if array.size:
            values = {"f": (np.nan, np.inf, 0.0, 1e300), "i": (-1, 3, 100, 2**62, -(2**63)), "b": (True, False)}
            with np.errstate(over="ignore"):
                array[int(rng.integers(array.size))] = pick(rng, values[array.dtype.kind])


def dtype(rng: Random, parts: Parts) -> None:
    """The other floating dtype, constants and all."""
    other = {"float64": "float32", "float32": "float64"}[parts.header["dtype"]]
    parts.header["dtype"] = other
    if rng.integers(3):
        for name in ("floats", "sparse_values"):
            parts.arrays[name] = parts.arrays[name].astype(other)


def outside(rng: Random, parts: Parts) -> None:
    """The outside: parameters, structures, leaves, argnums."""
    changed(rng, parts.header["interface"])


MEANINGS: Final = (
    integers, rearranged, text_value, attributes, small, operations, structural, operands, arguments, ends, constants,
    dtype, outside,
)  # fmt: skip
REPAIRED: Final = (attributes, small, operations, structural, operands, arguments)
LEVELS: Final = ("bytes", "archive", "meaning")


def mutated(rng: Random, data: bytes) -> tuple[str, bytes]:
    """A changed file, and by what it was changed."""
    level = pick(rng, (*LEVELS, "meaning", "meaning"))
    if level == "bytes":
        changes: Callable[..., Any] = pick(rng, BYTES)
        own = bytearray(data)
        changes(rng, own)
        return changes.__name__, bytes(own)
    if level == "archive":
        changes = pick(rng, ARCHIVES)
        return changes.__name__, changes(rng, unpacked(data))
    parts, names = Parts.of(unpacked(data)), []
    for _ in range(int(rng.choice((1, 1, 1, 2, 3)))):
        changes = pick(rng, MEANINGS)
        names.append(changes.__name__)
        try:
            changes(rng, parts)
            if changes in REPAIRED and rng.integers(2):
                first, n = len(parts.arrays["inputs"]), len(parts.arrays["opcodes"])
                wrong = next((i for i in range(n) if not parts.fits(i)), n)
                parts.shorten(max(wrong - int(rng.integers(2)), first))
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError):  # it is wrong already
            break
    return "+".join(names), parts.data()
