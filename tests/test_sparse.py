"""Sparse derivatives: patterns against dense Jacobians, colourings by what they must allow, recovery by round trips."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, permutations
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.derivative.adjoint import adjoint
from tapegrad.derivative.tangent import tangent
from tapegrad.errors import ShapeError, UnsupportedError
from tapegrad.ops.row import Op
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.schedule.program import schedule
from tapegrad.sparse import ordering, pool, rules
from tapegrad.sparse.colouring import column_colouring, row_colouring, star_colouring
from tapegrad.sparse.pattern import jacobian_pattern, read_pattern
from tapegrad.sparse.recovery import (
    hessian_recovery,
    jacobian_recovery,
    plan_hessian,
    plan_jacobian,
    recover,
    seeds,
)
from tapegrad.sweep.run import Runner
from tapegrad.tape import Tape
from tests.helpers import gradients_only, record, record_samples, run, samples
from tests.random_programs import RandomChooser, write
from tests.row_programs import write_rows

LARGEST: Final = 150  # entries of the independents of a random program
ROWS = [op for op in OPS if op.differentiable and all(op.partials) and op.name not in {"custom", "primitive"}]


def jacobian(tape: Tape, inputs: Sequence[Any]) -> Any:
    """The dense Jacobian of all dependents by all independents: the compiled tangent sweep, a column a run."""
    runner, values = Runner(schedule(optimize(tangent(tape), drop_stops=True))), len(tape.dependents)
    places = [int(tape.attribute_ids[s]) for s in tape.independents.tolist()]
    tangents = [np.zeros_like(inputs[k]) for k in places]
    columns = []
    for t in tangents:
        for e in range(t.size):
            t.reshape(-1)[e] = 1
            results = runner([*inputs, *tangents], guarded=False)[values:]
            columns.append(np.concatenate([np.zeros(0), *(np.array(v).reshape(-1) for v in results)]))
            t.reshape(-1)[e] = 0
    rows = sum(tape.type(s).size for s in tape.dependents.tolist())
    return np.array(columns).reshape(len(columns), rows).T


def gradient_tape(tape: Tape) -> Tape:
    """The tape of the gradients alone: its Jacobian is the Hessian."""
    return gradients_only(optimize(adjoint(optimize(tape))), 1)


def check(tape: Tape, inputs: Sequence[Any], what: object) -> tuple[Any, Any]:
    """The pattern, with integer arguments given and without, covers the Jacobian; gives the former and the latter."""
    with np.errstate(all="ignore"):
        found = jacobian(tape, inputs)
    for given_inputs in (None, inputs):
        pattern = jacobian_pattern(tape, given_inputs)
        assert pattern.shape == found.shape, what
        assert pattern.dtype == np.bool_
        assert pattern.has_canonical_format
        missing = (found != 0) & ~np.isnan(found) & ~pattern.toarray()
        assert not missing.any(), (what, np.argwhere(missing)[:5])
    return pattern.toarray(), found


# --- patterns that must cover


@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_patterns_cover_the_jacobian_of_every_row(op: Op) -> None:
    found = samples(op)
    tape, inputs = record_samples(found)
    pattern, _ = check(tape, inputs, op.key)
    assert 0 < pattern.sum() < pattern.size


@pytest.mark.parametrize("first", range(0, 160, 20))
def test_patterns_cover_the_jacobians_of_random_programs(first: int) -> None:
    count = 0
    for seed in range(first, first + 20):
        for writer in (write, write_rows):
            program = writer(RandomChooser(np.random.default_rng(seed)))
            inputs = program.draw(seed)
            if sum(inputs[k].size for k in program.independent) > LARGEST:
                continue
            tape = optimize(record(program.record, inputs, program.independent, program.dtype))
            check(tape, inputs, program)
            count += 1
            if program.scalar:
                pattern, _ = check(gradient_tape(tape), inputs, program)
                assert np.array_equal(pattern, pattern.T)
    assert count > 25


def test_ops_without_a_rule_are_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "RULES", MappingProxyType({}))
    tape = tg.record(lambda x: x.reshape(3, 2).T * np.sum(x[2:]), np.arange(6.0)).tape
    assert jacobian_pattern(tape).nnz == 36
    for seed in range(12):
        program = write(RandomChooser(np.random.default_rng(seed)))
        inputs = program.draw(seed)
        check(optimize(record(program.record, inputs, program.independent, program.dtype)), inputs, program)


# --- patterns that must be exact

RNG: Final = np.random.default_rng(5)
BAND: Final = np.diag(np.arange(1.0, 7)) + np.diag(np.arange(5.0) + 2, 1)
MASK: Final = np.array([1.0, 0, 1, 0, 1, 1])
PLACES: Final = np.array([0, 2, 2, 5])


def points(*shape: int) -> Any:
    """An argument without zeros, ones and ties."""
    return RNG.permutation(np.arange(1, 1 + np.prod(shape)).astype(float)).reshape(shape) / 7 + 0.31


def looped(x: Any) -> Any:
    """A chain in scalars."""
    total, last = 0.0, x[0]
    for k in range(1, len(x)):
        total = total + np.sin(x[k] - last * x[k])
        last = x[k] ** 2
    return total


MAPS: Final[dict[str, tuple[Callable[..., Any], Any]]] = {
    "chain": (lambda x: x[1:] - x[:-1] ** 2, points(9)),
    "total variation": (lambda x: np.arctan2(x[1:, :-1] - x[:-1, :-1], x[:-1, 1:] - x[:-1, :-1]), points(4, 5)),
    "arrowhead": (lambda x: np.concatenate([np.sum(x * x)[None], x[1:] * x[0]]), points(7)),
    "blocks": (lambda x: np.matmul(x, np.exp(x)), points(3, 2, 2)),
    "gather": (lambda x: x[PLACES] * 2, points(6)),
    "gather of rows": (lambda x: np.sin(x[PLACES]), points(6, 2)),
    "dense constant on the left": (lambda x: (BAND + 1) @ x, points(6)),
    "band on the left": (lambda x: BAND @ x, points(6)),
    "band on the right": (lambda x: x @ BAND, points(2, 6)),
    "band of a batch": (lambda x: np.matmul(BAND, x), points(2, 6, 2)),
    "turned on the left": (lambda x: x.T @ BAND, points(6, 2)),
    "turned on the right": (lambda x: BAND @ x.T, points(2, 6)),
    "batches turned": (lambda x: x.transpose(0, 2, 1) @ BAND, points(2, 6, 2)),
    "rows of one number": (lambda x: np.broadcast_to(x[:, None], (6, 6)) @ (BAND - np.eye(6)), points(6)),
    "no rows": (lambda x: x[:0] @ BAND, points(2, 6)),
    "product of one row": (lambda x: np.broadcast_to(x, (4, 6)) @ BAND, points(6)),
    "mask": (lambda x: x * MASK, points(6)),
    "choice": (lambda x: np.where(MASK > 0, np.exp(x), x[::-1]), points(6)),
    "flat powers": (lambda x: x ** np.array([0.0, 1, 2, 0, 3, 0.5]), points(6)),
    "flat": (lambda x: np.ceil(x) * x + tg.stop_gradient(x[::-1]), points(6)),
    "sums of rows": (lambda x: np.sum(x, axis=0) * x, points(2, 3)),
    "moves": (lambda x: np.concatenate([x.T.reshape(2, 3), x[:, ::-1].reshape(2, 3)])[1:3], points(3, 2)),
    "broadcast": (lambda x: x[:, None] + x, points(4)),
    "nothing": (lambda x: np.ones(3) + 0 * np.floor(x), points(3)),
    "numbers": (lambda x: x[0] * x[2], points(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_patterns_of_jacobians_are_exact(name: str) -> None:
    f, x = MAPS[name]
    for tape in (tg.record(f, x).tape, optimize(tg.record(f, x).tape)):
        pattern, found = check(tape, [x], name)
        assert np.array_equal(pattern, found != 0)


LOSSES: Final[dict[str, tuple[Callable[..., Any], Any]]] = {
    "chained Rosenbrock": (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), points(9)),
    "squares": (lambda x: np.mean(x**2), points(5)),
    "powers": (lambda x: np.sum(x**3) + np.sum(x[:2] ** 1.0), points(5)),
    "inner product": (lambda x: x @ x, points(5)),
    "linear": (lambda x: 3 * np.sum(x) + x[0] - np.mean(x), points(5)),
    "arrowhead": (lambda x: np.sum(np.exp(x[:-1] * x[-1])), points(6)),
    "arrowhead, squares": (lambda x: np.sum((x[:-1] - x[-1]) ** 2), points(6)),
    "arrowhead, quotients": (lambda x: np.sum(x[:-1] / x[-1]), points(6)),
    "total variation": (
        lambda x: np.sum(np.sqrt((x[1:, :-1] - x[:-1, :-1]) ** 2 + (x[:-1, 1:] - x[:-1, :-1]) ** 2 + 1e-3)),
        points(4, 4),
    ),
    "blocks": (lambda x: np.sum(np.log(np.sum(np.exp(x), axis=1))), points(3, 2)),
    "products of blocks": (lambda x: np.sum(np.sin(np.matmul(x, x))), points(3, 2, 2)),
    "bilinear": (lambda x: x[:3] @ np.arange(1.0, 10).reshape(3, 3) @ x[3:], points(6)),
    "band": (lambda x: np.sum(np.sin(BAND @ x)), points(6)),
    "mask": (lambda x: np.sum(np.sin(x * MASK) * x[::-1]), points(6)),
    "choice": (lambda x: np.sum(np.where(MASK > 0, np.exp(x * x[::-1]), x)), points(6)),
    "gather": (lambda x: np.sum(np.sin(x[PLACES[1:]] * x[PLACES[:-1]])), points(6)),
    "rectified": (lambda x: np.sum(np.maximum(x, 0.2) ** 2 * np.abs(x[0])), points(4)),
    "scalars": (looped, points(7)),
    "a square of a sum": (lambda x: np.sum(x[:3]) ** 2 + np.sum(x[3:] ** 2), points(6)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_patterns_of_hessians_are_exact(name: str) -> None:
    f, x = LOSSES[name]
    pattern, found = check(gradient_tape(tg.record(f, x).tape), [x], name)
    assert np.array_equal(pattern, np.abs(found) > 1e-13)


def test_the_hessian_of_the_chain_is_tridiagonal_and_of_the_star_an_arrowhead() -> None:
    f, x = LOSSES["chained Rosenbrock"]
    pattern = jacobian_pattern(gradient_tape(tg.record(f, x).tape)).toarray()
    assert np.array_equal(pattern, np.tri(9, k=1, dtype=bool) & ~np.tri(9, k=-2, dtype=bool))
    f, x = LOSSES["arrowhead"]
    pattern = jacobian_pattern(gradient_tape(tg.record(f, x).tape)).toarray()
    arrow = np.eye(6, dtype=bool)
    arrow[-1] = arrow[:, -1] = True
    assert np.array_equal(pattern, arrow)


def test_rows_are_the_dependents_in_order_and_columns_the_independents() -> None:
    tape = tg.record(lambda p: (p["b"] * 2, p["a"][0, :], p["b"] * 2), {"a": points(2, 2), "b": points(3)}).tape
    one = np.concatenate([np.zeros((3, 4)), np.eye(3)], axis=1)
    wanted = np.concatenate([one, np.eye(2, 7), one])
    assert np.array_equal(jacobian_pattern(tape).toarray(), wanted)


# --- what selects is data


def selected(x: Any, index: Any) -> Any:
    """Entries at indices that are an argument."""
    return x[index] ** 2


def test_a_pattern_holds_for_all_indices_or_for_those_that_are_given() -> None:
    x, index = points(5), np.array([3, -1, 0])
    tape = tg.record(selected, x, index, argnums=0).tape
    assert jacobian_pattern(tape).nnz == 15
    found = read_pattern(tape, [x, index])
    assert np.array_equal(found.matrix.toarray(), np.eye(5)[index])
    assert found.read == (1,)
    assert read_pattern(tape).read == ()
    assert np.array_equal(jacobian_pattern(tape, [x, index[::-1]]).toarray(), np.eye(5)[index[::-1]])


def test_the_adjoint_of_a_selection_has_the_pattern_of_its_indices_too() -> None:
    x, index = points(5), np.array([3, 1, 3])
    tape = gradient_tape(tg.record(lambda x, i: np.sum(np.sin(x[i] * x[0])), x, index, argnums=0).tape)
    pattern, found = check(tape, [x, index], "selection")
    assert np.array_equal(pattern, found != 0)
    every = jacobian_pattern(tape).toarray()
    assert np.array_equal(every, every.T)
    assert every.sum() > pattern.sum()


def test_integers_that_select_nothing_are_not_read() -> None:
    x = points(4)
    tape = tg.record(lambda x, n, i: x[i] + np.sum(x) * n, x, np.array(3), np.array([1, 2]), argnums=0).tape
    assert read_pattern(tape, [x, np.array(3), np.array([1, 2])]).read == (2,)
    tape = tg.record(lambda x, i: x + i, x, np.arange(4), argnums=0).tape
    assert read_pattern(tape, [x, np.arange(4)]).read == ()


def test_indices_outside_the_axis_are_left_to_the_sweep() -> None:
    x, index = points(5), np.array([3, 1])
    tape = tg.record(selected, x, index, argnums=0).tape
    assert jacobian_pattern(tape, [x, np.array([3, 9])]).nnz == 10


def test_a_comparison_of_given_integers_is_a_known_mask() -> None:
    x, labels = points(3, 4), np.array([2, 0, 3])
    tape = tg.record(
        lambda x, k: np.sum(np.where(k[:, None] == np.arange(4), x, 0.0), axis=1), x, labels, argnums=0
    ).tape
    pattern, found = check(tape, [x, labels], "labels")
    assert np.array_equal(pattern, found != 0)
    assert jacobian_pattern(tape).nnz == 12


# --- long tapes, large patterns


def test_a_long_running_total_keeps_no_more_than_it_needs() -> None:
    x = points(2000)
    tape = tg.record(lambda x: sum(np.sin(x[k]) for k in range(len(x))), x).tape
    assert jacobian_pattern(tape, most=20_000).nnz == 2000  # all totals on the way: two million


def test_a_long_chain_of_scalars_is_tridiagonal() -> None:
    x = points(500)
    pattern = jacobian_pattern(gradient_tape(tg.record(looped, x).tape)).toarray()
    assert np.array_equal(pattern, np.tri(500, k=1, dtype=bool) & ~np.tri(500, k=-2, dtype=bool))


def test_an_array_that_is_read_again_is_not_written_to() -> None:
    def f(x: Any) -> Any:
        y = tnp.zeros(4) + x
        z = y[0] * y + y
        return np.sum(z[1] * y * z) + y[2] * z[3]

    x = points(4)
    pattern, found = check(gradient_tape(tg.record(f, x).tape), [x], "again")
    assert np.array_equal(pattern, found != 0)


def test_sets_are_added_to_an_array_whose_axes_have_been_permuted() -> None:
    def build(r: Any, x: Any) -> list[Any]:
        turned = r.apply("transpose", (1, 0), x)
        index = r.constant(np.array([2, 0, 2]))
        added = r.apply("scatter_add", (0, 0), turned, turned, index)
        return [added, r.apply("item_add", (1,), added, r.apply("item", (0,), added))]

    x = points(2, 3)
    pattern, found = check(record(build, [x]), [x], "permuted")
    assert np.array_equal(pattern, found != 0)


def test_sets_are_not_added_to_an_array_that_is_read_elsewhere() -> None:
    def build(r: Any, x: Any, y: Any) -> list[Any]:
        def added(total: Any, k: int) -> Any:
            return r.apply("item_add", (k,), total, r.apply("item", (k,), y))

        first = added(x, 0)
        view = r.apply("slice", ((3, -1, 4),), first)
        second = added(first, 1)
        third = added(r.elementwise("sin", second), 2)
        fourth, fifth = added(third, 3), added(third, 1)
        return [view, added(first, 3), added(second, 0), second, fourth, fifth, r.elementwise("exp", fourth)]

    inputs = [points(4), points(4)]
    pattern, found = check(record(build, inputs), inputs, "elsewhere")
    assert np.array_equal(pattern, found != 0)


def dense_loss(x: Any) -> Any:
    """A loss with a dense Hessian."""
    return np.sum(np.exp(x)) ** 2


def test_a_pattern_with_too_many_entries_names_the_line() -> None:
    tape = gradient_tape(tg.record(dense_loss, points(300)).tape)
    assert jacobian_pattern(tape).nnz == 90_000
    line = dense_loss.__code__.co_firstlineno + 2
    with pytest.raises(UnsupportedError, match=rf"more than 50000 entries.*test_sparse\.py:{line}\)"):
        jacobian_pattern(tape, most=50_000)
    many = tg.record(lambda x: np.sum(np.tri(400) @ x), points(400)).tape
    with pytest.raises(UnsupportedError, match=r"more than 30000 entries.*test_sparse\.py"):
        jacobian_pattern(tg.record(lambda x: np.tri(400) @ x, points(400)).tape, most=30_000)
    assert jacobian_pattern(many, most=200_000).nnz == 400


def test_many_small_sets_find_room() -> None:
    tape = tg.record(lambda x: np.sin(x[:, None] * x) + x, points(300)).tape
    assert jacobian_pattern(tape, most=200_000).nnz == 179_700
    with pytest.raises(UnsupportedError, match="more than 170000 entries"):
        jacobian_pattern(tape, most=170_000)


def test_a_pool_that_starts_small_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SPARE", 3)
    for seed in range(25):
        for writer in (write, write_rows):
            program = writer(RandomChooser(np.random.default_rng(seed)))
            inputs = program.draw(seed)
            if program.scalar and sum(inputs[k].size for k in program.independent) <= LARGEST:
                tape = optimize(record(program.record, inputs, program.independent, program.dtype))
                check(gradient_tape(tape), inputs, program)


def test_scipy_is_imported_late() -> None:
    modules = "tapegrad.sparse.pattern, tapegrad.sparse.recovery"
    code = f"import sys, {modules}; assert 'scipy.sparse' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- colourings


@st.composite
def patterns(draw: Any, *, symmetric: bool = False) -> Any:
    """Random patterns: some with dense rows and columns, some empty."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(0, 24))
    m = n if symmetric else draw(st.integers(0, 24))
    found = rng.random((m, n)) < draw(st.sampled_from([0.0, 0.03, 0.1, 0.3, 0.8]))
    if m and draw(st.booleans()):
        found[rng.integers(m)] = True
    if symmetric:
        found |= found.T
        if draw(st.booleans()):
            np.fill_diagonal(found, True)
    elif n and draw(st.booleans()):
        found[:, rng.integers(n)] = True
    return sp.csr_array(found)


