"""Sparse Jacobians of gathered parameters: cut where they are gathered, the same as dense ones."""

from __future__ import annotations

import numpy as np
import pytest

import tapegrad as tg
from tapegrad.sparse.cut import combined, cut_gathers
from tapegrad.trees import flatten

I = np.array([0, 0, 1, 2, 0, 3, 3, 0, 1, 0])  # noqa: E741
J = np.array([0, 1, 1, 2, 4, 0, -1, -5, 2, 3])


def hub(x, i, j):
    """Rows that read two parameters each: x[0] is read by half of them."""
    return np.sin(x[i]) * x[j] ** 2


def both(p, i, j):
    """Read directly, too, moved before and after, and through two indices."""
    rows = p["m"].T[:, 1:]
    return {"a": rows[i % 3][:, ::-1] * p["v"][j][:, None] + p["b"], "v": p["v"] * np.sum(rows[0])}


def chained(x, i, j):
    return (x[i] * 2)[j % 7] + x[j % 5][i] ** 2


def once(x, i, j):
    return x[i]


def wide(x, i, j):
    """As many entries a row as there are: nothing to win."""
    return x[i] * np.sum(x)


def params(f, rng):
    return {"m": rng.normal(size=(3, 4)), "v": rng.normal(size=5), "b": 0.5} if f is both else rng.normal(size=5)


def dense(f, p, *args):
    """The rows of all results by the columns of all parameters."""
    leaves = [p["m"], p["v"], p["b"]] if isinstance(p, dict) else [p]
    found = tg.jacobian(f)(p, *args)
    blocks = [found["a"], found["v"]] if f is both else [found]
    rows = []
    for block in blocks:
        parts = [block["m"], block["v"], block["b"]] if isinstance(p, dict) else [block]
        rows.append(np.hstack([np.reshape(b, (-1, np.size(x))) for b, x in zip(parts, leaves, strict=True)]))
    return np.vstack(rows)


