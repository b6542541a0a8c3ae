"""`to_python`: the source of every row gives what the row does; that of whole functions what the tape does."""

from __future__ import annotations

import ast
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import tapegrad as tg
from tapegrad.drivers.arguments import Signature
from tapegrad.drivers.interface import Interface
from tapegrad.errors import SettingError, UnsupportedError
from tapegrad.formulas.literal import CARRIED, array, carried, number
from tapegrad.formulas.python import HELPERS, to_python
from tapegrad.ops.row import Op
from tapegrad.ops.sparse import SparseMatrix
from tapegrad.ops.table import OPS
from tapegrad.record.recorder import Recorder
from tapegrad.trees import flatten, map_leaves
from tests import models
from tests.formula_cases import FORMULAS, Line, Pair
from tests.helpers import F32, F64, Sample, assert_ulps, samples

ROWS = [op for op in OPS if not op.leaf and op.name not in {"custom", "primitive", "guard"}]
both_dtypes = pytest.mark.parametrize("dtype", [F64, F32], ids=["f8", "f4"])


def function(source: str, name: str = "f") -> Callable[..., Any]:
    """The function that a source defines."""
    found: dict[str, Any] = {}
    exec(compile(source, "<to_python>", "exec"), found)
    return found[name]


# --- rows


def one_row(sample: Sample, dtype: Any) -> str:
    """The source of a tape of one instruction, of inputs a, b, c."""
    recorder = Recorder(np.dtype(dtype), {})
    variables = [recorder.input(v, independent=False) for v in sample.operands]
    leaves = tuple((v.shape, v.dtype.char, False, True) for v in sample.operands)
    signature = Signature((None,) * len(leaves), leaves, np.dtype(dtype))
    interface = Interface(signature, tuple("abc"[: len(leaves)]), (), None)
    return to_python(recorder.finish([sample.record(recorder, variables)]), interface)


def sparse(sample: Sample, dtype: Any) -> Sample:
    """A sample of `sparse_matmul` with a matrix of SciPy's."""
    if sample.op.name != "sparse_matmul":
        return sample
    example, transposed = sample.attribute
    matrix = scipy.sparse.csr_array(np.asarray(example.matrix.dense, dtype))
    return replace(sample, attribute=(SparseMatrix(matrix), transposed))


@both_dtypes
@pytest.mark.parametrize("op", ROWS, ids=lambda op: op.key)
def test_a_rows_source_gives_what_the_row_does(op: Op, dtype: Any) -> None:
    for given in samples(op, dtype):
        sample = sparse(given, dtype)
        kept = [v.copy() for v in sample.operands]
        source = one_row(sample, dtype)
        found, wanted = function(source)(*sample.operands), sample.value()
        if wanted.dtype.kind == "f":
            wanted = wanted.astype(dtype)
        assert np.ndim(found) or isinstance(found, np.generic), f"a number is no array\n{source}"
        what = f"{op.key} {sample.attribute} of {[v.shape for v in sample.operands]}\n{source}"
        if op.name in {"lu", "solve_triangular", "lu_solve", "expm", "cofactors_change", "irfft", "rfft", "power"}:
            assert np.asarray(found).dtype == wanted.dtype
            np.testing.assert_allclose(found, wanted, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)
        else:
            assert_ulps(found, wanted, 0, what)
        for value, before in zip(sample.operands, kept, strict=True):
            assert np.array_equal(value, before), f"it changes its arguments: {what}"
            assert not np.shares_memory(found, value), f"its result is a view: {what}"


def test_every_row_has_a_source() -> None:
    assert [op.key for op in OPS if not (op.source or op.leaf or op.name in {"custom", "primitive"})] == []


def test_every_helper_is_in_a_source() -> None:
    found = {"_argument", "_array"}
    for op in ROWS:
        for sample in samples(op):
            tree = ast.parse(one_row(sparse(sample, F64), F64))
            found |= {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} - {"f"}
    assert found == set(HELPERS)


# --- whole functions

every_formula = pytest.mark.parametrize("name", FORMULAS)


def sources(name: str) -> tuple[str, str]:
    """Source of a function, source of its value and gradient."""
    case = FORMULAS[name]
    tape = tg.record(case.f, *case.args, argnums=case.argnums)
    return tape.to_python(), tape.adjoint().to_python()


def wanted(name: str) -> Any:
    """Value and gradient, numbers as NumPy has them."""
    case = FORMULAS[name]
    found = tg.value_and_grad(case.f, argnums=case.argnums)(*case.args)
    return map_leaves(lambda x: x if isinstance(x, (np.ndarray, np.generic)) else np.float64(x), found)


