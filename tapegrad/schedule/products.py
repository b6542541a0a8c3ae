"""Records of matrix products: any operand or result that BLAS can read by a leading dimension, as it lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tapegrad.ops.row import Attribute
from tapegrad.schedule.modes import ALIGNED, PER_ROW, REDUCTION, Mode
from tapegrad.schedule.record import Following, Record, Records, four
from tapegrad.schedule.storage import Storage, broadcast_strides
from tapegrad.sweep.layout import DIMS, W0

_SHIFT = 32  # two leading dimensions share a word


def leading(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, int] | None:
    """(is it transposed?, leading dimension) of a matrix, or None where neither axis is dense."""
    (rows, columns), (down, along) = shape, strides
    if columns == 1:
        along = 1
    elif rows == 1:
        down = max(down, columns * along) if along == 1 else 1
    if along == 1 and (down >= columns or rows == 1):
        return 0, max(down, columns)
    if down == 1 and (along >= rows or columns == 1):
        return 1, max(along, rows)
    return None


def takes_factor(source: Storage) -> bool:
    """Can BLAS read a factor that lies like this?"""
    return leading(source.shape[-2:], source.strides[-2:]) is not None and 0 not in source.strides


def product_record(
    make: Records,
    flags: Attribute,
    operands: Sequence[Storage],
    result: Storage,
    roles: tuple[int, int, int],
    how: Mode,
    *,
    add: bool,
) -> Record:
    """MATMUL: o (+)= op(a) op(b), with batches as outer axes."""
    a, b = operands
    m, n = result.shape[-2:]
    k = a.shape[-2] if flags[0] else a.shape[-1]
    oriented = [leading(s.shape[-2:], s.strides[-2:]) for s in (result, a, b)]
    assert all(found is not None for found in oriented)
    (turned, ldc), (ta, lda), (tb, ldb) = [found for found in oriented if found is not None]
    ta, tb = ta ^ flags[0], tb ^ flags[1]
    batch = result.shape[:-2]
    steps = [broadcast_strides(_batch(s), batch) for s in (result, a, b)]
    order = sorted(range(len(batch)), key=lambda d: d != result.row)
    outer = [(batch[d], [s[d] for s in steps]) for d in order if batch[d] != 1 or d == result.row]
    types = [result.type, a.type, b.type]
    word = _row_word(result, how)
    if turned:  # the transposed product, factors exchanged
        types[1:], (lda, ldb), (ta, tb), (m, n) = types[:0:-1], (ldb, lda), (1 - tb, 1 - ta), (n, m)
        roles = (roles[0], roles[2], roles[1])
        outer = [(count, [o, y, x]) for count, (o, x, y) in outer]
        word = {"m": "n", "n": "m"}.get(word, word)
    own = (m, n, k, ta | tb << 1 | add << 2, lda | ldb << _SHIFT, ldc)
    record = make.plain("MATMUL", own, types, roles, outer)
    if how.kind not in {PER_ROW, REDUCTION}:
        return record
    return replace(record, following=_following(make, word, roles, operands, result, how))


def _batch(s: Storage) -> Storage:
    """The batch axes alone."""
    return replace(s, type=replace(s.type, shape=s.shape[:-2]), strides=s.strides[:-2])


def _row_word(result: Storage, how: Mode) -> str:
    """Which length of the product counts rows."""
    if how.kind == REDUCTION:
        return "k"
    from_end = len(result.shape) - result.row
    return {2: "m", 1: "n"}.get(from_end, "batch")


def _following(
    make: Records, word: str, roles: Sequence[int], operands: Sequence[Storage], result: Storage, how: Mode
) -> Following:
    places = {"m": W0, "n": W0 + 1, "k": W0 + 2, "batch": DIMS}
    first = min(roles[1:])
    steps, rows = [], result.shape[result.row] if how.kind == PER_ROW else 1
    for role in roles:
        s = result if role == roles[0] else operands[role - first]
        moves = how.kind == PER_ROW if role == roles[0] else how.operands[role - first] == ALIGNED
        if moves and role != roles[0]:
            rows = s.shape[s.row]
        steps.append(s.strides[s.row] * make.itemsize(s.type.kind) if moves else 0)
    return Following(places[word], 1, four(steps, 0), rows)