@pytest.mark.parametrize("f", [hub, both, chained, once, wide], ids=lambda f: f.__name__)
def test_as_dense(rng, f):
    driver = tg.sparse_jacobian(f)
    for _ in range(2):
        p = params(f, rng)
        np.testing.assert_allclose(driver(p, I, J).toarray(), dense(f, p, I, J), rtol=1e-13, atol=1e-13)
    other = np.roll(I, 3), np.roll(J, 1)  # another pattern: the indices are part of it
    np.testing.assert_allclose(driver(p, *other).toarray(), dense(f, p, *other), rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(driver(p, I, J).toarray(), dense(f, p, I, J), rtol=1e-13, atol=1e-13)


def test_entries_read_twice_are_added():
    """x[i] * x[j] where i is j: one entry, of two contributions."""
    found = tg.sparse_jacobian(lambda x, i, j: x[i] * x[j])(np.array([3.0, 5.0]), np.array([0, 0]), np.array([0, 1]))
    np.testing.assert_array_equal(found.toarray(), [[6.0, 0.0], [5.0, 3.0]])
    assert found.nnz == 3
    assert found.has_sorted_indices


def test_sweeps_are_as_few_as_a_row_has_results(monkeypatch):
    """Of 300 rows that read one of 3 parameters with 8 entries and one of 150 with 2: 2 reverse sweeps, not 10."""
    from tapegrad.drivers import compressed

    seen = []
    renamed = compressed.renamed
    monkeypatch.setattr(compressed, "renamed", lambda r, *rest: seen.append((r.mode, r.count)) or renamed(r, *rest))
    rng = np.random.default_rng(0)
    i, j = np.arange(300) % 3, np.arange(300) // 2
    p = {"hubs": rng.normal(size=(3, 8)), "leaves": rng.normal(size=(150, 2))}

    def f(p, i, j):
        a, b = p["hubs"][i], p["leaves"][j]
        return np.stack([np.sum(a, axis=1) * np.prod(b, axis=1), np.prod(a, axis=1) * np.sum(b, axis=1)], axis=1)

    found = tg.sparse_jacobian(f)(p, i, j)
    assert seen == [("reverse", 2)]
    full = tg.jacobian(f)(p, i, j)
    expected = np.hstack([full["hubs"].reshape(600, -1), full["leaves"].reshape(600, -1)])
    np.testing.assert_allclose(found.toarray(), expected, rtol=1e-12, atol=1e-12)


def test_what_is_too_dense_cut_is_not_cut():
    """8000 numbers gathered of 5, and sums over them: dense by the numbers, not by what they are."""
    x, i = np.arange(1.0, 6.0), np.arange(8000) % 5
    found = tg.sparse_jacobian(lambda x, i: np.cumsum(x[i]))(x, i)
    np.testing.assert_array_equal(found.toarray(), np.cumsum(i[:, None] == np.arange(5), axis=0))


def test_indices_outside_are_refused_as_ever():
    with pytest.raises(IndexError):
        tg.sparse_jacobian(lambda x, i: x[i] ** 2)(np.ones(3), np.array([0, 5]))


def test_an_index_that_parameters_decide_is_not_cut(rng):
    """Which parameter it is changes with their values: the pattern is all that may be."""
    x = rng.normal(size=4)

    def f(x):
        return x[np.argsort(x)] ** 2

    driver = tg.sparse_jacobian(f)
    for _ in range(3):
        x = rng.permutation(x)
        np.testing.assert_allclose(driver(x).toarray(), tg.jacobian(f)(x), rtol=1e-13)


def test_cut_tapes():
    tape = tg.record(lambda x, y, i: x[i] * y + np.sum(y), np.ones(4), np.ones(3), np.array([0, 3, 1])).tape
    cut = cut_gathers(tape)
    assert cut is not None
    assert len(cut.gathered.dependents) == 1
    assert len(cut.rest.inputs) == len(tape.inputs) + 1
    assert [cut.rest.type(s).shape for s in cut.rest.independents.tolist()] == [
        *(tape.type(tape.independents[k]).shape for k in cut.kept),
        (3,),
    ]
    assert cut_gathers(tg.record(lambda x: x * 2, np.ones(4)).tape) is None


def test_combined_patterns(rng):
    import scipy.sparse as sp

    for _ in range(5):
        g = rng.random((6, 9)) < 0.4
        targets = rng.integers(0, 5, 9)
        pattern, places = combined(sp.csr_array(g), targets, 5)
        values = sp.csr_array(np.where(g, rng.normal(size=g.shape), 0.0))
        data = np.zeros(pattern.nnz)
        np.add.at(data, places, values.data)
        expected = np.zeros((6, 5))
        for k, t in enumerate(targets):
            expected[:, t] += values.toarray()[:, k]
        np.testing.assert_allclose(
            sp.csr_array((data, pattern.indices, pattern.indptr), shape=(6, 5)).toarray(), expected
        )


@pytest.mark.parametrize("argnums", [(0, 1), (1, 0), (-2, -3), (1,), (2, 0, 1)])
def test_columns_go_by_argnums(argnums):
    rng = np.random.default_rng(5)
    args = rng.normal(size=6), {"b": rng.normal(size=6), "a": rng.normal(size=())}, rng.normal(size=2)

    def values(x, y, z):
        return x[1:] ** 2 * y["b"][:-1] * y["a"] + z[I[:5] % 2] * x[J[:5]]

    def total(x, y, z):
        return np.sum(values(x, y, z)) + np.sum(x**3) * y["b"][0]

    found = tg.sparse_jacobian(values, argnums)(*args).toarray()
    blocks = [block.reshape(5, -1) for block in flatten(tg.jacobian(values, argnums)(*args))[0]]
    np.testing.assert_allclose(found, np.concatenate(blocks, axis=1), atol=1e-14)
    found = tg.sparse_hessian(total, argnums)(*args).toarray()
    sizes = [np.size(leaf) for k in argnums for leaf in flatten(args[k])[0]]
    blocks = iter(flatten(tg.jacobian(tg.grad(total, argnums), argnums)(*args))[0])
    np.testing.assert_allclose(
        found, np.block([[next(blocks).reshape(m, n) for n in sizes] for m in sizes]), atol=1e-14
    )
