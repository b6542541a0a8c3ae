"""Sets of independent entries, each kept once: a slot's pattern is an array of small integers that name sets.

Most instructions only move such numbers, or pass them on. Unions are what costs something, so sets of equal
content have one number, and unions that were made lately are looked up. Set 0 is empty, set e + 1 holds e alone.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from tapegrad.jit import compiled, part

FULL: Final = -1  # instead of a set's number: there is no room for it
START, LENGTH, HASH = range(3)  # columns of `sets`
USED, FREE, STAMP, NAMES = range(4)  # places in `work`
PAIRS: Final = 1 << 16  # unions of two that are remembered
_SHORT: Final = 16  # entries that are united faster than looked up


class Pool(NamedTuple):
    """The sets, in arrays that compiled functions take one by one: a tuple of them would cost each call more.

    Attributes:
        entries: int32[], the entries of all sets, those of each in increasing order.
        sets: int64[sets, 3], where a set's entries start, how many they are, and their hash.
        table: int32[], an open-addressing hash table from content to number; -1 where it is empty.
        work: int64[3 + sets], how many entries are in use, how many numbers name no set, the last stamp, and a
            stack of these numbers.
        pairs: int32[, 3], two numbers and that of their union, at a place that the two give.
        stamps: int64[count + sets], one for each independent entry and each set: when a union met it last. The last
            field: unions of two do without.
    """

    entries: Any
    sets: Any
    table: Any
    work: Any
    pairs: Any
    stamps: Any


# --- numbers of sets


@part
def _mixed(e: Any) -> Any:
    """A hash of one entry; that of a set is their sum, so it does not depend on their order."""
    h = (np.uint64(e) + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(29))) * np.uint64(0x94D049BB133111EB)
    return np.int64(h ^ (h >> np.uint64(32)))


@compiled
def hash_singles(sets: Any, count: Any) -> None:
    """The hashes of the sets of one entry."""
    for e in range(count):
        sets[e + 1, HASH] = _mixed(e)


@part
def _cell(h: Any, size: Any) -> Any:
    """Where a hash is looked up first in a table whose size is a power of two."""
    h = np.uint64(h)
    h = (h ^ (h >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64((h >> np.uint64(20)) & np.uint64(size - 1))


@compiled
def compact(old: Any, live: Any, entries: Any, sets: Any, table: Any, work: Any) -> None:
    """Copy the entries of the live sets from the `old` ones, and set the other numbers free."""
    place = 0
    for s in range(len(live) - 1, -1, -1):
        if not live[s]:
            work[NAMES + work[FREE]] = s
            work[FREE] += 1
            continue
        a, n = sets[s, START], sets[s, LENGTH]
        sets[s, START] = place
        for k in range(n):
            entries[place + k] = old[a + k]
        place += n
        if n > 1:
            cell = _cell(sets[s, HASH], len(table))
            while table[cell] >= 0:
                cell = (cell + 1) & (len(table) - 1)
            table[cell] = s
    work[USED] = place


@part
def _kept(n: Any, h: Any, entries: Any, sets: Any, table: Any, work: Any) -> Any:
    """The number of the set that has been written behind the entries in use: a known one's, if there is one."""
    begin = work[USED]
    if n == 0:
        return 0
    if n == 1:
        return np.int64(entries[begin]) + 1
    cell = _cell(h, len(table))
    while True:
        s = np.int64(table[cell])
        if s < 0:
            break
        if sets[s, HASH] == h and sets[s, LENGTH] == n:
            a, k = sets[s, START], 0
            while k < n and entries[a + k] == entries[begin + k]:
                k += 1
            if k == n:
                return s
        cell = (cell + 1) & (len(table) - 1)
    if work[FREE] == 0:
        return FULL
    work[FREE] -= 1
    s = work[NAMES + work[FREE]]
    table[cell] = s
    sets[s, START], sets[s, LENGTH], sets[s, HASH] = begin, n, h
    work[USED] = begin + n
    return s


# --- unions