def plain(tree: Any) -> Any:
    """What a formula gives in place of a nested result: namedtuples are tuples, dataclasses dicts."""
    if dataclasses.is_dataclass(tree):
        return {f.name: plain(getattr(tree, f.name)) for f in dataclasses.fields(tree)}
    if isinstance(tree, dict):
        return {k: plain(v) for k, v in tree.items()}
    return (
        type(tree)(map(plain, tree))
        if type(tree) is list
        else tuple(map(plain, tree))
        if isinstance(tree, tuple)
        else tree
    )


def assert_same(found: Any, expected: Any) -> None:
    """The same nesting, dtypes and, to rounding, numbers."""
    leaves, structure = flatten(found)
    others, form = flatten(plain(expected))
    assert structure == form
    for a, b in zip(leaves, others, strict=True):
        assert isinstance(a, (np.ndarray, np.generic))
        assert (a.shape, a.dtype, type(a)) == (b.shape, b.dtype, type(b))
        eps = np.finfo(b.dtype).eps if b.dtype.kind == "f" else 0.0
        np.testing.assert_allclose(a, b, rtol=2000 * eps, atol=200 * eps * np.abs(b).max(initial=1.0))


@every_formula
def test_a_formula_gives_the_functions_value_and_gradient(name: str) -> None:
    value, both = (function(s)(*FORMULAS[name].args) for s in sources(name))
    assert_same(value, wanted(name)[0])
    assert_same(both, wanted(name))


@every_formula
def test_a_source_is_legible(name: str) -> None:
    for source in sources(name):
        assert "tapegrad" not in source
        lines = source.splitlines()
        assert [x for x in lines if len(x) > 120] == []
        assert [x for x in lines if x != x.rstrip()] == []
        assert source.endswith("\n")
        assert not source.endswith("\n\n")


BLOCKED = """
import pickle, sys
sys.modules["tapegrad"] = None
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
results = []
for source, args in cases:
    found = {}
    exec(compile(source, "formula", "exec"), found)
    results.append(found["f"](*args))
with open(sys.argv[1], "wb") as file:
    pickle.dump(results, file)
"""


def test_formulas_run_where_tapegrad_cannot_be_imported(tmp_path: Path) -> None:
    known = [name for name in FORMULAS if name != "nested"]  # whose arguments are of classes of the tests'
    cases = [(source, FORMULAS[name].args) for name in known for source in sources(name)]
    file = tmp_path / "cases"
    file.write_bytes(pickle.dumps(cases))
    subprocess.run([sys.executable, "-W", "error", "-c", BLOCKED, str(file)], check=True, cwd=tmp_path)
    results = iter(pickle.loads(file.read_bytes()))
    for name in known:
        assert_same(next(results), wanted(name)[0])
        assert_same(next(results), wanted(name))


# --- what it looks like, and what it refuses


def seven(x1: Any, x2: Any) -> Any:
    a = np.log(x1) + x1 * x2
    return a - np.sin(x2)


SEVEN = '''@np.errstate(all="ignore")
def seven(x1, x2):
    """Value and gradient, as a tape computes it.

    Args:
        x1: float64, a number
        x2: float64, a number

    Returns:
        [0]: float64, a number
        [1][0]: float64, a number
        [1][1]: float64, a number
    """
    x1 = _argument(x1, ())
    x2 = _argument(x2, ())
    # test_to_python.py:FIRST  a = np.log(x1) + x1 * x2
    v4 = np.log(x1) + x1 * x2
    # test_to_python.py:SECOND  return a - np.sin(x2)
    v6 = v4 - np.sin(x2)

    # reverse part
    # test_to_python.py:SECOND
    v8 = np.cos(x2)
    # test_to_python.py:FIRST
    v9 = x1 - v8
    v11 = x2 + 1.0 / x1
    return v6, (v11, v9)
'''


def test_the_source_of_the_seven_instruction_example() -> None:
    source = tg.record(seven, 2.0, 5.0, argnums=(0, 1)).adjoint().to_python("seven")
    wanted = SEVEN
    for name, mark in (("FIRST", "log"), ("SECOND", "sin")):
        wanted = wanted.replace(name, models.place(seven, mark).rpartition(":")[2])
    assert source[source.index("@") :] == wanted


