"""Runs records by themselves, without a program: on the whole, or tile by tile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tapegrad.schedule.code import ARRAYS, SHIFT, TILED
from tapegrad.schedule.record import Record
from tapegrad.sweep.blas import blas_table
from tapegrad.sweep.fresh import kernels
from tapegrad.sweep.layout import ALL_ROWS, CONTROL, LOOPS, P0, WORDS
from tapegrad.sweep.loops import loop_table
from tapegrad.sweep.workspace import address


def addressed(record: Record, starts: Sequence[int], memory: Sequence[Any]) -> list[int]:
    """The words of a record whose operands are in memory from these elements on."""
    words = list(record.words)
    for j, (role, offset) in enumerate(zip(record.roles, record.offsets, strict=True)):
        if role >= 0:
            words[P0 + j] = role << SHIFT | starts[role] * memory[role].itemsize + offset
    return words


def segments(
    records: Sequence[Record], places: Sequence[Sequence[int]], memory: Sequence[Any], height: int
) -> Iterator[tuple[int, list[int], int]]:
    """(kind, words, rows): what does not follow rows, then a loop of what does."""
    words: dict[int, list[int]] = {ARRAYS: [], TILED: []}
    rows = 1
    for record, starts in zip(records, places, strict=True):
        one = addressed(record, starts, memory)
        follow = record.following
        if height and follow is not None:
            rows = max(rows, follow.rows + follow.start)
            one += [follow.start, follow.rows, follow.word, follow.unit, *follow.steps, 0, 0, 0, 0]
        one[1] = len(one)
        words[TILED if height and follow is not None else ARRAYS] += one
    yield ARRAYS, words[ARRAYS], 0
    yield TILED, words[TILED], rows


def execute(records: Sequence[Record], places: Sequence[Sequence[int]], memory: Sequence[Any], height: int = 0) -> None:
    """Run records on memory: an array for each role, in which each record has its own places, counted in elements.

    With a height, those that follow rows run tile by tile after the others.
    """
    table, words = [], []
    for kind, part, rows in segments(records, places, memory, height):
        if part:
            table.append([kind, len(words), len(words) + len(part), height, rows, 0])
            words += part
    floating = next((m.dtype for m in memory if m.dtype.kind == "f"), np.dtype(np.float64))
    arrays = {
        "SEGMENTS": np.array(table),
        "RECORDS": np.array(words),
        "BASES": np.array([address(m) for m in memory]),
        "SCRATCH": np.zeros(256, np.int64),
        "BLAS": blas_table(floating),
        "LOOPS": loop_table(frozenset(range(len(LOOPS))), (), floating),
    }
    control = np.zeros(len(CONTROL), np.int64)
    for name, array in arrays.items():
        control[WORDS[name]] = address(array)
    control[WORDS["LAST"]], control[WORDS["TO"]] = len(table), ALL_ROWS
    assert kernels().sweep(address(control), floating.type(1)) == WORDS["OK"]
