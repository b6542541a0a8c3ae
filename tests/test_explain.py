"""`explain`: values, partials, adjoints, steps and finite differences of tapes."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from tapegrad.derivative.adjoint import adjoint
from tapegrad.errors import (
    BranchError,
    DtypeError,
    ElementIndexError,
    LinearAlgebraError,
    SettingError,
    ShapeError,
    UnsupportedError,
)
from tapegrad.explanation import dissection
from tapegrad.explanation import explain as explanation
from tapegrad.ops.table import OPS
from tapegrad.passes.optimize import optimize
from tapegrad.trees import flatten, unflatten
from tapegrad.values import values
from tests.helpers import record
from tests.models import MODELS, lotka_volterra
from tests.random_programs import RandomChooser, write
from tests.test_functions import CALLS, differentiated

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


def seven(x1: Any, x2: Any) -> Any:
    """The example of Griewank & Walther, Evaluating Derivatives, at (2, 5)."""
    return np.log(x1) + x1 * x2 - np.sin(x2)


def masked_product(seed: Any, factor: Any) -> Any:
    """The product, 0 where the seed is 0 and the factor is not finite."""
    with np.errstate(all="ignore"):
        return np.where((seed == 0) & ~np.isfinite(factor), 0.0, seed * factor)


def summed(array: Any, shape: tuple[int, ...]) -> Any:
    """The sum over axes along which an array of a shape was broadcast."""
    array = array.sum(axis=tuple(range(array.ndim - len(shape))))
    return array.sum(axis=tuple(a for a, n in enumerate(shape) if n == 1 and array.shape[a] != 1), keepdims=True)


def check(e: tg.Explanation) -> None:
    """What holds for every explanation."""
    n, v = len(e.tape), e.values
    assert e.full.reverse == n
    assert len(v) == len(e.full)
    for i, value in enumerate(v):
        wanted = e.full.type(i)
        assert value.shape == wanted.shape
        assert value.dtype == wanted.dtype(e.full.dtype)
    for i in range(n):
        assert e.full.read(i) == e.tape.read(i)
        assert len(e.partials[i]) == len(e.tape.read(i))
    totals = {d: s for d, s in zip(e.tape.dependents.tolist(), e.seeds, strict=True) if s >= 0}
    repeated = len(set(e.tape.dependents.tolist())) < len(e.tape.dependents)
    last = n
    for step in e.steps:
        assert e.tape.read(step.instruction)[step.place] == step.operand
        assert step.instruction <= last
        last = step.instruction
        assert repeated or step.before == totals.get(step.operand, -1)
        totals[step.operand] = step.total
        check_step(e, step)
    for slot, total in enumerate(e.adjoints):
        assert repeated or total in {totals.get(slot, -1), -1}
    lines = str(e).splitlines()
    assert max(map(len, lines)) <= 140
    assert all(line == line.rstrip() for line in lines)


def check_step(e: tg.Explanation, step: Any) -> None:
    """A contribution is the instruction's adjoint times the partial, and is added."""
    v, shape = e.values, e.tape.type(step.operand).shape
    added, total = (np.broadcast_to(v[s], shape) for s in (step.added, step.total))
    if step.before < 0:
        assert step.added == step.total
    elif step.added != step.total:
        assert np.allclose(v[step.before] + v[step.added], total, equal_nan=True)
    partial_slot = e.partials[step.instruction][step.place]
    if partial_slot >= 0 and (step.before < 0 or step.added != step.total):
        product = masked_product(v[e.adjoints[step.instruction]], v[partial_slot])
        if OPS[e.tape.opcodes[step.instruction]].pointwise:
            own = e.tape.type(step.instruction).shape
            product = summed(np.broadcast_to(product, own), shape)
        assert np.allclose(product, added, equal_nan=True, rtol=1e-4 if e.tape.dtype == np.float32 else 1e-7)