def values_of(pattern: Any) -> Any:
    """A matrix with this pattern."""
    made = pattern.astype(float)
    made.data = np.random.default_rng(0).normal(size=pattern.nnz)
    return made


@given(pattern=patterns())
def test_column_and_row_colourings_recover(pattern: Any) -> None:
    matrix = values_of(pattern)
    for mode, colouring, lines in (("forward", column_colouring, matrix), ("reverse", row_colouring, matrix.T)):
        colours, count = colouring(pattern)
        assert colours.dtype == np.int32
        assert np.array_equal(np.unique(colours[colours >= 0]), np.arange(count))
        present = (lines.toarray() != 0).any(axis=0)
        assert np.array_equal(colours >= 0, present)
        recovery = jacobian_recovery(pattern, colours, mode)
        products = seeds(colours, count, np.float64) @ lines.T.toarray()
        assert np.array_equal(recover(recovery, products).toarray(), matrix.toarray())


@given(pattern=patterns(symmetric=True))
def test_star_colourings_recover(pattern: Any) -> None:
    values = values_of(pattern).toarray()
    values = np.tril(values) + np.tril(values, -1).T
    colours, count = star_colouring(pattern)
    assert np.array_equal(colours >= 0, np.diff(pattern.indptr) > 0)
    recovery = hessian_recovery(pattern, colours)
    found = recover(recovery, seeds(colours, count, np.float64) @ values).toarray()
    assert np.array_equal(found, values)
    assert np.array_equal(found, found.T)
    assert plan_hessian(pattern).count <= min(count, column_colouring(pattern)[1])


