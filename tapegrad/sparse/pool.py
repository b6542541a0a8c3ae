"""The memory of the sets: made, and made larger or emptied of what nothing names any more."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from tapegrad.sparse.sets import FREE, LENGTH, NAMES, PAIRS, START, USED, Pool, compact, hash_singles

SPARE: Final = 1 << 15  # room for sets, more than the independent entries ask for


def new_pool(count: int) -> Pool:
    """A pool with the empty set and a set for each of `count` independent entries."""
    pool = _arrays(4 * count + SPARE, 2 * count + SPARE, count)
    pool.entries[:count] = np.arange(count)
    pool.sets[1 : count + 1, START] = np.arange(count)
    pool.sets[1 : count + 1, LENGTH] = 1
    hash_singles(pool.sets, count)
    _set_free(pool, count + 1)
    pool.work[USED] = count
    return pool


def _arrays(room: int, names: int, count: int) -> Pool:
    return Pool(
        entries=np.empty(room, np.int32),
        sets=np.zeros((names, 3), np.int64),
        table=np.full(1 << names.bit_length(), -1, np.int32),
        work=np.zeros(NAMES + names, np.int64),
        pairs=np.zeros((PAIRS, 3), np.int32),
        stamps=np.zeros(count + names, np.int64),
    )


def _set_free(pool: Pool, first: int) -> None:
    """The numbers from `first` on are free; the smallest is taken first."""
    names = len(pool.sets)
    pool.work[NAMES : NAMES + names - first] = np.arange(names - 1, first - 1, -1)
    pool.work[FREE] = names - first


def entry_count(pool: Pool) -> int:
    """How many independent entries there are."""
    return len(pool.stamps) - len(pool.sets)


def collected(pool: Pool, live: Any, most: int) -> Pool | None:
    """The pool without the sets that are not `live`, larger if that leaves less than half; None if it must not be.

    A pool holds `most` entries at most. Sets keep their numbers.
    """
    names, room = len(pool.sets), len(pool.entries)
    live[: entry_count(pool) + 1] = True
    entries = int(pool.sets[live, LENGTH].sum())
    if 8 * entries > 7 * max(room, most):
        return None
    if 2 * entries > room:
        room = max(room, min(2 * room, most))
    return _moved(pool, live, room, names if 2 * np.count_nonzero(live) < names else 2 * names)


def enlarged(pool: Pool, live: Any, most: int) -> Pool | None:
    """As `collected`, but larger in any case, by what was lacking: one instruction alone needs more room."""
    names, room = len(pool.sets), len(pool.entries)
    live[: entry_count(pool) + 1] = True
    if pool.work[FREE] == 0:
        return _moved(pool, live, room, 2 * names)
    return None if room >= most else _moved(pool, live, min(2 * room, most), names)


def _moved(pool: Pool, live: Any, room: int, names: int) -> Pool:
    other = _arrays(room, names, entry_count(pool))
    other.sets[: len(pool.sets)] = pool.sets
    _set_free(other, len(pool.sets))
    compact(pool.entries, live, other.entries, other.sets, other.table, other.work)
    return other


def lengths(pool: Pool, names: Any) -> Any:
    """How many entries sets have."""
    return pool.sets[names, LENGTH]