def close(a: Any, b: Any, rtol: float = 1e-10) -> None:
    """Two nested containers hold the same numbers."""
    ours, theirs = flatten(a), flatten(b)
    assert ours[1] == theirs[1]
    for x, y in zip(ours[0], theirs[0], strict=True):
        assert np.shape(x) == np.shape(y)
        assert np.allclose(x, y, rtol=rtol, atol=1e-13, equal_nan=True)


def agreeing(e: tg.Explanation) -> int:
    """How many finite differences there are, all of which agree."""
    found = [d for d in e.differences if d is not None]
    assert all(d.agrees for d in found), [d for d in found if not d.agrees]
    return len(found)


# --- the example with seven instructions, by hand


def test_seven_instructions_by_hand() -> None:
    e = tg.explain(seven, 2.0, 5.0)
    check(e)
    ln2, sin5, cos5 = np.log(2.0), np.sin(5.0), np.cos(5.0)
    assert [float(v) for v in e.values[:7]] == [2.0, 5.0, ln2, 10.0, ln2 + 10.0, sin5, ln2 + 10.0 - sin5]
    partials = [[float(e.values[s]) for s in slots] for slots in e.partials]
    assert partials == [[], [], [0.5], [5.0, 2.0], [1.0, 1.0], [cos5], [1.0, -1.0]]
    adjoints = [float(e.values[s]) for s in e.adjoints]
    assert adjoints == pytest.approx([5.5, 2.0 - cos5, 1.0, 1.0, 1.0, -1.0, 1.0], rel=1e-15)
    assert float(e.value) == ln2 + 10.0 - sin5
    assert [float(g) for g in e.gradient] == pytest.approx([5.5, 2.0 - cos5], rel=1e-15)
    assert [(s.instruction, s.place, s.operand) for s in e.steps] == [
        (6, 0, 4), (6, 1, 5), (5, 0, 1), (4, 0, 2), (4, 1, 3), (3, 0, 0), (3, 1, 1), (2, 0, 0)
    ]  # fmt: skip
    assert [float(e.values[s.added]) for s in e.steps] == [1.0, -1.0, -cos5, 1.0, 1.0, 5.0, 2.0, 0.5]
    assert agreeing(e) == 7
    for d, wanted in zip(e.differences, adjoints, strict=True):
        assert d is not None
        assert d.entry == ()
        assert d.adjoint == wanted
        assert d.value == pytest.approx(wanted, rel=1e-8)


def test_the_text_of_the_seven_instructions() -> None:
    lines = str(tg.explain(seven, 2.0, 5.0)).splitlines()
    assert lines.pop(13).startswith(
        "reverse sweep: back from the result, each instruction adds its adjoint × a partial"
    )
    assert lines == [
        "seven: 7 instructions, float64, value 11.6521",
        "    op        operands  value      partials          adjoint  finite difference",
        "v0  input     x1        2                            5.5      5.5",
        "v1  input     x2        5                            1.71634  1.71634",
        "v2  log       v0        0.693147   ∂/∂v0 = 0.5       1        1",
        "v3  multiply  v0 v1     10         ∂/∂v0 = 5         1        1",
        "                                   ∂/∂v1 = 2",
        "v4  add       v2 v3     10.6931    ∂/∂v2 = 1         1        1",
        "                                   ∂/∂v3 = 1",
        "v5  sin       v1        -0.958924  ∂/∂v1 = 0.283662  -1       -1",
        "v6  subtract  v4 v5     11.6521    ∂/∂v4 = 1         1        1",
        "                                   ∂/∂v5 = -1",
        "",
        "seed: adjoint v6 = 1",
        "v6 → v4:  adjoint v4 = 0 + 1 × 1 = 1",
        "v6 → v5:  adjoint v5 = 0 + 1 × (-1) = -1",
        "v5 → v1:  adjoint v1 = 0 + (-1) × 0.283662 = -0.283662",
        "v4 → v2:  adjoint v2 = 0 + 1 × 1 = 1",
        "v4 → v3:  adjoint v3 = 0 + 1 × 1 = 1",
        "v3 → v0:  adjoint v0 = 0 + 1 × 5 = 5",
        "v3 → v1:  adjoint v1 = -0.283662 + 1 × 2 = 1.71634",
        "v2 → v0:  adjoint v0 = 5 + 1 × 0.5 = 5.5",
        "",
        "gradient by x1:  5.5",
        "gradient by x2:  1.71634",
        "finite differences agree with all 7 adjoints",
    ]


