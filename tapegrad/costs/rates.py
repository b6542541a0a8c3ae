"""What was measured of a machine, as what things cost: nanoseconds of an element, a product, a byte."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapegrad.costs.probes import FLAGS, FOOTPRINTS, LENGTH, LINE, MIXED, NEAR, ROW, SHORT, SIZES, product_name
from tapegrad.ops.table import OPS
from tapegrad.sweep.layout import WORDS

UNKNOWN: Final = 5.0  # nanoseconds of an element of a function of the user's
_OPCODES: Final = len(OPS)


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Of one machine, for tapes of one dtype; `found` are nanoseconds by name (`tapegrad.costs.measure`)."""

    found: Mapping[str, float]

    def of(self, name: str) -> float:
        """What was measured."""
        return self.found[name]

    def elements(self) -> Any:
        """float64[ops]: an element of each elementwise op, in the first-level cache."""
        return np.array([self.found.get(f"op:{op.key}", UNKNOWN) for op in OPS])

    def scalars(self) -> Any:
        """float64[ops]: a row of the scalar machine, among others."""
        same = np.array([self.found.get(f"scalar:{op.key}", self.found["scalar:add"]) for op in OPS])
        usual = np.mean([self.found[f"scalar:{name}"] for name in MIXED])
        return same + max(self.found["scalars"] - usual, 0.0)

    def moves(self) -> tuple[Any, Any, Any]:
        """An element of each opcode of the array machine: in order, summed up into one, at strides."""
        f = self.found
        last = WORDS["LOOP_CELL"] + 1
        plain, into, strided = np.zeros(last), np.zeros(last), np.full(last, f["copy:strided"])
        own = {
            "COPY": f["copy"],
            "FILL": f["fill"],
            "SHIFT": f["fill"] / 8,
            "ACCUMULATE": max(f["copy and add"] - f["copy"], 0.0),
            "SUM_F": f["sum:each"],
            "MAX_F": f["max:each"],
            "MIN_F": f["max:each"],
        } | {f"{name}_I": f["sum:ints"] for name in ("SUM", "MAX", "MIN")}
        for name, value in own.items():
            plain[WORDS[name]] = into[WORDS[name]] = value
        into[WORDS["SUM_F"]], into[WORDS["MAX_F"]], into[WORDS["MIN_F"]] = f["sum:into"], f["max:into"], f["max:into"]
        plain[:_OPCODES] = into[:_OPCODES] = self.elements()
        strided[:_OPCODES] = np.maximum(plain[:_OPCODES], f["strided"])
        return plain, into, np.maximum(strided, plain)

    def stretches(self) -> Any:
        """What begins a further inner stretch, by opcode of the array machine."""
        f = self.found
        found = np.full(WORDS["LOOP_CELL"] + 1, max(f["stretch"] - SHORT * f["op:add"], 0.0))
        found[WORDS["LOOP"]] = max(f["stretch:loop"] - SHORT * f["op:hypot"], 0.0)
        for name in ("SUM_F", "MAX_F", "MIN_F"):
            found[WORDS[name]] = max(f["stretch:sum"] - SHORT * f["sum:into"], 0.0)
        return found

    def selections(self) -> tuple[float, float, float, float]:
        """An index that gathers one element, a row, and each element of a row; the same of a scatter follows."""
        f = self.found
        return f["gather"], max(f["gather:rows"] - ROW * f["copy"], 0.0), f["copy"], f["copy"]

    def scatters(self) -> tuple[float, float, float]:
        """An index that adds one element to others, a row, and each element of a row."""
        f = self.found
        each = f["sum:each"]
        return max(f["scatter"] - f["fill"], 0.0), max(f["scatter:rows"] - ROW * (f["fill"] + each), 0.0), each

    def products(self, m: Any, n: Any, k: Any, flags: Any) -> Any:
        """One matrix product each, of what is in the caches; `flags` as the kernel has them."""
        table = np.array(
            [[[[self._flop(f, a, b, c) for c in SIZES] for b in SIZES] for a in SIZES] for f in FLAGS]
        )  # fmt: skip
        turned = np.concatenate([table, table[1:].max(0)[None]])[np.array([0, 2, 1, 3])[np.asarray(flags) & 3]]
        places = [_between(x) for x in (m, n, k)]
        total = np.zeros(np.shape(m))
        rows = np.arange(len(total))
        for corner in range(8):
            sides = [(corner >> j) & 1 for j in range(3)]
            at = [low + side for (low, _), side in zip(places, sides, strict=True)]
            weights = [part if side else 1 - part for (_, part), side in zip(places, sides, strict=True)]
            total += np.prod(weights, axis=0) * turned[rows, at[0], at[1], at[2]]
        return np.exp(total) * 2.0 * np.asarray(m) * np.asarray(n) * np.asarray(k)

    def _flop(self, flags: tuple[int, int], m: int, n: int, k: int) -> float:
        return float(np.log(self.found[product_name(flags, m, n, k)] / (2 * m * n * k)))

    def bytes(self, distance: Any, written: Any) -> Any:
        """A byte that was last touched so many other bytes ago, read or written; 0 in the first-level cache."""
        footprints = np.array(FOOTPRINTS, np.float64)
        alone = np.array([self.found[f"read:{b}"] for b in FOOTPRINTS])
        both = np.array([self.found[f"write:{b}"] for b in FOOTPRINTS])
        reads = np.minimum(alone, both / 2)  # a sum may take longer to add than to read
        # A probe that writes goes through twice its footprint: what it reads, and what it writes.
        writes = np.maximum(both - np.interp(2 * footprints, footprints, reads), reads)
        near = np.log(np.maximum(distance, 1.0))
        read = np.interp(near, np.log([NEAR, *footprints]), [0.0, *reads])
        return np.where(written, np.interp(near, np.log([NEAR, *(2 * footprints)]), [0.0, *writes]), read)

    def lines(self, distance: Any) -> Any:
        """A line of the cache that does not follow the one before, beyond what its bytes cost."""
        f, footprints = self.found, np.array(FOOTPRINTS, np.float64)
        here = max(f["gather:rows"] - ROW * f["copy"], 0.0)
        bytes_ = self.bytes(footprints, np.zeros(len(footprints), np.bool_))
        each = [f[f"line:{b}"] for b in FOOTPRINTS]
        found = np.maximum(np.array(each) - here - LINE * bytes_, 0.0)
        return np.interp(np.log(np.maximum(distance, 1.0)), np.log([NEAR, *footprints]), [0.0, *found])

    def shared(self, name: str, threads: int, cores: int) -> float:
        """What part of one thread's time so many threads take: for "compute", "memory" or "products"."""
        if threads <= 1 or cores <= 1:
            return 1.0
        all_of_them = self.found[f"threads:{name}"]
        speed = 1 + (1 / all_of_them - 1) * (min(threads, cores) - 1) / (cores - 1)
        return float(1 / max(speed, 1e-3))


def _between(lengths: Any) -> tuple[Any, Any]:
    """The place among `SIZES` before each length, and how far it is to the next one."""
    steps = np.log(np.array(SIZES, np.float64))
    at = np.clip(np.log(np.maximum(lengths, 1.0)), steps[0], steps[-1])
    low = np.clip(np.searchsorted(steps, at, side="right") - 1, 0, len(steps) - 2)
    return low, (at - steps[low]) / (steps[low + 1] - steps[low])


assert LENGTH >= SHORT