@part
def _merged(a: Any, b: Any, entries: Any, sets: Any, table: Any, work: Any) -> Any:
    """The union of two sets, by going along both."""
    i, j, begin = sets[a, START], sets[b, START], work[USED]
    length, other = sets[a, LENGTH], sets[b, LENGTH]
    i_end, j_end, k = i + length, j + other, begin
    if begin + length + other > len(entries):
        return FULL
    h = sets[a, HASH] + sets[b, HASH]
    while i < i_end and j < j_end:
        x, y = entries[i], entries[j]
        if x == y:
            h -= _mixed(x)
        entries[k] = min(x, y)
        k += 1
        i += 1 if x <= y else 0
        j += 1 if y <= x else 0
    while i < i_end:
        entries[k] = entries[i]
        i += 1
        k += 1
    while j < j_end:
        entries[k] = entries[j]
        j += 1
        k += 1
    if k - begin == length:
        return a
    if k - begin == other:
        return b
    return _kept(k - begin, h, entries, sets, table, work)


@part
def _contains(entries: Any, a: Any, length: Any, b: Any, other: Any) -> Any:
    """Is each of the `length` entries from place a on among the `other` ones from place b on?"""
    low = b
    for p in range(a, a + length):
        high = b + other
        while low < high:
            middle = (low + high) // 2
            if entries[middle] < entries[p]:
                low = middle + 1
            else:
                high = middle
        if low == b + other or entries[low] != entries[p]:
            return False
    return True


@part
def _looked_up(a: Any, b: Any, entries: Any, sets: Any, table: Any, work: Any, pairs: Any) -> Any:
    """The union of two sets, the first the shorter one; it may have been made before."""
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(b) * np.uint64(0xBF58476D1CE4E5B9)
    place = np.int64((h >> np.uint64(32)) & np.uint64(PAIRS - 1))
    if pairs[place, 0] == a and pairs[place, 1] == b:
        return np.int64(pairs[place, 2])
    if _SHORT * sets[a, LENGTH] < sets[b, LENGTH] and _contains(
        entries, sets[a, START], sets[a, LENGTH], sets[b, START], sets[b, LENGTH]
    ):
        return b
    s = _merged(a, b, entries, sets, table, work)
    if s >= 0:
        pairs[place, 0], pairs[place, 1], pairs[place, 2] = a, b, s
    return s


@part
def _union(a: Any, b: Any, entries: Any, sets: Any, table: Any, work: Any, pairs: Any) -> Any:
    """The union of two sets."""
    if a == b or b == 0:
        return a
    if a == 0:
        return b
    if sets[a, LENGTH] + sets[b, LENGTH] < _SHORT:
        return _merged(a, b, entries, sets, table, work)
    if sets[a, LENGTH] > sets[b, LENGTH]:
        a, b = b, a
    return _looked_up(a, b, entries, sets, table, work, pairs)


@part
def _union_of(names: Any, entries: Any, sets: Any, table: Any, work: Any, pairs: Any, stamps: Any) -> Any:
    """The union of any number of sets."""
    first = second = np.int64(0)
    several = False
    for name in names:
        if name == 0 or name in (first, second):
            continue
        if first == 0:
            first = np.int64(name)
        elif second == 0:
            second = np.int64(name)
        else:
            several = True
            break
    if not several:
        return _union(first, second, entries, sets, table, work, pairs)
    work[STAMP] += 1
    stamp, begin, k, of_sets = work[STAMP], work[USED], work[USED], len(stamps) - len(sets)
    h, least, largest = np.int64(0), np.int64(len(stamps)), np.int64(-1)
    for name in names:
        if stamps[of_sets + name] == stamp:
            continue
        stamps[of_sets + name] = stamp
        for p in range(sets[name, START], sets[name, START] + sets[name, LENGTH]):
            e = np.int64(entries[p])
            if stamps[e] == stamp:
                continue
            if k == len(entries):
                return FULL
            stamps[e] = stamp
            entries[k] = e
            k += 1
            h += _mixed(e)
            least, largest = np.int64(min(e, least)), np.int64(max(e, largest))
    _sort(entries, stamps, (begin, k), (least, largest), stamp)
    return _kept(k - begin, h, entries, sets, table, work)