def test_an_operand_that_is_read_twice_has_two_partials() -> None:
    e = tg.explain(lambda x, y: (x + y) * (x + y), 2.0, 3.0)
    check(e)
    assert "∂/∂v2 (1.) = 5" in str(e)
    assert "∂/∂v2 (2.) = 5" in str(e)
    assert [float(g) for g in e.gradient] == [10.0, 10.0]


# --- the same adjoints as those of the library


@pytest.mark.parametrize("call", CALLS[::4], ids=str)
def test_adjoints_are_those_of_vjp(call: Any) -> None:
    places = differentiated(call)
    if not call.smooth or not places:
        return

    def function(*args: Any) -> Any:
        return call.call(tnp, *args)

    def floating(*args: Any) -> Any:
        filled = list(call.arguments)
        for k, arg in zip(places, args, strict=True):
            filled[k] = arg
        return function(*filled)

    e = tg.explain(function, *call.arguments, argnums=tuple(places))
    check(e)
    y, pullback = tg.vjp(floating, *[call.arguments[k] for k in places])
    leaves, structure = flatten(y)
    seeds = unflatten(structure, [np.ones(np.shape(leaf)) for leaf in leaves])
    for ours, theirs in zip(flatten(e.gradient)[0], flatten(pullback(seeds))[0], strict=True):
        assert np.allclose(ours, theirs, rtol=1e-9, atol=1e-12, equal_nan=True)


LARGE = ("factorisation", "lotka_volterra", "network_1024", "transcendental")  # finite differences take seconds


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_adjoints_of_models(name: str, dtype: Any) -> None:
    model = MODELS[name]
    f, arguments = partial(model.f, np), model.arguments(dtype=dtype)
    e = tg.explain(f, *arguments, argnums=0, differences=False if dtype == np.float32 or name in LARGE else None)
    value, gradient = tg.value_and_grad(f)(*arguments)
    single = e.tape.dtype == np.float32
    assert np.allclose(e.value, value, rtol=1e-4 if single else 1e-12)
    for ours, theirs in zip(flatten(e.gradient)[0], flatten(gradient)[0], strict=True):
        assert ours.dtype == np.asarray(theirs).dtype
        scale = float(np.max(np.abs(theirs), initial=0.0))
        assert np.allclose(ours, theirs, rtol=1e-3 if single else 1e-9, atol=scale * (1e-4 if single else 1e-12))
    if not single and name not in LARGE:
        assert agreeing(e) > 0
    assert max(map(len, str(e).splitlines())) <= 140


@pytest.mark.parametrize("apart", [dissection._APART, 3], ids=["apart", "in place"])
@pytest.mark.parametrize("start", range(0, 160, 20))
def test_random_programs_have_the_same_gradients(start: int, apart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dissection, "_APART", apart)
    for seed in range(start, start + 20):
        program = write(RandomChooser(np.random.default_rng(seed)))
        inputs = program.draw(seed)
        tape = optimize(record(program.record, inputs, program.independent, program.dtype))
        types = [tape.type(d) for d in tape.dependents.tolist()]
        rng = np.random.default_rng(seed)
        seeds = [np.array(rng.normal(size=t.shape), program.dtype) for t in types]
        found = dissection.dissect(tape, seeds)
        grown = adjoint(tape, seed_inputs=True)
        ours, theirs = values(found.full, inputs), values(grown, [*inputs, *seeds])
        for a, b in zip(found.full.dependents.tolist(), grown.dependents.tolist(), strict=True):
            scale = np.abs(theirs[b]).max(initial=0.0)
            exact = program.dtype == np.float64
            assert np.allclose(
                ours[a], theirs[b], rtol=1e-9 if exact else 1e-3, atol=scale * (1e-11 if exact else 1e-4)
            )


