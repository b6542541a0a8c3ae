"""`tape.cost()` and `plan_shapes`: flops, bytes and memory are exact; times are predicted from made-up rates here."""

from __future__ import annotations

import re
import tracemalloc
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import tapegrad as tg
import tapegrad.numpy as tnp
from benchmarks import bert
from benchmarks.cost import ROWS, paper_row
from tapegrad.costs.calibration import Calibration
from tapegrad.costs.cost import Cost
from tapegrad.costs.measure import measured
from tapegrad.costs.rates import Rates
from tapegrad.costs.traffic import traffic
from tapegrad.costs.work import work
from tapegrad.errors import MemoryLimitError, SettingError, ShapeError, UnsupportedError
from tapegrad.ops.row import ArrayType
from tapegrad.ops.table import OPS
from tapegrad.schedule.program import schedule
from tests.models import MODELS, place, softmax_regression

RATES = MappingProxyType(dict.fromkeys(measured(), 1.0))
MACHINE = Calibration({"processor": "none", "cores": "2"}, {"float64": RATES, "float32": RATES})


def cost_of(f: Any, *args: Any, **options: Any) -> Cost:
    return tg.record(f, *args, **options).cost(calibration=MACHINE)


def planned(f: Any, shapes: Any, **options: Any) -> Cost:
    return tg.plan_shapes(f, shapes, calibration=MACHINE, **options)


def network(layers: Any, x: Any, y: Any) -> Any:
    for w, b in layers[:-1]:
        x = np.tanh(x @ w + b)
    w, b = layers[-1]
    return np.mean((x @ w + b - y) ** 2)


WIDTHS = (784, 512, 256, 10)
LAYERS = [((a, b), (b,)) for a, b in pairwise(WIDTHS)]


def arrays(shapes: Any) -> Any:
    """Arrays of ones in place of shapes."""
    if isinstance(shapes, list):
        return [arrays(s) for s in shapes]
    return np.ones(shapes) if all(isinstance(n, int) for n in shapes) else tuple(arrays(s) for s in shapes)


# --- flops


def test_product() -> None:
    cost = cost_of(lambda a, b: a @ b, np.ones((30, 40)), np.ones((40, 50)))
    assert (cost.flops, cost.products, cost.functions) == (2 * 30 * 40 * 50, 2 * 30 * 40 * 50, 0)
    assert cost.gradient is None


@pytest.mark.parametrize("subscripts", ["bij,bjk->bik", "bij,bkj->bik", "ij,bjk->bik"])
def test_batched_product(subscripts: str) -> None:
    first = "ij" if subscripts.startswith("ij") else "bij"
    sizes = {"b": 3, "i": 4, "j": 5, "k": 6}
    shapes = [tuple(sizes[c] for c in term) for term in (first, subscripts.split(",")[1].split("->", maxsplit=1)[0])]
    cost = cost_of(lambda a, b: np.einsum(subscripts, a, b), *map(np.ones, shapes))
    assert cost.products == 2 * 3 * 4 * 5 * 6


def test_network_gradient_is_three_times_its_value() -> None:
    """But for the first layer, whose input needs no derivative."""
    rows = 64
    cost = planned(network, (LAYERS, (rows, 784), (rows, 10)))
    products = [2 * rows * a * b for a, b in pairwise(WIDTHS)]
    assert cost.products == 3 * sum(products) - products[0]
    assert cost.functions == rows * (512 + 256)
    assert cost.parameters == sum(a * b + b for a, b in pairwise(WIDTHS))
    value = planned(lambda *args: [network(*args)], (LAYERS, (rows, 784), (rows, 10)))  # no scalar: no gradient
    assert value.products == sum(products)


def test_elementwise() -> None:
    cost = cost_of(lambda x, y: x * y + np.exp(x) / 3.0, np.ones((7, 11)), np.ones(11))
    assert (cost.flops, cost.functions, cost.products) == (3 * 77, 77, 0)


def test_fused_sums_count_both() -> None:
    """The reverse part's products and sums are one instruction each, and two flops an element."""
    fused = next(op for op in OPS if op.key == "multiply_add")
    t = ArrayType((5,))
    assert fused.flops is not None
    assert fused.flops((), [t, t, t], t) == 10