@given(pattern=patterns(symmetric=True))
def test_star_colourings_have_no_path_of_four_in_two_colours(pattern: Any) -> None:
    edges = pattern.toarray()[:9, :9]
    np.fill_diagonal(edges, False)
    colours, _ = star_colouring(sp.csr_array(edges))
    n = len(edges)
    assert all(colours[i] != colours[j] for i, j in combinations(range(n), 2) if edges[i, j])
    for a, b, c, d in permutations(range(n), 4):
        if edges[a, b] and edges[b, c] and edges[c, d]:
            assert len({int(colours[k]) for k in (a, b, c, d)}) > 2


@given(pattern=patterns())
def test_every_order_takes_each_column_once(pattern: Any) -> None:
    found = list(ordering.orders(pattern, pattern.tocsc()))
    assert len(found) in {2, 3}
    for order in found:
        assert np.array_equal(np.sort(order), np.arange(pattern.shape[1]))


def band(n: int, width: int) -> Any:
    """A band matrix."""
    return sp.csr_array(np.tri(n, k=width, dtype=bool) & ~np.tri(n, k=-width - 1, dtype=bool))


def stencil(n: int) -> Any:
    """The five-point stencil on a square of n by n."""
    one = sp.eye_array(n)
    return sp.csr_array(
        sp.csr_array(sp.kron(one, band(n, 1).astype(float)) + sp.kron(band(n, 1).astype(float), one)) != 0
    )