@part
def _sort(entries: Any, stamps: Any, stretch: Any, span: Any, stamp: Any) -> None:
    """Sort new entries: those that lie close together by reading off the stamps."""
    begin, end = stretch
    if span[1] - span[0] < 16 * (end - begin):
        k = begin
        for e in range(span[0], span[1] + 1):
            if stamps[e] == stamp:
                entries[k] = e
                k += 1
    else:
        entries[begin:end].sort()


@compiled
def unions(a: Any, b: Any, out: Any, entries: Any, sets: Any, table: Any, work: Any, pairs: Any) -> bool:
    """out[k]: the union of a[k] and b[k]; False if there is no room."""
    for k in range(len(a)):
        if a[k] == b[k] or b[k] == 0:  # most often; a call takes ten times as long
            out[k] = a[k]
            continue
        s = _union(np.int64(a[k]), np.int64(b[k]), entries, sets, table, work, pairs)
        if s < 0:
            return False
        out[k] = s
    return True


@part
def _same(names: Any, bounds: Any, g: Any, other: Any) -> Any:
    """Do two groups hold the same numbers in the same order?"""
    n, k = bounds[g + 1] - bounds[g], 0
    if bounds[other + 1] - bounds[other] != n:
        return False
    while k < n and names[bounds[g] + k] == names[bounds[other] + k]:
        k += 1
    return k == n


@compiled
def unions_of_groups(
    names: Any, bounds: Any, out: Any, entries: Any, sets: Any, table: Any, work: Any, pairs: Any, stamps: Any
) -> bool:
    """out[g]: the union of names[bounds[g] : bounds[g + 1]]; False if there is no room.

    Groups that are alike, as the rows of a batch are, are united once.
    """
    groups = len(out)
    size = 4
    while size < 2 * groups:
        size *= 2
    known = np.full(size, -1, np.int64)
    for g in range(groups):
        h = np.uint64(0)
        for k in range(bounds[g], bounds[g + 1]):
            h = (h ^ (h >> np.uint64(29)) ^ np.uint64(names[k])) * np.uint64(0x9E3779B97F4A7C15)
        cell = _cell(h, size)
        while known[cell] >= 0 and not _same(names, bounds, g, known[cell]):
            cell = (cell + 1) & (size - 1)
        if known[cell] >= 0:
            out[g] = out[known[cell]]
            continue
        known[cell] = g
        s = _union_of(names[bounds[g] : bounds[g + 1]], entries, sets, table, work, pairs, stamps)
        if s < 0:
            return False
        out[g] = s
    return True


@compiled
def scalars(
    i: Any,
    end: Any,
    simple: Any,
    taken: Any,
    active: Any,
    opcodes: Any,
    starts: Any,
    operands: Any,
    names: Any,
    entries: Any,
    sets: Any,
    table: Any,
    work: Any,
    pairs: Any,
) -> Any:
    """Unite what `simple` scalar instructions read, from instruction i to `end`.

    `taken[code, k]`: does the derivative to operand k exist? Gives where it stopped, and whether there was room.
    """
    while i < end:
        if simple[i]:
            s = np.int64(0)
            for k in range(starts[i + 1] - starts[i]):
                operand = operands[starts[i] + k]
                if active[operand] and taken[opcodes[i], k]:
                    s = _union(s, np.int64(names[operand]), entries, sets, table, work, pairs)
                    if s < 0:
                        return i, False
            names[i] = s
        i += 1
    return i, True


@compiled
def written(names: Any, pointers: Any, indices: Any, entries: Any, sets: Any) -> None:
    """The entries of sets, one set after another."""
    for r in range(len(names)):
        a, first = sets[names[r], START], pointers[r]
        for k in range(sets[names[r], LENGTH]):
            indices[first + k] = entries[a + k]