@pytest.mark.parametrize(
    ("f", "shape", "flops"),
    [
        (np.linalg.cholesky, (6, 6), 6**3 / 3),
        (np.linalg.inv, (2, 6, 6), 2 * 2 * 6**3),
        (np.linalg.det, (6, 6), 6**3 * 2 / 3),
        (lambda a: np.linalg.qr(a)[1], (8, 4), 4 * 16 * (8 - 4 / 3)),
        (np.cumsum, (9,), 9),
        (lambda x: np.sum(x, axis=0), (3, 5), 15),
        (lambda x: x.T.reshape(-1)[2:], (3, 5), 0),
        (lambda x: x[np.array([0, 2, 0])], (3, 5), 0),
    ],
)
def test_other_instructions(f: Any, shape: tuple[int, ...], flops: float) -> None:
    x = np.broadcast_to(np.eye(*shape[-2:]) if len(shape) > 1 else np.ones(shape), shape)
    assert cost_of(lambda x: [f(x)], x).flops == pytest.approx(flops)  # no scalar: no gradient


def test_solution_with_the_right_hand_side() -> None:
    cost = cost_of(np.linalg.solve, np.eye(6), np.ones((6, 4)), argnums=())
    assert cost.flops == pytest.approx(6**3 * 2 / 3 + 2 * 6 * 6 * 4)


@pytest.mark.parametrize("op", [op for op in OPS if op.flops is not None and op.cases], ids=lambda op: op.key)
def test_rules_of_all_rows(op: Any) -> None:
    """Every rule gives a number for every case that the row is tested with."""
    for case in op.cases:
        types = []
        for operand in case.operands:
            array = operand if isinstance(operand, np.ndarray) else np.empty(operand)
            types.append(ArrayType(array.shape, {"i": "i", "u": "i", "b": "b"}.get(array.dtype.kind, "f")))
        found = op.flops(case.attribute, types, op.result_type(case.attribute, types))
        assert np.isfinite(found)
        assert found >= 0


# --- bytes and memory


def test_tiles_read_and_write_once() -> None:
    """Rosenbrock's gradient goes over its argument once: 8 bytes read and 8 written an element."""
    n = 10**6
    cost = planned(valley, ((n,),))
    assert cost.bytes == pytest.approx(16 * n, rel=1e-3)
    assert cost.memory.arguments == cost.memory.results - 8 == 8 * n
    assert cost.memory.arena + cost.memory.tiles < 100_000


def valley(x: Any) -> Any:
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def test_data_in_the_cache_is_not_moved() -> None:
    assert planned(valley, ((1000,),)).bytes == 0


def test_data_is_read_once_whatever_the_tiles() -> None:
    rows = 20_000
    cost = planned(lambda w, x: np.sum(np.tanh(x @ w)), ((784, 10), (rows, 784)))
    assert cost.bytes == pytest.approx(8 * rows * 784, rel=0.01)


def test_whole_arrays_are_moved_by_each_instruction() -> None:
    """Three arrays of 8 MB that nothing cuts into tiles: a product's operands and result."""
    n = 1000
    cost = planned(lambda a, b: a @ b, ((n, n), (n, n)))
    assert cost.bytes == 3 * 8 * n * n


def test_memory_is_that_of_the_program() -> None:
    x = np.ones((300, 40))
    tape = tg.record(lambda w: np.sum(np.tanh(x @ w)), np.ones((40, 20)))
    memory = tape.cost(calibration=MACHINE).memory
    assert (memory.arguments, memory.results, memory.constants) == (8 * 800, 8 * 801, x.nbytes)
    assert memory.total == sum(getattr(memory, name) for name in memory.__slots__)


def test_traffic_of_a_region_that_is_read_in_parts() -> None:
    """Slices of one array are parts of it: reading one leaves the others where they were."""
    tape = tg.record(lambda x: x[:1000] + x[1000:], np.ones(2000)).tape
    done = work(schedule(tape, height=0))
    moved = traffic(done)
    assert moved.distance[0].tolist()[:3] == [24_000, 24_000, 24_000]
    assert moved.nbytes[0].tolist() == [8000, 8000, 8000, 0]
    assert moved.written[0].tolist() == [True, False, False, False]


# --- lines, times, the table


def test_lines_are_named() -> None:
    def loss(w: Any, x: Any) -> Any:
        hidden = np.tanh(x @ w)  # the product
        return np.mean(hidden * 2.0)  # the mean

    cost = cost_of(loss, np.ones((50, 60)), np.ones((70, 50)))
    product, mean = place(loss, "# the product"), place(loss, "# the mean")
    lines = {line.line: line for line in cost.lines}
    assert set(lines) == {product, mean}
    assert lines[product].flops > cost.products == 2 * 2 * 50 * 60 * 70
    assert sum(line.share for line in cost.lines) == pytest.approx(1.0)
    assert sum(line.flops for line in cost.lines) == cost.flops
    assert lines[product].code == "hidden = np.tanh(x @ w)  # the product"