def test_arguments_that_the_formula_is_not_for_are_refused() -> None:
    p, x = {"w": np.ones(3), "parts": [1.0, None]}, np.ones((2, 3))
    tape = tg.record(lambda p, x, n, mode: np.sum(x @ p["w"]) * p["parts"][0] * n, p, x, 3, "fast")
    f = function(tape.to_python())
    assert f(p, x, 3, "fast") == f({"parts": (2, None), "w": [1, 1, 0.5]}, x, 3, "fast") / 2 * 6 / 5 == 18.0
    for wrong in (
        (p, np.ones((3, 3)), 3, "fast"),
        (p, np.ones(3), 3, "fast"),
        (p, np.ones((2, 3), np.complex128), 3, "fast"),
        (p, x, 4, "fast"),
        (p, x, 3, "slow"),
        ({**p, "more": 1.0}, x, 3, "fast"),
        ({"w": np.ones(3), "parts": [1.0, 2.0]}, x, 3, "fast"),
        ({"w": np.ones(3), "parts": [1.0]}, x, 3, "fast"),
        ({"w": np.ones(3), "parts": [1.0, None, 1.0]}, x, 3, "fast"),
        ({"w": None, "parts": [1.0, None]}, x, 3, "fast"),
    ):
        with pytest.raises(ValueError, match=r"found (an argument of shape|other containers or settings)"):
            f(*wrong)
    with pytest.raises(KeyError):
        f({"v": np.ones(3), "parts": [1.0, None]}, x, 3, "fast")


def test_floats_are_no_indices_and_integers_are_floats() -> None:
    f = function(tg.record(lambda x, k: np.sum(x[k]), np.arange(5.0), np.array([1, 3])).to_python())
    assert f(np.arange(5), np.array([2, 3], np.uint8)) == 5.0
    with pytest.raises(ValueError, match="float64; wanted shape \\(2,\\) and int64"):
        f(np.arange(5.0), np.array([2.0, 3.0]))


def branches(x: Any) -> Any:
    if x > 1 and int(x) != 5:
        return x * x
    return -x


def test_another_branch_is_refused() -> None:
    f = function(tg.record(branches, 3.4).to_python())
    assert f(3.7) == 3.7**2
    for other in (0.5, 5.5, np.nan):
        with pytest.raises(ValueError, match="recorded for another branch"):
            f(other)
    g = function(tg.record(branches, 0.5).adjoint().to_python())
    assert g(0.75) == (-0.75, -1.0)
    with pytest.raises(ValueError, match="recorded for another branch"):
        g(2.0)


def test_a_number_that_was_nan_is_asked_for() -> None:
    f = function(tg.record(lambda x: x * float(np.floor(x[1])), np.array([1.0, np.nan])).to_python())
    np.testing.assert_array_equal(f(np.array([2.0, np.nan])), [np.nan, np.nan])
    with pytest.raises(ValueError, match="recorded for another branch"):
        f(np.array([2.0, 1.0]))


def test_results_are_built_as_the_function_builds_them() -> None:
    def f(x: Any) -> Any:
        total = np.sum(x)
        pair = Pair(x[0], Line(x * 2, [x, (x,), None]))
        return {"total": total, 3: pair, ("a", 1): (x.reshape(3, 1), x, 2.0, np.arange(3), x > 1)}

    x = np.array([1.0, 2.0, 0.5])
    tape = tg.record(f, x)
    found = function(tape.to_python())(x)
    assert_same(found, tape(x))
    assert type(found[3]) is tuple
    assert set(found[3][1]) == {"slope", "offset"}
    leaves = [v for v in flatten(found)[0] if v.ndim]
    for k, value in enumerate(leaves):
        assert not any(np.shares_memory(value, other) for other in [x, *leaves[:k]])


def test_constants_come_back_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    odd = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-310, 1e30, 0.1, 1 / 3])
    written = [odd, odd.astype(np.float32), odd[None, :3], np.arange(7), np.arange(9, -1, -3), np.full((3, 2), -0.0)]
    written += [np.zeros((0, 3), np.float32), np.ones(4), np.eye(3, dtype=np.float32), np.eye(9), np.full(80, np.nan)]
    written += [np.array([True, False]), np.array([2**62, -(2**63)]), np.zeros((2, 0), np.int64)]
    long = [rng.normal(size=(9, 9)), rng.random(70).astype(np.float32), rng.integers(0, 9, 99), rng.random(99) > 0.5]
    assert [array(value) for value in long] == [None] * len(long)
    for value in written + long:
        found = eval(array(value) or carried(value), {"np": np, "_array": HELPERS["_array"]})
        assert (found.shape, found.dtype, found.tobytes()) == (value.shape, value.dtype, value.tobytes())
    for value in (*odd, *odd.astype(np.float32), np.int64(-3), np.bool_(True)):
        found = eval(number(value, bare=False), {"np": np})
        assert (found.dtype, found.tobytes()) == (value.dtype, value.tobytes())


