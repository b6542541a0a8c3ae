"""Flags of rows: one a row, and an array of the caller's own."""

from __future__ import annotations

import numpy as np

from tapegrad.ops.table import OPS, flags


def test_flags_are_those_of_the_rows() -> None:
    np.testing.assert_array_equal(flags("leaf"), [op.leaf for op in OPS])
    np.testing.assert_array_equal(flags("leaf", "effect"), [op.leaf or op.effect for op in OPS])
    assert flags("effect").dtype == np.bool_


def test_what_a_caller_does_to_flags_stays_with_it() -> None:
    mine = flags("commutes")
    mine[:] = True
    assert not flags("commutes").all()