def arrowhead(n: int, hubs: int) -> Any:
    """A diagonal, and the first rows and columns."""
    hub = np.arange(hubs)
    rows, columns = np.repeat(hub, n), np.tile(np.arange(n), hubs)
    places = (np.concatenate([rows, columns, np.arange(n)]), np.concatenate([columns, rows, np.arange(n)]))
    return sp.csr_array(sp.csr_array((np.ones(len(places[0])), places), shape=(n, n)) != 0)


def test_known_matrices_take_few_colours() -> None:
    for width in (1, 2, 5):
        assert column_colouring(band(60, width))[1] == 2 * width + 1
        assert star_colouring(band(60, width))[1] == 2 * width + 1
    assert star_colouring(stencil(12))[1] <= 6
    assert column_colouring(stencil(12))[1] <= 7
    assert star_colouring(sp.csr_array(np.eye(5, dtype=bool)))[1] == 1
    assert star_colouring(sp.csr_array((5, 5), dtype=bool))[1] == 0
    assert column_colouring(sp.csr_array((5, 0), dtype=bool))[1] == 0
    assert star_colouring(sp.csr_array(np.ones((7, 7), dtype=bool)))[1] == 7


@pytest.mark.parametrize("reverse", [False, True])
def test_an_arrowhead_takes_a_colour_a_hub_and_one_more(reverse: bool) -> None:
    for hubs in (1, 2, 4):
        matrix = arrowhead(20_000, hubs)  # its graph of columns that meet would be dense: 200 million pairs
        matrix = matrix[::-1, ::-1].tocsr() if reverse else matrix
        matrix.sort_indices()
        assert star_colouring(matrix)[1] <= hubs + 2
        assert plan_hessian(matrix).count <= hubs + 2