def test_it_prints_as_a_table() -> None:
    cost = planned(network, (LAYERS, (64, 784), (64, 10)))
    text = str(cost).splitlines()
    assert [line[:14].strip() for line in text[:8]] == [
        "cost of", "parameters", "instructions", "flops", "bytes moved", "memory", "value", "gradient",
    ]  # fmt: skip
    assert text[1].split()[1] == "535,818"
    assert text[9].split() == ["share", "flops", "functions", "bytes", "line"]
    assert "x = np.tanh(x @ w + b)" in text[10]
    assert repr(cost) == str(cost)


def test_without_instructions() -> None:
    cost = cost_of(lambda x: x, np.ones(3))
    assert cost.flops == cost.bytes == 0
    assert cost.instructions == (0, 0)
    assert "flops" in str(cost)


def test_more_work_takes_longer() -> None:
    small, large = (planned(network, (LAYERS, (rows, 784), (rows, 10))) for rows in (64, 640))
    assert 0 < small.value.one < small.gradient.one < large.gradient.one
    assert small.gradient.threads == tg.num_threads()


def test_scalars_and_calls_have_their_time() -> None:
    """A row of the scalar machine, and a stop of the sweep, cost what was measured of each."""

    def slower(name: str, f: Any, *args: Any) -> float:
        found = []
        for each in (1.0, 1001.0):
            known = dict(RATES) | {k: each for k in RATES if k.startswith(name)}
            machine = Calibration(MACHINE.machine, {"float64": known})
            found.append(tg.record(f, *args).cost(calibration=machine).value.one)
        return (found[1] - found[0]) / 1e-6

    assert slower("scalar:sin", lambda x: np.sin(x) * 2.0, 1.5) == pytest.approx(1, rel=0.05)
    assert slower("call", np.cumsum, np.ones(3)) == pytest.approx(1, rel=1e-3)
    assert slower("op:sin", np.sin, np.ones(100)) == pytest.approx(100, rel=1e-3)
    assert slower("product:NN:8x8x8", np.matmul, np.ones((8, 8)), np.ones((8, 8))) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda m: m.name)
def test_models(model: Any) -> None:
    """All of the tests' models have a cost in all its parts; a fixed tape has that of its function."""
    args = model.arguments()
    tape = tg.record(lambda *given: model.f(tnp, *given), *args)
    cost = tape.cost(calibration=MACHINE)
    again = tape.adjoint().cost(calibration=MACHINE)
    assert again.flops == cost.flops > 0
    assert again.bytes == cost.bytes
    assert again.memory == cost.memory
    assert again.instructions == cost.instructions
    assert cost.instructions[1] > 0
    assert again.value.one == pytest.approx(cost.value.one)
    assert cost.gradient.one > cost.value.one > 0
    assert cost.memory.arguments >= 8 * cost.parameters


# --- from shapes


def same(planned: Cost, recorded: Cost) -> None:
    """Equal in all."""
    for name in ("dtype", "parameters", "instructions", "flops", "products", "functions", "bytes", "memory"):
        assert getattr(planned, name) == getattr(recorded, name), name
    assert planned.lines == recorded.lines
    assert (planned.value, planned.gradient) == (recorded.value, recorded.gradient)


def softmax(p: Any, x: Any, labels: Any) -> Any:
    return softmax_regression(np, p, x, labels)


class Pair(NamedTuple):
    w: Any
    b: Any


@dataclass
class Parameters:
    first: Any
    second: Any


def nested(p: Any, x: Any) -> Any:
    return np.sum(np.tanh(x @ p.first.w + p.first.b) @ p.second[0])


CASES = [
    (network, (LAYERS, (64, 784), (64, 10)), (arrays(LAYERS), np.ones((64, 784)), np.ones((64, 10)))),
    (
        softmax,
        ({"w": (20, 5), "b": (5,)}, (3000, 20), tg.Shape(3000, int)),
        ({"w": np.ones((20, 5)), "b": np.ones(5)}, np.ones((3000, 20)), np.arange(3000) % 5),
    ),
    (
        nested,
        (Parameters(Pair((4, 5), (5,)), [(5, 2)]), (3, 4)),
        (Parameters(Pair(np.ones((4, 5)), np.ones(5)), [np.ones((5, 2))]), np.ones((3, 4))),
    ),
    (lambda x, scale, steps: np.sum(x * scale) * steps, ((7,), 0.5, 3), (np.ones(7), 0.5, 3)),
    (
        lambda x, m: np.sum(np.where(m, x, 0.0)),
        ((4, 6), tg.Shape((4, 6), bool)),
        (np.ones((4, 6)), np.ones((4, 6), bool)),
    ),
    (lambda x: np.reshape(np.sin(x), -1, order="A"), ((3, 4),), (np.ones((3, 4)),)),
    (lambda x: np.sort(x)[::-1], ((9,),), (np.ones(9),)),
]