# --- arrays, masks, assignment


def test_arrays_and_broadcasting() -> None:
    def f(x: Any, b: Any) -> Any:
        return np.mean(np.tanh(x * b + 1.0) ** 2)

    e = tg.explain(f, X, np.array([1.0, 2.0, 3.0]))
    check(e)
    close(e.gradient, tg.grad(f, (0, 1))(X, np.array([1.0, 2.0, 3.0])))
    assert agreeing(e) > 5
    assert "sum(" in str(e)  # over the axis along which b is broadcast
    entry = e.differences[0].entry  # type: ignore[union-attr]
    assert entry == tuple(int(k) for k in np.unravel_index(np.argmax(np.abs(e.gradient[0])), X.shape))


def test_partials_of_narrow_adjoints() -> None:
    e = tg.explain(lambda x: np.sum(np.sin(x)), X)
    check(e)
    sine = next(i for i in range(len(e)) if OPS[e.tape.opcodes[i]].name == "sin")
    assert e.values[e.adjoints[sine]].shape == ()  # one number, which broadcasts
    assert np.array_equal(e.values[e.partials[sine][0]], np.cos(X))


def test_a_masked_adjoint_is_zero_where_the_partial_is_infinite() -> None:
    x = np.array([0.0, 1.0, 4.0])
    e = tg.explain(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)), x)
    check(e)
    root = next(i for i in range(len(e)) if OPS[e.tape.opcodes[i]].name == "sqrt")
    assert np.isinf(e.values[e.partials[root][0]][0])
    assert e.gradient[0].tolist() == [0.0, 0.5, 0.25]
    assert "(0 where masked)" in str(e)


def test_item_assignment() -> None:
    def f(x: Any) -> Any:
        y = np.zeros(6) + x[0]
        y[1:4] = np.exp(x)
        y[0] = x[2] * y[3]
        y[::2] *= 2.0
        y[np.array([1, 1, 5])] = x
        return np.sum(y**2)

    x = np.array([0.3, -0.2, 0.7])
    e = tg.explain(f, x)
    check(e)
    close(e.gradient, (tg.grad(f)(x),))
    assert agreeing(e) > 8
    written = [i for i in range(len(e)) if OPS[e.tape.opcodes[i]].overwrites and e.partials[i] == (-1, -1)]
    places = [[s.place for s in e.steps if s.instruction == i] for i in written]
    assert [1, 0] in places  # what was put in place is taken out first
    assert [0, 1] not in places


def test_long_arrays_are_added_to_in_place() -> None:
    x = np.linspace(-1.0, 1.0, 6 * dissection._APART).reshape(-1, 3)

    def f(x: Any) -> Any:
        flat = x[:, 0]
        moved = np.sum(np.sin(flat)) + np.sum(np.exp(flat)) + np.sum(flat[np.array([1, 1, 2])])
        return flat[3] * flat[7] + np.sum(flat[10:] * flat[:-10]) + moved + x[5, 1]

    e = tg.explain(f, x)
    check(e)
    close(e.gradient, (tg.grad(f)(x),))
    assert any(step.added == step.total and step.before >= 0 for step in e.steps)
    assert any(step.added != step.total for step in e.steps)
    items = [i for i in range(len(e)) if OPS[e.tape.opcodes[i]].name == "item" and e.tape.type(i).size == 1]
    long = [i for i in items if e.tape.type(e.tape.read(i)[0]).size > dissection._APART]
    assert len(long) > 1
    assert all(e.partials[i] == (-1,) for i in long)  # a 1 among zeros