def test_colourings_are_the_same_in_every_run() -> None:
    rng = np.random.default_rng(3)
    pattern = sp.csr_array(rng.random((40, 40)) < 0.1)
    both = sp.csr_array(pattern + pattern.T)
    for colouring, matrix in ((column_colouring, pattern), (row_colouring, pattern), (star_colouring, both)):
        assert np.array_equal(colouring(matrix)[0], colouring(matrix.copy())[0])


# --- recovery


def test_a_jacobian_goes_by_the_mode_with_fewer_sweeps() -> None:
    wide, tall = sp.csr_array(np.ones((2, 30), dtype=bool)), sp.csr_array(np.ones((30, 2), dtype=bool))
    assert [(m, r.count) for m, r in (plan_jacobian(wide), plan_jacobian(tall))] == [("reverse", 2), ("forward", 2)]
    mode, recovery = plan_jacobian(band(50, 1))
    assert (mode, recovery.count, recovery.shape) == ("forward", 3, (3, 50))
    mixed = sp.csr_array(sp.vstack([np.ones((1, 60), dtype=bool), band(60, 1)]))
    mode, recovery = plan_jacobian(mixed)
    assert (mode, recovery.count, recovery.shape) == ("reverse", 4, (4, 60))
    pairs = np.zeros((6, 4), dtype=bool)  # rows are narrower than columns are tall, but any two columns meet
    for row, pair in enumerate(combinations(range(4), 2)):
        pairs[row, pair] = True
    mode, recovery = plan_jacobian(sp.csr_array(pairs))
    assert (mode, recovery.count) == ("reverse", 3)
    nothing = sp.csr_array((4, 3), dtype=bool)
    assert plan_jacobian(nothing)[1].count == 0
    assert recover(plan_jacobian(nothing)[1], np.zeros((0, 4))).nnz == 0