@pytest.mark.parametrize(("f", "shapes", "args"), CASES)
def test_shapes_cost_what_arrays_cost(f: Any, shapes: Any, args: Any) -> None:
    same(planned(f, shapes), cost_of(f, *args))


def test_float32() -> None:
    cost = planned(network, (LAYERS, (8, 784), (8, 10)), dtype=np.float32)
    assert cost.dtype == np.float32
    assert cost.memory.arguments == 4 * (cost.parameters + 8 * 794)


def test_several_parameters() -> None:
    f = lambda a, b, c: np.sum(a * b + c)  # noqa: E731
    assert planned(f, ((3,), (3,), (3,)), argnums=(0, 2)).parameters == 6
    assert planned(f, ((3,), (3,), (3,)), argnums=-1).parameters == 3


def test_an_array_stands_for_itself() -> None:
    """Its values may be asked for, unlike those of a shape."""
    mask = np.array([True, False, True])
    cost = planned(lambda x, m: np.sum(x[m]), ((3, 4), mask))
    assert cost.memory.results == 8 + 8 * 12


def test_shapes_take_no_memory() -> None:
    """A gradient by 340 million parameters, and arrays of terabytes, are planned in a few megabytes."""
    size = bert.SIZES["large"]
    shapes = (bert.parameters(size), *(tg.Shape(s, int) for s in bert.batch(8, 128)), size.heads)
    planned(network, (LAYERS, (8, 784), (8, 10)))  # compiles what is not compiled yet
    tracemalloc.start()
    try:
        cost = planned(bert.loss, shapes, dtype=np.float32)
        assert cost.memory.total > 4 << 30
        vast = planned(lambda w, x: np.sum(np.exp(x @ w)), ((10**6, 10**6), (10**6, 10**6)))
        assert vast.memory.arguments == 16 * 10**12
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x) if np.sum(x) > 0 else x[0],
        lambda x: x[int(np.argmax(x))],
        lambda x: np.sum(x[x > 0]),
        lambda x: np.sum(np.unique(np.floor(x))),
        lambda x: sum(1.0 for v in x if v),
    ],
    ids=["branch", "int", "mask", "unique", "truth"],
)
def test_values_are_refused(f: Any) -> None:
    with pytest.raises(
        UnsupportedError, match=r"recording from shapes: found a value that is needed now.*test_cost\.py"
    ):
        planned(f, ((5,),))