def test_float32() -> None:
    x = np.array([0.5, 1.5], np.float32)
    e = tg.explain(lambda x: np.sum(np.log(x) * 3.0), x)
    check(e)
    assert e.gradient[0].dtype == np.float32
    assert agreeing(e) > 2  # the differences are taken in float64
    assert e.differences[0].value == pytest.approx(6.0, rel=1e-7)  # type: ignore[union-attr]
    assert "float32" in str(e).splitlines()[0]


def test_nan_and_infinity_are_shown() -> None:
    x = np.array([1.0, np.nan, np.inf, 2.0, 0.0] * 4)
    e = tg.explain(lambda x: np.sum(1.0 / x), x)
    check(e)
    close(e.gradient, (tg.grad(lambda x: np.sum(1.0 / x))(x),))
    text = str(e)
    assert "4 nan, 4 inf, else 0..2" in text
    assert text.endswith("\n3 finite differences are not finite")
    assert "≠" not in text
    assert "gradient by x (20,):" in text


def test_guards_and_integers_have_no_adjoint() -> None:
    def f(x: Any, k: Any) -> Any:
        y = x[k] * 2.0
        return np.sum(y) if np.sum(x) > 0 else np.sum(-y)

    x, k = np.array([1.0, 2.0, 3.0]), np.array([0, 2, 2])
    e = tg.explain(f, x, k)
    check(e)
    assert e.gradient[0].tolist() == [2.0, 0.0, 4.0]
    for i in range(len(e)):
        if e.tape.type(i).kind != "f" or OPS[e.tape.opcodes[i]].effect:
            assert e.adjoints[i] == -1
            assert e.differences[i] is None
    guarded = [i for i in range(len(e)) if OPS[e.tape.opcodes[i]].effect]
    assert guarded
    assert "guard" in str(e)
    assert tg.explain(f, -x, k).gradient[0].tolist() == [-2.0, 0.0, -4.0]


def test_stop_gradient_is_not_moved() -> None:
    e = tg.explain(lambda x: x * tg.stop_gradient(x * x), 3.0)
    check(e)
    assert float(e.gradient[0]) == 9.0
    assert agreeing(e) > 1


def test_matrices() -> None:
    a = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 2.0]])

    def f(a: Any, b: Any) -> Any:
        x = np.linalg.solve(a, b)
        _, logarithm = np.linalg.slogdet(a)
        return logarithm + np.sum(x * x) + np.sum(np.linalg.inv(a)) + np.linalg.det(a) + np.sum(np.linalg.svdvals(a))

    b = np.array([1.0, -2.0, 0.5])
    e = tg.explain(f, a, b)
    check(e)
    close(e.gradient, tg.grad(f, (0, 1))(a, b), rtol=1e-9)
    assert agreeing(e) > 8


def test_functions_of_the_user() -> None:
    @tg.elementwise
    def squashed(x: float, y: float) -> float:
        return x / (1.0 + x * x) * y

    @tg.primitive
    def cube_root(x: Any) -> Any:
        return np.cbrt(x)

    @cube_root.defvjp  # type: ignore[untyped-decorator]
    def _(g: Any, y: Any, x: Any) -> Any:
        return (g / (3.0 * y * y),)

    def f(x: Any) -> Any:
        return np.sum(cube_root(squashed(x, np.array([1.0, 2.0, 3.0])))) + cube_root(x[0, 0])

    x = np.abs(X)
    e = tg.explain(f, x)
    check(e)
    close(e.gradient, (tg.grad(f)(x),))
    assert agreeing(e) > 4
    i = next(i for i in range(len(e)) if OPS[e.tape.opcodes[i]].name == "custom")
    z = np.array([1.0, 2.0, 3.0])
    assert np.allclose(e.values[e.partials[i][0]], z * (1 - x * x) / (1 + x * x) ** 2)
    assert "squashed" in str(e)
    assert "cube_root" in str(e)


# --- arguments


class Pair(NamedTuple):
    a: Any
    b: Any