@given(pattern=patterns())
def test_the_mode_is_that_of_the_fewer_colours(pattern: Any) -> None:
    mode, recovery = plan_jacobian(pattern)
    columns, rows = column_colouring(pattern)[1], row_colouring(pattern)[1]
    assert recovery.count == min(columns, rows)
    assert recovery.mode == mode == ("forward" if columns <= rows else "reverse")


def test_recovered_matrices_own_their_arrays_and_keep_their_dtype() -> None:
    _, recovery = plan_jacobian(band(6, 1))
    products = np.zeros(recovery.shape, np.float32)
    found = recover(recovery, products)
    assert found.dtype == np.float32
    assert found.nnz == recovery.pattern.nnz
    found.eliminate_zeros()
    assert found.nnz == 0
    assert recover(recovery, products + 1).sum() == recovery.pattern.nnz


def test_colourings_that_do_not_tell_entries_apart_are_refused() -> None:
    pattern = band(6, 1)
    for wrong in (np.zeros(6, np.int32), np.arange(6, dtype=np.int32) % 2, np.full(6, -1, np.int32)):
        with pytest.raises(ValueError, match="colouring of the columns"):
            jacobian_recovery(pattern, wrong)
        with pytest.raises(ValueError, match="colouring of the rows"):
            jacobian_recovery(pattern, wrong, "reverse")
        with pytest.raises(ValueError, match="colouring of the columns of the symmetric matrix"):
            hessian_recovery(pattern, wrong)
    with pytest.raises(ValueError, match="not symmetric"):
        hessian_recovery(sp.csr_array(np.tri(4, dtype=bool)), np.arange(4, dtype=np.int32))
    assert jacobian_recovery(pattern, np.arange(6, dtype=np.int32)).count == 6