@pytest.mark.parametrize("shapes", [(3, 4), 3, "ab", {"x": (3,)}, ()])
def test_shapes_that_are_none(shapes: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        planned(lambda *x: np.sum(x[0]), shapes)


def test_a_shape_by_itself_is_told_from_arguments() -> None:
    with pytest.raises(ValueError, match=r"shapes: found \(3, 4\); wanted a tuple with one entry for each argument"):
        planned(np.sum, (3, 4))


@pytest.mark.parametrize("lengths", [-1, (3, -2), (2.5,), "3"])
def test_lengths_that_are_none(lengths: Any) -> None:
    with pytest.raises(ValueError, match="Shape: found"):
        tg.Shape(lengths)


def test_dtypes_that_are_none() -> None:
    with pytest.raises(TypeError, match="complex"):
        tg.Shape(3, complex)
    with pytest.raises(TypeError, match="float64 or float32 parameters"):
        planned(np.sum, (tg.Shape(3, int),))


def test_a_shape_is_no_argument() -> None:
    with pytest.raises(TypeError, match="Shape"):
        tg.grad(np.sum)(tg.Shape(3))


def test_shape() -> None:
    assert tg.Shape(3) == tg.Shape((3,), np.float64) != tg.Shape((3,), int)
    assert hash(tg.Shape([2, 3])) == hash(tg.Shape((2, 3)))
    assert repr(tg.Shape((2, 3), np.float32)) == "Shape((2, 3), float32)"


# --- BERT


@pytest.mark.parametrize(
    ("name", "count"), [("tiny", 4_385_920), ("mini", 11_170_560), ("base", 109_482_240), ("large", 335_141_888)]
)
def test_parameters_of_bert(name: str, count: int) -> None:
    """Those of the published models, poolers among them: "base" is called 110 M, "large" 340 M."""
    size = bert.SIZES[name]
    shapes = (bert.parameters(size), *(tg.Shape(s, int) for s in bert.batch(2, 16)), size.heads)
    cost = planned(bert.loss, shapes, dtype=np.float32)
    assert cost.parameters == count
    assert cost.memory.results == 4 * count + 4


def test_bert_has_a_gradient() -> None:
    size = bert.Size(2, 8, 2, words=11, places=6)
    p, *data = bert.drawn(size, 3, 6)
    double = _doubled(p)
    assert tg.record(bert.loss, double, *data)(double, *data) == pytest.approx(bert.loss(double, *data))
    tg.check_grad(bert.loss, double, *data)


def _doubled(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {k: _doubled(v) for k, v in tree.items()}
    return [_doubled(v) for v in tree] if isinstance(tree, list) else tree.astype(float) * 10


# --- rates


def test_products_between_those_that_were_measured() -> None:
    """At the measured sizes what was measured; in between the flops' time is; above, that of the largest."""
    found = dict(RATES)
    for m, n, k, t in ((8, 8, 8, 100.0), (8, 8, 32, 400.0), (512, 512, 512, 1e6)):
        found[f"product:NN:{m}x{n}x{k}"] = t
    rates = Rates(found)
    m, n, k = np.array([8.0, 8, 8, 1024]), np.array([8.0, 8, 8, 512]), np.array([8.0, 32, 16, 512])
    assert rates.products(m, n, k, np.zeros(4, int)) == pytest.approx([100, 400, 200, 2e6])


def test_bytes_cost_more_from_further_away() -> None:
    found = dict(RATES)
    for exponent, read, both in ((17, 0.01, 0.03), (20, 0.03, 0.08), (23, 0.07, 0.15), (26, 0.09, 0.18)):
        found[f"read:{1 << exponent}"], found[f"write:{1 << exponent}"] = read, both
    rates = Rates(found)
    distance = np.geomspace(1, 1 << 32, 40)
    for written in (False, True):
        costs = rates.bytes(distance, np.full(40, written))
        assert costs[0] == 0
        assert (np.diff(costs) >= -1e-12).all()
        assert costs[-1] > 0.08


def test_threads_share() -> None:
    found = dict(RATES) | {"threads:compute": 0.25}
    assert [Rates(found).shared("compute", n, 4) for n in (1, 2, 4, 8)] == pytest.approx([1, 0.5, 0.25, 0.25])


def test_the_table_of_the_docs() -> None:
    """What `docs/cost.md` says of BERT is what is planned."""
    text = (Path(__file__).parents[1] / "docs" / "cost.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| BERT (\w+) \((\d+) layers, (\d+) wide\) \| (.*) \|$", text, re.MULTILINE)
    assert [name for name, *_ in found] == list(bert.SIZES)
    for name, layers, width, cells in found:
        size = bert.SIZES[name]
        assert (size.layers, size.width) == (int(layers), int(width))
        assert cells.split(" | ") == paper_row(name, ROWS, MACHINE)[1:6]


def chain(x: Any) -> Any:
    for _ in range(100):
        x = np.sin(x) * x[::-1] + 0.3
    return np.sum(x)


def test_a_limit_of_memory() -> None:
    """What is computed again takes flops and time, and less memory."""
    free, bound = planned(chain, ((10_000,),)), planned(chain, ((10_000,),), memory_limit="2 MB")
    assert free.recomputed == 0 < bound.recomputed
    assert bound.memory.arena + bound.memory.tiles <= 2_000_000 < free.memory.arena + free.memory.tiles
    assert bound.flops > free.flops
    assert bound.gradient.one > free.gradient.one
    assert bound.value == free.value
    assert bound.instructions == free.instructions
    assert f", {bound.recomputed:,} again\n" in str(bound)
    with pytest.raises(MemoryLimitError, match="memory_limit"):
        planned(chain, ((10_000,),), memory_limit=1000)
    with pytest.raises(SettingError, match="memory_limit"):
        tg.record(chain, np.ones(3)).cost(memory_limit="much", calibration=MACHINE)


@pytest.mark.parametrize("shapes", [3, None, "ab", {"x": (3,)}])
def test_what_is_no_sequence_of_shapes(shapes: Any) -> None:
    with pytest.raises(ShapeError, match=r"shapes: found .*; wanted a tuple with one entry for each argument"):
        planned(np.sum, shapes)


def test_arrays_that_numpy_cannot_count() -> None:
    with pytest.raises(ShapeError, match=r"Shape: found .*; wanted at most 1,152,921,504,606,846,976 elements"):
        planned(np.sum, ((10**12, 10**12),))