def test_nested_arguments() -> None:
    p = {"w": np.ones((3, 2)), "layers": [Pair(np.zeros(2), 0.5)]}

    def f(p: Any, x: Any, name: str) -> Any:
        assert name == "loss"
        return np.sum((x @ p["w"] + p["layers"][0].a) ** 2) * p["layers"][0].b

    e = tg.explain(f, p, X, "loss")
    check(e)
    close(e.gradient, tg.grad(f, (0, 1))(p, X, "loss"))
    assert isinstance(e.gradient[0]["layers"][0], Pair)
    for label in ("p['w']", "p['layers'][0].a", "p['layers'][0].b", "x"):
        assert f"gradient by {label}" in e.gradients()


def test_argnums() -> None:
    assert float(tg.explain(seven, 2.0, 5.0, argnums=0).gradient) == 5.5
    both = tg.explain(seven, 2.0, 5.0, argnums=(1, 0))
    assert [float(g) for g in both.gradient] == pytest.approx([2.0 - np.cos(5.0), 5.5])
    lines = both.gradients().splitlines()
    assert lines[0].startswith("gradient by x2")
    assert lines[1].startswith("gradient by x1")
    none = tg.explain(seven, 2.0, 5.0, argnums=())
    assert none.gradient == ()
    assert set(none.adjoints) == {-1}
    assert none.steps == ()


def test_by_default_all_arguments_that_can_be_are_differentiated() -> None:
    def f(n: int, x: Any, k: Any, mixed: Any) -> Any:
        return np.sum(x[k]) * n * mixed["scale"]

    e = tg.explain(f, 3, X, np.array([1, 0]), {"scale": 2.0, "flag": True})
    assert len(e.gradient) == 1
    assert np.array_equal(e.gradient[0], np.full(X.shape, 6.0))


def test_unused_arguments_and_constants() -> None:
    e = tg.explain(lambda x, y: x * 2.0 + 1.0, 3.0, np.ones(3))
    check(e)
    assert e.gradient[1].tolist() == [0.0] * 3
    slot = int(e.tape.inputs[1])
    assert e.adjoints[slot] == -1
    constant = tg.explain(lambda x: 4.0, 3.0)
    check(constant)
    assert [float(g) for g in constant.gradient] == [0.0]


def test_a_result_that_is_an_argument_and_one_that_stands_twice() -> None:
    e = tg.explain(lambda x, y: (x, x, x * y), 2.0, 3.0)
    check(e)
    assert [float(g) for g in e.gradient] == [5.0, 2.0]
    assert str(e).count("seed: ") == 3


def test_seeds() -> None:
    def f(x: Any) -> Any:
        return {"a": np.sin(x), "k": np.argmax(x), "s": np.sum(x * x)}

    x = np.array([0.1, 0.2])
    e = tg.explain(f, x)
    check(e)
    assert np.allclose(e.gradient[0], np.cos(x) + 2 * x)
    assert e.seeds[1] == -1
    weighted = tg.explain(f, x, seed={"a": np.array([1.0, -2.0]), "k": 0, "s": 0.5})
    check(weighted)
    assert np.allclose(weighted.gradient[0], np.cos(x) * [1.0, -2.0] + x)
    assert agreeing(weighted) > 3
    listed = tg.explain(lambda x: 2.0 * x, x, seed=[1.0, 3.0])
    assert listed.gradient[0].tolist() == [2.0, 6.0]


def test_a_result_without_a_derivative() -> None:
    e = tg.explain(lambda x: x > 0.0, X)
    check(e)
    assert set(e.adjoints) == {-1}
    assert not np.any(e.gradient[0])
    assert "nothing is passed back" in str(e)


# --- tapes


def test_a_recorded_function_is_explained_as_it_was_recorded() -> None:
    tape = tg.record(seven, 2.0, 5.0)
    e = tg.explain(tape, 3.0, 4.0)
    check(e)
    assert [e.tape.read(i) for i in range(len(e))] == [tape.tape.read(i) for i in range(len(tape))]
    assert float(e.gradient) == pytest.approx(1 / 3 + 4.0)
    assert [float(g) for g in tape.explain(3.0, 4.0, argnums=(0, 1)).gradient] == pytest.approx(
        [1 / 3 + 4.0, 3.0 - np.cos(4.0)]
    )
    assert str(e).startswith("seven: 7 instructions")