def test_large_constants_are_handed_in() -> None:
    data = np.random.default_rng(0).normal(size=(CARRIED // 8 // 50 + 1, 50))
    tape = tg.record(lambda w: np.sum(np.tanh(data @ w)), np.ones(50))
    source = tape.to_python()
    assert len(source) < 2000
    assert "def f(w, *, constants):" in source
    assert f"]: float64, shape {data.shape}" in source
    f = function(source)
    np.testing.assert_allclose(f(np.ones(50), constants=tape.tape.constants), tape(np.ones(50)), rtol=1e-12)
    with pytest.raises(ValueError, match="found an argument of shape"):
        f(np.ones(50), constants=[np.ones(3)] * len(tape.tape.constants))


def test_a_function_of_the_users_is_named() -> None:
    softplus = tg.elementwise(lambda x: x * x)
    softplus.name = "softplus"
    cube = tg.primitive(lambda x: x**3, vjp=lambda g, z, x: (3 * g * x**2,))

    with pytest.raises(
        UnsupportedError, match=r"to_python: found <lambda>, a function of yours; wanted .* \(at .*test_to_python"
    ):
        tg.record(lambda x: np.sum(cube(x)), np.ones(3)).to_python()
    with pytest.raises(UnsupportedError, match="a function of yours"):
        tg.record(lambda x: np.sum(softplus(x)), np.ones(3)).to_python()


def test_a_key_that_cannot_be_written_is_named() -> None:
    class Key:
        def __repr__(self) -> str:
            return "<key>"

    key = Key()
    with pytest.raises(UnsupportedError, match="a dict with the key <key> of type Key; wanted strings or numbers"):
        tg.record(lambda p: p[key] * 2, {key: 1.0}).to_python()


@pytest.mark.parametrize("name", ["", "a b", "class", "np", "_argument", "f()"])
def test_a_name_that_no_function_can_have_is_refused(name: str) -> None:
    with pytest.raises(SettingError, match="to_python: found name="):
        tg.record(lambda x: x * 2, 1.0).to_python(name)


def test_two_formulas_stand_in_one_file() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(9, 9)), rng.normal(size=(9, 9))
    tapes = [tg.record(lambda x, m=m: x @ m @ x, np.ones(9)) for m in (a, b)]
    both = tapes[0].to_python("first") + "\n\n" + tapes[1].to_python("second")
    x = rng.normal(size=9)
    np.testing.assert_allclose(function(both, "first")(x), x @ a @ x, rtol=1e-12)
    np.testing.assert_allclose(function(both, "second")(x), x @ b @ x, rtol=1e-12)


def test_a_long_tape() -> None:
    p = (1.5, 1.0, 3.0, 1.0, 10.0, 5.0)
    tape = tg.record(lambda p: models.lotka_volterra(np, p, 2000), p).adjoint()
    assert len(tape) > 20_000
    value, gradient = function(tape.to_python())(p)
    np.testing.assert_allclose([value, *gradient], [tape(p)[0], *tape(p)[1]], rtol=1e-10)


def test_names_that_a_file_may_hold_are_no_code() -> None:
    """Lines, parameters and keys come out of saved tapes, too."""
    tape = tg.record(lambda p: p['a"""b\\'] * 2.0 + p["\n"], {'a"""b\\': 1.0, "\n": 2.0})
    bad = "x.py:3\nraise SystemExit"
    hostile = replace(tape.tape, lines=tuple(bad for _ in tape.tape.lines))
    for name in ("p", "p): raise SystemExit #[0]", "[0]", "p\n"):
        interface = replace(tape.interface, parameters=(name,))
        f = function(to_python(hostile, interface))
        assert f({'a"""b\\': 3.0, "\n": 1.0}) == 7.0


def test_arguments_that_are_called_as_what_is_used() -> None:
    def f(_argument: Any, scipy: Any, _inverse: Any) -> Any:
        return np.sum(_argument * scipy) + np.sum(np.linalg.norm(_argument)) * _inverse

    x = np.array([0.3, -1.2, 2.0])
    tape = tg.record(f, x, x, 2.0)
    assert function(tape.to_python("g"), "g")(x, x + 1, 3.0) == pytest.approx(f(x, x + 1, 3.0))
    gradient = function(tape.adjoint().to_python("g"), "g")(x, x + 1, 3.0)[1]
    np.testing.assert_allclose(gradient, tape.adjoint()(x, x + 1, 3.0)[1], rtol=1e-14)
    with pytest.raises(SettingError, match="name=3"):
        tape.to_python(3)  # type: ignore[arg-type]