def test_products_of_another_shape_are_refused() -> None:
    _, recovery = plan_jacobian(band(6, 1))
    with pytest.raises(ShapeError, match=r"recover: found products of shape \(6, 3\); wanted shape \(3, 6\)"):
        recover(recovery, np.zeros((6, 3)))


# --- all together


@pytest.mark.parametrize("name", LOSSES)
def test_compressed_hessians_are_those_of_dense_sweeps(name: str) -> None:
    f, x = LOSSES[name]
    tape = gradient_tape(tg.record(f, x).tape)
    recovery = plan_hessian(jacobian_pattern(tape))
    along = optimize(tangent(tape))
    rows = [
        np.reshape(run(along, [x, seed.reshape(x.shape)])[1], -1)
        for seed in seeds(recovery.colours, recovery.count, np.float64)
    ]
    found = recover(recovery, np.reshape(rows, recovery.shape)).toarray()
    wanted = jacobian(tape, [x])
    assert np.abs(found - wanted).max() <= 1e-12 * np.abs(wanted).max(initial=1.0)


def test_a_tape_without_its_values_has_the_same_pattern() -> None:
    f, x = LOSSES["arrowhead"]
    full = optimize(adjoint(optimize(tg.record(f, x).tape)))
    alone = jacobian_pattern(replace(full, dependents=full.dependents[1:])).toarray()
    assert np.array_equal(jacobian_pattern(full).toarray()[1:], alone)