def test_a_tape_of_a_gradient_is_explained() -> None:
    gradient = tg.record(lambda x: np.sum(x**3), np.array([1.0, 2.0])).adjoint()
    x = np.array([1.0, 3.0])
    e = tg.explain(gradient, x, seed=(0.0, np.ones(2)))
    check(e)
    assert np.allclose(e.gradient, 6 * x)
    assert str(e).startswith("tape: ")


def test_a_tape_and_its_branches() -> None:
    tape = tg.record(lambda x: x * 2.0 if x > 0 else x * 3.0, 1.0)
    assert float(tg.explain(tape, 2.0).gradient) == 2.0
    with pytest.raises(BranchError, match=r"another way than it was recorded.*test_explain"):
        tg.explain(tape, -1.0)


def test_the_explanation_keeps_its_numbers() -> None:
    x, captured = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    e = tg.explain(lambda x: np.sum(x * captured), x)
    x[:], captured[:] = 0.0, 0.0
    assert e.gradient[0].tolist() == [3.0, 4.0]
    assert e.values[0].tolist() == [1.0, 2.0]
    assert any(np.array_equal(v, [3.0, 4.0]) for v in e.values[: len(e)])


# --- finite differences


def test_differences_disagree_at_a_kink() -> None:
    e = tg.explain(lambda x: np.maximum(x, 0.5 * x) * 1.0, 0.0)
    first = e.differences[0]
    assert first is not None
    assert first.value == pytest.approx(0.75)
    ramp = tg.explain(lambda x: np.abs(x - 1.0) + x, 1.0 + 1e-9)
    assert "≠" in str(ramp)
    assert "differ from" in str(ramp).splitlines()[-1]


def test_small_values_are_moved_by_small_steps() -> None:
    for x in (1e-7, 1e-3, 1.0, 1e6):
        assert agreeing(tg.explain(np.log, x)) == 2
    for x in (0.0, 1e-7):
        assert agreeing(tg.explain(lambda x: 1.0 + x, x)) == 2


def test_a_difference_that_cannot_be_taken() -> None:
    a = np.diag([1.0, 1e-12])
    e = tg.explain(lambda a: np.sum(np.linalg.cholesky(a)), a)
    assert any(d is not None and np.isnan(d.value) and not d.agrees for d in e.differences)


def test_differences_can_be_left_out_or_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    e = tg.explain(seven, 2.0, 5.0, differences=False)
    assert e.differences == (None,) * 7
    assert str(e).splitlines()[-1] == "no finite differences were asked for"
    assert str(e).splitlines()[1].split() == ["op", "operands", "value", "partials", "adjoint"]
    monkeypatch.setattr("tapegrad.explanation.differences.BUDGET", 40)
    some = tg.explain(seven, 2.0, 5.0)
    assert [d is not None for d in some.differences] == [True, True, False, False, False, False, False]
    assert str(some).splitlines()[-1] == (
        "finite differences agree with all 2 adjoints; those of other instructions would take long (differences=True)"
    )
    monkeypatch.setattr("tapegrad.explanation.differences.BUDGET", 1)
    none = tg.explain(seven, 2.0, 5.0)
    assert none.differences == (None,) * 7
    assert "would take long" in str(none).splitlines()[-1]
    assert agreeing(tg.explain(seven, 2.0, 5.0, differences=True)) == 7


# --- long tapes


def test_a_long_tape() -> None:
    p = np.array([1.5, 1.0, 3.0, 1.0, 10.0, 5.0])
    f = partial(lotka_volterra, np, steps=2000)
    e = tg.explain(f, p, differences=False)
    assert len(e) > 21_000
    close(e.gradient, (tg.grad(f)(p),), rtol=1e-9)
    lines = str(e).splitlines()
    assert len(lines) < 700
    assert max(map(len, lines)) <= 140
    assert f"... {len(e) - 200:,} more; explanation.table() gives all" in lines
    assert f"... {len(e.steps) - 200:,} more; explanation.sweep() gives all" in lines
    assert e.table(5000, 5001).splitlines()[1].startswith("v5000")
    assert len(e.sweep(10, 15).splitlines()) == 5
    checked = tg.explain(f, p)
    assert agreeing(checked) == 1  # the argument


# --- errors


def test_no_argument_to_differentiate_by() -> None:
    with pytest.raises(DtypeError, match=r"explain: found args\[0\] of type int; wanted .*2.0, not 2"):
        tg.explain(lambda x: x, 2)
    with pytest.raises(DtypeError, match="found no arguments"):
        tg.explain(lambda: 2.0)
    with pytest.raises(DtypeError, match="found no arguments"):
        tg.record(lambda: 2.0).explain()
    with pytest.raises(DtypeError, match="differentiate"):
        tg.explain(lambda x: x, np.arange(3), argnums=0)
    with pytest.raises(SettingError, match="argnums"):
        tg.explain(seven, 2.0, 5.0, argnums=2)


def test_argnums_of_a_tape_must_be_floating() -> None:
    tape = tg.record(lambda x, k, n: np.sum(x[k]) * n, X, np.array([0]), 2)
    assert np.sum(tape.explain(X, np.array([0]), 2).gradient) == 6.0
    with pytest.raises(DtypeError, match="explain: found k, of dtype int64"):
        tape.explain(X, np.array([0]), 2, argnums=1)
    with pytest.raises(DtypeError, match="found n = 2"):
        tape.explain(X, np.array([0]), 2, argnums=2)
    with pytest.raises(ShapeError, match="found 1 arguments; wanted 3: x, k, n"):
        tape.explain(X)


@pytest.mark.parametrize(
    ("seed", "error", "words"),
    [
        (np.ones(3), ShapeError, r"a seed of shape \(3,\); wanted shape \(2, 3\)"),
        (1.0, ShapeError, "a seed of shape"),
        (np.ones((2, 3)) * 1j, DtypeError, "dtype complex128"),
        ("abc", DtypeError, "a seed of dtype"),
    ],
)
def test_seeds_that_do_not_fit(seed: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tg.explain(lambda x: 2.0 * x, X, seed=seed)


def test_a_seed_of_another_structure() -> None:
    with pytest.raises(ShapeError, match="nested in another way"):
        tg.explain(lambda x: (x, x), X, seed=[X, X])


def test_what_has_no_rule_is_refused_only_where_it_is_needed() -> None:
    from tapegrad.scipy.special import zeta

    with pytest.raises(UnsupportedError, match=r"zeta.*test_explain"):
        tg.explain(lambda s: zeta(s, 2.0), 3.0)
    e = tg.explain(lambda s: s * tg.stop_gradient(zeta(s, 2.0)), 3.0)
    assert float(e.gradient[0]) > 0


def test_errors_of_values() -> None:
    tape = tg.record(lambda x, k: np.sum(x[k]), np.ones(3), np.array([0, 1]))
    with pytest.raises(ElementIndexError, match="out of bounds"):
        tape.explain(np.ones(3), np.array([0, 7]))
    with pytest.raises(LinearAlgebraError, match="test_explain"):
        tg.explain(lambda a: np.sum(np.linalg.inv(a)), np.ones((2, 2)))


def test_what_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "_MOST", 1000)
    tg.explain(seven, 2.0, 5.0)
    with pytest.raises(UnsupportedError, match="smaller arrays show the same"):
        tg.explain(lambda x: np.sum(np.sin(x)), np.ones(200))


def test_within_a_recorded_function_it_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="Variable"):
        tg.record(lambda x: tg.explain(seven, x, 5.0).value, 2.0)
